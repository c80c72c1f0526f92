"""From a schedule and a table of what happened to the visits of every subject, who is due, and a calendar."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any, Final

from hepatica.core.errors import UsageError
from hepatica.core.evidence import EvidenceStatus
from hepatica.followup.dates import PartialDate
from hepatica.followup.protocol_numbers import Supplied
from hepatica.followup.visits.check import check_history, check_schedule
from hepatica.followup.visits.derive import derive_visits
from hepatica.followup.visits.history import EventStatus, History, VisitEvent
from hepatica.followup.visits.schedule import BASELINE, ENDS, LAST_ENROLLED, Schedule
from hepatica.followup.visits.schedule_file import list_schedules, parse_schedule, read_schedule
from hepatica.followup.visits.visit import Visit, VisitState
from hepatica.workflows.followup_ports import (
    UNCLEAR_ROW,
    CalendarEntry,
    FollowupOutcome,
    FollowupPorts,
    RowDesk,
    list_unverified,
    read_protocol_file,
)

COLUMNS: Final = (
    "subject", "visit", "number", "state", "due", "opens", "closes", "date", "booked", "study_day",
    "projected", "reason",
)  # fmt: skip
REQUIRED: Final = ("subject", "visit", "date")
OPTIONAL: Final = ("status", "number")
LAST_YEAR: Final = 2999
"""Last year of a report; steps from it stay inside the calendar, which ends in 9999."""
LIKE_A_NAME: Final = re.compile(r"[\s,^@]")
"""Trial identifiers have none of these; names and addresses do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VisitsRequest:
    """What to derive from what.

    Parameters
    ----------
    schedule
        Name of a packaged schedule, or a file.
    supplied
        Numbers for what it leaves open.
    events
        CSV with ``subject, visit, date`` and optionally ``status, number``.
    as_of
        The day; today (UTC) where None.
    last_enrolled
        Day on which the last patient of the trial was enrolled.
    due_within_days
        How far ahead the list of visits to see to looks.
    """

    schedule: str
    events: Path
    supplied: Supplied = field(default_factory=dict)
    as_of: date | None = None
    last_enrolled: date | None = None
    due_within_days: int = 7


@dataclass(slots=True)
class _Subject:
    """Rows of one subject while the table is read."""

    row: int
    events: list[VisitEvent] = field(default_factory=list)
    baseline: PartialDate | None = None
    ended: dict[str, PartialDate] = field(default_factory=dict)
    seen: set[tuple[object, ...]] = field(default_factory=set)

    def to_history(self, name: str) -> History:
        """Return the records."""
        return History(subject=name, events=tuple(self.events), baseline=self.baseline, ended=self.ended)


def derive_visit_table(
    request: VisitsRequest, *, ports: FollowupPorts, out: Path, ics: Path | None = None
) -> FollowupOutcome:
    """Derive the visits of every subject and write them, with a calendar where one is asked for.

    Parameters
    ----------
    request
        Schedule, events and day.
    ports
        The world.
    out, ics
        CSV and calendar to write; both or none.

    Returns
    -------
    outcome
        Subjects with a bad row are left out and the outcome is partial. Partial and unknown dates are findings.

    Raises
    ------
    NotSetError
        If an interval of the schedule is not set.
    """
    if ics is not None and ics.absolute() == out.absolute():
        raise UsageError(
            expected="another path for the calendar", given="that of the table", where="--ics, --out"
        )
    schedule = _read_schedule(request, ports=ports)
    schedule.require_timing()
    as_of = request.as_of or ports.clock.now().date()
    if as_of.year > LAST_YEAR:
        raise UsageError(
            expected=f"a day up to the year {LAST_YEAR}", given=as_of.isoformat(), where="--as-of"
        )
    desk = RowDesk(table="events", family="visits")
    subjects = _read_events(request.events, schedule, desk=desk, ports=ports)
    about_schedule = RowDesk(table="schedule", family="visits")
    for finding in check_schedule(schedule, last_enrolled=request.last_enrolled):
        about_schedule.keep(finding)
    desk.findings += about_schedule.findings
    trial_dates = {} if request.last_enrolled is None else {LAST_ENROLLED: request.last_enrolled}
    found: dict[str, tuple[Visit, ...]] = {}
    for name in sorted(subjects.keys() - desk.bad):
        history = subjects[name].to_history(name)
        found[name] = derive_visits(schedule, history, as_of=as_of, trial_dates=trial_dates)
        for finding in check_history(history, as_of=as_of):
            desk.keep(finding, row=subjects[name].row)
    rows = [_to_row(name, visit) for name, visits in found.items() for visit in visits]
    files = {out: ports.to_csv(COLUMNS, rows)}
    if ics is not None:
        entries = _list_entries(schedule, found, subjects=subjects, desk=desk)
        files[ics] = ports.to_calendar(entries, title=schedule.title, as_of=as_of)
    ports.write_files(files)
    document = {
        "command": "visits",
        "out": str(out),
        "ics": None if ics is None else str(ics),
        "as_of": as_of.isoformat(),
        "schedule": _describe_schedule(schedule),
        "subjects": len(found),
        "visits": len(rows),
        "states": _count_states(found),
        "due_within_days": request.due_within_days,
        "due_within": _list_due(found, as_of=as_of, days=request.due_within_days),
        "unverified": list_unverified(list(schedule.evidence)),
        "partial": desk.partial,
        "findings": desk.to_list(),
    }
    return FollowupOutcome(document=document, partial=desk.partial)


