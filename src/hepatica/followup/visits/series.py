"""The places of one series of visits: planned days, and which recorded visit belongs to which place."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Final

from hepatica.followup.visits.history import EventStatus, VisitEvent
from hepatica.followup.visits.judge import Slot
from hepatica.followup.visits.schedule import VisitRule
from hepatica.followup.visits.spans import DaySpan, Step

LONGEST_SERIES: Final = 1000
"""Places of one series; a dated typing error must not make millions."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SeriesDays:
    """What a series needs to know of the rest.

    Parameters
    ----------
    as_of
        Day on which it is looked at.
    anchor, why
        Day or days it is counted from, and what that is; None with the reason why it is not known.
    until
        Last day; None where open.
    """

    as_of: date
    anchor: DaySpan | None
    why: str
    until: date | None = None


def lay_rolling(rule: VisitRule, events: Sequence[VisitEvent], *, days: SeriesDays) -> tuple[Slot, ...]:
    """Lay out injections of which each is counted from the one before.

    Parameters
    ----------
    rule
        Rule with anchor ``previous injection``.
    events
        Recorded injections that count on the day, in order.
    days
        The anchor is the planned day of the first one.

    Returns
    -------
    slots
        Those recorded and those to come: as many as the rule allows, or one more where it is open.
    """
    placed, booked = place_in_order(events)
    last = max(placed, default=0)
    count = last + 1 if rule.most is None or rule.most.value is None else max(last, int(rule.most.number))
    slots: list[Slot] = []
    due, why, projected = days.anchor, days.why, False
    for number in range(1, min(count, LONGEST_SERIES) + 1):
        event = placed.get(number)
        overtaken = "a later one of its series is recorded" if event is None and number < last else ""
        slot = Slot(
            rule=rule,
            number=number,
            due=due,
            why=why,
            projected=projected and event is None,
            event=event,
            overtaken=overtaken,
        )
        slots.append(slot)
        due, why, projected = _step_on(slot, days=days)
    return _book(slots, booked)


def _step_on(slot: Slot, *, days: SeriesDays) -> tuple[DaySpan | None, str, bool]:
    """Return planned day, its reason and whether it is projected, for the place behind this one."""
    step = find_interval(slot.rule, slot.number + 1)
    name = f"{slot.rule.name} {slot.number}"
    if step is None:
        return None, "the schedule has no interval for it", False
    event = slot.event
    if event is not None and event.status is EventStatus.DONE:
        on = DaySpan.from_partial(event.on)
        if on is None:
            return None, f"the day of {name} is not known", False
        known = "" if on.exact else f", known only as {event.on.text}"
        return on.shifted(step), f"{step} after {name}{known}", False
    if slot.due is None:
        return None, f"waits for {name}", True
    if event is not None or slot.overtaken:
        return slot.due.shifted(step), f"{step} after the planned day of {name}, which was missed", False
    return (
        slot.due.not_before(days.as_of).shifted(step),
        f"not before {step} after {name}, which is still open",
        True,
    )


def find_interval(rule: VisitRule, number: int) -> Step | None:
    """Return the step from the injection before to this one; None where the rule has none."""
    if number - 2 < len(rule.intervals):
        return Step.from_evidence(rule.intervals[number - 2])
    return None if rule.every is None else Step.from_evidence(rule.every)


def lay_fixed(
    rule: VisitRule, events: Sequence[VisitEvent], *, days: SeriesDays
) -> tuple[tuple[Slot, ...], tuple[VisitEvent, ...]]:
    """Lay out visits counted from one day, whatever happens in between.

    A recorded visit without a number belongs to the planned day nearest to it (the earlier of two); the anchor itself
    counts as one, so that an unscheduled visit soon after it is not taken for the first. Of several at one place the
    nearest counts.

    Parameters
    ----------
    rule
        Rule with any other anchor.
    events
        Recorded visits that count on the day, in order.
    days
        Anchor, last day and the day it is looked at.

    Returns
    -------
    slots, unscheduled
        Places in order, and the visits that belong to none.
    """
    dues = _list_days(rule, events, days=days)
    numbered = {
        event.number: event for event in events if event.number and event.status is not EventStatus.BOOKED
    }
    count = max([len(dues), *(number for number in numbered if number)], default=0)
    if days.anchor is None or not dues:
        count = max(count, 1)
    unnumbered = [event for event in events if not event.number and event.status is not EventStatus.BOOKED]
    taken, unscheduled = _place_nearest(unnumbered, dues, days=days, used=set(numbered))
    if not dues and unnumbered and rule.once and 1 not in numbered:
        taken, unscheduled = {1: unnumbered[0]}, unnumbered[1:]
    placed = {**taken, **{number: event for number, event in numbered.items() if number}}
    slots = [
        Slot(
            rule=rule,
            number=number,
            due=dues[number - 1] if number <= len(dues) else None,
            why=_describe_place(rule, number, days) if number <= len(dues) else days.why,
            event=placed.get(number),
        )
        for number in range(1, min(count, LONGEST_SERIES) + 1)
    ]
    bookings = [event for event in events if event.status is EventStatus.BOOKED]
    return _book(_overtake(slots, as_of=days.as_of), _place_bookings(bookings, slots)), tuple(unscheduled)


