"""What works for the routes beside the record: jobs, uploads, plan sessions."""

from __future__ import annotations

import threading
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Protocol

from hepatica.entrypoints.web.pages import find_pages
from hepatica.entrypoints.web.provider_gate import ProviderGate
from hepatica.record.provider_login import WaysIn

if TYPE_CHECKING:
    from hepatica.entrypoints.web.plan_sessions import PlanSessions
    from hepatica.workflows.provider_ports import IdentityProvider


class Jobs(Protocol):
    """Who runs jobs."""

    @property
    def count_running(self) -> int:
        """How many jobs run."""

    def wake(self) -> None:
        """Say that a job was queued or cancelled."""

    def clean(self, job_id: str) -> None:
        """Remove what a job that is over left behind."""


class Uploads(Protocol):
    """Where uploads wait."""

    def receiving(self) -> AbstractContextManager[tuple[str, BinaryIO]]:
        """Open a new upload: its identifier, and a file to write to."""

    def find_path(self, upload_id: str) -> Path:
        """Return where an upload lies."""

    def remove(self, upload_id: str) -> None:
        """Forget an upload."""


class NoJobs:
    """Nobody runs jobs: they wait in the record."""

    count_running = 0

    def wake(self) -> None:
        """Do nothing."""

    def clean(self, job_id: str) -> None:
        """Do nothing."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class WebServices:
    """What routes use beside the record.

    Parameters
    ----------
    jobs
        Who runs them.
    uploads
        Where they wait; None refuses them.
    sessions
        Live plan sessions; None refuses them.
    pages
        Built front end; may not be there.
    provider
        Identity provider; None where people log in by password only.
    gate
        Holds what is under way there.
    stopping
        Set when the server was told to stop: streams end then.
    """

    jobs: Jobs = field(default_factory=NoJobs)
    uploads: Uploads | None = None
    sessions: PlanSessions | None = None
    pages: Path = field(default_factory=find_pages)
    provider: IdentityProvider | None = None
    gate: ProviderGate = field(default_factory=ProviderGate)
    stopping: threading.Event = field(default_factory=threading.Event)

    @property
    def ways(self) -> WaysIn:
        """How people may log in."""
        return WaysIn() if self.provider is None else self.provider.ways
