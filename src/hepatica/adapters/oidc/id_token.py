"""Check an ID token: signature by the provider's keys, issuer, audience, times, nonce (OpenID Connect Core 3.1.3.7)."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from joserfc import jwt
from joserfc.jwk import KeySet

from hepatica.adapters.oidc.settings import ProviderSettings
from hepatica.core.errors import AuthenticationError
from hepatica.record.provider_login import ProvenPerson

TOKEN_MOST: Final = 1 << 16
SUBJECT_MOST: Final = 255
"""Characters: OpenID Connect Core, section 2."""
ASYMMETRIC: Final = ("RSA", "EC", "OKP")


def read_keys(document: Mapping[str, Any]) -> KeySet:
    """Return the keys of a provider that may sign.

    Parameters
    ----------
    document
        JSON Web Key Set. Secret and encryption keys, and those of kinds that are not known, are left out.

    Raises
    ------
    ValueError
        If no key is left.
    """
    listed = document.get("keys")
    keys = []
    for key in listed if isinstance(listed, list) else []:
        if isinstance(key, dict) and key.get("kty") in ASYMMETRIC and key.get("use", "sig") == "sig":
            try:
                keys.extend(KeySet.import_key_set({"keys": [key]}).keys)
            except Exception:  # noqa: BLE001  a key of a curve that is not known does no harm
                continue
    if not keys:
        raise ValueError("no key")
    return KeySet(keys)


def find_key_id(token: str) -> str:
    """Return the key that a token says it is signed with, empty text where it does not say.

    Parameters
    ----------
    token
        Compact form; nothing of it is believed yet.
    """
    head = token.partition(".")[0]
    try:
        header = json.loads(base64.urlsafe_b64decode(head + "=" * (-len(head) % 4)))
    except (ValueError, binascii.Error):
        return ""
    found = header.get("kid") if isinstance(header, dict) else None
    return found if isinstance(found, str) else ""


def check_id_token(
    token: str, keys: KeySet, *, settings: ProviderSettings, nonce: str, now: datetime
) -> ProvenPerson:
    """Return who an ID token names.

    Parameters
    ----------
    token
        Compact form.
    keys
        The provider's.
    settings
        Issuer, client, algorithms, clock skew, claim of the account's name.
    nonce
        Of this login.
    now
        Time in UTC.

    Raises
    ------
    AuthenticationError
        For any reason; it never says which.
    """
    try:
        claims = _read_claims(token, keys, settings=settings, nonce=nonce, now=now)
    except Exception as problem:  # noqa: BLE001  messages of the library quote what the token holds
        raise AuthenticationError(
            expected="an ID token of this provider, for this server and this login",
            given="another one",
            where="login",
            action="log in again; if it stays, the administrator compares the provider's settings and both clocks",
        ) from (problem if isinstance(problem, AuthenticationError) else None)
    logged_in_at: Any = claims.get("auth_time")
    return ProvenPerson(
        issuer=claims["iss"],
        subject=claims["sub"],
        account_name=_find_account_name(claims, settings.account_claim),
        logged_in_at=int(logged_in_at) if _is_number(logged_in_at) else None,
    )


def _read_claims(
    token: str, keys: KeySet, *, settings: ProviderSettings, nonce: str, now: datetime
) -> dict[str, Any]:
    if len(token) > TOKEN_MOST or token.count(".") != 2:
        raise ValueError("no signed token")
    read = jwt.decode(token, keys, algorithms=list(settings.algorithms))
    claims = dict(read.claims)
    registry = jwt.JWTClaimsRegistry(
        now=int(now.timestamp()),
        leeway=settings.clock_skew_s,
        iss={"essential": True, "value": settings.issuer},
        aud={"essential": True, "value": settings.client_id},
        sub={"essential": True},
        exp={"essential": True},
        iat={"essential": True},
        nonce={"essential": True, "value": nonce},
    )
    registry.validate(claims)
    audience = claims["aud"]
    party = claims.get("azp")
    # A token for several, or handed to another client, is not one for this server alone.
    if (isinstance(audience, list) and set(audience) != {settings.client_id} and party is None) or (
        party is not None and party != settings.client_id
    ):
        raise ValueError("a token of another client")
    if not 0 < len(claims["sub"]) <= SUBJECT_MOST:
        raise ValueError("no subject")
    return claims


def _find_account_name(claims: Mapping[str, Any], claim: str) -> str:
    """Return the claim an invitation is compared with; an address counts only where the provider has verified it."""
    value = claims.get(claim) if claim else None
    if claim == "email" and claims.get("email_verified") not in (True, "true"):
        return ""
    return value.strip().casefold() if isinstance(value, str) and len(value) <= 200 else ""


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < 1e12
