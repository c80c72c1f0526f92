"""Criteria about the patient."""

from __future__ import annotations

from hepatica.core.findings import NotEvaluable
from hepatica.planning.eligibility.child_pugh import compare, derive_child_pugh
from hepatica.planning.eligibility.criteria.criterion import Question, declares
from hepatica.planning.eligibility.facts import ViralLoad
from hepatica.planning.eligibility.values import Answer, CriterionAnswer


@declares("age_min")
def answer_age(question: Question) -> CriterionAnswer:
    """Old enough."""
    return question.compare_number(question.patient.age_years, what="age", unit="years")


@declares("ecog_max")
def answer_ecog(question: Question) -> CriterionAnswer:
    """Fit enough."""
    return question.compare_number(question.patient.ecog, what="ECOG performance status", unit="")


@declares("life_expectancy_min")
def answer_life_expectancy(question: Question) -> CriterionAnswer:
    """Life expectancy."""
    return question.compare_number(
        question.patient.life_expectancy_months, what="life expectancy", unit="months"
    )


@declares("child_pugh_score_max")
def answer_child_pugh(question: Question) -> CriterionAnswer:
    """Liver function; bounds decide where items are missing and cannot change the answer."""
    child_pugh = derive_child_pugh(question.patient)
    if not isinstance(child_pugh.score, NotEvaluable):
        measured = f"{child_pugh.score} (Child-Pugh {child_pugh.grade})"
    else:
        measured = f"{child_pugh.lowest} to {child_pugh.highest}, not given: {', '.join(child_pugh.missing)}"
    if compare(child_pugh.highest, question.limit):
        return question.answer(Answer.PASS, measured=measured, reason="Child-Pugh score within the limit")
    if not compare(child_pugh.lowest, question.limit):
        return question.answer(Answer.FAIL, measured=measured, reason="Child-Pugh score above the limit")
    return question.answer(
        Answer.UNKNOWN, measured=measured, reason=f"not given: {', '.join(child_pugh.missing)}; they decide"
    )


@declares("pregnancy")
def answer_pregnancy(question: Question) -> CriterionAnswer:
    """Not pregnant."""
    state = question.patient.pregnancy
    return question.require_absent(present=None if state is None else state == "pregnant", what="pregnancy")


@declares("immunocompromise")
def answer_immunocompromise(question: Question) -> CriterionAnswer:
    """No immune defect, and no drug that makes one."""
    state = question.patient.immune_state
    suppressing = _has_drug(question, "immunosuppressant")
    if suppressing:
        return question.answer(Answer.FAIL, measured="present", reason="takes an immunosuppressant")
    return question.require_absent(
        present=None if state is None else state == "compromised", what="immunocompromise"
    )


@declares("antivirals")
def answer_antivirals(question: Question) -> CriterionAnswer:
    """No antiviral that could blunt a virus given as a drug."""
    return question.require_absent(
        present=_has_drug(question, "antiviral"), what="antiviral drug", caution=True
    )


@declares("anticoagulants")
def answer_anticoagulants(question: Question) -> CriterionAnswer:
    """No drug against clotting or platelets."""
    found = [_has_drug(question, kind) for kind in ("anticoagulant", "antiplatelet")]
    present = None if None in found else any(found)
    return question.require_absent(present=present, what="anticoagulant or antiplatelet drug", caution=True)


@declares("allergy_to_agent")
def answer_allergy(question: Question) -> CriterionAnswer:
    """No known allergy to the agent or what it contains."""
    if question.patient.allergies is None:
        return question.unknown("allergies")
    if not question.ingredients:
        return question.unknown("what the agent contains")
    known = [name.casefold() for name in question.ingredients]
    for allergy in question.patient.allergies:
        word = allergy.strip().casefold()
        if any(name in word or word in name for name in known):
            return question.answer(
                Answer.FAIL, measured="present", reason="allergy to the agent or an ingredient"
            )
    return question.answer(
        Answer.PASS, measured="absent", reason=f"no allergy to {', '.join(question.ingredients)}"
    )


@declares("hepatitis_b_viral_load")
def answer_hepatitis_b(question: Question) -> CriterionAnswer:
    """Hepatitis B virus not detectable."""
    return _answer_viral_load(question, question.patient.hepatitis_b, virus="hepatitis B")


@declares("hepatitis_c_viral_load")
def answer_hepatitis_c(question: Question) -> CriterionAnswer:
    """Hepatitis C virus not detectable."""
    return _answer_viral_load(question, question.patient.hepatitis_c, virus="hepatitis C")


def _answer_viral_load(question: Question, load: ViralLoad | None, *, virus: str) -> CriterionAnswer:
    if load is None:
        return question.unknown(f"{virus} viral load")
    measured = load.state.replace("_", " ")
    if load.iu_per_ml is not None:
        measured += f", {load.iu_per_ml:g} iu_per_ml"
    measured += f" ({load.date or 'date not given'})"
    if load.state == "detectable":
        return question.answer(Answer.FAIL, measured=measured, reason=f"{virus} virus detectable")
    if load.iu_per_ml:
        return question.answer(
            Answer.UNKNOWN, measured=measured, reason=f"{virus}: the number contradicts '{load.state}'"
        )
    return question.answer(Answer.PASS, measured=measured, reason=f"{virus} virus not detectable")


def _has_drug(question: Question, kind: str) -> bool | None:
    drugs = question.patient.drugs
    return None if drugs is None else any(drug.kind == kind for drug in drugs)
