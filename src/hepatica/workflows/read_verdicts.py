"""What the response engine says of one read, from that read's own marks alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from hepatica.core.errors import InputError
from hepatica.core.findings import NotEvaluable
from hepatica.followup.dates import UNDATED, PartialDate
from hepatica.followup.eligibility import check_baseline
from hepatica.followup.records import NOT_MEASURED, Course, Reading, TrackedLesion, Visit
from hepatica.followup.verdict import (
    MOST_INJECTED_AND_NOT,
    Criterion,
    ResponseSettings,
    Verdict,
    derive_verdicts,
    to_trail,
)
from hepatica.followup.words import LesionRole, LesionState
from hepatica.record.item import Item

NODE: Final = "LYMPH NODE"
"""What a location says of a lymph node, as in the tables of tumours."""
MM3_PER_ML: Final = 1000.0
STATES: Final[Mapping[str, LesionState]] = {
    "PRESENT": LesionState.PRESENT,
    "ABSENT": LesionState.ABSENT,
    "UNEQUIVOCAL": LesionState.UNEQUIVOCAL,
    "EQUIVOCAL": LesionState.EQUIVOCAL,
    "NOT EVALUABLE": LesionState.NOT_EVALUABLE,
}
SEALED: Final = "itRECIST parts lesions by injection: it is derived once the read is locked."


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadMarks:
    """One read with what its reader left, as far as somebody may see it.

    Parameters
    ----------
    read
        The read.
    marks
        Its measurements.
    lesions, scans
        The patient's items, by identifier.
    knows_injections
        Whether who looks may know which lesions were injected.
    """

    read: Item
    marks: Sequence[Item]
    lesions: Mapping[str, Item]
    scans: Mapping[str, Item]
    knows_injections: bool

    @property
    def scan_ids(self) -> list[str]:
        """Scans in the order of the visits."""
        listed = self.read.values["scan_ids"]
        return [str(scan_id) for scan_id in listed] if isinstance(listed, list) else []

    def find_visit(self, scan_id: str) -> int:
        """Return the visit of a scan: its own number, else its place among the scans of the read."""
        scan = self.scans.get(scan_id)
        number = scan.values.get("visit_number") if scan is not None else None
        return number if isinstance(number, int) else self.scan_ids.index(scan_id) + 1

    def find_scan_id(self, mark: Item) -> str:
        """Return the scan of a mark; empty where it names none of several."""
        named = mark.values.get("scan_id") or (self.scan_ids[0] if len(self.scan_ids) == 1 else "")
        return str(named) if named in self.scan_ids else ""

    def find_role(self, lesion_id: str) -> LesionRole | None:
        """Return what a lesion counts as in this read: what the earliest mark says that says it."""
        own = [
            mark for mark in self.marks if mark.values["lesion_id"] == lesion_id and self.find_scan_id(mark)
        ]
        named = sorted(
            (self.find_visit(self.find_scan_id(mark)), mark.item_id, str(mark.values["lesion_role"]))
            for mark in own
            if mark.values.get("lesion_role")
        )
        return LesionRole(named[0][2]) if named else None

    def name_lesion(self, lesion_id: str) -> str:
        """Return what a lesion is called: its label, or its identifier where two share one."""
        lesion = self.lesions.get(lesion_id)
        if lesion is None:
            return lesion_id
        label = lesion.values["lesion_label"]
        shared = sum(other.values["lesion_label"] == label for other in self.lesions.values()) > 1
        return lesion_id if shared else str(label)


def derive_read_verdicts(own: ReadMarks) -> dict[str, Any]:
    """Return the verdicts of one read with their reasons, or why there are none.

    Parameters
    ----------
    own
        The read with its own marks; nobody else's play a part.

    Returns
    -------
    answer
        ``criterion``, ``verdicts`` (trail of each, with ``visit_number``), ``findings`` (sentences about the baseline
        and about marks that could not be used) and ``not_evaluable`` (empty, or why there is no verdict).
    """
    criterion = Criterion(str(own.read.values["criterion"]))
    answer: dict[str, Any] = {
        "criterion": str(criterion),
        "category": criterion.category,
        "verdicts": [],
        "findings": [],
        "not_evaluable": "",
    }
    if criterion is Criterion.ITRECIST and not own.knows_injections:
        return {**answer, "not_evaluable": SEALED}
    course, findings = build_course(own, criterion=criterion)
    answer["findings"] = findings
    if isinstance(course, NotEvaluable):
        return {**answer, "not_evaluable": course.reason}
    settings = ResponseSettings(criterion=criterion)
    if criterion is not Criterion.VOLUMETRIC:
        most = MOST_INJECTED_AND_NOT if criterion is Criterion.ITRECIST else None
        answer["findings"] += [
            f"{found.subject}: {found.message}" if found.subject else found.message
            for found in check_baseline(course, most_targets=most)
        ]
    verdicts = derive_verdicts(course, settings=settings)
    return {**answer, "verdicts": [_to_row(verdict, settings=settings) for verdict in verdicts]}


def build_course(own: ReadMarks, *, criterion: Criterion) -> tuple[Course | NotEvaluable, list[str]]:
    """Return one read as the engine takes it, and what was said about marks.

    Parameters
    ----------
    own
        The read.
    criterion
        Decides what a size is: diameter, short axis of a node, or volume.
    """
    findings: list[str] = []
    lesions = [
        lesion
        for lesion_id in sorted({str(mark.values["lesion_id"]) for mark in own.marks}, key=own.name_lesion)
        if (lesion := _to_lesion(own, lesion_id, findings)) is not None
    ]
    chosen = {lesion.lesion_id: lesion for lesion in lesions}
    places = [own.find_visit(scan_id) for scan_id in own.scan_ids]
    if not places or not any(not lesion.role.is_new for lesion in lesions):
        return NotEvaluable(reason="no target or non-target lesion was named at the baseline"), findings
    visits = [_to_visit(own, number, chosen, criterion, findings) for number in sorted(set(places))]
    try:
        # A scan that nobody has marked yet is no visit yet.
        follow_ups = tuple(visit for visit in visits[1:] if visit.readings)
        course = Course(lesions=tuple(lesions), baseline=visits[0], follow_ups=follow_ups)
    except InputError as problem:
        return NotEvaluable(reason=f"{problem.expected} expected, {problem.given} given"), findings
    if not course.baseline.readings:
        return NotEvaluable(reason="nothing is marked at the baseline"), findings
    if not follow_ups:
        return NotEvaluable(reason="nothing is marked after the baseline"), findings
    return course, findings


def _to_lesion(own: ReadMarks, lesion_id: str, findings: list[str]) -> TrackedLesion | None:
    role, name = own.find_role(lesion_id), own.name_lesion(lesion_id)
    if role is None:
        findings.append(f"{name} has no role (target, non-target, new) and is left out.")
        return None
    item = own.lesions.get(lesion_id)
    site = str(item.values.get("location", "")).upper() if item is not None else ""
    dates = item.values.get("injected_dates") if item is not None and own.knows_injections else None
    return TrackedLesion(
        lesion_id=name,
        role=role,
        site=site,
        is_node=NODE in site,
        injections=tuple(PartialDate.from_text(str(day)) for day in dates) if isinstance(dates, list) else (),
    )


def _to_visit(
    own: ReadMarks,
    number: int,
    chosen: Mapping[str, TrackedLesion],
    criterion: Criterion,
    findings: list[str],
) -> Visit:
    scans = [scan_id for scan_id in own.scan_ids if own.find_visit(scan_id) == number]
    dates = [
        str(own.scans[scan_id].values.get("acquired_date") or "") for scan_id in scans if scan_id in own.scans
    ]
    readings: dict[str, Reading] = {}
    new, equivocal = set(), set()
    first_seen = _find_first_visits(own)
    for mark in sorted(own.marks, key=lambda one: one.item_id):
        name = own.name_lesion(str(mark.values["lesion_id"]))
        if own.find_scan_id(mark) not in scans or name not in chosen:
            continue
        if name in readings:
            findings.append(f"{name} is marked twice at visit {number}: one of the marks is used.")
            continue
        readings[name] = to_reading(mark, is_node=chosen[name].is_node, criterion=criterion)
        if chosen[name].role.is_new:
            if first_seen[str(mark.values["lesion_id"])] == number:
                new.add(name)
            if mark.values.get("state") == "EQUIVOCAL":
                equivocal.add(name)
    day = max(dates, default="")
    return Visit(
        number=float(number),
        name=f"VISIT {number}",
        date=PartialDate.from_text(day) if day else UNDATED,
        readings=readings,
        new_lesions=frozenset(new),
        equivocal_lesions=frozenset(equivocal),
    )


def _find_first_visits(own: ReadMarks) -> dict[str, int]:
    found: dict[str, int] = {}
    for mark in own.marks:
        scan_id, lesion_id = own.find_scan_id(mark), str(mark.values["lesion_id"])
        if scan_id:
            number = own.find_visit(scan_id)
            found[lesion_id] = min(number, found.get(lesion_id, number))
    return found


def to_reading(mark: Item, *, is_node: bool, criterion: Criterion) -> Reading:
    """Return one mark as the engine takes it.

    Parameters
    ----------
    mark
        Measurement.
    is_node
        A node is measured by its short axis.
    criterion
        By volume, or by diameter in mm; by mRECIST the diameter is that of the viable part.
    """
    state = STATES.get(str(mark.values.get("state") or ""))
    field = "short_axis_mm" if is_node else "longest_diameter_mm"
    value = mark.values.get("volume_ml" if criterion is Criterion.VOLUMETRIC else field)
    if state is LesionState.NOT_EVALUABLE:
        return Reading(size=NotEvaluable(reason="not evaluable"), state=state)
    if isinstance(value, (int, float)):
        size = float(value) * (MM3_PER_ML if criterion is Criterion.VOLUMETRIC else 1.0)
        return Reading(size=size, state=state)
    return Reading(size=0.0 if state is LesionState.ABSENT else NOT_MEASURED, state=state)


def _to_row(verdict: Verdict, *, settings: ResponseSettings) -> dict[str, Any]:
    return {
        "visit_number": int(verdict.visit.number),
        "group": verdict.group,
        "overall": verdict.overall or "not applicable",
        "target": verdict.target,
        "non_target": verdict.non_target,
        "new": verdict.new.answer if verdict.new is not None else "",
        "rule": verdict.rule,
        "trail": to_trail(verdict, settings=settings),
    }
