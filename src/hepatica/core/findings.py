"""What checks and measurements answer: findings, and the honest "cannot be judged"."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from hepatica.core.evidence import Evidence, EvidenceStatus


@dataclass(frozen=True, slots=True, kw_only=True)
class NotEvaluable:
    """The answer when something cannot be judged. Never 0, NaN or None in its place.

    Parameters
    ----------
    reason
        Why not, in words a clinician understands.

    Examples
    --------
    >>> str(NotEvaluable(reason="Patient Position is unknown"))
    'not evaluable: Patient Position is unknown'
    """

    reason: str

    def __str__(self) -> str:
        """Return the reason with its label."""
        return f"not evaluable: {self.reason}"


class Severity(StrEnum):
    """How much a finding matters."""

    INFO = "info"
    """Worth knowing; nothing to do."""
    WARNING = "warning"
    """A person has to look before relying on the result."""
    ERROR = "error"
    """A limit is broken; the affected part of the plan must not be used."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One answer of a check.

    Parameters
    ----------
    rule
        Stable dotted name, for example ``path.capsule_angle``.
    severity
        How much it matters.
    message
        One sentence, no person's identifier.
    measured, limit
        The two values compared, in ``unit``; empty text where the rule has none.
    unit
        Unit suffix without underscore, for example ``mm``.
    source
        Where the limit comes from.
    status
        Evidence status of the limit; ``unverified`` is printed beside the finding.
    subject
        Lesion, puncture or structure the finding is about; empty for the whole plan.
    """

    rule: str
    severity: Severity
    message: str
    measured: float | str = ""
    limit: float | str = ""
    unit: str = ""
    source: str = ""
    status: EvidenceStatus | None = None
    subject: str = ""

    @property
    def unverified(self) -> bool:
        """Whether the finding leans on a number nobody has checked."""
        return self.status is EvidenceStatus.UNVERIFIED

    @classmethod
    def from_limit(
        cls,
        evidence: Evidence,
        *,
        rule: str,
        severity: Severity,
        message: str,
        measured: float | str = "",
        subject: str = "",
    ) -> Finding:
        """Build a finding whose limit, unit, source and status come from one piece of evidence."""
        return cls(
            rule=rule,
            severity=severity,
            message=message,
            measured=measured,
            limit="" if evidence.value is None else evidence.value,
            unit=evidence.unit,
            source=evidence.source,
            status=evidence.status,
            subject=subject,
        )
