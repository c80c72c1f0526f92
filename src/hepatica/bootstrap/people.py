"""Who says who people are."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from hepatica.core.errors import InputError, ProviderError

if TYPE_CHECKING:
    from hepatica.workflows.provider_ports import IdentityProvider


def make_identity_provider(
    home: Path, *, hosts: Collection[str], environment: Mapping[str, str] | None = None
) -> IdentityProvider | None:
    """Return the identity provider that a record's folder configures, or None.

    Parameters
    ----------
    home
        The record's folder.
    hosts
        Names that the server answers to.
    environment
        Variables; None for this process's.

    Raises
    ------
    InputError
        If the configuration is none, or the browser could not come back.
    ProviderError
        If what speaks to a provider is not installed.
    """
    from hepatica.adapters.oidc.settings import read_settings

    settings = read_settings(home, environment=os.environ if environment is None else environment)
    if settings is None:
        return None
    missing = [name for name in ("authlib", "joserfc") if find_spec(name) is None]
    if missing:
        raise ProviderError(
            expected="authlib and joserfc beside Hepatica",
            given=f"an installation without {' and '.join(missing)}",
            where="oidc.toml",
            action="install 'hepatica[oidc]', or remove oidc.toml",
        )
    if (urlsplit(settings.public_url).hostname or "").casefold() not in hosts:
        raise InputError(
            expected="a public_url of a host name that this server answers to",
            given="another one",
            where="oidc.toml",
            action="give that name with --host-name",
        )
    from hepatica.adapters.oidc.provider import OidcProvider

    return OidcProvider(settings)
