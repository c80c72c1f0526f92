"""What a dataset is: names, labels, types, lengths, terms, origins and keys of its variables, as data.

Every file in ``datasets/`` describes one dataset; writers, checks and Define-XML read the same description.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from functools import cache
from importlib import resources
from typing import Any, Final

from hepatica.adapters.cdisc.terms import VERSION, read_terms
from hepatica.core.errors import InputError, NotFoundError
from hepatica.core.evidence import read_resource
from hepatica.core.findings import Finding, Severity
from hepatica.followup.dates import PartialDate

PACKAGE: Final = "hepatica.adapters.cdisc.datasets"
MOST_TEXT: Final = 200
"""Bytes of a text, characters of a name, characters of a label: limits of SAS transport version 5."""
MOST_NAME: Final = 8
MOST_LABEL: Final = 40
DATE_FORMAT: Final = "DATE9."


class ValueType(StrEnum):
    """Kinds of values."""

    TEXT = "text"
    ISO_DATE = "iso date"
    """Text: an ISO 8601 date as collected, whole or partial."""
    INTEGER = "integer"
    FLOAT = "float"
    DATE = "date"
    """A number in SAS transport files, days since 1960-01-01; ISO 8601 text elsewhere."""

    @property
    def is_text(self) -> bool:
        """Whether it is text in every format."""
        return self in (ValueType.TEXT, ValueType.ISO_DATE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Variable:
    """One variable of a dataset.

    Parameters
    ----------
    name, label
        Up to 8 and 40 characters.
    type
        Kind of value.
    length
        Planned number of bytes of a text, at most 200.
    required
        Whether every row needs a value.
    codelist
        Short name of a published code list, empty for none.
    terms
        Values allowed beside those of the list; without a list the only ones, where there are any.
    origin
        ``Collected``, ``Assigned``, ``Derived`` or ``Predecessor: DM.ARM``, as Define-XML says it.
    comment
        How it is derived.
    """

    name: str
    label: str
    type: ValueType = ValueType.TEXT
    length: int = 8
    required: bool = False
    codelist: str = ""
    terms: tuple[str, ...] = ()
    origin: str = ""
    comment: str = ""

    def __post_init__(self) -> None:
        """Refuse what no transport file can hold."""
        fits = self.name.isalnum() and self.name == self.name.upper() and len(self.name) <= MOST_NAME
        if not fits or not 0 < len(self.label) <= MOST_LABEL or not 0 < self.length <= MOST_TEXT:
            raise InputError(
                expected=f"a name of {MOST_NAME}, a label of {MOST_LABEL}, a length of {MOST_TEXT} at most",
                given=f"variable '{self.name}'",
                where="dataset description",
            )

    @property
    def allowed(self) -> frozenset[str]:
        """Terms a value may be; empty for any."""
        listed = read_terms(self.codelist) if self.codelist else frozenset()
        return listed | frozenset(self.terms)

    @property
    def sas_format(self) -> str:
        """``$`` for text, the display format of numbers."""
        return "$" if self.type.is_text else DATE_FORMAT if self.type is ValueType.DATE else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Dataset:
    """One dataset.

    Parameters
    ----------
    name, label
        For example ``ADTTE``, with what it holds.
    structure, category
        One record for what, and the class of Define-XML.
    variables
        In the order of the columns.
    keys
        Variables by which rows are sorted and told apart.
    """

    name: str
    label: str
    structure: str
    category: str
    variables: tuple[Variable, ...]
    keys: tuple[str, ...]

    def __post_init__(self) -> None:
        """Refuse a key that is no variable."""
        unknown = sorted(set(self.keys) - set(self.names))
        if unknown or not self.keys:
            raise InputError(
                expected="keys among the variables",
                given=f"'{unknown[0]}'" if unknown else "none",
                where=f"dataset description {self.name}",
            )

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the variables."""
        return tuple(variable.name for variable in self.variables)

    @property
    def file_stem(self) -> str:
        """Name of the file without its ending."""
        return self.name.lower()

    @classmethod
    def from_mapping(cls, document: Mapping[str, Any]) -> Dataset:
        """Build from a TOML document with ``name, label, structure, class, keys`` and ``[variables]``."""
        variables = []
        for name, entry in document["variables"].items():
            fields = {**entry, "type": ValueType(entry.get("type", "text"))}
            fields["terms"] = tuple(fields.get("terms", ()))
            variables.append(Variable(name=name, **fields))
        return cls(
            name=document["name"],
            label=document["label"],
            structure=document["structure"],
            category=document["class"],
            variables=tuple(variables),
            keys=tuple(document["keys"]),
        )


