"""The plan: lesions, amounts and paths joined, with every finding beside them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Final

from hepatica.core.evidence import Evidence
from hepatica.core.findings import Finding, NotEvaluable, Severity
from hepatica.lesions.lesion import Lesion
from hepatica.planning.dose.values import Allocation
from hepatica.planning.eligibility.values import CriterionAnswer
from hepatica.planning.path.values import LesionPath, Puncture
from hepatica.planning.spread.patterns import DepositPattern
from hepatica.planning.spread.rank_patterns import PatternRanking, RankedPattern


class PlanStatus(StrEnum):
    """Whether everything in reach of the needle is known."""

    CLEARED = "cleared"
    NOT_CLEARED = "not_cleared"


@dataclass(frozen=True, slots=True, kw_only=True)
class ProtocolSummary:
    """What a report says about the protocol.

    Parameters
    ----------
    name, title, agent
        Protocol file name, title and agent.
    notices
        Lines that must be printed: off-label, hepatic haemorrhage warning, biosafety, "not the liver protocol".
    digest
        SHA-256 of the protocol file.
    """

    name: str
    title: str
    agent: str
    notices: tuple[str, ...]
    digest: str


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LesionPatterns:
    """Deposit patterns for one lesion, ranked by the algebraic budget of the fluid.

    Parameters
    ----------
    lesion_id
        The lesion.
    planned
        The plan's own deposits as a pattern; None where it has none that could be ranked.
    ranking
        All patterns, best first; NotEvaluable where none could be ranked.
    rate
        Rate of injection they are ranked at; NotEvaluable where nobody says one.
    """

    lesion_id: str
    planned: DepositPattern | None
    ranking: PatternRanking | NotEvaluable
    rate: Evidence | NotEvaluable

    @property
    def planned_row(self) -> RankedPattern | NotEvaluable:
        """What the budget expects of the plan's own deposits."""
        if isinstance(self.ranking, NotEvaluable):
            return self.ranking
        for row in self.ranking.ranked:
            if row.pattern is self.planned:
                return row
        reasons = [reason for pattern, reason in self.ranking.left_out if pattern is self.planned]
        return NotEvaluable(reason=reasons[0] if reasons else "the plan has no deposit for this lesion")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Plan:
    """One visit's plan.

    Parameters
    ----------
    plan_id
        Derived from inputs and run time.
    status
        Cleared or not; ``missing_structures`` says what is missing.
    visit
        Visit number.
    protocol
        Protocol summary.
    lesions
        All lesions, largest first.
    allocation_all
        Allocation over all lesions.
    allocation
        Allocation over the lesions that have a path: the one to use.
    paths
        Search result for each lesion.
    punctures
        First choices of the injected lesions.
    backups
        Their backup entries.
    eligibility
        Criteria answered.
    findings
        Every finding of every stage, most severe first.
    missing_structures
        Groups neither labelled nor declared absent.
    patient_position
        DICOM Patient Position or why unknown.
    patterns
        Deposit patterns of the injected lesions, ranked.
    """

    plan_id: str
    status: PlanStatus
    visit: int
    protocol: ProtocolSummary
    lesions: tuple[Lesion, ...]
    allocation_all: Allocation
    allocation: Allocation
    paths: tuple[LesionPath, ...]
    punctures: tuple[Puncture, ...]
    backups: tuple[Puncture, ...]
    eligibility: tuple[CriterionAnswer, ...]
    findings: tuple[Finding, ...]
    missing_structures: tuple[str, ...] = ()
    patient_position: str | NotEvaluable = field(
        default_factory=lambda: NotEvaluable(reason="Patient Position (0018,5100) is unknown")
    )
    patterns: tuple[LesionPatterns, ...] = ()


CLOSURE_TOLERANCE_ML: Final = 1e-3
"""DESIGN 10: deposits and what stays undelivered add up to the planned volume within 1 microlitre."""

_WORST_FIRST: Final = (Severity.ERROR, Severity.WARNING, Severity.INFO)


def join_allocation(allocation: Allocation, undelivered: Mapping[str, tuple[float, str]]) -> Allocation:
    """Write into each injection what no deposit could be placed for.

    Parameters
    ----------
    allocation
        Planned amounts.
    undelivered
        Volume in mL and reason by lesion id.
    """
    injections = tuple(
        replace(
            injection,
            undelivered_ml=undelivered[injection.lesion_id][0],
            undelivered_reason=undelivered[injection.lesion_id][1],
        )
        if injection.lesion_id in undelivered
        else injection
        for injection in allocation.injections
    )
    return replace(allocation, injections=injections)


def check_closure(allocation: Allocation, punctures: Iterable[Puncture]) -> tuple[Finding, ...]:
    """Check that every lesion's deposits and undelivered volume add up to its planned volume."""
    given: dict[str, float] = {}
    for puncture in punctures:
        for track in puncture.tracks:
            for deposit in track.deposits:
                given[deposit.lesion_id] = given.get(deposit.lesion_id, 0.0) + deposit.volume_ml
    return tuple(
        Finding(
            rule="plan.closure",
            severity=Severity.ERROR,
            message="Deposits and undelivered volume do not add up to the planned volume.",
            measured=given.get(injection.lesion_id, 0.0) + injection.undelivered_ml,
            limit=injection.volume_ml,
            unit="ml",
            source="rule of this program: every millilitre is accounted for",
            subject=injection.lesion_id,
        )
        for injection in allocation.injections
        if abs(given.get(injection.lesion_id, 0.0) + injection.undelivered_ml - injection.volume_ml)
        > CLOSURE_TOLERANCE_ML
    )


def check_cleared(missing: tuple[str, ...]) -> tuple[Finding, ...]:
    """Say which structures keep the plan from being cleared."""
    if not missing:
        return ()
    return (
        Finding(
            rule="plan.not_cleared",
            severity=Severity.WARNING,
            message=f"{', '.join(missing)}: neither labelled nor declared absent. The plan is not cleared.",
            source="rule of this program: what nobody has seen is not clear",
        ),
    )


def sort_findings(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Return the findings without repeats, most severe first, otherwise in the order they arose."""
    unique = dict.fromkeys(findings)
    return tuple(sorted(unique, key=lambda finding: _WORST_FIRST.index(finding.severity)))


def collect_findings(plan: Plan) -> tuple[Finding, ...]:
    """Return every finding once, errors first, in the plan's own order within a severity."""
    everything: Iterable[tuple[Finding, ...]] = (
        plan.findings,
        plan.allocation.findings,
        *(path.findings for path in plan.paths),
        *(puncture.findings for puncture in (*plan.punctures, *plan.backups)),
    )
    unique = dict.fromkeys(finding for group in everything for finding in group)
    return tuple(sorted(unique, key=lambda finding: _WORST_FIRST.index(finding.severity)))
