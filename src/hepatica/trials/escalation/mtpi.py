"""mTPI: modified toxicity probability intervals (Ji et al. 2010, doi:10.1177/1740774510382799).

Posterior under Beta(1, 1). The interval with the largest unit probability mass, that is mass divided by
length, decides among (0, target - e1), [target - e1, target + e2] and (target + e2, 1).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Final

from hepatica.core.errors import InputError
from hepatica.trials.beta_distribution import measure_beta_cdf, measure_beta_survival
from hepatica.trials.design import Action
from hepatica.trials.escalation.interval import IntervalDesign

LEAST_INTERVAL: Final = 1e-3
"""Narrowest target interval: below it no trial can tell the pieces apart, and they fill the memory."""


def check_margins(target: float, *, epsilon1: float, epsilon2: float, where: str) -> None:
    """Refuse margins that leave 0 to 1.

    Raises
    ------
    InputError
        If a margin is negative, both together are below 0.001, or the interval leaves 0 to 1.
    """
    if (
        epsilon1 < 0
        or epsilon2 < 0
        or not epsilon1 + epsilon2 >= LEAST_INTERVAL
        or target - epsilon1 <= 0
        or target + epsilon2 >= 1
    ):
        raise InputError(
            expected=f"margins that keep the interval inside 0 to 1 and at least {LEAST_INTERVAL:g} wide",
            given=f"{target - epsilon1:g} to {target + epsilon2:g}",
            where=where,
            action="choose other margins",
        )


@dataclass(frozen=True, kw_only=True)
class Mtpi(IntervalDesign):
    """mTPI.

    Parameters
    ----------
    epsilon1, epsilon2
        Margins below and above the target.

    Examples
    --------
    >>> str(Mtpi(dose_count=5, target=0.3).action(6, 3))
    'stay'
    """

    name: ClassVar[str] = "mtpi"
    epsilon1: float = 0.05
    epsilon2: float = 0.05

    def __post_init__(self) -> None:
        """Refuse impossible settings."""
        super().__post_init__()
        check_margins(self.target, epsilon1=self.epsilon1, epsilon2=self.epsilon2, where="mTPI")

    def unit_masses(self, n: int, x: int) -> tuple[float, float, float]:
        """Return the unit probability masses below, inside and above the interval."""
        a, b = self.prior[0] + x, self.prior[1] + n - x
        low, high = self.target - self.epsilon1, self.target + self.epsilon2
        below = measure_beta_cdf(low, a=a, b=b)
        above = measure_beta_survival(high, a=a, b=b)
        return below / low, (1.0 - below - above) / (high - low), above / (1.0 - high)

    def action(self, n: int, x: int) -> Action:
        """Follow the largest unit mass; a tie goes to the lower dose."""
        below, inside, above = self.unit_masses(n, x)
        if above >= below and above >= inside:
            return Action.DEESCALATE
        return Action.STAY if inside >= below else Action.ESCALATE

    def explain(self, n: int, x: int, action: Action) -> str:
        """Give the three unit masses."""
        below, inside, above = self.unit_masses(n, x)
        return (
            f"unit probability mass {below:.2f} below, {inside:.2f} in, {above:.2f} above the "
            f"interval, {action}"
        )
