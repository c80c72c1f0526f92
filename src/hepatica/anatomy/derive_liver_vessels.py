"""Bright vessels inside the liver, portal or hepatic not told apart."""

from __future__ import annotations

from typing import Any, cast

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from hepatica.core.evidence import EvidenceTable
from hepatica.core.geometry import BoolArray, FloatArray


def derive_liver_vessels(
    mean_hu: NDArray[np.float32],
    liver: BoolArray,
    lesions: BoolArray,
    *,
    spacing_mm: FloatArray,
    limits: EvidenceTable,
) -> BoolArray:
    """Find vessels that stand out from the liver around them.

    Seeds are brighter than the liver's median by some robust standard deviations and tube-like in a
    Hessian-based filter; they grow to half level. An unenhanced or evenly enhanced liver gives none.

    Parameters
    ----------
    mean_hu, liver, lesions
        (z, y, x) box around the liver: CT numbers, liver, tumours.
    spacing_mm
        (3,) along z, y, x.
    limits
        ``derivation.toml``.
    """
    inside = liver & ~lesions
    if not inside.any():
        return inside
    smooth = _smooth(
        np.where(liver, mean_hu, np.median(mean_hu[inside])), spacing_mm, limits["vessel_scale"].number
    )
    depth = ndimage.distance_transform_edt(inside, sampling=spacing_mm)
    deep: BoolArray = np.asarray(depth > limits["vessel_capsule"].number)
    if not deep.any():
        return deep
    median = float(np.median(smooth[deep]))
    # Vessels are bright: the spread of plain liver is read from the darker half.
    darker = median - smooth[deep & (smooth <= median)]
    spread = max(1.4826 * float(np.median(darker)), _LEAST_SPREAD_HU)
    tubes = _measure_tubes(smooth, spacing_mm)
    strong = float(np.percentile(tubes[deep], 95))
    seeds = deep & (smooth > median + limits["vessel_seed"].number * spread) & (tubes > max(strong, 1e-6))
    wide = inside & (smooth > median + limits["vessel_edge"].number * spread) & (depth > _RIM_MM)
    thick = ndimage.distance_transform_edt(wide, sampling=spacing_mm) > limits["vessel_radius"].number
    parts, count = ndimage.label(wide)
    voxel_ml = float(np.prod(spacing_mm)) / 1000.0
    sizes = np.bincount(parts.ravel(), minlength=count + 1) * voxel_ml
    seeded = np.bincount(parts[seeds & wide], minlength=count + 1) * voxel_ml
    keep = (sizes >= limits["vessel_volume"].number) & (seeded >= _SEEDED_SHARE * sizes)
    keep[np.unique(parts[thick])] = False
    keep[0] = False
    return np.asarray(keep[parts])


_LEAST_SPREAD_HU = 4.0
"""Smoothed liver is never more even than this; keeps noise-free images from giving noise as vessels."""
_RIM_MM = 1.0
_SEEDED_SHARE = 0.1


def _smooth(values: NDArray[Any], spacing_mm: FloatArray, sigma_mm: float) -> NDArray[np.float32]:
    return cast(
        "NDArray[np.float32]",
        ndimage.gaussian_filter(
            values.astype(np.float32), sigma=sigma_mm / spacing_mm, mode="nearest", truncate=3.0
        ),
    )


def _measure_tubes(smooth: NDArray[np.float32], spacing_mm: FloatArray) -> NDArray[np.float32]:
    import SimpleITK as sitk

    image = sitk.GetImageFromArray(smooth)
    image.SetSpacing([float(s) for s in spacing_mm[::-1]])  # type: ignore[no-untyped-call]
    tubes = sitk.ObjectnessMeasure(  # type: ignore[no-untyped-call]
        image,
        alpha=0.5,
        beta=0.5,
        gamma=5.0,
        scaleObjectnessMeasure=True,
        objectDimension=1,
        brightObject=True,
    )
    return cast("NDArray[np.float32]", sitk.GetArrayFromImage(tubes))
