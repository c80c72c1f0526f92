"""How a criterion is answered, and where criteria are found."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Final

from hepatica.core.evidence import Evidence
from hepatica.planning.eligibility.child_pugh import compare
from hepatica.planning.eligibility.facts import PatientFacts, ScanFacts
from hepatica.planning.eligibility.values import Answer, CriterionAnswer


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What a criterion looks at.

    Parameters
    ----------
    criterion, limit
        Name and limit.
    patient, scan
        What is known.
    ingredients
        Agent and what it contains.
    """

    criterion: str
    limit: Evidence
    patient: PatientFacts
    scan: ScanFacts
    ingredients: tuple[str, ...]

    def answer(self, answer: Answer, *, measured: str, reason: str) -> CriterionAnswer:
        """Return an answer with the limit's own source and note."""
        limit = f"{self.limit.edge} {self.limit.value} {self.limit.unit}".strip()
        note = f" ({self.limit.note})" if self.limit.note else ""
        return CriterionAnswer(
            criterion=self.criterion,
            answer=answer,
            measured=measured,
            limit=limit if self.limit.value is not None else "not set",
            reason=reason + note,
            source=self.limit.source,
            status=self.limit.status,
        )

    def unknown(self, what: str) -> CriterionAnswer:
        """Return that something is not known."""
        return self.answer(Answer.UNKNOWN, measured="not known", reason=f"not given: {what}")

    def compare_number(self, value: float | None, *, what: str, unit: str) -> CriterionAnswer:
        """Hold a number against the limit by the limit's edge."""
        if value is None:
            return self.unknown(what)
        words = f"{value:g} {unit}".strip()
        if compare(value, self.limit):
            return self.answer(Answer.PASS, measured=words, reason=f"{what} within the limit")
        return self.answer(Answer.FAIL, measured=words, reason=f"{what} outside the limit")

    def require_absent(self, *, present: bool | None, what: str, caution: bool = False) -> CriterionAnswer:
        """Pass where something is known to be absent."""
        if present is None:
            return self.unknown(what)
        if not present:
            return self.answer(Answer.PASS, measured="absent", reason=f"no {what}")
        prefix = "caution, not an exclusion: " if caution else ""
        return self.answer(Answer.FAIL, measured="present", reason=f"{prefix}{what}")


Answerer = Callable[[Question], CriterionAnswer]
_DECLARED: Final[dict[str, Answerer]] = {}


def declares(name: str) -> Callable[[Answerer], Answerer]:
    """Declare that a function answers a criterion of ``criteria.toml``."""

    def register(function: Answerer) -> Answerer:
        _DECLARED[name] = function
        return function

    return register


@cache
def find_criteria() -> dict[str, Answerer]:
    """Return the function for each criterion, from all modules of this package."""
    package = importlib.import_module(__package__ or "hepatica.planning.eligibility.criteria")
    for module_info in pkgutil.iter_modules(package.__path__):
        importlib.import_module(f"{package.__name__}.{module_info.name}")
    return dict(_DECLARED)
