"""The lesions of one subject as one evaluator named them, from the rows of TU."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

from hepatica.adapters.cdisc.readings import NEW_PROGRESSION
from hepatica.adapters.cdisc.tumour_rows import InjectionRow, LesionRow
from hepatica.core.errors import InputError
from hepatica.core.findings import Severity
from hepatica.followup.dates import PartialDate
from hepatica.followup.records import TrackedLesion
from hepatica.followup.sums import FRAGMENT_MARK
from hepatica.followup.words import LesionRole, LesionState
from hepatica.workflows.derive_response import RowFinding

IDENTIFICATION_TESTS: Final = frozenset({"", "TUMIDENT", "LESIDENT"})
CHOSEN: Final = (LesionRole.TARGET, LesionRole.NON_TARGET)
NODE: Final = "LYMPH NODE"
LIVER: Final = "LIVER"
ROLES: Final = {str(role): role for role in LesionRole}


class Reporter(Protocol):
    """Keeps findings and the names of visits."""

    findings: list[RowFinding]

    def report(self, rule: str, row: LesionRow, column: str, message: str) -> None:
        """Keep a finding about a row."""

    def name_visit(self, row: LesionRow) -> float | None:
        """Return the visit number of a row."""


@dataclass(slots=True)
class LesionList:
    """Lesions by id, and when they were named.

    Parameters
    ----------
    by_id
        All lesions.
    baseline
        Number of the visit at which targets and non-targets were named; None where none was.
    baseline_row
        Its first line in the table.
    lines
        Line at which each lesion is named.
    new_at
        New lesions by the visit at which they were first named.
    equivocal
        New lesions that are only suspected, with the visit.
    notes
        Findings that leave nobody out.
    """

    by_id: dict[str, TrackedLesion] = field(default_factory=dict)
    baseline: float | None = None
    baseline_row: int = 0
    lines: dict[str, int] = field(default_factory=dict)
    new_at: dict[float, set[str]] = field(default_factory=dict)
    equivocal: list[tuple[str, float]] = field(default_factory=list)
    notes: list[RowFinding] = field(default_factory=list)

    def is_viable(self, lesion: TrackedLesion) -> bool:
        """Whether mRECIST judges a lesion by its viable diameter: one of the liver, not a node."""
        return not lesion.is_node and (not lesion.site or LIVER in lesion.site.upper())


def list_lesions(
    rows: Sequence[LesionRow], *, injections: Sequence[InjectionRow], builder: Reporter
) -> LesionList:
    """Return the lesions that rows of TU name; bad rows are reported.

    Parameters
    ----------
    rows
        Rows of one subject and evaluator.
    injections
        Injections of the subject.
    builder
        Takes findings and visit names.
    """
    lesions = LesionList()
    named = []
    for row in rows:
        if row.test == NEW_PROGRESSION:
            number = builder.name_visit(row)
            if number is not None and row.code == LesionState.EQUIVOCAL:
                lesions.equivocal.append((row.lesion, number))
        elif row.test in IDENTIFICATION_TESTS and _is_usable(row, builder):
            number = builder.name_visit(row)
            if number is not None:
                named.append((number, row))
    chosen = [(number, row) for number, row in named if ROLES[row.code] in CHOSEN]
    if chosen:
        lesions.baseline = min(number for number, _ in chosen)
        lesions.baseline_row = min(row.line for number, row in chosen if number == lesions.baseline)
    given = _sort_injections(injections, builder)
    for number, row in sorted(named, key=lambda item: (item[0], item[1].line)):
        _add(number, row, lesions, builder, given)
    unknown = sorted(set(given) - set(lesions.by_id))
    for lesion_id in unknown:
        row_of = next(row for row in injections if row.lesion == lesion_id)
        lesions.notes.append(
            RowFinding(
                rule="response.injected_lesion",
                severity=Severity.WARNING,
                table=row_of.table,
                row=row_of.line,
                column="EXLNKID" if row_of.table == "ex" else "lesion",
                message="The table of lesions has no such lesion; the injection plays no part.",
            )
        )
    return lesions


def _is_usable(row: LesionRow, builder: Reporter) -> bool:
    if row.code not in ROLES:
        builder.report("response.code", row, "TUSTRESC", "The code is no role that a lesion can have here.")
        return False
    if not row.lesion:
        builder.report("response.lesion", row, "TULNKID", "The lesion has no name.")
        return False
    return True


def _add(
    number: float,
    row: LesionRow,
    lesions: LesionList,
    builder: Reporter,
    given: dict[str, tuple[PartialDate, ...]],
) -> None:
    role = ROLES[row.code]
    if role in CHOSEN and number != lesions.baseline:
        if row.lesion.rpartition(FRAGMENT_MARK)[0] in lesions.by_id:
            return
        builder.report(
            "response.baseline", row, "VISITNUM", "Targets are named at two visits: two baselines."
        )
        return
    if role.is_new and lesions.baseline is not None and number <= lesions.baseline:
        builder.report("response.baseline", row, "TUSTRESC", "A lesion is new at the baseline visit.")
        return
    known = lesions.by_id.get(row.lesion)
    if known is not None:
        if role.is_new and known.role is role:
            return
        builder.report("response.duplicate", row, "TULNKID", "The lesion is named twice.")
        return
    lesions.by_id[row.lesion] = TrackedLesion(
        lesion_id=row.lesion,
        role=role,
        site=row.location,
        is_node=NODE in row.location.upper(),
        injections=given.get(row.lesion, ()),
    )
    lesions.lines[row.lesion] = row.line
    if role.is_new:
        lesions.new_at.setdefault(number, set()).add(row.lesion)


def _sort_injections(
    injections: Sequence[InjectionRow], builder: Reporter
) -> dict[str, tuple[PartialDate, ...]]:
    given: dict[str, list[PartialDate]] = {}
    for row in injections:
        try:
            day = PartialDate.from_text(row.date)
        except InputError:
            day = PartialDate.from_text("")
        if day.earliest is None:
            builder.findings.append(
                RowFinding(
                    rule="response.date",
                    severity=Severity.ERROR,
                    table=row.table,
                    row=row.line,
                    column="EXSTDTC" if row.table == "ex" else "date",
                    message="The injection has no date that can be read.",
                )
            )
            continue
        given.setdefault(row.lesion, []).append(day)
    return {lesion: tuple(days) for lesion, days in given.items()}
