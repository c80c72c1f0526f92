"""Rows of TU, TR, EX and DM, as text and by subject."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, NamedTuple

from hepatica.adapters.cdisc.tables import read_rows
from hepatica.core.findings import Severity
from hepatica.workflows.derive_response import RowFinding


class LesionRow(NamedTuple):
    """One row of TU."""

    line: int
    study: str
    lesion: str
    test: str
    code: str
    location: str
    evaluator: str
    evaluator_id: str
    visit_number: str
    visit: str
    date: str


class ResultRow(NamedTuple):
    """One row of TR."""

    line: int
    study: str
    lesion: str
    test: str
    original: str
    text: str
    number: str
    unit: str
    status: str
    reason: str
    evaluator: str
    evaluator_id: str
    visit_number: str
    visit: str
    date: str


class InjectionRow(NamedTuple):
    """One injection of one lesion."""

    table: str
    line: int
    lesion: str
    date: str


@dataclass(slots=True)
class SubjectRows:
    """All rows of one subject."""

    lesions: list[LesionRow] = field(default_factory=list)
    results: list[ResultRow] = field(default_factory=list)
    injections: list[InjectionRow] = field(default_factory=list)
    findings: list[RowFinding] = field(default_factory=list)
    reference: str = ""


_TU_REQUIRED: Final = ("USUBJID", "TULNKID", "VISITNUM")
_TU_OPTIONAL: Final = (
    "STUDYID",
    "TUTESTCD",
    "TUSTRESC",
    "TUORRES",
    "TULOC",
    "TUEVAL",
    "TUEVALID",
    "VISIT",
    "TUDTC",
)
_TR_REQUIRED: Final = ("USUBJID", "TRLNKID", "TRTESTCD", "VISITNUM")
_TR_OPTIONAL: Final = (
    "STUDYID",
    "TRORRES",
    "TRORRESU",
    "TRSTRESC",
    "TRSTRESN",
    "TRSTRESU",
    "TRSTAT",
    "TRREASND",
    "TREVAL",
    "TREVALID",
    "VISIT",
    "TRDTC",
)


def read_lesion_rows(path: Path, subjects: dict[str, SubjectRows]) -> list[RowFinding]:
    """Add the rows of TU to their subjects; return findings about rows that belong to nobody."""
    lost = []
    for line, cells in read_rows(path, required=_TU_REQUIRED, optional=_TU_OPTIONAL, role="tu"):
        if cells is None or not cells[0].strip():
            lost.append(_lose("tu", line, cells))
            continue
        subject, lesion, number, study, test, standard, original, location, who, who_id, visit, date = cells
        rows = subjects.setdefault(subject, SubjectRows())
        rows.lesions.append(
            LesionRow(
                line=line,
                study=study,
                lesion=lesion.strip(),
                test=test.strip().upper(),
                code=(standard or original).strip().upper(),
                location=location.strip(),
                evaluator=who,
                evaluator_id=who_id,
                visit_number=number,
                visit=visit,
                date=date,
            )
        )
    return lost


def iterate_result_rows(path: Path) -> Iterator[tuple[str, ResultRow]]:
    """Yield subject and row of TR, one by one; rows that belong to nobody are passed over, see `scan_results`."""
    for line, cells in read_rows(path, required=_TR_REQUIRED, optional=_TR_OPTIONAL, role="tr"):
        if cells is None or not cells[0].strip():
            continue
        (subject, lesion, test, number, study, original, original_unit, text, numeric, unit, *rest) = cells
        status, reason, who, who_id, visit, date = rest
        yield (
            subject,
            ResultRow(
                line, study, lesion.strip(), test.strip().upper(), original, text, numeric,
                unit or original_unit, status, reason, who, who_id, number, visit, date,
            ),
        )  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class ResultScan:
    """What one look over TR gave.

    Parameters
    ----------
    subjects
        Subjects in the order of their first row.
    broken_at
        First line at which a subject comes back after another; 0 where all rows of a subject stand together.
    evaluators
        Evaluator and its id.
    lost
        Findings about rows that belong to nobody.
    """

    subjects: tuple[str, ...]
    broken_at: int
    evaluators: frozenset[tuple[str, str]]
    lost: tuple[RowFinding, ...]


def scan_results(path: Path) -> ResultScan:
    """Look over TR once, keeping nothing of its rows, to tell whether it can be read subject by subject."""
    subjects: dict[str, None] = {}
    evaluators: set[tuple[str, str]] = set()
    lost: list[RowFinding] = []
    broken_at, last = 0, ""
    for line, cells in read_rows(path, required=_TR_REQUIRED, optional=("TREVAL", "TREVALID"), role="tr"):
        if cells is None or not cells[0].strip():
            lost.append(_lose("tr", line, cells))
            continue
        subject = cells[0]
        evaluators.add((cells[4], cells[5]))
        if subject != last:
            broken_at = broken_at or (line if subject in subjects else 0)
            subjects[subject] = None
            last = subject
    return ResultScan(
        subjects=tuple(subjects), broken_at=broken_at, evaluators=frozenset(evaluators), lost=tuple(lost)
    )


def read_exposure(path: Path, subjects: dict[str, SubjectRows]) -> list[RowFinding]:
    """Add injections from EX: EXLNKID names the lesion, EXSTDTC the day; other rows are other drugs."""
    return _read_injections(path, subjects, table="ex", columns=("USUBJID", "EXLNKID", "EXSTDTC"))


def read_injections(path: Path, subjects: dict[str, SubjectRows]) -> list[RowFinding]:
    """Add injections from a table ``subject, lesion, date``."""
    return _read_injections(path, subjects, table="injections", columns=("subject", "lesion", "date"))


def _read_injections(
    path: Path, subjects: dict[str, SubjectRows], *, table: str, columns: tuple[str, str, str]
) -> list[RowFinding]:
    lost = []
    for line, cells in read_rows(path, required=columns, role=table):
        if cells is None or not cells[0].strip():
            lost.append(_lose(table, line, cells))
            continue
        subject, lesion, date = cells
        if lesion.strip() and subject in subjects:
            subjects[subject].injections.append(InjectionRow(table, line, lesion.strip(), date))
    return lost


def read_references(path: Path, subjects: dict[str, SubjectRows]) -> list[RowFinding]:
    """Add reference dates (RFSTDTC) from DM."""
    lost = []
    for line, cells in read_rows(path, required=("USUBJID",), optional=("RFSTDTC",), role="dm"):
        if cells is None or not cells[0].strip():
            lost.append(_lose("dm", line, cells))
        elif cells[0] in subjects:
            subjects[cells[0]].reference = cells[1]
    return lost


def _lose(table: str, line: int, cells: object) -> RowFinding:
    short = cells is None
    return RowFinding(
        rule="response.row",
        severity=Severity.ERROR,
        table=table,
        row=line,
        column="" if short else "USUBJID",
        message="The row has another number of cells than the header."
        if short
        else "The row names no subject.",
    )
