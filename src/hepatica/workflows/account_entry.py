"""An account as somebody who acts: whether he may come in, his session, what the trail says of it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from hepatica.core.errors import AuthenticationError, RecordInputError
from hepatica.record.event import Action, EventDraft, JsonValue
from hepatica.record.item import Item
from hepatica.record.people import Actor, Role
from hepatica.record.provider_login import WaysIn, may_use_password
from hepatica.record.sign_in import (
    SESSION_LIFE,
    Credential,
    Purpose,
    Token,
    derive_bar,
    digest_secret,
    make_secret,
)
from hepatica.workflows.record_ports import PAGE_MAX, ItemFilter, RecordContext, RecordReader, RecordWriter


@dataclass(frozen=True, slots=True, kw_only=True)
class Entered:
    """A session that was opened: the account as actor, and the secret that the browser keeps."""

    actor: Actor
    secret: str
    account: Item


def to_actor(account: Item) -> Actor:
    """Return an account as somebody who acts.

    Parameters
    ----------
    account
        Item of kind ``account``.
    """
    return Actor(
        account_id=account.item_id,
        roles=to_roles(account),
        site_ids=frozenset(str(site) for site in _to_list(account.values["site_ids"])),
    )


def to_roles(account: Item) -> frozenset[Role]:
    """Return the roles of an account.

    Parameters
    ----------
    account
        Item of kind ``account``.

    Raises
    ------
    RecordInputError
        If one is none.
    """
    try:
        return frozenset(Role(str(role)) for role in _to_list(account.values["roles"]))
    except ValueError as problem:
        raise RecordInputError(
            expected=f"roles of {', '.join(Role)}", given="another word", where="account, roles"
        ) from problem


def _to_list(value: JsonValue) -> list[JsonValue]:
    return value if isinstance(value, list) else []


def may_enter(account: Item, now: datetime) -> bool:
    """Return whether an account is active and not expired.

    Parameters
    ----------
    account
        Item of kind ``account``.
    now
        Time in UTC.
    """
    expires = account.values.get("expires_date")
    return account.values["state"] == "active" and (
        not isinstance(expires, str) or now.date().isoformat() <= expires
    )


def enter_account(
    context: RecordContext,
    writer: RecordWriter,
    account: Item,
    credential: Credential,
    *,
    reason: str = "",
) -> Entered:
    """Open a session of a person who has shown who he is.

    Parameters
    ----------
    context, writer
        The program itself, within a change.
    account, credential
        Whose.
    reason
        How he has shown it, where it was not by a password.
    """
    if credential.failures:
        writer.accounts.write_credential(replace(credential, failures=0, barred_until=None))
    writer.accounts.remove_expired(now=context.now_utc())
    secret = open_token(context, writer, account.item_id, purpose=Purpose.SESSION, life=SESSION_LIFE)
    note_event(context, writer, account, action=Action.LOGIN, reason=reason)
    return Entered(actor=to_actor(account), secret=secret, account=account)


def count_failure(context: RecordContext, writer: RecordWriter, account: Item, *, now: datetime) -> None:
    """Count a wrong password, and look at none for a while where there were many.

    Parameters
    ----------
    context, writer
        Within a change.
    account
        Whose.
    now
        Time in UTC.
    """
    credential = writer.accounts.find_credential(account_id=account.item_id)
    if credential is None:
        return
    failures = credential.failures + 1
    bar = derive_bar(failures)
    writer.accounts.write_credential(
        replace(credential, failures=failures, barred_until=now + bar if bar else None)
    )
    note_event(context, writer, account, action=Action.LOGIN_REFUSED)


def list_administrators(reader: RecordReader, *, now: datetime, invited: bool = False) -> list[str]:
    """Return the accounts that may change accounts.

    Parameters
    ----------
    reader
        The record.
    now
        Time in UTC.
    invited
        Whether those count who have not accepted their invitation yet.
    """
    found: list[str] = []
    wanted: ItemFilter | None = ItemFilter(kind="account", limit=PAGE_MAX)
    while wanted is not None:
        page = reader.list_items(wanted)
        found.extend(
            account.item_id
            for account in page.items
            if Role.ADMINISTRATOR.value in _to_list(account.values["roles"])
            and (may_enter(account, now) or (invited and account.values["state"] == "invited"))
        )
        wanted = replace(wanted, after=page.next) if page.next else None
    return found


def is_password_allowed(reader: RecordReader, credential: Credential, ways: WaysIn, *, now: datetime) -> bool:
    """Return whether this server looks at an account's password.

    Parameters
    ----------
    reader
        The record.
    credential
        Whose.
    ways
        How people of this server may log in.
    now
        Time in UTC.
    """
    if ways.passwords:
        return True
    found = list_administrators(reader, now=now, invited=True)
    known = (reader.accounts.find_credential(account_id=account_id) for account_id in found)
    return may_use_password(credential, ways, administrators=[one for one in known if one])


def open_token(
    context: RecordContext, writer: RecordWriter, account_id: str, *, purpose: Purpose, life: timedelta
) -> str:
    """Make a token and return its secret, which is kept nowhere.

    Parameters
    ----------
    context, writer
        Within a change.
    account_id
        Whose.
    purpose, life
        What it is good for, and for how long.
    """
    secret, now = make_secret(), context.now_utc()
    writer.accounts.write_token(
        Token(
            digest=digest_secret(secret),
            account_id=account_id,
            purpose=purpose,
            created_at=now,
            seen_at=now,
            expires_at=now + life,
        )
    )
    return secret


def note_event(
    context: RecordContext, writer: RecordWriter, account: Item, *, action: Action, reason: str = ""
) -> None:
    """Add an event that changes no value.

    Parameters
    ----------
    context, writer
        Within a change.
    account
        Whom it is about.
    action, reason
        What was done, and why.
    """
    acting = account.item_id if context.actor.is_system else context.actor.account_id
    writer.append_event(
        EventDraft(
            time_utc=context.now_utc(),
            actor_id=acting,
            action=action,
            kind="account",
            item_id=account.item_id,
            version=account.version,
            reason=reason,
            request_id=context.request_id,
        )
    )


def refuse_login(expected: str) -> AuthenticationError:
    """Return a refusal that does not say which part was wrong.

    Parameters
    ----------
    expected
        What would have let the person in.
    """
    return AuthenticationError(
        expected=expected, given="something that does not hold", where="login", action="log in again"
    )
