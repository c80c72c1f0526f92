"""A session worker whose plan answers at once and tells how often it was asked: the real loop and real pipes."""

from __future__ import annotations

import json
import os
import sys
import threading
from queue import Queue
from types import SimpleNamespace

import hepatica.workflows.ask_session as asking
from hepatica.core.errors import NotFoundError
from hepatica.entrypoints.worker.session_loop import answer_questions


class CountingPlan:
    """Counts questions; waits for a file before it answers one for the lesion ``slow``."""

    def __init__(self) -> None:
        self.asked, self.limits = 0, {}

    def change_limits(self, values):
        self.limits = dict(values)

    def check_path(self, *, lesion_id, **_more):
        self.asked += 1
        if lesion_id == "unknown":
            raise NotFoundError(expected="a lesion", given="another", where="plan")
        if lesion_id == "die":
            os._exit(3)
        return SimpleNamespace(asked=self.asked, limits=self.limits)


def main() -> None:
    questions: Queue = Queue()
    task = json.loads(sys.stdin.readline())

    def read() -> None:
        for line in sys.stdin:
            questions.put(json.loads(line))
        os._exit(0)

    threading.Thread(target=read, daemon=True).start()
    asking._check_path = lambda session, question: (
        vars(session.check_path(**{k: question[k] for k in ("lesion_id", "volume_ml")}))
        | {"pid": os.getpid(), "task": task["plan_id"]}
    )

    def say(message) -> None:
        sys.stdout.write(json.dumps(message) + "\n")
        sys.stdout.flush()

    if task["plan_id"] == "broken":
        say({"ready": False, "error": NotFoundError(expected="a plan", given="none", where="plan").to_dict()})
        return
    say({"ready": True})
    answer_questions(CountingPlan(), questions, say)


if __name__ == "__main__":
    main()
