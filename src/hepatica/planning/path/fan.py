"""Several tracks through one hole: the inner needle turns at the coaxial tip, inside liver, short of the lesion."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from hepatica.core.findings import Severity
from hepatica.core.geometry import FloatArray
from hepatica.planning.path.bent import measure_bent_track
from hepatica.planning.path.checks import check_measure, check_path
from hepatica.planning.path.cover import derive_reach_mm, find_reached
from hepatica.planning.path.deposits import (
    VOLUME_TOLERANCE_ML,
    count_wanted_stops,
    find_stops,
    place_deposits,
    split_volume,
)
from hepatica.planning.path.hazards import measure_penalties
from hepatica.planning.path.redirection import derive_redirection_deg
from hepatica.planning.path.scene import Scene
from hepatica.planning.path.skin import ORDER_DECIMALS
from hepatica.planning.path.targets import choose_targets
from hepatica.planning.path.values import Deposit, Puncture, TissueClass, Track

GRAIN_MM: Final = 2.0
"""Coverage is weighed on target voxels about this far apart."""
GAIN_DECIMALS: Final = 9
"""Gains that agree to this are equal; the first track and the deepest stop then come first."""
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

    Stops are taken one by one for the target volume that they newly reach, less near the capsule, large
    vessels, ducts and earlier tracks; a further track is opened where the tracks in use have no room left, or
    where it newly reaches at least ``fan_track_gain_min`` more of the target than they could. All stops keep
    the pull-back distance from each other. A fan has at most ``fan_tracks_max`` tracks. Every track keeps
    every hard limit, turns by no more than ``redirect_max`` and stays in the lesion once it is in.

    Parameters
    ----------
    puncture
        With one straight track for this lesion, from `plan_lesion_path`.
    scene, lesion_id, volume_ml
        As for `place_deposits`.

    Returns
    -------
    puncture, undelivered_ml, reason
        As for `place_deposits`; where tracks turn ``puncture.pivot_lps_mm`` is set.
    """
    straight, left_ml, reason = place_deposits(puncture, scene, lesion_id=lesion_id, volume_ml=volume_ml)
    if left_ml == 0.0:
        return straight, left_ml, reason
    pivots = list_pivots(puncture, scene)
    if not pivots:
        return straight, left_ml, f"{reason}; no place for a coaxial tip in liver before the lesion"
    best, best_left_ml, failed = straight, left_ml, []
    for pivot in pivots:
        fanned, rest_ml, broken = _fan_out(puncture, scene, pivot, lesion_id=lesion_id, volume_ml=volume_ml)
        failed += broken
        if not broken and rest_ml < best_left_ml - VOLUME_TOLERANCE_ML:
            best, best_left_ml = fanned, rest_ml
        if best_left_ml == 0.0:
            return best, 0.0, ""
    if best is straight and failed:
        return straight, left_ml, f"{reason}; a fan would break {', '.join(dict.fromkeys(failed))}"
    if best is straight:
        return straight, left_ml, f"{reason}; a fan has room for no more"
    stops = sum(len(track.deposits) for track in best.tracks)
    told = f"{len(best.tracks)} tracks through one hole have room for {stops} stops in the target, at most "
    return best, best_left_ml, told + "the set volume each (unverified)"


def spread_deposits(puncture: Puncture, scene: Scene, *, lesion_id: str, volume_ml: float) -> Puncture:
    """Place a volume that one straight track could hold on a fan, so that its deposits reach more of the target.

    Parameters
    ----------
    puncture, scene, lesion_id, volume_ml
        As for `fan_deposits`.

    Returns
    -------
    Puncture
        With a pivot where a further track reaches more, by the rule of `fan_deposits`; otherwise as it came.
    """
    pivots = list_pivots(puncture, scene)[:1]
    for pivot in pivots:
        fanned, rest_ml, broken = _fan_out(puncture, scene, pivot, lesion_id=lesion_id, volume_ml=volume_ml)
        if not broken and not rest_ml:
            return fanned
    return puncture


