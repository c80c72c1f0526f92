"""A shaded picture of body, liver, lesions and needle in space, without a graphics card or a window.

Each structure becomes a smoothed signed distance field on its own small grid. Rays walk through the fields
in steps as long as the distance they read (sphere tracing), surfaces are lit from the viewer's upper left,
darkened where other parts of the same surface are near (ambient occlusion), and laid over each other from
back to front.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from hepatica.adapters.reports import palette
from hepatica.adapters.reports.needle_marks import find_corners
from hepatica.adapters.reports.picture_frame import Frame, Picture
from hepatica.adapters.reports.pictures import MM_PER_INCH, to_png
from hepatica.adapters.reports.puncture_view import find_patient_gravity
from hepatica.anatomy.structures import StructureKind
from hepatica.core.findings import NotEvaluable
from hepatica.core.geometry import BoolArray, FloatArray, Grid
from hepatica.imaging.mask import Mask, find_box
from hepatica.imaging.reformat import PATIENT_HEAD_LPS, name_direction
from hepatica.planning.path.values import Puncture
from hepatica.workflows.ports import PlanContext

COARSE_STEP_MM: Final = 3.0
FINE_STEP_MM: Final = 1.5
"""Grid of the distance fields: organs and lesions; finer would not be seen at print size."""
MOST_STEPS: Final = 48
HIT_MM: Final = 0.25
SMOOTHING_VOXELS: Final = 0.9
"""Smoothing of the field: hides the voxel stairs of thick slices; moves a surface by under a millimetre."""
NEEDLE_RADIUS_MM: Final = 1.9
"""Drawn thicker than it is, so that it can be seen."""
DEPOSIT_RADIUS_MM: Final = 2.6
LIGHT: Final = np.array([-0.45, 0.65, 0.62])
"""Towards the light, in (right, up, viewer)."""
ELEVATION_DEG: Final = 14.0
"""The camera looks slightly down from the head's side."""
ACROSS_DEG: Final = 55.0
"""Between the way in and the view: far enough from end-on to show depth, near enough to show the entry."""
SIDE_PREFERENCE: Final = 0.05
SCENE_DOTS_PER_INCH: Final = 210
SOLID_OPACITY: Final = 0.75
"""Surfaces at least this opaque hide what is behind them."""
CAP_COSINE: Final = 0.85
CAP_OPACITY: Final = 0.10
"""Where the scan cuts the body off there is no skin: the cut is drawn as a faint veil."""
FarArray = NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Field:
    """Signed distances of one surface on an isotropic grid in LPS axes, negative inside."""

    origin_lps_mm: FloatArray
    step_mm: float
    distance_mm: FarArray


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """How a surface is drawn: colour 0 to 1, opacity facing the viewer and at its rim."""

    colour: tuple[float, float, float]
    opacity: float
    rim_opacity: float


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Camera:
    """A parallel projection: ``axes`` holds right, up and towards-the-viewer as rows."""

    centre_lps_mm: FloatArray
    axes: FloatArray
    pixel_mm: float
    shape: tuple[int, int]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Layer:
    """What one surface adds to the picture: depth along the view (inf where absent), colour and opacity."""

    depth_mm: FloatArray
    colour: FloatArray
    opacity: FloatArray


Fields = tuple[tuple[Field, Look], ...]


def draw_scene(context: PlanContext, puncture: Puncture, *, fields: Fields, frame: Frame) -> Picture:
    """Draw the scene of one puncture, seen across its needle, head up.

    Parameters
    ----------
    context, puncture
        The plan, and which of its punctures.
    fields
        Surfaces of `build_fields`, the same for every puncture of a plan.
    frame
        Size in print.
    """
    camera = derive_camera(context, puncture, frame=frame)
    layers = [_trace(field, look, camera) for field, look in fields]
    solid = [layer for layer, (_, look) in zip(layers, fields, strict=True) if look.opacity >= SOLID_OPACITY]
    veils = [layer for layer, (_, look) in zip(layers, fields, strict=True) if look.opacity < SOLID_OPACITY]
    visible = [
        layer for layer in (*veils, _find_front(solid), _draw_needle(puncture, camera)) if layer is not None
    ]
    picture = blend_layers(visible, camera.shape)
    return Picture(
        name=f"{puncture.puncture_id}-scene",
        png=_label(picture, context, puncture, camera, frame),
        title="In space, head up",
        alt=f"Three-dimensional picture of body, bone, liver, lesions and needle {puncture.puncture_id}.",
    )


