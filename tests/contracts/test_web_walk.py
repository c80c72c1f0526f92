"""Every route as every role: the answer is the one that the table of rights says, and never a fault."""

from __future__ import annotations

import json
import re
from datetime import timedelta
from pathlib import Path

import pytest
from web_record import PASSWORD, open_web_record

from hepatica.adapters.store.incoming import IncomingFolder
from hepatica.bootstrap import SystemClock
from hepatica.entrypoints.web.rights import (
    ANYBODY,
    JOB_RIGHT,
    KIND_READ,
    list_route_rights,
    to_rights_page,
)
from hepatica.entrypoints.web.services import WebServices
from hepatica.entrypoints.web.settings import COOKIE
from hepatica.record.catalogue import find_kind
from hepatica.record.job import Job
from hepatica.record.people import Role, read_rights
from hepatica.workflows.job_catalogue import find_job_kind, read_job_kinds

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "rights.md"
VALUES = {
    "site": {"name": "North"},
    "patient": {"subject_id": "S-1", "status": "screening"},
    "identity": {"family_name": "Mustermann", "birth_date": "1951-02-03"},
    "study": {"title": "T", "protocol_version": "1", "valid_from_date": "2026-01-01", "dose_protocol": "tvec-label"},
    "consent": {"study_id": "study1", "form_version": "1", "signed_date": "2026-01-01"},
    "scan": {"series_uid": "2.25.1", "modality": "CT", "state": "accepted"},
    "plan": {"scan_id": "scan1", "visit_number": 1, "status": "cleared", "files": {}},
    "spread": {"plan_id": "plan1", "draws": 10, "seed": 1, "files": {}},
    "report": {"about": "trial", "made_time": "2026-01-02T03:04:05+00:00", "partial": False, "files": {}},
    "procedure": {"visit_number": 1, "state": "open", "entries": []},
    "visit": {"name": "V1", "visit_number": 1, "status": "planned"},
    "lesion": {"lesion_label": "L1", "tracking_uid": "2.25.2", "location": "LIVER"},
    "measurement": {"read_id": "read1", "lesion_id": "lesion1", "longest_diameter_mm": 12.0},
    "read": {"role": "reader_1", "criterion": "recist-1.1", "scan_ids": ["scan1"], "state": "assigned"},
    "registration": {
        "baseline_scan_id": "scan1", "followup_scan_id": "scan1", "baseline_digest": "0" * 64, "followup_digest": "0" * 64,
        "outcome": "not_evaluable", "reason": "an example", "code_version": "0",
    },
    "adverse_event": {"term": "Fever", "start_date": "2026-01-02", "serious": False},
    "laboratory": {"test_code": "ALT", "value": 30.0, "unit": "U/L", "date": "2026-01-02"},
    "query": {"about_kind": "lesion", "about_item_id": "lesion1", "question": "?", "state": "open"},
    "verification": {"about_kind": "lesion", "about_item_id": "lesion1", "about_digest": "0" * 64, "verified_fields": []},
    "signature": {
        "signed_kind": "patient", "signed_item_id": "patient1", "signed_version": 1, "signed_digest": "0" * 64,
        "meaning": "read", "signer_id": "u", "proof": "password", "time_utc": "2026-01-02T03:04:05+00:00",
    },
}  # fmt: skip
ENTRY = {"entry_id": "e1", "kind": "note", "occurred_at": "2026-01-02T08:00:00+00:00", "values": {}}
OF_NOBODY = {"site", "study", "account", "report"}
BLINDED = {Role.READER_1, Role.READER_2, Role.ADJUDICATOR}


class MovedClock(SystemClock):
    """The time, some way off."""

    def __init__(self) -> None:
        self.ahead = timedelta(0)

    def now(self):
        return super().now() + self.ahead


