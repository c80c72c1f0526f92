"""Curves over time, and the report that shows them."""

from __future__ import annotations

import itertools
import json
import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from response_courses import course, days
from typer.testing import CliRunner

from hepatica.adapters.reports import palette
from hepatica.adapters.reports.response_pictures import STYLES, derive_medians, draw_pictures
from hepatica.core.findings import NotEvaluable
from hepatica.entrypoints.cli.main import app
from hepatica.followup.curves import CurvePoint, LesionGroup, derive_curves

SUM_TOLERANCE_MM = 1e-9  # additions of a few sizes in another order
SEEN = days(0, 42, 84)


def made(**more):
    lesions = {"T01": [40, 20, 10], "T02": [20, 30, None], "NT01": ["PRESENT"] * 3, "NEW01": ["-", 8, 12]}
    return course(lesions, dates=SEEN, injections={"T01": [SEEN[0]], **more.get("injections", {})})


@pytest.mark.requirement("D-pictures-values")
def test_lesions_are_injected_non_injected_or_new_with_their_change_by_hand():
    curves = derive_curves(made())
    assert {lesion.lesion_id: str(lesion.group) for lesion in curves.lesions} == {
        "T01": "injected", "T02": "non-injected", "NT01": "non-injected", "NEW01": "new",
    }  # fmt: skip
    assert [(p.day, p.change_percent) for p in curves.injected] == [(0, 0.0), (42, -50.0), (84, -75.0)]
    assert [p.size for p in curves.total[:2]] == [60.0, 50.0]
    assert isinstance(curves.total[2].size, NotEvaluable)
    assert curves.lesions[0].injections == (0,)
    new = next(lesion for lesion in curves.lesions if lesion.group is LesionGroup.NEW)
    assert [p.day for p in new.points] == [42, 84]
    assert all(isinstance(p.change_percent, NotEvaluable) for p in new.points)


@pytest.mark.requirement("D-pictures-values")
@settings(deadline=None, max_examples=40, derandomize=True)
@given(
    sizes=st.lists(st.lists(st.integers(0, 90), min_size=3, max_size=3), min_size=1, max_size=5),
    injected=st.sets(st.integers(0, 4)),
)
def test_injected_and_non_injected_sums_make_the_whole_sum(sizes, injected):
    ids = [f"T{n:02d}" for n in range(len(sizes))]
    found = derive_curves(
        course(
            dict(zip(ids, sizes)),
            dates=SEEN,
            injections={key: [SEEN[1]] for n, key in enumerate(ids) if n in injected},
        )
    )
    for at, whole in enumerate(found.total):
        parts = [points[at].size for points in (found.injected, found.non_injected) if points]
        assert abs(sum(parts) - whole.size) <= SUM_TOLERANCE_MM


@pytest.mark.requirement("D-pictures-values")
def test_an_injection_after_the_last_scan_does_not_make_a_lesion_injected():
    late = derive_curves(made(injections={"T02": ["2025-01-01"]}))
    assert {lesion.lesion_id: lesion.group for lesion in late.lesions}["T02"] is LesionGroup.NON_INJECTED


@pytest.mark.requirement("D-pictures-values")
def test_the_median_needs_three_patients_and_an_undated_baseline_has_no_curve():
    lines = [[CurvePoint(day=0, size=1.0, change_percent=float(c))] for c in (-10, 0, 40)]
    assert derive_medians(lines)[0].change_percent == 0.0
    assert derive_medians(lines[:2]) == ()
    assert isinstance(derive_curves(course({"T01": [10, 10]}, dates=["2024-01", "2024-02-01"])), NotEvaluable)


@pytest.mark.requirement("D-pictures-style")
def test_each_group_has_its_own_colour_line_and_mark():
    assert {STYLES[group]["color"] for group in LesionGroup} == {
        palette.INJECTED, palette.NON_INJECTED, palette.NEW_LESION,
    }  # fmt: skip
    assert len({str(STYLES[group]["linestyle"]) for group in LesionGroup}) == len(LesionGroup)
    assert len({STYLES[group]["marker"] for group in LesionGroup}) == len(LesionGroup)


@pytest.mark.requirement("D-pictures-style")
def test_equal_data_are_equal_bytes_and_the_colours_of_the_groups_are_in_the_picture():
    first, again = (draw_pictures([("Patient 1", derive_curves(made()))]) for _ in range(2))
    assert [(p.svg, p.png) for p in first] == [(p.svg, p.png) for p in again]
    timeline = first[-1].svg.decode().lower()
    for group in LesionGroup:
        assert STYLES[group]["color"].lower() in timeline


