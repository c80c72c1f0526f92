"""Fewer holes: lesions that can be reached from one place on the skin share it, each with a needle of its own."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Final

import numpy as np

from hepatica.core.geometry import BoolArray, FloatArray
from hepatica.core.progress import SILENT, Progress
from hepatica.planning.path.cover import choose_cover
from hepatica.planning.path.harm import choose_backup
from hepatica.planning.path.scene import Scene
from hepatica.planning.path.search import LesionSearch, find_puncture, search_lesion, search_lesions
from hepatica.planning.path.settle import SCORE_DECIMALS
from hepatica.planning.path.values import LesionPath, Puncture

TRIES: Final = 200
"""Places on the skin settled exactly before a lesion keeps a hole of its own."""
PAINTED: Final = 8
"""With more lesions than these, none keeps its painted copy of the scan from one place to the next."""
GEOMETRIC_TERMS: Final = frozenset(
    {"tilt", "length", "capsule", "parenchyma", "in_plane", "deposit_room", "clearance"}
)
"""Terms that every pair of the search has."""


def plan_shared_paths(
    scene: Scene, *, volumes_ml: Mapping[str, float], progress: Progress = SILENT
) -> tuple[LesionPath, ...]:
    """Plan several lesions with few skin punctures: `search_lesion` for each, then `share_skin`.

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
    searches = search_lesions(scene, volumes_ml=volumes_ml, search=search_lesion, progress=progress)
    paths = {lesion_id: search.path for lesion_id, search in searches.items()}
    return tuple(share_skin(scene, searches=searches, paths=paths, progress=progress).values())


def share_skin(
    scene: Scene,
    *,
    searches: Mapping[str, LesionSearch],
    paths: Mapping[str, LesionPath],
    progress: Progress = SILENT,
) -> dict[str, LesionPath]:
    """Let lesions share holes in the skin where each loses little by it.

    Every lesion keeps the room for its volume that its own search found: coverage comes first, then the
    number of holes (greedy set cover), then the score. A path may rank worse than the lesion's own best by at
    most ``share_loss_max``. A lesion that gains nothing from sharing keeps its own path. Every path is settled
    exactly and checked from scratch; none goes through another lesion. A lesion that moves to a shared hole
    gets a backup far enough from there.

    Parameters
    ----------
    scene
        Scene.
    searches
        Search by lesion id.
    paths
        The path chosen so far, by lesion id.
    progress
        What to report to.

    Returns
    -------
    dict of LesionPath
        By lesion id, in the order of ``paths``. Lesions that share a hole have best paths from the same entry.
    """
    own = {lesion_id: path.best for lesion_id, path in paths.items() if path.best is not None}
    reached = list(own)
    most = np.array([measure_score(puncture) for puncture in own.values()])
    most = np.round(most + scene.limits["share_loss_max"].number, SCORE_DECIMALS)
    serves, cost = _tabulate(scene, [searches[lesion_id] for lesion_id in reached], most=most)
    shared: dict[str, Puncture] = {}
    for _ in range(TRIES):
        rows = [n for n, lesion_id in enumerate(reached) if lesion_id not in shared]
        if len(rows) < 2:
            break
        chosen = choose_cover(serves[:, rows], cost=cost[:, rows].sum(axis=1))
        if not chosen:
            break
        place = chosen[0]
        here = [n for n in rows if serves[place, n]]
        if len(here) < 2:
            break
        found = {n: _settle_at(searches[reached[n]], place, progress=progress) for n in here}
        for n, puncture in found.items():
            serves[place, n] = puncture is not None and measure_score(puncture) <= most[n]
        if len(reached) > PAINTED:
            _let_go(searches[reached[n]] for n in here)
        if serves[place, here].all():
            shared.update({reached[n]: puncture for n, puncture in found.items() if puncture is not None})
    _let_go(searches.values())
    result = dict(paths)
    for lesion_id, puncture in shared.items():
        backup = choose_backup(searches[lesion_id], puncture, progress=progress)
        result[lesion_id] = replace(paths[lesion_id], best=puncture, backup=backup)
    return result


def _let_go(searches: Iterable[LesionSearch]) -> None:
    for search in searches:
        search.candidates.let_go()


def measure_score(puncture: Puncture) -> float:
    """Return the score of a path by the terms that the search ranks by."""
    score = sum(term.value * term.weight for term in puncture.terms if term.name in GEOMETRIC_TERMS)
    return round(score, SCORE_DECIMALS)


def _tabulate(
    scene: Scene, searches: list[LesionSearch], *, most: FloatArray
) -> tuple[BoolArray, FloatArray]:
    """Return, for each skin point and lesion, whether a good enough path may exist and the least its score can be."""
    lowest = np.full((len(scene.skin.points_lps_mm), len(searches)), np.inf)
    for n, search in enumerate(searches):
        kept = search.chosen[search.candidates.bound[search.chosen] <= most[n]]
        kept = search.candidates.screen(kept)
        np.minimum.at(lowest[:, n], search.candidates.entry[kept], search.candidates.bound[kept])
    serves = np.isfinite(lowest)
    return serves, np.where(serves, lowest, 0.0)


def _settle_at(search: LesionSearch, place: int, *, progress: Progress) -> Puncture | None:
    candidates = search.candidates
    here = search.chosen[candidates.entry[search.chosen] == place]
    return find_puncture(candidates, here, name="P1", progress=progress)
