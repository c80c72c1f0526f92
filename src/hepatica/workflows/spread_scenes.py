"""From planned deposits to the scenes in which their spread is simulated."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy import ndimage

from hepatica.anatomy.structures import Anatomy, StructureKind
from hepatica.core.evidence import Evidence, EvidenceTable, read_evidence_table
from hepatica.core.findings import Finding, NotEvaluable, Severity
from hepatica.core.geometry import FloatArray, Grid
from hepatica.imaging.mask import Mask
from hepatica.lesions.lesion import Lesion
from hepatica.planning.path.values import Deposit, Needle, Puncture, Track
from hepatica.planning.spread.scene import InjectionSite, SpreadScene
from hepatica.planning.spread.tissue import TABLES, TUMOUR, SpreadTissue, read_limits
from hepatica.planning.spread.tissue_map import VESSEL_KINDS, ClassArray, derive_tissue_classes

GRID_TABLE: Final = "spread_grid.toml"
END_HOLE: Final = "end"
TRACE_STEP_MM: Final = 0.5
"""Step along a needle: finer than any voxel of a scan."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PlannedDeposit:
    """One deposit with the needle that gives it.

    Parameters
    ----------
    puncture_id, track
        Puncture, and number of its track from 1.
    deposit
        Point, volume and order.
    needle
        What it is given with.
    entry_lps_mm
        (3,) where that needle, drawn straight back from the deposit, meets the skin.
    """

    puncture_id: str
    track: int
    deposit: Deposit
    needle: Needle
    entry_lps_mm: FloatArray


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LesionScene:
    """What is simulated for one lesion.

    Parameters
    ----------
    lesion
        The lesion.
    deposits
        Its deposits in the order they are given.
    scene
        Grid, tissue and sites; NotEvaluable where nothing can be simulated.
    findings
        What was noticed on the way.
    """

    lesion: Lesion
    deposits: tuple[PlannedDeposit, ...]
    scene: SpreadScene | NotEvaluable
    findings: tuple[Finding, ...]


def read_grid_limits() -> EvidenceTable:
    """Return the shipped working numbers of grid and display.

    Examples
    --------
    >>> read_grid_limits()["grid_spacing"].unit
    'mm'
    """
    return read_evidence_table(TABLES, GRID_TABLE)


def list_deposits(punctures: Sequence[Puncture], *, lesion_id: str) -> tuple[PlannedDeposit, ...]:
    """Return a lesion's deposits over all punctures and tracks, in the order they are given.

    A needle that leaves a coaxial tip sideways is drawn straight back from there: its track is as long as the
    real one, and only its part outside the lesion lies a little beside it.
    """
    found = []
    for puncture in punctures:
        for number, track in enumerate(puncture.tracks, start=1):
            entry = _find_entry(puncture, track)
            found += [
                PlannedDeposit(
                    puncture_id=puncture.puncture_id,
                    track=number,
                    deposit=deposit,
                    needle=puncture.needle,
                    entry_lps_mm=entry,
                )
                for deposit in sorted(track.deposits, key=lambda one: one.order)
                if deposit.lesion_id == lesion_id and deposit.volume_ml > 0
            ]
    return tuple(found)


def _find_entry(puncture: Puncture, track: Track) -> FloatArray:
    entry = np.asarray(puncture.entry_lps_mm, dtype=np.float64)
    if puncture.pivot_lps_mm is None:
        return entry
    pivot = np.asarray(puncture.pivot_lps_mm, dtype=np.float64)
    back = pivot - track.tip_lps_mm
    length = float(np.linalg.norm(back))
    if length == 0:
        return entry
    return np.asarray(pivot + back / length * float(np.linalg.norm(entry - pivot)))


def derive_lesion_scene(
    lesion: Lesion,
    *,
    others: Sequence[Lesion],
    anatomy: Anatomy,
    punctures: Sequence[Puncture],
    rate: Evidence,
    cirrhosis: bool | None,
) -> LesionScene:
    """Derive the scene of one lesion.

    Parameters
    ----------
    lesion
        Lesion that is injected.
    others
        All lesions of the plan: tumour conducts as tumour, whichever it is.
    anatomy
        Structures of the planning scan.
    punctures
        Chosen punctures, in order.
    rate
        Rate of injection, mL/min.
    cirrhosis
        Whether the liver is cirrhotic; None where nobody said.
    """
    deposits = list_deposits(punctures, lesion_id=lesion.lesion_id)
    if not deposits:
        return LesionScene(
            lesion=lesion,
            deposits=(),
            scene=NotEvaluable(reason="no deposit above 0 mL is planned for this lesion"),
            findings=(),
        )
    reason = refuse_needle(deposits)
    if reason:
        return LesionScene(lesion=lesion, deposits=deposits, scene=NotEvaluable(reason=reason), findings=())
    grid, coarse = lay_grid(lesion, deposits, anatomy.grid)
    classes = derive_tissue_classes(
        anatomy,
        tumours={one.lesion_id: one.mask for one in others},
        viable=list_viable(others),
        grid=grid,
        cirrhosis=bool(cirrhosis),
    )
    scene = SpreadScene(
        grid=grid,
        classes=classes,
        sites=tuple(
            to_site(one, rate=rate, liver_depth_mm=depth)
            for one, depth in zip(deposits, measure_liver_depths(deposits, others, anatomy), strict=True)
        ),
    )
    findings = (
        *coarse,
        *_check_tips(lesion, scene, deposits),
        *_check_contacts(lesion, scene, anatomy),
        *_check_knowledge(lesion, cirrhosis=cirrhosis),
    )
    return LesionScene(lesion=lesion, deposits=deposits, scene=scene, findings=findings)


