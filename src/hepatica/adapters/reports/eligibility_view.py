"""Eligibility in words: a row for each criterion, and what the sheet says of all of them."""

from __future__ import annotations

from dataclasses import dataclass

from hepatica.adapters.reports.wording import ABSENT, Cell, to_cell, to_list_words, to_readable_words
from hepatica.planning.eligibility.values import Answer, CriterionAnswer


@dataclass(frozen=True, slots=True, kw_only=True)
class CriterionRow:
    """One eligibility criterion as printed."""

    name: str
    answer: str
    measured: str
    limit: Cell
    reason: str
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class EligibilityView:
    """All criteria in short.

    Parameters
    ----------
    failed
        One line for each failed criterion.
    unknown
        Names of what is not known, in one line; empty for none.
    passed
        How many passed, in words.
    """

    failed: tuple[str, ...]
    unknown: str
    passed: str


def derive_criteria(answers: tuple[CriterionAnswer, ...]) -> tuple[CriterionRow, ...]:
    """Return a row for each criterion, in order."""
    return tuple(
        CriterionRow(
            name=_say_name(item),
            answer=item.answer.value,
            measured=to_readable_words(item.measured) or ABSENT,
            limit=to_cell(to_readable_words(item.limit) or ABSENT, status=item.status),
            reason=item.reason,
            source=item.source,
        )
        for item in answers
    )


def derive_eligibility_view(answers: tuple[CriterionAnswer, ...]) -> EligibilityView:
    """Say in a few lines what failed and what is not known."""
    failed = [item for item in answers if item.answer is Answer.FAIL]
    unknown = [_say_name(item) for item in answers if item.answer is Answer.UNKNOWN]
    passed = len(answers) - len(failed) - len(unknown)
    return EligibilityView(
        failed=tuple(
            f"{_say_name(item)}: {to_readable_words(item.measured)}; {item.reason}" for item in failed
        ),
        unknown=f"all {len(unknown)} criteria"
        if unknown and len(unknown) == len(answers)
        else to_list_words(unknown),
        passed=f"{passed} of {len(answers)} pass" if answers else "no criterion was asked for",
    )


def _say_name(item: CriterionAnswer) -> str:
    return item.criterion.replace("_", " ").replace(" inr", " INR")
