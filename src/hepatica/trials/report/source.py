"""Tables as read: rows of text with the line on which each stands."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Any, Final

from hepatica.core.errors import InputError
from hepatica.followup.dates import UNDATED, PartialDate

HEADER_LINE: Final = 1
SUPPLEMENT: Final = "SUPP"


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceTable:
    """One dataset.

    Parameters
    ----------
    name
        For example ``AE`` or ``ADTTE``.
    columns
        Names of the variables.
    rows
        Text by variable; empty for missing.
    lines
        Line of each row in its file; the header is line 1.
    """

    name: str
    columns: tuple[str, ...]
    rows: tuple[Mapping[str, str], ...] = ()
    lines: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        """Refuse rows without lines."""
        if len(self.rows) != len(self.lines):
            raise InputError(expected="one line number for each row", given="another count", where=self.name)

    @classmethod
    def from_rows(
        cls, name: str, rows: Sequence[Mapping[str, Any]], columns: Sequence[str] = ()
    ) -> SourceTable:
        """Build from values of any kind, numbered as a CSV file of them would be.

        Examples
        --------
        >>> SourceTable.from_rows("DM", [{"USUBJID": "01", "AGE": 61}]).rows[0]["AGE"]
        '61'
        """
        names = tuple(columns) or tuple(dict.fromkeys(key for row in rows for key in row))
        texts = tuple({key: to_text(row.get(key)) for key in names} for row in rows)
        return cls(name=name, columns=names, rows=texts, lines=tuple(range(2, len(texts) + 2)))

    def without(self, lines: Iterable[int]) -> SourceTable:
        """Return the table without the rows of some lines."""
        gone = frozenset(lines)
        kept = [(row, line) for row, line in zip(self.rows, self.lines) if line not in gone]
        return replace(self, rows=tuple(row for row, _ in kept), lines=tuple(line for _, line in kept))

    def numbered(self) -> Iterator[tuple[int, Mapping[str, str]]]:
        """Yield line and row."""
        return zip(self.lines, self.rows)


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceTables:
    """The datasets of a trial.

    Parameters
    ----------
    tables
        By name.
    """

    tables: Mapping[str, SourceTable] = field(default_factory=dict)

    def __contains__(self, name: object) -> bool:
        """Whether the trial has a dataset."""
        return name in self.tables

    def rows(self, name: str) -> tuple[Mapping[str, str], ...]:
        """Return the rows of a dataset; none where there is none."""
        return self.tables[name].rows if name in self.tables else ()

    def has(self, name: str, *columns: str) -> bool:
        """Whether a dataset is there with all these variables."""
        return name in self.tables and set(columns) <= set(self.tables[name].columns)

    def by_subject(self, name: str) -> dict[str, list[Mapping[str, str]]]:
        """Return the rows of a dataset by USUBJID."""
        found: dict[str, list[Mapping[str, str]]] = {}
        for row in self.rows(name):
            found.setdefault(row.get("USUBJID", ""), []).append(row)
        return found

    @property
    def study(self) -> str:
        """STUDYID of DM, or of any dataset."""
        every = (*self.rows("DM"), *(row for table in self.tables.values() for row in table.rows[:1]))
        return next((row["STUDYID"] for row in every if row.get("STUDYID")), "")


def join_supplements(tables: Mapping[str, SourceTable]) -> dict[str, SourceTable]:
    """Return the datasets with the variables of their supplements (SUPPDM, SUPPAE, ...) as columns.

    A supplement row names its record by USUBJID and, where IDVAR is given, by the value of that variable.
    """
    joined = {name: table for name, table in tables.items() if not name.startswith(SUPPLEMENT)}
    for name, supplement in tables.items():
        parent = name.removeprefix(SUPPLEMENT)
        if name == parent or parent not in joined:
            continue
        added: dict[tuple[str, str, str], dict[str, str]] = {}
        for row in supplement.rows:
            key = (row.get("USUBJID", ""), row.get("IDVAR", ""), _plain(row.get("IDVARVAL", "")))
            added.setdefault(key, {})[row.get("QNAM", "")] = row.get("QVAL", "")
        joined[parent] = _add_columns(joined[parent], added)
    return joined


def _add_columns(table: SourceTable, added: Mapping[tuple[str, str, str], Mapping[str, str]]) -> SourceTable:
    names = dict.fromkeys(name for cells in added.values() for name in cells if name)
    new = [name for name in names if name not in table.columns]
    variables = dict.fromkeys(variable for _, variable, _ in added)
    rows = []
    for row in table.rows:
        cells = dict.fromkeys(new, "")
        for variable in variables:
            value = _plain(row.get(variable, "")) if variable else ""
            found = added.get((row.get("USUBJID", ""), variable, value), {})
            cells.update({name: text for name, text in found.items() if name in cells})
        rows.append({**row, **cells})
    return replace(table, columns=(*table.columns, *new), rows=tuple(rows))


def _plain(text: str) -> str:
    number = read_number(text)
    return text.strip() if number is None else f"{number:g}"


def to_text(value: Any) -> str:
    """Return a value as a cell of text."""
    if value is None:
        return ""
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, float) and value == int(value):
        return str(int(value))
    return str(value)


def read_number(text: str) -> float | None:
    """Return a finite number; None for anything else.

    Examples
    --------
    >>> read_number("2.50"), read_number("two"), read_number("nan")
    (2.5, None, None)
    """
    try:
        value = float(text)
    except ValueError:
        return None
    return value if value - value == 0 else None


def read_date(text: str) -> PartialDate:
    """Return a date of any precision; `UNDATED` for what is none."""
    try:
        return PartialDate.from_text(text)
    except InputError:
        return UNDATED
