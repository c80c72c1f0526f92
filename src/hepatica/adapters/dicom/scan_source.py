"""The DICOM series of a folder, archive or file, and each of them as one archive for the record."""

from __future__ import annotations

import io
import json
import zipfile
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from hepatica.adapters.dicom.deid_dataset import Cleaning
from hepatica.adapters.dicom.deid_policy import read_policy
from hepatica.adapters.dicom.deidentify import deidentify, is_supported
from hepatica.adapters.dicom.headers import SliceRecord, quiet_pydicom, read_headers
from hepatica.adapters.dicom.phase_hint import derive_phase_hints
from hepatica.adapters.dicom.scan_people import VAULTED, find_identity, find_suspicions, note_true_values
from hepatica.adapters.dicom.work_folder import open_work_folder
from hepatica.core.errors import SourceFormatError, refuse_unreadable
from hepatica.core.progress import Progress
from hepatica.core.provenance import digest_bytes
from hepatica.record.scan_identity import HeaderIdentity
from hepatica.workflows.ports import FileEntry, FileTree
from hepatica.workflows.record_ports import VaultEntry
from hepatica.workflows.scan_ports import Disguise, FoundSeries, PackedSeries

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

NAME_LENGTH: Final = 40
"""Letters of an image's digest that make its name in the archive."""
LOOKED_AT: Final = 7
"""Images of a series whose pixels are looked at for text, spread over the series with both ends."""
_OLD: Final = (1980, 1, 1, 0, 0, 0)
"""The earliest time an archive can hold: the same series gives the same bytes whenever it is packed."""


@dataclass(slots=True)
class _Packing:
    """What packing one series has found so far."""

    cleaning: Cleaning | None
    seen: set[str] = field(default_factory=set)
    identities: set[HeaderIdentity] = field(default_factory=set)
    suspicions: set[str] = field(default_factory=set)
    left_out: int = 0
    true_values: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))


class DicomSeriesSource:
    """The series of one open tree.

    Parameters
    ----------
    tree
        Files.
    work
        Folder for archives in the making.
    progress
        Told about reading headers; may cancel.
    """

    def __init__(self, tree: FileTree, *, work: Path, progress: Progress) -> None:
        progress.stage("reading headers")
        index = read_headers(tree)
        progress.check_cancelled()
        if index.unreadable:
            # One may be an end slice, where no gap would show.
            raise SourceFormatError(
                expected="complete DICOM files",
                given=f"{len(index.unreadable)} that cannot be read, the first is {index.unreadable[0]}",
                action="copy or export the files again, or remove them",
            )
        self._tree, self._work = tree, work
        self.other_files = index.ignored
        self._records: dict[str, list[SliceRecord]] = defaultdict(list)
        for record in index.records:
            if not record.series_uid:
                raise SourceFormatError(
                    expected="a Series Instance UID", given="none", where=record.entry.position
                )
            self._records[record.series_uid].append(record)
        if not self._records:
            raise SourceFormatError(
                expected="DICOM files", given=f"{index.ignored} other file(s)", action="check the path"
            )
        uids = sorted(self._records)
        hints = derive_phase_hints([self._records[uid] for uid in uids])
        self.series = tuple(
            _to_found(self._records[uid], hint) for uid, hint in zip(uids, hints, strict=True)
        )

    @contextmanager
    def pack(
        self, found: FoundSeries, *, disguise: Disguise | None, progress: Progress
    ) -> Iterator[PackedSeries]:
        """Put a series into one archive, under a disguise where one is given.

        Parameters
        ----------
        found
            One of `series`.
        disguise
            None to keep every byte.
        progress
            Told about each image; may cancel.
        """
        cleaning = None if disguise is None else Cleaning(policy=read_policy(), disguise=disguise)
        packing = _Packing(cleaning=cleaning)
        entries = self._order(found.series_uid)
        looked_at = set(_spread(len(entries), LOOKED_AT)) if cleaning else set()
        with open_work_folder(self._work) as folder:
            path = folder / "series.zip"
            with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
                for number, entry in enumerate(entries):
                    progress.check_cancelled()
                    self._take(entry, packing, archive, looks=number in looked_at)
                    progress.advance((number + 1) / len(entries))
            if not packing.seen:
                raise SourceFormatError(
                    expected="images, segmentations or reports",
                    given="only objects that cannot be cleaned of identity",
                    where=f"a series of {len(entries)} file(s)",
                    action="import it into a clinical record, or leave it out",
                )
            yield _to_packed(path, found, packing)

    def _order(self, series_uid: str) -> list[FileEntry]:
        """Return the files of a series in an order that does not depend on their names."""
        entries: dict[str, FileEntry] = {}
        for record in sorted(self._records[series_uid], key=lambda record: record.sop_instance_uid):
            entries.setdefault(record.entry.name, record.entry)
        return list(entries.values())

    def _take(self, entry: FileEntry, packing: _Packing, archive: zipfile.ZipFile, *, looks: bool) -> None:
        data = self._tree.read_bytes(entry)
        with quiet_pydicom(), refuse_unreadable(expected="a complete DICOM file", where=entry.position):
            dataset = _read(data, whole=packing.cleaning is not None)
            packing.identities.add(find_identity(dataset))
        if packing.cleaning is not None:
            if not is_supported(dataset, packing.cleaning):
                packing.left_out += 1
                return
            with quiet_pydicom():
                note_true_values(dataset, packing.true_values)
                packing.suspicions |= find_suspicions(dataset, packing.cleaning.policy, looks=looks)
            with refuse_unreadable(expected="a DICOM object that can be cleaned", where=entry.position):
                data = deidentify(dataset, packing.cleaning, where=entry.position)
        name = derive_image_name(data)
        if name in packing.seen:
            return
        packing.seen.add(name)
        archive.writestr(to_member(name), data)


