"""Fewer holes: lesions that can be reached from one place on the skin share it, each with a needle of its own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

import numpy as np

from hepatica.core.geometry import BoolArray, FloatArray
from hepatica.core.progress import SILENT, Progress
from hepatica.planning.path.cover import choose_cover
from hepatica.planning.path.scene import Scene
from hepatica.planning.path.search import LesionSearch, find_puncture, search_lesion
from hepatica.planning.path.values import LesionPath, Puncture

TRIES: Final = 200
"""Places on the skin settled exactly before a lesion keeps a hole of its own."""


def plan_shared_paths(
    scene: Scene, *, volumes_ml: Mapping[str, float], progress: Progress = SILENT
) -> tuple[LesionPath, ...]:
    """Plan several lesions with few skin punctures.

    Every lesion keeps the room for its volume that its own search found: coverage comes first, then the
    number of holes (greedy set cover), then the score. A lesion that gains nothing from sharing keeps its own
    best path. Every path is settled exactly and checked from scratch.

    Parameters
    ----------
    scene
        Scene.
    volumes_ml
        Planned volume by lesion id.
    progress
        What to report to.

    Returns
    -------
    tuple of LesionPath
        In the order of ``volumes_ml``. Lesions that share a hole have best paths from the same entry.
    """
    searches = {
        lesion_id: search_lesion(scene, lesion_id=lesion_id, volume_ml=volume_ml, progress=progress)
        for lesion_id, volume_ml in volumes_ml.items()
    }
    reached = [lesion_id for lesion_id, search in searches.items() if search.path.best is not None]
    serves, cost = _tabulate(scene, [searches[lesion_id] for lesion_id in reached])
    shared: dict[str, Puncture] = {}
    for _ in range(TRIES):
        rows = [n for n, lesion_id in enumerate(reached) if lesion_id not in shared]
        if len(rows) < 2:
            break
        place = choose_cover(serves[:, rows], cost=cost[:, rows].sum(axis=1))[0]
        here = [n for n in rows if serves[place, n]]
        if len(here) < 2:
            break
        found = {n: _settle_at(searches[reached[n]], place, progress=progress) for n in here}
        for n, puncture in found.items():
            serves[place, n] = puncture is not None
        if all(found.values()):
            shared.update({reached[n]: puncture for n, puncture in found.items() if puncture is not None})
    return tuple(
        replace(search.path, best=shared.get(lesion_id, search.path.best))
        for lesion_id, search in searches.items()
    )


def _tabulate(scene: Scene, searches: list[LesionSearch]) -> tuple[BoolArray, FloatArray]:
    """Return, for each skin point and lesion, whether a path may exist and the least its score can be."""
    lowest = np.full((len(scene.skin.points_lps_mm), len(searches)), np.inf)
    for n, search in enumerate(searches):
        kept = search.chosen[~search.candidates.broken[search.chosen]]
        np.minimum.at(lowest[:, n], search.candidates.entry[kept], search.candidates.bound[kept])
    serves = np.isfinite(lowest)
    return serves, np.where(serves, lowest, 0.0)


def _settle_at(search: LesionSearch, place: int, *, progress: Progress) -> Puncture | None:
    candidates = search.candidates
    here = search.chosen[candidates.entry[search.chosen] == place]
    return find_puncture(candidates, here, name="P1", progress=progress)
