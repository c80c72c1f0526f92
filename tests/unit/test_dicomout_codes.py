"""Coded terms of the DICOM objects, held against the standard's own dictionary as shipped by pydicom."""

from __future__ import annotations

import pytest
from pydicom.sr._concepts_dict import concepts

from hepatica.adapters.dicom.codes import PRIVATE_SCHEME, read_terms, to_structure_codes, to_unit_code
from hepatica.anatomy.structures import StructureKind
from hepatica.core.errors import NotFoundError

OUTSIDE_PYDICOM = {
    ("SCT", "113276009"),  # Intestine: a SNOMED CT body structure outside pydicom's context groups
    ("UCUM", "[PFU]"),  # plaque forming units, UCUM table of units of amount of an infectious agent
    ("UCUM", "ml"),
    ("UCUM", "mg"),
    ("UCUM", "{vp}"),  # an annotation, which UCUM allows for any text
}


def _terms():
    return [(group, name, term) for group, terms in read_terms().items() for name, term in terms.items()]


@pytest.mark.requirement("A-dicom-codes")
@pytest.mark.parametrize(("group", "name", "term"), _terms(), ids=lambda v: v if isinstance(v, str) else "")
def test_a_term_of_a_standard_scheme_means_what_the_standard_says(group, name, term):
    assert len(term.value) <= 16, "a code value of more than 16 characters needs another attribute"
    assert len(term.meaning) <= 64
    if term.scheme == PRIVATE_SCHEME or (term.scheme, term.value) in OUTSIDE_PYDICOM:
        return
    meanings = {
        meaning.casefold()
        for entries in concepts[term.scheme].values()
        for value, (meaning, _) in entries.items()
        if value == term.value
    }
    assert term.meaning.casefold() in meanings


@pytest.mark.requirement("A-dicom-codes")
def test_every_structure_kind_has_its_own_code():
    codes = [to_structure_codes(kind.value)[1] for kind in StructureKind]
    assert len({(code.scheme_designator, code.value) for code in codes}) == len(StructureKind)


def test_an_unknown_structure_is_refused_and_an_unknown_unit_becomes_an_annotation():
    with pytest.raises(NotFoundError, match=r"structure\.tail"):
        to_structure_codes("tail")
    assert to_unit_code("gbq").value == "{gbq}"
