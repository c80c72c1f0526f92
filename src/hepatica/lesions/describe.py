"""From segments to described lesions: the room's front door."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from hepatica.anatomy.structures import Anatomy, StructureKind
from hepatica.core.errors import GeometryError, LesionOutsideLiverError
from hepatica.core.evidence import EvidenceTable, read_evidence_table
from hepatica.core.findings import Finding, NotEvaluable, Severity
from hepatica.core.progress import SILENT, Progress
from hepatica.imaging.mask import Mask
from hepatica.imaging.volume import Volume
from hepatica.lesions.diameters import measure_diameters, measure_longest_diameter_3d
from hepatica.lesions.extents import check_lesion_extents
from hepatica.lesions.instances import LesionSegment, split_segments
from hepatica.lesions.lesion import Lesion, ViablePart
from hepatica.lesions.prior import PriorVisit, apply_matches, match_prior_lesions
from hepatica.lesions.surroundings import (
    Surroundings,
    derive_surroundings,
    find_neighbours,
    measure_depth_mm,
    measure_distance_to_capsule_mm,
    measure_distance_to_face_mm,
    measure_gap_mm,
)
from hepatica.lesions.volume import check_liver_share, measure_liver_share, measure_volume

TABLES: Final = "hepatica.lesions.tables"
NO_PHASES: Final = NotEvaluable(reason="no viable or necrosis label and no second phase was given")


@dataclass(frozen=True, slots=True, kw_only=True)
class LesionTables:
    """The two evidence tables of the room; replace either by a site's own."""

    extents: EvidenceTable
    variability: EvidenceTable


def read_lesion_tables() -> LesionTables:
    """Read the shipped tables."""
    return LesionTables(
        extents=read_evidence_table(TABLES, "extents.toml"),
        variability=read_evidence_table(TABLES, "variability.toml"),
    )


def describe_lesions(
    segments: Sequence[tuple[str, Mask]],
    *,
    volume: Volume,
    anatomy: Anatomy,
    viable: Mapping[str, ViablePart | NotEvaluable] | None = None,
    prior: PriorVisit | None = None,
    tables: LesionTables | None = None,
    progress: Progress = SILENT,
) -> tuple[tuple[Lesion, ...], tuple[Finding, ...]]:
    """Measure every lesion and everything about it.

    Parameters
    ----------
    segments
        (label name, mask) of each lesion segment as read; `split_segments` says what becomes a lesion.
    volume
        Planning scan.
    anatomy
        Structures of the planning scan.
    viable
        Viable part by lesion label, as `split_segments` names them; absent ones cannot be judged.
    prior
        Lesions of earlier plans with the registration to today, or None.
    tables
        Evidence; the shipped tables where None.
    progress
        What to report to.

    Returns
    -------
    tuple
        Lesions ``L1``, ``L2``, ... by longest diameter, largest first, then by centroid (z, y, x); and
        findings.

    Raises
    ------
    EmptyLabelError
        Without a segment.
    GeometryError
        If segments, volume and anatomy do not share one grid.
    LesionOutsideLiverError
        If a lesion lies away from the liver.

    Examples
    --------
    >>> import numpy as np
    >>> from hepatica.core.geometry import Grid
    >>> grid = Grid.from_axes(shape=(20, 20, 12), spacing_mm=(2, 2, 4), origin_lps_mm=(0, 0, 0))
    >>> volume = Volume(values=np.full(grid.shape, 60, np.int16), grid=grid)
    >>> anatomy = Anatomy(grid=grid, bits=np.zeros(grid.shape, np.uint32))
    >>> full = np.zeros(grid.shape, bool); full[8:13, 8:12, 5:8] = True
    >>> lesions, findings = describe_lesions(
    ...     [("tumour", Mask.from_full(full, grid=grid))], volume=volume, anatomy=anatomy
    ... )
    >>> lesions[0].lesion_id, lesions[0].longest_diameter.length_mm, lesions[0].volume_ml
    ('L1', 10.0, 0.96)
    """
    tables = tables or read_lesion_tables()
    progress.stage("Measure lesions")
    _require_one_grid(segments, volume=volume, anatomy=anatomy)
    parts, found = split_segments(segments, limits=tables.extents)
    findings = list(found)
    around = derive_surroundings(anatomy, lesions=tuple(part.mask for part in parts))
    findings += _check_in_liver(parts, anatomy=anatomy, limits=tables.extents)
    described = []
    for number, part in enumerate(parts):
        progress.check_cancelled()
        living = (viable or {}).get(part.label, NO_PHASES)
        described.append(_describe_one(part, around=around, viable=living, tables=tables))
        progress.advance((number + 1) / len(parts))
    ordered = sorted(described, key=_order)
    lesions = tuple(replace(lesion, lesion_id=f"L{number}") for number, lesion in enumerate(ordered, start=1))
    if prior is not None:
        matches, about_prior = match_prior_lesions(
            lesions, prior.lesions, present_from_prior_lps=prior.present_from_prior_lps
        )
        lesions = apply_matches(lesions, matches)
        findings += about_prior
    findings += check_lesion_extents(lesions, volume=volume, limits=tables.extents)
    findings += _check_faces(lesions)
    share = measure_liver_share(
        [lesion.mask for lesion in lesions], liver=around.liver, variability=tables.variability
    )
    findings += check_liver_share(share, limits=tables.extents)
    return lesions, tuple(findings)


