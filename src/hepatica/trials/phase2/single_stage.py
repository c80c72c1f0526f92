"""Exact one-stage designs (Fleming 1982; A'Hern 2001, doi:10.1002/sim.721)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from hepatica.core.errors import NotFoundError
from hepatica.trials.phase2.simon import ERROR_TOLERANCE, check_two_rates, measure_tail


@dataclass(frozen=True, slots=True, kw_only=True)
class OneStageDesign:
    """One-stage design: of interest above r responses in n patients.

    Parameters
    ----------
    r, n
        Largest number of responses that is not of interest, patients.
    alpha, power
        Attained.
    """

    r: int
    n: int
    alpha: float
    power: float

    def to_dict(self) -> dict[str, Any]:
        """Return plain values."""
        return {"r": self.r, "n": self.n, "alpha": self.alpha, "power": self.power}


def find_one_stage_design(
    p0: float, p1: float, *, alpha: float, beta: float, nmax: int = 1000
) -> OneStageDesign:
    """Return the least n at which an exact binomial test meets both errors.

    Raises
    ------
    NotFoundError
        If none does up to `nmax`.

    Examples
    --------
    >>> design = find_one_stage_design(0.1, 0.3, alpha=0.05, beta=0.2)
    >>> (design.r, design.n)
    (5, 25)
    """
    check_two_rates(p0, p1, alpha=alpha, beta=beta)
    r = 0
    for n in range(1, nmax + 1):
        r = max(r - 1, 0)
        while measure_tail(r + 1, n=n, p=p0) > alpha + ERROR_TOLERANCE:
            r += 1
        power = measure_tail(r + 1, n=n, p=p1)
        if r < n and power >= 1 - beta - ERROR_TOLERANCE:
            return OneStageDesign(r=r, n=n, alpha=measure_tail(r + 1, n=n, p=p0), power=power)
    raise NotFoundError(
        expected=f"a design with at most {nmax} patients",
        given="none meets both errors",
        where="single-stage search",
        action="raise nmax, or relax alpha or beta",
    )
