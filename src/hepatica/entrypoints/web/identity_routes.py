"""Who a patient is: destroyed on request, so that the trail stays whole."""

from __future__ import annotations

from fastapi import APIRouter
from pydantic import BaseModel, Field

from hepatica.entrypoints.web.depends import Context
from hepatica.entrypoints.web.models import Strict
from hepatica.entrypoints.web.rights import needs
from hepatica.workflows.erase_identity import erase_identity
from hepatica.workflows.read_items import read_item

router = APIRouter(prefix="/api", tags=["Identity"])


class Erasure(Strict):
    """Why; it stays in the trail and names nobody."""

    reason: str = Field(min_length=1, max_length=2000)


class ErasedAnswer(BaseModel):
    """How many identities and entries of the vault were destroyed."""

    erased: int


@router.post(
    "/patient/{patient_id}/identity-erasure",
    response_model=ErasedAnswer,
    openapi_extra=needs("patient.read", "identity.write"),
)
def erase(patient_id: str, body: Erasure, context: Context) -> ErasedAnswer:
    """Destroy who a patient is, also in the past; what was done with him stays under his study number."""
    read_item(context, kind="patient", item_id=patient_id)
    return ErasedAnswer(erased=erase_identity(context, patient_id=patient_id, reason=body.reason))
