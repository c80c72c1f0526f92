"""The living part of a tumour: from a label, or from how it takes up contrast between two phases."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from scipy import ndimage

from hepatica.core.errors import GeometryError
from hepatica.core.evidence import EvidenceTable, read_evidence_table
from hepatica.core.findings import NotEvaluable
from hepatica.core.geometry import BoolArray, FloatArray, Grid
from hepatica.core.progress import SILENT, Progress
from hepatica.imaging.mask import Mask, Slices, find_box
from hepatica.imaging.registration import RigidRegistration, register_rigid_locally, resample_to
from hepatica.imaging.volume import Volume
from hepatica.lesions.enhancement import (
    PhasePair,
    TumourType,
    classify_enhancement,
    clean_parts,
    measure_strength,
)
from hepatica.lesions.lesion import ALL_NECROTIC, ViableLevel, ViablePart

TABLES: Final = "hepatica.lesions.tables"
DERIVED: Final = "derived, not reviewed"
LABEL: Final = "label"
REGION_MM: Final = 20.0
"""Liver this near to the lesion is registered with it: enough surface, little of the liver's bending."""
REFERENCE_MM: Final = 30.0
"""Liver this near gives the reference; farther parts may be perfused differently."""
RIM_MM: Final = 8.0
"""Liver nearer than this may be altered by the tumour (shunts, compression) and is no reference."""
FEWEST_REFERENCE_ML: Final = 5.0
MOST_UNSEEN: Final = 0.1
"""Part of the lesion that the arterial scan may miss; the nearest seen tissue stands for it."""
STRONGEST_PERCENTILE: Final = 90.0


def read_viable_label(
    lesion: Mask, *, viable: Mask | None = None, necrosis: Mask | None = None
) -> ViablePart | NotEvaluable:
    """Take the living part from a label of viable tumour, or as what a label of necrosis leaves.

    Parameters
    ----------
    lesion
        The whole lesion.
    viable, necrosis
        Segments on the lesion's grid. Where a viable label reaches into the lesion it decides alone.

    Returns
    -------
    ViablePart or NotEvaluable
        Three equal masks; not evaluable without a label in the lesion; `ALL_NECROTIC` where nothing is left.
    """
    for mask in (viable, necrosis):
        if mask is not None and not mask.grid.same_grid(lesion.grid):
            raise GeometryError(
                expected="labels on the lesion's grid", given="another grid", where="viable or necrosis label"
            )
    living = None if viable is None else viable.cut(lesion.box) & lesion.crop
    method = "label of viable tumour"
    if living is None or not living.any():
        dead = None if necrosis is None else necrosis.cut(lesion.box) & lesion.crop
        if dead is None or not dead.any():
            return NotEvaluable(reason="no viable or necrosis label reaches into the lesion")
        living = lesion.crop & ~dead
        method = "lesion without its label of necrosis"
    box = find_box(living)
    if box is None:
        return ALL_NECROTIC
    i, j, k = (int(s + part.start) for s, part in zip(lesion.start_ijk, box, strict=True))
    part = Mask(grid=lesion.grid, start_ijk=(i, j, k), crop=np.asfortranarray(living[box]))
    return ViablePart(low=part, middle=part, high=part, origin=LABEL, method=method)


def derive_viable(
    lesion: Mask,
    *,
    venous: Volume,
    arterial: Volume | None,
    liver: BoolArray,
    tumour_type: TumourType | None,
    table: EvidenceTable | None = None,
    progress: Progress = SILENT,
) -> ViablePart | NotEvaluable:
    """Derive the living part of a lesion from two phases.

    The arterial phase is registered rigidly to the venous one in the liver within 20 mm of the lesion;
    both are smoothed inside liver and lesion only; every voxel is then judged by the tumour type's
    pattern (`classify_enhancement`) at three strictnesses, and islands and holes too small to mean
    anything are removed. Where the lesion borders on something that is not liver (stomach, lung), a rim
    as wide as the registration residual takes the value of the tissue inside it: a misplaced neighbour
    must not look like enhancement.

    Parameters
    ----------
    lesion
        The lesion on the venous grid.
    venous, arterial
        Portal venous (planning) and arterial CT; their grids may differ.
    liver
        (I, J, K) on the venous grid; tumours may be in it or not.
    tumour_type
        Decides the pattern.
    table
        ``enhancement.toml``, or a site's own.
    progress
        What to report to.

    Returns
    -------
    ViablePart or NotEvaluable
        Nested masks marked ``derived, not reviewed``, or the reason why not: no arterial phase, no tumour
        type, not CT, poor registration, no liver to compare with, phases that are not arterial and
        venous, nothing viable.
    """
    if arterial is None:
        return NotEvaluable(reason="no arterial phase was given")
    if tumour_type is None:
        return NotEvaluable(reason="the tumour type is not known, so no enhancement pattern applies")
    if venous.modality != "CT" or arterial.modality != "CT":
        return NotEvaluable(reason="enhancement is judged in CT numbers only")
    table = table or read_evidence_table(TABLES, "enhancement.toml")
    box = _find_box_around(lesion, margin_mm=REFERENCE_MM)
    if not liver[box].any():
        return NotEvaluable(reason="no liver around the lesion to compare it with")
    registration = _register(lesion, venous, arterial, liver, progress=progress)
    if isinstance(registration, NotEvaluable):
        return registration
    residual_mm = registration.residual_mm
    reason = _judge_registration(registration, table=table)
    if reason is not None or isinstance(residual_mm, NotEvaluable):
        return reason or NotEvaluable(reason="the registration residual cannot be measured")
    progress.check_cancelled()
    pair = _make_pair(
        lesion, venous, arterial, liver, registration=registration, residual_mm=residual_mm, table=table
    )
    if isinstance(pair, NotEvaluable):
        return pair
    reason = _judge_phases(pair, table=table)
    return reason or _assemble(lesion, pair, tumour_type=tumour_type, residual_mm=residual_mm, table=table)


