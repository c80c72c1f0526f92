"""Values as they stand in a JSON document: rounded numbers, reasons in place of what cannot be judged, findings."""

from __future__ import annotations

import math
from collections.abc import Iterable
from enum import Enum
from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike

from hepatica.core.errors import NonFiniteError
from hepatica.core.evidence import Evidence
from hepatica.core.findings import Finding, NotEvaluable

NUMBER_DECIMALS: Final = 6
"""Numbers are rounded to a nanometre or a nanolitre: the last bits of a sum cannot change the document."""


def to_finding_rows(findings: Iterable[Finding]) -> list[dict[str, Any]]:
    """Return findings as rows."""
    return [
        {
            "rule": finding.rule,
            "severity": finding.severity.value,
            "message": finding.message,
            "measured": to_text_or_number(finding.measured),
            "limit": to_text_or_number(finding.limit),
            "unit": finding.unit,
            "source": finding.source,
            "status": None if finding.status is None else finding.status.value,
            "subject": finding.subject,
        }
        for finding in findings
    ]


def to_number(value: float) -> float:
    """Return a rounded number.

    Raises
    ------
    NonFiniteError
        If it is NaN or infinite.
    """
    number = float(value)
    if not math.isfinite(number):
        raise NonFiniteError(expected="a finite number", given=str(number), where="plan document")
    # Adding zero turns -0.0 into 0.0: one value, one text.
    return round(number, NUMBER_DECIMALS) + 0.0


def to_number_or_reason(value: float | NotEvaluable) -> float | dict[str, str]:
    """Return a rounded number, or why there is none."""
    return {"not_evaluable": value.reason} if isinstance(value, NotEvaluable) else to_number(value)


def to_value_or_reason(value: Any) -> Any:
    """Return a value as it is, or why there is none."""
    return {"not_evaluable": value.reason} if isinstance(value, NotEvaluable) else value


def to_text_or_number(value: float | str) -> float | str:
    """Return text, a truth value or a rounded number."""
    if isinstance(value, Enum):
        return str(value.value)
    return value if isinstance(value, str | bool) else to_number(value)


def to_point(point_lps_mm: ArrayLike) -> list[float]:
    """Return the three coordinates of a point."""
    return [to_number(c) for c in np.asarray(point_lps_mm, dtype=np.float64).reshape(3)]


def to_evidence(entry: Evidence) -> dict[str, Any]:
    """Return a piece of evidence with its source and status."""
    value = entry.value
    if isinstance(value, float) and not isinstance(value, bool) and not math.isfinite(value):
        raise NonFiniteError(expected="a finite number", given=str(value), where=entry.key)
    return {
        "key": entry.key,
        "value": value,
        "unit": entry.unit,
        "edge": entry.edge,
        "source": entry.source,
        "status": entry.status.value,
        "note": entry.note,
    }
