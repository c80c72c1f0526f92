import math
import sys

import numpy as np
import pytest
from scipy import integrate, ndimage, special
from scipy.sparse import coo_matrix
from scipy.sparse.linalg import spsolve

from hepatica.core.errors import InputError, NotConvergedError
from hepatica.planning.spread.pressure import LATTICE_GREEN, build_pressure_operator, solve_pressure

SAME = 1e-6
"""Two solves to a relative residual of 1e-10 differ by it times the condition that contrast adds."""
MOST_ITERATIONS = 20


def make_rough(n, contrast, seed=1):
    """Smooth random conductivity over a contrast, a thin channel and a tight core."""
    rng = np.random.default_rng(seed)
    field = ndimage.gaussian_filter(rng.standard_normal((n, n, n)), n / 32)
    field = (field - field.min()) / (field.max() - field.min())
    return 1e-6 * contrast**field


def point(n, at=None, flow=1.0):
    source = np.zeros((n, n, n))
    source[at or (n // 2,) * 3] = flow
    return source


def solve(k, source, tolerance=1e-10, **options):
    operator = build_pressure_operator(k, spacing_mm=(1, 1, 1), **options)
    return solve_pressure(operator, source, tolerance=tolerance).require_converged().pressure_kpa


@pytest.mark.requirement("C-PRESSURE-ITERATIONS")
@pytest.mark.parametrize("contrast", [1e4, 1e6])
def test_iterations_stay_below_twenty_and_nearly_constant_from_32_to_128(contrast):
    counts = []
    for n in (32, 64, 128):
        k = make_rough(n, contrast)
        operator = build_pressure_operator(k, spacing_mm=(1, 1, 1), exchange_per_kpa_s=np.full(k.shape, 1e-5))
        solution = solve_pressure(operator, point(n))
        assert solution.converged and solution.residual_history[-1] <= 1e-8
        counts.append(solution.iterations)
    sys.stdout.write(f"contrast {contrast:g}: iterations {counts} at 32, 64, 128\n")
    assert max(counts) <= MOST_ITERATIONS
    assert counts[-1] <= counts[0] + 3


@pytest.mark.requirement("C-PRESSURE-ITERATIONS")
def test_uncorrelated_noise_of_1e4_and_a_thin_sheet_of_1e6_still_converge():
    noise = 1e-6 * 1e4 ** np.random.default_rng(0).random((48, 48, 48))
    sheet = np.full((48, 48, 48), 1e-6)
    sheet[24] = 1.0
    sheet[:, 10:12, :] = 1e-3
    for k in (noise, sheet):
        operator = build_pressure_operator(k, spacing_mm=(1, 1, 1))
        solution = solve_pressure(operator, point(48))
        sys.stdout.write(f"contrast {k.max() / k.min():.1e}: {solution.iterations} iterations\n")
        assert solution.converged and solution.iterations <= 25


@pytest.mark.requirement("C-PRESSURE")
def test_the_solution_is_that_of_an_independently_assembled_sparse_matrix():
    n, spacing = 13, np.array([0.7, 1.0, 1.9])
    rng = np.random.default_rng(5)
    k = 1e-5 * 1e3 ** rng.random((n, n, n))
    k[3:5, 3:6, 2:9] = 0.0
    exchange = 1e-6 * rng.random((n, n, n)) * (k > 0)
    source = rng.random((n, n, n)) * (k > 0)
    number = np.arange(n**3).reshape(n, n, n)
    rows, columns, values = [], [], []
    diagonal = exchange * spacing.prod()
    for axis in range(3):
        first = tuple(slice(0, -1) if a == axis else slice(None) for a in range(3))
        second = tuple(slice(1, None) if a == axis else slice(None) for a in range(3))
        with np.errstate(divide="ignore", invalid="ignore"):
            face = 2 / (1 / k[first] + 1 / k[second]) * spacing.prod() / spacing[axis] ** 2
        face = np.nan_to_num(face)
        diagonal[first] += face
        diagonal[second] += face
        rows += [number[first].ravel(), number[second].ravel()]
        columns += [number[second].ravel(), number[first].ravel()]
        values += [-face.ravel(), -face.ravel()]
        for end in (0, -1):
            at = tuple(end if a == axis else slice(None) for a in range(3))
            diagonal[at] += 2 * k[at] * spacing.prod() / spacing[axis] ** 2
    diagonal[k == 0] = 1.0
    rows.append(number.ravel())
    columns.append(number.ravel())
    values.append(diagonal.ravel())
    matrix = coo_matrix((np.concatenate(values), (np.concatenate(rows), np.concatenate(columns)))).tocsc()
    want = spsolve(matrix, source.ravel()).reshape(k.shape)
    operator = build_pressure_operator(k, spacing_mm=spacing, exchange_per_kpa_s=exchange)
    have = solve_pressure(operator, source, tolerance=1e-12).require_converged().pressure_kpa
    error = np.abs(have - want).max() / np.abs(want).max()
    sys.stdout.write(f"against a sparse direct solve: largest error {error:.1e} of the largest pressure\n")
    assert error < 1e-9


@pytest.mark.requirement("C-PRESSURE")
def test_turning_or_mirroring_the_tissue_turns_the_pressure_with_it():
    k, at = make_rough(24, 1e4), (7, 12, 15)
    base = solve(k, point(24, at))
    for turn in (
        lambda a: np.rot90(a, axes=(0, 1)),
        lambda a: np.rot90(a, axes=(1, 2)),
        lambda a: a[::-1],
        lambda a: a.transpose(2, 0, 1),
    ):
        turned = solve(np.ascontiguousarray(turn(k)), np.ascontiguousarray(turn(point(24, at))))
        assert np.abs(turned - turn(base)).max() < SAME * base.max()


@pytest.mark.requirement("C-PRESSURE")
def test_pressure_is_linear_in_the_flow_and_reciprocal_between_two_points():
    k = make_rough(24, 1e4)
    one, two = (7, 12, 15), (18, 6, 9)
    p = solve(k, point(24, one))
    assert np.allclose(solve(k, point(24, one, 3.0)), 3 * p, rtol=1e-7, atol=SAME * p.max())
    other = solve(k, point(24, two))
    assert np.isclose(p[two], other[one], rtol=1e-6)
    both = solve(k, point(24, one) + 2 * point(24, two))
    assert np.allclose(both, p + 2 * other, atol=SAME * p.max())


@pytest.mark.requirement("C-PRESSURE")
def test_what_flows_in_flows_out_through_sides_and_vessels():
    k = make_rough(24, 1e5)
    exchange = np.full(k.shape, 1e-6)
    operator = build_pressure_operator(k, spacing_mm=(1, 1, 1), exchange_per_kpa_s=exchange)
    p = solve_pressure(operator, point(24), tolerance=1e-12).pressure_kpa
    out = float((p * (operator.side_mm3_per_kpa_s + operator.exchange_mm3_per_kpa_s)).sum())
    assert out == pytest.approx(1.0, rel=1e-8)
    assert (p > 0).all()


@pytest.mark.requirement("C-PRESSURE-OUTCOME")
def test_a_source_with_no_way_out_is_reported_as_not_converged_and_refused_only_on_request():
    operator = build_pressure_operator(np.full((12, 12, 12), 1e-4), spacing_mm=(1, 1, 1), open_sides=False)
    solution = solve_pressure(operator, point(12))
    assert not solution.converged and solution.residual_history[0] == 1.0
    with pytest.raises(NotConvergedError, match="open side"):
        solution.require_converged()
    k = np.full((12, 12, 12), 1e-4)
    k[4:9, 4:9, 4:9] = 0.0
    k[6, 6, 6] = 1e-4
    assert not solve_pressure(build_pressure_operator(k, spacing_mm=(1, 1, 1)), point(12)).converged


@pytest.mark.requirement("C-PRESSURE-OUTCOME")
def test_too_few_iterations_are_an_outcome_with_its_residual_history():
    operator = build_pressure_operator(make_rough(16, 1e6), spacing_mm=(1, 1, 1))
    solution = solve_pressure(operator, point(16), most_iterations=3)
    assert not solution.converged and solution.iterations == 3 and len(solution.residual_history) == 4
    assert solve_pressure(operator, np.zeros((16, 16, 16))).pressure_kpa.max() == 0.0


@pytest.mark.parametrize("wrong", [-1e-4, math.nan, math.inf])
def test_conductivity_that_no_tissue_has_is_refused(wrong):
    k = np.full((4, 4, 4), 1e-4)
    k[0, 0, 0] = wrong
    with pytest.raises(InputError):
        build_pressure_operator(k, spacing_mm=(1, 1, 1))


def test_the_lattice_constant_is_the_integral_that_defines_it():
    value, error = integrate.quad(lambda t: special.ive(0, 2 * t) ** 3, 0, np.inf, limit=400)
    assert value == pytest.approx(LATTICE_GREEN, abs=max(2 * error, 1e-7))