def derive_camera(context: PlanContext, puncture: Puncture, *, frame: Frame) -> Camera:
    """Look across the needle from the free side of the patient, a little from above, head up."""
    tip = puncture.tracks[0].tip_lps_mm if puncture.tracks else puncture.entry_lps_mm
    toward = (puncture.entry_lps_mm - tip)[:2]
    gravity = find_patient_gravity(context.plan)
    free = np.array([0.0, -1.0]) if isinstance(gravity, NotEvaluable) else -gravity[:2]
    way = toward / np.linalg.norm(toward) if np.linalg.norm(toward) > 1.0 else free
    # Of the two sides across the needle the one nearer to the free side; if neither, the liver's right side.
    sides = [_turn(way, degrees=angle) for angle in (ACROSS_DEG, -ACROSS_DEG)]
    flat = max(sides, key=lambda side: float(side @ free) - SIDE_PREFERENCE * float(side[0]))
    tilt = np.radians(ELEVATION_DEG)
    back = np.array([*(np.cos(tilt) * flat), np.sin(tilt)])
    right = np.cross(PATIENT_HEAD_LPS, back)
    right /= np.linalg.norm(right)
    axes = np.stack([right, np.cross(back, right), back])
    low, high = _find_extent(context)
    points = np.array(
        [[x, y, z] for x in (low[0], high[0]) for y in (low[1], high[1]) for z in (low[2], high[2])]
    )
    shadow = (points - (low + high) / 2) @ axes[:2].T
    # The body is round: its corners in the box are air, so the box may overlap the picture's edge a little.
    extent = np.ptp(shadow, axis=0) * np.array([0.9, 0.98])
    columns, rows = (
        round(side / MM_PER_INCH * SCENE_DOTS_PER_INCH) for side in (frame.width_mm, frame.height_mm)
    )
    pixel_mm = float(max(extent[0] / columns, extent[1] / rows))
    return Camera(centre_lps_mm=(low + high) / 2, axes=axes, pixel_mm=pixel_mm, shape=(rows, columns))


def _find_extent(context: PlanContext) -> tuple[FloatArray, FloatArray]:
    grid = context.anatomy.grid
    box = find_box(context.anatomy.select(StructureKind.BODY))
    if box is None:
        return grid.bounds_lps_mm[0], grid.bounds_lps_mm[1]
    corners = grid.to_lps_mm(np.array([[s.start for s in box], [s.stop - 1 for s in box]]))
    return corners.min(axis=0), corners.max(axis=0)


def measure_field(inside: BoolArray, grid: Grid, *, step_mm: float) -> Field | None:
    """Turn a whole-grid structure into a smoothed signed distance field; None where it is empty."""
    from scipy.ndimage import affine_transform, distance_transform_edt, gaussian_filter, uniform_filter

    box = find_box(inside)
    if box is None:
        return None
    start = np.array([s.start for s in box], dtype=np.float64)
    crop = inside[box].astype(np.float32)
    # Averaging over a step before sampling keeps thin parts (ribs) that would fall between samples.
    crop = uniform_filter(crop, [max(1, round(float(step_mm / s))) for s in grid.spacing_mm], mode="nearest")
    ends = grid.to_lps_mm(np.array([start - 0.5, start + crop.shape - 0.5]))
    low, high = ends.min(axis=0) - 3 * step_mm, ends.max(axis=0) + 3 * step_mm
    shape = np.ceil((high - low) / step_mm).astype(int) + 1
    matrix = grid.ijk_from_lps[:3, :3] * step_mm
    offset = grid.to_index(low) - start
    member = affine_transform(crop, matrix, offset=offset, output_shape=tuple(shape), order=1, cval=0.0)
    solid = member > 0.4
    if not solid.any():
        solid = member >= member.max()
    distance = np.where(solid, 0.5 - distance_transform_edt(solid), distance_transform_edt(~solid) - 0.5)
    smooth = gaussian_filter((distance * step_mm).astype(np.float32), SMOOTHING_VOXELS)
    return Field(origin_lps_mm=low, step_mm=step_mm, distance_mm=smooth)