def _fan_out(
    puncture: Puncture, scene: Scene, pivot_lps_mm: FloatArray, *, lesion_id: str, volume_ml: float
) -> tuple[Puncture, float, list[str]]:
    """Return the fan, what found no place, and the hard limits it breaks.

    Stops taken for what they reach may leave less room than a straight track filled first, or than turned
    tracks alone; where they do, these are tried.
    """
    tip = puncture.tracks[0].tip_lps_mm
    first = find_stops(puncture.entry_lps_mm, tip, scene, lesion_id=lesion_id)
    options = [FanTrack(tip_lps_mm=tip, stops_lps_mm=np.reshape(first, (-1, 3)))]
    options += list_fan_tracks(puncture, scene, lesion_id=lesion_id, pivot_lps_mm=pivot_lps_mm)
    wanted = count_wanted_stops(volume_ml, scene.limits)
    chosen = [choose_stops(options, scene, lesion_id=lesion_id, wanted=wanted)]
    if _count(chosen[0]) < wanted:
        chosen.append(choose_stops(options, scene, lesion_id=lesion_id, wanted=wanted, fill=len(first)))
        if len(options) > 1:
            chosen.append(choose_stops(options[1:], scene, lesion_id=lesion_id, wanted=wanted))
    tracks = max(chosen, key=_count)
    entry = puncture.entry_lps_mm
    depths = [
        float(np.linalg.norm(pivot_lps_mm - entry) + np.linalg.norm(track.tip_lps_mm - pivot_lps_mm))
        for track in tracks
    ]
    # Deepest first: no needle passes later where fluid was left before.
    tracks = [tracks[n] for n in np.argsort(-np.round(depths, ORDER_DECIMALS), kind="stable")]
    placed, left_ml = deal_volume(tracks, scene, lesion_id=lesion_id, volume_ml=volume_ml)
    turned = any(not _lies_on(puncture, track) for track in placed)
    fanned = replace(puncture, tracks=placed, pivot_lps_mm=pivot_lps_mm if turned else None)
    broken = [f.rule for f in check_path(fanned, scene) if f.severity is Severity.ERROR]
    return fanned, left_ml, list(dict.fromkeys(broken))


def _lies_on(puncture: Puncture, track: Track) -> bool:
    turn = derive_redirection_deg(puncture.entry_lps_mm, track.tip_lps_mm, puncture.tracks[0].tip_lps_mm)
    at_tip = np.allclose(track.tip_lps_mm, puncture.tracks[0].tip_lps_mm)
    return bool(at_tip) or turn <= STRAIGHT_DEG


def list_pivots(puncture: Puncture, scene: Scene) -> list[FloatArray]:
    """Return where the coaxial tip may stop: in liver, a set distance short of the lesion and less deep.

    Parameters
    ----------
    puncture
        With the runs of its straight way.
    scene
        Scene; ``coaxial_standoff`` and ``pivot_step`` of its limits are used.

    Returns
    -------
    list of ndarray
        (3,) points on the straight way, the deepest first; empty if none lies in the liver right before the
        lesion.
    """
    target = next((run for run in puncture.runs if run.tissue is TissueClass.TARGET), None)
    if target is None:
        return []
    deepest = target.from_mm - scene.limits["coaxial_standoff"].number
    run = next(
        (r for r in puncture.runs if r.tissue is TissueClass.LIVER and r.from_mm < deepest < r.to_mm), None
    )
    if run is None:
        return []
    way = puncture.tracks[0].tip_lps_mm - puncture.entry_lps_mm
    way = way / float(np.linalg.norm(way))
    depths = np.arange(deepest, run.from_mm, -scene.limits["pivot_step"].number)
    return [np.asarray(puncture.entry_lps_mm + way * depth) for depth in depths]


def list_fan_tracks(
    puncture: Puncture, scene: Scene, *, lesion_id: str, pivot_lps_mm: FloatArray
) -> list[FanTrack]:
    """Return the tracks from a pivot that keep every hard limit and the redirection limit, away from the scan's end."""
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
        # What lies beyond the scan cannot be judged: no error of a path, but never a first choice either.
        if measure.face_distance_mm < scene.largest_margin_mm:
            continue
        if any(finding.severity is Severity.ERROR for finding in check_measure(measure, scene)):
            continue
        stops = np.reshape(find_stops(pivot_lps_mm, tip, scene, lesion_id=lesion_id), (-1, 3))
        result.append(FanTrack(tip_lps_mm=tip, stops_lps_mm=stops))
    return result


