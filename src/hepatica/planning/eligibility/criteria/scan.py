"""Criteria about the scan."""

from __future__ import annotations

import math

from hepatica.core.findings import NotEvaluable
from hepatica.core.units import MM_PER_CM
from hepatica.planning.eligibility.child_pugh import compare
from hepatica.planning.eligibility.criteria.criterion import Question, declares
from hepatica.planning.eligibility.values import Answer, CriterionAnswer


@declares("tumour_fraction_of_liver")
def answer_tumour_fraction(question: Question) -> CriterionAnswer:
    """Share of the liver that is tumour; unknown where its error reaches across the limit."""
    fraction, error = question.scan.tumour_fraction, question.scan.tumour_fraction_uncertainty
    for value in (fraction, error):
        if isinstance(value, NotEvaluable):
            return question.unknown(f"share of the liver, {value.reason}")
        if not math.isfinite(value) or value < 0:
            return question.unknown("share of the liver as a number from 0 to 1")
    assert not isinstance(fraction, NotEvaluable) and not isinstance(error, NotEvaluable)
    measured = f"{fraction:.3f} +/- {error:.3f}"
    if compare(fraction + error, question.limit):
        return question.answer(
            Answer.PASS, measured=measured, reason="share of the liver below the limit with its error"
        )
    if not question.scan.liver_complete:
        return question.answer(
            Answer.UNKNOWN,
            measured=measured,
            reason="the scan cuts the liver off: the share is an upper bound",
        )
    if not compare(fraction - error, question.limit):
        return question.answer(
            Answer.FAIL, measured=measured, reason="share of the liver at or above the limit"
        )
    return question.answer(
        Answer.UNKNOWN, measured=measured, reason="the limit lies within the error of measurement"
    )


@declares("macrovascular_invasion")
def answer_invasion(question: Question) -> CriterionAnswer:
    """No tumour in a large vessel."""
    return question.require_absent(
        present=question.scan.macrovascular_invasion, what="macroscopic vascular invasion"
    )


@declares("bile_duct_compression")
def answer_bile_duct(question: Question) -> CriterionAnswer:
    """No lesion pressing on the bile ducts."""
    return question.require_absent(
        present=question.scan.bile_duct_compression, what="lesion pressing on the bile ducts"
    )


@declares("lesion_longest_diameter_min")
def answer_lesion_size(question: Question) -> CriterionAnswer:
    """At least one lesion large enough; unknown where the error of measurement decides."""
    if question.limit.value is None:
        return question.unknown("a smallest diameter in the protocol")
    largest_mm, error_mm = question.scan.largest_diameter_mm, question.scan.largest_diameter_uncertainty_mm
    if largest_mm is None:
        return question.unknown("a lesion")
    unit_mm = MM_PER_CM if question.limit.unit == "cm" else 1.0
    measured = f"{largest_mm / unit_mm:.2f} +/- {error_mm / unit_mm:.2f} {question.limit.unit}"
    low, high = ((largest_mm + sign * error_mm) / unit_mm for sign in (-1, 1))
    if compare(low, question.limit):
        return question.answer(Answer.PASS, measured=measured, reason="the largest lesion is large enough")
    if not compare(high, question.limit):
        return question.answer(Answer.FAIL, measured=measured, reason="no lesion is large enough")
    return question.answer(
        Answer.UNKNOWN, measured=measured, reason="the limit lies within the error of measurement"
    )
