"""The identity provider that a server trusts: one file in the record's folder. No request can name an address."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Final, NoReturn
from urllib.parse import urlsplit

from hepatica.core.errors import InputError

FILE: Final = "oidc.toml"
ALGORITHMS: Final = (
    "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA", "Ed25519",
)  # fmt: skip
"""Signatures by a key that only the provider has. Neither ``none`` nor HMAC, whose key would be the client's secret."""
OWN_NAMES: Final = ("127.0.0.1", "localhost", "::1")
SKEW_MOST_S: Final = 300
CALLBACK: Final = "/api/oidc/callback"


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderSettings:
    """One identity provider.

    Parameters
    ----------
    issuer
        Its address exactly as it names itself.
    client_id, client_secret
        Of this server at the provider; without a secret it is a public client, which PKCE protects alone.
    public_url
        Address of this server as browsers see it.
    label
        What people call the provider.
    algorithms
        Signatures of ID tokens that are accepted.
    account_claim
        Claim that must equal the login of an invitation; empty links by the invitation's link only.
    scopes
        What is asked for.
    clock_skew_s
        How far the two clocks may differ.
    local_passwords
        Whether passwords of this server are good.
    secret_in_body
        Whether the secret goes in the body instead of the header; few providers want that.
    ca_file
        Authorities of the provider's certificate; None for the system's.
    timeout_s
        Longest wait for an answer.
    """

    issuer: str
    client_id: str
    public_url: str
    client_secret: str = field(default="", repr=False)
    label: str = "the identity provider"
    algorithms: tuple[str, ...] = ("RS256",)
    account_claim: str = "email"
    scopes: tuple[str, ...] = ("openid", "email", "profile")
    clock_skew_s: int = 60
    local_passwords: bool = True
    secret_in_body: bool = False
    ca_file: Path | None = None
    timeout_s: float = 10.0

    @property
    def callback_url(self) -> str:
        """Where the provider sends the browser back to: never taken from a request."""
        return self.public_url.rstrip("/") + CALLBACK


def read_settings(home: Path, *, environment: Mapping[str, str]) -> ProviderSettings | None:
    """Return the provider of a record's configuration, None where there is no file.

    Parameters
    ----------
    home
        The record's folder.
    environment
        Variables; the secret may be one.

    Raises
    ------
    InputError
        If the file is no such configuration. The message never holds an address or a secret.
    """
    path = home / FILE
    if not path.is_file():
        return None
    try:
        table = tomllib.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as problem:
        raise InputError(expected="a TOML file", given=type(problem).__name__, where=FILE) from problem
    values = dict(table)
    if "client_secret" in values:
        _refuse("client_secret_file or client_secret_variable: secrets do not belong into it", "a secret")
    secret = _read_secret(
        home, values.pop("client_secret_file", None), values.pop("client_secret_variable", None), environment
    )
    known = {one.name for one in fields(ProviderSettings)}
    if unknown := sorted(set(values) - known):
        _refuse("the options that the reference lists", f"also {', '.join(unknown)[:80]}")
    for name in ("issuer", "client_id", "public_url"):
        if not isinstance(values.get(name), str) or not values[name]:
            _refuse(f"'{name}'", "none")
    _check_types(values)
    for name in ("algorithms", "scopes"):
        if name in values:
            values[name] = tuple(values[name])
    if "ca_file" in values:
        values["ca_file"] = home / values["ca_file"]
        if not values["ca_file"].is_file():
            _refuse("a ca_file that can be read", "none")
    settings = ProviderSettings(**values, client_secret=secret)
    _check(settings)
    return settings


def check_address(address: Any, *, what: str) -> str:
    """Return an address that may be spoken to.

    Parameters
    ----------
    address
        What was given.
    what
        What it is, for the message.

    Raises
    ------
    InputError
        If it is no https address; http is for this machine only.
    """
    try:
        parts = urlsplit(address if isinstance(address, str) else "")
        host, port = parts.hostname, parts.port
    except ValueError:
        _refuse(f"an address as {what}", "another text")
    own = host in OWN_NAMES
    if not host or port == 0 or not (parts.scheme == "https" or (parts.scheme == "http" and own)):
        _refuse(f"a {what} that begins with https:// (http:// on this machine only)", "another")
    if parts.username is not None or parts.fragment or re.search(r"[\s\\]", address):
        _refuse(f"a {what} without user and fragment", "another")
    return str(address)


def _read_secret(home: Path, file: Any, variable: Any, environment: Mapping[str, str]) -> str:
    if file is not None and variable is not None:
        _refuse("client_secret_file or client_secret_variable", "both")
    if variable is not None:
        secret = environment.get(str(variable), "")
    elif file is not None:
        try:
            secret = (home / str(file)).read_text("utf-8").strip()
        except (OSError, ValueError):
            _refuse("a client_secret_file that can be read", "none")
    else:
        return ""
    if not secret:
        _refuse("a client secret where the configuration says", "an empty one")
    return secret


def _check_types(values: Mapping[str, Any]) -> None:
    for name in ("label", "account_claim", "ca_file"):
        if name in values and (not isinstance(values[name], str) or len(values[name]) > 200):
            _refuse(f"a text as {name}", "another")
    for name in ("local_passwords", "secret_in_body"):
        if name in values and not isinstance(values[name], bool):
            _refuse(f"{name} true or false", "another")
    for name in ("algorithms", "scopes"):
        listed = values.get(name, [])
        if not isinstance(listed, list) or not all(isinstance(one, str) for one in listed):
            _refuse(f"a list of texts as {name}", "another")
    for name, most in (("clock_skew_s", SKEW_MOST_S), ("timeout_s", 60)):
        number = values.get(name, 1)
        if isinstance(number, bool) or not isinstance(number, (int, float)) or not 0 <= number <= most:
            _refuse(f"{name} from 0 to {most}", "another")
    if values.get("timeout_s", 1) == 0 or not isinstance(values.get("clock_skew_s", 1), int):
        _refuse("timeout_s above 0 and clock_skew_s in whole seconds", "others")


def _check(settings: ProviderSettings) -> None:
    for what, address in (("issuer", settings.issuer), ("public_url", settings.public_url)):
        check_address(address, what=what)
        if "?" in address:
            _refuse(f"an {what} without a query", "another")
    if urlsplit(settings.public_url).path not in ("", "/"):
        _refuse("a public_url without a path: the pages are served at the root", "another")
    if not settings.algorithms or not set(settings.algorithms) <= set(ALGORITHMS):
        _refuse(f"algorithms of {', '.join(ALGORITHMS)}", "another, or none")
    if "openid" not in settings.scopes:
        _refuse("scopes with 'openid'", "others")


def _refuse(expected: str, given: str) -> NoReturn:
    raise InputError(expected=expected, given=given, where=FILE)
