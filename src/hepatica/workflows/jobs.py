"""Ask for long work, look at it, stop it, go on with it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from hepatica.core.errors import ConflictError, NotFoundError
from hepatica.record.event import JsonValue
from hepatica.record.item import Item
from hepatica.record.job import Job, JobState
from hepatica.record.people import Actor, require_right
from hepatica.record.sign_in import make_secret
from hepatica.workflows.blinded_view import find_own_reads
from hepatica.workflows.job_catalogue import find_job_kind
from hepatica.workflows.record_ports import RecordContext, RecordReader, RecordWriter

OPEN_MOST = 20
"""Most jobs of one account that wait or run: nobody fills the queue for all."""
OPEN = frozenset({JobState.QUEUED, JobState.RUNNING})


def submit_job(
    context: RecordContext,
    writer: RecordWriter,
    *,
    kind: str,
    patient_id: str,
    request: Mapping[str, JsonValue],
) -> Job:
    """Queue a piece of work.

    Parameters
    ----------
    context, writer
        Who asks, and the change in the making.
    kind
        Kind of work.
    patient_id
        Whose; empty for work of the whole record.
    request
        What is asked.

    Raises
    ------
    ForbiddenError
        Without the kind's right.
    NotFoundError
        If there is no such kind, or no such patient for this person.
    RecordInputError
        If the request holds what it may not, or lacks what it must.
    ConflictError
        If too many jobs of this account are open.
    """
    rule = find_job_kind(kind)
    require_right(context.actor, rule.right)
    site_id = ""
    if rule.of_patient:
        patient = writer.find_item("patient", patient_id)
        if patient is None or not _is_given(context.actor, writer, patient):
            raise NotFoundError(
                expected="a patient of the record", given="an unknown identifier", where="patient"
            )
        site_id = patient.site_id
    asked = rule.check(request)
    if not rule.of_patient and asked.get("site_id"):
        # Work about one site is that site's: others neither ask for it nor see it.
        site_id = str(asked["site_id"])
        require_right(context.actor, rule.right, site_id=site_id)
    own = [
        job
        for job in writer.jobs.list_jobs(states=OPEN, limit=10_000)
        if job.account_id == context.actor.account_id
        and find_job_kind(job.kind).starts_by_itself == rule.starts_by_itself
    ]
    if len(own) >= OPEN_MOST:
        raise ConflictError(
            expected=f"at most {OPEN_MOST} open jobs of one person",
            given=str(len(own)),
            where="job",
            action="wait, or cancel one",
        )
    return _write_job(
        context,
        writer,
        kind=kind,
        site_id=site_id,
        patient_id=patient_id if rule.of_patient else "",
        asked=asked,
    )


def queue_job(
    context: RecordContext,
    writer: RecordWriter,
    *,
    kind: str,
    patient: Item,
    request: Mapping[str, JsonValue],
) -> Job:
    """Queue work that the program asks for in somebody's name, however many of his jobs are open.

    Parameters
    ----------
    context, writer
        In whose name, and the change in the making.
    kind
        Kind of work that starts by itself.
    patient
        An item of the patient, at his site.
    request
        What is asked.

    Raises
    ------
    ForbiddenError
        Without the kind's right at that site.
    """
    rule = find_job_kind(kind)
    require_right(context.actor, rule.right, site_id=patient.site_id)
    return _write_job(
        context,
        writer,
        kind=kind,
        site_id=patient.site_id,
        patient_id=patient.patient_id,
        asked=rule.check(request),
    )


def _write_job(
    context: RecordContext,
    writer: RecordWriter,
    *,
    kind: str,
    site_id: str,
    patient_id: str,
    asked: dict[str, JsonValue],
) -> Job:
    now = context.now_utc()
    job = Job(
        job_id=make_secret()[:16],
        kind=kind,
        account_id=context.actor.account_id,
        site_id=site_id,
        patient_id=patient_id,
        request=asked,
        created_at=now,
        seen_at=now,
    )
    writer.jobs.write_job(job)
    return job


def read_job(context: RecordContext, *, job_id: str) -> Job:
    """Return a job.

    Parameters
    ----------
    context
        Who looks: whoever has the kind's right at the job's site.
    job_id
        The job.

    Raises
    ------
    NotFoundError
        If there is none, or it is not for him.
    """
    with context.store.reading() as reader:
        return _require_job(context, reader, job_id)


def list_jobs(context: RecordContext, *, after: str = "", limit: int = 100) -> tuple[Job, ...]:
    """Return the jobs that a person may see, in the order in which they were asked for.

    Parameters
    ----------
    context
        Who looks.
    after, limit
        Jobs after this one, and how many.
    """
    wanted = max(1, min(limit, 500))
    shown: list[Job] = []
    with context.store.reading() as reader:
        while len(shown) < wanted:
            page = reader.jobs.list_jobs(after=after, limit=500)
            shown += [job for job in page if _sees(context.actor, job)]
            if len(page) < 500:
                break
            after = page[-1].job_id
    return tuple(shown[:wanted])


def cancel_job(context: RecordContext, *, job_id: str) -> Job:
    """Stop a job that waits, runs or was interrupted; what it computed is dropped.

    Parameters
    ----------
    context
        Who stops it.
    job_id
        The job.

    Raises
    ------
    ConflictError
        If it is over.
    """
    with context.store.writing() as writer:
        job = _require_job(context, writer, job_id).step(JobState.CANCELLED, now=context.now_utc())
        writer.jobs.write_job(job)
        return job


def resume_job(context: RecordContext, *, job_id: str) -> Job:
    """Queue an interrupted job again.

    Parameters
    ----------
    context
        Who wants it; the job goes on with the rights of who asked for it first.
    job_id
        The job.

    Raises
    ------
    ConflictError
        If it is not interrupted.
    """
    with context.store.writing() as writer:
        job = _require_job(context, writer, job_id)
        if job.state is not JobState.INTERRUPTED:
            raise ConflictError(
                expected="an interrupted job",
                given=f"one that is {job.state.value}",
                where=f"job {job_id}",
            )
        queued = replace(
            job.step(JobState.QUEUED, now=context.now_utc()), stage="", fraction=0.0, run_id="", result={}
        )
        writer.jobs.write_job(queued)
        return queued


def _require_job(context: RecordContext, reader: RecordReader, job_id: str) -> Job:
    job = reader.jobs.find_job(job_id)
    if job is None or not _sees(context.actor, job):
        raise NotFoundError(expected="a job of the record", given="an unknown identifier", where="job")
    return job


def _sees(actor: Actor, job: Job) -> bool:
    if actor.is_blinded and job.account_id != actor.account_id:
        # What others have computed, and when, is not for a blinded reader.
        return False
    return actor.may(find_job_kind(job.kind).right) and _is_at(actor, job.site_id)


def _is_given(actor: Actor, reader: RecordReader, patient: Item) -> bool:
    """Return whether a patient is there for a person: of a blinded reader's, only those he was given to read."""
    if actor.is_blinded and patient.item_id not in find_own_reads(reader, actor).patients:
        return False
    return _is_at(actor, patient.site_id)


def _is_at(actor: Actor, site_id: str) -> bool:
    return actor.is_system or not site_id or site_id in actor.site_ids
