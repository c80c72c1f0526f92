"""Simon's two-stage designs (Simon 1989, doi:10.1016/0197-2456(89)90015-9), by an exact search.

Stop after n1 patients with r1 responses or fewer; after n patients the treatment is of interest above r
responses. For given n and n1 the expected size falls as r1 grows, so the largest r1 that still meets both
errors is the best; bounds on the expected size leave only a few pairs to examine.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

import numpy as np

from hepatica.core.errors import InputError, NotFoundError
from hepatica.trials.beta_distribution import measure_beta_cdf
from hepatica.trials.design import check_probability

ERROR_TOLERANCE: Final = 1e-12
"""Attained errors this little above the limit meet it: rounding of sums of a few hundred terms."""
TIE_TOLERANCE: Final = 1e-9
"""Expected sizes this close are equal."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TwoStageDesign:
    """One two-stage design with what it attains.

    Parameters
    ----------
    r1, n1
        Stop after n1 patients with at most r1 responses.
    r, n
        Not of interest after n patients with at most r responses.
    en, pet
        Expected size, and probability of stopping early, under p0.
    alpha, power
        Attained.
    """

    r1: int
    n1: int
    r: int
    n: int
    en: float
    pet: float
    alpha: float
    power: float

    def to_dict(self) -> dict[str, Any]:
        """Return plain values."""
        return {name: getattr(self, name) for name in ("r1", "n1", "r", "n", "en", "pet", "alpha", "power")}


@dataclass(frozen=True, slots=True, kw_only=True)
class SimonDesigns:
    """The designs of one search.

    Parameters
    ----------
    optimal
        Least expected size under p0.
    minimax
        Least maximum size, ties by expected size.
    """

    optimal: TwoStageDesign
    minimax: TwoStageDesign


@dataclass(frozen=True, slots=True, kw_only=True)
class AdmissibleDesign:
    """A design that minimises q n + (1 - q) EN for q in a range (Jung et al. 2004, doi:10.1002/sim.1600).

    Parameters
    ----------
    design
        The design.
    q_from, q_to
        The range of weights.
    """

    design: TwoStageDesign
    q_from: float
    q_to: float


def check_two_rates(p0: float, p1: float, *, alpha: float, beta: float) -> None:
    """Refuse rates and errors that make no design.

    Raises
    ------
    InputError
        If p0 is not below p1, or a value lies outside 0 to 1.
    """
    for name, value in (("p0", p0), ("p1", p1), ("alpha", alpha), ("beta", beta)):
        check_probability(value, name=name)
    if p0 >= p1:
        raise InputError(
            expected="p0 below p1", given=f"{p0:g} and {p1:g}", where="phase II", action="exchange them"
        )


def find_simon_designs(p0: float, p1: float, *, alpha: float, beta: float, nmax: int = 150) -> SimonDesigns:
    """Return Simon's optimal and minimax designs.

    Parameters
    ----------
    p0, p1
        Response probability not of interest, and of interest.
    alpha, beta
        Largest type I and type II error.
    nmax
        Largest size searched.

    Raises
    ------
    NotFoundError
        If no design up to `nmax` meets both errors.

    Examples
    --------
    >>> found = find_simon_designs(0.1, 0.3, alpha=0.05, beta=0.2)
    >>> (found.optimal.r1, found.optimal.n1, found.optimal.r, found.optimal.n)
    (1, 10, 5, 29)
    """
    check_two_rates(p0, p1, alpha=alpha, beta=beta)
    search = _Search(p0=p0, p1=p1, alpha=alpha, beta=beta, nmax=nmax)
    minimax: TwoStageDesign | None = None
    optimal: TwoStageDesign | None = None
    for n in range(search.least_size(), nmax + 1):
        best = search.find_best(n, below=optimal.en if optimal else float("inf"))
        if best is None:
            continue
        minimax = minimax or best
        if optimal is None or best.en < optimal.en - TIE_TOLERANCE:
            optimal = best
        if search.is_hopeless(n + 1, optimal.en):
            break
    if minimax is None or optimal is None:
        raise NotFoundError(
            expected=f"a design with at most {nmax} patients",
            given="none meets both errors",
            where="Simon search",
            action="raise nmax, or relax alpha or beta",
        )
    return SimonDesigns(optimal=optimal, minimax=minimax)


