"""Days and times that no calendar of a patient holds are refused where they come in, and break no list."""

from __future__ import annotations

import pytest
from web_record import open_web_record

from hepatica.record.people import Role

DAYS = ["2026-W01-1", "9999-12-31", "0001-01-01", "1799-12-31", "2026-02-30", "20260101", "２０２６-01-01"]
TIMES = [
    "9999-12-31T23:59:59-23:59", "0001-01-01T00:00:00+14:00", "2026-01-01T00:00", "2026-W01-1T00:00Z",
    "2026-01-01 00:00Z", "2026-01-01T25:00Z",
]  # fmt: skip


@pytest.fixture
def record(tmp_path):
    opened = open_web_record(tmp_path)
    opened.add_patient()
    yield opened
    opened.home.close()


@pytest.mark.requirement("F-api")
def test_odd_days_and_times_are_refused_and_the_clock_of_serious_events_still_answers(record):
    nurse = record.enter("ben", Role.COORDINATOR)
    visit = {"name": "V1", "visit_number": 1, "status": "done"}
    for day in DAYS:
        body = {"patient_id": "p1", "values": {**visit, "date": day}}
        assert nurse.post("/api/visit", json=body).status_code == 422, day
    event = {"term": "Fever", "grade": 3, "start_date": "2026-01-01", "serious": True}
    for moment in TIMES:
        body = {"patient_id": "p1", "values": {**event, "became_aware_time": moment}}
        assert nurse.post("/api/adverse_event", json=body).status_code == 422, moment
    for moment in ("2026-01-01T00:00:00Z", "1800-01-01T00:00:00+14:00", "2199-12-31T23:59:59.5-12:00"):
        body = {"patient_id": "p1", "values": {**event, "became_aware_time": moment}}
        assert nurse.post("/api/adverse_event", json=body).status_code == 201, moment
    rows = nurse.get("/api/serious-events")
    assert rows.status_code == 200 and len(rows.json()) == 3
