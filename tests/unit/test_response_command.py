"""The response commands end to end: tables in, tables out, bad rows named, good subjects kept."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from hepatica.adapters.cdisc.csv_table import write_table
from hepatica.core.errors import InputError, NotFoundError, OutputError, SourceFormatError
from hepatica.entrypoints.cli.response import PARTIAL, response_app

TU_COLUMNS = "STUDYID,USUBJID,TULNKID,TUTESTCD,TUSTRESC,TULOC,TUEVAL,TUEVALID,VISITNUM,VISIT,TUDTC"
TR_COLUMNS = (
    "STUDYID,USUBJID,TRLNKID,TRTESTCD,TRORRES,TRSTRESC,TRSTRESN,TRSTRESU,TRSTAT,TRREASND,TREVAL,TREVALID,"
    "VISITNUM,VISIT,TRDTC"
)
DATES = {1: "2024-01-02", 2: "2024-02-13", 3: "2024-03-26", 4: "2024-05-07"}
INVESTIGATOR = ("INVESTIGATOR", "")
READER = ("INDEPENDENT ASSESSOR", "READER 1")


def tu(lesion, code, visit=1, *, subject="S1", location="LIVER", who=INVESTIGATOR, test="TUMIDENT"):
    row = ("X", subject, lesion, test, code, location, *who, visit, f"VISIT {visit}", DATES[visit])
    return ",".join(map(str, row))


def tr(lesion, visit, value, *, subject="S1", test="LDIAM", unit="mm", who=INVESTIGATOR, **more):
    number = isinstance(value, int | float)
    date = more.get("date", DATES[visit])
    sized = (value, unit) if number else ("", "")
    done = (more.get("status", ""), more.get("reason", ""))
    place = (more.get("number", visit), f"VISIT {visit}", date)
    row = ("X", subject, lesion, test, more.get("original", value), value, *sized, *done, *who, *place)
    return ",".join(map(str, row))


def series(lesion, *values, **more):
    return [tr(lesion, visit, value, **more) for visit, value in enumerate(values, start=1)]


class Bench:
    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def write(self, name: str, header: str, rows: list[str]) -> Path:
        path = self.folder / name
        path.write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")
        return path

    def run(self, *arguments: object):
        result = CliRunner().invoke(response_app, [str(part) for part in (*arguments, "--json")])
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result.exit_code, json.loads(result.stdout)

    def derive(self, lesions: list[str], results: list[str], *options: object, criteria: str = "recist-1.1"):
        tables = self.write("tu.csv", TU_COLUMNS, lesions), self.write("tr.csv", TR_COLUMNS, results)
        out = self.folder / f"out{len(list(self.folder.iterdir()))}"
        named = ("--tu", tables[0], "--tr", tables[1], "--criteria", criteria, "--out", out)
        code, document = self.run("derive", *named, *options)
        return code, document, out

    def table(self, path: Path) -> list[dict[str, str]]:
        with path.open(encoding="utf-8", newline="") as stream:
            return list(csv.DictReader(stream))

    def codes(self, out: Path, test: str = "OVRLRESP", **where: str) -> list[str]:
        rows = self.table(out / "rs.csv")
        return [
            r["RSSTRESC"] for r in rows if r["RSTESTCD"] == test and all(r[k] == v for k, v in where.items())
        ]


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


LESIONS = [
    tu("T01", "TARGET"),
    tu("T02", "TARGET", location="LYMPH NODE"),
    tu("NT01", "NON-TARGET", location="LUNG"),
]
RESULTS = [
    *series("T01", 40, 20, 0, 0),
    *series("T02", 20, 16, 9, 9, test="LPERP"),
    *series("NT01", "PRESENT", "PRESENT", "ABSENT", "ABSENT", test="TUMSTATE"),
]


@pytest.mark.requirement("D-derive-tables")
def test_derive_writes_components_and_overall_for_every_visit_after_baseline(bench):
    code, document, out = bench.derive(LESIONS, RESULTS)
    assert (code, document["partial"]) == (0, False)
    assert bench.codes(out, "TRGRESP") == ["PR", "CR", "CR"]
    assert bench.codes(out, "NTRGRESP") == ["NON-CR/NON-PD", "CR", "CR"]
    assert bench.codes(out, "NEWLIND") == ["N", "N", "N"]
    assert bench.codes(out) == ["PR", "CR", "CR"]
    assert sorted(path.name for path in out.iterdir()) == [
        "adtr.csv",
        "manifest.json",
        "rs.csv",
        "trail.jsonl",
    ]


@pytest.mark.requirement("D-derive-verbatim")
def test_visit_evaluator_and_partial_dates_are_repeated_verbatim(bench):
    results = [tr("T01", 1, 40), tr("T01", 2, 20, date="2024-02", number="2.10", who=INVESTIGATOR)]
    _, _, out = bench.derive([tu("T01", "TARGET")], results)
    row = bench.table(out / "rs.csv")[-1]
    kept = {k: row[k] for k in ("VISIT", "VISITNUM", "RSEVAL", "RSEVALID", "RSDTC", "RSCAT")}
    assert kept == {
        "VISIT": "VISIT 2",
        "VISITNUM": "2.10",
        "RSEVAL": "INVESTIGATOR",
        "RSEVALID": "",
        "RSDTC": "2024-02",
        "RSCAT": "RECIST 1.1",
    }


@pytest.mark.requirement("D-derive-sums")
def test_sums_are_recomputed_with_baseline_nadir_and_changes(bench):
    recorded = [*RESULTS, *series("", 999, 999, 999, 999, test="SUMDIAM")]
    _, _, out = bench.derive(LESIONS, recorded)
    rows = bench.table(out / "adtr.csv")
    assert [row["AVAL"] for row in rows] == ["60", "36", "9", "9"]
    assert [row["ABLFL"] for row in rows] == ["Y", "", "", ""]
    assert [row["PCHG"] for row in rows] == ["0", "-40", "-85", "-85"]
    assert [row["NADIR"] for row in rows] == ["", "60", "36", "9"]


@pytest.mark.requirement("D-derive-sizes")
def test_nodes_use_the_short_axis_and_diameter_wins_where_present(bench):
    lesions = [tu("T01", "TARGET"), tu("T02", "TARGET", location="LYMPH NODE")]
    results = [
        *series("T01", 50, 50),
        *series("T01", 30, 30, test="DIAMETER"),
        *series("T02", 40, 40),
        *series("T02", 18, 9, test="LPERP"),
    ]
    _, _, out = bench.derive(lesions, results)
    assert [row["AVAL"] for row in bench.table(out / "adtr.csv")] == ["48", "39"]


@pytest.mark.requirement("D-derive-evaluators")
def test_evaluators_are_derived_apart_and_their_nadirs_never_mix(bench):
    lesions = [tu("T01", "TARGET"), tu("T01", "TARGET", who=READER)]
    results = [*series("T01", 50, 20, 30), *series("T01", 50, 50, 50, who=READER)]
    _, _, out = bench.derive(lesions, results)
    assert bench.codes(out, RSEVAL="INVESTIGATOR") == ["PR", "PD"]
    assert bench.codes(out, RSEVALID="READER 1") == ["SD", "SD"]
    _, _, alone = bench.derive(lesions, results, "--evaluator", "READER 1")
    assert bench.codes(alone) == ["SD", "SD"]
    with pytest.raises(NotFoundError, match="READER 1"):
        bench.derive(lesions, results, "--evaluator", "NOBODY")


@pytest.mark.requirement("D-derive-missing")
def test_missing_not_done_merged_split_and_too_small_are_read(bench):
    lesions = [tu("T01", "TARGET"), tu("T02", "TARGET"), tu("T03", "TARGET", location="LUNG")]
    results = [
        *series("T01", 30, 30, ""),
        *series("T02", 20, 20, ""),
        *series("T03", 20, 20, 20),
        tr("T01", 4, "", status="NOT DONE", reason="TUMOR MERGED"),
        tr("T02", 4, "", status="NOT DONE", reason="TUMOR MERGED"),
        tr("T01/T02", 4, 20),
        tr("T03", 4, "", original="TOO SMALL TO MEASURE"),
    ]
    _, _, out = bench.derive(lesions, results)
    assert bench.codes(out, "TRGRESP") == ["SD", "NE", "PR"]
    assert bench.table(out / "adtr.csv")[-1]["AVAL"] == "25"
    split = [*series("T01", 40), tr("T01.1", 2, 12), tr("T01.2", 2, 9)]
    _, _, out = bench.derive([tu("T01", "TARGET")], split)
    assert bench.codes(out) == ["PR"]


@pytest.mark.requirement("D-derive-missing")
def test_the_na_of_statistical_packages_is_a_blank(bench):
    empty = "X,S1,T01,LDIAM,NA,NA,NA,NA,NA,NA,INVESTIGATOR,,2,VISIT 2,NA"
    code, document, out = bench.derive([tu("T01", "TARGET")], [tr("T01", 1, 40), empty])
    assert (code, document["findings"]) == (0, [])
    assert bench.codes(out) == ["NE"]


@pytest.mark.requirement("D-derive-missing")
def test_a_baseline_target_without_a_row_is_missing_not_zero(bench):
    lesions = [tu("T01", "TARGET"), tu("T02", "TARGET", location="LUNG")]
    _, _, out = bench.derive(lesions, [*series("T01", 60), *series("T02", 20, 20)])
    assert bench.codes(out) == ["NE"]


@pytest.mark.requirement("D-derive-new")
def test_a_new_lesion_counts_unless_it_is_equivocal(bench):
    lesions = [tu("T01", "TARGET"), tu("NEW01", "NEW", 2)]
    results = series("T01", 40, 40, 40)
    _, _, out = bench.derive(lesions, [*results, tr("NEW01", 2, "PRESENT", test="TUMSTATE")])
    assert (bench.codes(out), bench.codes(out, "NEWLIND")) == (["PD", "PD"], ["Y", "Y"])
    doubt = [tr("NEW01", 2, "EQUIVOCAL", test="NEWLPROG"), tr("NEW01", 3, "UNEQUIVOCAL", test="NEWLPROG")]
    _, _, out = bench.derive(lesions, [*results, *doubt[:1]])
    assert bench.codes(out) == ["SD", "SD"]
    assert bench.codes(out, "NEWLPROG") == ["EQUIVOCAL", "EQUIVOCAL"]
    _, _, out = bench.derive(lesions, [*results, doubt[0], tr("NEW01", 3, "UNEQUIVOCAL", test="TUMSTATE")])
    assert bench.codes(out) == ["SD", "PD"]


@pytest.mark.requirement("D-derive-new")
def test_equivocal_said_of_the_visit_holds_for_the_lesions_first_seen_there(bench):
    lesions = [tu("T01", "TARGET"), tu("NEW01", "NEW", 2)]
    _, _, out = bench.derive(lesions, [*series("T01", 40, 40), tr("", 2, "EQUIVOCAL", test="NEWLPROG")])
    assert bench.codes(out) == ["SD"]


@pytest.mark.requirement("D-derive-verbatim")
def test_the_words_of_the_results_come_before_those_of_the_lesions(bench):
    new = "X,S1,NEW01,TUMIDENT,NEW,LIVER,INVESTIGATOR,,2.0,SECOND,2024-02-28"
    _, _, out = bench.derive([tu("T01", "TARGET"), new], series("T01", 40, 40))
    row = bench.table(out / "rs.csv")[-1]
    assert (row["VISITNUM"], row["VISIT"], row["RSDTC"]) == ("2", "VISIT 2", DATES[2])


@pytest.mark.requirement("D-derive-new")
def test_a_visit_known_only_from_a_new_lesion_is_a_visit(bench):
    _, _, out = bench.derive([tu("T01", "TARGET"), tu("NEW01", "NEW", 3)], series("T01", 40, 40))
    assert bench.codes(out) == ["SD", "PD"]
    assert bench.table(out / "rs.csv")[-1]["RSDTC"] == DATES[3]


BAD = {
    "unknown role": ([tu("T09", "TARGTE", subject="S2")], [], "tu", "TUSTRESC"),
    "unknown test": ([], [tr("T01", 2, 30, subject="S2", test="LDAIM")], "tr", "TRTESTCD"),
    "unknown state": ([], [tr("T01", 2, "GONE", subject="S2", test="TUMSTATE")], "tr", "TRSTRESC"),
    "duplicate visit": (
        [],
        [tr("T01", 2, 30, subject="S2"), tr("T01", 2, 31, subject="S2")],
        "tr",
        "VISITNUM",
    ),
    "negative size": ([], [tr("T01", 2, -3, subject="S2")], "tr", "TRSTRESN"),
    "two baselines": ([tu("T02", "TARGET", 2, subject="S2")], [], "tu", "VISITNUM"),
    "named twice": ([tu("T01", "NON-TARGET", subject="S2")], [], "tu", "TULNKID"),
    "size beyond a body": ([], [tr("T01", 2, 1e308, subject="S2")], "tr", "TRSTRESN"),
    "mixed units": ([], [tr("T01", 2, 3.0, subject="S2", unit="cm")], "tr", "TRSTRESU"),
    "unknown unit": ([], [tr("T01", 2, 3.0, subject="S2", unit="inch")], "tr", "TRSTRESU"),
    "unknown lesion": ([], [tr("T77", 2, 30, subject="S2")], "tr", "TRLNKID"),
    "bad visit number": ([], [tr("T01", 2, 30, subject="S2", number="two")], "tr", "VISITNUM"),
    "bad date": ([], [tr("T01", 2, 30, subject="S2", date="13/02/2024")], "tr", "TRDTC"),
}


@pytest.mark.requirement("D-bad-rows")
@pytest.mark.parametrize("kind", BAD)
def test_a_bad_row_is_named_with_row_and_column_and_good_subjects_are_still_derived(bench, kind):
    lesions, results, table, column = BAD[kind]
    lesions = [tu("T01", "TARGET"), tu("T01", "TARGET", subject="S2"), *lesions]
    results = [*series("T01", 40, 20), *series("T01", 40, subject="S2"), *results]
    code, document, out = bench.derive(lesions, results)
    assert (code, document["partial"]) == (PARTIAL, True)
    errors = [finding for finding in document["findings"] if finding["severity"] == "error"]
    assert [(e["table"], e["column"]) for e in errors][:1] == [(table, column)]
    assert errors[0]["row"] == (len(lesions) if table == "tu" else len(results)) + 1
    assert bench.codes(out, USUBJID="S1") == ["PR"]
    assert bench.codes(out, USUBJID="S2") == []
    assert "S2" not in json.dumps(document["findings"])


@pytest.mark.requirement("D-bad-rows")
def test_a_quotation_mark_left_open_is_refused_and_swallows_no_subject(bench):
    results = [
        *series("T01", 40, 20),
        tr("T01", 3, 20, status='"NOT DONE'),
        *series("T01", 40, 60, subject="S2"),
    ]
    with pytest.raises(SourceFormatError, match="comma separated"):
        bench.derive([tu("T01", "TARGET"), tu("T01", "TARGET", subject="S2")], results)


@pytest.mark.requirement("D-bad-rows")
def test_a_row_of_another_length_and_a_table_without_a_column_are_named(bench):
    code, document, out = bench.derive([tu("T01", "TARGET")], [*series("T01", 40, 20), "X,S1"])
    assert (code, document["findings"][0]["row"]) == (PARTIAL, 4)
    assert bench.codes(out) == ["PR"]
    lesions = bench.write("bad.csv", "USUBJID,TULNKID", ["S1,T01"])
    with pytest.raises(InputError, match="VISITNUM"):
        bench.run(
            "derive",
            "--tu",
            lesions,
            "--tr",
            lesions,
            "--criteria",
            "recist-1.1",
            "--out",
            bench.folder / "o",
        )
    assert not (bench.folder / "o").exists()


@pytest.mark.requirement("D-eligibility")
def test_eligibility_at_baseline_gives_findings_never_an_exclusion(bench):
    lesions = [tu(f"T0{n}", "TARGET") for n in (1, 2, 3)]
    results = [*series("T01", 40, 40), *series("T02", 9, 9), *series("T03", 20, 20)]
    code, document, out = bench.derive(lesions, results)
    assert code == 0
    assert {finding["rule"] for finding in document["findings"]} == {
        "response.targets_per_organ",
        "response.target_small",
    }
    assert bench.codes(out) == ["SD"]


@pytest.mark.requirement("D-derive-irecist")
def test_irecist_codes_and_the_parallel_recist_code_in_the_trail(bench):
    _, _, out = bench.derive([tu("T01", "TARGET")], series("T01", 40, 50, 55), criteria="irecist")
    assert bench.codes(out) == ["iUPD", "iCPD"]
    assert bench.codes(out, "TRGRESP") == ["iUPD", "iUPD"]
    trail = [json.loads(line) for line in (out / "trail.jsonl").read_text().splitlines()]
    assert [entry["recist_1_1"] for entry in trail] == ["PD", "PD"]
    assert trail[1]["late_confirmation"] is False


@pytest.mark.requirement("D-derive-itrecist")
@pytest.mark.parametrize("source", ["ex", "injections"])
def test_itrecist_groups_from_exposure_or_a_table_of_injections(bench, source):
    lesions = [tu("T01", "TARGET"), tu("T02", "TARGET")]
    results = [*series("T01", 50, 30, 20), *series("T02", 50, 62, 70)]
    exposure = ["S1,V,T01,2024-01-03", "S1,P,,2024-01-03"]
    tables = {
        "ex": ("--ex", bench.write("ex.csv", "USUBJID,EXTRT,EXLNKID,EXSTDTC", exposure)),
        "injections": ("--injections", bench.write("in.csv", "subject,lesion,date", ["S1,T01,2024-01-03"])),
    }
    _, _, out = bench.derive(lesions, results, *tables[source], criteria="itrecist")
    assert bench.codes(out, RSGRPID="ALL") == ["SD", "SD"]
    assert bench.codes(out, RSGRPID="NON-INJECTED") == ["PD", "PD"]
    assert bench.codes(out, RSGRPID="INJECTED-A") == ["PR", "PR"]
    assert bench.codes(out, RSGRPID="INJECTED-C") == ["PR"]
    said = {row["RSGRPID"] for row in bench.table(out / "rs.csv") if row["RSTESTCD"] == "NEWLIND"}
    assert said == {"ALL", "NON-INJECTED"}  # new lesions do not count among the injected ones
    assert {row["RSCAT"] for row in bench.table(out / "rs.csv")} == {"itRECIST-based"}
    trail = [json.loads(line) for line in (out / "trail.jsonl").read_text().splitlines()]
    assert [e["overall"] for e in trail if e["group"] == "INJECTED-C"] == ["PR", "not applicable"]


@pytest.mark.requirement("D-derive-mrecist")
def test_mrecist_takes_viable_diameters_of_liver_lesions_only(bench):
    results = [*series("T01", 40, 40, 40), *series("T01", 30, 20, "", test="VDIAM")]
    _, _, out = bench.derive([tu("T01", "TARGET")], results, criteria="mrecist")
    assert bench.codes(out) == ["PR", "NE"]
    assert bench.table(out / "adtr.csv")[0]["PARAMCD"] == "SVDIAM"


@pytest.mark.requirement("D-derive-volumetric")
def test_volumes_are_read_in_one_unit_and_summed_in_mm3(bench):
    results = series("T01", 10, 3.43, test="VOLUME", unit="mL")
    _, _, out = bench.derive([tu("T01", "TARGET")], results, criteria="volumetric")
    assert bench.codes(out) == ["PR"]
    assert [row["AVAL"] for row in bench.table(out / "adtr.csv")] == ["10000", "3430"]


@pytest.mark.requirement("D-trail")
def test_every_verdict_has_a_trail_with_rule_numbers_lesions_settings_and_noise(bench):
    _, _, out = bench.derive([tu("T01", "TARGET")], series("T01", 100, 80, 90), "--continuing-pr")
    last = json.loads((out / "trail.jsonl").read_text().splitlines()[-1])
    assert last["settings"]["continuing_pr"] is True
    numbers = last["numbers"]
    assert (numbers["rule"], numbers["baseline"], numbers["nadir"], numbers["sum"]) == ("stable", 100, 80, 90)
    assert (numbers["above_response_limit"], numbers["below_progression_limit"]) == (20, 6)
    assert numbers["lesions"] == {"T01": 90}
    assert numbers["noise"]["two_readers_codes"] == ["SD", "PD"]


@pytest.mark.requirement("D-trail")
def test_the_manifest_names_the_tables_and_the_summary_what_nobody_has_checked(bench):
    _, document, out = bench.derive([tu("T01", "TARGET")], series("T01", 40, 20), criteria="irecist")
    manifest = json.loads((out / "manifest.json").read_text())
    assert {name.rsplit("/", 1)[-1] for name in manifest["tables"]} == {
        "recist.toml",
        "irecist.toml",
        "variability.toml",
    }
    assert any("[response_ratio]" in name for name in document["unverified"])
    assert not any("[progression_ratio]" in name for name in document["unverified"])


@pytest.mark.requirement("D-study-days")
def test_study_days_have_no_day_0(bench):
    dm = bench.write("dm.csv", "USUBJID,RFSTDTC", ["S1,2024-02-13"])
    _, _, out = bench.derive([tu("T01", "TARGET")], series("T01", 40, 40, 40), "--dm", dm)
    assert [r["RSDY"] for r in bench.table(out / "rs.csv") if r["RSTESTCD"] == "OVRLRESP"] == ["1", "43"]


@pytest.mark.requirement("D-compose")
def test_compose_adds_overall_late_confirmation_and_rule(bench):
    rows = ["S1,2024-01-01,CR,NON-CR/NON-PD,N", "S1,2024-02-01,SD,,EQUIVOCAL"]
    rows += ["S2,2024-01-01,,CR,", "S1,2024-03-01,PD,NE,NE"]
    points = bench.write("tp.csv", "subject,date,target,nontarget,new_lesion", rows)
    out = bench.folder / "c.csv"
    code, _ = bench.run("compose", "--criteria", "recist-1.1", "--timepoints", points, "--out", out)
    found = bench.table(out)
    assert code == 0
    assert [row["overall"] for row in found] == ["PR", "SD", "CR", "PD"]
    added = "overall,late_confirmation,rule"
    assert ",".join(found[0]) == f"subject,date,target,nontarget,new_lesion,{added}"


@pytest.mark.requirement("D-compose")
def test_compose_keeps_every_other_column_as_it_was(bench):
    points = bench.write(
        "tp.csv", "Site,subject,DATE,target,nontarget,new_lesion", ["A 1,S1,2024-01-01,PR,,N"]
    )
    out = bench.folder / "c.csv"
    bench.run("compose", "--criteria", "recist-1.1", "--timepoints", points, "--out", out)
    row = bench.table(out)[0]
    assert (row["Site"], row["date"], row["overall"]) == ("A 1", "2024-01-01", "PR")


@pytest.mark.requirement("D-compose")
def test_growth_without_non_targets_is_that_of_new_lesions(bench):
    rows = [f"S1,2024-0{month}-01,iSD,,Y,50,50,,1,{growth},N" for month, growth in ((3, "none"), (5, "any"))]
    out = bench.folder / "c.csv"
    points = bench.write("tp.csv", IRECIST_COLUMNS, rows)
    bench.run("compose", "--criteria", "irecist", "--timepoints", points, "--out", out)
    assert [row["overall"] for row in bench.table(out)] == ["iUPD", "iCPD"]


IRECIST_COLUMNS = (
    "subject,date,target,nontarget,new_lesion,baseline_sum,target_sum,new_target_sum,new_lesion_count,"
    "nontarget_growth,symptom_driven"
)


@pytest.mark.requirement("D-compose")
def test_compose_runs_the_irecist_machine_in_order_of_dates(bench):
    rows = [
        "S1,2024-06-01,iUPD,,N,50,66,,,none,",
        "S1,2024-03-01,iUPD,,N,50,60,,,none,N",
        "S2,2024-03-01,PD,,N,50,60,,,,",
        "S2,2024-04-01,PD,,N,50,65,,,,",
        "S3,2024-03-01,iSD,NON-iCR/NON-iUPD,Y,50,50,12,1,none,N",
        "S3,2024-03-11,iSD,NON-iCR/NON-iUPD,Y,50,50,12,2,none,Y",
    ]
    out = bench.folder / "c.csv"
    points = bench.write("tp.csv", IRECIST_COLUMNS, rows)
    code, document = bench.run("compose", "--criteria", "irecist", "--timepoints", points, "--out", out)
    found = [(row["overall"], row["late_confirmation"]) for row in bench.table(out)]
    assert code == 0, document
    assert found == [("iCPD", "Y"), ("iUPD", ""), ("iUPD", ""), ("iCPD", "N"), ("iUPD", ""), ("iCPD", "N")]


@pytest.mark.requirement("D-compose")
def test_compose_names_bad_rows_and_keeps_good_subjects(bench):
    rows = ["S1,2024-01-01,iPD,,N", "S2,2024-01-01,PR,,N", "S3,yesterday,PR,,N", "S1,2024-02-01,PR,,N"]
    points = bench.write("tp.csv", "subject,date,target,nontarget,new_lesion", rows)
    out = bench.folder / "c.csv"
    code, document = bench.run("compose", "--criteria", "recist-1.1", "--timepoints", points, "--out", out)
    assert code == PARTIAL
    assert [(f["row"], f["column"]) for f in document["findings"]] == [(2, "target"), (4, "date")]
    assert [row["subject"] for row in bench.table(out)] == ["S2"]


def best(bench, rows, subjects, *options):
    points = bench.write("tp.csv", "subject,date,response,comment", rows)
    people = bench.write("sub.csv", "subject,reference_date,pd_date,response_date,arm", subjects)
    out = bench.folder / "b.csv"
    code, document = bench.run("best", "--timepoints", points, "--subjects", people, "--out", out, *options)
    return code, document, [tuple(row.values()) for row in bench.table(out)]


@pytest.mark.requirement("D-best")
def test_best_keeps_early_dates_and_silent_responses_with_a_warning(bench):
    rows = [
        "S1,2023-12-01,PR,x",
        "S1,2024-02-01,ND,",
        "S1,2024-03-01,,",
        "S2,2024-02-01,NA,",
        "S2,2024-03-01,SD,",
    ]
    people = ["S1,2024-01-01,,,A", "S2,2024-01-01,,,B", "S3,2024-01-01,,,B"]
    code, document, found = best(bench, rows, people, "--endpoint", "BOR", "--sd-window-days", 42)
    assert code == 0
    assert [f["severity"] for f in document["findings"]] == ["warning"] * 4
    assert found == [
        ("S1", "BOR", "PR", "2023-12-01"),
        ("S2", "BOR", "SD", "2024-03-01"),
        ("S3", "BOR", "MISSING", ""),
    ]


@pytest.mark.requirement("D-best")
def test_best_refuses_a_code_of_another_criterion_and_keeps_the_other_subjects(bench):
    rows = ["S1,2024-02-01,iPR,", "S2,2024-02-01,PR,"]
    people = ["S1,2024-01-01,,,", "S2,2024-01-01,,,"]
    code, document, found = best(bench, rows, people, "--endpoint", "RSP")
    assert (code, found) == (PARTIAL, [("S2", "RSP", "Y", "2024-02-01")])
    assert (document["findings"][0]["row"], document["findings"][0]["column"]) == (2, "response")
    with pytest.raises(InputError, match="irecist"):
        best(bench, rows, people, "--endpoint", "IBOR", "--criteria", "recist-1.1")


@pytest.mark.requirement("D-best")
def test_best_takes_every_setting_from_the_command_line(bench):
    rows = ["S1,2024-02-01,PR,", "S1,2024-02-10,SD,", "S1,2024-02-20,NE,", "S1,2024-03-10,PR,"]
    people = ["S1,2024-01-01,2024-02-05,,"]
    options = ("--endpoint", "CBOR", "--sd-window-days", 28)
    assert best(bench, rows, people, *options)[2] == [("S1", "CBOR", "SD", "2024-02-01")]
    assert best(bench, rows, people, *options, "--accept-sd")[2] == [("S1", "CBOR", "PR", "2024-02-01")]
    assert best(bench, rows, people, *options, "--accept-sd", "--max-ne", 0)[2][0][2] == "SD"
    assert best(bench, rows, people, *options, "--accept-sd", "--confirm-days", 60)[2][0][2] == "SD"
    assert best(bench, rows, people, *options, "--accept-sd", "--until-pd", "column")[2][0][2] == "SD"
    assert (
        best(bench, rows, people, *options, "--rule", "table3", "--accept-sd", "--max-ne", 1)[2][0][2] == "PR"
    )
    late = ("--endpoint", "CBR", "--benefit-values", "SD", "--sd-window-days", 28)
    assert best(bench, rows, people, *late)[2] == [("S1", "CBR", "Y", "2024-02-10")]


@pytest.mark.requirement("D-best")
def test_best_asks_for_the_column_it_is_told_to_cut_by(bench):
    points = bench.write("tp.csv", "subject,date,response", ["S1,2024-02-01,PR"])
    people = bench.write("sub.csv", "subject,reference_date", ["S1,2024-01-01"])
    named = (
        "--timepoints",
        points,
        "--subjects",
        people,
        "--endpoint",
        "BOR",
        "--out",
        bench.folder / "b.csv",
    )
    with pytest.raises(InputError, match="pd_date"):
        bench.run("best", *named, "--until-pd", "column")
    assert bench.run("best", *named)[0] == 0


@pytest.mark.requirement("D-json")
def test_an_unknown_word_is_a_usage_error_and_nothing_is_written(bench):
    result = CliRunner().invoke(
        response_app,
        ["compose", "--criteria", "who", "--timepoints", "x.csv", "--out", str(bench.folder / "o.csv")],
    )
    assert result.exit_code == 2
    assert list(bench.folder.iterdir()) == []


@pytest.mark.requirement("D-bad-rows")
def test_a_full_disk_is_told_and_leaves_nothing_half_written(tmp_path, monkeypatch):
    def refuse(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("hepatica.adapters.cdisc.csv_table.os.replace", refuse)
    with pytest.raises(OutputError, match="No space left"):
        write_table(tmp_path / "out.csv", ("a",), [{"a": "1"}])
    assert list(tmp_path.iterdir()) == []
