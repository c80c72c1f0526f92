"""Lung: aerated tissue, told apart from free gas of stomach and bowel."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from hepatica.core.evidence import EvidenceTable
from hepatica.core.geometry import BoolArray, FloatArray

_FLAT: Final = np.array([np.zeros((3, 3)), np.ones((3, 3)), np.zeros((3, 3))], dtype=bool)
_NEARLY_FREE_HU: Final = -900
"""Poorly aerated lung holds hardly a voxel below this; a gas pocket against the diaphragm does."""


def derive_lung(
    hu: NDArray[Any], body: BoolArray, spacing_mm: FloatArray, limits: EvidenceTable
) -> BoolArray:
    """Find the lung on both sides, basal slices and poorly aerated rims included.

    A dark component is lung where little of its inside is as dark as free gas and where it goes on to the
    head end of the scan, or ends level with one that looks like lung.

    Parameters
    ----------
    hu, body
        (z, y, x) CT numbers and body.
    spacing_mm
        (3,) along z, y, x.
    limits
        ``derivation.toml``.
    """
    dark = (hu < limits["lung_threshold"].number) & body
    parts, count = ndimage.label(dark)
    inside = ndimage.binary_erosion(dark, _FLAT, border_value=1)
    sizes = np.bincount(parts.ravel(), minlength=count + 1)
    cores = np.bincount(parts[inside], minlength=count + 1)
    free = np.bincount(parts[inside & (hu < limits["free_gas"].number)], minlength=count + 1)
    voxel_ml = float(np.prod(spacing_mm)) / 1000.0
    aerated = (sizes * voxel_ml >= limits["lung_volume"].number) & (cores > 0)
    aerated &= free < limits["lung_free_gas_share"].number * np.maximum(cores, 1)
    aerated[0] = False
    tops = np.array([0] + [box[0].stop for box in ndimage.find_objects(parts)])
    if not aerated.any():
        return np.zeros_like(dark)
    highest = min(int(tops[aerated].max()), hu.shape[0])
    is_lung = aerated & ((highest - tops) * spacing_mm[0] <= limits["lung_below_top"].number)
    if (hu.shape[0] - highest) * spacing_mm[0] > limits["lung_below_top"].number:
        # The scan goes on above the highest aerated part: only parts of lung size can be lung, not bowel.
        is_lung &= sizes * voxel_ml >= _WHOLE_LUNG_ML
    return _add_dense_rim(is_lung[parts], hu, body, limits)


_WHOLE_LUNG_ML: Final = 300.0
"""A lung seen up to its apex is larger than this; a bowel loop is not."""


def _add_dense_rim(lung: BoolArray, hu: NDArray[Any], body: BoolArray, limits: EvidenceTable) -> BoolArray:
    """Add the partial-volume rim and poorly aerated lung, so that margins start at the pleura."""
    if not lung.any():
        return lung
    lung = lung | ndimage.binary_dilation(lung, _FLAT) & (hu < limits["lung_edge"].number) & body
    box = ndimage.find_objects(lung.astype(np.uint8))[0]
    values, here = hu[box], lung[box]
    dense = (values < limits["gas_edge"].number) & body[box] & ~here
    parts, count = ndimage.label(dense)
    sizes = np.bincount(parts.ravel(), minlength=count + 1)
    nearly_free = np.bincount(parts[dense & (values < _NEARLY_FREE_HU)], minlength=count + 1)
    touching = np.zeros(count + 1, dtype=bool)
    touching[np.unique(parts[ndimage.binary_dilation(here, iterations=2) & dense])] = True
    touching &= nearly_free < limits["lung_dense_share"].number * np.maximum(sizes, 1)
    touching[0] = False
    lung[box] |= touching[parts]
    return lung
