"""Answer the questions to one open plan, the latest first of all; what a later one replaced is not computed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from queue import Empty, Queue
from typing import Any

from hepatica.workflows.ask_session import OpenPlan, answer_question

Message = dict[str, Any]


def answer_questions(session: OpenPlan, questions: Queue[Message], say: Callable[[Message], None]) -> None:
    """Answer until the process is ended.

    Parameters
    ----------
    session
        The open plan.
    questions
        Questions as they come; None as one ends the loop.
    say
        Sends an answer.
    """
    latest: dict[tuple[str, str], int] = {}
    waiting: list[Message] = []

    def take_all(*, wait: bool) -> bool:
        """Take what has come; returns whether the loop goes on."""
        if wait:
            waiting.append(questions.get())
        with suppress(Empty):
            while True:
                waiting.append(questions.get_nowait())
        for question in waiting:
            if question:
                key = _to_key(question)
                latest[key] = max(latest.get(key, 0), question["sequence"])
        return all(waiting)

    def is_replaced(question: Message) -> bool:
        take_all(wait=False)
        return int(question["sequence"]) < latest[_to_key(question)]

    while take_all(wait=not waiting):
        question = waiting.pop(0)
        if is_replaced(question):
            answer: Message = {"stale": True}
        else:
            answer = answer_question(session, question, is_replaced=partial(is_replaced, question))
            if is_replaced(question):
                answer = {"stale": True}
        say({"id": question["id"], "sequence": question["sequence"], **answer})


def _to_key(question: Mapping[str, Any]) -> tuple[str, str]:
    return question["client"], question["ask"]
