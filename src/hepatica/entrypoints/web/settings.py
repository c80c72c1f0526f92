"""What the server is told once, at its start."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

COOKIE: Final = "hepatica_session"
"""Name of the session's cookie."""
START_COOKIE: Final = "hepatica_login"
"""Name of the cookie of a login that is under way at the identity provider."""
PROOF_COOKIE: Final = "hepatica_proof"
"""Name of the cookie of a fresh login before a signature."""
CSRF_HEADER: Final = "x-hepatica"
"""Header that every change must carry: a page of another origin cannot send it without being asked first."""
BODY_MAX: Final = 1 << 20
"""Largest JSON body, in bytes."""
UPLOAD_MAX: Final = 4 << 30
"""Largest upload of a scan, in bytes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WebSettings:
    """Settings of a server.

    Parameters
    ----------
    hosts
        Host names it answers to; a request for another is refused.
    secure_cookies
        Whether the browser may send the cookie over TLS only; false on the loopback address without TLS.
    version
        Of the program.
    mode
        ``clinical``, ``research`` or ``demo``.
    database
        ``sqlite`` or ``postgresql``; for the health page.
    folder
        Folder whose disk the health page tells of.
    """

    hosts: frozenset[str]
    secure_cookies: bool
    version: str
    mode: str
    database: str = "sqlite"
    folder: Path = Path()
