"""Source verification: a monitor holds values against the source document; later changes show."""

from __future__ import annotations

from collections.abc import Sequence

from hepatica.core.errors import ConflictError, RecordInputError
from hepatica.record.catalogue import find_kind
from hepatica.record.item import Item
from hepatica.record.people import require_right
from hepatica.record.sign_in import make_secret
from hepatica.record.verification import VerificationAnswer, assess_verification
from hepatica.workflows.change_item import create_item, require_item
from hepatica.workflows.record_ports import PAGE_MAX, ItemFilter, RecordContext, RecordWriter


def verify_item(
    context: RecordContext,
    writer: RecordWriter,
    *,
    kind: str,
    item_id: str,
    expected_version: int,
    fields: Sequence[str],
) -> Item:
    """Bind a monitor's word to some fields of an item as it is now.

    Parameters
    ----------
    context, writer
        Who verifies, with the right ``verification.write`` and that to read the item; the change in the making.
    kind, item_id, expected_version
        The item as the monitor saw it.
    fields
        Fields that were held against the source.

    Raises
    ------
    ConflictError
        If the item is another by now.
    RecordInputError
        If a field is none of the kind, or sealed.
    """
    rule = find_kind(kind)
    item = require_item(writer, kind=kind, item_id=item_id)
    require_right(context.actor, rule.read_right, site_id=item.site_id)
    if item.version != expected_version:
        raise ConflictError(
            expected=f"version {item.version}, the present one",
            given=f"a verification of version {expected_version}",
            where=f"{kind} {item_id}",
            action="look at what changed before you verify",
        )
    rules = [rule.find_field(name) for name in fields]
    if not fields or len(set(fields)) < len(fields) or any(r is None or r.sealed for r in rules):
        raise RecordInputError(
            expected=f"fields of {kind}, each once, none of them sealed", given="others", where="fields"
        )
    return create_item(
        context,
        writer,
        item=Item(
            kind="verification",
            item_id=make_secret()[:16],
            site_id=item.site_id,
            patient_id=item.patient_id,
            version=1,
            values={
                "about_kind": kind,
                "about_item_id": item_id,
                "about_version": item.version,
                "about_digest": item.digest,
                "verified_fields": sorted(fields),
            },
        ),
    )


def list_verifications(context: RecordContext, *, kind: str, item_id: str) -> tuple[VerificationAnswer, ...]:
    """Return the verifications of an item, each with the fields that changed since.

    Parameters
    ----------
    context
        Who asks; needs the right ``verification.read`` and that to read the item.
    kind, item_id
        The item.
    """
    require_right(context.actor, "verification.read")
    require_right(context.actor, find_kind(kind).read_right)
    with context.store.reading() as reader:
        item = reader.find_item(kind, item_id)
        marks = reader.list_items(
            ItemFilter(
                kind="verification",
                site_ids=None if context.actor.is_system else context.actor.site_ids,
                where={"about_kind": kind, "about_item_id": item_id},
                limit=PAGE_MAX,
            )
        ).items
        events = tuple(reader.read_events(kind=kind, item_id=item_id)) if marks else ()
        return tuple(assess_verification(mark, item, events) for mark in marks)
