"""The page of a predicted spread: one HTML file that asks the network for nothing."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from hepatica.adapters.reports.html import SPREAD_ORDER, encode_pictures, make_environment
from hepatica.adapters.reports.picture_book import PictureBook
from hepatica.adapters.reports.view import derive_plan_view
from hepatica.core.progress import Progress
from hepatica.workflows.ports import PlanContext

FILE_NAME: Final = "spread.html"


class SpreadPageWriter:
    """Writes ``spread.html``: the whole prediction with pictures and credibility card, without script."""

    requires: Sequence[str] = ()

    def write_plan(self, context: PlanContext, folder: Path, *, progress: Progress) -> tuple[str, ...]:
        """Write the page; nothing where no spread was simulated."""
        if context.spread is None:
            return ()
        progress.stage("spread page")
        pictures = PictureBook().draw_spread(context, progress=progress)
        text = (
            make_environment()
            .get_template("spread_page.html.j2")
            .render(view=derive_plan_view(context), spread_pictures=encode_pictures(pictures, SPREAD_ORDER))
        )
        (folder / FILE_NAME).write_text(text, encoding="utf-8", newline="\n")
        return (FILE_NAME,)
