"""The plan as 3D Slicer markups: lines and points in LPS, so that any Slicer shows what is meant."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike

from hepatica.adapters.reports import palette
from hepatica.core.progress import Progress
from hepatica.lesions.lesion import Lesion
from hepatica.planning.path.values import Puncture
from hepatica.planning.plan import Plan
from hepatica.workflows.ports import PlanContext

FILE_NAME: Final = "plan.mrk.json"
SCHEMA: Final = (
    "https://raw.githubusercontent.com/slicer/slicer/master/Modules/Loadable/Markups/Resources/Schema/"
    "markups-schema-v1.0.3.json#"
)
COORDINATE_DECIMALS: Final = 3
"""A micrometre: far below any voxel, and short enough to read."""


class MarkupsWriter:
    """Writes ``plan.mrk.json``: tracks, deposits, backup tracks and lesion diameters."""

    requires: Sequence[str] = ()

    def write_plan(self, context: PlanContext, folder: Path, *, progress: Progress) -> tuple[str, ...]:
        """Write the markups and return their name."""
        progress.stage("markups")
        document = to_markups_document(context.plan)
        text = json.dumps(document, indent=2, ensure_ascii=False) + "\n"
        (folder / FILE_NAME).write_text(text, encoding="utf-8", newline="\n")
        progress.advance(1.0)
        return (FILE_NAME,)


def to_markups_document(plan: Plan) -> dict[str, Any]:
    """Return a plan as a markups document (schema 1.0.3), in LPS millimetres."""
    injected = {item.lesion_id for item in plan.allocation.injections if item.volume_ml > 0}
    markups: list[dict[str, Any]] = []
    for puncture in plan.punctures:
        markups += _to_tracks(puncture, colour=palette.NEEDLE, word="track")
        markups += _to_deposits(puncture)
    for backup in plan.backups:
        markups += _to_tracks(backup, colour=palette.OTHER, word="backup track")
    for lesion in plan.lesions:
        markups.append(_to_diameter(lesion, injected=lesion.lesion_id in injected))
    return {"@schema": SCHEMA, "markups": markups}


def _to_tracks(puncture: Puncture, *, colour: str, word: str) -> list[dict[str, Any]]:
    """Return one line for each straight stretch: a line has two points, so a fan's coaxial needle is its own."""
    name, pivot = puncture.puncture_id, puncture.pivot_lps_mm
    start = (f"{name} entry", puncture.entry_lps_mm, "skin entry")
    lines = []
    if pivot is not None:
        end = (f"{name} coaxial tip", pivot, "coaxial tip: inner needles turn here")
        backup = "backup " if word.startswith("backup") else ""
        lines.append(
            _to_markup("Line", name=f"{name} {backup}coaxial needle", points=(start, end), colour=colour)
        )
        start = end
    for number, track in enumerate(puncture.tracks, start=1):
        tip = (f"{name} tip", track.tip_lps_mm, "needle tip")
        lines.append(_to_markup("Line", name=f"{name} {word} {number}", points=(start, tip), colour=colour))
    return lines


def _to_deposits(puncture: Puncture) -> list[dict[str, Any]]:
    points = [
        (
            f"{puncture.puncture_id}.{number}.{deposit.order} {deposit.volume_ml:.3f} mL",
            deposit.point_lps_mm,
            f"lesion {deposit.lesion_id}, stop {deposit.order} of track {number}",
        )
        for number, track in enumerate(puncture.tracks, start=1)
        for deposit in sorted(track.deposits, key=lambda item: item.order)
    ]
    if not points:
        return []
    return [
        _to_markup(
            "Fiducial", name=f"{puncture.puncture_id} deposits", points=points, colour=palette.INJECTED
        )
    ]


def _to_diameter(lesion: Lesion, *, injected: bool) -> dict[str, Any]:
    first, second = lesion.longest_diameter.ends_lps_mm
    return _to_markup(
        "Line",
        name=f"{lesion.lesion_id} longest diameter",
        points=((f"{lesion.lesion_id} a", first, ""), (f"{lesion.lesion_id} b", second, "")),
        colour=palette.INJECTED if injected else palette.NON_INJECTED,
    )


def _to_markup(
    kind: str, *, name: str, points: Iterable[tuple[str, ArrayLike, str]], colour: str
) -> dict[str, Any]:
    shade = [round(int(colour[k : k + 2], 16) / 255, 4) for k in (1, 3, 5)]
    return {
        "type": kind,
        "name": name,
        "coordinateSystem": "LPS",
        "coordinateUnits": "mm",
        "locked": True,
        "fixedNumberOfControlPoints": True,
        "labelFormat": "%N-%d",
        "controlPoints": [
            {
                "id": str(number),
                "label": label,
                "description": description,
                "associatedNodeID": "",
                "position": [round(float(x), COORDINATE_DECIMALS) + 0.0 for x in np.asarray(position)],
                # Slicer's own files carry the LPS axes as seen from its RAS world.
                "orientation": [-1.0, -0.0, -0.0, -0.0, -1.0, -0.0, 0.0, 0.0, 1.0],
                "selected": True,
                "locked": True,
                "visibility": True,
                # Without it some versions hide lines in slice views.
                "positionStatus": "defined",
            }
            for number, (label, position, description) in enumerate(points, start=1)
        ],
        "measurements": [],
        "display": {"visibility": True, "opacity": 1.0, "color": shade, "selectedColor": shade},
    }
