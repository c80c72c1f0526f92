"""Comparing groups: the log-rank test and Cox regression."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, NoReturn

import numpy as np

from hepatica.core.errors import InputError, NotConvergedError, NotFoundError
from hepatica.trials.beta_distribution import measure_normal_quantile
from hepatica.trials.design import check_probability
from hepatica.trials.endpoints.times import FollowUp

SCORE_TOLERANCE: Final = 1e-9
"""Newton has converged when a step changes the log partial likelihood by less, relative to its size."""
MOST_STEPS: Final = 50
"""Newton needs about five steps; more means that the likelihood has no maximum."""
FLAT_LIMIT: Final = 20.0
"""Coefficient, per standard deviation of its covariate, beyond which the maximum lies at infinity."""
LEAST_INFORMATION: Final = 1e-6
"""Information per standardised covariate below which the likelihood is flat: a standard error above 1,000.

Where one group is never at risk at another's events the likelihood rises without end, and Newton stops on
its rounding before the coefficient is large.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class LogRank:
    """The log-rank test.

    Parameters
    ----------
    chi2, df, p
        Statistic, degrees of freedom, p value.
    observed, expected
        Events by group.
    """

    chi2: float
    df: int
    p: float
    observed: tuple[float, ...]
    expected: tuple[float, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class CoxFit:
    """A Cox model.

    Parameters
    ----------
    coefficients, standard_errors
        By covariate.
    hazard_ratios, lower, upper
        exp(coefficient) with limits.
    p
        Wald p values.
    log_likelihood
        At 0 and at the estimate.
    ties
        ``efron`` or ``breslow``.
    """

    coefficients: tuple[float, ...]
    standard_errors: tuple[float, ...]
    hazard_ratios: tuple[float, ...]
    lower: tuple[float, ...]
    upper: tuple[float, ...]
    p: tuple[float, ...]
    log_likelihood: tuple[float, float]
    ties: str


def compare_log_rank(times: Any, events: Any, groups: Any) -> LogRank:
    """Return the log-rank test of two or more groups.

    Parameters
    ----------
    times, events
        As for `hepatica.trials.endpoints.survival.estimate_survival`.
    groups
        Group of each patient, any labels.

    Raises
    ------
    InputError
        If there are fewer than two groups.

    Examples
    --------
    >>> compare_log_rank([1.0, 2.0, 3.0, 4.0], [1, 1, 1, 1], ["a", "b", "a", "b"]).df
    1
    """
    labels, codes = np.unique(np.asarray(groups), return_inverse=True)
    time, event = np.asarray(times, float), np.asarray(events, float)
    data = FollowUp.from_arrays(time, event)
    if labels.size < 2 or codes.size != time.size:
        raise InputError(
            expected="two or more groups, one label for each patient",
            given=f"{labels.size} groups, {codes.size} labels",
            where="log-rank test",
        )
    order = np.argsort(time, kind="stable")
    member = np.eye(labels.size)[codes[order]]
    moments, first = np.unique(data.times, return_index=True)
    at_risk = np.cumsum(member[::-1], axis=0)[::-1][first]
    died = np.add.reduceat(member * data.events[:, None], first, axis=0)
    n, d = at_risk.sum(axis=1), died.sum(axis=1)
    share = at_risk / n[:, None]
    expected = (share * d[:, None]).sum(axis=0)
    factor = np.where(n > 1, d * (n - d) / np.maximum(n - 1, 1), 0.0)
    covariance = np.diag((share * factor[:, None]).sum(axis=0)) - (share * factor[:, None]).T @ share
    gap = (died.sum(axis=0) - expected)[:-1]
    inner = covariance[:-1, :-1]
    chi2 = float(gap @ np.linalg.pinv(inner) @ gap) if moments.size and d.sum() > 0 else 0.0
    df = labels.size - 1
    return LogRank(
        chi2=chi2,
        df=df,
        p=measure_chi2_tail(chi2, df=df),
        observed=tuple(float(v) for v in died.sum(axis=0)),
        expected=tuple(float(v) for v in expected),
    )


def fit_cox(times: Any, events: Any, covariates: Any, *, ties: str = "efron", conf: float = 0.95) -> CoxFit:
    """Fit a Cox model by Newton's method.

    Parameters
    ----------
    times, events
        As for `hepatica.trials.endpoints.survival.estimate_survival`.
    covariates
        One row for each patient; one column for each covariate.
    ties
        ``efron`` or ``breslow``.
    conf
        Confidence level of the limits.

    Raises
    ------
    NotConvergedError
        If the likelihood has no maximum, for example when one group has no event.
    InputError
        If a covariate does not vary, or data are impossible.

    Examples
    --------
    >>> fit = fit_cox([1.0, 2.0, 3.0, 4.0, 5.0], [1, 1, 1, 1, 1], [1.0, 0.0, 1.0, 0.0, 0.0])
    >>> fit.hazard_ratios[0] > 1
    True
    """
    if ties not in ("efron", "breslow"):
        raise NotFoundError(expected="efron or breslow", given=f"'{ties}'", where="ties")
    check_probability(conf, name="confidence level")
    time, event = np.asarray(times, float), np.asarray(events, float)
    x = np.asarray(covariates, float)
    x = x[:, None] if x.ndim == 1 else x
    data = FollowUp.from_arrays(time, event)
    if x.shape[0] != time.size or not np.isfinite(x).all() or (x.std(axis=0) == 0).any():
        raise InputError(
            expected="one finite row of covariates for each patient, each covariate varying",
            given=f"{x.shape[0]} rows for {time.size} patients",
            where="Cox model",
        )
    if data.events.sum() == 0:
        raise NotConvergedError(expected="at least one event", given="none", where="Cox model")
    order = np.argsort(time, kind="stable")
    centre, scale = x.mean(axis=0), x.std(axis=0)
    scaled = ((x - centre) / scale)[order]
    blocks = _Blocks.of(data)
    beta = np.zeros(x.shape[1])
    start, score, information = blocks.evaluate(scaled, beta, ties)
    likelihood = start
    for _ in range(MOST_STEPS):
        step = _solve_or_refuse(information, score)
        for _ in range(30):  # halve steps that overshoot
            following, new_score, new_information = blocks.evaluate(scaled, beta + step, ties)
            if following >= likelihood - 1e-12:
                break
            step = step / 2
        change, beta = abs(following - likelihood), beta + step
        likelihood, score, information = following, new_score, new_information
        if change <= SCORE_TOLERANCE * (abs(likelihood) + 1.0) and np.abs(step).max() < 1e-6:
            break
    else:
        _refuse_cox()
    if np.abs(beta).max() > FLAT_LIMIT or is_flat(information):
        _refuse_cox()
    se = np.sqrt(np.diag(_solve_or_refuse(information, np.eye(x.shape[1])))) / scale
    beta = beta / scale
    z = measure_normal_quantile((1 + conf) / 2)
    return CoxFit(
        coefficients=tuple(float(v) for v in beta),
        standard_errors=tuple(float(v) for v in se),
        hazard_ratios=tuple(float(v) for v in np.exp(beta)),
        lower=tuple(float(v) for v in np.exp(beta - z * se)),
        upper=tuple(float(v) for v in np.exp(beta + z * se)),
        p=tuple(measure_chi2_tail(float((b / s) ** 2), df=1) for b, s in zip(beta, se)),
        log_likelihood=(float(start), float(likelihood)),
        ties=ties,
    )


def measure_chi2_tail(value: float, *, df: int) -> float:
    """Return P(chi-square > value)."""
    from scipy.special import chdtrc

    return float(chdtrc(df, value))


def is_flat(information: Any) -> bool:
    """Whether the information of standardised covariates says next to nothing in some direction.

    Examples
    --------
    >>> is_flat(np.array([[2.0]])), is_flat(np.array([[1e-9]]))
    (False, True)
    """
    if not np.isfinite(information).all():
        return True
    return bool(np.linalg.eigvalsh(information).min() < LEAST_INFORMATION)


def _solve_or_refuse(information: Any, score: Any) -> Any:
    try:
        return np.linalg.solve(information, score)
    except np.linalg.LinAlgError:
        _refuse_cox()


def _refuse_cox() -> NoReturn:
    raise NotConvergedError(
        expected="a maximum of the partial likelihood",
        given="none: the likelihood rises without end",
        where="Cox model",
        action="look for a group without events, or two covariates that say the same",
    )


@dataclass(frozen=True, slots=True)
class _Blocks:
    """Event times of sorted data: first row at risk, and rows with the event."""

    first: Any
    rows: tuple[Any, ...]

    @classmethod
    def of(cls, data: FollowUp) -> _Blocks:
        events = np.nonzero(data.events)[0]
        moments, at = np.unique(data.times[events], return_inverse=True)
        first = np.searchsorted(data.times, moments, side="left")
        return cls(first, tuple(events[at == i] for i in range(moments.size)))

    def evaluate(self, x: Any, beta: Any, ties: str) -> tuple[float, Any, Any]:
        """Return log partial likelihood, score and information."""
        eta = x @ beta
        weight = np.exp(eta)
        s0 = np.cumsum(weight[::-1])[::-1]
        s1 = np.cumsum((weight[:, None] * x)[::-1], axis=0)[::-1]
        outer = weight[:, None, None] * x[:, :, None] * x[:, None, :]
        s2 = np.cumsum(outer[::-1], axis=0)[::-1]
        likelihood, score, information = 0.0, np.zeros(x.shape[1]), np.zeros((x.shape[1],) * 2)
        for first, rows in zip(self.first, self.rows):
            d = rows.size
            share = np.arange(d) / d if ties == "efron" else np.zeros(d)
            t0 = s0[first] - share * weight[rows].sum()
            t1 = s1[first] - share[:, None] * (weight[rows, None] * x[rows]).sum(axis=0)
            t2 = s2[first] - share[:, None, None] * outer[rows].sum(axis=0)
            mean = t1 / t0[:, None]
            likelihood += float(eta[rows].sum() - np.log(t0).sum())
            score = score + x[rows].sum(axis=0) - mean.sum(axis=0)
            information = information + (t2 / t0[:, None, None]).sum(axis=0) - mean.T @ mean
        return likelihood, score, information
