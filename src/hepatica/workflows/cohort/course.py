"""One simulated patient: days of visits, sizes of lesions, laboratory values, adverse events."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from math import pi
from random import Random
from typing import Any, Final

from hepatica.followup.visits.schedule import Schedule, VisitRule
from hepatica.followup.visits.spans import Step
from hepatica.workflows.cohort.table import CohortTable, Course, PatientRow

DAYS_PER_WEEK: Final = 7.0
BASELINE_DAYS: Final = 9
"""From the baseline scan to the first injection."""
CONSENT_DAYS: Final = 5
"""From the consent to the baseline scan."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulatedLesion:
    """A lesion and how it changes.

    Parameters
    ----------
    name, segment
        ``T1`` for a target, ``N1`` for a new one; segment of the liver.
    first_mm
        Diameter when it shows first.
    injected
        Whether it is among those that are injected.
    seen_from_week
        Week since the first injection; 0 for those of the baseline.
    exponent
        How strongly it follows the course.
    """

    name: str
    segment: str
    first_mm: float
    injected: bool
    seen_from_week: int
    exponent: float

    def measure_mm(self, course: Course, week: float) -> float:
        """Return the true longest diameter at a week."""
        path = course.injected if self.injected else course.other
        start = _interpolate(course.weeks, path, max(0.0, float(self.seen_from_week)))
        now = _interpolate(course.weeks, path, max(0.0, week))
        return float(self.first_mm * (now / start) ** self.exponent)


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulatedVisit:
    """A visit of the schedule: done or missed on a day, or booked for one.

    Parameters
    ----------
    name, number
        Rule of the schedule and place in its series.
    on, status
        Day, and ``done``, ``missed`` or ``planned``.
    """

    name: str
    number: int
    on: date
    status: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulatedEvent:
    """An adverse event.

    Parameters
    ----------
    values
        Fields of the item that are known when it is entered.
    start, end
        First and last day.
    hours_to_report
        From awareness to the report; None where there is none yet.
    """

    values: Mapping[str, Any]
    start: date
    end: date
    hours_to_report: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulatedPatient:
    """Everything that happens to one simulated patient up to a day.

    Parameters
    ----------
    row
        What the table says of him.
    today
        That day.
    consent, baseline
        Days of the consent and of the first scan; a scan that is still to come is None.
    injections
        Days of the injections that took place.
    visits
        Other visits.
    lesions
        Lesions, new ones last.
    scans
        Days of scans, the baseline first.
    events
        Adverse events.
    laboratory
        Days with values, by day.
    end
        Day that ended the follow-up, or None.
    """

    row: PatientRow
    today: date
    consent: date
    baseline: date | None
    injections: tuple[date, ...]
    visits: tuple[SimulatedVisit, ...]
    lesions: tuple[SimulatedLesion, ...]
    scans: tuple[date, ...]
    events: tuple[SimulatedEvent, ...]
    laboratory: Mapping[date, tuple[Mapping[str, Any], ...]]
    end: date | None

    @property
    def first_day(self) -> date | None:
        """Day of the first injection."""
        return self.injections[0] if self.injections else None

    def to_week(self, day: date) -> float:
        """Return the week of a day since the first injection."""
        return (day - self.first_day).days / DAYS_PER_WEEK if self.first_day else 0.0

    def list_seen(self, day: date) -> tuple[SimulatedLesion, ...]:
        """Return the lesions that show on a scan of a day."""
        week = self.to_week(day)
        return tuple(
            lesion for lesion in self.lesions if not lesion.seen_from_week or lesion.seen_from_week <= week
        )


