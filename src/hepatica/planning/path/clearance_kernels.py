"""Compiled distances between needles and voxel boxes, exact, and where the slack field spares them.

Coordinates are those of `hepatica.planning.path.kernels`.
"""

from __future__ import annotations

import math
from typing import Final, cast

import numpy as np
from numpy.typing import NDArray

from hepatica.core.geometry import FloatArray
from hepatica.planning.path.kernels import clip, compiled, slope

SURE_HIT: Final = -128
"""Slack of a coarse cell whose every point breaks a margin for certain."""
NUDGE_MM: Final = 1e-7
"""Steps end this far beyond a cell's face, so that rounding never holds a march on it."""
REFINE: Final = cast("int", np.int64(0))
STOP: Final = cast("int", np.int64(1))
ONCE: Final = cast("int", np.int64(2))
NONE: Final = cast("int", np.int64(0))
"""What a scan does with a box that is nearer than the layer's best: go on with it as the new best; end; or leave
the layer at 0, for that it is too near is all that is asked. Plain numbers would be types of their own to the
compiler, and every loop compiled once for each."""
MERGE_MM: Final = 3.0
"""Doubtful stretches nearer to each other than this are measured as one; changes speed only."""


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
    first: int,
    last: int,
    best: FloatArray,
    mode: int,
    lo: FloatArray,
    hi: FloatArray,
) -> bool:
    """Lower ``best[layer]`` by the boxes ``first`` to ``last``; only boxes with a near centre are measured.

    Returns whether any was lowered. ``lo`` and ``hi`` are room to work in.
    """
    lowered = False
    half = 0.5 * math.sqrt(spacing[0] ** 2 + spacing[1] ** 2 + spacing[2] ** 2)
    length2 = d[0] * d[0] + d[1] * d[1] + d[2] * d[2]
    for n in range(first, last):
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
            best[layer] = 0.0 if mode == ONCE else math.sqrt(found)
            lowered = True
    return lowered


@compiled
def block_distance(p: FloatArray, d: FloatArray, index: NDArray[np.int64], edges: FloatArray) -> float:
    """Least distance that anything in a block may have from the segment: cheap, and never too large."""
    along, total, length2, size = 0.0, 0.0, 0.0, 0.0
    for axis in range(3):
        away = (index[axis] + 0.5) * edges[axis] - p[axis]
        along += away * d[axis]
        total += away * away
        length2 += d[axis] * d[axis]
        size += edges[axis] * edges[axis]
    t = 0.0 if length2 == 0.0 else min(max(along / length2, 0.0), 1.0)
    return math.sqrt(max(total - 2.0 * t * along + t * t * length2, 0.0)) - 0.5 * math.sqrt(size) - 1e-6


@compiled
def scan_clearances(  # noqa: C901
    p: FloatArray,
    d: FloatArray,
    spacing: FloatArray,
    block: NDArray[np.int64],
    starts: NDArray[np.int64],
    voxels: NDArray[np.int16],
    layers: NDArray[np.uint8],
    best: FloatArray,
    mode: int,
) -> bool:
    """Lower ``best[layer]`` to the exact distance from the segment ``p + t d`` to each layer's boxes.

    ``best`` comes in with the distances up to which each layer matters (0 or less: not at all). ``starts``
    (x, y, z, 3) gives each block's first voxel, one past its last, and its layers as bits. With the mode `STOP`
    the scan ends with the first block that lowers anything. Returns whether anything was lowered.
    """
    # Loops, not array expressions: those take longer to compile than to run.
    reach, lowered = 0.0, False
    for layer in range(best.shape[0]):
        reach = max(reach, best[layer])
    if reach <= 0.0:
        return lowered
    edges, index, lo, hi = np.empty(3), np.empty(3, np.int64), np.empty(3), np.empty(3)
    for axis in range(3):
        edges[axis] = block[axis] * spacing[axis]
    ex, ey, ez = edges[0], edges[1], edges[2]
    for z in range(
        first_block(p[2], d[2], 0.0, 1.0, reach, ez),
        last_block(p[2], d[2], 0.0, 1.0, reach, ez, starts.shape[2]),
    ):
        z0, z1 = clip(p[2], d[2], z * ez - reach, (z + 1) * ez + reach, 0.0, 1.0)
        if z0 > z1:
            continue
        index[2] = z
        for y in range(
            first_block(p[1], d[1], z0, z1, reach, ey),
            last_block(p[1], d[1], z0, z1, reach, ey, starts.shape[1]),
        ):
            y0, y1 = clip(p[1], d[1], y * ey - reach, (y + 1) * ey + reach, z0, z1)
            if y0 > y1:
                continue
            index[1] = y
            for x in range(
                first_block(p[0], d[0], y0, y1, reach, ex),
                last_block(p[0], d[0], y0, y1, reach, ex, starts.shape[0]),
            ):
                a, b = starts[x, y, z, 0], starts[x, y, z, 1]
                if a >= b:
                    continue
                index[0] = x
                near = 0.0
                for layer in range(best.shape[0]):
                    if (starts[x, y, z, 2] >> layer) & 1:
                        near = max(near, best[layer])
                if near <= 0.0 or block_distance(p, d, index, edges) >= near:
                    continue
                if scan_block(p, d, spacing, voxels, layers, a, b, best, mode, lo, hi):
                    lowered = True
                    if mode == STOP:
                        return lowered
    return lowered


