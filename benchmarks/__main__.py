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


def measure_record_rows() -> Iterator[tuple[str, ...]]:
    """The shared record: people at work, its trail, scans into it; on both databases where PostgreSQL is installed."""
    from benchmarks.databases import list_databases
    from benchmarks.imports import measure_imports
    from benchmarks.record import measure_load
    from benchmarks.record_trail import measure_append, measure_verify

    for database in list_databases():
        for work in (measure_load, measure_append, measure_verify):
            yield from (to_timed_row(row) for row in work(database))
    yield from (to_timed_row(row) for row in measure_imports())


def measure_report_rows() -> Iterator[tuple[str, ...]]:
    """Report of a simulated trial."""
    from benchmarks.trial_report import BAR, measure_trial_report

    run = measure_trial_report()
    name = f"306 simulated patients, {run.rows} rows, every format, table and figure"
    yield name, f"{run.wall_seconds:.1f}", f"{run.cpu_seconds:.1f}", f"{run.peak_mib:.0f}", BAR


def measure_cluster_rows() -> Iterator[tuple[str, ...]]:
    """A long simulation on a Dask cluster of one worker and of two."""
    from benchmarks.cluster import BAR, measure_cluster

    run = measure_cluster()
    name = f"tite-crm, {run.trials} trials, on one Dask worker and on two"
    note = f"{run.two_s:.1f} s on two: {run.ratio:.2f}x; bar {BAR}; load of the machine before {run.load:.1f}"
    yield name, f"{run.one_s:.1f}", "", "", note


SECTIONS: dict[str, tuple[str, Callable[[], Iterator[tuple[str, ...]]]]] = {
    "commands": ("Commands", measure_commands),
    "paths": ("Paths", measure_path_rows),
    "placement": ("Placement error", measure_placement_rows),
    "spread": ("Spread", measure_spread_rows),
    "response": ("Response", measure_response_rows),
    "track": ("Lesion tracking", measure_track_rows),
    "report": ("Trial report", measure_report_rows),
    "trials": ("Trials", measure_trial_rows),
    "cluster": ("Dask", measure_cluster_rows),
    "record": ("Record", measure_record_rows),
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
