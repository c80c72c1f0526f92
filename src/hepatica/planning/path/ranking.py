"""Which of the allowed paths comes first: named, weighted terms, each 0 (best) to 1."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from hepatica.core.evidence import EvidenceTable
from hepatica.core.geometry import BoolArray, FloatArray
from hepatica.planning.path.values import RankTerm


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RankInput:
    """What the ranking looks at, one entry for each path.

    Parameters
    ----------
    length_mm, tilt_deg, in_plane_deg, capsule_deg, parenchyma_mm, viable_mm
        (n,) as in `Pairs`; NaN counts as nothing to hold against the path.
    """

    length_mm: FloatArray
    tilt_deg: FloatArray
    in_plane_deg: FloatArray
    capsule_deg: FloatArray
    parenchyma_mm: FloatArray
    viable_mm: FloatArray


def derive_terms(values: RankInput, *, limits: EvidenceTable) -> dict[str, FloatArray]:
    """Return (n,) unweighted terms by name, all but the clearance.

    In-plane paths come first because ``tilt`` grows with the angle out of the axial plane; nothing is
    rejected here.
    """
    wanted = limits["capsule_angle_prefer"].number
    # Whoever sets a scale to 0 makes everything beyond it equally bad, and what lies on it good.
    with np.errstate(divide="ignore", invalid="ignore"):
        terms = {
            "tilt": np.abs(values.tilt_deg) / limits["tilt_max"].number,
            "length": values.length_mm / limits["length_max"].number,
            "capsule": (wanted - values.capsule_deg) / wanted,
            "parenchyma": (values.parenchyma_mm - limits["liver_before_lesion_min"].number)
            / limits["comfort_parenchyma"].number,
            "in_plane": np.abs(values.in_plane_deg) / 90.0,
            "deposit_room": 1.0 - values.viable_mm / limits["comfort_deposit_room"].number,
        }
    # Of NaN and a number these take the number.
    return {name: np.fmin(np.fmax(term, 0.0), 1.0) for name, term in terms.items()}


def derive_clearance_term(slack_mm: float, *, limits: EvidenceTable) -> float:
    """Return the term of the smallest clearance beyond its margin: 1 at the margin, 0 from the comfort on."""
    return float(derive_clearance_terms(np.array([slack_mm]), limits=limits)[0])


def derive_clearance_terms(slack_mm: FloatArray, *, limits: EvidenceTable) -> FloatArray:
    """Return (n,) clearance terms; infinite slack gives 0."""
    with np.errstate(divide="ignore", invalid="ignore"):
        share = np.round(slack_mm / limits["comfort_clearance"].number, 9)
    return np.fmin(np.fmax(1.0 - share, 0.0), 1.0)


def find_front(terms: Mapping[str, FloatArray]) -> BoolArray:
    """Tell which of n paths belong to the Pareto front: no other is at least as good in every term and better
    in one.

    Examples
    --------
    >>> find_front({"length": np.array([1.0, 2.0, 2.0]), "tilt": np.array([3.0, 1.0, 4.0])}).tolist()
    [True, True, False]
    """
    values = np.stack(list(terms.values()), axis=1)
    front = np.ones(len(values), dtype=bool)
    for n, row in enumerate(values):
        better = (values <= row).all(axis=1) & (values < row).any(axis=1)
        front[n] = not better.any()
    return front


def derive_scores(terms: dict[str, FloatArray], *, limits: EvidenceTable) -> FloatArray:
    """Return (n,) weighted sums; without the clearance term a lower bound of the whole score."""
    return np.asarray(sum(limits[f"weight_{name}"].number * term for name, term in terms.items()))


def to_rank_terms(terms: dict[str, float], *, limits: EvidenceTable) -> tuple[RankTerm, ...]:
    """Return terms as data with weight and source, the heaviest contribution first."""
    items = [
        RankTerm(
            name=name,
            value=value,
            weight=limits[f"weight_{name}"].number,
            unit="",
            source=limits[f"weight_{name}"].source,
            status=limits[f"weight_{name}"].status,
        )
        for name, value in terms.items()
    ]
    return tuple(sorted(items, key=lambda term: (-round(term.value * term.weight, 9), term.name)))
