"""Which part of each tumour lives: from a label, or from two phases."""

from __future__ import annotations

from hepatica.anatomy.assemble import AssembledAnatomy
from hepatica.anatomy.segments import LabelledSegment
from hepatica.anatomy.structures import Anatomy, StructureKind
from hepatica.core.findings import Finding, NotEvaluable, Severity
from hepatica.core.progress import Progress
from hepatica.imaging.mask import Mask
from hepatica.lesions.describe import read_lesion_tables
from hepatica.lesions.instances import split_segments
from hepatica.lesions.lesion import ALL_NECROTIC, ViablePart
from hepatica.lesions.viable import derive_viable, read_viable_label
from hepatica.lesions.volume import find_union
from hepatica.workflows.read_case import Case


def find_viable_parts(
    case: Case, assembled: AssembledAnatomy, anatomy: Anatomy, *, progress: Progress
) -> tuple[dict[str, ViablePart | NotEvaluable], tuple[Finding, ...]]:
    """Find the living part of every lesion, by the lesion's label as `split_segments` names it.

    A label of viable tumour or necrosis decides; otherwise two phases and the tumour type do.
    """
    segments = [(segment.name, segment.mask) for segment in assembled.lesion_segments]
    parts, _ = split_segments(segments, limits=read_lesion_tables().extents)
    viable_label = _unite(assembled.viable_segments)
    necrosis_label = _unite(assembled.necrosis_segments)
    liver = anatomy.select(StructureKind.LIVER)
    found: dict[str, ViablePart | NotEvaluable] = {}
    for number, part in enumerate(parts):
        progress.check_cancelled()
        answer = read_viable_label(part.mask, viable=viable_label, necrosis=necrosis_label)
        if isinstance(answer, NotEvaluable) and answer != ALL_NECROTIC:
            answer = derive_viable(
                part.mask,
                venous=case.image.volume,
                arterial=case.arterial.volume if case.arterial else None,
                liver=liver,
                tumour_type=case.request.tumour,
                progress=progress,
            )
        found[part.label] = answer
        progress.advance((number + 1) / len(parts))
    return found, tuple(_explain(label, answer) for label, answer in found.items())


def _unite(segments: tuple[LabelledSegment, ...]) -> Mask | None:
    return find_union([segment.mask for segment in segments]) if segments else None


def _explain(label: str, answer: ViablePart | NotEvaluable) -> Finding:
    if answer == ALL_NECROTIC:
        return Finding(
            rule="lesions.all_necrotic",
            severity=Severity.WARNING,
            message="The label of necrosis covers the whole lesion: no viable tumour is left, and none of it is "
            "injected. If that is not meant, correct the label.",
            subject=label,
        )
    if isinstance(answer, NotEvaluable):
        return Finding(
            rule="lesions.viable_not_evaluable",
            severity=Severity.WARNING,
            message=f"The viable part cannot be judged ({answer.reason}); targets lie anywhere in the lesion.",
            subject=label,
        )
    return Finding(
        rule="lesions.viable",
        severity=Severity.INFO,
        message=f"Viable part: {answer.method}; {answer.origin}.",
        measured=round(answer.middle.volume_ml, 2),
        unit="ml",
        subject=label,
    )
