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
    """Erase every identity of a patient, now and in the past, and what his scans' headers said of him.

    Returns how many identities and entries of the vault that were. A clinical record keeps the images as they came:
    their own headers go only with the scan.

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
        names = _erase_vault(context, writer, patient_id, reason=reason.strip())
        if not kept and not names:
            raise NotFoundError(expected="an identity of this patient", given="none", where="identity")
        for event in kept:
            _erase(context, writer, event, reason=reason.strip())
    context.store.purge_erased()
    return len(kept) + names


def _erase_vault(context: RecordContext, writer: RecordWriter, patient_id: str, *, reason: str) -> int:
    """Destroy the names, numbers and true dates that were taken from a patient's scans."""
    erased = 0
    # From the trail: one that was removed or moved away still has entries.
    scans = {
        event.item_id: event
        for event in writer.read_events(kind="scan", patient_id=patient_id)
        if event.action in CHANGING
    }
    for scan_id, last in scans.items():
        now = writer.find_item("scan", scan_id)
        if now is not None and now.patient_id != patient_id:
            continue
        require_right(context.actor, "identity.write", site_id=last.site_id)
        found = writer.vault.remove("scan_identity", scan_id)
        if now is not None:
            uids = [("series", "series_uid"), ("uid", "series_uid"), ("uid", "study_uid")]
            found |= any([writer.vault.remove(kind, str(now.values.get(name))) for kind, name in uids])
        if found:
            erased += 1
            writer.append_event(_to_note(context, last, reason=reason))
    writer.vault.remove("date_offset", patient_id)
    return erased


def _to_note(context: RecordContext, scan: Event, *, reason: str) -> EventDraft:
    """Return the event of a vault's entry that was destroyed: the scan itself stays as it is."""
    return EventDraft(
        time_utc=context.now_utc(),
        actor_id=context.actor.account_id,
        action=Action.READ,
        kind=scan.kind,
        item_id=scan.item_id,
        version=scan.version,
        site_id=scan.site_id,
        patient_id=scan.patient_id,
        reason=f"vault erased: {reason}",
        request_id=context.request_id,
    )


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