def _read_schedule(request: VisitsRequest, *, ports: FollowupPorts) -> Schedule:
    own = read_protocol_file(request.schedule, packaged=list_schedules, ports=ports)
    if own is None:
        return read_schedule(request.schedule, supplied=request.supplied)
    return parse_schedule(own[0], where=own[1], supplied=request.supplied)


def _describe_schedule(schedule: Schedule) -> dict[str, Any]:
    return {
        "name": schedule.name,
        "title": schedule.title,
        "digest": schedule.digest,
        "not_set": list(schedule.missing),
        "numbers": [
            {
                "key": item.key,
                "value": item.value,
                "unit": item.unit,
                "source": item.source,
                "status": str(item.status),
            }
            for item in schedule.evidence
            if item.status is not EvidenceStatus.NOT_SET
        ],
    }


def _read_events(
    path: Path, schedule: Schedule, *, desk: RowDesk, ports: FollowupPorts
) -> dict[str, _Subject]:
    subjects: dict[str, _Subject] = {}
    for line, cells in ports.read_table(path, required=REQUIRED, optional=OPTIONAL):
        if cells is None or not cells[0].strip():
            desk.refuse(line, "subject", UNCLEAR_ROW, subject="")
            continue
        name = cells[0].strip()
        subject = subjects.setdefault(name, _Subject(row=line))
        visit = " ".join(cells[1].casefold().split())
        date_ = desk.read_date(cells[2], line, "date", subject=name)
        if date_ is None:
            continue
        if visit == BASELINE or visit in ENDS:
            _keep_day(subject, visit, date_, line=line, name=name, desk=desk)
        else:
            event = _read_event((visit, date_, cells[3], cells[4]), schedule, line=line, name=name, desk=desk)
            if event is not None:
                _keep_event(subject, event, name=name, desk=desk)
    return subjects


def _keep_day(subject: _Subject, word: str, day: PartialDate, *, line: int, name: str, desk: RowDesk) -> None:
    if word in subject.ended or (word == BASELINE and subject.baseline is not None):
        desk.refuse(line, "visit", f"The subject has '{word}' twice.", subject=name)
    elif word == BASELINE:
        subject.baseline = day
    else:
        subject.ended[word] = day


