"""Take an upload into the record."""

from __future__ import annotations

from typing import Any, Final

from hepatica.core.errors import NotSetError
from hepatica.record.job import Job
from hepatica.workflows.job_ports import Commit, JobKind, JobResult, JobRun, JobWorld, Request
from hepatica.workflows.job_requests import RequestFields
from hepatica.workflows.record_ports import RecordWriter


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

    def commit(_writer: RecordWriter) -> JobResult:
        return result

    return commit


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
