"""BOIN12 (Lin, Zhou, Yan, Li and Yuan 2020, doi:10.1200/PO.20.00257): the dose with the best trade-off.

Utilities: u1 efficacy without toxicity, u2 neither, u3 both, u4 toxicity alone. The mean utility, on 0 to 1,
has a quasi-binomial likelihood and a Beta(1, 1) prior; a dose's desirability is P(mean utility > benchmark),
the benchmark lying half way between the utility of the limits phi_t, phi_e and 100. Toxicity decides how far
to move, desirability where to.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from hepatica.core.errors import InputError
from hepatica.trials.beta_distribution import measure_beta_cdf, measure_beta_survival
from hepatica.trials.design import Action, DecisionTable, Recommendation, StopKind, check_probability
from hepatica.trials.escalation.boin import BOUNDARY_TOLERANCE, derive_boin_boundaries
from hepatica.trials.escalation.interval import IntervalDesign
from hepatica.trials.outcomes import Patient, TrialData


@dataclass(frozen=True, kw_only=True)
class Boin12(IntervalDesign):
    """BOIN12.

    Parameters
    ----------
    target
        Highest acceptable DLT probability, phi_t.
    phi_t
        Another name of the target, as published; wins where both are given.
    phi_e
        Lowest acceptable response probability.
    u1, u2, u3, u4
        Utilities, 0 to 100.
    n_star
        Patients from which a rate between the boundaries no longer allows escalation.
    c_t, c_e
        Certainty that closes a dose for toxicity or for futility.
    explore_from
        A dose with at least this many patients and a rate below lambda_d leads on to an untried next dose.

    Examples
    --------
    >>> from hepatica.trials.outcomes import parse_outcomes
    >>> design = Boin12(dose_count=5, target=0.35, phi_e=0.25, u2=40, u3=60)
    >>> design.next_dose(parse_outcomes("1NNN 2ENT 3ETT 2EEN")).recommended_dose
    2
    """

    name: ClassVar[str] = "boin12"
    uses_responses: ClassVar[bool] = True
    """It decides by responses too."""
    target: float = 0.35
    phi_t: float | None = None
    phi_e: float = 0.25
    u1: float = 100.0
    u2: float = 40.0
    u3: float = 60.0
    u4: float = 0.0
    n_star: int = 6
    c_t: float = 0.95
    c_e: float = 0.9
    explore_from: int = 9

    def __post_init__(self) -> None:
        """Refuse impossible settings."""
        if self.phi_t is not None:
            object.__setattr__(self, "target", self.phi_t)
        super().__post_init__()
        check_probability(self.phi_e, name="phi_e")
        check_probability(self.c_t, name="c_t")
        check_probability(self.c_e, name="c_e")
        if not 0 <= self.u4 <= min(self.u2, self.u3) <= max(self.u2, self.u3) <= self.u1 <= 100:
            raise InputError(
                expected="utilities with 0 <= u4 <= u2, u3 <= u1 <= 100",
                given=f"{self.u1:g}, {self.u2:g}, {self.u3:g}, {self.u4:g}",
                where="BOIN12",
            )
        derive_boin_boundaries(self.target)

    @property
    def benchmark(self) -> float:
        """Utility, 0 to 100, that a desirable dose exceeds."""
        t, e = self.target, self.phi_e
        limit = self.u1 * e * (1 - t) + self.u2 * (1 - e) * (1 - t) + self.u3 * e * t + self.u4 * (1 - e) * t
        return limit + (100 - limit) / 2

    def desirability(self, data: TrialData, dose: int) -> float:
        """Return P(mean utility > benchmark) for a dose."""
        utility = {
            (False, True): self.u1,
            (False, False): self.u2,
            (True, True): self.u3,
            (True, False): self.u4,
        }
        scores = [utility[p.dlt, p.efficacy] for p in data.evaluable_patients() if p.dose == dose]
        x = sum(scores) / 100
        return measure_beta_survival(self.benchmark / 100, a=1 + x, b=1 + len(scores) - x)

    def eliminates(self, n: int, x: int) -> bool:
        """Return whether toxicity closes a dose and all above."""
        return n > 0 and measure_beta_survival(self.target, a=1.0 + x, b=1.0 + n - x) >= self.c_t

    def is_futile(self, n: int, responses: int) -> bool:
        """Return whether lack of response closes a dose."""
        return n > 0 and measure_beta_cdf(self.phi_e, a=1.0 + responses, b=1.0 + n - responses) >= self.c_e

    def derive_admissible(self, data: TrialData) -> tuple[bool, ...]:
        """Return for each level whether neither toxicity nor futility closes it."""
        safe = super().derive_admissible(data)
        return tuple(
            ok and not self.is_futile(data.count(d), data.responses(d)) for d, ok in enumerate(safe, start=1)
        )

    def action(self, n: int, x: int) -> Action:
        """Place the DLT rate against the boundaries of BOIN."""
        escalate, deescalate = derive_boin_boundaries(self.target)
        if x / n <= escalate + BOUNDARY_TOLERANCE:
            return Action.ESCALATE
        return Action.DEESCALATE if x / n >= deescalate - BOUNDARY_TOLERANCE else Action.STAY

    def move(self, data: TrialData, *, hold: Any = None) -> Recommendation:
        """Return the next dose by toxicity and desirability."""
        current = data.current_dose
        if not isinstance(current, int) or not data.count(current):
            return super().move(data, hold=hold)
        admissible = self.derive_admissible(data)
        desirable = {d: self.desirability(data, d) for d in range(1, self.dose_count + 1)}
        n, x = data.count(current), data.dlts(current)
        candidates, high, why = self._candidates(data, current=current, n=n, x=x)
        open_ = [d for d in candidates if admissible[d - 1]]
        if not open_:  # the published rules name no dose here; go down to the nearest open one
            open_ = [d for d in range(current, 0, -1) if admissible[d - 1]][:1]
        shared: dict[str, Any] = {
            "dose_admissible": admissible,
            "prob_tox": super().move(data).prob_tox,
            "estimate": desirable[current],
            "hold": hold,
        }
        seen = f"{x} DLTs and {data.responses(current)} responses in {n} patients at dose {current}; {why}"
        if not open_:
            toxic = not super().derive_admissible(data)[0]
            return Recommendation(
                recommended_dose=None,
                continue_=False,
                action=Action.STOP,
                stop_kind=StopKind.TOXICITY if toxic else StopKind.FUTILITY,
                reason=f"{seen}; no dose is admissible: stop.",
                **shared,
            )
        best = max(open_, key=lambda d: (round(desirable[d], 12), d if high else -d))
        action = Action.ESCALATE if best > current else Action.DEESCALATE if best < current else Action.STAY
        ranks = ", ".join(f"dose {d} {desirable[d]:.2f}" for d in sorted(open_))
        return Recommendation(
            recommended_dose=best,
            continue_=True,
            action=action,
            reason=f"{seen}; desirability: {ranks}. Next dose {best}.",
            **shared,
        )

    def _candidates(
        self, data: TrialData, *, current: int, n: int, x: int
    ) -> tuple[tuple[int, ...], bool, str]:
        """Return the doses to choose among, whether a tie goes to the higher one, and why."""
        action = self.action(n, x)
        if action is Action.DEESCALATE:
            return (max(current - 1, 1),), False, "the DLT rate calls for a lower dose"
        top = self.dose_count
        if n >= self.explore_from and current < top and not data.count(current + 1):
            return (current + 1,), False, f"with {n} patients the untried next dose is explored"
        if action is Action.STAY and n >= self.n_star:
            return tuple(range(max(current - 1, 1), current + 1)), False, "the DLT rate forbids a higher dose"
        neighbours = tuple(range(max(current - 1, 1), min(current + 1, top) + 1))
        return neighbours, True, "the DLT rate allows a neighbouring dose"

    def select_best(self, data: TrialData) -> int | None:
        """Return the optimal biological dose: the most desirable tried dose up to the tolerated one."""
        counts, dlts = data.counts(self.dose_count)
        tolerated = self.select(counts, dlts)
        if tolerated is None:
            return None
        admissible = self.derive_admissible(data)
        open_ = [d for d in range(1, tolerated + 1) if data.count(d) and admissible[d - 1]]
        return max(open_, key=lambda d: (self.desirability(data, d), -d)) if open_ else None

    def table(self, max_n: int) -> DecisionTable:
        """Return the rank of every outcome of one dose, the published rank-based desirability score.

        Raises
        ------
        InputError
            If u2 + u3 differs from u1 + u4: the counts of DLTs and of responses then do not fix the score.
        """
        if abs(self.u2 + self.u3 - self.u1 - self.u4) > BOUNDARY_TOLERANCE:
            raise InputError(
                expected="u2 + u3 = u1 + u4 for a table by numbers of DLTs and responses",
                given=f"{self.u2 + self.u3:g} and {self.u1 + self.u4:g}",
                where="BOIN12 table",
                action="ask for next-dose instead",
            )
        rows: list[dict[str, Any]] = [
            {"n": 0, "dlts": 0, "responses": 0, "score": self.desirability(TrialData(), 1)}
        ]
        for n in range(3, max_n + 1, 3):
            for x in range(n + 1):
                for e in range(n + 1):
                    if self.eliminates(n, x) or self.is_futile(n, e):
                        rows.append({"n": n, "dlts": x, "responses": e, "score": None})
                        continue
                    patients = tuple(Patient(dose=1, dlt=i < x, efficacy=i >= n - e) for i in range(n))
                    score = self.desirability(TrialData(patients=patients), 1)
                    rows.append({"n": n, "dlts": x, "responses": e, "score": score})
        scores = sorted({round(row["score"], 12) for row in rows if row["score"] is not None})
        ranked = [
            {**row, "rank": None if row["score"] is None else scores.index(round(row["score"], 12)) + 1}
            for row in rows
        ]
        return DecisionTable(
            title=f"boin12: rank of a dose by its outcomes, limits {self.target:g} DLT and "
            f"{self.phi_e:g} response",
            columns={
                "n": "patients",
                "dlts": "DLTs",
                "responses": "responses",
                "score": "desirability",
                "rank": "rank",
            },
            rows=tuple(ranked),
            notes=("Higher rank: more desirable. '-': the dose is closed for toxicity or futility.",),
        )
