"""One coaxial needle for several lesions: it ends in liver short of all of them, inner needles turn from there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from hepatica.core.findings import Finding, Severity
from hepatica.core.geometry import FloatArray
from hepatica.core.progress import SILENT, Progress
from hepatica.planning.path.checks import check_path
from hepatica.planning.path.deposits import count_wanted_stops, find_stops
from hepatica.planning.path.describe import describe_puncture, find_track_lesion
from hepatica.planning.path.fan import FanTrack, choose_stops, deal_volume, list_fan_tracks, list_pivots
from hepatica.planning.path.hazards import state_distances
from hepatica.planning.path.redirection import derive_redirection_deg
from hepatica.planning.path.scene import Scene
from hepatica.planning.path.share import measure_score
from hepatica.planning.path.skin import ORDER_DECIMALS
from hepatica.planning.path.values import Puncture, Track


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Trunk:
    """A coaxial needle that serves several lesions in full.

    Parameters
    ----------
    puncture
        With pivot and tracks; the first lesion is the one it was aimed at.
    loss
        By how much the lesion that loses most ranks worse than by its own best path.
    """

    puncture: Puncture
    loss: float


def join_on_coaxial(
    scene: Scene,
    *,
    best: Mapping[str, Puncture],
    volumes_ml: Mapping[str, float],
    own_scores: Mapping[str, float],
    progress: Progress = SILENT,
) -> tuple[Trunk, ...]:
    """Find coaxial needles that each serve several lesions, with one hole in skin and capsule.

    The needle follows one lesion's straight path and stops in liver short of it. Other lesions are reached by
    turning there. A lesion joins only where its whole volume finds room, every track keeps every hard limit,
    and its path ranks worse than its own best by at most ``share_loss_max``. The needle that serves most
    lesions is taken first, among equals the one with the smallest loss, then the one aimed at the earlier
    lesion with the deeper tip. Each lesion gets a fresh inner needle.

    Parameters
    ----------
    scene
        Scene.
    best
        Straight path by lesion id.
    volumes_ml
        Planned volume by lesion id.
    own_scores
        Score of each lesion's own best path, before it shared anything.
    progress
        What to report to.
    """
    left = [lesion_id for lesion_id in best if volumes_ml.get(lesion_id, 0.0) > 0.0]
    found: list[Trunk] = []
    while len(left) > 1:
        progress.check_cancelled()
        wanted = {lesion_id: volumes_ml[lesion_id] for lesion_id in left}
        trunks = [
            trunk
            for lesion_id in left
            for pivot in list_pivots(best[lesion_id], scene)
            if (trunk := _try_pivot(best[lesion_id], scene, pivot, volumes_ml=wanted, own=own_scores))
            is not None
        ]
        if not trunks:
            break
        chosen = min(trunks, key=lambda trunk: (-len(trunk.puncture.lesion_ids), round(trunk.loss, 6)))
        found.append(chosen)
        left = [lesion_id for lesion_id in left if lesion_id not in chosen.puncture.lesion_ids]
    return tuple(found)


def _try_pivot(
    straight: Puncture,
    scene: Scene,
    pivot_lps_mm: FloatArray,
    *,
    volumes_ml: Mapping[str, float],
    own: Mapping[str, float],
) -> Trunk | None:
    """Return the coaxial needle with that tip for all lesions it can serve; None where that is one at most."""
    aimed = straight.lesion_ids[0]
    tracks: list[Track] = []
    losses: list[float] = []
    for lesion_id in (aimed, *(other for other in volumes_ml if other != aimed)):
        placed = _place(straight, scene, pivot_lps_mm, lesion_id=lesion_id, volume_ml=volumes_ml[lesion_id])
        if placed:
            only = replace(straight, lesion_ids=(lesion_id,), tracks=placed, pivot_lps_mm=pivot_lps_mm)
            loss = measure_score(describe_puncture(only, scene)) - own[lesion_id]
            broken = any(f.severity is Severity.ERROR for f in check_path(only, scene))
            if not broken and loss <= scene.limits["share_loss_max"].number:
                tracks += placed
                losses.append(loss)
                continue
        if lesion_id == aimed:
            return None
    if len(losses) < 2:
        return None
    puncture = replace(straight, tracks=tuple(tracks), pivot_lps_mm=pivot_lps_mm)
    lesions = tuple(dict.fromkeys(find_track_lesion(puncture, track) for track in tracks))
    return Trunk(puncture=replace(puncture, lesion_ids=lesions), loss=max(losses))


def _place(
    straight: Puncture, scene: Scene, pivot_lps_mm: FloatArray, *, lesion_id: str, volume_ml: float
) -> tuple[Track, ...]:
    """Return tracks from a pivot that hold a lesion's whole volume; none where there is no room."""
    options = list_fan_tracks(straight, scene, lesion_id=lesion_id, pivot_lps_mm=pivot_lps_mm)
    wanted = count_wanted_stops(volume_ml, scene.limits)
    entry, tip = straight.entry_lps_mm, straight.tracks[0].tip_lps_mm
    # The track with most room first, among equals the one that turns least: it is in use from the start.
    options.sort(
        key=lambda option: (
            -min(len(option.stops_lps_mm), wanted),
            round(derive_redirection_deg(entry, pivot_lps_mm, option.tip_lps_mm), 6),
        )
    )
    if lesion_id == straight.lesion_ids[0]:
        stops = find_stops(entry, tip, scene, lesion_id=lesion_id)
        options.insert(0, FanTrack(tip_lps_mm=tip, stops_lps_mm=np.reshape(stops, (-1, 3))))
    if not options:
        return ()
    # One track for each lesion as far as it holds the volume: every track is one more pass.
    room = min(wanted, len(options[0].stops_lps_mm))
    chosen = choose_stops(options, scene, lesion_id=lesion_id, wanted=wanted, fill=room)
    depths = [float(np.linalg.norm(track.tip_lps_mm - pivot_lps_mm)) for track in chosen]
    chosen = [chosen[n] for n in np.argsort(-np.round(depths, ORDER_DECIMALS), kind="stable")]
    placed, left_ml = deal_volume(chosen, scene, lesion_id=lesion_id, volume_ml=volume_ml)
    return () if left_ml else placed


def finish_trunk(trunk: Trunk, scene: Scene, *, name: str) -> Puncture:
    """Return a trunk's puncture under its name, measured over all tracks, with what was found about it.

    Parameters
    ----------
    trunk, scene
        From `join_on_coaxial`.
    name
        Puncture id.
    """
    puncture = describe_puncture(replace(trunk.puncture, puncture_id=name), scene)
    lesions = puncture.lesion_ids
    told = Finding.from_limit(
        scene.limits["share_loss_max"],
        rule="path.shared_coaxial",
        severity=Severity.INFO,
        message=f"{', '.join(lesions)} are reached through one coaxial needle, each with a fresh inner needle: "
        f"one hole in skin and capsule instead of {len(lesions)}.",
        measured=trunk.loss,
        subject=name,
    )
    return state_distances(replace(puncture, findings=(*puncture.findings, told)), scene)
