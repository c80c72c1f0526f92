"""A set of voxels, kept as the box that holds it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hepatica.core.errors import EmptyLabelError, GeometryError
from hepatica.core.geometry import BoolArray, FloatArray, Grid

Slices = tuple[slice, slice, slice]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Mask:
    """A non-empty set of voxels of a grid, stored as a boolean crop.

    Parameters
    ----------
    grid
        The whole grid.
    start_ijk
        Index of the crop's first voxel.
    crop
        Boolean array of the bounding box, read-only; every face of it holds a voxel of the set.

    Examples
    --------
    >>> grid = Grid.from_axes(shape=(8, 8, 8), spacing_mm=(1, 1, 1), origin_lps_mm=(0, 0, 0))
    >>> full = np.zeros((8, 8, 8), bool); full[2:4, 3, 5] = True
    >>> mask = Mask.from_full(full, grid=grid)
    >>> mask.start_ijk, mask.crop.shape, mask.volume_ml
    ((2, 3, 5), (2, 1, 1), 0.002)
    """

    grid: Grid
    start_ijk: tuple[int, int, int]
    crop: BoolArray

    def __post_init__(self) -> None:
        """Validate and freeze."""
        stop = np.add(self.start_ijk, self.crop.shape)
        if self.crop.ndim != 3 or min(self.start_ijk) < 0 or (stop > self.grid.shape).any():
            raise GeometryError(
                expected=f"a box inside {self.grid.shape}",
                given=f"start {self.start_ijk}, shape {self.crop.shape}",
            )
        view = self.crop.view()
        view.setflags(write=False)
        object.__setattr__(self, "crop", view)

    @classmethod
    def from_full(cls, full: NDArray[np.bool_], *, grid: Grid, where: str = "mask") -> Mask:
        """Build from a whole-grid (I, J, K) boolean array.

        Raises
        ------
        EmptyLabelError
            If no voxel is set.
        """
        if full.shape != grid.shape:
            raise GeometryError(expected=f"shape {grid.shape}", given=f"{full.shape}", where=where)
        box = find_box(full)
        if box is None:
            raise EmptyLabelError(expected="at least one voxel", given="0 voxels", where=where)
        return cls(
            grid=grid,
            start_ijk=(box[0].start, box[1].start, box[2].start),
            crop=np.array(full[box], dtype=bool, order="F"),
        )

    @property
    def box(self) -> Slices:
        """Slices of the crop within the whole grid."""
        i, j, k = self.start_ijk
        a, b, c = self.crop.shape
        return slice(i, i + a), slice(j, j + b), slice(k, k + c)

    @property
    def voxel_count(self) -> int:
        """Number of voxels."""
        return int(np.count_nonzero(self.crop))

    @property
    def volume_ml(self) -> float:
        """Volume by voxel count."""
        return self.voxel_count * self.grid.voxel_volume_ml

    @property
    def centroid_lps_mm(self) -> FloatArray:
        """(3,) mean of the voxel centres."""
        index = np.argwhere(self.crop).mean(axis=0) + np.array(self.start_ijk)
        return self.grid.to_lps_mm(index)

    def to_full(self) -> BoolArray:
        """Return the whole-grid boolean array (Fortran order, so ``.T`` is contiguous)."""
        full = np.zeros(self.grid.shape, dtype=bool, order="F")
        full[self.box] = self.crop
        return full

    def index_ijk(self) -> NDArray[np.int64]:
        """Return (n, 3) indices of the voxels in the whole grid."""
        return np.asarray(np.argwhere(self.crop) + np.array(self.start_ijk), dtype=np.int64)


def find_box(full: NDArray[np.bool_]) -> Slices | None:
    """Return the bounding box of the True voxels of a 3-D array, or None where there are none."""
    slices = []
    for axis in range(3):
        other = tuple(a for a in range(3) if a != axis)
        line = np.flatnonzero(full.any(axis=other))
        if line.size == 0:
            return None
        slices.append(slice(int(line[0]), int(line[-1]) + 1))
    return slices[0], slices[1], slices[2]
