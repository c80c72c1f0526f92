"""The full report as one HTML file that asks the network for nothing."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from hepatica.adapters.reports import palette
from hepatica.adapters.reports.pattern_view import PatternView, derive_pattern_views
from hepatica.adapters.reports.picture_book import PictureBook, Pictures
from hepatica.adapters.reports.skin_map_report import draw_skin_maps
from hepatica.adapters.reports.view import PlanView, derive_plan_view
from hepatica.core.progress import Progress
from hepatica.workflows.ports import PlanContext

if TYPE_CHECKING:
    from jinja2 import Environment

FILE_NAME: Final = "report.html"
PICTURE_ORDER: Final = ("needle", "scene", "entry", "target")
SPREAD_ORDER: Final = ("axial", "coronal", "sagittal", "histogram", "space")
NO_PICTURES: Final[Pictures] = {}


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
        spread = self._book.draw_spread(context, progress=progress)
        text = to_html(
            derive_plan_view(context),
            pictures,
            spread=spread,
            patterns=derive_pattern_views(context.plan),
            skin_maps=draw_skin_maps(context, progress=progress),
        )
        (folder / FILE_NAME).write_text(text, encoding="utf-8", newline="\n")
        progress.advance(1.0)
        return (FILE_NAME,)


def to_html(
    view: PlanView,
    pictures: Pictures,
    *,
    spread: Pictures = NO_PICTURES,
    patterns: Sequence[PatternView] = (),
    skin_maps: Pictures = NO_PICTURES,
) -> str:
    """Return the report's text. Every value is escaped by the template engine.

    Parameters
    ----------
    view
        Rows of text.
    pictures
        Pictures of the punctures.
    spread
        Pictures of a simulated spread, by lesion.
    patterns
        Rankings of deposit patterns.
    skin_maps
        Flat maps of the skin, by lesion.
    """
    text: str = (
        make_environment()
        .get_template("report.html.j2")
        .render(
            view=view,
            pictures=encode_pictures(pictures, PICTURE_ORDER),
            spread_pictures=encode_pictures(spread, SPREAD_ORDER),
            patterns=patterns,
            skin_maps=encode_pictures(skin_maps, ("map",)),
            palette=palette,
        )
    )
    return text


def make_environment() -> Environment:
    """Return the template engine of all pages: values are escaped, unknown names are errors."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    return Environment(
        loader=PackageLoader("hepatica.adapters.reports", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def encode_pictures(pictures: Pictures, order: Sequence[str]) -> dict[str, list[dict[str, str]]]:
    """Return pictures as data addresses, each group in the order of its roles; roles that are absent are left out."""
    return {
        name: [
            {
                "uri": "data:image/png;base64," + base64.b64encode(group[role].png).decode("ascii"),
                "title": group[role].title,
                "alt": group[role].alt,
                "role": role,
            }
            for role in order
            if role in group
        ]
        for name, group in pictures.items()
    }
