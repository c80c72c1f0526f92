"""Flat pictures through a volume: axial slices the radiologist's way, and the plane that holds a needle.

A `Plane` knows where each of its pixels lies in the world, so that pictures, outlines and needles drawn on
it agree to a fraction of a pixel whatever the orientation of the scan's grid.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hepatica.core.errors import GeometryError
from hepatica.core.geometry import BoolArray, FloatArray, Grid
from hepatica.imaging.mask import Mask
from hepatica.imaging.volume import Volume

PARALLEL_TOLERANCE: Final = 1e-6
"""Below this sine two directions count as parallel: at 200 mm the ends then differ by 0.0002 mm."""
AXIAL_COSINE: Final = 0.999
"""A slice normal this near to head-feet (within 2.6 degrees) makes an acquired slice an axial picture."""
HALF_LEVEL: Final = 0.5
"""A structure's edge lies where its interpolated membership is one half."""
PATIENT_LEFT_LPS: Final = np.array([1.0, 0.0, 0.0])
PATIENT_BACK_LPS: Final = np.array([0.0, 1.0, 0.0])
PATIENT_HEAD_LPS: Final = np.array([0.0, 0.0, 1.0])


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Plane:
    """A rectangle of square pixels in the world.

    Parameters
    ----------
    origin_lps_mm
        (3,) centre of pixel (row 0, column 0), the upper left one.
    right_lps, down_lps
        (3,) orthogonal unit vectors along growing column and growing row.
    pixel_mm
        Edge of a pixel.
    shape
        Rows, columns.

    Raises
    ------
    GeometryError
        If the axes are not orthogonal unit vectors or the size is not positive.

    Examples
    --------
    >>> plane = Plane(origin_lps_mm=np.zeros(3), right_lps=np.array([1.0, 0, 0]),
    ...               down_lps=np.array([0, 1.0, 0]), pixel_mm=0.5, shape=(10, 20))
    >>> plane.to_pixel([2.0, 1.0, 0.0]).tolist()
    [2.0, 4.0]
    """

    origin_lps_mm: FloatArray
    right_lps: FloatArray
    down_lps: FloatArray
    pixel_mm: float
    shape: tuple[int, int]

    def __post_init__(self) -> None:
        """Validate and freeze."""
        axes = np.stack([self.right_lps, self.down_lps])
        if np.abs(axes @ axes.T - np.eye(2)).max() > PARALLEL_TOLERANCE:
            raise GeometryError(expected="two orthogonal unit vectors", given=f"{axes.round(6).tolist()}")
        if not self.pixel_mm > 0 or min(self.shape) < 1:
            raise GeometryError(
                expected="a pixel above 0 mm and at least one row and column",
                given=f"{self.pixel_mm} mm, shape {self.shape}",
            )
        for name in ("origin_lps_mm", "right_lps", "down_lps"):
            array = np.array(getattr(self, name), dtype=np.float64)
            array.setflags(write=False)
            object.__setattr__(self, name, array)

    @property
    def normal_lps(self) -> FloatArray:
        """(3,) right x down: away from the viewer."""
        return np.cross(self.right_lps, self.down_lps)

    @property
    def size_mm(self) -> tuple[float, float]:
        """Height and width."""
        return self.shape[0] * self.pixel_mm, self.shape[1] * self.pixel_mm

    def to_pixel(self, points_lps_mm: ArrayLike) -> FloatArray:
        """Project (..., 3) points along the normal and return their (..., 2) fractional row and column."""
        offset = np.asarray(points_lps_mm, dtype=np.float64) - self.origin_lps_mm
        return np.stack([offset @ self.down_lps, offset @ self.right_lps], axis=-1) / self.pixel_mm

    def to_lps_mm(self, pixels: ArrayLike) -> FloatArray:
        """Turn (..., 2) rows and columns into (..., 3) points."""
        rows, columns = np.moveaxis(np.asarray(pixels, dtype=np.float64) * self.pixel_mm, -1, 0)
        return np.asarray(
            self.origin_lps_mm + rows[..., None] * self.down_lps + columns[..., None] * self.right_lps
        )

    def measure_distance_mm(self, points_lps_mm: ArrayLike) -> FloatArray:
        """Return the (...,) signed distances of points from the plane, positive away from the viewer."""
        return np.asarray(
            (np.asarray(points_lps_mm, dtype=np.float64) - self.origin_lps_mm) @ self.normal_lps
        )


