"""Every row of the transport part of the analytic suite, with its printed error."""

import math
import sys

import numpy as np
import pytest

from hepatica.planning.spread import closed_forms
from hepatica.planning.spread import verify_transport as suite
from hepatica.planning.spread.transport import Kinetics, sweep_particles


@pytest.mark.requirement("C-B-CASES")
@pytest.mark.parametrize(
    ("part", "rows"),
    [(suite.verify_fronts, 6), (suite.verify_removal, 2), (suite.verify_order, 1), (suite.verify_binding, 2)],
)
def test_fronts_and_balances_agree_with_exact_answers(part, rows):
    found = list(part())
    for row in found:
        sys.stdout.write(
            f"{row.case:<5} {row.quantity:<60} {row.computed:.5g} (expected {row.expected:.5g}, error {row.error:.2e}, allowed {row.tolerance:g})\n"
        )
    assert len(found) == rows
    assert [row.quantity for row in found if not row.passed] == []


@pytest.mark.requirement("C-B-CASES")
def test_fast_reversible_binding_retards_the_front_as_much_as_its_equilibrium_says():
    retardation, sites = 3.0, 1e4
    detach = 1.0
    attach = (retardation - 1) * suite.POROSITY * detach / sites
    flow, r = suite.build_radial_flow(0.8)
    porosity = np.full(r.shape, suite.POROSITY)
    swept = sweep_particles(
        flow, porosity=porosity, time_s=suite.VOLUME / suite.FLOW, steps=100,
        kinetics=Kinetics(attach_per_s=attach, detach_per_s=detach, sites=sites),
    )  # fmt: skip
    half = swept.free_mm3 / (porosity * 0.8**3) >= 0.5
    radius = (3 * half.sum() * 0.8**3 / (4 * math.pi)) ** (1 / 3)
    exact = closed_forms.front_radius_mm(suite.VOLUME, porosity=suite.POROSITY, retardation=retardation)
    sys.stdout.write(f"B5 by binding: {radius:.4f} mm, exact {exact:.4f} mm\n")
    # The front of 4.6 mm has fewer than six cells of 0.8 mm along its radius.
    assert radius == pytest.approx(exact, rel=0.05)
    assert swept.imbalance_fraction < suite.BALANCE
