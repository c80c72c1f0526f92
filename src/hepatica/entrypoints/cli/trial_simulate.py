"""``hepatica trial simulate`` and ``compare``: what designs do in simulated trials."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from hepatica.entrypoints.cli.trial_options import take_chosen

DesignName = Annotated[
    str, typer.Argument(metavar="DESIGN", help="3+3, rolling6, tpi, mtpi, mtpi2, keyboard, boin, ...")
]
Target = Annotated[float | None, typer.Option("--target", help="Target DLT probability, a fraction.")]
Trials = Annotated[int, typer.Option("--trials", min=1)]
Seed = Annotated[int, typer.Option("--seed", min=0)]
CohortSize = Annotated[int, typer.Option("--cohort-size", min=1)]
Cohorts = Annotated[int, typer.Option("--cohorts", min=1, help="Most cohorts in a trial.")]
Response = Annotated[str | None, typer.Option("--response", help="True response probabilities.")]
Gap = Annotated[
    float, typer.Option("--gap", help="Mean time between arrivals in DLT windows (designs in time).")
]
Workers = Annotated[
    int, typer.Option("--workers", min=1, help="Processes; the result is the same for any number.")
]
Scheduler = Annotated[
    str, typer.Option("--scheduler", help="Address of a Dask scheduler whose workers share the work.")
]
Json = Annotated[bool, typer.Option("--json", help="Print exactly one JSON document on stdout.")]


def simulate(
    ctx: typer.Context,
    design: DesignName,
    truth: Annotated[str, typer.Option("--truth", help="True DLT probabilities, comma separated.")],
    target: Target = None,
    trials: Trials = 10_000,
    seed: Seed = 1,
    cohort_size: CohortSize = 3,
    cohorts: Cohorts = 10,
    response: Response = None,
    gap: Gap = 0.25,
    workers: Workers = 1,
    scheduler: Scheduler = "",
    resume: Annotated[
        Path | None,
        typer.Option(
            "--resume", help="File that keeps finished blocks: run again to go on where it stopped."
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Simulate a design: how often it finds each dose, and at what cost."""
    from hepatica.entrypoints.cli.screen import print_json, showing_progress
    from hepatica.workflows.compare_designs import list_assumptions

    settings = {"trials": trials, "seed": seed, "cohort_size": cohort_size, "cohorts": cohorts, "gap": gap}
    job = _make_job(ctx, design, truth=truth, target=target, response=response, settings=settings)
    with showing_progress(quiet=as_json) as progress:
        progress.stage(f"Simulating {design}")
        result = _run_job(job, workers=workers, scheduler=scheduler, progress=progress, resume=resume)
    document = {**result.to_dict(), "assumptions": list(list_assumptions(job))}
    if as_json:
        print_json(document)
    else:
        typer.echo("\n".join([*_describe([result]), *document["assumptions"]]))


