"""Everything a path is judged against, built once for one scan."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Final

import numpy as np
from numpy.typing import NDArray

from hepatica.anatomy.structures import Anatomy, StructureKind, to_bit
from hepatica.core.errors import GeometryError, InputError, NotFoundError
from hepatica.core.evidence import EvidenceStatus, EvidenceTable, read_evidence_table
from hepatica.core.findings import Finding, NotEvaluable, Severity
from hepatica.core.geometry import BoolArray, FloatArray, Grid
from hepatica.core.progress import SILENT, Progress
from hepatica.imaging.mask import Mask
from hepatica.imaging.volume import Volume
from hepatica.planning.path import kernels, obstacle_kernels
from hepatica.planning.path.fields import SlackField, SlackParts, derive_slack_field, find_crop
from hepatica.planning.path.memory import SearchMemory
from hepatica.planning.path.obstacles import Obstacles, derive_obstacles, to_layers
from hepatica.planning.path.skin import Skin, derive_skin, find_outside, thin_skin
from hepatica.planning.path.threads import split_slabs, spread_over_threads
from hepatica.planning.path.values import Needle, PriorTrack

BUILT_IN: Final = (
    "vessel_calibre",
    "vessel_calibre_wide",
    "entry_facing_down_max",
    "skin_spacing",
    "skin_air_max",
    "skin_air_min",
    "capsule_sigma",
)
"""Limits that decide what a scene consists of."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Scene:
    """One scan as the needle meets it.

    Parameters
    ----------
    volume, anatomy
        CT and structures, on one grid.
    lesions
        Lesion mask and target mask (where deposits may lie) by lesion id.
    gravity_lps
        (3,) unit vector or why unknown.
    limits, needle, prior_tracks
        What a path must keep.
    tissue
        (I, J, K) uint8: code of what each voxel is, with flags for body and liver. Every lesion carries the
        code of an other lesion; `paint_target` gives the copy for one target.
    obstacles
        Boundary voxels of everything to keep away from.
    skin
        Sampled skin.
    open_faces
        (axis, side) of the volume's faces that the body reaches: beyond them anything may lie.
    findings
        What could not be judged.
    memory
        Where searches keep what no margin changes; None keeps nothing. Answers are the same either way.
    """

    volume: Volume
    anatomy: Anatomy
    lesions: Mapping[str, tuple[Mask, Mask]]
    gravity_lps: FloatArray | NotEvaluable
    limits: EvidenceTable
    needle: Needle
    prior_tracks: tuple[PriorTrack, ...]
    tissue: NDArray[np.uint8]
    obstacles: Obstacles
    skin: Skin
    open_faces: tuple[tuple[int, int], ...]
    findings: tuple[Finding, ...] = ()
    memory: SearchMemory | None = None

    @property
    def grid(self) -> Grid:
        """Grid of the scan."""
        return self.volume.grid

    @cached_property
    def needle_radius_mm(self) -> float:
        """Half the needle's outer diameter."""
        return 0.5 * self.needle.outer_diameter_mm

    @cached_property
    def needed_mm(self) -> FloatArray:
        """The (layers,) distance from needle axis to each obstacle layer: margin plus needle radius."""
        return self.obstacles.margins_mm() + self.needle_radius_mm

    @cached_property
    def slack(self) -> SlackField:
        """Room beyond every margin on the coarse grid; made when first asked for."""
        parts = self.memory.recall("slack", SlackParts) if self.memory else None
        return derive_slack_field(self.obstacles.cells, needed_mm=self.needed_mm, parts=parts)

    @cached_property
    def skin_local_mm(self) -> FloatArray:
        """The (n, 3) skin points in the grid's own axes (`to_local_mm`)."""
        return self.to_local_mm(self.skin.points_lps_mm)

    @cached_property
    def skin_sample(self) -> Skin:
        """Fewer skin points, evenly spread, on which the cost of each limit is estimated."""
        return thin_skin(
            self.skin,
            edge_mm=self.limits["skin_sample_spacing"].number,
            anchor=self.grid.bounds_lps_mm.mean(axis=0),
        )

    def prepare(self) -> None:
        """Make now what is otherwise made when first asked for, so that threads do not make it twice."""
        _ = self.slack, self.skin_sample, self.skin_local_mm, self.needed_mm, self.largest_margin_mm

    @cached_property
    def largest_margin_mm(self) -> float:
        """Largest margin of any kind in the table, present in this scan or not, plus the needle radius."""
        margins = [entry.number for entry in self.limits if entry.key.startswith("margin_")]
        return max(margins) + self.needle_radius_mm

    def with_margins(self, limits: EvidenceTable) -> Scene:
        """Return the scene under other limits, with all it knows of the scan kept; quick.

        Parameters
        ----------
        limits
            The table with other margins, lengths, angles or weights.

        Raises
        ------
        InputError
            If a limit differs from which skin or vessels were derived: then build the scene anew.
        """
        fixed = [key for key in BUILT_IN if limits[key].number != self.limits[key].number]
        if fixed:
            raise InputError(
                expected="limits that leave the scene as it is",
                given=f"another {', '.join(fixed)}",
                where="path limits",
                action="build the scene anew",
            )
        layers = tuple(replace(layer, margin=limits[layer.margin.key]) for layer in self.obstacles.layers)
        return replace(self, limits=limits, obstacles=replace(self.obstacles, layers=layers))

    def to_local_mm(self, points_lps_mm: FloatArray) -> FloatArray:
        """Turn (..., 3) LPS points into millimetres along the grid's axes from the volume's corner."""
        return (self.grid.to_index(points_lps_mm) + 0.5) * self.grid.spacing_mm

    def measure_face_distance_mm(self, points_lps_mm: FloatArray) -> FloatArray:
        """Return the (...) distance of points to the nearest face that the body reaches; negative outside."""
        local = self.to_local_mm(np.asarray(points_lps_mm, dtype=np.float64))
        size = np.array(self.grid.shape) * self.grid.spacing_mm
        nearest = np.full(local.shape[:-1], np.inf)
        for axis, side in self.open_faces:
            nearest = np.minimum(nearest, size[axis] - local[..., axis] if side else local[..., axis])
        return nearest

    def paint_target(self, lesion_id: str) -> NDArray[np.uint8]:
        """Return a read-only copy of ``tissue`` in which one lesion is the target and its viable part is flagged.

        Raises
        ------
        NotFoundError
            If there is no such lesion.
        """
        lesion, target = self.find_lesion(lesion_id)
        painted = self.tissue.copy(order="F")
        view = painted[lesion.box]
        view[lesion.crop] = (view[lesion.crop] & ~kernels.CODE_MASK) | np.uint8(kernels.CODE_TARGET)
        view = painted[target.box]
        view[target.crop] |= kernels.VIABLE_FLAG
        painted.setflags(write=False)
        return painted

    def find_lesion(self, lesion_id: str) -> tuple[Mask, Mask]:
        """Return lesion mask and target mask.

        Raises
        ------
        NotFoundError
            If there is no such lesion.
        """
        try:
            return self.lesions[lesion_id]
        except KeyError:
            raise NotFoundError(
                expected=f"one of {', '.join(self.lesions)}",
                given=f"'{lesion_id}'",
                where="lesions of the scene",
            ) from None


