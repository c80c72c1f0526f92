"""The day of an injection in the record: begun from a plan, entered by several hands, closed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final

from hepatica.core.errors import ConflictError, NotFoundError, RecordInputError, SourceFormatError
from hepatica.core.findings import Finding
from hepatica.procedure.append import append_entries
from hepatica.procedure.check_day import check_day
from hepatica.procedure.document import from_entry_document, to_entry_document
from hepatica.procedure.edited import apply_edits, read_dose_changes
from hepatica.procedure.entry import Entry
from hepatica.procedure.entry_kind import Phase, read_entry_kinds
from hepatica.procedure.planned import PlannedDay, to_planned_day
from hepatica.procedure.settings import DaySettings
from hepatica.procedure.state import DayState, derive_day
from hepatica.record.item import Item
from hepatica.record.people import require_right
from hepatica.record.sign_in import make_secret
from hepatica.workflows.change_item import change_item, create_item, require_item
from hepatica.workflows.consent_guard import read_consent_state, read_protocol_version
from hepatica.workflows.documents import to_object
from hepatica.workflows.hand_on_procedure import check_withdrawal, hand_on_day
from hepatica.workflows.record_ports import PAGE_MAX, ItemFilter, RecordContext, RecordReader, RecordWriter

PLAN_FILE: Final = "plan.json"
JURISDICTIONS: Final = {"GBR": "uk", "USA": "us"}
"""Whose limits of use hold at a site, by its country (ISO 3166-1)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DayReport:
    """A procedure and where it stands.

    Parameters
    ----------
    item
        As the record holds it.
    day, planned, settings
        Where it stands, and what it was held against.
    findings
        Everything that is wrong with it.
    as_of
        The moment it was looked at.
    """

    item: Item
    day: DayState
    planned: PlannedDay
    settings: DaySettings
    findings: tuple[Finding, ...]
    as_of: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """What became of entries.

    Parameters
    ----------
    report
        The procedure afterwards.
    added, repeated
        Entries that are new, and that had arrived before.
    not_handed_on
        What could not be written elsewhere in the record, with the reason.
    """

    report: DayReport
    added: tuple[str, ...]
    repeated: tuple[str, ...]
    not_handed_on: tuple[str, ...]


def start_procedure(context: RecordContext, writer: RecordWriter, *, plan_id: str) -> Item:
    """Begin the day of a plan.

    Parameters
    ----------
    context, writer
        Who begins, with the right ``procedure.write``; the change in the making.
    plan_id
        The plan of the record.

    Raises
    ------
    ConflictError
        If the plan has a procedure that was not cancelled.
    ConsentError
        If the patient has withdrawn from treatment.
    NotFoundError
        If there is no such plan, or it holds no plan document.
    """
    plan = require_item(writer, kind="plan", item_id=plan_id)
    require_right(context.actor, "procedure.write", site_id=plan.site_id)
    planned = read_planned(context, plan)
    if has_begun(writer, plan):
        raise ConflictError(expected="one procedure of a plan", given="a second", where="plan_id")
    return create_item(
        context,
        writer,
        item=Item(
            kind="procedure",
            item_id=make_secret()[:16],
            site_id=plan.site_id,
            patient_id=plan.patient_id,
            version=1,
            values={
                "plan_id": plan_id,
                "visit_number": planned.visit,
                "state": Phase.PREPARATION.value,
                "entries": [],
            },
        ),
    )


def has_begun(reader: RecordReader, plan: Item) -> bool:
    """Return whether a plan has a procedure that was not cancelled.

    Parameters
    ----------
    reader
        View of the record.
    plan
        Item of kind ``plan``.
    """
    wanted = ItemFilter(
        kind="procedure", patient_id=plan.patient_id, where={"plan_id": plan.item_id}, limit=PAGE_MAX
    )
    return any(item.values["state"] != Phase.CANCELLED for item in reader.list_items(wanted).items)


