"""Volumes with their uncertainty, and the lesions' share of the liver."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import numpy as np

from hepatica.core.evidence import Evidence, EvidenceStatus, EvidenceTable, read_evidence_table
from hepatica.core.findings import Finding, NotEvaluable, Severity
from hepatica.core.geometry import BoolArray
from hepatica.imaging.mask import Mask

TABLES: Final = "hepatica.lesions.tables"
_PERCENT: Final = 100.0


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasuredVolume:
    """A volume and how far it may be off to either side, in millilitres.

    ``status`` is that of the repeat measurement behind the uncertainty; the shell follows from the voxels.
    """

    volume_ml: float
    uncertainty_ml: float
    status: EvidenceStatus


@dataclass(frozen=True, slots=True, kw_only=True)
class LiverShare:
    """The part of the liver (tumours included) that some lesions take, 0 to 1, and its one-sided error.

    ``liver_complete`` is False where the scan cuts the liver off: the share is then an upper bound.
    """

    fraction: float
    uncertainty_fraction: float
    liver_ml: float
    lesions_ml: float
    liver_complete: bool = True


class ShareVerdict(StrEnum):
    """Where a share stands against a limit once its error is allowed for."""

    BELOW = "below"
    ABOVE = "above"
    UNSURE = "unsure"


def measure_volume(mask: Mask, *, variability: EvidenceTable | None = None) -> MeasuredVolume:
    """Measure a lesion's volume by voxel count.

    The uncertainty joins two independent parts as the root of their squares: half a voxel box along the
    normal over the whole surface (`measure_shell_ml`), and how far two measurements of one lesion differ
    (``volume_between_measurements`` of ``variability.toml``).
    """
    table = variability or read_evidence_table(TABLES, "variability.toml")
    repeat = table["volume_between_measurements"]
    volume_ml = mask.volume_ml
    shell_ml = measure_shell_ml(mask, voxel_fraction=table["boundary_shell"].number)
    uncertainty_ml = float(np.hypot(shell_ml, volume_ml * repeat.number / _PERCENT))
    return MeasuredVolume(volume_ml=volume_ml, uncertainty_ml=uncertainty_ml, status=repeat.status)


def measure_shell_ml(mask: Mask, *, voxel_fraction: float = 0.5) -> float:
    """Return the volume between the voxel surface and the same surface moved by part of a voxel box.

    Moving each exposed face by ``voxel_fraction`` of the spacing across it adds, per face, that part of
    one voxel. For a ball of radius r on cubes of edge h and 0.5 this is 3 pi r^2 h, 1.5 times a shell of
    h / 2: a voxel's reach along a slanted normal is longer than along an axis.
    """
    padded = np.pad(mask.crop, 1)
    faces = sum(int(np.count_nonzero(np.diff(padded, axis=axis))) for axis in range(3))
    return faces * voxel_fraction * mask.grid.voxel_volume_ml


def measure_liver_share(
    lesions: Sequence[Mask], *, liver: Mask | None, variability: EvidenceTable | None = None
) -> LiverShare | NotEvaluable:
    """Measure the share of the liver that some lesions take together.

    Parameters
    ----------
    lesions
        Lesion masks; shared voxels count once.
    liver
        Liver with all its tumours, vessels and holes (`Surroundings.liver`), or None.
    variability
        Table ``variability.toml``, or a site's own.

    Returns
    -------
    LiverShare or NotEvaluable
        With f = L / (L + H), H the liver outside these lesions, and independent errors u_L and u_H (the
        shell of the liver's surface): u_f = sqrt((H u_L)^2 + (L u_H)^2) / (L + H)^2.
    """
    if liver is None:
        return NotEvaluable(reason="no liver label")
    table = variability or read_evidence_table(TABLES, "variability.toml")
    inside = find_union([*lesions, liver]).volume_ml
    lesions_ml = find_union(lesions).volume_ml
    error_ml = float(np.sqrt(sum(measure_volume(m, variability=table).uncertainty_ml ** 2 for m in lesions)))
    rest_error_ml = measure_shell_ml(liver, voxel_fraction=table["boundary_shell"].number)
    error = float(np.hypot((inside - lesions_ml) * error_ml, lesions_ml * rest_error_ml)) / inside**2
    return LiverShare(
        fraction=lesions_ml / inside,
        uncertainty_fraction=error,
        liver_ml=inside,
        lesions_ml=lesions_ml,
        liver_complete=not find_touched_faces(liver),
    )


def assess_liver_share(share: LiverShare | NotEvaluable, *, limit: Evidence) -> ShareVerdict | NotEvaluable:
    """Judge a share against a limit such as "less than one third of the liver".

    ``below`` and ``above`` are said only where the error cannot turn the answer; a liver cut off by the
    scan makes the share an upper bound, so ``above`` becomes ``unsure``. The limit itself counts as above
    when its edge is ``<``.
    """
    if isinstance(share, NotEvaluable):
        return share
    low, high = share.fraction - share.uncertainty_fraction, share.fraction + share.uncertainty_fraction
    if high < limit.number or (high == limit.number and limit.edge == "<="):
        return ShareVerdict.BELOW
    if low > limit.number or (low == limit.number and limit.edge == "<"):
        return ShareVerdict.ABOVE if share.liver_complete else ShareVerdict.UNSURE
    return ShareVerdict.UNSURE


def check_liver_share(
    share: LiverShare | NotEvaluable, *, limits: EvidenceTable | None = None
) -> tuple[Finding, ...]:
    """Return the one-third gate's finding, ``lesions.liver_share``; none where the share is safely below."""
    limit = (limits or read_evidence_table(TABLES, "extents.toml"))["liver_share"]
    verdict = assess_liver_share(share, limit=limit)
    if isinstance(share, NotEvaluable) or isinstance(verdict, NotEvaluable) or verdict is ShareVerdict.BELOW:
        return ()
    text = f"{share.fraction:.1%} +- {share.uncertainty_fraction:.1%}"
    message = {
        ShareVerdict.ABOVE: f"The tumours take {text} of the liver: not less than the limit.",
        ShareVerdict.UNSURE: f"The tumours take {text} of the liver: the error reaches across the limit.",
    }[verdict]
    return (
        Finding.from_limit(
            limit,
            rule="lesions.liver_share",
            severity=Severity.WARNING,
            message=message,
            measured=share.fraction,
        ),
    )


def derive_diameter_band_mm(
    longest_diameter_mm: float, *, variability: EvidenceTable | None = None
) -> tuple[float, float, EvidenceStatus]:
    """Return what a second reader may measure: low, high (95 % limits of one lesion) and the figures' status.

    Examples
    --------
    >>> low_mm, high_mm, _ = derive_diameter_band_mm(40.0)
    >>> round(low_mm, 3), round(high_mm, 3)
    (31.2, 50.0)
    """
    table = variability or read_evidence_table(TABLES, "variability.toml")
    low, high = table["diameter_between_readers_low"], table["diameter_between_readers_high"]
    return (
        longest_diameter_mm * (1 + low.number / _PERCENT),
        longest_diameter_mm * (1 + high.number / _PERCENT),
        EvidenceStatus.UNVERIFIED if low.unverified or high.unverified else low.status,
    )


def find_union(masks: Sequence[Mask]) -> Mask:
    """Return the union of some masks of one grid."""
    low = np.min([m.start_ijk for m in masks], axis=0)
    high = np.max([np.add(m.start_ijk, m.crop.shape) for m in masks], axis=0)
    crop: BoolArray = np.zeros(tuple(high - low), dtype=bool, order="F")
    for mask in masks:
        at = tuple(slice(s, s + n) for s, n in zip(mask.start_ijk - low, mask.crop.shape, strict=True))
        crop[at] |= mask.crop
    start = (int(low[0]), int(low[1]), int(low[2]))
    return Mask(grid=masks[0].grid, start_ijk=start, crop=crop)


def find_touched_faces(mask: Mask) -> tuple[str, ...]:
    """Return the faces of the volume that a mask touches, as ``i-``, ``i+``, ``j-``, ..."""
    stop = np.add(mask.start_ijk, mask.crop.shape)
    return tuple(
        name
        for axis, letter in enumerate("ijk")
        for name, hit in (
            (f"{letter}-", mask.start_ijk[axis] == 0),
            (f"{letter}+", stop[axis] == mask.grid.shape[axis]),
        )
        if hit
    )