@pytest.fixture(scope="module")
def walked(tmp_path_factory):
    """A record with one item of every kind, a job, and a person of every role at its site and at another."""
    folder = tmp_path_factory.mktemp("walk")
    clock = MovedClock()
    services = WebServices(uploads=IncomingFolder(folder / "uploads"))
    web = open_web_record(folder, services=services, clock=clock)
    content = web.context.files.keep_bytes(b"scan")
    people = {role: web.enter(f"{role.value}@here", role) for role in Role}
    others = {role: web.enter(f"{role.value}@there", role, sites=["s2"]) for role in Role}
    ids = {role: client.get("/api/me").json()["account_id"] for role, client in people.items()}
    for kind, values in VALUES.items():
        more = {"scan": {"content_digest": content}, "read": {"reader_id": ids[Role.READER_1]}}.get(kind, {})
        if kind == "plan":
            more = {"files": {"report.html": content}}
        web.add(
            kind, f"{kind}1", {**values, **more}, site_id="" if kind in OF_NOBODY else "s1",
            patient_id="" if kind in OF_NOBODY else "patient1",
        )  # fmt: skip
    for role, name in ((Role.READER_2, "reader_2"), (Role.ADJUDICATOR, "adjudicator")):
        own = {**VALUES["read"], "reader_id": ids[role], "role": name}
        web.add("read", f"read-{name}", own, patient_id="patient1")
    now = web.context.now_utc()
    with web.context.store.writing() as writer:
        for kind, rule in read_job_kinds().items():
            at = {"site_id": "s1", "patient_id": "patient1"} if rule.of_patient else {}
            job = Job(job_id=f"{kind}1", kind=kind, account_id=ids[Role.AUDITOR], request={}, created_at=now, seen_at=now, **at)  # fmt: skip
            writer.jobs.write_job(job)
    web.people, web.others, web.ids, web.clock = people, others, ids, clock
    yield web
    web.home.close()


def body_of(web, method, path, kind):
    """A body that the route takes."""
    if "/events" in path or "/files/" in path or method == "GET":
        return None
    if path == "/api/job":
        return {"kind": "verify"}
    if path.endswith("/removal"):
        return {"reason": "twice"}
    special = {
        "/api/account": {"login": "new", "display_name": "N", "roles": ["monitor"]},
        "/api/account/{account_id}/invitation": {"reason": "new provider"},
        "/api/account/{account_id}": {"display_name": "N", "reason": "married"},
        "/api/read": {"patient_id": "patient1", "reader_id": web.ids[Role.READER_2], "criterion": "mrecist", "scan_ids": ["scan1"]},
        "/api/read/{read_id}/measurement": {"lesion_id": "lesion1", "longest_diameter_mm": 12.0},
        "/api/read/{read_id}/measurement/{measurement_id}": {"longest_diameter_mm": 13.0, "reason": "again"},
        "/api/read/{read_id}/signed-lock": {"meaning": "read", "password": PASSWORD},
        "/api/read/{read_id}/lesion": {"location": "LIVER"},
        "/api/read/{read_id}/registration": {"followup_scan_id": "scan1"},
        "/api/read/{read_id}/choice": {"chosen_read_id": "read1", "reason": "clear"},
        "/api/signatures/{kind}/{item_id}": {"meaning": "read", "password": PASSWORD},
        "/api/locks/{kind}/{item_id}": {"locked": True, "reason": ""},
        "/api/plan/{plan_id}/session/path": {"sequence": 1, "lesion_id": "L1", "entry_lps_mm": [0, 0, 0], "tip_lps_mm": [0, 0, 9]},
        "/api/plan/{plan_id}/session/replan": {"sequence": 1},
        "/api/scan/{scan_id}/acceptance": {"reason": "same person"},
        "/api/scan/{scan_id}/phase": {"phase": "arterial", "reason": "seen"},
        "/api/scan/{scan_id}/rejection": {"reason": "of no use"},
        "/api/scan/{scan_id}/move": {"patient_id": "patient1", "reason": "wrong patient"},
        "/api/pacs/{name}/search": {},
        "/api/patient/{patient_id}/identity-erasure": {"reason": "asked for"},
        "/api/plan/{plan_id}": {"reason": "as it was"},
        "/api/procedure": {"plan_id": "plan1"},
        "/api/procedure/{procedure_id}/entries": {"entries": [ENTRY]},
        "/api/procedure/{procedure_id}/closing": ENTRY,
        "/api/study-check": {"values": VALUES["study"]},
        "/api/consent": {"patient_id": "patient1", "study_id": "study1", "form_version": "1", "signed_date": "2026-01-01"},
        "/api/consent/{consent_id}/withdrawal": {"withdrawn_date": "2026-01-03", "withdrawal_scope": "treatment", "reason": "wish"},
        "/api/adverse_event/{event_id}/report": {"reported_time": "2026-01-02T03:04:05+00:00"},
        "/api/query": {"about_kind": "lesion", "about_item_id": "lesion1", "question": "?"},
        "/api/query/{query_id}/answer": {"answer": "yes"},
        "/api/query/{query_id}/closing": {"reason": "answered"},
        "/api/query/{query_id}/reopening": {"reason": "not yet"},
        "/api/verification": {"about_kind": "lesion", "about_item_id": "lesion1", "verified_fields": ["location"]},
    }  # fmt: skip
    if path in special:
        return special[path]
    if (
        kind in VALUES
        and method in ("POST", "PATCH")
        and path in (f"/api/{kind}", f"/api/{kind}/{{item_id}}")
    ):
        if method == "PATCH":
            return {"values": {}, "reason": "as it was"}
        home = {"site_id": "s1"} if kind in ("patient", *OF_NOBODY) else {"patient_id": "patient1"}
        return {**home, "values": VALUES[kind]}
    return None


