"""The T-VEC label table, the implied fractions, and the PV-10 cap, against tables made by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from hepatica.planning.dose.allocate import allocate_dose
from hepatica.planning.dose.protocol import read_protocol
from hepatica.planning.dose.values import DoseLesion

UP, DOWN = math.inf, -math.inf
STEP_MM = 0.001
"""A thousandth of a millimetre: far below what any scan resolves."""
FRACTION_TOLERANCE = 0.02
"""The published fractions are rounded to two or three digits."""
CLOSURE_ML = 1e-9


def volume_of(longest_mm: float, volume_ml: float = 500.0, name: str = "tvec-label") -> float:
    lesion = DoseLesion(lesion_id="L1", longest_diameter_mm=longest_mm, volume_ml=volume_ml)
    return allocate_dose([lesion], protocol=read_protocol(name), visit=1).injections[0].volume_ml


# Made by hand from the label: longest dimension in cm, mL at and just below it, mL just above it.
EDGES = [(0.5, 0.1, 0.5), (1.5, 0.5, 1.0), (2.5, 1.0, 2.0), (5.0, 2.0, 4.0)]


@pytest.mark.requirement("A-dose-edges")
@pytest.mark.parametrize(("edge_cm", "below_ml", "above_ml"), EDGES)
def test_the_label_table_is_exact_at_and_just_beside_each_edge(
    edge_cm: float, below_ml: float, above_ml: float
) -> None:
    edge_mm = edge_cm * 10
    assert volume_of(edge_mm) == below_ml
    assert volume_of(float(np.nextafter(edge_mm, DOWN))) == below_ml
    assert volume_of(edge_mm - STEP_MM) == below_ml
    assert volume_of(float(np.nextafter(edge_mm, UP))) == above_ml
    assert volume_of(edge_mm + STEP_MM) == above_ml


# Implied share of a sphere of that diameter: diameter in cm, share in percent as published in the notes.
SHARES = [(0.5, 153.0), (1.5, 28.0), (2.5, 12.0), (5.0, 3.1), (math.nextafter(5.0, UP), 6.1), (8.0, 1.5)]


@pytest.mark.requirement("A-dose-edges")
@pytest.mark.parametrize(("diameter_cm", "percent"), SHARES)
def test_the_label_volume_is_the_known_share_of_a_sphere(diameter_cm: float, percent: float) -> None:
    sphere_ml = math.pi / 6 * diameter_cm**3
    assert volume_of(diameter_cm * 10) / sphere_ml * 100 == pytest.approx(percent, rel=FRACTION_TOLERANCE)


@pytest.mark.requirement("A-dose-families")
@pytest.mark.parametrize(("cohort", "amount", "cap_ml"), [("cohort-1", 0.25, 7.5), ("cohort-2", 0.5, 15.0)])
def test_both_pv10_caps_bind_at_30_cm3_a_sphere_of_3_86_cm(cohort: str, amount: float, cap_ml: float) -> None:
    name = f"pv10-liver:{cohort}"
    assert volume_of(38.6, 30.0, name) == cap_ml
    assert volume_of(38.6, 29.0, name) == pytest.approx(29.0 * amount)
    assert volume_of(38.6, 31.0, name) == cap_ml
    assert (6 * 30 / math.pi) ** (1 / 3) == pytest.approx(3.86, abs=0.005)


@pytest.mark.requirement("A-dose-families")
def test_ethanol_fills_a_sphere_with_half_a_centimetre_margin() -> None:
    rule = read_protocol("ethanol-pei").rule
    lesion = DoseLesion(lesion_id="L1", longest_diameter_mm=20.0, volume_ml=4.2)
    volume = rule.derive_volumes([lesion], concentration=None)[0].volume
    assert float(volume) == pytest.approx(4 / 3 * math.pi * 1.5**3, abs=CLOSURE_ML)


@pytest.mark.requirement("A-dose-strength")
def test_the_ceiling_is_four_million_units_first_and_four_hundred_million_after() -> None:
    lesion = DoseLesion(lesion_id="L1", longest_diameter_mm=60, volume_ml=100, is_new=False)
    protocol = read_protocol("tvec-label")
    doses = [
        allocate_dose([lesion], protocol=protocol, visit=visit).injections[0].dose_pfu
        for visit in (1, 2, 3, 9)
    ]
    assert doses == [4e6, 4e8, 4e8, 4e8]
