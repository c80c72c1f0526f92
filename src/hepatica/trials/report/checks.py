"""The checks that conformance rules name: each looks at one table and says which rows and columns fail.

A check returns how many rows it looked at, and places as row index (-1 for the header) and column.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from datetime import timedelta
from typing import Any, Final

from hepatica.core.errors import InputError
from hepatica.followup.dates import PartialDate, derive_study_day
from hepatica.trials.report.source import SourceTable, SourceTables, read_date, read_number

Options = Mapping[str, Any]
Places = list[tuple[int, str]]
Check = Callable[[SourceTable, Options, SourceTables], tuple[int, Places]]
HEADER: Final = -1
CHANGE_TOLERANCE: Final = 1e-4
"""Sums and percentages are written with six decimals; two roundings stay far below this."""
MOST_NAME: Final = 8
MOST_BYTES: Final = 200


def check_required(table: SourceTable, options: Options, tables: SourceTables) -> tuple[int, Places]:
    """Every row has a value in ``columns``; a column that is not there fails once, at the header."""
    places: Places = []
    for column in options["columns"]:
        if column not in table.columns:
            places.append((HEADER, column))
        else:
            places += ((i, column) for i, row in enumerate(table.rows) if not row[column].strip())
    return len(table.rows), places


def _each(table: SourceTable, options: Options) -> Iterator[tuple[int, str, str]]:
    """Yield every value that is not missing in the columns that are there."""
    for column in options["columns"]:
        if column in table.columns:
            for index, row in enumerate(table.rows):
                if row[column].strip():
                    yield index, column, row[column].strip()


def _judge(table: SourceTable, options: Options, good: Callable[[str], bool]) -> tuple[int, Places]:
    values = list(_each(table, options))
    return len(values), [(index, column) for index, column, text in values if not good(text)]


def check_iso_date(table: SourceTable, options: Options, tables: SourceTables) -> tuple[int, Places]:
    """Values are ISO 8601 dates, whole or partial."""
    return _judge(table, options, _is_date)


def _is_date(text: str) -> bool:
    try:
        PartialDate.from_text(text)
    except InputError:
        return False
    return True


def check_number(table: SourceTable, options: Options, tables: SourceTables) -> tuple[int, Places]:
    """Values are finite numbers, from ``least`` to ``most`` where given, whole where ``whole`` is true."""

    def good(text: str) -> bool:
        value = read_number(text)
        if value is None or (options.get("whole") and value != int(value)):
            return False
        return bool(options.get("least", value) <= value <= options.get("most", value))

    return _judge(table, options, good)


def check_terms(table: SourceTable, options: Options, tables: SourceTables) -> tuple[int, Places]:
    """Values are among ``terms``."""
    allowed = set(options["terms"])
    return _judge(table, options, lambda text: text in allowed)


def check_text(table: SourceTable, options: Options, tables: SourceTables) -> tuple[int, Places]:
    """Texts fit a SAS transport file: 200 bytes, of ASCII where ``ascii`` is true."""
    whole = {"columns": table.columns}
    only_ascii = options.get("ascii", False)
    return _judge(
        table, whole, lambda text: text.isascii() if only_ascii else len(text.encode("utf-8")) <= MOST_BYTES
    )


def check_names(table: SourceTable, options: Options, tables: SourceTables) -> tuple[int, Places]:
    """Variables have names of at most 8 letters and digits, each once."""
    counts = Counter(table.columns)
    bad = [
        n for n in table.columns if not n.isalnum() or len(n) > MOST_NAME or n != n.upper() or counts[n] > 1
    ]
    return len(table.columns), [(HEADER, name) for name in bad]


def check_unique(table: SourceTable, options: Options, tables: SourceTables) -> tuple[int, Places]:
    """No two rows have the same ``columns``; the later ones fail."""
    columns = [name for name in options["columns"] if name in table.columns]
    if len(columns) < len(options["columns"]):
        return 0, []
    seen: set[tuple[str, ...]] = set()
    places = []
    for index, row in enumerate(table.rows):
        key = tuple(row[name] for name in columns)
        if key in seen:
            places.append((index, columns[-1]))
        seen.add(key)
    return len(table.rows), places


def check_constant(table: SourceTable, options: Options, tables: SourceTables) -> tuple[int, Places]:
    """All rows have the value of the first in ``columns``; or ``value``, where given."""
    wanted = {
        name: options.get("value", table.rows[0][name])
        for name in options["columns"]
        if name in table.columns and table.rows
    }
    return len(table.rows) if wanted else 0, [
        (index, name)
        for index, row in enumerate(table.rows)
        for name, value in wanted.items()
        if row[name] != value
    ]


def check_member(table: SourceTable, options: Options, tables: SourceTables) -> tuple[int, Places]:
    """Check that the values of ``columns`` together stand in ``of`` under ``of_columns``; missing ones are not asked.

    ``when`` limits the check to rows with a value.
    """
    columns, names = options["columns"], options.get("of_columns", options["columns"])
    if not tables.has(options["of"], *names) or not set(columns) <= set(table.columns):
        return 0, []
    known = {tuple(row[name].strip() for name in names) for row in tables.rows(options["of"])}
    asked = [
        (index, tuple(row[name].strip() for name in columns))
        for index, row in enumerate(table.rows)
        if row[columns[-1]].strip() and _fits(row, options.get("when", {}))
    ]
    return len(asked), [(index, columns[-1]) for index, key in asked if not _find(key, known)]


def _find(key: tuple[str, ...], known: set[tuple[str, ...]]) -> bool:
    """Whether a key is known; a fragment or merged lesion by the lesions it came from."""
    if key in known:
        return True
    parts = [part if (*key[:-1], part) in known else part.rpartition(".")[0] for part in key[-1].split("/")]
    return all((*key[:-1], part) in known for part in parts)


def _fits(row: Mapping[str, str], when: Mapping[str, Any]) -> bool:
    return all(row.get(name, "") in values for name, values in when.items())


def check_same(table: SourceTable, options: Options, tables: SourceTables) -> tuple[int, Places]:
    """``column`` equals ``of_column`` of the subject's row in ``of``."""
    column, other = options["column"], options.get("of_column", options["column"])
    if not tables.has(options["of"], other) or column not in table.columns:
        return 0, []
    known = {row["USUBJID"]: row[other] for row in tables.rows(options["of"])}
    asked = [(i, row) for i, row in enumerate(table.rows) if row.get("USUBJID", "") in known]
    return len(asked), [(i, column) for i, row in asked if row[column] != known[row["USUBJID"]]]


