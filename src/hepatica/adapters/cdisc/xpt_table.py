"""SAS transport files, version 5: read as text, written with dates as SAS dates.

Reading takes blocks of rows, so that a large file never stands in memory whole. Files of old systems hold
Windows-1252 text, newer ones UTF-8; what is not the one is read as the other, which has a letter for nearly
every byte.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from hepatica.core.errors import SourceFormatError, refuse_unreadable

BLOCK_ROWS: Final = 20_000
EXPECTED: Final = "a SAS transport file, version 5"
SAS_EPOCH: Final = date(1960, 1, 1)
ENCODINGS: Final = (None, "WINDOWS-1252")
"""The library's own choice (UTF-8) first."""
DATE_FORMATS: Final = ("DATE", "YYMMDD", "MMDDYY", "DDMMYY", "E8601DA", "IS8601DA", "B8601DA")
MOMENT_FORMATS: Final = ("DATETIME", "E8601DT", "IS8601DT", "B8601DT")
STAMPS: Final = (144, 160, 464, 480)
"""Where the header of a one-member file holds its 16-byte times of making and changing."""
RECORD_BYTES: Final = 80
"""A transport file is whole records; blanks fill the last one."""
ROWS_MARK: Final = b"HEADER RECORD*******OBS     HEADER RECORD!!!!!!!"
MOST_HEADER_BYTES: Final = 4_000_000
"""The rows begin before this: 140 bytes describe a variable."""
WHOLE: Final = 1e15
"""Whole numbers below this are exact and printed without a point."""


def open_table(path: Path, role: str) -> tuple[tuple[str, ...], Iterator[tuple[int, Sequence[str]]]]:
    """Return column names and rows of a transport file.

    Raises
    ------
    SourceFormatError
        If the file is cut off or not a transport file.
    """
    encoding, meta = _read_description(path, role)
    _refuse_cut_off(path, role, row_bytes=sum(meta.variable_storage_width.values()))
    names = tuple(meta.column_names)
    kinds = [(meta.original_variable_types.get(name) or "").upper() for name in names]
    return names, _iterate(path, role, names=names, kinds=kinds, encoding=encoding)


def _read_description(path: Path, role: str) -> tuple[str | None, Any]:
    import pyreadstat

    for encoding in ENCODINGS:
        with refuse_unreadable(expected=EXPECTED, where=role):
            try:
                _, meta = pyreadstat.read_xport(str(path), metadataonly=True, encoding=encoding)
            except UnicodeDecodeError:
                continue
            return encoding, meta
    raise _refuse(role)


def _refuse_cut_off(path: Path, role: str, *, row_bytes: int) -> None:
    """Refuse a file that ends inside a record or a row: the format does not say how many rows there should be."""
    size = path.stat().st_size
    rest = b""
    if size % RECORD_BYTES == 0 and row_bytes > 0:
        with path.open("rb") as stream:
            start = stream.read(MOST_HEADER_BYTES).find(ROWS_MARK)
            if start >= 0:
                left = (size - start - RECORD_BYTES) % row_bytes
                stream.seek(size - left)
                rest = stream.read(left)
    if size % RECORD_BYTES or rest.strip(b" "):
        raise SourceFormatError(
            expected=EXPECTED,
            given="a file that is cut off inside a row",
            where=role,
            action="copy or export the dataset again",
        )


def _refuse(role: str) -> SourceFormatError:
    return SourceFormatError(
        expected=EXPECTED,
        given="text in an unknown encoding",
        where=role,
        action="export the dataset again",
    )


def _iterate(
    path: Path, role: str, *, names: Sequence[str], kinds: Sequence[str], encoding: str | None
) -> Iterator[tuple[int, Sequence[str]]]:
    start = 0
    while True:
        columns, encoding = _read_block(path, role, start=start, encoding=encoding)
        texts = [_to_texts(columns[name], kind) for name, kind in zip(names, kinds)]
        count = len(texts[0]) if texts else 0
        for offset, cells in enumerate(zip(*texts)):
            yield start + offset + 2, cells
        if count < BLOCK_ROWS:
            return
        start += count


