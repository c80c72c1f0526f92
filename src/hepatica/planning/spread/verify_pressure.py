"""The pressure solver against exact fields: point and sphere sources, sinks, jumps, manufactured solutions."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from typing import Final

import numpy as np

from hepatica.core.geometry import BoolArray, FloatArray
from hepatica.planning.spread import closed_forms
from hepatica.planning.spread.pressure import PressureOperator, build_pressure_operator, solve_pressure
from hepatica.planning.spread.verification import VerificationRow

FLOW: Final = 0.1 * 1000 / 60
"""0.1 mL/min in mm3/s."""
CONDUCTIVITY: Final = 1e-4
"""1e-13 m2/(Pa s) in mm2/(kPa s)."""
FIELD_TOLERANCE: Final = 0.01
"""Relative L2 error between 2 and 8 mm that a 0.5 mm grid has to keep."""
PLANE_TOLERANCE: Final = 1e-6
"""A jump on a face is exact for harmonic means; what is left is the iteration's 1e-10 times the contrast."""
ORDER: Final = 1.8
"""Second order less the start of the asymptotic range."""


def _radius(cells: int, spacing: float) -> FloatArray:
    """Distance of cell centres from the centre of cell ``cells // 2``."""
    line = (np.arange(cells) - cells // 2) * spacing
    return np.asarray(np.sqrt(line[:, None, None] ** 2 + line[None, :, None] ** 2 + line[None, None, :] ** 2))


def _side_radius(cells: int, spacing: float) -> FloatArray:
    """Distance of padded positions, ghosts moved onto the faces they stand for."""
    line = np.arange(-1.0, cells + 1) - cells // 2
    line[0] += 0.5
    line[-1] -= 0.5
    line *= spacing
    return np.asarray(np.sqrt(line[:, None, None] ** 2 + line[None, :, None] ** 2 + line[None, None, :] ** 2))


def _norm(have: FloatArray, want: FloatArray, where: BoolArray) -> float:
    return float(np.sqrt(((have - want)[where] ** 2).sum() / (want[where] ** 2).sum()))


def measure_source_error(spacing: float, *, reach_mm: float = math.inf, box_mm: float = 32.0) -> float:
    """Relative L2 error between 2 and 8 mm of a point source in a box whose sides hold the exact pressure."""
    cells = round(box_mm / spacing)
    r = _radius(cells, spacing)
    k = np.full(r.shape, CONDUCTIVITY)
    exchange = np.full(r.shape, CONDUCTIVITY / reach_mm**2)
    operator = build_pressure_operator(k, spacing_mm=(spacing,) * 3, exchange_per_kpa_s=exchange)
    source = np.zeros(r.shape)
    source[(cells // 2,) * 3] = FLOW

    def exact(at: FloatArray) -> FloatArray:
        return closed_forms.sphere_source_pressure(
            np.maximum(at, 1e-9), flow=FLOW, conductivity=CONDUCTIVITY, exchange_length_mm=reach_mm
        )

    solution = solve_pressure(
        operator, source, side_kpa=exact(_side_radius(cells, spacing))
    ).require_converged()
    return _norm(solution.pressure_kpa, exact(r), (r > 2) & (r < 8))


def verify_sources() -> Iterator[VerificationRow]:
    """B1 and B2: whole fields at 0.5 mm, and the order of convergence with a sink."""
    yield VerificationRow.from_error(
        "B1",
        "pressure of a point source, L2 in 2-8 mm at 0.5 mm",
        error=measure_source_error(0.5),
        tolerance=FIELD_TOLERANCE,
    )
    errors = [measure_source_error(h, reach_mm=3.0, box_mm=24.0) for h in (1.0, 0.5, 0.25)]
    yield VerificationRow.from_error(
        "B2", "point source with sink, L2 in 2-8 mm at 0.5 mm", error=errors[1], tolerance=FIELD_TOLERANCE
    )
    yield VerificationRow.at_least(
        "B2",
        "observed order from 0.5 to 0.25 mm",
        expected=2.0,
        computed=math.log2(errors[1] / errors[2]),
        bound=ORDER,
    )


def verify_sphere() -> Iterator[VerificationRow]:
    """B3: a fluid-filled cavity of 3 mm in tissue whose vessels take the fluid over 3 mm."""
    spacing, cavity, reach = 0.5, 3.0, 3.0
    r = _radius(65, spacing)
    inside = r < cavity
    # The staircase holds a slightly other volume than the sphere: compare with the sphere of equal volume.
    equal = (3 * inside.sum() * spacing**3 / (4 * math.pi)) ** (1 / 3)
    k = np.where(inside, 1e4 * CONDUCTIVITY, CONDUCTIVITY)
    exchange = np.where(inside, 0.0, CONDUCTIVITY / reach**2)
    operator = build_pressure_operator(k, spacing_mm=(spacing,) * 3, exchange_per_kpa_s=exchange)
    source = np.where(inside, FLOW / inside.sum(), 0.0)
    p = solve_pressure(operator, source).require_converged().pressure_kpa
    want = closed_forms.sphere_source_pressure(
        np.maximum(r, 1e-9), flow=FLOW, conductivity=CONDUCTIVITY, exchange_length_mm=reach, cavity_mm=equal
    )
    # Staircase faces have 1.5 times the sphere's area, so the wall itself is known to about half a cell.
    yield VerificationRow.from_error(
        "B3", "cavity of 3 mm with sink, L2 in 4-8 mm at 0.5 mm", error=_norm(p, want, (r > 4) & (r < 8)),
        tolerance=0.02,
    )  # fmt: skip
    lost = float((exchange * p)[r < 6].sum()) * spacing**3
    r_equal = (3 * (r < 6).sum() * spacing**3 / (4 * math.pi)) ** (1 / 3)
    yield VerificationRow.compare(
        "B3",
        "share of the flow that passes 6 mm",
        expected=closed_forms.passing_fraction(r_equal, exchange_length_mm=reach, cavity_mm=equal),
        computed=1 - lost / FLOW,
        tolerance=0.01,
    )


def verify_strain_and_tumour() -> Iterator[VerificationRow]:
    """B11 through the solver and the Kirchhoff transform; B12 in a drained sphere."""
    spacing, exponent, h = 0.5, 5.0, 10.0
    r = _radius(64, spacing)
    operator = build_pressure_operator(np.full(r.shape, CONDUCTIVITY), spacing_mm=(spacing,) * 3)
    source = np.zeros(r.shape)
    source[32, 32, 32] = FLOW
    sides = FLOW / (4 * math.pi * CONDUCTIVITY * _side_radius(64, spacing).clip(1e-9))
    potential = solve_pressure(operator, source, side_kpa=sides).require_converged().pressure_kpa
    p = closed_forms.lower_kirchhoff(potential, exponent=exponent, aggregate_kpa=h)
    want = closed_forms.lower_kirchhoff(
        FLOW / (4 * math.pi * CONDUCTIVITY * r.clip(1e-9)), exponent=exponent, aggregate_kpa=h
    )
    yield VerificationRow.from_error(
        "B11",
        "strain-dependent conductivity, L2 in 2-8 mm at 0.5 mm",
        error=_norm(p, want, (r > 2) & (r < 8)),
        tolerance=FIELD_TOLERANCE,
    )
    tumour, reach, spacing = 10.0, 2.0, 0.5
    inside = _radius(49, spacing) < tumour
    r = _radius(49, spacing)
    equal = (3 * inside.sum() * spacing**3 / (4 * math.pi)) ** (1 / 3)
    operator = build_pressure_operator(
        np.where(inside, CONDUCTIVITY, 1e6 * CONDUCTIVITY),
        spacing_mm=(spacing,) * 3,
        exchange_per_kpa_s=np.where(inside, CONDUCTIVITY / reach**2, 0.0),
    )
    p = (
        solve_pressure(operator, np.zeros(r.shape), rest_kpa=np.ones(r.shape), tolerance=1e-10)
        .require_converged()
        .pressure_kpa
    )
    want = closed_forms.isolated_tumour_pressure(r, tumour_mm=equal, exchange_length_mm=reach)
    yield VerificationRow.from_error(
        "B12",
        "drained tumour of 10 mm, L2 within 8 mm at 0.5 mm",
        error=_norm(p, want, r < 8),
        tolerance=FIELD_TOLERANCE,
    )


def _march(
    operator_of: FloatArray, *, storage: float, source: FloatArray, start: FloatArray, times: FloatArray, spacing: float
) -> FloatArray:  # fmt: skip
    """March ``storage p' = div(K grad p) + source`` by variable-step BDF2, the first step by BDF1."""
    before, now = start, start
    operator: PressureOperator | None = None
    built = 0.0
    for n in range(1, len(times)):
        step = times[n] - times[n - 1]
        ratio = step / (times[n - 1] - times[n - 2]) if n > 1 else 0.0
        lead = (1 + 2 * ratio) / (1 + ratio)
        memory = ((1 + ratio) * now - ratio**2 / (1 + ratio) * before) / lead
        factor = storage * lead / step
        if operator is None or abs(factor / built - 1) > 1e-12:
            operator = build_pressure_operator(
                operator_of,
                spacing_mm=(spacing,) * 3,
                exchange_per_kpa_s=np.full(operator_of.shape, factor),
            )
            built = factor
        before, now = now, solve_pressure(operator, source, rest_kpa=memory).require_converged().pressure_kpa
    return now


def verify_transients() -> Iterator[VerificationRow]:
    """B8 and B10: the same operator marched in time, as diffusion and as consolidation."""
    cells, spacing = 48, 0.1
    r = _radius(cells, spacing)
    diffusivity = 1e-4
    start = closed_forms.diffusion_profile(r, diffusivity=diffusivity, time_s=600.0)
    c = _march(
        np.full(r.shape, diffusivity),
        storage=1.0,
        source=np.zeros(r.shape),
        start=start,
        times=np.linspace(600.0, 1800.0, 31),
        spacing=spacing,
    )
    want = closed_forms.diffusion_profile(r, diffusivity=diffusivity, time_s=1800.0)
    yield VerificationRow.from_error(
        "B8", "diffusing point source, L2 within 1.5 mm", error=_norm(c, want, r < 1.5), tolerance=FIELD_TOLERANCE
    )  # fmt: skip
    cells, spacing, h, end = 48, 0.25, 10.0, 1000.0
    r = _radius(cells, spacing)
    source = np.zeros(r.shape)
    source[(cells // 2,) * 3] = 1.0 / 60
    # Steps double until the last twenty: the early ones follow the jump at the start.
    times = np.concatenate([[0.0], np.geomspace(1.0, end, 40)])
    p = _march(
        np.full(r.shape, CONDUCTIVITY),
        storage=1 / h,
        source=source,
        start=np.zeros(r.shape),
        times=times,
        spacing=spacing,
    )
    want = closed_forms.consolidation_pressure(
        r.clip(1e-9), flow=1.0 / 60, conductivity=CONDUCTIVITY, aggregate_kpa=h, time_s=end
    )
    yield VerificationRow.from_error(
        "B10", "consolidation, L2 in 1.5-4 mm at 1000 s", error=_norm(p, want, (r > 1.5) & (r < 4)), tolerance=0.02
    )  # fmt: skip


def measure_manufactured_error(cells: int) -> float:
    """Error norm for ``p = sin x sin y sin z`` and ``K = exp(sin x cos y / 2)`` on (0, pi)^3."""
    h = math.pi / cells
    line = (np.arange(cells) + 0.5) * h
    x, y, z = np.meshgrid(line, line, line, indexing="ij", sparse=True)
    p = np.sin(x) * np.sin(y) * np.sin(z)
    k = np.exp(0.5 * np.sin(x) * np.cos(y)) * np.ones(p.shape)
    # grad K . grad p = K sin z times this.
    slope = 0.5 * np.sin(y) * np.cos(y) * (np.cos(x) ** 2 - np.sin(x) ** 2)
    source = k * (3 * p - slope * np.sin(z))
    operator = build_pressure_operator(k, spacing_mm=(h,) * 3)
    have = solve_pressure(operator, source * h**3, tolerance=1e-11).require_converged().pressure_kpa
    return _norm(have, p, np.ones(p.shape, dtype=bool))


def verify_manufactured() -> Iterator[VerificationRow]:
    """Measure a manufactured solution's order, and a jump of conductivity of 1e4 on a face."""
    errors = [measure_manufactured_error(n) for n in (16, 32, 64)]
    for n, (coarse, fine) in zip((32, 64), itertools.pairwise(errors), strict=True):
        yield VerificationRow.at_least(
            "MMS",
            f"observed order of pressure at {n} cells",
            expected=2.0,
            computed=math.log2(coarse / fine),
            bound=ORDER,
        )
    cells, contrast = 32, 1e4
    k = np.ones((cells,) * 3)
    k[cells // 2 :] = contrast
    x = np.arange(-1.0, cells + 1) + 0.5
    x[0], x[-1] = 0.0, float(cells)
    exact = np.where(x < cells / 2, x, cells / 2 + (x - cells / 2) / contrast)
    sides = np.broadcast_to(exact[:, None, None], (cells + 2,) * 3)
    operator = build_pressure_operator(k, spacing_mm=(1.0, 1.0, 1.0))
    solution = solve_pressure(operator, np.zeros(k.shape), side_kpa=sides, tolerance=1e-12)
    want = np.broadcast_to(exact[1:-1, None, None], k.shape)
    yield VerificationRow.from_error(
        "JUMP",
        "conductivity jump of 1e4, piecewise linear field",
        error=_norm(solution.pressure_kpa, want, np.ones(k.shape, dtype=bool)),
        tolerance=PLANE_TOLERANCE,
    )


def verify_pressure() -> Iterator[VerificationRow]:
    """Run every pressure case."""
    yield from verify_sources()
    yield from verify_sphere()
    yield from verify_transients()
    yield from verify_strain_and_tumour()
    yield from verify_manufactured()
