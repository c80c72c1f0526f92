"""A sample of skin points against a few tips: all that each pair breaks, exactly."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from hepatica.core.findings import NotEvaluable
from hepatica.core.geometry import FloatArray
from hepatica.core.progress import Progress
from hepatica.planning.path import clearance_kernels, kernels, surface_kernels
from hepatica.planning.path.angles import derive_side_lps
from hepatica.planning.path.clearance import measure_segment_distance_mm
from hepatica.planning.path.entry import find_hub_under_table, measure_implant_distance_mm
from hepatica.planning.path.fields import UNITS_PER_MM
from hepatica.planning.path.near import find_changed_boxes
from hepatica.planning.path.scene import Scene
from hepatica.planning.path.threads import spread_over_threads

GEOMETRY_LIMITS: Final = (
    "length_max",
    "length_min",
    "needle_length",
    "tilt_max",
    "table_side",
    "entry_implant_distance",
    "prior_track_distance",
    "volume_face",
    "liver_before_lesion_min",
    "capsule_angle_min",
    "other_lesion",
    "unlabelled_air_max",
)
"""Bit n of `Pairs.broken`; the obstacle layers follow from bit `FIRST_LAYER_BIT`."""
FIRST_LAYER_BIT: Final = 16
CHUNK: Final = 8192
"""Pairs between two looks at progress and cancellation."""
ALL_LAYERS: Final = 0xFFFFFFFF
PARTS: Final = 4
"""Parts of them for threads."""
LENGTH_TOLERANCE_MM: Final = 1e-6
ANGLE_TOLERANCE_DEG: Final = 1e-6
"""A length or angle that meets its limit but for rounding meets it."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Pairs:
    """Judged pairs, ordered by skin point, then target point.

    Parameters
    ----------
    entries_lps_mm, tips_lps_mm
        (n, 3) ends.
    length_mm, tilt_deg, in_plane_deg
        (n,) geometry; in-plane is NaN where gravity is unknown or the path has no axial direction.
    capsule_deg
        (n,) NaN where not measured.
    liver_before_mm, parenchyma_mm, viable_mm
        (n,) liver right before the lesion, all liver before it, way inside the target; NaN where not traced.
    broken
        (n,) bit set of limits (`GEOMETRY_LIMITS`, then layers). Pairs that break two or more limits of
        length, tilt or entry are not traced further; the capsule angle is measured where at most one limit is
        broken before it.
    """

    entries_lps_mm: FloatArray
    tips_lps_mm: FloatArray
    length_mm: FloatArray
    tilt_deg: FloatArray
    in_plane_deg: FloatArray
    capsule_deg: FloatArray
    liver_before_mm: FloatArray
    parenchyma_mm: FloatArray
    viable_mm: FloatArray
    broken: NDArray[np.uint64]


def to_limit_names(scene: Scene) -> dict[str, np.uint64]:
    """Return each limit's bits by name; layers of one kind share its name."""
    names = {name: 1 << bit for bit, name in enumerate(GEOMETRY_LIMITS)}
    for number, layer in enumerate(scene.obstacles.layers):
        name = layer.kind.value
        names[name] = names.get(name, 0) | 1 << (FIRST_LAYER_BIT + number)
    return {name: np.uint64(bits) for name, bits in names.items()}


