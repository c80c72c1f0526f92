"""The needle table: right fields, and numbers that follow from the cited ones."""

from __future__ import annotations

import dataclasses
import math
import tomllib
from typing import Any

import pytest

from hepatica.core.evidence import EvidenceStatus, read_resource
from hepatica.planning.path.values import Needle

# Public needle gauge comparison chart: nominal outer and inner diameter of regular-wall tubing, mm.
CHART_MM = {20: (0.9081, 0.603), 21: (0.8192, 0.514), 22: (0.7176, 0.413)}
HUB_DEAD_SPACE_ML = 0.05
"""Measured for 21 G and 23 G needles, doi 10.1016/j.vaa.2021.01.008."""
ROUNDING_MM = 0.0005
"""The table rounds diameters to 0.001 mm."""


def needles() -> dict[str, dict[str, Any]]:
    document = tomllib.loads(read_resource("hepatica.planning.tables", "needles.toml").decode())
    return {key: row for key, row in document.items() if isinstance(row, dict)}


def test_every_row_is_a_needle_and_says_where_it_comes_from() -> None:
    # Positions of side holes are the user's own data: the packaged needles have none.
    fields = {field.name for field in dataclasses.fields(Needle)} - {"hole_offsets_mm"}
    rows = needles()
    assert len(rows) >= 6
    for row in rows.values():
        assert set(row) == fields
        needle = Needle(**{**row, "status": EvidenceStatus(row["status"])})
        assert needle.source and needle.holes in {"end", "multi-side"}


@pytest.mark.parametrize("key", sorted(needles()))
def test_diameter_and_dead_space_follow_from_the_cited_chart_and_measurement(key: str) -> None:
    row = needles()[key]
    outer_mm, inner_mm = CHART_MM[row["gauge"]]
    assert abs(row["outer_diameter_mm"] - outer_mm) <= ROUNDING_MM
    lumen_ml = math.pi / 4 * inner_mm**2 * row["length_mm"] / 1000
    exact_ml = HUB_DEAD_SPACE_ML + lumen_ml
    assert exact_ml <= row["dead_space_ml"] < exact_ml + 0.01


def test_a_thicker_or_longer_needle_never_holds_less() -> None:
    rows = [row for row in needles().values() if row["holes"] == "end"]
    for one in rows:
        for other in rows:
            if one["gauge"] >= other["gauge"] and one["length_mm"] <= other["length_mm"]:
                assert one["dead_space_ml"] <= other["dead_space_ml"]
