"""The clock of a serious event: from the moment the site knows of it to the report."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from hepatica.core.errors import InputError
from hepatica.core.evidence import Evidence, EvidenceTable, read_evidence_table

TABLES = "hepatica.followup.tables"
SECONDS_PER_HOUR = 3600.0


class ReportState(StrEnum):
    """How a report stands."""

    OPEN = "open"
    LATE = "late"
    """Not reported, and the time is over."""
    IN_TIME = "in time"
    REPORTED_LATE = "reported late"


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportClock:
    """How the report of one serious event stands.

    Parameters
    ----------
    due
        Last moment.
    left_h
        Hours left; below 0 once it is over. Taken at the report, or now where there is none.
    state
        Open, late, in time, or reported late.
    limit
        The time allowed, with its source.
    """

    due: datetime
    left_h: float
    state: ReportState
    limit: Evidence


def measure_report_clock(
    aware: datetime,
    *,
    now: datetime,
    reported: datetime | None = None,
    table: EvidenceTable | None = None,
) -> ReportClock:
    """Measure the reporting clock in elapsed hours, whatever the clocks on the wall do in between.

    Parameters
    ----------
    aware
        When the site became aware of the event.
    now
        The moment it is looked at.
    reported
        When it was reported; None where it was not.
    table
        Table ``safety.toml``, or a protocol's own.

    Raises
    ------
    InputError
        If a moment has no time zone, or the report stands before the awareness.

    Examples
    --------
    >>> from datetime import UTC
    >>> clock = measure_report_clock(datetime(2024, 3, 5, 12, tzinfo=UTC), now=datetime(2024, 3, 6, 6, tzinfo=UTC))
    >>> clock.left_h, str(clock.state)
    (6.0, 'open')
    """
    for moment in (aware, now, reported):
        if moment is not None and moment.utcoffset() is None:
            raise InputError(
                expected="a time with its zone, for example 2024-03-05T12:00+01:00",
                given="a time without one",
                where="serious event",
            )
    if reported is not None and reported < aware:
        raise InputError(
            expected="a report after the site became aware", given="one before", where="serious event"
        )
    limit = (table or read_evidence_table(TABLES, "safety.toml"))["serious_report_max"]
    # Sums on moments of one zone ignore changes of the clock; differences from UTC do not.
    due = (aware.astimezone(UTC) + timedelta(hours=limit.number)).astimezone(aware.tzinfo)
    at = reported or now
    left_h = (due.astimezone(UTC) - at.astimezone(UTC)).total_seconds() / SECONDS_PER_HOUR
    in_time = left_h >= 0
    if reported is not None:
        state = ReportState.IN_TIME if in_time else ReportState.REPORTED_LATE
    else:
        state = ReportState.OPEN if in_time else ReportState.LATE
    return ReportClock(due=due, left_h=left_h, state=state, limit=limit)
