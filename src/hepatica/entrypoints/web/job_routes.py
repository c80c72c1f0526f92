"""Long work: ask for it, watch it, stop it, go on with it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import datetime
from typing import Annotated, Any, Final

from fastapi import APIRouter, Cookie, Query, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, Field

from hepatica.core.errors import HepaticaError
from hepatica.entrypoints.web.depends import Context, Key, Services, get_context, to_service_context
from hepatica.entrypoints.web.models import Strict
from hepatica.entrypoints.web.rights import JOB_RIGHT, LOGGED_IN, needs
from hepatica.entrypoints.web.settings import COOKIE
from hepatica.record.job import Job
from hepatica.workflows.jobs import cancel_job, list_jobs, read_job, resume_job, submit_job
from hepatica.workflows.record_ports import RecordWriter
from hepatica.workflows.repeat_safely import do_once

router = APIRouter(prefix="/api", tags=["Jobs"])
LOOK_EVERY_S: Final = 0.5
STILL_THERE_EVERY_S: Final = 15.0
"""A line without meaning is sent this often, so that proxies do not close the stream."""


class JobRequest(Strict):
    """Work to do."""

    kind: Annotated[str, Field(min_length=1, max_length=60)]
    patient_id: Annotated[str, Field(max_length=200)] = ""
    request: dict[str, Any] = Field(default_factory=dict)


class JobAnswer(BaseModel):
    """A job as it stands."""

    job_id: str
    kind: str
    patient_id: str
    account_id: str
    state: str
    stage: str
    fraction: float
    request: dict[str, Any]
    result: dict[str, Any]
    created_at: datetime
    seen_at: datetime


class JobPage(BaseModel):
    """Jobs in the order in which they were asked for; ``next`` is empty at the end."""

    jobs: list[JobAnswer]
    next: str


@router.post("/job", response_model=JobAnswer, status_code=202, openapi_extra=needs(JOB_RIGHT))
def submit(body: JobRequest, context: Context, key: Key, services: Services) -> Any:
    """Queue a piece of work."""
    asked = body.model_dump(mode="json")

    def act(writer: RecordWriter) -> dict[str, Any]:
        return to_document(submit_job(context, writer, **asked))

    answer = do_once(context, key=key, request={"job": asked}, act=act)
    services.jobs.wake()
    return answer


@router.get("/job", response_model=JobPage, openapi_extra=needs(LOGGED_IN))
def list_all(
    context: Context,
    after: Annotated[str, Query(max_length=200)] = "",
    limit: Annotated[int, Query(ge=1, le=500)] = 100,
) -> Any:
    """Return the jobs that the person may see."""
    jobs = list_jobs(context, after=after, limit=limit)
    return {
        "jobs": [to_document(job) for job in jobs],
        "next": jobs[-1].job_id if len(jobs) == limit else "",
    }


@router.get("/job/{job_id}", response_model=JobAnswer, openapi_extra=needs(JOB_RIGHT))
def read(job_id: str, context: Context) -> Any:
    """Return a job."""
    return to_document(read_job(context, job_id=job_id))


@router.post("/job/{job_id}/cancel", response_model=JobAnswer, openapi_extra=needs(JOB_RIGHT))
def cancel(job_id: str, context: Context, services: Services) -> Any:
    """Stop a job."""
    job = cancel_job(context, job_id=job_id)
    services.jobs.wake()
    services.jobs.clean(job_id)
    return to_document(job)


@router.post("/job/{job_id}/resume", response_model=JobAnswer, openapi_extra=needs(JOB_RIGHT))
def resume(job_id: str, context: Context, services: Services) -> Any:
    """Go on with a job that the end of a server interrupted."""
    job = resume_job(context, job_id=job_id)
    services.jobs.wake()
    return to_document(job)


@router.get(
    "/job/{job_id}/events",
    response_class=StreamingResponse,
    responses={200: {"content": {"text/event-stream": {}}, "description": "One event for each change"}},
    openapi_extra=needs(JOB_RIGHT),
)
def watch(
    job_id: str,
    request: Request,
    context: Context,
    services: Services,
    secret: Annotated[str, Cookie(alias=COOKIE, include_in_schema=False)] = "",
) -> StreamingResponse:
    """Send the job each time it changes, until it is over, as server-sent events."""
    read_job(context, job_id=job_id)

    def look() -> Job | None:
        # The session is looked up each time: a stream must not outlive a right.
        try:
            return read_job(get_context(to_service_context(request), secret), job_id=job_id)
        except HepaticaError:
            return None

    async def send() -> AsyncIterator[str]:
        before, quiet_s = "", 0.0
        while not services.stopping.is_set():
            job = await run_in_threadpool(look)
            if job is None:
                return
            text = json.dumps(to_document(job), separators=(",", ":"))
            if text != before:
                before, quiet_s = text, 0.0
                yield f"event: job\ndata: {text}\n\n"
            elif quiet_s >= STILL_THERE_EVERY_S:
                quiet_s = 0.0
                yield ": still there\n\n"
            if job.is_over:
                return
            await asyncio.sleep(LOOK_EVERY_S)
            quiet_s += LOOK_EVERY_S

    return StreamingResponse(send(), media_type="text/event-stream", headers={"x-accel-buffering": "no"})


def to_document(job: Job) -> dict[str, Any]:
    """Return a job as it goes out.

    Parameters
    ----------
    job
        Already known to be for this person.
    """
    return {
        "job_id": job.job_id,
        "kind": job.kind,
        "patient_id": job.patient_id,
        "account_id": job.account_id,
        "state": job.state.value,
        "stage": job.stage,
        "fraction": job.fraction,
        "request": dict(job.request),
        "result": dict(job.result),
        "created_at": job.created_at.isoformat(),
        "seen_at": job.seen_at.isoformat(),
    }
