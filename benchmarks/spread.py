"""Spread of an injection: ranking, ensemble, pressure, arrival; CPU beside wall, pyamg and scipy on the same matrix."""

from __future__ import annotations

import resource
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from multiprocessing import get_context
from typing import Any

import numpy as np
from scipy import ndimage, sparse
from scipy.sparse import linalg

from hepatica.core.geometry import Grid
from hepatica.planning.spread.member import Draw
from hepatica.planning.spread.patterns import CandidateNeedle
from hepatica.planning.spread.pressure import PressureOperator, build_pressure_operator, solve_pressure
from hepatica.planning.spread.pressure_fallback import to_sparse
from hepatica.planning.spread.rank_patterns import rank_patterns
from hepatica.planning.spread.scene import InjectionSite, SpreadScene
from hepatica.planning.spread.simulate import draw_members, simulate_spread
from hepatica.planning.spread.tissue import SpreadTissue, derive_parameters
from hepatica.planning.spread.tissue_map import build_tissue_map
from hepatica.planning.spread.transport import build_flow, measure_arrival, sweep_particles


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


def _solve_with_scipy(matrix: sparse.csr_matrix, source: np.ndarray) -> int:
    """Conjugate gradients with the diagonal as preconditioner, to the same residual; return the iterations."""
    inverse = sparse.diags_array(1 / matrix.diagonal())
    steps = []
    linalg.cg(matrix, source.ravel(), rtol=1e-8, maxiter=5000, M=inverse, callback=steps.append)
    return len(steps)


def _solve_with_pyamg(matrix: sparse.csr_matrix, source: np.ndarray) -> int:
    """Ruge-Stueben set-up and conjugate gradients, to the same residual; return the iterations."""
    import pyamg

    residuals: list[float] = []
    hierarchy = pyamg.ruge_stuben_solver(matrix)
    hierarchy.solve(source.ravel(), tol=1e-8, maxiter=200, accel="cg", residuals=residuals)
    return len(residuals) - 1


