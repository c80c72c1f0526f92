"""The plan: lesions, amounts and paths joined, with every finding beside them."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from hepatica.core.findings import Finding, NotEvaluable
from hepatica.lesions.lesion import Lesion
from hepatica.planning.dose.values import Allocation
from hepatica.planning.eligibility.values import CriterionAnswer
from hepatica.planning.path.values import LesionPath, Puncture


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
