"""How far the inner needle turns at the coaxial tip."""

from __future__ import annotations

import math

import numpy as np

from hepatica.core.geometry import FloatArray
from hepatica.planning.path.values import Puncture, Track


def derive_redirection_deg(
    entry_lps_mm: FloatArray, pivot_lps_mm: FloatArray, tip_lps_mm: FloatArray
) -> float:
    """Return by how much a track turns at its pivot, 0 to 180.

    Examples
    --------
    >>> round(derive_redirection_deg(np.array([0, 0, 0]), np.array([0, 5, 0]), np.array([5, 10, 0])), 6)
    45.0
    """
    a, b = pivot_lps_mm - entry_lps_mm, tip_lps_mm - pivot_lps_mm
    return math.degrees(math.atan2(float(np.linalg.norm(np.cross(a, b))), float(a @ b)))


def measure_depth_mm(puncture: Puncture, track: Track, point_lps_mm: FloatArray) -> float:
    """Return how deep a point of a track lies: along the needle from the skin, over the coaxial tip.

    Parameters
    ----------
    puncture, track
        A puncture and one of its tracks.
    point_lps_mm
        (3,) point on the track, at or beyond the coaxial tip where there is one.

    Examples
    --------
    >>> from types import SimpleNamespace
    >>> fan = SimpleNamespace(entry_lps_mm=np.zeros(3), pivot_lps_mm=np.array([0.0, 30.0, 0.0]))
    >>> measure_depth_mm(fan, None, np.array([3.0, 34.0, 0.0]))
    35.0
    """
    pivot = puncture.pivot_lps_mm
    if pivot is None:
        return float(np.linalg.norm(point_lps_mm - puncture.entry_lps_mm))
    outer, inner = pivot - puncture.entry_lps_mm, point_lps_mm - pivot
    if float(outer @ inner) < 0:
        # A stop of a straight track that lies before the coaxial tip.
        return float(np.linalg.norm(point_lps_mm - puncture.entry_lps_mm))
    return float(np.linalg.norm(outer)) + float(np.linalg.norm(inner))


def measure_track_mm(puncture: Puncture, track: Track) -> float:
    """Return the length of a track from the skin to its tip, over the coaxial tip where there is one."""
    return measure_depth_mm(puncture, track, track.tip_lps_mm)