def _register(
    lesion: Mask, venous: Volume, arterial: Volume, liver: BoolArray, *, progress: Progress
) -> RigidRegistration | NotEvaluable:
    full = np.zeros(liver.shape, dtype=bool, order="F")
    box = _find_box_around(lesion, margin_mm=REGION_MM)
    full[box] = liver[box]
    full[lesion.box] |= lesion.crop
    region = Mask.from_full(full, grid=lesion.grid)
    try:
        return register_rigid_locally(venous, arterial, region=region, progress=progress)
    except GeometryError as error:
        return NotEvaluable(
            reason=f"the phases could not be registered: {error.given}; {error.expected} needed"
        )


def _judge_registration(registration: RigidRegistration, *, table: EvidenceTable) -> NotEvaluable | None:
    residual_mm = registration.residual_mm
    if isinstance(residual_mm, NotEvaluable):
        return NotEvaluable(reason=f"the registration of the phases cannot be judged: {residual_mm.reason}")
    if not registration.converged:
        return NotEvaluable(reason="the registration of the phases did not converge")
    limit_mm = table["residual_max"].number
    if residual_mm > limit_mm:
        return NotEvaluable(
            reason=f"the phases do not fit: {residual_mm:.1f} mm left after registration, "
            f"limit {limit_mm:g} mm"
        )
    return None


def _make_pair(
    lesion: Mask,
    venous: Volume,
    arterial: Volume,
    liver: BoolArray,
    *,
    registration: RigidRegistration,
    residual_mm: float,
    table: EvidenceTable,
) -> PhasePair | NotEvaluable:
    """Bring both phases onto the grid around the lesion, smooth them and measure the liver nearby."""
    box = _find_box_around(lesion, margin_mm=REFERENCE_MM)
    grid = _cut_grid(lesion.grid, box)
    tumour = lesion.cut(box)
    seen = _find_seen(arterial.grid, grid=grid, registration=registration)
    if np.count_nonzero(tumour & ~seen) > MOST_UNSEEN * np.count_nonzero(tumour):
        return NotEvaluable(reason="the arterial phase does not cover the lesion")
    organ = liver[box] | tumour
    trusted = seen & (ndimage.distance_transform_edt(organ, sampling=grid.spacing_mm) > residual_mm)
    away_mm = ndimage.distance_transform_edt(~tumour, sampling=grid.spacing_mm)
    reference = trusted & ~tumour & (away_mm > RIM_MM) & (away_mm <= REFERENCE_MM)
    if np.count_nonzero(reference) * grid.voxel_volume_ml < FEWEST_REFERENCE_ML:
        return NotEvaluable(
            reason=f"less than {FEWEST_REFERENCE_ML:g} mL of liver around the lesion to compare it with"
        )
    moved = resample_to(arterial, grid=grid, moving_from_fixed=registration.moving_from_fixed)
    sigma = table["smoothing_sigma"].number / grid.spacing_mm
    early = _smooth_within(moved, trusted, sigma=sigma, spacing_mm=grid.spacing_mm)
    late = _smooth_within(venous.values[box], trusted, sigma=sigma, spacing_mm=grid.spacing_mm)
    return PhasePair(
        grid=grid,
        tumour=tumour,
        arterial_hu=early,
        venous_hu=late,
        liver_arterial_hu=float(np.median(early[reference])),
        liver_venous_hu=float(np.median(late[reference])),
    )


