"""Which voxels are one tumour: one segment is one lesion, and doubtful borders are said aloud."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Final

import numpy as np
from scipy import ndimage

from hepatica.core.errors import EmptyLabelError, GeometryError
from hepatica.core.evidence import EvidenceTable, read_evidence_table
from hepatica.core.findings import Finding, Severity
from hepatica.imaging.mask import Mask
from hepatica.lesions.surroundings import measure_gap_mm

TABLES: Final = "hepatica.lesions.tables"
_CONNECTED_26: Final = np.ones((3, 3, 3), dtype=bool)
_NECK_LEVELS: Final = 12


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LesionSegment:
    """One tumour before anything is measured on it.

    Parameters
    ----------
    label
        Unique name: the segment's own, with `` #2`` and so on where a name was used twice or one mask was
        split.
    mask
        Its voxels.
    """

    label: str
    mask: Mask


def split_segments(
    segments: Sequence[tuple[str, Mask]], *, limits: EvidenceTable | None = None
) -> tuple[tuple[LesionSegment, ...], tuple[Finding, ...]]:
    """Turn lesion segments into lesions, one segment for each.

    Only where there is exactly one segment is it split into its 26-connected components; several segments are
    taken as drawn, even where they touch or lie in pieces. Components below ``speck_voxels`` are set
    aside with a finding, unless nothing larger exists.

    Parameters
    ----------
    segments
        (label name, mask) as read; all on one grid.
    limits
        Table ``extents.toml``, or a site's own version of it.

    Returns
    -------
    tuple
        Lesions (largest component first, then by position, where one mask was split) and findings with rules
        ``lesions.speck``, ``lesions.in_pieces``, ``lesions.overlap``, ``lesions.touching`` and
        ``lesions.may_be_several``.

    Raises
    ------
    EmptyLabelError
        If there is no segment.
    GeometryError
        If the masks lie on different grids.

    Examples
    --------
    >>> from hepatica.core.geometry import Grid
    >>> grid = Grid.from_axes(shape=(20, 9, 5), spacing_mm=(1, 1, 1), origin_lps_mm=(0, 0, 0))
    >>> full = np.zeros(grid.shape, bool); full[1:4, 1:4, 1:4] = True; full[10:16, 2:7, 1:4] = True
    >>> lesions, findings = split_segments([("tumour", Mask.from_full(full, grid=grid))])
    >>> [(lesion.label, lesion.mask.voxel_count) for lesion in lesions]
    [('tumour #1', 90), ('tumour #2', 27)]
    """
    if not segments:
        raise EmptyLabelError(
            expected="at least one lesion segment",
            given="none",
            where="labels",
            action="check the names table",
        )
    grid = segments[0][1].grid
    for name, mask in segments:
        if not mask.grid.same_grid(grid):
            raise GeometryError(
                expected="lesion masks on one grid", given="another grid", where=f"label '{name}'"
            )
    table = limits or read_evidence_table(TABLES, "extents.toml")
    findings: list[Finding] = []
    if len(segments) == 1:
        parts = _split_components(*segments[0], table=table, findings=findings)
    else:
        parts = _name_segments(segments)
        for part in parts:
            findings += _check_pieces(part, table=table)
    for part in parts:
        findings += _check_neck(part, table=table)
    for first, second in combinations(parts, 2):
        findings += _check_pair(first, second, table=table)
    return parts, tuple(findings)


def split_components(mask: Mask) -> tuple[Mask, ...]:
    """Split a mask into its 26-connected components, largest first, then by LPS position (z, y, x)."""
    marked, count = ndimage.label(mask.crop, structure=_CONNECTED_26)
    pieces = []
    for number, box in enumerate(ndimage.find_objects(marked, count), start=1):
        start = tuple(int(s + b.start) for s, b in zip(mask.start_ijk, box, strict=True))
        crop = np.asfortranarray(marked[box] == number)
        pieces.append(Mask(grid=mask.grid, start_ijk=(start[0], start[1], start[2]), crop=crop))
    return tuple(sorted(pieces, key=_by_size_then_position))


def _by_size_then_position(mask: Mask) -> tuple[float, ...]:
    x, y, z = mask.centroid_lps_mm.round(6)
    return -mask.voxel_count, z, y, x


def _split_components(
    name: str, mask: Mask, *, table: EvidenceTable, findings: list[Finding]
) -> tuple[LesionSegment, ...]:
    limit = table["speck_voxels"]
    pieces = split_components(mask)
    kept = [piece for piece in pieces if piece.voxel_count >= limit.number] or [pieces[0]]
    for piece in pieces[len(kept) :]:
        x, y, z = piece.centroid_lps_mm
        findings.append(
            Finding.from_limit(
                limit,
                rule="lesions.speck",
                severity=Severity.WARNING,
                message=f"A speck of label '{name}' at LPS ({x:.1f}, {y:.1f}, {z:.1f}) mm was set aside: "
                "too few voxels to be called a lesion.",
                measured=float(piece.voxel_count),
                subject=name,
            )
        )
    findings.extend(_tiny(name, kept[0], table=table))
    if len(kept) == 1:
        return (LesionSegment(label=name, mask=kept[0]),)
    return tuple(LesionSegment(label=f"{name} #{n}", mask=piece) for n, piece in enumerate(kept, start=1))


def _tiny(name: str, mask: Mask, *, table: EvidenceTable) -> list[Finding]:
    limit = table["speck_voxels"]
    if mask.voxel_count >= limit.number:
        return []
    return [
        Finding.from_limit(
            limit,
            rule="lesions.speck",
            severity=Severity.WARNING,
            message=f"Lesion '{name}' has hardly any voxels; it was kept, its measures mean little.",
            measured=float(mask.voxel_count),
            subject=name,
        )
    ]


def _name_segments(segments: Sequence[tuple[str, Mask]]) -> tuple[LesionSegment, ...]:
    totals = Counter(name for name, _ in segments)
    seen: Counter[str] = Counter()
    named = []
    for name, mask in sorted(segments, key=lambda item: (item[0], *_by_size_then_position(item[1]))):
        seen[name] += 1
        named.append(LesionSegment(label=name if totals[name] == 1 else f"{name} #{seen[name]}", mask=mask))
    return tuple(named)


def _check_pieces(part: LesionSegment, *, table: EvidenceTable) -> list[Finding]:
    findings = _tiny(part.label, part.mask, table=table)
    count = len(split_components(part.mask))
    if count > 1:
        findings.append(
            Finding(
                rule="lesions.in_pieces",
                severity=Severity.WARNING,
                message=f"Segment '{part.label}' lies in {count} pieces and is kept as one lesion.",
                measured=float(count),
                limit=1.0,
                subject=part.label,
            )
        )
    return findings


def _check_neck(part: LesionSegment, *, table: EvidenceTable) -> list[Finding]:
    """Look for a waist: two wide parts that fall apart when the surface is moved inward."""
    radius = table["neck_part_radius"].number
    ratio = table["neck_ratio"]
    depth = ndimage.distance_transform_edt(np.pad(part.mask.crop, 1), sampling=part.mask.grid.spacing_mm)
    deepest = float(depth.max())
    for level in np.linspace(0.0, deepest * ratio.number, _NECK_LEVELS, endpoint=False)[1:]:
        if _count_parts(depth, level=float(level), least=max(radius, float(level) / ratio.number)) > 1:
            return [
                Finding.from_limit(
                    ratio,
                    rule="lesions.may_be_several",
                    severity=Severity.WARNING,
                    message=f"Lesion '{part.label}' has a narrow waist: two touching tumours under one "
                    "label? It is planned as one.",
                    measured=round(float(level) / max(radius, float(level) / ratio.number), 2),
                    subject=part.label,
                )
            ]
    return []


def _count_parts(
    depth: np.ndarray[tuple[int, ...], np.dtype[np.float64]], *, level: float, least: float
) -> int:
    marked, count = ndimage.label(depth > level, structure=_CONNECTED_26)
    if count < 2:
        return int(count)
    peaks = ndimage.maximum(depth, labels=marked, index=np.arange(1, count + 1))
    return int(np.count_nonzero(np.asarray(peaks) >= least))


def _check_pair(first: LesionSegment, second: LesionSegment, *, table: EvidenceTable) -> list[Finding]:
    limit = table["near_touching"]
    subject = f"{first.label}, {second.label}"
    shared = _count_shared(first.mask, second.mask)
    if shared:
        return [
            Finding(
                rule="lesions.overlap",
                severity=Severity.WARNING,
                message=f"Lesions '{first.label}' and '{second.label}' share {shared} voxels; "
                "both are kept as drawn.",
                measured=float(shared),
                limit=0.0,
                subject=subject,
            )
        ]
    gap_mm = measure_gap_mm(first.mask, second.mask, at_most_mm=limit.number)
    if gap_mm is None:
        return []
    return [
        Finding.from_limit(
            limit,
            rule="lesions.touching",
            severity=Severity.WARNING,
            message=f"Lesions '{first.label}' and '{second.label}' touch or nearly touch; "
            "they are kept apart. One tumour?",
            measured=round(gap_mm, 2),
            subject=subject,
        )
    ]


def _count_shared(first: Mask, second: Mask) -> int:
    return int(np.count_nonzero(first.crop & second.cut(first.box)))
