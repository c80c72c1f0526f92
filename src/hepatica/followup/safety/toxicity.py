"""A definition of dose-limiting toxicity as protocol data, and the records it is held against."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum
from typing import Final

from hepatica.core.errors import InputError, NotSetError
from hepatica.core.evidence import Evidence, EvidenceStatus
from hepatica.followup.dates import UNDATED, PartialDate
from hepatica.followup.safety.attribution import Attribution, Relation

CATEGORIES: Final = ("any", "haematological", "non-haematological")
ATTRIBUTIONS: Final = ("agent", "procedure", "agent or procedure", "any")
"""Whose toxicity counts; ``any`` counts all, whatever its cause."""
EDGES: Final = ("<", "<=")
NOT_ATTRIBUTED: Final = Attribution()


@dataclass(frozen=True, slots=True, kw_only=True)
class ToxicityCriterion:
    """One way in which an event is dose-limiting.

    Parameters
    ----------
    name, title
        Key and words.
    category
        One of `CATEGORIES`.
    terms, excluded_terms
        CTCAE terms in small letters; all of the category where ``terms`` is empty.
    grade_min
        Lowest grade that counts.
    lasting_min
        Days it has to be present, first and last day counted; None where the protocol asks for none.
    """

    name: str
    title: str
    category: str
    grade_min: Evidence
    terms: tuple[str, ...] = ()
    excluded_terms: tuple[str, ...] = ()
    lasting_min: Evidence | None = None

    def covers(self, event: ToxicEvent, *, haematological: bool) -> bool:
        """Whether the criterion speaks of an event of this term."""
        if event.term in self.excluded_terms or (self.terms and event.term not in self.terms):
            return False
        return self.category == "any" or haematological == (self.category == "haematological")


@dataclass(frozen=True, slots=True, kw_only=True)
class ToxicityDefinition:
    """What a protocol calls dose-limiting.

    Parameters
    ----------
    name, title
        Words for people.
    window
        Days from the first dose; ``<`` counts days 1 to the number, ``<=`` one day more.
    attribution
        One of `ATTRIBUTIONS`.
    related
        Relations that count as related, comma separated.
    haematological_terms
        Terms of blood counts, for protocols that tell the two apart; None where they do not.
    criteria
        Ways to be dose-limiting; one is enough.
    injections_min
        Injections a patient without a toxicity needs in the window to be evaluable; None where none is asked for.
    replace
        Whether a patient who cannot be evaluated is replaced, or counts as one without a toxicity.
    digest
        SHA-256 of the file.
    """

    name: str
    title: str
    window: Evidence
    attribution: Evidence
    related: Evidence
    haematological_terms: Evidence | None
    criteria: tuple[ToxicityCriterion, ...]
    injections_min: Evidence | None
    replace: Evidence
    digest: str

    @property
    def evidence(self) -> Iterator[Evidence]:
        """Every number and coded rule."""
        yield from (self.window, self.attribution, self.related, self.replace)
        yield from (item for item in (self.haematological_terms, self.injections_min) if item is not None)
        for criterion in self.criteria:
            yield criterion.grade_min
            if criterion.lasting_min is not None:
                yield criterion.lasting_min

    @property
    def missing(self) -> tuple[str, ...]:
        """Keys of what is not set."""
        return tuple(item.key for item in self.evidence if item.status is EvidenceStatus.NOT_SET)

    def require_rules(self) -> None:
        """Refuse a definition that leaves open what no patient can be judged without.

        Raises
        ------
        NotSetError
            Naming all of it.
        """
        optional = (self.replace, self.injections_min)
        unknown = [
            item.key
            for item in self.evidence
            if item.status is EvidenceStatus.NOT_SET and not any(item is other for other in optional)
        ]
        if unknown:
            raise NotSetError(
                expected="an answer of the protocol for " + ", ".join(unknown),
                given="not set",
                where=f"definition {self.name}",
                action="supply it, for example --set " + " --set ".join(f"{key}=..." for key in unknown),
            )

    @property
    def window_length_days(self) -> int:
        """Days in the window, that of the first dose counted."""
        return int(self.window.number) + (1 if self.window.edge == "<=" else 0)

    def last_day(self, first_dose: date) -> date:
        """Return the last day of the window."""
        return first_dose + timedelta(days=self.window_length_days - 1)

    @property
    def related_words(self) -> tuple[Relation, ...]:
        """Relations that count as related."""
        return tuple(Relation(word.strip()) for word in str(self.related.value).split(","))

    def is_haematological(self, event: ToxicEvent) -> bool:
        """Whether an event is one of blood counts, by the site's class or else by its term."""
        if event.haematological is not None:
            return event.haematological
        terms = "" if self.haematological_terms is None else str(self.haematological_terms.value)
        return event.term in {word.strip() for word in terms.split(";")}


@dataclass(frozen=True, slots=True, kw_only=True)
class ToxicEvent:
    """One adverse event of one patient.

    Parameters
    ----------
    term
        CTCAE term in small letters.
    grade
        1 to 5; None where not given.
    onset
        First day at this grade.
    end
        Last day; empty while it goes on.
    attribution
        To the agent and to the procedure.
    haematological
        Class given by the site; None where its term decides.
    row
        Line of the table, for findings.
    """

    term: str
    grade: int | None
    onset: PartialDate
    end: PartialDate = UNDATED
    attribution: Attribution = NOT_ATTRIBUTED
    haematological: bool | None = None
    row: int = 0

    def __post_init__(self) -> None:
        """Refuse grades outside 1 to 5 and ends before the onset."""
        if self.grade is not None and not 1 <= self.grade <= 5:
            raise InputError(expected="a grade from 1 to 5", given=str(self.grade), where="adverse event")
        if self.end.surely_before(self.onset):
            raise InputError(
                expected="an end on or after the onset", given="one before", where="adverse event"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class TreatedPatient:
    """One patient of a dose-finding trial.

    Parameters
    ----------
    subject
        Trial identifier.
    dose
        Dose level as the designs write it: ``2``, or ``1.2`` for a pair.
    first_dose
        Day of the first injection.
    off_study
        Last day under observation; None while observed.
    injections
        Injections given in the window; None where not recorded.
    events
        Adverse events, in any order.
    row
        Line of the table, for findings.
    """

    subject: str
    dose: str
    first_dose: date
    off_study: date | None = None
    injections: int | None = None
    events: tuple[ToxicEvent, ...] = ()
    row: int = 0


class ToxicityState(StrEnum):
    """How a patient stands."""

    DLT = "dlt"
    UNDECIDED = "undecided"
    """An event may be dose-limiting: something about it is not known yet."""
    PENDING = "pending"
    """The window is open."""
    NO_DLT = "no dlt"
    NOT_EVALUABLE = "not evaluable"


class Verdict(StrEnum):
    """What one event is."""

    DLT = "dlt"
    UNDECIDED = "undecided"
    NO = "no"
