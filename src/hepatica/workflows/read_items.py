"""Read what the record holds, as much of it as the person may see."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from hepatica.core.errors import NotFoundError
from hepatica.record.blinding import OWN_MARKS, is_visible, project_item
from hepatica.record.catalogue import find_kind
from hepatica.record.event import Action, Event, EventDraft, JsonValue
from hepatica.record.item import Item
from hepatica.record.kind import FieldType, Sight
from hepatica.record.people import Actor, require_right
from hepatica.workflows.blinded_view import (
    OwnReads,
    count_seen_versions,
    find_foreign_lesions,
    find_own_reads,
    project_history,
)
from hepatica.workflows.record_ports import ItemFilter, Page, RecordContext, RecordReader


def read_item(context: RecordContext, *, kind: str, item_id: str) -> Item:
    """Return an item, without the fields the person may not see.

    Parameters
    ----------
    context
        Who reads. Looking at an identity is itself an event.
    kind, item_id
        The item.

    Raises
    ------
    NotFoundError
        If there is none, or it is not for him: the answer is the same, so that nobody can try numbers.
    """
    require_right(context.actor, find_kind(kind).read_right)
    with context.store.reading() as reader:
        item = reader.find_item(kind, item_id)
        shown = None if item is None else _show(reader, context.actor, item)
    if shown is None:
        raise NotFoundError(expected=f"a {kind} of the record", given="an unknown identifier", where=kind)
    if any(rule.sealed for rule in find_kind(kind).fields):
        _note_reading(context, shown)
    return shown


def list_items(context: RecordContext, wanted: ItemFilter) -> tuple[Page, int]:
    """Return one page of items and how many there are in all.

    Parameters
    ----------
    context
        Who reads.
    wanted
        Which; only fields the person may see can be asked for.

    Raises
    ------
    ForbiddenError
        Without the right to read this kind.
    NotFoundError
        If it asks for a field the person cannot see.
    """
    actor, kind = context.actor, find_kind(wanted.kind)
    require_right(actor, kind.read_right)
    _require_seen(wanted, actor)
    with context.store.reading() as reader:
        own = find_own_reads(reader, actor)
        limited = replace(wanted, site_ids=None if actor.is_system else actor.site_ids)
        if not actor.is_blinded:
            page = reader.list_items(limited)
            return Page(
                items=tuple(project_item(item, actor) for item in page.items), next=page.next
            ), reader.count_items(limited)
        return _list_blinded(reader, actor, limited, own)


def read_history(
    context: RecordContext,
    *,
    kind: str = "",
    item_id: str = "",
    patient_id: str = "",
    after: int = 0,
    limit: int = 100,
) -> tuple[Event, ...]:
    """Return events of an item, a patient or the whole record, in order.

    Parameters
    ----------
    context
        Who reads: ``audit.read`` for all; whoever may see an item may see that item's own history.
    kind, item_id, patient_id
        Which; empty for all.
    after, limit
        Events after this number, and how many.
    """
    actor = context.actor
    if item_id:
        read_item(context, kind=kind, item_id=item_id)
    else:
        require_right(actor, "audit.read")
    with context.store.reading() as reader:
        own = find_own_reads(reader, actor)
        # Versions that a blinded reader is shown are counted from the first event on.
        start = 0 if actor.is_blinded else after
        events = reader.read_events(after=start, kind=kind, item_id=item_id, patient_id=patient_id)
        own_sites = (
            event
            for event in events
            if actor.is_system or not event.site_id or event.site_id in actor.site_ids
        )
        shown = (event for event in project_history(own_sites, actor, own) if event.number > after)
        return tuple(event for event, _ in zip(shown, range(max(1, min(limit, 500)))))


def _show(reader: RecordReader, actor: Actor, item: Item) -> Item | None:
    own = find_own_reads(reader, actor)
    if not _is_for(item, actor, own) or item.item_id in _find_foreign(
        reader, actor, own, item.kind, item.patient_id
    ):
        return None
    return _project(reader, actor, [item], own, item_id=item.item_id)[0]


def _project(
    reader: RecordReader, actor: Actor, items: Sequence[Item], own: OwnReads, *, item_id: str = ""
) -> list[Item]:
    """Return items of one kind as a person may see them; a blinded reader's versions count what he could see."""
    shown = [
        project_item(item, actor, own_read_locked=own.patients.get(item.patient_id, False)) for item in items
    ]
    if not actor.is_blinded or not items or items[0].kind in OWN_MARKS:
        return shown
    versions: dict[str, int] = {}
    for patient_id in {item.patient_id for item in items if item.patient_id}:
        versions |= count_seen_versions(
            reader, actor, own, kind=items[0].kind, patient_id=patient_id, item_id=item_id
        )
    return [replace(item, version=versions.get(item.item_id, item.version)) for item in shown]


