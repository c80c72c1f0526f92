"""Intervals for a proportion, with the conventions at 0 and n stated."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import sqrt

from hepatica.core.errors import InputError, NotFoundError
from hepatica.trials.beta_distribution import measure_beta_quantile, measure_normal_quantile
from hepatica.trials.design import check_probability


@dataclass(frozen=True, slots=True, kw_only=True)
class ProportionInterval:
    """A proportion with its limits, all as fractions.

    Parameters
    ----------
    estimate
        x / n.
    lower, upper
        Limits.
    """

    estimate: float
    lower: float
    upper: float


def derive_interval(
    x: int, n: int, *, method: str = "clopper-pearson", conf: float = 0.95
) -> ProportionInterval:
    """Return a two-sided interval for x of n.

    Parameters
    ----------
    x, n
        Patients with the event, patients in the full group.
    method
        ``clopper-pearson``; ``wilson``; ``wilson-cc`` with continuity correction (Newcombe 1998, method 4);
        ``jeffreys`` with the lower limit 0 at x = 0 and the upper limit 1 at x = n; ``agresti-coull`` clipped
        to 0-1.
    conf
        Confidence level.

    Raises
    ------
    InputError
        If x is not between 0 and n, or n is 0.
    NotFoundError
        If the method is unknown.

    Examples
    --------
    >>> interval = derive_interval(2, 24)
    >>> round(interval.lower, 4), round(interval.upper, 4)
    (0.0103, 0.27)
    """
    if n < 1 or not 0 <= x <= n:
        raise InputError(expected="0 <= x <= n with n at least 1", given=f"x {x}, n {n}", where="interval")
    check_probability(conf, name="confidence level")
    if method not in _METHODS:
        raise NotFoundError(
            expected=f"one of {', '.join(_METHODS)}", given=f"'{method}'", where="interval method"
        )
    lower, upper = _METHODS[method](x, n, (1 - conf) / 2)
    return ProportionInterval(estimate=x / n, lower=lower, upper=upper)


def _clopper_pearson(x: int, n: int, tail: float) -> tuple[float, float]:
    lower = 0.0 if x == 0 else measure_beta_quantile(tail, a=x, b=n - x + 1)
    upper = 1.0 if x == n else measure_beta_quantile(1 - tail, a=x + 1, b=n - x)
    return lower, upper


def _wilson(x: int, n: int, tail: float) -> tuple[float, float]:
    z = measure_normal_quantile(1 - tail)
    centre = (x + z * z / 2) / (n + z * z)
    half = z * sqrt(x * (n - x) / n + z * z / 4) / (n + z * z)
    return (0.0 if x == 0 else centre - half), (1.0 if x == n else centre + half)


def _wilson_cc(x: int, n: int, tail: float) -> tuple[float, float]:
    z = measure_normal_quantile(1 - tail)
    p = x / n
    base = 2 * n * p + z * z
    low = (base - 1 - z * sqrt(max(z * z - 2 - 1 / n + 4 * p * (n * (1 - p) + 1), 0.0))) / (2 * (n + z * z))
    high = (base + 1 + z * sqrt(max(z * z + 2 - 1 / n + 4 * p * (n * (1 - p) - 1), 0.0))) / (2 * (n + z * z))
    return (0.0 if x == 0 else max(0.0, low)), (1.0 if x == n else min(1.0, high))


def _jeffreys(x: int, n: int, tail: float) -> tuple[float, float]:
    a, b = x + 0.5, n - x + 0.5
    lower = 0.0 if x == 0 else measure_beta_quantile(tail, a=a, b=b)
    upper = 1.0 if x == n else measure_beta_quantile(1 - tail, a=a, b=b)
    return lower, upper


def _agresti_coull(x: int, n: int, tail: float) -> tuple[float, float]:
    z = measure_normal_quantile(1 - tail)
    total = n + z * z
    p = (x + z * z / 2) / total
    half = z * sqrt(p * (1 - p) / total)
    return max(0.0, p - half), min(1.0, p + half)


_METHODS: dict[str, Callable[[int, int, float], tuple[float, float]]] = {
    "clopper-pearson": _clopper_pearson,
    "wilson": _wilson,
    "wilson-cc": _wilson_cc,
    "jeffreys": _jeffreys,
    "agresti-coull": _agresti_coull,
}
INTERVAL_METHODS: tuple[str, ...] = tuple(_METHODS)
"""Names of the methods."""
