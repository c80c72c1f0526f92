"""Compiled loops on the coarse grid: pooling of labels, truncated exact distance, and the screening march.

Arrays are in Fortran order, x contiguous: the inner loops run along x so that they vectorise.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np
from numpy.typing import NDArray

from hepatica.core.geometry import FloatArray
from hepatica.planning.path import clearance_kernels
from hepatica.planning.path.clearance_kernels import NUDGE_MM
from hepatica.planning.path.kernels import compiled

FAR: Final = 30000
"""Squared distance in cells of everything beyond the window; sums of two stay below 2^16."""
SURE_HIT: Final = clearance_kernels.SURE_HIT
"""Slack of a cell whose every point breaks a margin for certain."""
FREE: Final = 0
UNDECIDED: Final = 1
BLOCKED: Final = 2
EXCLUDED: Final = 3
UNSCREENED: Final = 4
"""Classes of a pair; an excluded one breaks a limit of length, tilt, table or scan end."""


@compiled
def pool_cells(
    bits: NDArray[np.uint32],
    first: tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]],
    last: tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]],
    whole: tuple[NDArray[np.bool_], NDArray[np.bool_], NDArray[np.bool_]],
    some: NDArray[np.uint32],
    every: NDArray[np.uint32],
) -> None:
    """Fill, for each cell, the bits that some voxel touching it has, and those that every one has.

    ``first[axis][c]`` to ``last[axis][c]`` are the voxels that share inside with cell c along an axis;
    ``whole[axis][c]`` tells whether the volume covers the cell there. What sticks out no structure fills.
    """
    nx = bits.shape[0]
    low, high = np.empty(nx, np.uint32), np.empty(nx, np.uint32)
    for z in range(some.shape[2]):
        for y in range(some.shape[1]):
            for i in range(nx):
                low[i], high[i] = 0xFFFFFFFF, 0
            inside = whole[1][y] and whole[2][z]
            for k in range(first[2][z], last[2][z] + 1):
                for j in range(first[1][y], last[1][y] + 1):
                    for i in range(nx):
                        high[i] |= bits[i, j, k]
                        low[i] &= bits[i, j, k]
            for x in range(some.shape[0]):
                a, b = np.uint32(0), np.uint32(0xFFFFFFFF)
                for i in range(first[0][x], last[0][x] + 1):
                    a |= high[i]
                    b &= low[i]
                some[x, y, z] = a
                every[x, y, z] = b if inside and whole[0][x] else np.uint32(0)


@compiled
def scan_rows(  # noqa: C901
    cells: NDArray[np.uint32], mask: np.uint32, gap: int, window: int, out: NDArray[np.uint16]
) -> None:
    """Squared distance along x, in cells, to the nearest cell of the mask; ``gap`` cells are taken off.

    The values on either side of a cell of the mask are always the same row of squares: they are copied.
    """
    nx = cells.shape[0]
    rising, falling = np.empty(nx + 1, np.uint16), np.empty(nx + 1, np.uint16)
    for away in range(nx + 1):
        rising[away] = falling[away] = FAR
    for away in range(min(window, nx) + 1):
        near = max(away - gap, 0)
        rising[away] = near * near
        falling[nx - away] = near * near
    for z in range(cells.shape[2]):
        for y in range(cells.shape[1]):
            found = np.uint32(0)
            for x in range(nx):
                found |= cells[x, y, z]
            if not found & mask:
                for x in range(nx):
                    out[x, y, z] = FAR
                continue
            before = -1
            for x in range(nx):
                if not cells[x, y, z] & mask:
                    continue
                if x > before + 1:
                    half = before if before < 0 else (before + x) // 2
                    for u in range(before + 1, half + 1):
                        out[u, y, z] = rising[u - before]
                    for u in range(half + 1, x):
                        out[u, y, z] = falling[u + (nx - x)]
                out[x, y, z] = 0
                before = x
            for u in range(before + 1, nx):
                out[u, y, z] = rising[u - before]


@compiled
def spread_rows(  # noqa: C901
    rows: NDArray[np.uint16],
    gap: int,
    window: int,
    along_z: bool,
    out: NDArray[np.uint16],
) -> None:
    """Carry squared distances along y or z: the least of ``row + step^2`` within the window. Exact there.

    Steps go outward; they end where no value of the row is left that so long a step could lower.
    """
    nx, ny, nz = rows.shape
    length = nz if along_z else ny
    filled = np.zeros((ny, nz), np.bool_)
    for z in range(nz):
        for y in range(ny):
            least = np.uint16(FAR)
            for x in range(nx):
                least = min(least, rows[x, y, z])
            filled[y, z] = least < FAR
    for z in range(nz):
        for y in range(ny):
            largest = np.uint16(0)
            for x in range(nx):
                out[x, y, z] = rows[x, y, z]
                largest = max(largest, rows[x, y, z])
            here = z if along_z else y
            for away in range(1, window + 1):
                near = max(away - gap, 0)
                cost = np.uint16(near * near)
                if cost >= largest:
                    break
                changed = False
                for side in range(2):
                    n = here - away if side == 0 else here + away
                    if n < 0 or n >= length:
                        continue
                    j, k = (y, n) if along_z else (n, z)
                    if not filled[j, k]:
                        continue
                    changed = True
                    for x in range(nx):
                        value = np.uint16(rows[x, j, k] + cost)
                        old = out[x, y, z]
                        out[x, y, z] = value if value < old else old
                if changed:
                    largest = np.uint16(0)
                    for x in range(nx):
                        value = out[x, y, z]
                        largest = value if value > largest else largest


@compiled
def lower_slack(squared: NDArray[np.uint16], table: NDArray[np.int8], slack: NDArray[np.int8]) -> None:
    """Lower each cell's slack to what ``table`` says of its squared distance; the last entry holds beyond."""
    end = table.shape[0] - 1
    for z in range(slack.shape[2]):
        for y in range(slack.shape[1]):
            for x in range(slack.shape[0]):
                value = table[min(int(squared[x, y, z]), end)]
                slack[x, y, z] = min(slack[x, y, z], value)


