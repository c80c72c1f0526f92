"""Compiled loops that ask of many needles which structures they touch, and whose margins they break.

Coordinates are those of `hepatica.planning.path.kernels`: the grid's own axes in millimetres, voxel (i, j, k)
being a closed box. Kernels that call each other share a module, and so a cache.

Screening. `fill_field` gives, on a lattice of cells around the needles, each cell centre's exact distance to the
boxes of each structure (cut off where it no longer matters). Distance to a set changes by no more than the way
travelled, so a stretch of needle that lies within s of a centre with distance f stays at least f - s away, and
comes as near as f + r if a point of it lies r from the centre. Most stretches are decided so; the others are
measured against the voxel boxes themselves. Every answer is therefore that of the boxes, not of the lattice.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np
from numpy.typing import NDArray

from hepatica.core.geometry import FloatArray
from hepatica.planning.path.kernels import compiled, slope

ROUNDING_MM: Final = 1e-3
"""Lattice distances are held in single precision, good to 1e-5 mm here; bounds give way by more than that."""
FAR: Final = np.float32(1e30)


@compiled
def distance2(t: float, p: FloatArray, d: FloatArray, lo: FloatArray, hi: FloatArray) -> float:
    """Squared distance to a box at parameter t."""
    total = 0.0
    for axis in range(3):
        x = p[axis] + t * d[axis]
        gap = max(lo[axis] - x, x - hi[axis], 0.0)
        total += gap * gap
    return total


@compiled
def comes_near(
    p: FloatArray,
    d: FloatArray,
    t0: float,
    t1: float,
    lo: FloatArray,
    hi: FloatArray,
    reach2: float,
    closed: bool,
) -> bool:
    """Whether the stretch ``t0 .. t1`` comes nearer to a box than a reach (``closed``: or as near).

    The least squared distance is found in closed form: its slope is linear between the at most six crossings
    of the box's planes, and the bracket of the slope's root shrinks to one such piece.
    """
    a, b = t0, t1
    at_a, at_b = slope(a, p, d, lo, hi), slope(b, p, d, lo, hi)
    if at_a >= 0.0:
        t = a
    elif at_b <= 0.0:
        t = b
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
    found = distance2(t, p, d, lo, hi)
    return found < reach2 or (closed and found == reach2)


@compiled
def find_cells(lo: float, hi: float, reach: float, cell: float, count: int) -> tuple[int, int]:
    """First cell whose centre may lie within reach of ``lo .. hi`` along one axis, and one past the last."""
    first = math.floor((lo - reach) / cell - 0.5)
    last = math.floor((hi + reach) / cell + 0.5)
    return min(max(first, 0), count), min(max(last, 0), count)


@compiled
def gap2(c: int, cell: float, lo: float, hi: float) -> np.float32:
    """Squared distance along one axis from the centre of a cell to ``lo .. hi``."""
    x = (c + 0.5) * cell
    gap = max(lo - x, x - hi, 0.0)
    return np.float32(gap * gap)


@compiled
def gather_rows(
    layer: int,
    reach: float,
    low: FloatArray,
    cell: float,
    spacing: FloatArray,
    block: NDArray[np.int64],
    starts: NDArray[np.int64],
    voxels: NDArray[np.int16],
    layers: NDArray[np.uint8],
    region: NDArray[np.int64],
    rows: NDArray[np.float32],
) -> None:
    """Lower (slice, row, x) to the squared distance along x from cell centres to the layer's voxels."""
    j0, k0 = region[1, 0] * block[1], region[2, 0] * block[2]
    for bx in range(region[0, 0], region[0, 1]):
        for by in range(region[1, 0], region[1, 1]):
            for bz in range(region[2, 0], region[2, 1]):
                for n in range(starts[bx, by, bz, 0], starts[bx, by, bz, 1]):
                    if layers[n] != layer:
                        continue
                    j, k = voxels[n, 1] - j0, voxels[n, 2] - k0
                    lo = voxels[n, 0] * spacing[0] - low[0]
                    first, last = find_cells(lo, lo + spacing[0], reach, cell, rows.shape[2])
                    for c in range(first, last):
                        rows[k, j, c] = min(rows[k, j, c], gap2(c, cell, lo, lo + spacing[0]))


