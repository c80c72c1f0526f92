"""Tables of any supported format as rows of text: CSV, SAS transport version 5, Dataset-JSON 1.1.

The format is told from the first bytes of the file and never from its name.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from enum import StrEnum
from operator import itemgetter
from pathlib import Path
from typing import Final

from hepatica.adapters.cdisc import csv_table, dataset_json, xpt_table
from hepatica.core.errors import NotFoundError, SourceFormatError

Row = tuple[str, ...]
HEAD_BYTES: Final = 4096
XPT_MARK: Final = b"HEADER RECORD*******LIBRARY HEADER RECORD!!!!!!!"
XPT8_MARK: Final = b"HEADER RECORD*******LIBV8   HEADER RECORD!!!!!!!"
BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"


class TableFormat(StrEnum):
    """Formats of a table."""

    CSV = "csv"
    XPT = "xpt"
    """SAS transport, version 5."""
    JSON = "json"
    """Dataset-JSON 1.1, one document or one line for each row (NDJSON)."""


def sniff_table(path: Path, *, role: str = "table") -> TableFormat:
    """Tell the format of a table from its first bytes.

    Parameters
    ----------
    path
        The file.
    role
        What refusals call it, for example ``tu``; never the file name, which may hold a person's name.

    Raises
    ------
    NotFoundError, SourceFormatError
        If there is no such file, it cannot be read, or it is SAS transport version 8.
    """
    try:
        with path.open("rb") as stream:
            head = stream.read(HEAD_BYTES)
    except FileNotFoundError:
        raise NotFoundError(
            expected="a table", given="nothing at that path", where=role, action="check the path"
        ) from None
    except OSError as error:
        raise SourceFormatError(
            expected="a readable table", given=error.strerror or type(error).__name__, where=role
        ) from error
    if head.startswith(XPT_MARK):
        return TableFormat.XPT
    if head.startswith(XPT8_MARK):
        raise SourceFormatError(
            expected="SAS transport version 5",
            given="version 8",
            where=role,
            action="export the dataset as version 5, Dataset-JSON or CSV",
        )
    return TableFormat.JSON if head.removeprefix(BYTE_ORDER_MARK).lstrip()[:1] == b"{" else TableFormat.CSV


Opened = tuple[tuple[str, ...], Iterator[tuple[int, Sequence[str]]]]
_OPENERS: Final[dict[TableFormat, Callable[[Path, str], Opened]]] = {
    TableFormat.XPT: xpt_table.open_table,
    TableFormat.JSON: dataset_json.open_table,
}


def read_rows(
    path: Path, *, required: Sequence[str], optional: Sequence[str] = (), role: str = "table"
) -> Iterator[tuple[int, Row | None]]:
    """Yield the number and the wanted cells of each row, as text; further columns are ignored.

    Parameters
    ----------
    path
        CSV with a header line (UTF-8), SAS transport version 5, or Dataset-JSON 1.1.
    required, optional
        Columns in the order of the cells, whatever their case; an optional one that is absent gives empty
        cells.
    role
        What refusals call the table.

    Yields
    ------
    line, cells
        The header, or the description of the columns, is line 1. None in place of the cells where a row has
        another number of cells. Missing values are empty; numbers have no trailing zeros; numeric dates
        with a date format are ISO 8601.

    Raises
    ------
    NotFoundError, SourceFormatError
        If there is no such file or its content cannot be read.
    InputError
        If a required column is missing or a column stands twice.
    """
    kind = sniff_table(path, role=role)
    if kind is TableFormat.CSV:
        yield from csv_table.read_rows(path, required=required, optional=optional, role=role)
        return
    names, rows = _OPENERS[kind](path, role)
    header = [name.strip().upper() for name in names]
    wanted = csv_table.check_header(header, required=required, optional=optional, role=role)
    width = len(header)
    places = [header.index(column) if column in header else width for column in wanted]
    pick = itemgetter(*places) if len(places) > 1 else lambda cells: (cells[places[0]],)
    for line, cells in rows:
        yield line, pick((*cells, "")) if len(cells) == width else None


def read_header(path: Path, *, role: str = "table") -> tuple[str, ...]:
    """Return the column names of a table as written, without spaces around them.

    Raises
    ------
    NotFoundError, SourceFormatError
        As `read_rows`.
    """
    kind = sniff_table(path, role=role)
    if kind is TableFormat.CSV:
        return csv_table.read_header(path, role=role)
    return tuple(name.strip() for name in _OPENERS[kind](path, role)[0])
