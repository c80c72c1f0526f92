"""The interface over HTTP: login, items, versions, repetition, blinding, other sites, headers."""

from __future__ import annotations

import warnings

import pytest

from hepatica.adapters.store.home import make_home
from hepatica.bootstrap import SystemClock
from hepatica.entrypoints.web.app import make_app
from hepatica.entrypoints.web.settings import COOKIE, WebSettings
from hepatica.record.people import Role, make_system_actor
from hepatica.workflows.accounts import accept_link, invite_account
from hepatica.workflows.record_ports import RecordContext

PASSWORD = "three quiet herons"
WRITES = {"x-hepatica": "1"}


class PlainPasswords:
    """Quick stand-in for the slow hash."""

    def hash_password(self, password: str) -> str:
        return password[::-1]

    def matches(self, password: str, hashed: str | None) -> bool:
        return hashed is not None and password[::-1] == hashed


@pytest.fixture
def server(tmp_path):
    home = make_home(tmp_path / "home", mode="clinical")
    context = RecordContext(
        store=home.store, files=home.files, clock=SystemClock(), actor=make_system_actor()
    )
    settings = WebSettings(hosts=frozenset({"127.0.0.1"}), secure_cookies=False, version="0", mode="clinical")
    yield make_app(context, PlainPasswords(), settings=settings), context
    home.close()


def make_client(server, **more):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from starlette.testclient import TestClient
    return TestClient(server[0], base_url="http://127.0.0.1", raise_server_exceptions=False, **more)


def enter(server, login: str, *roles: Role, sites=("s1",)):
    _, secret = invite_account(server[1], login=login, display_name=login, roles=roles, site_ids=sites)
    accept_link(server[1], PlainPasswords(), secret=secret, password=PASSWORD)
    client = make_client(server, headers=WRITES)
    answer = client.post("/api/login", json={"login": login, "password": PASSWORD})
    assert answer.status_code == 200
    return client


def add_patient(client, subject="S-1", site="s1"):
    body = {"site_id": site, "values": {"subject_id": subject, "status": "screening"}}
    return client.post("/api/patient", json=body)


@pytest.mark.requirement("F-api")
def test_who_is_not_logged_in_gets_nothing(server):
    client = make_client(server)
    answer = client.get("/api/patient")
    assert answer.status_code == 401
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["code"] == "authentication"


@pytest.mark.requirement("F-api")
def test_an_item_is_made_read_changed_and_removed_with_its_version(server):
    nurse = enter(server, "ben", Role.COORDINATOR)
    made = add_patient(nurse)
    assert made.status_code == 201
    where = f"/api/patient/{made.json()['item_id']}"
    assert nurse.get(where).headers["etag"] == made.headers["etag"]
    body = {"values": {"cohort": "2"}, "reason": "assigned"}
    assert nurse.patch(where, json=body).status_code == 428
    changed = nurse.patch(where, json=body, headers={"if-match": made.headers["etag"]})
    assert changed.status_code == 200 and changed.json()["version"] == 2
    late = nurse.patch(where, json=body, headers={"if-match": made.headers["etag"]})
    assert late.status_code == 409 and late.json()["code"] == "conflict"
    no_reason = nurse.patch(
        where, json={"values": {"cohort": "3"}}, headers={"if-match": changed.headers["etag"]}
    )
    assert no_reason.status_code == 422 and no_reason.json()["code"] == "record_input"
    history = nurse.get(f"/api/events/patient/{made.json()['item_id']}").json()["events"]
    assert [event["action"] for event in history] == ["create", "change"]
    gone = nurse.post(where + "/removal", json={"reason": "twice"}, headers={"if-match": '"2-x"'})
    assert gone.status_code == 204 and nurse.get(where).status_code == 404


@pytest.mark.requirement("F-api-idempotency")
def test_a_request_sent_twice_with_its_key_is_done_once(server):
    nurse = enter(server, "ben", Role.COORDINATOR)
    body = {"site_id": "s1", "values": {"subject_id": "S-1", "status": "screening"}}
    first, second = (
        nurse.post("/api/patient", json=body, headers={"idempotency-key": "k1"}) for _ in range(2)
    )
    assert first.json() == second.json()
    assert nurse.get("/api/patient").json()["total"] == 1
    body["values"]["subject_id"] = "S-2"
    other = nurse.post("/api/patient", json=body, headers={"idempotency-key": "k1"})
    assert other.status_code == 409


@pytest.mark.requirement("F-rights")
def test_another_sites_patient_is_not_there(server):
    here, there = (
        enter(server, "ben", Role.COORDINATOR),
        enter(server, "eva", Role.COORDINATOR, sites=["s2"]),
    )
    made = add_patient(here).json()
    assert there.get(f"/api/patient/{made['item_id']}").status_code == 404
    assert there.get("/api/patient").json()["total"] == 0
    assert add_patient(there, site="s1").status_code == 403
    stolen = {"patient_id": made["item_id"], "site_id": "s2", "values": {"question": "?"}}
    assert there.post("/api/query", json=stolen).status_code in (403, 404, 422)


