"""Check a day's entries from a file against a plan, without a record; write its tables."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from hepatica.core.errors import InputError, RecordInputError, SourceFormatError
from hepatica.core.findings import Finding, Severity
from hepatica.core.provenance import Manifest, digest_bytes
from hepatica.procedure.check_day import check_day
from hepatica.procedure.document import EntriesFile, from_entries_document
from hepatica.procedure.outputs import (
    EVENT_COLUMNS,
    EXPOSURE_COLUMNS,
    INJECTION_COLUMNS,
    PERFORMED_COLUMNS,
    to_day_document,
    to_exposure_rows,
    to_injection_rows,
    to_performed_rows,
    to_visit_event,
)
from hepatica.procedure.planned import PlannedDay, to_planned_day
from hepatica.procedure.state import DayState, derive_day
from hepatica.procedure.supply import read_products
from hepatica.workflows.derive_response import StageOutput
from hepatica.workflows.documents import to_object
from hepatica.workflows.ports import Clock

PLAN_FILE: Final = "plan.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcedurePorts:
    """What the commands need from the world.

    Parameters
    ----------
    read_bytes
        Content of a small file.
    stage_output
        All-or-nothing output folder.
    write_table, write_document
        Write a CSV file and a JSON document.
    clock, code_version
        For the manifest, and for the moment at which a day is looked at.
    """

    read_bytes: Callable[[Path], bytes]
    stage_output: StageOutput
    write_table: Callable[[Path, Sequence[str], Sequence[Mapping[str, str]]], None]
    write_document: Callable[[Path, Mapping[str, Any]], None]
    clock: Clock
    code_version: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcedureRequest:
    """What to check against what.

    Parameters
    ----------
    entries
        File of entries.
    plan
        Folder of a plan, or its ``plan.json``.
    as_of
        The moment; now where None.
    study, subject
        STUDYID and USUBJID of the tables; never a name.
    """

    entries: Path
    plan: Path
    as_of: datetime | None = None
    study: str = ""
    subject: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcedureOutcome:
    """What a check gave.

    Parameters
    ----------
    document
        Where the day stands, as JSON.
    rows
        Planned against performed.
    has_errors
        Whether a finding is an error.
    """

    document: Mapping[str, Any]
    rows: tuple[Mapping[str, str], ...]
    has_errors: bool


def check_procedure(
    request: ProcedureRequest, *, ports: ProcedurePorts, out: Path | None = None, overwrite: bool = False
) -> ProcedureOutcome:
    """Derive where a day stands and everything that is wrong with it; write its tables where asked for.

    Parameters
    ----------
    request
        Entries, plan and moment.
    ports
        The world.
    out
        Folder for ``day.json``, ``performed.csv``, ``injections.csv``, ``ex.csv``, ``events.csv``; None for none.
    overwrite
        Replace an earlier result.

    Raises
    ------
    RecordInputError
        If the entries are none, or tables are asked for without a subject.
    SourceFormatError
        If the plan is none.
    """
    if out is not None and not request.subject:
        raise RecordInputError(
            expected="the subject's identifier in the trial", given="none", where="--subject"
        )
    raw_entries = _read(request.entries, ports, where="entries")
    plan_path = request.plan / PLAN_FILE if request.plan.is_dir() else request.plan
    raw_plan = _read(plan_path, ports, where=PLAN_FILE)
    file = from_entries_document(to_object(raw_entries, where="entries", error=RecordInputError))
    planned = to_planned_day(to_object(raw_plan, where=PLAN_FILE, error=SourceFormatError))
    as_of = request.as_of or ports.clock.now()
    day = derive_day(file.entries, planned, settings=file.settings)
    findings = check_day(day, planned, as_of=as_of, settings=file.settings)
    document = to_day_document(day, planned, findings=findings, as_of=as_of)
    if out is not None:
        with ports.stage_output(out, overwrite=overwrite) as stage:
            _write_tables(stage, request, day=day, planned=planned, document=document, ports=ports)
            _write_manifest(stage, request, file=file, inputs=(raw_entries, raw_plan), ports=ports)
    return ProcedureOutcome(document=document, rows=to_performed_rows(day), has_errors=_has_errors(findings))


def _has_errors(findings: Sequence[Finding]) -> bool:
    return any(finding.severity is Severity.ERROR for finding in findings)


def _read(path: Path, ports: ProcedurePorts, *, where: str) -> bytes:
    try:
        return ports.read_bytes(path)
    except InputError as refusal:
        refusal.place(where)
        raise


def _write_tables(
    stage: Path,
    request: ProcedureRequest,
    *,
    day: DayState,
    planned: PlannedDay,
    document: Mapping[str, Any],
    ports: ProcedurePorts,
) -> None:
    event = to_visit_event(day, planned, subject=request.subject)
    ports.write_document(stage / "day.json", document)
    ports.write_table(stage / "performed.csv", PERFORMED_COLUMNS, to_performed_rows(day))
    ports.write_table(
        stage / "injections.csv", INJECTION_COLUMNS, to_injection_rows(day, subject=request.subject)
    )
    ports.write_table(
        stage / "ex.csv",
        EXPOSURE_COLUMNS,
        to_exposure_rows(day, planned, study=request.study, subject=request.subject),
    )
    ports.write_table(stage / "events.csv", EVENT_COLUMNS, [event] if event else [])


def _write_manifest(
    stage: Path,
    request: ProcedureRequest,
    *,
    file: EntriesFile,
    inputs: tuple[bytes, bytes],
    ports: ProcedurePorts,
) -> None:
    tables = (file.settings.limits, read_products())
    manifest = Manifest(
        command="procedure check",
        run_time=ports.clock.now(),
        code_version=ports.code_version,
        inputs={"entries": digest_bytes(inputs[0]), "plan": digest_bytes(inputs[1])},
        sources={"entries": str(request.entries), "plan": str(request.plan)},
        parameters={
            "study": request.study,
            "subject": request.subject,
            "as_of": request.as_of.isoformat() if request.as_of else None,
        },
        tables={table.name: table.digest for table in tables},
        outputs={path.name: digest_bytes(path.read_bytes()) for path in sorted(stage.iterdir())},
    )
    ports.write_document(stage / "manifest.json", manifest.to_dict())
