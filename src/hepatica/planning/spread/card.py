"""The credibility card in the order of ASME V&V 40: purpose, risk, what was shown, what it leans on, where it stops.

Values only; every text and number comes from evidence, from the analytic suite, or from a run. Nothing is rendered.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from hepatica.core.errors import InputError
from hepatica.core.evidence import Evidence, EvidenceStatus, EvidenceTable, read_evidence_table
from hepatica.core.findings import Finding
from hepatica.planning.spread.anchor_values import AnchorResult
from hepatica.planning.spread.simulate import SpreadOutcome
from hepatica.planning.spread.tissue import (
    LIMITS_TABLE,
    TABLES,
    TISSUE_TABLE,
    UncertainInput,
    read_limits,
    read_uncertain_inputs,
)
from hepatica.planning.spread.verification import VerificationRow

CARD_TABLE: Final = "spread_card.toml"


class Level(StrEnum):
    """How much rests on the model, or how bad a wrong answer is."""

    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelRisk:
    """Model risk: influence of the model on the decision, with the decision's consequence.

    Parameters
    ----------
    influence, consequence
        The evidence of each; its value is a `Level`.
    """

    influence: Evidence
    consequence: Evidence

    def __post_init__(self) -> None:
        """Refuse words that are no level."""
        for entry in (self.influence, self.consequence):
            if entry.value not in tuple(Level):
                raise InputError(
                    expected=f"one of {', '.join(Level)}",
                    given=f"{entry.value!r}",
                    where=f"table {CARD_TABLE}, '{entry.key}'",
                    action="correct the table",
                )

    @property
    def level(self) -> Level:
        """The larger of the two: a model that matters little to a grave decision is no small risk.

        Examples
        --------
        >>> read_model_risk().level
        <Level.MEDIUM: 'medium'>
        """
        order = list(Level)
        return max((Level(str(entry.value)) for entry in (self.influence, self.consequence)), key=order.index)


class Spacing(StrEnum):
    """How an input is drawn from its range."""

    FIXED = "fixed"
    EVEN = "evenly"
    LOGARITHM = "evenly in the logarithm"


@dataclass(frozen=True, slots=True, kw_only=True)
class ParameterRow:
    """One input: its range with source and status of both ends.

    Parameters
    ----------
    name
        Input, for example ``viable_conductivity``, or a limit of the model.
    low, high
        Evidence of the ends; the same for a fixed number.
    drawn
        How it is drawn.
    correlation
        Partial rank correlation with the share retained in viable tumour; None where not ranked.
    """

    name: str
    low: Evidence
    high: Evidence
    drawn: Spacing
    correlation: float | None = None

    @property
    def status(self) -> EvidenceStatus:
        """The weaker status of the two ends."""
        order = list(EvidenceStatus)
        return max(self.low.status, self.high.status, key=order.index)


@dataclass(frozen=True, slots=True, kw_only=True)
class ApplicabilityRow:
    """One regime check of this run.

    Parameters
    ----------
    finding
        What was checked and found.
    share_fraction
        Share of the draws it holds in.
    """

    finding: Finding
    share_fraction: float


@dataclass(frozen=True, slots=True, kw_only=True)
class CredibilityCard:
    """The card, its fields in the order of ASME V&V 40.

    Parameters
    ----------
    question, context_of_use
        What is asked, and for what the answer may serve.
    risk
        Model risk.
    verification
        Analytic suite: computed beside exact, with error and tolerance.
    anchors
        Experiments predicted from the prior, each with the share of draws that agrees.
    anchor_goal
        Share of draws that has to agree.
    parameters
        Every uncertain input and every limit of the model.
    applicability
        Regime checks of this run, most frequent first; empty without a run.
    not_evaluable
        Draws without an answer, by reason; empty without a run.
    draws
        Draws of this run that gave an answer; 0 without a run.
    limits
        What the model leaves out.
    tables
        SHA-256 of every table used, by name.
    """

    question: Evidence
    context_of_use: Evidence
    risk: ModelRisk
    verification: tuple[VerificationRow, ...]
    anchors: tuple[AnchorResult, ...]
    anchor_goal: Evidence
    parameters: tuple[ParameterRow, ...]
    applicability: tuple[ApplicabilityRow, ...]
    not_evaluable: Mapping[str, int]
    draws: int
    limits: tuple[Evidence, ...]
    tables: Mapping[str, str]

    @property
    def verified(self) -> bool:
        """Whether every row of the analytic suite is within its tolerance; False without rows."""
        return bool(self.verification) and all(row.passed for row in self.verification)

    @property
    def failed_anchors(self) -> tuple[AnchorResult, ...]:
        """Anchors that fewer draws agree with than the goal asks for."""
        return tuple(row for row in self.anchors if not row.agrees(self.anchor_goal))

    @property
    def unverified(self) -> tuple[str, ...]:
        """Names of the parameters that lean on a number nobody has checked."""
        return tuple(row.name for row in self.parameters if row.status is EvidenceStatus.UNVERIFIED)


def read_card_table() -> EvidenceTable:
    """Return the shipped statements."""
    return read_evidence_table(TABLES, CARD_TABLE)


def read_model_risk(table: EvidenceTable | None = None) -> ModelRisk:
    """Return influence and consequence as the table states them."""
    table = read_card_table() if table is None else table
    return ModelRisk(influence=table["model_influence"], consequence=table["decision_consequence"])


def list_parameters(outcome: SpreadOutcome | None = None) -> tuple[ParameterRow, ...]:
    """List every uncertain input, then every limit, with what this run says about its grip."""
    grips: dict[str, float] = {}
    if outcome is not None and isinstance(outcome.drivers, tuple):
        grips = {driver.name: driver.correlation for driver in outcome.drivers}
    inputs = [
        ParameterRow(
            name=name, low=entry.low, high=entry.high, drawn=_to_spacing(entry), correlation=grips.get(name)
        )
        for name, entry in read_uncertain_inputs().items()
    ]
    fixed = [
        ParameterRow(name=entry.key, low=entry, high=entry, drawn=Spacing.FIXED) for entry in read_limits()
    ]
    return (*inputs, *fixed)


def _to_spacing(entry: UncertainInput) -> Spacing:
    if entry.fixed:
        return Spacing.FIXED
    return Spacing.LOGARITHM if entry.logarithmic else Spacing.EVEN


def assemble_card(
    *,
    verification: Iterable[VerificationRow],
    anchors: Iterable[AnchorResult],
    outcome: SpreadOutcome | None = None,
    table: EvidenceTable | None = None,
) -> CredibilityCard:
    """Put the card together.

    Parameters
    ----------
    verification
        From `hepatica.planning.spread.verify.verify_spread`.
    anchors
        From `hepatica.planning.spread.anchors.check_anchors`.
    outcome
        A run, for its regime checks and drivers; none for the card of a release.
    table
        Statements; the shipped ones by default.

    Examples
    --------
    >>> card = assemble_card(verification=(), anchors=())
    >>> card.verified, card.risk.level.value
    (False, 'medium')
    """
    table = read_card_table() if table is None else table
    held = () if outcome is None else outcome.findings
    names = (TISSUE_TABLE, LIMITS_TABLE, CARD_TABLE, "spread_anchors.toml")
    return CredibilityCard(
        question=table["question"],
        context_of_use=table["context_of_use"],
        risk=read_model_risk(table),
        verification=tuple(verification),
        anchors=tuple(anchors),
        anchor_goal=table["anchor_goal"],
        parameters=list_parameters(outcome),
        applicability=tuple(
            ApplicabilityRow(finding=finding, share_fraction=share)
            for finding, share in sorted(held, key=lambda pair: -pair[1])
        ),
        not_evaluable={} if outcome is None else dict(outcome.not_evaluable),
        draws=0 if outcome is None else outcome.draws,
        limits=tuple(entry for entry in table if entry.key.startswith("limit_")),
        tables={name: read_evidence_table(TABLES, name).digest for name in names},
    )
