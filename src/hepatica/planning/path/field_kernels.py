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

LANES: Final = 8
"""Paths that take turns in a march."""
START, WAY, PER_CELL, FACE, LENGTH, AT_MM, LANE = 0, 3, 6, 9, 12, 13, 14
"""Columns of a path in a march: start in cells, way in cells for a mm, mm along the path for a cell, which side of a
cell it leaves by, its length and where it stands in mm; and how many columns there are."""


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
def fill_slack(
    squared: NDArray[np.uint16],
    table: NDArray[np.int8],
    whole: NDArray[np.uint16],
    below: int,
    slack: NDArray[np.int8],
) -> None:
    """Fill in what ``table`` says of each cell's squared distance, its last entry beyond; cells nearer than ``below``
    to one that is wholly inside a structure are sure hits."""
    end = table.shape[0] - 1
    for z in range(slack.shape[2]):
        for y in range(slack.shape[1]):
            for x in range(slack.shape[0]):
                value = table[min(int(squared[x, y, z]), end)]
                slack[x, y, z] = SURE_HIT if whole[x, y, z] < below else value


@compiled
def begin_march(p: FloatArray, q: FloatArray, corner: FloatArray, cell: float, lane: FloatArray) -> None:
    """Fill a lane with a path from ``p`` to ``q``, in cells from the field's corner; see `march_paths`.

    A path that does not end is given a negative length.
    """
    lane[LENGTH] = math.sqrt((q[0] - p[0]) ** 2 + (q[1] - p[1]) ** 2 + (q[2] - p[2]) ** 2)
    lane[AT_MM] = 0.0
    for axis in range(3):
        u = (q[axis] - p[axis]) / (max(lane[LENGTH], 1e-12) * cell)
        lane[START + axis], lane[WAY + axis] = (p[axis] - corner[axis]) / cell, u
        lane[PER_CELL + axis] = 1.0 / u if u != 0.0 else 1e30
        lane[FACE + axis] = 1.0 if u >= 0.0 else 0.0
    if not lane[LENGTH] < np.inf:
        lane[LENGTH] = -1.0


@compiled
def march_paths(
    starts: FloatArray,
    ends: FloatArray,
    start_of: NDArray[np.int32],
    end_of: NDArray[np.int32],
    beyond: float,
    wanted: int,
    slack: NDArray[np.int8],
    corner: FloatArray,
    cell: float,
    per_mm: float,
    classes: NDArray[np.uint8],
) -> None:
    """Class of n paths, given by the numbers of their start and end: free with ``beyond`` mm of run-out, hit for
    certain, or undecided.

    Free means that at least ``wanted`` units of slack are left everywhere. Certain both ways: a cell's slack holds
    for all its points, a step is as long as the slack, or to the end of the cell where that is further.

    Each step waits for the memory that the step before it asked for: several paths take turns, so that they
    wait together.
    """
    nx, ny, nz = slack.shape
    mm_of, cells = 1.0 / per_mm, slack.T.reshape(-1)
    lanes, number, free = np.empty((LANES, LANE)), np.full(LANES, -1, np.int64), np.empty(LANES, np.bool_)
    begun, left = 0, classes.shape[0]
    while left > 0:
        for w in range(LANES):
            n = number[w]
            if n < 0:
                if begun >= classes.shape[0]:
                    continue
                n = number[w] = begun
                begun += 1
                begin_march(starts[start_of[n]], ends[end_of[n]], corner, cell, lanes[w])
                # Without a length it is undecided at once; else a march to NaN would never end.
                free[w] = lanes[w, LENGTH] >= 0.0
            t, length = lanes[w, AT_MM], lanes[w, LENGTH]
            if t > length + beyond or (t > length and not free[w]):
                classes[n] = FREE if free[w] else UNDECIDED
                number[w], left = -1, left - 1
                continue
            x, y, z = (
                lanes[w, START] + t * lanes[w, WAY],
                lanes[w, START + 1] + t * lanes[w, WAY + 1],
                lanes[w, START + 2] + t * lanes[w, WAY + 2],
            )
            if not (x >= 0.0 and y >= 0.0 and z >= 0.0 and x < nx and y < ny and z < nz):
                free[w], lanes[w, AT_MM] = False, t + cell
                continue
            i, j, k = np.int32(x), np.int32(y), np.int32(z)
            value = np.int32(cells[np.uint32(i + nx * (j + ny * k))])
            if value == SURE_HIT and t <= length:
                classes[n] = BLOCKED
                number[w], left = -1, left - 1
                continue
            value -= wanted
            free[w] &= value >= 0
            # Both are worked out every time: guessing which is the longer costs more.
            leave = min(
                (i + lanes[w, FACE] - x) * lanes[w, PER_CELL],
                (j + lanes[w, FACE + 1] - y) * lanes[w, PER_CELL + 1],
                (k + lanes[w, FACE + 2] - z) * lanes[w, PER_CELL + 2],
            )
            lanes[w, AT_MM] = t + max(value * mm_of, leave + NUDGE_MM)


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
    counts: NDArray[np.int16],
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
