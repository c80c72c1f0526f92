"""What happened to whom: patients of a dose-finding trial, and the short way to write them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

from hepatica.core.errors import InputError

Dose = int | tuple[int, int]
"""A dose level, from 1; a pair for combinations (first agent, second agent)."""

OUTCOME_LETTERS: Final = {
    "N": (False, False),
    "T": (True, False),
    "E": (False, True),
    "B": (True, True),
}
"""Letter to (DLT, efficacy): N none, T DLT, E efficacy, B both. P marks a DLT window still open."""
_COHORT: Final = re.compile(r"^(\d+)(?:\.(\d+))?([A-Z]+)$")


@dataclass(frozen=True, slots=True, kw_only=True)
class Patient:
    """One treated patient.

    Parameters
    ----------
    dose
        Dose level from 1, or a pair.
    dlt
        Whether a dose-limiting toxicity was seen.
    efficacy
        Whether a response was seen.
    follow_up_fraction
        Follow-up divided by the DLT window, 0 to 1. Below 1 without a DLT the outcome is pending.
    days_left
        Days until the window closes, where known.
    evaluable
        False for a patient who cannot be judged for DLT and is replaced: counted nowhere.
    """

    dose: Dose
    dlt: bool
    efficacy: bool = False
    follow_up_fraction: float = 1.0
    days_left: float | None = None
    evaluable: bool = True

    def __post_init__(self) -> None:
        """Refuse follow-up outside 0 to 1 and dose levels below 1."""
        if not 0.0 <= self.follow_up_fraction <= 1.0:
            raise InputError(
                expected="follow-up between 0 and the window",
                given=f"{self.follow_up_fraction:g} of the window",
                where="patients",
                action="correct follow_up or window",
            )
        if any(level < 1 for level in (self.dose if isinstance(self.dose, tuple) else (self.dose,))):
            raise InputError(expected="dose levels from 1", given=str(self.dose), where="patients")

    @property
    def pending(self) -> bool:
        """Whether the DLT window is still open and no DLT was seen."""
        return not self.dlt and self.follow_up_fraction < 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialData:
    """Patients in the order of treatment.

    Parameters
    ----------
    patients
        The patients.
    latest_dose
        Dose of the last patient treated, where that patient is not among `patients`.

    Examples
    --------
    >>> data = parse_outcomes("1NNN 2NNT")
    >>> data.count(2), data.dlts(2), data.current_dose
    (3, 1, 2)
    """

    patients: tuple[Patient, ...] = ()
    latest_dose: Dose | None = None
    _counts: dict[Dose, tuple[int, int, int, int]] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Count once; non-evaluable patients are counted nowhere."""
        counts: dict[Dose, tuple[int, int, int, int]] = {}
        for patient in self.patients:
            if patient.evaluable:
                n, x, e, c = counts.get(patient.dose, (0, 0, 0, 0))
                counts[patient.dose] = (n + 1, x + patient.dlt, e + patient.efficacy, c + patient.pending)
        object.__setattr__(self, "_counts", counts)

    @property
    def current_dose(self) -> Dose | None:
        """The dose of the last patient, None before the first."""
        if self.latest_dose is not None:
            return self.latest_dose
        return self.patients[-1].dose if self.patients else None

    @property
    def total(self) -> int:
        """Number of evaluable patients."""
        return sum(n for n, _, _, _ in self._counts.values())

    @property
    def doses(self) -> tuple[Dose, ...]:
        """Dose levels given so far."""
        return tuple(self._counts)

    def count(self, dose: Dose) -> int:
        """Return how many evaluable patients had this dose, pending ones included."""
        return self._counts.get(dose, (0, 0, 0, 0))[0]

    def dlts(self, dose: Dose) -> int:
        """Return how many of them had a DLT."""
        return self._counts.get(dose, (0, 0, 0, 0))[1]

    def responses(self, dose: Dose) -> int:
        """Return how many of them responded."""
        return self._counts.get(dose, (0, 0, 0, 0))[2]

    def pending(self, dose: Dose) -> int:
        """Return how many of them are still inside the DLT window without a DLT."""
        return self._counts.get(dose, (0, 0, 0, 0))[3]

    def counts(self, dose_count: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Return patients and DLTs of the levels 1 to `dose_count`."""
        levels = range(1, dose_count + 1)
        return tuple(self.count(d) for d in levels), tuple(self.dlts(d) for d in levels)

    def evaluable_patients(self) -> tuple[Patient, ...]:
        """Return the patients who count."""
        return tuple(patient for patient in self.patients if patient.evaluable)

    def completed(self) -> TrialData:
        """Return the data without the patients whose window is still open; the current dose remains."""
        return TrialData(
            patients=tuple(patient for patient in self.patients if not patient.pending),
            latest_dose=self.current_dose,
        )

    def extend(self, patients: Iterable[Patient]) -> TrialData:
        """Return the data with more patients at the end."""
        return TrialData(patients=(*self.patients, *patients))


def parse_outcomes(text: str) -> TrialData:
    """Read outcomes such as ``1NNN 2NNT``; a pair of doses is written ``1.2NNN``.

    N no event, T DLT, E efficacy, B both, P pending (treated, DLT window open).

    Raises
    ------
    InputError
        If a cohort does not follow the pattern.

    Examples
    --------
    >>> parse_outcomes("1.2NT").patients[1].dose
    (1, 2)
    """
    patients: list[Patient] = []
    for cohort in text.split():
        match = _COHORT.match(cohort)
        unknown = sorted(set(match.group(3)) - set(OUTCOME_LETTERS) - {"P"}) if match else ["?"]
        if match is None or unknown:
            raise InputError(
                expected="cohorts such as 1NNN or 1.2NNT, letters N, T, E, B or P",
                given=f"'{cohort}'",
                where="outcomes",
                action="write the dose level, then one letter for each patient",
            )
        dose: Dose = (
            int(match.group(1)) if match.group(2) is None else (int(match.group(1)), int(match.group(2)))
        )
        for letter in match.group(3):
            dlt, efficacy = OUTCOME_LETTERS.get(letter, (False, False))
            patients.append(
                Patient(
                    dose=dose, dlt=dlt, efficacy=efficacy, follow_up_fraction=0.0 if letter == "P" else 1.0
                )
            )
    return TrialData(patients=tuple(patients))


def to_outcomes(counts: Sequence[int], dlts: Sequence[int], *, current: int) -> TrialData:
    """Return data with these counts whose last patient had dose `current`.

    Parameters
    ----------
    counts, dlts
        Patients and DLTs of the levels 1, 2, ...
    current
        The level of the last patient; must have at least one.
    """
    order = [d for d in range(1, len(counts) + 1) if d != current] + [current]
    return TrialData(
        patients=tuple(Patient(dose=d, dlt=i < dlts[d - 1]) for d in order for i in range(counts[d - 1]))
    )