@compiled
def spread(
    lines: NDArray[np.float32], lo: float, edge: float, reach: float, cell: float, out: NDArray[np.float32]
) -> None:
    """Lower (cell, x) by (line, x): line n stands for the voxels from ``lo + n edge`` on, one edge wide."""
    for n in range(lines.shape[0]):
        if lines[n].min() == FAR:
            continue
        a = lo + n * edge
        first, last = find_cells(a, a + edge, reach, cell, out.shape[0])
        for c in range(first, last):
            more = gap2(c, cell, a, a + edge)
            for x in range(out.shape[1]):
                out[c, x] = min(out[c, x], lines[n, x] + more)


@compiled
def fill_layer(
    layer: int,
    reach: float,
    low: FloatArray,
    cell: float,
    spacing: FloatArray,
    block: NDArray[np.int64],
    starts: NDArray[np.int64],
    voxels: NDArray[np.int16],
    layers: NDArray[np.uint8],
    region: NDArray[np.int64],
    out: NDArray[np.float32],
) -> None:
    """Fill (x, y, z) distances of cell centres to one layer's boxes, exact up to ``reach``, else ``reach``.

    The squared distance to a box is a sum over the axes, so its minimum is taken axis by axis: over the voxels
    of a row, over the rows of a slice, over slices. ``region`` (3, 2) are the blocks that can matter.
    """
    nx, ny, nz = out.shape
    size = (region[:, 1] - region[:, 0]) * block
    origin = region[:, 0] * block * spacing - low
    rows = np.full((size[2], size[1], nx), FAR)
    gather_rows(layer, reach, low, cell, spacing, block, starts, voxels, layers, region, rows)
    slices = np.full((size[2], ny, nx), FAR)
    for k in range(size[2]):
        spread(rows[k], origin[1], spacing[1], reach, cell, slices[k])
    best = np.full((nz, ny * nx), FAR)
    spread(slices.reshape(size[2], ny * nx), origin[2], spacing[2], reach, cell, best)
    for z in range(nz):
        for y in range(ny):
            for x in range(nx):
                out[x, y, z] = min(np.float32(reach), np.float32(math.sqrt(best[z, y * nx + x])))


@compiled
def fill_field(
    numbers: NDArray[np.int64],
    reach: FloatArray,
    low: FloatArray,
    cell: float,
    spacing: FloatArray,
    block: NDArray[np.int64],
    starts: NDArray[np.int64],
    voxels: NDArray[np.int16],
    layers: NDArray[np.uint8],
    region: NDArray[np.int64],
    field: NDArray[np.float32],
) -> None:
    """Fill (x, y, z, n) distances of cell centres to the layers ``numbers``."""
    for n in range(numbers.shape[0]):
        fill_layer(
            numbers[n], reach[n], low, cell, spacing, block, starts, voxels, layers, region, field[..., n]
        )


@compiled
def find_nearest(field: NDArray[np.float32], margins: FloatArray, nearest: NDArray[np.float32]) -> None:
    """Fill (x, y, z) with the least distance minus margin over the layers."""
    for x in range(field.shape[0]):
        for y in range(field.shape[1]):
            for z in range(field.shape[2]):
                least = FAR
                for n in range(field.shape[3]):
                    least = min(least, field[x, y, z, n] - np.float32(margins[n]))
                nearest[x, y, z] = least


@compiled
def find_layers(
    starts: NDArray[np.int64], layers: NDArray[np.uint8], region: NDArray[np.int64], out: NDArray[np.uint32]
) -> None:
    """Fill (x, y, z) with the bits of the layers in each block of the region."""
    for x in range(region[0, 0], region[0, 1]):
        for y in range(region[1, 0], region[1, 1]):
            for z in range(region[2, 0], region[2, 1]):
                bits = np.uint32(0)
                for n in range(starts[x, y, z, 0], starts[x, y, z, 1]):
                    bits |= np.uint32(1) << np.uint32(layers[n])
                out[x - region[0, 0], y - region[1, 0], z - region[2, 0]] = bits


@compiled
def near_block(q: FloatArray, x: int, y: int, z: int, edge: FloatArray, reach: float) -> bool:
    """Whether a point lies within reach of a block, or nearly so."""
    total = 0.0
    for axis in range(3):
        low = (x if axis == 0 else y if axis == 1 else z) * edge[axis]
        gap = max(low - q[axis], q[axis] - low - edge[axis], 0.0)
        total += gap * gap
    return total <= reach * reach * (1.0 + 1e-9)


