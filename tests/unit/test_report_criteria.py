"""Response by other criteria beside RECIST 1.1, and curves by arm: counted by hand."""

from __future__ import annotations

import re
from datetime import date, timedelta

import pytest
from trial_folders import make_trial, read_csv, run_report, write_csv_folder

from hepatica.adapters.reports.trial_pictures import say_basket
from hepatica.adapters.reports.trial_survival import count_at_risk, draw_all_survival
from hepatica.trials.endpoints.survival import estimate_survival
from hepatica.trials.report.tables_criteria import (
    find_immune_assessor,
    tabulate_beyond,
    tabulate_criteria,
    tabulate_injected,
)
from hepatica.trials.report.tables_response import Assessor, BasketRate
from hepatica.trials.report.tables_times import compare_arms, derive_curves_of_times, tabulate_times
from hepatica.trials.report.words import read_words

WORDS = read_words()
RECIST = Assessor(category="RECIST 1.1", derived="RECIST 1.1", evaluator="INVESTIGATOR")
IMMUNE = Assessor(category="iRECIST", derived="iRECIST", evaluator="INVESTIGATOR")
START = date(2024, 1, 1)
# log-rank of the two arms below, by hand: O = 3 in B; E = sum of (at risk in B / at risk) at each event
# times A: 2 4+ 6 8+; B: 1 3 5 9+  ->  E(B) = 4/8 + 3/7 + 3/6 + 2/4 + 1/3
EXPECTED_B = 4 / 8 + 3 / 7 + 3 / 6 + 2 / 4 + 1 / 3
VARIANCE = sum(n * (r - n) / r**2 for n, r in ((4, 8), (3, 7), (3, 6), (2, 4), (1, 3)))


def subject(name, arm="A"):
    return {"USUBJID": name, "SAFFL": "Y", "TRT01A": arm, "TRT01P": arm, "TUMTYPE": "HCC"}


def response(name, code, value, *, category="RECIST 1.1", group="", day=0, evaluator="INVESTIGATOR"):
    return {
        "USUBJID": name, "PARAMCD": code, "AVALC": value, "PARCAT1": category, "GRPID": group,
        "AEVAL": evaluator, "AEVALID": "", "ADT": START + timedelta(days=day), "ANL01FL": "Y",
    }  # fmt: skip


def time(name, months, event, *, code="OS", category=""):
    return {
        "USUBJID": name, "PARAMCD": code, "AVALM": months, "CNSR": 0 if event else 1, "PARCAT1": category,
        "GRPID": "", "AEVAL": "INVESTIGATOR" if category else "", "AEVALID": "",
    }  # fmt: skip


def cells(table, label):
    return next(row.cells for row in table.rows if row.label.startswith(label))


@pytest.mark.requirement("E-report-criteria")
def test_each_criterion_counts_its_own_codes_over_the_full_group():
    subjects = [subject(name) for name in "abcde"]
    plain = {"a": "PR", "b": "PD", "c": "PD", "d": "SD"}
    immune = {"a": "iPR", "b": "iCPD", "c": "iSD", "d": "iSD"}
    rows = [response(name, "BOR", value) for name, value in plain.items()]
    rows += [response(name, "IBOR", value, category="iRECIST") for name, value in immune.items()]
    table = tabulate_criteria(
        rows, subjects, assessors={"RECIST 1.1": RECIST, "iRECIST": IMMUNE}, words=WORDS, derived=("iRECIST",)
    )
    assert cells(table, "Partial response") == ("1 (20.0)", "1 (20.0)")
    assert cells(table, "Stable disease") == ("1 (20.0)", "2 (40.0)")
    assert cells(table, "Progression (iRECIST") == ("2 (40.0)", "1 (20.0)")
    assert cells(table, "Progression never confirmed") == ("-", "0")
    assert cells(table, "Not assessed") == ("1 (20.0)", "1 (20.0)")
    assert cells(table, "Disease control") == ("2 (40.0)", "3 (60.0)")
    assert any("iRECIST: derived here" in note for note in table.notes)
    assert any("RECIST 1.1: as recorded" in note for note in table.notes)