@cache
def read_dataset(name: str) -> Dataset:
    """Return the description of a dataset.

    Parameters
    ----------
    name
        For example ``adtte``.

    Raises
    ------
    NotFoundError
        If there is no such description.

    Examples
    --------
    >>> read_dataset("adtte").keys[:3]
    ('STUDYID', 'USUBJID', 'PARAMCD')
    """
    known = list_datasets()
    if name.lower() not in known:
        raise NotFoundError(expected=f"one of {', '.join(known)}", given=f"'{name}'", where="datasets")
    return Dataset.from_mapping(tomllib.loads(read_resource(PACKAGE, f"{name.lower()}.toml").decode("utf-8")))


def list_datasets() -> tuple[str, ...]:
    """Return the names of all described datasets."""
    names = (file.name for file in resources.files(PACKAGE).iterdir())
    return tuple(sorted(name.removesuffix(".toml") for name in names if name.endswith(".toml")))


def check_dataset(rows: Iterable[Mapping[str, Any]], dataset: Dataset) -> tuple[Finding, ...]:
    """Check rows against the description: one finding for each variable and fault, with the number of rows.

    Parameters
    ----------
    rows
        Values by variable; a missing one is None or absent.
    dataset
        The description.

    Returns
    -------
    findings
        Unknown variables, missing required values, wrong types, texts that are too long, values outside the
        controlled terms, dates that are none, a study day 0, rows with equal keys. Never a value.
    """
    faults: dict[tuple[str, str], tuple[int, int]] = {}
    seen: set[tuple[Any, ...]] = set()
    known = set(dataset.names)
    allowed = {variable.name: variable.allowed for variable in dataset.variables}
    for number, row in enumerate(rows, start=1):
        found = [(name, "no such variable in the description") for name in row.keys() - known]
        for variable in dataset.variables:
            found += (
                (variable.name, fault)
                for fault in _check_value(row.get(variable.name), variable, allowed[variable.name])
            )
        key = tuple(row.get(name) for name in dataset.keys)
        if key in seen:
            found.append((", ".join(dataset.keys), "two rows with the same key"))
        seen.add(key)
        for fault in found:
            first, count = faults.get(fault, (number, 0))
            faults[fault] = (first, count + 1)
    return tuple(
        Finding(
            rule="cdisc.dataset",
            severity=Severity.ERROR,
            message=f"{dataset.name}.{name}: {fault}; {count} row(s), the first is row {first}.",
            subject=f"{dataset.name}.{name}",
        )
        for (name, fault), (first, count) in faults.items()
    )


def _check_value(value: Any, variable: Variable, allowed: frozenset[str]) -> Iterator[str]:
    if value is None or value == "":
        if variable.required:
            yield "a required value is missing"
        return
    if variable.type.is_text:
        yield from _check_text(value, variable, allowed)
    elif variable.type is ValueType.DATE:
        if not isinstance(value, date):
            yield "a value that is not a date"
    elif isinstance(value, bool) or not isinstance(value, int | float):
        yield "a value that is not a number"
    elif value != value or value in (float("inf"), float("-inf")):
        yield "a number that is not finite"
    elif variable.type is ValueType.INTEGER and value != int(value):
        yield "a number that is not whole"
    elif variable.name.endswith("DY") and value == 0:
        yield "study day 0, which does not exist"


def _check_text(value: Any, variable: Variable, allowed: frozenset[str]) -> Iterator[str]:
    if not isinstance(value, str):
        yield "a value that is not text"
        return
    if len(value.encode("utf-8")) > variable.length:
        yield f"a text of more than {variable.length} bytes"
    if allowed and value not in allowed:
        yield f"a value outside the terms {variable.codelist or 'of this variable'} ({VERSION})"
    if variable.type is ValueType.ISO_DATE and not _is_date(value):
        yield "a date that is not ISO 8601"


def _is_date(text: str) -> bool:
    try:
        PartialDate.from_text(text)
    except InputError:
        return False
    return True
