"""Rules of logging in: how long a session lasts, when guesses are slowed, which passwords are refused."""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

IDLE: Final = timedelta(minutes=30)
"""A session ends this long after the last request."""
SESSION_LIFE: Final = timedelta(hours=12)
"""A session ends this long after the login, whatever happens: one working day."""
INVITATION_LIFE: Final = timedelta(days=7)
RESET_LIFE: Final = timedelta(hours=24)
FREE_FAILURES: Final = 4
"""Wrong passwords in a row before waiting begins: NIST SP 800-63B asks for a limit, not for a number."""
FIRST_BAR: Final = timedelta(seconds=30)
LONGEST_BAR: Final = timedelta(hours=1)
PASSWORD_LEAST: Final = 12
"""Characters. Above the 8 that NIST SP 800-63B asks for at least, without rules about kinds of characters."""
PASSWORD_MOST: Final = 256
"""Characters; hashing a very long text would let anybody keep the server busy."""
COMMON: Final = ("password", "hepatica", "qwertz", "qwerty", "12345678", "letmein", "welcome")


class Purpose(StrEnum):
    """What a token is good for."""

    SESSION = "session"
    INVITATION = "invitation"
    RESET = "reset"
    PROOF = "proof"
    """A fresh login at the identity provider, good for one signature."""


SETS_PASSWORD: Final = (Purpose.INVITATION, Purpose.RESET)
"""Links with which a person may choose a password."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Credential:
    """How an account shows who it is.

    Parameters
    ----------
    account_id, login
        The account; its login in small letters.
    password_hash
        Argon2 hash, None while invited or where login is by OIDC only.
    oidc_subject
        Digest of issuer and subject of an identity provider, or None.
    failures
        Wrong passwords in a row.
    barred_until
        No password is looked at before.
    changed_at
        When the password was set; older sessions are closed.
    """

    account_id: str
    login: str
    password_hash: str | None
    oidc_subject: str | None = None
    failures: int = 0
    barred_until: datetime | None = None
    changed_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """A session, an invitation or a password reset. The secret itself is never kept.

    Parameters
    ----------
    digest
        SHA-256 of the secret.
    account_id
        Whose.
    purpose
        What it is good for.
    created_at, seen_at, expires_at
        Times in UTC.
    """

    digest: str
    account_id: str
    purpose: Purpose
    created_at: datetime
    seen_at: datetime
    expires_at: datetime

    def is_live(self, now: datetime) -> bool:
        """Return whether it may still be used.

        Parameters
        ----------
        now
            Time in UTC.
        """
        idle = self.purpose is Purpose.SESSION and now - self.seen_at > IDLE
        return now < self.expires_at and not idle


def make_secret() -> str:
    """Return a new secret of 256 bits."""
    return secrets.token_urlsafe(32)


def digest_secret(secret: str) -> str:
    """Return what is kept of a secret.

    Parameters
    ----------
    secret
        From `make_secret`.
    """
    return hashlib.sha256(secret.encode()).hexdigest()


def derive_bar(failures: int) -> timedelta:
    """Return how long no password is looked at after a number of wrong ones in a row.

    Parameters
    ----------
    failures
        Wrong passwords in a row, this one included.

    Examples
    --------
    >>> [derive_bar(n).total_seconds() for n in (4, 5, 6, 7, 30)]
    [0.0, 30.0, 60.0, 120.0, 3600.0]
    """
    if failures <= FREE_FAILURES:
        return timedelta(0)
    doublings = min(failures - FREE_FAILURES - 1, 20)
    return min(FIRST_BAR * (1 << doublings), LONGEST_BAR)


def check_password(password: str, *, login: str) -> str:
    """Return what is wrong with a new password, or empty text.

    Parameters
    ----------
    password
        What the person chose.
    login
        Whose.

    Examples
    --------
    >>> check_password("short", login="a")
    'at least 12 characters'
    >>> check_password("a long sentence is good", login="a.b")
    ''
    """
    if len(password) < PASSWORD_LEAST:
        return f"at least {PASSWORD_LEAST} characters"
    if len(password) > PASSWORD_MOST:
        return f"at most {PASSWORD_MOST} characters"
    folded = password.casefold()
    if login and login.casefold() in folded:
        return "a password without the login in it"
    if len(set(folded)) < 5 or any(word in folded and len(folded) < len(word) + 6 for word in COMMON):
        return "a password that is not easily guessed"
    return ""
