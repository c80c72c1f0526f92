"""What the commands for visits and safety need from the world, and what they answer."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any, Protocol

from hepatica.core.errors import InputError
from hepatica.core.evidence import Evidence
from hepatica.core.findings import Finding, Severity
from hepatica.followup.dates import PartialDate
from hepatica.workflows.derive_response import RowFinding
from hepatica.workflows.ports import Clock

UNCLEAR_ROW = "The row names no subject, or is not as long as the header."


@dataclass(frozen=True, slots=True, kw_only=True)
class CalendarEntry:
    """One whole day in a calendar.

    Parameters
    ----------
    key
        Text that stays the same for one visit at every export.
    day
        The day.
    summary, description
        What people read: subject identifier and visit, never a name.
    status
        ``CONFIRMED``, ``TENTATIVE`` or ``CANCELLED``.
    """

    key: str
    day: date
    summary: str
    description: str
    status: str


class CalendarWriter(Protocol):
    """Turns entries into the bytes of a calendar file."""

    def __call__(self, entries: Sequence[CalendarEntry], *, title: str, as_of: date) -> bytes:
        """Write the calendar."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FollowupPorts:
    """All that the commands for visits and safety need from the world.

    Parameters
    ----------
    read_table, read_header
        Yields line number and cells of a CSV file by column name; its column names as written.
    read_bytes
        Content of a small file.
    to_csv, to_calendar
        Bytes of a table and of a calendar.
    write_files
        Writes files together or not at all.
    clock
        For the day, where none is given.
    """

    read_table: Callable[..., Iterator[tuple[int, tuple[str, ...] | None]]]
    read_header: Callable[[Path], tuple[str, ...]]
    read_bytes: Callable[[Path], bytes]
    to_csv: Callable[[Sequence[str], Sequence[Mapping[str, str]]], bytes]
    to_calendar: CalendarWriter
    write_files: Callable[[Mapping[Path, bytes]], None]
    clock: Clock


@dataclass(frozen=True, slots=True, kw_only=True)
class FollowupOutcome:
    """What a run gave.

    Parameters
    ----------
    document
        Summary: files, counts, settings, numbers nobody has checked, findings.
    partial
        Some rows were bad: good subjects are there, others are missing.
    """

    document: Mapping[str, Any]
    partial: bool


@dataclass(slots=True)
class RowDesk:
    """Findings about the rows of tables while they are read, and the subjects they cost."""

    table: str
    family: str
    bad: set[str] = field(default_factory=set)
    findings: list[RowFinding] = field(default_factory=list)

    def refuse(self, row: int, column: str, message: str, *, subject: str) -> None:
        """Report a bad row; its subject is left out."""
        self.bad.add(subject)
        self.report(row, column, message, severity=Severity.ERROR)

    def report(
        self,
        row: int,
        column: str,
        message: str,
        *,
        severity: Severity = Severity.WARNING,
        rule: str = "row",
    ) -> None:
        """Report something that leaves nothing out."""
        self.findings.append(
            RowFinding(
                rule=f"{self.family}.{rule}" if "." not in rule else rule,
                severity=severity,
                table=self.table,
                row=row,
                column=column,
                message=message,
            )
        )

    def keep(self, finding: Finding, *, row: int = 0, column: str = "") -> None:
        """Keep a finding of a check beside those of the rows."""
        line = int(finding.subject) if finding.subject.isdecimal() else row
        self.report(line, column, finding.message, severity=finding.severity, rule=finding.rule)

    def read_date(self, text: str, row: int, column: str, *, subject: str) -> PartialDate | None:
        """Return a date of any precision; what is none is refused."""
        try:
            return PartialDate.from_text(text)
        except InputError:
            self.refuse(row, column, "The date is not ISO 8601.", subject=subject)
            return None

    def read_day(self, text: str, row: int, column: str, *, subject: str) -> date | None:
        """Return a whole date; anything else is refused."""
        given = self.read_date(text, row, column, subject=subject)
        if given is not None and given.day is None:
            self.refuse(row, column, "A whole date is needed here.", subject=subject)
        return None if given is None else given.day

    @property
    def partial(self) -> bool:
        """Whether any row was bad."""
        return any(finding.severity is Severity.ERROR for finding in self.findings)

    def to_list(self) -> list[dict[str, Any]]:
        """Return the findings in the order of tables, rows and columns."""
        ordered = sorted(self.findings, key=lambda f: (f.table, f.row, f.column, f.rule, f.message))
        return [finding.to_dict() for finding in ordered]


def list_unverified(evidence: Sequence[Evidence]) -> list[dict[str, Any]]:
    """Return numbers nobody has checked, each once, for the summary of a run."""
    seen = {item.key: item for item in evidence if item.unverified}
    return [
        {"key": item.key, "value": item.value, "unit": item.unit, "source": item.source, "note": item.note}
        for item in seen.values()
    ]


def read_protocol_file(
    name: str, *, packaged: Callable[[], tuple[str, ...]], ports: FollowupPorts
) -> tuple[bytes, str] | None:
    """Return content and name of a protocol file of the user's own; None for a packaged name."""
    path = Path(name)
    if name in packaged() or not (path.suffix or path.exists()):
        return None
    return ports.read_bytes(path), path.name
