"""Rules of logging in by an identity provider (OpenID Connect): what a started login holds, who may use a password."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Final

from hepatica.core.errors import AuthenticationError
from hepatica.record.sign_in import Credential

START_LIFE: Final = timedelta(minutes=10)
"""A person has this long at the provider: a password, a second factor, and a telephone call about both."""
PROOF_LIFE: Final = timedelta(minutes=5)
"""A fresh login counts this long before a signature."""
STARTED_MOST: Final = 2048
"""Characters of a started login; nothing that this program seals is longer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WaysIn:
    """How people of a server may log in.

    Parameters
    ----------
    passwords
        Whether every account may use its password.
    issuer
        The identity provider; empty where there is none.
    """

    passwords: bool = True
    issuer: str = ""


PASSWORDS: Final = WaysIn()
"""A server without an identity provider."""


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class StartedLogin:
    """What a login that went to the provider must come back to. Kept by the browser, sealed by the server.

    Parameters
    ----------
    state, nonce, verifier
        Fresh secrets: they bind the answer, the ID token and the code to this browser.
    started_at
        Seconds since 1970, UTC.
    link
        Secret of the invitation that is being accepted; empty for a login.
    account_id
        Who proves once more who he is, before he signs; empty for a login.
    """

    state: str
    nonce: str
    verifier: str
    started_at: int
    link: str = ""
    account_id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class ProvenPerson:
    """Who the provider says somebody is, after every check.

    Parameters
    ----------
    issuer, subject
        Together they name one person for ever.
    account_name
        The claim that an invitation's login is compared with; empty where there is none to trust.
    logged_in_at
        Seconds since 1970 of the login at the provider, None where it does not say.
    """

    issuer: str
    subject: str
    account_name: str = ""
    logged_in_at: int | None = None


def to_subject_key(issuer: str, subject: str) -> str:
    """Return what is kept of a person at a provider: digests, the provider's part first.

    Parameters
    ----------
    issuer, subject
        As in the ID token.

    Examples
    --------
    >>> one, other = to_subject_key("https://a", "7"), to_subject_key("https://b", "7")
    >>> len(one), one == other, is_of_issuer(one, "https://a"), is_of_issuer(one, "https://b")
    (81, False, True, False)
    """
    whole = hashlib.sha256(json.dumps([issuer, subject]).encode()).hexdigest()
    return f"{_to_issuer_key(issuer)}:{whole}"


def is_of_issuer(subject_key: str | None, issuer: str) -> bool:
    """Return whether a kept subject is one of this provider's.

    Parameters
    ----------
    subject_key
        From `to_subject_key`, or None.
    issuer
        The provider; empty for none.
    """
    return bool(issuer and subject_key) and str(subject_key).startswith(f"{_to_issuer_key(issuer)}:")


def may_use_password(credential: Credential, ways: WaysIn, *, administrators: Iterable[Credential]) -> bool:
    """Return whether a password is looked at.

    Where passwords are switched off, those of administrators still count as long as no administrator
    can come in by the provider: a server that nobody can administer would stay so.

    Parameters
    ----------
    credential
        Whose.
    ways
        Of the server.
    administrators
        Of every administrator who is active and not expired, and of those invited.

    Examples
    --------
    >>> from datetime import UTC
    >>> boss = Credential(account_id="u1", login="b", password_hash="x", changed_at=datetime(2026, 1, 2, tzinfo=UTC))
    >>> ways = WaysIn(passwords=False, issuer="https://a")
    >>> may_use_password(boss, ways, administrators=[boss]), may_use_password(boss, ways, administrators=[])
    (True, False)
    """
    if ways.passwords:
        return True
    known = list(administrators)
    linked = any(is_of_issuer(one.oidc_subject, ways.issuer) for one in known)
    return not linked and any(one.account_id == credential.account_id for one in known)


def seal_started(started: StartedLogin, *, key: bytes) -> str:
    """Return a started login as text for the browser to keep.

    Parameters
    ----------
    started
        The login.
    key
        The server's own, of this run.
    """
    body = base64.urlsafe_b64encode(json.dumps(asdict(started)).encode()).decode()
    return f"{body}.{_mark(body, key)}"


def open_started(text: str, *, key: bytes, now: datetime) -> StartedLogin:
    """Return the login that a browser kept.

    Parameters
    ----------
    text
        From `seal_started`.
    key
        The same key.
    now
        Time in UTC.

    Raises
    ------
    AuthenticationError
        If it is another text, was sealed by another server, or is too old.

    Examples
    --------
    >>> from datetime import UTC
    >>> started = StartedLogin(state="s", nonce="n", verifier="v", started_at=1_767_225_600)
    >>> text = seal_started(started, key=bytes(32))
    >>> open_started(text, key=bytes(32), now=datetime(2026, 1, 1, 0, 5, tzinfo=UTC)) == started
    True
    >>> open_started(text, key=bytes(32), now=datetime(2026, 1, 1, 0, 11, tzinfo=UTC))
    Traceback (most recent call last):
    hepatica.core.errors.AuthenticationError: expected a login that this browser began...
    """
    body, _, mark = text.partition(".")
    if len(text) <= STARTED_MOST and hmac.compare_digest(mark.encode(), _mark(body, key).encode()):
        try:
            started = StartedLogin(**json.loads(base64.urlsafe_b64decode(body)))
        except (ValueError, TypeError, binascii.Error) as problem:
            raise _refuse() from problem
        if 0 <= now.timestamp() - started.started_at < START_LIFE.total_seconds():
            return started
    raise _refuse()


def _mark(body: str, key: bytes) -> str:
    return hmac.new(key, body.encode(), hashlib.sha256).hexdigest()


def _to_issuer_key(issuer: str) -> str:
    return hashlib.sha256(issuer.encode()).hexdigest()[:16]


def _refuse() -> AuthenticationError:
    return AuthenticationError(
        expected="a login that this browser began a short while ago",
        given="another one, or none",
        where="login",
        action="log in again",
    )
