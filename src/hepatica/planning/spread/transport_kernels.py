"""Compiled sweeps along a potential flow: cells in order of falling potential, each after all that feed it.

Arrays are flat views of padded grids; ``strides`` are the steps to the next cell along i, j, k, and face ``axis`` at
index c lies between c - stride and c. Ghost faces are 0.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hepatica.core.geometry import FloatArray
from hepatica.planning.spread.pressure_kernels import compiled

IndexArray = NDArray[np.int64]


@compiled
def measure_age(
    order: IndexArray,
    potential: FloatArray,
    faces: FloatArray,
    strides: IndexArray,
    inflow: FloatArray,
    capacity: FloatArray,
    share: FloatArray,
    age: FloatArray,
) -> None:
    """Write each cell's share of injected fluid, and its mean age times that share on leaving and half way through.

    ``inflow`` is (2, N): what the source gives, and what comes in from vessels and sides without drug. ``age`` is
    (2, N).
    """
    for position in range(order.size):
        c = order[position]
        entering = inflow[0, c] + inflow[1, c]
        drug = inflow[0, c]
        moment = 0.0
        for axis in range(3):
            for side in range(2):
                neighbour = c - strides[axis] if side == 0 else c + strides[axis]
                drop = potential[neighbour] - potential[c]
                if drop > 0.0:
                    flux = drop * (faces[axis, c] if side == 0 else faces[axis, neighbour])
                    entering += flux
                    drug += flux * share[neighbour]
                    moment += flux * age[0, neighbour]
        if entering > 0.0:
            share[c] = drug / entering
            age[0, c] = (moment + capacity[c] * share[c]) / entering
            age[1, c] = (moment + 0.5 * capacity[c] * share[c]) / entering


@compiled
def bind(held: float, rates: FloatArray, step: float, free: float, bound: float, inside: float) -> float:
    """Bound particles after a step at a free concentration; never above what sites allow."""
    attach = step * rates[1] * free
    total: float = (bound + attach * (held - inside)) / (
        1.0 + step * (rates[2] + rates[3]) + attach * (1.0 + step * rates[3])
    )
    return total


@compiled
def solve_cell(
    known: float, slope: float, volume: float, rates: FloatArray, step: float, bound: float, inside: float
) -> float:
    """Free concentration for which ``slope c + volume (1 + step k_i) b(c) = known``: Newton from below.

    The left side rises and bends down, so Newton from 0 would overshoot; from the side of c without binding it is
    safe because each step is kept within the bracket.
    """
    held = rates[4]
    grip = volume * (1.0 + step * rates[3])
    low, high = 0.0, known / slope
    c = high
    for _ in range(60):
        b = bind(held, rates, step, c, bound, inside)
        residual = slope * c + grip * b - known
        if residual > 0.0:
            high = c
        else:
            low = c
        base = 1.0 + step * (rates[2] + rates[3]) + step * rates[1] * c * (1.0 + step * rates[3])
        bend = step * rates[1] * ((held - inside) - b * (1.0 + step * rates[3])) / base
        moved = c - residual / (slope + grip * bend)
        if not low <= moved <= high:
            moved = 0.5 * (low + high)
        if abs(moved - c) <= 1e-15 * (abs(c) + 1e-300):
            c = moved
            break
        c = moved
    return c


@compiled
def step_particles(
    order: IndexArray,
    flow: FloatArray,
    faces: FloatArray,
    strides: IndexArray,
    listed: NDArray[np.bool_],
    state: FloatArray,
    rates: FloatArray,
    totals: FloatArray,
) -> None:
    """Advance all cells by one implicit upwind step.

    ``flow`` is (6, N): potential, source, outflow that carries particles (sides, then vessels), pore volume, bulk
    volume. ``state`` is (4, N): free concentration, bound, inside, parked amount beyond the listed cells.
    ``rates``: decay, attach, detach, inside, sites, sieving, step, end of list. ``totals``: decayed, vessels, sides,
    injected.
    """
    potential = flow[0]
    free, bound, inside, parked = state[0], state[1], state[2], state[3]
    sieving, step = rates[5], rates[6]
    for position in range(order.size):
        c = order[position]
        arriving = flow[1, c]
        leaving = sieving * flow[2, c] + flow[3, c]
        for axis in range(3):
            for side in range(2):
                neighbour = c - strides[axis] if side == 0 else c + strides[axis]
                drop = potential[neighbour] - potential[c]
                flux = sieving * drop * (faces[axis, c] if side == 0 else faces[axis, neighbour])
                if drop > 0.0:
                    arriving += flux * free[neighbour]
                else:
                    leaving -= flux
        if arriving == 0.0 and free[c] == 0.0 and bound[c] == 0.0:
            continue
        pores, bulk = flow[4, c], flow[5, c]
        slope = pores * (1.0 + step * rates[0]) + step * leaving
        known = pores * free[c] + step * arriving
        if rates[1] > 0.0:
            # Particle balance: pores c1 + bulk b1 + bulk n1 + losses = what was there and arrived.
            known += bulk * bound[c]
            now = solve_cell(known, slope, bulk, rates, step, bound[c], inside[c])
            # What Newton leaves goes to the bound particles, so that nothing is lost.
            bound[c] = max((known - slope * now) / (bulk * (1.0 + step * rates[3])), 0.0)
            inside[c] += step * rates[3] * bound[c]
        else:
            now = known / slope
        free[c] = now
        totals[0] += step * rates[0] * pores * now
        totals[1] += step * flow[3, c] * now
        totals[2] += step * sieving * flow[2, c] * now
        totals[3] += step * flow[1, c]
        for axis in range(3):
            for side in range(2):
                neighbour = c - strides[axis] if side == 0 else c + strides[axis]
                drop = potential[c] - potential[neighbour]
                if drop > 0.0 and not listed[neighbour]:
                    flux = sieving * drop * (faces[axis, c] if side == 0 else faces[axis, neighbour])
                    parked[neighbour] += step * flux * now
