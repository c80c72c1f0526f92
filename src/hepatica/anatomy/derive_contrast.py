"""Contrast-filled lumens and chambers: bright, even, thick, and without the cortical shell of bone.

They stand for stomach, heart, great vessels and kidneys where nobody labelled these.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from hepatica.anatomy.scan_axes import within
from hepatica.core.evidence import EvidenceTable
from hepatica.core.geometry import BoolArray, FloatArray


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class BrightImage:
    """The scan at working resolution, for telling bone from contrast.

    Parameters
    ----------
    mean_hu
        (z, y, x) block means.
    peak_hu
        (z, y, x) block maxima of the full image.
    candidate
        Voxels to decide on: inside the body, under the skin, not explained by a label.
    spacing_mm
        (3,) of the blocks along z, y, x.
    lumen_threshold_hu
        Above it an even region counts as filled with contrast.
    """

    mean_hu: NDArray[np.float32]
    peak_hu: NDArray[np.float32]
    candidate: BoolArray
    spacing_mm: FloatArray
    lumen_threshold_hu: float


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class EvenRegions:
    """Bright, even, thick regions, told apart.

    Parameters
    ----------
    lumen
        (z, y, x) contrast-filled lumens and chambers, grown to their edge.
    marrow
        (z, y, x) even insides of bones.
    """

    lumen: BoolArray
    marrow: BoolArray


def find_even_regions(image: BrightImage, limits: EvidenceTable) -> EvenRegions:
    """Find bright even regions and tell lumen from marrow.

    A region is taken where the local standard deviation is small against the mean and a ball of the least
    radius fits. From inside, even marrow looks like a lumen; but going outward from marrow in the slice it
    gets brighter first (cortex), from a lumen it gets darker. A lumen grows back to its own edge, never into
    what is clearly brighter.
    """
    bright = image.candidate & (image.mean_hu > image.lumen_threshold_hu)
    depth_mm = _measure_depth(bright & _is_even(image, limits), image.spacing_mm)
    core = depth_mm >= limits["contrast_radius"].number
    parts, count = ndimage.label(core)
    lumen, marrow = np.zeros_like(core), np.zeros_like(core)
    voxel_ml = float(np.prod(image.spacing_mm)) / 1000.0
    sizes = np.bincount(parts.ravel(), minlength=count + 1) * voxel_ml
    reach_mm = limits["contrast_radius"].number + 1.5
    margins = [int(np.ceil(_NEAR_MM / s)) for s in image.spacing_mm]
    boxes = ndimage.find_objects(parts)
    for number in np.flatnonzero(sizes >= _LEAST_CORE_ML):
        if number == 0:
            continue
        box = tuple(
            slice(max(s.start - m, 0), s.stop + m) for s, m in zip(boxes[number - 1], margins, strict=True)
        )
        part, mean_hu = parts[box] == number, image.mean_hu[box]
        level = float(np.median(mean_hu[part]))
        step = max(limits["marrow_shell_step"].number, limits["marrow_shell_rise"].number * level)
        brighter = mean_hu > level + step
        share = _measure_shell(part, brighter, image.spacing_mm)
        least = (
            "marrow_shell_share_small"
            if sizes[number] < limits["marrow_small"].number
            else "marrow_shell_share"
        )
        radius_mm = float(depth_mm[box][part].max())
        dense = level > limits["cortex_least"].number and radius_mm < limits["dense_lumen_radius"].number
        if share > limits[least].number or level > _METAL_HU or dense:
            marrow[box] |= part
        else:
            lumen[box] |= within(part, reach_mm, image.spacing_mm) & bright[box] & ~brighter
    return EvenRegions(lumen=_drop_small(lumen, limits["contrast_volume"].number / voxel_ml), marrow=marrow)


_LEAST_CORE_ML = 0.1
_METAL_HU = 900.0
"""No lumen is this bright all through; metal and dense bone are."""
_NEAR_MM = 6.0
"""Cortex is looked for this far outside an even region."""


def _measure_shell(part: BoolArray, brighter: BoolArray, spacing_mm: FloatArray) -> float:
    """Return the share of a region's in-slice edge that has something brighter next to it."""
    flat = np.array([1e4, spacing_mm[1], spacing_mm[2]])
    outward = ndimage.distance_transform_edt(~part, sampling=flat)
    edge = (outward > 0) & (outward <= 1.05 * float(spacing_mm[1:].max()))
    shell = brighter & (outward > 0) & (outward <= _NEAR_MM)
    if not edge.any() or not shell.any():
        return 0.0
    covered = ndimage.distance_transform_edt(~shell, sampling=flat) <= _NEAR_MM / 2
    return float(np.count_nonzero(edge & covered) / np.count_nonzero(edge))


def _is_even(image: BrightImage, limits: EvidenceTable) -> BoolArray:
    size = [max(1, 2 * round(_WINDOW_MM / s) + 1) for s in image.spacing_mm]
    values = np.clip(image.mean_hu, -200, 1200)
    mean = ndimage.uniform_filter(values, size=size, mode="nearest")
    square = ndimage.uniform_filter(values * values, size=size, mode="nearest")
    spread = np.sqrt(np.maximum(square - mean * mean, 0))
    return np.asarray(spread < limits["contrast_variation"].number * np.maximum(mean, 1))


def _measure_depth(inside: BoolArray, spacing_mm: FloatArray) -> NDArray[np.float64]:
    depth = np.asarray(ndimage.distance_transform_edt(inside, sampling=spacing_mm))
    # The even region already lost its rim to the window of the local spread.
    depth[inside] = np.maximum(depth[inside] + _WINDOW_MM, float(spacing_mm.min()) + _WINDOW_MM)
    return depth


_WINDOW_MM = 2.0
"""Half width of the window of the local spread."""


def _drop_small(inside: BoolArray, least_voxels: float) -> BoolArray:
    parts, count = ndimage.label(inside)
    keep = np.bincount(parts.ravel(), minlength=count + 1) >= least_voxels
    keep[0] = False
    return np.asarray(keep[parts])
