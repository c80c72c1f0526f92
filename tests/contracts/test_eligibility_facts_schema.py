"""The published facts schema and the room's own reading of it agree, and no text of a file is repeated."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator, FormatChecker

from hepatica.core.errors import FactsError
from hepatica.planning.eligibility.facts import PatientFacts, read_facts_schema

SCHEMA = read_facts_schema()
REFERENCE = Draft202012Validator(SCHEMA, format_checker=FormatChecker(["date"]))

FULL: dict[str, Any] = {
    "schema_version": "1",
    "age_years": 63,
    "ecog": 1,
    "life_expectancy_months": 8.5,
    "pregnancy": "not_applicable",
    "immune_state": "competent",
    "chronic_liver_disease": True,
    "cirrhosis": True,
    "ascites": "mild",
    "encephalopathy": "none",
    "hepatitis_b": {"viral_load": "undetectable", "iu_per_ml": 0, "date": "2024-02-29"},
    "hepatitis_c": {"viral_load": "never_infected"},
    "drugs": [{"name": "aciclovir", "class": "antiviral"}],
    "allergies": ["penicillin"],
    "labs": {
        "inr": {"value": 1.2, "unit": "ratio", "date": "2024-03-01"},
        "platelets": {"value": 140, "unit": "1e9_per_l"},
        "fibrinogen": {"value": 210, "unit": "mg_per_dl"},
        "bilirubin": {"value": 18, "unit": "umol_per_l"},
        "albumin": {"value": 3.8, "unit": "g_per_dl"},
        "haemoglobin": {"value": 118, "unit": "g_per_l"},
    },
}


def accepts(document: Any) -> bool:
    try:
        PatientFacts.from_mapping(document)
    except FactsError:
        return False
    return True


def places(node: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    found = [path]
    items = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for key, value in items:
        found += places(value, (*path, key))
    return found


def put(path: tuple[Any, ...], value: Any) -> Any:
    if not path:
        return value
    document = copy.deepcopy(FULL)
    node = document
    for key in path[:-1]:
        node = node[key]
    node[path[-1]] = value
    return document


ODD: list[Any] = [
    None, True, False, 0, -1, 1.0, 1.5, 63, 1e13, 150_000, "", "x", "none", "pregnant", "ratio", "per_ul",
    "g_per_l", "2024-02-30", "2024-13-01", "24-01-01", "2024-01-01T00:00", "x" * 101, [], {}, [1],
    {"value": 1}, {"value": 1, "unit": "ratio"}, {"value": 5, "unit": "per_ul"},
    {"viral_load": "detectable", "extra": 1}, ["a"] * 201,
]  # fmt: skip


@pytest.mark.requirement("A-elig-schema")
def test_the_schema_is_itself_valid_and_every_field_is_optional() -> None:
    Draft202012Validator.check_schema(SCHEMA)
    assert "required" not in SCHEMA and SCHEMA["additionalProperties"] is False
    assert accepts({}) and accepts(FULL) and REFERENCE.is_valid(FULL)
    assert set(FULL) == set(SCHEMA["properties"])


@pytest.mark.requirement("A-elig-schema")
@pytest.mark.parametrize("path", places(FULL), ids=str)
def test_schema_and_reader_agree_on_odd_values_at_every_place(path: tuple[Any, ...]) -> None:
    verdicts = {
        json.dumps(value): (accepts(put(path, value)), REFERENCE.is_valid(put(path, value))) for value in ODD
    }
    assert {key: pair for key, pair in verdicts.items() if pair[0] != pair[1]} == {}


@pytest.mark.requirement("A-elig-schema")
@settings(deadline=None, max_examples=150, derandomize=True)
@given(
    st.sampled_from(places(FULL)),
    st.recursive(
        st.none()
        | st.booleans()
        | st.integers(-10, 10_000)
        | st.floats(allow_nan=False, allow_infinity=False)
        | st.sampled_from([value for value in ODD if isinstance(value, str)])
        | st.text(max_size=4),
        lambda inner: (
            st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["value", "unit", "x"]), inner)
        ),
        max_leaves=5,
    ),
)
def test_schema_and_reader_agree_on_random_documents(path: tuple[Any, ...], value: Any) -> None:
    document = put(path, value)
    assert accepts(document) == REFERENCE.is_valid(document)


@pytest.mark.requirement("A-elig-schema")
@pytest.mark.parametrize(
    "document",
    [
        {"age_years": "Jane Roe"},
        {"Jane Roe": 1},
        {"pregnancy": "Jane Roe"},
        {"allergies": ["Jane Roe" * 20]},
        {"labs": {"inr": {"value": 1, "unit": "Jane Roe"}}},
        {"hepatitis_b": {"viral_load": "detectable", "date": "Jane Roe"}},
    ],
)
def test_a_refusal_never_repeats_a_text_of_the_file(document: dict[str, Any]) -> None:
    with pytest.raises(FactsError) as refusal:
        PatientFacts.from_mapping(document)
    assert (
        "Jane" not in str(refusal.value)
        and refusal.value.where.startswith("patient facts")
        and refusal.value.action
    )


@pytest.mark.requirement("A-elig-schema")
@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_numbers_that_are_none_are_refused(value: float) -> None:
    assert not accepts({"labs": {"inr": {"value": value, "unit": "ratio"}}})
    assert not accepts({"life_expectancy_months": value})


@pytest.mark.requirement("A-elig-units")
@pytest.mark.parametrize(
    ("name", "value", "unit"),
    [("platelets", 150_000, "1e9_per_l"), ("platelets", 150, "per_ul"), ("albumin", 3.8, "g_per_l"),
     ("albumin", 38, "g_per_dl"), ("fibrinogen", 210, "g_per_l"), ("bilirubin", 200, "mg_per_dl"),
     ("haemoglobin", 1.18, "g_per_l")],
)  # fmt: skip
def test_a_value_in_the_wrong_unit_is_caught(name: str, value: float, unit: str) -> None:
    with pytest.raises(FactsError, match=name):
        PatientFacts.from_mapping({"labs": {name: {"value": value, "unit": unit}}})