@compiled
def find_nearest_boxes(  # noqa: C901
    p: FloatArray,
    d: FloatArray,
    spacing: FloatArray,
    block: NDArray[np.int64],
    starts: NDArray[np.int64],
    filled: NDArray[np.int64],
    voxels: NDArray[np.int16],
    layers: NDArray[np.uint8],
    best: FloatArray,
) -> None:
    """Fill ``best[layer]`` with the exact distance from the segment to each layer, however far it is.

    The block of each layer that may be nearest is measured first; then every block that may still be nearer.
    """
    edges, lo, hi = np.empty(3), np.empty(3), np.empty(3)
    index, least = np.empty(3, np.int64), np.empty(filled.shape[0])
    nearest, choice = np.empty(best.shape[0]), np.empty(best.shape[0], np.int64)
    for layer in range(best.shape[0]):
        nearest[layer], choice[layer], best[layer] = np.inf, -1, np.inf
    for axis in range(3):
        edges[axis] = block[axis] * spacing[axis]
    for n in range(filled.shape[0]):
        for axis in range(3):
            index[axis] = filled[n, axis]
        least[n] = block_distance(p, d, index, edges)
        bits = starts[filled[n, 0], filled[n, 1], filled[n, 2], 2]
        for layer in range(best.shape[0]):
            if (bits >> layer) & 1 and least[n] < nearest[layer]:
                nearest[layer], choice[layer] = least[n], n
    for layer in range(best.shape[0]):
        n = choice[layer]
        if n >= 0:
            x, y, z = filled[n, 0], filled[n, 1], filled[n, 2]
            scan_block(
                p, d, spacing, voxels, layers, starts[x, y, z, 0], starts[x, y, z, 1], best, REFINE, lo, hi
            )
    for n in range(filled.shape[0]):
        x, y, z = filled[n, 0], filled[n, 1], filled[n, 2]
        bits, near = starts[x, y, z, 2], 0.0
        for layer in range(best.shape[0]):
            if (bits >> layer) & 1:
                near = max(near, best[layer])
        if least[n] < near:
            scan_block(
                p, d, spacing, voxels, layers, starts[x, y, z, 0], starts[x, y, z, 1], best, REFINE, lo, hi
            )


@compiled
def step_through_cell(
    p: FloatArray, d: FloatArray, t: float, slack: NDArray[np.int8], cell: float, per_mm: float, wanted: int
) -> tuple[int, float]:
    """Slack of the cell at ``p + t d`` (unit ``d``), and how far the path may go on before it must look again.

    Outside the field there is no slack. A step is as long as the slack beyond what is wanted, or to the end
    of the cell where that is further.
    """
    x, y, z = p[0] + t * d[0], p[1] + t * d[1], p[2] + t * d[2]
    i, j, k = math.floor(x / cell), math.floor(y / cell), math.floor(z / cell)
    if i < 0 or j < 0 or k < 0 or i >= slack.shape[0] or j >= slack.shape[1] or k >= slack.shape[2]:
        return SURE_HIT + 1, cell
    value = int(slack[i, j, k])
    step = (value - wanted) / per_mm
    if step < cell:
        leave = 1e30
        for axis in range(3):
            at, u = (x, i) if axis == 0 else ((y, j) if axis == 1 else (z, k))
            if d[axis] > 0.0:
                leave = min(leave, ((u + 1) * cell - at) / d[axis])
            elif d[axis] < 0.0:
                leave = min(leave, (u * cell - at) / d[axis])
        step = max(step, leave + NUDGE_MM)
    return value, step


