"""DICOM headers of a file tree as plain records: one for each slice, whatever the files are called."""

from __future__ import annotations

import io
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from hepatica.core.errors import HepaticaError, SourceFormatError, refuse_unreadable
from hepatica.workflows.ports import FileEntry, FileTree

if TYPE_CHECKING:
    from pydicom import Dataset

MULTI_FRAME_IMAGES: Final = frozenset(
    {
        "1.2.840.10008.5.1.4.1.1.2.1",  # Enhanced CT
        "1.2.840.10008.5.1.4.1.1.2.2",  # Legacy Converted Enhanced CT
        "1.2.840.10008.5.1.4.1.1.4.1",  # Enhanced MR
        "1.2.840.10008.5.1.4.1.1.4.4",  # Legacy Converted Enhanced MR
        "1.2.840.10008.5.1.4.1.1.130",  # Enhanced PET
        "1.2.840.10008.5.1.4.1.1.128.1",  # Legacy Converted Enhanced PET
    }
)
_MEDIA_DIRECTORY: Final = "1.2.840.10008.1.3.10"
MAX_TEXT: Final = 64
"""Free text of headers is cut to this length."""

_KEYWORDS: Final = (
    "SOPClassUID",
    "SOPInstanceUID",
    "SeriesInstanceUID",
    "StudyInstanceUID",
    "FrameOfReferenceUID",
    "Modality",
    "SeriesDescription",
    "SeriesNumber",
    "AcquisitionNumber",
    "InstanceNumber",
    "ImageType",
    "Rows",
    "Columns",
    "BitsAllocated",
    "SamplesPerPixel",
    "NumberOfFrames",
    "ImagePositionPatient",
    "ImageOrientationPatient",
    "PixelSpacing",
    "SliceLocation",
    "PatientPosition",
    "StudyDate",
    "AcquisitionDate",
    "AcquisitionTime",
    "AcquisitionDateTime",
    "ContentDate",
    "ContentTime",
    "ContrastBolusStartTime",
    "TemporalPositionIdentifier",
    "EchoNumbers",
    "EchoTime",
    "DiffusionBValue",
    "TriggerTime",
    "ConvolutionKernel",
    "SharedFunctionalGroupsSequence",
    "PerFrameFunctionalGroupsSequence",
)
_SUBDIVISIONS: Final = (
    "TemporalPositionIdentifier",
    "EchoNumbers",
    "EchoTime",
    "DiffusionBValue",
    "TriggerTime",
    "ImageType",
    "ConvolutionKernel",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class SliceRecord:
    """One image plane as its header describes it; nothing here identifies a person.

    ``position_lps_mm``, ``orientation`` and ``pixel_spacing_mm`` (row step, column step) are None where
    absent or
    malformed. ``frame`` is the frame number within a multi-frame file, or None.
    """

    entry: FileEntry
    frame: int | None
    sop_class_uid: str
    sop_instance_uid: str
    series_uid: str
    study_uid: str
    frame_of_reference: str
    modality: str
    description: str
    series_number: str
    acquisition: str
    instance_number: int | None
    image_type: tuple[str, ...]
    rows: int
    columns: int
    bits_allocated: int
    samples: int
    position_lps_mm: tuple[float, ...] | None
    orientation: tuple[float, ...] | None
    pixel_spacing_mm: tuple[float, ...] | None
    slice_location_mm: float | None
    patient_position: str
    study_date: str
    acquisition_time: str
    contrast_start_time: str
    subdivisions: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class HeaderIndex:
    """All records of a tree.

    Parameters
    ----------
    records
        One for each plane, and one for each object without planes (SEG, RTSTRUCT, documents).
    unreadable
        Positions (``file 3 of 62``) of files that begin like DICOM but cannot be parsed.
    ignored
        Number of files that are not DICOM.
    """

    records: tuple[SliceRecord, ...]
    unreadable: tuple[str, ...] = ()
    ignored: int = 0


def read_headers(tree: FileTree) -> HeaderIndex:
    """Read the header of every DICOM file of a tree; pixel data is not touched."""
    records: list[SliceRecord] = []
    unreadable: list[str] = []
    ignored = 0
    for entry in tree.entries:
        try:
            with tree.open(entry) as stream:
                head = stream.read(132)
                if not looks_like_dicom(head):
                    ignored += 1
                    continue
                stream.seek(0)
                with refuse_unreadable(expected="a DICOM file", where=entry.position):
                    records.extend(_read_records(stream, entry))
        except HepaticaError:
            unreadable.append(entry.position)
    return HeaderIndex(records=tuple(records), unreadable=tuple(unreadable), ignored=ignored)


def looks_like_dicom(head: bytes) -> bool:
    """Whether a file begins like DICOM, with or without preamble."""
    if head[128:132] == b"DICM":
        return True
    return head[:2] in (b"\x08\x00", b"\x02\x00") and head[2:4] in (
        b"\x00\x00",
        b"\x01\x00",
        b"\x05\x00",
        b"\x08\x00",
    )


def read_dataset(tree: FileTree, entry: FileEntry) -> tuple[Dataset, bytes]:
    """Read one file whole: the dataset, and the bytes for its digest.

    Raises
    ------
    SourceFormatError
        If it is not complete DICOM.
    """
    import pydicom

    data = tree.read_bytes(entry)
    with quiet_pydicom(), refuse_unreadable(expected="a complete DICOM file", where=entry.position):
        return pydicom.dcmread(io.BytesIO(data), force=True), data


@contextmanager
def quiet_pydicom() -> Iterator[None]:
    """Silence pydicom about values that break their VR: each is checked where it is used.

    Its log lines quote header values, which may name a person; so nothing of them may reach a terminal.
    """
    logger = logging.getLogger("pydicom")
    before = logger.level
    logger.setLevel(logging.CRITICAL + 1)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(before)


def _read_records(stream: Any, entry: FileEntry) -> list[SliceRecord]:
    import pydicom

    with quiet_pydicom():
        dataset = pydicom.dcmread(stream, stop_before_pixels=True, force=True, specific_tags=list(_KEYWORDS))
        if _is_directory(dataset):
            return []
        _require_complete(dataset, where=entry.position)
        if (
            to_text(dataset, "SOPClassUID") in MULTI_FRAME_IMAGES
            and "PerFrameFunctionalGroupsSequence" in dataset
        ):
            return _frame_records(dataset, entry)
        return [_record(dataset, entry)]


def _is_directory(dataset: Dataset) -> bool:
    meta = getattr(dataset, "file_meta", None) or {}
    return str(meta.get("MediaStorageSOPClassUID", "")) == _MEDIA_DIRECTORY


def _require_complete(dataset: Dataset, *, where: str) -> None:
    """Refuse headers that end early: pydicom takes a cut file for a short one, and a slice would get lost."""
    needed = ["Modality", "SeriesInstanceUID"]
    if to_text(dataset, "Modality") in ("CT", "MR", "PT"):
        needed += ["Rows", "Columns", "BitsAllocated"]
    missing = [keyword for keyword in needed if keyword not in dataset]
    if missing:
        raise SourceFormatError(expected="a complete DICOM header", given=f"no {missing[0]}", where=where)


def _frame_records(dataset: Dataset, entry: FileEntry) -> list[SliceRecord]:
    shared = next(iter(dataset.get("SharedFunctionalGroupsSequence") or [None]), None)
    records = []
    for number, group in enumerate(dataset.PerFrameFunctionalGroupsSequence):
        view = _FrameView(dataset=dataset, groups=tuple(part for part in (group, shared) if part is not None))
        records.append(_record(view, entry, frame=number))
    return records


@dataclass(slots=True)
class _FrameView:
    """A frame of a multi-frame object, read as if it were a single image."""

    dataset: Any
    groups: tuple[Any, ...]
    _places: dict[str, tuple[str, str]] = field(
        default_factory=lambda: {
            "ImagePositionPatient": ("PlanePositionSequence", "ImagePositionPatient"),
            "ImageOrientationPatient": ("PlaneOrientationSequence", "ImageOrientationPatient"),
            "PixelSpacing": ("PixelMeasuresSequence", "PixelSpacing"),
            "AcquisitionNumber": ("FrameContentSequence", "FrameAcquisitionNumber"),
            "TemporalPositionIdentifier": ("FrameContentSequence", "TemporalPositionIndex"),
            "AcquisitionDateTime": ("FrameContentSequence", "FrameAcquisitionDateTime"),
        }
    )

    def get(self, keyword: str, default: Any = None) -> Any:
        if keyword in self._places:
            sequence, inner = self._places[keyword]
            for group in self.groups:
                items = group.get(sequence)
                if items and items[0].get(inner) is not None:
                    return items[0].get(inner)
        return self.dataset.get(keyword, default)


def _record(dataset: Any, entry: FileEntry, *, frame: int | None = None) -> SliceRecord:
    instance = to_numbers(dataset, "InstanceNumber", 1)
    location = to_numbers(dataset, "SliceLocation", 1)
    return SliceRecord(
        entry=entry,
        frame=frame,
        sop_class_uid=to_text(dataset, "SOPClassUID"),
        sop_instance_uid=to_text(dataset, "SOPInstanceUID"),
        series_uid=to_text(dataset, "SeriesInstanceUID"),
        study_uid=to_text(dataset, "StudyInstanceUID"),
        frame_of_reference=to_text(dataset, "FrameOfReferenceUID"),
        modality=to_text(dataset, "Modality").upper(),
        description=to_text(dataset, "SeriesDescription"),
        series_number=to_text(dataset, "SeriesNumber"),
        acquisition=to_text(dataset, "AcquisitionNumber"),
        instance_number=int(instance[0]) if instance else None,
        image_type=tuple(part.upper() for part in to_text(dataset, "ImageType", length=256).split("\\")),
        rows=_whole(dataset, "Rows"),
        columns=_whole(dataset, "Columns"),
        bits_allocated=_whole(dataset, "BitsAllocated"),
        samples=_whole(dataset, "SamplesPerPixel") or 1,
        position_lps_mm=to_numbers(dataset, "ImagePositionPatient", 3),
        orientation=to_numbers(dataset, "ImageOrientationPatient", 6),
        pixel_spacing_mm=to_numbers(dataset, "PixelSpacing", 2),
        slice_location_mm=location[0] if location else None,
        patient_position=to_text(dataset, "PatientPosition").upper(),
        study_date=to_text(dataset, "StudyDate"),
        acquisition_time=_acquisition_time(dataset),
        contrast_start_time=to_text(dataset, "ContrastBolusStartTime"),
        subdivisions=tuple((keyword, to_text(dataset, keyword, length=256)) for keyword in _SUBDIVISIONS),
    )


def _acquisition_time(dataset: Any) -> str:
    """Return HHMMSS.f of the acquisition, or of the content, or empty."""
    combined = to_text(dataset, "AcquisitionDateTime")
    if len(combined) >= 14:
        return combined[8:]
    return to_text(dataset, "AcquisitionTime") or to_text(dataset, "ContentTime")


def to_text(dataset: Any, keyword: str, *, length: int = MAX_TEXT) -> str:
    """Return a header value as printable text, multiple values joined by a backslash; empty where absent."""
    value = dataset.get(keyword)
    if value is None:
        return ""
    parts = value if isinstance(value, (list, tuple)) or type(value).__name__ == "MultiValue" else [value]
    text = "\\".join(str(part) for part in parts)
    return "".join(character for character in text if character.isprintable()).strip()[:length]


def to_numbers(dataset: Any, keyword: str, count: int) -> tuple[float, ...] | None:
    """Return ``count`` finite numbers of a header value, or None where absent or malformed."""
    from math import isfinite

    value = dataset.get(keyword)
    if value is None or isinstance(value, str):
        parts: list[Any] = value.split("\\") if value else []
    else:
        parts = [value] if isinstance(value, (int, float)) else list(value)
    try:
        numbers = tuple(float(part) for part in parts)
    except (TypeError, ValueError):
        return None
    return numbers if len(numbers) == count and all(isfinite(number) for number in numbers) else None


def _whole(dataset: Any, keyword: str) -> int:
    numbers = to_numbers(dataset, keyword, 1)
    return int(numbers[0]) if numbers else 0
