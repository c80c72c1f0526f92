"""A track with one bend: straight to the coaxial tip, then straight on in another direction."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from hepatica.core.geometry import FloatArray
from hepatica.planning.path.measure import TrackMeasure, measure_track
from hepatica.planning.path.scene import Scene
from hepatica.planning.path.values import Run, TissueClass

JOIN_MM = 1e-6
"""Liver that begins this near to the bend goes on from the liver before it."""


def measure_bent_track(
    scene: Scene,
    tissue: NDArray[np.uint8],
    *,
    lesion_id: str,
    entry_lps_mm: FloatArray,
    pivot_lps_mm: FloatArray,
    tip_lps_mm: FloatArray,
) -> TrackMeasure:
    """Measure a track with a bend as one: lengths add up, the nearest distance and the larger tilt count.

    The capsule is entered by the straight part, where the coaxial needle is wider than the inner one by its
    wall; the run-out goes on from the tip in its own direction.

    Parameters
    ----------
    scene, tissue, lesion_id
        As for `measure_track`.
    entry_lps_mm, pivot_lps_mm, tip_lps_mm
        (3,) skin, bend and end.
    """
    outer = measure_track(
        scene, tissue, lesion_id=lesion_id, entry_lps_mm=entry_lps_mm, tip_lps_mm=pivot_lps_mm
    )
    inner = measure_track(
        scene, tissue, lesion_id=lesion_id, entry_lps_mm=pivot_lps_mm, tip_lps_mm=tip_lps_mm
    )
    lesion = next((run.from_mm for run in inner.runs if run.tissue is TissueClass.TARGET), inner.length_mm)
    before = inner.liver_before_lesion_mm
    if before >= lesion - JOIN_MM:
        before += outer.liver_before_lesion_mm
    # Clearance is distance less the inner needle's radius: the wall is taken off the distance.
    wall_mm = scene.limits["coaxial_wall"].number
    shifted = tuple(
        replace(run, from_mm=run.from_mm + outer.length_mm, to_mm=run.to_mm + outer.length_mm)
        for run in inner.runs
    )
    return replace(
        inner,
        entry_lps_mm=outer.entry_lps_mm,
        length_mm=outer.length_mm + inner.length_mm,
        in_plane_angle_deg=outer.in_plane_angle_deg,
        craniocaudal_angle_deg=max(outer.craniocaudal_angle_deg, inner.craniocaudal_angle_deg, key=abs),
        capsule_angle_deg=outer.capsule_angle_deg,
        liver_before_lesion_mm=before,
        parenchyma_mm=outer.parenchyma_mm + inner.parenchyma_mm,
        gap_mm=outer.gap_mm + inner.gap_mm,
        crosses_other_lesion=outer.crosses_other_lesion or inner.crosses_other_lesion,
        unlabelled_air_mm=outer.unlabelled_air_mm + inner.unlabelled_air_mm,
        distances_mm=np.minimum(outer.distances_mm - wall_mm, inner.distances_mm),
        face_distance_mm=min(outer.face_distance_mm, inner.face_distance_mm),
        prior_distance_mm=min(outer.prior_distance_mm, inner.prior_distance_mm),
        runs=_join(outer.runs, shifted),
    )


def measure_any_track(
    scene: Scene,
    tissue: NDArray[np.uint8],
    *,
    lesion_id: str,
    ends_lps_mm: tuple[FloatArray, FloatArray],
    pivot_lps_mm: FloatArray | None,
) -> TrackMeasure:
    """Measure a track as it runs: straight where there is no coaxial tip, else over the coaxial tip.

    Parameters
    ----------
    scene, tissue, lesion_id
        As for `measure_track`.
    ends_lps_mm
        (3,) skin and tip.
    pivot_lps_mm
        (3,) coaxial tip or None.
    """
    entry, tip = ends_lps_mm
    if pivot_lps_mm is None:
        return measure_track(scene, tissue, lesion_id=lesion_id, entry_lps_mm=entry, tip_lps_mm=tip)
    return measure_bent_track(
        scene, tissue, lesion_id=lesion_id, entry_lps_mm=entry, pivot_lps_mm=pivot_lps_mm, tip_lps_mm=tip
    )


def _join(first: tuple[Run, ...], second: tuple[Run, ...]) -> tuple[Run, ...]:
    """Put runs in a row; one that goes on over the bend becomes one run."""
    if not first or not second:
        return first + second
    a, b = first[-1], second[0]
    if (a.tissue, a.structure) != (b.tissue, b.structure):
        return first + second
    length_a, length_b = a.to_mm - a.from_mm, b.to_mm - b.from_mm
    mean = (a.mean_hu * length_a + b.mean_hu * length_b) / (length_a + length_b)
    return (*first[:-1], replace(a, to_mm=b.to_mm, mean_hu=mean), *second[1:])
