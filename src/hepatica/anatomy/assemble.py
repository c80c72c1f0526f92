"""Labelled segments, put together into one anatomy."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from hepatica.anatomy.naming import Reading, read_name
from hepatica.anatomy.segments import (
    LabelledSegment,
    ReadSegment,
    check_declared,
    check_lesion_overlaps,
    check_lesion_place,
    check_parts,
    check_whole,
    count_sides,
    explain_names,
    touches,
)
from hepatica.anatomy.structures import (
    NEEDED_FOR_CLEARANCE,
    Anatomy,
    StructureKind,
    StructureSource,
    to_bit,
)
from hepatica.core.errors import EmptyLabelError, GeometryError, InputError, LesionOutsideLiverError
from hepatica.core.evidence import EvidenceTable, read_evidence_table
from hepatica.core.findings import Finding, Severity
from hepatica.core.geometry import BoolArray, Grid
from hepatica.imaging.mask import Mask

_LIVER_VESSELS: Final = (
    StructureKind.PORTAL_VEIN,
    StructureKind.HEPATIC_VEIN,
    StructureKind.LIVER_VESSEL,
    StructureKind.BILE_DUCT,
)
_ENCLOSED_SIDES: Final = 4
"""Of six axis directions: a branch may run out of reach along its own axis; beside the liver it sees less."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class AssembledAnatomy:
    """Anatomy with its tumours kept apart.

    Parameters
    ----------
    anatomy
        All structures as bits; liver bits include vessels and lesions (DESIGN 10).
    lesion_segments
        One for each tumour, never merged, ordered by name and place.
    viable_segments, necrosis_segments
        Living and dead parts of tumours, where labelled.
    findings
        What a person should know or look at.
    """

    anatomy: Anatomy
    lesion_segments: tuple[LabelledSegment, ...]
    viable_segments: tuple[LabelledSegment, ...]
    necrosis_segments: tuple[LabelledSegment, ...]
    findings: tuple[Finding, ...]


def assemble_anatomy(
    grid: Grid,
    segments: Iterable[LabelledSegment],
    *,
    declared_absent: frozenset[str] = frozenset(),
) -> AssembledAnatomy:
    """Put labelled segments together into one anatomy and a list of tumours.

    Parameters
    ----------
    grid
        Grid of the planning scan; every mask must lie on it.
    segments
        Labelled structures in any order; the result does not depend on it.
    declared_absent
        Groups of `hepatica.anatomy.structures.NEEDED_FOR_CLEARANCE` a person declared absent or out of reach.

    Raises
    ------
    EmptyLabelError
        If there is no liver, or no lesion.
    LesionOutsideLiverError
        If a lesion touches neither the liver nor a lesion that does.
    InputError
        If a declared-absent group does not exist.
    GeometryError
        If a mask lies on another grid.

    Examples
    --------
    >>> import numpy as np
    >>> grid = Grid.from_axes(shape=(9, 9, 9), spacing_mm=(2, 2, 2), origin_lps_mm=(0, 0, 0))
    >>> full = np.zeros(grid.shape, bool); full[1:8, 1:8, 1:8] = True
    >>> spot = np.zeros(grid.shape, bool); spot[3:5, 3:5, 3:5] = True
    >>> result = assemble_anatomy(grid, [
    ...     LabelledSegment(name="liver", mask=Mask.from_full(full & ~spot, grid=grid)),
    ...     LabelledSegment(name="livertumor1", mask=Mask.from_full(spot, grid=grid))])
    >>> int(result.anatomy.select(StructureKind.LIVER).sum()), [s.name for s in result.lesion_segments]
    (343, ['livertumor1'])
    """
    _require_groups(declared_absent)
    table = read_evidence_table("hepatica.anatomy.tables", "assembly.toml")
    reads = _read_segments(grid, segments)
    findings = explain_names(reads)
    lesions, viable, necrosis = _sort_tumor_parts(reads, findings)
    livers = [r.segment.mask for r in reads if r.kind is StructureKind.LIVER]
    if not livers:
        raise EmptyLabelError(
            expected="a liver label",
            given=f"labels {', '.join(r.segment.name for r in reads) or 'none'}",
            where="labels",
            action="label the liver, or give a names table that says which number it is",
        )
    if not lesions:
        raise EmptyLabelError(
            expected="at least one lesion label",
            given=f"labels {', '.join(r.segment.name for r in reads)}",
            where="labels",
            action="label each tumour, with a name such as 'lesion 1'",
        )
    drawn = np.zeros(grid.shape, dtype=bool, order="F")
    for mask in livers:
        drawn[mask.box] |= mask.crop
    liver = drawn.copy(order="F")
    for lesion in _order_by_contact(lesions, liver):
        findings += check_lesion_place(lesion, drawn, table)
        liver[lesion.mask.box] |= lesion.mask.crop
    findings += check_lesion_overlaps(lesions, table)
    findings += check_parts(lesions, (*viable, *necrosis))
    _add_enclosed_vessels(liver, reads, table)
    anatomy = _unite(grid, reads, liver, declared_absent)
    findings += check_declared(anatomy, declared_absent)
    findings += check_whole(anatomy)
    return AssembledAnatomy(
        anatomy=anatomy,
        lesion_segments=tuple(lesions),
        viable_segments=tuple(viable),
        necrosis_segments=tuple(necrosis),
        findings=tuple(findings),
    )


