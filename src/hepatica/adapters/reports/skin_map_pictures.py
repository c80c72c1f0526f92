"""Pictures of the skin map: laid flat with a scale in centimetres, and on the body from three sides."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from hepatica.adapters.reports import palette
from hepatica.adapters.reports.needle_marks import DOTS_PER_INCH
from hepatica.adapters.reports.picture_frame import Picture
from hepatica.adapters.reports.pictures import MM_PER_INCH, to_png
from hepatica.adapters.reports.puncture_view import find_slice_words
from hepatica.adapters.reports.skin_legend import (
    BAND_COLOURS,
    FIRST_BLOCKED,
    LegendEntry,
    derive_codes,
)
from hepatica.adapters.reports.skin_unwrap import PIXEL_MM, Unwrapping, derive_unwrapping, rasterise
from hepatica.core.findings import NotEvaluable
from hepatica.core.geometry import FloatArray, Grid
from hepatica.imaging.mask import Mask
from hepatica.planning.path.limit_costs import LimitCosts
from hepatica.planning.path.skin_map import SkinMap
from hepatica.workflows.ports import ImageFacts

if TYPE_CHECKING:
    from matplotlib.axes import Axes

WIDTH_MM: Final = 190.0
LEFT_MM: Final = 11.0
RIGHT_MM: Final = 17.0
TOP_MM: Final = 9.0
BOTTOM_MM: Final = 5.0
LEGEND_LINE_MM: Final = 4.6
MOST_MAP_MM: Final = 150.0
TICK_CM: Final = 5
LEAST_LABEL_MM: Final = 7.0
"""Blocked patches that hold no circle of this radius bear no name in the map; the legend names them."""
LETTER_MM: Final = 1.15
LINE_MM: Final = 2.6
"""Size of the names in print."""
SIDES: Final = (
    (-180.0, "BACK"),
    (-90.0, "PATIENT RIGHT"),
    (0.0, "FRONT"),
    (90.0, "PATIENT LEFT"),
    (180.0, "BACK"),
)
HATCH_INK: Final = "#7C7C7C"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class MapMark:
    """An entry on the map: ``first`` ones are drawn large."""

    name: str
    point_lps_mm: FloatArray
    first: bool


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class MapSubject:
    """Everything a picture of a skin map shows.

    Parameters
    ----------
    skin_map, costs
        Map; limits that name blocked skin, if they were derived.
    mask
        The lesion, whose height is marked.
    marks
        Entries of the plan.
    grid, facts
        Scan, for image numbers.
    gravity_lps
        (3,) unit vector, or why unknown.
    """

    skin_map: SkinMap
    costs: LimitCosts | None
    mask: Mask
    marks: tuple[MapMark, ...]
    grid: Grid
    facts: ImageFacts
    gravity_lps: FloatArray | NotEvaluable


def draw_flat_map(subject: MapSubject, *, hatch: bool = True) -> Picture:
    """Draw the skin laid flat: head up, front in the middle, patient right on the left, back at both ends."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    points = subject.skin_map.skin.points_lps_mm
    unwrapping = derive_unwrapping(points)
    codes, legend = derive_codes(subject.skin_map, subject.costs)
    shown, extent = rasterise(unwrapping, points)
    width = WIDTH_MM - LEFT_MM - RIGHT_MM
    height = min(MOST_MAP_MM, width * (extent[3] - extent[2]) / (extent[1] - extent[0]))
    lines = -(-(len(legend) + 1) // LEGEND_COLUMNS)
    below = BOTTOM_MM + LEGEND_LINE_MM * lines
    total = TOP_MM + height + below
    figure = Figure(
        figsize=(WIDTH_MM / MM_PER_INCH, total / MM_PER_INCH), dpi=DOTS_PER_INCH, facecolor="white"
    )
    canvas = FigureCanvasAgg(figure)
    axes = figure.add_axes((LEFT_MM / WIDTH_MM, below / total, width / WIDTH_MM, height / total))
    raster = np.where(shown >= 0, codes[np.maximum(shown, 0)], -1)
    _fill(axes, raster, legend, extent, hatch=hatch)
    _draw_sides(axes, unwrapping, extent)
    _draw_scales(axes, subject, extent)
    _name_patches(axes, raster, legend, extent)
    _draw_marks(axes, subject, unwrapping, extent)
    _draw_legend(figure, legend, subject, height_mm=total)
    return Picture(
        name=f"skin-map-{subject.skin_map.lesion_id}",
        png=to_png(canvas),
        title=_say_title(subject, unwrapping),
        alt=_say_map(subject, legend),
    )


def _say_title(subject: MapSubject, unwrapping: Unwrapping) -> str:
    text = (
        "Skin laid flat, seen from the front, head up. Lengths across are true to "
        f"{unwrapping.stretch_percent:.0f} % (9 of 10 points); lengths from head to feet are true."
    )
    if isinstance(subject.gravity_lps, NotEvaluable):
        text += f" Table side not marked: {subject.gravity_lps.reason}; no skin is closed for it."
    return text


def _say_map(subject: MapSubject, legend: tuple[LegendEntry, ...]) -> str:
    marks = ", ".join(mark.name for mark in subject.marks) or "none"
    parts = "; ".join(f"{entry.words} {entry.area_cm2:.0f} cm²" for entry in legend)
    return (
        f"Map of the skin for {subject.skin_map.lesion_id}, unrolled around the body, front in the middle, patient "
        f"right on the left, head up. {parts}. Entries marked: {marks}."
    )


def _fill(
    axes: Axes,
    raster: NDArray[np.int64],
    legend: tuple[LegendEntry, ...],
    extent: tuple[float, float, float, float],
    *,
    hatch: bool,
) -> None:
    from matplotlib import rc_context
    from matplotlib.colors import to_rgb

    picture = np.ones((*raster.shape, 3))
    for entry in legend:
        picture[raster == entry.code] = to_rgb(entry.colour)
    axes.imshow(picture, extent=extent, origin="upper", interpolation="nearest", aspect="auto")
    across = np.linspace(extent[0], extent[1], raster.shape[1])
    height = np.linspace(extent[3], extent[2], raster.shape[0])
    with rc_context({"hatch.linewidth": 0.35, "hatch.color": HATCH_INK}):
        for entry in legend if hatch else ():
            if entry.hatch and (raster == entry.code).any():
                filled = axes.contourf(
                    across, height, (raster == entry.code).astype(float), levels=[0.5, 1.5],
                    hatches=[entry.hatch], colors="none",
                )  # fmt: skip
                filled.set_edgecolor(HATCH_INK)
                filled.set_linewidth(0)
    free = (raster >= 0) & (raster < len(BAND_COLOURS))
    if free.any() and not free.all():
        axes.contour(across, height, free.astype(float), levels=[0.5], colors=palette.INK, linewidths=0.7)
    axes.set_xlim(extent[0], extent[1])
    axes.set_ylim(extent[2], extent[3])
    for side in axes.spines.values():
        side.set_linewidth(0.5)
        side.set_color(palette.OTHER)


def _draw_sides(axes: Axes, unwrapping: Unwrapping, extent: tuple[float, float, float, float]) -> None:
    for angle, word in SIDES:
        at = unwrapping.find_along_mm(angle)
        edge = abs(angle) == 180.0
        if not edge:
            axes.plot([at, at], [extent[2], extent[3]], color=palette.INK, linewidth=0.4, dashes=(2, 3))
        axes.annotate(
            word, (at, extent[3]), xytext=(0, 11.5), textcoords="offset points", fontsize=7, weight="bold",
            ha="left" if angle == -180 else "right" if angle == 180 else "center", va="center",
            color=palette.INK, annotation_clip=False,
        )  # fmt: skip


def _draw_scales(axes: Axes, subject: MapSubject, extent: tuple[float, float, float, float]) -> None:
    """Draw centimetres above, from the front, and images at the right."""
    step = TICK_CM * 10.0
    ticks = np.arange(np.ceil(extent[0] / step), np.floor(extent[1] / step) + 1) * step
    axes.set_xticks(ticks, [f"{abs(t) / 10:.0f}" for t in ticks])
    axes.xaxis.tick_top()
    axes.tick_params(axis="both", length=2, width=0.5, pad=1.2, labelsize=5.2, colors="#3C464E")
    axes.annotate(
        "cm from the front", (extent[1], extent[2]), xytext=(0, -4.5), textcoords="offset points",
        fontsize=5.2, ha="right", va="center", color="#3C464E", annotation_clip=False,
    )  # fmt: skip
    count = max(2, min(9, int((extent[3] - extent[2]) / 20.0)))
    axis = subject.grid.slice_axis
    x, y = (subject.grid.bounds_lps_mm[0, :2] + subject.grid.bounds_lps_mm[1, :2]) / 2
    places, words = [], []
    for height in np.linspace(extent[2] + 4.0, extent[3] - 4.0, count):
        index = subject.grid.to_index(np.array([x, y, height]))
        index[axis] = np.rint(index[axis])
        point = subject.grid.to_lps_mm(index)
        if abs(point[2] - height) < step:
            places.append(float(point[2]))
            words.append(find_slice_words(point, subject.grid, subject.facts).image.split(" of ")[0])
    axes.set_yticks(places, words)
    axes.yaxis.tick_right()
    low, high = measure_height_mm(subject.mask)
    edge = extent[0] - 0.012 * (extent[1] - extent[0])
    axes.plot(
        [edge, edge], [max(low, extent[2]), min(high, extent[3])], color=palette.INJECTED, linewidth=2.2,
        clip_on=False, solid_capstyle="butt",
    )  # fmt: skip
    axes.annotate(
        subject.skin_map.lesion_id, (edge, 0.5 * (max(low, extent[2]) + min(high, extent[3]))),
        xytext=(-3, 0), textcoords="offset points", fontsize=6.5, weight="bold", ha="right", va="center",
        color=palette.INJECTED, annotation_clip=False,
    )  # fmt: skip
    for height, word, where in ((extent[3], "H", "top"), (extent[2], "F", "bottom")):
        axes.annotate(
            word, (extent[0], height), xytext=(-7, 0), textcoords="offset points", fontsize=7.5, weight="bold",
            ha="right", va=where, color=palette.INK, annotation_clip=False,
        )  # fmt: skip


def measure_height_mm(mask: Mask) -> tuple[float, float]:
    """Return the lowest and highest z of a mask's voxel centres."""
    index = np.argwhere(mask.crop) + np.array(mask.start_ijk)
    z = mask.grid.to_lps_mm(index)[:, 2]
    return float(z.min()), float(z.max())


def _halo(width: float) -> list[Any]:
    from matplotlib import patheffects

    return [patheffects.withStroke(linewidth=width, foreground="white")]


def _name_patches(
    axes: Axes,
    raster: NDArray[np.int64],
    legend: tuple[LegendEntry, ...],
    extent: tuple[float, float, float, float],
) -> None:
    """Write the limit's name into every blocked patch with room for it, largest first, never over another name."""
    from scipy import ndimage

    rows, columns = raster.shape
    places = []
    for entry in legend:
        if entry.code < FIRST_BLOCKED or not entry.hatch:
            continue
        patches, count = ndimage.label(ndimage.binary_closing(raster == entry.code, iterations=2))
        for number in range(1, count + 1):
            inside = np.pad(patches == number, 1)
            depth = ndimage.distance_transform_edt(inside)[1:-1, 1:-1]
            deepest = np.unravel_index(int(depth.argmax()), depth.shape)
            if depth.max() * PIXEL_MM >= LEAST_LABEL_MM:
                at = (float(deepest[0]) + 0.5, float(deepest[1]) + 0.5)
                places.append((-float(depth.max()), *at, entry.words))
    mm_per_map_mm = (extent[1] - extent[0]) / (WIDTH_MM - LEFT_MM - RIGHT_MM)
    written: list[tuple[float, float, float]] = []
    for _, row, column, words in sorted(places):
        half = 0.5 * LETTER_MM * len(words) * mm_per_map_mm
        middle = extent[0] + column * (extent[1] - extent[0]) / columns
        x = float(np.clip(middle, extent[0] + half, extent[1] - half))
        y = extent[3] - row * (extent[3] - extent[2]) / rows
        line = LINE_MM * mm_per_map_mm
        if any(abs(y - b) < line and abs(x - a) < half + other for a, b, other in written):
            continue
        written.append((x, y, half))
        axes.text(
            x, y, words, fontsize=5.6, ha="center", va="center", color=palette.INK, path_effects=_halo(1.8),
            parse_math=False,
        )  # fmt: skip


def _draw_marks(
    axes: Axes, subject: MapSubject, unwrapping: Unwrapping, extent: tuple[float, float, float, float]
) -> None:
    """Draw every entry; the plan's own by name, each name on the side away from the other entries."""
    places = {mark.name: unwrapping.to_flat_mm(mark.point_lps_mm)[0] for mark in subject.marks}
    for mark in sorted(subject.marks, key=lambda mark: mark.first):
        at = places[mark.name]
        axes.plot(
            at[0], at[1], marker="o", markersize=5.6 if mark.first else 2.9, color=palette.NEEDLE,
            markeredgecolor=palette.CASING, markeredgewidth=0.9 if mark.first else 0.6, zorder=6 + mark.first,
        )  # fmt: skip
        if not mark.first:
            continue
        others = [other for name, other in places.items() if name != mark.name]
        turn = derive_label_angle(at, others)
        away = 9.0 * np.array([np.cos(turn), np.sin(turn)])
        axes.annotate(
            mark.name, (at[0], at[1]), xytext=tuple(away), textcoords="offset points", fontsize=7,
            weight="bold", ha="center", va="center", color=palette.INK, path_effects=_halo(2.2), zorder=9,
        )  # fmt: skip


def derive_label_angle(at: FloatArray, others: list[FloatArray]) -> float:
    """Return the direction, in radians, in which a name is farthest from all other places.

    Examples
    --------
    >>> round(np.degrees(derive_label_angle(np.zeros(2), [np.array([10.0, 0.0])])))
    180
    """
    turns = np.radians(np.arange(0, 360, 15))
    if not others:
        return float(np.pi / 2)
    ends = at + 22.0 * np.stack([np.cos(turns), np.sin(turns)], axis=1)
    room = np.min([np.linalg.norm(ends - other, axis=1) for other in others], axis=0)
    return float(turns[int(np.argmax(np.round(room, 6)))])


LEGEND_COLUMNS: Final = 4


def _draw_legend(
    figure: Any, legend: tuple[LegendEntry, ...], subject: MapSubject, *, height_mm: float
) -> None:
    from matplotlib import rc_context
    from matplotlib.patches import Rectangle

    lines = -(-(len(legend) + 1) // LEGEND_COLUMNS)
    size = (5.0 / WIDTH_MM, 2.9 / height_mm)
    with rc_context({"hatch.linewidth": 0.35, "hatch.color": HATCH_INK}):
        for n, entry in enumerate(legend):
            x, y = _find_legend_place(n, lines, height_mm)
            options: dict[str, Any] = {"transform": figure.transFigure}
            figure.add_artist(
                Rectangle(
                    (x, y), *size, facecolor=entry.colour, edgecolor=palette.INK, linewidth=0.4, **options
                )
            )
            if entry.hatch:
                options |= {"fill": False, "hatch": entry.hatch * 2, "edgecolor": HATCH_INK, "linewidth": 0}
                figure.add_artist(Rectangle((x, y), *size, **options))
            _say_legend(figure, x, y, f"{entry.words}, {_say_area(entry.area_cm2)}", height_mm=height_mm)
    x, y = _find_legend_place(len(legend), lines, height_mm)
    dots = "large dots: plan, backup; small: others" if subject.marks else "no path in the plan"
    _say_legend(figure, x - 6.4 / WIDTH_MM, y, dots, height_mm=height_mm)


def _find_legend_place(number: int, lines: int, height_mm: float) -> tuple[float, float]:
    """Bands fill the first line from best to worst; limits follow."""
    column, line = number % LEGEND_COLUMNS, number // LEGEND_COLUMNS
    x = (LEFT_MM + column * (WIDTH_MM - LEFT_MM - 4.0) / LEGEND_COLUMNS) / WIDTH_MM
    return x, ((lines - line - 0.8) * LEGEND_LINE_MM + 1.0) / height_mm


def _say_legend(figure: Any, x: float, y: float, words: str, *, height_mm: float) -> None:
    figure.text(
        x + 6.4 / WIDTH_MM, y + 1.35 / height_mm, words, fontsize=5.8, va="center", color=palette.INK,
        parse_math=False,
    )  # fmt: skip


def _say_area(area_cm2: float) -> str:
    return f"{area_cm2:.0f} cm²" if area_cm2 >= 0.95 else f"{area_cm2:.1f} cm²"
