"""All-day calendar entries (iCalendar, RFC 5545), with the same identifier at every export."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta

from hepatica.workflows.followup_ports import CalendarEntry

PRODUCT = "-//Hepatica//Visit calendar//EN"
DAY_ONE = date(2000, 1, 1)
"""Sequence numbers count days from here, so that a later export replaces an earlier one."""


def to_calendar(entries: Sequence[CalendarEntry], *, title: str, as_of: date) -> bytes:
    """Return entries as the bytes of a calendar file: whole days, no time zone, no person's name.

    Parameters
    ----------
    entries
        What stands on which day.
    title
        Name of the calendar.
    as_of
        Day of the export: time stamp and sequence number follow from it, so two runs give equal bytes.
    """
    from icalendar import Calendar, Event

    calendar = Calendar()
    calendar.add("prodid", PRODUCT)
    calendar.add("version", "2.0")
    calendar.add("method", "PUBLISH")
    calendar.add("x-wr-calname", title)
    for entry in entries:
        event = Event()
        event.add("uid", f"{hashlib.sha256(entry.key.encode()).hexdigest()[:32]}@hepatica")
        event.add("dtstamp", datetime.combine(as_of, time(), tzinfo=UTC))
        event.add("sequence", max(0, (as_of - DAY_ONE).days))
        event.add("dtstart", entry.day)
        event.add("dtend", entry.day + timedelta(days=1))
        event.add("summary", entry.summary)
        event.add("description", entry.description)
        event.add("status", entry.status)
        event.add("transp", "TRANSPARENT")
        event.add("class", "PRIVATE")
        calendar.add_component(event)
    return bytes(calendar.to_ical())
