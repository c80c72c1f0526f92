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
from collections.abc import Iterator
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
    task = next(messages)
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
    answers.close()
    return 0


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


def _listen() -> Iterator[dict[str, Any]]:
    """Yield messages; end the process when the server has gone."""
    lines: Queue[dict[str, Any]] = Queue()

    def read() -> None:
        for line in sys.stdin:
            lines.put(json.loads(line))
        os._exit(0)

    threading.Thread(target=read, daemon=True).start()
    while True:
        yield lines.get()


if __name__ == "__main__":
    sys.exit(main())
