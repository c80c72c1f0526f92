"""BOIN for combinations (Lin and Yin 2017, doi:10.1177/0962280215594494), for example concentration x volume.

The boundaries are those of BOIN. Escalation raises one agent, de-escalation lowers one; of the two neighbours
the one with the larger P(p in (lambda_e, lambda_d)) under Beta(0.5, 0.5) is taken, with a small bonus for
patients already there, and on a tie the second agent (the volume) moves. A toxic pair eliminates every pair
at or above it in both agents. At the end matrix isotonic estimates give one MTD, or a contour: one for each
level of the first agent.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Final

from hepatica.core.errors import InputError
from hepatica.trials.beta_distribution import measure_beta_cdf, measure_beta_quantile, measure_beta_survival
from hepatica.trials.design import (
    Action,
    DecisionTable,
    Recommendation,
    StopKind,
    check_dose_count,
    check_probability,
    derive_hold,
)
from hepatica.trials.escalation.boin import Boin
from hepatica.trials.isotonic import derive_matrix_isotonic
from hepatica.trials.outcomes import TrialData

PATIENT_BONUS: Final = 0.0005
"""Added for each patient at a pair, as the authors' software does to break ties toward known pairs."""
ESTIMATE_PRIOR: Final = 0.05
"""Beta prior of the isotonic estimates, as for BOIN."""


