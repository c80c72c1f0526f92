"""Pictures of a tracking: each lesion at both visits side by side, and the scans laid over each other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from hepatica.adapters.reports import palette
from hepatica.adapters.reports.picture_frame import Picture
from hepatica.adapters.reports.pictures import MM_PER_INCH, WINDOW_LEVEL_HU, WINDOW_WIDTH_HU, to_png
from hepatica.core.geometry import FloatArray
from hepatica.imaging.deformation import ScanMap
from hepatica.imaging.reformat import (
    Plane,
    crop_plane,
    derive_axial_plane,
    sample_mask,
    sample_volume,
    trace_outlines,
)
from hepatica.imaging.volume import Volume
from hepatica.lesions.matching.decisions import SettledLink, name_link
from hepatica.lesions.matching.measured import MeasuredLesion

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from hepatica.workflows.read_visit import TrackedVisit
    from hepatica.workflows.tracked import Tracked

PAIR_MM: Final = (150.0, 72.0)
LEAST_FIELD_MM: Final = 90.0
ROOM_MM: Final = 30.0
PIXEL_MM: Final = 0.7
SQUARE_MM: Final = 25.0
DOTS_PER_INCH: Final = 170
POINTS: Final = 6.0
BAND: Final = 0.07
"""Of the picture's height, above the slices, for the words."""


def draw_link(tracked: Tracked, link: SettledLink) -> Picture:
    """Draw one link: baseline left, follow-up right, each in an acquired slice of its own scan."""
    before = [one for one in tracked.baseline.lesions if one.lesion_id in link.baseline_ids]
    after = [one for one in tracked.followup.lesions if one.lesion_id in link.followup_ids]
    scan_map = tracked.registration.scan_map
    centres = _find_centres(before, after, scan_map)
    size_mm = max(
        [LEAST_FIELD_MM]
        + [one.longest_diameter.length_mm + 2 * ROOM_MM for one in (*before, *after)]
        + [_measure_spread(group) + 2 * ROOM_MM for group in (before, after)]
    )
    figure, canvas = _start(PAIR_MM)
    sides = (
        (tracked.baseline, before, centres[0], "Baseline"),
        (tracked.followup, after, centres[1], "Follow-up"),
    )
    for number, (visit, chosen, centre, word) in enumerate(sides):
        axes = figure.add_axes((0.5 * number + 0.002, 0.0, 0.496, 1.0 - BAND))
        plane = _lay_plane(visit.image.volume, centre, size_mm=size_mm)
        _draw_slice(axes, visit.image.volume, plane)
        for lesion in visit.lesions:
            _draw_lesion(axes, plane, lesion, strong=lesion in chosen)
        if not chosen:
            _draw_cross(axes, plane, centre)
        _draw_words(axes, plane)
        figure.text(
            0.5 * number + 0.008,
            1.0 - BAND / 2,
            _title(word, chosen),
            color="white",
            fontsize=POINTS + 0.6,
            va="center",
        )
    return Picture(
        name=name_link(link.kind, link.baseline_ids, link.followup_ids),
        png=to_png(canvas),
        title=f"{link.kind.value}, {link.status.value}"
        + (", SIMULATED" if tracked.request.simulated else ""),
        alt="Axial CT slices of both visits side by side, patient right on the left; the lesion with a thick outline "
        "and its longest diameter, other lesions dashed, a cross where a lesion's place is without a lesion.",
    )


