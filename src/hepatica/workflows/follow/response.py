"""Lesions and sums of one patient over time, as one reader measured them, with injections and responses."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

from hepatica.core.errors import HepaticaError
from hepatica.core.findings import NotEvaluable
from hepatica.followup.curves import SubjectCurves, derive_curves
from hepatica.followup.dates import UNDATED, PartialDate
from hepatica.followup.records import NOT_MEASURED, Course, Reading, TrackedLesion, Visit
from hepatica.followup.verdict import Criterion, ResponseSettings, Verdict, derive_verdicts
from hepatica.followup.words import LesionRole, LesionState
from hepatica.record.item import Item
from hepatica.workflows.follow.protocol import list_all, read_patient
from hepatica.workflows.record_ports import PAGE_MAX, ItemFilter, RecordContext

READ_ORDER = ("adjudicator", "reader_1", "reader_2")
STATES: Mapping[str, LesionState] = {
    "PRESENT": LesionState.PRESENT,
    "ABSENT": LesionState.ABSENT,
    "UNEQUIVOCAL": LesionState.UNEQUIVOCAL,
    "EQUIVOCAL": LesionState.EQUIVOCAL,
    "NOT EVALUABLE": LesionState.NOT_EVALUABLE,
}
NO_READ = NotEvaluable(reason="no read with measurements on dated scans")
TARGETS_MOST_MM = 10.0
"""RECIST 1.1: a target is at least this long at baseline."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadChoice:
    """A read that can be shown.

    Parameters
    ----------
    item
        Item of kind ``read``.
    measurements
        How many marks it has.
    holds
        Whether adjudication chose it.
    """

    item: Item
    measurements: int
    holds: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class PatientResponse:
    """What is shown of one patient.

    Parameters
    ----------
    patient
        Item of kind ``patient``.
    reads
        Reads to choose from, the one that holds first.
    shown
        The read that is shown; empty text where none can be.
    origin
        Day of the baseline scan, from which days are counted.
    curves, verdicts
        Sizes and responses, or why there are none.
    lesions
        Lesions by identifier.
    """

    patient: Item
    reads: tuple[ReadChoice, ...]
    shown: str
    origin: date | None
    curves: SubjectCurves | NotEvaluable
    verdicts: tuple[Verdict, ...] | NotEvaluable
    lesions: Mapping[str, Item]


def derive_patient_response(context: RecordContext, *, patient_id: str, read_id: str = "") -> PatientResponse:
    """Derive sizes, sums and responses of a patient from one read.

    Parameters
    ----------
    context
        Who asks; needs the rights to read lesions, reads, measurements and the study.
    patient_id
        Whose.
    read_id
        Which read; empty for the one that was chosen by adjudication, else the first reader's, else the second's.
    """
    patient = read_patient(context, patient_id)

    def find(kind: str) -> list[Item]:
        return list(list_all(context, ItemFilter(kind=kind, patient_id=patient_id)))

    lesions = {item.item_id: item for item in find("lesion")}
    with context.store.reading() as reader:
        # Of scans only the days are used, which whoever sees reads and the study may know.
        page = reader.list_items(ItemFilter(kind="scan", patient_id=patient_id, limit=PAGE_MAX))
        scans = {item.item_id: item for item in page.items}
    marks: dict[str, list[Item]] = defaultdict(list)
    for mark in find("measurement"):
        marks[str(mark.values["read_id"])].append(mark)
    reads = _order_reads(find("read"), marks)
    shown = read_id if any(read.item.item_id == read_id for read in reads) else ""
    shown = shown or (reads[0].item.item_id if reads else "")
    course = _to_course(marks.get(shown, []), lesions=lesions, scans=scans)
    if isinstance(course, NotEvaluable):
        return PatientResponse(
            patient=patient, reads=reads, shown=shown, origin=None, curves=course, verdicts=course, lesions=lesions,
        )  # fmt: skip
    read = next(one.item for one in reads if one.item.item_id == shown)
    verdicts = _derive_verdicts(course, str(read.values["criterion"]))
    return PatientResponse(
        patient=patient,
        reads=reads,
        shown=shown,
        origin=course.baseline.date.day,
        curves=derive_curves(course, verdicts=() if isinstance(verdicts, NotEvaluable) else verdicts),
        verdicts=verdicts,
        lesions=lesions,
    )


