"""Segments as they came, and what a person should know about them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy import ndimage

from hepatica.anatomy.naming import NameReading, Reading, read_name
from hepatica.anatomy.structures import NEEDED_FOR_CLEARANCE, Anatomy, Origin, StructureKind
from hepatica.core.evidence import EvidenceTable
from hepatica.core.findings import Finding, Severity
from hepatica.core.geometry import BoolArray
from hepatica.imaging.mask import Mask, Slices

_LESION_ENCLOSED_SIDES: Final = 4
"""A lesion under the capsule, at an edge of the liver, sees liver on four; one that hangs out sees less."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LabelledSegment:
    """One labelled structure as it came.

    Parameters
    ----------
    name
        Label, segment or ROI name.
    mask
        Its voxels on the planning grid.
    hint
        Standard code meaning, empty where there is none.
    source
        File role, for example ``labels[0]``.
    origin
        Who says where it is; a name such as ``stomach (derived)`` overrides ``labelled``.
    """

    name: str
    mask: Mask
    hint: str = ""
    source: str = ""
    origin: Origin = Origin.LABELLED


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ReadSegment:
    """A segment and what its name says."""

    segment: LabelledSegment
    reading: NameReading

    @property
    def kind(self) -> StructureKind | None:
        """Kind; an unknown name stands for an organ."""
        if self.reading.reading is Reading.UNKNOWN:
            return StructureKind.OTHER_ORGAN
        return self.reading.kind

    @property
    def origin(self) -> Origin:
        """Who says where it is; the name may admit that nobody does."""
        return Origin.DERIVED if self.reading.derived else self.segment.origin


def explain_names(reads: Sequence[ReadSegment]) -> list[Finding]:
    """Return a finding for every name that was not read plainly."""
    findings = []
    for read in reads:
        name = read.segment.name
        if read.reading.reading is Reading.UNKNOWN:
            findings.append(
                Finding(
                    rule="anatomy.unknown_name",
                    severity=Severity.WARNING,
                    message=f"The label name '{name}' is not known; it is kept clear of like an organ.",
                    subject=name,
                )
            )
        elif read.reading.reading is Reading.IGNORABLE:
            findings.append(
                Finding(
                    rule="anatomy.ignored_name",
                    severity=Severity.INFO,
                    message=f"The label '{name}' was left out: {read.reading.note}.",
                    subject=name,
                )
            )
        elif read.reading.note:
            findings.append(
                Finding(
                    rule="anatomy.name_reading",
                    severity=Severity.WARNING if read.reading.tumor_elsewhere else Severity.INFO,
                    message=f"The label '{name}' was read as {read.kind}: {read.reading.note}.",
                    subject=name,
                )
            )
        if read.segment.hint and _disagrees(read):
            findings.append(
                Finding(
                    rule="anatomy.name_and_code_disagree",
                    severity=Severity.WARNING,
                    message=f"Label '{name}' has the code '{read.segment.hint}'; read as {read.kind}.",
                    subject=name,
                )
            )
    return findings


def _disagrees(read: ReadSegment) -> bool:
    by_name, by_code = read_name(read.segment.name), read_name(read.segment.hint)
    known = Reading.UNKNOWN not in (by_name.reading, by_code.reading)
    parts = {StructureKind.LESION, StructureKind.NECROSIS}
    return known and by_name.kind is not by_code.kind and not {by_name.kind, by_code.kind} <= parts


def _grown_box(mask: Mask, by: int) -> Slices:
    a, b, c = (
        slice(max(s.start - by, 0), min(s.stop + by, n))
        for s, n in zip(mask.box, mask.grid.shape, strict=True)
    )
    return a, b, c


def touches(mask: Mask, full: BoolArray) -> bool:
    """Whether a mask meets a whole-grid set, or lies next to it (faces, edges or corners)."""
    box = _grown_box(mask, 1)
    return bool((ndimage.binary_dilation(mask.cut(box), np.ones((3, 3, 3), bool)) & full[box]).any())


def count_sides(target: BoolArray, queries: BoolArray, *, reach_voxels: tuple[int, int, int]) -> np.ndarray:
    """Count, for each query voxel, on how many of its six sides the target lies within reach.

    Parameters
    ----------
    target, queries
        (I, J, K) booleans of one box.
    reach_voxels
        Reach along i, j, k, in voxels.

    Returns
    -------
    numpy.ndarray
        (n,) counts 0 to 6, in the order of ``np.argwhere(queries)``.

    Examples
    --------
    >>> target = np.ones((5, 5, 5), bool); target[2, 2, 2:] = False
    >>> count_sides(target, ~target, reach_voxels=(2, 2, 2)).tolist()
    [5, 5, 4]
    """
    index = np.argwhere(queries)
    sides = np.zeros(len(index), dtype=np.int64)
    for axis, reach in enumerate(reach_voxels):
        total = np.cumsum(np.moveaxis(target, axis, 0), axis=0, dtype=np.int32)
        total = np.concatenate([np.zeros_like(total[:1]), total])
        n = target.shape[axis]
        here = index[:, axis]
        u, v = (index[:, a] for a in range(3) if a != axis)
        low, high = np.maximum(here - reach, 0), np.minimum(here + reach + 1, n)
        sides += total[here, u, v] > total[low, u, v]
        sides += total[high, u, v] > total[np.minimum(here + 1, n), u, v]
    return sides