def _read_block(
    path: Path, role: str, *, start: int, encoding: str | None
) -> tuple[Mapping[str, list[Any]], str | None]:
    import pyreadstat

    for choice in (encoding, *(other for other in ENCODINGS if other != encoding)):
        with refuse_unreadable(expected=EXPECTED, where=role):
            try:
                columns, _ = pyreadstat.read_xport(
                    str(path),
                    row_offset=start,
                    row_limit=BLOCK_ROWS,
                    encoding=choice,
                    output_format="dict",
                    disable_datetime_conversion=True,
                )
            except UnicodeDecodeError:
                continue
            return columns, choice
    raise _refuse(role)


def _to_texts(values: Sequence[Any], kind: str) -> list[str]:
    word = kind.rstrip("0123456789.")
    to_text = _to_day if word in DATE_FORMATS else _to_moment if word in MOMENT_FORMATS else to_text_number
    return [
        "" if value is None else value.rstrip() if isinstance(value, str) else to_text(value)
        for value in values
    ]


def to_text_number(value: float) -> str:
    """Return a number as text, whole numbers without a point; NaN, a missing value, as nothing.

    Examples
    --------
    >>> to_text_number(2.0), to_text_number(2.1), to_text_number(float("nan"))
    ('2', '2.1', '')
    """
    if value != value:
        return ""
    return str(int(value)) if value == int(value) and abs(value) < WHOLE else repr(float(value))


def _to_day(value: float) -> str:
    if value != value:
        return ""
    try:
        return (SAS_EPOCH + timedelta(days=int(value))).isoformat()
    except OverflowError:
        return repr(value)  # no day of any calendar: whoever reads the cell as a date says so


def _to_moment(value: float) -> str:
    if value != value:
        return ""
    try:
        return (datetime(SAS_EPOCH.year, 1, 1) + timedelta(seconds=value)).isoformat(timespec="seconds")
    except OverflowError:
        return repr(value)


def write_xpt(
    path: Path,
    columns: Mapping[str, Sequence[Any]],
    *,
    name: str,
    label: str,
    labels: Mapping[str, str],
    formats: Mapping[str, str],
    run_time: datetime,
) -> None:
    """Write one dataset.

    Parameters
    ----------
    path
        File to write.
    columns
        Values by variable: text, numbers or dates; None for missing. A variable is text if `formats` says
        ``$``, else numeric.
    name, label
        Member name (8 characters) and label (40).
    labels, formats
        By variable; format ``$`` for text, a SAS format such as ``DATE9.`` or nothing for numbers.
    run_time
        Stands in the header in place of the clock of the machine, so that equal data are equal bytes.
    """
    import pandas as pd
    import pyreadstat

    frame = {}
    for key, values in columns.items():
        if formats.get(key, "") == "$":
            frame[key] = pd.Series(["" if value is None else value for value in values], dtype=object)
        else:
            frame[key] = pd.Series([_to_sas(value) for value in values], dtype="float64")
    pyreadstat.write_xport(
        pd.DataFrame(frame),
        str(path),
        file_label=label,
        column_labels=[labels[key] for key in columns],
        table_name=name,
        file_format_version=5,
        variable_format={key: word for key, word in formats.items() if word and word != "$"},
    )
    stamp = run_time.strftime("%d%b%y:%H:%M:%S").upper().encode("ascii")
    with path.open("r+b") as stream:
        for place in STAMPS:
            stream.seek(place)
            stream.write(stamp)


def _to_sas(value: Any) -> float:
    if value is None:
        return float("nan")
    if isinstance(value, date):
        return float((value - SAS_EPOCH).days)
    return float(value)


def list_columns(rows: Iterable[Mapping[str, Any]], names: Sequence[str]) -> dict[str, list[Any]]:
    """Return values by column."""
    columns: dict[str, list[Any]] = {name: [] for name in names}
    for row in rows:
        for name, values in columns.items():
            values.append(row.get(name))
    return columns
