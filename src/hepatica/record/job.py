"""Long work as the record keeps it: its states, and which may follow which."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from hepatica.core.errors import ConflictError
from hepatica.record.event import JsonValue


class JobState(StrEnum):
    """Where a job stands."""

    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"
    INTERRUPTED = "interrupted"
    """The server ended before the job did; it can be resumed."""


FOLLOWS: Final[Mapping[JobState, frozenset[JobState]]] = MappingProxyType(
    {
        JobState.QUEUED: frozenset({JobState.RUNNING, JobState.CANCELLED}),
        JobState.RUNNING: frozenset(
            {JobState.DONE, JobState.FAILED, JobState.CANCELLED, JobState.INTERRUPTED}
        ),
        JobState.INTERRUPTED: frozenset({JobState.QUEUED, JobState.CANCELLED}),
        JobState.DONE: frozenset(),
        JobState.FAILED: frozenset(),
        JobState.CANCELLED: frozenset(),
    }
)
"""What may follow each state; the last three are ends."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One piece of long work.

    Parameters
    ----------
    job_id
        Unlike any other's.
    kind
        Word of its kind, see `hepatica.workflows.job_kinds`.
    account_id
        Who asked for it; it runs with this person's rights of the moment.
    site_id, patient_id
        Where it belongs; empty text for none.
    state
        Where it stands.
    request
        What was asked.
    result
        What came of it; of a failed job, the refusal.
    run_id
        The run that may report and finish it; another for each start, empty before the first.
    stage
        What it is doing.
    fraction
        How much of that is done, 0 to 1.
    created_at, seen_at
        When it was asked for, and when it last reported; UTC.
    """

    job_id: str
    kind: str
    account_id: str
    site_id: str = ""
    patient_id: str = ""
    state: JobState = JobState.QUEUED
    request: Mapping[str, JsonValue]
    result: Mapping[str, JsonValue] = field(default_factory=dict)
    run_id: str = ""
    stage: str = ""
    fraction: float = 0.0
    created_at: datetime
    seen_at: datetime

    @property
    def is_over(self) -> bool:
        """Whether nothing can follow."""
        return not FOLLOWS[self.state]

    def step(self, state: JobState, *, now: datetime) -> Job:
        """Return the job in its next state.

        Parameters
        ----------
        state
            Next state.
        now
            Time in UTC.

        Raises
        ------
        ConflictError
            If that state cannot follow.

        Examples
        --------
        >>> from datetime import UTC
        >>> now = datetime(2026, 1, 2, tzinfo=UTC)
        >>> job = Job(job_id="j", kind="verify", account_id="u", request={}, created_at=now, seen_at=now)
        >>> job.step(JobState.RUNNING, now=now).step(JobState.INTERRUPTED, now=now).is_over
        False
        """
        if state not in FOLLOWS[self.state]:
            raise ConflictError(
                expected=f"a job that can be {state.value}",
                given=f"one that is {self.state.value}",
                where=f"job {self.job_id}",
            )
        return replace(self, state=state, seen_at=now)
