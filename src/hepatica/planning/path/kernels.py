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
def segment_box_distance2(p: FloatArray, d: FloatArray, lo: FloatArray, hi: FloatArray) -> float:
    """Squared distance from the segment ``p + t d``, 0 <= t <= 1, to a closed box: closed form.

    The squared distance is convex and piecewise quadratic in t. Its slope is linear between the at most six
    crossings of the box's planes; the bracket of its root shrinks to one such piece, where the root is exact.
    """
    a, b = 0.0, 1.0
    at_a, at_b = slope(0.0, p, d, lo, hi), slope(1.0, p, d, lo, hi)
    if at_a >= 0.0:
        t = 0.0
    elif at_b <= 0.0:
        t = 1.0
    else:
        for axis in range(3):
            if d[axis] == 0.0:
                continue
            for side in range(2):
                c = ((lo[axis] if side == 0 else hi[axis]) - p[axis]) / d[axis]
                if a < c < b:
                    at_c = slope(c, p, d, lo, hi)
                    if at_c < 0.0:
                        a, at_a = c, at_c
                    else:
                        b, at_b = c, at_c
        t = a + (b - a) * at_a / (at_a - at_b)
    total = 0.0
    for axis in range(3):
        x = p[axis] + t * d[axis]
        gap = max(lo[axis] - x, x - hi[axis], 0.0)
        total += gap * gap
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
def first_block(p: float, d: float, t0: float, t1: float, reach: float, edge: float) -> int:
    """First block index within reach of the stretch ``t0 .. t1`` along one axis."""
    return max(0, math.floor((min(p + t0 * d, p + t1 * d) - reach) / edge))


@compiled
def last_block(p: float, d: float, t0: float, t1: float, reach: float, edge: float, count: int) -> int:
    """One more than the last block index within reach of the stretch ``t0 .. t1`` along one axis."""
    return min(count, math.floor((max(p + t0 * d, p + t1 * d) + reach) / edge) + 1)


@compiled
def scan_block(
    p: FloatArray,
    d: FloatArray,
    spacing: FloatArray,
    voxels: NDArray[np.int16],
    layers: NDArray[np.uint8],
    best: FloatArray,
) -> bool:
    """Lower ``best[layer]`` by the boxes of one block; only boxes with a near centre are measured.

    Returns whether any was lowered.
    """
    lowered = False
    half = 0.5 * math.sqrt(spacing[0] ** 2 + spacing[1] ** 2 + spacing[2] ** 2)
    length2 = d[0] * d[0] + d[1] * d[1] + d[2] * d[2]
    lo, hi = np.empty(3), np.empty(3)
    for n in range(layers.shape[0]):
        layer = layers[n]
        if best[layer] <= 0.0:
            continue
        along, total = 0.0, 0.0
        for axis in range(3):
            away = (voxels[n, axis] + 0.5) * spacing[axis] - p[axis]
            along += away * d[axis]
            total += away * away
        t = 0.0 if length2 == 0.0 else min(max(along / length2, 0.0), 1.0)
        near = best[layer] + half
        if total - 2.0 * t * along + t * t * length2 > near * near * (1.0 + 1e-9):
            continue
        for axis in range(3):
            lo[axis] = voxels[n, axis] * spacing[axis]
            hi[axis] = lo[axis] + spacing[axis]
        found = segment_box_distance2(p, d, lo, hi)
        if found < best[layer] * best[layer]:
            best[layer] = math.sqrt(found)
            lowered = True
    return lowered


@compiled
def reaches_block(
    p: FloatArray,
    d: FloatArray,
    x: float,
    y: float,
    z: float,
    ex: float,
    ey: float,
    ez: float,
    layers: int,
    best: FloatArray,
) -> bool:
    """Whether a block with a bit set of layers is near enough to lower any of their distances."""
    reach = 0.0
    for layer in range(best.shape[0]):
        if (layers >> layer) & 1:
            reach = max(reach, best[layer])
    lo, hi = np.array([x, y, z]), np.array([x + ex, y + ey, z + ez])
    return reach > 0.0 and segment_box_distance2(p, d, lo, hi) < reach * reach * (1.0 + 1e-9)


