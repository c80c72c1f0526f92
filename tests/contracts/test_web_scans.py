"""Scans over HTTP: judged, moved, searched for by a configured name; in processes of their own."""

from __future__ import annotations

import sys
import warnings

import pytest
from pacs_servers import Shelf, serve_web, write_config
from scan_records import FAMILY, NUMBER, open_test_record, write_scan

from hepatica.entrypoints.web.app import make_app
from hepatica.entrypoints.web.scan_routes import ScanHome, router
from hepatica.entrypoints.web.settings import WebSettings
from hepatica.record.people import Role
from hepatica.workflows.accounts import accept_link, invite_account
from hepatica.workflows.import_scan import import_scan

PASSWORD = "three quiet herons"


class PlainPasswords:
    """Quick stand-in for the slow hash."""

    def hash_password(self, password: str) -> str:
        return password[::-1]

    def matches(self, password: str, hashed: str | None) -> bool:
        return hashed is not None and password[::-1] == hashed


@pytest.fixture
def server(tmp_path):
    with open_test_record(tmp_path / "home") as (record, ports):
        settings = WebSettings(
            hosts=frozenset({"127.0.0.1"}), secure_cookies=False, version="0", mode="clinical"
        )
        app = make_app(record.context, PlainPasswords(), settings=settings)
        if not any(getattr(route, "path", "") == "/api/pacs" for route in app.routes):
            app.include_router(router)
        app.state.scan_home = ScanHome(home=record.folder)
        yield app, record, ports


def enter(server, login, *roles, sites=("s1",)):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from starlette.testclient import TestClient
    context = server[1].context
    _, secret = invite_account(context, login=login, display_name=login, roles=roles, site_ids=sites)
    accept_link(context, PlainPasswords(), secret=secret, password=PASSWORD)
    client = TestClient(
        server[0], base_url="http://127.0.0.1", headers={"x-hepatica": "1"}, raise_server_exceptions=False
    )
    assert client.post("/api/login", json={"login": login, "password": PASSWORD}).status_code == 200
    return client


def take(server, path, patient="p"):
    return import_scan(server[1].context, server[2], patient_id=patient, path=path).series[0]


@pytest.mark.requirement("F-import-api")
def test_a_waiting_scan_is_looked_at_and_accepted_over_http(server, tmp_path):
    one = take(server, write_scan(tmp_path / "scan", extra={"PatientName": "Okapi"}))
    where = f"/api/scan/{one.scan_id}"
    nurse, monitor = enter(server, "ben", Role.COORDINATOR), enter(server, "mia", Role.MONITOR)
    elsewhere = enter(server, "eva", Role.COORDINATOR, sites=["s2"])
    shown = nurse.get(where).json()["values"]
    assert (shown["state"], shown["differing"]) == ("identity_differs", ["name"])
    assert monitor.get(where + "/identity").status_code == 403
    assert elsewhere.get(where + "/identity").status_code == 404
    assert nurse.get(where + "/identity").json()[0]["family_name"] == "Okapi"
    body, version = {"reason": "name before marriage"}, {"if-match": '"1-x"'}
    assert nurse.post(where + "/acceptance", json=body).status_code == 428
    assert monitor.post(where + "/acceptance", json=body, headers=version).status_code == 403
    assert nurse.post(where + "/acceptance", json={"reason": ""}, headers=version).status_code == 422
    answer = nurse.post(where + "/acceptance", json=body, headers=version)
    assert answer.status_code == 200 and answer.json()["values"]["state"] == "accepted"
    assert nurse.post(where + "/acceptance", json=body, headers=version).status_code == 409
    again = {"if-match": answer.headers["etag"]}
    rejected = nurse.post(where + "/rejection", json={"reason": "motion"}, headers=again)
    assert rejected.json()["values"]["state"] == "rejected"
    assert nurse.get(where + "/removal-report").status_code == 404