def record_entries(
    context: RecordContext, writer: RecordWriter, *, procedure_id: str, entries: Sequence[Mapping[str, Any]]
) -> Recorded:
    """Add entries to a day. It needs no version: entries of several tablets are all kept, each once.

    Author and time of entry are the account's and the record's; whatever a tablet sent for them is not used.

    Parameters
    ----------
    context, writer
        Who enters, with the right ``procedure.write``; the change in the making.
    procedure_id
        The procedure.
    entries
        Documents of entries, see `hepatica.procedure.document`.

    Raises
    ------
    RecordInputError, ConflictError, LockedError
        As `hepatica.procedure.append.append_entries` does.
    """
    item = require_item(writer, kind="procedure", item_id=procedure_id)
    require_right(context.actor, "procedure.write", site_id=item.site_id)
    before = read_entries(item)
    planned = read_planned(context, _require_plan(writer, item))
    settings = read_settings(context, writer, item, before)
    now = context.patient_now(item.patient_id)
    new = [_receive(document, context, item, now=now) for document in entries]
    appended = append_entries(before, new, planned=planned, settings=settings)
    not_handed_on: tuple[str, ...] = ()
    if appended.added:
        # Another day of the first entry may bring another version of the protocol into force.
        settings = read_settings(context, writer, item, appended.entries)
        day = derive_day(appended.entries, planned, settings=settings)
        item = change_item(
            context,
            writer,
            kind="procedure",
            item_id=procedure_id,
            values={
                "entries": [to_entry_document(entry) for entry in appended.entries],
                "state": day.phase.value,
            },
            expected_version=item.version,
            reason="; ".join(
                entry.reason for entry in new if entry.entry_id in appended.added and entry.reason
            ),
        )
        earlier = derive_day(before, planned, settings=settings)
        not_handed_on = hand_on_day(
            context.deriving(), writer, procedure=item, planned=planned, days=(earlier, day)
        )
    report = _to_report(writer, item, appended.entries, planned=planned, settings=settings, now=now)
    return Recorded(
        report=report, added=appended.added, repeated=appended.repeated, not_handed_on=not_handed_on
    )


def close_procedure(
    context: RecordContext,
    writer: RecordWriter,
    *,
    procedure_id: str,
    expected_version: int,
    entry: Mapping[str, Any],
) -> Recorded:
    """Close a day that the person has seen whole: it needs the version that was seen.

    Parameters
    ----------
    context, writer
        Who closes, with the right ``procedure.write``; the change in the making.
    procedure_id, expected_version
        The procedure as it was seen.
    entry
        Document of an entry of kind ``close`` or ``cancel``. Sent again, it changes nothing.

    Raises
    ------
    ConflictError
        If something was entered meanwhile, or is open.
    """
    if entry.get("kind") not in ("close", "cancel"):
        raise RecordInputError(expected="an entry that ends the day", given="another", where="kind")
    item = require_item(writer, kind="procedure", item_id=procedure_id)
    require_right(context.actor, "procedure.write", site_id=item.site_id)
    held = {known.entry_id for known in read_entries(item)}
    if item.version != expected_version and entry.get("entry_id") not in held:
        raise ConflictError(
            expected=f"version {item.version}, the present one",
            given=f"a closing of version {expected_version}",
            where=f"procedure {procedure_id}",
            action="look at what was entered meanwhile",
        )
    return record_entries(context, writer, procedure_id=procedure_id, entries=[entry])


def read_day(context: RecordContext, *, procedure_id: str) -> DayReport:
    """Return where a day stands.

    Parameters
    ----------
    context
        Who asks; needs the right ``procedure.read``.
    procedure_id
        The procedure.

    Raises
    ------
    NotFoundError
        If there is none, or it is another site's.
    """
    require_right(context.actor, "procedure.read")
    with context.store.reading() as reader:
        item = reader.find_item("procedure", procedure_id)
        actor = context.actor
        if item is None or not (actor.is_system or item.site_id in actor.site_ids):
            raise NotFoundError(
                expected="a procedure of the record", given="an unknown identifier", where="procedure"
            )
        entries = read_entries(item)
        return _to_report(
            reader,
            item,
            entries,
            planned=read_planned(context, _require_plan(reader, item)),
            settings=read_settings(context, reader, item, entries),
            now=context.patient_now(item.patient_id),
        )


