"""What an injection meets: the working grid with its classes, the deposits, and the needle's way back."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from hepatica.core.errors import InputError
from hepatica.core.findings import Finding, Severity
from hepatica.core.geometry import BoolArray, FloatArray, Grid
from hepatica.planning.spread.backflow import Track
from hepatica.planning.spread.rate import RateStep, check_steps
from hepatica.planning.spread.source import SourceSetting
from hepatica.planning.spread.tissue import TUMOUR, SpreadTissue
from hepatica.planning.spread.tissue_map import ClassArray

STEPS_PER_CELL = 4
"""Samples of a needle's track along one voxel."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class InjectionSite:
    """One deposit: where, how much, how fast, and along which needle.

    Parameters
    ----------
    tip_lps_mm
        (3,) opening of the needle.
    entry_lps_mm
        (3,) any point up the needle, for example on the skin.
    volume_ml, rate_ml_per_min
        Amount and rate.
    needle_radius_mm
        Outer radius.
    liver_depth_mm
        Depth of liver along the needle behind the tip, where the grid ends before the capsule; None where the
        grid holds all of it.
    hole_offsets_mm
        Distance of each hole from the tip, up the needle; one hole at the tip by default.
    hole_radius_mm
        Radius of the sphere that stands for a hole; the needle's by default.
    steps
        Rate profile whose volume and mean rate are those above; empty for a constant rate.
    """

    tip_lps_mm: FloatArray
    entry_lps_mm: FloatArray
    volume_ml: float
    rate_ml_per_min: float
    needle_radius_mm: float
    liver_depth_mm: float | None = None
    hole_offsets_mm: tuple[float, ...] = (0.0,)
    hole_radius_mm: float | None = None
    steps: tuple[RateStep, ...] = ()

    def __post_init__(self) -> None:
        """Refuse a needle without direction or without holes."""
        length = float(np.linalg.norm(np.asarray(self.entry_lps_mm) - np.asarray(self.tip_lps_mm)))
        if not (length > 0 and self.hole_offsets_mm and self.needle_radius_mm > 0):
            raise InputError(
                expected="an entry apart from the tip, a needle radius above 0 mm and at least one hole",
                given=f"length {length:g} mm, radius {self.needle_radius_mm:g} mm, {len(self.hole_offsets_mm)} holes",
                where="deposit",
            )
        check_steps(
            self.steps, volume_ml=self.volume_ml, rate_ml_per_min=self.rate_ml_per_min, where="deposit"
        )

    @property
    def back(self) -> FloatArray:
        """(3,) unit vector from tip to entry."""
        way = np.asarray(self.entry_lps_mm, dtype=np.float64) - self.tip_lps_mm
        return np.asarray(way / np.linalg.norm(way))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SpreadScene:
    """The place of one lesion's injection.

    Parameters
    ----------
    grid
        Working grid of cubic voxels.
    classes
        (I, J, K) `SpreadTissue` numbers.
    sites
        Deposits in the order they are given.
    elastography_kpa
        Measured shear modulus on the grid, NaN where none.
    """

    grid: Grid
    classes: ClassArray
    sites: tuple[InjectionSite, ...]
    elastography_kpa: FloatArray | None = None
    tumour_ml: float = field(init=False)
    contacts: tuple[Finding, ...] = field(init=False)
    """What the tumour touches: vessels, capsule, the outside."""

    def __post_init__(self) -> None:
        """Refuse a scene without deposit, and tips off the grid."""
        spacing = self.grid.spacing_mm
        if np.ptp(spacing) > 1e-6 * spacing.max() or self.classes.shape != self.grid.shape:
            raise InputError(
                expected="cubic voxels and one class for each",
                given=f"spacing {spacing.tolist()} mm, classes {self.classes.shape}",
                where="working grid of the spread",
            )
        if not self.sites:
            raise InputError(expected="at least one deposit", given="none", where="spread")
        for number, site in enumerate(self.sites, start=1):
            index = np.rint(self.grid.to_index(site.tip_lps_mm)).astype(int)
            if (index < 1).any() or (index >= np.array(self.grid.shape) - 1).any():
                raise InputError(
                    expected="a tip inside the working grid",
                    given=f"voxel {index.tolist()} of {self.grid.shape}",
                    where=f"deposit {number}",
                    action="centre the working grid on the lesion, or enlarge it",
                )
        tumour = np.isin(self.classes, [int(kind) for kind in TUMOUR])
        object.__setattr__(self, "tumour_ml", float(tumour.sum()) * self.grid.voxel_volume_ml)
        object.__setattr__(self, "contacts", tuple(_list_contacts(self.classes, tumour)))

    @property
    def spacing_mm(self) -> float:
        """Edge of a voxel."""
        return float(self.grid.spacing_mm[0])

    def to_grid_mm(self, point_lps_mm: FloatArray) -> FloatArray:
        """(3,) millimetres along the grid's axes from voxel (0, 0, 0)."""
        return np.asarray(self.grid.to_index(point_lps_mm) * self.grid.spacing_mm)

    def holds(self, point_lps_mm: FloatArray) -> bool:
        """Whether a point lies in the grid."""
        index = np.rint(self.grid.to_index(point_lps_mm))
        return bool(((index >= 0) & (index < self.grid.shape)).all())

    def to_cell(self, point_lps_mm: FloatArray) -> tuple[int, int, int]:
        """Index of the voxel that holds a point, moved into the grid."""
        index = np.clip(
            np.rint(self.grid.to_index(point_lps_mm)).astype(int), 0, np.array(self.grid.shape) - 1
        )
        return int(index[0]), int(index[1]), int(index[2])


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TrackLine:
    """Samples of a needle's way back from its tip, up to the capsule or the grid's end.

    Parameters
    ----------
    cells
        (n,) flat indices on the grid.
    depth_mm
        (n,) distance from the tip.
    in_lesion
        (n,) whether the sample lies before the needle leaves the lesion.
    track
        Depths for the backflow.
    ends_in_grid
        Whether the line left the liver within the grid; otherwise its depth is the site's, or a lower bound.
    """

    cells: NDArray[np.int64]
    depth_mm: FloatArray
    in_lesion: NDArray[np.bool_]
    track: Track
    ends_in_grid: bool


