"""All visits of one subject as they stand on a day: a pure function of schedule, history and that day."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date
from typing import Final

from hepatica.core.evidence import EvidenceStatus
from hepatica.followup.dates import derive_study_day
from hepatica.followup.visits import schedule as words
from hepatica.followup.visits.history import EventStatus, History, VisitEvent
from hepatica.followup.visits.judge import Slot, judge_visit
from hepatica.followup.visits.schedule import Schedule, VisitRule
from hepatica.followup.visits.series import SeriesDays, lay_fixed, lay_rolling, place_in_order
from hepatica.followup.visits.spans import DaySpan, Step
from hepatica.followup.visits.visit import Visit, VisitState

NO_DATES: Final[Mapping[str, date]] = {}
UNSCHEDULED: Final = "unscheduled: no planned day is nearer to it than to another visit"


def derive_visits(
    schedule: Schedule, history: History, *, as_of: date, trial_dates: Mapping[str, date] = NO_DATES
) -> tuple[Visit, ...]:
    """Derive every visit of one subject.

    Parameters
    ----------
    schedule
        Protocol data.
    history
        What is recorded; what lies after ``as_of`` does not count, except appointments.
    as_of
        The day it is looked at.
    trial_dates
        Day by ``last enrolled``, for schedules that end with the trial.

    Returns
    -------
    visits
        By day. Visits that nobody owes any more (after a death, a withdrawal, the end of the study) are left out.

    Raises
    ------
    NotSetError
        If an interval of the schedule is not set.

    Examples
    --------
    >>> from hepatica.followup.dates import PartialDate
    >>> from hepatica.followup.visits.schedule_file import read_schedule
    >>> first = VisitEvent(visit="injection", on=PartialDate.from_text("2024-01-08"))
    >>> found = derive_visits(read_schedule("tvec-label"), History(subject="S01", events=(first,)),
    ...                       as_of=date(2024, 1, 27))
    >>> [(visit.number, str(visit.state), str(visit.due)) for visit in found][1]
    (2, 'due', '2024-01-29')
    """
    schedule.require_timing()
    laid = _Layout.of(schedule, history, as_of=as_of, trial_dates=trial_dates)
    reference = laid.first_day
    ordered = {rule.name: index for index, rule in enumerate(schedule.rules)}
    visits: list[Visit] = []
    for rule in schedule.rules:
        end = _find_end(history, rule, as_of=as_of)
        for slot in laid.slots[rule.name]:
            visit = _to_visit(slot, as_of=as_of, end=end, reference=reference)
            if visit is not None:
                visits.append(visit)
        visits += [_to_unscheduled(rule, event, reference=reference) for event in laid.unscheduled[rule.name]]
    return tuple(sorted(visits, key=lambda visit: (_sort_day(visit), ordered[visit.name], visit.number or 0)))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Layout:
    """Places of every series, those first on which others depend."""

    slots: Mapping[str, tuple[Slot, ...]]
    unscheduled: Mapping[str, tuple[VisitEvent, ...]]
    first_day: date | None

    @classmethod
    def of(
        cls, schedule: Schedule, history: History, *, as_of: date, trial_dates: Mapping[str, date]
    ) -> _Layout:
        slots: dict[str, tuple[Slot, ...]] = {}
        unscheduled: dict[str, tuple[VisitEvent, ...]] = {}
        injections = _lay_injections(schedule.injection, history, as_of=as_of)
        slots[schedule.injection.name], unscheduled[schedule.injection.name] = injections
        first = slots[schedule.injection.name][0] if slots[schedule.injection.name] else None
        waiting = [rule for rule in schedule.rules if rule is not schedule.injection]
        while waiting:
            rule = next(rule for rule in waiting if rule.anchor in (*words.DAY_ANCHORS, *slots))
            waiting.remove(rule)
            anchor, why = _find_anchor(rule, schedule, history, slots=slots, as_of=as_of)
            until = _find_until(rule, anchor, history, first=first, trial_dates=trial_dates)
            days = SeriesDays(as_of=as_of, anchor=anchor, why=why, until=until)
            slots[rule.name], unscheduled[rule.name] = lay_fixed(
                rule, history.of(rule.name, as_of=as_of), days=days
            )
        on = None if first is None else _find_done(first)
        return cls(
            slots=slots,
            unscheduled=unscheduled,
            first_day=on.first if on is not None and on.exact else None,
        )


def _lay_injections(
    rule: VisitRule, history: History, *, as_of: date
) -> tuple[tuple[Slot, ...], tuple[VisitEvent, ...]]:
    events = history.of(rule.name, as_of=as_of)
    start, why = _find_start(rule, history)
    if rule.rolling:
        return lay_rolling(rule, events, days=SeriesDays(as_of=as_of, anchor=start, why=why)), ()
    placed, booked = place_in_order(events)
    slot = Slot(rule=rule, number=1, due=start, why=why, event=placed.get(1), booked=booked.get(1))
    # Later ones are counted from the first, so they are laid like any other series and numbered from 2.
    later = [
        replace(event, number=None if event.number is None else event.number - 1)
        for event in events
        if event is not placed.get(1) and event.number != 1
    ]
    anchor = _find_done(slot) or start
    most = (
        rule.most
        if rule.most is None or rule.most.value is None
        else replace(rule.most, value=int(rule.most.number) - 1)
    )
    days = SeriesDays(
        as_of=as_of, anchor=anchor, why="the first injection" if anchor else "waits for the first"
    )
    found, unscheduled = lay_fixed(replace(rule, most=most), later, days=days)
    return (slot, *(replace(item, rule=rule, number=item.number + 1) for item in found)), unscheduled


def _find_start(rule: VisitRule, history: History) -> tuple[DaySpan | None, str]:
    if rule.first_after_baseline is None:
        return None, "the schedule gives no day for the first one"
    if history.baseline is None:
        return None, "waits for the baseline"
    span = DaySpan.from_partial(history.baseline)
    step = Step.from_evidence(rule.first_after_baseline)
    if span is None:
        return None, "the day of the baseline is not known"
    return span.shifted(step), f"{step} after the baseline"


def _find_anchor(
    rule: VisitRule,
    schedule: Schedule,
    history: History,
    *,
    slots: Mapping[str, tuple[Slot, ...]],
    as_of: date,
) -> tuple[DaySpan | None, str]:
    injections = slots[schedule.injection.name]
    if rule.anchor == words.BASELINE:
        if history.baseline is None:
            return None, "waits for the baseline"
        span = DaySpan.from_partial(history.baseline)
        return span, "the baseline" if span else "the day of the baseline is not known"
    if rule.anchor == words.FIRST:
        return _find_day(injections[0], "the first injection")
    if rule.anchor == words.LAST:
        return _find_last(rule, schedule, history, injections=injections, as_of=as_of)
    return _find_day(slots[rule.anchor][0], f"the {rule.anchor} visit")


def _find_day(slot: Slot, name: str) -> tuple[DaySpan | None, str]:
    if slot.event is not None and slot.event.status is EventStatus.DONE:
        span = _find_done(slot)
        return span, name if span else f"the day of {name} is not known"
    if slot.due is None:
        return None, f"waits for {name}"
    return slot.due, f"the planned day of {name}"


def _find_last(
    rule: VisitRule, schedule: Schedule, history: History, *, injections: tuple[Slot, ...], as_of: date
) -> tuple[DaySpan | None, str]:
    done = [slot for slot in injections if slot.event is not None and slot.event.status is EventStatus.DONE]
    if not done:
        return None, "waits for the last injection"
    most = schedule.injection.most
    full = (
        most is not None
        and most.value is not None
        and sum(slot.event is not None for slot in injections) >= int(most.number)
    )
    span = _find_done(done[-1])
    if span is None:
        return None, "the day of the last injection is not known"
    if full or _find_end(history, schedule.injection, as_of=as_of) is not None:
        return span, "the last injection"
    step = Step.from_evidence(rule.at[0]) if rule.at else Step.from_evidence(rule.every or rule.at[0])
    if_last = span.shifted(step)
    return None, f"waits for the last injection; if that of {span} was the last, planned {if_last}"


def _find_done(slot: Slot) -> DaySpan | None:
    if slot.event is None or slot.event.status is not EventStatus.DONE:
        return None
    return DaySpan.from_partial(slot.event.on)


def _find_until(
    rule: VisitRule,
    anchor: DaySpan | None,
    history: History,
    *,
    first: Slot | None,
    trial_dates: Mapping[str, date],
) -> date | None:
    if rule.until is None or rule.until.status is EvidenceStatus.NOT_SET:
        return None
    step = Step.from_evidence(rule.until)
    if rule.until_anchor == words.LAST_ENROLLED:
        day = trial_dates.get(words.LAST_ENROLLED)
        return None if day is None else step.after(day)
    spans = {
        "": anchor,
        words.BASELINE: None if history.baseline is None else DaySpan.from_partial(history.baseline),
        words.FIRST: None if first is None else (_find_done(first) or first.due),
    }
    span = spans[rule.until_anchor]
    return None if span is None else step.after(span.last)


def _find_end(history: History, rule: VisitRule, *, as_of: date) -> tuple[date, str] | None:
    """Return the first day that ends a series, with its word; the beginning of time where that day is not known."""
    found = [
        (given.earliest or date.min, word)
        for word, given in history.ended.items()
        if word in (*words.END_OF_ALL, *rule.ends) and (given.earliest is None or given.earliest <= as_of)
    ]
    return min(found, default=None)


def _to_visit(
    slot: Slot, *, as_of: date, end: tuple[date, str] | None, reference: date | None
) -> Visit | None:
    state, reason = judge_visit(slot, as_of=as_of)
    if end is not None and slot.event is None:
        last = slot.closes or (None if slot.due is None else slot.due.last)
        if last is None or last >= end[0]:
            return None
        if state is not VisitState.MISSED:
            state, reason = VisitState.MISSED, f"its time had passed before the {end[1]}"
    if slot.booked is not None and slot.opens is not None and slot.closes is not None:
        inside = slot.opens <= slot.booked <= slot.closes
        reason = f"{reason}; booked {'in' if inside else 'outside'} the window"
    on = slot.event.on if slot.event is not None and slot.event.status is EventStatus.DONE else None
    visit = Visit(
        name=slot.rule.name,
        kind=slot.rule.kind,
        number=slot.number,
        state=state,
        reason=reason,
        due=slot.due,
        opens=slot.opens,
        closes=slot.closes,
        booked=slot.booked,
        projected=slot.projected and state.open,
    )
    visit = visit if on is None else replace(visit, on=on)
    return _count(visit, reference)


def _to_unscheduled(rule: VisitRule, event: VisitEvent, *, reference: date | None) -> Visit:
    state = VisitState.MISSED if event.status is EventStatus.MISSED else VisitState.DONE
    visit = Visit(name=rule.name, kind=rule.kind, number=None, state=state, reason=UNSCHEDULED, on=event.on)
    return _count(visit, reference)


def _count(visit: Visit, reference: date | None) -> Visit:
    day = visit.on.day or (visit.due.first if visit.due is not None and visit.due.exact else None)
    if day is None or reference is None:
        return visit
    return replace(visit, study_day=derive_study_day(day, reference=reference))


def _sort_day(visit: Visit) -> date:
    return visit.on.earliest or visit.booked or (visit.due.first if visit.due is not None else date.max)
