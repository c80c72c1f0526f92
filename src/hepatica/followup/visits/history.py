"""What happened to one subject: visits done, missed or booked, the baseline, and what ended what."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum

from hepatica.core.errors import InputError
from hepatica.followup.dates import PartialDate


class EventStatus(StrEnum):
    """What is known of a visit."""

    DONE = "done"
    MISSED = "missed"
    """The site says that it did not and will not take place."""
    BOOKED = "booked"
    """An appointment."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VisitEvent:
    """One visit that was done, missed or booked.

    Parameters
    ----------
    visit
        Name of the rule in the schedule.
    on
        Day, perhaps known in part or not at all.
    status
        Done, missed or booked.
    number
        Which one of its series, from 1; None where it follows from the dates.
    row
        Line of the table it came from, for findings; 0 where there is none.
    """

    visit: str
    on: PartialDate
    status: EventStatus = EventStatus.DONE
    number: int | None = None
    row: int = field(default=0, compare=False)

    def __post_init__(self) -> None:
        """Refuse numbers below 1 and appointments on no particular day."""
        if self.number is not None and self.number < 1:
            raise InputError(expected="a number from 1", given=str(self.number), where=f"visit {self.visit}")
        if self.status is EventStatus.BOOKED and self.on.day is None:
            raise InputError(expected="the whole date of an appointment", given="less", where="date")

    @property
    def order(self) -> tuple[date, date, int, str]:
        """Key that puts events in one order whatever order they were given in; unknown days last."""
        first, last = self.on.earliest or date.max, self.on.latest or date.max
        return first, last, self.number or 0, str(self.status)

    def known_by(self, as_of: date) -> bool:
        """Whether it had or may have happened by a day; appointments and unknown days always count."""
        return self.status is EventStatus.BOOKED or self.on.earliest is None or self.on.earliest <= as_of


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """All that is known of one subject.

    Parameters
    ----------
    subject
        Identifier in the trial, never a name.
    events
        Visits, in any order.
    baseline
        Day of the baseline; None where not recorded.
    ended
        Day of each word of `hepatica.followup.visits.schedule.ENDS` that was recorded.
    """

    subject: str
    events: tuple[VisitEvent, ...] = ()
    baseline: PartialDate | None = None
    ended: Mapping[str, PartialDate] = field(default_factory=dict)

    def of(self, visit: str, *, as_of: date) -> tuple[VisitEvent, ...]:
        """Return the events of one kind that count on a day, in order."""
        found = (event for event in self.events if event.visit == visit and event.known_by(as_of))
        return tuple(sorted(found, key=lambda event: event.order))
