"""Where in a lesion a tip may go."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from hepatica.core.evidence import EvidenceTable
from hepatica.core.geometry import FloatArray
from hepatica.imaging.mask import Mask
from hepatica.planning.path.skin import ORDER_DECIMALS


def choose_targets(target: Mask, *, limits: EvidenceTable, outer: bool = False) -> FloatArray:
    """Choose tip positions: the deepest point inside the target, then points far apart among the deep ones.

    Every point is the centre of a target voxel, so it lies in viable tumour also where a centroid would fall
    into necrosis or outside a curved lesion.

    Parameters
    ----------
    target
        Where deposits may lie.
    limits
        ``target_candidates``, ``target_depth_share`` and ``tip_edge_distance``.
    outer
        Take all points at least ``tip_edge_distance`` inside instead of the deep ones: tips near the far
        edge leave a longer way inside the target. If there are none, the deep ones.

    Returns
    -------
    ndarray
        (n, 3) LPS points, the deepest first.
    """
    spacing = target.grid.spacing_mm
    padded = np.pad(target.crop, 1)
    depth = ndimage.distance_transform_edt(padded, sampling=spacing)[1:-1, 1:-1, 1:-1]
    index = np.argwhere(target.crop)
    depths = np.round(depth[tuple(index.T)], ORDER_DECIMALS)
    points = target.grid.to_lps_mm(index + np.array(target.start_ijk))
    least = limits["target_depth_share"].number * depths.max()
    kept = depths >= (min(least, limits["tip_edge_distance"].number) if outer else least)
    points, depths = points[kept], depths[kept]
    rounded = np.round(points, ORDER_DECIMALS)
    order = np.lexsort((rounded[:, 2], rounded[:, 1], rounded[:, 0], -depths))
    points = points[order]
    chosen = [0]
    away = np.linalg.norm(points - points[0], axis=1)
    while len(chosen) < min(int(limits["target_candidates"].number), len(points)):
        far = int(np.argmax(np.round(away, ORDER_DECIMALS)))
        chosen.append(far)
        away = np.minimum(away, np.linalg.norm(points - points[far], axis=1))
    return np.asarray(points[chosen])
