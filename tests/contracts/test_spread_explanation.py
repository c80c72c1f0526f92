"""The derivations of the explanation page run as they stand, and agree with the program's formulas."""

import doctest
import math
import re
from pathlib import Path

import pytest

from hepatica.planning.spread import backflow, closed_forms

PAGE = Path(__file__).parents[2] / "docs" / "explanation" / "spread.md"


@pytest.mark.requirement("C-DERIVED")
def test_the_derivations_of_b9_b11_and_b13_on_the_page_compute_what_the_page_says():
    text = PAGE.read_text(encoding="utf-8")
    code = text.replace("```python", "").replace("```", "")
    found = doctest.DocTestParser().get_doctest(code, {}, "spread.md", str(PAGE), 0)
    assert len(found.examples) > 25
    results = doctest.DocTestRunner().run(found)
    assert results.failed == 0
    assert "hepatica" not in "".join(example.source for example in found.examples)


@pytest.mark.requirement("C-DERIVED")
def test_the_pages_numbers_are_those_of_the_program():
    text = PAGE.read_text(encoding="utf-8")
    wall = closed_forms.poroelastic_displacement_mm(
        0.36, flow=0.02 / 60, conductivity=1e-4, shear_kpa=2.0, lame_kpa=6.0, cavity_mm=0.36
    )
    assert float(re.search(r"u\(a\) ([\d.]+) um", text)[1]) == pytest.approx(float(wall) * 1e3, rel=3e-4)
    widened = closed_forms.lower_kirchhoff(
        0.1e3 / 60 / (4 * math.pi * 1e-4), exponent=5.0, aggregate_kpa=10.0
    )
    assert float(re.search(r"M 5: ([\d.]+) kPa", text)[1]) == pytest.approx(float(widened), rel=1e-4)
    gap = backflow.derive_gap_constant(needle_radius_mm=0.36, shear_kpa=2.0, viscosity_kpa_s=0.7e-6)
    length = backflow.similarity_length_mm(0.1e3 / 60, gap=gap, leak=1e-3)
    assert float(re.search(r"L ([\d.]+) m, p0", text)[1]) == pytest.approx(length / 1000, rel=1e-4)
    assert pytest.approx(1.3876, abs=5e-5) == backflow.SIMILARITY_CONSTANT
