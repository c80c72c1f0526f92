"""Destroy who a patient is; what was done with him stays, under his study number, in a trail that stays whole."""

from __future__ import annotations

from dataclasses import replace

from hepatica.core.errors import LockedError, NotFoundError, RecordInputError
from hepatica.record.chain import CHANGING
from hepatica.record.event import Action, Event, EventDraft
from hepatica.record.item import list_changes
from hepatica.record.people import require_right
from hepatica.workflows.record_ports import RecordContext, RecordWriter


def erase_identity(context: RecordContext, *, patient_id: str, reason: str) -> int:
    """Erase every identity of a patient, now and in the past; returns how many items that were.

    Parameters
    ----------
    context
        Who erases; needs the right ``identity.write``.
    patient_id
        The patient.
    reason
        Why, for example the request he made.

    Raises
    ------
    NotFoundError
        If no identity of his is kept.
    LockedError
        If one is locked.
    RecordInputError
        Without a reason.
    """
    if not reason.strip():
        raise RecordInputError(expected="a reason to erase", given="none", where="identity")
    with context.store.writing() as writer:
        # From the trail: one that was removed still has values behind its seals.
        last = {
            event.item_id: event
            for event in writer.read_events(kind="identity", patient_id=patient_id)
            if event.action in CHANGING
        }
        kept = [event for event in last.values() if event.action is not Action.ERASE]
        if not kept:
            raise NotFoundError(expected="an identity of this patient", given="none", where="identity")
        for event in kept:
            _erase(context, writer, event, reason=reason.strip())
    context.store.purge_erased()
    return len(kept)


def _erase(context: RecordContext, writer: RecordWriter, last: Event, *, reason: str) -> None:
    require_right(context.actor, "identity.write", site_id=last.site_id)
    item = writer.find_item(last.kind, last.item_id)
    if item is not None and item.locked:
        raise LockedError(expected="an identity that is not locked", given="a locked one", where="identity")
    writer.remove_item(last.kind, last.item_id)
    writer.append_event(
        EventDraft(
            time_utc=context.now_utc(),
            actor_id=context.actor.account_id,
            action=Action.ERASE,
            kind=last.kind,
            item_id=last.item_id,
            version=last.version + 1,
            site_id=last.site_id,
            patient_id=last.patient_id,
            changes=() if item is None else list_changes(item, replace(item, values={})),
            reason=reason,
            request_id=context.request_id,
        )
    )
    writer.erase_sealed(last.kind, last.item_id)
