"""Jobs in the database."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, func, insert, or_, select, update

from hepatica.adapters.store.tables import JOB
from hepatica.record.job import Job, JobState

THOUSANDTHS: Final = 1000
STAGE_MAX: Final = 200


class SqlJobs:
    """Jobs within one transaction.

    Parameters
    ----------
    connection
        Open transaction.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def find_job(self, job_id: str) -> Job | None:
        """Return a job, or None."""
        row = self._connection.execute(select(JOB).where(JOB.c.job_id == job_id)).one_or_none()
        return None if row is None else _to_job(row)

    def list_jobs(
        self, *, states: frozenset[JobState] = frozenset(), after: str = "", limit: int = 100
    ) -> tuple[Job, ...]:
        """Return jobs in the order in which they were asked for."""
        statement = select(JOB).order_by(JOB.c.created_at, JOB.c.job_id).limit(limit)
        if states:
            statement = statement.where(JOB.c.state.in_(sorted(state.value for state in states)))
        before = self.find_job(after) if after else None
        if before is not None:
            time = _to_text(before.created_at)
            later = (JOB.c.created_at == time) & (JOB.c.job_id > before.job_id)
            statement = statement.where(or_(JOB.c.created_at > time, later))
        return tuple(_to_job(row) for row in self._connection.execute(statement))

    def count_jobs(self) -> dict[JobState, int]:
        """Return how many jobs there are in each state."""
        rows = self._connection.execute(select(JOB.c.state, func.count()).group_by(JOB.c.state))
        return {JobState(state): int(count) for state, count in rows}

    def write_job(self, job: Job) -> None:
        """Add or replace a job."""
        values = {
            "kind": job.kind,
            "account_id": job.account_id,
            "site_id": job.site_id,
            "patient_id": job.patient_id,
            "state": job.state.value,
            "request": dict(job.request),
            "result": {"run_id": job.run_id, "value": dict(job.result)},
            "stage": job.stage[:STAGE_MAX],
            "fraction": round(min(max(job.fraction, 0.0), 1.0) * THOUSANDTHS),
            "created_at": _to_text(job.created_at),
            "seen_at": _to_text(job.seen_at),
        }
        changed = self._connection.execute(update(JOB).where(JOB.c.job_id == job.job_id).values(**values))
        if changed.rowcount == 0:
            self._connection.execute(insert(JOB).values(job_id=job.job_id, **values))


def _to_job(row: Any) -> Job:
    held = row.result or {}
    return Job(
        job_id=row.job_id,
        kind=row.kind,
        account_id=row.account_id,
        site_id=row.site_id,
        patient_id=row.patient_id,
        state=JobState(row.state),
        request=row.request,
        result=held.get("value", {}),
        run_id=held.get("run_id", ""),
        stage=row.stage,
        fraction=row.fraction / THOUSANDTHS,
        created_at=datetime.fromisoformat(row.created_at),
        seen_at=datetime.fromisoformat(row.seen_at),
    )


def _to_text(time: datetime) -> str:
    return time.isoformat(timespec="microseconds")
