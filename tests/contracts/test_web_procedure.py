"""The day, consent, serious events, queries and verification over HTTP."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import warnings
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from procedure_days import make_day, make_entry, make_plan_document

import hepatica
from hepatica.adapters.store.home import make_home
from hepatica.entrypoints.web.app import make_app
from hepatica.entrypoints.web.settings import WebSettings
from hepatica.procedure.document import to_entry_document
from hepatica.record.item import Item
from hepatica.record.people import Role, make_system_actor
from hepatica.workflows.accounts import accept_link, invite_account
from hepatica.workflows.change_item import create_item
from hepatica.workflows.record_ports import RecordContext
from hepatica.workflows.verify_record import verify_record

PASSWORD = "three quiet herons"
START = datetime(2026, 3, 2, 13, 0, tzinfo=UTC)


class Clock:
    """A time that a test sets."""

    def __init__(self):
        self.time = START

    def now(self):
        return self.time


class PlainPasswords:
    """Quick stand-in for the slow hash."""

    def hash_password(self, password: str) -> str:
        return password[::-1]

    def matches(self, password: str, hashed: str | None) -> bool:
        return hashed is not None and password[::-1] == hashed


@pytest.fixture
def server(tmp_path):
    home = make_home(tmp_path / "home", mode="clinical")
    context = RecordContext(store=home.store, files=home.files, clock=Clock(), actor=make_system_actor())
    digest = home.files.keep_bytes(json.dumps(make_plan_document()).encode())
    with context.store.writing() as writer:
        for kind, item_id, values in (
            ("site", "s1", {"name": "North", "country_code": "GBR"}),
            ("study", "v2", {"title": "T", "protocol_version": "2.0", "valid_from_date": "2025-01-01", "dose_protocol": "tvec-label"}),
            ("study", "v3", {"title": "T", "protocol_version": "3.0", "valid_from_date": "2026-01-01", "dose_protocol": "tvec-label"}),
            ("patient", "p1", {"subject_id": "01-001", "status": "on_treatment"}),
            ("scan", "c1", {"series_uid": "2.25.3", "modality": "CT", "content_digest": digest, "state": "accepted"}),
            ("lesion", "x1", {"lesion_label": "A", "tracking_uid": "2.25.49", "location": "LIVER", "injected_dates": ["2026-02-02"]}),
            ("plan", "q1", {"scan_id": "c1", "visit_number": 1, "status": "cleared", "files": {"plan.json": digest}}),
        ):  # fmt: skip
            patient = "p1" if kind in ("patient", "scan", "plan", "lesion") else ""
            create_item(
                context, writer,
                item=Item(kind=kind, item_id=item_id, site_id="" if kind == "study" else "s1", patient_id=patient, version=1, values=values),
            )  # fmt: skip
    settings = WebSettings(hosts=frozenset({"127.0.0.1"}), secure_cookies=False, version="0", mode="clinical")
    yield make_app(context, PlainPasswords(), settings=settings), context, home
    home.close()


def enter(server, login: str, *roles: Role, sites=("s1",)):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from starlette.testclient import TestClient
    _, secret = invite_account(server[1], login=login, display_name=login, roles=roles, site_ids=sites)
    accept_link(server[1], PlainPasswords(), secret=secret, password=PASSWORD)
    client = TestClient(
        server[0], base_url="http://127.0.0.1", raise_server_exceptions=False, headers={"x-hepatica": "1"}
    )
    assert client.post("/api/login", json={"login": login, "password": PASSWORD}).status_code == 200
    return client


def to_body(*entries):
    rows = [to_entry_document(entry) for entry in entries]
    return {"entries": [{k: v for k, v in row.items() if k not in ("entered_at", "author")} for row in rows]}


def send(client, where, entries, key=""):
    return client.post(
        f"{where}/entries", json=to_body(*entries), headers={"idempotency-key": key} if key else {}
    )


def start(client):
    answer = client.post("/api/procedure", json={"plan_id": "q1"}, headers={"idempotency-key": "start"})
    assert answer.status_code == 201, answer.text
    return f"/api/procedure/{answer.json()['item_id']}"


@pytest.mark.requirement("F-procedure-journey")
def test_a_day_is_begun_entered_by_two_tablets_closed_and_handed_on(server):
    doctor, nurse = enter(server, "ida", Role.INVESTIGATOR), enter(server, "ben", Role.COORDINATOR)
    where = start(doctor)
    assert start(doctor) == where, "sent again with its key"
    assert doctor.post("/api/procedure", json={"plan_id": "q1"}).status_code == 409
    assert not [
        n for n in doctor.get(f"{where}/day").json()["day"]["next"] if n["kind"] == "deposit" and n["allowed"]
    ]
    day = make_day()[:-1]
    signs = [entry for entry in day if entry.kind in ("vital_signs", "sedation_start", "sedation_stop")]
    rest = [entry for entry in day if entry not in signs]
    assert send(doctor, where, rest[:8]).status_code == 200
    assert send(nurse, where, signs).status_code == 200
    after = send(doctor, where, rest[8:])
    assert after.status_code == 200 and after.json()["day"]["findings"] == []
    assert after.json()["day"]["totals"]["given_ml"] == 2.5
    assert after.json()["not_handed_on"] == ["L2: not a lesion of the record"]
    closing = to_body(make_day()[-1])["entries"][0]
    assert nurse.post(f"{where}/closing", json=closing).status_code == 428
    stale = nurse.post(f"{where}/closing", json=closing, headers={"if-match": '"2-x"'})
    assert stale.status_code == 409 and "meanwhile" in stale.json()["action"]
    closed = nurse.post(f"{where}/closing", json=closing, headers={"if-match": after.headers["etag"]})
    assert closed.status_code == 200 and closed.json()["item"]["values"]["state"] == "closed"
    assert closed.json()["not_handed_on"] == []
    authors = {e["entry_id"]: e["author"] for e in closed.json()["item"]["values"]["entries"]}
    assert authors["e20"] == nurse.get("/api/me").json()["account_id"] != authors["e31"]
    assert doctor.get("/api/lesion/x1").json()["values"]["injected_dates"] == ["2026-02-02", "2026-03-02"]
    (visit,) = doctor.get("/api/visit", params={"patient_id": "p1"}).json()["items"]
    assert (visit["values"]["name"], visit["values"]["status"]) == ("injection", "done")
    assert doctor.get("/api/patient/p1").json()["values"]["reference_date"] == "2026-03-02"
    tables = doctor.get(f"{where}/tables").json()
    assert tables["injections"][0] == {"subject": "01-001", "lesion": "2.25.49", "date": "2026-03-02"}
    assert tables["exposure"][0]["EXDOSE"] == "2000000" and tables["events"][0]["status"] == "done"
    assert verify_record(server[1], server[2].store, key=None).findings == ()


@pytest.mark.requirement("F-procedure-journey")
def test_a_lost_connection_leads_to_no_second_deposit(server):
    doctor = enter(server, "ida", Role.INVESTIGATOR)
    where = start(doctor)
    day = make_day()
    upto = [entry for entry in day if entry.entry_id < "e32"]
    first = send(doctor, where, upto, key="k1")
    # The answer is lost: the tablet sends the same again, then, restarted, the same entries under another key.
    again = send(doctor, where, upto, key="k1")
    assert again.json() == first.json() and again.headers["etag"] == first.headers["etag"]
    restarted = send(doctor, where, upto, key="k2").json()
    assert restarted["added"] == [] and len(restarted["repeated"]) == len(upto)
    assert restarted["item"]["version"] == first.json()["item"]["version"]
    assert restarted["day"]["totals"]["given_ml"] == 0.5
    other = make_entry(
        "e31", "deposit", "08:45", needle_id="N1", lesion_id="L1", syringe_id="S1", volume_ml=0.4, leak="none"
    )
    assert send(doctor, where, [other]).status_code == 409
    assert send(doctor, where, [other], key="k1").status_code == 409, "another request under a used key"


@pytest.mark.requirement("F-procedure-journey")
def test_a_correction_after_the_closing_moves_what_was_handed_on(server):
    doctor = enter(server, "ida", Role.INVESTIGATOR)
    where = start(doctor)
    sent = send(doctor, where, make_day())
    assert sent.status_code == 200 and sent.json()["day"]["phase"] == "closed"
    assert send(doctor, where, [make_entry("n1", "note", "13:20", text="late")]).status_code == 423
    voids = [
        make_entry(f"c{i}", "void", "14:00", supersedes=f"e3{i}", reason="other patient")
        for i in (1, 2, 3, 4)
    ]
    fixed = send(doctor, where, voids)
    assert fixed.status_code == 200 and fixed.json()["day"]["replaced"] == {
        f"e3{i}": f"c{i}" for i in (1, 2, 3, 4)
    }
    assert doctor.get("/api/lesion/x1").json()["values"]["injected_dates"] == ["2026-02-02"]
    history = doctor.get(f"/api/events/procedure/{where.rsplit('/', 1)[1]}").json()["events"]
    assert history[-1]["reason"] == "other patient; other patient; other patient; other patient"


@pytest.mark.requirement("F-procedure-journey")
def test_wrong_entries_are_refused_whole_and_other_sites_see_nothing(server):
    doctor = enter(server, "ida", Role.INVESTIGATOR)
    where = start(doctor)
    bad = send(
        doctor,
        where,
        [make_day()[0], make_entry("b", "draw", "09:00", syringe_id="S", vial_id="V", volume_ml=-1)],
    )
    assert bad.status_code == 422 and bad.json()["code"] == "record_input"
    assert doctor.get(where).json()["values"]["entries"] == []
    away = enter(server, "eva", Role.INVESTIGATOR, sites=["s2"])
    for answer in (
        away.get(f"{where}/day"),
        away.get(f"{where}/tables"),
        send(away, where, make_day()[:1]),
        away.post("/api/procedure", json={"plan_id": "q1"}),
    ):
        assert answer.status_code == 404
    reader, monitor = enter(server, "rob", Role.READER_1), enter(server, "mo", Role.MONITOR)
    assert reader.get(f"{where}/day").status_code == 403
    assert (
        monitor.get(f"{where}/day").status_code == 200
        and send(monitor, where, make_day()[:1]).status_code == 403
    )


@pytest.mark.requirement("F-consent")
def test_a_withdrawal_stops_what_its_scope_says_and_nothing_of_safety(server):
    nurse, doctor = enter(server, "ben", Role.COORDINATOR), enter(server, "ida", Role.INVESTIGATOR)
    body = {"patient_id": "p1", "study_id": "v3", "form_version": "3.0-EN", "signed_date": "2026-01-10"}
    signed = nurse.post("/api/consent", json=body, headers={"idempotency-key": "c"})
    assert signed.status_code == 201
    assert nurse.post("/api/consent", json=body, headers={"idempotency-key": "c"}).json() == signed.json()
    assert nurse.get("/api/patient/p1/consent").json()["holds"] is True
    assert nurse.post("/api/consent", json={**body, "signed_date": "2026-03-10"}).status_code == 422, (
        "in the future"
    )
    where = f"/api/consent/{signed.json()['item_id']}/withdrawal"
    leave = {"withdrawn_date": "2026-02-20", "withdrawal_scope": "treatment", "reason": "none given"}
    out = nurse.post(where, json=leave, headers={"if-match": signed.headers["etag"]})
    assert out.status_code == 200
    refused = doctor.post("/api/procedure", json={"plan_id": "q1"})
    assert refused.status_code == 409 and refused.json()["code"] == "consent"

    def add(kind, **values):
        return nurse.post(f"/api/{kind}", json={"patient_id": "p1", "values": values}).status_code

    assert add("visit", name="safety", visit_number=9, status="done", date="2026-03-01") == 201
    wider = {**leave, "withdrawal_scope": "treatment_and_follow_up"}
    assert nurse.post(where, json=leave, headers={"if-match": out.headers["etag"]}).status_code == 409, (
        "the same again"
    )
    assert nurse.post(where, json=wider, headers={"if-match": out.headers["etag"]}).status_code == 200
    assert nurse.get("/api/patient/p1").json()["values"]["status"] == "withdrawn"
    assert nurse.get("/api/patient/p1/consent").json()["stopped"] == {
        "treatment": "2026-02-20",
        "follow_up": "2026-02-20",
    }
    assert add("visit", name="imaging", visit_number=10, status="done", date="2026-03-01") == 409
    assert add("visit", name="imaging", visit_number=11, status="done", date="2026-02-19") == 201, (
        "before the withdrawal"
    )
    assert add("adverse_event", term="bleeding", start_date="2026-03-01", serious=True) == 201
    again = {**body, "signed_date": "2026-03-01"}
    assert nurse.post("/api/consent", json=again).status_code == 201
    answer = nurse.get("/api/patient/p1/consent").json()
    stops = answer.pop("stops")
    # Each scope stops what the one before it does, and more.
    scopes = [
        set(stops[scope])
        for scope in ("treatment", "treatment_and_follow_up", "treatment_follow_up_and_data")
    ]
    assert {"Plan", "Procedure"} == scopes[0] < scopes[1] < scopes[2]
    assert answer | {"consent_id": ""} == {
        "holds": True,
        "consent_id": "",
        "study_id": "v3",
        "stopped": {},
    }


@pytest.mark.requirement("F-consent")
def test_a_consent_to_an_older_protocol_version_keeps_the_time_out_open(server):
    doctor = enter(server, "ida", Role.INVESTIGATOR)
    where = start(doctor)
    old = make_entry("o1", "consent_check", "08:00", confirmed=True, protocol_version="2.0")
    answer = send(doctor, where, [old, *make_day()[1:3]]).json()["day"]
    assert "procedure.consent_version" in {finding["rule"] for finding in answer["findings"]}
    (time_out,) = [row for row in answer["next"] if row["kind"] == "time_out"]
    assert time_out["reasons"] == ["not yet: consent to this protocol version is confirmed"]


@pytest.mark.requirement("F-serious-clock")
def test_a_serious_event_is_open_late_or_reported_after_24_hours(server):
    nurse, clock = enter(server, "ben", Role.COORDINATOR), server[1].clock
    event = {
        "term": "haemorrhage",
        "start_date": "2026-03-02",
        "serious": True,
        "became_aware_time": "2026-03-02T13:00:00+00:00",
    }
    made = nurse.post("/api/adverse_event", json={"patient_id": "p1", "values": event})
    nurse.post(
        "/api/adverse_event",
        json={"patient_id": "p1", "values": {"term": "pain", "start_date": "2026-03-02", "serious": False}},
    )
    nurse.post(
        "/api/adverse_event",
        json={"patient_id": "p1", "values": {"term": "sepsis", "start_date": "2026-03-02", "serious": True}},
    )

    def look():
        rows = nurse.get("/api/serious-events", params={"patient_id": "p1"}).json()
        return [(row["event"]["values"]["term"], row["state"], row["left_h"]) for row in rows]

    unknown = ("sepsis", "not evaluable", None)
    assert look() == [unknown, ("haemorrhage", "open", 24.0)]
    clock.time = START + timedelta(hours=24)
    nurse.post("/api/login", json={"login": "ben", "password": PASSWORD})
    assert look()[1] == ("haemorrhage", "open", 0.0)
    clock.time += timedelta(seconds=36)
    assert look()[1] == ("haemorrhage", "late", -0.01)
    where, version = f"/api/adverse_event/{made.json()['item_id']}/report", {"if-match": made.headers["etag"]}
    for wrong in ("2026-03-02T12:59:00+00:00", "2026-03-05T12:00:00+00:00", "yesterday"):
        assert nurse.post(where, json={"reported_time": wrong}, headers=version).status_code == 422
    done = nurse.post(where, json={"reported_time": "2026-03-03T12:00:00+00:00"}, headers=version)
    assert done.status_code == 200 and look()[1] == ("haemorrhage", "in time", 1.0)
    assert (
        nurse.post(
            where,
            json={"reported_time": "2026-03-03T12:00:00+00:00"},
            headers={"if-match": done.headers["etag"]},
        ).status_code
        == 409
    )


@pytest.mark.requirement("F-queries")
def test_a_query_is_opened_by_the_monitor_answered_by_the_site_and_closed_by_the_monitor(server):
    monitor, nurse = enter(server, "mo", Role.MONITOR), enter(server, "ben", Role.COORDINATOR)
    body = {
        "about_kind": "lesion",
        "about_item_id": "x1",
        "about_field": "segment",
        "question": "Segment 7 or 8?",
    }
    assert nurse.post("/api/query", json=body).status_code == 403
    assert monitor.post("/api/query", json={**body, "about_field": "family"}).status_code == 422
    query = monitor.post("/api/query", json=body)
    assert query.status_code == 201 and query.json()["patient_id"] == "p1"
    where, version = f"/api/query/{query.json()['item_id']}", {"if-match": query.headers["etag"]}
    assert nurse.post(f"{where}/closing", json={"reason": "done"}, headers=version).status_code == 403
    assert monitor.post(f"{where}/closing", json={}, headers=version).status_code == 422, (
        "no answer, no reason"
    )
    assert monitor.post(f"{where}/answer", json={"answer": "8"}, headers=version).status_code == 403
    answered = nurse.post(f"{where}/answer", json={"answer": "8"}, headers=version)
    assert answered.json()["values"]["state"] == "answered"
    assert (
        nurse.post(
            f"{where}/answer", json={"answer": "7"}, headers={"if-match": answered.headers["etag"]}
        ).status_code
        == 409
    )
    again = monitor.post(
        f"{where}/reopening", json={"reason": "no source"}, headers={"if-match": answered.headers["etag"]}
    )
    assert again.json()["values"]["state"] == "open" and "answer" not in again.json()["values"]
    second = nurse.post(
        f"{where}/answer",
        json={"answer": "8, report of 3 March"},
        headers={"if-match": again.headers["etag"]},
    )
    closed = monitor.post(f"{where}/closing", json={}, headers={"if-match": second.headers["etag"]})
    assert closed.status_code == 200 and closed.json()["values"]["state"] == "closed"
    away = enter(server, "eva", Role.MONITOR, sites=["s2"])
    assert away.post("/api/query", json=body).status_code == 404
    reader = enter(server, "rob", Role.READER_1)
    assert reader.get("/api/query").status_code == 403
    assert (
        nurse.patch(
            where, json={"values": {"state": "closed"}}, headers={"if-match": closed.headers["etag"]}
        ).status_code
        == 405
    )


@pytest.mark.requirement("F-verification")
def test_a_verification_holds_until_a_verified_field_changes(server):
    monitor, doctor = enter(server, "mo", Role.MONITOR), enter(server, "ida", Role.INVESTIGATOR)
    etag = monitor.get("/api/lesion/x1").headers["etag"]
    body = {"about_kind": "lesion", "about_item_id": "x1", "verified_fields": ["location", "injected_dates"]}
    assert doctor.post("/api/verification", json=body, headers={"if-match": etag}).status_code == 403
    assert (
        monitor.post(
            "/api/verification", json={**body, "verified_fields": ["nothing"]}, headers={"if-match": etag}
        ).status_code
        == 422
    )
    assert monitor.post("/api/verification", json=body, headers={"if-match": '"9-x"'}).status_code == 409
    assert monitor.post("/api/verification", json=body, headers={"if-match": etag}).status_code == 201

    def change(etag, **values):
        answer = doctor.patch(
            "/api/lesion/x1", json={"values": values, "reason": "source"}, headers={"if-match": etag}
        )
        assert answer.status_code == 200
        (row,) = monitor.get("/api/verifications/lesion/x1").json()
        return answer.headers["etag"], row["state"], row["changed_fields"]

    etag, state, changed = change(etag, segment="8")
    assert (state, changed) == ("holds", []), "another field"
    etag, state, changed = change(etag, location="LIVER, SEGMENT 8")
    assert (state, changed) == ("changed", ["location"])
    etag, state, changed = change(etag, location="LIVER")
    assert (state, changed) == ("holds", []), "as it was verified"
    away = enter(server, "eva", Role.MONITOR, sites=["s2"])
    assert away.get("/api/verifications/lesion/x1").status_code == 404


@pytest.mark.requirement("F-procedure-journey")
def test_the_web_process_loads_no_numerical_library():
    code = "import sys; import hepatica.entrypoints.web.app; sys.exit(', '.join({'numpy', 'scipy', 'SimpleITK', 'pydicom', 'numba'} & set(sys.modules)) or 0)"
    env = {**os.environ, "PYTHONPATH": str(Path(hepatica.__file__).parents[1])}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, env=env)
    assert done.returncode == 0, done.stderr
