"""The pictures of a plan, drawn once for every writer that prints them."""

from __future__ import annotations

from typing import Final

from hepatica.adapters.reports.fan_picture import draw_fan_picture
from hepatica.adapters.reports.picture_frame import Frame, Picture
from hepatica.adapters.reports.pictures import draw_axial_picture, draw_needle_picture
from hepatica.adapters.reports.scene3d import Fields, build_fields, draw_scene
from hepatica.core.progress import Progress
from hepatica.planning.path.values import Puncture
from hepatica.workflows.ports import PlanContext

NEEDLE_FRAME: Final = Frame(width_mm=114.0, height_mm=63.0)
SCENE_FRAME: Final = Frame(width_mm=74.0, height_mm=63.0)
AXIAL_FRAME: Final = Frame(width_mm=61.0, height_mm=44.0)
Pictures = dict[str, dict[str, Picture]]
"""By puncture, then by role: ``needle``, ``scene``, ``entry``, ``target``."""


class PictureBook:
    """Draws the pictures of each puncture; asked again for the same plan it gives the same pictures.

    Share one book between the writers of a run, so that sheet and report do not draw twice.
    """

    def __init__(self) -> None:
        self._context: PlanContext | None = None
        self._pictures: Pictures = {}

    def draw(self, context: PlanContext, *, progress: Progress) -> Pictures:
        """Return the pictures of all first-choice punctures."""
        if self._context is not context:
            drawn: Pictures = {}
            fields = build_fields(context) if context.plan.punctures else ()
            for done, puncture in enumerate(context.plan.punctures):
                progress.check_cancelled()
                drawn[puncture.puncture_id] = draw_puncture(context, puncture, fields=fields)
                progress.advance((done + 1) / (len(context.plan.punctures) + 1))
            self._context, self._pictures = context, drawn
        return self._pictures

    def draw_spread(self, context: PlanContext, *, progress: Progress) -> Pictures:
        """Return the pictures of a simulated spread by lesion, then by role; empty where none was simulated."""
        from hepatica.adapters.reports.spread_pictures import draw_spread

        drawn: Pictures = {}
        for lesion in () if context.spread is None else context.spread.lesions:
            progress.check_cancelled()
            drawn[lesion.lesion_id] = draw_spread(context, lesion)
        return drawn


def draw_puncture(context: PlanContext, puncture: Puncture, *, fields: Fields) -> dict[str, Picture]:
    """Draw the four pictures of one puncture."""
    return {
        "needle": draw_needle_picture(context, puncture, frame=NEEDLE_FRAME),
        "scene": draw_scene(context, puncture, fields=fields, frame=SCENE_FRAME),
        "entry": draw_axial_picture(context, puncture, at_entry=True, frame=AXIAL_FRAME),
        "target": _draw_target(context, puncture),
    }


def _draw_target(context: PlanContext, puncture: Puncture) -> Picture:
    """Draw the axial slice of the tip; of a fan, whose tips lie in several slices, the view along its needle."""
    if puncture.pivot_lps_mm is not None and any(track.deposits for track in puncture.tracks):
        return draw_fan_picture(context, puncture, frame=AXIAL_FRAME)
    return draw_axial_picture(context, puncture, at_entry=False, frame=AXIAL_FRAME)
