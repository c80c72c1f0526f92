"""One change of the record as the trail keeps it: who, when, what, from what to what, and why."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Final, TypeAlias

from hepatica.core.errors import InputError

JsonValue: TypeAlias = "str | int | float | bool | list[Any] | dict[str, Any] | None"

FIRST_LINK: Final = "0" * 64
"""What the first event names as its predecessor's hash."""


class Action(StrEnum):
    """What was done. The words are part of every hash and never change their meaning."""

    CREATE = "create"
    CHANGE = "change"
    REMOVE = "remove"
    ERASE = "erase"
    """Removed, and the values behind its seals destroyed."""
    LOCK = "lock"
    UNLOCK = "unlock"
    SIGN = "sign"
    READ = "read"
    """Identity or a removal vault was looked into."""
    LOGIN = "login"
    LOGIN_REFUSED = "login_refused"
    LOGOUT = "logout"
    LINK = "link"
    """An account was joined to a person at the identity provider, or parted from one."""
    CHANGE_PASSWORD = "change_password"
    EXPORT = "export"


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One field's old and new value.

    Parameters
    ----------
    field
        Name of the field.
    old, new
        Values in JSON's types; None where there was or is none. Of a sealed field, its `seal`.
    kept
        Leading entries of a list that stayed as they were; ``old`` and ``new`` then hold only those after them. A day
        of 200 entries is so written once into the trail, not 200 times.
    """

    field: str
    old: JsonValue
    new: JsonValue
    kept: int = 0

    def to_row(self) -> list[JsonValue]:
        """Return it as the trail writes it: three values, and a fourth where entries of a list were kept."""
        row: list[JsonValue] = [self.field, self.old, self.new]
        return [*row, self.kept] if self.kept else row

    def apply(self, before: JsonValue) -> JsonValue:
        """Return the field's value after the change.

        Parameters
        ----------
        before
            The value before; a list is lengthened in place.

        Raises
        ------
        ValueError
            If the value before is not the one that the change was made of.

        Examples
        --------
        >>> Change(field="entries", old=[], new=["c"], kept=2).apply(["a", "b"])
        ['a', 'b', 'c']
        """
        if not self.kept:
            if not is_same_json(before, self.old):
                raise ValueError("another value before")
            return self.new
        held = _to_list(before)
        if len(held) < self.kept or not is_same_json(held[self.kept :], self.old):
            raise ValueError("another value before")
        held[self.kept :] = _to_list(self.new)
        return held

    def join(self, later: Change) -> Change:
        """Return this change and a later one of the same field as one.

        Parameters
        ----------
        later
            The next change of the field.

        Examples
        --------
        >>> one = Change(field="ids", old=[], new=["c"], kept=2)
        >>> one.join(Change(field="ids", old=["b", "c"], new=[], kept=1))
        Change(field='ids', old=['b'], new=[], kept=1)
        """
        if later.kept and later.kept >= self.kept:
            return replace(self, new=[*_to_list(self.new)[: later.kept - self.kept], *_to_list(later.new)])
        if not self.kept:
            return replace(later, old=self.old)
        # The later one names entries that this one kept: they were there before it too.
        return replace(later, old=[*_to_list(later.old)[: self.kept - later.kept], *_to_list(self.old)])


def to_change(row: Sequence[Any]) -> Change:
    """Return a change as `Change.to_row` wrote it.

    Parameters
    ----------
    row
        Three values, or four.

    Raises
    ------
    ValueError
        If it is no such row.
    """
    field, old, new, *rest = row
    if not rest:
        return Change(field=field, old=old, new=new)
    (kept,) = rest
    if type(kept) is not int or kept < 1 or not isinstance(old, list) or not isinstance(new, list):
        raise ValueError("a part of something that is no list")
    return Change(field=field, old=old, new=new, kept=kept)


@dataclass(frozen=True, slots=True, kw_only=True)
class EventDraft:
    """An event before it has its place in the chain.

    Parameters
    ----------
    time_utc
        When, with time zone UTC.
    actor_id
        Account that did it; ``system`` for the program itself.
    action
        What was done.
    kind, item_id, version
        What it was done to, and the version that it has afterwards.
    site_id, patient_id
        Where it belongs; empty text for none.
    changes
        Fields that changed, in the order of their names.
    reason
        Why, in the actor's words; empty where the action needs none.
    request_id
        Links all events of one request.
    """

    time_utc: datetime
    actor_id: str
    action: Action
    kind: str
    item_id: str
    version: int
    site_id: str = ""
    patient_id: str = ""
    changes: tuple[Change, ...] = ()
    reason: str = ""
    request_id: str = ""

    def __post_init__(self) -> None:
        if self.time_utc.utcoffset() != UTC.utcoffset(None):
            raise InputError(expected="a time in UTC", given=str(self.time_utc.tzinfo), where="event")
        names = [change.field for change in self.changes]
        if names != sorted(set(names)):
            raise InputError(
                expected="each changed field once, by name", given=", ".join(names), where="event"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Event(EventDraft):
    """An event in its place.

    Parameters
    ----------
    number
        From 1, without gaps.
    previous_hash
        Hash of the event before.
    hash
        SHA-256 over the event's content and ``previous_hash``.
    """

    number: int
    previous_hash: str
    hash: str


def link_event(draft: EventDraft, *, number: int, previous_hash: str) -> Event:
    """Give an event its place in the chain.

    Parameters
    ----------
    draft
        What happened.
    number
        Its number, from 1.
    previous_hash
        Hash of the event before, `FIRST_LINK` for the first.

    Examples
    --------
    >>> draft = EventDraft(time_utc=datetime(2026, 1, 2, tzinfo=UTC), actor_id="u1", action=Action.CREATE,
    ...                    kind="patient", item_id="p1", version=1)
    >>> event = link_event(draft, number=1, previous_hash=FIRST_LINK)
    >>> event.hash == derive_hash(event) and len(event.hash) == 64
    True
    """
    content = {field.name: getattr(draft, field.name) for field in fields(EventDraft)}
    unlinked = Event(**content, number=number, previous_hash=previous_hash, hash="")
    return Event(**content, number=number, previous_hash=previous_hash, hash=derive_hash(unlinked))


def derive_hash(event: Event) -> str:
    """Return the SHA-256 of an event's content with its link, whatever hash it claims."""
    return hashlib.sha256(to_text(event).encode()).hexdigest()


