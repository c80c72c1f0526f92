"""One path, measured from scratch."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hepatica.anatomy.structures import StructureKind
from hepatica.core.findings import NotEvaluable
from hepatica.core.geometry import FloatArray
from hepatica.planning.path import kernels
from hepatica.planning.path.angles import derive_craniocaudal_angle_deg, derive_in_plane_angle_deg
from hepatica.planning.path.capsule import measure_capsule_angle_deg
from hepatica.planning.path.clearance import measure_distances_mm, measure_segment_distance_mm
from hepatica.planning.path.runs import derive_runs
from hepatica.planning.path.scene import Scene
from hepatica.planning.path.values import Clearance, Run


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TrackMeasure:
    """What one straight way of a needle is and passes.

    Parameters
    ----------
    lesion_id, entry_lps_mm, tip_lps_mm
        Where from, where to, for which lesion.
    length_mm, in_plane_angle_deg, craniocaudal_angle_deg, capsule_angle_deg
        Geometry.
    liver_before_lesion_mm
        Contiguous liver (vessels and other lesions excluded) immediately before the first voxel of the
        lesion.
    parenchyma_mm, viable_mm, gap_mm
        All liver before the lesion; way inside the target; way outside the liver after entering it.
    crosses_other_lesion
        Whether it passes another lesion.
    unlabelled_air_mm
        Way through air inside the body that no label names: lung or gut somebody forgot.
    distances_mm
        (layers,) from the needle's axis to each obstacle layer.
    run_out_mm, run_out_outside_mm
        (layers,) the same for the run-out, and for its part outside the liver.
    face_distance_mm
        Path with run-out to the nearest face of the volume that the body reaches.
    prior_distance_mm
        To the nearest track of an earlier plan; infinity without any.
    runs
        Tissue in order of depth.
    """

    lesion_id: str
    entry_lps_mm: FloatArray
    tip_lps_mm: FloatArray
    length_mm: float
    in_plane_angle_deg: float | NotEvaluable
    craniocaudal_angle_deg: float
    capsule_angle_deg: float | NotEvaluable
    liver_before_lesion_mm: float
    parenchyma_mm: float
    viable_mm: float
    gap_mm: float
    crosses_other_lesion: bool
    unlabelled_air_mm: float
    distances_mm: FloatArray
    run_out_mm: FloatArray
    run_out_outside_mm: FloatArray
    face_distance_mm: float
    prior_distance_mm: float
    runs: tuple[Run, ...]


def measure_track(
    scene: Scene,
    tissue: NDArray[np.uint8],
    *,
    lesion_id: str,
    entry_lps_mm: FloatArray,
    tip_lps_mm: FloatArray,
) -> TrackMeasure:
    """Measure one path from scratch; nothing is taken from a search.

    Parameters
    ----------
    scene, tissue
        Scene and `Scene.paint_target` of the lesion.
    lesion_id
        Lesion the path is for.
    entry_lps_mm, tip_lps_mm
        (3,) ends.
    """
    entry, tip = np.asarray(entry_lps_mm, np.float64), np.asarray(tip_lps_mm, np.float64)
    way = tip - entry
    length = float(np.linalg.norm(way))
    run_out_end = tip + way * (scene.limits["run_out"].number / length)
    metrics, run_out_start = _trace(scene, tissue, entry, tip, run_out_end)
    prior = [
        measure_segment_distance_mm(entry, tip, t.entry_lps_mm, t.tip_lps_mm)[0] for t in scene.prior_tracks
    ]
    outside = np.full(len(scene.obstacles.layers), np.inf)
    if run_out_start is not None:
        outside = _distances(scene, run_out_start, run_out_end)
    return TrackMeasure(
        lesion_id=lesion_id,
        entry_lps_mm=entry,
        tip_lps_mm=tip,
        length_mm=length,
        in_plane_angle_deg=derive_in_plane_angle_deg(entry, tip, gravity_lps=scene.gravity_lps),
        craniocaudal_angle_deg=derive_craniocaudal_angle_deg(entry, tip),
        capsule_angle_deg=measure_capsule_angle_deg(scene, tissue, entry, tip),
        liver_before_lesion_mm=float(metrics[0]),
        parenchyma_mm=float(metrics[3]),
        viable_mm=float(metrics[2]),
        gap_mm=float(metrics[4]),
        crosses_other_lesion=bool(metrics[5] > 0),
        unlabelled_air_mm=float(metrics[6]),
        distances_mm=_distances(scene, entry, tip),
        run_out_mm=_distances(scene, tip, run_out_end),
        run_out_outside_mm=outside,
        face_distance_mm=float(scene.measure_face_distance_mm(np.stack([entry, tip, run_out_end])).min()),
        prior_distance_mm=float(min(prior, default=np.inf)),
        runs=derive_runs(scene, tissue, entry, tip),
    )


def _trace(
    scene: Scene, tissue: NDArray[np.uint8], entry: FloatArray, tip: FloatArray, end: FloatArray
) -> tuple[FloatArray, FloatArray | None]:
    """Return the path's metrics and where its run-out first leaves the liver."""
    room = sum(scene.grid.shape) + 4
    voxels, exits, metrics = np.empty((room, 3), np.int64), np.empty(room), np.zeros(kernels.N_METRICS)
    spacing = scene.grid.spacing_mm
    a, b, c = scene.to_local_mm(np.stack([entry, tip, end]))
    kernels.trace(a, b - a, tissue, spacing, voxels, exits, metrics)
    left = kernels.leaves_liver(b, c - b, tissue, spacing, voxels, exits)
    return metrics, None if left < 0 else tip + left * (end - tip)


def _distances(scene: Scene, start: FloatArray, end: FloatArray) -> FloatArray:
    return measure_distances_mm(
        scene.obstacles, scene.to_local_mm(start), scene.to_local_mm(end), spacing_mm=scene.grid.spacing_mm
    )


def to_clearances(scene: Scene, measure: TrackMeasure) -> tuple[Clearance, ...]:
    """Return one clearance for each kind of obstacle, nearest to its margin first.

    For vessels the calibre class that leaves least room is given. Where the volume ends nearer than the
    margin, what lies beyond is unknown: NotEvaluable, unless something inside is already too near.
    """
    chosen: dict[StructureKind, tuple[float, Clearance]] = {}
    radius = scene.needle_radius_mm
    for number, layer in enumerate(scene.obstacles.layers):
        margin = layer.margin.number
        clearance = float(measure.distances_mm[number]) - radius
        if not np.isfinite(clearance):
            continue
        run_out = float(measure.run_out_mm[number]) - radius
        cut = measure.face_distance_mm - radius < margin
        item = Clearance(
            kind=layer.kind,
            clearance_mm=_judge_face(clearance, margin, cut=cut),
            margin_mm=margin,
            run_out_mm=_judge_face(run_out, margin, cut=cut),
            derived=layer.derived,
            status=layer.margin.status,
        )
        slack = clearance - margin
        if layer.kind not in chosen or slack < chosen[layer.kind][0]:
            chosen[layer.kind] = (slack, item)
    order = list(StructureKind)
    return tuple(
        item
        for _, item in sorted(
            chosen.values(), key=lambda pair: (round(pair[0], 6), order.index(pair[1].kind))
        )
    )


def _judge_face(clearance_mm: float, margin_mm: float, *, cut: bool) -> float | NotEvaluable:
    if cut and clearance_mm >= margin_mm:
        return NotEvaluable(reason="the volume ends nearer to the path than the margin")
    return clearance_mm
