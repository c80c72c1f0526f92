"""The time points of one subject and the settings of a best response."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import Final

from hepatica.core.errors import InputError

NOT_DONE: Final = "ND"
SILENT: Final = ("", "NA", NOT_DONE)
"""Neither break a sequence nor count as NE."""
RECIST_CODES: Final = ("CR", "PR", "SD", "NON-CR/NON-PD", "PD", "NE")
IMMUNE_CODES: Final = ("iCR", "iPR", "iSD", "NON-iCR/NON-iUPD", "iUPD", "iCPD", "NE")


class Endpoint(StrEnum):
    """What is asked of the time points."""

    BOR = "BOR"
    CBOR = "CBOR"
    RSP = "RSP"
    CRSP = "CRSP"
    CBR = "CBR"
    IBOR = "IBOR"
    IPFS = "IPFS"
    IDOR = "IDOR"

    @property
    def immune(self) -> bool:
        """Whether it asks for iRECIST codes."""
        return self in (Endpoint.IBOR, Endpoint.IPFS, Endpoint.IDOR)


class BestRule(StrEnum):
    """How a best response is found."""

    BEST_IN_CLASS = "best-in-class"
    """Practice of open analysis packages."""
    TABLE3 = "table3"
    """Table 3 of RECIST 1.1: confirmation needed."""


class ProgressionCut(StrEnum):
    """Which time points are dropped."""

    DERIVE = "derive"
    """Those after the first PD."""
    COLUMN = "column"
    """Those after a given date of progression, which adds no PD of its own."""
    NEVER = "never"


@dataclass(frozen=True, slots=True, kw_only=True)
class BestSettings:
    """Named settings of a best response; stored with every result.

    Parameters
    ----------
    rule
        Way of finding it.
    until_pd
        Which time points are dropped.
    sd_window_days
        SD counts from this many days after the reference date.
    confirm_days
        Least distance of a confirmation.
    max_ne
        NE assessments allowed between a response and its confirmation.
    accept_sd
        One SD allowed between a PR and its confirmation.
    missing_as_ne
        A subject without an assessment is NE instead of MISSING.
    benefit_values
        Codes that are clinical benefit.
    """

    rule: BestRule = BestRule.BEST_IN_CLASS
    until_pd: ProgressionCut = ProgressionCut.DERIVE
    sd_window_days: int = 0
    confirm_days: int = 28
    max_ne: int = 1
    accept_sd: bool = False
    missing_as_ne: bool = False
    benefit_values: tuple[str, ...] = ("CR", "PR", "SD", "NON-CR/NON-PD")

    def __post_init__(self) -> None:
        """Refuse negative days and codes that are no benefit of any criterion."""
        if min(self.sd_window_days, self.confirm_days, self.max_ne) < 0:
            raise InputError(
                expected="days and counts of 0 or more", given="a negative one", where="settings"
            )
        unknown = sorted(set(self.benefit_values) - set(RECIST_CODES))
        if unknown:
            raise InputError(
                expected=f"benefit values among {', '.join(RECIST_CODES)}",
                given=f"'{unknown[0]}'",
                where="--benefit-values",
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class TimePoint:
    """A response on a day."""

    day: date
    response: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeline:
    """All time points of one subject, earliest first, each day once.

    Parameters
    ----------
    points
        Time points; responses of one criterion, or one of ``ND``, ``NA`` and empty.
    reference
        Start of treatment or randomisation.
    progression
        Date of progression from elsewhere; None where there is none.
    response
        Date of response from elsewhere; None where there is none.
    """

    points: tuple[TimePoint, ...]
    reference: date
    progression: date | None = None
    response: date | None = None

    @classmethod
    def of(
        cls,
        points: Iterable[tuple[date, str]],
        *,
        reference: date,
        progression: date | None = None,
        response: date | None = None,
    ) -> Timeline:
        """Build from days and codes in any order.

        Raises
        ------
        InputError
            If one day has two time points.
        """
        ordered = tuple(TimePoint(day=day, response=code) for day, code in sorted(points))
        if len({point.day for point in ordered}) != len(ordered):
            raise InputError(expected="one response for each day", given="two", where="date")
        return cls(points=ordered, reference=reference, progression=progression, response=response)

    def until(self, cut: ProgressionCut) -> tuple[TimePoint, ...]:
        """Return the time points up to and including the day of progression."""
        last = None
        if cut is ProgressionCut.COLUMN:
            last = self.progression
        elif cut is ProgressionCut.DERIVE:
            last = next((point.day for point in self.points if point.response == "PD"), None)
        return self.points if last is None else tuple(p for p in self.points if p.day <= last)

    def is_late(self, point: TimePoint, settings: BestSettings) -> bool:
        """Whether a time point lies far enough from the reference for stable disease."""
        return (point.day - self.reference).days >= settings.sd_window_days


@dataclass(frozen=True, slots=True, kw_only=True)
class Best:
    """The value of an endpoint; ``day`` is None where the value rests on no time point."""

    value: str
    day: date | None = None
