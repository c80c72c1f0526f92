"""Headers of the scan a plan was made on, so that new objects file into the same study."""

from __future__ import annotations

import io
import logging
import re
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from hepatica.core.errors import NotFoundError
from hepatica.core.provenance import derive_uid
from hepatica.workflows.ports import ImageFacts

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

ReadFiles = Callable[[Path], Iterable[tuple[str, bytes]]]
"""Yields (name, content) of every file below a folder, inside an archive, or of one file."""

LOGGER = logging.getLogger(__name__)

MANUFACTURER: Final = "Hepatica"
MODEL_NAME: Final = "Hepatica injection planning (research software)"
DEVICE_SERIAL_NUMBER: Final = "none"
CHARACTER_SET: Final = "ISO_IR 192"
"""UTF-8: names of structures and patients may hold any letter."""
LONG_STRING_LENGTH: Final = 64
"""Characters in a value of type LO (PS3.5 section 6.2)."""
_TIME: Final = re.compile(r"([01]\d|2[0-3])([0-5]\d([0-5]\d(\.\d{1,6})?)?)?")
_TYPE_2: Final = (
    "PatientName",
    "PatientID",
    "PatientBirthDate",
    "PatientSex",
    "StudyDate",
    "StudyTime",
    "StudyID",
    "AccessionNumber",
    "ReferringPhysicianName",
    "PositionReferenceIndicator",
)
_PATIENT_AND_STUDY: Final = (
    "PatientName",
    "PatientID",
    "IssuerOfPatientID",
    "PatientBirthDate",
    "PatientSex",
    "PatientAge",
    "PatientSize",
    "PatientWeight",
    "PatientIdentityRemoved",
    "DeidentificationMethod",
    "StudyInstanceUID",
    "StudyDate",
    "StudyTime",
    "StudyID",
    "StudyDescription",
    "AccessionNumber",
    "ReferringPhysicianName",
    "LongitudinalTemporalInformationModified",
)
_KEPT: Final = (
    *_PATIENT_AND_STUDY,
    *_TYPE_2,
    "TimezoneOffsetFromUTC",
    "SOPClassUID",
    "SOPInstanceUID",
    "SeriesInstanceUID",
    "Modality",
    "FrameOfReferenceUID",
    "InstanceNumber",
    "AcquisitionNumber",
    "ImagePositionPatient",
    "ImageOrientationPatient",
    "PixelSpacing",
    "SliceThickness",
    "SpacingBetweenSlices",
    "Rows",
    "Columns",
    "NumberOfFrames",
    "ImageType",
    "SharedFunctionalGroupsSequence",
    "PerFrameFunctionalGroupsSequence",
    "DimensionIndexSequence",
    "DimensionOrganizationSequence",
    "DeidentificationMethodCodeSequence",
)


@contextmanager
def foreign_values() -> Iterator[None]:
    """Carry values of the scan over as they are, without a word about them.

    The scan's patient and study attributes have to come out unchanged even where they break a rule of the
    standard (an accession number of 20 characters), or the new objects would file elsewhere; and the
    libraries' warnings print the value, which may be a name or a birth date.
    """
    from pydicom.config import disable_value_validation

    libraries = [logging.getLogger(name) for name in ("pydicom", "highdicom")]
    levels = [library.level for library in libraries]
    with warnings.catch_warnings(), disable_value_validation():
        warnings.simplefilter("ignore")
        for library in libraries:
            library.setLevel(logging.CRITICAL)
        try:
            yield
        finally:
            for library, level in zip(libraries, levels, strict=True):
                library.setLevel(level)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SourceSeries:
    """Headers of one image series.

    Parameters
    ----------
    headers
        One cleaned data set for each instance, by instance number; only what patient, study, frame of
        reference and image plane need. Empty type-2 attributes are present.
    frame_of_reference
        Frame of Reference UID of the objects to write.
    frame_derived
        Whether the source declares no frame, so that one was derived from its Series Instance UID.
    notes
        What had to be filled in, in words; no patient identifier.
    """

    headers: tuple[Dataset, ...]
    frame_of_reference: str
    frame_derived: bool = False
    notes: tuple[str, ...] = ()

    @property
    def first(self) -> Dataset:
        """The first header."""
        return self.headers[0]


class SourceReader:
    """Reads the headers of a plan's scan again; keeps the last series, which several writers ask for.

    Parameters
    ----------
    read_files
        Yields (name, content) of the files of a path.
    """

    def __init__(self, read_files: ReadFiles) -> None:
        self._read_files = read_files
        self._last: tuple[tuple[Path, str, str], SourceSeries] | None = None

    def read_source(self, facts: ImageFacts) -> SourceSeries | None:
        """Return the headers of the series named by the facts, or None where the source is not DICOM.

        Raises
        ------
        NotFoundError
            If the source no longer holds the series.
        """
        if facts.format != "DICOM" or facts.source is None or not facts.series_uid:
            return None
        key = (facts.source, facts.series_uid, facts.frame_of_reference)
        if self._last is None or self._last[0] != key:
            with foreign_values():
                self._last = (key, _read_series(facts, self._read_files(facts.source)))
        return self._last[1]


