"""Scans: judge those that wait, move those that lie wrong, and look into a PACS by its configured name.

The application needs ``app.state.scan_home`` (a `ScanHome`). Imports, from an upload or a PACS, are jobs.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Response
from pydantic import BaseModel, Field

from hepatica.bootstrap import find_studies_apart, make_pacs_directory, move_scan_apart
from hepatica.core.errors import NotSetError
from hepatica.entrypoints.web.apart import run_apart
from hepatica.entrypoints.web.depends import Context, ExpectedVersion, State
from hepatica.entrypoints.web.models import ItemAnswer, Strict, to_answer
from hepatica.entrypoints.web.rights import needs
from hepatica.record.item import Item
from hepatica.record.people import require_right
from hepatica.workflows.exchange_scans import prepare_search
from hepatica.workflows.judge_scan import (
    accept_scan,
    name_phase,
    read_removal_report,
    read_scan_identity,
    read_vault,
    reject_scan,
)
from hepatica.workflows.read_items import read_item
from hepatica.workflows.scan_ports import StudyQuery

router = APIRouter(prefix="/api", tags=["Scans"])
Text = Annotated[str, Field(max_length=64)]
Day = Annotated[str, Field(pattern=r"^(\d{4}-\d{2}-\d{2})?$")]


@dataclass(frozen=True, slots=True, kw_only=True)
class ScanHome:
    """Where processes of their own find the record.

    Parameters
    ----------
    home
        Its folder.
    database
        Address of its database where that is not in the folder.
    """

    home: Path
    database: str = ""


class Judgement(Strict):
    """Why."""

    reason: str = Field(min_length=1, max_length=2000)


class Move(Strict):
    """Whose scan it is, and how one knows."""

    patient_id: str = Field(min_length=1, max_length=200)
    reason: str = Field(min_length=1, max_length=2000)


class PhaseName(Strict):
    """Which contrast phase a scan shows, and how one knows."""

    phase: Literal["without contrast", "arterial", "portal venous", "delayed", "unknown"]
    reason: str = Field(min_length=1, max_length=2000)


class StudySearch(Strict):
    """What to look for: the study, or a patient of the record by his hospital number."""

    patient_id: str = Field(default="", max_length=200)
    study_uid: Text = ""
    modality: Annotated[str, Field(max_length=16)] = ""
    from_date: Day = ""
    to_date: Day = ""


class StudyAnswer(BaseModel):
    """A study of a PACS."""

    study_uid: str
    study_date: str
    modalities: list[str]
    description: str
    series_count: int | None
    image_count: int | None
    patient_name: str
    patient_number: str
    birth_date: str


class PersonAnswer(BaseModel):
    """A person that a scan's images name."""

    family_name: str
    given_name: str
    birth_date: str
    sex_code: str


def find_place(state: Any) -> ScanHome:
    """Return where processes of their own find the record.

    Parameters
    ----------
    state
        What the application was given at its start.

    Raises
    ------
    NotSetError
        If it was not told.
    """
    place = getattr(state, "scan_home", None)
    if not isinstance(place, ScanHome):
        raise NotSetError(expected="a server that knows its record's folder", given="none", where="server")
    return place


@router.post(
    "/scan/{scan_id}/acceptance",
    response_model=ItemAnswer,
    openapi_extra=needs("scan.write", "identity.read"),
)
def accept(
    scan_id: str, body: Judgement, context: Context, version: ExpectedVersion, response: Response
) -> Any:
    """Accept a scan that waits: it is this patient's, or no name stands in its pixels."""
    item = accept_scan(context, scan_id=scan_id, expected_version=version, reason=body.reason)
    return _answer(response, item)


@router.post("/scan/{scan_id}/rejection", response_model=ItemAnswer, openapi_extra=needs("scan.write"))
def reject(
    scan_id: str, body: Judgement, context: Context, version: ExpectedVersion, response: Response
) -> Any:
    """Say that a scan is not to be used."""
    item = reject_scan(context, scan_id=scan_id, expected_version=version, reason=body.reason)
    return _answer(response, item)


@router.post("/scan/{scan_id}/phase", response_model=ItemAnswer, openapi_extra=needs("scan.write"))
def say_phase(
    scan_id: str, body: PhaseName, context: Context, version: ExpectedVersion, response: Response
) -> Any:
    """Say which contrast phase a scan shows."""
    item = name_phase(
        context, scan_id=scan_id, expected_version=version, phase=body.phase, reason=body.reason
    )
    return _answer(response, item)


@router.post("/scan/{scan_id}/move", response_model=ItemAnswer, openapi_extra=needs("scan.move"))
def move(
    scan_id: str,
    body: Move,
    context: Context,
    version: ExpectedVersion,
    state: State,
    response: Response,
) -> Any:
    """Put a scan under the patient it belongs to."""
    read_item(context, kind="scan", item_id=scan_id)
    place = find_place(state)
    asked = {"scan_id": scan_id, "expected_version": version, **body.model_dump()}
    moved = run_apart(
        move_scan_apart, str(place.home), place.database, context.actor, context.request_id, asked
    )
    return _answer(response, read_item(context, kind="scan", item_id=moved["item_id"]))


@router.get(
    "/scan/{scan_id}/identity", response_model=list[PersonAnswer], openapi_extra=needs("identity.read")
)
def identity(scan_id: str, context: Context) -> Any:
    """Return the persons that a scan's images name. Looking is an event of the trail."""
    return list(read_scan_identity(context, scan_id=scan_id))


@router.get("/scan/{scan_id}/removal-report", openapi_extra=needs("scan.read"))
def removal_report(scan_id: str, context: Context) -> dict[str, Any]:
    """Return what was removed from a scan: counts by attribute and action, no values."""
    return read_removal_report(context, scan_id=scan_id)


@router.get("/scan/{scan_id}/vault/{purpose}", openapi_extra=needs("vault.read"))
def vault(scan_id: str, purpose: str, context: Context) -> dict[str, str]:
    """Return what lies behind a scan's pseudonyms. Looking is an event of the trail."""
    return {"purpose": purpose, "original": read_vault(context, scan_id=scan_id, purpose=purpose)}


@router.get("/pacs", openapi_extra=needs("scan.write"))
def list_pacs(context: Context, state: State) -> dict[str, list[str]]:
    """Return the names of the archives that the server's configuration knows."""
    require_right(context.actor, "scan.write")
    place = find_place(state)
    return {"pacs": list(make_pacs_directory(place.home).list_names())}


@router.post(
    "/pacs/{name}/search",
    response_model=list[StudyAnswer],
    openapi_extra=needs("scan.write", "identity.read"),
)
def search(name: str, body: StudySearch, context: Context, state: State) -> Any:
    """Look for studies in an archive, by its name; an address cannot be given."""
    place = find_place(state)
    asked = body.model_dump()
    patient_id = asked.pop("patient_id")
    query = prepare_search(context, query=StudyQuery(**asked), patient_id=patient_id)
    whole = {"patient_number": query.patient_number, **asked}
    return run_apart(find_studies_apart, str(place.home), name, whole)


def _answer(response: Response, item: Item) -> ItemAnswer:
    response.headers["etag"] = item.etag
    return to_answer(item)
