"""A pressure-limited source: what it is given, what it can give at its pressures, and how a steady flow is shared."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Final

from hepatica.core.errors import InputError
from hepatica.core.evidence import EvidenceTable
from hepatica.core.findings import NotEvaluable
from hepatica.planning.spread import closed_forms
from hepatica.planning.spread.backflow import Backflow, Track, derive_gap_constant, measure_backflow
from hepatica.planning.spread.rate import RateStep, check_steps, scale_steps
from hepatica.planning.spread.tissue import (
    MM3_PER_S_PER_ML_PER_MIN,
    POROUS,
    SpreadParameters,
    SpreadTissue,
    TissueValues,
    read_limits,
)

MM3_PER_ML: Final = 1000.0
BISECTIONS: Final = 50
"""Halvings of a bracket: the last changes nothing a double can show of clinical volumes."""
GROWTH_MEAN: Final = 0.75
"""Mean over time of a leak that grows as the cube root of time, over its last value."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceSetting:
    """One deposit as the budget sees it.

    Parameters
    ----------
    volume_ml, rate_ml_per_min
        What is given, and how fast; both above 0.
    tissue
        Class at the tip.
    cavity_radius_mm
        Radius of the opening: half the needle's outer diameter, or the cavity it made.
    track
        The needle's way back.
    lesion_volume_ml
        Volume of the lesion it serves.
    edge_distance_mm, vessel_distance_mm, outside_distance_mm
        From the tip to the lesion's edge, to the next vessel, to the capsule; inf where there is none.
    steps
        Rate profile; empty for a constant rate. Volume and mean rate are those of the profile.
    """

    volume_ml: float
    rate_ml_per_min: float
    tissue: SpreadTissue
    cavity_radius_mm: float
    track: Track
    lesion_volume_ml: float
    edge_distance_mm: float
    vessel_distance_mm: float = math.inf
    outside_distance_mm: float = math.inf
    steps: tuple[RateStep, ...] = ()

    def __post_init__(self) -> None:
        """Refuse amounts that are no injection."""
        if not (0 < self.volume_ml < math.inf and 0 < self.rate_ml_per_min < math.inf):
            raise InputError(
                expected="a volume and a rate above 0",
                given=f"{self.volume_ml:g} mL at {self.rate_ml_per_min:g} mL/min",
                where="deposit",
                action="leave out deposits of nothing",
            )
        if not (self.cavity_radius_mm > 0 and self.lesion_volume_ml > 0):
            raise InputError(
                expected="an opening and a lesion larger than nothing",
                given=f"radius {self.cavity_radius_mm:g} mm, lesion {self.lesion_volume_ml:g} mL",
                where="deposit",
            )

        check_steps(
            self.steps, volume_ml=self.volume_ml, rate_ml_per_min=self.rate_ml_per_min, where="deposit"
        )

    def with_volume(self, volume_ml: float) -> SourceSetting:
        """Return the same deposit with another volume, given at the same rates for proportionally longer."""
        return replace(
            self, volume_ml=volume_ml, steps=scale_steps(self.steps, factor=volume_ml / self.volume_ml)
        )

    @property
    def flow_mm3_per_s(self) -> float:
        """Rate of injection."""
        return self.rate_ml_per_min * MM3_PER_S_PER_ML_PER_MIN

    @property
    def time_s(self) -> float:
        """Length of the injection."""
        return self.volume_ml * MM3_PER_ML / self.flow_mm3_per_s


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceLimits:
    """What a source gives at its pressures, all as excess over the tissue's own; flows in mm3/s.

    Parameters
    ----------
    limit_kpa, cleft_kpa
        Pressure that opens a cleft, and that keeps it open.
    tip_conductance
        Flow into tissue from the tip for each kPa of Kirchhoff potential.
    """

    setting: SourceSetting
    parameters: SpreadParameters
    limit_kpa: float
    cleft_kpa: float
    tip_conductance: float
    exponent_cap_ratio: float

    @property
    def values(self) -> TissueValues:
        """Numbers of the tissue at the tip."""
        return self.parameters.tissues[self.setting.tissue]

    @property
    def aggregate_kpa(self) -> float:
        """H of the tissue at the tip."""
        return self.values.shear_modulus_kpa * self.parameters.stiffness_ratio

    def potential_kpa(self, pressure_kpa: float) -> float:
        """Kirchhoff potential of an excess pressure; 0 below the threshold of viable tumour."""
        tumour = self.setting.tissue is SpreadTissue.VIABLE
        if tumour and pressure_kpa <= self.parameters.threshold_pressure_kpa:
            return 0.0
        return closed_forms.raise_kirchhoff(
            pressure_kpa,
            exponent=self.parameters.strain_exponent,
            aggregate_kpa=self.aggregate_kpa,
            cap=self.exponent_cap_ratio,
        )

    def tip_flow(self, pressure_kpa: float) -> float:
        """Flow from the tip into tissue."""
        return self.tip_conductance * self.potential_kpa(pressure_kpa)

    def backflow(self, pressure_kpa: float) -> Backflow:
        """Flow back along the needle."""
        gap = derive_gap_constant(
            needle_radius_mm=self.setting.track.needle_radius_mm,
            shear_kpa=self.values.shear_modulus_kpa,
            viscosity_kpa_s=self.parameters.viscosity_kpa_s,
            gap_fraction=self.parameters.track_gap_fraction,
        )
        return measure_backflow(
            pressure_kpa,
            track=self.setting.track,
            gap=gap,
            conductivity=self.values.conductivity_mm2_per_kpa_s,
            prestress_kpa=self.parameters.needle_prestress_kpa,
        )

    def cleft_volume_mm3(self, radius_mm: float) -> float:
        """Volume of a penny crack of that radius held open at the cleft pressure, incompressible: 4 p c^3 / (3 G)."""
        return 4 / 3 * self.cleft_kpa * radius_mm**3 / self.values.shear_modulus_kpa

    def cleft_radius_mm(self, volume_mm3: float) -> float:
        """Radius of the penny crack of a volume."""
        return float((0.75 * self.values.shear_modulus_kpa * volume_mm3 / self.cleft_kpa) ** (1 / 3))

    def cleft_half_width_mm(self, radius_mm: float) -> float:
        """Half aperture in the middle of the crack: p c / (pi G)."""
        return self.cleft_kpa * radius_mm / (math.pi * self.values.shear_modulus_kpa)

    def cleft_leak(self, radius_mm: float) -> float:
        """Flow from the cleft's surface into tissue."""
        half = self.cleft_half_width_mm(radius_mm)
        reach = closed_forms.derive_exchange_length_mm(
            self.values.conductivity_mm2_per_kpa_s, self.values.exchange_per_kpa_s
        )
        shape = closed_forms.spheroid_conductance_mm(radius_mm, half)
        # Exact for a sphere: vessels add surface over exchange length to the shape's conductance.
        shape += closed_forms.spheroid_surface_mm2(radius_mm, half) / reach
        return self.values.conductivity_mm2_per_kpa_s * shape * self.potential_kpa(self.cleft_kpa)


