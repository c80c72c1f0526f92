"""The map of the skin for a page: points with class and rank, small enough for one answer."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from hepatica.core.geometry import FloatArray
from hepatica.planning.path.skin_map import SkinClass, SkinMap

STEP_MM: Final = 0.1
"""Points are rounded to this: a skin point stands for several square millimetres."""
NORMAL_STEPS: Final = 127.0


def to_skin_document(found: SkinMap, *, plan_id: str) -> dict[str, Any]:
    """Return a map of the skin as JSON with arrays in base64, little-endian.

    ``points`` are int16 triples in steps of ``step_mm`` from ``origin_lps_mm``; ``normals`` int8 triples;
    ``areas_mm2`` and ``rank_cm2`` float32 (rank: free skin with a better path; -1 where not free); ``classes`` uint8.

    Parameters
    ----------
    found
        The map.
    plan_id
        Of the plan it belongs to.
    """
    points = found.skin.points_lps_mm
    origin = points.mean(axis=0).round(1) if len(points) else np.zeros(3)
    rank = np.nan_to_num(found.derive_rank_cm2(), nan=-1.0)
    return {
        "plan_id": plan_id,
        "lesion_id": found.lesion_id,
        "count": len(points),
        "origin_lps_mm": [float(x) for x in origin],
        "step_mm": STEP_MM,
        "points": _pack(np.rint((points - origin) / STEP_MM).astype("<i2")),
        "normals": _pack(np.rint(found.skin.normals_lps * NORMAL_STEPS).astype("<i1")),
        "areas_mm2": _pack(found.skin.areas_mm2.astype("<f4")),
        "classes": _pack(found.classes.astype("<u1")),
        "rank_cm2": _pack(rank.astype("<f4")),
        "class_names": {str(int(kind)): kind.name.lower() for kind in SkinClass},
        "skin_cm2": {kind.name.lower(): round(found.measure_area_cm2(kind), 3) for kind in SkinClass},
    }


def list_plan_tips(document: Mapping[str, Any], lesion_id: str) -> FloatArray | None:
    """Return the (n, 3) tips of a plan's straight paths to a lesion; None where it has none.

    Parameters
    ----------
    document
        ``plan.json``.
    lesion_id
        Lesion.
    """
    punctures = [p for p in (*document["punctures"], *document["backups"]) if lesion_id in p["lesion_ids"]]
    for path in document["paths"]:
        if path["lesion_id"] == lesion_id:
            punctures += path.get("alternatives", [])
    tips = [
        track["tip_lps_mm"]
        for puncture in punctures
        # A fan's inner needle turns on the way: its tip is no tip of a straight path.
        if puncture["pivot_lps_mm"] is None
        for track in puncture["tracks"]
        if not track["deposits"] or track["deposits"][0]["lesion_id"] == lesion_id
    ]
    return np.array(tips, dtype=np.float64) if tips else None


def _pack(values: NDArray[Any]) -> str:
    return base64.b64encode(np.ascontiguousarray(values).tobytes()).decode("ascii")
