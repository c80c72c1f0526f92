"""The explanation of paths as a page, pictures and a table of the skin."""

from __future__ import annotations

import base64
import csv
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from hepatica.adapters.reports import palette
from hepatica.adapters.reports.explain_view import ExplainView, derive_explain_view
from hepatica.adapters.reports.picture_frame import Picture
from hepatica.adapters.reports.skin_legend import find_limit_numbers
from hepatica.adapters.reports.skin_map_pictures import MapMark, MapSubject, draw_flat_map
from hepatica.adapters.reports.skin_views import draw_body_views
from hepatica.core.progress import Progress
from hepatica.planning.path.skin_map import SkinClass
from hepatica.workflows.explain_ports import LesionExplained, PathsExplained

PAGE: Final = "paths.html"
TABLE: Final = "skin-map.csv"
COLUMNS: Final = (
    "lesion_id",
    "x_lps_mm",
    "y_lps_mm",
    "z_lps_mm",
    "area_mm2",
    "class",
    "score",
    "better_skin_cm2",
    "limit",
)


class PathsPageWriter:
    """Writes ``paths.html``, the pictures as PNG files, and ``skin-map.csv``."""

    def write_explanation(
        self, explained: PathsExplained, folder: Path, *, progress: Progress
    ) -> tuple[str, ...]:
        """Write and return the file names."""
        progress.stage("Drawing skin maps")
        pictures: dict[str, tuple[Picture, ...]] = {}
        files = []
        for done, lesion in enumerate(explained.lesions):
            progress.check_cancelled()
            drawn = draw_lesion(lesion, explained)
            pictures[lesion.lesion_id] = drawn
            for picture in drawn:
                files.append(f"{picture.name}.png")
                (folder / files[-1]).write_bytes(picture.png)
            progress.advance((done + 1) / len(explained.lesions))
        text = to_html(derive_explain_view(explained), pictures)
        (folder / PAGE).write_text(text, encoding="utf-8", newline="\n")
        write_table(explained, folder / TABLE)
        return (PAGE, TABLE, *files)


def draw_lesion(lesion: LesionExplained, explained: PathsExplained) -> tuple[Picture, ...]:
    """Draw the map of one lesion laid flat and on the body; none where the scan has no skin."""
    if len(lesion.skin_map.classes) == 0:
        return ()
    subject = MapSubject(
        skin_map=lesion.skin_map,
        costs=lesion.costs,
        mask=lesion.mask,
        marks=tuple(
            MapMark(
                name=entry.name,
                point_lps_mm=entry.puncture.entry_lps_mm,
                first=entry.role != "alternative",
            )
            for entry in lesion.entries
        ),
        grid=explained.grid,
        facts=explained.facts,
        gravity_lps=explained.gravity_lps,
    )
    return (draw_flat_map(subject), draw_body_views(subject))


def to_html(view: ExplainView, pictures: dict[str, tuple[Picture, ...]]) -> str:
    """Return the page's text. Every value is escaped by the template engine."""
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
                "uri": "data:image/png;base64," + base64.b64encode(item.png).decode("ascii"),
                "title": item.title,
                "alt": item.alt,
            }
            for item in group
        ]
        for name, group in pictures.items()
    }
    text: str = environment.get_template("paths.html.j2").render(view=view, pictures=encoded, palette=palette)
    return text


def write_table(explained: PathsExplained, path: Path) -> None:
    """Write every skin point of every lesion: where, how much skin, class, score, and the limit that blocks it."""
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(COLUMNS)
        for lesion in explained.lesions:
            writer.writerows(_list_rows(lesion))


def _list_rows(lesion: LesionExplained) -> Iterator[Sequence[str]]:
    found, costs = lesion.skin_map, lesion.costs
    limits = find_limit_numbers(found, costs)
    rank = found.derive_rank_cm2()
    for n in range(len(found.classes)):
        kind = SkinClass(int(found.classes[n]))
        free = kind is SkinClass.FREE
        yield (
            lesion.lesion_id,
            *(f"{x:.2f}" for x in found.skin.points_lps_mm[n]),
            f"{found.skin.areas_mm2[n]:.3f}",
            kind.name.lower(),
            f"{found.scores[n]:.6f}" if free else "",
            f"{rank[n]:.3f}" if free else "",
            costs.limits[limits[n]].limit if limits[n] >= 0 else "",
        )
