"""The ranking of deposit patterns as part of ``plan.json``."""

from __future__ import annotations

from typing import Any

from hepatica.core.findings import NotEvaluable
from hepatica.planning.plan import LesionPatterns
from hepatica.planning.spread.patterns import DepositPattern
from hepatica.planning.spread.rank_patterns import RankedPattern
from hepatica.planning.spread.simulate import Band, list_unverified
from hepatica.workflows.document_values import to_evidence, to_number, to_point, to_value_or_reason


def to_pattern_document(patterns: LesionPatterns) -> dict[str, Any]:
    """Return one lesion's ranking, best first, JSON-ready."""
    ranking = patterns.ranking
    document: dict[str, Any] = {
        "lesion_id": patterns.lesion_id,
        "method": "algebraic budget, no pressure field solved",
        "rate": to_value_or_reason(patterns.rate)
        if isinstance(patterns.rate, NotEvaluable)
        else to_evidence(patterns.rate),
    }
    if isinstance(ranking, NotEvaluable):
        return document | {"ranking": to_value_or_reason(ranking)}
    rows = [_to_row(row, planned=row.pattern is patterns.planned) for row in ranking.ranked]
    return document | {
        "draws": ranking.draws,
        "unverified_inputs": list(list_unverified()),
        "ranking": rows,
        "suggested": next(n for n, row in enumerate(ranking.ranked) if row is ranking.suggested),
        "left_out": [{"pattern": _to_pattern(one), "reason": reason} for one, reason in ranking.left_out],
    }


def _to_row(row: RankedPattern, *, planned: bool) -> dict[str, Any]:
    return {
        **_to_pattern(row.pattern),
        "planned": planned,
        "expected_in_viable_fraction": to_number(row.expected_fraction),
        "in_viable_fraction": _to_band(row.retained),
        "spilled_fraction": _to_band(row.spilled),
        "best_of_draws_fraction": to_number(row.best_fraction),
        "contained_ml": _to_band(row.contained_ml),
    }


def _to_pattern(pattern: DepositPattern) -> dict[str, Any]:
    return {
        "needle": pattern.needle,
        "layout": pattern.layout.value,
        "deposits": pattern.deposits,
        "volume_each_ml": to_number(pattern.volume_ml),
        "spacing_mm": to_number(pattern.spacing_mm),
        "points_lps_mm": [to_point(site.tip_lps_mm) for site in pattern.sites],
    }


def _to_band(band: Band) -> dict[str, float]:
    return {"p5": to_number(band.low), "p50": to_number(band.middle), "p95": to_number(band.high)}
