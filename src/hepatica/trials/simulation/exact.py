"""Exact operating characteristics of small trials, by visiting every set of counts once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from hepatica.core.errors import InputError
from hepatica.trials.beta_distribution import measure_binomial_pmf
from hepatica.trials.design import Design
from hepatica.trials.outcomes import Patient, TrialData
from hepatica.trials.simulation.engine import select_final


@dataclass(frozen=True, slots=True, kw_only=True)
class ExactCharacteristics:
    """Exact counterparts of simulated frequencies.

    Parameters
    ----------
    selected
        Probability of selecting each level.
    selected_none
        Probability of selecting no dose.
    patients, dlts
        Expected patients and DLTs by level.
    """

    selected: tuple[float, ...]
    selected_none: float
    patients: tuple[float, ...]
    dlts: tuple[float, ...]


def derive_exact_characteristics(
    design: Design, *, truth: Sequence[float], cohort_size: int, cohorts: int
) -> ExactCharacteristics:
    """Return exact operating characteristics of a design that decides from counts and current dose.

    Trials in the same state are followed together, so the work grows with the number of states, not of paths.

    Parameters
    ----------
    design
        A single-agent design whose decisions depend on the counts and the current dose.
    truth
        True DLT probabilities.
    cohort_size, cohorts
        Patients in a cohort, most cohorts.

    Examples
    --------
    >>> from hepatica.trials.escalation.three_plus_three import ThreePlusThree
    >>> design = ThreePlusThree(dose_count=1)
    >>> exact = derive_exact_characteristics(design, truth=(0.5,), cohort_size=3, cohorts=2)
    >>> round(exact.selected[0], 6)  # 0 of 3, or 1 of 3 and then 0 of 3
    0.171875
    """
    levels = design.dose_count
    if len(truth) != levels:
        raise InputError(expected=f"{levels} true probabilities", given=str(len(truth)), where="truth")
    selected, patients, dlts = [0.0] * (levels + 1), [0.0] * levels, [0.0] * levels
    states: dict[tuple[tuple[int, ...], tuple[int, ...], int], float] = {
        ((0,) * levels, (0,) * levels, 0): 1.0
    }
    for step in range(cohorts + 1):
        following: dict[tuple[tuple[int, ...], tuple[int, ...], int], float] = {}
        for (n, x, current), chance in states.items():
            data = _to_data(n, x, current)
            advice = design.next_dose(data)
            dose = advice.recommended_dose
            if step == cohorts or not advice.continue_ or not isinstance(dose, int):
                chosen = select_final(design, data, advice)
                selected[chosen - 1 if chosen else levels] += chance
                for j in range(levels):
                    patients[j] += chance * n[j]
                    dlts[j] += chance * x[j]
                continue
            for hits in range(cohort_size + 1):
                here = chance * measure_binomial_pmf(hits, n=cohort_size, p=truth[dose - 1])
                more = tuple(c + cohort_size * (j == dose - 1) for j, c in enumerate(n))
                toxic = tuple(c + hits * (j == dose - 1) for j, c in enumerate(x))
                key = (more, toxic, dose)
                following[key] = following.get(key, 0.0) + here
        states = following
    return ExactCharacteristics(
        selected=tuple(selected[:-1]), selected_none=selected[-1], patients=tuple(patients), dlts=tuple(dlts)
    )


def _to_data(n: tuple[int, ...], x: tuple[int, ...], current: int) -> TrialData:
    order = [d for d in range(1, len(n) + 1) if d != current] + ([current] if current else [])
    return TrialData(
        patients=tuple(Patient(dose=d, dlt=i < x[d - 1]) for d in order for i in range(n[d - 1]))
    )
