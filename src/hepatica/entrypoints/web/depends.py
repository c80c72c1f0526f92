"""What routes are handed: the record, who acts, the version a change is of, the key of a repeated request."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Any, Literal

from fastapi import Cookie, Depends, Header, Request
from starlette.exceptions import HTTPException

from hepatica.core.errors import AuthenticationError
from hepatica.entrypoints.web.services import WebServices
from hepatica.entrypoints.web.settings import COOKIE
from hepatica.record.moved_dates import Calendar
from hepatica.record.people import require_right
from hepatica.workflows.accounts import find_session
from hepatica.workflows.record_ports import RecordContext

KEY_MAX = 100
# Those that read nothing are coroutines: a plain function would cost a change of thread for each request.


def to_service_context(request: Request) -> RecordContext:
    """Return the record with the program itself as actor.

    Parameters
    ----------
    request
        The request.
    """
    base: RecordContext = request.app.state.record
    return replace(base, request_id=request.state.request_id)


async def get_service_context(request: Request) -> RecordContext:
    """Return the record with the program itself as actor, for routes before a login."""
    return to_service_context(request)


ServiceContext = Annotated[RecordContext, Depends(get_service_context)]


def get_context(
    service: ServiceContext,
    secret: Annotated[str, Cookie(alias=COOKIE, include_in_schema=False)] = "",
    hepatica_dates: Annotated[
        Literal["true", "record", ""],
        Header(description="Research records: whether dates sent are true ones, or as the record shows them"),
    ] = "",
) -> RecordContext:
    """Return the record with the person of the session as actor."""
    if not secret:
        raise AuthenticationError(expected="a session", given="none", where="login", action="log in")
    dates = service.dates and service.dates.speaking(Calendar(hepatica_dates))
    return replace(service, actor=find_session(service, secret=secret), dates=dates)


Context = Annotated[RecordContext, Depends(get_context)]


async def get_expected_version(
    if_match: Annotated[str, Header(description='ETag that was read, such as "3-9f86d081884c7d65"')] = "",
) -> int:
    """Return the version that a change is of, from ``If-Match``."""
    if not if_match:
        raise HTTPException(428, "a change without the version it is of; send If-Match")
    number = if_match.strip().removeprefix("W/").strip('"').partition("-")[0]
    # Signs such as a superscript two are digits by their name, and no number.
    if not number.isdecimal() or len(number) > 9:
        raise HTTPException(400, "an If-Match that no answer carried")
    return int(number)


ExpectedVersion = Annotated[int, Depends(get_expected_version)]


async def get_key(
    idempotency_key: Annotated[
        str,
        Header(max_length=KEY_MAX, description="The same request sent again is answered, not done, again"),
    ] = "",
) -> str:
    """Return the key of a request that may be repeated."""
    return idempotency_key


Key = Annotated[str, Depends(get_key)]


async def get_state(request: Request) -> Any:
    """Return what the application was given at its start."""
    return request.app.state


State = Annotated[Any, Depends(get_state)]


async def get_services(request: Request) -> WebServices:
    """Return what works beside the record."""
    services: WebServices = request.app.state.services
    return services


Services = Annotated[WebServices, Depends(get_services)]


def check_route_rights(request: Request, service: ServiceContext) -> None:
    """Refuse whoever lacks a right that the route names, before its body is looked at.

    The use case asks again, with the site: this one keeps a wrong body from answering before the refusal.
    """
    from hepatica.entrypoints.web.rights import list_named_rights

    named = list_named_rights(request.scope.get("route"))
    if named:
        context = get_context(service, request.cookies.get(COOKIE, ""))
        for right in named:
            require_right(context.actor, right)
