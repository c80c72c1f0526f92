"""What the server holds of logins under way at the identity provider: a key of this run, and answers already taken."""

from __future__ import annotations

import hmac
import secrets
import threading
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Final

from starlette.exceptions import HTTPException

from hepatica.core.errors import AuthenticationError
from hepatica.record.provider_login import START_LIFE, StartedLogin, open_started, seal_started

AT_ONCE: Final = 8
"""Logins that may speak to the provider together: a slow one must not take every thread of the server."""
KEPT_MOST: Final = 100_000
"""Answers remembered; the provider takes no code twice either."""
RETRY_AFTER_S: Final = 5


class ProviderGate:
    """Lets each answer of the provider in once, and few at a time."""

    def __init__(self) -> None:
        self._key = secrets.token_bytes(32)
        self._lock = threading.Lock()
        self._used: OrderedDict[str, float] = OrderedDict()
        self._turns = threading.BoundedSemaphore(AT_ONCE)

    @contextmanager
    def taking_turns(self) -> Iterator[None]:
        """Speak to the provider.

        Raises
        ------
        HTTPException
            429 where too many do.
        """
        if not self._turns.acquire(blocking=False):
            raise HTTPException(429, "too many logins at once", headers={"retry-after": str(RETRY_AFTER_S)})
        try:
            yield
        finally:
            self._turns.release()

    def seal(self, started: StartedLogin) -> str:
        """Return a started login for the browser to keep.

        Parameters
        ----------
        started
            The login.
        """
        return seal_started(started, key=self._key)

    def take(self, kept: str, *, state: str, now: datetime) -> StartedLogin:
        """Return the login that an answer belongs to; the answer is used up.

        Parameters
        ----------
        kept
            From the browser.
        state
            Of the answer.
        now
            Time in UTC.

        Raises
        ------
        AuthenticationError
            If this browser began no such login, or its answer came already.
        """
        started = open_started(kept, key=self._key, now=now)
        if hmac.compare_digest(started.state.encode(), state.encode()) and self._use(state, now.timestamp()):
            return started
        raise AuthenticationError(
            expected="the answer to the login that this browser began, once",
            given="another one",
            where="login",
            action="log in again",
        )

    def _use(self, state: str, now: float) -> bool:
        with self._lock:
            while self._used:
                oldest, time = next(iter(self._used.items()))
                if len(self._used) < KEPT_MOST and now - time < START_LIFE.total_seconds():
                    break
                del self._used[oldest]
            if state in self._used:
                return False
            self._used[state] = now
            return True
