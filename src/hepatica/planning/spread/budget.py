"""Where the fluid of a pressure-limited source goes, in closed form: tissue, cleft, needle track, vessels."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from hepatica.core.evidence import EvidenceTable
from hepatica.core.findings import Finding, NotEvaluable, Severity
from hepatica.planning.spread import closed_forms
from hepatica.planning.spread.backflow import Track
from hepatica.planning.spread.profile import balance_profile
from hepatica.planning.spread.rate import merge_steps
from hepatica.planning.spread.source import (
    MM3_PER_ML as MM3_PER_ML,
)
from hepatica.planning.spread.source import (
    FluidBalance as FluidBalance,
)
from hepatica.planning.spread.source import (
    SourceLimits as SourceLimits,
)
from hepatica.planning.spread.source import (
    SourceSetting as SourceSetting,
)
from hepatica.planning.spread.source import (
    balance_steady,
)
from hepatica.planning.spread.source import (
    derive_source_limits as derive_source_limits,
)
from hepatica.planning.spread.tissue import (
    MM3_PER_S_PER_ML_PER_MIN,
    TUMOUR,
    SpreadParameters,
    SpreadTissue,
    read_limits,
)


class BackflowClass(StrEnum):
    """How far fluid runs back along the needle."""

    CONTAINED = "contained"
    """It dies within the lesion."""
    BEYOND_LESION = "leaves the lesion"
    REACHES_CAPSULE = "reaches the capsule"
    OPEN = "open"
    """More than half of the injected fluid leaves the liver along the needle."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SpreadBudget:
    """Where a deposit's fluid is when the injection ends; the six shares add up to 1.

    Parameters
    ----------
    pores_fraction, cleft_fraction
        In the pores of tissue, and in a cleft the surplus opened, as far as it stays short of vessel and capsule.
    track_lesion_fraction, track_liver_fraction
        Drained from the needle's track within the lesion, and between lesion and capsule.
    outside_fraction, vessel_fraction
        Out of the liver along the needle or through the capsule; into a vessel.
    spill_fraction
        Out of the lesion by any way, pores beyond its edge included.
    tip_pressure_kpa, limit_pressure_kpa
        Excess pressure needed at the tip, at most the limit; the limit.
    contained_flow_ml_per_min
        Largest flow tissue and track take without a cleft.
    cleft_radius_mm, reach_mm
        Radius of the cleft; radius within which the fluid lies.
    backflow
        Class of the backflow.
    findings
        Regime checks that ask for a person's eye.
    """

    pores_fraction: float
    cleft_fraction: float
    track_lesion_fraction: float
    track_liver_fraction: float
    outside_fraction: float
    vessel_fraction: float
    spill_fraction: float
    tip_pressure_kpa: float
    limit_pressure_kpa: float
    contained_flow_ml_per_min: float
    cleft_radius_mm: float
    reach_mm: float
    backflow: BackflowClass
    findings: tuple[Finding, ...] = ()


def balance_fluid(source: SourceLimits, *, cleft_leak_ratio: float = 1.0) -> FluidBalance:
    """Share the volume of a deposit among tissue, track and cleft, at a constant rate or along a rate profile.

    Parameters
    ----------
    source
        What the source gives at its pressures.
    cleft_leak_ratio
        Leak of the cleft from a solved pressure field over that of the closed form.
    """
    steps = merge_steps(source.setting.steps)
    if len(steps) < 2:
        return balance_steady(source, cleft_leak_ratio=cleft_leak_ratio)
    return balance_profile(source, steps, cleft_leak_ratio=cleft_leak_ratio)


def classify_backflow(balance: FluidBalance, track: Track, *, volume_mm3: float) -> BackflowClass:
    """Say how far fluid runs back."""
    if balance.track_outside_mm3 > 0.5 * volume_mm3:
        return BackflowClass.OPEN
    if balance.track_outside_mm3 > 0:
        return BackflowClass.REACHES_CAPSULE
    if balance.track_liver_mm3 > 0:
        return BackflowClass.BEYOND_LESION
    return BackflowClass.CONTAINED


