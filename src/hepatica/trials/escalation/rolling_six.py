"""Rolling six (Skolnik et al. 2008, doi:10.1200/JCO.2007.12.7712): enrol up to six without waiting for three.

No DLT: up when all enrolled, at least three, are evaluable, or when five of six are. One DLT: up only when
six of six are evaluable. Otherwise go on at this level below six, hold at six. Two DLTs: down.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from hepatica.trials.design import (
    Action,
    DecisionTable,
    Hold,
    Recommendation,
    StopKind,
    check_dose_count,
    check_doses,
)
from hepatica.trials.outcomes import TrialData


def decide_rolling_six(enrolled: int, evaluable: int, dlts: int) -> str:
    """Return up, down, stay or hold.

    Parameters
    ----------
    enrolled
        Patients at the level.
    evaluable
        Those with a DLT or a closed window.
    dlts
        Those with a DLT.

    Examples
    --------
    >>> decide_rolling_six(3, 3, 0), decide_rolling_six(6, 5, 1), decide_rolling_six(4, 3, 0)
    ('up', 'hold', 'stay')
    """
    if dlts >= 2:
        return "down"
    if dlts == 0 and ((enrolled >= 3 and evaluable == enrolled) or (enrolled >= 6 and evaluable >= 5)):
        return "up"
    if dlts == 1 and enrolled >= 6 and evaluable >= 6:
        return "up"
    return "stay" if enrolled < 6 else "hold"


@dataclass(frozen=True, kw_only=True)
class RollingSix:
    """Rolling six.

    Examples
    --------
    >>> from hepatica.trials.outcomes import parse_outcomes
    >>> RollingSix(dose_count=4).next_dose(parse_outcomes("1NNP")).recommended_dose
    1
    """

    name: ClassVar[str] = "rolling6"
    dose_count: int
    start_dose: int = 1

    def __post_init__(self) -> None:
        """Refuse a trial without doses."""
        check_dose_count(self.dose_count, start_dose=self.start_dose)

    def derive_admissible(self, data: TrialData) -> tuple[bool, ...]:
        """Return for each level whether no level at or below it had two DLTs."""
        admissible, open_ = [], True
        for d in range(1, self.dose_count + 1):
            open_ = open_ and data.dlts(d) < 2
            admissible.append(open_)
        return tuple(admissible)

    def next_dose(self, data: TrialData) -> Recommendation:
        """Return the dose of the next patient, or a hold."""
        check_doses(data, dose_count=self.dose_count)
        current = data.current_dose
        shared: dict[str, Any] = {
            "dose_admissible": self.derive_admissible(data),
            "prob_tox": tuple(
                data.dlts(d) / data.count(d) if data.count(d) else None for d in range(1, self.dose_count + 1)
            ),
        }
        if not isinstance(current, int):
            return Recommendation(
                recommended_dose=self.start_dose, continue_=True, reason="No outcome yet: start.", **shared
            )
        n, x, pending = data.count(current), data.dlts(current), data.pending(current)
        shared["estimate"] = x / n if n else None
        seen = f"dose {current}: {n} enrolled, {n - pending} evaluable, {x} with DLT"
        decision = decide_rolling_six(n, n - pending, x)
        if decision == "down":
            return self._go_down(data, current=current, seen=seen, shared=shared)
        if decision == "up":
            return self._go_up(data, current=current, seen=seen, shared=shared)
        hold = self._hold(data, current=current) if decision == "hold" else None
        return Recommendation(
            recommended_dose=current,
            continue_=True,
            hold=hold,
            reason=f"{seen}: " + ("wait for outcomes." if hold else f"next patient at dose {current}."),
            **shared,
        )

    def _hold(self, data: TrialData, *, current: int) -> Hold:
        open_ = [p for p in data.evaluable_patients() if p.dose == current and p.pending]
        needed = len(open_) - (1 if data.dlts(current) == 0 else 0)
        known = sorted(p.days_left for p in open_ if p.days_left is not None)
        days = known[needed - 1] if len(known) == len(open_) and needed > 0 else None
        return Hold(why="six patients are enrolled; outcomes are pending", pending=len(open_), days=days)

    def _go_up(self, data: TrialData, *, current: int, seen: str, shared: dict[str, Any]) -> Recommendation:
        if current < self.dose_count and data.dlts(current + 1) < 2:
            return Recommendation(
                recommended_dose=current + 1,
                continue_=True,
                action=Action.ESCALATE,
                reason=f"{seen}: escalate to dose {current + 1}.",
                **shared,
            )
        why = "this is the top dose" if current == self.dose_count else f"dose {current + 1} was too toxic"
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
        full = data.count(lower) - data.pending(lower) >= 6
        return Recommendation(
            recommended_dose=lower,
            continue_=not full,
            action=Action.STOP if full else Action.DEESCALATE,
            stop_kind=StopKind.COMPLETE if full else None,
            reason=f"{seen}: too toxic; "
            + (f"stop, dose {lower} is recommended." if full else f"go down to dose {lower}."),
            **shared,
        )

    def table(self, max_n: int) -> DecisionTable:
        """Return the decision for every count of enrolled, evaluable and DLT patients."""
        rows = [
            {"enrolled": n, "evaluable": v, "dlts": x, "decision": decide_rolling_six(n, v, x)}
            for n in range(1, min(max_n, 6) + 1)
            for v in range(n + 1)
            for x in range(min(v, 2) + 1)
        ]
        return DecisionTable(
            title="Rolling six: decision for the next patient at the current dose",
            columns={
                "enrolled": "enrolled",
                "evaluable": "evaluable",
                "dlts": "DLTs (2 = two or more)",
                "decision": "decision",
            },
            rows=tuple(rows),
            notes=("hold: wait until an outcome is known. down: the level is too toxic.",),
        )

    def prob_tox_exceeds(self, data: TrialData, threshold: float) -> tuple[float | None, ...]:
        """Return None for each level: rolling six has no model."""
        return (None,) * self.dose_count

    def prob_tox_quantile(self, data: TrialData, probability: float) -> tuple[float | None, ...]:
        """Return None for each level: rolling six has no model."""
        return (None,) * self.dose_count

    def select(self, counts: tuple[int, ...], dlts: tuple[int, ...]) -> int | None:
        """Return the highest level with three or more patients below any with two DLTs."""
        best = None
        for d, (n, x) in enumerate(zip(counts, dlts), start=1):
            if x >= 2:
                break
            if n >= 3 and (x == 0 or n >= 6):
                best = d
        return best
