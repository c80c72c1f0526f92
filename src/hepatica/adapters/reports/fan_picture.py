"""A fan as seen along its coaxial needle: which way each track turns."""

from __future__ import annotations

from typing import Final

import numpy as np

from hepatica.adapters.reports import palette
from hepatica.adapters.reports.needle_marks import ASIDE
from hepatica.adapters.reports.picture_frame import Frame, Picture, measure_pixel_mm
from hepatica.adapters.reports.pictures import draw_ground, finish_picture
from hepatica.adapters.reports.strokes import draw_line, write_text
from hepatica.core.geometry import FloatArray
from hepatica.imaging.reformat import Plane
from hepatica.planning.path.needle_draws import derive_lateral_axes
from hepatica.planning.path.values import Puncture
from hepatica.workflows.ports import PlanContext

ROOM_MM: Final = 14.0
"""Shown around the outermost track and lesion outline."""
SMALLEST_HALF_MM: Final = 24.0
NAME_GAP_MM: Final = 3.2


def draw_fan_picture(context: PlanContext, puncture: Puncture, *, frame: Frame) -> Picture:
    """Draw the plane across the coaxial needle at the middle of the deposits, head up, as seen from the entry.

    Parameters
    ----------
    context, puncture
        The plan, and which of its punctures; it has a coaxial tip.
    frame
        Size in print.
    """
    assert puncture.pivot_lps_mm is not None
    stops = np.array([d.point_lps_mm for track in puncture.tracks for d in track.deposits])
    outward = puncture.pivot_lps_mm - puncture.entry_lps_mm
    along = outward / np.linalg.norm(outward)
    depth_mm = float(((stops - puncture.entry_lps_mm) @ along).mean())
    centre = puncture.entry_lps_mm + depth_mm * along
    crossings = [_find_crossing(puncture.pivot_lps_mm, t.tip_lps_mm, centre, along) for t in puncture.tracks]
    plane = _derive_plane(context, puncture, centre, along, crossings=np.array(crossings), frame=frame)
    canvas, axes = draw_ground(context, plane, frame)
    middle = plane.to_pixel(centre)
    for number, (point, track) in enumerate(zip(crossings, puncture.tracks, strict=True), start=1):
        place = plane.to_pixel(point)
        draw_line(axes, np.stack([middle, place]), color=palette.NEEDLE, linewidth=1.1)
        reached = float((track.tip_lps_mm - centre) @ along) >= 0.0
        axes.plot(
            place[1], place[0], marker="o", markersize=4.2, color="white" if reached else ASIDE,
            markeredgecolor="black", markeredgewidth=0.6,
        )  # fmt: skip
        way = place - middle
        size = float(np.linalg.norm(way))
        way = way / size if size > 1.0 else np.array([-1.0, 1.0]) / np.sqrt(2.0)
        write_text(axes, place + way * NAME_GAP_MM / plane.pixel_mm, f"t{number}", weight="bold")
    axes.plot(
        middle[1], middle[0], marker="D", markersize=3.4, color=palette.NEEDLE, markeredgecolor="black",
        markeredgewidth=0.6,
    )  # fmt: skip
    png = finish_picture(canvas, axes, plane, puncture.entry_lps_mm)
    return Picture(
        name=f"{puncture.puncture_id}-fan",
        png=png,
        title=f"Seen along the coaxial needle, {depth_mm:.0f} mm deep",
        alt=f"CT across the coaxial needle of {puncture.puncture_id} at the middle of the deposits, seen from the "
        f"entry, head up: where each of {len(puncture.tracks)} tracks crosses, lesions outlined.",
    )


def _find_crossing(pivot: FloatArray, tip: FloatArray, centre: FloatArray, along: FloatArray) -> FloatArray:
    """Return where a track, or its continuation, crosses the plane."""
    way = tip - pivot
    return np.asarray(pivot + way * (float((centre - pivot) @ along) / float(way @ along)))


def _derive_plane(
    context: PlanContext,
    puncture: Puncture,
    centre: FloatArray,
    along: FloatArray,
    *,
    crossings: FloatArray,
    frame: Frame,
) -> Plane:
    _, up, _ = derive_lateral_axes(along)
    right = np.cross(along, up)
    shown = [crossings]
    for lesion in context.plan.lesions:
        if lesion.lesion_id in puncture.lesion_ids:
            half = 0.5 * lesion.longest_diameter_3d.length_mm
            shown += [
                lesion.mask.centroid_lps_mm + half * np.array([side for side in (right, -right, up, -up)])
            ]
    points = np.concatenate(shown) - centre
    half_width = max(SMALLEST_HALF_MM, float(np.abs(points @ right).max()) + ROOM_MM)
    half_height = max(SMALLEST_HALF_MM / frame.aspect, float(np.abs(points @ up).max()) + ROOM_MM)
    half_width, half_height = (
        max(half_width, half_height * frame.aspect),
        max(half_height, half_width / frame.aspect),
    )
    pixel_mm = min(measure_pixel_mm(context), half_width / 150.0)
    rows, columns = round(2 * half_height / pixel_mm), round(2 * half_width / pixel_mm)
    origin = centre - right * pixel_mm * (columns - 1) / 2 + up * pixel_mm * (rows - 1) / 2
    return Plane(
        origin_lps_mm=origin, right_lps=right, down_lps=-up, pixel_mm=pixel_mm, shape=(rows, columns)
    )