TU = "USUBJID,TULNKID,TUTESTCD,TUSTRESC,VISITNUM\n"
TR = "USUBJID,TRLNKID,TRTESTCD,TRSTRESN,TRSTRESU,VISITNUM,VISIT,TRDTC\n"


def write_tables(folder: Path, *, count: int = 2, shuffled: bool = False) -> list[str]:
    tu, rows, injections = TU, [], "subject,lesion,date\n"
    for number in range(count):
        subject = f"SMITH-{number}"
        injections += f"{subject},T01,{SEEN[0]}\n"
        for lesion in ("T01", "T02"):
            tu += f"{subject},{lesion},TUMIDENT,TARGET,1\n"
            for visit, date in enumerate(SEEN, start=1):
                rows.append(f"{subject},{lesion},LDIAM,{40 - 5 * visit},mm,{visit},VISIT {visit},{date}\n")
    if shuffled:
        rows = rows[::2] + rows[1::2]
    for name, text in (("tu", tu), ("tr", TR + "".join(rows)), ("injections", injections)):
        (folder / f"{name}.csv").write_text(text)
    return [
        part for name in ("tu", "tr", "injections") for part in (f"--{name}", str(folder / f"{name}.csv"))
    ]


def invoke(*arguments: str) -> dict:
    result = CliRunner().invoke(app, ["response", *arguments, "--json"])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return json.loads(result.stdout)


@pytest.mark.requirement("D-pictures-report")
def test_the_report_asks_the_network_for_nothing_names_nobody_and_describes_every_picture(tmp_path):
    out = tmp_path / "report"
    document = invoke("report", *write_tables(tmp_path), "--out", str(out))
    text = (out / "response.html").read_text()
    sources = re.findall(r'src="([^"]*)"', text)
    assert len(sources) == 5 and all(source.startswith("data:image/svg+xml;base64,") for source in sources)
    assert not re.search(r"https?://|<script|@import|url\(", text)
    assert "SMITH" not in text and "Patient 2" in text
    assert len(re.findall(r'alt="[^"]{40,}"', text)) == 5
    assert '<html lang="en">' in text and "not a medical device" in text
    headings = [int(level) for level in re.findall(r"<h(\d)", text)]
    assert headings[0] == 1 and all(b - a <= 1 for a, b in itertools.pairwise(headings))
    found = {path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_file()}
    assert found == {*document["files"], "manifest.json"}
    assert {"pictures/spider-patients.svg", "pictures/timeline-patient-1.png"} <= found
    assert "<td>70 mm</td>" in text and "<td>-29 %</td>" in text


@pytest.mark.requirement("D-streamed")
def test_results_out_of_order_give_the_same_responses_and_a_finding(tmp_path):
    for name in ("sorted", "mixed"):
        (tmp_path / name).mkdir()
        tables = write_tables(tmp_path / name, count=3, shuffled=name == "mixed")
        options = ("--criteria", "itrecist", "--out", str(tmp_path / name / "out"))
        document = invoke("derive", *tables, *options)
        rules = [finding["rule"] for finding in document["findings"]]
        assert rules == ([] if name == "sorted" else ["response.unsorted"])
        assert document["partial"] is False
    assert (tmp_path / "sorted/out/rs.csv").read_bytes() == (tmp_path / "mixed/out/rs.csv").read_bytes()


@pytest.mark.requirement("D-streamed")
def test_results_in_order_are_let_go_subject_by_subject(tmp_path, monkeypatch):
    from hepatica.adapters.cdisc import courses

    held = []
    real = courses.build_course

    def counting(subject, rows, **options):
        held.append(len(rows.results))
        return real(subject, rows, **options)

    seen = []
    lines = courses.iterate_result_rows

    def watching(path):
        for item in lines(path):
            seen.append((item[0], len(held)))
            yield item

    monkeypatch.setattr(courses, "build_course", counting)
    monkeypatch.setattr(courses, "iterate_result_rows", watching)
    tables = write_tables(tmp_path, count=4)
    invoke("derive", *tables, "--criteria", "recist-1.1", "--out", str(tmp_path / "out"))
    # A row of the last subject is read only after the courses of the first ones were built.
    assert max(done for _, done in seen) >= 2
    assert held == [6] * 4
