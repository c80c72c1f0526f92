"""The skin map on the body, seen from three sides, head up."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from hepatica.adapters.reports import palette
from hepatica.adapters.reports.needle_marks import DOTS_PER_INCH
from hepatica.adapters.reports.picture_frame import Picture
from hepatica.adapters.reports.pictures import MM_PER_INCH, to_png
from hepatica.adapters.reports.skin_legend import LegendEntry, derive_codes
from hepatica.adapters.reports.skin_map_pictures import MapSubject, derive_label_angle
from hepatica.core.geometry import FloatArray
from hepatica.imaging.mask import find_box

if TYPE_CHECKING:
    from matplotlib.axes import Axes

VIEWS: Final = (
    (-52.0, "from the patient's right"),
    (0.0, "from the front"),
    (52.0, "from the patient's left"),
)
"""Direction of the viewer, as the angle around the body from its front, positive to the patient's left."""
BACK_VIEWS: Final = (
    (128.0, "from the patient's left"),
    (180.0, "from the back"),
    (-128.0, "from the patient's right"),
)
"""The same for a patient who lies on the front."""
ELEVATION_DEG: Final = 12.0
"""The viewer looks slightly down from the head's side."""
WIDTH_MM: Final = 190.0
GAP_MM: Final = 3.0
HEAD_MM: Final = 7.0
PIXEL_MM: Final = 1.0
REACH_MM: Final = 3.6
NEIGHBOURS: Final = 6
"""Of these nearest points in the picture the one nearest to the viewer is shown: what is behind stays hidden."""
DARKEST: Final = 0.55
LEAST_FACING: Final = 0.1
"""Cosine to the viewer below which an entry counts as out of sight."""
LABEL_MM: Final = 12.0


