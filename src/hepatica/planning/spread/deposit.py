"""One deposit on the map: pressure, budget, cleft, flow, particles, the track it leaves."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from hepatica.core.evidence import EvidenceTable
from hepatica.core.findings import Finding, NotEvaluable
from hepatica.core.geometry import FloatArray
from hepatica.planning.spread.budget import BackflowClass, assess_regime, balance_fluid, classify_backflow
from hepatica.planning.spread.cleft import Cleft, CleftDraw, open_cleft
from hepatica.planning.spread.holes import HoleNetwork, solve_holes
from hepatica.planning.spread.pressure import (
    PressureOperator,
    PressureSolution,
    build_pressure_operator,
)
from hepatica.planning.spread.pressure_fallback import solve_pressure_surely
from hepatica.planning.spread.scene import (
    InjectionSite,
    SpreadScene,
    TrackLine,
    derive_setting,
    trace_backflow,
    trace_track,
)
from hepatica.planning.spread.source import MM3_PER_ML, FluidBalance, SourceLimits, derive_source_limits
from hepatica.planning.spread.tissue import SpreadParameters, SpreadTissue
from hepatica.planning.spread.tissue_map import TissueMap
from hepatica.planning.spread.transport import (
    Kinetics,
    Particles,
    build_flow,
    measure_arrival,
    sweep_particles,
)

CLEFT_CONTRAST: Final = 100.0
"""Conductivity of a cleft over its most conductive tissue: its pressure is the same all over to about a percent,
and rounding of the fluxes inside it stays far below the solver's tolerance."""
CLEFT_PASSES: Final = 2
"""A cleft's size and its leak depend on each other; the second pass changes the volume by under a percent."""
FIRST_RESIDUAL: Final = 1e-5
"""Residual of pressures of which only a conductance is read: it is exact to about the square. Fields that carry
particles are solved on from there to the full tolerance."""
SEALED_CLEFT: Final = "the tissue around the cleft is sealed within the grid"
UNSOLVED_CLEFT: Final = "the pressure around the cleft did not converge"
SWEEP_STEPS: Final = 50
SAME_TRACK_COSINE: Final = 0.9998
"""Needles within a degree run along one track."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class DepositSpread:
    """Where one deposit went; amounts in mm3 of injected fluid, by cell (I, J, K) or in all.

    Parameters
    ----------
    pores_mm3, cleft_mm3, track_mm3
        Particles in pores, in the cleft's fluid, along the needle's track.
    vessel_mm3, outside_mm3, decayed_mm3, beyond_mm3
        Into vessels; out of the liver; lost to decay; out of the working grid.
    volume_mm3
        What was injected; all of the above add up to it.
    tip_pressure_kpa
        Largest excess pressure at the tip.
    hole_shares
        Share of the flow of each hole.
    backflow
        Class of the backflow.
    findings
        Regime checks.
    rest_kpa
        (I, J, K) pressure before the injection.
    iterations
        Of the pressure solver.
    fallback
        Why the second pressure solver was needed; empty where it was not.
    """

    pores_mm3: FloatArray
    cleft_mm3: FloatArray
    track_mm3: FloatArray
    vessel_mm3: float
    outside_mm3: float
    decayed_mm3: float
    beyond_mm3: float
    volume_mm3: float
    tip_pressure_kpa: float
    hole_shares: tuple[float, ...]
    backflow: BackflowClass
    findings: tuple[Finding, ...]
    rest_kpa: FloatArray
    iterations: int
    fallback: str = ""

    @property
    def imbalance_fraction(self) -> float:
        """What is missing or too much, over what was injected."""
        kept = sum(float(part.sum()) for part in (self.pores_mm3, self.cleft_mm3, self.track_mm3))
        kept += self.vessel_mm3 + self.outside_mm3 + self.decayed_mm3 + self.beyond_mm3
        return abs(kept - self.volume_mm3) / self.volume_mm3


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Surroundings:
    """What stays the same for one deposit."""

    scene: SpreadScene
    site: InjectionSite
    tissue: TissueMap
    parameters: SpreadParameters
    line: TrackLine
    limits: EvidenceTable


def _build_operator(tissue: TissueMap, conductivity: FloatArray) -> PressureOperator:
    return build_pressure_operator(
        conductivity, spacing_mm=tissue.grid.spacing_mm, exchange_per_kpa_s=tissue.exchange_per_kpa_s
    )


def _solve_rest(tissue: TissueMap, operator: PressureOperator, before: FloatArray | None) -> FloatArray:
    """Pressure before any injection: vessels pull towards each class's own, sides hold that of their cell.

    ``before`` is that before the last track was opened: a first guess.
    """
    rest = tissue.interstitial_pressure_kpa
    if not operator.exchange_mm3_per_kpa_s.any():
        # Without exchange nothing keeps a difference up.
        return np.zeros(operator.shape)
    sides = np.pad(rest, 1, mode="edge")
    solution = solve_pressure_surely(
        operator,
        np.zeros(operator.shape),
        rest_kpa=rest,
        side_kpa=sides,
        start_kpa=rest if before is None else before,
    )
    return solution.pressure_kpa


def spread_deposit(
    scene: SpreadScene,
    site: InjectionSite,
    *,
    tissue: TissueMap,
    parameters: SpreadParameters,
    cleft_draw: CleftDraw,
    limits: EvidenceTable,
    rest_before_kpa: FloatArray | None = None,
) -> DepositSpread | NotEvaluable:
    """Inject one deposit.

    Tissue and track take the flow up to the pressure limit; the surplus opens a cleft, which leaks at its own
    pressure while it grows, and seeps on for ``seep_time`` or until tissue and track have emptied it.

    Parameters
    ----------
    scene, site
        Place and deposit.
    tissue
        Map of the tissue, with the tracks of earlier deposits in it.
    parameters
        One choice of the uncertain inputs.
    cleft_draw
        One choice of the cleft's place.
    limits
        Limits of validity.
    rest_before_kpa
        (I, J, K) resting pressure of the deposit before this one: a first guess.
    """
    line = trace_backflow(scene, site)
    setting = derive_setting(scene, site, line)
    around = _Surroundings(
        scene=scene, site=site, tissue=tissue, parameters=parameters, line=line, limits=limits
    )
    first = derive_source_limits(setting, parameters, limits=limits)
    if isinstance(first, NotEvaluable):
        return first
    openings = [site.tip_lps_mm + offset * site.back for offset in site.hole_offsets_mm]
    if not all(scene.holds(point) for point in openings):
        return NotEvaluable(reason="a hole of the needle lies outside the working grid")
    cells = tuple(scene.to_cell(point) for point in openings)
    if any(tissue.conductivity_mm2_per_kpa_s[cell] == 0 for cell in cells):
        return NotEvaluable(reason="a hole of the needle lies in a vessel or outside the liver")
    operator = _build_operator(tissue, tissue.conductivity_mm2_per_kpa_s)
    holes = solve_holes(
        operator, tissue, cells=cells, radius_mm=setting.cavity_radius_mm, tolerance=FIRST_RESIDUAL
    )
    if isinstance(holes, NotEvaluable):
        return holes
    source = replace(first, tip_conductance=holes.conductance_mm3_per_kpa_s)
    balance = balance_fluid(source)
    findings = assess_regime(source, balance, limits=limits, spacing_mm=scene.spacing_mm)
    rest = _solve_rest(tissue, operator, rest_before_kpa)
    if balance.cleft_mm3 > 0:
        result = _spread_cleft(around, source, balance, draw=cleft_draw, rest=rest, guess=holes.potential)
    else:
        result = _spread_tip(around, operator, holes, balance, rest=rest, time_s=setting.time_s)
    return _collect(around, result, holes=holes, findings=findings, rest=rest)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Spread:
    """Particles swept, the cleft (None without), the balance, and what the track drained after the end."""

    swept: Particles | None
    cleft: Cleft | None
    balance: FluidBalance
    seeped: tuple[float, float, float]
    iterations: int
    fallback: str = ""


def _spread_tip(
    around: _Surroundings,
    operator: PressureOperator,
    holes: HoleNetwork,
    balance: FluidBalance,
    *,
    rest: FloatArray,
    time_s: float,
) -> _Spread:
    """Inject from the holes alone, below the pressure that opens a cleft."""
    flow = balance.pores_mm3 / time_s
    solution = solve_pressure_surely(operator, holes.source, start_kpa=holes.potential)
    swept = _sweep(
        around,
        operator,
        potential=solution.pressure_kpa * flow,
        source=holes.source * flow,
        rest=rest,
        time_s=time_s,
    )
    return _Spread(
        swept=swept,
        cleft=None,
        balance=balance,
        seeped=(0.0, 0.0, 0.0),
        iterations=solution.iterations,
        fallback=solution.reason,
    )


def _solve_cleft(
    around: _Surroundings, cleft: Cleft, guess: FloatArray
) -> tuple[PressureOperator, PressureSolution, FloatArray]:
    """Return operator, first solution and source for a leak of 1 mm3/s from a cleft."""
    k = np.array(around.tissue.conductivity_mm2_per_kpa_s)
    within = cleft.volume_mm3 >= 0.5 * cleft.volume_mm3.max()
    k[within] = CLEFT_CONTRAST * k[within].max()
    operator = _build_operator(around.tissue, k)
    source = np.where(within, cleft.volume_mm3, 0.0)
    source /= source.sum()
    solution = solve_pressure_surely(operator, source, start_kpa=guess, tolerance=FIRST_RESIDUAL)
    return operator, solution, source


def _spread_cleft(
    around: _Surroundings,
    source: SourceLimits,
    balance: FluidBalance,
    *,
    draw: CleftDraw,
    rest: FloatArray,
    guess: FloatArray,
) -> _Spread | NotEvaluable:
    tip = around.scene.to_grid_mm(np.asarray(around.site.tip_lps_mm, dtype=np.float64))
    iterations, ratio = 0, 1.0
    for _ in range(CLEFT_PASSES):
        balance = balance_fluid(source, cleft_leak_ratio=ratio)
        if balance.cleft_mm3 <= 0:
            # With the leak of the map a pause of the rate profile has closed it: its last shape carries what soaked in.
            break
        radius = source.cleft_radius_mm(balance.cleft_mm3)
        cleft = open_cleft(
            around.tissue,
            tip,
            volume_mm3=balance.cleft_mm3,
            radius_mm=radius,
            half_width_mm=source.cleft_half_width_mm(radius),
            draw=draw,
        )
        operator, solution, inflow = _solve_cleft(around, cleft, guess)
        if not solution.converged:
            return _refuse_cleft(solution)
        guess = solution.pressure_kpa
        iterations += solution.iterations
        leak = source.potential_kpa(source.cleft_kpa) / float((guess * inflow).sum())
        whole = source.cleft_leak(radius)
        ratio = leak / whole if whole > 0 else 1.0
    solution = solve_pressure_surely(operator, inflow, start_kpa=guess)
    if not solution.converged:
        return _refuse_cleft(solution)
    iterations += solution.iterations
    balance = balance_fluid(source, cleft_leak_ratio=ratio)
    return _let_seep(
        around,
        source,
        balance,
        cleft=_fill_cleft(cleft, balance.cleft_mm3),
        leak=leak,
        rest=rest,
        swept_from=(operator, solution, inflow),
        iterations=iterations,
    )


def _refuse_cleft(solution: PressureSolution) -> NotEvaluable:
    return NotEvaluable(reason=SEALED_CLEFT if solution.sealed else UNSOLVED_CLEFT)


def _fill_cleft(cleft: Cleft, volume_mm3: float) -> Cleft:
    """Return the map's cleft holding what the last balance says; its shape is that of the pass before."""
    scale = volume_mm3 / max(float(cleft.volume_mm3.sum()) + cleft.lost_mm3, 1e-300)
    return replace(cleft, volume_mm3=cleft.volume_mm3 * scale, lost_mm3=cleft.lost_mm3 * scale)


