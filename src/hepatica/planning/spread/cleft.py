"""A finite cleft: a penny-shaped pool whose volume is the surplus, put onto the grid."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np

from hepatica.core.geometry import FloatArray
from hepatica.planning.spread.tissue import POROUS, SpreadTissue
from hepatica.planning.spread.tissue_map import TissueMap

DIRECTIONS: Final = 48
"""Normals tried, evenly over half the sphere: about 20 degrees apart."""
SUBCELLS: Final = 3
"""Points along a cell's edge that decide how much of it the cleft fills."""
FARTHEST_OFFSET: Final = 0.8
"""Shift of the cleft's middle from the tip over its radius: the tip stays inside."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CleftDraw:
    """Shares, 0 to 1, that choose one cleft among those the tissue allows.

    Parameters
    ----------
    normal
        Which normal, along the cumulative weight of soft planes.
    heading, shift
        In which direction of the plane, and how far, its middle lies from the tip.
    """

    normal: float = 0.5
    heading: float = 0.0
    shift: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Cleft:
    """A cleft on the grid.

    Parameters
    ----------
    volume_mm3
        (I, J, K) fluid of the cleft in each cell.
    centre_mm, normal
        (3,) in the grid's own axes, millimetres from voxel (0, 0, 0).
    radius_mm, half_width_mm
        Semi-axes, after stopping at whatever it met.
    lost_mm3
        Fluid that came after contact.
    met
        What it met: a vessel, or the capsule (anything outside included); None where nothing.
    """

    volume_mm3: FloatArray
    centre_mm: FloatArray
    normal: FloatArray
    radius_mm: float
    half_width_mm: float
    lost_mm3: float
    met: SpreadTissue | None


def _list_normals() -> FloatArray:
    """Return (n, 3) unit vectors spread evenly over the upper half of the sphere (a golden spiral)."""
    n = np.arange(DIRECTIONS) + 0.5
    z = 1 - n / DIRECTIONS
    angle = math.pi * (1 + math.sqrt(5)) * n
    flat = np.sqrt(1 - z**2)
    return np.stack([flat * np.cos(angle), flat * np.sin(angle), z], axis=1)


def _plane_axes(normal: FloatArray) -> FloatArray:
    """Return (2, 3) unit vectors that span a plane."""
    other = np.eye(3)[int(np.argmin(np.abs(normal)))]
    first = np.cross(normal, other)
    first /= np.linalg.norm(first)
    return np.stack([first, np.cross(normal, first)])


def choose_normal(tissue: TissueMap, tip_mm: FloatArray, *, radius_mm: float, share: float) -> FloatArray:
    """Choose a cleft's normal: planes through soft tissue weigh more, by their mean compliance ``1 / G``.

    Necrosis is soft, and what lies beyond the capsule resists least; so clefts lean towards both.

    Parameters
    ----------
    tissue
        Map with shear moduli.
    tip_mm
        (3,) tip in grid axes.
    radius_mm
        Radius of the plane that is looked at.
    share
        Where along the cumulative weight to choose, 0 to 1.
    """
    normals = _list_normals()
    spacing = tissue.grid.spacing_mm
    angle = np.arange(16) * (2 * math.pi / 16)
    rings = np.concatenate(
        [np.stack([np.cos(angle), np.sin(angle)], axis=1) * part for part in (0.35, 0.65, 0.95)]
    )
    weights = np.empty(len(normals))
    top = np.array(tissue.grid.shape) - 1
    for n, normal in enumerate(normals):
        points = tip_mm + radius_mm * rings @ _plane_axes(normal)
        index = np.clip(np.rint(points / spacing).astype(np.int64), 0, top)
        weights[n] = (1 / tissue.shear_modulus_kpa[tuple(index.T)]).mean()
    edges = np.cumsum(weights) / weights.sum()
    return np.asarray(normals[min(int(np.searchsorted(edges, share)), len(normals) - 1)])


def open_cleft(
    tissue: TissueMap,
    tip_mm: FloatArray,
    *,
    volume_mm3: float,
    radius_mm: float,
    half_width_mm: float,
    draw: CleftDraw,
) -> Cleft:
    """Open a cleft at a tip and put it onto the grid; it grows in proportion until it meets a vessel or the capsule.

    Parameters
    ----------
    tissue
        Map of the classes.
    tip_mm
        (3,) tip in grid axes, millimetres from voxel (0, 0, 0).
    volume_mm3
        Surplus to hold.
    radius_mm, half_width_mm
        Semi-axes for the whole surplus.
    draw
        Which of the possible clefts.
    """
    normal = choose_normal(tissue, tip_mm, radius_mm=radius_mm, share=draw.normal)
    turn = 2 * math.pi * draw.heading
    heading = np.array([math.cos(turn), math.sin(turn)]) @ _plane_axes(normal)
    offset = heading * (FARTHEST_OFFSET * draw.shift * radius_mm)
    distance = _measure_growth(
        tissue, tip_mm, offset=offset, normal=normal, axes_mm=(radius_mm, half_width_mm)
    )
    met, reached = None, 1.0
    for kind, walls in (
        (SpreadTissue.VESSEL, (SpreadTissue.VESSEL,)),
        (SpreadTissue.CAPSULE, (SpreadTissue.CAPSULE, SpreadTissue.OUTSIDE)),
    ):
        where = tissue.select(*walls)
        nearest = float(distance[where].min()) if where.any() else math.inf
        if nearest < reached:
            met, reached = kind, nearest
    held = volume_mm3 * reached**3
    return Cleft(
        volume_mm3=_fill(
            tissue, tip_mm + offset * reached, normal, (radius_mm * reached, half_width_mm * reached), held
        ),
        centre_mm=tip_mm + offset * reached,
        normal=normal,
        radius_mm=radius_mm * reached,
        half_width_mm=half_width_mm * reached,
        lost_mm3=volume_mm3 - held,
        met=met,
    )


def _cells_mm(tissue: TissueMap) -> FloatArray:
    """(I, J, K, 3) cell centres in grid axes."""
    lines = [np.arange(n) * h for n, h in zip(tissue.grid.shape, tissue.grid.spacing_mm, strict=True)]
    return np.stack(np.meshgrid(*lines, indexing="ij"), axis=-1)


def _measure_growth(
    tissue: TissueMap,
    tip_mm: FloatArray,
    *,
    offset: FloatArray,
    normal: FloatArray,
    axes_mm: tuple[float, float],
) -> FloatArray:
    """Scale of the growing cleft (1 when full) at which it reaches each cell.

    The middle moves with the size: x is on the surface of scale s where ``|(x - tip) / s - offset| = 1`` in the
    cleft's metric, a quadratic in 1 / s.
    """
    at = _cells_mm(tissue) - tip_mm
    long, short = axes_mm
    along = at @ normal
    stretch = 1 / short**2 - 1 / long**2
    xx = (at**2).sum(axis=-1) / long**2 + stretch * along**2
    xo = at @ offset / long**2
    oo = float(offset @ offset) / long**2
    # xx y^2 - 2 xo y + oo - 1 = 0 for y = 1 / s; the tip is inside, so one root is positive.
    root = (xo + np.sqrt(np.maximum(xo**2 + xx * (1 - oo), 0.0))) / np.maximum(xx, 1e-12)
    return np.asarray(1 / np.maximum(root, 1e-12))


def _fill(
    tissue: TissueMap,
    centre_mm: FloatArray,
    normal: FloatArray,
    axes_mm: tuple[float, float],
    volume_mm3: float,
) -> FloatArray:
    """Share a volume among the porous cells that the spheroid fills, by sub-points, and meet it exactly."""
    spacing = tissue.grid.spacing_mm
    filled = np.zeros(tissue.grid.shape)
    if volume_mm3 <= 0:
        return filled
    # A cleft thinner than the sub-points would slip between them.
    finest = float(spacing.max()) / SUBCELLS
    long, short = max(axes_mm[0], finest), max(axes_mm[1], finest)
    low = np.maximum(np.floor((centre_mm - long) / spacing).astype(int), 0)
    high = np.minimum(np.ceil((centre_mm + long) / spacing).astype(int) + 1, tissue.grid.shape)
    box = tuple(slice(a, max(b, a)) for a, b in zip(low, high, strict=True))
    cells = np.stack(
        np.meshgrid(
            *(np.arange(s.start, s.stop) * h for s, h in zip(box, spacing, strict=True)), indexing="ij"
        ),
        axis=-1,
    )
    inside = np.zeros(cells.shape[:3])
    steps = (np.arange(SUBCELLS) + 0.5) / SUBCELLS - 0.5
    for shift in np.stack(np.meshgrid(steps, steps, steps, indexing="ij"), axis=-1).reshape(-1, 3):
        at = cells + shift * spacing - centre_mm
        along = at @ normal
        inside += ((at**2).sum(axis=-1) - along**2) / long**2 + along**2 / short**2 <= 1
    filled[box] = inside
    filled[~tissue.select(*POROUS)] = 0.0
    if filled.sum() == 0:
        index = np.clip(np.rint(centre_mm / spacing).astype(int), 0, np.array(tissue.grid.shape) - 1)
        filled[tuple(index)] = 1.0
    return np.asarray(filled * (volume_mm3 / filled.sum()))
