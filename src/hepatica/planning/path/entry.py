"""Whether a needle can stand at a place on the skin."""

from __future__ import annotations

from typing import Final

import numpy as np

from hepatica.anatomy.structures import StructureKind
from hepatica.core.findings import NotEvaluable
from hepatica.core.geometry import BoolArray, FloatArray
from hepatica.planning.path import clearance_kernels, kernels
from hepatica.planning.path.scene import Scene

ON_SKIN_TOLERANCE_MM: Final = 3.0
"""A stated entry may lie this far from the body's surface: about a voxel of a thick slice."""
LEVEL_TOLERANCE_MM: Final = 1e-6
"""Two levels computed in different ways agree to rounding."""


def find_hub_under_table(scene: Scene, entries_lps_mm: FloatArray, tips_lps_mm: FloatArray) -> BoolArray:
    """Tell for (n, 3) paths whether the needle's hub would start below the lowest skin, that is in the table.

    All False without gravity.
    """
    level = scene.skin.table_level_mm
    if level is None or isinstance(scene.gravity_lps, NotEvaluable):
        return np.zeros(len(entries_lps_mm), dtype=bool)
    way = tips_lps_mm - entries_lps_mm
    length = np.linalg.norm(way, axis=1)
    outside = np.maximum(scene.needle.length_mm - length, 0.0)
    hub = entries_lps_mm - way * (outside / length)[:, None]
    return np.asarray(hub @ scene.gravity_lps > level + LEVEL_TOLERANCE_MM)


def is_on_skin(scene: Scene, point_lps_mm: FloatArray) -> bool:
    """Tell whether both body and outside lie within a small distance; faces of the volume do not count."""
    spacing = scene.grid.spacing_mm
    local = scene.to_local_mm(point_lps_mm)
    low = np.maximum(np.floor((local - ON_SKIN_TOLERANCE_MM) / spacing).astype(int), 0)
    high = np.minimum(np.ceil((local + ON_SKIN_TOLERANCE_MM) / spacing).astype(int), scene.grid.shape)
    if (high <= low).any():
        return False
    box = tuple(slice(a, b) for a, b in zip(low, high, strict=True))
    index = np.stack(
        np.meshgrid(*(np.arange(a, b) for a, b in zip(low, high, strict=True)), indexing="ij"), -1
    )
    gap = np.maximum(0.0, np.maximum(index * spacing - local, local - (index + 1) * spacing))
    near = np.linalg.norm(gap, axis=-1) <= ON_SKIN_TOLERANCE_MM
    inside = (scene.tissue[box] & kernels.BODY_FLAG) != 0
    return bool((near & inside).any() and (near & ~inside).any())


def measure_implant_distance_mm(scene: Scene, points_lps_mm: FloatArray, *, up_to_mm: float) -> FloatArray:
    """Return (n,) exact distances from points to the nearest implant box, at most ``up_to_mm``."""
    obstacles = scene.obstacles
    wanted = np.array([layer.kind is StructureKind.IMPLANT for layer in obstacles.layers], dtype=bool)
    result = np.full(len(points_lps_mm), up_to_mm)
    if not wanted.any():
        return result
    for n, point in enumerate(scene.to_local_mm(points_lps_mm)):
        best = np.where(wanted, up_to_mm, 0.0)
        clearance_kernels.scan_clearances(
            point,
            np.zeros(3),
            scene.grid.spacing_mm,
            obstacles.block,
            obstacles.starts,
            obstacles.voxels,
            obstacles.layer_of_voxel,
            best,
            clearance_kernels.REFINE,
        )
        result[n] = best[wanted].min()
    return result
