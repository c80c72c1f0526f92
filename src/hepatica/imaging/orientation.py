"""One order of axes for every source: i toward the left, j toward the back, k toward the head."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import permutations
from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hepatica.core.errors import MissingGeometryError
from hepatica.core.geometry import FloatArray

TIE_DIGITS: Final = 6
"""Direction cosines carry about six digits; below that two axis orders count as equally good."""
THICK_SLICE_RATIO: Final = 1.2
"""A spacing more than this above both others marks the slice axis; below it scans are near isotropic."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AxisOrder:
    """How stored axes become canonical axes.

    Parameters
    ----------
    source_axes
        For each canonical axis the stored axis it is made of.
    flipped
        For each canonical axis whether it runs against the stored one.
    """

    source_axes: tuple[int, int, int]
    flipped: tuple[bool, bool, bool]


def derive_axis_order(lps_from_ijk: ArrayLike) -> AxisOrder:
    """Derive the order in which i, j, k run closest to +L, +P, +S.

    Parameters
    ----------
    lps_from_ijk
        (4, 4) affine of the stored array; columns may be oblique or sheared.

    Raises
    ------
    MissingGeometryError
        If an axis has no length or the affine is not finite.

    Examples
    --------
    >>> derive_axis_order([[0, 0, -5, 0], [1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 0, 1]])
    AxisOrder(source_axes=(2, 0, 1), flipped=(True, False, False))
    """
    columns = np.asarray(lps_from_ijk, dtype=np.float64)[:3, :3]
    lengths = np.linalg.norm(columns, axis=0)
    if not np.isfinite(columns).all() or not (lengths > 0).all():
        raise MissingGeometryError(
            expected="three voxel axes with a length above 0 mm", given=f"lengths {lengths.tolist()} mm"
        )
    directions = columns / lengths
    best = max(
        permutations(range(3)),
        key=lambda axes: round(sum(abs(directions[row, axis]) for row, axis in enumerate(axes)), TIE_DIGITS),
    )
    flips = [bool(directions[row, axis] < 0) for row, axis in enumerate(best)]
    return AxisOrder(source_axes=(best[0], best[1], best[2]), flipped=(flips[0], flips[1], flips[2]))


def to_canonical(
    values: NDArray[Any], *, lps_from_ijk: ArrayLike, slice_axis: int
) -> tuple[NDArray[Any], FloatArray, int]:
    """Turn an array into canonical axis order without moving any voxel in the world.

    Parameters
    ----------
    values
        (I, J, K) array in its stored order.
    lps_from_ijk
        (4, 4) affine of the stored array.
    slice_axis
        Stored axis that counts acquisition slices.

    Returns
    -------
    tuple
        Array whose ``.T`` is contiguous, its affine, and the canonical slice axis.
    """
    affine = np.asarray(lps_from_ijk, dtype=np.float64)
    order = derive_axis_order(affine)
    turned = values.transpose(order.source_axes)
    result = np.eye(4)
    result[:3, 3] = affine[:3, 3]
    for axis, (source, flip) in enumerate(zip(order.source_axes, order.flipped, strict=True)):
        step = affine[:3, source]
        if flip:
            turned = np.flip(turned, axis)
            result[:3, 3] += step * (values.shape[source] - 1)
            step = -step
        result[:3, axis] = step
    return np.asfortranarray(turned), result, order.source_axes.index(slice_axis)


def derive_slice_axis(lps_from_ijk: ArrayLike) -> int:
    """Derive the acquisition slice axis of a source that does not name one.

    The axis whose spacing is clearly the largest; where none is, the axis that runs closest to head-foot.

    Examples
    --------
    >>> derive_slice_axis(np.diag([5.0, 0.7, 0.7, 1.0])), derive_slice_axis(np.eye(4))
    (0, 2)
    """
    spacing = np.linalg.norm(np.asarray(lps_from_ijk, dtype=np.float64)[:3, :3], axis=0)
    ranked = np.argsort(spacing)
    if spacing[ranked[2]] > THICK_SLICE_RATIO * spacing[ranked[1]]:
        return int(ranked[2])
    return derive_axis_order(lps_from_ijk).source_axes[2]
