"""``hepatica visits`` end to end: tables in, table and calendar out, bad rows named, good subjects kept."""

from __future__ import annotations

import csv
import json
from datetime import date
from pathlib import Path

import pytest
from typer.testing import CliRunner

from hepatica.core.errors import (
    HepaticaError,
    InputError,
    NotFoundError,
    NotSetError,
    OutputError,
    ProtocolError,
    UsageError,
)
from hepatica.entrypoints.cli.main import app
from hepatica.entrypoints.cli.visits import PARTIAL

EVENTS = """subject,visit,date,status,number
S01,baseline,2024-01-02,,
S01,Injection,2024-01-08,,
S01,injection,2024-02-03,done,
S01,imaging,2024-02-20,,
S02,injection,2024-01-10,,
S02,injection,2024-02-21,booked,
"""
WINDOWS = ("--set", "imaging.window=7", "--set", "safety.window=7", "--set", "survival.window=14")


class Bench:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.out = folder / "visits.csv"
        self.ics = folder / "visits.ics"

    def write(self, text: str) -> Path:
        path = self.folder / "events.csv"
        path.write_text(text, encoding="utf-8")
        return path

    def call(self, *arguments: object):
        result = CliRunner().invoke(app, [str(part) for part in arguments])
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result

    def run(self, text: str, *options: object, schedule: object = "tvec-liver", as_of: str = "2024-02-12"):
        named = ("--schedule", schedule, "--events", self.write(text), "--as-of", as_of, "--out", self.out)
        result = self.call("visits", *named, *WINDOWS, *options, "--json")
        return result.exit_code, json.loads(result.stdout)

    def table(self) -> list[dict[str, str]]:
        with self.out.open(encoding="utf-8", newline="") as stream:
            return list(csv.DictReader(stream))

    def events(self):
        from icalendar import Calendar

        return Calendar.from_ical(self.ics.read_bytes()).walk("VEVENT")


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


@pytest.mark.requirement("D-visits-command")
def test_the_table_has_every_visit_with_state_and_reason(bench):
    code, document = bench.run(EVENTS)
    assert (code, document["partial"], document["subjects"]) == (0, False, 2)
    rows = {(r["subject"], r["visit"], r["number"]): r for r in bench.table()}
    second = rows["S01", "injection", "2"]
    assert (second["state"], second["due"], second["opens"], second["closes"], second["study_day"]) == (
        "out of window",
        "2024-01-29",
        "2024-01-26",
        "2024-02-01",
        "27",
    )
    assert rows["S02", "injection", "2"]["booked"] == "2024-02-21"
    assert all(row["reason"] for row in rows.values())
    assert document["states"]["out of window"] == 1
    assert sum(document["states"].values()) == document["visits"] == len(rows)


@pytest.mark.requirement("D-visits-due-within")
def test_who_is_due_this_week_comes_with_the_overdue_first(bench):
    expected = {
        # S02: second injection closed on 3 February; S01: third from 21 February, its scan is done.
        "2024-02-12": [("S02", "injection", "2", "overdue")],
        "2024-02-14": [("S02", "injection", "2", "overdue"), ("S02", "imaging", "1", "due")],
        "2024-02-17": [
            ("S02", "injection", "2", "overdue"),
            ("S02", "imaging", "1", "due"),
            ("S01", "injection", "3", "planned"),
        ],
    }
    for day, rows in expected.items():
        _, document = bench.run(
            EVENTS.replace("S01,imaging,2024-02-20,,\n", "S01,imaging,2024-02-12,,\n"), as_of=day
        )
        assert [(r["subject"], r["visit"], r["number"], r["state"]) for r in document["due_within"]] == rows


@pytest.mark.requirement("D-visits-evidence")
def test_the_document_names_what_is_unverified_and_what_is_not_set(bench):
    _, document = bench.run(EVENTS)
    keys = {item["key"] for item in document["unverified"]}
    assert {"visits.injection.window", "visits.imaging.window"} <= keys
    assert "visits.injection.every" not in keys
    assert document["schedule"]["not_set"] == []


