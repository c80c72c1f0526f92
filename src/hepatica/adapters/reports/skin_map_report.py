"""The small skin map of the report: from where each lesion can be reached."""

from __future__ import annotations

from typing import Final

from hepatica.adapters.reports.picture_frame import Picture
from hepatica.adapters.reports.skin_map_pictures import MapMark, MapSubject, draw_flat_map
from hepatica.core.progress import SILENT, Progress
from hepatica.planning.path.skin_map import derive_skin_map
from hepatica.workflows.ports import PlanContext

MOST_PER_POINT: Final = 4
"""Paths settled from one skin point; what they leave open is drawn as undecided. 'hepatica paths explain' settles
all of them."""


def draw_skin_maps(context: PlanContext, *, progress: Progress = SILENT) -> dict[str, dict[str, Picture]]:
    """Return the flat map of each lesion that was searched; empty where the plan has no scene or the scan no skin."""
    scene, drawn = context.scene, {}
    if scene is None or len(scene.skin.points_lps_mm) == 0:
        return {}
    masks = {lesion.lesion_id: lesion.mask for lesion in context.plan.lesions}
    for path in context.plan.paths:
        progress.check_cancelled()
        skin_map = derive_skin_map(
            scene, lesion_id=path.lesion_id, most_per_point=MOST_PER_POINT, progress=progress
        )
        punctures = (*context.plan.punctures, *context.plan.backups)
        subject = MapSubject(
            skin_map=skin_map,
            costs=None,
            mask=masks[path.lesion_id],
            marks=tuple(
                MapMark(name=one.puncture_id, point_lps_mm=one.entry_lps_mm, first=True)
                for one in punctures
                if path.lesion_id in one.lesion_ids
            ),
            grid=scene.grid,
            facts=context.image.facts,
            gravity_lps=scene.gravity_lps,
        )
        drawn[path.lesion_id] = {"map": draw_flat_map(subject)}
    return drawn
