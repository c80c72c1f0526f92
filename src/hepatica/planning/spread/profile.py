"""A source along a rate profile: the cleft grows, shrinks and closes as the rate goes up and down.

Each stretch is quasi-static. Without a cleft its pressure is that at which tissue and track take the rate. With one,
``V' = Q - track - leak(V)`` at the cleft's pressure, by implicit steps whose parts are added up as they are taken, so
nothing is lost. A single stretch is what `hepatica.planning.spread.source.balance_steady` solves in closed form.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from hepatica.planning.spread.rate import RateStep
from hepatica.planning.spread.source import BISECTIONS, MM3_PER_ML, FluidBalance, SourceLimits
from hepatica.planning.spread.tissue import MM3_PER_S_PER_ML_PER_MIN

CLEFT_STEPS: Final = 120
"""Implicit steps for each stretch with a cleft: with 240 the volumes change by under a thousandth."""
S_PER_MIN: Final = 60.0


@dataclass(slots=True, kw_only=True)
class _Ledger:
    """Volumes so far, mm3."""

    pores: float = 0.0
    cleft: float = 0.0
    lesion: float = 0.0
    liver: float = 0.0
    outside: float = 0.0
    pressure_kpa: float = 0.0
    length_mm: float = 0.0


def balance_profile(
    source: SourceLimits, steps: Sequence[RateStep], *, cleft_leak_ratio: float = 1.0
) -> FluidBalance:
    """Share the volume of a rate profile among tissue, track and cleft.

    Parameters
    ----------
    source
        What the source gives at its pressures.
    steps
        Stretches in order.
    cleft_leak_ratio
        Leak of the cleft from a solved pressure field over that of the closed form.
    """
    ledger = _Ledger()
    top = source.tip_flow(source.limit_kpa) + source.backflow(source.limit_kpa).flow_mm3_per_s
    for step in steps:
        flow = step.rate_ml_per_min * MM3_PER_S_PER_ML_PER_MIN
        left = step.duration_min * S_PER_MIN
        if ledger.cleft > 0 or flow > top:
            left = _run_cleft(source, ledger, flow=flow, time_s=left, ratio=cleft_leak_ratio)
        if left > 0 and flow > 0:
            _run_pores(source, ledger, flow=flow, time_s=left)
    volume = source.setting.volume_ml * MM3_PER_ML
    # Sums of many steps: their rounding goes to the largest of the parts.
    missing = volume - (ledger.pores + ledger.cleft + ledger.lesion + ledger.liver + ledger.outside)
    if ledger.pores >= ledger.cleft:
        ledger.pores += missing
    else:
        ledger.cleft += missing
    return FluidBalance(
        pores_mm3=ledger.pores,
        cleft_mm3=ledger.cleft,
        track_lesion_mm3=ledger.lesion,
        track_liver_mm3=ledger.liver,
        track_outside_mm3=ledger.outside,
        tip_pressure_kpa=ledger.pressure_kpa,
        backflow_length_mm=ledger.length_mm,
    )


def _run_back(
    source: SourceLimits, ledger: _Ledger, *, pressure_kpa: float, share: float, time_s: float
) -> None:
    back = source.backflow(pressure_kpa)
    ledger.lesion += share * back.into_lesion_mm3_per_s * time_s
    ledger.liver += share * back.into_liver_mm3_per_s * time_s
    ledger.outside += share * back.outside_mm3_per_s * time_s
    ledger.length_mm = max(ledger.length_mm, back.length_mm)


def _run_pores(source: SourceLimits, ledger: _Ledger, *, flow: float, time_s: float) -> None:
    """Take a flow into tissue and track alone."""
    low, high = 0.0, source.limit_kpa
    for _ in range(BISECTIONS):
        middle = 0.5 * (low + high)
        taken = source.tip_flow(middle) + source.backflow(middle).flow_mm3_per_s
        low, high = (middle, high) if taken < flow else (low, middle)
    back = source.backflow(high).flow_mm3_per_s
    share = min(1.0, flow / back) if back > 0 else 0.0
    _run_back(source, ledger, pressure_kpa=high, share=share, time_s=time_s)
    ledger.pores += (flow - share * back) * time_s
    ledger.pressure_kpa = max(ledger.pressure_kpa, high)


def _run_cleft(source: SourceLimits, ledger: _Ledger, *, flow: float, time_s: float, ratio: float) -> float:
    """Run a stretch with a cleft; return the time left after it has closed, 0 if it has not."""
    opened = flow > source.tip_flow(source.limit_kpa) + source.backflow(source.limit_kpa).flow_mm3_per_s
    if opened:
        ledger.pressure_kpa = max(ledger.pressure_kpa, source.limit_kpa)
    back = source.backflow(source.cleft_kpa).flow_mm3_per_s
    for number in range(CLEFT_STEPS):
        # Steps grow from short ones: a new cleft's radius rises steeply at first.
        step = time_s * ((number + 1) ** 3 - number**3) / CLEFT_STEPS**3
        volume, leaked = _step_cleft(source, ledger.cleft, net=flow - back, step_s=step, ratio=ratio)
        if volume <= 0.0 and not opened:
            # What it held and got until it closed has run into track and tissue in the time that took.
            emptying = max(back - flow, 0.0) + leaked / step
            until = min(step, ledger.cleft / emptying) if emptying > 0 else step
            _run_back(source, ledger, pressure_kpa=source.cleft_kpa, share=1.0, time_s=until)
            ledger.pores += ledger.cleft + (flow - back) * until
            ledger.cleft = 0.0
            before = time_s * (number / CLEFT_STEPS) ** 3
            return max(time_s - before - until, 0.0)
        ledger.pores += leaked
        ledger.cleft = volume
        _run_back(source, ledger, pressure_kpa=source.cleft_kpa, share=1.0, time_s=step)
    return 0.0


def _step_cleft(
    source: SourceLimits, volume: float, *, net: float, step_s: float, ratio: float
) -> tuple[float, float]:
    """Return volume after an implicit step, and what leaked; a volume of 0 where the step empties it."""
    have = volume + net * step_s

    def leak(cleft: float) -> float:
        return ratio * source.cleft_leak(source.cleft_radius_mm(cleft)) * step_s if cleft > 0 else 0.0

    low, high = 0.0, max(have, 0.0)
    if have <= 0:
        return 0.0, leak(volume)
    for _ in range(BISECTIONS):
        middle = 0.5 * (low + high)
        low, high = (middle, high) if middle + leak(middle) < have else (low, middle)
    return low, have - low