def to_path(web, path, kind, role):
    own = {Role.READER_2: "read-reader_2", Role.ADJUDICATOR: "read-adjudicator"}.get(role, "read1")
    filled = {
        "kind": kind, "item_id": f"{kind}1", "account_id": web.ids[Role.MONITOR], "job_id": "verify1", "read_id": own,
        "plan_id": "plan1", "patient_id": "patient1", "name": "report.html", "scan_id": "scan1",
        "procedure_id": "procedure1", "consent_id": "consent1", "event_id": "adverse_event1",
        "query_id": "query1", "measurement_id": "measurement1", "purpose": "uid", "lesion_id": "L1",
    }  # fmt: skip
    if "/files/" in path and kind == "scan":
        filled["name"] = "content"
    if path.startswith("/api/account/") and "item_id" in path:
        filled["item_id"] = web.ids[Role.MONITOR]
    return re.sub(r"\{(\w+)\}", lambda match: filled[match.group(1)], path)


def list_calls(web):
    """Each route with the kind it is called for."""
    for route in list_route_rights(web.app):
        if "{kind}" in route.path:
            for kind in ("patient", "plan", "scan", "adverse_event"):
                yield route, kind
        else:
            word = route.path.removeprefix("/api/").split("/")[0]
            yield route, word if word in VALUES or word == "account" else ""


def call(web, client, route, kind, role=None):
    path = to_path(web, route.path, kind, role)
    headers = {"if-match": '"1-x"'}
    if path.endswith("/upload"):
        return client.post(path, content=b"x", headers={"content-type": "application/octet-stream"})
    body = body_of(web, route.method, route.path, kind)
    return client.request(route.method, path, json=body, headers=headers)


def expects(route, kind):
    """Rights by name, those that depend on the kind filled in."""
    stand_ins = {
        KIND_READ: find_kind(kind).read_right if kind else "",
        JOB_RIGHT: find_job_kind("verify").right,
    }
    return {stand_ins.get(right, right) for right in route.rights}


def test_the_page_of_rights_is_the_one_that_the_routes_make(walked):
    assert PAGE.read_text() == to_rights_page(walked.app)


