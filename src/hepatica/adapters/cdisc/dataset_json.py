"""Dataset-JSON 1.1, as one JSON document or as lines (NDJSON): streamed in and streamed out.

CDISC Dataset-JSON specification 1.1 (2024-12-05). The order of the attributes is recommended, not
required; columns that come after the rows are looked up first.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Final, TextIO

from hepatica.adapters.cdisc.xpt_table import to_text_number
from hepatica.core.errors import SourceFormatError

VERSION: Final = "1.1.0"
REQUIRED: Final = (
    "datasetJSONCreationDateTime",
    "datasetJSONVersion",
    "itemGroupOID",
    "records",
    "name",
    "label",
    "columns",
)
COLUMN_REQUIRED: Final = ("itemOID", "name", "label", "dataType")
DATA_TYPES: Final = (
    "string", "integer", "decimal", "float", "double", "boolean", "datetime", "date", "time", "URI",
)  # fmt: skip
TARGET_TYPES: Final = ("integer", "decimal")
CHUNK: Final = 1 << 20
MOST_LINE: Final = 1 << 22
"""Characters of a first line that may describe the dataset of an NDJSON file; longer ones are one document."""
_VERSION_SHAPE: Final = re.compile(r"1\.1(\.(0|[1-9][0-9]*))?")
_SPACE: Final = re.compile(r"[ \t\n\r]*")


def open_table(path: Path, role: str) -> tuple[tuple[str, ...], Iterator[tuple[int, Sequence[str]]]]:
    """Return column names and rows of a Dataset-JSON file.

    Raises
    ------
    SourceFormatError
        If the file is no JSON, of another version, or lacks what the specification requires.
    """
    description = read_description(path, role=role)
    names = tuple(column["name"] for column in description["columns"])
    return names, _iterate(path, role, records=description["records"])


def read_description(path: Path, *, role: str = "table") -> dict[str, Any]:
    """Return everything but the rows, checked against the published shape."""
    with path.open(encoding="utf-8-sig") as stream:
        try:
            try:
                document = json.loads(stream.readline(MOST_LINE))
            except ValueError:
                stream.seek(0)
                document = dict(_Scanner(stream).iterate_members())
        except (ValueError, RecursionError, UnicodeDecodeError) as error:
            raise _refuse(role, f"unreadable content ({type(error).__name__})") from None
    if not isinstance(document, dict):
        raise _refuse(role, f"JSON of another kind ({type(document).__name__})")
    document.pop("rows", None)
    for fault in check_description(document):
        raise _refuse(role, fault)
    return document


def check_description(document: Mapping[str, Any]) -> Iterator[str]:
    """Yield what the description of a dataset lacks of the published shape."""
    for key in REQUIRED:
        if key not in document:
            yield f"no attribute {key}"
            return
    if not _VERSION_SHAPE.fullmatch(str(document["datasetJSONVersion"])):
        yield "another version than 1.1"
    if not isinstance(document["records"], int) or document["records"] < 0:
        yield "a number of records that is no whole number of 0 or more"
    columns = document["columns"]
    if not isinstance(columns, list) or not all(isinstance(column, dict) for column in columns):
        yield "columns that are no list of objects"
        return
    for position, column in enumerate(columns, start=1):
        lacking = [key for key in COLUMN_REQUIRED if not isinstance(column.get(key), str)]
        if lacking:
            yield f"column {position} without {lacking[0]}"
        elif column["dataType"] not in DATA_TYPES:
            yield f"column {position} with an unknown dataType"
        elif column.get("targetDataType", "integer") not in TARGET_TYPES:
            yield f"column {position} with an unknown targetDataType"


def _refuse(role: str, given: str) -> SourceFormatError:
    return SourceFormatError(
        expected="Dataset-JSON 1.1", given=given, where=role, action="export the dataset again"
    )


def _iterate(path: Path, role: str, *, records: int) -> Iterator[tuple[int, Sequence[str]]]:
    count = 0
    with path.open(encoding="utf-8-sig") as stream:
        try:
            for row in _iterate_rows(stream):
                if not isinstance(row, list):
                    raise _refuse(role, f"a row that is no list, after {count} rows")
                count += 1
                yield count + 1, [_to_text(value) for value in row]
        except (ValueError, RecursionError, UnicodeDecodeError) as error:
            if isinstance(error, SourceFormatError):
                raise
            raise _refuse(role, f"content that ends or breaks after {count} rows") from None
    if count != records:
        raise _refuse(role, f"{count} rows where {records} are announced")


def _iterate_rows(stream: TextIO) -> Iterator[Any]:
    try:
        first = json.loads(stream.readline(MOST_LINE))
    except ValueError:
        first = None
    if isinstance(first, dict):
        if "rows" in first:
            yield from first["rows"]
            return
        for line in stream:
            if line.strip():
                yield json.loads(line)
        return
    stream.seek(0)
    yield from _Scanner(stream).iterate_rows()


def _to_text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    return to_text_number(value) if isinstance(value, float) else str(value)


class _Scanner:
    """Walks over one JSON object of any size; its ``rows`` never stand in memory whole."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._decoder = json.JSONDecoder()
        self._text, self._at, self._ended = "", 0, False
        self._step = CHUNK

    def _fill(self) -> None:
        if self._ended:
            raise ValueError("the text ends too early")
        more = self._stream.read(self._step)
        self._ended = not more
        self._text, self._at = self._text[self._at :] + more, 0

    def _peek(self) -> str:
        while True:
            found = _SPACE.match(self._text, self._at)
            self._at = found.end() if found else self._at
            if self._at < len(self._text):
                return self._text[self._at]
            self._fill()

    def _take(self, mark: str) -> None:
        if self._peek() != mark:
            raise ValueError("another character")
        self._at += 1

    def _value(self) -> Any:
        self._peek()
        while True:
            try:
                value, end = self._decoder.raw_decode(self._text, self._at)
            except ValueError:
                if self._ended:
                    raise
            else:
                # A number may go on in the part that is not read yet.
                if end < len(self._text) or self._ended:
                    self._at = end
                    self._step = CHUNK
                    return value
            # Each try reads twice as much, so that a long value is not decoded again and again.
            self._fill()
            self._step *= 2

    def _list(self) -> Iterator[Any]:
        self._take("[")
        if self._peek() == "]":
            self._at += 1
            return
        while True:
            yield self._value()
            if self._peek() == "]":
                self._at += 1
                return
            self._take(",")

    def _iterate(self, *, give_rows: bool) -> Iterator[tuple[str, Any]]:
        self._take("{")
        found: set[str] = set()
        while self._peek() != "}":
            key = self._value()
            if not isinstance(key, str) or key in found:
                raise ValueError("a key that is no text, or comes twice")
            found.add(key)
            self._take(":")
            if key != "rows":
                yield key, self._value()
            elif give_rows:
                for row in self._list():
                    yield key, row
            elif found.issuperset(REQUIRED):
                return
            else:
                for _ in self._list():
                    pass
            if self._peek() == ",":
                self._at += 1
        self._at += 1

    def iterate_members(self) -> Iterator[tuple[str, Any]]:
        """Yield every member but the rows."""
        return self._iterate(give_rows=False)

    def iterate_rows(self) -> Iterator[Any]:
        """Yield the rows one by one."""
        return (value for key, value in self._iterate(give_rows=True) if key == "rows")


