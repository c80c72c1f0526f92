"""Who a scan says it shows, what the vault keeps of it, and what speaks for names in its pixels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from hepatica.adapters.dicom.burnt_in import list_header_suspicions, looks_lettered
from hepatica.adapters.dicom.deid_policy import Policy
from hepatica.adapters.dicom.headers import to_text
from hepatica.adapters.dicom.pixels import decode_stored
from hepatica.core.errors import HepaticaError
from hepatica.record.scan_identity import HeaderIdentity

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

VAULTED: Final = (
    "PatientName",
    "PatientID",
    "PatientBirthDate",
    "StudyInstanceUID",
    "SeriesInstanceUID",
    "AccessionNumber",
    "StudyDate",
    "SeriesDate",
    "AcquisitionDate",
    "ContentDate",
    "InstitutionName",
)
"""True values that the vault keeps for each series."""
_SEXES: Final = ("F", "M", "O")


def find_identity(dataset: Dataset) -> HeaderIdentity:
    """Return the person that an image names.

    Parameters
    ----------
    dataset
        With at least the patient's attributes.
    """
    name: Any = dataset.get("PatientName")
    day = to_text(dataset, "PatientBirthDate")
    sex = to_text(dataset, "PatientSex").upper()
    return HeaderIdentity(
        family_name=str(getattr(name, "family_name", "") or "").strip(),
        given_name=str(getattr(name, "given_name", "") or "").strip(),
        birth_date=f"{day[:4]}-{day[4:6]}-{day[6:8]}" if len(day) == 8 and day.isdigit() else "",
        sex_code=sex if sex in _SEXES else "",
    )


def note_true_values(dataset: Dataset, values: dict[str, set[str]]) -> None:
    """Add an image's true names, numbers and dates to those of its series.

    Parameters
    ----------
    dataset
        As read.
    values
        By attribute; added to.
    """
    for keyword in VAULTED:
        text = to_text(dataset, keyword, length=256)
        if text:
            values[keyword].add(text)


def find_suspicions(dataset: Dataset, policy: Policy, *, looks: bool) -> frozenset[str]:
    """Return why names may stand in an image's pixels.

    Parameters
    ----------
    dataset
        As read.
    policy
        Of research mode.
    looks
        Whether to look at the pixels too.
    """
    found = list_header_suspicions(dataset, policy)
    if not looks or "PixelData" not in dataset or str(dataset.get("Modality", "")) == "SEG":
        return found
    try:
        plane = decode_stored(dataset, frame=None, where="an image")
    except HepaticaError:
        return found  # colour, or damaged: the cleaning decodes every image and says so
    return found | {"marks like text at a border"} if looks_lettered(plane) else found
