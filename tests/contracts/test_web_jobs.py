"""Long work over HTTP: states, rights when it runs, cancel, resume, streams, worker processes."""

from __future__ import annotations

import json
import signal
import time
from dataclasses import replace

import pytest
from live_server import PASSWORD, start_server
from web_record import open_web_record

from hepatica.adapters.store.home import open_home
from hepatica.bootstrap import SystemClock, make_job_world, make_record
from hepatica.core.errors import ConflictError
from hepatica.record.job import FOLLOWS, Job, JobState
from hepatica.record.people import Role
from hepatica.workflows import run_job as running
from hepatica.workflows.job_catalogue import read_job_kinds
from hepatica.workflows.job_ports import JobKind
from hepatica.workflows.run_job import claim_job, interrupt_left, run_job

PATIENCE_S = 60.0


@pytest.fixture
def web(tmp_path):
    record = open_web_record(tmp_path)
    yield record
    record.home.close()


def make_kind(run, *, clean=None):
    return JobKind(
        name="verify", label="", right="audit.verify", of_patient=False, check=dict, run=run, clean=clean
    )


@pytest.fixture
def world(web, tmp_path):
    class Open:
        folder, context, sealed = web.home.folder, web.context, web.home.store
        incoming = None

        def read_checkpoint_key(self, _path):
            return None

    return make_job_world(Open())


def use(monkeypatch, kind):
    for module in (running, __import__("hepatica.workflows.jobs", fromlist=["x"])):
        monkeypatch.setattr(module, "find_job_kind", lambda _name: kind)


def wait_for(read, *states):
    """Poll a job until it is in one of some states."""
    deadline = time.monotonic() + PATIENCE_S
    while True:
        job = read()
        if job["state"] in states:
            return job
        assert time.monotonic() < deadline, job
        time.sleep(0.05)


@pytest.mark.requirement("F-jobs-states")
@pytest.mark.parametrize("before", list(JobState))
@pytest.mark.parametrize("after", list(JobState))
def test_a_job_takes_only_the_steps_that_are_written_down(before, after):
    now = SystemClock().now()
    job = Job(
        job_id="j", kind="verify", account_id="u", request={}, created_at=now, seen_at=now, state=before
    )
    if after in FOLLOWS[before]:
        assert job.step(after, now=now).state is after
    else:
        with pytest.raises(ConflictError):
            job.step(after, now=now)
    assert job.is_over == (before in {JobState.DONE, JobState.FAILED, JobState.CANCELLED})


@pytest.mark.requirement("F-jobs-kinds")
def test_kinds_of_jobs_are_found_by_looking_and_each_asks_for_a_right_of_the_table():
    from hepatica.record.people import read_rights

    kinds = read_job_kinds()
    assert {"plan", "verify", "import"} <= set(kinds)
    assert all(kind.right in read_rights() for kind in kinds.values())


@pytest.mark.requirement("F-jobs-kinds")
def test_a_request_with_a_path_or_an_unknown_field_is_refused_before_it_is_queued(web):
    web.add_patient()
    doctor = web.enter("ida", Role.INVESTIGATOR)
    good = {"scan_id": "c1", "labels": [{"scan_id": "c2", "names": "totalsegmentator"}], "visit": 1, "protocol": "tvec-label"}  # fmt: skip
    for wrong in (
        {"protocol": "../../etc/passwd"},
        {"protocol": "/etc/passwd"},
        {"needle": "a/b"},
        {"labels": []},
        {"labels": [{"scan_id": "c2", "names": "../names.csv"}]},
        {"labels": [{"scan_id": "c2", "names_by_value": {"x": "liver"}}]},
        {"visit": 0},
        {"surprise": 1},
    ):
        answer = doctor.post(
            "/api/job", json={"kind": "plan", "patient_id": "p1", "request": {**good, **wrong}}
        )
        assert (answer.status_code, answer.json()["code"]) == (422, "record_input"), wrong
        assert "passwd" not in answer.text
    made = doctor.post("/api/job", json={"kind": "plan", "patient_id": "p1", "request": good})
    assert made.status_code == 202 and made.json()["state"] == "queued"


