"""What the interval designs share: the decision depends on the counts at the current dose, and nothing else.

Each design file gives two formulas, `action` and `eliminates`; moving between levels, exclusion, tables and
posterior questions are the same for all and live here.
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import Any

from hepatica.trials.beta_distribution import (
    measure_beta_quantile,
    measure_beta_survival,
)
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
from hepatica.trials.isotonic import derive_isotonic
from hepatica.trials.outcomes import TrialData

TABLE_COLUMNS = {
    "n": "patients at the dose",
    "escalate_if_le": "escalate if DLTs <=",
    "deescalate_if_ge": "de-escalate if DLTs >=",
    "eliminate_if_ge": "eliminate if DLTs >=",
}


def derive_posterior_sequence(
    counts: tuple[int, ...], dlts: tuple[int, ...], *, prior: tuple[float, float]
) -> tuple[float | None, ...]:
    """Return isotonic posterior means at the doses given, weighted by inverse posterior variance.

    Untried doses have no estimate (None).
    """
    a, b = prior
    tried = [i for i, n in enumerate(counts) if n > 0]
    means, weights = [], []
    for i in tried:
        x, n = dlts[i] + a, counts[i] + a + b
        means.append(x / n)
        weights.append(n * n * (n + 1.0) / (x * (n - x)))
    fitted = dict(zip(tried, derive_isotonic(means, weights=weights)))
    return tuple(fitted.get(i) for i in range(len(counts)))


def select_mtd(
    counts: tuple[int, ...],
    estimates: tuple[float | None, ...],
    *,
    admissible: tuple[bool, ...],
    target: float,
) -> int | None:
    """Return the admissible tried dose whose estimate is nearest the target.

    Ties: the highest dose where the estimate is below the target, the lowest where it is above.
    """
    best: int | None = None
    best_distance = 0.0
    for i, n in enumerate(counts):
        estimate = estimates[i]
        if n == 0 or not admissible[i] or estimate is None:
            continue
        nudged = estimate + 1e-10 * i  # breaks ties as stated; far below any difference of counts
        distance = abs(nudged - target)
        if best is None or distance < best_distance:
            best, best_distance = i + 1, distance
    return best


@dataclass(frozen=True, kw_only=True)
class IntervalDesign:
    """Base of the interval designs.

    Parameters
    ----------
    dose_count
        Number of dose levels.
    target
        Target DLT probability.
    exclusion_certainty
        A dose and all above are eliminated when P(p > target) exceeds this; 1 or more switches exclusion off.
    start_dose
        First level.
    """

    dose_count: int
    target: float
    exclusion_certainty: float = 0.95
    start_dose: int = 1

    def __post_init__(self) -> None:
        """Refuse impossible settings."""
        check_dose_count(self.dose_count, start_dose=self.start_dose)
        check_probability(self.target, name="target")
        if not self.exclusion_certainty > 0.0:
            check_probability(self.exclusion_certainty, name="exclusion certainty")

    @property
    def prior(self) -> tuple[float, float]:
        """Beta prior of the decision and of the exclusion."""
        return 1.0, 1.0

    @property
    def estimate_prior(self) -> tuple[float, float]:
        """Beta prior of the isotonic estimate."""
        return self.prior

    @property
    def exclusion_minimum(self) -> int:
        """Patients a dose needs before it can be eliminated."""
        return 1

    @abstractmethod
    def action(self, n: int, x: int) -> Action:
        """Return what x DLTs in n patients at the current dose call for."""

    def eliminates(self, n: int, x: int) -> bool:
        """Return whether x DLTs in n patients eliminate the dose."""
        if n < self.exclusion_minimum or n == 0:
            return False
        a, b = self.prior
        return measure_beta_survival(self.target, a=a + x, b=b + n - x) > self.exclusion_certainty

    def derive_admissible(self, data: TrialData) -> tuple[bool, ...]:
        """Return for each level whether neither it nor a lower one is eliminated."""
        admissible, open_ = [], True
        for d in range(1, self.dose_count + 1):
            open_ = open_ and not self.eliminates(data.count(d), data.dlts(d))
            admissible.append(open_)
        return tuple(admissible)

    def next_dose(self, data: TrialData) -> Recommendation:
        """Return the next dose: the action at the current dose, within range and among admissible levels."""
        check_doses(data, dose_count=self.dose_count)
        hold = derive_hold(data, why="DLT windows are open; this design needs every outcome of the cohort")
        data = data.completed()
        return self.move(data, hold=hold)

    def move(self, data: TrialData, *, hold: Any = None) -> Recommendation:
        """Turn the action at the current dose into a recommendation."""
        current = data.current_dose
        admissible = self.derive_admissible(data)
        counts, dlts = data.counts(self.dose_count)
        shared: dict[str, Any] = {
            "dose_admissible": admissible,
            "prob_tox": derive_posterior_sequence(counts, dlts, prior=self.estimate_prior),
            "hold": hold,
        }
        if not isinstance(current, int):
            return Recommendation(
                recommended_dose=self.start_dose,
                continue_=True,
                reason=f"No outcome yet: start at dose {self.start_dose}.",
                **shared,
            )
        n, x = data.count(current), data.dlts(current)
        shared["estimate"] = x / n if n else None
        seen = f"{x} of {n} patients at dose {current} had a DLT"
        if not admissible[0]:
            return Recommendation(
                recommended_dose=None,
                continue_=False,
                action=Action.STOP,
                stop_kind=StopKind.TOXICITY,
                reason=f"{seen}; dose 1 is too toxic (P(DLT rate > {self.target:g}) above "
                f"{self.exclusion_certainty:g}): stop, no dose.",
                **shared,
            )
        if n == 0:
            dose = min(current, sum(admissible))
            return Recommendation(
                recommended_dose=dose,
                continue_=True,
                reason=f"No outcome yet at dose {current}: next dose {dose}.",
                **shared,
            )
        action = self.action(n, x)
        dose, why = move_dose(current, action=action, dose_count=self.dose_count, admissible=admissible)
        return Recommendation(
            recommended_dose=dose,
            continue_=True,
            action=action,
            reason=f"{seen}: {self.explain(n, x, action)}{why}. Next dose {dose}.",
            **shared,
        )

    def explain(self, n: int, x: int, action: Action) -> str:
        """Return the reason for an action in words."""
        return str(action)

    def table(self, max_n: int) -> DecisionTable:
        """Return the boundaries for 1 to `max_n` patients at the current dose."""
        rows = []
        for n in range(1, max_n + 1):
            actions = [self.action(n, x) for x in range(n + 1)]
            gone = [self.eliminates(n, x) for x in range(n + 1)]
            up = [x for x in range(n + 1) if actions[x] is Action.ESCALATE and not gone[x]]
            down = [x for x in range(n + 1) if actions[x] is Action.DEESCALATE or gone[x]]
            out = [x for x in range(n + 1) if gone[x]]
            rows.append(
                {
                    "n": n,
                    "escalate_if_le": max(up) if up else None,
                    "deescalate_if_ge": min(down) if down else None,
                    "eliminate_if_ge": min(out) if out else None,
                }
            )
        return DecisionTable(
            title=f"{getattr(self, 'name', '')}: what to do at the current dose, target DLT rate "
            f"{self.target:g}",
            columns=TABLE_COLUMNS,
            rows=tuple(rows),
            notes=(
                "Between the limits: stay. '-' means impossible with so few patients.",
                "Eliminate: leave this dose and all above for good; at dose 1, stop the trial.",
                "At dose 1 'de-escalate', and at the top dose 'escalate', mean stay.",
            ),
        )

    def prob_tox_exceeds(self, data: TrialData, threshold: float) -> tuple[float | None, ...]:
        """Return P(p > threshold) under the design's own prior, None for untried doses."""
        a, b = self.prior
        counts, dlts = data.completed().counts(self.dose_count)
        return tuple(
            measure_beta_survival(threshold, a=a + x, b=b + n - x) if n else None
            for n, x in zip(counts, dlts)
        )

    def prob_tox_quantile(self, data: TrialData, probability: float) -> tuple[float | None, ...]:
        """Return posterior quantiles under the design's own prior, None for untried doses."""
        a, b = self.prior
        counts, dlts = data.completed().counts(self.dose_count)
        return tuple(
            measure_beta_quantile(probability, a=a + x, b=b + n - x) if n else None
            for n, x in zip(counts, dlts)
        )

    def select(self, counts: tuple[int, ...], dlts: tuple[int, ...]) -> int | None:
        """Return the maximum tolerated dose at the end of the trial, None for no dose."""
        admissible, open_ = [], True
        for n, x in zip(counts, dlts):
            open_ = open_ and not self.eliminates(n, x)
            admissible.append(open_)
        kept = tuple(n if ok else 0 for n, ok in zip(counts, admissible))
        estimates = derive_posterior_sequence(kept, dlts, prior=self.estimate_prior)
        return select_mtd(kept, estimates, admissible=tuple(admissible), target=self.target)


def move_dose(
    current: int, *, action: Action, dose_count: int, admissible: tuple[bool, ...]
) -> tuple[int, str]:
    """Return the level an action leads to, and what limited it, in words.

    De-escalation at dose 1 and escalation at the top stay. A level that is eliminated gives way to the
    highest admissible level below it. Dose 1 must be admissible.
    """
    step = {Action.ESCALATE: 1, Action.STAY: 0, Action.DEESCALATE: -1, Action.STOP: 0}[action]
    wanted = current + step
    dose = min(max(wanted, 1), dose_count)
    why = ""
    if wanted < 1:
        why = ", but there is no lower dose"
    elif wanted > dose_count:
        why = ", but there is no higher dose"
    highest = sum(admissible)  # admissible levels are a run from dose 1
    if dose > highest:
        why = f", but dose {dose} is eliminated"
        dose = highest
    return dose, why
