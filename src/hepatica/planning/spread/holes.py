"""How a needle's holes share the flow: one lumen pressure, and what each hole sees of tissue and of the others."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy import special

from hepatica.core.findings import NotEvaluable
from hepatica.core.geometry import FloatArray
from hepatica.planning.spread import closed_forms
from hepatica.planning.spread.pressure import RELATIVE_RESIDUAL, PressureOperator
from hepatica.planning.spread.pressure_fallback import solve_pressure_surely
from hepatica.planning.spread.tissue_map import TissueMap

LEAST_RESISTANCE = 0.1
"""A hole's resistance never falls below this part of the closed form's, whatever the neighbours of its voxel."""

Cell = tuple[int, int, int]
_LOG_STEP = 0.2
_TIMES = np.exp(np.arange(-40.0, 70.0, _LOG_STEP))
_RETURNS = _TIMES * np.where(
    _TIMES < 1e6, special.ive(0, 2 * np.minimum(_TIMES, 1e6)), (1 + 1 / (16 * _TIMES)) / np.sqrt(4 * np.pi * _TIMES)
) ** 3  # fmt: skip
"""The Bessel function is not computed for huge arguments; its own expansion is exact to rounding there."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class HoleNetwork:
    """The holes of one needle in tissue.

    Parameters
    ----------
    conductance_mm3_per_kpa_s
        Flow of all holes for each kPa of lumen potential.
    shares
        Share of the flow of each hole; they add up to 1.
    potential
        (I, J, K) potential for a total flow of 1 mm3/s.
    source
        (I, J, K) inflow for a total flow of 1 mm3/s.
    iterations
        Of the pressure solver, all holes together.
    fallback
        Why the second solver was needed; empty where it was not.
    """

    conductance_mm3_per_kpa_s: float
    shares: tuple[float, ...]
    potential: FloatArray
    source: FloatArray
    iterations: int
    fallback: str = ""


def lattice_green(mass: float) -> float:
    """Return the 7-point operator's Green's function at its origin for ``-lap + mass`` on a unit lattice.

    ``integral of exp(-m t) (exp(-2t) I0(2t))^3 dt``; without mass 0.25273.

    Examples
    --------
    >>> round(lattice_green(0.0), 4)
    0.2527
    """
    if mass > 1e4:
        return 1 / (6 + mass)
    # In the logarithm of time the integrand is smooth and dies at both ends: equal steps converge at once.
    return float(_LOG_STEP * (np.exp(-mass * _TIMES) * _RETURNS).sum())


def solve_holes(
    operator: PressureOperator,
    tissue: TissueMap,
    *,
    cells: tuple[Cell, ...],
    radius_mm: float,
    tolerance: float = RELATIVE_RESIDUAL,
) -> HoleNetwork | NotEvaluable:
    """Solve the network of holes with one lumen pressure.

    A voxel does not resolve a hole: the pressure at the hole's own radius is the solved one, plus what the closed
    form of a sphere has above the lattice's own answer for a point (a well index for three dimensions).

    Parameters
    ----------
    operator, tissue
        Pressure operator and map it was built from.
    cells
        Voxel of each hole.
    radius_mm
        Radius of the sphere that stands for a hole.
    tolerance
        Residual of the pressure solver. The pressure at a source is exact to the square of the field's error in
        energy, so a coarse one serves where only the conductance is wanted.
    """
    h = float(operator.spacing_mm[0])
    unit = sorted(set(cells))
    fields: dict[Cell, FloatArray] = {}
    iterations, fallback = 0, ""
    for cell in unit:
        source = np.zeros(operator.shape)
        source[cell] = 1.0
        solution = solve_pressure_surely(operator, source, tolerance=tolerance)
        if not solution.converged:
            return NotEvaluable(
                reason="the tissue at the tip is sealed: no way out for the fluid within the grid"
                if solution.sealed
                else "the pressure around the tip did not converge"
            )
        fields[cell] = solution.pressure_kpa
        iterations += solution.iterations
        fallback = solution.reason or fallback
    resistance = np.zeros((len(unit), len(unit)))
    for i, here in enumerate(unit):
        k = float(tissue.conductivity_mm2_per_kpa_s[here])
        reach = closed_forms.derive_exchange_length_mm(k, float(tissue.exchange_per_kpa_s[here]))
        # Holes in one voxel are spheres side by side: their own resistances in parallel.
        sphere = 1 / (4 * math.pi * k * radius_mm * (1 + radius_mm / reach)) / cells.count(here)
        lattice = lattice_green((h / reach) ** 2) / (k * h)
        for j, there in enumerate(unit):
            resistance[i, j] = fields[there][here]
        resistance[i, i] = max(resistance[i, i] + sphere - lattice, LEAST_RESISTANCE * sphere)
    # A hole whose neighbours push harder than the lumen gives nothing; it does not draw in.
    flows = np.maximum(np.linalg.solve(resistance, np.ones(len(unit))), 0.0)
    total = float(flows.sum())
    share_of = {cell: float(flow) / total / cells.count(cell) for cell, flow in zip(unit, flows, strict=True)}
    shares = tuple(share_of[cell] for cell in cells)
    source, potential = np.zeros(operator.shape), np.zeros(operator.shape)
    for share, cell in zip(shares, cells, strict=True):
        source[cell] += share
        potential += share * fields[cell]
    return HoleNetwork(
        conductance_mm3_per_kpa_s=total,
        shares=shares,
        potential=potential,
        source=source,
        iterations=iterations,
        fallback=fallback,
    )
