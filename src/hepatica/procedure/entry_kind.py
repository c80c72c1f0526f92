"""What can be entered, in which phase it belongs, and what has to come before it: read from tables."""

from __future__ import annotations

import math
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from types import MappingProxyType
from typing import Any, Final

from hepatica.core.errors import InputError
from hepatica.core.evidence import read_resource

TABLES: Final = "hepatica.procedure.tables"
FIELD_TYPES: Final = (
    "text", "texts", "number", "integer", "flag", "code", "date", "time", "point", "affine",
)  # fmt: skip


class Phase(StrEnum):
    """Where the day stands."""

    PREPARATION = "preparation"
    READY = "ready"
    NEEDLE_IN = "needle_in"
    OBSERVATION = "observation"
    CLOSED = "closed"
    CANCELLED = "cancelled"

    @property
    def is_over(self) -> bool:
        """Whether only corrections are accepted."""
        return self in (Phase.CLOSED, Phase.CANCELLED)


@dataclass(frozen=True, slots=True, kw_only=True)
class EntryField:
    """One field of a kind of entry.

    Parameters
    ----------
    name, label
        Word, with its unit suffix, and words of a form.
    type
        One of `FIELD_TYPES`.
    required
        Whether an entry is incomplete without it.
    codes
        Permitted words of a code.
    least, most, above
        Limits of a number; ``above`` is excluded.
    """

    name: str
    label: str
    type: str
    required: bool = False
    codes: tuple[str, ...] = ()
    least: float = -math.inf
    most: float = math.inf
    above: float = -math.inf


@dataclass(frozen=True, slots=True, kw_only=True)
class EntryKind:
    """One kind of entry.

    Parameters
    ----------
    name, label
        Word, and words of a form.
    rank
        Order among entries of the same moment.
    once
        Whether a second one contradicts the first.
    at_least_one
        Whether one of its fields must be set.
    phases
        Phases in which it belongs.
    leads_to
        Phase that follows; None where it stays.
    refusal
        Why it does not belong in another phase.
    fields
        By name.
    """

    name: str
    label: str
    rank: int
    once: bool
    at_least_one: bool
    phases: frozenset[Phase]
    leads_to: Phase | None
    refusal: str
    fields: Mapping[str, EntryField]


@dataclass(frozen=True, slots=True, kw_only=True)
class Gates:
    """What has to be done before what.

    Parameters
    ----------
    phases
        What each phase is, in words.
    checks
        What each check asks, in words.
    needed
        Checks that each kind of entry needs.
    """

    phases: Mapping[Phase, str]
    checks: Mapping[str, str]
    needed: Mapping[str, tuple[str, ...]]


@cache
def read_entry_kinds() -> Mapping[str, EntryKind]:
    """Return every kind of entry by its word, in the order of the table.

    Examples
    --------
    >>> sorted(read_entry_kinds()["cancel"].phases)
    [<Phase.PREPARATION: 'preparation'>, <Phase.READY: 'ready'>]
    """
    document = tomllib.loads(read_resource(TABLES, "entry_kinds.toml").decode())
    return MappingProxyType(
        {name: _to_kind(name, entry) for name, entry in document.items() if isinstance(entry, dict)}
    )


@cache
def read_gates() -> Gates:
    """Return what has to be done before what.

    Raises
    ------
    InputError
        If the table names a check or kind that there is not.
    """
    document = tomllib.loads(read_resource(TABLES, "gates.toml").decode())
    needed = {name: tuple(checks) for name, checks in document["gates"].items()}
    unknown = {check for checks in needed.values() for check in checks} - set(document["checks"])
    if unknown or set(needed) - set(read_entry_kinds()):
        raise InputError(expected="gates of known kinds and checks", given="others", where="gates.toml")
    return Gates(
        phases=MappingProxyType({Phase(name): words for name, words in document["phases"].items()}),
        checks=MappingProxyType(dict(document["checks"])),
        needed=MappingProxyType(needed),
    )


def _to_kind(name: str, entry: dict[str, Any]) -> EntryKind:
    return EntryKind(
        name=name,
        label=entry["label"],
        rank=entry["rank"],
        once=entry.get("once", False),
        at_least_one=entry.get("at_least_one", False),
        phases=frozenset(Phase(word) for word in entry["from"]),
        leads_to=Phase(entry["to"]) if "to" in entry else None,
        refusal=entry["refusal"],
        fields=MappingProxyType(
            {field: _to_field(field, rule) for field, rule in entry.get("fields", {}).items()}
        ),
    )


def _to_field(name: str, rule: dict[str, Any]) -> EntryField:
    if rule["type"] not in FIELD_TYPES:
        raise InputError(expected=f"one of {', '.join(FIELD_TYPES)}", given=rule["type"], where=name)
    wanted = {"label", "type", "required", "least", "most", "above"}
    return EntryField(
        name=name,
        codes=tuple(rule.get("codes", ())),
        **{key: value for key, value in rule.items() if key in wanted},
    )
