"""Recorded against derived responses."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from hepatica.entrypoints.cli.main import app

TU = "USUBJID,TULNKID,TUTESTCD,TUSTRESC,TUEVALID,VISITNUM\n"
TR = "USUBJID,TRLNKID,TRTESTCD,TRSTRESN,TRSTRESU,TREVALID,VISITNUM,VISIT,TRDTC\n"
RS = "USUBJID,RSTESTCD,RSSTRESC,RSCAT,RSEVALID,VISITNUM,VISIT,RSDTC\n"


@pytest.fixture
def run(tmp_path: Path):
    def _run(sizes, recorded, *options):
        """Sizes by reader; recorded rows ``reader, test, code, category, visit``; visits are 2, 3, ..."""
        tu, tr = TU, TR
        for reader, values in sizes.items():
            tu += f"S1,T01,TUMIDENT,TARGET,{reader},1\n"
            for visit, size in enumerate(values, start=1):
                tr += f"S1,T01,LDIAM,{size},mm,{reader},{visit},VISIT {visit},2024-0{visit}-01\n"
        rs = RS + "".join(
            f"S1,{t},{c},{cat},{r},{v},VISIT {v},2024-0{v}-01\n" for r, t, c, cat, v in recorded
        )
        paths = {}
        for name, text in (("tu", tu), ("tr", tr), ("rs", rs)):
            paths[name] = tmp_path / f"{name}.csv"
            paths[name].write_text(text)
        out = tmp_path / "compared.csv"
        named = [str(part) for name, path in paths.items() for part in (f"--{name}", path)]
        result = CliRunner().invoke(
            app, ["response", "compare", *named, "--out", str(out), *options, "--json"]
        )
        assert result.exit_code in (0, 3), result.output
        with out.open() as stream:
            return result.exit_code, json.loads(result.stdout), list(csv.DictReader(stream))

    return _run


def overall(reader, *codes, category="RECIST 1.1"):
    return [(reader, "OVRLRESP", code, category, visit) for visit, code in enumerate(codes, start=2)]


@pytest.mark.requirement("D-compare")
def test_equal_responses_give_no_row_and_the_number_compared(run):
    code, document, rows = run({"R1": (50, 30, 20)}, overall("R1", "PR", "PR"))
    assert (code, rows) == (0, [])
    assert (document["compared"], document["agreements"], document["disagreements"]) == (2, 2, 0)
    assert document["not_compared"] == ["NEWLIND", "NEWLPROG", "NTRGRESP", "TRGRESP"]


@pytest.mark.requirement("D-compare")
def test_a_forgotten_nadir_is_named_with_both_reasons_and_who_is_later(run):
    recorded = overall("R1", "PR", "SD", "PD")
    recorded += [("R1", "TRGRESP", "SD", "RECIST 1.1", 3), ("R1", "NEWLIND", "N", "RECIST 1.1", 3)]
    code, document, rows = run({"R1": (50, 20, 30, 40)}, recorded)
    assert code == 0  # a disagreement is a result, not a failure
    found = {(r["VISITNUM"], r["RSTESTCD"]): r for r in rows if r["kind"] == "different"}
    assert set(found) == {("3", "TRGRESP"), ("3", "OVRLRESP")}
    row = found["3", "OVRLRESP"]
    assert (row["derived"], row["recorded"], row["later_progression"]) == ("PD", "SD", "recorded")
    assert "sum 30, baseline 50, nadir 20" in row["derived_reason"]
    assert "TRGRESP SD" in row["recorded_reason"]
    assert "agrees with its own components" in row["recorded_reason"]
    assert "2024-03-01" in row["recorded_reason"]
    assert {"derived": "PD", "recorded": "SD", "visits": 1} in document["confusion"]


@pytest.mark.requirement("D-compare")
def test_an_overall_response_that_contradicts_its_own_components_is_said(run):
    recorded = [
        *overall("R1", "SD"),
        ("R1", "TRGRESP", "PR", "RECIST 1.1", 2),
        ("R1", "NEWLIND", "N", "RECIST 1.1", 2),
    ]
    _, _, rows = run({"R1": (50, 30)}, recorded)
    (row,) = rows
    assert "differs from the PR of its own components" in row["recorded_reason"]


@pytest.mark.requirement("D-compare")
def test_missing_and_surplus_records_are_two_kinds_and_evaluators_are_kept_apart(run):
    recorded = [*overall("R1", "PR"), *overall("R2", "SD", "SD", "SD"), *overall("R9", "PD")]
    code, document, rows = run({"R1": (50, 30, 20), "R2": (50, 50, 50)}, recorded)
    assert code == 0
    found = [(r["RSEVALID"], r["VISITNUM"], r["kind"], r["derived"], r["recorded"]) for r in rows]
    assert found == [
        ("R1", "3", "not recorded", "PR", ""),
        ("R2", "4", "not derived", "", "SD"),
        ("R9", "2", "not derived", "", "PD"),
    ]
    assert document["by_kind"] == {"not recorded": 1, "not derived": 2}
    _, document, rows = run({"R1": (50, 30, 20), "R2": (50, 50, 50)}, recorded, "--evaluator", "R2")
    assert document["by_evaluator"] == {"R2": 1}


@pytest.mark.requirement("D-compare")
def test_records_of_another_criterion_are_passed_over(run):
    recorded = [*overall("R1", "iUPD", "iCPD", category="iRECIST"), *overall("R1", "PD", "PD")]
    _, document, rows = run({"R1": (50, 61, 70)}, recorded)
    assert (document["compared"], rows) == (2, [])
    _, document, rows = run({"R1": (50, 61, 70)}, recorded, "--criteria", "irecist")
    assert (document["compared"], rows) == (2, [])


@pytest.mark.requirement("D-compare")
def test_bad_records_are_named_and_make_the_outcome_partial(run):
    recorded = [*overall("R1", "PR"), *overall("R1", "SD"), ("R1", "OVRLRESP", "PR", "RECIST 1.1", "x")]
    code, document, rows = run({"R1": (50, 30)}, recorded)
    assert (code, rows) == (3, [])
    assert [(f["table"], f["row"]) for f in document["findings"]] == [("rs", 3), ("rs", 4)]
