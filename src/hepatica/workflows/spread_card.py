"""The credibility card of a prediction as a document, in the order of ASME V&V 40."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from hepatica.core.evidence import Evidence, EvidenceStatus
from hepatica.core.findings import Finding
from hepatica.planning.spread.verification import VerificationRow
from hepatica.workflows.document_values import to_evidence, to_finding_rows, to_number


class AnchorValues(Protocol):
    """One experiment predicted from the prior."""

    @property
    def key(self) -> str: ...  # noqa: D102
    @property
    def measured(self) -> Evidence: ...  # noqa: D102
    @property
    def system(self) -> str: ...  # noqa: D102
    @property
    def criterion(self) -> str: ...  # noqa: D102
    @property
    def predicted(self) -> str: ...  # noqa: D102
    @property
    def agreeing(self) -> int: ...  # noqa: D102
    @property
    def draws(self) -> int: ...  # noqa: D102
    @property
    def not_evaluable(self) -> int: ...  # noqa: D102
    @property
    def independent(self) -> bool: ...  # noqa: D102

    def agrees(self, goal: Evidence) -> bool:
        """Whether enough draws agree."""


class RiskValues(Protocol):
    """Influence of the model, consequence of the decision, and the risk they make."""

    @property
    def influence(self) -> Evidence: ...  # noqa: D102
    @property
    def consequence(self) -> Evidence: ...  # noqa: D102
    @property
    def level(self) -> str: ...  # noqa: D102


class ParameterValues(Protocol):
    """One input with the evidence of both ends of its range."""

    @property
    def name(self) -> str: ...  # noqa: D102
    @property
    def low(self) -> Evidence: ...  # noqa: D102
    @property
    def high(self) -> Evidence: ...  # noqa: D102
    @property
    def drawn(self) -> str: ...  # noqa: D102
    @property
    def correlation(self) -> float | None: ...  # noqa: D102
    @property
    def status(self) -> EvidenceStatus: ...  # noqa: D102


class ApplicabilityValues(Protocol):
    """One regime check of the run."""

    @property
    def finding(self) -> Finding: ...  # noqa: D102
    @property
    def share_fraction(self) -> float: ...  # noqa: D102


class CardValues(Protocol):
    """What a card holds, in the order of ASME V&V 40."""

    @property
    def question(self) -> Evidence: ...  # noqa: D102
    @property
    def context_of_use(self) -> Evidence: ...  # noqa: D102
    @property
    def risk(self) -> RiskValues: ...  # noqa: D102
    @property
    def verification(self) -> Sequence[VerificationRow]: ...  # noqa: D102
    @property
    def anchors(self) -> Sequence[AnchorValues]: ...  # noqa: D102
    @property
    def anchor_goal(self) -> Evidence: ...  # noqa: D102
    @property
    def parameters(self) -> Sequence[ParameterValues]: ...  # noqa: D102
    @property
    def applicability(self) -> Sequence[ApplicabilityValues]: ...  # noqa: D102
    @property
    def not_evaluable(self) -> Mapping[str, int]: ...  # noqa: D102
    @property
    def draws(self) -> int: ...  # noqa: D102
    @property
    def limits(self) -> Sequence[Evidence]: ...  # noqa: D102
    @property
    def tables(self) -> Mapping[str, str]: ...  # noqa: D102


def to_card_document(card: CardValues) -> dict[str, Any]:
    """Return a card as a JSON-ready document; its keys stand in the order of ASME V&V 40.

    Parameters
    ----------
    card
        Values of the card.
    """
    passed = sum(bool(row.passed) for row in card.verification)
    return {
        "order": "ASME V&V 40",
        "question_of_interest": to_evidence(card.question),
        "context_of_use": to_evidence(card.context_of_use),
        "model_risk": {
            "influence": to_evidence(card.risk.influence),
            "consequence": to_evidence(card.risk.consequence),
            "level": str(card.risk.level),
        },
        "verification": {
            "cases": len(card.verification),
            "passed": passed,
            "rows_in": "verification",
        },
        "validation": {
            "goal": to_evidence(card.anchor_goal),
            "anchors": [_to_anchor(anchor, card.anchor_goal) for anchor in card.anchors],
        },
        "parameters": [_to_parameter(row) for row in card.parameters],
        "applicability": {
            "draws": card.draws,
            "draws_without_answer": dict(card.not_evaluable),
            "checks": [
                {**to_finding_rows([row.finding])[0], "share_fraction": to_number(row.share_fraction)}
                for row in card.applicability
            ],
        },
        "limits": [to_evidence(entry) for entry in card.limits],
        "tables": dict(sorted(card.tables.items())),
    }


def _to_anchor(anchor: AnchorValues, goal: Evidence) -> dict[str, Any]:
    return {
        "key": anchor.key,
        "measured": to_evidence(anchor.measured),
        "system": anchor.system,
        "criterion": anchor.criterion,
        "predicted": anchor.predicted,
        "agreeing_draws": int(anchor.agreeing),
        "draws": anchor.draws,
        "draws_without_answer": anchor.not_evaluable,
        "agrees": bool(anchor.agrees(goal)),
        "independent": anchor.independent,
    }


def _to_parameter(row: ParameterValues) -> dict[str, Any]:
    return {
        "name": row.name,
        "low": to_evidence(row.low),
        "high": to_evidence(row.high),
        "drawn": str(row.drawn),
        "status": row.status.value,
        "correlation": None if row.correlation is None else to_number(row.correlation),
    }
