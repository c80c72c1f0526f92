"""Dates that people type into a research record: moved like the scans' own, or refused; never kept as they are."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from procedure_days import make_day, make_plan_document
from web_record import open_web_record

from hepatica.procedure.document import to_entry_document
from hepatica.record.kind import FieldType
from hepatica.record.moved_dates import MIDDLE, move_date
from hepatica.record.people import Role
from hepatica.workflows.verify_record import verify_record

TRUE, SHOWN = {"hepatica-dates": "true"}, {"hepatica-dates": "record"}
START = datetime(2026, 3, 2, 13, 30, tzinfo=UTC)
QUICK = settings(max_examples=100, deadline=None, derandomize=True)


class Clock:
    """A time that a test sets."""

    def now(self):
        return START


@pytest.fixture
def record(tmp_path):
    opened = open_web_record(tmp_path, mode="research", clock=Clock())
    opened.add("site", "s1", {"name": "North", "country_code": "GBR"}, patient_id="")
    study = {
        "title": "T",
        "protocol_version": "3.0",
        "valid_from_date": "2026-01-01",
        "dose_protocol": "tvec-label",
    }
    opened.add("study", "v3", study, patient_id="", site_id="")
    opened.add_patient()
    yield opened
    opened.home.close()


def days_of(record) -> int:
    return record.context.dates.find_offset_days("p1")


def moved(record, text):
    return (date.fromisoformat(text) + timedelta(days=days_of(record))).isoformat()


def read_all(record) -> str:
    """Everything that the record shows or tells of its past, but for when it was entered."""
    with record.context.store.reading() as reader:
        lines = [json.loads(line.document) for line in reader.read_lines()]
    return json.dumps([line["changes"] for line in lines if line["kind"] not in ("account", "study")])


@pytest.mark.requirement("F-research-typed-dates")
def test_a_date_without_its_calendar_is_refused_and_nothing_is_kept(record):
    doctor = record.enter("ida", Role.INVESTIGATOR)
    values = {"name": "V1", "visit_number": 1, "status": "done", "date": "2026-03-02"}
    refused = doctor.post("/api/visit", json={"patient_id": "p1", "values": values})
    assert refused.status_code == 422 and "Hepatica-Dates" in refused.json()["action"]
    assert "2026" not in refused.text
    undated = {name: value for name, value in values.items() if name != "date"}
    assert doctor.post("/api/visit", json={"patient_id": "p1", "values": undated}).status_code == 201
    wrong = doctor.post(
        "/api/visit", json={"patient_id": "p1", "values": values}, headers={"hepatica-dates": "x"}
    )
    assert wrong.status_code == 422
    assert "2026-03-02" not in read_all(record)


@pytest.mark.requirement("F-research-typed-dates")
def test_true_dates_are_moved_by_the_offset_of_the_scans_and_what_was_read_is_not_moved_twice(record):
    doctor = record.enter("ida", Role.INVESTIGATOR)
    values = {
        "term": "Fever",
        "grade": 1,
        "start_date": "2026-02-28",
        "end_date": "2026-03-02",
        "serious": False,
    }
    made = doctor.post("/api/adverse_event", json={"patient_id": "p1", "values": values}, headers=TRUE)
    assert made.status_code == 201, made.text
    shown = made.json()["values"]
    assert (shown["start_date"], shown["end_date"]) == (
        moved(record, "2026-02-28"),
        moved(record, "2026-03-02"),
    )
    path, tag = f"/api/adverse_event/{made.json()['item_id']}", made.headers["etag"]
    back = {"values": {**shown, "grade": 2}, "reason": "r"}
    again = doctor.patch(path, json=back, headers={**TRUE, "if-match": tag})
    assert again.status_code == 200 and again.json()["values"] == {**shown, "grade": 2}
    typed = {"values": {"end_date": moved(record, "2026-03-03")}, "reason": "r"}
    kept = doctor.patch(path, json=typed, headers={**SHOWN, "if-match": again.headers["etag"]})
    assert kept.json()["values"]["end_date"] == moved(record, "2026-03-03")
    assert not any(text in read_all(record) for text in ("2026-02-28", "2026-03-0"))


@pytest.mark.requirement("F-research-typed-dates")
def test_consent_withdrawal_and_the_clock_of_serious_events_go_by_the_moved_calendar(record):
    nurse = record.enter("ben", Role.COORDINATOR)
    form = {"patient_id": "p1", "study_id": "v3", "form_version": "1", "signed_date": "2026-03-01"}
    assert nurse.post("/api/consent", json=form).status_code == 422
    late = {**form, "signed_date": "2026-03-20"}
    assert nurse.post("/api/consent", json=late, headers=TRUE).status_code == 422, "in the future"
    signed = nurse.post("/api/consent", json=form, headers=TRUE)
    assert signed.json()["values"]["signed_date"] == moved(record, "2026-03-01")
    event = {
        "term": "Fever", "grade": 3, "start_date": "2026-03-01", "serious": True,
        "became_aware_time": "2026-03-02T12:30:00+00:00",
    }  # fmt: skip
    made = nurse.post("/api/adverse_event", json={"patient_id": "p1", "values": event}, headers=TRUE)
    (row,) = nurse.get("/api/serious-events").json()
    assert row["left_h"] == 23.0 and row["state"] == "open"
    where = f"/api/adverse_event/{made.json()['item_id']}/report"
    sent = {"reported_time": "2026-03-02T13:00:00+00:00"}
    done = nurse.post(where, json=sent, headers={**TRUE, "if-match": made.headers["etag"]})
    assert done.status_code == 200, done.text
    gone = {"withdrawn_date": "2026-03-02", "withdrawal_scope": "treatment", "reason": "none given"}
    left = nurse.post(
        f"/api/consent/{signed.json()['item_id']}/withdrawal",
        json=gone,
        headers={**TRUE, "if-match": signed.headers["etag"]},
    )
    assert left.json()["values"]["withdrawn_date"] == moved(record, "2026-03-02")
    assert "2026-03-0" not in read_all(record)


@pytest.mark.requirement("F-research-typed-dates")
def test_a_whole_day_in_a_research_record_is_judged_as_in_a_clinical_one_and_keeps_no_true_date(record):
    digest = record.context.files.keep_bytes(json.dumps(make_plan_document()).encode())
    record.add(
        "scan",
        "c1",
        {"series_uid": "2.25.3", "modality": "CT", "content_digest": digest, "state": "accepted"},
    )
    record.add("lesion", "x1", {"lesion_label": "A", "tracking_uid": "2.25.49", "location": "LIVER"})
    record.add(
        "plan",
        "q1",
        {"scan_id": "c1", "visit_number": 1, "status": "cleared", "files": {"plan.json": digest}},
    )
    doctor = record.enter("ida", Role.INVESTIGATOR)
    where = f"/api/procedure/{doctor.post('/api/procedure', json={'plan_id': 'q1'}).json()['item_id']}"
    rows = [to_entry_document(entry) for entry in make_day()]
    rows = [{k: v for k, v in row.items() if k not in ("entered_at", "author")} for row in rows]
    assert doctor.post(f"{where}/entries", json={"entries": rows}).status_code == 422
    done = doctor.post(f"{where}/entries", json={"entries": rows}, headers=TRUE)
    assert done.status_code == 200, done.text
    assert done.json()["day"]["phase"] == "closed" and done.json()["day"]["findings"] == []
    again = doctor.post(f"{where}/entries", json={"entries": rows}, headers=TRUE)
    assert len(again.json()["repeated"]) == len(rows)
    held = doctor.get("/api/lesion/x1").json()["values"]["injected_dates"]
    assert held == [moved(record, "2026-03-02")]
    typed = {"values": {"injected_dates": [*held, "2026-02-02"]}, "reason": "another clinic's"}
    more = doctor.patch("/api/lesion/x1", json=typed, headers={**TRUE, "if-match": '"2-x"'})
    assert more.json()["values"]["injected_dates"] == [*held, moved(record, "2026-02-02")]
    assert not any(text in read_all(record) for text in ("2026-", "2027-"))
    assert verify_record(record.context, record.home.store, key=None).findings == ()


@pytest.mark.requirement("F-research-typed-dates")
@QUICK
@given(
    st.dates(date(1900, 1, 1), date(2100, 1, 1)),
    st.dates(date(1900, 1, 1), date(2100, 1, 1)),
    st.integers(-3650, -365),
)
def test_intervals_stay_and_partial_dates_are_off_by_half_of_what_they_leave_open(one, other, days):
    ends = [date.fromisoformat(move_date(day.isoformat(), days=days)) for day in (one, other)]
    assert ends[1] - ends[0] == other - one
    for length, most_days in ((7, 31), (4, 367)):
        part = move_date(one.isoformat()[:length], days=days)
        middle = date.fromisoformat(part + MIDDLE[length])
        assert len(part) == length and abs((middle - ends[0]).days) <= most_days


def test_a_clinical_record_keeps_true_dates_whatever_is_said(tmp_path):
    opened = open_web_record(tmp_path)
    opened.add_patient()
    doctor = opened.enter("ida", Role.INVESTIGATOR)
    values = {"name": "V1", "visit_number": 1, "status": "done", "date": "2026-03-02"}
    made = doctor.post("/api/visit", json={"patient_id": "p1", "values": values}, headers=TRUE)
    assert made.json()["values"]["date"] == "2026-03-02"
    opened.home.close()


def test_every_field_of_a_patients_days_is_known_by_its_type_or_name():
    from hepatica.record.catalogue import read_kinds
    from hepatica.record.moved_dates import holds_dates

    for kind in read_kinds().values():
        for rule in kind.fields:
            if rule.name.endswith(("_date", "_dates", "_time")) or rule.name == "date":
                assert rule.sealed or holds_dates(rule), f"{kind.name}.{rule.name}"
            elif rule.type in (FieldType.DATE, FieldType.TIME):
                assert rule.name == "time_utc", f"{kind.name}.{rule.name}"
