"""Planned against performed, and what a day hands on."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path

import jsonschema
import pytest
from procedure_days import (
    SETTINGS,
    at,
    make_day,
    make_end,
    make_entry,
    make_injections,
    make_plan_document,
    make_planned,
    make_preparation,
    replace_entry,
)

from hepatica.adapters.cdisc.csv_table import write_table
from hepatica.adapters.cdisc.tumour_rows import SubjectRows, read_exposure, read_injections
from hepatica.core.errors import RecordInputError, SourceFormatError
from hepatica.core.findings import NotEvaluable
from hepatica.procedure.check_day import check_day
from hepatica.procedure.document import (
    from_entries_document,
    to_entries_document,
    to_entries_schema,
)
from hepatica.procedure.outputs import (
    EXPOSURE_COLUMNS,
    INJECTION_COLUMNS,
    list_injected_dates,
    to_exposure_rows,
    to_injection_rows,
    to_performed_rows,
    to_visit_event,
)
from hepatica.procedure.planned import to_planned_day
from hepatica.procedure.state import derive_day

PLANNED = make_planned()
SCHEMA = Path(__file__).parents[2] / "src/hepatica/resources/schemas/procedure.schema.json"


def derive(entries, planned=PLANNED):
    return derive_day(entries, planned, settings=SETTINGS)


def drop(entries, *names):
    return [entry for entry in entries if entry.entry_id not in names]


def deviations(entries):
    return {d.key: d for d in derive(entries).comparison.deviations}


@pytest.mark.requirement("F-procedure-compare")
def test_volumes_depths_and_doses_of_a_day_as_planned_by_hand():
    comparison = derive(make_day()).comparison
    first, second = comparison.lesions
    assert (first.planned_ml, first.given_ml, first.leaked_ml, first.retained_ml) == (2.0, 2.0, 0.0, 2.0)
    assert (second.given_ml, second.leaked_ml, second.retained_ml) == (0.5, 0.1, 0.4)
    assert (first.dose, second.dose, first.dose_unit) == (2e6, 5e5, "pfu")
    assert (first.tip_deviation_mm, second.tip_deviation_mm) == (5.0, 0.0)
    assert [row.planned_depth_mm for row in comparison.deposits] == [100.0, 95.0, 90.0, 85.0, 80.0]
    assert [row.depth_mm for row in comparison.deposits] == [100.0, 95.0, 90.0, 85.0, None]
    assert comparison.deviations == ()


@pytest.mark.requirement("F-procedure-compare")
def test_less_than_planned_is_a_deviation_only_once_no_more_is_to_be_given():
    short = drop([*make_preparation(), *make_injections()], "e34")
    assert deviations(short) == {}
    ended = [*short, make_end()[0]]
    found = deviations(ended)
    assert set(found) == {"volume:L1", "deposit:P1/1/4"}
    assert (found["volume:L1"].planned, found["volume:L1"].performed, found["volume:L1"].reason) == (
        2.0,
        1.5,
        "",
    )


@pytest.mark.requirement("F-procedure-deviations")
@pytest.mark.parametrize(
    ("more", "reason"),
    [
        (make_entry("s1", "stop", "08:49", lesion_id="L1", stop_reason="resistance"), "resistance"),
        (make_entry("s1", "deviation_reason", "09:30", deviation="volume:L1", text="pain"), "pain"),
    ],
)
def test_one_reason_of_a_lesion_explains_its_volume_and_its_deposits(more, reason):
    found = deviations([*drop(make_day(), "e34"), more])
    assert {d.reason for d in found.values()} == {reason} and len(found) == 2


@pytest.mark.requirement("F-procedure-deviations")
def test_a_stop_reason_explains_less_but_never_more_than_planned():
    more = replace_entry(make_day(), "e34", volume_ml=0.55, stop_reason="resistance")
    assert {d.reason for d in deviations(more).values()} == {""}
    less = replace_entry(make_day(), "e34", volume_ml=0.2, stop_reason="resistance")
    assert {d.reason for d in deviations(less).values()} == {"resistance"}


@pytest.mark.requirement("F-procedure-deviations")
def test_unplanned_lesions_needles_and_the_backup_entry_ask_for_a_reason():
    other = replace_entry(make_day(), "e45", lesion_id="L3")
    assert {"lesion:L3", "deposit:+e45", "volume:L2", "deposit:P2/1/1"} == set(deviations(other))
    free = replace_entry(make_day(), "e42", puncture_id=None)
    assert {"puncture:N2", "deposit:+e45", "deposit:P2/1/1"} == set(deviations(free))
    assert all(
        d.reason == "gas in front"
        for d in deviations(
            [
                *free,
                make_entry("r", "deviation_reason", "09:30", deviation="puncture:N2", text="gas in front"),
            ]
        ).values()
    )


@pytest.mark.requirement("F-procedure-compare")
def test_a_backup_that_was_used_stands_in_for_the_puncture_of_its_lesion():
    day = drop(make_day(), "e33", "e34")
    day = replace_entry(day, "e21", puncture_id="P1b")
    day = [
        replace_entry([e], e.entry_id, volume_ml=1.0)[0] if e.entry_id in ("e31", "e32") else e for e in day
    ]
    comparison = derive(day).comparison
    assert sorted(row.key for row in comparison.deposits) == ["P1b/1/1", "P1b/1/2", "P2/1/1"]
    assert sorted(row.given_ml for row in comparison.deposits) == [0.5, 1.0, 1.0]
    assert {d.key for d in comparison.deviations} == {"puncture:N1"}


@pytest.mark.requirement("F-procedure-deviations")
def test_the_sites_limit_of_a_tip_makes_a_deviation_and_a_later_control_settles_it():
    limited = SETTINGS.with_site_limit("tip_deviation_max", 4.0)
    keys = {d.key for d in derive_day(make_day(), PLANNED, settings=limited).comparison.deviations}
    assert keys == {"tip:N1/1"}
    first = next(e for e in make_day() if e.entry_id == "e22")
    again = replace(
        first,
        entry_id="e23",
        occurred_at=at("08:44"),
        values={**first.values, "measured_tip_lps_mm": [11.0, 0.0, 0.0]},
    )
    assert derive_day([*make_day(), again], PLANNED, settings=limited).comparison.deviations == ()


@pytest.mark.requirement("F-procedure-compare")
def test_what_cannot_be_known_is_said_and_never_counted_as_zero():
    unseen = replace_entry(make_day(), "e45", leak="not_assessed", leaked_ml=None)
    assert isinstance(derive(unseen).comparison.lesions[1].retained_ml, NotEvaluable)
    contradicted = replace_entry(make_day(), "e45", volume_ml=0.7)
    row = derive(contradicted).comparison.lesions[1]
    assert isinstance(row.given_ml, NotEvaluable) and isinstance(row.dose, NotEvaluable)
    (_, second) = to_exposure_rows(derive(contradicted), PLANNED, study="T", subject="01")
    assert second["EXDOSE"] == "" and second["EXSTDTC"] == "2026-03-02T09:00:00"


@pytest.mark.requirement("F-procedure-hand-on")
def test_injection_history_and_exposure_are_read_by_the_response_tables(tmp_path):
    day = derive(make_day())
    names = {"L1": "T01", "L2": "NT02"}
    write_table(
        tmp_path / "inj.csv", INJECTION_COLUMNS, to_injection_rows(day, subject="01", lesion_names=names)
    )
    rows = to_exposure_rows(day, PLANNED, study="T", subject="01", lesion_names=names)
    write_table(tmp_path / "ex.csv", EXPOSURE_COLUMNS, rows)
    assert [(r["EXLNKID"], r["EXDOSE"], r["EXDOSU"], r["EXLOT"]) for r in rows] == [
        ("T01", "2000000", "PFU", "A7"), ("NT02", "500000", "PFU", "A7"),
    ]  # fmt: skip
    for read, name in ((read_injections, "inj.csv"), (read_exposure, "ex.csv")):
        subjects = {"01": SubjectRows()}
        assert read(tmp_path / name, subjects) == []
        assert [(row.lesion, row.date[:10]) for row in subjects["01"].injections] == [
            ("T01", "2026-03-02"), ("NT02", "2026-03-02"),
        ]  # fmt: skip


@pytest.mark.requirement("F-procedure-hand-on")
def test_the_date_of_an_injection_is_the_day_on_the_wall_where_it_was_given():
    late = [
        replace(e, occurred_at=e.occurred_at.replace(hour=0, minute=30)) if e.entry_id == "e45" else e
        for e in make_day()
    ]
    assert str(list_injected_dates(derive(late))["L2"][0]) == "2026-03-02", "still 1 March in UTC"


@pytest.mark.requirement("F-procedure-hand-on")
def test_the_visit_is_done_missed_or_undecided():
    event = to_visit_event(derive(make_day()), PLANNED, subject="01")
    assert event == {
        "subject": "01",
        "visit": "injection",
        "date": "2026-03-02",
        "status": "done",
        "number": "1",
    }
    assert to_visit_event(derive(make_preparation()), PLANNED, subject="01") is None
    cancelled = [*make_preparation(), make_entry("x", "cancel", "09:00", text="fever")]
    assert to_visit_event(derive(cancelled), PLANNED, subject="01")["status"] == "missed"


@pytest.mark.requirement("F-procedure-compare")
def test_the_table_has_a_line_for_each_lesion_and_deposit():
    rows = to_performed_rows(derive(make_day()))
    assert [row["deposit"] for row in rows] == ["", "P1/1/1", "P1/1/2", "P1/1/3", "P1/1/4", "", "P2/1/1"]
    assert sum(float(row["given_ml"]) for row in rows if row["deposit"]) == pytest.approx(2.5)


@pytest.mark.requirement("F-procedure-entries")
def test_the_published_schema_follows_from_the_tables_and_a_day_follows_the_schema():
    published = json.loads(SCHEMA.read_text())
    assert published == json.loads(json.dumps(to_entries_schema()))
    check = jsonschema.Draft202012Validator(published)
    document = json.loads(json.dumps(to_entries_document(make_day(), settings=SETTINGS)))
    check.validate(document)
    back = from_entries_document(document)
    assert back.entries == tuple(make_day()) and back.settings == SETTINGS
    document["entries"][0]["values"]["confirmed"] = "yes"
    assert not check.is_valid(document)


@pytest.mark.requirement("F-procedure-entries")
@pytest.mark.parametrize(
    "change",
    [{"schema_version": "2.0"}, {"entries": {}}, {"site_limits": {"x": 1}}, {"more": 1}, {"entries": [1]}],
)
def test_another_document_than_entries_is_refused(change):
    with pytest.raises((RecordInputError, ValueError)):
        from_entries_document({**to_entries_document(make_day()), **change})


@pytest.mark.requirement("F-procedure-entries")
@pytest.mark.parametrize(
    "path", [("plan_id",), ("lesions", 0, "centroid_lps_mm"), ("punctures", 0, "needle"), ("allocation",)]
)
def test_a_plan_with_something_missing_is_refused(path):
    document = make_plan_document()
    place = document
    for step in path[:-1]:
        place = place[step]
    del place[path[-1]]
    with pytest.raises(SourceFormatError):
        to_planned_day(document)


@pytest.mark.requirement("F-procedure-compare")
def test_a_plan_as_the_planner_writes_it_can_be_carried_out():
    """The shape of the builder's plan is that of a written one: checked against the published schema's fields."""
    schema = json.loads((SCHEMA.parent / "plan.schema.json").read_text())
    document = make_plan_document()
    assert set(document) <= set(schema["properties"])
    for name, rows in (("lesion", "lesions"), ("injection", "injections"), ("puncture", "punctures")):
        assert set(document[rows][0]) <= set(schema["$defs"][name]["properties"])


def test_no_row_of_a_table_holds_an_identifier_beside_the_trial_ones(tmp_path):
    rows = to_exposure_rows(derive(make_day()), PLANNED, study="T", subject="01")
    write_table(tmp_path / "ex.csv", EXPOSURE_COLUMNS, rows)
    with (tmp_path / "ex.csv").open() as stream:
        assert "u1" not in {cell for row in csv.reader(stream) for cell in row}


@pytest.mark.requirement("F-procedure-deviations")
def test_a_closed_day_with_an_unexplained_deviation_is_an_error():
    wrong = replace_entry(make_day(), "e34", volume_ml=0.2)
    (finding, *_) = [
        f
        for f in check_day(derive(wrong), PLANNED, as_of=at("14:00"), settings=SETTINGS)
        if f.rule == "procedure.deviation"
    ]
    assert finding.severity.value == "error" and "volume:L1" in finding.message
