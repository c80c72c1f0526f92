"""Pairs that screening left over, settled exactly and only as far as their order needs it."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from hepatica.core.findings import NotEvaluable
from hepatica.core.geometry import BoolArray, FloatArray
from hepatica.core.progress import Progress
from hepatica.planning.path import field_kernels, kernels
from hepatica.planning.path.angles import derive_side_lps
from hepatica.planning.path.clearance import measure_segment_distance_mm
from hepatica.planning.path.deposits import count_stops
from hepatica.planning.path.fields import march_paths
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
TOUCH_MM: Final = 1e-3
"""Room that tells only whether a margin is kept; the first look, over the shortest stretch."""
PARTS: Final = 4
"""Parts of a batch for threads."""
WORTH_THREADS: Final = 1024
"""Batches below this are done before threads would have started."""


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
    free, undecided
        How many of them screening left.
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
        self, scene: Scene, tissue: NDArray[np.uint8], *, lesion_id: str, tips_lps_mm: FloatArray
    ) -> None:
        self.scene, self.tissue, self.lesion_id, self.tips_lps_mm = scene, tissue, lesion_id, tips_lps_mm
        classes = screen_pairs(scene, tips_lps_mm)
        self.classes = classes
        self.examined = classes.size
        self.tip, self.entry = np.nonzero(classes <= field_kernels.UNDECIDED)
        if scene.prior_tracks:
            away = self._measure_prior_mm()
            kept = away >= scene.limits["prior_track_distance"].number
            self.tip, self.entry = self.tip[kept], self.entry[kept]
        count = len(self.tip)
        self.entries_lps_mm = scene.skin.points_lps_mm[self.entry]
        self.ends_lps_mm = tips_lps_mm[self.tip]
        self.length_mm, self.tilt_deg, self.in_plane_deg = self._measure_angles()
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
        size, tried = FIRST_BATCH, 0
        order = chosen[np.argsort(self.bound[chosen], kind="stable")]
        order = order[~self.broken[order]]
        smallest = float(self.bound[order][self.allowed[order]].min(initial=np.inf))
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
            progress.advance(min(1.0, tried / len(order)))
        best = order[self.allowed[order] & (self.bound[order] <= smallest)]
        if len(best) == 0:
            return None
        entry = np.round(self.entries_lps_mm[best], SCORE_DECIMALS)
        end = np.round(self.ends_lps_mm[best], SCORE_DECIMALS)
        return int(best[np.lexsort((*end.T[::-1], *entry.T[::-1]))[0]])

    def settle(self, chosen: NDArray[np.int64], *, progress: Progress) -> None:
        """Settle every one of the chosen pairs exactly, whatever its score."""
        for a in range(0, len(chosen), LARGEST_BATCH):
            progress.check_cancelled()
            part = chosen[a : a + LARGEST_BATCH]
            self._settle(part, smallest=np.inf)
            progress.advance(min(1.0, (a + len(part)) / len(chosen)))

    def refuse(self, index: int) -> None:
        """Take a pair out that a check of its own found wanting."""
        self.broken[index], self.allowed[index] = True, False

    def to_terms(self, chosen: NDArray[np.int64]) -> dict[str, FloatArray]:
        """Return the ranking terms as far as they are known; what is not yet measured counts as best."""
        traced = self.stage[chosen] >= 1
        room = self.scene.limits["comfort_deposit_room"].number
        values = RankInput(
            length_mm=self.length_mm[chosen],
            tilt_deg=self.tilt_deg[chosen],
            in_plane_deg=self.in_plane_deg[chosen],
            capsule_deg=self.capsule_deg[chosen],
            parenchyma_mm=self.metrics[chosen, 3],
            viable_mm=np.where(traced, self.metrics[chosen, 2], room),
        )
        terms = derive_terms(values, limits=self.scene.limits)
        slack = np.where(self.stage[chosen] >= 2, self.slack[chosen], np.inf)
        terms["clearance"] = derive_clearance_terms(slack, limits=self.scene.limits)
        return terms

    def _settle(self, batch: NDArray[np.int64], *, smallest: float) -> None:
        """Measure a batch in three steps, cheapest first; a pair whose bound passes the best goes no further."""
        for stage, step in enumerate((self._trace, self._clear, self._measure_capsule)):
            todo = batch[~self.broken[batch] & (self.bound[batch] <= smallest) & (self.stage[batch] == stage)]
            if len(todo) == 0:
                continue
            spread_over_threads(step, np.array_split(todo, PARTS if len(todo) >= WORTH_THREADS else 1))
            self.stage[todo] = stage + 1
            self._raise_bounds(todo)
        self.allowed[batch] = (self.stage[batch] == 3) & ~self.broken[batch]

    def _trace(self, part: NDArray[np.int64]) -> None:
        limits = self.scene.limits
        metrics = trace_pairs(self.scene, self.tissue, *self._to_local(part))
        self.metrics[part] = metrics
        struck = (metrics[:, 5] > 0) | (metrics[:, 7] > 0)
        short = metrics[:, 0] < limits["liver_before_lesion_min"].number - LENGTH_TOLERANCE_MM
        self.broken[part] |= short | struck | (metrics[:, 6] > limits["unlabelled_air_max"].number)

    def _clear(self, part: NDArray[np.int64]) -> None:
        comfort = self.scene.limits["comfort_clearance"].number
        kept = part[~self._measure_slack(part, room_mm=TOUCH_MM)]
        if len(kept):
            self._measure_slack(kept, room_mm=comfort)

    def _measure_slack(self, part: NDArray[np.int64], *, room_mm: float) -> BoolArray:
        """Measure slack up to a room, exactly where screening leaves doubt; returns which pairs are broken."""
        starts, ends = self._to_local(part)
        run_out = self.scene.limits["run_out"].number
        classes, doubts = march_paths(self.scene.slack, starts, ends, run_out_mm=run_out, room_mm=room_mm)
        self.slack[part] = room_mm
        near = np.flatnonzero(classes == field_kernels.UNDECIDED)
        layers, slack = clear_pairs(
            self.scene, self.tissue, starts[near], ends[near], comfort_mm=room_mm, doubts_mm=doubts[near]
        )
        self.slack[part[near]] = slack
        broken = classes == field_kernels.BLOCKED
        broken[near] |= layers != 0
        self.broken[part] |= broken
        return np.asarray(broken)

    def _measure_capsule(self, part: NDArray[np.int64]) -> None:
        metrics = self.metrics[part]
        add_capsule_sines(self.scene, self.tissue, *self._to_local(part), metrics=metrics)
        self.metrics[part] = metrics
        sine = metrics[:, 1]
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

    def _measure_angles(self) -> tuple[FloatArray, FloatArray, FloatArray]:
        way = self.ends_lps_mm - self.entries_lps_mm
        length = np.maximum(np.linalg.norm(way, axis=1), 1e-9)
        tilt = np.degrees(np.arcsin(np.clip(way[:, 2] / length, -1.0, 1.0)))
        gravity = self.scene.gravity_lps
        if isinstance(gravity, NotEvaluable):
            return length, tilt, np.full(len(way), np.nan)
        axial = way * (1.0, 1.0, 0.0)
        return length, tilt, np.degrees(np.arctan2(axial @ derive_side_lps(gravity), axial @ gravity))

    def _measure_prior_mm(self) -> FloatArray:
        entries, tips = self.scene.skin.points_lps_mm[self.entry], self.tips_lps_mm[self.tip]
        away = np.full(len(entries), np.inf)
        for track in self.scene.prior_tracks:
            other = measure_segment_distance_mm(entries, tips, track.entry_lps_mm, track.tip_lps_mm)
            away = np.minimum(away, other)
        return away
