"""The body: everything inside the skin, without table, air around it and loose limbs."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from hepatica.anatomy.scan_axes import expand, within
from hepatica.core.evidence import EvidenceTable
from hepatica.core.geometry import BoolArray, FloatArray

_COARSE_MM = 2.6
"""The trunk is smooth at this step; the edge is taken from the full image afterwards."""


def derive_body(hu: NDArray[Any], spacing_mm: FloatArray, limits: EvidenceTable) -> BoolArray:
    """Find the trunk.

    The largest thick component above the threshold, with its holes (lung, gas) filled. Lung and gas that are
    cut by the first or last slice count as holes; a face of the volume is never taken for skin.

    Parameters
    ----------
    hu
        (z, y, x) CT numbers.
    spacing_mm
        (3,) along z, y, x.
    limits
        ``derivation.toml``.

    Returns
    -------
    numpy.ndarray
        (z, y, x) booleans; all False where nothing thick is found.
    """
    threshold = limits["body_threshold"].number
    step = [max(1, round(_COARSE_MM / s)) for s in spacing_mm]
    step[0] = 1
    coarse_mm = spacing_mm * step
    solid = hu[:: step[0], step[1] // 2 :: step[1], step[2] // 2 :: step[2]] > threshold
    trunk = _find_trunk(solid, coarse_mm, limits["body_opening"].number)
    if not trunk.any():
        return np.zeros(hu.shape, dtype=bool)
    trunk = fill_holes(trunk)
    structure = ndimage.generate_binary_structure(3, 1)
    structure[0] = structure[2] = False
    sure = ndimage.binary_erosion(trunk, structure, border_value=1)
    near = ndimage.binary_dilation(trunk, structure)
    body = _to_fine(near, step, hu.shape)
    body &= hu > threshold
    body |= _to_fine(sure, step, hu.shape)
    return body


def _find_trunk(solid: BoolArray, spacing_mm: FloatArray, radius_mm: float) -> BoolArray:
    # Outside the array counts as solid: the cut through the patient at a face is not worn away.
    thick = ndimage.distance_transform_edt(solid, sampling=spacing_mm) > radius_mm
    parts, count = ndimage.label(thick)
    if count == 0:
        return np.zeros_like(solid)
    sizes = np.bincount(parts.ravel())
    sizes[0] = 0
    core = parts == int(sizes.argmax())
    return np.asarray(within(core, radius_mm + float(spacing_mm[1:].max()), spacing_mm) & solid)


def fill_holes(trunk: BoolArray) -> BoolArray:
    """Fill what does not reach a side of the slices; the first and last slice are cuts, not openings."""
    empty = ~trunk
    parts, _ = ndimage.label(empty)
    outside = np.unique(np.concatenate([parts[:, side].ravel() for side in (0, -1)]))
    outside = np.union1d(outside, np.unique(np.concatenate([parts[:, :, side].ravel() for side in (0, -1)])))
    is_outside = np.zeros(int(parts.max()) + 1, dtype=bool)
    is_outside[outside] = True
    return np.asarray(trunk | ~is_outside[parts] & empty)


def _to_fine(coarse: BoolArray, step: list[int], shape: tuple[int, ...]) -> BoolArray:
    if step[1] == step[2]:
        fine = expand(coarse, step[1], shape)
    else:
        fine = np.repeat(np.repeat(coarse, step[1], axis=1), step[2], axis=2)[:, : shape[1], : shape[2]]
    missing = [(0, n - m) for n, m in zip(shape, fine.shape, strict=True)]
    return np.pad(fine, missing, mode="edge") if any(m for _, m in missing) else fine
