"""How much of a target deposits reach, and the fewest choices that together serve every need."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from hepatica.core.evidence import EvidenceTable
from hepatica.core.geometry import BoolArray, FloatArray
from hepatica.core.units import MM_PER_CM
from hepatica.imaging.mask import Mask

MM3_PER_ML = MM_PER_CM**3


def derive_reach_mm(volume_ml: float, *, limits: EvidenceTable) -> float:
    """Return the radius of the sphere of tissue that a deposit fills.

    Parameters
    ----------
    volume_ml
        Volume of the deposit.
    limits
        ``deposit_tissue_share``: the part of the tissue that the fluid takes up.

    Examples
    --------
    >>> from hepatica.planning.path.scene import read_path_limits
    >>> round(derive_reach_mm(0.5, limits=read_path_limits()), 2)
    4.92
    """
    tissue_mm3 = volume_ml * MM3_PER_ML / limits["deposit_tissue_share"].number
    return math.cbrt(3.0 * tissue_mm3 / (4.0 * math.pi))


def find_reached(points_lps_mm: FloatArray, deposits_lps_mm: FloatArray, *, reach_mm: float) -> BoolArray:
    """Tell which of (n, 3) points lie within reach of any of (m, 3) deposits."""
    reached = np.zeros(len(points_lps_mm), dtype=bool)
    for deposit in np.reshape(deposits_lps_mm, (-1, 3)):
        reached |= ((points_lps_mm - deposit) ** 2).sum(axis=1) <= reach_mm * reach_mm
    return reached


def measure_coverage(target: Mask, deposits_lps_mm: FloatArray, *, reach_mm: float) -> float:
    """Return the share of the target's volume within reach of a deposit; nothing outside it counts."""
    points = target.grid.to_lps_mm(np.argwhere(target.crop) + np.array(target.start_ijk))
    return float(find_reached(points, deposits_lps_mm, reach_mm=reach_mm).mean())


def choose_cover(serves: BoolArray, *, cost: FloatArray | None = None) -> list[int]:
    """Choose few options that together serve every need any option serves (greedy set cover).

    In each round the option that serves most needs still open is taken; among equals the cheapest, then the
    first. The number chosen is at most 1 + ln(needs) times the fewest possible (Chvatal 1979).

    Parameters
    ----------
    serves
        (options, needs).
    cost
        (options,) what decides among equals.

    Examples
    --------
    >>> choose_cover(np.array([[True, False, False], [True, True, False], [False, False, True]]))
    [1, 2]
    """
    rank = _rank(np.zeros(len(serves)) if cost is None else cost)
    todo = serves.any(axis=0)
    chosen: list[int] = []
    while todo.any():
        gain = (serves & todo).sum(axis=1)
        equal = np.flatnonzero(gain == gain.max())
        best = int(equal[np.argmin(rank[equal])])
        chosen.append(best)
        todo &= ~serves[best]
    return chosen


def _rank(cost: FloatArray) -> NDArray[np.int64]:
    rank = np.empty(len(cost), np.int64)
    rank[np.argsort(cost, kind="stable")] = np.arange(len(cost))
    return rank