def compare(
    ctx: typer.Context,
    designs: Annotated[list[str], typer.Argument(metavar="DESIGN...", help="Two or more designs.")],
    truth: Annotated[
        list[str],
        typer.Option("--truth", help="True DLT probabilities, comma separated; repeat for scenarios."),
    ],
    target: Target = None,
    trials: Trials = 10_000,
    seed: Seed = 1,
    cohort_size: CohortSize = 3,
    cohorts: Cohorts = 10,
    response: Response = None,
    gap: Gap = 0.25,
    workers: Workers = 1,
    scheduler: Scheduler = "",
    out: Annotated[
        Path | None,
        typer.Option("--out", help="Folder to make: page, Markdown, pictures and JSON for a protocol."),
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace an earlier result in the folder.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Compare designs on the same simulated patients; each design takes the options it knows."""
    from hepatica.entrypoints.cli.screen import print_json, showing_progress
    from hepatica.workflows.compare_designs import derive_comparison

    settings = {"trials": trials, "seed": seed, "cohort_size": cohort_size, "cohorts": cohorts, "gap": gap}
    jobs = [
        [
            _make_job(ctx, name, truth=text, target=target, response=response, settings=settings, shared=True)
            for name in designs
        ]
        for text in truth
    ]
    scenarios = []
    with showing_progress(quiet=as_json) as progress:
        for row in jobs:
            results = []
            for job in row:
                progress.stage(f"Simulating {job.design}")
                results.append(_run_job(job, workers=workers, scheduler=scheduler, progress=progress))
            scenarios.append(results)
    document = derive_comparison(scenarios, target=target)
    if out is not None:
        from hepatica.bootstrap import make_comparison_ports
        from hepatica.workflows.compare_designs import write_comparison

        flat = [job for row in jobs for job in row]
        names = write_comparison(
            document, jobs=flat, ports=make_comparison_ports(), out=out, overwrite=overwrite
        )
        document = {**document, "out": str(out), "files": list(names)}
    if as_json:
        print_json({"designs": document["scenarios"][0]["designs"], **document})
    else:
        lines = [line for results in scenarios for line in (*_describe(results), "")]
        typer.echo("\n".join([*lines, *document["words"], *document["assumptions"]]))


def _make_job(
    ctx: typer.Context,
    design: str,
    *,
    truth: str,
    target: float | None,
    response: str | None,
    settings: dict[str, Any],
    shared: bool = False,
) -> Any:
    from dataclasses import fields

    from hepatica.entrypoints.cli.trial_options import make_bare_design, read_numbers
    from hepatica.trials.simulation.job import SimulationJob

    chosen = take_chosen(ctx)
    options = dict(chosen.options)
    rates = read_numbers(truth, where="--truth")
    if shared:  # in a comparison each design takes the options it knows
        from hepatica.trials.escalation.catalogue import _designs

        known = {field.name for field in fields(_designs()[design])} if design in _designs() else set(options)
        options = {name: value for name, value in options.items() if name in known}
    bare = make_bare_design(design, doses=str(len(rates)), target=target, options=options)
    if target is not None and "target" in {field.name for field in fields(bare)}:  # type: ignore[arg-type]
        options["target"] = target
    return SimulationJob(
        design=design,
        options=options,
        rules=chosen.rules,
        truth=rates,
        response=read_numbers(response, where="--response") if response else (),
        **settings,
    )


def _run_job(job: Any, *, workers: int, scheduler: str, progress: Any, resume: Path | None = None) -> Any:
    from hepatica.bootstrap import open_executor
    from hepatica.trials.simulation.engine import simulate_trials

    with (
        _keeping(job, resume) as (finished, keep),
        open_executor(workers=workers, scheduler=scheduler) as executor,
    ):
        run = map if executor is None else executor.map
        return simulate_trials(job, run=run, progress=progress, finished=finished, keep=keep)


@contextmanager
def _keeping(job: Any, resume: Path | None) -> Iterator[tuple[dict[int, Any], Any]]:
    """Yield blocks of an interrupted run and what keeps further ones; nothing without a file."""
    if resume is None:
        yield {}, None
        return
    from dataclasses import asdict
    from importlib import metadata

    from hepatica.bootstrap import open_checkpoint
    from hepatica.trials.simulation.job import BlockResult

    work = {"version": metadata.version("hepatica"), **asdict(job), "options": dict(job.options)}
    with open_checkpoint(resume, work) as (pieces, keep):
        blocks = {number: _to_block(BlockResult, piece) for number, piece in pieces.items()}
        yield blocks, lambda number, block: keep(number, asdict(block))


def _to_block(cls: Any, piece: Mapping[str, Any]) -> Any:
    return cls(**{name: tuple(v) if isinstance(v, list) else v for name, v in piece.items()})


def _describe(results: list[Any]) -> list[str]:
    job = results[0].job
    levels = range(1, len(job.truth) + 1)
    lines = [f"{job.trials} simulated trials, seed {job.seed}", ""]
    lines.append(f"{'':<24}" + "".join(f"{f'dose {d}':>9}" for d in levels) + f"{'none':>9}{'total':>9}")
    lines.append(f"{'true DLT rate':<24}" + "".join(f"{p:>9.3g}" for p in job.truth))
    for r in results:
        name = r.job.design
        picks = "".join(f"{100 * p:>9.1f}" for p in (*r.selected, r.selected_none))
        lines.append(f"{name + ': selected %':<24}" + picks)
        lines.append(
            f"{name + ': patients':<24}"
            + "".join(f"{v:>9.1f}" for v in r.patients)
            + f"{'':>9}{sum(r.patients):>9.1f}"
        )
        lines.append(
            f"{name + ': DLTs':<24}" + "".join(f"{v:>9.2f}" for v in r.dlts) + f"{'':>9}{sum(r.dlts):>9.2f}"
        )
        if r.duration_windows is not None:
            lines.append(f"{name + ': duration':<24}{r.duration_windows:>9.1f} DLT windows")
    worst = max(max(r.selected_se) for r in results)
    return [
        *lines,
        "",
        f"Monte Carlo standard error of a selection: at most {100 * worst:.2f} percentage points.",
    ]
