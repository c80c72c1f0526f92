"""The analytic suite as one table: closed forms, pressure, transport."""

from __future__ import annotations

import math
from collections.abc import Iterator

from hepatica.planning.spread import closed_forms
from hepatica.planning.spread.backflow import (
    Track,
    derive_gap_constant,
    measure_backflow,
    similarity_length_mm,
    similarity_tip_pressure_kpa,
)
from hepatica.planning.spread.verification import VerificationRow
from hepatica.planning.spread.verify_pressure import verify_pressure
from hepatica.planning.spread.verify_transport import verify_transport

WORKED = 3e-4
"""Worked numbers are printed with four to five digits."""


def verify_closed_forms() -> Iterator[VerificationRow]:
    """B9 and B13 to B15: formulas used as they are, against worked numbers and their own balances."""
    wall = closed_forms.poroelastic_displacement_mm(
        0.36, flow=0.02 / 60, conductivity=1e-4, shear_kpa=2.0, lame_kpa=6.0, cavity_mm=0.36
    )
    yield VerificationRow.compare(
        "B9",
        "wall displacement of a poroelastic source, um",
        expected=33.16,
        computed=float(wall) * 1e3,
        tolerance=WORKED,
    )
    gap = derive_gap_constant(needle_radius_mm=0.36, shear_kpa=2.0, viscosity_kpa_s=0.7e-6)
    length = similarity_length_mm(0.1 * 1000 / 60, gap=gap, leak=1e-3)
    yield VerificationRow.compare(
        "B13", "backflow length, m", expected=1.36131, computed=length / 1000, tolerance=WORKED
    )
    yield VerificationRow.compare(
        "B13", "backflow tip pressure, kPa", expected=2.0405,
        computed=similarity_tip_pressure_kpa(length, gap=gap, leak=1e-3), tolerance=WORKED,
    )  # fmt: skip
    track = Track(needle_radius_mm=0.36, depth_in_lesion_mm=10.0, depth_in_liver_mm=1e3)
    back = measure_backflow(0.5, track=track, gap=gap, conductivity=1e-2)
    leak = 2 * math.pi * 1e-2 / math.log(2 * back.length_mm / 0.36)
    yield VerificationRow.compare(
        "B13", "length of the flow a tip pressure drives, mm", expected=back.length_mm,
        computed=similarity_length_mm(back.flow_mm3_per_s, gap=gap, leak=leak), tolerance=1e-6,
    )  # fmt: skip
    yield VerificationRow.compare(
        "B14", "drop along a 22 G needle, kPa", expected=2.451,
        computed=closed_forms.needle_drop_kpa(flow=1000 / 60, inner_mm=0.413, length_mm=150.0, viscosity_kpa_s=0.7e-6),
        tolerance=WORKED,
    )  # fmt: skip
    yield VerificationRow.compare(
        "B15", "consolidation time at 5 mm, s", expected=25000.0,
        computed=closed_forms.consolidation_time_s(5.0, conductivity=1e-4, aggregate_kpa=10.0), tolerance=WORKED,
    )  # fmt: skip


def verify_spread() -> tuple[VerificationRow, ...]:
    """Run the whole analytic suite and return its table, ordered by case."""
    rows = [*verify_closed_forms(), *verify_pressure(), *verify_transport()]
    numbered = [row for row in rows if row.case[1:].isdigit()]
    others = [row for row in rows if not row.case[1:].isdigit()]
    return (*sorted(numbered, key=lambda row: int(row.case[1:])), *others)
