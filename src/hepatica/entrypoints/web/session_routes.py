"""Ask an open plan: move an entry or a tip, change margins, another protocol. Nothing here changes the record."""

from __future__ import annotations

from typing import Annotated, Any, Final

from fastapi import APIRouter
from pydantic import BaseModel, Field

from hepatica.core.errors import NotSetError
from hepatica.entrypoints.web.depends import Context, Services
from hepatica.entrypoints.web.models import Strict
from hepatica.entrypoints.web.plan_sessions import PlanSessions
from hepatica.entrypoints.web.rights import needs
from hepatica.entrypoints.web.services import WebServices
from hepatica.record.people import require_right
from hepatica.workflows.read_items import read_item
from hepatica.workflows.record_ports import RecordContext

router = APIRouter(prefix="/api", tags=["Plan sessions"])
RIGHTS: Final = needs("plan.read", "plan.write")
FAR_MM: Final = 10_000.0
Name = Annotated[str, Field(max_length=100, pattern=r"^[A-Za-z0-9_.:-]*$")]
Coordinate = Annotated[float, Field(ge=-FAR_MM, le=FAR_MM, allow_inf_nan=False)]
Limit = Annotated[float, Field(ge=0, le=FAR_MM, allow_inf_nan=False)]


class Question(Strict):
    """What every question holds: its number, and all limits that differ from the plan's."""

    client: Name = ""
    sequence: int = Field(ge=1, le=2**53)
    limits: Annotated[dict[str, Limit], Field(max_length=100)] = Field(default_factory=dict)


class PathQuestion(Question):
    """A path that somebody dragged."""

    lesion_id: Annotated[str, Field(min_length=1, max_length=100)]
    entry_lps_mm: Annotated[list[Coordinate], Field(min_length=3, max_length=3)]
    tip_lps_mm: Annotated[list[Coordinate], Field(min_length=3, max_length=3)]
    volume_ml: Annotated[float, Field(ge=0, le=100, allow_inf_nan=False)] = 0.0


class PlanQuestion(Question):
    """Other limits, another packaged protocol or visit."""

    protocol: Name = ""
    visit: Annotated[int, Field(ge=0, le=999)] = 0


class Answer(BaseModel):
    """An answer, or that a later question of the same client has made it idle."""

    sequence: int
    stale: bool = False
    answer: dict[str, Any] | None = None


class SessionFacts(BaseModel):
    """An open session."""

    plan_id: str
    memory_bytes: int


@router.post("/plan/{plan_id}/session", response_model=SessionFacts, openapi_extra=RIGHTS)
def open_session(plan_id: str, context: Context, services: Services) -> Any:
    """Open a plan with the scan and scene it was made in; takes as long as reading them."""
    sessions = _require_sessions(context, services, plan_id)
    held = sessions.open(plan_id=plan_id, account_id=context.actor.account_id)
    return SessionFacts(plan_id=plan_id, memory_bytes=held)


@router.post("/plan/{plan_id}/session/path", response_model=Answer, openapi_extra=RIGHTS)
def ask_path(plan_id: str, body: PathQuestion, context: Context, services: Services) -> Any:
    """Measure and judge one path."""
    return _ask(context, services, plan_id, {"ask": "path", **body.model_dump()})


@router.post("/plan/{plan_id}/session/replan", response_model=Answer, openapi_extra=RIGHTS)
def ask_plan(plan_id: str, body: PlanQuestion, context: Context, services: Services) -> Any:
    """Plan again; a later question of the same client ends it."""
    return _ask(context, services, plan_id, {"ask": "replan", **body.model_dump()})


@router.post("/plan/{plan_id}/session/close", status_code=204, openapi_extra=RIGHTS)
def close_session(plan_id: str, context: Context, services: Services) -> None:
    """Give the session up."""
    sessions = _require_sessions(context, services, plan_id)
    sessions.close(plan_id=plan_id, account_id=context.actor.account_id)


def _ask(context: RecordContext, services: WebServices, plan_id: str, question: dict[str, Any]) -> Any:
    sessions = _require_sessions(context, services, plan_id)
    return Answer(**sessions.ask(question, plan_id=plan_id, account_id=context.actor.account_id))


def _require_sessions(context: RecordContext, services: WebServices, plan_id: str) -> PlanSessions:
    plan = read_item(context, kind="plan", item_id=plan_id)
    require_right(context.actor, "plan.write", site_id=plan.site_id)
    if services.sessions is None:
        raise NotSetError(expected="a server with plan sessions", given="one without", where="plan session")
    return services.sessions
