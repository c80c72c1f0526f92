"""Child-Pugh score and class from their five items, with bounds where items are missing."""

from __future__ import annotations

from dataclasses import dataclass

from hepatica.core.evidence import Evidence, EvidenceTable, read_evidence_table
from hepatica.core.findings import NotEvaluable
from hepatica.planning.eligibility.facts import LabValue, PatientFacts

_SIGNS = {
    "none": 1, "mild": 2, "moderate_or_severe": 3, "grade_1_or_2": 2, "grade_3_or_4": 3,
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class ChildPugh:
    """A Child-Pugh score, or its bounds.

    Parameters
    ----------
    points
        Points by item, for the items known.
    missing
        Items not known; each is worth 1 to 3 points.
    score
        Sum, or why it cannot be computed.
    lowest, highest
        Bounds of the score; equal where nothing is missing.
    grade
        ``A``, ``B`` or ``C``; NotEvaluable where the bounds fall into different classes.
    """

    points: dict[str, int]
    missing: tuple[str, ...]
    score: int | NotEvaluable
    lowest: int
    highest: int
    grade: str | NotEvaluable


def derive_child_pugh(facts: PatientFacts) -> ChildPugh:
    """Compute the score from bilirubin, albumin, INR, ascites and encephalopathy.

    Bilirubin is held against the limits of its own unit: 34 umol/L and 2 mg/dL are not the same number.

    Examples
    --------
    >>> facts = PatientFacts.from_mapping({"ascites": "none", "encephalopathy": "none", "labs": {
    ...     "bilirubin": {"value": 1.0, "unit": "mg_per_dl"}, "albumin": {"value": 41, "unit": "g_per_l"},
    ...     "inr": {"value": 1.1, "unit": "ratio"}}})
    >>> child_pugh = derive_child_pugh(facts)
    >>> child_pugh.score, child_pugh.grade
    (5, 'A')
    """
    table = read_evidence_table("hepatica.planning.tables", "eligibility.toml")
    items = {
        "bilirubin": _count_bilirubin(facts.labs.get("bilirubin"), table),
        "albumin": _count_lab(facts.labs.get("albumin"), table, "child_pugh_albumin"),
        "inr": _count_lab(facts.labs.get("inr"), table, "child_pugh_inr"),
        "ascites": _SIGNS.get(facts.ascites or ""),
        "encephalopathy": _SIGNS.get(facts.encephalopathy or ""),
    }
    points = {name: count for name, count in items.items() if count is not None}
    missing = tuple(name for name, count in items.items() if count is None)
    lowest = sum(points.values()) + len(missing)
    highest = sum(points.values()) + 3 * len(missing)
    grades = {_derive_grade(score, table) for score in (lowest, highest)}
    reason = f"not given: {', '.join(missing)}"
    return ChildPugh(
        points=points,
        missing=missing,
        score=lowest if not missing else NotEvaluable(reason=reason),
        lowest=lowest,
        highest=highest,
        grade=grades.pop() if len(grades) == 1 else NotEvaluable(reason=reason),
    )


def _derive_grade(score: int, table: EvidenceTable) -> str:
    if score <= table["child_pugh_class_a_max"].number:
        return "A"
    return "B" if score <= table["child_pugh_class_b_max"].number else "C"


def _count_bilirubin(lab: LabValue | None, table: EvidenceTable) -> int | None:
    if lab is None:
        return None
    unit = "umol" if lab.unit == "umol_per_l" else "mg"
    return _count_lab(lab, table, f"child_pugh_bilirubin_{unit}")


def _count_lab(lab: LabValue | None, table: EvidenceTable, key: str) -> int | None:
    if lab is None:
        return None
    one, two = table[f"{key}_1"], table[f"{key}_2"]
    value = lab.value_in(one.unit)
    if compare(value, one):
        return 1
    return 2 if compare(value, two) else 3


def compare(value: float, limit: Evidence) -> bool:
    """Whether a value meets a limit by the limit's edge convention."""
    match limit.edge:
        case "<":
            return value < limit.number
        case "<=":
            return value <= limit.number
        case ">":
            return value > limit.number
        case _:
            return value >= limit.number
