"""Structures as bits of one array: overlaps are allowed, look-ups are one read."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

import numpy as np
from numpy.typing import NDArray

from hepatica.anatomy.whole import find_unnamed_parts
from hepatica.core.errors import GeometryError
from hepatica.core.geometry import BoolArray, Grid
from hepatica.imaging.mask import Mask


class StructureKind(StrEnum):
    """What a structure is. The order fixes the bit; new kinds go to the end."""

    BODY = "body"
    """Everything inside the skin."""
    LIVER = "liver"
    """Liver with its vessels and lesions."""
    LESION = "lesion"
    """Any tumour; instances are kept apart in the lesions room."""
    NECROSIS = "necrosis"
    """Non-viable part of a tumour."""
    LUNG = "lung"
    """Lung, both sides."""
    HEART = "heart"
    """Heart with pericardium."""
    STOMACH = "stomach"
    """Stomach with content."""
    BOWEL = "bowel"
    """Duodenum, small bowel and colon."""
    OESOPHAGUS = "oesophagus"
    """Oesophagus."""
    GALLBLADDER = "gallbladder"
    """Gallbladder."""
    BILE_DUCT = "bile_duct"
    """Bile ducts."""
    KIDNEY = "kidney"
    """Kidneys."""
    SPLEEN = "spleen"
    """Spleen."""
    PANCREAS = "pancreas"
    """Pancreas."""
    ADRENAL = "adrenal"
    """Adrenal glands."""
    AORTA = "aorta"
    """Aorta and named arteries."""
    VENA_CAVA = "vena_cava"
    """Inferior vena cava."""
    PORTAL_VEIN = "portal_vein"
    """Portal and splenic vein with branches."""
    HEPATIC_VEIN = "hepatic_vein"
    """Hepatic veins; also a mixed label of systemic veins."""
    BONE = "bone"
    """Ribs, spine, other bone."""
    IMPLANT = "implant"
    """Metal, ports, stents, drains."""
    OTHER_ORGAN = "other_organ"
    """A labelled organ that has no kind of its own; never crossed."""
    GAS = "gas"
    """Gas inside the body but outside the lung: stands for stomach and bowel."""
    CONTRAST_LUMEN = "contrast_lumen"
    """Contrast-filled lumen or chamber that is not bone: stands for stomach, heart and large vessels."""
    LIVER_VESSEL = "liver_vessel"
    """Bright vessels inside the liver, portal or hepatic not told apart."""


class Origin(StrEnum):
    """Who says where a structure is."""

    LABELLED = "labelled"
    """A label the user supplied."""
    DERIVED = "derived, not reviewed"
    """Computed here from the image; nobody has looked at it."""


NEEDED_FOR_CLEARANCE: Final[Mapping[str, tuple[StructureKind, ...]]] = {
    "heart": (StructureKind.HEART,),
    "stomach": (StructureKind.STOMACH,),
    "bowel": (StructureKind.BOWEL,),
    "gallbladder": (StructureKind.GALLBLADDER,),
    "kidney": (StructureKind.KIDNEY,),
    "vessels": (StructureKind.PORTAL_VEIN, StructureKind.HEPATIC_VEIN),
    "ducts": (StructureKind.BILE_DUCT,),
}
"""Groups that must be labelled or declared absent before a plan is cleared (DESIGN 10); all kinds of a group."""


def to_bit(kind: StructureKind) -> int:
    """Return the bit value of a kind."""
    return 1 << _BIT[kind]


_BIT: Final = {kind: position for position, kind in enumerate(StructureKind)}


@dataclass(frozen=True, slots=True, kw_only=True)
class StructureSource:
    """Where one kind of structure came from.

    Parameters
    ----------
    kind
        What it is.
    origin
        Labelled or derived. Where both exist for one kind, labelled wins and the voxels are united.
    names
        Label names that were united into it, as given.
    source
        File role or method.
    """

    kind: StructureKind
    origin: Origin
    names: tuple[str, ...]
    source: str

    @property
    def unnamed_parts(self) -> tuple[str, ...]:
        """Parts of the organ that none of the names stands for."""
        return find_unnamed_parts(self.kind.value, self.names)

    @property
    def whole(self) -> bool:
        """Whether a person labelled all of it."""
        return self.origin is Origin.LABELLED and not self.unnamed_parts


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Anatomy:
    """All structures of one scan.

    Parameters
    ----------
    grid
        Grid of the planning scan.
    bits
        (I, J, K) uint32; bit ``to_bit(kind)`` is set where the voxel belongs to the kind. Read-only,
        ``bits.T`` contiguous.
    sources
        Where each present kind came from.
    declared_absent
        Groups of `NEEDED_FOR_CLEARANCE` that a person declared absent or out of reach.
    """

    grid: Grid
    bits: NDArray[np.uint32]
    sources: Mapping[StructureKind, StructureSource] = field(default_factory=dict)
    declared_absent: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        """Validate and freeze."""
        if self.bits.shape != self.grid.shape or self.bits.dtype != np.uint32:
            raise GeometryError(
                expected=f"uint32 bits of shape {self.grid.shape}",
                given=f"{self.bits.dtype} {self.bits.shape}",
            )
        view = self.bits.view()
        view.setflags(write=False)
        object.__setattr__(self, "bits", view)

    def has(self, kind: StructureKind) -> bool:
        """Whether the kind was labelled or derived."""
        return kind in self.sources

    def select(self, *kinds: StructureKind) -> BoolArray:
        """Return the whole-grid union of some kinds as booleans."""
        wanted = np.uint32(sum(to_bit(kind) for kind in set(kinds)))
        chosen = np.empty(self.grid.shape, dtype=bool, order="F")
        # Slice by slice: a whole-grid temporary of 32-bit words would be the largest array of a run.
        for k in range(self.grid.shape[2]):
            np.not_equal(self.bits[:, :, k] & wanted, 0, out=chosen[:, :, k])
        return chosen

    def missing_for_clearance(self) -> tuple[str, ...]:
        """Return the groups that are not wholly labelled by the user and not declared absent."""
        return tuple(
            group
            for group, kinds in NEEDED_FOR_CLEARANCE.items()
            if group not in self.declared_absent
            and not all(kind in self.sources and self.sources[kind].whole for kind in kinds)
        )

    def with_structures(self, additions: Iterable[tuple[StructureSource, Mask]]) -> Anatomy:
        """Return a copy with more structures united in."""
        bits = np.array(self.bits, order="K")
        sources = dict(self.sources)
        for source, mask in additions:
            if not mask.grid.same_grid(self.grid):
                raise GeometryError(
                    expected="a mask on the scan's grid", given="another grid", where=source.source
                )
            part = bits[mask.box]
            np.bitwise_or(part, np.uint32(to_bit(source.kind)), out=part, where=mask.crop)
            sources[source.kind] = _unite(sources.get(source.kind), source)
        return Anatomy(grid=self.grid, bits=bits, sources=sources, declared_absent=self.declared_absent)


def _unite(first: StructureSource | None, second: StructureSource) -> StructureSource:
    if first is None:
        return second
    labelled = Origin.LABELLED in (first.origin, second.origin)
    return StructureSource(
        kind=first.kind,
        origin=Origin.LABELLED if labelled else Origin.DERIVED,
        names=tuple(dict.fromkeys((*first.names, *second.names))),
        source=first.source if first.source == second.source else f"{first.source}; {second.source}",
    )