def refuse_needle(deposits: Sequence[PlannedDeposit]) -> str:
    """Say why these needles cannot be simulated; empty where they can."""
    for one in deposits:
        if one.needle.holes != END_HOLE and not one.needle.hole_offsets_mm:
            return (
                f"where the side holes of '{one.needle.name}' lie is not set: list them as hole_offsets_mm in a "
                "needles file and plan with --needles"
            )
    return ""


def list_viable(lesions: Sequence[Lesion]) -> dict[str, Mask]:
    """Return the viable part of each lesion that has one known."""
    return {one.lesion_id: one.viable.middle for one in lesions if not isinstance(one.viable, NotEvaluable)}


def measure_liver_depths(
    deposits: Sequence[PlannedDeposit], lesions: Sequence[Lesion], anatomy: Anatomy
) -> tuple[float, ...]:
    """Return how far behind each tip the needle lies in liver or tumour without a break, on the scan itself."""
    liver = anatomy.select(StructureKind.LIVER)
    for lesion in lesions:
        liver[lesion.mask.box] |= lesion.mask.crop
    found = []
    for one in deposits:
        tip = np.asarray(one.deposit.point_lps_mm, dtype=np.float64)
        length = float(np.linalg.norm(one.entry_lps_mm - tip))
        depth = np.arange(0.0, length, TRACE_STEP_MM)
        points = tip + depth[:, None] * (one.entry_lps_mm - tip) / length
        index = np.rint(anatomy.grid.to_index(points)).astype(np.int64)
        within = ((index >= 0) & (index < anatomy.grid.shape)).all(axis=1)
        inside = np.zeros(depth.size, dtype=bool)
        inside[within] = liver[tuple(index[within].T)]
        out = np.flatnonzero(~inside)
        found.append(float(depth[out[0]]) if out.size else length)
    return tuple(found)


def to_site(one: PlannedDeposit, *, rate: Evidence, liver_depth_mm: float) -> InjectionSite:
    """Write a planned deposit as the spread sees it."""
    return InjectionSite(
        tip_lps_mm=np.asarray(one.deposit.point_lps_mm, dtype=np.float64),
        entry_lps_mm=one.entry_lps_mm,
        volume_ml=one.deposit.volume_ml,
        rate_ml_per_min=rate.number,
        needle_radius_mm=0.5 * one.needle.outer_diameter_mm,
        liver_depth_mm=liver_depth_mm,
        hole_offsets_mm=one.needle.hole_offsets_mm or (0.0,),
    )


def _list_openings(one: PlannedDeposit) -> FloatArray:
    """Return (n, 3) tip and openings of a needle."""
    tip = np.asarray(one.deposit.point_lps_mm, dtype=np.float64)
    way = one.entry_lps_mm - tip
    offsets = np.array([0.0, *one.needle.hole_offsets_mm])
    return np.asarray(tip + offsets[:, None] * way / max(float(np.linalg.norm(way)), 1e-9))


