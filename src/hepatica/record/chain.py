"""Find out whether the trail is whole and yields the values that the record shows."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from sys import intern
from types import MappingProxyType
from typing import Any, Final, NamedTuple

from hepatica.core.errors import InputError
from hepatica.core.findings import Finding, Severity
from hepatica.core.progress import SILENT, Progress
from hepatica.record.catalogue import read_kinds
from hepatica.record.event import FIRST_LINK, Action, Event, JsonValue, is_same_json, to_change, to_text
from hepatica.record.item import Item
from hepatica.record.kind import list_sealed

PROGRESS_EVERY: Final = 4096
"""Events between two looks at whether the user wants to stop."""
SHOWN: Final = 50
"""Findings of one rule that are listed one by one; the rest are counted."""
UNJUDGED: Final = "audit.key"
"""Rule of what cannot be judged: a warning, and no damage."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """The head of the chain at one moment, signed with a key kept outside the database.

    Parameters
    ----------
    number, hash
        The last event then.
    time_utc
        When it was taken.
    signature
        HMAC-SHA256 over the three.
    """

    number: int
    hash: str
    time_utc: datetime
    signature: str


class TrailLine(NamedTuple):
    """An event as a row keeps it; a trail of a million is read as these."""

    number: int
    hash: str
    kind: str
    item_id: str
    patient_id: str
    document: str
    """What was hashed, and from which everything else must follow."""


class Held(NamedTuple):
    """An item as the trail yields it."""

    version: int
    site_id: str
    patient_id: str
    values: dict[str, JsonValue] | None
    """None once it was removed."""


class SealedChange(NamedTuple):
    """Seals made anew from the values kept behind one field of an event."""

    number: int
    field: str
    old: str | None
    new: str | None


@dataclass(slots=True)
class TrailState:
    """The current values that a trail yields, built event by event.

    Parameters
    ----------
    items
        By kind and item: what it is now; removed ones too.
    seals
        By event and field: the item, and the seals that the trail names.
    erased
        By item: the event that erased what was behind its seals.
    """

    items: dict[tuple[str, str], Held] = field(default_factory=dict)
    seals: dict[tuple[int, str], tuple[tuple[str, str], JsonValue, JsonValue]] = field(default_factory=dict)
    erased: dict[tuple[str, str], int] = field(default_factory=dict)

    def apply(self, document: Mapping[str, Any]) -> str:
        """Take one event; returns what is wrong with it, or empty text.

        Parameters
        ----------
        document
            The next event, as `hepatica.record.event.to_document` gives it.
        """
        action = document["action"]
        if action not in CHANGING:
            return ""
        key = (intern(document["kind"]), document["item_id"])
        held = self.items.get(key)
        before, values = (held.version, held.values) if held else (0, None)
        version = document["version"]
        if version != before + 1:
            return f"version {version} follows version {before}"
        if action != Action.ERASE and (action == Action.CREATE) != (values is None):
            return f"'{action}' of an item that is {'not there' if values is None else 'there'}"
        values = {} if values is None else values
        sealed = _list_sealed(key[0])
        for row in document["changes"]:
            if len(row) == 3:
                # The usual case, by itself: a trail of a million events is read so.
                name, old, new = row
                if not is_same_json(values.get(name), old):
                    return f"the old value of '{name}' is not the one before"
            else:
                change = to_change(row)
                name, old, new = change.field, change.old, change.new
                try:
                    new = change.apply(values.get(name))
                except ValueError:
                    return f"the old value of '{name}' is not the one before"
            if name in sealed:
                self.seals[document["number"], name] = (key, old, new)
            if new is None:
                values.pop(name, None)
            else:
                values[intern(name)] = new
        if action == Action.ERASE:
            self.erased[key] = document["number"]
        gone = action in (Action.REMOVE, Action.ERASE)
        self.items[key] = Held(
            version,
            intern(document["site_id"]),
            intern(document["patient_id"]),
            None if gone else values,
        )
        return ""


CHANGING: Final = frozenset(
    {Action.CREATE, Action.CHANGE, Action.REMOVE, Action.ERASE, Action.LOCK, Action.UNLOCK}
)
"""Actions that give an item its next version."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrailReport:
    """What looking through a whole trail found.

    Parameters
    ----------
    events
        Events read.
    head_hash
        Hash of the last one.
    findings
        Everything that is wrong; empty for a trail that is whole.
    state
        Values that the trail yields.
    """

    events: int
    head_hash: str
    findings: tuple[Finding, ...]
    state: TrailState

    @property
    def is_whole(self) -> bool:
        """Whether nothing is damaged; what cannot be judged counts as no damage."""
        return not any(finding.severity is Severity.ERROR for finding in self.findings)


