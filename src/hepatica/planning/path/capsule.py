"""How steeply a path enters the liver."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from hepatica.core.findings import NotEvaluable
from hepatica.core.geometry import FloatArray
from hepatica.planning.path import kernels
from hepatica.planning.path.runs import walk_voxels
from hepatica.planning.path.scene import Scene
from hepatica.planning.path.skin import derive_directions


def find_liver_entry(
    scene: Scene, tissue: NDArray[np.uint8], start_lps_mm: FloatArray, end_lps_mm: FloatArray
) -> FloatArray | NotEvaluable:
    """Return the (3,) point at which a path first enters the liver (with its vessels and lesions)."""
    voxels, depth = walk_voxels(scene, start_lps_mm, end_lps_mm)
    if len(depth) == 0:
        return NotEvaluable(reason="the path lies outside the volume")
    i, j, k = voxels.T
    inside = np.flatnonzero(tissue[i, j, k] & kernels.LIVER_FLAG)
    if len(inside) == 0:
        return NotEvaluable(reason="the path does not enter the liver")
    at = float(depth[inside[0] - 1]) if inside[0] else 0.0
    way = end_lps_mm - start_lps_mm
    return np.asarray(start_lps_mm + way * (at / float(np.linalg.norm(way))))


def measure_capsule_angle_deg(
    scene: Scene, tissue: NDArray[np.uint8], start_lps_mm: FloatArray, end_lps_mm: FloatArray
) -> float | NotEvaluable:
    """Return the angle between path and tangent plane at the first entry into the liver, 0 to 90.

    The normal is the gradient of the liver convolved with a Gaussian whose sigma is the same number of
    millimetres along every axis, evaluated at the entry point itself with voxel boxes integrated exactly.
    """
    point = find_liver_entry(scene, tissue, start_lps_mm, end_lps_mm)
    if isinstance(point, NotEvaluable):
        return point
    normal = derive_directions(
        point[None, :],
        grid=scene.grid,
        tissue=tissue,
        flag=kernels.LIVER_FLAG,
        sigma_mm=scene.limits["capsule_sigma"].number,
    )[0]
    if not np.isfinite(normal).all():
        return NotEvaluable(reason="no liver surface near the entry into the liver")
    way = end_lps_mm - start_lps_mm
    return math.degrees(math.asin(min(1.0, abs(float(way @ normal)) / float(np.linalg.norm(way)))))
