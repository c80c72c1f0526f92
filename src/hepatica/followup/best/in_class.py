"""Best overall response as the best class seen, with or without confirmation; response and benefit."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from hepatica.followup.best.timeline import NOT_DONE, SILENT, Best, BestSettings, Timeline, TimePoint

ORDER: Final = ("CR", "PR", "SD", "NON-CR/NON-PD", "PD", "NE", NOT_DONE)
"""Best first; among equals the earliest day counts."""
STABLE: Final = ("SD", "NON-CR/NON-PD")


def derive_bor(timeline: Timeline, settings: BestSettings) -> Best:
    """Return the best response without confirmation.

    Parameters
    ----------
    timeline
        One subject, RECIST 1.1 codes.
    settings
        Window of stable disease, cut at progression, reading of a missing assessment.

    Returns
    -------
    best
        CR, PR and PD count on any day; SD and NON-CR/NON-PD that are not late count as NE.

    Examples
    --------
    >>> from datetime import date
    >>> line = Timeline.of([(date(2024, 3, 1), "SD"), (date(2024, 5, 1), "PR")], reference=date(2024, 1, 1))
    >>> derive_bor(line, BestSettings()).value
    'PR'
    """
    candidates = []
    for point in timeline.until(settings.until_pd):
        early = point.response in STABLE and not timeline.is_late(point, settings)
        candidates.append(("NE" if early else point.response, point))
    return pick_best(candidates, settings)


def derive_confirmed_bor(timeline: Timeline, settings: BestSettings) -> Best:
    """Return the best response where CR and PR need confirmation.

    An unconfirmed CR or PR counts as SD if late, else as NE.
    """
    points = timeline.until(settings.until_pd)
    confirmed = {point.day for point in find_confirmed(points, settings)}
    candidates = []
    for point in points:
        code = point.response
        if code in ("CR", "PR") and point.day not in confirmed:
            code = "SD"
        if code in STABLE and not timeline.is_late(point, settings):
            code = "NE"
        candidates.append((code, point))
    return pick_best(candidates, settings)


def pick_best(candidates: Iterable[tuple[str, TimePoint]], settings: BestSettings) -> Best:
    """Return the best candidate, the earliest among equals; where there is none MISSING, or NE by setting."""
    ranked = [(ORDER.index(code), point.day, code) for code, point in candidates if code in ORDER]
    if not ranked:
        return Best(value="NE" if settings.missing_as_ne else "MISSING")
    _, day, code = min(ranked)
    return Best(value=code, day=day)


def find_confirmed(points: Sequence[TimePoint], settings: BestSettings) -> Iterator[TimePoint]:
    """Yield the CR and PR that a later time point confirms.

    A CR is confirmed by the first later CR at least ``confirm_days`` away with only CR or NE between; a PR
    by the first later CR or PR with only CR, PR or NE between (and one SD where accepted). At most
    ``max_ne`` NE between. A PR after a CR inside the span voids the PR.
    """
    heard = [point for point in points if point.response not in SILENT]
    for index, point in enumerate(heard):
        if point.response in ("CR", "PR") and _is_confirmed(point, heard[index + 1 :], settings):
            yield point


def _is_confirmed(point: TimePoint, later: Sequence[TimePoint], settings: BestSettings) -> bool:
    wanted = ("CR",) if point.response == "CR" else ("CR", "PR")
    span: list[str] = []
    for other in later:
        span.append(other.response)
        if other.response in wanted and (other.day - point.day).days >= settings.confirm_days:
            break
    else:
        return False
    allowed = {"CR": ("CR", "NE"), "PR": ("CR", "PR", "NE", "SD")}[point.response]
    return (
        all(code in allowed for code in span)
        and span.count("NE") <= settings.max_ne
        and span.count("SD") <= int(settings.accept_sd)
        and not _falls_back(span)
    )


def _falls_back(span: Sequence[str]) -> bool:
    return "CR" in span and "PR" in span[span.index("CR") :]


def derive_response(timeline: Timeline, settings: BestSettings) -> Best:
    """Return whether there was a CR or PR, with the first day."""
    return _to_answer(p for p in timeline.until(settings.until_pd) if p.response in ("CR", "PR"))


def derive_confirmed_response(timeline: Timeline, settings: BestSettings) -> Best:
    """Return whether there was a confirmed CR or PR, with the day of the first that was confirmed."""
    return _to_answer(find_confirmed(timeline.until(settings.until_pd), settings))


def derive_clinical_benefit(timeline: Timeline, settings: BestSettings) -> Best:
    """Return whether there was benefit: CR or PR on any day, another benefit value when late.

    A date of response given for the subject counts as well. Which codes are benefit is a setting.
    """
    days = [
        point.day
        for point in timeline.until(settings.until_pd)
        if point.response in settings.benefit_values
        and (point.response in ("CR", "PR") or timeline.is_late(point, settings))
    ]
    if timeline.response is not None:
        days.append(timeline.response)
    return Best(value="Y", day=min(days)) if days else Best(value="N")


def _to_answer(points: Iterable[TimePoint]) -> Best:
    days = [point.day for point in points]
    return Best(value="Y", day=min(days)) if days else Best(value="N")
