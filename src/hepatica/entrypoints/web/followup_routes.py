"""Follow-up: who is due, and one patient's visits, adverse events, laboratory values and response."""

from __future__ import annotations

from collections import Counter
from datetime import date
from typing import Annotated, Any, Final

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from hepatica.core.evidence import read_evidence_table
from hepatica.entrypoints.web.depends import Context
from hepatica.entrypoints.web.followup_answers import (
    to_calendar,
    to_events,
    to_labs,
    to_response,
    to_schedule,
    to_terms,
    to_visit,
)
from hepatica.entrypoints.web.followup_models import (
    CalendarAnswer,
    DuePage,
    EventsAnswer,
    LabsAnswer,
    ResponseAnswer,
    TermAnswer,
    VisitRow,
)
from hepatica.entrypoints.web.rights import needs
from hepatica.workflows.follow.protocol import read_patient
from hepatica.workflows.follow.response import derive_patient_response
from hepatica.workflows.follow.safety import grade_results, judge_events
from hepatica.workflows.follow.visits import list_due, list_patient_visits

router = APIRouter(prefix="/api", tags=["Follow-up"])
WITHIN_DAYS: Final = 7
TABLES: Final = "hepatica.followup.tables"
Short = Annotated[str, Query(max_length=200)]


class DueQuery(BaseModel):
    """Which visits to list."""

    as_of: date | None = None
    within_days: int = Field(default=WITHIN_DAYS, ge=0, le=366)
    state: str = Field(default="", max_length=40)
    site_id: str = Field(default="", max_length=200)
    name: str = Field(default="", max_length=200)
    search: str = Field(default="", max_length=200)
    offset: int = Field(default=0, ge=0, le=100_000)
    limit: int = Field(default=100, ge=1, le=500)

    def fits(self, row: VisitRow) -> bool:
        """Whether a row is asked for, whatever its state."""
        return (
            (not self.site_id or row.site_id == self.site_id)
            and (not self.name or row.name == self.name)
            and self.search.casefold() in row.subject_id.casefold()
        )


@router.get("/due", response_model=DuePage, openapi_extra=needs("patient.read", "visit.read", "study.read"))
def read_due(context: Context, wanted: Annotated[DueQuery, Query()]) -> Any:
    """List visits that are overdue, due, or planned or booked within some days."""
    day = wanted.as_of or context.now_utc().date()
    table = list_due(context, as_of=day, within_days=wanted.within_days)
    rows = [row for row in map(to_visit, table.rows) if wanted.fits(row)]
    shown = [row for row in rows if wanted.state in ("", row.state)]
    return DuePage(
        as_of=day.isoformat(),
        within_days=wanted.within_days,
        schedule=to_schedule(table.schedule),
        rows=shown[wanted.offset : wanted.offset + wanted.limit],
        total=len(shown),
        counts=dict(Counter(row.state for row in rows)),
    )


@router.get(
    "/patient/{patient_id}/visits",
    response_model=CalendarAnswer,
    openapi_extra=needs("patient.read", "visit.read", "study.read"),
)
def read_calendar(patient_id: str, context: Context, as_of: date | None = None) -> Any:
    """List every visit of a patient with its state and the reason for it."""
    patient = read_patient(context, patient_id)
    day = as_of or context.patient_now(patient_id).date()
    table = list_patient_visits(context, patient_id=patient_id, as_of=day)
    return to_calendar(table, patient=patient)


@router.get(
    "/patient/{patient_id}/events",
    response_model=EventsAnswer,
    openapi_extra=needs("patient.read", "adverse_event.read", "study.read"),
)
def read_events(patient_id: str, context: Context) -> Any:
    """List the adverse events of a patient, judged for grade, dose-limiting toxicity and reporting."""
    return to_events(judge_events(context, patient_id=patient_id))


@router.get("/terms", response_model=list[TermAnswer], openapi_extra=needs("adverse_event.read"))
def read_terms(context: Context, search: Short = "") -> Any:
    """List terms of CTCAE that grades are known for."""
    return to_terms(read_evidence_table(TABLES, "ae_terms.toml"), search=search)


@router.get(
    "/patient/{patient_id}/labs",
    response_model=LabsAnswer,
    openapi_extra=needs("patient.read", "laboratory.read"),
)
def read_labs(patient_id: str, context: Context) -> Any:
    """List the laboratory results of a patient, graded by the baseline rule."""
    patient = read_patient(context, patient_id)
    return to_labs(grade_results(context, patient_id=patient_id), patient=patient)


@router.get(
    "/patient/{patient_id}/response",
    response_model=ResponseAnswer,
    openapi_extra=needs("patient.read", "lesion.read", "read.read", "measurement.read", "study.read"),
)
def read_response(patient_id: str, context: Context, read_id: Short = "") -> Any:
    """Return sizes, sums, injections and responses of a patient, as one read has them."""
    return to_response(derive_patient_response(context, patient_id=patient_id, read_id=read_id))
