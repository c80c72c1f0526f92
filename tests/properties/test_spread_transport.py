import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hepatica.core.errors import GeometryError, InputError
from hepatica.planning.spread.pressure import build_pressure_operator, solve_pressure
from hepatica.planning.spread.transport import Kinetics, build_flow, measure_arrival, sweep_particles

BALANCE = 1e-12
"""Particles missing over injected: rounding of some thousand sums."""


def make_flow(n=16, seed=0, *, contrast=1e4, exchange=1e-6, rest=0.0, flow=0.1):
    rng = np.random.default_rng(seed)
    k = 1e-6 * contrast ** rng.random((n, n, n))
    k[rng.random(k.shape) < 0.05] = 0.0
    k[(n // 2,) * 3] = 1e-4
    exchanges = np.where(k > 0, exchange, 0.0)
    operator = build_pressure_operator(k, spacing_mm=(1, 1, 1), exchange_per_kpa_s=exchanges)
    source = np.zeros(k.shape)
    source[(n // 2,) * 3] = flow
    rests = np.full(k.shape, rest)
    p = solve_pressure(operator, source, rest_kpa=rests, tolerance=1e-10).require_converged().pressure_kpa
    return build_flow(operator, p, source_mm3_per_s=source, rest_kpa=rests), rng.uniform(0.05, 0.4, k.shape)


@pytest.mark.requirement("C-MASS")
@settings(deadline=None, max_examples=40, derandomize=True)
@given(
    seed=st.integers(0, 1000), exchange=st.sampled_from([0.0, 1e-6, 1e-3]), rest=st.sampled_from([0.0, 2.0]),
    reflection=st.floats(0, 1), decay=st.floats(0, 1e-2), attach=st.sampled_from([0.0, 1e-3, 10.0]), detach=st.floats(0, 1.0),
    inside=st.floats(0, 1.0), sites=st.floats(1e-3, 10), sieving=st.floats(0.1, 1.0), steps=st.integers(1, 30), time=st.floats(1.0, 1e4),
)  # fmt: skip
def test_every_particle_is_accounted_for_and_no_amount_is_negative(
    seed, exchange, rest, reflection, decay, attach, detach, inside, sites, sieving, steps, time
):
    flow, porosity = make_flow(10, seed, exchange=exchange, rest=rest)
    kinetics = Kinetics(
        decay_per_s=decay, attach_per_s=attach, detach_per_s=detach, inside_per_s=inside, sites=sites, sieving_fraction=sieving
    )  # fmt: skip
    swept = sweep_particles(
        flow, porosity=porosity, time_s=time, steps=steps, kinetics=kinetics, reflection=reflection
    )
    assert swept.imbalance_fraction < BALANCE
    assert swept.injected_mm3 == pytest.approx(0.1 * time, rel=1e-12)
    for amount in (swept.free_mm3, swept.bound_mm3, swept.inside_mm3):
        assert amount.min() >= 0.0
    held = (swept.bound_mm3 + swept.inside_mm3) / flow.cell_mm3
    # Occupied sites: bound plus used-up ones; never more than there are, but for the rounding kept with them.
    assert held.max() <= sites * (1 + 1e-9)


@pytest.mark.requirement("C-MASS")
def test_leaving_out_cells_far_behind_the_front_changes_nothing_that_matters_and_loses_nothing():
    flow, porosity = make_flow(24, 3)
    time = 400.0
    arrival = measure_arrival(flow, porosity=porosity)
    whole = sweep_particles(flow, porosity=porosity, time_s=time, steps=60)
    part = sweep_particles(flow, porosity=porosity, time_s=time, steps=60, arrival=arrival)
    assert part.imbalance_fraction < BALANCE
    # Ages within a cell scatter, so a little arrives early: it stays in the first cell left out.
    assert np.abs(part.free_mm3 - whole.free_mm3).sum() < 5e-3 * whole.injected_mm3


@pytest.mark.requirement("C-TRANSPORT")
def test_plug_flow_along_a_tube_arrives_when_the_volume_before_it_is_filled():
    k = np.zeros((40, 3, 3))
    k[:, 1, 1] = 1e-3
    # The tube runs along i, its wall lets nothing through, and only its ends are open.
    operator = build_pressure_operator(np.ascontiguousarray(k), spacing_mm=(0.5, 1, 1))
    source = np.zeros(k.shape)
    source[0, 1, 1] = 2.0
    p = solve_pressure(operator, source, tolerance=1e-13).require_converged().pressure_kpa
    flow = build_flow(operator, p, source_mm3_per_s=source)
    arrival = measure_arrival(flow, porosity=np.full(k.shape, 0.3))
    through = 2.0 - float(flow.side_mm3_per_s[1, 2, 2])
    filled = 0.3 * 0.5 * (0.5 / 2.0 + (np.arange(40) - 0.5) / through)
    assert np.allclose(arrival.time_s[1:, 1, 1], filled[1:] + 0.3 * 0.5 * 0.5 / 2.0, rtol=1e-6)
    assert np.isinf(arrival.time_s[:, 0, 0]).all()
    slow = measure_arrival(flow, porosity=np.full(k.shape, 0.3), speed=0.5)
    assert np.allclose(slow.time_s[:, 1, 1], 2 * arrival.time_s[:, 1, 1], rtol=1e-12)


@pytest.mark.requirement("C-TRANSPORT")
def test_upwind_steps_converge_at_first_order_to_a_smooth_profile():
    errors = []
    for n in (40, 80, 160):
        h = 40.0 / n
        k = np.zeros((n, 3, 3))
        k[:, 1, 1] = 1.0
        operator = build_pressure_operator(k, spacing_mm=(h, 1, 1))
        source = np.zeros(k.shape)
        source[0, 1, 1] = 1.0
        p = np.zeros(k.shape)
        # Falls by h in each cell: a flow of 1 mm3/s all along; the first cell's open side is at its own pressure.
        p[:, 1, 1] = np.linspace(40.0 - h / 2, h / 2, n)
        sides = np.zeros(k.shape)
        sides[0] = p[0]
        flow = build_flow(operator, p, source_mm3_per_s=source, side_kpa=sides)
        swept = sweep_particles(
            flow, porosity=np.full(k.shape, 0.5), time_s=4000.0, steps=10, kinetics=Kinetics(decay_per_s=0.05)
        )  # fmt: skip
        x = (np.arange(n) + 0.5) * h
        exact = np.exp(-0.05 * 0.5 * x)
        c = swept.free_mm3[:, 1, 1] / (0.5 * h)
        errors.append(np.abs(c - exact).max())
    orders = np.log2(np.array(errors[:-1]) / errors[1:])
    assert (orders > 0.8).all(), orders


@pytest.mark.requirement("C-TRANSPORT")
def test_larger_pores_take_the_fluid_less_far():
    flow, porosity = make_flow(24, 5, contrast=10.0)
    reached = [
        np.count_nonzero(measure_arrival(flow, porosity=factor * porosity).time_s <= 300.0)
        for factor in (0.5, 1.0, 2.0)
    ]
    assert reached[0] > reached[1] > reached[2]


def test_wrong_inputs_of_the_sweep_are_refused():
    flow, porosity = make_flow(8)
    with pytest.raises(InputError):
        sweep_particles(flow, porosity=porosity, time_s=0.0, steps=3)
    with pytest.raises(InputError):
        Kinetics(decay_per_s=-1.0)
    operator = build_pressure_operator(np.ones((4, 4, 4)), spacing_mm=(1, 1, 1))
    with pytest.raises(GeometryError):
        build_flow(operator, np.zeros((3, 3, 3)), source_mm3_per_s=np.zeros((4, 4, 4)))
