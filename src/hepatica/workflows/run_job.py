"""Run long work with the rights that the person has when it runs, and write its result once."""

from __future__ import annotations

from dataclasses import replace

from hepatica.core.errors import AuthenticationError, CancelledError, ForbiddenError, HepaticaError
from hepatica.record.event import JsonValue
from hepatica.record.job import Job, JobState
from hepatica.record.people import Actor, require_right
from hepatica.record.sign_in import make_secret
from hepatica.workflows.account_entry import may_enter, to_actor
from hepatica.workflows.job_catalogue import find_job_kind
from hepatica.workflows.job_ports import Commit, JobRun, JobWorld
from hepatica.workflows.record_ports import RecordContext, RecordReader

REPORT_EVERY_S = 0.5
"""Seconds between two looks at whether the job was cancelled, and two reports of how far it is."""
QUEUE_SEEN = 1000
"""Waiting jobs among which the next one is looked for."""


def interrupt_left(record: RecordContext) -> int:
    """Mark what an earlier server left running as interrupted; returns how many jobs that were.

    Parameters
    ----------
    record
        The program itself, at the start of the only server of this record.
    """
    with record.store.writing() as writer:
        left = writer.jobs.list_jobs(states=frozenset({JobState.RUNNING}), limit=10_000)
        for job in left:
            writer.jobs.write_job(replace(job.step(JobState.INTERRUPTED, now=record.now_utc()), run_id=""))
        return len(left)


def claim_job(record: RecordContext) -> Job | None:
    """Take the job that has waited longest, those that started by themselves last, or None.

    Parameters
    ----------
    record
        The program itself.
    """
    queued = frozenset({JobState.QUEUED})
    with record.store.reading() as reader:
        if not reader.jobs.list_jobs(states=queued, limit=1):
            return None
    with record.store.writing() as writer:
        waiting = writer.jobs.list_jobs(states=queued, limit=QUEUE_SEEN)
        # What nobody waits for lets pass what somebody asked for; the order stays within each.
        for job in sorted(waiting, key=lambda job: find_job_kind(job.kind).starts_by_itself):
            claimed = replace(
                job.step(JobState.RUNNING, now=record.now_utc()), run_id=make_secret()[:16], stage="Starting"
            )
            writer.jobs.write_job(claimed)
            return claimed
    return None


def run_job(record: RecordContext, world: JobWorld, *, job_id: str, run_id: str) -> JobState:
    """Run a claimed job to its end; returns the state it has then.

    Parameters
    ----------
    record
        The program itself.
    world
        What the work may use.
    job_id, run_id
        The job, and the run it was claimed for; nothing happens if it is another run's by now.
    """
    with record.store.reading() as reader:
        job = reader.jobs.find_job(job_id)
    if job is None or job.state is not JobState.RUNNING or job.run_id != run_id:
        return JobState.CANCELLED if job is None else job.state
    kind = find_job_kind(job.kind)
    with world.open_scratch() as scratch:
        try:
            with record.store.reading() as reader:
                actor = require_actor(reader, record, job)
            context = replace(record, actor=actor, request_id=f"job-{job.job_id}")
            run = JobRun(
                context=context,
                job=job,
                world=world,
                scratch=scratch,
                progress=RecordProgress(record, job),
            )
            commit = kind.run(run)
            state = _finish(context, job, commit)
        except CancelledError:
            state = JobState.CANCELLED
        except HepaticaError as problem:
            refusal: dict[str, JsonValue] = {**problem.to_dict()}
            where = problem.where.replace(str(scratch), "").strip("/")
            end_job(record, job=job, state=JobState.FAILED, result={"error": {**refusal, "where": where}})
            state = JobState.FAILED
    clean_up(record, world, job_id=job_id)
    return state


