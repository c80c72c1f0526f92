"""``python -m hepatica.entrypoints.worker``: read one task from standard input and do it.

Started by the server alone. Ends at once when its input ends, so that no worker outlives its server.
"""

from __future__ import annotations

import json
import logging
import os
import signal
import sys
import threading
from pathlib import Path
from queue import Queue
from typing import Any, Final

LOG: Final = logging.getLogger("hepatica.worker")


def main() -> int:
    """Do the task; returns the exit status."""
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    sys.excepthook = _log_fault
    messages = _listen()
    task = messages.get()
    # Nothing but answers may reach standard output, whatever a library prints.
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    from hepatica.bootstrap import make_job_world, open_record

    with open_record(Path(task["home"]), database=task["database"]) as record:
        if task["task"] == "job":
            from hepatica.workflows.run_job import run_job

            try:
                run_job(record.context, make_job_world(record), job_id=task["job_id"], run_id=task["run_id"])
            except Exception:
                _fail(record.context, task)
                raise
        elif task["task"] == "session":
            _serve_session(record, task, messages, answers)
    answers.close()
    return 0


def _serve_session(record: Any, task: dict[str, Any], messages: Queue[dict[str, Any]], answers: Any) -> None:
    """Rebuild a plan session from the record and answer its questions."""
    from hepatica.bootstrap import make_job_world, make_plan_ports
    from hepatica.core.errors import HepaticaError
    from hepatica.entrypoints.worker.session_loop import answer_questions
    from hepatica.workflows.open_stored_plan import open_stored_plan

    def say(message: dict[str, Any]) -> None:
        answers.write(json.dumps(message) + "\n")

    with make_job_world(record).open_scratch() as scratch:
        try:
            session = open_stored_plan(
                record.context,
                plan_id=task["plan_id"],
                account_id=task["account_id"],
                folder=scratch,
                ports=make_plan_ports(),
            )
        except HepaticaError as problem:
            where = problem.where.replace(str(scratch), "").strip("/")
            say({"ready": False, "error": {**problem.to_dict(), "where": where}})
            return
        say({"ready": True})
        answer_questions(session, messages, say)


def _fail(record: Any, task: dict[str, Any]) -> None:
    from hepatica.record.job import JobState
    from hepatica.workflows.run_job import end_job

    with record.store.reading() as reader:
        job = reader.jobs.find_job(task["job_id"])
    if job is not None and job.run_id == task["run_id"]:
        fault = {
            "code": "hepatica",
            "expected": "a result",
            "given": "a fault of the program",
            "where": f"job {job.job_id}",
            "action": "report the job's number",
        }
        end_job(record, job=job, state=JobState.FAILED, result={"error": fault})


def _log_fault(kind: type[BaseException], _fault: BaseException, trace: Any) -> None:
    """Log where a fault happened; not its text, which may quote what a file holds."""
    import traceback

    places = [f"{Path(frame.filename).name}:{frame.lineno}" for frame in traceback.extract_tb(trace)]
    LOG.error(json.dumps({"fault": kind.__name__, "at": places[-8:]}))


def _listen() -> Queue[dict[str, Any]]:
    """Return the queue of messages; the process ends when the server has gone."""
    lines: Queue[dict[str, Any]] = Queue()

    def read() -> None:
        for line in sys.stdin:
            lines.put(json.loads(line))
        os._exit(0)

    threading.Thread(target=read, daemon=True).start()
    return lines


if __name__ == "__main__":
    sys.exit(main())
