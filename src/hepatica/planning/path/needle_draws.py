"""Straight needles drawn around a planned puncture."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from hepatica.core.errors import GeometryError
from hepatica.core.geometry import FloatArray
from hepatica.planning.path.pairs import LENGTH_TOLERANCE_MM
from hepatica.planning.path.placement_values import PlacementModel
from hepatica.planning.path.values import Puncture

HEAD_LPS: Final = np.array([0.0, 0.0, 1.0])
SMALLEST_AXIAL_SHARE: Final = 1e-9
"""Below this share in the axial plane a needle runs along the body axis: every axis across it is in plane."""
SHARED_DEVIATES: Final = 8
"""Of one draw: entry on two axes, motion on three, label on three. Every track adds three: tip and depth."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Needles:
    """Perturbed needles of one track.

    Parameters
    ----------
    starts_lps_mm, tips_lps_mm
        (draws, 3) ends.
    """

    starts_lps_mm: FloatArray
    tips_lps_mm: FloatArray


def derive_lateral_axes(direction_lps: FloatArray) -> tuple[FloatArray, FloatArray, float]:
    """Return the two axes across a needle and the sine of its tilt.

    The first lies in the axial plane; the second is perpendicular to it and to the needle, so it is the body
    axis for a needle in the axial plane.

    Parameters
    ----------
    direction_lps
        (3,) unit vector.

    Examples
    --------
    >>> first, second, sine = derive_lateral_axes(np.array([0.0, 1.0, 0.0]))
    >>> first.tolist(), second.tolist(), sine
    ([-1.0, 0.0, 0.0], [0.0, 0.0, 1.0], 0.0)
    """
    first = np.cross(HEAD_LPS, direction_lps)
    share = float(np.linalg.norm(first))
    first = np.array([1.0, 0.0, 0.0]) if share < SMALLEST_AXIAL_SHARE else first / share
    first = first - (first @ direction_lps) * direction_lps
    first = first / np.linalg.norm(first) + 0.0
    return first, np.cross(direction_lps, first) + 0.0, float(direction_lps[2])


def perturb_needles(
    puncture: Puncture, *, model: PlacementModel, draws: int, rng: np.random.Generator
) -> tuple[Needles, ...]:
    """Draw the needles of every track.

    At depth fraction f a needle lies ``entry (1 - f) + tip f + motion + label`` away from its planned axis,
    each term with its own normal deviates.

    Parameters
    ----------
    puncture, model, draws, rng
        As in `simulate_placement`.

    Raises
    ------
    GeometryError
        If a track has no length.
    """
    deviates = rng.standard_normal((draws, SHARED_DEVIATES + 3 * len(puncture.tracks)))
    motion = np.array(
        [
            model.motion_left_right.number,
            model.motion_anterior_posterior.number,
            model.motion_craniocaudal.number,
        ]
    )
    shift = deviates[:, 2:5] * motion + deviates[:, 5:8] * model.label.number
    needles = []
    for number, track in enumerate(puncture.tracks):
        start = np.asarray(puncture.entry_lps_mm, np.float64)
        direction, _ = find_direction(start, track.tip_lps_mm, where=puncture.puncture_id)
        first, second, sine = derive_lateral_axes(direction)
        entry = deviates[:, :2] * model.entry.number
        across = np.hypot(
            model.out_of_plane.number * np.sqrt(max(0.0, 1.0 - sine * sine)), model.in_plane.number * sine
        )
        own = SHARED_DEVIATES + 3 * number
        tip = deviates[:, own : own + 3] * (model.in_plane.number, across, model.depth.number)
        needles.append(
            Needles(
                starts_lps_mm=start + shift + entry @ np.stack([first, second]),
                tips_lps_mm=np.asarray(track.tip_lps_mm, np.float64)
                + shift
                + tip @ np.stack([first, second, direction]),
            )
        )
    return tuple(needles)


def find_direction(
    start_lps_mm: FloatArray, end_lps_mm: FloatArray, *, where: str
) -> tuple[FloatArray, float]:
    """Return the (3,) unit direction and the length of a way.

    Parameters
    ----------
    start_lps_mm, end_lps_mm
        (3,) ends.
    where
        What messages call it.

    Raises
    ------
    GeometryError
        If it has no length.
    """
    way = np.asarray(end_lps_mm, np.float64) - np.asarray(start_lps_mm, np.float64)
    length_mm = float(np.linalg.norm(way))
    if not np.isfinite(length_mm) or length_mm < LENGTH_TOLERANCE_MM:
        raise GeometryError(
            expected="an entry and a tip that differ", given=f"a way of {way.tolist()} mm", where=where
        )
    return np.asarray(way / length_mm), length_mm
