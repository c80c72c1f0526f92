"""Pairs that screening left over, settled exactly and only as far as their order needs it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np
from numpy.typing import NDArray

from hepatica.core.geometry import FloatArray
from hepatica.core.progress import Progress
from hepatica.planning.path import field_kernels, kernels
from hepatica.planning.path.deposits import count_stops
from hepatica.planning.path.pair_table import recall_pair_table
from hepatica.planning.path.pairs import (
    ANGLE_TOLERANCE_DEG,
    LENGTH_TOLERANCE_MM,
    add_capsule_sines,
    clear_pairs,
    trace_pairs,
)
from hepatica.planning.path.ranking import (
    RankInput,
    derive_clearance_terms,
    derive_scores,
    derive_terms,
)
from hepatica.planning.path.scene import Scene
from hepatica.planning.path.screen import screen_pairs
from hepatica.planning.path.threads import spread_over_threads

SCORE_DECIMALS: Final = 6
"""Scores that agree to this precision are equal; the world position then decides, not storage."""
FIRST_BATCH: Final = 32
LARGEST_BATCH: Final = 4096
"""Pairs settled before the order is looked at again; grows while nothing allowed is found."""
FIRST_GROUP_BATCH: Final = 4
"""Pairs of each group taken a step further in the first round; so many more in every other."""
CHUNKS: Final = (1024, 8192, 65536)
"""So many pairs with the least bounds are taken at first, next and then; after these, all that are left."""
VIABLE_DOUBT_MM: Final = 1e-6
"""Added to the most that the way in the target can be; more than any rounding."""
PARTS: Final = 4
"""Parts of a batch for threads."""
WORTH_THREADS: Final = (512, 128, 64)
"""Batches of a stage below this are done before threads would have started."""


class Candidates:
    """Pairs of one lesion that screening did not rule out, with what is known of each so far.

    Parameters
    ----------
    scene, tissue
        Scene and `Scene.paint_target` of the lesion.
    lesion_id
        Lesion.
    tips_lps_mm
        (m, 3) tips to join with every skin point.

    Attributes
    ----------
    examined
        Number of pairs screened.
    table, number
        All pairs that no limit but the margins excludes, and the (n,) numbers of those that screening left.
    entry, tip
        (n,) indices of skin point and tip.
    bound
        (n,) the score is at least this.
    allowed, broken
        (n,) what has been settled.
    metrics, slack
        (n, `kernels.N_METRICS`) and (n,) exact measures of the settled ones.
    """

    def __init__(
        self,
        scene: Scene,
        tissue: NDArray[np.uint8],
        *,
        lesion_id: str,
        tips_lps_mm: FloatArray,
    ) -> None:
        self.scene, self.tissue, self.lesion_id, self.tips_lps_mm = scene, tissue, lesion_id, tips_lps_mm
        self.table = recall_pair_table(scene, lesion_id=lesion_id, tips_lps_mm=tips_lps_mm)
        self.table.follow(scene)
        self.number = np.flatnonzero(self.table.classes <= field_kernels.UNDECIDED)
        self.examined = len(tips_lps_mm) * len(scene.skin.points_lps_mm)
        self.tip, self.entry = self.table.tip[self.number], self.table.entry[self.number]
        count = len(self.tip)
        self.entries_lps_mm = scene.skin.points_lps_mm[self.entry]
        self.ends_lps_mm = tips_lps_mm[self.tip]
        self.length_mm = self.table.length_mm[self.number]
        self.tilt_deg, self.in_plane_deg = (
            self.table.tilt_deg[self.number],
            self.table.in_plane_deg[self.number],
        )
        self.viable_mm = self.table.viable_mm[self.number]
        self.metrics = np.full((count, kernels.N_METRICS), np.nan)
        self.capsule_deg = np.full(count, np.nan)
        self.slack = np.full(count, np.nan)
        self.stage = np.zeros(count, np.uint8)
        self.broken = np.zeros(count, bool)
        self.allowed = np.zeros(count, bool)
        self.bound = np.zeros(count)
        self._raise_bounds(np.arange(count))

    def __len__(self) -> int:
        return len(self.tip)

    @property
    def classes(self) -> NDArray[np.uint8]:
        """(m, n) classes of every tip with every skin point, as `screen_pairs` gives them."""
        return screen_pairs(self.scene, self.tips_lps_mm)

    def count_stops(self, up_to: int) -> NDArray[np.int64]:
        """Return how many stops each pair has room for, at most a number."""
        return count_stops(
            self.entries_lps_mm, self.ends_lps_mm, self.scene, lesion_id=self.lesion_id, up_to=up_to
        )

    def measure_away_mm(self, chosen: NDArray[np.int64], point_lps_mm: FloatArray) -> FloatArray:
        """Return the distance of the chosen pairs' entries from a point."""
        return np.asarray(np.linalg.norm(self.entries_lps_mm[chosen] - point_lps_mm, axis=1))

    def find_best(self, chosen: NDArray[np.int64], *, progress: Progress) -> int | None:
        """Return the allowed pair with the smallest score among the chosen, proven; None if none is allowed.

        Pairs are settled in the order of their lower bounds until no bound is below the best score; equal
        scores are told apart by the world position of entry and tip. Without an allowed pair every chosen
        one has been settled exactly.
        """
        left = order = chosen[~self.broken[chosen]]
        smallest = float(self.bound[order][self.allowed[order]].min(initial=np.inf))
        for size in (*CHUNKS, len(order)):
            bound = self.bound[left]
            if len(left) > size:
                near = np.argpartition(bound, size - 1)[:size]
                part, left = left[near], np.delete(left, near)
            else:
                part, left = left, left[:0]
            smallest = self._settle_chunk(part, smallest=smallest, progress=progress)
            left = left[self.bound[left] <= smallest]
            progress.advance(1.0 - len(left) / max(1, len(order)))
            if len(left) == 0:
                break
        best = order[self.allowed[order] & (self.bound[order] <= smallest)]
        return int(best[self._order_by_place(best)[0]]) if len(best) else None

    def find_best_of_groups(
        self, chosen: NDArray[np.int64], group: NDArray[np.int64], *, progress: Progress
    ) -> NDArray[np.int64]:
        """Return the allowed pair with the smallest score of each group of the chosen; groups without one are
        left out. In the order of the groups' numbers."""
        self._advance(chosen, stage=0)
        best, size = np.full(int(group.max(initial=-1)) + 1, np.inf), FIRST_GROUP_BATCH
        known = self.allowed[chosen]
        np.minimum.at(best, group[known], self.bound[chosen[known]])
        while True:
            progress.check_cancelled()
            bound = self.bound[chosen]
            todo = np.flatnonzero(~self.broken[chosen] & ~self.allowed[chosen] & (bound <= best[group]))
            if len(todo) == 0:
                break
            todo = todo[np.lexsort((bound[todo], group[todo]))]
            place = np.arange(len(todo)) - np.searchsorted(group[todo], group[todo])
            todo = todo[place < size]
            batch = chosen[todo]
            stage = self.stage[batch]
            self._advance(batch[stage == 1], stage=1)
            self._advance(batch[stage == 2], stage=2)
            self.allowed[batch] = (self.stage[batch] == 3) & ~self.broken[batch]
            passed = todo[self.allowed[batch]]
            np.minimum.at(best, group[passed], self.bound[chosen[passed]])
            size += FIRST_GROUP_BATCH
        good = self.allowed[chosen] & (self.bound[chosen] <= best[group])
        chosen, group = chosen[good], group[good]
        order = self._order_by_place(chosen)
        _, found = np.unique(group[order], return_index=True)
        return np.asarray(chosen[order][found])

    def _order_by_place(self, chosen: NDArray[np.int64]) -> NDArray[np.int64]:
        entry = np.round(self.entries_lps_mm[chosen], SCORE_DECIMALS)
        end = np.round(self.ends_lps_mm[chosen], SCORE_DECIMALS)
        return np.lexsort((*end.T[::-1], *entry.T[::-1]))

    def refuse(self, index: int) -> None:
        """Take a pair out that a check of its own found wanting."""
        self.broken[index], self.allowed[index] = True, False

    def to_terms(self, chosen: NDArray[np.int64]) -> dict[str, FloatArray]:
        """Return the ranking terms as far as they are known; what is not yet measured counts as best."""
        traced = self.stage[chosen] >= 1
        likely = self.viable_mm[chosen] + VIABLE_DOUBT_MM
        values = RankInput(
            length_mm=self.length_mm[chosen],
            tilt_deg=self.tilt_deg[chosen],
            in_plane_deg=self.in_plane_deg[chosen],
            capsule_deg=self.capsule_deg[chosen],
            parenchyma_mm=self.metrics[chosen, 3],
            viable_mm=np.where(traced, self.metrics[chosen, 2], likely),
        )
        terms = derive_terms(values, limits=self.scene.limits)
        slack = np.where(self.stage[chosen] >= 2, self.slack[chosen], np.inf)
        terms["clearance"] = derive_clearance_terms(slack, limits=self.scene.limits)
        return terms

    def _settle_chunk(self, chunk: NDArray[np.int64], *, smallest: float, progress: Progress) -> float:
        """Settle what may beat the best score so far; returns the best score after it.

        All are traced first, for that is cheap and tells most; then they are settled in their new order.
        """
        self._advance(chunk[self.bound[chunk] <= smallest], stage=0)
        order = chunk[~self.broken[chunk] & (self.bound[chunk] <= smallest)]
        order = order[np.argsort(self.bound[order], kind="stable")]
        tried, size = 0, FIRST_BATCH
        while tried < len(order):
            progress.check_cancelled()
            batch = order[tried : tried + size]
            batch = batch[self.bound[batch] <= smallest]
            if len(batch) == 0:
                break
            self._settle(batch, smallest=smallest)
            smallest = min(smallest, float(self.bound[batch][self.allowed[batch]].min(initial=np.inf)))
            tried += size
            size = min(2 * size, LARGEST_BATCH)
        return smallest

    def settle(self, chosen: NDArray[np.int64], *, progress: Progress) -> None:
        """Settle every one of the chosen pairs exactly, whatever its score."""
        for a in range(0, len(chosen), LARGEST_BATCH):
            progress.check_cancelled()
            part = chosen[a : a + LARGEST_BATCH]
            self._settle(part, smallest=np.inf)
            progress.advance(min(1.0, (a + len(part)) / len(chosen)))

    def _settle(self, batch: NDArray[np.int64], *, smallest: float) -> None:
        """Measure a batch in three steps, cheapest first; a pair whose bound passes the best goes no further."""
        for stage in range(3):
            self._advance(batch[self.bound[batch] <= smallest], stage=stage)
        self.allowed[batch] = (self.stage[batch] == 3) & ~self.broken[batch]

    def _advance(self, batch: NDArray[np.int64], *, stage: int) -> None:
        """Take the pairs that stand at a stage one step further."""
        todo = batch[~self.broken[batch] & (self.stage[batch] == stage)]
        if len(todo) == 0:
            return
        step = (self._trace, self._clear, self._measure_capsule)[stage]
        if stage == 1:
            number = self.number[todo]
            known = self.table.cleared[number]
            self._spread(step, todo[~known], stage=stage)
            self.slack[todo[known]] = self.table.slack[number[known]]
            self.broken[todo[known]] |= self.table.broken[number[known]]
        else:
            known, metrics = self.table.recall(self.number[todo], angled=stage == 2)
            self.metrics[todo[known]] = metrics
            self._spread(step, todo[~known], stage=stage)
            self.table.keep(self.number[todo[~known]], self.metrics[todo[~known]], angled=stage == 2)
            (self._judge_trace if stage == 0 else self._judge_capsule)(todo)
        self.stage[todo] = stage + 1
        self._raise_bounds(todo)

    def _spread(
        self, step: Callable[[NDArray[np.int64]], None], todo: NDArray[np.int64], *, stage: int
    ) -> None:
        parts = PARTS if len(todo) >= WORTH_THREADS[stage] else 1
        spread_over_threads(step, [part for part in np.array_split(todo, parts) if len(part)])

    def _trace(self, part: NDArray[np.int64]) -> None:
        self.metrics[part] = trace_pairs(self.scene, self.tissue, *self._to_local(part))

    def _judge_trace(self, part: NDArray[np.int64]) -> None:
        limits, metrics = self.scene.limits, self.metrics[part]
        struck = (metrics[:, 5] > 0) | (metrics[:, 7] > 0)
        short = metrics[:, 0] < limits["liver_before_lesion_min"].number - LENGTH_TOLERANCE_MM
        self.broken[part] |= short | struck | (metrics[:, 6] > limits["unlabelled_air_max"].number)

    def _clear(self, part: NDArray[np.int64]) -> None:
        comfort = self.scene.limits["comfort_clearance"].number
        layers, self.slack[part] = clear_pairs(
            self.scene, self.tissue, *self._to_local(part), comfort_mm=comfort
        )
        self.broken[part] |= layers != 0
        number = self.number[part]
        self.table.slack[number], self.table.broken[number] = self.slack[part], layers != 0
        self.table.cleared[number] = True

    def _measure_capsule(self, part: NDArray[np.int64]) -> None:
        metrics = self.metrics[part]
        add_capsule_sines(self.scene, self.tissue, *self._to_local(part), metrics=metrics)
        self.metrics[part] = metrics

    def _judge_capsule(self, part: NDArray[np.int64]) -> None:
        sine = self.metrics[part, 1]
        angle = np.where(sine >= 0, np.degrees(np.arcsin(np.clip(sine, 0, 1))), np.nan)
        self.capsule_deg[part] = angle
        least = self.scene.limits["capsule_angle_min"].number - ANGLE_TOLERANCE_DEG
        self.broken[part] |= (angle < least) | (sine == -2.0)

    def _to_local(self, part: NDArray[np.int64]) -> tuple[FloatArray, FloatArray]:
        return self.scene.to_local_mm(self.entries_lps_mm[part]), self.scene.to_local_mm(
            self.ends_lps_mm[part]
        )

    def _raise_bounds(self, part: NDArray[np.int64]) -> None:
        scores = derive_scores(self.to_terms(part), limits=self.scene.limits)
        self.bound[part] = np.round(scores, SCORE_DECIMALS)
