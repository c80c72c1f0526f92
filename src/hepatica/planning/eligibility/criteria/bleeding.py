"""Bleeding values before a high-risk puncture, with the separate limits for chronic liver disease."""

from __future__ import annotations

from hepatica.core.evidence import read_evidence_table
from hepatica.planning.eligibility.child_pugh import compare
from hepatica.planning.eligibility.criteria.criterion import Question, declares
from hepatica.planning.eligibility.values import Answer, CriterionAnswer


def _quote_counter_evidence() -> str:
    evidence = read_evidence_table("hepatica.planning.tables", "eligibility.toml")[
        "bleeding_counter_evidence"
    ]
    return f"Counter-evidence: {evidence.value} [{evidence.source}]"


def _mention_liver_disease(question: Question) -> str:
    if not question.patient.chronic_liver_disease:
        return ""
    return " Chronic liver disease is recorded: the guideline has separate values, given beside this one."


@declares("bleeding_inr")
def answer_inr(question: Question) -> CriterionAnswer:
    """INR; the guideline gives a range, within which a person decides."""
    lab = question.patient.labs.get("inr")
    if lab is None:
        return question.unknown("INR")
    upper = read_evidence_table("hepatica.planning.tables", "eligibility.toml")["bleeding_inr_upper"]
    tail = f".{_mention_liver_disease(question)} {_quote_counter_evidence()}"
    if compare(lab.value, question.limit):
        return question.answer(Answer.PASS, measured=str(lab), reason=f"INR within the limit{tail}")
    if compare(lab.value, upper):
        reason = f"INR within the guideline's range up to {upper.number:g}: a person decides{tail}"
        return question.answer(Answer.UNKNOWN, measured=str(lab), reason=reason)
    return question.answer(Answer.FAIL, measured=str(lab), reason=f"INR above {upper.number:g}{tail}")


@declares("bleeding_platelets")
def answer_platelets(question: Question) -> CriterionAnswer:
    """Platelets."""
    return _compare_lab(
        question, "platelets", tail=f".{_mention_liver_disease(question)} {_quote_counter_evidence()}"
    )


@declares("bleeding_inr_liver_disease")
def answer_inr_liver_disease(question: Question) -> CriterionAnswer:
    """INR with chronic liver disease."""
    return _compare_with_liver_disease(question, "inr")


@declares("bleeding_platelets_liver_disease")
def answer_platelets_liver_disease(question: Question) -> CriterionAnswer:
    """Platelets with chronic liver disease."""
    return _compare_with_liver_disease(question, "platelets")


@declares("bleeding_fibrinogen_liver_disease")
def answer_fibrinogen_liver_disease(question: Question) -> CriterionAnswer:
    """Fibrinogen with chronic liver disease."""
    return _compare_with_liver_disease(question, "fibrinogen")


def _compare_with_liver_disease(question: Question, name: str) -> CriterionAnswer:
    disease = question.patient.chronic_liver_disease
    if disease is None:
        return question.unknown("chronic liver disease, yes or no")
    if not disease:
        return question.answer(
            Answer.PASS, measured="not applicable", reason="no chronic liver disease; the general limits hold"
        )
    return _compare_lab(question, name, tail="")


def _compare_lab(question: Question, name: str, *, tail: str) -> CriterionAnswer:
    lab = question.patient.labs.get(name)
    if lab is None:
        return question.unknown(name)
    words = {"inr": "INR"}.get(name, name)
    if compare(lab.value_in(question.limit.unit), question.limit):
        return question.answer(Answer.PASS, measured=str(lab), reason=f"{words} within the limit{tail}")
    return question.answer(Answer.FAIL, measured=str(lab), reason=f"{words} outside the limit{tail}")