@pytest.mark.requirement("E-report-criteria")
def test_what_followed_progression_is_told_for_each_subject_once():
    subjects = [subject(name, "A" if name in "abc" else "B") for name in "abcdef"]
    rows = [response(name, "OVR", "PD", day=40) for name in "abcde"] + [response("f", "OVR", "SD", day=40)]
    courses = {
        "a": ["iUPD", "iCPD"],
        "b": ["iUPD", "iSD", "iUPD", "iCPD"],  # resolved first: what came next is a new progression
        "c": ["iUPD", "iUPD", "NE"],
        "d": ["iUPD"],
        "f": ["iSD"],
    }
    rows += [
        response(name, "OVR", code, category="iRECIST", day=40 + 35 * n)
        for name, codes in courses.items()
        for n, code in enumerate(codes)
    ]
    table = tabulate_beyond(rows, subjects, assessor=RECIST, immune=IMMUNE)
    assert table.columns == ("A (N = 3)", "B (N = 3)", "All (N = 6)")
    assert cells(table, "PD by RECIST 1.1") == ("3 (100.0)", "2 (66.7)", "5 (83.3)")
    found = [row.cells[2].split()[0] for row in table.rows[1:]]
    assert found == ["1", "1", "1", "1", "1"]  # a, b, c, d; e was never assessed by iRECIST


@pytest.mark.requirement("E-report-criteria")
def test_two_readers_of_irecist_are_never_mixed():
    rows = [
        response("a", "IBOR", "iSD", category="iRECIST", evaluator=who) for who in ("READER 1", "READER 2")
    ]
    assert find_immune_assessor(rows, RECIST) is None
    found = find_immune_assessor(rows[:1], RECIST)
    assert found is not None and found.evaluator == "READER 1"


@pytest.mark.requirement("E-report-criteria")
def test_groups_by_injected_status_have_their_own_denominators_and_stay_unverified():
    assessor = Assessor(category="itRECIST-based", derived="itRECIST-based", evaluator="INVESTIGATOR")
    rows = [
        response("a", "BOR", "PR", category="itRECIST-based", group=group) for group in ("ALL", "INJECTED-A")
    ]
    rows.append(response("a", "BOR", "SD", category="itRECIST-based", group="NON-INJECTED"))
    members = {"INJECTED-A": {"a", "b"}, "NON-INJECTED": {"a"}}
    table = tabulate_injected(rows, [subject(n) for n in "abc"], members, assessor=assessor, words=WORDS)
    assert [re.search(r"N = (\d)", name).group(1) for name in table.columns] == ["3", "1", "2", "0", "0"]
    assert cells(table, "PR") == ("1 (33.3)", "0", "1 (50.0)", "0", "0")
    assert cells(table, "Not assessed") == ("2 (66.7)", "0", "1 (50.0)", "0", "0")
    assert "unverified" in table.title and any("unverified" in note for note in table.notes)


def two_arms():
    times = {"A": ((2, 1), (4, 0), (6, 1), (8, 0)), "B": ((1, 1), (3, 1), (5, 1), (9, 0))}
    subjects, rows = [], []
    for arm, found in times.items():
        for number, (month, event) in enumerate(found):
            subjects.append(subject(f"{arm}{number}", arm))
            rows.append(time(f"{arm}{number}", float(month), event))
    return subjects, rows


@pytest.mark.requirement("E-report-arms")
def test_two_arms_are_tested_by_the_log_rank_of_a_hand_count():
    subjects, rows = two_arms()
    (found,) = compare_arms(rows, subjects, assessors={}, words=WORDS)
    assert found.chi2 == pytest.approx((3 - EXPECTED_B) ** 2 / VARIANCE, rel=1e-9)
    assert (found.arm, found.reference) == ("B", "A") and found.ratio is not None and found.ratio > 1
    curves = derive_curves_of_times(rows, subjects, assessors={}, words=WORDS)
    assert [(c.group, int(c.curve.n_risk[0])) for c in curves] == [("", 8), ("A", 4), ("B", 4)]
    table = tabulate_times(curves, rules="r", comparisons=(found,))
    assert [(row.label, row.level) for row in table.rows] == [("Overall survival", 0), ("A", 1), ("B", 1)]
    assert any("log-rank p = " in note and "B over A" in note for note in table.notes)


@pytest.mark.requirement("E-report-arms")
def test_one_arm_and_more_than_two_are_not_tested_and_neither_is_the_duration_of_response():
    subjects, rows = two_arms()
    three = [*subjects, subject("C0", "C")]
    assert compare_arms([*rows, time("C0", 5.0, 1)], three, assessors={}, words=WORDS) == ()
    one = [{**row, "TRT01A": "A", "TRT01P": "A"} for row in subjects]
    assert compare_arms(rows, one, assessors={}, words=WORDS) == ()
    assert len(derive_curves_of_times(rows, one, assessors={}, words=WORDS)) == 1
    lasting = [{**row, "PARAMCD": "DOR", "PARCAT1": "RECIST 1.1", "AEVAL": "INVESTIGATOR"} for row in rows]
    assert compare_arms(lasting, subjects, assessors={"DOR": RECIST}, words=WORDS) == ()


