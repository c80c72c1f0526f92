"""Sizes of lesions at a visit and their sum: splits, merges and missing readings included."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from hepatica.core.findings import NotEvaluable
from hepatica.followup.limits import is_below, is_zero
from hepatica.followup.records import NO_ROW, TrackedLesion, Visit
from hepatica.followup.words import LesionState

FRAGMENT_MARK = "."
"""``T01.1`` and ``T01.2`` are the fragments of a split ``T01``."""
MERGE_MARK = "/"
"""``T01/T02`` is the mass into which ``T01`` and ``T02`` merged."""
MERGED_ELSEWHERE = NotEvaluable(reason="merged with a lesion of the other group")
MERGED_UNMEASURED = NotEvaluable(reason="merged, and the mass it merged into was not measured")
FRAGMENT_MISSING = NotEvaluable(reason="a fragment of the split lesion was not measured")


@dataclass(frozen=True, slots=True, kw_only=True)
class LesionSum:
    """The sum over some lesions at one visit.

    Parameters
    ----------
    total
        Sum of the sizes that are there: mm, or mm3 for volumes.
    sizes
        Size by lesion id, or why there is none.
    missing
        Ids without a size; the sum is then partial.
    all_gone
        Every lesion is measured and gone (a node: normal).
    """

    total: float
    sizes: Mapping[str, float | NotEvaluable]
    missing: tuple[str, ...]
    all_gone: bool

    @property
    def complete(self) -> bool:
        """Whether no size is missing."""
        return not self.missing


def measure_lesion(
    lesion: TrackedLesion, visit: Visit, *, group: Collection[str] = (), counted: Collection[str] = ()
) -> float | NotEvaluable:
    """Return what one lesion adds to the sum of a visit.

    Parameters
    ----------
    lesion
        The lesion.
    visit
        The visit.
    group
        Ids of the lesions that are summed together. The first of them named in a merged mass carries its
        size; the others add 0. Empty for all.
    counted
        Ids that take a merged mass before any of this group does, for example injected lesions.

    Returns
    -------
    size
        0 for a lesion that is absent; the sum of its fragments for one that split. A merged lesion whose mass
        nobody measured has no size: it is there, and must not count as gone.

    Examples
    --------
    >>> from hepatica.followup.records import Reading
    >>> from hepatica.followup.words import LesionRole
    >>> t1 = TrackedLesion(lesion_id="T01", role=LesionRole.TARGET)
    >>> split = {"T01.1": Reading(size=12.0), "T01.2": Reading(size=9.0)}
    >>> measure_lesion(t1, Visit(number=2, readings=split))
    21.0
    """
    reading = visit.readings.get(lesion.lesion_id)
    if reading is None:
        return _sum_fragments(lesion.lesion_id, visit)
    if reading.merged:
        return _share_merged(lesion.lesion_id, visit, group=group, counted=counted)
    if reading.state is LesionState.ABSENT and isinstance(reading.size, NotEvaluable):
        return 0.0
    return reading.size


def _sum_fragments(lesion_id: str, visit: Visit) -> float | NotEvaluable:
    start = lesion_id + FRAGMENT_MARK
    fragments = [reading for key, reading in sorted(visit.readings.items()) if key.startswith(start)]
    if not fragments:
        return NO_ROW
    total = 0.0
    for fragment in fragments:
        if isinstance(fragment.size, float):
            total += fragment.size
        elif fragment.state is not LesionState.ABSENT:
            return FRAGMENT_MISSING
    return total


def _share_merged(
    lesion_id: str, visit: Visit, *, group: Collection[str], counted: Collection[str]
) -> float | NotEvaluable:
    for key, reading in visit.readings.items():
        parts = key.split(MERGE_MARK)
        if len(parts) < 2 or lesion_id not in parts:
            continue
        if any(part in counted for part in parts):
            return MERGED_ELSEWHERE
        carrier = next((part for part in sorted(parts) if not group or part in group), lesion_id)
        return reading.size if carrier == lesion_id else 0.0
    # No mass of a joint name: the lesion went into one that keeps its own name and carries the size of both.
    carried = any(
        isinstance(reading.size, float) and not is_zero(reading.size) and not reading.merged
        for key, reading in visit.readings.items()
        if key != lesion_id and (not group or key in group)
    )
    return 0.0 if carried else MERGED_UNMEASURED


def measure_sum(
    lesions: Sequence[TrackedLesion], visit: Visit, *, node_normal: float, counted: Collection[str] = ()
) -> LesionSum:
    """Sum the sizes of some lesions at one visit.

    Parameters
    ----------
    lesions
        Lesions to sum.
    visit
        The visit.
    node_normal
        Size below which a node is normal, in the unit of the sizes.
    counted
        See `measure_lesion`.
    """
    group = {lesion.lesion_id for lesion in lesions}
    sizes: dict[str, float | NotEvaluable] = {}
    missing: list[str] = []
    total, gone = 0.0, True
    for lesion in lesions:
        size = measure_lesion(lesion, visit, group=group, counted=counted)
        sizes[lesion.lesion_id] = size
        if isinstance(size, NotEvaluable):
            missing.append(lesion.lesion_id)
            gone = False
            continue
        total += size
        gone = gone and is_gone(size, lesion, node_normal=node_normal)
    return LesionSum(total=total, sizes=sizes, missing=tuple(missing), all_gone=gone)


def is_gone(size: float, lesion: TrackedLesion, *, node_normal: float) -> bool:
    """Whether a size means that the lesion is gone: 0, or for a node below the normal short axis."""
    return is_zero(size) or (lesion.is_node and is_below(size, node_normal))
