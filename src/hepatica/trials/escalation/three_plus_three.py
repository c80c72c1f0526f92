"""3+3 (Storer 1989, doi:10.2307/2531693), with or without de-escalation (Korn et al. 1994).

Decided at the last-dosed level on complete cohorts (three or six). None of three, or at most one of six: go
up; at the top, or below a level with two DLTs, stop with this level. One of three: three more. Two or more:
the nearest lower level with fewer than two DLTs is the answer; with de-escalation it is filled to six first.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from hepatica.trials.design import (
    Action,
    DecisionTable,
    Recommendation,
    StopKind,
    check_dose_count,
    check_doses,
    derive_hold,
)
from hepatica.trials.outcomes import TrialData


@dataclass(frozen=True, kw_only=True)
class ThreePlusThree:
    """3+3.

    Parameters
    ----------
    dose_count
        Number of dose levels.
    allow_deescalation
        Whether the level below a toxic one is filled to six before it is recommended.
    start_dose
        First level.

    Examples
    --------
    >>> from hepatica.trials.outcomes import parse_outcomes
    >>> ThreePlusThree(dose_count=5).next_dose(parse_outcomes("1NNN 2NNT 2NNT")).recommended_dose
    1
    """

    name: ClassVar[str] = "3+3"
    dose_count: int
    allow_deescalation: bool = False
    start_dose: int = 1

    def __post_init__(self) -> None:
        """Refuse a trial without doses."""
        check_dose_count(self.dose_count, start_dose=self.start_dose)

    def derive_admissible(self, data: TrialData) -> tuple[bool, ...]:
        """Return for each level whether no complete cohort at or below it had two DLTs."""
        admissible, open_ = [], True
        for d in range(1, self.dose_count + 1):
            complete = data.count(d) == 3 or data.count(d) >= 6
            open_ = open_ and not (complete and not _tolerable(data.count(d), data.dlts(d)))
            admissible.append(open_)
        return tuple(admissible)

    def next_dose(self, data: TrialData) -> Recommendation:
        """Return the next dose after the last complete cohort."""
        check_doses(data, dose_count=self.dose_count)
        hold = derive_hold(data, why="DLT windows are open; 3+3 decides on complete cohorts")
        waiting = data.pending(data.current_dose) if data.current_dose is not None else 0
        data = data.completed()
        shared: dict[str, Any] = {
            "dose_admissible": self.derive_admissible(data),
            "prob_tox": tuple(
                data.dlts(d) / data.count(d) if data.count(d) else None for d in range(1, self.dose_count + 1)
            ),
            "hold": hold,
        }
        current = data.current_dose
        if not isinstance(current, int):
            return Recommendation(
                recommended_dose=self.start_dose, continue_=True, reason="No outcome yet: start.", **shared
            )
        n, x = data.count(current), data.dlts(current)
        shared["estimate"] = x / n if n else None
        seen = f"{x} of {n} patients at dose {current} had a DLT"
        if n < 3 or n in (4, 5) or (waiting and n < 6):
            return Recommendation(
                recommended_dose=current,
                continue_=True,
                reason=f"{seen}; the cohort is incomplete: complete it.",
                **shared,
            )
        if n == 3 and x == 1:
            return Recommendation(
                recommended_dose=current, continue_=True, reason=f"{seen}: treat three more.", **shared
            )
        if _tolerable(n, x):
            return self._go_up(data, current=current, seen=seen, shared=shared)
        return self._go_down(data, current=current, seen=seen, shared=shared)

    def _go_up(self, data: TrialData, *, current: int, seen: str, shared: dict[str, Any]) -> Recommendation:
        if data.count(current) > 6 or current == self.dose_count:
            why = (
                "this is the top dose"
                if current == self.dose_count
                else "the dose is already expanded beyond six"
            )
        elif data.dlts(current + 1) >= 2:
            why = f"dose {current + 1} has {data.dlts(current + 1)} DLTs"
        else:
            return Recommendation(
                recommended_dose=current + 1,
                continue_=True,
                action=Action.ESCALATE,
                reason=f"{seen}: escalate to dose {current + 1}.",
                **shared,
            )
        return Recommendation(
            recommended_dose=current,
            continue_=False,
            action=Action.STOP,
            stop_kind=StopKind.COMPLETE,
            reason=f"{seen}; {why}: stop, dose {current} is recommended.",
            **shared,
        )

    def _go_down(self, data: TrialData, *, current: int, seen: str, shared: dict[str, Any]) -> Recommendation:
        lower = next((d for d in range(current - 1, 0, -1) if data.dlts(d) < 2), None)
        if lower is None:
            return Recommendation(
                recommended_dose=None,
                continue_=False,
                action=Action.STOP,
                stop_kind=StopKind.TOXICITY,
                reason=f"{seen}; no lower dose is tolerable: stop, no dose.",
                **shared,
            )
        if self.allow_deescalation and data.count(lower) < 6:
            return Recommendation(
                recommended_dose=lower,
                continue_=True,
                action=Action.DEESCALATE,
                reason=f"{seen}: too toxic; fill dose {lower} to six patients ({data.count(lower)} so far).",
                **shared,
            )
        return Recommendation(
            recommended_dose=lower,
            continue_=False,
            action=Action.STOP,
            stop_kind=StopKind.COMPLETE,
            reason=f"{seen}: too toxic; stop, dose {lower} is recommended.",
            **shared,
        )

    def table(self, max_n: int) -> DecisionTable:
        """Return the rules for three and six patients."""
        rows = [
            {"n": n, "escalate_if_le": up, "deescalate_if_ge": 2, "eliminate_if_ge": 2}
            for n, up in ((3, 0), (6, 1))
            if n <= max_n
        ]
        return DecisionTable(
            title="3+3: what to do at the current dose",
            columns={
                "n": "patients at the dose",
                "escalate_if_le": "escalate if DLTs <=",
                "deescalate_if_ge": "too toxic if DLTs >=",
            },
            rows=tuple(rows),
            notes=("1 of 3: treat three more at the same dose.",),
        )

    def prob_tox_exceeds(self, data: TrialData, threshold: float) -> tuple[float | None, ...]:
        """Return None for each level: 3+3 has no model."""
        return (None,) * self.dose_count

    def prob_tox_quantile(self, data: TrialData, probability: float) -> tuple[float | None, ...]:
        """Return None for each level: 3+3 has no model."""
        return (None,) * self.dose_count

    def select(self, counts: tuple[int, ...], dlts: tuple[int, ...]) -> int | None:
        """Return the highest level, below any too toxic, with 0 of 3 or at most 1 DLT in 6."""
        best = None
        for d, (n, x) in enumerate(zip(counts, dlts), start=1):
            if n >= 3 and not _tolerable(n, x) and not (n < 6 and x == 1):
                break
            if (n == 3 and x == 0) or (n >= 6 and _tolerable(n, x)):
                best = d
        return best


def _tolerable(n: int, x: int) -> bool:
    """At most one DLT in three or six; beyond six, a rate of at most one in six."""
    return x <= 1 if n <= 6 else 6 * x <= n
