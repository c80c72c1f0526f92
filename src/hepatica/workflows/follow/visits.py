"""Who is due, and the visits of one patient, from what the record holds."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Final

from hepatica.core.findings import NotEvaluable
from hepatica.followup.dates import UNDATED, PartialDate
from hepatica.followup.visits.derive import derive_visits
from hepatica.followup.visits.history import EventStatus, History, VisitEvent
from hepatica.followup.visits.schedule import LAST_ENROLLED, Schedule
from hepatica.followup.visits.visit import Visit, VisitState
from hepatica.record.consent import Purpose, assess_consent
from hepatica.record.item import Item
from hepatica.record.people import require_right
from hepatica.workflows.follow.protocol import find_schedule, find_study, list_all, read_patient
from hepatica.workflows.record_ports import PAGE_MAX, ItemFilter, RecordContext

STATUS: Final[Mapping[str, EventStatus]] = {
    "done": EventStatus.DONE,
    "missed": EventStatus.MISSED,
    "cancelled": EventStatus.MISSED,
    "planned": EventStatus.BOOKED,
}
OVER: Final = ("withdrawn", "completed")
"""Patients of whom nobody expects a visit any more."""
NOTHING_STOPPED: Final[Mapping[Purpose, str]] = {}
ORDER: Final = (VisitState.OVERDUE, VisitState.DUE, VisitState.PLANNED)


@dataclass(frozen=True, slots=True, kw_only=True)
class PatientVisit:
    """One visit of a patient.

    Parameters
    ----------
    patient
        Item of kind ``patient``.
    visit
        As the schedule sees it.
    item
        What the record holds of it; None where nothing is entered.
    """

    patient: Item
    visit: Visit
    item: Item | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class VisitTable:
    """Visits as they stand on a day.

    Parameters
    ----------
    as_of
        The day.
    schedule
        Of the protocol version; why there is none otherwise.
    rows
        Visits.
    unplaced
        Visits of the record with a name that the schedule does not have.
    """

    as_of: date
    schedule: Schedule | NotEvaluable
    rows: tuple[PatientVisit, ...]
    unplaced: tuple[Item, ...] = ()


def list_due(context: RecordContext, *, as_of: date, within_days: int) -> VisitTable:
    """Return what somebody has to see to: overdue, due, or planned or booked within some days.

    Parameters
    ----------
    context
        Who asks; needs the rights to read patients, visits and the study.
    as_of
        The day it is looked at, a true one.
    within_days
        How far ahead.

    Returns
    -------
    table
        Overdue visits first, then by day.
    """
    schedule = find_schedule(find_study(context))
    if isinstance(schedule, NotEvaluable):
        return VisitTable(as_of=as_of, schedule=schedule, rows=())
    patients = [
        item for item in list_all(context, ItemFilter(kind="patient")) if item.values["status"] not in OVER
    ]
    visits = _read_visits(context)
    stops = _read_stops(context)
    trial_dates = _find_trial_dates(patients)
    today = context.now_utc().date()
    rows = []
    for patient in patients:
        stopped = stops.get(patient.item_id, {})
        history = to_history(patient, visits[patient.item_id], schedule=schedule, stopped=stopped)
        own = as_of + (context.patient_now(patient.item_id).date() - today)
        for visit in derive_visits(schedule, history, as_of=own, trial_dates=trial_dates):
            if visit.due_within(own, days=within_days):
                found = _find_item(visit, visits[patient.item_id])
                rows.append(PatientVisit(patient=patient, visit=visit, item=found))
    rows.sort(key=lambda row: (ORDER.index(row.visit.state), _to_day(row.visit), row.patient.item_id))
    return VisitTable(as_of=as_of, schedule=schedule, rows=tuple(rows))


def list_patient_visits(context: RecordContext, *, patient_id: str, as_of: date) -> VisitTable:
    """Return every visit of a patient.

    Parameters
    ----------
    context
        Who asks.
    patient_id
        Whose.
    as_of
        The day it is looked at, in the calendar of the patient's dates.
    """
    patient = read_patient(context, patient_id)
    schedule = find_schedule(find_study(context))
    items = tuple(list_all(context, ItemFilter(kind="visit", patient_id=patient_id)))
    if isinstance(schedule, NotEvaluable):
        return VisitTable(as_of=as_of, schedule=schedule, rows=(), unplaced=items)
    stopped = _read_stops(context, patient_id=patient_id).get(patient_id, {})
    history = to_history(patient, items, schedule=schedule, stopped=stopped)
    rows = tuple(
        PatientVisit(patient=patient, visit=visit, item=_find_item(visit, items))
        for visit in derive_visits(schedule, history, as_of=as_of, trial_dates=_find_trial_dates([patient]))
    )
    names = {rule.name for rule in schedule.rules}
    unplaced = tuple(item for item in items if item.values["name"] not in names)
    return VisitTable(as_of=as_of, schedule=schedule, rows=rows, unplaced=unplaced)


def to_history(
    patient: Item,
    visits: Iterable[Item],
    *,
    schedule: Schedule,
    stopped: Mapping[Purpose, str] = NOTHING_STOPPED,
) -> History:
    """Return what the record knows of a patient's visits, and what ended what.

    Parameters
    ----------
    patient, visits
        Items of the patient.
    schedule
        Names the visits that it knows; others are left out.
    stopped
        What the patient withdrew from, each with the day.
    """
    names = {rule.name for rule in schedule.rules}
    values = patient.values
    ended = {
        word: PartialDate.from_text(str(values[field]))
        for word, field in (
            ("end of treatment", "treatment_end_date"),
            ("lost to follow-up", "lost_date"),
            ("death", "death_date"),
        )
        if values.get(field)
    }
    for purpose, word in ((Purpose.FOLLOW_UP, "withdrawal"), (Purpose.TREATMENT, "end of treatment")):
        if purpose in stopped:
            ended.setdefault(word, PartialDate.from_text(stopped[purpose]))
    return History(
        subject=patient.item_id,
        events=tuple(
            event for item in visits if (event := _to_event(item)) is not None and event.visit in names
        ),
        ended=ended,
    )


def _read_visits(context: RecordContext) -> dict[str, list[Item]]:
    """Return the visits of all patients of the person's sites, in one view and without counting them.

    Only for who may read the study, and so is no blinded reader: nothing has to be hidden.
    """
    actor = context.actor
    require_right(actor, "visit.read")
    require_right(actor, "study.read")
    sites = None if actor.is_system else actor.site_ids
    found: dict[str, list[Item]] = defaultdict(list)
    after = ""
    with context.store.reading() as reader:
        while True:
            page = reader.list_items(ItemFilter(kind="visit", site_ids=sites, after=after, limit=PAGE_MAX))
            for item in page.items:
                found[item.patient_id].append(item)
            after = page.next
            if not after:
                return found


def _read_stops(context: RecordContext, *, patient_id: str = "") -> dict[str, Mapping[Purpose, str]]:
    """Return what patients withdrew from; the days alone, which whoever sees visits may know."""
    consents: dict[str, list[Item]] = defaultdict(list)
    after = ""
    with context.store.reading() as reader:
        while True:
            page = reader.list_items(
                ItemFilter(kind="consent", patient_id=patient_id, after=after, limit=PAGE_MAX)
            )
            for item in page.items:
                consents[item.patient_id].append(item)
            after = page.next
            if not after:
                break
    return {
        name: assess_consent(items).stopped
        for name, items in consents.items()
        if any(item.values.get("withdrawn_date") for item in items)
    }


def _to_event(item: Item) -> VisitEvent | None:
    on, status = str(item.values.get("date", "")), STATUS[str(item.values["status"])]
    day = PartialDate.from_text(on) if on else UNDATED
    if status is EventStatus.BOOKED and day.day is None:
        return None
    number = item.values.get("visit_number")
    return VisitEvent(
        visit=str(item.values["name"]),
        on=day,
        status=status,
        number=number if isinstance(number, int) else None,
    )


def _find_item(visit: Visit, items: Iterable[Item]) -> Item | None:
    return next(
        (
            item
            for item in items
            if item.values["name"] == visit.name and item.values["visit_number"] == visit.number
        ),
        None,
    )


def _find_trial_dates(patients: Iterable[Item]) -> dict[str, date]:
    first = [date.fromisoformat(str(day)) for item in patients if (day := item.values.get("reference_date"))]
    return {LAST_ENROLLED: max(first)} if first else {}


def _to_day(visit: Visit) -> date:
    return visit.booked or visit.closes or (visit.due.first if visit.due is not None else date.max)
