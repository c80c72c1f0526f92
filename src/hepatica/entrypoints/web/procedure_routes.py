"""The day of an injection: begin, enter, look, close, hand on."""

from __future__ import annotations

import math
from typing import Annotated, Any

from fastapi import APIRouter, Response
from pydantic import BaseModel, Field

from hepatica.entrypoints.web.depends import Context, ExpectedVersion, Key
from hepatica.entrypoints.web.models import ItemAnswer, Strict, to_answer
from hepatica.entrypoints.web.rights import needs
from hepatica.procedure.document import to_entry_document
from hepatica.procedure.entry import ID_MAX, TEXT_MAX
from hepatica.procedure.entry_kind import EntryKind, read_entry_kinds
from hepatica.procedure.outputs import (
    to_day_document,
    to_exposure_rows,
    to_injection_rows,
    to_performed_rows,
    to_visit_event,
)
from hepatica.record.item import Item
from hepatica.record.people import require_right
from hepatica.workflows.edit_plan import edit_plan
from hepatica.workflows.read_items import read_item
from hepatica.workflows.record_procedure import (
    DayReport,
    Recorded,
    close_procedure,
    read_day,
    record_entries,
    start_procedure,
)
from hepatica.workflows.repeat_safely import do_once

router = APIRouter(prefix="/api", tags=["Procedure day"])
Identifier = Annotated[str, Field(min_length=1, max_length=ID_MAX)]
ENTRIES_AT_ONCE = 500


class Start(Strict):
    """The plan whose day begins."""

    plan_id: Annotated[str, Field(min_length=1, max_length=200)]


class DoseEdit(Strict):
    """Another amount for one lesion, and why."""

    lesion_id: Identifier
    volume_ml: Annotated[float, Field(ge=0, le=1000, allow_inf_nan=False)]
    reason: Annotated[str, Field(min_length=1, max_length=TEXT_MAX)]


class Accepted(Strict):
    """A derived structure that somebody looked at and accepts."""

    structure: Identifier
    accepted_by: Annotated[str, Field(min_length=1, max_length=200)]


class PlanEdit(Strict):
    """What people change in a plan; what is not sent stays."""

    dose_changes: Annotated[list[DoseEdit], Field(max_length=200)] | None = None
    chosen_punctures: Annotated[list[Identifier], Field(max_length=200)] | None = None
    accepted_structures: Annotated[list[Accepted], Field(max_length=200)] | None = None
    reason: Annotated[str, Field(min_length=1, max_length=TEXT_MAX)]


class EntryBody(Strict):
    """One entry. Author and time of entry are the record's."""

    entry_id: Identifier
    kind: Identifier
    occurred_at: Annotated[str, Field(min_length=1, max_length=40)]
    values: dict[Annotated[str, Field(max_length=ID_MAX)], Any] = Field(default_factory=dict)
    supersedes: Annotated[str, Field(max_length=ID_MAX)] = ""
    reason: Annotated[str, Field(max_length=TEXT_MAX)] = ""


class EntriesBody(Strict):
    """Entries of one tablet, in any order."""

    entries: list[EntryBody] = Field(min_length=1, max_length=ENTRIES_AT_ONCE)


class DayAnswer(BaseModel):
    """A procedure and where it stands; entries that hold, by when they happened."""

    item: ItemAnswer
    day: dict[str, Any]
    entries: list[dict[str, Any]]


class RecordedAnswer(DayAnswer):
    """What became of entries."""

    added: list[str]
    repeated: list[str]
    not_handed_on: list[str]


class FieldAnswer(BaseModel):
    """One field of a kind of entry; limits are None where there is none."""

    name: str
    label: str
    type: str
    required: bool
    codes: list[str]
    least: float | None
    most: float | None
    above: float | None


class KindAnswer(BaseModel):
    """A kind of entry, for a form."""

    kind: str
    label: str
    at_least_one: bool
    phases: list[str]
    fields: list[FieldAnswer]


class TablesAnswer(BaseModel):
    """Rows for the tables of follow-up and of the trial."""

    injections: list[dict[str, str]]
    exposure: list[dict[str, str]]
    events: list[dict[str, str]]
    performed: list[dict[str, str]]


@router.get("/procedure-entries", response_model=list[KindAnswer], openapi_extra=needs("procedure.read"))
def list_kinds(context: Context) -> Any:
    """Return what can be entered on the day, for forms."""
    require_right(context.actor, "procedure.read")
    return [_to_kind(kind) for kind in read_entry_kinds().values()]


@router.patch("/plan/{plan_id}", response_model=ItemAnswer, openapi_extra=needs("plan.read", "plan.write"))
def edit(
    plan_id: str, body: PlanEdit, context: Context, version: ExpectedVersion, key: Key, response: Response
) -> Any:
    """Change a dose, or choose a backup, before the day; the day is held against it."""
    read_item(context, kind="plan", item_id=plan_id)
    asked = body.model_dump(mode="json", exclude_unset=True)
    reason = asked.pop("reason")

    def act(writer: Any) -> dict[str, Any]:
        return _keep(
            edit_plan(context, writer, plan_id=plan_id, expected_version=version, values=asked, reason=reason)
        )

    request: dict[str, Any] = {"edit": plan_id, "version": version, "reason": reason, **asked}
    return _give(response, do_once(context, key=key, request=request, act=act))


