"""Closed forms against the worked numbers of the research note and against independent numerical solutions."""

import math
import sys

import numpy as np
import pytest
from scipy import integrate

from hepatica.planning.spread import closed_forms as forms
from hepatica.planning.spread.backflow import (
    Track,
    derive_gap_constant,
    measure_backflow,
    similarity_length_mm,
    similarity_tip_pressure_kpa,
)

WORKED = 1e-4
"""Worked numbers are printed with five digits."""
ODE = 1e-6
"""Relative tolerance of the boundary-value solver is 1e-8; its error adds up over the mesh."""
Q, K = 0.1 * 1000 / 60, 1e-4  # 0.1 mL/min and 1e-13 m2/(Pa s) in mm, kPa, s


def _report(name, got, expected, tolerance):
    error = abs(got / expected - 1)
    sys.stdout.write(
        f"{name:<28} expected {expected:<12.6g} got {got:<12.6g} relative error {error:.1e}" + "\n"
    )
    assert error < tolerance


@pytest.mark.requirement("C-B-CASES")
@pytest.mark.parametrize(
    ("name", "got", "expected"),
    [
        ("B1 1 mm", forms.sphere_source_pressure(1.0, flow=Q, conductivity=K, exchange_length_mm=math.inf), 1326.3),
        ("B2 1 mm", forms.sphere_source_pressure(1.0, flow=Q, conductivity=K, exchange_length_mm=math.sqrt(K / 4.2004e-4)), 170.83),
        ("B2 2 mm", forms.sphere_source_pressure(2.0, flow=Q, conductivity=K, exchange_length_mm=math.sqrt(K / 4.2004e-4)), 11.002),
        ("B3 2 mm", forms.sphere_source_pressure(2.0, flow=Q, conductivity=K, exchange_length_mm=math.sqrt(K / 4.2004e-4), cavity_mm=1.0), 28.010),
        ("B3 passing 5 mm", forms.passing_fraction(5.0, exchange_length_mm=math.sqrt(K / 4.2004e-4), cavity_mm=1.0), 0.0010151),
        ("B4 4 mL", forms.front_radius_mm(4000.0, porosity=0.2), 16.839),
        ("B5 R 3", forms.front_radius_mm(1000.0, porosity=0.2, retardation=3.0), 7.3551),
        ("B6 5 mm, min", forms.front_time_s(5.0, flow=Q, porosity=0.2, exchange_length_mm=math.sqrt(K / 4.2004e-4)) / 60, 687.4),
        ("B7 5 mm", forms.removal_profile(5.0, flow=Q, porosity=0.2, rate_per_s=1e-3), 0.93910),
        ("B8 centre, 1/m3", forms.diffusion_profile(0.0, diffusivity=1e-4, time_s=3600.0) * 1e9, 1.0393e8),
        ("B8 inside 1 mm", forms.diffusion_inside(1.0, diffusivity=1e-4, time_s=3600.0), 0.29186),
        ("B9 wall, um", forms.poroelastic_displacement_mm(0.36, flow=0.02 / 60, conductivity=K, shear_kpa=2.0, lame_kpa=6.0, cavity_mm=0.36) * 1e3, 33.16),
        ("B10 2 mm", forms.consolidation_pressure(2.0, flow=1.0 / 60, conductivity=K, aggregate_kpa=10.0, time_s=1000.0), 1.0431),
        ("B11 M 5, 1 mm", forms.lower_kirchhoff(Q / (4 * math.pi * K), exponent=5.0, aggregate_kpa=10.0), 12.997),
        ("B11 M 2, 5 mm", forms.lower_kirchhoff(Q / (4 * math.pi * K * 5), exponent=2.0, aggregate_kpa=10.0), 19.950),
        ("B12 0.9 R of 2 mm", forms.isolated_tumour_pressure(1.8, tumour_mm=2.0, exchange_length_mm=math.sqrt(3.1e-5 / 4.2004e-4)), 0.46786),
        ("B12 0.9 R of 10 mm", forms.isolated_tumour_pressure(9.0, tumour_mm=10.0, exchange_length_mm=math.sqrt(3.1e-5 / 4.2004e-4)), 0.97200),
        ("B14 22 G, kPa", forms.needle_drop_kpa(flow=1000 / 60, inner_mm=0.413, length_mm=150.0, viscosity_kpa_s=0.7e-6), 2.451),
        ("B15 5 mm, s", forms.consolidation_time_s(5.0, conductivity=K, aggregate_kpa=10.0), 25000.0),
    ],
)  # fmt: skip
def test_closed_forms_give_the_worked_numbers(name, got, expected):
    _report(name, float(got), expected, 3e-4)