def blend_layers(layers: list[Layer], shape: tuple[int, int]) -> FloatArray:
    """Lay surfaces over white paper from back to front at every pixel; return (rows, columns, 3), 0 to 1."""
    picture = np.ones((*shape, 3))
    if not layers:
        return picture
    depth = np.stack([layer.depth_mm for layer in layers])
    order = np.argsort(-depth, axis=0, kind="stable")
    colour = np.stack([layer.colour for layer in layers])
    opacity = np.stack([np.where(np.isfinite(layer.depth_mm), layer.opacity, 0.0) for layer in layers])
    for place in range(len(layers)):
        which = order[place]
        alpha = np.take_along_axis(opacity, which[None], axis=0)[0][..., None]
        tint = np.take_along_axis(colour, which[None, ..., None], axis=0)[0]
        picture = picture * (1 - alpha) + tint * alpha
    return picture


def build_fields(context: PlanContext) -> Fields:
    """Return the surfaces of a plan's structures and lesions with their looks."""
    anatomy = context.anatomy
    fields = []
    for kind, look in _LOOKS.items():
        if not anatomy.has(kind):
            continue
        field = measure_field(anatomy.select(kind), anatomy.grid, step_mm=COARSE_STEP_MM)
        if field is not None:
            fields.append((field, look))
    injected = {item.lesion_id for item in context.plan.allocation.injections if item.volume_ml > 0}
    for lesion in context.plan.lesions:
        colour = palette.INJECTED if lesion.lesion_id in injected else palette.NON_INJECTED
        field = _measure_lesion(lesion.mask)
        if field is not None:
            fields.append((field, Look(colour=_rgb(colour), opacity=0.96, rim_opacity=1.0)))
    return tuple(fields)


def _find_front(layers: list[Layer]) -> Layer | None:
    """Merge surfaces that hide each other into the foremost of them at every pixel."""
    if not layers:
        return None
    front = np.argmin(np.stack([layer.depth_mm for layer in layers]), axis=0)[None]
    colour = np.stack([layer.colour for layer in layers])
    return Layer(
        depth_mm=np.take_along_axis(np.stack([layer.depth_mm for layer in layers]), front, axis=0)[0],
        colour=np.take_along_axis(colour, front[..., None], axis=0)[0],
        opacity=np.take_along_axis(np.stack([layer.opacity for layer in layers]), front, axis=0)[0],
    )


def _measure_lesion(mask: Mask) -> Field | None:
    affine = mask.grid.lps_from_ijk.copy()
    affine[:3, 3] = mask.grid.to_lps_mm(np.asarray(mask.start_ijk, dtype=np.float64))
    crop = Grid(shape=mask.crop.shape, lps_from_ijk=affine)
    step_mm = max(FINE_STEP_MM, max(mask.crop.shape * mask.grid.spacing_mm) / 48)
    return measure_field(mask.crop, crop, step_mm=float(step_mm))


def _rgb(colour: str) -> tuple[float, float, float]:
    red, green, blue = (int(colour[k : k + 2], 16) / 255 for k in (1, 3, 5))
    return red, green, blue


_LOOKS: Final = {
    StructureKind.BODY: Look(colour=_rgb(palette.BODY_SURFACE), opacity=0.07, rim_opacity=0.75),
    StructureKind.LIVER: Look(colour=_rgb(palette.LIVER_SURFACE), opacity=0.40, rim_opacity=0.85),
    StructureKind.BONE: Look(colour=_rgb(palette.BONE_SURFACE), opacity=0.95, rim_opacity=1.0),
    StructureKind.STOMACH: Look(colour=_rgb(palette.OTHER_SURFACE), opacity=0.35, rim_opacity=0.8),
    StructureKind.HEART: Look(colour=_rgb(palette.VESSEL_SURFACE), opacity=0.35, rim_opacity=0.8),
    StructureKind.GALLBLADDER: Look(colour=_rgb(palette.OTHER_SURFACE), opacity=0.5, rim_opacity=0.9),
    StructureKind.PORTAL_VEIN: Look(colour=_rgb(palette.VESSEL_SURFACE), opacity=0.8, rim_opacity=1.0),
    StructureKind.HEPATIC_VEIN: Look(colour=_rgb(palette.VESSEL_SURFACE), opacity=0.8, rim_opacity=1.0),
    StructureKind.AORTA: Look(colour=_rgb(palette.VESSEL_SURFACE), opacity=0.8, rim_opacity=1.0),
}


def _turn(vector: FloatArray, *, degrees: float) -> FloatArray:
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    return np.array([c * vector[0] - s * vector[1], s * vector[0] + c * vector[1]])


