"""What a kind of item may hold: fields as data, from which checks, forms, exports and blinding follow."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from hepatica.core.findings import Finding, Severity
from hepatica.core.iso_dates import is_day, is_moment
from hepatica.record.event import JsonValue

TEXT_MAX: Final = 20_000
"""Longest text of one field, in characters; a page of notes is about 3,000."""
DEPTH_MAX: Final = 32
"""Deepest list or object; a plan's document needs less than ten."""
INTEGER_MAX: Final = 2**53
"""Largest whole number that every reader of JSON keeps."""
FOREIGN: Final = re.compile("[\\0\\ud800-\\udfff]")
"""Halves of characters, and the character that ends a text in some databases."""
NAMES_TAKEN: Final = frozenset({"locked", "kind", "item_id", "site_id", "patient_id", "version"})


class FieldType(StrEnum):
    """What a field holds."""

    TEXT = "text"
    INTEGER = "integer"
    NUMBER = "number"
    FLAG = "flag"
    DATE = "date"
    """ISO 8601, possibly without day or month, as CDISC keeps partial dates."""
    TIME = "time"
    """ISO 8601 with time zone."""
    CODE = "code"
    REFERENCE = "reference"
    """``item_id`` of another kind."""
    LIST = "list"
    OBJECT = "object"


class Sight(StrEnum):
    """Who sees a field besides the treating team."""

    TEAM = "team"
    """Never a blinded reader."""
    READERS = "readers"
    """Blinded readers too."""
    AFTER_LOCK = "after_lock"
    """A blinded reader once his own read is locked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldRule:
    """One field.

    Parameters
    ----------
    name
        With its unit suffix.
    label
        Words on a form.
    type
        What it holds.
    required
        Whether an item is incomplete without it.
    codes
        Permitted values of a code.
    refers_to
        Kind of a reference.
    least, most
        Limits of a number.
    sight
        Who sees it.
    sealed
        Whether its value stays out of the trail and of everybody's sight but named roles'.
    """

    name: str
    label: str
    type: FieldType = FieldType.TEXT
    required: bool = False
    codes: tuple[str, ...] = ()
    refers_to: str = ""
    least: float = -math.inf
    most: float = math.inf
    sight: Sight = Sight.TEAM
    sealed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """A kind of item.

    Parameters
    ----------
    name, label
        Word and words.
    of_patient
        Whether each belongs to one patient.
    fields
        What it may hold.
    read_right, write_right
        Names of the rights, see ``tables/rights.toml``.
    reason_needed
        Whether changing one needs a reason.
    """

    name: str
    label: str
    of_patient: bool
    fields: tuple[FieldRule, ...]
    read_right: str
    write_right: str
    reason_needed: bool = True

    def __post_init__(self) -> None:
        names = [rule.name for rule in self.fields]
        if len(set(names)) < len(names) or NAMES_TAKEN & set(names):
            raise ValueError(f"kind {self.name}: a field twice, or one with a name that every item has")

    def find_field(self, name: str) -> FieldRule | None:
        """Return a field's rule, or None."""
        return next((rule for rule in self.fields if rule.name == name), None)

    def check(self, values: Mapping[str, JsonValue]) -> tuple[Finding, ...]:
        """Return everything wrong with an item's fields.

        Parameters
        ----------
        values
            Fields; None counts as not set.
        """
        wrong = [
            (name, "is no field of this kind") for name in sorted(values) if self.find_field(name) is None
        ]
        for rule in self.fields:
            value = values.get(rule.name)
            if value is None:
                if rule.required:
                    wrong.append((rule.name, "is required"))
            elif problem := _find_problem(rule, value) or _find_foreign(value):
                wrong.append((rule.name, problem))
        return tuple(
            Finding(
                rule=f"record.{self.name}.{name}",
                severity=Severity.ERROR,
                message=f"'{name}' {problem}.",
                subject=name,
            )
            for name, problem in wrong
        )


def list_sealed(kind: Kind) -> frozenset[str]:
    """Return the names of a kind's sealed fields.

    Parameters
    ----------
    kind
        The kind.
    """
    return frozenset(rule.name for rule in kind.fields if rule.sealed)


def _find_problem(rule: FieldRule, value: JsonValue) -> str:
    """Return what is wrong with a value, never the value itself: it may name a person."""
    match rule.type:
        case FieldType.TEXT | FieldType.REFERENCE:
            if not isinstance(value, str):
                return "must be text"
            if "\x00" in value:
                return "must not hold the character NUL"
            return f"is longer than {TEXT_MAX} characters" if len(value) > TEXT_MAX else ""
        case FieldType.CODE:
            return "" if value in rule.codes else f"must be one of {', '.join(rule.codes)}"
        case FieldType.FLAG:
            return "" if isinstance(value, bool) else "must be true or false"
        case FieldType.DATE:
            return "" if is_day(value) else "must be a date such as 2026-11-23, 2026-11 or 2026"
        case FieldType.TIME:
            return "" if is_moment(value) else "must be a time with time zone"
        case FieldType.LIST:
            return "" if isinstance(value, list) else "must be a list"
        case FieldType.OBJECT:
            return "" if isinstance(value, dict) else "must be an object"
        case FieldType.INTEGER | FieldType.NUMBER:
            return _find_number_problem(rule, value)


def _find_foreign(value: object, *, depth: int = 0) -> str:
    """Return what in a value not every database and reader of JSON can keep exactly."""
    if depth > DEPTH_MAX:
        return f"is nested more than {DEPTH_MAX} deep"
    match value:
        case str():
            return "holds a character that cannot be kept" if FOREIGN.search(value) else ""
        case float():
            return "" if math.isfinite(value) else "holds a number that is not finite"
        case None | bool():
            return ""
        case int():
            return "" if abs(value) <= INTEGER_MAX else "holds a number too large to be kept exactly"
        case list():
            parts = value
        case dict():
            if not all(isinstance(name, str) for name in value):
                return "holds a name that is not text"
            parts = [*value, *value.values()]
        case _:
            return "holds something that is not JSON"
    return next((found for part in parts if (found := _find_foreign(part, depth=depth + 1))), "")


def _find_number_problem(rule: FieldRule, value: JsonValue) -> str:
    wanted = int if rule.type is FieldType.INTEGER else (int, float)
    if isinstance(value, bool) or not isinstance(value, wanted) or not math.isfinite(value):
        return "must be a whole number" if rule.type is FieldType.INTEGER else "must be a number"
    if not rule.least <= value <= rule.most:
        return f"must be from {rule.least:g} to {rule.most:g}"
    return ""
