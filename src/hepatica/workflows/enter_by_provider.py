"""Log in by an identity provider. It says who somebody is; whether he may come in, only an invitation says."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Final

from hepatica.core.errors import AuthenticationError, ConflictError
from hepatica.record.event import Action
from hepatica.record.item import Item
from hepatica.record.people import require_right
from hepatica.record.provider_login import (
    PROOF_LIFE,
    ProvenPerson,
    StartedLogin,
    WaysIn,
    is_of_issuer,
    to_subject_key,
)
from hepatica.record.sign_in import (
    INVITATION_LIFE,
    RESET_LIFE,
    Credential,
    Purpose,
    digest_secret,
    make_secret,
)
from hepatica.workflows.account_entry import (
    Entered,
    enter_account,
    is_password_allowed,
    list_administrators,
    may_enter,
    note_event,
    open_token,
    refuse_login,
)
from hepatica.workflows.change_item import change_item, require_item
from hepatica.workflows.provider_ports import IdentityProvider
from hepatica.workflows.record_ports import RecordContext, RecordWriter

BY_PROVIDER: Final = "by the identity provider"
CLOCKS: Final = timedelta(seconds=60)
"""How much earlier than the question a fresh login may seem to be, as two clocks differ."""


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Proven:
    """The secret of a fresh login before a signature, good once."""

    secret: str


def begin_login(
    context: RecordContext, provider: IdentityProvider, *, link: str = "", account_id: str = ""
) -> tuple[str, StartedLogin]:
    """Return where the browser goes, and what it must bring back.

    Parameters
    ----------
    context
        The program itself.
    provider
        Of the server's configuration.
    link
        Secret of an invitation that is being accepted; empty for a login.
    account_id
        Who shows once more that he is there, before he signs; empty for a login.

    Raises
    ------
    AuthenticationError
        If the invitation is unknown, used or too old.
    ProviderError
        If the provider does not answer.
    """
    if link:
        with context.store.reading() as reader:
            token = reader.accounts.find_token(digest_secret(link))
        if token is None or token.purpose is not Purpose.INVITATION or not token.is_live(context.now_utc()):
            raise refuse_login("an invitation that is still good")
    started = StartedLogin(
        state=make_secret(),
        nonce=make_secret(),
        verifier=make_secret(),
        started_at=int(context.now_utc().timestamp()),
        link=link,
        account_id=account_id,
    )
    return provider.make_address(started, fresh=bool(account_id)), started


def finish_login(
    context: RecordContext, provider: IdentityProvider, *, started: StartedLogin, code: str
) -> Entered | Proven:
    """Open a session by the provider's answer, or note a fresh login before a signature.

    Parameters
    ----------
    context
        The program itself.
    provider
        Of the server's configuration.
    started
        What the browser brought back; its state is the answer's, and new.
    code
        Of the answer.

    Raises
    ------
    AuthenticationError
        If the code or its token does not hold, nobody was invited, or the account is disabled or expired.
    ProviderError
        If the provider does not answer.
    """
    person = provider.redeem(code, started=started, now=context.now_utc())
    # Refusals are noted in the trail, so they are raised after the change that notes them.
    with context.store.writing() as writer:
        if started.account_id:
            answer: Entered | Proven | None = _prove(context, writer, person, started)
        else:
            answer = _enter(context, writer, person, started)
    if answer is None:
        raise AuthenticationError(
            expected="an account that was invited and is not disabled",
            given="a login at the identity provider without one",
            where="login",
            action="ask the administrator for an invitation",
        )
    return answer


def spend_proof(context: RecordContext, writer: RecordWriter, *, secret: str) -> None:
    """Use up a fresh login for a signature.

    Parameters
    ----------
    context, writer
        Who signs, within the change that signs.
    secret
        From `finish_login`.

    Raises
    ------
    AuthenticationError
        If it is another person's, used or too old.
    """
    digest = digest_secret(secret)
    token = writer.accounts.find_token(digest)
    if (
        token is None
        or token.purpose is not Purpose.PROOF
        or token.account_id != context.actor.account_id
        or not token.is_live(context.now_utc())
    ):
        raise refuse_login("a fresh login of the signer")
    writer.accounts.remove_tokens(digest=digest)


def invite_again(
    context: RecordContext, *, account_id: str, expected_version: int, reason: str
) -> tuple[Item, str]:
    """Part an account from its password and its person at the provider, and make a new invitation.

    Parameters
    ----------
    context
        Who invites; needs the right ``account.write``.
    account_id, expected_version
        The account as it was seen.
    reason
        Why.

    Raises
    ------
    ConflictError
        If nobody would be left who may change accounts, or the account is disabled.
    """
    require_right(context.actor, "account.write")
    with context.store.writing() as writer:
        account = require_item(writer, kind="account", item_id=account_id)
        credential = writer.accounts.find_credential(account_id=account_id)
        if credential is None or account.values["state"] == "disabled":
            raise ConflictError(
                expected="an account that is not disabled", given="a disabled one", where="account",
                action="make it active before",
            )  # fmt: skip
        account = change_item(
            context, writer, kind="account", item_id=account_id, values={"state": "invited"},
            expected_version=expected_version, reason=reason,
        )  # fmt: skip
        if not list_administrators(writer, now=context.now_utc()):
            raise ConflictError(
                expected="at least one active administrator", given="a change after which there is none",
                where="account", action="invite another administrator before",
            )  # fmt: skip
        if credential.oidc_subject:
            note_event(context, writer, account, action=Action.LINK, reason=f"parted: {reason}")
        writer.accounts.write_credential(
            replace(
                credential,
                password_hash=None,
                oidc_subject=None,
                failures=0,
                barred_until=None,
                changed_at=context.now_utc(),
            )
        )
        writer.accounts.remove_tokens(account_id=account_id)
        secret = open_token(context, writer, account_id, purpose=Purpose.INVITATION, life=INVITATION_LIFE)
        return account, secret


def reopen_for_administrator(context: RecordContext, *, ways: WaysIn) -> str:
    """Return the secret of a link for an administrator where none can come in any more; empty text where one can.

    That is so where the configuration of the provider went, or names another one.

    Parameters
    ----------
    context
        The program itself, at the start of a server.
    ways
        How people of this server may log in.
    """
    now = context.now_utc()
    with context.store.writing() as writer:
        active = list_administrators(writer, now=now)
        for account_id in active:
            credential = writer.accounts.find_credential(account_id=account_id)
            if credential is None:
                continue
            by_password = credential.password_hash and is_password_allowed(writer, credential, ways, now=now)
            if by_password or is_of_issuer(credential.oidc_subject, ways.issuer):
                return ""
        if not active:
            return ""
        account = require_item(writer, kind="account", item_id=active[0])
        note_event(
            context, writer, account, action=Action.CHANGE_PASSWORD, reason="no administrator could log in"
        )
        writer.accounts.remove_tokens(account_id=active[0])
        return open_token(context, writer, active[0], purpose=Purpose.RESET, life=RESET_LIFE)


def _enter(
    context: RecordContext, writer: RecordWriter, person: ProvenPerson, started: StartedLogin
) -> Entered | None:
    key = to_subject_key(person.issuer, person.subject)
    credential = writer.accounts.find_credential(oidc_subject=key)
    if credential is None:
        credential = _link(context, writer, person, started, key=key)
    elif started.link:
        # The person has an account already: the invitation stays for whom it was made.
        account = require_item(writer, kind="account", item_id=credential.account_id)
        note_event(context, writer, account, action=Action.LOGIN_REFUSED, reason=BY_PROVIDER)
        return None
    if credential is None:
        return None
    account = require_item(writer, kind="account", item_id=credential.account_id)
    if not may_enter(account, context.now_utc()):
        note_event(context, writer, account, action=Action.LOGIN_REFUSED, reason=BY_PROVIDER)
        return None
    return enter_account(context, writer, account, credential, reason=BY_PROVIDER)


def _link(
    context: RecordContext, writer: RecordWriter, person: ProvenPerson, started: StartedLogin, *, key: str
) -> Credential | None:
    """Join a person to the account he was invited to, by the invitation's link or by the name of its login."""
    now = context.now_utc()
    if started.link:
        token = writer.accounts.find_token(digest_secret(started.link))
        if token is None or token.purpose is not Purpose.INVITATION or not token.is_live(now):
            return None
        credential = writer.accounts.find_credential(account_id=token.account_id)
    elif person.account_name:
        credential = writer.accounts.find_credential(login=person.account_name)
    else:
        return None
    if credential is None:
        return None
    account = require_item(writer, kind="account", item_id=credential.account_id)
    invited = any(
        token.purpose is Purpose.INVITATION and token.is_live(now)
        for token in writer.accounts.list_tokens(credential.account_id)
    )
    if account.values["state"] != "invited" or not invited or credential.oidc_subject:
        note_event(context, writer, account, action=Action.LOGIN_REFUSED, reason=BY_PROVIDER)
        return None
    expires = account.values.get("expires_date")
    if isinstance(expires, str) and expires < now.date().isoformat():
        note_event(context, writer, account, action=Action.LOGIN_REFUSED, reason=BY_PROVIDER)
        return None
    linked = replace(credential, oidc_subject=key, failures=0, barred_until=None, changed_at=now)
    writer.accounts.remove_tokens(account_id=credential.account_id)
    writer.accounts.write_credential(linked)
    account = change_item(
        context, writer, kind="account", item_id=account.item_id, values={"state": "active"},
        expected_version=account.version, reason="invitation accepted",
    )  # fmt: skip
    note_event(context, writer, account, action=Action.LINK, reason=f"person {key} of the identity provider")
    return linked


def _prove(
    context: RecordContext, writer: RecordWriter, person: ProvenPerson, started: StartedLogin
) -> Proven | None:
    credential = writer.accounts.find_credential(oidc_subject=to_subject_key(person.issuer, person.subject))
    account = require_item(writer, kind="account", item_id=started.account_id)
    is_fresh = (
        person.logged_in_at is not None and person.logged_in_at >= started.started_at - CLOCKS.total_seconds()
    )
    is_same = credential is not None and credential.account_id == started.account_id
    if not (is_fresh and is_same and may_enter(account, context.now_utc())):
        note_event(
            context, writer, account, action=Action.LOGIN_REFUSED, reason=f"{BY_PROVIDER}, before signing"
        )
        return None
    note_event(context, writer, account, action=Action.LOGIN, reason=f"{BY_PROVIDER}, before signing")
    return Proven(secret=open_token(context, writer, account.item_id, purpose=Purpose.PROOF, life=PROOF_LIFE))
