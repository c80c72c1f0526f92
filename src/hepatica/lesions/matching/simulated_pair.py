"""SIMULATED pairs of a baseline and a follow-up with known correspondence, made from one real scan.

Tumours are planted into the liver of a CT; the follow-up is the same scan bent, turned, moved on the table and
cut into other slices, with tumours that grew, shrank, vanished, split, merged or are new. No real pair with
known correspondence is freely to be had, so this is what tracking is tried on; it is not a patient's course, and
everything made of it says *simulated*.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.spatial.transform import Rotation

from hepatica.core.errors import InputError
from hepatica.core.geometry import BoolArray, FloatArray, Grid
from hepatica.core.provenance import derive_uid
from hepatica.imaging.deformation import DisplacementField, ScanMap
from hepatica.imaging.mask import Mask
from hepatica.imaging.scan_registration import sample_mask_through
from hepatica.imaging.volume import Volume
from hepatica.lesions.matching.match import LinkKind
from hepatica.lesions.matching.simulated_lesions import SimulatedLesion, plant_lesions

ORIGIN: Final = "simulated"
FIELD_MM: Final = 5.0
AIR_HU: Final = -1024
LIVER_MM: Final = np.array([95.0, 95.0, 110.0])
"""How far the head-feet motion of breathing fades out around the liver."""
TEXTURE_MM: Final = 6.0
TEXTURE_HU: Final = 8.0
DARKER_HU: Final = (25.0, 60.0)
"""How much darker than liver a tumour is, one value for each pair: washout or a hypovascular metastasis."""
DENOISE_MM: Final = 1.0
EDGE_MM: Final = 1.0
"""Half width of the soft edge of a painted tumour."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulationSettings:
    """How two simulated visits differ.

    Parameters
    ----------
    lesion_count
        Least and most planted tumours at baseline.
    radius_mm
        Least and most radius at baseline.
    breathing_mm
        Standard deviation of the head-feet shift of the liver against the body.
    bending_mm, bending_step_mm
        Standard deviation and distance of the control points of a smooth random motion.
    turn_deg, table_mm
        Standard deviation of the turn and of the shift of the whole patient.
    slice_mm
        Slice distances of the follow-up, one is drawn; empty keeps that of the baseline.
    noise_hu
        Noise of the follow-up.
    chance_of_event_fraction
        Chance that a pair shows each of: a vanished, a split, a merged and a new tumour.
    """

    lesion_count: tuple[int, int] = (4, 8)
    radius_mm: tuple[float, float] = (5.0, 17.0)
    breathing_mm: float = 8.0
    bending_mm: float = 4.0
    bending_step_mm: float = 60.0
    turn_deg: float = 4.0
    table_mm: float = 40.0
    slice_mm: tuple[float, ...] = (2.5, 3.0, 5.0)
    noise_hu: float = 14.0
    chance_of_event_fraction: float = 0.6


@dataclass(frozen=True, slots=True, kw_only=True)
class TrueLink:
    """What really became of some simulated lesions."""

    kind: LinkKind
    baseline_ids: tuple[str, ...]
    followup_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SimulatedPair:
    """Two SIMULATED visits and the truth about them.

    Parameters
    ----------
    baseline, followup
        The scans.
    baseline_liver, followup_liver
        Liver with its tumours.
    baseline_lesions, followup_lesions
        (name, mask) of each tumour; names of the two visits have nothing to do with each other.
    links
        What became of each tumour.
    truth
        The motion: where anatomy of the baseline lies in the follow-up (``to_moving``).
    origin
        The word ``simulated``.
    """

    baseline: Volume
    followup: Volume
    baseline_liver: Mask
    followup_liver: Mask
    baseline_lesions: tuple[tuple[str, Mask], ...]
    followup_lesions: tuple[tuple[str, Mask], ...]
    links: tuple[TrueLink, ...]
    truth: TrueMotion
    origin: str = field(default=ORIGIN)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TrueMotion:
    """The simulated motion, as the map that draws the follow-up: from its points back to the baseline's."""

    baseline_from_followup: ScanMap

    def to_followup(self, points_lps_mm: FloatArray) -> FloatArray:
        """Return where (n, 3) points of the baseline's anatomy lie in the follow-up."""
        return self.baseline_from_followup.to_fixed(points_lps_mm)

    def to_baseline(self, points_lps_mm: FloatArray) -> FloatArray:
        """Return where (n, 3) points of the follow-up came from."""
        return self.baseline_from_followup.to_moving(points_lps_mm)


