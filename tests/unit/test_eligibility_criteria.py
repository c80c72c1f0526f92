"""Every criterion passes, fails and is unknown where it should be."""

from __future__ import annotations

from typing import Any

import pytest

from hepatica.core.errors import FactsError
from hepatica.core.evidence import Evidence, read_evidence_table
from hepatica.core.findings import NotEvaluable
from hepatica.planning.dose.protocol import list_protocols, read_protocol
from hepatica.planning.eligibility.check import check_eligibility
from hepatica.planning.eligibility.child_pugh import derive_child_pugh
from hepatica.planning.eligibility.criteria.criterion import find_criteria
from hepatica.planning.eligibility.facts import LabValue, PatientFacts, ScanFacts
from hepatica.planning.eligibility.values import CriterionAnswer

CRITERIA = read_evidence_table("hepatica.planning.tables", "criteria.toml")
UNKNOWN = NotEvaluable(reason="no liver label")
NO_SCAN: dict[str, Any] = {"tumour_fraction": UNKNOWN, "tumour_fraction_uncertainty": UNKNOWN}


class Rules:
    def __init__(self, name: str) -> None:
        own = (
            read_protocol("pv10-liver").eligibility
            if name == "lesion_longest_diameter_min"
            else CRITERIA.entries
        )
        self.eligibility = {name: own[name]}
        self.ingredients = ("talimogene laherparepvec", "sorbitol")


def ask(
    name: str, facts: dict[str, Any] | None = None, scan: dict[str, Any] | None = None
) -> CriterionAnswer:
    patient = PatientFacts.from_mapping(facts or {})
    (answer,) = check_eligibility(Rules(name), facts=patient, scan=ScanFacts(**{**NO_SCAN, **(scan or {})}))
    return answer


def labs(**values: tuple[float, str]) -> dict[str, Any]:
    return {"labs": {name: {"value": value, "unit": unit} for name, (value, unit) in values.items()}}


def diseased(**values: tuple[float, str]) -> dict[str, Any]:
    return {"chronic_liver_disease": True, **labs(**values)}


def child_pugh(bilirubin: float, ascites: str = "none") -> dict[str, Any]:
    values = labs(bilirubin=(bilirubin, "mg_per_dl"), albumin=(36.0, "g_per_l"), inr=(1.2, "ratio"))
    return {**values, "ascites": ascites, "encephalopathy": "none"}


def drug(kind: str) -> dict[str, Any]:
    return {"drugs": [{"name": "x", "class": kind}]}


def share(value: float, error: float) -> dict[str, Any]:
    return {"tumour_fraction": value, "tumour_fraction_uncertainty": error}


def size(value_mm: float, error_mm: float = 0.0) -> dict[str, Any]:
    return {"largest_diameter_mm": value_mm, "largest_diameter_uncertainty_mm": error_mm}


