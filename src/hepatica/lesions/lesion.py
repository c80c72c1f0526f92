"""A lesion and what is measured on it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from hepatica.anatomy.structures import StructureKind
from hepatica.core.findings import NotEvaluable
from hepatica.core.geometry import FloatArray
from hepatica.imaging.mask import Mask

ALL_NECROTIC: Final = NotEvaluable(reason="the label of necrosis covers the whole lesion")
"""What stands for the living part where a person said that none is left."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Diameter:
    """A distance between two points.

    Parameters
    ----------
    length_mm
        Distance.
    ends_lps_mm
        (2, 3) its two ends.
    slice_index
        Acquisition slice it lies in; None for a 3-D diameter.
    """

    length_mm: float
    ends_lps_mm: FloatArray
    slice_index: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Neighbour:
    """A structure near a lesion; ``distance_mm`` from boundary to boundary, 0 where they touch."""

    kind: StructureKind
    distance_mm: float
    derived: bool


class ViableLevel(StrEnum):
    """How generously the viable part is drawn."""

    LOW = "low"
    """Only what is surely viable."""
    MIDDLE = "middle"
    """Best estimate; used for planning."""
    HIGH = "high"
    """Everything that may be viable."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ViablePart:
    """The living part of a lesion.

    Parameters
    ----------
    low, middle, high
        Nested masks; equal where a label gave the answer.
    origin
        ``label`` or ``derived, not reviewed``.
    method
        How it was found, in one sentence.
    residual_mm
        Registration residual between the phases; None where one label decided.
    """

    low: Mask
    middle: Mask
    high: Mask
    origin: str
    method: str
    residual_mm: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Lesion:
    """One tumour: one segment, never merged.

    Parameters
    ----------
    lesion_id
        Stable name within the plan: ``L1``, ``L2``, ... ordered by longest diameter, then position.
    label
        Name of the segment it came from.
    mask
        Its voxels on the planning grid.
    longest_diameter
        In one acquisition slice, between centres of boundary pixels.
    short_axis
        Longest chord perpendicular to it on the half-level contour of the same slice.
    longest_diameter_3d
        Largest distance between two boundary voxel centres.
    volume_ml, volume_uncertainty_ml
        Voxel volume and its one-sided uncertainty.
    liver_fraction, liver_fraction_uncertainty
        Share of the liver (with its tumours), 0 to 1.
    distance_to_capsule_mm
        Smallest distance from the lesion to the liver's outer boundary.
    depth_mm
        Smallest distance from the lesion's centroid to the skin.
    neighbours
        Nearest structures, nearest first.
    viable
        Living part, or why it cannot be judged.
    is_new
        Not present in the prior plan; None where no prior plan was given.
    prior_id
        Its name in the prior plan.
    """

    lesion_id: str
    label: str
    mask: Mask
    longest_diameter: Diameter
    short_axis: Diameter | NotEvaluable
    longest_diameter_3d: Diameter
    volume_ml: float
    volume_uncertainty_ml: float
    liver_fraction: float | NotEvaluable
    liver_fraction_uncertainty: float | NotEvaluable
    distance_to_capsule_mm: float | NotEvaluable
    depth_mm: float | NotEvaluable
    neighbours: tuple[Neighbour, ...]
    viable: ViablePart | NotEvaluable
    is_new: bool | None = None
    prior_id: str | None = None

    @property
    def target(self) -> Mask:
        """Where deposits may lie: the middle viable part, or the whole lesion if that cannot be judged."""
        return self.mask if isinstance(self.viable, NotEvaluable) else self.viable.middle

    @property
    def is_necrotic(self) -> bool:
        """Whether a label says that none of it lives: there is nothing to inject into."""
        return self.viable == ALL_NECROTIC
