"""What a reader's page shows of one read, and the list of reads: in one answer each, and no more than he may see."""

from __future__ import annotations

import uuid
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import count
from typing import Any, Final

from hepatica.core.errors import ConflictError, ForbiddenError
from hepatica.record.item import Item
from hepatica.record.people import BLINDED, require_right
from hepatica.record.sign_in import make_secret
from hepatica.workflows.blinded_view import find_own_reads
from hepatica.workflows.change_item import create_item, require_item
from hepatica.workflows.plan_scene import to_volume_key
from hepatica.workflows.read_items import list_items, read_item
from hepatica.workflows.read_verdicts import ReadMarks, derive_read_verdicts
from hepatica.workflows.record_ports import PAGE_MAX, ItemFilter, RecordContext

ADJUDICATOR: Final = "adjudicator"
STATES: Final = ("started", "assigned", "locked")
PAIRS_MOST: Final = 25
"""Pairs of locked reads that are compared for one page."""
COMPARED: Final = ("longest_diameter_mm", "short_axis_mm", "volume_ml", "state", "lesion_role")
READER_WORDS: Final[Mapping[str, str]] = {"reader_1": "R1", "reader_2": "R2", ADJUDICATOR: "ADJ"}
"""Two readers who find the same new lesion call it differently: neither learns of the other by a number left out."""


def read_read_page(context: RecordContext, read_id: str) -> dict[str, Any]:
    """Return one read with its scans, lesions, marks and verdicts; for who decides, the two reads as well.

    Parameters
    ----------
    context
        Who looks. A blinded reader gets his own read, or the locked ones that he decides between.
    read_id
        The read.

    Raises
    ------
    NotFoundError
        If there is none for him.
    """
    read = read_item(context, kind="read", item_id=read_id)
    patient = read_item(context, kind="patient", item_id=read.patient_id)
    scans = _index(_list_for(context, "scan", read.patient_id))
    lesions = _index(_list_for(context, "lesion", read.patient_id))
    marks = _list_for(context, "measurement", read.patient_id)
    knows = _knows_injections(context, read.patient_id)

    def gather(one: Item) -> ReadMarks:
        own = [mark for mark in marks if mark.values["read_id"] == one.item_id]
        return ReadMarks(read=one, marks=own, lesions=lesions, scans=scans, knows_injections=knows)

    held = gather(read)
    pair = [gather(one) for one in _list_pair(context, read)]
    used = {str(mark.values["lesion_id"]) for part in (held, *pair) for mark in part.marks}
    return {
        "read": _to_read(context, read),
        "etag": read.etag,
        "subject_id": str(patient.values.get("subject_id", "")),
        "is_own": read.values["reader_id"] == context.actor.account_id,
        "is_blinded": context.actor.is_blinded and not knows,
        "scans": [_to_scan(held, scan_id) for scan_id in held.scan_ids],
        "lesions": [_to_lesion(held, item, used) for item in sorted(lesions.values(), key=_by_label)],
        "marks": [_to_mark(held, mark) for mark in held.marks],
        "verdicts": None if pair else derive_read_verdicts(held),
        "pair": [
            {
                "read": _to_read(context, part.read),
                "marks": [_to_mark(part, mark) for mark in part.marks],
                "verdicts": derive_read_verdicts(part),
            }
            for part in pair
        ],
        "differences": list_differences(*pair) if len(pair) == 2 else [],
    }


def list_differences(one: ReadMarks, other: ReadMarks) -> list[dict[str, Any]]:
    """Return where two reads of the same scans differ, mark by mark, in the order of visits and lesions.

    Parameters
    ----------
    one, other
        The reads.
    """
    sides = [
        {(part.find_scan_id(mark), str(mark.values["lesion_id"])): mark for mark in part.marks}
        for part in (one, other)
    ]
    found = []
    for scan_id, lesion_id in sides[0].keys() | sides[1].keys():
        values = [_to_compared(side.get((scan_id, lesion_id))) for side in sides]
        fields = [field for field in COMPARED if values[0].get(field) != values[1].get(field)]
        if fields:
            found.append(
                {
                    "scan_id": scan_id,
                    "visit_number": one.find_visit(scan_id) if scan_id else 0,
                    "lesion_id": lesion_id,
                    "lesion_label": one.name_lesion(lesion_id),
                    "fields": fields,
                    "values": values,
                }
            )
    return sorted(found, key=lambda row: (row["visit_number"], row["lesion_label"], row["scan_id"]))


