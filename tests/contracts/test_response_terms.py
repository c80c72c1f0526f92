"""What the response tables write is in the controlled terminology."""

from __future__ import annotations

import pytest

from hepatica.adapters.cdisc.readings import STATES, list_size_tests
from hepatica.adapters.cdisc.response_tables import TESTS
from hepatica.adapters.cdisc.terms import read_terms
from hepatica.core.errors import NotFoundError
from hepatica.followup.verdict import CATEGORIES, Criterion
from hepatica.followup.words import ImmuneResponse, LesionRole, Response

WITHOUT_TERM = {Criterion.ITRECIST, Criterion.VOLUMETRIC}
"""itRECIST has a term that is not claimed before its tables were checked; volumes have none."""


@pytest.mark.requirement("D-cdisc-terms")
def test_every_code_that_is_written_is_a_controlled_term():
    codes = {str(code) for code in (*Response, *ImmuneResponse) if code}
    assert codes <= read_terms("ONCRSR")
    assert set(TESTS) <= read_terms("ONCRTSCD")
    assert {"EQUIVOCAL", "UNEQUIVOCAL"} <= read_terms("ONCRSR")


@pytest.mark.requirement("D-cdisc-terms")
@pytest.mark.parametrize("criterion", Criterion)
def test_the_category_of_a_criterion_is_a_controlled_term_where_one_may_be_claimed(criterion):
    assert (CATEGORIES[criterion] in read_terms("ONCRSCAT")) == (criterion not in WITHOUT_TERM)


@pytest.mark.requirement("D-cdisc-terms")
def test_every_role_test_and_state_that_is_read_is_a_controlled_term():
    assert {str(role) for role in LesionRole} <= read_terms("TUIDRS")
    assert set(STATES) <= read_terms("TRPROPRS")
    assert {test for criterion in Criterion for test in list_size_tests(criterion)} <= read_terms("TRTESTCD")


def test_an_unknown_list_is_refused_with_the_known_ones():
    with pytest.raises(NotFoundError, match="ONCRSR"):
        read_terms("NOLIST")
