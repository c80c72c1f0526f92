"""The server as a process: what it loads, what it logs, how it stops, what its health says."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from live_server import PASSWORD, start_server

from hepatica.bootstrap import make_record
from hepatica.record.people import Role
from hepatica.workflows.accounts import accept_link, invite_account

IDLE_MOST_BYTES = 400 << 20
"""Bar of the issue."""
HEAVY = {
    "numpy", "scipy", "numba", "pandas", "SimpleITK", "pydicom", "highdicom", "pynetdicom", "nibabel", "skimage",
    "matplotlib", "typst", "pyamg", "distributed", "dask",
}  # fmt: skip


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    folder = tmp_path_factory.mktemp("served") / "home"
    with make_record(folder, mode="clinical") as record:
        for login, role in (("nurse", Role.COORDINATOR), ("boss", Role.ADMINISTRATOR)):
            _, secret = invite_account(
                record.context, login=login, display_name=login, roles=[role], site_ids=["s1"]
            )
            accept_link(record.context, record.passwords, secret=secret, password=PASSWORD)
    return folder


@pytest.mark.requirement("F-serve-light")
def test_the_web_process_loads_no_imaging_or_numerical_library_while_it_serves(tmp_path):
    script = """
import sys, json
from pathlib import Path
from hepatica.record.people import Role
from web_record import open_web_record
import hepatica.entrypoints.web.server, hepatica.entrypoints.web.job_keeper
web = open_web_record(Path(sys.argv[1]))
web.add_patient()
doctor = web.enter("ida", Role.INVESTIGATOR)
asked = {"scan_id": "c", "labels": [{"scan_id": "c"}], "visit": 1, "protocol": "tvec-label"}
answers = [doctor.get(path).status_code for path in ("/api/openapi.json", "/api/patient", "/api/patient/p1",
           "/api/events/patient/p1", "/api/job", "/health", "/")]
answers.append(doctor.post("/api/job", json={"kind": "plan", "patient_id": "p1", "request": asked}).status_code)
print(json.dumps([answers, sorted({name.partition(".")[0] for name in sys.modules})]))
"""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", script, str(tmp_path)],
        capture_output=True, text=True, check=False,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    answers, modules = json.loads(done.stdout)
    assert answers == [200] * 7 + [202]
    assert HEAVY & set(modules) == set()


@pytest.mark.requirement("F-serve-stop")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_server_stops_in_order_with_status_0_also_while_a_stream_is_open(home, number):
    import http.client

    server = start_server(home)
    cookie = server.enter("boss")
    # A worker takes longer to load than the signal needs: the stream is open when it comes.
    job = json.loads(server.ask("POST", "/api/job", {"kind": "verify"}, cookie=cookie)[2])
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
    connection.request("GET", f"/api/job/{job['job_id']}/events", headers={"cookie": cookie})
    stream = connection.getresponse()
    assert stream.readline().startswith(b"event: job")
    assert server.stop(number) == 0
    stream.read()
    connection.close()


@pytest.mark.requirement("F-serve-logs")
def test_each_request_is_one_json_line_on_stderr_with_the_routes_pattern_and_ids_only(home):
    server = start_server(home)
    cookie = server.enter("nurse")
    made = server.ask(
        "POST",
        "/api/patient",
        {"site_id": "s1", "values": {"subject_id": "S-77", "status": "screening"}},
        cookie=cookie,
    )
    assert made[0] == 201
    item_id = json.loads(made[2])["item_id"]
    answer = server.ask("GET", f"/api/patient/{item_id}?search=Mustermann", cookie=cookie)
    assert server.stop() == 0
    lines = [json.loads(line) for line in server.errors if line.strip()]
    (line,) = [line for line in lines if line.get("request") == answer[1]["x-request-id"]]
    assert line["method"] == "GET" and line["status"] == 200 and line["ms"] > 0
    assert line["route"] == "/api/patient/{item_id}"
    assert "Mustermann" not in "".join(server.errors) and PASSWORD not in "".join(server.errors)


@pytest.mark.requirement("F-serve-health")
@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="memory is read from /proc")
def test_an_idle_server_stays_small_and_its_health_is_told_to_administrators_only(home):
    server = start_server(home)
    try:
        assert server.ask("GET", "/api/server")[0] == 401
        assert server.ask("GET", "/api/server", cookie=server.enter("nurse"))[0] == 403
        status, _, content = server.ask("GET", "/api/server", cookie=server.enter("boss"))
        facts = json.loads(content)
        assert status == 200 and facts["mode"] == "clinical" and facts["database"] == "sqlite"
        assert facts["jobs_running"] == 0 and facts["events"] > 0 and facts["disk_free_bytes"] > 0
        pages = int(Path(f"/proc/{server.process.pid}/statm").read_text().split()[1])
        held = pages * os.sysconf("SC_PAGE_SIZE")
        assert held < IDLE_MOST_BYTES
        assert abs(facts["memory_bytes"] - held) < IDLE_MOST_BYTES / 4
    finally:
        assert server.stop() == 0


@pytest.mark.requirement("F-serve-pages")
def test_without_built_pages_the_root_says_so_and_with_them_it_serves_them(home, tmp_path):
    from web_record import open_web_record

    from hepatica.entrypoints.web.services import WebServices

    (tmp_path / "a").mkdir()
    bare = open_web_record(tmp_path / "a", services=WebServices(pages=tmp_path / "none"))
    answer = bare.client().get("/")
    assert answer.status_code == 200 and "not built" in answer.text and "/api/openapi.json" in answer.text
    pages = tmp_path / "pages"
    (pages / "assets").mkdir(parents=True)
    (pages / "index.html").write_text("<!doctype html><title>Built</title>")
    (pages / "assets" / "a.js").write_text("1")
    (tmp_path / "secret.txt").write_text("secret")
    built = open_web_record(tmp_path / "a" / "b", services=WebServices(pages=pages))
    client = built.client()
    assert "Built" in client.get("/").text
    assert client.get("/assets/a.js").headers["content-type"].startswith("text/javascript")
    assert client.get("/assets/a.js").headers["content-security-policy"].startswith("default-src 'none'")
    for path in (
        "/../secret.txt",
        "/assets/../../secret.txt",
        "/%2e%2e/secret.txt",
        "/assets/%2e%2e%2f%2e%2e%2fsecret.txt",
    ):
        assert "secret" not in client.get(path).text
    assert client.get("/api/nothing").json()["code"] == "not_found"
    bare.home.close()
    built.home.close()


@pytest.mark.requirement("F-serve-stop")
def test_a_caller_is_taken_as_soon_as_the_port_is_known():
    import socket

    from hepatica.entrypoints.web.server import Listening, _bind

    with (
        _bind(Listening(address="127.0.0.1", port=0)) as bound,
        socket.create_connection(bound.getsockname(), 5),
    ):
        assert bound.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN) == 1
