"""The best path to a lesion, and a backup entry."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from hepatica.core.findings import Finding, Severity
from hepatica.core.geometry import FloatArray
from hepatica.core.progress import SILENT, Progress
from hepatica.planning.path.blocks import derive_blocks
from hepatica.planning.path.checks import check_measure
from hepatica.planning.path.clearance import measure_slack_mm
from hepatica.planning.path.deposits import count_wanted_stops
from hepatica.planning.path.measure import TrackMeasure, measure_track, to_clearances
from hepatica.planning.path.pairs import GEOMETRY_LIMITS, Pairs, TracedPairs, judge_pairs
from hepatica.planning.path.ranking import (
    RankInput,
    derive_clearance_term,
    derive_terms,
    find_front,
    to_rank_terms,
)
from hepatica.planning.path.scene import Scene
from hepatica.planning.path.settle import CHUNKS, Candidates, number_in_groups
from hepatica.planning.path.skin import group_by_cube
from hepatica.planning.path.targets import choose_targets
from hepatica.planning.path.threads import map_over_threads
from hepatica.planning.path.values import LesionPath, Puncture, Track

Found_co = TypeVar("Found_co", covariant=True)

PATCH_TRACED: Final = 1024
PATCH_TRIES: Final = 192
"""Pairs of a patch of skin that are traced for an alternative, and of what that leaves, pairs that are settled: enough
to be good, alternatives are not proved best. Where that gives too few of them, all pairs of the patches are settled."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LesionSearch:
    """The answer for one lesion with the pairs it was found among.

    Parameters
    ----------
    path
        The answer.
    candidates
        All pairs screening left.
    chosen
        Numbers of those with the most room for the volume.
    """

    path: LesionPath
    candidates: Candidates
    chosen: NDArray[np.int64]


def plan_lesion_path(
    scene: Scene, *, lesion_id: str, volume_ml: float = 0.0, progress: Progress = SILENT
) -> LesionPath:
    """Find the best allowed path to a lesion, a backup entry and alternatives.

    Every skin point is screened against every tip on a coarse field whose verdicts are certain both ways.
    What is left is settled with exact distances, in the order of a lower bound of the score, until the best
    is proved. "No path" therefore means that every pair was either certainly blocked or settled exactly.

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
    return search_lesion(scene, lesion_id=lesion_id, volume_ml=volume_ml, progress=progress).path


def plan_lesion_paths(
    scene: Scene, *, volumes_ml: Mapping[str, float], progress: Progress = SILENT
) -> tuple[LesionPath, ...]:
    """Plan several lesions, each as `plan_lesion_path` does, several at a time.

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
        In the order of ``volumes_ml``; the same on any number of threads.
    """
    return tuple(
        search_lesions(scene, volumes_ml=volumes_ml, search=plan_lesion_path, progress=progress).values()
    )


class Search(Protocol[Found_co]):
    """A search for one lesion."""

    def __call__(self, scene: Scene, *, lesion_id: str, volume_ml: float, progress: Progress) -> Found_co:
        """Search."""
        ...


def search_lesions(
    scene: Scene, *, volumes_ml: Mapping[str, float], search: Search[Found_co], progress: Progress
) -> dict[str, Found_co]:
    """Search for several lesions, several at a time; returns what was found, in the order of ``volumes_ml``."""
    for lesion_id in volumes_ml:
        scene.find_lesion(lesion_id)
    scene.prepare()

    def work(lesion_id: str, own: Progress) -> Found_co:
        return search(scene, lesion_id=lesion_id, volume_ml=volumes_ml[lesion_id], progress=own)

    if len(volumes_ml) > 1:
        progress.stage(f"paths {', '.join(volumes_ml)}")
    found = map_over_threads(work, list(volumes_ml), progress=progress)
    return dict(zip(volumes_ml, found, strict=True))


def search_lesion(scene: Scene, *, lesion_id: str, volume_ml: float, progress: Progress) -> LesionSearch:
    """Search as `plan_lesion_path` does, and keep what was found out about every pair."""
    progress.stage(f"path {lesion_id}")
    tissue = scene.paint_target(lesion_id)
    target = scene.find_lesion(lesion_id)[1]
    wanted = count_wanted_stops(volume_ml, scene.limits)
    tips = choose_targets(target, limits=scene.limits)
    candidates = Candidates(scene, tissue, lesion_id=lesion_id, tips_lps_mm=tips)
    examined = candidates.examined
    best, chosen, room = _find_roomy(candidates, wanted=wanted, progress=progress)
    if room < wanted:
        outer = Candidates(
            scene,
            tissue,
            lesion_id=lesion_id,
            tips_lps_mm=choose_targets(target, limits=scene.limits, outer=True),
        )
        examined += outer.examined
        found = _find_roomy(outer, wanted=wanted, progress=progress, above=room)
        if found[0] is not None:
            candidates, (best, chosen, room) = outer, found
    backup: Puncture | None = None
    others: tuple[Puncture, ...] = ()
    if best is not None:
        away = candidates.measure_away_mm(chosen, best.entry_lps_mm)
        far = chosen[away >= scene.limits["backup_entry_distance"].number]
        backup = find_puncture(candidates, far, name="P1b", progress=progress)
        others = find_alternatives(
            candidates, chosen, known=tuple(p for p in (best, backup) if p), progress=progress
        )
    sampled = tips[: int(scene.limits["target_sample"].number)]
    sample = judge_pairs(
        scene,
        tissue,
        tips_lps_mm=sampled,
        progress=progress,
        known=_recall_sample(scene, lesion_id=lesion_id, tips_lps_mm=sampled),
    )
    path = LesionPath(
        lesion_id=lesion_id,
        best=best,
        backup=backup,
        alternatives=others,
        blocks=derive_blocks(sample, scene),
        examined_paths=examined,
        findings=(
            *scene.findings,
            *_list_findings(candidates, sample, examined=examined, best=best, backup=backup),
        ),
    )
    candidates.let_go()
    return LesionSearch(path=path, candidates=candidates, chosen=chosen)


def _recall_sample(scene: Scene, *, lesion_id: str, tips_lps_mm: FloatArray) -> TracedPairs:
    """Return what is known of the pairs of the skin sample, from the scene's memory where that has it."""

    def make() -> TracedPairs:
        count = len(scene.skin_sample.points_lps_mm) * len(tips_lps_mm)
        return TracedPairs(count, needed_mm=scene.needed_mm)

    if scene.memory is None:
        return make()
    lesion, target = scene.find_lesion(lesion_id)
    key = (
        "sample",
        lesion_id,
        tips_lps_mm.tobytes(),
        *((mask.start_ijk, mask.crop.shape, mask.crop.tobytes()) for mask in (lesion, target)),
        *(scene.limits[name].number for name in ("skin_sample_spacing", "run_out", "capsule_sigma")),
        scene.needle_radius_mm,
    )
    return scene.memory.recall(key, make)


