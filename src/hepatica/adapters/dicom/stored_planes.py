"""Which stored image plane each slice of a grid is: found through positions in space, never by index."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from hepatica.core.geometry import FloatArray, Grid

if TYPE_CHECKING:
    from hepatica.adapters.dicom.source_headers import SourceSeries

SAME_VOXEL_TOLERANCE: Final = 0.02
"""Voxels by which a stored pixel centre may miss a grid point: header text carries about six digits."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PlaneStack:
    """How to cut a grid into DICOM planes.

    Parameters
    ----------
    slice_axis, row_axis, column_axis
        Grid axis that counts planes, rows and columns.
    row_flipped, column_flipped
        Whether rows or columns run against their grid axis.
    grid
        The grid.
    stored
        For each index along the slice axis the position of its header in the source series; empty where the planes
        are not those of the source (a resampled stack).
    """

    slice_axis: int
    row_axis: int
    column_axis: int
    row_flipped: bool
    column_flipped: bool
    grid: Grid
    stored: tuple[int, ...] = ()

    @property
    def plane_shape(self) -> tuple[int, int]:
        """Rows and columns of a plane."""
        return self.grid.shape[self.row_axis], self.grid.shape[self.column_axis]

    @property
    def orientation(self) -> FloatArray:
        """(6,) Image Orientation (Patient): direction along a row, then down a column."""
        along_row = self.grid.directions[:, self.column_axis] * (-1.0 if self.column_flipped else 1.0)
        down_column = self.grid.directions[:, self.row_axis] * (-1.0 if self.row_flipped else 1.0)
        return np.concatenate([along_row, down_column])

    @property
    def pixel_spacing_mm(self) -> tuple[float, float]:
        """Spacing between rows, then between columns."""
        spacing = self.grid.spacing_mm
        return float(spacing[self.row_axis]), float(spacing[self.column_axis])

    @property
    def plane_spacing_mm(self) -> float:
        """Spacing between planes."""
        return float(self.grid.spacing_mm[self.slice_axis])

    def find_position_lps_mm(self, plane: int) -> FloatArray:
        """Return (3,) Image Position (Patient): centre of the first stored pixel of a plane."""
        index = np.zeros(3)
        index[self.slice_axis] = plane
        index[self.row_axis] = self.plane_shape[0] - 1 if self.row_flipped else 0
        index[self.column_axis] = self.plane_shape[1] - 1 if self.column_flipped else 0
        return self.grid.to_lps_mm(index)

    def view_as_grid(self, planes: NDArray[Any]) -> NDArray[Any]:
        """View a (plane, row, column) array as (i, j, k) of the grid; writing to the view fills the planes."""
        flipped = planes[:, :: -1 if self.row_flipped else 1, :: -1 if self.column_flipped else 1]
        order = [0, 0, 0]
        order[self.slice_axis], order[self.row_axis], order[self.column_axis] = 0, 1, 2
        return flipped.transpose(order)


def find_plane_stack(grid: Grid, source: SourceSeries) -> PlaneStack:
    """Return the planes of the source where the grid samples them, else standard planes of the grid itself."""
    return _match(grid, source) or _standard(grid)


def _match(grid: Grid, source: SourceSeries) -> PlaneStack | None:
    if any("ImagePositionPatient" not in header or "PixelSpacing" not in header for header in source.headers):
        return None
    frame = _match_axes(grid, source)
    if frame is None:
        return None
    planes: dict[int, int] = {}
    for number, header in enumerate(source.headers):
        plane = _match_plane(frame, header)
        if plane is None or plane in planes:
            return None
        planes[plane] = number
    if sorted(planes) != list(range(grid.shape[frame.slice_axis])):
        return None
    return PlaneStack(
        slice_axis=frame.slice_axis, row_axis=frame.row_axis, column_axis=frame.column_axis,
        row_flipped=frame.row_flipped, column_flipped=frame.column_flipped, grid=grid,
        stored=tuple(planes[plane] for plane in range(len(planes))),
    )  # fmt: skip


def _match_axes(grid: Grid, source: SourceSeries) -> PlaneStack | None:
    """Find which grid axis, and which way, the stored rows and columns follow."""
    first = source.first
    cosines = np.array(first.ImageOrientationPatient, dtype=float).reshape(2, 3)
    spacing = np.array(first.PixelSpacing, dtype=float)
    rotation = grid.ijk_from_lps[:3, :3]
    next_column = rotation @ (cosines[0] * spacing[1])
    next_row = rotation @ (cosines[1] * spacing[0])
    axes = []
    for step, count in ((next_column, int(first.Columns)), (next_row, int(first.Rows))):
        axis = int(np.argmax(np.abs(step)))
        unit = np.zeros(3)
        unit[axis] = np.sign(step[axis])
        # The error grows along the row: the far end has to agree as well as the near one.
        if np.abs(step - unit).max() * count > SAME_VOXEL_TOLERANCE * 10 or grid.shape[axis] != count:
            return None
        axes.append((axis, bool(step[axis] < 0)))
    (column_axis, column_flipped), (row_axis, row_flipped) = axes
    if column_axis == row_axis:
        return None
    return PlaneStack(
        slice_axis=3 - row_axis - column_axis, row_axis=row_axis, column_axis=column_axis, row_flipped=row_flipped,
        column_flipped=column_flipped, grid=grid,
    )  # fmt: skip


def _match_plane(frame: PlaneStack, header: Any) -> int | None:
    """Return the slice index of a stored plane, or None where its first pixel lies on no expected grid point."""
    index = frame.grid.to_index(np.array(header.ImagePositionPatient, dtype=float))
    plane = round(float(index[frame.slice_axis]))
    expected = frame.grid.to_index(frame.find_position_lps_mm(plane))
    return plane if np.abs(index - expected).max() <= SAME_VOXEL_TOLERANCE * 5 else None


def _standard(grid: Grid) -> PlaneStack:
    """Return planes across the slice axis, rows and columns as a viewer expects them: left, back and feet last."""
    axes = [axis for axis in range(3) if axis != grid.slice_axis]
    directions = grid.directions
    # The axis closest to head-feet makes rows; between left-right and front-back, front-back does.
    row_axis = max(axes, key=lambda a: (abs(directions[2, a]) > 0.7, abs(directions[1, a])))
    column_axis = next(axis for axis in axes if axis != row_axis)
    main_row = int(np.argmax(np.abs(directions[:, row_axis])))
    main_column = int(np.argmax(np.abs(directions[:, column_axis])))
    toward_feet = -1.0 if main_row == 2 else 1.0
    return PlaneStack(
        slice_axis=grid.slice_axis, row_axis=row_axis, column_axis=column_axis,
        row_flipped=bool(directions[main_row, row_axis] * toward_feet < 0),
        column_flipped=bool(directions[main_column, column_axis] < 0), grid=grid,
    )  # fmt: skip
