"""Fluid that runs back along the needle: an annular gap that pressure opens and tissue drains.

With a gap ``p r / (2 G)`` lubrication gives the flow ``-a p^3 p'``, ``a = pi r^4 / (48 mu G^3)``; tissue takes
``g p`` of it for each length: ``a (p^3 p')' = g p``. Scaled to depth d and tip pressure p0, with ``u = P^4`` and
``k = g d^2 / (a p0^3)``, a first integral is ``u'^2 / 8 = 4 k u^(5/4) / 5 + C``. From ``k = 10/9`` on the flow dies
within the depth (C = 0, the similarity solution); below, the remainder leaves at the end (C > 0). The exponents
are those of Morrison 1999; measured backflow is weaker in soft tissue, so it ranks tracks rather than measures.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Final

import numpy as np
from scipy import optimize

from hepatica.core.geometry import FloatArray

CLOSED_FROM: Final = 10.0 / 9.0
"""Value of k from which the flow dies within the depth."""
SIMILARITY_CONSTANT: Final = (2 / 3 * 0.9 ** (4 / 3)) ** -0.6
"""Of ``L = constant Q^(3/5) a^(1/5) g^(-4/5)``."""
_NODES: Final = np.polynomial.legendre.leggauss(64)


@dataclass(frozen=True, slots=True, kw_only=True)
class Track:
    """A needle's way through tissue, seen from the tip.

    Parameters
    ----------
    needle_radius_mm
        Outer radius of the needle.
    depth_in_lesion_mm
        Way from the tip back to where the needle leaves the lesion.
    depth_in_liver_mm
        Way from the tip back to the capsule, at least the former.
    """

    needle_radius_mm: float
    depth_in_lesion_mm: float
    depth_in_liver_mm: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Backflow:
    """What runs back at one tip pressure.

    Parameters
    ----------
    flow_mm3_per_s
        Entering the gap at the tip.
    into_lesion_mm3_per_s, into_liver_mm3_per_s, outside_mm3_per_s
        Where it goes; they add up to the flow.
    length_mm
        Where the flow would die in an endless track; inf where nothing drains it.
    """

    flow_mm3_per_s: float
    into_lesion_mm3_per_s: float
    into_liver_mm3_per_s: float
    outside_mm3_per_s: float
    length_mm: float


NONE: Final = Backflow(
    flow_mm3_per_s=0.0,
    into_lesion_mm3_per_s=0.0,
    into_liver_mm3_per_s=0.0,
    outside_mm3_per_s=0.0,
    length_mm=0.0,
)


def derive_gap_constant(
    *, needle_radius_mm: float, shear_kpa: float, viscosity_kpa_s: float, gap_fraction: float = 1.0
) -> float:
    """Return a of the flow law, mm4/(kPa4 s); a narrower gap than the elastic one lowers it by its cube."""
    open_gap = math.pi * needle_radius_mm**4 / (48 * viscosity_kpa_s * shear_kpa**3)
    return open_gap * gap_fraction**3


def derive_leak_constant(*, conductivity: float, length_mm: float, needle_radius_mm: float) -> float:
    """Return g, mm2/(kPa s): flow into tissue for each length and pressure, a line source of that length."""
    return 2 * math.pi * conductivity / max(math.log(2 * length_mm / needle_radius_mm), 1.0)


def similarity_length_mm(flow: float, *, gap: float, leak: float) -> float:
    """Length at which all of a flow has drained into the tissue."""
    return float(SIMILARITY_CONSTANT * flow**0.6 * gap**0.2 * leak**-0.8)


def similarity_tip_pressure_kpa(length_mm: float, *, gap: float, leak: float) -> float:
    """Tip pressure that drives a backflow of that length."""
    return float((9 * leak * length_mm**2 / (10 * gap)) ** (1 / 3))


def _span(constant: float, k: float) -> float:
    """Scaled length between tip and the end where the pressure is 0."""
    x = 0.5 * (_NODES[0] + 1)
    # u = x^(8/3) takes the singularity out at u = 0.
    slope = np.sqrt(8 * (0.8 * k * x ** (10 / 3) + constant))
    return float(0.5 * (_NODES[1] * (8 / 3) * x ** (5 / 3) / slope).sum())


def integration_constant(k: float) -> float:
    """Return C for a track of scaled leak k; 0 from `CLOSED_FROM` on."""
    if k >= CLOSED_FROM or _span(1e-14, k) <= 1.0:
        return 0.0
    return float(optimize.brentq(lambda c: _span(c, k) - 1.0, 1e-14, 0.126, xtol=1e-15))


@cache
def tabulate_constants() -> tuple[FloatArray, FloatArray]:
    """Return scaled leaks from 0 to `CLOSED_FROM`, and their first integral's constants."""
    k = np.linspace(0.0, CLOSED_FROM, 201)
    return k, np.array([integration_constant(value) for value in k])


