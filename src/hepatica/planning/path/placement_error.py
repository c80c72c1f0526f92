"""What placement error makes of a plan, by Monte Carlo over whole needles."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from hepatica.anatomy.structures import Origin, StructureKind, to_bit
from hepatica.core.errors import InputError
from hepatica.core.geometry import FloatArray
from hepatica.imaging.mask import Mask
from hepatica.planning.path import kernels, placement_kernels
from hepatica.planning.path.fan_needles import perturb_fan, turns
from hepatica.planning.path.needle_draws import Needles, find_direction, perturb_needles
from hepatica.planning.path.pairs import LENGTH_TOLERANCE_MM
from hepatica.planning.path.placement_values import (
    Chance,
    DepositRisk,
    ExpectedVolume,
    PlacementModel,
    PlacementRisk,
    StructureRisk,
)
from hepatica.planning.path.scene import Scene
from hepatica.planning.path.threads import split_rows, spread_over_threads
from hepatica.planning.path.values import Puncture, Track

DRAWS: Final = 10_000
"""A chance of 1 % is then known to 0.1 %."""
CELL_MM: Final = 2.0
STEP_MM: Final = 4.0
"""Edge of the lattice that screens needles and stretch of needle judged at once; they change speed only."""
ROOM_MM: Final = 0.5
"""Kept free around the needles so that rounding puts no point of them outside the lattice."""


def simulate_placement(
    puncture: Puncture,
    scene: Scene,
    *,
    model: PlacementModel,
    draws: int = DRAWS,
    rng: np.random.Generator,
) -> PlacementRisk:
    """Draw needles around a planned puncture and count what they hit.

    Entry, motion and label errors are drawn once for the puncture, tip and depth errors once for each of its
    tracks. In a fan the coaxial needle is drawn once, the tracks that turn at its tip are carried along and
    err in their own direction (`perturb_fan`); a fan of one straight track gives the straight needle's
    answers, but for the coaxial needle's wall. A bend counts as sharp. Deposits stay where they were planned
    along the needle: as far behind its tip. Touch is judged exactly
    (`hepatica.planning.path.placement_kernels`), from the entry to the tip, without run-out. Motion shifts
    the needle against everything in the scan; that skin and ribs move less with breathing is left out.

    Parameters
    ----------
    puncture
        Entry, tracks with deposits, lesion ids and needle are used.
    scene
        Scene it was planned in.
    model
        From `make_placement_model` or `fit_placement_model`.
    draws
        Number of needles.
    rng
        Random source; all numbers are drawn before anything is judged, so the same source gives the same
        answer on any number of threads.

    Raises
    ------
    InputError
        If there are no draws, the puncture has no tracks, or it turns at a coaxial tip and the model does not
        say how well.
    GeometryError
        If a track has no length.
    NotFoundError
        If a lesion is unknown.

    Examples
    --------
    >>> from hepatica.planning.path.placement_presets import make_placement_model
    >>> model = make_placement_model("stereotactic")
    >>> simulate_placement.__kwdefaults__["draws"], model.unverified
    (10000, True)
    """
    if draws < 1 or not puncture.tracks:
        raise InputError(
            expected="at least one draw and one track",
            given=f"{draws} draws, {len(puncture.tracks)} tracks",
            where=puncture.puncture_id,
        )
    coaxial, needles = _draw(puncture, model=model, draws=draws, rng=rng)
    radius_mm = 0.5 * puncture.needle.outer_diameter_mm
    touched, within = np.zeros(draws, np.uint32), np.zeros(draws, np.uint32)
    if coaxial is not None:
        wall_mm = scene.limits["coaxial_wall"].number
        touched, within = _judge(scene, coaxial, radius_mm=radius_mm + wall_mm)
    face = np.full(draws, np.inf)
    tips_inside, volume_ml = np.ones(draws, bool), np.zeros(draws)
    deposits: list[DepositRisk] = []
    for number, (track, drawn) in enumerate(zip(puncture.tracks, needles, strict=True), start=1):
        hit, close = _judge(scene, drawn, radius_mm=radius_mm)
        touched |= hit
        within |= close
        for points in (drawn.starts_lps_mm, drawn.tips_lps_mm):
            face = np.minimum(face, scene.measure_face_distance_mm(points))
        tips_inside &= _find_inside(_find_target(puncture, track, scene), drawn.tips_lps_mm)
        for deposit, points in zip(track.deposits, _move_deposits(puncture, track, drawn), strict=True):
            inside = _find_inside(scene.find_lesion(deposit.lesion_id)[1], points)
            volume_ml += deposit.volume_ml * inside
            chance = _to_chance(inside)
            deposits.append(
                DepositRisk(track=number, order=deposit.order, lesion_id=deposit.lesion_id, in_target=chance)
            )
    leaves = _to_chance(face < scene.needle_radius_mm)
    return PlacementRisk(
        model=model,
        draws=draws,
        redirection=model.redirection if any(turns(puncture, t) for t in puncture.tracks) else None,
        structures=_list_structures(scene, touched, within),
        any_touched=_to_chance(touched != 0),
        any_within_margin=_to_chance(within != 0),
        tip_in_target=_to_chance(tips_inside),
        deposits=tuple(deposits),
        expected_in_target=_to_expected(volume_ml, puncture.tracks),
        leaves_volume=leaves,
        near_face=_to_chance(face < scene.largest_margin_mm),
        lower_bound=bool(scene.anatomy.missing_for_clearance()) or leaves.hits > 0,
    )


def _draw(
    puncture: Puncture, *, model: PlacementModel, draws: int, rng: np.random.Generator
) -> tuple[Needles | None, tuple[Needles, ...]]:
    """Return the coaxial needle, None where there is none, and the needles of every track."""
    if puncture.pivot_lps_mm is None:
        return None, perturb_needles(puncture, model=model, draws=draws, rng=rng)
    fan = perturb_fan(puncture, model=model, draws=draws, rng=rng)
    return fan.coaxial, fan.tracks


def _judge(
    scene: Scene, needles: Needles, *, radius_mm: float
) -> tuple[NDArray[np.uint32], NDArray[np.uint32]]:
    return judge_needles(scene, needles.starts_lps_mm, needles.tips_lps_mm, radius_mm=radius_mm)


def judge_needles(
    scene: Scene, starts_lps_mm: FloatArray, ends_lps_mm: FloatArray, *, radius_mm: float
) -> tuple[NDArray[np.uint32], NDArray[np.uint32]]:
    """Say of many needles which obstacle layers they touch and whose margins they break.

    Parameters
    ----------
    scene
        Scene; bit n of the answers is layer n of its obstacles.
    starts_lps_mm, ends_lps_mm
        (n, 3) ends of the needles' axes.
    radius_mm
        Half the needle's outer diameter.

    Returns
    -------
    touched
        (n,) bits: the axis lies no farther from a closed voxel box of the layer than the radius.
    within
        (n,) bits: it lies nearer than radius and margin, or touches.
    """
    obstacles, spacing = scene.obstacles, scene.grid.spacing_mm
    touched, within = np.zeros((2, len(starts_lps_mm)), np.uint32)
    starts = np.ascontiguousarray(scene.to_local_mm(starts_lps_mm))
    ends = np.ascontiguousarray(scene.to_local_mm(ends_lps_mm))
    margins = obstacles.margins_mm() + radius_mm
    slack = 0.5 * (np.sqrt(3.0) * CELL_MM + STEP_MM) + 2.0 * placement_kernels.ROUNDING_MM
    low = np.minimum(starts.min(axis=0), ends.min(axis=0)) - ROOM_MM
    high = np.maximum(starts.max(axis=0), ends.max(axis=0)) + ROOM_MM
    cells = np.ceil((high - low) / CELL_MM).astype(np.int64)
    region = _find_region(scene, low, high, reach_mm=float(margins.max(initial=0.0)) + slack + CELL_MM)
    held = np.zeros(region[:, 1] - region[:, 0], np.uint32)
    placement_kernels.find_layers(obstacles.starts, obstacles.layer_of_voxel, region, held)
    present = int(np.bitwise_or.reduce(held, axis=None))
    numbers = np.array([n for n in range(len(margins)) if present >> n & 1], np.int64)
    if len(numbers):
        boxes = (
            spacing,
            obstacles.block,
            obstacles.starts,
            obstacles.voxels,
            obstacles.layer_of_voxel,
            region,
        )
        margins = margins[numbers]
        field = np.empty((*cells, len(numbers)), np.float32)
        nearest = np.empty(tuple(cells), np.float32)
        placement_kernels.fill_field(numbers, margins + slack, low, CELL_MM, *boxes, field)
        placement_kernels.find_nearest(field, margins, nearest)

        def work(part: slice) -> None:
            placement_kernels.judge_needles(
                starts[part], ends[part], numbers, radius_mm, margins, low, CELL_MM, STEP_MM, field, nearest,
                *boxes, held, touched[part], within[part],
            )  # fmt: skip

        spread_over_threads(work, split_rows(len(starts)))
    inside = _find_start_layers(scene, starts_lps_mm)
    return touched | inside, within | inside


def _find_region(scene: Scene, low: FloatArray, high: FloatArray, *, reach_mm: float) -> NDArray[np.int64]:
    """Return (3, 2) first block within reach of a box of the grid's own axes, and one past the last."""
    edge = scene.obstacles.block * scene.grid.spacing_mm
    counts = np.array(scene.obstacles.starts.shape[:3])
    first = np.clip(np.floor((low - reach_mm) / edge), 0, counts).astype(np.int64)
    last = np.clip(np.floor((high + reach_mm) / edge) + 1, first, counts).astype(np.int64)
    return np.stack([first, last], axis=1)