def list_read_rows(
    context: RecordContext, *, mine: bool = False, state: str = "", after: int = 0, limit: int = 50
) -> dict[str, Any]:
    """Return reads, those to do first, and the pairs of locked reads that nobody decided between yet.

    Parameters
    ----------
    context
        Who looks.
    mine
        Only those of his account.
    state
        Only these; empty for all.
    after, limit
        Rows to leave out, and how many to return.
    """
    actor = context.actor
    reads = _list_for(context, "read")
    shown = [read for read in reads if not mine or read.values["reader_id"] == actor.account_id]
    wanted = sorted(
        (read for read in shown if not state or read.values["state"] == state),
        key=lambda read: (STATES.index(str(read.values["state"])), read.patient_id, str(read.values["role"])),
    )
    page = wanted[after : after + limit]
    pairs = _list_undecided(reads) if actor.may("read.assign") else []
    patients = _index(_list_for(context, "patient")) if page or pairs else {}
    names = _name_readers(context)
    return {
        "rows": [
            {**_to_row(read, patients, names), "is_own": read.values["reader_id"] == actor.account_id}
            for read in page
        ],
        "total": len(wanted),
        "counts": {one: sum(read.values["state"] == one for read in shown) for one in STATES},
        "pairs": [_to_pair(context, pair, patients) for pair in pairs[:PAIRS_MOST]],
        "pair_total": len(pairs),
    }


def list_readers(context: RecordContext) -> list[dict[str, Any]]:
    """Return who may be given reads at the sites of who assigns.

    Parameters
    ----------
    context
        Who assigns; needs ``read.assign``.
    """
    require_right(context.actor, "read.assign")
    with context.store.reading() as reader:
        accounts = list(_walk_accounts(reader))
    found = []
    for account in accounts:
        roles = sorted(set(_texts(account.values.get("roles"))) & BLINDED)
        sites = frozenset(_texts(account.values.get("site_ids")))
        near = sites if context.actor.is_system else sites & context.actor.site_ids
        if roles and near and account.values["state"] == "active":
            found.append(
                {
                    "account_id": account.item_id,
                    "display_name": str(account.values["display_name"]),
                    "role": str(roles[0]),
                    "site_ids": sorted(near),
                }
            )
    return sorted(found, key=lambda row: (row["role"], row["display_name"]))


def add_new_lesion(context: RecordContext, *, read_id: str, location: str, segment: str = "") -> Item:
    """Name a lesion that a reader found and nobody named before.

    Parameters
    ----------
    context
        The reader himself.
    read_id
        His open read.
    location, segment
        Where it lies.

    Raises
    ------
    ForbiddenError
        If the read is another's.
    ConflictError
        If it is locked.
    """
    with context.store.writing() as writer:
        read = require_item(writer, kind="read", item_id=read_id)
        require_right(context.actor, "read.write", site_id=read.site_id)
        if read.values["reader_id"] != context.actor.account_id:
            raise ForbiddenError(expected="your own read", given="another's", where="read")
        if read.locked or read.values["state"] == "locked":
            raise ConflictError(expected="a read that is open", given="a locked one", where="read")
        word = READER_WORDS[str(read.values["role"])]
        held = writer.list_items(ItemFilter(kind="lesion", patient_id=read.patient_id, limit=PAGE_MAX)).items
        labels = {str(item.values["lesion_label"]) for item in held}
        label = next(name for number in count(1) if (name := f"{word}-N{number:02}") not in labels)
        values = {
            "lesion_label": label,
            "tracking_uid": f"2.25.{uuid.UUID(bytes=make_secret().encode()[:16]).int}",
            "location": location.strip().upper(),
            **({"segment": segment.strip()} if segment.strip() else {}),
        }
        item = Item(
            kind="lesion",
            item_id=make_secret()[:16],
            site_id=read.site_id,
            patient_id=read.patient_id,
            version=1,
            values=values,
        )
        return create_item(context, writer, item=item)


def _list_for(context: RecordContext, kind: str, patient_id: str = "") -> list[Item]:
    """Return every item of a kind that he may see; none where his role reads none."""
    from hepatica.record.catalogue import find_kind

    if not context.actor.may(find_kind(kind).read_right):
        return []
    found: list[Item] = []
    wanted = ItemFilter(kind=kind, patient_id=patient_id, limit=PAGE_MAX)
    while True:
        page, _ = list_items(context, wanted)
        found += page.items
        if not page.next:
            return found
        wanted = replace(wanted, after=page.next)


def _index(items: Sequence[Item]) -> dict[str, Item]:
    return {item.item_id: item for item in items}


def _knows_injections(context: RecordContext, patient_id: str) -> bool:
    if not context.actor.is_blinded:
        return True
    with context.store.reading() as reader:
        return find_own_reads(reader, context.actor).patients.get(patient_id, False)


def _list_pair(context: RecordContext, read: Item) -> list[Item]:
    """Return the reads that an adjudicator decides between, in the order in which they were given."""
    return [
        read_item(context, kind="read", item_id=item_id) for item_id in _texts(read.values.get("adjudicates"))
    ]


def _list_undecided(reads: Sequence[Item]) -> list[tuple[Item, Item]]:
    groups: dict[tuple[str, str], list[Item]] = defaultdict(list)
    for read in reads:
        groups[read.patient_id, str(read.values["criterion"])].append(read)
    found = []
    for _, group in sorted(groups.items()):
        locked = [
            read for read in group if read.values["role"] != ADJUDICATOR and read.values["state"] == "locked"
        ]
        if len(locked) == 2 and all(read.values["role"] != ADJUDICATOR for read in group):
            one, other = sorted(locked, key=lambda read: str(read.values["role"]))
            found.append((one, other))
    return found


