"""Response on simulated subjects: the engine on columns, and whole files in and out.

``python -m benchmarks.response`` measures both; the sizes of lesions are random walks, not patients.
"""

from __future__ import annotations

import csv
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from benchmarks.commands import Command, measure

SUBJECTS, VISITS, TARGETS, OTHERS = 100_000, 10, 5, 5
FILE_SUBJECTS = 10_000
SEED = 1
SELF = (sys.executable, "-m", "benchmarks.response")
COMMANDS = (
    Command(
        name="response engine, 100,000 x 10 x 10",
        arguments=(*SELF, "columns"),
        runs=2,
        bar="10 s: RECIST 1.1, iRECIST, best response",
    ),
    Command(
        name="response derive, 10,000 x 10 x 10",
        arguments=(*SELF, "files", "{out}"),
        runs=2,
        bar="60 s, 2048 MiB, writing of the input included",
    ),
)


def measure_columns() -> float:
    """Return the seconds that RECIST 1.1, iRECIST and two best responses take on columns."""
    from hepatica.followup.best.timeline import BestSettings
    from hepatica.followup.columns import (
        ResponseColumns,
        derive_best_columns,
        derive_irecist_columns,
        derive_recist_columns,
    )
    from hepatica.followup.criteria.recist11 import read_recist_limits

    rng = np.random.default_rng(SEED)
    shape = (SUBJECTS, VISITS)
    steps = rng.uniform(0.8, 1.15, size=(*shape, TARGETS))
    first = rng.uniform(12.0, 60.0, size=(SUBJECTS, 1, TARGETS))
    sizes_mm = np.concatenate([first, first * np.cumprod(steps, axis=1)], axis=1)
    new = (np.cumsum(rng.random(shape) < 0.03, axis=1) > 0).astype(np.int8)
    columns = ResponseColumns(
        sizes_mm=sizes_mm,
        targets=np.full(SUBJECTS, TARGETS),
        target_nodes=rng.random((SUBJECTS, TARGETS)) < 0.2,
        states=rng.choice(np.array([1] * 30 + [0, 4, 2], dtype=np.int8), size=(*shape, OTHERS)),
        non_targets=np.full(SUBJECTS, OTHERS),
        non_target_nodes=rng.random((SUBJECTS, OTHERS)) < 0.2,
        new=new,
        new_sums_mm=np.where(new > 0, 12.0, np.nan),
        new_counts=new.astype(float),
        new_growth=np.zeros(shape, dtype=np.int8),
        days=np.tile(np.arange(1, VISITS + 1) * 42, (SUBJECTS, 1)),
        reference_days=np.zeros(SUBJECTS, dtype=np.int64),
    )
    limits = read_recist_limits()
    started = time.perf_counter()
    codes = derive_recist_columns(columns, limits=limits)
    derive_irecist_columns(columns, limits=limits)
    for confirmed in (False, True):
        derive_best_columns(codes, columns=columns, settings=BestSettings(), confirmed=confirmed)
    return time.perf_counter() - started


def write_tables(folder: Path) -> tuple[Path, Path]:
    """Write TU and TR of simulated subjects."""
    rng = np.random.default_rng(SEED)
    tu_path, tr_path = folder / "tu.csv", folder / "tr.csv"
    with tu_path.open("w", newline="") as tu_file, tr_path.open("w", newline="") as tr_file:
        tu, tr = csv.writer(tu_file), csv.writer(tr_file)
        tu.writerow(("USUBJID", "TULNKID", "TUTESTCD", "TUSTRESC", "TULOC", "VISITNUM"))
        tr.writerow(
            (
                "USUBJID",
                "TRLNKID",
                "TRTESTCD",
                "TRSTRESC",
                "TRSTRESN",
                "TRSTRESU",
                "VISITNUM",
                "VISIT",
                "TRDTC",
            )
        )
        for number in range(FILE_SUBJECTS):
            subject = f"S{number:06d}"
            sizes_mm = rng.uniform(12.0, 60.0, size=TARGETS)
            for k in range(TARGETS):
                tu.writerow((subject, f"T{k}", "TUMIDENT", "TARGET", f"ORGAN {k}", 1))
                tu.writerow((subject, f"NT{k}", "TUMIDENT", "NON-TARGET", f"ORGAN {k}", 1))
            for visit in range(1, VISITS + 1):
                place = (visit, f"VISIT {visit}", f"2024-{visit:02d}-01")
                for k, size in enumerate(np.round(sizes_mm, 1)):
                    tr.writerow((subject, f"T{k}", "LDIAM", size, size, "mm", *place))
                    tr.writerow((subject, f"NT{k}", "TUMSTATE", "PRESENT", "", "", *place))
                sizes_mm *= rng.uniform(0.8, 1.15, size=TARGETS)
    return tu_path, tr_path


def measure_peak_mib() -> float:
    """Return the largest memory this process has held, in MiB."""
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def run_files(out: Path) -> None:
    """Write tables and derive from them."""
    from hepatica.bootstrap import make_response_ports
    from hepatica.followup.verdict import Criterion, ResponseSettings
    from hepatica.workflows.derive_response import ResponseRequest, derive_response

    with tempfile.TemporaryDirectory(prefix="hepatica-bench-") as folder:
        lesions, results = write_tables(Path(folder))
        request = ResponseRequest(
            lesions=lesions, results=results, settings=ResponseSettings(criterion=Criterion.RECIST)
        )
        before_mib = measure_peak_mib()
        started = time.perf_counter()
        outcome = derive_response(request, ports=make_response_ports(), out=out)
        print(
            f"derive alone: {time.perf_counter() - started:.2f} s, {outcome.document['verdicts']} verdicts, "
            f"peak {measure_peak_mib():.0f} MiB of which {before_mib:.0f} before"
        )


if __name__ == "__main__":
    if sys.argv[1:2] == ["columns"]:
        print(f"engine alone: {measure_columns():.2f} s (compiled code loaded in it)")
    elif sys.argv[1:2] == ["files"]:
        run_files(Path(sys.argv[2]))
    else:
        for command in COMMANDS:
            for row in measure(command):
                print(f"{row.name:<46} {row.wall_s:>8.2f} {row.cpu_s:>8.2f} {row.peak_mib:>9.0f}   {row.bar}")
