"""The simulated cohort: marked, whole, varied, the same each time, and an answer to the next dose."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import UTC, date, datetime

import pytest
from large_record import MemoryStore
from web_record import PASSWORD, PlainPasswords

from hepatica.bootstrap import make_record
from hepatica.core.errors import ConflictError, InputError
from hepatica.followup.safety.serious import measure_report_clock
from hepatica.followup.visits.schedule_file import read_schedule
from hepatica.record.people import Role
from hepatica.trials.dose_levels import DoseLevel, EscalationProtocol
from hepatica.trials.escalation import find_design
from hepatica.trials.outcomes import TrialData
from hepatica.workflows.cohort.course import simulate_patient
from hepatica.workflows.cohort.table import read_cohort_table
from hepatica.workflows.record_ports import ItemFilter
from hepatica.workflows.simulate_cohort import CohortOptions, simulate_cohort
from hepatica.workflows.verify_record import verify_record

pytestmark = pytest.mark.xdist_group("cohort")
NOW = datetime(2026, 11, 23, 15, 30, tzinfo=UTC)
RANDOM_TEXTS = {
    "read_id",
    "chosen_read_id",
    "adjudicates",
    "reader_id",
    "about_item_id",
    "entries",
    "item_id",
}


class StillClock:
    def now(self):
        return NOW


def list_all(record, kind, **where):
    with record.context.store.reading() as reader:
        after, found = "", []
        while True:
            page = reader.list_items(ItemFilter(kind=kind, where=where, after=after, limit=500))
            found += page.items
            after = page.next
            if not after:
                return found


@pytest.fixture(scope="module")
def record(tmp_path_factory):
    with make_record(tmp_path_factory.mktemp("cohort") / "home", mode="demo") as record:
        context = replace(record.context, store=MemoryStore(record.context.store), clock=StillClock())
        simulate_cohort(context, PlainPasswords(), password=PASSWORD)
        yield record


@pytest.mark.requirement("G-cohort")
def test_every_simulated_patient_says_so_and_the_trail_of_all_is_whole(record):
    patients = list_all(record, "patient")
    assert len(patients) == 24 and {patient.site_id for patient in patients} == {"north", "south"}
    assert all(patient.values["simulated"] is True for patient in patients)
    assert all(str(patient.values["subject_id"]).startswith("SIM-") for patient in patients)
    report = verify_record(record.context, record.sealed, key=record.read_checkpoint_key(None))
    assert report.findings == () and report.broken_signatures == ()
    assert report.signatures >= 5 and report.events > report.items > 2000


@pytest.mark.requirement("G-cohort")
def test_times_of_the_trail_never_run_backwards_nor_into_the_future(record):
    with record.context.store.reading() as reader:
        times = [event.time_utc for event in reader.read_events()]
    assert times == sorted(times) and times[-1] <= NOW
    assert (NOW - times[0]).days > 730


@pytest.mark.requirement("G-cohort")
def test_each_role_has_an_account_and_acts_only_within_its_rights(record):
    accounts = list_all(record, "account")
    assert {str(account.values["roles"][0]) for account in accounts} == {role.value for role in Role}
    names = {account.item_id: account.values["roles"][0] for account in accounts}
    with record.context.store.reading() as reader:
        entered = {
            (event.kind, names[event.actor_id]) for event in reader.read_events() if event.actor_id in names
        }
    by_kind = {}
    for kind, role in entered:
        by_kind.setdefault(kind, set()).add(role)
    assert by_kind["procedure"] == {"investigator"} and by_kind["verification"] == {"monitor"}
    assert by_kind["measurement"] == {"reader_1", "reader_2"}
    assert "adjudicator" in by_kind["read"] and by_kind["study"] == {"data_manager"}


@pytest.mark.requirement("G-cohort")
def test_there_is_something_of_everything_that_pages_show(record):
    assert set(Counter(v.values["status"] for v in list_all(record, "visit"))) == {
        "done",
        "missed",
        "planned",
    }
    assert {p.values["status"] for p in list_all(record, "patient")} >= {
        "screening", "on_treatment", "follow_up", "withdrawn", "completed",
    }  # fmt: skip
    reads = list_all(record, "read")
    assert {read.values["state"] for read in reads} == {"assigned", "started", "locked"}
    assert sum(read.values["role"] == "adjudicator" for read in reads) >= 5
    assert {query.values["state"] for query in list_all(record, "query")} == {"open", "answered", "closed"}
    assert {procedure.values["state"] for procedure in list_all(record, "procedure")} == {"closed"}
    labels = Counter(str(lesion.values["lesion_label"])[0] for lesion in list_all(record, "lesion"))
    assert labels["N"] >= 5 and labels["T"] > 50
    injected = [lesion for lesion in list_all(record, "lesion") if lesion.values.get("injected_dates")]
    assert 0.3 < len(injected) / sum(labels.values()) < 0.7
    assert any(str(p.values.get("death_date", "")) for p in list_all(record, "patient"))


@pytest.mark.requirement("G-cohort")
def test_one_serious_event_waits_with_its_clock_running_and_one_was_reported_late(record):
    clocks = []
    for event in list_all(record, "adverse_event", serious=True):
        aware = datetime.fromisoformat(str(event.values["became_aware_time"]))
        reported = event.values.get("reported_time")
        clocks.append(
            measure_report_clock(
                aware, now=NOW, reported=datetime.fromisoformat(reported) if reported else None
            )
        )
    assert [clock for clock in clocks if 0 < clock.left_h < 24]
    assert any(clock.left_h < 0 for clock in clocks), clocks


@pytest.mark.requirement("G-cohort")
def test_the_escalation_design_has_an_answer_for_the_next_dose(record):
    (study,) = list_all(record, "study")
    design = study.values["escalation_design"]
    protocol = EscalationProtocol(
        levels=tuple(DoseLevel(**level) for level in design["levels"]),
        window_days=study.values["dlt_window_days"],
        delay_days=design["delay_days"],
        replace_non_evaluable=True,
    )
    severe = {
        event.patient_id: date.fromisoformat(str(event.values["start_date"]))
        for event in list_all(record, "adverse_event")
        if event.values["grade"] >= 3
    }
    treated = [patient for patient in list_all(record, "patient") if patient.values.get("reference_date")]
    data = TrialData(
        patients=tuple(
            protocol.read_patient(
                dose=patient.values["dose_level"],
                first_dose_on=date.fromisoformat(str(patient.values["reference_date"])),
                today=NOW.date(),
                dlt_on=severe.get(patient.item_id),
            )
            for patient in treated
        )
    )
    assert [data.count(level) for level in (1, 2, 3, 4)] == [3, 3, 9, 7]
    assert sum(patient.dlt for patient in data.patients) == 3
    advice = find_design(design["design"], dose_count=4, target=design["target_fraction"]).next_dose(data)
    assert advice.continue_ and advice.recommended_dose in (3, 4) and advice.reason


@pytest.mark.requirement("G-cohort")
@pytest.mark.parametrize(
    ("course", "injected", "other"),
    [
        ("responder", (0.1, 0.5), (0.5, 0.9)),
        ("pseudo_progressor", (0.3, 0.7), (0.6, 0.95)),
        ("non_responder", (1.5, 4.0), (1.5, 4.0)),
        ("mixed", (0.3, 0.8), (1.3, 3.0)),
    ],
)
def test_lesions_follow_the_course_of_their_patient(course, injected, other):
    table = read_cohort_table()
    schedule = read_schedule("tvec-liver", supplied=table.study["schedule_numbers"])
    for row in table.patients:
        if row.course.name != course or not row.injections:
            continue
        from random import Random

        patient = simulate_patient(
            row, table=table, schedule=schedule, today=NOW.date(), rng=Random(row.days_ago)
        )
        for lesion in patient.lesions:
            if lesion.seen_from_week:
                continue
            low, high = injected if lesion.injected else other
            assert low < lesion.measure_mm(row.course, 100) / lesion.first_mm < high
            early = lesion.measure_mm(row.course, 6) / lesion.first_mm
            assert (
                not lesion.injected
                or (early > 1.1) == (course == "pseudo_progressor")
                or course == "non_responder"
            )


@pytest.mark.requirement("G-cohort")
def test_the_same_seed_gives_the_same_cohort_and_another_seed_another(tmp_path):
    found = []
    for number, seed in enumerate((5, 5, 6)):
        with make_record(tmp_path / str(number), mode="demo") as record:
            context = replace(record.context, store=MemoryStore(record.context.store), clock=StillClock())
            options = CohortOptions(patients=2, seed=seed)
            simulate_cohort(context, PlainPasswords(), password=PASSWORD, options=options)
            found.append(
                {
                    (kind, item.item_id): {k: v for k, v in item.values.items() if k not in RANDOM_TEXTS}
                    for kind in ("patient", "visit", "laboratory", "lesion", "adverse_event", "scan", "plan")
                    for item in list_all(record, kind)
                    if kind != "visit" or item.item_id.startswith("sim-")
                }
            )
    assert found[0] == found[1] != found[2]


@pytest.mark.requirement("G-cohort")
def test_a_cohort_through_the_database_itself_is_the_one_that_memory_gives(tmp_path):
    counts = []
    for number, wrap in enumerate((lambda store: store, MemoryStore)):
        with make_record(tmp_path / str(number), mode="demo") as record:
            context = replace(record.context, store=wrap(record.context.store), clock=StillClock())
            simulate_cohort(context, PlainPasswords(), password=PASSWORD, options=CohortOptions(patients=2))
            report = verify_record(record.context, record.sealed, key=record.read_checkpoint_key(None))
            assert report.findings == ()
            counts.append((report.events, report.items, report.signatures))
    assert counts[0] == counts[1]


@pytest.mark.requirement("G-cohort")
def test_no_cohort_is_put_among_real_patients_or_twice_into_a_record(record, tmp_path):
    with pytest.raises(InputError):
        simulate_cohort(
            record.context, PlainPasswords(), password=PASSWORD, options=CohortOptions(mode="clinical")
        )
    with pytest.raises(ConflictError):
        simulate_cohort(record.context, PlainPasswords(), password=PASSWORD)
