"""CTCAE v5 laboratory grades: every edge by hand, and the baseline rule."""

from __future__ import annotations

import pytest

from hepatica.core.errors import InputError, NotFoundError
from hepatica.core.findings import NotEvaluable
from hepatica.followup.safety.laboratory import SCALE, Grade, LabValue, grade_laboratory

# test | limits | value:grade at and beyond every edge
EDGES = """
alt | upper=40 baseline=40 | 40:0 40.1:1 120:1 120.1:2 200:2 200.1:3 800:3 800.1:4
ast | upper=40 baseline=100 | 149.9:0 150:1 300:1 300.1:2 500:2 500.1:3 2000:3 2000.1:4
alp | upper=100 baseline=90 | 100:0 100.1:1 250:1 250.1:2 500:2 500.1:3 2000:3 2000.1:4
ggt | upper=50 baseline=100 | 199.9:0 200:1 250:1 250.1:2 500:2 500.1:3 2000.1:4
bilirubin | upper=20 baseline=10 | 20:0 20.1:1 30:1 30.1:2 60:2 60.1:3 200:3 200.1:4
bilirubin | upper=20 baseline=40 | 40:0 40.1:1 60:1 60.1:2 120:2 120.1:3 400:3 400.1:4
inr |  | 1.2:0 1.21:1 1.5:1 1.51:2 2.5:2 2.51:3 9.0:3
platelets | lower=150 | 150:0 149:1 75:1 74.9:2 50:2 49.9:3 25:3 24.9:4
neutrophils | lower=2 | 2.0:0 1.9:1 1.5:1 1.49:2 1.0:2 0.99:3 0.5:3 0.49:4
lymphocytes | lower=1 | 1.0:0 0.9:1 0.8:1 0.79:2 0.5:2 0.49:3 0.2:3 0.19:4
haemoglobin | lower=130 | 130:0 129:1 100:1 99.9:2 80:2 79.9:3 40:3
fibrinogen | lower=4 | 4.0:0 3.9:1 3.0:1 2.9:2 2.0:2 1.9:3 1.0:3 0.9:4
fibrinogen | lower=1.5 | 0.5:3 0.49:4
creatinine | upper=100 baseline=80 | 100:0 100.1:1 120:1 120.1:2 240:2 240.1:3 600:3 600.1:4
creatinine | upper=100 baseline=120 | 120:1 150:1 150.1:2 300:2 300.1:3 600.1:4
creatinine | upper=100 baseline=60 | 60:0 90:0 90.1:2 180:2 180.1:3
"""
CASES = []
for line in EDGES.strip().splitlines():
    name, given, pairs = (part.strip() for part in line.split("|"))
    known = {key: float(number) for key, number in (word.split("=") for word in given.split())}
    CASES += [
        (name, known, float(value), int(grade)) for value, grade in (p.split(":") for p in pairs.split())
    ]


@pytest.mark.requirement("D-ctcae")
@pytest.mark.parametrize(("test", "limits", "value", "grade"), CASES)
def test_every_edge_gives_the_written_grade(test, limits, value, grade):
    found = grade_laboratory(LabValue(test=test, value=float(value), **limits))
    assert isinstance(found, Grade)
    assert (found.grade, found.scale) == (grade, SCALE)
    assert (found.limit is None) == (grade == 0)


@pytest.mark.requirement("D-ctcae-baseline")
def test_an_abnormal_baseline_is_not_over_called():
    normal = grade_laboratory(LabValue(test="alt", value=240.0, upper=40.0, baseline=30.0))
    abnormal = grade_laboratory(LabValue(test="alt", value=240.0, upper=40.0, baseline=80.0))
    assert (normal.grade, abnormal.grade) == (3, 1)
    assert "baseline" in abnormal.rule


@pytest.mark.requirement("D-ctcae-baseline")
@pytest.mark.parametrize("test", ["alt", "ast", "alp", "ggt", "bilirubin", "creatinine"])
def test_without_a_baseline_a_raised_value_cannot_be_graded(test):
    found = grade_laboratory(LabValue(test=test, value=150.0, upper=100.0))
    assert isinstance(found, NotEvaluable)
    assert "no baseline" in found.reason


@pytest.mark.requirement("D-ctcae-baseline")
@pytest.mark.parametrize("test", ["alt", "platelets", "fibrinogen", "creatinine"])
def test_without_a_limit_of_normal_nothing_is_graded(test):
    assert isinstance(grade_laboratory(LabValue(test=test, value=10.0, baseline=10.0)), NotEvaluable)


def test_a_limit_met_exactly_is_met_in_spite_of_binary_fractions():
    assert grade_laboratory(LabValue(test="bilirubin", value=3.6, upper=1.2, baseline=1.0)).grade == 2


def test_unknown_tests_and_impossible_numbers_are_refused():
    with pytest.raises(NotFoundError):
        LabValue(test="lipase", value=1.0)
    with pytest.raises(InputError):
        LabValue(test="alt", value=-1.0)
    with pytest.raises(InputError):
        LabValue(test="alt", value=50.0, lower=60.0, upper=40.0)
