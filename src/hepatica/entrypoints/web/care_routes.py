"""Consent, serious events, queries, source verification."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Response
from pydantic import BaseModel, Field

from hepatica.core.findings import NotEvaluable
from hepatica.entrypoints.web.depends import Context, ExpectedVersion, Key
from hepatica.entrypoints.web.models import ItemAnswer, Strict, to_answer
from hepatica.entrypoints.web.rights import KIND_READ, needs
from hepatica.record.item import Item
from hepatica.workflows.consents import describe_stops, read_patient_consent, sign_consent, withdraw_consent
from hepatica.workflows.queries import answer_query, close_query, open_query, reopen_query
from hepatica.workflows.read_items import read_item
from hepatica.workflows.record_ports import RecordContext, RecordWriter
from hepatica.workflows.repeat_safely import do_once
from hepatica.workflows.serious_events import SeriousEvent, list_serious_events, report_event
from hepatica.workflows.verify_item import list_verifications, verify_item

router = APIRouter(prefix="/api")
Identifier = Annotated[str, Field(min_length=1, max_length=200)]
Day = Annotated[str, Field(pattern=r"^\d{4}-\d{2}-\d{2}$")]
Words = Annotated[str, Field(min_length=1, max_length=4000)]


class Consented(Strict):
    """A signature under a form."""

    patient_id: Identifier
    study_id: Identifier
    form_version: Identifier
    signed_date: Day


class Withdrawal(Strict):
    """What a patient withdrew from."""

    withdrawn_date: Day
    withdrawal_scope: Literal["treatment", "treatment_and_follow_up", "treatment_follow_up_and_data"]
    reason: Words


class ConsentAnswer(BaseModel):
    """How a patient's consent stands."""

    holds: bool
    consent_id: str
    study_id: str
    stopped: dict[str, str]
    stops: dict[str, list[str]] = Field(
        description="What each scope of a withdrawal would stop, in words for people"
    )


class Question(Strict):
    """A question about an item, or one of its fields."""

    about_kind: Identifier
    about_item_id: Identifier
    about_field: Annotated[str, Field(max_length=200)] = ""
    question: Words


class Answer(Strict):
    """An answer."""

    answer: Words


class Reason(Strict):
    """Why."""

    reason: Annotated[str, Field(max_length=4000)] = ""


class Verified(Strict):
    """Fields that were held against the source."""

    about_kind: Identifier
    about_item_id: Identifier
    verified_fields: list[Identifier] = Field(min_length=1, max_length=100)


class VerificationRow(BaseModel):
    """A verification, and whether it holds."""

    verification: ItemAnswer
    state: str
    changed_fields: list[str]


class Report(Strict):
    """When a serious event was reported to the sponsor."""

    reported_time: Annotated[str, Field(min_length=1, max_length=40)]


class SeriousRow(BaseModel):
    """A serious event and its reporting clock."""

    event: ItemAnswer
    subject_id: str
    state: str
    due: str | None
    left_h: float | None
    limit_h: float | None
    reason: str


@router.post(
    "/consent",
    tags=["Consent"],
    response_model=ItemAnswer,
    status_code=201,
    openapi_extra=needs("consent.write"),
)
def sign(body: Consented, context: Context, key: Key, response: Response) -> Any:
    """Record that a patient consented to a protocol version."""
    read_item(context, kind="patient", item_id=body.patient_id)
    asked = body.model_dump()
    return _do(
        context, response, key=key, request={"sign": asked}, act=lambda w: sign_consent(context, w, **asked)
    )


@router.post(
    "/consent/{consent_id}/withdrawal",
    tags=["Consent"],
    response_model=ItemAnswer,
    openapi_extra=needs("consent.write"),
)
def withdraw(
    consent_id: str,
    body: Withdrawal,
    context: Context,
    version: ExpectedVersion,
    key: Key,
    response: Response,
) -> Any:
    """Record a withdrawal; what its scope names can no longer be added."""
    read_item(context, kind="consent", item_id=consent_id)
    return _do(
        context,
        response,
        key=key,
        request={"withdraw": consent_id, "version": version, **body.model_dump()},
        act=lambda writer: withdraw_consent(
            context,
            writer,
            consent_id=consent_id,
            expected_version=version,
            withdrawn_date=body.withdrawn_date,
            scope=body.withdrawal_scope,
            reason=body.reason,
        ),
    )


@router.get(
    "/patient/{patient_id}/consent",
    tags=["Consent"],
    response_model=ConsentAnswer,
    openapi_extra=needs("consent.read"),
)
def read_consent(patient_id: str, context: Context) -> Any:
    """Say under which consent a patient stands, and what was withdrawn."""
    read_item(context, kind="patient", item_id=patient_id)
    state = read_patient_consent(context, patient_id=patient_id)
    return ConsentAnswer(
        holds=state.holds,
        consent_id=state.consent_id,
        study_id=state.study_id,
        stopped={purpose.value: day for purpose, day in state.stopped.items()},
        stops=describe_stops(),
    )


@router.get(
    "/serious-events",
    tags=["Adverse event"],
    response_model=list[SeriousRow],
    openapi_extra=needs("adverse_event.read"),
)
def list_serious(context: Context, patient_id: Annotated[str, Query(max_length=200)] = "") -> Any:
    """List serious events with the time left to report them, the most urgent first."""
    events = list_serious_events(context, patient_id=patient_id)
    subjects = {
        one: str(read_item(context, kind="patient", item_id=one).values.get("subject_id", ""))
        for one in {event.item.patient_id for event in events}
    }
    return [_to_serious(event, subjects[event.item.patient_id]) for event in events]


