"""Kaplan-Meier curves with limits, medians, landmark rates, restricted means and follow-up.

Conventions: Greenwood variance; log, log-log or plain limits; limits are undefined where the curve is 0. A
quantile and each of its limits follow one rule: the first time at which the curve, or the band, is at or
below it; flat within 1e-8 of it, the midpoint to the next drop. A lower limit may exist without a median.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from hepatica.core.errors import InputError, NotFoundError
from hepatica.trials.beta_distribution import measure_normal_quantile
from hepatica.trials.design import check_probability
from hepatica.trials.endpoints.times import FollowUp

FLAT_TOLERANCE: Final = 1e-8
"""A curve this close to the quantile is at it."""
CONF_TYPES: Final = ("log", "log-log", "plain")
"""Scales of the limits."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SurvivalCurve:
    """A Kaplan-Meier curve, one entry for each distinct time.

    Parameters
    ----------
    time, n_risk, n_event, n_censor
        Distinct times, patients at risk just before, events and censorings at it.
    survival
        Probability of being free of the event just after.
    std_err
        Standard error of log survival (Greenwood); infinite where the curve is 0.
    lower, upper
        Limits; NaN where undefined.
    conf_type, conf
        Scale and level of the limits.
    """

    time: Any
    n_risk: Any
    n_event: Any
    n_censor: Any
    survival: Any
    std_err: Any
    lower: Any
    upper: Any
    conf_type: str
    conf: float

    def quantile(self, probability: float = 0.5) -> tuple[float | None, float | None, float | None]:
        """Return the time at which survival falls to a probability, with limits; None where undefined.

        Examples
        --------
        >>> estimate_survival([1.0, 2.0, 3.0, 4.0], [1, 1, 1, 1]).quantile()[0]
        2.5
        """
        middle, low, high = (
            _first_at_or_below(self.time, values, probability)
            for values in (self.survival, self.lower, self.upper)
        )
        return middle, low, high

    def at(self, moment: float) -> tuple[float, float | None, float | None]:
        """Return survival at a time, with limits; None where undefined.

        Raises
        ------
        InputError
            If the time lies after the last follow-up while the curve is above 0: nobody was watched so long.
        """
        if not moment >= 0:
            raise InputError(expected="a time of 0 or more", given=f"{moment:g}", where="landmark")
        if moment > self.time[-1] and self.survival[-1] > 0:
            raise InputError(
                expected=f"a time up to the last follow-up, {self.time[-1]:g}",
                given=f"{moment:g}",
                where="landmark",
                action="choose an earlier time",
            )
        i = int(np.searchsorted(self.time, moment, side="right")) - 1
        if i < 0:
            return 1.0, 1.0, 1.0
        return float(self.survival[i]), _or_none(self.lower[i]), _or_none(self.upper[i])

    def restricted_mean(self, tau: float) -> tuple[float, float]:
        """Return the mean time up to tau and its standard error.

        Raises
        ------
        InputError
            If tau lies after the last follow-up while the curve is above 0, or is not above 0.

        Examples
        --------
        >>> estimate_survival([1.0, 2.0, 3.0, 4.0], [1, 1, 1, 1]).restricted_mean(3.0)[0]
        2.25
        """
        if not 0 < tau < np.inf:
            raise InputError(expected="a finite tau above 0", given=f"{tau:g}", where="restricted mean")
        self.at(tau)
        inside = self.time < tau
        edges = np.concatenate([[0.0], self.time[inside], [tau]])
        heights = np.concatenate([[1.0], self.survival[inside]])
        areas = np.diff(edges) * heights
        after = np.cumsum(areas[::-1])[::-1][1:]  # area to the right of each time
        d, n = self.n_event[inside], self.n_risk[inside]
        terms = np.divide(d, n * (n - d), out=np.zeros(d.size), where=n > d)
        return float(areas.sum()), float(np.sqrt((after**2 * terms).sum()))

    def to_rows(self) -> list[dict[str, Any]]:
        """Return one mapping for each time, None for undefined limits."""
        return [
            {
                "time": float(self.time[i]),
                "n_risk": int(self.n_risk[i]),
                "n_event": int(self.n_event[i]),
                "survival": float(self.survival[i]),
                "lower": _or_none(self.lower[i]),
                "upper": _or_none(self.upper[i]),
            }
            for i in range(self.time.size)
        ]


