"""What a blinded reader may learn beside the fields themselves: no version, event or write tells of hidden ones."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from hepatica.core.errors import ConflictError, NotFoundError, RecordInputError
from hepatica.record.blinding import OWN_MARKS, project_event, shows_field
from hepatica.record.catalogue import find_kind
from hepatica.record.chain import CHANGING
from hepatica.record.event import Action, Event, JsonValue
from hepatica.record.item import Item
from hepatica.record.people import BLINDED, Actor
from hepatica.workflows.record_ports import ItemFilter, RecordReader


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnReads:
    """A blinded reader's own reads.

    Parameters
    ----------
    locked
        By read: whether it is locked.
    patients
        By patient: whether all of his reads of that patient are locked. Nobody else is in it.
    scans
        Scans that he was given to read. Those of the day of injection show the needle.
    """

    locked: Mapping[str, bool]
    patients: Mapping[str, bool]
    scans: frozenset[str]


def find_own_reads(reader: RecordReader, actor: Actor) -> OwnReads:
    """Return a blinded reader's own reads; nothing for everybody else.

    Parameters
    ----------
    reader
        View of the record.
    actor
        Who looks.
    """
    if not actor.is_blinded:
        return OwnReads(locked={}, patients={}, scans=frozenset())
    locked: dict[str, bool] = {}
    patients: dict[str, bool] = {}
    scans: set[str] = set()
    wanted = ItemFilter(kind="read", where={"reader_id": actor.account_id}, limit=500)
    while True:
        page = reader.list_items(wanted)
        for item in page.items:
            done = item.values["state"] == "locked"
            locked[item.item_id] = done
            # Who decides between two reads sees both.
            locked.update({read_id: True for read_id in _to_texts(item.values.get("adjudicates"))})
            patients[item.patient_id] = patients.get(item.patient_id, True) and done
            scans.update(_to_texts(item.values.get("scan_ids")))
        if not page.next:
            return OwnReads(locked=locked, patients=patients, scans=frozenset(scans))
        wanted = replace(wanted, after=page.next)


def find_foreign_lesions(
    reader: RecordReader, actor: Actor, own: OwnReads, *, patient_id: str
) -> frozenset[str]:
    """Return lesions that another reader found and that a blinded reader must not know of while his read is open.

    Parameters
    ----------
    reader
        View of the record.
    actor, own
        Who looks, and his reads; who decides between two reads sees what their readers found.
    patient_id
        Whose lesions.
    """
    if not actor.is_blinded or own.patients.get(patient_id, False):
        return frozenset()
    shown = {actor.account_id}
    for read_id, locked in own.locked.items():
        read = reader.find_item("read", read_id) if locked else None
        if read is not None and read.patient_id == patient_id:
            shown.add(str(read.values["reader_id"]))
    makers = {
        event.item_id: event.actor_id
        for event in reader.read_events(kind="lesion", patient_id=patient_id)
        if event.action is Action.CREATE and event.actor_id not in shown
    }
    others = {maker for maker in makers.values() if _is_reader(reader, maker)}
    return frozenset(item_id for item_id, maker in makers.items() if maker in others)


def _is_reader(reader: RecordReader, account_id: str) -> bool:
    account = reader.find_item("account", account_id)
    return account is not None and bool(set(_to_texts(account.values.get("roles"))) & BLINDED)


def project_history(events: Iterable[Event], actor: Actor, own: OwnReads) -> Iterable[Event]:
    """Yield the events that a person may see; of a blinded reader's, no gap in the versions tells of the others.

    Parameters
    ----------
    events
        In order.
    actor, own
        Who looks, and his reads.
    """
    versions: dict[tuple[str, str], int] = {}
    for event in events:
        shown = project_event(event, actor, own_read_locked=own.patients.get(event.patient_id, False))
        if not actor.is_blinded:
            yield shown
            continue
        # A scan's history may begin under a patient whom the reader was not given.
        if (event.patient_id and event.patient_id not in own.patients) or (
            event.changes and not shown.changes
        ):
            continue
        key = (event.kind, event.item_id)
        versions[key] = versions.get(key, 0) + (event.action in CHANGING)
        yield replace(shown, version=versions[key])


def count_seen_versions(
    reader: RecordReader, actor: Actor, own: OwnReads, *, kind: str, patient_id: str, item_id: str = ""
) -> dict[str, int]:
    """Return, by item, the version that a blinded reader is shown: the number of changes that he could see.

    Parameters
    ----------
    reader
        View of the record.
    actor, own
        Who looks, and his reads.
    kind, patient_id, item_id
        Items of a patient, or one of them.
    """
    events = reader.read_events(kind=kind, patient_id=patient_id, item_id=item_id)
    return {event.item_id: event.version for event in project_history(events, actor, own)}


def require_blinded_write(
    reader: RecordReader, actor: Actor, item: Item, *, names: Iterable[str], is_new: bool = False
) -> None:
    """Refuse what a blinded reader must not write: other patients, what others marked, fields that he cannot see.

    Parameters
    ----------
    reader
        View of the record.
    actor
        Who writes; anybody who is not blinded may go on.
    item
        The item as it is, or shall be.
    names
        Fields that are written.
    is_new
        Whether it is made now.

    Raises
    ------
    NotFoundError
        If he has no read of the patient.
    ConflictError
        If somebody else made it.
    RecordInputError
        If a field is not for him.
    """
    if not actor.is_blinded or item.kind in {*OWN_MARKS, "signature"} or not item.patient_id:
        return
    own = find_own_reads(reader, actor)
    if item.patient_id not in own.patients:
        raise NotFoundError(expected="a patient of one's reads", given="another", where=item.kind)
    is_locked = own.patients[item.patient_id]
    rules = [find_kind(item.kind).find_field(name) for name in names]
    if not all(rule and shows_field(rule, actor, own_read_locked=is_locked) for rule in rules):
        raise RecordInputError(expected="fields that a reader sees", given="another", where=item.kind)
    if is_new:
        return
    made = [
        event.actor_id
        for event in reader.read_events(kind=item.kind, item_id=item.item_id)
        if event.action is Action.CREATE
    ]
    if made[-1:] != [actor.account_id]:
        raise ConflictError(expected="a mark of one's own", given="somebody else's", where=item.kind)


def to_true_version(reader: RecordReader, actor: Actor, item: Item, *, shown: int) -> int:
    """Return the version that is meant by the one a person was shown.

    Parameters
    ----------
    reader
        View of the record.
    actor
        Who writes.
    item
        The item as it is.
    shown
        Version that he names.
    """
    if not actor.is_blinded or item.kind in OWN_MARKS or not item.patient_id:
        return shown
    own = find_own_reads(reader, actor)
    seen = count_seen_versions(
        reader, actor, own, kind=item.kind, patient_id=item.patient_id, item_id=item.item_id
    )
    return item.version if seen.get(item.item_id) == shown else 0


def _to_texts(value: JsonValue) -> list[str]:
    return [str(part) for part in value] if isinstance(value, list) else []