def sign_checkpoint(number: int, head_hash: str, *, time_utc: datetime, key: bytes) -> Checkpoint:
    """Sign the head of the chain.

    Parameters
    ----------
    number, head_hash
        The last event.
    time_utc
        Now.
    key
        At least 32 bytes, kept where the owner of the database cannot reach it.
    """
    if len(key) < 32:
        raise InputError(
            expected="a checkpoint key of at least 32 bytes", given=f"{len(key)}", where="checkpoint"
        )
    return Checkpoint(
        number=number,
        hash=head_hash,
        time_utc=time_utc,
        signature=_to_signature(number, head_hash, time_utc=time_utc, key=key),
    )


def check_trail(
    lines: Iterable[TrailLine],
    *,
    checkpoints: Sequence[Checkpoint] = (),
    heads: Mapping[int, str] = MappingProxyType({}),
    key: bytes | None = None,
    total: int = 0,
    progress: Progress = SILENT,
) -> TrailReport:
    """Read a whole trail in order and find what was changed, removed, put in another order or cut off.

    Parameters
    ----------
    lines
        In the order of their numbers.
    checkpoints
        Heads signed earlier.
    heads
        Hash by number of heads that somebody exported and keeps; they need no key.
    key
        Key the checkpoints were signed with; None leaves their signatures unjudged, which is a finding.
    total
        How many events to expect, for the progress only.
    progress
        Told how far it is; may cancel.
    """
    found = _Findings()
    state = TrailState()
    points = {point.number: point.hash for point in checkpoints}
    _check_signatures(checkpoints, key=key, found=found)
    number, previous = 0, FIRST_LINK
    for line in lines:
        document = _check_line(line, number=number + 1, previous=previous, found=found)
        wrong = "" if document is None else _apply(state, document)
        if wrong:
            found.add("audit.values", f"Event {line.number} does not follow: {wrong}.")
        if points.get(line.number, line.hash) != line.hash:
            found.add("audit.checkpoint", f"Event {line.number} is not the one that its checkpoint signed.")
        if heads.get(line.number, line.hash) != line.hash:
            found.add("audit.head", f"Event {line.number} is not the one whose hash was exported.")
        number, previous = line.number, line.hash
        if number % PROGRESS_EVERY == 0:
            progress.check_cancelled()
            progress.advance(min(number / total, 1.0) if total else 0.0)
    for name, named in (("A checkpoint", points), ("The exported head", heads)):
        for point in sorted(named):
            if point > number:
                found.add(
                    "audit.truncated",
                    f"{name} names event {point}; the trail ends at {number}: events were cut off.",
                )
    return TrailReport(events=number, head_hash=previous, findings=found.to_findings(), state=state)


def check_values(state: TrailState, current: Iterable[Item]) -> tuple[Finding, ...]:
    """Compare what the record shows with what the trail yields.

    Parameters
    ----------
    state
        From `check_trail`; what is compared is taken out of it.
    current
        Every item that the record shows; sealed fields as their seals, ``locked`` as a field.
    """
    found = _Findings()
    rest = state.items
    for item in current:
        held = rest.pop((item.kind, item.item_id), None)
        name = f"{item.kind} '{item.item_id}'"
        if held is None or held.values is None:
            found.add("audit.current", f"The record shows a {name} that the trail does not yield.")
            continue
        shown = item.values
        differing = [
            field
            for field in {*shown, *held.values}
            if not is_same_json(shown.get(field), held.values.get(field))
        ]
        if item.version != held.version:
            differing.append("version")
        if item.site_id != held.site_id:
            differing.append("site")
        if item.patient_id != held.patient_id:
            differing.append("patient")
        if differing:
            found.add("audit.current", f"{name}: {', '.join(sorted(differing))} not as the trail yields.")
    for (kind, item_id), held in rest.items():
        if held.values is not None:
            found.add(
                "audit.current", f"The trail yields a {kind} '{item_id}' that the record does not show."
            )
    return found.to_findings()


