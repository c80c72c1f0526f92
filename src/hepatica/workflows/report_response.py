"""From tumour tables to pictures of response over time. Labels in place of subject identifiers."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Final

from hepatica.core.errors import InputError
from hepatica.core.findings import NotEvaluable, Severity
from hepatica.core.progress import SILENT, Progress
from hepatica.core.provenance import Manifest
from hepatica.followup.curves import SubjectCurves, derive_curves
from hepatica.followup.verdict import Criterion, derive_verdicts
from hepatica.workflows.derive_response import ResponseOutcome, ResponsePorts, ResponseRequest, RowFinding

MOST_SERIES: Final = 200
"""More lines in one picture show nothing; a trial of this size is split by cohort first."""

WriteReport = Callable[..., tuple[str, ...]]


def report_response(
    request: ResponseRequest,
    *,
    ports: ResponsePorts,
    write_report: WriteReport,
    out: Path,
    overwrite: bool = False,
    progress: Progress = SILENT,
) -> ResponseOutcome:
    """Write ``response.html`` and the pictures; the patients are numbered in the order of the tables.

    Parameters
    ----------
    request
        Tables and settings of the derivation.
    ports
        The world.
    write_report
        Takes a folder, labels with curves, criterion, run time and notes.
    out
        Folder to make.
    overwrite
        Replace an earlier result.
    progress
        Told about stages.

    Raises
    ------
    InputError
        If nothing can be shown, sizes are volumes, or there are more series than a picture can show.
    """
    if request.settings.criterion is Criterion.VOLUMETRIC:
        raise InputError(expected="a criterion of diameters", given="volumes", where="--criteria")
    progress.stage("Reading tables")
    findings: list[RowFinding] = []
    subjects: list[tuple[str, SubjectCurves]] = []
    notes: list[str] = []
    numbers: dict[str, int] = {}
    for item in ports.read_courses(request):
        findings += item.findings
        if not item.subject:
            continue
        number = numbers.setdefault(item.subject, len(numbers) + 1)
        who = " ".join(word for word in (item.evaluator, item.evaluator_id) if word)
        label = f"Patient {number}" + (f", {who.lower()}" if who else "")
        if item.course is None:
            notes.append(f"{label}: rows that cannot be used; see the findings of the command.")
            continue
        verdicts = derive_verdicts(item.course, settings=request.settings)
        curves = derive_curves(
            item.course, verdicts=verdicts, node_normal=request.settings.limits.node_normal
        )
        if isinstance(curves, NotEvaluable):
            notes.append(f"{label}: {curves.reason}.")
            continue
        subjects.append((label, curves))
    if not 0 < len(subjects) <= MOST_SERIES:
        raise InputError(
            expected=f"1 to {MOST_SERIES} series of a patient and evaluator",
            given=str(len(subjects)),
            where="tu, tr",
            action="choose one with --evaluator, or split the tables by cohort",
        )
    run_time = ports.clock.now()
    with ports.stage_output(out, overwrite=overwrite) as stage:
        progress.stage("Drawing")
        category = request.settings.criterion.category
        write_report(stage, subjects, criterion=category, run_time=run_time, notes=notes)
        manifest = _write_manifest(request, stage, ports=ports, run_time=run_time)
    partial = any(finding.severity is Severity.ERROR for finding in findings)
    document = {
        "command": "response report",
        "out": str(out),
        "files": sorted(manifest.outputs),
        "courses": len(subjects),
        "left_out": notes,
        "partial": partial,
        "findings": [finding.to_dict() for finding in findings],
    }
    return ResponseOutcome(document=document, partial=partial)


def _write_manifest(
    request: ResponseRequest, stage: Path, *, ports: ResponsePorts, run_time: datetime
) -> Manifest:
    files = sorted(path for path in stage.rglob("*") if path.is_file())
    manifest = Manifest(
        command="response report",
        run_time=run_time,
        code_version=ports.code_version,
        inputs={role: ports.digest_file(path) for role, path in request.sources.items()},
        sources={role: str(path) for role, path in request.sources.items()},
        parameters={**request.settings.to_dict(), "evaluator": request.evaluator},
        tables={table.name: table.digest for table in request.settings.tables},
        outputs={path.relative_to(stage).as_posix(): ports.digest_file(path) for path in files},
    )
    ports.write_document(stage / "manifest.json", manifest.to_dict())
    return manifest