@compiled
def scan_doubts(  # noqa: C901
    p: FloatArray,
    d: FloatArray,
    span: tuple[float, float],
    slack: NDArray[np.int8],
    corner: FloatArray,
    cell: float,
    per_mm: float,
    wanted: int,
    spacing: FloatArray,
    block: NDArray[np.int64],
    starts: NDArray[np.int64],
    voxels: NDArray[np.int16],
    layers: NDArray[np.uint8],
    best: FloatArray,
    mode: int,
    u: FloatArray,
) -> bool:
    """Lower ``best`` as `scan_clearances` does, but only on the stretches of ``span`` (mm along the unit vector
    ``d``) where the field cannot vouch for the wanted slack. With the mode `STOP` a sure hit ends it too.

    Returns whether anything was lowered or surely hit. ``u`` (3, 3) is room to work in.
    """
    t, last = span
    lowered, begin, end = False, -1.0, 0.0
    for axis in range(3):
        u[0, axis] = p[axis] - corner[axis]
    while True:
        done = t > last
        if not done:
            value, step = step_through_cell(u[0], d, t, slack, cell, per_mm, wanted)
            if mode == STOP and value == SURE_HIT:
                return True
            if value < wanted:
                if begin >= 0.0 and t - end <= MERGE_MM:
                    end = min(t + step, last)
                elif begin < 0.0:
                    begin, end = max(t - 2.0 * NUDGE_MM, span[0]), min(t + step, last)
                else:
                    done = True
        if done and begin >= 0.0:
            for axis in range(3):
                u[1, axis] = p[axis] + begin * d[axis]
                u[2, axis] = (end - begin) * d[axis]
            lowered |= scan_clearances(u[1], u[2], spacing, block, starts, voxels, layers, best, mode)
            if lowered and mode == STOP:
                return True
            begin = -1.0
            if t <= last:
                begin, end = max(t - 2.0 * NUDGE_MM, span[0]), min(t + step, last)
        if t > last:
            return lowered
        t += step


@compiled
def clear_paths(  # noqa: C901
    starts_mm: FloatArray,
    ends_mm: FloatArray,
    exits_at: FloatArray,
    spacing: FloatArray,
    run_out: float,
    comfort: float,
    block: NDArray[np.int64],
    starts: NDArray[np.int64],
    voxels: NDArray[np.int16],
    layers: NDArray[np.uint8],
    reach: FloatArray,
    field: NDArray[np.int8],
    corner: FloatArray,
    cell: float,
    per_mm: float,
    least: FloatArray,
    broken: NDArray[np.uint32],
    slack: FloatArray,
    done: NDArray[np.bool_],
) -> None:
    """Judge (n, 3) paths: set bit ``layer`` of ``broken`` where a layer is nearer than its reach; ``slack``
    becomes the least distance beyond the reach, at most ``comfort``.

    Only stretches where the slack field (``field``, with its corner and units) leaves doubt are measured.
    Without a comfort all bits are found; with one, the first layer that is too near ends the judgement, and a
    sure hit of the field sets every bit. It also ends where the slack of a path is found to be below the ``least``
    (n,) that matters: then ``done`` is false, and ``slack`` what it is at most.

    The part of the run-out that lies outside the liver, from ``exits_at`` (n,) of its length on, is judged like
    the path itself, without slack; -1 where it never leaves.
    """
    best, d, u = np.empty(reach.shape[0]), np.empty(3), np.empty((3, 3))
    ends = np.uint32(0xFFFFFFFF)
    early, wanted = comfort > 0.0, math.ceil(comfort * per_mm)
    mode = STOP if early else ONCE
    # No obstacle is farther from a tip than this, however far the run-out goes.
    far = cell * (field.shape[0] + field.shape[1] + field.shape[2])
    for layer in range(reach.shape[0]):
        far = max(far, cell * (field.shape[0] + field.shape[1] + field.shape[2]) + reach[layer])
    for n in range(starts_mm.shape[0]):
        p = starts_mm[n]
        for axis in range(3):
            d[axis] = ends_mm[n, axis] - p[axis]
        length = math.sqrt(d[0] * d[0] + d[1] * d[1] + d[2] * d[2])
        for axis in range(3):
            d[axis] /= length
        enough = min(max(least[n], 0.0), comfort)
        for layer in range(reach.shape[0]):
            best[layer] = reach[layer] + enough
        slack[n], broken[n] = 0.0, ends
        # fmt: off
        if scan_doubts(p, d, (0.0, length), field, corner, cell, per_mm, math.ceil(enough * per_mm),
                       spacing, block, starts, voxels, layers, best, mode, u) and early:
            # Nothing is lowered at a sure hit; else some layer is too near, or near enough to give up here.
            lowered, room = False, enough
            for layer in range(reach.shape[0]):
                lowered |= best[layer] < reach[layer] + enough
                room = min(room, best[layer] - reach[layer])
            if lowered and room >= 0.0:
                slack[n], broken[n], done[n] = room, 0, False
            continue
        if early:
            for layer in range(reach.shape[0]):
                best[layer] = reach[layer] + comfort
            scan_doubts(p, d, (0.0, length), field, corner, cell, per_mm, wanted,
                        spacing, block, starts, voxels, layers, best, REFINE, u)
            slack[n] = comfort
            for layer in range(reach.shape[0]):
                slack[n] = min(slack[n], best[layer] - reach[layer])
                best[layer] = reach[layer]
        if exits_at[n] >= 0.0:
            scan_doubts(ends_mm[n], d, (exits_at[n] * run_out, min(run_out, far)), field, corner, cell, per_mm, NONE,
                        spacing, block, starts, voxels, layers, best, ONCE, u)
        # fmt: on
        broken[n] = 0
        for layer in range(reach.shape[0]):
            if best[layer] < reach[layer]:
                broken[n] |= np.uint32(1) << np.uint32(layer)
