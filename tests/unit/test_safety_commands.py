"""``hepatica grade`` end to end: CSV in, CSV out, bad rows named, good subjects kept, one JSON document."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from hepatica.core.errors import NotFoundError, NotSetError
from hepatica.entrypoints.cli.main import app
from hepatica.entrypoints.cli.visits import PARTIAL

LB = "USUBJID,LBTESTCD,LBSTRESN,LBSTRESU,LBSTNRLO,LBSTNRHI,LBDTC,VISITNUM,LBBLFL"
DM = "USUBJID,RFSTDTC\nS01,2024-03-01\nS02,2024-03-01\n"


class Bench:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.out = folder / "out.csv"

    def write(self, name: str, text: str) -> Path:
        path = self.folder / name
        path.write_text(text, encoding="utf-8")
        return path

    def run(self, *arguments: object):
        result = CliRunner().invoke(app, [str(p) for p in (*arguments, "--out", self.out, "--json")])
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result.exit_code, json.loads(result.stdout)

    def table(self) -> list[dict[str, str]]:
        with self.out.open(encoding="utf-8", newline="") as stream:
            return list(csv.DictReader(stream))


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def labs(bench, *rows, dm=True):
    lb = bench.write("lb.csv", "\n".join([LB, *rows]) + "\n")
    more = ("--dm", bench.write("dm.csv", DM)) if dm else ()
    return bench.run("grade", "labs", "--lb", lb, *more)


@pytest.mark.requirement("D-safety-labs")
def test_one_value_has_another_grade_with_normal_abnormal_and_no_baseline(bench):
    code, document = labs(
        bench,
        "S01,ALT,30,U/L,,40,2024-02-28,1,Y",
        "S01,ALT,240,U/L,,40,2024-03-05,2,",
        "S02,ALT,80,U/L,,40,2024-02-28,1,Y",
        "S02,ALT,240,U/L,,40,2024-03-05,2,",
        "S03,ALT,240,U/L,,40,2024-03-05,2,",
    )
    rows = bench.table()
    assert code == 0
    assert [(r["USUBJID"], r["GRADE"], r["BASEGRADE"], r["TRTEMFL"]) for r in rows] == [
        ("S01", "0", "0", "N"),
        ("S01", "3", "0", "Y"),
        ("S02", "0", "0", "N"),
        ("S02", "1", "0", "Y"),
        ("S03", "", "", ""),
    ]
    assert rows[3]["RULE"] == "multiples of the abnormal baseline" and rows[4]["REASON"].endswith(
        "no baseline value"
    )
    assert document["grades"] == {"0": 2, "1": 1, "3": 1, "cannot grade": 1}


@pytest.mark.requirement("D-safety-labs-baseline")
def test_without_a_flag_the_last_result_up_to_the_first_dose_is_the_baseline(bench):
    labs(
        bench,
        "S01,BILI,10,umol/L,,20,2024-02-01,1,",
        "S01,BILI,40,umol/L,,20,2024-03-01,2,",
        "S01,BILI,61,umol/L,,20,2024-03-08,3,",
    )
    assert [(r["BASE"], r["GRADE"]) for r in bench.table()] == [("40", "0"), ("40", "0"), ("40", "2")]
    labs(bench, "S01,BILI,10,umol/L,,20,2024-02-01,1,", "S01,BILI,61,umol/L,,20,2024-03-08,3,", dm=False)
    assert [r["GRADE"] for r in bench.table()] == ["0", ""]


@pytest.mark.requirement("D-safety-labs-baseline")
def test_two_unflagged_results_of_the_baseline_day_that_differ_are_no_baseline(bench):
    _, document = labs(
        bench,
        "S01,ALT,30,U/L,,40,2024-03-01,1,",
        "S01,ALT,90,U/L,,40,2024-03-01,1,",
        "S01,ALT,240,U/L,,40,2024-03-05,2,",
    )
    assert bench.table()[-1]["GRADE"] == ""
    assert [f["column"] for f in document["findings"]] == ["LBDTC"]


@pytest.mark.requirement("D-safety-labs-units")
def test_units_are_converted_by_name_and_unknown_ones_leave_the_row_without_a_grade(bench):
    code, document = labs(
        bench,
        "S01,HGB,9.9,g/dL,13,17,2024-03-05,2,",
        "S01,HGB,99,g/L,130,170,2024-03-06,2,",
        "S01,HGB,6.1,mmol/L,8,10,2024-03-07,2,",
        "S01,PLAT,49000,/uL,150000,400000,2024-03-05,2,",
        "S01,GLUC,5,mmol/L,4,6,2024-03-05,2,",
    )
    found = {(r["LBTESTCD"], r["LBSTRESU"]): (r["GRADE"], r["REASON"]) for r in bench.table()}
    assert code == 0
    assert found["HGB", "g/dL"][0] == found["HGB", "g/L"][0] == "2"
    assert found["HGB", "mmol/L"] == ("", "the unit is not known")
    assert found["PLAT", "/uL"][0] == "3"
    assert "does not have" in found["GLUC", "mmol/L"][1]
    assert [(f["row"], f["column"], f["severity"]) for f in document["findings"]] == [
        (4, "LBSTRESU", "warning")
    ]


@pytest.mark.requirement("D-safety-bad-rows")
def test_bad_laboratory_rows_are_named_and_good_subjects_kept(bench):
    code, document = labs(
        bench,
        "S01,ALT,30,U/L,,40,2024-02-28,1,Y",
        "S02,ALT,-3,U/L,,40,2024-02-28,1,Y",
        "S03,ALT,30,U/L,,40,28/02/2024,1,Y",
        "S04,ALT,30,U/L,,40,2024-02-27,1,Y",
        "S04,ALT,30,U/L,,40,2024-02-28,1,Y",
        "S05,BILI,1,mg/dL,,1.2,2024-02-27,1,Y",
        "S05,BILI,40,umol/L,,20,2024-03-28,1,",
        "S06,ALT,many,U/L,,40,2024-02-28,1,Y",
    )
    assert code == PARTIAL
    assert {row["USUBJID"] for row in bench.table()} == {"S01"}
    assert [(f["row"], f["column"]) for f in document["findings"]] == [
        (3, "LBSTRESN"),
        (4, "LBDTC"),
        (6, "LBBLFL"),
        (8, "LBSTRESU"),
        (9, "LBSTRESN"),
    ]


@pytest.mark.requirement("D-safety-permutation")
def test_laboratory_rows_in_another_order_give_the_same_bytes(bench):
    rows = [
        "S02,ALT,80,U/L,,40,2024-02-28,1,Y",
        "S01,PLAT,60,10^9/L,150,400,2024-03-05,2,",
        "S02,ALT,240,U/L,,40,2024-03-05,2,",
        "S01,PLAT,90,10^9/L,150,400,2024-03-09,3,",
    ]
    labs(bench, *rows)
    first = bench.out.read_bytes()
    labs(bench, *rows[::-1])
    assert bench.out.read_bytes() == first


AE = "USUBJID,AEDECOD,AETOXGR,AESTDTC,AEENDTC,AESER,AEREL,AERELPR,COMPLICATION,AWARE,REPORTED,CRS_TEMPERATURE,CRS_HYPOTENSION,CRS_VASOPRESSORS,CRS_OXYGEN"


def events(bench, *rows, options=()):
    ae = bench.write("ae.csv", "\n".join([AE, *rows]) + "\n")
    dm = bench.write("dm.csv", DM)
    named = ("--crs", "astct-2019", "--complications", "cirse-2017", "--now", "2024-03-20T12:00+00:00")
    return bench.run("grade", "events", "--ae", ae, "--dm", dm, *(options or named))


@pytest.mark.requirement("D-safety-events")
def test_events_are_held_against_term_causes_days_and_scales(bench):
    code, document = events(
        bench,
        "S01,Fatigue,4,2024-03-02,,N,POSSIBLY RELATED,N,,,,,,,",
        "S01,INR increased,4,2024-02-20,,N,N,N,,,,,,,",
        "S01,Cytokine release syndrome,3,2024-03-03,2024-03-05,N,DEFINITE,UNLIKELY,,,,39.5,Y,1,low flow",
        "S02,Intra-abdominal hemorrhage,3,2024-03-01,,Y,N,DEFINITE,3,2024-03-01T10:00+01:00,,,,,",
    )
    rows = {row["AEDECOD"]: row for row in bench.table()}
    assert code == 0, document["findings"]
    fatigue, inr, crs, bleed = (
        rows[name]
        for name in ("Fatigue", "INR increased", "Cytokine release syndrome", "Intra-abdominal hemorrhage")
    )
    assert (fatigue["GRADE_EXISTS"], fatigue["CAUSE"], fatigue["TRTEMFL"], fatigue["ASTDY"]) == (
        "N",
        "agent",
        "Y",
        "2",
    )
    assert "unverified" in fatigue["REASON"]
    assert (inr["GRADE_EXISTS"], inr["TRTEMFL"], inr["ASTDY"], inr["CAUSE"]) == ("N", "N", "-10", "neither")
    assert (crs["CRS_SCALE"], crs["CRS_GRADE"]) == ("ASTCT 2019", "3")
    assert (bleed["CAUSE"], bleed["COMPLICATION_SCALE"], bleed["COMPLICATION_GRADE"]) == (
        "procedure",
        "CIRSE 2017",
        "3",
    )
    assert (bleed["REPORT"], bleed["REPORT_DUE"]) == ("late", "2024-03-02T10:00+01:00")
    assert {f["rule"] for f in document["findings"]} == {"safety.grade_not_in_term", "events.report_overdue"}


@pytest.mark.requirement("D-safety-bad-rows")
def test_bad_events_are_named_and_good_subjects_kept(bench):
    code, document = events(
        bench,
        "S01,Fever,1,2024-03-02,,N,Y,N,,,,,,,",
        "S02,Fever,6,2024-03-02,,N,Y,N,,,,,,,",
        "S03,Fever,1,2024-03-02,2024-03-01,N,Y,N,,,,,,,",
        "S04,Fever,1,2024-03-02,,N,weather,N,,,,,,,",
        "S05,Fever,1,2024-03-02,,N,Y,N,1a,,,,,,",
        "S06,Fever,1,2024-03-02,,Y,Y,N,,2024-03-02T10:00,,,,,",
    )
    assert code == PARTIAL and {row["USUBJID"] for row in bench.table()} == {"S01"}
    assert [(f["row"], f["column"]) for f in document["findings"]] == [
        (3, "AETOXGR"),
        (4, "AEENDTC"),
        (5, "AEREL"),
        (6, "COMPLICATION"),
        (7, "serious event"),
    ]
    assert not any(f"S0{n}" in f["message"] for f in document["findings"] for n in range(1, 7))


@pytest.mark.requirement("D-safety-crs-named")
def test_scales_are_picked_by_name_and_unknown_names_refused(bench):
    for option in ("--crs", "--complications"):
        with pytest.raises(NotFoundError):
            events(bench, "S01,Fever,1,2024-03-02,,N,Y,N,,,,,,,", options=(option, "own"))


PATIENTS = """subject,dose,first_dose,off_study,injections
S01,1,2024-01-01,,1
S02,1,2024-01-01,,1
S03,2,2024-01-01,,1
S04,2,2024-02-20,,1
S05,2,2024-01-01,2024-01-10,1
S06,2,2024-02-01,,1
"""
TOXIC = """USUBJID,AEDECOD,AETOXGR,AESTDTC,AEENDTC,AEREL,AERELPR
S01,Abdominal pain,3,2024-01-05,2024-01-09,N,DEFINITE
S02,Fatigue,2,2024-01-05,,Y,N
S03,Fever,3,2024-01-09,,,
"""
ANSWERS = ("--set", "attribution=agent or procedure", "--set", "evaluable.replace=true")


def toxicity(bench, *options, patients=PATIENTS, toxic=TOXIC, name="pv10-liver"):
    given = ("--patients", bench.write("patients.csv", patients), "--ae", bench.write("ae.csv", toxic))
    return bench.run("grade", "dlt", "--definition", name, *given, "--as-of", "2024-03-05", *options)


@pytest.mark.requirement("D-dlt-command")
def test_every_patient_stands_with_the_columns_of_the_designs(bench):
    code, document = toxicity(bench, *ANSWERS)
    assert code == 0
    rows = bench.table()
    assert [
        (r["subject"], r["dlt"], r["follow_up"], r["window"], r["evaluable"], r["state"]) for r in rows
    ] == [
        ("S01", "1", "29", "29", "1", "dlt"),
        ("S02", "0", "29", "29", "1", "no dlt"),
        ("S03", "0", "8", "29", "1", "undecided"),
        ("S04", "0", "14", "29", "1", "pending"),
        ("S05", "0", "9", "29", "0", "not evaluable"),
        ("S06", "0", "29", "29", "1", "no dlt"),
    ]
    assert (rows[0]["term"], rows[0]["cause"]) == ("abdominal pain", "procedure")
    assert rows[3]["closes_on"] == "2024-03-19"
    assert [item["subject"] for item in document["pending"]] == ["S03", "S04"]
    assert "related" in {item["key"] for item in document["unverified"]}


@pytest.mark.requirement("D-dlt-next-dose")
def test_the_table_feeds_the_dose_finding_designs(bench):
    toxicity(bench, *ANSWERS)
    out = CliRunner().invoke(
        app,
        [
            "trial",
            "next-dose",
            "tite-boin",
            "--doses",
            "3",
            "--target",
            "0.3",
            "--patients",
            str(bench.out),
            "--json",
        ],
    )
    assert out.exit_code == 0, out.stdout
    from hepatica.trials.dose_levels import read_patients

    data = read_patients(bench.table())
    assert [(p.dose, p.dlt, p.pending, p.evaluable) for p in data.patients] == [
        (1, True, False, True),
        (1, False, False, True),
        (2, False, True, True),
        (2, False, True, True),
        (2, False, True, False),
        (2, False, False, True),
    ]


@pytest.mark.requirement("D-dlt-not-set")
def test_what_a_definition_leaves_open_is_asked_for_before_anything_is_written(bench):
    with pytest.raises(NotSetError) as caught:
        toxicity(bench)
    assert "--set attribution" in str(caught.value) and not bench.out.exists()
    with pytest.raises(NotSetError) as caught:
        toxicity(bench, "--set", "attribution=any")
    assert "evaluable.replace" in str(caught.value) and not bench.out.exists()
    with pytest.raises(NotSetError) as caught:
        toxicity(bench, *ANSWERS, name="tvec-liver")
    assert "window" in str(caught.value) and "criteria.grade.grade_min" in str(caught.value)


@pytest.mark.requirement("D-safety-bad-rows")
def test_bad_patients_and_events_are_named_and_good_patients_kept(bench):
    patients = PATIENTS + "S07,0,2024-01-01,,\nS08,1,2024-01,,\nS09,1,2024-04-01,,\nS02,1,2024-01-01,,\n"
    toxic = TOXIC + "S06,Fever,9,2024-02-05,,Y,N\nS77,Fever,3,2024-02-05,,Y,N\n"
    code, document = toxicity(bench, *ANSWERS, patients=patients, toxic=toxic)
    assert code == PARTIAL
    assert [row["subject"] for row in bench.table()] == ["S01", "S03", "S04", "S05"]
    errors = [(f["table"], f["row"], f["column"]) for f in document["findings"] if f["severity"] == "error"]
    assert errors == [
        ("ae", 5, "AETOXGR"),
        ("ae", 6, "USUBJID"),
        ("patients", 8, "dose"),
        ("patients", 9, "first_dose"),
        ("patients", 10, "first_dose"),
        ("patients", 11, "subject"),
    ]


LOG = """subject,record,date,place,person,result,actions
S01,lesion,2024-03-01,lip,,,dressing
S01,swab,2024-03-02,lip,,negative,
S02,lesion,2024-03-01,hand,,,dressing
S02,contact,2024-03-01,needle stick,staff,,washed
S03,contact,2024-03-01,splash,Jane Doe,,washed
"""


@pytest.mark.requirement("D-safety-exposure")
def test_the_exposure_log_says_which_swab_is_overdue(bench):
    log = bench.write("log.csv", LOG)
    code, document = bench.run("grade", "exposure", "--log", log, "--as-of", "2024-03-05")
    assert (code, document["partial"]) == (PARTIAL, True), "a name in place of a role is a bad row"
    assert [(r["subject"], r["swab_due"], r["state"]) for r in bench.table()] == [
        ("S01", "2024-03-04", "in time"),
        ("S02", "2024-03-04", "overdue"),
    ]
    assert [(f["rule"], f["row"]) for f in document["findings"]] == [
        ("exposure.swab_overdue", 4),
        ("exposure.row", 6),
    ]
    assert "Doe" not in json.dumps(document)
    code, _ = bench.run("grade", "exposure", "--log", bench.write("log.csv", LOG.rsplit("S03", 1)[0]))
    assert code == 0


@pytest.mark.requirement("D-safety-labs-baseline")
def test_whether_a_baseline_is_abnormal_is_told_by_the_limit_of_its_own_laboratory(bench):
    labs(bench, "S01,ALT,50,U/L,,60,2024-02-28,1,Y", "S01,ALT,140,U/L,,40,2024-03-05,2,")
    assert [(r["GRADE"], r["RULE"]) for r in bench.table()] == [
        ("0", "within normal"),
        ("2", "multiples of normal"),
    ]


@pytest.mark.requirement("D-safety-bad-rows")
def test_limits_of_normal_in_the_wrong_order_are_a_bad_row(bench):
    code, document = labs(
        bench,
        "S01,ALT,50,U/L,60,40,2024-02-01,1,Y",
        "S02,ALT,50,U/L,10,40,2024-02-01,1,Y",
    )
    assert (code, document["subjects"]) == (PARTIAL, 1)
    assert [(f["row"], f["column"]) for f in document["findings"] if f["severity"] == "error"] == [
        (2, "LBSTNRLO")
    ]