def draw_body_views(subject: MapSubject) -> Picture:
    """Draw the map on the body from three sides, with entries and the lesion's outline seen through the skin."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    codes, legend = derive_codes(subject.skin_map, subject.costs)
    gravity = subject.gravity_lps
    prone = isinstance(gravity, np.ndarray) and gravity[1] < -0.5
    views = BACK_VIEWS if prone else VIEWS
    frames = [derive_axes(angle) for angle, _ in views]
    centre = 0.5 * (
        subject.skin_map.skin.points_lps_mm.min(axis=0) + subject.skin_map.skin.points_lps_mm.max(axis=0)
    )
    flats = [(subject.skin_map.skin.points_lps_mm - centre) @ axes.T for axes in frames]
    spans = [np.ptp(flat[:, :2], axis=0) + 8.0 for flat in flats]
    scale = (WIDTH_MM - GAP_MM * (len(views) + 1)) / sum(span[0] for span in spans)
    height = max(span[1] for span in spans) * scale
    total = height + HEAD_MM
    figure = Figure(
        figsize=(WIDTH_MM / MM_PER_INCH, total / MM_PER_INCH), dpi=DOTS_PER_INCH, facecolor="white"
    )
    canvas = FigureCanvasAgg(figure)
    left = GAP_MM
    for (_, words), axes_lps, flat, span in zip(views, frames, flats, spans, strict=True):
        width = span[0] * scale
        panel = figure.add_axes((left / WIDTH_MM, 0.0, width / WIDTH_MM, height / total))
        left += width + GAP_MM
        _draw_view(panel, subject, codes, legend, axes_lps, flat=flat, centre=centre)
        panel.set_title(words, fontsize=7, weight="bold", color=palette.INK, pad=3)
    marks = ", ".join(mark.name for mark in subject.marks if mark.first)
    return Picture(
        name=f"skin-map-{subject.skin_map.lesion_id}-body",
        png=to_png(canvas),
        title="On the body, head up; colours as in the flat map. Dashed: the lesion, seen through the skin.",
        alt=f"The skin map of {subject.skin_map.lesion_id} on the body from three sides"
        + (f", with the entries {marks}." if marks else ", without an entry."),
    )


def derive_axes(angle_deg: float) -> FloatArray:
    """Return right, up and towards-the-viewer as rows, for a viewer at an angle around the body."""
    turn, tilt = np.radians(angle_deg), np.radians(ELEVATION_DEG)
    back = np.array([np.sin(turn) * np.cos(tilt), -np.cos(turn) * np.cos(tilt), np.sin(tilt)])
    right = np.cross([0.0, 0.0, 1.0], back)
    right /= np.linalg.norm(right)
    return np.stack([right, np.cross(back, right), back])


def _draw_view(
    panel: Axes,
    subject: MapSubject,
    codes: NDArray[np.int64],
    legend: tuple[LegendEntry, ...],
    axes_lps: FloatArray,
    *,
    flat: FloatArray,
    centre: FloatArray,
) -> None:
    skin = subject.skin_map.skin
    facing = skin.normals_lps @ axes_lps[2]
    front = np.flatnonzero(facing > 0.02)
    low, high = flat[:, :2].min(axis=0) - 4.0, flat[:, :2].max(axis=0) + 4.0
    shown = _find_shown(flat[front], low, high)
    colours = np.ones((len(codes), 3))
    for entry in legend:
        colours[codes == entry.code] = _rgb(entry.colour)
    lit = DARKEST + (1.0 - DARKEST) * np.clip(facing, 0, 1) ** 0.7
    picture = np.ones((*shown.shape, 3))
    here = shown >= 0
    number = front[shown[here]]
    picture[here] = colours[number] * lit[number, None]
    panel.imshow(
        picture, extent=(low[0], high[0], low[1], high[1]), origin="upper", interpolation="antialiased",
        aspect="auto",
    )  # fmt: skip
    panel.set_xlim(low[0], high[0])
    panel.set_ylim(low[1], high[1])
    panel.set_axis_off()
    _draw_lesion(panel, subject, axes_lps, centre)
    _draw_entries(panel, subject, axes_lps, centre)


def _find_shown(flat: FloatArray, low: FloatArray, high: FloatArray) -> NDArray[np.int64]:
    """Return for each pixel the number of the point shown there, -1 for none; rows from top to bottom."""
    from scipy.spatial import cKDTree

    columns, rows = np.ceil((high - low) / PIXEL_MM).astype(int)
    across = low[0] + (np.arange(columns) + 0.5) * (high[0] - low[0]) / columns
    height = high[1] - (np.arange(rows) + 0.5) * (high[1] - low[1]) / rows
    places = np.stack(np.meshgrid(across, height), axis=-1).reshape(-1, 2)
    away, near = cKDTree(flat[:, :2]).query(places, k=NEIGHBOURS, distance_upper_bound=REACH_MM)
    depth = np.append(flat[:, 2], -np.inf)[near]
    # The nearest point wins unless another lies clearly in front of it.
    worth = depth - 3.0 * np.where(np.isfinite(away), away, np.inf)
    best = near[np.arange(len(near)), np.argmax(np.where(np.isfinite(worth), worth, -1e9), axis=1)]
    return np.asarray(np.where(best == len(flat), -1, best).reshape(rows, columns), dtype=np.int64)


def _rgb(colour: str) -> tuple[float, float, float]:
    red, green, blue = (int(colour[k : k + 2], 16) / 255 for k in (1, 3, 5))
    return red, green, blue


def _draw_lesion(panel: Axes, subject: MapSubject, axes_lps: FloatArray, centre: FloatArray) -> None:
    from scipy.ndimage import binary_erosion
    from scipy.spatial import ConvexHull

    mask = subject.mask
    if find_box(mask.crop) is None:
        return
    solid = np.pad(mask.crop, 1)
    surface = solid & ~binary_erosion(solid)
    index = np.argwhere(surface) - 1 + np.array(mask.start_ijk)
    halves = 0.5 * np.array([[a, b, c] for a in (-1, 1) for b in (-1, 1) for c in (-1, 1)])
    corners = (index[:, None, :] + halves).reshape(-1, 3)
    flat = (mask.grid.to_lps_mm(corners) - centre) @ axes_lps[:2].T
    outline = flat[ConvexHull(flat).vertices]
    outline = np.vstack([outline, outline[:1]])
    for colour, width in (("white", 2.0), (palette.INJECTED, 1.1)):
        panel.plot(outline[:, 0], outline[:, 1], color=colour, linewidth=width, dashes=(3, 1.6), zorder=5)
    middle = flat.mean(axis=0)
    panel.text(
        middle[0], outline[:, 1].min() - 7.0, subject.skin_map.lesion_id, fontsize=6.5, weight="bold",
        ha="center", va="center", color=palette.INJECTED, path_effects=_halo(), zorder=8,
    )  # fmt: skip


def _draw_entries(panel: Axes, subject: MapSubject, axes_lps: FloatArray, centre: FloatArray) -> None:
    skin = subject.skin_map.skin
    seen = {
        mark.name: (mark.point_lps_mm - centre) @ axes_lps[:2].T
        for mark in subject.marks
        if skin.normals_lps[subject.skin_map.find_nearest(mark.point_lps_mm)] @ axes_lps[2] >= LEAST_FACING
    }
    for mark in sorted(subject.marks, key=lambda mark: mark.first):
        if mark.name not in seen:
            continue
        at = seen[mark.name]
        panel.plot(
            at[0], at[1], marker="o", markersize=4.6 if mark.first else 2.4, color=palette.NEEDLE,
            markeredgecolor=palette.CASING, markeredgewidth=0.8 if mark.first else 0.5, zorder=6,
        )  # fmt: skip
        if mark.first:
            turn = derive_label_angle(at, [other for name, other in seen.items() if name != mark.name])
            panel.text(
                at[0] + LABEL_MM * np.cos(turn), at[1] + LABEL_MM * np.sin(turn), mark.name, fontsize=6.2,
                weight="bold", ha="center", va="center", color=palette.INK, path_effects=_halo(), zorder=8,
            )  # fmt: skip


def _halo() -> list[Any]:
    from matplotlib import patheffects

    return [patheffects.withStroke(linewidth=2.0, foreground="white")]
