"""What a search leaves out because it cannot matter, never matters."""

from __future__ import annotations

import threading

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from path_scenes import LIMITS, change_limits, make_parts, to_scene

from hepatica.anatomy.structures import StructureKind as Kind
from hepatica.core.errors import CancelledError, InputError
from hepatica.core.findings import NotEvaluable
from hepatica.core.progress import SILENT
from hepatica.planning.path import search, threads
from hepatica.planning.path.pairs import clear_pairs
from hepatica.planning.path.ranking import derive_scores
from hepatica.planning.path.search import plan_lesion_path, plan_lesion_paths
from hepatica.planning.path.session import PathSession
from hepatica.planning.path.settle import SETTLED, Candidates
from hepatica.planning.path.targets import choose_targets

SCORE_STEP = 1e-6
"""Scores are rounded to this."""
ROUNDING_MM = 1e-9


def make_scene(seed, *, spacing=6.0, gravity=None, two=False, **changes):
    grid, parts = make_parts(seed)
    lesions = {"L1": parts[Kind.LESION]}
    if two:
        # The same tumour cut in two at its middle slice, so that both can be reached.
        middle = int(np.argwhere(parts[Kind.LESION])[:, 2].mean())
        upper = parts[Kind.LESION].copy()
        upper[:, :, : middle + 1] = False
        lesions = {"L1": parts[Kind.LESION] & ~upper, "L2": upper}
    limits = change_limits(**{**LIMITS, "skin_spacing": spacing, "tilt_max": 90.0, **changes})
    gravity = NotEvaluable(reason="none") if gravity is None else gravity
    return to_scene(grid, parts, lesions, limits=limits, gravity=gravity)


def make_candidates(scene):
    tips = choose_targets(scene.lesions["L1"][1], limits=scene.limits)
    return Candidates(scene, scene.paint_target("L1"), lesion_id="L1", tips_lps_mm=tips)


@pytest.mark.requirement("B-path-screening")
@settings(max_examples=5, deadline=None, derandomize=True)
@given(seed=st.integers(0, 10_000), least=st.floats(0.1, 5.0))
def test_a_path_given_up_early_has_no_more_slack_than_is_said(seed, least):
    scene = make_scene(seed)
    candidates = make_candidates(scene)
    ends = candidates._to_local(np.arange(len(candidates)))
    broken, full, every = clear_pairs(scene, candidates.tissue, *ends, comfort_mm=5.0)
    asked = np.full(len(full), least)
    bits, slack, done = clear_pairs(scene, candidates.tissue, *ends, comfort_mm=5.0, least_mm=asked)
    assert every.all() and not done.all()
    assert (full[~done] <= slack[~done] + ROUNDING_MM).all() and (slack[~done] < least).all()
    assert ((bits[done] != 0) == (broken[done] != 0)).all()
    kept = done & (bits == 0)
    assert slack[kept].tolist() == full[kept].tolist() and (slack[kept] >= least - ROUNDING_MM).all()


@pytest.mark.requirement("B-path-screening")
@settings(max_examples=5, deadline=None, derandomize=True)
@given(seed=st.integers(0, 10_000), known=st.booleans(), weight=st.floats(0.0, 4.0))
def test_a_bound_is_never_above_the_score_it_bounds(seed, known, weight):
    gravity = np.array([0.0, 1.0, 0.0]) if known else None
    scene = make_scene(seed, gravity=gravity, weight_deposit_room=weight, tilt_max=60.0)
    candidates = make_candidates(scene)
    first = candidates.bound.copy()
    terms = derive_scores(candidates.to_terms(np.arange(len(first))), limits=scene.limits)
    assert (first <= np.round(terms, 6) + 0.5 * SCORE_STEP).all()
    assert (first >= terms - 2 * SCORE_STEP).all()
    candidates.settle(np.arange(len(candidates)), progress=SILENT)
    assert (candidates.stage[candidates.allowed] == SETTLED).all() and candidates.allowed.any()
    assert (first <= candidates.bound + 0.5 * SCORE_STEP)[candidates.allowed].all()


@pytest.mark.requirement("B-path-screening")
@settings(max_examples=5, deadline=None, derandomize=True)
@given(seed=st.integers(0, 10_000))
def test_the_best_of_each_group_is_the_best_of_all_its_pairs_settled_one_by_one(seed):
    scene = make_scene(seed)
    every, quick = make_candidates(scene), make_candidates(scene)
    chosen = np.arange(len(every))
    group = every.entry[chosen] % 7
    every.settle(chosen, progress=SILENT)
    found = quick.find_best_of_groups(chosen, group, progress=SILENT)
    for number in range(7):
        here = every.allowed & (group == number)
        mine = found[group[found] == number]
        assert len(mine) == int(here.any())
        if len(mine):
            assert every.allowed[mine[0]] and every.bound[mine[0]] == every.bound[here].min()


