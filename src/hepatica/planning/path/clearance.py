"""Exact distances between a needle and voxel boxes. Never read from a distance field."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike

from hepatica.core.geometry import FloatArray
from hepatica.planning.path import clearance_kernels
from hepatica.planning.path.obstacles import Obstacles
from hepatica.planning.path.scene import Scene


def measure_box_distance_mm(start: ArrayLike, end: ArrayLike, low: ArrayLike, high: ArrayLike) -> float:
    """Return the distance from a segment to a closed axis-aligned box, in closed form.

    Parameters
    ----------
    start, end
        (3,) ends of the segment; they may coincide.
    low, high
        (3,) smallest and largest corner.

    Examples
    --------
    >>> measure_box_distance_mm([-5, 3, 0], [5, 3, 0], [-1, -1, -1], [1, 1, 1])
    2.0
    """
    p = np.asarray(start, dtype=np.float64)
    d = np.asarray(end, dtype=np.float64) - p
    lo, hi = np.asarray(low, dtype=np.float64), np.asarray(high, dtype=np.float64)
    return math.sqrt(clearance_kernels.segment_box_distance2(p, d, lo, hi))


def measure_distances_mm(
    obstacles: Obstacles, start_local_mm: FloatArray, end_local_mm: FloatArray, *, spacing_mm: FloatArray
) -> FloatArray:
    """Return the (n,) exact distance from a segment to each layer's boxes; infinity for an empty layer.

    Parameters
    ----------
    obstacles
        Layers; a segment that starts inside a structure must cross its boundary to be seen, which a path from
        outside the body always does.
    start_local_mm, end_local_mm
        (3,) ends in the grid's own axes (`Scene.to_local_mm`).
    spacing_mm
        (3,) voxel spacing.
    """
    distances = np.empty(len(obstacles.layers))
    clearance_kernels.find_nearest_boxes(
        start_local_mm,
        end_local_mm - start_local_mm,
        spacing_mm,
        obstacles.block,
        obstacles.starts,
        obstacles.filled,
        obstacles.voxels,
        obstacles.layer_of_voxel,
        distances,
    )
    return distances


def measure_slack_mm(
    scene: Scene, start_lps_mm: FloatArray, end_lps_mm: FloatArray, *, beyond_mm: float
) -> float:
    """Return the smallest clearance minus margin over all layers, capped at ``beyond_mm``.

    Zero is just allowed, negative is not; exact below the cap.
    """
    obstacles = scene.obstacles
    if not obstacles.layers:
        return beyond_mm
    needed = obstacles.margins_mm() + scene.needle_radius_mm
    best = needed + beyond_mm
    start = scene.to_local_mm(start_lps_mm)
    clearance_kernels.scan_clearances(
        start,
        scene.to_local_mm(end_lps_mm) - start,
        scene.grid.spacing_mm,
        obstacles.block,
        obstacles.starts,
        obstacles.voxels,
        obstacles.layer_of_voxel,
        best,
        clearance_kernels.REFINE,
    )
    return float((best - needed).min())


def measure_segment_distance_mm(
    start: FloatArray, end: FloatArray, other_start: FloatArray, other_end: FloatArray
) -> FloatArray:
    """Return the (n,) distance between segments (n, 3) .. (n, 3) and one other segment, in closed form.

    The squared distance is convex over the unit square of both parameters: its minimum is the meeting of the
    two lines if that lies inside, otherwise one of the four ends against the other segment.
    """
    start, end = np.atleast_2d(start), np.atleast_2d(end)
    other_start, other_end = np.asarray(other_start, float), np.asarray(other_end, float)
    d, e, r = end - start, other_end - other_start, start - other_start
    a, b, c = (d * d).sum(axis=1), d @ e, float(e @ e)
    f, g = (d * r).sum(axis=1), r @ e
    determinant = a * c - b * b
    safe = np.where(determinant > 0, determinant, 1.0)
    s, t = (b * g - c * f) / safe, (a * g - b * f) / safe
    inside = (determinant > 1e-12 * a * c) & (s >= 0) & (s <= 1) & (t >= 0) & (t <= 1)
    meeting = np.linalg.norm(r + s[:, None] * d - t[:, None] * e, axis=1)
    ends = np.minimum.reduce(
        [
            _to_segment(start, other_start, e),
            _to_segment(end, other_start, e),
            _to_segment(other_start, start, d),
            _to_segment(other_end, start, d),
        ]
    )
    return np.asarray(np.where(inside, np.minimum(meeting, ends), ends))


def _to_segment(point: FloatArray, start: FloatArray, direction: FloatArray) -> FloatArray:
    away = point - start
    length2 = np.maximum(np.sum(direction * direction, axis=-1), 1e-300)
    t = np.clip((away * direction).sum(axis=-1) / length2, 0.0, 1.0)
    return np.asarray(np.linalg.norm(away - t[..., None] * direction, axis=-1))
