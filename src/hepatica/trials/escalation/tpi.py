"""TPI: toxicity probability intervals (Ji, Li and Bekele 2007, doi:10.1177/1740774507079442).

Posterior under Beta(0.005, 0.005). The largest of the posterior masses below target - k2 sd, between, and
above target + k1 sd decides, sd being the posterior standard deviation.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf
from typing import ClassVar

from hepatica.core.errors import InputError
from hepatica.trials.beta_distribution import measure_beta_cdf, measure_beta_sd, measure_beta_survival
from hepatica.trials.design import Action
from hepatica.trials.escalation.interval import IntervalDesign


@dataclass(frozen=True, kw_only=True)
class Tpi(IntervalDesign):
    """TPI.

    Parameters
    ----------
    k1, k2
        Posterior standard deviations above and below the target that bound the middle interval.

    Examples
    --------
    >>> str(Tpi(dose_count=5, target=0.3).action(6, 1))
    'stay'
    """

    name: ClassVar[str] = "tpi"
    k1: float = 1.0
    k2: float = 1.5

    def __post_init__(self) -> None:
        """Refuse impossible settings."""
        super().__post_init__()
        if not (0 < self.k1 < inf and 0 < self.k2 < inf):
            raise InputError(
                expected="finite k1 and k2 above 0", given=f"{self.k1:g}, {self.k2:g}", where="TPI"
            )

    @property
    def prior(self) -> tuple[float, float]:
        """Beta(0.005, 0.005), as published."""
        return 0.005, 0.005

    def masses(self, n: int, x: int) -> tuple[float, float, float]:
        """Return the posterior masses below, between and above."""
        a, b = self.prior[0] + x, self.prior[1] + n - x
        sd = measure_beta_sd(a=a, b=b)
        below = measure_beta_cdf(self.target - self.k2 * sd, a=a, b=b)
        above = measure_beta_survival(self.target + self.k1 * sd, a=a, b=b)
        return below, 1.0 - below - above, above

    def action(self, n: int, x: int) -> Action:
        """Follow the largest mass; a tie goes to the lower dose."""
        below, between, above = self.masses(n, x)
        if above >= below and above >= between:
            return Action.DEESCALATE
        return Action.STAY if between >= below else Action.ESCALATE

    def explain(self, n: int, x: int, action: Action) -> str:
        """Give the three masses."""
        below, between, above = self.masses(n, x)
        return (
            f"probability {below:.2f} of being too low, {between:.2f} near the target, {above:.2f} "
            f"too high, {action}"
        )
