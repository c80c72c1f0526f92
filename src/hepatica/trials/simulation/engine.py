"""Simulate trials of any design in blocks; whole numbers are summed, so their order does not matter."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache, partial
from math import sqrt
from typing import Any

from hepatica.core.progress import Progress, Silent
from hepatica.trials.design import Design, Recommendation, StopKind
from hepatica.trials.outcomes import Patient, TrialData
from hepatica.trials.rules import FollowPath, RuledDesign
from hepatica.trials.simulation.job import BLOCK_TRIALS, BlockResult, SimulationJob


@dataclass(frozen=True, kw_only=True)
class OperatingCharacteristics:
    """What the simulated trials did, with Monte Carlo standard errors.

    Parameters
    ----------
    job
        What was simulated.
    selected
        Proportion of trials that selected each level.
    selected_none
        Proportion that selected no dose.
    selected_se
        Standard errors of `selected`.
    patients, dlts
        Mean patients and DLTs of a trial by level.
    duration_windows
        Mean duration in DLT windows; None for designs without time.
    """

    job: SimulationJob
    selected: tuple[float, ...]
    selected_none: float
    selected_se: tuple[float, ...]
    patients: tuple[float, ...]
    dlts: tuple[float, ...]
    total_se: float
    duration_windows: float | None

    def to_dict(self) -> dict[str, Any]:
        """Return plain values."""
        return {
            "design": self.job.design,
            "trials": self.job.trials,
            "seed": self.job.seed,
            "truth": list(self.job.truth),
            "cohort_size": self.job.cohort_size,
            "cohorts": self.job.cohorts,
            "selected": list(self.selected),
            "selected_none": self.selected_none,
            "selected_se": list(self.selected_se),
            "patients": list(self.patients),
            "dlts": list(self.dlts),
            "total_patients": sum(self.patients),
            "total_patients_se": self.total_se,
            "total_dlts": sum(self.dlts),
            "duration_windows": self.duration_windows,
        }


def simulate_trials(
    job: SimulationJob,
    *,
    run: Callable[
        [Callable[[tuple[SimulationJob, int]], BlockResult], Iterable[Any]], Iterable[BlockResult]
    ] = map,
    progress: Progress | None = None,
    finished: Mapping[int, BlockResult] | None = None,
    keep: Callable[[int, BlockResult], None] | None = None,
) -> OperatingCharacteristics:
    """Simulate and summarise.

    Parameters
    ----------
    job
        What to simulate.
    run
        A function like `map` that may spread blocks over workers; it must keep the order.
    progress
        Told after each block; asked whether to stop.
    finished
        Blocks of an earlier, interrupted run: they are not simulated again.
    keep
        Called with every new block, so that an interrupted run can be resumed.

    Raises
    ------
    CancelledError
        If the progress was told to stop; the blocks kept so far remain valid.

    Examples
    --------
    >>> job = SimulationJob(design="3+3", truth=(0.1, 0.5), trials=200)
    >>> round(sum(simulate_trials(job).selected) + simulate_trials(job).selected_none, 6)
    1.0
    """
    watch = progress or Silent()
    done = dict(finished or {})
    missing = [b for b in range(job.block_count) if b not in done]
    for count, (block, result) in enumerate(
        zip(missing, run(simulate_block, [(job, b) for b in missing])), start=1
    ):
        done[block] = result
        if keep is not None:
            keep(block, result)
        watch.advance(count / len(missing))
        watch.check_cancelled()
    return summarise_blocks(job, [done[b] for b in range(job.block_count)])


def summarise_blocks(job: SimulationJob, blocks: Iterable[BlockResult]) -> OperatingCharacteristics:
    """Return the operating characteristics from all blocks of a job."""
    parts = list(blocks)
    trials = sum(part.trials for part in parts)

    def total(name: str) -> list[int]:
        return [sum(column) for column in zip(*(getattr(part, name) for part in parts))]

    selected = [count / trials for count in total("selected")]
    patients = [count / trials for count in total("patients")]
    squares = total("squares")
    spread = max(0.0, squares[0] / trials - sum(patients) ** 2)
    return OperatingCharacteristics(
        job=job,
        selected=tuple(selected[:-1]),
        selected_none=selected[-1],
        selected_se=tuple(sqrt(p * (1 - p) / trials) for p in selected[:-1]),
        patients=tuple(patients),
        dlts=tuple(count / trials for count in total("dlts")),
        total_se=sqrt(spread / trials),
        duration_windows=squares[2] / trials / 1000 if squares[2] else None,
    )


def simulate_block(task: tuple[SimulationJob, int]) -> BlockResult:
    """Simulate one block of a job: a pure function of job and block number.

    Parameters
    ----------
    task
        The job and the number of the block, from 0.
    """
    import numpy as np

    job, block = task
    trials = min(BLOCK_TRIALS, job.trials - block * BLOCK_TRIALS)
    key = np.random.SeedSequence(job.seed, spawn_key=(block,)).generate_state(1, np.uint64)[0]
    runner = _make_runner(_Key(job))
    return runner(key, trials)


class _Key:
    """A job as dictionary key: equal jobs share compiled tables and answers met before."""

    def __init__(self, job: SimulationJob) -> None:
        self.job = job
        self.text = repr(job)

    def __hash__(self) -> int:
        return hash(self.text)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Key) and self.text == other.text


@lru_cache(maxsize=8)
def _make_runner(key: _Key) -> Callable[[Any, int], BlockResult]:
    from hepatica.trials.simulation import runners

    job = key.job
    design = job.make_design()
    for make in (
        runners.make_tite_boin_runner,
        runners.make_tite_crm_runner,
        runners.make_crm_runner,
        runners.make_interval_runner,
    ):
        runner = make(job, design)
        if runner is not None:
            return runner
    if job.in_time:
        from hepatica.trials.simulation.timed import run_timed_block

        return partial(run_timed_block, job=job, design=design, select=select_final)
    return _make_plain_runner(job, design)


def _make_plain_runner(job: SimulationJob, design: Design) -> Callable[[Any, int], BlockResult]:
    """Return a runner for any design: one trial after the other, each set of counts asked once."""
    answers: dict[Any, Recommendation] = {}
    ordered = isinstance(design, RuledDesign) and any(isinstance(rule, FollowPath) for rule in design.rules)

    def ask(data: TrialData) -> Recommendation:
        if ordered:
            counts: Any = tuple((p.dose, p.dlt, p.efficacy) for p in data.patients)
        else:
            tally: dict[Any, int] = {}
            for p in data.patients:
                tally[p.dose, p.dlt, p.efficacy] = tally.get((p.dose, p.dlt, p.efficacy), 0) + 1
            counts = (frozenset(tally.items()), data.current_dose)
        if counts not in answers:
            answers[counts] = design.next_dose(data)
        return answers[counts]

    def run(key: Any, trials: int) -> BlockResult:
        from hepatica.trials.simulation.kernels import draw_patients

        levels = len(job.truth)
        selected, patients, dlts, squares = [0] * (levels + 1), [0] * levels, [0] * levels, [0, 0, 0]
        most = job.cohort_size * job.cohorts
        for trial in range(trials):
            tolerance = draw_patients(key, trial, most, 0)
            response = draw_patients(key, trial, most, 1)
            data = TrialData()
            advice = ask(data)
            while data.total < most and advice.continue_ and isinstance(advice.recommended_dose, int):
                dose, given = advice.recommended_dose, data.total
                p_response = job.response[dose - 1] if job.response else 0.0
                data = data.extend(
                    Patient(
                        dose=dose,
                        dlt=bool(tolerance[i] < job.truth[dose - 1]),
                        efficacy=bool(response[i] < p_response),
                    )
                    for i in range(given, min(given + job.cohort_size, most))
                )
                advice = ask(data)
            chosen = select_final(design, data, advice)
            selected[chosen - 1 if chosen else levels] += 1
            counts, toxic = data.counts(levels)
            for j in range(levels):
                patients[j] += counts[j]
                dlts[j] += toxic[j]
            squares[0] += data.total**2
            squares[1] += sum(toxic) ** 2
        return BlockResult(
            trials=trials,
            selected=tuple(selected),
            patients=tuple(patients),
            dlts=tuple(dlts),
            squares=tuple(squares),
        )

    return run


def select_final(design: Design, data: TrialData, advice: Recommendation) -> int | None:
    """Return the dose a finished trial selects: its answer when complete, else the selection rule's."""
    dose = advice.recommended_dose if isinstance(advice.recommended_dose, int) else None
    if not advice.continue_ and advice.stop_kind in (StopKind.TOXICITY, StopKind.COMPLETE, StopKind.FUTILITY):
        return dose
    best = getattr(design, "select_best", None)
    if best is not None:
        answer: int | None = best(data)
        return answer
    select = getattr(design, "select", None)
    if select is None:
        return dose
    chosen: int | None = select(*data.counts(design.dose_count))
    return chosen