@compiled
def meets_block(
    p: FloatArray,
    d: FloatArray,
    t0: float,
    t1: float,
    reach: float,
    closed: bool,
    layer: int,
    spacing: FloatArray,
    voxels: NDArray[np.int16],
    layers: NDArray[np.uint8],
    room: FloatArray,
) -> bool:
    """Whether the stretch comes nearer than ``reach`` to one of a block's boxes of a layer.

    A box lies within half its diagonal of its centre, and holds everything nearer to the centre than half its
    shortest edge: the centre's distance to the stretch decides most boxes.
    """
    lo, hi = room[1], room[2]
    length2 = d[0] * d[0] + d[1] * d[1] + d[2] * d[2]
    outer = reach + 0.5 * math.sqrt(spacing[0] ** 2 + spacing[1] ** 2 + spacing[2] ** 2)
    inner = reach + 0.5 * min(spacing[0], spacing[1], spacing[2])
    outer2, inner2 = outer * outer * (1.0 + 1e-9), inner * inner * (1.0 - 1e-9)
    for n in range(layers.shape[0]):
        if layers[n] != layer:
            continue
        x = (voxels[n, 0] + 0.5) * spacing[0] - p[0]
        y = (voxels[n, 1] + 0.5) * spacing[1] - p[1]
        z = (voxels[n, 2] + 0.5) * spacing[2] - p[2]
        along = x * d[0] + y * d[1] + z * d[2]
        t = t0 if length2 == 0.0 else min(max(along / length2, t0), t1)
        away = (x - t * d[0]) ** 2 + (y - t * d[1]) ** 2 + (z - t * d[2]) ** 2
        if away > outer2:
            continue
        if away < inner2:
            return True
        for axis in range(3):
            lo[axis] = voxels[n, axis] * spacing[axis]
            hi[axis] = lo[axis] + spacing[axis]
        if comes_near(p, d, t0, t1, lo, hi, reach * reach, closed):
            return True
    return False


@compiled
def meets(
    p: FloatArray,
    d: FloatArray,
    t0: float,
    t1: float,
    reach: float,
    closed: bool,
    layer: int,
    spacing: FloatArray,
    block: NDArray[np.int64],
    starts: NDArray[np.int64],
    voxels: NDArray[np.int16],
    layers: NDArray[np.uint8],
    region: NDArray[np.int64],
    held: NDArray[np.uint32],
    room: FloatArray,
    span: NDArray[np.int64],
) -> bool:
    """Whether the stretch ``t0 .. t1`` of a needle comes nearer to a layer's boxes than ``reach``: exact.

    ``room`` (4, 3) and ``span`` (3, 2) are scratch; row 0 of ``room`` becomes the middle of the stretch.
    """
    bit = np.uint32(1) << np.uint32(layer)
    length = math.sqrt(d[0] * d[0] + d[1] * d[1] + d[2] * d[2])
    near = reach + 0.5 * (t1 - t0) * length
    q, edge = room[0], room[3]
    for axis in range(3):
        edge[axis] = block[axis] * spacing[axis]
        a, b = p[axis] + t0 * d[axis], p[axis] + t1 * d[axis]
        q[axis] = 0.5 * (a + b)
        span[axis, 0] = max(region[axis, 0], math.floor((min(a, b) - reach) / edge[axis]))
        span[axis, 1] = min(region[axis, 1], math.floor((max(a, b) + reach) / edge[axis]) + 1)
    for x in range(span[0, 0], span[0, 1]):
        for y in range(span[1, 0], span[1, 1]):
            for z in range(span[2, 0], span[2, 1]):
                if not held[x - region[0, 0], y - region[1, 0], z - region[2, 0]] & bit:
                    continue
                if not near_block(q, x, y, z, edge, near):
                    continue
                a, b = starts[x, y, z, 0], starts[x, y, z, 1]
                if meets_block(p, d, t0, t1, reach, closed, layer, spacing, voxels[a:b], layers[a:b], room):
                    return True
    return False