def check_lesion_place(lesion: LabelledSegment, drawn: BoolArray, table: EvidenceTable) -> list[Finding]:
    """Return a finding where a lesion hangs out of the drawn liver."""
    limit = table["lesion_outside_share"]
    outside = lesion.mask.to_full() & ~drawn
    count = int(np.count_nonzero(outside))
    if count:
        box = Mask.from_full(outside | drawn, grid=lesion.mask.grid).box
        sides = count_sides(drawn[box], outside[box], reach_voxels=lesion.mask.grid.shape)
        count = int(np.count_nonzero(sides < _LESION_ENCLOSED_SIDES))
    share = count / lesion.mask.voxel_count
    if share <= limit.number:
        return []
    return [
        Finding.from_limit(
            limit,
            rule="anatomy.lesion_partly_outside_liver",
            severity=Severity.WARNING,
            message=f"{share:.0%} of lesion '{lesion.name}' lies outside the outline of the liver label.",
            measured=round(share, 3),
            subject=lesion.name,
        )
    ]


def _overlap(a: Mask, b: Mask) -> int:
    box = tuple(slice(max(p.start, q.start), min(p.stop, q.stop)) for p, q in zip(a.box, b.box, strict=True))
    if any(s.stop <= s.start for s in box):
        return 0

    def cut(mask: Mask) -> BoolArray:
        return mask.crop[
            tuple(slice(s.start - o, s.stop - o) for s, o in zip(box, mask.start_ijk, strict=True))
        ]

    return int(np.count_nonzero(cut(a) & cut(b)))


def check_lesion_overlaps(lesions: Sequence[LabelledSegment], table: EvidenceTable) -> list[Finding]:
    """Return a finding for each pair of lesions that share voxels."""
    limit = table["lesion_overlap_share"]
    findings = []
    for position, first in enumerate(lesions):
        for second in lesions[position + 1 :]:
            shared = _overlap(first.mask, second.mask)
            counts = first.mask.voxel_count, second.mask.voxel_count
            share = shared / min(counts)
            if share <= limit.number:
                continue
            same = shared == counts[0] == counts[1]
            what = (
                "are the same voxels: one tumour labelled twice would be dosed twice" if same else "overlap"
            )
            findings.append(
                Finding.from_limit(
                    limit,
                    rule="anatomy.lesions_overlap",
                    severity=Severity.ERROR if same else Severity.WARNING,
                    message=f"Lesions '{first.name}' and '{second.name}' {what}.",
                    measured=round(share, 3),
                    subject=first.name,
                )
            )
    return findings


def check_parts(lesions: Sequence[LabelledSegment], parts: Sequence[LabelledSegment]) -> list[Finding]:
    """Return a finding for each tumour part that lies in no lesion."""
    return [
        Finding(
            rule="anatomy.part_without_lesion",
            severity=Severity.WARNING,
            message=f"The label '{part.name}' lies in no labelled lesion.",
            subject=part.name,
        )
        for part in parts
        if not any(_overlap(part.mask, lesion.mask) for lesion in lesions)
    ]


def check_declared(anatomy: Anatomy, declared_absent: frozenset[str]) -> list[Finding]:
    """Return a finding for each group that is declared absent and labelled all the same."""
    return [
        Finding(
            rule="anatomy.declared_absent_but_labelled",
            severity=Severity.WARNING,
            message=f"'{group}' is declared absent, but labelled; the label counts.",
            subject=group,
        )
        for group in sorted(declared_absent)
        if any(anatomy.has(kind) for kind in NEEDED_FOR_CLEARANCE[group])
    ]


def check_whole(anatomy: Anatomy) -> list[Finding]:
    """Return a finding for each needed organ of which only a part is labelled: it does not clear a plan."""
    needed = [kind for kinds in NEEDED_FOR_CLEARANCE.values() for kind in kinds]
    return [
        Finding(
            rule="anatomy.part_not_labelled",
            severity=Severity.WARNING,
            message=f"Of {kind.value} only {', '.join(source.names)} is labelled; "
            f"{', '.join(source.unnamed_parts)} is not, and counts as not labelled.",
            subject=kind.value,
        )
        for kind in needed
        if (source := anatomy.sources.get(kind)) is not None
        and source.origin is Origin.LABELLED
        and source.unnamed_parts
        and not any(kind in NEEDED_FOR_CLEARANCE[group] for group in anatomy.declared_absent)
    ]
