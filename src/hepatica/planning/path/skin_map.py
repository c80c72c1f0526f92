"""The map of the skin: from where a lesion can be reached, how well, and from where it cannot."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Final

import numpy as np
from numpy.typing import NDArray

from hepatica.core.geometry import BoolArray, FloatArray
from hepatica.core.progress import SILENT, Progress
from hepatica.core.units import MM_PER_CM
from hepatica.planning.path.scene import Scene
from hepatica.planning.path.settle import Candidates
from hepatica.planning.path.skin import Skin
from hepatica.planning.path.targets import choose_targets

FEWEST_PER_ROUND: Final = 2
"""Ways of each point settled before it is looked whether its best is proved; grows from round to round."""
SAME_TIP_MM: Final = 1e-3
"""Tips nearer than this are one tip; coordinates in a plan's document are rounded."""


class SkinClass(IntEnum):
    """What is known of a point of the skin."""

    FREE = 0
    """Some path from here keeps every hard limit."""
    UNDECIDED = 1
    """Not every path from here has been judged, and none judged was allowed."""
    BLOCKED = 2
    """Every path from here breaks a hard limit."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SkinMap:
    """Every point of a scene's skin, as an entry to one lesion.

    Parameters
    ----------
    lesion_id
        Lesion to reach.
    skin
        The points with their normals and areas.
    tips_lps_mm
        (m, 3) tips each point was joined with.
    classes
        (n,) `SkinClass`.
    scores
        (n,) score of the best path from each free point, the smaller the better; NaN elsewhere.
    best_tip
        (n,) number of that path's tip; -1 elsewhere.
    proved
        (n,) whether nothing left unsettled could beat it; always so for blocked points.
    settled_paths
        How many pairs were settled exactly.
    """

    lesion_id: str
    skin: Skin
    tips_lps_mm: FloatArray
    classes: NDArray[np.uint8]
    scores: FloatArray
    best_tip: NDArray[np.int64]
    proved: BoolArray
    settled_paths: int

    def select(self, wanted: SkinClass) -> BoolArray:
        """Return the (n,) points of one class."""
        return np.asarray(self.classes == wanted)

    def measure_area_cm2(self, wanted: SkinClass) -> float:
        """Return how much skin is of one class."""
        return float(self.skin.areas_mm2[self.select(wanted)].sum()) / MM_PER_CM**2

    def derive_rank_cm2(self) -> FloatArray:
        """Return for each free point how much free skin has a better path: 0 for the best; NaN elsewhere."""
        rank = np.full(len(self.classes), np.nan)
        free = np.flatnonzero(self.select(SkinClass.FREE))
        values, group = np.unique(self.scores[free], return_inverse=True)
        area = np.bincount(group.reshape(-1), weights=self.skin.areas_mm2[free], minlength=len(values))
        rank[free] = ((np.cumsum(area) - area) / MM_PER_CM**2)[group.reshape(-1)]
        return rank

    def find_nearest(self, point_lps_mm: FloatArray) -> int:
        """Return the number of the point nearest to a place."""
        return int(np.argmin(np.linalg.norm(self.skin.points_lps_mm - point_lps_mm, axis=1)))


def derive_skin_map(
    scene: Scene,
    *,
    lesion_id: str,
    also_tips_lps_mm: FloatArray | None = None,
    most_per_point: int | None = None,
    progress: Progress = SILENT,
) -> SkinMap:
    """Class every skin point of a scene as an entry to one lesion, and find its best path.

    Screening rules out what certainly breaks a limit. From every point left the paths are settled exactly in
    the order of their lower bounds until the best is proved.

    Parameters
    ----------
    scene
        Scene.
    lesion_id
        Lesion to reach.
    also_tips_lps_mm
        (k, 3) tips to join beside the search's own, for example those of a plan.
    most_per_point
        Paths settled from one point at most; what that leaves open is *undecided*. Without it no point is.
    progress
        What to report to.

    Raises
    ------
    NotFoundError
        If there is no such lesion.

    Examples
    --------
    >>> found = derive_skin_map(scene, lesion_id="L1")  # doctest: +SKIP
    >>> found.measure_area_cm2(SkinClass.FREE)  # doctest: +SKIP
    271.8
    """
    progress.stage(f"skin map {lesion_id}")
    tissue = scene.paint_target(lesion_id)
    tips = join_tips(choose_targets(scene.find_lesion(lesion_id)[1], limits=scene.limits), also_tips_lps_mm)
    candidates = Candidates(scene, tissue, lesion_id=lesion_id, tips_lps_mm=tips)
    return _to_map(candidates, _settle_points(candidates, most=most_per_point, progress=progress))


def join_tips(tips_lps_mm: FloatArray, others_lps_mm: FloatArray | None) -> FloatArray:
    """Return tips with others added that are not among them."""
    if others_lps_mm is None or len(others_lps_mm) == 0:
        return tips_lps_mm
    joined = list(tips_lps_mm)
    for tip in np.atleast_2d(others_lps_mm):
        if min(float(np.linalg.norm(tip - known)) for known in joined) > SAME_TIP_MM:
            joined.append(tip)
    return np.array(joined)


def _settle_points(candidates: Candidates, *, most: int | None, progress: Progress) -> NDArray[np.int64]:
    """Settle each point's pairs, best bound first, until the rest cannot beat what was found.

    Returns the (n,) count of pairs of each skin point that still could.
    """
    count = len(candidates.scene.skin.points_lps_mm)
    left = candidates.screen(np.arange(len(candidates)))
    order = left[np.lexsort((candidates.bound[left], candidates.entry[left]))]
    entry, bound = candidates.entry[order], candidates.bound[order].copy()
    starts = np.searchsorted(entry, np.arange(count))
    place = np.arange(len(order)) - starts[entry]
    best = np.full(count, np.inf)
    done, step = 0, FEWEST_PER_ROUND
    longest = int(place.max(initial=-1)) + 1
    while done < longest and (most is None or done < most):
        progress.check_cancelled()
        until = done + step if most is None else min(done + step, most)
        here = np.flatnonzero((place >= done) & (place < until) & (bound < best[entry]))
        if len(here):
            candidates.settle(order[here], progress=progress)
            good = here[candidates.allowed[order[here]]]
            np.minimum.at(best, entry[good], candidates.bound[order[good]])
        done, step = until, step * 2
    open_pairs = (place >= done) & (bound < best[entry])
    return np.bincount(entry[open_pairs], minlength=count)


def _to_map(candidates: Candidates, open_pairs: NDArray[np.int64]) -> SkinMap:
    skin = candidates.scene.skin
    count = len(skin.points_lps_mm)
    scores, best_tip = np.full(count, np.nan), np.full(count, -1, dtype=np.int64)
    good = np.flatnonzero(candidates.allowed)
    # The best of each point is written last.
    good = good[np.lexsort((-candidates.tip[good], -candidates.bound[good]))]
    scores[candidates.entry[good]] = candidates.bound[good]
    best_tip[candidates.entry[good]] = candidates.tip[good]
    classes = np.where(
        best_tip >= 0, SkinClass.FREE, np.where(open_pairs > 0, SkinClass.UNDECIDED, SkinClass.BLOCKED)
    ).astype(np.uint8)
    for array in (classes, scores, best_tip):
        array.setflags(write=False)
    return SkinMap(
        lesion_id=candidates.lesion_id,
        skin=skin,
        tips_lps_mm=candidates.tips_lps_mm,
        classes=classes,
        scores=scores,
        best_tip=best_tip,
        proved=open_pairs == 0,
        settled_paths=int(np.count_nonzero(candidates.settled)),
    )