def _require_groups(declared_absent: frozenset[str]) -> None:
    unknown = sorted(declared_absent - set(NEEDED_FOR_CLEARANCE))
    if unknown:
        raise InputError(
            expected=f"groups among {', '.join(NEEDED_FOR_CLEARANCE)}",
            given=f"'{unknown[0]}'",
            where="declared absent",
            action="use a group name of the list",
        )


def _read_segments(grid: Grid, segments: Iterable[LabelledSegment]) -> list[ReadSegment]:
    reads = []
    for segment in segments:
        if not segment.mask.grid.same_grid(grid):
            raise GeometryError(
                expected="a mask on the scan's grid", given="another grid", where=f"label '{segment.name}'"
            )
        reads.append(ReadSegment(segment=segment, reading=read_name(segment.name, hint=segment.hint)))
    return sorted(reads, key=_sort_key)


def _sort_key(read: ReadSegment) -> tuple[str, str, str, str, tuple[int, int, int], bytes]:
    s = read.segment
    return s.name, s.hint, s.source, str(s.origin), s.mask.start_ijk, np.packbits(s.mask.crop).tobytes()


def _sort_tumor_parts(
    reads: Sequence[ReadSegment], findings: list[Finding]
) -> tuple[list[LabelledSegment], list[LabelledSegment], list[LabelledSegment]]:
    def pick(kind: StructureKind, reading: Reading) -> list[LabelledSegment]:
        return [r.segment for r in reads if r.kind is kind and r.reading.reading is reading]

    lesions = pick(StructureKind.LESION, Reading.STRUCTURE)
    viable = pick(StructureKind.LESION, Reading.VIABLE)
    necrosis = pick(StructureKind.NECROSIS, Reading.STRUCTURE)
    if viable and not lesions:
        lesions = list(unite_viable_parts(viable, necrosis))
        findings.append(
            Finding(
                rule="anatomy.only_viable_labelled",
                severity=Severity.WARNING,
                message="Only viable parts are labelled; each, with necrosis it touches, is a lesion.",
            )
        )
    return lesions, viable, necrosis


def unite_viable_parts(
    viable: Sequence[LabelledSegment], necrosis: Sequence[LabelledSegment]
) -> tuple[LabelledSegment, ...]:
    """Return a lesion for each viable part, with the necrosis it touches.

    Parameters
    ----------
    viable, necrosis
        Living and dead parts of tumours that no label holds whole.
    """
    return tuple(_unite_with_necrosis(part, necrosis) for part in viable)