def simulate_pair(
    volume: Volume,
    *,
    liver: Mask,
    rng: np.random.Generator,
    known: Sequence[Mask] = (),
    settings: SimulationSettings | None = None,
) -> SimulatedPair:
    """Make a SIMULATED baseline and follow-up from one scan.

    Parameters
    ----------
    volume
        A CT.
    liver
        Its liver, tumours included.
    rng
        Source of chance.
    known
        Tumours the scan really has; they move with the anatomy and change not at all.
    settings
        How much changes.

    Raises
    ------
    InputError
        If the liver has no room for the tumours asked for.
    """
    wanted = settings or SimulationSettings()
    if np.abs(np.abs(volume.grid.directions).max(axis=0) - 1).max() > 1e-6 or volume.grid.slice_axis != 2:
        raise InputError(expected="an axial scan to simulate from", given="an oblique one")
    truth = _draw_motion(volume.grid, liver, rng=rng, settings=wanted)
    lesions = plant_lesions(
        liver,
        known=known,
        rng=rng,
        count=int(rng.integers(wanted.lesion_count[0], wanted.lesion_count[1] + 1)),
        radius_mm=wanted.radius_mm,
        chance_of_event_fraction=wanted.chance_of_event_fraction,
    )
    tone = _Tone.from_liver(volume, liver, rng=rng)
    grid = _draw_grid(volume.grid, truth, liver, rng=rng, settings=wanted)
    smooth = ndimage.gaussian_filter(
        volume.values.astype(np.float32), [DENOISE_MM / s for s in volume.grid.spacing_mm[:2]] + [0.0]
    )
    first = np.cumsum([1, *(len(lesion.names_after) for lesion in lesions)])
    scene = _Scene(
        volume=volume, liver=liver, grid=grid, truth=truth, lesions=lesions,
        first_number=tuple(int(n) for n in first[:-1]), tone=tone,
    )  # fmt: skip
    after, numbers, liver_after = _make_followup(scene, smooth, rng=rng, noise_hu=wanted.noise_hu)
    masks = _find_masks(scene, numbers, known=known)
    baseline, followup, links = _scramble(scene.lesions, *masks, rng=rng)
    return SimulatedPair(
        baseline=_make_baseline(volume, smooth, lesions, liver=liver, tone=tone),
        followup=after,
        baseline_liver=liver,
        followup_liver=Mask.from_full(liver_after, grid=grid, where="simulated liver"),
        baseline_lesions=baseline,
        followup_lesions=followup,
        links=links,
        truth=truth,
    )


def _find_masks(
    scene: _Scene, numbers: NDArray[np.uint8], *, known: Sequence[Mask]
) -> tuple[dict[str, Mask], dict[str, Mask]]:
    """Return the masks of both visits by internal name; a tumour too small for a slice has none."""
    index = scene.liver.index_ijk()
    points = scene.volume.grid.to_lps_mm(index)
    before: dict[str, Mask] = {}
    after: dict[str, Mask] = {}
    for n, lesion in enumerate(scene.lesions):
        depth_mm = lesion.measure_before_mm(points)
        for m, name in enumerate(lesion.names_before):
            hit = (depth_mm > 0) & (lesion.find_part_before(points) == m)
            if hit.any():
                before[name] = _to_mask(index[hit], grid=scene.volume.grid)
        for m, name in enumerate(lesion.names_after):
            if (numbers == scene.first_number[n] + m).any():
                after[name] = Mask.from_full(numbers == scene.first_number[n] + m, grid=scene.grid)
    for n, mask in enumerate(known):
        before[f"known{n}"] = mask
        carried = sample_mask_through(mask, scene.truth.baseline_from_followup, grid=scene.grid) >= 0.5
        after[f"known{n}"] = Mask.from_full(carried, grid=scene.grid, where="known tumour")
    return before, after


def _to_mask(index: NDArray[np.int64], *, grid: Grid) -> Mask:
    low = index.min(axis=0)
    crop = np.zeros(index.max(axis=0) - low + 1, dtype=bool)
    crop[tuple((index - low).T)] = True
    return Mask(grid=grid, start_ijk=(int(low[0]), int(low[1]), int(low[2])), crop=crop)


def _scramble(
    lesions: Sequence[SimulatedLesion],
    before: dict[str, Mask],
    after: dict[str, Mask],
    *,
    rng: np.random.Generator,
) -> tuple[tuple[tuple[str, Mask], ...], tuple[tuple[str, Mask], ...], tuple[TrueLink, ...]]:
    """Give the tumours of each visit names in a random order, and tell the truth in these names."""
    called = []
    for letter, masks in (("B", before), ("F", after)):
        names = sorted(masks)
        order = rng.permutation(len(names))
        called.append({name: f"{letter}{order[n] + 1:02d}" for n, name in enumerate(names)})
    truths = [(lesion.names_before, lesion.names_after) for lesion in lesions]
    truths += [((name,), (name,)) for name in sorted(before) if name.startswith("known")]
    links = []
    for early, late in truths:
        one = tuple(sorted(called[0][name] for name in early if name in before))
        two = tuple(sorted(called[1][name] for name in late if name in after))
        if one or two:
            links.append(TrueLink(kind=_name_kind(one, two), baseline_ids=one, followup_ids=two))
    named = [
        tuple(sorted(((names[name], mask) for name, mask in masks.items()), key=lambda pair: pair[0]))
        for names, masks in zip(called, (before, after), strict=True)
    ]
    return named[0], named[1], tuple(sorted(links, key=lambda link: (link.baseline_ids, link.followup_ids)))