@pytest.mark.requirement("F-walk")
def test_every_route_as_every_role_answers_as_the_table_says(walked):
    wrong, calls, good = [], 0, 0
    for route, kind in list_calls(walked):
        if ANYBODY in route.rights or route.path.endswith("/removal"):
            continue
        rights = expects(route, kind) & set(read_rights())
        for role, client in walked.people.items():
            if route.path == "/api/account/{account_id}/reset" and role is Role.ADMINISTRATOR:
                continue  # It closes the session of another role; shown by its own test.
            answer = call(walked, client, route, kind, role)
            permitted = all(role in read_rights()[right] for right in rights)
            calls += 1
            good += answer.status_code < 300
            status = answer.status_code
            # A job that is not for somebody is not there for him.
            refused = (401, 403, 404) if "{job_id}" in route.path else (401, 403)
            if status >= 500 or (status in refused) != (not permitted):
                wrong.append(
                    (route.method, route.path, kind, role.value, status, permitted, answer.text[:200])
                )
    assert wrong == [], "\n".join(map(str, wrong))
    # Most permitted calls must go through: a table of refusals would prove nothing.
    assert calls > 900 and good > 0.3 * calls, (calls, good)


@pytest.mark.requirement("F-walk")
def test_without_a_session_every_route_but_those_for_anybody_is_401(walked):
    forged = {
        "anonymous": "",
        "tampered": "x" * 43,
        "another": walked.people[Role.AUDITOR].cookies[COOKIE][:-1] + "_",
        "sql": "' OR 1=1 --",
    }
    for name, secret in forged.items():
        client = walked.client(cookies={COOKIE: secret} if secret else {})
        for route, kind in list_calls(walked):
            if ANYBODY in route.rights:
                continue
            answer = call(walked, client, route, kind)
            assert answer.status_code == 401, (name, route.method, route.path, answer.text)


@pytest.mark.requirement("F-walk")
def test_an_expired_session_is_none(walked):
    client = walked.enter("late", Role.COORDINATOR)
    assert client.get("/api/patient").status_code == 200
    walked.clock.ahead = timedelta(minutes=31)
    try:
        for route, kind in list_calls(walked):
            if ANYBODY not in route.rights:
                assert call(walked, client, route, kind).status_code == 401, route.path
    finally:
        walked.clock.ahead = timedelta(0)


@pytest.mark.requirement("F-walk")
def test_items_of_another_site_are_not_there_for_any_role(walked):
    shown = []
    for route, kind in list_calls(walked):
        if ANYBODY in route.rights or kind in OF_NOBODY or "{" not in route.path:
            continue
        if "job_id" in route.path or "account_id" in route.path or route.path.endswith("/removal"):
            continue
        if route.path.startswith("/api/pacs"):
            continue  # an archive belongs to the server, not to a site
        for role, client in walked.others.items():
            answer = call(walked, client, route, kind, role)
            if answer.status_code not in (403, 404) and not (
                route.path.startswith("/api/export") and "1," not in answer.text
            ):
                shown.append(
                    (route.method, route.path, kind, role.value, answer.status_code, answer.text[:200])
                )
    assert shown == []
    for kind in VALUES:
        if kind not in OF_NOBODY:
            for client in walked.others.values():
                listed = client.get(f"/api/{kind}")
                assert listed.status_code == 403 or listed.json()["total"] == 0


@pytest.mark.requirement("F-walk")
@pytest.mark.parametrize("hostile", ["../../etc/passwd", "..%2f..%2fhome.json", "%00", "' OR 1=1 --", "<script>", "a" * 3000, "\u202e"])  # fmt: skip
def test_hostile_identifiers_are_refused_like_unknown_ones(walked, hostile):
    client = walked.people[Role.INVESTIGATOR]
    for path in ("/api/patient/{}", "/api/events/patient/{}", "/api/files/plan/plan1/{}", "/api/files/plan/{}/x", "/api/job/{}", "/api/job/{}/events", "/api/plan/{}/session", "/api/export/{}"):  # fmt: skip
        verb = "POST" if path.endswith("session") else "GET"
        answer = client.request(verb, path.format(hostile))
        assert answer.status_code in (400, 403, 404, 405, 422), (path, answer.status_code)
        assert "root:" not in answer.text and "record_id" not in answer.text