def derive_axial_plane(grid: Grid, *, through_lps_mm: ArrayLike, pixel_mm: float, snap: bool = True) -> Plane:
    """Lay an axial picture over the whole width of a scan, patient right on its left, front at its top.

    Parameters
    ----------
    grid
        Grid of the scan, in any axis order and direction.
    through_lps_mm
        (3,) point the picture has to show.
    pixel_mm
        Edge of a pixel.
    snap
        Move to the nearest acquired slice where slices are axial, so that the picture is one that the scanner
        shows too.
    """
    point = np.asarray(through_lps_mm, dtype=np.float64)
    level_mm = float(point[2])
    axis = grid.slice_axis
    if snap and abs(grid.directions[2, axis]) >= AXIAL_COSINE:
        index = grid.to_index(point)
        index[axis] = np.clip(np.rint(index[axis]), 0, grid.shape[axis] - 1)
        level_mm = float(grid.to_lps_mm(index)[2])
    low, high = grid.bounds_lps_mm
    columns, rows = (max(1, round(float((high[a] - low[a]) / pixel_mm))) for a in (0, 1))
    origin = np.array([low[0] + pixel_mm / 2, low[1] + pixel_mm / 2, level_mm])
    return Plane(
        origin_lps_mm=origin,
        right_lps=PATIENT_LEFT_LPS,
        down_lps=PATIENT_BACK_LPS,
        pixel_mm=pixel_mm,
        shape=(rows, columns),
    )


def derive_needle_plane(
    entry_lps_mm: ArrayLike,
    tip_lps_mm: ArrayLike,
    *,
    pixel_mm: float,
    margin_mm: float = 40.0,
    aspect: float | None = None,
) -> Plane:
    """Lay a picture through a needle, in the plane that holds it and is closest to axial.

    Its normal is the head-feet axis made orthogonal to the needle. Patient right stays on the left and the
    front at the top. A needle along head-feet has no such plane: the coronal one is used, head at the top.

    Parameters
    ----------
    entry_lps_mm, tip_lps_mm
        (3,) ends of the needle.
    pixel_mm
        Edge of a pixel.
    margin_mm
        What is shown beyond the needle's ends on each side.
    aspect
        Width over height of the picture; the shorter side grows to meet it. None for the tightest fit.

    Raises
    ------
    GeometryError
        If the needle has no length.
    """
    entry, tip = (np.asarray(end, dtype=np.float64) for end in (entry_lps_mm, tip_lps_mm))
    length = float(np.linalg.norm(tip - entry))
    if not length > 0:
        raise GeometryError(expected="a needle longer than 0 mm", given=f"{length} mm")
    right, down = _derive_needle_axes((tip - entry) / length)
    ends = np.stack([entry, tip])
    across, along = ends @ right, ends @ down
    width, height = float(np.ptp(across)) + 2 * margin_mm, float(np.ptp(along)) + 2 * margin_mm
    if aspect is not None:
        width, height = max(width, height * aspect), max(height, width / aspect)
    rows, columns = (max(1, round(size / pixel_mm)) for size in (height, width))
    middle = (entry + tip) / 2
    origin = middle - right * pixel_mm * (columns - 1) / 2 - down * pixel_mm * (rows - 1) / 2
    return Plane(
        origin_lps_mm=origin, right_lps=right, down_lps=down, pixel_mm=pixel_mm, shape=(rows, columns)
    )


def crop_plane(plane: Plane, *, centre_lps_mm: ArrayLike, height_mm: float, width_mm: float) -> Plane:
    """Cut a window of a given size, centred on a point's projection, on the same lattice of pixels."""
    rows, columns = (max(1, round(size / plane.pixel_mm)) for size in (height_mm, width_mm))
    centre = np.rint(plane.to_pixel(centre_lps_mm) - np.array([rows - 1, columns - 1]) / 2)
    return Plane(
        origin_lps_mm=plane.to_lps_mm(centre),
        right_lps=plane.right_lps,
        down_lps=plane.down_lps,
        pixel_mm=plane.pixel_mm,
        shape=(rows, columns),
    )


def sample_volume(volume: Volume, plane: Plane, *, outside: float = -1000.0) -> NDArray[np.float32]:
    """Return the (rows, columns) trilinear values of an image on a plane; ``outside`` where the scan ends."""
    index = _index_on_plane(volume.grid, plane)
    picture = _interpolate(volume.values, index)
    picture[~_inside(index, volume.grid.shape)] = outside
    return picture


def sample_mask(mask: Mask, plane: Plane) -> NDArray[np.float32]:
    """Return the (rows, columns) membership of a structure on a plane, 0 to 1, for `trace_outlines`."""
    padded = np.pad(mask.crop, 1).astype(np.float32)
    index = (
        _index_on_plane(mask.grid, plane)
        - (np.asarray(mask.start_ijk, dtype=np.float64) - 1.0)[:, None, None]
    )
    picture = _interpolate(padded, index)
    picture[~_inside(index, padded.shape)] = 0.0
    return picture


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CornerSamples:
    """The eight voxels around each pixel of a plane, from which any number of structures are interpolated.

    Parameters
    ----------
    values
        (8, rows, columns) labels or bits of the surrounding voxels; 0 where the scan ends.
    weights
        (8, rows, columns) trilinear weights, summing to 1.
    """

    values: NDArray[Any]
    weights: NDArray[np.float32]


