"""Best overall response by table 3 of RECIST 1.1: each time point read together with the one that follows.

Eisenhauer 2009, Eur J Cancer 45:228.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from hepatica.followup.best.in_class import pick_best
from hepatica.followup.best.timeline import SILENT, Best, BestSettings, Timeline, TimePoint

SD_IF_LATE_ELSE_PD: Final = "SD, else PD"
SD_IF_LATE_ELSE_NE: Final = "SD, else NE"
PAIRS: Final = {
    ("CR", "CR"): "CR",
    ("CR", "PR"): SD_IF_LATE_ELSE_PD,
    ("CR", "SD"): SD_IF_LATE_ELSE_PD,
    ("CR", "NON-CR/NON-PD"): SD_IF_LATE_ELSE_PD,
    ("CR", "PD"): SD_IF_LATE_ELSE_PD,
    ("CR", "NE"): SD_IF_LATE_ELSE_NE,
    ("PR", "CR"): "PR",
    ("PR", "PR"): "PR",
    ("PR", "SD"): "SD",
    ("PR", "NON-CR/NON-PD"): "SD",
    ("PR", "PD"): SD_IF_LATE_ELSE_PD,
    ("PR", "NE"): SD_IF_LATE_ELSE_NE,
}
"""Rows of the table: first response, next response, best response of the two.

A NON-CR/NON-PD beside measurable disease is not in the table; it is read as SD.
"""


def derive_table3_bor(timeline: Timeline, settings: BestSettings) -> Best:
    """Return the best overall response by table 3.

    Each CR or PR is read with the next time point that decides: repeats of the response that come sooner than
    ``confirm_days`` are passed over, as are up to ``max_ne`` NE (0 unless the protocol allows them) and,
    for a PR where accepted, one SD, if the response is confirmed behind them. SD counts if late. The best
    of all readings is the answer; its day is that of the first time point of the pair, of a PD that of the
    second.

    Parameters
    ----------
    timeline
        One subject, RECIST 1.1 codes.
    settings
        Window, distance of confirmation, what may lie between.

    Examples
    --------
    >>> from datetime import date
    >>> line = Timeline.of([(date(2024, 3, 1), "PR"), (date(2024, 5, 1), "PD")], reference=date(2024, 1, 1))
    >>> derive_table3_bor(line, BestSettings(sd_window_days=42)).value
    'SD'
    """
    points = [p for p in timeline.until(settings.until_pd) if p.response not in SILENT]
    candidates = []
    for index, point in enumerate(points):
        following = _find_decider(point, points[index + 1 :], settings)
        candidates.append(_read_pair(point, following, late=timeline.is_late(point, settings)))
    silent = [(p.response, p) for p in timeline.until(settings.until_pd) if p.response in SILENT]
    return pick_best([*candidates, *silent], settings)


def _find_decider(point: TimePoint, later: Sequence[TimePoint], settings: BestSettings) -> TimePoint | None:
    """Return the time point that decides about a CR or PR; None where nothing follows."""
    if not later or point.response not in ("CR", "PR"):
        return None
    same = ("CR",) if point.response == "CR" else ("CR", "PR")
    skipped = {"NE": settings.max_ne, "SD": int(settings.accept_sd and point.response == "PR")}
    first_other = None
    for other in later:
        if other.response in same:
            if (other.day - point.day).days >= settings.confirm_days:
                return other
            continue
        first_other = first_other or other
        if skipped.get(other.response, 0) < 1:
            return first_other
        skipped[other.response] -= 1
    return first_other


def _read_pair(point: TimePoint, following: TimePoint | None, *, late: bool) -> tuple[str, TimePoint]:
    code = point.response
    if code in ("SD", "NON-CR/NON-PD"):
        return (code if late else "NE"), point
    if code not in ("CR", "PR"):
        return code, point
    if following is None:
        return ("SD" if late else "NE"), point
    verdict = PAIRS[code, following.response]
    if verdict == SD_IF_LATE_ELSE_PD:
        return ("SD", point) if late else ("PD", following)
    if verdict == SD_IF_LATE_ELSE_NE:
        return ("SD" if late else "NE"), point
    return verdict, point
