"""Passwords as Argon2 hashes."""

from __future__ import annotations

from functools import cache
from typing import Any


class ArgonPasswords:
    """Hashes and verifies with the library's recommended cost."""

    def hash_password(self, password: str) -> str:
        """Return a hash with its own salt.

        Parameters
        ----------
        password
            What the person chose.
        """
        return str(_find_hasher().hash(password))

    def matches(self, password: str, hashed: str | None) -> bool:
        """Return whether a password is the one; takes as long where there is none to compare with.

        Parameters
        ----------
        password
            What was typed.
        hashed
            From `hash_password`, or None.
        """
        right = bool(_find_hasher().verify(password, hashed or _find_decoy()))
        return right and hashed is not None


@cache
def _find_hasher() -> Any:
    from pwdlib import PasswordHash

    return PasswordHash.recommended()


@cache
def _find_decoy() -> str:
    """Return a hash of nothing anybody types, so that an unknown login takes as long as a wrong password."""
    import secrets

    return str(_find_hasher().hash(secrets.token_urlsafe(32)))
