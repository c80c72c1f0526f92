"""Names of label values from a table."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Final

from hepatica.core.errors import InputError, NotFoundError, SourceFormatError, refuse_unreadable

_VALUE_HEADERS: Final = (
    "value",
    "id",
    "label",
    "index",
    "number",
    "labelvalue",
    "label_value",
    "label value",
    "key",
)
_NAME_HEADERS: Final = (
    "name",
    "structure",
    "labelname",
    "label_name",
    "label name",
    "organ",
    "description",
    "text",
)
_DELIMITERS: Final = ",;\t"
_MAX_TABLE_BYTES: Final = 4 * 1024**2
_MAX_NAME_LENGTH: Final = 128


def read_names_table(path: Path) -> Mapping[int, str]:
    """Read a table of label values and names.

    Parameters
    ----------
    path
        Text file with comma, semicolon or tab between columns, with or without a header line. With a
        header, columns
        are found by name (``value``, ``id``, ``label`` ...; ``name``, ``structure`` ...); without, the
        first whole
        number is the value and the first other text the name. Lines starting with ``#`` are skipped.

    Raises
    ------
    NotFoundError
        If the file does not exist.
    SourceFormatError
        If it is not text, or far too long.
    InputError
        If a row has no value or name, or one value has two names.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     table = Path(folder) / "labels.csv"
    ...     _ = table.write_text("value,name\\n5,liver\\n")
    ...     read_names_table(table)[5]
    'liver'
    """
    text = _read_text(path)
    delimiter = max(_DELIMITERS, key=text.count)
    with refuse_unreadable(
        expected="a table of short rows", where=path.name, action="look for a quotation mark without its pair"
    ):
        rows = [
            (number, [cell.strip() for cell in row])
            for number, row in enumerate(csv.reader(text.splitlines(), delimiter=delimiter), start=1)
            if any(cell.strip() for cell in row) and not row[0].lstrip().startswith("#")
        ]
    if not rows:
        raise InputError(expected="rows of label value and name", given="an empty table")
    columns = _find_columns(rows[0][1])
    if columns is None:
        columns = _guess_columns(rows[0][1], where=f"row {rows[0][0]}")
        body = rows
    else:
        body = rows[1:]
    names: dict[int, str] = {}
    for number, row in body:
        value, name = _read_row(row, columns, where=f"row {number}")
        if names.setdefault(value, name) != name:
            raise InputError(
                expected="one name for each value",
                given=f"value {value} named twice",
                where=f"row {number}",
            )
    return MappingProxyType(names)


def _read_text(path: Path) -> str:
    if not path.is_file():
        raise NotFoundError(expected="a table file", given="no file at that path", action="check the path")
    if path.stat().st_size > _MAX_TABLE_BYTES:
        raise SourceFormatError(expected="a names table below 4 MiB", given="a larger file")
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError:
        raise SourceFormatError(
            expected="UTF-8 text", given="other bytes", action="save the table as UTF-8"
        ) from None
    if "\x00" in text:
        raise SourceFormatError(expected="a text table", given="binary content")
    return text


def _find_columns(header: Sequence[str]) -> tuple[int, int] | None:
    lowered = [cell.lower() for cell in header]
    if any(_as_value(cell) is not None for cell in header):
        return None
    values = [lowered.index(name) for name in _VALUE_HEADERS if name in lowered]
    names = [lowered.index(name) for name in _NAME_HEADERS if name in lowered]
    if values and not names and len(header) == 2:
        names = [1 - values[0]]
    if values and names:
        return values[0], names[0]
    return None


def _guess_columns(row: Sequence[str], *, where: str) -> tuple[int, int]:
    values = [n for n, cell in enumerate(row) if _as_value(cell) is not None]
    names = [n for n, cell in enumerate(row) if cell and _as_value(cell) is None]
    if not values or not names:
        raise InputError(
            expected="a label value and a name in each row, or a header such as 'value,name'",
            given="neither",
            where=where,
            action="write one 'value,name' pair for each line",
        )
    return values[0], names[0]


def _read_row(row: Sequence[str], columns: tuple[int, int], *, where: str) -> tuple[int, str]:
    value = _as_value(row[columns[0]]) if columns[0] < len(row) else None
    name = row[columns[1]] if columns[1] < len(row) else ""
    name = "".join(character for character in name if character.isprintable())[:_MAX_NAME_LENGTH].strip()
    if value is None or value < 0 or not name:
        raise InputError(
            expected="a label value (whole number, 0 or more) and a name", given="another row", where=where
        )
    return value, name


def _as_value(cell: str) -> int | None:
    try:
        number = float(cell)
    except ValueError:
        return None
    return int(number) if number.is_integer() and abs(number) < 2**53 else None
