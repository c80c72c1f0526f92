"""A fan, a shared coaxial needle and a shared skin hole in every document of a plan."""

from __future__ import annotations

import io
import json
from dataclasses import replace

import jsonschema
import numpy as np
import pytest
from phantom import LESION_CENTRE_LPS_MM, make_context, make_puncture
from PIL import Image

from hepatica.adapters.dicom.sr_groups import ReportFrame, make_groups
from hepatica.adapters.reports.html import to_html
from hepatica.adapters.reports.markups import to_markups_document
from hepatica.adapters.reports.picture_book import NEEDLE_FRAME, PictureBook
from hepatica.adapters.reports.pictures import draw_needle_picture
from hepatica.adapters.reports.puncture_view import derive_puncture_view
from hepatica.adapters.reports.sheet import to_sheet_document, typeset_sheet
from hepatica.adapters.reports.track_view import say_turn
from hepatica.adapters.reports.view import derive_plan_view
from hepatica.core.evidence import Evidence, EvidenceStatus
from hepatica.core.findings import NotEvaluable
from hepatica.core.progress import SILENT
from hepatica.planning.path.placement_values import Chance, DepositRisk
from hepatica.planning.path.values import Deposit, DepositDistance, Track
from hepatica.workflows.plan_document import read_plan_schema, to_plan_document
from hepatica.workflows.prior_plan import from_plan_document

TURNED_DEG = 10.0


def make_fan(*, lesions=("L1", "L1"), name="P1"):
    """A coaxial needle 40 mm short of the lesion's centre, one straight track and one turned to the head."""
    straight = make_puncture(name, (-150.0, -60.0, 10.0))
    way = LESION_CENTRE_LPS_MM - straight.entry_lps_mm
    way = way / np.linalg.norm(way)
    pivot = LESION_CENTRE_LPS_MM - 40.0 * way
    a = np.radians(TURNED_DEG)
    turned = np.cos(a) * way + np.sin(a) * np.array([0.0, 0.0, 1.0])
    near = (
        DepositDistance(
            name="capsule", distance_mm=7.5, limit_mm=10.0, status=EvidenceStatus.UNVERIFIED
        ),
        DepositDistance(
            name="bile_duct", distance_mm=NotEvaluable(reason="no bile duct is labelled"), limit_mm=8.0,
            status=EvidenceStatus.UNVERIFIED,
        ),
    )  # fmt: skip
    tracks = []
    for direction, length, lesion_id in ((way, 48.0, lesions[0]), (turned, 44.0, lesions[1])):
        deposits = tuple(
            Deposit(
                point_lps_mm=pivot + (length - 5.0 * n) * direction, volume_ml=0.5, lesion_id=lesion_id,
                order=n + 1, distances=near,
            )
            for n in range(2)
        )  # fmt: skip
        tracks.append(Track(tip_lps_mm=pivot + length * direction, deposits=deposits, runs=straight.runs))
    return replace(
        straight, tracks=tuple(tracks), pivot_lps_mm=pivot, lesion_ids=tuple(dict.fromkeys(lesions)),
        length_mm=float(np.linalg.norm(pivot - straight.entry_lps_mm)) + 48.0,
    )  # fmt: skip


@pytest.fixture(scope="module")
def context():
    plain = make_context()
    return replace(plain, plan=replace(plain.plan, punctures=(make_fan(),)))


@pytest.fixture(scope="module")
def pictures(context):
    return PictureBook().draw(context, progress=SILENT)


def to_document(context):
    return to_plan_document(
        context.plan, manifest=context.manifest, anatomy=context.anatomy, image_facts=context.image.facts
    )


@pytest.mark.requirement("B-fan-json")
def test_plan_json_states_coaxial_tip_turn_and_length_of_every_track_by_its_schema(context):
    document = to_document(context)
    jsonschema.Draft202012Validator(read_plan_schema()).validate(document)
    puncture, fan = document["punctures"][0], context.plan.punctures[0]
    assert puncture["pivot_lps_mm"] == pytest.approx(fan.pivot_lps_mm.tolist())
    assert [t["turn_deg"] for t in puncture["tracks"]] == pytest.approx([0.0, TURNED_DEG], abs=1e-5)
    outer = float(np.linalg.norm(fan.pivot_lps_mm - fan.entry_lps_mm))
    assert [t["length_mm"] for t in puncture["tracks"]] == pytest.approx([outer + 48.0, outer + 44.0])
    assert puncture["tracks"][1]["runs"][0]["tissue"] == "fat"
    capsule, duct = puncture["tracks"][0]["deposits"][0]["distances"]
    assert (capsule["to"], capsule["distance_mm"], capsule["status"]) == ("capsule", 7.5, "unverified")
    assert duct["distance_mm"] == {"not_evaluable": "no bile duct is labelled"}
    backup = document["backups"][0]
    assert (backup["pivot_lps_mm"], backup["shares_skin_with"]) == (None, [])


