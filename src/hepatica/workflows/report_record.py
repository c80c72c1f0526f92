"""Reports of what the record holds, by the same way that reads files."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from hepatica.core.errors import InputError
from hepatica.core.findings import Severity
from hepatica.core.progress import SILENT, Progress
from hepatica.followup.verdict import Criterion, ResponseSettings
from hepatica.workflows.derive_response import ResponseOutcome, ResponsePorts, ResponseRequest
from hepatica.workflows.record_ports import RecordContext
from hepatica.workflows.record_tables import RecordTables, read_record_tables, write_record_tables
from hepatica.workflows.report_response import WriteReport, report_response
from hepatica.workflows.trial_report import TrialReportPorts, TrialReportRequest, report_trial

ORIGIN: Final = "record"


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportPorts:
    """What reports of a record need from the world.

    Parameters
    ----------
    trial
        Of the trial report.
    response, write_response
        Of the report of response over time.
    """

    trial: TrialReportPorts
    response: ResponsePorts
    write_response: WriteReport


def report_record_trial(
    context: RecordContext,
    request: TrialReportRequest,
    *,
    ports: TrialReportPorts,
    out: Path,
    site_id: str = "",
    overwrite: bool = False,
    progress: Progress = SILENT,
) -> ResponseOutcome:
    """Write the report of a trial from the record.

    Parameters
    ----------
    context
        Who reports; needs the right ``export.report``.
    request
        Choices; its folder is not looked at.
    ports, out, overwrite, progress
        As `hepatica.workflows.trial_report.report_trial`.
    site_id
        The site; empty for all, which only the program itself may ask for.
    """
    tables = _read(context, request.criterion, site_id=site_id, progress=progress)
    with ports.data.open_room() as room:
        write_record_tables(tables, room, write_table=ports.data.write_table)
        asked = replace(request, folder=room, origin=ORIGIN, notes=tuple(tables.findings))
        return report_trial(asked, ports=ports, out=out, overwrite=overwrite, progress=progress)


def report_record_response(
    context: RecordContext,
    criterion: Criterion,
    *,
    ports: ReportPorts,
    out: Path,
    site_id: str = "",
    progress: Progress = SILENT,
) -> ResponseOutcome:
    """Write the report of response over time from the locked reads of the record.

    Parameters
    ----------
    context
        Who reports; needs the right ``export.report``.
    criterion
        Whose reads.
    ports, out, progress
        As `hepatica.workflows.report_response.report_response`.
    site_id
        As in `report_record_trial`.

    Raises
    ------
    InputError
        If no read of the criterion is locked.
    """
    tables = _read(context, criterion, site_id=site_id, progress=progress)
    if not (tables.rows["TU"] and tables.rows["TR"]):
        raise InputError(
            expected="a locked read with lesions and their roles",
            given="none",
            where=f"reads by {criterion.category}",
            action="lock the reads first",
        )
    with ports.trial.data.open_room() as room:
        paths = write_record_tables(tables, room, write_table=ports.trial.data.write_table)
        request = ResponseRequest(
            lesions=paths["TU"],
            results=paths["TR"],
            settings=ResponseSettings(criterion=criterion),
            subjects=paths["DM"],
            exposure=paths.get("EX"),
        )
        outcome = report_response(
            request, ports=ports.response, write_report=ports.write_response, out=out, progress=progress
        )
    notes = [finding.to_dict() for finding in tables.findings]
    errors = any(finding.severity is Severity.ERROR for finding in tables.findings)
    return replace(
        outcome,
        document={**outcome.document, "findings": [*notes, *outcome.document["findings"]]},
        partial=outcome.partial or errors,
    )


def _read(context: RecordContext, criterion: Criterion, *, site_id: str, progress: Progress) -> RecordTables:
    progress.stage("Reading the record")
    return read_record_tables(context, site_id=site_id, criterion=str(criterion), progress=progress)
