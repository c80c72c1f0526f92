"""Create, change, lock and remove what the record holds: rights, versions, reasons and the trail in one place."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from hepatica.core.errors import ConflictError, InputError, LockedError, NotFoundError, RecordInputError
from hepatica.record.catalogue import find_kind
from hepatica.record.event import Action, EventDraft, JsonValue
from hepatica.record.item import Item, list_changes
from hepatica.record.kind import Kind
from hepatica.record.people import require_right
from hepatica.workflows.blinded_view import require_blinded_write, to_true_version
from hepatica.workflows.consent_guard import require_consented
from hepatica.workflows.record_ports import RecordContext, RecordReader, RecordWriter


def create_item(
    context: RecordContext,
    writer: RecordWriter,
    *,
    item: Item,
    right: str = "",
    reason: str = "",
) -> Item:
    """Write a new item with its event, at version 1; one that was removed goes on counting.

    Parameters
    ----------
    context
        Who acts.
    writer
        The change in the making.
    item
        The item; its version is set here.
    right
        Right that is asked for; the kind's own if empty.
    reason
        Why, if there is something to say.

    Raises
    ------
    ForbiddenError
        Without the right, or at another site.
    ConflictError
        If there is one with this identifier.
    RecordInputError
        If its fields are wrong.
    ConsentError
        If the patient has withdrawn from what it serves.
    """
    kind = find_kind(item.kind)
    require_right(context.actor, right or kind.write_right, site_id=item.site_id)
    require_blinded_write(writer, context.actor, item, names=item.values, is_new=True)
    item = replace(item, values=_move_dates(context, kind, item, item.values, before={}))
    _check(kind, item)
    if writer.find_item(item.kind, item.item_id) is not None:
        raise ConflictError(
            expected=f"a new {kind.name}", given="an identifier in use", where=f"{kind.name} {item.item_id}"
        )
    require_consented(writer, item)
    created = replace(
        item, version=_find_last_version(writer, kind=item.kind, item_id=item.item_id) + 1, locked=False
    )
    _write(context, writer, before=None, after=created, action=Action.CREATE, reason=reason)
    return created


def change_item(
    context: RecordContext,
    writer: RecordWriter,
    *,
    kind: str,
    item_id: str,
    values: Mapping[str, JsonValue],
    expected_version: int,
    reason: str = "",
    right: str = "",
) -> Item:
    """Change some fields of an item.

    Parameters
    ----------
    context, writer
        Who acts, and the change in the making.
    kind, item_id
        The item.
    values
        Fields to set; None unsets one.
    expected_version
        Version the person saw. If it is another by now, somebody else was first and nothing is changed.
    reason
        Why; needed for most kinds.
    right
        Right that is asked for; the kind's own if empty.

    Raises
    ------
    NotFoundError, ForbiddenError, LockedError, ConflictError, RecordInputError
        If there is no such item, it is another site's, locked, of another version, or would be wrong.
    """
    rule = find_kind(kind)
    before = require_item(writer, kind=kind, item_id=item_id)
    require_right(context.actor, right or rule.write_right, site_id=before.site_id)
    require_blinded_write(writer, context.actor, before, names=values)
    _require_open(before)
    _require_version(before, to_true_version(writer, context.actor, before, shown=expected_version))
    if rule.reason_needed and not reason.strip():
        raise RecordInputError(
            expected="a reason for the change", given="none", where=f"{kind} {item_id}", action="say why"
        )
    after = before.with_values(_move_dates(context, rule, before, values, before=before.values))
    _check(rule, after)
    if not list_changes(before, after):
        return before
    _write(context, writer, before=before, after=after, action=Action.CHANGE, reason=reason)
    return after


def set_lock(
    context: RecordContext, writer: RecordWriter, *, item: Item, locked: bool, reason: str, right: str = ""
) -> Item:
    """Lock or unlock an item.

    Parameters
    ----------
    context, writer
        Who acts, and the change in the making.
    item
        The item as the person saw it.
    locked
        What it shall be.
    reason
        Why; needed to unlock.
    right
        Right that is asked for; ``item.lock`` or ``item.unlock`` if empty.
    """
    require_right(context.actor, right or ("item.lock" if locked else "item.unlock"), site_id=item.site_id)
    before = require_item(writer, kind=item.kind, item_id=item.item_id)
    _require_version(before, item.version)
    if before.locked == locked:
        return before
    if not locked and not reason.strip():
        raise RecordInputError(
            expected="a reason to unlock", given="none", where=f"{item.kind} {item.item_id}"
        )
    after = replace(before, locked=locked, version=before.version + 1)
    action = Action.LOCK if locked else Action.UNLOCK
    _write(context, writer, before=before, after=after, action=action, reason=reason)
    return after


def remove_item(
    context: RecordContext, writer: RecordWriter, *, item: Item, reason: str, right: str = ""
) -> None:
    """Take an item out of the record; the trail keeps what it held.

    Parameters
    ----------
    context, writer
        Who acts, and the change in the making.
    item
        The item as the person saw it.
    reason
        Why.
    right
        Right that is asked for; the kind's own if empty.
    """
    require_right(context.actor, right or find_kind(item.kind).write_right, site_id=item.site_id)
    before = require_item(writer, kind=item.kind, item_id=item.item_id)
    require_blinded_write(writer, context.actor, before, names=())
    _require_open(before)
    _require_version(before, to_true_version(writer, context.actor, before, shown=item.version))
    if not reason.strip():
        raise RecordInputError(expected="a reason", given="none", where=f"{item.kind} {item.item_id}")
    after = replace(before, values={}, version=before.version + 1)
    writer.remove_item(before.kind, before.item_id)
    writer.append_event(_to_draft(context, before, after, action=Action.REMOVE, reason=reason))


def require_item(writer: RecordReader, *, kind: str, item_id: str) -> Item:
    """Return an item.

    Raises
    ------
    NotFoundError
        If there is none.
    """
    item = writer.find_item(kind, item_id)
    if item is None:
        raise NotFoundError(expected=f"a {kind} of the record", given="an unknown identifier", where=kind)
    return item


def _move_dates(
    context: RecordContext,
    kind: Kind,
    item: Item,
    values: Mapping[str, JsonValue],
    *,
    before: Mapping[str, JsonValue],
) -> Mapping[str, JsonValue]:
    """Return what was given with the dates that a research record keeps."""
    if context.dates is None:
        return values
    return context.dates.move_values(values, kind=kind, patient_id=item.patient_id, before=before)


def _find_last_version(writer: RecordWriter, *, kind: str, item_id: str) -> int:
    """Return the version that an item had when it was removed, 0 if there never was one."""
    return max((event.version for event in writer.read_events(kind=kind, item_id=item_id)), default=0)


def _require_open(item: Item) -> None:
    if item.locked:
        raise LockedError(
            expected="an item that is not locked",
            given="a locked one",
            where=f"{item.kind} {item.item_id}",
            action="ask the data manager to unlock it",
        )


def _require_version(item: Item, version: int) -> None:
    if item.version != version:
        raise ConflictError(
            expected=f"version {item.version}, the present one",
            given=f"a change of version {version}",
            where=f"{item.kind} {item.item_id}",
            action="look at what changed and enter it again",
        )


def _check(kind: Kind, item: Item) -> None:
    if kind.of_patient and not item.patient_id:
        raise InputError(expected="a patient", given="none", where=kind.name)
    findings = kind.check(item.values)
    if findings:
        raise RecordInputError(
            expected=f"the fields of a {kind.name}",
            given="; ".join(finding.message for finding in findings),
            where=f"{kind.name} {item.item_id}",
        )


def _write(
    context: RecordContext,
    writer: RecordWriter,
    *,
    before: Item | None,
    after: Item,
    action: Action,
    reason: str,
) -> None:
    writer.write_item(after)
    writer.append_event(_to_draft(context, before, after, action=action, reason=reason))


def _to_draft(
    context: RecordContext, before: Item | None, after: Item, *, action: Action, reason: str
) -> EventDraft:
    return EventDraft(
        time_utc=context.now_utc(),
        actor_id=context.actor.account_id,
        action=action,
        kind=after.kind,
        item_id=after.item_id,
        version=after.version,
        site_id=after.site_id,
        patient_id=after.patient_id,
        changes=list_changes(before, after),
        reason=reason.strip(),
        request_id=context.request_id,
    )
