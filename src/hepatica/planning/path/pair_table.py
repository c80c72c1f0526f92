"""What is known of a lesion's pairs of skin point and tip that no margin changes; kept between plans."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Final

import numpy as np
from numpy.typing import NDArray

from hepatica.core.evidence import EvidenceTable
from hepatica.core.findings import NotEvaluable
from hepatica.core.geometry import FloatArray
from hepatica.planning.path import field_kernels, kernels
from hepatica.planning.path.angles import derive_side_lps
from hepatica.planning.path.clearance import measure_segment_distance_mm
from hepatica.planning.path.measure import TrackMeasure
from hepatica.planning.path.near import find_changed_boxes
from hepatica.planning.path.scene import Scene
from hepatica.planning.path.screen import classify_pairs, find_open_pairs
from hepatica.planning.path.threads import split_rows, spread_over_threads

ROUNDING_MM: Final = 1e-6
"""Around the box and the ball that hold a target."""
MOST_TRACKS: Final = 256
"""Paths whose measures are kept, some kilobytes each."""
FIRST_ROWS: Final = 4096
"""Rows made at first for what is measured exactly; doubled when full."""


PAIR_LIMITS: Final = (
    "length_min",
    "length_max",
    "tilt_max",
    "run_out",
    "entry_implant_distance",
    "prior_track_distance",
    "capsule_sigma",
    "comfort_clearance",
)
"""Limits that a table depends on, beside the largest margin and the needle."""


class PairTable:
    """Every pair of one lesion that keeps the limits of length, tilt, table, implant, scan end and prior tracks.

    Parameters
    ----------
    scene
        Scene; its margins are not looked at but through the distance to an open face.
    lesion_id
        Lesion to reach.
    tips_lps_mm
        (m, 3) tips to join with every skin point.

    Attributes
    ----------
    tip, entry
        (k,) indices of tip and skin point.
    entries_mm, tips_mm
        (n, 3) skin points and (m, 3) tips in the scan's local millimetres.
    classes
        (k,) what the slack field says of each under the margins of the latest `follow`; ``UNSCREENED`` where it
        has not been asked.
    cleared, slack, broken
        (k,) whether slack was measured under these margins, how much it is, and whether it is too little. Slack
        that was not measured to the end is at most the number given.
    length_mm, tilt_deg, in_plane_deg, viable_mm
        (k,) geometry, and what the way in the target is at most.
    """

    def __init__(self, scene: Scene, *, lesion_id: str, tips_lps_mm: FloatArray) -> None:
        self.tips_lps_mm = tips_lps_mm
        tip, entry = np.nonzero(find_open_pairs(scene, tips_lps_mm))
        if scene.prior_tracks:
            kept = _measure_prior_mm(scene, tips_lps_mm, tip, entry)
            kept_far = kept >= scene.limits["prior_track_distance"].number
            tip, entry = tip[kept_far], entry[kept_far]
        self.tip, self.entry = tip.astype(np.int32), entry.astype(np.int32)
        self.entries_mm = scene.skin_local_mm
        self.tips_mm = scene.to_local_mm(tips_lps_mm)
        geometry = _measure(scene, self, lesion_id=lesion_id)
        self.length_mm, self.tilt_deg, self.in_plane_deg, self.viable_mm = geometry
        self.classes = np.full(len(tip), field_kernels.UNSCREENED, np.uint8)
        self.cleared = np.zeros(len(tip), bool)
        self.slack, self.broken = np.full(len(tip), np.inf), np.zeros(len(tip), bool)
        self._needed_mm = scene.needed_mm.copy()
        self._bound = np.empty(0)
        self._bound_of: tuple[float, ...] = ()
        self._stops = np.empty(0, np.int16)
        self._stops_of: tuple[float, int] = (0.0, 0)
        self._tracks: dict[Hashable, TrackMeasure] = {}
        self._row = np.full(len(tip), -1, np.int32)
        self._count = 0
        self._metrics = np.empty((FIRST_ROWS, kernels.N_METRICS))
        self._angled = np.zeros(FIRST_ROWS, bool)

    def __len__(self) -> int:
        return len(self.tip)

    def follow(self, scene: Scene) -> None:
        """Take a scene's margins: of pairs that come near a changed layer only what still holds is kept.

        What broke a margin breaks a wider one. Slack is at most what it was, and where margins became narrower by
        some distance, that much more.

        Parameters
        ----------
        scene
            The table's scene, maybe under other margins.
        """
        boxes = find_changed_boxes(scene, earlier_mm=self._needed_mm)
        if boxes is None:
            return
        run_out = scene.limits["run_out"].number
        narrower_mm = float((self._needed_mm - scene.needed_mm).max())
        wider = narrower_mm <= 0.0

        def work(part: slice) -> None:
            near = np.empty(len(self.tip[part]), bool)
            kernels.find_near_boxes(
                self.entries_mm, self.tips_mm, self.entry[part], self.tip[part], run_out, boxes, near
            )
            holds = self.cleared[part] & self.broken[part] if wider else np.zeros(len(near), bool)
            self.cleared[part][near & ~holds] = False
            self.slack[part][near] += max(0.0, narrower_mm)
            stays = (self.classes[part] == field_kernels.BLOCKED) & wider
            self.classes[part][near & ~stays] = field_kernels.UNSCREENED

        spread_over_threads(work, split_rows(len(self)))
        self._needed_mm = scene.needed_mm.copy()

    def screen(self, scene: Scene, pairs: NDArray[np.int64]) -> None:
        """Ask the slack field of pairs that it has not been asked of.

        Parameters
        ----------
        scene
            The scene of the latest `follow`.
        pairs
            Indices into the table.
        """
        todo = pairs[self.classes[pairs] == field_kernels.UNSCREENED]
        if len(todo):
            self.classes[todo] = classify_pairs(scene, self.tips_mm, self.tip[todo], self.entry[todo])

    def bound_scores(self, limits: EvidenceTable) -> FloatArray:
        """Return (k,) what each pair's score is at least, by its geometry alone; no margin changes it.

        Parameters
        ----------
        limits
            Weights and what the terms are scaled by.
        """
        numbers: tuple[float, ...] = tuple(
            limits[name].number
            for name in (
                *("weight_tilt", "tilt_max", "weight_length", "length_max", "weight_in_plane"),
                *("weight_deposit_room", "comfort_deposit_room"),
            )
        )
        if self._bound_of != numbers:
            bound, scales = np.empty(len(self)), np.array(numbers)

            def work(part: slice) -> None:
                kernels.bound_scores(
                    self.length_mm[part],
                    self.tilt_deg[part],
                    self.in_plane_deg[part],
                    self.viable_mm[part],
                    scales,
                    bound[part],
                )

            spread_over_threads(work, split_rows(len(self)))
            self._bound, self._bound_of = bound, numbers
        return self._bound

    def recall_stops(
        self, key: tuple[float, int], count: Callable[[], NDArray[np.int16]]
    ) -> NDArray[np.int16]:
        """Return (k,) how many stops each pair has room for; no margin changes it.

        Parameters
        ----------
        key
            Spacing in mm, and up to how many are counted.
        count
            Counts them.
        """
        if self._stops_of != key:
            self._stops, self._stops_of = count(), key
        return self._stops

    def recall_track(self, key: Hashable, measure: Callable[[], TrackMeasure]) -> TrackMeasure:
        """Return the measures of one pair's path.

        Parameters
        ----------
        key
            Everything they depend on beside the table.
        measure
            Takes them.
        """
        if key not in self._tracks:
            while len(self._tracks) >= MOST_TRACKS:
                del self._tracks[next(iter(self._tracks))]
            self._tracks[key] = measure()
        return self._tracks[key]

    def count_bytes(self) -> int:
        """Return the memory that the table's arrays hold."""
        return int(sum(array.nbytes for array in vars(self).values() if isinstance(array, np.ndarray)))

    def recall(self, pairs: NDArray[np.int64], *, angled: bool) -> tuple[NDArray[np.bool_], FloatArray]:
        """Return which of the pairs are known, and the (k, `kernels.N_METRICS`) metrics of those.

        Parameters
        ----------
        pairs
            Indices into the table.
        angled
            Whether the capsule angle must be known too.
        """
        row = self._row[pairs]
        known = row >= 0
        if angled:
            known[known] = self._angled[row[known]]
        return known, self._metrics[row[known]]

    def keep(self, pairs: NDArray[np.int64], metrics: FloatArray, *, angled: bool) -> None:
        """Keep metrics of pairs; with the capsule angle or still without it."""
        row = self._row[pairs]
        new = np.flatnonzero(row < 0)
        row[new] = self._count + np.arange(len(new))
        self._count += len(new)
        while self._count > len(self._metrics):
            self._metrics = np.concatenate([self._metrics, np.empty_like(self._metrics)])
            self._angled = np.concatenate([self._angled, np.zeros_like(self._angled)])
        self._row[pairs] = row
        self._metrics[row], self._angled[row] = metrics, angled


