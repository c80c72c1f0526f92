"""Give a series that was kept without identity to another patient's pseudonym."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hepatica.adapters.dicom.deid_dataset import shift_date
from hepatica.adapters.dicom.headers import quiet_pydicom
from hepatica.adapters.dicom.scan_source import derive_image_name, to_member
from hepatica.adapters.dicom.work_folder import open_work_folder
from hepatica.core.errors import refuse_unreadable
from hepatica.core.progress import Progress
from hepatica.workflows.scan_ports import Disguise

if TYPE_CHECKING:
    from pydicom.dataset import Dataset


def make_readdresser(*, work: Path) -> Callable[..., Any]:
    """Return what rewrites a stored series for another patient.

    Parameters
    ----------
    work
        Folder for archives in the making.
    """

    @contextmanager
    def readdress(path: Path, *, held: Disguise, wanted: Disguise, progress: Progress) -> Iterator[Path]:
        days = wanted.offset_days - held.offset_days
        with open_work_folder(work) as folder:
            new = folder / "series.zip"
            with (
                refuse_unreadable(expected="a stored series", where="files of the record"),
                quiet_pydicom(),
                zipfile.ZipFile(path) as source,
                zipfile.ZipFile(new, "w", zipfile.ZIP_STORED) as target,
            ):
                members = source.infolist()
                for number, member in enumerate(members):
                    progress.check_cancelled()
                    data = _rewrite(source.read(member), subject_id=wanted.subject_id, days=days)
                    target.writestr(to_member(derive_image_name(data)), data)
                    progress.advance((number + 1) / len(members))
            yield new

    return readdress


def _rewrite(data: bytes, *, subject_id: str, days: int) -> bytes:
    import pydicom

    dataset = pydicom.dcmread(io.BytesIO(data))
    _shift_all(dataset, days=days)
    dataset.PatientName = dataset.PatientID = subject_id
    buffer = io.BytesIO()
    dataset.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()


def _shift_all(dataset: Dataset, *, days: int) -> None:
    """Move every date; all that a kept object still holds were moved when it was taken in."""
    for element in dataset:
        if element.VR == "SQ":
            for item in element.value:
                _shift_all(item, days=days)
        elif element.VR in ("DA", "DT") and element.value:
            values = element.value if element.VM > 1 else [element.value]
            moved = [shift_date(str(value), days=days) or "" for value in values]
            element.value = moved if len(moved) > 1 else moved[0]
