"""Competing risks: the Aalen-Johansen cumulative incidence."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from hepatica.trials.beta_distribution import measure_normal_quantile
from hepatica.trials.design import check_probability
from hepatica.trials.endpoints.times import FollowUp


@dataclass(frozen=True, slots=True, kw_only=True)
class IncidenceCurve:
    """Cumulative incidence of one kind of event.

    Parameters
    ----------
    cause
        Event code.
    time, n_risk, n_event
        Distinct times, patients at risk just before, events of this kind.
    incidence
        Probability of having had this event first.
    std_err
        Standard error (delta method, Marubini and Valsecchi 1995, section 10.2).
    lower, upper
        Limits on the log-log scale of the incidence; NaN where it is 0.
    """

    cause: int
    time: Any
    n_risk: Any
    n_event: Any
    incidence: Any
    std_err: Any
    lower: Any
    upper: Any


def estimate_incidence(times: Any, events: Any, *, conf: float = 0.95) -> tuple[IncidenceCurve, ...]:
    """Return the Aalen-Johansen curve of every kind of event.

    Parameters
    ----------
    times
        Follow-up times, 0 or more.
    events
        0 censored, 1, 2, ... the kind of event that came first.
    conf
        Confidence level.

    Raises
    ------
    InputError
        For impossible data.

    Examples
    --------
    >>> first, second = estimate_incidence([1.0, 2.0, 3.0, 4.0], [1, 2, 1, 2])
    >>> first.incidence.tolist(), second.incidence.tolist()
    ([0.25, 0.25, 0.5, 0.5], [0.0, 0.25, 0.25, 0.5])
    """
    check_probability(conf, name="confidence level")
    data = FollowUp.from_arrays(times, events, competing=True)
    causes = [int(c) for c in np.unique(data.events) if c > 0]
    time, first = np.unique(data.times, return_index=True)
    n = (data.times.size - first).astype(float)
    died = {c: np.add.reduceat((data.events == c).astype(float), first) for c in causes}
    total = np.sum(list(died.values()), axis=0) if causes else np.zeros(time.size)
    survival = np.cumprod(1.0 - total / n)
    before = np.concatenate([[1.0], survival[:-1]])
    z = measure_normal_quantile((1 + conf) / 2)
    curves = []
    for cause in causes:
        d = died[cause]
        incidence = np.cumsum(before * d / n)
        se = np.sqrt(_derive_variance(incidence, before, d=d, total=total, n=n))
        inside = (incidence > 0) & (incidence < 1)
        f = np.where(inside, incidence, 0.5)
        half = z * se / (f * np.log(f))
        low, high = f ** np.exp(-half), f ** np.exp(half)
        curves.append(
            IncidenceCurve(
                cause=cause,
                time=time,
                n_risk=n.astype(np.int64),
                n_event=d.astype(np.int64),
                incidence=incidence,
                std_err=se,
                lower=np.where(inside, np.minimum(low, high), np.nan),
                upper=np.where(inside, np.maximum(low, high), np.nan),
            )
        )
    return tuple(curves)


def _derive_variance(incidence: Any, before: Any, *, d: Any, total: Any, n: Any) -> Any:
    """Return the variance of the incidence at each time, by running sums of the three terms."""
    hazard = np.divide(total, n * (n - total), out=np.zeros(n.size), where=n > total)
    own = before**2 * d * (n - d) / n**3
    cross = before * d / n**2
    # sum over earlier times of (F(t) - F(s))^2 h + S^2 d (n - d) / n^3 - 2 (F(t) - F(s)) S d / n^2
    h0, h1, h2 = (np.cumsum(incidence**k * hazard) for k in (0, 1, 2))
    c0, c1 = np.cumsum(cross), np.cumsum(incidence * cross)
    variance = incidence**2 * h0 - 2 * incidence * h1 + h2 + np.cumsum(own) - 2 * (incidence * c0 - c1)
    return np.maximum(variance, 0.0)
