"""Accounts: invitation, login, lockout, reset, the last administrator."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest

from hepatica.adapters.store.home import make_home
from hepatica.core.errors import (
    AuthenticationError,
    ConflictError,
    ForbiddenError,
    InputError,
    RecordInputError,
)
from hepatica.record.people import Role, make_system_actor
from hepatica.workflows.accounts import (
    accept_link,
    change_account,
    find_session,
    invite_account,
    log_in,
    log_out,
    prove_identity,
    reset_account,
)
from hepatica.workflows.record_ports import RecordContext

PASSWORD = "three quiet herons"


class MovedClock:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.time = datetime(2026, 3, 2, 9, tzinfo=UTC)

    def now(self) -> datetime:
        return self.time


class PlainPasswords:
    """Quick stand-in for the slow hash."""

    def hash_password(self, password: str) -> str:
        return password[::-1]

    def matches(self, password: str, hashed: str | None) -> bool:
        return hashed is not None and password[::-1] == hashed


@pytest.fixture
def context(tmp_path):
    home = make_home(tmp_path / "home", mode="clinical")
    yield RecordContext(store=home.store, files=home.files, clock=MovedClock(), actor=make_system_actor())
    home.close()


def join(context, login="ada", roles=(Role.ADMINISTRATOR,), **more):
    account, secret = invite_account(
        context, login=login, display_name=login, roles=roles, site_ids=["s1"], **more
    )
    return accept_link(context, PlainPasswords(), secret=secret, password=PASSWORD)


def enter(context, login="ada", password=PASSWORD):
    return log_in(context, PlainPasswords(), login=login, password=password)


@pytest.mark.requirement("F-accounts")
def test_an_invited_person_sets_a_password_once_and_logs_in(context):
    account, secret = invite_account(
        context, login="Ada", display_name="Ada", roles=[Role.ADMINISTRATOR], site_ids=[]
    )
    with pytest.raises(AuthenticationError):
        enter(context)
    accept_link(context, PlainPasswords(), secret=secret, password=PASSWORD)
    with pytest.raises(AuthenticationError):
        accept_link(context, PlainPasswords(), secret=secret, password=PASSWORD)
    entered = enter(context, login="ADA")
    assert find_session(context, secret=entered.secret).account_id == account.item_id
    log_out(context, secret=entered.secret)
    with pytest.raises(AuthenticationError):
        find_session(context, secret=entered.secret)


@pytest.mark.requirement("F-accounts")
@pytest.mark.parametrize("password", ["short", "ada" * 5, "aaaaaaaaaaaaaaa", "x" * 300, "password1234"])
def test_a_weak_password_is_refused_and_the_link_stays_good(context, password):
    _, secret = invite_account(context, login="ada", display_name="A", roles=[Role.AUDITOR], site_ids=[])
    with pytest.raises(RecordInputError):
        accept_link(context, PlainPasswords(), secret=secret, password=password)
    accept_link(context, PlainPasswords(), secret=secret, password=PASSWORD)


@pytest.mark.requirement("F-accounts-lockout")
def test_guesses_are_slowed_even_for_who_knows_the_password_and_the_bar_ends(context):
    join(context)
    for _ in range(5):
        with pytest.raises(AuthenticationError):
            enter(context, password="wrong")
    with pytest.raises(AuthenticationError):
        enter(context)
    context.clock.time += timedelta(seconds=31)
    assert enter(context)
    with context.store.reading() as reader:
        actions = [event.action.value for event in reader.read_events(kind="account")]
    assert actions.count("login_refused") == 5 and actions[-1] == "login"


@pytest.mark.requirement("F-accounts")
def test_sessions_end_when_idle_and_after_a_working_day(context):
    join(context)
    secret = enter(context).secret
    for _ in range(24):
        context.clock.time += timedelta(minutes=29)
        find_session(context, secret=secret)
    context.clock.time += timedelta(minutes=31)
    with pytest.raises(AuthenticationError):
        find_session(context, secret=secret)
    secret = enter(context).secret
    context.clock.time += timedelta(hours=12, seconds=1)
    with pytest.raises(AuthenticationError):
        find_session(context, secret=secret)


@pytest.mark.requirement("F-accounts")
def test_a_reset_closes_sessions_and_an_expired_or_disabled_account_cannot_enter(context):
    join(context)
    nurse = join(context, login="ben", roles=[Role.COORDINATOR], expires_date=date(2026, 3, 2))
    secret = enter(context, login="ben").secret
    link = reset_account(context, account_id=nurse.item_id)
    with pytest.raises(AuthenticationError):
        find_session(context, secret=secret)
    nurse = accept_link(context, PlainPasswords(), secret=link, password=PASSWORD + "!")
    secret = enter(context, login="ben", password=PASSWORD + "!").secret
    change_account(
        context,
        account_id=nurse.item_id,
        expected_version=nurse.version,
        reason="left",
        values={"state": "disabled"},
    )
    for attempt in (
        lambda: find_session(context, secret=secret),
        lambda: enter(context, "ben", PASSWORD + "!"),
    ):
        with pytest.raises(AuthenticationError):
            attempt()
    context.clock.time += timedelta(days=1)
    cleo = join(context, login="cleo", roles=[Role.MONITOR], expires_date=date(2026, 3, 2))
    assert cleo.values["state"] == "active"
    with pytest.raises(AuthenticationError):
        enter(context, login="cleo")


@pytest.mark.requirement("F-accounts")
@pytest.mark.parametrize(
    "values", [{"state": "disabled"}, {"roles": ["auditor"]}, {"expires_date": "2026-01-01"}]
)
def test_the_last_administrator_stays(context, values):
    ada = join(context)
    with pytest.raises(ConflictError):
        change_account(
            context, account_id=ada.item_id, expected_version=ada.version, reason="x", values=values
        )
    assert enter(context)


@pytest.mark.requirement("F-accounts")
def test_only_administrators_keep_accounts_and_unknown_roles_are_refused(context):
    ada = join(context)
    join(context, login="ben", roles=[Role.COORDINATOR])
    as_ben = replace(context, actor=enter(context, login="ben").actor)
    with pytest.raises(ForbiddenError):
        invite_account(as_ben, login="x", display_name="x", roles=[Role.ADMINISTRATOR], site_ids=[])
    with pytest.raises(ForbiddenError):
        reset_account(as_ben, account_id=ada.item_id)
    with pytest.raises(InputError):
        change_account(
            context,
            account_id=ada.item_id,
            expected_version=ada.version,
            reason="x",
            values={"roles": ["king"]},
        )


@pytest.mark.requirement("F-accounts")
def test_who_signs_shows_his_own_password(context):
    join(context)
    as_ada = replace(context, actor=enter(context).actor)
    prove_identity(as_ada, PlainPasswords(), password=PASSWORD)
    with pytest.raises(AuthenticationError):
        prove_identity(as_ada, PlainPasswords(), password="another one entirely")


@pytest.mark.requirement("F-accounts")
def test_the_database_holds_no_password_and_no_session_secret(context, tmp_path):
    from hepatica.adapters.store.passwords import ArgonPasswords

    _, link = invite_account(context, login="ada", display_name="A", roles=[Role.AUDITOR], site_ids=[])
    passwords = ArgonPasswords()
    accept_link(context, passwords, secret=link, password=PASSWORD)
    secret = log_in(context, passwords, login="ada", password=PASSWORD).secret
    held = b"".join(path.read_bytes() for path in (tmp_path / "home").glob("record.sqlite*"))
    for text in (PASSWORD, secret, link):
        assert text.encode() not in held
    assert not passwords.matches("anything", None)
