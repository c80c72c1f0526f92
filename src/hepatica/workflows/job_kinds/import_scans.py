"""Take an upload into the record."""

from __future__ import annotations

from contextlib import suppress
from typing import Any, Final

from hepatica.core.errors import InputError, NotSetError, OutputError
from hepatica.record.job import Job
from hepatica.workflows.job_ports import Commit, JobKind, JobResult, JobRun, JobWorld, Request
from hepatica.workflows.job_requests import RequestFields
from hepatica.workflows.record_ports import RecordWriter

NEW: Final = frozenset({"imported", "extended"})
SHOWN: Final = frozenset({"CT", "MR", "PT"})
"""Modalities whose series are volumes."""


def _check(request: Request) -> dict[str, Any]:
    fields = RequestFields(request)
    asked: dict[str, Any] = {"upload_id": fields.take_name("upload_id", required=True)}
    fields.require_empty()
    return asked


def _run(run: JobRun) -> Commit:
    if run.world.importer is None:
        raise NotSetError(
            expected="an importer of scans", given="an installation without one", where="import"
        )
    path = run.world.incoming.find_path(str(run.job.request["upload_id"]))
    # First of all: nothing looks into an archive before its announced size is known to be sane.
    run.world.check_archive(path)
    run.progress.check_cancelled()
    result = run.world.importer(run.context, patient_id=run.job.patient_id, path=path, progress=run.progress)
    keep_views(run, result)

    def commit(_writer: RecordWriter) -> JobResult:
        return result

    return commit


def keep_views(run: JobRun, result: JobResult) -> None:
    """Make at once what a viewer will ask for; a scan that cannot be shown says why when it is asked for.

    Parameters
    ----------
    run
        The import.
    result
        Its series.
    """
    if run.world.make_view_ports is None:
        return
    from hepatica.workflows.make_views import make_scan_view

    ports = run.world.make_view_ports()
    series = result.get("series")
    for number, one in enumerate(series if isinstance(series, list) else ()):
        if not isinstance(one, dict) or one.get("outcome") not in NEW or one.get("modality") not in SHOWN:
            continue
        run.progress.stage("Preparing the view")
        folder = run.scratch / f"view-{number}"
        folder.mkdir()
        with suppress(InputError, OutputError):
            make_scan_view(
                run.context, ports, scan_id=str(one["scan_id"]), folder=folder, progress=run.progress
            )


def _clean(world: JobWorld, job: Job) -> None:
    world.incoming.remove(str(job.request["upload_id"]))


JOB: Final = JobKind(
    name="import",
    label="Import scans",
    right="scan.write",
    of_patient=True,
    check=_check,
    run=_run,
    clean=_clean,
)
