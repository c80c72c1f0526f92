"""A second solver for tissue that the own multigrid does not master: algebraic multigrid on the same matrix.

It costs several times the time and memory, so it runs only where the own solver has ended without its tolerance and
the fluid has a way out at all.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import numpy as np
from scipy import sparse
from scipy.sparse import csgraph

from hepatica.core.geometry import BoolArray, FloatArray
from hepatica.planning.spread.pressure import (
    RELATIVE_RESIDUAL,
    PressureOperator,
    PressureSolution,
    Solver,
    derive_right_side,
    measure_residual,
    measure_rounding,
    solve_pressure,
)

MOST_ITERATIONS: Final = 80
"""What has not converged by then did not by 200 either, at several seconds for each."""
LARGEST_ROUNDING: Final = 1e-6
"""Residual up to which what rounding leaves is taken for an answer: fluxes of the tissue are known to a factor."""
STRICTER: Final = 1e-3
"""The other solver measures its residual on the scaled matrix, where decades of tissue weigh otherwise: a contrast of
1e9 took two of these three decades."""


def to_sparse(operator: PressureOperator) -> sparse.csr_matrix:
    """Write the operator's matrix in scipy's format, cells in grid order."""
    shape = operator.shape
    number = np.arange(int(np.prod(shape))).reshape(shape)
    inner = operator.levels[0].bands[:, 1:-1, 1:-1, 1:-1]
    parts = [(number.ravel(), number.ravel(), inner[0].ravel())]
    for axis in range(3):
        here = tuple(slice(1, None) if a == axis else slice(None) for a in range(3))
        before = tuple(slice(0, -1) if a == axis else slice(None) for a in range(3))
        face = -inner[axis + 1][here].ravel()
        parts += [
            (number[here].ravel(), number[before].ravel(), face),
            (number[before].ravel(), number[here].ravel(), face),
        ]
    rows, columns, values = (np.concatenate(column) for column in zip(*parts, strict=True))
    matrix = sparse.csr_matrix((values, (rows, columns)), shape=(number.size, number.size))
    matrix.eliminate_zeros()
    return matrix


def find_sealed(operator: PressureOperator, right: FloatArray, matrix: sparse.csr_matrix) -> BoolArray:
    """Return (cells,) where fluid enters tissue that is connected to no open side and no vessel."""
    _, part = csgraph.connected_components(matrix, directed=False)
    sinks = (operator.exchange_mm3_per_kpa_s + operator.side_mm3_per_kpa_s).ravel() > 0
    drained = np.zeros(part.max() + 1, dtype=bool)
    drained[part[sinks]] = True
    return np.asarray(~drained[part] & (right.ravel() != 0))


def solve_pressure_surely(
    operator: PressureOperator,
    source_mm3_per_s: FloatArray,
    *,
    rest_kpa: FloatArray | None = None,
    side_kpa: FloatArray | None = None,
    start_kpa: FloatArray | None = None,
    tolerance: float = RELATIVE_RESIDUAL,
    most_iterations: int | None = None,
) -> PressureSolution:
    """Solve by the own multigrid, and by pyamg's Ruge-Stueben where that does not converge.

    Parameters
    ----------
    operator, source_mm3_per_s, rest_kpa, side_kpa, start_kpa, tolerance
        As for `hepatica.planning.spread.pressure.solve_pressure`.
    most_iterations
        Iterations of the own solver before the other one starts.

    Returns
    -------
    PressureSolution
        ``solver`` says which one gave it, ``reason`` why the first did not. Not converged where neither did, or
        where the fluid has no way out: then no second solver is tried. A residual that is above the tolerance only by
        the rounding of the matrix, and at most `LARGEST_ROUNDING`, counts as converged: no solver gets below.

    Examples
    --------
    >>> from hepatica.planning.spread.pressure import build_pressure_operator
    >>> operator = build_pressure_operator(np.full((8, 8, 8), 1e-4), spacing_mm=(1, 1, 1))
    >>> source = np.zeros((8, 8, 8)); source[4, 4, 4] = 0.001
    >>> solve_pressure_surely(operator, source, most_iterations=1).solver.value
    'pyamg Ruge-Stueben'
    """
    limits = {} if most_iterations is None else {"most_iterations": most_iterations}
    first = solve_pressure(
        operator,
        source_mm3_per_s,
        rest_kpa=rest_kpa,
        side_kpa=side_kpa,
        start_kpa=start_kpa,
        tolerance=tolerance,
        **limits,
    )
    if first.converged:
        return first
    right = derive_right_side(operator, source_mm3_per_s, rest_kpa=rest_kpa, side_kpa=side_kpa)
    matrix = to_sparse(operator)
    why = f"own multigrid at relative residual {first.residual_history[-1]:.1e} after {first.iterations} iterations"
    if find_sealed(operator, right, matrix).any():
        return replace(
            first,
            sealed=True,
            reason=f"{why}: the fluid enters tissue without any way out, which no solver can change",
        )
    rounding = measure_rounding(operator, first.pressure_kpa, right)
    if first.residual_history[-1] <= min(rounding, LARGEST_ROUNDING):
        return replace(first, converged=True)
    second = _solve_algebraically(operator, matrix, right, tolerance=tolerance)
    return replace(second, reason=why) if second.converged else replace(first, reason=f"{why}; pyamg neither")


def _solve_algebraically(
    operator: PressureOperator, matrix: sparse.csr_matrix, right: FloatArray, *, tolerance: float
) -> PressureSolution:
    import pyamg

    # Cells in which nothing flows have empty rows: they are left out and stay at 0.
    active = np.flatnonzero(matrix.diagonal() > 0)
    rows = matrix[active][:, active]
    # A diagonal of 1 takes the decades of the tissue out of the matrix, and with them those out of the residual.
    scale = 1 / np.sqrt(rows.diagonal())
    scaled = (sparse.diags_array(scale) @ rows @ sparse.diags_array(scale)).tocsr()
    hierarchy = pyamg.ruge_stuben_solver(sparse.csr_matrix(scaled))
    history: list[float] = []
    answer = hierarchy.solve(
        scale * right.ravel()[active],
        tol=STRICTER * tolerance,
        maxiter=MOST_ITERATIONS,
        accel="cg",
        residuals=history,
    )
    pressure = np.zeros(right.size)
    pressure[active] = scale * answer
    field = pressure.reshape(operator.shape)
    reached = measure_residual(operator, field, right)
    field.setflags(write=False)
    start = history[0] if history and history[0] > 0 else 1.0
    return PressureSolution(
        pressure_kpa=field,
        residual_history=(*(value / start for value in history[:-1]), reached),
        converged=bool(reached <= tolerance),
        solver=Solver.ALGEBRAIC,
    )
