"""``response.html`` with its pictures as files: self-contained, without script, readable without seeing."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from hepatica.adapters.reports.response_pictures import ResponsePicture, draw_pictures
from hepatica.core.findings import NotEvaluable
from hepatica.followup.curves import CurvePoint, SubjectCurves

FILE_NAME: Final = "response.html"
SHARED: Final = 3
"""Pictures of all patients, before those of each one."""
CAPTIONS: Final[Mapping[str, str]] = {
    "spider-patients": "One line for each patient; a cross marks the first visit with progression. Incomplete sums "
    "have no point.",
    "spider-lesions": "Targets and measured non-targets, each against its own baseline; new lesions have none.",
    "sums-by-group": "Thin lines: patients. Thick lines: median at each visit in turn, while three or more patients "
    "are measured; n is how many. Patients leave when they progress, so late medians are those of the patients who "
    "stayed.",
}


def write_response_report(
    folder: Path,
    subjects: Sequence[tuple[str, SubjectCurves]],
    *,
    criterion: str,
    run_time: datetime,
    notes: Sequence[str] = (),
) -> tuple[str, ...]:
    """Write the report and the pictures as SVG and PNG; return their names.

    Parameters
    ----------
    folder
        Where to write; pictures go to ``pictures/``.
    subjects
        Label and curves; at least one.
    criterion
        Value of RSCAT.
    run_time
        Printed in the report.
    notes
        What was left out and why.
    """
    pictures = draw_pictures(subjects)
    (folder / "pictures").mkdir()
    names = [FILE_NAME]
    for picture in pictures:
        for ending, content in (("svg", picture.svg), ("png", picture.png)):
            names.append(f"pictures/{picture.name}.{ending}")
            (folder / names[-1]).write_bytes(content)
    view = {
        "criterion": criterion,
        "run_time": f"{run_time:%Y-%m-%d %H:%M} UTC",
        "notes": list(notes),
        "shared": [_to_figure(picture) for picture in pictures[:SHARED]],
        "subjects": [
            {
                "label": label,
                "undated": curves.undated,
                "picture": _to_figure(picture),
                "rows": list_rows(curves),
            }
            for (label, curves), picture in zip(subjects, pictures[SHARED:])
        ],
    }
    (folder / FILE_NAME).write_text(_render(view), encoding="utf-8", newline="\n")
    return tuple(names)


def _to_figure(picture: ResponsePicture) -> dict[str, str]:
    return {
        "name": picture.name,
        "title": picture.title,
        "alt": picture.alt,
        "caption": CAPTIONS.get(picture.name, ""),
        "uri": "data:image/svg+xml;base64," + base64.b64encode(picture.svg).decode("ascii"),
    }


def list_rows(curves: SubjectCurves) -> list[list[str]]:
    """Return day, sums with their changes, and overall response of each dated visit."""
    codes = dict(curves.responses)
    by_day = [{p.day: p for p in points} for points in (curves.total, curves.injected, curves.non_injected)]
    days = sorted({*codes, *(day for points in by_day for day in points)})
    return [
        [str(day), *(text for points in by_day for text in _say(points.get(day))), codes.get(day, "")]
        for day in days
    ]


def _say(point: CurvePoint | None) -> tuple[str, str]:
    if point is None:
        return "-", "-"
    size = point.size.reason if isinstance(point.size, NotEvaluable) else f"{point.size:g} mm"
    change = point.change_percent
    return size, "-" if isinstance(change, NotEvaluable) else f"{change:+.0f} %"


def _render(view: Mapping[str, Any]) -> str:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("hepatica.adapters.reports", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    text: str = environment.get_template("response.html.j2").render(view=view)
    return text
