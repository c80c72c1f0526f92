"""From what the engines of follow-up say to what the pages are answered."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, timedelta

from hepatica.core.evidence import EvidenceStatus, EvidenceTable
from hepatica.core.findings import NotEvaluable
from hepatica.entrypoints.web.followup_models import (
    CalendarAnswer,
    ClockAnswer,
    DltAnswer,
    DltWindow,
    EventRow,
    EventsAnswer,
    GradeAnswer,
    LabsAnswer,
    LesionAnswer,
    Missing,
    PointAnswer,
    ReadFacts,
    ResponseAnswer,
    ResponseRow,
    ResultRow,
    ScheduleFacts,
    TermAnswer,
    TestRows,
    VisitNames,
    VisitRow,
)
from hepatica.entrypoints.web.models import to_answer
from hepatica.followup.curves import CurvePoint, SubjectCurves
from hepatica.followup.safety.dlt import EventVerdict, PatientVerdict
from hepatica.followup.safety.laboratory import SCALE, Grade
from hepatica.followup.safety.serious import ReportClock
from hepatica.followup.verdict import Verdict
from hepatica.followup.visits.schedule import Schedule
from hepatica.record.item import Item
from hepatica.workflows.follow.response import PatientResponse, ReadChoice
from hepatica.workflows.follow.safety import GradedTest, JudgedEvent, PatientEvents
from hepatica.workflows.follow.visits import PatientVisit, VisitTable


def to_schedule(schedule: Schedule | NotEvaluable) -> ScheduleFacts | Missing:
    """Return the facts of a schedule."""
    if isinstance(schedule, NotEvaluable):
        return Missing(not_evaluable=schedule.reason)
    return ScheduleFacts(
        name=schedule.name,
        title=schedule.title,
        unverified=[
            item.key.removeprefix("visits.")
            for item in schedule.evidence
            if item.status is EvidenceStatus.UNVERIFIED
        ],
        not_set=list(schedule.missing),
    )


def to_visit(row: PatientVisit) -> VisitRow:
    """Return one visit."""
    visit, values, item = row.visit, row.patient.values, row.item
    return VisitRow(
        patient_id=row.patient.item_id,
        subject_id=str(values["subject_id"]),
        site_id=row.patient.site_id,
        patient_status=str(values["status"]),
        simulated=values.get("simulated") is True,
        name=visit.name,
        kind=visit.kind,
        number=visit.number,
        state=visit.state.value,
        reason=visit.reason,
        due=str(visit.due) if visit.due is not None else "",
        due_first=_to_text(visit.due.first if visit.due is not None else None),
        opens=_to_text(visit.opens),
        closes=_to_text(visit.closes),
        on=visit.on.text,
        booked=_to_text(visit.booked),
        study_day=visit.study_day,
        projected=visit.projected,
        item_id=item.item_id if item else "",
        version=item.version if item else 0,
        locked=bool(item and item.locked),
    )


def to_calendar(table: VisitTable, *, patient: Item) -> CalendarAnswer:
    """Return the visits of a patient, and which could be entered next."""
    names = []
    if not isinstance(table.schedule, NotEvaluable):
        for rule in table.schedule.rules:
            taken = [row.visit.number or 0 for row in table.rows if row.visit.name == rule.name and row.item]
            names.append(VisitNames(name=rule.name, next_number=max(taken, default=0) + 1))
    first = patient.values.get("reference_date")
    return CalendarAnswer(
        as_of=table.as_of.isoformat(),
        schedule=to_schedule(table.schedule),
        rows=[to_visit(row) for row in table.rows],
        unplaced=[to_answer(item) for item in table.unplaced],
        names=names,
        first_injection=first if isinstance(first, str) else None,
    )


def to_events(found: PatientEvents) -> EventsAnswer:
    """Return the adverse events of a patient."""
    return EventsAnswer(window=_to_window(found), rows=[_to_event(event) for event in found.events])


def to_terms(table: EvidenceTable, *, search: str) -> list[TermAnswer]:
    """Return the terms that hold every word of a text, with the grades each can have."""
    wanted = search.casefold().split()
    names = sorted({key.rpartition(":")[0] for key in table.entries})
    return [
        TermAnswer(
            term=name.capitalize(),
            lowest=int(table[f"{name}:lowest"].number),
            highest=int(table[f"{name}:highest"].number),
            status=table[f"{name}:highest"].status.value,
            source=table[f"{name}:highest"].source,
        )
        for name in names
        if all(word in name for word in wanted)
    ]


def to_labs(tests: Iterable[GradedTest], *, patient: Item) -> LabsAnswer:
    """Return the laboratory results of a patient."""
    first = patient.values.get("reference_date")
    return LabsAnswer(
        scale=SCALE,
        first_injection=first if isinstance(first, str) else None,
        tests=[
            TestRows(
                test_code=test.test_code,
                term=test.term,
                baseline=Missing(not_evaluable=test.baseline.reason)
                if isinstance(test.baseline, NotEvaluable)
                else to_answer(test.baseline),
                rows=[
                    ResultRow(
                        item=to_answer(row.item), grade=_to_grade(row.grade), is_baseline=row.is_baseline
                    )
                    for row in test.results
                ],
            )
            for test in tests
        ],
    )


def to_response(found: PatientResponse) -> ResponseAnswer:
    """Return sizes, sums and responses of a patient."""
    origin, curves, verdicts = found.origin, found.curves, found.verdicts
    answer = ResponseAnswer(
        reads=[_to_read(read) for read in found.reads],
        shown=found.shown,
        origin=_to_text(origin),
        first_injection_day=None,
        injection_days=[],
        missing=curves.reason if isinstance(curves, NotEvaluable) else "",
        verdicts_missing=verdicts.reason if isinstance(verdicts, NotEvaluable) else "",
        lesions=[],
        total=[],
        injected=[],
        non_injected=[],
        responses=[],
    )
    if isinstance(curves, NotEvaluable) or origin is None:
        return answer
    _add_curves(answer, curves, found, origin=origin)
    if not isinstance(verdicts, NotEvaluable):
        answer.responses = [_to_response_row(verdict, origin=origin) for verdict in verdicts]
    return answer


def _add_curves(
    answer: ResponseAnswer, curves: SubjectCurves, found: PatientResponse, *, origin: date
) -> None:
    by_label = {str(item.values["lesion_label"]): item for item in found.lesions.values()}
    answer.lesions = [
        LesionAnswer(
            label=curve.lesion_id,
            lesion_id=by_label[curve.lesion_id].item_id,
            group=curve.group.value,
            role=curve.role,
            segment=str(by_label[curve.lesion_id].values.get("segment", "")),
            points=[_to_point(point, origin) for point in curve.points],
            injection_days=list(curve.injections),
        )
        for curve in curves.lesions
    ]
    answer.injection_days = sorted({day for curve in curves.lesions for day in curve.injections})
    answer.first_injection_day = answer.injection_days[0] if answer.injection_days else None
    answer.total = [_to_point(point, origin) for point in curves.total]
    answer.injected = [_to_point(point, origin) for point in curves.injected]
    answer.non_injected = [_to_point(point, origin) for point in curves.non_injected]
    answer.undated = curves.undated


def _to_read(read: ReadChoice) -> ReadFacts:
    values = read.item.values
    return ReadFacts(
        read_id=read.item.item_id,
        role=str(values["role"]),
        criterion=str(values["criterion"]),
        state=str(values["state"]),
        measurements=read.measurements,
        holds=read.holds,
    )


def _to_point(point: CurvePoint, origin: date) -> PointAnswer:
    return PointAnswer(
        day=point.day,
        date=(origin + timedelta(days=point.day)).isoformat(),
        size_mm=_to_number(point.size),
        change_percent=_to_number(point.change_percent),
    )


def _to_response_row(verdict: Verdict, *, origin: date) -> ResponseRow:
    day = verdict.visit.date.day
    return ResponseRow(
        day=(day - origin).days if day else 0,
        date=verdict.visit.date.text,
        group=verdict.group,
        target=str(verdict.target),
        non_target=str(verdict.non_target),
        new_lesions=sorted(verdict.visit.new_lesions),
        overall=str(verdict.overall),
        rule=verdict.rule,
    )


def _to_number(value: float | NotEvaluable) -> float | Missing:
    return Missing(not_evaluable=value.reason) if isinstance(value, NotEvaluable) else round(value, 3)


def _to_window(found: PatientEvents) -> DltWindow | Missing:
    definition, verdict = found.definition, found.patient
    if isinstance(definition, NotEvaluable):
        return Missing(not_evaluable=definition.reason)
    stands = not isinstance(verdict, NotEvaluable)
    return DltWindow(
        definition=definition.name,
        title=definition.title,
        window_days=definition.window_length_days,
        attribution=str(definition.attribution.value),
        criteria=[
            f"{one.title} {one.grade_min.edge or ''} {one.grade_min.value}" for one in definition.criteria
        ],
        opens=_to_text(verdict.patient.first_dose) if isinstance(verdict, PatientVerdict) else None,
        closes=_to_text(verdict.closes_on) if isinstance(verdict, PatientVerdict) else None,
        patient=DltAnswer(state=verdict.state.value, reason=verdict.reason)
        if stands and isinstance(verdict, PatientVerdict)
        else Missing(not_evaluable=verdict.reason),
    )


def _to_event(event: JudgedEvent) -> EventRow:
    findings = event.findings
    return EventRow(
        item=to_answer(event.item),
        dlt=_to_dlt(event.verdict),
        grade_findings=[] if isinstance(findings, NotEvaluable) else [one.message for one in findings],
        grade_checked=not isinstance(findings, NotEvaluable),
        clock=_to_clock(event.clock),
    )


def _to_dlt(verdict: EventVerdict | NotEvaluable) -> DltAnswer | Missing:
    if isinstance(verdict, NotEvaluable):
        return Missing(not_evaluable=verdict.reason)
    return DltAnswer(
        state=verdict.verdict.value,
        reason=verdict.reason,
        cause=verdict.cause,
        decides_on=_to_text(verdict.decides_on),
    )


def _to_clock(clock: ReportClock | NotEvaluable | None) -> ClockAnswer | None:
    if clock is None:
        return None
    if isinstance(clock, NotEvaluable):
        return ClockAnswer(state="cannot be told", due=None, left_h=None, limit_h=None, reason=clock.reason)
    return ClockAnswer(
        state=clock.state.value,
        due=clock.due.isoformat(),
        left_h=round(clock.left_h, 2),
        limit_h=clock.limit.number,
        reason="",
    )


def _to_grade(grade: Grade | NotEvaluable) -> GradeAnswer | Missing:
    if isinstance(grade, NotEvaluable):
        return Missing(not_evaluable=grade.reason)
    limit = grade.limit
    text = "" if limit is None else f"{limit.edge} {limit.value} {limit.unit.replace('_', ' ')}".strip()
    return GradeAnswer(grade=grade.grade, rule=grade.rule, limit=text)


def _to_text(day: date | None) -> str | None:
    return day.isoformat() if day is not None else None
