"""A follow-up scan registered to its baseline: position, rigid, affine, deformable, and which of them to trust.

Tumours are left out at every stage: a tumour that shrank must not be explained by motion. Demons compare
values, so they run on the images only where both are of one contrast phase; else on distances from the liver's
surface, and without liver labels not at all. The stage that is used is the simplest one that no later stage
beats by more than `WORTHWHILE_MM`, judged by a residual that no stage optimises.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy import ndimage

from hepatica.core.errors import HepaticaError
from hepatica.core.findings import NotEvaluable
from hepatica.core.geometry import BoolArray, FloatArray, Grid
from hepatica.core.progress import SILENT, Progress
from hepatica.imaging.block_matching import measure_block_residual
from hepatica.imaging.deformation import DeformationEngine, DemonsEngine, DisplacementField, ScanMap
from hepatica.imaging.mask import Mask
from hepatica.imaging.mutual_information import MutualInformation
from hepatica.imaging.registration import (
    CT_WINDOW_HU,
    SURROUND_MM,
    WORKING_MM,
    make_working_grid,
    rasterise,
    register_rigid_locally,
    resample_to,
)
from hepatica.imaging.scan_start import find_start
from hepatica.imaging.volume import Volume

DEFORM_MM: Final = 2.5
"""Cubes on which motion is found: the liver bends over centimetres."""
DEFORM_MARGIN_MM: Final = 15.0
DEMONS_WINDOW_HU: Final = (-150.0, 300.0)
LESION_RIM_MM: Final = 3.0
"""Left out around tumours: drawn edges are off by about a voxel, and their rim changes with them."""
DISTANCE_REACH_MM: Final = 20.0
WORTHWHILE_MM: Final = 0.2
"""A later stage has to lower the residual by more than block matching repeats."""
LARGEST_STRETCH: Final = 1.2
"""Affine maps beyond are false optima: a liver does not change by a fifth along any axis with breathing."""
LEAST_UNCERTAINTY_MM: Final = 2.0
"""Block matching sees edges; between them a deformed liver is off by more (2.7 mm at 95 % of simulated tumours)."""
UNKNOWN_UNCERTAINTY_MM: Final = 8.0
"""Where no residual can be measured: about what breathing leaves without registration."""
FILL_MM: Final = 6.0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ScanSide:
    """One of the two scans.

    Parameters
    ----------
    volume
        The scan.
    region
        Where to register: the liver with its tumours, or the body where the liver is not labelled.
    is_liver
        Which of the two it is.
    lesions
        Tumours, left out.
    """

    volume: Volume
    region: Mask
    is_liver: bool
    lesions: tuple[Mask, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class RegistrationStage:
    """What one stage reached.

    Parameters
    ----------
    name
        ``position``, ``rigid``, ``affine`` or ``deformable``.
    residual_mm
        75th percentile of block shifts left between the scans, tumours left out.
    note
        What it used, or why it was not used.
    """

    name: str
    residual_mm: float | NotEvaluable
    note: str


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ScanRegistration:
    """A follow-up registered to its baseline.

    Parameters
    ----------
    scan_map
        From baseline (fixed) to follow-up (moving).
    chosen, reason
        Stage that is used, and why that one.
    stages
        All stages that were tried, in order.
    residual_mm
        Residual of the chosen stage.
    uncertainty_mm
        What a centre may be off by after registration (one standard deviation, working value).
    smallest_jacobian
        Smallest volume ratio of the map within the region; 0 or less would be a fold.
    """

    scan_map: ScanMap
    chosen: str
    reason: str
    stages: tuple[RegistrationStage, ...]
    residual_mm: float | NotEvaluable
    uncertainty_mm: float
    smallest_jacobian: float


def register_scans(
    fixed: ScanSide,
    moving: ScanSide,
    *,
    same_phase: bool | None = None,
    engine: DeformationEngine | None = None,
    progress: Progress = SILENT,
) -> ScanRegistration:
    """Register a follow-up scan to its baseline. Frames of reference may differ.

    Parameters
    ----------
    fixed, moving
        Baseline and follow-up.
    same_phase
        Whether both are of one contrast phase; None where unknown, which counts as no.
    engine
        Finds the deformation; demons by default.
    progress
        What to report to.

    Raises
    ------
    GeometryError
        If the scans do not show the same region.
    """
    progress.stage("Registering the follow-up")
    start, how = find_start(fixed.volume, moving.volume, *_regions(fixed, moving))
    placed = _place(moving, start, grid=fixed.volume.grid)
    bench = _Bench(fixed, placed)
    rows = [bench.judge("position", ScanMap(moving_from_fixed=np.eye(4)), how)]
    tried = [ScanMap(moving_from_fixed=np.eye(4))]
    rigid = register_rigid_locally(
        fixed.volume,
        placed.volume,
        region=fixed.region,
        without=(*fixed.lesions, *placed.lesions),
        progress=progress,
    )
    if rigid.converged:
        tried.append(ScanMap(moving_from_fixed=rigid.moving_from_fixed))
        rows.append(bench.judge("rigid", tried[-1], "mutual information"))
        progress.check_cancelled()
        affine, note = bench.fit_affine(rigid.moving_from_fixed)
        if affine is not None:
            tried.append(ScanMap(moving_from_fixed=affine))
            rows.append(bench.judge("affine", tried[-1], note))
        else:
            rows.append(RegistrationStage(name="affine", residual_mm=NotEvaluable(reason=note), note=note))
            tried.append(tried[-1])
    else:
        note = "the optimum was not reached within the search range"
        rows.append(RegistrationStage(name="rigid", residual_mm=NotEvaluable(reason=note), note=note))
        tried.append(tried[-1])
    progress.check_cancelled()
    base = tried[_choose(rows)[0]].moving_from_fixed
    row, bent = bench.deform(base, same_phase=same_phase, engine=engine or DemonsEngine(), progress=progress)
    rows.append(row)
    tried.append(bent if bent is not None else tried[-1])
    number, reason = _choose(rows)
    chosen = tried[number]
    residual_mm = rows[number].residual_mm
    return ScanRegistration(
        scan_map=ScanMap(moving_from_fixed=start @ chosen.moving_from_fixed, field=chosen.field),
        chosen=rows[number].name,
        reason=reason,
        stages=tuple(rows),
        residual_mm=residual_mm,
        uncertainty_mm=UNKNOWN_UNCERTAINTY_MM
        if isinstance(residual_mm, NotEvaluable)
        else max(residual_mm, LEAST_UNCERTAINTY_MM),
        smallest_jacobian=bench.measure_smallest_jacobian(chosen),
    )


def _regions(fixed: ScanSide, moving: ScanSide) -> tuple[Mask | None, Mask | None]:
    both = fixed.is_liver and moving.is_liver
    return (fixed.region, moving.region) if both else (None, None)


def _place(side: ScanSide, start: FloatArray, *, grid: Grid) -> ScanSide:
    """Return the moving scan as it lies in the fixed frame once the start is applied."""
    back = np.linalg.inv(start)

    def to_placed(old: Grid) -> Grid:
        return Grid(
            shape=old.shape,
            lps_from_ijk=back @ old.lps_from_ijk,
            frame_of_reference=grid.frame_of_reference,
            slice_axis=old.slice_axis,
        )

    there = to_placed(side.volume.grid)

    def move(mask: Mask) -> Mask:
        return Mask(grid=there, start_ijk=mask.start_ijk, crop=mask.crop)

    return ScanSide(
        volume=Volume(values=side.volume.values, grid=there, modality=side.volume.modality),
        region=move(side.region),
        is_liver=side.is_liver,
        lesions=tuple(move(mask) for mask in side.lesions),
    )


def _choose(rows: list[RegistrationStage]) -> tuple[int, str]:
    """Return the stage to use: a later one only where it lowers the residual by more than the margin."""
    known = [
        (n, row.residual_mm) for n, row in enumerate(rows) if not isinstance(row.residual_mm, NotEvaluable)
    ]
    if not known:
        usable = [n for n, row in enumerate(rows) if row.name in ("position", "rigid")]
        return usable[0], "no residual could be measured: the position of the region is all that is used"
    number, best = known[0]
    for later, residual_mm in known[1:]:
        if residual_mm < best - WORTHWHILE_MM:
            number, best = later, residual_mm
    beaten = [f"{rows[n].name} {value:.1f} mm" for n, value in known if n != number]
    last = rows[-1]
    reason = f"residual {best:.1f} mm" + (f" against {', '.join(beaten)}" if beaten else "")
    if number != len(rows) - 1 and isinstance(last.residual_mm, NotEvaluable):
        reason += f"; {last.name} not used: {last.note}"
    return number, reason


class _Bench:
    """Both scans on working cubes in the fixed frame, and how well a map brings them together."""

    def __init__(self, fixed: ScanSide, moving: ScanSide) -> None:
        self.fixed, self.moving = fixed, moving
        self.window = (
            CT_WINDOW_HU if (fixed.volume.modality, moving.volume.modality) == ("CT", "CT") else None
        )
        self.grid = make_working_grid(fixed.region, margin_mm=SURROUND_MM + 2 * WORKING_MM)
        self.still = resample_to(fixed.volume, grid=self.grid, window=self.window)
        self.near = rasterise(fixed.region, grid=self.grid) & ~_unite(fixed.lesions, grid=self.grid)

    def judge(self, name: str, scan_map: ScanMap, note: str) -> RegistrationStage:
        """Measure what a map leaves."""
        aligned = _warp(self.moving.volume, scan_map, grid=self.grid, window=self.window)
        inside = self.near & _find_seen(self.moving.volume, scan_map, grid=self.grid)
        residual = measure_block_residual(self.still, aligned, inside=inside, spacing_mm=WORKING_MM)
        return RegistrationStage(name=name, residual_mm=residual, note=note)

    def fit_affine(self, start: FloatArray) -> tuple[FloatArray | None, str]:
        """Return the affine map by mutual information, or why it is not used."""
        wide = make_working_grid(self.fixed.region, margin_mm=SURROUND_MM + 30.0)
        other = resample_to(self.moving.volume, grid=wide, window=self.window)
        inside = self.near & _find_seen(self.moving.volume, ScanMap(moving_from_fixed=start), grid=self.grid)
        inside &= ~_unite(self.moving.lesions, grid=self.grid, scan_map=ScanMap(moving_from_fixed=start))
        method = MutualInformation(self.still, inside, other, grid=self.grid, wide=wide)
        matrix, _, _ = method.fit_affine(start)
        stretch = np.linalg.svd(matrix[:3, :3], compute_uv=False)
        if stretch.max() > LARGEST_STRETCH or stretch.min() < 1 / LARGEST_STRETCH:
            return None, f"a stretch of {stretch.max():.2f} to {stretch.min():.2f} is not taken for a liver's"
        return matrix, f"mutual information, stretch {stretch.min():.3f} to {stretch.max():.3f}"

    def deform(
        self, base: FloatArray, *, same_phase: bool | None, engine: DeformationEngine, progress: Progress
    ) -> tuple[RegistrationStage, ScanMap | None]:
        """Run the engine where it may be run, and refuse a field that folds."""
        both = self.fixed.is_liver and self.moving.is_liver
        if same_phase is not True and not both:
            return _refuse("the contrast phases differ or are unknown, and the liver is not labelled in both")
        grid = make_working_grid(self.fixed.region, margin_mm=DEFORM_MARGIN_MM, edge_mm=DEFORM_MM)
        if same_phase is True:
            images, what = self._paint_out(base, grid=grid), "the images, tumours painted out"
        else:
            images, what = self._measure_distances(base, grid=grid), "distances from the liver's surface"
        try:
            field = engine.deform(*images, grid=grid, progress=progress)
        except (HepaticaError, RuntimeError) as failure:
            if isinstance(failure, HepaticaError) and failure.code == "cancelled":
                raise
            return _refuse(f"{engine.name} failed ({type(failure).__name__})")
        bent = ScanMap(moving_from_fixed=base, field=self._continue_into_lesions(field, base))
        smallest = self.measure_smallest_jacobian(bent)
        if smallest <= 0:
            return _refuse(f"the field of {engine.name} folds (Jacobian {smallest:.2f})")
        return self.judge("deformable", bent, f"{engine.name} on {what}"), bent

    def _continue_into_lesions(self, field: DisplacementField, base: FloatArray) -> DisplacementField:
        """Return the field with what it found inside tumours, where nothing was seen, continued from around."""
        holes = _unite(self.fixed.lesions, grid=field.grid)
        holes |= _unite(
            self.moving.lesions, grid=field.grid, scan_map=ScanMap(moving_from_fixed=base, field=field)
        )
        if not holes.any():
            return field
        parts = [
            fill_from_around(field.displacement_lps_mm[..., axis].astype(np.float64), holes=holes)
            for axis in range(3)
        ]
        return DisplacementField(
            grid=field.grid, displacement_lps_mm=np.stack(parts, axis=-1).astype(np.float32)
        )

    def measure_smallest_jacobian(self, scan_map: ScanMap) -> float:
        """Return the smallest volume ratio of a map within the region."""
        scale = float(np.linalg.det(scan_map.moving_from_fixed[:3, :3]))
        field: DisplacementField | None = scan_map.field
        if field is None:
            return scale
        inside = rasterise(self.fixed.region, grid=field.grid)
        return scale * float(field.measure_jacobian()[inside].min())

    def _paint_out(self, base: FloatArray, *, grid: Grid) -> tuple[FloatArray, FloatArray]:
        still = resample_to(self.fixed.volume, grid=grid, window=DEMONS_WINDOW_HU)
        other = resample_to(self.moving.volume, grid=grid, window=DEMONS_WINDOW_HU, moving_from_fixed=base)
        there = ScanMap(moving_from_fixed=base)
        return (
            fill_from_around(still, holes=_unite(self.fixed.lesions, grid=grid)),
            fill_from_around(other, holes=_unite(self.moving.lesions, grid=grid, scan_map=there)),
        )

    def _measure_distances(self, base: FloatArray, *, grid: Grid) -> tuple[FloatArray, FloatArray]:
        there = ScanMap(moving_from_fixed=base)
        masks = (
            rasterise(self.fixed.region, grid=grid, rim_mm=0.0),
            sample_mask_through(self.moving.region, there, grid=grid) >= 0.5,
        )
        first, second = (_measure_signed_mm(mask, grid=grid) for mask in masks)
        return first, second


def _refuse(note: str) -> tuple[RegistrationStage, None]:
    return RegistrationStage(name="deformable", residual_mm=NotEvaluable(reason=note), note=note), None


def fill_from_around(values: FloatArray, *, holes: BoolArray) -> FloatArray:
    """Return an image whose holes carry the smooth continuation of their surroundings."""
    if not holes.any():
        return values
    filled = values.copy()
    left = holes.copy()
    sigma = FILL_MM / DEFORM_MM
    while left.any():
        weight = ndimage.gaussian_filter((~left).astype(np.float64), sigma)
        smooth = ndimage.gaussian_filter(np.where(left, 0.0, filled), sigma)
        # From the rim inward: far inside a large tumour nothing of the surroundings is in reach yet.
        ready = left & (weight > 0.05)
        if not ready.any():
            break
        filled[ready] = smooth[ready] / weight[ready]
        left &= ~ready
    return filled


def _measure_signed_mm(inside: BoolArray, *, grid: Grid) -> FloatArray:
    out = ndimage.distance_transform_edt(~inside, sampling=grid.spacing_mm)
    within = ndimage.distance_transform_edt(inside, sampling=grid.spacing_mm)
    signed = np.clip(out - within, -DISTANCE_REACH_MM, DISTANCE_REACH_MM)
    return np.asarray(ndimage.gaussian_filter(signed, 1.0))


def _unite(masks: tuple[Mask, ...], *, grid: Grid, scan_map: ScanMap | None = None) -> BoolArray:
    """Return all tumours and a rim around them on a grid of cubes."""
    there = scan_map or ScanMap(moving_from_fixed=np.eye(4))
    full = np.zeros(grid.shape, dtype=bool)
    for mask in masks:
        full |= sample_mask_through(mask, there, grid=grid) > 0
    if not full.any():
        return full
    return np.asarray(ndimage.distance_transform_edt(~full, sampling=grid.spacing_mm) <= LESION_RIM_MM)


def sample_mask_through(mask: Mask, scan_map: ScanMap, *, grid: Grid) -> FloatArray:
    """Return how far (0 to 1) each voxel of a grid of the fixed scan belongs to a mask of the moving scan."""
    pad = 1
    crop = np.pad(mask.crop.astype(np.float32), pad)
    back = scan_map.to_fixed(_corners(mask))
    index = grid.to_index(back)
    reach = 2 + _measure_slack(scan_map, back) / float(grid.spacing_mm.min())
    low = np.clip(np.floor(index.min(axis=0) - reach).astype(int), 0, grid.shape)
    high = np.clip(np.ceil(index.max(axis=0) + reach).astype(int) + 1, 0, grid.shape)
    result = np.zeros(grid.shape)
    if (high <= low).any():
        return result
    shape = tuple(int(n) for n in high - low)
    points = grid.to_lps_mm(np.indices(shape).reshape(3, -1).T + low)
    at = mask.grid.to_index(scan_map.to_moving(points)) - np.array(mask.start_ijk) + pad
    part = ndimage.map_coordinates(crop, at.T, order=1, mode="constant").reshape(shape)
    result[low[0] : high[0], low[1] : high[1], low[2] : high[2]] = part
    return result


def _corners(mask: Mask) -> FloatArray:
    ends = np.array([mask.start_ijk, np.add(mask.start_ijk, mask.crop.shape)]) - 0.5
    picks = np.indices((2, 2, 2)).reshape(3, -1).T
    return mask.grid.to_lps_mm(np.stack([ends[picks[:, axis], axis] for axis in range(3)], axis=1))


def _measure_slack(scan_map: ScanMap, points: FloatArray) -> float:
    """Return how far a bent map may carry a point between the corners beyond their box."""
    if scan_map.field is None:
        return 0.0
    shift = scan_map.field.measure_mm(points)
    middle = scan_map.field.measure_mm(points.mean(axis=0)[None])
    return float(np.linalg.norm(shift - middle, axis=1).max())


def _warp(volume: Volume, scan_map: ScanMap, *, grid: Grid, window: tuple[float, float] | None) -> FloatArray:
    aligned = resample_to(volume, grid=grid, window=window, moving_from_fixed=scan_map.moving_from_fixed)
    if scan_map.field is None:
        return aligned
    points = grid.to_lps_mm(np.indices(grid.shape).reshape(3, -1).T)
    index = grid.to_index(points + scan_map.field.measure_mm(points))
    return np.asarray(ndimage.map_coordinates(aligned, index.T, order=1, mode="nearest").reshape(grid.shape))


def _find_seen(volume: Volume, scan_map: ScanMap, *, grid: Grid) -> BoolArray:
    points = grid.to_lps_mm(np.indices(grid.shape).reshape(3, -1).T)
    at = volume.grid.to_index(scan_map.to_moving(points))
    inside = ((at >= -0.5) & (at <= np.array(volume.grid.shape) - 0.5)).all(axis=1)
    return inside.reshape(grid.shape)
