"""Searching and checking paths on scenes whose answer is known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from path_scenes import NEEDLE, SUPINE, change_limits, to_scene, world

from hepatica.anatomy.structures import StructureKind as Kind
from hepatica.core.errors import CancelledError, GeometryError, InputError, NotFoundError
from hepatica.core.findings import NotEvaluable, Severity
from hepatica.core.geometry import Grid
from hepatica.planning.path.checks import check_path
from hepatica.planning.path.clearance import measure_box_distance_mm
from hepatica.planning.path.needles import find_needle, read_needles
from hepatica.planning.path.obstacles import derive_ball
from hepatica.planning.path.scene import read_path_limits
from hepatica.planning.path.search import plan_lesion_path
from hepatica.planning.path.targets import choose_targets
from hepatica.planning.path.values import PriorTrack, TissueClass, Track

IN_PLANE_DEG = 10.0
"""What an operator calls in plane."""


def make_grid(**options):
    return Grid.from_axes(
        shape=(100, 75, 56), spacing_mm=(2, 2, 3), origin_lps_mm=(-99, -74, -82.5), **options
    )


def torso(**more):
    """Round trunk along the body axis, liver right of the middle, one lesion of 12 mm radius in it."""
    grid = make_grid()
    x, y, z = np.moveaxis(world(grid), -1, 0)
    body = (x / 90) ** 2 + (y / 66) ** 2 <= 1
    liver = ((x + 30) / 50) ** 2 + (y / 52) ** 2 + (z / 55) ** 2 <= 1
    lesion = (x + 30) ** 2 + (y + 5) ** 2 + z**2 <= 12**2
    parts = {Kind.BODY: body, Kind.LIVER: liver, Kind.LESION: lesion}
    parts.update({kind: rule(x, y, z) & body for kind, rule in more.items()})
    return grid, parts, lesion


def plan(grid, parts, lesion, **options):
    scene = to_scene(grid, parts, {"L1": lesion}, **options)
    return scene, plan_lesion_path(scene, lesion_id="L1")


def rules(findings, severity=None):
    return {finding.rule for finding in findings if severity in (None, finding.severity)}


@pytest.mark.requirement("A-path-search")
def test_an_open_way_gives_a_best_path_and_a_backup_far_from_it():
    scene, path = plan(*torso())
    best, backup = path.best, path.backup
    assert path.examined_paths == len(scene.skin.points_lps_mm) * len(
        choose_targets(scene.lesions["L1"][1], limits=scene.limits)
    )
    assert np.linalg.norm(best.entry_lps_mm - backup.entry_lps_mm) >= 20.0
    for puncture in (best, backup):
        assert not rules(check_path(puncture, scene), Severity.ERROR)
        assert 30 <= puncture.length_mm <= 130
        assert puncture.liver_before_lesion_mm >= 10
        assert puncture.entry_lps_mm[1] < 10, "anterior or lateral"


@pytest.mark.requirement("A-path-peer-bugs")
def test_in_plane_paths_are_preferred_not_rejected():
    _, path = plan(*torso())
    assert abs(path.best.craniocaudal_angle_deg) <= IN_PLANE_DEG
    assert abs(path.backup.craniocaudal_angle_deg) <= IN_PLANE_DEG


@pytest.mark.requirement("A-path-peer-bugs")
def test_the_liver_is_not_a_collision():
    scene, path = plan(*torso())
    assert path.best is not None
    assert Kind.LIVER not in {layer.kind for layer in scene.obstacles.layers}
    assert "liver" in {run.tissue.value for run in path.best.runs}


@pytest.mark.requirement("A-path-search")
def test_the_search_is_deterministic():
    first, second = plan(*torso())[1], plan(*torso())[1]
    assert (first.best.entry_lps_mm == second.best.entry_lps_mm).all()
    assert (first.backup.tracks[0].tip_lps_mm == second.backup.tracks[0].tip_lps_mm).all()
    assert first.blocks == second.blocks


@pytest.mark.requirement("A-path-search")
def test_the_best_path_has_the_smallest_score_of_all_allowed_pairs():
    from hepatica.core.progress import SILENT
    from hepatica.planning.path.clearance import measure_slack_mm
    from hepatica.planning.path.pairs import judge_pairs
    from hepatica.planning.path.ranking import RankInput, derive_clearance_term, derive_scores, derive_terms

    grid, parts, lesion = torso(**{Kind.BOWEL: lambda x, y, z: (y < -38) & (x > -38) & (z < 30)})
    limits = change_limits(skin_spacing=12.0, skin_sample_spacing=0.5, target_candidates=4)
    scene, path = plan(grid, parts, lesion, limits=limits)
    assert (scene.skin_sample.areas_mm2 > 0).sum() == len(scene.skin.points_lps_mm)
    tips = choose_targets(scene.lesions["L1"][1], limits=limits)
    pairs = judge_pairs(scene, scene.paint_target("L1"), tips_lps_mm=tips, progress=SILENT)
    allowed = np.flatnonzero(pairs.broken == 0)
    assert len(allowed) > 50
    values = RankInput(
        length_mm=pairs.length_mm[allowed],
        tilt_deg=pairs.tilt_deg[allowed],
        in_plane_deg=pairs.in_plane_deg[allowed],
        capsule_deg=pairs.capsule_deg[allowed],
        parenchyma_mm=pairs.parenchyma_mm[allowed],
        viable_mm=pairs.viable_mm[allowed],
    )
    bounds = derive_scores(derive_terms(values, limits=limits), limits=limits)
    whole = [
        bound
        + limits["weight_clearance"].number
        * derive_clearance_term(
            measure_slack_mm(scene, pairs.entries_lps_mm[n], pairs.tips_lps_mm[n], beyond_mm=5.0),
            limits=limits,
        )
        for n, bound in zip(allowed, bounds, strict=True)
    ]
    best = sum(term.value * term.weight for term in path.best.terms)
    assert best == pytest.approx(min(whole), abs=1e-5)


@pytest.mark.requirement("A-path-no-path")
def test_no_path_says_which_limit_blocks_how_much_skin():
    grid, parts, lesion = torso(**{Kind.BOWEL: lambda x, y, z: (x + 30) ** 2 + (y + 5) ** 2 + z**2 > 44**2})
    scene, path = plan(grid, parts, lesion)
    assert path.best is None
    assert path.backup is None
    assert "path.none" in rules(path.findings, Severity.ERROR)
    blocks = {block.limit: block for block in path.blocks}
    assert blocks["bowel"].only_fraction > 0.2
    assert blocks["bowel"].only_cm2 == pytest.approx(
        blocks["bowel"].only_fraction * scene.skin.areas_mm2.sum() / 100, rel=1e-9
    )
    freed = {kind: part for kind, part in parts.items() if kind is not Kind.BOWEL}
    assert plan(grid, freed, lesion)[1].best is not None


def test_blocks_are_told_also_when_a_path_exists():
    grid, parts, lesion = torso(**{Kind.LUNG: lambda x, y, z: x < -75})
    _, path = plan(grid, parts, lesion)
    assert path.best is not None
    assert {"lung", "table_side", "needle_length"} <= {block.limit for block in path.blocks}
    assert all(0 <= block.only_fraction <= 1 and block.blocked_fraction <= 1 for block in path.blocks)


def test_skin_area_is_that_of_the_trunk():
    grid, parts, lesion = torso()
    scene = to_scene(grid, parts, {"L1": lesion})
    theta = np.linspace(0, 2 * np.pi, 20001)
    outline = np.stack([90 * np.cos(theta), 66 * np.sin(theta)], axis=1)
    perimeter = np.linalg.norm(np.diff(outline, axis=0), axis=1).sum()
    height = grid.shape[2] * 3.0
    # Voxel stairs and the smoothed normal leave a few percent.
    assert scene.skin.areas_mm2.sum() == pytest.approx(perimeter * height, rel=0.04)
    truth = scene.skin.points_lps_mm * (1 / 90**2, 1 / 66**2, 0)
    truth /= np.linalg.norm(truth, axis=1, keepdims=True)
    assert np.degrees(np.arccos(np.clip((truth * scene.skin.normals_lps).sum(axis=1), -1, 1))).max() < 6


@pytest.mark.requirement("A-path-skin")
def test_faces_of_the_volume_are_never_skin():
    scene = to_scene(*torso()[:2], {"L1": torso()[2]})
    radius = np.hypot(scene.skin.points_lps_mm[:, 0] / 90, scene.skin.points_lps_mm[:, 1] / 66)
    assert (radius > 0.93).all()
    assert (np.abs(scene.skin.normals_lps[:, 2]) < 0.2).all()


@pytest.mark.requirement("A-path-skin")
def test_only_skin_that_meets_air_is_an_entry():
    grid, parts, lesion = torso()
    x, y, _ = np.moveaxis(world(grid), -1, 0)
    hu = np.where(parts[Kind.BODY], 40, -1000).astype(np.int16)
    hu[~parts[Kind.BODY] & (y < -20) & (x > 0)] = 20  # something lies on the patient
    scene = to_scene(grid, parts, {"L1": lesion}, hu=hu)
    points = scene.skin.points_lps_mm
    assert not ((points[:, 1] < -30) & (points[:, 0] > 10)).any()
    assert ((points[:, 1] < -30) & (points[:, 0] < -10)).any()


@pytest.mark.requirement("A-path-skin")
@pytest.mark.parametrize(
    ("gravity", "forbidden"),
    [(SUPINE, (0, 1, 0)), (-SUPINE, (0, -1, 0)), (np.array([-1.0, 0, 0]), (-1, 0, 0))],
)
def test_the_side_the_patient_lies_on_is_no_entry(gravity, forbidden):
    grid, parts, lesion = torso()
    scene, path = plan(grid, parts, lesion, gravity=gravity)
    down = scene.skin.normals_lps @ np.array(forbidden)
    assert scene.skin.on_table[down > 0.5].all()
    assert not scene.skin.on_table[down < 0.3].any()
    for puncture in (path.best, path.backup):
        nearest = np.linalg.norm(scene.skin.points_lps_mm - puncture.entry_lps_mm, axis=1).argmin()
        assert down[nearest] < 0.35


@pytest.mark.requirement("A-path-skin")
def test_unknown_gravity_allows_all_skin_and_says_so():
    grid, parts, lesion = torso()
    scene, path = plan(grid, parts, lesion, gravity=NotEvaluable(reason="unknown"))
    assert not scene.skin.on_table.any()
    assert "path.table_side" in rules(path.findings, Severity.WARNING)
    assert isinstance(path.best.in_plane_angle_deg, NotEvaluable)


@pytest.mark.requirement("A-path-face")
def test_a_path_near_the_end_of_the_scan_is_never_first_choice():
    grid, parts, _ = torso()
    x, y, z = np.moveaxis(world(grid), -1, 0)
    liver = ((x + 30) / 50) ** 2 + (y / 52) ** 2 <= 1
    lesion = (x + 30) ** 2 + (y + 5) ** 2 + (z - 80) ** 2 <= 6**2
    parts = {**parts, Kind.LIVER: liver, Kind.LESION: lesion}
    _scene, path = plan(grid, parts, lesion)
    assert path.best is None
    assert "path.volume_face" in rules(path.findings, Severity.WARNING)
    assert "volume_face" in {block.limit for block in path.blocks}


@pytest.mark.requirement("A-path-face")
def test_clearance_near_the_end_of_the_scan_is_not_evaluable():
    grid, parts, lesion = torso(**{Kind.HEART: lambda x, y, z: (x > 60) & (z > 60)})
    scene, path = plan(grid, parts, lesion)
    moved = replace(
        path.best,
        entry_lps_mm=path.best.entry_lps_mm + np.array([0, 0, 80 - path.best.entry_lps_mm[2]]),
        tracks=(Track(tip_lps_mm=path.best.tracks[0].tip_lps_mm, deposits=()),),
    )
    from hepatica.planning.path.measure import measure_track, to_clearances

    assert "path.volume_face" in rules(check_path(moved, scene), Severity.WARNING)
    measure = measure_track(
        scene,
        scene.paint_target("L1"),
        lesion_id="L1",
        entry_lps_mm=moved.entry_lps_mm,
        tip_lps_mm=moved.tracks[0].tip_lps_mm,
    )
    clearance = {item.kind: item for item in to_clearances(scene, measure)}[Kind.HEART]
    assert isinstance(clearance.clearance_mm, NotEvaluable)


@pytest.mark.requirement("A-path-prior")
def test_a_prior_track_is_not_used_again():
    grid, parts, lesion = torso()
    _, free = plan(grid, parts, lesion)
    tip = free.best.tracks[0].tip_lps_mm
    prior = PriorTrack(plan_id="earlier", entry_lps_mm=free.best.entry_lps_mm, tip_lps_mm=tip)
    scene, path = plan(grid, parts, lesion, prior=(prior,))
    assert "path.prior_track_distance" in rules(check_path(free.best, scene), Severity.ERROR)
    from hepatica.planning.path.clearance import measure_segment_distance_mm

    for puncture in (path.best, path.backup):
        away = measure_segment_distance_mm(
            puncture.entry_lps_mm, puncture.tracks[0].tip_lps_mm, prior.entry_lps_mm, prior.tip_lps_mm
        )
        assert away[0] >= 5.0


@pytest.mark.requirement("A-path-lesions")
def test_no_track_enters_one_lesion_through_another():
    grid, parts, lesion = torso()
    x, y, z = np.moveaxis(world(grid), -1, 0)
    other = (x + 30) ** 2 + (y + 32) ** 2 + z**2 <= 9**2
    scene = to_scene(grid, {**parts, Kind.LESION: lesion | other}, {"L1": lesion, "L2": other})
    for lesion_id in ("L1", "L2"):
        path = plan_lesion_path(scene, lesion_id=lesion_id)
        assert "other lesion" not in {run.tissue.value for run in path.best.runs + path.backup.runs}
    straight = replace(
        path.best,
        entry_lps_mm=np.array([-30.0, -62.0, 0.0]),
        lesion_ids=("L1",),
        tracks=(Track(tip_lps_mm=np.array([-30.0, -5.0, 0.0]), deposits=()),),
    )
    assert "path.other_lesion" in rules(check_path(straight, scene), Severity.ERROR)


@pytest.mark.requirement("A-path-rib-gap")
def test_a_rib_gap_is_passed_only_if_it_leaves_the_margin():
    grid, parts, lesion = torso()
    x, y, z = np.moveaxis(world(grid), -1, 0)
    shell = ((x / 90) ** 2 + (y / 66) ** 2 > 0.85) & parts[Kind.BODY]
    ribs = shell & (np.abs(z) >= 6)  # ribs everywhere but for a gap of 12 mm around z = 0
    wide = {**parts, Kind.BONE: ribs}
    scene, path = plan(grid, wide, lesion)
    bone = {item.kind: item for item in path.best.clearances}[Kind.BONE]
    assert 2.0 <= bone.clearance_mm <= 6.0 - scene.needle_radius_mm + 1e-9
    assert "path.intercostal" in rules(path.best.findings)
    narrow = {**parts, Kind.BONE: shell & (np.abs(z) >= 3)}
    scene, path = plan(grid, narrow, lesion)
    # A gap of 6 mm leaves room for margin and radius only to a nearly level path.
    if path.best is not None:
        bone = {item.kind: item for item in path.best.clearances}[Kind.BONE]
        assert bone.clearance_mm >= 2.0
    shut = {**parts, Kind.BONE: shell & (np.abs(z) >= 2)}
    closed = plan(grid, shut, lesion, limits=change_limits(margin_bone=3.2))[1]
    assert closed.best is None
    assert {block.limit: block for block in closed.blocks}["bone"].only_cm2 > 0


def test_a_needle_too_short_finds_no_path_and_says_so():
    grid, parts, lesion = torso()
    _, path = plan(grid, parts, lesion, needle=replace(NEEDLE, length_mm=60.0))
    assert path.best is None
    assert path.blocks[0].limit == "needle_length"


def test_unlabelled_air_inside_the_body_is_not_passed():
    grid, parts, lesion = torso()
    x, y, _z = np.moveaxis(world(grid), -1, 0)
    hu = np.where(parts[Kind.BODY], 40, -1000).astype(np.int16)
    hu[parts[Kind.BODY] & ~parts[Kind.LIVER] & (y < -20)] = -800  # lung nobody labelled
    skin = (x / 90) ** 2 + (y / 66) ** 2 > 0.92
    hu[parts[Kind.BODY] & skin] = 40
    _, path = plan(grid, parts, lesion, hu=hu)
    for puncture in (path.best, path.backup):
        assert sum(run.to_mm - run.from_mm for run in puncture.runs if run.tissue is TissueClass.GAS) <= 2.0
    assert "unlabelled_air_max" in {block.limit for block in path.blocks}


@pytest.mark.requirement("A-path-check")
def test_a_path_drawn_by_hand_gets_every_broken_limit_at_once():
    grid, parts, lesion = torso(**{Kind.BOWEL: lambda x, y, z: (y < -40) & (np.abs(x) < 60)})
    scene, path = plan(grid, parts, lesion)
    drawn = replace(
        path.best,
        entry_lps_mm=np.array([-30.0, 63.0, 0.0]),
        tracks=(Track(tip_lps_mm=np.array([-30.0, -50.0, 0.0]), deposits=()),),
    )
    found = rules(check_path(drawn, scene), Severity.ERROR)
    assert {"path.table_side", "path.clearance.bowel", "path.tip_in_target"} <= found
    inside = replace(path.best, entry_lps_mm=np.array([-30.0, -40.0, 0.0]))
    assert "path.entry_on_skin" in rules(check_path(inside, scene), Severity.ERROR)


def test_a_track_without_length_is_refused():
    scene, path = plan(*torso())
    broken = replace(path.best, tracks=(Track(tip_lps_mm=path.best.entry_lps_mm, deposits=()),))
    with pytest.raises(GeometryError):
        check_path(broken, scene)


def test_run_out_is_hard_outside_the_liver_and_soft_in_it():
    grid, parts, lesion = torso()
    x, y, z = np.moveaxis(world(grid), -1, 0)
    behind = (np.abs(x + 30) < 20) & (y > 18) & (y < 30) & (np.abs(z) < 20)
    path = plan(grid, parts, lesion)[1]
    tip = np.array([-30.0, 1.0, 0.0])
    drawn = replace(
        path.best, entry_lps_mm=np.array([-30.0, -62.0, 0.0]), tracks=(Track(tip_lps_mm=tip, deposits=()),)
    )
    within = to_scene(grid, {**parts, Kind.BOWEL: behind}, {"L1": lesion})
    soft = {f.rule: f.severity for f in check_path(drawn, within)}
    assert soft["path.run_out.bowel"] is Severity.WARNING
    liver = parts[Kind.LIVER] & (y < 6)
    outside = to_scene(grid, {**parts, Kind.LIVER: liver, Kind.BOWEL: behind}, {"L1": lesion})
    hard = {f.rule: f.severity for f in check_path(drawn, outside)}
    assert hard["path.run_out.bowel"] is Severity.ERROR


def test_vessels_count_by_their_calibre():
    grid = Grid.from_axes(shape=(40, 40, 40), spacing_mm=(1, 1, 1), origin_lps_mm=(0, 0, 0))
    x, y, z = np.moveaxis(world(grid), -1, 0)
    body = (x > 2) & (x < 37) & (y > 2) & (y < 37)
    thin = (x == 8) & (y == 10)
    middle = (np.hypot(x - 18, y - 10) < 2.2) & body
    wide = (np.hypot(x - 28, y - 20) < 5) & body
    lesion = (np.abs(x - 12) < 3) & (np.abs(y - 30) < 3) & (np.abs(z - 20) < 3)
    parts = {Kind.BODY: body, Kind.LIVER: body & (y > 5), Kind.PORTAL_VEIN: thin | middle | wide}
    obstacles = to_scene(grid, parts, {"L1": lesion}).obstacles
    columns = [
        {int(i) // 10 for i in obstacles.voxels[obstacles.layer_of_voxel == number, 0]} for number in range(2)
    ]
    assert [layer.margin.number for layer in obstacles.layers] == [3.0, 5.0]
    assert columns[0] == {1, 2, 3}
    assert columns[1] == {2, 3}


def test_the_ball_of_a_thin_calibre_is_never_empty():
    assert len(derive_ball(1.5, np.array([5.0, 5.0, 5.0]))) == 1


def test_a_derived_structure_gives_way_inside_a_drawn_lesion():
    grid, parts, lesion = torso()
    parts = {**parts, Kind.BONE: lesion.copy()}
    assert plan(grid, parts, lesion)[1].best is None
    assert plan(grid, parts, lesion, derived=(Kind.BONE,))[1].best is not None


@pytest.mark.requirement("A-path-targets")
def test_targets_of_a_necrotic_ring_lie_in_the_viable_rim():
    grid, parts, _ = torso()
    x, y, z = np.moveaxis(world(grid), -1, 0)
    radius = np.sqrt((x + 30) ** 2 + (y + 5) ** 2 + z**2)
    lesion = radius <= 20
    rim = lesion & (radius > 12)
    scene = to_scene(grid, {**parts, Kind.LESION: lesion}, {"L1": (lesion, rim)})
    targets = choose_targets(scene.lesions["L1"][1], limits=scene.limits)
    index = np.round(grid.to_index(targets)).astype(int)
    assert rim[tuple(index.T)].all()
    assert len(targets) == scene.limits["target_candidates"].number
    path = plan_lesion_path(scene, lesion_id="L1")
    tip = np.round(grid.to_index(path.best.tracks[0].tip_lps_mm)).astype(int)
    assert rim[tuple(tip)]


@pytest.mark.requirement("A-path-targets")
def test_targets_of_a_c_shaped_lesion_lie_inside_it():
    grid, parts, _ = torso()
    x, y, z = np.moveaxis(world(grid), -1, 0)
    ring = (np.abs(np.hypot(x + 30, y) - 18) < 5) & (np.abs(z) < 8) & ~((x > -30) & (np.abs(y) < 10))
    centroid = world(grid)[ring].mean(axis=0)
    assert not ring[tuple(np.round(grid.to_index(centroid)).astype(int))], "the centroid misses the lesion"
    scene = to_scene(grid, {**parts, Kind.LESION: ring}, {"L1": ring})
    targets = choose_targets(scene.lesions["L1"][1], limits=scene.limits)
    assert ring[tuple(np.round(grid.to_index(targets)).astype(int).T)].all()
    assert plan_lesion_path(scene, lesion_id="L1").best is not None


def test_a_missing_liver_or_unknown_lesion_is_refused():
    grid, parts, lesion = torso()
    with pytest.raises(NotFoundError, match="liver"):
        to_scene(grid, {Kind.BODY: parts[Kind.BODY]}, {"L1": lesion})
    scene = to_scene(grid, parts, {"L1": lesion})
    with pytest.raises(NotFoundError, match="L7"):
        plan_lesion_path(scene, lesion_id="L7")


def test_the_search_can_be_cancelled():
    class Stop:
        def stage(self, name):
            pass

        def advance(self, fraction):
            pass

        def check_cancelled(self):
            raise CancelledError(where="path")

    grid, parts, lesion = torso()
    scene = to_scene(grid, parts, {"L1": lesion})
    with pytest.raises(CancelledError):
        plan_lesion_path(scene, lesion_id="L1", progress=Stop())


@pytest.mark.requirement("A-path-evidence")
def test_every_limit_carries_unit_source_and_status_and_none_claims_to_be_verified():
    for entry in read_path_limits():
        assert entry.source
        assert entry.status.value == "unverified"
        if entry.key.startswith(("margin_", "length_", "vessel_")):
            assert entry.unit == "mm"


@pytest.mark.requirement("A-path-evidence")
def test_every_kind_that_may_not_be_crossed_has_a_margin():
    from hepatica.anatomy.structures import Origin, StructureSource
    from hepatica.planning.path.obstacles import NOT_OBSTACLES, to_layers

    grid = make_grid()
    from hepatica.anatomy.structures import Anatomy

    sources = {k: StructureSource(kind=k, origin=Origin.LABELLED, names=(k,), source="t") for k in Kind}
    anatomy = Anatomy(grid=grid, bits=np.zeros(grid.shape, np.uint32), sources=sources)
    layers = to_layers(anatomy, read_path_limits())
    assert {layer.kind for layer in layers} == set(Kind) - NOT_OBSTACLES
    assert len(layers) <= 32


NEEDLES_TOML = """
version = "1"

