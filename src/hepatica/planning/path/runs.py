"""What a path passes, in order of depth."""

from __future__ import annotations

from itertools import pairwise
from typing import Final

import numpy as np
from numpy.typing import NDArray

from hepatica.anatomy.structures import StructureKind, to_bit
from hepatica.core.evidence import EvidenceTable
from hepatica.core.geometry import FloatArray
from hepatica.planning.path import kernels
from hepatica.planning.path import obstacles as codes
from hepatica.planning.path.scene import Scene
from hepatica.planning.path.values import Run, TissueClass

_TISSUE: Final = {
    kernels.CODE_TARGET: TissueClass.TARGET,
    kernels.CODE_OTHER_LESION: TissueClass.OTHER_LESION,
    kernels.CODE_LIVER: TissueClass.LIVER,
    codes.CODE_ORGAN: TissueClass.FORBIDDEN,
    codes.CODE_VESSEL: TissueClass.VESSEL,
    codes.CODE_CONTRAST: TissueClass.FORBIDDEN,
    codes.CODE_GAS: TissueClass.GAS,
    kernels.CODE_AIR: TissueClass.GAS,
    codes.CODE_BONE: TissueClass.BONE,
    codes.CODE_LUNG: TissueClass.LUNG,
}
_STRUCTURE: Final = {
    kernels.CODE_TARGET: StructureKind.LESION,
    kernels.CODE_OTHER_LESION: StructureKind.LESION,
    kernels.CODE_LIVER: StructureKind.LIVER,
    codes.CODE_CONTRAST: StructureKind.CONTRAST_LUMEN,
    codes.CODE_GAS: StructureKind.GAS,
    codes.CODE_BONE: StructureKind.BONE,
    codes.CODE_LUNG: StructureKind.LUNG,
}


def walk_voxels(
    scene: Scene, start_lps_mm: FloatArray, end_lps_mm: FloatArray
) -> tuple[NDArray[np.int64], FloatArray]:
    """Return (n, 3) voxels of a segment in order and the (n,) depth in mm at which each is left.

    Exact: every voxel the segment has length in, with its exact boundaries (Amanatides and Woo 1987). Ends
    where the segment leaves the grid.
    """
    grid = scene.grid
    start, end = scene.to_local_mm(start_lps_mm), scene.to_local_mm(end_lps_mm)
    room = sum(grid.shape) + 4
    voxels, exits = np.empty((room, 3), np.int64), np.empty(room)
    count = kernels.walk(start, end - start, grid.spacing_mm, np.array(grid.shape), voxels, exits)
    depth = exits[:count] * float(np.linalg.norm(end - start))
    kept = np.diff(depth, prepend=0.0) > kernels.SHORTEST_STRETCH_MM
    return voxels[:count][kept], depth[kept]


def derive_runs(
    scene: Scene, tissue: NDArray[np.uint8], start_lps_mm: FloatArray, end_lps_mm: FloatArray
) -> tuple[Run, ...]:
    """List the runs of a path: contiguous stretches in one class and structure, skin to tip.

    Unlabelled tissue is named by its CT number averaged along the path. Where structures overlap, the first
    of this order names the run: target lesion, other lesion, organ or implant, vessel, contrast-filled
    lumen, gas, bone, lung, liver.

    Parameters
    ----------
    scene
        Scene.
    tissue
        From `Scene.paint_target`.
    start_lps_mm, end_lps_mm
        (3,) entry and tip.
    """
    voxels, depth = walk_voxels(scene, start_lps_mm, end_lps_mm)
    if len(depth) == 0:
        return ()
    i, j, k = voxels.T
    values = tissue[i, j, k]
    lengths = np.diff(depth, prepend=0.0)
    hu = np.asarray(scene.volume.values[i, j, k], dtype=np.float64)
    names = _name_voxels(values, scene.anatomy.bits[i, j, k])
    soft = np.array([name is None for name in names])
    smooth = _average(hu, lengths, group=soft, length_mm=scene.limits["run_averaging"].number)
    full = [
        name if name is not None else (classify_soft_tissue(value, scene.limits), None)
        for name, value in zip(names, smooth, strict=True)
    ]
    cuts = [0, *(n for n in range(1, len(full)) if full[n] != full[n - 1]), len(full)]
    runs = []
    for a, b in pairwise(cuts):
        length = lengths[a:b]
        runs.append(
            Run(
                from_mm=float(depth[a - 1]) if a else 0.0,
                to_mm=float(depth[b - 1]),
                tissue=full[a][0],
                structure=full[a][1],
                mean_hu=float((hu[a:b] * length).sum() / length.sum()),
            )
        )
    return tuple(runs)


def classify_soft_tissue(mean_hu: float, limits: EvidenceTable) -> TissueClass:
    """Name unlabelled tissue by its CT number: fat, muscle or other soft tissue, or unlabelled."""
    if limits["fat_min"].number <= mean_hu <= limits["fat_max"].number:
        return TissueClass.SKIN_FAT
    if limits["fat_max"].number < mean_hu <= limits["muscle_max"].number:
        return TissueClass.MUSCLE
    return TissueClass.UNLABELLED


def _name_voxels(
    values: NDArray[np.uint8], bits: NDArray[np.uint32]
) -> list[tuple[TissueClass, StructureKind | None] | None]:
    names: list[tuple[TissueClass, StructureKind | None] | None] = []
    for value, word in zip(values.tolist(), bits.tolist(), strict=True):
        code = value & int(kernels.CODE_MASK)
        if code in _TISSUE:
            kind = _STRUCTURE.get(code)
            if code in (codes.CODE_ORGAN, codes.CODE_VESSEL):
                kind = _find_kind(word, vessel=code == codes.CODE_VESSEL)
            names.append((_TISSUE[code], kind))
        elif value & int(kernels.BODY_FLAG):
            names.append(None)
        else:
            names.append((TissueClass.OUTSIDE, None))
    return names


def _find_kind(word: int, *, vessel: bool) -> StructureKind | None:
    for kind in StructureKind:
        if kind in codes.NOT_OBSTACLES or kind in _STRUCTURE.values():
            continue
        if word & to_bit(kind) and (kind in codes.VESSELS) == vessel:
            return kind
    return None


def _average(
    hu: FloatArray, lengths: FloatArray, *, group: NDArray[np.bool_], length_mm: float
) -> FloatArray:
    """Mean over a window along the path, within each contiguous stretch of ``group``."""
    result = hu.copy()
    ends = np.flatnonzero(np.diff(np.concatenate([[0], group.astype(np.int8), [0]])))
    for a, b in zip(ends[::2], ends[1::2], strict=True):
        edges = np.concatenate([[0.0], np.cumsum(lengths[a:b])])
        mass = np.concatenate([[0.0], np.cumsum(hu[a:b] * lengths[a:b])])
        centre = 0.5 * (edges[1:] + edges[:-1])
        low = np.maximum(centre - 0.5 * length_mm, 0.0)
        high = np.minimum(centre + 0.5 * length_mm, edges[-1])
        result[a:b] = (np.interp(high, edges, mass) - np.interp(low, edges, mass)) / (high - low)
    return result
