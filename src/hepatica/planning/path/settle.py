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
"""Pairs of each group settled in the first round; twice as many in every other."""
CHUNKS: Final = (1024, 8192, 65536)
"""So many pairs with the least bounds are taken at first, next and then; after these, all that are left."""
PARTS: Final = 4
"""Parts of a batch for threads."""
SCREENED, TRACED, CLEARED, SETTLED = 1, 2, 3, 4
"""Stages of a pair, each dearer to reach than the one before; at 0 nothing is known but its geometry."""
WORTH_THREADS: Final = (np.inf, 512, 128, 64)
"""Batches of a stage below this are done before threads would have started; screening has threads of its own."""
SCORE_DOUBT: Final = 4e-6
"""A pair is given up only if its score would be worse by more than what scores are rounded to."""


class Candidates:
    """Pairs of one lesion that keep the limits of length, tilt and entry, with what is known of each so far.

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
        Number of pairs of all skin points with all tips.
    table
        The pairs.
    entry, tip
        (n,) indices of skin point and tip.
    bound
        (n,) the score is at least this.
    allowed, broken
        (n,) what has been settled.
    slack
        (n,) the slack is at most this; exact from the stage `CLEARED` on.
    viable_mm, parenchyma_mm, capsule_deg
        (n,) measures of the ranking: exact once taken, until then the most the first may be, and NaN.
    """

    def __init__(
        self,
        scene: Scene,
        tissue: NDArray[np.uint8],
        *,
        lesion_id: str,
        tips_lps_mm: FloatArray,
    ) -> None:
        self.scene, self.lesion_id, self.tips_lps_mm = scene, lesion_id, tips_lps_mm
        self._tissue: NDArray[np.uint8] | None = tissue
        self.table = recall_pair_table(scene, lesion_id=lesion_id, tips_lps_mm=tips_lps_mm)
        self.table.follow(scene)
        self.examined = len(tips_lps_mm) * len(scene.skin.points_lps_mm)
        self.tip, self.entry = self.table.tip, self.table.entry
        count = len(self.tip)
        self.viable_mm = self.table.viable_mm + kernels.VIABLE_DOUBT_MM
        self.parenchyma_mm = np.full(count, np.nan)
        self.capsule_deg = np.full(count, np.nan)
        self.slack = np.full(count, np.inf)
        self.stage = np.zeros(count, np.uint8)
        self.broken = np.zeros(count, bool)
        self.allowed = np.zeros(count, bool)
        self.bound = self.table.bound_scores(scene.limits).copy()

    def __len__(self) -> int:
        return len(self.tip)

    @property
    def tissue(self) -> NDArray[np.uint8]:
        """`Scene.paint_target` of the lesion; painted again where it was let go."""
        if self._tissue is None:
            self._tissue = self.scene.paint_target(self.lesion_id)
        return self._tissue

    def let_go(self) -> None:
        """Keep what was found out, but not the painted copy of the whole scan."""
        self._tissue = None

    @property
    def settled(self) -> NDArray[np.bool_]:
        """(n,) which pairs were measured exactly, to the end or until they broke a limit."""
        return self.allowed | (self.broken & (self.stage > SCREENED))

    @property
    def classes(self) -> NDArray[np.uint8]:
        """(m, n) classes of every tip with every skin point, as `screen_pairs` gives them."""
        return screen_pairs(self.scene, self.tips_lps_mm)

    def count_stops(self, up_to: int) -> NDArray[np.int16]:
        """Return how many stops each pair has room for, at most a number."""
        return count_stops(self.scene, self.table, lesion_id=self.lesion_id, up_to=up_to)

    def find_ends_lps_mm(self, chosen: NDArray[np.int64] | int) -> tuple[FloatArray, FloatArray]:
        """Return the entries and tips of the chosen pairs."""
        return self.scene.skin.points_lps_mm[self.entry[chosen]], self.tips_lps_mm[self.tip[chosen]]

    def measure_away_mm(self, chosen: NDArray[np.int64], point_lps_mm: FloatArray) -> FloatArray:
        """Return the distance of the chosen pairs' entries from a point."""
        away = np.linalg.norm(self.scene.skin.points_lps_mm - point_lps_mm, axis=1)
        return np.asarray(away[self.entry[chosen]])

    def passes_screen(self, chosen: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Tell which of the chosen pairs the slack field does not rule out."""
        self._advance(chosen, stage=0, smallest=np.inf)
        return np.asarray(self.table.classes[chosen] != field_kernels.BLOCKED)

    def passes_trace(self, chosen: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Tell which of the chosen pairs pass the screen and the tissue along their way."""
        for stage in (0, SCREENED):
            self._advance(chosen, stage=stage, smallest=np.inf)
        return np.asarray(~self.broken[chosen] | (self.stage[chosen] > TRACED))

    def screen(self, chosen: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return those of the chosen pairs that neither the slack field nor anything settled rules out."""
        self._advance(chosen, stage=0, smallest=np.inf)
        return np.asarray(chosen[~self.broken[chosen]])

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
        """Return the allowed pair with the smallest score of each group of the chosen, proven; groups without one
        are left out. In the order of the groups' numbers."""
        best = np.full(int(group.max(initial=-1)) + 1, np.inf)
        known = self.allowed[chosen]
        np.minimum.at(best, group[known], self.bound[chosen[known]])
        self._settle_groups(chosen, group, best=best, progress=progress)
        good = self.allowed[chosen] & (self.bound[chosen] <= best[group])
        chosen, group = chosen[good], group[good]
        order = self._order_by_place(chosen)
        _, found = np.unique(group[order], return_index=True)
        return np.asarray(chosen[order][found])

    def _settle_groups(
        self, chosen: NDArray[np.int64], group: NDArray[np.int64], *, best: FloatArray, progress: Progress
    ) -> None:
        """Settle, a few of each group at a time, all that may beat the best of their group, and lower that."""
        size = FIRST_GROUP_BATCH
        while True:
            progress.check_cancelled()
            bound = self.bound[chosen]
            todo = np.flatnonzero(~self.broken[chosen] & ~self.allowed[chosen] & (bound <= best[group]))
            if len(todo) == 0:
                return
            todo = todo[np.lexsort((bound[todo], group[todo]))]
            todo = todo[number_in_groups(group[todo]) < size]
            batch, smallest = chosen[todo], best[group[todo]]
            for stage in range(SETTLED):
                self._advance(batch, stage=stage, smallest=smallest)
            self.allowed[batch] = (self.stage[batch] == SETTLED) & ~self.broken[batch]
            passed = todo[self.allowed[batch]]
            np.minimum.at(best, group[passed], self.bound[chosen[passed]])
            size *= 2

    def _order_by_place(self, chosen: NDArray[np.int64]) -> NDArray[np.int64]:
        entry, end = (np.round(part, SCORE_DECIMALS) for part in self.find_ends_lps_mm(chosen))
        return np.lexsort((*end.T[::-1], *entry.T[::-1]))

    def refuse(self, index: int) -> None:
        """Take a pair out that a check of its own found wanting."""
        self.broken[index], self.allowed[index] = True, False

    def to_terms(self, chosen: NDArray[np.int64]) -> dict[str, FloatArray]:
        """Return the ranking terms as far as they are known; what is not yet measured counts as best."""
        values = RankInput(
            length_mm=self.table.length_mm[chosen],
            tilt_deg=self.table.tilt_deg[chosen],
            in_plane_deg=self.table.in_plane_deg[chosen],
            capsule_deg=self.capsule_deg[chosen],
            parenchyma_mm=self.parenchyma_mm[chosen],
            viable_mm=self.viable_mm[chosen],
        )
        terms = derive_terms(values, limits=self.scene.limits)
        terms["clearance"] = derive_clearance_terms(self.slack[chosen], limits=self.scene.limits)
        return terms

    def _settle_chunk(self, chunk: NDArray[np.int64], *, smallest: float, progress: Progress) -> float:
        """Settle what may beat the best score so far; returns the best score after it.

        All are screened and traced first, for that is cheap and tells most; then they are settled in their new
        order.
        """
        chunk = chunk[self.bound[chunk] <= smallest]
        self._advance(chunk, stage=0, smallest=smallest)
        self._advance(chunk, stage=SCREENED, smallest=smallest)
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
        """Measure a batch step by step, cheapest first; a pair whose bound passes the best goes no further."""
        for stage in range(SETTLED):
            self._advance(batch[self.bound[batch] <= smallest], stage=stage, smallest=smallest)
        self.allowed[batch] = (self.stage[batch] == SETTLED) & ~self.broken[batch]

    def _advance(self, batch: NDArray[np.int64], *, stage: int, smallest: float | FloatArray) -> None:
        """Take the pairs that stand at a stage one step further, but for those whose slack turns out too little to
        reach the smallest score."""
        here = ~self.broken[batch] & (self.stage[batch] == stage)
        todo = batch[here]
        if len(todo) == 0:
            return
        if stage == 0:
            self.table.screen(self.scene, todo)
            self.broken[todo] = self.table.classes[todo] == field_kernels.BLOCKED
        elif stage == TRACED:
            todo = self._bound_slack(todo, np.broadcast_to(smallest, batch.shape)[here])
        else:
            self._measure(todo, stage=stage)
        self.stage[todo] = stage + 1
        if stage > 0:
            self._raise_bounds(todo)

    def _bound_slack(self, todo: NDArray[np.int64], smallest: FloatArray) -> NDArray[np.int64]:
        """Measure the slack of pairs as far as the smallest score asks for; return those whose slack is known."""
        table = self.table
        self.slack[todo] = table.slack[todo]
        self._raise_bounds(todo)
        new = ~table.cleared[todo] & (self.bound[todo] <= smallest)
        self._spread(self._clear, todo[new], self._derive_least_slack(todo[new], smallest[new]), stage=TRACED)
        self._raise_bounds(todo[new])
        done = todo[table.cleared[todo]]
        self.broken[done] |= table.broken[done]
        return done

    def _derive_least_slack(self, todo: NDArray[np.int64], smallest: FloatArray) -> FloatArray:
        """Return the (n,) slack below which a pair's score passes the smallest."""
        limits = self.scene.limits
        weight, comfort = limits["weight_clearance"].number, limits["comfort_clearance"].number
        if weight == 0.0 or comfort == 0.0:
            return np.zeros(len(todo))
        term = derive_clearance_terms(self.slack[todo], limits=limits)
        left = smallest + SCORE_DOUBT - (self.bound[todo] - weight * term)
        return np.asarray(np.clip(comfort * (1.0 - left / weight), 0.0, comfort))

    def _spread(
        self,
        step: Callable[[NDArray[np.int64], FloatArray], None],
        pairs: NDArray[np.int64],
        column: FloatArray,
        *,
        stage: int,
    ) -> None:
        size = len(pairs)
        step_size = max(1, -(-size // PARTS)) if size >= WORTH_THREADS[stage] else max(1, size)
        spread_over_threads(
            lambda part: step(pairs[part], column[part]),
            [slice(a, a + step_size) for a in range(0, size, step_size)],
        )

    def _measure(self, todo: NDArray[np.int64], *, stage: int) -> None:
        """Take the measures of the stage, or recall them, and judge by them."""
        angled = stage == CLEARED
        known, recalled = self.table.recall(todo, angled=angled)
        new = todo[~known]
        metrics = np.empty((len(new), kernels.N_METRICS))
        if angled:
            metrics[:] = self.table.recall(new, angled=False)[1]
        step = self._measure_capsule if angled else self._trace
        self._spread(step, new, metrics, stage=stage)
        self.table.keep(new, metrics, angled=angled)
        judge = self._judge_capsule if angled else self._judge_trace
        judge(todo[known], recalled)
        judge(new, metrics)

    def _trace(self, part: NDArray[np.int64], metrics: FloatArray) -> None:
        metrics[:] = trace_pairs(self.scene, self.tissue, *self._to_local(part))

    def _judge_trace(self, part: NDArray[np.int64], metrics: FloatArray) -> None:
        limits = self.scene.limits
        struck = (metrics[:, 5] > 0) | (metrics[:, 7] > 0)
        short = metrics[:, 0] < limits["liver_before_lesion_min"].number - LENGTH_TOLERANCE_MM
        self.broken[part] |= short | struck | (metrics[:, 6] > limits["unlabelled_air_max"].number)
        self.viable_mm[part], self.parenchyma_mm[part] = metrics[:, 2], metrics[:, 3]

    def _clear(self, part: NDArray[np.int64], least_mm: FloatArray) -> None:
        comfort = self.scene.limits["comfort_clearance"].number
        layers, slack, done = clear_pairs(
            self.scene, self.tissue, *self._to_local(part), comfort_mm=comfort, least_mm=least_mm
        )
        self.slack[part] = self.table.slack[part] = slack
        self.table.broken[part], self.table.cleared[part] = layers != 0, done

    def _measure_capsule(self, part: NDArray[np.int64], metrics: FloatArray) -> None:
        add_capsule_sines(self.scene, self.tissue, *self._to_local(part), metrics=metrics)

    def _judge_capsule(self, part: NDArray[np.int64], metrics: FloatArray) -> None:
        sine = metrics[:, 1]
        angle = np.where(sine >= 0, np.degrees(np.arcsin(np.clip(sine, 0, 1))), np.nan)
        self.capsule_deg[part] = angle
        least = self.scene.limits["capsule_angle_min"].number - ANGLE_TOLERANCE_DEG
        self.broken[part] |= (angle < least) | (sine == -2.0)

    def _to_local(self, part: NDArray[np.int64]) -> tuple[FloatArray, FloatArray]:
        return self.table.entries_mm[self.entry[part]], self.table.tips_mm[self.tip[part]]

    def _raise_bounds(self, part: NDArray[np.int64]) -> None:
        scores = derive_scores(self.to_terms(part), limits=self.scene.limits)
        self.bound[part] = np.round(scores, SCORE_DECIMALS)


def number_in_groups(group: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return how many of the same group stand before each entry of a sorted array."""
    return np.asarray(np.arange(len(group)) - np.searchsorted(group, group))
