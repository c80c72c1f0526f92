"""What is open in the data: counted by hand on a small record, at one's own sites only."""

from __future__ import annotations

import pytest
from web_record import open_web_record

from hepatica.record.people import Role

EVENT = {"term": "Pain", "grade": 2, "start_date": "2026-01-02", "serious": False}


def ask(client, item_id):
    asked = {"about_kind": "adverse_event", "about_item_id": item_id, "about_field": "grade", "question": "?"}
    return client.post("/api/query", json=asked).json()


@pytest.mark.requirement("G-quality")
def test_open_queries_verified_values_and_open_ends_are_counted_by_site(tmp_path):
    web = open_web_record(tmp_path)
    for patient, site in (("p1", "s1"), ("p2", "s2")):
        web.add_patient(patient, site_id=site)
        for number in range(3):
            web.add("adverse_event", f"{patient}-e{number}", EVENT, patient_id=patient, site_id=site)
    both = ["s1", "s2"]
    manager = web.enter("dm", Role.DATA_MANAGER, sites=both)
    monitor = web.enter("mo", Role.MONITOR, sites=both)
    nurse = web.enter("co", Role.COORDINATOR, sites=both)
    answered = ask(monitor, "p1-e0")
    ask(monitor, "p1-e1")
    ask(monitor, "p2-e0")
    path = f"/api/query/{answered['item_id']}/answer"
    assert nurse.post(path, json={"answer": "yes"}, headers={"if-match": '"1"'}).status_code == 200
    verified = {"about_kind": "adverse_event", "verified_fields": ["grade"]}
    for name in ("p1-e0", "p1-e1", "p1-e2"):
        body = {**verified, "about_item_id": name}
        assert monitor.post("/api/verification", json=body, headers={"if-match": '"1"'}).status_code == 201
    for name, values in (("p1-e1", {"grade": 3}), ("p1-e2", {"note": "seen again"})):
        body = {"values": values, "reason": "chart"}
        changed = nurse.patch(f"/api/adverse_event/{name}", json=body, headers={"if-match": '"1"'})
        assert changed.status_code == 200, changed.text

    found = manager.get("/api/quality").json()
    assert found["queries"] == [
        {"site_id": "s1", "open_by_age": [1, 0, 0, 0], "answered": 1, "oldest_days": 0},
        {"site_id": "s2", "open_by_age": [1, 0, 0, 0], "answered": 0, "oldest_days": 0},
    ]
    # A change of another field leaves a verified grade verified.
    assert found["sources"] == [
        {"site_id": "s1", "kind": "adverse_event", "items": 3, "verified": 2, "changed": 1},
        {"site_id": "s2", "kind": "adverse_event", "items": 3, "verified": 0, "changed": 0},
    ]
    own = web.enter("here", Role.COORDINATOR, sites=["s1"]).get("/api/quality").json()
    assert {row["site_id"] for rows in (own["queries"], own["sources"], own["ends"]) for row in rows} == {
        "s1"
    }
    assert web.enter("r1", Role.READER_1).get("/api/quality").status_code == 403
    web.home.close()


@pytest.mark.requirement("G-quality")
def test_a_serious_event_names_its_patient_as_people_know_him(tmp_path):
    web = open_web_record(tmp_path)
    web.add_patient()
    web.add("adverse_event", "e1", {**EVENT, "serious": True})
    (row,) = web.enter("co", Role.COORDINATOR).get("/api/serious-events").json()
    assert (row["event"]["patient_id"], row["subject_id"]) == ("p1", "S-p1")
    web.home.close()