def _find_roomy(
    candidates: Candidates, *, wanted: int, progress: Progress, above: int = -1
) -> tuple[Puncture | None, NDArray[np.int64], int]:
    """Return the best path among those with most room, all pairs with that room, and the room in stops.

    Room counts up to ``wanted`` stops and must be more than ``above``.
    """
    stops = candidates.count_stops(wanted) if wanted else np.zeros(len(candidates), np.int16)
    for room in range(min(wanted, int(stops.max(initial=0))), above, -1):
        chosen = np.flatnonzero(stops >= room)
        best = find_puncture(candidates, chosen, name="P1", progress=progress)
        if best is not None:
            return best, chosen, room
    return None, np.zeros(0, np.int64), 0


def find_puncture(
    candidates: Candidates, chosen: NDArray[np.int64], *, name: str, progress: Progress
) -> Puncture | None:
    """Return the best of the chosen pairs that also passes every check from scratch, as a puncture."""
    scene = candidates.scene
    while (index := candidates.find_best(chosen, progress=progress)) is not None:
        measure = _measure_pair(candidates, index)
        puncture = to_puncture(scene, measure, name=name, slack_mm=None)
        if not any(finding.severity is Severity.ERROR for finding in puncture.findings):
            return puncture
        candidates.refuse(index)
    return None


def _measure_pair(candidates: Candidates, index: int) -> TrackMeasure:
    """Measure a pair's path from scratch, once: of all limits only the margins play no part in it."""
    scene = candidates.scene

    def measure() -> TrackMeasure:
        entry, tip = candidates.find_ends_lps_mm(index)
        return measure_track(
            scene, candidates.tissue, lesion_id=candidates.lesion_id, entry_lps_mm=entry, tip_lps_mm=tip
        )

    others = tuple(entry.value for entry in scene.limits if not entry.key.startswith("margin_"))
    return candidates.table.recall_track((index, others), measure)


