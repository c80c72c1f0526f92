"""How far two aligned images still disagree: shift small blocks of edges against each other."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from scipy import ndimage

from hepatica.core.findings import NotEvaluable
from hepatica.core.geometry import BoolArray, FloatArray

BLOCK_MM: Final = 24.0
"""Edge of a block: a few edges of the liver's surface or vessels fit in."""
REACH_MM: Final = 10.0
"""Largest disagreement looked for."""
STRIDE_MM: Final = 12.0
LEAST_CORRELATION: Final = 0.5
"""Blocks whose edges do not look alike at any shift say nothing."""
FEWEST_BLOCKS: Final = 6
MOST_BLOCKS: Final = 80
"""Enough for a percentile; more take time only."""
EDGE_SIGMA_MM: Final = 2.0


def measure_block_residual(
    first: FloatArray, second: FloatArray, *, inside: BoolArray, spacing_mm: float
) -> float | NotEvaluable:
    """Measure the misalignment left between two aligned images of different contrast.

    Blocks of 24 mm are cut from the gradient magnitude of the first image; each is shifted over the
    second within 10 mm for the largest normalised correlation, to a part of a voxel by a parabola. Edges
    stay where contrast changes, so phases can be compared. The residual is the 75th percentile of the
    shifts' lengths.

    Parameters
    ----------
    first, second
        Images on one grid of cubes, already aligned.
    inside
        Where block centres may lie.
    spacing_mm
        Edge of the cubes.

    Returns
    -------
    float or NotEvaluable
        Millimetres; not evaluable where fewer than 6 blocks have matching edges.
    """
    shifts = find_block_shifts(first, second, inside=inside, spacing_mm=spacing_mm)
    if len(shifts) < FEWEST_BLOCKS:
        return NotEvaluable(
            reason=f"only {len(shifts)} of at least {FEWEST_BLOCKS} blocks have edges in both phases"
        )
    return float(np.percentile(np.linalg.norm(shifts, axis=1), 75.0))


def find_block_shifts(
    first: FloatArray, second: FloatArray, *, inside: BoolArray, spacing_mm: float
) -> FloatArray:
    """Return (n, 3) shifts in mm along the array axes from blocks of the first image to the second."""
    sigma = EDGE_SIGMA_MM / spacing_mm
    edges = [
        ndimage.gaussian_gradient_magnitude(np.asarray(image, dtype=np.float32), sigma)
        for image in (first, second)
    ]
    half, reach = int(BLOCK_MM / spacing_mm / 2), int(REACH_MM / spacing_mm)
    shifts = []
    for centre in _choose_centres(
        edges[0].shape, inside, half=half, reach=reach, stride=int(STRIDE_MM / spacing_mm)
    ):
        block = edges[0][tuple(slice(c - half, c + half + 1) for c in centre)]
        field = edges[1][tuple(slice(c - half - reach, c + half + reach + 1) for c in centre)]
        scores = _correlate(block, field)
        peak = np.unravel_index(int(scores.argmax()), scores.shape)
        at_rim = any(p in (0, n - 1) for p, n in zip(peak, scores.shape, strict=True))
        if scores[peak] < LEAST_CORRELATION:
            continue
        offset = np.array(peak, dtype=float) - reach + (0.0 if at_rim else _refine(scores, peak))
        shifts.append(offset * spacing_mm)
    return np.array(shifts, dtype=np.float64).reshape(-1, 3)


def _choose_centres(
    shape: tuple[int, ...], inside: BoolArray, *, half: int, reach: int, stride: int
) -> list[tuple[int, int, int]]:
    """Return lattice points inside, far enough from the array's end, evenly thinned."""
    keep = half + reach
    lattice = [range(keep, n - keep, stride) for n in shape]
    centres = [(a, b, c) for a in lattice[0] for b in lattice[1] for c in lattice[2] if inside[a, b, c]]
    return centres[:: max(1, -(-len(centres) // MOST_BLOCKS))]


def _correlate(block: FloatArray, field: FloatArray) -> FloatArray:
    """Return the normalised correlation of a block at every shift within a larger field."""
    from skimage import feature

    match: Any = feature.match_template

    if block.std() == 0 or field.std() == 0:
        return np.zeros(tuple(n - m + 1 for n, m in zip(field.shape, block.shape, strict=True)))
    return np.asarray(match(field, block), dtype=np.float64)


def _refine(scores: FloatArray, peak: tuple[np.intp, ...]) -> FloatArray:
    """Return the peak's offset from its voxel along each axis, by a parabola through three points."""
    offset = np.zeros(3)
    for axis in range(3):
        line = [tuple(p + (d if a == axis else 0) for a, p in enumerate(peak)) for d in (-1, 0, 1)]
        before, here, after = (float(scores[at]) for at in line)
        curvature = before - 2 * here + after
        if curvature < 0:
            offset[axis] = 0.5 * (before - after) / curvature
    return offset
