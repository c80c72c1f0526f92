"""A rate profile: stretches of constant rate, pauses included."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Final

from hepatica.core.errors import InputError

SAME: Final = 1e-9
"""Relative difference between a profile's sum and the volume it stands for that is rounding."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RateStep:
    """A stretch of constant rate.

    Parameters
    ----------
    duration_min
        Length, above 0.
    rate_ml_per_min
        Rate, at least 0; 0 is a pause.
    """

    duration_min: float
    rate_ml_per_min: float

    def __post_init__(self) -> None:
        """Refuse a stretch of no length or of no finite rate."""
        if not (0 < self.duration_min < math.inf and 0 <= self.rate_ml_per_min < math.inf):
            raise InputError(
                expected="a duration above 0 min and a rate of at least 0 mL/min",
                given=f"{self.duration_min:g} min at {self.rate_ml_per_min:g} mL/min",
                where="rate profile",
            )

    @property
    def volume_ml(self) -> float:
        """Volume given."""
        return self.duration_min * self.rate_ml_per_min


def measure_profile(steps: Iterable[RateStep]) -> tuple[float, float]:
    """Return volume in mL and mean rate in mL/min of a profile, pauses counted as time.

    Examples
    --------
    >>> measure_profile([RateStep(duration_min=1, rate_ml_per_min=2), RateStep(duration_min=3, rate_ml_per_min=0)])
    (2.0, 0.5)
    """
    steps = tuple(steps)
    volume = math.fsum(step.volume_ml for step in steps)
    return volume, volume / math.fsum(step.duration_min for step in steps)


def merge_steps(steps: Iterable[RateStep]) -> tuple[RateStep, ...]:
    """Join neighbours of the same rate, so that a constant profile is one step."""
    merged: list[RateStep] = []
    for step in steps:
        if merged and merged[-1].rate_ml_per_min == step.rate_ml_per_min:
            merged[-1] = replace(step, duration_min=merged[-1].duration_min + step.duration_min)
        else:
            merged.append(step)
    return tuple(merged)


def scale_steps(steps: Iterable[RateStep], *, factor: float) -> tuple[RateStep, ...]:
    """Return the profile with all durations multiplied."""
    return tuple(replace(step, duration_min=step.duration_min * factor) for step in steps)


def check_steps(steps: tuple[RateStep, ...], *, volume_ml: float, rate_ml_per_min: float, where: str) -> None:
    """Refuse a profile that does not give a deposit's volume at its mean rate.

    Raises
    ------
    InputError
        If volume or mean rate differ by more than rounding.
    """
    if not steps:
        return
    volume, rate = measure_profile(steps)
    same = math.isclose(volume, volume_ml, rel_tol=SAME) and math.isclose(rate, rate_ml_per_min, rel_tol=SAME)
    if not same:
        raise InputError(
            expected=f"a rate profile of {volume_ml:g} mL at {rate_ml_per_min:g} mL/min on average",
            given=f"{volume:g} mL at {rate:g} mL/min",
            where=where,
            action="give the profile's own volume and mean rate with it",
        )
