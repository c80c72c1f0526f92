"""What logging in by an identity provider needs from the world."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol

from hepatica.record.provider_login import ProvenPerson, StartedLogin, WaysIn


class IdentityProvider(Protocol):
    """The identity provider that the server's configuration names."""

    @property
    def label(self) -> str:
        """What people call it."""

    @property
    def ways(self) -> WaysIn:
        """How people of this server may log in."""

    def make_address(self, started: StartedLogin, *, fresh: bool = False) -> str:
        """Return the address at the provider to which the browser goes.

        ``fresh`` asks for a login there now, whoever is logged in already.
        """

    def redeem(self, code: str, *, started: StartedLogin, now: datetime) -> ProvenPerson:
        """Exchange a code for an ID token and check it; refuses with `AuthenticationError` or `ProviderError`."""

    def is_own_answer(self, issuer: str) -> bool:
        """Return whether the issuer that an answer names (RFC 9207) is this one; empty where it names none."""

    def make_end_address(self) -> str:
        """Return where the browser may end the provider's own session, or empty text."""
