"""What takes scans into a record and sends results back."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hepatica.record.moved_dates import MovedDates
    from hepatica.record.pseudonyms import Pseudonyms
    from hepatica.workflows.scan_ports import PacsDirectory, ScanPorts


def make_scan_ports(home: Path, *, mode: str) -> ScanPorts:
    """Join the world to the workflows that take scans into a record.

    Parameters
    ----------
    home
        The record's folder.
    mode
        The record's mode.
    """
    from hepatica.adapters.dicom.readdress import make_readdresser
    from hepatica.adapters.dicom.scan_source import list_images, make_opener, read_study_uid
    from hepatica.adapters.dicom.work_folder import open_work_folder
    from hepatica.adapters.files.tree import open_tree
    from hepatica.workflows.scan_ports import ScanPorts

    work = home / "incoming"
    return ScanPorts(
        open_series=make_opener(open_tree, work=work),
        list_images=list_images,
        readdress=make_readdresser(work=work),
        make_folder=lambda: open_work_folder(work),
        read_study_uid=read_study_uid,
        mode=mode,
        pseudonyms=make_pseudonyms(home, mode=mode),
    )


def make_pseudonyms(home: Path, *, mode: str) -> Pseudonyms | None:
    """Return what makes the pseudonyms of a research record; None of others, which keep who is who."""
    from hepatica.adapters.store.home import read_key
    from hepatica.record.pseudonyms import Pseudonyms, derive_pseudonym_key

    return Pseudonyms(key=derive_pseudonym_key(read_key(home, "seal.key"))) if mode == "research" else None


def make_moved_dates(home: Path, *, mode: str) -> MovedDates | None:
    """Return how a research record moves the dates of its patients: by the offset of their scans."""
    from hepatica.record.moved_dates import MovedDates

    pseudonyms = make_pseudonyms(home, mode=mode)
    return MovedDates(find_offset_days=pseudonyms.to_offset_days) if pseudonyms else None


def make_pacs_directory(home: Path) -> PacsDirectory:
    """Return the archives that the configuration in a record's folder names."""
    from hepatica.adapters.dicom.pacs_directory import ConfiguredPacs

    return ConfiguredPacs(home)
