"""Slice pictures with needle and outlines, as PNG: oblique along the needle, axial at entry and target.

Patient right is on the left of every axial picture. Meaning never rests on colour: see `palette`.
"""

from __future__ import annotations

import io
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from hepatica.adapters.reports import palette
from hepatica.adapters.reports.needle_marks import (
    DOTS_PER_INCH,
    draw_deposits,
    draw_entry,
    draw_projections,
    draw_run_out,
    draw_ticks,
    draw_tracks,
    find_corners,
)
from hepatica.adapters.reports.picture_frame import Frame, Picture, measure_pixel_mm
from hepatica.adapters.reports.puncture_view import find_lateral_axis, find_patient_gravity, find_slice_words
from hepatica.adapters.reports.strokes import draw_line, outline_text, write_text
from hepatica.anatomy.structures import Origin, StructureKind, to_bit
from hepatica.core.geometry import FloatArray
from hepatica.imaging.reformat import (
    Plane,
    crop_plane,
    derive_axial_plane,
    derive_edge_letters,
    derive_needle_plane,
    measure_membership,
    sample_corners,
    sample_mask,
    sample_volume,
    trace_outlines,
)
from hepatica.planning.path.values import Puncture
from hepatica.workflows.ports import PlanContext

if TYPE_CHECKING:
    from matplotlib.axes import Axes

WINDOW_LEVEL_HU: Final = 60.0
WINDOW_WIDTH_HU: Final = 400.0
"""Display only: the usual window of a contrast-enhanced abdomen, printed on each picture."""
MM_PER_INCH: Final = 25.4
BODY_ROOM_MM: Final = 8.0
"""Air shown around the body; twice that above the entry, for its label."""
SMALLEST_NAMED_AREA_MM2: Final = 120.0
"""Smaller cuts of a structure are outlined but not named, to keep the picture readable."""
TOP_LETTER_PLACES: Final = (0.62, 0.82, 0.36)
"""Of the width, in order of preference."""
TOP_LETTER_ROOM: Final = 0.15
"""Of the width, between the letter and the skin entry or its word."""
STRUCTURE_POINTS: Final = 5.4
LESION_POINTS: Final = 6.6
MIDLINE_DASH: Final = (0, (6, 4))
UNNAMED: Final = frozenset(
    {StructureKind.BODY, StructureKind.LIVER, StructureKind.LESION, StructureKind.NECROSIS, StructureKind.GAS,
     StructureKind.CONTRAST_LUMEN, StructureKind.LIVER_VESSEL}
)  # fmt: skip
"""Drawn without a name: plain from the picture, or too many small parts."""


def draw_needle_picture(context: PlanContext, puncture: Puncture, *, frame: Frame) -> Picture:
    """Draw the oblique reformat that holds the first track, with a tick every 10 mm from the skin."""
    entry, tip = puncture.entry_lps_mm, _first_tip(puncture)
    plane = derive_needle_plane(
        entry, tip, pixel_mm=measure_pixel_mm(context), margin_mm=34.0, aspect=frame.aspect
    )
    canvas, axes = draw_ground(context, plane, frame)
    draw_tracks(axes, plane, puncture)
    if puncture.tracks:
        draw_ticks(axes, plane, entry, tip if puncture.pivot_lps_mm is None else puncture.pivot_lps_mm)
        for track in puncture.tracks:
            draw_run_out(axes, plane, *find_corners(puncture, track)[-2:])
    draw_deposits(axes, plane, puncture)
    draw_entry(axes, plane, entry)
    return Picture(
        name=f"{puncture.puncture_id}-needle",
        png=finish_picture(canvas, axes, plane, entry),
        title=_title_needle(puncture),
        alt=f"Oblique CT reformat along needle {puncture.puncture_id}: {puncture.length_mm:.0f} mm from skin "
        f"to tip{_say_fan(puncture)}, tick every 10 mm, deposits numbered from the deepest, lesions and "
        "structures outlined.",
    )


def _say_fan(puncture: Puncture) -> str:
    return "" if puncture.pivot_lps_mm is None else f", {len(puncture.tracks)} tracks from a coaxial tip"


def _title_needle(puncture: Puncture) -> str:
    place = "In the plane of the needle nearest to axial; a tick every 10 mm from the skin"
    if puncture.pivot_lps_mm is None:
        return place
    # One line under the picture: what it shows of the fan matters more than the general rule.
    return "Plane of the coaxial needle nearest to axial, tick every 10 mm; diamond: coaxial tip; dashed: outside"


