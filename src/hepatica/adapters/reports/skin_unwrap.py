"""The skin laid flat: unrolled around the body's long axis, in centimetres along its middle contour.

Seen as one faces the patient: front in the middle, patient right on the left, head up, the back at both ends.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from hepatica.core.geometry import FloatArray

ANGLE_STEP_DEG: Final = 2.0
SMOOTHING_STEPS: Final = 3.0
"""Smoothing of the middle contour: its length must not follow single folds."""
STRETCH_SHARE: Final = 90.0
"""Share of the skin, in percent, that the printed stretch covers."""
PIXEL_MM: Final = 1.0
REACH_MM: Final = 4.5
"""Pixels farther than this from any skin point are no skin: above the points' spacing times the usual stretch."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Unwrapping:
    """How skin is laid flat.

    Parameters
    ----------
    centre_lps_mm
        (2,) x and y of the axis.
    angles_deg, along_mm
        Angle from the front, positive to the patient's left, -180 to 180, and the way along the middle contour.
    radius_mm
        Radius of the middle contour at those angles.
    stretch_percent
        Lengths across the map are this much too long or short at most, for 90 % of the skin.
    """

    centre_lps_mm: FloatArray
    angles_deg: FloatArray
    along_mm: FloatArray
    radius_mm: FloatArray
    stretch_percent: float

    def to_flat_mm(self, points_lps_mm: FloatArray) -> FloatArray:
        """Return (n, 2): way to the patient's left along the contour, and height toward the head."""
        points = np.atleast_2d(points_lps_mm)
        angle = measure_angles_deg(points, self.centre_lps_mm)
        return np.stack([np.interp(angle, self.angles_deg, self.along_mm), points[:, 2]], axis=1)

    def find_along_mm(self, angle_deg: float) -> float:
        """Return where an angle lies on the map."""
        return float(np.interp(angle_deg, self.angles_deg, self.along_mm))


def measure_angles_deg(points_lps_mm: FloatArray, centre_lps_mm: FloatArray) -> FloatArray:
    """Return the (n,) angle of points around the axis: 0 at the front, 90 at the patient's left."""
    away = points_lps_mm[:, :2] - centre_lps_mm
    return np.asarray(np.degrees(np.arctan2(away[:, 0], -away[:, 1])))


def derive_unwrapping(points_lps_mm: FloatArray) -> Unwrapping:
    """Fit the axis and the middle contour to (n, 3) skin points.

    Examples
    --------
    >>> turn = np.radians(np.arange(0, 360, 1.0))
    >>> ring = np.stack([100 * np.sin(turn), -100 * np.cos(turn), 0 * turn], axis=1)
    >>> flat = derive_unwrapping(ring)
    >>> round(flat.find_along_mm(90.0) / (100 * np.pi / 2), 3)
    1.0
    """
    centre = 0.5 * (points_lps_mm[:, :2].min(axis=0) + points_lps_mm[:, :2].max(axis=0))
    angle = measure_angles_deg(points_lps_mm, centre)
    radius = np.linalg.norm(points_lps_mm[:, :2] - centre, axis=1)
    edges = np.arange(-180.0, 180.0 + ANGLE_STEP_DEG, ANGLE_STEP_DEG)
    middle = 0.5 * (edges[1:] + edges[:-1])
    bins = np.clip(((angle + 180.0) / ANGLE_STEP_DEG).astype(int), 0, len(middle) - 1)
    contour = _find_contour(radius, bins, middle)
    around = np.append(contour, contour[0])
    turn = np.radians(ANGLE_STEP_DEG)
    slope = np.diff(around) / turn
    step = np.hypot(0.5 * (around[1:] + around[:-1]), slope) * turn
    along = np.concatenate([[0.0], np.cumsum(step)]) - 0.0
    grid = np.append(middle, middle[-1] + ANGLE_STEP_DEG)
    zero = float(np.interp(0.0, grid, along))
    angles = np.arange(-180.0, 180.0 + ANGLE_STEP_DEG, ANGLE_STEP_DEG)
    full = np.concatenate([grid - 360.0, grid[1:], grid[1:] + 360.0])
    length = along[-1]
    ways = np.concatenate([along - length, along[1:], along[1:] + length]) - zero
    local = radius / contour[bins]
    low, high = np.percentile(local, [50 - STRETCH_SHARE / 2, 50 + STRETCH_SHARE / 2])
    return Unwrapping(
        centre_lps_mm=centre,
        angles_deg=angles,
        along_mm=np.interp(angles, full, ways),
        radius_mm=np.interp(
            angles, np.concatenate([middle - 360, middle, middle + 360]), np.tile(contour, 3)
        ),
        stretch_percent=100.0 * float(max(1.0 - low, high - 1.0)),
    )


def _find_contour(radius: FloatArray, bins: NDArray[np.int64], middle: FloatArray) -> FloatArray:
    from scipy.ndimage import gaussian_filter1d

    found = np.full(len(middle), np.nan)
    order = np.argsort(bins, kind="stable")
    starts = np.searchsorted(bins[order], np.arange(len(middle) + 1))
    for n in range(len(middle)):
        if starts[n + 1] > starts[n]:
            found[n] = np.median(radius[order[starts[n] : starts[n + 1]]])
    known = np.flatnonzero(np.isfinite(found))
    full = np.interp(middle, middle[known], found[known], period=360.0)
    return np.asarray(gaussian_filter1d(full, SMOOTHING_STEPS, mode="wrap"))


def rasterise(
    unwrapping: Unwrapping, points_lps_mm: FloatArray
) -> tuple[NDArray[np.int64], tuple[float, float, float, float]]:
    """Return a picture of the number of the skin point shown at each pixel (-1 for none), and its extent in mm.

    Rows go from head to feet, columns from patient right to left; the extent is (left, right, feet, head).
    """
    from scipy.spatial import cKDTree

    flat = unwrapping.to_flat_mm(points_lps_mm)
    left, right = unwrapping.along_mm[0], unwrapping.along_mm[-1]
    low, high = flat[:, 1].min() - PIXEL_MM, flat[:, 1].max() + PIXEL_MM
    columns, rows = round((right - left) / PIXEL_MM), max(1, round((high - low) / PIXEL_MM))
    across = left + (np.arange(columns) + 0.5) * (right - left) / columns
    height = high - (np.arange(rows) + 0.5) * (high - low) / rows
    places = np.stack(np.meshgrid(across, height), axis=-1).reshape(-1, 2)
    _, near = cKDTree(flat).query(places, distance_upper_bound=REACH_MM)
    shown = np.where(near == len(flat), -1, near).reshape(rows, columns)
    return shown.astype(np.int64), (float(left), float(right), float(low), float(high))
