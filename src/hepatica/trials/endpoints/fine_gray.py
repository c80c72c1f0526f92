"""Fine-Gray regression: the subdistribution hazard of one kind of event (Fine and Gray 1999).

Fine and Gray 1999, J Am Stat Assoc 94, 496-509, doi:10.1080/01621459.1999.10474144. A patient with a
competing event stays in the risk set with weight G(t-) / G(T-), G being the Kaplan-Meier curve of being free
of censoring. Ties as Breslow. Standard errors are the sandwich of the paper, with the part that comes from
estimating G: the conventions of `crr` in the R package cmprsk.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, NoReturn

import numpy as np

from hepatica.core.errors import InputError, NotConvergedError, NotFoundError
from hepatica.trials.beta_distribution import measure_normal_quantile
from hepatica.trials.design import check_probability
from hepatica.trials.endpoints.comparison import FLAT_LIMIT, MOST_STEPS, is_flat, measure_chi2_tail
from hepatica.trials.endpoints.times import FollowUp

STEP_TOLERANCE: Final = 1e-9
"""Newton has converged when no coefficient, per standard deviation of its covariate, moves by more."""
MOST_HALVINGS: Final = 30
"""Steps that overshoot are halved; 30 halvings shrink a step below rounding."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FineGrayFit:
    """A Fine-Gray model for one kind of event.

    Parameters
    ----------
    cause
        Event code.
    events
        Events of this kind.
    coefficients, standard_errors
        By covariate; robust standard errors.
    hazard_ratios, lower, upper
        Ratios of subdistribution hazards with limits.
    p
        Wald p values.
    log_likelihood
        Pseudo log likelihood at 0 and at the estimate. Twice the difference is not chi-square distributed.
    """

    cause: int
    events: int
    coefficients: tuple[float, ...]
    standard_errors: tuple[float, ...]
    hazard_ratios: tuple[float, ...]
    lower: tuple[float, ...]
    upper: tuple[float, ...]
    p: tuple[float, ...]
    log_likelihood: tuple[float, float]


def fit_fine_gray(
    times: Any, events: Any, covariates: Any, *, cause: int = 1, conf: float = 0.95
) -> FineGrayFit:
    """Fit a Fine-Gray model by Newton's method.

    Parameters
    ----------
    times, events
        As for `hepatica.trials.endpoints.competing.estimate_incidence`: 0 censored, 1, 2, ... kinds.
    covariates
        One row for each patient; one column for each covariate.
    cause
        Kind of event that is modelled.
    conf
        Confidence level of the limits.

    Raises
    ------
    NotConvergedError
        If the likelihood has no maximum, for example when one group has no event of this kind.
    NotFoundError
        If no patient had this kind of event.
    InputError
        If a covariate does not vary, or data are impossible.

    Examples
    --------
    >>> fit = fit_fine_gray([1.0, 2.0, 3.0, 4.0, 5.0, 6.0], [1, 2, 1, 1, 0, 1], [1.0, 0.0, 1.0, 0.0, 1.0, 0.0])
    >>> fit.events, fit.hazard_ratios[0] > 1
    (4, True)
    """
    check_probability(conf, name="confidence level")
    time = np.asarray(times, float)
    data = FollowUp.from_arrays(time, np.asarray(events, float), competing=True)
    x = np.asarray(covariates, float)
    x = x[:, None] if x.ndim == 1 else x
    if x.shape[0] != time.size or not np.isfinite(x).all() or (x.std(axis=0) == 0).any():
        raise InputError(
            expected="one finite row of covariates for each patient, each covariate varying",
            given=f"{x.shape[0]} rows for {time.size} patients",
            where="Fine-Gray model",
        )
    if not (data.events == cause).any():
        raise NotFoundError(
            expected=f"at least one event of kind {cause}", given="none", where="Fine-Gray model"
        )
    scale = x.std(axis=0)
    scaled = ((x - x.mean(axis=0)) / scale)[np.argsort(time, kind="stable")]
    risk = _RiskSets.of(data, cause)
    beta, start, end = _maximise(risk, scaled)
    bread = _invert(risk.evaluate(scaled, beta)[2])
    parts = risk.derive_influence(scaled, beta)
    se = np.sqrt(np.diag(bread @ (parts.T @ parts) @ bread)) / scale
    beta = beta / scale
    z = measure_normal_quantile((1 + conf) / 2)
    return FineGrayFit(
        cause=cause,
        events=int((data.events == cause).sum()),
        coefficients=tuple(float(v) for v in beta),
        standard_errors=tuple(float(v) for v in se),
        hazard_ratios=tuple(float(v) for v in np.exp(beta)),
        lower=tuple(float(v) for v in np.exp(beta - z * se)),
        upper=tuple(float(v) for v in np.exp(beta + z * se)),
        p=tuple(measure_chi2_tail(float((b / s) ** 2), df=1) for b, s in zip(beta, se)),
        log_likelihood=(start, end),
    )


def _maximise(risk: _RiskSets, x: Any) -> tuple[Any, float, float]:
    beta = np.zeros(x.shape[1])
    start, score, information = risk.evaluate(x, beta)
    likelihood = start
    for _ in range(MOST_STEPS):
        step = _invert(information) @ score
        for _ in range(MOST_HALVINGS):
            following, new_score, new_information = risk.evaluate(x, beta + step)
            if following >= likelihood - 1e-12:
                break
            step = step / 2
        beta = beta + step
        likelihood, score, information = following, new_score, new_information
        if np.abs(beta).max() > FLAT_LIMIT:
            break
        if np.abs(step).max() < STEP_TOLERANCE and not is_flat(information):
            return beta, start, likelihood
    _refuse()


