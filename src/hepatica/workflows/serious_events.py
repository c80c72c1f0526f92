"""Serious adverse events and their reporting clock."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime

from hepatica.core.errors import ConflictError, RecordInputError
from hepatica.core.findings import NotEvaluable
from hepatica.core.iso_dates import is_moment
from hepatica.followup.safety.serious import ReportClock, measure_report_clock
from hepatica.record.item import Item
from hepatica.workflows.change_item import change_item, require_item
from hepatica.workflows.read_items import list_items
from hepatica.workflows.record_ports import PAGE_MAX, ItemFilter, RecordContext, RecordWriter

CLOCK_SKEW_S = 300.0
"""A report noted on a device whose clock is ahead by up to five minutes is not one from the future."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SeriousEvent:
    """A serious adverse event.

    Parameters
    ----------
    item
        The event.
    clock
        How its report stands; NotEvaluable where nobody recorded when the site became aware.
    """

    item: Item
    clock: ReportClock | NotEvaluable


def list_serious_events(context: RecordContext, *, patient_id: str = "") -> tuple[SeriousEvent, ...]:
    """Return every serious event that the person may see; those whose time runs out first stand first.

    Parameters
    ----------
    context
        Who asks; needs the right ``adverse_event.read``.
    patient_id
        Only of this patient; empty for all.
    """
    found = [
        SeriousEvent(item=item, clock=measure_clock(item, now=context.patient_now(item.patient_id)))
        for item in _list(context, patient_id)
    ]

    def urgency(event: SeriousEvent) -> tuple[int, float, str]:
        if isinstance(event.clock, NotEvaluable):
            return 0, 0.0, event.item.item_id
        reported = event.item.values.get("reported_time") is not None
        return (2 if reported else 1), event.clock.left_h, event.item.item_id

    return tuple(sorted(found, key=urgency))


def measure_clock(item: Item, *, now: datetime) -> ReportClock | NotEvaluable:
    """Return how the report of a serious event stands.

    Parameters
    ----------
    item
        Adverse event.
    now
        The moment it is looked at.
    """
    aware, reported = _to_time(item, "became_aware_time"), _to_time(item, "reported_time")
    if aware is None:
        return NotEvaluable(reason="nobody recorded when the site became aware of the event")
    if reported is not None and reported < aware:
        return NotEvaluable(reason="the report stands before the site became aware")
    return measure_report_clock(aware, now=now, reported=reported)


def report_event(
    context: RecordContext,
    writer: RecordWriter,
    *,
    event_id: str,
    expected_version: int,
    reported_time: str,
) -> Item:
    """Record that a serious event was reported to the sponsor.

    Parameters
    ----------
    context, writer
        Who records it, and the change in the making.
    event_id, expected_version
        The event as it was seen.
    reported_time
        When, ISO 8601 with time zone.

    Raises
    ------
    RecordInputError
        If the event is not serious, nobody recorded when the site became aware, or the time cannot be.
    ConflictError
        If it was reported before.
    """
    event = require_item(writer, kind="adverse_event", item_id=event_id)
    if event.values.get("serious") is not True:
        raise RecordInputError(expected="a serious event", given="another", where="adverse event")
    if event.values.get("reported_time") is not None:
        raise ConflictError(expected="one report", given="a second", where="adverse event")
    aware = _to_time(event, "became_aware_time")
    reported_time = context.to_record_date(reported_time, patient_id=event.patient_id, where="reported_time")
    try:
        reported = datetime.fromisoformat(reported_time)
    except ValueError:
        reported = None
    if reported is None or reported.utcoffset() is None:
        raise RecordInputError(
            expected="a time with its zone, for example 2026-03-05T12:00+01:00",
            given="another text",
            where="reported_time",
        )
    if aware is None or reported < aware:
        raise RecordInputError(
            expected="a report after the site became aware",
            given="one before, or no time of awareness",
            where="reported_time",
        )
    if (reported - context.patient_now(event.patient_id)).total_seconds() > CLOCK_SKEW_S:
        raise RecordInputError(
            expected="a report that has been made", given="one in the future", where="reported_time"
        )
    return change_item(
        context.deriving(),
        writer,
        kind="adverse_event",
        item_id=event_id,
        values={"reported_time": reported_time},
        expected_version=expected_version,
        reason="reported to the sponsor",
    )


def _to_time(item: Item, field: str) -> datetime | None:
    text = item.values.get(field)
    return datetime.fromisoformat(text) if isinstance(text, str) and is_moment(text) else None


def _list(context: RecordContext, patient_id: str) -> Iterator[Item]:
    wanted = ItemFilter(kind="adverse_event", patient_id=patient_id, where={"serious": True}, limit=PAGE_MAX)
    while True:
        page, _ = list_items(context, wanted)
        yield from page.items
        if not page.next:
            return
        wanted = replace(wanted, after=page.next)
