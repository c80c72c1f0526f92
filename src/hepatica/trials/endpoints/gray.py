"""Gray's test: whether groups differ in the cumulative incidence of one kind of event.

Gray 1988, Annals of Statistics 16, 1141-1154, doi:10.1214/aos/1176350951. The score of a group is its events
less those expected from the pooled subdistribution hazard, patients at risk being R = Y (1 - F) / S with the
group's own incidence F and survival S just before. The variance follows from the two martingales of each
group (events of the kind, competing events) under one common incidence, with the factors for ties of the R
package cmprsk. Without competing events the score is that of the log-rank test; its variance differs a little
in finite samples, because it is estimated from each group's own curve.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from hepatica.core.errors import InputError
from hepatica.trials.endpoints.comparison import measure_chi2_tail
from hepatica.trials.endpoints.times import FollowUp


@dataclass(frozen=True, slots=True, kw_only=True)
class GrayTest:
    """Gray's test for one kind of event.

    Parameters
    ----------
    cause
        Event code.
    chi2, df, p
        Statistic, degrees of freedom, p value.
    groups
        Labels, sorted.
    score
        Observed less expected events by group; they sum to 0.
    covariance
        Covariance of the scores, (groups, groups), read only.
    """

    cause: int
    chi2: float
    df: int
    p: float
    groups: tuple[str, ...]
    score: tuple[float, ...]
    covariance: Any


def compare_incidence(times: Any, events: Any, groups: Any, *, rho: float = 0.0) -> tuple[GrayTest, ...]:
    """Return Gray's test of two or more groups for every kind of event.

    Parameters
    ----------
    times, events
        As for `hepatica.trials.endpoints.competing.estimate_incidence`: 0 censored, 1, 2, ... kinds.
    groups
        Group of each patient, any labels.
    rho
        Weight (1 - F) ** rho of the pooled incidence F; 0 weighs every time alike.

    Raises
    ------
    InputError
        If there are fewer than two groups or the data are impossible.

    Examples
    --------
    >>> first, second = compare_incidence([1.0, 2.0, 3.0, 4.0, 5.0, 6.0], [1, 2, 1, 1, 2, 0], list("ababab"))
    >>> first.df, round(sum(first.score), 12)
    (1, 0.0)
    """
    time, event = np.asarray(times, float), np.asarray(events, float)
    data = FollowUp.from_arrays(time, event, competing=True)
    labels, codes = np.unique(np.asarray(groups), return_inverse=True)
    if labels.size < 2 or codes.size != time.size:
        raise InputError(
            expected="two or more groups, one label for each patient",
            given=f"{labels.size} groups, {codes.size} labels",
            where="Gray's test",
        )
    member = np.eye(labels.size)[codes[np.argsort(time, kind="stable")]]
    causes = [int(c) for c in np.unique(data.events) if c > 0]
    return tuple(_test(data, member, cause, names=tuple(str(v) for v in labels), rho=rho) for cause in causes)


def _test(data: FollowUp, member: Any, cause: int, *, names: tuple[str, ...], rho: float) -> GrayTest:
    _, first = np.unique(data.times, return_index=True)
    at_risk = np.cumsum(member[::-1], axis=0)[::-1][first]
    own = np.add.reduceat(member * (data.events == cause)[:, None], first, axis=0)
    other = np.add.reduceat(member * ((data.events > 0) & (data.events != cause))[:, None], first, axis=0)
    score, covariance = _score(at_risk, own, other, rho=rho)
    df = len(names) - 1
    chi2 = float(score[:-1] @ np.linalg.pinv(covariance[:-1, :-1]) @ score[:-1])
    covariance.setflags(write=False)
    return GrayTest(
        cause=cause,
        chi2=chi2,
        df=df,
        p=measure_chi2_tail(chi2, df=df),
        groups=names,
        score=tuple(float(v) for v in score),
        covariance=covariance,
    )


def _score(at_risk: Any, own: Any, other: Any, *, rho: float) -> tuple[Any, Any]:
    """Return scores and their covariance from counts by time and group."""
    there = at_risk > 0
    n = np.maximum(at_risk, 1.0)
    after = np.cumprod(np.where(there, 1.0 - (own + other) / n, 1.0), axis=0)
    before = _shift(after, 1.0)
    incidence = _shift(np.cumsum(before * own / n, axis=0), 0.0)
    base = np.where(there, at_risk / np.where(there, before, 1.0), 0.0)
    total, events = base.sum(axis=1), own.sum(axis=1)
    hazard = events / total
    pooled = np.cumsum(hazard)
    pooled_before = _shift(pooled[:, None], 0.0)[:, 0]
    left = np.maximum(1.0 - pooled_before, np.finfo(float).tiny)
    weight = left**rho
    risk = base * (1.0 - incidence)
    expected = risk * (events / risk.sum(axis=1))[:, None]
    score = (weight[:, None] * (own - expected)).sum(axis=0)
    gain = weight[:, None, None] * (
        base[:, :, None] * np.eye(base.shape[1]) - base[:, :, None] * base[:, None, :] / total[:, None, None]
    )
    running = np.cumsum(gain * (hazard / left)[:, None, None], axis=0)
    ahead = running[-1] - running
    alive = after > 0
    ratio = np.where(alive, (1.0 - pooled)[:, None] / np.where(alive, after, 1.0), 0.0)
    own_share = gain + (1.0 - ratio)[:, None, :] * ahead
    other_share = ratio[:, None, :] * ahead
    own_noise = _correct_ties(events[:, None], total[:, None] * before) * before * hazard[:, None] / n * there
    other_noise = _correct_ties(other, at_risk) * before**2 * other / n**2 * alive
    covariance = np.einsum("tik,tjk,tk->ij", own_share, own_share, own_noise)
    covariance += np.einsum("tik,tjk,tk->ij", other_share, other_share, other_noise)
    return score, covariance


def _shift(values: Any, start: float) -> Any:
    """Return values just before each time, from values just after."""
    return np.vstack([np.full((1, values.shape[1]), start), values[:-1]])


def _correct_ties(events: Any, size: Any) -> Any:
    """Return 1 - (d - 1) / (n - 1) where more than one event falls on one time, else 1."""
    room = np.maximum(size - 1.0, np.finfo(float).tiny)
    return np.where(events > 1, np.maximum(1.0 - (events - 1.0) / room, 0.0), 1.0)
