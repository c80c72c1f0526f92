"""A session's answers do not depend on what was asked before."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from path_scenes import LIMITS, change_limits, make_parts, to_scene

from hepatica.anatomy.structures import StructureKind as Kind
from hepatica.core.findings import NotEvaluable
from hepatica.planning.path import threads
from hepatica.planning.path.search import plan_lesion_path
from hepatica.planning.path.session import PathSession

ASKED = ("margin_lung", "margin_bowel", "weight_length", "tilt_max", "liver_before_lesion_min")


def make_scene(seed, **changes):
    grid, parts = make_parts(seed)
    limits = change_limits(**{**LIMITS, "skin_spacing": 6.0, "tilt_max": 90.0, **changes})
    return to_scene(
        grid, parts, {"L1": parts[Kind.LESION]}, limits=limits, gravity=NotEvaluable(reason="none")
    )


def describe(path):
    """All that is told of a lesion's paths, as plain values."""
    chosen = [p for p in (path.best, path.backup, *path.alternatives) if p is not None]
    return (
        path.examined_paths,
        path.blocks,
        [
            (
                p.puncture_id,
                p.entry_lps_mm.tobytes(),
                p.tracks[0].tip_lps_mm.tobytes(),
                [(c.kind, c.clearance_mm, c.run_out_mm, c.margin_mm) for c in p.clearances],
                [(t.name, t.value, t.weight) for t in p.terms],
                p.runs,
            )
            for p in chosen
        ],
        [(f.rule, f.measured) for f in path.findings],
    )


@pytest.mark.requirement("B-session-equal")
@settings(max_examples=6, deadline=None, derandomize=True)
@given(
    seed=st.integers(0, 10_000),
    questions=st.lists(
        st.dictionaries(st.sampled_from(ASKED), st.floats(0.5, 6.0), max_size=2), min_size=2, max_size=4
    ),
)
def test_answers_equal_a_scene_built_anew_whatever_was_asked_before(seed, questions):
    session = PathSession(make_scene(seed))
    for number, values in enumerate(questions, start=1):
        changes = {key: 40.0 + 8.0 * v if key == "tilt_max" else v for key, v in values.items()}
        session.change_limits(changes)
        answer = session.rank_paths({"L1": 0.4})
        fresh = plan_lesion_path(make_scene(seed, **changes), lesion_id="L1", volume_ml=0.4)
        assert answer.sequence == number
        assert describe(answer.paths[0]) == describe(fresh)


@pytest.mark.requirement("B-path-threads")
def test_the_answer_is_the_same_on_one_thread(monkeypatch):
    several = describe(plan_lesion_path(make_scene(3), lesion_id="L1", volume_ml=0.4))
    monkeypatch.setattr(threads.os, "cpu_count", lambda: 1)
    assert describe(plan_lesion_path(make_scene(3), lesion_id="L1", volume_ml=0.4)) == several


@pytest.mark.requirement("B-path-screening")
@settings(max_examples=5, deadline=None, derandomize=True)
@given(seed=st.integers(0, 10_000))
def test_the_best_path_is_the_best_of_all_pairs_settled_one_by_one(seed):
    from hepatica.core.progress import SILENT
    from hepatica.planning.path.settle import Candidates
    from hepatica.planning.path.targets import choose_targets

    scene = make_scene(seed)
    tips = choose_targets(scene.lesions["L1"][1], limits=scene.limits)
    tissue = scene.paint_target("L1")
    quick = Candidates(scene, tissue, lesion_id="L1", tips_lps_mm=tips)
    found = quick.find_best(np.arange(len(quick)), progress=SILENT)
    every = Candidates(scene, tissue, lesion_id="L1", tips_lps_mm=tips)
    every._settle(np.arange(len(every)), smallest=np.inf)
    if found is None:
        assert not every.allowed.any()
        return
    assert every.bound[every.allowed].min() == quick.bound[found]
    assert every.allowed[found]
