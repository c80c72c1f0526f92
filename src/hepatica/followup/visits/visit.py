"""One visit of one subject as it stands on a day."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from enum import StrEnum

from hepatica.followup.dates import UNDATED, PartialDate
from hepatica.followup.visits.spans import DaySpan


class VisitState(StrEnum):
    """How a visit stands on a day."""

    PLANNED = "planned"
    """Its window has not opened."""
    DUE = "due"
    """Its window is open."""
    OVERDUE = "overdue"
    """Its window has closed and it can still be done."""
    MISSED = "missed"
    """It was not done and its turn is over."""
    DONE = "done"
    OUT_OF_WINDOW = "out of window"
    """Done, but earlier or later than the window allows."""

    @property
    def open(self) -> bool:
        """Whether it is still owed."""
        return self in (VisitState.PLANNED, VisitState.DUE, VisitState.OVERDUE)


OPEN_ORDER = (VisitState.PLANNED, VisitState.DUE, VisitState.OVERDUE, VisitState.MISSED)
"""States of a visit that nobody does, in the only order in which they can follow each other."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Visit:
    """One visit with its state and the reason for it.

    Parameters
    ----------
    name, kind
        Rule of the schedule.
    number
        Which one of its series, from 1; None for an unscheduled one.
    state, reason
        How it stands, and why, in words.
    due
        Planned day, or the days it may be; None where it cannot be told.
    opens, closes
        First and last day of the window; None where the window or the planned day is not known.
    on
        Day it was done, as collected; empty where it was not.
    booked
        Day of the appointment.
    projected
        Whether the planned day rests on an earlier visit that is itself still open.
    study_day
        Of the day it was done, else of the planned day; the first injection is day 1, there is no day 0.
    """

    name: str
    kind: str
    number: int | None
    state: VisitState
    reason: str
    due: DaySpan | None = None
    opens: date | None = None
    closes: date | None = None
    on: PartialDate = UNDATED
    booked: date | None = None
    projected: bool = False
    study_day: int | None = None

    @property
    def day(self) -> date | None:
        """Day for a calendar: done, else booked, else planned; None where none is known exactly."""
        if self.on.day is not None:
            return self.on.day
        if self.booked is not None:
            return self.booked
        return self.due.first if self.due is not None and self.due.exact else None

    def due_within(self, as_of: date, *, days: int) -> bool:
        """Whether somebody has to see to it by a day: due, overdue, or planned or booked by then."""
        if not self.state.open:
            return False
        if self.state is not VisitState.PLANNED:
            return True
        near = self.booked or (self.due.first if self.due is not None else None)
        return near is not None and (near - as_of).days <= days
