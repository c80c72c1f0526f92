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
from collections.abc import Callable
from typing import Any, Final, TypeVar, cast

import numpy as np
from numba import njit, prange
from numpy.typing import NDArray

from hepatica.core.geometry import FloatArray

F = TypeVar("F", bound=Callable[..., Any])

CHUNK: Final = 64
"""Needles one thread takes at a time."""
ROUNDING_MM: Final = 1e-3
"""Lattice distances are held in single precision, good to 1e-5 mm here; bounds give way by more than that."""
FAR: Final = np.float32(1e30)


def compiled(function: F) -> F:
    """Compile with numba, without the interpreter lock, cached on disk."""
    return cast(F, njit(cache=True, nogil=True, error_model="numpy")(function))


def threaded(function: F) -> F:
    """The same, with ``prange`` over threads; no result depends on their number."""
    return cast(F, njit(cache=True, nogil=True, error_model="numpy", parallel=True)(function))


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
    closed: bool,  # noqa: FBT001
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
def clip_index(x: float, count: int) -> int:
    """Whole part of x, held within ``0 .. count``."""
    return min(max(math.floor(x), 0), count)


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
    j0, k0 = region[1, 0] * block[1], region[2, 0] * block[2]
    rows = np.full(
        ((region[2, 1] - region[2, 0]) * block[2], (region[1, 1] - region[1, 0]) * block[1], nx), FAR
    )
    used = np.zeros(rows.shape[:2], np.bool_)
    for bx in range(region[0, 0], region[0, 1]):
        for by in range(region[1, 0], region[1, 1]):
            for bz in range(region[2, 0], region[2, 1]):
                for n in range(starts[bx, by, bz, 0], starts[bx, by, bz, 1]):
                    if layers[n] != layer:
                        continue
                    j, k = voxels[n, 1] - j0, voxels[n, 2] - k0
                    used[k, j] = True
                    lo = voxels[n, 0] * spacing[0] - low[0]
                    hi = lo + spacing[0]
                    for c in range(
                        clip_index((lo - reach) / cell - 0.5, nx), clip_index((hi + reach) / cell + 0.5, nx)
                    ):
                        x = (c + 0.5) * cell
                        gap = max(lo - x, x - hi, 0.0)
                        rows[k, j, c] = min(rows[k, j, c], np.float32(gap * gap))
    slices = np.full((rows.shape[0], ny, nx), FAR)
    filled = np.zeros(rows.shape[0], np.bool_)
    for k in range(rows.shape[0]):
        for j in range(rows.shape[1]):
            if not used[k, j]:
                continue
            filled[k] = True
            lo = (j0 + j) * spacing[1] - low[1]
            hi = lo + spacing[1]
            for c in range(
                clip_index((lo - reach) / cell - 0.5, ny), clip_index((hi + reach) / cell + 0.5, ny)
            ):
                y = (c + 0.5) * cell
                gap = max(lo - y, y - hi, 0.0)
                more = np.float32(gap * gap)
                for x in range(nx):
                    slices[k, c, x] = min(slices[k, c, x], rows[k, j, x] + more)
    best = np.full((nz, ny, nx), FAR)
    for k in range(rows.shape[0]):
        if not filled[k]:
            continue
        lo = (k0 + k) * spacing[2] - low[2]
        hi = lo + spacing[2]
        for c in range(clip_index((lo - reach) / cell - 0.5, nz), clip_index((hi + reach) / cell + 0.5, nz)):
            z = (c + 0.5) * cell
            gap = max(lo - z, z - hi, 0.0)
            more = np.float32(gap * gap)
            for y in range(ny):
                for x in range(nx):
                    best[c, y, x] = min(best[c, y, x], slices[k, y, x] + more)
    for z in range(nz):
        for y in range(ny):
            for x in range(nx):
                out[x, y, z] = min(np.float32(reach), np.float32(math.sqrt(best[z, y, x])))


@threaded
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
    """Fill (x, y, z, n) distances of cell centres to the layers ``numbers``, one thread for each layer."""
    for n in prange(numbers.shape[0]):
        fill_layer(
            numbers[n], reach[n], low, cell, spacing, block, starts, voxels, layers, region, field[..., n]
        )


