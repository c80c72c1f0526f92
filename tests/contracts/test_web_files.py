"""From stored bytes to a plan's files over HTTP: the job, delivery, exports, uploads."""

from __future__ import annotations

import csv
import io
import json
import zipfile
from dataclasses import replace
from types import SimpleNamespace

import pytest
from cases import write_phantom
from hypothesis import given, settings
from hypothesis import strategies as st
from phantom import make_phantom
from web_jobs import add_scan, open_world, run_next
from web_record import open_web_record

from hepatica.adapters.store.incoming import IncomingFolder
from hepatica.entrypoints.web.services import WebServices
from hepatica.record.job import JobState
from hepatica.record.people import Role
from hepatica.workflows.export_items import STARTS, escape_cell

SCRIPT = "<script>alert(1)</script>"


@pytest.fixture(scope="module")
def planned(tmp_path_factory):
    """The phantom in the record, planned through a job by its investigator."""
    folder = tmp_path_factory.mktemp("planned")
    case = write_phantom(folder / "case", phantom=make_phantom(spacing_mm=(6.0, 6.0, 8.0)))
    web = open_web_record(folder)
    web.add_patient()
    add_scan(web, "ct", case["ct"].read_bytes())
    add_scan(web, "labels", case["labels"].read_bytes(), modality="SEG")
    add_scan(web, "held", b"x", state="identity_differs")
    web.add_patient("p2")
    add_scan(web, "foreign", case["ct"].read_bytes(), patient_id="p2")
    doctor = web.enter("ida", Role.INVESTIGATOR)
    rows = case["names"].read_text().splitlines()[1:]
    request = {
        "scan_id": "ct", "visit": 1, "protocol": "tvec-label",
        "labels": [{"scan_id": "labels", "names_by_value": dict(row.split(",", 1) for row in rows)}],
    }  # fmt: skip
    body = {"kind": "plan", "patient_id": "p1", "request": request}
    assert doctor.post("/api/job", json=body).status_code == 202
    world = open_world(web)
    state, job = run_next(web, world)
    assert state is JobState.DONE, job.result
    yield SimpleNamespace(web=web, doctor=doctor, job=job, body=body, world=world)
    web.home.close()


@pytest.mark.requirement("F-jobs-plan")
def test_a_plan_job_makes_an_item_whose_files_are_the_planners_with_their_digests(planned):
    plan = planned.doctor.get(f"/api/plan/{planned.job.result['plan_id']}").json()
    files = plan["values"]["files"]
    assert {"plan.json", "sheet.pdf", "report.html", "plan.mrk.json", "manifest.json"} <= set(files)
    manifest = planned.doctor.get(f"/api/files/plan/{plan['item_id']}/manifest.json").json()
    assert {name: files[name] for name in manifest["outputs"]} == manifest["outputs"]
    document = planned.doctor.get(f"/api/files/plan/{plan['item_id']}/plan.json").json()
    assert plan["values"]["status"] == document["status"] and len(document["lesions"]) == 1
    history = planned.doctor.get(f"/api/events/plan/{plan['item_id']}").json()["events"]
    assert [event["action"] for event in history] == ["create"]
    assert history[0]["actor_id"] == planned.job.account_id
    assert list((planned.web.home.folder / "scratch").iterdir()) == []


@pytest.mark.requirement("F-jobs-plan")
@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"scan_id": "foreign"}, "not_found"),
        ({"scan_id": "nothing"}, "not_found"),
        ({"scan_id": "held"}, "conflict"),
        ({"protocol": "no-such-protocol"}, "not_found"),
    ],
)
def test_a_plan_of_what_is_not_this_patients_or_not_accepted_fails_with_its_code(planned, change, code):
    body = {**planned.body, "request": {**planned.body["request"], **change}}
    assert planned.doctor.post("/api/job", json=body).status_code == 202
    state, job = run_next(planned.web, planned.world)
    assert state is JobState.FAILED and job.result["error"]["code"] == code, job.result
    assert str(planned.web.home.folder) not in json.dumps(dict(job.result))