def read_path_limits() -> EvidenceTable:
    """Return the shipped limits; a site replaces entries with ``table.replace(...)``."""
    return read_evidence_table("hepatica.planning.tables", "path_limits.toml")


def build_scene(
    volume: Volume,
    anatomy: Anatomy,
    *,
    lesions: Mapping[str, tuple[Mask, Mask]],
    gravity_lps: FloatArray | NotEvaluable,
    limits: EvidenceTable,
    needle: Needle,
    prior_tracks: Sequence[PriorTrack] = (),
    progress: Progress = SILENT,
) -> Scene:
    """Build the scene of one scan.

    Parameters
    ----------
    volume, anatomy
        CT and structures on the same grid; the anatomy needs at least body and liver.
    lesions
        Lesion mask and target mask by lesion id. Masks may overlap; the lesion being planned wins.
    gravity_lps
        (3,) unit vector from `hepatica.core.position.derive_gravity_lps`, or NotEvaluable: then no skin is
        excluded as lying on the table, and a finding says so.
    limits, needle
        From `read_path_limits` with a site's changes; needle to plan with.
    prior_tracks, progress
        Tracks of earlier plans in this scan's frame; what to report to.

    Raises
    ------
    GeometryError, NotFoundError
        If grids differ; if body or liver is missing.
    """
    grid = volume.grid
    _require(volume, anatomy, lesions)
    progress.stage("scene")
    tissue = np.zeros(grid.shape, np.uint8, order="F")
    for lesion, _ in lesions.values():
        tissue[lesion.box][lesion.crop] = kernels.CODE_OTHER_LESION | kernels.LIVER_FLAG
    outside = find_outside(_find_inside(anatomy, tissue), grid=grid)
    progress.check_cancelled()
    obstacles = derive_obstacles(
        anatomy, layers=to_layers(anatomy, limits), tissue=tissue, box=find_crop(~outside)
    )
    _flag_tissue(tissue, volume, anatomy, outside=outside, air_hu=limits["skin_air_max"].number)
    tissue.setflags(write=False)
    progress.check_cancelled()
    skin = derive_skin(volume, tissue=tissue, outside=outside, gravity_lps=gravity_lps, limits=limits)
    return Scene(
        volume=volume,
        anatomy=anatomy,
        lesions=dict(lesions),
        gravity_lps=gravity_lps,
        limits=limits,
        needle=needle,
        prior_tracks=tuple(prior_tracks),
        tissue=tissue,
        obstacles=obstacles,
        skin=skin,
        open_faces=_find_open_faces(outside),
        findings=_list_findings(gravity_lps, skin, limits),
    )


