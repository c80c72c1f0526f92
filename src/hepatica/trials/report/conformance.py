"""Conformance rules as data, and the engine that applies them to tables of text."""

from __future__ import annotations

import tomllib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from importlib import resources
from typing import Any, Final

from hepatica.core.errors import ProtocolError
from hepatica.core.evidence import read_resource
from hepatica.core.findings import Severity
from hepatica.trials.report.checks import CHECKS
from hepatica.trials.report.source import HEADER_LINE, SourceTable, SourceTables

PACKAGE: Final = "hepatica.trials.report.rules"
MOST_BREACHES: Final = 1000
"""Named for each rule in the document; all are counted."""
FIELDS: Final = {"id", "dataset", "check", "what", "severity", "source", "drops"}


class Drops(StrEnum):
    """What a breach leaves out of the analysis."""

    NOTHING = ""
    ROW = "row"
    SUBJECT = "subject"


@dataclass(frozen=True, slots=True, kw_only=True)
class ConformanceRule:
    """One rule.

    Parameters
    ----------
    rule_id, dataset
        Stable name; the dataset it is about.
    what, source
        What has to hold, in words, and which standard asks for it.
    severity
        How bad a breach is.
    check, options
        Name of the function in `hepatica.trials.report.checks`, and its options.
    drops
        What a breach leaves out of the analysis.
    """

    rule_id: str
    dataset: str
    what: str
    source: str
    severity: Severity
    check: str
    options: Mapping[str, Any]
    drops: Drops = Drops.NOTHING


@dataclass(frozen=True, slots=True, kw_only=True)
class Breach:
    """One place where a rule does not hold.

    Parameters
    ----------
    rule
        The rule.
    line, column
        Where; line 1 is the header. Never a value.
    """

    rule: ConformanceRule
    line: int
    column: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleResult:
    """One rule over one dataset.

    Parameters
    ----------
    rule
        The rule.
    applied
        Rows it looked at; 0 where the dataset or its variables are not there.
    breaches
        Where it does not hold.
    """

    rule: ConformanceRule
    applied: int
    breaches: tuple[Breach, ...]

    @property
    def count(self) -> int:
        """How many breaches."""
        return len(self.breaches)

    @property
    def status(self) -> str:
        """``pass``, ``fail`` or ``not applicable``."""
        if self.count:
            return "fail"
        return "pass" if self.applied else "not applicable"

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-ready document."""
        return {
            "id": self.rule.rule_id,
            "dataset": self.rule.dataset,
            "status": self.status,
            "severity": str(self.rule.severity),
            "what": self.rule.what,
            "source": self.rule.source,
            "rows_checked": self.applied,
            "breaches": self.count,
            "leaves_out": str(self.rule.drops),
            "places": [{"row": item.line, "column": item.column} for item in self.breaches[:MOST_BREACHES]],
        }


@cache
def read_rules() -> tuple[ConformanceRule, ...]:
    """Return all packaged rules, by id.

    Raises
    ------
    ProtocolError
        If a rule lacks a field, names no known check, or an id stands twice.

    Examples
    --------
    >>> len(read_rules()) >= 60
    True
    """
    rules: list[ConformanceRule] = []
    for name in sorted(file.name for file in resources.files(PACKAGE).iterdir()):
        if name.endswith(".toml"):
            document = tomllib.loads(read_resource(PACKAGE, name).decode("utf-8"))
            rules += (_to_rule(entry, where=name) for entry in document["rule"])
    twice = [name for name, count in Counter(rule.rule_id for rule in rules).items() if count > 1]
    if twice:
        raise ProtocolError(expected="each id once", given=f"'{twice[0]}' twice", where="conformance rules")
    return tuple(sorted(rules, key=lambda rule: rule.rule_id))


def _to_rule(entry: Mapping[str, Any], *, where: str) -> ConformanceRule:
    missing = sorted(FIELDS - {"drops"} - set(entry))
    if missing or entry["check"] not in CHECKS:
        raise ProtocolError(
            expected=f"fields {', '.join(sorted(FIELDS))} and a check among {', '.join(CHECKS)}",
            given=f"no '{missing[0]}'" if missing else f"check '{entry['check']}'",
            where=where,
        )
    return ConformanceRule(
        rule_id=entry["id"],
        dataset=entry["dataset"],
        what=entry["what"],
        source=entry["source"],
        severity=Severity(entry["severity"]),
        check=entry["check"],
        options={key: value for key, value in entry.items() if key not in FIELDS},
        drops=Drops(entry.get("drops", "")),
    )


def check_conformance(
    tables: SourceTables, *, rules: Sequence[ConformanceRule] | None = None, datasets: Iterable[str] = ()
) -> tuple[RuleResult, ...]:
    """Apply rules to the datasets of a trial.

    Parameters
    ----------
    tables
        Datasets as text. Rules of one dataset may look at another.
    rules
        All packaged ones by default.
    datasets
        Only the rules of these datasets; of all by default.
    """
    wanted = set(datasets)
    chosen = read_rules() if rules is None else rules
    return tuple(_apply(rule, tables) for rule in chosen if not wanted or rule.dataset in wanted)


def _apply(rule: ConformanceRule, tables: SourceTables) -> RuleResult:
    table = tables.tables.get(rule.dataset)
    if table is None:
        return RuleResult(rule=rule, applied=0, breaches=())
    applied, found = CHECKS[rule.check](table, rule.options, tables)
    breaches = tuple(Breach(rule=rule, line=_to_line(table, index), column=column) for index, column in found)
    return RuleResult(rule=rule, applied=applied, breaches=breaches)


def _to_line(table: SourceTable, index: int) -> int:
    return HEADER_LINE if index < 0 else table.lines[index]


def leave_out(tables: SourceTables, results: Sequence[RuleResult]) -> tuple[SourceTables, int, int]:
    """Return the tables without the rows and subjects that rules leave out, and how many of each."""
    kept = dict(tables.tables)
    subjects: set[str] = set()
    row_count = 0
    for result in results:
        table = tables.tables.get(result.rule.dataset)
        if table is None or not result.breaches or not result.rule.drops:
            continue
        lines = {breach.line for breach in result.breaches if breach.line != HEADER_LINE}
        if result.rule.drops is Drops.SUBJECT:
            subjects |= {row.get("USUBJID", "") for line, row in table.numbered() if line in lines}
            continue
        before = kept[table.name]
        kept[table.name] = before.without(lines)
        row_count += len(before.rows) - len(kept[table.name].rows)
    subjects.discard("")
    if subjects:
        for name, table in kept.items():
            gone = [line for line, row in table.numbered() if row.get("USUBJID", "") in subjects]
            kept[name] = table.without(gone)
    return SourceTables(tables=kept), row_count, len(subjects)