def write_dataset_json(
    path: Path,
    rows: Iterable[Sequence[Any]],
    *,
    description: Mapping[str, Any],
    records: int,
    run_time: datetime,
    lines: bool = False,
) -> None:
    """Write one dataset.

    Parameters
    ----------
    path
        File to write.
    rows
        Values in the order of the columns: text, numbers, None for missing; dates as ISO 8601 text.
    description
        ``itemGroupOID``, ``name``, ``label``, ``columns`` and optional attributes of the top level.
    records
        Number of rows.
    run_time
        Timezone-aware time of making.
    lines
        NDJSON in place of one document.
    """
    order = ("originator", "sourceSystem", "studyOID", "metaDataVersionOID", "metaDataRef", "itemGroupOID")
    top: dict[str, Any] = {
        "datasetJSONCreationDateTime": run_time.isoformat(timespec="seconds"),
        "datasetJSONVersion": VERSION,
        **{key: description[key] for key in order if description.get(key)},
        "records": records,
        "name": description["name"],
        "label": description["label"],
        "columns": description["columns"],
    }
    with path.open("w", encoding="utf-8", newline="\n") as stream:
        head = json.dumps(top, ensure_ascii=False, allow_nan=False)
        stream.write(head + "\n" if lines else head[:-1] + ',\n"rows": [\n')
        for number, row in enumerate(rows):
            text = json.dumps(list(row), ensure_ascii=False, allow_nan=False)
            stream.write(text + "\n" if lines else (",\n" if number else "") + text)
        if not lines:
            stream.write("\n]}\n")
