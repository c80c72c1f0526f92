"""The skin laid flat keeps lengths, sides and heights; its pictures show what the map holds."""

from __future__ import annotations

import io

import numpy as np
import pytest
from path_scenes import LIMITS, SUPINE, change_limits, make_parts, to_scene
from PIL import Image
from scipy.special import ellipe

from hepatica.adapters.reports.explain_view import pick_steps, say_counted, say_step
from hepatica.adapters.reports.skin_legend import (
    BAND_COLOURS,
    FIRST_BLOCKED,
    LOOKS,
    derive_codes,
    derive_looks,
    find_limit_numbers,
)
from hepatica.adapters.reports.skin_map_pictures import MapMark, MapSubject, draw_flat_map
from hepatica.adapters.reports.skin_unwrap import derive_unwrapping, rasterise
from hepatica.adapters.reports.skin_views import derive_axes, draw_body_views
from hepatica.anatomy.structures import StructureKind as Kind
from hepatica.core.evidence import EvidenceStatus
from hepatica.core.findings import NotEvaluable
from hepatica.planning.path.limit_costs import LimitCost, Relaxation, derive_limit_costs
from hepatica.planning.path.skin_area import Area
from hepatica.planning.path.skin_map import SkinClass, derive_skin_map
from hepatica.workflows.ports import ImageFacts

LENGTH_TOLERANCE = 0.01
"""The middle contour is a polygon of two-degree steps, slightly smoothed."""


def tube(wide, deep, *, turn=None):
    """Points on an elliptic cylinder, 120 mm long: +x patient left, -y front."""
    turn = np.radians(np.arange(0, 360, 1.0)) if turn is None else turn
    z = np.arange(-60, 61, 3.0)
    ring = np.stack([wide * np.sin(turn), -deep * np.cos(turn)], axis=1)
    return np.array([[x, y, h] for h in z for x, y in ring])


@pytest.mark.requirement("B-skin-map-flat")
@pytest.mark.parametrize(("wide", "deep"), [(100, 100), (170, 110)])
def test_lengths_across_the_flat_map_are_those_along_the_body(wide, deep):
    flat = derive_unwrapping(tube(wide, deep))
    around = 4 * max(wide, deep) * ellipe(1 - (min(wide, deep) / max(wide, deep)) ** 2)
    assert flat.along_mm[-1] - flat.along_mm[0] == pytest.approx(around, rel=LENGTH_TOLERANCE)
    assert flat.find_along_mm(90.0) == pytest.approx(around / 4, rel=LENGTH_TOLERANCE)
    assert flat.find_along_mm(-90.0) == pytest.approx(-around / 4, rel=LENGTH_TOLERANCE)
    assert flat.find_along_mm(0.0) == pytest.approx(0.0, abs=1e-6)
    assert flat.stretch_percent < 1.0