def find_alternatives(
    candidates: Candidates, chosen: NDArray[np.int64], *, known: tuple[Puncture, ...], progress: Progress
) -> tuple[Puncture, ...]:
    """Return paths from elsewhere on the skin that no other is better than in every term, in default order.

    The skin is cut into patches; of each of the most promising ones the best of its likeliest paths competes.
    """
    limits = candidates.scene.limits
    chosen, group = _find_promising(candidates, chosen, count=int(limits["alternative_patches"].number))
    wanted = int(limits["alternative_count"].number)
    likely = number_in_groups(group) < PATCH_TRACED
    likely[likely] = candidates.passes_trace(chosen[likely])
    likely[likely] = number_in_groups(group[likely]) < PATCH_TRIES
    index = candidates.find_best_of_groups(chosen[likely], group[likely], progress=progress)
    if len(index) <= wanted:
        index = candidates.find_best_of_groups(chosen, group, progress=progress)
    front = index[find_front(candidates.to_terms(index))] if len(index) else index
    front = front[np.argsort(candidates.bound[front], kind="stable")]
    result: list[Puncture] = []
    for n in front.tolist():
        entry, _ = candidates.find_ends_lps_mm(n)
        if any(np.linalg.norm(entry - p.entry_lps_mm) < limits["alternative_patch"].number for p in known):
            continue
        puncture = find_puncture(candidates, np.array([n]), name=f"P1a{len(result) + 1}", progress=progress)
        if puncture is not None:
            result.append(puncture)
        if len(result) == wanted:
            break
    return tuple(result)


def _find_promising(
    candidates: Candidates, chosen: NDArray[np.int64], *, count: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the pairs of the patches of skin that promise most, patch after patch, the likeliest first, and the
    rank of each one's patch.

    A patch promises what the least bound says, by geometry alone, of its pairs that screening leaves. Pairs are
    screened in the order of these bounds, no more of them than it takes. What happens to have been settled before
    plays no part: it depends on earlier questions.
    """
    bound = candidates.table.bound_scores(candidates.scene.limits)[chosen]
    patch_of = _find_patches(candidates, chosen)
    lowest = np.full(int(patch_of.max(initial=-1)) + 1, np.inf)
    for size in (*CHUNKS, len(chosen)):
        level = np.partition(bound, size - 1)[size - 1] if size < len(chosen) else np.inf
        near = np.flatnonzero(bound <= level)
        near = near[candidates.passes_screen(chosen[near])]
        np.minimum.at(lowest, patch_of[near], bound[near])
        if np.count_nonzero(np.isfinite(lowest)) >= count:
            break
    patches = np.argsort(lowest, kind="stable")[: min(count, np.count_nonzero(np.isfinite(lowest)))]
    rank = np.full(len(lowest), len(patches))
    rank[patches] = np.arange(len(patches))
    here = np.flatnonzero(rank[patch_of] < len(patches))
    here = here[np.lexsort((bound[here], rank[patch_of[here]]))]
    return chosen[here], rank[patch_of[here]]


def _find_patches(candidates: Candidates, chosen: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the (n,) number of the patch of skin each of the chosen pairs starts from."""
    points = candidates.scene.skin.points_lps_mm
    used = np.zeros(len(points), dtype=bool)
    used[candidates.entry[chosen]] = True
    patch = np.zeros(len(points), dtype=np.int64)
    patch[used] = group_by_cube(
        points[used],
        anchor=candidates.scene.grid.bounds_lps_mm.mean(axis=0),
        edge_mm=candidates.scene.limits["alternative_patch"].number,
    )[0]
    return patch[candidates.entry[chosen]]


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
    candidates: Candidates, sample: Pairs, *, examined: int, best: Puncture | None, backup: Puncture | None
) -> list[Finding]:
    findings = []
    scene, lesion_id = candidates.scene, candidates.lesion_id
    face = np.uint64(1 << GEOMETRY_LIMITS.index("volume_face"))
    cut = int(np.count_nonzero(sample.broken == face))
    if cut:
        findings.append(
            Finding(
                rule="path.volume_face",
                severity=Severity.INFO if best else Severity.WARNING,
                message=f"{cut} of {len(sample.broken)} sampled paths keep every limit that can be judged but "
                "run near the end of the scan; a longer scan could open them.",
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
                message=f"No path: each of {examined} ways from skin to target breaks a limit.",
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