def _let_seep(
    around: _Surroundings,
    source: SourceLimits,
    balance: FluidBalance,
    *,
    cleft: Cleft,
    leak: float,
    rest: FloatArray,
    swept_from: tuple[PressureOperator, PressureSolution, FloatArray],
    iterations: int,
) -> _Spread:
    """Let a cleft empty into tissue and track after the injection, and sweep what has soaked in."""
    operator, solution, inflow = swept_from
    held = float(cleft.volume_mm3.sum())
    back = source.backflow(source.cleft_kpa)
    emptying = leak + back.flow_mm3_per_s
    seep = min(around.limits["seep_time"].number * 3600.0, held / emptying if emptying > 0 else math.inf)
    drained = (
        back.into_lesion_mm3_per_s * seep,
        back.into_liver_mm3_per_s * seep,
        back.outside_mm3_per_s * seep,
    )
    soaked = balance.pores_mm3 + leak * seep
    swept = None
    if leak > 0 and soaked > 0:
        swept = _sweep(
            around,
            operator,
            potential=solution.pressure_kpa * leak,
            source=inflow * leak,
            rest=rest,
            time_s=soaked / leak,
        )
    left = max(held - leak * seep - sum(drained), 0.0)
    cleft = replace(cleft, volume_mm3=cleft.volume_mm3 * (left / held if held > 0 else 0.0))
    return _Spread(
        swept=swept,
        cleft=cleft,
        balance=balance,
        seeped=drained,
        iterations=iterations,
        fallback=solution.reason,
    )


