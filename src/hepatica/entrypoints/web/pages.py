"""The built pages, or one plain page where they are not built."""

from __future__ import annotations

import stat
from importlib import resources
from pathlib import Path
from typing import Any, Final

from fastapi.responses import HTMLResponse
from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.staticfiles import StaticFiles

PLAIN: Final = """<!doctype html>
<html lang="en"><meta charset="utf-8"><title>Hepatica</title>
<h1>Hepatica is running</h1>
<p>The pages are not built in this installation. The interface is described in
<a href="/api/openapi.json">/api/openapi.json</a>.</p>
<p>Research use, not a medical device.</p></html>
"""
HASHED: Final = "assets/"
"""Files in here have the digest of their bytes in their name: they never change."""
FOR_EVER: Final = "public, max-age=31536000, immutable"
ASK_AGAIN: Final = "no-cache"
PACKED: Final = ".gz"


def find_pages() -> Path:
    """Return the folder of the built front end; it may not be there."""
    return Path(str(resources.files("hepatica.resources"))) / "web"


class PageFiles(StaticFiles):
    """The built files: packed where the browser takes that, kept by it where their name is their digest."""

    async def get_response(self, path: str, scope: Any) -> Response:
        """Return a file, or its packed sibling that the build left beside it."""
        accepted = Headers(scope=scope).get("accept-encoding", "")
        takes = {
            part.partition(";")[0].strip()
            for part in accepted.split(",")
            if "q=0" not in part.replace(" ", "")
        }
        packed, found = self.lookup_path(path + PACKED) if "gzip" in takes else ("", None)
        if found is not None and stat.S_ISREG(found.st_mode) and not path.endswith(PACKED):
            response = self.file_response(packed, found, scope)
            plain = Path(path).suffix
            response.headers["content-encoding"] = "gzip"
            response.headers["content-type"] = TYPES.get(plain, "application/octet-stream")
        else:
            response = await super().get_response(path, scope)
        response.headers["vary"] = "accept-encoding"
        response.headers["cache-control"] = (
            FOR_EVER if path.startswith(HASHED) and response.status_code in (200, 206, 304) else ASK_AGAIN
        )
        return response


TYPES: Final = {
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".svg": "image/svg+xml",
    ".json": "application/json",
    ".wasm": "application/wasm",
    ".map": "application/json",
    ".woff2": "font/woff2",
}
"""Of the files that the build packs; the packed ones do not tell it by their own ending."""


def add_pages(app: Any, folder: Path) -> None:
    """Serve the pages at the root, behind every route of the interface.

    Parameters
    ----------
    app
        The application.
    folder
        Built front end with its ``index.html``.
    """
    if (folder / "index.html").is_file():
        app.mount("/", PageFiles(directory=folder, html=True, follow_symlink=False), name="pages")
        return

    def read_plain() -> HTMLResponse:
        """Say that the pages are not built."""
        return HTMLResponse(PLAIN)

    app.add_api_route("/", read_plain, include_in_schema=False)
