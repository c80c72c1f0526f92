"""Choice of lesions to measure, with reasons: targets at baseline, and new targets of iRECIST."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from hepatica.core.evidence import EvidenceTable, read_evidence_table
from hepatica.core.findings import NotEvaluable
from hepatica.followup.limits import is_at_least
from hepatica.followup.records import TrackedLesion
from hepatica.followup.target import TABLES

ONE_ORGAN: Final = "LYMPH NODE"
"""All node stations together count as one organ."""
THICKNESS_UNKNOWN: Final = NotEvaluable(reason="slice thickness is not given")
_SIDES: Final = ("LEFT ", "RIGHT ")


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """Whether a lesion is measured, and why.

    Parameters
    ----------
    lesion_id
        The lesion.
    chosen
        Whether it is a target.
    reason
        In words.
    """

    lesion_id: str
    chosen: bool
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Room:
    """How many lesions may be targets, in all and in one organ; what was chosen before counts."""

    most: int
    per_organ: int

    @classmethod
    def of_recist(cls, table: EvidenceTable | None = None) -> Room:
        """Return the limits of RECIST 1.1: five in all, two in one organ."""
        limits = table or read_evidence_table(TABLES, "recist.toml")
        return cls(most=int(limits["targets_most"].number), per_organ=int(limits["targets_per_organ"].number))


def name_organ(lesion: TrackedLesion) -> str:
    """Return the organ a lesion counts for: paired organs, and all node stations, are one.

    Examples
    --------
    >>> from hepatica.followup.words import LesionRole
    >>> name_organ(TrackedLesion(lesion_id="T1", role=LesionRole.TARGET, site="LEFT KIDNEY"))
    'KIDNEY'
    """
    if lesion.is_node:
        return ONE_ORGAN
    site = lesion.site.upper()
    for side in _SIDES:
        site = site.removeprefix(side)
    return site


def choose_targets(
    lesions: Iterable[TrackedLesion],
    *,
    sizes_mm: Mapping[str, float | NotEvaluable],
    room: Room,
    already: Sequence[TrackedLesion] = (),
    slice_thickness_mm: float | NotEvaluable = THICKNESS_UNKNOWN,
    table: EvidenceTable | None = None,
) -> tuple[Choice, ...]:
    """Choose the lesions to measure: the largest first, every organ once before any has two.

    Parameters
    ----------
    lesions
        Candidates.
    sizes_mm
        Longest diameter, of a node the short axis.
    room
        How many are allowed.
    already
        Lesions chosen earlier; they take up room.
    slice_thickness_mm
        Slices thicker than 5 mm ask for a diameter of twice their thickness.
    table
        Table ``recist.toml``, or a protocol's own.

    Returns
    -------
    choices
        One for each candidate, largest first; ties by lesion id.

    Examples
    --------
    >>> from hepatica.followup.words import LesionRole
    >>> liver = [TrackedLesion(lesion_id=f"L{n}", role=LesionRole.TARGET, site="LIVER") for n in (1, 2, 3)]
    >>> picked = choose_targets(liver, sizes_mm={"L1": 20.0, "L2": 31.0, "L3": 12.0}, room=Room.of_recist())
    >>> [(choice.lesion_id, choice.chosen) for choice in picked]
    [('L2', True), ('L1', True), ('L3', False)]
    """
    limits = table or read_evidence_table(TABLES, "recist.toml")
    reasons: dict[str, str] = {}
    measurable = []
    for lesion in sorted(lesions, key=lambda item: _by_size(item, sizes_mm)):
        least_mm = find_least_size(lesion, slice_thickness_mm=slice_thickness_mm, table=limits)
        size = sizes_mm.get(lesion.lesion_id, NotEvaluable(reason="not measured"))
        if isinstance(size, NotEvaluable):
            reasons[lesion.lesion_id] = size.reason
        elif is_at_least(size, least_mm):
            measurable.append(lesion)
            reasons[lesion.lesion_id] = ""
        else:
            reasons[lesion.lesion_id] = f"{size:g} mm is below {least_mm:g} mm"
    chosen = _fill_room(measurable, room=room, already=already, reasons=reasons)
    return tuple(
        Choice(lesion_id=key, chosen=key in chosen, reason=reason) for key, reason in reasons.items()
    )


def _by_size(lesion: TrackedLesion, sizes_mm: Mapping[str, float | NotEvaluable]) -> tuple[float, str]:
    size = sizes_mm.get(lesion.lesion_id)
    return (-size if isinstance(size, float) else 0.0, lesion.lesion_id)


def find_least_size(
    lesion: TrackedLesion, *, slice_thickness_mm: float | NotEvaluable, table: EvidenceTable
) -> float:
    """Return the smallest size in mm at which a lesion is measurable as a target."""
    if lesion.is_node:
        return table["node_target"].number
    least_mm = table["lesion_target"].number
    if isinstance(slice_thickness_mm, float) and slice_thickness_mm > table["slice_thickness"].number:
        return max(least_mm, 2.0 * slice_thickness_mm)
    return least_mm


def _fill_room(
    measurable: Sequence[TrackedLesion],
    *,
    room: Room,
    already: Sequence[TrackedLesion],
    reasons: dict[str, str],
) -> set[str]:
    used: dict[str, int] = {}
    for lesion in already:
        used[name_organ(lesion)] = used.get(name_organ(lesion), 0) + 1
    left = room.most - len(already)
    chosen: set[str] = set()
    # Every organ is represented before any has a second target.
    for turn in range(room.per_organ):
        for lesion in measurable:
            organ = name_organ(lesion)
            if lesion.lesion_id in chosen or used.get(organ, 0) != turn or left <= 0:
                continue
            chosen.add(lesion.lesion_id)
            used[organ] = turn + 1
            left -= 1
            reasons[lesion.lesion_id] = f"target {turn + 1} of {room.per_organ} in {organ or 'unnamed organ'}"
    for lesion in measurable:
        if lesion.lesion_id not in chosen:
            full = used.get(name_organ(lesion), 0) >= room.per_organ
            reasons[lesion.lesion_id] = "the organ has its targets" if full else "the list of targets is full"
    return chosen