CASES: list[tuple[str, dict[str, Any], dict[str, Any], str]] = [
    ("age_min", {"age_years": 18}, {}, "pass"),
    ("age_min", {"age_years": 17}, {}, "fail"),
    ("ecog_max", {"ecog": 1}, {}, "pass"),
    ("ecog_max", {"ecog": 2}, {}, "fail"),
    ("life_expectancy_min", {"life_expectancy_months": 5}, {}, "pass"),
    ("life_expectancy_min", {"life_expectancy_months": 4.9}, {}, "fail"),
    ("tumour_fraction_of_liver", {}, share(0.30, 0.03), "pass"),
    ("tumour_fraction_of_liver", {}, share(0.31, 0.03), "unknown"),
    ("tumour_fraction_of_liver", {}, share(0.35, 0.03), "unknown"),
    ("tumour_fraction_of_liver", {}, share(0.37, 0.03), "fail"),
    ("tumour_fraction_of_liver", {}, share(1 / 3, 0.0), "fail"),
    ("macrovascular_invasion", {}, {"macrovascular_invasion": False}, "pass"),
    ("macrovascular_invasion", {}, {"macrovascular_invasion": True}, "fail"),
    ("bile_duct_compression", {}, {"bile_duct_compression": False}, "pass"),
    ("bile_duct_compression", {}, {"bile_duct_compression": True}, "fail"),
    ("lesion_longest_diameter_min", {}, size(10.0), "pass"),
    ("lesion_longest_diameter_min", {}, size(9.9), "fail"),
    ("lesion_longest_diameter_min", {}, size(10.5, 1.0), "unknown"),
    ("child_pugh_score_max", child_pugh(2.5, "mild"), {}, "pass"),
    ("child_pugh_score_max", child_pugh(3.5, "mild"), {}, "fail"),
    ("child_pugh_score_max", {"ascites": "none"}, {}, "unknown"),
    ("child_pugh_score_max", {"ascites": "moderate_or_severe", "encephalopathy": "grade_1_or_2"}, {}, "fail"),
    ("pregnancy", {"pregnancy": "not_applicable"}, {}, "pass"),
    ("pregnancy", {"pregnancy": "pregnant"}, {}, "fail"),
    ("immunocompromise", {"immune_state": "competent"}, {}, "pass"),
    ("immunocompromise", {"immune_state": "compromised"}, {}, "fail"),
    ("immunocompromise", {"immune_state": "competent", **drug("immunosuppressant")}, {}, "fail"),
    ("antivirals", drug("other"), {}, "pass"),
    ("antivirals", drug("antiviral"), {}, "fail"),
    ("anticoagulants", {"drugs": []}, {}, "pass"),
    ("anticoagulants", drug("antiplatelet"), {}, "fail"),
    ("allergy_to_agent", {"allergies": ["peanut"]}, {}, "pass"),
    ("allergy_to_agent", {"allergies": ["Sorbitol syrup"]}, {}, "fail"),
    ("hepatitis_b_viral_load", {"hepatitis_b": {"viral_load": "undetectable"}}, {}, "pass"),
    ("hepatitis_b_viral_load", {"hepatitis_b": {"viral_load": "detectable"}}, {}, "fail"),
    (
        "hepatitis_b_viral_load",
        {"hepatitis_b": {"viral_load": "undetectable", "iu_per_ml": 20}},
        {},
        "unknown",
    ),
    ("hepatitis_c_viral_load", {"hepatitis_c": {"viral_load": "never_infected"}}, {}, "pass"),
    ("hepatitis_c_viral_load", {"hepatitis_c": {"viral_load": "detectable"}}, {}, "fail"),
    ("bleeding_inr", labs(inr=(1.5, "ratio")), {}, "pass"),
    ("bleeding_inr", labs(inr=(1.8, "ratio")), {}, "unknown"),
    ("bleeding_inr", labs(inr=(1.81, "ratio")), {}, "fail"),
    ("bleeding_platelets", labs(platelets=(50, "1e9_per_l")), {}, "pass"),
    ("bleeding_platelets", labs(platelets=(49_999, "per_ul")), {}, "fail"),
    ("bleeding_inr_liver_disease", diseased(inr=(2.4, "ratio")), {}, "pass"),
    ("bleeding_inr_liver_disease", diseased(inr=(2.5, "ratio")), {}, "fail"),
    ("bleeding_inr_liver_disease", {"chronic_liver_disease": True}, {}, "unknown"),
    ("bleeding_inr_liver_disease", {"chronic_liver_disease": False}, {}, "pass"),
    ("bleeding_platelets_liver_disease", diseased(platelets=(31, "1e3_per_ul")), {}, "pass"),
    ("bleeding_platelets_liver_disease", diseased(platelets=(30, "1e9_per_l")), {}, "fail"),
    ("bleeding_fibrinogen_liver_disease", diseased(fibrinogen=(1.01, "g_per_l")), {}, "pass"),
    ("bleeding_fibrinogen_liver_disease", diseased(fibrinogen=(100, "mg_per_dl")), {}, "fail"),
]


@pytest.mark.requirement("A-elig-answers")
@pytest.mark.parametrize(("name", "facts", "scan", "expected"), CASES)
def test_a_criterion_answers_at_and_beside_its_limit(
    name: str, facts: dict[str, Any], scan: dict[str, Any], expected: str
) -> None:
    answer = ask(name, facts, scan)
    assert answer.answer.value == expected, answer.reason
    assert answer.source == Rules(name).eligibility[name].source and answer.limit and answer.reason


@pytest.mark.requirement("A-elig-answers")
@pytest.mark.parametrize("name", sorted(CRITERIA.entries))
def test_with_nothing_known_every_criterion_is_unknown_and_says_what_is_missing(name: str) -> None:
    answer = ask(name)
    assert answer.answer.value == "unknown" and "not given" in answer.reason


@pytest.mark.requirement("A-elig-answers")
def test_every_criterion_of_the_table_has_an_answer_and_cases_for_pass_and_fail() -> None:
    assert set(find_criteria()) == set(CRITERIA.entries)
    for expected in ("pass", "fail"):
        assert {name for name, _, _, answer in CASES if answer == expected} == set(CRITERIA.entries)


@pytest.mark.requirement("A-elig-answers")
@pytest.mark.parametrize("name", list_protocols())
def test_each_protocol_is_answered_in_its_own_order_with_sources(name: str) -> None:
    protocol = read_protocol(name)
    answers = check_eligibility(protocol, facts=PatientFacts(), scan=ScanFacts(**NO_SCAN))
    assert [answer.criterion for answer in answers] == list(protocol.eligibility)
    assert all(answer.answer.value == "unknown" and answer.source for answer in answers)


