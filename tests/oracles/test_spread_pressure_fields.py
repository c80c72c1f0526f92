"""Every row of the pressure part of the analytic suite, with its printed error."""

import sys

import pytest

from hepatica.planning.spread import verify_pressure as suite


@pytest.mark.requirement("C-B-CASES")
@pytest.mark.parametrize(
    ("part", "rows"),
    [
        (suite.verify_sources, 3),
        (suite.verify_sphere, 2),
        (suite.verify_transients, 2),
        (suite.verify_strain_and_tumour, 2),
        (suite.verify_manufactured, 3),
    ],
)
def test_pressure_fields_agree_with_exact_ones(part, rows):
    found = list(part())
    for row in found:
        sys.stdout.write(
            f"{row.case:<5} {row.quantity:<60} {row.computed:.4g} (error {row.error:.2e}, allowed {row.tolerance:g})\n"
        )
    assert len(found) == rows
    assert [row.quantity for row in found if not row.passed] == []


@pytest.mark.requirement("C-B-CASES")
def test_a_wrong_field_fails_the_suite(monkeypatch):
    exact = suite.closed_forms.sphere_source_pressure
    monkeypatch.setattr(suite.closed_forms, "sphere_source_pressure", lambda *a, **k: 1.03 * exact(*a, **k))
    assert not next(iter(suite.verify_sphere())).passed