def measure_pressure(sizes: tuple[int, ...] = (32, 64, 128)) -> Iterator[Row]:
    """Heterogeneous pressure of contrast 1e6, set-up and solve together, own solver first, then others.

    The others get the finished matrix; the ratios beside them are CPU seconds of one and the same run.
    """
    bars = {32: "20 iterations", 64: "0.3 CPU s, stretch 0.15", 128: "2.0 CPU s, stretch 1.0; 1 GB"}
    for cells in sizes:
        k = make_conductivity(cells)
        exchange = np.full(k.shape, 1e-5)
        source = np.zeros(k.shape)
        source[(cells // 2,) * 3] = 1.0

        def work(k: np.ndarray = k, exchange: np.ndarray = exchange, source: np.ndarray = source) -> Any:
            operator = build_pressure_operator(k, spacing_mm=(1, 1, 1), exchange_per_kpa_s=exchange)
            return operator, solve_pressure(operator, source).require_converged()

        work()  # compile, or load what was compiled; take memory of this size from the system once
        own, (operator, solution) = _timed(
            f"pressure {cells}^3, contrast 1e6", bars[cells], work, count=lambda result: result[1].iterations
        )
        yield own
        if cells == 128:
            yield _measure_arrival(operator, solution.pressure_kpa, source)
        if cells >= 64:
            matrix = to_sparse(operator)
            bar = "12x, stretch 25x" if cells == 128 else ""
            for name, solve in (("pyamg Ruge-Stueben, set-up and solve", _solve_with_pyamg),
                                ("scipy CG + diagonal", _solve_with_scipy)):  # fmt: skip
                row, _ = _timed(
                    f"  {name} {cells}^3", bar if "pyamg" in name else "",
                    lambda solve=solve, matrix=matrix, source=source: solve(matrix, source), count=int,
                )  # fmt: skip
                yield replace(row, name=f"{row.name}: {row.cpu_s / own.cpu_s:.1f}x")


def _measure_arrival(operator: PressureOperator, pressure_kpa: np.ndarray, source: np.ndarray) -> Row:
    """Sort and sweep once, compiled code warm."""
    porosity = np.full(source.shape, 0.2)

    def work() -> Any:
        return measure_arrival(build_flow(operator, pressure_kpa, source_mm3_per_s=source), porosity=porosity)

    work()
    return _timed("arrival times 128^3, sort and sweep", "1.5 s, stretch 0.7", work)[0]


def run_linear(draw: Draw, scene: SpreadScene) -> float:
    """Darcy flow alone for one draw: one pressure, arrival times, one sweep; return the share in viable tumour."""
    parameters = derive_parameters(draw.shares)
    tissue = build_tissue_map(scene.classes, grid=scene.grid, parameters=parameters)
    operator = build_pressure_operator(
        tissue.conductivity_mm2_per_kpa_s,
        spacing_mm=scene.grid.spacing_mm,
        exchange_per_kpa_s=tissue.exchange_per_kpa_s,
    )
    site = scene.sites[0]
    source = np.zeros(operator.shape)
    source[scene.to_cell(site.tip_lps_mm)] = site.rate_ml_per_min * 1000 / 60
    flow = build_flow(operator, solve_pressure(operator, source).pressure_kpa, source_mm3_per_s=source)
    arrival = measure_arrival(flow, porosity=tissue.porosity_fraction)
    swept = sweep_particles(
        flow,
        porosity=tissue.porosity_fraction,
        time_s=60 * site.volume_ml / site.rate_ml_per_min,
        steps=50,
        arrival=arrival,
    )
    return float(swept.total_mm3[scene.classes == SpreadTissue.VIABLE].sum()) / (1000 * site.volume_ml)


def measure_ensemble(count: int = 100, workers: int = 2) -> Iterator[Row]:
    """One deposit at 64^3 on processes, full physics and Darcy alone; CPU seconds are those of the workers."""
    scene = make_scene()
    draws = draw_members(count, deposits=1, rng=np.random.default_rng(3))
    options = {"strength_per_ml": 1e8, "threshold_per_ml": 1e6}
    simulate_spread(scene, draws=draws[:2], **options)
    run_linear(draws[0], scene)
    jobs = {
        "full physics": (
            "100 s wall, stretch 50 s",
            lambda pool: simulate_spread(scene, draws=draws, executor=pool, **options),
        ),
        "linear only": (
            "40 s wall, stretch 20 s",
            lambda pool: list(pool.map(partial(run_linear, scene=scene), draws)),
        ),
    }
    for name, (bar, work) in jobs.items():
        before = resource.getrusage(resource.RUSAGE_CHILDREN)

        def run(work: Callable[[Any], Any] = work) -> Any:
            with ProcessPoolExecutor(workers, mp_context=get_context("fork")) as pool:
                return work(pool)

        row, _ = _timed(f"ensemble 64^3, {count} draws, {workers} processes, {name}", bar, run)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        yield replace(row, cpu_s=used, peak_mib=after.ru_maxrss / 1024)


def measure_ranking(count: int = 100) -> Iterator[Row]:
    """Rank the patterns of three needles by the algebraic budget."""
    scene = make_scene()
    tip = np.array([0.0, -5.0, 0.0])
    needles = [
        CandidateNeedle(
            name=f"P{n}",
            entry_lps_mm=np.array([20.0 * n, 80.0, 0.0]),
            tip_lps_mm=tip,
            needle_radius_mm=0.36,
            room_mm=18.0,
        )
        for n in range(3)
    ]
    draws = draw_members(count, deposits=1, rng=np.random.default_rng(3))

    def work() -> Any:
        return rank_patterns(
            scene.grid, scene.classes, needles, volume_ml=2.0, rate_ml_per_min=1.0, draws=draws
        )

    work()
    row, ranking = _timed(f"deposit patterns, {count} draws", "1 s", work)
    yield replace(row, name=f"{row.name}, {len(ranking.ranked)} patterns of three needles")


def measure_spread() -> Iterator[Row]:
    """Measure everything, smallest first."""
    yield from measure_ranking()
    yield from measure_ensemble()
    yield from measure_pressure()
