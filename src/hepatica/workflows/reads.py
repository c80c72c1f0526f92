"""Assign reads, lock them, adjudicate between two."""

from __future__ import annotations

from collections.abc import Sequence

from hepatica.core.errors import ConflictError, ForbiddenError, RecordInputError
from hepatica.record.event import JsonValue
from hepatica.record.item import Item
from hepatica.record.people import Actor, Role, require_right
from hepatica.record.sign_in import make_secret
from hepatica.workflows.account_entry import to_actor
from hepatica.workflows.change_item import change_item, create_item, require_item, set_lock
from hepatica.workflows.record_ports import ItemFilter, RecordContext, RecordWriter
from hepatica.workflows.registrations import queue_registrations


def assign_read(
    context: RecordContext,
    *,
    patient_id: str,
    reader_id: str,
    criterion: str,
    scan_ids: Sequence[str],
    adjudicates: Sequence[str] = (),
) -> Item:
    """Give a patient's scans to a reader, or two locked reads to an adjudicator.

    Parameters
    ----------
    context
        Who assigns; needs the right ``read.assign``.
    patient_id
        Whose scans.
    reader_id
        Account of the reader; his role says whether it is a first, second or deciding read.
    criterion
        By which criterion.
    scan_ids
        Scans in the order of the visits.
    adjudicates
        The two reads to decide between; for an adjudicator only.

    Raises
    ------
    RecordInputError
        If the account is no reader, a scan is another patient's, or the reads are not two locked ones.
    ConflictError
        If a read of this role and criterion exists.
    """
    with context.store.writing() as writer:
        patient = require_item(writer, kind="patient", item_id=patient_id)
        require_right(context.actor, "read.assign", site_id=patient.site_id)
        reader = to_actor(require_item(writer, kind="account", item_id=reader_id))
        role = _find_reading_role(reader, site_id=patient.site_id)
        _require_scans(writer, patient_id=patient_id, scan_ids=scan_ids)
        _require_adjudicable(writer, role=role, patient_id=patient_id, adjudicates=adjudicates)
        same: dict[str, JsonValue] = {"role": role.value, "criterion": criterion}
        if role is not Role.ADJUDICATOR and writer.count_items(
            ItemFilter(kind="read", patient_id=patient_id, where=same)
        ):
            raise ConflictError(
                expected="one read of a role and criterion",
                given="a second",
                where="read",
                action="unlock the first",
            )
        values: dict[str, JsonValue] = {
            **same,
            "reader_id": reader_id,
            "scan_ids": list(scan_ids),
            "state": "assigned",
            "adjudicates": list(adjudicates) or None,
        }
        created = create_item(
            context,
            writer,
            item=Item(
                kind="read",
                item_id=make_secret()[:16],
                site_id=patient.site_id,
                patient_id=patient_id,
                version=1,
                values=values,
            ),
            right="read.assign",
        )
        # Follow-ups are linked to the baseline before the reader looks; whoever assigns asks for it.
        queue_registrations(context, writer, patient_id=patient_id, scan_ids=scan_ids)
        return created


def lock_read(context: RecordContext, *, read_id: str, expected_version: int) -> Item:
    """Close a read: the reader's own marks are locked with it, and from then on he may learn of the treatment.

    Parameters
    ----------
    context
        The reader himself.
    read_id, expected_version
        The read as he saw it.

    Raises
    ------
    ForbiddenError
        If it is another's.
    RecordInputError
        If nothing was measured, or an adjudicator has not chosen.
    """
    with context.store.writing() as writer:
        read = _require_own(context, writer, read_id)
        marks = _list_marks(writer, read)
        if read.values["role"] == Role.ADJUDICATOR:
            if not read.values.get("chosen_read_id"):
                raise RecordInputError(expected="the read that holds", given="no choice", where="read")
        elif not marks:
            raise RecordInputError(
                expected="at least one measurement",
                given="none",
                where="read",
                action="measure before you lock",
            )
        closed = change_item(
            context,
            writer,
            kind="read",
            item_id=read_id,
            values={"state": "locked"},
            expected_version=expected_version,
            reason="read complete",
        )
        for mark in marks:
            set_lock(
                context, writer, item=mark, locked=True, reason="read complete", right="measurement.write"
            )
        return set_lock(context, writer, item=closed, locked=True, reason="read complete", right="read.write")


