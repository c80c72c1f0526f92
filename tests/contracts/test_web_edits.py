"""Plans changed before their day, and identities erased, over HTTP."""

from __future__ import annotations

import json

import pytest
from procedure_days import make_plan_document
from web_record import open_web_record

from hepatica.record.people import Role
from hepatica.workflows.record_ports import VaultEntry
from hepatica.workflows.verify_record import verify_record

EDIT = {
    "dose_changes": [{"lesion_id": "L1", "volume_ml": 1.0, "reason": "bled"}],
    "chosen_punctures": ["P1b"],
    "reason": "seen on today's scan",
}


@pytest.fixture
def record(tmp_path):
    opened = open_web_record(tmp_path)
    opened.add("site", "s1", {"name": "North", "country_code": "GBR"}, patient_id="")
    opened.add_patient()
    digest = opened.context.files.keep_bytes(json.dumps(make_plan_document()).encode())
    scan = {"series_uid": "2.25.3", "modality": "CT", "content_digest": digest, "state": "accepted"}
    opened.add("scan", "c1", scan)
    plan = {"scan_id": "c1", "visit_number": 1, "status": "cleared", "files": {"plan.json": digest}}
    opened.add("plan", "q1", plan)
    yield opened
    opened.home.close()


def edit(client, body, version=1):
    return client.patch("/api/plan/q1", json=body, headers={"if-match": f'"{version}-x"'})


@pytest.mark.requirement("F-procedure-edits")
def test_a_plan_is_changed_with_a_reason_before_its_day_and_not_after(record):
    doctor, nurse = record.enter("ida", Role.INVESTIGATOR), record.enter("ben", Role.COORDINATOR)
    assert edit(nurse, EDIT).status_code == 403
    assert edit(doctor, {**EDIT, "chosen_punctures": ["P9"]}).status_code == 422
    assert edit(doctor, {**EDIT, "files": {}}).status_code == 422
    assert doctor.get("/api/plan/q1").json()["version"] == 1, "what was refused is not kept"
    done = edit(doctor, EDIT)
    assert done.status_code == 200 and done.json()["values"]["chosen_punctures"] == ["P1b"]
    assert edit(doctor, EDIT).status_code == 409, "somebody was first"
    where = f"/api/procedure/{doctor.post('/api/procedure', json={'plan_id': 'q1'}).json()['item_id']}"
    day = doctor.get(f"{where}/day").json()["day"]
    assert day["chosen_punctures"] == ["P1b"] and day["dose_changes"] == EDIT["dose_changes"]
    assert {(row["key"], row["planned_ml"]) for row in day["deposits"]} == {
        ("P1b/1/1", 0.5), ("P1b/1/2", 0.5), ("P2/1/1", 0.5),
    }  # fmt: skip
    late = edit(doctor, {"dose_changes": [], "reason": "back"}, version=2)
    assert late.status_code == 409 and "deviation" in late.json()["action"]
    assert verify_record(record.context, record.home.store, key=None).findings == ()


@pytest.mark.requirement("F-procedure-edits")
def test_a_change_is_taken_back_by_an_empty_list_and_what_is_not_named_stays(record):
    doctor = record.enter("ida", Role.INVESTIGATOR)
    edit(doctor, EDIT)
    back = edit(doctor, {"dose_changes": [], "reason": "as planned"}, version=2).json()["values"]
    assert "dose_changes" not in back and back["chosen_punctures"] == ["P1b"]


@pytest.mark.requirement("F-identity-erasure")
def test_an_identity_is_erased_with_what_the_scans_said_and_only_by_its_right_at_its_site(record):
    identity = {"family_name": "Quellenbrunn", "birth_date": "1951-02-03"}
    record.add("identity", "i1", identity)
    said = json.dumps([{"family_name": "Quellenbrunn", "given_name": "", "birth_date": "", "sex_code": ""}])
    with record.context.store.writing() as writer:
        writer.vault.keep([VaultEntry(purpose="scan_identity", pseudonym="c1", original=said)])
        writer.vault.keep([VaultEntry(purpose="series", pseudonym="2.25.3", original="{}")])
    where, body = "/api/patient/p1/identity-erasure", {"reason": "he asked for it"}
    nurse = record.enter("ben", Role.COORDINATOR)
    assert nurse.get("/api/scan/c1/identity").json()[0]["family_name"] == "Quellenbrunn"
    assert record.enter("ida", Role.INVESTIGATOR).post(where, json=body).status_code == 403
    far = record.enter("far", Role.COORDINATOR, sites=("s2",))
    assert far.post(where, json=body).status_code == 404
    assert nurse.post(where, json={"reason": "  "}).status_code == 422
    assert nurse.post(where, json=body).json() == {"erased": 2}
    assert nurse.get("/api/identity/i1").status_code == nurse.get("/api/scan/c1/identity").status_code == 404
    assert nurse.post(where, json=body).status_code == 404, "nothing is left"
    with record.context.store.reading() as reader:
        assert reader.vault.find("series", "2.25.3") is None
    assert verify_record(record.context, record.home.store, key=None).findings == ()
    database = record.home.folder / "record.sqlite"
    assert b"Quellenbrunn" not in b"".join(path.read_bytes() for path in database.parent.glob("*.sqlite*"))


@pytest.mark.requirement("F-api-idempotency")
def test_a_repeated_answer_keeps_no_name_outside_its_seal_and_ends_with_the_right_to_the_site(record):
    nurse, boss = record.enter("ben", Role.COORDINATOR), record.enter("adm", Role.ADMINISTRATOR, sites=())
    body = {"patient_id": "p1", "values": {"family_name": "Quellenbrunn", "birth_date": "1951-02-03"}}
    one, two = (nurse.post("/api/identity", json=body, headers={"idempotency-key": "k1"}) for _ in range(2))
    assert one.status_code == 201 and one.json() == two.json() and one.headers["etag"] == two.headers["etag"]
    assert one.json()["values"] == body["values"]
    with record.context.store.reading() as reader:
        kept = reader.connection.exec_driver_sql("SELECT answer FROM answer").scalars().all()
    assert kept and not any("Quellenbrunn" in str(row) or "1951" in str(row) for row in kept)
    account = nurse.get("/api/me").json()["account_id"]
    known = boss.get(f"/api/account/{account}")
    moved = {"site_ids": ["s2"], "reason": "another site"}
    done = boss.patch(f"/api/account/{account}", json=moved, headers={"if-match": known.headers["etag"]})
    assert done.status_code == 200, done.text
    again = record.client()
    again.post("/api/login", json={"login": "ben", "password": "three quiet herons"})
    late = again.post("/api/identity", json=body, headers={"idempotency-key": "k1"})
    assert late.status_code == 403 and "Quellenbrunn" not in late.text
