"""Log in by the identity provider that the server's configuration names."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Final

from fastapi import APIRouter, Cookie, Query, Request, Response
from fastapi.responses import RedirectResponse
from pydantic import BaseModel, Field

from hepatica.core.errors import AuthenticationError, HepaticaError, NotSetError
from hepatica.entrypoints.web.depends import Context, ExpectedVersion, ServiceContext, Services, State
from hepatica.entrypoints.web.models import Strict
from hepatica.entrypoints.web.rights import ANYBODY, LOGGED_IN, needs
from hepatica.entrypoints.web.services import WebServices
from hepatica.entrypoints.web.settings import COOKIE, PROOF_COOKIE, START_COOKIE, WebSettings
from hepatica.record.provider_login import PROOF_LIFE, START_LIFE, StartedLogin
from hepatica.record.sign_in import SESSION_LIFE
from hepatica.workflows.accounts import log_out
from hepatica.workflows.enter_by_provider import Proven, begin_login, finish_login, invite_again
from hepatica.workflows.provider_ports import IdentityProvider
from hepatica.workflows.record_ports import RecordContext

router = APIRouter(prefix="/api", tags=["People"])
START_PATH: Final = "/api/oidc"
PROOF_PATH: Final = "/api/signatures"
DOWN: Final[dict[int | str, dict[str, Any]]] = {502: {"description": "The identity provider does not answer"}}
SENT_BACK: Final[dict[int | str, dict[str, Any]]] = {303: {"description": "To the pages"}, **DOWN}
Answered = Annotated[str, Query(max_length=4096)]


class Start(Strict):
    """The secret of an invitation that is being accepted; empty for a login."""

    link: str = Field(default="", max_length=200)


class Again(Strict):
    """Why somebody is invited again."""

    reason: str = Field(min_length=1, max_length=200)


class Ways(BaseModel):
    """How people of this server may log in."""

    provider: str
    passwords: bool


class Address(BaseModel):
    """Where the browser goes next; empty where nowhere."""

    url: str


class Invited(BaseModel):
    """The secret of a one-time link; shown once."""

    account_id: str
    secret: str


@router.get("/oidc", response_model=Ways, openapi_extra=needs(ANYBODY))
async def read_ways(services: Services) -> Ways:
    """Return what the identity provider is called, empty where there is none, and whether passwords are good."""
    provider = services.provider
    return Ways(provider=provider.label if provider else "", passwords=services.ways.passwords)


@router.post("/oidc/start", response_model=Address, responses=DOWN, openapi_extra=needs(ANYBODY))
def start(
    body: Start, context: ServiceContext, services: Services, state: State, response: Response
) -> Address:
    """Begin a login, or the acceptance of an invitation."""
    provider = _require(services)
    with services.gate.taking_turns():
        url, started = begin_login(context, provider, link=body.link)
    _keep(response, services, state.settings, started)
    return Address(url=url)


@router.post("/oidc/proof", response_model=Address, responses=DOWN, openapi_extra=needs(LOGGED_IN))
def start_proof(
    context: Context, service: ServiceContext, services: Services, state: State, response: Response
) -> Address:
    """Begin a fresh login before a signature."""
    provider = _require(services)
    with services.gate.taking_turns():
        url, started = begin_login(service, provider, account_id=context.actor.account_id)
    _keep(response, services, state.settings, started)
    return Address(url=url)


@router.get(
    "/oidc/callback",
    status_code=303,
    response_class=RedirectResponse,
    responses=SENT_BACK,
    openapi_extra=needs(ANYBODY),
)
def finish(
    request: Request,
    context: ServiceContext,
    services: Services,
    state: State,
    answer_state: Annotated[str, Query(alias="state", max_length=200)] = "",
    code: Answered = "",
    issuer: Annotated[str, Query(alias="iss", max_length=1000)] = "",
    error: Answered = "",
) -> Any:
    """Take the provider's answer: open the session, or note the fresh login. A refused browser gets a page."""
    kept = request.cookies.get(START_COOKIE, "")
    answer = _Answer(state=answer_state, code="" if error else code, issuer=issuer, kept=kept)
    try:
        return _take(answer, context, services, state.settings)
    except HepaticaError as problem:
        if "text/html" not in request.headers.get("accept", ""):
            raise
        return RedirectResponse(f"/#/refused/{problem.code}", status_code=303)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Answer:
    """What the provider sent the browser back with; without a code it refused."""

    state: str
    code: str
    issuer: str
    kept: str


def _take(
    answer: _Answer, context: RecordContext, services: WebServices, settings: WebSettings
) -> RedirectResponse:
    provider = _require(services)
    started = services.gate.take(answer.kept, state=answer.state, now=context.now_utc())
    if not answer.code:
        raise AuthenticationError(
            expected="a login at the identity provider",
            given="its refusal",
            where="login",
            action="log in again",
        )
    with services.gate.taking_turns():
        if not provider.is_own_answer(answer.issuer):
            raise AuthenticationError(
                expected="an answer of the identity provider", given="another's", where="login"
            )
        entered = finish_login(context, provider, started=started, code=answer.code)
    proven = isinstance(entered, Proven)
    response = RedirectResponse("/#/proof" if proven else "/", status_code=303)
    response.delete_cookie(START_COOKIE, path=START_PATH)
    response.set_cookie(
        PROOF_COOKIE if proven else COOKIE,
        entered.secret,
        max_age=int((PROOF_LIFE if proven else SESSION_LIFE).total_seconds()),
        httponly=True,
        samesite="strict",
        secure=settings.secure_cookies,
        path=PROOF_PATH if proven else "/",
    )
    return response


@router.post("/oidc/logout", response_model=Address, openapi_extra=needs(ANYBODY))
def log_out_route(
    context: ServiceContext,
    services: Services,
    response: Response,
    secret: Annotated[str, Cookie(alias=COOKIE, include_in_schema=False)] = "",
) -> Address:
    """Close the session here; returns where the provider's own can be ended."""
    if secret:
        log_out(context, secret=secret)
    response.delete_cookie(COOKIE, path="/")
    if services.provider is None:
        return Address(url="")
    with services.gate.taking_turns():
        return Address(url=services.provider.make_end_address())


@router.post(
    "/account/{account_id}/invitation",
    response_model=Invited,
    status_code=201,
    openapi_extra=needs("account.write"),
)
def invite_once_more(account_id: str, body: Again, context: Context, version: ExpectedVersion) -> Invited:
    """Part an account from its password and its person at the provider, and invite again."""
    account, secret = invite_again(
        context, account_id=account_id, expected_version=version, reason=body.reason
    )
    return Invited(account_id=account.item_id, secret=secret)


def _keep(response: Response, services: WebServices, settings: WebSettings, started: StartedLogin) -> None:
    response.set_cookie(
        START_COOKIE,
        services.gate.seal(started),
        max_age=int(START_LIFE.total_seconds()),
        httponly=True,
        # The provider sends the browser back from another site: a strict cookie would stay at home.
        samesite="lax",
        secure=settings.secure_cookies,
        path=START_PATH,
    )


def _require(services: WebServices) -> IdentityProvider:
    if services.provider is None:
        raise NotSetError(
            expected="a server with an identity provider", given="one without", where="login",
            action="log in by password",
        )  # fmt: skip
    return services.provider
