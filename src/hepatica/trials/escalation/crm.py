"""CRM and TITE-CRM (O'Quigley et al. 1990, doi:10.2307/2531628; Cheung and Chappell 2000), one parameter.

Empiric: p = skeleton ** exp(b). Logistic: logit p = intercept + exp(b) x, with x fitted to the skeleton at b
= 0. b ~ N(0, prior_sd**2). The plug-in estimate at the posterior mean (or the maximum of the likelihood)
gives the dose nearest the target, ties to the lower. Integrals are trapezoidal sums on a fixed grid: for such
smooth integrands they converge geometrically, so the result is exact to rounding and no sampling is involved.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from math import exp, expm1, inf, log, log1p
from typing import Any, ClassVar, Final

from hepatica.core.errors import InputError
from hepatica.trials.design import (
    Action,
    DecisionTable,
    Recommendation,
    check_dose_count,
    check_doses,
    check_probability,
    derive_hold,
)
from hepatica.trials.outcomes import TrialData, to_outcomes

GRID_POINTS: Final = 1201
"""Spacing prior_sd / 60: fine enough for posteriors that are thirty times narrower than the prior."""
GRID_SDS: Final = 10.0
"""Prior standard deviations on each side; the prior beyond weighs less than 1e-22."""
LARGEST_PRIOR_SD: Final = 50.0
"""Beyond, exp(b) overflows on the grid; dfcrm uses 1.1576."""
LARGEST_INTERCEPT: Final = 100.0
"""Beyond, the logistic model rounds every probability to 0 or 1; dfcrm uses 3."""
LIKELIHOOD_RANGE: Final = (-10.0, 10.0)
"""Range in which the maximum of the likelihood is sought, as in dfcrm."""
MLE_TOLERANCE: Final = 1e-10
"""Width of the last bracket of the maximum."""
TIE_TOLERANCE: Final = 1e-12
"""Distances to the target this close are ties."""


def derive_skeleton(
    *,
    halfwidth: float,
    target: float,
    prior_mtd: int,
    dose_count: int,
    model: str = "empiric",
    intercept: float = 3.0,
) -> tuple[float, ...]:
    """Return a skeleton by indifference half-width (Lee and Cheung 2009, doi:10.1177/1740774509105076).

    Parameters
    ----------
    halfwidth
        Half width of the indifference intervals around the target.
    target
        Target DLT probability.
    prior_mtd
        Level thought to be the maximum tolerated dose.
    dose_count
        Number of levels.
    model, intercept
        Working model.

    Examples
    --------
    >>> [round(p, 3) for p in derive_skeleton(halfwidth=0.05, target=0.25, prior_mtd=3, dose_count=5)]
    [0.084, 0.157, 0.25, 0.355, 0.46]
    """
    check_probability(target, name="target")
    check_probability(target - halfwidth, name="target - halfwidth")
    check_probability(target + halfwidth, name="target + halfwidth")
    check_dose_count(dose_count, start_dose=prior_mtd)

    def to_scale(p: float) -> float:
        return log(p) if model == "empiric" else log(p / (1 - p)) - intercept

    ratio = to_scale(target + halfwidth) / to_scale(target - halfwidth)
    scaled = [to_scale(target) * ratio ** (k - prior_mtd) for k in range(1, dose_count + 1)]
    if model == "empiric":
        return tuple(exp(x) for x in scaled)
    return tuple(1 / (1 + exp(-intercept - x)) for x in scaled)


@dataclass(frozen=True, kw_only=True)
class Crm:
    """CRM.

    Parameters
    ----------
    skeleton
        Prior guesses of the DLT probabilities, strictly increasing.
    target
        Target DLT probability.
    model
        ``empiric`` or ``logistic``.
    intercept
        Fixed intercept of the logistic model.
    prior_sd
        Prior standard deviation of b; 1.1576 (variance 1.34) as in dfcrm.
    method
        ``bayes`` or ``mle``.
    allow_skipping
        Whether the next dose may be more than one level above the current one.
    dose_count
        Checked against the skeleton where given.

    Examples
    --------
    >>> from hepatica.trials.outcomes import parse_outcomes
    >>> design = Crm(skeleton=(0.05, 0.1, 0.25, 0.4, 0.6), target=0.25)
    >>> design.next_dose(parse_outcomes("1NNN 2NTT")).recommended_dose
    1
    """

    name: ClassVar[str] = "crm"
    skeleton: tuple[float, ...]
    target: float
    model: str = "empiric"
    intercept: float = 3.0
    prior_sd: float = 1.1576
    method: str = "bayes"
    allow_skipping: bool = False
    dose_count: int = 0
    start_dose: int = 1

    def __post_init__(self) -> None:
        """Refuse impossible settings."""
        check_probability(self.target, name="target")
        if self.dose_count == 0:
            object.__setattr__(self, "dose_count", len(self.skeleton))
        if len(self.skeleton) != self.dose_count:
            raise InputError(
                expected=f"{self.dose_count} skeleton probabilities",
                given=f"{len(self.skeleton)}",
                where="skeleton",
                action="give one for each dose",
            )
        check_dose_count(self.dose_count, start_dose=self.start_dose)
        for value in self.skeleton:
            check_probability(value, name="skeleton")
        if any(a >= b for a, b in pairwise(self.skeleton)):
            raise InputError(
                expected="a strictly increasing skeleton",
                given=", ".join(f"{p:g}" for p in self.skeleton),
                where="skeleton",
                action="order the probabilities",
            )
        for word, allowed, what in (
            (self.model, ("empiric", "logistic"), "model"),
            (self.method, ("bayes", "mle"), "method"),
        ):
            if word not in allowed:
                raise InputError(expected=" or ".join(allowed), given=f"'{word}'", where=what)
        if not 0 < self.prior_sd <= LARGEST_PRIOR_SD:
            raise InputError(
                expected=f"a prior standard deviation above 0, at most {LARGEST_PRIOR_SD:g}",
                given=f"{self.prior_sd:g}",
                where="prior sd",
            )
        if not abs(self.intercept) <= LARGEST_INTERCEPT:
            raise InputError(
                expected=f"an intercept from {-LARGEST_INTERCEPT:g} to {LARGEST_INTERCEPT:g}",
                given=f"{self.intercept:g}",
                where="intercept",
            )
        if self.model == "logistic" and any(x >= 0 for x in self.scaled):
            raise InputError(
                expected="an intercept above the logit of every skeleton probability",
                given=f"{self.intercept:g}",
                where="intercept",
                action="raise the intercept or lower the skeleton",
            )

    @property
    def scaled(self) -> tuple[float, ...]:
        """The skeleton on the scale on which exp(b) multiplies; all negative."""
        if self.model == "empiric":
            return tuple(log(p) for p in self.skeleton)
        return tuple(log(p / (1 - p)) - self.intercept for p in self.skeleton)

    def prob_at(self, b: float) -> tuple[float, ...]:
        """Return the DLT probabilities for a parameter value."""
        return tuple(exp(self._log_p(b, x)) for x in self.scaled)

    def weights(self, data: TrialData) -> tuple[float, ...]:
        """Return the weight of each evaluable patient: 1, the outcomes being complete."""
        return tuple(1.0 for _ in data.evaluable_patients())

    def log_likelihood(self, data: TrialData, b: float) -> float:
        """Return the (weighted) log-likelihood of b."""
        return self._log_likelihood(self._group(data), b)

    def posterior(self, data: TrialData) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """Return grid points of b and their posterior weights, summing to 1."""
        step = 2 * GRID_SDS * self.prior_sd / (GRID_POINTS - 1)
        grid = tuple(-GRID_SDS * self.prior_sd + i * step for i in range(GRID_POINTS))
        groups = self._group(data)
        logs = [self._log_likelihood(groups, b) - 0.5 * (b / self.prior_sd) ** 2 for b in grid]
        top = max(logs)
        mass = [exp(value - top) for value in logs]
        total = sum(mass)
        return grid, tuple(value / total for value in mass)

    def estimate(self, data: TrialData) -> float:
        """Return the posterior mean of b, or the maximum of its likelihood.

        Raises
        ------
        InputError
            If the maximum does not exist: no DLT yet, or nothing but DLTs.
        """
        if self.method == "bayes":
            grid, mass = self.posterior(data)
            return sum(b * w for b, w in zip(grid, mass))
        dlts = sum(data.dlts(d) for d in data.doses)
        if dlts in (0, data.total):
            raise InputError(
                expected="at least one DLT and one patient without, for the maximum of the likelihood",
                given=f"{dlts} DLTs in {data.total} patients",
                where="CRM, method mle",
                action="use method bayes, or a fixed path until the first DLT (follow-path)",
            )
        return self._maximise(data)

    def next_dose(self, data: TrialData) -> Recommendation:
        """Return the dose whose plug-in estimate is nearest the target."""
        check_doses(data, dose_count=self.dose_count)
        hold = self.derive_hold(data)
        data = self.usable(data)
        shared: dict[str, Any] = {"dose_admissible": (True,) * self.dose_count, "hold": hold}
        current = data.current_dose
        if not isinstance(current, int) or not data.total:
            dose = current if isinstance(current, int) else self.start_dose
            return Recommendation(
                recommended_dose=dose,
                continue_=True,
                prob_tox=self.prob_at(0.0),
                estimate=0.0,
                reason=f"No outcome yet: dose {dose}.",
                **shared,
            )
        b = self.estimate(data)
        probabilities = self.prob_at(b)
        nearest = find_nearest(probabilities, target=self.target)
        dose = nearest if self.allow_skipping else min(nearest, current + 1)
        action = Action.ESCALATE if dose > current else Action.DEESCALATE if dose < current else Action.STAY
        reason = (
            f"Estimated DLT rates {', '.join(f'{p:.3f}' for p in probabilities)}; "
            f"dose {nearest} is nearest the target {self.target:g}"
        )
        if dose != nearest:
            reason += f", but levels are not skipped: at most dose {dose} after dose {current}"
        return Recommendation(
            recommended_dose=dose,
            continue_=True,
            action=action,
            prob_tox=probabilities,
            estimate=b,
            reason=reason + f". Next dose {dose}.",
            **shared,
        )

    def derive_hold(self, data: TrialData) -> Any:
        """Return a hold while outcomes are pending: plain CRM needs every outcome."""
        return derive_hold(data, why="DLT windows are open; use tite-crm to decide before they close")

    def usable(self, data: TrialData) -> TrialData:
        """Return the patients the model learns from."""
        return data.completed()

    def table(self, max_n: int) -> DecisionTable:
        """Return the next dose for n patients at a dose, each lower dose having had 0 DLTs in 3."""
        rows = []
        for dose in range(1, self.dose_count + 1):
            for n in range(3, max_n + 1, 3):
                row: dict[str, Any] = {"dose": dose, "n": n}
                for x in range(min(n, 4) + 1):
                    if self.method == "mle" and (x == 0 or (dose == 1 and x == n)):
                        continue
                    counts = tuple(
                        3 if d < dose else n if d == dose else 0 for d in range(1, self.dose_count + 1)
                    )
                    dlts = tuple(x if d == dose else 0 for d in range(1, self.dose_count + 1))
                    row[f"dlts_{x}"] = self.next_dose(
                        to_outcomes(counts, dlts, current=dose)
                    ).recommended_dose
                rows.append(row)
        columns = {"dose": "current dose", "n": "patients at it"}
        columns |= {f"dlts_{x}": f"{x} DLT" for x in range(5)}
        return DecisionTable(
            title=f"{self.name}: next dose, target DLT rate {self.target:g}, skeleton "
            + ", ".join(f"{p:.2f}" for p in self.skeleton),
            columns=columns,
            rows=tuple(rows),
            notes=("Every lower dose is taken to have had three patients without DLT. '-': not applicable.",),
        )

    def prob_tox_exceeds(self, data: TrialData, threshold: float) -> tuple[float | None, ...]:
        """Return the posterior P(p > threshold) for each level."""
        if threshold <= 0.0 or threshold >= 1.0:
            return (1.0 if threshold <= 0.0 else 0.0,) * self.dose_count
        grid, mass = self.posterior(self.usable(data))
        at = log(threshold) if self.model == "empiric" else log(threshold / (1 - threshold)) - self.intercept
        return tuple(_cumulate(grid, mass, log(at / x) if at < 0 else -inf) for x in self.scaled)

    def prob_tox_quantile(self, data: TrialData, probability: float) -> tuple[float | None, ...]:
        """Return posterior quantiles of the DLT probability; it falls as b grows."""
        grid, mass = self.posterior(self.usable(data))
        return self.prob_at(_invert(grid, mass, 1.0 - probability))

    def _group(self, data: TrialData) -> list[tuple[float, bool, float, int]]:
        groups: dict[tuple[float, bool, float], int] = {}
        scaled = self.scaled
        for patient, weight in zip(data.evaluable_patients(), self.weights(data)):
            assert isinstance(patient.dose, int)
            key = (scaled[patient.dose - 1], patient.dlt, weight)
            groups[key] = groups.get(key, 0) + 1
        return [(x, dlt, weight, count) for (x, dlt, weight), count in groups.items()]

    def _log_p(self, b: float, x: float) -> float:
        value = exp(b) * x
        if self.model == "empiric":
            return max(value, -700.0)
        value += self.intercept
        return -log1p(exp(-value)) if value > -700.0 else value

    def _log_likelihood(self, groups: list[tuple[float, bool, float, int]], b: float) -> float:
        total = 0.0
        for x, dlt, weight, count in groups:
            log_p = self._log_p(b, x)
            if dlt:
                total += count * log_p
            elif weight == 1.0:
                total += count * log(max(-expm1(log_p), 1e-300))
            else:
                total += count * log1p(-weight * exp(log_p))
        return total

    def _maximise(self, data: TrialData) -> float:
        groups = self._group(data)
        low, high = LIKELIHOOD_RANGE
        points = [low + (high - low) * i / 400 for i in range(401)]
        top = max(range(401), key=lambda i: self._log_likelihood(groups, points[i]))
        low, high = points[max(top - 1, 0)], points[min(top + 1, 400)]
        golden = 0.6180339887498949
        while high - low > MLE_TOLERANCE:
            left, right = high - golden * (high - low), low + golden * (high - low)
            if self._log_likelihood(groups, left) >= self._log_likelihood(groups, right):
                high = right
            else:
                low = left
        return 0.5 * (low + high)


def find_nearest(probabilities: tuple[float, ...], *, target: float) -> int:
    """Return the level (from 1) nearest the target, ties to the lower."""
    best = 0
    for i, p in enumerate(probabilities):
        if abs(p - target) < abs(probabilities[best] - target) - TIE_TOLERANCE:
            best = i
    return best + 1


def _cumulate(grid: tuple[float, ...], mass: tuple[float, ...], at: float) -> float:
    """Return the posterior probability of b < at, the density being linear between grid points."""
    if at <= grid[0]:
        return 0.0
    if at >= grid[-1]:
        return 1.0
    step = grid[1] - grid[0]
    i = min(int((at - grid[0]) / step), len(grid) - 2)
    part = (at - grid[i]) / step
    before = sum(mass[:i]) + 0.5 * mass[i] if i else 0.0
    return min(1.0, before + part * (mass[i] + 0.5 * part * (mass[i + 1] - mass[i])))


def _invert(grid: tuple[float, ...], mass: tuple[float, ...], probability: float) -> float:
    low, high = grid[0], grid[-1]
    for _ in range(60):
        middle = 0.5 * (low + high)
        if _cumulate(grid, mass, middle) < probability:
            low = middle
        else:
            high = middle
    return 0.5 * (low + high)
