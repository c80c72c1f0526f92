"""A log for a live herpes virus: contacts of staff and carers, suspected lesions, swabs; and what is overdue."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from enum import StrEnum
from typing import Final

from hepatica.core.errors import InputError
from hepatica.core.evidence import EvidenceTable, read_evidence_table
from hepatica.core.findings import Finding, Severity

TABLES: Final = "hepatica.followup.tables"


class ExposedPerson(StrEnum):
    """Who was exposed, by role; never a name."""

    STAFF = "staff"
    CARER = "carer"
    HOUSEHOLD = "household"
    OTHER = "other"


class SwabResult(StrEnum):
    """What the laboratory answered."""

    PENDING = "pending"
    POSITIVE = "positive"
    NEGATIVE = "negative"
    INDETERMINATE = "indeterminate"


@dataclass(frozen=True, slots=True, kw_only=True)
class Contact:
    """One accidental contact with the agent, a lesion, a dressing or body fluid.

    Parameters
    ----------
    subject
        Trial identifier of the patient the virus came from.
    on
        Day.
    person
        Role of who was exposed.
    kind
        For example ``needle stick``, ``eye splash``, ``dressing``.
    actions
        What was done; empty where nothing is recorded.
    row
        Line of the table, for findings.
    """

    subject: str
    on: date
    person: ExposedPerson
    kind: str
    actions: str = ""
    row: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class SuspectedLesion:
    """One suspected herpetic lesion.

    Parameters
    ----------
    subject, lesion
        Trial identifier, and a name for the lesion that its swabs repeat.
    onset
        First day.
    actions
        What was done; empty where nothing is recorded.
    row
        Line of the table, for findings.
    """

    subject: str
    lesion: str
    onset: date
    actions: str = ""
    row: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Swab:
    """One swab of a suspected lesion, or of another place for a shedding study.

    Parameters
    ----------
    subject, lesion
        As in the lesion; ``lesion`` may name another place of shedding.
    taken
        Day.
    result
        What the laboratory answered.
    row
        Line of the table, for findings.
    """

    subject: str
    lesion: str
    taken: date
    result: SwabResult = SwabResult.PENDING
    row: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ExposureLog:
    """All records of a trial, in any order.

    Parameters
    ----------
    contacts, lesions, swabs
        Records.
    """

    contacts: tuple[Contact, ...] = ()
    lesions: tuple[SuspectedLesion, ...] = ()
    swabs: tuple[Swab, ...] = ()
    reviews: tuple[tuple[str, date], ...] = field(default=())
    """Days on which the exposure of staff and carers of a subject was reviewed."""

    def __post_init__(self) -> None:
        """Refuse two lesions of one name, and swabs before their lesion."""
        onsets: dict[tuple[str, str], date] = {}
        for lesion in self.lesions:
            if (lesion.subject, lesion.lesion) in onsets:
                raise InputError(
                    expected="each lesion once", given="one twice", where=f"exposure log, row {lesion.row}"
                )
            onsets[lesion.subject, lesion.lesion] = lesion.onset
        for swab in self.swabs:
            onset = onsets.get((swab.subject, swab.lesion))
            if onset is not None and swab.taken < onset:
                raise InputError(
                    expected="a swab on or after the onset",
                    given="one before",
                    where=f"exposure log, row {swab.row}",
                )


def check_exposures(
    log: ExposureLog, *, as_of: date, table: EvidenceTable | None = None
) -> tuple[Finding, ...]:
    """Check a log: what is overdue, late, positive, or without an action.

    Rules: ``exposure.swab_overdue``, ``exposure.swab_late``, ``exposure.swab_pending``, ``exposure.swab_positive``,
    ``exposure.no_action``, ``exposure.review_overdue``. ``subject`` of a finding is the line of the table.

    Parameters
    ----------
    log
        The records.
    as_of
        The day; later records do not count.
    table
        Table ``safety.toml``, or a protocol's own.

    Examples
    --------
    >>> lesion = SuspectedLesion(subject="S01", lesion="lip", onset=date(2024, 3, 1), actions="dressing")
    >>> [found.rule for found in check_exposures(ExposureLog(lesions=(lesion,)), as_of=date(2024, 3, 4))]
    []
    >>> [found.rule for found in check_exposures(ExposureLog(lesions=(lesion,)), as_of=date(2024, 3, 5))]
    ['exposure.swab_overdue']
    """
    limits = table or read_evidence_table(TABLES, "safety.toml")
    return (
        *_check_lesions(log, limits, as_of=as_of),
        *_check_swabs(log.swabs, as_of=as_of),
        *_check_actions(log, as_of=as_of),
        *_check_reviews(log.reviews, limits, as_of=as_of),
    )


def find_swab_deadline(lesion: SuspectedLesion, *, table: EvidenceTable | None = None) -> date:
    """Return the last day for the swab of a suspected lesion."""
    limits = table or read_evidence_table(TABLES, "safety.toml")
    return lesion.onset + timedelta(days=int(limits["swab_max"].number))


def _check_lesions(log: ExposureLog, limits: EvidenceTable, *, as_of: date) -> Iterator[Finding]:
    limit = limits["swab_max"]
    for lesion in sorted(log.lesions, key=lambda item: (item.subject, item.onset, item.lesion)):
        if lesion.onset > as_of:
            continue
        deadline = find_swab_deadline(lesion, table=limits)
        taken = [
            swab.taken
            for swab in log.swabs
            if (swab.subject, swab.lesion) == (lesion.subject, lesion.lesion) and swab.taken <= as_of
        ]
        if not taken and as_of > deadline:
            yield Finding.from_limit(
                limit,
                rule="exposure.swab_overdue",
                severity=Severity.ERROR,
                message=f"A suspected herpetic lesion has no swab; it was due by {deadline.isoformat()}.",
                measured=(as_of - lesion.onset).days,
                subject=_name_row(lesion.row),
            )
        elif taken and min(taken) > deadline:
            yield Finding.from_limit(
                limit,
                rule="exposure.swab_late",
                severity=Severity.WARNING,
                message="The first swab of a suspected herpetic lesion was late.",
                measured=(min(taken) - lesion.onset).days,
                subject=_name_row(lesion.row),
            )


def _check_swabs(swabs: Sequence[Swab], *, as_of: date) -> Iterator[Finding]:
    for swab in sorted(swabs, key=lambda item: (item.subject, item.taken, item.lesion)):
        if swab.taken > as_of:
            continue
        if swab.result is SwabResult.POSITIVE:
            message = "A swab is positive: the strain decides whether it is the agent."
            yield _find("swab_positive", message, severity=Severity.ERROR, row=swab.row)
        elif swab.result is not SwabResult.NEGATIVE:
            days = (as_of - swab.taken).days
            message = (
                f"A swab has no clear result after {days} day{'' if days == 1 else 's'} ({swab.result})."
            )
            severity = Severity.INFO if swab.result is SwabResult.PENDING else Severity.WARNING
            yield _find("swab_pending", message, severity=severity, row=swab.row)


def _check_actions(log: ExposureLog, *, as_of: date) -> Iterator[Finding]:
    for contact in sorted(log.contacts, key=lambda item: (item.subject, item.on, item.row)):
        if contact.on <= as_of and not contact.actions.strip():
            message = f"An accidental contact ({contact.person}) has no action recorded."
            yield _find("no_action", message, severity=Severity.WARNING, row=contact.row)
    for lesion in sorted(log.lesions, key=lambda item: (item.subject, item.onset, item.lesion)):
        if lesion.onset <= as_of and not lesion.actions.strip():
            message = "A suspected herpetic lesion has no action recorded."
            yield _find("no_action", message, severity=Severity.WARNING, row=lesion.row)


def _check_reviews(
    reviews: Iterable[tuple[str, date]], limits: EvidenceTable, *, as_of: date
) -> Iterator[Finding]:
    last: dict[str, date] = {}
    for subject, on in reviews:
        if on <= as_of:
            last[subject] = max(on, last.get(subject, on))
    limit = limits["exposure_review_max"]
    for _, on in sorted(last.items()):
        days = (as_of - on).days
        if days > limit.number:
            yield Finding.from_limit(
                limit,
                rule="exposure.review_overdue",
                severity=Severity.INFO,
                message="The last review of exposed staff and carers is longer ago than one cycle.",
                measured=days,
            )


def _find(rule: str, message: str, *, severity: Severity, row: int) -> Finding:
    return Finding(rule=f"exposure.{rule}", severity=severity, message=message, subject=_name_row(row))


def _name_row(row: int) -> str:
    return str(row) if row else ""
