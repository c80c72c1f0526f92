"""What a simulated cohort is made of, read from its table."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

from hepatica.core.evidence import read_resource

TABLES: Final = "hepatica.workflows.cohort.tables"


@dataclass(frozen=True, slots=True, kw_only=True)
class Course:
    """How lesions of a patient change.

    Parameters
    ----------
    name
        Word of the course.
    weeks
        Weeks since the first injection, rising.
    injected, other
        Size as a fraction of the first one at those weeks.
    new_lesion_week, new_lesion_mm
        When a new lesion shows and how large it is then; 0 for none.
    """

    name: str
    weeks: tuple[float, ...]
    injected: tuple[float, ...]
    other: tuple[float, ...]
    new_lesion_week: int = 0
    new_lesion_mm: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class PatientRow:
    """One simulated patient as the table tells him.

    Parameters
    ----------
    subject_id, site_id
        Who and where.
    level
        Dose level, from 1.
    course
        How his lesions change.
    days_ago
        Days from the first injection (in screening: from the consent) to today.
    injections
        How many were meant; 0 for one in screening.
    injected_mm, other_mm
        First diameters of lesions.
    read
        ``adjudicated``, ``locked``, ``started``, ``assigned`` or ``none``.
    end_word, end_week
        What ended the follow-up, and when; empty and 0 for nothing.
    event
        The adverse event of note; empty for none.
    is_overdue
        Whether the last visit that was due was left open.
    """

    subject_id: str
    site_id: str
    level: int
    course: Course
    days_ago: int
    injections: int
    injected_mm: tuple[float, ...]
    other_mm: tuple[float, ...]
    read: str
    end_word: str
    end_week: int
    event: Mapping[str, Any]
    is_overdue: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class CohortTable:
    """The whole table.

    Parameters
    ----------
    notice
        What is said of everything made from it.
    seed
        Of the random source.
    study
        Fields of the protocol version.
    sites, accounts
        Where, and who.
    scatter
        How patients, readers and calendars scatter.
    laboratory, events
        Tests, and what happens after injections.
    patients
        In the order of enrolment.
    """

    notice: str
    seed: int
    study: Mapping[str, Any]
    sites: tuple[Mapping[str, Any], ...]
    accounts: Mapping[str, Mapping[str, Any]]
    scatter: Mapping[str, Any]
    laboratory: tuple[Mapping[str, Any], ...]
    events: tuple[Mapping[str, Any], ...]
    patients: tuple[PatientRow, ...]

    def find_level(self, level: int) -> Mapping[str, float]:
        """Return strength and ceiling of a dose level."""
        levels: list[Mapping[str, float]] = self.study["escalation_design"]["levels"]
        return levels[level - 1]


@cache
def read_cohort_table() -> CohortTable:
    """Return the packaged table.

    Examples
    --------
    >>> table = read_cohort_table()
    >>> len(table.patients), table.patients[0].course.name
    (24, 'responder')
    """
    document = tomllib.loads(read_resource(TABLES, "cohort.toml").decode())
    courses = {name: _to_course(name, entry) for name, entry in document["courses"].items()}
    return CohortTable(
        notice=document["notice"],
        seed=document["seed"],
        study=document["study"],
        sites=tuple(document["sites"]),
        accounts=document["accounts"],
        scatter=document["scatter"],
        laboratory=tuple(document["laboratory"]),
        events=tuple(document["events"]),
        patients=tuple(
            _to_row(entry, number=number, courses=courses)
            for number, entry in enumerate(document["patients"], start=1)
        ),
    )


def _to_course(name: str, entry: Mapping[str, Any]) -> Course:
    return Course(
        name=name,
        weeks=tuple(entry["weeks"]),
        injected=tuple(entry["injected"]),
        other=tuple(entry["other"]),
        new_lesion_week=entry.get("new_lesion_week", 0),
        new_lesion_mm=entry.get("new_lesion_mm", 0.0),
    )


def _to_row(entry: Mapping[str, Any], *, number: int, courses: Mapping[str, Course]) -> PatientRow:
    end = entry.get("end", {})
    return PatientRow(
        subject_id=to_subject_id(number),
        site_id=entry["site"],
        level=entry["level"],
        course=courses[entry["course"]],
        days_ago=entry["days_ago"],
        injections=entry["injections"],
        injected_mm=tuple(float(size) for size in entry["injected_mm"]),
        other_mm=tuple(float(size) for size in entry["other_mm"]),
        read=entry["read"],
        end_word=end.get("word", ""),
        end_week=end.get("week", 0),
        event=entry.get("event", {}),
        is_overdue=entry.get("overdue", False),
    )


def to_subject_id(number: int) -> str:
    """Return the subject number of the n-th simulated patient.

    Examples
    --------
    >>> to_subject_id(7)
    'SIM-007'
    """
    return f"SIM-{number:03d}"