def _sweep(
    around: _Surroundings,
    operator: PressureOperator,
    *,
    potential: FloatArray,
    source: FloatArray,
    rest: FloatArray,
    time_s: float,
) -> Particles | None:
    if not source.any() or time_s <= 0:
        return None
    tissue = around.tissue
    flow = build_flow(
        operator,
        potential + rest,
        source_mm3_per_s=source,
        rest_kpa=tissue.interstitial_pressure_kpa if rest.any() else None,
        side_kpa=tissue.interstitial_pressure_kpa if rest.any() else 0.0,
    )
    speed = around.parameters.sieving_fraction
    arrival = measure_arrival(flow, porosity=tissue.porosity_fraction, speed=speed)
    return sweep_particles(
        flow,
        porosity=tissue.porosity_fraction,
        time_s=time_s,
        steps=SWEEP_STEPS,
        kinetics=Kinetics(decay_per_s=around.parameters.decay_per_s, sieving_fraction=speed),
        reflection=tissue.reflection_fraction,
        arrival=arrival,
    )


def _collect(
    around: _Surroundings,
    result: _Spread | NotEvaluable,
    *,
    holes: HoleNetwork,
    findings: tuple[Finding, ...],
    rest: FloatArray,
) -> DepositSpread | NotEvaluable:
    if isinstance(result, NotEvaluable):
        return result
    balance, swept, cleft = result.balance, result.swept, result.cleft
    empty = np.zeros(around.scene.grid.shape)
    lost = cleft.lost_mm3 if cleft is not None else 0.0
    to_vessel = lost if cleft is not None and cleft.met is SpreadTissue.VESSEL else 0.0
    track = _lay_track(
        around,
        lesion=balance.track_lesion_mm3 + result.seeped[0],
        liver=balance.track_liver_mm3 + result.seeped[1],
        length_mm=balance.backflow_length_mm,
    )
    return DepositSpread(
        pores_mm3=empty if swept is None else swept.total_mm3,
        cleft_mm3=empty if cleft is None else cleft.volume_mm3,
        track_mm3=track,
        vessel_mm3=to_vessel + (0.0 if swept is None else swept.vessel_mm3),
        outside_mm3=balance.track_outside_mm3 + result.seeped[2] + lost - to_vessel,
        decayed_mm3=0.0 if swept is None else swept.decayed_mm3,
        beyond_mm3=0.0 if swept is None else swept.side_mm3,
        volume_mm3=around.site.volume_ml * MM3_PER_ML,
        tip_pressure_kpa=balance.tip_pressure_kpa,
        hole_shares=holes.shares,
        backflow=classify_backflow(balance, around.line.track, volume_mm3=around.site.volume_ml * MM3_PER_ML),
        findings=findings,
        rest_kpa=rest,
        iterations=holes.iterations + result.iterations,
        fallback=holes.fallback or result.fallback,
    )


