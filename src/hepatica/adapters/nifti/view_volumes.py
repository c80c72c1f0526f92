"""Volumes for a viewer: CT, one map of labels, predicted spread, all on the scan's own grid, quick to unpack."""

from __future__ import annotations

import gzip
import math
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from hepatica.core.errors import SourceFormatError
from hepatica.core.geometry import Grid

RAS_FROM_LPS: Final = np.diag([-1.0, -1.0, 1.0, 1.0])
SCANNER: Final = 1
"""NIfTI transform code: coordinates of the scanner."""
LEVEL: Final = 1
"""Quick to pack; over a hospital's network the larger file costs less than the packing."""
PERCENT: Final = 100.0
MOST: Final = 1000
"""Label values of one file; more are an image."""
MOST_VOXELS: Final = 1 << 26
"""Voxels of a view: 512 x 512 x 256. A viewer keeps some ten bytes for each, and a browser has no more room."""
SLICE_MOST_MM: Final = 5.0
"""Slices are put together up to a thickness that radiologists read."""
GZIP_START: Final = b"\x1f\x8b"


class ViewVolumes:
    """Writes and reads what a viewer shows."""

    def to_volume(self, values: NDArray[Any], *, grid: Grid) -> bytes:
        """Return an image as gzipped NIfTI-1: 16-bit whole numbers where they hold it, else 32-bit floats.

        What is larger than a viewer can hold is pooled, as labels and spread are; see `choose_pooling`.

        Parameters
        ----------
        values
            (I, J, K) numbers on the grid.
        grid
            Grid in LPS.
        """
        factors = choose_pooling(grid)
        return to_view_nifti(to_small_type(pool_mean(values, factors)), grid=to_pooled_grid(grid, factors))

    def to_labels(self, values: NDArray[Any], *, grid: Grid) -> bytes:
        """Return a map of labels as gzipped NIfTI-1.

        Parameters
        ----------
        values
            (I, J, K) uint8 or uint16.
        grid
            Grid in LPS.
        """
        factors = choose_pooling(grid)
        return to_view_nifti(pool_middle(values, factors), grid=to_pooled_grid(grid, factors), intent="label")

    def to_spread(self, paths: Iterable[Path], *, grid: Grid) -> bytes:
        """Return several maps of probability as one on the scan's grid, in steps of one percent.

        Where two reach, the larger counts.

        Parameters
        ----------
        paths
            Gzipped NIfTI files of shares from 0 to 1, each on its own grid.
        grid
            Grid in LPS of the scan.
        """
        grid = to_pooled_grid(grid, choose_pooling(grid))
        percent = np.zeros(grid.shape, dtype=np.uint8, order="F")
        for path in paths:
            values, own = _read(path)
            box, here = resample_to(values, own, grid=grid)
            rounded = np.rint(np.clip(here, 0.0, 1.0) * PERCENT).astype(np.uint8)
            percent[box] = np.maximum(percent[box], rounded)
        return to_view_nifti(percent, grid=grid, slope=1.0 / PERCENT)


