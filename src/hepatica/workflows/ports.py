"""What the use cases need from the world, as protocols; adapters implement them, bootstrap joins them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, Protocol, Self

from hepatica.anatomy.structures import Anatomy
from hepatica.core.findings import Finding, NotEvaluable
from hepatica.core.progress import Progress
from hepatica.core.provenance import Manifest
from hepatica.imaging.mask import Mask
from hepatica.imaging.volume import Volume
from hepatica.planning.path.scene import Scene
from hepatica.planning.plan import Plan
from hepatica.workflows.clock import Clock as Clock
from hepatica.workflows.spread_values import PlanSpread


@dataclass(frozen=True, slots=True, kw_only=True)
class FileEntry:
    """One file of a tree.

    Parameters
    ----------
    name
        Path inside the tree with ``/``; an archive inside it appears as one of the parts.
    size_bytes
        Unpacked size.
    position
        What messages call it, for example ``file 17 of 62``: a name may tell who the patient is.
    """

    name: str
    size_bytes: int
    position: str = "the file"


class FileTree(Protocol):
    """The files of a folder, an archive or a single file, without junk and without a way out of it."""

    @property
    def entries(self) -> tuple[FileEntry, ...]:
        """All files, sorted by name."""

    def open(self, entry: FileEntry) -> BinaryIO:
        """Open one file for reading; the stream can seek."""

    def read_bytes(self, entry: FileEntry) -> bytes:
        """Return one file whole."""

    def __enter__(self) -> Self:
        """Keep archives open."""

    def __exit__(self, *exception: object) -> None:
        """Close archives."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SeriesSummary:
    """One image series (and acquisition) found in a folder or archive.

    Parameters
    ----------
    number
        1, 2, ... as listed; usable with ``--series``.
    uid
        Series Instance UID with ``#acquisition`` where one series holds several; file name for other formats.
    modality, description
        As in the header, description cut to 64 characters and stripped of control characters.
    image_count, spacing_mm
        Size; spacing None where geometry is missing.
    phase_hint
        For example ``arterial (from the series description)`` or ``unknown``; a hint, never used silently.
    role
        ``image`` for a candidate; otherwise what it is instead: ``mask``, ``segmentation``, ``contours``,
        ``localizer``, ``single image``, ``repeated position``, ``document``, ``unreadable`` or ``other``.
    reason
        Why it is no candidate; empty for an image.
    """

    number: int
    uid: str
    modality: str
    description: str
    image_count: int
    spacing_mm: tuple[float, float, float] | None
    phase_hint: str
    role: str = "image"
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageFacts:
    """What is known of an image beside its voxels; nothing here identifies a person.

    Parameters
    ----------
    format
        ``DICOM``, ``NIfTI``, ``NRRD`` or ``MetaImage``.
    series_uid, study_uid, frame_of_reference
        UIDs, empty where the format has none.
    series_description, study_date, phase_hint
        As in the header, empty where absent.
    patient_position
        DICOM word, or why unknown.
    slice_locations_mm
        Position along the slice axis for each k, for the table-position line of the sheet.
    instance_numbers
        DICOM Instance Number for each k, in the order of k; empty otherwise.
    sop_instance_uids
        DICOM SOP Instance UID for each k, in the order of k; empty where slices were resampled or not DICOM.
    source
        File, folder or archive it was read from, for writers that need the headers again.
    """

    format: str
    series_uid: str = ""
    study_uid: str = ""
    frame_of_reference: str = ""
    series_description: str = ""
    study_date: str = ""
    phase_hint: str = "unknown"
    patient_position: str | NotEvaluable = field(
        default_factory=lambda: NotEvaluable(reason="the format carries no Patient Position")
    )
    slice_locations_mm: tuple[float, ...] = ()
    instance_numbers: tuple[int, ...] = ()
    sop_instance_uids: tuple[str, ...] = ()
    source: Path | None = None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ReadImage:
    """An image as read: volume, facts, digest of the input and findings of the reader."""

    volume: Volume
    facts: ImageFacts
    digest: str
    findings: tuple[Finding, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class NamedMask:
    """One labelled structure as read, on the grid that was asked for.

    Parameters
    ----------
    name
        Name from the names table, segment label, ROI name, or the known words of a file name.
    mask
        Its voxels.
    kind_hint
        Standard code meaning (SEG) or empty.
    """

    name: str
    mask: Mask
    kind_hint: str = ""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LabelSet:
    """All structures of one label source."""

    masks: tuple[NamedMask, ...]
    digest: str
    format: str
    findings: tuple[Finding, ...] = ()
    reviewed: bool = True


class ImageReader(Protocol):
    """Reads scans."""

    def list_series(self, path: Path) -> tuple[SeriesSummary, ...]:
        """List the image series in a file, folder or archive."""

    def read_image(
        self, path: Path, *, series: str | None = None, resample: bool = False, progress: Progress
    ) -> ReadImage:
        """Read one series; ``series`` is a number or UID of the list; ``resample`` allows repair of uneven stacks."""


class LabelReader(Protocol):
    """Reads labels onto the grid of a scan."""

    def read_labels(
        self,
        path: Path,
        *,
        reference: ReadImage,
        names: Mapping[int, str] | None = None,
        progress: Progress,
    ) -> LabelSet:
        """Read every structure; resample another grid of the same frame, refuse another frame."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PlanContext:
    """All that a writer may need beside the plan itself.

    ``spread`` where one was simulated; ``scene`` where the paths were judged in this run.
    """

    plan: Plan
    image: ReadImage
    arterial: Volume | None
    anatomy: Anatomy
    manifest: Manifest
    plan_document: Mapping[str, Any]
    spread: PlanSpread | None = None
    scene: Scene | None = None


class PlanWriter(Protocol):
    """Writes one or more files of a plan into a folder that is not yet public.

    ``requires`` names files of other writers that must exist first (the encapsulated PDF needs ``sheet.pdf``).
    """

    requires: Sequence[str]

    def write_plan(self, context: PlanContext, folder: Path, *, progress: Progress) -> tuple[str, ...]:
        """Write and return the file names, relative to the folder."""
