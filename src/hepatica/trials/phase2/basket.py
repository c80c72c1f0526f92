"""Baskets: response in several tumour types, alone or borrowing strength from each other.

``independent``: Beta posteriors. ``fujikawa``: Beta posteriors mixed by similarity, in closed form (Fujikawa
et al. 2020, doi:10.1002/bimj.201800404). ``hierarchical``: logits exchangeable normal (Thall et al. 2003).
``exnex``: each basket exchangeable or not, with a fixed weight (Neuenschwander et al. 2016,
doi:10.1002/pst.1730). Given mean and spread of the exchangeable logits the baskets are independent, so three
nested sums replace sampling.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from math import log
from typing import Any, Final

import numpy as np

from hepatica.core.errors import InputError, NotFoundError
from hepatica.trials.beta_distribution import measure_beta_survival
from hepatica.trials.design import check_probability

BASKET_METHODS: Final = ("independent", "fujikawa", "hierarchical", "exnex")
"""Names of the methods."""
LOGIT_POINTS: Final = 400
LOGIT_HALF_RANGE: Final = 12.0
"""Logits within this distance of the null are summed; the weak priors used put less than 1e-5 beyond."""
MEAN_POINTS: Final = 61
SPREAD_POINTS: Final = 40


@dataclass(frozen=True, slots=True, kw_only=True)
class BasketPrior:
    """Priors of the four methods. The defaults are weak and unverified.

    Parameters
    ----------
    beta
        Beta prior of every basket (independent, fujikawa).
    mean_sd
        Prior standard deviation of the mean logit around the null.
    spread_scale
        Scale of the half-normal prior of the spread between baskets.
    exchangeable_weight
        Weight of exchangeability in ``exnex``.
    alone_sd
        Prior standard deviation of the logit of a basket that is not exchangeable.
    power, threshold
        Similarities are raised to ``power``, and below ``threshold`` nothing is borrowed (fujikawa).
    """

    beta: tuple[float, float] = (1.0, 1.0)
    mean_sd: float = 2.0
    spread_scale: float = 1.0
    exchangeable_weight: float = 0.5
    alone_sd: float = 2.0
    power: float = 2.0
    threshold: float = 0.5

    def __post_init__(self) -> None:
        """Refuse impossible priors."""
        positive = (*self.beta, self.mean_sd, self.spread_scale, self.alone_sd, self.power)
        if min(positive) <= 0 or not (0 <= self.exchangeable_weight <= 1 and 0 <= self.threshold <= 1):
            raise InputError(
                expected="positive scales and weights in 0 to 1", given=str(self), where="basket prior"
            )


def assess_baskets(
    responses: tuple[int, ...],
    counts: tuple[int, ...],
    *,
    p0: float,
    method: str,
    prior: BasketPrior | None = None,
) -> tuple[float, ...]:
    """Return for each basket the posterior probability that its response rate exceeds p0.

    Parameters
    ----------
    responses, counts
        Responses and patients by basket.
    p0
        Response probability not of interest.
    method
        One of `BASKET_METHODS`.
    prior
        See `BasketPrior`.

    Examples
    --------
    >>> [round(p, 3) for p in assess_baskets((2, 0), (24, 10), p0=0.1, method="independent")]
    [0.537, 0.314]
    """
    check_probability(p0, name="p0")
    if method not in BASKET_METHODS:
        raise NotFoundError(
            expected=f"one of {', '.join(BASKET_METHODS)}", given=f"'{method}'", where="baskets"
        )
    if len(responses) != len(counts) or not counts or any(not 0 <= x <= n for x, n in zip(responses, counts)):
        raise InputError(
            expected="0 <= responses <= patients for each basket",
            given=f"{responses} of {counts}",
            where="baskets",
        )
    chosen = prior or BasketPrior()
    if method in ("hierarchical", "exnex"):
        return _assess_exchangeable(responses, counts, p0=p0, prior=chosen, mixed=method == "exnex")
    shapes = [(chosen.beta[0] + x, chosen.beta[1] + n - x) for x, n in zip(responses, counts)]
    if method == "fujikawa":
        weights = _measure_similarity(shapes, prior=chosen)
        shapes = [
            (sum(w * a for w, (a, _) in zip(row, shapes)), sum(w * b for w, (_, b) in zip(row, shapes)))
            for row in weights
        ]
    return tuple(measure_beta_survival(p0, a=a, b=b) for a, b in shapes)


def simulate_baskets(
    counts: tuple[int, ...],
    truth: tuple[float, ...],
    *,
    p0: float,
    method: str,
    cutoff: float,
    trials: int,
    seed: int,
    prior: BasketPrior | None = None,
) -> tuple[float, ...]:
    """Return for each basket how often it is called of interest: type I error where truth is p0, else power.

    Parameters
    ----------
    counts, truth
        Patients and true response probability by basket.
    p0, method, prior
        As for `assess_baskets`.
    cutoff
        Posterior probability above which a basket is of interest.
    trials, seed
        Simulated trials, and their seed.
    """
    if len(counts) != len(truth) or trials < 1 or not all(0 <= p <= 1 for p in truth):
        raise InputError(
            expected="one true rate for each basket", given=f"{truth} for {counts}", where="baskets"
        )
    rng = np.random.default_rng(seed)
    outcomes, times = np.unique(
        rng.binomial(counts, truth, size=(trials, len(counts))), axis=0, return_counts=True
    )
    called = np.zeros(len(counts))
    for row, repeated in zip(outcomes, times):
        chances = assess_baskets(tuple(int(x) for x in row), counts, p0=p0, method=method, prior=prior)
        called += repeated * (np.array(chances) > cutoff)
    return tuple(float(share) for share in called / trials)


def _measure_similarity(shapes: list[tuple[float, float]], *, prior: BasketPrior) -> Any:
    """Return weights from the Jensen-Shannon divergence (base 2) between posteriors."""
    p = (np.arange(2000) + 0.5) / 2000
    densities = []
    for a, b in shapes:
        logs = (a - 1) * np.log(p) + (b - 1) * np.log1p(-p)
        density = np.exp(logs - logs.max())
        densities.append(density / density.sum())
    weights = np.ones((len(shapes),) * 2)
    for i, f in enumerate(densities):
        for j, g in enumerate(densities):
            middle = 0.5 * (f + g)
            divergence = 0.5 * (_entropy_gap(f, middle) + _entropy_gap(g, middle))
            similarity = (1.0 - divergence) ** prior.power
            weights[i, j] = similarity if i == j or similarity > prior.threshold else 0.0
    return weights


def _entropy_gap(f: Any, g: Any) -> float:
    kept = f > 0
    return float((f[kept] * np.log2(f[kept] / g[kept])).sum())


@lru_cache(maxsize=8)
def _tabulate(p0: float, prior: BasketPrior) -> tuple[Any, Any, Any, Any]:
    """Return logits, their weights by mean and spread and for a lone basket, and those of mean and spread."""
    centre, step = log(p0 / (1 - p0)), 2 * LOGIT_HALF_RANGE / LOGIT_POINTS
    # the null lies between two points, so that summing the points above it is the midpoint rule
    logit = centre + (np.arange(LOGIT_POINTS) - LOGIT_POINTS / 2 + 0.5) * step
    mean = np.linspace(-4, 4, MEAN_POINTS) * prior.mean_sd
    spread = (np.arange(SPREAD_POINTS) + 0.5) * 4 * prior.spread_scale / SPREAD_POINTS
    z = (logit[None, None, :] - centre - mean[:, None, None]) / spread[None, :, None]
    weight = np.exp(-0.5 * z * z) / spread[None, :, None]
    weight /= weight.sum(axis=2, keepdims=True)
    alone = np.exp(-0.5 * ((logit - centre) / prior.alone_sd) ** 2)
    hyper = (
        np.exp(-0.5 * (mean / prior.mean_sd) ** 2)[:, None]
        * np.exp(-0.5 * (spread / prior.spread_scale) ** 2)[None]
    )
    return logit, weight.reshape(-1, LOGIT_POINTS), alone / alone.sum(), (hyper / hyper.sum()).ravel()


def _assess_exchangeable(
    responses: tuple[int, ...], counts: tuple[int, ...], *, p0: float, prior: BasketPrior, mixed: bool
) -> tuple[float, ...]:
    logit, weight, alone, hyper = _tabulate(p0, prior)
    share = prior.exchangeable_weight if mixed else 1.0
    above = np.arange(LOGIT_POINTS) >= LOGIT_POINTS // 2
    totals, parts = [], []
    for x, n in zip(responses, counts):
        logs = -x * np.logaddexp(0.0, -logit) - (n - x) * np.logaddexp(0.0, logit)
        likelihood = np.exp(logs - logs.max())
        totals.append(share * (weight @ likelihood) + (1 - share) * (alone @ likelihood))
        high = likelihood * above
        parts.append(share * (weight @ high) + (1 - share) * (alone @ high))
    logs = np.log(hyper) + np.sum(np.log(totals), axis=0)
    posterior = np.exp(logs - logs.max())
    posterior /= posterior.sum()
    return tuple(float((posterior * part / total).sum()) for part, total in zip(parts, totals))