@pytest.mark.requirement("B-skin-map-flat")
def test_patient_left_is_on_the_right_the_head_above_and_the_back_at_both_ends():
    flat = derive_unwrapping(tube(150, 100))
    left, head, back = flat.to_flat_mm([[150, 0, 0], [0, -100, 60], [0, 100, 0]])
    assert left[0] > 100 and head[1] == 60 and abs(head[0]) < 1e-6
    assert abs(back[0]) == pytest.approx(flat.along_mm[-1], rel=0.02)
    shown, extent = rasterise(flat, tube(150, 100))
    points = tube(150, 100)
    assert points[shown[0, shown.shape[1] // 2]][2] == 60 and points[shown[-1, 0]][2] == -60
    assert points[shown[shown.shape[0] // 2, int(shown.shape[1] * 0.75)]][0] > 140
    assert extent[0] < 0 < extent[1] and extent[2] < extent[3]


@pytest.mark.requirement("B-skin-map-flat")
def test_where_the_scan_has_no_skin_the_map_is_empty_and_the_scale_stays():
    turn = np.radians([t for t in range(360) if not 60 < t < 110])
    whole, cut = derive_unwrapping(tube(120, 120)), derive_unwrapping(tube(120, 120, turn=turn))
    assert cut.along_mm[-1] == pytest.approx(whole.along_mm[-1], rel=0.02)
    shown, extent = rasterise(cut, tube(120, 120, turn=turn))
    column = int((cut.find_along_mm(85.0) - extent[0]) / (extent[1] - extent[0]) * shown.shape[1])
    assert (shown[:, column] == -1).all()
    assert (shown[:, shown.shape[1] // 2] >= 0).all()


def test_a_body_that_narrows_is_told_as_stretch():
    points = tube(100, 100)
    points[:, :2] *= np.linspace(0.8, 1.2, len(points))[:, None]
    assert 14 < derive_unwrapping(points).stretch_percent < 22


@pytest.fixture(scope="module")
def subject():
    grid, parts = make_parts(3)
    limits = change_limits(**{**LIMITS, "skin_spacing": 4.0, "tilt_max": 35.0, "length_max": 60.0})
    scene = to_scene(grid, parts, {"L1": parts[Kind.LESION]}, limits=limits, gravity=SUPINE)
    found = derive_skin_map(scene, lesion_id="L1")
    best = int(np.nanargmin(found.scores))
    return MapSubject(
        skin_map=found,
        costs=derive_limit_costs(scene, found),
        mask=scene.lesions["L1"][0],
        marks=(MapMark(name="P1", point_lps_mm=scene.skin.points_lps_mm[best], first=True),),
        grid=grid,
        facts=ImageFacts(format="NIfTI"),
        gravity_lps=SUPINE,
    )


@pytest.mark.requirement("B-skin-map-bands")
def test_open_skin_is_drawn_in_four_bands_of_rank_and_closed_skin_by_its_limit(subject):
    found = subject.skin_map
    codes, legend = derive_codes(found, subject.costs)
    free = found.select(SkinClass.FREE)
    assert (codes[free] < len(BAND_COLOURS)).all() and (codes[~free] >= FIRST_BLOCKED).all()
    worst = [found.scores[codes == band].max() for band in range(4)]
    best = [found.scores[codes == band].min() for band in range(4)]
    assert all(low <= high for low, high in zip(worst[:-1], best[1:], strict=True))
    assert sum(entry.area_cm2 for entry in legend) == pytest.approx(found.skin.areas_mm2.sum() / 100)
    numbers = find_limit_numbers(found, subject.costs)
    assert ((numbers >= 0) == ~free).all()
    table = found.skin.on_table
    names = [subject.costs.limits[n].limit for n in numbers[table]]
    assert names.count("table_side") > 0.8 * len(names) > 0


@pytest.mark.requirement("B-skin-map-bands")
def test_every_named_limit_looks_different_and_the_same_in_every_map():
    assert len(set(LOOKS.values())) == len(LOOKS)
    others = ("kidney", "spleen", "gallbladder", "pancreas", "adrenal", "bile_duct")
    looks = derive_looks([*LOOKS, *others])
    assert len(set(looks.values())) == len(LOOKS) + len(others)
    assert derive_looks(["lung"])["lung"] == derive_looks(["bone", "spleen", "lung"])["lung"]


@pytest.mark.requirement("B-skin-map-picture")
def test_the_flat_picture_shows_the_bands_the_entry_and_says_so_in_words(subject):
    picture = draw_flat_map(subject)
    pixels = np.asarray(Image.open(io.BytesIO(picture.png)))
    colours, counts = np.unique(pixels.reshape(-1, 3), axis=0, return_counts=True)
    seen = {tuple(c): n for c, n in zip(colours.tolist(), counts, strict=True)}
    for band in BAND_COLOURS:
        assert seen.get(tuple(int(band[k : k + 2], 16) for k in (1, 3, 5)), 0) > 500
    assert seen.get((0xF0, 0xE4, 0x42), 0) > 50
    assert (
        "P1" in picture.alt
        and "open: best quarter" in picture.alt
        and "patient right on the left" in picture.alt
    )
    assert "on the table" in picture.alt and "Table side not marked" not in picture.title
    assert draw_flat_map(subject).png == picture.png


def test_without_gravity_the_picture_says_that_the_table_side_is_unknown(subject):
    from dataclasses import replace

    picture = draw_flat_map(replace(subject, gravity_lps=NotEvaluable(reason="position unknown")))
    assert "Table side not marked: position unknown" in picture.title


@pytest.mark.requirement("B-skin-map-picture")
def test_body_views_keep_head_up_and_left_where_it_is(subject):
    front, left = derive_axes(0.0), derive_axes(90.0)
    assert front[0] == pytest.approx([1, 0, 0]) and front[1][2] > 0.9 and front[2][1] < -0.9
    assert left[2][0] > 0.9 and left[0][1] > 0.9
    picture = draw_body_views(subject)
    assert "three sides" in picture.alt and "P1" in picture.alt
    pixels = np.asarray(Image.open(io.BytesIO(picture.png)))
    dark_green = (pixels[..., 1].astype(int) - pixels[..., 0] > 40) & (pixels[..., 1] > pixels[..., 2])
    assert dark_green.mean() > 0.01


def make_cost(**changes):
    def area(cm2):
        return Area(area_cm2=cm2, uncertainty_cm2=0.5)

    values = {
        "limit": "lung", "value": 5.0, "unit": "mm", "status": EvidenceStatus.UNVERIFIED, "source": "test",
        "blocked_fraction": 0.3, "alone": area(20.0),
        "relaxations": tuple(
            Relaxation(by=by, value=5.0 - by, freed=area(cm2))
            for by, cm2 in ((1.0, 2.0), (2.0, 2.0), (3.0, 6.0), (4.0, 8.0), (5.0, 14.0))
        ),
    }  # fmt: skip
    return LimitCost(**{**values, **changes})


@pytest.mark.requirement("B-explain-words")
def test_giving_way_is_said_in_the_unit_of_the_limit_with_an_uncertainty():
    cost = make_cost()
    first, middle, last = pick_steps(cost)
    assert (first.by, middle.by, last.by) == (1.0, 3.0, 5.0)
    assert say_step(cost, middle) == "3 mm less margin frees 6.0 ± 1.0 cm²"
    tilt = make_cost(limit="tilt_max", unit="deg", value=45.0)
    assert say_step(tilt, tilt.relaxations[-1]) == "5° more tilt frees 14 ± 1 cm²"
    assert say_counted(Area(area_cm2=0.25, uncertainty_cm2=0.2)) == "0.2 ± 0.4 cm²"