def draw_registration(tracked: Tracked) -> Picture:
    """Draw checkerboards of baseline and registered follow-up at two levels, liver outlines of both on them."""
    region = tracked.baseline.side.region
    grid = region.grid
    figure, canvas = _start((150.0, 62.0))
    low, high = region.start_ijk[2], region.start_ijk[2] + region.crop.shape[2]
    for number, share in enumerate((0.62, 0.38)):
        axes = figure.add_axes((0.5 * number + 0.002, 0.0, 0.496, 1.0 - BAND))
        centre = region.centroid_lps_mm.copy()
        index = grid.to_index(centre)
        index[2] = np.rint(low + share * (high - 1 - low))
        centre = grid.to_lps_mm(index)
        plane = crop_plane(
            derive_axial_plane(grid, through_lps_mm=centre, pixel_mm=1.0),
            centre_lps_mm=centre,
            height_mm=240.0,
            width_mm=310.0,
        )
        _draw_checkerboard(axes, tracked, plane)
        figure.text(
            0.5 * number + 0.008, 1.0 - BAND / 2,
            f"z = {centre[2]:.0f} mm; liver: baseline solid, follow-up dashed",
            color="white", fontsize=POINTS + 0.6, va="center",
        )  # fmt: skip
    return Picture(
        name="registration",
        png=to_png(canvas),
        title=f"Squares of {SQUARE_MM:g} mm in turn from the baseline and the registered follow-up: "
        "edges should run through",
        alt="Checkerboard of baseline and registered follow-up CT at two levels, with both liver outlines.",
    )


def _start(size_mm: tuple[float, float]) -> tuple[Any, Any]:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(
        figsize=(size_mm[0] / MM_PER_INCH, size_mm[1] / MM_PER_INCH), dpi=DOTS_PER_INCH, facecolor="black"
    )
    return figure, FigureCanvasAgg(figure)


def _find_centres(
    before: Sequence[MeasuredLesion], after: Sequence[MeasuredLesion], scan_map: ScanMap
) -> tuple[FloatArray, FloatArray]:
    """Return where to look in each scan: at the lesions' own slices, or where registration puts them."""
    first = _look_at(before) if before else None
    second = _look_at(after) if after else None
    if first is None and second is not None:
        first = scan_map.to_fixed(second[None])[0]
    if second is None and first is not None:
        second = scan_map.to_moving(first[None])[0]
    if first is None or second is None:
        raise ValueError("a link without a lesion")
    return first, second


def _look_at(lesions: Sequence[MeasuredLesion]) -> FloatArray:
    largest = max(lesions, key=lambda one: one.longest_diameter.length_mm)
    centre = np.mean([one.mask.centroid_lps_mm for one in lesions], axis=0)
    if len(lesions) == 1:
        # The slice of the longest diameter: the one a reader measures in.
        centre[2] = largest.longest_diameter.ends_lps_mm[:, 2].mean()
    return np.asarray(centre)


def _measure_spread(lesions: Sequence[MeasuredLesion]) -> float:
    if not lesions:
        return 0.0
    points = np.concatenate([one.longest_diameter.ends_lps_mm for one in lesions])
    return float(np.ptp(points, axis=0)[:2].max())


def _lay_plane(volume: Volume, centre: FloatArray, *, size_mm: float) -> Plane:
    whole = derive_axial_plane(volume.grid, through_lps_mm=centre, pixel_mm=PIXEL_MM)
    height = size_mm
    width = size_mm * (PAIR_MM[0] * 0.496) / (PAIR_MM[1] * (1 - BAND))
    return crop_plane(whole, centre_lps_mm=centre, height_mm=height, width_mm=width)


def _draw_slice(axes: Axes, volume: Volume, plane: Plane) -> None:
    _show(axes, sample_volume(volume, plane), plane)


def _show(axes: Axes, picture: Any, plane: Plane) -> None:
    low = WINDOW_LEVEL_HU - WINDOW_WIDTH_HU / 2
    axes.set_axis_off()
    axes.imshow(
        picture, cmap="gray", vmin=low, vmax=low + WINDOW_WIDTH_HU, interpolation="bilinear", aspect="auto"
    )
    axes.set_xlim(-0.5, plane.shape[1] - 0.5)
    axes.set_ylim(plane.shape[0] - 0.5, -0.5)