def check_order(table: SourceTable, options: Options, tables: SourceTables) -> tuple[int, Places]:
    """``last`` is on or after ``first``, as far as the dates tell."""
    return _compare_dates(
        table, options["first"], options["last"], lambda row: read_date(row[options["first"]])
    )


def check_not_after(table: SourceTable, options: Options, tables: SourceTables) -> tuple[int, Places]:
    """``columns`` are not after the date ``of_column`` of the subject in ``of``, plus ``days``."""
    return _against_subject(table, options, tables, later=False)


def check_not_before(table: SourceTable, options: Options, tables: SourceTables) -> tuple[int, Places]:
    """``columns`` are not before the date ``of_column`` of the subject in ``of``."""
    return _against_subject(table, options, tables, later=True)


def _against_subject(
    table: SourceTable, options: Options, tables: SourceTables, *, later: bool
) -> tuple[int, Places]:
    name = options["of_column"]
    if not tables.has(options["of"], name):
        return 0, []
    known = {row["USUBJID"]: read_date(row[name]) for row in tables.rows(options["of"])}
    applied, places = 0, []
    for index, column, text in _each(table, options):
        limit = known.get(table.rows[index].get("USUBJID", ""))
        given = read_date(text)
        if limit is None or limit.latest is None or limit.earliest is None or given.earliest is None:
            continue
        applied += 1
        allowed = limit.latest + timedelta(days=options.get("days", 0))
        wrong = (
            given.latest is not None and given.latest < limit.earliest if later else given.earliest > allowed
        )
        if wrong:
            places.append((index, column))
    return applied, places


def _compare_dates(
    table: SourceTable, first: str, last: str, start: Callable[[Mapping[str, str]], PartialDate]
) -> tuple[int, Places]:
    if not {first, last} <= set(table.columns):
        return 0, []
    applied, places = 0, []
    for index, row in enumerate(table.rows):
        begin, end = start(row), read_date(row[last])
        if begin.earliest is not None and end.latest is not None:
            applied += 1
            if end.surely_before(begin):
                places.append((index, last))
    return applied, places