@pytest.mark.requirement("B-fan-json")
def test_a_later_plan_keeps_away_from_the_coaxial_needle_and_from_every_turned_track(context):
    fan = context.plan.punctures[0]
    prior = from_plan_document(json.loads(json.dumps(to_document(context))))
    ends = [(t.entry_lps_mm, t.tip_lps_mm) for t in prior.tracks]
    assert len(ends) == 3
    wanted = [(fan.entry_lps_mm, fan.pivot_lps_mm), *((fan.pivot_lps_mm, t.tip_lps_mm) for t in fan.tracks)]
    for (a, b), (c, d) in zip(ends, wanted, strict=True):
        assert a == pytest.approx(c) and b == pytest.approx(d)


@pytest.mark.requirement("B-fan-sheet")
def test_the_sheet_says_depth_at_the_hub_and_turn_of_each_track_and_its_stops_deepest_first(context):
    view = derive_puncture_view(context.plan.punctures[0], context)
    first, second = view.tracks
    outer = float(np.linalg.norm(make_fan().pivot_lps_mm - make_fan().entry_lps_mm))
    assert view.coaxial_depth == f"{outer:.1f} mm"
    assert (first.depth, first.beyond, first.turn, first.toward) == (
        f"{outer + 48:.1f} mm", "48.0 mm", "straight on", "",
    )  # fmt: skip
    assert (second.turn, second.toward) == ("10.0°", "10° toward the head")
    assert second.stops == (f"{outer + 44:.1f}", f"{outer + 39:.1f}")
    assert [stop.pull_back for stop in view.stops] == ["at tip", "5.0 mm"] * 2
    assert view.depth_tip == f"{outer + 48:.1f} mm"


@pytest.mark.requirement("B-fan-sheet")
def test_the_sheet_of_a_fan_is_one_a4_page(context, pictures):
    view = derive_plan_view(context)
    pages = typeset_sheet(view, pictures, run_time=context.manifest.run_time, png_ppi=40)
    assert len(pages) == 1
    assert Image.open(io.BytesIO(pages[0])).height > Image.open(io.BytesIO(pages[0])).width
    document = to_sheet_document(view, pictures, run_time=context.manifest.run_time)
    assert document["punctures"][0]["pictures"]["target"]["title"].startswith("Seen along the coaxial needle")


@pytest.mark.requirement("B-fan-sheet")
def test_the_report_lists_every_track_of_a_fan(context, pictures):
    text = to_html(derive_plan_view(context), pictures)
    assert "Tracks from the coaxial tip at" in text and "10° toward the head" in text


@pytest.mark.requirement("B-fan-sheet")
def test_a_turned_track_is_drawn_beside_the_straight_one(context):
    fan = context.plan.punctures[0]
    away = np.linalg.norm(fan.tracks[0].tip_lps_mm - fan.entry_lps_mm)
    assert away > 0
    # Turned within the picture's plane, so that it shows beside the straight track.
    way = fan.pivot_lps_mm - fan.entry_lps_mm
    way = way / np.linalg.norm(way)
    side = np.cross(way, [0.0, 0.0, 1.0])
    a = np.radians(14.0)
    tip = fan.pivot_lps_mm + 44.0 * (np.cos(a) * way + np.sin(a) * side)
    beside = replace(fan, tracks=(fan.tracks[0], Track(tip_lps_mm=tip, deposits=())))
    only = replace(fan, tracks=(fan.tracks[0],))
    images = [
        np.asarray(Image.open(io.BytesIO(draw_needle_picture(context, p, frame=NEEDLE_FRAME).png))).astype(
            int
        )
        for p in (only, beside)
    ]
    changed = np.abs(images[0] - images[1]).max(axis=-1) > 60
    assert changed.sum() > 300


@pytest.mark.requirement("B-fan-markups")
def test_markups_have_a_line_for_the_coaxial_needle_and_one_from_its_tip_for_every_track(context):
    fan = context.plan.punctures[0]
    markups = {m["name"]: m for m in to_markups_document(context.plan)["markups"]}
    coaxial = [p["position"] for p in markups["P1 coaxial needle"]["controlPoints"]]
    assert coaxial[0] == pytest.approx(fan.entry_lps_mm.tolist(), abs=1e-3)
    assert coaxial[1] == pytest.approx(fan.pivot_lps_mm.tolist(), abs=1e-3)
    for number, track in enumerate(fan.tracks, start=1):
        ends = [p["position"] for p in markups[f"P1 track {number}"]["controlPoints"]]
        assert ends[0] == coaxial[1]
        assert ends[1] == pytest.approx(track.tip_lps_mm.tolist(), abs=1e-3)