@pytest.mark.requirement("A-elig-bleeding")
def test_the_bleeding_gate_keeps_its_counter_evidence_and_its_own_doubt_beside_it() -> None:
    answer = ask("bleeding_inr", labs(inr=(1.6, "ratio")))
    assert "1.6 % against 3.4 %" in answer.reason and "a person decides" in answer.reason
    assert "design choice" in answer.reason
    with_disease = ask("bleeding_platelets", diseased(platelets=(40, "1e9_per_l")))
    assert with_disease.answer.value == "fail" and "separate values" in with_disease.reason
    assert ask("bleeding_platelets_liver_disease").status.value == "unverified"
    assert ask("antivirals", drug("antiviral")).reason.startswith("caution, not an exclusion")


@pytest.mark.requirement("A-elig-child-pugh")
@pytest.mark.parametrize(
    ("bilirubin", "albumin", "inr", "ascites", "encephalopathy", "score", "grade"),
    [
        ((1.9, "mg_per_dl"), (36, "g_per_l"), 1.6, "none", "none", 5, "A"),
        ((2.0, "mg_per_dl"), (3.5, "g_per_dl"), 1.7, "mild", "grade_1_or_2", 10, "C"),
        ((3.0, "mg_per_dl"), (2.8, "g_per_dl"), 2.3, "none", "none", 8, "B"),
        ((3.1, "mg_per_dl"), (27.9, "g_per_l"), 2.31, "moderate_or_severe", "grade_3_or_4", 15, "C"),
        ((33.9, "umol_per_l"), (35.1, "g_per_l"), 1.0, "mild", "none", 6, "A"),
        ((34.0, "umol_per_l"), (35.1, "g_per_l"), 1.0, "mild", "none", 7, "B"),
        ((51.0, "umol_per_l"), (28.0, "g_per_l"), 1.0, "none", "none", 7, "B"),
        ((51.1, "umol_per_l"), (28.0, "g_per_l"), 1.0, "mild", "none", 9, "B"),
    ],
)
def test_child_pugh_against_a_table_made_by_hand(
    bilirubin: tuple[float, str],
    albumin: tuple[float, str],
    inr: float,
    ascites: str,
    encephalopathy: str,
    score: int,
    grade: str,
) -> None:
    facts = {
        **labs(bilirubin=bilirubin, albumin=albumin, inr=(inr, "ratio")),
        "ascites": ascites,
        "encephalopathy": encephalopathy,
    }
    found = derive_child_pugh(PatientFacts.from_mapping(facts))
    assert (found.score, found.grade) == (score, grade)


@pytest.mark.requirement("A-elig-child-pugh")
def test_child_pugh_with_missing_items_gives_bounds_and_never_a_guess() -> None:
    found = derive_child_pugh(PatientFacts.from_mapping({"ascites": "none"}))
    assert isinstance(found.score, NotEvaluable) and (found.lowest, found.highest) == (5, 13)
    assert isinstance(found.grade, NotEvaluable)
    assert found.missing == ("bilirubin", "albumin", "inr", "encephalopathy")


@pytest.mark.requirement("A-elig-units")
def test_units_are_converted_openly_and_refused_where_no_conversion_is_known() -> None:
    bilirubin = LabValue(name="bilirubin", value=2.0, unit="mg_per_dl")
    assert bilirubin.value_in("umol_per_l") == pytest.approx(34.2, abs=0.01)
    assert LabValue(name="bilirubin", value=34.208, unit="umol_per_l").value_in("mg_per_dl") == pytest.approx(
        2.0
    )
    assert LabValue(name="albumin", value=3.5, unit="g_per_dl").value_in("g_per_l") == 35.0
    assert LabValue(name="platelets", value=50_000, unit="per_ul").value_in("1e9_per_l") == 50.0
    with pytest.raises(FactsError):
        LabValue(name="inr", value=1.0, unit="ratio").value_in("g_per_l")


@pytest.mark.requirement("A-elig-answers")
def test_a_liver_cut_off_by_the_scan_makes_its_tumour_share_an_upper_bound():
    cut = {"liver_complete": False}
    assert ask("tumour_fraction_of_liver", scan={**share(0.2, 0.01), **cut}).answer == "pass"
    answer = ask("tumour_fraction_of_liver", scan={**share(0.5, 0.01), **cut})
    assert answer.answer == "unknown" and "upper bound" in answer.reason
    assert ask("tumour_fraction_of_liver", scan=share(0.5, 0.01)).answer == "fail"


@pytest.mark.requirement("A-elig-units")
@pytest.mark.parametrize(("value", "unit"), [(1.0, "cm"), (10.0, "mm")])
def test_the_smallest_lesion_is_held_against_its_limit_in_the_limits_own_unit(value, unit):
    limit = Evidence(key="size", value=value, unit=unit, edge=">=", source="test")
    rules = Rules("lesion_longest_diameter_min")
    rules.eligibility = {"lesion_longest_diameter_min": limit}
    for largest_mm, expected in ((9.0, "fail"), (10.0, "pass"), (11.0, "pass")):
        scan = ScanFacts(**NO_SCAN, largest_diameter_mm=largest_mm)
        (answer,) = check_eligibility(rules, facts=PatientFacts(), scan=scan)
        assert answer.answer == expected and answer.measured.endswith(unit)
