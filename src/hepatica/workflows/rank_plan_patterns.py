"""Rank the deposit patterns of a plan: its own stops beside what its needles would also allow."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from hepatica.anatomy.structures import Anatomy
from hepatica.core.errors import NotSetError
from hepatica.core.evidence import Evidence
from hepatica.core.findings import NotEvaluable
from hepatica.core.geometry import FloatArray
from hepatica.core.progress import Progress
from hepatica.lesions.lesion import Lesion
from hepatica.planning.dose.values import Allocation, Injection
from hepatica.planning.path.scene import read_path_limits
from hepatica.planning.path.values import Puncture
from hepatica.planning.plan import LesionPatterns
from hepatica.planning.spread.patterns import CandidateNeedle, DepositPattern, Layout
from hepatica.planning.spread.rank_patterns import PatternRanking, rank_patterns
from hepatica.planning.spread.simulate import draw_members
from hepatica.planning.spread.tissue_map import derive_tissue_classes
from hepatica.workflows.read_case import Case
from hepatica.workflows.spread_request import find_rate, is_cirrhotic
from hepatica.workflows.spread_scenes import (
    TRACE_STEP_MM,
    PlannedDeposit,
    lay_grid,
    list_deposits,
    list_viable,
    measure_liver_depths,
    refuse_needle,
    to_site,
)

DRAWS: Final = 100
"""Enough for a 5th and a 95th percentile; the budget of one draw costs milliseconds."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Surroundings:
    """What is the same for all lesions of a plan."""

    lesions: Sequence[Lesion]
    anatomy: Anatomy
    rate: Evidence
    cirrhosis: bool | None
    seed: int


def rank_plan_patterns(
    case: Case,
    allocation: Allocation,
    *,
    punctures: Sequence[Puncture],
    lesions: Sequence[Lesion],
    anatomy: Anatomy,
    progress: Progress,
) -> tuple[LesionPatterns, ...]:
    """Rank for every injected lesion the plan's own pattern, and others along the needles of its punctures.

    All are ranked by the algebraic budget: no pressure field is solved, so this takes under a second a lesion.

    Parameters
    ----------
    case
        What was read: protocol, patient facts, seed.
    allocation
        Amounts.
    punctures
        First choices, then backups.
    lesions
        All lesions.
    anatomy
        Structures of the planning scan.
    progress
        Told of stages; may cancel.
    """
    wanted = [item for item in allocation.injections if item.volume_ml > 0]
    if not wanted:
        return ()
    progress.stage("Ranking deposit patterns")
    try:
        rate = find_rate(case.request.rate_request, case.protocol)
    except NotSetError:
        why = NotEvaluable(reason="no rate of injection is set: state one with --rate or in the protocol")
        return tuple(
            LesionPatterns(lesion_id=item.lesion_id, planned=None, ranking=why, rate=why) for item in wanted
        )
    around = _Surroundings(
        lesions=lesions,
        anatomy=anatomy,
        rate=rate,
        cirrhosis=is_cirrhotic(case.facts),
        seed=case.request.seed,
    )
    by_id = {lesion.lesion_id: lesion for lesion in lesions}
    found = []
    for number, item in enumerate(wanted):
        progress.check_cancelled()
        found.append(_rank_lesion(by_id[item.lesion_id], item, punctures, around, number=number))
    return tuple(found)


