"""OpenID Connect, authorization code with PKCE: the provider's description, its keys, its tokens."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from urllib.parse import urlencode

from hepatica.adapters.oidc.id_token import check_id_token, find_key_id, read_keys
from hepatica.adapters.oidc.provider_session import open_session, speaking
from hepatica.adapters.oidc.settings import ProviderSettings, check_address
from hepatica.core.errors import AuthenticationError, InputError, ProviderError
from hepatica.record.provider_login import ProvenPerson, StartedLogin, WaysIn

KEEP_S: Final = 3600.0
"""How long the provider's description and keys are believed without asking again."""
AGAIN_S: Final = 10.0
"""Least time between two looks for a key that was not there: tokens with made-up keys must not cause a storm."""
CODE_MOST: Final = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class Description:
    """What the provider says of itself."""

    authorization: str
    token: str
    keys: str
    end: str
    names_itself: bool
    """Whether every answer carries the issuer (RFC 9207)."""


class OidcProvider:
    """The identity provider of a server.

    Parameters
    ----------
    settings
        From the server's configuration.
    clock
        Seconds that only rise, for what is kept.
    """

    def __init__(self, settings: ProviderSettings, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._settings = settings
        self._clock = clock
        self._lock = threading.Lock()
        self._description: tuple[float, Description] | None = None
        self._keys: tuple[float, Any] | None = None

    @property
    def label(self) -> str:
        """What people call it."""
        return self._settings.label

    @property
    def ways(self) -> WaysIn:
        """How people of this server may log in."""
        return WaysIn(passwords=self._settings.local_passwords, issuer=self._settings.issuer)

    def make_address(self, started: StartedLogin, *, fresh: bool = False) -> str:
        """Return the address at the provider to which the browser goes.

        Parameters
        ----------
        started
            Its fresh secrets.
        fresh
            Whether a login there must happen now.
        """
        more: dict[str, str] = {"prompt": "login", "max_age": "0"} if fresh else {}
        description = self._describe()
        with speaking("beginning of a login"), open_session(self._settings) as session:
            address, _ = session.create_authorization_url(
                description.authorization,
                state=started.state,
                code_verifier=started.verifier,
                nonce=started.nonce,
                **more,
            )
        return str(address)

    def redeem(self, code: str, *, started: StartedLogin, now: datetime) -> ProvenPerson:
        """Exchange a code for an ID token, and check that.

        Parameters
        ----------
        code
            From the provider's answer.
        started
            The login it belongs to.
        now
            Time in UTC.

        Raises
        ------
        AuthenticationError
            If the provider does not take the code, or the token is not one for this login.
        ProviderError
            If the provider does not answer as one.
        """
        token = self._fetch_token(code, started)
        key_id = find_key_id(token)
        keys = self._find_keys(key_id)
        return check_id_token(token, keys, settings=self._settings, nonce=started.nonce, now=now)

    def is_own_answer(self, issuer: str) -> bool:
        """Return whether the issuer that an answer names is this one.

        Parameters
        ----------
        issuer
            From the answer; empty where it names none.
        """
        return issuer == self._settings.issuer or (not issuer and not self._describe().names_itself)

    def make_end_address(self) -> str:
        """Return where the browser may end the provider's own session; empty where it offers that not, or is down."""
        try:
            end = self._describe().end
        except ProviderError:
            return ""
        back = {"client_id": self._settings.client_id, "post_logout_redirect_uri": self._settings.public_url}
        return f"{end}{'&' if '?' in end else '?'}{urlencode(back)}" if end else ""

    def _fetch_token(self, code: str, started: StartedLogin) -> str:
        from authlib.integrations.base_client import OAuthError

        if not code or len(code) > CODE_MOST or not code.isascii() or not code.isprintable():
            raise _refuse("a code of the provider")
        address = self._describe().token
        with speaking("exchange of the code"), open_session(self._settings) as session:
            try:
                answer = session.fetch_token(
                    address, grant_type="authorization_code", code=code, code_verifier=started.verifier
                )
            except OAuthError as problem:
                if problem.error == "invalid_grant":
                    raise _refuse("a code that the provider takes") from None
                raise ProviderError(
                    expected="an ID token for a code",
                    given=_to_word(problem.error),
                    where="identity provider, exchange of the code",
                    action="the administrator compares client, secret and redirect address with the provider's",
                ) from None
        token = answer.get("id_token")
        if not isinstance(token, str):
            raise ProviderError(
                expected="an ID token", given="an answer without one", where="identity provider",
                action="the administrator sees that the provider knows this client for OpenID Connect",
            )  # fmt: skip
        return token

    def _describe(self) -> Description:
        with self._lock:
            kept = self._description
        if kept is not None and self._clock() - kept[0] < KEEP_S:
            return kept[1]
        address = self._settings.issuer.rstrip("/") + "/.well-known/openid-configuration"
        document = self._read(address, doing="its description")
        if document.get("issuer") != self._settings.issuer:
            raise ProviderError(
                expected="the issuer that the configuration names, letter by letter", given="another one",
                where="identity provider, its description",
            )  # fmt: skip
        try:
            description = Description(
                authorization=check_address(document.get("authorization_endpoint"), what="login address"),
                token=check_address(document.get("token_endpoint"), what="token address"),
                keys=check_address(document.get("jwks_uri"), what="address of keys"),
                end=check_address(document["end_session_endpoint"], what="end address")
                if document.get("end_session_endpoint")
                else "",
                names_itself=document.get("authorization_response_iss_parameter_supported") is True,
            )
        except InputError as problem:
            raise ProviderError(
                expected=problem.expected, given=problem.given, where="identity provider, its description"
            ) from None
        with self._lock:
            self._description = (self._clock(), description)
        return description

    def _find_keys(self, key_id: str) -> Any:
        """Return the provider's keys; look again where one is not among them, as keys are changed."""
        with self._lock:
            kept = self._keys
        age = self._clock() - kept[0] if kept else KEEP_S
        known = kept is not None and any(key.kid == key_id for key in kept[1].keys)
        if kept is not None and (age < AGAIN_S or (known and age < KEEP_S)):
            return kept[1]
        document = self._read(self._describe().keys, doing="its keys")
        with speaking("its keys"):
            keys = read_keys(document)
        with self._lock:
            self._keys = (self._clock(), keys)
        return keys

    def _read(self, address: str, *, doing: str) -> Mapping[str, Any]:
        with speaking(doing), open_session(self._settings) as session:
            answer = session.get(address, withhold_token=True, headers={"accept": "application/json"})
            document = answer.json() if answer.status_code == 200 else None
        if not isinstance(document, dict):
            raise ProviderError(
                expected="a JSON document of the identity provider",
                given=f"status {answer.status_code}",
                where=f"identity provider, {doing}",
            )
        return document


def _to_word(error: Any) -> str:
    """Return an error code of RFC 6749 as it is, anything else not."""
    known = {
        "invalid_request",
        "invalid_client",
        "unauthorized_client",
        "unsupported_grant_type",
        "invalid_scope",
    }
    return str(error) if error in known else "another refusal"


def _refuse(expected: str) -> AuthenticationError:
    return AuthenticationError(
        expected=expected, given="something that does not hold", where="login", action="log in again"
    )