@pytest.mark.requirement("C-B-CASES")
def test_b9_displacement_solves_elastic_equilibrium_found_by_quadrature_from_stress():
    flow, shear, lame, a = 0.02 / 60, 2.0, 6.0, 0.36
    h = lame + 2 * shear
    # Independent route: integrate (u' + 2u/r)' = p'/H outward in u and its divergence, with the wall condition
    # H u' + 2 lambda u / r = 0 and divergence p/H + constant; u bounded by Q / (8 pi K H) far away.

    def equations(r, y):
        return [y[1] - 2 * y[0] / r, -flow / (4 * math.pi * K * h) / r**2]

    start = float(
        forms.poroelastic_displacement_mm(
            a, flow=flow, conductivity=K, shear_kpa=shear, lame_kpa=lame, cavity_mm=a
        )
    )
    divergence = start * 2 / a * (1 - lame / h)  # from the wall condition
    done = integrate.solve_ivp(
        equations, (a, 50.0), [start, divergence], rtol=1e-11, atol=1e-14, dense_output=True
    )
    r = np.array([0.5, 1.0, 5.0, 20.0])
    expected = forms.poroelastic_displacement_mm(
        r, flow=flow, conductivity=K, shear_kpa=shear, lame_kpa=lame, cavity_mm=a
    )
    for at, want, have in zip(r, expected, done.sol(r)[0]):
        _report(f"B9 at {at} mm", float(have), float(want), ODE)
    # The constant of the divergence is right only if it dies out far away.
    assert done.y[1, -1] == pytest.approx(flow / (4 * math.pi * K * h * 50.0), rel=1e-5)


@pytest.mark.requirement("C-B-CASES")
def test_b11_potential_carries_the_same_flow_through_strain_dependent_tissue():
    exponent, h = 5.0, 10.0
    r = np.linspace(1.0, 5.0, 4001)
    p = forms.lower_kirchhoff(Q / (4 * math.pi * K * r), exponent=exponent, aggregate_kpa=h)
    flux = -4 * math.pi * r**2 * K * np.exp(exponent * p / h) * np.gradient(p, r, edge_order=2)
    error = np.abs(flux[5:-5] / Q - 1).max()
    sys.stdout.write(f"B11 flow through each shell: largest relative error {error:.1e}" + "\n")
    assert error < 1e-4  # second-order differences on steps of 1 micrometre near 1 mm
    assert forms.raise_kirchhoff(float(p[0]), exponent=exponent, aggregate_kpa=h, cap=50.0) == pytest.approx(
        Q / (4 * math.pi * K), rel=1e-12
    )
    assert float(forms.lower_kirchhoff(3.0, exponent=1e-9, aggregate_kpa=h)) == pytest.approx(3.0, rel=1e-9)


@pytest.mark.requirement("C-B-CASES")
def test_b13_backflow_gives_the_worked_numbers():
    gap = derive_gap_constant(needle_radius_mm=0.36, shear_kpa=2.0, viscosity_kpa_s=0.7e-6)
    _report("B13 a, mm4/(kPa4 s)", gap, 1.96305e-22 * 1e24, WORKED)
    length = similarity_length_mm(Q, gap=gap, leak=1e-3)
    _report("B13 L, m", length / 1000, 1.36131, WORKED)
    _report("B13 p0, Pa", similarity_tip_pressure_kpa(length, gap=gap, leak=1e-3) * 1000, 2040.5, WORKED)