def _read_series(facts: ImageFacts, files: Iterable[tuple[str, bytes]]) -> SourceSeries:
    uid, _, acquisition = facts.series_uid.partition("#")
    found = [header for header in _parse(files) if str(header.get("SeriesInstanceUID", "")) == uid]
    planned = set(facts.sop_instance_uids)
    found = [header for header in found if str(header.SOPInstanceUID) in planned] or found
    if acquisition:
        chosen = [h for h in found if str(h.get("AcquisitionNumber", "")) == acquisition]
        found = chosen or found
    if not found:
        raise NotFoundError(
            expected=f"the image series {uid}",
            given="no file of it",
            where="the planning scan",
            action="keep the scan in place until the plan is written",
        )
    found.sort(key=lambda h: (int(h.get("InstanceNumber") or 0), str(h.SOPInstanceUID)))
    notes: list[str] = []
    frame = facts.frame_of_reference or str(found[0].get("FrameOfReferenceUID", "") or "")
    derived = not frame
    if derived:
        frame = derive_uid(uid, "frame of reference")
        notes.append("The source declares no Frame of Reference UID; one was derived from its series UID.")
    if not str(found[0].get("StudyInstanceUID", "") or ""):
        notes.append("The source declares no Study Instance UID; one was derived from its series UID.")
    wanted = ("PatientID", "PatientName", "StudyID")
    missing = [word for word in wanted if not str(found[0].get(word, "") or "")]
    if missing:
        notes.append(f"Empty in the source and left empty: {', '.join(missing)}.")
    for note in notes:
        LOGGER.info(note)
    return SourceSeries(
        headers=tuple(_clean(header, frame) for header in found),
        frame_of_reference=frame,
        frame_derived=derived,
        notes=tuple(notes),
    )


def _parse(files: Iterable[tuple[str, bytes]]) -> Iterator[Dataset]:
    from pydicom import dcmread
    from pydicom.errors import InvalidDicomError

    for _, content in files:
        # Without the preamble a data set can only be told by its first group, 0008.
        bare = content[:2] == b"\x08\x00"
        if content[128:132] != b"DICM" and not bare:
            continue
        try:
            header = dcmread(io.BytesIO(content), stop_before_pixels=True, force=bare)
        except (InvalidDicomError, EOFError, ValueError, KeyError, NotImplementedError):
            continue
        if "SOPInstanceUID" in header and "Rows" in header:
            yield header


def _clean(header: Dataset, frame: str) -> Dataset:
    """Copy what the writers need; values that break their own type are left empty rather than copied on."""
    from pydicom.dataset import Dataset

    header.decode()
    clean = Dataset()
    for keyword in _KEPT:
        if keyword in header:
            clean[keyword] = header[keyword]
    for keyword in _TYPE_2:
        if keyword not in clean or clean[keyword].value is None:
            setattr(clean, keyword, "")
    if clean.PatientSex not in ("M", "F", "O", ""):
        clean.PatientSex = ""
    for keyword in ("StudyDate", "PatientBirthDate"):
        if not _is_date(str(clean[keyword].value)):
            setattr(clean, keyword, "")
    if not _is_time(str(clean.StudyTime)):
        clean.StudyTime = ""
    if not str(clean.get("StudyInstanceUID", "") or ""):
        clean.StudyInstanceUID = derive_uid(str(header.SeriesInstanceUID), "study")
    clean.FrameOfReferenceUID = frame
    clean.SpecificCharacterSet = CHARACTER_SET
    return clean


def _is_date(text: str) -> bool:
    try:
        return text == "" or (len(text) == 8 and datetime.strptime(text, "%Y%m%d") is not None)
    except ValueError:
        return False


def _is_time(text: str) -> bool:
    return text == "" or _TIME.fullmatch(text) is not None


def copy_patient_and_study(source: Dataset, target: Dataset) -> None:
    """Copy patient and study attributes of a cleaned header, so that both file into one study."""
    for keyword in (*_PATIENT_AND_STUDY, "DeidentificationMethodCodeSequence"):
        if keyword in source:
            target[keyword] = source[keyword]


def _read_offset(source: Dataset) -> timezone | None:
    """Return the time zone a source declares, or None."""
    text = str(source.get("TimezoneOffsetFromUTC", "") or "").strip()
    if len(text) != 5 or text[0] not in "+-" or not text[1:].isdigit() or text[1:3] > "14" or text[3:] > "59":
        return None
    minutes = int(text[1:3]) * 60 + int(text[3:])
    return timezone(timedelta(minutes=minutes if text[0] == "+" else -minutes))


def to_run_date_time(run_time: datetime, source: Dataset) -> tuple[str, str]:
    """Return the run time as DICOM date and time, in the time zone the source declares, else as given."""
    offset = _read_offset(source)
    local = run_time if offset is None else run_time.astimezone(offset)
    return local.strftime("%Y%m%d"), local.strftime("%H%M%S.%f")


def set_run_time(dataset: Any, run_time: datetime, source: Dataset) -> None:
    """Set every creation and content time from the run, so that a replay gives the same bytes."""
    date, time = to_run_date_time(run_time, source)
    dataset.InstanceCreationDate, dataset.InstanceCreationTime = date, time
    dataset.SeriesDate, dataset.SeriesTime = date, time
    dataset.ContentDate, dataset.ContentTime = date, time
    if _read_offset(source) is not None:
        # Dates and times of the object then mean what they mean in the scan.
        dataset.TimezoneOffsetFromUTC = source.TimezoneOffsetFromUTC
    for item in dataset.get("ContributingEquipmentSequence", ()):
        item.ContributionDateTime = date + time


def to_long_string(text: str, limit: int = LONG_STRING_LENGTH) -> str:
    """Return text fit for a value of type LO: no backslash, no control characters, not too long.

    Examples
    --------
    >>> to_long_string("portal\\\\vein\\n")
    'portal/vein'
    """
    printable = "".join(c if c.isprintable() else " " for c in text.replace("\\", "/"))
    return " ".join(printable.split())[:limit].strip()


def write_dataset(dataset: Any, path: Path) -> None:
    """Write a data set as a DICOM file."""
    dataset.save_as(path, enforce_file_format=True)
