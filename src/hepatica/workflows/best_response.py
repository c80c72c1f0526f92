"""From time-point responses to one value of an endpoint for each subject."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Final

from hepatica.core.errors import InputError
from hepatica.core.findings import Severity
from hepatica.followup.best.endpoints import derive_best
from hepatica.followup.best.timeline import (
    IMMUNE_CODES,
    RECIST_CODES,
    SILENT,
    BestSettings,
    Endpoint,
    ProgressionCut,
    Timeline,
)
from hepatica.followup.dates import PartialDate
from hepatica.followup.verdict import Criterion
from hepatica.workflows.derive_response import ResponseOutcome, ResponsePorts, RowFinding

COLUMNS: Final = ("subject", "endpoint", "value", "date")


@dataclass(frozen=True, slots=True, kw_only=True)
class BestRequest:
    """What to derive from what.

    Parameters
    ----------
    timepoints
        CSV with ``subject, date, response``.
    subjects
        CSV with ``subject, reference_date`` and optionally ``pd_date, response_date``.
    endpoint
        What is asked.
    settings
        Named settings.
    criterion
        RECIST 1.1 or iRECIST; that of the endpoint by default.
    """

    timepoints: Path
    subjects: Path
    endpoint: Endpoint
    settings: BestSettings
    criterion: Criterion | None = None

    @property
    def codes(self) -> tuple[str, ...]:
        """Codes that the time points may have.

        Raises
        ------
        InputError
            If the endpoint belongs to another criterion.
        """
        native = Criterion.IRECIST if self.endpoint.immune else Criterion.RECIST
        if (self.criterion or native) is not native:
            raise InputError(
                expected=f"--criteria {native} for endpoint {self.endpoint}",
                given=str(self.criterion),
                where="--criteria",
            )
        return IMMUNE_CODES if self.endpoint.immune else RECIST_CODES


@dataclass(slots=True)
class _Subject:
    """Dates and time points of one subject while the tables are read."""

    reference: date
    progression: date | None = None
    response: date | None = None
    points: list[tuple[date, str]] = field(default_factory=list)


@dataclass(slots=True)
class _Desk:
    """What the tables gave so far."""

    subjects: dict[str, _Subject] = field(default_factory=dict)
    bad: set[str] = field(default_factory=set)
    findings: list[RowFinding] = field(default_factory=list)

    def report(
        self, place: tuple[str, int, str], message: str, *, subject: str = "", warn: bool = False
    ) -> None:
        """Keep a finding; an error leaves the subject out."""
        table, row, column = place
        self.findings.append(
            RowFinding(
                rule="response.best",
                severity=Severity.WARNING if warn else Severity.ERROR,
                table=table,
                row=row,
                column=column,
                message=message,
            )
        )
        if not warn:
            self.bad.add(subject)

    def day(self, text: str, place: tuple[str, int, str], *, subject: str) -> date | None:
        """Return a whole date; anything else is reported."""
        try:
            day = PartialDate.from_text(text).day
        except InputError:
            day = None
        if day is None:
            self.report(place, "The date is not a whole ISO 8601 date.", subject=subject)
        return day


def derive_best_response(request: BestRequest, *, ports: ResponsePorts, out: Path) -> ResponseOutcome:
    """Derive one endpoint of every subject and write ``subject, endpoint, value, date``.

    Parameters
    ----------
    request
        Tables, endpoint and settings.
    ports
        The world.
    out
        CSV to write.

    Returns
    -------
    outcome
        Dates before the reference and responses that say nothing (ND, NA, empty) are warnings. A code of
        another criterion is an error: its subject is left out and the outcome is partial.
    """
    codes = request.codes
    desk = _Desk()
    _read_subjects(request, desk, ports=ports)
    _read_timepoints(request, desk, ports=ports, codes=codes)
    rows: list[Mapping[str, str]] = []
    for name, subject in desk.subjects.items():
        if name in desk.bad:
            continue
        timeline = Timeline.of(
            subject.points,
            reference=subject.reference,
            progression=subject.progression,
            response=subject.response,
        )
        best = derive_best(timeline, endpoint=request.endpoint, settings=request.settings)
        day = "" if best.day is None else best.day.isoformat()
        rows.append({"subject": name, "endpoint": str(request.endpoint), "value": best.value, "date": day})
    ports.write_table(out, COLUMNS, rows)
    partial = any(finding.severity is Severity.ERROR for finding in desk.findings)
    document = {
        "command": "response best",
        "out": str(out),
        "endpoint": str(request.endpoint),
        "settings": to_document(request.settings),
        "subjects": len(rows),
        "partial": partial,
        "findings": [finding.to_dict() for finding in desk.findings],
    }
    return ResponseOutcome(document=document, partial=partial)


def to_document(settings: BestSettings) -> dict[str, object]:
    """Return the settings as a JSON-ready document."""
    return {
        "rule": str(settings.rule),
        "until_pd": str(settings.until_pd),
        "sd_window_days": settings.sd_window_days,
        "confirm_days": settings.confirm_days,
        "max_ne": settings.max_ne,
        "accept_sd": settings.accept_sd,
        "missing_as_ne": settings.missing_as_ne,
        "benefit_values": list(settings.benefit_values),
    }


def _read_subjects(request: BestRequest, desk: _Desk, *, ports: ResponsePorts) -> None:
    columns = ("subject", "reference_date", "pd_date", "response_date")
    # Cutting by a column that is not there would cut nothing without a word.
    needed = 3 if request.settings.until_pd is ProgressionCut.COLUMN else 2
    rows = ports.read_table(
        request.subjects, required=columns[:needed], optional=columns[needed:], role="subjects"
    )
    for line, cells in rows:
        if cells is None or not cells[0].strip():
            desk.report(
                ("subjects", line, "subject"), "The row names no subject, or is not as long as the header."
            )
            continue
        name, reference, progression, response = cells
        if name in desk.subjects or name in desk.bad:
            desk.report(("subjects", line, "subject"), "The subject stands twice.", subject=name)
            continue
        dates = {
            column: desk.day(text, ("subjects", line, column), subject=name)
            for column, text in (
                ("reference_date", reference),
                ("pd_date", progression),
                ("response_date", response),
            )
            if text.strip() or column == "reference_date"
        }
        start = dates["reference_date"]
        if start is not None:
            desk.subjects[name] = _Subject(
                reference=start, progression=dates.get("pd_date"), response=dates.get("response_date")
            )


def _read_timepoints(
    request: BestRequest, desk: _Desk, *, ports: ResponsePorts, codes: tuple[str, ...]
) -> None:
    table = "timepoints"
    days: set[tuple[str, date]] = set()
    for line, cells in ports.read_table(
        request.timepoints, required=("subject", "date", "response"), role=table
    ):
        if cells is None or not cells[0].strip():
            desk.report(
                (table, line, "subject"), "The row names no subject, or is not as long as the header."
            )
            continue
        name, text, response = cells[0], cells[1], cells[2].strip()
        if name not in desk.subjects:
            if name not in desk.bad:
                desk.report(
                    (table, line, "subject"), "The table of subjects has no such subject.", subject=name
                )
            continue
        day = desk.day(text, (table, line, "date"), subject=name)
        if day is None:
            continue
        if (name, day) in days:
            desk.report((table, line, "date"), "The subject has two responses on one day.", subject=name)
            continue
        days.add((name, day))
        if response in SILENT:
            desk.report((table, line, "response"), "The response says nothing; it is kept.", warn=True)
        elif response not in codes:
            message = f"The code is none of this criterion: {', '.join(codes)}."
            desk.report((table, line, "response"), message, subject=name)
            continue
        if day < desk.subjects[name].reference:
            desk.report(
                (table, line, "date"), "The date lies before the reference date; it is kept.", warn=True
            )
        desk.subjects[name].points.append((day, response))