def _solve_track(gap, leak, p0, depth):
    """Shoot a (p^3 p')' = g p from the open end (p = 0) in u = p^4: an independent numerical route."""

    def shoot(out):
        # At the end u = 4 out s / a for distance s from it.
        s0 = 1e-6 * depth
        done = integrate.solve_ivp(
            lambda s, y: [y[1], 4 * leak / gap * max(y[0], 0.0) ** 0.25],
            (s0, depth),
            [4 * out * s0 / gap, 4 * out / gap],
            rtol=1e-10,
            atol=1e-16,
        )
        return done.y[0, -1], gap * done.y[1, -1] / 4

    from scipy.optimize import brentq

    high = gap * p0**4 / (4 * depth)
    out = brentq(lambda x: shoot(x)[0] / p0**4 - 1, high * 1e-9, high, rtol=1e-12)
    return out, shoot(out)[1]


@pytest.mark.requirement("C-B-CASES")
@pytest.mark.parametrize("tightness", [0.02, 0.08, 0.12, 0.3])
def test_b13_a_track_that_ends_at_the_capsule_agrees_with_a_shooting_solution(tightness):
    track = Track(needle_radius_mm=0.36, depth_in_lesion_mm=10.0, depth_in_liver_mm=40.0)
    p0, conductivity = 5.0, 1e-3
    gap = derive_gap_constant(
        needle_radius_mm=0.36, shear_kpa=5.0, viscosity_kpa_s=0.7e-6, gap_fraction=tightness
    )
    back = measure_backflow(p0, track=track, gap=gap, conductivity=conductivity)
    length = min(back.length_mm, 40.0)
    leak = 2 * math.pi * conductivity / math.log(2 * length / 0.36)
    if back.outside_mm3_per_s == 0:
        _report("B13 dies within, flow", back.flow_mm3_per_s, 2 / 3 * gap * p0**4 / back.length_mm, 1e-9)
        _report(
            "B13 dies within, length",
            similarity_length_mm(back.flow_mm3_per_s, gap=gap, leak=leak),
            back.length_mm,
            1e-6,
        )
        return
    out, flow = _solve_track(gap, leak, p0, 40.0)
    _report("B13 open, flow", back.flow_mm3_per_s, flow, 2e-4)
    _report("B13 open, outside", back.outside_mm3_per_s, out, 2e-3)


def test_the_tightest_track_closes_within_the_depth_and_the_widest_stays_open():
    track = Track(needle_radius_mm=0.36, depth_in_lesion_mm=10.0, depth_in_liver_mm=40.0)
    outside = []
    for tightness in (0.005, 0.2, 1.0):
        gap = derive_gap_constant(
            needle_radius_mm=0.36, shear_kpa=5.0, viscosity_kpa_s=0.7e-6, gap_fraction=tightness
        )
        back = measure_backflow(5.0, track=track, gap=gap, conductivity=1e-3)
        parts = back.into_lesion_mm3_per_s + back.into_liver_mm3_per_s + back.outside_mm3_per_s
        assert parts == pytest.approx(back.flow_mm3_per_s, rel=1e-12)
        outside.append(back.outside_mm3_per_s)
    assert outside[0] == 0 < outside[1] < outside[2]


def test_spheroid_forms_have_the_limits_of_a_disc_and_a_sphere():
    assert forms.spheroid_conductance_mm(3.0, 1e-6) == pytest.approx(24.0, rel=1e-6)
    assert forms.spheroid_conductance_mm(3.0, 3.0 * (1 - 1e-7)) == pytest.approx(12 * math.pi, rel=1e-6)
    assert forms.spheroid_surface_mm2(3.0, 1e-4) == pytest.approx(18 * math.pi, rel=1e-6)
    assert forms.spheroid_surface_mm2(3.0, 3.0 * (1 - 1e-7)) == pytest.approx(36 * math.pi, rel=1e-6)
