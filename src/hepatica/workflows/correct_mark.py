"""A reader corrects or takes back what he measured, while his read is open."""

from __future__ import annotations

from collections.abc import Mapping

from hepatica.core.errors import ForbiddenError, LockedError, NotFoundError, RecordInputError
from hepatica.record.event import JsonValue
from hepatica.record.item import Item
from hepatica.record.people import require_right
from hepatica.workflows.change_item import change_item, remove_item, require_item
from hepatica.workflows.record_ports import RecordContext, RecordWriter


def change_mark(
    context: RecordContext,
    *,
    read_id: str,
    measurement_id: str,
    expected_version: int,
    values: Mapping[str, JsonValue],
    reason: str,
) -> Item:
    """Correct a measurement, or give it to another lesion of the same patient.

    Parameters
    ----------
    context
        The reader himself.
    read_id, measurement_id, expected_version
        His read, and the measurement as he saw it.
    values
        Fields to set; None unsets one.
    reason
        Why.

    Raises
    ------
    ForbiddenError, NotFoundError, LockedError
        If the read is another's, has no such measurement, or is locked.
    RecordInputError
        If the lesion is another patient's.
    """
    with context.store.writing() as writer:
        _require_own_mark(context, writer, read_id, measurement_id)
        lesion_id = values.get("lesion_id")
        if lesion_id is not None:
            lesion = require_item(writer, kind="lesion", item_id=str(lesion_id))
            if lesion.patient_id != require_item(writer, kind="read", item_id=read_id).patient_id:
                raise RecordInputError(
                    expected="a lesion of this patient", given="another", where="lesion_id"
                )
        return change_item(
            context,
            writer,
            kind="measurement",
            item_id=measurement_id,
            values=values,
            expected_version=expected_version,
            reason=reason,
        )


def remove_mark(
    context: RecordContext, *, read_id: str, measurement_id: str, expected_version: int, reason: str
) -> None:
    """Take a measurement back; the trail keeps it.

    Parameters
    ----------
    context, read_id, measurement_id, expected_version, reason
        As in `change_mark`.
    """
    with context.store.writing() as writer:
        mark = _require_own_mark(context, writer, read_id, measurement_id)
        seen = Item(
            kind=mark.kind,
            item_id=mark.item_id,
            site_id=mark.site_id,
            patient_id=mark.patient_id,
            version=expected_version,
            values=mark.values,
        )
        remove_item(context, writer, item=seen, reason=reason)


def _require_own_mark(
    context: RecordContext, writer: RecordWriter, read_id: str, measurement_id: str
) -> Item:
    read = require_item(writer, kind="read", item_id=read_id)
    require_right(context.actor, "read.write", site_id=read.site_id)
    if read.values["reader_id"] != context.actor.account_id:
        raise ForbiddenError(expected="your own read", given="another's", where="read")
    mark = writer.find_item("measurement", measurement_id)
    if mark is None or mark.values["read_id"] != read_id:
        raise NotFoundError(expected="a measurement of this read", given="another", where="measurement")
    if read.locked or read.values["state"] == "locked":
        raise LockedError(
            expected="a read that is open",
            given="a locked one",
            where="read",
            action="ask the data manager to unlock it",
        )
    return mark