def _pixel_points(camera: Camera) -> tuple[Any, Any]:
    rows, columns = camera.shape
    across = (np.arange(columns) - (columns - 1) / 2) * camera.pixel_mm
    upward = ((rows - 1) / 2 - np.arange(rows)) * camera.pixel_mm
    return across, upward


def _read(field: Field, points: FloatArray) -> FloatArray:
    from scipy.ndimage import map_coordinates

    index = (points - field.origin_lps_mm) / field.step_mm
    return np.asarray(map_coordinates(field.distance_mm, index.T, order=1, mode="nearest"), dtype=np.float64)


def _trace(field: Field, look: Look, camera: Camera) -> Layer:
    """Walk every pixel's ray through the field's box; the viewer is at infinity."""
    start, length, pixels = _enter_box(field, camera)
    depth = np.full(camera.shape, np.inf)
    colour = np.zeros((*camera.shape, 3))
    opacity = np.zeros(camera.shape)
    gone = np.zeros(len(start))
    active = np.arange(len(start))
    hits = np.zeros(len(start), dtype=bool)
    for _ in range(MOST_STEPS):
        if active.size == 0:
            break
        distance = _read(field, start[active] - gone[active, None] * camera.axes[2])
        hit = distance < HIT_MM
        hits[active[hit]] = True
        active = active[~hit]
        gone[active] += np.maximum(distance[~hit], HIT_MM)
        active = active[gone[active] < length[active]]
    points = start[hits] - gone[hits, None] * camera.axes[2]
    if len(points) == 0:
        return Layer(depth_mm=depth, colour=colour, opacity=opacity)
    shade, facing, cap = _light(field, points, camera)
    rows, columns = pixels[hits, 0], pixels[hits, 1]
    depth[rows, columns] = (camera.centre_lps_mm - points) @ camera.axes[2]
    colour[rows, columns] = np.clip(np.array(look.colour) * shade[:, None], 0, 1)
    rim = (1 - facing) ** 2.2
    solidity = look.opacity + (look.rim_opacity - look.opacity) * rim
    opacity[rows, columns] = np.where(cap & (look.opacity < CAP_OPACITY), CAP_OPACITY, solidity)
    return Layer(depth_mm=depth, colour=colour, opacity=opacity)


def _enter_box(field: Field, camera: Camera) -> tuple[FloatArray, FloatArray, NDArray[np.int64]]:
    """Return where rays enter the field's box, how far they run in it, and which pixels they belong to."""
    across, upward = _pixel_points(camera)
    grid_u, grid_v = np.meshgrid(across, upward)
    flat = camera.centre_lps_mm + grid_u[..., None] * camera.axes[0] + grid_v[..., None] * camera.axes[1]
    low = field.origin_lps_mm
    high = low + (np.array(field.distance_mm.shape) - 1) * field.step_mm
    direction = -camera.axes[2]
    safe = np.where(np.abs(direction) < 1e-9, 1e-9, direction)
    first, second = (low - flat) / safe, (high - flat) / safe
    near, far = np.minimum(first, second).max(axis=-1), np.maximum(first, second).min(axis=-1)
    pixels = np.argwhere(far > near)
    chosen = tuple(pixels.T)
    return flat[chosen] + near[chosen][:, None] * direction, (far - near)[chosen], pixels


def _light(field: Field, points: FloatArray, camera: Camera) -> tuple[FloatArray, FloatArray, BoolArray]:
    """Return brightness, cosine to the viewer, and whether the surface faces head or feet."""
    reach = 1.2 * field.step_mm
    gradient = np.stack(
        [_read(field, points + reach * axis) - _read(field, points - reach * axis) for axis in np.eye(3)],
        axis=-1,
    )
    normal = gradient / np.maximum(np.linalg.norm(gradient, axis=1, keepdims=True), 1e-9)
    facing = np.clip(normal @ camera.axes[2], 0, 1)
    light = LIGHT / np.linalg.norm(LIGHT) @ camera.axes
    lit = np.clip(normal @ light, 0, 1)
    half = light + camera.axes[2]
    gloss = np.clip(normal @ (half / np.linalg.norm(half)), 0, 1) ** 40
    open_space = np.ones(len(points))
    for far_mm in (4.0, 9.0):
        open_space *= np.clip(0.45 + 0.55 * _read(field, points + far_mm * normal) / far_mm, 0.45, 1)
    shade: FloatArray = (0.5 + 0.6 * lit) * open_space + 0.2 * gloss
    return shade, facing, np.abs(normal[:, 2]) > CAP_COSINE


