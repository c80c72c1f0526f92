"""What the pages of follow-up are answered."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, Field

from hepatica.entrypoints.web.models import ItemAnswer


class Missing(BaseModel):
    """Why there is no answer."""

    not_evaluable: str


Number = float | Missing


class VisitRow(BaseModel):
    """One visit as the schedule and the record see it; ``due`` is a day, or the first and last it may be."""

    patient_id: str
    subject_id: str
    site_id: str
    patient_status: str
    simulated: bool
    name: str
    kind: str
    number: int | None
    state: str
    reason: str
    due: str
    due_first: str | None
    opens: str | None
    closes: str | None
    on: str
    booked: str | None
    study_day: int | None
    projected: bool
    item_id: str
    version: int
    locked: bool


class ScheduleFacts(BaseModel):
    """The schedule that visits were derived from; ``unverified`` and ``not_set`` name its numbers so marked."""

    name: str
    title: str
    unverified: list[str]
    not_set: list[str]


class DuePage(BaseModel):
    """Who has to be seen; counts are of all rows, whatever the page."""

    as_of: str
    within_days: int
    schedule: ScheduleFacts | Missing
    rows: list[VisitRow]
    total: int
    counts: dict[str, int]


class VisitNames(BaseModel):
    """A visit that can be entered: a name of the schedule, and the number that comes next."""

    name: str
    next_number: int


class CalendarAnswer(BaseModel):
    """All visits of a patient."""

    as_of: str
    schedule: ScheduleFacts | Missing
    rows: list[VisitRow]
    unplaced: list[ItemAnswer]
    names: list[VisitNames]
    first_injection: str | None


class DltAnswer(BaseModel):
    """Whether an event, or a patient, counts; ``decides_on`` where only time can tell."""

    state: str
    reason: str
    cause: str = ""
    decides_on: str | None = None


class ClockAnswer(BaseModel):
    """The clock of a serious event's report."""

    state: str
    due: str | None
    left_h: float | None
    limit_h: float | None
    reason: str


class EventRow(BaseModel):
    """One adverse event, judged."""

    item: ItemAnswer
    dlt: DltAnswer | Missing
    grade_findings: list[str]
    grade_checked: bool
    clock: ClockAnswer | None


class DltWindow(BaseModel):
    """The definition, its window for this patient, and how he stands."""

    definition: str
    title: str
    window_days: int
    attribution: str
    criteria: list[str]
    opens: str | None
    closes: str | None
    patient: DltAnswer | Missing


class EventsAnswer(BaseModel):
    """The adverse events of a patient."""

    window: DltWindow | Missing
    rows: list[EventRow]


class TermAnswer(BaseModel):
    """A term of the table and the grades it can have; ``source`` says where they were read."""

    term: str
    lowest: int
    highest: int
    status: str
    source: str


class GradeAnswer(BaseModel):
    """A derived grade with what it was compared with."""

    grade: int
    rule: str
    limit: str


class ResultRow(BaseModel):
    """One laboratory result."""

    item: ItemAnswer
    grade: GradeAnswer | Missing
    is_baseline: bool


class TestRows(BaseModel):
    """The results of one test."""

    test_code: str
    term: str
    baseline: ItemAnswer | Missing
    rows: list[ResultRow]


class LabsAnswer(BaseModel):
    """The laboratory results of a patient, by test."""

    scale: str
    first_injection: str | None
    tests: list[TestRows]


class PointAnswer(BaseModel):
    """A size, and its change from the baseline in per cent."""

    day: int
    date: str
    size_mm: Number
    change_percent: Number


class LesionAnswer(BaseModel):
    """One lesion over time."""

    label: str
    lesion_id: str
    group: str
    role: str
    segment: str
    points: list[PointAnswer]
    injection_days: list[int]


class ResponseRow(BaseModel):
    """The answer of a visit."""

    day: int
    date: str
    group: str
    target: str
    non_target: str
    new_lesions: list[str]
    overall: str
    rule: str


class ReadFacts(BaseModel):
    """A read to choose from."""

    read_id: str
    role: str
    criterion: str
    state: str
    measurements: int
    holds: bool


class ResponseAnswer(BaseModel):
    """Sizes, sums, injections and responses of a patient, as one read has them; days count from the baseline scan."""

    reads: list[ReadFacts]
    shown: str
    origin: str | None
    first_injection_day: int | None
    injection_days: list[int]
    missing: str
    verdicts_missing: str
    lesions: list[LesionAnswer]
    total: list[PointAnswer]
    injected: list[PointAnswer]
    non_injected: list[PointAnswer]
    responses: list[ResponseRow]
    undated: Annotated[int, Field(description="Scans without a whole date; they are in no curve.")] = 0
