"""Where the injected fluid and its particles go in a steady flow: arrival times, and an exactly balanced sweep."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from hepatica.core.errors import GeometryError, InputError
from hepatica.core.geometry import FloatArray
from hepatica.planning.spread import transport_kernels as kernels
from hepatica.planning.spread.pressure import PressureOperator

NEGLIGIBLE_SHARE: Final = 1e-6
"""A cell whose fluid is injected to less than this part is not reached."""
LISTED_AGES: Final = 4.0
"""Cells that fluid reaches within this many times the duration take part in the sweep; what passes them parks."""
_INNER: Final = (slice(1, -1),) * 3


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Flow:
    """A steady flow on the padded grid, ready to be swept.

    Parameters
    ----------
    potential_kpa
        Padded Kirchhoff potential (pressure, where conductivity does not depend on strain).
    source_mm3_per_s
        Padded inflow with drug.
    clean_mm3_per_s
        Padded inflow from vessels and sides, without drug.
    side_mm3_per_s, vessel_mm3_per_s
        Padded outflow through the box's sides and into vessels.
    faces_mm3_per_kpa_s
        (3, ...) padded conductances.
    order
        Flat indices of the cells in order of falling potential.
    cell_mm3
        Volume of a cell.
    """

    potential_kpa: FloatArray
    source_mm3_per_s: FloatArray
    clean_mm3_per_s: FloatArray
    side_mm3_per_s: FloatArray
    vessel_mm3_per_s: FloatArray
    faces_mm3_per_kpa_s: FloatArray
    order: NDArray[np.int64]
    cell_mm3: float

    @property
    def strides(self) -> NDArray[np.int64]:
        """Flat step to the next cell along each axis."""
        _, b, c = self.potential_kpa.shape
        return np.array([b * c, c, 1], dtype=np.int64)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Arrival:
    """When injected fluid reaches each cell.

    Parameters
    ----------
    time_s
        (I, J, K) mean age of the injected fluid half way through the cell; inf where none comes.
    share_fraction
        (I, J, K) part of the cell's fluid that was injected, once the flow is steady.
    """

    time_s: FloatArray
    share_fraction: FloatArray


@dataclass(frozen=True, slots=True, kw_only=True)
class Kinetics:
    """What happens to particles on the way; rates of 0 switch a step off.

    Parameters
    ----------
    decay_per_s
        Loss of free particles.
    sieving_fraction
        Particle speed over fluid speed.
    attach_per_s
        Binding rate for a free concentration of the injected strength and free sites of it.
    detach_per_s, inside_per_s
        Release and internalisation of bound particles.
    sites
        Binding sites per volume of tissue over the injected concentration.
    """

    decay_per_s: float = 0.0
    sieving_fraction: float = 1.0
    attach_per_s: float = 0.0
    detach_per_s: float = 0.0
    inside_per_s: float = 0.0
    sites: float = 0.0

    def __post_init__(self) -> None:
        """Refuse negative rates."""
        rates = (self.decay_per_s, self.attach_per_s, self.detach_per_s, self.inside_per_s, self.sites)
        if min(rates) < 0 or not 0 < self.sieving_fraction <= 1:
            raise InputError(expected="rates of at least 0 and a sieving in (0, 1]", given=f"{self}")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Particles:
    """Where particles are, as mm3 of injected fluid that holds as many.

    Parameters
    ----------
    free_mm3, bound_mm3, inside_mm3
        (I, J, K) amount of each cell.
    decayed_mm3, vessel_mm3, side_mm3
        Lost on the way, into vessels, out of the box.
    injected_mm3
        Given by the source.
    """

    free_mm3: FloatArray
    bound_mm3: FloatArray
    inside_mm3: FloatArray
    decayed_mm3: float
    vessel_mm3: float
    side_mm3: float
    injected_mm3: float

    @property
    def total_mm3(self) -> FloatArray:
        """(I, J, K) free, bound and inside together."""
        return self.free_mm3 + self.bound_mm3 + self.inside_mm3

    @property
    def imbalance_fraction(self) -> float:
        """What is missing or too much, over what was injected."""
        kept = float(self.total_mm3.sum()) + self.decayed_mm3 + self.vessel_mm3 + self.side_mm3
        return abs(kept - self.injected_mm3) / self.injected_mm3 if self.injected_mm3 > 0 else abs(kept)


def build_flow(
    operator: PressureOperator,
    potential_kpa: FloatArray,
    *,
    source_mm3_per_s: FloatArray,
    rest_kpa: FloatArray | None = None,
    side_kpa: FloatArray | float = 0.0,
) -> Flow:
    """Turn a solved potential into a flow.

    Parameters
    ----------
    operator, potential_kpa
        As given to and by `hepatica.planning.spread.pressure.solve_pressure`.
    source_mm3_per_s
        (I, J, K) inflow with drug.
    rest_kpa
        (I, J, K) resting pressure of the exchange; 0 by default.
    side_kpa
        (I, J, K) or number: pressure on the open sides next to each cell.
    """
    if potential_kpa.shape != operator.shape or source_mm3_per_s.shape != operator.shape:
        raise GeometryError(
            expected=f"fields of shape {operator.shape}",
            given=f"{potential_kpa.shape} and {source_mm3_per_s.shape}",
        )
    rest = 0.0 if rest_kpa is None else rest_kpa
    vessel = operator.exchange_mm3_per_kpa_s * (potential_kpa - rest)
    side = operator.side_mm3_per_kpa_s * (potential_kpa - side_kpa)
    padded = np.pad(potential_kpa, 1)
    number = np.arange(padded.size, dtype=np.int64).reshape(padded.shape)[_INNER].ravel()
    # A stable sort: equal potentials keep grid order, so the same input gives the same bytes.
    order = number[np.argsort(-potential_kpa.ravel(), kind="stable")]
    return Flow(
        potential_kpa=padded,
        source_mm3_per_s=np.pad(source_mm3_per_s, 1),
        clean_mm3_per_s=np.pad(np.maximum(-vessel, 0) + np.maximum(-side, 0), 1),
        side_mm3_per_s=np.pad(np.maximum(side, 0), 1),
        vessel_mm3_per_s=np.pad(np.maximum(vessel, 0), 1),
        faces_mm3_per_kpa_s=operator.faces_mm3_per_kpa_s,
        order=order,
        cell_mm3=operator.cell_mm3,
    )


def measure_arrival(flow: Flow, *, porosity: FloatArray, speed: float = 1.0) -> Arrival:
    """Measure when injected fluid arrives, by one sweep.

    Parameters
    ----------
    flow
        A steady flow.
    porosity
        (I, J, K) pore volume over tissue volume, times a retardation where particles bind.
    speed
        Particle speed over fluid speed.
    """
    share, age = np.zeros(flow.potential_kpa.size), np.zeros((2, flow.potential_kpa.size))
    kernels.measure_age(
        flow.order,
        flow.potential_kpa.ravel(),
        flow.faces_mm3_per_kpa_s.reshape(3, -1),
        flow.strides,
        np.stack([flow.source_mm3_per_s.ravel(), flow.clean_mm3_per_s.ravel()]),
        (np.pad(porosity, 1) * flow.cell_mm3 / speed).ravel(),
        share,
        age,
    )
    shape = flow.potential_kpa.shape
    part = np.ascontiguousarray(share.reshape(shape)[_INNER])
    moment = age[1].reshape(shape)[_INNER]
    reached = part > NEGLIGIBLE_SHARE
    return Arrival(
        time_s=np.divide(moment, part, out=np.full(part.shape, np.inf), where=reached), share_fraction=part
    )


def sweep_particles(
    flow: Flow,
    *,
    porosity: FloatArray,
    time_s: float,
    steps: int,
    kinetics: Kinetics | None = None,
    reflection: FloatArray | float = 1.0,
    arrival: Arrival | None = None,
) -> Particles:
    """Carry particles with the flow by implicit upwind steps, each cell after those that feed it.

    Unconditionally stable, never negative, and every particle is accounted for to rounding.

    Parameters
    ----------
    flow
        A steady flow; its source injects at the strength that amounts are measured in.
    porosity
        (I, J, K) pore volume over tissue volume.
    time_s, steps
        Duration and number of equal steps.
    kinetics
        Decay, sieving and binding; none by default.
    reflection
        Share of particles that vessel walls hold back.
    arrival
        Arrival times: cells far behind the front are then left out, and what reaches them stays in the first.
    """
    if not (time_s > 0 and steps > 0):
        raise InputError(
            expected="a duration and a number of steps above 0", given=f"{time_s:g} s in {steps} steps"
        )
    kinetics = kinetics or Kinetics()
    shape = flow.potential_kpa.shape
    listed = np.ones(shape, dtype=bool)
    order = flow.order
    if arrival is not None:
        listed = np.pad(arrival.time_s <= LISTED_AGES * time_s, 1) | (flow.source_mm3_per_s > 0)
        order = order[listed.ravel()[order]]
    packed = np.zeros((6, flow.potential_kpa.size))
    packed[0], packed[1] = flow.potential_kpa.ravel(), flow.source_mm3_per_s.ravel()
    packed[2] = flow.side_mm3_per_s.ravel()
    packed[3] = (
        flow.vessel_mm3_per_s * np.pad(np.broadcast_to(1.0 - reflection, tuple(n - 2 for n in shape)), 1)
    ).ravel()
    packed[4], packed[5] = np.pad(porosity, 1).ravel() * flow.cell_mm3, flow.cell_mm3
    state, totals = np.zeros((4, flow.potential_kpa.size)), np.zeros(4)
    rates = np.array(
        [
            kinetics.decay_per_s, kinetics.attach_per_s, kinetics.detach_per_s, kinetics.inside_per_s, kinetics.sites,
            kinetics.sieving_fraction, time_s / steps,
        ]
    )  # fmt: skip
    faces = flow.faces_mm3_per_kpa_s.reshape(3, -1)
    for _ in range(steps):
        kernels.step_particles(order, packed, faces, flow.strides, listed.ravel(), state, rates, totals)
    grids = state.reshape(4, *shape)[(slice(None), *_INNER)]
    return Particles(
        free_mm3=grids[0] * porosity * flow.cell_mm3 + grids[3],
        bound_mm3=grids[1] * flow.cell_mm3,
        inside_mm3=grids[2] * flow.cell_mm3,
        decayed_mm3=float(totals[0]),
        vessel_mm3=float(totals[1]),
        side_mm3=float(totals[2]),
        injected_mm3=float(totals[3]),
    )
