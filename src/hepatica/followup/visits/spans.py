"""Calendar days that may be uncertain, and steps between them: days, weeks and months, never hours.

Nothing here knows a time of day, so no change of the clocks can move a visit.
"""

from __future__ import annotations

from calendar import monthrange
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final

from hepatica.core.errors import InputError
from hepatica.core.evidence import Evidence
from hepatica.followup.dates import PartialDate

STEP_UNITS: Final = ("days", "weeks", "months")
MOST_STEPS: Final = 100_000
"""Longest step; no calendar day lies so far from a trial, and the calendar ends in the year 9999."""
DAYS_PER_WEEK: Final = 7
MONTHS_PER_YEAR: Final = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """A whole number of days, weeks or months.

    Parameters
    ----------
    count
        How many, 0 or more.
    unit
        One of `STEP_UNITS`.

    Examples
    --------
    >>> Step(count=1, unit="months").after(date(2024, 1, 31)).isoformat()
    '2024-02-29'
    >>> Step(count=12, unit="weeks").after(date(2024, 3, 1)).isoformat()
    '2024-05-24'
    """

    count: int
    unit: str

    def __post_init__(self) -> None:
        """Refuse unknown units and steps back."""
        if self.unit not in STEP_UNITS or not 0 <= self.count <= MOST_STEPS:
            raise InputError(
                expected=f"0 to {MOST_STEPS} {', '.join(STEP_UNITS)}",
                given=f"{self.count:g} {self.unit}",
                where="step",
            )

    def __str__(self) -> str:
        """Return the step in words."""
        return f"{self.count} {self.unit if self.count != 1 else self.unit[:-1]}"

    def after(self, day: date) -> date:
        """Return the day this step later. The last day of a shorter month stands in for days it lacks."""
        if self.unit == "months":
            months = day.year * MONTHS_PER_YEAR + day.month - 1 + self.count
            year, month = divmod(months, MONTHS_PER_YEAR)
            return date(year, month + 1, min(day.day, monthrange(year, month + 1)[1]))
        return day + timedelta(days=self.count * (DAYS_PER_WEEK if self.unit == "weeks" else 1))

    def before(self, day: date) -> date:
        """Return the day this step earlier; months are for intervals, not for windows.

        Raises
        ------
        InputError
            For a step in months: the way back is not unique.
        """
        if self.unit == "months":
            raise InputError(expected="a step in days or weeks", given=str(self), where="window")
        return day - timedelta(days=self.count * (DAYS_PER_WEEK if self.unit == "weeks" else 1))

    def times(self, count: int) -> Step:
        """Return the step repeated."""
        return Step(count=self.count * count, unit=self.unit)

    @classmethod
    def from_evidence(cls, evidence: Evidence) -> Step:
        """Return the step a piece of evidence gives.

        Raises
        ------
        NotSetError
            If nobody has supplied it.
        InputError
            If it is not a whole number of days, weeks or months.
        """
        number = evidence.number
        if number != int(number):
            raise InputError(expected="a whole number", given=f"{number:g}", where=f"[{evidence.key}]")
        return cls(count=int(number), unit=evidence.unit)


@dataclass(frozen=True, slots=True, kw_only=True)
class DaySpan:
    """The days a date may stand for: one day where it is known, a month or a year where it is not.

    Parameters
    ----------
    first, last
        Earliest and latest day, both included.
    """

    first: date
    last: date

    @property
    def exact(self) -> bool:
        """Whether it is one day."""
        return self.first == self.last

    def __str__(self) -> str:
        """Return one date, or two with 'to' between them."""
        return (
            self.first.isoformat() if self.exact else f"{self.first.isoformat()} to {self.last.isoformat()}"
        )

    def shifted(self, step: Step) -> DaySpan:
        """Return the span a step later."""
        return DaySpan(first=step.after(self.first), last=step.after(self.last))

    def not_before(self, day: date) -> DaySpan:
        """Return the span with no day before the given one."""
        return DaySpan(first=max(self.first, day), last=max(self.last, day))

    @classmethod
    def of(cls, day: date) -> DaySpan:
        """Return the span of one day."""
        return cls(first=day, last=day)

    @classmethod
    def from_partial(cls, given: PartialDate) -> DaySpan | None:
        """Return the span of a date as collected; None where it is absent."""
        if given.earliest is None or given.latest is None:
            return None
        return cls(first=given.earliest, last=given.latest)
