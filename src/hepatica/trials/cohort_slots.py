"""Slots of the current cohort: how many are taken, how many are free, and from when."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from math import ceil
from typing import Any

from hepatica.core.errors import InputError
from hepatica.trials.design import Action, Recommendation
from hepatica.trials.outcomes import Dose, TrialData
from hepatica.trials.rules import is_admissible


@dataclass(frozen=True, slots=True, kw_only=True)
class CohortSlots:
    """How the current cohort stands.

    Parameters
    ----------
    dose
        Level of the cohort; None where the trial stops.
    size, taken, assigned, free
        Patients of a cohort, injected ones who count, those with the level who were not injected yet, and the rest.
    earliest_date, days
        When a patient may take a free slot, or the next cohort may begin; None where nobody can say yet.
    why
        In words.
    """

    dose: Dose | None
    size: int
    taken: int
    assigned: int
    free: int
    earliest_date: date | None
    days: int | None
    why: str

    def to_dict(self) -> dict[str, Any]:
        """Return plain values."""
        return {
            "dose": list(self.dose) if isinstance(self.dose, tuple) else self.dose,
            "size": self.size,
            "taken": self.taken,
            "assigned": self.assigned,
            "free": self.free,
            "earliest_date": self.earliest_date.isoformat() if self.earliest_date else None,
            "days": self.days,
            "why": self.why,
        }


def derive_slots(
    data: TrialData,
    advice: Recommendation,
    *,
    size: int,
    waiting: Sequence[Dose],
    first_doses: Sequence[tuple[Dose, date]],
    delay_days: float,
    today: date,
) -> CohortSlots:
    """Return the slots of the cohort that is being filled, or of the next one.

    A cohort is a run of patients at one level. One that is not full goes on at its level unless the design would leave
    it downwards, stop, or no longer admits it; a full one waits for the design's decision. Patients who are replaced
    take no slot.

    Parameters
    ----------
    data, advice
        Patients in the order of treatment, and what the design says of them.
    size
        Patients of a cohort.
    waiting
        Levels of patients who have one and were not injected yet.
    first_doses
        Level and day of every first dose.
    delay_days
        Least days between two first doses at a level.
    today
        The day it is asked.

    Raises
    ------
    InputError
        If a cohort has no patient.

    Examples
    --------
    >>> from hepatica.trials.escalation.boin import Boin
    >>> from hepatica.trials.outcomes import parse_outcomes
    >>> data, day = parse_outcomes("1NNN 2N"), date(2026, 3, 1)
    >>> slots = derive_slots(
    ...     data, Boin(dose_count=3, target=0.3).next_dose(data), size=3, waiting=[2],
    ...     first_doses=[(2, date(2026, 2, 27))], delay_days=7, today=day,
    ... )
    >>> slots.dose, slots.taken, slots.assigned, slots.free, slots.days
    (2, 1, 1, 1, 5)
    """
    if size < 1:
        raise InputError(expected="a cohort of at least one patient", given=str(size), where="cohort size")
    none = CohortSlots(
        dose=None, size=size, taken=0, assigned=0, free=0, earliest_date=None, days=None, why=""
    )
    if not advice.continue_ or advice.recommended_dose is None:
        return replace(none, why="The design gives no dose: nobody is enrolled.")
    current, filled = _count_open(data, size)
    goes_on = (
        filled > 0
        and current is not None
        and advice.action not in (Action.DEESCALATE, Action.STOP)
        and is_admissible(advice, current)
    )
    if not goes_on and advice.hold is not None:
        whole = _count_run(data)
        return replace(
            none,
            dose=current,
            taken=filled or (size if whole else 0),
            assigned=sum(dose == current for dose in waiting),
            earliest_date=_add(today, advice.hold.days),
            days=None if advice.hold.days is None else ceil(advice.hold.days),
            why=f"No slot: {advice.hold.why}.",
        )
    dose = current if goes_on and current is not None else advice.recommended_dose
    taken = filled if goes_on else 0
    assigned = sum(given == dose for given in waiting)
    free = max(0, size - taken - assigned)
    day = _find_day(first_doses, dose=dose, delay_days=delay_days, today=today)
    words = "The cohort is being filled" if goes_on else "A new cohort begins"
    return replace(
        none,
        dose=dose,
        taken=taken,
        assigned=assigned,
        free=free,
        earliest_date=day if free else None,
        days=(day - today).days if free else None,
        why=f"{words} at level {_say(dose)}; {delay_days:g} days between first doses at a level.",
    )


def _count_run(data: TrialData) -> int:
    """Return how many of the last counted patients had the same dose."""
    counted = data.evaluable_patients()
    return next(
        (i for i, patient in enumerate(reversed(counted)) if patient.dose != counted[-1].dose), len(counted)
    )


def _count_open(data: TrialData, size: int) -> tuple[Dose | None, int]:
    counted = data.evaluable_patients()
    return (counted[-1].dose if counted else None), _count_run(data) % size


def _find_day(
    first_doses: Sequence[tuple[Dose, date]], *, dose: Dose, delay_days: float, today: date
) -> date:
    last = max((day for given, day in first_doses if given == dose), default=None)
    return today if last is None else max(today, last + timedelta(days=ceil(delay_days)))


def _add(today: date, days: float | None) -> date | None:
    return None if days is None else today + timedelta(days=ceil(days))


def _say(dose: Dose) -> str:
    return ", ".join(map(str, dose)) if isinstance(dose, tuple) else str(dose)
