"""A blinded reader tries every way to learn which lesions were injected: fields, versions, events, scans, writes."""

from __future__ import annotations

import json

import pytest
from web_record import open_web_record

from hepatica.record.people import Role
from hepatica.workflows.verify_record import verify_record


@pytest.fixture
def record(tmp_path):
    """Two lesions of one patient; one was injected and changed for it. A read of one of two scans."""
    opened = open_web_record(tmp_path)
    opened.add_patient()
    opened.add_patient("p2")
    for name in ("scan1", "day-of-injection"):
        digest = opened.context.files.keep_bytes(name.encode())
        values = {
            "series_uid": f"2.25.{len(name)}",
            "modality": "CT",
            "content_digest": digest,
            "state": "accepted",
        }
        opened.add("scan", name, values)
    doctor = opened.enter("ida", Role.INVESTIGATOR)
    for name in ("l1", "l2"):
        opened.add(
            "lesion", name, {"lesion_label": name, "tracking_uid": f"2.25.{name[1]}", "location": "LIVER"}
        )
    inject(doctor, "l1", version=1)
    reader = opened.enter("rob", Role.READER_1)
    values = {"role": "reader_1", "criterion": "recist-1.1", "scan_ids": ["scan1"], "state": "assigned"}
    opened.add("read", "r1", {**values, "reader_id": reader.get("/api/me").json()["account_id"]})
    yield opened, doctor, reader
    opened.home.close()


def inject(doctor, name, *, version):
    body = {"values": {"injected_dates": ["2026-01-05"]}, "reason": "injected"}
    answer = doctor.patch(f"/api/lesion/{name}", json=body, headers={"if-match": f'"{version}-x"'})
    assert answer.status_code == 200, answer.text


def look(reader, name):
    """All that a reader is told of a lesion, without what names it and where the trail stands."""
    item, events = (
        reader.get(f"/api/lesion/{name}"),
        reader.get(f"/api/events/lesion/{name}").json()["events"],
    )
    listed = [
        i
        for i in reader.get("/api/lesion", params={"patient_id": "p1"}).json()["items"]
        if i["item_id"] == name
    ]
    plain = [(e["action"], e["version"], e["reason"], len(e["changes"])) for e in events]
    return json.loads(
        json.dumps([item.json()["version"], listed[0]["version"], sorted(item.json()["values"]), plain])
    )


@pytest.mark.requirement("F-blinding")
def test_an_injected_lesion_looks_like_any_other_in_fields_versions_and_events(record):
    _, doctor, reader = record
    assert look(reader, "l1") == look(reader, "l2")
    assert look(reader, "l1")[:2] == [1, 1]
    told = doctor.get("/api/events/lesion/l1").json()["events"]
    assert [event["version"] for event in told] == [1, 2]


@pytest.mark.requirement("F-blinding")
def test_a_reader_writes_his_own_marks_only_and_no_answer_tells_more_than_his_view(record):
    opened, doctor, reader = record
    own = {"lesion_label": "N1", "tracking_uid": "2.25.9", "location": "LIVER"}
    hidden = {"patient_id": "p1", "values": {**own, "injected_dates": ["2026-01-05"]}}
    assert reader.post("/api/lesion", json=hidden).status_code == 422
    assert reader.post("/api/lesion", json={"patient_id": "p2", "values": own}).status_code == 404
    made = reader.post("/api/lesion", json={"patient_id": "p1", "values": own})
    assert made.status_code == 201 and made.json()["values"] == own
    name, tag = made.json()["item_id"], made.headers["etag"]
    inject(doctor, name, version=1)
    seen = reader.get(f"/api/lesion/{name}")
    assert (seen.headers["etag"], seen.json()) == (tag, made.json())
    body = {"values": {"segment": "7"}, "reason": "counted again"}
    done = reader.patch(f"/api/lesion/{name}", json=body, headers={"if-match": tag})
    assert done.status_code == 200 and done.json()["values"] == {**own, "segment": "7"}
    assert done.json()["version"] == 2 and done.headers["etag"] != tag
    assert reader.patch(f"/api/lesion/{name}", json=body, headers={"if-match": tag}).status_code == 409
    unset = {"values": {"injected_dates": None}, "reason": "r"}
    refused = reader.patch(f"/api/lesion/{name}", json=unset, headers={"if-match": done.headers["etag"]})
    assert refused.status_code == 422
    for other in ("l1", "l2"):
        answer = reader.patch(f"/api/lesion/{other}", json=body, headers={"if-match": '"1-x"'})
        removal = reader.post(
            f"/api/lesion/{other}/removal", json={"reason": "r"}, headers={"if-match": '"1-x"'}
        )
        assert (answer.status_code, removal.status_code) == (409, 409)
        assert "somebody else's" in answer.json()["given"]
    kept = doctor.get(f"/api/lesion/{name}").json()["values"]
    assert kept["injected_dates"] == ["2026-01-05"] and kept["segment"] == "7"
    assert verify_record(opened.context, opened.home.store, key=None).findings == ()


