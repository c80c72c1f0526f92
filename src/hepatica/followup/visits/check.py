"""What is wrong or unknown in a history: findings, never a silent guess."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from itertools import pairwise

from hepatica.core.evidence import EvidenceStatus
from hepatica.core.findings import Finding, Severity
from hepatica.followup.visits import schedule as words
from hepatica.followup.visits.history import EventStatus, History, VisitEvent
from hepatica.followup.visits.schedule import Schedule


def check_schedule(schedule: Schedule, *, last_enrolled: date | None = None) -> tuple[Finding, ...]:
    """Check what a schedule leaves open: one finding for each number that is not set.

    Rules: ``visits.not_set``, ``visits.last_enrolled``.

    Parameters
    ----------
    schedule
        Protocol data.
    last_enrolled
        Day on which the last patient was enrolled; None where not known.
    """
    findings = [
        Finding(
            rule="visits.not_set",
            severity=Severity.WARNING,
            message=f"{key} is not set: supply it with --set {key}=NUMBER; what hangs on it stays open.",
            status=EvidenceStatus.NOT_SET,
        )
        for key in schedule.missing
    ]
    if last_enrolled is None and any(rule.until_anchor == words.LAST_ENROLLED for rule in schedule.rules):
        findings.append(
            Finding(
                rule="visits.last_enrolled",
                severity=Severity.WARNING,
                message="The schedule ends a time after the last patient was enrolled; that day is not given, "
                "so its visits go on without an end.",
            )
        )
    return tuple(findings)


def check_history(history: History, *, as_of: date) -> tuple[Finding, ...]:
    """Check the records of one subject.

    Rules: ``visits.date_partial``, ``visits.date_unknown``, ``visits.after_as_of``, ``visits.after_end``,
    ``visits.numbers_against_dates``, ``visits.order_unknown``. None leaves anything out; ``subject`` is the line of
    the table.

    Parameters
    ----------
    history
        The records.
    as_of
        The day.
    """
    return (
        *_check_dates(history, as_of=as_of),
        *_check_end(history),
        *_check_numbers(history),
        *_check_order(history),
    )


def _warn(
    rule: str, message: str, *, event: VisitEvent | None = None, measured: str = "", limit: str = ""
) -> Finding:
    return Finding(
        rule=f"visits.{rule}",
        severity=Severity.WARNING,
        message=message,
        measured=measured,
        limit=limit,
        subject=str(event.row) if event is not None and event.row else "",
    )


def _check_dates(history: History, *, as_of: date) -> Iterator[Finding]:
    for event in sorted(history.events, key=lambda event: (event.visit, event.order)):
        if event.status is EventStatus.BOOKED:
            continue
        name = f"'{event.visit}'"
        if event.on.earliest is None and event.status is EventStatus.DONE:
            message = f"A visit {name} was done on a day that is not given; nothing is counted from it."
            yield _warn("date_unknown", message, event=event)
        elif event.on.earliest is not None and event.on.earliest > as_of:
            message = f"A visit {name} lies after the day of the report and does not count."
            yield _warn("after_as_of", message, event=event, measured=event.on.text, limit=as_of.isoformat())
        elif event.on.earliest is not None and event.on.day is None:
            message = f"The day of a visit {name} is known in part: what hangs on it is given as a span."
            yield _warn("date_partial", message, event=event, measured=event.on.text)
    for word, given in sorted(history.ended.items()):
        if given.earliest is None:
            yield _warn("date_unknown", f"The day of '{word}' is not given; nothing later is owed or missed.")


def _check_end(history: History) -> Iterator[Finding]:
    for word in words.END_OF_ALL:
        end = history.ended.get(word)
        if end is None or end.latest is None:
            continue
        for event in sorted(history.events, key=lambda event: event.order):
            late = event.on.earliest is not None and event.on.earliest > end.latest
            if late and event.status is not EventStatus.MISSED:
                message = f"A visit '{event.visit}' stands after the {word}."
                yield _warn("after_end", message, event=event, measured=event.on.text, limit=end.text)


def _check_numbers(history: History) -> Iterator[Finding]:
    for name in sorted({event.visit for event in history.events}):
        numbered = sorted(
            (
                event
                for event in history.events
                if event.visit == name and event.number is not None and event.status is EventStatus.DONE
            ),
            key=lambda event: event.number or 0,
        )
        for earlier, later in pairwise(numbered):
            if later.on.surely_before(earlier.on):
                message = f"'{name}' {later.number} has an earlier day than number {earlier.number}."
                yield _warn(
                    "numbers_against_dates",
                    message,
                    event=later,
                    measured=later.on.text,
                    limit=earlier.on.text,
                )


def _check_order(history: History) -> Iterator[Finding]:
    for name in sorted({event.visit for event in history.events}):
        unnumbered = sorted(
            (
                event
                for event in history.events
                if event.visit == name and event.number is None and event.status is not EventStatus.BOOKED
            ),
            key=lambda event: event.order,
        )
        for earlier, later in pairwise(unnumbered):
            if not (earlier.on.surely_before(later.on) or later.on.earliest is None):
                message = (
                    f"Which of two visits '{name}' came first cannot be told from their days: give numbers."
                )
                yield _warn("order_unknown", message, event=later, measured=later.on.text)