def read_entries(item: Item) -> tuple[Entry, ...]:
    """Return the entries that a procedure holds, in the order in which they arrived."""
    rows = item.values["entries"]
    return tuple(from_entry_document(row) for row in rows) if isinstance(rows, list) else ()


def read_planned(context: RecordContext, plan: Item) -> PlannedDay:
    """Return what a plan of the record asks of the day, with the doses and punctures that people chose.

    Raises
    ------
    NotFoundError
        If the plan names no plan document.
    """
    chosen = plan.values.get("chosen_punctures")
    return apply_edits(
        read_planned_document(context, plan),
        chosen=[str(name) for name in chosen] if isinstance(chosen, list) else (),
        dose_changes=read_dose_changes(plan.values.get("dose_changes")),
    )


def read_planned_document(context: RecordContext, plan: Item) -> PlannedDay:
    """Return what the planner's document of a plan asks of the day.

    Raises
    ------
    NotFoundError
        If the plan names no plan document.
    """
    files = plan.values["files"]
    digest = files.get(PLAN_FILE) if isinstance(files, dict) else None
    if not isinstance(digest, str):
        raise NotFoundError(expected=f"a plan with {PLAN_FILE}", given="one without", where="plan")
    document = to_object(context.files.read_bytes(digest), where=PLAN_FILE, error=SourceFormatError)
    return to_planned_day(document)


def read_settings(
    context: RecordContext, reader: RecordReader, item: Item, entries: Sequence[Entry]
) -> DaySettings:
    """Return what study and site set for a procedure.

    Parameters
    ----------
    context, reader
        Who asks, and the view of the record.
    item, entries
        The procedure, and what was entered; its first day decides which protocol version is in force.
    """
    site = reader.find_item("site", item.site_id)
    country = str(site.values.get("country_code", "")) if site else ""
    study = None
    if entries:
        first = min(entry.occurred_at for entry in entries)
        # Protocol versions are no patient's: they are in force by the wall calendar.
        first += context.now_utc() - context.patient_now(item.patient_id)
        study = read_protocol_version(reader, on=first.date().isoformat())
    return DaySettings(
        protocol_version=str(study.values["protocol_version"]) if study else "",
        jurisdiction=JURISDICTIONS.get(country.upper(), ""),
    )


def _receive(document: Mapping[str, Any], context: RecordContext, item: Item, *, now: datetime) -> Entry:
    stamped = {**document, "entered_at": now.isoformat(), "author": context.actor.account_id}
    return replace(from_entry_document(_move_times(stamped, context, item)), entered_at=now)


def _move_times(document: Mapping[str, Any], context: RecordContext, item: Item) -> Mapping[str, Any]:
    """Return an entry with its times in the calendar of the record."""
    values = document.get("values")
    if context.dates is None or not isinstance(values, Mapping):
        return document
    kind = read_entry_kinds().get(str(document.get("kind")))
    timed = {name for name, rule in (kind.fields.items() if kind else ()) if rule.type in ("date", "time")}
    dates, moved = context.dates, {**values}
    for name in timed & set(values):
        moved[name] = dates.move(values[name], patient_id=item.patient_id, where=f"entry {name}")
    when = dates.move(document.get("occurred_at"), patient_id=item.patient_id, where="occurred_at")
    return {**document, "occurred_at": when, "values": moved}


def _require_plan(reader: RecordReader, item: Item) -> Item:
    plan = reader.find_item("plan", str(item.values.get("plan_id", "")))
    if plan is None:
        raise NotFoundError(expected="the plan of the procedure", given="none", where="plan_id")
    return plan


def _to_report(
    reader: RecordReader,
    item: Item,
    entries: Sequence[Entry],
    *,
    planned: PlannedDay,
    settings: DaySettings,
    now: datetime,
) -> DayReport:
    day = derive_day(entries, planned, settings=settings)
    consent = read_consent_state(reader, patient_id=item.patient_id)
    findings = (
        *check_withdrawal(day, consent),
        *check_day(day, planned, as_of=now, settings=settings),
    )
    return DayReport(item=item, day=day, planned=planned, settings=settings, findings=findings, as_of=now)