def recall_pair_table(scene: Scene, *, lesion_id: str, tips_lps_mm: FloatArray) -> PairTable:
    """Return the table of a lesion and its tips, from the scene's memory where that has it.

    Parameters
    ----------
    scene, lesion_id, tips_lps_mm
        As in `PairTable`.
    """

    def make() -> PairTable:
        return PairTable(scene, lesion_id=lesion_id, tips_lps_mm=tips_lps_mm)

    if scene.memory is None:
        return make()
    lesion, target = scene.find_lesion(lesion_id)
    key = (
        lesion_id,
        tips_lps_mm.tobytes(),
        *((mask.start_ijk, mask.crop.shape, mask.crop.tobytes()) for mask in (lesion, target)),
        (scene.needle.length_mm, scene.needle.hub_allowance_mm, scene.largest_margin_mm),
        tuple(scene.limits[name].number for name in PAIR_LIMITS),
    )
    return scene.memory.recall(key, make)


def _measure(scene: Scene, table: PairTable, *, lesion_id: str) -> FloatArray:
    """Return (4, k): length, tilt, angle in the axial plane (NaN without gravity), and the most way in the target."""
    grid, target = scene.grid, scene.find_lesion(lesion_id)[1]
    voxels = np.argwhere(target.crop) + np.array(target.start_ijk)
    box = np.array([voxels.min(axis=0), voxels.max(axis=0) + 1]) * grid.spacing_mm
    centre, half = box.mean(axis=0), 0.5 * grid.spacing_mm
    # From the centre to the farthest corner of any voxel.
    corners = np.abs((voxels + 0.5) * grid.spacing_mm - centre) + half
    ball = np.array([*centre, np.sqrt((corners**2).sum(axis=1).max()) + ROUNDING_MM])
    box += [[-ROUNDING_MM], [ROUNDING_MM]]
    axes = np.zeros((3, 3))
    axes[0] = [0.0, 0.0, 1.0]
    if not isinstance(scene.gravity_lps, NotEvaluable):
        axes[1], axes[2] = derive_side_lps(scene.gravity_lps), scene.gravity_lps * (1.0, 1.0, 0.0)
    axes = np.ascontiguousarray(axes @ grid.directions)
    found = np.empty((4, len(table)))

    def work(part: slice) -> None:
        kernels.measure_pairs(
            table.entries_mm,
            table.tips_mm,
            table.entry[part],
            table.tip[part],
            axes,
            box,
            ball,
            found[:, part],
        )

    spread_over_threads(work, split_rows(len(table)))
    if isinstance(scene.gravity_lps, NotEvaluable):
        found[2] = np.nan
    return found


def _measure_prior_mm(
    scene: Scene, tips_lps_mm: FloatArray, tip: NDArray[np.int64], entry: NDArray[np.int64]
) -> FloatArray:
    entries, tips = scene.skin.points_lps_mm[entry], tips_lps_mm[tip]
    away = np.full(len(entries), np.inf)
    for track in scene.prior_tracks:
        other = measure_segment_distance_mm(entries, tips, track.entry_lps_mm, track.tip_lps_mm)
        away = np.minimum(away, other)
    return away
