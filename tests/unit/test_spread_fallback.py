import sys

import numpy as np
import pytest
from scipy.sparse.linalg import spsolve
from spread_scenes import make_scene

from hepatica.planning.spread import pressure_fallback
from hepatica.planning.spread.member import Draw, simulate_member
from hepatica.planning.spread.pressure import (
    Solver,
    build_pressure_operator,
    measure_residual,
    measure_rounding,
    solve_pressure,
)
from hepatica.planning.spread.pressure_fallback import solve_pressure_surely, to_sparse
from hepatica.planning.spread.simulate import simulate_spread


def point(n):
    source = np.zeros((n, n, n))
    source[(n // 2,) * 3] = 1.0
    return source


@pytest.mark.requirement("C-PRESSURE-FALLBACK")
def test_where_the_own_solver_does_not_converge_the_other_does_and_the_outcome_says_which_and_why():
    k = 1e-9 * 1e9 ** np.random.default_rng(0).random((24, 24, 24))
    operator = build_pressure_operator(k, spacing_mm=(1, 1, 1))
    own = solve_pressure(operator, point(24))
    solution = solve_pressure_surely(operator, point(24))
    assert not own.converged
    assert solution.converged and solution.solver is Solver.ALGEBRAIC
    assert "after 60 iterations" in solution.reason and len(solution.residual_history) > 2
    assert (
        measure_residual(operator, solution.pressure_kpa, point(24)) == solution.residual_history[-1] <= 1e-8
    )
    direct = spsolve(to_sparse(operator).tocsc(), point(24).ravel()).reshape(k.shape)
    error = np.abs(solution.pressure_kpa - direct).max() / direct.max()
    sys.stdout.write(f"contrast 1e9 noise: {solution.iterations} iterations, largest error {error:.1e}\n")
    assert error < 1e-6


@pytest.mark.requirement("C-PRESSURE-FALLBACK")
def test_where_the_own_solver_converges_nothing_else_runs_and_the_bytes_are_its_own(monkeypatch):
    monkeypatch.setattr(pressure_fallback, "to_sparse", lambda *_: pytest.fail("the second solver ran"))
    k = np.full((16, 16, 16), 1e-4)
    operator = build_pressure_operator(k, spacing_mm=(1, 1, 1))
    own, sure = solve_pressure(operator, point(16)), solve_pressure_surely(operator, point(16))
    assert sure.solver is Solver.MULTIGRID and sure.reason == ""
    assert sure.pressure_kpa.tobytes() == own.pressure_kpa.tobytes()


@pytest.mark.requirement("C-PRESSURE-FALLBACK")
def test_both_solvers_agree_with_sides_vessels_and_cells_in_which_nothing_flows():
    rng = np.random.default_rng(4)
    k = 1e-5 * 1e3 ** rng.random((14, 14, 14))
    k[3:6, 4:9, 2:7] = 0.0
    exchange = np.where(k > 0, 1e-6, 0.0)
    operator = build_pressure_operator(k, spacing_mm=(1, 1, 2), exchange_per_kpa_s=exchange)
    options = {"rest_kpa": rng.random(k.shape), "side_kpa": rng.random((16, 16, 16)), "tolerance": 1e-10}
    own = solve_pressure(operator, point(14), **options)
    other = solve_pressure_surely(operator, point(14), most_iterations=1, **options)
    assert own.converged and other.solver is Solver.ALGEBRAIC
    assert np.abs(own.pressure_kpa - other.pressure_kpa).max() < 1e-7 * own.pressure_kpa.max()
    assert (other.pressure_kpa[3:6, 4:9, 2:7] == 0).all()


@pytest.mark.requirement("C-PRESSURE-FALLBACK")
def test_fluid_without_a_way_out_is_named_so_and_no_second_solver_is_tried(monkeypatch):
    monkeypatch.setattr(pressure_fallback, "_solve_algebraically", lambda *_, **__: pytest.fail("tried"))
    k = np.full((12, 12, 12), 1e-4)
    k[4:9, 4:9, 4:9] = 0.0
    k[6, 6, 6] = 1e-4
    solution = solve_pressure_surely(build_pressure_operator(k, spacing_mm=(1, 1, 1)), point(12))
    assert not solution.converged and "without any way out" in solution.reason


@pytest.mark.requirement("C-PRESSURE-FALLBACK")
def test_a_field_neither_solver_masters_is_not_converged_and_says_so():
    k = np.where(np.random.default_rng(1).random((24, 24, 24)) < 0.3, 1.0, 1e-8)
    solution = solve_pressure_surely(build_pressure_operator(k, spacing_mm=(1, 1, 1)), point(24))
    assert not solution.converged and "pyamg neither" in solution.reason
    assert solution.residual_history[-1] > 1e-8


@pytest.mark.requirement("C-PRESSURE-FALLBACK")
def test_a_run_that_needed_the_second_solver_keeps_its_physics_and_counts_its_draws(monkeypatch):
    scene = make_scene(cells=20, tumour_mm=8.0)
    draw = Draw(shares={})
    plain = simulate_member(scene, draw)
    assert plain.fallback == ""
    whole = pressure_fallback.solve_pressure
    monkeypatch.setattr(
        pressure_fallback, "solve_pressure", lambda *a, **o: whole(*a, **{**o, "most_iterations": 1})
    )
    other = simulate_member(scene, draw)
    assert "after 1 iterations" in other.fallback and other.imbalance_fraction < 1e-12
    assert other.fractions["viable"] == pytest.approx(plain.fractions["viable"], abs=1e-5)
    outcome = simulate_spread(scene, draws=(draw,), strength_per_ml=1e8, threshold_per_ml=1e6)
    assert sum(outcome.fallbacks.values()) == 1


@pytest.mark.requirement("C-PRESSURE-FALLBACK")
def test_a_residual_at_the_rounding_of_the_matrix_is_an_answer_and_not_called_sealed(monkeypatch):
    """A pool a billion times more conductive than what is around it: its own fluxes are all rounding."""
    monkeypatch.setattr(pressure_fallback, "_solve_algebraically", lambda *_, **__: pytest.fail("tried"))
    k = np.full((24, 24, 24), 1e-6)
    k[8:16, 8:16, 10:13] = 1e3
    operator = build_pressure_operator(k, spacing_mm=(1, 1, 1))
    solution = solve_pressure_surely(operator, point(24))
    assert solution.converged and not solution.sealed and solution.solver is Solver.MULTIGRID
    assert (
        1e-8 < solution.residual_history[-1] <= measure_rounding(operator, solution.pressure_kpa, point(24))
    )
    assert solution.iterations < 60
    inside = solution.pressure_kpa[8:16, 8:16, 10:13]
    # One pressure all over the pool, and outside that of a box whose pool holds it.
    assert np.ptp(inside) < 1e-6 * inside.max()
    fixed = build_pressure_operator(np.where(k > 1, 1.0, k), spacing_mm=(1, 1, 1))
    softer = solve_pressure_surely(fixed, point(24)).require_converged().pressure_kpa
    assert np.abs(solution.pressure_kpa - softer).max() < 1e-4 * softer.max()


@pytest.mark.requirement("C-PRESSURE-FALLBACK")
def test_a_sealed_source_is_never_taken_for_converged_however_large_its_pressure():
    k = np.full((12, 12, 12), 1e-4)
    k[4:9, 4:9, 4:9] = 0.0
    k[6, 5:8, 6] = 1e-4
    solution = solve_pressure_surely(build_pressure_operator(k, spacing_mm=(1, 1, 1)), point(12))
    assert not solution.converged and solution.sealed
