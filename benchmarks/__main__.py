"""``make bench``: measure, print, and write ``docs/benchmarks.md``; nothing fails. Name sections to take only some."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from benchmarks.document import TIMED, Section, to_timed_row, write_document

DOCUMENT = Path(__file__).parents[1] / "docs" / "benchmarks.md"


def measure_commands() -> Iterator[tuple[str, ...]]:
    """Whole commands in processes of their own."""
    from benchmarks.commands import COMMANDS, measure

    yield from (to_timed_row(row) for command in COMMANDS for row in measure(command))


def measure_path_rows() -> Iterator[tuple[str, ...]]:
    """The path planner and its peers."""
    from benchmarks.paths import measure_paths

    yield from (to_timed_row(row) for row in measure_paths())


def measure_placement_rows() -> Iterator[tuple[str, ...]]:
    """Simulated placement error."""
    from benchmarks.placement import measure_placement

    yield from (to_timed_row(row) for row in measure_placement())


def measure_spread_rows() -> Iterator[tuple[str, ...]]:
    """Spread of an injection."""
    from benchmarks.spread import measure_spread

    yield from (to_timed_row(row) for row in measure_spread())


def measure_response_rows() -> Iterator[tuple[str, ...]]:
    """Response criteria on simulated subjects."""
    from benchmarks.commands import measure
    from benchmarks.response import COMMANDS

    yield from (to_timed_row(row) for command in COMMANDS for row in measure(command))


def measure_trial_rows() -> Iterator[tuple[str, ...]]:
    """Simulated trials; then the start-up of the trial commands."""
    from benchmarks.commands import measure
    from benchmarks.trials import COMMANDS, list_rates

    for rate in (take() for take in list_rates()):
        note = f"{rate.per_second:,.0f} a second; bar {rate.bar}; peer {rate.peer}"
        yield rate.name, f"{rate.seconds:.3f}", "", "", note
    yield from (to_timed_row(row) for command in COMMANDS for row in measure(command))


def measure_track_rows() -> Iterator[tuple[str, ...]]:
    """Tracking lesions over two visits."""
    from benchmarks.track import measure_track

    yield from (to_timed_row(row) for row in measure_track())


SECTIONS: dict[str, tuple[str, Callable[[], Iterator[tuple[str, ...]]]]] = {
    "commands": ("Commands", measure_commands),
    "paths": ("Paths", measure_path_rows),
    "placement": ("Placement error", measure_placement_rows),
    "spread": ("Spread", measure_spread_rows),
    "response": ("Response", measure_response_rows),
    "track": ("Lesion tracking", measure_track_rows),
    "trials": ("Trials", measure_trial_rows),
}


def main(chosen: list[str]) -> int:
    """Measure the chosen sections, or all; unknown names are refused."""
    unknown = sorted(set(chosen) - set(SECTIONS))
    if unknown:
        print(f"no section {', '.join(unknown)}; there are {', '.join(SECTIONS)}", file=sys.stderr)
        return 2
    for key in chosen or SECTIONS:
        title, measure = SECTIONS[key]
        rows = []
        for row in measure():
            rows.append(row)
            print("  ".join((f"{row[0]:<90}", *(f"{cell:>9}" for cell in row[1:4]), row[4])), flush=True)
            # After every row: what was measured stays if the run is ended.
            write_document(DOCUMENT, [Section(key=key, title=title, columns=TIMED, rows=tuple(rows))])
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
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
