"""What a prior-predictive check answers."""

from __future__ import annotations

from dataclasses import dataclass

from hepatica.core.evidence import Evidence


@dataclass(frozen=True, slots=True, kw_only=True)
class AnchorResult:
    """One experiment predicted with draws of the prior.

    Parameters
    ----------
    key
        Short name, for example ``swine_leak``.
    measured
        What was measured, with its source.
    system
        Tissue and species: how far it is from a liver tumour.
    criterion
        When a draw counts as agreeing, in words with its numbers.
    predicted
        What the draws give, in words with numbers.
    agreeing, draws
        Draws that agree, of those that gave an answer.
    not_evaluable
        Draws without an answer; they count as neither.
    independent
        Whether no range of the prior was taken from this experiment.
    """

    key: str
    measured: Evidence
    system: str
    criterion: str
    predicted: str
    agreeing: int
    draws: int
    not_evaluable: int
    independent: bool

    @property
    def fraction(self) -> float:
        """Share of the draws that agrees; 0 where none gave an answer."""
        return self.agreeing / self.draws if self.draws else 0.0

    def agrees(self, goal: Evidence) -> bool:
        """Whether enough draws agree."""
        return self.fraction >= goal.number
