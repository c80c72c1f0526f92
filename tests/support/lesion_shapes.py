"""Masks of known geometry and slow, plain measures to compare with, for tests of the lesions room."""

from __future__ import annotations

import itertools
import math

import numpy as np

from hepatica.core.geometry import Grid
from hepatica.imaging.mask import Mask


def make_grid(
    shape, spacing_mm=(1.0, 1.0, 1.0), *, origin=(0.0, 0.0, 0.0), directions=None, slice_axis=2
) -> Grid:
    return Grid.from_axes(
        shape=shape, spacing_mm=spacing_mm, origin_lps_mm=origin, directions=directions, slice_axis=slice_axis
    )


def rotation(axis, angle_deg) -> np.ndarray:
    """Rodrigues' formula."""
    x, y, z = np.asarray(axis, float) / np.linalg.norm(axis)
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    a = math.radians(angle_deg)
    return np.eye(3) + math.sin(a) * cross + (1 - math.cos(a)) * cross @ cross


def ellipsoid_mask(grid: Grid, centre_lps_mm, radii_mm, *, turn=None) -> Mask:
    """Voxels whose centre lies in an ellipsoid whose axes are the columns of ``turn``."""
    index = np.indices(grid.shape).reshape(3, -1).T
    local = (grid.to_lps_mm(index) - np.asarray(centre_lps_mm)) @ (np.eye(3) if turn is None else turn)
    inside = ((local / np.asarray(radii_mm)) ** 2).sum(axis=1) <= 1
    return Mask.from_full(inside.reshape(grid.shape), grid=grid)


def plane_mask(pixels, spacing_mm=(1.0, 1.0, 1.0), *, margin: int = 2) -> Mask:
    """One slice of a 2-D pattern."""
    full = np.pad(np.asarray(pixels, bool)[:, :, None], margin)
    return Mask.from_full(full, grid=make_grid(full.shape, spacing_mm))


def slow_boundary(pixels) -> np.ndarray:
    """Pixels or voxels with a face neighbour outside, by looking at each."""
    solid = {tuple(p) for p in np.argwhere(pixels)}
    steps = [s for s in itertools.product((-1, 0, 1), repeat=pixels.ndim) if sum(map(abs, s)) == 1]
    return np.array(
        [p for p in sorted(solid) if any(tuple(np.add(p, s).tolist()) not in solid for s in steps)], float
    )


def slow_longest_mm(points_mm) -> float:
    """Largest distance over all pairs."""
    return max((math.dist(a, b) for a, b in itertools.combinations(points_mm, 2)), default=0.0)


def slow_longest_diameter_mm(mask: Mask) -> float:
    """Largest distance over all pairs of boundary pixels of each slice."""
    axis = mask.grid.slice_axis
    plane = np.delete(mask.grid.spacing_mm, axis)
    slices = np.moveaxis(mask.crop, axis, 0)
    return max(slow_longest_mm(slow_boundary(pixels) * plane) for pixels in slices if pixels.any())


def slow_half_level(pixels, p: float, q: float) -> float:
    """Marching-squares field at a point: which side of the half-level contour it lies on (> 0 inside).

    Inside one cell the contour joins the middles of the cell's edges; two opposite corners are joined.
    """
    a, b = math.floor(p), math.floor(q)
    x, y = p - a, q - b

    def at(i, j):
        return bool(0 <= i < pixels.shape[0] and 0 <= j < pixels.shape[1] and pixels[i, j])

    corners = [at(a, b), at(a + 1, b), at(a + 1, b + 1), at(a, b + 1)]
    count = sum(corners)
    # distance of each corner's cut-off triangle: x + y < 0.5 and its mirror images
    cuts = [0.5 - (x + y), 0.5 - ((1 - x) + y), 0.5 - ((1 - x) + (1 - y)), 0.5 - (x + (1 - y))]
    if count in (0, 4):
        return 1.0 if count else -1.0
    if count == 1:
        return cuts[corners.index(True)]
    if count == 3:
        return -cuts[corners.index(False)]
    if corners[0] == corners[2]:
        return -max(c for c, on in zip(cuts, corners, strict=True) if not on)
    if corners[0] and corners[1]:
        return 0.5 - y
    if corners[2] and corners[3]:
        return y - 0.5
    return 0.5 - x if corners[0] else x - 0.5


def slow_longest_chord_mm(pixels, spacing_mm, ends_mm, *, step_mm: float = 0.01) -> float:
    """Longest run inside the half-level contour over densely sampled lines across ``ends_mm``."""
    ends = np.asarray(ends_mm, float)
    along = (ends[1] - ends[0]) / np.linalg.norm(ends[1] - ends[0])
    across = np.array([-along[1], along[0]])
    reach = np.linalg.norm(np.array(pixels.shape) * spacing_mm) + 2
    middle = ends.mean(axis=0)
    best = 0.0
    ts = np.arange(-reach, reach, step_mm)
    for u in np.arange(-reach, reach, 0.05):
        points = (middle + u * along + ts[:, None] * across) / spacing_mm
        inside = np.array([slow_half_level(pixels, p, q) > 0 for p, q in points])
        if not inside.any():
            continue
        edges = np.flatnonzero(np.diff(np.concatenate([[0], inside.astype(int), [0]])))
        best = max(best, float((edges[1::2] - edges[0::2]).max()) * step_mm)
    return best


def slow_gap_mm(first: Mask, second: Mask) -> float:
    """Gap between two sets of closed voxel boxes over all pairs."""
    best = math.inf
    for a in first.index_ijk():
        for b in second.index_ijk():
            steps = [
                max(abs(int(p) - int(q)) - 1, 0) * s
                for p, q, s in zip(a, b, first.grid.spacing_mm, strict=True)
            ]
            best = min(best, math.hypot(*steps))
    return best
