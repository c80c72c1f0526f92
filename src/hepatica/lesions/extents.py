"""Checks on the masks themselves: cut off, too thin for the slices, misplaced."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import numpy as np

from hepatica.core.evidence import EvidenceTable, read_evidence_table
from hepatica.core.findings import Finding, Severity
from hepatica.imaging.volume import Volume
from hepatica.lesions.lesion import Lesion
from hepatica.lesions.volume import find_touched_faces

TABLES: Final = "hepatica.lesions.tables"


def check_lesion_extents(
    lesions: Iterable[Lesion], *, volume: Volume, limits: EvidenceTable | None = None
) -> tuple[Finding, ...]:
    """Check whether lesions are imaged well enough for their measures to mean something.

    Rules: ``lesions.cut_off`` (touches a face of the volume: every measure is a lower bound),
    ``lesions.thick_slices`` (longest diameter below twice the slice spacing), ``lesions.not_measurable``
    (below the RECIST size), ``lesions.hu_implausible`` (median CT number unlike tumour: labels of another
    scan or phase?).

    Parameters
    ----------
    lesions
        Described lesions.
    volume
        The planning scan, on the lesions' grid; CT numbers are judged for modality ``CT`` only.
    limits
        Table ``extents.toml``, or a site's own.
    """
    table = limits or read_evidence_table(TABLES, "extents.toml")
    findings: list[Finding] = []
    for lesion in lesions:
        findings += _check_faces(lesion)
        findings += _check_slices(lesion, table=table)
        if volume.modality == "CT":
            findings += _check_tissue(lesion, volume=volume, table=table)
    return tuple(findings)


def _check_faces(lesion: Lesion) -> list[Finding]:
    faces = find_touched_faces(lesion.mask)
    if not faces:
        return []
    return [
        Finding(
            rule="lesions.cut_off",
            severity=Severity.WARNING,
            message=f"Lesion {lesion.lesion_id} touches the edge of the scan ({', '.join(faces)}): "
            "its diameters and volume are lower bounds.",
            measured=float(len(faces)),
            limit=0.0,
            subject=lesion.lesion_id,
        )
    ]


def _check_slices(lesion: Lesion, *, table: EvidenceTable) -> list[Finding]:
    grid = lesion.mask.grid
    spacing_mm = float(grid.spacing_mm[grid.slice_axis])
    length_mm = lesion.longest_diameter.length_mm
    ratio, least = table["slices_per_diameter"], table["measurable_diameter"]
    findings = []
    if length_mm < ratio.number * spacing_mm:
        findings.append(
            Finding.from_limit(
                ratio,
                rule="lesions.thick_slices",
                severity=Severity.WARNING,
                message=f"Lesion {lesion.lesion_id} ({length_mm:.1f} mm) is small for slices "
                f"{spacing_mm:.1f} mm apart.",
                measured=round(length_mm / spacing_mm, 2),
                subject=lesion.lesion_id,
            )
        )
    if length_mm < least.number:
        findings.append(
            Finding.from_limit(
                least,
                rule="lesions.not_measurable",
                severity=Severity.INFO,
                message=f"Lesion {lesion.lesion_id} is below the size that RECIST 1.1 calls measurable.",
                measured=length_mm,
                subject=lesion.lesion_id,
            )
        )
    return findings


def _check_tissue(lesion: Lesion, *, volume: Volume, table: EvidenceTable) -> list[Finding]:
    median_hu = float(np.median(volume.values[lesion.mask.box][lesion.mask.crop]))
    low, high = table["tissue_low"], table["tissue_high"]
    if low.number <= median_hu <= high.number:
        return []
    return [
        Finding.from_limit(
            low if median_hu < low.number else high,
            rule="lesions.hu_implausible",
            severity=Severity.WARNING,
            message=f"Lesion {lesion.lesion_id} has a median of {median_hu:.0f} HU, unlike tumour. "
            "Do the labels belong to this scan?",
            measured=median_hu,
            subject=lesion.lesion_id,
        )
    ]
