"""What has happened with one patient, as far as the person may see it, in one answer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from hepatica.record.catalogue import find_kind
from hepatica.record.event import Action
from hepatica.record.item import Item
from hepatica.workflows.read_items import list_items, read_item
from hepatica.workflows.record_ports import PAGE_MAX, ItemFilter, RecordContext


def _of_procedure(values: Mapping[str, Any]) -> str:
    times = [
        str(entry.get("occurred_at", "")) for entry in values.get("entries") or () if isinstance(entry, dict)
    ]
    return min(times, default="")[:10]


DATES: Final[Mapping[str, Callable[[Mapping[str, Any]], str]]] = {
    "scan": lambda values: str(values.get("acquired_date") or ""),
    "plan": lambda values: "",
    "procedure": _of_procedure,
    "visit": lambda values: str(values.get("date") or ""),
    "consent": lambda values: str(values.get("signed_date") or ""),
    "adverse_event": lambda values: str(values.get("start_date") or ""),
    "read": lambda values: "",
}
"""Kinds of a timeline, and the day that each tells of itself; empty for the day it was entered."""
LEFT_OUT: Final = frozenset({"files", "request", "entries", "content_digest", "dose_changes"})
"""Fields that are long and not listed."""


def read_timeline(context: RecordContext, patient_id: str) -> dict[str, Any]:
    """Return a patient with every scan, plan, procedure, visit, consent, adverse event and read, latest first.

    Parameters
    ----------
    context
        Who looks; kinds that he has no right to read are left out.
    patient_id
        The patient.

    Raises
    ------
    NotFoundError
        If there is none for him.
    """
    patient = read_item(context, kind="patient", item_id=patient_id)
    kinds = [kind for kind in DATES if context.actor.may(find_kind(kind).read_right)]
    items = [item for kind in kinds for item in _list_all(context, kind, patient_id)]
    entered = _list_entered(context, patient_id)
    rows = [_to_row(item, entered.get((item.kind, item.item_id), "")) for item in items]
    rows.sort(key=lambda row: (row["date"] or row["entered_at"][:10], row["entered_at"]), reverse=True)
    if context.actor.is_blinded:
        # What is entered on the day it happens tells when visits with an injection were; the order may be known.
        rows = [{**row, "entered_at": ""} for row in rows]
    return {
        "patient": {"item_id": patient.item_id, "version": patient.version, "values": dict(patient.values)},
        "rows": rows,
    }


def _list_all(context: RecordContext, kind: str, patient_id: str) -> list[Item]:
    found: list[Item] = []
    after = ""
    while True:
        page, _ = list_items(
            context, ItemFilter(kind=kind, patient_id=patient_id, after=after, limit=PAGE_MAX)
        )
        found += page.items
        after = page.next
        if not after:
            return found


def _list_entered(context: RecordContext, patient_id: str) -> dict[tuple[str, str], str]:
    with context.store.reading() as reader:
        return {
            (event.kind, event.item_id): event.time_utc.isoformat()
            for event in reader.read_events(patient_id=patient_id)
            if event.action is Action.CREATE
        }


def _to_row(item: Item, entered_at: str) -> dict[str, Any]:
    shown = {name: value for name, value in item.values.items() if name not in LEFT_OUT}
    return {
        "kind": item.kind,
        "item_id": item.item_id,
        "version": item.version,
        "date": DATES[item.kind](item.values),
        "entered_at": entered_at,
        "values": shown,
    }
