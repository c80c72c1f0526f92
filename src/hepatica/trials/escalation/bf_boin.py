"""BF-BOIN: BOIN with backfilling (Zhao, Yuan, Korn and Freidlin 2024, doi:10.1158/1078-0432.CCR-23-2585).

A lower dose is open for further patients once it has a response (or another sign of activity), while its
rate, or its rate pooled with the next higher dose, is below lambda_d, and while it holds fewer than
`capacity` patients. Backfilled patients count. Where data of a lower dose conflict with those of the current
dose, the doses from the lower to the current one are pooled before the dose changes.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

from hepatica.core.errors import InputError
from hepatica.trials.design import Action, Recommendation
from hepatica.trials.escalation.boin import Boin
from hepatica.trials.escalation.interval import move_dose
from hepatica.trials.outcomes import TrialData


@dataclass(frozen=True, kw_only=True)
class BfBoin(Boin):
    """BF-BOIN. The current dose is the highest dose of the last escalation cohort.

    Parameters
    ----------
    capacity
        Patients at which a dose closes for backfilling.
    escalation_dose
        Level of the current escalation cohort; the last patient's where not given.

    Examples
    --------
    >>> from hepatica.trials.outcomes import parse_outcomes
    >>> BfBoin(dose_count=4, target=0.25).next_dose(parse_outcomes("1NNE 2NNN")).backfill_doses
    (1,)
    """

    name: ClassVar[str] = "bf-boin"
    uses_responses: ClassVar[bool] = True
    """It decides by responses too."""
    capacity: int = 12
    escalation_dose: int | None = None

    def __post_init__(self) -> None:
        """Refuse impossible settings."""
        super().__post_init__()
        if self.capacity < 1:
            raise InputError(expected="a capacity of at least 1", given=str(self.capacity), where="BF-BOIN")

    def find_backfill(self, data: TrialData, *, current: int) -> tuple[int, ...]:
        """Return the levels below `current` that are open for backfilling."""
        open_ = []
        for d in range(1, current):
            n, x = data.count(d), data.dlts(d)
            pooled_n, pooled_x = n + data.count(d + 1), x + data.dlts(d + 1)
            safe = n == 0 or not self._too_toxic(n, x) or not self._too_toxic(pooled_n, pooled_x)
            if not safe or self.eliminates(n, x):
                break
            if n and data.responses(d) > 0 and n < self.capacity:
                open_.append(d)
        return tuple(open_)

    def move(self, data: TrialData, *, hold: object = None) -> Recommendation:
        """Return the next escalation dose and the levels open for backfilling."""
        base = super().move(data, hold=hold)
        current = data.current_dose if self.escalation_dose is None else self.escalation_dose
        if not isinstance(current, int) or not base.continue_ or not data.count(current):
            return base
        actions = [self._decide(data, d) for d in range(1, current + 1)]
        own = actions[-1]
        conflicts = [
            d
            for d in range(1, current)
            if data.count(d)
            and (
                actions[d - 1] is Action.DEESCALATE
                or (own is Action.ESCALATE and actions[d - 1] is not Action.ESCALATE)
            )
        ]
        n, x = data.count(current), data.dlts(current)
        if not conflicts:
            dose, why = move_dose(
                current, action=own, dose_count=self.dose_count, admissible=base.dose_admissible
            )
            reason = (
                f"{x} of {n} patients at dose {current} had a DLT: {self.explain(n, x, own)}{why}. "
                f"Next dose {dose}."
            )
            action = own
        else:
            dose, action, reason = self._resolve(
                data, low=max(conflicts), current=current, admissible=base.dose_admissible
            )
        backfill = self.find_backfill(data, current=dose)
        if backfill:
            reason += f" Open for backfilling: dose {', '.join(map(str, backfill))}."
        return replace(base, recommended_dose=dose, action=action, reason=reason, backfill_doses=backfill)

    def _decide(self, data: TrialData, dose: int) -> Action:
        n, x = data.count(dose), data.dlts(dose)
        if not n:
            return Action.ESCALATE
        return Action.DEESCALATE if self.eliminates(n, x) else self.action(n, x)

    def _too_toxic(self, n: int, x: int) -> bool:
        return self.action(n, x) is Action.DEESCALATE

    def _resolve(
        self, data: TrialData, *, low: int, current: int, admissible: tuple[bool, ...]
    ) -> tuple[int, Action, str]:
        n = sum(data.count(d) for d in range(low, current + 1))
        x = sum(data.dlts(d) for d in range(low, current + 1))
        action = self.action(n, x)
        pooled = f"Data of dose {low} conflict with dose {current}; pooled, {x} of {n} had a DLT: "
        if action is not Action.DEESCALATE:
            dose, why = move_dose(current, action=action, dose_count=self.dose_count, admissible=admissible)
            return dose, action, f"{pooled}{self.explain(n, x, action)}{why}. Next dose {dose}."
        safe, n, x = low - 1, 0, 0
        for d in range(low, current + 1):
            n, x = n + data.count(d), x + data.dlts(d)
            if n and not self._too_toxic(n, x):
                safe = d
        dose = min(max(safe, 1), sum(admissible))
        return (
            dose,
            action,
            f"{pooled}de-escalate to the highest dose whose pooled rate is tolerable. Next dose {dose}.",
        )