def simulate_patient(
    row: PatientRow, *, table: CohortTable, schedule: Schedule, today: date, rng: Random
) -> SimulatedPatient:
    """Simulate one patient up to a day.

    Parameters
    ----------
    row
        What the table says of him.
    table, schedule
        Scatter, tests and events; visits.
    today
        The day.
    rng
        Random source of this patient alone.
    """
    start = today - timedelta(days=row.days_ago)
    if not row.injections:
        baseline = start + timedelta(days=CONSENT_DAYS)
        scanned = baseline <= today
        return SimulatedPatient(
            row=row,
            today=today,
            consent=start,
            baseline=baseline if scanned else None,
            injections=(),
            visits=(),
            lesions=tuple(_draw_lesions(row, table, rng)),
            scans=(baseline,) if scanned else (),
            events=(),
            laboratory=_draw_laboratory([baseline] if scanned else [], (), table=table, rng=rng),
            end=None,
        )
    end = start + timedelta(weeks=row.end_week) if row.end_week else None
    injections = tuple(_lay_injections(row, schedule, start=start, until=min(today, end or today), rng=rng))
    baseline = start - timedelta(days=BASELINE_DAYS)
    visits = tuple(_lay_visits(row, table, schedule, injections=injections, today=today, end=end, rng=rng))
    scans = (baseline, *(visit.on for visit in visits if visit.name == "imaging" and visit.status == "done"))
    days = sorted({*scans, *injections, *(day + timedelta(days=7) for day in injections[:2])})
    return SimulatedPatient(
        row=row,
        today=today,
        consent=baseline - timedelta(days=CONSENT_DAYS),
        baseline=baseline,
        injections=injections,
        visits=visits,
        lesions=tuple(_draw_lesions(row, table, rng)),
        scans=scans,
        events=tuple(_draw_events(row, table, injections=injections, today=today, rng=rng)),
        laboratory=_draw_laboratory(
            [day for day in days if day <= min(today, end or today)], injections, table=table, rng=rng
        ),
        end=end if end is not None and end <= today else None,
    )


def measure_volume_ml(diameter_mm: float) -> float:
    """Return the volume of a sphere of a diameter.

    Examples
    --------
    >>> round(measure_volume_ml(20.0), 2)
    4.19
    """
    return pi / 6.0 * diameter_mm**3 / 1000.0


def _interpolate(weeks: tuple[float, ...], values: tuple[float, ...], week: float) -> float:
    place = bisect_right(weeks, week)
    if place == len(weeks):
        return values[-1]
    before, after = weeks[place - 1], weeks[place]
    share = (week - before) / (after - before)
    return values[place - 1] + share * (values[place] - values[place - 1])


def _draw_lesions(row: PatientRow, table: CohortTable, rng: Random) -> Iterator[SimulatedLesion]:
    sizes = [(size, True) for size in row.injected_mm] + [(size, False) for size in row.other_mm]
    segments = list(table.scatter["segments"])
    rng.shuffle(segments)
    for number, (size, injected) in enumerate(sizes, start=1):
        yield SimulatedLesion(
            name=f"T{number}",
            segment=segments[number % len(segments)],
            first_mm=round(size + rng.uniform(-1.5, 1.5), 1),
            injected=injected,
            seen_from_week=0,
            exponent=max(0.3, rng.gauss(1.0, table.scatter["lesion_exponent"])),
        )
    if row.course.new_lesion_week:
        yield SimulatedLesion(
            name="N1",
            segment=segments[0],
            first_mm=row.course.new_lesion_mm,
            injected=False,
            seen_from_week=row.course.new_lesion_week - 1,
            exponent=1.0,
        )


def _lay_injections(
    row: PatientRow, schedule: Schedule, *, start: date, until: date, rng: Random
) -> Iterator[date]:
    rule, day = schedule.injection, start
    every = Step.from_evidence(rule.every) if rule.every else Step(count=21, unit="days")
    for _ in range(row.injections):
        if day > until:
            return
        yield day
        day = every.after(day) + timedelta(days=rng.choice((-1, 0, 0, 0, 1, 2)))