def _list_contacts(classes: ClassArray, tumour: BoolArray) -> Iterator[Finding]:
    """Say what shares a face with the tumour and lets fluid go."""
    near = classes[ndimage.binary_dilation(tumour) & ~tumour] if tumour.any() else classes[:0]
    for rule, kinds, words in (
        (
            "touches_vessel",
            (SpreadTissue.VESSEL,),
            "a vessel: a cleft that opens it sends fluid into the blood",
        ),
        (
            "touches_capsule",
            (SpreadTissue.CAPSULE, SpreadTissue.OUTSIDE),
            "the capsule or what lies beyond it: a cleft or track that reaches it spills",
        ),
    ):
        faces = int(np.isin(near, [int(kind) for kind in kinds]).sum())
        if faces:
            yield Finding(
                rule=f"spread.{rule}",
                severity=Severity.WARNING,
                message=f"The tumour touches {words}.",
                measured=float(faces),
                source="voxels of the working grid that share a face with the tumour",
            )


def trace_track(scene: SpreadScene, site: InjectionSite, *, start_mm: float = 0.0) -> TrackLine:
    """Follow a needle from its tip back to the capsule; depths count from ``start_mm`` above the tip."""
    step = scene.spacing_mm / STEPS_PER_CELL
    reach = float(np.linalg.norm(np.asarray(site.entry_lps_mm) - site.tip_lps_mm)) - start_mm
    depth = np.arange(0.0, max(reach, 0.0) + step / 2, step)
    along = (start_mm + depth[:, None]) * site.back
    index = np.rint(scene.grid.to_index(site.tip_lps_mm + along)).astype(np.int64)
    within = np.asarray(((index >= 0) & (index < scene.grid.shape)).all(axis=1), dtype=np.bool_)
    depth, index = depth[: _first(~within)], index[: _first(~within)]
    kinds = scene.classes[tuple(index.T)]
    out = np.isin(kinds, [int(SpreadTissue.OUTSIDE), int(SpreadTissue.CAPSULE)])
    leaves = max(_first(out), 1)
    depth, index, kinds = depth[:leaves], index[:leaves], kinds[:leaves]
    lesion = max(_first(~np.isin(kinds, [int(kind) for kind in TUMOUR])), 1)
    beyond_mm = 0.0 if out.any() else max((site.liver_depth_mm or 0.0) - start_mm, 0.0)
    return TrackLine(
        cells=np.ravel_multi_index(tuple(index.T), scene.grid.shape).astype(np.int64),
        depth_mm=depth,
        in_lesion=np.arange(depth.size) < lesion,
        track=Track(
            needle_radius_mm=site.needle_radius_mm,
            depth_in_lesion_mm=float(lesion * step),
            depth_in_liver_mm=max(float(max(depth.size, lesion) * step), beyond_mm),
        ),
        ends_in_grid=bool(out.any()),
    )


def trace_backflow(scene: SpreadScene, site: InjectionSite) -> TrackLine:
    """Follow a needle back from its opening nearest the hub: there the fluid that runs back starts."""
    return trace_track(scene, site, start_mm=max(site.hole_offsets_mm))


def _first(flags: NDArray[np.bool_]) -> int:
    """Index of the first True, or the length."""
    return int(np.argmax(flags)) if flags.any() else int(flags.size)


def derive_setting(scene: SpreadScene, site: InjectionSite, line: TrackLine) -> SourceSetting:
    """See one deposit as the algebraic budget does: class at the tip, and distances to what is near."""
    lines = [np.arange(n) * scene.spacing_mm for n in scene.grid.shape]
    tip = scene.to_grid_mm(site.tip_lps_mm)
    x, y, z = (one - at for one, at in zip(lines, tip, strict=True))
    r = np.sqrt(x[:, None, None] ** 2 + y[None, :, None] ** 2 + z[None, None, :] ** 2)

    def nearest(*kinds: SpreadTissue) -> float:
        where = np.isin(scene.classes, [int(kind) for kind in kinds])
        return float(r[where].min()) if where.any() else math.inf

    return SourceSetting(
        volume_ml=site.volume_ml,
        rate_ml_per_min=site.rate_ml_per_min,
        steps=site.steps,
        tissue=SpreadTissue(int(scene.classes[scene.to_cell(site.tip_lps_mm)])),
        cavity_radius_mm=site.hole_radius_mm or site.needle_radius_mm,
        track=line.track,
        lesion_volume_ml=scene.tumour_ml,
        edge_distance_mm=nearest(*(kind for kind in SpreadTissue if kind not in TUMOUR)),
        vessel_distance_mm=nearest(SpreadTissue.VESSEL),
        outside_distance_mm=nearest(SpreadTissue.CAPSULE, SpreadTissue.OUTSIDE),
    )
