"""One thing that was entered on the day: what, when it happened, when it was entered, by whom."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType
from typing import Any

from hepatica.core.errors import RecordInputError
from hepatica.core.iso_dates import is_day, is_moment
from hepatica.procedure.entry_kind import EntryField, EntryKind, read_entry_kinds

VOID = "void"
"""Kind of an entry that takes another one back."""
TEXT_MAX = 4000
"""Longest text of one field, in characters."""
ID_MAX = 100
"""Longest identifier, in characters."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One entry; never changed, never deleted.

    Parameters
    ----------
    entry_id
        Made where it was entered, unlike any other of the day: the same entry sent twice is one.
    kind
        Word of ``tables/entry_kinds.toml``.
    occurred_at
        When it happened, with time zone.
    entered_at
        When it was entered, with time zone.
    author
        Account or role of who entered it; never a name.
    values
        Fields of its kind.
    supersedes
        Entry that this one corrects; empty where it corrects none.
    reason
        Why it corrects it.

    Raises
    ------
    RecordInputError
        If a time has no zone, a correction no reason, or an identifier is missing or too long.

    Examples
    --------
    >>> at = datetime.fromisoformat("2026-03-02T09:00+01:00")
    >>> note = Entry(entry_id="a1", kind="note", occurred_at=at, entered_at=at, author="u1", values={"text": "x"})
    >>> check_entry(note)
    ()
    """

    entry_id: str
    kind: str
    occurred_at: datetime
    entered_at: datetime
    author: str = ""
    values: Mapping[str, Any] = field(default_factory=dict)
    supersedes: str = ""
    reason: str = ""

    def __post_init__(self) -> None:
        """Refuse what no kind of entry may lack."""
        if not 0 < len(self.entry_id) <= ID_MAX:
            raise RecordInputError(
                expected=f"an identifier of 1 to {ID_MAX} characters", given="another", where="entry_id"
            )
        for moment in (self.occurred_at, self.entered_at):
            if moment.utcoffset() is None:
                raise RecordInputError(
                    expected="a time with its zone, for example 2026-03-02T09:00+01:00",
                    given="a time without one",
                    where=f"entry {self.entry_id}",
                )
        if bool(self.supersedes) != bool(self.reason.strip()):
            raise RecordInputError(
                expected="a correction with the entry it corrects and a reason",
                given="one without the other",
                where=f"entry {self.entry_id}",
            )
        kept = {name: value for name, value in self.values.items() if value is not None}
        object.__setattr__(self, "values", MappingProxyType(kept))

    @property
    def content(self) -> tuple[Any, ...]:
        """What makes two deliveries of one entry the same: not when or by whom they were received."""
        return (self.kind, self.occurred_at, dict(self.values), self.supersedes, self.reason.strip())

    def text(self, name: str) -> str:
        """Return a text field; empty where it is not set."""
        value = self.values.get(name)
        return value if isinstance(value, str) else ""

    def number(self, name: str) -> float | None:
        """Return a number field, or None."""
        value = self.values.get(name)
        return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None

    def whole(self, name: str) -> int | None:
        """Return a whole number, or None."""
        value = self.values.get(name)
        return value if isinstance(value, int) and not isinstance(value, bool) else None

    def flag(self, name: str) -> bool:
        """Return whether a flag is set and true."""
        return self.values.get(name) is True

    def moment(self, name: str) -> datetime | None:
        """Return a time field, or None."""
        text = self.text(name)
        return datetime.fromisoformat(text) if text else None


def sort_entries(entries: tuple[Entry, ...]) -> tuple[Entry, ...]:
    """Return entries by when they happened; those of one moment in the order in which things are done."""
    kinds = read_entry_kinds()

    def place(entry: Entry) -> tuple[datetime, int, int, int, datetime, str]:
        return (
            entry.occurred_at,
            kinds[entry.kind].rank if entry.kind in kinds else 0,
            entry.whole("track") or 0,
            entry.whole("order") or 0,
            entry.entered_at,
            entry.entry_id,
        )

    return tuple(sorted(entries, key=place))


def check_entry(entry: Entry) -> tuple[str, ...]:
    """Return what is wrong with an entry's kind and fields, in words that name fields and never their values.

    Parameters
    ----------
    entry
        The entry.
    """
    kind = read_entry_kinds().get(entry.kind)
    if kind is None:
        return (f"the kind is none of {', '.join(read_entry_kinds())}",)
    wrong = [f"'{name}' is no field of {kind.name}" for name in entry.values if name not in kind.fields]
    if kind.name == VOID and not entry.supersedes:
        wrong.append("'void' names the entry that it takes back")
    for name, rule in kind.fields.items():
        value = entry.values.get(name)
        if value is None:
            wrong += [f"'{name}' is required"] if rule.required else []
        elif problem := _find_problem(rule, value):
            wrong.append(f"'{name}' {problem}")
    return (*wrong, *_check_together(entry, kind))


def require_entry(entry: Entry) -> None:
    """Refuse an entry with wrong fields.

    Raises
    ------
    RecordInputError
        With everything that is wrong.
    """
    wrong = check_entry(entry)
    if wrong:
        raise RecordInputError(
            expected="an entry as 'hepatica schema procedure' describes it",
            given="; ".join(wrong),
            where=f"entry {entry.entry_id}",
        )


def _check_together(entry: Entry, kind: EntryKind) -> tuple[str, ...]:
    """Check what concerns several fields."""
    if kind.at_least_one and not entry.values:
        return (f"{kind.name} holds at least one value",)
    given, leaked = entry.number("volume_ml"), entry.number("leaked_ml")
    if kind.name == "deposit" and leaked:
        if entry.text("leak") == "none":
            return ("'leaked_ml' goes with a leak that was seen",)
        if given is not None and leaked > given:
            return ("'leaked_ml' is more than was given",)
    if kind.name == "vial" and ("thaw_start" in entry.values) != ("storage" in entry.values):
        return ("'thaw_start' and 'storage' go together",)
    return ()


def _find_problem(rule: EntryField, value: Any) -> str:
    match rule.type:
        case "flag":
            return "" if isinstance(value, bool) else "must be true or false"
        case "code":
            return "" if value in rule.codes else f"must be one of {', '.join(rule.codes)}"
        case "text":
            return "" if isinstance(value, str) and 0 < len(value) <= TEXT_MAX else "must be text"
        case "texts":
            fits = isinstance(value, list) and 0 < len(value) <= ID_MAX
            return "" if fits and all(_is_id(part) for part in value) else "must be a list of identifiers"
        case "date":
            return "" if is_day(value, whole=True) else "must be a date such as 2026-03-02"
        case "time":
            return "" if is_moment(value) else "must be a time with its zone"
        case "point":
            return "" if _are_numbers(value, count=3) else "must be three numbers"
        case "affine":
            return "" if _are_numbers(value, count=16) else "must be sixteen numbers"
        case _:
            return _find_number_problem(rule, value)


def _find_number_problem(rule: EntryField, value: Any) -> str:
    wanted = (int,) if rule.type == "integer" else (int, float)
    if isinstance(value, bool) or not isinstance(value, wanted) or not math.isfinite(value):
        return "must be a whole number" if rule.type == "integer" else "must be a number"
    if not rule.least <= value <= rule.most:
        return f"must be from {rule.least:g} to {rule.most:g}"
    return "" if value > rule.above else f"must be above {rule.above:g}"


def _is_id(value: Any) -> bool:
    return isinstance(value, str) and 0 < len(value) <= ID_MAX


def _are_numbers(value: Any, *, count: int) -> bool:
    return (
        isinstance(value, list | tuple)
        and len(value) == count
        and all(isinstance(v, int | float) and not isinstance(v, bool) and math.isfinite(v) for v in value)
    )
