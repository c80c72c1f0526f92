"""Every skin point against every tip: excluded, blocked, free or undecided, from the slack field."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from hepatica.core.findings import NotEvaluable
from hepatica.core.geometry import BoolArray, FloatArray
from hepatica.planning.path import field_kernels
from hepatica.planning.path.entry import measure_implant_distance_mm
from hepatica.planning.path.fields import UNITS_PER_MM
from hepatica.planning.path.pairs import ANGLE_TOLERANCE_DEG, LENGTH_TOLERANCE_MM
from hepatica.planning.path.scene import Scene
from hepatica.planning.path.threads import spread_over_threads

PARTS: int = 16
"""Into so many parts the tips are dealt; more than threads, so that none waits long."""


def screen_pairs(scene: Scene, tips_lps_mm: FloatArray) -> NDArray[np.uint8]:
    """Class every skin point of the scene with every tip.

    Excluded pairs break a limit of length, tilt, table, implant or scan end; blocked ones certainly break a
    margin; free ones certainly keep every margin, run-out included. What lies between is undecided.

    Parameters
    ----------
    scene
        Scene.
    tips_lps_mm
        (m, 3) tips.

    Returns
    -------
    ndarray
        (m, n) classes (`field_kernels.FREE`, ``UNDECIDED``, ``BLOCKED``, ``EXCLUDED``).
    """
    tip, entry = np.nonzero(find_open_pairs(scene, tips_lps_mm))
    classes = np.full((len(tips_lps_mm), len(scene.skin.points_lps_mm)), field_kernels.EXCLUDED, np.uint8)
    classes[tip, entry] = classify_pairs(
        scene, scene.to_local_mm(tips_lps_mm), tip.astype(np.int32), entry.astype(np.int32)
    )
    return classes


def find_open_pairs(scene: Scene, tips_lps_mm: FloatArray) -> BoolArray:
    """Return (m, n): which pairs of a tip and a skin point no limit of length, tilt, table, implant or scan end
    excludes. Margins are not looked at, but for the largest of the table at the scan's ends."""
    field, skin, limits = scene.slack, scene.skin, scene.limits
    implant = limits["entry_implant_distance"].number
    usable = ~skin.on_table
    usable &= measure_implant_distance_mm(scene, skin.points_lps_mm, up_to_mm=implant) >= implant
    standing = np.flatnonzero(usable)
    entries = scene.to_local_mm(skin.points_lps_mm) - field.corner_mm
    tips = scene.to_local_mm(tips_lps_mm) - field.corner_mm
    found = np.zeros((len(tips), len(entries)), bool)
    head, down, level = _derive_axes(scene)
    needle = scene.needle
    longest = min(limits["length_max"].number, needle.length_mm - needle.hub_allowance_mm)
    numbers = np.array(
        [
            limits["length_min"].number - LENGTH_TOLERANCE_MM,
            longest + LENGTH_TOLERANCE_MM,
            math.sin(math.radians(min(90.0, limits["tilt_max"].number + ANGLE_TOLERANCE_DEG))),
            limits["run_out"].number,
            needle.length_mm,
            level,
            scene.largest_margin_mm,
        ]
    )
    faces = _derive_face_planes(scene)

    def work(part: slice) -> None:
        field_kernels.find_open(entries, tips[part], standing, numbers, head, down, faces, found[part])

    step = max(1, -(-len(tips) // PARTS))
    spread_over_threads(work, [slice(a, a + step) for a in range(0, len(tips), step)])
    return found


def classify_pairs(
    scene: Scene, tips_mm: FloatArray, tip: NDArray[np.int32], entry: NDArray[np.int32]
) -> NDArray[np.uint8]:
    """Return the (k,) classes of pairs under the scene's margins, given by the numbers of a tip of (m, 3), in local
    millimetres, and of a skin point."""
    field, entries = scene.slack, scene.skin_local_mm
    run_out = scene.limits["run_out"].number
    classes = np.empty(len(tip), np.uint8)

    def work(part: slice) -> None:
        field_kernels.march_paths(
            entries,
            tips_mm,
            entry[part],
            tip[part],
            run_out,
            0,
            field.slack,
            field.corner_mm,
            field.edge_mm,
            UNITS_PER_MM,
            classes[part],
        )

    step = max(1, -(-len(tip) // PARTS))
    spread_over_threads(work, [slice(a, a + step) for a in range(0, len(tip), step)])
    return classes


def _derive_axes(scene: Scene) -> tuple[FloatArray, FloatArray, float]:
    """Return the head and gravity directions in the field's axes, and the table level in its coordinates."""
    directions = scene.grid.directions
    head = np.ascontiguousarray(directions.T @ np.array([0.0, 0.0, 1.0]))
    if isinstance(scene.gravity_lps, NotEvaluable) or scene.skin.table_level_mm is None:
        return head, np.zeros(3), math.inf
    index = scene.slack.corner_mm / scene.grid.spacing_mm - 0.5
    corner = float(scene.grid.to_lps_mm(index) @ scene.gravity_lps)
    down = np.ascontiguousarray(directions.T @ scene.gravity_lps)
    return head, down, scene.skin.table_level_mm - corner + LENGTH_TOLERANCE_MM


def _derive_face_planes(scene: Scene) -> FloatArray:
    """Return (f, 4) inward normals and offsets of the faces that the body reaches, in the field's axes."""
    size = np.array(scene.grid.shape) * scene.grid.spacing_mm
    planes = np.zeros((len(scene.open_faces), 4))
    for row, (axis, side) in enumerate(scene.open_faces):
        planes[row, axis] = -1.0 if side else 1.0
        corner = float(scene.slack.corner_mm[axis])
        planes[row, 3] = float(size[axis]) - corner if side else corner
    return planes