@compiled
def mark_hits(squared: NDArray[np.uint16], below: int, slack: NDArray[np.int8]) -> None:
    """Mark cells nearer than a squared distance to a cell that is wholly inside a structure."""
    for z in range(slack.shape[2]):
        for y in range(slack.shape[1]):
            for x in range(slack.shape[0]):
                if squared[x, y, z] < below:
                    slack[x, y, z] = SURE_HIT


@compiled
def march(
    p: FloatArray,
    d: FloatArray,
    length: float,
    beyond: float,
    slack: NDArray[np.int8],
    cell: float,
    per_mm: float,
    wanted: int,
) -> int:
    """Class of a path of unit direction ``d``: free with its run-out, hit for certain, or undecided.

    Free means that at least ``wanted`` units of slack are left everywhere.

    Certain both ways: a cell's slack holds for all its points, a step is as long as the slack, or to the end
    of the cell where that is further. Coordinates start at the field's own corner.
    """
    nx, ny, nz = slack.shape
    px, py, pz = p[0] / cell, p[1] / cell, p[2] / cell
    ux, uy, uz = d[0] / cell, d[1] / cell, d[2] / cell
    # From a cell's lower side to the face a path leaves by, and millimetres along the path for a cell's edge.
    ax, ay, az = 1.0 if ux >= 0.0 else 0.0, 1.0 if uy >= 0.0 else 0.0, 1.0 if uz >= 0.0 else 0.0
    ix = 1.0 / ux if ux != 0.0 else 1e30
    iy = 1.0 / uy if uy != 0.0 else 1e30
    iz = 1.0 / uz if uz != 0.0 else 1e30
    t, free = 0.0, True
    while t <= length + beyond:
        if t > length and not free:
            return UNDECIDED
        x, y, z = px + t * ux, py + t * uy, pz + t * uz
        if x < 0.0 or y < 0.0 or z < 0.0 or x >= nx or y >= ny or z >= nz:
            free = False
            t += cell
            continue
        i, j, k = int(x), int(y), int(z)
        value = slack[i, j, k]
        if value == SURE_HIT and t <= length:
            return BLOCKED
        step = (value - wanted) / per_mm
        if step < cell:
            leave = min((i + ax - x) * ix, (j + ay - y) * iy, (k + az - z) * iz)
            step = max(step, leave + NUDGE_MM)
        if value < wanted:
            free = False
        t += step
    return FREE if free else UNDECIDED


