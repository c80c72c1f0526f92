"""Live plan sessions in processes of their own: few at a time, given up when idle or large, rebuilt when asked."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from queue import Empty, Queue
from typing import Any, Final

from hepatica.core.errors import ComputeError, ConflictError, HepaticaError
from hepatica.workflows.worker_ports import StartWorker, Worker

MOST: Final = 2
"""Live sessions: each holds a scan and its scene."""
IDLE_S: Final = 900.0
"""A session that nobody asked for so long is given up; the next question rebuilds it."""
MEMORY_MOST_BYTES: Final = 6 << 30
"""Memory of all sessions together above which the one unused for longest is given up."""
OPEN_PATIENCE_S: Final = 300.0
ANSWER_PATIENCE_S: Final = 120.0
SWEEP_EVERY_S: Final = 15.0

Key = tuple[str, str]
"""Plan and account: nobody's limits change another's answers."""


@dataclass(slots=True, eq=False)
class LiveSession:
    """One session."""

    key: Key
    worker: Worker
    used_at: float
    ready: threading.Event = field(default_factory=threading.Event)
    waiting: dict[int, Queue[Mapping[str, Any]]] = field(default_factory=dict)
    sending: threading.Lock = field(default_factory=threading.Lock)
    problem: Mapping[str, Any] | None = None

    @property
    def is_busy(self) -> bool:
        """Whether somebody waits for it."""
        return bool(self.waiting) or not self.ready.is_set()


class PlanSessions:
    """All live sessions of a server.

    Parameters
    ----------
    start_worker
        Starts a process with a task.
    task
        What every task holds: home and database.
    most, idle_s, memory_most_bytes
        How many live, how long unused, and how large together.
    clock
        Seconds that only go forward.
    """

    def __init__(
        self,
        start_worker: StartWorker,
        task: Mapping[str, Any],
        *,
        most: int = MOST,
        idle_s: float = IDLE_S,
        memory_most_bytes: int = MEMORY_MOST_BYTES,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._start_worker, self._task = start_worker, dict(task)
        self._most, self._idle_s, self._memory_most_bytes = most, idle_s, memory_most_bytes
        self._clock = clock
        self._live: dict[Key, LiveSession] = {}
        self._lock, self._stopping = threading.Lock(), threading.Event()
        self._numbers = itertools.count(1)

    @property
    def count_live(self) -> int:
        """How many sessions live."""
        return len(self._live)

    def start(self) -> None:
        """Begin to look for idle sessions."""
        threading.Thread(target=self._sweep_often, name="plan-sessions", daemon=True).start()

    def open(self, *, plan_id: str, account_id: str) -> int:
        """Have a session live; returns the memory it holds, in bytes.

        Parameters
        ----------
        plan_id
            The plan, already known to be for this person.
        account_id
            The person.

        Raises
        ------
        ConflictError
            If others keep all sessions busy.
        ComputeError, HepaticaError
            If it cannot be opened.
        """
        session = self._find(plan_id, account_id)
        return session.worker.count_bytes()

    def ask(self, question: Mapping[str, Any], *, plan_id: str, account_id: str) -> dict[str, Any]:
        """Ask, and return the answer, or ``stale`` if a later question of the same client came meanwhile.

        Parameters
        ----------
        question
            With ``ask``, ``client``, ``sequence`` and what it asks for.
        plan_id, account_id
            As in `open`.
        """
        session = self._find(plan_id, account_id)
        number, held = next(self._numbers), Queue[Mapping[str, Any]](1)
        session.waiting[number] = held
        try:
            with session.sending:
                session.worker.send({**question, "id": number})
            answer = held.get(timeout=ANSWER_PATIENCE_S)
        except Empty as problem:
            self._give_up(session)
            raise _refuse("one that took too long") from problem
        except ComputeError:
            self._give_up(session)
            raise
        finally:
            session.waiting.pop(number, None)
            session.used_at = self._clock()
        if "error" in answer:
            refusal = rebuild_error(answer["error"])
            if isinstance(refusal, ComputeError):
                # Its output has ended; the process itself may take a moment longer.
                self._give_up(session)
            raise refusal
        return {name: value for name, value in answer.items() if name != "id"}

    def close(self, *, plan_id: str, account_id: str) -> None:
        """Give a session up; silently, if there is none."""
        with self._lock:
            session = self._live.pop((plan_id, account_id), None)
        if session is not None:
            session.worker.end()

    def sweep(self) -> None:
        """Give up what was idle too long, ended by itself, or is too much together."""
        now = self._clock()
        with self._lock:
            sessions = sorted(self._live.values(), key=lambda session: session.used_at)
            held = {session.key: session.worker.count_bytes() for session in sessions}
            gone = []
            for session in sessions:
                idle = now - session.used_at > self._idle_s
                large = sum(held.values()) > self._memory_most_bytes
                if session.worker.is_over or ((idle or large) and not session.is_busy):
                    held.pop(session.key)
                    gone.append(self._live.pop(session.key))
        for session in gone:
            session.worker.end()

    def stop(self) -> None:
        """Give all of them up."""
        self._stopping.set()
        with self._lock:
            gone, self._live = list(self._live.values()), {}
        for session in gone:
            session.worker.end()

    def _find(self, plan_id: str, account_id: str) -> LiveSession:
        key, evicted = (plan_id, account_id), None
        with self._lock:
            session = self._live.get(key)
            if session is not None and session.worker.is_over:
                del self._live[key]
                session = None
            if session is None:
                evicted = self._make_room()
                task = {**self._task, "task": "session", "plan_id": plan_id, "account_id": account_id}
                session = LiveSession(key=key, worker=self._start_worker(task), used_at=self._clock())
                self._live[key] = session
                threading.Thread(target=self._listen, args=(session,), daemon=True).start()
            session.used_at = self._clock()
        if evicted is not None:
            evicted.worker.end()
        if not session.ready.wait(OPEN_PATIENCE_S):
            self._give_up(session)
            raise _refuse("one that took too long to open")
        if session.problem is not None:
            self._give_up(session)
            raise rebuild_error(session.problem)
        return session

    def _make_room(self) -> LiveSession | None:
        """Return the session to end for a new one; the caller holds the lock."""
        if len(self._live) < self._most:
            return None
        idle = [session for session in self._live.values() if not session.is_busy]
        if not idle:
            raise ConflictError(
                expected=f"at most {self._most} live plan sessions",
                given="as many, all at work",
                where="plan session",
                action="try again in a moment",
            )
        return self._live.pop(min(idle, key=lambda session: session.used_at).key)

    def _give_up(self, session: LiveSession) -> None:
        with self._lock:
            if self._live.get(session.key) is session:
                del self._live[session.key]
        session.worker.end()

    def _listen(self, session: LiveSession) -> None:
        """Hand answers to whoever waits for them, until the worker ends."""
        try:
            while True:
                message = session.worker.receive(timeout_s=SWEEP_EVERY_S)
                if message is None:
                    continue
                if "ready" in message:
                    session.problem = message.get("error")
                    session.ready.set()
                elif held := session.waiting.get(message["id"]):
                    held.put(message)
        except ComputeError as ended:
            problem = ended.to_dict()
            if not session.ready.is_set():
                session.problem = problem
                session.ready.set()
            for held in list(session.waiting.values()):
                held.put({"error": problem})

    def _sweep_often(self) -> None:
        while not self._stopping.wait(SWEEP_EVERY_S):
            with suppress(HepaticaError):
                self.sweep()


def rebuild_error(document: Mapping[str, Any]) -> HepaticaError:
    """Return the refusal that a worker answered with, as one of this process.

    Parameters
    ----------
    document
        What `HepaticaError.to_dict` gave there.
    """
    found: list[type[HepaticaError]] = [HepaticaError]
    for cls in found:
        found += cls.__subclasses__()
    parts = {name: str(document.get(name, "")) for name in ("expected", "given", "where", "action")}
    by_code = {cls.code: cls for cls in reversed(found)}
    cls = by_code.get(str(document.get("code")), HepaticaError)
    error = cls.__new__(cls)
    HepaticaError.__init__(error, **parts)
    return error


def _refuse(given: str) -> ComputeError:
    return ComputeError(
        expected="a plan session that answers", given=given, where="plan session", action="ask again"
    )