def derive_image_name(data: bytes) -> str:
    """Return what an image is called in an archive: a digest of its data set, whoever wrote the file.

    Parameters
    ----------
    data
        DICOM file.
    """
    return digest_bytes(data[_find_dataset_start(data) :])[:NAME_LENGTH]


def _find_dataset_start(data: bytes) -> int:
    """Return where the data set begins: what stands before it says who wrote the file, not what the image is."""
    head = data[128:144]
    if head[:4] != b"DICM" or head[4:12] != b"\x02\x00\x00\x00UL\x04\x00":
        return 0
    return 144 + int.from_bytes(head[12:16], "little")


def make_opener(open_tree: Callable[[Path], FileTree], *, work: Path) -> Callable[..., Any]:
    """Return what opens a path as its series.

    Parameters
    ----------
    open_tree
        Opens a path as a tree of files.
    work
        Folder for archives in the making, on the disk of the record; made if needed, private.
    """

    @contextmanager
    def open_series(path: Path, *, progress: Progress) -> Iterator[DicomSeriesSource]:
        with quiet_pydicom(), open_tree(path) as tree:
            yield DicomSeriesSource(tree, work=work, progress=progress)

    return open_series


def read_study_uid(data: bytes) -> str:
    """Return the study of a DICOM object, empty text where it names none.

    Parameters
    ----------
    data
        The file.
    """
    import pydicom

    with quiet_pydicom(), refuse_unreadable(expected="a DICOM object", where="files of the record"):
        dataset = pydicom.dcmread(io.BytesIO(data), specific_tags=["StudyInstanceUID"])
        return str(dataset.get("StudyInstanceUID", ""))


def list_images(path: Path) -> frozenset[str]:
    """Return the names of the images in a stored archive; equal images have equal names.

    Parameters
    ----------
    path
        Archive from `DicomSeriesSource.pack`.
    """
    with (
        refuse_unreadable(expected="a stored series", where="files of the record"),
        zipfile.ZipFile(path) as archive,
    ):
        return frozenset(archive.namelist())


def to_member(name: str) -> zipfile.ZipInfo:
    """Return the entry of an image in a stored archive.

    Parameters
    ----------
    name
        From the image's digest.
    """
    member = zipfile.ZipInfo(f"{name}.dcm", date_time=_OLD)
    member.external_attr = 0o600 << 16
    return member


def _read(data: bytes, *, whole: bool) -> Dataset:
    import pydicom

    if whole:
        return pydicom.dcmread(io.BytesIO(data), force=True)
    wanted = ["SpecificCharacterSet", "PatientName", "PatientBirthDate", "PatientSex"]
    return pydicom.dcmread(io.BytesIO(data), force=True, stop_before_pixels=True, specific_tags=list(wanted))


def _spread(count: int, wanted: int) -> list[int]:
    if count <= wanted:
        return list(range(count))
    return [round(n * (count - 1) / (wanted - 1)) for n in range(wanted)]


def _to_found(records: Sequence[SliceRecord], hint: str) -> FoundSeries:
    first = records[0]
    day = first.study_date
    return FoundSeries(
        series_uid=first.series_uid,
        study_uid=first.study_uid,
        modality=first.modality or "OT",
        acquired_date=f"{day[:4]}-{day[4:6]}-{day[6:8]}" if len(day) == 8 and day.isdigit() else "",
        phase_hint=hint,
        image_count=len(records),
    )


def _to_packed(path: Path, found: FoundSeries, packing: _Packing) -> PackedSeries:
    identities = tuple(sorted(packing.identities, key=lambda one: (one.family_name, one.given_name)))
    cleaning = packing.cleaning
    if cleaning is None:
        return PackedSeries(path=path, found=found, identities=identities)
    names = cleaning.disguise.pseudonyms
    series_uid = names.to_uid(found.series_uid)
    truth = {name: sorted(packing.true_values[name]) for name in VAULTED if packing.true_values.get(name)}
    vault = [VaultEntry(purpose="uid", pseudonym=new, original=old) for new, old in cleaning.uids.items()]
    vault.append(
        VaultEntry(purpose="series", pseudonym=series_uid, original=json.dumps(truth, sort_keys=True))
    )
    removal = {
        "table": cleaning.policy.version,
        "objects": len(packing.seen),
        "objects_left_out": packing.left_out,
        "attributes": [
            {"tag": tag, "name": name, "action": action, "count": count}
            for (tag, name, action), count in sorted(cleaning.counts.items())
        ],
    }
    return PackedSeries(
        path=path,
        found=FoundSeries(
            series_uid=series_uid,
            study_uid=names.to_uid(found.study_uid),
            modality=found.modality,
            acquired_date=_shift(found.acquired_date, days=cleaning.disguise.offset_days),
            phase_hint=found.phase_hint,
            image_count=found.image_count - packing.left_out,
        ),
        identities=identities,
        suspicions=tuple(sorted(packing.suspicions)),
        removal=removal,
        vault=tuple(vault),
    )


def _shift(day: str, *, days: int) -> str:
    from hepatica.adapters.dicom.deid_dataset import shift_date

    moved = shift_date(day.replace("-", ""), days=days)
    return f"{moved[:4]}-{moved[4:6]}-{moved[6:]}" if moved else ""