def derive_source_limits(
    setting: SourceSetting,
    parameters: SpreadParameters,
    *,
    limits: EvidenceTable | None = None,
    tip_conductance: float | None = None,
) -> SourceLimits | NotEvaluable:
    """Derive what a source can give, or say why the model does not apply to it.

    Parameters
    ----------
    setting, parameters
        Deposit, and one choice of the uncertain inputs.
    limits
        Limits of validity; the shipped ones by default.
    tip_conductance
        Flow for each kPa from a solved pressure field; by default of a sphere in endless tissue.
    """
    limits = read_limits() if limits is None else limits
    if setting.tissue not in POROUS:
        return NotEvaluable(reason=f"the tip lies in {setting.tissue.name.lower()}, not in tissue")
    share, most = setting.volume_ml / setting.lesion_volume_ml, limits["volume_share_limit"].number
    if share > most:
        return NotEvaluable(
            reason=f"{setting.volume_ml:g} mL is {share:.0%} of the lesion's volume; the model holds to {most:.0%}"
        )
    values = parameters.tissues[setting.tissue]
    k = values.conductivity_mm2_per_kpa_s
    if k == 0:
        return NotEvaluable(
            reason="the tissue at the tip has no conductivity: only a crack could take the fluid"
        )
    a = setting.cavity_radius_mm
    reach = closed_forms.derive_exchange_length_mm(k, values.exchange_per_kpa_s)
    limit = parameters.cavitation_ratio * values.shear_modulus_kpa
    return SourceLimits(
        setting=setting,
        parameters=parameters,
        limit_kpa=limit,
        cleft_kpa=parameters.cleft_pressure_fraction * limit,
        tip_conductance=4 * math.pi * k * a * (1 + a / reach) if tip_conductance is None else tip_conductance,
        exponent_cap_ratio=limits["strain_exponent_cap"].number,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class FluidBalance:
    """Volumes at the end of the injection, mm3; they add up to the volume given.

    Parameters
    ----------
    pores_mm3, cleft_mm3
        In tissue, and in the cleft before it meets anything.
    track_lesion_mm3, track_liver_mm3, track_outside_mm3
        Backflow by where it drains.
    tip_pressure_kpa
        Excess pressure at the tip.
    backflow_length_mm
        Where the backflow would die.
    """

    pores_mm3: float
    cleft_mm3: float
    track_lesion_mm3: float
    track_liver_mm3: float
    track_outside_mm3: float
    tip_pressure_kpa: float
    backflow_length_mm: float


def balance_steady(source: SourceLimits, *, cleft_leak_ratio: float = 1.0) -> FluidBalance:
    """Share the volume of a deposit given at a constant rate among tissue, track and cleft.

    Below the limit the tip pressure is the one at which tissue and track take the whole flow. At the limit a
    cleft opens; it grows by what its own surface and the track do not take.

    Parameters
    ----------
    source
        What the source gives at its pressures.
    cleft_leak_ratio
        Leak of the cleft from a solved pressure field over that of the closed form.
    """
    setting = source.setting
    flow, time = setting.flow_mm3_per_s, setting.time_s
    volume = setting.volume_ml * MM3_PER_ML
    top = source.limit_kpa
    if source.tip_flow(top) + source.backflow(top).flow_mm3_per_s >= flow:
        low, high = 0.0, top
        for _ in range(BISECTIONS):
            middle = 0.5 * (low + high)
            taken = source.tip_flow(middle) + source.backflow(middle).flow_mm3_per_s
            low, high = (middle, high) if taken < flow else (low, middle)
        back = source.backflow(high)
        # At a threshold the flow into tissue jumps: the track keeps its part, tissue takes the rest.
        run = min(back.flow_mm3_per_s, flow)
        return to_balance(back, run=run, pores=(flow - run) * time, cleft=0.0, time=time, pressure=high)
    back = source.backflow(source.cleft_kpa)
    left = volume - back.flow_mm3_per_s * time
    low, high = 0.0, source.cleft_radius_mm(left)
    for _ in range(BISECTIONS):
        middle = 0.5 * (low + high)
        leaked = GROWTH_MEAN * cleft_leak_ratio * source.cleft_leak(middle) * time if middle > 0 else 0.0
        full = source.cleft_volume_mm3(middle) + leaked
        low, high = (middle, high) if full < left else (low, middle)
    cleft = min(source.cleft_volume_mm3(low), left)
    return to_balance(back, run=back.flow_mm3_per_s, pores=left - cleft, cleft=cleft, time=time, pressure=top)


def to_balance(
    back: Backflow, *, run: float, pores: float, cleft: float, time: float, pressure: float
) -> FluidBalance:
    """Write volumes of a steady state that lasted a time; ``run`` is the part of the backflow's flow that ran."""
    scale = run / back.flow_mm3_per_s * time if back.flow_mm3_per_s > 0 else 0.0
    return FluidBalance(
        pores_mm3=pores,
        cleft_mm3=cleft,
        track_lesion_mm3=scale * back.into_lesion_mm3_per_s,
        track_liver_mm3=scale * back.into_liver_mm3_per_s,
        track_outside_mm3=scale * back.outside_mm3_per_s,
        tip_pressure_kpa=pressure,
        backflow_length_mm=back.length_mm,
    )
