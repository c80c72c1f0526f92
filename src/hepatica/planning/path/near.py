"""Where a changed margin can make a difference."""

from __future__ import annotations

from typing import Final

import numpy as np

from hepatica.core.geometry import FloatArray
from hepatica.planning.path.fields import SLACK_CAP_MM
from hepatica.planning.path.scene import Scene

CELLS_ASIDE: Final = 3.0
"""A cell's slack is told from the cells around it, rounded: so many edges are left beside what changes."""


def find_changed_boxes(scene: Scene, *, earlier_mm: FloatArray) -> FloatArray | None:
    """Return (b, 2, 3) boxes in local mm outside which slack field and slack are as under earlier margins.

    Parameters
    ----------
    scene
        Scene under its present margins.
    earlier_mm
        `Scene.needed_mm` under the earlier ones.

    Returns
    -------
    ndarray or None
        None where nothing changed.
    """
    changed = np.flatnonzero(scene.needed_mm != earlier_mm)
    if len(changed) == 0:
        return None
    obstacles, comfort = scene.obstacles, scene.limits["comfort_clearance"].number
    boxes = []
    for layer in changed:
        bounds = obstacles.bounds[layer]
        if bounds[0, 0] <= bounds[1, 0]:
            reach = max(scene.needed_mm[layer], earlier_mm[layer])
            far = reach + max(SLACK_CAP_MM, comfort) + CELLS_ASIDE * obstacles.cells.edge_mm
            low = bounds[0] * scene.grid.spacing_mm - far
            high = (bounds[1] + 1) * scene.grid.spacing_mm + far
            boxes.append((low, high))
    return np.array(boxes, dtype=np.float64).reshape(-1, 2, 3)