def draw_axial_picture(context: PlanContext, puncture: Puncture, *, at_entry: bool, frame: Frame) -> Picture:
    """Draw the acquired axial slice of the skin entry or of the tip, patient right on the left."""
    entry, tip = puncture.entry_lps_mm, _first_tip(puncture)
    grid = context.image.volume.grid
    whole = derive_axial_plane(
        grid, through_lps_mm=entry if at_entry else tip, pixel_mm=measure_pixel_mm(context)
    )
    plane = _fit_to_body(context, whole, frame, keep=np.stack([entry, tip]))
    canvas, axes = draw_ground(context, plane, frame)
    half_slice_mm = float(grid.spacing_mm[grid.slice_axis]) / 2
    draw_projections(axes, plane, puncture, half_slice_mm=half_slice_mm)
    if at_entry:
        _draw_midline(axes, context, plane, entry)
        draw_entry(axes, plane, entry)
    else:
        draw_deposits(axes, plane, puncture)
    place = "skin entry" if at_entry else "target"
    words = find_slice_words(entry if at_entry else tip, grid, context.image.facts)
    return Picture(
        name=f"{puncture.puncture_id}-{'entry' if at_entry else 'target'}",
        png=finish_picture(canvas, axes, plane, entry),
        title=f"Axial at the {place}, {words.image}",
        alt=f"Axial CT slice at the {place} of {puncture.puncture_id}, patient right on the left of the "
        "picture, needle projected onto it, lesions and structures outlined.",
    )


def _first_tip(puncture: Puncture) -> FloatArray:
    if puncture.tracks:
        return puncture.tracks[0].tip_lps_mm
    return puncture.entry_lps_mm + np.array([0.0, max(puncture.length_mm, 1.0), 0.0])


def _fit_to_body(context: PlanContext, whole: Plane, frame: Frame, *, keep: FloatArray) -> Plane:
    body = measure_membership(
        sample_corners(context.anatomy.bits, context.anatomy.grid, whole), to_bit(StructureKind.BODY)
    )
    inside = np.argwhere(body > 0.5).astype(np.float64)
    if not len(inside):
        inside = np.array([[0.0, 0.0], [whole.shape[0] - 1.0, whole.shape[1] - 1.0]])
    room = BODY_ROOM_MM / whole.pixel_mm
    ends = whole.to_pixel(keep)
    low = np.minimum(inside.min(axis=0) - room, ends.min(axis=0) - 2 * room)
    high = np.maximum(inside.max(axis=0) + room, ends.max(axis=0) + room)
    centre = whole.to_lps_mm((low + high) / 2)
    height, width = (high - low) * whole.pixel_mm
    width, height = max(width, height * frame.aspect), max(height, width / frame.aspect)
    return crop_plane(whole, centre_lps_mm=centre, height_mm=float(height), width_mm=float(width))


def draw_ground(context: PlanContext, plane: Plane, frame: Frame) -> tuple[Any, Axes]:
    """Return canvas and axes with the CT of a plane and everything outlined on it."""
    canvas, axes = _start(context, plane, frame)
    _draw_structures(axes, context, plane)
    return canvas, axes


def finish_picture(canvas: Any, axes: Axes, plane: Plane, entry: FloatArray) -> bytes:
    """Add directions and scale, and return the PNG."""
    _draw_edges(axes, plane, entry)
    _draw_scale(axes, plane)
    return to_png(canvas)


def _start(context: PlanContext, plane: Plane, frame: Frame) -> tuple[Any, Axes]:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(frame.width_mm / MM_PER_INCH, frame.height_mm / MM_PER_INCH), dpi=DOTS_PER_INCH)
    canvas = FigureCanvasAgg(figure)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_axis_off()
    low = WINDOW_LEVEL_HU - WINDOW_WIDTH_HU / 2
    picture = sample_volume(context.image.volume, plane)
    axes.imshow(
        picture, cmap="gray", vmin=low, vmax=low + WINDOW_WIDTH_HU, interpolation="bicubic", aspect="auto"
    )
    rows, columns = plane.shape
    axes.set_xlim(-0.5, columns - 0.5)
    axes.set_ylim(rows - 0.5, -0.5)
    return canvas, axes


