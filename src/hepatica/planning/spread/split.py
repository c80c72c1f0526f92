"""How much one source holds, and into how many deposits a volume should be split."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Final

from hepatica.core.evidence import EvidenceTable
from hepatica.core.findings import NotEvaluable
from hepatica.planning.spread.budget import assess_budget
from hepatica.planning.spread.source import SourceSetting
from hepatica.planning.spread.tissue import SpreadParameters, read_limits

VOLUME_TOLERANCE_ML: Final = 1e-3
"""A microlitre: finer than any syringe."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Split:
    """A volume in equal deposits.

    Parameters
    ----------
    deposits
        Number n, from 1.
    volume_ml
        Volume m of each.
    spacing_mm
        Least distance s between two deposits: twice the reach of one; 0 for a single deposit.
    """

    deposits: int
    volume_ml: float
    spacing_mm: float


def derive_contained_volume_ml(
    setting: SourceSetting, parameters: SpreadParameters, *, limits: EvidenceTable | None = None
) -> float | NotEvaluable:
    """Return the largest volume of which, at this rate, at most the ``spill_limit`` leaves the lesion.

    Examples
    --------
    >>> from hepatica.planning.spread.backflow import Track
    >>> from hepatica.planning.spread.tissue import SpreadTissue, derive_parameters
    >>> setting = SourceSetting(
    ...     volume_ml=1.0, rate_ml_per_min=0.5, tissue=SpreadTissue.VIABLE, cavity_radius_mm=0.36,
    ...     track=Track(needle_radius_mm=0.36, depth_in_lesion_mm=12.0, depth_in_liver_mm=40.0),
    ...     lesion_volume_ml=14.0, edge_distance_mm=12.0)
    >>> tight = derive_parameters({"track_gap": 0.0})
    >>> derive_contained_volume_ml(setting, tight) > 0.1
    True
    """
    limits = read_limits() if limits is None else limits
    most = limits["spill_limit"].number

    def spills(volume_ml: float) -> bool | NotEvaluable:
        budget = assess_budget(setting.with_volume(volume_ml), parameters, limits=limits)
        return budget if isinstance(budget, NotEvaluable) else budget.spill_fraction > most

    low = VOLUME_TOLERANCE_ML
    high = limits["volume_share_limit"].number * setting.lesion_volume_ml * (1 - 1e-9)
    answer = spills(min(low, high))
    if isinstance(answer, NotEvaluable):
        return answer
    if answer:
        return NotEvaluable(
            reason=f"at {setting.rate_ml_per_min:g} mL/min more than {most:.0%} leaves the lesion at any volume"
        )
    if not spills(high):
        return high
    while high - low > VOLUME_TOLERANCE_ML:
        middle = 0.5 * (low + high)
        low, high = (low, middle) if spills(middle) else (middle, high)
    return low


def suggest_split(
    setting: SourceSetting, parameters: SpreadParameters, *, limits: EvidenceTable | None = None
) -> Split | NotEvaluable:
    """Return the fewest equal deposits each of which stays within its share of the lesion.

    The lesion is a sphere of its volume; each deposit has the sphere of an n-th of it around its tip.

    Returns
    -------
    Split or NotEvaluable
        Not evaluable where no number up to ``most_deposits`` is enough.
    """
    limits = read_limits() if limits is None else limits
    for n in range(1, int(limits["most_deposits"].number) + 1):
        room = (3 * setting.lesion_volume_ml * 1000 / (4 * math.pi * n)) ** (1 / 3)
        part = replace(
            setting.with_volume(setting.volume_ml / n),
            edge_distance_mm=min(setting.edge_distance_mm, room) if n > 1 else setting.edge_distance_mm,
        )
        budget = assess_budget(part, parameters, limits=limits)
        if isinstance(budget, NotEvaluable):
            return budget
        if budget.spill_fraction <= limits["spill_limit"].number:
            return Split(
                deposits=n, volume_ml=part.volume_ml, spacing_mm=2 * budget.reach_mm if n > 1 else 0.0
            )
    return NotEvaluable(
        reason=f"no number of deposits up to {int(limits['most_deposits'].number)} keeps this volume in the lesion"
    )
