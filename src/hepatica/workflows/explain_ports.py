"""What an explanation of paths hands to its writers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from hepatica.core.findings import NotEvaluable
from hepatica.core.geometry import FloatArray, Grid
from hepatica.core.progress import Progress
from hepatica.imaging.mask import Mask
from hepatica.planning.path.limit_costs import LimitCosts
from hepatica.planning.path.skin_map import SkinMap
from hepatica.planning.path.values import Puncture
from hepatica.workflows.ports import ImageFacts


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ChosenEntry:
    """A path of the plan on the skin map.

    Parameters
    ----------
    name, role
        ``P1`` and ``first choice``, ``backup`` or ``alternative``.
    puncture
        The path.
    score
        Its score in the ranking; the smaller the better.
    better_skin_cm2
        Free skin with a better path. NotEvaluable where the map has no free skin.
    """

    name: str
    role: str
    puncture: Puncture
    score: float
    better_skin_cm2: float | NotEvaluable


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LesionExplained:
    """One lesion's map of the skin with what the limits cost.

    Parameters
    ----------
    lesion_id, mask
        Lesion.
    planned_ml
        What the plan gives it; 0 where it gives nothing.
    skin_map, costs
        Map, and limits dearest first.
    entries
        Paths of the plan: first choices, backups, alternatives.
    """

    lesion_id: str
    mask: Mask
    planned_ml: float
    skin_map: SkinMap
    costs: LimitCosts
    entries: tuple[ChosenEntry, ...]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PathsExplained:
    """Everything the writers of an explanation need.

    Parameters
    ----------
    plan_id, visit, cleared, missing_structures
        Plan that is explained, and what keeps it from being cleared.
    grid, facts
        Scan.
    gravity_lps
        (3,) unit vector, or why unknown.
    lesions
        Lesions in the plan's order.
    document
        ``explain.json``.
    code_version, input_digest
        For the small print.
    """

    plan_id: str
    visit: int
    cleared: bool
    missing_structures: tuple[str, ...]
    grid: Grid
    facts: ImageFacts
    gravity_lps: FloatArray | NotEvaluable
    lesions: tuple[LesionExplained, ...]
    document: Mapping[str, Any]
    code_version: str
    input_digest: str


class ExplanationWriter(Protocol):
    """Writes one or more files of an explanation into a folder that is not yet public."""

    def write_explanation(
        self, explained: PathsExplained, folder: Path, *, progress: Progress
    ) -> Sequence[str]:
        """Write and return the file names, relative to the folder."""
