"""The trail, signatures, locks."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Cookie, Query, Response
from pydantic import BaseModel, Field

from hepatica.entrypoints.web.depends import Context, ExpectedVersion, State
from hepatica.entrypoints.web.login_gate import taking_turns
from hepatica.entrypoints.web.models import ItemAnswer, Strict, to_answer
from hepatica.entrypoints.web.rights import KIND_READ, needs
from hepatica.entrypoints.web.settings import PROOF_COOKIE
from hepatica.record.event import Event, to_document
from hepatica.workflows.read_items import read_history, read_item
from hepatica.workflows.sign_item import Proof, list_signatures, lock_item, sign_item

router = APIRouter(prefix="/api", tags=["Trail"])


class Trail(BaseModel):
    """Events in order; ``next`` is the number to go on after, 0 at the end."""

    events: list[dict[str, Any]]
    next: int


class Signing(Strict):
    """What the signature means, and the signer's password once more; none after a fresh login at the provider."""

    meaning: str = Field(min_length=1, max_length=200)
    password: str = Field(default="", max_length=1024)


class Locking(Strict):
    """Whether the item shall be locked, and why."""

    locked: bool
    reason: str = Field(default="", max_length=2000)


class SignatureAnswer(BaseModel):
    """A signature and whether it still holds."""

    signature_id: str
    signer_id: str
    meaning: str
    time_utc: datetime
    state: str


@router.get("/events", response_model=Trail, openapi_extra=needs("audit.read"))
def list_events(
    context: Context,
    patient_id: Annotated[str, Query(max_length=200)] = "",
    after: Annotated[int, Query(ge=0, le=2**53)] = 0,
    limit: Annotated[int, Query(ge=1, le=500)] = 100,
) -> Trail:
    """Return the trail, or one patient's."""
    return _to_trail(read_history(context, patient_id=patient_id, after=after, limit=limit), limit)


@router.get("/events/{kind}/{item_id}", response_model=Trail, openapi_extra=needs(KIND_READ))
def list_item_events(
    kind: str,
    item_id: str,
    context: Context,
    after: Annotated[int, Query(ge=0, le=2**53)] = 0,
    limit: Annotated[int, Query(ge=1, le=500)] = 100,
) -> Trail:
    """Return one item's history."""
    return _to_trail(read_history(context, kind=kind, item_id=item_id, after=after, limit=limit), limit)


@router.post(
    "/signatures/{kind}/{item_id}",
    response_model=SignatureAnswer,
    status_code=201,
    openapi_extra=needs(KIND_READ, "signature.write"),
)
def sign(
    kind: str,
    item_id: str,
    body: Signing,
    context: Context,
    state: State,
    version: ExpectedVersion,
    response: Response,
    fresh_login: Annotated[str, Cookie(alias=PROOF_COOKIE, include_in_schema=False)] = "",
) -> Any:
    """Sign an item as it was read."""
    # A password that was typed is what the person wants to show.
    fresh_login = "" if body.password else fresh_login
    read_item(context, kind=kind, item_id=item_id)
    with taking_turns():
        mark = sign_item(
            context,
            state.passwords,
            kind=kind,
            item_id=item_id,
            expected_version=version,
            meaning=body.meaning,
            proof=Proof(password=body.password, fresh_login=fresh_login, ways=state.services.ways),
        )
    if fresh_login:
        response.delete_cookie(PROOF_COOKIE, path="/api/signatures")
    return {**mark.values, "signature_id": mark.item_id, "state": "valid"}


@router.get(
    "/signatures/{kind}/{item_id}",
    response_model=list[SignatureAnswer],
    openapi_extra=needs(KIND_READ, "signature.read"),
)
def list_signed(kind: str, item_id: str, context: Context) -> Any:
    """Return an item's signatures, each with whether it still holds."""
    read_item(context, kind=kind, item_id=item_id)
    return [
        {**mark.values, "signature_id": mark.item_id, "state": state.value}
        for mark, state in list_signatures(context, kind=kind, item_id=item_id)
    ]


@router.post(
    "/locks/{kind}/{item_id}", response_model=ItemAnswer, openapi_extra=needs(KIND_READ, "item.lock")
)
def lock(kind: str, item_id: str, body: Locking, context: Context, version: ExpectedVersion) -> Any:
    """Lock or unlock an item."""
    read_item(context, kind=kind, item_id=item_id)
    return to_answer(
        lock_item(
            context,
            kind=kind,
            item_id=item_id,
            expected_version=version,
            locked=body.locked,
            reason=body.reason,
        )
    )


def _to_trail(events: tuple[Event, ...], limit: int) -> Trail:
    documents = [{**to_document(event), "hash": event.hash} for event in events]
    return Trail(events=documents, next=events[-1].number if len(events) == limit else 0)