def _require(volume: Volume, anatomy: Anatomy, lesions: Mapping[str, tuple[Mask, Mask]]) -> None:
    if not anatomy.grid.same_grid(volume.grid):
        raise GeometryError(
            expected="structures on the scan's grid", given="another grid", where="path planning"
        )
    for lesion_id, masks in lesions.items():
        if not all(mask.grid.same_grid(volume.grid) for mask in masks):
            raise GeometryError(expected="masks on the scan's grid", given="another grid", where=lesion_id)
    for kind in (StructureKind.BODY, StructureKind.LIVER):
        if not anatomy.has(kind):
            raise NotFoundError(
                expected=f"the structure '{kind}'",
                given="neither a label nor a derived structure",
                where="path planning",
                action="label it, or derive it before planning",
            )


def _find_inside(anatomy: Anatomy, tissue: NDArray[np.uint8]) -> BoolArray:
    """Everything any label calls patient: a body label may leave out organs that have labels of their own."""
    inside = anatomy.bits != 0
    inside |= tissue != 0
    return np.asarray(inside)


def _flag_tissue(
    tissue: NDArray[np.uint8], volume: Volume, anatomy: Anatomy, *, outside: BoolArray, air_hu: float
) -> None:
    """Set the flags for liver and body, and the code of air that no label names."""
    liver = np.uint32(to_bit(StructureKind.LIVER) | to_bit(StructureKind.LESION))
    bits, values = np.asfortranarray(anatomy.bits), np.asfortranarray(volume.values)

    def work(slices: slice) -> None:
        slab = (slice(None), slice(None), slices)
        obstacle_kernels.flag_tissue(bits[slab], values[slab], outside[slab], tissue[slab], liver, air_hu)

    spread_over_threads(work, split_slabs(tissue.shape[2]))


def _find_open_faces(outside: BoolArray) -> tuple[tuple[int, int], ...]:
    faces = []
    for axis in range(3):
        for side, index in ((0, 0), (1, -1)):
            if not outside[(slice(None),) * axis + (index,)].all():
                faces.append((axis, side))
    return tuple(faces)


def _list_findings(
    gravity_lps: FloatArray | NotEvaluable, skin: Skin, limits: EvidenceTable
) -> tuple[Finding, ...]:
    findings = []
    if isinstance(gravity_lps, NotEvaluable):
        findings.append(
            Finding.from_limit(
                limits["entry_facing_down_max"],
                rule="path.table_side",
                severity=Severity.WARNING,
                message=f"Which skin lies on the table is {gravity_lps}; no skin was excluded for it.",
                measured=str(gravity_lps),
            )
        )
    if len(skin.points_lps_mm) == 0:
        findings.append(
            Finding(
                rule="path.no_skin",
                severity=Severity.ERROR,
                message="No skin was found: nowhere does the body meet air inside the volume.",
                status=EvidenceStatus.DERIVED,
            )
        )
    return tuple(findings)
