"""``make bench``: measure and print a table; bars are shown beside, nothing fails."""

from __future__ import annotations

from benchmarks.commands import COMMANDS, measure
from benchmarks.imports import measure_imports
from benchmarks.paths import measure_paths
from benchmarks.placement import measure_placement
from benchmarks.response import COMMANDS as RESPONSE_COMMANDS
from benchmarks.spread import measure_spread
from benchmarks.trials import main as print_trials

print(f"{'what':<64} {'wall s':>9} {'cpu s':>9} {'peak MiB':>9}   bar")
for command in (*COMMANDS, *RESPONSE_COMMANDS):
    for row in measure(command):
        print(
            f"{row.name:<64} {row.wall_s:>9.3f} {row.cpu_s:>9.3f} {row.peak_mib:>9.0f}   {row.bar}",
            flush=True,
        )
for placed in measure_placement():
    print(f"{placed.name:<64} {placed.wall_s:>9.3f} {placed.cpu_s:>9.3f} {'':>9}   {placed.bar}", flush=True)
for work in (measure_paths, measure_spread, measure_imports):
    for part in work():
        print(
            f"{part.name:<64} {part.wall_s:>9.3f} {part.cpu_s:>9.3f} {part.peak_mib:>9.0f}   {part.bar}",
            flush=True,
        )
print()
print_trials()