def _draw_lesion(axes: Axes, plane: Plane, lesion: MeasuredLesion, *, strong: bool) -> None:
    for outline in trace_outlines(sample_mask(lesion.mask, plane)):
        axes.plot(
            outline[:, 1], outline[:, 0], color=palette.INJECTED if strong else palette.NON_INJECTED,
            linewidth=1.3 if strong else 0.7, linestyle="-" if strong else (0, (3, 2)),
        )  # fmt: skip
    if not strong:
        return
    ends = lesion.longest_diameter.ends_lps_mm
    if np.abs(plane.measure_distance_mm(ends)).max() < 0.5 * float(
        lesion.mask.grid.spacing_mm[lesion.mask.grid.slice_axis]
    ):
        pixels = plane.to_pixel(ends)
        axes.plot(pixels[:, 1], pixels[:, 0], color=palette.NEEDLE, linewidth=0.9, marker="|", markersize=4)


def _draw_cross(axes: Axes, plane: Plane, centre: FloatArray) -> None:
    row, column = plane.to_pixel(centre)
    axes.plot([column], [row], marker="+", markersize=14, markeredgewidth=1.2, color=palette.NEEDLE)


def _draw_words(axes: Axes, plane: Plane) -> None:
    from matplotlib.patheffects import withStroke

    rows, columns = plane.shape
    axes.text(4, rows / 2, "R", color="white", fontsize=POINTS, va="center")
    axes.text(columns - 5, rows / 2, "L", color="white", fontsize=POINTS, va="center", ha="right")
    length = 20.0 / plane.pixel_mm
    axes.plot([6, 6 + length], [rows - 8, rows - 8], color="white", linewidth=1.5)
    axes.text(6, rows - 11, "20 mm", color="white", fontsize=POINTS)
    axes.text(
        columns - 5, rows - 7, f"z {plane.origin_lps_mm[2]:.0f} mm  L {WINDOW_LEVEL_HU:g} W {WINDOW_WIDTH_HU:g}",
        color="white", fontsize=POINTS, ha="right",
    )  # fmt: skip
    for text in axes.texts:
        text.set_path_effects([withStroke(linewidth=1.6, foreground=palette.CASING)])


def _title(word: str, lesions: Sequence[MeasuredLesion]) -> str:
    if not lesions:
        return f"{word}: no lesion at the registered place"
    parts = [
        f"{one.lesion_id} {one.longest_diameter.length_mm:.0f} mm, {one.volume_ml:.1f} mL" for one in lesions
    ]
    return f"{word}: " + "; ".join(parts)


def _draw_checkerboard(axes: Axes, tracked: Tracked, plane: Plane) -> None:
    rows, columns = np.indices(plane.shape)
    points = plane.to_lps_mm(np.stack([rows, columns], axis=-1)).reshape(-1, 3)
    moved = tracked.registration.scan_map.to_moving(points)
    first = sample_volume(tracked.baseline.image.volume, plane)
    second = _sample(tracked.followup, moved, tracked.followup.image.volume.values, fill=-1000.0)
    size = SQUARE_MM / plane.pixel_mm
    odd = ((rows // size + columns // size) % 2).astype(bool)
    _show(axes, np.where(odd, second.reshape(plane.shape), first), plane)
    region = tracked.followup.side.region
    there = _sample(tracked.followup, moved, region.to_full().astype(np.float32), fill=0.0).reshape(
        plane.shape
    )
    for membership, style in ((sample_mask(tracked.baseline.side.region, plane), "-"), (there, (0, (3, 2)))):
        for outline in trace_outlines(membership):
            axes.plot(outline[:, 1], outline[:, 0], color=palette.NEEDLE, linewidth=0.8, linestyle=style)
    _draw_words(axes, plane)


def _sample(visit: TrackedVisit, points: FloatArray, values: Any, *, fill: float) -> Any:
    from scipy import ndimage

    index = visit.image.volume.grid.to_index(points).T
    return ndimage.map_coordinates(values, index, order=1, mode="constant", cval=fill, output=np.float32)
