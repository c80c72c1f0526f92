"""What each limit costs, and what less of it would free: exactly, on an even sample of the skin."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from hepatica.core.evidence import Evidence, EvidenceStatus
from hepatica.core.geometry import BoolArray, FloatArray
from hepatica.core.progress import SILENT, Progress
from hepatica.core.units import MM_PER_CM
from hepatica.planning.path.clearance import measure_segment_distance_mm
from hepatica.planning.path.entry import measure_implant_distance_mm
from hepatica.planning.path.limit_values import find_limit, list_margin_steps, lower_margins
from hepatica.planning.path.pairs import (
    ANGLE_TOLERANCE_DEG,
    LENGTH_TOLERANCE_MM,
    Pairs,
    clear_pairs,
    judge_pairs,
    to_limit_names,
)
from hepatica.planning.path.scene import Scene
from hepatica.planning.path.skin import Skin, thin_skin
from hepatica.planning.path.skin_area import Area, find_neighbours, measure_area
from hepatica.planning.path.skin_map import SkinClass, SkinMap
from hepatica.planning.path.threads import spread_over_threads

SAMPLE_SPACING_MM: Final = 5.0
"""Skin one judged point stands for: fine enough to name what blocks a hand's breadth, quick enough to wait for."""
ALL_POINTS_MM: Final = 0.1
"""Far below any voxel: thinning at this edge keeps every point."""
STEPS: Final[Mapping[str, tuple[float, ...]]] = {
    "mm": (1.0, 2.0, 3.0, 5.0, 10.0, 20.0, 50.0),
    "deg": (5.0, 10.0, 15.0, 20.0, 30.0),
}
"""By how much less of a limit is looked at, beside what frees anything at all and what frees all it can."""
PARTS: Final = 16
"""Into so many parts the points are dealt; more than threads, so that none waits long."""
ABOUT_THE_PLACE: Final = frozenset({"table_side", "entry_implant_distance"})
"""Limits on the entry itself: no other tip helps."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Relaxation:
    """What less of one limit frees, all others kept.

    Parameters
    ----------
    by, value
        By how much the limit gives way, and what is then left of it, in the limit's unit.
    freed
        Skin that gains its first path.
    """

    by: float
    value: float
    freed: Area


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitCost:
    """What one hard limit costs.

    Parameters
    ----------
    limit
        Name as in `SkinBlock`.
    value, unit, status, source
        The limit itself; value None where it is a rule without a number. Of two margins of one kind (vessels by
        calibre) the larger.
    blocked_fraction
        Share of the skin from which every path breaks it, or that it alone blocks.
    alone
        Skin that it alone blocks: freed without it.
    relaxations
        Less of it, step by step; empty where it has no number or giving way frees nothing.
    through
        For structures: skin freed only by going through them, whatever the margin.
    derived
        Whether it is a structure that was derived and not reviewed.
    """

    limit: str
    value: float | None
    unit: str
    status: EvidenceStatus
    source: str
    blocked_fraction: float
    alone: Area
    relaxations: tuple[Relaxation, ...] = ()
    through: Area | None = None
    derived: bool = False


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LimitCosts:
    """What all limits cost for one lesion.

    Parameters
    ----------
    sample
        Points that were judged, each for the skin around it.
    spacing_mm
        How far apart they are.
    blocked
        (n,) which of them are blocked.
    nearest_limit
        (n,) number in ``limits`` of what stands in the way; -1 at open points.
    alone
        (n,) whether it stands there alone: then it is freed without that limit.
    limits
        Dearest first: by skin blocked alone, then by skin blocked.
    judged_paths
        Pairs judged.
    """

    sample: Skin
    spacing_mm: float
    blocked: BoolArray
    nearest_limit: NDArray[np.int64]
    alone: BoolArray
    limits: tuple[LimitCost, ...]
    judged_paths: int

    @property
    def blocked_area_cm2(self) -> float:
        """Blocked skin."""
        return float(self.sample.areas_mm2[self.blocked].sum()) / MM_PER_CM**2


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Sample:
    """Blocked points of the sample with their judged pairs: (b, m) broken bits."""

    scene: Scene
    tissue: NDArray[np.uint8]
    pairs: Pairs
    broken: NDArray[np.uint64]
    blocked: NDArray[np.int64]
    areas_mm2: FloatArray
    neighbours: NDArray[np.int64]

    def measure(self, chosen: BoolArray) -> Area:
        """Count blocked points, given as (b,)."""
        member = np.zeros(len(self.areas_mm2), dtype=bool)
        member[self.blocked[chosen]] = True
        return measure_area(member, areas_mm2=self.areas_mm2, neighbours=self.neighbours)


def derive_limit_costs(
    scene: Scene, skin_map: SkinMap, *, spacing_mm: float = SAMPLE_SPACING_MM, progress: Progress = SILENT
) -> LimitCosts:
    """Say for every limit how much skin it blocks, how much it blocks alone, and what less of it frees.

    Every blocked point of an even sample of the skin is judged against every tip of the map, exactly. A limit
    blocks a point *alone* if no path from it is allowed but some path breaks nothing else. Margins are then
    lowered step by step and those paths judged again; lengths and angles are compared with what each path needs.

    Parameters
    ----------
    scene
        Scene the map was made in.
    skin_map
        Map of one lesion in which no point is undecided.
    spacing_mm
        Distance between sample points.
    progress
        What to report to.
    """
    progress.stage(f"limits {skin_map.lesion_id}")
    skin = skin_map.skin
    sample = thin_skin(skin, edge_mm=spacing_mm, anchor=scene.grid.bounds_lps_mm.mean(axis=0))
    classes = skin_map.classes[_match(skin, sample)]
    judged = _judge(scene, skin_map, sample, np.flatnonzero(classes != SkinClass.FREE), spacing_mm, progress)
    names = to_limit_names(scene)
    total = float(sample.areas_mm2.sum())
    costs, found = [], []
    for name, bits in names.items():
        progress.check_cancelled()
        cost = _measure_cost(judged, name, bits, total_mm2=total)
        if cost is not None:
            costs.append(cost)
            found.append(name)
    order = sorted(
        range(len(costs)),
        key=lambda n: (-costs[n].alone.area_cm2, -costs[n].blocked_fraction, costs[n].limit),
    )
    outer = np.array([found[n] in ABOUT_THE_PLACE for n in order], dtype=bool)
    nearest, alone = _find_nearest_limits(judged, [names[found[n]] for n in order], outer=outer)
    blocked = np.zeros(len(sample.areas_mm2), dtype=bool)
    blocked[judged.blocked] = True
    return LimitCosts(
        sample=sample,
        spacing_mm=spacing_mm,
        blocked=blocked,
        nearest_limit=_spread(nearest, judged, fill=-1),
        alone=_spread(alone, judged, fill=0).astype(bool),
        limits=tuple(costs[n] for n in order),
        judged_paths=judged.broken.size,
    )


def _match(skin: Skin, sample: Skin) -> NDArray[np.int64]:
    """Return the number in the skin of each sample point, which is one of its points."""
    from scipy.spatial import cKDTree

    return np.asarray(cKDTree(skin.points_lps_mm).query(sample.points_lps_mm)[1], dtype=np.int64)


def _judge(
    scene: Scene,
    skin_map: SkinMap,
    sample: Skin,
    blocked: NDArray[np.int64],
    spacing_mm: float,
    progress: Progress,
) -> _Sample:
    tissue = scene.paint_target(skin_map.lesion_id)
    tips = skin_map.tips_lps_mm
    parts = np.array_split(blocked, min(PARTS, max(1, len(blocked))))
    judged: list[Pairs | None] = [None] * len(parts)

    def work(number: int) -> None:
        progress.check_cancelled()
        judged[number] = _judge_points(scene, tissue, _pick_skin(sample, parts[number]), tips)

    spread_over_threads(work, range(len(parts)))
    done = [pairs for pairs in judged if pairs is not None]
    pairs = Pairs(
        **{
            name: np.concatenate([getattr(part, name) for part in done])
            for name in Pairs.__dataclass_fields__
        }
    )
    broken = pairs.broken.reshape(len(blocked), -1)
    closed = (broken != 0).all(axis=1)
    return _Sample(
        scene=scene,
        tissue=tissue,
        pairs=pairs,
        broken=np.where(closed[:, None], broken, np.uint64(0)),
        blocked=blocked,
        areas_mm2=sample.areas_mm2,
        neighbours=find_neighbours(sample.points_lps_mm, spacing_mm=spacing_mm),
    )


def _pick_skin(skin: Skin, chosen: NDArray[np.int64]) -> Skin:
    return Skin(
        points_lps_mm=skin.points_lps_mm[chosen],
        normals_lps=skin.normals_lps[chosen],
        areas_mm2=skin.areas_mm2[chosen],
        on_table=skin.on_table[chosen],
        table_level_mm=skin.table_level_mm,
    )


def _judge_points(scene: Scene, tissue: NDArray[np.uint8], points: Skin, tips_lps_mm: FloatArray) -> Pairs:
    """Judge all pairs of some points, ordered by point as given, then by tip."""
    spacing = replace(scene.limits["skin_sample_spacing"], value=ALL_POINTS_MM)
    inner = replace(scene, skin=points, limits=scene.limits.replace(skin_sample_spacing=spacing))
    pairs = judge_pairs(inner, tissue, tips_lps_mm=tips_lps_mm, progress=SILENT)
    if len(points.areas_mm2) == 0:
        return pairs
    # Thinning sorts the points: each one's place is looked up again.
    place = _match(inner.skin_sample, points)
    return _pick(pairs, (place[:, None] * len(tips_lps_mm) + np.arange(len(tips_lps_mm))).reshape(-1))


def _spread(values: NDArray[np.int64], judged: _Sample, *, fill: int) -> NDArray[np.int64]:
    result = np.full(len(judged.areas_mm2), fill, dtype=np.int64)
    result[judged.blocked] = values
    return result


def _measure_cost(judged: _Sample, name: str, bits: np.uint64, *, total_mm2: float) -> LimitCost | None:
    broken = judged.broken
    single = (broken != 0) & ((broken & ~bits) == 0)
    alone = single.any(axis=1)
    blocked = ((broken & bits) != 0).all(axis=1) | alone if broken.shape[1] else alone
    if not blocked.any():
        return None
    limit = find_limit(judged.scene, name)
    needs = _measure_needs(judged, name, limit, single)
    relaxations: tuple[Relaxation, ...] = ()
    if needs is not None:
        relaxations = _list_relaxations(judged, limit, needs, margin=_is_layer(judged.scene, name))
    through = None
    if _is_layer(judged.scene, name) and needs is not None:
        through = judged.measure(alone & ~np.isfinite(needs))
    return LimitCost(
        limit=name,
        value=None if limit is None else limit.number,
        unit="" if limit is None else limit.unit,
        status=EvidenceStatus.DERIVED if limit is None else limit.status,
        source="" if limit is None else limit.source,
        blocked_fraction=float(judged.areas_mm2[judged.blocked[blocked]].sum()) / total_mm2,
        alone=judged.measure(alone),
        relaxations=relaxations,
        through=through,
        derived=any(layer.derived for layer in judged.scene.obstacles.layers if layer.kind.value == name),
    )


def _is_layer(scene: Scene, name: str) -> bool:
    return any(layer.kind.value == name for layer in scene.obstacles.layers)


Measure = Callable[[Pairs, Scene], FloatArray]


def _away_from_prior(pairs: Pairs, scene: Scene) -> FloatArray:
    away = np.full(len(pairs.length_mm), np.inf)
    for track in scene.prior_tracks:
        other = measure_segment_distance_mm(
            pairs.entries_lps_mm, pairs.tips_lps_mm, track.entry_lps_mm, track.tip_lps_mm
        )
        away = np.minimum(away, other)
    return away


def _away_from_implant(pairs: Pairs, scene: Scene) -> FloatArray:
    return measure_implant_distance_mm(
        scene, pairs.entries_lps_mm, up_to_mm=scene.limits["entry_implant_distance"].number
    )


_MEASURES: Final[Mapping[str, tuple[int, Measure]]] = {
    "length_max": (1, lambda pairs, scene: pairs.length_mm),
    "needle_length": (1, lambda pairs, scene: pairs.length_mm),
    "tilt_max": (1, lambda pairs, scene: np.abs(pairs.tilt_deg)),
    "length_min": (-1, lambda pairs, scene: pairs.length_mm),
    "liver_before_lesion_min": (-1, lambda pairs, scene: pairs.liver_before_mm),
    "capsule_angle_min": (-1, lambda pairs, scene: pairs.capsule_deg),
    "prior_track_distance": (-1, _away_from_prior),
    "entry_implant_distance": (-1, _away_from_implant),
}
"""What a limit bounds, and from which side: 1 is a largest value, -1 a smallest one."""


def _pick(pairs: Pairs, chosen: NDArray[np.int64]) -> Pairs:
    return Pairs(**{name: getattr(pairs, name)[chosen] for name in Pairs.__dataclass_fields__})


def _measure_needs(
    judged: _Sample, name: str, limit: Evidence | None, single: BoolArray
) -> FloatArray | None:
    """Return the (b,) least amount by which the limit must give way to open each point; inf where none does.

    None where the limit has no number to give way.
    """
    flat = np.flatnonzero(single)
    if limit is None:
        return None
    needs = np.full(single.size, np.inf)
    if _is_layer(judged.scene, name):
        needs[flat] = _measure_margin_needs(judged, name, flat, largest=limit.number)
    elif name in _MEASURES:
        side, measure = _MEASURES[name]
        found = measure(_pick(judged.pairs, flat), judged.scene)
        missing = side * (found - limit.number)
        needs[flat] = np.where(np.isfinite(missing), np.maximum(missing, 0.0), np.inf)
    else:
        return None
    return np.asarray(needs.reshape(single.shape).min(axis=1, initial=np.inf))


def _measure_margin_needs(
    judged: _Sample, name: str, flat: NDArray[np.int64], *, largest: float
) -> FloatArray:
    """Lower the margins of one kind step by step and judge the pairs again; inf where a needle would cut into it."""
    scene = judged.scene
    needs = np.full(len(flat), np.inf)
    starts = scene.to_local_mm(judged.pairs.entries_lps_mm[flat])
    ends = scene.to_local_mm(judged.pairs.tips_lps_mm[flat])
    steps = list_margin_steps(largest)
    left = np.arange(len(flat))
    # What stays closed without any margin leads through the structure: no step in between opens it.
    for by in [*steps[-1:], *steps[:-1]]:
        lower = scene.with_margins(lower_margins(scene, name, by=by))
        clear = _find_clear(lower, judged.tissue, starts[left], ends[left])
        if by == steps[-1]:
            left = left[clear]
            needs[left] = by
            continue
        needs[left[clear]] = by
        left = left[~clear]
    return needs


def _find_clear(
    scene: Scene, tissue: NDArray[np.uint8], starts_mm: FloatArray, ends_mm: FloatArray
) -> BoolArray:
    """Return which paths keep every margin; many at a time on several threads."""
    clear = np.zeros(len(starts_mm), dtype=bool)

    def work(part: slice) -> None:
        bits, _, _ = clear_pairs(scene, tissue, starts_mm[part], ends_mm[part], comfort_mm=0.0)
        clear[part] = bits == 0

    step = max(1, -(-len(starts_mm) // PARTS))
    spread_over_threads(work, [slice(a, a + step) for a in range(0, len(starts_mm), step)])
    return clear


def _list_relaxations(
    judged: _Sample, limit: Evidence | None, needs: FloatArray, *, margin: bool
) -> tuple[Relaxation, ...]:
    finite = needs[np.isfinite(needs)]
    if limit is None or len(finite) == 0:
        return ()
    value, most = limit.number, float(finite.max())
    if margin:
        steps = [by for by in list_margin_steps(value) if by <= most]
    else:
        tolerance = ANGLE_TOLERANCE_DEG if limit.unit == "deg" else LENGTH_TOLERANCE_MM
        steps = [by for by in STEPS[limit.unit] if float(finite.min()) <= by and by < most + tolerance]
        steps = [*steps, most]
    side = _MEASURES[limit.key][0] if limit.key in _MEASURES else -1
    result = []
    for by in dict.fromkeys(steps):
        freed = judged.measure(needs <= by + LENGTH_TOLERANCE_MM)
        if freed.area_cm2 > 0:
            result.append(Relaxation(by=by, value=value + side * by, freed=freed))
    return tuple(result)


def _find_nearest_limits(
    judged: _Sample, bits: list[np.uint64], *, outer: BoolArray
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return for each blocked point the limit that names it, and whether that limit closes it alone.

    If some path breaks a single limit, it is the one that most such paths break. Otherwise it is the one that most
    paths break; of equals one that is about the place and not the path (``outer``), then the dearest.
    """
    broken = judged.broken
    if not bits:
        return np.full(len(broken), -1), np.zeros(len(broken), np.int64)
    hits = np.stack([(broken & bit) != 0 for bit in bits])
    single = hits & (hits.sum(axis=0) == 1)
    alone = single.any(axis=(0, 2))
    votes = hits.sum(axis=2) * 2 + outer[:, None]
    nearest = np.where(alone, single.sum(axis=2).argmax(axis=0), votes.argmax(axis=0))
    return np.where((votes > 1).any(axis=0), nearest, -1).astype(np.int64), alone.astype(np.int64)
