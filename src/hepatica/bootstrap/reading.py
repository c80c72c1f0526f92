"""Readers of scans, labels and names."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from hepatica.core.errors import NotFoundError

if TYPE_CHECKING:
    from hepatica.anatomy.segments import LabelledSegment
    from hepatica.workflows.ports import ImageReader, LabelReader, ReadImage


def make_image_reader() -> ImageReader:
    """Return a reader of every scan format."""
    from hepatica.adapters.dicom.image_reader import DicomImageReader
    from hepatica.adapters.files.readers import FormatImageReader
    from hepatica.adapters.files.sniff import SourceFormat
    from hepatica.adapters.files.tree import open_tree
    from hepatica.adapters.nifti.image_reader import VolumeFileImageReader

    files = VolumeFileImageReader(open_tree)
    return FormatImageReader(
        {
            SourceFormat.DICOM: DicomImageReader(open_tree),
            SourceFormat.NIFTI: files,
            SourceFormat.NRRD: files,
            SourceFormat.METAIMAGE: files,
        }
    )


def make_label_reader() -> LabelReader:
    """Return a reader of every label format."""
    from hepatica.adapters.dicom.label_reader import DicomLabelReader
    from hepatica.adapters.files.readers import FormatLabelReader
    from hepatica.adapters.files.sniff import SourceFormat
    from hepatica.adapters.files.tree import open_tree
    from hepatica.adapters.nifti.label_reader import VolumeFileLabelReader

    files = VolumeFileLabelReader(open_tree)
    return FormatLabelReader(
        {
            SourceFormat.DICOM: DicomLabelReader(open_tree),
            SourceFormat.NIFTI: files,
            SourceFormat.NRRD: files,
            SourceFormat.METAIMAGE: files,
        }
    )


def read_names(name: str) -> Mapping[int, str]:
    """Return a names table: a built-in one by name, or a CSV file."""
    from hepatica.adapters.files.names_table import read_names_table
    from hepatica.anatomy.naming import read_label_numbers

    path = Path(name)
    if path.suffix or path.exists():
        return read_names_table(path)
    return read_label_numbers(name)


def _read_files(path: Path) -> Iterator[tuple[str, bytes]]:
    from hepatica.adapters.files.tree import open_tree

    with open_tree(path) as tree:
        for entry in tree.entries:
            yield entry.name, tree.read_bytes(entry)


def read_image(path: Path | str, *, series: str | None = None, resample: bool = False) -> ReadImage:
    """Read one scan from a folder, archive or file; see `hepatica.workflows.ports.ImageReader`."""
    from hepatica.core.progress import SILENT

    return make_image_reader().read_image(Path(path), series=series, resample=resample, progress=SILENT)


def read_segments(path: Path | str, *, reference: ReadImage, names: str = "") -> tuple[LabelledSegment, ...]:
    """Read every labelled structure of one source onto the grid of a scan.

    Parameters
    ----------
    path
        Label map, DICOM SEG, RTSTRUCT, or folder/zip of mask series.
    reference
        Scan the labels belong to.
    names
        CSV file or built-in table for a label map.
    """
    from hepatica.core.progress import SILENT
    from hepatica.workflows.read_labels import to_segments

    table = read_names(names) if names else None
    labels = make_label_reader().read_labels(Path(path), reference=reference, names=table, progress=SILENT)
    return to_segments(labels, source="labels")


def read_schema(name: str) -> str:
    """Return a published JSON Schema as text.

    Parameters
    ----------
    name
        ``plan``, ``facts`` or ``spread``.
        ``plan``, ``facts`` or ``explain``.
        ``plan``, ``track`` or ``facts``.
        ``plan``, ``facts`` or ``procedure``.
    """
    from hepatica.core.evidence import read_resource

    homes = {
        "plan": ("hepatica.resources.schemas", "plan.schema.json"),
        "track": ("hepatica.resources.schemas", "track.schema.json"),
        "facts": ("hepatica.planning.tables", "facts.schema.json"),
        "spread": ("hepatica.resources.schemas", "spread.schema.json"),
        "explain": ("hepatica.resources.schemas", "explain.schema.json"),
        "procedure": ("hepatica.resources.schemas", "procedure.schema.json"),
    }
    if name not in homes:
        raise NotFoundError(expected=f"one of {', '.join(homes)}", given=f"'{name}'", where="schema")
    return read_resource(*homes[name]).decode("utf-8")
