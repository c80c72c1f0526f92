"""The full report as one HTML file that asks the network for nothing."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from hepatica.adapters.reports import palette
from hepatica.adapters.reports.picture_book import PictureBook, Pictures
from hepatica.adapters.reports.view import PlanView, derive_plan_view
from hepatica.core.progress import Progress
from hepatica.workflows.ports import PlanContext

FILE_NAME: Final = "report.html"
PICTURE_ORDER: Final = ("needle", "scene", "entry", "target")


class HtmlReportWriter:
    """Writes ``report.html``: everything the plan knows, self-contained, without script.

    Parameters
    ----------
    book
        Pictures shared with other writers; an own book by default.
    """

    requires: Sequence[str] = ()

    def __init__(self, book: PictureBook | None = None) -> None:
        self._book = book or PictureBook()

    def write_plan(self, context: PlanContext, folder: Path, *, progress: Progress) -> tuple[str, ...]:
        """Write the report and return its name."""
        progress.stage("report")
        pictures = self._book.draw(context, progress=progress)
        text = to_html(derive_plan_view(context), pictures)
        (folder / FILE_NAME).write_text(text, encoding="utf-8", newline="\n")
        progress.advance(1.0)
        return (FILE_NAME,)


def to_html(view: PlanView, pictures: Pictures) -> str:
    """Return the report's text. Every value is escaped by the template engine."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("hepatica.adapters.reports", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    encoded = {
        name: [
            {
                "uri": "data:image/png;base64," + base64.b64encode(group[role].png).decode("ascii"),
                "title": group[role].title,
                "alt": group[role].alt,
                "role": role,
            }
            for role in PICTURE_ORDER
        ]
        for name, group in pictures.items()
    }
    text: str = environment.get_template("report.html.j2").render(
        view=view, pictures=encoded, palette=palette
    )
    return text
