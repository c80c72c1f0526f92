"""What ribs mean for a path beside their margin: the vessels under a rib, and the pleura between ribs."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from hepatica.anatomy.structures import StructureKind
from hepatica.core.findings import Finding, Severity
from hepatica.core.geometry import FloatArray
from hepatica.planning.path.measure import TrackMeasure
from hepatica.planning.path.scene import Scene
from hepatica.planning.path.values import TissueClass


def measure_bone_sides_mm(
    scene: Scene, start_lps_mm: FloatArray, end_lps_mm: FloatArray
) -> tuple[float, float]:
    """Return the distance from a segment to the nearest bone on its head side and on its feet side.

    Measured to boundary voxel centres, in the plane across the body: a side is where the bone lies higher or
    lower than the nearest point of the segment. Infinity where none is within ``intercostal_watch``, beyond
    which no rule looks.
    """
    obstacles, grid = scene.obstacles, scene.grid
    numbers = [n for n, layer in enumerate(obstacles.layers) if layer.kind is StructureKind.BONE]
    if not numbers:
        return np.inf, np.inf
    ends = scene.to_local_mm(np.stack([start_lps_mm, end_lps_mm])) / grid.spacing_mm
    reach = scene.limits["intercostal_watch"].number / grid.spacing_mm + 1.0
    voxels = _list_voxels(scene, numbers[0], low=ends.min(axis=0) - reach, high=ends.max(axis=0) + reach)
    near = (voxels >= ends.min(axis=0) - reach) & (voxels <= ends.max(axis=0) + reach)
    centres = grid.to_lps_mm(voxels[near.all(axis=1)])
    way = end_lps_mm - start_lps_mm
    t = np.clip((centres - start_lps_mm) @ way / float(way @ way), 0.0, 1.0)
    away = centres - start_lps_mm - t[:, None] * way
    distance = np.linalg.norm(away, axis=1)
    # Bone straight beside the path, in the same slice, is neither above nor below it.
    steep = np.abs(away[:, 2]) >= 0.5 * distance
    head = distance[steep & (away[:, 2] > 0)]
    feet = distance[steep & (away[:, 2] < 0)]
    return float(head.min(initial=np.inf)), float(feet.min(initial=np.inf))


def _list_voxels(scene: Scene, layer: int, *, low: FloatArray, high: FloatArray) -> FloatArray:
    """Return the (n, 3) boundary voxels of a layer in the blocks that a box of indices meets."""
    obstacles = scene.obstacles
    first = np.maximum(np.floor(low / obstacles.block), 0).astype(int)
    last = np.maximum(np.floor(high / obstacles.block), -1).astype(int) + 1
    starts = obstacles.starts[tuple(slice(a, b) for a, b in zip(first, last, strict=True))].reshape(-1, 3)
    starts = starts[(starts[:, 2] >> layer) & 1 == 1]
    found = np.concatenate([np.zeros(0, np.int64), *(np.arange(a, b) for a, b in starts[:, :2])])
    return np.asarray(obstacles.voxels[found[obstacles.layer_of_voxel[found] == layer]], dtype=np.float64)


def list_rib_findings(measure: TrackMeasure, scene: Scene) -> Iterator[Finding]:
    """Yield what ribs near the wall part of a path (skin to liver) mean for vessels and pleura."""
    end = measure.tip_lps_mm
    for run in measure.runs:
        if run.tissue in (TissueClass.LIVER, TissueClass.VESSEL, TissueClass.TARGET):
            way = measure.tip_lps_mm - measure.entry_lps_mm
            end = measure.entry_lps_mm + way * (run.from_mm / measure.length_mm)
            break
    if np.allclose(end, measure.entry_lps_mm):
        return
    head, feet = measure_bone_sides_mm(scene, measure.entry_lps_mm, end)
    under, between = scene.limits["rib_watch"], scene.limits["intercostal_watch"]
    if head < under.number and head < feet:
        yield Finding.from_limit(
            under,
            rule="path.under_rib",
            severity=Severity.WARNING,
            message="Passes right under a bone, where intercostal vessels run if it is a rib; the upper "
            "border of the rib below is preferred.",
            measured=head,
            subject=measure.lesion_id,
        )
    if head < between.number and feet < between.number:
        yield Finding.from_limit(
            between,
            rule="path.intercostal",
            severity=Severity.WARNING,
            message="Passes between bones; ribs are not numbered here. Above the tenth rib in the "
            "mid-axillary line the pleura counts as crossed.",
            measured=max(head, feet),
            subject=measure.lesion_id,
        )
