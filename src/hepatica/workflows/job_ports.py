"""What long work needs from the world, and what a kind of long work is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

from hepatica.core.progress import Progress
from hepatica.record.event import JsonValue
from hepatica.record.job import Job
from hepatica.workflows.record_ports import RecordContext, RecordWriter, SealedRecord

if TYPE_CHECKING:
    # The web process reads this module too: it must not load what computes.
    from hepatica.workflows.plan_ports import PlanPorts
    from hepatica.workflows.report_record import ReportPorts
    from hepatica.workflows.view_ports import ViewPorts

JobResult: TypeAlias = dict[str, JsonValue]
Commit: TypeAlias = Callable[[RecordWriter], JobResult]
"""Writes what was computed, in the one change of the record that also ends the job."""
Request: TypeAlias = Mapping[str, JsonValue]


class ScanImporter(Protocol):
    """Takes uploaded bytes into the record; written by the room that reads DICOM."""

    def __call__(
        self, context: RecordContext, *, patient_id: str, path: Path, progress: Progress
    ) -> JobResult:
        """Take every series of a file or archive, each in one change; the same import again takes the rest."""


class ScanFetcher(Protocol):
    """Takes a study from a PACS into the record; written by the room that speaks DICOM."""

    def __call__(
        self, context: RecordContext, *, patient_id: str, pacs: str, study_uid: str, progress: Progress
    ) -> JobResult:
        """Take every series of a study, by the PACS's configured name."""


class Incoming(Protocol):
    """Uploads on their way into the record."""

    def find_path(self, upload_id: str) -> Path:
        """Return where an upload lies."""

    def remove(self, upload_id: str) -> None:
        """Forget an upload; silently, if it is not there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JobWorld:
    """What work may use, each made when it is first needed.

    Parameters
    ----------
    make_plan_ports
        Returns the planner's ports.
    sealed
        The record as its trail knows it.
    read_checkpoint_key
        Returns the checkpoint key, None where it is kept elsewhere.
    open_scratch
        Opens a private folder that vanishes.
    incoming
        Uploads.
    check_archive
        Refuses a file that would leave its folder or unpack to an unreasonable size.
    importer
        Takes scans in; None where this installation cannot.
    fetcher
        Takes studies from a PACS; None where this installation cannot.
    make_report_ports
        Returns what reports need; None where there are none.
    make_view_ports
        Returns what makes volumes for a viewer; None makes none before somebody looks.
    read_site_needles
        Returns the site's own table of needles, None where it has none.
    """

    make_plan_ports: Callable[[], PlanPorts]
    sealed: SealedRecord
    read_checkpoint_key: Callable[[], bytes | None]
    open_scratch: Callable[[], AbstractContextManager[Path]]
    incoming: Incoming
    check_archive: Callable[[Path], None]
    importer: ScanImporter | None = None
    fetcher: ScanFetcher | None = None
    make_report_ports: Callable[[], ReportPorts] | None = None
    make_view_ports: Callable[[], ViewPorts] | None = None
    read_site_needles: Callable[[], bytes | None] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class JobRun:
    """One run of a job.

    Parameters
    ----------
    context
        The record, with the person who asked as actor and the rights of this moment.
    job
        The job.
    world
        What it may use.
    scratch
        Private folder that vanishes after the run.
    progress
        Told how far it is; ends the run when the job is cancelled.
    """

    context: RecordContext
    job: Job
    world: JobWorld
    scratch: Path
    progress: Progress


@dataclass(frozen=True, slots=True, kw_only=True)
class JobKind:
    """A kind of long work.

    Parameters
    ----------
    name, label
        Word and words.
    right
        Right that is asked for when the job is asked for, when it starts and when it writes.
    of_patient
        Whether each belongs to one patient.
    check
        Returns a request with only what it may hold, or refuses; quick, and loads nothing heavy.
    run
        Computes, and returns what writes the result.
    clean
        Called once the job is over, however it ended; None where nothing is left behind.
    starts_by_itself
        Whether the program asks for it in somebody's name: it waits for what people asked for, and counts by itself
        among the open jobs of a person.
    """

    name: str
    label: str
    right: str
    of_patient: bool
    check: Callable[[Request], dict[str, Any]]
    run: Callable[[JobRun], Commit]
    clean: Callable[[JobWorld, Job], None] | None = None
    starts_by_itself: bool = False
