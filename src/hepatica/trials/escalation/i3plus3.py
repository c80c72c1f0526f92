"""i3+3 (Liu, Wang and Ji 2020, doi:10.1080/10543406.2019.1636811): three plain rules on an interval.

Rate inside the interval: stay. Below: escalate. Above: stay if (x - 1) / n would be below, else de-escalate.
Exclusion as in BOIN: three patients or more, Beta(1, 1), P(p > target) above 0.95.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from hepatica.trials.design import Action
from hepatica.trials.escalation.boin import BOUNDARY_TOLERANCE
from hepatica.trials.escalation.interval import IntervalDesign
from hepatica.trials.escalation.mtpi import check_margins


@dataclass(frozen=True, kw_only=True)
class I3Plus3(IntervalDesign):
    """i3+3.

    Parameters
    ----------
    epsilon1, epsilon2
        Margins below and above the target.

    Examples
    --------
    >>> str(I3Plus3(dose_count=5, target=0.3).action(3, 1))
    'stay'
    """

    name: ClassVar[str] = "i3+3"
    epsilon1: float = 0.05
    epsilon2: float = 0.05

    def __post_init__(self) -> None:
        """Refuse impossible settings."""
        super().__post_init__()
        check_margins(self.target, epsilon1=self.epsilon1, epsilon2=self.epsilon2, where="i3+3")

    @property
    def exclusion_minimum(self) -> int:
        """Three patients."""
        return 3

    def action(self, n: int, x: int) -> Action:
        """Apply the three rules."""
        low, high = (
            self.target - self.epsilon1 - BOUNDARY_TOLERANCE,
            self.target + self.epsilon2 + BOUNDARY_TOLERANCE,
        )
        if x / n < low:
            return Action.ESCALATE
        if x / n <= high:
            return Action.STAY
        return Action.STAY if (x - 1) / n < low else Action.DEESCALATE

    def explain(self, n: int, x: int, action: Action) -> str:
        """Place the rate against the interval."""
        return (
            f"rate {x / n:.3f} against the interval {self.target - self.epsilon1:.2f} to "
            f"{self.target + self.epsilon2:.2f}, {action}"
        )