def _rank_lesion(
    lesion: Lesion, injection: Injection, punctures: Sequence[Puncture], around: _Surroundings, *, number: int
) -> LesionPatterns:
    """Rank one lesion's patterns: the first puncture that serves it is the plan's choice, the others alternatives."""
    serving = [puncture for puncture in punctures if lesion.lesion_id in puncture.lesion_ids]
    deposits = [list_deposits([puncture], lesion_id=lesion.lesion_id) for puncture in serving]
    given = [(puncture, own) for puncture, own in zip(serving, deposits, strict=True) if own]
    if not given:
        return _refuse(lesion, around, "no deposit above 0 mL is planned for this lesion")
    reason = refuse_needle([one for _, own in given for one in own])
    if not reason and any(len(one.needle.hole_offsets_mm) > 1 for _, own in given for one in own):
        reason = "patterns are ranked for one opening at the tip: this needle has side holes"
    if reason:
        return _refuse(lesion, around, reason)
    chosen = given[0][1]
    grid, _ = lay_grid(lesion, [one for _, own in given for one in own], around.anatomy.grid)
    classes = derive_tissue_classes(
        around.anatomy,
        tumours={one.lesion_id: one.mask for one in around.lesions},
        viable=list_viable(around.lesions),
        grid=grid,
        cirrhosis=bool(around.cirrhosis),
    )
    planned = _to_planned(chosen, around)
    ranking: PatternRanking | NotEvaluable = rank_patterns(
        grid,
        classes,
        [_to_candidate(own, lesion) for _, own in given],
        volume_ml=injection.volume_ml - injection.undelivered_ml,
        rate_ml_per_min=around.rate.number,
        draws=draw_members(DRAWS, deposits=1, rng=np.random.default_rng((around.seed, number))),
        planned=planned,
    )
    return LesionPatterns(lesion_id=lesion.lesion_id, planned=planned, ranking=ranking, rate=around.rate)


def _refuse(lesion: Lesion, around: _Surroundings, reason: str) -> LesionPatterns:
    return LesionPatterns(
        lesion_id=lesion.lesion_id, planned=None, ranking=NotEvaluable(reason=reason), rate=around.rate
    )


def _to_planned(deposits: Sequence[PlannedDeposit], around: _Surroundings) -> DepositPattern:
    """Write the plan's own deposits as a pattern; its volume is the mean where they differ."""
    depths = measure_liver_depths(deposits, around.lesions, around.anatomy)
    sites = tuple(
        to_site(one, rate=around.rate, liver_depth_mm=depth)
        for one, depth in zip(deposits, depths, strict=True)
    )
    tips = [np.asarray(site.tip_lps_mm, dtype=np.float64) for site in sites]
    gaps = [float(np.linalg.norm(a - b)) for n, a in enumerate(tips) for b in tips[:n]]
    tracks = {one.track for one in deposits}
    layout = Layout.FAN if len(tracks) > 1 else Layout.PULL_BACK if len(sites) > 1 else Layout.SINGLE
    return DepositPattern(
        needle=deposits[0].puncture_id,
        layout=layout,
        volume_ml=sum(site.volume_ml for site in sites) / len(sites),
        spacing_mm=min(gaps, default=0.0),
        sites=sites,
    )


def _to_candidate(deposits: Sequence[PlannedDeposit], lesion: Lesion) -> CandidateNeedle:
    """Write the needle of a puncture's first track as one that other patterns may use."""
    first = deposits[0]
    tip = np.asarray(first.deposit.point_lps_mm, dtype=np.float64)
    return CandidateNeedle(
        name=first.puncture_id,
        entry_lps_mm=first.entry_lps_mm,
        tip_lps_mm=tip,
        needle_radius_mm=0.5 * first.needle.outer_diameter_mm,
        room_mm=_measure_room_mm(tip, first.entry_lps_mm, lesion),
        fan_tips_lps_mm=tuple(
            np.asarray(one.deposit.point_lps_mm, dtype=np.float64)
            for number, one in enumerate(deposits)
            if one.track not in {before.track for before in deposits[:number]} and number > 0
        ),
    )


def _measure_room_mm(tip: FloatArray, entry: FloatArray, lesion: Lesion) -> float:
    """How far the tip may be pulled back: to where the lesion ends, less the distance a tip keeps from its edge."""
    length = float(np.linalg.norm(entry - tip))
    depth = np.arange(0.0, length, TRACE_STEP_MM)
    points = tip + depth[:, None] * (entry - tip) / length
    grid, box = lesion.mask.grid, lesion.mask.box
    index = np.rint(grid.to_index(points)).astype(np.int64) - [side.start for side in box]
    within = ((index >= 0) & (index < lesion.mask.crop.shape)).all(axis=1)
    inside = np.zeros(depth.size, dtype=bool)
    inside[within] = lesion.mask.crop[tuple(index[within].T)]
    out = np.flatnonzero(~inside)
    last = float(depth[out[0]]) if out.size else length
    return max(last - read_path_limits()["tip_edge_distance"].number, 0.0)
