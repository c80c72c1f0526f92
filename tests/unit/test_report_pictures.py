"""Pictures: what is drawn where."""

import io
from dataclasses import replace

import numpy as np
import pytest
from phantom import LESION_CENTRE_LPS_MM, LESION_RADIUS_MM, make_context
from PIL import Image

from hepatica.adapters.reports import palette
from hepatica.adapters.reports.picture_book import AXIAL_FRAME, NEEDLE_FRAME, SCENE_FRAME
from hepatica.adapters.reports.pictures import (
    DOTS_PER_INCH,
    MM_PER_INCH,
    draw_axial_picture,
    draw_needle_picture,
    find_top_letter_place,
)
from hepatica.adapters.reports.scene3d import (
    Layer,
    blend_layers,
    build_fields,
    derive_camera,
    draw_scene,
    measure_field,
)
from hepatica.core.geometry import Grid
from hepatica.imaging.reformat import derive_axial_plane

FIELD_MM = 0.6
"""A 1.5 mm grid, smoothed over 0.9 voxels: the surface stays within half a voxel or so."""


@pytest.fixture(scope="module")
def context():
    return make_context()


def pixels(picture):
    return np.asarray(Image.open(io.BytesIO(picture.png)).convert("RGB")).astype(int)


def near(image, colour, tolerance=30):
    wanted = np.array([int(colour[k : k + 2], 16) for k in (1, 3, 5)])
    return np.abs(image - wanted).max(axis=-1) <= tolerance


def test_pictures_have_the_size_of_their_frame(context):
    puncture = context.plan.punctures[0]
    image = pixels(draw_needle_picture(context, puncture, frame=NEEDLE_FRAME))
    expected = np.array([NEEDLE_FRAME.height_mm, NEEDLE_FRAME.width_mm]) / MM_PER_INCH * DOTS_PER_INCH
    assert np.abs(np.array(image.shape[:2]) - expected).max() <= 1


@pytest.mark.requirement("A-sheet-radiological")
def test_a_lesion_on_the_patients_right_is_on_the_left_of_the_axial_picture(context):
    image = pixels(draw_axial_picture(context, context.plan.punctures[0], at_entry=False, frame=AXIAL_FRAME))
    columns = np.nonzero(near(image, palette.INJECTED))[1]
    assert columns.size > 50
    assert columns.max() < image.shape[1] / 2


def test_needle_and_injected_lesion_are_drawn_in_their_colours(context):
    image = pixels(draw_needle_picture(context, context.plan.punctures[0], frame=NEEDLE_FRAME))
    assert near(image, palette.NEEDLE).sum() > 500
    assert near(image, palette.INJECTED).sum() > 500
    assert near(image, palette.NON_INJECTED).sum() == 0


def test_lesion_without_injection_is_drawn_in_the_other_colour(context):
    injection = replace(context.plan.allocation.injections[0], volume_ml=0.0)
    allocation = replace(context.plan.allocation, injections=(injection,))
    other = replace(context, plan=replace(context.plan, allocation=allocation))
    image = pixels(draw_needle_picture(other, other.plan.punctures[0], frame=NEEDLE_FRAME))
    assert near(image, palette.INJECTED).sum() == 0
    assert near(image, palette.NON_INJECTED).sum() > 100


def test_free_text_kinds_of_math_do_not_break_pictures(context):
    lesion = replace(context.plan.lesions[0], lesion_id="L$_1^{")
    odd = replace(context, plan=replace(context.plan, lesions=(lesion,)))
    draw_axial_picture(odd, odd.plan.punctures[0], at_entry=True, frame=AXIAL_FRAME)
    picture = draw_scene(odd, odd.plan.punctures[0], fields=(), frame=SCENE_FRAME)
    assert picture.png.startswith(b"\x89PNG")


def test_field_of_a_ball_is_its_signed_distance():
    grid = Grid.from_axes(shape=(40, 44, 22), spacing_mm=(1.0, 1.0, 2.0), origin_lps_mm=(-20, -22, -22))
    points = grid.to_lps_mm(np.moveaxis(np.indices(grid.shape), 0, -1))
    radius = 14.0
    field = measure_field(np.linalg.norm(points, axis=-1) <= radius, grid, step_mm=1.5)
    index = np.moveaxis(np.indices(field.distance_mm.shape), 0, -1)
    distances = np.linalg.norm(field.origin_lps_mm + index * field.step_mm, axis=-1) - radius
    shell = np.abs(distances) < 3.0
    error = field.distance_mm[shell] - distances[shell]
    assert abs(error.mean()) < FIELD_MM
    assert np.abs(error).max() < 3 * FIELD_MM


