"""A visit schedule as protocol data: what happens when, counted from which day, with which window."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from hepatica.core.errors import NotFoundError, NotSetError
from hepatica.core.evidence import Evidence, EvidenceStatus
from hepatica.followup.visits.spans import Step

INJECTION: Final = "injection"
BASELINE: Final = "baseline"
FIRST: Final = "first injection"
PREVIOUS: Final = "previous injection"
LAST: Final = "last injection"
LAST_ENROLLED: Final = "last enrolled"
DAY_ANCHORS: Final = (BASELINE, FIRST, LAST)
KINDS: Final = (INJECTION, "imaging", "safety", "contact", "laboratory", "clinic")
ENDS: Final = (
    "end of treatment",
    "progression",
    "withdrawal",
    "lost to follow-up",
    "study end",
    "death",
)
"""Words that end something; the last three and a withdrawal end every series."""
END_OF_ALL: Final = ("withdrawal", "lost to follow-up", "study end", "death")
WINDOW_UNITS: Final = ("days", "weeks")


@dataclass(frozen=True, slots=True, kw_only=True)
class VisitRule:
    """One kind of visit of a schedule.

    Parameters
    ----------
    name, kind
        Name in the schedule and in tables of events; one of `KINDS`.
    anchor
        Day it is counted from: ``baseline``, ``first injection``, ``previous injection`` (a delay moves all later
        ones), ``last injection``, or the name of a visit that happens once.
    at
        Steps from the anchor, rising.
    intervals
        Steps from one injection to the next, first ones first; only with ``previous injection``.
    every
        Step from one to the next after `at` or `intervals`; None where it ends there.
    first_after_baseline
        Step from the baseline to the first injection; None where the schedule gives no day for it.
    most
        How many at most; None where open.
    until, until_anchor
        Last day, as a step from an anchor; None where open.
    before, after
        Days before and after the due day that are still in the window.
    ends
        Words of `ENDS` that end this series; `END_OF_ALL` end every one.
    """

    name: str
    kind: str
    anchor: str
    at: tuple[Evidence, ...] = ()
    intervals: tuple[Evidence, ...] = ()
    every: Evidence | None = None
    first_after_baseline: Evidence | None = None
    most: Evidence | None = None
    until: Evidence | None = None
    until_anchor: str = ""
    before: Evidence
    after: Evidence
    ends: tuple[str, ...] = ()

    @property
    def rolling(self) -> bool:
        """Whether a delay moves all later ones."""
        return self.anchor == PREVIOUS

    @property
    def once(self) -> bool:
        """Whether it happens once."""
        return len(self.at) == 1 and self.every is None

    @property
    def window(self) -> tuple[Step, Step] | None:
        """Steps before and after the due day; None where the window is not set."""
        if EvidenceStatus.NOT_SET in (self.before.status, self.after.status):
            return None
        return Step.from_evidence(self.before), Step.from_evidence(self.after)

    @property
    def timing(self) -> Iterator[Evidence]:
        """Every number without which no due day can be told."""
        yield from (*self.at, *self.intervals)
        yield from (item for item in (self.every, self.first_after_baseline) if item is not None)

    @property
    def evidence(self) -> Iterator[Evidence]:
        """Every number of the rule."""
        yield from self.timing
        yield from (item for item in (self.most, self.until) if item is not None)
        yield from dict.fromkeys((self.before, self.after))


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """A visit schedule, read and checked.

    Parameters
    ----------
    name, title, agent
        Words for people.
    rules
        Rules in the order of the file; exactly one of kind ``injection``.
    digest
        SHA-256 of the file.

    Examples
    --------
    >>> from hepatica.followup.visits.schedule_file import read_schedule
    >>> schedule = read_schedule("tvec-label")
    >>> str(Step.from_evidence(schedule.rule("injection").every))
    '2 weeks'
    """

    name: str
    title: str
    agent: str
    rules: tuple[VisitRule, ...]
    digest: str

    def rule(self, name: str) -> VisitRule:
        """Return one rule by name.

        Raises
        ------
        NotFoundError
            If there is none of that name.
        """
        for rule in self.rules:
            if rule.name == name:
                return rule
        names = ", ".join(rule.name for rule in self.rules)
        raise NotFoundError(expected=f"one of {names}", given=f"'{name}'", where=f"schedule {self.name}")

    @property
    def injection(self) -> VisitRule:
        """The rule of the injections."""
        return next(rule for rule in self.rules if rule.kind == INJECTION)

    @property
    def evidence(self) -> Iterator[Evidence]:
        """Every number of the schedule."""
        for rule in self.rules:
            yield from rule.evidence

    @property
    def missing(self) -> tuple[str, ...]:
        """Keys of numbers that are not set."""
        return tuple(
            item.key.removeprefix("visits.")
            for item in self.evidence
            if item.status is EvidenceStatus.NOT_SET
        )

    def require_timing(self) -> None:
        """Refuse a schedule without a number that due days need; missing windows are no hindrance.

        Raises
        ------
        NotSetError
            Naming every such number.
        """
        unknown = [
            item.key.removeprefix("visits.")
            for rule in self.rules
            for item in rule.timing
            if item.status is EvidenceStatus.NOT_SET
        ]
        if unknown:
            raise NotSetError(
                expected="a number for " + ", ".join(unknown),
                given="not set",
                where=f"schedule {self.name}",
                action="supply it, for example --set " + f"{unknown[0]}=NUMBER",
            )
