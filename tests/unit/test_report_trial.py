"""The report of a whole trial, from SDTM files to datasets, definition, tables and pages."""

from __future__ import annotations

import json
import re
from datetime import date

import pytest
from trial_folders import (
    make_trial,
    read_csv,
    run_report,
    write_csv_folder,
    write_json_folder,
    write_xpt_folder,
)

from hepatica.adapters.cdisc.define_xml import build_define, check_define
from hepatica.adapters.cdisc.tables import read_header
from hepatica.core.errors import HepaticaError, InputError, UsageError
from hepatica.followup.criteria.recist11 import CATEGORY
from hepatica.followup.verdict import Criterion
from hepatica.trials.phase2.intervals import derive_interval
from hepatica.trials.report.adverse import derive_adverse_events
from hepatica.trials.report.conformance import read_rules
from hepatica.trials.report.dosing import derive_exposure
from hepatica.trials.report.source import SourceTable, SourceTables
from hepatica.trials.report.subjects import derive_subjects
from hepatica.trials.report.words import read_words

SUBJECTS = 24
ADAM = ("ADSL", "ADAE", "ADEX", "ADTR", "ADRS", "ADTTE")
WORDS = read_words()


def _tables(**rows):
    return SourceTables(tables={name: SourceTable.from_rows(name, found) for name, found in rows.items()})


def _subject(**cells):
    return {"STUDYID": "S", "USUBJID": "A", "ARM": "Arm", "TUMTYPE": "HCC", **cells}


def _dose(day, lesion="T01", amount=2e6, **cells):
    return {
        "USUBJID": "A", "EXSEQ": day, "EXLNKID": lesion, "EXTRT": "Agent", "EXDOSE": amount, "EXDOSU": "PFU",
        "EXVAMT": 2, "EXVAMTU": "mL", "EXROUTE": "INTRATUMORAL", "EXSTDTC": f"2024-03-{day:02d}", **cells,
    }  # fmt: skip


@pytest.fixture(scope="module")
def trial():
    return make_trial(subjects=SUBJECTS)


@pytest.fixture(scope="module")
def reported(trial, tmp_path_factory):
    """One whole run with pages."""
    room = tmp_path_factory.mktemp("report")
    document, partial = run_report(write_csv_folder(room / "data", trial), room / "out", pages=True)
    return room / "out", document, partial


@pytest.mark.requirement("E-adam-adsl")
def test_treatment_dates_come_from_doses_above_zero_and_screen_failures_are_not_enrolled():
    tables = _tables(
        DM=[_subject(), _subject(USUBJID="B", ARM="SCREEN FAILURE"), _subject(USUBJID="C")],
        EX=[_dose(5, amount=0), _dose(7), _dose(28)],
    )
    rows = {row["USUBJID"]: row for row in derive_subjects(tables, words=WORDS)}
    assert (rows["A"]["TRTSDT"], rows["A"]["TRTEDT"], rows["A"]["TRTDURD"]) == (
        date(2024, 3, 7), date(2024, 3, 28), 22,
    )  # fmt: skip
    assert [(rows[name]["ENRLFL"], rows[name]["SAFFL"]) for name in "ABC"] == [
        ("Y", "Y"),
        ("N", "N"),
        ("Y", "N"),
    ]


@pytest.mark.requirement("E-adam-adae")
@pytest.mark.parametrize(
    ("onset", "flag"),
    [
        ("2024-03-04", "N"),  # the day before the first dose
        ("2024-03-05", "Y"),  # its day
        ("2024-03", ""),  # known in part, before or after
        ("2024-05-04", "Y"),  # day 30 after the last dose
        ("2024-05-05", "N"),  # day 31
    ],
)
def test_an_event_is_emergent_from_the_first_dose_to_thirty_days_after_the_last(onset, flag):
    doses = [_dose(5), _dose(9, EXSTDTC="2024-04-04")]
    tables = _tables(DM=[_subject()], EX=doses, AE=[{"USUBJID": "A", "AETERM": "Chills", "AESTDTC": onset}])
    subjects = derive_subjects(tables, words=WORDS)
    (row,) = derive_adverse_events(tables, subjects, words=WORDS)
    assert row["TRTEMFL"] == flag
    assert bool(row["TRTEMDSC"]) == (flag == "")


