"""How a lesion's volume is given through a chosen hole: one straight track, or a fan where that gains enough."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from hepatica.core.evidence import Evidence
from hepatica.core.findings import Finding, Severity
from hepatica.core.progress import SILENT, Progress
from hepatica.planning.path.cover import derive_reach_mm, measure_coverage
from hepatica.planning.path.deposits import count_wanted_stops, place_deposits
from hepatica.planning.path.describe import describe_puncture
from hepatica.planning.path.fan import fan_deposits, spread_deposits
from hepatica.planning.path.hazards import state_distances
from hepatica.planning.path.redirection import derive_redirection_deg
from hepatica.planning.path.scene import Scene
from hepatica.planning.path.search import LesionSearch, search_lesion
from hepatica.planning.path.values import Puncture


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Delivery:
    """A lesion's volume placed.

    Parameters
    ----------
    puncture
        With deposits; its lengths, clearances and findings hold for all its tracks.
    undelivered_ml, reason
        What found no place, and why.
    coverage_fraction
        Share of the target within reach of a deposit.
    """

    puncture: Puncture
    undelivered_ml: float
    reason: str
    coverage_fraction: float


def deliver_volume(puncture: Puncture, scene: Scene, *, lesion_id: str, volume_ml: float) -> Delivery:
    """Place a lesion's volume along one straight track, or on a fan where a fan gains enough.

    A fan is one more pass of the needle for every track. It is used where it gives at least
    ``fan_volume_gain_min`` more of the volume, or else where deposits of the same volume reach at least
    ``fan_coverage_gain_min`` more of the target; a finding says what it gains.

    Parameters
    ----------
    puncture
        With one straight track for this lesion, from `plan_lesion_path`.
    scene, lesion_id, volume_ml
        As for `place_deposits`.
    """
    straight, left_ml, reason = place_deposits(puncture, scene, lesion_id=lesion_id, volume_ml=volume_ml)
    plain = _to_delivery(straight, scene, lesion_id, left_ml, reason)
    if left_ml > 0:
        fan, fan_left_ml, fan_reason = fan_deposits(puncture, scene, lesion_id=lesion_id, volume_ml=volume_ml)
        made = _to_delivery(fan, scene, lesion_id, fan_left_ml, fan_reason)
        rule, gain = scene.limits["fan_volume_gain_min"], left_ml - fan_left_ml
        # The fan's reason also says why there is none.
        plain = replace(plain, reason=fan_reason or reason)
    elif _can_reach(volume_ml, plain, scene, lesion_id):
        made = _to_delivery(
            spread_deposits(puncture, scene, lesion_id=lesion_id, volume_ml=volume_ml),
            scene, lesion_id, 0.0, "",
        )  # fmt: skip
        rule = scene.limits["fan_coverage_gain_min"]
        gain = made.coverage_fraction - plain.coverage_fraction
    else:
        return _finish(plain, scene)
    if made.puncture.pivot_lps_mm is None or gain < rule.number:
        return _finish(plain, scene)
    return _finish(made, scene, finding=_tell(made, plain, rule, gain, volume_ml=volume_ml))


def search_delivery(
    scene: Scene, *, lesion_id: str, volume_ml: float, progress: Progress = SILENT
) -> LesionSearch:
    """Search the path whose deliveries give most of a volume, by fans where no straight track holds it.

    A straight track that holds the volume comes first. Where there is none, the path with most room competes
    with the path that ranks best without regard to room: what a fan gives through each decides, then the score.

    Parameters
    ----------
    scene, lesion_id, volume_ml, progress
        As for `plan_lesion_path`.
    """
    roomy = search_lesion(scene, lesion_id=lesion_id, volume_ml=volume_ml, progress=progress)
    best = roomy.path.best
    if best is None or place_deposits(best, scene, lesion_id=lesion_id, volume_ml=volume_ml)[1] == 0.0:
        return roomy
    easy = search_lesion(scene, lesion_id=lesion_id, volume_ml=0.0, progress=progress)
    choices = []
    for search in (roomy, easy):
        if search.path.best is None:
            continue
        given = deliver_volume(search.path.best, scene, lesion_id=lesion_id, volume_ml=volume_ml)
        choices.append((round(given.undelivered_ml, 6), round(_score(given.puncture), 6), search))
    return min(choices, key=lambda choice: choice[:2])[2]


def _score(puncture: Puncture) -> float:
    return sum(term.value * term.weight for term in puncture.terms)


def _can_reach(volume_ml: float, plain: Delivery, scene: Scene, lesion_id: str) -> bool:
    """Whether deposits that overlap nowhere could reach enough more of the target to be worth a fan."""
    if volume_ml <= 0:
        return False
    share = scene.limits["deposit_tissue_share"].number
    stops = count_wanted_stops(volume_ml, scene.limits)
    most_ml = stops * scene.limits["deposit_max"].number / share
    most = min(1.0, most_ml / scene.find_lesion(lesion_id)[1].volume_ml)
    return most - plain.coverage_fraction >= scene.limits["fan_coverage_gain_min"].number


def _to_delivery(puncture: Puncture, scene: Scene, lesion_id: str, left_ml: float, reason: str) -> Delivery:
    points, volumes = [], []
    for track in puncture.tracks:
        for deposit in track.deposits:
            points.append(deposit.point_lps_mm)
            volumes.append(deposit.volume_ml)
    covered = 0.0
    if points:
        reach = derive_reach_mm(max(volumes), limits=scene.limits)
        covered = measure_coverage(scene.find_lesion(lesion_id)[1], np.array(points), reach_mm=reach)
    return Delivery(puncture=puncture, undelivered_ml=left_ml, reason=reason, coverage_fraction=covered)


def _finish(delivery: Delivery, scene: Scene, *, finding: Finding | None = None) -> Delivery:
    puncture = delivery.puncture
    if puncture.pivot_lps_mm is not None or _is_shortened(puncture):
        puncture = describe_puncture(puncture, scene)
    if finding is not None:
        puncture = replace(puncture, findings=(*puncture.findings, finding))
    return replace(delivery, puncture=state_distances(puncture, scene))


def _is_shortened(puncture: Puncture) -> bool:
    depth_mm = float(np.linalg.norm(puncture.tracks[0].tip_lps_mm - puncture.entry_lps_mm))
    return abs(depth_mm - puncture.length_mm) > 1e-9


def _tell(made: Delivery, plain: Delivery, rule: Evidence, gain: float, *, volume_ml: float) -> Finding:
    puncture = made.puncture
    assert puncture.pivot_lps_mm is not None
    entry, pivot = puncture.entry_lps_mm, puncture.pivot_lps_mm
    turn = max(derive_redirection_deg(entry, pivot, track.tip_lps_mm) for track in puncture.tracks)
    return Finding.from_limit(
        rule,
        rule="path.fan",
        severity=Severity.INFO,
        message=f"A fan of {len(puncture.tracks)} tracks through one coaxial needle, turned by up to {turn:.0f}°, "
        f"gives {volume_ml - made.undelivered_ml:.2f} of {volume_ml:.2f} mL and reaches "
        f"{made.coverage_fraction:.0%} of the target; one straight track would give "
        f"{volume_ml - plain.undelivered_ml:.2f} mL and reach {plain.coverage_fraction:.0%}.",
        measured=gain,
        subject=puncture.puncture_id,
    )
