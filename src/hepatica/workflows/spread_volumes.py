"""The predicted spread on other grids than its own."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from hepatica.core.findings import NotEvaluable
from hepatica.core.geometry import BoolArray, Grid
from hepatica.imaging.mask import Mask
from hepatica.workflows.spread_scenes import read_grid_limits
from hepatica.workflows.spread_values import LesionSpread


def derive_covered_mask(lesion: LesionSpread, *, grid: Grid) -> Mask | None:
    """Return the voxels of a scan that are reached in at least the set share of the draws; None where none is.

    The share is interpolated at the scan's voxel centres; beyond the working grid nothing is reached.

    Parameters
    ----------
    lesion
        Prediction for one lesion.
    grid
        Grid of the scan.
    """
    scene, outcome = lesion.site.scene, lesion.outcome
    if isinstance(scene, NotEvaluable) or isinstance(outcome, NotEvaluable):
        return None
    least = read_grid_limits()["covered_probability"].number
    corners = np.stack(np.meshgrid(*([-1.0, float(n)] for n in scene.grid.shape), indexing="ij"), axis=-1)
    index = grid.to_index(scene.grid.to_lps_mm(corners)).reshape(-1, 3)
    low = np.clip(np.floor(index.min(axis=0)).astype(int), 0, grid.shape)
    high = np.clip(np.ceil(index.max(axis=0)).astype(int) + 1, 0, grid.shape)
    lines = [np.arange(a, b) for a, b in zip(low, high, strict=True)]
    centres = np.stack(np.meshgrid(*lines, indexing="ij"), axis=-1)
    places = np.moveaxis(scene.grid.to_index(grid.to_lps_mm(centres)), -1, 0)
    share = ndimage.map_coordinates(
        outcome.coverage_probability, places, order=1, mode="constant", cval=0.0, prefilter=False
    )
    covered: BoolArray = share >= least
    if not covered.any():
        return None
    at = np.argwhere(covered)
    first, last = at.min(axis=0), at.max(axis=0) + 1
    crop = covered[tuple(slice(int(a), int(b)) for a, b in zip(first, last, strict=True))]
    start = low + first
    return Mask(grid=grid, start_ijk=(int(start[0]), int(start[1]), int(start[2])), crop=np.array(crop))
