"""Spread of an injection: pressure, arrival and ensemble, CPU beside wall, scipy's solvers on the same matrix."""

from __future__ import annotations

import resource
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import ndimage, sparse
from scipy.sparse import linalg

from hepatica.core.geometry import Grid
from hepatica.planning.spread.pressure import PressureOperator, build_pressure_operator, solve_pressure
from hepatica.planning.spread.scene import InjectionSite, SpreadScene
from hepatica.planning.spread.simulate import draw_members, simulate_spread
from hepatica.planning.spread.tissue import SpreadTissue
from hepatica.planning.spread.transport import build_flow, measure_arrival


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One measured piece of work; peak memory is that of the whole run so far."""

    name: str
    wall_s: float
    cpu_s: float
    peak_mib: float
    bar: str
    iterations: int = 0


def _timed(
    name: str, bar: str, work: Callable[[], Any], *, count: Callable[[Any], int] = lambda _: 0
) -> tuple[Row, Any]:
    wall, cpu = time.perf_counter(), time.process_time()
    result = work()
    row = Row(
        name=name, wall_s=time.perf_counter() - wall, cpu_s=time.process_time() - cpu,
        peak_mib=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, bar=bar, iterations=count(result),
    )  # fmt: skip
    return row, result


def make_conductivity(cells: int, *, contrast: float = 1e6, seed: int = 1) -> np.ndarray:
    """Smooth random field over a contrast, the same shape at every resolution."""
    field = ndimage.gaussian_filter(np.random.default_rng(seed).standard_normal((cells,) * 3), cells / 32)
    field = (field - field.min()) / (field.max() - field.min())
    return 1e-6 * contrast**field


def make_scene(cells: int = 64) -> SpreadScene:
    """Tumour of 15 mm radius with a dead core, beside a vessel, in a 64 mm cube."""
    h = 64.0 / cells
    grid = Grid.from_axes(shape=(cells,) * 3, spacing_mm=(h,) * 3, origin_lps_mm=(-h * (cells - 1) / 2,) * 3)
    x = (np.arange(cells) - (cells - 1) / 2) * h
    r = np.sqrt(x[:, None, None] ** 2 + x[None, :, None] ** 2 + x[None, None, :] ** 2)
    classes = np.full(r.shape, SpreadTissue.LIVER, dtype=np.uint8)
    classes[r < 15] = SpreadTissue.VIABLE
    classes[r < 5] = SpreadTissue.NECROSIS
    vessel = np.hypot(x[:, None] - 18, x[None, :]) < 2.5
    classes[np.broadcast_to(vessel[:, :, None], r.shape)] = SpreadTissue.VESSEL
    site = InjectionSite(
        tip_lps_mm=np.array([0.0, 8.0, 0.0]), entry_lps_mm=np.array([0.0, 80.0, 0.0]), volume_ml=1.0,
        rate_ml_per_min=1.0, needle_radius_mm=0.36,
    )  # fmt: skip
    return SpreadScene(grid=grid, classes=classes, sites=(site,))


def _to_sparse(operator: PressureOperator) -> sparse.csr_matrix:
    """Write the same matrix in scipy's format."""
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
    return sparse.csr_matrix((values, (rows, columns)), shape=(number.size, number.size))


def _solve_with_scipy(operator: PressureOperator, source: np.ndarray) -> int:
    """Conjugate gradients with the diagonal as preconditioner, to the same residual; return the iterations."""
    matrix = _to_sparse(operator)
    inverse = sparse.diags_array(1 / matrix.diagonal())
    steps = []
    linalg.cg(matrix, source.ravel(), rtol=1e-8, maxiter=5000, M=inverse, callback=steps.append)
    return len(steps)


def measure_pressure() -> Iterator[Row]:
    """Heterogeneous pressure of contrast 1e6 at three sizes, set-up and solve together, then scipy at 64."""
    bars = {32: "20 iterations", 64: "0.3 CPU s, stretch 0.15", 128: "2.0 CPU s, stretch 1.0; 1 GB"}
    for cells, bar in bars.items():
        k = make_conductivity(cells)
        exchange = np.full(k.shape, 1e-5)
        source = np.zeros(k.shape)
        source[(cells // 2,) * 3] = 1.0

        def work(k: np.ndarray = k, exchange: np.ndarray = exchange, source: np.ndarray = source) -> Any:
            operator = build_pressure_operator(k, spacing_mm=(1, 1, 1), exchange_per_kpa_s=exchange)
            return operator, solve_pressure(operator, source).require_converged()

        work() if cells == 32 else None  # compile, or load what was compiled
        row, (operator, solution) = _timed(
            f"pressure {cells}^3, contrast 1e6", bar, work, count=lambda result: result[1].iterations
        )
        yield row
        if cells == 64:
            yield _timed(
                "  scipy CG + diagonal, same matrix",
                "",
                lambda operator=operator, source=source: _solve_with_scipy(operator, source),
                count=int,
            )[0]
        if cells == 128:
            yield _measure_arrival(operator, solution.pressure_kpa, source)


def _measure_arrival(operator: PressureOperator, pressure_kpa: np.ndarray, source: np.ndarray) -> Row:
    """Sort and sweep once, compiled code warm."""
    porosity = np.full(source.shape, 0.2)

    def work() -> Any:
        return measure_arrival(build_flow(operator, pressure_kpa, source_mm3_per_s=source), porosity=porosity)

    work()
    return _timed("arrival times 128^3, sort and sweep", "1.5 s, stretch 0.7", work)[0]


def measure_ensemble(count: int = 20) -> Iterator[Row]:
    """Full physics at 64^3, one deposit, on one process."""
    scene = make_scene()
    draws = draw_members(count, deposits=1, rng=np.random.default_rng(3))
    options = {"strength_per_ml": 1e8, "threshold_per_ml": 1e6}
    simulate_spread(scene, draws=draws[:2], **options)
    yield _timed(
        f"ensemble 64^3, {count} draws, one process",
        "100 draws on 2 processes: 100 s, stretch 50 s",
        lambda: simulate_spread(scene, draws=draws, **options),
    )[0]


def measure_spread() -> Iterator[Row]:
    """Measure everything, smallest first."""
    yield from measure_pressure()
    yield from measure_ensemble()
