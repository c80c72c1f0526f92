"""For every conformance rule one trial that keeps it and one that breaks it in a known place, made from the rule itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hepatica.trials.report.conformance import ConformanceRule
from hepatica.trials.report.source import SourceTable, SourceTables

Cells = dict[str, str]
Example = tuple[list[Cells], list[Cells], int, str, dict[str, list[Cells]]]
"""Good rows, bad rows, index of the bad row (-1 the header), column, rows of other datasets."""
DAY = "2024-03-05"
EARLIER = "2020-01-01"
LATER = "2029-01-01"


def make_example(rule: ConformanceRule) -> tuple[SourceTables, SourceTables, int, str]:
    """Return a good trial, a bad one, and line and column of the breach."""
    good, bad, index, column, others = MAKERS[rule.check](rule.options)
    tables = {name: SourceTable.from_rows(name, rows) for name, rows in others.items()}
    pair = [
        SourceTables(tables={**tables, rule.dataset: SourceTable.from_rows(rule.dataset, rows)})
        for rows in (good, bad)
    ]
    return pair[0], pair[1], 1 if index < 0 else index + 2, column


def _fill(options: Any, text: str) -> list[Cells]:
    columns = options["columns"]
    return [{"USUBJID": f"S{i}", **{name: f"{text}{i}" for name in columns}} for i in (1, 2)]


def _change(rows: list[Cells], index: int, **cells: str) -> list[Cells]:
    return [{**row, **(cells if i == index else {})} for i, row in enumerate(rows)]


def _required(options: Any) -> Example:
    good, column = _fill(options, "V"), options["columns"][-1]
    return good, _change(good, 1, **{column: ""}), 1, column, {}


def _values(good_text: str, bad_text: str) -> Callable[[Any], Example]:
    def make(options: Any) -> Example:
        text = options["terms"][0] if "terms" in options else good_text
        good = [{"USUBJID": f"S{i}", **dict.fromkeys(options["columns"], text)} for i in (1, 2)]
        column = options["columns"][0]
        return good, _change(good, 1, **{column: bad_text}), 1, column, {}

    return make


def _number(options: Any) -> Example:
    bad = "-1" if options.get("least") is not None else "two"
    return _values("1", bad)(options)


def _text(options: Any) -> Example:
    good = [{"USUBJID": "S1", "NOTE": "x" * 200}]
    return good, _change(good, 0, NOTE="x" * 201), 0, "NOTE", {}


def _names(options: Any) -> Example:
    return [{"USUBJID": "S1"}], [{"USUBJID": "S1", "NINELONGS": "1"}], -1, "NINELONGS", {}


def _unique(options: Any) -> Example:
    good = _fill(options, "V")
    return good, [good[0], good[0]], 1, options["columns"][-1], {}


def _constant(options: Any) -> Example:
    column = options["columns"][0]
    good = [{column: options.get("value", "A")}, {column: options.get("value", "A")}]
    return good, _change(good, 1, **{column: "B"}), 1, column, {}


def _member(options: Any) -> Example:
    good = _fill(options, "V")
    names = options.get("of_columns", options["columns"])
    others = {options["of"]: [dict(zip(names, (row[c] for c in options["columns"]))) for row in good]}
    column = options["columns"][-1]
    return good, _change(good, 1, **{column: "ELSEWHERE"}), 1, column, others


def _same(options: Any) -> Example:
    column, other = options["column"], options.get("of_column", options["column"])
    good = [{"USUBJID": "S1", column: "A"}]
    return (
        good,
        _change(good, 0, **{column: "B"}),
        0,
        column,
        {options["of"]: [{"USUBJID": "S1", other: "A"}]},
    )


def _order(options: Any) -> Example:
    good = [{"USUBJID": "S1", options["first"]: DAY, options["last"]: DAY}]
    return good, _change(good, 0, **{options["last"]: EARLIER}), 0, options["last"], {}


def _against(bad: str) -> Callable[[Any], Example]:
    def make(options: Any) -> Example:
        column = options["columns"][0]
        good = [{"USUBJID": "S1", column: DAY}]
        others = {options["of"]: [{"USUBJID": "S1", options["of_column"]: DAY}]}
        return good, _change(good, 0, **{column: bad}), 0, column, others

    return make


def _study_day(options: Any) -> Example:
    good = [{"USUBJID": "S1", options["date"]: "2024-03-04", options["day"]: "-1"}]
    others = {options.get("of", "DM"): [{"USUBJID": "S1", options.get("of_column", "RFSTDTC"): DAY}]}
    return good, _change(good, 0, **{options["day"]: "0"}), 0, options["day"], others


def _needs(options: Any) -> Example:
    when = {n: "1" if values == "*" else values[0] for n, values in options["when"].items()}
    column = options["columns"][0]
    filled, blank = {column: "V"}, {column: ""}
    right, wrong = (blank, filled) if options.get("empty") else (filled, blank)
    return [{"USUBJID": "S1", **when, **right}], [{"USUBJID": "S1", **when, **wrong}], 0, column, {}


def _one_to_one(options: Any) -> Example:
    first, second = options["columns"]
    good = [{first: "A", second: "X"}, {first: "A", second: "X"}, {first: "B", second: "Y"}]
    return good, _change(good, 1, **{second: "Y"}), 1, second, {}


def _sum(options: Any) -> Example:
    result = str(10 - 4 + options.get("add", 0))
    good = [{options["plus"]: "10", options["minus"]: "4", options["result"]: result}]
    return good, _change(good, 0, **{options["result"]: "9"}), 0, options["result"], {}


def _percent(options: Any) -> Example:
    good = [{options["part"]: "-9", options["whole"]: "30", options["result"]: "-30"}]
    return good, _change(good, 0, **{options["result"]: "-29.9"}), 0, options["result"], {}


MAKERS: dict[str, Callable[[Any], Example]] = {
    "required": _required,
    "iso_date": _values(DAY, "05/03/2024"),
    "number": _number,
    "terms": _values("", "NOT A TERM"),
    "text": _text,
    "names": _names,
    "unique": _unique,
    "constant": _constant,
    "member": _member,
    "same": _same,
    "order": _order,
    "not_after": _against(LATER),
    "not_before": _against(EARLIER),
    "study_day": _study_day,
    "needs": _needs,
    "one_to_one": _one_to_one,
    "sum": _sum,
    "percent": _percent,
}