def lay_grid(
    lesion: Lesion, deposits: Sequence[PlannedDeposit], scan: Grid
) -> tuple[Grid, tuple[Finding, ...]]:
    """Lay cubic voxels along LPS axes around lesion and deposits; say so where they have to be coarse."""
    limits, validity = read_grid_limits(), read_limits()
    box = lesion.mask.box
    ends = np.array([[side.start - 0.5, side.stop - 0.5] for side in box])
    corners = np.array([[a, b, c] for a in ends[0] for b in ends[1] for c in ends[2]])
    points = np.concatenate([scan.to_lps_mm(corners), *(_list_openings(one) for one in deposits)])
    margin = limits["grid_margin"].number
    low, high = points.min(axis=0) - margin, points.max(axis=0) + margin
    radius_mm = (3000.0 * lesion.mask.volume_ml / (4 * math.pi)) ** (1 / 3)
    wanted = min(limits["grid_spacing"].number, radius_mm / validity["fewest_cells"].number)
    step = max(wanted, _find_step(high - low, most=limits["grid_cells_max"].number))
    shape = np.ceil((high - low) / step).astype(int)
    grid = Grid.from_axes(
        shape=(int(shape[0]), int(shape[1]), int(shape[2])),
        spacing_mm=(step,) * 3,
        origin_lps_mm=(low + high) / 2 - step * (shape - 1) / 2,
        frame_of_reference=scan.frame_of_reference,
    )
    findings = []
    if radius_mm / step < validity["fewest_cells"].number * (1 - 1e-9):
        findings.append(
            Finding.from_limit(
                validity["fewest_cells"],
                rule="spread.unresolved",
                severity=Severity.WARNING,
                message="The lesion is only a few voxels wide on the working grid: its spread is not resolved.",
                measured=radius_mm / step,
                subject=lesion.lesion_id,
            )
        )
    if step > limits["grid_spacing"].number:
        findings.append(
            Finding.from_limit(
                limits["grid_cells_max"],
                rule="spread.coarse_grid",
                severity=Severity.INFO,
                message=f"Voxels of {step:.2f} mm keep the working grid within its size.",
                measured=float(np.prod(shape)),
                subject=lesion.lesion_id,
            )
        )
    return grid, tuple(findings)


def _find_step(size_mm: FloatArray, *, most: float) -> float:
    """Return the smallest voxel with which a box, rounded up to whole voxels, keeps within a number of cells."""
    step = math.cbrt(float(np.prod(size_mm)) / most)
    while float(np.prod(np.ceil(size_mm / step))) > most:
        step *= 1.005
    return step


def _check_tips(
    lesion: Lesion, scene: SpreadScene, deposits: Sequence[PlannedDeposit]
) -> tuple[Finding, ...]:
    found = []
    for number, (site, one) in enumerate(zip(scene.sites, deposits, strict=True), start=1):
        kind = SpreadTissue(int(scene.classes[scene.to_cell(site.tip_lps_mm)]))
        if kind in TUMOUR:
            continue
        found.append(
            Finding(
                rule="spread.tip_outside_tumour",
                severity=Severity.WARNING,
                message=f"Deposit {number} ({one.puncture_id}) opens in {kind.name.lower()}, not in tumour.",
                measured=kind.name.lower(),
                limit="viable, necrosis",
                subject=lesion.lesion_id,
            )
        )
    return tuple(found)


def _check_contacts(lesion: Lesion, scene: SpreadScene, anatomy: Anatomy) -> tuple[Finding, ...]:
    tumour = np.isin(scene.classes, [int(kind) for kind in TUMOUR])
    around = ndimage.binary_dilation(tumour, ndimage.generate_binary_structure(3, 3))
    found = []
    for kinds, rule, words in (
        ((SpreadTissue.VESSEL,), "touches_vessel", "a vessel: what reaches it is lost into the blood"),
        (
            (SpreadTissue.CAPSULE, SpreadTissue.OUTSIDE),
            "touches_capsule",
            "the liver's capsule: what reaches it spills",
        ),
    ):
        near = around & np.isin(scene.classes, [int(kind) for kind in kinds])
        if near.any():
            found.append(
                Finding(
                    rule=f"spread.{rule}",
                    severity=Severity.WARNING,
                    message=f"The lesion touches {words}.",
                    measured=float(np.count_nonzero(near)) * scene.grid.voxel_volume_ml,
                    unit="ml",
                    subject=lesion.lesion_id,
                )
            )
    if not any(anatomy.has(kind) for kind in VESSEL_KINDS):
        found.append(
            Finding(
                rule="spread.no_vessels",
                severity=Severity.WARNING,
                message="No vessel of the liver is labelled or derived: loss into large vessels is not simulated.",
                subject=lesion.lesion_id,
            )
        )
    return tuple(found)


def _check_knowledge(lesion: Lesion, *, cirrhosis: bool | None) -> tuple[Finding, ...]:
    found = []
    if isinstance(lesion.viable, NotEvaluable):
        found.append(
            Finding(
                rule="spread.viable_unknown",
                severity=Severity.WARNING,
                message="The viable part is unknown: the whole lesion counts as viable tumour.",
                subject=lesion.lesion_id,
            )
        )
    if cirrhosis is None:
        found.append(
            Finding(
                rule="spread.cirrhosis_unknown",
                severity=Severity.WARNING,
                message="Nobody said whether the liver is cirrhotic: it is taken as liver without cirrhosis.",
                subject=lesion.lesion_id,
            )
        )
    return tuple(found)


def count_classes(classes: ClassArray) -> dict[str, int]:
    """Return the number of voxels of each class, by name."""
    return {kind.name.lower(): int(np.count_nonzero(classes == kind)) for kind in SpreadTissue}