def _describe_place(rule: VisitRule, number: int, days: SeriesDays) -> str:
    return f"{_find_offset(rule, number)} after {days.why}"


def _find_offset(rule: VisitRule, number: int) -> Step:
    """Return the step from the anchor to a place."""
    if number <= len(rule.at):
        return Step.from_evidence(rule.at[number - 1])
    assert rule.every is not None
    every = Step.from_evidence(rule.every)
    more = every.times(number - len(rule.at))
    if not rule.at:
        return more
    base = Step.from_evidence(rule.at[-1])
    if base.unit == more.unit:
        return Step(count=base.count + more.count, unit=base.unit)
    # Two units cannot be one step; weeks after days are days.
    days = {"days": 1, "weeks": 7}
    return Step(count=base.count * days[base.unit] + more.count * days[more.unit], unit="days")


def _list_days(rule: VisitRule, events: Sequence[VisitEvent], *, days: SeriesDays) -> list[DaySpan]:
    if days.anchor is None:
        return []
    most = None if rule.most is None or rule.most.value is None else int(rule.most.number)
    known = [event.on.latest for event in events if event.on.latest is not None]
    # One place beyond everything that is known, unless an end says how many there are.
    horizon = max([days.as_of, *known])
    found: list[DaySpan] = []
    while len(found) < (LONGEST_SERIES if most is None else most):
        number = len(found) + 1
        if number > len(rule.at) and rule.every is None:
            break
        due = days.anchor.shifted(_find_offset(rule, number))
        if days.until is not None and due.first > days.until:
            break
        found.append(due)
        if days.until is None and most is None and due.first > horizon and number >= len(rule.at):
            break
    return found


def _place_nearest(
    events: Sequence[VisitEvent], dues: Sequence[DaySpan], *, days: SeriesDays, used: set[int | None]
) -> tuple[dict[int, VisitEvent], list[VisitEvent]]:
    if days.anchor is None or not dues:
        return {}, list(events)
    places = {0: days.anchor, **{number: due for number, due in enumerate(dues, 1) if number not in used}}
    best: dict[int, tuple[int, VisitEvent]] = {}
    rest: list[VisitEvent] = []
    for event in events:
        first = event.on.earliest
        if first is None:
            rest.append(event)
            continue
        distance, number = min((abs((first - due.first).days), number) for number, due in places.items())
        holder = best.get(number)
        if number == 0 or (holder is not None and holder[0] <= distance):
            rest.append(event)
            continue
        if holder is not None:
            rest.append(holder[1])
        best[number] = distance, event
    return {number: event for number, (_, event) in best.items()}, sorted(rest, key=lambda event: event.order)


def _overtake(slots: Sequence[Slot], *, as_of: date) -> list[Slot]:
    """Mark places whose turn is over: a later one is recorded, or the next window has opened."""
    found = []
    last_recorded = max((slot.number for slot in slots if slot.event is not None), default=0)
    for slot, following in zip(slots, [*slots[1:], None]):
        reason = ""
        if slot.event is None and slot.number < last_recorded:
            reason = "a later one of its series is recorded"
        elif slot.event is None and following is not None and following.due is not None:
            opens = following.opens or following.due.first
            closed = slot.closes is None or as_of > slot.closes
            if as_of >= opens and closed:
                reason = f"not recorded, and the turn of {slot.rule.name} {following.number} has begun"
        found.append(replace(slot, overtaken=reason) if reason else slot)
    return found


def place_in_order(events: Sequence[VisitEvent]) -> tuple[dict[int, VisitEvent], dict[int, date]]:
    """Return recorded visits and appointments by number: numbers as given, the others in the order of their days."""
    recorded = [event for event in events if event.status is not EventStatus.BOOKED]
    placed = {event.number: event for event in recorded if event.number is not None}
    number = 0
    for event in recorded:
        if event.number is None:
            number += 1
            while number in placed:
                number += 1
            placed[number] = event
    booked: dict[int, date] = {}
    number = max(placed, default=0)
    for event in events:
        if event.status is EventStatus.BOOKED and event.on.day is not None:
            if event.number is None:
                number += 1
            booked.setdefault(event.number or number, event.on.day)
    return placed, booked


def _place_bookings(events: Sequence[VisitEvent], slots: Sequence[Slot]) -> dict[int, date]:
    booked: dict[int, date] = {}
    for event in events:
        day = event.on.day
        assert day is not None
        number = event.number
        if number is None:
            free = [slot for slot in slots if slot.event is None and slot.number not in booked]
            if not free:
                continue
            number = min(
                free, key=lambda slot: (abs((day - slot.due.first).days) if slot.due else 0, slot.number)
            ).number
        booked.setdefault(number, day)
    return booked


def _book(slots: Sequence[Slot], booked: Mapping[int, date]) -> tuple[Slot, ...]:
    return tuple(
        replace(slot, booked=booked[slot.number]) if slot.event is None and slot.number in booked else slot
        for slot in slots
    )