@router.post(
    "/adverse_event/{event_id}/report",
    tags=["Adverse event"],
    response_model=ItemAnswer,
    openapi_extra=needs("adverse_event.write"),
)
def report(
    event_id: str, body: Report, context: Context, version: ExpectedVersion, key: Key, response: Response
) -> Any:
    """Record that a serious event was reported to the sponsor."""
    read_item(context, kind="adverse_event", item_id=event_id)
    return _do(
        context,
        response,
        key=key,
        request={"report": event_id, "version": version, **body.model_dump()},
        act=lambda writer: report_event(
            context,
            writer,
            event_id=event_id,
            expected_version=version,
            reported_time=body.reported_time,
        ),
    )


@router.post(
    "/query", tags=["Query"], response_model=ItemAnswer, status_code=201, openapi_extra=needs("query.open")
)
def ask(body: Question, context: Context, key: Key, response: Response) -> Any:
    """Ask about an item, or one of its fields."""
    read_item(context, kind=body.about_kind, item_id=body.about_item_id)
    asked = body.model_dump()
    return _do(
        context, response, key=key, request={"ask": asked}, act=lambda w: open_query(context, w, **asked)
    )


@router.post(
    "/query/{query_id}/answer", tags=["Query"], response_model=ItemAnswer, openapi_extra=needs("query.answer")
)
def answer(
    query_id: str, body: Answer, context: Context, version: ExpectedVersion, key: Key, response: Response
) -> Any:
    """Answer an open query."""
    read_item(context, kind="query", item_id=query_id)
    return _do(
        context,
        response,
        key=key,
        request={"answer": query_id, "version": version, "text": body.answer},
        act=lambda writer: answer_query(
            context, writer, query_id=query_id, expected_version=version, answer=body.answer
        ),
    )


@router.post(
    "/query/{query_id}/closing", tags=["Query"], response_model=ItemAnswer, openapi_extra=needs("query.close")
)
def close(
    query_id: str, body: Reason, context: Context, version: ExpectedVersion, key: Key, response: Response
) -> Any:
    """Close a query."""
    read_item(context, kind="query", item_id=query_id)
    return _do(
        context,
        response,
        key=key,
        request={"close_query": query_id, "version": version, "reason": body.reason},
        act=lambda writer: close_query(
            context, writer, query_id=query_id, expected_version=version, reason=body.reason
        ),
    )


@router.post(
    "/query/{query_id}/reopening",
    tags=["Query"],
    response_model=ItemAnswer,
    openapi_extra=needs("query.open"),
)
def reopen(
    query_id: str, body: Reason, context: Context, version: ExpectedVersion, key: Key, response: Response
) -> Any:
    """Ask again."""
    read_item(context, kind="query", item_id=query_id)
    return _do(
        context,
        response,
        key=key,
        request={"reopen_query": query_id, "version": version, "reason": body.reason},
        act=lambda writer: reopen_query(
            context, writer, query_id=query_id, expected_version=version, reason=body.reason
        ),
    )


@router.post(
    "/verification",
    tags=["Source verification"],
    response_model=ItemAnswer,
    status_code=201,
    openapi_extra=needs("verification.write"),
)
def verify(body: Verified, context: Context, version: ExpectedVersion, key: Key, response: Response) -> Any:
    """Say that fields of an item, as it was read, agree with their source."""
    read_item(context, kind=body.about_kind, item_id=body.about_item_id)
    return _do(
        context,
        response,
        key=key,
        request={"verify": body.model_dump(), "version": version},
        act=lambda writer: verify_item(
            context,
            writer,
            kind=body.about_kind,
            item_id=body.about_item_id,
            expected_version=version,
            fields=body.verified_fields,
        ),
    )


@router.get(
    "/verifications/{kind}/{item_id}",
    tags=["Source verification"],
    response_model=list[VerificationRow],
    openapi_extra=needs("verification.read", KIND_READ),
)
def list_verified(kind: str, item_id: str, context: Context) -> Any:
    """List an item's verifications, each with the fields that changed since."""
    read_item(context, kind=kind, item_id=item_id)
    return [
        VerificationRow(
            verification=to_answer(row.mark), state=row.state.value, changed_fields=list(row.changed_fields)
        )
        for row in list_verifications(context, kind=kind, item_id=item_id)
    ]


def _do(
    context: RecordContext,
    response: Response,
    *,
    key: str,
    request: dict[str, Any],
    act: Callable[[RecordWriter], Item],
) -> dict[str, Any]:
    def keep(writer: RecordWriter) -> dict[str, Any]:
        item = act(writer)
        return {**to_answer(item).model_dump(mode="json"), "etag": item.etag}

    kept = do_once(context, key=key, request=request, act=keep)
    response.headers["etag"] = str(kept["etag"])
    return {name: value for name, value in kept.items() if name != "etag"}


def _to_serious(event: SeriousEvent, subject_id: str) -> SeriousRow:
    clock = event.clock
    if isinstance(clock, NotEvaluable):
        return SeriousRow(
            event=to_answer(event.item),
            subject_id=subject_id,
            state="not evaluable",
            due=None,
            left_h=None,
            limit_h=None,
            reason=clock.reason,
        )
    return SeriousRow(
        event=to_answer(event.item),
        subject_id=subject_id,
        state=clock.state.value,
        due=clock.due.isoformat(),
        left_h=round(clock.left_h, 3),
        limit_h=clock.limit.number,
        reason="",
    )
