"""Speak to the identity provider: to the configured addresses only, without redirects, for a limited time."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from authlib.integrations.requests_client import OAuth2Session
from requests import Response
from requests.adapters import HTTPAdapter

from hepatica.adapters.oidc.settings import ProviderSettings
from hepatica.core.errors import HepaticaError, ProviderError

ANSWER_MOST: Final = 1 << 20
"""Bytes. A provider's description and keys are a few thousand."""
_SPEAKERS: Final = ("urllib3", "requests", "authlib", "joserfc")


class LimitedAdapter(HTTPAdapter):
    """Reads an answer whole, up to a size and within a time.

    Parameters
    ----------
    within_s
        Longest time for the whole answer; the library's own limit is for each piece of it.
    """

    def __init__(self, *, within_s: float) -> None:
        self._within_s = within_s
        super().__init__(max_retries=0)

    def send(self, request: Any, *args: Any, **kwargs: Any) -> Response:
        """Send a request."""
        kwargs["stream"] = True
        ends = time.monotonic() + self._within_s
        answer = super().send(request, *args, **kwargs)
        taken = bytearray()
        for piece in answer.iter_content(1 << 14):
            taken += piece
            if len(taken) > ANSWER_MOST or time.monotonic() > ends:
                answer.close()
                raise ValueError("an answer that is too long")
        answer._content = bytes(taken)
        return answer


class ProviderSession(OAuth2Session):  # type: ignore[misc]  # the library has no types
    """A client of the provider that follows no redirect and asks no proxy or password file of the environment."""

    def request(self, method: str, url: str, *args: Any, **kwargs: Any) -> Response:
        """Send one request."""
        kwargs["allow_redirects"] = False
        answer: Response = super().request(method, url, *args, **kwargs)
        return answer


def open_session(settings: ProviderSettings) -> ProviderSession:
    """Return a client; close it after use.

    Parameters
    ----------
    settings
        From the server's configuration.
    """
    placed = "client_secret_post" if settings.secret_in_body else "client_secret_basic"
    session = ProviderSession(
        client_id=settings.client_id,
        client_secret=settings.client_secret or None,
        token_endpoint_auth_method=placed if settings.client_secret else "none",
        scope=" ".join(settings.scopes),
        redirect_uri=settings.callback_url,
        code_challenge_method="S256",
        default_timeout=settings.timeout_s,
    )
    session.trust_env = False
    session.verify = str(settings.ca_file) if settings.ca_file else True
    for scheme in ("https://", "http://"):
        session.mount(scheme, LimitedAdapter(within_s=settings.timeout_s))
    return session


@contextmanager
def speaking(doing: str) -> Iterator[None]:
    """Turn whatever the libraries raise inside the block into `ProviderError`, and keep their logs silent.

    Their messages quote addresses, codes and tokens.

    Parameters
    ----------
    doing
        What was tried.
    """
    for speaker in _SPEAKERS:
        logging.getLogger(speaker).setLevel(logging.CRITICAL + 1)
    try:
        yield
    except HepaticaError:
        raise
    except Exception as problem:  # noqa: BLE001  whatever it is, its text must not be shown
        raise ProviderError(
            expected="an answer of the identity provider",
            given=type(problem).__name__,
            where=f"identity provider, {doing}",
            action="try again; if it stays, the administrator sees whether the provider answers",
        ) from None