@pytest.mark.requirement("E-adam-adae")
def test_agent_and_procedure_are_attributed_apart_and_silence_is_no_answer():
    answers = [("POSSIBLE", "NO"), ("NO", "RELATED"), ("PROBABLE", "Y"), ("UNLIKELY", "N"), ("", "N")]
    events = [
        {"USUBJID": "A", "AESEQ": i, "AETERM": "Chills", "AESTDTC": "2024-03-06", "AEREL": a, "AERELPRC": p}
        for i, (a, p) in enumerate(answers, start=1)
    ]
    tables = _tables(DM=[_subject()], EX=[_dose(5)], AE=events)
    rows = derive_adverse_events(tables, derive_subjects(tables, words=WORDS), words=WORDS)
    assert [row["ACAUSE"] for row in rows] == ["AGENT", "PROCEDURE", "BOTH", "NEITHER", "UNKNOWN"]
    assert (rows[4]["RELAGFL"], rows[4]["RELPRFL"]) == ("", "N")


@pytest.mark.requirement("E-adam-adae")
def test_the_worst_grade_is_flagged_once_and_never_on_an_event_from_before():
    events = [
        {
            "USUBJID": "A",
            "AESEQ": i,
            "AEDECOD": "Pyrexia",
            "AEBODSYS": "General",
            "AESTDTC": day,
            "AETOXGR": grade,
        }
        for i, (day, grade) in enumerate(
            [("2024-03-01", 4), ("2024-03-09", 3), ("2024-03-07", 3), ("2024-03-06", 2)], start=1
        )
    ]
    tables = _tables(DM=[_subject()], EX=[_dose(5)], AE=events)
    rows = derive_adverse_events(tables, derive_subjects(tables, words=WORDS), words=WORDS)
    assert [row["AESEQ"] for row in rows if row["AOCCPIFL"] == "Y"] == [3]


@pytest.mark.requirement("E-adam-adex")
def test_doses_add_up_for_each_lesion_and_units_are_never_mixed():
    doses = [
        _dose(5),
        _dose(6, lesion="T02", amount=1e6),
        _dose(26, amount=4e7),
        _dose(27, EXDOSU="mL", amount=3),
    ]
    tables = _tables(DM=[_subject()], EX=doses)
    rows = derive_exposure(tables, derive_subjects(tables, words=WORDS), words=WORDS)
    totals = {
        (r["PARCAT1"], r["LNKID"], r["PARAMCD"], r["AVALU"]): r["AVAL"]
        for r in rows
        if r["PARCAT1"] != "INJECTION"
    }
    assert totals["LESION TOTAL", "T01", "CUMDOSE", "PFU"] == 4.2e7
    assert totals["LESION TOTAL", "T01", "CUMDOSE", "mL"] == 3
    assert totals["LESION TOTAL", "T02", "CUMDOSE", "PFU"] == 1e6
    assert totals["SUBJECT TOTAL", "", "CUMDOSE", "PFU"] == 4.3e7
    assert totals["SUBJECT TOTAL", "", "NINJ", "INJECTIONS"] == 4
    running = [
        r["CUMAVAL"] for r in rows if r["PARAMCD"] == "DOSE" and r["LNKID"] == "T01" and r["AVALU"] == "PFU"
    ]
    assert running == [2e6, 4.2e7]