def assess_regime(
    source: SourceLimits, balance: FluidBalance, *, limits: EvidenceTable, spacing_mm: float | None = None
) -> tuple[Finding, ...]:
    """Check the assumptions behind the numbers.

    Parameters
    ----------
    source, balance
        The source and its balance.
    limits
        Limits of validity.
    spacing_mm
        Voxel of the grid, where one is used.
    """
    values, setting = source.values, source.setting
    k = values.conductivity_mm2_per_kpa_s
    reach = closed_forms.derive_exchange_length_mm(k, values.exchange_per_kpa_s)
    settle = closed_forms.consolidation_time_s(
        setting.cavity_radius_mm, conductivity=k, aggregate_kpa=source.aggregate_kpa
    )
    strain = balance.tip_pressure_kpa / source.aggregate_kpa
    found = [
        (
            strain > limits["strain_limit"].number,
            "strain_limit",
            strain,
            "The tip's pressure opens the tissue's pores: flow follows the strain-dependent law.",
        ),
        (
            balance.cleft_mm3 > 0,
            "cleft",
            source.limit_kpa,
            "The tissue cannot take this flow: the surplus opens a cleft.",
        ),
        (
            setting.time_s / settle < limits["quasi_static_limit"].number,
            "quasi_static_limit",
            setting.time_s / settle,
            "The injection ends before the pressure at the tip has settled: flow into tissue is under-stated.",
        ),
        (
            spacing_mm is not None and reach / spacing_mm < limits["grid_exchange_limit"].number,
            "grid_exchange_limit",
            reach / (spacing_mm or 1.0),
            "Vessels take the fluid within less than a voxel: its spread is not resolved.",
        ),
    ]  # fmt: skip
    return tuple(_list_tip(setting.tissue)) + tuple(
        Finding.from_limit(
            limits[key], rule=f"spread.{key}", severity=Severity.WARNING, message=message, measured=measured
        )
        if key in limits.entries
        else Finding(
            rule=f"spread.{key}",
            severity=Severity.WARNING,
            message=message,
            measured=measured,
            unit="kpa",
        )
        for holds, key, measured, message in found
        if holds
    )


def _list_tip(tissue: SpreadTissue) -> Iterator[Finding]:
    if tissue not in TUMOUR:
        yield Finding(
            rule="spread.tip_outside_tumour",
            severity=Severity.WARNING,
            message=f"The tip lies in {tissue.name.lower()}, not in tumour: what is given starts outside the lesion.",
            measured=tissue.name.lower(),
            source="rule of this program: a deposit belongs to a tumour",
        )


def assess_budget(
    setting: SourceSetting, parameters: SpreadParameters, *, limits: EvidenceTable | None = None
) -> SpreadBudget | NotEvaluable:
    """Say where the fluid of one deposit goes, in closed form, with distances instead of a map.

    A cleft that is wider than the way to a vessel or the capsule, in the worst direction, loses what comes after
    contact.

    Examples
    --------
    >>> from hepatica.planning.spread.tissue import derive_parameters
    >>> setting = SourceSetting(
    ...     volume_ml=1.0, rate_ml_per_min=1.0, tissue=SpreadTissue.VIABLE, cavity_radius_mm=0.36,
    ...     track=Track(needle_radius_mm=0.36, depth_in_lesion_mm=12.0, depth_in_liver_mm=40.0),
    ...     lesion_volume_ml=14.0, edge_distance_mm=12.0)
    >>> budget = assess_budget(setting, derive_parameters())
    >>> budget.cleft_fraction > 0.5
    True
    """
    limits = read_limits() if limits is None else limits
    source = derive_source_limits(setting, parameters, limits=limits)
    if isinstance(source, NotEvaluable):
        return source
    balance = balance_fluid(source)
    volume = setting.volume_ml * MM3_PER_ML
    radius = source.cleft_radius_mm(balance.cleft_mm3) if balance.cleft_mm3 > 0 else 0.0
    barrier = min(setting.vessel_distance_mm, setting.outside_distance_mm)
    held = balance.cleft_mm3 * min(1.0, barrier / radius) ** 3 if radius > 0 else 0.0
    lost = balance.cleft_mm3 - held
    to_vessel = lost if setting.vessel_distance_mm <= setting.outside_distance_mm else 0.0
    outside = balance.track_outside_mm3 + lost - to_vessel
    radius = min(radius, barrier)
    reach = (radius**3 + 3 * balance.pores_mm3 / (4 * math.pi * source.values.porosity_fraction)) ** (1 / 3)
    beyond = 1 - min(1.0, setting.edge_distance_mm / reach) ** 3 if reach > 0 else 0.0
    beyond_cleft = 1 - min(1.0, setting.edge_distance_mm / radius) ** 3 if radius > 0 else 0.0
    spilled = balance.track_liver_mm3 + outside + to_vessel + beyond * balance.pores_mm3 + beyond_cleft * held
    top = source.limit_kpa
    taken = source.tip_flow(top) + source.backflow(top).flow_mm3_per_s
    return SpreadBudget(
        pores_fraction=balance.pores_mm3 / volume,
        cleft_fraction=held / volume,
        track_lesion_fraction=balance.track_lesion_mm3 / volume,
        track_liver_fraction=balance.track_liver_mm3 / volume,
        outside_fraction=outside / volume,
        vessel_fraction=to_vessel / volume,
        spill_fraction=spilled / volume,
        tip_pressure_kpa=balance.tip_pressure_kpa,
        limit_pressure_kpa=top,
        contained_flow_ml_per_min=taken / MM3_PER_S_PER_ML_PER_MIN,
        cleft_radius_mm=radius,
        reach_mm=reach,
        backflow=classify_backflow(balance, setting.track, volume_mm3=volume),
        findings=assess_regime(source, balance, limits=limits),
    )
