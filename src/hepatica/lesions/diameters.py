"""Longest diameter, short axis and longest 3-D diameter of a mask, exactly.

The longest diameter joins the centres of two boundary pixels in one acquisition slice. The short axis is the
longest chord perpendicular to it inside the half-level contour of the same slice. Where several diameters are
equally long, what decides is the lesion itself (larger slice, then longer short axis) and only then the world
(LPS), so neither the order of voxels nor the direction of an array axis matters.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from hepatica.core.findings import NotEvaluable
from hepatica.core.geometry import BoolArray, FloatArray
from hepatica.imaging.mask import Mask
from hepatica.lesions.chords import Chord, find_contour_polygons, find_longest_chord
from hepatica.lesions.lesion import Diameter

TIE_TOLERANCE: Final = 1e-9
"""Relative: two lengths this close are equal up to rounding of the spacing."""
MOST_TIES: Final = 64
"""Ties looked at in full; a digital disc has a dozen, more only in made-up shapes."""
HULL_FROM_POINTS: Final = 400
"""Below this, comparing all pairs is faster than a hull."""


def measure_diameters(mask: Mask) -> tuple[Diameter, Diameter | NotEvaluable]:
    """Return the longest diameter and the short axis of a lesion.

    Parameters
    ----------
    mask
        The lesion; ``mask.grid.slice_axis`` names the acquisition slices. In-plane spacing need not be
        square.

    Returns
    -------
    tuple
        Longest diameter (0 mm for a lesion of one pixel) and short axis, which cannot be judged there.

    Examples
    --------
    >>> from hepatica.core.geometry import Grid
    >>> grid = Grid.from_axes(shape=(9, 9, 3), spacing_mm=(1, 1, 5), origin_lps_mm=(0, 0, 0))
    >>> full = np.zeros(grid.shape, bool); full[1:8, 3:6, 1] = True
    >>> longest, short = measure_diameters(Mask.from_full(full, grid=grid))
    >>> round(longest.length_mm, 2), longest.slice_index
    (6.32, 1)
    """
    frame = _SliceFrame(mask)
    candidates = _find_longest(frame)
    best = min((frame.judge(*candidate) for candidate in candidates), key=lambda judged: judged[0])
    _, longest, short = best
    return longest, short


def measure_longest_diameter_3d(mask: Mask) -> Diameter:
    """Return the largest distance between two boundary voxel centres; flat lesions included."""
    points_mm = _line_ends(mask.crop) * mask.grid.spacing_mm
    corners = points_mm[_find_hull(points_mm)]
    _, first, second = _longest_pairs(corners)
    ends = np.stack([corners[first], corners[second]], axis=1) / mask.grid.spacing_mm + np.array(
        mask.start_ijk
    )
    chosen = min((_order_ends(pair) for pair in mask.grid.to_lps_mm(ends)), key=_place_key)
    steps_mm = np.diff(mask.grid.to_index(chosen), axis=0)[0].round() * mask.grid.spacing_mm
    return Diameter(length_mm=float(np.linalg.norm(steps_mm)), ends_lps_mm=_freeze(chosen), slice_index=None)


class _SliceFrame:
    """A mask seen slice by slice: in-plane axes (p, q), spacing and the way back to the world."""

    def __init__(self, mask: Mask) -> None:
        self.mask = mask
        self.axis = mask.grid.slice_axis
        self.plane = [a for a in range(3) if a != self.axis]
        self.spacing_mm = mask.grid.spacing_mm[self.plane]
        self.slices: BoolArray = np.moveaxis(mask.crop, self.axis, 0)
        self._polygons: dict[int, list[FloatArray]] = {}

    def to_lps_mm(self, number: int, points_mm: FloatArray) -> FloatArray:
        """Turn in-plane millimetres of one slice into LPS."""
        index = np.empty((len(points_mm), 3))
        index[:, self.plane] = points_mm / self.spacing_mm
        index[:, self.axis] = number
        return self.mask.grid.to_lps_mm(index + np.array(self.mask.start_ijk))

    def judge(
        self, number: int, pair_mm: FloatArray
    ) -> tuple[tuple[float, ...], Diameter, Diameter | NotEvaluable]:
        """Describe one candidate with its place in the order of ties (smallest first)."""
        at = number + self.mask.start_ijk[self.axis]
        ends = _order_ends(self.to_lps_mm(number, pair_mm))
        length = float(np.linalg.norm(pair_mm[1] - pair_mm[0]))
        longest = Diameter(length_mm=length, ends_lps_mm=_freeze(ends), slice_index=at)
        short = self._measure_short(number, pair_mm, at=at)
        width = 0.0 if isinstance(short, NotEvaluable) else short.length_mm
        return (round(-width, 6), *_place_key(ends)), longest, short

    def _measure_short(self, number: int, pair_mm: FloatArray, *, at: int) -> Diameter | NotEvaluable:
        if (pair_mm[0] == pair_mm[1]).all():
            return NotEvaluable(reason="the lesion is one pixel wide in every slice: it has no direction")
        if number not in self._polygons:
            self._polygons[number] = find_contour_polygons(self.slices[number], spacing_mm=self.spacing_mm)
        chords = find_longest_chord(self._polygons[number], across_mm=pair_mm)
        ends = min((_order_ends(self.to_lps_mm(number, chord.ends_mm)) for chord in chords), key=_place_key)
        return Diameter(length_mm=_length(chords), ends_lps_mm=_freeze(ends), slice_index=at)


def _length(chords: list[Chord]) -> float:
    return max(chord.length_mm for chord in chords)


def _find_longest(frame: _SliceFrame) -> list[tuple[int, FloatArray]]:
    """Return (slice, end pair) of all longest diameters in the slices of largest area among them."""
    found: list[tuple[float, int, FloatArray]] = []
    for number, pixels in enumerate(frame.slices):
        if not pixels.any():
            continue
        ends = _line_ends(pixels) * frame.spacing_mm
        corners = ends[_find_hull(ends)]
        length, first, second = _longest_pairs(corners)
        found += [
            (length, number, np.stack([corners[a], corners[b]])) for a, b in zip(first, second, strict=True)
        ]
    longest = max(length for length, _, _ in found)
    tied = [(n, pair) for length, n, pair in found if length >= longest * (1 - TIE_TOLERANCE)]
    area = {n: int(np.count_nonzero(frame.slices[n])) for n, _ in tied}
    widest = max(area.values())
    tied = [(n, pair) for n, pair in tied if area[n] == widest]
    return sorted(tied, key=lambda item: _place_key(_order_ends(frame.to_lps_mm(*item))))[:MOST_TIES]


def _line_ends(pixels: BoolArray) -> FloatArray:
    """Return indices of the first and last voxel of every line along axis 0; no other can be extreme."""
    lines = pixels.any(axis=0)
    first = pixels.argmax(axis=0)
    last = pixels.shape[0] - 1 - pixels[::-1].argmax(axis=0)
    rest = np.argwhere(lines)
    both = [np.column_stack([end[lines], rest]) for end in (first, last)]
    return np.unique(np.concatenate(both), axis=0).astype(np.float64)


def _find_hull(points_mm: FloatArray) -> np.ndarray[tuple[int, ...], np.dtype[np.int64]]:
    """Return indices of points that span the longest distance; all where a hull does not pay."""
    from scipy.spatial import ConvexHull

    everything = np.arange(len(points_mm))
    if len(points_mm) < HULL_FROM_POINTS:
        return everything
    centred = points_mm - points_mm.mean(axis=0)
    _, spread, directions = np.linalg.svd(centred, full_matrices=False)
    # Voxels in a plane or on a line have no hull of full dimension; they have one in their own plane.
    flat = centred @ directions[spread > spread[0] * TIE_TOLERANCE].T
    if flat.shape[1] == 1:
        return np.array([flat[:, 0].argmin(), flat[:, 0].argmax()])
    return np.sort(ConvexHull(flat).vertices).astype(np.int64)


def _longest_pairs(
    points_mm: FloatArray,
) -> tuple[
    float, np.ndarray[tuple[int, ...], np.dtype[np.int64]], np.ndarray[tuple[int, ...], np.dtype[np.int64]]
]:
    """Return the longest distance and all index pairs that reach it."""
    offsets = points_mm[:, None, :] - points_mm[None, :, :]
    squared = np.einsum("abk,abk->ab", offsets, offsets)
    longest = float(squared.max())
    first, second = np.nonzero(np.triu(squared >= longest * (1 - 2 * TIE_TOLERANCE)))
    return float(np.sqrt(longest)), first, second


def _order_ends(ends_lps_mm: FloatArray) -> FloatArray:
    """Put the two ends in an order that belongs to the world: by z, then y, then x."""
    keys = [tuple(end.round(6)[::-1]) for end in ends_lps_mm]
    return ends_lps_mm if keys[0] <= keys[1] else ends_lps_mm[::-1]


def _place_key(ends_lps_mm: FloatArray) -> tuple[float, ...]:
    first, second = ends_lps_mm.round(6)
    middle = ((first + second) / 2).round(5)
    return (*middle[::-1].tolist(), *first[::-1].tolist())


def _freeze(values: FloatArray) -> FloatArray:
    frozen = np.array(values)
    frozen.setflags(write=False)
    return frozen
