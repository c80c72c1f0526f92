"""Gas inside the body but outside the lung: it marks stomach and bowel where nobody labelled them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from hepatica.core.evidence import EvidenceTable
from hepatica.core.geometry import BoolArray, FloatArray


def derive_gas(
    hu: NDArray[Any],
    body: BoolArray,
    lung: BoolArray,
    *,
    depth: BoolArray,
    spacing_mm: FloatArray,
    limits: EvidenceTable,
) -> BoolArray:
    """Find gas pockets, small ones too.

    Parameters
    ----------
    hu, body, lung
        (z, y, x) CT numbers, body, lung (labelled or derived).
    depth
        (z, y, x) voxels deep enough under the skin that skin folds are no question.
    spacing_mm
        (3,) along z, y, x.
    limits
        ``derivation.toml``.
    """
    beside_lung = ndimage.binary_dilation(lung, ndimage.generate_binary_structure(3, 1), iterations=2)
    edge = (hu < limits["gas_edge"].number) & body & depth & ~beside_lung
    parts, count = ndimage.label(edge)
    if count == 0:
        return np.zeros_like(lung)
    lowest = limits["gas_core"].number
    has_core = np.zeros(count + 1, dtype=bool)
    has_core[np.unique(parts[edge & (hu < lowest)])] = True
    voxel_ml = float(np.prod(spacing_mm)) / 1000.0
    sizes = np.bincount(parts.ravel(), minlength=count + 1)
    keep = has_core & (sizes * voxel_ml >= limits["gas_volume"].number)
    keep[0] = False
    return np.asarray(keep[parts])