def list_admissible_designs(
    p0: float, p1: float, *, alpha: float, beta: float, nmax: int = 150
) -> tuple[AdmissibleDesign, ...]:
    """Return the designs between minimax and optimal that are best for some weight of size.

    The first is the minimax design (q up to 1), the last the optimal one (q from 0).
    """
    found = find_simon_designs(p0, p1, alpha=alpha, beta=beta, nmax=nmax)
    search = _Search(p0=p0, p1=p1, alpha=alpha, beta=beta, nmax=nmax)
    candidates = [found.minimax]
    for n in range(found.minimax.n + 1, found.optimal.n + 1):
        best = search.find_best(n, below=candidates[-1].en)
        if best is not None and best.en < candidates[-1].en - TIE_TOLERANCE:
            candidates.append(best)
    hull: list[TwoStageDesign] = []
    for design in candidates:
        while len(hull) > 1 and _slope(hull[-2], design) <= _slope(hull[-2], hull[-1]):
            hull.pop()
        hull.append(design)
    rows = []
    upper = 1.0
    for design, following in zip(hull, [*hull[1:], None]):
        if following is None:
            lower = 0.0
        else:  # equal weight where q n + (1 - q) EN agree
            gain, cost = design.en - following.en, following.n - design.n
            lower = gain / (gain + cost)
        rows.append(AdmissibleDesign(design=design, q_from=lower, q_to=upper))
        upper = lower
    return tuple(rows)


def measure_two_stage(r1: int, n1: int, r: int, n: int, *, p: float) -> tuple[float, float]:
    """Return (probability of stopping early, probability of exceeding r) for a response probability."""
    first, second = _pmf(n1, p), _pmf(n - n1, p)
    beyond = np.append(np.cumsum(second[::-1])[::-1], 0.0)  # beyond[m] = P(X2 >= m)
    go = 0.0
    for k in range(r1 + 1, n1 + 1):
        go += first[k] * beyond[min(max(r + 1 - k, 0), n - n1 + 1)]
    return float(first[: r1 + 1].sum()), float(go)


def _slope(a: TwoStageDesign, b: TwoStageDesign) -> float:
    return (b.en - a.en) / (b.n - a.n)