def test_an_empty_structure_has_no_surface():
    grid = Grid.from_axes(shape=(4, 4, 4), spacing_mm=(1, 1, 1), origin_lps_mm=(0, 0, 0))
    assert measure_field(np.zeros(grid.shape, bool), grid, step_mm=1.0) is None


@pytest.mark.requirement("A-sheet-scene")
def test_scene_shows_the_lesion_where_the_camera_projects_it(context):
    puncture = context.plan.punctures[0]
    picture = draw_scene(context, puncture, fields=build_fields(context), frame=SCENE_FRAME)
    image = pixels(picture)
    camera = derive_camera(context, puncture, frame=SCENE_FRAME)
    scale = image.shape[1] / camera.shape[1]
    u, v = (LESION_CENTRE_LPS_MM - camera.centre_lps_mm) @ camera.axes[:2].T / camera.pixel_mm
    column, row = ((camera.shape[1] - 1) / 2 + u) * scale, ((camera.shape[0] - 1) / 2 - v) * scale
    # Orange of any brightness: red well above green, green well above blue.
    red, green, blue = np.moveaxis(image, -1, 0)
    rows, columns = np.nonzero((red - green > 55) & (green - blue > 20))
    reach = LESION_RADIUS_MM / camera.pixel_mm * scale
    inside = np.hypot(rows - row, columns - column) < 1.25 * reach
    assert inside.mean() > 0.97
    assert inside.sum() > 0.4 * np.pi * reach**2


@pytest.mark.parametrize("position", ["HFS", "FFP", "HFDR", "FFDL"])
def test_camera_is_upright_and_right_handed(context, position):
    placed = replace(context, plan=replace(context.plan, patient_position=position))
    camera = derive_camera(placed, placed.plan.punctures[0], frame=SCENE_FRAME)
    assert np.abs(camera.axes @ camera.axes.T - np.eye(3)).max() < 1e-12
    assert np.linalg.det(camera.axes) > 0
    assert camera.axes[1][2] > 0.9


def test_layers_are_blended_from_back_to_front():
    shape = (1, 1)
    red, blue = np.array([[[1.0, 0, 0]]]), np.array([[[0, 0, 1.0]]])
    far = Layer(depth_mm=np.full(shape, 10.0), colour=red, opacity=np.ones(shape))
    veil = Layer(depth_mm=np.full(shape, 5.0), colour=blue, opacity=np.full(shape, 0.25))
    for order in ([far, veil], [veil, far]):
        assert blend_layers(order, shape)[0, 0].tolist() == [0.75, 0.0, 0.25]
    hidden = replace(veil, depth_mm=np.full(shape, 20.0))
    assert blend_layers([hidden, far], shape)[0, 0].tolist() == [1.0, 0.0, 0.0]
    assert blend_layers([], shape)[0, 0].tolist() == [1.0, 1.0, 1.0]


@pytest.mark.parametrize("fraction", np.linspace(0.0, 1.0, 21))
def test_the_letter_at_the_top_keeps_away_from_the_skin_entry(context, fraction):
    plane = derive_axial_plane(context.image.volume.grid, through_lps_mm=LESION_CENTRE_LPS_MM, pixel_mm=1.0)
    rows, columns = plane.shape
    entry = plane.to_lps_mm(np.array([0.05 * rows, fraction * columns]))
    assert abs(find_top_letter_place(plane, entry) - fraction) > 0.14
    low = plane.to_lps_mm(np.array([0.8 * rows, fraction * columns]))
    assert find_top_letter_place(plane, low) == 0.62


@pytest.mark.parametrize("at_entry", [True, False])
def test_close_stops_are_drawn_as_small_dots_that_do_not_hide_each_other(context, at_entry):
    puncture = context.plan.punctures[0]
    picture = draw_axial_picture(context, puncture, at_entry=at_entry, frame=AXIAL_FRAME)
    assert picture.png.startswith(b"\x89PNG")
    one = replace(puncture.tracks[0], deposits=puncture.tracks[0].deposits[:1])
    other = draw_axial_picture(
        context, replace(puncture, tracks=(one,)), at_entry=at_entry, frame=AXIAL_FRAME
    )
    # Stops are drawn on the slice of the target only.
    assert (other.png == picture.png) == at_entry
