"""A puncture with all its tracks, measured again: what is printed of it holds for its worst track."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from hepatica.core.findings import NotEvaluable
from hepatica.planning.path.angles import derive_craniocaudal_angle_deg, derive_in_plane_angle_deg
from hepatica.planning.path.bent import measure_any_track
from hepatica.planning.path.checks import check_measure
from hepatica.planning.path.clearance import measure_slack_mm
from hepatica.planning.path.measure import TrackMeasure
from hepatica.planning.path.scene import Scene
from hepatica.planning.path.search import to_puncture
from hepatica.planning.path.values import Puncture, Track


def describe_puncture(puncture: Puncture, scene: Scene) -> Puncture:
    """Measure every track of a puncture from scratch and state the worst of them.

    Length is that of the longest track; liver before the lesion the least; clearances and slack the smallest;
    the angles are those of the coaxial needle, or of the first track where there is none. Every track carries
    its own runs; the puncture's are those of the first.

    Parameters
    ----------
    puncture
        With at least one track.
    scene
        Scene.

    Returns
    -------
    Puncture
        With lengths, angles, clearances, ranking terms, runs and findings of these tracks; id, lesions,
        needle, pivot, deposits and risk are kept.
    """
    measures = [_measure(puncture, track, scene) for track in puncture.tracks]
    name = puncture.puncture_id
    told = to_puncture(scene, _find_worst(measures), name=name, slack_mm=_measure_slack(puncture, scene))
    head = puncture.tracks[0].tip_lps_mm if puncture.pivot_lps_mm is None else puncture.pivot_lps_mm
    entry = puncture.entry_lps_mm
    findings = {(f.rule, f.message): f for f in told.findings}
    for measure in measures:
        for finding in check_measure(measure, scene):
            # What holds for several tracks is said once, of the worst of them.
            findings.setdefault((finding.rule, finding.message), replace(finding, subject=name))
    return replace(
        told,
        lesion_ids=puncture.lesion_ids,
        in_plane_angle_deg=derive_in_plane_angle_deg(entry, head, gravity_lps=scene.gravity_lps),
        craniocaudal_angle_deg=derive_craniocaudal_angle_deg(entry, head),
        runs=measures[0].runs,
        tracks=tuple(
            replace(track, runs=measure.runs)
            for track, measure in zip(puncture.tracks, measures, strict=True)
        ),
        needle=puncture.needle,
        findings=tuple(findings.values()),
        risk=puncture.risk,
        pivot_lps_mm=puncture.pivot_lps_mm,
        shares_skin_with=puncture.shares_skin_with,
    )


def find_track_lesion(puncture: Puncture, track: Track) -> str:
    """Return the lesion that a track is for."""
    return track.deposits[0].lesion_id if track.deposits else puncture.lesion_ids[0]


def _measure(puncture: Puncture, track: Track, scene: Scene) -> TrackMeasure:
    lesion_id = find_track_lesion(puncture, track)
    return measure_any_track(
        scene,
        scene.paint_target(lesion_id),
        lesion_id=lesion_id,
        ends_lps_mm=(puncture.entry_lps_mm, track.tip_lps_mm),
        pivot_lps_mm=puncture.pivot_lps_mm,
    )


def _find_worst(measures: Sequence[TrackMeasure]) -> TrackMeasure:
    angles = [m.capsule_angle_deg for m in measures]
    known = [angle for angle in angles if not isinstance(angle, NotEvaluable)]
    return replace(
        measures[0],
        length_mm=max(m.length_mm for m in measures),
        craniocaudal_angle_deg=max((m.craniocaudal_angle_deg for m in measures), key=abs),
        capsule_angle_deg=min(known) if len(known) == len(angles) else angles[0],
        liver_before_lesion_mm=min(m.liver_before_lesion_mm for m in measures),
        parenchyma_mm=max(m.parenchyma_mm for m in measures),
        viable_mm=sum(m.viable_mm for m in measures),
        gap_mm=max(m.gap_mm for m in measures),
        crosses_other_lesion=any(m.crosses_other_lesion for m in measures),
        unlabelled_air_mm=max(m.unlabelled_air_mm for m in measures),
        distances_mm=np.minimum.reduce([m.distances_mm for m in measures]),
        run_out_mm=np.minimum.reduce([m.run_out_mm for m in measures]),
        run_out_outside_mm=np.minimum.reduce([m.run_out_outside_mm for m in measures]),
        face_distance_mm=min(m.face_distance_mm for m in measures),
        prior_distance_mm=min(m.prior_distance_mm for m in measures),
    )


def _measure_slack(puncture: Puncture, scene: Scene) -> float:
    beyond = scene.limits["comfort_clearance"].number
    start, wall_mm, pivot = puncture.entry_lps_mm, 0.0, puncture.pivot_lps_mm
    ways = [(start, track.tip_lps_mm) for track in puncture.tracks]
    found = np.inf
    if pivot is not None:
        wall_mm = scene.limits["coaxial_wall"].number
        found = measure_slack_mm(scene, start, pivot, beyond_mm=beyond + wall_mm) - wall_mm
        ways = [(pivot, track.tip_lps_mm) for track in puncture.tracks]
    return min(found, *(measure_slack_mm(scene, a, b, beyond_mm=beyond) for a, b in ways))
