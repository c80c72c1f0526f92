"""Where to begin when two scans share no frame of reference: liver on liver, or body on body."""

from __future__ import annotations

from typing import Final

import numpy as np

from hepatica.core.errors import GeometryError
from hepatica.core.geometry import FloatArray, Grid
from hepatica.imaging.mask import Mask
from hepatica.imaging.registration import register_masks_rigidly, resample_to
from hepatica.imaging.volume import Volume

COARSE_MM: Final = 8.0
"""Bones, lungs and the outline of the body are all that counts for a first position."""
WINDOW_HU: Final = (-500.0, 500.0)
AXES: Final = (0, 1, 2)
LEAST_CORRELATION: Final = 0.1
"""Scans of one region reach 0.8; below this they have nothing in common."""
LEAST_OVERLAP_MM: Final = 60.0
"""Two scans that share less of the body are not of one region."""


def find_start(
    fixed: Volume, moving: Volume, fixed_liver: Mask | None, moving_liver: Mask | None
) -> tuple[FloatArray, str]:
    """Return a (4, 4) rigid map from fixed to moving to begin with, and how it was found.

    Parameters
    ----------
    fixed, moving
        The scans; their frames may differ.
    fixed_liver, moving_liver
        The liver in both, fitted surface to surface; None where it is not labelled in both. Then the best
        correlation over shifts of 8 mm is taken.

    Raises
    ------
    GeometryError
        If the scans do not overlap at any shift.
    """
    if fixed_liver is not None and moving_liver is not None:
        fitted = register_masks_rigidly(fixed_liver, moving_liver)
        if fitted.converged:
            return np.array(fitted.moving_from_fixed), "liver surface on liver surface"
    grids = [_make_coarse_grid(volume.grid) for volume in (fixed, moving)]
    first, second = (
        resample_to(volume, grid=grid, window=WINDOW_HU)
        for volume, grid in zip((fixed, moving), grids, strict=True)
    )
    offset = _find_best_offset(first, second)
    start = np.eye(4)
    start[:3, 3] = grids[1].origin_lps_mm - grids[0].origin_lps_mm - offset * COARSE_MM
    return start, "best correlation of the whole scans"


def _make_coarse_grid(grid: Grid) -> Grid:
    low, high = grid.bounds_lps_mm
    count = np.maximum(np.ceil((high - low) / COARSE_MM).astype(int), 2)
    return Grid.from_axes(
        shape=(int(count[0]), int(count[1]), int(count[2])),
        spacing_mm=(COARSE_MM,) * 3,
        origin_lps_mm=low + COARSE_MM / 2,
    )


def _find_best_offset(first: FloatArray, second: FloatArray) -> FloatArray:
    """Return the offset of ``second`` within ``first`` at the largest normalised correlation, in voxels."""
    size = [a + b - 1 for a, b in zip(first.shape, second.shape, strict=True)]

    def correlate(a: FloatArray, b: FloatArray) -> FloatArray:
        spectrum = np.fft.rfftn(a, size, axes=AXES) * np.fft.rfftn(b[::-1, ::-1, ::-1], size, axes=AXES)
        return np.asarray(np.fft.irfftn(spectrum, size, axes=AXES))

    ones = np.ones(first.shape), np.ones(second.shape)
    count = np.maximum(correlate(*ones), 1e-6)
    sums = correlate(first, ones[1]), correlate(ones[0], second)
    squares = correlate(first**2, ones[1]), correlate(ones[0], second**2)
    joint = correlate(first, second) - sums[0] * sums[1] / count
    spread = [np.maximum(q - s**2 / count, 1.0) for q, s in zip(squares, sums, strict=True)]
    score = joint / np.sqrt(spread[0] * spread[1])
    shares = np.array([min(a, b) for a, b in zip(first.shape, second.shape, strict=True)])
    least = max(
        float(np.prod(np.minimum(shares, LEAST_OVERLAP_MM / COARSE_MM))), 0.4 * float(np.prod(shares))
    )
    score[count < least] = -1.0
    if score.max() < LEAST_CORRELATION:
        raise GeometryError(
            expected="two scans of one part of the body",
            given="scans that look alike at no shift",
            where="registration of the follow-up",
            action="check that both scans are of the liver",
        )
    peak = np.unravel_index(int(np.argmax(score)), score.shape)
    return np.asarray(np.array(peak, dtype=np.float64) - (np.array(second.shape) - 1), dtype=np.float64)
