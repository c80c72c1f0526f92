"""What a person decides about a scan that waits, or that lies under the wrong patient."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from hepatica.core.errors import ConflictError, NotFoundError, RecordInputError
from hepatica.core.progress import SILENT, Progress
from hepatica.record.event import Action, EventDraft, JsonValue
from hepatica.record.item import Item
from hepatica.record.people import require_right
from hepatica.record.scan_identity import HeaderIdentity
from hepatica.workflows.change_item import change_item, create_item, remove_item, require_item
from hepatica.workflows.import_scan import (
    REPORT,
    find_identity_values,
    find_uses,
    list_differing,
    make_disguise,
    to_state,
)
from hepatica.workflows.read_items import read_item
from hepatica.workflows.record_ports import RecordContext, VaultEntry
from hepatica.workflows.scan_ports import ScanPorts

PHASES: Final = ("without contrast", "arterial", "portal venous", "delayed", "unknown")
"""Contrast phases that a person may name; headers are read into the same words."""
WAITING: Final = ("identity_differs", "suspected_burnt_in")


def accept_scan(context: RecordContext, *, scan_id: str, expected_version: int, reason: str) -> Item:
    """Say that a waiting scan is this patient's, or that no name stands in its pixels.

    A scan that waits for both is accepted twice, by two decisions with a reason each.

    Parameters
    ----------
    context
        Who decides; needs ``scan.write`` and, to judge who it shows, ``identity.read``.
    scan_id, expected_version
        The scan as the person saw it.
    reason
        Why.

    Raises
    ------
    ConflictError
        If it does not wait, or somebody else was first.
    """
    scan = _find(context, scan_id)
    require_right(context.actor, "identity.read", site_id=scan.site_id)
    state = str(scan.values["state"])
    if state not in WAITING:
        raise ConflictError(
            expected="a scan that waits", given=f"one that is {state}", where=f"scan {scan_id}"
        )
    doubts = scan.values.get("suspicions") if state == "identity_differs" else None
    after = "suspected_burnt_in" if doubts else "accepted"
    return _change(context, scan_id, {"state": after}, version=expected_version, reason=reason)


def reject_scan(context: RecordContext, *, scan_id: str, expected_version: int, reason: str) -> Item:
    """Say that a scan is not to be used. Its bytes stay; it can be imported anew.

    Parameters
    ----------
    context
        Who decides; needs ``scan.write``.
    scan_id, expected_version
        The scan as the person saw it.
    reason
        Why.
    """
    _find(context, scan_id)
    return _change(context, scan_id, {"state": "rejected"}, version=expected_version, reason=reason)


def name_phase(
    context: RecordContext, *, scan_id: str, expected_version: int, phase: str, reason: str
) -> Item:
    """Say which contrast phase a scan shows; it stands before what was guessed from headers.

    Parameters
    ----------
    context
        Who looked at the images; needs ``scan.write``.
    scan_id, expected_version
        The scan as the person saw it.
    phase
        One of `PHASES`.
    reason
        How one knows.
    """
    _find(context, scan_id)
    values = {"phase_hint": f"{phase} (entered by a person)"}
    return _change(context, scan_id, values, version=expected_version, reason=reason)


def move_scan(
    context: RecordContext,
    ports: ScanPorts,
    *,
    scan_id: str,
    patient_id: str,
    expected_version: int,
    reason: str,
    progress: Progress = SILENT,
) -> Item:
    """Put a scan under the patient it belongs to; it is compared with that patient anew.

    It stays the same scan, under the same identifier: it is taken from the one patient and given to the other in one
    change, so that nobody who sees only the wrong patient sees it any more, and its history tells of both. In
    research mode the images are rewritten with the other patient's pseudonym and dates.

    Parameters
    ----------
    context
        Who moves; needs ``scan.move`` at both sites.
    ports
        Of the record.
    scan_id, expected_version
        The scan as the person saw it.
    patient_id
        Whom it belongs to.
    reason
        Why.
    progress
        Told how far rewriting is.

    Raises
    ------
    ConflictError
        If plans or reads were made on it: they are the wrong patient's too, and have to be dealt with first.
    RecordInputError
        If it is that patient's already, or no reason is given.
    """
    scan = _find(context, scan_id)
    with context.store.reading() as reader:
        patient = require_item(reader, kind="patient", item_id=patient_id)
        holder = require_item(reader, kind="patient", item_id=scan.patient_id)
        identity = find_identity_values(reader, patient_id)
        people = _read_people(reader.vault.find("scan_identity", scan_id))
        uses = find_uses(reader, scan)
    for site_id in (scan.site_id, patient.site_id):
        require_right(context.actor, "scan.move", site_id=site_id)
    _check_move(scan, patient_id=patient_id, reason=reason, used=len(uses))
    differing = list_differing(ports.mode, people, identity)
    values = dict(scan.values) | {
        "state": to_state(differing=differing, suspicions=_to_list(scan.values.get("suspicions"))),
        "differing": list(differing) or None,
        "moved_from": None,
        "visit_number": None,
    }
    held, wanted = make_disguise(ports, holder), make_disguise(ports, patient)
    if held is not None and wanted is not None:
        stored = context.files.open_path(str(scan.values["content_digest"]))
        with ports.readdress(stored, held=held, wanted=wanted, progress=progress) as path:
            values["content_digest"] = context.files.keep_file(path)
        values["acquired_date"] = _shift(
            scan.values.get("acquired_date"), days=wanted.offset_days - held.offset_days
        )
    item = Item(
        kind="scan",
        item_id=scan_id,
        site_id=patient.site_id,
        patient_id=patient_id,
        version=1,
        values=values,
    )
    with context.store.writing() as writer:
        seen = require_item(writer, kind="scan", item_id=scan_id)
        if seen.version != expected_version or seen.values != scan.values:
            raise ConflictError(
                expected=f"version {seen.version}, the present one",
                given=f"a move of version {expected_version}",
                where=f"scan {scan_id}",
                action="look at what changed and decide again",
            )
        remove_item(context, writer, item=seen, reason=reason, right="scan.move")
        created = create_item(context, writer, item=item, reason=reason, right="scan.move")
        if wanted is not None:
            writer.vault.keep(
                [VaultEntry(purpose="date_offset", pseudonym=patient_id, original=str(wanted.offset_days))]
            )
    return created


def read_scan_identity(context: RecordContext, *, scan_id: str) -> tuple[Mapping[str, str], ...]:
    """Return the persons that a scan's images name, for whoever has to judge it. Looking is itself an event.

    Parameters
    ----------
    context
        Who looks; needs ``identity.read``.
    scan_id
        The scan.
    """
    scan = _find(context, scan_id)
    require_right(context.actor, "identity.read", site_id=scan.site_id)
    with context.store.writing() as writer:
        entry = writer.vault.find("scan_identity", scan_id)
        if entry is None:
            raise NotFoundError(expected="what the images say", given="nothing kept", where=f"scan {scan_id}")
        writer.append_event(_to_look(context, scan))
    people: list[dict[str, str]] = json.loads(entry.original)
    return tuple(people)


def read_vault(context: RecordContext, *, scan_id: str, purpose: str) -> str:
    """Return what lies behind the pseudonyms of a scan. Looking is itself an event.

    Parameters
    ----------
    context
        Who looks; needs ``vault.read`` at the scan's site.
    scan_id
        The scan that shows the pseudonyms.
    purpose
        ``series`` for names, numbers, UIDs and dates of the series, ``date_offset`` for the days by which the
        patient's dates were moved.
    """
    require_right(context.actor, "vault.read")
    scan = _find(context, scan_id)
    require_right(context.actor, "vault.read", site_id=scan.site_id)
    sought = {"series": str(scan.values["series_uid"]), "date_offset": scan.patient_id}
    if purpose not in sought:
        raise NotFoundError(expected=f"one of {', '.join(sought)}", given="another word", where="purpose")
    with context.store.writing() as writer:
        entry = writer.vault.find(purpose, sought[purpose])
        if entry is None:
            raise NotFoundError(expected="an entry of the vault", given="none", where=f"scan {scan_id}")
        writer.append_event(_to_look(context, scan, reason=f"vault: {purpose}"))
    return entry.original


def read_removal_report(context: RecordContext, *, scan_id: str) -> dict[str, Any]:
    """Return what was removed from a scan: counts by attribute and action, no values.

    Parameters
    ----------
    context
        Who reads; needs ``scan.read``.
    scan_id
        The scan.
    """
    scan = _find(context, scan_id)
    files = scan.values.get("files")
    if not isinstance(files, dict) or REPORT not in files:
        raise NotFoundError(
            expected="a removal report", given="a scan with its identity kept", where=f"scan {scan_id}"
        )
    report: dict[str, Any] = json.loads(context.files.read_bytes(str(files[REPORT])))
    return report


def require_accepted(scan: Item) -> None:
    """Refuse to work on a scan that waits or was rejected.

    Parameters
    ----------
    scan
        Item of kind ``scan``.

    Raises
    ------
    ConflictError
        If it is not accepted.
    """
    if scan.values["state"] != "accepted":
        raise ConflictError(
            expected="an accepted scan",
            given=f"one that is {scan.values['state']}",
            where=f"scan {scan.item_id}",
            action="look at it and accept it with a reason",
        )


def _find(context: RecordContext, scan_id: str) -> Item:
    """Return a scan that the actor may see, whole."""
    read_item(context, kind="scan", item_id=scan_id)
    with context.store.reading() as reader:
        return require_item(reader, kind="scan", item_id=scan_id)


def _change(
    context: RecordContext,
    scan_id: str,
    values: Mapping[str, JsonValue],
    *,
    version: int,
    reason: str,
) -> Item:
    with context.store.writing() as writer:
        return change_item(
            context,
            writer,
            kind="scan",
            item_id=scan_id,
            values=values,
            expected_version=version,
            reason=reason,
        )


def _check_move(scan: Item, *, patient_id: str, reason: str, used: int) -> None:
    if not reason.strip():
        raise RecordInputError(expected="a reason for the move", given="none", where=f"scan {scan.item_id}")
    if scan.patient_id == patient_id:
        raise RecordInputError(
            expected="another patient", given="the one it lies under", where=f"scan {scan.item_id}"
        )
    if used:
        raise ConflictError(
            expected="a scan that nothing was made on",
            given=f"{used} plan(s) or read(s) of the patient it lies under",
            where=f"scan {scan.item_id}",
            action="remove those first; they rest on the wrong patient's images",
        )


def _read_people(entry: VaultEntry | None) -> tuple[HeaderIdentity, ...]:
    return tuple(HeaderIdentity(**one) for one in json.loads(entry.original)) if entry else ()


def _to_look(context: RecordContext, scan: Item, *, reason: str = "") -> EventDraft:
    return EventDraft(
        time_utc=context.now_utc(),
        actor_id=context.actor.account_id,
        action=Action.READ,
        kind=scan.kind,
        item_id=scan.item_id,
        version=scan.version,
        site_id=scan.site_id,
        patient_id=scan.patient_id,
        reason=reason,
        request_id=context.request_id,
    )


def _shift(day: JsonValue, *, days: int) -> str | None:
    from datetime import date, timedelta

    if not isinstance(day, str) or len(day) != 10:
        return None
    return (date.fromisoformat(day) + timedelta(days=days)).isoformat()


def _to_list(value: JsonValue) -> list[str]:
    return [str(part) for part in value] if isinstance(value, list) else []
