"""Live plan sessions: few, evicted, rebuilt, stale answers dropped, rights asked each time."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from queue import Queue

import pytest
from web_record import open_web_record

from hepatica.adapters.compute.worker_process import WorkerProcess
from hepatica.core.errors import ComputeError, ConflictError, NotFoundError
from hepatica.entrypoints.web.plan_sessions import LiveSession, PlanSessions
from hepatica.entrypoints.web.services import WebServices
from hepatica.entrypoints.worker.session_loop import answer_questions
from hepatica.record.people import Role

COMMAND = (sys.executable, "-m", "made_up_sessions")
QUESTION = {
    "ask": "path", "client": "", "limits": {}, "lesion_id": "L1", "entry_lps_mm": [0, 0, 0],
    "tip_lps_mm": [0, 0, 9], "volume_ml": 1.0,
}  # fmt: skip


class Clock:
    time = 0.0

    def __call__(self):
        return self.time


@pytest.fixture
def made(monkeypatch):
    """Sessions with made-up plans in real processes, and a clock that a test moves."""
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(path for path in sys.path if path))
    clock, open_ones = Clock(), []

    def make(**more):
        sessions = PlanSessions(
            lambda task: WorkerProcess(task, command=COMMAND),
            {"home": "", "database": ""},
            clock=clock,
            **more,
        )
        open_ones.append(sessions)
        return sessions, clock

    yield make
    for sessions in open_ones:
        sessions.stop()


def ask(sessions, plan_id, *, sequence=1, account_id="u1", **more):
    question = {**QUESTION, "sequence": sequence, **more}
    return sessions.ask(question, plan_id=plan_id, account_id=account_id)


@pytest.mark.requirement("F-plan-session")
def test_at_most_two_sessions_live_and_the_one_unused_for_longest_makes_room(made):
    sessions, clock = made()
    first = {}
    for time, plan in enumerate("aba", start=1):
        clock.time = time
        first[plan] = ask(sessions, plan, sequence=time)["answer"]["pid"]
    clock.time = 4
    ask(sessions, "c")
    assert sessions.count_live == 2
    again = ask(sessions, "a", sequence=5)["answer"]
    assert again["pid"] == first["a"] and again["asked"] == 3
    rebuilt = ask(sessions, "b", sequence=5)["answer"]
    assert rebuilt["pid"] != first["b"] and rebuilt["asked"] == 1 and rebuilt["task"] == "b"


@pytest.mark.requirement("F-plan-session")
def test_idle_and_too_large_sessions_are_given_up_and_ended(made):
    sessions, clock = made(idle_s=10.0)
    pid = ask(sessions, "a")["answer"]["pid"]
    clock.time = 9.0
    sessions.sweep()
    assert sessions.count_live == 1
    clock.time = 11.0
    sessions.sweep()
    assert sessions.count_live == 0 and not Path(f"/proc/{pid}").exists()
    small, clock = made(memory_most_bytes=1)
    ask(small, "a")
    small.sweep()
    assert small.count_live == 0


@pytest.mark.requirement("F-plan-session")
def test_two_people_do_not_share_a_session_and_limits_come_with_each_question(made):
    sessions, _ = made()
    one = ask(sessions, "a", limits={"margin_lung": 8.0})["answer"]
    two = ask(sessions, "a", account_id="u2")["answer"]
    assert one["pid"] != two["pid"] and one["limits"] == {"margin_lung": 8.0} and two["limits"] == {}
    assert ask(sessions, "a", sequence=2)["answer"]["limits"] == {}


@pytest.mark.requirement("F-plan-session")
def test_an_earlier_question_that_comes_after_a_later_one_is_stale_and_not_computed(made):
    sessions, _ = made()
    assert ask(sessions, "a", sequence=7)["answer"]["asked"] == 1
    late = ask(sessions, "a", sequence=6)
    assert late == {"sequence": 6, "stale": True}
    assert ask(sessions, "a", sequence=1, client="other tab")["answer"]["asked"] == 2


@pytest.mark.requirement("F-plan-session")
def test_of_questions_that_wait_only_the_latest_is_computed_and_one_under_way_is_given_up():
    """Without processes: the order in which questions come is the test's."""
    questions, said, computed = Queue(), [], []

    class Plan:
        def change_limits(self, values):
            pass

        def check_path(self, **more):
            raise AssertionError("not asked")

        opened = None

    import hepatica.workflows.ask_session as asking

    def replan(_session, question, progress):
        computed.append(question["sequence"])
        if question["sequence"] == 3:
            questions.put({"id": 4, "ask": "replan", "client": "", "sequence": 4, "limits": {}})
        progress.check_cancelled()
        if question["sequence"] == 4:
            questions.put({})
        return {"plan": question["sequence"]}

    for number in (1, 2, 3):
        questions.put({"id": number, "ask": "replan", "client": "", "sequence": number, "limits": {}})
    original, asking._replan = asking._replan, replan
    try:
        answer_questions(Plan(), questions, said.append)
    finally:
        asking._replan = original
    assert computed == [3, 4]
    assert [message["sequence"] for message in said if message.get("stale")] == [1, 2, 3]
    assert said[-1] == {"id": 4, "sequence": 4, "answer": {"plan": 4}}


