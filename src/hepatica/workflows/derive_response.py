"""From tumour tables to responses, sums and trails, subject by subject."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

from hepatica.core.findings import Finding, Severity
from hepatica.core.progress import SILENT, Progress
from hepatica.core.provenance import Manifest
from hepatica.followup.eligibility import check_baseline
from hepatica.followup.records import Course
from hepatica.followup.verdict import (
    MOST_INJECTED_AND_NOT,
    Criterion,
    ResponseSettings,
    Verdict,
    derive_verdicts,
    to_trail,
)
from hepatica.workflows.ports import Clock


@dataclass(frozen=True, slots=True, kw_only=True)
class RowFinding:
    """Something about one row of an input table. Never a person: the row says who.

    Parameters
    ----------
    rule
        Stable dotted name.
    severity
        An error leaves the subject (as that evaluator saw it) out; the exit status then says partial.
    table, row, column
        Table by its role (``tu``, ``tr``, ...), line number in the file (the header is line 1), column.
    message
        One sentence.
    """

    rule: str
    severity: Severity
    table: str
    row: int
    column: str
    message: str

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-ready document."""
        return {
            "rule": self.rule,
            "severity": str(self.severity),
            "table": self.table,
            "row": self.row,
            "column": self.column,
            "message": self.message,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluatedCourse:
    """One subject as one evaluator saw it, with the words of the tables that outputs repeat verbatim.

    Parameters
    ----------
    study, subject
        STUDYID and USUBJID.
    evaluator, evaluator_id
        TREVAL and TREVALID.
    course
        The records; None where rows were bad.
    visit_numbers
        VISITNUM as written, by its value.
    baseline_row
        Line of the table of lesions where the baseline stands.
    lesion_rows
        Line of the table of lesions where each one is named.
    study_days
        RSDY by VISITNUM, where a reference date was given.
    findings
        What was said about its rows.
    """

    study: str
    subject: str
    evaluator: str
    evaluator_id: str
    course: Course | None
    visit_numbers: Mapping[float, str] = field(default_factory=dict)
    baseline_row: int = 0
    lesion_rows: Mapping[str, int] = field(default_factory=dict)
    study_days: Mapping[float, str] = field(default_factory=dict)
    findings: tuple[RowFinding, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ResponseRequest:
    """What to derive from what.

    Parameters
    ----------
    lesions, results
        Tables TU and TR.
    subjects
        Table DM with RFSTDTC, for study days.
    exposure, injections
        Table EX, or a table ``subject, lesion, date``.
    evaluator
        Derive only this one (TREVAL or TREVALID); every one separately where empty.
    settings
        Criterion and named settings.
    formats
        Formats of the tables beside CSV: ``xpt``, ``json``, ``ndjson``.
    """

    lesions: Path
    results: Path
    settings: ResponseSettings
    subjects: Path | None = None
    exposure: Path | None = None
    injections: Path | None = None
    evaluator: str = ""
    formats: tuple[str, ...] = ()

    @property
    def sources(self) -> dict[str, Path]:
        """Input files by role."""
        named = {
            "tu": self.lesions,
            "tr": self.results,
            "dm": self.subjects,
            "ex": self.exposure,
            "injections": self.injections,
        }
        return {role: path for role, path in named.items() if path is not None}


class ResponseTables(Protocol):
    """Takes the verdicts of one course after the other and writes them."""

    def write(
        self, course: EvaluatedCourse, verdicts: Sequence[Verdict], trails: Sequence[dict[str, Any]]
    ) -> None:
        """Write all rows of one course."""


class StageOutput(Protocol):
    """Yields a private folder that becomes the target by one rename, or vanishes."""

    def __call__(self, target: Path, *, overwrite: bool) -> AbstractContextManager[Path]:
        """Open the stage."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ResponsePorts:
    """All that the response commands need from the world.

    Parameters
    ----------
    read_courses
        Reads the tumour tables.
    open_tables
        Opens the output tables in a folder.
    stage_output
        All-or-nothing output folder.
    digest_file
        SHA-256 of a file.
    write_document
        Writes one JSON document.
    read_table, read_header
        Yields line number and cells of a table (CSV, XPT, Dataset-JSON) by column name; its column names.
    write_table
        Writes a CSV file whole or not at all.
    write_formats
        Writes ``rs`` and ``adtr`` of a folder in further formats; takes the folder, formats, the time of the run.
    clock, code_version
        For the manifest.
    """

    read_courses: Callable[[ResponseRequest], Iterator[EvaluatedCourse]]
    open_tables: Callable[[Path, ResponseSettings], AbstractContextManager[ResponseTables]]
    stage_output: StageOutput
    digest_file: Callable[[Path], str]
    write_document: Callable[[Path, Mapping[str, Any]], None]
    read_table: Callable[..., Iterator[tuple[int, tuple[str, ...] | None]]]
    read_header: Callable[..., tuple[str, ...]]
    write_table: Callable[[Path, Sequence[str], Sequence[Mapping[str, str]]], None]
    write_formats: Callable[[Path, Sequence[str], datetime], None]
    clock: Clock
    code_version: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ResponseOutcome:
    """What a run gave.

    Parameters
    ----------
    document
        Summary: files, counts, settings, limits nobody has checked, findings.
    partial
        Some rows were bad: good subjects were derived, others are missing.
    """

    document: Mapping[str, Any]
    partial: bool


def derive_response(
    request: ResponseRequest,
    *,
    ports: ResponsePorts,
    out: Path,
    overwrite: bool = False,
    progress: Progress = SILENT,
) -> ResponseOutcome:
    """Derive the responses of every subject and evaluator: ``rs.csv``, ``adtr.csv`` and ``trail.jsonl``.

    Parameters
    ----------
    request
        Tables and settings.
    ports
        The world.
    out
        Folder to make.
    overwrite
        Replace an earlier result.
    progress
        Told about stages.

    Returns
    -------
    outcome
        Bad rows are findings; the subjects they belong to are left out and the outcome is partial.
    """
    findings: list[RowFinding] = []
    courses, verdict_count = 0, 0
    with ports.stage_output(out, overwrite=overwrite) as stage:
        progress.stage("Reading tables")
        with ports.open_tables(stage, request.settings) as tables:
            for number, item in enumerate(ports.read_courses(request)):
                if number == 0:
                    progress.stage("Deriving responses")
                findings += item.findings
                if item.course is None:
                    continue
                findings += _check_eligibility(item, settings=request.settings)
                verdicts = derive_verdicts(item.course, settings=request.settings)
                tables.write(item, verdicts, [to_trail(v, settings=request.settings) for v in verdicts])
                courses += 1
                verdict_count += len(verdicts)
        run_time = ports.clock.now()
        if request.formats:
            progress.stage("Writing further formats")
            ports.write_formats(stage, request.formats, run_time)
        manifest = _write_manifest(request, stage, ports=ports, run_time=run_time)
    partial = any(finding.severity is Severity.ERROR for finding in findings)
    document = {
        "command": "response derive",
        "out": str(out),
        "files": sorted(manifest.outputs),
        "settings": request.settings.to_dict(),
        "courses": courses,
        "verdicts": verdict_count,
        "partial": partial,
        "unverified": [
            f"{table.name} [{entry.key}]"
            for table in request.settings.tables
            for entry in table
            if entry.unverified
        ],
        "findings": [finding.to_dict() for finding in findings],
    }
    return ResponseOutcome(document=document, partial=partial)


def _check_eligibility(item: EvaluatedCourse, *, settings: ResponseSettings) -> Iterable[RowFinding]:
    if item.course is None or settings.criterion is Criterion.VOLUMETRIC:
        return ()
    most = MOST_INJECTED_AND_NOT if settings.criterion is Criterion.ITRECIST else None
    found = check_baseline(item.course, most_targets=most)
    if settings.criterion is Criterion.ITRECIST:
        # Whether two in one organ holds for itRECIST is not known.
        found = tuple(finding for finding in found if finding.rule != "response.targets_per_organ")
    return [_to_row(finding, item) for finding in found]


def _to_row(finding: Finding, item: EvaluatedCourse) -> RowFinding:
    return RowFinding(
        rule=finding.rule,
        severity=finding.severity,
        table="tu",
        row=item.lesion_rows.get(finding.subject, item.baseline_row),
        column="TULNKID",
        message=f"{finding.message} ({finding.subject})" if finding.subject else finding.message,
    )


def _write_manifest(
    request: ResponseRequest, stage: Path, *, ports: ResponsePorts, run_time: datetime
) -> Manifest:
    sources = request.sources
    manifest = Manifest(
        command="response derive",
        run_time=run_time,
        code_version=ports.code_version,
        inputs={role: ports.digest_file(path) for role, path in sources.items()},
        sources={role: str(path) for role, path in sources.items()},
        parameters={**request.settings.to_dict(), "evaluator": request.evaluator},
        tables={table.name: table.digest for table in request.settings.tables},
        outputs={path.name: ports.digest_file(path) for path in sorted(stage.iterdir())},
    )
    ports.write_document(stage / "manifest.json", manifest.to_dict())
    return manifest
