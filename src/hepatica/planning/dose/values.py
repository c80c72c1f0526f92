"""What an allocation of dose is made of."""

from __future__ import annotations

from dataclasses import dataclass

from hepatica.core.evidence import EvidenceStatus
from hepatica.core.findings import Finding, NotEvaluable


@dataclass(frozen=True, slots=True, kw_only=True)
class DoseLesion:
    """What the dose rule needs to know of one lesion.

    Parameters
    ----------
    lesion_id
        Lesion.
    longest_diameter_mm, volume_ml
        Size.
    is_new
        New since the last visit; None where unknown.
    injectable
        False excludes it from the allocation; ``reason`` says why.
    reason
        Why it cannot be injected.
    site
        ``liver`` or another site, for priority rules.
    """

    lesion_id: str
    longest_diameter_mm: float
    volume_ml: float
    is_new: bool | None = None
    injectable: bool = True
    reason: str = ""
    site: str = "liver"


@dataclass(frozen=True, slots=True, kw_only=True)
class Injection:
    """Planned amount for one lesion.

    Parameters
    ----------
    lesion_id
        Lesion.
    rule_volume_ml
        What the rule alone would give.
    volume_ml
        What is planned under the ceiling.
    dose
        Amount of agent in ``dose_unit``; NotEvaluable where the strength is not set.
    dose_unit
        ``pfu``, ``vp``, ``mg`` or ``ml``.
    rank
        Place in the order of injection, from 1; 0 for lesions that get nothing.
    rule
        The rule in words, with the numbers used.
    source, status
        Evidence of the rule.
    reason
        Why it got less than the rule's amount, or nothing; empty otherwise.
    undelivered_ml
        Planned but no deposit could be placed for it (set by the plan, with ``undelivered_reason``).
    """

    lesion_id: str
    rule_volume_ml: float
    volume_ml: float
    dose: float | NotEvaluable
    dose_unit: str
    rank: int
    rule: str
    source: str
    status: EvidenceStatus
    reason: str = ""
    undelivered_ml: float = 0.0
    undelivered_reason: str = ""

    @property
    def dose_pfu(self) -> float | NotEvaluable:
        """Plaque-forming units, where the agent is counted so."""
        if self.dose_unit != "pfu":
            return NotEvaluable(reason=f"the agent is measured in {self.dose_unit}")
        return self.dose


@dataclass(frozen=True, slots=True, kw_only=True)
class Allocation:
    """Amounts for all lesions of one visit.

    Parameters
    ----------
    visit
        Visit number, from 1.
    injections
        One for each lesion, in order of injection, lesions without any last.
    total_ml, ceiling_ml
        Sum and per-visit ceiling; None where the protocol has no ceiling.
    vials, vial_text
        Number of vials and which (strength); NotEvaluable where not set.
    draw_up_ml
        Volume to draw including dead space.
    findings
        Everything a person has to know, for example a diameter near a dose edge.
    """

    visit: int
    injections: tuple[Injection, ...]
    total_ml: float
    ceiling_ml: float | None
    vials: int | NotEvaluable
    vial_text: str
    draw_up_ml: float
    findings: tuple[Finding, ...] = ()
