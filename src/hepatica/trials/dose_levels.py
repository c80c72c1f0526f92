"""What a dose level of an injected agent is, and the dates the protocol puts between patients."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from itertools import pairwise
from math import inf

from hepatica.core.errors import InputError, ProtocolError
from hepatica.trials.outcomes import Dose, Patient, TrialData


@dataclass(frozen=True, slots=True, kw_only=True)
class DoseLevel:
    """Concentration times the volume ceiling of a visit.

    Examples
    --------
    >>> DoseLevel(concentration_pfu_per_ml=1e6, volume_ceiling_ml=4.0).ceiling_pfu
    4000000.0
    """

    concentration_pfu_per_ml: float
    volume_ceiling_ml: float

    def __post_init__(self) -> None:
        """Refuse amounts that are not positive."""
        if self.concentration_pfu_per_ml <= 0 or self.volume_ceiling_ml <= 0:
            raise InputError(
                expected="concentration and volume above 0",
                given=f"{self.concentration_pfu_per_ml:g} PFU/mL, {self.volume_ceiling_ml:g} mL",
                where="dose level",
            )

    @property
    def ceiling_pfu(self) -> float:
        """Largest amount of one visit."""
        return self.concentration_pfu_per_ml * self.volume_ceiling_ml


@dataclass(frozen=True, slots=True, kw_only=True)
class EscalationProtocol:
    """What the protocol says about levels, waiting and replacement; no number has a default.

    Parameters
    ----------
    levels
        Dose levels, rising in total amount.
    window_days
        DLT window.
    delay_days
        Least time between two first doses at a level.
    replace_non_evaluable
        Whether a patient who cannot be judged for DLT is replaced (counted nowhere) or counts as one without
        DLT.
    """

    levels: tuple[DoseLevel, ...]
    window_days: float
    delay_days: float
    replace_non_evaluable: bool

    def __post_init__(self) -> None:
        """Refuse levels that fall and windows that are not positive."""
        amounts = [level.ceiling_pfu for level in self.levels]
        if not amounts or any(a >= b for a, b in pairwise(amounts)):
            raise ProtocolError(
                expected="levels whose total amount rises",
                given=", ".join(f"{amount:g} PFU" for amount in amounts) or "none",
                where="dose levels",
            )
        if self.window_days <= 0 or self.delay_days < 0:
            raise ProtocolError(
                expected="a window above 0 and a delay of 0 or more days",
                given=f"{self.window_days:g}, {self.delay_days:g}",
                where="escalation protocol",
            )

    def read_patient(
        self, *, dose: int, first_dose_on: date, today: date, dlt_on: date | None, evaluable: bool = True
    ) -> Patient:
        """Return the patient as a design sees them today.

        Raises
        ------
        InputError
            If the first dose lies in the future, or the DLT before it.
        """
        elapsed = (today - first_dose_on).days
        if elapsed < 0 or (dlt_on is not None and dlt_on < first_dose_on):
            raise InputError(expected="dates in order", given="a date out of order", where="patient dates")
        counts = evaluable or not self.replace_non_evaluable
        inside = dlt_on is not None and (dlt_on - first_dose_on).days <= self.window_days and dlt_on <= today
        return Patient(
            dose=dose,
            dlt=inside,
            follow_up_fraction=1.0 if not evaluable else min(1.0, elapsed / self.window_days),
            days_left=max(0.0, self.window_days - elapsed),
            evaluable=counts,
        )

    def find_slot(self, first_doses: Sequence[tuple[Dose, date]], *, dose: Dose, today: date) -> date:
        """Return the earliest date at which the next patient may start at a dose, by the delay alone."""
        last = max((day for given, day in first_doses if given == dose), default=None)
        if last is None:
            return today
        return max(today, last + timedelta(days=self.delay_days))


def read_patients(rows: Sequence[dict[str, str]], *, where: str = "patients") -> TrialData:
    """Return trial data from table rows with ``dose, dlt, follow_up, window``.

    Optional columns: ``efficacy``, ``evaluable`` (1 or 0). Times in any one unit; days for dates of slots.

    Raises
    ------
    InputError
        If a column is missing or a value cannot be used.

    Examples
    --------
    >>> read_patients([{"dose": "1", "dlt": "0", "follow_up": "10", "window": "30"}]).patients[0].pending
    True
    """
    patients = []
    for number, row in enumerate(rows, start=1):
        try:
            first, _, second = row["dose"].strip().partition(".")
            dose: Dose = (int(first), int(second)) if second else int(first)
            follow_up, window = float(row["follow_up"]), float(row["window"])
            flags = {key: _read_flag(row.get(key) or default) for key, default in _FLAGS.items()}
        except (KeyError, ValueError, AttributeError) as error:
            missing = isinstance(error, KeyError)
            raise InputError(
                expected="columns dose, dlt, follow_up, window with numbers",
                given=f"no column {error}" if missing else "a value that is not a number",
                where=f"{where}, row {number}",
                action="correct the table",
            ) from None
        if not (0 < window < inf and 0 <= follow_up < inf):
            raise InputError(
                expected="a finite window above 0 and a finite follow-up of 0 or more",
                given=f"follow-up {follow_up:g}, window {window:g}",
                where=f"{where}, row {number}",
            )
        patient = Patient(
            dose=dose, dlt=flags["dlt"], efficacy=flags["efficacy"], evaluable=flags["evaluable"]
        )
        if not patient.dlt or follow_up < window:
            patient = replace(
                patient,
                follow_up_fraction=min(1.0, follow_up / window),
                days_left=max(0.0, window - follow_up),
            )
        patients.append(patient)
    return TrialData(patients=tuple(patients))


_FLAGS = {"dlt": "", "efficacy": "0", "evaluable": "1"}


def _read_flag(text: str) -> bool:
    words = {
        "1": True,
        "0": False,
        "true": True,
        "false": False,
        "y": True,
        "n": False,
        "yes": True,
        "no": False,
    }
    value = words.get(text.strip().lower())
    if value is None:
        raise ValueError(text)
    return value
