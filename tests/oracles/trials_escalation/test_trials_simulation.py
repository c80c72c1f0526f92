"""Simulated trials against exact enumeration, against the plain loop, and against themselves."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from math import sqrt

import numpy as np
import pytest

from hepatica.core.errors import CancelledError, InputError
from hepatica.trials.escalation import find_design
from hepatica.trials.simulation import engine
from hepatica.trials.simulation.engine import simulate_block, simulate_trials
from hepatica.trials.simulation.exact import derive_exact_characteristics
from hepatica.trials.simulation.job import BLOCK_TRIALS, SimulationJob
from hepatica.trials.simulation.kernels import draw_patients
from hepatica.trials.simulation.timed import run_timed_block

TRUTH = (0.1, 0.25, 0.45)
SKELETON = {"skeleton": (0.1, 0.25, 0.4), "target": 0.25}
STANDARD_ERRORS = 4.0  # the promise: within four standard errors
ROUNDING = 1e-9
CASES = [
    ("3+3", {}, ()),
    ("rolling6", {}, ()),
    ("boin", {"target": 0.25}, ()),
    ("mtpi2", {"target": 0.25}, ()),
    ("tpi", {"target": 0.25}, ()),
    ("crm", SKELETON, ()),
    ("crm", {**SKELETON, "model": "logistic", "allow_skipping": True}, ()),
    ("boin", {"target": 0.25}, (("stop-n-at-dose", "6:any"),)),
    ("blrm", {}, ()),
]


@pytest.mark.requirement("E-simulation-exact")
@pytest.mark.parametrize(("name", "options", "rules"), CASES)
def test_simulated_frequencies_lie_within_four_standard_errors_of_exact_enumeration(name, options, rules):
    job = SimulationJob(
        design=name, options=options, rules=rules, truth=TRUTH, trials=3000, seed=11, cohorts=4
    )
    seen = simulate_trials(job)
    exact = derive_exact_characteristics(job.make_design(), truth=TRUTH, cohort_size=3, cohorts=4)
    assert abs(sum(exact.selected) + exact.selected_none - 1.0) < ROUNDING
    for p, frequency in zip((*exact.selected, exact.selected_none), (*seen.selected, seen.selected_none)):
        assert abs(frequency - p) <= STANDARD_ERRORS * sqrt(p * (1 - p) / job.trials) + ROUNDING
    assert abs(sum(seen.patients) - sum(exact.patients)) <= STANDARD_ERRORS * seen.total_se + ROUNDING


@pytest.mark.requirement("E-simulation-exact")
@pytest.mark.parametrize("name", ["boin", "tpi", "keyboard", "i3+3", "crm"])
def test_compiled_loops_treat_the_same_patients_in_the_same_way_as_the_plain_loop(name):
    options = {"target": 0.25, "skeleton": (0.05, 0.15, 0.25, 0.4)} if name == "crm" else {"target": 0.25}
    job = SimulationJob(
        design=name, options=options, truth=(0.05, 0.15, 0.3, 0.5), trials=400, seed=3, cohorts=7
    )
    key = np.random.SeedSequence(job.seed, spawn_key=(0,)).generate_state(1, np.uint64)[0]
    plain = engine._make_plain_runner(job, job.make_design())(key, 400)
    fast = simulate_block((job, 0))
    assert (fast.selected, fast.patients, fast.dlts) == (plain.selected, plain.patients, plain.dlts)


@pytest.mark.requirement("E-same-bytes")
@pytest.mark.parametrize("name", ["boin", "crm", "tite-boin"])
def test_any_number_of_workers_gives_the_same_bytes(name):
    options = SKELETON if name == "crm" else {"target": 0.25}
    job = SimulationJob(design=name, options=options, truth=TRUTH, trials=3 * BLOCK_TRIALS + 5, seed=8)
    alone = repr(simulate_trials(job).to_dict())
    with ThreadPoolExecutor(3) as pool:
        assert repr(simulate_trials(job, run=pool.map).to_dict()) == alone
    backwards = {b: simulate_block((job, b)) for b in reversed(range(job.block_count))}
    assert repr(simulate_trials(job, finished=backwards).to_dict()) == alone


class StopAfter:
    """A progress that is cancelled after some blocks."""

    def __init__(self, blocks):
        self.left = blocks

    def stage(self, name):
        """Ignore."""

    def advance(self, fraction):
        self.left -= 1

    def check_cancelled(self):
        if self.left <= 0:
            raise CancelledError(where="simulation")


@pytest.mark.requirement("E-cancel-resume")
def test_a_cancelled_run_resumes_from_the_blocks_it_kept():
    job = SimulationJob(design="boin", options={"target": 0.25}, truth=TRUTH, trials=4 * BLOCK_TRIALS, seed=5)
    kept = {}
    with pytest.raises(CancelledError):
        simulate_trials(job, progress=StopAfter(2), keep=kept.__setitem__)
    assert sorted(kept) == [0, 1]
    fresh = []
    resumed = simulate_trials(job, finished=kept, keep=lambda block, result: fresh.append(block))
    assert fresh == [2, 3]
    assert resumed == simulate_trials(job)


@pytest.mark.requirement("E-simulation-exact")
def test_patients_are_uniform_and_lanes_independent():
    numbers = np.concatenate(
        [np.array([draw_patients(np.uint64(7), t, 30, lane) for t in range(4000)]).ravel() for lane in (0, 1)]
    )
    half = numbers.size // 2
    counts, _ = np.histogram(numbers[:half], bins=50, range=(0, 1))
    expected = half / 50
    chi2 = ((counts - expected) ** 2 / expected).sum()
    assert chi2 < 49 + STANDARD_ERRORS * sqrt(2 * 49)
    assert abs(np.corrcoef(numbers[:half], numbers[half:])[0, 1]) < STANDARD_ERRORS / sqrt(half)
    assert abs(np.corrcoef(numbers[: half - 1], numbers[1:half])[0, 1]) < STANDARD_ERRORS / sqrt(half)


@pytest.mark.requirement("E-tite-boin")
def test_with_slow_accrual_tite_boin_treats_as_boin_does():
    job = SimulationJob(
        design="tite-boin", options={"target": 0.25}, truth=TRUTH, trials=4000, seed=2, gap=1000.0
    )
    timed = simulate_trials(job)
    plain = simulate_trials(
        SimulationJob(design="boin", options={"target": 0.25}, truth=TRUTH, trials=4000, seed=2)
    )
    assert timed.selected == plain.selected
    assert timed.patients == plain.patients


@pytest.mark.requirement("E-tite-boin")
def test_faster_accrual_shortens_trials_in_time():
    durations = [
        simulate_trials(
            SimulationJob(
                design="tite-boin", options={"target": 0.25}, truth=TRUTH, trials=2000, seed=2, gap=gap
            )
        ).duration_windows
        for gap in (0.1, 0.3, 1.0)
    ]
    assert durations == sorted(durations)
    assert durations[0] > 1.0


@pytest.mark.requirement("E-impossible-input")
@pytest.mark.parametrize(
    "change",
    [{"truth": (0.1, 1.2)}, {"truth": ()}, {"trials": 0}, {"cohort_size": 0}, {"window": 0.0}, {"seed": -1}],
)
def test_impossible_simulations_are_refused(change):
    with pytest.raises(InputError):
        SimulationJob(**{"design": "boin", "options": {"target": 0.3}, "truth": TRUTH, **change})


@pytest.mark.requirement("E-boin12")
def test_boin12_selects_the_dose_with_the_better_trade_off():
    options = {"phi_t": 0.35, "phi_e": 0.25}
    job = SimulationJob(
        design="boin12",
        options=options,
        truth=(0.05, 0.1, 0.3),
        response=(0.1, 0.5, 0.5),
        trials=300,
        seed=4,
        cohorts=12,
    )
    assert simulate_trials(job).selected[1] > 0.5
    assert find_design("boin12", dose_count=3, **options).select_best is not None


TIMED = [
    ("tite-crm", {"skeleton": (0.05, 0.15, 0.25, 0.4), "target": 0.25}),
    (
        "tite-crm",
        {"skeleton": (0.05, 0.15, 0.25, 0.4), "target": 0.25, "model": "logistic", "allow_skipping": True},
    ),
    ("tite-boin", {"target": 0.25}),
]


@pytest.mark.requirement("E-simulation-in-time")
@pytest.mark.parametrize(("name", "options"), TIMED)
def test_compiled_loops_in_time_treat_the_same_patients_in_the_same_way_as_the_design_itself(name, options):
    job = SimulationJob(
        design=name, options=options, truth=(0.05, 0.15, 0.3, 0.5), trials=60, seed=3, cohorts=6, gap=0.2
    )
    assert job.in_time
    key = np.random.SeedSequence(job.seed, spawn_key=(0,)).generate_state(1, np.uint64)[0]
    plain = run_timed_block(key, job.trials, job=job, design=job.make_design(), select=engine.select_final)
    fast = simulate_block((job, 0))
    assert fast == plain


@pytest.mark.requirement("E-simulation-in-time")
def test_with_slow_accrual_tite_crm_treats_as_crm_does():
    timed = simulate_trials(
        SimulationJob(design="tite-crm", options=SKELETON, truth=TRUTH, trials=2000, seed=2, gap=1000.0)
    )
    plain = simulate_trials(SimulationJob(design="crm", options=SKELETON, truth=TRUTH, trials=2000, seed=2))
    assert (timed.selected, timed.patients, timed.dlts) == (plain.selected, plain.patients, plain.dlts)


@pytest.mark.requirement("E-simulation-in-time")
@pytest.mark.parametrize("name", ["tite-boin", "tite-crm"])
def test_rules_and_time_go_together(name):
    options = SKELETON if name == "tite-crm" else {"target": 0.25}
    rules = (("stop-n-at-dose", "6:any"),)
    job = SimulationJob(design=name, options=options, rules=rules, truth=TRUTH, trials=40, seed=2)
    ruled = simulate_trials(job)
    free = simulate_trials(SimulationJob(design=name, options=options, truth=TRUTH, trials=40, seed=2))
    assert sum(ruled.patients) < sum(free.patients)
    assert 1.0 < ruled.duration_windows < free.duration_windows
    assert all(n <= 8 for n in ruled.patients)  # at most one cohort beyond the six


@pytest.mark.requirement("E-simulation-in-time")
def test_adaptive_weights_and_maximum_likelihood_run_in_time_too():
    adaptive = SimulationJob(
        design="tite-crm",
        options={**SKELETON, "weighting": "adaptive"},
        truth=TRUTH,
        trials=20,
        seed=2,
        cohorts=4,
    )
    assert simulate_trials(adaptive).duration_windows > 1.0
    likely = SimulationJob(
        design="tite-crm",
        options={**SKELETON, "method": "mle"},
        rules=(("follow-path", "1NNN 2NNN 3NNN"),),
        truth=(0.6, 0.7, 0.8),
        trials=5,
        seed=2,
        cohorts=4,
    )
    assert sum(simulate_trials(likely).selected) <= 1.0


@pytest.mark.requirement("E-same-bytes")
def test_trials_in_time_give_the_same_bytes_on_any_number_of_workers():
    job = SimulationJob(
        design="tite-crm", options=SKELETON, truth=TRUTH, trials=BLOCK_TRIALS + 5, seed=8, cohorts=3
    )
    with ThreadPoolExecutor(2) as pool:
        assert repr(simulate_trials(job, run=pool.map).to_dict()) == repr(simulate_trials(job).to_dict())
