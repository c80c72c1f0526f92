"""What a person decides about a plan."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Response
from pydantic import Field

from hepatica.entrypoints.web.depends import Context, ExpectedVersion
from hepatica.entrypoints.web.models import ItemAnswer, Strict, to_answer
from hepatica.entrypoints.web.rights import needs
from hepatica.workflows.decide_plan import decide_plan

router = APIRouter(prefix="/api", tags=["Plans"])
Name = Annotated[str, Field(min_length=1, max_length=100)]
MOST = 200


class DoseChange(Strict):
    """A volume that a person set, and why."""

    lesion_id: Name
    volume_ml: Annotated[float, Field(ge=0, le=100, allow_inf_nan=False)]
    planned_ml: Annotated[float, Field(description="Ignored: the plan says it")] = 0.0
    reason: Annotated[str, Field(min_length=1, max_length=2000)]


class AcceptedStructure(Strict):
    """A derived structure that a person has looked at."""

    structure: Name
    accepted_by: Annotated[str, Field(min_length=1, max_length=200)]


class Decision(Strict):
    """What is decided; each list replaces the one before, what is left out stays."""

    chosen_punctures: Annotated[list[Name], Field(max_length=MOST)] | None = None
    dose_changes: Annotated[list[DoseChange], Field(max_length=MOST)] | None = None
    accepted_structures: Annotated[list[AcceptedStructure], Field(max_length=MOST)] | None = None
    reason: Annotated[str, Field(min_length=1, max_length=2000)]


@router.post(
    "/plan/{plan_id}/decision", response_model=ItemAnswer, openapi_extra=needs("plan.read", "plan.write")
)
def decide(
    plan_id: str, body: Decision, context: Context, version: ExpectedVersion, response: Response
) -> Any:
    """Write which punctures are chosen, which doses are changed and which derived structures are accepted."""
    decisions = body.model_dump(exclude_none=True)
    reason = decisions.pop("reason")
    item = decide_plan(context, plan_id=plan_id, decisions=decisions, expected_version=version, reason=reason)
    response.headers["etag"] = item.etag
    return to_answer(item)
