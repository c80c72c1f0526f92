"""Fill a demonstration record with simulated patients, through the same use cases as real ones."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from random import Random
from typing import Final

from hepatica.core.errors import ConflictError, InputError
from hepatica.core.progress import SILENT, Progress
from hepatica.followup.visits.schedule import Schedule
from hepatica.followup.visits.schedule_file import read_schedule
from hepatica.record.people import Actor, Role, make_system_actor
from hepatica.workflows.account_entry import to_actor
from hepatica.workflows.accounts import accept_link, invite_account
from hepatica.workflows.cohort.care import STUDY, PatientCare
from hepatica.workflows.cohort.course import simulate_patient
from hepatica.workflows.cohort.review import PatientReview
from hepatica.workflows.cohort.stage import Act, OneChange, Stage, ToldClock
from hepatica.workflows.cohort.table import CohortTable, PatientRow, read_cohort_table, to_subject_id
from hepatica.workflows.record_ports import (
    FileStore,
    ItemFilter,
    Passwords,
    RecordContext,
    RecordWriter,
)

BEFORE_DAYS: Final = 30
"""From the making of sites and accounts to the first consent."""
ACTS_AT_ONCE: Final = 200
"""Acts between two reports of progress."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CohortOptions:
    """How large a cohort, and as of when.

    Parameters
    ----------
    patients
        How many; more than the table has are drawn from it again, at other days.
    seed
        Of the random source; None for the table's.
    mode
        Of the record; a cohort is made in ``demo`` only.
    with_days
        How many of them have each day of an injection entry by entry; of the others only what follows from it.
    """

    patients: int = 24
    seed: int | None = None
    mode: str = "demo"
    with_days: int = 24


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulatedCohort:
    """What was made.

    Parameters
    ----------
    patients
        How many.
    logins
        Role by login.
    """

    patients: int
    logins: Mapping[str, str]


def simulate_cohort(
    context: RecordContext,
    passwords: Passwords,
    *,
    password: str,
    options: CohortOptions | None = None,
    progress: Progress = SILENT,
) -> SimulatedCohort:
    """Make sites, a protocol version, an account for each role and a cohort, in one change of the record.

    Every entry is made by a use case in the hands of the account whose role permits it; its time in the trail is
    the simulated one, up to now.

    Parameters
    ----------
    context
        The program itself, on a record in which there is no account yet.
    passwords, password
        Hashes; and the password of every account, for a demonstration only.
    options
        How many, and from which seed.
    progress
        Told how far it is; may cancel, and then nothing was made.

    Raises
    ------
    InputError
        If the record is no demonstration.
    ConflictError
        If it holds accounts already.
    """
    options = options or CohortOptions()
    table = read_cohort_table()
    if options.mode != "demo":
        raise InputError(expected="a record of mode demo", given=options.mode, where="simulated cohort")
    now = context.now_utc()
    rng = Random(table.seed if options.seed is None else options.seed)
    rows = list_rows(table, count=options.patients, rng=rng)
    schedule = read_schedule(table.study["schedule"], supplied=table.study["schedule_numbers"])
    progress.stage("Simulating a cohort")
    acts = _list_acts(rows, options, table=table, schedule=schedule, now=now, rng=rng)
    with context.store.writing() as writer:
        if writer.count_items(ItemFilter(kind="account")):
            raise ConflictError(expected="a record without accounts", given="one with some", where="record")
        clock = ToldClock(min(act.at for act in acts) - timedelta(days=BEFORE_DAYS))
        people = _make_people(writer, context.files, passwords, clock, table=table, password=password)
        stage = Stage(
            writer=writer,
            files=context.files,
            clock=clock,
            passwords=passwords,
            password=password,
            people=people,
            notice=table.notice,
        )
        _make_study(stage, table)
        for number, act in enumerate(acts):
            clock.time = act.at
            act.do(stage)
            if number % ACTS_AT_ONCE == 0:
                progress.advance(number / len(acts))
                progress.check_cancelled()
    return SimulatedCohort(
        patients=len(rows), logins={login: entry["role"] for login, entry in table.accounts.items()}
    )


def list_rows(table: CohortTable, *, count: int, rng: Random) -> tuple[PatientRow, ...]:
    """Return the first patients of the table; beyond it, the same again at other days.

    Parameters
    ----------
    table
        The table.
    count
        How many.
    rng
        Random source.
    """
    rows = list(table.patients[:count])
    while len(rows) < count:
        row = table.patients[len(rows) % len(table.patients)]
        shift = rng.randint(-40, 40)
        rows.append(
            dataclasses.replace(
                row,
                subject_id=to_subject_id(len(rows) + 1),
                days_ago=min(755, max(4, row.days_ago + shift)) if row.injections else row.days_ago,
            )
        )
    return tuple(rows)


def _list_acts(
    rows: Sequence[PatientRow],
    options: CohortOptions,
    *,
    table: CohortTable,
    schedule: Schedule,
    now: datetime,
    rng: Random,
) -> list[Act]:
    acts: list[Act] = []
    for number, row in enumerate(rows, start=1):
        own = Random(rng.getrandbits(64))
        patient = simulate_patient(row, table=table, schedule=schedule, today=now.date(), rng=own)
        with_days = number <= options.with_days
        care = PatientCare(number, patient, table=table, rng=own, now=now, with_days=with_days)
        acts += care.list_acts()
        acts += PatientReview(care, table=table, rng=own, now=now).list_acts()
    return sorted(acts, key=lambda act: act.at)


def _make_people(
    writer: RecordWriter,
    files: FileStore,
    passwords: Passwords,
    clock: ToldClock,
    *,
    table: CohortTable,
    password: str,
) -> dict[str, Actor]:
    """Invite everybody and have each accept."""
    system = RecordContext(store=OneChange(writer), files=files, clock=clock, actor=make_system_actor())
    people = {}
    for login, entry in table.accounts.items():
        role = Role(entry["role"])
        _, secret = invite_account(
            system,
            login=login,
            display_name=f"{login} (simulated)",
            roles=[role],
            site_ids=entry["sites"],
        )
        people[login] = to_actor(accept_link(system, passwords, secret=secret, password=password))
    return people


def _make_study(stage: Stage, table: CohortTable) -> None:
    for site in table.sites:
        stage.create(
            "administrator", "site", site["site_id"], name=site["name"], country_code=site["country_code"]
        )
    values = {name: value for name, value in table.study.items() if name != "form_version"}
    stage.create(
        "datamanager", "study", STUDY, **values, valid_from_date=stage.clock.now().date().isoformat()
    )
