"""Putting labels on the grid of a scan: which grids may be combined, and what got lost."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from hepatica.core.errors import EmptyLabelError, FrameMismatchError
from hepatica.core.findings import Finding, Severity
from hepatica.core.geometry import Grid
from hepatica.imaging.mask import Mask
from hepatica.imaging.resample import measure_inside_fraction, resample_mask, share_lattice

INSIDE_MIN_FRACTION: Final = 0.9
"""Labels of an undeclared frame and another grid must lie inside the scan to this share to be believed."""
VOLUME_CHANGE_WARN_FRACTION: Final = 0.1
"""A structure whose volume changes by more than this is thin for the scan's voxels: to be looked at."""
COUNTED_LOSS_FRACTION: Final = 1e-4
"""Smaller shares outside the scan are single edge voxels and not worth a finding."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PlacedMask:
    """A named mask on the grid of the scan."""

    name: str
    mask: Mask


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Placement:
    """What came of putting labels on a grid: the masks that hit it, and findings about the others."""

    placed: tuple[PlacedMask, ...]
    findings: tuple[Finding, ...]


def place_masks(masks: Sequence[tuple[str, Mask]], *, reference: Grid, where: str) -> Placement:
    """Put masks that share one grid onto the grid of a scan.

    The same grid, or a part of the same lattice in a declared frame, is taken over as it is. Another grid
    of the same declared frame is resampled by nearest voxel,
    with a finding. Where one side declares no frame, another grid is believed only if `INSIDE_MIN_FRACTION`
    of the
    labelled voxels lie inside the scan.

    Parameters
    ----------
    masks
        (name, mask) pairs, all on one grid.
    reference
        Grid of the scan.
    where
        Which source, for messages: a role or a position, never a file name; empty where the caller says it.

    Raises
    ------
    FrameMismatchError
        If both frames are declared and differ, or an undeclared one does not fit.
    EmptyLabelError
        If there is no mask, or none of them reaches the scan.

    Examples
    --------
    >>> import numpy as np
    >>> fine = Grid.from_axes(shape=(8, 8, 8), spacing_mm=(1, 1, 1), origin_lps_mm=(0, 0, 0))
    >>> coarse = Grid.from_axes(shape=(4, 4, 4), spacing_mm=(2, 2, 2), origin_lps_mm=(0.5, 0.5, 0.5))
    >>> mask = Mask.from_full(np.ones((8, 8, 8), bool), grid=fine)
    >>> placement = place_masks([("liver", mask)], reference=coarse, where="example")
    >>> placement.placed[0].mask.voxel_count, placement.findings[0].rule
    (64, 'labels.frame_undeclared')
    """
    if not masks:
        raise EmptyLabelError(
            expected="at least one labelled voxel", given="none", where=where, action="check the label file"
        )
    source = masks[0][1].grid
    reference.require_same_frame(source, where=where)
    if source.same_grid(reference):
        placed = tuple(
            PlacedMask(name=name, mask=Mask(grid=reference, start_ijk=mask.start_ijk, crop=mask.crop))
            for name, mask in masks
        )
        return Placement(placed=placed, findings=())
    inside = [measure_inside_fraction(mask, target=reference) for _, mask in masks]
    findings = _judge_other_grid(masks, inside, reference=reference, where=where)
    kept: list[PlacedMask] = []
    for (name, mask), share in zip(masks, inside, strict=True):
        moved = resample_mask(mask, target=reference)
        if moved is not None:
            kept.append(PlacedMask(name=name, mask=moved))
        findings.extend(_describe_loss(name, mask, moved=moved, inside_fraction=share))
    if not kept:
        raise EmptyLabelError(
            expected="at least one labelled voxel inside the scan",
            given="0 voxels after putting the labels on its grid",
            where=where,
            action="check that labels and scan belong together",
        )
    return Placement(placed=tuple(kept), findings=tuple(findings))


def _judge_other_grid(
    masks: Sequence[tuple[str, Mask]], inside: Sequence[float], *, reference: Grid, where: str
) -> list[Finding]:
    source = masks[0][1].grid
    declared = source.frame_of_reference is not None and reference.frame_of_reference is not None
    counts = [mask.voxel_count for _, mask in masks]
    share = sum(n * part for n, part in zip(counts, inside, strict=True)) / sum(counts)
    grids = f"{_describe(source)} onto {_describe(reference)}"
    if declared and share_lattice(source, reference):
        return []
    if declared:
        message = f"Labels were drawn on another grid of the same frame; nearest voxel, {grids}."
        return [Finding(rule="labels.resampled", severity=Severity.INFO, message=message, subject=where)]
    if share < INSIDE_MIN_FRACTION:
        raise FrameMismatchError(
            expected=f"labels of an undeclared frame with at least {INSIDE_MIN_FRACTION:.0%} of their voxels "
            "inside the scan",
            given=f"{share:.1%} inside",
            where=where,
            action="use labels drawn on this scan, or register the two images first",
        )
    message = (
        "Labels lie on another grid and no common frame of reference is declared; taken as one space because "
        f"{share:.1%} of the labelled voxels fall inside the scan. Nearest voxel, {grids}."
    )
    return [
        Finding(
            rule="labels.frame_undeclared",
            severity=Severity.WARNING,
            message=message,
            measured=share,
            limit=INSIDE_MIN_FRACTION,
            unit="fraction",
            subject=where,
        )
    ]


def _describe(grid: Grid) -> str:
    spacing = " x ".join(f"{value:.3g}" for value in grid.spacing_mm)
    return f"{' x '.join(map(str, grid.shape))} voxels of {spacing} mm"


def _describe_loss(name: str, mask: Mask, *, moved: Mask | None, inside_fraction: float) -> list[Finding]:
    outside = 1.0 - inside_fraction
    if moved is None:
        return [
            Finding(
                rule="labels.vanished",
                severity=Severity.WARNING,
                message=f"'{name}' ({mask.volume_ml:.2f} mL) has no voxel on the grid of the scan.",
                measured=outside,
                unit="fraction",
                subject=name,
            )
        ]
    findings = []
    if outside > COUNTED_LOSS_FRACTION:
        findings.append(
            Finding(
                rule="labels.outside_scan",
                severity=Severity.WARNING,
                message=f"{outside:.1%} of '{name}' lies outside the scan and was lost.",
                measured=outside,
                unit="fraction",
                subject=name,
            )
        )
    expected_ml = mask.volume_ml * inside_fraction
    change = (moved.volume_ml - expected_ml) / expected_ml
    if abs(change) > VOLUME_CHANGE_WARN_FRACTION:
        findings.append(
            Finding(
                rule="labels.volume_changed",
                severity=Severity.WARNING,
                message=f"'{name}' changed from {expected_ml:.2f} to {moved.volume_ml:.2f} mL on the scan: "
                "it is thin for these voxels.",
                measured=abs(change),
                limit=VOLUME_CHANGE_WARN_FRACTION,
                unit="fraction",
                subject=name,
            )
        )
    return findings