def choose_pooling(grid: Grid, *, most_voxels: int = MOST_VOXELS) -> tuple[int, int, int]:
    """Return how many voxels along i, j and k are shown as one: the finest axis first, until a viewer can hold them.

    Parameters
    ----------
    grid
        Grid of the scan.
    most_voxels
        Voxels that a viewer holds.

    Examples
    --------
    >>> thin = Grid.from_axes(shape=(512, 512, 1000), spacing_mm=(0.7, 0.7, 0.6), origin_lps_mm=(0, 0, 0))
    >>> choose_pooling(thin), choose_pooling(thin, most_voxels=1 << 30)
    ((1, 1, 4), (1, 1, 1))
    """
    factors = [1, 1, 1]
    while math.prod(-(-n // f) for n, f in zip(grid.shape, factors, strict=True)) > most_voxels:
        # The plane that was scanned keeps its pixels as long as slices can be put together.
        slices = grid.slice_axis
        thin = (factors[slices] + 1) * grid.spacing_mm[slices] <= SLICE_MOST_MM
        axis = slices if thin else int(np.argmin(np.array(factors) * grid.spacing_mm))
        factors[axis] += 1
    return factors[0], factors[1], factors[2]


def to_pooled_grid(grid: Grid, factors: tuple[int, int, int]) -> Grid:
    """Return the grid of pooled voxels; its first voxel begins where that of the grid begins.

    Parameters
    ----------
    grid
        Grid of the scan.
    factors
        From `choose_pooling`.
    """
    if factors == (1, 1, 1):
        return grid
    scale = np.diag([*map(float, factors), 1.0])
    scale[:3, 3] = (np.array(factors) - 1) / 2
    shape = tuple(-(-n // f) for n, f in zip(grid.shape, factors, strict=True))
    return replace(grid, shape=(shape[0], shape[1], shape[2]), lps_from_ijk=grid.lps_from_ijk @ scale)


def pool_mean(values: NDArray[Any], factors: tuple[int, int, int]) -> NDArray[Any]:
    """Return the means of pooled voxels, whole numbers where the values are; the last repeats at an end.

    Parameters
    ----------
    values
        (I, J, K) numbers.
    factors
        From `choose_pooling`.
    """
    for axis, factor in enumerate(factors):
        if factor == 1:
            continue
        total: NDArray[Any] = np.zeros((), dtype=np.int32 if values.dtype.kind in "iu" else np.float32)
        for step in range(factor):
            total = total + _take(values, axis, factor, step)
        pooled = total / np.float32(factor)
        values = np.rint(pooled).astype(values.dtype) if values.dtype.kind in "iu" else pooled
    return np.asarray(values)


def pool_middle(values: NDArray[Any], factors: tuple[int, int, int]) -> NDArray[Any]:
    """Return the value in the middle of pooled voxels: a label is never between two.

    Parameters
    ----------
    values
        (I, J, K) labels.
    factors
        From `choose_pooling`.
    """
    for axis, factor in enumerate(factors):
        if factor > 1:
            values = _take(values, axis, factor, factor // 2)
    return values


def _take(values: NDArray[Any], axis: int, factor: int, step: int) -> NDArray[Any]:
    count = values.shape[axis]
    index = np.minimum(np.arange(0, count, factor) + step, count - 1)
    return np.asarray(np.take(values, index, axis=axis))


def to_small_type(values: NDArray[Any]) -> NDArray[Any]:
    """Return an array as int16 where that changes nothing, otherwise as float32.

    Parameters
    ----------
    values
        Numbers.

    Examples
    --------
    >>> to_small_type(np.array([-1024.0, 70.0])).dtype, to_small_type(np.array([0.5])).dtype
    (dtype('int16'), dtype('float32'))
    """
    if values.dtype == np.int16:
        return values
    limits = np.iinfo(np.int16)
    if values.min() >= limits.min and values.max() <= limits.max:
        whole = values.astype(np.int16)
        if np.array_equal(whole, values):
            return whole
    return values.astype(np.float32)


def resample_to(
    values: NDArray[Any], own: Grid, *, grid: Grid
) -> tuple[tuple[slice, slice, slice], NDArray[np.float64]]:
    """Return the box of a grid that another grid reaches, and its values there, interpolated linearly.

    Parameters
    ----------
    values, own
        (I, J, K) numbers on their own grid.
    grid
        Grid to fill.
    """
    from scipy.ndimage import map_coordinates

    ends = np.array([[-0.5, n - 0.5] for n in own.shape])
    corners = np.array([[ends[0, a], ends[1, b], ends[2, c]] for a in (0, 1) for b in (0, 1) for c in (0, 1)])
    index = grid.to_index(own.to_lps_mm(corners))
    low = np.clip(np.floor(index.min(axis=0)).astype(int), 0, grid.shape)
    high = np.clip(np.ceil(index.max(axis=0)).astype(int) + 1, low, grid.shape)
    box = (slice(low[0], high[0]), slice(low[1], high[1]), slice(low[2], high[2]))
    axes = [np.arange(a, b) for a, b in zip(low, high, strict=True)]
    there = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1)
    inside = own.to_index(grid.to_lps_mm(there))
    found = map_coordinates(
        np.asarray(values, dtype=np.float64),
        np.moveaxis(inside, -1, 0),
        order=1,
        mode="grid-constant",
        cval=0.0,
    )
    return box, np.asarray(found, dtype=np.float64)


def to_view_nifti(values: NDArray[Any], *, grid: Grid, slope: float = 1.0, intent: str = "none") -> bytes:
    """Return an array as gzipped NIfTI-1 in its own type; equal values give equal bytes.

    Parameters
    ----------
    values
        (I, J, K) numbers of a type that NIfTI-1 knows.
    grid
        Grid in LPS; the file's transform is RAS, as the format asks.
    slope
        What a stored number is multiplied with.
    intent
        What the numbers are, in the format's words; viewers outline a ``label``.
    """
    import nibabel

    affine = RAS_FROM_LPS @ grid.lps_from_ijk
    header = nibabel.Nifti1Header()
    header.set_data_dtype(values.dtype)
    header.set_data_shape(values.shape)
    header.set_qform(affine, code=SCANNER)
    header.set_sform(affine, code=SCANNER)
    header.set_xyzt_units("mm")
    header.set_intent(intent)
    header.set_slope_inter(slope, 0.0)
    header["magic"] = b"n+1"
    header["vox_offset"] = header.single_vox_offset
    head = header.binaryblock.ljust(int(header.single_vox_offset), b"\0")
    return gzip.compress(head + values.tobytes(order="F"), compresslevel=LEVEL, mtime=0)


def list_label_values(path: Path) -> list[int]:
    """Return the label values of a NIfTI file, 0 left out.

    Parameters
    ----------
    path
        The file, gzipped or not.

    Raises
    ------
    SourceFormatError
        If it is no NIfTI, or holds no whole numbers from 0 up.
    """
    import nibabel
    from nibabel.filebasedimages import ImageFileError
    from nibabel.spatialimages import HeaderDataError
    from nibabel.wrapstruct import WrapStructError

    try:
        data = path.read_bytes()
        image = nibabel.Nifti1Image.from_bytes(gzip.decompress(data) if data[:2] == GZIP_START else data)
        values = np.asarray(image.dataobj)
        found = np.unique(values)
    except (OSError, EOFError, ValueError, ImageFileError, HeaderDataError, WrapStructError) as problem:
        raise _refuse_labels(type(problem).__name__) from problem
    if (
        values.ndim != 3
        or (found < 0).any()
        or not np.array_equal(found, np.rint(found))
        or len(found) > MOST
    ):
        raise _refuse_labels("something else")
    return [int(value) for value in found if value]


def _refuse_labels(given: str) -> SourceFormatError:
    return SourceFormatError(
        expected=f"a NIfTI map of labels: whole numbers from 0 up, at most {MOST} of them",
        given=given,
        where="labels",
        action="export a map of labels, not probabilities or the scan itself",
    )


def _read(path: Path) -> tuple[NDArray[Any], Grid]:
    import nibabel

    image = nibabel.Nifti1Image.from_bytes(gzip.decompress(path.read_bytes()))
    shape = (int(image.shape[0]), int(image.shape[1]), int(image.shape[2]))
    return np.asarray(image.dataobj), Grid(shape=shape, lps_from_ijk=RAS_FROM_LPS @ image.affine)
