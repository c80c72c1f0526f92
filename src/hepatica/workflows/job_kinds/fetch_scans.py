"""Take a study from a PACS into the record, by the PACS's configured name."""

from __future__ import annotations

import re
from typing import Any, Final

from hepatica.core.errors import NotSetError
from hepatica.record.job import Job
from hepatica.workflows.job_kinds.import_scans import keep_views
from hepatica.workflows.job_ports import Commit, JobKind, JobResult, JobRun, JobWorld, Request
from hepatica.workflows.job_requests import RequestFields, refuse_field
from hepatica.workflows.record_ports import RecordWriter

UID: Final = re.compile(r"[0-9]+(\.[0-9]+)*")
UID_MOST: Final = 64
"""Characters of a UID (DICOM PS3.5 9.1)."""


def _check(request: Request) -> dict[str, Any]:
    fields = RequestFields(request)
    asked = {name: fields.take_name(name, required=True) for name in ("pacs", "study_uid")}
    fields.require_empty()
    if len(asked["study_uid"]) > UID_MOST or not UID.fullmatch(asked["study_uid"]):
        raise refuse_field("study_uid", "the UID of a study, without wildcards")
    return asked


def _run(run: JobRun) -> Commit:
    if run.world.fetcher is None:
        raise NotSetError(expected="an importer of scans", given="an installation without one", where="PACS")
    asked = run.job.request
    result = run.world.fetcher(
        run.context,
        patient_id=run.job.patient_id,
        pacs=str(asked["pacs"]),
        study_uid=str(asked["study_uid"]),
        progress=run.progress,
    )
    keep_views(run, result)

    def commit(_writer: RecordWriter) -> JobResult:
        return result

    return commit


def _clean(_world: JobWorld, _job: Job) -> None:
    """Nothing lies about: the folder of a study on its way vanishes with the work."""


JOB: Final = JobKind(
    name="pacs_import",
    label="Import a study from a PACS",
    right="scan.write",
    of_patient=True,
    check=_check,
    run=_run,
    clean=_clean,
)
