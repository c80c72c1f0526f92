"""Follow-up times and event codes, checked once for every method."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from hepatica.core.errors import InputError, NonFiniteError

TIME_TOLERANCE: Final = 1.5e-8
"""Times closer than this, relative to their mean, are one time: rounding of dates turned into months."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FollowUp:
    """Times and event codes of one group, sorted by time.

    Parameters
    ----------
    times
        Follow-up times, 0 or more, any one unit.
    events
        0 censored, 1 event; other codes only for competing risks.
    """

    times: Any
    events: Any

    @classmethod
    def from_arrays(cls, times: Any, events: Any, *, competing: bool = False) -> FollowUp:
        """Check and sort.

        Raises
        ------
        InputError
            If lengths differ, a time is negative, or an event code is not allowed.
        NonFiniteError
            If a time or code is missing.

        Examples
        --------
        >>> FollowUp.from_arrays([3.0, 1.0], [1, 0]).times
        array([1., 3.])
        """
        time, event = np.asarray(times, float), np.asarray(events, float)
        if time.ndim != 1 or time.shape != event.shape or not time.size:
            raise InputError(
                expected="as many event codes as times, at least one",
                given=f"{time.size} times, {event.size} codes",
                where="survival data",
            )
        if not (np.isfinite(time).all() and np.isfinite(event).all()):
            row = int(np.argmin(np.isfinite(time) & np.isfinite(event))) + 1
            raise NonFiniteError(
                expected="a time and an event code", given="a missing one", where=f"row {row}"
            )
        if (time < 0).any():
            row = int(np.argmax(time < 0)) + 1
            raise InputError(
                expected="times of 0 or more",
                given=f"{time[row - 1]:g}",
                where=f"row {row}",
                action="an event before time 0 cannot be followed up; correct the start or leave the "
                "patient out",
            )
        allowed = event == np.round(event)
        allowed &= (event >= 0) if competing else ((event == 0) | (event == 1))
        if not allowed.all():
            row = int(np.argmin(allowed)) + 1
            raise InputError(
                expected="codes 0, 1, 2, ..." if competing else "event codes 0 (censored) or 1 (event)",
                given=f"{event[row - 1]:g}",
                where=f"row {row}",
                action="correct the code"
                if competing
                else "use competing risks for more than one kind of event",
            )
        order = np.argsort(time, kind="stable")
        return cls(times=_merge_close(time[order]), events=event[order].astype(np.int64))


def _merge_close(times: Any) -> Any:
    distinct = np.unique(times)
    if distinct.size < 2:
        return times
    largest = max(float(np.abs(distinct).max()), np.finfo(float).tiny)
    scale = TIME_TOLERANCE * max(largest * float((np.abs(distinct) / largest).mean()), np.finfo(float).tiny)
    if (np.diff(distinct) > scale).all():
        return times
    start = np.concatenate([[True], np.diff(distinct) > scale])
    first = distinct[start][np.cumsum(start) - 1]
    return first[np.searchsorted(distinct, times)]