def check_seals(state: TrailState, kept: Iterable[SealedChange]) -> tuple[Finding, ...]:
    """Compare the values kept behind the seals with the seals in the trail.

    Parameters
    ----------
    state
        From `check_trail`; what is compared is taken out of it.
    kept
        Seals made anew from the values that are kept.
    """
    found = _Findings()
    rest = state.seals
    for change in kept:
        expected = rest.pop((change.number, change.field), None)
        place = f"'{change.field}' of event {change.number}"
        if expected is None:
            found.add("audit.sealed", f"A value is kept behind {place}, which the trail does not seal.")
        elif state.erased.get(expected[0], 0) >= change.number:
            found.add("audit.sealed", f"The value behind {place} was erased, and is kept all the same.")
        elif (change.old, change.new) != expected[1:]:
            found.add("audit.sealed", f"The value kept behind {place} is not the one that was sealed.")
    for (number, name), (key, _, _) in rest.items():
        if state.erased.get(key, 0) < number:
            found.add(
                "audit.sealed", f"The value behind '{name}' of event {number} is gone, and was not erased."
            )
    return found.to_findings()


def to_line(event: Event) -> TrailLine:
    """Return an event as a row keeps it, under the hash that it claims.

    Parameters
    ----------
    event
        The event.
    """
    return TrailLine(event.number, event.hash, event.kind, event.item_id, event.patient_id, to_text(event))


class _Findings:
    """Findings by rule; a damaged trail of a million events must not become a million messages."""

    def __init__(self) -> None:
        self._messages: dict[str, list[str]] = {}
        self._more: dict[str, int] = {}

    def add(self, rule: str, message: str) -> None:
        messages = self._messages.setdefault(rule, [])
        if len(messages) < SHOWN:
            messages.append(message)
        else:
            self._more[rule] = self._more.get(rule, 0) + 1

    def to_findings(self) -> tuple[Finding, ...]:
        return tuple(
            Finding(
                rule=rule,
                severity=Severity.WARNING if rule == UNJUDGED else Severity.ERROR,
                message=message,
            )
            for rule, messages in self._messages.items()
            for message in (*messages, *([f"and {self._more[rule]} more"] if rule in self._more else []))
        )


def _check_line(line: TrailLine, *, number: int, previous: str, found: _Findings) -> Mapping[str, Any] | None:
    """Return the event of a line, or None if it is none."""
    if line.number != number:
        found.add(
            "audit.numbers", f"Event {line.number} stands where {number} was expected: removed or reordered."
        )
    if hashlib.sha256(line.document.encode()).hexdigest() != line.hash:
        found.add("audit.content", f"Event {line.number} was changed after it was written.")
    try:
        document: dict[str, Any] = json.loads(line.document)
        named = (document["number"], document["kind"], document["item_id"], document["patient_id"])
        link = document["previous_hash"]
    except (ValueError, KeyError, TypeError):
        found.add("audit.content", f"Event {line.number} is not an event any more.")
        return None
    if link != previous:
        found.add("audit.link", f"Event {line.number} does not follow the event before it.")
    if named != (line.number, line.kind, line.item_id, line.patient_id):
        found.add("audit.columns", f"Event {line.number} is filed as another one than it is.")
    return document


def _apply(state: TrailState, document: Mapping[str, Any]) -> str:
    try:
        return state.apply(document)
    except (KeyError, TypeError, ValueError):
        return "it lacks what an event has"


@cache
def _list_sealed(kind: str) -> frozenset[str]:
    rule = read_kinds().get(kind)
    return list_sealed(rule) if rule else frozenset()


def _check_signatures(points: Iterable[Checkpoint], *, key: bytes | None, found: _Findings) -> None:
    for point in points:
        if key is None:
            found.add(UNJUDGED, f"The checkpoint at event {point.number} cannot be judged without its key.")
            continue
        right = _to_signature(point.number, point.hash, time_utc=point.time_utc, key=key)
        if not hmac.compare_digest(right, point.signature):
            found.add(
                "audit.signature", f"The checkpoint at event {point.number} was not signed with this key."
            )


def _to_signature(number: int, head_hash: str, *, time_utc: datetime, key: bytes) -> str:
    text = f"{number}\x1f{head_hash}\x1f{time_utc.isoformat(timespec='microseconds')}"
    return hmac.new(key, text.encode(), hashlib.sha256).hexdigest()