def _order_reads(reads: list[Item], marks: Mapping[str, list[Item]]) -> tuple[ReadChoice, ...]:
    chosen = {str(read.values["chosen_read_id"]) for read in reads if read.values.get("chosen_read_id")}
    measured = [read for read in reads if marks.get(read.item_id)]
    measured.sort(
        key=lambda read: (
            read.item_id not in chosen,
            READ_ORDER.index(str(read.values["role"])),
            str(read.values["criterion"]),
            read.item_id,
        )
    )
    return tuple(
        ReadChoice(item=read, measurements=len(marks[read.item_id]), holds=read.item_id in chosen)
        for read in measured
    )


def _to_course(
    marks: list[Item], *, lesions: Mapping[str, Item], scans: Mapping[str, Item]
) -> Course | NotEvaluable:
    by_scan: dict[str, dict[str, Reading]] = defaultdict(dict)
    for mark in marks:
        scan = scans.get(str(mark.values.get("scan_id", "")))
        lesion = lesions.get(str(mark.values["lesion_id"]))
        if scan is not None and lesion is not None and scan.values.get("acquired_date"):
            by_scan[scan.item_id][str(lesion.values["lesion_label"])] = _to_reading(mark)
    ordered = sorted(by_scan, key=lambda scan_id: (str(scans[scan_id].values["acquired_date"]), scan_id))
    if not ordered:
        return NO_READ
    first = by_scan[ordered[0]]
    tracked = tuple(
        TrackedLesion(
            lesion_id=label,
            role=_find_role(label, first, lesion),
            site=str(lesion.values["location"]),
            injections=tuple(PartialDate.from_text(str(day)) for day in _list_dates(lesion)),
        )
        for lesion in sorted(lesions.values(), key=lambda item: str(item.values["lesion_label"]))
        if any((label := str(lesion.values["lesion_label"])) in seen for seen in by_scan.values())
    )
    new = {lesion.lesion_id for lesion in tracked if lesion.role.is_new}
    visits: list[Visit] = []
    known: set[str] = set()
    for number, scan_id in enumerate(ordered, start=1):
        found = {
            name
            for name, reading in by_scan[scan_id].items()
            if name in new - known and reading.state is not LesionState.ABSENT
        }
        known |= found
        visits.append(
            Visit(
                number=float(number),
                name=f"Scan {number}",
                date=_to_date(scans[scan_id]),
                readings=by_scan[scan_id],
                new_lesions=frozenset(found),
            )
        )
    return Course(lesions=tracked, baseline=visits[0], follow_ups=tuple(visits[1:]))


def _find_role(label: str, first: Mapping[str, Reading], lesion: Item) -> LesionRole:
    reading = first.get(label)
    if reading is None:
        return LesionRole.NEW
    measurable = isinstance(reading.size, float) and reading.size >= TARGETS_MOST_MM
    return LesionRole.TARGET if measurable else LesionRole.NON_TARGET


def _to_reading(mark: Item) -> Reading:
    size = mark.values.get("longest_diameter_mm")
    return Reading(
        size=float(size) if isinstance(size, int | float) else NOT_MEASURED,
        state=STATES.get(str(mark.values.get("state", ""))),
    )


def _list_dates(lesion: Item) -> list[object]:
    held = lesion.values.get("injected_dates")
    return list(held) if isinstance(held, list) else []


def _to_date(scan: Item) -> PartialDate:
    text = str(scan.values.get("acquired_date", ""))
    return PartialDate.from_text(text) if text else UNDATED


def _derive_verdicts(course: Course, criterion: str) -> tuple[Verdict, ...] | NotEvaluable:
    found = next((one for one in Criterion if str(one) == criterion), None)
    if found is None:
        return NotEvaluable(reason=f"no engine for the criterion {criterion}")
    try:
        return derive_verdicts(course, settings=ResponseSettings(criterion=found))
    except HepaticaError as refusal:
        return NotEvaluable(reason=f"{refusal.expected}; given {refusal.given}")
