"""Research mode: one object in, the same object without identity out, as bytes."""

from __future__ import annotations

import io
import re
from typing import TYPE_CHECKING, Any, Final

from hepatica.adapters.dicom.deid_dataset import Cleaning
from hepatica.adapters.dicom.deid_pixels import settle_pixels
from hepatica.adapters.dicom.headers import quiet_pydicom
from hepatica.core.errors import SourceFormatError

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

_NAME_PART_MIN: Final = 3
"""Letters of a part of a name that is looked for; shorter ones are found in every second word."""
_NUMBER_MIN: Final = 5
_NOT_INSIDE: Final = rb"(?<![A-Za-z0-9.])(?:%s)(?![A-Za-z0-9.])"
_METHOD: Final = "Hepatica table"
_IDENTIFIERS: Final = ("PatientID", "AccessionNumber", "OtherPatientIDs", "AdmissionID", "InstitutionName")


def is_supported(dataset: Dataset, cleaning: Cleaning) -> bool:
    """Return whether the rules can clean an object of this class.

    Parameters
    ----------
    dataset
        As read.
    cleaning
        The series' cleaning.
    """
    # Colour tables are bytes that nobody can check.
    palette = (
        "PALETTE" in str(dataset.get("PhotometricInterpretation", "")) and dataset.get("Modality") != "SEG"
    )
    return str(dataset.get("SOPClassUID", "")) in cleaning.policy.objects and not palette


def deidentify(dataset: Dataset, cleaning: Cleaning, *, where: str) -> bytes:
    """Return an object without identity as a file: new preamble, new file meta group, nothing after the end.

    Parameters
    ----------
    dataset
        As read; may be changed.
    cleaning
        The series' cleaning; counts and UIDs are added to it.
    where
        Position of the file, for refusals.

    Raises
    ------
    SourceFormatError
        If its pixels cannot be decoded, or something that identifies a person is still found in the result.
    """
    with quiet_pydicom():
        cleaning.needles = find_needles(dataset) - _list_own_words(cleaning)
        settle_pixels(dataset, where=where)
        data = _write(dataset, cleaning)
        if _holds(data, cleaning.needles):
            # The table let something through that it should not: better no image than that.
            raise SourceFormatError(
                expected="an object whose identifiers can be removed",
                given="one in which a person's name or number was found afterwards",
                where=where,
                action="look at the header by hand; it was not kept",
            )
    return data


def find_needles(dataset: Dataset) -> frozenset[str]:
    """Return parts of names and numbers that must not be found afterwards, in small letters.

    Parameters
    ----------
    dataset
        As read.
    """
    found: set[str] = set()
    for element in _walk(dataset):
        if element.VR == "PN":
            for part in re.findall(r"[^\W\d_]+", str(element.value)):
                if len(part) >= _NAME_PART_MIN:
                    found.add(part.lower())
        elif element.keyword in _IDENTIFIERS:
            values = element.value if element.VM > 1 else [element.value]
            for value in map(str, values):
                short = value.isdigit() and len(value) <= _NUMBER_MIN
                if len(value) >= _NAME_PART_MIN and not short:
                    found.add(value.lower())
    return frozenset(found)


def _list_own_words(cleaning: Cleaning) -> frozenset[str]:
    """Return the words that this program writes itself, so that they tell nothing."""
    texts = [_METHOD, cleaning.disguise.subject_id, *(meaning for _, meaning in cleaning.policy.methods)]
    words = {word for text in texts for word in (text, *re.findall(r"[^\W\d_]+", text))}
    return frozenset(word.lower() for word in words)


def _walk(dataset: Dataset, *, depth: int = 0) -> Any:
    for tag in tuple(dataset.keys()):
        if tag.group == 0x7FE0:
            continue
        try:
            element = dataset[tag]
        except Exception:  # noqa: BLE001  what cannot be parsed is removed, so nothing of it remains
            continue
        yield element
        if element.VR == "SQ" and depth < 60:
            for item in element.value:
                yield from _walk(item, depth=depth + 1)


def _holds(data: bytes, needles: frozenset[str]) -> bool:
    """Whether a needle stands in a file before its pixels."""
    if not needles:
        return False
    end = data.find(b"\xe0\x7f\x10\x00")
    head = data[: end if end >= 0 else len(data)].lower()
    found = [needle.encode() for needle in sorted(needles) if needle.encode() in head]
    if not found:
        return False
    return re.search(_NOT_INSIDE % b"|".join(re.escape(needle) for needle in found), head) is not None


def _write(dataset: Dataset, cleaning: Cleaning) -> bytes:
    from pydicom.dataset import Dataset, FileMetaDataset
    from pydicom.uid import ExplicitVRLittleEndian

    cleaned = cleaning.clean(dataset)
    cleaned.SpecificCharacterSet = "ISO_IR 192"
    cleaned.PatientName = cleaned.PatientID = cleaning.disguise.subject_id
    cleaned.PatientIdentityRemoved = "YES"
    cleaned.LongitudinalTemporalInformationModified = "MODIFIED"
    cleaned.DeidentificationMethod = f"{_METHOD} {cleaning.policy.version}"
    methods = []
    for value, meaning in cleaning.policy.methods:
        method = Dataset()
        method.CodeValue, method.CodingSchemeDesignator, method.CodeMeaning = value, "DCM", meaning[:64]
        methods.append(method)
    cleaned.DeidentificationMethodCodeSequence = methods
    cleaned.file_meta = FileMetaDataset()
    cleaned.file_meta.MediaStorageSOPClassUID = cleaned.SOPClassUID
    cleaned.file_meta.MediaStorageSOPInstanceUID = cleaned.SOPInstanceUID
    cleaned.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    # Fixed, so that the same object gives the same bytes under every version of the libraries.
    cleaned.file_meta.ImplementationVersionName = "HEPATICA"
    cleaned.preamble = bytes(128)
    buffer = io.BytesIO()
    cleaned.save_as(buffer, enforce_file_format=True, little_endian=True, implicit_vr=False)
    return buffer.getvalue()