def to_words(path):
    punctures = [p for p in (path.best, path.backup, *path.alternatives) if p is not None]
    return [(p.entry_lps_mm.tolist(), p.tracks[0].tip_lps_mm.tolist()) for p in punctures], path.blocks


@pytest.mark.requirement("B-path-threads")
def test_lesions_planned_side_by_side_get_the_answers_they_get_alone(monkeypatch):
    scene = make_scene(3, two=True)
    alone = [to_words(plan_lesion_path(scene, lesion_id=name, volume_ml=0.4)) for name in ("L1", "L2")]
    assert any(punctures for punctures, _ in alone)
    for count in (1, 2, 5):
        monkeypatch.setattr(threads.os, "cpu_count", lambda count=count: count)
        together = plan_lesion_paths(scene, volumes_ml={"L1": 0.4, "L2": 0.4})
        assert [to_words(path) for path in together] == alone
        session = PathSession(make_scene(3, two=True))
        assert [to_words(path) for path in session.rank_paths({"L1": 0.4, "L2": 0.4}).paths] == alone


class StopAtOnce:
    """A progress whose user wants to stop, and that notes which thread asked."""

    def __init__(self):
        self.asked_by = set()

    def stage(self, name):
        pass

    def advance(self, fraction):
        pass

    def check_cancelled(self):
        self.asked_by.add(threading.get_ident())
        raise CancelledError(where="a test")


@pytest.mark.requirement("B-path-threads")
def test_several_lesions_stop_when_the_user_does_and_only_the_caller_speaks_to_the_progress(monkeypatch):
    monkeypatch.setattr(threads.os, "cpu_count", lambda: 2)
    progress = StopAtOnce()
    with pytest.raises(CancelledError):
        plan_lesion_paths(make_scene(3, two=True), volumes_ml={"L1": 0.4, "L2": 0.4}, progress=progress)
    assert progress.asked_by == {threading.get_ident()}


@pytest.mark.requirement("B-path-threads")
def test_what_goes_wrong_in_one_of_several_threads_is_told(monkeypatch):
    monkeypatch.setattr(threads.os, "cpu_count", lambda: 3)

    def work(item, progress):
        if item == 2:
            raise ValueError("item 2")
        return 10 * item

    assert threads.map_over_threads(work, [3, 1, 5]) == [30, 10, 50]
    with pytest.raises(ValueError, match="item 2"):
        threads.map_over_threads(work, [1, 2, 3, 4])


@pytest.mark.requirement("B-path-screening")
@pytest.mark.parametrize("volume_ml", [-1.0, float("nan"), float("inf")])
def test_a_volume_that_cannot_be_is_refused_and_not_called_no_path(volume_ml):
    with pytest.raises(InputError, match="at least 0 mL"):
        plan_lesion_path(make_scene(3), lesion_id="L1", volume_ml=volume_ml)


@pytest.mark.requirement("B-path-screening")
def test_rooms_that_no_path_has_are_not_tried_one_by_one(monkeypatch):
    tried = []
    find = search.find_puncture
    monkeypatch.setattr(
        search, "find_puncture", lambda *args, **named: tried.append(named["name"]) or find(*args, **named)
    )
    found = plan_lesion_path(make_scene(3), lesion_id="L1", volume_ml=1e5)
    assert found.best is not None and tried.count("P1") < 100


@pytest.mark.requirement("B-session-refuses")
@pytest.mark.filterwarnings("error::RuntimeWarning")
@pytest.mark.parametrize(
    "limit",
    ["tilt_max", "length_max", "capsule_angle_prefer", "comfort_parenchyma", "comfort_deposit_room",
     "comfort_clearance"],
)  # fmt: skip
def test_a_scale_of_zero_gives_an_answer_and_the_same_as_settling_everything(limit):
    session = PathSession(make_scene(3))
    scene = session.change_limits({limit: 0.0})
    found = session.rank_paths({"L1": 0.0}).paths[0]
    every = make_candidates(scene)
    every.settle(np.arange(len(every)), progress=SILENT)
    assert (found.best is not None) == every.allowed.any()
    assert (found.best is None) == (limit == "length_max")
    if found.best is not None:
        score = sum(term.value * term.weight for term in found.best.terms)
        assert score == pytest.approx(every.bound[every.allowed].min(), abs=SCORE_STEP)


@pytest.mark.requirement("B-path-screening")
def test_a_run_out_beyond_the_scan_is_walked_no_farther_than_the_scan():
    # Walked to its end, a run-out of a thousand kilometres would take days.
    short = plan_lesion_path(make_scene(3, run_out=2000.0), lesion_id="L1", volume_ml=0.4)
    endless = plan_lesion_path(make_scene(3, run_out=1e9), lesion_id="L1", volume_ml=0.4)
    assert to_words(short) == to_words(endless)
