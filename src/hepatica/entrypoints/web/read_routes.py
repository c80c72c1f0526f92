"""Reads: assign, measure, lock, adjudicate."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Response
from pydantic import Field

from hepatica.entrypoints.web.depends import Context, ExpectedVersion, Services
from hepatica.entrypoints.web.models import ItemAnswer, Strict, to_answer
from hepatica.entrypoints.web.rights import needs
from hepatica.record.item import Item
from hepatica.workflows.reads import assign_read, choose_read, lock_read, record_measurement

router = APIRouter(prefix="/api", tags=["Reads"])
Identifier = Annotated[str, Field(min_length=1, max_length=200)]


class Assignment(Strict):
    """A read to assign."""

    patient_id: Identifier
    reader_id: Identifier
    criterion: Identifier
    scan_ids: list[Identifier] = Field(max_length=200)
    adjudicates: list[Identifier] = Field(default_factory=list, max_length=2)


class Measured(Strict):
    """What was measured of one lesion."""

    lesion_id: Identifier
    scan_id: Identifier | None = None
    lesion_role: str | None = Field(default=None, max_length=40)
    longest_diameter_mm: float | None = None
    short_axis_mm: float | None = None
    volume_ml: float | None = None
    state: str | None = Field(default=None, max_length=40)
    ends_lps_mm: list[list[float]] | None = Field(default=None, max_length=4)
    match_basis: str | None = Field(default=None, max_length=40)


class Choice(Strict):
    """Which read holds, and why."""

    chosen_read_id: Identifier
    reason: str = Field(min_length=1, max_length=2000)


@router.post("/read", response_model=ItemAnswer, status_code=201, openapi_extra=needs("read.assign"))
def assign(body: Assignment, context: Context, services: Services, response: Response) -> Any:
    """Give a patient's scans to a reader, or two locked reads to an adjudicator."""
    item = assign_read(context, **body.model_dump())
    services.jobs.wake()
    return _answer(response, item)


@router.post(
    "/read/{read_id}/measurement",
    response_model=ItemAnswer,
    status_code=201,
    openapi_extra=needs("read.write"),
)
def measure(read_id: str, body: Measured, context: Context, response: Response) -> Any:
    """Enter what the reader measured of one lesion."""
    values = body.model_dump(exclude_unset=True, exclude={"lesion_id"})
    item = record_measurement(context, read_id=read_id, lesion_id=body.lesion_id, values=values)
    return _answer(response, item)


@router.post("/read/{read_id}/choice", response_model=ItemAnswer, openapi_extra=needs("read.write"))
def choose(read_id: str, body: Choice, context: Context, version: ExpectedVersion, response: Response) -> Any:
    """Say which of two reads holds."""
    item = choose_read(
        context,
        read_id=read_id,
        expected_version=version,
        chosen_read_id=body.chosen_read_id,
        reason=body.reason,
    )
    return _answer(response, item)


@router.post("/read/{read_id}/lock", response_model=ItemAnswer, openapi_extra=needs("read.write"))
def lock(read_id: str, context: Context, version: ExpectedVersion, response: Response) -> Any:
    """Close a read with the reader's marks."""
    return _answer(response, lock_read(context, read_id=read_id, expected_version=version))


def _answer(response: Response, item: Item) -> ItemAnswer:
    response.headers["etag"] = item.etag
    return to_answer(item)
