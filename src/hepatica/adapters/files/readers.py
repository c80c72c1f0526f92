"""Readers that look at the content of a path and hand over to the reader of its format."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from hepatica.adapters.files.sniff import SourceFormat, sniff_format
from hepatica.core.errors import SourceFormatError
from hepatica.core.progress import Progress
from hepatica.workflows.ports import ImageReader, LabelReader, LabelSet, ReadImage, SeriesSummary


class FormatImageReader:
    """An image reader for every format it was given a reader for.

    Parameters
    ----------
    readers
        Reader by format.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     _ = (Path(folder) / "ct.nrrd").write_bytes(b"NRRD0004\\n")
    ...     FormatImageReader({}).list_series(Path(folder))
    Traceback (most recent call last):
    hepatica.core.errors.SourceFormatError: expected a format that is read here; given NRRD; do: convert the file
    """

    def __init__(self, readers: Mapping[SourceFormat, ImageReader]) -> None:
        self._readers = dict(readers)

    def list_series(self, path: Path) -> tuple[SeriesSummary, ...]:
        """List what the path holds; see `hepatica.workflows.ports.ImageReader`."""
        return self._choose(path).list_series(path)

    def read_image(
        self, path: Path, *, series: str | None = None, resample: bool = False, progress: Progress
    ) -> ReadImage:
        """Read one series; see `hepatica.workflows.ports.ImageReader`."""
        return self._choose(path).read_image(path, series=series, resample=resample, progress=progress)

    def _choose(self, path: Path) -> ImageReader:
        kind = sniff_format(path)
        if kind not in self._readers:
            raise _no_reader(kind)
        return self._readers[kind]


class FormatLabelReader:
    """A label reader for every format it was given a reader for.

    Parameters
    ----------
    readers
        Reader by format.
    """

    def __init__(self, readers: Mapping[SourceFormat, LabelReader]) -> None:
        self._readers = dict(readers)

    def read_labels(
        self, path: Path, *, reference: ReadImage, names: Mapping[int, str] | None = None, progress: Progress
    ) -> LabelSet:
        """Read every structure; see `hepatica.workflows.ports.LabelReader`."""
        kind = sniff_format(path)
        if kind not in self._readers:
            raise _no_reader(kind)
        return self._readers[kind].read_labels(path, reference=reference, names=names, progress=progress)


def _no_reader(kind: SourceFormat) -> SourceFormatError:
    return SourceFormatError(
        expected="a format that is read here", given=str(kind), action="convert the file"
    )
