"""What a person drew on a scan wins over what was labelled: it replaces the outline that it corrects."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from hepatica.anatomy.assemble import is_enclosed_by, unite_viable_parts
from hepatica.anatomy.naming import Reading, read_name
from hepatica.anatomy.segments import LabelledSegment
from hepatica.anatomy.structures import StructureKind
from hepatica.core.findings import Finding, Severity
from hepatica.core.geometry import FloatArray
from hepatica.imaging.mask import Mask, find_box
from hepatica.lesions.instances import split_segments

REPLACED: Final = "labels.redrawn"
NOTHING_THERE: Final = "labels.redrawn_nothing"
FREED: Final = "liver"
"""Name of what a lesion that was drawn smaller leaves inside the liver."""
WHOLE: Final = "lesion"
"""Name of a viable part with its necrosis, once it stands beside a drawn lesion."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Drawing:
    """The segments of one source that a person drew over what was labelled.

    Parameters
    ----------
    segments
        What was drawn.
    at_lps_mm
        A point of the lesion that a drawn lesion takes the place of, as (3,) LPS mm; None where a drawn lesion is
        a new one. Structures need none.
    """

    segments: tuple[LabelledSegment, ...]
    at_lps_mm: FloatArray | None = None


def replace_redrawn(
    segments: Sequence[LabelledSegment], drawings: Sequence[Drawing]
) -> tuple[tuple[LabelledSegment, ...], tuple[Finding, ...]]:
    """Put what persons redrew in the place of what it redraws.

    A structure replaces everything that was labelled as the same kind. A lesion replaces the one lesion that its
    point lies in, also where a single label holds several; what it leaves free inside the liver becomes liver.

    Parameters
    ----------
    segments
        Everything that was labelled, without the drawings.
    drawings
        Oldest first; a later one also replaces an earlier one of the same thing.

    Returns
    -------
    tuple
        Segments, and a finding with rule ``labels.redrawn`` for each drawing that replaced something, or
        ``labels.redrawn_nothing`` where no lesion lies at its point.

    Examples
    --------
    >>> from hepatica.core.geometry import Grid
    >>> grid = Grid.from_axes(shape=(9, 9, 9), spacing_mm=(1, 1, 1), origin_lps_mm=(0, 0, 0))
    >>> def cube(name, start, stop):
    ...     full = np.zeros(grid.shape, bool); full[start:stop, start:stop, start:stop] = True
    ...     return LabelledSegment(name=name, mask=Mask.from_full(full, grid=grid))
    >>> drawing = Drawing(segments=(cube("lesion", 3, 5),), at_lps_mm=np.array([3.0, 3.0, 3.0]))
    >>> found, _ = replace_redrawn([cube("liver", 0, 9), cube("lesion", 2, 6)], [drawing])
    >>> [(one.name, one.mask.voxel_count) for one in found]
    [('liver', 729), ('lesion', 8)]
    """
    if not drawings:
        return tuple(segments), ()
    held = list(segments)
    if any(_is_lesion(segment) for drawing in drawings for segment in drawing.segments):
        held = _part_lesions(segments)
    findings: list[Finding] = []
    drawn_at: list[tuple[LabelledSegment, FloatArray]] = []
    for drawing in drawings:
        for segment in drawing.segments:
            if not _is_lesion(segment):
                gone = [one for one in held if _says_the_same(one, segment)]
                held = [*_without(held, gone), segment]
                findings += [_explain(segment, gone)] if gone else []
            elif drawing.at_lps_mm is None:
                held = [*held, segment]
            else:
                held, gone, named = _replace_lesion(held, segment, drawing.at_lps_mm, drawn_at)
                drawn_at.append((named, drawing.at_lps_mm))
                findings.append(_explain(segment, gone))
    return tuple(held), tuple(findings)


def _part_lesions(segments: Sequence[LabelledSegment]) -> list[LabelledSegment]:
    """Make every lesion a segment of its own: a drawing must find the one it means, and leave the others whole."""
    whole = [one for one in segments if _is_lesion(one)]
    if not whole:
        viable = [one for one in segments if _reads(one, StructureKind.LESION, Reading.VIABLE)]
        dead = [one for one in segments if _reads(one, StructureKind.NECROSIS, Reading.STRUCTURE)]
        whole = [replace(one, name=WHOLE) for one in unite_viable_parts(viable, dead)]
    if len(whole) == 1:
        parts, _ = split_segments([(whole[0].name, whole[0].mask)])
        whole = [replace(whole[0], name=part.label, mask=part.mask) for part in parts]
    return [*(one for one in segments if not _is_lesion(one)), *whole]


