"""The slack field: how much room beyond every margin a coarse cell leaves for certain.

Screening only. What it calls free or blocked is certain at full resolution too; the rest is undecided and is
settled with exact distances. Reported clearances never come from here.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from hepatica.core.geometry import BoolArray, FloatArray
from hepatica.planning.path import field_kernels
from hepatica.planning.path.threads import spread_over_threads

CELL_MM: Final = 2.0
"""Edge of a coarse cell; changes speed and how many pairs stay undecided, never an answer."""
SLACK_CAP_MM: Final = 12.0
"""Room beyond this is not told apart; a march takes hardly more steps for it."""
UNITS_PER_MM: Final = 8.0
"""Slack is stored in eighths of a millimetre, rounded down."""
LOWEST: Final = field_kernels.SURE_HIT + 1
MARCH_PARTS: Final = 16
MARCH_PART: Final = 4096
"""Paths are dealt to threads in so many parts, of at least so many."""
MOST_WINDOW: Final = 120
"""Cells: squares of more do not fit. Nothing farther is certain, which leaves paths under wider margins undecided."""
ROUNDING: Final = 1e-9
"""A voxel that reaches into a cell by less (in voxels) only touches it; its face belongs to the next too."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Cells:
    """Structures on a coarse isotropic grid along the scan's own axes.

    Parameters
    ----------
    corner_mm
        (3,) outer corner of cell (0, 0, 0) in the scan's local millimetres.
    edge_mm
        Edge of a cell.
    some, every
        (X, Y, Z) bits that some voxel reaching into the cell carries; bits that all its voxels carry.
    """

    corner_mm: FloatArray
    edge_mm: float
    some: NDArray[np.uint32]
    every: NDArray[np.uint32]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SlackField:
    """Room beyond the margins in each cell.

    Parameters
    ----------
    corner_mm, edge_mm
        As in `Cells`.
    slack
        (X, Y, Z) int8, in units of 1 / `UNITS_PER_MM`: at least so much room has every point of the cell;
        `field_kernels.SURE_HIT` where every point breaks a margin.
    """

    corner_mm: FloatArray
    edge_mm: float
    slack: NDArray[np.int8]


def derive_cells(
    bits: NDArray[np.uint32], *, spacing_mm: FloatArray, box: tuple[slice, ...], edge_mm: float = CELL_MM
) -> Cells:
    """Pool voxel bits into cells over a box of voxels, with a rim of one cell around it.

    Parameters
    ----------
    bits
        (I, J, K) in Fortran order.
    spacing_mm
        (3,) voxel spacing.
    box
        Voxels to cover.
    edge_mm
        Edge of a cell.
    """
    first, last, whole, corner = [], [], [], np.empty(3)
    for axis in range(3):
        spacing, count = float(spacing_mm[axis]), bits.shape[axis]
        corner[axis] = box[axis].start * spacing - edge_mm
        number = math.ceil((box[axis].stop - box[axis].start) * spacing / edge_mm) + 2
        edges = (corner[axis] + edge_mm * np.arange(number + 1)) / spacing
        first.append(np.maximum(np.floor(edges[:-1] + ROUNDING), 0).astype(np.int64))
        last.append(np.minimum(np.ceil(edges[1:] - ROUNDING) - 1, count - 1).astype(np.int64))
        whole.append((edges[:-1] >= -ROUNDING) & (edges[1:] <= count + ROUNDING))
    shape = tuple(len(part) for part in first)
    some, every = np.zeros(shape, np.uint32, order="F"), np.zeros(shape, np.uint32, order="F")
    field_kernels.pool_cells(bits, tuple(first), tuple(last), tuple(whole), some, every)
    for array in (some, every):
        array.setflags(write=False)
    return Cells(corner_mm=corner, edge_mm=edge_mm, some=some, every=every)


def derive_squared_distance(
    cells: NDArray[np.uint32], *, mask: int, window: int, gap: int = 0
) -> NDArray[np.uint16]:
    """Return the squared distance, in cells, from each cell to the nearest one that carries a bit.

    Exact integers wherever the distance is at most ``window`` cells; beyond, no less than the truth or
    `field_kernels.FAR`. Three passes: scans along x, then the least of ``row + step^2`` along y and z.

    Parameters
    ----------
    cells
        (X, Y, Z) bits.
    mask
        Bits that count.
    window
        Cells up to which distances matter, at most `MOST_WINDOW`.
    gap
        0 for centre to centre; 1 for the smallest distance between the boxes of two cells.
    """
    rows = np.empty(cells.shape, np.uint16, order="F")
    other = np.empty(cells.shape, np.uint16, order="F")
    field_kernels.scan_rows(cells, np.uint32(mask), gap, window + gap, rows)
    field_kernels.spread_rows(rows, gap, window + gap, False, other)  # noqa: FBT003
    field_kernels.spread_rows(other, gap, window + gap, True, rows)  # noqa: FBT003
    return rows


