"""BOP2 (Zhou, Lee and Yuan 2017, doi:10.1002/sim.7338): optimal Bayesian phase II, one endpoint or a pair.

Stop when P(p > p0 | data) < lambda (n / N) ** gamma. lambda and gamma are searched on a grid for the largest
power under a type I limit; every probability is exact, by following the counts from look to look. A pair
(response, DLT) has a Dirichlet prior on the four outcomes; it stops when either margin fails.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final, Protocol, TypeVar

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
    best: Bop2Design | None = None
    for limits, (level, gamma) in list_limits((chances,), looks):
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


def find_bop2_size(
    p0: float, p1: float, *, alpha: float, beta: float, first: int, every: int, nmax: int
) -> Bop2Design:
    """Return the smallest BOP2 design with looks at regular intervals that reaches the power.

    Parameters
    ----------
    p0, p1, alpha
        As for `find_bop2_design`.
    beta, first, every, nmax
        As for `search_size`.

    Raises
    ------
    NotFoundError
        If no total up to `nmax` reaches the power.

    Examples
    --------
    >>> find_bop2_size(0.2, 0.5, alpha=0.1, beta=0.2, first=6, every=6, nmax=40).power >= 0.8
    True
    """

    def find(looks: tuple[int, ...]) -> Bop2Design | None:
        if measure_most_power(p0, p1, alpha=alpha, n=looks[-1]) < 1 - beta:
            return None
        return find_bop2_design(p0, p1, alpha=alpha, looks=looks)

    return search_size(find, beta=beta, first=first, every=every, nmax=nmax)


class HasPower(Protocol):
    """A design that knows its power."""

    @property
    def power(self) -> float:
        """Probability of success under the alternative."""
        ...


Found = TypeVar("Found", bound=HasPower)


def search_size(
    find: Callable[[tuple[int, ...]], Found | None], *, beta: float, first: int, every: int, nmax: int
) -> Found:
    """Return the first design, as the total grows, that reaches the power.

    Parameters
    ----------
    find
        Returns the best design for looks, None where it cannot reach the power.
    beta
        Largest type II error.
    first, every
        Patients at the first look, and between looks; the last look is at the total.
    nmax
        Most patients searched.

    Raises
    ------
    NotFoundError
        If no total up to `nmax` reaches the power.
    """
    check_probability(beta, name="beta")
    if first < 1 or every < 1 or nmax < first:
        raise InputError(
            expected="a first look and an interval of at least 1 patient, up to the most patients",
            given=f"{first}, {every}, {nmax}",
            where="BOP2",
        )
    for total in range(first, nmax + 1):
        with suppress(NotFoundError):
            found = find((*range(first, total, every), total))
            if found is not None and found.power >= 1 - beta:
                return found
    raise NotFoundError(
        expected=f"a design of at most {nmax} patients with power {1 - beta:g}",
        given="none",
        where="BOP2",
        action="raise the most patients, alpha or beta",
    )


def measure_most_power(p0: float, p1: float, *, alpha: float, n: int) -> float:
    """Return the power of the randomised test of n patients: by Neyman and Pearson no design has more.

    Examples
    --------
    >>> round(measure_most_power(0.2, 0.4, alpha=0.1, n=40), 4)
    0.9351
    """
    from hepatica.trials.phase2.simon import _pmf

    null, real = _pmf(n, p0)[::-1], _pmf(n, p1)[::-1]
    tails = np.cumsum(null)
    whole = int(np.searchsorted(tails, alpha, side="right"))
    if whole > n:
        return 1.0
    rest = (alpha - (tails[whole - 1] if whole else 0.0)) / null[whole]
    return float(real[:whole].sum() + rest * real[whole])


def list_limits(
    chances: Sequence[Sequence[Any]], looks: tuple[int, ...]
) -> list[tuple[tuple[int, ...], tuple[float, float]]]:
    """Return every distinct set of stopping limits on the grid, with the first lambda and gamma that give it.

    Parameters
    ----------
    chances
        For each endpoint and look: P(the endpoint is met | count) for counts 0, 1, ..., ascending.
    looks
        Patients at each look.

    Returns
    -------
    Limits of the first endpoint at each look, then of the next: the largest count that falls below the cutoff,
    -1 for none.
    """
    steps = round(1 / GRID_STEP)
    level, gamma = (
        grid.ravel() for grid in np.meshgrid(np.arange(1, steps), np.arange(steps + 1), indexing="ij")
    )
    level, gamma = np.round(level * GRID_STEP, 10), np.round(gamma * GRID_STEP, 10)
    columns = [
        np.searchsorted(chance, level * (n / looks[-1]) ** gamma, side="left") - 1
        for endpoint in chances
        for n, chance in zip(looks, endpoint)
    ]
    rows, first = np.unique(np.column_stack(columns), axis=0, return_index=True)
    return [
        (tuple(int(v) for v in rows[i]), (float(level[first[i]]), float(gamma[first[i]])))
        for i in np.argsort(first)
    ]


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