@threaded
def find_nearest(field: NDArray[np.float32], margins: FloatArray, nearest: NDArray[np.float32]) -> None:
    """Fill (x, y, z) with the least distance minus margin over the layers."""
    for x in prange(field.shape[0]):
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
def meets(
    p: FloatArray,
    d: FloatArray,
    t0: float,
    t1: float,
    layer: int,
    reach: float,
    closed: bool,  # noqa: FBT001
    spacing: FloatArray,
    block: NDArray[np.int64],
    starts: NDArray[np.int64],
    voxels: NDArray[np.int16],
    layers: NDArray[np.uint8],
    region: NDArray[np.int64],
    held: NDArray[np.uint32],
    lo: FloatArray,
    hi: FloatArray,
    span: NDArray[np.int64],
) -> bool:
    """Whether the stretch ``t0 .. t1`` of a needle comes nearer to a layer's boxes than ``reach``: exact."""
    bit = np.uint32(1) << np.uint32(layer)
    length2 = d[0] * d[0] + d[1] * d[1] + d[2] * d[2]
    t, half2 = 0.5 * (t0 + t1), (0.5 * (t1 - t0)) ** 2 * length2
    near = reach + math.sqrt(half2)
    box = 0.5 * math.sqrt(spacing[0] ** 2 + spacing[1] ** 2 + spacing[2] ** 2)
    for axis in range(3):
        edge = block[axis] * spacing[axis]
        a, b = p[axis] + t0 * d[axis], p[axis] + t1 * d[axis]
        span[axis, 0] = max(region[axis, 0], math.floor((min(a, b) - reach) / edge))
        span[axis, 1] = min(region[axis, 1], math.floor((max(a, b) + reach) / edge) + 1)
    for x in range(span[0, 0], span[0, 1]):
        for y in range(span[1, 0], span[1, 1]):
            for z in range(span[2, 0], span[2, 1]):
                if not held[x - region[0, 0], y - region[1, 0], z - region[2, 0]] & bit:
                    continue
                away = 0.0
                for axis in range(3):
                    edge = block[axis] * spacing[axis]
                    low = (x if axis == 0 else y if axis == 1 else z) * edge
                    q = p[axis] + t * d[axis]
                    gap = max(low - q, q - low - edge, 0.0)
                    away += gap * gap
                if away > near * near * (1.0 + 1e-9):
                    continue
                for n in range(starts[x, y, z, 0], starts[x, y, z, 1]):
                    if layers[n] != layer:
                        continue
                    away = 0.0
                    for axis in range(3):
                        gap = (voxels[n, axis] + 0.5) * spacing[axis] - p[axis] - t * d[axis]
                        away += gap * gap
                    if away > (near + box) ** 2 * (1.0 + 1e-9):
                        continue
                    for axis in range(3):
                        lo[axis] = voxels[n, axis] * spacing[axis]
                        hi[axis] = lo[axis] + spacing[axis]
                    if comes_near(p, d, t0, t1, lo, hi, reach * reach, closed):
                        return True
    return False


@threaded
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

    ``margins`` (of the layers ``numbers``) reach from the needle's axis. A first march decides what bounds
    can decide and measures touch; a second one measures margins that stayed open.
    """
    total = starts_mm.shape[0]
    for chunk in prange((total + CHUNK - 1) // CHUNK):
        d, lo, hi, span = np.empty(3), np.empty(3), np.empty(3), np.empty((3, 2), np.int64)
        for needle in range(chunk * CHUNK, min(total, (chunk + 1) * CHUNK)):
            p = starts_mm[needle]
            for axis in range(3):
                d[axis] = ends_mm[needle, axis] - p[axis]
            length = math.sqrt(d[0] * d[0] + d[1] * d[1] + d[2] * d[2])
            count = max(1, math.ceil(length / step))
            half = 0.5 * length / count
            touch, inside, maybe = np.uint32(0), np.uint32(0), np.uint32(0)
            for march in range(2):
                i = 0
                while i < count and (march == 0 or maybe != 0):
                    t = (i + 0.5) / count
                    x, y, z = p[0] + t * d[0] - low[0], p[1] + t * d[1] - low[1], p[2] + t * d[2] - low[2]
                    cx, cy, cz = math.floor(x / cell), math.floor(y / cell), math.floor(z / cell)
                    r = math.sqrt(
                        (x - (cx + 0.5) * cell) ** 2
                        + (y - (cy + 0.5) * cell) ** 2
                        + (z - (cz + 0.5) * cell) ** 2
                    )
                    gap = nearest[cx, cy, cz] - r - ROUNDING_MM
                    if gap > half:
                        i += 1 + math.floor((gap - half) / (2.0 * half)) if half > 0.0 else 1
                        continue
                    s = r + half + ROUNDING_MM
                    t0, t1 = i / count, (i + 1) / count
                    for n in range(numbers.shape[0]):
                        bit = np.uint32(1) << np.uint32(numbers[n])
                        f = field[cx, cy, cz, n]
                        if f - s > margins[n]:
                            continue
                        if march == 1:
                            if maybe & bit and meets(
                                p, d, t0, t1, numbers[n], margins[n], False, spacing, block, starts, voxels,
                                layers, region, held, lo, hi, span,
                            ):  # fmt: skip
                                inside |= bit
                                maybe &= ~bit
                            continue
                        if touch & bit:
                            continue
                        if f + r < margins[n] - ROUNDING_MM:
                            inside |= bit
                        else:
                            maybe |= bit
                        if f - s <= radius and meets(
                            p, d, t0, t1, numbers[n], radius, True, spacing, block, starts, voxels,
                            layers, region, held, lo, hi, span,
                        ):  # fmt: skip
                            touch |= bit
                            inside |= bit
                    i += 1
                maybe &= ~inside
            touched[needle], within[needle] = touch, inside