@pytest.mark.requirement("G-import-phase")
def test_a_person_names_the_contrast_phase_of_a_scan_with_a_reason(server, tmp_path):
    from typing import get_args

    from hepatica.entrypoints.web.scan_routes import PhaseName
    from hepatica.workflows.judge_scan import PHASES

    one = take(server, write_scan(tmp_path / "scan"))
    nurse, monitor = enter(server, "ben", Role.COORDINATOR), enter(server, "mia", Role.MONITOR)
    where, version = f"/api/scan/{one.scan_id}/phase", {"if-match": '"1-x"'}
    body = {"phase": "arterial", "reason": "bright aorta"}
    assert monitor.post(where, json=body, headers=version).status_code == 403
    assert nurse.post(where, json={**body, "phase": "green"}, headers=version).status_code == 422
    answer = nurse.post(where, json=body, headers=version)
    assert answer.json()["values"]["phase_hint"] == "arterial (entered by a person)"
    assert nurse.post(where, json=body, headers=version).status_code == 409
    assert get_args(PhaseName.model_fields["phase"].annotation) == PHASES


@pytest.mark.requirement("F-import-api")
def test_a_scan_is_moved_over_http_in_a_process_of_its_own(server, tmp_path):
    one = take(server, write_scan(tmp_path / "scan"), patient="q")
    nurse, doctor = enter(server, "ben", Role.COORDINATOR), enter(server, "ida", Role.INVESTIGATOR)
    body, version = {"patient_id": "p", "reason": "wrong patient"}, {"if-match": '"1-x"'}
    where = f"/api/scan/{one.scan_id}/move"
    assert doctor.post(where, json=body, headers=version).status_code == 403
    late = nurse.post(where, json=body, headers={"if-match": '"7-x"'})
    assert late.status_code == 409 and late.json()["code"] == "conflict"
    moved = nurse.post(where, json=body, headers=version)
    assert moved.status_code == 200
    assert (moved.json()["patient_id"], moved.json()["values"]["state"]) == ("p", "accepted")
    assert moved.json()["item_id"] == one.scan_id
    assert nurse.get("/api/scan", params={"patient_id": "q"}).json()["items"] == []


@pytest.mark.requirement("F-pacs-api")
def test_an_archive_is_searched_by_its_name_and_no_request_can_name_an_address(server, tmp_path):
    shelf = Shelf()
    shelf.fill(write_scan(tmp_path / "scan"))
    nurse, monitor = enter(server, "ben", Role.COORDINATOR), enter(server, "mia", Role.MONITOR)
    with serve_web(shelf) as url:
        write_config(server[1].folder, "radiology", protocol="dicomweb", url=url)
        assert nurse.get("/api/pacs").json() == {"pacs": ["radiology"]}
        assert monitor.get("/api/pacs").status_code == 403
        found = nurse.post("/api/pacs/radiology/search", json={"patient_id": "p"})
        assert found.status_code == 200, found.text
        (study,) = found.json()
        assert (study["study_uid"], study["patient_number"]) == ("2.25.10", NUMBER)
        assert monitor.post("/api/pacs/radiology/search", json={"patient_id": "p"}).status_code == 403
        for name in ("127.0.0.1:80", "http:%2F%2F127.0.0.1", "other"):
            assert nurse.post(f"/api/pacs/{name}/search", json={"patient_id": "p"}).status_code in (404, 405)
        for more in ({"url": url}, {"host": "127.0.0.1"}):
            body = {"patient_id": "p", **more}
            assert nurse.post("/api/pacs/radiology/search", json=body).status_code == 422
        wild = nurse.post("/api/pacs/radiology/search", json={"study_uid": "1.2.*"})
        assert wild.status_code == 422 and FAMILY not in wild.text
    away = nurse.post("/api/pacs/radiology/search", json={"patient_id": "p"})
    assert away.status_code == 502 and away.json()["code"] == "pacs" and NUMBER not in away.text


@pytest.mark.requirement("F-pacs-api")
def test_the_routes_load_no_imaging_or_numerical_library():
    import subprocess

    code = (
        "import sys, hepatica.entrypoints.web.scan_routes; from pathlib import Path; "
        "from hepatica.bootstrap import make_pacs_directory; make_pacs_directory(Path('.')).list_names(); "
        "heavy={'numpy','scipy','pydicom','highdicom','pynetdicom','dicomweb_client'}&set(sys.modules); "
        "sys.exit(', '.join(sorted(heavy)) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