def _name_kind(before: tuple[str, ...], after: tuple[str, ...]) -> LinkKind:
    if not before:
        return LinkKind.NEW
    if not after:
        return LinkKind.VANISHED
    if len(before) == len(after) == 1:
        return LinkKind.MATCHED
    return LinkKind.SPLIT if len(after) > 1 else LinkKind.MERGED


def _draw_motion(
    grid: Grid, liver: Mask, *, rng: np.random.Generator, settings: SimulationSettings
) -> TrueMotion:
    turn = Rotation.from_rotvec(np.radians(rng.normal(size=3) * settings.turn_deg / np.sqrt(3)))
    centre = liver.centroid_lps_mm
    there = centre + rng.normal(size=3) * settings.table_mm / np.sqrt(3)
    back = np.eye(4)
    back[:3, :3] = turn.as_matrix().T
    back[:3, 3] = centre - back[:3, :3] @ there
    low, high = grid.bounds_lps_mm + (there - centre)
    low, high = low - 60.0, high + 60.0
    size = np.ceil((high - low) / FIELD_MM).astype(int) + 1
    lattice = Grid.from_axes(
        shape=(int(size[0]), int(size[1]), int(size[2])), spacing_mm=(FIELD_MM,) * 3, origin_lps_mm=low
    )
    step = settings.bending_step_mm / FIELD_MM
    knots = rng.normal(size=(*(np.ceil(size / step).astype(int) + 4), 3)) * settings.bending_mm
    index = np.indices(lattice.shape)
    # Cubic B-splines of the knots, unfiltered: smooth to the second derivative. An unfiltered spline of
    # independent knots keeps about 0.48 of their spread along each axis.
    bend = np.stack(
        [
            ndimage.map_coordinates(knots[..., a], index / step + 1.5, order=3, prefilter=False) / 0.48
            for a in range(3)
        ],
        axis=-1,
    )
    away = np.linalg.norm((lattice.to_lps_mm(np.moveaxis(index, 0, -1)) - there) / LIVER_MM, axis=-1)
    bend[..., 2] += rng.normal() * settings.breathing_mm * np.exp(-0.5 * away**2)
    field = DisplacementField(grid=lattice, displacement_lps_mm=bend.astype(np.float32))
    return TrueMotion(baseline_from_followup=ScanMap(moving_from_fixed=back, field=field))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Tone:
    """How the liver looks, and how a tumour painted into it shall look."""

    lesion_hu: float
    texture: FloatArray
    texture_grid: Grid

    @classmethod
    def from_liver(cls, volume: Volume, liver: Mask, *, rng: np.random.Generator) -> _Tone:
        level = float(np.median(volume.values[liver.box][liver.crop]))
        low, high = volume.grid.bounds_lps_mm
        size = np.ceil((high - low) / TEXTURE_MM).astype(int) + 1
        return cls(
            lesion_hu=level - float(rng.uniform(*DARKER_HU)),
            texture=rng.normal(size=tuple(size)) * TEXTURE_HU,
            texture_grid=Grid.from_axes(
                shape=(int(size[0]), int(size[1]), int(size[2])),
                spacing_mm=(TEXTURE_MM,) * 3,
                origin_lps_mm=low,
            ),
        )

    def measure_hu(self, points_lps_mm: FloatArray) -> FloatArray:
        at = self.texture_grid.to_index(points_lps_mm).T
        return np.asarray(self.lesion_hu + ndimage.map_coordinates(self.texture, at, order=1, mode="nearest"))


def _paint(
    values: FloatArray, points_lps_mm: FloatArray, depth_mm: FloatArray, *, smooth: FloatArray, tone: _Tone
) -> FloatArray:
    """Blend tumour into tissue; what lies above the smooth image, its noise, stays."""
    weight = np.clip(0.5 + depth_mm / (2 * EDGE_MM), 0.0, 1.0)
    painted = tone.measure_hu(points_lps_mm) + (values - smooth)
    return np.asarray((1 - weight) * values + weight * painted)


