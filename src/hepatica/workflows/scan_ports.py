"""What taking scans into the record needs from the world."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from hepatica.core.progress import Progress
from hepatica.record.pseudonyms import Pseudonyms
from hepatica.record.scan_identity import HeaderIdentity
from hepatica.workflows.record_ports import VaultEntry


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Disguise:
    """Under which pseudonym a patient's images are kept.

    Parameters
    ----------
    subject_id
        Subject number; stands where name and number stood.
    offset_days
        By how many days dates are moved.
    pseudonyms
        For UIDs and words.
    """

    subject_id: str
    offset_days: int
    pseudonyms: Pseudonyms


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundSeries:
    """One series of a folder, archive or file.

    Parameters
    ----------
    series_uid, study_uid, modality
        As in the headers.
    acquired_date
        ISO 8601, empty where absent.
    phase_hint
        Contrast phase, as a hint.
    image_count
        Planes, or objects without planes.
    """

    series_uid: str
    study_uid: str
    modality: str
    acquired_date: str
    phase_hint: str
    image_count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PackedSeries:
    """A series as one archive, ready to be kept.

    Parameters
    ----------
    path
        The archive, in a folder that vanishes.
    found
        The series as the record shows it: pseudonyms in research mode.
    identities
        Each different person that its images name.
    suspicions
        Why text may be burnt in; empty where nothing speaks for it.
    removal
        Removal report: counts by tag and action. None where nothing was removed.
    vault
        What lies behind its pseudonyms.
    """

    path: Path
    found: FoundSeries
    identities: tuple[HeaderIdentity, ...]
    suspicions: tuple[str, ...] = ()
    removal: Mapping[str, Any] | None = None
    vault: tuple[VaultEntry, ...] = field(default=(), repr=False)


class SeriesSource(Protocol):
    """The DICOM series of one path."""

    @property
    def series(self) -> tuple[FoundSeries, ...]:
        """Every series, by UID."""

    @property
    def other_files(self) -> int:
        """Files that are no DICOM."""

    def pack(
        self, found: FoundSeries, *, disguise: Disguise | None, progress: Progress
    ) -> AbstractContextManager[PackedSeries]:
        """Put a series into one archive, under a disguise where one is given."""


class OpenSeries(Protocol):
    """Opens a path as its series."""

    def __call__(self, path: Path, *, progress: Progress) -> AbstractContextManager[SeriesSource]:
        """Open it."""


class Readdress(Protocol):
    """Gives a packed series to another patient's pseudonym."""

    def __call__(
        self, path: Path, *, held: Disguise, wanted: Disguise, progress: Progress
    ) -> AbstractContextManager[Path]:
        """Write a new archive."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ScanPorts:
    """All that scans need beside the record.

    Parameters
    ----------
    open_series
        Opens what is to be imported.
    list_images
        Names of the images in a stored archive; equal images have equal names.
    readdress
        For moving a scan in research mode.
    make_folder
        Opens an empty private folder on the record's disk, which vanishes afterwards.
    read_study_uid
        Study of a DICOM object.
    mode
        The record's mode.
    pseudonyms
        In research mode; None otherwise.
    """

    open_series: OpenSeries
    list_images: Callable[[Path], frozenset[str]]
    readdress: Readdress
    make_folder: Callable[[], AbstractContextManager[Path]]
    read_study_uid: Callable[[bytes], str]
    mode: str
    pseudonyms: Pseudonyms | None


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyQuery:
    """What to look for in a PACS; at least one of number and study must be given.

    Parameters
    ----------
    patient_number
        The hospital's number of the patient, without wildcards.
    study_uid
        One study.
    modality
        For example ``CT``; empty for all.
    from_date, to_date
        ISO 8601, empty for open.
    """

    patient_number: str = field(default="", repr=False)
    study_uid: str = ""
    modality: str = ""
    from_date: str = ""
    to_date: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundStudy:
    """One study of a PACS.

    Parameters
    ----------
    study_uid, study_date, modalities, description
        As the PACS says; date in ISO 8601.
    series_count, image_count
        None where the PACS does not say.
    patient_name, patient_number, birth_date
        Who it is; shown to whoever may read identities.
    """

    study_uid: str
    study_date: str = ""
    modalities: tuple[str, ...] = ()
    description: str = ""
    series_count: int | None = None
    image_count: int | None = None
    patient_name: str = field(default="", repr=False)
    patient_number: str = field(default="", repr=False)
    birth_date: str = field(default="", repr=False)


class Pacs(Protocol):
    """One archive of the server's configuration."""

    name: str

    def find_studies(self, query: StudyQuery) -> tuple[FoundStudy, ...]:
        """Return the studies that fit, newest first."""

    def fetch_study(self, study_uid: str, *, folder: Path, progress: Progress) -> int:
        """Write every object of a study into a folder; returns how many. All, or a refusal."""

    def send(self, objects: Sequence[bytes], *, progress: Progress) -> int:
        """Store objects; returns how many were taken. All, or a refusal that says how many."""


class PacsDirectory(Protocol):
    """The archives that the server's configuration names."""

    def list_names(self) -> tuple[str, ...]:
        """Return their names."""

    def open(self, name: str) -> Pacs:
        """Return one by name."""
