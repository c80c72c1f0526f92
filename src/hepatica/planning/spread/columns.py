"""The algebraic budget of many sources under many draws at once: the same equations as `budget`, as columns.

Arrays are (sources, draws). Pressures of a source do not depend on its volume, so they are found once; volumes
follow from them. Agreement with the budget of a single source is part of the tests.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Final

import numpy as np

from hepatica.core.geometry import BoolArray, FloatArray
from hepatica.planning.spread.backflow import CLOSED_FROM, tabulate_constants, trace_profile
from hepatica.planning.spread.source import GROWTH_MEAN, MM3_PER_ML, SourceSetting
from hepatica.planning.spread.tissue import SpreadParameters, SpreadTissue

HALVINGS: Final = 40
"""A bracket of some kPa or mm shrinks to 1e-11 of it."""
TABLE_NODES: Final = 201


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SourceColumns:
    """Numbers of each source under each draw; all (sources, draws) or broadcastable to it, in mm, kPa and s.

    Parameters
    ----------
    conductivity, exchange_length_mm, shear_kpa, aggregate_kpa, porosity
        Of the tissue at the tip.
    limit_kpa, cleft_kpa, threshold_kpa, prestress_kpa
        Pressure that opens a cleft, that keeps it open, below which no flow starts (0 outside viable tumour), grip.
    exponent, gap
        M of the strain law, and a of the backflow.
    flow_mm3_per_s, cavity_radius_mm, needle_radius_mm, depth_in_lesion_mm, depth_in_liver_mm
        (sources, 1) rate, opening and track.
    cap_ratio
        Cap of the strain law's exponent.
    """

    conductivity: FloatArray
    exchange_length_mm: FloatArray
    shear_kpa: FloatArray
    aggregate_kpa: FloatArray
    porosity: FloatArray
    limit_kpa: FloatArray
    cleft_kpa: FloatArray
    threshold_kpa: FloatArray
    prestress_kpa: FloatArray
    exponent: FloatArray
    gap: FloatArray
    flow_mm3_per_s: FloatArray
    cavity_radius_mm: FloatArray
    needle_radius_mm: FloatArray
    depth_in_lesion_mm: FloatArray
    depth_in_liver_mm: FloatArray
    cap_ratio: float


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PressureColumns:
    """What each source does at its own pressure, whatever its volume; (sources, draws), flows in mm3/s.

    Parameters
    ----------
    cleft
        Whether tissue and track cannot take the flow below the limit.
    tip_kpa
        Excess pressure at the tip, the limit where a cleft opens.
    into_lesion, into_liver, outside
        Backflow by where it drains.
    cleft_leak_kpa
        Kirchhoff potential of the cleft's pressure.
    """

    cleft: BoolArray
    tip_kpa: FloatArray
    into_lesion: FloatArray
    into_liver: FloatArray
    outside: FloatArray
    cleft_leak_kpa: FloatArray


def tabulate_sources(
    settings: Sequence[SourceSetting], choices: Sequence[SpreadParameters], *, cap_ratio: float
) -> SourceColumns:
    """Write the numbers of every source under every draw into columns; every tip in porous tissue."""

    def draw(read: str) -> FloatArray:
        return np.array([[getattr(choice, read) for choice in choices]])

    def tissue(read: str) -> FloatArray:
        known = {
            kind: np.array([getattr(choice.tissues[kind], read) for choice in choices])
            for kind in {setting.tissue for setting in settings}
        }
        return np.stack([known[setting.tissue] for setting in settings])

    def own(values: Sequence[float]) -> FloatArray:
        return np.array(values, dtype=np.float64)[:, None]

    k, exchange = tissue("conductivity_mm2_per_kpa_s"), tissue("exchange_per_kpa_s")
    shear = tissue("shear_modulus_kpa")
    limit = draw("cavitation_ratio") * shear
    viable = own([float(setting.tissue is SpreadTissue.VIABLE) for setting in settings])
    radius = own([setting.track.needle_radius_mm for setting in settings])
    gap = math.pi * radius**4 / (48 * draw("viscosity_kpa_s") * shear**3) * draw("track_gap_fraction") ** 3
    with np.errstate(divide="ignore"):
        reach = np.where(exchange > 0, np.sqrt(k / np.where(exchange > 0, exchange, 1.0)), math.inf)
    return SourceColumns(
        conductivity=k,
        exchange_length_mm=reach,
        shear_kpa=shear,
        aggregate_kpa=shear * draw("stiffness_ratio"),
        porosity=tissue("porosity_fraction"),
        limit_kpa=limit,
        cleft_kpa=draw("cleft_pressure_fraction") * limit,
        threshold_kpa=viable * draw("threshold_pressure_kpa"),
        prestress_kpa=np.broadcast_to(draw("needle_prestress_kpa"), k.shape),
        exponent=np.broadcast_to(draw("strain_exponent"), k.shape),
        gap=gap,
        flow_mm3_per_s=own([setting.flow_mm3_per_s for setting in settings]),
        cavity_radius_mm=own([setting.cavity_radius_mm for setting in settings]),
        needle_radius_mm=radius,
        depth_in_lesion_mm=own([setting.track.depth_in_lesion_mm for setting in settings]),
        depth_in_liver_mm=own([setting.track.depth_in_liver_mm for setting in settings]),
        cap_ratio=cap_ratio,
    )


def derive_potential(source: SourceColumns, pressure_kpa: FloatArray) -> FloatArray:
    """Kirchhoff potential of an excess pressure, 0 up to the threshold."""
    m = np.maximum(source.exponent, 1e-12)
    x = m * pressure_kpa / source.aggregate_kpa
    cap = source.cap_ratio
    bent = np.expm1(np.minimum(x, cap)) + math.exp(cap) * np.maximum(x - cap, 0.0)
    potential = np.where(source.exponent > 0, source.aggregate_kpa / m * bent, pressure_kpa)
    return np.where((source.threshold_kpa > 0) & (pressure_kpa <= source.threshold_kpa), 0.0, potential)


@cache
def _flux_table() -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return (k, root, table): scaled flux by the root of the integration constant and by place, both even.

    The flux at the end goes with that root, so a table even in it has no singular edge.
    """
    k, constant = tabulate_constants()
    root = np.linspace(0.0, math.sqrt(constant[0]), TABLE_NODES)
    tight = np.interp(root**2, constant[::-1], k[::-1])
    places = np.linspace(0.0, 1.0, TABLE_NODES)
    rows = []
    for leak, c in zip(tight, root**2, strict=True):
        z, flux = trace_profile(float(leak), float(c))
        rows.append(np.interp(places, z / z[-1], flux))
    return k, np.sqrt(constant), np.stack(rows)


