"""Log in and out, and keep accounts."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Any

from fastapi import APIRouter, Cookie, Response
from pydantic import BaseModel, Field

from hepatica.entrypoints.web.depends import Context, ExpectedVersion, ServiceContext, Services, State
from hepatica.entrypoints.web.login_gate import taking_turns
from hepatica.entrypoints.web.models import ItemAnswer, Strict, to_answer
from hepatica.entrypoints.web.rights import ANYBODY, LOGGED_IN, needs
from hepatica.entrypoints.web.settings import COOKIE, WebSettings
from hepatica.record.people import Actor, Role, read_rights
from hepatica.record.sign_in import SESSION_LIFE
from hepatica.workflows.accounts import (
    accept_link,
    change_account,
    invite_account,
    log_in,
    log_out,
    reset_account,
)
from hepatica.workflows.record_ports import RecordContext

router = APIRouter(prefix="/api", tags=["People"])
Text = Annotated[str, Field(min_length=1, max_length=200)]


class Login(Strict):
    """A login and its password."""

    login: Text
    password: str = Field(min_length=1, max_length=1024)


class NewPassword(Strict):
    """The secret of a link, and the password chosen."""

    secret: Text
    password: str = Field(min_length=1, max_length=1024)


class Invitation(Strict):
    """A person to invite."""

    login: Text
    display_name: Text
    roles: list[Text] = Field(min_length=1, max_length=10)
    site_ids: list[Text] = Field(default_factory=list, max_length=1000)
    expires_date: str | None = Field(default=None, pattern=r"^\d{4}-\d{2}-\d{2}$")


class AccountChange(Strict):
    """Fields of an account to change, and why."""

    display_name: Text | None = None
    roles: list[Text] | None = Field(default=None, min_length=1, max_length=10)
    site_ids: list[Text] | None = Field(default=None, max_length=1000)
    state: str | None = Field(default=None, pattern="^(active|disabled)$")
    expires_date: str | None = Field(default=None, pattern=r"^\d{4}-\d{2}-\d{2}$")
    reason: Text


class Me(BaseModel):
    """Who is logged in, and what he may do."""

    account_id: str
    login: str
    display_name: str
    roles: list[str]
    site_ids: list[str]
    rights: list[str]
    blinded: bool
    mode: str


class Link(BaseModel):
    """The secret of a one-time link; shown once."""

    account_id: str
    secret: str


@router.post("/login", response_model=Me, openapi_extra=needs(ANYBODY))
def log_in_route(
    body: Login, context: ServiceContext, state: State, services: Services, response: Response
) -> Me:
    """Open a session."""
    settings: WebSettings = state.settings
    with taking_turns():
        entered = log_in(
            context, state.passwords, login=body.login, password=body.password, ways=services.ways
        )
    response.set_cookie(
        COOKIE,
        entered.secret,
        max_age=int(SESSION_LIFE.total_seconds()),
        httponly=True,
        samesite="strict",
        secure=settings.secure_cookies,
        path="/",
    )
    return _to_me(context, entered.actor, settings)


@router.post("/logout", status_code=204, openapi_extra=needs(ANYBODY))
def log_out_route(
    context: ServiceContext,
    response: Response,
    secret: Annotated[str, Cookie(alias=COOKIE, include_in_schema=False)] = "",
) -> None:
    """Close the session."""
    if secret:
        log_out(context, secret=secret)
    response.delete_cookie(COOKIE, path="/")


@router.get("/me", response_model=Me, openapi_extra=needs(LOGGED_IN))
def read_me(context: Context, state: State) -> Me:
    """Return who is logged in."""
    return _to_me(context, context.actor, state.settings)


@router.post("/password", status_code=204, openapi_extra=needs(ANYBODY))
def set_password(body: NewPassword, context: ServiceContext, state: State, services: Services) -> None:
    """Set a password by the secret of an invitation or reset."""
    with taking_turns():
        accept_link(context, state.passwords, secret=body.secret, password=body.password, ways=services.ways)


@router.post("/account", response_model=Link, status_code=201, openapi_extra=needs("account.write"))
def invite(body: Invitation, context: Context) -> Link:
    """Invite a person; the link's secret is shown once."""
    account, secret = invite_account(
        context,
        login=body.login,
        display_name=body.display_name,
        roles=_to_roles(body.roles),
        site_ids=body.site_ids,
        expires_date=_to_date(body.expires_date),
    )
    return Link(account_id=account.item_id, secret=secret)


@router.patch("/account/{account_id}", response_model=ItemAnswer, openapi_extra=needs("account.write"))
def change(
    account_id: str, body: AccountChange, context: Context, version: ExpectedVersion, response: Response
) -> Any:
    """Change what an account may do, or whether it may log in."""
    values = body.model_dump(exclude_unset=True, exclude={"reason"})
    if "roles" in values:
        _to_roles(values["roles"])
    if values.get("expires_date"):
        _to_date(values["expires_date"])
    account = change_account(
        context, account_id=account_id, expected_version=version, reason=body.reason, values=values
    )
    response.headers["etag"] = account.etag
    return to_answer(account)


@router.post(
    "/account/{account_id}/reset", response_model=Link, status_code=201, openapi_extra=needs("account.write")
)
def reset(account_id: str, context: Context) -> Link:
    """Make a link with which the person sets a new password."""
    return Link(account_id=account_id, secret=reset_account(context, account_id=account_id))


def _to_me(context: RecordContext, actor: Actor, settings: WebSettings) -> Me:
    with context.store.reading() as reader:
        account = reader.find_item("account", actor.account_id)
    values = {} if account is None else account.values
    return Me(
        account_id=actor.account_id,
        login=str(values.get("login", "")),
        display_name=str(values.get("display_name", "")),
        roles=sorted(actor.roles),
        site_ids=sorted(actor.site_ids),
        rights=sorted(right for right in read_rights() if actor.may(right)),
        blinded=actor.is_blinded,
        mode=settings.mode,
    )


def _to_roles(words: list[str]) -> list[Role]:
    from hepatica.core.errors import RecordInputError

    try:
        return [Role(word) for word in words]
    except ValueError as problem:
        raise RecordInputError(
            expected=f"roles of {', '.join(Role)}", given="another word", where="roles"
        ) from problem


def _to_date(text: str | None) -> date | None:
    from hepatica.core.errors import RecordInputError

    try:
        return date.fromisoformat(text) if text else None
    except ValueError as problem:
        raise RecordInputError(expected="a date", given="another text", where="expires_date") from problem
