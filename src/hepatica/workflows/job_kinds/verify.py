"""Verify the whole record: trail, values, files, signatures."""

from __future__ import annotations

from typing import Any, Final

from hepatica.workflows.job_ports import Commit, JobKind, JobResult, JobRun, Request
from hepatica.workflows.job_requests import RequestFields
from hepatica.workflows.record_ports import RecordWriter
from hepatica.workflows.verify_record import verify_record


def _check(request: Request) -> dict[str, Any]:
    RequestFields(request).require_empty()
    return {}


def _run(run: JobRun) -> Commit:
    report = verify_record(
        run.context, run.world.sealed, key=run.world.read_checkpoint_key(), progress=run.progress
    )
    result: JobResult = {
        "whole": not report.findings,
        "events": report.events,
        "items": report.items,
        "files": report.files,
        "signatures": report.signatures,
        "broken_signatures": list(report.broken_signatures),
        "head_hash": report.head_hash,
        "findings": [{"rule": finding.rule, "message": finding.message} for finding in report.findings],
    }

    def commit(_writer: RecordWriter) -> JobResult:
        return result

    return commit


JOB: Final = JobKind(
    name="verify",
    label="Verify the record",
    right="audit.verify",
    of_patient=False,
    check=_check,
    run=_run,
)