def _judge_phases(pair: PhasePair, *, table: EvidenceTable) -> NotEvaluable | None:
    least = table["liver_rise_min"].number
    if pair.liver_rise_hu >= least:
        return None
    return NotEvaluable(
        reason=f"the liver changes by {pair.liver_rise_hu:.0f} HU between the phases, at least {least:g} HU "
        "are expected: not an arterial and a venous phase?"
    )


def _assemble(
    lesion: Mask, pair: PhasePair, *, tumour_type: TumourType, residual_mm: float, table: EvidenceTable
) -> ViablePart | NotEvaluable:
    levels = classify_enhancement(pair, tumour_type=tumour_type, table=table)
    fewest = table["part_volume_min"].number / pair.grid.voxel_volume_ml
    clean = {
        level: clean_parts(voxels, within=pair.tumour, fewest=fewest) for level, voxels in levels.items()
    }
    if not clean[ViableLevel.MIDDLE].any():
        return NotEvaluable(
            reason=f"nothing in the lesion takes up contrast as living tumour ({tumour_type}) does: "
            "necrotic, or treated?"
        )
    note = ""
    if not clean[ViableLevel.LOW].any():
        strength = measure_strength(pair, tumour_type=tumour_type)
        middle = clean[ViableLevel.MIDDLE]
        clean[ViableLevel.LOW] = middle & (strength >= np.percentile(strength[middle], STRONGEST_PERCENTILE))
        note = "; nothing meets the strict limits, so low is only the strongest tenth of middle"
    low, middle_part, high = (_place(clean[level], pair, lesion) for level in ViableLevel)
    return ViablePart(
        low=low,
        middle=middle_part,
        high=high,
        origin=DERIVED,
        method=f"contrast uptake of {tumour_type} in two phases registered locally "
        f"(residual {residual_mm:.1f} mm; liver {pair.liver_arterial_hu:.0f} HU arterial, "
        f"{pair.liver_venous_hu:.0f} HU venous; limits unverified){note}",
        residual_mm=residual_mm,
    )


def _smooth_within(
    values: Any, trusted: BoolArray, *, sigma: FloatArray, spacing_mm: FloatArray
) -> FloatArray:
    """Smooth with trusted voxels only; elsewhere take the nearest trusted voxel's result."""
    weight = ndimage.gaussian_filter(trusted.astype(np.float32), sigma, truncate=3.0)
    total = ndimage.gaussian_filter(np.where(trusted, values, 0).astype(np.float32), sigma, truncate=3.0)
    smooth = total / np.maximum(weight, np.float32(1e-6))
    nearest = ndimage.distance_transform_edt(
        ~trusted, sampling=spacing_mm, return_distances=False, return_indices=True
    )
    return np.asarray(smooth[tuple(nearest)], dtype=np.float64)


def _find_seen(source: Grid, *, grid: Grid, registration: RigidRegistration) -> BoolArray:
    """Return which voxels of a grid lie within the faces of the moving scan."""
    move = source.ijk_from_lps @ registration.moving_from_fixed @ grid.lps_from_ijk
    inside = np.ones(grid.shape, dtype=bool)
    axes = [np.arange(n, dtype=np.float64) for n in grid.shape]
    for row in range(3):
        at = (
            move[row, 0] * axes[0][:, None, None]
            + move[row, 1] * axes[1][None, :, None]
            + move[row, 2] * axes[2][None, None, :]
            + move[row, 3]
        )
        inside &= (at >= -0.5) & (at <= source.shape[row] - 0.5)
    return inside


def _find_box_around(mask: Mask, *, margin_mm: float) -> Slices:
    margin = np.ceil(margin_mm / mask.grid.spacing_mm).astype(int)
    low = np.maximum(np.array(mask.start_ijk) - margin, 0)
    high = np.minimum(np.add(mask.start_ijk, mask.crop.shape) + margin, mask.grid.shape)
    a, b, c = (slice(int(start), int(stop)) for start, stop in zip(low, high, strict=True))
    return a, b, c


def _cut_grid(grid: Grid, box: Slices) -> Grid:
    affine = np.array(grid.lps_from_ijk)
    affine[:3, 3] = grid.to_lps_mm([part.start for part in box])
    a, b, c = (part.stop - part.start for part in box)
    return Grid(
        shape=(a, b, c),
        lps_from_ijk=affine,
        frame_of_reference=grid.frame_of_reference,
        slice_axis=grid.slice_axis,
    )


def _place(voxels: BoolArray, pair: PhasePair, lesion: Mask) -> Mask:
    """Return part of the pair's box as a mask on the lesion's whole grid."""
    inner = Mask.from_full(voxels, grid=pair.grid)
    offset = lesion.grid.to_index(pair.grid.origin_lps_mm).round().astype(int)
    i, j, k = (int(n) for n in np.array(inner.start_ijk) + offset)
    return Mask(grid=lesion.grid, start_ijk=(i, j, k), crop=inner.crop)