@pytest.mark.requirement("E-report-arms")
def test_an_arm_without_events_has_a_test_and_no_hazard_ratio_and_none_at_all_no_test():
    subjects, rows = two_arms()
    quiet = [{**row, "CNSR": 1} if row["USUBJID"][0] == "A" else row for row in rows]
    (found,) = compare_arms(quiet, subjects, assessors={}, words=WORDS)
    assert found.ratio is None and "not estimable" in found.words
    assert compare_arms([{**row, "CNSR": 1} for row in rows], subjects, assessors={}, words=WORDS) == ()


@pytest.mark.requirement("E-report-arms")
def test_numbers_at_risk_are_those_just_before_a_time():
    curve = estimate_survival([1.0, 3.0, 3.0, 6.0], [1, 1, 0, 0])
    assert [count_at_risk(curve, month) for month in (0, 1, 3, 4, 6, 9)] == [4, 4, 3, 1, 1, 0]


@pytest.mark.requirement("E-report-arms")
def test_each_endpoint_has_a_picture_of_all_and_one_by_arm_that_says_what_it_shows():
    subjects, rows = two_arms()
    curves = derive_curves_of_times(rows, subjects, assessors={}, words=WORDS)
    tested = compare_arms(rows, subjects, assessors={}, words=WORDS)
    whole, arms = draw_all_survival(curves, tested, simulated=True)
    assert (whole.name, arms.name) == ("survival-os", "survival-os-arms")
    assert "A: 4 subjects, 2 events" in arms.alt and "B: 4 subjects, 3 events" in arms.alt
    assert "log-rank" in arms.alt and arms.svg.startswith(b"<?xml")


@pytest.mark.requirement("E-report-arms")
def test_a_rate_without_any_event_has_no_interval_of_no_width():
    subjects, rows = two_arms()
    quiet = [{**row, "AVALM": row["AVALM"] + 30, "CNSR": 1} for row in rows]
    table = tabulate_times(derive_curves_of_times(quiet, subjects, assessors={}, words=WORDS), rules="r")
    assert table.rows[0].cells[4:] == ("100", "100", "100", "100")


def test_the_forest_writes_both_limits():
    basket = BasketRate(name="HCC", responders=2, subjects=24, lower=0.0103, upper=0.27)
    assert say_basket(basket) == "2/24   8.3 (1.0 to 27.0)"


@pytest.fixture(scope="module")
def trial():
    return make_trial(subjects=14)


@pytest.mark.requirement("E-report-criteria")
def test_a_recorded_irecist_is_reported_and_not_derived_again(trial, tmp_path):
    own = {name: [dict(row) for row in rows] for name, rows in trial.items()}
    told = {
        "CR": "iCR",
        "PR": "iPR",
        "SD": "iSD",
        "PD": "iUPD",
        "NON-CR/NON-PD": "NON-iCR/NON-iUPD",
        "NE": "NE",
    }
    extra = [
        {**row, "RSCAT": "iRECIST", "RSSEQ": str(900 + n), "RSORRES": told[row["RSSTRESC"]],
         "RSSTRESC": told[row["RSSTRESC"]]}
        for n, row in enumerate(own["RS"]) if row["RSTESTCD"] == "OVRLRESP" and row["VISIT"] != "UNSCHEDULED"
    ]  # fmt: skip
    own["RS"] += extra
    run_report(write_csv_folder(tmp_path / "data", own), tmp_path / "out", formats=("csv",))
    derived = read_csv(tmp_path / "out" / "datasets" / "rs.csv")
    assert "iRECIST" not in {row["RSCAT"] for row in derived}
    found = read_csv(tmp_path / "out" / "datasets" / "adrs.csv")
    seen = [row for row in found if row["PARCAT1"] == "iRECIST" and row["PARAMCD"] == "OVR"]
    assert len(seen) == len(extra)


@pytest.mark.requirement("E-report-criteria")
def test_without_links_of_injections_to_lesions_irecist_stays_and_itrecist_says_why(trial, tmp_path):
    own = {**trial, "EX": [{k: v for k, v in row.items() if k != "EXLNKID"} for row in trial["EX"]]}
    document, _ = run_report(write_csv_folder(tmp_path / "data", own), tmp_path / "out", formats=("csv",))
    assert "EXLNKID" in document["not_reported"]["itrecist"]
    assert "criteria" not in document["not_reported"] and "beyond" not in document["not_reported"]
    found = read_csv(tmp_path / "out" / "datasets" / "adtte.csv")
    assert {row["PARAMCD"] for row in found} >= {"PFS", "IPFS", "OS"}
