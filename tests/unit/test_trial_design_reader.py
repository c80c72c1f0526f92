"""The escalation design of a protocol version is read strictly."""

from __future__ import annotations

import pytest

from hepatica.core.errors import HepaticaError
from hepatica.core.findings import NotEvaluable
from hepatica.record.item import Item
from hepatica.trials.outcomes import parse_outcomes
from hepatica.trials.rules import RuledDesign
from hepatica.workflows.conduct.design import parse_escalation_plan, read_escalation_plan
from hepatica.workflows.conduct.outcomes import count_at_risk

LEVELS = [{"concentration_pfu_per_ml": 1e6 * 10**i, "volume_ceiling_ml": 2.0} for i in range(3)]
BOIN = {"design": "boin", "target_fraction": 0.3, "cohort_size": 3, "delay_days": 7, "levels": LEVELS}


@pytest.mark.requirement("G-trial-design")
@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"colour": "red"}, "keys"),
        ({"design": None}, "name of a design"),
        ({"design": "boin5000"}, "one of"),
        ({"cohort_size": 0}, "cohort_size"),
        ({"cohort_size": True}, "cohort_size"),
        ({"delay_days": None}, "delay_days"),
        ({"levels": []}, "dose levels"),
        ({"levels": [{"volume_ceiling_ml": 2.0}]}, "concentration_pfu_per_ml"),
        ({"levels": [{"concentration_pfu_per_ml": -1, "volume_ceiling_ml": 2.0}]}, "above 0"),
        ({"target_fraction": 1.5}, "target"),
        ({"options": {"colour": 1}}, "options of boin"),
        ({"rules": "stop-at-n"}, "rules as pairs"),
        ({"populations": {"leader": "a"}}, "linked populations"),
        ({"design": "boin12"}, "toxicity alone"),
        ({"design": "boin-combination"}, "."),
    ],
)
def test_a_design_that_says_something_unknown_or_impossible_is_refused_and_says_what_it_needs(
    changes, expected
):
    with pytest.raises(HepaticaError) as refused:
        parse_escalation_plan({**BOIN, **changes})
    assert expected in refused.value.expected or expected == "."
    study = Item(kind="study", item_id="s", version=1, values={"escalation_design": {**BOIN, **changes}})
    assert isinstance(read_escalation_plan(study), NotEvaluable)


@pytest.mark.requirement("G-trial-design")
def test_rules_and_options_of_the_protocol_act_on_the_next_dose():
    plan = parse_escalation_plan({**BOIN, "rules": [["stop-at-n", "6"]]})
    assert isinstance(plan.design, RuledDesign)
    assert not plan.design.next_dose(parse_outcomes("1NNN 2NNN")).continue_
    crm = parse_escalation_plan(
        {
            "design": "crm", "target_fraction": 0.25, "cohort_size": 1, "delay_days": 0, "levels": LEVELS,
            "options": {"skeleton": [0.1, 0.2, 0.3]},
        }
    )  # fmt: skip
    assert crm.design.next_dose(parse_outcomes("1N")).recommended_dose == 2
    assert not crm.computes_apart


@pytest.mark.requirement("G-trial-design")
def test_levels_are_as_many_as_the_design_has():
    with pytest.raises(HepaticaError, match="2"):
        parse_escalation_plan(
            {**BOIN, "design": "crm", "options": {"skeleton": [0.1, 0.2]}, "target_fraction": 0.2}
        )


@pytest.mark.requirement("G-trial-design")
def test_a_design_that_integrates_is_asked_in_a_process_of_its_own():
    plan = parse_escalation_plan(
        {"design": "blrm", "cohort_size": 3, "delay_days": 0, "levels": LEVELS, "rules": [["stop-at-n", "9"]]}
    )
    assert plan.computes_apart


@pytest.mark.parametrize("values", [{}, {"escalation_design": {}}, {"escalation_design": "boin"}])
def test_a_protocol_version_without_a_design_says_so(values):
    study = Item(kind="study", item_id="s", version=1, values=values)
    found = read_escalation_plan(study)
    assert isinstance(found, NotEvaluable) and "no escalation design" in found.reason


@pytest.mark.requirement("G-trial-outcomes")
def test_at_risk_are_those_whose_time_is_not_over_before_the_month():
    times = [2.0, 2.0, 5.0, 7.5]
    distinct, n_risk = [2.0, 5.0, 7.5], [4, 2, 1]
    for month in (0.0, 1.9, 2.0, 2.1, 5.0, 7.0, 7.5, 8.0):
        assert count_at_risk(distinct, n_risk, month) == sum(time >= month for time in times)
