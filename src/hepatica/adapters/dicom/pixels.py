"""Pixel data of one image plane, decoded and in modality units."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from hepatica.adapters.dicom.headers import quiet_pydicom, to_numbers
from hepatica.core.errors import NonFiniteError, SourceFormatError, TooLargeError, refuse_unreadable

MAX_PLANE_PIXELS: Final = 4096 * 4096
"""Detector matrices end at 1024 or 2048; four times that is no tomographic plane."""
MAX_VOXELS: Final = 1_500_000_000
"""More than 5000 planes of 512 x 512; the array alone would take 3 GB."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Plane:
    """One decoded plane: (rows, columns) values and the padding value, both in modality units."""

    values: NDArray[Any]
    padding: float | None


def require_plane_size(rows: int, columns: int, *, frames: int, where: str) -> None:
    """Refuse headers that announce more than a scan can hold, before anything is allocated.

    Raises
    ------
    SourceFormatError
        If there are no rows or columns.
    TooLargeError
        If one plane or the whole stack is too large.
    """
    if rows < 1 or columns < 1:
        raise SourceFormatError(
            expected="Rows (0028,0010) and Columns (0028,0011) above 0",
            given=f"{rows} x {columns}",
            where=where,
        )
    if rows * columns > MAX_PLANE_PIXELS or rows * columns * frames > MAX_VOXELS:
        raise TooLargeError(
            expected=f"at most {MAX_PLANE_PIXELS} pixels a plane and {MAX_VOXELS} voxels",
            given=f"{rows} x {columns} x {frames}",
            where=where,
            action="check the header; export the series again",
        )


def decode_stored(dataset: Any, *, frame: int | None, where: str) -> NDArray[Any]:
    """Decode the stored values of one plane: (rows, columns).

    Raises
    ------
    SourceFormatError
        If pixel data are missing, truncated, damaged, or in colour.
    TooLargeError
        If the header announces too much.
    """
    with refuse_unreadable(expected="readable Rows, Columns and NumberOfFrames", where=where):
        rows, columns = int(dataset.get("Rows") or 0), int(dataset.get("Columns") or 0)
        frames = max(1, int(dataset.get("NumberOfFrames") or 1))
        samples = int(dataset.get("SamplesPerPixel") or 1)
    require_plane_size(rows, columns, frames=frames, where=where)
    if samples != 1:
        raise SourceFormatError(expected="one value for each pixel", given="a colour image", where=where)
    from pydicom.pixels.utils import pixel_array

    expected = f"complete pixel data of {rows} x {columns} x {frames}"
    if "PixelData" not in dataset:
        raise SourceFormatError(
            expected=expected, given="none", where=where, action="export the series again"
        )
    with quiet_pydicom(), refuse_unreadable(expected=expected, where=where, action="export the series again"):
        _require_transfer_syntax(dataset)
        if int(dataset.get("BitsAllocated") or 0) == 1 and not _is_compressed(dataset):
            pixels = _decode_bits(dataset, rows * columns, frame=frame or 0).reshape(rows, columns)
        else:
            pixels = pixel_array(dataset, index=frame if frame is not None else 0, raw=False)
    if pixels.shape != (rows, columns):
        raise SourceFormatError(expected=expected, given=f"an array of shape {pixels.shape}", where=where)
    return pixels


def _is_compressed(dataset: Any) -> bool:
    return bool(dataset.file_meta.TransferSyntaxUID.is_encapsulated)


def _decode_bits(dataset: Any, count: int, *, frame: int) -> NDArray[np.uint8]:
    """Return one frame of single bits: frames follow each other without a gap, also within a byte (PS3.5 8.1.1)."""
    first = frame * count
    data = np.frombuffer(dataset.PixelData, dtype=np.uint8)[first // 8 : (first + count + 7) // 8]
    return np.unpackbits(data, bitorder="little")[first % 8 :][:count]


def _require_transfer_syntax(dataset: Any) -> None:
    """Give files without a file meta group the transfer syntax they were parsed with."""
    from pydicom.dataset import FileMetaDataset
    from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian

    if getattr(dataset, "file_meta", None) is None:
        dataset.file_meta = FileMetaDataset()
    if "TransferSyntaxUID" not in dataset.file_meta:
        implicit = dataset.original_encoding[0]
        dataset.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian if implicit else ExplicitVRLittleEndian


def decode_plane(dataset: Any, *, frame: int | None, where: str) -> Plane:
    """Decode one plane and apply its own rescale slope and intercept.

    Raises
    ------
    SourceFormatError
        As `decode_stored`; also where a CT has no rescale values, since its numbers would mean nothing.
    """
    stored = decode_stored(dataset, frame=frame, where=where)
    # Elements are parsed when asked for, so damage may only show here.
    with refuse_unreadable(expected="readable rescale and padding values", where=where):
        slope, intercept = _find_rescale(dataset, frame=frame, where=where)
        raw = _find_padding(dataset, stored)
    padding = None if raw is None else raw * slope + intercept
    if slope == 1.0 and intercept == int(intercept) and abs(intercept) < 1 << 30:
        return Plane(
            values=stored.astype(np.int64 if stored.itemsize > 2 else np.int32) + int(intercept),
            padding=padding,
        )
    values = stored.astype(np.float64) * slope + intercept
    if np.abs(values).max() > np.finfo(np.float32).max:
        raise NonFiniteError(expected="values within single precision", given="overflow", where=where)
    return Plane(values=values.astype(np.float32), padding=padding)


def _find_rescale(dataset: Any, *, frame: int | None, where: str) -> tuple[float, float]:
    source = dataset
    if frame is not None:
        groups = [dataset.PerFrameFunctionalGroupsSequence[frame]]
        groups.extend(dataset.get("SharedFunctionalGroupsSequence") or [])
        for group in groups:
            items = group.get("PixelValueTransformationSequence")
            if items:
                source = items[0]
                break
    slope, intercept = to_numbers(source, "RescaleSlope", 1), to_numbers(source, "RescaleIntercept", 1)
    if slope is None or intercept is None:
        present = "RescaleSlope" in source or "RescaleIntercept" in source
        if str(dataset.get("Modality", "")).upper() == "CT" or present:
            raise SourceFormatError(
                expected="Rescale Slope (0028,1053) and Intercept (0028,1052), without which CT is no HU",
                given="absent or unreadable",
                where=where,
                action="export the original series",
            )
        return 1.0, 0.0
    if slope[0] == 0:
        raise NonFiniteError(expected="a Rescale Slope other than 0", given="0", where=where)
    return slope[0], intercept[0]


def _find_padding(dataset: Any, stored: NDArray[Any]) -> int | None:
    """Read the padding value in the pixels' own signedness: explicit files often write 63536 for -2000."""
    try:
        value = int(dataset.get("PixelPaddingValue"))
    except (TypeError, ValueError):
        return None
    bits = stored.dtype.itemsize * 8
    if np.issubdtype(stored.dtype, np.signedinteger) and value >= 1 << (bits - 1):
        value -= 1 << bits
    if np.issubdtype(stored.dtype, np.unsignedinteger) and value < 0:
        value += 1 << bits
    return value