def _flux_at(k: FloatArray, place: FloatArray) -> FloatArray:
    """Scaled flux that passes a place of tracks that stay open, by bilinear interpolation."""
    nodes, roots, table = _flux_table()
    top = TABLE_NODES - 1
    u = np.sqrt(np.interp(k, nodes, roots**2)) / roots[0] * top
    v = place * top
    i, j = np.minimum(u.astype(np.int64), top - 1), np.minimum(v.astype(np.int64), top - 1)
    a, b = u - i, v - j
    return np.asarray(
        (1 - a) * ((1 - b) * table[i, j] + b * table[i, j + 1])
        + a * ((1 - b) * table[i + 1, j] + b * table[i + 1, j + 1])
    )


def measure_backflow_columns(
    source: SourceColumns, pressure_kpa: FloatArray
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return the backflow into lesion, into liver and out of the liver at a tip's excess pressure."""
    p0 = np.maximum(pressure_kpa - source.prestress_kpa, 0.0)
    run = p0 > 0
    p = np.where(run, p0, 1.0)
    depth = np.broadcast_to(source.depth_in_liver_mm, p.shape)
    length = depth
    scale = source.gap * p**3
    for _ in range(20):
        reach = np.clip(length, source.needle_radius_mm, depth)
        leak = (
            2 * math.pi * source.conductivity / np.maximum(np.log(2 * reach / source.needle_radius_mm), 1.0)
        )
        before, length = length, np.sqrt(10 * scale / (9 * leak))
        if np.abs(length - before).max() <= 1e-13 * length.max():
            break
    k = leak * depth**2 / scale
    closed = k >= CLOSED_FROM
    total = np.where(closed, 2 / 3 * scale * p / length, 0.0)
    left = total * np.maximum(1 - source.depth_in_lesion_mm / length, 0.0) ** (5 / 3)
    out = np.zeros(p.shape)
    still = ~closed & run
    if still.any():
        whole = (scale * p / depth)[still]
        tight = k[still]
        lesion = np.minimum(np.broadcast_to(source.depth_in_lesion_mm, p.shape)[still] / depth[still], 1.0)
        total[still] = whole * _flux_at(tight, np.zeros(tight.shape))
        left[still] = whole * _flux_at(tight, lesion)
        out[still] = whole * _flux_at(tight, np.ones(tight.shape))
    return (
        np.where(run, total - left, 0.0),
        np.where(run, left - out, 0.0),
        np.where(run, out, 0.0),
    )


def find_pressures(source: SourceColumns) -> PressureColumns:
    """Find the tip pressure at which tissue and track take the flow, or the limit at which a cleft opens."""
    a = source.cavity_radius_mm
    tip = 4 * math.pi * source.conductivity * a * (1 + a / source.exchange_length_mm)
    flow = np.broadcast_to(source.flow_mm3_per_s, source.limit_kpa.shape)

    def take(pressure: FloatArray) -> FloatArray:
        return tip * derive_potential(source, pressure) + sum(measure_backflow_columns(source, pressure))

    cleft = take(source.limit_kpa) < flow
    low, high = np.zeros(flow.shape), np.array(source.limit_kpa)
    if not cleft.all():
        for _ in range(HALVINGS):
            middle = 0.5 * (low + high)
            less = take(middle) < flow
            low, high = np.where(less, middle, low), np.where(less, high, middle)
    pressure = np.where(cleft, source.cleft_kpa, high)
    parts = measure_backflow_columns(source, pressure)
    whole = sum(parts)
    # At a threshold the flow into tissue jumps: the track keeps its part, tissue takes the rest.
    share = np.where(whole > flow, flow / np.where(whole > 0, whole, 1.0), 1.0)
    lesion, liver, outside = (part * np.where(cleft, 1.0, share) for part in parts)
    return PressureColumns(
        cleft=cleft,
        tip_kpa=np.where(cleft, source.limit_kpa, high),
        into_lesion=lesion,
        into_liver=liver,
        outside=outside,
        cleft_leak_kpa=derive_potential(source, source.cleft_kpa),
    )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class VolumeColumns:
    """Volumes at the end of the injection, mm3, (sources, draws); they add up to the volume given.

    Parameters
    ----------
    pores_mm3, cleft_mm3, track_lesion_mm3, track_liver_mm3, outside_mm3
        As in `hepatica.planning.spread.budget.FluidBalance`.
    cleft_radius_mm
        Radius of the cleft before it meets anything; 0 where none.
    """

    pores_mm3: FloatArray
    cleft_mm3: FloatArray
    track_lesion_mm3: FloatArray
    track_liver_mm3: FloatArray
    outside_mm3: FloatArray
    cleft_radius_mm: FloatArray


def balance_columns(
    source: SourceColumns, pressures: PressureColumns, *, volume_ml: FloatArray
) -> VolumeColumns:
    """Share the volumes among tissue, track and cleft.

    Parameters
    ----------
    source, pressures
        Sources, and what they do at their pressures.
    volume_ml
        (sources, 1) or (sources, draws) volume of each deposit.
    """
    volume = volume_ml * MM3_PER_ML
    time = volume / source.flow_mm3_per_s
    back = pressures.into_lesion + pressures.into_liver + pressures.outside
    left = np.maximum(volume - back * time, 0.0)
    stiff = source.shear_kpa / np.where(source.cleft_kpa > 0, source.cleft_kpa, 1.0)
    top = (0.75 * stiff * left) ** (1 / 3)
    flat = source.cleft_kpa / (math.pi * source.shear_kpa)
    leak = (
        GROWTH_MEAN * time * source.conductivity * pressures.cleft_leak_kpa
        * derive_cleft_shape(flat)
    )  # fmt: skip
    wide = (
        GROWTH_MEAN * time * source.conductivity * pressures.cleft_leak_kpa / source.exchange_length_mm
        * derive_cleft_surface(flat)
    )  # fmt: skip
    # The cleft keeps its proportions: volume goes with c^3, leak with c and c^2. Rises, so halving is safe.
    low, high = np.zeros(left.shape), np.broadcast_to(top, left.shape)
    for _ in range(HALVINGS):
        middle = 0.5 * (low + high)
        less = 4 / 3 / stiff * middle**3 + leak * middle + wide * middle**2 < left
        low, high = np.where(less, middle, low), np.where(less, high, middle)
    held = np.where(pressures.cleft, np.minimum(4 / 3 / stiff * low**3, left), 0.0)
    return VolumeColumns(
        pores_mm3=left - held,
        cleft_mm3=held,
        track_lesion_mm3=pressures.into_lesion * time,
        track_liver_mm3=pressures.into_liver * time,
        outside_mm3=pressures.outside * time,
        cleft_radius_mm=np.where(held > 0, (0.75 * stiff * held) ** (1 / 3), 0.0),
    )


def seep_columns(
    source: SourceColumns,
    pressures: PressureColumns,
    volumes: VolumeColumns,
    *,
    seep_s: float,
    held: FloatArray,
) -> VolumeColumns:
    """Let clefts seep into tissue and drain along the track after the injection, at most until they are empty.

    Parameters
    ----------
    source, pressures, volumes
        Sources at the end of the injection.
    seep_s
        Longest time.
    held
        (sources, draws) part of each cleft's volume that has met neither vessel nor capsule.
    """
    flat = source.cleft_kpa / (math.pi * source.shear_kpa)
    shape = (
        derive_cleft_shape(flat)
        + volumes.cleft_radius_mm * derive_cleft_surface(flat) / source.exchange_length_mm
    )
    leak = source.conductivity * pressures.cleft_leak_kpa * volumes.cleft_radius_mm * shape
    back = pressures.into_lesion + pressures.into_liver + pressures.outside
    emptying = np.where(pressures.cleft, leak + back, 0.0)
    time = np.minimum(seep_s, np.divide(held, emptying, out=np.zeros(held.shape), where=emptying > 0))
    return VolumeColumns(
        pores_mm3=volumes.pores_mm3 + leak * time,
        cleft_mm3=volumes.cleft_mm3 - emptying * time,
        track_lesion_mm3=volumes.track_lesion_mm3 + pressures.into_lesion * time,
        track_liver_mm3=volumes.track_liver_mm3 + pressures.into_liver * time,
        outside_mm3=volumes.outside_mm3 + pressures.outside * time,
        cleft_radius_mm=volumes.cleft_radius_mm,
    )


def derive_cleft_shape(flat: FloatArray) -> FloatArray:
    """Conductance over radius of oblate spheroids of a half-width over radius ``flat``, for unit conductivity."""
    thin = np.minimum(flat, 1 - 1e-9)
    return np.asarray(4 * math.pi * np.sqrt(1 - thin**2) / np.arccos(thin))


def derive_cleft_surface(flat: FloatArray) -> FloatArray:
    """Surface over squared radius of oblate spheroids of a half-width over radius ``flat``."""
    e = np.sqrt(1 - np.minimum(flat, 1 - 1e-9) ** 2)
    return np.asarray(2 * math.pi * (1 + (1 - e**2) / e * np.arctanh(e)))
