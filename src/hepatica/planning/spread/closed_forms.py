"""Exact answers of simple cases, against which everything else here is checked (mm, kPa, s throughout)."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike
from scipy import integrate, special

from hepatica.core.geometry import FloatArray


def derive_exchange_length_mm(conductivity: float, exchange_per_kpa_s: float) -> float:
    """Return ``sqrt(K / exchange)``: how far pressure reaches before vessels take the fluid; inf without any."""
    return math.inf if exchange_per_kpa_s == 0 else math.sqrt(conductivity / exchange_per_kpa_s)


def sphere_source_pressure(
    r_mm: ArrayLike, *, flow: float, conductivity: float, exchange_length_mm: float, cavity_mm: float = 0.0
) -> FloatArray:
    """Excess pressure around a steady spherical source, with linear loss to vessels.

    ``Q exp(-(r - a) / l) / (4 pi K r (1 + a / l))``; a point source for ``cavity_mm`` 0.

    Examples
    --------
    >>> p = sphere_source_pressure(1.0, flow=1e-3 / 60 * 1e5, conductivity=1e-4, exchange_length_mm=math.inf)
    >>> round(float(p), 1)
    1326.3
    """
    r = np.asarray(r_mm, dtype=np.float64)
    decay = np.exp(-(r - cavity_mm) / exchange_length_mm)
    return np.asarray(flow * decay / (4 * math.pi * conductivity * r * (1 + cavity_mm / exchange_length_mm)))


def passing_fraction(r_mm: float, *, exchange_length_mm: float, cavity_mm: float = 0.0) -> float:
    """Share of the source's flow that still passes radius r."""
    x, a = r_mm / exchange_length_mm, cavity_mm / exchange_length_mm
    return (1 + x) / (1 + a) * math.exp(a - x)


def front_radius_mm(volume_mm3: float, *, porosity: float, retardation: float = 1.0) -> float:
    """Radius filled by a volume around a point, without loss; bound particles lag by the retardation."""
    return float((3 * volume_mm3 / (4 * math.pi * porosity * retardation)) ** (1 / 3))


def front_time_s(r_mm: float, *, flow: float, porosity: float, exchange_length_mm: float) -> float:
    """Time until the front of a point source with loss to vessels reaches a radius."""
    value, _ = integrate.quad(
        lambda x: (
            4
            * math.pi
            * porosity
            * x**2
            / (flow * passing_fraction(x, exchange_length_mm=exchange_length_mm))
        ),
        0.0,
        r_mm,
        epsrel=1e-10,
    )
    return float(value)


def removal_profile(r_mm: ArrayLike, *, flow: float, porosity: float, rate_per_s: float) -> FloatArray:
    """Steady concentration over that injected, with radial flow and first-order removal."""
    r = np.asarray(r_mm, dtype=np.float64)
    return np.asarray(np.exp(-4 * math.pi * porosity * rate_per_s * r**3 / (3 * flow)))


def diffusion_profile(r_mm: ArrayLike, *, diffusivity: float, time_s: float) -> FloatArray:
    """Concentration per amount, per mm3, of an instantaneous point source."""
    r = np.asarray(r_mm, dtype=np.float64)
    spread = 4 * diffusivity * time_s
    return np.asarray((math.pi * spread) ** -1.5 * np.exp(-(r**2) / spread))


def diffusion_inside(r_mm: float, *, diffusivity: float, time_s: float) -> float:
    """Share of an instantaneous point source within a radius."""
    x = r_mm / math.sqrt(4 * diffusivity * time_s)
    return math.erf(x) - 2 * x * math.exp(-(x**2)) / math.sqrt(math.pi)