def to_text(event: Event) -> str:
    """Return the text that is stored and hashed: the event's document in canonical form."""
    return _to_canonical(to_document(event))


def to_document(event: Event) -> dict[str, JsonValue]:
    """Return the event's content as JSON, without its own hash: what is hashed and exported."""
    return {
        "number": event.number,
        "time_utc": event.time_utc.astimezone(UTC).isoformat(timespec="microseconds"),
        "actor_id": event.actor_id,
        "action": event.action.value,
        "kind": event.kind,
        "item_id": event.item_id,
        "version": event.version,
        "site_id": event.site_id,
        "patient_id": event.patient_id,
        "changes": [change.to_row() for change in event.changes],
        "reason": event.reason,
        "request_id": event.request_id,
        "previous_hash": event.previous_hash,
    }


def from_document(document: Mapping[str, Any], *, claimed_hash: str) -> Event:
    """Return an event as it was stored.

    Parameters
    ----------
    document
        What `to_document` gave.
    claimed_hash
        The hash stored beside it; not checked here.

    Raises
    ------
    InputError
        If it is no such document.
    """
    try:
        content = dict(document)
        content["time_utc"] = datetime.fromisoformat(content["time_utc"])
        content["action"] = Action(content["action"])
        content["changes"] = tuple(map(to_change, content["changes"]))
        return Event(**content, hash=claimed_hash)
    except (KeyError, TypeError, ValueError) as problem:
        raise InputError(
            expected="an event as the trail keeps it", given="another document", where="trail"
        ) from problem


def is_same_json(one: JsonValue, other: JsonValue) -> bool:
    """Return whether two values are written alike in JSON: 1, 1.0 and true are three values.

    Parameters
    ----------
    one, other
        Values in JSON's types.

    Examples
    --------
    >>> is_same_json([1, {"a": 2.0}], [1, {"a": 2.0}]), is_same_json(1, 1.0), is_same_json(1, True)
    (True, False, False)
    """
    if one is other:
        return True
    if type(one) is not type(other):
        return False
    if isinstance(one, str | int | bool):
        return one == other
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(is_same_json, one, other))
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(is_same_json(one[name], other[name]) for name in one)
    # Of two equal numbers with a point, only nought can be written in two ways.
    return one == other and (one != 0 or repr(one) == repr(other))


def seal(value: JsonValue, *, key: bytes, salt: bytes = b"") -> str:
    """Return the keyed digest that stands in the trail for a value only named roles may read.

    The value itself lies in a table of its own, so that it can be erased where the law asks for that
    without breaking the chain; nobody without the key can guess a name from its seal.

    Parameters
    ----------
    value
        The field's value.
    key
        The home's sealing key, at least 32 bytes.
    salt
        The item's own; once that is destroyed, not even who has the key can try values against the seal.

    Examples
    --------
    >>> seal("1951-02-03", key=bytes(32)) == seal("1951-02-03", key=bytes(32))
    True
    """
    if len(key) < 32:
        raise InputError(expected="a sealing key of at least 32 bytes", given=f"{len(key)}", where="seal")
    if salt:
        key = hmac.new(key, salt, hashlib.sha256).digest()
    return "seal:" + hmac.new(key, _to_canonical(value).encode(), hashlib.sha256).hexdigest()


def _to_canonical(document: JsonValue) -> str:
    return json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)


def _to_list(value: JsonValue) -> list[Any]:
    if not isinstance(value, list):
        raise ValueError("a part of something that is no list")
    return value