def _lay_track(around: _Surroundings, *, lesion: float, liver: float, length_mm: float) -> FloatArray:
    """Lay what the track drains along its samples, falling with the pressure: ``(1 - z / L)^(2/3)``."""
    line = around.line
    weight = np.maximum(1 - line.depth_mm / max(length_mm, 1e-9), 0.0) ** (2 / 3)
    amounts = np.zeros(line.depth_mm.size)
    for amount, where in ((lesion, line.in_lesion), (liver, ~line.in_lesion)):
        if amount <= 0:
            continue
        # Liver beyond the grid, or a front that dies before its first sample: the nearest sample takes it all.
        at = where if where.any() else np.arange(amounts.size) == amounts.size - 1
        share = np.where(at, weight, 0.0)
        if share.sum() == 0:
            share = np.zeros(amounts.size)
            share[int(np.argmax(at))] = 1.0
        amounts += amount * share / share.sum()
    grid = np.zeros(math.prod(around.scene.grid.shape))
    np.add.at(grid, line.cells, amounts)
    return grid.reshape(around.scene.grid.shape)


def _measure_withdrawal(scene: SpreadScene, site: InjectionSite, following: InjectionSite | None) -> float:
    """How far up its track a needle has left the tissue: to the next tip where that lies on the track, else wholly."""
    if following is None:
        return math.inf
    way = np.asarray(following.tip_lps_mm, dtype=np.float64) - site.tip_lps_mm
    depth = float(way @ site.back)
    aside = float(np.linalg.norm(way - depth * site.back))
    same = aside < scene.spacing_mm / 2 and float(following.back @ site.back) > SAME_TRACK_COSINE
    return depth if same and depth > 0 else math.inf