def _invert(matrix: Any) -> Any:
    try:
        return np.linalg.inv(matrix)
    except np.linalg.LinAlgError:
        _refuse()


def _refuse() -> NoReturn:
    raise NotConvergedError(
        expected="a maximum of the partial likelihood",
        given="none: the likelihood rises without end",
        where="Fine-Gray model",
        action="look for a group without events of this kind, or two covariates that say the same",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _RiskSets:
    """Weighted risk sets of data sorted by time.

    Parameters
    ----------
    data
        Follow-up.
    own, other
        Patients with the event modelled, and with a competing one.
    deaths
        Events modelled at each of their distinct times (moments).
    first
        First patient still followed at each moment.
    free_at, free_own
        G just before each moment, and just before each patient's own time.
    at
        Moment of each patient with the event modelled.
    """

    data: FollowUp
    own: Any
    other: Any
    deaths: Any
    first: Any
    free_at: Any
    free_own: Any
    at: Any

    @classmethod
    def of(cls, data: FollowUp, cause: int) -> _RiskSets:
        own = data.events == cause
        moments, at, deaths = np.unique(data.times[own], return_inverse=True, return_counts=True)
        free_own = _measure_free(data)
        first = np.searchsorted(data.times, moments, side="left")
        return cls(
            data=data,
            own=own,
            other=(data.events > 0) & ~own,
            deaths=deaths.astype(float),
            first=first,
            free_at=free_own[first],
            free_own=free_own,
            at=at,
        )

    def sum_over(self, values: Any) -> Any:
        """Return sums of values (patients, ...) over each weighted risk set: (moments, ...)."""
        shape = (-1,) + (1,) * (values.ndim - 1)
        followed = np.cumsum(values[::-1], axis=0)[::-1][self.first]
        kept = np.where(self.other, 1.0 / self.free_own, 0.0).reshape(shape) * values
        gone = np.concatenate([np.zeros_like(values[:1]), np.cumsum(kept, axis=0)])[self.first]
        return followed + self.free_at.reshape(shape) * gone

    def evaluate(self, x: Any, beta: Any) -> tuple[float, Any, Any]:
        """Return pseudo log likelihood, score and information (Breslow)."""
        eta = x @ beta
        weight = np.exp(eta)
        s0 = self.sum_over(weight)
        mean = self.sum_over(weight[:, None] * x) / s0[:, None]
        second = self.sum_over(weight[:, None, None] * x[:, :, None] * x[:, None, :]) / s0[:, None, None]
        likelihood = float(eta[self.own].sum() - self.deaths @ np.log(s0))
        score = x[self.own].sum(axis=0) - self.deaths @ mean
        spread = second - mean[:, :, None] * mean[:, None, :]
        return likelihood, score, np.einsum("m,mij->ij", self.deaths, spread)

    def derive_influence(self, x: Any, beta: Any) -> Any:
        """Return each patient's part of the score, with its part through G: (patients, covariates)."""
        weight = np.exp(x @ beta)
        s0 = self.sum_over(weight)
        mean = self.sum_over(weight[:, None] * x) / s0[:, None]
        hazard = self.deaths / s0
        none = np.zeros((1, x.shape[1]))
        # running sums over moments of d-hazard, and of mean times d-hazard; kept: times G
        level = np.concatenate([[0.0], np.cumsum(hazard)])
        slope = np.vstack([none, np.cumsum(hazard[:, None] * mean, axis=0)])
        kept = hazard * self.free_at
        level_kept = np.concatenate([[0.0], np.cumsum(kept)])
        slope_kept = np.vstack([none, np.cumsum(kept[:, None] * mean, axis=0)])
        done = np.searchsorted(self.first, _end_of_ties(self.data.times), side="left")
        parts = -weight[:, None] * (x * level[done][:, None] - slope[done])
        share = np.where(self.other, weight / self.free_own, 0.0)[:, None]
        parts -= share * (
            x * (level_kept[-1] - level_kept[done])[:, None] - (slope_kept[-1] - slope_kept[done])
        )
        parts[self.own] += x[self.own] - mean[self.at]
        return parts + self._derive_censoring_part(x, share, level_kept, slope_kept)

    def _derive_censoring_part(self, x: Any, share: Any, level_kept: Any, slope_kept: Any) -> Any:
        times = self.data.times
        start = np.searchsorted(times, times, side="left")
        coming = np.searchsorted(self.first, start, side="left")  # moments before the patient's own time
        none = np.zeros((1, x.shape[1]))
        gone = np.concatenate([[0.0], np.cumsum(share[:, 0])])[start][:, None]
        gone_x = np.vstack([none, np.cumsum(share * x, axis=0)])[start]
        pull = gone_x * (level_kept[-1] - level_kept[coming])[:, None]
        pull -= gone * (slope_kept[-1] - slope_kept[coming])
        at_risk = (times.size - start).astype(float)[:, None]
        jump = np.where((self.data.events == 0)[:, None], pull / at_risk, 0.0)
        running = np.vstack([none, np.cumsum(jump / at_risk, axis=0)])[_end_of_ties(times)]
        return jump - running


def _end_of_ties(times: Any) -> Any:
    """Return for each patient the number of patients with at most the same time."""
    return np.searchsorted(times, times, side="right")


def _measure_free(data: FollowUp) -> Any:
    """Return the probability of being free of censoring just before each patient's time."""
    _, first, at = np.unique(data.times, return_index=True, return_inverse=True)
    lost = np.add.reduceat((data.events == 0).astype(float), first)
    curve = np.cumprod(1.0 - lost / (data.times.size - first))
    return np.concatenate([[1.0], curve[:-1]])[at]
