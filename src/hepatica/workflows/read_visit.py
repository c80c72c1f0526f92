"""One visit for tracking: scan, liver or body, and lesions measured; a follow-up may have no lesion left."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hepatica.anatomy.assemble import assemble_anatomy
from hepatica.anatomy.derive_body import derive_body
from hepatica.anatomy.naming import to_structure_kind
from hepatica.anatomy.segments import LabelledSegment
from hepatica.anatomy.structures import StructureKind
from hepatica.core.errors import EmptyLabelError, ModalityError
from hepatica.core.evidence import read_evidence_table
from hepatica.core.findings import Finding, Severity
from hepatica.core.progress import Progress
from hepatica.core.provenance import digest_json
from hepatica.imaging.mask import Mask
from hepatica.imaging.scan_registration import ScanSide
from hepatica.imaging.volume import Volume
from hepatica.lesions.matching.evidence import ScanLesion
from hepatica.lesions.matching.measured import MeasuredLesion, measure_lesions
from hepatica.lesions.surroundings import derive_whole_liver
from hepatica.workflows.input_roles import name_findings, name_input
from hepatica.workflows.plan_ports import PlanPorts
from hepatica.workflows.ports import ReadImage
from hepatica.workflows.read_labels import read_label_sources
from hepatica.workflows.request import LabelInput


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TrackedVisit:
    """One visit as read and measured.

    Parameters
    ----------
    image
        The scan.
    side
        What registration needs of it.
    lesions
        Measured lesions.
    digests
        SHA-256 by input role.
    scan_digest
        Digest of scan and labels together, from which UIDs derive.
    findings
        What was noticed.
    """

    image: ReadImage
    side: ScanSide
    lesions: tuple[MeasuredLesion, ...]
    digests: dict[str, str]
    scan_digest: str
    findings: tuple[Finding, ...]

    @property
    def to_match(self) -> tuple[ScanLesion, ...]:
        """The lesions as matching takes them."""
        return tuple(
            ScanLesion(
                lesion_id=lesion.lesion_id,
                mask=lesion.mask,
                longest_diameter_mm=lesion.longest_diameter.length_mm,
                volume_ml=lesion.volume_ml,
            )
            for lesion in self.lesions
        )


def read_visit(
    role: str,
    image: ReadImage,
    labels: tuple[LabelInput, ...],
    *,
    needs_lesion: bool,
    ports: PlanPorts,
    progress: Progress,
) -> TrackedVisit:
    """Read the labels of a scan and measure its lesions.

    Parameters
    ----------
    role
        ``baseline`` or ``followup``.
    image
        Its scan.
    labels
        Label sources.
    needs_lesion
        Refuse a visit without any lesion label; a follow-up after a complete response has none.
    ports
        The world.
    progress
        Told of stages; may cancel.

    Raises
    ------
    EmptyLabelError
        If there is no lesion where one is needed, or neither lesion nor liver.
    """
    if image.volume.modality != "CT":
        raise ModalityError(
            expected="a CT",
            given=f"modality {image.volume.modality}",
            where=role,
            action="choose a CT series",
        )
    progress.stage(f"Reading labels of the {role}")
    with name_input(role):
        read = read_label_sources(labels, image=image, ports=ports, progress=progress)
        segments, liver, findings = sort_segments(image.volume, read.segments, needs_lesion=needs_lesion)
        lesions, told = measure_lesions(segments)
    digests = {role: image.digest, **{f"{role} {name}": digest for name, digest in read.digests.items()}}
    masks = tuple(lesion.mask for lesion in lesions)
    if liver is None:
        findings.append(
            Finding(
                rule="track.no_liver",
                severity=Severity.WARNING,
                message="The liver is not labelled: the whole body was registered, which is less exact.",
                subject=role,
            )
        )
    side = ScanSide(
        volume=image.volume,
        region=liver or find_body(image.volume),
        is_liver=liver is not None,
        lesions=masks,
    )
    return TrackedVisit(
        image=image,
        side=side,
        lesions=lesions,
        digests=digests,
        scan_digest=digest_json([digest for _, digest in sorted(digests.items())]),
        findings=name_findings((*image.findings, *read.findings, *findings, *told), role),
    )


def sort_segments(
    volume: Volume, segments: tuple[LabelledSegment, ...], *, needs_lesion: bool
) -> tuple[list[tuple[str, Mask]], Mask | None, list[Finding]]:
    """Return lesion segments, the whole liver where it is labelled, and findings.

    Parameters
    ----------
    volume
        The scan.
    segments
        Everything that is labelled on it.
    needs_lesion
        As in `read_visit`.
    """
    kinds = [to_structure_kind(segment.name, hint=segment.hint) for segment in segments]
    has_liver = StructureKind.LIVER in kinds
    if StructureKind.LESION in kinds and has_liver:
        assembled = assemble_anatomy(volume.grid, segments)
        found = [(segment.name, segment.mask) for segment in assembled.lesion_segments]
        liver = derive_whole_liver(assembled.anatomy, tuple(mask for _, mask in found))
        return found, liver, list(assembled.findings)
    if StructureKind.LESION not in kinds and (needs_lesion or not has_liver):
        raise EmptyLabelError(
            expected="a lesion label" if needs_lesion else "a lesion label, or a liver label without lesions",
            given=f"labels {', '.join(segment.name for segment in segments) or 'none'}",
            where="labels",
            action="check the names table",
        )
    found = [
        (segment.name, segment.mask)
        for segment, kind in zip(segments, kinds, strict=True)
        if kind is StructureKind.LESION
    ]
    return found, _unite(volume, segments, kinds) if has_liver else None, []


def _unite(volume: Volume, segments: tuple[LabelledSegment, ...], kinds: list[StructureKind | None]) -> Mask:
    full = np.zeros(volume.grid.shape, dtype=bool, order="F")
    for segment, kind in zip(segments, kinds, strict=True):
        if kind is StructureKind.LIVER:
            full[segment.mask.box] |= segment.mask.crop
    return Mask.from_full(full, grid=volume.grid, where="liver")


def find_body(volume: Volume) -> Mask:
    """Return the body, derived from the values: what is registered where the liver is not labelled.

    Parameters
    ----------
    volume
        A CT.
    """
    limits = read_evidence_table("hepatica.anatomy.tables", "derivation.toml")
    body = derive_body(volume.values.T, volume.grid.spacing_mm[::-1], limits).T
    return Mask.from_full(np.asfortranarray(body), grid=volume.grid, where="body")
