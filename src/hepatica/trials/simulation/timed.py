"""Trials in time for any design that uses open windows: one after the other, each decision asked of the design.

The compiled loops are for the usual settings; this one also takes rules, adaptive weights and maximum
likelihood, and the compiled loops are tested against it. Patients are those of
`hepatica.trials.simulation.kernels`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import inf, log1p
from typing import Any

from hepatica.core.errors import InputError
from hepatica.trials.design import Design, Recommendation
from hepatica.trials.outcomes import Patient, TrialData
from hepatica.trials.simulation.job import BlockResult, SimulationJob

Select = Callable[[Design, TrialData, Recommendation], int | None]
LEAST_STEP = 1e-12
"""A window that closes at a moment, up to rounding, is closed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Treated:
    dose: int
    arrival: float
    event: float
    responds: bool


def run_timed_block(
    key: Any, trials: int, *, job: SimulationJob, design: Design, select: Select
) -> BlockResult:
    """Simulate trials with accrual in time.

    Parameters
    ----------
    key, trials
        Key of the block, trials in it.
    job, design
        What is simulated.
    select
        Chooses the dose of a finished trial from design, complete data and last advice.

    Raises
    ------
    InputError
        If the design holds accrual although no outcome is pending.
    """
    levels = len(job.truth)
    selected, patients, dlts, squares = [0] * (levels + 1), [0] * levels, [0] * levels, [0, 0, 0]
    for trial in range(trials):
        treated, end = _run_trial(_draw_trial(key, trial, job), job=job, design=design)
        data = _look(treated, end, window=job.window)
        chosen = select(design, data, design.next_dose(data))
        selected[chosen - 1 if chosen else levels] += 1
        counts, toxic = data.counts(levels)
        for j in range(levels):
            patients[j] += counts[j]
            dlts[j] += toxic[j]
        squares[0] += len(treated) ** 2
        squares[1] += sum(toxic) ** 2
        squares[2] += int(1000.0 * end / job.window + 0.5)
    return BlockResult(
        trials=trials,
        selected=tuple(selected),
        patients=tuple(patients),
        dlts=tuple(dlts),
        squares=tuple(squares),
    )


def _draw_trial(key: Any, trial: int, job: SimulationJob) -> tuple[list[float], ...]:
    from hepatica.trials.simulation.kernels import LANES, draw_patients

    most = job.cohort_size * job.cohorts
    return tuple([float(v) for v in draw_patients(key, trial, most, lane)] for lane in range(LANES))


def _run_trial(
    numbers: tuple[list[float], ...], *, job: SimulationJob, design: Design
) -> tuple[list[_Treated], float]:
    tolerance, response, dlt_time, waiting = numbers
    treated: list[_Treated] = []
    now, dose = 0.0, 0
    for i in range(job.cohort_size * job.cohorts):
        now += -job.gap * log1p(-waiting[i])
        if i % job.cohort_size == 0:
            now, advice = _ask(treated, now, window=job.window, design=design)
            if not advice.continue_ or not isinstance(advice.recommended_dose, int):
                break
            dose = advice.recommended_dose
        toxic = tolerance[i] < job.truth[dose - 1]
        treated.append(
            _Treated(
                dose=dose,
                arrival=now,
                event=now + job.window * (1.0 - dlt_time[i]) if toxic else inf,
                responds=bool(job.response) and response[i] < job.response[dose - 1],
            )
        )
    return treated, now + job.window


def _ask(
    treated: list[_Treated], now: float, *, window: float, design: Design
) -> tuple[float, Recommendation]:
    """Return when the next cohort may start, after any suspension, and the advice then."""
    while True:
        advice = design.next_dose(_look(treated, now, window=window))
        if advice.hold is None or not advice.continue_:
            return now, advice
        ends = [min(p.event, p.arrival + window) for p in treated]
        later = [end for end in ends if end > now + LEAST_STEP]
        if not later:
            raise InputError(
                expected="a design that goes on once every outcome is known",
                given=advice.hold.why,
                where="simulation",
            )
        now = min(later)


def _look(treated: list[_Treated], now: float, *, window: float) -> TrialData:
    """Return what is known of the patients at a moment."""
    known = []
    for p in treated:
        toxic = p.event <= now
        follow_up = (p.event if toxic else now) - p.arrival
        closed = now >= p.arrival + window - LEAST_STEP
        fraction = 1.0 if closed and not toxic else min(max(follow_up / window, 0.0), 1.0)
        known.append(Patient(dose=p.dose, dlt=toxic, efficacy=p.responds, follow_up_fraction=fraction))
    return TrialData(patients=tuple(known))
