"""Find out whether the trail is whole and yields the values that the record shows."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from hepatica.core.errors import InputError
from hepatica.core.findings import Finding, Severity
from hepatica.core.progress import SILENT, Progress
from hepatica.record.event import FIRST_LINK, Action, Event, JsonValue, derive_hash

PROGRESS_EVERY: Final = 4096
"""Events between two looks at whether the user wants to stop."""
SHOWN: Final = 50
"""Findings of one rule that are listed one by one; the rest are counted."""


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


@dataclass(slots=True)
class TrailState:
    """The current values that a trail yields, built event by event.

    Parameters
    ----------
    values
        By kind and item: version and fields. Removed items are not in it.
    """

    values: dict[tuple[str, str], tuple[int, dict[str, JsonValue]]] = field(default_factory=dict)

    def apply(self, event: Event) -> str:
        """Take one event; returns what is wrong with it, or empty text.

        Parameters
        ----------
        event
            The next event.
        """
        key = (event.kind, event.item_id)
        version, values = self.values.get(key, (0, {}))
        if event.action not in CHANGING:
            return ""
        if event.version != version + 1:
            return f"version {event.version} follows version {version}"
        if (event.action is Action.CREATE) != (version == 0):
            return f"'{event.action}' of an item at version {version}"
        for change in event.changes:
            if values.get(change.field) != change.old:
                return f"the old value of '{change.field}' is not the one before"
        after = {**values, **{change.field: change.new for change in event.changes}}
        if event.action is Action.REMOVE:
            self.values[key] = (event.version, {})
        else:
            self.values[key] = (
                event.version,
                {name: value for name, value in after.items() if value is not None},
            )
        return ""


CHANGING: Final = frozenset({Action.CREATE, Action.CHANGE, Action.REMOVE, Action.LOCK, Action.UNLOCK})
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
        """Whether nothing was found."""
        return not self.findings


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
    events: Iterable[Event],
    *,
    checkpoints: Iterable[Checkpoint] = (),
    key: bytes | None = None,
    total: int = 0,
    progress: Progress = SILENT,
) -> TrailReport:
    """Read a whole trail in order and find what was changed, removed, put in another order or cut off.

    Parameters
    ----------
    events
        In the order of their numbers.
    checkpoints
        Heads signed earlier, or exported by somebody who keeps them.
    key
        Key the checkpoints were signed with; None leaves their signatures unjudged, which is a finding.
    total
        How many events to expect, for the progress only.
    progress
        Told how far it is; may cancel.
    """
    found = _Findings()
    state = TrailState()
    heads = {point.number: point for point in checkpoints}
    for point in heads.values():
        _check_signature(point, key=key, found=found)
    number, previous = 0, FIRST_LINK
    for event in events:
        _check_link(event, number=number + 1, previous=previous, found=found)
        wrong = state.apply(event)
        if wrong:
            found.add("audit.values", f"Event {event.number} does not follow: {wrong}.")
        head = heads.pop(event.number, None)
        if head is not None and not hmac.compare_digest(head.hash, event.hash):
            found.add("audit.checkpoint", f"Event {event.number} is not the one that its checkpoint signed.")
        number, previous = event.number, event.hash
        if number % PROGRESS_EVERY == 0:
            progress.check_cancelled()
            progress.advance(min(number / total, 1.0) if total else 0.0)
    for point in heads.values():
        found.add(
            "audit.truncated",
            f"A checkpoint names event {point.number}; the trail ends at {number}: events were cut off.",
        )
    return TrailReport(events=number, head_hash=previous, findings=found.to_findings(), state=state)


def check_values(
    state: TrailState, current: Iterable[tuple[str, str, int, Mapping[str, JsonValue]]]
) -> tuple[Finding, ...]:
    """Compare what the record shows with what the trail yields.

    Parameters
    ----------
    state
        From `check_trail`.
    current
        Kind, item, version and fields of every item that the record shows; sealed fields as their seals.
    """
    found = _Findings()
    rest = {key: value for key, value in state.values.items() if value[1]}
    for kind, item_id, version, values in current:
        yielded = rest.pop((kind, item_id), None)
        if yielded is None:
            found.add(
                "audit.current", f"The record shows a {kind} '{item_id}' that the trail does not yield."
            )
            continue
        shown = {name: value for name, value in values.items() if value is not None}
        differing = sorted(name for name in {*shown, *yielded[1]} if shown.get(name) != yielded[1].get(name))
        if differing:
            found.add("audit.current", f"{kind} '{item_id}': {', '.join(differing)} not as the trail yields.")
        elif version != yielded[0]:
            found.add(
                "audit.current", f"{kind} '{item_id}': version {version}, the trail yields {yielded[0]}."
            )
    for kind, item_id in rest:
        found.add("audit.current", f"The trail yields a {kind} '{item_id}' that the record does not show.")
    return found.to_findings()


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
            Finding(rule=rule, severity=Severity.ERROR, message=message)
            for rule, messages in self._messages.items()
            for message in (*messages, *([f"and {self._more[rule]} more"] if rule in self._more else []))
        )


def _check_link(event: Event, *, number: int, previous: str, found: _Findings) -> None:
    if event.number != number:
        found.add(
            "audit.numbers", f"Event {event.number} stands where {number} was expected: removed or reordered."
        )
    if not hmac.compare_digest(event.previous_hash, previous):
        found.add("audit.link", f"Event {event.number} does not follow the event before it.")
    if not hmac.compare_digest(event.hash, derive_hash(event)):
        found.add("audit.content", f"Event {event.number} was changed after it was written.")


def _check_signature(point: Checkpoint, *, key: bytes | None, found: _Findings) -> None:
    if key is None:
        found.add("audit.key", f"The checkpoint at event {point.number} cannot be judged without its key.")
        return
    right = _to_signature(point.number, point.hash, time_utc=point.time_utc, key=key)
    if not hmac.compare_digest(right, point.signature):
        found.add("audit.signature", f"The checkpoint at event {point.number} was not signed with this key.")


def _to_signature(number: int, head_hash: str, *, time_utc: datetime, key: bytes) -> str:
    text = f"{number}\x1f{head_hash}\x1f{time_utc.isoformat(timespec='microseconds')}"
    return hmac.new(key, text.encode(), hashlib.sha256).hexdigest()