def _find_start_layers(scene: Scene, starts_lps_mm: FloatArray) -> NDArray[np.uint32]:
    """Return (n,) bits of the layers in which a needle starts: one that starts deep inside meets no boundary.

    Only where the entry itself was pushed into a structure, which planned entries never are. Vessels count
    whatever their calibre there; derived structures give way inside a drawn lesion, as they do for paths.
    """
    grid, anatomy = scene.grid, scene.anatomy
    index = np.floor(grid.to_index(starts_lps_mm) + 0.5).astype(np.int64)
    known = np.asarray(np.logical_and(index >= 0, index < grid.shape).all(axis=1))
    i, j, k = np.where(known[:, None], index, 0).T
    bits: NDArray[np.uint32] = np.where(known, anatomy.bits[i, j, k], np.uint32(0))
    code = scene.tissue[i, j, k] & kernels.CODE_MASK
    derived = sum(to_bit(kind) for kind, source in anatomy.sources.items() if source.origin is Origin.DERIVED)
    bits = np.where(code == kernels.CODE_OTHER_LESION, bits & np.uint32(~derived & 0xFFFFFFFF), bits)
    found = np.zeros(len(index), np.uint32)
    for number, layer in enumerate(scene.obstacles.layers):
        found |= np.where(bits & np.uint32(to_bit(layer.kind)), np.uint32(1 << number), np.uint32(0))
    return found