def _to_pair(context: RecordContext, pair: tuple[Item, Item], patients: Mapping[str, Item]) -> dict[str, Any]:
    patient_id = pair[0].patient_id
    scans, lesions = (_index(_list_for(context, kind, patient_id)) for kind in ("scan", "lesion"))
    marks = _list_for(context, "measurement", patient_id)
    knows = _knows_injections(context, patient_id)
    parts = [
        ReadMarks(
            read=read,
            marks=[mark for mark in marks if mark.values["read_id"] == read.item_id],
            lesions=lesions,
            scans=scans,
            knows_injections=knows,
        )
        for read in pair
    ]
    answers = [_to_codes(derive_read_verdicts(part)) for part in parts]
    return {
        "patient_id": patient_id,
        "subject_id": _to_subject(patients, patient_id),
        "criterion": str(pair[0].values["criterion"]),
        "read_ids": [read.item_id for read in pair],
        "scan_ids": parts[0].scan_ids,
        "responses": answers,
        "responses_differ": answers[0] != answers[1],
        "difference_count": len(list_differences(*parts)),
    }


def _to_codes(answer: Mapping[str, Any]) -> list[str]:
    return [str(row["overall"]) for row in answer["verdicts"]] or [f"n/e: {answer['not_evaluable']}"]


def _to_read(context: RecordContext, read: Item) -> dict[str, Any]:
    names = _name_readers(context)
    return {
        "item_id": read.item_id,
        "patient_id": read.patient_id,
        "version": read.version,
        "locked": read.locked,
        "reader_name": names.get(str(read.values["reader_id"]), ""),
        "role": str(read.values["role"]),
        "criterion": str(read.values["criterion"]),
        "state": str(read.values["state"]),
        "chosen_read_id": str(read.values.get("chosen_read_id") or ""),
        "choice_reason": str(read.values.get("choice_reason") or ""),
    }


def _to_row(read: Item, patients: Mapping[str, Item], names: Mapping[str, str]) -> dict[str, Any]:
    return {
        "read_id": read.item_id,
        "patient_id": read.patient_id,
        "subject_id": _to_subject(patients, read.patient_id),
        "role": str(read.values["role"]),
        "reader_name": names.get(str(read.values["reader_id"]), ""),
        "criterion": str(read.values["criterion"]),
        "state": str(read.values["state"]),
        "scan_count": len(_texts(read.values.get("scan_ids"))),
    }


def _to_subject(patients: Mapping[str, Item], patient_id: str) -> str:
    patient = patients.get(patient_id)
    return str(patient.values.get("subject_id", "")) if patient is not None else ""


def _to_scan(held: ReadMarks, scan_id: str) -> dict[str, Any]:
    scan = held.scans.get(scan_id)
    values: Mapping[str, Any] = scan.values if scan is not None else {}
    digest = str(values.get("content_digest") or "")
    key = to_volume_key(digest) if digest else ""
    return {
        "scan_id": scan_id,
        "visit_number": held.find_visit(scan_id),
        "acquired_date": str(values.get("acquired_date") or ""),
        "modality": str(values.get("modality") or ""),
        "phase_hint": str(values.get("phase_hint") or ""),
        "image_count": values.get("image_count"),
        "address": f"/api/scan/{scan_id}/volume.nii.gz?v={key}" if key else "",
    }


def _to_lesion(held: ReadMarks, item: Item, used: set[str]) -> dict[str, Any]:
    role = held.find_role(item.item_id)
    location = str(item.values.get("location", ""))
    return {
        "lesion_id": item.item_id,
        "name": held.name_lesion(item.item_id),
        "location": location,
        "segment": str(item.values.get("segment") or ""),
        "is_node": "LYMPH NODE" in location.upper(),
        "role": str(role) if role is not None else "",
        "marked": item.item_id in used,
    }


def _to_mark(held: ReadMarks, mark: Item) -> dict[str, Any]:
    values = {name: value for name, value in mark.values.items() if name not in ("read_id", "scan_id")}
    return {
        "measurement_id": mark.item_id,
        "version": mark.version,
        "etag": mark.etag,
        "scan_id": held.find_scan_id(mark),
        "values": values,
    }


def _to_compared(mark: Item | None) -> dict[str, Any]:
    return {} if mark is None else {field: mark.values.get(field) for field in COMPARED}


def _name_readers(context: RecordContext) -> dict[str, str]:
    """Return names by account; a blinded reader learns of nobody's but by his role."""
    if context.actor.is_blinded:
        return {}
    with context.store.reading() as reader:
        return {account.item_id: str(account.values["display_name"]) for account in _walk_accounts(reader)}


def _walk_accounts(reader: Any) -> Iterator[Item]:
    wanted = ItemFilter(kind="account", limit=PAGE_MAX)
    while True:
        page = reader.list_items(wanted)
        yield from page.items
        if not page.next:
            return
        wanted = replace(wanted, after=page.next)


def _texts(value: Any) -> list[str]:
    return [str(part) for part in value] if isinstance(value, list) else []


def _by_label(item: Item) -> tuple[str, str]:
    return str(item.values["lesion_label"]), item.item_id
