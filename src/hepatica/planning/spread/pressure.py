"""Steady pressure in heterogeneous tissue: finite volumes, multigrid-preconditioned conjugate gradients.

Solves ``-div(K grad p) + exchange (p - rest) = source`` on a regular grid with harmonic means at faces. The
multigrid preconditioner is geometric: blocks of 2 x 2 x 2 cells, faces summed and halved, red-black Gauss-Seidel
forward before and backward after the coarse correction, so it is symmetric. Iterations hardly grow with the grid.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import numpy as np
from numpy.typing import ArrayLike

from hepatica.core.errors import GeometryError, InputError, NotConvergedError
from hepatica.core.geometry import FloatArray
from hepatica.planning.spread import pressure_kernels as kernels

COARSEST_CELLS: Final = 64
"""A grid this small is solved by a dense inverse."""
MOST_ITERATIONS: Final = 60
RELATIVE_RESIDUAL: Final = 1e-8
ROUNDING: Final = 4.0
"""A residual up to this many units of the last place of the terms it is summed from is all that doubles can give."""
_INNER: Final = (slice(1, -1),) * 3
LATTICE_GREEN: Final = 0.2527310098586630
"""Value at the origin of the simple cubic lattice's Green's function of the 7-point Laplacian (Watson)."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Level:
    bands: FloatArray
    x: FloatArray
    b: FloatArray


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PressureOperator:
    """The matrix of one tissue, with its coarse grids; reuse it for several sources.

    Parameters
    ----------
    shape, spacing_mm
        Cells and their edges.
    levels
        Grids from fine to coarse, with work space: one solve at a time.
    coarsest_inverse
        Dense inverse on the coarsest grid.
    exchange_mm3_per_kpa_s, side_mm3_per_kpa_s
        (I, J, K) conductance of each cell to vessels, and through open sides of the box.
    """

    shape: tuple[int, int, int]
    spacing_mm: FloatArray
    levels: tuple[_Level, ...]
    coarsest_inverse: FloatArray
    exchange_mm3_per_kpa_s: FloatArray
    side_mm3_per_kpa_s: FloatArray

    @property
    def faces_mm3_per_kpa_s(self) -> FloatArray:
        """(3, I + 2, J + 2, K + 2) conductance of each face to the cell before, padded by ghosts."""
        return self.levels[0].bands[1:4]

    @property
    def cell_mm3(self) -> float:
        """Volume of a cell."""
        return float(np.prod(self.spacing_mm))


class Solver(StrEnum):
    """Which solver gave a pressure."""

    MULTIGRID = "own multigrid"
    ALGEBRAIC = "pyamg Ruge-Stueben"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PressureSolution:
    """What a solve gave, converged or not.

    Parameters
    ----------
    pressure_kpa
        (I, J, K) pressure at cell centres, read-only.
    residual_history
        Residual over the right-hand side's norm, before the first and after each iteration.
    converged
        Whether the last one is within the tolerance.
    solver
        Which solver gave it.
    reason
        Why the first solver did not, or why none could; empty where it did.
    sealed
        Whether it is known that the fluid has no way out.
    """

    pressure_kpa: FloatArray
    residual_history: tuple[float, ...]
    converged: bool
    solver: Solver = Solver.MULTIGRID
    reason: str = ""
    sealed: bool = False

    @property
    def iterations(self) -> int:
        """Number of iterations."""
        return len(self.residual_history) - 1

    def require_converged(self) -> PressureSolution:
        """Return itself, or refuse.

        Raises
        ------
        NotConvergedError
            If the residual is not within the tolerance.
        """
        if not self.converged:
            raise NotConvergedError(
                expected="a pressure field within its tolerance",
                given=f"relative residual {self.residual_history[-1]:.1e} after {self.iterations} iterations",
                where="pressure solver",
                action="check that the source is connected to an open side or to vessels",
            )
        return self


