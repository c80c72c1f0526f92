"""One patient's timeline, what a plan can be asked for, and labels that somebody drew."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.concurrency import run_in_threadpool
from pydantic import BaseModel
from starlette.requests import ClientDisconnect

from hepatica.bootstrap import list_label_values_apart, list_plan_choices_apart, read_site_needles
from hepatica.core.errors import NotSetError, RecordInputError, TooLargeError
from hepatica.entrypoints.web.apart import run_apart
from hepatica.entrypoints.web.depends import Context, Services, State
from hepatica.entrypoints.web.models import ItemAnswer, to_answer
from hepatica.entrypoints.web.rights import needs
from hepatica.workflows.patient_timeline import read_timeline
from hepatica.workflows.take_labels import MOST_BYTES, find_redrawn, require_labellable, take_labels

router = APIRouter(prefix="/api", tags=["Patients"])
NAMES_MAX = 20_000


class TimelinePatient(BaseModel):
    """The patient, as far as the person may see him."""

    item_id: str
    version: int
    values: dict[str, Any]


class TimelineRow(BaseModel):
    """One item; ``date`` is empty where it does not tell one, ``entered_at`` before a blinded reader."""

    kind: str
    item_id: str
    version: int
    date: str
    entered_at: str
    values: dict[str, Any]


class Timeline(BaseModel):
    """Latest first."""

    patient: TimelinePatient
    rows: list[TimelineRow]


class ProtocolChoice(BaseModel):
    """A packaged protocol."""

    name: str
    title: str
    agent: str


class NeedleChoice(BaseModel):
    """A needle; ``holes_known`` is false where nobody said where its side holes lie, and no spread can be simulated."""

    name: str
    gauge: int
    length_mm: float
    holes: Literal["end", "multi-side"]
    holes_known: bool
    status: str
    table: Literal["site", "shipped"]


class PlanChoices(BaseModel):
    """What a plan can be asked for; ``default_needle`` is what is searched with where none is named."""

    protocols: list[ProtocolChoice]
    needles: list[NeedleChoice]
    default_needle: str
    absent: list[str]
    tumour_types: list[str]
    structures: list[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelWords:
    """What is said of a map of labels beside its bytes."""

    names: Annotated[str, Query(max_length=NAMES_MAX, description="JSON object: name by label value")] = "{}"
    title: Annotated[str, Query(max_length=200)] = ""
    plan_id: Annotated[str, Query(max_length=100, description="Plan over which it was drawn")] = ""
    lesion_id: Annotated[str, Query(max_length=100, description="Lesion of that plan that it redraws")] = ""


Words = Annotated[LabelWords, Depends()]


@router.get("/patient/{patient_id}/timeline", response_model=Timeline, openapi_extra=needs("patient.read"))
def timeline(patient_id: str, context: Context) -> Any:
    """Return everything that happened with a patient, of the kinds that the person may read."""
    return read_timeline(context, patient_id)


@router.get("/plan-choices", response_model=PlanChoices, openapi_extra=needs("plan.read"))
def plan_choices(context: Context, state: State) -> Any:
    """Return protocols, needles and structures that a plan can be asked for."""
    # Read apart, as their reader loads numerical libraries; and once for each table of the site.
    place = getattr(state, "scan_home", None)
    needles = read_site_needles(place.home) if place else None
    held: tuple[bytes | None, dict[str, Any]] | None = getattr(state, "plan_choices", None)
    if held is None or held[0] != needles:
        held = needles, run_apart(list_plan_choices_apart, needles)
        state.plan_choices = held
    return held[1]


@router.post(
    "/scan/{scan_id}/labels/upload",
    response_model=ItemAnswer,
    status_code=201,
    openapi_extra={
        **needs("scan.read", "scan.write"),
        "requestBody": {
            "required": True,
            "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
        },
    },
)
async def upload_labels(
    scan_id: str,
    request: Request,
    response: Response,
    context: Context,
    services: Services,
    words: Words,
) -> Any:
    """Take a NIfTI map of labels drawn on a scan, as the body itself; a later plan can name it.

    One drawn over a plan takes, in later plans, the place of what it redraws: a structure that of everything
    labelled as the same, a lesion that of ``lesion_id``.
    """
    await run_in_threadpool(require_labellable, context, scan_id)
    redraws = None
    if words.plan_id:
        redraws = await run_in_threadpool(
            lambda: find_redrawn(context, scan_id=scan_id, plan_id=words.plan_id, lesion_id=words.lesion_id)
        )
    table = _to_names(words.names)
    if services.uploads is None:
        raise NotSetError(expected="a server that takes uploads", given="one without", where="labels")
    with services.uploads.receiving() as (upload_id, file):
        taken = 0
        try:
            async for part in request.stream():
                taken += len(part)
                if taken > MOST_BYTES:
                    break
                await run_in_threadpool(file.write, part)
        except ClientDisconnect as problem:
            raise TooLargeError(
                expected="a whole body", given="one that broke off", where="labels"
            ) from problem
        if not 0 < taken <= MOST_BYTES:
            raise TooLargeError(
                expected=f"a body of at most {MOST_BYTES >> 20} MiB",
                given="none, or a larger one",
                where="labels",
            )
    try:
        path = services.uploads.find_path(upload_id)
        values = await run_in_threadpool(run_apart, list_label_values_apart, str(path))
        item = await run_in_threadpool(
            lambda: take_labels(
                context,
                scan_id=scan_id,
                path=path,
                values=values,
                names=table,
                title=words.title,
                redraws=redraws,
            )
        )
    finally:
        services.uploads.remove(upload_id)
    response.headers["etag"] = item.etag
    return to_answer(item)


def _to_names(text: str) -> dict[str, str]:
    try:
        table = json.loads(text)
    except (ValueError, RecursionError):
        table = None
    if not isinstance(table, dict) or not all(
        key.isdecimal() and len(key) < 10 and isinstance(name, str) and 0 < len(name) < 100
        for key, name in table.items()
    ):
        raise RecordInputError(
            expected="names by whole numbers", given="something else", where="labels, names"
        )
    return table
