"""Where along a track the drug is given, and how much at each stop."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from hepatica.core.errors import InputError
from hepatica.core.evidence import EvidenceTable
from hepatica.core.geometry import FloatArray
from hepatica.planning.path import field_kernels
from hepatica.planning.path.checks import contains
from hepatica.planning.path.hazards import prefer_stops
from hepatica.planning.path.pair_table import PairTable
from hepatica.planning.path.scene import Scene
from hepatica.planning.path.threads import split_rows, spread_over_threads
from hepatica.planning.path.values import Deposit, Puncture, Track

UL_PER_ML: Final = 1000.0
VOLUME_TOLERANCE_ML: Final = 1e-9
"""Volumes that agree to this are equal; a pump does not resolve a picolitre."""


def place_deposits(
    puncture: Puncture, scene: Scene, *, lesion_id: str, volume_ml: float
) -> tuple[Puncture, float, str]:
    """Spread a lesion's volume over stops along the track, deepest first.

    The first stop is the tip; each next one is a pull-back step nearer to the skin, wherever that lies in
    the target. As few stops as the largest volume per stop allows share the volume equally; where there are
    more than needed, those near the capsule, large vessels, ducts or earlier tracks are left out first, then
    the shallow ones. The needle goes no deeper than its deepest stop.

    Parameters
    ----------
    puncture
        With one track for this lesion; its tip lies in the target.
    scene
        Scene; ``deposit_spacing`` and ``deposit_max`` of its limits are used.
    lesion_id
        Lesion.
    volume_ml
        Volume to give; deposits and undelivered volume add up to it.

    Returns
    -------
    puncture
        Copy with deposits.
    undelivered_ml
        What found no place.
    reason
        Why; empty where everything was placed.

    Raises
    ------
    InputError
        If the volume is negative or not finite.
    """
    if not math.isfinite(volume_ml) or volume_ml < 0:
        raise InputError(expected="a volume of at least 0 mL", given=f"{volume_ml} mL", where=lesion_id)
    tip = puncture.tracks[0].tip_lps_mm
    stops = find_stops(puncture.entry_lps_mm, tip, scene, lesion_id=lesion_id)
    largest = scene.limits["deposit_max"].number
    wanted = count_wanted_stops(volume_ml, scene.limits)
    used = prefer_stops(stops, scene, wanted=wanted)
    placed = min(volume_ml, largest * len(used))
    deposits = tuple(
        Deposit(point_lps_mm=point, volume_ml=share, lesion_id=lesion_id, order=order)
        for order, (point, share) in enumerate(
            zip(used, split_volume(placed, len(used)), strict=True), start=1
        )
    )
    undelivered = max(0.0, volume_ml - sum(deposit.volume_ml for deposit in deposits))
    if undelivered < VOLUME_TOLERANCE_ML:
        undelivered = 0.0
    reason = ""
    if undelivered:
        spacing = scene.limits["deposit_spacing"].number
        reason = (
            f"the track has room for {len(stops)} stops in the target, {spacing:g} mm apart and at most "
            f"{largest:g} mL each (unverified)"
        )
    track = Track(tip_lps_mm=used[0] if used else tip, deposits=deposits)
    return replace(puncture, tracks=(track, *puncture.tracks[1:])), undelivered, reason


def find_stops(
    entry_lps_mm: FloatArray, tip_lps_mm: FloatArray, scene: Scene, *, lesion_id: str
) -> list[FloatArray]:
    """Return the stops of a track that lie in the target, deepest first."""
    target = scene.find_lesion(lesion_id)[1]
    way = np.asarray(entry_lps_mm, float) - np.asarray(tip_lps_mm, float)
    length = float(np.linalg.norm(way))
    depths = np.arange(0.0, length, scene.limits["deposit_spacing"].number)
    points = [np.asarray(tip_lps_mm + way * (depth / length)) for depth in depths]
    return [point for point in points if contains(target, point)]


def count_wanted_stops(volume_ml: float, limits: EvidenceTable) -> int:
    """Return how many stops a volume needs at the largest volume per stop.

    Raises
    ------
    InputError
        If the volume is negative or not finite.
    """
    if not math.isfinite(volume_ml) or volume_ml < 0:
        raise InputError(
            expected="a volume of at least 0 mL", given=f"{volume_ml} mL", where="planned volume"
        )
    return math.ceil(volume_ml / limits["deposit_max"].number - VOLUME_TOLERANCE_ML)


def count_stops(scene: Scene, table: PairTable, *, lesion_id: str, up_to: int) -> NDArray[np.int16]:
    """Return for all pairs of a table how many of the stops that `find_stops` would give exist, up to a number."""
    target, spacing_mm = scene.find_lesion(lesion_id)[1], scene.limits["deposit_spacing"].number
    crop, corner = np.asfortranarray(target.crop), np.array(target.start_ijk, np.int64)

    def count() -> NDArray[np.int16]:
        counts = np.empty(len(table), np.int16)

        def work(part: slice) -> None:
            field_kernels.count_stops(
                table.entries_mm,
                table.tips_mm,
                table.entry[part],
                table.tip[part],
                crop,
                corner,
                scene.grid.spacing_mm,
                spacing_mm,
                up_to,
                counts[part],
            )

        spread_over_threads(work, split_rows(len(table)))
        return counts

    return table.recall_stops((spacing_mm, up_to), count)


def split_volume(volume_ml: float, count: int) -> list[float]:
    """Share a volume over stops in whole microlitres where possible; the shares add up to it.

    Examples
    --------
    >>> split_volume(1.0, 3)
    [0.334, 0.333, 0.333]
    """
    if count == 0:
        return []
    whole = math.floor(volume_ml * UL_PER_ML + VOLUME_TOLERANCE_ML)
    shares = [(whole // count + (1 if n < whole % count else 0)) / UL_PER_ML for n in range(count)]
    # Less than a microlitre is left; the last stop takes it.
    shares[-1] += max(0.0, volume_ml - math.fsum(shares))
    return shares
