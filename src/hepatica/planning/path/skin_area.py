"""Skin counted on a sample of points, with what the sample's spacing leaves open."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from hepatica.core.geometry import BoolArray, FloatArray
from hepatica.core.units import MM_PER_CM

COVERED_STANDARD: Final = 2.0
"""Standard uncertainties within which nearly every count lies."""
STRAIGHT_EDGE_VARIANCE: Final = 1.0 / 12.0
"""Of the share of a cell that a straight edge at an unknown place cuts off, against counting all or nothing."""
NEAR_CELLS: Final = 8
"""Neighbours of a sample point on a surface."""
WITHIN_SPACINGS: Final = 2.0
"""Points farther apart than this are no neighbours: the skin ends between them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Area:
    """Skin counted on a sample.

    Parameters
    ----------
    area_cm2
        Skin the counted points stand for.
    uncertainty_cm2
        Standard uncertainty of the count: where its edge runs between points is not known.
    """

    area_cm2: float
    uncertainty_cm2: float


def measure_area(member: BoolArray, *, areas_mm2: FloatArray, neighbours: NDArray[np.int64]) -> Area:
    """Return the skin of the chosen sample points, with the uncertainty that the spacing leaves.

    Cells at the edge (with a neighbour that counts otherwise) may belong to the other side in part. A straight
    edge at an unknown place gives each a variance of 1/12 of its area squared; edges of different cells count as
    independent.

    Parameters
    ----------
    member
        (n,) chosen points.
    areas_mm2
        (n,) skin of each.
    neighbours
        (n, k) numbers of neighbours, the point itself where there are fewer.
    """
    edge = (member[neighbours] != member[:, None]).any(axis=1)
    return Area(
        area_cm2=float(areas_mm2[member].sum()) / MM_PER_CM**2,
        uncertainty_cm2=math.sqrt(STRAIGHT_EDGE_VARIANCE * float((areas_mm2[edge] ** 2).sum()))
        / MM_PER_CM**2,
    )


def find_neighbours(points_lps_mm: FloatArray, *, spacing_mm: float) -> NDArray[np.int64]:
    """Return the (n, k) numbers of each point's neighbours on the sample, the point itself where there are fewer."""
    count = len(points_lps_mm)
    if count == 0:
        return np.zeros((0, NEAR_CELLS), np.int64)
    _, near = cKDTree(points_lps_mm).query(
        points_lps_mm, k=NEAR_CELLS + 1, distance_upper_bound=WITHIN_SPACINGS * spacing_mm
    )
    own = np.arange(count)[:, None]
    return np.asarray(np.where(near == count, own, near)[:, 1:], dtype=np.int64)