@pytest.mark.requirement("F-files")
def test_reports_are_delivered_sandboxed_and_other_files_only_to_be_saved(planned):
    where = f"/api/files/plan/{planned.job.result['plan_id']}"
    report = planned.doctor.get(f"{where}/report.html")
    assert report.status_code == 200 and report.headers["content-type"].startswith("text/html")
    policy = report.headers["content-security-policy"]
    assert policy.startswith("sandbox;") and "script-src" not in policy and "default-src 'none'" in policy
    assert report.headers["content-disposition"].startswith("inline")
    pdf = planned.doctor.get(f"{where}/sheet.pdf")
    assert pdf.content.startswith(b"%PDF") and pdf.headers["content-type"] == "application/pdf"
    kept = planned.web.context.files.keep_bytes(b"<script>")
    names = {
        "a.dcm": "application/dicom",
        "b.svg": "application/octet-stream",
        "c.nii.gz": "application/octet-stream",
    }
    values = {"scan_id": "ct", "visit_number": 1, "status": "cleared", "files": dict.fromkeys(names, kept)}
    planned.web.add("plan", "others", values)
    for name, media in names.items():
        answer = planned.doctor.get(f"/api/files/plan/others/{name}")
        assert (
            answer.headers["content-type"] == media and "sandbox" in answer.headers["content-security-policy"]
        )
        assert answer.headers["content-disposition"].startswith("attachment")
    saved = planned.doctor.get(f"{where}/report.html", params={"save": True})
    assert saved.headers["content-disposition"] == 'attachment; filename="report.html"'
    assert planned.doctor.get("/api/files/scan/ct/content").content[:2] == b"\x1f\x8b"
    part = planned.doctor.get(f"{where}/sheet.pdf", headers={"range": "bytes=0-3"})
    assert part.status_code == 206 and part.content == b"%PDF"


@pytest.mark.requirement("F-files")
def test_files_are_reached_through_an_item_of_the_persons_site_and_rights_only(planned):
    plan_id, web = planned.job.result["plan_id"], planned.web
    other = web.enter("eva", Role.INVESTIGATOR, sites=["s2"])
    reader = web.enter("rob", Role.READER_1)
    where = f"/api/files/plan/{plan_id}/report.html"
    assert web.client().get(where).status_code == 401
    assert other.get(where).status_code == 404 and reader.get(where).status_code == 403
    assert reader.get("/api/files/scan/ct/content").status_code == 404, "no read of this patient"
    digest = planned.doctor.get(f"/api/plan/{plan_id}").json()["values"]["files"]["report.html"]
    for name in (digest, "../plan.json", "..%2f..%2fhome.json", "%2e%2e", "keys", ".", "plan.json%00"):
        answer = planned.doctor.get(f"/api/files/plan/{plan_id}/{name}")
        assert answer.status_code == (400 if "%00" in name else 404), name


@pytest.mark.requirement("F-files")
def test_changed_bytes_are_never_delivered(planned):
    web, digest = planned.web, planned.web.context.files.keep_bytes(b"0" * 100)
    values = {"series_uid": "2.25.9", "modality": "CT", "state": "accepted", "content_digest": digest}
    web.add("scan", "damaged", values)
    path = web.home.files.open_path(digest)
    path.chmod(0o600)
    path.write_bytes(b"1" * 100)
    answer = planned.doctor.get("/api/files/scan/damaged/content")
    assert answer.status_code == 500 and answer.json()["code"] == "trail"


def test_a_script_in_a_note_is_kept_as_text_and_delivered_as_json(planned):
    values = {
        "term": SCRIPT,
        "start_date": "2026-01-02",
        "serious": False,
        "note": '=HYPERLINK("http://evil")',
    }
    made = planned.doctor.post("/api/adverse_event", json={"patient_id": "p1", "values": values})
    assert made.status_code == 201
    answer = planned.doctor.get(f"/api/adverse_event/{made.json()['item_id']}")
    assert answer.json()["values"]["term"] == SCRIPT
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["x-content-type-options"] == "nosniff"


@pytest.mark.requirement("F-export")
def test_an_export_has_one_row_an_item_of_the_persons_sites_with_formulas_made_text_and_is_an_event(planned):
    web = planned.web
    web.add_patient("far", site_id="s2")
    event = {"term": "=cmd|' /C calc'!A0", "start_date": "2026-01-02", "serious": True, "note": 'a,"b"\nc'}
    web.add("adverse_event", "ae1", event)
    web.add("adverse_event", "ae2", event, patient_id="far", site_id="s2")
    keeper = web.enter("dan", Role.DATA_MANAGER)
    answer = keeper.get("/api/export/adverse_event")
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    (row,) = [row for row in rows if row["item_id"] == "ae1"]
    assert row["term"] == "'=cmd|' /C calc'!A0" and row["note"] == 'a,"b"\nc' and row["serious"] == "true"
    assert "ae2" not in {row["item_id"] for row in rows}
    assert answer.headers["content-disposition"].startswith("attachment")
    assert planned.doctor.get("/api/export/adverse_event").status_code == 403
    assert keeper.get("/api/export/identity").status_code == 403
    with web.context.store.reading() as reader:
        events = [event for event in reader.read_events(kind="adverse_event") if event.action == "export"]
    assert len(events) == 1
    from hepatica.workflows.verify_record import verify_record

    assert not [
        f for f in verify_record(web.context, web.home.store, key=None).findings if f.rule != "audit.file"
    ]


