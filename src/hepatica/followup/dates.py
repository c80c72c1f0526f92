"""Dates as collected: whole, partial or absent."""

from __future__ import annotations

import re
from calendar import monthrange
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from typing import Final

from hepatica.core.errors import InputError

_SHAPE: Final = re.compile(r"(\d{4})(?:-(\d{2})(?:-(\d{2})(?:T[0-9:.,+\-Z]*)?)?)?")


@dataclass(frozen=True, slots=True, kw_only=True)
class PartialDate:
    """A date kept as given, with the span of days it may stand for. Never imputed.

    Parameters
    ----------
    text
        As given: ``2024-03-05``, ``2024-03``, ``2024``, with or without a time, or empty.
    earliest, latest
        First and last day it may mean; None where the text is empty.

    Examples
    --------
    >>> march = PartialDate.from_text("2024-03")
    >>> march.earliest.isoformat(), march.latest.isoformat(), march.day
    ('2024-03-01', '2024-03-31', None)
    """

    text: str
    earliest: date | None = None
    latest: date | None = None

    @property
    def day(self) -> date | None:
        """The day, where it is known exactly."""
        return self.earliest if self.earliest == self.latest else None

    def surely_before(self, other: PartialDate) -> bool:
        """Whether every day this may mean lies before every day the other may mean."""
        return self.latest is not None and other.earliest is not None and self.latest < other.earliest

    def surely_not_before(self, other: PartialDate) -> bool:
        """Whether every day this may mean lies on or after every day the other may mean."""
        return self.earliest is not None and other.latest is not None and self.earliest >= other.latest

    @classmethod
    def from_text(cls, text: str) -> PartialDate:
        """Read an ISO 8601 date of any precision.

        Raises
        ------
        InputError
            If the text is not one; the message does not repeat it.
        """
        return _read(text.strip())


UNDATED: Final = PartialDate(text="")


@lru_cache(maxsize=65536)
def _read(text: str) -> PartialDate:
    if not text:
        return UNDATED
    match = _SHAPE.fullmatch(text)
    try:
        if match is None:
            raise ValueError
        year, month, day = (int(part) if part else 0 for part in match.groups())
        first = date(year, month or 1, day or 1)
        last_month = month or 12
        last = date(year, last_month, day or monthrange(year, last_month)[1])
    except ValueError:
        raise InputError(
            expected="a date such as 2024-03-05, 2024-03 or 2024",
            given="another text",
            action="write dates as ISO 8601",
        ) from None
    return PartialDate(text=text, earliest=first, latest=last)


def derive_study_day(day: date, *, reference: date) -> int:
    """Return the study day: the reference day is 1, the day before it -1; there is no day 0.

    Examples
    --------
    >>> derive_study_day(date(2024, 3, 5), reference=date(2024, 3, 5))
    1
    >>> derive_study_day(date(2024, 3, 4), reference=date(2024, 3, 5))
    -1
    """
    days = (day - reference).days
    return days + 1 if days >= 0 else days
