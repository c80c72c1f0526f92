"""What stands before every route: hosts, sizes, request numbers, protection against other sites' pages, headers."""

from __future__ import annotations

import json
import logging
import time
from typing import Any, Final

from starlette.datastructures import Headers, MutableHeaders

from hepatica.entrypoints.web.settings import BODY_MAX, CSRF_HEADER, UPLOAD_MAX, WebSettings
from hepatica.record.sign_in import make_secret

SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})
POLICY: Final = (
    "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self'; img-src 'self' data: blob:; "
    "font-src 'self'; connect-src 'self'; worker-src 'self' blob:; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'none'; frame-src 'self'"
)
HEADERS: Final = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), microphone=(), geolocation=()",
    "cache-control": "no-store",
}
LOG: Final = logging.getLogger("hepatica.web")


class Guard:
    """Pure ASGI middleware.

    Parameters
    ----------
    app
        What it stands before.
    settings
        Of the server.
    """

    def __init__(self, app: Any, *, settings: WebSettings) -> None:
        self.app = app
        self.settings = settings

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer or pass on one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        started = time.perf_counter()
        request_id = make_secret()[:16]
        scope.setdefault("state", {})["request_id"] = request_id
        status = 0

        async def send_guarded(message: Any) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(raw=message["headers"])
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
                headers["x-request-id"] = request_id
            await send(message)

        headers = Headers(raw=scope["headers"])
        problem = self._find_problem(scope, headers)
        if problem:
            await _refuse(send_guarded, *problem)
        else:
            await self.app(scope, _limit(receive, self._find_limit(scope, headers)), send_guarded)
        # The route's pattern, not the path: a path may hold a number that is somebody's.
        route = getattr(scope.get("route"), "path", "-")
        LOG.info(
            json.dumps(
                {
                    "request": request_id,
                    "method": scope["method"],
                    "route": route,
                    "status": status,
                    "ms": round((time.perf_counter() - started) * 1000, 1),
                }
            )
        )

    def _find_problem(self, scope: Any, headers: Headers) -> tuple[int, str, str] | None:
        host = headers.get("host", "").rsplit(":", 1)[0].strip("[]").casefold()
        if host not in self.settings.hosts:
            return 421, "host", "a host name this server answers to"
        if "\x00" in scope["path"] or b"%00" in scope["query_string"]:
            # Databases take it for the end of a text, or refuse it.
            return 400, "input", "an address without NUL"
        length = headers.get("content-length", "0")
        if not length.isdigit():
            return 400, "input", "a length that is a number"
        if int(length) > self._find_limit(scope, headers):
            return 413, "too_large", "a smaller body"
        if scope["method"] in SAFE:
            return None
        origin = headers.get("origin")
        if origin is not None and origin.rsplit("//", 1)[-1].casefold() != headers.get("host", "").casefold():
            return 403, "forbidden", "a request from this server's own pages"
        if headers.get(CSRF_HEADER) is None:
            return 403, "forbidden", f"the header {CSRF_HEADER}, which only this server's own pages send"
        return None

    @staticmethod
    def _find_limit(scope: Any, headers: Headers) -> int:
        is_upload = scope["path"].endswith("/upload") and not headers.get("content-type", "").startswith(
            "application/json"
        )
        return UPLOAD_MAX if is_upload else BODY_MAX


def _limit(receive: Any, most: int) -> Any:
    """Count the body as it comes: its length need not be announced, or not truly."""
    taken = 0

    async def receive_counted() -> Any:
        nonlocal taken
        message = await receive()
        if message["type"] == "http.request":
            taken += len(message.get("body", b""))
            if taken > most:
                return {"type": "http.disconnect"}
        return message

    return receive_counted


async def _refuse(send: Any, status: int, code: str, expected: str) -> None:
    body = json.dumps(
        {
            "type": f"urn:hepatica:{code}",
            "title": code.replace("_", " "),
            "status": status,
            "code": code,
            "detail": f"expected {expected}",
            "expected": expected,
        }
    ).encode()
    await send(
        {
            "type": "http.response.start",
            "status": status,
            "headers": [
                (b"content-type", b"application/problem+json"),
                (b"content-length", str(len(body)).encode()),
            ],
        }
    )
    await send({"type": "http.response.body", "body": body})
