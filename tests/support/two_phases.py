"""A liver in two phases with known uptake and a known motion between them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from lesion_shapes import make_grid, rotation
from scipy import ndimage

from hepatica.core.geometry import Grid
from hepatica.imaging.mask import Mask
from hepatica.imaging.volume import Volume

NOISE_HU = 12.0
CENTRE = np.array([-10.0, 0.0, 0.0])
LIVE, DEAD, LIVER = 1, 2, 3
"""Codes of `TISSUES`; the lesion is a live shell (1) around a dead core (2)."""


@dataclass(frozen=True)
class TwoPhases:
    """Venous and arterial scans, true masks on the venous grid and the true arterial-from-venous motion."""

    venous: Volume
    arterial: Volume
    lesion: Mask
    live: np.ndarray
    liver: np.ndarray
    motion: np.ndarray


def make_motion(shift_mm=(2.0, -3.0, 6.0), angle_deg=3.0, axis=(0.3, 1.0, 0.2)) -> np.ndarray:
    """A rotation about the phantom's centre, then a shift."""
    matrix = np.eye(4)
    matrix[:3, :3] = rotation(axis, angle_deg)
    matrix[:3, 3] = CENTRE + shift_mm - matrix[:3, :3] @ CENTRE
    return matrix


def draw_tissues(points):
    """Return the tissue code of (n, 3) LPS points: bumpy liver, lesion with dead core, vessels, stomach."""
    x, y, z = points.T
    code = np.zeros(len(points), np.uint8)
    code[(np.hypot(x / 120, y / 90) < 1)] = 5  # fat
    bumps = 1 + 0.08 * np.sin(x / 11) * np.cos(y / 13) + 0.06 * np.sin(z / 9)
    code[((x + 10) / 75) ** 2 + (y / 58) ** 2 + (z / 52) ** 2 < bumps] = LIVER
    for a, b, r, tilt in ((15, 12, 5, 0.5), (-20, -18, 4, -0.4), (-40, 20, 4, 0.2), (18, -25, 5, -0.1)):
        code[(np.hypot(x + 10 - a - tilt * z, y - b) < r) & (code == LIVER)] = 4
    code[np.hypot(x - 62, y + 10) < 18] = 6  # stomach with contrast
    away = np.linalg.norm(points - CENTRE, axis=1)
    code[away < 20] = LIVE
    code[np.linalg.norm(points - CENTRE - (4, 0, 0), axis=1) < 11] = DEAD
    return code


def make_two_phases(
    *, arterial_hu, venous_hu, motion=None, noise_hu: float = NOISE_HU, seed: int = 7
) -> TwoPhases:
    """Draw both scans; the HU dictionaries give live, dead and liver tissue."""
    motion = make_motion() if motion is None else motion
    still = make_grid((110, 90, 46), (2.2, 2.2, 2.5), origin=(-120.0, -98.0, -56.0))
    other = make_grid((110, 90, 52), (2.2, 2.2, 2.5), origin=(-119.4, -98.7, -62.47))
    rng = np.random.default_rng(seed)
    venous = _draw(still, np.eye(4), {4: 220, 5: -90, 6: 260, 0: -1000, **venous_hu}, noise_hu, rng)
    arterial = _draw(
        other, np.linalg.inv(motion), {4: 95, 5: -95, 6: 280, 0: -1000, **arterial_hu}, noise_hu, rng
    )
    code = draw_tissues(still.to_lps_mm(np.indices(still.shape).reshape(3, -1).T)).reshape(still.shape)
    lesion = Mask.from_full((code == LIVE) | (code == DEAD), grid=still)
    return TwoPhases(
        venous=venous, arterial=arterial, lesion=lesion, live=code == LIVE,
        liver=np.isin(code, (LIVE, DEAD, LIVER, 4)), motion=motion,
    )  # fmt: skip


def _draw(grid: Grid, source_from_grid, levels, noise_hu, rng) -> Volume:
    index = np.indices(grid.shape).reshape(3, -1).T
    points = grid.to_lps_mm(index) @ source_from_grid[:3, :3].T + source_from_grid[:3, 3]
    table = np.array([levels[n] for n in range(7)], float)
    values = ndimage.gaussian_filter(table[draw_tissues(points)].reshape(grid.shape), 0.4)
    values += rng.normal(0, noise_hu, grid.shape)
    return Volume(values=np.asfortranarray(values.round().astype(np.int16)), grid=grid)


def measure_target_error_mm(found, truth, points) -> np.ndarray:
    """Distance between where two (4, 4) maps send some points."""
    return np.linalg.norm((points @ (found - truth)[:3, :3].T) + (found - truth)[:3, 3], axis=1)