def check_study_day(table: SourceTable, options: Options, tables: SourceTables) -> tuple[int, Places]:
    """``day`` is the study day of ``date`` from ``of_column`` (RFSTDTC of DM by default); never 0."""
    day, when, name = options["day"], options["date"], options.get("of_column", "RFSTDTC")
    of = options.get("of", "DM")
    if not {day, when} <= set(table.columns) or not tables.has(of, name):
        return 0, []
    known = {row["USUBJID"]: read_date(row[name]).day for row in tables.rows(of)}
    applied, places = 0, []
    for index, row in enumerate(table.rows):
        reference, given = known.get(row.get("USUBJID", "")), read_date(row[when]).day
        if not row[day].strip() or reference is None or given is None:
            continue
        applied += 1
        if read_number(row[day]) != derive_study_day(given, reference=reference):
            places.append((index, day))
    return applied, places


def check_needs(table: SourceTable, options: Options, tables: SourceTables) -> tuple[int, Places]:
    """Where ``when`` holds (``*`` for any value), ``columns`` have a value; or none, with ``empty = true``."""
    when = options["when"]
    present = [name for name in options["columns"] if name in table.columns]
    if not set(when) <= set(table.columns):
        return 0, []
    asked = [
        (index, row)
        for index, row in enumerate(table.rows)
        if all(row[n].strip() if values == "*" else row[n] in values for n, values in when.items())
    ]
    empty = bool(options.get("empty"))
    missing = [] if empty else [name for name in options["columns"] if name not in table.columns]
    places = [(HEADER, name) for name in missing] if asked else []
    places += [(i, name) for i, row in asked for name in present if bool(row[name].strip()) == empty]
    return len(asked), places


def check_one_to_one(table: SourceTable, options: Options, tables: SourceTables) -> tuple[int, Places]:
    """``columns``, two of them, name each other: one value of the first has one value of the second."""
    first, second = options["columns"]
    if not {first, second} <= set(table.columns):
        return 0, []
    known: dict[str, str] = {}
    places = [
        (index, second)
        for index, row in enumerate(table.rows)
        if row[first] and known.setdefault(row[first], row[second]) != row[second]
    ]
    return len(table.rows), places


def check_sum(table: SourceTable, options: Options, tables: SourceTables) -> tuple[int, Places]:
    """Check that ``result`` is ``plus`` less ``minus`` plus ``add``; dates count as days."""
    return _check_formula(table, options, lambda a, b: a - b + options.get("add", 0), ("plus", "minus"))


def check_percent(table: SourceTable, options: Options, tables: SourceTables) -> tuple[int, Places]:
    """Check that ``result`` is ``part`` in percent of ``whole``, and missing where that is 0."""
    return _check_formula(table, options, lambda a, b: 100 * a / b if b else float("nan"), ("part", "whole"))


def _check_formula(
    table: SourceTable, options: Options, formula: Callable[[float, float], float], names: tuple[str, str]
) -> tuple[int, Places]:
    columns = [options[names[0]], options[names[1]], options["result"]]
    if not set(columns) <= set(table.columns):
        return 0, []
    applied, places = 0, []
    for index, row in enumerate(table.rows):
        values = [_to_value(row[name]) for name in columns]
        if any(value is None for value in values):
            continue
        applied += 1
        first, second, given = (float(value or 0) for value in values)
        wanted = formula(first, second)
        if not abs(wanted - given) <= CHANGE_TOLERANCE * max(1.0, abs(wanted)):
            places.append((index, columns[-1]))
    return applied, places


def _to_value(text: str) -> float | None:
    value = read_number(text)
    if value is not None:
        return value
    day = read_date(text).day
    return None if day is None else float(day.toordinal())


CHECKS: Final[Mapping[str, Check]] = {
    "required": check_required,
    "iso_date": check_iso_date,
    "number": check_number,
    "terms": check_terms,
    "text": check_text,
    "names": check_names,
    "unique": check_unique,
    "constant": check_constant,
    "member": check_member,
    "same": check_same,
    "order": check_order,
    "not_after": check_not_after,
    "not_before": check_not_before,
    "study_day": check_study_day,
    "needs": check_needs,
    "one_to_one": check_one_to_one,
    "sum": check_sum,
    "percent": check_percent,
}
