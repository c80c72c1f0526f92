"""NRRD and MetaImage files by SimpleITK, after their text header has been checked."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Final

import numpy as np

from hepatica.adapters.nifti.stored_array import StoredArray, require_affine, require_volume_size
from hepatica.core.errors import MissingGeometryError, SourceFormatError, refuse_unreadable
from hepatica.core.geometry import FloatArray

MAX_HEADER_BYTES: Final = 1 << 20
_SPACES: Final = {
    "left-posterior-superior": "LPS", "lps": "LPS",
    "right-anterior-superior": "RAS", "ras": "RAS",
    "left-anterior-superior": "LAS", "las": "LAS",
}  # fmt: skip
_NRRD_NUMBER: Final = re.compile(
    r"(signed |unsigned |u)?(char|short|int|long long|longlong)( int)?|u?int(8|16|32|64)(_t)?|float|double"
)
_SEGMENT_FIELD: Final = re.compile(r"segment(\d+)_(name|labelvalue|layer)", re.IGNORECASE)


def load_itk(path: Path, *, where: str) -> StoredArray:
    """Load a NRRD (``.nrrd``, ``.nhdr``) or MetaImage (``.mha``, ``.mhd``) file.

    Raises
    ------
    MissingGeometryError
        If a NRRD names no space, or a file has no origin, spacing or directions.
    NotAVolumeError, TooLargeError
        By the header, before voxels are read.
    SourceFormatError
        If the file is truncated, damaged, or has several values for each voxel.
    """
    with refuse_unreadable(expected="a NRRD or MetaImage file", where=where), path.open("rb") as stream:
        head = stream.read(MAX_HEADER_BYTES)
    if head[:4] == b"NRRD":
        names = _check_nrrd(head, where=where)
        values, affine = _read(path, image_io="NrrdImageIO", where=where)
        return StoredArray(values=values, lps_from_ijk=affine, format="NRRD", names=names)
    _check_metaimage(head, where=where)
    values, affine = _read(path, image_io="MetaImageIO", where=where)
    return StoredArray(values=values, lps_from_ijk=affine, format="MetaImage")


def _read(path: Path, *, image_io: str, where: str) -> tuple[np.ndarray, FloatArray]:
    import SimpleITK as sitk

    with refuse_unreadable(expected="a complete NRRD or MetaImage file", where=where):
        sitk.ProcessObject.SetGlobalWarningDisplay(False)  # noqa: FBT003
        reader = sitk.ImageFileReader()
        reader.SetImageIO(image_io)
        reader.SetFileName(str(path))
        reader.ReadImageInformation()
        sizes, components = reader.GetSize(), reader.GetNumberOfComponents()
    require_volume_size(tuple(int(size) for size in sizes), where=where)
    if components != 1:
        raise SourceFormatError(
            expected="one value for each voxel",
            given=f"{components}",
            where=where,
            action="export one label map or image for each component",
        )
    with refuse_unreadable(expected="a complete NRRD or MetaImage file", where=where):
        image = reader.Execute()
        while image.GetDimension() > 3:
            image = image[(slice(None),) * (image.GetDimension() - 1) + (0,)]
        values = sitk.GetArrayFromImage(image).T
        affine = np.eye(4)
        affine[:3, :3] = np.array(image.GetDirection()).reshape(3, 3) * np.array(image.GetSpacing())
        affine[:3, 3] = image.GetOrigin()
    return values, require_affine(affine, where=where)


def _check_nrrd(head: bytes, *, where: str) -> dict[int, str]:
    """Check the header fields that SimpleITK would guess; return names of segments written by 3D Slicer."""
    text = head.split(b"\n\n", 1)[0].split(b"\r\n\r\n", 1)[0].decode("utf-8", errors="replace")
    fields: dict[str, str] = {}
    for line in text.splitlines()[1:]:
        if not line.startswith("#") and ":" in line:
            key, _, value = line.partition(":")
            fields[key.strip().lower()] = value.removeprefix("=").strip()
    if not _NRRD_NUMBER.fullmatch(fields.get("type", "").lower()):
        raise SourceFormatError(
            expected="a number type in the NRRD header", given="none or a block", where=where
        )
    require_volume_size(_whole_numbers(fields.get("sizes", ""), where=where), where=where)
    if fields.get("space", "").lower() not in _SPACES:
        raise MissingGeometryError(
            expected="space: left-posterior-superior, right-anterior-superior or left-anterior-superior",
            given=f"'{fields['space'][:40]}'" if "space" in fields else "no space field",
            where=where,
            action="export the file with its anatomical space; no default is assumed",
        )
    for name in ("space directions", "space origin"):
        if name not in fields:
            raise MissingGeometryError(expected=f"'{name}' in the NRRD header", given="none", where=where)
    return _segment_names(fields)


def _segment_names(fields: dict[str, str]) -> dict[int, str]:
    parts: dict[str, dict[str, str]] = {}
    for key, value in fields.items():
        match = _SEGMENT_FIELD.fullmatch(key)
        if match:
            parts.setdefault(match[1], {})[match[2].lower()] = value
    return {
        int(part["labelvalue"]): "".join(character for character in part["name"] if character.isprintable())[
            :64
        ]
        for part in parts.values()
        if part.get("name") and part.get("labelvalue", "").isdecimal()
    }


def _check_metaimage(head: bytes, *, where: str) -> None:
    """Check the header fields that SimpleITK would default."""
    fields: dict[str, str] = {}
    for line in head.split(b"\n"):
        key, separator, value = line.decode("latin-1").partition("=")
        if not separator or len(key) > 64:
            break
        fields[key.strip().lower()] = value.strip()
        if key.strip().lower() == "elementdatafile":
            break
    if "dimsize" not in fields or "elementtype" not in fields or "elementdatafile" not in fields:
        raise SourceFormatError(
            expected="DimSize, ElementType and ElementDataFile in the MetaImage header",
            given="not all",
            where=where,
        )
    if fields["elementdatafile"] != "LOCAL" and not _is_plain_name(fields["elementdatafile"]):
        raise SourceFormatError(
            expected="one data file beside the header",
            given="a list, pattern or another folder",
            where=where,
            action="save as MHA",
        )
    require_volume_size(_whole_numbers(fields["dimsize"], where=where), where=where)
    groups = (
        ("ElementSpacing", ("elementspacing", "elementsize")),
        ("TransformMatrix", ("transformmatrix", "rotation", "orientation")),
        ("Offset", ("offset", "position", "origin")),
    )
    for shown, keys in groups:
        if not any(key in fields for key in keys):
            raise MissingGeometryError(
                expected=f"{shown} in the MetaImage header",
                given="none",
                where=where,
                action="export the file with its geometry; no default is assumed",
            )


def _is_plain_name(name: str) -> bool:
    return bool(re.fullmatch(r"[^/\\%\s][^/\\%]*", name)) and name.upper() != "LIST"


def _whole_numbers(text: str, *, where: str) -> tuple[int, ...]:
    parts: list[Any] = text.split()
    if not parts or not all(part.isdecimal() and len(part) < 19 for part in parts):
        raise SourceFormatError(expected="whole numbers as sizes", given="something else", where=where)
    return tuple(int(part) for part in parts)
