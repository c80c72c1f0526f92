"""BLRM with overdose control (Neuenschwander, Branson and Gsponer 2008, doi:10.1002/sim.3230).

logit p = alpha + exp(beta) ln(d / d_ref), (alpha, beta) bivariate normal. A dose is admissible when
P(p > upper limit) is below the overdose threshold; of the admissible doses the one with the largest
probability of the target interval is next. The posterior is integrated on a two-dimensional grid: no
sampling.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from math import inf, log
from typing import Any, ClassVar, Final

from hepatica.core.errors import InputError
from hepatica.trials.design import (
    Action,
    DecisionTable,
    Recommendation,
    StopKind,
    check_dose_count,
    check_doses,
    check_probability,
    derive_hold,
)
from hepatica.trials.outcomes import TrialData, to_outcomes

COARSE_POINTS: Final = 121
FINE_POINTS: Final = 281
"""Points along each parameter; the fine grid covers only where the posterior lives."""
GRID_SDS: Final = 8.0
"""Prior standard deviations on each side of the coarse grid; beyond lies less than 1e-14 of the prior."""
LARGEST_PRIOR: Final = 50.0
"""Prior mean or standard deviation beyond which exp(beta) overflows on the grid."""
NEGLIGIBLE: Final = 1e-14
"""Posterior density, relative to its top, below which a grid point is left out of the fine grid."""


@dataclass(frozen=True, kw_only=True)
class Blrm:
    """BLRM with EWOC.

    Parameters
    ----------
    dose_count
        Number of levels.
    dose_amounts
        Amount of each level in any one unit, increasing; 1, 2, ... unless given.
    reference_amount
        Amount at which alpha is the logit of the DLT probability; the middle level unless given.
    prior_mean, prior_sd, prior_correlation
        Bivariate normal prior of (alpha, beta). The default is weak and unverified: median DLT probability
        0.25 at the reference.
    interval
        Target interval.
    overdose_limit
        Largest accepted P(p > upper end of the interval).
    allow_skipping
        Whether the next dose may be more than one level above the current one.

    Examples
    --------
    >>> from hepatica.trials.outcomes import parse_outcomes
    >>> Blrm(dose_count=4).next_dose(parse_outcomes("1NNN")).recommended_dose
    2
    """

    name: ClassVar[str] = "blrm"
    computes_apart: ClassVar[bool] = True
    """It integrates over a grid with numerical libraries."""
    dose_count: int
    dose_amounts: tuple[float, ...] = ()
    reference_amount: float | None = None
    prior_mean: tuple[float, float] = (-1.0986122886681098, 0.0)
    prior_sd: tuple[float, float] = (2.0, 1.0)
    prior_correlation: float = 0.0
    interval: tuple[float, float] = (0.16, 0.33)
    overdose_limit: float = 0.25
    allow_skipping: bool = False
    start_dose: int = 1

    def __post_init__(self) -> None:
        """Refuse impossible settings."""
        check_dose_count(self.dose_count, start_dose=self.start_dose)
        if not self.dose_amounts:
            object.__setattr__(self, "dose_amounts", tuple(float(d) for d in range(1, self.dose_count + 1)))
        amounts = self.dose_amounts
        if (
            len(amounts) != self.dose_count
            or not 0 < amounts[0] <= amounts[-1] < inf
            or any(a >= b for a, b in pairwise(amounts))
        ):
            raise InputError(
                expected=f"{self.dose_count} finite increasing amounts above 0",
                given=", ".join(f"{a:g}" for a in amounts),
                where="dose amounts",
            )
        if self.reference_amount is None:
            object.__setattr__(self, "reference_amount", amounts[(self.dose_count - 1) // 2])
        if (
            self.reference_amount is None
            or self.reference_amount <= 0
            or not 0 < amounts[0] / self.reference_amount <= amounts[-1] / self.reference_amount < inf
        ):
            raise InputError(
                expected="a reference above 0, of the size of the amounts",
                given=str(self.reference_amount),
                where="reference amount",
            )
        for value in (*self.interval, self.overdose_limit):
            check_probability(value, name="interval and overdose limit")
        if (
            self.interval[0] >= self.interval[1]
            or not 0 < min(self.prior_sd) <= max(self.prior_sd) <= LARGEST_PRIOR
            or not max(abs(mean) for mean in self.prior_mean) <= LARGEST_PRIOR
            or not abs(self.prior_correlation) < 1
        ):
            raise InputError(
                expected="an increasing interval, prior means and positive SDs of at most "
                f"{LARGEST_PRIOR:g}, a correlation inside -1 to 1",
                given=f"{self.interval}, {self.prior_sd}, {self.prior_correlation:g}",
                where="BLRM",
            )

    def summarise(self, data: TrialData, *, limits: tuple[float, ...]) -> tuple[Any, Any, Any]:
        """Return posterior means of the DLT probabilities, P(p <= limit) by level, parameter means."""
        import numpy as np

        alpha, beta, density = self._posterior(data)
        slope = np.exp(beta)
        assert self.reference_amount is not None
        z = np.array([log(amount / self.reference_amount) for amount in self.dose_amounts])
        row = density.sum(axis=0)  # mass along alpha for each beta
        means, below = [], np.zeros((self.dose_count, len(limits)))
        for d in range(self.dose_count):
            logit = alpha[:, None] + slope[None, :] * z[d]
            means.append(float((density * 0.5 * (1 + np.tanh(0.5 * logit))).sum()))
            for k, limit in enumerate(limits):
                cut = log(limit / (1 - limit)) - slope * z[d]
                below[d, k] = float((_cumulate_columns(alpha, density, cut)).sum())
        estimate = (float((density.sum(axis=1) * alpha).sum()), float((row * beta).sum()))
        return tuple(means), below, estimate

    def next_dose(self, data: TrialData) -> Recommendation:
        """Return the admissible dose most likely to lie in the target interval."""
        check_doses(data, dose_count=self.dose_count)
        hold = derive_hold(data, why="DLT windows are open; this design needs every outcome")
        data = data.completed()
        low, high = self.interval
        means, below, estimate = self.summarise(data, limits=(low, high))
        overdose = tuple(float(1 - below[d, 1]) for d in range(self.dose_count))
        inside = tuple(float(below[d, 1] - below[d, 0]) for d in range(self.dose_count))
        admissible = tuple(value < self.overdose_limit for value in overdose)
        shared: dict[str, Any] = {
            "dose_admissible": admissible,
            "prob_tox": means,
            "estimate": estimate,
            "hold": hold,
        }
        current = data.current_dose
        start = current if isinstance(current, int) else self.start_dose
        if not data.total:  # the start is the protocol's choice, whatever the prior says
            shared["dose_admissible"] = tuple(ok or d <= start for d, ok in enumerate(admissible, start=1))
        words = ", ".join(f"dose {d} {p:.2f}" for d, p in enumerate(overdose, start=1))
        words = f"P(DLT rate > {high:g}): {words}; the limit is {self.overdose_limit:g}"
        if not isinstance(current, int) or not data.total:
            return Recommendation(
                recommended_dose=start,
                continue_=True,
                reason=f"No outcome yet: dose {start}.",
                **shared,
            )
        if not any(admissible):
            return Recommendation(
                recommended_dose=None,
                continue_=False,
                action=Action.STOP,
                stop_kind=StopKind.TOXICITY,
                reason=f"{words}; every dose is an overdose: stop, no dose.",
                **shared,
            )
        top = self.dose_count if self.allow_skipping else min(current + 1, self.dose_count)
        open_ = [d for d in range(1, top + 1) if admissible[d - 1]]
        best = max(open_, key=lambda d: (inside[d - 1], -d))
        action = Action.ESCALATE if best > current else Action.DEESCALATE if best < current else Action.STAY
        return Recommendation(
            recommended_dose=best,
            continue_=True,
            action=action,
            reason=f"{words}. Of the admissible doses within reach dose {best} is the most likely to lie in "
            f"{low:g} to {high:g} (probability {inside[best - 1]:.2f}). Next dose {best}.",
            **shared,
        )

    def table(self, max_n: int) -> DecisionTable:
        """Return the next dose for n patients at a dose, each lower dose having had 0 DLTs in 3."""
        rows = []
        for dose in range(1, self.dose_count + 1):
            for n in range(3, max_n + 1, 3):
                row: dict[str, Any] = {"dose": dose, "n": n}
                for x in range(min(n, 4) + 1):
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
            title=f"blrm: next dose, target interval {self.interval[0]:g} to {self.interval[1]:g}",
            columns=columns,
            rows=tuple(rows),
            notes=("Every lower dose is taken to have had three patients without DLT. '-': no dose.",),
        )

    def prob_tox_exceeds(self, data: TrialData, threshold: float) -> tuple[float | None, ...]:
        """Return the posterior P(p > threshold) for each level."""
        _, below, _ = self.summarise(data.completed(), limits=(threshold,))
        return tuple(float(1 - below[d, 0]) for d in range(self.dose_count))

    def prob_tox_quantile(self, data: TrialData, probability: float) -> tuple[float | None, ...]:
        """Return posterior quantiles, to 1e-4."""
        import numpy as np

        limits = tuple(np.linspace(0.0005, 0.9995, 1000))
        _, below, _ = self.summarise(data.completed(), limits=limits)
        return tuple(float(np.interp(probability, below[d], limits)) for d in range(self.dose_count))

    def _posterior(self, data: TrialData) -> tuple[Any, Any, Any]:
        import numpy as np

        edges = [(m - GRID_SDS * s, m + GRID_SDS * s) for m, s in zip(self.prior_mean, self.prior_sd)]
        alpha, beta = (np.linspace(low, high, COARSE_POINTS) for low, high in edges)
        logs = self._log_density(data, alpha, beta)
        seen = logs > logs.max() + np.log(NEGLIGIBLE)
        rows, columns = np.nonzero(seen.any(axis=1))[0], np.nonzero(seen.any(axis=0))[0]
        last = COARSE_POINTS - 1
        alpha = np.linspace(alpha[max(rows[0] - 1, 0)], alpha[min(rows[-1] + 1, last)], FINE_POINTS)
        beta = np.linspace(beta[max(columns[0] - 1, 0)], beta[min(columns[-1] + 1, last)], FINE_POINTS)
        logs = self._log_density(data, alpha, beta)
        density = np.exp(logs - logs.max())
        return alpha, beta, density / density.sum()

    def _log_density(self, data: TrialData, alpha: Any, beta: Any) -> Any:
        import numpy as np

        u = ((alpha - self.prior_mean[0]) / self.prior_sd[0])[:, None]
        v = ((beta - self.prior_mean[1]) / self.prior_sd[1])[None, :]
        rho = self.prior_correlation
        logs = -0.5 * (u * u - 2 * rho * u * v + v * v) / (1 - rho * rho)
        slope = np.exp(beta)[None, :]
        assert self.reference_amount is not None
        for dose, amount in enumerate(self.dose_amounts, start=1):
            n, x = data.count(dose), data.dlts(dose)
            if n:
                logit = alpha[:, None] + slope * log(amount / self.reference_amount)
                logs = logs - x * np.logaddexp(0.0, -logit) - (n - x) * np.logaddexp(0.0, logit)
        return logs


def _cumulate_columns(alpha: Any, density: Any, cut: Any) -> Any:
    """Return for each column the mass below its cut, the density being linear between grid points."""
    import numpy as np

    step = alpha[1] - alpha[0]
    at = np.clip((cut - alpha[0]) / step, 0.0, len(alpha) - 1.0)
    i = np.minimum(at.astype(np.int64), len(alpha) - 2)
    part = at - i
    columns = np.arange(density.shape[1])
    running = np.cumsum(density, axis=0)
    here, there = density[i, columns], density[i + 1, columns]
    before = running[i, columns] - 0.5 * here
    inside = before + part * (here + 0.5 * part * (there - here))
    total = running[-1]
    return np.where(cut <= alpha[0], 0.0, np.where(cut >= alpha[-1], total, inside))
