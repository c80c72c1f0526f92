"""From grid to grid, always through the world: nearest for labels, linear for images."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hepatica.core.errors import GeometryError
from hepatica.core.geometry import ORTHOGONALITY_TOLERANCE, SAME_POSITION_TOLERANCE_MM, FloatArray, Grid
from hepatica.imaging.mask import Mask, Slices
from hepatica.imaging.volume import Volume

INDEX_DIGITS: Final = 6
"""Indices are rounded to this first, so that rounding noise cannot decide which voxel is nearest."""
ALIGNED_TOLERANCE_VOXELS: Final = 1e-3
"""Axes count as parallel where the turn moves no voxel of the target by more than this."""


def resample_labels(labels: NDArray[Any], *, source: Grid, target: Grid) -> NDArray[Any]:
    """Return the label value of the nearest source voxel for each target voxel; 0 outside the source.

    Parameters
    ----------
    labels
        (I, J, K) integer or boolean array on ``source``.
    source, target
        Grids; frames must agree where both declare one.

    Raises
    ------
    FrameMismatchError, GeometryError
    """
    source.require_same_frame(target, where="label resampling")
    _require_shape(labels, source)
    everything = _whole(target.shape)
    return _nearest(labels, index_from_index=_index_from_index(source.lps_from_ijk, target), box=everything)


def resample_mask(mask: Mask, *, target: Grid) -> Mask | None:
    """Return a mask on another grid by nearest voxel, or None where no target voxel is hit.

    Raises
    ------
    FrameMismatchError
        If both grids declare a frame and the frames differ.
    """
    mask.grid.require_same_frame(target, where="mask resampling")
    if mask.grid.same_grid(target):
        return Mask(grid=target, start_ijk=mask.start_ijk, crop=mask.crop)
    box = _target_box(mask, target)
    if box is None:
        return None
    matrix = _index_from_index(mask.grid.lps_from_ijk, target)
    matrix[:3, 3] -= np.array(mask.start_ijk)
    part = _nearest(mask.crop, index_from_index=matrix, box=box)
    if not part.any():
        return None
    full = np.zeros(target.shape, dtype=bool, order="F")
    full[box] = part
    return Mask.from_full(full, grid=target)


def resample_volume(volume: Volume, *, target: Grid, fill: float) -> Volume:
    """Return an image on another grid by linear interpolation.

    Parameters
    ----------
    volume
        The image.
    target
        Grid to fill; frames must agree where both declare one.
    fill
        Value for voxels whose centre lies outside the source's voxel boxes, for example -1024 HU.

    Raises
    ------
    FrameMismatchError
    """
    volume.grid.require_same_frame(target, where="image resampling")
    values = resample_array(volume.values, lps_from_ijk=volume.grid.lps_from_ijk, target=target, fill=fill)
    return Volume(values=values, grid=target, modality=volume.modality)


def resample_array(
    values: NDArray[Any], *, lps_from_ijk: ArrayLike, target: Grid, fill: float
) -> NDArray[Any]:
    """Interpolate an array of any affine, also a sheared one, linearly onto a grid.

    Between the outermost voxel centres and the faces of their boxes the edge value is kept; beyond is
    ``fill``.
    Integer arrays come back rounded in their own type.
    """
    from scipy import ndimage

    matrix = _index_from_index(np.asarray(lps_from_ijk, dtype=np.float64), target)
    result = ndimage.affine_transform(
        np.asarray(values, dtype=np.float32).T,
        matrix[2::-1, 2::-1],
        offset=matrix[2::-1, 3],
        output_shape=target.shape[::-1],
        order=1,
        mode="nearest",
    ).T
    for k in range(target.shape[2]):
        outside = _outside(matrix, shape=values.shape, target_shape=target.shape, k=k)
        result[:, :, k][outside] = fill
    if np.issubdtype(values.dtype, np.integer):
        limits = np.iinfo(values.dtype)
        np.rint(result, out=result)
        result = np.clip(result, limits.min, limits.max).astype(values.dtype)
    return np.asfortranarray(result)


def derive_unsheared_grid(lps_from_ijk: ArrayLike, *, shape: tuple[int, ...], slice_axis: int) -> Grid:
    """Derive an orthogonal grid that holds a sheared stack whole.

    The in-plane axes stay; slices keep their distance along the normal; the plane grows until every slice
    fits.

    Parameters
    ----------
    lps_from_ijk
        (4, 4) sheared affine.
    shape
        (3,) shape of the stored array.
    slice_axis
        Axis along which slices are stacked.

    Raises
    ------
    GeometryError
        If the two in-plane axes themselves are not perpendicular.
    """
    affine = np.asarray(lps_from_ijk, dtype=np.float64)
    plane = [axis for axis in range(3) if axis != slice_axis]
    spacing = np.linalg.norm(affine[:3, :3], axis=0)
    first, second = (affine[:3, axis] / spacing[axis] for axis in plane)
    if abs(float(first @ second)) > ORTHOGONALITY_TOLERANCE:
        raise GeometryError(
            expected="perpendicular rows and columns",
            given=f"a cosine of {float(first @ second):.4f}",
            action="export the original series",
        )
    step = affine[:3, slice_axis]
    normal = np.cross(first, second)
    normal *= np.sign(normal @ step) / np.linalg.norm(normal)
    new_shape, columns, origin = list(shape), np.zeros((3, 3)), affine[:3, 3].copy()
    columns[:, slice_axis] = normal * float(normal @ step)
    for axis, direction in zip(plane, (first, second), strict=True):
        drift = float(direction @ step) * (shape[slice_axis] - 1) / spacing[axis]
        low, high = int(np.floor(min(drift, 0.0))), int(np.ceil(max(drift, 0.0)))
        new_shape[axis] += high - low
        columns[:, axis] = affine[:3, axis]
        origin += affine[:3, axis] * low
    target = np.eye(4)
    target[:3, :3], target[:3, 3] = columns, origin
    return Grid(shape=(new_shape[0], new_shape[1], new_shape[2]), lps_from_ijk=target, slice_axis=slice_axis)


def measure_inside_fraction(mask: Mask, *, target: Grid) -> float:
    """Measure which share (0 to 1) of a mask's voxel centres lies inside the boxes of another grid."""
    index = target.to_index(mask.grid.to_lps_mm(mask.index_ijk()))
    inside = ((index >= -0.5) & (index <= np.array(target.shape) - 0.5)).all(axis=1)
    return float(inside.mean())