@pytest.mark.requirement("E-report-whole")
def test_a_whole_trial_gives_all_files_and_every_rule_of_its_output_holds(reported):
    out, document, partial = reported
    names = set(document["files"])
    datasets = {
        f"datasets/{n}.{e}"
        for n in ("adsl", "adae", "adex", "adtr", "adrs", "adtte")
        for e in ("csv", "xpt", "json")
    }
    assert (
        datasets | {"trial.html", "trial.pdf", "datasets/define.xml", "conformance.csv", "conformance.json"}
        <= names
    )
    assert document["failed_rules"] == [] and document["not_reported"] == {} and not partial
    assert (out / "trial.pdf").read_bytes().startswith(b"%PDF")
    written = json.loads((out / "conformance.json").read_text())
    assert [rule["id"] for rule in written["rules"]] == sorted(
        (rule.rule_id for rule in read_rules()), key=lambda name: (name.partition("-")[0] in ADAM, name)
    )
    about = {rule["dataset"] for rule in written["rules"] if rule["status"] == "pass"}
    assert {
        "ADSL",
        "ADAE",
        "ADEX",
        "ADTR",
        "ADRS",
        "ADTTE",
        "DM",
        "EX",
        "AE",
        "LB",
        "DS",
        "TU",
        "TR",
        "RS",
    } <= about


@pytest.mark.requirement("E-report-response")
def test_best_response_and_its_exact_interval_rest_on_all_treated_subjects(trial, reported):
    out, document, _ = reported
    first_pd: dict[str, str] = {}
    responders = set()
    for row in sorted(trial["RS"], key=lambda row: row["RSDTC"]):
        if row["RSTESTCD"] == "OVRLRESP" and row["USUBJID"] not in first_pd:
            if row["RSSTRESC"] in ("CR", "PR"):
                responders.add(row["USUBJID"])
            if row["RSSTRESC"] == "PD":
                first_pd[row["USUBJID"]] = row["RSDTC"]
    exact = derive_interval(len(responders), SUBJECTS)
    page = (out / "trial.html").read_text()
    line = re.search(
        r"Objective response \(CR or PR\)</th><td>(.*?)</td>.*?percent</th><td>(.*?)</td>", page, re.S
    )
    assert line is not None
    assert line.group(1).split()[0] == str(len(responders))
    assert line.group(2) == f"{100 * exact.lower:.1f} to {100 * exact.upper:.1f}"
    assert f"All lesions (N = {SUBJECTS})" in page


@pytest.mark.requirement("E-report-response")
def test_the_sums_of_the_three_groups_add_up_to_that_of_all_lesions(reported):
    out, _, _ = reported
    sums: dict[tuple[str, str], dict[str, float]] = {}
    for row in read_csv(out / "datasets" / "adtr.csv"):
        if row["PARAMCD"] == "SDIAM" and row["ABLFL"] == "Y" and row["AVAL"]:
            sums.setdefault((row["USUBJID"], row["AVISITN"]), {})[row["GRPID"]] = float(row["AVAL"])
    assert len(sums) == SUBJECTS
    for found in sums.values():
        whole = found.pop("")
        assert sum(found.values()) == pytest.approx(whole, abs=1e-9)


@pytest.mark.requirement("E-report-words")
def test_a_simulated_trial_says_so_on_the_page_and_in_every_picture(reported):
    out, document, _ = reported
    page = (out / "trial.html").read_text()
    assert document["simulated"] and "Simulated data. No patient is behind any number" in page
    alts = re.findall(r'<img [^>]*alt="([^"]*)"', page)
    assert alts and all("Simulated data." in alt for alt in alts)
    assert "unverified" in page and "USUBJID as in the SDTM files" in page
    assert not re.search(r'(?:src|href)="(?:https?:)?//', page) and "<script" not in page


@pytest.mark.requirement("E-report-words")
def test_every_table_names_its_population_and_denominator(reported):
    out, _, _ = reported
    page = (out / "trial.html").read_text()
    ids = re.findall(r'<table class="report[^"]*" aria-describedby="([^"]+)"', page)
    assert len(ids) >= 9
    for name in ids:
        text = re.search(f'id="{name}">Population: (.+?)\\. (.+?)</p>', page, re.S)
        assert text is not None and len(text.group(2)) > 10


