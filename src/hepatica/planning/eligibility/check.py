"""Answer every criterion of a protocol: pass, fail or unknown, each with its source."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from hepatica.core.evidence import Evidence
from hepatica.planning.eligibility.criteria.criterion import Question, find_criteria
from hepatica.planning.eligibility.facts import PatientFacts, ScanFacts
from hepatica.planning.eligibility.values import Answer, CriterionAnswer

__all__ = ["EligibilityRules", "PatientFacts", "ScanFacts", "check_eligibility"]


class EligibilityRules(Protocol):
    """What the check needs of a protocol; a dose protocol has it."""

    @property
    def eligibility(self) -> Mapping[str, Evidence]:
        """Limit of each criterion used."""

    @property
    def ingredients(self) -> tuple[str, ...]:
        """Names of the agent and what it contains."""


def check_eligibility(
    protocol: EligibilityRules, *, facts: PatientFacts, scan: ScanFacts
) -> tuple[CriterionAnswer, ...]:
    """Answer the criteria the protocol names, in its order.

    Parameters
    ----------
    protocol
        Anything with ``eligibility`` and ``ingredients``.
    facts
        What is known of the patient; what is not known is answered with unknown, never guessed.
    scan
        What is known from the scan.

    Examples
    --------
    >>> from types import SimpleNamespace
    >>> from hepatica.core.evidence import read_evidence_table
    >>> from hepatica.core.findings import NotEvaluable
    >>> age = read_evidence_table("hepatica.planning.tables", "criteria.toml")["age_min"]
    >>> unknown = NotEvaluable(reason="no liver label")
    >>> answers = check_eligibility(SimpleNamespace(eligibility={"age_min": age}, ingredients=()),
    ...     facts=PatientFacts(age_years=17),
    ...     scan=ScanFacts(tumour_fraction=unknown, tumour_fraction_uncertainty=unknown))
    >>> answers[0].answer.value, answers[0].measured, answers[0].limit
    ('fail', '17 years', '>= 18 years')
    """
    criteria = find_criteria()
    answers = []
    for name, limit in protocol.eligibility.items():
        question = Question(
            criterion=name, limit=limit, patient=facts, scan=scan, ingredients=tuple(protocol.ingredients)
        )
        if limit.value is None:
            answers.append(
                question.answer(Answer.UNKNOWN, measured="", reason="the protocol's limit is not set")
            )
        else:
            answers.append(criteria[name](question))
    return tuple(answers)