def _count(tracks: Sequence[FanTrack]) -> int:
    return sum(len(track.stops_lps_mm) for track in tracks)


def choose_stops(
    options: Sequence[FanTrack], scene: Scene, *, lesion_id: str, wanted: int, fill: int = 0
) -> list[FanTrack]:
    """Choose stops on few tracks for what they newly reach.

    Parameters
    ----------
    options
        Tracks with the stops they offer; the first is in use from the start.
    scene, lesion_id
        Scene and lesion.
    wanted
        How many stops are needed.
    fill
        How many stops of the first track are taken before any is chosen.

    Returns
    -------
    list of FanTrack
        Tracks with stops in use, in the order of ``options``; each only as deep as its deepest stop.
    """
    stops = np.concatenate([option.stops_lps_mm for option in options])
    track_of = np.repeat(np.arange(len(options)), [len(option.stops_lps_mm) for option in options])
    points = _sample_target(scene, lesion_id)
    reach = derive_reach_mm(scene.limits["deposit_max"].number, limits=scene.limits)
    reaches = np.array([find_reached(points, stop, reach_mm=reach) for stop in stops])
    favour = 1.0 - np.minimum(measure_penalties(stops, scene), 1.0)
    spacing = scene.limits["deposit_spacing"].number - VOLUME_TOLERANCE_ML
    opening = scene.limits["fan_track_gain_min"].number
    most_tracks = int(scene.limits["fan_tracks_max"].number)
    covered, free = np.zeros(len(points), bool), np.ones(len(stops), bool)
    opened: set[int] = {0}
    used: list[int] = []
    while len(used) < wanted and free.any():
        gain = np.where(free, (reaches & ~covered).mean(axis=1) * favour, -np.inf)
        in_use = np.isin(track_of, list(opened))
        if len({int(track_of[n]) for n in used}) >= most_tracks:
            gain = np.where(np.isin(track_of, track_of[used]), gain, -np.inf)
        known = np.where(in_use, gain, -np.inf)
        best = int(np.argmax(np.round(known, GAIN_DECIMALS)))
        other = int(np.argmax(np.round(gain, GAIN_DECIMALS)))
        if len(used) < fill:
            best = len(used)
        elif not np.isfinite(gain).any():
            break
        elif not np.isfinite(known[best]) or gain[other] >= known[best] + opening:
            best = other
        used.append(best)
        opened.add(int(track_of[best]))
        covered |= reaches[best]
        free &= np.linalg.norm(stops - stops[best], axis=1) >= spacing
    chosen = []
    for number in range(len(options)):
        mine = sorted(n for n in used if track_of[n] == number)
        if mine:
            chosen.append(FanTrack(tip_lps_mm=stops[mine[0]], stops_lps_mm=stops[mine]))
    return chosen


def _sample_target(scene: Scene, lesion_id: str) -> FloatArray:
    target = scene.find_lesion(lesion_id)[1]
    step = np.maximum(1, np.round(GRAIN_MM / scene.grid.spacing_mm)).astype(int)
    index: NDArray[np.int64] = np.argwhere(target.crop)
    index = index[(index % step == 0).all(axis=1)]
    return scene.grid.to_lps_mm(index + np.array(target.start_ijk))


def deal_volume(
    tracks: Sequence[FanTrack], scene: Scene, *, lesion_id: str, volume_ml: float
) -> tuple[tuple[Track, ...], float]:
    """Share the volume equally over as many stops as it needs, track by track, deepest first.

    Parameters
    ----------
    tracks
        From `choose_stops`.
    scene, lesion_id, volume_ml
        As for `fan_deposits`.

    Returns
    -------
    tracks, undelivered_ml
        With deposits; what found no place.
    """
    largest = scene.limits["deposit_max"].number
    used = min(count_wanted_stops(volume_ml, scene.limits), _count(tracks))
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