@pytest.mark.requirement("E-report-missing")
@pytest.mark.parametrize(
    ("gone", "table"), [("AE", "events"), ("EX", "dosing"), ("RS", None), ("TR", "waterfall"), ("LB", None)]
)
def test_what_was_never_given_is_not_reported_and_never_zero(trial, tmp_path, gone, table):
    left = {name: rows for name, rows in trial.items() if name not in (gone, f"SUPP{gone}")}
    document, partial = run_report(
        write_csv_folder(tmp_path / "data", left), tmp_path / "out", formats=("csv",)
    )
    said = document["not_reported"]
    assert not partial
    if table is None:
        assert said == {}
    else:
        assert gone in said[table] and said[table].startswith("not reported: no ")


def test_without_responses_and_lesions_response_is_not_reported(trial, tmp_path):
    left = {name: rows for name, rows in trial.items() if name not in ("RS", "TU", "TR")}
    document, _ = run_report(write_csv_folder(tmp_path / "data", left), tmp_path / "out", formats=("csv",))
    assert {"response", "forest", "waterfall", "spider"} <= set(document["not_reported"])


def test_responses_derived_where_none_were_recorded_are_those_that_were_recorded(trial, reported, tmp_path):
    left = {name: rows for name, rows in trial.items() if name != "RS"}
    run_report(write_csv_folder(tmp_path / "data", left), tmp_path / "out", formats=("csv",))

    def best(folder):
        rows = read_csv(folder / "datasets" / "adrs.csv")
        return {r["USUBJID"]: r["AVALC"] for r in rows if r["PARAMCD"] == "BOR" and not r["GRPID"]}

    assert best(tmp_path / "out") == best(reported[0])


@pytest.mark.requirement("E-report-formats")
@pytest.mark.parametrize("write", [write_xpt_folder, write_json_folder])
def test_transport_files_and_dataset_json_give_the_same_datasets_as_csv(trial, reported, tmp_path, write):
    document, partial = run_report(write(tmp_path / "data", trial), tmp_path / "out")
    assert not partial
    for name in ("adsl", "adae", "adex", "adtr", "adrs", "adtte"):
        ours = read_csv(tmp_path / "out" / "datasets" / f"{name}.csv")
        assert ours == read_csv(reported[0] / "datasets" / f"{name}.csv"), name


@pytest.mark.requirement("E-report-partial")
def test_bad_rows_are_named_by_dataset_row_and_column_and_good_subjects_stay(trial, tmp_path):
    rows = {name: [dict(row) for row in found] for name, found in trial.items()}
    rows["AE"][4]["AETOXGR"] = "9"
    rows["EX"][2]["EXDOSE"] = "plenty"
    overall = next(i for i, row in enumerate(rows["RS"]) if row["RSTESTCD"] == "OVRLRESP")
    rows["RS"][overall]["RSDTC"] = "not a date"
    document, partial = run_report(
        write_csv_folder(tmp_path / "data", rows), tmp_path / "out", formats=("csv",)
    )
    places = {(f["table"], f["row"], f["column"]) for f in document["findings"]}
    assert partial
    assert {("ae", 6, "AETOXGR"), ("ex", 4, "EXDOSE"), ("rs", overall + 2, "RSDTC")} <= places
    assert document["treated"] == SUBJECTS and document["left_out"] == {"rows": 2, "subjects": 0}
    times = read_csv(tmp_path / "out" / "datasets" / "adtte.csv")
    assert len({row["USUBJID"] for row in times}) == SUBJECTS - 1


def test_a_folder_without_demographics_or_with_a_dataset_twice_is_refused(trial, tmp_path):
    with pytest.raises(InputError, match="DM"):
        run_report(write_csv_folder(tmp_path / "one", {"AE": trial["AE"]}), tmp_path / "out")
    folder = write_csv_folder(tmp_path / "two", {"DM": trial["DM"], "AE": trial["AE"]})
    (folder / "again.csv").write_bytes(next(iter(sorted(folder.iterdir()))).read_bytes())
    with pytest.raises(InputError, match="one file of"):
        run_report(folder, tmp_path / "out")
    with pytest.raises(HepaticaError):
        run_report(tmp_path / "nowhere", tmp_path / "out")


