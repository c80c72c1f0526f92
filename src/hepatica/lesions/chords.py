"""Longest straight chord inside polygons, across a given direction."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final

import numpy as np

from hepatica.core.errors import GeometryError
from hepatica.core.geometry import BoolArray, FloatArray

HALF_LEVEL: Final = 0.5
MERGE_TOLERANCE: Final = 1e-9
"""Relative to the polygon's extent: corners this close in the sweep direction count as one station."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Chord:
    """A straight line inside a polygon; ``ends_mm`` (2, 2) in its plane."""

    length_mm: float
    ends_mm: FloatArray


def find_contour_polygons(pixels: BoolArray, *, spacing_mm: FloatArray) -> list[FloatArray]:
    """Return the closed 0.5 contours of a binary slice, holes included, as (n, 2) points in millimetres.

    Pixel centres lie at ``index * spacing_mm``. Pixels that touch by a corner only are joined.
    """
    from skimage import measure

    find: Any = measure.find_contours
    contours = find(np.pad(pixels, 1).astype(np.float64), HALF_LEVEL, fully_connected="high")
    return [(np.asarray(contour, dtype=np.float64) - 1.0) * spacing_mm for contour in contours]


def find_longest_chord(polygons: list[FloatArray], *, across_mm: FloatArray) -> list[Chord]:
    """Return the longest chords perpendicular to a line, all of equal length.

    The chord's length changes linearly between two neighbouring corners of the polygons, so its supremum
    lies at a corner, approached from one side; every strip between corners is examined at both of its
    borders. A chord that would only run along or through touching borders does not count: the inside must
    be open around it. Where a whole strip is equally long, the chord nearest the middle of the line is
    taken.

    Parameters
    ----------
    polygons
        Closed contours (n, 2) in millimetres; inside is where an odd number of them surrounds a point.
    across_mm
        (2, 2) ends of the line.

    Returns
    -------
    list of Chord
        At least one; several only for symmetric shapes.

    Raises
    ------
    GeometryError
        If no strip has an inside: the polygons enclose nothing.
    """
    origin = across_mm.mean(axis=0)
    along = (across_mm[1] - across_mm[0]) / np.linalg.norm(across_mm[1] - across_mm[0])
    turn = np.array([along, [-along[1], along[0]]])
    edges = np.concatenate([_to_edges((polygon - origin) @ turn.T) for polygon in polygons])
    stations = _merge(np.unique(edges[:, :, 0]))
    found: list[tuple[float, float, float, float]] = []
    for left, right in pairwise(stations):
        found += _examine_strip(edges, float(left), float(right))
    if not found:
        raise GeometryError(expected="contours that enclose an area", given=f"{len(polygons)} without inside")
    longest = max(length for length, *_ in found)
    scale = float(np.ptp(edges[:, :, 0]))
    tied = [item for item in found if item[0] >= longest - MERGE_TOLERANCE * max(longest, scale)]
    nearest = min(abs(item[1]) for item in tied)
    return [
        Chord(length_mm=longest, ends_mm=np.array([[at, low], [at, high]]) @ turn + origin)
        for _, at, low, high in tied
        if abs(at) <= nearest + MERGE_TOLERANCE * scale
    ]


def _to_edges(polygon: FloatArray) -> FloatArray:
    edges = np.stack([polygon[:-1], polygon[1:]], axis=1)
    swap = edges[:, 0, 0] > edges[:, 1, 0]
    edges[swap] = edges[swap, ::-1]
    return edges


def _merge(values: FloatArray) -> FloatArray:
    """Drop stations that differ from their neighbour by rounding only."""
    gap = MERGE_TOLERANCE * float(values[-1] - values[0])
    return np.asarray(values[np.concatenate([[True], np.diff(values) > gap])], dtype=np.float64)


def _examine_strip(edges: FloatArray, left: float, right: float) -> list[tuple[float, float, float, float]]:
    """Return (length, station, low, high) of the chords at both borders of a strip, and at 0 inside it."""
    middle = (left + right) / 2
    crossing = edges[(edges[:, 0, 0] < middle) & (edges[:, 1, 0] > middle)]
    if len(crossing) < 2:
        return []
    start, end = crossing[:, 0], crossing[:, 1]
    slope = (end[:, 1] - start[:, 1]) / (end[:, 0] - start[:, 0])

    def height(at: float) -> FloatArray:
        return np.asarray(start[:, 1] + slope * (at - start[:, 0]))

    order = np.argsort(height(middle), kind="stable")
    stations = [left, right] + ([0.0] if left < 0.0 < right else [])
    found = []
    for at in stations:
        heights = height(at)[order]
        for low, high in zip(heights[0::2], heights[1::2], strict=True):
            found.append((float(high - low), at, float(low), float(high)))
    return found