def choose_read(
    context: RecordContext, *, read_id: str, expected_version: int, chosen_read_id: str, reason: str
) -> Item:
    """Say which of two reads holds.

    Parameters
    ----------
    context
        The adjudicator himself.
    read_id, expected_version
        His read as he saw it.
    chosen_read_id
        One of the two.
    reason
        Why.
    """
    with context.store.writing() as writer:
        read = _require_own(context, writer, read_id)
        choices = read.values.get("adjudicates")
        if not isinstance(choices, list) or chosen_read_id not in choices:
            raise RecordInputError(
                expected="one of the reads to decide between", given="another", where="chosen_read_id"
            )
        if not reason.strip():
            raise RecordInputError(expected="a reason for the choice", given="none", where="reason")
        return change_item(
            context,
            writer,
            kind="read",
            item_id=read_id,
            values={"chosen_read_id": chosen_read_id, "choice_reason": reason.strip(), "state": "started"},
            expected_version=expected_version,
            reason=reason,
        )


def record_measurement(
    context: RecordContext, *, read_id: str, lesion_id: str, values: dict[str, JsonValue]
) -> Item:
    """Enter what a reader measured of one lesion.

    Parameters
    ----------
    context
        The reader himself.
    read_id
        His read; it starts with the first measurement.
    lesion_id
        Lesion of the same patient.
    values
        Fields of a measurement; ``scan_id`` says on which scan of the read, where it has several.
    """
    with context.store.writing() as writer:
        read = _require_own(context, writer, read_id)
        if read.values["state"] == "locked":
            raise ConflictError(expected="a read that is open", given="a locked one", where="read")
        listed, scan_id = read.values["scan_ids"], values.get("scan_id")
        if scan_id is not None and not (isinstance(listed, list) and scan_id in listed):
            raise RecordInputError(expected="a scan of this read", given="another", where="scan_id")
        lesion = require_item(writer, kind="lesion", item_id=lesion_id)
        if lesion.patient_id != read.patient_id:
            raise RecordInputError(expected="a lesion of this patient", given="another", where="lesion_id")
        if read.values["state"] == "assigned":
            change_item(
                context,
                writer,
                kind="read",
                item_id=read_id,
                values={"state": "started"},
                expected_version=read.version,
            )
        return create_item(
            context,
            writer,
            item=Item(
                kind="measurement",
                item_id=make_secret()[:16],
                site_id=read.site_id,
                patient_id=read.patient_id,
                version=1,
                values={**values, "read_id": read_id, "lesion_id": lesion_id},
            ),
        )


def _find_reading_role(actor: Actor, *, site_id: str) -> Role:
    reading = sorted(actor.roles & {Role.READER_1, Role.READER_2, Role.ADJUDICATOR})
    if not reading or site_id not in actor.site_ids:
        raise RecordInputError(
            expected="an account of a reader or adjudicator at this site", given="another", where="reader_id"
        )
    return reading[0]


def _require_scans(writer: RecordWriter, *, patient_id: str, scan_ids: Sequence[str]) -> None:
    scans = [writer.find_item("scan", scan_id) for scan_id in scan_ids]
    right = [scan for scan in scans if scan is not None and scan.patient_id == patient_id]
    if not right or len(right) < len(scans) or any(scan.values["state"] != "accepted" for scan in right):
        raise RecordInputError(
            expected="accepted scans of this patient",
            given=f"{len(right)} of {len(scans)} that are",
            where="scan_ids",
        )


def _require_adjudicable(
    writer: RecordWriter, *, role: Role, patient_id: str, adjudicates: Sequence[str]
) -> None:
    reads = [writer.find_item("read", read_id) for read_id in adjudicates]
    locked = [
        read
        for read in reads
        if read is not None and read.patient_id == patient_id and read.values["state"] == "locked"
    ]
    if role is not Role.ADJUDICATOR and adjudicates:
        raise RecordInputError(expected="an adjudicator to decide", given=role.value, where="adjudicates")
    if role is Role.ADJUDICATOR and not (len(locked) == len(reads) == 2):
        raise RecordInputError(
            expected="two locked reads of this patient", given=f"{len(locked)}", where="adjudicates"
        )


def _require_own(context: RecordContext, writer: RecordWriter, read_id: str) -> Item:
    read = require_item(writer, kind="read", item_id=read_id)
    require_right(context.actor, "read.write", site_id=read.site_id)
    if read.values["reader_id"] != context.actor.account_id:
        raise ForbiddenError(expected="your own read", given="another's", where="read")
    return read


def _list_marks(writer: RecordWriter, read: Item) -> tuple[Item, ...]:
    wanted = ItemFilter(
        kind="measurement", patient_id=read.patient_id, where={"read_id": read.item_id}, limit=500
    )
    return writer.list_items(wanted).items