@pytest.mark.requirement("D-visits-permutation")
def test_rows_in_another_order_give_the_same_bytes(bench):
    bench.run(EVENTS, "--ics", bench.ics)
    first = bench.out.read_bytes(), bench.ics.read_bytes()
    header, *rows = EVENTS.strip().splitlines()
    bench.run("\n".join([header, *reversed(rows)]) + "\n", "--ics", bench.ics)
    assert (bench.out.read_bytes(), bench.ics.read_bytes()) == first


BAD_ROWS = """subject,visit,date,status,number
S01,injection,2024-01-08,,
S02,injection,2024-13-08,,
S03,injektion,2024-01-08,,
S04,injection,2024-01-08,perhaps,
S05,injection,2024-01-08,,first
S06,injection,2024-01-08,,
S06,injection,2024-01-08,,
S07,injection,2024-01,booked,
S08,death,2024-01-08,,
S08,death,2024-01-09,,
S09,injection
,injection,2024-01-08,,
"""


@pytest.mark.requirement("D-visits-bad-rows")
def test_bad_rows_are_named_by_row_and_column_and_good_subjects_are_kept(bench):
    code, document = bench.run(BAD_ROWS)
    assert (code, document["partial"]) == (PARTIAL, True)
    errors = [(f["row"], f["column"]) for f in document["findings"] if f["severity"] == "error"]
    assert errors == [
        (3, "date"),
        (4, "visit"),
        (5, "status"),
        (6, "number"),
        (8, "date"),
        (9, "date"),
        (11, "visit"),
        (12, "subject"),
        (13, "subject"),
    ]
    assert {row["subject"] for row in bench.table()} == {"S01"}
    assert not any(f"S0{n}" in f["message"] for f in document["findings"] for n in range(1, 10))


@pytest.mark.requirement("D-visits-partial")
def test_partial_days_are_warnings_with_their_row_and_the_subject_stays(bench):
    code, document = bench.run("subject,visit,date\nS01,injection,2024-01\nS01,imaging,\n")
    assert code == 0
    assert [(f["rule"], f["row"]) for f in document["findings"]] == [
        ("visits.date_partial", 2),
        ("visits.date_unknown", 3),
    ]
    second = next(r for r in bench.table() if (r["visit"], r["number"]) == ("injection", "2"))
    assert (second["due"], second["state"]) == ("2024-01-22/2024-02-21", "due")


@pytest.mark.requirement("D-visits-calendar")
def test_the_calendar_has_whole_days_and_the_same_identifiers_at_every_export(bench):
    bench.run(EVENTS, "--ics", bench.ics)
    first = {str(e["uid"]): e for e in bench.events()}
    by_name = {str(e["summary"]).split(":")[0]: e for e in first.values()}
    booked = by_name["S02 injection 2"]
    assert booked.decoded("dtstart") == date(2024, 2, 21)
    assert booked.decoded("dtend") == date(2024, 2, 22)
    assert str(booked["status"]) == "CONFIRMED" and str(booked["class"]) == "PRIVATE"
    assert str(by_name["S01 injection 3"]["status"]) == "TENTATIVE"
    moved = EVENTS.replace("2024-02-21,booked", "2024-02-23,done")
    bench.run(moved, "--ics", bench.ics, as_of="2024-02-25")
    later = {str(e["uid"]): e for e in bench.events()}
    uid = str(booked["uid"])
    assert later[uid].decoded("dtstart") == date(2024, 2, 23)
    assert later[uid]["sequence"] > booked["sequence"]
    assert set(first) <= set(later)


@pytest.mark.requirement("D-visits-calendar-privacy")
def test_an_identifier_that_reads_like_a_name_never_enters_a_calendar(bench):
    text = EVENTS.replace("S02", '"Doe, Jane"')
    code, document = bench.run(text, "--ics", bench.ics)
    assert code == 0 and b"Doe" not in bench.ics.read_bytes() and b"S01" in bench.ics.read_bytes()
    found = [f for f in document["findings"] if f["rule"] == "visits.calendar_name"]
    assert [(f["row"], f["column"]) for f in found] == [(6, "subject")]
    assert "Doe" not in found[0]["message"]