def _replace_lesion(
    held: Sequence[LabelledSegment],
    drawn: LabelledSegment,
    at_lps_mm: FloatArray,
    drawn_at: Sequence[tuple[LabelledSegment, FloatArray]],
) -> tuple[list[LabelledSegment], list[LabelledSegment], LabelledSegment]:
    """Return the segments with the drawing, what it replaced, and the drawing by the name of what it replaced."""
    earlier = [one for one, point in drawn_at if np.array_equal(point, at_lps_mm)]
    gone = [
        one
        for one in held
        if _is_lesion(one) and (any(one is drawing for drawing in earlier) or _holds(one.mask, at_lps_mm))
    ]
    left = _without(held, gone)
    named = replace(drawn, name=gone[0].name) if gone else drawn
    return [*left, *_free(left, gone, named), named], gone, named


def _free(
    left: Sequence[LabelledSegment], gone: Sequence[LabelledSegment], drawn: LabelledSegment
) -> list[LabelledSegment]:
    """Return what a smaller drawing leaves free inside the liver, as liver."""
    livers = [one for one in left if _reads(one, StructureKind.LIVER, Reading.STRUCTURE)]
    if not livers or not gone:
        return []
    grid = drawn.mask.grid
    freed = np.zeros(grid.shape, dtype=bool, order="F")
    for one in gone:
        freed[one.mask.box] |= one.mask.crop
    freed[drawn.mask.box] &= ~drawn.mask.crop
    around = np.zeros(grid.shape, dtype=bool, order="F")
    for one in (*livers, drawn):
        around[one.mask.box] |= one.mask.crop
    freed &= ~around
    box = find_box(around)
    if box is None or not freed[box].any():
        return []
    inside = np.zeros(grid.shape, dtype=bool, order="F")
    inside[box] = is_enclosed_by(around[box], freed[box])
    if not inside.any():
        return []
    return [LabelledSegment(name=FREED, mask=Mask.from_full(inside, grid=grid), source=drawn.source)]


def _explain(segment: LabelledSegment, gone: Sequence[LabelledSegment]) -> Finding:
    kind = read_name(segment.name, hint=segment.hint).kind
    name = kind.value.replace("_", " ") if kind else segment.name
    now_ml = segment.mask.volume_ml
    if not gone:
        return Finding(
            rule=NOTHING_THERE,
            severity=Severity.WARNING,
            message=f"'{name}' was redrawn where nothing was labelled; it was added.",
            measured=round(now_ml, 2),
            unit="ml",
            subject=segment.name,
        )
    before_ml = sum(one.mask.volume_ml for one in gone)
    return Finding(
        rule=REPLACED,
        severity=Severity.INFO,
        message=f"'{name}' was redrawn by a person: {now_ml:.2f} mL in the place of {before_ml:.2f} mL.",
        measured=round(now_ml, 2),
        unit="ml",
        subject=gone[0].name,
    )


def _is_lesion(segment: LabelledSegment) -> bool:
    return _reads(segment, StructureKind.LESION, Reading.STRUCTURE)


def _reads(segment: LabelledSegment, kind: StructureKind, reading: Reading) -> bool:
    found = read_name(segment.name, hint=segment.hint)
    return found.kind is kind and found.reading is reading


def _says_the_same(one: LabelledSegment, other: LabelledSegment) -> bool:
    """Whether two segments stand for the same structure; unknown names must be equal."""
    first, second = read_name(one.name, hint=one.hint), read_name(other.name, hint=other.hint)
    if first.kind is None or first.kind is StructureKind.OTHER_ORGAN:
        return one.name == other.name
    return (first.kind, first.reading) == (second.kind, second.reading)


def _holds(mask: Mask, at_lps_mm: FloatArray) -> bool:
    index = np.rint(mask.grid.to_index(at_lps_mm)).astype(np.int64) - np.asarray(mask.start_ijk)
    inside = bool((index >= 0).all() and (index < mask.crop.shape).all())
    return inside and bool(mask.crop[tuple(index)])


def _without(held: Sequence[LabelledSegment], gone: Sequence[LabelledSegment]) -> list[LabelledSegment]:
    return [one for one in held if not any(one is other for other in gone)]
