"""What is known of one subject when endpoints are derived."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date
from typing import Final

from hepatica.core.errors import InputError

SILENT: Final = ("", "NA", "ND", "NE")
"""Overall responses that are no adequate assessment."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Dated:
    """A day and where it stands.

    Parameters
    ----------
    day
        The day.
    flag
        First part that was filled in (``D``, ``M``); empty for a whole date.
    domain, variable, sequence
        Source: for example ``RS``, ``RSDTC`` and RSSEQ.
    """

    day: date
    flag: str = ""
    domain: str = ""
    variable: str = ""
    sequence: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Assessment:
    """One overall response.

    Parameters
    ----------
    when
        Its date.
    code
        Overall response as recorded.
    number, visit
        VISITNUM and VISIT.
    new
        New lesions: ``Y``, ``EQUIVOCAL``, or empty for none or not said.
    """

    when: Dated
    code: str
    number: float = 0.0
    visit: str = ""
    new: str = ""

    @property
    def adequate(self) -> bool:
        """Whether the response says something."""
        return self.code not in SILENT


@dataclass(frozen=True, slots=True, kw_only=True)
class Stream:
    """The assessments of one evaluator under one criterion about one group of lesions, earliest first.

    Parameters
    ----------
    category, group
        RSCAT and RSGRPID.
    evaluator, evaluator_id
        RSEVAL and RSEVALID.
    assessments
        Each day once; none for a subject that was never assessed.
    immune_codes
        iRECIST, where no assessment shows it.
    """

    category: str = ""
    group: str = ""
    evaluator: str = ""
    evaluator_id: str = ""
    assessments: tuple[Assessment, ...] = ()
    immune_codes: bool = False

    def __post_init__(self) -> None:
        """Refuse assessments out of order or two on one day."""
        days = [a.when.day for a in self.assessments]
        if days != sorted(set(days)):
            raise InputError(
                expected="assessments by rising date, one a day", given="another order", where="rs"
            )

    @property
    def immune(self) -> bool:
        """Whether the codes are those of iRECIST."""
        return self.immune_codes or any(a.code.startswith(("i", "NON-i")) for a in self.assessments)


@dataclass(frozen=True, slots=True, kw_only=True)
class SubjectHistory:
    """One subject.

    Parameters
    ----------
    study, subject, arm
        STUDYID, USUBJID and planned treatment.
    start
        Day 1: first dose or randomisation, as the rules name it.
    death, therapy, undocumented
        Death; first new anticancer therapy; progression named as a reason without an assessment that shows
        it. None where there is none.
    alive
        Last day on which the subject was surely alive.
    baseline
        Whether lesions were chosen at baseline; None where nobody told.
    streams
        Assessments.
    """

    study: str
    subject: str
    start: Dated
    arm: str = ""
    death: Dated | None = None
    alive: Dated | None = None
    therapy: Dated | None = None
    undocumented: Dated | None = None
    baseline: bool | None = None
    streams: tuple[Stream, ...] = field(default=())
