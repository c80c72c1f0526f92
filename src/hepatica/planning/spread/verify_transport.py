"""Fronts, removal, binding and balance of the transport sweeps against exact answers."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Final

import numpy as np
from numpy.typing import NDArray

from hepatica.core.geometry import FloatArray
from hepatica.planning.spread import closed_forms
from hepatica.planning.spread.pressure import build_pressure_operator, solve_pressure
from hepatica.planning.spread.transport import Flow, Kinetics, build_flow, measure_arrival, sweep_particles
from hepatica.planning.spread.verification import VerificationRow

FLOW: Final = 0.1 * 1000 / 60
POROSITY: Final = 0.2
VOLUME: Final = 250.0
FRONT_TOLERANCE: Final = 0.02
"""Radius of the front at 0.5 mm."""
BALANCE: Final = 1e-12
"""Particles missing over injected, all sinks counted."""
UPWIND_ORDER: Final = 0.8


def build_radial_flow(
    spacing: float, *, box_mm: float = 24.0, reach_mm: float = math.inf
) -> tuple[Flow, FloatArray]:
    """Point source in the middle of an even box; return the flow and the distance of each cell."""
    cells = round(box_mm / spacing) | 1
    line = (np.arange(cells) - cells // 2) * spacing
    r = np.sqrt(line[:, None, None] ** 2 + line[None, :, None] ** 2 + line[None, None, :] ** 2)
    k = np.full(r.shape, 1e-4)
    operator = build_pressure_operator(
        k, spacing_mm=(spacing,) * 3, exchange_per_kpa_s=np.full(r.shape, 1e-4 / reach_mm**2)
    )
    source = np.zeros(r.shape)
    source[(cells // 2,) * 3] = FLOW
    # Pressure on the sides of the exact field keeps the flow radial up to the box.
    line = np.arange(-1.0, cells + 1) - cells // 2
    line[0] += 0.5
    line[-1] -= 0.5
    line *= spacing
    at = np.sqrt(line[:, None, None] ** 2 + line[None, :, None] ** 2 + line[None, None, :] ** 2)
    sides = closed_forms.sphere_source_pressure(
        at.clip(1e-9), flow=FLOW, conductivity=1e-4, exchange_length_mm=reach_mm
    )
    p = solve_pressure(operator, source, side_kpa=sides, tolerance=1e-11).require_converged().pressure_kpa
    edge = np.zeros(r.shape)
    for axis in range(3):
        for end, ghost in ((0, 0), (-1, -1)):
            here = tuple(end if a == axis else slice(None) for a in range(3))
            there = tuple(ghost if a == axis else slice(1, -1) for a in range(3))
            edge[here] = np.maximum(edge[here], sides[there])
    return build_flow(operator, p, source_mm3_per_s=source, side_kpa=edge), r


def _equal_radius(covered: NDArray[np.bool_], spacing: float) -> float:
    """Radius of the sphere of the covered volume."""
    return float((3 * np.count_nonzero(covered) * spacing**3 / (4 * math.pi)) ** (1 / 3))


def measure_arrival_error(spacing: float) -> float:
    """Mean relative error of the arrival time between 3 and 8 mm, against that of a radial flow."""
    flow, r = build_radial_flow(spacing)
    arrival = measure_arrival(flow, porosity=np.full(r.shape, POROSITY))
    where = (r > 3) & (r < 8)
    exact = 4 * math.pi * POROSITY * r**3 / (3 * FLOW)
    return float(np.abs(arrival.time_s[where] / exact[where] - 1).mean())


def verify_fronts() -> Iterator[VerificationRow]:
    """B4 to B6: radii of the front by arrival time and by the sweep, with retardation and with loss to vessels."""
    spacing = 0.5
    flow, r = build_radial_flow(spacing)
    porosity = np.full(r.shape, POROSITY)
    time = VOLUME / FLOW
    exact = closed_forms.front_radius_mm(VOLUME, porosity=POROSITY)
    arrival = measure_arrival(flow, porosity=porosity)
    yield VerificationRow.compare(
        "B4", "front of 0.25 mL by arrival time, mm", expected=exact,
        computed=_equal_radius(arrival.time_s <= time, spacing), tolerance=FRONT_TOLERANCE,
    )  # fmt: skip
    for steps in (50, 100):
        swept = sweep_particles(flow, porosity=porosity, time_s=time, steps=steps)
        half = swept.free_mm3 / (porosity * spacing**3) >= 0.5
        yield VerificationRow.compare(
            "B4", f"front of 0.25 mL by {steps} implicit steps, mm", expected=exact,
            computed=_equal_radius(half, spacing), tolerance=FRONT_TOLERANCE,
        )  # fmt: skip
    yield VerificationRow.from_error(
        "B4", "particles missing", error=swept.imbalance_fraction, tolerance=BALANCE
    )
    bound = measure_arrival(flow, porosity=3.0 * porosity)
    yield VerificationRow.compare(
        "B5", "front of 0.25 mL, retardation 3, mm",
        expected=closed_forms.front_radius_mm(VOLUME, porosity=POROSITY, retardation=3.0),
        computed=_equal_radius(bound.time_s <= time, spacing), tolerance=FRONT_TOLERANCE,
    )  # fmt: skip
    spacing, reach = 0.25, 3.0
    flow, r = build_radial_flow(spacing, box_mm=20.0, reach_mm=reach)
    until = closed_forms.front_time_s(5.0, flow=FLOW, porosity=POROSITY, exchange_length_mm=reach)
    arrival = measure_arrival(flow, porosity=np.full(r.shape, POROSITY))
    yield VerificationRow.compare(
        "B6", "front with loss to vessels over 3 mm, mm", expected=5.0,
        computed=_equal_radius(arrival.time_s <= until, spacing), tolerance=FRONT_TOLERANCE,
    )  # fmt: skip


def verify_removal() -> Iterator[VerificationRow]:
    """B7: steady removal on the way, by many long steps of the sweep."""
    spacing, rate = 0.5, 1e-2
    flow, r = build_radial_flow(spacing, box_mm=16.0)
    porosity = np.full(r.shape, POROSITY)
    swept = sweep_particles(
        flow, porosity=porosity, time_s=1e5, steps=20, kinetics=Kinetics(decay_per_s=rate)
    )
    c = swept.free_mm3 / (porosity * spacing**3)
    where = (r > 2) & (r < 6)
    exact = closed_forms.removal_profile(r, flow=FLOW, porosity=POROSITY, rate_per_s=rate)
    error = float(np.sqrt(((c - exact)[where] ** 2).sum() / (exact[where] ** 2).sum()))
    yield VerificationRow.from_error(
        "B7", "steady profile with removal, L2 in 2-6 mm at 0.5 mm", error=error, tolerance=0.05
    )
    yield VerificationRow.from_error(
        "B7", "particles missing, decayed ones counted", error=swept.imbalance_fraction, tolerance=BALANCE
    )


def verify_order() -> Iterator[VerificationRow]:
    """Order of convergence of arrival times in a radial flow."""
    errors = [measure_arrival_error(h) for h in (0.8, 0.4)]
    yield VerificationRow.at_least(
        "B4",
        "observed order of arrival time from 0.8 to 0.4 mm",
        expected=1.0,
        computed=math.log2(errors[0] / errors[1]),
        bound=UPWIND_ORDER,
    )


def verify_binding() -> Iterator[VerificationRow]:
    """Saturable binding: never above its sites, and every particle accounted for."""
    flow, r = build_radial_flow(0.8)
    porosity = np.full(r.shape, POROSITY)
    kinetics = Kinetics(
        decay_per_s=1e-4,
        sieving_fraction=0.6,
        attach_per_s=1.0,
        detach_per_s=1e-3,
        inside_per_s=1e-2,
        sites=0.3,
    )
    swept = sweep_particles(flow, porosity=porosity, time_s=VOLUME / FLOW, steps=50, kinetics=kinetics)
    yield VerificationRow.from_error(
        "BIND", "particles missing, bound and internalised counted", error=swept.imbalance_fraction, tolerance=BALANCE
    )  # fmt: skip
    held = (swept.bound_mm3 + swept.inside_mm3) / flow.cell_mm3
    yield VerificationRow.from_error(
        "BIND", "sites taken above those there are",
        error=max(0.0, float(held.max()) / kinetics.sites - 1), tolerance=1e-9,
    )  # fmt: skip


def verify_transport() -> Iterator[VerificationRow]:
    """Run every transport case."""
    yield from verify_fronts()
    yield from verify_removal()
    yield from verify_order()
    yield from verify_binding()
