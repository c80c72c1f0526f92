"""Hand on what a day gave: dates of injected lesions, day 1 of the patient, the visit."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date

from hepatica.core.errors import ConsentError
from hepatica.core.findings import Finding, Severity
from hepatica.procedure.entry_kind import Phase
from hepatica.procedure.outputs import INJECTION_VISIT, list_injected_dates, to_visit_event
from hepatica.procedure.planned import PlannedDay
from hepatica.procedure.state import DayState
from hepatica.record.consent import ConsentState, Purpose
from hepatica.record.event import JsonValue
from hepatica.record.item import Item
from hepatica.record.sign_in import make_secret
from hepatica.workflows.change_item import change_item, create_item
from hepatica.workflows.record_ports import PAGE_MAX, ItemFilter, RecordContext, RecordWriter

RIGHT = "procedure.write"
"""Who enters the day need not be one who may change lesions or visits otherwise."""


def hand_on_day(
    context: RecordContext,
    writer: RecordWriter,
    *,
    procedure: Item,
    planned: PlannedDay,
    days: tuple[DayState, DayState],
) -> tuple[str, ...]:
    """Write into lesions, patient and visit what followed from new entries.

    Parameters
    ----------
    context, writer
        Who enters, and the change in the making.
    procedure
        The procedure after the change.
    planned
        Its plan.
    days
        The day before and after.

    Returns
    -------
    missed
        What could not be written, each with the reason: a lesion is locked or not in the record, or the patient
        has withdrawn from follow-up.
    """
    before, after = days
    missed = tuple(
        _write_lesions(context, writer, procedure=procedure, planned=planned, before=before, after=after)
    )
    _write_first_day(context, writer, procedure=procedure, after=after)
    if after.phase.is_over:
        try:
            _write_visit(context, writer, procedure=procedure, planned=planned, after=after)
        except ConsentError as refusal:
            # What was done to the patient stays in the record; only the visit is stopped.
            return (*missed, f"visit: {refusal.given}")
    return missed


def check_withdrawal(day: DayState, consent: ConsentState) -> tuple[Finding, ...]:
    """Find needles that went in on or after the day on which the patient withdrew from treatment.

    Parameters
    ----------
    day
        The day.
    consent
        How the patient's consent stands.
    """
    since = consent.stopped.get(Purpose.TREATMENT)
    late = [
        entry
        for entry in day.live
        if since is not None and entry.kind == "needle_in" and entry.occurred_at.date().isoformat() >= since
    ]
    return tuple(
        Finding(
            rule="procedure.consent_withdrawn",
            severity=Severity.ERROR,
            message="A needle went in on or after the day on which the patient withdrew from treatment.",
            measured=entry.occurred_at.date().isoformat(),
            limit=since or "",
            source="consent of the record",
            subject=entry.entry_id,
        )
        for entry in late
    )


def _write_lesions(
    context: RecordContext,
    writer: RecordWriter,
    *,
    procedure: Item,
    planned: PlannedDay,
    before: DayState,
    after: DayState,
) -> Iterator[str]:
    was, now = list_injected_dates(before), list_injected_dates(after)
    names = [name for name in sorted({*was, *now}) if was.get(name) != now.get(name)]
    if not names:
        return
    wanted = ItemFilter(kind="lesion", patient_id=procedure.patient_id, limit=PAGE_MAX)
    by_uid = {item.values["tracking_uid"]: item for item in writer.list_items(wanted).items}
    for name in names:
        lesion = planned.lesions.get(name)
        item = by_uid.get(lesion.tracking_uid) if lesion else None
        if item is None or item.locked:
            yield f"{name}: {'locked' if item else 'not a lesion of the record'}"
            continue
        dates = _join(item, removed=was.get(name, ()), added=now.get(name, ()))
        if dates != item.values.get("injected_dates", []):
            change_item(
                context,
                writer,
                kind="lesion",
                item_id=item.item_id,
                values={"injected_dates": dates or None},
                expected_version=item.version,
                reason=f"procedure of visit {planned.visit}",
                right=RIGHT,
            )


def _join(item: Item, *, removed: tuple[date, ...], added: tuple[date, ...]) -> list[JsonValue]:
    """Return a lesion's dates; those of other days stay."""
    held = item.values.get("injected_dates")
    kept = {str(day) for day in (held if isinstance(held, list) else ())} - {d.isoformat() for d in removed}
    return [*sorted(kept | {day.isoformat() for day in added})]


def _write_first_day(
    context: RecordContext, writer: RecordWriter, *, procedure: Item, after: DayState
) -> None:
    dates = [day for days in list_injected_dates(after).values() for day in days]
    patient = writer.find_item("patient", procedure.patient_id)
    if not dates or patient is None or patient.locked or patient.values.get("reference_date") is not None:
        return
    change_item(
        context,
        writer,
        kind="patient",
        item_id=patient.item_id,
        values={"reference_date": min(dates).isoformat()},
        expected_version=patient.version,
        reason="first injection",
        right=RIGHT,
    )


def _write_visit(
    context: RecordContext, writer: RecordWriter, *, procedure: Item, planned: PlannedDay, after: DayState
) -> None:
    event = to_visit_event(after, planned, subject=procedure.patient_id)
    if event is None:
        return
    status = "cancelled" if after.phase is Phase.CANCELLED and event["status"] != "done" else event["status"]
    values: dict[str, JsonValue] = {"date": event["date"], "status": status}
    same: dict[str, JsonValue] = {"name": INJECTION_VISIT, "visit_number": planned.visit}
    found = writer.list_items(ItemFilter(kind="visit", patient_id=procedure.patient_id, where=same)).items
    if found and found[0].locked:
        return
    if found:
        change_item(
            context,
            writer,
            kind="visit",
            item_id=found[0].item_id,
            values=values,
            expected_version=found[0].version,
            reason="procedure of this visit",
            right=RIGHT,
        )
        return
    create_item(
        context,
        writer,
        item=Item(
            kind="visit",
            item_id=make_secret()[:16],
            site_id=procedure.site_id,
            patient_id=procedure.patient_id,
            version=1,
            values={**same, **values},
        ),
        right=RIGHT,
    )