class TracedPairs:
    """What tracing and clearing found out of the pairs of a skin sample, kept from margin to margin.

    Parameters
    ----------
    count
        Number of pairs.
    needed_mm
        `Scene.needed_mm` of the scene they are traced in first.

    Attributes
    ----------
    traced, angled
        (n,) what is known of each.
    unknown
        (n,) bits of the layers of which it is not known whether they are too near.
    metrics, layers, sines
        (n, `kernels.N_METRICS`) as `trace_pairs` gives them, (n,) bits of the layers too near under these margins, and
        (n,) sines of the capsule angle.
    """

    def __init__(self, count: int, *, needed_mm: FloatArray) -> None:
        self.traced, self.angled = np.zeros((2, count), bool)
        self.unknown = np.full(count, ALL_LAYERS, np.uint32)
        self.metrics = np.full((count, kernels.N_METRICS), np.nan)
        self.layers, self.sines = np.zeros(count, np.uint32), np.full(count, np.nan)
        self._needed_mm = needed_mm.copy()

    def count_bytes(self) -> int:
        """Return the memory that the arrays hold."""
        return int(sum(array.nbytes for array in vars(self).values()))

    def follow(self, scene: Scene, starts_mm: FloatArray, ends_mm: FloatArray) -> None:
        """Take a scene's margins: layers are judged anew where a path comes near one whose margin changed.

        Parameters
        ----------
        scene
            The same scene, maybe under other margins.
        starts_mm, ends_mm
            (n, 3) ends of the pairs in local millimetres.
        """
        boxes = find_changed_boxes(scene, earlier_mm=self._needed_mm)
        if boxes is None:
            return
        number, near = np.arange(len(starts_mm), dtype=np.int32), np.empty(len(starts_mm), bool)
        run_out = scene.limits["run_out"].number
        kernels.find_near_boxes(starts_mm, ends_mm, number, number, run_out, boxes, near)
        changed = np.flatnonzero(scene.needed_mm != self._needed_mm)
        self.unknown[near] |= np.bitwise_or.reduce(np.uint32(1) << changed.astype(np.uint32))
        self._needed_mm = scene.needed_mm.copy()

    def clear(
        self,
        scene: Scene,
        tissue: NDArray[np.uint8],
        pairs: NDArray[np.int64],
        *,
        ends_mm: tuple[FloatArray, FloatArray],
    ) -> None:
        """Find the layers that are too near, of those of which that is not known.

        Parameters
        ----------
        scene, tissue
            Scene of the latest `follow`, and `Scene.paint_target` of the lesion.
        pairs
            Numbers of pairs.
        ends_mm
            (n, 3) starts and ends of all pairs in local millimetres.
        """
        new = pairs[self.unknown[pairs] != 0]
        asked = np.bitwise_or.reduce(self.unknown[new])
        found = clear_pairs(
            scene, tissue, ends_mm[0][new], ends_mm[1][new], comfort_mm=0.0, of_layers=int(asked)
        )[0]
        self.layers[new] = (self.layers[new] & ~asked) | found
        self.unknown[new] = 0


def judge_pairs(
    scene: Scene,
    tissue: NDArray[np.uint8],
    *,
    tips_lps_mm: FloatArray,
    progress: Progress,
    known: TracedPairs | None = None,
) -> Pairs:
    """Judge every point of the scene's skin sample against every tip.

    Parameters
    ----------
    scene, tissue
        Scene and `Scene.paint_target` of the lesion.
    tips_lps_mm
        (m, 3) candidate tips.
    progress
        What to report to.
    known
        What earlier questions about the same pairs found out; what is new is added.
    """
    points = scene.skin_sample.points_lps_mm
    count = len(points)
    entries = np.repeat(points, len(tips_lps_mm), axis=0)
    tips = np.tile(tips_lps_mm, (count, 1))
    way = tips - entries
    length = np.maximum(np.linalg.norm(way, axis=1), 1e-9)
    tilt = np.degrees(np.arcsin(np.clip(way[:, 2] / length, -1.0, 1.0)))
    cheap = _judge_geometry(scene, entries, tips, tilt_deg=tilt)
    known = known or TracedPairs(len(entries), needed_mm=scene.needed_mm)
    starts, ends = scene.to_local_mm(entries), scene.to_local_mm(tips)
    known.follow(scene, starts, ends)
    metrics, layers = _trace(scene, tissue, starts, ends, cheap=cheap, known=known, progress=progress)
    with np.errstate(invalid="ignore"):
        capsule = np.where(metrics[:, 1] >= 0, np.degrees(np.arcsin(np.clip(metrics[:, 1], 0, 1))), np.nan)
    broken = cheap | layers.astype(np.uint64) << np.uint64(FIRST_LAYER_BIT)
    limits = scene.limits
    short = metrics[:, 0] < limits["liver_before_lesion_min"].number - LENGTH_TOLERANCE_MM
    flat = (capsule < limits["capsule_angle_min"].number - ANGLE_TOLERANCE_DEG) | (metrics[:, 1] == -2.0)
    for name, bad in (
        ("liver_before_lesion_min", short),
        ("capsule_angle_min", flat),
        ("other_lesion", metrics[:, 5] > 0),
        ("unlabelled_air_max", metrics[:, 6] > limits["unlabelled_air_max"].number),
    ):
        broken |= np.where(bad, np.uint64(1 << GEOMETRY_LIMITS.index(name)), np.uint64(0))
    return Pairs(
        entries_lps_mm=entries,
        tips_lps_mm=tips,
        length_mm=length,
        tilt_deg=tilt,
        in_plane_deg=_derive_in_plane(scene, way),
        capsule_deg=capsule,
        liver_before_mm=metrics[:, 0],
        parenchyma_mm=metrics[:, 3],
        viable_mm=metrics[:, 2],
        broken=broken,
    )