def _draw_needle(puncture: Puncture, camera: Camera) -> Layer:
    """Draw tracks as cylinders and deposits as balls, exactly, on top of whatever they are in front of."""
    across, upward = _pixel_points(camera)
    grid_u, grid_v = np.meshgrid(across, upward)
    depth = np.full(camera.shape, np.inf)
    colour = np.zeros((*camera.shape, 3))
    plane = (grid_u, grid_v)
    for track in puncture.tracks:
        corners = find_corners(puncture, track)
        way = corners[0] - corners[1]
        corners[0] += way / max(float(np.linalg.norm(way)), 1e-9) * puncture.needle.hub_allowance_mm
        for ends in pairwise((corners - camera.centre_lps_mm) @ camera.axes.T):
            _add_cylinder(depth, colour, plane, np.stack(ends))
    for track in puncture.tracks:
        for deposit in track.deposits:
            ball = (deposit.point_lps_mm - camera.centre_lps_mm) @ camera.axes.T
            _add_ball(depth, colour, plane, ball)
    return Layer(depth_mm=depth, colour=colour, opacity=np.ones(camera.shape))


def _add_cylinder(
    depth: FloatArray, colour: FloatArray, plane: tuple[FloatArray, FloatArray], ends: FloatArray
) -> None:
    flat = ends[1, :2] - ends[0, :2]
    square = max(float(flat @ flat), 1e-9)
    along = np.clip(((plane[0] - ends[0, 0]) * flat[0] + (plane[1] - ends[0, 1]) * flat[1]) / square, 0, 1)
    away = np.hypot(plane[0] - ends[0, 0] - along * flat[0], plane[1] - ends[0, 1] - along * flat[1])
    here = away <= NEEDLE_RADIUS_MM
    round_off = np.sqrt(np.clip(1 - (away / NEEDLE_RADIUS_MM) ** 2, 0, 1))
    shade = np.where(away > 0.72 * NEEDLE_RADIUS_MM, 0.12, 0.65 + 0.35 * round_off)
    # A needle inside the translucent liver or an opaque lesion still has to be seen: it is drawn in front.
    reach = -(ends[0, 2] + along * (ends[1, 2] - ends[0, 2])) - 1e3
    depth[here] = reach[here]
    colour[here] = np.array(_rgb(palette.NEEDLE)) * shade[here][:, None]


def _add_ball(
    depth: FloatArray, colour: FloatArray, plane: tuple[FloatArray, FloatArray], ball: FloatArray
) -> None:
    away = np.hypot(plane[0] - ball[0], plane[1] - ball[1])
    here = away <= DEPOSIT_RADIUS_MM
    shade = np.where(away > 0.78 * DEPOSIT_RADIUS_MM, 0.1, 1.0)
    depth[here] = -ball[2] - 2e3
    colour[here] = shade[here][:, None]


def _label(
    picture: FloatArray, context: PlanContext, puncture: Puncture, camera: Camera, frame: Frame
) -> bytes:
    """Add lesion names, the entry and the patient's directions."""
    from matplotlib import patheffects
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(
        figsize=(frame.width_mm / MM_PER_INCH, frame.height_mm / MM_PER_INCH), dpi=SCENE_DOTS_PER_INCH
    )
    canvas = FigureCanvasAgg(figure)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_axis_off()
    axes.imshow(np.clip(picture, 0, 1), interpolation="antialiased", aspect="auto")
    halo = [patheffects.withStroke(linewidth=1.8, foreground="white")]
    rows, columns = camera.shape

    def say(point_lps_mm: FloatArray, text: str) -> None:
        u, v = (point_lps_mm - camera.centre_lps_mm) @ camera.axes[:2].T / camera.pixel_mm
        axes.text(
            (columns - 1) / 2 + u, (rows - 1) / 2 - v, text, color=palette.INK, fontsize=6.5, weight="bold",
            ha="center", va="center", path_effects=halo, clip_on=True, parse_math=False,
        )  # fmt: skip

    for lesion in context.plan.lesions:
        below = 0.5 * lesion.longest_diameter.length_mm + 5.0
        say(lesion.mask.centroid_lps_mm - below * camera.axes[1], lesion.lesion_id)
    say(puncture.entry_lps_mm + 6.0 * camera.axes[1], "entry")
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