@dataclass(frozen=True, kw_only=True)
class BoinCombination:
    """BOIN for two agents.

    Parameters
    ----------
    dose_counts
        Levels of the first and of the second agent.
    target, exclusion_certainty
        As for BOIN.

    Examples
    --------
    >>> from hepatica.trials.outcomes import parse_outcomes
    >>> BoinCombination(dose_counts=(3, 4), target=0.25).next_dose(parse_outcomes("1.1NNN")).recommended_dose
    (1, 2)
    """

    name: ClassVar[str] = "boin-combination"
    dose_counts: tuple[int, int]
    target: float
    exclusion_certainty: float = 0.95

    def __post_init__(self) -> None:
        """Refuse impossible settings."""
        check_probability(self.target, name="target")
        for count in self.dose_counts:
            check_dose_count(count)

    @property
    def dose_count(self) -> int:
        """Number of pairs."""
        return self.dose_counts[0] * self.dose_counts[1]

    @property
    def single(self) -> Boin:
        """The one-agent rules, applied to one pair."""
        return Boin(dose_count=1, target=self.target, exclusion_certainty=self.exclusion_certainty)

    def derive_admissible(self, data: TrialData) -> tuple[tuple[bool, ...], ...]:
        """Return for each pair whether no toxic pair lies at or below it in both agents."""
        toxic = [d for d in data.doses if self.single.eliminates(data.count(d), data.dlts(d))]
        return tuple(
            tuple(
                not any(isinstance(t, tuple) and t[0] <= i and t[1] <= j for t in toxic)
                for j in range(1, self.dose_counts[1] + 1)
            )
            for i in range(1, self.dose_counts[0] + 1)
        )

    def next_dose(self, data: TrialData) -> Recommendation:
        """Return the next pair."""
        self._check(data)
        hold = derive_hold(data, why="DLT windows are open; this design needs every outcome of the cohort")
        data = data.completed()
        admissible = self.derive_admissible(data)
        shared: dict[str, Any] = {
            "dose_admissible": admissible,
            "prob_tox": self._estimate(data, keep=lambda pair: True),
            "hold": hold,
        }
        current = data.current_dose
        if not isinstance(current, tuple):
            return Recommendation(
                recommended_dose=(1, 1), continue_=True, reason="No outcome yet: start at (1, 1).", **shared
            )
        n, x = data.count(current), data.dlts(current)
        seen = f"{x} of {n} patients at {current} had a DLT"
        if not admissible[0][0]:
            return Recommendation(
                recommended_dose=None,
                continue_=False,
                action=Action.STOP,
                stop_kind=StopKind.TOXICITY,
                reason=f"{seen}; the lowest pair is too toxic: stop, no dose.",
                **shared,
            )
        action = self.single.action(n, x) if n else Action.STAY
        pair = self._choose(data, current=current, action=action, admissible=admissible)
        return Recommendation(
            recommended_dose=pair,
            continue_=True,
            action=action,
            estimate=x / n if n else None,
            reason=f"{seen}: {self.single.explain(n, x, action) if n else 'stay'}. Next pair {pair}.",
            **shared,
        )

    def _choose(
        self,
        data: TrialData,
        *,
        current: tuple[int, int],
        action: Action,
        admissible: tuple[tuple[bool, ...], ...],
    ) -> tuple[int, int]:
        i, j = current
        step = {Action.ESCALATE: 1, Action.DEESCALATE: -1}.get(action, 0)
        options = [(i, j + step), (i + step, j)] if step else []
        rows, columns = self.dose_counts
        inside = [
            (a, b) for a, b in options if 1 <= a <= rows and 1 <= b <= columns and admissible[a - 1][b - 1]
        ]
        if inside:
            return max(inside, key=lambda pair: round(self._promise(data, pair), 12))
        if admissible[i - 1][j - 1]:
            return current
        lower = [(a, b) for a in range(1, i + 1) for b in range(1, j + 1) if admissible[a - 1][b - 1]]
        return max(lower, key=lambda pair: (pair[0] + pair[1], pair[1]))

    def _promise(self, data: TrialData, pair: tuple[int, int]) -> float:
        escalate, deescalate = self.single.boundaries
        n, x = data.count(pair), data.dlts(pair)
        a, b = x + 0.5, n - x + 0.5
        inside = measure_beta_cdf(deescalate, a=a, b=b) - measure_beta_cdf(escalate, a=a, b=b)
        return inside + PATIENT_BONUS * n

    def _estimate(self, data: TrialData, *, keep: Any) -> tuple[tuple[float | None, ...], ...]:
        rows, columns = self.dose_counts
        pairs = [[(i, j) for j in range(1, columns + 1)] for i in range(1, rows + 1)]
        prior = ESTIMATE_PRIOR
        values = [[(data.dlts(p) + prior) / (data.count(p) + 2 * prior) for p in row] for row in pairs]
        weights = [[data.count(p) + 2 * prior for p in row] for row in pairs]
        fit = derive_matrix_isotonic(values, weights=weights)
        return tuple(
            tuple(fit[i][j] if data.count(p) and keep(p) else None for j, p in enumerate(row))
            for i, row in enumerate(pairs)
        )

    def select(
        self, counts: Sequence[Sequence[int]], dlts: Sequence[Sequence[int]]
    ) -> tuple[int, int] | None:
        """Return the pair whose matrix isotonic estimate is nearest the target.

        Parameters
        ----------
        counts, dlts
            Patients and DLTs, one row for each level of the first agent.
        """
        data = self._to_data(counts, dlts)
        admissible = self.derive_admissible(data)
        fit = self._estimate(data, keep=lambda pair: admissible[pair[0] - 1][pair[1] - 1])
        found = [
            # the nudge prefers, among equal estimates, higher pairs below the target and lower ones above it
            (abs(value + 1e-5 * (i + j) - self.target), (i, j))
            for i, row in enumerate(fit, start=1)
            for j, value in enumerate(row, start=1)
            if value is not None
        ]
        return min(found)[1] if found and admissible[0][0] else None

    def select_contour(
        self, counts: Sequence[Sequence[int]], dlts: Sequence[Sequence[int]]
    ) -> tuple[int | None, ...]:
        """Return for each level of the first agent the level of the second nearest the target, None for none.

        A level whose next higher level of the first agent already carries the top of the second has no MTD of
        its own.
        """
        data = self._to_data(counts, dlts)
        admissible = self.derive_admissible(data)
        fit = self._estimate(data, keep=lambda pair: admissible[pair[0] - 1][pair[1] - 1])
        rows: list[int | None] = []
        for i, row in enumerate(fit, start=1):
            found = [
                (abs(v + 1e-5 * (i + j) - self.target), j)
                for j, v in enumerate(row, start=1)
                if v is not None
            ]
            rows.append(min(found)[1] if found and admissible[0][0] else None)
        top = self.dose_counts[1]
        return tuple(None if top in rows[i + 1 :] else chosen for i, chosen in enumerate(rows))

    def table(self, max_n: int) -> DecisionTable:
        """Return the boundaries at the current pair."""
        return self.single.table(max_n)

    def prob_tox_exceeds(self, data: TrialData, threshold: float) -> tuple[float | None, ...]:
        """Return P(p > threshold) under Beta(1, 1), pairs row by row, None for untried ones."""
        return tuple(
            measure_beta_survival(threshold, a=1.0 + x, b=1.0 + n - x) if n else None
            for n, x in self._flat(data)
        )

    def prob_tox_quantile(self, data: TrialData, probability: float) -> tuple[float | None, ...]:
        """Return quantiles under Beta(1, 1), pairs row by row, None for untried ones."""
        return tuple(
            measure_beta_quantile(probability, a=1.0 + x, b=1.0 + n - x) if n else None
            for n, x in self._flat(data)
        )

    def _flat(self, data: TrialData) -> list[tuple[int, int]]:
        rows, columns = self.dose_counts
        pairs = [(i, j) for i in range(1, rows + 1) for j in range(1, columns + 1)]
        return [(data.count(pair), data.dlts(pair)) for pair in pairs]

    def _to_data(self, counts: Sequence[Sequence[int]], dlts: Sequence[Sequence[int]]) -> TrialData:
        from hepatica.trials.outcomes import Patient

        return TrialData(
            patients=tuple(
                Patient(dose=(i, j), dlt=k < dlts[i - 1][j - 1])
                for i in range(1, self.dose_counts[0] + 1)
                for j in range(1, self.dose_counts[1] + 1)
                for k in range(counts[i - 1][j - 1])
            )
        )

    def _check(self, data: TrialData) -> None:
        for patient in data.patients:
            pair = patient.dose
            if not isinstance(pair, tuple) or pair[0] > self.dose_counts[0] or pair[1] > self.dose_counts[1]:
                raise InputError(
                    expected=f"pairs from 1.1 to {self.dose_counts[0]}.{self.dose_counts[1]}",
                    given=str(pair),
                    where="outcomes",
                    action="write pairs as 1.2NNN",
                )
