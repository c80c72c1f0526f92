"""Find out whether what a monitor verified is still what the record holds."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from hepatica.record.event import Change, Event
from hepatica.record.item import Item


class VerificationState(StrEnum):
    """How a verification stands to what it verified."""

    HOLDS = "holds"
    CHANGED = "changed"
    """A verified field is another one now."""
    REMOVED = "removed"
    """The item is no longer there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VerificationAnswer:
    """How a verification stands.

    Parameters
    ----------
    mark
        The verification.
    state
        Whether it holds.
    changed_fields
        Verified fields that are others now.
    """

    mark: Item
    state: VerificationState
    changed_fields: tuple[str, ...] = ()


def assess_verification(mark: Item, about: Item | None, events: Iterable[Event]) -> VerificationAnswer:
    """Find out whether a verification holds, by digest first and field by field where the digest differs.

    Parameters
    ----------
    mark
        Item of kind ``verification``.
    about
        The item it names, as it is now; None if it was removed.
    events
        Events of that item.
    """
    if about is None:
        return VerificationAnswer(mark=mark, state=VerificationState.REMOVED)
    if mark.values["about_digest"] == about.digest:
        return VerificationAnswer(mark=mark, state=VerificationState.HOLDS)
    fields = mark.values["verified_fields"]
    wanted = [str(name) for name in fields] if isinstance(fields, list) else []
    version = mark.values.get("about_version")
    changed = _list_changed(events, since=version if isinstance(version, int) else 0)
    found = tuple(name for name in wanted if name in changed)
    # A digest that differs without an event is a change made around the program: nothing can be vouched for.
    state = VerificationState.CHANGED if found or not changed else VerificationState.HOLDS
    return VerificationAnswer(mark=mark, state=state, changed_fields=found)


def _list_changed(events: Iterable[Event], *, since: int) -> set[str]:
    whole: dict[str, Change] = {}
    for event in events:
        if event.version <= since:
            continue
        for change in event.changes:
            before = whole.get(change.field)
            whole[change.field] = before.join(change) if before else change
    changed = {name for name, change in whole.items() if change.old != change.new}
    touched = bool(whole)
    return changed or ({"locked"} if touched else set())
