"""The tracks of a fan in the words of the table side: depth at the hub, turn, stops deepest first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from hepatica.adapters.reports.wording import (
    Cell,
    to_list_words,
    to_ml_words,
    to_number_words,
    to_track_chance_words,
)
from hepatica.core.geometry import FloatArray
from hepatica.planning.path.describe import find_track_lesion
from hepatica.planning.path.needle_draws import derive_lateral_axes
from hepatica.planning.path.redirection import derive_redirection_deg, measure_depth_mm, measure_track_mm
from hepatica.planning.path.values import Puncture, Track

STRAIGHT_DEG: Final = 0.05
"""Printed to a tenth of a degree: below half of that a track runs straight on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrackRow:
    """One track of a fan.

    Parameters
    ----------
    number, lesion_id
        Which track, for which lesion.
    depth, beyond
        Skin to tip at the hub of the inner needle, and how far that is beyond the coaxial tip.
    turn, toward
        By how much it turns at the coaxial tip, and where to.
    stops
        Depth of each stop, deepest first.
    each
        Volume of each stop.
    chance
        Chance of the stops to lie in the target.
    """

    number: int
    lesion_id: str
    depth: str
    beyond: str
    turn: str
    toward: str
    stops: tuple[str, ...]
    each: Cell
    chance: str


def derive_track_rows(puncture: Puncture, *, unverified: bool) -> tuple[TrackRow, ...]:
    """Return one row for each track of a fan, none where every track runs straight from the skin.

    Parameters
    ----------
    puncture
        Puncture.
    unverified
        Whether its volumes lean on a number nobody has checked.
    """
    pivot = puncture.pivot_lps_mm
    if pivot is None:
        return ()
    return tuple(
        _derive_row(puncture, track, number, pivot, unverified=unverified)
        for number, track in enumerate(puncture.tracks, start=1)
    )


def _derive_row(
    puncture: Puncture, track: Track, number: int, pivot_lps_mm: FloatArray, *, unverified: bool
) -> TrackRow:
    entry = puncture.entry_lps_mm
    turn = derive_redirection_deg(entry, pivot_lps_mm, track.tip_lps_mm)
    volumes = sorted({to_ml_words(deposit.volume_ml) for deposit in track.deposits})
    chances = [
        item.in_target for item in (puncture.risk.deposits if puncture.risk else ()) if item.track == number
    ]
    return TrackRow(
        number=number,
        lesion_id=find_track_lesion(puncture, track),
        depth=to_number_words(measure_track_mm(puncture, track), unit="mm"),
        beyond=to_number_words(float(np.linalg.norm(track.tip_lps_mm - pivot_lps_mm)), unit="mm"),
        turn="straight on" if turn < STRAIGHT_DEG else f"{turn:.1f}°",
        toward="" if turn < STRAIGHT_DEG else say_turn(entry, pivot_lps_mm, track.tip_lps_mm),
        stops=tuple(
            f"{measure_depth_mm(puncture, track, deposit.point_lps_mm):.1f}"
            for deposit in sorted(track.deposits, key=lambda item: item.order)
        ),
        each=Cell(text=" and ".join(volumes), unverified=unverified),
        chance=to_track_chance_words(chances),
    )


def say_turn(entry_lps_mm: FloatArray, pivot_lps_mm: FloatArray, tip_lps_mm: FloatArray) -> str:
    """Say where a track turns to: the angle across the needle in the axial plane, and toward head or feet.

    Examples
    --------
    >>> say_turn(np.array([0.0, 0, 0]), np.array([0.0, 50, 0]), np.array([2.0, 60, -1.0]))
    '11° to patient left, 6° toward the feet'
    """
    outer = pivot_lps_mm - entry_lps_mm
    outer = outer / np.linalg.norm(outer)
    first, second, _ = derive_lateral_axes(outer)
    inner = tip_lps_mm - pivot_lps_mm
    ahead = float(inner @ outer)
    across = float(np.degrees(np.arctan2(inner @ first, ahead)))
    upward = float(np.degrees(np.arctan2(inner @ second, ahead)))
    words = []
    if round(abs(across)) > 0:
        side = first * np.sign(across)
        words.append(f"{abs(across):.0f}° {_name_side(side)}")
    if round(abs(upward)) > 0:
        words.append(f"{abs(upward):.0f}° {_name_side(second * np.sign(upward))}")
    return ", ".join(words)


def say_sharing(puncture: Puncture) -> str:
    """Say which holes are shared and that every lesion gets a needle of its own; empty where none is."""
    lines = []
    if len(puncture.lesion_ids) > 1:
        lines.append(
            f"One coaxial needle for {to_list_words(puncture.lesion_ids)}: take a fresh inner needle for each lesion."
        )
    if puncture.shares_skin_with:
        names = to_list_words(puncture.shares_skin_with)
        lines.append(f"Same hole in the skin as {names}: take a fresh needle, it goes its own way.")
    return " ".join(lines)


def count_needles(puncture: Puncture) -> int:
    """Return how many inner needles a puncture uses: one for each lesion."""
    return max(1, len(dict.fromkeys(_list_lesions(puncture))))


def _list_lesions(puncture: Puncture) -> Sequence[str]:
    return [find_track_lesion(puncture, track) for track in puncture.tracks]


def _name_side(direction_lps: FloatArray) -> str:
    axis = int(np.argmax(np.abs(direction_lps)))
    words = (
        ("to patient left", "to patient right"),
        ("toward the back", "toward the front"),
        ("toward the head", "toward the feet"),
    )
    return words[axis][0 if direction_lps[axis] > 0 else 1]
