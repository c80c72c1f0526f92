"""The log of herpetic exposure and shedding of a trial, read and checked."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Final

from hepatica.followup.safety.exposure import (
    Contact,
    ExposedPerson,
    ExposureLog,
    SuspectedLesion,
    Swab,
    SwabResult,
    check_exposures,
    find_swab_deadline,
)
from hepatica.workflows.followup_ports import UNCLEAR_ROW, FollowupOutcome, FollowupPorts, RowDesk

REQUIRED: Final = ("subject", "record", "date")
OPTIONAL: Final = ("place", "person", "result", "actions")
COLUMNS: Final = ("subject", "place", "onset", "swab_due", "first_swab", "result", "state")
RECORDS: Final = ("contact", "lesion", "swab", "review")


@dataclass(slots=True)
class _Rows:
    """Records while the table is read."""

    contacts: list[Contact] = field(default_factory=list)
    lesions: list[SuspectedLesion] = field(default_factory=list)
    swabs: list[Swab] = field(default_factory=list)
    reviews: list[tuple[str, date]] = field(default_factory=list)

    def to_log(self, *, without: set[str]) -> ExposureLog:
        """Return the log of good subjects."""
        return ExposureLog(
            contacts=tuple(item for item in self.contacts if item.subject not in without),
            lesions=tuple(item for item in self.lesions if item.subject not in without),
            swabs=tuple(item for item in self.swabs if item.subject not in without),
            reviews=tuple(item for item in self.reviews if item[0] not in without),
        )


def check_exposure_table(
    log: Path, *, ports: FollowupPorts, out: Path, as_of: date | None = None
) -> FollowupOutcome:
    """Check the log and write every suspected lesion with the last day for its swab and how that stands.

    Parameters
    ----------
    log
        CSV with ``subject, record, date`` and optionally ``place, person, result, actions``; a record is a contact, a
        lesion, a swab or a review.
    ports
        The world.
    out
        CSV to write.
    as_of
        The day; today (UTC) where None.

    Returns
    -------
    outcome
        What is overdue stands in the findings; the outcome is partial only where rows were bad.
    """
    desk = RowDesk(table="log", family="exposure")
    day = as_of or ports.clock.now().date()
    rows = _read(log, desk=desk, ports=ports)
    partial = desk.partial
    records = rows.to_log(without=desk.bad)
    counts: Counter[str] = Counter()
    for finding in check_exposures(records, as_of=day):
        counts[finding.rule] += 1
        desk.keep(finding)
    table = [_to_row(lesion, records, as_of=day) for lesion in _order(records.lesions) if lesion.onset <= day]
    ports.write_files({out: ports.to_csv(COLUMNS, table)})
    document = {
        "command": "grade exposure",
        "out": str(out),
        "as_of": day.isoformat(),
        "contacts": len(records.contacts),
        "lesions": len(table),
        "swabs": len(records.swabs),
        "rules": {key: counts[key] for key in sorted(counts)},
        "unverified": [],
        "partial": partial,
        "findings": desk.to_list(),
    }
    return FollowupOutcome(document=document, partial=partial)


def _order(lesions: tuple[SuspectedLesion, ...]) -> list[SuspectedLesion]:
    return sorted(lesions, key=lambda item: (item.subject, item.onset, item.lesion))


def _read(path: Path, *, desk: RowDesk, ports: FollowupPorts) -> _Rows:
    rows = _Rows()
    for line, cells in ports.read_table(path, required=REQUIRED, optional=OPTIONAL):
        if cells is None or not cells[0].strip():
            desk.refuse(line, "subject", UNCLEAR_ROW, subject="")
            continue
        named = dict(zip((*REQUIRED, *OPTIONAL), (cell.strip() for cell in cells)))
        day = desk.read_day(named["date"], line, "date", subject=named["subject"])
        if day is not None:
            _keep(named, rows, line=line, day=day, desk=desk)
    _check_lesions(rows, desk=desk)
    return rows


def _keep(named: Mapping[str, str], rows: _Rows, *, line: int, day: date, desk: RowDesk) -> None:
    subject, record, place = named["subject"], named["record"].casefold(), named["place"].casefold()
    if record not in RECORDS:
        desk.refuse(line, "record", f"The record is none of {', '.join(RECORDS)}.", subject=subject)
    elif record == "review":
        rows.reviews.append((subject, day))
    elif not place:
        desk.refuse(line, "place", "A contact, lesion or swab needs a place.", subject=subject)
    elif record == "lesion":
        rows.lesions.append(
            SuspectedLesion(subject=subject, lesion=place, onset=day, actions=named["actions"], row=line)
        )
    elif record == "swab":
        result = named["result"].casefold() or SwabResult.PENDING
        if result not in set(SwabResult):
            desk.refuse(line, "result", f"The result is none of {', '.join(SwabResult)}.", subject=subject)
            return
        rows.swabs.append(Swab(subject=subject, lesion=place, taken=day, result=SwabResult(result), row=line))
    else:
        person = named["person"].casefold() or ExposedPerson.OTHER
        if person not in set(ExposedPerson):
            message = f"Who was exposed is told by role, never by name: {', '.join(ExposedPerson)}."
            desk.refuse(line, "person", message, subject=subject)
            return
        rows.contacts.append(
            Contact(
                subject=subject,
                on=day,
                person=ExposedPerson(person),
                kind=place,
                actions=named["actions"],
                row=line,
            )
        )


def _check_lesions(rows: _Rows, *, desk: RowDesk) -> None:
    onsets: dict[tuple[str, str], date] = {}
    for lesion in rows.lesions:
        key = lesion.subject, lesion.lesion
        if key in onsets:
            desk.refuse(
                lesion.row, "place", "The subject has two lesions of one name.", subject=lesion.subject
            )
        onsets[key] = lesion.onset
    for swab in rows.swabs:
        onset = onsets.get((swab.subject, swab.lesion))
        if onset is not None and swab.taken < onset:
            desk.refuse(swab.row, "date", "The swab stands before its lesion.", subject=swab.subject)


def _to_row(lesion: SuspectedLesion, log: ExposureLog, *, as_of: date) -> dict[str, str]:
    swabs = sorted(
        (swab.taken, str(swab.result))
        for swab in log.swabs
        if (swab.subject, swab.lesion) == (lesion.subject, lesion.lesion) and swab.taken <= as_of
    )
    deadline = find_swab_deadline(lesion)
    in_time = (swabs[0][0] if swabs else as_of) <= deadline
    states = {(True, True): "in time", (True, False): "late", (False, True): "due", (False, False): "overdue"}
    return {
        "subject": lesion.subject,
        "place": lesion.lesion,
        "onset": lesion.onset.isoformat(),
        "swab_due": deadline.isoformat(),
        "first_swab": swabs[0][0].isoformat() if swabs else "",
        "result": swabs[-1][1] if swabs else "",
        "state": states[bool(swabs), in_time],
    }
