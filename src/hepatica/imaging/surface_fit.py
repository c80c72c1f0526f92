"""Fitting the surface of one mask to another: points on one, signed distance to the other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy import ndimage
from scipy.optimize import least_squares
from scipy.spatial import cKDTree
from scipy.spatial.transform import Rotation

from hepatica.core.geometry import FloatArray, Grid
from hepatica.imaging.mask import Mask

WORKING_MM: Final = 2.5
"""Cubes on which surfaces are found (to a part of a cube)."""
NEAR_MM: Final = 5.0
MOST_POINTS: Final = 3000
OUTLIER_MM: Final = 3.0
"""Distances beyond count less: a label that differs in one place must not turn the whole liver."""
REACH_MM: Final = 60.0
"""How far around a mask distances are known; farther away the distance to this border is added."""
DERIVATIVE_STEP: Final = 1e-3
MM_PER_RAD: Final = 80.0
"""Scale of rotation against shift: a liver's radius."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Surface:
    """Points on a mask's half-level surface and the signed distance around it (positive outside)."""

    points_lps_mm: FloatArray
    distance_mm: FloatArray
    grid: Grid

    def measure_mm(self, points_lps_mm: FloatArray) -> FloatArray:
        """Return the signed distance of (n, 3) points from the surface."""
        index = self.grid.to_index(points_lps_mm)
        inside = np.clip(index, 0, np.array(self.grid.shape) - 1)
        beyond_mm = np.linalg.norm((index - inside) * self.grid.spacing_mm, axis=1)
        return np.asarray(
            ndimage.map_coordinates(self.distance_mm, inside.T, order=1, mode="nearest") + beyond_mm
        )


def find_surface(mask: Mask) -> Surface:
    """Find a mask's surface on cubes of 2.5 mm; where it ends at a face of the volume there is none."""
    grid, share = _occupy(mask)
    points = grid.to_lps_mm(_find_crossings(share))
    distance_mm = _measure_field(share, points, grid=grid)
    at = mask.grid.to_index(points)
    margin = WORKING_MM / mask.grid.spacing_mm
    free = ((at > margin - 0.5) & (at < np.array(mask.grid.shape) - 0.5 - margin)).all(axis=1)
    points = points[free] if free.any() else points
    chosen = np.linspace(0, len(points) - 1, min(MOST_POINTS, len(points))).round().astype(int)
    return Surface(points_lps_mm=points[chosen], distance_mm=distance_mm, grid=grid)


def fit_surfaces(
    fixed: Surface, moving: Surface, *, start: FloatArray
) -> tuple[FloatArray, FloatArray, bool]:
    """Move one surface onto the other by least squares over rotation and shift, both ways at once.

    Parameters
    ----------
    fixed, moving
        Two surfaces.
    start
        (3,) shift to begin with.

    Returns
    -------
    tuple
        (4, 4) moving-from-fixed map, absolute distances left at all points, and whether the solver converged.
    """
    centre = fixed.points_lps_mm.mean(axis=0)

    def to_matrix(step: FloatArray) -> FloatArray:
        matrix = np.eye(4)
        matrix[:3, :3] = Rotation.from_rotvec(step[:3] / MM_PER_RAD).as_matrix()
        matrix[:3, 3] = centre + step[3:] - matrix[:3, :3] @ centre
        return matrix

    def measure(step: FloatArray) -> FloatArray:
        matrix = to_matrix(step)
        there = fixed.points_lps_mm @ matrix[:3, :3].T + matrix[:3, 3]
        back = (moving.points_lps_mm - matrix[:3, 3]) @ matrix[:3, :3]
        return np.concatenate([moving.measure_mm(there), fixed.measure_mm(back)])

    first = np.concatenate([np.zeros(3), start])
    # Steps of a part of a cube for the derivative: the distance field is only piecewise linear.
    solved = least_squares(
        measure, first, loss="soft_l1", f_scale=OUTLIER_MM, diff_step=DERIVATIVE_STEP, max_nfev=60
    )
    return to_matrix(solved.x), np.abs(measure(solved.x)), bool(solved.status > 0)


def _occupy(mask: Mask) -> tuple[Grid, FloatArray]:
    """Return a grid of cubes around a mask and the part of each that is inside."""
    grid = mask.grid
    low = np.array(mask.start_ijk) - 0.5 - REACH_MM / grid.spacing_mm
    high = np.add(mask.start_ijk, mask.crop.shape) - 0.5 + REACH_MM / grid.spacing_mm
    count = np.ceil((high - low) * grid.spacing_mm / WORKING_MM).astype(int)
    coarse = Grid.from_axes(
        shape=(int(count[0]), int(count[1]), int(count[2])),
        spacing_mm=(WORKING_MM,) * 3,
        origin_lps_mm=grid.to_lps_mm(low) + grid.directions @ np.full(3, WORKING_MM / 2),
        directions=grid.directions,
    )
    index_map = grid.ijk_from_lps @ coarse.lps_from_ijk
    sigma = np.maximum(WORKING_MM / grid.spacing_mm, 1.0) / 2
    pad = np.ceil(4 * sigma).astype(int)
    soft = ndimage.gaussian_filter(np.pad(mask.crop.astype(np.float32), [(p, p) for p in pad]), sigma)
    share = ndimage.affine_transform(
        soft,
        index_map[:3, :3],
        offset=index_map[:3, 3] - np.array(mask.start_ijk) + pad,
        output_shape=coarse.shape,
        order=1,
        mode="constant",
    )
    return coarse, np.asarray(share, dtype=np.float64)


def _measure_field(share: FloatArray, points_lps_mm: FloatArray, *, grid: Grid) -> FloatArray:
    """Return signed distances: from the surface points where near, from the cubes where far."""
    outside = ndimage.distance_transform_edt(share < 0.5, sampling=grid.spacing_mm)
    inside = ndimage.distance_transform_edt(share >= 0.5, sampling=grid.spacing_mm)
    field = np.asarray(outside - inside) - np.sign(outside - inside) * WORKING_MM / 2
    near = np.argwhere(np.abs(field) < NEAR_MM)
    exact, _ = cKDTree(points_lps_mm).query(grid.to_lps_mm(near))
    field[tuple(near.T)] = np.sign(field[tuple(near.T)]) * exact
    return np.asarray(field, dtype=np.float64)


def _find_crossings(share: FloatArray) -> FloatArray:
    """Return (n, 3) indices where the half level is crossed between neighbours, by linear interpolation."""
    found = []
    for axis in range(3):
        count = share.shape[axis]
        near = np.take(share, np.arange(count - 1), axis=axis)
        far = np.take(share, np.arange(1, count), axis=axis)
        at = np.argwhere((near < 0.5) != (far < 0.5))
        one, two = near[tuple(at.T)], far[tuple(at.T)]
        points = at.astype(np.float64)
        points[:, axis] += (0.5 - one) / (two - one)
        found.append(points)
    return np.concatenate(found)
