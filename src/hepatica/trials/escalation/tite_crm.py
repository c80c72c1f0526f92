"""TITE-CRM (Cheung and Chappell 2000, doi:10.1111/j.0006-341X.2000.01177.x): CRM that uses open windows.

A patient without DLT counts with weight follow-up / window (linear), or by the adaptive weights of the paper,
which follow the DLT times seen. A patient with a DLT counts fully.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from typing import Any, ClassVar

from hepatica.core.errors import InputError
from hepatica.trials.escalation.crm import Crm
from hepatica.trials.outcomes import TrialData


@dataclass(frozen=True, kw_only=True)
class TiteCrm(Crm):
    """TITE-CRM.

    Parameters
    ----------
    weighting
        ``linear`` or ``adaptive``.

    Examples
    --------
    >>> from hepatica.trials.outcomes import Patient, TrialData
    >>> data = TrialData(patients=(Patient(dose=1, dlt=False, follow_up_fraction=0.5),))
    >>> TiteCrm(skeleton=(0.1, 0.3), target=0.2).weights(data)
    (0.5,)
    """

    name: ClassVar[str] = "tite-crm"
    weighting: str = "linear"

    def __post_init__(self) -> None:
        """Refuse impossible settings."""
        super().__post_init__()
        if self.weighting not in ("linear", "adaptive"):
            raise InputError(expected="linear or adaptive", given=f"'{self.weighting}'", where="weighting")

    def weights(self, data: TrialData) -> tuple[float, ...]:
        """Return the weight of each evaluable patient, 1 for one with a DLT."""
        patients = data.evaluable_patients()
        times = sorted(p.follow_up_fraction for p in patients if p.dlt)
        if self.weighting == "linear" or not times:
            return tuple(1.0 if p.dlt else p.follow_up_fraction for p in patients)
        return tuple(1.0 if p.dlt else _adaptive(p.follow_up_fraction, times) for p in patients)

    def derive_hold(self, data: TrialData) -> Any:
        """Return no hold: open windows are used as they are."""
        return None

    def usable(self, data: TrialData) -> TrialData:
        """Return all patients."""
        return data


def _adaptive(follow_up: float, times: list[float]) -> float:
    count = len(times)
    edges = [0.0, *times, 1.0]
    below = bisect_right(times, follow_up)
    low, high = edges[below], edges[below + 1]
    part = (follow_up - low) / (high - low) if high > low else 1.0
    return min(1.0, (below + part) / (count + 1))