def test_a_criterion_or_evaluator_that_the_tables_do_not_have_is_refused(trial, tmp_path):
    folder = write_csv_folder(tmp_path / "data", trial)
    with pytest.raises(UsageError, match="recist"):
        run_report(folder, tmp_path / "out", criterion=Criterion.IRECIST)
    with pytest.raises(UsageError, match="INVESTIGATOR"):
        run_report(folder, tmp_path / "out", evaluator="NOBODY")


@pytest.mark.requirement("E-report-replay")
def test_the_same_input_and_time_give_the_same_bytes(trial, reported, tmp_path):
    document, _ = run_report(write_csv_folder(tmp_path / "data", trial), tmp_path / "out")
    for name in document["files"]:
        if name.startswith(("datasets", "conformance")):
            assert (tmp_path / "out" / name).read_bytes() == (reported[0] / name).read_bytes(), name


@pytest.mark.requirement("E-define-xml")
def test_the_definition_names_every_dataset_and_variable_with_origin_method_and_values(reported):
    from odmlib.define_loader import XMLDefineLoader
    from odmlib.loader import ODMLoader

    out, _, _ = reported
    loader = ODMLoader(XMLDefineLoader(model_package="define_2_1", ns_uri="http://www.cdisc.org/ns/def/v2.1"))
    loader.open_odm_document(str(out / "datasets" / "define.xml"))
    version = loader.MetaDataVersion()
    items = {item.OID: item for item in version.ItemDef}
    assert {group.Name for group in version.ItemGroupDef} == {
        "ADSL",
        "ADAE",
        "ADEX",
        "ADTR",
        "ADRS",
        "ADTTE",
        "RS",
    }
    for group in version.ItemGroupDef:
        header = read_header(out / "datasets" / group.leaf.href)
        assert [items[ref.ItemOID].Name for ref in group.ItemRef] == list(header)
        assert all(items[ref.ItemOID].Origin for ref in group.ItemRef)
    methods = {method.OID for method in version.MethodDef}
    derived = [
        ref
        for group in version.ItemGroupDef
        for ref in group.ItemRef
        if items[ref.ItemOID].Origin[0].Type == "Derived"
    ]
    assert derived and all(ref.MethodOID in methods for ref in derived)
    values = {one.OID: len(one.ItemRef) for one in version.ValueListDef}
    assert values["VL.ADTTE.AVAL"] == 6 and values["VL.ADRS.AVALC"] == 6


@pytest.mark.requirement("E-define-xml")
def test_the_checks_of_odmlib_find_a_reference_that_leads_nowhere(reported):
    from trial_folders import RUN_TIME

    rows = read_csv(reported[0] / "datasets" / "adtte.csv")
    document = build_define({"adtte": rows}, file_format="xpt", study="S", run_time=RUN_TIME)
    assert check_define(document) == []
    document.Study.MetaDataVersion.ItemGroupDef[0].ItemRef[0].ItemOID = "IT.NOWHERE"
    assert any("IT.NOWHERE" in problem for problem in check_define(document))


def test_the_category_of_derived_groups_is_that_of_the_criterion(reported):
    rows = read_csv(reported[0] / "datasets" / "adrs.csv")
    groups = {
        name: {row["GRPID"] for row in rows if row["PARCAT1"] == name}
        for name in {r["PARCAT1"] for r in rows}
    }
    assert groups == {
        CATEGORY: {"", "INJECTED", "NON-INJECTED HEPATIC", "EXTRAHEPATIC"},
        "iRECIST": {""},
        "itRECIST-based": {"ALL", "NON-INJECTED", "INJECTED-A", "INJECTED-B", "INJECTED-C"},
    }