@pytest.mark.requirement("F-jobs-rights")
def test_a_job_of_another_site_is_not_there_and_without_the_right_nothing_is_queued(web):
    web.add_patient()
    doctor = web.enter("ida", Role.INVESTIGATOR)
    other = web.enter("eva", Role.INVESTIGATOR, sites=["s2"])
    body = {"kind": "plan", "patient_id": "p1", "request": {"scan_id": "c", "labels": [{"scan_id": "c"}], "visit": 1, "protocol": "x"}}  # fmt: skip
    job = doctor.post("/api/job", json=body).json()
    assert other.post("/api/job", json=body).status_code == 404
    for path in ("", "/cancel", "/resume", "/events"):
        verb = "GET" if path in ("", "/events") else "POST"
        assert other.request(verb, f"/api/job/{job['job_id']}{path}").status_code == 404
    assert other.get("/api/job").json()["jobs"] == []
    assert doctor.post("/api/job", json={"kind": "verify"}).status_code == 403
    assert web.enter("rob", Role.READER_1).post("/api/job", json=body).status_code == 403


@pytest.mark.requirement("F-jobs-rights")
@pytest.mark.parametrize("when", ["before it starts", "while it runs"])
def test_a_job_of_somebody_who_lost_the_right_fails_and_writes_nothing(web, world, monkeypatch, when):
    auditor = web.enter("aud", Role.AUDITOR)
    account = auditor.get("/api/me").json()["account_id"]
    boss = web.enter("boss", Role.ADMINISTRATOR)
    written = []

    def disable():
        etag = boss.get(f"/api/account/{account}").headers["etag"]
        body = {"state": "disabled", "reason": "left"}
        assert boss.patch(f"/api/account/{account}", json=body, headers={"if-match": etag}).status_code == 200

    def run(_run):
        if when == "while it runs":
            disable()
        return lambda _writer: written.append(1) or {}

    use(monkeypatch, make_kind(run))
    job = auditor.post("/api/job", json={"kind": "verify"}).json()
    if when == "before it starts":
        disable()
    claimed = claim_job(web.context)
    assert claimed.job_id == job["job_id"]
    state = run_job(web.context, world, job_id=claimed.job_id, run_id=claimed.run_id)
    with web.context.store.reading() as reader:
        ended = reader.jobs.find_job(job["job_id"])
    assert state is ended.state is JobState.FAILED and ended.result["error"]["code"] == "authentication"
    assert written == []


@pytest.mark.requirement("F-jobs-cancel")
def test_a_job_cancelled_while_it_runs_stops_at_its_next_look_and_writes_nothing(web, world, monkeypatch):
    monkeypatch.setattr(running, "REPORT_EVERY_S", 0.0)
    auditor = web.enter("aud", Role.AUDITOR)
    reached, cleaned = [], []

    def run(run):
        assert auditor.post(f"/api/job/{run.job.job_id}/cancel").json()["state"] == "cancelled"
        run.progress.check_cancelled()
        reached.append("after")

    use(monkeypatch, make_kind(run, clean=lambda _world, job: cleaned.append(job.job_id)))
    job = auditor.post("/api/job", json={"kind": "verify"}).json()
    claimed = claim_job(web.context)
    run_job(web.context, world, job_id=claimed.job_id, run_id=claimed.run_id)
    assert reached == [] and cleaned == [job["job_id"]]
    assert auditor.get(f"/api/job/{job['job_id']}").json()["state"] == "cancelled"
    assert auditor.post(f"/api/job/{job['job_id']}/cancel").status_code == 409
    assert list((web.home.folder / "scratch").iterdir()) == []


@pytest.mark.requirement("F-jobs-resume")
def test_a_run_that_was_given_up_cannot_finish_a_job_that_another_run_took_over(web, world, monkeypatch):
    auditor = web.enter("aud", Role.AUDITOR)
    done = []

    def run(run):
        # Meanwhile the server died, another found the job and somebody resumed it.
        assert interrupt_left(web.context) == 1
        assert auditor.post(f"/api/job/{run.job.job_id}/resume").json()["state"] == "queued"
        return lambda _writer: done.append("old run") or {}

    use(monkeypatch, make_kind(run))
    job = auditor.post("/api/job", json={"kind": "verify"}).json()
    old = claim_job(web.context)
    run_job(web.context, world, job_id=old.job_id, run_id=old.run_id)
    assert done == [] and auditor.get(f"/api/job/{job['job_id']}").json()["state"] == "queued"
    use(monkeypatch, make_kind(lambda _run: lambda _writer: {"new": True}))
    new = claim_job(web.context)
    assert run_job(web.context, world, job_id=new.job_id, run_id=new.run_id) is JobState.DONE
    assert auditor.get(f"/api/job/{job['job_id']}").json()["result"] == {"new": True}


