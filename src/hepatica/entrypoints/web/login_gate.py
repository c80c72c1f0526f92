"""Let few passwords be hashed at a time: hashing is slow and large on purpose, and must not stop everybody else."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from starlette.exceptions import HTTPException

AT_ONCE: Final = 4
"""Passwords looked at together: 64 MiB and a tenth of a second of one core each."""
WAIT_S: Final = 2.0
"""How long one more waits for its turn before it is sent away."""
RETRY_AFTER_S: Final = 5
_TURNS = threading.BoundedSemaphore(AT_ONCE)
_QUEUE = threading.BoundedSemaphore(AT_ONCE * 4)


@contextmanager
def taking_turns() -> Iterator[None]:
    """Wait for a turn.

    Raises
    ------
    HTTPException
        429 where too many wait.
    """
    if not _QUEUE.acquire(blocking=False):
        raise _refuse()
    try:
        if not _TURNS.acquire(timeout=WAIT_S):
            raise _refuse()
        try:
            yield
        finally:
            _TURNS.release()
    finally:
        _QUEUE.release()


def _refuse() -> HTTPException:
    return HTTPException(429, "too many logins at once", headers={"retry-after": str(RETRY_AFTER_S)})
