"""One order of axes for image analysis: every scan is turned so that feet, front and right come first.

What is derived then depends on the patient, not on how the file stored him: all 48 storage orders of one
scan give the same masks.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import permutations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hepatica.core.geometry import BoolArray, FloatArray, Grid
from hepatica.imaging.mask import Mask


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ScanAxes:
    """How the axes of a grid turn into (z, y, x): towards the head, the back, the left.

    Parameters
    ----------
    order
        Grid axis that becomes z, y, x.
    flipped
        Whether z, y, x run against the grid's index.
    spacing_mm
        (3,) spacing along z, y, x.
    """

    order: tuple[int, int, int]
    flipped: tuple[bool, bool, bool]
    spacing_mm: FloatArray

    @classmethod
    def from_grid(cls, grid: Grid) -> ScanAxes:
        """Choose the assignment of axes that fits the grid's directions best.

        Examples
        --------
        >>> grid = Grid.from_axes(shape=(4, 5, 6), spacing_mm=(1, 2, 3), origin_lps_mm=(0, 0, 0))
        >>> ScanAxes.from_grid(grid).order
        (2, 1, 0)
        """
        lean = np.abs(grid.directions)
        order = max(permutations(range(3)), key=lambda o: lean[2, o[0]] + lean[1, o[1]] + lean[0, o[2]])
        flipped = tuple(bool(grid.directions[2 - n, axis] < 0) for n, axis in enumerate(order))
        return cls(
            order=(order[0], order[1], order[2]),
            flipped=(flipped[0], flipped[1], flipped[2]),
            spacing_mm=grid.spacing_mm[list(order)],
        )

    def turn(self, values: NDArray[Any]) -> NDArray[Any]:
        """Turn an (I, J, K) array into a (z, y, x) view."""
        steps = tuple(slice(None, None, -1 if f else 1) for f in self.flipped)
        return values.transpose(self.order)[steps]

    def to_mask(self, inside: BoolArray, *, grid: Grid, start_zyx: tuple[int, int, int]) -> Mask | None:
        """Turn a (z, y, x) box of booleans back into a mask of the grid; None where nothing is set."""
        if not inside.any():
            return None
        full = np.zeros(grid.shape, dtype=bool, order="F")
        view = self.turn(full)
        view[tuple(slice(s, s + n) for s, n in zip(start_zyx, inside.shape, strict=True))] = inside
        return Mask.from_full(full, grid=grid)


def reduce_mean(values: NDArray[Any], factor: int) -> NDArray[np.float32]:
    """Average blocks of ``factor`` x ``factor`` pixels in y and x; edges are repeated to whole blocks."""
    blocks = _to_blocks(values, factor)
    return np.asarray(blocks.mean(axis=(2, 4), dtype=np.float32))


def reduce_max(values: NDArray[Any], factor: int) -> NDArray[Any]:
    """Take the largest value (or any True) of blocks in y and x."""
    return np.asarray(_to_blocks(values, factor).max(axis=(2, 4)))


def expand(values: NDArray[Any], factor: int, shape: tuple[int, ...]) -> NDArray[Any]:
    """Repeat blocks back to pixels."""
    return np.repeat(np.repeat(values, factor, axis=1), factor, axis=2)[:, : shape[1], : shape[2]]


def _to_blocks(values: NDArray[Any], factor: int) -> NDArray[Any]:
    z, y, x = values.shape
    padding = ((0, 0), (0, -y % factor), (0, -x % factor))
    padded = np.pad(values, padding, mode="edge") if (y % factor or x % factor) else values
    return padded.reshape(z, padded.shape[1] // factor, factor, padded.shape[2] // factor, factor)


def within(inside: BoolArray, reach_mm: float, spacing_mm: FloatArray) -> BoolArray:
    """Return the voxels no farther than a reach from a set (nearest centre to centre)."""
    from scipy import ndimage

    if not inside.any():
        return np.zeros_like(inside)
    return np.asarray(ndimage.distance_transform_edt(~inside, sampling=spacing_mm) <= reach_mm)
