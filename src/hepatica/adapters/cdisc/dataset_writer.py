"""Writes any described dataset as CSV, SAS transport version 5 and Dataset-JSON, checked and sorted."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date, datetime
from pathlib import Path
from typing import Any, Final

from hepatica.adapters.cdisc.csv_table import write_rows
from hepatica.adapters.cdisc.dataset import Dataset, ValueType, Variable, check_dataset
from hepatica.adapters.cdisc.dataset_json import write_dataset_json
from hepatica.adapters.cdisc.tables import read_rows
from hepatica.adapters.cdisc.xpt_table import list_columns, to_text_number, write_xpt
from hepatica.core.errors import InputError, OutputError

Row = Mapping[str, Any]
JSON_TYPES: Final = {
    ValueType.TEXT: "string",
    ValueType.ISO_DATE: "string",
    ValueType.INTEGER: "integer",
    ValueType.FLOAT: "float",
    ValueType.DATE: "date",
}


def write_dataset(
    rows: Iterable[Row],
    dataset: Dataset,
    folder: Path,
    *,
    run_time: datetime,
    formats: Sequence[str] = ("csv",),
) -> tuple[str, ...]:
    """Check, sort and write one dataset; each file appears whole or not at all.

    Parameters
    ----------
    rows
        Values by variable: text, numbers, dates; None or absent for missing.
    dataset
        Its description, see `hepatica.adapters.cdisc.dataset.read_dataset`.
    folder
        Where to write.
    run_time
        Timezone-aware; stands in the headers of transport files and Dataset-JSON.
    formats
        Any of ``csv``, ``xpt``, ``json`` and ``ndjson``.

    Returns
    -------
    names
        Names of the files, for example ``adtte.csv``.

    Raises
    ------
    InputError
        If a row does not fit the description, or a format is unknown or cannot hold a text: transport files
        of version 5 hold ASCII only.
    OutputError
        If the disk refuses.
    """
    unknown = [name for name in formats if name not in WRITERS]
    if unknown:
        raise InputError(
            expected=f"formats among {', '.join(WRITERS)}", given=f"'{unknown[0]}'", where="--format"
        )
    kept = list(rows)
    findings = check_dataset(kept, dataset)
    if findings:
        raise InputError(
            expected=f"rows that fit the description of {dataset.name}",
            given=f"{findings[0].message}" + (f" And {len(findings) - 1} more." if findings[1:] else ""),
            where=dataset.name,
        )
    kept.sort(key=lambda row: _to_sort_key(row, dataset))
    names = []
    for word in dict.fromkeys(formats):
        name = f"{dataset.file_stem}.{word}"
        with _replacing(folder / name) as partial:
            WRITERS[word](partial, kept, dataset, run_time)
        names.append(name)
    return tuple(names)


def convert_dataset(
    path: Path, dataset: Dataset, folder: Path, *, run_time: datetime, formats: Sequence[str]
) -> tuple[str, ...]:
    """Write a table of any readable format in other formats; see `write_dataset`."""
    return write_dataset(
        read_dataset_rows(path, dataset), dataset, folder, run_time=run_time, formats=formats
    )


def read_dataset_rows(path: Path, dataset: Dataset) -> Iterator[dict[str, Any]]:
    """Yield the rows of a table as typed values; variables that are absent are missing.

    Raises
    ------
    InputError
        If a cell is not of the type of its variable, or a row has another number of cells.
    """
    for line, cells in read_rows(path, required=(), optional=dataset.names, role=dataset.name):
        if cells is None:
            raise InputError(
                expected=f"{len(dataset.names)} cells", given="another number", where=f"row {line}"
            )
        yield {
            variable.name: _to_value(cell, variable, line=line)
            for variable, cell in zip(dataset.variables, cells)
        }


def _to_value(cell: str, variable: Variable, *, line: int) -> Any:
    if cell == "":
        return None
    try:
        if variable.type is ValueType.DATE:
            return date.fromisoformat(cell)
        if variable.type.is_text:
            return cell
        number = float(cell)
    except ValueError:
        raise InputError(
            expected=f"{variable.type} in {variable.name}", given="another value", where=f"row {line}"
        ) from None
    return int(number) if number == int(number) else number


def _to_sort_key(row: Row, dataset: Dataset) -> tuple[tuple[int, Any], ...]:
    """Missing values come first, as SAS sorts them."""
    values = (row.get(name) for name in dataset.keys)
    return tuple((0, "") if value is None or value == "" else (1, value) for value in values)


@contextmanager
def _replacing(path: Path) -> Iterator[Path]:
    try:
        handle, name = tempfile.mkstemp(
            prefix=f".{path.name}.", suffix=".partial", dir=path.absolute().parent
        )
        os.close(handle)
    except OSError as error:
        raise OutputError(
            expected="to write the result",
            given=error.strerror or type(error).__name__,
            where=str(path),
            action="check the folder and its permissions",
        ) from error
    partial = Path(name)
    try:
        yield partial
        umask = os.umask(0)
        os.umask(umask)
        partial.chmod(0o666 & ~umask)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def _write_csv(path: Path, rows: Sequence[Row], dataset: Dataset, run_time: datetime) -> None:
    with write_rows(path, dataset.names) as writer:
        for row in rows:
            writer.writerow([_to_text(row.get(name)) for name in dataset.names])


def _to_text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    return value.isoformat() if isinstance(value, date) else to_text_number(value)


def _write_xpt(path: Path, rows: Sequence[Row], dataset: Dataset, run_time: datetime) -> None:
    columns = list_columns(rows, dataset.names)
    for variable in dataset.variables:
        if variable.type.is_text and not all(
            value is None or value.isascii() for value in columns[variable.name]
        ):
            raise InputError(
                expected="ASCII text in a SAS transport file, version 5",
                given="another letter",
                where=f"{dataset.name}.{variable.name}",
                action="write csv or json, or spell the text in ASCII",
            )
    write_xpt(
        path,
        columns,
        name=dataset.name,
        label=dataset.label,
        labels={variable.name: variable.label for variable in dataset.variables},
        formats={variable.name: variable.sas_format for variable in dataset.variables},
        run_time=run_time,
    )


def _write_json(
    path: Path, rows: Sequence[Row], dataset: Dataset, run_time: datetime, *, lines: bool = False
) -> None:
    write_dataset_json(
        path,
        ([_to_json(row.get(name)) for name in dataset.names] for row in rows),
        description=to_description(
            dataset, study=next((str(r["STUDYID"]) for r in rows if r.get("STUDYID")), "")
        ),
        records=len(rows),
        run_time=run_time,
        lines=lines,
    )


def _write_ndjson(path: Path, rows: Sequence[Row], dataset: Dataset, run_time: datetime) -> None:
    _write_json(path, rows, dataset, run_time, lines=True)


def _to_json(value: Any) -> Any:
    if isinstance(value, date):
        return value.isoformat()
    return None if value == "" else value


def to_description(dataset: Dataset, *, study: str = "") -> dict[str, Any]:
    """Return the description of a dataset in the words of Dataset-JSON."""
    columns = []
    for variable in dataset.variables:
        column: dict[str, Any] = {
            "itemOID": f"IT.{dataset.name}.{variable.name}",
            "name": variable.name,
            "label": variable.label,
            "dataType": JSON_TYPES[variable.type],
        }
        if variable.type is ValueType.DATE:
            column["targetDataType"] = "integer"
        if variable.type.is_text:
            column["length"] = variable.length
        if variable.type is ValueType.DATE:
            column["displayFormat"] = variable.sas_format
        if variable.name in dataset.keys:
            column["keySequence"] = dataset.keys.index(variable.name) + 1
        columns.append(column)
    return {
        "studyOID": f"ST.{study}" if study else "",
        "itemGroupOID": f"IG.{dataset.name}",
        "name": dataset.name,
        "label": dataset.label,
        "columns": columns,
    }


WRITERS: Final[dict[str, Callable[[Path, Sequence[Row], Dataset, datetime], None]]] = {
    "csv": _write_csv,
    "xpt": _write_xpt,
    "json": _write_json,
    "ndjson": _write_ndjson,
}


def keep_good(rows: Iterable[Row], dataset: Dataset) -> tuple[list[dict[str, Any]], list[tuple[int, str]]]:
    """Return the rows that fit the description, and number (from 1) and fault of each of the others.

    Parameters
    ----------
    rows
        Values by variable.
    dataset
        The description.
    """
    kept = [dict(row) for row in rows]
    if not check_dataset(kept, dataset):
        return kept, []
    good: list[dict[str, Any]] = []
    lost = []
    seen: set[tuple[Any, ...]] = set()
    for number, row in enumerate(kept, start=1):
        findings = check_dataset([row], dataset)
        key = tuple(row.get(name) for name in dataset.keys)
        if findings:
            lost.append((number, findings[0].message))
        elif key in seen:
            lost.append((number, f"{dataset.name}: two rows with the same key."))
        else:
            seen.add(key)
            good.append(row)
    return good, lost
