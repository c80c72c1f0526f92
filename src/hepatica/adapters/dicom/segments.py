"""Which segments a plan has, in which order, under which tracking identifiers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from hepatica.anatomy.structures import Origin, StructureKind
from hepatica.core.findings import NotEvaluable
from hepatica.core.provenance import derive_uid
from hepatica.imaging.mask import Mask, find_box
from hepatica.lesions.lesion import Lesion
from hepatica.workflows.ports import PlanContext

NOT_SEGMENTS: Final = frozenset({StructureKind.BODY, StructureKind.LESION})
"""Kinds without a segment of their own: the body is the whole image, lesions have one segment each."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Segment:
    """One segment to write.

    Parameters
    ----------
    role
        ``structure``, ``lesion``, ``viable`` or ``prediction``.
    name
        Structure kind or lesion id.
    code
        Name of its code in ``codes.toml``.
    label
        Text a viewer shows.
    description
        Where it comes from.
    derived
        Whether it was computed and not reviewed; else it is a supplied label.
    method
        How it was computed, or which labels were united.
    mask
        Its voxels.
    tracking_id, tracking_uid
        The same as in the report.
    """

    role: str
    name: str
    code: str
    label: str
    description: str
    derived: bool
    method: str
    mask: Mask
    tracking_id: str
    tracking_uid: str


def find_tracking_uids(context: PlanContext) -> Mapping[str, str]:
    """Return each lesion's tracking UID: the plan document's where it has one, else derived from the run."""
    written = {
        str(entry.get("id", "")): str(entry.get("tracking_uid", ""))
        for entry in context.plan_document.get("lesions", ())
        if isinstance(entry, Mapping)
    }
    run_id = context.manifest.run_id
    names = [lesion.lesion_id for lesion in context.plan.lesions]
    return {name: written.get(name) or derive_uid(run_id, "lesion", name) for name in names}


def list_segments(context: PlanContext) -> tuple[Segment, ...]:
    """List liver, lesions, viable parts and every other structure present, in this order."""
    tracking = find_tracking_uids(context)
    segments: list[Segment] = []
    kinds = [kind for kind in context.anatomy.sources if kind not in NOT_SEGMENTS]
    kinds.sort(key=lambda kind: (kind is not StructureKind.LIVER, tuple(StructureKind).index(kind)))
    structures = [segment for kind in kinds if (segment := _make_structure(context, kind)) is not None]
    segments.extend(s for s in structures if s.name == StructureKind.LIVER.value)
    for lesion in context.plan.lesions:
        segments.append(_make_lesion(context, lesion, tracking[lesion.lesion_id]))
    for lesion in context.plan.lesions:
        viable = _make_viable(context, lesion)
        if viable is not None:
            segments.append(viable)
    segments.extend(s for s in structures if s.name != StructureKind.LIVER.value)
    return tuple(segments)


def _make_structure(context: PlanContext, kind: StructureKind) -> Segment | None:
    grid = context.anatomy.grid
    full = context.anatomy.select(kind)
    box = find_box(full)
    if box is None:
        return None
    source = context.anatomy.sources[kind]
    derived = source.origin is Origin.DERIVED
    names = ", ".join(source.names)
    return Segment(
        role="structure",
        name=kind.value,
        code=kind.value,
        label=kind.value.replace("_", " "),
        description=f"derived, not reviewed: {source.source}" if derived else f"supplied label: {names}",
        derived=derived,
        method=source.source,
        # A copy: a view would keep one whole-grid array alive for each structure.
        mask=Mask(grid=grid, start_ijk=(box[0].start, box[1].start, box[2].start), crop=full[box].copy()),
        tracking_id=kind.value,
        tracking_uid=derive_uid(context.manifest.run_id, "structure", kind.value),
    )


def _make_lesion(context: PlanContext, lesion: Lesion, tracking_uid: str) -> Segment:
    source = context.anatomy.sources.get(StructureKind.LESION)
    derived = source is not None and source.origin is Origin.DERIVED
    return Segment(
        role="lesion",
        name=lesion.lesion_id,
        code="lesion",
        label=f"{lesion.lesion_id} {lesion.label}",
        description=("derived, not reviewed: " if derived else "supplied label: ") + lesion.label,
        derived=derived,
        method=source.source if source is not None else lesion.label,
        mask=lesion.mask,
        tracking_id=lesion.lesion_id,
        tracking_uid=tracking_uid,
    )


def _make_viable(context: PlanContext, lesion: Lesion) -> Segment | None:
    if isinstance(lesion.viable, NotEvaluable):
        return None
    derived = lesion.viable.origin != "label"
    return Segment(
        role="viable",
        name=lesion.lesion_id,
        code="viable_part",
        label=f"{lesion.lesion_id} viable part",
        description=f"{'derived, not reviewed' if derived else 'supplied label'}: {lesion.viable.method}",
        derived=derived,
        method=lesion.viable.method,
        mask=lesion.viable.middle,
        # A part is not the lesion: its own tracking UID keeps one UID for one lesion.
        tracking_id=f"{lesion.lesion_id} viable",
        tracking_uid=derive_uid(context.manifest.run_id, "viable part", lesion.lesion_id),
    )
