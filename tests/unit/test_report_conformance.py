"""Conformance rules: each one holds on a good example and fails on a bad one, in the place that is wrong."""

from __future__ import annotations

import numpy as np
import pytest
from report_rule_examples import MAKERS, make_example

from hepatica.trials.report.checks import CHECKS
from hepatica.trials.report.conformance import check_conformance, leave_out, read_rules
from hepatica.trials.report.simulated_trial import simulate_trial
from hepatica.trials.report.source import SourceTable, SourceTables, join_supplements

FEWEST_RULES = 60
"""What the report promises."""


@pytest.mark.requirement("E-conformance")
def test_there_are_at_least_sixty_rules_with_ids_of_their_own_and_a_source():
    rules = read_rules()
    assert len({rule.rule_id for rule in rules}) == len(rules) >= FEWEST_RULES
    assert all(rule.source and rule.what and rule.rule_id.startswith(rule.dataset) for rule in rules)
    assert set(MAKERS) == set(CHECKS) == {rule.check for rule in rules} | {"same"}


@pytest.mark.requirement("E-conformance")
@pytest.mark.parametrize("rule", read_rules(), ids=lambda rule: rule.rule_id)
def test_every_rule_holds_on_a_good_example_and_fails_where_a_bad_one_is_wrong(rule):
    good, bad, line, column = make_example(rule)
    (held,) = check_conformance(good, rules=(rule,))
    (failed,) = check_conformance(bad, rules=(rule,))
    assert (held.status, held.applied > 0) == ("pass", True)
    assert [(breach.line, breach.column) for breach in failed.breaches] == [(line, column)]
    assert failed.status == "fail" and failed.to_dict()["places"] == [{"row": line, "column": column}]


@pytest.mark.parametrize("rule", read_rules(), ids=lambda rule: rule.rule_id)
def test_a_rule_about_a_dataset_that_is_not_there_does_not_apply(rule):
    (result,) = check_conformance(SourceTables(), rules=(rule,))
    assert result.status == "not applicable"


def test_the_simulated_trial_keeps_every_rule_of_its_input():
    rows = simulate_trial(np.random.default_rng(3), subjects=30)
    tables = SourceTables(tables={name: SourceTable.from_rows(name, found) for name, found in rows.items()})
    failed = [result.rule.rule_id for result in check_conformance(tables) if result.count]
    assert failed == []


@pytest.mark.requirement("E-report-partial")
def test_a_bad_row_is_left_out_alone_and_a_bad_subject_everywhere():
    tables = SourceTables(
        tables={
            "DM": SourceTable.from_rows(
                "DM", [{"USUBJID": "A", "RFSTDTC": "2024-01-01"}, {"USUBJID": "B", "RFSTDTC": "soon"}]
            ),
            "AE": SourceTable.from_rows(
                "AE",
                [
                    {"USUBJID": "A", "AETERM": "Chills", "AESEQ": 1, "AETOXGR": 2},
                    {"USUBJID": "A", "AETERM": "Pyrexia", "AESEQ": 2, "AETOXGR": 7},
                    {"USUBJID": "B", "AETERM": "Nausea", "AESEQ": 1, "AETOXGR": 1},
                ],
            ),
        }
    )
    kept, rows, subjects = leave_out(tables, check_conformance(tables))
    assert [row["USUBJID"] for row in kept.rows("DM")] == ["A"]
    assert [row["AETERM"] for row in kept.rows("AE")] == ["Chills"]
    assert (rows, subjects) == (1, 1)


def test_a_supplement_adds_its_variables_to_the_record_it_names():
    tables = {
        "AE": SourceTable.from_rows("AE", [{"USUBJID": "A", "AESEQ": 1}, {"USUBJID": "A", "AESEQ": 2}]),
        "SUPPAE": SourceTable.from_rows(
            "SUPPAE", [{"USUBJID": "A", "IDVAR": "AESEQ", "IDVARVAL": "2.0", "QNAM": "AEDLT", "QVAL": "Y"}]
        ),
    }
    joined = join_supplements(tables)
    assert set(joined) == {"AE"}
    assert [row["AEDLT"] for row in joined["AE"].rows] == ["", "Y"]
