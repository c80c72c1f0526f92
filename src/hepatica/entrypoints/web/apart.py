"""Run something in a process of its own: the web process loads no imaging and no network-imaging library."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable
from typing import Any, Final, TypeVar

from hepatica.core import errors
from hepatica.core.errors import HepaticaError

LIMIT_S: Final = 300.0
"""Longest run; what may take longer is a job."""
_T = TypeVar("_T")


def run_apart(function: Callable[..., _T], *arguments: Any, limit_s: float = LIMIT_S) -> _T:
    """Run a function of a module in a new process and return its result.

    Parameters
    ----------
    function
        Found by name in the new process; its arguments and result are copied.
    arguments
        Of the function.
    limit_s
        After this time it is ended.

    Raises
    ------
    HepaticaError
        What the function raised, or that it did not come to an end.
    """
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe(duplex=False)
    child = context.Process(target=_answer, args=(there, function, arguments), daemon=True)
    child.start()
    there.close()
    try:
        if not here.poll(limit_s):
            raise _fail("no answer in time")
        kind, answer = here.recv()
    except EOFError:
        raise _fail("a process that ended") from None
    finally:
        here.close()
        child.kill()
        child.join()
        child.close()
    if kind == "error":
        raise _to_error(answer)
    result: _T = answer
    return result


def _answer(pipe: Any, function: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
    try:
        pipe.send(("done", function(*arguments)))
    except HepaticaError as problem:
        pipe.send(("error", {"type": type(problem).__name__, **problem.to_dict()}))
    except Exception as problem:  # noqa: BLE001  the other side only learns the kind of fault
        pipe.send(("error", {"type": "HepaticaError", "given": type(problem).__name__}))


def _to_error(answer: dict[str, str]) -> HepaticaError:
    made: HepaticaError = getattr(errors, answer["type"], HepaticaError)(
        expected=answer.get("expected", "an answer"),
        given=answer["given"],
        where=answer.get("where", ""),
        action=answer.get("action", ""),
    )
    return made


def _fail(given: str) -> HepaticaError:
    return HepaticaError(expected="an answer", given=given, where="work in a process of its own")