@pytest.mark.requirement("F-export")
@settings(max_examples=200, deadline=None, derandomize=True)
@given(st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=20))
def test_no_text_whatever_becomes_a_cell_that_begins_like_a_formula(text):
    cell = escape_cell(text)
    assert not cell.startswith(STARTS) and not cell.strip().startswith(STARTS)
    assert cell.removeprefix("'") == text or cell == text


@pytest.fixture
def taking(tmp_path):
    """A record that takes uploads, without anybody who runs jobs."""
    uploads = IncomingFolder(tmp_path / "home" / "uploads")
    web = open_web_record(tmp_path, services=WebServices(uploads=uploads))
    web.add_patient()
    yield web, uploads
    web.home.close()


def zip_bytes(files):
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return held.getvalue()


BINARY = {"content-type": "application/octet-stream"}


@pytest.mark.requirement("F-upload")
def test_an_upload_is_kept_privately_and_given_to_the_importer_then_forgotten(taking):
    web, uploads = taking
    nurse = web.enter("ben", Role.COORDINATOR)
    body = zip_bytes({"a/1.dcm": b"image"})
    answer = nurse.post("/api/patient/p1/upload", content=body, headers=BINARY)
    assert answer.status_code == 202 and answer.json()["kind"] == "import"
    upload_id = answer.json()["request"]["upload_id"]
    path = uploads.find_path(upload_id)
    assert path.read_bytes() == body and path.stat().st_mode & 0o077 == 0
    seen = []

    def take(context, *, patient_id, path, progress):
        seen.append((context.actor.account_id, patient_id, path.read_bytes()))
        return {"series": []}

    state, job = run_next(web, replace(open_world(web), incoming=uploads, importer=take))
    assert state is JobState.DONE and seen == [(job.account_id, "p1", body)]
    assert uploads.list_uploads() == ()


@pytest.mark.requirement("G-import-pacs")
def test_a_study_is_asked_of_a_pacs_by_its_name_and_never_by_a_wildcard(taking):
    web, uploads = taking
    nurse, reader = web.enter("ben", Role.COORDINATOR), web.enter("rea", Role.READER_1)
    asked = {
        "kind": "pacs_import",
        "patient_id": "p1",
        "request": {"pacs": "radiology", "study_uid": "1.2.3"},
    }
    for wrong in ({"study_uid": "1.2.*"}, {"study_uid": "1" * 65}, {"address": "10.0.0.1"}, {"pacs": ""}):
        request = {**asked["request"], **wrong}
        assert nurse.post("/api/job", json={**asked, "request": request}).status_code == 422, wrong
    assert reader.post("/api/job", json=asked).status_code in (403, 404)
    answer = nurse.post("/api/job", json=asked)
    assert answer.status_code in (200, 201, 202), answer.text
    seen = []

    def fetch(context, *, patient_id, pacs, study_uid, progress):
        seen.append((context.actor.account_id, patient_id, pacs, study_uid))
        return {"series": []}

    state, job = run_next(web, replace(open_world(web), incoming=uploads, fetcher=fetch))
    assert state is JobState.DONE and seen == [(job.account_id, "p1", "radiology", "1.2.3")]


@pytest.mark.requirement("F-upload")
def test_a_zip_bomb_and_a_path_that_leads_out_are_refused_before_the_importer_sees_them(taking):
    web, uploads = taking
    nurse = web.enter("ben", Role.COORDINATOR)

    def take(*_arguments, **_more):
        raise AssertionError("the importer saw it")

    world = replace(open_world(web), incoming=uploads, importer=take)
    bomb = bytearray(zip_bytes({"zeros": bytes(4 << 20)}))
    # Announce 13 GiB in the central directory: what the limit is judged by, without making them.
    start = bomb.rindex(b"PK\x01\x02")
    bomb[start + 24 : start + 28] = (0xFFFFFFF0).to_bytes(4, "little")
    for body in (bytes(bomb), zip_bytes({"../../etc/x": b"x"}), zip_bytes({"/etc/x": b"x"})):
        nurse.post("/api/patient/p1/upload", content=body, headers=BINARY)
        state, job = run_next(web, world)
        assert state is JobState.FAILED and job.result["error"]["code"] == "unsafe_archive", job.result
    assert uploads.list_uploads() == ()


