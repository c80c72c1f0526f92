"""A long simulation on a Dask cluster of one worker and of two: how much the second one gains."""

from __future__ import annotations

import os
import sys
import time
from dataclasses import dataclass

TRUTH = (0.05, 0.1, 0.2, 0.3, 0.45)
SKELETON = (0.05, 0.12, 0.25, 0.4, 0.55)
SECONDS = 45.0
"""The promise is about jobs of 40 s or more on one worker."""
PILOT_TRIALS = 4_000
BAR = "1.7x, stretch 1.9x"


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterRun:
    """One job on one and on two workers."""

    trials: int
    one_s: float
    two_s: float
    load: float
    same: bool

    @property
    def ratio(self) -> float:
        """How many times faster two workers are."""
        return self.one_s / self.two_s


def run_job(trials: int, *, workers: int) -> tuple[float, object]:
    """Return seconds and result of one job; a first small one loads compiled code in each worker."""
    from distributed import LocalCluster

    from hepatica.adapters.compute.dask_cluster import connect_scheduler
    from hepatica.trials.simulation.engine import simulate_trials
    from hepatica.trials.simulation.job import SimulationJob

    options = {"target": 0.25, "skeleton": SKELETON}
    shared = {"design": "tite-crm", "options": options, "truth": TRUTH, "cohorts": 8}
    with (
        LocalCluster(
            n_workers=workers, threads_per_worker=1, processes=True, dashboard_address=None
        ) as cluster,
        connect_scheduler(cluster.scheduler_address) as executor,
    ):
        simulate_trials(SimulationJob(trials=PILOT_TRIALS, seed=1, **shared), run=executor.map)
        started = time.perf_counter()
        result = simulate_trials(SimulationJob(trials=trials, seed=2, **shared), run=executor.map)
        return time.perf_counter() - started, result.to_dict()


def measure_cluster() -> ClusterRun:
    """Measure a job long enough on one worker, then the same on two."""
    pilot_s, _ = run_job(2 * PILOT_TRIALS, workers=1)
    trials = int(2 * PILOT_TRIALS * SECONDS / pilot_s / PILOT_TRIALS + 1) * PILOT_TRIALS
    before = os.getloadavg()[0]
    one_s, one = run_job(trials, workers=1)
    two_s, two = run_job(trials, workers=2)
    return ClusterRun(trials=trials, one_s=one_s, two_s=two_s, load=before, same=one == two)


if __name__ == "__main__":
    found = measure_cluster()
    print(
        f"tite-crm, {found.trials} trials: {found.one_s:.1f} s on one worker, {found.two_s:.1f} s on two: "
        f"{found.ratio:.2f}x; bar {BAR}; same result: {found.same}; load before {found.load:.1f}, "
        f"{os.cpu_count()} cores"
    )
    sys.exit(0 if found.same else 1)
