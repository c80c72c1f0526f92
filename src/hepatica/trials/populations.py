"""Linked populations: a level opens for one only after the other, under its own design, cleared it.

In the founding trial patients with HCC waited at every level for patients without HCC.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

from hepatica.core.errors import InputError
from hepatica.trials.design import Action, DecisionTable, Design, Hold, Recommendation
from hepatica.trials.outcomes import TrialData


def derive_cleared_level(design: Design, data: TrialData) -> int:
    """Return the highest level the leading population has cleared, 0 for none.

    A level is cleared when the design, after the data, goes on above it, is complete with it or above it, or
    would escalate beyond the top.

    Examples
    --------
    >>> from hepatica.trials.escalation.three_plus_three import ThreePlusThree
    >>> from hepatica.trials.outcomes import parse_outcomes
    >>> derive_cleared_level(ThreePlusThree(dose_count=3), parse_outcomes("1NNN 2NNT"))
    1
    """
    if not data.patients:
        return 0
    advice = design.next_dose(data)
    dose = advice.recommended_dose
    if not isinstance(dose, int):
        return 0
    beyond_top = dose == design.dose_count and advice.action is Action.ESCALATE and data.current_dose == dose
    if not advice.continue_ or beyond_top:
        return dose if data.count(dose) else dose - 1
    return dose - 1


@dataclass(frozen=True, kw_only=True)
class FollowingPopulation:
    """A design whose levels open one by one as the leading population clears them.

    Parameters
    ----------
    design
        The following population's own design.
    cleared
        Highest level the leading population has cleared, 0 for none.
    leader, follower
        Names for the reason.

    Examples
    --------
    >>> from hepatica.trials.escalation.boin import Boin
    >>> from hepatica.trials.outcomes import parse_outcomes
    >>> linked = FollowingPopulation(design=Boin(dose_count=4, target=0.3), cleared=1)
    >>> linked.next_dose(parse_outcomes("1NNN")).recommended_dose
    1
    """

    name: ClassVar[str] = ""
    design: Design
    cleared: int
    leader: str = "non-HCC"
    follower: str = "HCC"

    def __post_init__(self) -> None:
        """Refuse an unknown level."""
        if not 0 <= self.cleared <= self.design.dose_count:
            raise InputError(
                expected=f"a cleared level from 0 to {self.design.dose_count}",
                given=str(self.cleared),
                where="linked populations",
            )

    @property
    def dose_count(self) -> int:
        """Number of dose levels."""
        return self.design.dose_count

    def next_dose(self, data: TrialData) -> Recommendation:
        """Return the own design's advice, held at the highest open level."""
        advice = self.design.next_dose(data)
        admissible = tuple(
            bool(ok) and d <= self.cleared for d, ok in enumerate(advice.dose_admissible, start=1)
        )
        dose = advice.recommended_dose
        if not isinstance(dose, int) or dose <= self.cleared:
            return replace(advice, dose_admissible=admissible)
        why = f"{self.follower} level {dose} stays closed until {self.leader} has cleared it"
        pending = advice.hold.pending if advice.hold else 0
        open_ = [d for d, ok in enumerate(admissible, start=1) if ok]
        return replace(
            advice,
            recommended_dose=max(open_) if open_ else None,
            action=Action.STAY,
            dose_admissible=admissible,
            hold=Hold(why=why, pending=pending, days=advice.hold.days if advice.hold else None),
            reason=f"{advice.reason} But {why} (cleared so far: {self.cleared or 'none'}).",
        )

    def table(self, max_n: int) -> DecisionTable:
        """Return the table of the own design."""
        return self.design.table(max_n)

    def prob_tox_exceeds(self, data: TrialData, threshold: float) -> tuple[float | None, ...]:
        """Ask the own design."""
        return self.design.prob_tox_exceeds(data, threshold)

    def prob_tox_quantile(self, data: TrialData, probability: float) -> tuple[float | None, ...]:
        """Ask the own design."""
        return self.design.prob_tox_quantile(data, probability)
