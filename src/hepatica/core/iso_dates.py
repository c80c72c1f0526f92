"""Dates and times as text: the forms of ISO 8601 that sort as they are, in years that can be reckoned with."""

from __future__ import annotations

import re
from datetime import date, datetime
from typing import Final

FIRST_YEAR: Final = 1800
LAST_YEAR: Final = 2199
"""Wider than any life in a record; within it no zone, interval or move of dates leaves the calendar."""
DAY: Final = re.compile(r"[0-9]{4}(-[0-9]{2}(-[0-9]{2})?)?")
MOMENT: Final = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]{1,6})?)?(Z|[+-][0-9]{2}:[0-9]{2}(:[0-9]{2})?)"
)


def is_day(text: object, *, whole: bool = False) -> bool:
    """Return whether a text is a date, with or without day and month.

    Parameters
    ----------
    text
        Anything.
    whole
        Whether day and month are required.

    Examples
    --------
    >>> [is_day(text) for text in ("2026-03-02", "2026-03", "2026", "2026-02-30", "2026-W01-1", "9999-12-31", 2026)]
    [True, True, True, False, False, False, False]
    """
    if not isinstance(text, str) or not DAY.fullmatch(text) or (whole and len(text) < 10):
        return False
    try:
        return FIRST_YEAR <= date.fromisoformat(text + "-01-01"[len(text) - 4 :]).year <= LAST_YEAR
    except ValueError:
        return False


def is_moment(text: object) -> bool:
    """Return whether a text is a time with its zone.

    Parameters
    ----------
    text
        Anything.

    Examples
    --------
    >>> [is_moment(text) for text in ("2026-03-02T09:00+01:00", "2026-03-02T09:00:00Z", "2026-03-02T09:00")]
    [True, True, False]
    """
    if not isinstance(text, str) or not MOMENT.fullmatch(text):
        return False
    try:
        return FIRST_YEAR <= datetime.fromisoformat(text).year <= LAST_YEAR
    except ValueError:
        return False
