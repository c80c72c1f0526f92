"""The number behind each hard limit, and the same limits with less of one of them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Final

import numpy as np

from hepatica.core.errors import InputError
from hepatica.core.evidence import Evidence, EvidenceTable
from hepatica.planning.path.scene import Scene

MARGIN_STEP_MM: Final = 1.0
"""Margins are lowered by so much at a time, and at last to nothing."""

LEAST: Final[Mapping[str, float]] = MappingProxyType(
    {
        "alternative_patch": 1.0,
        "deposit_max": 0.01,
        "deposit_spacing": 0.5,
        "deposit_tissue_share": 0.05,
        "pivot_step": 0.5,
        "run_averaging": 0.1,
        "skin_sample_spacing": 1.0,
        "target_candidates": 1.0,
        "target_sample": 1.0,
    }
)
"""Steps, shares and counts that a search divides by or works through: with less there is none, or no end of it. All
other limits may be 0."""
MOST: Final[Mapping[str, float]] = MappingProxyType(
    {"mm": 1000.0, "deg": 180.0, "ml": 100.0, "fraction": 1.0}
)
"""By unit: beyond a body, a turn, a syringe and the whole."""
MOST_PLAIN: Final = 1000.0
"""For counts and weights."""


def require_limit_values(values: Mapping[str, object], *, table: EvidenceTable) -> None:
    """Refuse limits that are unknown, no numbers, or beyond what a search can work with.

    Parameters
    ----------
    values
        Number by key of the table.
    table
        Path limits.

    Raises
    ------
    InputError
    """
    for key, value in values.items():
        entry = table.entries.get(key)
        least = LEAST.get(key, 0.0)
        most = MOST.get(entry.unit, MOST_PLAIN) if entry is not None else 0.0
        # Written so that NaN is refused.
        sound = isinstance(value, int | float) and not isinstance(value, bool) and least <= value <= most
        if entry is None or not sound:
            raise InputError(
                expected="a known limit" if entry is None else f"{least:g} to {most:g} {entry.unit}".strip(),
                given=f"{key} = {value}",
                where="path session",
                action="see the table of path limits",
            )


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