@pytest.mark.requirement("B-fan-sr")
def test_the_structured_report_draws_every_track_over_the_coaxial_tip(context):
    frame = ReportFrame(
        context=context, frame_of_reference="1.2.3", source_series_uid="1.2.4",
        tracking_uids={"L1": "1.2.5"}, segments={},
    )  # fmt: skip
    group = next(g for g in make_groups(frame) if "P1" in str(g[0]) and "needle_path" in str(g[0]))
    items = [i for i in group[0].ContentSequence if i.ValueType == "NUM"]
    named = [(i.ConceptNameCodeSequence[0].CodeValue, i) for i in items]
    fan = context.plan.punctures[0]
    lines = [i.ContentSequence[-1].GraphicData for value, i in named if value == "track_length"]
    for line, track in zip(lines, fan.tracks, strict=True):
        expected = np.concatenate([fan.entry_lps_mm, fan.pivot_lps_mm, track.tip_lps_mm])
        assert list(line) == pytest.approx(expected.tolist(), abs=1e-3)
    turns = [float(i.MeasuredValueSequence[0].NumericValue) for value, i in named if value == "redirection"]
    assert turns == pytest.approx([0.0, TURNED_DEG], abs=1e-4)
    comments = [str(i.TextValue) for i in group[0].ContentSequence if i.ValueType == "TEXT"]
    assert any(line.startswith("Coaxial needle; 2 tracks") for line in comments)


@pytest.mark.requirement("B-share-shown")
def test_a_shared_coaxial_needle_asks_for_a_fresh_inner_needle_and_its_dead_space(context):
    view = derive_puncture_view(make_fan(lesions=("L1", "L2")), context)
    assert view.sharing.startswith("One coaxial needle for L1 and L2: take a fresh inner needle")
    # 2 mL and the dead space of two inner needles of 0.1 mL.
    assert (view.draw_up.text, view.draw_up.note) == ("2.20 mL", "2.00 mL + dead space 0.20 mL")
    alone = derive_puncture_view(make_fan(), context)
    assert (alone.sharing, alone.draw_up.text) == ("", "2.10 mL")
    shared = derive_puncture_view(
        replace(make_puncture("P1", (-150, -60, 10)), shares_skin_with=("P2",)), context
    )
    assert shared.sharing.startswith("Same hole in the skin as P2: take a fresh needle")
    assert shared.tracks == () and shared.coaxial_depth == ""


def test_chances_of_a_track_are_given_as_a_range_and_turning_error_is_a_source(context):
    from placement_scenes import make_model, make_slab_scene
    from placement_scenes import make_puncture as make_plain

    from hepatica.planning.path.placement_error import simulate_placement

    scene = make_slab_scene()
    plain = make_plain((50, 4, 50), (50, 50, 50), stops_mm=(0.0, 5.0))
    risk = simulate_placement(plain, scene, model=make_model(), draws=100, rng=np.random.default_rng(1))
    sigma = Evidence(
        key="redirection", value=2.7, unit="deg", source="phantom study", status=EvidenceStatus.UNVERIFIED
    )
    deposits = tuple(
        DepositRisk(track=t, order=o, lesion_id="L1", in_target=Chance(hits=40 + 10 * t + o, draws=100))
        for t in (1, 2)
        for o in (1, 2)
    )
    fan = replace(make_fan(), risk=replace(risk, redirection=sigma, deposits=deposits))
    shown = replace(context, plan=replace(context.plan, punctures=(fan,)))
    assert [t.chance for t in derive_puncture_view(fan, shown).tracks] == ["51 to 52 %", "61 to 62 %"]
    view = derive_plan_view(shown)
    assert ("phantom study", "unverified") in [(s.text, s.status) for s in view.sources]
    document = to_document(shown)
    jsonschema.Draft202012Validator(read_plan_schema()).validate(document)
    assert document["punctures"][0]["risk"]["redirection"]["sigma_deg"] == 2.7
    assert view.punctures[0].risk.title.unverified


@pytest.mark.parametrize(
    ("entry", "tip", "words"),
    [
        ((0, 0, 0), (5, 60, 0), "27° to patient left"),
        ((0, 0, 0), (-5, 60, 0), "27° to patient right"),
        ((0, 0, 0), (0, 60, -5), "27° toward the feet"),
        ((0, 100, 0), (3, 40, 4), "17° to patient left, 22° toward the head"),
    ],
)
def test_the_turn_is_said_in_the_patients_own_directions(entry, tip, words):
    assert say_turn(np.array(entry, float), np.array([0.0, 50.0, 0.0]), np.array(tip, float)) == words