def estimate_survival(
    times: Any, events: Any, *, conf_type: str = "log-log", conf: float = 0.95
) -> SurvivalCurve:
    """Return the Kaplan-Meier curve of one group.

    Parameters
    ----------
    times
        Follow-up times, 0 or more.
    events
        0 censored, 1 event. No event at all is not an error.
    conf_type
        ``log`` (the default of R), ``log-log`` (of SAS) or ``plain``.
    conf
        Confidence level.

    Raises
    ------
    InputError
        For impossible data, see `FollowUp.from_arrays`.
    NotFoundError
        For an unknown `conf_type`.

    Examples
    --------
    >>> curve = estimate_survival([1.0, 2.0, 3.0], [1, 0, 1])
    >>> curve.survival.round(3).tolist()
    [0.667, 0.667, 0.0]
    """
    if conf_type not in CONF_TYPES:
        raise NotFoundError(
            expected=f"one of {', '.join(CONF_TYPES)}", given=f"'{conf_type}'", where="conf-type"
        )
    check_probability(conf, name="confidence level")
    data = FollowUp.from_arrays(times, events)
    time, first, count = np.unique(data.times, return_index=True, return_counts=True)
    n_event = np.add.reduceat(data.events, first)
    n_risk = data.times.size - first
    survival = np.cumprod(1.0 - n_event / n_risk)
    with np.errstate(divide="ignore"):
        std_err = np.sqrt(np.cumsum(np.where(n_event > 0, n_event / (n_risk * (n_risk - n_event)), 0.0)))
    lower, upper = _derive_limits(
        survival, std_err, z=measure_normal_quantile((1 + conf) / 2), conf_type=conf_type
    )
    return SurvivalCurve(
        time=time,
        n_risk=n_risk,
        n_event=n_event,
        n_censor=count - n_event,
        survival=survival,
        std_err=std_err,
        lower=lower,
        upper=upper,
        conf_type=conf_type,
        conf=conf,
    )


def estimate_follow_up(
    times: Any, events: Any, *, conf_type: str = "log-log", conf: float = 0.95
) -> SurvivalCurve:
    """Return the reverse Kaplan-Meier curve: how long patients were, or would have been, followed."""
    data = FollowUp.from_arrays(times, events)
    return estimate_survival(data.times, 1 - data.events, conf_type=conf_type, conf=conf)


def start_at_landmark(times: Any, events: Any, *, landmark: float, status_times: Any) -> tuple[Any, Any, Any]:
    """Return follow-up from a landmark, with the status each patient had reached by then.

    Patients who had the event or left before the landmark are left out: comparing responders with
    non-responders from the start would credit responders with the time they needed to respond (immortal
    time).

    Parameters
    ----------
    times, events
        As for `estimate_survival`, in one order.
    landmark
        Time of the landmark.
    status_times
        Time at which the status (for example response) was reached, NaN or infinite for never.

    Returns
    -------
    Times from the landmark, events, and whether the status was reached by the landmark.
    """
    time, event, reached = (np.asarray(values, float) for values in (times, events, status_times))
    FollowUp.from_arrays(time, event)
    if not landmark >= 0 or reached.shape != time.shape:
        raise InputError(
            expected="a landmark of 0 or more and one status time for each patient",
            given=f"{landmark:g}, {reached.size} status times",
            where="landmark analysis",
        )
    kept = time > landmark
    return (
        time[kept] - landmark,
        event[kept].astype(np.int64),
        np.nan_to_num(reached[kept], nan=np.inf) <= landmark,
    )


def _derive_limits(survival: Any, std_err: Any, *, z: float, conf_type: str) -> tuple[Any, Any]:
    alive, moved = survival > 0, survival < 1
    s = np.where(alive, survival, np.nan)
    se = np.where(alive, std_err, np.nan)
    if conf_type == "plain":
        return np.maximum(s - z * s * se, 0.0), np.minimum(s + z * s * se, 1.0)
    if conf_type == "log":
        return s * np.exp(-z * se), np.minimum(s * np.exp(z * se), 1.0)
    log_s = np.log(np.where(alive & moved, survival, 0.5))
    half = z * se / log_s
    lower, upper = np.exp(log_s * np.exp(-half)), np.exp(log_s * np.exp(half))
    return np.where(moved, np.where(alive, lower, np.nan), s), np.where(
        moved, np.where(alive, upper, np.nan), s
    )


def _first_at_or_below(time: Any, values: Any, level: float) -> float | None:
    reached = np.nonzero(~np.isnan(values) & (values < level + FLAT_TOLERANCE))[0]
    if not reached.size:
        return None
    first = reached[0]
    if abs(values[first] - level) < FLAT_TOLERANCE:
        lower = reached[values[reached] < values[first] - FLAT_TOLERANCE]
        if lower.size:
            return float(0.5 * (time[first] + time[lower[0]]))
    return float(time[first])


def _or_none(value: Any) -> float | None:
    return None if np.isnan(value) else float(value)
