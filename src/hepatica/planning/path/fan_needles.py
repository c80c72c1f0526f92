"""Needles drawn around a fan: one coaxial needle, and inner needles that turn where it ends."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from hepatica.core.errors import InputError
from hepatica.core.geometry import FloatArray
from hepatica.planning.path.needle_draws import Needles, derive_lateral_axes, find_direction, perturb_needles
from hepatica.planning.path.pairs import ANGLE_TOLERANCE_DEG
from hepatica.planning.path.placement_values import PlacementModel
from hepatica.planning.path.redirection import derive_redirection_deg
from hepatica.planning.path.values import Puncture, Track


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FanNeedles:
    """Perturbed needles of a fan.

    Parameters
    ----------
    coaxial
        From the skin to the coaxial tip.
    tracks
        For each track: from the skin where it runs straight, else from the coaxial tip.
    """

    coaxial: Needles
    tracks: tuple[Needles, ...]


def turns(puncture: Puncture, track: Track) -> bool:
    """Tell whether a track leaves the coaxial needle's direction.

    Parameters
    ----------
    puncture, track
        A puncture and one of its tracks.
    """
    pivot = puncture.pivot_lps_mm
    if pivot is None:
        return False
    return derive_redirection_deg(puncture.entry_lps_mm, pivot, track.tip_lps_mm) > ANGLE_TOLERANCE_DEG


def perturb_fan(
    puncture: Puncture, *, model: PlacementModel, draws: int, rng: np.random.Generator
) -> FanNeedles:
    """Draw the coaxial needle and the tracks of a fan.

    The coaxial needle errs like a straight needle of the fan's depth: entry, tip and depth errors are drawn
    once, exactly as `perturb_needles` draws them for the straight track, and the coaxial tip lies on that
    needle. Every turned track starts at the moved coaxial tip, turned along with the coaxial needle (the
    smallest rotation that carries the planned onto the drawn direction), and errs in its own direction by
    two normal angles across it. Its length beyond the coaxial tip is set at the hub and kept; the depth error
    of the coaxial needle carries over to it.

    Parameters
    ----------
    puncture
        With a pivot. The depth of the fan is that of its first straight track, else of its longest track.
    model, draws, rng
        As in `simulate_placement`.

    Raises
    ------
    InputError
        If there is no pivot, or a track turns and the model does not say how well.
    GeometryError
        If a way has no length.
    """
    pivot = puncture.pivot_lps_mm
    if pivot is None:
        raise InputError(expected="a fan with a coaxial tip", given="none", where=puncture.puncture_id)
    entry = np.asarray(puncture.entry_lps_mm, np.float64)
    straight = next((track for track in puncture.tracks if not turns(puncture, track)), None)
    end = _find_straight_end(puncture, pivot) if straight is None else straight.tip_lps_mm
    trunk = replace(puncture, tracks=(Track(tip_lps_mm=end, deposits=()),), pivot_lps_mm=None)
    (whole,) = perturb_needles(trunk, model=model, draws=draws, rng=rng)
    planned, depth_mm = find_direction(entry, end, where=puncture.puncture_id)
    way = whole.tips_lps_mm - whole.starts_lps_mm
    drawn = way / np.linalg.norm(way, axis=1, keepdims=True)
    pivots = whole.tips_lps_mm - (depth_mm - float(np.linalg.norm(pivot - entry))) * drawn
    bent = any(turns(puncture, track) for track in puncture.tracks)
    angles = _draw_angles(puncture, model=model, draws=draws, rng=rng) if bent else None
    tracks = []
    for number, track in enumerate(puncture.tracks):
        if angles is None or not turns(puncture, track):
            length_mm = float(np.linalg.norm(track.tip_lps_mm - entry))
            tips = whole.tips_lps_mm - (depth_mm - length_mm) * drawn
            tracks.append(Needles(starts_lps_mm=whole.starts_lps_mm, tips_lps_mm=tips))
            continue
        inner, length_mm = find_direction(pivot, track.tip_lps_mm, where=puncture.puncture_id)
        first, second, _ = derive_lateral_axes(inner)
        axes = [_turn_along(axis, planned, drawn) for axis in (inner, first, second)]
        tips = pivots + length_mm * _deviate(axes, angles[number])
        tracks.append(Needles(starts_lps_mm=pivots, tips_lps_mm=tips))
    coaxial = Needles(starts_lps_mm=whole.starts_lps_mm, tips_lps_mm=pivots)
    return FanNeedles(coaxial=coaxial, tracks=tuple(tracks))


def _find_straight_end(puncture: Puncture, pivot_lps_mm: FloatArray) -> FloatArray:
    """Return where a straight needle as long as the longest track would end."""
    entry = np.asarray(puncture.entry_lps_mm, np.float64)
    way, outer_mm = find_direction(entry, pivot_lps_mm, where=puncture.puncture_id)
    longest = max(float(np.linalg.norm(track.tip_lps_mm - pivot_lps_mm)) for track in puncture.tracks)
    return np.asarray(entry + way * (outer_mm + longest))


def _draw_angles(
    puncture: Puncture, *, model: PlacementModel, draws: int, rng: np.random.Generator
) -> FloatArray:
    """Return (tracks, draws, 2) angles in radians."""
    if model.redirection is None:
        raise InputError(
            expected="a placement model with the angular error of a redirected needle",
            given=f"'{model.name}' without",
            where=puncture.puncture_id,
        )
    sigma = np.radians(model.redirection.number)
    return np.asarray(rng.standard_normal((len(puncture.tracks), draws, 2)) * sigma)


def _turn_along(vector: FloatArray, planned: FloatArray, drawn: FloatArray) -> FloatArray:
    """Return (n, 3) a vector turned by the smallest rotations that carry one unit vector onto (n, 3) others."""
    axis, cosine = np.cross(planned, drawn), drawn @ planned
    along = (axis @ vector) / (1.0 + cosine)
    return np.asarray(cosine[:, None] * vector + np.cross(axis, vector) + axis * along[:, None])


def _deviate(axes: list[FloatArray], angles: FloatArray) -> FloatArray:
    """Return (n, 3) unit directions turned away from the first axis toward the other two."""
    size = np.linalg.norm(angles, axis=1)
    ratio = np.sinc(size / np.pi)[:, None]
    return np.asarray(
        np.cos(size)[:, None] * axes[0] + ratio * (angles[:, :1] * axes[1] + angles[:, 1:] * axes[2])
    )
