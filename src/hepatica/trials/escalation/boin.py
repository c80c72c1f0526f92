"""BOIN: Bayesian optimal interval design (Liu and Yuan 2015, doi:10.1111/rssc.12089), local version.

Escalate when the DLT rate at the current dose is at or below lambda_e, de-escalate at or above lambda_d.
A dose with three or more patients is eliminated, with all above, when P(p > target) under Beta(1, 1) is above
0.95. The maximum tolerated dose has the isotonic estimate, prior Beta(0.05, 0.05), nearest the target.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import log
from typing import ClassVar, Final

from hepatica.core.errors import InputError
from hepatica.trials.design import Action
from hepatica.trials.escalation.interval import IntervalDesign

BOUNDARY_TOLERANCE: Final = 1e-12
"""Rates this close to a boundary count as at it: rounding of x / n is below 1e-15."""


def derive_boin_boundaries(
    target: float, *, phi1: float | None = None, phi2: float | None = None
) -> tuple[float, float]:
    """Return (lambda_e, lambda_d).

    Parameters
    ----------
    target
        Target DLT probability.
    phi1, phi2
        Highest probability deemed too low, lowest deemed too high; 0.6 and 1.4 of the target unless given.

    Raises
    ------
    InputError
        If they do not surround the target, or leave 0 to 1.

    Examples
    --------
    >>> [round(value, 3) for value in derive_boin_boundaries(0.3)]
    [0.236, 0.359]
    """
    low = 0.6 * target if phi1 is None else phi1
    high = 1.4 * target if phi2 is None else phi2
    if not 0.0 < low < target < high < 1.0:
        raise InputError(
            expected="0 < phi1 < target < phi2 < 1",
            given=f"phi1 {low:g}, target {target:g}, phi2 {high:g}",
            where="BOIN",
            action="choose a lower target, or phi1 and phi2 around it",
        )
    escalate = log((1 - low) / (1 - target)) / log(target * (1 - low) / (low * (1 - target)))
    deescalate = log((1 - target) / (1 - high)) / log(high * (1 - target) / (target * (1 - high)))
    return escalate, deescalate


@dataclass(frozen=True, kw_only=True)
class Boin(IntervalDesign):
    """BOIN for a single agent.

    Parameters
    ----------
    phi1, phi2
        See `derive_boin_boundaries`.

    Examples
    --------
    >>> from hepatica.trials.outcomes import parse_outcomes
    >>> design = Boin(dose_count=5, target=0.3)
    >>> design.next_dose(parse_outcomes("1NNN 2NTT")).recommended_dose
    1
    """

    name: ClassVar[str] = "boin"
    phi1: float | None = None
    phi2: float | None = None

    def __post_init__(self) -> None:
        """Refuse impossible settings."""
        super().__post_init__()
        derive_boin_boundaries(self.target, phi1=self.phi1, phi2=self.phi2)

    @property
    def boundaries(self) -> tuple[float, float]:
        """lambda_e and lambda_d."""
        return derive_boin_boundaries(self.target, phi1=self.phi1, phi2=self.phi2)

    @property
    def estimate_prior(self) -> tuple[float, float]:
        """Beta(0.05, 0.05), as the authors' software uses for selection."""
        return 0.05, 0.05

    @property
    def exclusion_minimum(self) -> int:
        """Three patients."""
        return 3

    def action(self, n: int, x: int) -> Action:
        """Compare the DLT rate with the two boundaries."""
        escalate, deescalate = self.boundaries
        if x / n <= escalate + BOUNDARY_TOLERANCE:
            return Action.ESCALATE
        return Action.DEESCALATE if x / n >= deescalate - BOUNDARY_TOLERANCE else Action.STAY

    def explain(self, n: int, x: int, action: Action) -> str:
        """Name the boundary that decided."""
        escalate, deescalate = self.boundaries
        sign = {
            Action.ESCALATE: f"at or below {escalate:.3f}, escalate",
            Action.DEESCALATE: f"at or above {deescalate:.3f}, de-escalate",
        }.get(action, f"between {escalate:.3f} and {deescalate:.3f}, stay")
        return f"rate {x / n:.3f} is {sign}"
