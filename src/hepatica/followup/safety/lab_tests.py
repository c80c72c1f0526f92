"""Laboratory tests by their code: CTCAE term and factors to the unit of the limits."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from types import MappingProxyType

from hepatica.core.evidence import read_resource


@dataclass(frozen=True, slots=True, kw_only=True)
class LabTest:
    """One laboratory test with CTCAE limits.

    Parameters
    ----------
    name
        Name in `hepatica.followup.safety.laboratory`.
    code
        LBTESTCD.
    term
        CTCAE term.
    units
        Factor to the unit of the limits, by unit; empty where ratios are graded and any unit serves.
    """

    name: str
    code: str
    term: str
    units: Mapping[str, float]


@cache
def read_lab_tests() -> Mapping[str, LabTest]:
    """Return the tests by code.

    Examples
    --------
    >>> read_lab_tests()["HGB"].units["g/dL"]
    10.0
    """
    document = tomllib.loads(read_resource("hepatica.followup.tables", "lab_tests.toml").decode("utf-8"))
    tests = (
        LabTest(
            name=name, code=entry["code"], term=entry["term"], units=MappingProxyType(entry.get("units", {}))
        )
        for name, entry in document.items()
        if isinstance(entry, dict)
    )
    return MappingProxyType({test.code: test for test in tests})
