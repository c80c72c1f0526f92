"""Deposit patterns a plan could use, ranked by the algebraic budget under the draws of an ensemble.

The budget says how much goes into pores, clefts and tracks. Where in the tissue that lies is read from the map: pores
fill outward from the nearest tip, balls of neighbouring deposits merging; a cleft is a penny of any orientation.
It ranks; the pressure field of the chosen pattern is solved elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import numpy as np

from hepatica.core.errors import InputError
from hepatica.core.geometry import FloatArray
from hepatica.planning.spread.scene import InjectionSite

SAME_PLACE_MM: Final = 1.0
"""Deposits nearer than this are one."""


class Layout(StrEnum):
    """How the deposits of a pattern lie."""

    SINGLE = "single deposit"
    PULL_BACK = "pull-back"
    """Along one track, deepest first."""
    FAN = "fan"
    """One at the end of each of several tracks through one puncture."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CandidateNeedle:
    """A needle the plan could use: its own choice, or an alternative.

    Parameters
    ----------
    name
        For example the puncture's id.
    entry_lps_mm, tip_lps_mm
        (3,) skin or any point up the needle; deepest point cleared by the path.
    needle_radius_mm
        Outer radius.
    room_mm
        How far the tip may be pulled back within the lesion.
    fan_tips_lps_mm
        Deepest points of further tracks through the same puncture, cleared by the path; none for a straight needle.
    hole_offsets_mm
        As in `hepatica.planning.spread.scene.InjectionSite`.
    """

    name: str
    entry_lps_mm: FloatArray
    tip_lps_mm: FloatArray
    needle_radius_mm: float
    room_mm: float
    fan_tips_lps_mm: tuple[FloatArray, ...] = ()
    hole_offsets_mm: tuple[float, ...] = (0.0,)

    def __post_init__(self) -> None:
        """Refuse a needle that cannot be pulled back."""
        if not self.room_mm >= 0:
            raise InputError(
                expected="room of at least 0 mm", given=f"{self.room_mm} mm", where=f"needle {self.name}"
            )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class DepositPattern:
    """A volume in equal deposits.

    Parameters
    ----------
    needle
        Name of the needle.
    layout
        How they lie.
    volume_ml
        Volume of each.
    spacing_mm
        Between neighbours, the least one of a fan; 0 for one deposit.
    sites
        Deposits in the order they are given.
    """

    needle: str
    layout: Layout
    volume_ml: float
    spacing_mm: float
    sites: tuple[InjectionSite, ...]

    @property
    def deposits(self) -> int:
        """Number of deposits."""
        return len(self.sites)

    @property
    def words(self) -> str:
        """What to do, for example ``split into 3 deposits of 0.5 mL at spacing 8 mm (pull-back)``."""
        if self.deposits == 1:
            return f"one deposit of {self.volume_ml:.3g} mL"
        return (
            f"split into {self.deposits} deposits of {self.volume_ml:.3g} mL "
            f"at spacing {self.spacing_mm:.3g} mm ({self.layout})"
        )


def list_patterns(
    needles: Sequence[CandidateNeedle], *, volume_ml: float, rate_ml_per_min: float, most_deposits: int
) -> tuple[DepositPattern, ...]:
    """List the patterns that some needles allow, in the order of the needles and of the number of deposits.

    Along a track the deposits start at the tip; spacings divide the room by the number of deposits, and by twice it.

    Parameters
    ----------
    needles
        The plan's choice first, then alternatives.
    volume_ml, rate_ml_per_min
        Whole volume, and the rate of every deposit.
    most_deposits
        Largest number of deposits.
    """
    if not needles or most_deposits < 1:
        raise InputError(
            expected="at least one needle and one deposit",
            given=f"{len(needles)} needles, {most_deposits} deposits",
            where="deposit patterns",
        )
    return tuple(
        _to_pattern(needle, layout, tips, volume_ml=volume_ml, rate_ml_per_min=rate_ml_per_min)
        for needle in needles
        for layout, tips in _list_tips(needle, most_deposits)
    )


def _list_tips(needle: CandidateNeedle, most: int) -> Iterator[tuple[Layout, list[FloatArray]]]:
    tip = np.asarray(needle.tip_lps_mm, dtype=np.float64)
    way = np.asarray(needle.entry_lps_mm, dtype=np.float64) - tip
    back = way / max(float(np.linalg.norm(way)), 1e-12)
    yield Layout.SINGLE, [tip]
    for count in range(2, most + 1):
        for share in (1.0, 0.5):
            spacing = share * needle.room_mm / count
            if spacing >= SAME_PLACE_MM:
                yield Layout.PULL_BACK, [tip + n * spacing * back for n in range(count)]
    fan = [tip, *(np.asarray(point, dtype=np.float64) for point in needle.fan_tips_lps_mm)]
    for count in range(2, min(len(fan), most) + 1):
        if _least_spacing(fan[:count]) >= SAME_PLACE_MM:
            yield Layout.FAN, fan[:count]


def _least_spacing(tips: Sequence[FloatArray]) -> float:
    pairs = [float(np.linalg.norm(a - b)) for n, a in enumerate(tips) for b in tips[:n]]
    return min(pairs, default=0.0)


def _to_pattern(
    needle: CandidateNeedle,
    layout: Layout,
    tips: Sequence[FloatArray],
    *,
    volume_ml: float,
    rate_ml_per_min: float,
) -> DepositPattern:
    each = volume_ml / len(tips)
    return DepositPattern(
        needle=needle.name,
        layout=layout,
        volume_ml=each,
        spacing_mm=_least_spacing(tips),
        sites=tuple(
            InjectionSite(
                tip_lps_mm=tip,
                entry_lps_mm=np.asarray(needle.entry_lps_mm, dtype=np.float64),
                volume_ml=each,
                rate_ml_per_min=rate_ml_per_min,
                needle_radius_mm=needle.needle_radius_mm,
                hole_offsets_mm=needle.hole_offsets_mm,
            )
            for tip in tips
        ),
    )