[thin]
name = "thin"
gauge = 22
outer_diameter_mm = 0.718
length_mm = 150.0
hub_allowance_mm = 20.0
dead_space_ml = 0.08
holes = "end"
source = "test"
status = "unverified"
"""


def make_needle_package(folder, text, monkeypatch, name):
    package = folder / name
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "needles.toml").write_text(text)
    monkeypatch.syspath_prepend(str(folder))
    return name


def test_needles_are_read_as_data(tmp_path, monkeypatch):
    needles = read_needles(make_needle_package(tmp_path, NEEDLES_TOML, monkeypatch, "needles_good"))
    assert [(needle.name, needle.length_mm, needle.status.value) for needle in needles] == [
        ("thin", 150.0, "unverified")
    ]
    assert find_needle(needles, "thin") is needles[0]
    with pytest.raises(NotFoundError):
        find_needle(needles, "no such needle")


def test_a_needle_with_a_missing_field_is_refused(tmp_path, monkeypatch):
    text = NEEDLES_TOML.replace("dead_space_ml = 0.08\n", "")
    package = make_needle_package(tmp_path, text, monkeypatch, "needles_bad")
    with pytest.raises(InputError, match="dead_space_ml"):
        read_needles(package)


@pytest.mark.requirement("A-path-skin")
def test_no_entry_lies_within_20_mm_of_an_implant():
    grid, parts, lesion = torso()
    free = plan(grid, parts, lesion)[1]
    port = np.linalg.norm(world(grid) - free.best.entry_lps_mm - (0, 6, 0), axis=-1) < 5
    scene, path = plan(grid, {**parts, Kind.IMPLANT: port}, lesion)
    boxes = np.argwhere(port) * grid.spacing_mm
    for puncture in (path.best, path.backup):
        local = scene.to_local_mm(puncture.entry_lps_mm)
        away = min(measure_box_distance_mm(local, local, box, box + grid.spacing_mm) for box in boxes)
        assert away >= 20.0
    assert "entry_implant_distance" in {block.limit for block in path.blocks}
    assert "path.entry_implant_distance" in rules(check_path(free.best, scene), Severity.ERROR)


@pytest.mark.requirement("A-path-skin")
def test_a_hub_below_the_table_top_is_refused():
    grid, parts, lesion = torso()
    scene, path = plan(grid, parts, lesion)
    # Enters the flank level with the table side and climbs: its hub would start under the back.
    rising = replace(
        path.best,
        entry_lps_mm=np.array([-88.0, 12.0, 0.0]),
        tracks=(Track(tip_lps_mm=np.array([-36.0, -12.0, 0.0]), deposits=()),),
    )
    messages = [f.message for f in check_path(rising, scene) if f.rule == "path.table_side"]
    level = float((scene.skin.points_lps_mm @ SUPINE).max())
    way = np.array([52.0, -24.0])
    hub = 12.0 - (NEEDLE.length_mm - np.linalg.norm(way)) * way[1] / np.linalg.norm(way)
    assert bool(messages) == (hub > level)
    steeper = replace(
        rising,
        entry_lps_mm=np.array([-84.0, 24.0, 0.0]),
        tracks=(Track(tip_lps_mm=np.array([-36.0, -14.0, 0.0]), deposits=()),),
    )
    assert any("hub" in f.message for f in check_path(steeper, scene) if f.rule == "path.table_side")
