"""``track.html``: links, sizes and pictures of a tracking on one page that asks the network for nothing."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from hepatica.adapters.reports.track_pictures import draw_link, draw_registration
from hepatica.core.findings import NotEvaluable
from hepatica.core.progress import Progress
from hepatica.lesions.matching.decisions import name_link
from hepatica.workflows.track_documents import NOTICE, SCORE, SIMULATED, to_match_rows

if TYPE_CHECKING:
    from hepatica.workflows.tracked import Tracked

FILE_NAME: Final = "track.html"
MOST_PICTURES: Final = 40
"""Of links; further ones are listed without."""


def write_track_page(tracked: Tracked, folder: Path, *, progress: Progress) -> tuple[str, ...]:
    """Write ``track.html`` and return its name."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("hepatica.adapters.reports", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    progress.stage("Drawing")
    links = []
    for number, link in enumerate(tracked.settlement.links):
        progress.check_cancelled()
        picture = draw_link(tracked, link) if number < MOST_PICTURES else None
        proposal = link.proposal
        links.append(
            {
                "name": name_link(link.kind, link.baseline_ids, link.followup_ids),
                "status": link.status.value,
                "score": "" if proposal is None else f"{proposal.score:.3f}",
                "ambiguous": proposal is not None and proposal.ambiguous,
                "other": "" if proposal is None else proposal.other,
                "reader": link.reader,
                "reason": link.reason,
                "picture": None if picture is None else _embed(picture),
            }
        )
        progress.advance((number + 1) / len(tracked.settlement.links))
    residual = tracked.registration.residual_mm
    text: str = environment.get_template("track.html.j2").render(
        simulated=SIMULATED if tracked.request.simulated else "",
        notice=NOTICE,
        score=SCORE,
        links=links,
        rows=to_match_rows(tracked),
        registration=tracked.registration,
        residual=str(residual) if isinstance(residual, NotEvaluable) else f"{residual:.1f} mm",
        overlay=_embed(draw_registration(tracked)),
        findings=tracked.findings,
        run_time=tracked.manifest.run_time.strftime("%Y-%m-%d %H:%M UTC"),
    )
    (folder / FILE_NAME).write_text(text, encoding="utf-8", newline="\n")
    return (FILE_NAME,)


def _embed(picture: Any) -> dict[str, str]:
    uri = "data:image/png;base64," + base64.b64encode(picture.png).decode("ascii")
    return {"uri": uri, "title": picture.title, "alt": picture.alt}