def _lay_visits(
    row: PatientRow,
    table: CohortTable,
    schedule: Schedule,
    *,
    injections: tuple[date, ...],
    today: date,
    end: date | None,
    rng: Random,
) -> Iterator[SimulatedVisit]:
    last_allowed = min(today, end or today)
    safety = Step.from_evidence(schedule.rule("safety").at[0]).after(injections[-1])
    over = len(injections) == row.injections
    series = {"imaging": list(_list_days(schedule.rule("imaging"), injections[0], first=injections[0]))}
    if over:
        series["safety"] = [safety]
        series["survival"] = list(_list_days(schedule.rule("survival"), safety, first=injections[0]))
    due = [(day, name, number) for name, days in series.items() for number, day in enumerate(days, start=1)]
    left_open = max((item for item in due if item[0] < today - timedelta(days=16)), default=None)
    for item in sorted(due):
        day, name, number = item
        if row.is_overdue and item == left_open:
            continue
        on = day + timedelta(days=rng.randint(-table.scatter["visit_days"], table.scatter["visit_days"]))
        missed = number > 1 and rng.random() < table.scatter["missed_fraction"]
        booked = rng.random() < table.scatter["booked_fraction"]
        if on <= last_allowed and day <= last_allowed:
            yield SimulatedVisit(name=name, number=number, on=on, status="missed" if missed else "done")
        elif end is None and today < day <= today + timedelta(days=21) and booked:
            yield SimulatedVisit(name=name, number=number, on=max(on, today), status="planned")


def _list_days(rule: VisitRule, anchor: date, *, first: date) -> Iterator[date]:
    until = Step.from_evidence(rule.until).after(first) if rule.until else date.max
    steps = [Step.from_evidence(step) for step in rule.at]
    yield from (step.after(anchor) for step in steps)
    if rule.every is None:
        return
    every, day = Step.from_evidence(rule.every), steps[-1].after(anchor) if steps else anchor
    while (day := every.after(day)) <= until:
        yield day


def _draw_events(
    row: PatientRow, table: CohortTable, *, injections: tuple[date, ...], today: date, rng: Random
) -> Iterator[SimulatedEvent]:
    for day in injections:
        for entry in table.events:
            if rng.random() < entry["chance_fraction"] and day < today:
                start = day + timedelta(days=rng.randint(0, 2))
                if start <= today:
                    yield _to_event(entry, start=start, grade=rng.choice(entry["grades"]))
    if row.event and injections:
        start = injections[0] + timedelta(days=row.event["day"])
        if start <= today:
            relations = {"relation_to_agent": "POSSIBLY RELATED", "relation_to_procedure": "POSSIBLY RELATED"}
            yield _to_event({**relations, **row.event}, start=start, grade=row.event["grade"])


def _to_event(entry: Mapping[str, Any], *, start: date, grade: int) -> SimulatedEvent:
    return SimulatedEvent(
        values={
            "term": entry["term"],
            "ctcae_term": entry["term"],
            "grade": grade,
            "start_date": start.isoformat(),
            "serious": bool(entry.get("serious", False)),
            "relation_to_agent": entry["relation_to_agent"],
            "relation_to_procedure": entry["relation_to_procedure"],
        },
        start=start,
        end=start + timedelta(days=entry["days"]),
        hours_to_report=entry.get("hours_to_report"),
    )


def _draw_laboratory(
    days: list[date], injections: tuple[date, ...], *, table: CohortTable, rng: Random
) -> Mapping[date, tuple[Mapping[str, Any], ...]]:
    own = {test["test_code"]: rng.gauss(0.0, test["spread_fraction"]) for test in table.laboratory}
    found = {}
    for day in days:
        raised = any(0 < (day - injection).days <= 10 for injection in injections)
        rows = []
        for test in table.laboratory:
            change = own[test["test_code"]] + rng.gauss(0.0, test["spread_fraction"] / 3.0)
            change += test["rise_fraction"] if raised else 0.0
            rows.append(
                {
                    "test_code": test["test_code"],
                    "value": round(max(0.2 * test["middle"], test["middle"] * (1.0 + change)), test["decimals"]),
                    "unit": test["unit"],
                    "lower_limit": float(test["lower_limit"]),
                    "upper_limit": float(test["upper_limit"]),
                    "date": day.isoformat(),
                }
            )  # fmt: skip
        found[day] = tuple(rows)
    return found
