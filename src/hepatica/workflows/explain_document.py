"""The explanation of a plan's paths as one JSON document: the content of ``explain.json``."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import cache
from typing import Any, Final

from hepatica.core.evidence import read_resource
from hepatica.core.findings import NotEvaluable
from hepatica.core.units import MM_PER_CM
from hepatica.planning.path.limit_costs import LimitCost
from hepatica.planning.path.scene import Scene
from hepatica.planning.path.skin_area import Area
from hepatica.planning.path.skin_map import SkinClass, SkinMap
from hepatica.planning.plan import Plan
from hepatica.workflows.explain_ports import ChosenEntry, LesionExplained

SCHEMA_VERSION: Final = "1.0"
NUMBER_DECIMALS: Final = 6
"""As in ``plan.json``: the last bits of a sum cannot change the document."""


def to_explain_document(plan: Plan, scene: Scene, lesions: Sequence[LesionExplained]) -> dict[str, Any]:
    """Return an explanation as a JSON-ready document that follows `read_explain_schema`.

    Parameters
    ----------
    plan, scene
        What is explained, and what it was made in.
    lesions
        Lesions explained.
    """
    return {
        "schema_version": SCHEMA_VERSION,
        "plan_id": plan.plan_id,
        "status": str(plan.status),
        "missing_structures": list(plan.missing_structures),
        "limits_table": {"name": scene.limits.name, "digest": scene.limits.digest},
        "lesions": [_to_lesion(lesion) for lesion in lesions],
    }


@cache
def read_explain_schema() -> dict[str, Any]:
    """Return the published JSON Schema of ``explain.json``.

    Examples
    --------
    >>> read_explain_schema()["title"]
    'Hepatica explanation of paths'
    """
    schema: dict[str, Any] = json.loads(read_resource("hepatica.resources.schemas", "explain.schema.json"))
    return schema


def _to_lesion(lesion: LesionExplained) -> dict[str, Any]:
    found, costs = lesion.skin_map, lesion.costs
    areas = {kind.name.lower(): _number(found.measure_area_cm2(kind)) for kind in SkinClass}
    return {
        "lesion_id": lesion.lesion_id,
        "planned_ml": _number(lesion.planned_ml),
        "reachable": bool(found.select(SkinClass.FREE).any()),
        "skin_cm2": {**areas, "total": _number(float(found.skin.areas_mm2.sum()) / MM_PER_CM**2)},
        "skin_points": len(found.classes),
        "tips": len(found.tips_lps_mm),
        "settled_paths": found.settled_paths,
        "best": _to_best(found),
        "entries": [_to_entry(entry) for entry in lesion.entries],
        "sample": {
            "spacing_mm": _number(costs.spacing_mm),
            "points": len(costs.blocked),
            "blocked_cm2": _number(costs.blocked_area_cm2),
            "judged_paths": costs.judged_paths,
        },
        "limits": [_to_limit(cost) for cost in costs.limits],
    }


def _to_best(found: SkinMap) -> dict[str, Any] | None:
    free = found.select(SkinClass.FREE)
    if not free.any():
        return None
    rank = found.derive_rank_cm2()
    n = int(rank[free].argmin())
    point = int(free.nonzero()[0][n])
    return {
        "entry_lps_mm": [_number(x) for x in found.skin.points_lps_mm[point]],
        "tip_lps_mm": [_number(x) for x in found.tips_lps_mm[found.best_tip[point]]],
        "score": _number(found.scores[point]),
    }


def _to_entry(entry: ChosenEntry) -> dict[str, Any]:
    better = entry.better_skin_cm2
    return {
        "id": entry.name,
        "role": entry.role,
        "entry_lps_mm": [_number(x) for x in entry.puncture.entry_lps_mm],
        "length_mm": _number(entry.puncture.length_mm),
        "score": _number(entry.score),
        "better_skin_cm2": (
            {"not_evaluable": better.reason} if isinstance(better, NotEvaluable) else _number(better)
        ),
    }


def _to_limit(cost: LimitCost) -> dict[str, Any]:
    return {
        "limit": cost.limit,
        "value": None if cost.value is None else _number(cost.value),
        "unit": cost.unit,
        "status": str(cost.status),
        "source": cost.source,
        "derived": cost.derived,
        "blocked_fraction": _number(cost.blocked_fraction),
        "alone": _to_area(cost.alone),
        "relaxations": [
            {"by": _number(step.by), "value": _number(step.value), "freed": _to_area(step.freed)}
            for step in cost.relaxations
        ],
        "through": None if cost.through is None else _to_area(cost.through),
    }


def _to_area(area: Area) -> dict[str, float]:
    return {"cm2": _number(area.area_cm2), "standard_uncertainty_cm2": _number(area.uncertainty_cm2)}


def _number(value: float) -> float:
    return round(float(value), NUMBER_DECIMALS) + 0.0
