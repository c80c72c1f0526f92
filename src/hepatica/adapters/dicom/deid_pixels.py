"""Pixel data without anything beside the pixels: no comments in a compressed stream, no bytes after the last pixel."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from hepatica.core.errors import refuse_unreadable

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

_BITS: Final = {"FloatPixelData": 32, "DoubleFloatPixelData": 64}


def settle_pixels(dataset: Dataset, *, where: str) -> None:
    """Decompress pixel data, cut what follows the last pixel, and clear overlays in unused bits.

    A compressed stream has places for comments; decoded, nothing but pixels is left.

    Parameters
    ----------
    dataset
        As read; changed in place.
    where
        Position of the file, for refusals.

    Raises
    ------
    SourceFormatError
        If the pixels cannot be decoded or are too few.
    """
    keyword = next((name for name in ("PixelData", *_BITS) if name in dataset), None)
    if keyword is None:
        return
    with refuse_unreadable(expected="pixel data that can be decoded", where=where):
        syntax = dataset.file_meta.TransferSyntaxUID if "TransferSyntaxUID" in dataset.file_meta else None
        if syntax is not None and syntax.is_encapsulated:
            dataset.decompress(generate_instance_uid=False)
        element = dataset[keyword]
        if syntax is not None and not syntax.is_little_endian:
            element.value = _swap(element.value, int(dataset.BitsAllocated))
        length = measure_length(dataset, bits=_BITS.get(keyword) or int(dataset.BitsAllocated))
        if len(element.value) < length:
            raise ValueError("too few pixels")
        if keyword == "PixelData" and _has_embedded_overlay(dataset):
            element.value = _clear_unused_bits(dataset, element.value[:length])
        element.value = element.value[:length] + bytes(length % 2)
        if element.VR not in ("OB", "OW", "OF", "OD"):
            element.VR = "OB" if int(dataset.BitsAllocated) <= 8 else "OW"


def measure_length(dataset: Dataset, *, bits: int) -> int:
    """Return the bytes that the pixels take.

    Parameters
    ----------
    dataset
        With rows, columns, samples and frames.
    bits
        Of one sample.
    """
    samples = int(dataset.get("SamplesPerPixel") or 1)
    frames = max(1, int(dataset.get("NumberOfFrames") or 1))
    pixels = int(dataset.Rows) * int(dataset.Columns) * frames * samples
    photometric = str(dataset.get("PhotometricInterpretation", ""))
    if photometric == "YBR_FULL_422":
        pixels = pixels // 3 * 2
    return (pixels * bits + 7) // 8


def _has_embedded_overlay(dataset: Dataset) -> bool:
    """Whether a retired overlay lies in the unused bits of the pixels."""
    return any(
        tag.group & 0xFF00 == 0x6000 and tag.element == 0x0102 and int(dataset[tag].value or 0) > 0
        for tag in tuple(dataset.keys())
    )


def _clear_unused_bits(dataset: Dataset, data: bytes) -> bytes:
    import numpy as np

    allocated, stored = int(dataset.BitsAllocated), int(dataset.BitsStored)
    low = int(dataset.get("HighBit", stored - 1)) + 1 - stored
    if allocated not in (8, 16) or not 0 <= low <= allocated - stored:
        return data
    kind: Any = np.dtype(f"<u{allocated // 8}")
    values = np.frombuffer(data, dtype=kind) >> low
    values = values & ((1 << stored) - 1)
    if int(dataset.get("PixelRepresentation", 0)):
        sign = 1 << (stored - 1)
        values = np.where(values & sign, values | (((1 << allocated) - 1) ^ ((1 << stored) - 1)), values)
    dataset.HighBit = stored - 1
    return values.astype(kind).tobytes()


def _swap(data: bytes, bits: int) -> bytes:
    import numpy as np

    if bits <= 8:
        return data
    kind = f"u{bits // 8}"
    return np.frombuffer(data, dtype=f">{kind}").astype(f"<{kind}").tobytes()
