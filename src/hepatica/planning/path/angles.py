"""The two angles an operator reads: in the axial plane from the vertical, and toward head or feet."""

from __future__ import annotations

import math
from typing import Final

import numpy as np

from hepatica.core.findings import NotEvaluable
from hepatica.core.geometry import FloatArray

LEFT_LPS: Final = np.array([1.0, 0.0, 0.0])
ANTERIOR_LPS: Final = np.array([0.0, -1.0, 0.0])
SMALLEST_AXIAL_SHARE: Final = 1e-6
"""Below this share of its length in the axial plane a path has no direction there."""
LATERAL_SHARE: Final = 1e-3
"""Below this part of "left" across the vertical, the patient lies on the side."""


def derive_craniocaudal_angle_deg(entry_lps_mm: FloatArray, tip_lps_mm: FloatArray) -> float:
    """Return the angle out of the axial plane, positive toward the head: asin(dz / length), entry to tip.

    Parameters
    ----------
    entry_lps_mm, tip_lps_mm
        (3,) points; they must differ.

    Returns
    -------
    float
        -90 to 90.

    Examples
    --------
    >>> round(derive_craniocaudal_angle_deg(np.zeros(3), np.array([0.0, 50.0, 50.0])), 6)
    45.0
    """
    way = np.asarray(tip_lps_mm, float) - np.asarray(entry_lps_mm, float)
    return math.degrees(math.asin(max(-1.0, min(1.0, float(way[2] / np.linalg.norm(way))))))


def derive_in_plane_angle_deg(
    entry_lps_mm: FloatArray, tip_lps_mm: FloatArray, *, gravity_lps: FloatArray | NotEvaluable
) -> float | NotEvaluable:
    """Return the angle of the path's axial projection from gravity's vertical, positive toward patient left.

    The direction runs from entry to tip; 0 is straight down. With the patient on the side, left is itself
    vertical: then positive is toward the patient's front.

    Parameters
    ----------
    entry_lps_mm, tip_lps_mm
        (3,) points; they must differ.
    gravity_lps
        (3,) unit vector in the axial plane, or why unknown.

    Returns
    -------
    float or NotEvaluable
        -180 to 180; NotEvaluable without gravity, or if the path runs along the body axis.

    Examples
    --------
    >>> supine = np.array([0.0, 1.0, 0.0])
    >>> round(derive_in_plane_angle_deg(np.zeros(3), np.array([10.0, 10.0, 0.0]), gravity_lps=supine), 6)
    45.0
    """
    if isinstance(gravity_lps, NotEvaluable):
        return gravity_lps
    way = np.asarray(tip_lps_mm, float) - np.asarray(entry_lps_mm, float)
    axial = way * (1.0, 1.0, 0.0)
    if np.linalg.norm(axial) < SMALLEST_AXIAL_SHARE * np.linalg.norm(way):
        return NotEvaluable(
            reason="the path runs along the body axis and has no direction in the axial plane"
        )
    side = derive_side_lps(gravity_lps)
    return math.degrees(math.atan2(float(axial @ side), float(axial @ gravity_lps)))


def derive_side_lps(gravity_lps: FloatArray) -> FloatArray:
    """Return the (3,) horizontal axial direction counted positive: patient left, or the front on the side."""
    side = LEFT_LPS - (LEFT_LPS @ gravity_lps) * gravity_lps
    if np.linalg.norm(side) < LATERAL_SHARE:
        side = ANTERIOR_LPS - (ANTERIOR_LPS @ gravity_lps) * gravity_lps
    side = side * (1.0, 1.0, 0.0)
    return np.asarray(side / np.linalg.norm(side))
