"""What lies around the tips of a deposit pattern, by distance: how much of each tissue, and the nearest wall."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from hepatica.core.geometry import BoolArray, FloatArray, Grid
from hepatica.planning.spread.tissue import POROUS, TUMOUR, SpreadTissue
from hepatica.planning.spread.tissue_map import ClassArray

MARGIN_MM: Final = 20.0
"""Tissue beyond the tumour that fluid may reach; what goes farther is not in viable tumour anyway."""
MOST_SAMPLES: Final = 70_000
"""Voxels looked at: every one of a small box, every second of a large one, which moves a share by about 0.01."""
BIN_MM: Final = 0.5


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TissueSamples:
    """Voxels around a tumour as points of a lattice.

    Parameters
    ----------
    lines_mm
        Places along each axis of the grid, from voxel (0, 0, 0).
    kinds
        (a, b, c) place of the class in `POROUS`; its length for everything else.
    cell_mm3
        Tissue that a point stands for.
    vessel_mm, wall_mm
        (m, 3) surface voxels of vessels, and of capsule and outside.
    edge_mm
        (m, 3) surface voxels of what is no tumour.
    """

    lines_mm: tuple[FloatArray, FloatArray, FloatArray]
    kinds: NDArray[np.intp]
    cell_mm3: float
    vessel_mm: FloatArray
    wall_mm: FloatArray
    edge_mm: FloatArray


def sample_tissue(grid: Grid, classes: ClassArray) -> TissueSamples:
    """Take points from a map of classes around its tumour."""
    spacing = grid.spacing_mm
    tumour = _select(classes, *TUMOUR)
    box = ndimage.find_objects(tumour.astype(np.int8))[0]
    margin = np.ceil(MARGIN_MM / spacing).astype(int)
    box = tuple(
        slice(max(part.start - more, 0), part.stop + more) for part, more in zip(box, margin, strict=True)
    )
    near = classes[box]
    step = max(1, math.ceil((near.size / MOST_SAMPLES) ** (1 / 3)))
    taken = tuple(
        np.arange(part.start, min(part.stop, n), step) for part, n in zip(box, classes.shape, strict=True)
    )
    table = np.full(256, len(POROUS), dtype=np.intp)
    table[[int(kind) for kind in POROUS]] = np.arange(len(POROUS))
    return TissueSamples(
        lines_mm=(taken[0] * spacing[0], taken[1] * spacing[1], taken[2] * spacing[2]),
        kinds=table[classes[np.ix_(*taken)]],
        cell_mm3=float(spacing.prod()) * step**3,
        vessel_mm=_surface(_select(classes, SpreadTissue.VESSEL)) * spacing,
        wall_mm=_surface(_select(classes, SpreadTissue.CAPSULE, SpreadTissue.OUTSIDE)) * spacing,
        edge_mm=_surface(~tumour) * spacing,
    )


def _select(classes: ClassArray, *kinds: SpreadTissue) -> BoolArray:
    return np.asarray(np.isin(classes, [int(kind) for kind in kinds]))


def _surface(mask: BoolArray) -> FloatArray:
    """List the voxels of a mask that touch what is not in it: the nearest one to a tip outside is among them."""
    return np.argwhere(mask & ~ndimage.binary_erosion(mask, border_value=1)).astype(np.float64)


def measure_nearest_mm(points_mm: FloatArray, tip_mm: FloatArray) -> float:
    """Distance from a tip to the nearest of some points; inf without any."""
    if points_mm.size == 0:
        return math.inf
    return float(np.sqrt(((points_mm - tip_mm) ** 2).sum(axis=1).min()))


def measure_shells(samples: TissueSamples, tips_mm: Sequence[FloatArray]) -> FloatArray:
    """Measure the tissue within each distance of the nearest of some tips.

    Returns
    -------
    (classes, bins) volume in mm3 by place in `POROUS`, everything else last, in shells of `BIN_MM`.
    """
    squared = np.full(samples.kinds.shape, np.inf)
    for tip in tips_mm:
        x, y, z = ((line - at) ** 2 for line, at in zip(samples.lines_mm, tip, strict=True))
        np.minimum(squared, x[:, None, None] + (y[:, None] + z[None, :])[None], out=squared)
    bins = (np.sqrt(squared) / BIN_MM).astype(np.intp)
    count = int(bins.max()) + 1
    rows = len(POROUS) + 1
    flat = np.bincount((samples.kinds * count + bins).ravel(), minlength=rows * count)
    return np.asarray(flat.reshape(rows, count) * samples.cell_mm3)
