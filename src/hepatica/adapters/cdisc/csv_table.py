"""CSV files as tables of text, read once and written whole or not at all."""

from __future__ import annotations

import csv
import hashlib
import io
import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from operator import itemgetter
from pathlib import Path
from typing import Any, TextIO

from hepatica.core.errors import InputError, NotFoundError, OutputError, SourceFormatError

Row = tuple[str, ...]
MOST_POOLED = 100_000
"""Texts shared between cells; more are forgotten, so that reading a long table takes no more and more memory."""


def read_rows(
    path: Path, *, required: Sequence[str], optional: Sequence[str] = (), role: str = "table"
) -> Iterator[tuple[int, Row | None]]:
    """Yield the line number and the wanted cells of each row; further columns are ignored.

    Parameters
    ----------
    path
        UTF-8 file, comma separated, with a header line. Column names are matched whatever their case.
    required, optional
        Columns in the order of the cells; an optional one that is absent gives empty cells.
    role
        What refusals call the table; never the file name, which may hold a person's name.

    Yields
    ------
    line, cells
        Line 1 is the header. None in place of the cells where a row has another number of cells.

    Raises
    ------
    NotFoundError, SourceFormatError
        If there is no such file, or it is not UTF-8 text.
    InputError
        If a required column is missing or a column stands twice.
    """
    with _open_text(path, role) as stream, _refusing_bad_text(role):
        yield from _read_open(stream, role, required=required, optional=optional)


def read_header(path: Path, *, role: str = "table") -> tuple[str, ...]:
    """Return the column names of a CSV file as written, without spaces around them.

    Raises
    ------
    NotFoundError, SourceFormatError
        If there is no such file, or it is not UTF-8 text.
    """
    with _open_text(path, role) as stream, _refusing_bad_text(role):
        return tuple(cell.strip() for cell in next(csv.reader(stream, strict=True), []))


def _open_text(path: Path, role: str) -> TextIO:
    try:
        return path.open(encoding="utf-8-sig", newline="")
    except FileNotFoundError:
        raise NotFoundError(
            expected="a CSV file", given="nothing of that name", where=role, action="check the path"
        ) from None
    except OSError as error:
        raise SourceFormatError(
            expected="a readable CSV file", given=error.strerror or type(error).__name__, where=role
        ) from error


@contextmanager
def _refusing_bad_text(name: str) -> Iterator[None]:
    try:
        yield
    except (UnicodeDecodeError, csv.Error) as error:
        raise SourceFormatError(
            expected="comma separated UTF-8 text",
            given=f"unreadable content ({type(error).__name__})",
            where=name,
            action="save the table as UTF-8 CSV",
        ) from None


def _read_open(
    stream: TextIO, name: str, *, required: Sequence[str], optional: Sequence[str]
) -> Iterator[tuple[int, Row | None]]:
    # Strict: an open quotation mark would swallow all rows after it into one cell.
    reader = csv.reader(stream, strict=True)
    header = [cell.strip().upper() for cell in next(reader, [])]
    wanted = check_header(header, required=required, optional=optional, role=name)
    width = len(header)
    # Absent optional columns read an empty cell that is added behind the last one.
    pick = itemgetter(*(header.index(column) if column in header else width for column in wanted))
    pool: dict[str, str] = {}
    keep = pool.setdefault
    for row in reader:
        if not row:
            continue
        if len(pool) > MOST_POOLED:
            pool.clear()
        if len(row) != width:
            yield reader.line_num, None
            continue
        row.append("")
        cells = pick(row)
        yield reader.line_num, tuple(keep(cell, cell) for cell in cells)


def check_header(
    header: Sequence[str], *, required: Sequence[str], optional: Sequence[str], role: str
) -> list[str]:
    """Return the wanted columns in upper case, or refuse a header that lacks one or has one twice."""
    absent = [column for column in required if column.upper() not in header]
    if absent:
        raise InputError(
            expected=f"columns {', '.join(required)}",
            given=f"no column {', '.join(absent)}",
            where=role,
            action="add the columns, or check that the file is the right one",
        )
    wanted = [column.upper() for column in (*required, *optional)]
    twice = [column for column in wanted if header.count(column) > 1]
    if twice:
        raise InputError(expected="each column once", given=f"column {twice[0]} twice", where=role)
    return wanted


@contextmanager
def write_rows(path: Path, columns: Sequence[str]) -> Iterator[Any]:
    """Yield a CSV writer; the file appears whole when the block ends, or not at all.

    Parameters
    ----------
    path
        File to write; an earlier one is replaced.
    columns
        Header line.

    Raises
    ------
    OutputError
        If the disk refuses.
    """
    try:
        if path.is_dir():
            raise IsADirectoryError(21, "a folder of that name")
        handle, temporary = tempfile.mkstemp(
            prefix=f".{path.name}.", suffix=".partial", dir=path.absolute().parent
        )
    except OSError as error:
        raise _refuse_output(path, error) from error
    try:
        with os.fdopen(handle, "w", encoding="utf-8", newline="") as stream:
            writer = csv.writer(stream, lineterminator="\n")
            writer.writerow(columns)
            yield writer
        umask = os.umask(0)
        os.umask(umask)
        os.chmod(temporary, 0o666 & ~umask)
        os.replace(temporary, path)
    except BaseException as error:
        with suppress(FileNotFoundError):
            os.unlink(temporary)
        if isinstance(error, OSError):
            raise _refuse_output(path, error) from error
        raise


def _refuse_output(path: Path, error: OSError) -> OutputError:
    return OutputError(
        expected="to write the result",
        given=error.strerror or type(error).__name__,
        where=str(path),
        action="check the disk, the folder and its permissions",
    )


def write_table(path: Path, columns: Sequence[str], rows: Sequence[Mapping[str, str]]) -> None:
    """Write rows given by column name."""
    with write_rows(path, columns) as writer:
        for row in rows:
            writer.writerow([row[column] for column in columns])


def to_csv(columns: Sequence[str], rows: Sequence[Mapping[str, str]]) -> bytes:
    """Return a table as the bytes of a CSV file, for writing together with other files."""
    stream = io.StringIO(newline="")
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows([row[column] for column in columns] for row in rows)
    return stream.getvalue().encode("utf-8")


def digest_file(path: Path) -> str:
    """Return the SHA-256 of a file of any size, in hexadecimal."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