def share_lattice(first: Grid, second: Grid) -> bool:
    """Whether voxel centres of both grids fall on each other where the grids overlap, axis by axis."""
    matrix = _index_from_index(first.lps_from_ijk, second)
    drift = np.abs(matrix[:3, :3] - np.eye(3)) @ np.array(second.shape)
    start = matrix[:3, 3]
    tolerance = SAME_POSITION_TOLERANCE_MM / first.spacing_mm
    return bool((drift <= tolerance).all() and (np.abs(start - np.rint(start)) <= tolerance).all())


def _require_shape(values: NDArray[Any], grid: Grid) -> None:
    if values.shape != grid.shape:
        raise GeometryError(expected=f"an array of shape {grid.shape}", given=f"{values.shape}")


def _index_from_index(source_affine: FloatArray, target: Grid) -> FloatArray:
    return np.asarray(np.linalg.inv(source_affine) @ target.lps_from_ijk)


def _whole(shape: tuple[int, int, int]) -> Slices:
    return slice(0, shape[0]), slice(0, shape[1]), slice(0, shape[2])


def _target_box(mask: Mask, target: Grid) -> Slices | None:
    start = np.array(mask.start_ijk) - 0.5
    ends = np.stack([start, start + np.array(mask.crop.shape)])
    corners = np.array([[ends[a, 0], ends[b, 1], ends[c, 2]] for a in (0, 1) for b in (0, 1) for c in (0, 1)])
    index = target.to_index(mask.grid.to_lps_mm(corners))
    low = np.maximum(np.floor(index.min(axis=0)).astype(int), 0)
    high = np.minimum(np.ceil(index.max(axis=0)).astype(int) + 1, target.shape)
    if (low >= high).any():
        return None
    return slice(low[0], high[0]), slice(low[1], high[1]), slice(low[2], high[2])


def _nearest(values: NDArray[Any], *, index_from_index: FloatArray, box: Slices) -> NDArray[Any]:
    matrix = np.array(index_from_index)
    matrix[:3, 3] += matrix[:3, :3] @ np.array([part.start for part in box])
    shape = tuple(part.stop - part.start for part in box)
    axes = _aligned_axes(matrix, shape)
    if axes is not None:
        return _nearest_aligned(values, matrix=matrix, shape=shape, axes=axes)
    from scipy import ndimage

    return np.asfortranarray(
        ndimage.affine_transform(
            values.astype(np.uint8).T if values.dtype == bool else values.T,
            matrix[2::-1, 2::-1],
            offset=matrix[2::-1, 3],
            output_shape=shape[::-1],
            order=0,
            mode="grid-constant",
            cval=0,
        ).T.astype(values.dtype)
    )


def _aligned_axes(matrix: FloatArray, shape: tuple[int, ...]) -> tuple[int, ...] | None:
    """Return for each source axis the only target axis that moves it, or None where axes are turned."""
    moves = np.abs(matrix[:3, :3]) * np.array(shape)
    axes = np.argmax(np.abs(matrix[:3, :3]), axis=1)
    rest = moves.copy()
    rest[np.arange(3), axes] = 0
    if len(set(axes.tolist())) < 3 or rest.max() > ALIGNED_TOLERANCE_VOXELS:
        return None
    return tuple(int(axis) for axis in axes)


def _nearest_aligned(
    values: NDArray[Any], *, matrix: FloatArray, shape: tuple[int, ...], axes: tuple[int, ...]
) -> NDArray[Any]:
    result = np.zeros(shape, dtype=values.dtype, order="F")
    targets, sources = [slice(0, 0)] * 3, []
    for source_axis, target_axis in enumerate(axes):
        steps = np.arange(shape[target_axis])
        index = matrix[source_axis, target_axis] * steps + matrix[source_axis, 3]
        nearest = np.floor(np.round(index, INDEX_DIGITS) + 0.5).astype(int)
        valid = np.flatnonzero((nearest >= 0) & (nearest < values.shape[source_axis]))
        if valid.size == 0:
            return result
        targets[target_axis] = slice(int(valid[0]), int(valid[-1]) + 1)
        sources.append(nearest[valid])
    order = tuple(int(axis) for axis in np.argsort(axes))
    result[tuple(targets)] = values[np.ix_(*sources)].transpose(order)
    return result


def _outside(
    matrix: FloatArray, *, shape: tuple[int, ...], target_shape: tuple[int, int, int], k: int
) -> NDArray[np.bool_]:
    i, j = np.arange(target_shape[0])[:, None], np.arange(target_shape[1])[None, :]
    outside = np.zeros(target_shape[:2], dtype=bool)
    for axis in range(3):
        index = matrix[axis, 0] * i + matrix[axis, 1] * j + (matrix[axis, 2] * k + matrix[axis, 3])
        index = np.round(index, INDEX_DIGITS)
        outside |= (index < -0.5) | (index > shape[axis] - 0.5)
    return outside
