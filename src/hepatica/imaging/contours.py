"""From planar contours to voxels: even-odd filling, and shape interpolation between drawn planes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hepatica.core.geometry import BoolArray, FloatArray

SAME_PLANE_TOLERANCE_MM: Final = 0.05
"""Contour planes and slices are written with two to four decimals; closer than this they are one plane."""
BRIDGED_GAP_RATIO: Final = 1.5
"""Planes further apart than this many usual contour steps are separate parts, never interpolated."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FilledPlanes:
    """Slices filled from contours.

    Parameters
    ----------
    planes
        (N, rows, columns) boolean array, one plane for each asked position.
    gaps_mm
        Distances between neighbouring contour planes that were left empty because they exceed the usual step.
    step_mm
        Usual distance between contour planes; 0 where there is only one plane.
    """

    planes: BoolArray
    gaps_mm: tuple[float, ...]
    step_mm: float


def fill_polygons(polygons: Sequence[ArrayLike], *, shape: tuple[int, int]) -> BoolArray:
    """Fill polygons by the even-odd rule: a pixel belongs to them if its centre lies inside an odd number.

    Holes, islands in holes and keyhole outlines come out right without knowing their order.

    Parameters
    ----------
    polygons
        Each (n, 2) points as (column, row) in fractional pixel indices, closed or open; parts outside the
        image
        are cut off.
    shape
        (rows, columns) of the image.

    Examples
    --------
    >>> outer = [(-0.5, -0.5), (4.5, -0.5), (4.5, 4.5), (-0.5, 4.5)]
    >>> hole = [(1.5, 1.5), (2.5, 1.5), (2.5, 2.5), (1.5, 2.5)]
    >>> int(fill_polygons([outer, hole], shape=(6, 6)).sum())
    24
    """
    rows, columns = shape
    crossings = np.zeros((rows, columns + 1), dtype=np.int64)
    for polygon in polygons:
        points = np.asarray(polygon, dtype=np.float64)
        starts, ends = points, np.roll(points, -1, axis=0)
        _count_crossings(starts, ends, crossings)
    return np.asarray(np.cumsum(crossings[:, :columns], axis=1) % 2 == 1)


def _count_crossings(starts: FloatArray, ends: FloatArray, crossings: NDArray[np.int64]) -> None:
    """Count for each row the edges that pass left of each pixel centre (rows are half open: [low, high))."""
    rows, columns = crossings.shape
    low, high = np.minimum(starts[:, 1], ends[:, 1]), np.maximum(starts[:, 1], ends[:, 1])
    first = np.clip(np.ceil(low), 0, rows).astype(np.int64)
    last = np.clip(np.ceil(high), 0, rows).astype(np.int64)
    counts = np.maximum(last - first, 0)
    edge = np.repeat(np.arange(len(starts)), counts)
    if edge.size == 0:
        return
    begin = np.cumsum(counts) - counts
    row = first[edge] + np.arange(edge.size) - begin[edge]
    slope = (ends[edge, 0] - starts[edge, 0]) / (ends[edge, 1] - starts[edge, 1])
    x = starts[edge, 0] + (row - starts[edge, 1]) * slope
    column = np.clip(np.ceil(x), 0, columns - 1).astype(np.int64)
    np.add.at(crossings, (row, column), 1)


def fill_slices(
    contours: Sequence[tuple[float, ArrayLike]],
    *,
    positions_mm: ArrayLike,
    shape: tuple[int, int],
    pixel_spacing_mm: tuple[float, float],
) -> FilledPlanes:
    """Fill the planes at asked positions from contours drawn in parallel planes.

    A position on a contour plane takes that plane. Between two planes of the usual step the shape is
    interpolated
    through signed distances; half a step beyond the first and last plane the end shape is kept, since a
    contour
    stands for a slab.

    Parameters
    ----------
    contours
        (position_mm, polygon) pairs; polygons as in `fill_polygons`.
    positions_mm
        (N,) positions of the planes to fill, in the same direction.
    shape
        (rows, columns).
    pixel_spacing_mm
        (row step, column step), for distances.
    """
    groups = _group_planes(contours)
    at = np.array([position for position, _ in groups])
    steps = np.diff(at)
    step = float(np.median(steps)) if steps.size else 0.0
    if steps.size:
        # The usual step is the smallest one that occurs often; large gaps must not lift it.
        step = float(np.median(steps[steps <= 1.5 * steps.min()]))
    wanted = np.asarray(positions_mm, dtype=np.float64)
    spacing = float(np.median(np.diff(np.sort(wanted)))) if wanted.size > 1 else step
    reach = (step or spacing) / 2
    planes = np.zeros((wanted.size, *shape), dtype=bool)
    filler = _PlaneFiller(groups=groups, shape=shape, pixel_spacing_mm=pixel_spacing_mm)
    for n, position in enumerate(wanted):
        planes[n] = filler.fill(float(position), at=at, step=step, reach=reach)
    gaps = tuple(float(gap) for gap in steps if gap > BRIDGED_GAP_RATIO * step)
    return FilledPlanes(planes=planes, gaps_mm=gaps, step_mm=step)


def _group_planes(contours: Sequence[tuple[float, ArrayLike]]) -> list[tuple[float, list[Any]]]:
    groups: list[tuple[float, list[Any]]] = []
    for position, polygon in sorted(contours, key=lambda pair: pair[0]):
        if groups and position - groups[-1][0] <= SAME_PLANE_TOLERANCE_MM:
            groups[-1][1].append(polygon)
        else:
            groups.append((float(position), [polygon]))
    return groups


@dataclass(slots=True, kw_only=True)
class _PlaneFiller:
    groups: list[tuple[float, list[Any]]]
    shape: tuple[int, int]
    pixel_spacing_mm: tuple[float, float]

    def fill(self, position: float, *, at: FloatArray, step: float, reach: float) -> BoolArray:
        nearest = int(np.argmin(np.abs(at - position)))
        if abs(at[nearest] - position) <= SAME_PLANE_TOLERANCE_MM:
            return self.drawn(nearest)
        above = int(np.searchsorted(at, position))
        between = 0 < above < at.size and at[above] - at[above - 1] <= BRIDGED_GAP_RATIO * step
        if between:
            share = (position - at[above - 1]) / (at[above] - at[above - 1])
            return self.blend(above - 1, above, share=float(share))
        # Half open: a plane exactly half way beyond the end belongs to neither side.
        if abs(at[nearest] - position) < reach - SAME_PLANE_TOLERANCE_MM:
            return self.drawn(nearest)
        return np.zeros(self.shape, dtype=bool)

    def drawn(self, n: int) -> BoolArray:
        return fill_polygons(self.groups[n][1], shape=self.shape)

    def blend(self, lower: int, upper: int, *, share: float) -> BoolArray:
        first, second = self.drawn(lower), self.drawn(upper)
        if not first.any() or not second.any():
            return first if share < 0.5 else second
        distance = (1 - share) * self._signed_distance_mm(first) + share * self._signed_distance_mm(second)
        return np.asarray(distance < 0)

    def _signed_distance_mm(self, plane: BoolArray) -> FloatArray:
        from scipy import ndimage

        spacing = self.pixel_spacing_mm
        outside = ndimage.distance_transform_edt(~plane, sampling=spacing)
        inside = ndimage.distance_transform_edt(np.pad(plane, 1), sampling=spacing)[1:-1, 1:-1]
        # Half a pixel moves both fields to the edge between pixels, where the shape really ends.
        half = min(spacing) / 2
        return np.asarray(np.where(plane, half - inside, outside - half))
