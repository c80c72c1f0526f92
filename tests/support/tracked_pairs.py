"""SIMULATED pairs on a small torso, for tests of tracking: quick to make, the truth known."""

from __future__ import annotations

import numpy as np
from phantom import FRAME, ellipsoid
from scipy import ndimage

from hepatica.core.geometry import Grid
from hepatica.imaging.mask import Mask
from hepatica.imaging.scan_registration import ScanSide
from hepatica.imaging.volume import Volume
from hepatica.lesions.matching.evidence import ScanLesion
from hepatica.lesions.matching.simulated_pair import SimulationSettings, simulate_pair

SMALL = SimulationSettings(
    lesion_count=(3, 3),
    radius_mm=(5.0, 8.0),
    bending_mm=2.0,
    breathing_mm=4.0,
    table_mm=25.0,
    slice_mm=(4.0, 5.0),
)


def make_torso(*, seed: int = 5) -> tuple[Volume, Mask]:
    """A CT of 2.5 mm pixels and 4 mm slices with a bumpy liver, vessels, kidney, spine and texture; and its liver."""
    grid = Grid.from_axes(
        shape=(80, 66, 32),
        spacing_mm=(2.5, 2.5, 4.0),
        origin_lps_mm=(-100, -82, -62),
        frame_of_reference=FRAME,
    )
    rng = np.random.default_rng(seed)
    points = grid.to_lps_mm(np.moveaxis(np.indices(grid.shape), 0, -1))
    x, y, z = np.moveaxis(points, -1, 0)
    hu = np.full(grid.shape, -1000.0)
    hu[ellipsoid(grid, (0, 0, 0), (95, 76, 1000))] = -90
    hu[ellipsoid(grid, (0, 3, 0), (86, 66, 1000))] = 40
    hu[ellipsoid(grid, (5, 52, 0), (14, 12, 1000))] = 350
    hu[ellipsoid(grid, (-40, 48, -35), (16, 12, 26))] = 190
    hu[ellipsoid(grid, (55, -5, 15), (22, 30, 36))] = -10
    bumps = 1 + 0.07 * np.sin(x / 9) * np.cos(y / 8) + 0.06 * np.sin(z / 8)
    liver = ((x + 30) / 52) ** 2 + ((y + 6) / 46) ** 2 + (z / 46) ** 2 < bumps
    hu[liver] = 110
    for a, b, tilt in ((-15, -3, 0.5), (-45, 8, -0.5), (-38, -22, 0.3), (-60, -8, 0.1)):
        hu[liver & (np.hypot(x - a - tilt * z, y - b + 0.3 * tilt * z) < 4)] = 175
    hu += ndimage.gaussian_filter(rng.normal(size=grid.shape), (1, 1, 0.6)) * 30
    volume = Volume(values=np.asfortranarray(hu.round().astype(np.int16)), grid=grid)
    return volume, Mask.from_full(np.asfortranarray(liver), grid=grid)


def make_pair(seed: int, *, settings: SimulationSettings = SMALL):
    """A SIMULATED pair on the torso."""
    volume, liver = make_torso()
    return simulate_pair(volume, liver=liver, rng=np.random.default_rng(seed), settings=settings)


def to_sides(pair) -> tuple[ScanSide, ScanSide]:
    """What registration takes of a pair."""
    return tuple(
        ScanSide(volume=volume, region=liver, is_liver=True, lesions=tuple(mask for _, mask in lesions))
        for volume, liver, lesions in (
            (pair.baseline, pair.baseline_liver, pair.baseline_lesions),
            (pair.followup, pair.followup_liver, pair.followup_lesions),
        )
    )


def make_lesions(centres_mm, radii_mm, *, names=None, move=None) -> list[ScanLesion]:
    """Balls on cubes of 1.5 mm; ``move`` places their whole grid rigidly."""
    grid = Grid.from_axes(shape=(80, 60, 50), spacing_mm=(1.5,) * 3, origin_lps_mm=(-60, -45, -37))
    place = np.eye(4) if move is None else move
    moved = Grid(shape=grid.shape, lps_from_ijk=place @ grid.lps_from_ijk)
    found = []
    for number, (centre, radius) in enumerate(zip(centres_mm, radii_mm, strict=True)):
        mask = Mask.from_full(ellipsoid(grid, centre, [radius] * 3), grid=grid)
        name = names[number] if names else f"L{number + 1}"
        found.append(
            ScanLesion(
                lesion_id=name,
                mask=Mask(grid=moved, start_ijk=mask.start_ijk, crop=mask.crop),
                longest_diameter_mm=2.0 * radius,
                volume_ml=mask.volume_ml,
            )
        )
    return found