def sample_corners(labels: NDArray[Any], grid: Grid, plane: Plane) -> CornerSamples:
    """Read the voxels around each pixel of a plane from a whole-grid (I, J, K) array of bits, once."""
    index = _index_on_plane(grid, plane)
    size = np.asarray(grid.shape)[:, None, None]
    base = np.floor(index).astype(np.int64)
    part = (index - base).astype(np.float32)
    outside = ~_inside(index, grid.shape)
    values, weights = [], []
    for corner in np.ndindex(2, 2, 2):
        step = np.array(corner)[:, None, None]
        i, j, k = np.clip(base + step, 0, size - 1)
        value = labels[i, j, k]
        value[outside] = 0
        values.append(value)
        weights.append(np.prod(np.where(step == 1, part, 1 - part), axis=0))
    return CornerSamples(values=np.stack(values), weights=np.stack(weights))


def measure_membership(samples: CornerSamples, wanted_bits: int) -> NDArray[np.float32]:
    """Return the (rows, columns) membership, 0 to 1, of the structures of some bits, for `trace_outlines`."""
    hit = (samples.values & samples.values.dtype.type(wanted_bits)) != 0
    return np.asarray((samples.weights * hit).sum(axis=0), dtype=np.float32)


def trace_outlines(membership: NDArray[np.float32]) -> tuple[FloatArray, ...]:
    """Return the half-level outlines of a membership picture, each as (n, 2) rows and columns.

    Outlines that meet the picture's edge are left open there.
    """
    from skimage.measure import find_contours

    if min(membership.shape) < 2:
        return ()
    lines = find_contours(membership, HALF_LEVEL)  # type: ignore[no-untyped-call]
    return tuple(np.asarray(line, dtype=np.float64) for line in lines)


def derive_edge_letters(plane: Plane) -> dict[str, str]:
    """Return the patient direction (R L A P H F, two letters if oblique) at each edge of a picture.

    Keys are ``left``, ``right``, ``top`` and ``bottom``.
    """
    return {
        "left": name_direction(-plane.right_lps),
        "right": name_direction(plane.right_lps),
        "top": name_direction(-plane.down_lps),
        "bottom": name_direction(plane.down_lps),
    }


SECOND_LETTER_COSINE: Final = 0.26
"""A second letter is printed from 15 degrees of obliquity on, where it begins to matter for orientation."""


def name_direction(direction_lps: FloatArray) -> str:
    """Return the letters (R L A P H F) of a (3,) unit direction, strongest first, two where oblique."""
    letters = ("RL", "AP", "FH")
    order = np.argsort(-np.abs(direction_lps), kind="stable")
    name = ""
    for place, axis in enumerate(order[:2]):
        if place == 0 or abs(direction_lps[axis]) >= SECOND_LETTER_COSINE:
            name += letters[axis][int(direction_lps[axis] > 0)]
    return name


def _derive_needle_axes(direction_lps: FloatArray) -> tuple[FloatArray, FloatArray]:
    normal = PATIENT_HEAD_LPS - direction_lps[2] * direction_lps
    size = float(np.linalg.norm(normal))
    if size < PARALLEL_TOLERANCE:
        return PATIENT_LEFT_LPS, -PATIENT_HEAD_LPS
    normal = normal / size
    right = PATIENT_LEFT_LPS - (PATIENT_LEFT_LPS @ normal) * normal
    right = right / np.linalg.norm(right)
    return right, np.cross(normal, right)


def _index_on_plane(grid: Grid, plane: Plane) -> FloatArray:
    """(3, rows, columns) fractional voxel index of every pixel centre."""
    start = grid.to_index(plane.origin_lps_mm)
    step_row = grid.ijk_from_lps[:3, :3] @ (plane.down_lps * plane.pixel_mm)
    step_column = grid.ijk_from_lps[:3, :3] @ (plane.right_lps * plane.pixel_mm)
    rows, columns = (np.arange(n, dtype=np.float64) for n in plane.shape)
    return np.asarray(
        start[:, None, None]
        + step_row[:, None, None] * rows[None, :, None]
        + step_column[:, None, None] * columns
    )


def _interpolate(values: NDArray[Any], index: FloatArray) -> NDArray[np.float32]:
    from scipy.ndimage import map_coordinates

    return np.asarray(map_coordinates(values, index, order=1, mode="nearest", output=np.float32))


def _inside(index: FloatArray, shape: tuple[int, ...]) -> BoolArray:
    size = np.asarray(shape, dtype=np.float64)[:, None, None]
    return np.asarray(((index >= -0.5) & (index <= size - 0.5)).all(axis=0))
