"""Adverse events and laboratory values of one patient, judged by the engines of follow-up."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime

from hepatica.core.errors import HepaticaError
from hepatica.core.findings import Finding, NotEvaluable
from hepatica.followup.dates import UNDATED, PartialDate
from hepatica.followup.safety.attribution import Attribution, read_relation
from hepatica.followup.safety.dlt import EventVerdict, PatientVerdict, judge_patient
from hepatica.followup.safety.lab_tests import read_lab_tests
from hepatica.followup.safety.laboratory import Grade, LabValue, grade_laboratory
from hepatica.followup.safety.serious import ReportClock
from hepatica.followup.safety.terms import check_grade
from hepatica.followup.safety.toxicity import ToxicEvent, ToxicityDefinition, TreatedPatient
from hepatica.record.item import Item
from hepatica.workflows.follow.protocol import find_study, find_toxicity_definition, list_all, read_patient
from hepatica.workflows.record_ports import PAGE_MAX, ItemFilter, RecordContext
from hepatica.workflows.serious_events import measure_clock

NOT_TREATED = NotEvaluable(reason="not injected yet: the window has not begun")
NO_TEST = NotEvaluable(reason="cannot grade: no limits of CTCAE are kept for this test")
NO_UNIT = NotEvaluable(reason="cannot grade: the unit is not one that the limits are known in")
TWO_UNITS = NotEvaluable(reason="cannot grade: results of this test stand in two units")


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgedEvent:
    """One adverse event.

    Parameters
    ----------
    item
        As the record holds it.
    verdict
        Whether it is dose-limiting; why nobody can say otherwise.
    findings
        What is wrong with its grade; NotEvaluable where its term is not in the table.
    clock
        Of its report; None where it is not serious.
    """

    item: Item
    verdict: EventVerdict | NotEvaluable
    findings: tuple[Finding, ...] | NotEvaluable
    clock: ReportClock | NotEvaluable | None


@dataclass(frozen=True, slots=True, kw_only=True)
class PatientEvents:
    """The adverse events of a patient.

    Parameters
    ----------
    definition
        What the protocol calls dose-limiting.
    patient
        How the patient stands.
    events
        By day, the latest first.
    """

    definition: ToxicityDefinition | NotEvaluable
    patient: PatientVerdict | NotEvaluable
    events: tuple[JudgedEvent, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class GradedResult:
    """One laboratory result.

    Parameters
    ----------
    item
        As the record holds it.
    grade
        By CTCAE, or why there is none.
    is_baseline
        Whether others are compared with it.
    """

    item: Item
    grade: Grade | NotEvaluable
    is_baseline: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class GradedTest:
    """The results of one test.

    Parameters
    ----------
    test_code, term
        LBTESTCD and CTCAE term; empty where the limits do not know the test.
    baseline
        The result that others are compared with, or why there is none.
    results
        By day.
    """

    test_code: str
    term: str
    baseline: Item | NotEvaluable
    results: tuple[GradedResult, ...]


def judge_events(context: RecordContext, *, patient_id: str) -> PatientEvents:
    """Judge the adverse events of a patient.

    Parameters
    ----------
    context
        Who asks; needs the right ``adverse_event.read``.
    patient_id
        Whose.
    """
    patient = read_patient(context, patient_id)
    definition = find_toxicity_definition(find_study(context))
    items = sorted(
        list_all(context, ItemFilter(kind="adverse_event", patient_id=patient_id)),
        key=lambda item: (str(item.values["start_date"]), item.item_id),
        reverse=True,
    )
    now = context.patient_now(patient_id)
    with context.store.reading() as reader:
        consents = reader.list_items(ItemFilter(kind="consent", patient_id=patient_id, limit=PAGE_MAX)).items
    verdict = judge_toxicity(patient, items, definition, as_of=now.date(), consents=consents)
    by_row = {} if isinstance(verdict, NotEvaluable) else {e.event.row: e for e in verdict.events}
    missing = verdict if isinstance(verdict, NotEvaluable) else NotEvaluable(reason="began after this day")
    return PatientEvents(
        definition=definition,
        patient=verdict,
        events=tuple(
            JudgedEvent(
                item=item,
                verdict=by_row.get(number, missing),
                findings=_check(item),
                clock=_measure(item, now),
            )
            for number, item in enumerate(items, start=1)
        ),
    )


def grade_results(context: RecordContext, *, patient_id: str) -> tuple[GradedTest, ...]:
    """Grade the laboratory results of a patient.

    The baseline is the result that is flagged; without a flag the last one on or before the first injection.

    Parameters
    ----------
    context
        Who asks; needs the right ``laboratory.read``.
    patient_id
        Whose.
    """
    patient = read_patient(context, patient_id)
    start = str(patient.values.get("reference_date", ""))
    by_test: dict[str, list[Item]] = defaultdict(list)
    for item in list_all(context, ItemFilter(kind="laboratory", patient_id=patient_id)):
        by_test[str(item.values["test_code"]).upper()].append(item)
    return tuple(_grade_test(code, items, start=start) for code, items in sorted(by_test.items()))


def judge_toxicity(
    patient: Item,
    items: Sequence[Item],
    definition: ToxicityDefinition | NotEvaluable,
    *,
    as_of: date,
    consents: Sequence[Item] = (),
) -> PatientVerdict | NotEvaluable:
    """Judge a patient for dose-limiting toxicity, or say why nobody can.

    Parameters
    ----------
    patient, items
        The patient and his adverse events; an event's ``row`` is its place among them, from 1.
    definition
        Of the protocol version.
    as_of
        Today, in the calendar of the patient's dates.
    consents
        His consents: who withdrew from follow-up is observed no longer.
    """
    first = patient.values.get("reference_date")
    if isinstance(definition, NotEvaluable):
        return definition
    if not isinstance(first, str) or len(first) != len("2026-01-01"):
        return NOT_TREATED
    off = _find_last_day(patient, consents)
    try:
        return judge_patient(
            TreatedPatient(
                subject=patient.item_id,
                dose=str(patient.values.get("dose_level", "")),
                first_dose=date.fromisoformat(first),
                off_study=off,
                events=tuple(_to_event(item, row) for row, item in enumerate(items, start=1)),
            ),
            definition=definition,
            as_of=as_of,
        )
    except HepaticaError as refusal:
        return NotEvaluable(reason=f"{refusal.expected}; given {refusal.given}")


def _find_last_day(patient: Item, consents: Sequence[Item]) -> date | None:
    """Return the day on which observation ended, None while it goes on or where it is known in part only."""
    found = [str(patient.values[name]) for name in ("lost_date", "death_date") if patient.values.get(name)]
    found += [
        str(consent.values["withdrawn_date"])
        for consent in consents
        if consent.values.get("withdrawn_date") and consent.values.get("withdrawal_scope") != "treatment"
    ]
    days = [day for text in found if (day := PartialDate.from_text(text).day) is not None]
    return min(days, default=None)


def _to_event(item: Item, row: int) -> ToxicEvent:
    values = item.values
    grade = values.get("grade")
    return ToxicEvent(
        term=str(values.get("ctcae_term") or values["term"]).casefold(),
        grade=grade if isinstance(grade, int) else None,
        onset=PartialDate.from_text(str(values["start_date"])),
        end=PartialDate.from_text(str(values["end_date"])) if values.get("end_date") else UNDATED,
        attribution=Attribution(
            agent=read_relation(str(values.get("relation_to_agent", ""))),
            procedure=read_relation(str(values.get("relation_to_procedure", ""))),
        ),
        row=row,
    )


def _check(item: Item) -> tuple[Finding, ...] | NotEvaluable:
    grade = item.values.get("grade")
    if not isinstance(grade, int):
        return NotEvaluable(reason="no grade is given")
    return check_grade(str(item.values.get("ctcae_term") or item.values["term"]), grade)


def _measure(item: Item, now: datetime) -> ReportClock | NotEvaluable | None:
    return measure_clock(item, now=now) if item.values["serious"] else None


def _grade_test(code: str, items: list[Item], *, start: str) -> GradedTest:
    ordered = sorted(items, key=lambda item: (str(item.values["date"]), item.item_id))
    test = read_lab_tests().get(code)
    baseline = _find_baseline(ordered, start=start)
    return GradedTest(
        test_code=code,
        term=test.term if test else "",
        baseline=baseline,
        results=tuple(
            GradedResult(
                item=item,
                grade=_grade(item, baseline, ordered=ordered),
                is_baseline=isinstance(baseline, Item) and item.item_id == baseline.item_id,
            )
            for item in ordered
        ),
    )


def _find_baseline(ordered: list[Item], *, start: str) -> Item | NotEvaluable:
    flagged = [item for item in ordered if item.values.get("baseline") is True]
    if len(flagged) > 1:
        return NotEvaluable(reason="two results are flagged as baseline")
    if flagged:
        return flagged[0]
    if not start:
        return NotEvaluable(reason="none is flagged, and there was no injection yet")
    # A day known in part is the baseline only where all of it lies before the first injection.
    before = [item for item in ordered if _ends_by(str(item.values["date"]), start)]
    if not before:
        return NotEvaluable(reason="no result on or before the first injection")
    last = str(before[-1].values["date"])
    same = [item for item in before if item.values["date"] == last]
    if len({item.values["value"] for item in same}) > 1:
        return NotEvaluable(reason="two results of the baseline day differ, and none is flagged")
    return before[-1]


def _ends_by(text: str, start: str) -> bool:
    latest = PartialDate.from_text(text).latest
    return latest is not None and latest.isoformat() <= start


def _grade(item: Item, baseline: Item | NotEvaluable, *, ordered: list[Item]) -> Grade | NotEvaluable:
    test = read_lab_tests().get(str(item.values["test_code"]).upper())
    if test is None:
        return NO_TEST
    unit = str(item.values["unit"])
    if not test.units and len({other.values["unit"] for other in ordered}) > 1:
        return TWO_UNITS
    factor = test.units.get(unit) if test.units else 1.0
    if factor is None:
        return NO_UNIT
    base = baseline if isinstance(baseline, Item) else None
    base_factor = test.units.get(str(base.values["unit"]), factor) if base and test.units else 1.0
    try:
        return grade_laboratory(
            LabValue(
                test=test.name,
                value=_number(item, "value", factor) or 0.0,
                upper=_number(item, "upper_limit", factor),
                lower=_number(item, "lower_limit", factor),
                baseline=_number(base, "value", base_factor) if base else None,
                baseline_upper=_number(base, "upper_limit", base_factor) if base else None,
            )
        )
    except HepaticaError as refusal:
        return NotEvaluable(reason=f"cannot grade: {refusal.given}")


def _number(item: Item, field: str, factor: float) -> float | None:
    value = item.values.get(field)
    return float(value) * factor if isinstance(value, int | float) else None
