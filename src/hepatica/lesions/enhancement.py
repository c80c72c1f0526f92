"""Which voxels of a tumour live, by how they take up contrast: pure rules on two aligned phases."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import numpy as np
from scipy import ndimage

from hepatica.core.evidence import EvidenceTable
from hepatica.core.geometry import BoolArray, FloatArray, Grid
from hepatica.lesions.lesion import ViableLevel

_CONNECTED_26: Final = np.ones((3, 3, 3), dtype=bool)


class TumourType(StrEnum):
    """What decides how living tumour looks in contrast CT."""

    HCC = "hcc"
    """Hepatocellular carcinoma."""
    HYPERVASCULAR_METASTASIS = "hypervascular_metastasis"
    """Neuroendocrine, renal, thyroid, melanoma."""
    HYPOVASCULAR_METASTASIS = "hypovascular_metastasis"
    """Colorectal and most other carcinomas."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PhasePair:
    """Two aligned, smoothed phases around one tumour.

    Parameters
    ----------
    grid
        Grid of the arrays: a box of the planning grid.
    tumour
        Voxels of the lesion.
    arterial_hu, venous_hu
        Smoothed CT numbers.
    liver_arterial_hu, liver_venous_hu
        Median of the liver nearby.
    """

    grid: Grid
    tumour: BoolArray
    arterial_hu: FloatArray
    venous_hu: FloatArray
    liver_arterial_hu: float
    liver_venous_hu: float

    @property
    def liver_rise_hu(self) -> float:
        """By how much the liver brightens from the arterial to the venous phase."""
        return self.liver_venous_hu - self.liver_arterial_hu


def classify_enhancement(
    pair: PhasePair, *, tumour_type: TumourType, table: EvidenceTable
) -> dict[ViableLevel, BoolArray]:
    """Judge every voxel at three strictnesses.

    *Hepatocellular carcinoma and hypervascular metastasis*: brighter than the liver nearby in the
    arterial phase, or (middle and high) rising between the phases by a set part of the liver's own rise,
    since washed-out tumour is perfused while necrosis is not. *Hypovascular metastasis*: venous phase
    above a set level (fluid and debris lie below) and enhanced, that is rising between the phases or
    already above unenhanced tissue in the arterial one. What is as bright as metal salts or calcium in
    both phases never counts as living.

    Parameters
    ----------
    pair
        Two aligned phases.
    tumour_type
        Chooses the rule.
    table
        ``enhancement.toml``.

    Returns
    -------
    dict
        Boolean array by `ViableLevel`, each inside the next, restricted to the tumour.
    """
    rule = _RULES[tumour_type]
    dense = np.minimum(pair.arterial_hu, pair.venous_hu) >= table["dense_min"].number
    levels: dict[ViableLevel, BoolArray] = {}
    inner: BoolArray = np.zeros_like(pair.tumour)
    for level in ViableLevel:
        # Uniting keeps the levels nested whatever numbers a site puts into its table.
        inner = inner | (rule(pair, level, table) & ~dense & pair.tumour)
        levels[level] = inner
    return levels


def measure_strength(pair: PhasePair, *, tumour_type: TumourType) -> FloatArray:
    """Return what says "living" most surely: arterial excess, or venous level where hypovascular."""
    if tumour_type is TumourType.HYPOVASCULAR_METASTASIS:
        return pair.venous_hu
    return pair.arterial_hu - pair.liver_arterial_hu


def clean_parts(voxels: BoolArray, *, within: BoolArray, fewest: float) -> BoolArray:
    """Remove islands, then fill holes, of fewer voxels than ``fewest``.

    A larger input never gives a smaller output, so nested sets stay nested.
    """
    kept = voxels & ~_find_small(voxels, fewest=fewest)
    return kept | _find_small(within & ~kept, fewest=fewest)


def _find_small(voxels: BoolArray, *, fewest: float) -> BoolArray:
    marked, count = ndimage.label(voxels, structure=_CONNECTED_26)
    sizes = np.bincount(marked.ravel(), minlength=count + 1)
    small = sizes < fewest
    small[0] = False
    return np.asarray(small[marked])


def _judge_hypervascular(prefix: str) -> Callable[[PhasePair, ViableLevel, EvidenceTable], BoolArray]:
    def judge(pair: PhasePair, level: ViableLevel, table: EvidenceTable) -> BoolArray:
        excess_hu = table[f"{prefix}_{level}_arterial_excess"].number
        living: BoolArray = pair.arterial_hu - pair.liver_arterial_hu >= excess_hu
        if level is not ViableLevel.LOW:
            share = table[f"{prefix}_{level}_rise"].number
            rise_hu = max(share * pair.liver_rise_hu, table["rise_floor"].number)
            living = living | (pair.venous_hu - pair.arterial_hu >= rise_hu)
        return living

    return judge


def _judge_hypovascular(pair: PhasePair, level: ViableLevel, table: EvidenceTable) -> BoolArray:
    gain_hu = table[f"hypovascular_{level}_gain"].number
    rising = pair.venous_hu - pair.arterial_hu >= gain_hu
    early = pair.arterial_hu >= table["unenhanced_tissue"].number + gain_hu
    return np.asarray((pair.venous_hu >= table[f"hypovascular_{level}_venous"].number) & (rising | early))


_RULES: Final[Mapping[TumourType, Callable[[PhasePair, ViableLevel, EvidenceTable], BoolArray]]] = {
    TumourType.HCC: _judge_hypervascular("hcc"),
    TumourType.HYPERVASCULAR_METASTASIS: _judge_hypervascular("hypervascular"),
    TumourType.HYPOVASCULAR_METASTASIS: _judge_hypovascular,
}
