"""``make bench``: measure and print a table; bars are shown beside, nothing fails."""

from __future__ import annotations

from benchmarks.commands import COMMANDS, measure
from benchmarks.placement import measure_placement
from benchmarks.response import COMMANDS as RESPONSE_COMMANDS
from benchmarks.trials import main as print_trials

print(f"{'what':<34} {'wall s':>8} {'cpu s':>8} {'peak MiB':>9}   bar")
for command in (*COMMANDS, *RESPONSE_COMMANDS):
    for row in measure(command):
        print(f"{row.name:<34} {row.wall_s:>8.2f} {row.cpu_s:>8.2f} {row.peak_mib:>9.0f}   {row.bar}")

for placed in measure_placement():
    print(f"{placed.name:<34} {placed.wall_s:>8.2f} {placed.cpu_s:>8.2f} {'':>9}   {placed.bar}")

print()
print_trials()
