"""Which stored image plane each slice of a grid is: found through positions in space, never by index."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from hepatica.adapters.dicom.source_headers import SourceSeries
from hepatica.core.geometry import FloatArray, Grid
from hepatica.workflows.ports import ReadImage

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

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
        Whether the planes are those of the source, pixel for pixel.
    """

    slice_axis: int
    row_axis: int
    column_axis: int
    row_flipped: bool
    column_flipped: bool
    grid: Grid
    stored: bool = False

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
        """View a (plane, row, column) array as (i, j, k); writing to the view fills the planes."""
        flipped = planes[:, :: -1 if self.row_flipped else 1, :: -1 if self.column_flipped else 1]
        order = [0, 0, 0]
        order[self.slice_axis], order[self.row_axis], order[self.column_axis] = 0, 1, 2
        return flipped.transpose(order)


def find_planned_planes(image: ReadImage, source: SourceSeries) -> tuple[SourceSeries, PlaneStack]:
    """Find the stored planes of a plan's grid.

    Parameters
    ----------
    image
        The scan as read: its grid, and the instance number of each slice where known.
    source
        Headers of its series.

    Returns
    -------
    source, stack
        The headers of the planes, one for each slice and in the order of the slice axis, with
        ``stack.stored``. Where the grid does not sample the stored planes (a resampled stack, a multi-frame
        image) all headers, and standard planes of the grid itself.
    """
    grid = image.volume.grid
    usable = [h for h in source.headers if "ImagePositionPatient" in h and "PixelSpacing" in h]
    # A localizer in the same series has its own orientation, spacing or size.
    for first in {_get_geometry(header): header for header in reversed(usable)}.values():
        alike = [header for header in usable if _get_geometry(header) == _get_geometry(first)]
        stack = _match_axes(grid, first)
        planes = None if stack is None else _match_planes(stack, alike, image.facts.instance_numbers)
        if stack is not None and planes is not None:
            return replace(source, headers=planes), replace(stack, stored=True)
    return source, _standard(grid)


def _get_geometry(header: Dataset) -> tuple[Any, ...]:
    cosines = tuple(round(float(c), 4) for c in header.ImageOrientationPatient)
    spacing = tuple(round(float(c), 4) for c in header.PixelSpacing)
    return cosines, spacing, int(header.Rows), int(header.Columns)


def _match_planes(
    stack: PlaneStack, headers: Sequence[Dataset], instance_numbers: Sequence[int]
) -> tuple[Dataset, ...] | None:
    """Return the header of each slice, or None where one has none or two that cannot be told apart."""
    candidates: dict[int, list[Dataset]] = {}
    for header in headers:
        plane = _match_plane(stack, header)
        if plane is not None:
            candidates.setdefault(plane, []).append(header)
    chosen = []
    for plane in range(stack.grid.shape[stack.slice_axis]):
        here = candidates.get(plane, [])
        if len(here) > 1 and plane < len(instance_numbers):
            here = [h for h in here if int(h.get("InstanceNumber") or 0) == instance_numbers[plane]]
        if len(here) != 1:
            return None
        chosen.append(here[0])
    return tuple(chosen)


def _match_axes(grid: Grid, first: Dataset) -> PlaneStack | None:
    """Find which grid axis, and which way, the stored rows and columns follow."""
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
        slice_axis=3 - row_axis - column_axis,
        row_axis=row_axis,
        column_axis=column_axis,
        row_flipped=row_flipped,
        column_flipped=column_flipped,
        grid=grid,
    )


def _match_plane(frame: PlaneStack, header: Dataset) -> int | None:
    """Return the slice index of a stored plane, or None where its first pixel lies on no grid point."""
    index = frame.grid.to_index(np.array(header.ImagePositionPatient, dtype=float))
    plane = round(float(index[frame.slice_axis]))
    expected = frame.grid.to_index(frame.find_position_lps_mm(plane))
    return plane if np.abs(index - expected).max() <= SAME_VOXEL_TOLERANCE * 5 else None


def _standard(grid: Grid) -> PlaneStack:
    """Return planes across the slice axis, turned as a viewer expects them: left, back and feet last."""
    axes = [axis for axis in range(3) if axis != grid.slice_axis]
    directions = grid.directions
    # The axis closest to head-feet makes rows; between left-right and front-back, front-back does.
    row_axis = max(axes, key=lambda a: (abs(directions[2, a]) > 0.7, abs(directions[1, a])))
    column_axis = next(axis for axis in axes if axis != row_axis)
    main_row = int(np.argmax(np.abs(directions[:, row_axis])))
    main_column = int(np.argmax(np.abs(directions[:, column_axis])))
    toward_feet = -1.0 if main_row == 2 else 1.0
    return PlaneStack(
        slice_axis=grid.slice_axis,
        row_axis=row_axis,
        column_axis=column_axis,
        row_flipped=bool(directions[main_row, row_axis] * toward_feet < 0),
        column_flipped=bool(directions[main_column, column_axis] < 0),
        grid=grid,
    )
