"""Endpoints on iRECIST time points: iBOR, iPFS and iDOR. Time points after the first iCPD are ignored.

Seymour 2017, Lancet Oncol 18:e143, table 3.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Final

from hepatica.followup.best.timeline import Best, BestSettings, Timeline, TimePoint

BETTER: Final = ("iCR", "iPR", "iSD", "NON-iCR/NON-iUPD")
STABLE: Final = ("iSD", "NON-iCR/NON-iUPD")
PROGRESSING: Final = ("iUPD", "iCPD")


def _until_confirmed(timeline: Timeline) -> tuple[TimePoint, ...]:
    """Return the time points up to the first iCPD."""
    kept = []
    for point in timeline.points:
        kept.append(point)
        if point.response == "iCPD":
            break
    return tuple(kept)


def derive_immune_bor(timeline: Timeline, settings: BestSettings) -> Best:
    """Return the best of iCR, iPR, iSD before the first iCPD; else iCPD; else iUPD; else NE.

    Parameters
    ----------
    timeline
        One subject, iRECIST codes.
    settings
        Window of stable disease (not late counts as NE) and reading of a missing assessment.

    Returns
    -------
    best
        With the first day of that response; for iCPD the first iUPD of the run that it confirms.
    """
    points = _until_confirmed(timeline)
    for code in BETTER:
        fitting = [p for p in points if p.response == code]
        if code in STABLE:
            fitting = [p for p in fitting if timeline.is_late(p, settings)]
        if fitting:
            return Best(value=code, day=fitting[0].day)
    if any(p.response == "iCPD" for p in points):
        return Best(value="iCPD", day=_find_progression(points))
    for code, codes in (("iUPD", ("iUPD",)), ("NE", ("NE", *STABLE))):
        fitting = [p for p in points if p.response in codes]
        if fitting:
            return Best(value=code, day=fitting[0].day)
    done = [p for p in points if p.response == "ND"]
    if done:
        return Best(value="ND", day=done[0].day)
    return Best(value="NE" if settings.missing_as_ne else "MISSING")


def _find_progression(points: Sequence[TimePoint]) -> date | None:
    """Return the first iUPD of a run that is confirmed or never resolved; None where there is no such run."""
    opened: date | None = None
    for point in points:
        if point.response in PROGRESSING:
            opened = opened or point.day
        elif point.response in BETTER:
            opened = None
    return opened


def derive_immune_progression(timeline: Timeline, settings: BestSettings) -> Best:
    """Return whether there is an iPFS event, with its day.

    The event is the first iUPD of the run that ends in iCPD or that is never resolved. An iUPD followed by
    iSD, iPR or iCR is forgotten; NE does not resolve it.

    Returns
    -------
    best
        ``Y`` with the day, or ``N`` without one.

    Examples
    --------
    >>> visits = [(date(2024, 3, 1), "iUPD"), (date(2024, 5, 1), "iSD"), (date(2024, 7, 1), "iUPD")]
    >>> line = Timeline.of(visits, reference=date(2024, 1, 1))
    >>> derive_immune_progression(line, BestSettings())
    Best(value='Y', day=datetime.date(2024, 7, 1))
    """
    day = _find_progression(_until_confirmed(timeline))
    return Best(value="N") if day is None else Best(value="Y", day=day)


def derive_immune_duration(timeline: Timeline, settings: BestSettings) -> Best:
    """Return the duration of response: days from the first iCR or iPR to the iPFS event, both days counted.

    Returns
    -------
    best
        Number of days and the day of the event; an empty value without a day where there was no response or
        where the response goes on (censored).
    """
    points = _until_confirmed(timeline)
    first = next((p.day for p in points if p.response in ("iCR", "iPR")), None)
    end = _find_progression(points)
    if first is None or end is None or end < first:
        return Best(value="")
    return Best(value=str((end - first).days + 1), day=end)
