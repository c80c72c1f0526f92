"""BOP2 (Zhou, Lee and Yuan 2017, doi:10.1002/sim.7338): optimal Bayesian phase II, one endpoint or a pair.

Stop when P(p > p0 | data) < lambda (n / N) ** gamma. lambda and gamma are searched on a grid for the largest
power under a type I limit; every probability is exact, by following the counts from look to look. A pair
(response, DLT) has a Dirichlet prior on the four outcomes; it stops when either margin fails.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final

import numpy as np

from hepatica.core.errors import InputError, NotFoundError
from hepatica.trials.beta_distribution import measure_beta_survival
from hepatica.trials.design import check_probability

GRID_STEP: Final = 0.01
"""Step of lambda (0 to 1) and of gamma (0 to 1) in the search, as in the authors' application."""
TIE_TOLERANCE: Final = 1e-12
"""Powers this close are equal; the smaller expected size then decides."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bop2Design:
    """A BOP2 design for one binary endpoint.

    Parameters
    ----------
    lambda_, gamma
        Parameters of the stopping limit.
    looks
        Patients at each look; the last is the total.
    stop_if_le
        At each look: stop (at the end: not of interest) with at most this many responses; -1 for never.
    alpha, power
        Exact probability of success under p0 and p1.
    en0
        Expected size under p0.
    """

    lambda_: float
    gamma: float
    looks: tuple[int, ...]
    stop_if_le: tuple[int, ...]
    alpha: float
    power: float
    en0: float

    def to_dict(self) -> dict[str, Any]:
        """Return plain values."""
        return {
            "lambda": self.lambda_,
            "gamma": self.gamma,
            "boundaries": [
                {"n": n, "stop_if_le": s if s >= 0 else None} for n, s in zip(self.looks, self.stop_if_le)
            ],
            "alpha": self.alpha,
            "power": self.power,
            "en0": self.en0,
        }


def find_bop2_design(
    p0: float, p1: float, *, alpha: float, looks: tuple[int, ...], prior: tuple[float, float] | None = None
) -> Bop2Design:
    """Return the BOP2 design with the largest power under a type I limit.

    Parameters
    ----------
    p0, p1
        Response probability not of interest, and of interest.
    alpha
        Largest type I error.
    looks
        Patients at each look, increasing; the last is the total.
    prior
        Beta prior; (p0, 1 - p0), one patient's worth, unless given.

    Raises
    ------
    NotFoundError
        If no pair of parameters meets the type I limit.

    Examples
    --------
    >>> design = find_bop2_design(0.2, 0.4, alpha=0.1, looks=(10, 20, 40))
    >>> design.alpha <= 0.1
    True
    """
    for name, value in (("p0", p0), ("p1", p1), ("alpha", alpha)):
        check_probability(value, name=name)
    if p0 >= p1 or not looks or looks[0] < 1 or any(a >= b for a, b in pairwise(looks)):
        raise InputError(
            expected="p0 below p1 and increasing looks", given=f"{p0:g}, {p1:g}, {looks}", where="BOP2"
        )
    a, b = prior or (p0, 1 - p0)
    chances = [
        np.array([measure_beta_survival(p0, a=a + x, b=b + n - x) for x in range(n + 1)]) for n in looks
    ]
    total = looks[-1]
    seen: dict[tuple[int, ...], tuple[float, float]] = {}
    for step in range(1, round(1 / GRID_STEP)):
        for bend in range(round(1 / GRID_STEP) + 1):
            level, gamma = step * GRID_STEP, bend * GRID_STEP
            limits = tuple(
                int(np.searchsorted(chance, level * (n / total) ** gamma, side="left")) - 1
                for n, chance in zip(looks, chances)
            )
            seen.setdefault(limits, (level, gamma))
    best: Bop2Design | None = None
    for limits, (level, gamma) in seen.items():
        type_one, en0 = follow_looks(looks, limits, p=p0)
        if type_one > alpha:
            continue
        power, _ = follow_looks(looks, limits, p=p1)
        better = best is None or power > best.power + TIE_TOLERANCE
        tied = best is not None and abs(power - best.power) <= TIE_TOLERANCE and en0 < best.en0
        if better or tied:
            best = Bop2Design(
                lambda_=level,
                gamma=gamma,
                looks=looks,
                stop_if_le=limits,
                alpha=type_one,
                power=power,
                en0=en0,
            )
    if best is None:
        raise NotFoundError(
            expected="a stopping limit that keeps the type I error",
            given=f"none for alpha {alpha:g}",
            where="BOP2",
            action="raise the number of patients or alpha",
        )
    return best


def follow_looks(looks: tuple[int, ...], limits: tuple[int, ...], *, p: float) -> tuple[float, float]:
    """Return (probability of passing every look, expected size), exactly.

    Parameters
    ----------
    looks
        Patients at each look.
    limits
        Stop with at most this many responses; -1 for never.
    p
        True response probability.
    """
    from hepatica.trials.phase2.simon import _pmf

    alive = np.ones(1)
    before, size = 0, 0.0
    for n, limit in zip(looks, limits):
        size += float(alive.sum()) * (n - before)
        alive = np.convolve(alive, _pmf(n - before, p))
        alive[: limit + 1] = 0.0
        before = n
    return float(alive.sum()), size


def decide_pair(
    counts: tuple[int, int, int, int],
    *,
    prior: tuple[float, float, float, float],
    response_floor: float,
    dlt_ceiling: float,
    cutoff: float,
) -> tuple[bool, float, float]:
    """Return whether a pair of endpoints goes on, with P(response > floor) and P(DLT <= ceiling).

    Parameters
    ----------
    counts, prior
        Patients, and Dirichlet parameters, for response without DLT, response with DLT, neither, DLT alone.
    response_floor, dlt_ceiling
        Limits of the two margins.
    cutoff
        Least posterior probability of each, lambda (n / N) ** gamma.

    Examples
    --------
    >>> go, response, safe = decide_pair((6, 1, 8, 1), prior=(0.15, 0.05, 0.6, 0.2), response_floor=0.2,
    ...                                  dlt_ceiling=0.3, cutoff=0.6)
    >>> go, round(response, 3), round(safe, 3)
    (True, 0.979, 0.962)
    """
    a = [c + q for c, q in zip(counts, prior)]
    if min(prior) <= 0 or min(counts) < 0:
        raise InputError(
            expected="positive prior parameters and counts of 0 or more", given=str(counts), where="BOP2"
        )
    response = measure_beta_survival(response_floor, a=a[0] + a[1], b=a[2] + a[3])
    safe = 1.0 - measure_beta_survival(dlt_ceiling, a=a[1] + a[3], b=a[0] + a[2])
    return response >= cutoff and safe >= cutoff, response, safe
