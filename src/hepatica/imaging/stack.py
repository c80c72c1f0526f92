"""Stacks of parallel slices: how regular they are, and an explicit repair to a regular grid."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from hepatica.core.errors import SliceGapError
from hepatica.core.geometry import ORTHOGONALITY_TOLERANCE, FloatArray

EVEN_SPACING_TOLERANCE_FRACTION: Final = 0.02
"""A slice may lie this share of the spacing beside its regular place; header rounding stays far below it."""
EVEN_SPACING_TOLERANCE_MM: Final = 0.02
"""Floor of the above for thin slices: positions are often written with two decimals."""
SAME_SLICE_TOLERANCE_MM: Final = 0.01
"""Two slices closer than this lie at one place."""
GAP_RATIO: Final = 1.5
"""A step above this many usual steps means missing slices."""
SHORT_STEPS_FRACTION: Final = 0.2
"""From this share on, short steps are the rule and long ones the gaps."""
IN_PLANE_TOLERANCE_MM: Final = 0.1
"""Slice origins may wander sideways by rounding of table positions, not by more."""
REPAIRABLE_MISSING_FRACTION: Final = 0.2
"""Share of slices that may be made up between neighbours; beyond it the stack is no longer a measurement."""
REPAIRABLE_GAP_SLICES: Final = 2
"""Neighbouring slices that may be made up in one place."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class StackShape:
    """How a stack of parallel slices is built.

    Parameters
    ----------
    spacing_mm
        Usual step along the normal (median).
    duplicate_pairs
        Indices (n, n + 1) of slices at one place.
    gaps
        (index before the gap, missing slices) pairs.
    uneven
        Whether steps vary beyond the tolerance, gaps aside.
    tilt_deg
        Angle between the normal and the direction in which slices are stacked.
    sheared
        Whether that angle, or a sideways jump, exceeds what a regular grid allows.
    """

    spacing_mm: float
    duplicate_pairs: tuple[tuple[int, int], ...]
    gaps: tuple[tuple[int, int], ...]
    uneven: bool
    tilt_deg: float
    sheared: bool

    @property
    def regular(self) -> bool:
        """Whether the stack is a regular grid as it is."""
        return not (self.duplicate_pairs or self.gaps or self.uneven or self.sheared)


def measure_stack(positions_mm: FloatArray, offsets_mm: FloatArray) -> StackShape:
    """Measure how regular a stack is.

    Parameters
    ----------
    positions_mm
        (n,) ascending positions along the slice normal, n at least 2.
    offsets_mm
        (n, 2) sideways offset of each slice origin from the first, along rows and columns.

    Examples
    --------
    >>> shape = measure_stack(np.array([0.0, 5.0, 15.0, 20.0]), np.zeros((4, 2)))
    >>> shape.gaps, shape.uneven, shape.spacing_mm
    (((1, 1),), False, 5.0)
    """
    steps = np.diff(positions_mm)
    duplicates = tuple((int(n), int(n) + 1) for n in np.flatnonzero(steps <= SAME_SLICE_TOLERANCE_MM))
    real = steps[steps > SAME_SLICE_TOLERANCE_MM]
    spacing = _find_usual_step(real)
    if not spacing:
        return StackShape(
            spacing_mm=0.0, duplicate_pairs=duplicates, gaps=(), uneven=False, tilt_deg=0.0, sheared=False
        )
    gaps = tuple(
        (int(n), max(1, round(float(steps[n]) / spacing) - 1))
        for n in np.flatnonzero(steps > GAP_RATIO * spacing)
    )
    whole = np.maximum(np.rint(steps / spacing), 1) * (steps > SAME_SLICE_TOLERANCE_MM)
    places = np.concatenate([[0.0], np.cumsum(whole)])
    slope, start = np.polyfit(places, positions_mm, 1)
    tolerance = max(EVEN_SPACING_TOLERANCE_MM, EVEN_SPACING_TOLERANCE_FRACTION * spacing)
    uneven = bool(np.abs(positions_mm - (slope * places + start)).max() > tolerance)
    # The fitted step, not a single difference, is the spacing: rounding of positions averages out.
    spacing = float(slope) if not (uneven or duplicates) else spacing
    extent = float(positions_mm[-1] - positions_mm[0])
    lean = offsets_mm[-1] / extent
    wander = np.abs(offsets_mm - np.outer(positions_mm - positions_mm[0], lean)).max()
    tangent = float(np.linalg.norm(lean))
    return StackShape(
        spacing_mm=spacing,
        duplicate_pairs=duplicates,
        gaps=gaps,
        uneven=uneven,
        tilt_deg=float(np.degrees(np.arctan(tangent))),
        sheared=bool(tangent > ORTHOGONALITY_TOLERANCE or wander > IN_PLANE_TOLERANCE_MM),
    )


