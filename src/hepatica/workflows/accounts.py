"""Invite, let in, reset, change and disable the people who use the record."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from datetime import date, timedelta

from hepatica.core.errors import ConflictError, ForbiddenError, RecordInputError
from hepatica.record.event import Action, JsonValue
from hepatica.record.item import Item
from hepatica.record.people import Actor, Role, check_roles, require_right
from hepatica.record.provider_login import PASSWORDS, WaysIn
from hepatica.record.sign_in import (
    INVITATION_LIFE,
    RESET_LIFE,
    SETS_PASSWORD,
    Credential,
    Purpose,
    check_password,
    digest_secret,
    make_secret,
)
from hepatica.workflows.account_entry import (
    Entered,
    count_failure,
    enter_account,
    is_password_allowed,
    list_administrators,
    may_enter,
    note_event,
    open_token,
    refuse_login,
    to_actor,
    to_roles,
)
from hepatica.workflows.change_item import change_item, create_item, require_item
from hepatica.workflows.record_ports import Passwords, RecordContext


def invite_account(
    context: RecordContext,
    *,
    login: str,
    display_name: str,
    roles: Collection[Role],
    site_ids: Collection[str],
    expires_date: date | None = None,
) -> tuple[Item, str]:
    """Make an account and the secret of its one-time link.

    Parameters
    ----------
    context
        Who invites.
    login, display_name
        Of the person.
    roles, site_ids
        What he may do, and where.
    expires_date
        Last day of the account.

    Raises
    ------
    ForbiddenError, ConflictError, InputError
        Without the right; if the login is in use; if roles do not go together.
    """
    # Before anything else: the answer must not tell others which logins exist.
    require_right(context.actor, "account.write")
    check_roles(frozenset(roles))
    folded = login.strip().casefold()
    if not folded or not roles:
        raise RecordInputError(expected="a login and at least one role", given="none", where="account")
    with context.store.writing() as writer:
        if writer.accounts.find_credential(login=folded) is not None:
            raise ConflictError(expected="a new login", given="one in use", where="account")
        values: dict[str, JsonValue] = {
            "login": folded,
            "display_name": display_name,
            "roles": sorted(role.value for role in roles),
            "site_ids": sorted(site_ids),
            "state": "invited",
            "expires_date": expires_date.isoformat() if expires_date else None,
        }
        account = create_item(
            context,
            writer,
            item=Item(kind="account", item_id=f"u-{make_secret()[:12]}", version=1, values=values),
        )
        writer.accounts.write_credential(
            Credential(
                account_id=account.item_id, login=folded, password_hash=None, changed_at=context.now_utc()
            )
        )
        return account, open_token(
            context, writer, account.item_id, purpose=Purpose.INVITATION, life=INVITATION_LIFE
        )


def renew_invitation(context: RecordContext, *, account_id: str) -> str:
    """Return the secret of a new link for an account that nobody has accepted; earlier links end.

    Parameters
    ----------
    context
        Who invites; needs the right ``account.write``.
    account_id
        The account.
    """
    require_right(context.actor, "account.write")
    with context.store.writing() as writer:
        writer.accounts.remove_tokens(account_id=account_id)
        return open_token(context, writer, account_id, purpose=Purpose.INVITATION, life=INVITATION_LIFE)


def reset_account(context: RecordContext, *, account_id: str) -> str:
    """Return the secret of a link with which a person sets a new password; his sessions are closed.

    Parameters
    ----------
    context
        Who resets; needs the right ``account.write``.
    account_id
        Whose password.
    """
    require_right(context.actor, "account.write")
    with context.store.writing() as writer:
        account = require_item(writer, kind="account", item_id=account_id)
        note_event(
            context, writer, account, action=Action.CHANGE_PASSWORD, reason="reset by an administrator"
        )
        writer.accounts.remove_tokens(account_id=account_id)
        return open_token(context, writer, account_id, purpose=Purpose.RESET, life=RESET_LIFE)


def accept_link(
    context: RecordContext, passwords: Passwords, *, secret: str, password: str, ways: WaysIn = PASSWORDS
) -> Item:
    """Set a password by the secret of an invitation or reset; the link is good once.

    Parameters
    ----------
    context
        The program itself: the person has no session yet.
    passwords
        Hashes them.
    secret
        From the link.
    password
        What the person chose.
    ways
        How people of this server may log in.

    Raises
    ------
    AuthenticationError
        If the link is unknown, used or too old.
    ForbiddenError
        If this account's password would not be looked at here.
    RecordInputError
        If the password is too weak.
    """
    with context.store.writing() as writer:
        token = writer.accounts.find_token(digest_secret(secret))
        if token is None or token.purpose not in SETS_PASSWORD or not token.is_live(context.now_utc()):
            raise refuse_login("a link that is still good")
        account = require_item(writer, kind="account", item_id=token.account_id)
        credential = writer.accounts.find_credential(account_id=token.account_id)
        if credential is None or account.values["state"] == "disabled":
            raise refuse_login("a link that is still good")
        if not is_password_allowed(writer, credential, ways, now=context.now_utc()):
            raise ForbiddenError(
                expected="a login by the identity provider",
                given="a password, which this server does not use",
                where="login",
                action="accept the invitation by the identity provider",
            )
        if wrong := check_password(password, login=credential.login):
            raise RecordInputError(expected=wrong, given="another one", where="password")
        writer.accounts.remove_tokens(account_id=token.account_id)
        writer.accounts.write_credential(
            replace(
                credential,
                password_hash=passwords.hash_password(password),
                failures=0,
                barred_until=None,
                changed_at=context.now_utc(),
            )
        )
        note_event(context, writer, account, action=Action.CHANGE_PASSWORD)
        if account.values["state"] == "invited":
            account = change_item(
                context,
                writer,
                kind="account",
                item_id=account.item_id,
                values={"state": "active"},
                expected_version=account.version,
                reason="invitation accepted",
            )
        return account


def log_in(
    context: RecordContext, passwords: Passwords, *, login: str, password: str, ways: WaysIn = PASSWORDS
) -> Entered:
    """Open a session by password.

    Parameters
    ----------
    context
        The program itself.
    passwords
        Verifies them.
    login, password
        What the person typed.
    ways
        How people of this server may log in.

    Raises
    ------
    AuthenticationError
        For any reason: it never says which.
    """
    now = context.now_utc()
    with context.store.reading() as reader:
        credential = reader.accounts.find_credential(login=login.strip() or "-")
    # Hashing takes a tenth of a second: it is done outside the writers' queue.
    barred = credential is not None and credential.barred_until is not None and now < credential.barred_until
    known = None if credential is None or barred else credential.password_hash
    right = passwords.matches(password[:1024], known)
    entered: Entered | None = None
    with context.store.writing() as writer:
        if credential is not None:
            account = require_item(writer, kind="account", item_id=credential.account_id)
            allowed = is_password_allowed(writer, credential, ways, now=now)
            if right and allowed and may_enter(account, now):
                entered = enter_account(context, writer, account, credential)
            elif not barred:
                count_failure(context, writer, account, now=now)
    if entered is None:
        raise refuse_login("a login and its password")
    return entered


def find_session(context: RecordContext, *, secret: str) -> Actor:
    """Return who a session belongs to, with the rights of this moment.

    Parameters
    ----------
    context
        The program itself.
    secret
        From the cookie.

    Raises
    ------
    AuthenticationError
        If there is no such session, or its time is over.
    """
    digest, now = digest_secret(secret), context.now_utc()
    with context.store.reading() as reader:
        token = reader.accounts.find_token(digest)
        account = reader.find_item("account", token.account_id) if token else None
    live = token is not None and token.purpose is Purpose.SESSION and token.is_live(now)
    if token is None or account is None or not live or not may_enter(account, now):
        raise refuse_login("a session")
    if now - token.seen_at > timedelta(minutes=1):
        with context.store.writing() as writer:
            writer.accounts.touch_token(digest, seen_at=now)
    return to_actor(account)


def log_out(context: RecordContext, *, secret: str) -> None:
    """Close a session; silently, if it is not there.

    Parameters
    ----------
    context
        The program itself.
    secret
        From the cookie.
    """
    digest = digest_secret(secret)
    with context.store.writing() as writer:
        token = writer.accounts.find_token(digest)
        if token is not None:
            account = require_item(writer, kind="account", item_id=token.account_id)
            writer.accounts.remove_tokens(digest=digest)
            note_event(context, writer, account, action=Action.LOGOUT)


def change_account(
    context: RecordContext,
    *,
    account_id: str,
    expected_version: int,
    reason: str,
    values: dict[str, JsonValue],
) -> Item:
    """Change roles, sites, expiry or state of an account; his sessions end if he loses anything.

    Parameters
    ----------
    context
        Who changes; needs the right ``account.write``.
    account_id, expected_version
        The account as it was seen.
    reason
        Why.
    values
        Fields to change; the login stays.

    Raises
    ------
    ConflictError
        If nobody would be left who may change accounts.
    """
    if "login" in values:
        raise RecordInputError(expected="a login that stays", given="a change of it", where="account")
    with context.store.writing() as writer:
        account = change_item(
            context,
            writer,
            kind="account",
            item_id=account_id,
            values=values,
            expected_version=expected_version,
            reason=reason,
        )
        check_roles(to_roles(account))
        if not list_administrators(writer, now=context.now_utc()):
            raise ConflictError(
                expected="at least one active administrator",
                given="a change after which there is none",
                where="account",
                action="invite another administrator before",
            )
        writer.accounts.remove_tokens(account_id=account_id)
        return account


def prove_identity(
    context: RecordContext, passwords: Passwords, *, password: str, ways: WaysIn = PASSWORDS
) -> None:
    """Check the password of the acting person once more, before he signs.

    Parameters
    ----------
    context
        Who signs.
    passwords
        Verifies them.
    password
        What was typed.
    ways
        How people of this server may log in.

    Raises
    ------
    AuthenticationError
        If it is not his. Wrong ones count as at a login.
    """
    with context.store.reading() as reader:
        credential = reader.accounts.find_credential(account_id=context.actor.account_id)
        now = context.now_utc()
        allowed = credential is not None and is_password_allowed(reader, credential, ways, now=now)
    barred = credential is None or (credential.barred_until is not None and now < credential.barred_until)
    known = None if credential is None or barred or not allowed else credential.password_hash
    if passwords.matches(password[:1024], known):
        return
    if credential is not None and not barred:
        with context.store.writing() as writer:
            account = require_item(writer, kind="account", item_id=credential.account_id)
            count_failure(context, writer, account, now=now)
    raise refuse_login("the signer's password")
