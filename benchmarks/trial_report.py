"""The report of a simulated trial of 306 patients, as a command of its own: time and memory."""

from __future__ import annotations

import csv
import resource
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

PATIENTS = 306
SEED = 1
BAR = "60 s, stretch 20 s"


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportRun:
    """One run."""

    wall_seconds: float
    cpu_seconds: float
    peak_mib: float
    rows: int


def write_trial(folder: Path) -> int:
    """Write the simulated trial as CSV; return its rows."""
    import numpy as np

    from hepatica.trials.report.simulated_trial import simulate_trial

    datasets = simulate_trial(np.random.default_rng(SEED), subjects=PATIENTS)
    for name, rows in datasets.items():
        columns = list(dict.fromkeys(key for row in rows for key in row))
        with (folder / f"{name.lower()}.csv").open("w", newline="", encoding="utf-8") as stream:
            writer = csv.DictWriter(stream, columns, restval="")
            writer.writeheader()
            writer.writerows(rows)
    return sum(len(rows) for rows in datasets.values())


def measure_trial_report() -> ReportRun:
    """Run the installed command once, all tables, figures and formats."""
    with tempfile.TemporaryDirectory(prefix="hepatica-bench-") as name:
        room = Path(name)
        (room / "sdtm").mkdir()
        rows = write_trial(room / "sdtm")
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        started = time.perf_counter()
        command = "from hepatica.entrypoints.cli.main import app; app()"
        subprocess.run(
            [
                sys.executable,
                "-c",
                command,
                "trial",
                "report",
                str(room / "sdtm"),
                "--out",
                str(room / "out"),
            ],
            check=True,
            capture_output=True,
        )
        wall = time.perf_counter() - started
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return ReportRun(wall_seconds=wall, cpu_seconds=cpu, peak_mib=after.ru_maxrss / 1024, rows=rows)


if __name__ == "__main__":
    run = measure_trial_report()
    print(
        f"report of {PATIENTS} simulated patients, {run.rows} rows: {run.wall_seconds:.1f} s wall, "
        f"{run.cpu_seconds:.1f} s CPU, {run.peak_mib:.0f} MiB; bar {BAR}"
    )
