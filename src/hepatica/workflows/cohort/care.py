"""What the treating team enters of one simulated patient, act by act."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from functools import partial
from random import Random
from typing import Any, Final

from hepatica.record.item import Item
from hepatica.workflows.change_item import create_item
from hepatica.workflows.cohort.course import SimulatedEvent, SimulatedPatient, SimulatedVisit
from hepatica.workflows.cohort.day import DayScript, SimulatedPlan, plan_visit
from hepatica.workflows.cohort.stage import Act, Stage
from hepatica.workflows.cohort.table import CohortTable
from hepatica.workflows.consents import sign_consent, withdraw_consent
from hepatica.workflows.record_ports import ItemFilter
from hepatica.workflows.record_procedure import close_procedure, record_entries, start_procedure
from hepatica.workflows.serious_events import report_event

STUDY: Final = "sim-study"
COORDINATOR: Final = "coordinator"
INVESTIGATOR: Final = "investigator"
SCAN_BYTES: Final = b"SIMULATED scan: there are no images.\n"
UID_ROOT: Final = "2.25.20151"


class PatientCare:
    """One simulated patient in the hands of the treating team.

    Parameters
    ----------
    number
        Of the patient in the cohort, from 1.
    patient
        What happens to him.
    table
        What the cohort is made of.
    rng
        Random source of his procedures.
    now
        The moment at which the record is made.
    with_days
        Whether each day of an injection has a plan and its entries; otherwise only what follows from it.
    """

    def __init__(
        self,
        number: int,
        patient: SimulatedPatient,
        *,
        table: CohortTable,
        rng: Random,
        now: datetime,
        with_days: bool = True,
    ) -> None:
        self.patient, self._table, self._rng, self._now = patient, table, rng, now
        self._with_days = with_days
        self.number = number
        self.patient_id = f"sim-{number:03d}"

    def list_acts(self) -> Iterator[Act]:
        """Return everything that is entered, in no order."""
        patient = self.patient
        yield self._at(patient.consent, 9, self._enrol)
        if patient.baseline is not None:
            yield self._at(patient.baseline, 11, self._describe_lesions)
        for place, day in enumerate(patient.scans, start=1):
            yield self._at(day, 10, partial(self._keep_scan, place=place, day=day))
        for visit, day in enumerate(patient.injections, start=1):
            if self._with_days:
                yield from self._list_injection_acts(visit, day)
            else:
                yield self._at(day, 15, partial(self._enter_injection, visit=visit, day=day))
            if visit == 1:
                yield self._at(
                    day, 16, partial(self._set_status, status="on_treatment", reason="first injection")
                )
        for visited in patient.visits:
            yield self._at(min(visited.on, patient.today), 14, partial(self._enter_visit, visit=visited))
        for day in patient.laboratory:
            yield self._at(day, 12, partial(self._enter_laboratory, day=day))
        for place, event in enumerate(patient.events, start=1):
            yield from self._list_event_acts(f"{self.patient_id}-ae{place}", event)
        yield from self._list_end_acts()

    def find_scan_id(self, place: int) -> str:
        """Return the identifier of a scan, from 1."""
        return f"{self.patient_id}-ct{place}"

    def find_lesion_id(self, name: str) -> str:
        """Return the identifier of a lesion."""
        return f"{self.patient_id}-{name.lower()}"

    def _at(self, day: date, hour: int, do: Any, *, minute: int = 0) -> Act:
        # Patients take turns within the hour, so that no two acts of a day fall on one moment.
        moment = datetime.combine(day, time(hour, minute), UTC) + timedelta(seconds=self.number % 3000)
        return Act(at=min(moment, self._now), do=do)

    def _enrol(self, stage: Stage) -> None:
        row = self.patient.row
        item = Item(
            kind="patient", item_id=self.patient_id, site_id=row.site_id, patient_id=self.patient_id, version=1,
            values={
                "subject_id": row.subject_id, "status": "screening", "cohort": f"Level {row.level}",
                "tumour_type": "hcc" if self.number % 3 else "metastasis", "dose_level": row.level, "simulated": True,
            },
        )  # fmt: skip
        context = stage.act_as(COORDINATOR)
        create_item(context, stage.writer, item=item, reason=stage.notice)
        sign_consent(
            context,
            stage.writer,
            patient_id=self.patient_id,
            study_id=STUDY,
            form_version=str(self._table.study["form_version"]),
            signed_date=self.patient.consent.isoformat(),
        )

    def _describe_lesions(self, stage: Stage) -> None:
        for lesion in self.patient.lesions:
            if not lesion.seen_from_week:
                self._describe_lesion(stage, name=lesion.name, segment=lesion.segment)

    def _describe_lesion(self, stage: Stage, *, name: str, segment: str) -> None:
        stage.create(
            INVESTIGATOR, "lesion", self.find_lesion_id(name), patient=stage.find("patient", self.patient_id),
            lesion_label=name, tracking_uid=self._to_uid(name), location="LIVER", segment=segment,
        )  # fmt: skip

    def _to_uid(self, name: str) -> str:
        return f"{UID_ROOT}.{self.number}.{1 if name.startswith('T') else 2}{name[1:]}"

    def _keep_scan(self, stage: Stage, *, place: int, day: date) -> None:
        stage.create(
            COORDINATOR, "scan", self.find_scan_id(place), patient=stage.find("patient", self.patient_id),
            series_uid=f"{UID_ROOT}.{self.number}.9{place}", modality="CT", acquired_date=day.isoformat(),
            visit_number=place, phase_hint="simulated, no images", state="accepted",
            content_digest=stage.keep_bytes(SCAN_BYTES),
        )  # fmt: skip
        for lesion in self.patient.list_seen(day):
            known = stage.writer.find_item("lesion", self.find_lesion_id(lesion.name))
            if lesion.seen_from_week and known is None:
                self._describe_lesion(stage, name=lesion.name, segment=lesion.segment)

    def _list_injection_acts(self, visit: int, day: date) -> Iterator[Act]:
        row, level = self.patient.row, self._table.find_level(self.patient.row.level)
        seen = self.patient.list_seen(day)
        plan = plan_visit(
            [
                (lesion, self._to_uid(lesion.name), lesion.measure_mm(row.course, self.patient.to_week(day)))
                for lesion in seen
            ],
            plan_id=f"{self.patient_id}-plan{visit}",
            visit=visit,
            level=level,
            notice=self._table.notice,
        )
        script = DayScript(
            plan,
            on=day,
            protocol_version=str(self._table.study["protocol_version"]),
            deviation_fraction=self._table.scatter["deviation_fraction"],
            rng=self._rng,
        )
        held: dict[str, str] = {}
        yield self._at(day, 7, partial(self._keep_plan, plan=plan, visit=visit, day=day))
        yield self._at(day, 8, partial(self._prepare_day, visit=visit, script=script, held=held), minute=40)
        yield self._at(day, 9, partial(self._enter_entries, script=script, held=held), minute=30)
        yield self._at(day, 15, partial(self._close_day, script=script, held=held))

    def _enter_injection(self, stage: Stage, *, visit: int, day: date) -> None:
        """Enter what follows from a day: the visit, the dates of lesions, day 1 of the patient."""
        done = SimulatedVisit(name="injection", number=visit, on=day, status="done")
        self._enter_visit(stage, visit=done)
        for lesion in self.patient.lesions:
            if lesion.injected:
                lesion_id = self.find_lesion_id(lesion.name)
                held = stage.find("lesion", lesion_id).values.get("injected_dates")
                dates = [*(held if isinstance(held, list) else ()), day.isoformat()]
                stage.change(INVESTIGATOR, "lesion", lesion_id, reason="injected", injected_dates=dates)
        if visit == 1:
            stage.change(
                INVESTIGATOR,
                "patient",
                self.patient_id,
                reason="first injection",
                reference_date=day.isoformat(),
            )

    def _keep_plan(self, stage: Stage, *, plan: SimulatedPlan, visit: int, day: date) -> None:
        place = max(number for number, on in enumerate(self.patient.scans, start=1) if on <= day)
        stage.create(
            INVESTIGATOR, "plan", str(plan.document["plan_id"]), patient=stage.find("patient", self.patient_id),
            scan_id=self.find_scan_id(place), visit_number=visit, status="cleared",
            files={"plan.json": stage.keep_bytes(json.dumps(plan.document, sort_keys=True).encode())},
        )  # fmt: skip

    def _prepare_day(self, stage: Stage, *, visit: int, script: DayScript, held: dict[str, str]) -> None:
        context = stage.act_as(INVESTIGATOR)
        item = start_procedure(context, stage.writer, plan_id=f"{self.patient_id}-plan{visit}")
        held["procedure_id"] = item.item_id
        record_entries(context, stage.writer, procedure_id=item.item_id, entries=script.prepare())

    def _enter_entries(self, stage: Stage, *, script: DayScript, held: dict[str, str]) -> None:
        context = stage.act_as(INVESTIGATOR)
        record_entries(context, stage.writer, procedure_id=held["procedure_id"], entries=script.inject())

    def _close_day(self, stage: Stage, *, script: DayScript, held: dict[str, str]) -> None:
        context, name = stage.act_as(INVESTIGATOR), held["procedure_id"]
        done = record_entries(context, stage.writer, procedure_id=name, entries=script.observe())
        open_keys = [deviation.key for deviation in done.report.day.comparison.unexplained]
        if open_keys:
            done = record_entries(context, stage.writer, procedure_id=name, entries=script.explain(open_keys))
        close_procedure(
            context, stage.writer, procedure_id=name, expected_version=done.report.item.version, entry=script.close(),
        )  # fmt: skip

    def _enter_visit(self, stage: Stage, *, visit: SimulatedVisit) -> None:
        stage.create(
            COORDINATOR, "visit", f"{self.patient_id}-{visit.name}{visit.number}",
            patient=stage.find("patient", self.patient_id), name=visit.name, visit_number=visit.number,
            date=visit.on.isoformat(), status=visit.status,
        )  # fmt: skip

    def _enter_laboratory(self, stage: Stage, *, day: date) -> None:
        patient = stage.find("patient", self.patient_id)
        for values in self.patient.laboratory[day]:
            item_id = f"{self.patient_id}-{str(values['test_code']).lower()}-{day.isoformat()}"
            stage.create(COORDINATOR, "laboratory", item_id, patient=patient, **values)

    def _list_event_acts(self, event_id: str, event: SimulatedEvent) -> Iterator[Act]:
        noticed = min(event.start + timedelta(days=1), self.patient.today)
        yield self._at(noticed, 13, partial(self._enter_event, event_id=event_id, event=event))
        if event.hours_to_report is not None:
            aware = datetime.combine(noticed, time(13), UTC)
            reported = aware + timedelta(hours=event.hours_to_report)
            yield Act(
                at=min(reported + timedelta(minutes=5), self._now),
                do=partial(self._report_event, event_id=event_id, at=reported),
            )
        if event.end + timedelta(days=2) <= self.patient.today:
            yield self._at(
                event.end + timedelta(days=2), 13, partial(self._end_event, event_id=event_id, event=event)
            )

    def _enter_event(self, stage: Stage, *, event_id: str, event: SimulatedEvent) -> None:
        aware: dict[str, Any] = {}
        if event.values["serious"]:
            moment = stage.clock.now()
            if event.hours_to_report is not None:
                moment = datetime.combine(moment.date(), time(13), UTC)
            elif moment == self._now:
                moment -= timedelta(hours=9)
            aware = {"became_aware_time": moment.isoformat()}
        stage.create(
            COORDINATOR, "adverse_event", event_id, patient=stage.find("patient", self.patient_id),
            **event.values, **aware, outcome="NOT RECOVERED/NOT RESOLVED",
        )  # fmt: skip

    def _report_event(self, stage: Stage, *, event_id: str, at: datetime) -> None:
        report_event(
            stage.act_as(COORDINATOR), stage.writer, event_id=event_id,
            expected_version=stage.find("adverse_event", event_id).version, reported_time=at.isoformat(),
        )  # fmt: skip

    def _end_event(self, stage: Stage, *, event_id: str, event: SimulatedEvent) -> None:
        stage.change(
            COORDINATOR, "adverse_event", event_id, reason="resolved", end_date=event.end.isoformat(),
            outcome="RECOVERED/RESOLVED",
        )  # fmt: skip

    def _set_status(self, stage: Stage, *, status: str, reason: str, **values: Any) -> None:
        stage.change(INVESTIGATOR, "patient", self.patient_id, reason=reason, status=status, **values)

    def _list_end_acts(self) -> Iterator[Act]:
        patient = self.patient
        if not patient.injections:
            return
        last = max(patient.injections)
        if patient.end is None or patient.row.end_word != "death":
            seen = max((visit.on for visit in patient.visits if visit.status == "done"), default=last)
            yield self._at(
                min(seen + timedelta(days=1), patient.today), 17, partial(self._note_alive, day=seen)
            )
        if len(patient.injections) == patient.row.injections:
            treated = partial(
                self._set_status, status="follow_up", reason="last injection given",
                treatment_end_date=last.isoformat(),
            )  # fmt: skip
            yield self._at(min(last + timedelta(days=1), patient.today), 8, treated)
        if patient.end is not None:
            yield self._at(min(patient.end + timedelta(days=2), patient.today), 18, self._end_follow_up)
        elif (patient.today - patient.injections[0]).days > 735:
            done = partial(self._set_status, status="completed", reason="two years of follow-up")
            yield self._at(patient.today, 6, done)

    def _note_alive(self, stage: Stage, *, day: date) -> None:
        stage.change(
            COORDINATOR, "patient", self.patient_id, reason="seen", last_known_alive_date=day.isoformat()
        )

    def _end_follow_up(self, stage: Stage) -> None:
        day, word = str(self.patient.end), self.patient.row.end_word
        if word == "death":
            self._set_status(
                stage, status="completed", reason="died", death_date=day, last_known_alive_date=day
            )
        elif word == "withdrawal":
            consent = next(
                item
                for item in _list_consents(stage, self.patient_id)
                if not item.values.get("withdrawn_date")
            )
            withdraw_consent(
                stage.act_as(COORDINATOR), stage.writer, consent_id=consent.item_id, expected_version=consent.version,
                withdrawn_date=day, scope="treatment_and_follow_up", reason="simulated: the patient's wish",
            )  # fmt: skip
        else:
            self._set_status(stage, status="completed", reason="not to be reached", lost_date=day)


def _list_consents(stage: Stage, patient_id: str) -> tuple[Item, ...]:
    return stage.writer.list_items(ItemFilter(kind="consent", patient_id=patient_id)).items
