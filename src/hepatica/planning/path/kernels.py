"""Compiled inner loops of paths: those that call each other share a module, and so a cache.

Coordinates are the grid's own axes in millimetres, origin at the outer corner of voxel (0, 0, 0): voxel
(i, j, k) is the closed box from ``(i, j, k) * spacing`` to ``(i + 1, j + 1, k + 1) * spacing``.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Final, TypeVar, cast

import numpy as np
from numba import njit
from numpy.typing import NDArray

from hepatica.core.geometry import FloatArray

F = TypeVar("F", bound=Callable[..., Any])

CODE_MASK: Final = np.uint8(0x0F)
VIABLE_FLAG: Final = np.uint8(0x20)
BODY_FLAG: Final = np.uint8(0x40)
LIVER_FLAG: Final = np.uint8(0x80)
CODE_TARGET: Final = 1
CODE_OTHER_LESION: Final = 2
CODE_ORGAN: Final = 4
CODE_VESSEL: Final = 5
CODE_LUNG: Final = 9
CODE_LIVER: Final = 10
CODE_AIR: Final = 11
SHORTEST_STRETCH_MM: Final = 1e-9
"""Voxels touched at an edge or corner only are visited with no length; they say nothing about the tissue."""
BOUNDARY_TOLERANCE: Final = 1e-9
"""A point this near to a voxel boundary (in voxels) lies on it; the direction of travel then decides."""

VIABLE_DOUBT_MM: Final = 1e-6
"""Added to the most that the way in the target can be; more than any rounding."""
SCORE_UNITS: Final = 1e6
"""Scores are told apart to this part of 1."""
BELOW_HALF: Final = 0.499
"""Added before rounding down: a bound is rounded like its score or to the unit below, never to the one above."""

N_METRICS: Final = 8
"""Liver before the lesion, sine of the capsule angle (-1: no liver, -2: no surface), way in the viable
target, liver crossed before it, gap outside the liver after entering it, other lesion, unlabelled air, obstacle hit
(any but a vessel)."""


def compiled(function: F) -> F:
    """Compile with numba, without the interpreter lock, cached on disk."""
    return cast(F, njit(cache=True, nogil=True, error_model="numpy")(function))


@compiled
def slope(t: float, p: FloatArray, d: FloatArray, lo: FloatArray, hi: FloatArray) -> float:
    """Half the derivative of the squared distance to a box along ``p + t d``: piecewise linear, rising."""
    total = 0.0
    for axis in range(3):
        x = p[axis] + t * d[axis]
        if x < lo[axis]:
            total += d[axis] * (x - lo[axis])
        elif x > hi[axis]:
            total += d[axis] * (x - hi[axis])
    return total


@compiled
def clip(p: float, d: float, lo: float, hi: float, t0: float, t1: float) -> tuple[float, float]:
    """Part of ``t0 .. t1`` where ``lo <= p + t d <= hi``; empty where the first exceeds the second."""
    if d == 0.0:
        return (t0, t1) if lo <= p <= hi else (1.0, 0.0)
    a, b = (lo - p) / d, (hi - p) / d
    if a > b:
        a, b = b, a
    return max(t0, a), min(t1, b)


@compiled
def walk(
    p: FloatArray,
    d: FloatArray,
    spacing: FloatArray,
    shape: NDArray[np.int64],
    voxels: NDArray[np.int64],
    exits: FloatArray,
) -> int:
    """Visit the voxels of the segment ``p + t d`` in order (Amanatides and Woo 1987); returns their number.

    ``voxels`` (n, 3) and ``exits`` (n,) are filled with indices and the parameter t at which each is left.
    Voxels outside the grid end the walk; a start outside the grid gives 0.
    """
    index, step = np.empty(3, np.int64), np.empty(3, np.int64)
    following, delta = np.empty(3), np.empty(3)
    for axis in range(3):
        step[axis], following[axis], delta[axis] = 0, np.inf, np.inf
        x = p[axis] / spacing[axis]
        near = math.floor(x + 0.5)
        if abs(x - near) < BOUNDARY_TOLERANCE:
            index[axis] = near - 1 if d[axis] < 0.0 or (d[axis] == 0.0 and near == shape[axis]) else near
        else:
            index[axis] = math.floor(x)
        if d[axis] != 0.0:
            step[axis] = 1 if d[axis] > 0.0 else -1
            plane = index[axis] + (1 if d[axis] > 0.0 else 0)
            following[axis] = (plane * spacing[axis] - p[axis]) / d[axis]
            delta[axis] = spacing[axis] / abs(d[axis])
    count = 0
    while count < exits.shape[0]:
        for axis in range(3):
            if index[axis] < 0 or index[axis] >= shape[axis]:
                return count
        axis = 0
        if following[1] < following[0]:
            axis = 1
        if following[2] < following[axis]:
            axis = 2
        for a in range(3):
            voxels[count, a] = index[a]
        exits[count] = min(following[axis], 1.0)
        count += 1
        if following[axis] >= 1.0:
            return count
        index[axis] += step[axis]
        following[axis] += delta[axis]
    return count


@compiled
def trace(
    p: FloatArray,
    d: FloatArray,
    tissue: NDArray[np.uint8],
    spacing: FloatArray,
    voxels: NDArray[np.int64],
    exits: FloatArray,
    metrics: FloatArray,
) -> float:
    """Fill what the voxels along a path say (see `N_METRICS`); returns t of the first liver entry, or -1."""
    shape = np.array(tissue.shape, dtype=np.int64)
    length = math.sqrt(d[0] * d[0] + d[1] * d[1] + d[2] * d[2])
    count = walk(p, d, spacing, shape, voxels, exits)
    first_liver, target_at, before, liver, viable, gap = -1.0, -1.0, 0.0, 0.0, 0.0, 0.0
    other, air, hit, begin = 0.0, 0.0, 0.0, 0.0
    for n in range(count):
        value = tissue[voxels[n, 0], voxels[n, 1], voxels[n, 2]]
        code = value & CODE_MASK
        stretch = (exits[n] - begin) * length
        if stretch < SHORTEST_STRETCH_MM:
            begin = exits[n]
            continue
        if first_liver < 0.0 and value & LIVER_FLAG:
            first_liver = begin
        if code == CODE_TARGET and target_at < 0.0:
            target_at = begin
        if code == CODE_AIR:
            air += stretch
        if code == CODE_OTHER_LESION:
            other = 1.0
        if CODE_ORGAN <= code <= CODE_LUNG and code != CODE_VESSEL:
            hit = 1.0
        if first_liver >= 0.0 and not value & LIVER_FLAG:
            gap += stretch
        if target_at < 0.0:
            before = before + stretch if code == CODE_LIVER else 0.0
            liver += stretch if code == CODE_LIVER else 0.0
        if value & VIABLE_FLAG:
            viable += stretch
        begin = exits[n]
    metrics[0], metrics[2], metrics[3], metrics[4], metrics[5] = before, viable, liver, gap, other
    metrics[6], metrics[7] = air, hit
    return first_liver


@compiled
def leaves_liver(
    p: FloatArray,
    d: FloatArray,
    tissue: NDArray[np.uint8],
    spacing: FloatArray,
    voxels: NDArray[np.int64],
    exits: FloatArray,
) -> float:
    """Parameter t at which the segment first is outside the liver, or -1 if it never is."""
    count = walk(p, d, spacing, np.array(tissue.shape, dtype=np.int64), voxels, exits)
    begin = 0.0
    for n in range(count):
        inside = tissue[voxels[n, 0], voxels[n, 1], voxels[n, 2]] & LIVER_FLAG
        if not inside and exits[n] > begin:
            return begin
        begin = exits[n]
    return -1.0 if count > 0 and begin >= 1.0 else begin


@compiled
def trace_paths(
    starts_mm: FloatArray,
    ends_mm: FloatArray,
    tissue: NDArray[np.uint8],
    spacing: FloatArray,
    metrics: FloatArray,
) -> None:
    """Fill the metrics of (n, 3) paths but the capsule angle, in whose place goes t of the liver entry."""
    room = tissue.shape[0] + tissue.shape[1] + tissue.shape[2] + 4
    visited, exits, d = np.empty((room, 3), np.int64), np.empty(room), np.empty(3)
    for n in range(starts_mm.shape[0]):
        for axis in range(3):
            d[axis] = ends_mm[n, axis] - starts_mm[n, axis]
        metrics[n, 1] = trace(starts_mm[n], d, tissue, spacing, visited, exits, metrics[n])


@compiled
def measure_pairs(
    entries_mm: FloatArray,
    tips_mm: FloatArray,
    entry: NDArray[np.int32],
    tip: NDArray[np.int32],
    axes: FloatArray,
    box: FloatArray,
    ball: FloatArray,
    out: FloatArray,
) -> None:
    """Fill (4, n) for n pairs of an entry and a tip: length, tilt and angle in the axial plane in degrees, and what
    their way in the target is at most. ``axes``: toward the head, to the side, and along gravity in the axial
    plane. ``box`` (2, 3) and ``ball`` (centre, radius) both hold all of the target."""
    d, along = np.empty(3), np.empty(3)
    for n in range(entry.shape[0]):
        p, total = entries_mm[entry[n]], 0.0
        t0, t1, b, c = 0.0, 1.0, 0.0, -ball[3] * ball[3]
        for axis in range(3):
            d[axis] = tips_mm[tip[n], axis] - p[axis]
            total += d[axis] * d[axis]
            t0, t1 = clip(p[axis], d[axis], box[0, axis], box[1, axis], t0, t1)
            b += d[axis] * (p[axis] - ball[axis])
            c += (p[axis] - ball[axis]) ** 2
        for row in range(3):
            along[row] = axes[row, 0] * d[0] + axes[row, 1] * d[1] + axes[row, 2] * d[2]
        root = b * b - total * c
        if root > 0.0:
            t0 = max(t0, (-b - math.sqrt(root)) / total)
            t1 = min(t1, (-b + math.sqrt(root)) / total)
        out[0, n] = max(math.sqrt(total), SHORTEST_STRETCH_MM)
        out[1, n] = math.degrees(math.asin(min(max(along[0] / out[0, n], -1.0), 1.0)))
        out[2, n] = math.degrees(math.atan2(along[1], along[2]))
        out[3, n] = max(t1 - t0, 0.0) * out[0, n] if root > 0.0 else 0.0


@compiled
def to_share(value: float) -> float:
    """Turn a term into a share of 1; what is not a number counts as nothing."""
    if not value > 0.0:
        return 0.0
    return value if value < 1.0 else 1.0


@compiled
def bound_scores(
    length_mm: FloatArray,
    tilt_deg: FloatArray,
    in_plane_deg: FloatArray,
    viable_mm: FloatArray,
    scales: FloatArray,
    out: FloatArray,
) -> None:
    """Fill (n,) what the score of a pair is at least: the terms of `ranking.derive_terms` that its geometry gives.

    ``scales``: weight and largest tilt, weight and largest length, weight of the in-plane angle, weight and comfort
    of the way in the target. An unknown angle counts as nothing. Bounds are rounded as scores are, never above.
    """
    for n in range(length_mm.shape[0]):
        total = scales[0] * to_share(abs(tilt_deg[n]) / scales[1])
        total += scales[2] * to_share(length_mm[n] / scales[3])
        total += scales[4] * to_share(abs(in_plane_deg[n]) / 90.0)
        total += scales[5] * to_share(1.0 - (viable_mm[n] + VIABLE_DOUBT_MM) / scales[6])
        out[n] = math.floor(total * SCORE_UNITS + BELOW_HALF) / SCORE_UNITS


@compiled
def find_run_out_exits(
    ends_mm: FloatArray,
    run_outs_mm: FloatArray,
    tissue: NDArray[np.uint8],
    spacing: FloatArray,
    exits_at: FloatArray,
) -> None:
    """Fill `leaves_liver` of (n, 3) run-outs that start at the tips."""
    room = tissue.shape[0] + tissue.shape[1] + tissue.shape[2] + 4
    visited, exits = np.empty((room, 3), np.int64), np.empty(room)
    for n in range(ends_mm.shape[0]):
        exits_at[n] = leaves_liver(ends_mm[n], run_outs_mm[n], tissue, spacing, visited, exits)


@compiled
def find_near_boxes(
    entries_mm: FloatArray,
    tips_mm: FloatArray,
    entry: NDArray[np.int32],
    tip: NDArray[np.int32],
    run_out: float,
    boxes: FloatArray,
    near: NDArray[np.bool_],
) -> None:
    """Tell which pairs, run-out included, meet any of (b, 2, 3) boxes."""
    for n in range(entry.shape[0]):
        p, q = entries_mm[entry[n]], tips_mm[tip[n]]
        total = 0.0
        for axis in range(3):
            total += (q[axis] - p[axis]) ** 2
        last = 1.0 + run_out / math.sqrt(total)
        near[n] = False
        for b in range(boxes.shape[0]):
            t0, t1 = 0.0, last
            for axis in range(3):
                t0, t1 = clip(p[axis], q[axis] - p[axis], boxes[b, 0, axis], boxes[b, 1, axis], t0, t1)
            near[n] |= t0 <= t1
