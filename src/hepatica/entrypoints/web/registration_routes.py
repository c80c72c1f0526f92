"""How the follow-ups of a read are registered to its baseline, and asking for it."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter
from pydantic import BaseModel, Field

from hepatica.entrypoints.web.depends import Context, Services
from hepatica.entrypoints.web.models import Strict
from hepatica.entrypoints.web.rights import needs
from hepatica.workflows.registrations import ask_registration, list_read_registrations

router = APIRouter(prefix="/api", tags=["Reads"])


class ReadRegistration(BaseModel):
    """How a follow-up is registered to the baseline of a read.

    ``state`` is that of the registration that is kept, ``job_state`` that of the work for the next one: empty where
    none is under way. ``map_address`` is where the map is fetched; see the reference.
    """

    followup_scan_id: str
    registration_id: str
    state: Literal["none", "accepted", "doubtful", "not_evaluable"]
    reason: str
    stage: str
    region: str
    residual_mm: float | None
    uncertainty_mm: float | None
    map_address: str
    job_state: Literal["", "queued", "running", "interrupted", "failed"]
    job_stage: str
    job_fraction: float


class RegistrationWanted(Strict):
    """Which follow-up of the read to register."""

    followup_scan_id: Annotated[str, Field(min_length=1, max_length=200)]


@router.get(
    "/read/{read_id}/registrations",
    response_model=list[ReadRegistration],
    openapi_extra=needs("read.read", "scan.read", "registration.read"),
)
def registrations(read_id: str, context: Context) -> Any:
    """Return, for each follow-up of a read, its registration to the baseline, or why there is none."""
    return list_read_registrations(context, read_id=read_id)


@router.post(
    "/read/{read_id}/registration",
    response_model=ReadRegistration,
    status_code=202,
    openapi_extra=needs("read.read", "scan.read", "registration.read", "registration.write"),
)
def register(read_id: str, body: RegistrationWanted, context: Context, services: Services) -> Any:
    """Queue the registration of a follow-up to the baseline; nothing is queued twice."""
    answer = ask_registration(context, read_id=read_id, followup_scan_id=body.followup_scan_id)
    services.jobs.wake()
    return answer
