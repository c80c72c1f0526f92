"""What readers, monitors and data managers do with one simulated patient."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from functools import partial
from random import Random
from typing import Any, Final

from hepatica.record.item import Item
from hepatica.workflows.cohort.care import PatientCare
from hepatica.workflows.cohort.course import measure_volume_ml
from hepatica.workflows.cohort.stage import Act, Stage
from hepatica.workflows.cohort.table import CohortTable
from hepatica.workflows.queries import answer_query, close_query, open_query
from hepatica.workflows.reads import assign_read, choose_read, lock_read, record_measurement
from hepatica.workflows.record_ports import ItemFilter
from hepatica.workflows.sign_item import Proof, lock_item, sign_item
from hepatica.workflows.verify_item import verify_item

CRITERION: Final = "recist-1.1"
READERS: Final = ("reader1", "reader2")
READ_DAYS: Final = 6
"""From the last scan to its reading."""
BIAS_FRACTION: Final = 0.06
"""How much larger the second reader sees lesions of patients over whom the two differ."""
SHORT_AXIS_FRACTION: Final = 0.8
TARGET_LEAST_MM: Final = 10.0
"""RECIST 1.1: a target is at least this long at baseline."""


class PatientReview:
    """One simulated patient under the eyes of readers and monitors.

    Parameters
    ----------
    care
        What the treating team enters.
    table
        What the cohort is made of.
    rng
        Random source of the readers.
    now
        The moment at which the record is made.
    """

    def __init__(self, care: PatientCare, *, table: CohortTable, rng: Random, now: datetime) -> None:
        self._care, self._patient = care, care.patient
        self._table, self._rng, self._now = table, rng, now
        self._reads: dict[str, str] = {}

    def list_acts(self) -> Iterator[Act]:
        """Return everything that is entered, in no order."""
        wanted = self._patient.row.read
        if wanted != "none" and len(self._patient.scans) > 1:
            yield from self._list_read_acts(wanted)
        yield from self._list_check_acts()

    def _after(self, days: int, hours: int = 10) -> datetime:
        last = datetime.combine(self._patient.scans[-1], datetime.min.time(), self._now.tzinfo)
        return min(last + timedelta(days=days, hours=hours, seconds=self._care.number % 3000), self._now)

    def _list_read_acts(self, wanted: str) -> Iterator[Act]:
        yield Act(at=self._after(READ_DAYS - 2), do=self._assign)
        if wanted == "assigned":
            return
        for number, reader in enumerate(READERS):
            if wanted == "started" and number:
                continue
            bias = BIAS_FRACTION if wanted == "adjudicated" and number else 0.0
            yield Act(at=self._after(READ_DAYS + number), do=partial(self._measure, reader=reader, bias=bias))
            if wanted != "started":
                yield Act(at=self._after(READ_DAYS + number, 11), do=partial(self._lock, reader=reader))
        if wanted == "adjudicated":
            yield Act(at=self._after(READ_DAYS + 4), do=self._adjudicate)

    def _assign(self, stage: Stage) -> None:
        scans = [self._care.find_scan_id(place) for place in range(1, len(self._patient.scans) + 1)]
        for reader in READERS:
            read = assign_read(
                stage.act_as("coordinator"), patient_id=self._care.patient_id,
                reader_id=stage.people[reader].account_id, criterion=CRITERION, scan_ids=scans,
            )  # fmt: skip
            self._reads[reader] = read.item_id

    def _measure(self, stage: Stage, *, reader: str, bias: float) -> None:
        context = stage.act_as(reader)
        roles: dict[str, str] = {}
        for place, day in enumerate(self._patient.scans, start=1):
            for lesion in self._patient.list_seen(day):
                true_mm = lesion.measure_mm(self._patient.row.course, self._patient.to_week(day))
                values = {"scan_id": self._care.find_scan_id(place), **self._to_values(true_mm, bias=bias)}
                if place == 1 or lesion.seen_from_week:
                    roles.setdefault(lesion.name, _find_role(values, is_new=bool(lesion.seen_from_week)))
                values["lesion_role"] = roles[lesion.name]
                record_measurement(
                    context, read_id=self._reads[reader], lesion_id=self._care.find_lesion_id(lesion.name),
                    values=values,
                )  # fmt: skip

    def _to_values(self, true_mm: float, *, bias: float) -> dict[str, Any]:
        if true_mm < self._table.scatter["absent_below_mm"]:
            return {"longest_diameter_mm": 0.0, "state": "ABSENT"}
        seen = max(
            self._table.scatter["absent_below_mm"],
            true_mm * (1.0 + bias) + self._rng.gauss(0.0, self._table.scatter["reader_mm"]),
        )
        return {
            "longest_diameter_mm": round(seen, 1),
            "short_axis_mm": round(seen * SHORT_AXIS_FRACTION, 1),
            "volume_ml": round(measure_volume_ml(seen) * SHORT_AXIS_FRACTION, 2),
            "state": "PRESENT",
        }

    def _lock(self, stage: Stage, *, reader: str) -> None:
        read = stage.find("read", self._reads[reader])
        locked = lock_read(stage.act_as(reader), read_id=read.item_id, expected_version=read.version)
        if reader == READERS[0] and self._care.number % 4 == 1:
            self._sign(stage, reader, locked, meaning="read and found correct")

    def _adjudicate(self, stage: Stage) -> None:
        reads = [self._reads[reader] for reader in READERS]
        scan_ids: Any = stage.find("read", reads[0]).values["scan_ids"]
        given = assign_read(
            stage.act_as("datamanager"), patient_id=self._care.patient_id,
            reader_id=stage.people["adjudicator"].account_id, criterion=CRITERION,
            scan_ids=scan_ids, adjudicates=reads,
        )  # fmt: skip
        context = stage.act_as("adjudicator")
        chosen = choose_read(
            context, read_id=given.item_id, expected_version=given.version,
            chosen_read_id=reads[self._care.number % 2],
            reason="simulated: its margins agree better with the venous phase",
        )  # fmt: skip
        lock_read(context, read_id=given.item_id, expected_version=chosen.version)

    def _sign(self, stage: Stage, login: str, item: Item, *, meaning: str) -> None:
        sign_item(
            stage.act_as(login), stage.passwords, kind=item.kind, item_id=item.item_id,
            expected_version=item.version, meaning=meaning, proof=Proof(password=stage.password),
        )  # fmt: skip

    def _list_check_acts(self) -> Iterator[Act]:
        if self._patient.injections:
            first = datetime.combine(self._patient.injections[0], datetime.min.time(), self._now.tzinfo)
            at = min(first + timedelta(days=30, hours=9, seconds=self._care.number % 3000), self._now)
            yield Act(at=at, do=self._verify)
            yield Act(at=at + timedelta(minutes=1) if at < self._now else at, do=self._ask)
            if self._care.number % 3:
                yield Act(at=min(at + timedelta(days=5), self._now), do=self._answer)
        if self._patient.end is not None and self._patient.row.end_word == "death":
            at = datetime.combine(self._patient.end, datetime.min.time(), self._now.tzinfo)
            yield Act(at=min(at + timedelta(days=30, hours=9), self._now), do=self._sign_off)

    def _verify(self, stage: Stage) -> None:
        for kind, fields in CHECKED.items():
            for item in self._list(stage, kind)[:4]:
                verify_item(
                    stage.act_as("monitor"), stage.writer, kind=kind, item_id=item.item_id,
                    expected_version=item.version, fields=[name for name in fields if name in item.values],
                )  # fmt: skip

    def _ask(self, stage: Stage) -> None:
        kind, field, question = QUESTIONS[self._care.number % len(QUESTIONS)]
        found = self._list(stage, kind)
        if found:
            query = open_query(
                stage.act_as("monitor"), stage.writer, about_kind=kind, about_item_id=found[-1].item_id,
                about_field=field, question=question,
            )  # fmt: skip
            self._reads["query"] = query.item_id

    def _answer(self, stage: Stage) -> None:
        if "query" not in self._reads:
            return
        query = stage.find("query", self._reads["query"])
        answered = answer_query(
            stage.act_as("coordinator"), stage.writer, query_id=query.item_id, expected_version=query.version,
            answer="Checked against the chart: correct as entered.",
        )  # fmt: skip
        if self._care.number % 2:
            close_query(
                stage.act_as("monitor"),
                stage.writer,
                query_id=query.item_id,
                expected_version=answered.version,
            )

    def _sign_off(self, stage: Stage) -> None:
        patient = stage.find("patient", self._care.patient_id)
        locked = lock_item(
            stage.act_as("datamanager"), kind="patient", item_id=patient.item_id,
            expected_version=patient.version, locked=True, reason="data complete",
        )  # fmt: skip
        self._sign(stage, "investigator", locked, meaning="entries complete and correct")

    def _list(self, stage: Stage, kind: str) -> tuple[Item, ...]:
        return stage.writer.list_items(ItemFilter(kind=kind, patient_id=self._care.patient_id)).items


def _find_role(values: Mapping[str, Any], *, is_new: bool) -> str:
    if is_new:
        return "NEW"
    return "TARGET" if values["longest_diameter_mm"] >= TARGET_LEAST_MM else "NON-TARGET"


CHECKED: Final[Mapping[str, tuple[str, ...]]] = {
    "consent": ("signed_date", "form_version"),
    "adverse_event": ("grade", "start_date", "relation_to_agent"),
    "visit": ("date", "status"),
}
QUESTIONS: Final = (
    ("laboratory", "value", "The value differs from the laboratory's report: please check."),
    (
        "adverse_event",
        "grade",
        "Please confirm the grade: the note of the ward speaks of tablets at home only.",
    ),
    ("visit", "date", "The diary gives another day."),
    ("lesion", "segment", "The report names another segment."),
)
