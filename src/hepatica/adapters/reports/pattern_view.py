"""The ranking of deposit patterns in words."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from hepatica.core.findings import NotEvaluable
from hepatica.planning.plan import LesionPatterns, Plan
from hepatica.planning.spread.rank_patterns import PatternRanking, RankedPattern, measure_difference
from hepatica.planning.spread.simulate import list_unverified

SHOWN: Final = 6
"""Rows of the report; the plan's own and the suggested pattern come beside them, the rest stays in plan.json."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PatternRow:
    """One pattern as printed."""

    place: str
    needle: str
    words: str
    expected: str
    band: str
    spilled: str
    note: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PatternView:
    """One lesion's ranking as printed; ``not_applicable`` holds the reason where there is none."""

    lesion_id: str
    lead: str
    unverified: bool
    rows: tuple[PatternRow, ...]
    left: str
    difference: str = ""
    not_applicable: str = ""


def derive_pattern_views(plan: Plan) -> tuple[PatternView, ...]:
    """Turn the rankings of a plan into rows of text."""
    return tuple(_to_view(patterns) for patterns in plan.patterns)


def _to_view(patterns: LesionPatterns) -> PatternView:
    ranking = patterns.ranking
    if isinstance(ranking, NotEvaluable) or isinstance(patterns.rate, NotEvaluable):
        reason = ranking.reason if isinstance(ranking, NotEvaluable) else "no rate of injection is set"
        return PatternView(
            lesion_id=patterns.lesion_id, lead="", unverified=False, rows=(), left="", not_applicable=reason
        )
    shown = list(_choose_rows(patterns, ranking))
    return PatternView(
        lesion_id=patterns.lesion_id,
        lead=f"Suggested: {ranking.words}. {ranking.draws} draws at {patterns.rate.number:g} mL/min, by the "
        "algebraic budget; no pressure field is solved",
        unverified=patterns.rate.unverified or bool(list_unverified()),
        rows=tuple(_to_row(n, row, patterns, ranking) for n, row in shown),
        difference=_say_difference(patterns, ranking),
        left=f"{len(ranking.ranked) - len(shown)} more in plan.json"
        + (f"; {len(ranking.left_out)} left out" if ranking.left_out else ""),
    )


def _say_difference(patterns: LesionPatterns, ranking: PatternRanking) -> str:
    """Say how surely the suggestion keeps more than the plan's own pattern; all see the same draws."""
    own = next((row for row in ranking.ranked if row.pattern is patterns.planned), None)
    if own is None:
        return ""
    if own is ranking.suggested:
        return "The plan's own pattern is the suggested one."
    band, share = measure_difference(ranking.suggested, own)
    mean = 100 * (ranking.suggested.expected_fraction - own.expected_fraction)
    words = (
        f"Against the plan's own pattern ({own.expected_fraction:.0%} expected), draw by draw: {mean:+.0f} percentage "
        f"points on average, 5th to 95th percentile {100 * band.low:+.0f} to {100 * band.high:+.0f}; more in "
        f"{share:.0%} of the draws."
    )
    if band.low <= 0.0 <= band.high:
        words += " The band holds 0: the model does not tell the two apart."
    return words


def _choose_rows(patterns: LesionPatterns, ranking: PatternRanking) -> Iterator[tuple[int, RankedPattern]]:
    for number, row in enumerate(ranking.ranked):
        if number < SHOWN or row is ranking.suggested or row.pattern is patterns.planned:
            yield number, row


def _to_row(number: int, row: RankedPattern, patterns: LesionPatterns, ranking: PatternRanking) -> PatternRow:
    notes = ["the plan"] if row.pattern is patterns.planned else []
    notes += ["suggested"] if row is ranking.suggested else []
    return PatternRow(
        place=str(number + 1),
        needle=row.pattern.needle,
        words=row.pattern.words,
        expected=f"{row.expected_fraction:.0%}",
        band=f"{row.retained.low:.0%} to {row.retained.high:.0%}",
        spilled=f"{row.spilled.middle:.0%} ({row.spilled.low:.0%} to {row.spilled.high:.0%})",
        note=", ".join(notes),
    )
