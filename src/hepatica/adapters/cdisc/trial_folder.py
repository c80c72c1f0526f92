"""Which files of a folder are which SDTM datasets, told from their content."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from hepatica.adapters.cdisc.dataset import read_dataset
from hepatica.adapters.cdisc.dataset_writer import keep_good, read_dataset_rows
from hepatica.adapters.cdisc.tables import read_header, read_rows
from hepatica.core.errors import HepaticaError, InputError, NotFoundError, SourceFormatError
from hepatica.core.findings import Severity
from hepatica.workflows.derive_response import RowFinding

DOMAINS: Final = ("DM", "EX", "AE", "LB", "DS", "CM", "TU", "TR", "RS")
SUPPLEMENTED: Final = tuple(f"SUPP{name}" for name in DOMAINS)
MOST_FILES: Final = 500


def find_tables(folder: Path) -> tuple[Mapping[str, Path], Sequence[str]]:
    """Return the file of each dataset, and a name for each file that is none.

    A dataset is known by its variable DOMAIN, a supplement by RDOMAIN and QNAM; without rows, by the name of the file.
    Files are named by their number in alphabetical order, since a name may hold a person's.

    Raises
    ------
    NotFoundError
        If there is no such folder.
    InputError
        If two files hold one dataset.
    SourceFormatError
        If there are too many files for a trial.
    """
    if not folder.is_dir():
        raise NotFoundError(
            expected="a folder of SDTM files", given="no folder", where="DATA", action="check the path"
        )
    files = sorted(path for path in folder.iterdir() if path.is_file() and not path.name.startswith("."))
    if len(files) > MOST_FILES:
        raise SourceFormatError(expected=f"at most {MOST_FILES} files", given=str(len(files)), where="DATA")
    found: dict[str, Path] = {}
    strangers = []
    for number, path in enumerate(files, start=1):
        name = _name_dataset(path, role=f"file {number}")
        if name not in (*DOMAINS, *SUPPLEMENTED):
            strangers.append(f"file {number}")
        elif name in found:
            raise InputError(
                expected=f"one file of {name}", given="two", where=f"file {number}",
                action="keep one of them in the folder",
            )  # fmt: skip
        else:
            found[name] = path
    return found, strangers


def _name_dataset(path: Path, *, role: str) -> str:
    stem = path.stem.upper()
    try:
        columns = {column.upper() for column in read_header(path, role=role)}
        wanted = "RDOMAIN" if {"RDOMAIN", "QNAM"} <= columns else "DOMAIN"
        if wanted not in columns:
            return stem if "USUBJID" in columns and stem in (*DOMAINS, *SUPPLEMENTED) else ""
        first = next(iter(read_rows(path, required=(wanted, "USUBJID"), role=role)), None)
    except HepaticaError:
        return stem if stem in (*DOMAINS, *SUPPLEMENTED) else ""
    if first is None or first[1] is None:
        return stem
    word = first[1][0].strip().upper()
    return f"SUPP{word}" if wanted == "RDOMAIN" else word


@contextmanager
def open_room() -> Iterator[Path]:
    """Yield a private folder that vanishes."""
    with tempfile.TemporaryDirectory(prefix="hepatica-trial-") as name:
        yield Path(name)


def read_sums(folder: Path) -> list[dict[str, Any]]:
    """Return the rows of ``adtr.csv`` in a folder as typed values."""
    return list(read_dataset_rows(folder / "adtr.csv", read_dataset("adtr")))


def keep_good_rows(
    name: str, rows: Sequence[Mapping[str, Any]]
) -> tuple[list[dict[str, Any]], list[RowFinding]]:
    """Return the rows that fit the description of a dataset, and a finding about each of the others."""
    good, lost = keep_good(rows, read_dataset(name))
    return good, [
        RowFinding(
            rule="report.dataset", severity=Severity.ERROR, table=name, row=number, column="", message=message
        )
        for number, message in lost
    ]