@compiled
def find_open(
    entries: FloatArray,
    tips: FloatArray,
    usable: NDArray[np.int64],
    limits: FloatArray,
    head: FloatArray,
    down: FloatArray,
    faces: FloatArray,
    found: NDArray[np.bool_],
) -> None:
    """Mark in ``found`` (m, n) the pairs of a usable entry of (n, 3), by number, and a tip of (m, 3) that no limit
    excludes.

    ``limits``: shortest and longest length, sine of the largest tilt, run-out, needle length, table level,
    least distance to an open face. ``head`` and ``down`` are the unit vectors toward the head and along
    gravity (zero if unknown); ``faces`` (f, 4) are open faces as inward plane equations.
    """
    shortest, longest, steepest, run_out = limits[0], limits[1], limits[2], limits[3]
    d = np.empty(3)
    for m in range(tips.shape[0]):
        for n in usable:
            for axis in range(3):
                d[axis] = tips[m, axis] - entries[n, axis]
            length = math.sqrt(d[0] * d[0] + d[1] * d[1] + d[2] * d[2])
            if length < shortest or length > longest:
                continue
            for axis in range(3):
                d[axis] /= length
            if abs(d[0] * head[0] + d[1] * head[1] + d[2] * head[2]) > steepest:
                continue
            hub = max(limits[4] - length, 0.0)
            level = 0.0
            for axis in range(3):
                level += (entries[n, axis] - hub * d[axis]) * down[axis]
            if level > limits[5]:
                continue
            cut = False
            for f in range(faces.shape[0]):
                a, b = faces[f, 3], faces[f, 3]
                for axis in range(3):
                    a += faces[f, axis] * entries[n, axis]
                    b += faces[f, axis] * (tips[m, axis] + run_out * d[axis])
                cut |= min(a, b) < limits[6]
            found[m, n] = not cut


@compiled
def march_pairs(
    entries: FloatArray,
    tips: FloatArray,
    entry: NDArray[np.int32],
    tip: NDArray[np.int32],
    run_out: float,
    slack: NDArray[np.int8],
    cell: float,
    per_mm: float,
    classes: NDArray[np.uint8],
) -> None:
    """Class of pairs of an entry and a tip, given by number; see `march`."""
    d = np.empty(3)
    for n in range(entry.shape[0]):
        p, q = entries[entry[n]], tips[tip[n]]
        for axis in range(3):
            d[axis] = q[axis] - p[axis]
        length = math.sqrt(d[0] * d[0] + d[1] * d[1] + d[2] * d[2])
        for axis in range(3):
            d[axis] /= length
        classes[n] = march(p, d, length, run_out, slack, cell, per_mm, 0)


@compiled
def march_paths(
    starts: FloatArray,
    ends: FloatArray,
    beyond: float,
    wanted: int,
    slack: NDArray[np.int8],
    cell: float,
    per_mm: float,
    classes: NDArray[np.uint8],
) -> None:
    """Class of (n, 3) paths, start to end and ``beyond``, by no other limit; see `march`."""
    d = np.empty(3)
    for n in range(starts.shape[0]):
        for axis in range(3):
            d[axis] = ends[n, axis] - starts[n, axis]
        length = math.sqrt(d[0] * d[0] + d[1] * d[1] + d[2] * d[2])
        for axis in range(3):
            d[axis] /= max(length, 1e-12)
        classes[n] = march(starts[n], d, length, beyond, slack, cell, per_mm, wanted)


@compiled
def count_stops(
    entries_mm: FloatArray,
    tips_mm: FloatArray,
    entry: NDArray[np.int32],
    tip: NDArray[np.int32],
    target: NDArray[np.bool_],
    corner: NDArray[np.int64],
    spacing: FloatArray,
    pull_back: float,
    up_to: int,
    counts: NDArray[np.int64],
) -> None:
    """Count, for n pairs of an entry and a tip, the points at whole pull-back steps from the tip that lie in the
    target.

    Counting ends at ``up_to``.
    """
    longest = 0.0
    for axis in range(3):
        longest += ((target.shape[axis] + 1) * spacing[axis]) ** 2
    steps = math.ceil(math.sqrt(longest) / pull_back) + 1
    at, way = np.empty(3, np.int64), np.empty(3)
    for n in range(entry.shape[0]):
        p, q, total = entries_mm[entry[n]], tips_mm[tip[n]], 0.0
        for axis in range(3):
            total += (p[axis] - q[axis]) ** 2
        length = math.sqrt(total)
        for axis in range(3):
            way[axis] = (p[axis] - q[axis]) / length
        counts[n] = 0
        for step in range(steps):
            if step * pull_back >= length or counts[n] == up_to:
                break
            inside = True
            for axis in range(3):
                x = q[axis] + step * pull_back * way[axis]
                at[axis] = math.floor(x / spacing[axis]) - corner[axis]
                inside &= 0 <= at[axis] < target.shape[axis]
            if inside and target[at[0], at[1], at[2]]:
                counts[n] += 1
