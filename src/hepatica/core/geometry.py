"""Space: one world (LPS, millimetres, float64) and the grids that sample it.

Array axes follow the index order ``(i, j, k)``: ``values[i, j, k]`` lies at
``lps_from_ijk @ (i, j, k, 1)``. Voxel centres sit on integers.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hepatica.core.errors import FrameMismatchError, GeometryError, MissingGeometryError
from hepatica.core.units import ML_PER_MM3

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]

ORTHOGONALITY_TOLERANCE: Final = 1e-3
"""Largest cosine between two axes; DICOM direction cosines carry about six digits, tilt starts far above."""
SAME_POSITION_TOLERANCE_MM: Final = 0.01
"""Corners of two equal grids may differ by rounding in text headers, not by more."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Grid:
    """A regular grid of voxels in the world.

    Parameters
    ----------
    shape
        Number of voxels along i, j, k; each at least 1.
    lps_from_ijk
        (4, 4) affine from voxel index to LPS millimetres. Columns must be orthogonal: a sheared stack is
        resampled by the reader or refused.
    frame_of_reference
        DICOM Frame of Reference UID; None where the source declares none (NIfTI, some DICOM).
    slice_axis
        Axis (0, 1 or 2) that counts acquisition slices; diameters are measured in its planes.

    Raises
    ------
    MissingGeometryError, GeometryError

    Examples
    --------
    >>> grid = Grid.from_axes(shape=(4, 5, 6), spacing_mm=(0.7, 0.7, 5.0), origin_lps_mm=(0, 0, 0))
    >>> grid.to_lps_mm([1, 1, 1]).tolist()
    [0.7, 0.7, 5.0]
    """

    shape: tuple[int, int, int]
    lps_from_ijk: FloatArray
    frame_of_reference: str | None = None
    slice_axis: int = 2

    def __post_init__(self) -> None:
        """Validate and freeze the affine."""
        affine = np.array(self.lps_from_ijk, dtype=np.float64)
        if affine.shape != (4, 4) or not np.isfinite(affine).all():
            raise MissingGeometryError(
                expected="a finite 4 x 4 affine",
                given=f"shape {affine.shape}, finite {np.isfinite(affine).all()}",
            )
        if len(self.shape) != 3 or min(self.shape) < 1:
            raise GeometryError(expected="three axes of at least one voxel", given=f"shape {self.shape}")
        spacing = np.linalg.norm(affine[:3, :3], axis=0)
        if not (spacing > 0).all():
            raise MissingGeometryError(
                expected="voxel spacing above 0 mm on each axis", given=f"{spacing.tolist()}"
            )
        directions = affine[:3, :3] / spacing
        if np.abs(directions.T @ directions - np.eye(3)).max() > ORTHOGONALITY_TOLERANCE:
            raise GeometryError(
                expected="three orthogonal voxel axes",
                given=f"directions {directions.round(4).tolist()}",
                action="resample the sheared stack explicitly",
            )
        affine.setflags(write=False)
        object.__setattr__(self, "lps_from_ijk", affine)
        object.__setattr__(self, "shape", tuple(int(n) for n in self.shape))

    @classmethod
    def from_axes(
        cls,
        *,
        shape: tuple[int, int, int],
        spacing_mm: ArrayLike,
        origin_lps_mm: ArrayLike,
        directions: ArrayLike | None = None,
        frame_of_reference: str | None = None,
        slice_axis: int = 2,
    ) -> Grid:
        """Build from spacing (3,), origin (3,) and direction columns (3, 3); directions default to LPS axes."""
        columns = np.eye(3) if directions is None else np.asarray(directions, dtype=np.float64)
        affine = np.eye(4)
        affine[:3, :3] = columns * np.asarray(spacing_mm, dtype=np.float64)
        affine[:3, 3] = np.asarray(origin_lps_mm, dtype=np.float64)
        return cls(
            shape=shape, lps_from_ijk=affine, frame_of_reference=frame_of_reference, slice_axis=slice_axis
        )

    @cached_property
    def spacing_mm(self) -> FloatArray:
        """(3,) voxel spacing along i, j, k."""
        return np.asarray(np.linalg.norm(self.lps_from_ijk[:3, :3], axis=0), dtype=np.float64)

    @cached_property
    def directions(self) -> FloatArray:
        """(3, 3) unit direction of each axis, as columns, in LPS."""
        return np.asarray(self.lps_from_ijk[:3, :3] / self.spacing_mm)

    @cached_property
    def ijk_from_lps(self) -> FloatArray:
        """(4, 4) inverse affine."""
        return np.asarray(np.linalg.inv(self.lps_from_ijk), dtype=np.float64)

    @property
    def origin_lps_mm(self) -> FloatArray:
        """(3,) centre of voxel (0, 0, 0)."""
        return self.lps_from_ijk[:3, 3]

    @property
    def voxel_volume_ml(self) -> float:
        """Volume of one voxel."""
        return float(np.prod(self.spacing_mm)) * ML_PER_MM3

    @cached_property
    def bounds_lps_mm(self) -> FloatArray:
        """(2, 3) smallest and largest LPS coordinate of the voxel boxes' corners."""
        ends = np.array([[-0.5, n - 0.5] for n in self.shape])
        corners = np.array(
            [[ends[0, a], ends[1, b], ends[2, c]] for a in (0, 1) for b in (0, 1) for c in (0, 1)]
        )
        points = self.to_lps_mm(corners)
        return np.stack([points.min(axis=0), points.max(axis=0)])

    def to_lps_mm(self, index_ijk: ArrayLike) -> FloatArray:
        """Turn (..., 3) voxel indices into (..., 3) LPS points."""
        index = np.asarray(index_ijk, dtype=np.float64)
        return np.asarray(index @ self.lps_from_ijk[:3, :3].T + self.lps_from_ijk[:3, 3])

    def to_index(self, points_lps_mm: ArrayLike) -> FloatArray:
        """Turn (..., 3) LPS points into (..., 3) fractional voxel indices."""
        points = np.asarray(points_lps_mm, dtype=np.float64)
        return np.asarray(points @ self.ijk_from_lps[:3, :3].T + self.ijk_from_lps[:3, 3])

    def same_grid(self, other: Grid) -> bool:
        """Whether both grids sample the same points (frames are not compared)."""
        if self.shape != other.shape:
            return False
        last = np.array(
            [[0, 0, 0], np.array(self.shape) - 1, [self.shape[0] - 1, 0, 0], [0, self.shape[1] - 1, 0]]
        )
        return bool(np.abs(self.to_lps_mm(last) - other.to_lps_mm(last)).max() <= SAME_POSITION_TOLERANCE_MM)

    def require_same_frame(self, other: Grid, *, where: str) -> None:
        """Refuse to combine two grids whose declared frames differ.

        Raises
        ------
        FrameMismatchError
            If both declare a frame and the frames differ. An undeclared frame passes here; the label reader
            decides what else has to fit.
        """
        if None in (self.frame_of_reference, other.frame_of_reference):
            return
        if self.frame_of_reference != other.frame_of_reference:
            raise FrameMismatchError(
                expected=f"frame of reference {self.frame_of_reference}",
                given=f"{other.frame_of_reference}",
                where=where,
                action="register the two images first, or use labels drawn on this scan",
            )