def is_enclosed_by(target: BoolArray, queries: BoolArray) -> BoolArray:
    """Return which queried voxels a target encloses: it is seen on four of the six sides or more.

    Parameters
    ----------
    target, queries
        (I, J, K) booleans of one box.

    Examples
    --------
    >>> target = np.ones((5, 5, 5), bool); target[2, 2, 2] = target[0, 0, 0] = False
    >>> np.argwhere(is_enclosed_by(target, ~target)).tolist()
    [[2, 2, 2]]
    """
    reach = (target.shape[0], target.shape[1], target.shape[2])
    enclosed = np.zeros(target.shape, dtype=bool, order="F")
    sides = count_sides(target, queries, reach_voxels=reach)
    enclosed[tuple(np.argwhere(queries)[sides >= _ENCLOSED_SIDES].T)] = True
    return enclosed


def _unite_with_necrosis(part: LabelledSegment, necrosis: Sequence[LabelledSegment]) -> LabelledSegment:
    """Exclusive labels cut a tumour into rim and centre; its diameter needs both."""
    whole = part.mask.to_full()
    for dead in necrosis:
        if touches(dead.mask, part.mask.to_full()):
            whole[dead.mask.box] |= dead.mask.crop
    return replace(part, mask=Mask.from_full(whole, grid=part.mask.grid, where=part.name))


def _order_by_contact(lesions: Sequence[LabelledSegment], liver: BoolArray) -> list[LabelledSegment]:
    reached, waiting, grown = [], list(lesions), liver.copy(order="F")
    while waiting:
        now = [lesion for lesion in waiting if touches(lesion.mask, grown)]
        if not now:
            raise LesionOutsideLiverError(
                expected="every lesion to touch the liver",
                given=f"{waiting[0].mask.volume_ml:.1f} ml without contact",
                where=f"label '{waiting[0].name}'",
                action="check the label, its name and that liver and lesion were drawn on the same scan",
            )
        for lesion in now:
            grown[lesion.mask.box] |= lesion.mask.crop
        reached += now
        waiting = [lesion for lesion in waiting if not any(lesion is done for done in now)]
    return reached


def _add_enclosed_vessels(liver: BoolArray, reads: Sequence[ReadSegment], table: EvidenceTable) -> None:
    masks = [r.segment.mask for r in reads if r.kind in _LIVER_VESSELS]
    if not masks:
        return
    grid = masks[0].grid
    vessels = np.zeros(grid.shape, dtype=bool, order="F")
    for mask in masks:
        vessels[mask.box] |= mask.crop
    vessels &= ~liver
    if not vessels.any():
        return
    box = Mask.from_full(liver, grid=grid).box
    local, target = vessels[box], liver[box]
    reach = np.ceil(table["vessel_enclosure_reach"].number / grid.spacing_mm).astype(int)
    inside = count_sides(target, local, reach_voxels=(int(reach[0]), int(reach[1]), int(reach[2])))
    target[tuple(np.argwhere(local)[inside >= _ENCLOSED_SIDES].T)] = True


def _unite(
    grid: Grid, reads: Sequence[ReadSegment], liver: BoolArray, declared_absent: frozenset[str]
) -> Anatomy:
    empty = Anatomy(
        grid=grid, bits=np.zeros(grid.shape, dtype=np.uint32, order="F"), declared_absent=declared_absent
    )
    anatomy = empty.with_structures(
        (
            StructureSource(
                kind=read.kind, origin=read.origin, names=(read.segment.name,), source=read.segment.source
            ),
            read.segment.mask,
        )
        for read in reads
        if read.kind is not None
    )
    bits = np.array(anatomy.bits, order="K")
    bits[liver] |= np.uint32(to_bit(StructureKind.LIVER))
    if anatomy.has(StructureKind.BODY):
        _complete_body(bits)
    return Anatomy(grid=grid, bits=bits, sources=anatomy.sources, declared_absent=declared_absent)


def _complete_body(bits: np.ndarray) -> None:
    """Exclusive label maps cut organs out of the body; everything inside the skin belongs to it."""
    inside = np.uint32(~to_bit(StructureKind.IMPLANT) & 0xFFFFFFFF)
    bits[(bits & inside) != 0] |= np.uint32(to_bit(StructureKind.BODY))
