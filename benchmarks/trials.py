"""Simulated trials, Simon searches and start-up of the trial commands, beside the bars and the peers."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass

from benchmarks.commands import HEPATICA, Command, measure

TRUTH = (0.05, 0.1, 0.2, 0.3, 0.45)
SKELETON = (0.05, 0.12, 0.25, 0.4, 0.55)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """One measured rate."""

    name: str
    seconds: float
    per_second: float
    bar: str
    peer: str


def measure_simulation(
    name: str, options: dict[str, object], *, trials: int, cohorts: int, bar: str, peer: str
) -> Rate:
    """Simulate on one core with new tables; compiled loops may come from the disk cache, as for a user."""
    from hepatica.trials.simulation.engine import simulate_trials
    from hepatica.trials.simulation.job import SimulationJob

    shared = {"design": name, "options": options, "truth": TRUTH, "cohorts": cohorts}
    simulate_trials(
        SimulationJob(trials=10, seed=1, **shared)
    )  # load compiled code, not the tables of the next job
    started = time.perf_counter()
    simulate_trials(SimulationJob(trials=trials, seed=2, **shared))
    seconds = time.perf_counter() - started
    return Rate(
        name=f"{name}, {trials} trials", seconds=seconds, per_second=trials / seconds, bar=bar, peer=peer
    )


def measure_simon() -> Rate:
    """Search 72 designs with nmax 150 without any table kept from the one before."""
    from hepatica.trials.phase2 import simon

    cases = [
        (p0, p0 + step, alpha, beta)
        for p0 in (0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7)
        for step in (0.15, 0.2, 0.25)
        for alpha, beta in ((0.05, 0.2), (0.05, 0.1), (0.1, 0.1))
    ]
    worst = total = 0.0
    for p0, p1, alpha, beta in cases:
        simon._tabulate.cache_clear()
        simon._pmf.cache_clear()
        started = time.perf_counter()
        simon.find_simon_designs(p0, p1, alpha=alpha, beta=beta, nmax=150)
        spent = time.perf_counter() - started
        worst, total = max(worst, spent), total + spent
    mean = total / len(cases)
    return Rate(
        name=f"Simon search, mean (worst {worst:.4f} s)",
        seconds=mean,
        per_second=1 / mean,
        bar="0.05 s, stretch 0.01 s",
        peer="ph2simon 0.24 s",
    )


def list_rates() -> list[Callable[[], Rate]]:
    """Return the measurements of this file."""
    return [
        lambda: measure_simulation(
            "boin",
            {"target": 0.3},
            trials=1_000_000,
            cohorts=10,
            bar="500 000/s, stretch 3 M/s",
            peer="BOIN get.oc 560 - 10 000/s",
        ),
        lambda: measure_simulation(
            "crm",
            {"target": 0.25, "skeleton": SKELETON},
            trials=1_000_000,
            cohorts=8,
            bar="100 000/s, stretch 500 000/s",
            peer="dfcrm crmsim 40 - 92/s",
        ),
        lambda: measure_simulation(
            "tite-boin",
            {"target": 0.3},
            trials=200_000,
            cohorts=10,
            bar="50 000/s, stretch 200 000/s",
            peer="none timed",
        ),
        lambda: measure_simulation(
            "tite-crm",
            {"target": 0.25, "skeleton": SKELETON},
            trials=8_000,
            cohorts=8,
            bar="none set",
            peer="none timed",
        ),
        measure_simon,
    ]


COMMANDS = tuple(
    Command(
        name=f"hepatica trial {words.split(' --')[0]}",
        arguments=(*HEPATICA, "trial", *words.split(), "--json"),
        runs=5,
        bar="0.6 s, stretch 0.3 s",
    )
    for words in (
        "next-dose boin --doses 5 --target 0.3 --outcomes 1NNN",
        "table boin --target 0.3 --max-n 30",
        "interval --x 2 --n 24",
        "phase2 simon --p0 .1 --p1 .3",
    )
)


def main() -> None:
    """Print both tables."""
    print(f"{'what':<44} {'s':>9} {'per second':>12}   {'bar':<30} peer")
    for rate in (take() for take in list_rates()):
        print(f"{rate.name:<44} {rate.seconds:>9.4f} {rate.per_second:>12,.0f}   {rate.bar:<30} {rate.peer}")
    for command in COMMANDS:
        rows = list(measure(command))
        best = min(rows, key=lambda row: row.wall_s)
        failed = "" if all("exit" not in row.name for row in rows) else " FAILED"
        cpu_s = min(row.cpu_s for row in rows)
        name = f"{command.name}, best of {len(rows)}{failed}"
        print(f"{name:<44} {best.wall_s:>9.2f} {cpu_s:>8.2f} cpu s   {best.bar}")


if __name__ == "__main__":
    sys.exit(main())
