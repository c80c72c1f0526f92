"""How the server is, for administrators."""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path
from typing import Any, Final

from fastapi import APIRouter
from pydantic import BaseModel

from hepatica.entrypoints.web.depends import Context, Services, State
from hepatica.entrypoints.web.rights import needs
from hepatica.record.job import JobState
from hepatica.record.people import require_right

router = APIRouter(prefix="/api", tags=["Server"])
STARTED: Final = time.monotonic()


class ServerFacts(BaseModel):
    """Figures of the running server; no person and no item is in them."""

    version: str
    mode: str
    database: str
    up_s: float
    memory_bytes: int
    disk_free_bytes: int
    events: int
    jobs_running: int
    jobs: dict[str, int]
    sessions_live: int


@router.get("/server", response_model=ServerFacts, openapi_extra=needs("server.read"))
def read_server(context: Context, state: State, services: Services) -> Any:
    """Return the server's figures."""
    require_right(context.actor, "server.read")
    with context.store.reading() as reader:
        events = reader.count_events()
        jobs = reader.jobs.count_jobs()
    return ServerFacts(
        version=state.settings.version,
        mode=state.settings.mode,
        database=state.settings.database,
        up_s=round(time.monotonic() - STARTED, 1),
        memory_bytes=_count_memory(),
        disk_free_bytes=shutil.disk_usage(state.settings.folder).free,
        events=events,
        jobs_running=services.jobs.count_running,
        jobs={job_state.value: jobs.get(job_state, 0) for job_state in JobState},
        sessions_live=0 if services.sessions is None else services.sessions.count_live,
    )


def _count_memory() -> int:
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except (OSError, ValueError, IndexError):
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE")
