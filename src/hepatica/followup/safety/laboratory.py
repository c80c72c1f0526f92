"""Laboratory grades of CTCAE v5 with the baseline rule.

An abnormal baseline turns multiples of the upper limit of normal into multiples of the baseline; without a
baseline a raised value cannot be graded, and the upper limit never stands in for it.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite
from typing import Final

from hepatica.core.errors import InputError, NotFoundError
from hepatica.core.evidence import Evidence, EvidenceTable, read_evidence_table
from hepatica.core.findings import NotEvaluable
from hepatica.followup.target import TABLES

SCALE: Final = "CTCAE v5.0"
NO_BASELINE: Final = NotEvaluable(reason="cannot grade: no baseline value")
NO_LIMIT: Final = NotEvaluable(reason="cannot grade: the laboratory's limit of normal is not given")
BASELINE_TESTS: Final = ("alt", "ast", "alp", "ggt", "bilirubin")
"""Tests whose grades switch to multiples of an abnormal baseline."""
TESTS: Final = (
    *BASELINE_TESTS,
    "inr",
    "creatinine",
    "platelets",
    "neutrophils",
    "lymphocytes",
    "haemoglobin",
    "fibrinogen",
)
MOST_GRADES: Final = 4
WORST_BY_BASELINE: Final = 3
"""Creatinine: a multiple of the baseline gives no more than this."""
RATIO_TOLERANCE: Final = 1e-9
"""Slack of a comparison: 3.6 / 1.2 is 3.0000000000000004 in binary and is not above 3."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LabValue:
    """One laboratory result with its limits of normal, all in one unit.

    Parameters
    ----------
    test
        One of `TESTS`.
    value
        Result: U/L, umol/L, 10^9/L, g/L, or a ratio for the INR. Counts and haemoglobin in these units only.
    upper, lower
        Limits of normal of the laboratory; None where not given.
    baseline
        Result before treatment; None where there is none.
    baseline_upper
        Upper limit of normal that came with the baseline; None where it is that of the result.
    """

    test: str
    value: float
    upper: float | None = None
    lower: float | None = None
    baseline: float | None = None
    baseline_upper: float | None = None

    def __post_init__(self) -> None:
        """Refuse an unknown test and numbers that cannot be."""
        if self.test not in TESTS:
            raise NotFoundError(expected=f"one of {', '.join(TESTS)}", given=f"'{self.test}'", where=SCALE)
        for name in ("value", "upper", "lower", "baseline", "baseline_upper"):
            number = getattr(self, name)
            if number is not None and not (isfinite(number) and number >= 0):
                raise InputError(expected="a finite number of 0 or more", given=f"{number:g}", where=name)
        if self.lower is not None and self.upper is not None and self.lower > self.upper:
            raise InputError(
                expected="a lower limit of normal at or below the upper one",
                given=f"{self.lower:g} and {self.upper:g}",
                where="limits of normal",
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Grade:
    """A grade with the limit that gave it.

    Parameters
    ----------
    grade
        0 for none, to 4. Grades that rest on symptoms or treatment are not laboratory grades.
    scale
        Name and version of the scale.
    limit
        The limit that was reached; None for grade 0.
    rule
        What the value was compared with.
    """

    grade: int
    scale: str
    limit: Evidence | None
    rule: str


def grade_laboratory(result: LabValue, *, table: EvidenceTable | None = None) -> Grade | NotEvaluable:
    """Grade one laboratory result.

    Parameters
    ----------
    result
        Value with limits and baseline.
    table
        Table ``ctcae.toml``, or another version of it.

    Returns
    -------
    grade
        Or why it cannot be graded.

    Examples
    --------
    >>> grade_laboratory(LabValue(test="alt", value=240.0, upper=40.0, baseline=30.0)).grade
    3
    >>> grade_laboratory(LabValue(test="alt", value=240.0, upper=40.0, baseline=80.0)).grade
    1
    >>> str(grade_laboratory(LabValue(test="alt", value=240.0, upper=40.0)))
    'not evaluable: cannot grade: no baseline value'
    """
    limits = table or read_evidence_table(TABLES, "ctcae.toml")
    if result.test in BASELINE_TESTS:
        return _grade_by_baseline(result, limits)
    if result.test == "creatinine":
        return _grade_creatinine(result, limits)
    reached: tuple[int, Evidence] | None = None
    for grade, limit in _list_limits(limits, result.test):
        compared = _scale(result, limit)
        if isinstance(compared, NotEvaluable):
            return compared
        if _is_reached(compared, limit):
            reached = grade, limit
    absolute = limits.entries.get(f"{result.test}_4_absolute")
    if absolute is not None and _is_reached(result.value, absolute):
        reached = 4, absolute
    return _to_grade(reached, rule="limits of normal and absolute values")


def _grade_by_baseline(result: LabValue, limits: EvidenceTable) -> Grade | NotEvaluable:
    if result.upper is None or result.upper == 0:
        return NO_LIMIT
    if result.value <= result.upper:
        # At or below normal there is no grade, whatever the baseline was.
        return _to_grade(None, rule="within normal")
    if result.baseline is None:
        return NO_BASELINE
    abnormal = result.baseline > (result.baseline_upper or result.upper)
    ratio = result.value / (result.baseline if abnormal else result.upper)
    reached = None
    for grade, limit in _list_limits(limits, result.test, ending="_abnormal_baseline" if abnormal else ""):
        if _is_reached(ratio, limit):
            reached = grade, limit
    return _to_grade(
        reached, rule="multiples of the abnormal baseline" if abnormal else "multiples of normal"
    )


def _grade_creatinine(result: LabValue, limits: EvidenceTable) -> Grade | NotEvaluable:
    if result.upper is None or result.upper == 0:
        return NO_LIMIT
    reached = None
    for grade, limit in _list_limits(limits, result.test):
        if _is_reached(result.value / result.upper, limit):
            reached = grade, limit
    if reached is not None and reached[0] >= WORST_BY_BASELINE:
        return _to_grade(reached, rule="multiples of normal")
    if result.baseline is None or result.baseline == 0:
        return NO_BASELINE
    for grade in (3, 2):
        by_baseline = limits[f"creatinine_{grade}_baseline"]
        if grade > (reached[0] if reached else 0) and _is_reached(
            result.value / result.baseline, by_baseline
        ):
            return _to_grade((grade, by_baseline), rule="multiples of the baseline")
    return _to_grade(reached, rule="multiples of normal")


def _list_limits(limits: EvidenceTable, test: str, *, ending: str = "") -> list[tuple[int, Evidence]]:
    keys = ((grade, f"{test}_{grade}{ending}") for grade in range(1, MOST_GRADES + 1))
    return [(grade, limits[key]) for grade, key in keys if key in limits.entries]


def _scale(result: LabValue, limit: Evidence) -> float | NotEvaluable:
    if limit.unit != "lln_ratio":
        return result.value
    if result.lower is None or result.lower == 0:
        return NO_LIMIT
    return result.value / result.lower


def _is_reached(value: float, limit: Evidence) -> bool:
    number = limit.number
    return {
        ">": value > number + RATIO_TOLERANCE,
        ">=": value >= number - RATIO_TOLERANCE,
        "<": value < number - RATIO_TOLERANCE,
        "<=": value <= number + RATIO_TOLERANCE,
    }[limit.edge]


def _to_grade(reached: tuple[int, Evidence] | None, *, rule: str) -> Grade:
    grade, limit = reached if reached is not None else (0, None)
    return Grade(grade=grade, scale=SCALE, limit=limit, rule=rule)