@pytest.mark.requirement("F-jobs-events")
def test_the_stream_sends_each_change_and_ends_with_the_job(web, world):
    auditor = web.enter("aud", Role.AUDITOR)
    job = auditor.post("/api/job", json={"kind": "verify"}, headers={"idempotency-key": "k"}).json()
    again = auditor.post("/api/job", json={"kind": "verify"}, headers={"idempotency-key": "k"}).json()
    assert again["job_id"] == job["job_id"]
    claimed = claim_job(web.context)
    assert run_job(web.context, world, job_id=claimed.job_id, run_id=claimed.run_id) is JobState.DONE
    answer = auditor.get(f"/api/job/{job['job_id']}/events")
    assert answer.headers["content-type"].startswith("text/event-stream")
    (data,) = [line[6:] for line in answer.text.splitlines() if line.startswith("data: ")]
    assert json.loads(data)["state"] == "done" and json.loads(data)["result"]["whole"] is True


@pytest.fixture
def home(tmp_path):
    """A record with an auditor, ready to be served."""
    folder = tmp_path / "home"
    with make_record(folder, mode="clinical") as record:
        from hepatica.workflows.accounts import accept_link, invite_account

        for login, role in (("aud", Role.AUDITOR), ("boss", Role.ADMINISTRATOR)):
            _, secret = invite_account(
                record.context, login=login, display_name=login, roles=[role], site_ids=["s1"]
            )
            accept_link(record.context, record.passwords, secret=secret, password=PASSWORD)
    return folder


@pytest.mark.requirement("F-jobs-processes")
def test_a_job_runs_in_a_process_of_its_own_to_its_end(home):
    server = start_server(home)
    try:
        cookie = server.enter("aud")
        status, _, content = server.ask("POST", "/api/job", {"kind": "verify"}, cookie=cookie)
        assert status == 202
        path = f"/api/job/{json.loads(content)['job_id']}"
        status, headers, stream = server.ask("GET", path + "/events", cookie=cookie)
        states = [
            json.loads(line[6:])["state"] for line in stream.decode().splitlines() if line[:6] == "data: "
        ]
        assert states[-1] == "done" and set(states) <= {"queued", "running", "done"}
    finally:
        assert server.stop() == 0


@pytest.mark.requirement("F-jobs-resume")
def test_after_the_server_was_killed_the_job_is_interrupted_and_can_be_resumed(home):
    opened = open_home(home)
    now = SystemClock().now()
    first = start_server(home)
    try:
        cookie = first.enter("aud")
    finally:
        first.process.kill()
        first.process.wait(PATIENCE_S)
    with opened.store.writing() as writer:
        account = writer.accounts.find_credential(login="aud").account_id
        job = Job(job_id="left", kind="verify", account_id=account, request={}, created_at=now, seen_at=now)
        writer.jobs.write_job(replace(job.step(JobState.RUNNING, now=now), run_id="gone"))
    second = start_server(home)
    try:
        read = lambda: json.loads(second.ask("GET", "/api/job/left", cookie=cookie)[2])  # noqa: E731
        assert read()["state"] == "interrupted"
        assert second.ask("POST", "/api/job/left/resume", cookie=cookie)[0] == 200
        assert wait_for(read, "done", "failed")["state"] == "done"
    finally:
        assert second.stop(signal.SIGINT) == 0
        opened.close()


@pytest.mark.requirement("F-jobs-processes")
def test_a_second_server_of_one_record_is_refused(home):
    from cases import run_hepatica

    server = start_server(home)
    try:
        run = run_hepatica("serve", "--home", home, "--port", 0)
        assert run.status == 45
    finally:
        assert server.stop() == 0