def _describe_one(
    part: LesionSegment, *, around: Surroundings, viable: ViablePart | NotEvaluable, tables: LesionTables
) -> Lesion:
    longest, short = measure_diameters(part.mask)
    volume = measure_volume(part.mask, variability=tables.variability)
    share = measure_liver_share([part.mask], liver=around.liver, variability=tables.variability)
    part_of_liver, part_error = (
        (share, share) if isinstance(share, NotEvaluable) else (share.fraction, share.uncertainty_fraction)
    )
    return Lesion(
        lesion_id="",
        label=part.label,
        mask=part.mask,
        longest_diameter=longest,
        short_axis=short,
        longest_diameter_3d=measure_longest_diameter_3d(part.mask),
        volume_ml=volume.volume_ml,
        volume_uncertainty_ml=volume.uncertainty_ml,
        liver_fraction=part_of_liver,
        liver_fraction_uncertainty=part_error,
        distance_to_capsule_mm=measure_distance_to_capsule_mm(part.mask, around=around),
        depth_mm=measure_depth_mm(part.mask, around=around),
        neighbours=find_neighbours(part.mask, anatomy=around.anatomy),
        viable=viable,
    )


def _order(lesion: Lesion) -> tuple[float, ...]:
    x, y, z = lesion.mask.centroid_lps_mm.round(6)
    return round(-lesion.longest_diameter.length_mm, 6), z, y, x


def _require_one_grid(segments: Sequence[tuple[str, Mask]], *, volume: Volume, anatomy: Anatomy) -> None:
    others = [("anatomy", anatomy.grid), *((f"label '{name}'", mask.grid) for name, mask in segments)]
    for where, grid in others:
        volume.grid.require_same_frame(grid, where=where)
        if not grid.same_grid(volume.grid):
            raise GeometryError(
                expected="the grid of the planning scan",
                given=f"another grid of shape {grid.shape}",
                where=where,
            )


def _check_in_liver(
    parts: tuple[LesionSegment, ...], *, anatomy: Anatomy, limits: EvidenceTable
) -> list[Finding]:
    """Require every lesion to touch the liver, directly or through other lesions."""
    if not anatomy.has(StructureKind.LIVER):
        return []
    full = anatomy.select(StructureKind.LIVER, StructureKind.LIVER_VESSEL)
    for part in parts:
        full[part.mask.box] &= ~part.mask.crop
    findings: list[Finding] = []
    waiting = list(parts)
    reached: list[Mask] = [Mask.from_full(full, grid=anatomy.grid)] if full.any() else []
    while waiting:
        touching = [
            part
            for part in waiting
            if any(measure_gap_mm(part.mask, mask, at_most_mm=0.0) == 0.0 for mask in reached)
        ]
        if not touching:
            break
        reached = [part.mask for part in touching]
        waiting = [part for part in waiting if part not in touching]
    liver = Mask.from_full(full, grid=anatomy.grid) if full.any() else None
    limit = limits["liver_gap"]
    for part in waiting:
        gap_mm = None if liver is None else measure_gap_mm(part.mask, liver, at_most_mm=limit.number)
        if gap_mm is None:
            raise LesionOutsideLiverError(
                expected="a lesion in or at the liver",
                given=f"more than {limit.number:g} mm from it",
                where=f"label '{part.label}'",
                action="check which labels are lesions and which is the liver",
            )
        findings.append(
            Finding.from_limit(
                limit,
                rule="lesions.beside_liver",
                severity=Severity.WARNING,
                message=f"Lesion '{part.label}' does not touch the liver label.",
                measured=round(gap_mm, 2),
                subject=part.label,
            )
        )
    return findings


def _check_faces(lesions: tuple[Lesion, ...]) -> list[Finding]:
    findings = []
    for lesion in lesions:
        face_mm = measure_distance_to_face_mm(lesion.mask)
        if isinstance(lesion.depth_mm, float) and face_mm < lesion.depth_mm:
            findings.append(
                Finding(
                    rule="lesions.depth_beyond_face",
                    severity=Severity.INFO,
                    message=f"The edge of the scan is nearer to {lesion.lesion_id} than the skin seen: "
                    "skin beyond the edge was not considered for its depth.",
                    measured=round(face_mm, 1),
                    limit=round(lesion.depth_mm, 1),
                    unit="mm",
                    subject=lesion.lesion_id,
                )
            )
    return findings