@pytest.mark.requirement("F-plan-session")
def test_a_refusal_keeps_its_code_and_a_worker_that_dies_is_replaced_at_the_next_question(made):
    sessions, _ = made()
    with pytest.raises(NotFoundError):
        ask(sessions, "a", lesion_id="unknown")
    with pytest.raises(ComputeError):
        ask(sessions, "a", sequence=2, lesion_id="die")
    assert ask(sessions, "a", sequence=3)["answer"]["asked"] == 1
    with pytest.raises(NotFoundError):
        ask(sessions, "broken")
    assert sessions.count_live == 1


@pytest.mark.requirement("F-plan-session")
def test_when_all_sessions_are_at_work_a_third_is_refused_not_taken_from_somebody(made):
    sessions, _ = made()
    for plan in "ab":
        ask(sessions, plan)
    for session in sessions._live.values():
        assert isinstance(session, LiveSession)
        session.waiting[99] = Queue()
    with pytest.raises(ConflictError):
        ask(sessions, "c")


@pytest.mark.requirement("F-plan-session")
def test_over_http_a_session_asks_for_the_right_and_site_of_the_plan_each_time(made, tmp_path):
    sessions, _ = made()
    web = open_web_record(tmp_path, services=WebServices(sessions=sessions))
    web.add_patient()
    web.add("plan", "pl", {"scan_id": "c", "visit_number": 1, "status": "cleared", "files": {}})
    body = {"sequence": 1, "lesion_id": "L1", "entry_lps_mm": [0, 0, 0], "tip_lps_mm": [0, 0, 9]}
    doctor = web.enter("ida", Role.INVESTIGATOR)
    assert doctor.post("/api/plan/pl/session").json()["memory_bytes"] > 0
    answer = doctor.post("/api/plan/pl/session/path", json=body)
    assert answer.status_code == 200 and answer.json()["answer"]["asked"] == 1
    for wrong in (
        {"entry_lps_mm": [0, 0]},
        {"entry_lps_mm": [0, 0, 1e9]},
        {"limits": {"a": -1}},
        {"client": "../"},
    ):
        assert doctor.post("/api/plan/pl/session/path", json={**body, **wrong}).status_code == 422
    for client, status in (
        (web.client(), 401),
        (web.enter("ben", Role.COORDINATOR), 403),
        (web.enter("rob", Role.READER_1), 403),
        (web.enter("eva", Role.INVESTIGATOR, sites=["s2"]), 404),
    ):
        assert client.post("/api/plan/pl/session/path", json=body).status_code == status
    assert doctor.post("/api/plan/pl/session/close").status_code == 204 and sessions.count_live == 0
    web.home.close()


@pytest.mark.requirement("F-plan-session")
def test_a_stored_plan_is_rebuilt_from_the_record_and_answers_like_the_plan(tmp_path):
    import nibabel  # noqa: F401
    from cases import write_phantom
    from phantom import make_phantom
    from web_jobs import add_scan, open_world, run_next

    from hepatica.bootstrap import start_worker

    case = write_phantom(tmp_path / "case", phantom=make_phantom(spacing_mm=(6.0, 6.0, 8.0)))
    sessions = PlanSessions(start_worker, {"home": str(tmp_path / "home"), "database": ""})
    web = open_web_record(tmp_path, services=WebServices(sessions=sessions))
    web.add_patient()
    add_scan(web, "ct", case["ct"].read_bytes())
    add_scan(web, "labels", case["labels"].read_bytes(), modality="SEG")
    rows = case["names"].read_text().splitlines()[1:]
    request = {
        "scan_id": "ct", "visit": 1, "protocol": "tvec-label",
        "labels": [{"scan_id": "labels", "names_by_value": dict(row.split(",", 1) for row in rows)}],
    }  # fmt: skip
    doctor = web.enter("ida", Role.INVESTIGATOR)
    doctor.post("/api/job", json={"kind": "plan", "patient_id": "p1", "request": request})
    _, job = run_next(web, open_world(web))
    plan_id = job.result["plan_id"]
    document = doctor.get(f"/api/files/plan/{plan_id}/plan.json").json()
    best = document["punctures"][0]
    tip = best["tracks"][0]["tip_lps_mm"]
    try:
        asked = {
            "sequence": 1,
            "lesion_id": best["lesion_ids"][0],
            "entry_lps_mm": best["entry_lps_mm"],
            "tip_lps_mm": tip,
        }
        answer = doctor.post(f"/api/plan/{plan_id}/session/path", json=asked).json()
        assert answer["answer"]["puncture"]["clearance_mm"] == best["clearance_mm"]
        again = doctor.post(f"/api/plan/{plan_id}/session/replan", json={"sequence": 1}).json()["answer"]
        assert again["punctures"] == document["punctures"] and again["injections"] == document["injections"]
    finally:
        sessions.stop()
        web.home.close()