def _judge_geometry(
    scene: Scene, entries: FloatArray, tips: FloatArray, *, tilt_deg: FloatArray
) -> NDArray[np.uint64]:
    limits, needle = scene.limits, scene.needle
    per_point = max(1, len(entries) // max(1, len(scene.skin_sample.points_lps_mm)))
    way = tips - entries
    length = np.linalg.norm(way, axis=1)
    run_out = tips + way * (limits["run_out"].number / np.maximum(length, 1e-9))[:, None]
    face = np.minimum(scene.measure_face_distance_mm(entries), scene.measure_face_distance_mm(run_out))
    implant = limits["entry_implant_distance"].number
    near_implant = (
        measure_implant_distance_mm(scene, scene.skin_sample.points_lps_mm, up_to_mm=implant) < implant
    )
    on_table = np.repeat(scene.skin_sample.on_table, per_point)
    bad = {
        "length_max": length > limits["length_max"].number + LENGTH_TOLERANCE_MM,
        "length_min": length < limits["length_min"].number - LENGTH_TOLERANCE_MM,
        "needle_length": length + needle.hub_allowance_mm > needle.length_mm + LENGTH_TOLERANCE_MM,
        "tilt_max": np.abs(tilt_deg) > limits["tilt_max"].number + ANGLE_TOLERANCE_DEG,
        "table_side": on_table | find_hub_under_table(scene, entries, tips),
        "entry_implant_distance": np.repeat(near_implant, per_point),
        "prior_track_distance": _near_prior(scene, entries, tips),
        "volume_face": face < scene.largest_margin_mm,
    }
    broken = np.zeros(len(entries), np.uint64)
    for name, flags in bad.items():
        broken |= np.where(flags, np.uint64(1 << GEOMETRY_LIMITS.index(name)), np.uint64(0))
    return broken


def _near_prior(scene: Scene, entries: FloatArray, tips: FloatArray) -> NDArray[np.bool_]:
    near = np.zeros(len(entries), dtype=bool)
    smallest = scene.limits["prior_track_distance"].number
    for track in scene.prior_tracks:
        near |= measure_segment_distance_mm(entries, tips, track.entry_lps_mm, track.tip_lps_mm) < smallest
    return near


def _derive_in_plane(scene: Scene, way: FloatArray) -> FloatArray:
    if isinstance(scene.gravity_lps, NotEvaluable):
        return np.full(len(way), np.nan)
    axial = way * (1.0, 1.0, 0.0)
    side = derive_side_lps(scene.gravity_lps)
    return np.asarray(np.degrees(np.arctan2(axial @ side, axial @ scene.gravity_lps)))


def _trace(
    scene: Scene,
    tissue: NDArray[np.uint8],
    starts_mm: FloatArray,
    ends_mm: FloatArray,
    *,
    cheap: NDArray[np.uint64],
    known: TracedPairs,
    progress: Progress,
) -> tuple[FloatArray, NDArray[np.uint32]]:
    traced = np.flatnonzero(np.bitwise_count(cheap) <= 1)

    def work(part: NDArray[np.int64]) -> None:
        new = part[~known.traced[part]]
        known.metrics[new] = trace_pairs(scene, tissue, starts_mm[new], ends_mm[new])
        known.traced[part] = True
        known.clear(scene, tissue, part, ends_mm=(starts_mm, ends_mm))
        # The angle is dear: not for paths that two limits close already.
        closed = np.bitwise_count(known.layers[part]) + np.bitwise_count(cheap[part]) > 1
        new = part[~closed & ~known.angled[part]]
        angles = known.metrics[new]
        add_capsule_sines(scene, tissue, starts_mm[new], ends_mm[new], metrics=angles)
        known.sines[new], known.angled[new] = angles[:, 1], True
        metrics[part], layers[part] = known.metrics[part], known.layers[part]
        metrics[part, 1] = np.where(closed, np.nan, known.sines[part])

    metrics = np.full((len(cheap), kernels.N_METRICS), np.nan)
    layers = np.zeros(len(cheap), np.uint32)
    for a in range(0, len(traced), CHUNK):
        progress.check_cancelled()
        spread_over_threads(work, np.array_split(traced[a : a + CHUNK], PARTS))
        progress.advance(min(1.0, (a + CHUNK) / max(1, len(traced))))
    return metrics, layers


def trace_pairs(
    scene: Scene, tissue: NDArray[np.uint8], starts_mm: FloatArray, ends_mm: FloatArray
) -> FloatArray:
    """Return the (n, `kernels.N_METRICS`) metrics of (n, 3) paths in local millimetres, without the angle."""
    metrics = np.zeros((len(starts_mm), kernels.N_METRICS))
    kernels.trace_paths(starts_mm, ends_mm, tissue, scene.grid.spacing_mm, metrics)
    return metrics


def add_capsule_sines(
    scene: Scene,
    tissue: NDArray[np.uint8],
    starts_mm: FloatArray,
    ends_mm: FloatArray,
    *,
    metrics: FloatArray,
) -> None:
    """Complete metrics of `trace_pairs` with the sine of the capsule angle, in place."""
    sigma = scene.limits["capsule_sigma"].number
    surface_kernels.measure_capsule_sines(starts_mm, ends_mm, tissue, scene.grid.spacing_mm, sigma, metrics)


def clear_pairs(
    scene: Scene,
    tissue: NDArray[np.uint8],
    starts_mm: FloatArray,
    ends_mm: FloatArray,
    *,
    comfort_mm: float,
    least_mm: FloatArray | None = None,
    of_layers: int = ALL_LAYERS,
) -> tuple[NDArray[np.uint32], FloatArray, NDArray[np.bool_]]:
    """Return (n,) bits of the obstacle layers that are too near, (n,) exact slack up to a comfort, and done.

    With a comfort the judgement of a path ends with the first layer found too near: then some bit is set,
    and slack is 0. It also ends where slack is found to be less than the (n,) least that matters: such a path is
    not done, its bits say nothing, and its slack is at most what is given. Stretches that the slack field vouches for
    are not measured. Without a comfort it may be asked of some layers alone, given as bits.
    """
    obstacles = scene.obstacles
    asked = (of_layers >> np.arange(len(obstacles.layers))) & 1
    layers, slack = np.zeros(len(starts_mm), np.uint32), np.full(len(starts_mm), comfort_mm)
    done = np.ones(len(starts_mm), np.bool_)
    if obstacles.layers:
        field = scene.slack
        clearance_kernels.clear_paths(
            starts_mm,
            ends_mm,
            _find_run_out_exits(scene, tissue, starts_mm, ends_mm),
            scene.grid.spacing_mm,
            scene.limits["run_out"].number,
            comfort_mm,
            obstacles.block,
            obstacles.starts,
            obstacles.voxels,
            obstacles.layer_of_voxel,
            np.where(asked, scene.needed_mm, 0.0),
            field.slack,
            field.corner_mm,
            field.edge_mm,
            UNITS_PER_MM,
            np.zeros(len(starts_mm)) if least_mm is None else least_mm,
            layers,
            slack,
            done,
        )
    return layers, slack, done


def _find_run_out_exits(
    scene: Scene, tissue: NDArray[np.uint8], starts_mm: FloatArray, ends_mm: FloatArray
) -> FloatArray:
    """Return the (n,) share of each run-out after which it first leaves the liver; -1 where it never does."""
    way = ends_mm - starts_mm
    length = np.maximum(np.linalg.norm(way, axis=1, keepdims=True), LENGTH_TOLERANCE_MM)
    exits_at = np.empty(len(way))
    run_outs = way * (scene.limits["run_out"].number / length)
    kernels.find_run_out_exits(ends_mm, run_outs, tissue, scene.grid.spacing_mm, exits_at)
    return exits_at