def _make_baseline(
    volume: Volume,
    smooth: NDArray[np.float32],
    lesions: Sequence[SimulatedLesion],
    *,
    liver: Mask,
    tone: _Tone,
) -> Volume:
    values = volume.values.astype(np.float32, order="F")
    index = liver.index_ijk()
    points = volume.grid.to_lps_mm(index)
    for lesion in (one for one in lesions if one.names_before):
        depth_mm = lesion.measure_before_mm(points)
        near = depth_mm > -EDGE_MM
        at = tuple(index[near].T)
        values[at] = _paint(values[at], points[near], depth_mm[near], smooth=smooth[at], tone=tone)
    return Volume(values=np.rint(values).astype(np.int16), grid=volume.grid, modality=volume.modality)


def _make_followup(
    scene: _Scene, smooth: NDArray[np.float32], *, rng: np.random.Generator, noise_hu: float
) -> tuple[Volume, NDArray[np.uint8], BoolArray]:
    """Draw the follow-up slice by slice: image, tumour number + 1 at each voxel, liver."""
    grid, source = scene.grid, scene.volume.grid
    values = np.empty(grid.shape, dtype=np.int16, order="F")
    numbers = np.zeros(grid.shape, dtype=np.uint8, order="F")
    liver = np.zeros(grid.shape, dtype=bool, order="F")
    inside = scene.liver.to_full()
    thick = max(float(grid.spacing_mm[2] / source.spacing_mm[2]), 1.0)
    # A thicker slice averages over its own thickness.
    slab = ndimage.gaussian_filter1d(smooth, 0.29 * np.sqrt(thick**2 - 1), axis=2) if thick > 1 else smooth
    ij = np.indices((*grid.shape[:2], 1)).reshape(3, -1).T
    for k in range(grid.shape[2]):
        points = scene.truth.to_baseline(grid.to_lps_mm(ij + np.array([0, 0, k])))
        at = source.to_index(points).T
        hu = ndimage.map_coordinates(slab, at, order=1, mode="constant", cval=AIR_HU)
        near = np.rint(at).astype(int)
        seen = ((near >= 0) & (near < np.array(source.shape)[:, None])).all(axis=0)
        drawn = np.zeros(len(hu), dtype=bool)
        drawn[seen] = inside[tuple(near[:, seen])]
        number = np.zeros(len(hu), dtype=np.uint8)
        for n, lesion in enumerate(scene.lesions):
            here = points[drawn]
            depth_mm = lesion.measure_after_mm(here)
            hu[drawn] = _paint(hu[drawn], here, depth_mm, smooth=hu[drawn], tone=scene.tone)
            hit = np.flatnonzero(drawn)[depth_mm > 0]
            number[hit] = scene.first_number[n] + lesion.find_part_after(here[depth_mm > 0])
        noise = ndimage.gaussian_filter(rng.normal(size=grid.shape[:2]), 0.7)
        hu = hu.reshape(grid.shape[:2]) + noise * noise_hu / noise.std()
        values[:, :, k] = np.rint(np.clip(hu, AIR_HU, 3000))
        numbers[:, :, k] = number.reshape(grid.shape[:2])
        liver[:, :, k] = drawn.reshape(grid.shape[:2])
    return Volume(values=values, grid=grid, modality=scene.volume.modality), numbers, liver


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Scene:
    """All that the follow-up is drawn from."""

    volume: Volume
    liver: Mask
    grid: Grid
    truth: TrueMotion
    lesions: tuple[SimulatedLesion, ...]
    first_number: tuple[int, ...]
    tone: _Tone


def _draw_grid(
    grid: Grid, truth: TrueMotion, liver: Mask, *, rng: np.random.Generator, settings: SimulationSettings
) -> Grid:
    """Return the grid of the follow-up: other slices, a somewhat other field, placed over the same organ."""
    slice_mm = float(rng.choice(settings.slice_mm)) if settings.slice_mm else float(grid.spacing_mm[2])
    spacing = grid.spacing_mm * (1.0, 1.0, slice_mm / grid.spacing_mm[2])
    spacing[:2] *= rng.uniform(0.95, 1.08)
    extent = np.array(grid.shape) * grid.spacing_mm + (0.0, 0.0, 20.0)
    count = np.array([grid.shape[0], grid.shape[1], int(np.ceil(extent[2] / slice_mm))])
    middle = (
        truth.to_followup(grid.to_lps_mm((np.array(grid.shape) - 1) / 2)[None])[0] + rng.normal(size=3) * 4.0
    )
    return Grid.from_axes(
        shape=(int(count[0]), int(count[1]), int(count[2])),
        spacing_mm=spacing,
        origin_lps_mm=middle - spacing * (count - 1) / 2,
        frame_of_reference=derive_uid(ORIGIN, "frame", str(rng.integers(2**31))),
    )
