"""How far deposits lie from what they should keep away from: capsule, large vessels, ducts, other tracks."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Final

import numpy as np

from hepatica.anatomy.structures import StructureKind
from hepatica.core.findings import Finding, NotEvaluable, Severity
from hepatica.core.geometry import FloatArray
from hepatica.planning.path import kernels
from hepatica.planning.path.clearance import measure_distances_mm, measure_segment_distance_mm
from hepatica.planning.path.scene import Scene
from hepatica.planning.path.values import DepositDistance, Puncture, Track

VESSELS: Final = frozenset(
    {
        StructureKind.PORTAL_VEIN,
        StructureKind.HEPATIC_VEIN,
        StructureKind.LIVER_VESSEL,
        StructureKind.VENA_CAVA,
        StructureKind.AORTA,
    }
)
WINDOW_GROWTH: Final = 2.0
"""A capsule that was not found is looked for this much farther."""
PENALTY_DECIMALS: Final = 6
"""Penalties that agree to this are equal; the deeper stop then comes first."""
MESSAGES: Final = {
    "capsule": "near the liver capsule: fluid may run out under or through it",
    "vessel": "near a large vessel: it may carry the drug away",
    "bile_duct": "near a bile duct",
    "track": "near an earlier track, along which it may leak",
}
LIMITS: Final = {
    "capsule": "deposit_capsule_distance",
    "vessel": "deposit_vessel_distance",
    "bile_duct": "deposit_duct_distance",
    "track": "deposit_track_distance",
}
"""Limit of each kind of thing a deposit should keep away from."""


def measure_deposit_distances(
    point_lps_mm: FloatArray, scene: Scene, *, up_to_mm: float = np.inf
) -> tuple[DepositDistance, ...]:
    """Measure how far a point lies from the capsule, large vessels, ducts and tracks of earlier plans.

    Distances are exact, to closed voxel boxes and to the axes of earlier tracks.

    Parameters
    ----------
    point_lps_mm
        (3,) point in the liver.
    scene
        Scene. Vessels are those that its limits call large.
    up_to_mm
        Capsule beyond this is given as this far; finite values are faster.

    Returns
    -------
    tuple of DepositDistance
        In the order of `LIMITS`; NotEvaluable where nothing of the kind is labelled.
    """
    values: dict[str, float | NotEvaluable] = {
        "capsule": _measure_capsule_mm(point_lps_mm, scene, up_to_mm=up_to_mm)
    }
    local = scene.to_local_mm(np.asarray(point_lps_mm, float))
    distances = measure_distances_mm(scene.obstacles, local, local, spacing_mm=scene.grid.spacing_mm)
    for name, kinds in (("vessel", VESSELS), ("bile_duct", frozenset({StructureKind.BILE_DUCT}))):
        values[name] = _find_nearest(scene, distances, kinds, name)
    tracks = [
        float(measure_segment_distance_mm(point_lps_mm, point_lps_mm, t.entry_lps_mm, t.tip_lps_mm)[0])
        for t in scene.prior_tracks
    ]
    values["track"] = min(tracks) if tracks else NotEvaluable(reason="no earlier track")
    return tuple(
        DepositDistance(
            name=name,
            distance_mm=value,
            limit_mm=scene.limits[LIMITS[name]].number,
            status=scene.limits[LIMITS[name]].status,
        )
        for name, value in values.items()
    )


def derive_penalty(distances: Iterable[DepositDistance]) -> float:
    """Return what speaks against a deposit: for each kind 1 at the thing itself, 0 from its limit on, summed.

    Examples
    --------
    >>> from hepatica.core.evidence import EvidenceStatus
    >>> near = DepositDistance(name="vessel", distance_mm=3.0, limit_mm=6.0, status=EvidenceStatus.UNVERIFIED)
    >>> derive_penalty([near])
    0.5
    """
    return sum(
        max(0.0, 1.0 - item.distance_mm / item.limit_mm)
        for item in distances
        if not isinstance(item.distance_mm, NotEvaluable)
    )


def measure_penalties(points_lps_mm: FloatArray, scene: Scene) -> FloatArray:
    """Return the (n,) penalties of (n, 3) points."""
    up_to = scene.limits["deposit_capsule_distance"].number
    return np.array(
        [
            round(derive_penalty(measure_deposit_distances(p, scene, up_to_mm=up_to)), PENALTY_DECIMALS)
            for p in np.reshape(points_lps_mm, (-1, 3))
        ]
    )


def prefer_stops(stops_lps_mm: Sequence[FloatArray], scene: Scene, *, wanted: int) -> list[FloatArray]:
    """Choose the wanted number of stops: those with least against them, among equals the deepest.

    Parameters
    ----------
    stops_lps_mm
        Stops of one track, deepest first.
    scene
        Scene.
    wanted
        How many.

    Returns
    -------
    list of ndarray
        In the order given: deepest first.
    """
    if len(stops_lps_mm) <= wanted:
        return list(stops_lps_mm)
    penalties = measure_penalties(np.array(stops_lps_mm), scene)
    kept = np.sort(np.argsort(penalties, kind="stable")[:wanted])
    return [stops_lps_mm[n] for n in kept]


def state_distances(puncture: Puncture, scene: Scene) -> Puncture:
    """Return a puncture whose deposits carry their distances, with a finding for each limit missed.

    Parameters
    ----------
    puncture
        With deposits.
    scene
        Scene it was planned in.
    """
    tracks = tuple(_state_track(track, scene) for track in puncture.tracks)
    stated = replace(puncture, tracks=tracks)
    return replace(stated, findings=(*puncture.findings, *_list_findings(stated, scene)))


def _state_track(track: Track, scene: Scene) -> Track:
    return replace(
        track,
        deposits=tuple(
            replace(deposit, distances=measure_deposit_distances(deposit.point_lps_mm, scene))
            for deposit in track.deposits
        ),
    )


def _list_findings(puncture: Puncture, scene: Scene) -> list[Finding]:
    several = len(puncture.tracks) > 1
    found: dict[str, list[tuple[float, str]]] = {}
    for number, track in enumerate(puncture.tracks, start=1):
        for deposit in track.deposits:
            for item in deposit.distances:
                if isinstance(item.distance_mm, NotEvaluable) or item.distance_mm >= item.limit_mm:
                    continue
                name = f"{deposit.order} of track {number}" if several else str(deposit.order)
                found.setdefault(item.name, []).append((item.distance_mm, name))
    return [
        Finding.from_limit(
            scene.limits[LIMITS[kind]],
            rule=f"path.{LIMITS[kind]}",
            severity=Severity.INFO,
            message=f"Deposit {', '.join(name for _, name in near)}: {MESSAGES[kind]}; the nearest is given.",
            measured=min(near)[0],
            subject=puncture.puncture_id,
        )
        for kind, near in found.items()
    ]


def _find_nearest(
    scene: Scene, distances_mm: FloatArray, kinds: frozenset[StructureKind], name: str
) -> float | NotEvaluable:
    near = [float(distances_mm[n]) for n, layer in enumerate(scene.obstacles.layers) if layer.kind in kinds]
    nearest = min(near, default=np.inf)
    if np.isfinite(nearest):
        return nearest
    return NotEvaluable(reason=f"no {name.replace('_', ' ')} is labelled")


def _measure_capsule_mm(point_lps_mm: FloatArray, scene: Scene, *, up_to_mm: float) -> float | NotEvaluable:
    """Return the exact distance to the nearest closed box of a voxel outside the liver."""
    spacing, shape = scene.grid.spacing_mm, np.array(scene.grid.shape)
    local = scene.to_local_mm(np.asarray(point_lps_mm, float))
    window = min(up_to_mm, 2.0 * scene.limits["deposit_capsule_distance"].number)
    while True:
        low = np.clip(np.floor((local - window) / spacing).astype(int), 0, shape)
        high = np.clip(np.floor((local + window) / spacing).astype(int) + 1, 0, shape)
        box = scene.tissue[low[0] : high[0], low[1] : high[1], low[2] : high[2]]
        # Some labels carve vessels out of the liver: their walls are no capsule.
        vessel = box & kernels.CODE_MASK == kernels.CODE_VESSEL
        outside = np.argwhere((box & kernels.LIVER_FLAG == 0) & ~vessel) + low
        if len(outside):
            gap = np.maximum(outside * spacing - local, local - (outside + 1) * spacing)
            nearest = float(np.sqrt((np.maximum(gap, 0.0) ** 2).sum(axis=1).min()))
            if nearest <= window:
                return min(nearest, up_to_mm)
        if window >= up_to_mm:
            return up_to_mm
        if (low == 0).all() and (high == shape).all():
            return NotEvaluable(reason="the scan shows no end of the liver")
        window = min(up_to_mm, window * WINDOW_GROWTH)