@pytest.mark.requirement("F-walk")
@pytest.mark.parametrize("text", ["' OR '1'='1", "%", "S_1", "\\", "S-1' UNION SELECT content FROM sealed_item --", "\x00", "Mustermann"])  # fmt: skip
def test_a_search_box_searches_and_nothing_else(walked, text):
    client = walked.people[Role.COORDINATOR]
    for kind in ("patient", "identity", "lesion"):
        answer = client.get(f"/api/{kind}", params={"search": text})
        if text == "\x00":
            assert answer.status_code == 400
            continue
        assert answer.status_code == 200 and answer.json()["items"] == [], (kind, answer.text)
        assert client.get("/api/patient", params={"subject_id": text}).json()["total"] == 0


@pytest.mark.requirement("F-privacy")
def test_no_log_line_address_or_refusal_holds_an_identifier_of_the_fixture(walked, caplog):
    """The name and birth date that the walk wrote, and the search for them."""
    import logging

    secrets = ("Mustermann", "1951-02-03", "BD-0815")
    client = walked.people[Role.COORDINATOR]
    texts = []
    with caplog.at_level(logging.DEBUG):
        for values in (
            {"family_name": 5, "given_name": "Mustermann"},
            {"birth_date": "Mustermann"},
            {"Mustermann": "BD-0815"},
        ):
            texts.append(client.post("/api/identity", json={"patient_id": "patient1", "values": values}).text)
        texts.append(client.get("/api/patient", params={"Mustermann": "1951-02-03"}).text)
        texts.append(client.get("/api/identity/Mustermann").text)
        texts.append(client.get("/api/Mustermann/1951-02-03").text)
        texts.append(
            client.post("/api/job", json={"kind": "Mustermann", "request": {"BD-0815": "BD-0815"}}).text
        )
        texts.append(client.post("/api/login", json={"login": "Mustermann", "password": "BD-0815"}).text)
        texts.append(
            client.post(
                "/api/patient", content=b'{"Mustermann": ', headers={"content-type": "application/json"}
            ).text
        )
        client.get("/api/identity/identity1")
    # What the person sent as a field's name comes back as its place; values never do.
    held = (
        "\n".join(texts).replace('"where": "body.values.Mustermann', "").replace("body.values.Mustermann", "")
    )
    assert [secret for secret in secrets if secret in held] == []
    log = "\n".join(f"{record.getMessage()} {record.__dict__.get('args')}" for record in caplog.records if record.name.startswith("hepatica"))  # fmt: skip
    assert "/api/identity/{item_id}" in log and [secret for secret in secrets if secret in log] == []
    with walked.context.store.reading() as reader:
        trail = "\n".join(
            json.dumps([c.new for c in event.changes]) for event in reader.read_events(kind="identity")
        )
    assert "seal:" in trail and "Mustermann" not in trail


@pytest.mark.requirement("F-walk-passwords")
def test_a_storm_of_passwords_is_slowed_for_one_login_and_for_all(walked):
    import threading

    from hepatica.entrypoints.web import login_gate

    client, entered, release = walked.client(), threading.Semaphore(0), threading.Event()

    class Waiting:
        def matches(self, password, hashed):
            entered.release()
            release.wait(30)
            return False

    before, walked.app.state.passwords = walked.app.state.passwords, Waiting()
    answers = []
    storm = [
        threading.Thread(target=lambda n=n: answers.append(walked.client().post("/api/login", json={"login": f"g{n}", "password": "x"})))
        for n in range(login_gate.AT_ONCE)
    ]  # fmt: skip
    try:
        for thread in storm:
            thread.start()
        for _ in storm:
            assert entered.acquire(timeout=30)
        refused = client.post("/api/login", json={"login": "ida", "password": "x"})
        assert refused.status_code == 429 and int(refused.headers["retry-after"]) > 0
        assert walked.people[Role.COORDINATOR].get("/api/patient").status_code == 200, "others go on"
    finally:
        release.set()
        for thread in storm:
            thread.join()
        walked.app.state.passwords = before
    assert {answer.status_code for answer in answers} == {401}
    assert client.post("/api/login", json={"login": "late", "password": PASSWORD}).status_code == 200