@compiled
def scan_clearances(
    p: FloatArray,
    d: FloatArray,
    spacing: FloatArray,
    block: NDArray[np.int64],
    starts: NDArray[np.int64],
    voxels: NDArray[np.int16],
    layers: NDArray[np.uint8],
    best: FloatArray,
    stop: bool,
) -> None:
    """Lower ``best[layer]`` to the exact distance from the segment ``p + t d`` to each layer's boxes.

    ``best`` comes in with the distances up to which each layer matters (0 or less: not at all). ``starts``
    (x, y, z, 3) gives each block's first voxel, one past its last, and its layers as bits. With ``stop`` the
    scan ends with the first block that lowers anything.
    """
    reach = best.max()
    if reach <= 0.0:
        return
    ex, ey, ez = block[0] * spacing[0], block[1] * spacing[1], block[2] * spacing[2]
    for z in range(
        first_block(p[2], d[2], 0.0, 1.0, reach, ez),
        last_block(p[2], d[2], 0.0, 1.0, reach, ez, starts.shape[2]),
    ):
        z0, z1 = clip(p[2], d[2], z * ez - reach, (z + 1) * ez + reach, 0.0, 1.0)
        if z0 > z1:
            continue
        for y in range(
            first_block(p[1], d[1], z0, z1, reach, ey),
            last_block(p[1], d[1], z0, z1, reach, ey, starts.shape[1]),
        ):
            y0, y1 = clip(p[1], d[1], y * ey - reach, (y + 1) * ey + reach, z0, z1)
            if y0 > y1:
                continue
            for x in range(
                first_block(p[0], d[0], y0, y1, reach, ex),
                last_block(p[0], d[0], y0, y1, reach, ex, starts.shape[0]),
            ):
                a, b = starts[x, y, z, 0], starts[x, y, z, 1]
                if a >= b:
                    continue
                if not reaches_block(p, d, x * ex, y * ey, z * ez, ex, ey, ez, starts[x, y, z, 2], best):
                    continue
                if scan_block(p, d, spacing, voxels[a:b], layers[a:b], best) and stop:
                    return


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
    index = np.empty(3, np.int64)
    step = np.zeros(3, np.int64)
    following, delta = np.full(3, np.inf), np.full(3, np.inf)
    for axis in range(3):
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
def clear_paths(  # noqa: C901
    starts_mm: FloatArray,
    ends_mm: FloatArray,
    tissue: NDArray[np.uint8],
    spacing: FloatArray,
    run_out: float,
    comfort: float,
    block: NDArray[np.int64],
    starts: NDArray[np.int64],
    voxels: NDArray[np.int16],
    layers: NDArray[np.uint8],
    reach: FloatArray,
    doubts: FloatArray,
    broken: NDArray[np.uint32],
    slack: FloatArray,
) -> None:
    """Judge (n, 3) paths: set bit ``layer`` of ``broken`` where a layer is nearer than its reach; ``slack``
    becomes the least distance beyond the reach, at most ``comfort``.

    ``doubts`` (n, 2) is the stretch in mm from the start outside which a path surely has the comfort beyond
    every reach; only this stretch is measured. Without a comfort all bits are found; with one, the first
    layer that is too near ends the judgement.

    The part of the run-out that lies outside the liver is judged like the path itself, without slack.
    """
    room = tissue.shape[0] + tissue.shape[1] + tissue.shape[2] + 4
    visited, exits = np.empty((room, 3), np.int64), np.empty(room)
    best, d, q, u, v = np.empty(reach.shape[0]), np.empty(3), np.empty(3), np.empty(3), np.empty(3)
    for n in range(starts_mm.shape[0]):
        p = starts_mm[n]
        for axis in range(3):
            d[axis] = ends_mm[n, axis] - p[axis]
        length = math.sqrt(d[0] * d[0] + d[1] * d[1] + d[2] * d[2])
        first, last = doubts[n, 0] / length, min(1.0, doubts[n, 1] / length)
        best[:] = reach
        for axis in range(3):
            u[axis] = p[axis] + first * d[axis]
            v[axis] = (last - first) * d[axis]
        if first <= last:
            scan_clearances(u, v, spacing, block, starts, voxels, layers, best, comfort > 0.0)
        clear = True
        for layer in range(reach.shape[0]):
            clear &= best[layer] >= reach[layer]
        slack[n] = 0.0
        if clear and comfort > 0.0:
            best[:] = reach + comfort
            if first <= last:
                scan_clearances(u, v, spacing, block, starts, voxels, layers, best, False)
            slack[n] = comfort
            for layer in range(reach.shape[0]):
                slack[n] = min(slack[n], best[layer] - reach[layer])
                best[layer] = min(best[layer], reach[layer])
        for axis in range(3):
            q[axis] = ends_mm[n, axis]
            d[axis] *= run_out / length
        if clear or comfort == 0.0:
            left = leaves_liver(q, d, tissue, spacing, visited, exits)
            if left >= 0.0:
                for axis in range(3):
                    q[axis] += left * d[axis]
                    d[axis] *= 1.0 - left
                scan_clearances(q, d, spacing, block, starts, voxels, layers, best, False)
        bits = np.uint32(0)
        for layer in range(reach.shape[0]):
            if best[layer] < reach[layer]:
                bits |= np.uint32(1) << np.uint32(layer)
        broken[n] = bits
