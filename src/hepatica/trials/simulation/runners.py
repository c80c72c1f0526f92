"""Choose the compiled loop that fits a design, and prepare its tables."""

from __future__ import annotations

from collections.abc import Callable
from threading import local
from typing import Any

from hepatica.trials.design import Action, Design
from hepatica.trials.escalation.bf_boin import BfBoin
from hepatica.trials.escalation.boin12 import Boin12
from hepatica.trials.escalation.crm import Crm
from hepatica.trials.escalation.interval import IntervalDesign
from hepatica.trials.escalation.tite_boin import TiteBoin
from hepatica.trials.escalation.tite_crm import TiteCrm
from hepatica.trials.simulation.job import (
    CRM_GRID_POINTS,
    HASH_SLOTS,
    LARGEST_CODE,
    BlockResult,
    SimulationJob,
)

Runner = Callable[[Any, int], BlockResult]


def make_interval_runner(job: SimulationJob, design: Design) -> Runner | None:
    """Return a table-driven runner for interval designs without rules, None for other designs."""
    plain: object = design
    if isinstance(plain, (Boin12, BfBoin, TiteBoin)) or not isinstance(design, IntervalDesign):
        return None
    import numpy as np

    from hepatica.trials.simulation.kernels import run_interval_block

    action, gone, mean, weight = _make_tables(job, design)
    truth = np.array(job.truth)

    def run(key: Any, trials: int) -> BlockResult:
        return _to_result(
            trials,
            run_interval_block(
                key,
                trials,
                truth,
                design.start_dose - 1,
                job.cohorts,
                job.cohort_size,
                action,
                gone,
                mean,
                weight,
                design.target,
            ),
        )

    return run


def make_tite_boin_runner(job: SimulationJob, design: Design) -> Runner | None:
    """Return a runner in time for TITE-BOIN without rules, None for other designs."""
    if not isinstance(design, TiteBoin):
        return None
    import numpy as np

    from hepatica.trials.simulation.kernels import run_tite_boin_block

    _, gone, mean, weight = _make_tables(job, design)
    truth, limits = np.array(job.truth), np.array(design.boundaries)
    head = (design.start_dose - 1, job.cohorts, job.cohort_size)

    def run(key: Any, trials: int) -> BlockResult:
        return _to_result(
            trials,
            run_tite_boin_block(
                key, trials, truth, *head, gone, mean, weight, design.target, limits, job.window, job.gap
            ),
        )

    return run


def make_tite_crm_runner(job: SimulationJob, design: Design) -> Runner | None:
    """Return a runner in time for the Bayesian TITE-CRM with linear weights and no rules, else None."""
    if not isinstance(design, TiteCrm) or design.method != "bayes" or design.weighting != "linear":
        return None
    import numpy as np

    from hepatica.trials.simulation.crm_kernels import run_tite_crm_block

    head = (np.array(job.truth), design.start_dose - 1, job.cohorts, job.cohort_size, design.allow_skipping)
    model = (_make_curves(design), np.array(design.scaled), design.intercept, design.model == "empiric")

    def run(key: Any, trials: int) -> BlockResult:
        return _to_result(
            trials, run_tite_crm_block(key, trials, *head, *model, design.target, job.window, job.gap)
        )

    return run


def make_crm_runner(job: SimulationJob, design: Design) -> Runner | None:
    """Return a runner for the Bayesian CRM without rules, outcomes complete; None for other designs."""
    if not isinstance(design, Crm) or isinstance(design, TiteCrm) or design.method != "bayes":
        return None
    import numpy as np

    from hepatica.trials.simulation.kernels import run_crm_block

    levels = design.dose_count
    scaled, empiric = np.array(design.scaled), design.model == "empiric"
    curves = _make_curves(design)
    base = job.cohorts * job.cohort_size + 1
    slots = HASH_SLOTS if base ** (2 * levels) < LARGEST_CODE else 1
    own = local()  # each thread its own table: the loop releases the interpreter lock
    truth = np.array(job.truth)
    head = (design.start_dose - 1, job.cohorts, job.cohort_size, design.allow_skipping)

    def run(key: Any, trials: int) -> BlockResult:
        if not hasattr(own, "keys") or (own.keys >= 0).sum() > slots // 2:
            own.keys, own.answers = np.full(slots, -1, np.int64), np.zeros(slots, np.int8)
        return _to_result(
            trials,
            run_crm_block(
                key,
                trials,
                truth,
                *head,
                curves,
                scaled,
                design.intercept,
                empiric,
                design.target,
                own.keys,
                own.answers,
            ),
        )

    return run


def _make_curves(design: Crm) -> Any:
    """Return log DLT and log no-DLT probability by level on a grid of b, then log prior, then the grid."""
    import numpy as np

    grid = np.linspace(-10 * design.prior_sd, 10 * design.prior_sd, CRM_GRID_POINTS)
    value = np.exp(grid)[None, :] * np.array(design.scaled)[:, None]
    empiric = design.model == "empiric"
    log_p = np.maximum(value, -700.0) if empiric else -np.logaddexp(0.0, -(design.intercept + value))
    log_q = np.log(np.maximum(-np.expm1(log_p), 1e-300))
    return np.vstack([log_p, log_q, -0.5 * (grid / design.prior_sd) ** 2, grid])


def _make_tables(job: SimulationJob, design: IntervalDesign) -> tuple[Any, Any, Any, Any]:
    import numpy as np

    most = job.cohorts * job.cohort_size
    step = {Action.ESCALATE: 1, Action.STAY: 0, Action.DEESCALATE: -1}
    action = np.zeros((most + 1, most + 1), np.int64)
    gone = np.zeros((most + 1, most + 1), np.bool_)
    for n in range(1, most + 1):
        if n % job.cohort_size == 0 or isinstance(design, TiteBoin):
            eliminated = False
            for x in range(n + 1):
                action[n, x] = step[design.action(n, x)]
                eliminated = eliminated or design.eliminates(n, x)
                gone[n, x] = eliminated
    a, b = design.estimate_prior
    n, x = np.meshgrid(np.arange(most + 1.0), np.arange(most + 1.0), indexing="ij")
    total, hits = n + a + b, np.minimum(x, n) + a
    mean = hits / total
    weight = total * total * (total + 1.0) / (hits * (total - hits))
    return action, gone, mean, weight


def _to_result(trials: int, sums: tuple[Any, ...]) -> BlockResult:
    selected, patients, dlts, squares = (tuple(int(v) for v in part) for part in sums)
    return BlockResult(
        trials=trials,
        selected=selected,
        patients=patients,
        dlts=dlts,
        squares=squares if len(squares) == 3 else (*squares, 0),
    )