def open_track(
    scene: SpreadScene,
    site: InjectionSite,
    *,
    tissue: TissueMap,
    parameters: SpreadParameters,
    limits: EvidenceTable,
    following: InjectionSite | None = None,
) -> TissueMap:
    """Return the map with the track of a withdrawn needle as a line of raised conductivity.

    The gap that the limit pressure opens around the needle stays: its lubrication flow for each voxel's
    cross-section is added along the line. Where the next deposit lies on the same track, the needle is still in
    what is above it: only the way between the two tips is open.
    """
    line = trace_track(scene, site)
    k = np.array(tissue.conductivity_mm2_per_kpa_s)
    left = line.cells[line.depth_mm < _measure_withdrawal(scene, site, following)]
    cells = np.unravel_index(np.unique(left), k.shape)
    gap = (
        parameters.track_gap_fraction * parameters.cavitation_ratio * site.needle_radius_mm / 2
    )  # p r / (2 G) at p = ratio G
    added = (
        2 * math.pi * site.needle_radius_mm * gap**3 / (12 * parameters.viscosity_kpa_s * scene.spacing_mm**2)
    )
    porous = k[cells] > 0
    cap = limits["track_voxel_conductivity_cap"].number
    k[cells] = np.where(porous, np.minimum(k[cells] + added, cap * k[cells]), 0.0)
    return replace(tissue, conductivity_mm2_per_kpa_s=k)
