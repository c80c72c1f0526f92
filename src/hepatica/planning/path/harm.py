"""What speaks against a path beside its geometry: holes in the capsule, and the chance to touch something."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

import numpy as np

from hepatica.core.progress import SILENT, Progress
from hepatica.planning.path.placement_error import simulate_placement
from hepatica.planning.path.placement_values import PlacementModel, PlacementRisk
from hepatica.planning.path.ranking import find_front
from hepatica.planning.path.scene import Scene
from hepatica.planning.path.search import LesionSearch, find_puncture
from hepatica.planning.path.threads import map_over_threads
from hepatica.planning.path.values import LesionPath, Puncture, RankTerm, Run, TissueClass

IN_LIVER: Final = frozenset(
    {TissueClass.LIVER, TissueClass.TARGET, TissueClass.OTHER_LESION, TissueClass.VESSEL}
)
"""Passing from one of these to another makes no hole in the capsule; a vessel counts as lying in the liver."""
SCORE_DECIMALS: Final = 6
"""Scores that agree to this are equal; the path that came first stays first."""


def count_capsule_holes(runs: Sequence[Run]) -> int:
    """Return how often a path enters the liver.

    Examples
    --------
    >>> def run(a, b, tissue):
    ...     return Run(from_mm=a, to_mm=b, tissue=tissue, structure=None, mean_hu=0.0)
    >>> way = [run(0, 20, TissueClass.MUSCLE), run(20, 30, TissueClass.LIVER), run(30, 35, TissueClass.SKIN_FAT)]
    >>> count_capsule_holes(way), count_capsule_holes([*way, run(35, 60, TissueClass.LIVER)])
    (1, 2)
    """
    inside = [run.tissue in IN_LIVER for run in runs]
    entered = sum(now and not before for before, now in zip([False, *inside], inside, strict=False))
    solid = any(run.tissue in IN_LIVER and run.tissue is not TissueClass.VESSEL for run in runs)
    return entered if solid else 0


def derive_score(puncture: Puncture) -> float:
    """Return the weighted sum of a puncture's ranking terms: smaller is better."""
    return sum(term.value * term.weight for term in puncture.terms)


def add_harm_terms(puncture: Puncture, scene: Scene, *, risk: PlacementRisk) -> Puncture:
    """Return a puncture that carries its risk and ranks by capsule holes and the chance of touch, too.

    Parameters
    ----------
    puncture
        With ranking terms of its geometry.
    scene
        Scene; weights come from its limits.
    risk
        What placement error makes of it.
    """
    runs = [track.runs for track in puncture.tracks if track.runs] or [puncture.runs]
    # The tracks of a fan share the hole of their coaxial needle.
    holes = max(count_capsule_holes(way) for way in runs)
    values = {
        "capsule_holes": float(min(1, max(0, holes - 1))),
        "harm": risk.any_touched.probability,
    }
    kept = tuple(term for term in puncture.terms if term.name not in values)
    added = []
    for name, value in values.items():
        weight = scene.limits[f"weight_{name}"]
        added.append(
            RankTerm(
                name=name,
                value=value,
                weight=weight.number,
                unit="",
                source=weight.source,
                status=weight.status,
            )
        )
    terms = sorted((*kept, *added), key=lambda term: (-round(term.value * term.weight, 9), term.name))
    return replace(puncture, terms=tuple(terms), risk=risk)


def simulate_harm(puncture: Puncture, scene: Scene, *, model: PlacementModel, seed: int) -> Puncture:
    """Return a puncture with its risk and ranking terms; equal seeds draw equal errors for every puncture.

    Parameters
    ----------
    puncture, scene
        As for `simulate_placement`.
    model, seed
        Errors assumed; seed of the needles drawn.
    """
    risk = simulate_placement(puncture, scene, model=model, rng=np.random.default_rng(seed))
    return add_harm_terms(puncture, scene, risk=replace(risk, seed=seed))


def simulate_harms(
    punctures: Sequence[Puncture], scene: Scene, *, model: PlacementModel, seed: int
) -> list[Puncture]:
    """Return punctures with risk and ranking terms, each as `simulate_harm` gives it; several at a time.

    Parameters
    ----------
    punctures
        Punctures.
    scene, model, seed
        As for `simulate_harm`.
    """
    return map_over_threads(
        lambda puncture, _: simulate_harm(puncture, scene, model=model, seed=seed), punctures
    )


def rank_by_harm(
    search: LesionSearch, scene: Scene, *, model: PlacementModel, seed: int, progress: Progress = SILENT
) -> LesionPath:
    """Choose again among a lesion's best path and its alternatives, with harm as one more term.

    Simulating every pair is out of reach; the front of the geometric terms is simulated. Alternatives that
    another path beats in every term, harm included, are dropped; the others are ordered by score.

    Parameters
    ----------
    search
        Search of the lesion.
    scene, model, seed
        As for `simulate_harm`.
    progress
        What to report to.

    Returns
    -------
    LesionPath
        With a best path whose backup is far enough away.
    """
    path = search.path
    if path.best is None:
        return path
    ranked = simulate_harms((path.best, *path.alternatives), scene, model=model, seed=seed)
    scores = [round(derive_score(puncture), SCORE_DECIMALS) for puncture in ranked]
    order = sorted(range(len(ranked)), key=lambda n: (scores[n], n))
    ranked = [ranked[n] for n in order]
    best = replace(ranked[0], puncture_id=path.best.puncture_id)
    best = replace(best, findings=tuple(replace(f, subject=best.puncture_id) for f in best.findings))
    front = find_front(_to_columns(ranked))
    others = tuple(puncture for puncture, kept in zip(ranked[1:], front[1:], strict=True) if kept)
    changed = order[0] != 0
    backup = choose_backup(search, best, progress=progress) if changed else path.backup
    return replace(path, best=best, backup=backup, alternatives=others)


def choose_backup(search: LesionSearch, best: Puncture, *, progress: Progress = SILENT) -> Puncture | None:
    """Return the search's backup where it is far enough from a path, else the best entry that is.

    Parameters
    ----------
    search
        Search of the lesion.
    best
        The path that is used.
    progress
        What to report to.
    """
    candidates, known = search.candidates, search.path.backup
    least = candidates.scene.limits["backup_entry_distance"].number
    if known is not None and np.linalg.norm(known.entry_lps_mm - best.entry_lps_mm) >= least:
        return known
    away = candidates.measure_away_mm(search.chosen, best.entry_lps_mm)
    backup = find_puncture(candidates, search.chosen[away >= least], name="P1b", progress=progress)
    candidates.let_go()
    return backup


def _to_columns(punctures: Sequence[Puncture]) -> dict[str, np.ndarray]:
    names = [term.name for term in punctures[0].terms]
    return {
        name: np.array([next(t.value for t in p.terms if t.name == name) for p in punctures])
        for name in names
    }
