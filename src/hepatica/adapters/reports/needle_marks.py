"""Needle, tracks, depths and deposits on a picture."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Final

import numpy as np

from hepatica.adapters.reports import palette
from hepatica.adapters.reports.strokes import draw_line, write_text
from hepatica.core.geometry import FloatArray
from hepatica.imaging.reformat import Plane
from hepatica.planning.path.scene import read_path_limits
from hepatica.planning.path.values import Puncture, Track

if TYPE_CHECKING:
    from matplotlib.axes import Axes

DOTS_PER_INCH: Final = 260
TICK_STEP_MM: Final = 10.0
ENTRY_GAP_MM: Final = 4.0
ENTRY_LABEL_HEIGHT: Final = 0.06
"""Of the picture: what the word at the entry needs above the marker; without that it stands beside it."""
DEPOSIT_POINTS: Final = 5.6
SMALLEST_NUMBERED_POINTS: Final = 4.0
"""Smaller circles, where stops lie closer in print, bear no number."""
IN_PICTURE_MM: Final = 2.5
"""A track or stop this near to the picture's plane counts as lying in it."""
TRACK_GAP_MM: Final = 5.0
"""From a tip to its track's name."""
ASIDE: Final = "0.62"
"""Grey of a stop that lies outside the picture's plane."""
SAMPLES: Final = 201


def find_corners(puncture: Puncture, track: Track) -> FloatArray:
    """Return the (2, 3) ends of a straight track, or (3, 3) with the coaxial tip between them."""
    ends = [puncture.entry_lps_mm, track.tip_lps_mm]
    if puncture.pivot_lps_mm is not None:
        ends.insert(1, puncture.pivot_lps_mm)
    return np.stack(ends)


def draw_tracks(axes: Axes, plane: Plane, puncture: Puncture) -> None:
    """Draw the coaxial needle thick, every track solid where it lies in the picture and dashed beside it."""
    several = len(puncture.tracks) > 1
    for number, track in reversed(list(enumerate(puncture.tracks, start=1))):
        corners = find_corners(puncture, track)
        draw_line(
            axes, plane.to_pixel(corners[-2:]), color=palette.NEEDLE, linewidth=1.0, linestyle=(0, (3, 2))
        )
        points = _sample(corners[-2:])
        here = points[np.abs(plane.measure_distance_mm(points)) <= IN_PICTURE_MM]
        if len(here) > 1:
            draw_line(axes, plane.to_pixel(here), color=palette.NEEDLE, linewidth=1.5, solid_capstyle="butt")
        if several:
            _name_track(axes, plane, corners, f"t{number}")
    if puncture.pivot_lps_mm is not None:
        ends = np.stack([puncture.entry_lps_mm, puncture.pivot_lps_mm])
        draw_line(axes, plane.to_pixel(ends), color=palette.NEEDLE, linewidth=2.4, solid_capstyle="butt")
        _draw_pivot(axes, plane, puncture.pivot_lps_mm)


def draw_projections(axes: Axes, plane: Plane, puncture: Puncture, *, half_slice_mm: float) -> None:
    """Draw every track projected onto a slice: solid where it lies in the slice, dashed elsewhere."""
    for track in puncture.tracks:
        corners = find_corners(puncture, track)
        draw_line(
            axes, plane.to_pixel(corners), color=palette.NEEDLE, linewidth=0.9, linestyle=(0, (2.5, 2.0))
        )
        for ends in pairwise(corners):
            points = _sample(np.stack(ends))
            here = points[np.abs(plane.measure_distance_mm(points)) <= half_slice_mm]
            if len(here) > 1:
                draw_line(
                    axes, plane.to_pixel(here), color=palette.NEEDLE, linewidth=1.7, solid_capstyle="butt"
                )
    if puncture.pivot_lps_mm is not None:
        _draw_pivot(axes, plane, puncture.pivot_lps_mm)


def _sample(ends: FloatArray) -> FloatArray:
    fractions = np.linspace(0, 1, SAMPLES)[:, None]
    return np.asarray(ends[0] + fractions * (ends[1] - ends[0]))


def _name_track(axes: Axes, plane: Plane, corners: FloatArray, name: str) -> None:
    ends = plane.to_pixel(corners[-2:])
    way = ends[1] - ends[0]
    way = way / max(float(np.linalg.norm(way)), 1e-9)
    write_text(axes, ends[1] + way * TRACK_GAP_MM / plane.pixel_mm, name, fontsize=5.4, weight="bold")


