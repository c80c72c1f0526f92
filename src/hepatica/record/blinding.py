"""What a person may see of an item, field by field."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Final

from hepatica.record.catalogue import find_kind
from hepatica.record.event import Change, Event, JsonValue
from hepatica.record.item import Item
from hepatica.record.kind import FieldRule, Sight
from hepatica.record.people import Actor

OWN_MARKS: Final = frozenset({"measurement", "read"})
"""Kinds of which a blinded reader sees only his own."""
LABELS: Final = frozenset({"SEG", "RTSTRUCT"})
"""Modalities whose series say where something is."""


def shows_field(rule: FieldRule, actor: Actor, *, own_read_locked: bool) -> bool:
    """Return whether a person may see a field.

    Parameters
    ----------
    rule
        The field.
    actor
        Who looks.
    own_read_locked
        Whether his own read of this patient is locked.
    """
    if rule.sealed and not actor.may("identity.read"):
        return False
    if not actor.is_blinded:
        return True
    return rule.sight is Sight.READERS or (rule.sight is Sight.AFTER_LOCK and own_read_locked)


def project_item(item: Item, actor: Actor, *, own_read_locked: bool = False) -> Item:
    """Return an item with only the fields that a person may see.

    Parameters
    ----------
    item
        Whole item.
    actor, own_read_locked
        As in `shows_field`.
    """
    kind = find_kind(item.kind)
    shown = {
        rule.name: item.values[rule.name]
        for rule in kind.fields
        if rule.name in item.values and shows_field(rule, actor, own_read_locked=own_read_locked)
    }
    return replace(item, values=MappingProxyType(shown))


def project_event(event: Event, actor: Actor, *, own_read_locked: bool = False) -> Event:
    """Return an event with only the changes that a person may see; the hash stays that of the whole.

    Parameters
    ----------
    event
        Whole event.
    actor, own_read_locked
        As in `shows_field`.
    """
    kind = find_kind(event.kind)

    def shows(change: Change) -> bool:
        rule = kind.find_field(change.field)
        if rule is None:
            return not actor.is_blinded
        return shows_field(rule, actor, own_read_locked=own_read_locked)

    hidden = actor.is_blinded and any(not shows(change) for change in event.changes)
    return replace(
        event,
        changes=tuple(change for change in event.changes if shows(change)),
        # A reason may tell what a hidden field holds.
        reason="" if hidden else event.reason,
    )


def is_visible(item: Item, actor: Actor, *, own_read_ids: Mapping[str, bool]) -> bool:
    """Return whether a person may know that an item exists.

    Parameters
    ----------
    item
        The item.
    actor
        Who looks.
    own_read_ids
        The actor's reads, each with whether it is locked; used for blinded readers only.
    """
    if actor.is_system:
        return True
    if not actor.may(find_kind(item.kind).read_right):
        return False
    if item.site_id and item.site_id not in actor.site_ids:
        return False
    if actor.is_blinded and item.kind == "scan" and item.values.get("modality") in LABELS:
        # Where somebody else drew the tumours is what a blinded reader must not know.
        return False
    if not actor.is_blinded or item.kind not in OWN_MARKS:
        return True
    read_id: JsonValue = item.item_id if item.kind == "read" else item.values.get("read_id")
    return read_id in own_read_ids
