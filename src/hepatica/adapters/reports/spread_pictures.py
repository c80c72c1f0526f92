"""Pictures of a predicted spread: three slices through the deposits, its histogram, and the lesion in space."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from hepatica.adapters.reports import palette
from hepatica.adapters.reports.picture_frame import SMALLEST_PIXEL_MM, Frame, Picture
from hepatica.adapters.reports.pictures import MM_PER_INCH, _draw_edges, _draw_lesions, _start, to_png
from hepatica.adapters.reports.scene3d import (
    FINE_STEP_MM,
    SCENE_DOTS_PER_INCH,
    Camera,
    Field,
    Look,
    _find_front,
    _measure_lesion,
    _rgb,
    _trace,
    blend_layers,
    derive_camera,
    measure_field,
)
from hepatica.adapters.reports.strokes import draw_line, outline_text, write_text
from hepatica.adapters.reports.wording import to_unit_words
from hepatica.core.findings import NotEvaluable
from hepatica.core.geometry import FloatArray
from hepatica.imaging.reformat import (
    PATIENT_BACK_LPS,
    PATIENT_HEAD_LPS,
    PATIENT_LEFT_LPS,
    Plane,
    name_direction,
    sample_volume,
)
from hepatica.imaging.volume import Volume
from hepatica.planning.path.values import Puncture
from hepatica.planning.spread.scene import SpreadScene
from hepatica.planning.spread.simulate import SpreadOutcome
from hepatica.planning.spread.tissue import SpreadTissue
from hepatica.workflows.ports import PlanContext
from hepatica.workflows.spread_scenes import read_grid_limits
from hepatica.workflows.spread_values import LesionSpread

if TYPE_CHECKING:
    from matplotlib.axes import Axes

NEEDLE_END_MM: Final = 30.0
SLICE_FRAME: Final = Frame(width_mm=62.0, height_mm=62.0)
CURVE_FRAME: Final = Frame(width_mm=94.0, height_mm=66.0)
SPACE_FRAME: Final = Frame(width_mm=92.0, height_mm=66.0)
SHARES: Final = (0.05, 0.25, 0.5, 0.75, 0.95, 1.0)
"""Steps of the share of draws on the slices; the set share among them is drawn as a line."""
SHARE_OPACITY: Final = (0.30, 0.42, 0.54, 0.66, 0.80)
SEEN_SHARE: Final = 0.05
"""Below it nothing is drawn."""
CURVE_DOTS_PER_INCH: Final = 220


def draw_spread(context: PlanContext, lesion: LesionSpread) -> dict[str, Picture]:
    """Draw the pictures of one lesion's prediction; none where there is no prediction.

    Parameters
    ----------
    context
        Plan and scan.
    lesion
        The prediction.
    """
    scene, outcome = lesion.site.scene, lesion.outcome
    if isinstance(scene, NotEvaluable) or isinstance(outcome, NotEvaluable):
        return {}
    through = _find_centre(lesion)
    middle = scene.grid.bounds_lps_mm.mean(axis=0)
    side_mm = float(np.ptp(scene.grid.bounds_lps_mm, axis=0).max())
    axes = {
        "axial": (PATIENT_LEFT_LPS, PATIENT_BACK_LPS),
        "coronal": (PATIENT_LEFT_LPS, -PATIENT_HEAD_LPS),
        "sagittal": (PATIENT_BACK_LPS, -PATIENT_HEAD_LPS),
    }
    slices = {
        name: _draw_slice(
            context,
            lesion,
            outcome,
            plane=_lay_plane(through, middle, (right, down), side_mm=side_mm),
            name=name,
        )
        for name, (right, down) in axes.items()
    }
    return {
        **slices,
        "histogram": _draw_histogram(lesion, outcome),
        "space": _draw_space(context, lesion, scene, outcome),
    }


def _find_centre(lesion: LesionSpread) -> FloatArray:
    points = np.array([one.deposit.point_lps_mm for one in lesion.site.deposits], dtype=np.float64)
    volumes = np.array([one.deposit.volume_ml for one in lesion.site.deposits])
    return np.asarray(np.average(points, axis=0, weights=volumes))


def _lay_plane(
    through: FloatArray, middle: FloatArray, axes: tuple[FloatArray, FloatArray], *, side_mm: float
) -> Plane:
    """Lay a square plane through a point, its picture centred on the foot of another."""
    right, down = axes
    normal = np.cross(right, down)
    centre = middle + ((through - middle) @ normal) * normal
    count = max(2, round(side_mm / SMALLEST_PIXEL_MM))
    half = SMALLEST_PIXEL_MM * (count - 1) / 2
    return Plane(
        origin_lps_mm=centre - half * (right + down),
        right_lps=right,
        down_lps=down,
        pixel_mm=SMALLEST_PIXEL_MM,
        shape=(count, count),
    )


def _draw_needle_end(axes: Axes, plane: Plane, entry: FloatArray, tip: FloatArray) -> None:
    """Draw the last stretch of a needle: further back a turned needle does not lie on this line."""
    back = (entry - tip) / float(np.linalg.norm(entry - tip))
    ends = np.stack([tip + NEEDLE_END_MM * back, tip])
    draw_line(axes, plane.to_pixel(ends), color=palette.NEEDLE, linewidth=0.9, linestyle=(0, (2.5, 2.0)))


def _draw_slice(
    context: PlanContext, lesion: LesionSpread, outcome: SpreadOutcome, *, plane: Plane, name: str
) -> Picture:
    scene = lesion.site.scene
    assert not isinstance(scene, NotEvaluable)
    canvas, axes = _start(context, plane, SLICE_FRAME)
    share = sample_volume(Volume(values=outcome.coverage_probability, grid=scene.grid), plane, outside=0.0)
    _draw_shares(axes, share)
    _draw_lesions(axes, context, plane, ())
    _draw_vessels(axes, scene, plane)
    for one in lesion.site.deposits:
        _draw_needle_end(axes, plane, one.entry_lps_mm, one.deposit.point_lps_mm)
    for number, one in enumerate(lesion.site.deposits, start=1):
        row, column = plane.to_pixel(one.deposit.point_lps_mm)
        axes.plot(
            column,
            row,
            marker="o",
            markersize=2.6,
            color="white",
            markeredgecolor="black",
            markeredgewidth=0.5,
        )
        if number == 1:
            write_text(axes, np.array([row, column + 3.5 / plane.pixel_mm]), "1", fontsize=5.0)
    _draw_edges(axes, plane, plane.to_lps_mm(np.array([plane.shape[0], plane.shape[1]])))
    _draw_scale_short(axes, plane)
    _draw_share_key(axes)
    least = read_grid_limits()["covered_probability"].number
    return Picture(
        name=f"spread-{lesion.lesion_id}-{name}",
        png=to_png(canvas),
        title=f"{name.capitalize()} through the deposits; share of draws that reach",
        alt=f"{name.capitalize()} CT slice through the deposits of {lesion.lesion_id}. Shaded: share of the draws "
        f"in which tissue is reached; solid line: {least:.0%} of the draws. Lesion outlined, deposits as circles.",
    )


def _draw_shares(axes: Axes, share: Any) -> None:
    from matplotlib.colors import to_rgb

    red, green, blue = to_rgb(palette.SPREAD)
    shade = np.zeros((*share.shape, 4))
    shade[..., :3] = (red, green, blue)
    for low, opacity in zip(SHARES[:-1], SHARE_OPACITY, strict=True):
        shade[..., 3] = np.where(share >= low, opacity, shade[..., 3])
    axes.imshow(shade, interpolation="nearest", aspect="auto", zorder=1.2)
    least = read_grid_limits()["covered_probability"].number
    if share.max() >= least:
        axes.contour(share, levels=[least], colors=["white"], linewidths=[0.9], zorder=2)
    if share.max() >= SEEN_SHARE:
        axes.contour(
            share,
            levels=[SEEN_SHARE],
            colors=[palette.SPREAD],
            linewidths=[0.7],
            linestyles="dashed",
            zorder=2,
        )


def _draw_vessels(axes: Axes, scene: SpreadScene, plane: Plane) -> None:
    """Outline the vessels the simulation knows, on its own grid."""
    vessel = (scene.classes == SpreadTissue.VESSEL).astype(np.float32)
    if not vessel.any():
        return
    cut = sample_volume(Volume(values=vessel, grid=scene.grid), plane, outside=0.0)
    if cut.max() > 0.5:
        axes.contour(cut, levels=[0.5], colors=[palette.OTHER], linewidths=[0.9], linestyles="dotted")


def _draw_share_key(axes: Axes) -> None:
    from matplotlib.patches import Rectangle

    words = ("5", "25", "50", "75", "95 % of draws")
    for number, (opacity, word) in enumerate(zip(SHARE_OPACITY, words, strict=True)):
        x = 0.03 + 0.085 * number
        axes.add_patch(
            Rectangle((x, 0.945), 0.085, 0.022, transform=axes.transAxes, facecolor=palette.SPREAD,
                      alpha=opacity, edgecolor="white", linewidth=0.3, zorder=5)
        )  # fmt: skip
        axes.text(
            x,
            0.94,
            word,
            transform=axes.transAxes,
            color="white",
            fontsize=4.6,
            ha="left",
            va="top",
            zorder=5,
            path_effects=outline_text(1.4),
        )


def _draw_scale_short(axes: Axes, plane: Plane) -> None:
    """Draw a bar of 10 mm."""
    length = 10.0 / plane.pixel_mm
    row, column = plane.shape[0] * 0.955, plane.shape[1] * 0.03
    axes.plot([column, column + length], [row, row], color="white", linewidth=1.4)
    write_text(
        axes, np.array([row - 1.0 / plane.pixel_mm, column]), "10 mm", fontsize=5.0, ha="left", va="bottom"
    )


def _draw_histogram(lesion: LesionSpread, outcome: SpreadOutcome) -> Picture:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(
        figsize=(CURVE_FRAME.width_mm / MM_PER_INCH, CURVE_FRAME.height_mm / MM_PER_INCH),
        dpi=CURVE_DOTS_PER_INCH,
    )
    canvas = FigureCanvasAgg(figure)
    axes = figure.add_axes((0.125, 0.175, 0.85, 0.70))
    levels = np.array(outcome.levels_per_ml)
    low, middle, high = (
        100 * np.array([getattr(band, name) for band in outcome.histogram])
        for name in ("low", "middle", "high")
    )
    axes.fill_between(levels, low, high, color=palette.SPREAD, alpha=0.35, linewidth=0, label="5 to 95 %")
    axes.plot(levels, middle, color=palette.INK, linewidth=1.4, marker="o", markersize=3, label="median draw")
    axes.axvline(outcome.threshold_per_ml, color=palette.INK, linewidth=0.7, linestyle=(0, (4, 2)))
    axes.set_xscale("log")
    top = min(100.0, 1.25 * max(float(high.max()), 4.0))
    axes.set_ylim(0, top)
    axes.text(
        outcome.threshold_per_ml,
        top,
        " counts as reached",
        fontsize=5.6,
        ha="left",
        va="top",
        color=palette.INK,
    )
    unit = (
        "of the injected concentration"
        if lesion.unit == "ml"
        else f"{to_unit_words(lesion.unit)} per mL of tissue"
    )
    axes.set_xlabel(f"at least this much, {unit}", fontsize=6.6)
    axes.set_ylabel("% of viable tumour", fontsize=6.6)
    axes.tick_params(labelsize=6.2, width=0.6, length=2.5)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    axes.grid(axis="y", linewidth=0.3, color="#c9d0d5")
    axes.legend(fontsize=6.0, frameon=False, loc="upper right", bbox_to_anchor=(1.0, 1.0))
    axes.set_title(
        f"{lesion.lesion_id}: cumulative dose-volume histogram, {outcome.draws} draws",
        fontsize=7.0,
        loc="left",
    )
    return Picture(
        name=f"spread-{lesion.lesion_id}-histogram",
        png=to_png(canvas),
        title=f"How much of the viable tumour gets at least how much; the axis ends at {top:.0f} %",
        alt=f"Cumulative dose-volume histogram of the viable tumour of {lesion.lesion_id} with a 5 to 95 % band.",
    )


def _draw_space(
    context: PlanContext, lesion: LesionSpread, scene: SpreadScene, outcome: SpreadOutcome
) -> Picture:
    puncture = _find_puncture(context, lesion)
    axes = derive_camera(context, puncture, frame=SPACE_FRAME).axes
    columns, rows = (
        round(side / MM_PER_INCH * SCENE_DOTS_PER_INCH)
        for side in (SPACE_FRAME.width_mm, SPACE_FRAME.height_mm)
    )
    low, high = scene.grid.bounds_lps_mm
    camera = Camera(
        centre_lps_mm=(low + high) / 2,
        axes=axes,
        pixel_mm=float((high - low).max() / rows),
        shape=(rows, columns),
    )
    layers = [_trace(field, look, camera) for field, look in _list_fields(lesion, scene, outcome)]
    front = _find_front(layers[:1])
    picture = blend_layers([layer for layer in (*layers[1:], front) if layer is not None], camera.shape)
    least = read_grid_limits()["covered_probability"].number
    return Picture(
        name=f"spread-{lesion.lesion_id}-space",
        png=_label_space(picture, lesion, camera),
        title=f"In space, head up. Solid: reached in {least:.0%} of the draws; haze: in {SEEN_SHARE:.0%}",
        alt=f"Three-dimensional picture of {lesion.lesion_id} with the tissue reached around its deposits.",
    )


def _find_puncture(context: PlanContext, lesion: LesionSpread) -> Puncture:
    wanted = lesion.site.deposits[0].puncture_id
    return next(puncture for puncture in context.plan.punctures if puncture.puncture_id == wanted)


def _list_fields(
    lesion: LesionSpread, scene: SpreadScene, outcome: SpreadOutcome
) -> list[tuple[Field, Look]]:
    """Return the spread first, then what it lies in."""
    least = read_grid_limits()["covered_probability"].number
    step_mm = min(FINE_STEP_MM, scene.spacing_mm)
    found: list[tuple[Field | None, Look]] = [
        (
            measure_field(outcome.coverage_probability >= share, scene.grid, step_mm=step_mm),
            Look(colour=_rgb(palette.SPREAD), opacity=opacity, rim_opacity=rim),
        )
        for share, opacity, rim in ((least, 0.95, 1.0), (SEEN_SHARE, 0.28, 0.55))
    ]
    found.append(
        (
            _measure_lesion(lesion.site.lesion.mask),
            Look(colour=_rgb(palette.INJECTED), opacity=0.10, rim_opacity=0.75),
        )
    )
    found.append(
        (
            measure_field(scene.classes == SpreadTissue.VESSEL, scene.grid, step_mm=step_mm),
            Look(colour=_rgb(palette.VESSEL_SURFACE), opacity=0.6, rim_opacity=0.9),
        )
    )
    return [(field, look) for field, look in found if field is not None]


def _label_space(picture: FloatArray, lesion: LesionSpread, camera: Camera) -> bytes:
    from matplotlib import patheffects
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(
        figsize=(SPACE_FRAME.width_mm / MM_PER_INCH, SPACE_FRAME.height_mm / MM_PER_INCH),
        dpi=SCENE_DOTS_PER_INCH,
    )
    canvas = FigureCanvasAgg(figure)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_axis_off()
    axes.imshow(np.clip(picture, 0, 1), interpolation="antialiased", aspect="auto")
    rows, columns = camera.shape
    axes.set_xlim(-0.5, columns - 0.5)
    axes.set_ylim(rows - 0.5, -0.5)

    def place(points: FloatArray) -> FloatArray:
        flat = (points - camera.centre_lps_mm) @ camera.axes[:2].T / camera.pixel_mm
        return np.stack([(columns - 1) / 2 + flat[..., 0], (rows - 1) / 2 - flat[..., 1]], axis=-1)

    for one in lesion.site.deposits:
        way = place(np.stack([one.entry_lps_mm, one.deposit.point_lps_mm]))
        for width, colour in ((2.4, palette.CASING), (1.3, palette.NEEDLE)):
            axes.plot(way[:, 0], way[:, 1], color=colour, linewidth=width, solid_capstyle="butt")
    for number, one in enumerate(lesion.site.deposits, start=1):
        x, y = place(np.asarray(one.deposit.point_lps_mm, dtype=np.float64))
        axes.plot(
            x, y, marker="o", markersize=5.4, color="white", markeredgecolor="black", markeredgewidth=0.6
        )
        axes.text(x, y, str(number), fontsize=4.4, ha="center", va="center_baseline", color="black")
    halo = [patheffects.withStroke(linewidth=1.8, foreground="white")]
    left, right = name_direction(-camera.axes[0]), name_direction(camera.axes[0])
    for x, y, text, side in (
        (0.01, 0.5, left, "left"), (0.99, 0.5, right, "right"),
        (0.5, 0.965, "H", "center"), (0.5, 0.035, "F", "center"),
    ):  # fmt: skip
        axes.text(
            x, y, text, transform=axes.transAxes, color=palette.INK, fontsize=7.5, weight="bold", ha=side,
            va="center", path_effects=halo,
        )  # fmt: skip
    return to_png(canvas)
