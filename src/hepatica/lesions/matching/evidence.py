"""What speaks for two lesions being one: place, size, overlap and gap, after registration."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from hepatica.core.evidence import EvidenceTable
from hepatica.core.geometry import FloatArray, Grid
from hepatica.imaging.deformation import ScanMap
from hepatica.imaging.mask import Mask
from hepatica.imaging.scan_registration import sample_mask_through
from hepatica.lesions.matching.assignment import NEVER

EDGE_MM: Final = 2.0
"""Cubes on which lesions of both visits are laid over each other."""
MARGIN_MM: Final = 6.0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ScanLesion:
    """A lesion of one visit, as matching needs it.

    Parameters
    ----------
    lesion_id
        Its name at that visit, unique there.
    mask
        Its voxels on that visit's scan.
    longest_diameter_mm, volume_ml
        As measured on that scan.
    """

    lesion_id: str
    mask: Mask
    longest_diameter_mm: float
    volume_ml: float


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PlacedLesion:
    """A lesion, or several as one, laid on the common cubes of the baseline.

    Parameters
    ----------
    names
        Ids of its parts, sorted.
    voxels
        Sorted flat indices of its cubes.
    points_lps_mm
        (n, 3) centres of the cubes.
    centre_lps_mm
        (3,) centre of volume.
    size_mm
        Longest diameter; of several parts the largest extent.
    volume_ml
        As measured on its own scan.
    """

    names: tuple[str, ...]
    voxels: NDArray[np.int64]
    points_lps_mm: FloatArray
    centre_lps_mm: FloatArray
    size_mm: float
    volume_ml: float

    def unite(self, other: PlacedLesion) -> PlacedLesion:
        """Return both as one lesion."""
        voxels, first = np.unique(np.concatenate([self.voxels, other.voxels]), return_index=True)
        points = np.concatenate([self.points_lps_mm, other.points_lps_mm])[first]
        volume_ml = self.volume_ml + other.volume_ml
        centre = (self.centre_lps_mm * self.volume_ml + other.centre_lps_mm * other.volume_ml) / volume_ml
        apart = float(np.linalg.norm(self.centre_lps_mm - other.centre_lps_mm))
        return PlacedLesion(
            names=tuple(sorted((*self.names, *other.names))),
            voxels=voxels,
            points_lps_mm=points,
            centre_lps_mm=centre,
            size_mm=max(self.size_mm, other.size_mm, apart + (self.size_mm + other.size_mm) / 2),
            volume_ml=volume_ml,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class PairEvidence:
    """What was compared between two placed lesions, and its cost.

    Parameters
    ----------
    distance_mm
        Between the centres after registration.
    spread_mm
        Standard deviation expected of it: registration and one-sided growth.
    contained_fraction
        Shared volume over that of the smaller one.
    gap_mm
        Smallest distance between their cubes, 0 where they overlap.
    volume_ratio
        Follow-up over baseline.
    cost
        In nats, smaller is likelier; `NEVER` outside the gate.
    """

    distance_mm: float
    spread_mm: float
    contained_fraction: float
    gap_mm: float
    volume_ratio: float
    cost: float


def place_lesions(
    baseline: Sequence[ScanLesion], followup: Sequence[ScanLesion], *, scan_map: ScanMap
) -> tuple[tuple[PlacedLesion, ...], tuple[PlacedLesion, ...]]:
    """Lay the lesions of both visits on common cubes of the baseline, each list sorted by id.

    Parameters
    ----------
    baseline, followup
        Lesions of the two visits.
    scan_map
        From baseline to follow-up.
    """
    still = ScanMap(moving_from_fixed=np.eye(4))
    pairs = [(lesion, still) for lesion in baseline] + [(lesion, scan_map) for lesion in followup]
    if not pairs:
        return (), ()
    placed = [_place(lesion, there) for lesion, there in pairs]
    parts = len(baseline)
    return (
        tuple(sorted(placed[:parts], key=lambda one: one.names)),
        tuple(sorted(placed[parts:], key=lambda one: one.names)),
    )


def _place(lesion: ScanLesion, scan_map: ScanMap) -> PlacedLesion:
    index = lesion.mask.index_ijk()
    own = scan_map.to_fixed(lesion.mask.grid.to_lps_mm(index))
    # All boxes begin on one lattice, so that cubes of different lesions can be compared by number.
    low = np.floor((own.min(axis=0) - MARGIN_MM) / EDGE_MM).astype(int)
    high = np.ceil((own.max(axis=0) + MARGIN_MM) / EDGE_MM).astype(int) + 1
    size = high - low
    grid = Grid.from_axes(
        shape=(int(size[0]), int(size[1]), int(size[2])),
        spacing_mm=(EDGE_MM,) * 3,
        origin_lps_mm=low * EDGE_MM,
    )
    share = sample_mask_through(lesion.mask, scan_map, grid=grid)
    # Row by row, so numbers come sorted. A lesion smaller than a cube keeps the cube it fills most.
    inside = np.argwhere(share >= min(0.5, float(share.max())))
    return PlacedLesion(
        names=(lesion.lesion_id,),
        voxels=_number(inside + low),
        points_lps_mm=grid.to_lps_mm(inside),
        centre_lps_mm=own.mean(axis=0),
        size_mm=lesion.longest_diameter_mm,
        volume_ml=lesion.volume_ml,
    )


def _number(lattice: NDArray[np.int64]) -> NDArray[np.int64]:
    half, span = 1 << 19, 1 << 20
    shifted = lattice.astype(np.int64) + half
    return np.asarray((shifted[:, 0] * span + shifted[:, 1]) * span + shifted[:, 2], dtype=np.int64)


def compare_lesions(
    before: PlacedLesion, after: PlacedLesion, *, uncertainty_mm: float, table: EvidenceTable
) -> PairEvidence:
    """Compare a lesion of the baseline with one of the follow-up.

    Parameters
    ----------
    before, after
        Placed on the common cubes.
    uncertainty_mm
        What registration may be off by at a lesion.
    table
        ``tracking.toml``.
    """
    distance_mm = float(np.linalg.norm(before.centre_lps_mm - after.centre_lps_mm))
    growth_mm = table["growth_share"].number * max(before.size_mm, after.size_mm)
    spread_mm = float(np.hypot(uncertainty_mm, growth_mm))
    shared = np.intersect1d(before.voxels, after.voxels, assume_unique=True).size
    contained = shared / min(before.voxels.size, after.voxels.size)
    near = distance_mm <= table["gate_spread"].number * spread_mm
    ratio = after.volume_ml / before.volume_ml
    if not near and contained < table["gate_contained"].number:
        return PairEvidence(
            distance_mm=distance_mm, spread_mm=spread_mm, contained_fraction=contained,
            gap_mm=0.0 if shared else float("inf"), volume_ratio=ratio, cost=NEVER,
        )  # fmt: skip
    gap_mm = 0.0 if shared else measure_gap_mm(before, after)
    size = 0.5 * (np.log(ratio) / table["size_spread"].number) ** 2
    cost = (
        0.5 * (distance_mm / spread_mm) ** 2 * (1.0 if near else 0.0)
        + (0.0 if near else 0.5 * table["gate_spread"].number ** 2)
        + min(float(size), table["size_most"].number)
        + table["overlap_weight"].number * (1.0 - contained)
        + 0.5 * (gap_mm / uncertainty_mm) ** 2
    )
    return PairEvidence(
        distance_mm=distance_mm, spread_mm=spread_mm, contained_fraction=contained,
        gap_mm=gap_mm, volume_ratio=ratio, cost=float(cost),
    )  # fmt: skip


def measure_gap_mm(first: PlacedLesion, second: PlacedLesion) -> float:
    """Return the smallest distance between cubes of two lesions, less one edge: 0 where they touch."""
    nearest, _ = cKDTree(first.points_lps_mm).query(second.points_lps_mm)
    return float(max(nearest.min() - EDGE_MM, 0.0))


def is_within(part: PlacedLesion, whole: PlacedLesion, *, reach_mm: float) -> bool:
    """Whether the centre of one lesion lies in another, or no farther from it than the reach."""
    nearest, _ = cKDTree(whole.points_lps_mm).query(part.centre_lps_mm)
    return bool(nearest <= reach_mm + EDGE_MM)