@lru_cache(maxsize=4096)
def _pmf(n: int, p: float) -> Any:
    pmf = np.zeros(n + 1)
    pmf[0] = 1.0
    if n:
        half = _pmf(n // 2, p)
        pmf = np.convolve(half, half)
        if n % 2:
            pmf = np.convolve(pmf, np.array([1 - p, p]))
    return pmf


class _Search:
    """Tables shared by the sizes of one search."""

    def __init__(self, *, p0: float, p1: float, alpha: float, beta: float, nmax: int) -> None:
        self.alpha, self.beta, self.nmax = alpha, beta, nmax
        self.null, self.good = _tabulate(nmax, p0), _tabulate(nmax, p1)
        cumulative = np.cumsum(self.good.pmf, axis=1)
        self.most_r1 = (cumulative <= beta + ERROR_TOLERANCE).sum(axis=1) - 1
        self.most_r1 = np.minimum(self.most_r1, np.arange(nmax + 1) - 1)  # of n1 patients at most n1 - 1
        below = np.hstack([np.zeros((nmax + 1, 1)), np.cumsum(self.null.pmf, axis=1)])
        self.most_pet = below[np.arange(nmax + 1), self.most_r1 + 1]

    def least_size(self) -> int:
        """Return the least size at which a randomised one-stage test, the best there is, could do."""
        for n in range(2, self.nmax + 1):
            r = self._critical(n)
            share = (self.alpha - self.null.above(n, r)) / self.null.pmf[n, r]
            if self.good.above(n, r) + share * self.good.pmf[n, r] >= 1 - self.beta - ERROR_TOLERANCE:
                return n
        return self.nmax + 1

    def bounds(self, n: int) -> Any:
        """Return for each n1 below n a lower bound of the expected size; infinite where no r1 is allowed."""
        n1 = np.arange(1, n)
        bound = n1 + (1 - self.most_pet[1:n]) * (n - n1)
        return np.where(self.most_r1[1:n] >= 0, bound, np.inf)

    def is_hopeless(self, n: int, en: float) -> bool:
        """Return whether no design of size n or more can have an expected size below `en`."""
        return n > self.nmax or bool((self.bounds(n) >= en - TIE_TOLERANCE).all())

    def find_best(self, n: int, *, below: float) -> TwoStageDesign | None:
        """Return the design of size n with the least expected size below a value, if any."""
        n1 = np.nonzero(self.bounds(n) < below - TIE_TOLERANCE)[0] + 1
        if not n1.size:
            return None
        k = np.arange(int(self.most_r1[n1].max()) + 1)
        allowed = k[None, :] <= self.most_r1[n1][:, None]
        passing: list[tuple[int, Any]] = []
        for r in range(
            self._critical(n), -1, -1
        ):  # as r falls the power rises, until the type I error is too large
            meets = allowed & (k <= r) & (self.null.exceed(n, n1, r, k) <= self.alpha + ERROR_TOLERANCE)
            if not meets.any():
                break
            passing.append((r, meets & (self.good.exceed(n, n1, r, k) >= 1 - self.beta - ERROR_TOLERANCE)))
        if not passing:
            return None
        any_r = np.logical_or.reduce([good for _, good in passing])
        r1 = np.where(any_r.any(axis=1), k.size - 1 - np.argmax(any_r[:, ::-1], axis=1), -1)
        pet = np.array([self.null.pmf[m, : e + 1].sum() for m, e in zip(n1, r1)])
        en = np.where(r1 >= 0, n1 + (1 - pet) * (n - n1), np.inf)
        i = int(np.argmin(en))
        if en[i] >= below - TIE_TOLERANCE:
            return None
        r = min(r for r, good in passing if good[i, r1[i]])
        at = (n, n1[i : i + 1], r, np.arange(r1[i] + 1))
        return TwoStageDesign(
            r1=int(r1[i]),
            n1=int(n1[i]),
            r=r,
            n=n,
            en=float(en[i]),
            pet=float(pet[i]),
            alpha=float(self.null.exceed(*at)[0, -1]),
            power=float(self.good.exceed(*at)[0, -1]),
        )

    def _critical(self, n: int) -> int:
        """Return the least r at which the one-stage test of size n keeps the type I error."""
        return int(
            (self.null.tail[n, self.nmax + 1 : self.nmax + 1 + n] > self.alpha + ERROR_TOLERANCE).sum()
        )


@dataclass(frozen=True, slots=True)
class _Binomial:
    """Probabilities for all sizes up to nmax; ``tail[m, nmax + 1 + j]`` is P(X > j), 1 for negative j."""

    pmf: Any
    tail: Any
    offset: int

    def above(self, n: int, r: int) -> float:
        """Return P(X > r) in n patients."""
        return float(self.tail[n, self.offset + r])

    def exceed(self, n: int, n1: Any, r: int, k: Any) -> Any:
        """Return P(X1 > r1, X1 + X2 > r) for each n1 (rows) and r1 = k (columns)."""
        lost = self.pmf[n1[:, None], k] * self.tail[(n - n1)[:, None], self.offset + r - k]
        return self.above(n, r) - np.cumsum(lost, axis=1)


@lru_cache(maxsize=32)
def _tabulate(nmax: int, p: float) -> _Binomial:
    pmf = np.zeros((nmax + 1, nmax + 1))
    pmf[0, 0] = 1.0
    for n in range(1, nmax + 1):
        pmf[n] = (1 - p) * pmf[n - 1]
        pmf[n, 1:] += p * pmf[n - 1, :-1]
    tail = np.ones((nmax + 1, 2 * nmax + 2))
    tail[:, nmax + 1 :] = np.cumsum(pmf[:, ::-1], axis=1)[:, ::-1] - pmf
    return _Binomial(pmf, tail, nmax + 1)


def measure_tail(k: int, *, n: int, p: float) -> float:
    """Return P(X >= k) for X ~ Binomial(n, p)."""
    return 1.0 if k <= 0 else 0.0 if k > n else measure_beta_cdf(p, a=k, b=n - k + 1)
