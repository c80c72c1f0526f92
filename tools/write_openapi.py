"""Write the interface's description for the front end: ``python -m tools.write_openapi web/openapi.json``."""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path

from hepatica.bootstrap import make_record
from hepatica.entrypoints.web.app import make_app
from hepatica.entrypoints.web.settings import WebSettings

with tempfile.TemporaryDirectory() as folder, make_record(Path(folder) / "home", mode="research") as record:
    settings = WebSettings(hosts=frozenset(), secure_cookies=True, version="0", mode="research")
    document = make_app(record.context, record.passwords, settings=settings).openapi()
    Path(sys.argv[1]).write_text(json.dumps(document), encoding="utf-8")
