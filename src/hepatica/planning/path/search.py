"""The best path to a lesion, and a backup entry."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from hepatica.core.findings import Finding, Severity
from hepatica.core.geometry import FloatArray
from hepatica.core.progress import SILENT, Progress
from hepatica.planning.path.blocks import derive_blocks
from hepatica.planning.path.checks import check_measure
from hepatica.planning.path.clearance import measure_slack_mm
from hepatica.planning.path.deposits import count_stops, count_wanted_stops
from hepatica.planning.path.measure import TrackMeasure, measure_track, to_clearances
from hepatica.planning.path.pairs import GEOMETRY_LIMITS, Pairs, judge_pairs
from hepatica.planning.path.ranking import (
    RankInput,
    derive_clearance_term,
    derive_scores,
    derive_terms,
    to_rank_terms,
)
from hepatica.planning.path.scene import Scene
from hepatica.planning.path.targets import choose_targets
from hepatica.planning.path.values import LesionPath, Puncture, Track

SCORE_DECIMALS = 6
"""Scores that agree to this precision are equal; the world position then decides, not storage."""


def plan_lesion_path(
    scene: Scene, *, lesion_id: str, volume_ml: float = 0.0, progress: Progress = SILENT
) -> LesionPath:
    """Find the best allowed path to a lesion and a backup entry.

    Every sampled skin point is judged against every target point with exact clearances; nothing is decided
    on a coarse grid, so that "no path" means that each of ``examined_paths`` broke a limit. Among the
    allowed ones the score is proven: candidates are taken in order of a lower bound (all terms but the
    clearance) until no bound beats the best.

    Parameters
    ----------
    scene
        Scene.
    lesion_id
        Lesion to reach.
    volume_ml
        Volume planned for it. Paths with room in the target for all its stops come first; tips nearer to
        the lesion's edge are tried where the deep ones leave too little room.
    progress
        What to report to.

    Raises
    ------
    NotFoundError
        If there is no such lesion.

    Examples
    --------
    >>> path = plan_lesion_path(scene, lesion_id="L1")  # doctest: +SKIP
    >>> path.best.length_mm  # doctest: +SKIP
    84.2
    """
    progress.stage(f"path {lesion_id}")
    tissue = scene.paint_target(lesion_id)
    tips = choose_targets(scene.find_lesion(lesion_id)[1], limits=scene.limits)
    pairs = judge_pairs(scene, tissue, tips_lps_mm=tips, progress=progress)
    wanted = count_wanted_stops(volume_ml, scene.limits)
    order, room = _rank(pairs, scene, lesion_id=lesion_id, wanted=wanted)
    if room < wanted:
        outer = choose_targets(scene.find_lesion(lesion_id)[1], limits=scene.limits, outer=True)
        more = judge_pairs(scene, tissue, tips_lps_mm=outer, progress=progress)
        other, outer_room = _rank(more, scene, lesion_id=lesion_id, wanted=wanted)
        if outer_room > room:
            pairs, order = more, other
    best = _find_best(scene, tissue, pairs, order, lesion_id=lesion_id, name="P1")
    backup = None
    if best is not None:
        away = np.linalg.norm(pairs.entries_lps_mm[order[0]] - best.entry_lps_mm, axis=1)
        far = away >= scene.limits["backup_entry_distance"].number
        rest = (order[0][far], order[1][far])
        backup = _find_best(scene, tissue, pairs, rest, lesion_id=lesion_id, name="P1b")
    return LesionPath(
        lesion_id=lesion_id,
        best=best,
        backup=backup,
        blocks=derive_blocks(pairs, scene),
        examined_paths=len(pairs.broken),
        findings=(*scene.findings, *_list_findings(pairs, scene, lesion_id, best=best, backup=backup)),
    )


def _rank(
    pairs: Pairs, scene: Scene, *, lesion_id: str, wanted: int
) -> tuple[tuple[NDArray[np.int64], FloatArray], int]:
    """Return the allowed pairs with most room in order of their score without the clearance term, these
    scores, and how many stops that room holds (at most ``wanted``)."""
    allowed = np.flatnonzero(pairs.broken == 0)
    stops = count_stops(
        pairs.entries_lps_mm[allowed], pairs.tips_lps_mm[allowed], scene, lesion_id=lesion_id, up_to=wanted
    )
    room = int(stops.max(initial=0))
    allowed = allowed[stops >= room]
    terms = derive_terms(_to_rank_input(pairs, allowed), limits=scene.limits)
    scores = np.round(derive_scores(terms, limits=scene.limits), SCORE_DECIMALS)
    entry = np.round(pairs.entries_lps_mm[allowed], SCORE_DECIMALS)
    tip = np.round(pairs.tips_lps_mm[allowed], SCORE_DECIMALS)
    keys = (*tip.T[::-1], *entry.T[::-1], scores)
    order = np.lexsort(keys)
    return (allowed[order], scores[order]), room


def _to_rank_input(pairs: Pairs, chosen: NDArray[np.int64]) -> RankInput:
    return RankInput(
        length_mm=pairs.length_mm[chosen],
        tilt_deg=pairs.tilt_deg[chosen],
        in_plane_deg=pairs.in_plane_deg[chosen],
        capsule_deg=pairs.capsule_deg[chosen],
        parenchyma_mm=pairs.parenchyma_mm[chosen],
        viable_mm=pairs.viable_mm[chosen],
    )


def _find_best(
    scene: Scene,
    tissue: NDArray[np.uint8],
    pairs: Pairs,
    order: tuple[NDArray[np.int64], FloatArray],
    *,
    lesion_id: str,
    name: str,
) -> Puncture | None:
    """Return the allowed pair with the smallest whole score, proven by the ordered lower bounds."""
    limits = scene.limits
    comfort, weight = limits["comfort_clearance"].number, limits["weight_clearance"].number
    scored: list[tuple[float, int, int]] = []
    smallest = np.inf
    for place, (index, bound) in enumerate(zip(order[0].tolist(), order[1].tolist(), strict=True)):
        if bound >= smallest:
            break
        slack = measure_slack_mm(
            scene, pairs.entries_lps_mm[index], pairs.tips_lps_mm[index], beyond_mm=comfort
        )
        score = round(bound + weight * derive_clearance_term(slack, limits=limits), SCORE_DECIMALS)
        scored.append((score, place, index))
        smallest = min(smallest, score)
    for _, _, index in sorted(scored):
        measure = measure_track(
            scene,
            tissue,
            lesion_id=lesion_id,
            entry_lps_mm=pairs.entries_lps_mm[index],
            tip_lps_mm=pairs.tips_lps_mm[index],
        )
        puncture = to_puncture(scene, measure, name=name, slack_mm=None)
        if not any(finding.severity is Severity.ERROR for finding in puncture.findings):
            return puncture
    return None


def to_puncture(scene: Scene, measure: TrackMeasure, *, name: str, slack_mm: float | None = None) -> Puncture:
    """Turn a measured track into a puncture with clearances, terms and findings; deposits come later."""
    limits = scene.limits
    if slack_mm is None:
        slack_mm = measure_slack_mm(
            scene, measure.entry_lps_mm, measure.tip_lps_mm, beyond_mm=limits["comfort_clearance"].number
        )
    angle, capsule = measure.in_plane_angle_deg, measure.capsule_angle_deg
    values = RankInput(
        length_mm=np.array([measure.length_mm]),
        tilt_deg=np.array([measure.craniocaudal_angle_deg]),
        in_plane_deg=np.array([angle if isinstance(angle, float) else np.nan]),
        capsule_deg=np.array([capsule if isinstance(capsule, float) else np.nan]),
        parenchyma_mm=np.array([measure.parenchyma_mm]),
        viable_mm=np.array([measure.viable_mm]),
    )
    terms = {key: float(term[0]) for key, term in derive_terms(values, limits=limits).items()}
    terms["clearance"] = derive_clearance_term(slack_mm, limits=limits)
    return Puncture(
        puncture_id=name,
        lesion_ids=(measure.lesion_id,),
        entry_lps_mm=measure.entry_lps_mm,
        length_mm=measure.length_mm,
        in_plane_angle_deg=angle,
        craniocaudal_angle_deg=measure.craniocaudal_angle_deg,
        capsule_angle_deg=capsule,
        liver_before_lesion_mm=measure.liver_before_lesion_mm,
        clearances=to_clearances(scene, measure),
        runs=measure.runs,
        terms=to_rank_terms(terms, limits=limits),
        tracks=(Track(tip_lps_mm=measure.tip_lps_mm, deposits=()),),
        needle=scene.needle,
        findings=tuple(replace(finding, subject=name) for finding in check_measure(measure, scene)),
    )


def _list_findings(
    pairs: Pairs, scene: Scene, lesion_id: str, *, best: Puncture | None, backup: Puncture | None
) -> list[Finding]:
    findings = []
    face = np.uint64(1 << GEOMETRY_LIMITS.index("volume_face"))
    cut = int(np.count_nonzero(pairs.broken == face))
    if cut:
        findings.append(
            Finding(
                rule="path.volume_face",
                severity=Severity.INFO if best else Severity.WARNING,
                message=f"{cut} paths keep every limit that can be judged but run near the end of the scan; "
                "a longer scan could open them.",
                measured=float(cut),
                source=scene.limits.name,
                subject=lesion_id,
            )
        )
    if best is None:
        findings.append(
            Finding(
                rule="path.none",
                severity=Severity.ERROR,
                message=f"No path: each of {len(pairs.broken)} ways from skin to target breaks a limit.",
                measured=0.0,
                subject=lesion_id,
            )
        )
    elif backup is None:
        findings.append(
            Finding.from_limit(
                scene.limits["backup_entry_distance"],
                rule="path.no_backup",
                severity=Severity.WARNING,
                message="No second entry that far from the first keeps every hard limit.",
                subject=lesion_id,
            )
        )
    return findings