@router.post("/procedure", response_model=ItemAnswer, status_code=201, openapi_extra=needs("procedure.write"))
def start(body: Start, context: Context, key: Key, response: Response) -> Any:
    """Begin the day of a plan."""
    read_item(context, kind="plan", item_id=body.plan_id)

    def act(writer: Any) -> dict[str, Any]:
        return _keep(start_procedure(context, writer, plan_id=body.plan_id))

    answer = do_once(context, key=key, request={"start": body.plan_id}, act=act)
    return _give(response, answer)


@router.post(
    "/procedure/{procedure_id}/entries", response_model=RecordedAnswer, openapi_extra=needs("procedure.write")
)
def enter(procedure_id: str, body: EntriesBody, context: Context, key: Key, response: Response) -> Any:
    """Add entries; what arrived before is not added again, whatever its key."""
    read_item(context, kind="procedure", item_id=procedure_id)
    rows = [entry.model_dump(mode="json") for entry in body.entries]

    def act(writer: Any) -> dict[str, Any]:
        return _to_kept(record_entries(context, writer, procedure_id=procedure_id, entries=rows))

    request: dict[str, Any] = {"enter": procedure_id, "entries": rows}
    kept = do_once(context, key=key, request=request, act=act)
    return _give_day(context, response, procedure_id, kept)


@router.post(
    "/procedure/{procedure_id}/closing", response_model=RecordedAnswer, openapi_extra=needs("procedure.write")
)
def close(
    procedure_id: str,
    body: EntryBody,
    context: Context,
    version: ExpectedVersion,
    key: Key,
    response: Response,
) -> Any:
    """Close or cancel the day that was seen."""
    read_item(context, kind="procedure", item_id=procedure_id)
    row = body.model_dump(mode="json")

    def act(writer: Any) -> dict[str, Any]:
        return _to_kept(
            close_procedure(context, writer, procedure_id=procedure_id, expected_version=version, entry=row)
        )

    request: dict[str, Any] = {"close": procedure_id, "version": version, "entry": row}
    kept = do_once(context, key=key, request=request, act=act)
    return _give_day(context, response, procedure_id, kept)


@router.get("/procedure/{procedure_id}/day", response_model=DayAnswer, openapi_extra=needs("procedure.read"))
def look(procedure_id: str, context: Context, response: Response) -> Any:
    """Return where the day stands: phase, open checks, what may come next, totals, planned against performed."""
    report = read_day(context, procedure_id=procedure_id)
    response.headers["etag"] = report.item.etag
    return DayAnswer(item=to_answer(report.item), day=_to_day(report), entries=_to_entries(report))


@router.get(
    "/procedure/{procedure_id}/tables", response_model=TablesAnswer, openapi_extra=needs("procedure.read")
)
def hand_on(procedure_id: str, context: Context) -> Any:
    """Return the rows that response, visits and exposure tables take over; lesions by their tracking UID."""
    report = read_day(context, procedure_id=procedure_id)
    subject = str(read_item(context, kind="patient", item_id=report.item.patient_id).values["subject_id"])
    names = {name: lesion.tracking_uid for name, lesion in report.planned.lesions.items()}
    event = to_visit_event(report.day, report.planned, subject=subject)
    return TablesAnswer(
        injections=list(to_injection_rows(report.day, subject=subject, lesion_names=names)),
        exposure=list(
            to_exposure_rows(report.day, report.planned, study="", subject=subject, lesion_names=names)
        ),
        events=[event] if event else [],
        performed=list(to_performed_rows(report.day)),
    )


def _to_kind(kind: EntryKind) -> dict[str, Any]:
    fields = [
        {
            "name": field.name,
            "label": field.label,
            "type": field.type,
            "required": field.required,
            "codes": list(field.codes),
            **{
                name: value if math.isfinite(value) else None
                for name, value in (("least", field.least), ("most", field.most), ("above", field.above))
            },
        }
        for field in kind.fields.values()
    ]
    return {
        "kind": kind.name,
        "label": kind.label,
        "at_least_one": kind.at_least_one,
        "phases": sorted(phase.value for phase in kind.phases),
        "fields": fields,
    }


def _to_kept(recorded: Recorded) -> dict[str, Any]:
    """Return what is remembered for a repetition: not the whole day, which every entry would keep once more."""
    return {
        "added": list(recorded.added),
        "repeated": list(recorded.repeated),
        "not_handed_on": list(recorded.not_handed_on),
    }


def _give_day(
    context: Context, response: Response, procedure_id: str, kept: dict[str, Any]
) -> dict[str, Any]:
    """Answer with the day as it stands now, which another tablet may have gone on with."""
    report = read_day(context, procedure_id=procedure_id)
    response.headers["etag"] = report.item.etag
    named = ("added", "repeated", "not_handed_on")
    item = to_answer(report.item).model_dump(mode="json")
    # An answer remembered by an earlier version holds the day too; what it says of the entries counts.
    whole = {"item": item, "day": _to_day(report), "entries": _to_entries(report)}
    return whole | {name: kept[name] for name in named}


def _to_day(report: DayReport) -> dict[str, Any]:
    return to_day_document(report.day, report.planned, findings=report.findings, as_of=report.as_of)


def _to_entries(report: DayReport) -> list[dict[str, Any]]:
    return [to_entry_document(entry) for entry in report.day.live]


def _keep(item: Item) -> dict[str, Any]:
    return {**to_answer(item).model_dump(mode="json"), "etag": item.etag}


def _give(response: Response, kept: dict[str, Any]) -> dict[str, Any]:
    response.headers["etag"] = str(kept["etag"])
    return {name: value for name, value in kept.items() if name != "etag"}
