"""Lesions of one visit, measured as a plan measures them, without the rest of a plan."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from hepatica.core.findings import Finding, NotEvaluable
from hepatica.imaging.mask import Mask
from hepatica.lesions.diameters import measure_diameters
from hepatica.lesions.instances import split_segments
from hepatica.lesions.lesion import Diameter
from hepatica.lesions.volume import measure_volume


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class MeasuredLesion:
    """A lesion with the sizes that response needs.

    Parameters
    ----------
    lesion_id
        ``L1``, ``L2``, ... by longest diameter, then position: the same names a plan of this scan gives.
    label
        Segment it came from.
    mask
        Its voxels.
    longest_diameter, short_axis
        In one acquisition slice.
    volume_ml, volume_uncertainty_ml
        By voxels, and how far it may be off.
    """

    lesion_id: str
    label: str
    mask: Mask
    longest_diameter: Diameter
    short_axis: Diameter | NotEvaluable
    volume_ml: float
    volume_uncertainty_ml: float


def measure_lesions(
    segments: Sequence[tuple[str, Mask]],
) -> tuple[tuple[MeasuredLesion, ...], tuple[Finding, ...]]:
    """Split segments into lesions and measure each.

    Parameters
    ----------
    segments
        (label, mask) as `hepatica.lesions.instances.split_segments` takes them; may be empty.
    """
    if not segments:
        return (), ()
    parts, findings = split_segments(segments)
    rows = []
    for part in parts:
        longest, short = measure_diameters(part.mask)
        volume = measure_volume(part.mask)
        x, y, z = part.mask.centroid_lps_mm.round(6)
        rows.append(((round(-longest.length_mm, 6), z, y, x), part, longest, short, volume))
    rows.sort(key=lambda row: row[0])
    return tuple(
        MeasuredLesion(
            lesion_id=f"L{number}",
            label=part.label,
            mask=part.mask,
            longest_diameter=longest,
            short_axis=short,
            volume_ml=volume.volume_ml,
            volume_uncertainty_ml=volume.uncertainty_ml,
        )
        for number, (_, part, longest, short, volume) in enumerate(rows, start=1)
    ), findings
