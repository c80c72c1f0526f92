"""``hepatica bench``: how quick this machine is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from hepatica.workflows.bench_paths import Reading

app = typer.Typer(name="bench", help="Time Hepatica on this machine.", no_args_is_help=True)


@app.callback()
def bench() -> None:
    """Time Hepatica on this machine."""


@app.command()
def paths(
    as_json: Annotated[
        bool, typer.Option("--json", help="Print exactly one JSON document on stdout.")
    ] = False,
) -> None:
    """Time the path planner on a synthetic torso of 512 x 512 x 200 voxels with five lesions; about a minute."""
    import os
    from dataclasses import asdict

    from hepatica.entrypoints.cli.screen import print_json, showing_progress
    from hepatica.workflows.bench_paths import bench_paths

    if not as_json:
        typer.echo(f"{'what':<78} {'wall s':>8} {'cpu s':>8} {'MiB':>6}  {'bar s':>5}")
    rows = []
    with showing_progress(quiet=as_json) as progress:
        for row in bench_paths(stopwatch=_read_clocks, progress=progress):
            rows.append(row)
            if not as_json:
                bar = "" if row.bar_s is None else f"{row.bar_s:g}"
                typer.echo(
                    f"{row.name:<78} {row.wall_s:>8.3f} {row.cpu_s:>8.3f} {row.peak_mib:>6.0f}  {bar:>5}"
                    + (f"  {row.note}" if row.note else "")
                )
    if as_json:
        print_json({"bench": "paths", "processors": os.cpu_count(), "rows": [asdict(row) for row in rows]})


def _read_clocks() -> Reading:
    import resource
    import sys
    import time

    from hepatica.workflows.bench_paths import Reading

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return Reading(
        wall_s=time.perf_counter(),
        cpu_s=time.process_time(),
        peak_mib=peak / (2**20 if sys.platform == "darwin" else 2**10),
    )