def to_png(canvas: Any) -> bytes:
    """Return the PNG bytes of a drawn Agg canvas."""
    from PIL import Image

    canvas.draw()
    target = io.BytesIO()
    # Without metadata, so that equal pictures are equal bytes.
    Image.fromarray(np.asarray(canvas.buffer_rgba())[..., :3]).save(target, "PNG")
    return target.getvalue()


def _draw_structures(axes: Axes, context: PlanContext, plane: Plane) -> None:
    anatomy = context.anatomy
    samples = sample_corners(anatomy.bits, anatomy.grid, plane)
    present = int(np.bitwise_or.reduce(samples.values, axis=None))
    named: tuple[NamePlace, ...] = ()
    for kind, source in sorted(anatomy.sources.items(), key=lambda item: item[0].value):
        if kind in {StructureKind.BODY, StructureKind.LESION} or not present & to_bit(kind):
            continue
        membership = measure_membership(samples, to_bit(kind))
        liver = kind is StructureKind.LIVER
        derived = source.origin is Origin.DERIVED
        style = "solid" if liver else ((0, (1, 1.2)) if not derived else (0, (4, 1.2, 1, 1.2)))
        for line in trace_outlines(membership):
            draw_line(
                axes, line, color=palette.LIVER if liver else palette.OTHER, linestyle=style, linewidth=0.7
            )
        if kind not in UNNAMED:
            named = _name_structure(
                axes, membership, plane, kind.value.replace("_", " ") + (" *" if derived else ""), named
            )
    _draw_lesions(axes, context, plane, named)


NamePlace = tuple[float, float, float]
"""Row, column and half the width of a name on the picture, in pixels."""


def _find_crowding(place: NamePlace, named: tuple[NamePlace, ...], height: float) -> float:
    """Return how many lines of text a name is away from its nearest neighbour; 0 where they overlap."""
    row, column, half = place
    return min(
        (max(abs(row - r) / height - 1.0, (abs(column - c) - half - h) / height, 0.0) for r, c, h in named),
        default=np.inf,
    )


def _measure_text(axes: Axes, plane: Plane, text: str, points: float) -> tuple[float, float]:
    """Return roughly half the width and the height of a text, in pixels of the picture."""
    pixels_per_point = plane.shape[1] * DOTS_PER_INCH / 72 / axes.get_window_extent().width
    return 0.3 * points * len(text) * pixels_per_point, 1.25 * points * pixels_per_point


def _name_structure(
    axes: Axes, membership: NDArray[Any], plane: Plane, name: str, named: tuple[NamePlace, ...]
) -> tuple[NamePlace, ...]:
    from scipy.ndimage import distance_transform_edt

    inside = membership > 0.5
    if np.count_nonzero(inside) * plane.pixel_mm**2 < SMALLEST_NAMED_AREA_MM2:
        return named
    depth = distance_transform_edt(np.pad(inside, 1))[1:-1, 1:-1]
    place = np.array(np.unravel_index(int(depth.argmax()), depth.shape), dtype=float)
    half, height = _measure_text(axes, plane, name, STRUCTURE_POINTS)
    # Half a name's width from the edge, so that it is not cut.
    place[1] = np.clip(place[1], half, max(half, plane.shape[1] - half))
    places = [(place[0] + shift * height, place[1], half) for shift in (0.0, 1.1, -1.1)]
    free = [found for found in places if _find_crowding(found, named, height) > 0]
    if not free:
        return named
    write_text(axes, np.array(free[0][:2]), name, fontsize=STRUCTURE_POINTS, style="italic")
    return (*named, free[0])


def _draw_lesions(axes: Axes, context: PlanContext, plane: Plane, named: tuple[NamePlace, ...]) -> None:
    injected = {item.lesion_id for item in context.plan.allocation.injections if item.volume_ml > 0}
    for lesion in context.plan.lesions:
        membership = sample_mask(lesion.mask, plane)
        lines = trace_outlines(membership)
        if not lines:
            continue
        chosen = lesion.lesion_id in injected and not lesion.is_new
        colour = palette.INJECTED if lesion.lesion_id in injected else palette.NON_INJECTED
        for line in lines:
            # Cased in white: the hue is a middle grey in black and white, like the liver around it.
            draw_line(
                axes,
                line,
                color=colour,
                casing="white",
                linewidth=1.5,
                linestyle="solid" if chosen else (0, (3, 1.5)),
            )
        place = _find_lesion_name_place(axes, plane, max(lines, key=len), lesion.lesion_id, named)
        named = (*named, place)
        write_text(axes, np.array(place[:2]), lesion.lesion_id, fontsize=LESION_POINTS, weight="bold")