def build_pressure_operator(
    conductivity_mm2_per_kpa_s: FloatArray,
    *,
    spacing_mm: ArrayLike,
    exchange_per_kpa_s: FloatArray | None = None,
    open_sides: bool = True,
) -> PressureOperator:
    """Assemble the operator and its coarse grids.

    Parameters
    ----------
    conductivity_mm2_per_kpa_s
        (I, J, K), at least 0; nothing flows through cells of 0.
    spacing_mm
        (3,) edges of a cell.
    exchange_per_kpa_s
        (I, J, K) loss to vessels for each kPa; none by default.
    open_sides
        Whether the six sides of the box hold a given pressure, or let nothing through.

    Raises
    ------
    InputError, GeometryError
        On negative or infinite numbers, or shapes that do not fit.
    """
    k = np.asarray(conductivity_mm2_per_kpa_s, dtype=np.float64)
    spacing = np.asarray(spacing_mm, dtype=np.float64)
    exchange = np.zeros(k.shape) if exchange_per_kpa_s is None else np.asarray(exchange_per_kpa_s, np.float64)
    if k.ndim != 3 or exchange.shape != k.shape or spacing.shape != (3,):
        raise GeometryError(
            expected="a 3-D conductivity, exchange of its shape and three spacings",
            given=f"{k.shape}, {exchange.shape}, {spacing.shape}",
        )
    if not (np.isfinite(k).all() and np.isfinite(exchange).all()) or k.min() < 0 or exchange.min() < 0:
        raise InputError(expected="finite conductivity and exchange of at least 0", given="another value")
    if not (spacing > 0).all():
        raise InputError(expected="spacing above 0 mm", given=f"{spacing.tolist()}")
    padded = np.pad(k, 1)
    bands = np.zeros((5, *padded.shape))
    kernels.fill_faces(padded, bands, spacing)
    side = _derive_sides(k, spacing) if open_sides else np.zeros(k.shape)
    lost = exchange * float(np.prod(spacing))
    sinks = np.zeros((2, *padded.shape))
    sinks[(0, *_INNER)], sinks[(1, *_INNER)] = lost, side
    kernels.complete(bands, sinks)
    levels = [_to_level(bands)]
    while math.prod(n - 2 for n in bands.shape[1:]) > COARSEST_CELLS:
        shape = tuple((n - 1) // 2 + 2 for n in bands.shape[1:])
        coarse, coarse_sinks = np.zeros((5, *shape)), np.zeros((2, *shape))
        kernels.coarsen(bands, sinks, coarse, coarse_sinks)
        coarse[1, 1] = coarse[2, :, 1] = coarse[3, :, :, 1] = 0.0
        kernels.complete(coarse, coarse_sinks)
        bands, sinks = coarse, coarse_sinks
        levels.append(_to_level(bands))
    return PressureOperator(
        shape=(k.shape[0], k.shape[1], k.shape[2]),
        spacing_mm=spacing,
        levels=tuple(levels),
        coarsest_inverse=_invert(bands),
        exchange_mm3_per_kpa_s=lost,
        side_mm3_per_kpa_s=side,
    )


def _to_level(bands: FloatArray) -> _Level:
    return _Level(bands=bands, x=np.zeros(bands.shape[1:]), b=np.zeros(bands.shape[1:]))


def _derive_sides(k: FloatArray, spacing: FloatArray) -> FloatArray:
    """Conductance from the cells of each side through half a cell to the box's surface."""
    side = np.zeros(k.shape)
    for axis in range(3):
        factor = 2 * float(np.prod(spacing)) / spacing[axis] ** 2
        for end in (0, -1):
            at = tuple(end if a == axis else slice(None) for a in range(3))
            side[at] += factor * k[at]
    return side


def _invert(bands: FloatArray) -> FloatArray:
    """Dense inverse on the coarsest grid; cells in which nothing flows stay at 0."""
    shape = tuple(n - 2 for n in bands.shape[1:])
    size = math.prod(shape)
    matrix = np.zeros((size, size))
    unit, image = np.zeros(bands.shape[1:]), np.zeros(bands.shape[1:])
    inner = (slice(1, -1),) * 3
    for n in range(size):
        unit[inner] = 0.0
        unit[inner][np.unravel_index(n, shape)] = 1.0
        kernels.multiply(unit, image, bands)
        matrix[:, n] = image[inner].ravel()
    return np.asarray(np.linalg.pinv(matrix, rcond=1e-13, hermitian=True))


def _precondition(operator: PressureOperator, level: int) -> None:
    """Run one V-cycle on a level: from its b to its x."""
    here = operator.levels[level]
    if level == len(operator.levels) - 1:
        inner = (slice(1, -1),) * 3
        here.x[inner] = (operator.coarsest_inverse @ here.b[inner].ravel()).reshape(here.x[inner].shape)
        return
    below = operator.levels[level + 1]
    kernels.smooth(here.x, here.b, here.bands, 0, 1)
    kernels.restrict_residual(here.x, here.b, here.bands, below.b)
    _precondition(operator, level + 1)
    kernels.add_coarse(here.x, below.x)
    kernels.smooth(here.x, here.b, here.bands, 1, 0)


def solve_pressure(
    operator: PressureOperator,
    source_mm3_per_s: FloatArray,
    *,
    rest_kpa: FloatArray | None = None,
    side_kpa: FloatArray | None = None,
    start_kpa: FloatArray | None = None,
    tolerance: float = RELATIVE_RESIDUAL,
    most_iterations: int = MOST_ITERATIONS,
) -> PressureSolution:
    """Solve for the pressure of a source.

    Parameters
    ----------
    operator
        From `build_pressure_operator`.
    source_mm3_per_s
        (I, J, K) inflow of each cell.
    rest_kpa
        (I, J, K) pressure at which exchange with vessels rests; 0 by default.
    side_kpa
        (I + 2, J + 2, K + 2) whose outer layer holds the pressure on the open sides; 0 by default.
    start_kpa
        (I, J, K) first guess, for example the answer for nearly the same tissue; it saves iterations and leaves
        the tolerance as it is. 0 by default, and where it is worse than 0.
    tolerance
        Residual norm over the right-hand side's norm.
    most_iterations
        Iterations after which the solution is returned as it is.

    Examples
    --------
    >>> operator = build_pressure_operator(np.full((8, 8, 8), 1e-4), spacing_mm=(1, 1, 1))
    >>> source = np.zeros((8, 8, 8)); source[4, 4, 4] = 0.001
    >>> solution = solve_pressure(operator, source)
    >>> solution.converged, solution.iterations < 20
    (True, True)
    """
    right = derive_right_side(operator, source_mm3_per_s, rest_kpa=rest_kpa, side_kpa=side_kpa)
    top = operator.levels[0]
    r = np.pad(right, 1)
    x, p, q = np.zeros(r.shape), np.zeros(r.shape), np.zeros(r.shape)
    norm = math.sqrt(kernels.dot(r, r))
    if norm == 0.0:
        return _to_solution(x, (0.0,), tolerance)
    history, rz_before = [_take_start(operator, start_kpa, x, r) / norm], 0.0
    if history[0] <= tolerance:
        return _to_solution(x, tuple(history), tolerance)
    while len(history) <= most_iterations and math.isfinite(history[-1]):
        top.b[:] = r
        _precondition(operator, 0)
        rz = kernels.dot(r, top.x)
        kernels.turn(p, top.x, rz / rz_before if rz_before else 0.0)
        rz_before = rz
        curvature = kernels.multiply(p, q, top.bands)
        if not curvature > 0.0:
            break
        history.append(math.sqrt(kernels.advance(x, r, p, q, rz / curvature)) / norm)
        if history[-1] <= tolerance:
            # The recurrence may believe what rounding does not: a sealed source ends here with a huge pressure.
            kernels.multiply(x, q, top.bands)
            np.subtract(right, q[_INNER], out=r[_INNER])
            history[-1] = math.sqrt(kernels.dot(r, r)) / norm
            if history[-1] <= max(tolerance, measure_rounding(operator, x[_INNER], right)):
                break
            rz_before = 0.0
    return _to_solution(x, tuple(history), tolerance)


def _take_start(
    operator: PressureOperator, start_kpa: FloatArray | None, x: FloatArray, r: FloatArray
) -> float:
    """Write a first guess into padded x and its residual into r, where it is better than 0; return the residual."""
    before = math.sqrt(kernels.dot(r, r))
    if start_kpa is None:
        return before
    guess, image = np.pad(start_kpa, 1), np.zeros(r.shape)
    kernels.multiply(guess, image, operator.levels[0].bands)
    image[_INNER] = r[_INNER] - image[_INNER]
    after = math.sqrt(kernels.dot(image, image))
    if not after < before:
        return before
    x[:], r[_INNER] = guess, image[_INNER]
    return after


def derive_right_side(
    operator: PressureOperator,
    source_mm3_per_s: FloatArray,
    *,
    rest_kpa: FloatArray | None = None,
    side_kpa: FloatArray | None = None,
) -> FloatArray:
    """Return (I, J, K) inflow of each cell from the source, from vessels at rest and from the sides, mm3/s."""
    if source_mm3_per_s.shape != operator.shape:
        raise GeometryError(expected=f"a source of shape {operator.shape}", given=f"{source_mm3_per_s.shape}")
    right = np.array(source_mm3_per_s, dtype=np.float64)
    if rest_kpa is not None:
        right += operator.exchange_mm3_per_kpa_s * rest_kpa
    if side_kpa is not None:
        right += _side_inflow(operator, side_kpa)
    return right


def measure_residual(operator: PressureOperator, pressure_kpa: FloatArray, right: FloatArray) -> float:
    """Return the residual's norm over that of the right-hand side, for any pressure."""
    image = np.zeros_like(operator.levels[0].x)
    kernels.multiply(np.pad(pressure_kpa, 1), image, operator.levels[0].bands)
    norm = float(np.linalg.norm(right))
    return float(np.linalg.norm(right - image[1:-1, 1:-1, 1:-1])) / norm if norm > 0 else 0.0


def measure_rounding(operator: PressureOperator, pressure_kpa: FloatArray, right: FloatArray) -> float:
    """Return the residual that rounding alone leaves of a pressure, over the right-hand side's norm.

    Each cell's residual is a difference of its own term and those of its neighbours, which weigh as much together.
    """
    terms = 2.0 * operator.levels[0].bands[(0, *_INNER)] * pressure_kpa
    norm = float(np.linalg.norm(right))
    return ROUNDING * float(np.finfo(np.float64).eps * np.linalg.norm(terms)) / norm if norm > 0 else 0.0


def _side_inflow(operator: PressureOperator, side_kpa: FloatArray) -> FloatArray:
    """Inflow that the pressure on the open sides drives."""
    inflow = np.zeros(operator.shape)
    k_side = operator.side_mm3_per_kpa_s
    # A cell at an edge touches several sides: each takes the share of its own face.
    weight = 1.0 / operator.spacing_mm**2
    total = np.zeros(operator.shape)
    for axis in range(3):
        for end in (0, -1):
            at = tuple(end if a == axis else slice(None) for a in range(3))
            ghost = tuple(end if a == axis else slice(1, -1) for a in range(3))
            total[at] += weight[axis]
            inflow[at] += weight[axis] * side_kpa[ghost]
    return np.asarray(np.divide(k_side * inflow, total, out=np.zeros(operator.shape), where=total > 0))


def _to_solution(x: FloatArray, history: tuple[float, ...], tolerance: float) -> PressureSolution:
    pressure = np.ascontiguousarray(x[1:-1, 1:-1, 1:-1])
    pressure.setflags(write=False)
    return PressureSolution(
        pressure_kpa=pressure, residual_history=history, converged=bool(history[-1] <= tolerance)
    )