def _is_for(item: Item, actor: Actor, own: OwnReads) -> bool:
    if not is_visible(item, actor, own_read_ids=own.locked):
        return False
    if actor.is_blinded and item.kind == "scan" and item.item_id not in own.scans:
        return False
    if actor.is_blinded and item.kind == "registration":
        # That two scans were registered tells of both.
        pair = {str(item.values[name]) for name in ("baseline_scan_id", "followup_scan_id")}
        if not pair <= own.scans:
            return False
    # A blinded reader sees the patients he was given to read, and nobody else's.
    return not actor.is_blinded or not item.patient_id or item.patient_id in own.patients


def _find_foreign(
    reader: RecordReader, actor: Actor, own: OwnReads, kind: str, patient_id: str
) -> frozenset[str]:
    if kind != "lesion" or not actor.is_blinded:
        return frozenset()
    return find_foreign_lesions(reader, actor, own, patient_id=patient_id)


def _list_blinded(reader: RecordReader, actor: Actor, wanted: ItemFilter, own: OwnReads) -> tuple[Page, int]:
    """List for a reader: few patients, so that all of them are looked through."""
    patients = [wanted.patient_id] if wanted.patient_id else sorted(own.patients)
    items = sorted(
        (
            item
            for patient in patients
            if patient in own.patients
            for foreign in (_find_foreign(reader, actor, own, wanted.kind, patient),)
            for item in _list_all(reader, replace(wanted, patient_id=patient, after="", limit=500))
            if _is_for(item, actor, own) and item.item_id not in foreign
        ),
        key=lambda item: item.item_id,
    )
    limit = max(1, min(wanted.limit, 500))
    rest = [item for item in items if item.item_id > wanted.after]
    shown = tuple(_project(reader, actor, rest[:limit], own))
    return Page(items=shown, next=shown[-1].item_id if len(rest) > limit else ""), len(items)


def _list_all(reader: RecordReader, wanted: ItemFilter) -> Iterator[Item]:
    after = ""
    while True:
        page = reader.list_items(replace(wanted, after=after))
        yield from page.items
        if not page.next:
            return
        after = page.next


def _require_seen(wanted: ItemFilter, actor: Actor) -> None:
    """Refuse to filter by what the person cannot see: the number of answers would tell it."""
    kind = find_kind(wanted.kind)
    rules = [kind.find_field(name) for name in wanted.where]
    hidden = any(
        rule is None or rule.sealed or (actor.is_blinded and rule.sight is not Sight.READERS)
        for rule in rules
    )
    if hidden or (wanted.search and actor.is_blinded):
        raise NotFoundError(
            expected="a field of this kind to look for", given="another one", where=wanted.kind
        )


def to_filter_value(kind: str, field: str, text: str) -> JsonValue:
    """Return the value that a text of a query stands for, by the field's type.

    Parameters
    ----------
    kind, field
        The field.
    text
        As it came.
    """
    rule = find_kind(kind).find_field(field)
    if rule is None:
        return text
    if rule.type is FieldType.FLAG:
        return text == "true"
    if rule.type is FieldType.INTEGER and text.removeprefix("-").isdecimal() and len(text) < 16:
        return int(text)
    return text


def _note_reading(context: RecordContext, item: Item) -> None:
    with context.store.writing() as writer:
        writer.append_event(
            EventDraft(
                time_utc=context.now_utc(),
                actor_id=context.actor.account_id,
                action=Action.READ,
                kind=item.kind,
                item_id=item.item_id,
                version=item.version,
                site_id=item.site_id,
                patient_id=item.patient_id,
                request_id=context.request_id,
            )
        )