def _move_deposits(puncture: Puncture, track: Track, needles: Needles) -> list[FloatArray]:
    """Return the (draws, 3) points of each deposit: as far behind the tip as planned, along the new axis."""
    start = puncture.entry_lps_mm
    if puncture.pivot_lps_mm is not None and turns(puncture, track):
        start = puncture.pivot_lps_mm
    direction, _ = find_direction(start, track.tip_lps_mm, where=puncture.puncture_id)
    way = needles.tips_lps_mm - needles.starts_lps_mm
    along = way / np.maximum(np.linalg.norm(way, axis=1, keepdims=True), LENGTH_TOLERANCE_MM)
    points = []
    for deposit in track.deposits:
        offset = np.asarray(deposit.point_lps_mm, np.float64) - np.asarray(track.tip_lps_mm, np.float64)
        behind_mm = float(offset @ direction)
        points.append(needles.tips_lps_mm + behind_mm * along + (offset - behind_mm * direction))
    return points


def _find_target(puncture: Puncture, track: Track, scene: Scene) -> Mask:
    lesion_id = track.deposits[0].lesion_id if track.deposits else puncture.lesion_ids[0]
    return scene.find_lesion(lesion_id)[1]


def _find_inside(mask: Mask, points_lps_mm: FloatArray) -> NDArray[np.bool_]:
    """Say of (n, 3) points whether they lie in a voxel of a mask."""
    index = np.floor(mask.grid.to_index(points_lps_mm) + 0.5).astype(np.int64) - np.array(mask.start_ijk)
    known = np.logical_and(index >= 0, index < mask.crop.shape).all(axis=1)
    i, j, k = np.where(known[:, None], index, 0).T
    return np.asarray(known & mask.crop[i, j, k])


def _to_chance(happened: NDArray[np.bool_]) -> Chance:
    return Chance(hits=int(np.count_nonzero(happened)), draws=len(happened))


def _to_expected(volume_ml: FloatArray, tracks: Sequence[Track]) -> ExpectedVolume:
    draws = len(volume_ml)
    spread_ml = float(volume_ml.std(ddof=1)) if draws > 1 else 0.0
    return ExpectedVolume(
        mean_ml=float(volume_ml.mean()),
        standard_error_ml=spread_ml / math.sqrt(draws),
        planned_ml=math.fsum(deposit.volume_ml for track in tracks for deposit in track.deposits),
    )


def _list_structures(
    scene: Scene, touched: NDArray[np.uint32], within: NDArray[np.uint32]
) -> tuple[StructureRisk, ...]:
    """One entry for each kind of obstacle; a kind in several layers is hit where any of them is."""
    found = []
    for kind in StructureKind:
        layers = [(n, layer) for n, layer in enumerate(scene.obstacles.layers) if layer.kind is kind]
        if not layers:
            continue
        bits = np.uint32(sum(1 << number for number, _ in layers))
        widest = max((layer for _, layer in layers), key=lambda layer: layer.margin.number)
        found.append(
            StructureRisk(
                kind=kind,
                touched=_to_chance((touched & bits) != 0),
                within_margin=_to_chance((within & bits) != 0),
                margin_mm=widest.margin.number,
                derived=widest.derived,
                status=widest.margin.status,
            )
        )
    return tuple(sorted(found, key=lambda risk: (-risk.touched.hits, -risk.within_margin.hits)))