class SlackParts:
    """The slack that layers of one needed distance leave, kept so that a changed margin asks only for its own.

    Holds what the latest field was made of.
    """

    def __init__(self) -> None:
        self._parts: dict[tuple[float, int], NDArray[np.int8]] = {}

    def count_bytes(self) -> int:
        """Return the memory that the parts hold."""
        return sum(part.nbytes for part in self._parts.values())

    def find(self, cells: Cells, groups: Mapping[float, int]) -> list[NDArray[np.int8]]:
        """Return the part of each group of layers, given as needed distance and layers as bits.

        Parameters
        ----------
        cells
            The same for every question.
        groups
            Groups.
        """
        known = self._parts
        parts = {key: known[key] for key in groups.items() if key in known}
        new = [key for key in groups.items() if key not in known]
        parts.update(_derive_parts(cells, new))
        self._parts = parts
        return list(parts.values())


def derive_slack_field(cells: Cells, *, needed_mm: FloatArray, parts: SlackParts | None = None) -> SlackField:
    """Return what each cell leaves beyond the distance each layer needs.

    Layers that need the same distance share one transform. A cell's slack is the least distance between its
    box and the boxes of cells that a structure touches, less what is needed: no point of it has less. Where
    a cell wholly inside the structure is so near that even the farthest point of the cell is too near, the
    cell is a sure hit.

    Parameters
    ----------
    cells
        Pooled layers.
    needed_mm
        (layers,) margin plus needle radius.
    parts
        What earlier fields of the same cells were made of; what is new is kept there.
    """
    slack = np.full(cells.some.shape, int(SLACK_CAP_MM * UNITS_PER_MM), np.int8, order="F")
    groups: dict[float, int] = {}
    for number, needed in enumerate(needed_mm.tolist()):
        groups[needed] = groups.get(needed, 0) | 1 << number
    for part in (parts or SlackParts()).find(cells, groups):
        # A sure hit is the least there is.
        np.minimum(slack, part, out=slack)
    slack.setflags(write=False)
    return SlackField(corner_mm=cells.corner_mm, edge_mm=cells.edge_mm, slack=slack)


def _derive_parts(
    cells: Cells, groups: Sequence[tuple[float, int]]
) -> dict[tuple[float, int], NDArray[np.int8]]:
    edge = cells.edge_mm
    parts: dict[tuple[float, int], NDArray[np.int8]] = {}
    fields: dict[tuple[float, int, bool], NDArray[np.uint16]] = {}

    def work(part: tuple[float, int, bool]) -> None:
        needed, layers, whole = part
        window = _find_window(needed if whole else needed + SLACK_CAP_MM, edge_mm=edge)
        fields[part] = derive_squared_distance(
            cells.every if whole else cells.some, mask=layers, window=window, gap=0 if whole else 1
        )

    spread_over_threads(work, [(*group, whole) for group in groups for whole in (False, True)])
    for needed, layers in groups:
        window = _find_window(needed + SLACK_CAP_MM, edge_mm=edge)
        room = np.floor((np.sqrt(np.arange(window * window + 1)) * edge - needed) * UNITS_PER_MM)
        table = np.clip(room, LOWEST, SLACK_CAP_MM * UNITS_PER_MM).astype(np.int8)
        part = parts[needed, layers] = np.empty(cells.some.shape, np.int8, order="F")
        below = min(math.ceil(needed * needed / edge**2 - ROUNDING), field_kernels.FAR)
        field_kernels.fill_slack(
            fields[needed, layers, False], table, fields[needed, layers, True], below, part
        )
    return parts


def _find_window(reach_mm: float, *, edge_mm: float) -> int:
    return min(math.ceil(reach_mm / edge_mm), MOST_WINDOW)


def classify_paths(
    field: SlackField,
    starts_local_mm: FloatArray,
    ends_local_mm: FloatArray,
    *,
    run_out_mm: float = 0.0,
    room_mm: float = 0.0,
) -> NDArray[np.uint8]:
    """Class each of (n, 3) paths: free, undecided or blocked (see `field_kernels`); margins included.

    Parameters
    ----------
    field
        Slack.
    starts_local_mm, ends_local_mm
        (n, 3) ends in the scan's local millimetres; a start outside every structure, as on the skin.
    run_out_mm
        Length beyond the end that must be free too for a path to be free.
    room_mm
        Room beyond every margin that a path needs to be free, at most `SLACK_CAP_MM`.
    """
    classes = np.empty(len(starts_local_mm), np.uint8)

    def work(part: slice) -> None:
        numbers = np.arange(part.stop - part.start, dtype=np.int32)
        field_kernels.march_paths(
            starts_local_mm[part],
            ends_local_mm[part],
            numbers,
            numbers,
            run_out_mm,
            math.ceil(room_mm * UNITS_PER_MM),
            field.slack,
            field.corner_mm,
            field.edge_mm,
            UNITS_PER_MM,
            classes[part],
        )

    step = max(MARCH_PART, -(-len(classes) // MARCH_PARTS))
    spread_over_threads(work, [slice(a, min(a + step, len(classes))) for a in range(0, len(classes), step)])
    return classes


def find_crop(inside: BoolArray) -> tuple[slice, ...]:
    """Return the smallest box of voxels that holds everything inside; the whole array if nothing is."""
    slices = []
    for axis in range(3):
        others = tuple(a for a in range(3) if a != axis)
        found = np.flatnonzero(inside.any(axis=others))
        slices.append(
            slice(int(found[0]), int(found[-1]) + 1) if len(found) else slice(0, inside.shape[axis])
        )
    return tuple(slices)