def _read_event(
    cells: tuple[str, PartialDate, str, str], schedule: Schedule, *, line: int, name: str, desk: RowDesk
) -> VisitEvent | None:
    visit, day, status_text, number_text = cells
    known = {rule.name.casefold(): rule.name for rule in schedule.rules}
    if visit not in known:
        words = ", ".join((*known.values(), BASELINE, *ENDS))
        desk.refuse(line, "visit", f"The visit is none of {words}.", subject=name)
        return None
    try:
        status = EventStatus(status_text.strip().casefold() or EventStatus.DONE)
    except ValueError:
        desk.refuse(line, "status", f"The status is none of {', '.join(EventStatus)}.", subject=name)
        return None
    number = number_text.strip()
    if number and not (number.isascii() and number.isdecimal() and 0 < int(number) < 1000):
        desk.refuse(line, "number", "The number of a visit is a whole number from 1.", subject=name)
        return None
    if status is EventStatus.BOOKED and day.day is None:
        desk.refuse(line, "date", "An appointment needs a whole date.", subject=name)
        return None
    return VisitEvent(
        visit=known[visit], on=day, status=status, number=int(number) if number else None, row=line
    )


def _keep_event(subject: _Subject, event: VisitEvent, *, name: str, desk: RowDesk) -> None:
    recorded = event.status is not EventStatus.BOOKED
    keys: list[tuple[object, ...]] = (
        [("day", event.visit, recorded, event.on.day)] if event.on.day is not None else []
    )
    if event.number is not None:
        keys.append(("number", event.visit, recorded, event.number))
    for key in keys:
        if key in subject.seen:
            column = "date" if key[0] == "day" else "number"
            desk.refuse(event.row, column, f"The visit stands twice with one {column}.", subject=name)
            return
    subject.seen.update(keys)
    subject.events.append(event)


def _to_row(name: str, visit: Visit) -> dict[str, str]:
    due = visit.due
    text = "" if due is None else due.first.isoformat()
    if due is not None and not due.exact:
        text = f"{text}/{due.last.isoformat()}"
    return {
        "subject": name,
        "visit": visit.name,
        "number": "" if visit.number is None else str(visit.number),
        "state": str(visit.state),
        "due": text,
        "opens": _to_text(visit.opens),
        "closes": _to_text(visit.closes),
        "date": visit.on.text,
        "booked": _to_text(visit.booked),
        "study_day": "" if visit.study_day is None else str(visit.study_day),
        "projected": "Y" if visit.projected else "",
        "reason": visit.reason,
    }


def _to_text(day: date | None) -> str:
    return "" if day is None else day.isoformat()


def _count_states(found: Mapping[str, Sequence[Visit]]) -> dict[str, int]:
    counts = Counter(visit.state for visits in found.values() for visit in visits)
    return {str(state): counts[state] for state in VisitState}


def _list_due(found: Mapping[str, Sequence[Visit]], *, as_of: date, days: int) -> list[dict[str, str]]:
    due = [
        (visit.state is not VisitState.OVERDUE, visit.day or date.max, name, visit)
        for name, visits in found.items()
        for visit in visits
        if visit.due_within(as_of, days=days)
    ]
    return [_to_row(name, visit) for _, _, name, visit in sorted(due, key=lambda item: item[:3])]


def _list_entries(
    schedule: Schedule,
    found: Mapping[str, Sequence[Visit]],
    *,
    subjects: Mapping[str, _Subject],
    desk: RowDesk,
) -> list[CalendarEntry]:
    entries = []
    for name, visits in found.items():
        if LIKE_A_NAME.search(name):
            message = "The subject identifier reads like a name: its visits are left out of the calendar."
            desk.report(subjects[name].row, "subject", message, rule="calendar_name")
            continue
        for visit in visits:
            if visit.day is not None:
                entries.append(_to_entry(schedule, name, visit, day=visit.day))
    return entries


def _to_entry(schedule: Schedule, name: str, visit: Visit, *, day: date) -> CalendarEntry:
    number = "unscheduled" if visit.number is None else str(visit.number)
    place = visit.on.text if visit.number is None else number
    status = {VisitState.MISSED: "CANCELLED"}.get(visit.state, "CONFIRMED")
    if visit.state.open and visit.booked is None:
        status = "TENTATIVE"
    window = (
        ""
        if visit.opens is None or visit.closes is None
        else f" Window {visit.opens.isoformat()} to {visit.closes.isoformat()}."
    )
    return CalendarEntry(
        key="\x1f".join((schedule.name, name, visit.name, place)),
        day=day,
        summary=f"{name} {visit.name} {number}: {visit.state}",
        description=f"{visit.reason}.{window}",
        status=status,
    )
