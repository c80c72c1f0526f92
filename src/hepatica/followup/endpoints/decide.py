"""Which row of a table of censoring rules fits, and the date it names."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from types import MappingProxyType
from typing import Final

from hepatica.followup.endpoints.history import Assessment, Dated, SubjectHistory
from hepatica.followup.endpoints.rules import OTHERWISE, CensoringRule, EndpointRules

WEEK_DAYS: Final = 7


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What a decision rests on.

    Parameters
    ----------
    history
        The subject.
    rules
        The table.
    assessments
        Assessments that count.
    progression
        Progression; None where there is none.
    """

    history: SubjectHistory
    rules: EndpointRules
    assessments: tuple[Assessment, ...] = ()
    progression: Dated | None = None

    @property
    def event(self) -> Dated | None:
        """Progression or death, whichever comes first; progression of the same day."""
        found = [when for when in (self.progression, self.history.death) if when is not None]
        return min(found, key=lambda when: when.day, default=None)

    def last_adequate(self, *, until: date | None = None, before: date | None = None) -> Dated:
        """Return the last adequate assessment, or the start where there is none."""
        found = self.history.start
        for assessment in self.assessments:
            day = assessment.when.day
            in_time = (until is None or day <= until) and (before is None or day < before)
            if assessment.adequate and in_time and day >= found.day:
                found = assessment.when
        return found

    @property
    def missed(self) -> int:
        """Scheduled assessments without an adequate one between the last adequate one and the event.

        A scheduled day counts when its whole window lies between the two.
        """
        if self.event is None:
            return 0
        last = self.last_adequate(before=self.event.day).day
        window = timedelta(days=self.rules.number("window_days"))
        count = 0
        for day in list_scheduled(self.history.start.day, until=self.event.day, rules=self.rules):
            count += last < day - window and day + window < self.event.day
        return count


def list_scheduled(start: date, *, until: date, rules: EndpointRules) -> list[date]:
    """Return the days of scheduled assessments after the start, up to a day.

    Examples
    --------
    >>> from hepatica.followup.endpoints.rules import read_rules
    >>> days = list_scheduled(date(2024, 1, 1), until=date(2024, 9, 1), rules=read_rules("itt"))
    >>> [(day - date(2024, 1, 1)).days // 7 for day in days]
    [6, 12, 24]
    """
    weeks = list(rules.first_weeks)
    step = rules.number("every_weeks")
    days: list[date] = []
    while True:
        week = weeks.pop(0) if weeks else (round((days[-1] - start).days / WEEK_DAYS) if days else 0) + step
        day = start + timedelta(days=round(week * WEEK_DAYS))
        if day > until or (days and day <= days[-1]):
            return days
        days.append(day)


def _therapy_first(facts: Facts) -> bool:
    therapy = facts.history.therapy
    return therapy is not None and (facts.event is None or therapy.day < facts.event.day)


def _assessed(facts: Facts) -> bool:
    return any(a.adequate and a.when.day >= facts.history.start.day for a in facts.assessments)


CONDITIONS: Final[Mapping[str, Callable[[Facts], bool]]] = MappingProxyType(
    {
        "no baseline": lambda f: f.history.baseline is False,
        "no baseline and no death": lambda f: f.history.baseline is False and f.history.death is None,
        "no assessment and no event": lambda f: not _assessed(f) and f.event is None,
        "new therapy before the event": _therapy_first,
        "missed assessments before the event": lambda f: (
            f.event is not None and f.missed >= f.rules.number("missed_assessments")
        ),
        "progression": lambda f: f.progression is not None and f.event is f.progression,
        "death": lambda f: f.history.death is not None,
        "progression without an assessment": lambda f: f.history.undocumented is not None,
        "no contact after the start": lambda f: f.history.alive is None,
        OTHERWISE: lambda f: True,
    }
)
"""Conditions by the words of the rules."""


def _at_therapy(facts: Facts) -> Dated:
    return facts.last_adequate(until=facts.history.therapy.day if facts.history.therapy else None)


def _before_event(facts: Facts) -> Dated:
    return facts.last_adequate(before=facts.event.day if facts.event else None)


def _or_start(facts: Facts, found: Dated | None) -> Dated:
    return facts.history.start if found is None else found


DATES: Final[Mapping[str, Callable[[Facts], Dated]]] = MappingProxyType(
    {
        "start": lambda f: f.history.start,
        "progression": lambda f: _or_start(f, f.progression),
        "death": lambda f: _or_start(f, f.history.death),
        "new therapy": lambda f: _or_start(f, f.history.therapy),
        "progression without an assessment": lambda f: _or_start(f, f.history.undocumented),
        "last adequate assessment": lambda f: f.last_adequate(),
        "last adequate assessment before the event": _before_event,
        "last adequate assessment before new therapy": _at_therapy,
        "last known alive": lambda f: _or_start(f, f.history.alive),
    }
)
"""Dates by the words of the rules."""


def decide(facts: Facts, rows: tuple[CensoringRule, ...]) -> tuple[CensoringRule, Dated]:
    """Return the first row that fits and the date it names."""
    row = next(row for row in rows if CONDITIONS[row.when](facts))
    return row, DATES[row.date](facts)