@pytest.mark.requirement("F-blinding")
def test_a_reader_sees_the_scans_of_his_read_and_not_those_that_show_the_needle(record):
    _, doctor, reader = record
    assert [item["item_id"] for item in reader.get("/api/scan").json()["items"]] == ["scan1"]
    for path in (
        "/api/scan/day-of-injection",
        "/api/events/scan/day-of-injection",
        "/api/files/scan/day-of-injection/content",
    ):
        assert reader.get(path).status_code == 404 and doctor.get(path).status_code == 200
    assert reader.get("/api/files/scan/scan1/content").content == b"scan1"


@pytest.mark.requirement("F-blinding")
def test_after_the_lock_of_his_own_read_the_whole_history_joins(record):
    opened, _, reader = record
    own = {"lesion_id": "l1", "longest_diameter_mm": 12.0}
    assert reader.post("/api/read/r1/measurement", json=own).status_code == 201
    tag = reader.get("/api/read/r1").headers["etag"]
    assert reader.post("/api/read/r1/lock", headers={"if-match": tag}).status_code == 200
    assert reader.get("/api/lesion/l1").json()["values"]["injected_dates"] == ["2026-01-05"]
    assert reader.get("/api/lesion/l1").json()["version"] == 2
    assert len(reader.get("/api/events/lesion/l1").json()["events"]) == 2


@pytest.mark.requirement("F-blinding")
def test_no_signature_tells_a_reader_that_something_hidden_has_changed(record):
    _, doctor, reader = record
    sign = {"meaning": "injected as planned", "password": "three quiet herons"}
    signed = doctor.post("/api/signatures/lesion/l2", json=sign, headers={"if-match": '"1-x"'})
    assert signed.status_code == 201
    assert reader.get("/api/signatures/lesion/l2").json() == []
    refused = reader.post("/api/signatures/lesion/l2", json=sign, headers={"if-match": '"1-x"'})
    assert refused.status_code == 422
    assert "injected" not in reader.get("/api/signature").text
    own = reader.post(
        "/api/signatures/read/r1", json={**sign, "meaning": "read"}, headers={"if-match": '"1-x"'}
    )
    assert own.status_code == 201 and reader.get("/api/signatures/read/r1").json()[0]["state"] == "valid"


@pytest.mark.requirement("F-blinding")
def test_a_reader_is_told_the_order_of_visits_and_not_when_they_were_entered(record):
    opened, doctor, reader = record
    for number in (1, 2):
        values = {"name": "injection", "visit_number": number, "status": "done", "date": "2026-01-05"}
        opened.add("visit", f"v{number}", values)
    told = doctor.get("/api/patient/p1/timeline").json()["rows"]
    own = reader.get("/api/patient/p1/timeline").json()["rows"]
    assert all(row["entered_at"] for row in told)
    assert {row["kind"] for row in own} == {"scan", "visit", "read"}
    assert all((row["date"], row["entered_at"]) == ("", "") for row in own)