def _find_lesion_name_place(
    axes: Axes, plane: Plane, outline: NDArray[Any], name: str, named: tuple[NamePlace, ...]
) -> NamePlace:
    """Return the corner beside an outline with most room; the lower right one where several are free."""
    half, height = _measure_text(axes, plane, name, LESION_POINTS)
    low, high = outline.min(axis=0), outline.max(axis=0)
    best: tuple[float, NamePlace] | None = None
    for down, right in ((True, True), (True, False), (False, True), (False, False)):
        corner = np.array([high[0] if down else low[0], high[1] if right else low[1]])
        nearest = outline[np.argmin(np.linalg.norm(outline - corner, axis=1))]
        row = float(nearest[0]) + (0.75 if down else -0.75) * height
        column = float(nearest[1]) + (1.2 if right else -1.2) * half
        seen = height < row < plane.shape[0] - height and half < column < plane.shape[1] - half
        room = min(_find_crowding((row, column, half), named, height), 0.5) if seen else -1.0
        if best is None or room > best[0]:
            best = (room, (row, column, half))
    assert best is not None
    return best[1]


def _draw_midline(axes: Axes, context: PlanContext, plane: Plane, entry: FloatArray) -> None:
    axis = find_lateral_axis(find_patient_gravity(context.plan))
    if axis is None or not axis[0][0]:
        return
    middle = entry.copy()
    middle[0] = context.image.volume.grid.bounds_lps_mm[:, 0].mean()
    row, column = plane.to_pixel(entry)
    _, zero = plane.to_pixel(middle)
    axes.axvline(zero, color="white", linewidth=0.6, linestyle=MIDLINE_DASH, path_effects=outline_text(1.4))
    write_text(axes, np.array([plane.shape[0] * 0.965, zero]), "0", fontsize=5.8, weight="bold")
    offset_mm = abs(column - zero) * plane.pixel_mm
    if offset_mm >= 1.0:
        draw_line(
            axes, np.array([[row, column], [row, zero]]), color="white", linewidth=0.6, linestyle=(0, (1, 1))
        )
        place = np.array([row + 3.0 / plane.pixel_mm, zero])
        side = "left" if column < zero else "right"
        write_text(axes, place, f" {offset_mm:.0f} mm ", fontsize=5.6, ha=side, va="top")


def _draw_edges(axes: Axes, plane: Plane, entry: FloatArray) -> None:
    letters = derive_edge_letters(plane)
    top = find_top_letter_place(plane, entry)
    places: Iterable[tuple[str, float, float, str, str]] = (
        ("left", 0.012, 0.5, "left", "center"),
        ("right", 0.988, 0.5, "right", "center"),
        ("top", top, 0.985, "center", "top"),
        ("bottom", 0.62, 0.015, "center", "bottom"),
    )
    for side, x, y, horizontal, vertical in places:
        axes.text(
            x, y, letters[side], transform=axes.transAxes, color="white", fontsize=7.5, weight="bold",
            ha=horizontal, va=vertical, path_effects=outline_text(2.0),
        )  # fmt: skip


def find_top_letter_place(plane: Plane, entry: FloatArray) -> float:
    """Return where along the top the letter stands, as a fraction of the width: away from the skin entry."""
    row, column = plane.to_pixel(entry)
    if row > plane.shape[0] / 3:
        return TOP_LETTER_PLACES[0]
    taken = (float(column) + 0.5) / plane.shape[1]
    return next(place for place in TOP_LETTER_PLACES if abs(place - taken) > TOP_LETTER_ROOM)


def _draw_scale(axes: Axes, plane: Plane) -> None:
    length = 50.0 / plane.pixel_mm
    row, column = plane.shape[0] * 0.95, plane.shape[1] * 0.03
    draw_line(axes, np.array([[row, column], [row, column + length]]), color="white", linewidth=1.2)
    write_text(
        axes, np.array([row - 1.5 / plane.pixel_mm, column]), "50 mm", fontsize=5.2, ha="left", va="bottom"
    )
    axes.text(
        0.988, 0.015, f"L {WINDOW_LEVEL_HU:.0f}  W {WINDOW_WIDTH_HU:.0f}", transform=axes.transAxes,
        color="white", fontsize=4.8, ha="right", va="bottom", path_effects=outline_text(1.4),
    )  # fmt: skip
