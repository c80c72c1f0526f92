"""The built pages, or one plain page where they are not built."""

from __future__ import annotations

from importlib import resources
from pathlib import Path
from typing import Any, Final

from fastapi.responses import HTMLResponse
from starlette.staticfiles import StaticFiles

PLAIN: Final = """<!doctype html>
<html lang="en"><meta charset="utf-8"><title>Hepatica</title>
<h1>Hepatica is running</h1>
<p>The pages are not built in this installation. The interface is described in
<a href="/api/openapi.json">/api/openapi.json</a>.</p>
<p>Research use, not a medical device.</p></html>
"""


def find_pages() -> Path:
    """Return the folder of the built front end; it may not be there."""
    return Path(str(resources.files("hepatica.resources"))) / "web"


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
        app.mount("/", StaticFiles(directory=folder, html=True, follow_symlink=False), name="pages")
        return

    def read_plain() -> HTMLResponse:
        """Say that the pages are not built."""
        return HTMLResponse(PLAIN)

    app.add_api_route("/", read_plain, include_in_schema=False)