def clean_up(record: RecordContext, world: JobWorld, *, job_id: str) -> None:
    """Remove what a job that is over left behind; does nothing while it may still go on.

    Parameters
    ----------
    record
        The program itself.
    world
        Where it was left.
    job_id
        The job.
    """
    with record.store.reading() as reader:
        job = reader.jobs.find_job(job_id)
    clean = find_job_kind(job.kind).clean if job is not None else None
    if job is not None and job.is_over and clean is not None:
        clean(world, job)


def end_job(record: RecordContext, *, job: Job, state: JobState, result: dict[str, JsonValue]) -> None:
    """End a run that wrote nothing; silently, if it is another run's or over by now.

    Parameters
    ----------
    record
        The program itself.
    job
        The job as it was claimed.
    state
        Failed or interrupted.
    result
        Why.
    """
    with record.store.writing() as writer:
        now = writer.jobs.find_job(job.job_id)
        if now is not None and now.state is JobState.RUNNING and now.run_id == job.run_id:
            ended = replace(now.step(state, now=record.now_utc()), result=result)
            writer.jobs.write_job(replace(ended, run_id="") if state is JobState.INTERRUPTED else ended)


def require_actor(reader: RecordReader, record: RecordContext, job: Job) -> Actor:
    """Return who asked for a job, with the rights of this moment.

    Parameters
    ----------
    reader
        View of the record.
    record
        The program itself, for the time.
    job
        The job.

    Raises
    ------
    AuthenticationError
        If the account may not log in any more.
    ForbiddenError
        If it lost the right.
    """
    account = reader.find_item("account", job.account_id)
    if account is None or not may_enter(account, record.now_utc()):
        raise AuthenticationError(
            expected="an account that may log in",
            given="one that may not any more",
            where=f"job {job.job_id}",
        )
    actor = to_actor(account)
    require_right(actor, find_job_kind(job.kind).right, site_id=job.site_id)
    return actor


class RecordProgress:
    """Writes how far a job is into the record, and ends it when somebody cancelled it.

    Parameters
    ----------
    record
        The program itself.
    job
        The job as it was claimed.
    """

    def __init__(self, record: RecordContext, job: Job) -> None:
        from time import monotonic

        self._record, self._job = record, job
        self._clock, self._next = monotonic, 0.0
        self._stage, self._fraction = job.stage, 0.0

    def stage(self, name: str) -> None:
        """Begin a named stage."""
        self._stage, self._fraction = name, 0.0
        self._report()

    def advance(self, fraction: float) -> None:
        """Say how much of the stage is done."""
        self._fraction = fraction
        self.check_cancelled()

    def check_cancelled(self) -> None:
        """Raise `CancelledError` if the job is no longer this run's."""
        if self._clock() >= self._next:
            self._report()

    def _report(self) -> None:
        self._next = self._clock() + REPORT_EVERY_S
        with self._record.store.writing() as writer:
            job = writer.jobs.find_job(self._job.job_id)
            _require_own(job, self._job)
            assert job is not None
            writer.jobs.write_job(
                replace(job, stage=self._stage, fraction=self._fraction, seen_at=self._record.now_utc())
            )


def _finish(context: RecordContext, job: Job, commit: Commit) -> JobState:
    """Write what was computed and end the job in one change: it happens once, or not at all."""
    with context.store.writing() as writer:
        now = writer.jobs.find_job(job.job_id)
        _require_own(now, job)
        assert now is not None
        actor = require_actor(writer, context, job)
        if not (context.actor.roles <= actor.roles and context.actor.site_ids <= actor.site_ids):
            raise ForbiddenError(
                expected="the rights the job began with", given="fewer", where=f"job {job.job_id}"
            )
        result = commit(writer)
        done = replace(now.step(JobState.DONE, now=context.now_utc()), result=result, stage="", fraction=1.0)
        writer.jobs.write_job(done)
        return JobState.DONE


def _require_own(now: Job | None, job: Job) -> None:
    if now is None or now.state is not JobState.RUNNING or now.run_id != job.run_id:
        raise CancelledError(where=f"job {job.job_id}")
