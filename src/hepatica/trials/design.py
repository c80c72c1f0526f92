"""The one protocol of every dose-finding design, and what it answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from enum import StrEnum
from math import ceil
from typing import Any, ClassVar, Protocol

from hepatica.core.errors import InputError
from hepatica.trials.outcomes import Dose, TrialData


class Action(StrEnum):
    """What a design wants to do with the dose."""

    ESCALATE = "escalate"
    STAY = "stay"
    DEESCALATE = "de-escalate"
    STOP = "stop"


class StopKind(StrEnum):
    """Why a trial stops; only some stops may be overruled by a later rule."""

    TOXICITY = "toxicity"
    SIZE = "size"
    PRECISION = "precision"
    COMPLETE = "complete"
    FUTILITY = "futility"


@dataclass(frozen=True, slots=True, kw_only=True)
class Hold:
    """No further patient for now.

    Parameters
    ----------
    why
        In words.
    pending
        Patients whose DLT window is open.
    days
        Days until the earliest next slot; None where follow-up in days is not known.
    earliest_date
        The same as a date, where today was given.
    """

    why: str
    pending: int = 0
    days: float | None = None
    earliest_date: date | None = None

    def dated(self, today: date | None) -> Hold:
        """Return the hold with the date of the earliest next slot."""
        if today is None or self.days is None:
            return self
        return replace(self, earliest_date=today + timedelta(days=ceil(self.days)))

    def to_dict(self) -> dict[str, Any]:
        """Return plain values."""
        return {
            "why": self.why,
            "pending": self.pending,
            "days": self.days,
            "earliest_date": self.earliest_date.isoformat() if self.earliest_date else None,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Recommendation:
    """What a design says after the data, with its reason in words.

    Parameters
    ----------
    recommended_dose
        Level from 1, a pair for combinations, None for no dose.
    continue_
        Whether the trial goes on.
    dose_admissible
        For each level; a matrix for combinations.
    prob_tox
        Estimated DLT probability for each level, None where the design has no estimate.
    estimate
        The design's own estimate: model parameters, or the DLT rate at the current dose.
    hold
        Set while the next patient has to wait.
    reason
        In words.
    action
        What the design wanted.
    stop_kind
        Set where `continue_` is false.
    backfill_doses
        Lower levels open to further patients.
    """

    recommended_dose: Dose | None
    continue_: bool
    dose_admissible: tuple[Any, ...]
    prob_tox: tuple[Any, ...]
    reason: str
    action: Action = Action.STAY
    estimate: float | tuple[float, ...] | None = None
    hold: Hold | None = None
    stop_kind: StopKind | None = None
    backfill_doses: tuple[int, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Return the keys of the command line."""
        document: dict[str, Any] = {
            "recommended_dose": list(self.recommended_dose)
            if isinstance(self.recommended_dose, tuple)
            else self.recommended_dose,
            "continue": self.continue_,
            "dose_admissible": _to_lists(self.dose_admissible),
            "prob_tox": _to_lists(self.prob_tox),
            "estimate": _to_lists(self.estimate) if isinstance(self.estimate, tuple) else self.estimate,
            "hold": self.hold.to_dict() if self.hold else None,
            "reason": self.reason,
            "action": str(self.action),
        }
        if self.backfill_doses:
            document["backfill_doses"] = list(self.backfill_doses)
        return document


@dataclass(frozen=True, slots=True, kw_only=True)
class DecisionTable:
    """Decisions for every count, for people who do not compute.

    Parameters
    ----------
    title
        What the table decides.
    columns
        Key to heading in words, in order.
    rows
        One mapping of key to value for each line; None means impossible.
    notes
        How to read it.
    """

    title: str
    columns: Mapping[str, str]
    rows: tuple[Mapping[str, Any], ...]
    notes: tuple[str, ...] = ()

    def to_text(self) -> str:
        """Return an aligned table for a terminal or a protocol."""
        cells = [[_to_cell(row.get(key)) for key in self.columns] for row in self.rows]
        heads = list(self.columns.values())
        widths = [max(len(line[i]) for line in [heads, *cells]) for i in range(len(heads))]
        lines = [self.title, ""]
        lines.append("  ".join(head.rjust(width) for head, width in zip(heads, widths)))
        lines.append("  ".join("-" * width for width in widths))
        lines += ["  ".join(cell.rjust(width) for cell, width in zip(row, widths)) for row in cells]
        return "\n".join([*lines, "", *self.notes]).rstrip() + "\n"


class Design(Protocol):
    """What every dose-finding design offers."""

    name: ClassVar[str]
    """Name at the command line."""

    @property
    def dose_count(self) -> int:
        """Number of dose levels."""
        ...

    def next_dose(self, data: TrialData) -> Recommendation:
        """Return the next dose after the data, with a reason."""
        ...

    def table(self, max_n: int) -> DecisionTable:
        """Return the decision table up to `max_n` patients."""
        ...

    def prob_tox_exceeds(self, data: TrialData, threshold: float) -> tuple[float | None, ...]:
        """Return P(DLT probability > threshold) for each level, None where the design cannot say."""
        ...

    def prob_tox_quantile(self, data: TrialData, probability: float) -> tuple[float | None, ...]:
        """Return a quantile of the DLT probability for each level, None where the design cannot say."""
        ...


def check_probability(value: float, *, name: str) -> None:
    """Refuse a number that is not strictly between 0 and 1.

    Raises
    ------
    InputError
        If it is not.
    """
    if not 0.0 < value < 1.0:
        raise InputError(
            expected=f"{name} strictly between 0 and 1",
            given=f"{value:g}",
            where=name,
            action="give a fraction",
        )


def check_doses(data: TrialData, *, dose_count: int) -> None:
    """Refuse patients at levels that the trial does not have.

    Raises
    ------
    InputError
        If a patient had an unknown dose.
    """
    for patient in data.patients:
        if isinstance(patient.dose, tuple) or patient.dose > dose_count:
            raise InputError(
                expected=f"dose levels 1 to {dose_count}",
                given=f"dose {patient.dose}",
                where="outcomes",
                action="correct the outcomes or the number of doses",
            )


def check_dose_count(dose_count: int, *, start_dose: int = 1) -> None:
    """Refuse a trial without dose levels, or a start outside them.

    Raises
    ------
    InputError
        If there is no level, or the start is not one of them.
    """
    if dose_count < 1 or not 1 <= start_dose <= dose_count or start_dose != int(start_dose):
        raise InputError(
            expected="at least one dose level, and a start among them",
            given=f"{dose_count} levels, start at {start_dose}",
            where="doses",
        )


def derive_hold(data: TrialData, *, why: str) -> Hold | None:
    """Return a hold until every open DLT window has closed, None where none is open."""
    open_ = [patient for patient in data.evaluable_patients() if patient.pending]
    if not open_:
        return None
    known = [patient.days_left for patient in open_ if patient.days_left is not None]
    return Hold(why=why, pending=len(open_), days=max(known) if len(known) == len(open_) else None)


def _to_lists(value: Sequence[Any]) -> list[Any]:
    return [_to_lists(item) if isinstance(item, tuple) else item for item in value]


def _to_cell(value: Any) -> str:
    if value is None:
        return "-"
    return f"{value:.3g}" if isinstance(value, float) else str(value)