@pytest.mark.requirement("F-blinding")
def test_a_reader_sees_lesions_without_what_was_injected(server):
    doctor = enter(server, "ida", Role.INVESTIGATOR)
    patient = add_patient(doctor).json()["item_id"]
    lesion = {
        "patient_id": patient,
        "values": {
            "lesion_label": "L1",
            "tracking_uid": "2.25.1",
            "location": "LIVER",
            "injected_dates": ["2026-01-05"],
        },
    }
    made = doctor.post("/api/lesion", json=lesion)
    assert made.status_code == 201
    reader = enter(server, "rob", Role.READER_1)
    where = f"/api/lesion/{made.json()['item_id']}"
    assert reader.get(where).status_code == 404, "not a patient he was given"
    from hepatica.record.item import Item
    from hepatica.workflows.change_item import create_item

    with server[1].store.writing() as writer:
        create_item(
            server[1],
            writer,
            item=Item(
                kind="read",
                item_id="r1",
                site_id="s1",
                patient_id=patient,
                version=1,
                values={
                    "reader_id": reader.get("/api/me").json()["account_id"],
                    "role": "reader_1",
                    "criterion": "recist-1.1",
                    "scan_ids": [],
                    "state": "assigned",
                },
            ),
        )
    assert set(reader.get(where).json()["values"]) == {"lesion_label", "tracking_uid", "location"}
    assert reader.get("/api/lesion", params={"injected_dates": "x"}).status_code == 404
    assert "injected" not in reader.get(f"/api/events/lesion/{made.json()['item_id']}").text
    assert reader.get("/api/plan").status_code == 403


@pytest.mark.requirement("F-signature")
def test_a_signature_is_broken_by_a_later_change(server):
    doctor = enter(server, "ida", Role.INVESTIGATOR)
    made = add_patient(doctor)
    where = f"patient/{made.json()['item_id']}"
    version = {"if-match": made.headers["etag"]}
    wrong = doctor.post(
        f"/api/signatures/{where}", json={"meaning": "seen", "password": "x" * 20}, headers=version
    )
    assert wrong.status_code == 401
    signed = doctor.post(
        f"/api/signatures/{where}", json={"meaning": "seen", "password": PASSWORD}, headers=version
    )
    assert signed.status_code == 201
    doctor.patch(f"/api/{where}", json={"values": {"cohort": "1"}, "reason": "late"}, headers=version)
    (mark,) = doctor.get(f"/api/signatures/{where}").json()
    assert mark["state"] == "broken"


@pytest.mark.requirement("F-guard")
def test_other_hosts_other_sites_pages_and_large_bodies_are_refused(server):
    client = make_client(server)
    assert client.get("/health", headers={"host": "evil.example"}).status_code == 421
    assert client.post("/api/login", json={"login": "a", "password": "b"}).status_code == 403
    crossed = {**WRITES, "origin": "http://evil.example"}
    assert client.post("/api/login", json={"login": "a", "password": "b"}, headers=crossed).status_code == 403
    large = client.post("/api/login", content=b"x" * (2 << 20), headers=WRITES)
    assert large.status_code == 413
    answer = client.get("/health")
    assert answer.status_code == 200
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert answer.headers["x-content-type-options"] == "nosniff"


@pytest.mark.requirement("F-guard")
def test_the_session_cookie_cannot_be_read_by_scripts_or_sent_by_other_sites(server):
    nurse = enter(server, "ben", Role.COORDINATOR)
    answer = nurse.post("/api/login", json={"login": "ben", "password": PASSWORD})
    cookie = answer.headers["set-cookie"].lower()
    assert COOKIE in cookie and "httponly" in cookie and "samesite=strict" in cookie


@pytest.mark.requirement("F-privacy")
def test_a_refused_body_is_not_repeated_in_the_answer(server):
    nurse = enter(server, "ben", Role.COORDINATOR)
    patient = add_patient(nurse).json()["item_id"]
    body = {"patient_id": patient, "values": {"family_name": 7, "birth_date": "Mustermann 1951"}}
    assert "Mustermann" not in nurse.post("/api/identity", json=body).text
    body = {"patient_id": patient, "values": {"birth_date": "Mustermann 1951"}}
    answer = nurse.post("/api/identity", json=body)
    assert answer.status_code == 422 and "Mustermann" not in answer.text


@pytest.mark.requirement("F-api")
def test_every_kind_is_described_and_faults_say_nothing_of_the_inside(server):
    document = make_client(server).get("/api/openapi.json").json()
    assert "/api/adverse_event/{item_id}" in document["paths"]
    assert document["components"]["schemas"]["AdverseEventValues"]["properties"]["grade"]


@pytest.mark.requirement("F-api")
def test_what_looks_like_a_number_and_is_none_is_refused_and_not_a_fault(server):
    client = enter(server, "cora", Role.COORDINATOR)
    patient_id = add_patient(client).json()["item_id"]
    change = {"values": {"status": "screening"}, "reason": "r"}
    headers = {"if-match": '"\u00b2-x"'.encode("latin-1")}
    assert client.patch(f"/api/patient/{patient_id}", json=change, headers=headers).status_code == 400
    for text in ("\u00b2", "--1", "-", "1-1"):
        answer = client.get("/api/visit", params={"visit_number": text})
        assert (answer.status_code, answer.json()["items"]) == (200, [])


@pytest.mark.requirement("F-api")
def test_a_document_nested_too_deeply_is_refused_and_nothing_is_kept(server):
    client = enter(server, "ida", Role.INVESTIGATOR)
    patient_id = add_patient(client).json()["item_id"]
    deep = '{"a":' * 900 + "1" + "}" * 900
    body = f'{{"kind":"plan","patient_id":"{patient_id}","request":{deep}}}'
    answer = client.post("/api/job", content=body, headers={"content-type": "application/json"})
    assert (answer.status_code, answer.json()["code"]) == (422, "input")
    assert client.get("/api/job").json()["jobs"] == []


@pytest.mark.requirement("F-api")
def test_who_is_logged_in_is_told_by_name(server):
    me = enter(server, "cora", Role.COORDINATOR).get("/api/me").json()
    assert (me["login"], me["display_name"], me["roles"]) == ("cora", "cora", ["coordinator"])