@pytest.mark.requirement("D-visits-together")
def test_table_and_calendar_appear_together_or_not_at_all(bench):
    bench.out.write_text("earlier")
    with pytest.raises(OutputError):
        bench.run(EVENTS, "--ics", bench.folder / "missing" / "visits.ics")
    with pytest.raises(UsageError):
        bench.run(EVENTS, "--ics", bench.out)
    assert bench.out.read_text() == "earlier"
    assert sorted(path.name for path in bench.folder.iterdir()) == ["events.csv", "visits.csv"]


@pytest.mark.requirement("D-visits-supplied")
def test_what_a_schedule_leaves_open_is_asked_for(bench):
    own = bench.folder / "own.toml"
    own.write_text(
        'name = "own"\ntitle = "own"\n[visits.injection]\nkind = "injection"\nanchor = "previous injection"\n'
        'every = { unit = "days", status = "not set" }\nwindow = { unit = "days", status = "not set" }\n'
    )
    named = ("visits", "--schedule", own, "--events", bench.write(EVENTS.replace("imaging", "injection")))
    with pytest.raises(NotSetError) as caught:
        bench.call(*named, "--out", bench.out)
    assert "injection.every" in str(caught.value) and not bench.out.exists()
    done = bench.call(
        *named, "--out", bench.out, "--set", "injection.every=21", "--as-of", "2024-03-01", "--json"
    )
    assert [f["rule"] for f in json.loads(done.stdout)["findings"]] == ["visits.not_set"]


@pytest.mark.requirement("D-visits-command")
def test_unknown_schedules_days_and_tables_are_refused(bench):
    with pytest.raises(NotFoundError):
        bench.run(EVENTS, schedule="other")
    with pytest.raises(NotFoundError):
        bench.run(EVENTS, schedule=bench.folder / "none.toml")
    with pytest.raises(UsageError):
        bench.run(EVENTS, as_of="yesterday")
    with pytest.raises(ProtocolError):
        bench.run(EVENTS, "--set", "injection.every=20")
    with pytest.raises(InputError):
        bench.run("subject,visit\nS01,injection\n")


@pytest.mark.requirement("D-visits-command")
def test_readable_output_and_the_list_of_schedules(bench):
    named = (
        "--schedule",
        "tvec-label",
        "--events",
        bench.write("subject,visit,date\nS01,injection,2024-01-08\n"),
    )
    result = bench.call("visits", *named, "--as-of", "2024-02-12", "--out", bench.out)
    assert "1 overdue" in result.stdout and "S01" in result.stdout
    listed = json.loads(bench.call("schedules", "--json").stdout)["schedules"]
    assert {row["name"] for row in listed} == {"tvec-label", "tvec-liver", "tvec-liver-atezolizumab"}


@pytest.mark.requirement("D-visits-permutation")
def test_subjects_stand_in_the_order_of_their_identifiers(bench):
    names = [f"S{number:02d}" for number in (7, 3, 11, 1, 9, 5, 2, 8)]
    bench.run("subject,visit,date\n" + "".join(f"{name},injection,2024-01-08\n" for name in names))
    assert list(dict.fromkeys(row["subject"] for row in bench.table())) == sorted(names)


@pytest.mark.requirement("D-visits-bad-rows")
@pytest.mark.parametrize(
    ("options", "word"),
    [
        (("--as-of", "9999-12-31"), "the year 2999"),
        (("--as-of", "2024-03-01", "--set", "imaging.window=1e300"), "0 to 100000"),
    ],
)
def test_days_beyond_the_calendar_are_refused(bench, options, word):
    events = bench.write("subject,visit,date\nP1,injection,2024-01-01\n")
    with pytest.raises(HepaticaError, match=word):
        bench.call("visits", "--schedule", "tvec-liver", "--events", events, "--out", bench.out, *options)
    assert not bench.out.exists()