@compiled
def march(
    p: FloatArray,
    d: FloatArray,
    wanted: np.uint32,
    first: bool,
    numbers: NDArray[np.int64],
    radius: float,
    margins: FloatArray,
    low: FloatArray,
    cell: float,
    step: float,
    field: NDArray[np.float32],
    nearest: NDArray[np.float32],
    spacing: FloatArray,
    block: NDArray[np.int64],
    starts: NDArray[np.int64],
    voxels: NDArray[np.int16],
    layers: NDArray[np.uint8],
    region: NDArray[np.int64],
    held: NDArray[np.uint32],
    room: FloatArray,
    span: NDArray[np.int64],
) -> tuple[np.uint32, np.uint32, np.uint32]:
    """Walk one needle in stretches; returns the bits of layers touched, within margin, and still open.

    The ``first`` march lets the bounds decide on margins and measures touch. The next one measures the margins
    of the ``wanted`` layers, those that stayed open.
    """
    touch, inside, maybe = np.uint32(0), np.uint32(0), np.uint32(0)
    length = math.sqrt(d[0] * d[0] + d[1] * d[1] + d[2] * d[2])
    count = max(1, math.ceil(length / step))
    half = 0.5 * length / count
    i = 0
    while i < count:
        t = (i + 0.5) / count
        x, y, z = p[0] + t * d[0] - low[0], p[1] + t * d[1] - low[1], p[2] + t * d[2] - low[2]
        cx, cy, cz = math.floor(x / cell), math.floor(y / cell), math.floor(z / cell)
        x, y, z = x - (cx + 0.5) * cell, y - (cy + 0.5) * cell, z - (cz + 0.5) * cell
        r2 = x * x + y * y + z * z
        gap = nearest[cx, cy, cz] - math.sqrt(r2) - ROUNDING_MM
        if gap > half:
            # Nothing within its margin up to the end of every stretch this gap spans.
            i += 1 if half == 0.0 else 1 + math.floor((gap - half) / (2.0 * half))
            continue
        # Farthest and nearest point of the stretch from the centre of the cell.
        along = 0.0 if length == 0.0 else abs(x * d[0] + y * d[1] + z * d[2]) / length
        far = math.sqrt(r2 + half * (half + 2.0 * along)) + ROUNDING_MM
        less = min(along, half)
        near = math.sqrt(max(0.0, r2 - less * (2.0 * along - less))) + ROUNDING_MM
        t0, t1 = i / count, (i + 1) / count
        for n in range(numbers.shape[0]):
            bit = np.uint32(1) << np.uint32(numbers[n])
            f = field[cx, cy, cz, n]
            if f - far > margins[n] or not wanted & bit & ~touch or (not first and inside & bit):
                continue
            if f + near < margins[n]:
                inside |= bit
            else:
                maybe |= bit
            if first and f - far > radius:
                continue
            if meets(
                p, d, t0, t1, radius if first else margins[n], first, numbers[n],
                spacing, block, starts, voxels, layers, region, held, room, span,
            ):  # fmt: skip
                inside |= bit
                if first:
                    touch |= bit
        i += 1
    return touch, inside, maybe & ~inside


@compiled
def judge_needles(
    starts_mm: FloatArray,
    ends_mm: FloatArray,
    numbers: NDArray[np.int64],
    radius: float,
    margins: FloatArray,
    low: FloatArray,
    cell: float,
    step: float,
    field: NDArray[np.float32],
    nearest: NDArray[np.float32],
    spacing: FloatArray,
    block: NDArray[np.int64],
    starts: NDArray[np.int64],
    voxels: NDArray[np.int16],
    layers: NDArray[np.uint8],
    region: NDArray[np.int64],
    held: NDArray[np.uint32],
    touched: NDArray[np.uint32],
    within: NDArray[np.uint32],
) -> None:
    """Set bit ``layer`` of ``touched`` and ``within`` for every needle ``starts_mm .. ends_mm`` (n, 3).

    ``margins`` (of the layers ``numbers``) reach from the needle's axis. Touch includes the boxes' surface:
    as near as ``radius``; margins do not: nearer than ``margins``.
    """
    d, room, span = np.empty(3), np.empty((4, 3)), np.empty((3, 2), np.int64)
    for needle in range(starts_mm.shape[0]):
        p = starts_mm[needle]
        for axis in range(3):
            d[axis] = ends_mm[needle, axis] - p[axis]
        touch, inside, maybe = march(
            p, d, np.uint32(0xFFFFFFFF), True, numbers, radius, margins, low, cell, step, field, nearest,
            spacing, block, starts, voxels, layers, region, held, room, span,
        )  # fmt: skip
        if maybe:
            _, more, _ = march(
                p, d, maybe, False, numbers, radius, margins, low, cell, step, field, nearest,
                spacing, block, starts, voxels, layers, region, held, room, span,
            )  # fmt: skip
            inside |= more
        touched[needle], within[needle] = touch, inside
