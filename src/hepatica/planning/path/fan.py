"""Several tracks through one hole: the inner needle turns at the coaxial tip, inside liver, short of the lesion."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from hepatica.core.findings import Severity
from hepatica.core.geometry import BoolArray, FloatArray
from hepatica.planning.path.bent import derive_redirection_deg, measure_bent_track
from hepatica.planning.path.checks import check_measure, check_path
from hepatica.planning.path.cover import derive_reach_mm, find_reached
from hepatica.planning.path.deposits import (
    VOLUME_TOLERANCE_ML,
    count_wanted_stops,
    find_stops,
    place_deposits,
    split_volume,
)
from hepatica.planning.path.scene import Scene
from hepatica.planning.path.targets import choose_targets
from hepatica.planning.path.values import Deposit, Puncture, TissueClass, Track

GRAIN_MM: Final = 2.0
"""Coverage is weighed on target voxels about this far apart."""
STRAIGHT_DEG: Final = 1e-6
"""A track that turns by less is the straight one."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FanTrack:
    """A track that keeps every limit, with the stops it offers, deepest first."""

    tip_lps_mm: FloatArray
    stops_lps_mm: FloatArray


def fan_deposits(
    puncture: Puncture, scene: Scene, *, lesion_id: str, volume_ml: float
) -> tuple[Puncture, float, str]:
    """Place a lesion's volume, on a fan of tracks where one straight track has too little room.

    The first track is the straight one. Each further one is taken for the viable volume that its stops newly
    reach; its stops keep the pull-back distance from all others. Every track keeps every hard limit, turns by
    no more than ``redirect_max`` and stays in the lesion once it is in.

    Parameters
    ----------
    puncture
        With one straight track for this lesion, from `plan_lesion_path`.
    scene, lesion_id, volume_ml
        As for `place_deposits`.

    Returns
    -------
    puncture, undelivered_ml, reason
        As for `place_deposits`; with more than one track ``puncture.pivot_lps_mm`` is set.
    """
    straight, left_ml, reason = place_deposits(puncture, scene, lesion_id=lesion_id, volume_ml=volume_ml)
    if left_ml == 0.0:
        return straight, left_ml, reason
    pivot = find_pivot(puncture, scene)
    if pivot is None:
        return straight, left_ml, f"{reason}; no place for a coaxial tip in liver before the lesion"
    first = find_stops(puncture.entry_lps_mm, puncture.tracks[0].tip_lps_mm, scene, lesion_id=lesion_id)
    tracks = [FanTrack(tip_lps_mm=puncture.tracks[0].tip_lps_mm, stops_lps_mm=np.array(first))]
    options = list_fan_tracks(puncture, scene, lesion_id=lesion_id, pivot_lps_mm=pivot)
    wanted = count_wanted_stops(volume_ml, scene.limits)
    tracks += _choose_tracks(options, tracks[0], scene, lesion_id=lesion_id, wanted=wanted - len(first))
    placed, left_ml = _deal(tracks, scene, lesion_id=lesion_id, volume_ml=volume_ml)
    fanned = replace(puncture, tracks=placed, pivot_lps_mm=pivot if len(placed) > 1 else None)
    errors = [f.rule for f in check_path(fanned, scene) if f.severity is Severity.ERROR]
    if errors:
        return straight, volume_ml - _sum_ml(straight), f"{reason}; a fan would break {', '.join(errors)}"
    if left_ml:
        reason = (
            f"{len(placed)} tracks through one hole have room for {sum(len(t.stops_lps_mm) for t in tracks)}"
        )
        reason += " stops in the target, at most the set volume each (unverified)"
        return fanned, left_ml, reason
    return fanned, 0.0, ""


def find_pivot(puncture: Puncture, scene: Scene) -> FloatArray | None:
    """Return where the coaxial tip stops: in liver, a set distance short of the lesion; None if not in liver."""
    target = next((run for run in puncture.runs if run.tissue is TissueClass.TARGET), None)
    if target is None:
        return None
    depth = target.from_mm - scene.limits["coaxial_standoff"].number
    inside = any(r.tissue is TissueClass.LIVER and r.from_mm < depth < r.to_mm for r in puncture.runs)
    if not inside:
        return None
    way = puncture.tracks[0].tip_lps_mm - puncture.entry_lps_mm
    return np.asarray(puncture.entry_lps_mm + way * (depth / float(np.linalg.norm(way))))