def _draw_pivot(axes: Axes, plane: Plane, pivot: FloatArray) -> None:
    row, column = plane.to_pixel(pivot)
    axes.plot(
        column, row, marker="D", markersize=3.6, color="white", markeredgecolor="black", markeredgewidth=0.6
    )


def draw_ticks(axes: Axes, plane: Plane, entry: FloatArray, tip: FloatArray) -> None:
    """Draw a tick every 10 mm along the straight way, numbered every 20 mm."""
    length = float(np.linalg.norm(tip - entry))
    along = plane.to_pixel(tip) - plane.to_pixel(entry)
    along = along / max(float(np.linalg.norm(along)), 1e-9)
    # The numbers stand on the side that faces up, away from the lesion's own label.
    across = np.array([-along[1], along[0]])
    across = across if across[0] < 0 else -across
    for depth_mm in np.arange(TICK_STEP_MM, length, TICK_STEP_MM):
        middle = plane.to_pixel(entry + (tip - entry) * depth_mm / length)
        long_tick = round(depth_mm / TICK_STEP_MM) % 5 == 0
        half = (2.6 if long_tick else 1.6) / plane.pixel_mm
        draw_line(
            axes,
            np.stack([middle - half * across, middle + half * across]),
            color=palette.NEEDLE,
            linewidth=0.9,
        )
        if round(depth_mm / TICK_STEP_MM) % 2 == 0:
            write_text(axes, middle + across * 6.0 / plane.pixel_mm, f"{depth_mm:.0f}", fontsize=5.2)


def draw_run_out(axes: Axes, plane: Plane, entry: FloatArray, tip: FloatArray) -> None:
    """Draw the stretch beyond a tip on which clearances are checked."""
    direction = (tip - entry) / max(float(np.linalg.norm(tip - entry)), 1e-9)
    # As long as the stretch beyond the tip on which clearances are checked.
    ends = np.stack([tip, tip + read_path_limits()["run_out"].number * direction])
    draw_line(axes, plane.to_pixel(ends), color="white", linewidth=0.8, linestyle=(0, (1, 1.2)))


def draw_deposits(axes: Axes, plane: Plane, puncture: Puncture) -> None:
    """Draw every stop as a circle with its number; grey where it lies outside the picture's plane."""
    for track in puncture.tracks:
        places = [plane.to_pixel(deposit.point_lps_mm) for deposit in track.deposits]
        steps = [float(np.linalg.norm(b - a)) for a, b in pairwise(places)]
        points_per_pixel = axes.get_window_extent().width / plane.shape[1] * 72 / DOTS_PER_INCH
        # As wide as the step between two stops, so that no circle hides another.
        most = DEPOSIT_POINTS if len(puncture.tracks) == 1 else SMALLEST_NUMBERED_POINTS - 1.0
        size = float(np.clip(min(steps, default=np.inf) * points_per_pixel, 1.8, most))
        for deposit, (row, column) in zip(track.deposits, places, strict=True):
            axes.plot(
                column,
                row,
                marker="o",
                markersize=size,
                color="white" if _lies_in(plane, deposit.point_lps_mm) else ASIDE,
                markeredgecolor="black",
                markeredgewidth=0.125 * size,
            )
            if size < SMALLEST_NUMBERED_POINTS:
                continue
            axes.text(
                column,
                row,
                str(deposit.order),
                color="black",
                fontsize=4.4 * size / DEPOSIT_POINTS,
                ha="center",
                va="center_baseline",
                clip_on=True,
            )


def _lies_in(plane: Plane, point_lps_mm: FloatArray) -> bool:
    return abs(float(plane.measure_distance_mm(point_lps_mm[None])[0])) <= 2 * IN_PICTURE_MM


def draw_entry(axes: Axes, plane: Plane, entry: FloatArray) -> None:
    """Draw the skin entry with its word."""
    row, column = plane.to_pixel(entry)
    axes.plot(
        column,
        row,
        marker="s",
        markersize=4.2,
        color=palette.NEEDLE,
        markeredgecolor="black",
        markeredgewidth=0.7,
    )
    gap = ENTRY_GAP_MM / plane.pixel_mm
    if row - gap > ENTRY_LABEL_HEIGHT * plane.shape[0]:
        place, style = np.array([row - gap, column]), {"va": "bottom"}
    else:
        # Beside the marker, toward the nearer edge: the line to the middle runs the other way.
        side = 1 if column > plane.shape[1] / 2 else -1
        place, style = np.array([row, column + side * gap]), {"ha": "left" if side > 0 else "right"}
    write_text(axes, place, "entry", fontsize=5.6, weight="bold", **style)