@lru_cache(maxsize=4096)
def _profile(k: float) -> tuple[FloatArray, FloatArray]:
    """Return (z, flux) along the track, scaled: flux 0 to where it ends, z from 0 at the tip."""
    return trace_profile(k, float(np.interp(k, *tabulate_constants())) if k < CLOSED_FROM else 0.0)


def trace_profile(k: float, constant: float) -> tuple[FloatArray, FloatArray]:
    """Return (z, flux) along a track of scaled leak k, for a first integral's constant."""
    x = np.linspace(1.0, 0.0, 801)
    slope = np.sqrt(8 * (0.8 * k * x ** (10 / 3) + constant))
    with np.errstate(invalid="ignore", divide="ignore"):
        step = (8 / 3) * x ** (5 / 3) / slope
    if constant == 0.0:
        step[-1] = (8 / 3) / math.sqrt(6.4 * k)
    z = np.concatenate([[0.0], np.cumsum(0.5 * (step[1:] + step[:-1]) / 800)])
    return z, slope / 4


def remaining_flux(k: float, *, at: float) -> float:
    """Return the scaled flux that passes a place (share of the depth from the tip)."""
    z, flux = _profile(round(k, 9))
    return float(np.interp(at, z, flux, right=0.0 if k >= CLOSED_FROM else float(flux[-1])))


def measure_backflow(
    pressure_kpa: float, *, track: Track, gap: float, conductivity: float, prestress_kpa: float = 0.0
) -> Backflow:
    """Return what runs back along a track at a tip's excess pressure.

    Parameters
    ----------
    pressure_kpa
        Excess pressure at the tip; the needle's prestress is taken off.
    track
        The needle's way.
    gap
        Flow constant a.
    conductivity
        Of the tissue around the track, mm2/(kPa s).
    prestress_kpa
        Grip of the tissue on the needle.

    Examples
    --------
    >>> track = Track(needle_radius_mm=0.36, depth_in_lesion_mm=10.0, depth_in_liver_mm=40.0)
    >>> measure_backflow(5.0, track=track, gap=0.0, conductivity=1e-4).flow_mm3_per_s
    0.0
    """
    p0 = pressure_kpa - prestress_kpa
    if p0 <= 0 or gap <= 0:
        return NONE
    depth, scale = track.depth_in_liver_mm, gap * p0**4
    if conductivity == 0:
        out = scale / (4 * depth)
        return Backflow(
            flow_mm3_per_s=out,
            into_lesion_mm3_per_s=0.0,
            into_liver_mm3_per_s=0.0,
            outside_mm3_per_s=out,
            length_mm=math.inf,
        )
    length = depth
    for _ in range(20):
        leak = derive_leak_constant(
            conductivity=conductivity,
            length_mm=min(max(length, track.needle_radius_mm), depth),
            needle_radius_mm=track.needle_radius_mm,
        )
        length = math.sqrt(10 * gap * p0**3 / (9 * leak))
    k = leak * depth**2 / (gap * p0**3)
    if k >= CLOSED_FROM:
        # The similarity solution in closed form: flux falls as (1 - z / L)^(5/3).
        total = 2 / 3 * scale / length
        left = total * max(1 - track.depth_in_lesion_mm / length, 0.0) ** (5 / 3)
        out = 0.0
    else:
        total = scale / depth * remaining_flux(k, at=0.0)
        left = scale / depth * remaining_flux(k, at=min(track.depth_in_lesion_mm / depth, 1.0))
        out = scale / depth * remaining_flux(k, at=1.0)
    return Backflow(
        flow_mm3_per_s=total,
        into_lesion_mm3_per_s=total - left,
        into_liver_mm3_per_s=left - out,
        outside_mm3_per_s=out,
        length_mm=length,
    )