@pytest.mark.requirement("F-upload")
def test_an_upload_without_right_too_large_empty_or_broken_off_leaves_nothing_behind(taking, monkeypatch):
    web, uploads = taking
    nurse, monitor = web.enter("ben", Role.COORDINATOR), web.enter("mon", Role.MONITOR)
    other = web.enter("eva", Role.COORDINATOR, sites=["s2"])
    for client, status in ((web.client(), 401), (monitor, 403), (other, 404)):
        assert client.post("/api/patient/p1/upload", content=b"x", headers=BINARY).status_code == status
    assert nurse.post("/api/patient/p1/upload", content=b"", headers=BINARY).status_code == 413
    huge = {**BINARY, "content-length": str(5 << 30)}
    assert nurse.post("/api/patient/p1/upload", content=b"x", headers=huge).status_code == 413
    monkeypatch.setattr("hepatica.entrypoints.web.guard.UPLOAD_MAX", 3 << 20)

    def pieces():
        for _ in range(5):
            yield bytes(1 << 20)

    # Without an announced length, only counting tells.
    assert nurse.post("/api/patient/p1/upload", content=pieces(), headers=BINARY).status_code == 413
    assert uploads.list_uploads() == () and nurse.get("/api/job").json()["jobs"] == []


@pytest.mark.requirement("F-upload")
def test_an_upload_whose_job_is_cancelled_before_it_runs_is_forgotten(taking):
    from hepatica.entrypoints.web.job_keeper import JobKeeper

    web, uploads = taking
    world = replace(open_world(web), incoming=uploads)
    keeper = JobKeeper(web.context, world, start_worker=None, task={})
    web.app.state.services = WebServices(uploads=uploads, jobs=keeper)
    nurse = web.enter("ben", Role.COORDINATOR)
    job = nurse.post("/api/patient/p1/upload", content=b"x", headers=BINARY).json()
    assert len(uploads.list_uploads()) == 1
    assert nurse.post(f"/api/job/{job['job_id']}/cancel").status_code == 200
    assert uploads.list_uploads() == ()


@pytest.mark.requirement("F-jobs-spread")
def test_a_spread_job_makes_an_item_of_the_plan_whose_files_are_the_simulations(planned):
    plan_id = planned.job.result["plan_id"]
    request = {"plan_id": plan_id, "draws": 3, "seed": 4, "rate_ml_per_min": 0.5}
    asked = planned.doctor.post("/api/job", json={"kind": "spread", "patient_id": "p1", "request": request})
    assert asked.status_code == 202, asked.text
    state, job = run_next(planned.web, planned.world)
    assert state is JobState.DONE, job.result
    item = planned.doctor.get(f"/api/spread/{job.result['spread_id']}").json()
    assert item["patient_id"] == "p1" and item["site_id"] == "s1"
    assert {**request, "files": item["values"]["files"]} == item["values"]
    where = f"/api/files/spread/{item['item_id']}"
    document = planned.doctor.get(f"{where}/spread.json").json()
    assert (document["draws"], document["seed"], document["rate"]["value"]) == (3, 4, 0.5)
    manifest = planned.doctor.get(f"{where}/manifest.json").json()
    assert {name: item["values"]["files"][name] for name in manifest["outputs"]} == manifest["outputs"]
    reader = planned.web.enter("spread-reader", Role.READER_1)
    assert reader.get(f"{where}/spread.json").status_code == 403
    other = planned.web.enter("spread-far", Role.INVESTIGATOR, sites=["s2"])
    assert other.get(f"{where}/spread.json").status_code == 404


@pytest.mark.requirement("F-jobs-spread")
def test_a_spread_of_another_patients_plan_or_without_a_rate_fails_with_its_code(planned):
    plan_id = planned.job.result["plan_id"]
    planned.web.add(
        "plan", "no-scans", {"scan_id": "ct", "visit_number": 1, "status": "cleared", "files": {}}
    )
    for patient_id, wanted, code in (
        ("p2", plan_id, "not_found"), ("p1", "nothing", "not_found"), ("p1", "no-scans", "conflict"), ("p1", plan_id, "not_set"),
    ):  # fmt: skip
        body = {"kind": "spread", "patient_id": patient_id, "request": {"plan_id": wanted, "draws": 1}}
        assert planned.doctor.post("/api/job", json=body).status_code == 202
        state, job = run_next(planned.web, planned.world)
        assert state is JobState.FAILED and job.result["error"]["code"] == code, job.result
        assert str(planned.web.home.folder) not in json.dumps(dict(job.result))
    for wrong in (
        {"draws": 0}, {"draws": 10**6}, {"seed": -1}, {"rate_ml_per_min": 0}, {"rate_ml_per_min": "fast"}, {"plan_id": "../x"},
        {"plan_id": ""}, {"surprise": 1}, {"rate_ml_per_min": True},
    ):  # fmt: skip
        body = {"kind": "spread", "patient_id": "p1", "request": {"plan_id": plan_id, **wrong}}
        answer = planned.doctor.post("/api/job", json=body)
        assert (answer.status_code, answer.json()["code"]) == (422, "record_input"), wrong