def _find_usual_step(steps: FloatArray) -> float:
    """Return the median step, unless many are clearly shorter: then gaps have lifted it."""
    if not steps.size:
        return 0.0
    middle = float(np.median(steps))
    shorter = steps[steps < middle / GAP_RATIO]
    return float(np.median(shorter)) if shorter.size >= SHORT_STEPS_FRACTION * steps.size else middle


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RegularStack:
    """A repaired stack.

    Parameters
    ----------
    values
        (slices, rows, columns) array of the input's type.
    first_offset_mm
        (2,) sideways offset of the new first pixel from the old one, along rows and columns.
    interpolated
        Number of slices that do not coincide with a measured one.
    """

    values: NDArray[Any]
    first_offset_mm: FloatArray
    interpolated: int


def repair_stack(
    values: NDArray[Any],
    *,
    positions_mm: FloatArray,
    offsets_mm: FloatArray,
    pixel_spacing_mm: FloatArray,
    shape: StackShape,
    fill: float,
) -> RegularStack:
    """Resample a stack to even spacing along its normal: sideways shift first, then linear between slices.

    Parameters
    ----------
    values
        (slices, rows, columns) in ascending position.
    positions_mm, offsets_mm
        As in `measure_stack`.
    pixel_spacing_mm
        (2,) spacing along rows (between columns) and along columns (between rows).
    shape
        What `measure_stack` found.
    fill
        Value where a shifted slice has no pixel.

    Raises
    ------
    SliceGapError
        If more slices are missing than may be made up.
    """
    _require_repairable(positions_mm, shape)
    shifted, first = values, np.zeros(2)
    if shape.sheared:
        shifted, first = _shift_slices(
            values, offsets_mm=offsets_mm, pixel_spacing_mm=pixel_spacing_mm, fill=fill
        )
    count = round(float(positions_mm[-1] - positions_mm[0]) / shape.spacing_mm) + 1
    wanted = positions_mm[0] + shape.spacing_mm * np.arange(count)
    wanted = np.minimum(wanted, positions_mm[-1])
    result = np.empty((count, *shifted.shape[1:]), dtype=values.dtype)
    interpolated = 0
    for n, position in enumerate(wanted):
        upper = int(np.clip(np.searchsorted(positions_mm, position), 1, len(positions_mm) - 1))
        share = (position - positions_mm[upper - 1]) / (positions_mm[upper] - positions_mm[upper - 1])
        result[n], made_up = _blend(shifted[upper - 1], shifted[upper], share=float(share))
        interpolated += made_up
    return RegularStack(values=result, first_offset_mm=first, interpolated=interpolated)


def _require_repairable(positions_mm: FloatArray, shape: StackShape) -> None:
    missing = sum(count for _, count in shape.gaps)
    largest = max((count for _, count in shape.gaps), default=0)
    share = missing / (missing + len(positions_mm))
    if largest > REPAIRABLE_GAP_SLICES or share > REPAIRABLE_MISSING_FRACTION:
        raise SliceGapError(
            expected=f"at most {REPAIRABLE_GAP_SLICES} missing slices in one place and "
            f"{REPAIRABLE_MISSING_FRACTION:.0%} in all for a repair",
            given=f"{largest} missing in one place, {share:.0%} in all",
            action="export the complete series",
        )


def _blend(lower: NDArray[Any], upper: NDArray[Any], *, share: float) -> tuple[NDArray[Any], int]:
    close = 1e-3
    if share <= close:
        return lower, 0
    if share >= 1 - close:
        return upper, 0
    mixed = (1 - share) * lower.astype(np.float32) + share * upper.astype(np.float32)
    return (np.rint(mixed) if np.issubdtype(lower.dtype, np.integer) else mixed).astype(lower.dtype), 1


def _shift_slices(
    values: NDArray[Any], *, offsets_mm: FloatArray, pixel_spacing_mm: FloatArray, fill: float
) -> tuple[NDArray[Any], FloatArray]:
    """Bring slices onto one in-plane lattice large enough for all of them."""
    from scipy import ndimage

    pixels = offsets_mm / pixel_spacing_mm
    low, high = np.floor(pixels.min(axis=0)).astype(int), np.ceil(pixels.max(axis=0)).astype(int)
    count, rows, columns = values.shape
    result = np.full((count, rows + high[1] - low[1], columns + high[0] - low[0]), fill, dtype=values.dtype)
    for n in range(count):
        # A value of the new lattice at index m comes from index m + low - offset of the old one.
        moved = ndimage.affine_transform(
            values[n].astype(np.float32),
            np.ones(2),
            offset=np.round(low - pixels[n], 6)[::-1],
            output_shape=result.shape[1:],
            order=1,
            mode="constant",
            cval=fill,
        )
        result[n] = np.rint(moved) if np.issubdtype(values.dtype, np.integer) else moved
    return result, low * pixel_spacing_mm
