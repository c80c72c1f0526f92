"""``hepatica demo --serve``: a demonstration record is made, served, and opened again without planning anew."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from queue import Queue

import pytest
from cases import run_hepatica
from live_server import LiveServer

from hepatica.bootstrap import make_record

pytestmark = pytest.mark.xdist_group("demo-serve")
MAKING_S = 300.0
"""Making it may wait for other tests on the same machine; the benchmark measures it."""


def start_demo(folder, *more: str):
    """Start it with a relative folder; returns the server and every line up to its address."""
    command = [
        sys.executable,
        "-m",
        "hepatica.entrypoints.cli.main",
        "demo",
        "--serve",
        "--port",
        "0",
        "--spread-draws",
        "0",
    ]
    process = subprocess.Popen(
        [*command, *more], cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
        env={**os.environ},
    )  # fmt: skip
    queue: Queue[str] = Queue()

    def listen() -> None:
        for line in process.stdout:
            queue.put(line)
        queue.put("")

    threading.Thread(target=listen, daemon=True).start()
    lines = [""]
    try:
        while not lines[-1].startswith("Serving on"):
            lines.append(queue.get(timeout=MAKING_S))
            assert lines[-1], lines
    except BaseException:
        process.kill()
        raise
    port = int(re.search(r":(\d+)\s*$", lines[-1]).group(1))
    server = LiveServer(process=process, port=port, link="")
    # The address is announced when it is bound, a moment before it answers.
    deadline = time.monotonic() + MAKING_S
    while True:
        try:
            server.ask("GET", "/health")
            return server, lines
        except OSError:
            assert process.poll() is None and time.monotonic() < deadline, lines


def find_password(lines) -> str:
    return next(line for line in lines if "shown once" in line).rpartition(": ")[2].strip()


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    folder = tmp_path_factory.mktemp("demo-serve")
    server, lines = start_demo(folder)
    yield folder, server, lines
    if server.process.poll() is None:
        server.stop()


@pytest.mark.requirement("G-demo-serve")
def test_the_demo_case_is_planned_in_a_record_that_says_it_is_a_demonstration(demo):
    folder, server, lines = demo
    cookie = server.enter("investigator", find_password(lines))
    me = json.loads(server.ask("GET", "/api/me", cookie=cookie)[2])
    assert me["mode"] == "demo"
    plan = json.loads(server.ask("GET", "/api/plan/demo-plan", cookie=cookie)[2])
    made = {path.name for path in (folder / "demo-plan").iterdir()}
    assert set(plan["values"]["files"]) == made and "sheet.pdf" in made
    patients = json.loads(server.ask("GET", "/api/patient?limit=100", cookie=cookie)[2])["items"]
    assert len(patients) == 25
    assert {p["values"]["subject_id"] for p in patients if not p["values"].get("simulated")} == {"HCC_015"}


@pytest.mark.requirement("G-demo-serve")
def test_the_plan_opens_for_questions_from_the_bytes_that_the_record_holds(demo):
    _, server, lines = demo
    cookie = server.enter("investigator", find_password(lines))
    status, _, content = server.ask("POST", "/api/plan/demo-plan/session", {}, cookie=cookie)
    assert status == 200, content


@pytest.mark.requirement("G-demo-serve")
def test_a_second_start_opens_the_same_record_and_can_give_new_passwords(demo):
    folder, server, lines = demo
    if server.process.poll() is None:
        assert server.stop(signal.SIGTERM) == 0
    again, later = start_demo(folder, "--new-password")
    try:
        assert find_password(later) != find_password(lines)
        assert not any("Writing the plan" in line or "sheet.pdf" in line for line in later)
        again.enter("monitor", find_password(later))
        refused = again.ask("POST", "/api/login", {"login": "monitor", "password": find_password(lines)})
        assert refused[0] == 401
    finally:
        again.stop()


@pytest.mark.requirement("G-demo-serve")
def test_a_record_of_patients_is_never_made_a_demonstration(tmp_path):
    with make_record(tmp_path / "home", mode="clinical"):
        pass
    run = run_hepatica(
        "demo", "--serve", "--home", tmp_path / "home", "--out", tmp_path / "plan", "--port", "0"
    )
    assert run.status != 0 and "demo" in run.err and not (tmp_path / "plan").exists()


@pytest.mark.requirement("G-demo-serve")
@pytest.mark.parametrize("options", [("--new-password",), ("--serve", "--json"), ("--home", "x")])
def test_options_that_do_not_go_together_are_refused(options, tmp_path):
    assert run_hepatica("demo", *options, "--out", tmp_path / "plan").status == 2
