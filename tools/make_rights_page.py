"""Write docs/reference/rights.md from the routes: ``python -m tools.make_rights_page``."""

from __future__ import annotations

import tempfile
from pathlib import Path

from hepatica.bootstrap import make_record
from hepatica.entrypoints.web.app import make_app
from hepatica.entrypoints.web.rights import to_rights_page
from hepatica.entrypoints.web.settings import WebSettings

PAGE = Path(__file__).parents[1] / "docs" / "reference" / "rights.md"

with tempfile.TemporaryDirectory() as folder, make_record(Path(folder) / "home", mode="research") as record:
    settings = WebSettings(hosts=frozenset(), secure_cookies=True, version="0", mode="research")
    PAGE.write_text(to_rights_page(make_app(record.context, record.passwords, settings=settings)))
