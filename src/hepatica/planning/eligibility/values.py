"""Answers of the eligibility check."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from hepatica.core.evidence import EvidenceStatus


class Answer(StrEnum):
    """What a criterion says."""

    PASS = "pass"
    FAIL = "fail"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class CriterionAnswer:
    """One criterion, answered.

    Parameters
    ----------
    criterion
        Stable name.
    answer
        Pass, fail or unknown.
    measured, limit
        Values compared, as text with units.
    reason
        Why, in words; for unknown: what is missing.
    source, status
        Evidence of the criterion.
    """

    criterion: str
    answer: Answer
    measured: str
    limit: str
    reason: str
    source: str
    status: EvidenceStatus
