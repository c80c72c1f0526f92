"""The beta and binomial distributions in plain Python, so that a decision at the shell starts at once.

Loading a numerical library takes longer than every decision made here; results agree with it to 1e-12.
"""

from __future__ import annotations

from math import exp, fabs, inf, lgamma, log, log1p, sqrt
from typing import Final

CONTINUED_FRACTION_TOLERANCE: Final = 1e-16
"""Relative change below which the continued fraction has converged: one unit in the last place."""
MOST_TERMS: Final = 20_000
"""The fraction needs about sqrt(max(a, b)) terms; this covers millions of patients."""
QUANTILE_STEPS: Final = 200
"""Bisection halves the bracket each time; 200 steps exhaust double precision from any start."""


def measure_beta_cdf(x: float, *, a: float, b: float) -> float:
    """Return P(X <= x) for X ~ Beta(a, b), the regularised incomplete beta function.

    Continued fraction by the modified Lentz method (Press et al., Numerical Recipes, section 6.4).

    Examples
    --------
    >>> round(measure_beta_cdf(0.3, a=4, b=1), 6)
    0.0081
    """
    if x <= 0.0:
        return 0.0
    if x >= 1.0:
        return 1.0
    front = exp(lgamma(a + b) - lgamma(a) - lgamma(b) + a * log(x) + b * log1p(-x))
    if x < (a + 1.0) / (a + b + 2.0):
        return min(1.0, front * _fraction(x, a, b) / a)
    return max(0.0, 1.0 - front * _fraction(1.0 - x, b, a) / b)


def measure_beta_survival(x: float, *, a: float, b: float) -> float:
    """Return P(X > x) for X ~ Beta(a, b), without cancellation near 0."""
    return measure_beta_cdf(1.0 - x, a=b, b=a)


def measure_beta_quantile(probability: float, *, a: float, b: float) -> float:
    """Return the x at which `measure_beta_cdf` reaches `probability`, by bisection.

    Examples
    --------
    >>> round(measure_beta_quantile(0.975, a=1, b=24), 6)
    0.142474
    """
    low, high = 0.0, 1.0
    for _ in range(QUANTILE_STEPS):
        middle = 0.5 * (low + high)
        if middle in (low, high):
            break
        if measure_beta_cdf(middle, a=a, b=b) < probability:
            low = middle
        else:
            high = middle
    return 0.5 * (low + high)


def measure_binomial_pmf(k: int, *, n: int, p: float) -> float:
    """Return P(X = k) for X ~ Binomial(n, p)."""
    if k < 0 or k > n:
        return 0.0
    if p <= 0.0:
        return 1.0 if k == 0 else 0.0
    if p >= 1.0:
        return 1.0 if k == n else 0.0
    return exp(lgamma(n + 1) - lgamma(k + 1) - lgamma(n - k + 1) + k * log(p) + (n - k) * log1p(-p))


def measure_beta_binomial_pmf(k: int, *, n: int, a: float, b: float) -> float:
    """Return P(X = k) for X ~ Binomial(n, p) with p ~ Beta(a, b)."""
    if k < 0 or k > n:
        return 0.0
    return exp(
        lgamma(n + 1)
        - lgamma(k + 1)
        - lgamma(n - k + 1)
        + lgamma(k + a)
        + lgamma(n - k + b)
        - lgamma(n + a + b)
        + lgamma(a + b)
        - lgamma(a)
        - lgamma(b)
    )


def measure_normal_quantile(probability: float) -> float:
    """Return the standard normal quantile."""
    from statistics import NormalDist

    if probability <= 0.0:
        return -inf
    if probability >= 1.0:
        return inf
    return NormalDist().inv_cdf(probability)


def measure_beta_sd(*, a: float, b: float) -> float:
    """Return the standard deviation of Beta(a, b)."""
    total = a + b
    return sqrt(a * b / (total * total * (total + 1.0)))


def _fraction(x: float, a: float, b: float) -> float:
    tiny = 1e-300
    c, d = 1.0, 1.0 - (a + b) * x / (a + 1.0)
    d = 1.0 / (d if fabs(d) > tiny else tiny)
    value = d
    for m in range(1, MOST_TERMS):
        even = m * (b - m) * x / ((a + 2 * m - 1.0) * (a + 2 * m))
        d = 1.0 + even * d
        c = 1.0 + even / c
        d = 1.0 / (d if fabs(d) > tiny else tiny)
        c = c if fabs(c) > tiny else tiny
        value *= d * c
        odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1.0))
        d = 1.0 + odd * d
        c = 1.0 + odd / c
        d = 1.0 / (d if fabs(d) > tiny else tiny)
        c = c if fabs(c) > tiny else tiny
        change = d * c
        value *= change
        if fabs(change - 1.0) <= CONTINUED_FRACTION_TOLERANCE:
            break
    return value