def poroelastic_displacement_mm(
    r_mm: ArrayLike, *, flow: float, conductivity: float, shear_kpa: float, lame_kpa: float, cavity_mm: float
) -> FloatArray:
    """Steady outward displacement around a spherical source, cavity wall free of effective stress.

    From ``(lambda + 2G) d/dr(div u) = dp/dr`` with ``p = Q / (4 pi K r)``: ``u = Q / (8 pi K H) + C / r^2``, and
    ``H u' + 2 lambda u / r = 0`` at the wall gives ``C = lambda Q a^2 / (16 pi G K H)``.
    """
    r = np.asarray(r_mm, dtype=np.float64)
    h = lame_kpa + 2 * shear_kpa
    base = flow / (8 * math.pi * conductivity * h)
    return np.asarray(base + lame_kpa * base * cavity_mm**2 / (2 * shear_kpa * r**2))


def consolidation_pressure(
    r_mm: ArrayLike, *, flow: float, conductivity: float, aggregate_kpa: float, time_s: float
) -> FloatArray:
    """Excess pressure a time after a point source was turned on in poroelastic tissue."""
    r = np.asarray(r_mm, dtype=np.float64)
    steady = flow / (4 * math.pi * conductivity * r)
    return np.asarray(steady * special.erfc(r / math.sqrt(4 * conductivity * aggregate_kpa * time_s)))


def consolidation_time_s(r_mm: float, *, conductivity: float, aggregate_kpa: float) -> float:
    """``a^2 / (K H)``: how long pressure needs to settle over a distance."""
    return math.inf if conductivity == 0 else r_mm**2 / (conductivity * aggregate_kpa)


def lower_kirchhoff(potential_kpa: ArrayLike, *, exponent: float, aggregate_kpa: float) -> FloatArray:
    """Pressure of a Kirchhoff potential for ``K = K0 exp(M p / H)``: ``(H / M) ln(1 + M theta / H)``."""
    theta = np.asarray(potential_kpa, dtype=np.float64)
    if exponent == 0:
        return theta
    return np.asarray(aggregate_kpa / exponent * np.log1p(exponent * theta / aggregate_kpa))


def raise_kirchhoff(pressure_kpa: float, *, exponent: float, aggregate_kpa: float, cap: float) -> float:
    """Kirchhoff potential of an excess pressure, ``(H / M)(exp(M p / H) - 1)``, linear beyond the cap."""
    if exponent == 0:
        return pressure_kpa
    x = exponent * pressure_kpa / aggregate_kpa
    bent = math.expm1(min(x, cap)) + math.exp(cap) * max(x - cap, 0.0)
    return aggregate_kpa / exponent * bent


def isolated_tumour_pressure(r_mm: ArrayLike, *, tumour_mm: float, exchange_length_mm: float) -> FloatArray:
    """Interstitial over effective vascular pressure in a tumour whose surface is drained (Baxter and Jain)."""
    x = np.maximum(np.asarray(r_mm, dtype=np.float64), 1e-9) / exchange_length_mm
    alpha = tumour_mm / exchange_length_mm
    return np.asarray(1 - alpha * np.sinh(x) / (x * np.sinh(alpha)))


def needle_drop_kpa(*, flow: float, inner_mm: float, length_mm: float, viscosity_kpa_s: float) -> float:
    """Pressure drop along a needle's lumen (Hagen and Poiseuille)."""
    return 8 * viscosity_kpa_s * length_mm * flow / (math.pi * (inner_mm / 2) ** 4)


def spheroid_conductance_mm(long_mm: float, short_mm: float) -> float:
    """Flow for unit pressure and conductivity from an oblate spheroid of semi-axes long, long, short.

    ``4 pi sqrt(c^2 - b^2) / arccos(b / c)``: ``8 c`` for a disc, ``4 pi c`` for a sphere.
    """
    if short_mm >= long_mm * (1 - 1e-9):
        return 4 * math.pi * long_mm
    return 4 * math.pi * math.sqrt(long_mm**2 - short_mm**2) / math.acos(short_mm / long_mm)


def spheroid_surface_mm2(long_mm: float, short_mm: float) -> float:
    """Surface of an oblate spheroid of semi-axes long, long, short."""
    if short_mm >= long_mm * (1 - 1e-9):
        return 4 * math.pi * long_mm**2
    e = math.sqrt(1 - (short_mm / long_mm) ** 2)
    return 2 * math.pi * long_mm**2 * (1 + (1 - e**2) / e * math.atanh(e))
