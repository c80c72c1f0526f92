"""The number behind each hard limit, and the same limits with less of one of them."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Final

import numpy as np

from hepatica.core.evidence import Evidence, EvidenceTable
from hepatica.planning.path.scene import Scene

MARGIN_STEP_MM: Final = 1.0
"""Margins are lowered by so much at a time, and at last to nothing."""


def find_limit(scene: Scene, name: str) -> Evidence | None:
    """Return the number behind a limit: the largest margin of a structure, or the table's entry; None for a rule
    without one.

    Parameters
    ----------
    scene
        Scene.
    name
        Name as in `SkinBlock`.
    """
    margins = [layer.margin for layer in scene.obstacles.layers if layer.kind.value == name]
    if margins:
        return max(margins, key=lambda margin: margin.number)
    if name == "needle_length":
        needle = scene.needle
        return Evidence(
            key=name,
            value=needle.length_mm - needle.hub_allowance_mm,
            unit="mm",
            source=needle.source,
            status=needle.status,
        )
    return scene.limits.entries.get(name)


def list_margin_steps(margin_mm: float) -> list[float]:
    """Return by how much a margin is lowered, step by step, down to nothing.

    Examples
    --------
    >>> list_margin_steps(2.5)
    [1.0, 2.0, 2.5]
    """
    whole = MARGIN_STEP_MM * np.arange(1, math.ceil(margin_mm / MARGIN_STEP_MM))
    return [*whole.tolist(), margin_mm] if margin_mm > 0 else []


def lower_margins(scene: Scene, name: str, *, by: float) -> EvidenceTable:
    """Return the scene's limits with the margins of one structure lowered, none below zero.

    Parameters
    ----------
    scene
        Scene.
    name
        Structure.
    by
        How much lower, in mm.
    """
    keys = {layer.margin.key for layer in scene.obstacles.layers if layer.kind.value == name}
    return scene.limits.replace(
        **{
            key: replace(scene.limits[key], value=max(0.0, scene.limits[key].number - by))
            for key in sorted(keys)
        }
    )
