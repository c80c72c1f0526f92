"""Jobs as the record's views and changes give them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from hepatica.record.job import Job, JobState


class JobReader(Protocol):
    """Jobs of the record."""

    def find_job(self, job_id: str) -> Job | None:
        """Return a job, or None."""

    def list_jobs(
        self, *, states: frozenset[JobState] = frozenset(), after: str = "", limit: int = 100
    ) -> tuple[Job, ...]:
        """Return jobs in the order in which they were asked for; ``after`` is a job's identifier."""

    def count_jobs(self) -> Mapping[JobState, int]:
        """Return how many jobs there are in each state."""


class JobWriter(JobReader, Protocol):
    """The same, to be changed."""

    def write_job(self, job: Job) -> None:
        """Add or replace a job."""