def list_fan_tracks(
    puncture: Puncture, scene: Scene, *, lesion_id: str, pivot_lps_mm: FloatArray
) -> list[FanTrack]:
    """Return the tracks from a pivot that keep every hard limit and the redirection limit."""
    tissue = scene.paint_target(lesion_id)
    tips = choose_targets(scene.find_lesion(lesion_id)[1], limits=scene.limits, outer=True)
    result = []
    for tip in tips:
        turn = derive_redirection_deg(puncture.entry_lps_mm, pivot_lps_mm, tip)
        if not STRAIGHT_DEG < turn <= scene.limits["redirect_max"].number:
            continue
        measure = measure_bent_track(
            scene,
            tissue,
            lesion_id=lesion_id,
            entry_lps_mm=puncture.entry_lps_mm,
            pivot_lps_mm=pivot_lps_mm,
            tip_lps_mm=tip,
        )
        if sum(run.tissue is TissueClass.TARGET for run in measure.runs) != 1:
            continue
        if any(finding.severity is Severity.ERROR for finding in check_measure(measure, scene)):
            continue
        stops = np.reshape(find_stops(pivot_lps_mm, tip, scene, lesion_id=lesion_id), (-1, 3))
        result.append(FanTrack(tip_lps_mm=tip, stops_lps_mm=stops))
    return result


def _choose_tracks(
    options: list[FanTrack], first: FanTrack, scene: Scene, *, lesion_id: str, wanted: int
) -> list[FanTrack]:
    """Take tracks one by one for the target volume their stops newly reach, until there are stops enough."""
    points = _sample_target(scene, lesion_id)
    reach = derive_reach_mm(scene.limits["deposit_max"].number, limits=scene.limits)
    spacing = scene.limits["deposit_spacing"].number
    covered = find_reached(points, first.stops_lps_mm, reach_mm=reach)
    used, chosen = first.stops_lps_mm, []
    while wanted > 0:
        best, best_gain = None, 0.0
        for option in options:
            stops = option.stops_lps_mm[_find_apart(option.stops_lps_mm, used, spacing)][:wanted]
            gain = float((find_reached(points, stops, reach_mm=reach) & ~covered).sum()) + 1e-3 * len(stops)
            if len(stops) and gain > best_gain:
                best, best_gain = FanTrack(tip_lps_mm=option.tip_lps_mm, stops_lps_mm=stops), gain
        if best is None:
            break
        # The needle goes only as deep as its deepest stop.
        best = replace(best, tip_lps_mm=best.stops_lps_mm[0])
        chosen.append(best)
        covered |= find_reached(points, best.stops_lps_mm, reach_mm=reach)
        used = np.concatenate([used, best.stops_lps_mm])
        wanted -= len(best.stops_lps_mm)
    return chosen


def _find_apart(stops: FloatArray, used: FloatArray, spacing_mm: float) -> BoolArray:
    away = np.linalg.norm(stops[:, None] - used[None], axis=-1)
    return np.asarray((away >= spacing_mm - VOLUME_TOLERANCE_ML).all(axis=1))


def _sample_target(scene: Scene, lesion_id: str) -> FloatArray:
    target = scene.find_lesion(lesion_id)[1]
    step = np.maximum(1, np.round(GRAIN_MM / scene.grid.spacing_mm)).astype(int)
    index: NDArray[np.int64] = np.argwhere(target.crop)
    index = index[(index % step == 0).all(axis=1)]
    return scene.grid.to_lps_mm(index + np.array(target.start_ijk))


def _deal(
    tracks: list[FanTrack], scene: Scene, *, lesion_id: str, volume_ml: float
) -> tuple[tuple[Track, ...], float]:
    """Share the volume equally over as many stops as it needs, track by track, deepest first."""
    largest = scene.limits["deposit_max"].number
    used = min(count_wanted_stops(volume_ml, scene.limits), sum(len(t.stops_lps_mm) for t in tracks))
    shares = iter(split_volume(min(volume_ml, largest * used), used))
    result, given = [], []
    for track in tracks:
        deposits = tuple(
            Deposit(point_lps_mm=point, volume_ml=share, lesion_id=lesion_id, order=order)
            for order, (point, share) in enumerate(zip(track.stops_lps_mm, shares, strict=False), start=1)
        )
        given += [deposit.volume_ml for deposit in deposits]
        if deposits:
            result.append(Track(tip_lps_mm=track.tip_lps_mm, deposits=deposits))
    left = volume_ml - math.fsum(given)
    return tuple(result), left if left > VOLUME_TOLERANCE_ML else 0.0


def _sum_ml(puncture: Puncture) -> float:
    return math.fsum(deposit.volume_ml for track in puncture.tracks for deposit in track.deposits)
