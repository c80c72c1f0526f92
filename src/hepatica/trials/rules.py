"""Rules around any design, applied in the order given.

A size or precision stop can be overruled by a later demand; a stop for toxicity never.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar, Protocol

from hepatica.core.errors import InputError
from hepatica.trials.design import Action, DecisionTable, Design, Recommendation, StopKind
from hepatica.trials.outcomes import Dose, TrialData


class Rule(Protocol):
    """One rule."""

    def apply(self, advice: Recommendation, *, data: TrialData, design: Design) -> Recommendation:
        """Return the advice after this rule."""
        ...


def is_toxicity_stop(advice: Recommendation) -> bool:
    """Return whether the trial was stopped for toxicity."""
    return not advice.continue_ and advice.stop_kind is StopKind.TOXICITY


def is_admissible(advice: Recommendation, dose: Dose) -> bool:
    """Return whether a dose is admissible in the advice."""
    if isinstance(dose, tuple):
        return bool(advice.dose_admissible[dose[0] - 1][dose[1] - 1])
    return bool(advice.dose_admissible[dose - 1])


def _stopped(advice: Recommendation, *, kind: StopKind, why: str) -> Recommendation:
    if not advice.continue_:
        return advice
    return replace(
        advice, continue_=False, stop_kind=kind, action=Action.STOP, reason=f"{advice.reason} Stop: {why}."
    )


def _largest(data: TrialData, where: str | int, advice: Recommendation) -> int:
    if where == "any":
        return max((data.count(dose) for dose in data.doses), default=0)
    if where == "recommended":
        return data.count(advice.recommended_dose) if advice.recommended_dose is not None else 0
    return data.count(int(where))


@dataclass(frozen=True, kw_only=True)
class StopAtN:
    """Stop when `n` patients are evaluable."""

    n: int

    def apply(self, advice: Recommendation, *, data: TrialData, design: Design) -> Recommendation:
        """Apply the rule."""
        if data.total < self.n:
            return advice
        return _stopped(
            advice, kind=StopKind.SIZE, why=f"{data.total} patients, the planned {self.n} are reached"
        )


@dataclass(frozen=True, kw_only=True)
class StopNAtDose:
    """Stop when `n` patients had one dose: any, the recommended one, or a given level."""

    n: int
    where: str | int = "any"

    def apply(self, advice: Recommendation, *, data: TrialData, design: Design) -> Recommendation:
        """Apply the rule."""
        if _largest(data, self.where, advice) < self.n:
            return advice
        place = f"dose {self.where}" if isinstance(self.where, int) else f"{self.where} dose"
        return _stopped(advice, kind=StopKind.SIZE, why=f"{self.n} patients at {place}")


@dataclass(frozen=True, kw_only=True)
class DemandN:
    """Go on until `n` patients had one dose, overruling earlier size stops, never a toxicity stop."""

    n: int
    where: str | int = "recommended"

    def apply(self, advice: Recommendation, *, data: TrialData, design: Design) -> Recommendation:
        """Apply the rule."""
        if advice.continue_ or advice.stop_kind not in (StopKind.SIZE, StopKind.PRECISION):
            return advice
        if advice.recommended_dose is None or _largest(data, self.where, advice) >= self.n:
            return advice
        return replace(
            advice,
            continue_=True,
            stop_kind=None,
            action=Action.STAY,
            reason=f"{advice.reason} But {self.n} patients are demanded at the {self.where} dose: go on.",
        )


@dataclass(frozen=True, kw_only=True)
class StopTooToxic:
    """Stop without a dose when P(DLT rate > threshold) at a dose reaches the confidence."""

    where: str | int
    threshold: float
    confidence: float

    def apply(self, advice: Recommendation, *, data: TrialData, design: Design) -> Recommendation:
        """Apply the rule."""
        chances = design.prob_tox_exceeds(data, self.threshold)
        toxic = [
            i + 1 for i, chance in enumerate(chances) if chance is not None and chance >= self.confidence
        ]
        recommended = advice.recommended_dose
        if self.where == "recommended":
            toxic = [d for d in toxic if d == recommended]
        elif self.where != "any":
            toxic = [d for d in toxic if d == self.where]
        if not toxic or is_toxicity_stop(advice):
            return advice
        # a level below the toxic ones may still be the answer of a trial stopped at "any" dose
        keep = self.where == "any" and isinstance(recommended, int) and recommended < min(toxic)
        return replace(
            advice,
            recommended_dose=recommended if keep else None,
            continue_=False,
            stop_kind=StopKind.TOXICITY,
            action=Action.STOP,
            reason=f"{advice.reason} Stop: dose {min(toxic)} is too toxic, P(DLT rate > "
            f"{self.threshold:g}) is "
            f"{chances[min(toxic) - 1]:.2f}, at or above {self.confidence:g}.",
        )


@dataclass(frozen=True, kw_only=True)
class StopCiCovered:
    """Stop when the 90 % credible interval of the DLT rate at the recommended dose lies inside the limits."""

    low: float
    high: float
    width: float = 0.9

    def apply(self, advice: Recommendation, *, data: TrialData, design: Design) -> Recommendation:
        """Apply the rule."""
        dose = advice.recommended_dose
        if not isinstance(dose, int):
            return advice
        lower = design.prob_tox_quantile(data, (1 - self.width) / 2)[dose - 1]
        upper = design.prob_tox_quantile(data, (1 + self.width) / 2)[dose - 1]
        if lower is None or upper is None or lower < self.low or upper > self.high:
            return advice
        return _stopped(
            advice,
            kind=StopKind.PRECISION,
            why=f"the DLT rate at dose {dose} is known well enough ({lower:.2f} to {upper:.2f})",
        )


@dataclass(frozen=True, kw_only=True)
class StickOn:
    """Stay when exactly `x` of `n` patients at the current dose had a DLT, unless it is eliminated."""

    x: int
    n: int

    def apply(self, advice: Recommendation, *, data: TrialData, design: Design) -> Recommendation:
        """Apply the rule."""
        current = data.current_dose
        if current is None or is_toxicity_stop(advice) or not is_admissible(advice, current):
            return advice
        if data.count(current) != self.n or data.dlts(current) != self.x:
            return advice
        return replace(
            advice,
            recommended_dose=current,
            continue_=True,
            stop_kind=None,
            action=Action.STAY,
            reason=f"{advice.reason} But {self.x} of {self.n} at dose {current}: the protocol stays.",
        )


@dataclass(frozen=True, kw_only=True)
class Rescue:
    """Try a dose in `n` patients before stopping with no dose."""

    dose: int
    n: int

    def apply(self, advice: Recommendation, *, data: TrialData, design: Design) -> Recommendation:
        """Apply the rule."""
        if advice.recommended_dose is not None or advice.continue_ or data.count(self.dose) >= self.n:
            return advice
        admissible = tuple(bool(ok) or d == self.dose for d, ok in enumerate(advice.dose_admissible, start=1))
        return replace(
            advice,
            recommended_dose=self.dose,
            continue_=True,
            stop_kind=None,
            action=Action.DEESCALATE,
            dose_admissible=admissible,
            reason=f"{advice.reason} But dose {self.dose} is tried in {self.n} patients first "
            f"({data.count(self.dose)} so far).",
        )


@dataclass(frozen=True, kw_only=True)
class NoSkip:
    """Never move more than one level up, or down, or either way."""

    direction: str = "up"

    def apply(self, advice: Recommendation, *, data: TrialData, design: Design) -> Recommendation:
        """Apply the rule."""
        current, dose = data.current_dose, advice.recommended_dose
        if not isinstance(current, int) or not isinstance(dose, int):
            return advice
        limited = dose
        if self.direction in ("up", "both"):
            limited = min(limited, current + 1)
        if self.direction in ("down", "both"):
            limited = max(limited, current - 1)
        if limited == dose or not is_admissible(advice, limited):
            return advice
        return replace(
            advice,
            recommended_dose=limited,
            reason=f"{advice.reason} But levels are not skipped: dose {limited}.",
        )


@dataclass(frozen=True, kw_only=True)
class UnadmitUntested:
    """Admit only doses that were given, and the one recommended."""

    def apply(self, advice: Recommendation, *, data: TrialData, design: Design) -> Recommendation:
        """Apply the rule."""
        if advice.dose_admissible and isinstance(advice.dose_admissible[0], tuple):
            return replace(
                advice,
                dose_admissible=tuple(
                    tuple(
                        bool(ok) and (data.count((i, j)) > 0 or advice.recommended_dose == (i, j))
                        for j, ok in enumerate(row, start=1)
                    )
                    for i, row in enumerate(advice.dose_admissible, start=1)
                ),
            )
        return replace(
            advice,
            dose_admissible=tuple(
                bool(ok) and (data.count(d) > 0 or advice.recommended_dose == d)
                for d, ok in enumerate(advice.dose_admissible, start=1)
            ),
        )


@dataclass(frozen=True, kw_only=True)
class FollowPath:
    """Follow a fixed path of doses while the outcomes agree with it; then hand over to the design.

    Parameters
    ----------
    path
        For example ``1NNN 2NNN 3NNN``.
    expand_cohort
        When the path is left, first fill the last dose to this many patients; 0 for none.
    """

    path: TrialData
    expand_cohort: int = 0

    def find_dose(self, data: TrialData) -> Dose | None:
        """Return the dose the path asks for, None once it is left or finished."""
        given, wanted = data.patients, self.path.patients
        agree = all(g.dose == w.dose and g.dlt == w.dlt for g, w in zip(given, wanted))
        if agree and len(given) < len(wanted):
            return wanted[len(given)].dose
        current = data.current_dose
        if current is not None and data.count(current) < self.expand_cohort:
            return current
        return None

    def apply(self, advice: Recommendation, *, data: TrialData, design: Design) -> Recommendation:
        """Change nothing: the path takes the place of the design before the other rules."""
        return advice


@dataclass(frozen=True, kw_only=True)
class ExpandCohort:
    """Go on until the recommended dose of a complete design has `n` patients; never after toxicity."""

    n: int

    def apply(self, advice: Recommendation, *, data: TrialData, design: Design) -> Recommendation:
        """Apply the rule."""
        dose = advice.recommended_dose
        if (
            advice.continue_
            or dose is None
            or advice.stop_kind is StopKind.TOXICITY
            or data.count(dose) >= self.n
        ):
            return advice
        return replace(
            advice,
            continue_=True,
            stop_kind=None,
            action=Action.STAY,
            reason=f"{advice.reason} Expand dose {dose} to {self.n} patients ({data.count(dose)} so far).",
        )


def _name_doses(rule: Rule) -> tuple[int, ...]:
    """Return the single levels that a rule names; pairs are the matter of the design of combinations."""
    if isinstance(rule, FollowPath):
        return tuple(patient.dose for patient in rule.path.patients if isinstance(patient.dose, int))
    if isinstance(rule, Rescue):
        return (rule.dose,)
    where = getattr(rule, "where", "any")
    return (where,) if isinstance(where, int) else ()


@dataclass(frozen=True, kw_only=True)
class RuledDesign:
    """A design with rules around it.

    Parameters
    ----------
    design
        Any design.
    rules
        Applied in this order.

    Examples
    --------
    >>> from hepatica.trials.escalation.boin import Boin
    >>> from hepatica.trials.outcomes import parse_outcomes
    >>> ruled = RuledDesign(design=Boin(dose_count=5, target=0.3), rules=(StopAtN(n=6),))
    >>> ruled.next_dose(parse_outcomes("1NNN 2NNN")).continue_
    False
    """

    name: ClassVar[str] = ""
    design: Design
    rules: tuple[Rule, ...]

    def __post_init__(self) -> None:
        """Refuse rules about levels that the trial does not have; they would never act."""
        for rule in self.rules:
            for dose in _name_doses(rule):
                if dose > self.dose_count:
                    raise InputError(
                        expected=f"dose levels 1 to {self.dose_count}",
                        given=f"dose {dose}",
                        where=f"rule {type(rule).__name__}",
                        action="correct the rule or the number of doses",
                    )

    @property
    def dose_count(self) -> int:
        """Number of dose levels."""
        return self.design.dose_count

    def next_dose(self, data: TrialData) -> Recommendation:
        """Ask the path or the design, then apply the rules in order."""
        advice: Recommendation | None = None
        for rule in self.rules:
            dose = rule.find_dose(data) if isinstance(rule, FollowPath) else None
            if dose is not None and advice is None:
                advice = Recommendation(
                    recommended_dose=dose,
                    continue_=True,
                    dose_admissible=(True,) * self.dose_count,
                    prob_tox=(None,) * self.dose_count,
                    reason=f"The protocol's fixed path goes on with dose {dose}.",
                )
        if advice is None:
            advice = self.design.next_dose(data)
        for rule in self.rules:
            advice = rule.apply(advice, data=data, design=self.design)
        return advice

    def table(self, max_n: int) -> DecisionTable:
        """Return the table of the design; the rules act on top of it."""
        return self.design.table(max_n)

    def prob_tox_exceeds(self, data: TrialData, threshold: float) -> tuple[float | None, ...]:
        """Ask the design."""
        return self.design.prob_tox_exceeds(data, threshold)

    def prob_tox_quantile(self, data: TrialData, probability: float) -> tuple[float | None, ...]:
        """Ask the design."""
        return self.design.prob_tox_quantile(data, probability)

    def __getattr__(self, name: str) -> object:
        """Offer what else the design offers, for example `select`."""
        if name.startswith("_") or name in ("design", "rules"):
            raise AttributeError(name)
        return getattr(self.design, name)
