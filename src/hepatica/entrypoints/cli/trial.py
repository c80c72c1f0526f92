"""``hepatica trial``: run a trial and design the next one."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any

import typer

from hepatica.entrypoints.cli.trial_options import EPILOG, DesignCommand, take_chosen
from hepatica.entrypoints.cli.trial_phase2 import phase2
from hepatica.entrypoints.cli.trial_report import report
from hepatica.entrypoints.cli.trial_survival import survival

app = typer.Typer(
    name="trial",
    help="Run a trial and design the next one: escalation, phase II, intervals, survival, simulated trials.",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.add_typer(phase2, name="phase2")
app.command(name="survival")(survival)
app.command(name="report")(report)

DesignName = Annotated[
    str, typer.Argument(metavar="DESIGN", help="3+3, rolling6, tpi, mtpi, mtpi2, keyboard, boin, ...")
]
Doses = Annotated[
    str | None, typer.Option("--doses", help="Number of dose levels, or 3x4 for a combination.")
]
Target = Annotated[float | None, typer.Option("--target", help="Target DLT probability, a fraction.")]
Outcomes = Annotated[
    str | None,
    typer.Option("--outcomes", help='Such as "1NNN 2NNT": N none, T DLT, E efficacy, B both, P pending.'),
]
Patients = Annotated[
    Path | None, typer.Option("--patients", help="CSV with dose, dlt, follow_up, window (days).")
]
Truth = Annotated[str, typer.Option("--truth", help="True DLT probabilities, comma separated.")]
Json = Annotated[bool, typer.Option("--json", help="Print exactly one JSON document on stdout.")]
Scheduler = Annotated[
    str, typer.Option("--scheduler", help="Address of a Dask scheduler whose workers share the work.")
]


@app.command(name="next-dose", cls=DesignCommand, epilog=EPILOG)
def next_dose(
    ctx: typer.Context,
    design: DesignName,
    doses: Doses = None,
    target: Target = None,
    outcomes: Outcomes = None,
    patients: Patients = None,
    population: Annotated[
        str | None, typer.Option("--population", help="Population that is escalated, for example HCC.")
    ] = None,
    cleared: Annotated[
        int | None,
        typer.Option("--cleared", help="Highest level the leading population has cleared (0 none)."),
    ] = None,
    today: Annotated[
        str | None, typer.Option("--today", help="Date YYYY-MM-DD for slots; the clock's unless given.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Say which dose the next patient gets, and why. Advice to stop is an answer: the exit status is 0."""
    from dataclasses import replace

    from hepatica.entrypoints.cli.screen import print_json
    from hepatica.entrypoints.cli.trial_options import make_design, read_trial_data

    chosen = make_design(design, doses=doses, target=target, chosen=take_chosen(ctx))
    if cleared is not None:
        from hepatica.trials.populations import FollowingPopulation

        chosen = FollowingPopulation(design=chosen, cleared=cleared, follower=population or "HCC")
    advice = chosen.next_dose(read_trial_data(outcomes, patients))
    if advice.hold is not None:
        advice = replace(advice, hold=advice.hold.dated(_read_date(today)))
    if as_json:
        print_json({"design": design, "population": population, **advice.to_dict()})
        return
    dose = "no dose" if advice.recommended_dose is None else f"dose {advice.recommended_dose}"
    typer.echo(f"{'Continue' if advice.continue_ else 'Stop'}: {dose}\n{advice.reason}")
    if advice.hold is not None:
        when = advice.hold.earliest_date or "when outcomes are known"
        typer.echo(f"Hold: {advice.hold.why}. Earliest next slot: {when}.")


@app.command(cls=DesignCommand, epilog=EPILOG)
def table(
    ctx: typer.Context,
    design: DesignName,
    target: Target = None,
    max_n: Annotated[int, typer.Option("--max-n", min=1, help="Most patients at a dose.")] = 30,
    doses: Doses = None,
    as_json: Json = False,
) -> None:
    """Print the decision table of a design, to be read without computing."""
    from hepatica.entrypoints.cli.screen import print_json
    from hepatica.entrypoints.cli.trial_options import make_design

    chosen = take_chosen(ctx)
    levels = doses or (
        None if "skeleton" in chosen.options else "3x3" if design == "boin-combination" else "5"
    )
    found = make_design(design, doses=levels, target=target, chosen=chosen).table(max_n)
    if as_json:
        rows = [{**dict.fromkeys(found.columns), **row} for row in found.rows]
        print_json({"design": design, "title": found.title, "rows": rows, "notes": list(found.notes)})
    else:
        typer.echo(found.to_text(), nl=False)


@app.command(name="select-mtd", cls=DesignCommand, epilog=EPILOG)
def select_mtd(
    ctx: typer.Context,
    design: DesignName,
    n: Annotated[
        str, typer.Option("--n", help="Patients by level: 3,3,6; rows of a combination separated by /.")
    ],
    x: Annotated[str, typer.Option("--x", help="DLTs by level, in the same form.")],
    target: Target = None,
    contour: Annotated[
        bool, typer.Option("--contour", help="Combination: one MTD for each level of the first agent.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Select the maximum tolerated dose at the end of a trial."""
    from hepatica.core.errors import InputError
    from hepatica.entrypoints.cli.screen import print_json
    from hepatica.entrypoints.cli.trial_options import make_bare_design, read_counts

    counts = [read_counts(row, where="--n") for row in n.split("/")]
    dlts = [read_counts(row, where="--x") for row in x.split("/")]
    if [len(row) for row in counts] != [len(row) for row in dlts] or len({len(row) for row in counts}) != 1:
        raise InputError(
            expected="as many DLT counts as patient counts", given=f"{n} and {x}", where="--n, --x"
        )
    if any(b > a for row, hits in zip(counts, dlts) for a, b in zip(row, hits)):
        raise InputError(expected="at most as many DLTs as patients", given=f"{x} of {n}", where="--n, --x")
    pair = design == "boin-combination"
    levels = f"{len(counts)}x{len(counts[0])}" if pair else str(len(counts[0]))
    chosen: Any = make_bare_design(design, doses=levels, target=target, options=take_chosen(ctx).options)
    if not pair and len(counts) > 1:
        raise InputError(expected="one row of counts", given=f"{len(counts)}", where="--n")
    document = _select(chosen, counts=counts, dlts=dlts, pair=pair, contour=contour)
    if as_json:
        print_json({"design": design, **document})
    else:
        typer.echo(f"MTD: {document['mtd'] if document['mtd'] is not None else 'none'}")
        typer.echo("Estimated DLT rates: " + _join_rates(document["prob_tox"]))


@app.command(cls=DesignCommand, epilog=EPILOG)
def pathways(
    ctx: typer.Context,
    design: DesignName,
    doses: Doses = None,
    target: Target = None,
    outcomes: Outcomes = None,
    cohorts: Annotated[str, typer.Option("--cohorts", help="Sizes of the cohorts to look ahead.")] = "3,3",
    truth: Annotated[
        str | None, typer.Option("--truth", help="True DLT probabilities, for exact chances.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Show every dose the next cohorts can lead to."""
    from hepatica.entrypoints.cli.screen import print_json
    from hepatica.entrypoints.cli.trial_options import make_design, read_counts, read_numbers, read_trial_data
    from hepatica.trials.pathways import derive_pathways

    nodes = derive_pathways(
        make_design(design, doses=doses, target=target, chosen=take_chosen(ctx)),
        read_trial_data(outcomes, None),
        cohort_sizes=read_counts(cohorts, where="--cohorts"),
        truth=read_numbers(truth, where="--truth") if truth else None,
    )
    if as_json:
        rows = [
            {
                "path": list(node.path),
                "recommended_dose": list(node.dose) if isinstance(node.dose, tuple) else node.dose,
                "continue": node.continue_,
                "probability": node.probability,
                "reason": node.reason,
            }
            for node in nodes
        ]
        print_json({"design": design, "nodes": rows})
        return
    for node in nodes:
        step = f"{node.path[-1]} DLT" if node.path else "now"
        chance = f"  ({node.probability:.3f})" if node.probability is not None else ""
        end = "" if node.continue_ else "  stop"
        typer.echo(f"{'    ' * len(node.path)}{step} -> dose {node.dose}{end}{chance}")


@app.command(cls=DesignCommand, epilog=EPILOG)
def simulate(
    ctx: typer.Context,
    design: DesignName,
    truth: Truth,
    target: Target = None,
    trials: Annotated[int, typer.Option("--trials", min=1)] = 10_000,
    seed: Annotated[int, typer.Option("--seed", min=0)] = 1,
    cohort_size: Annotated[int, typer.Option("--cohort-size", min=1)] = 3,
    cohorts: Annotated[int, typer.Option("--cohorts", min=1, help="Most cohorts in a trial.")] = 10,
    response: Annotated[str | None, typer.Option("--response", help="True response probabilities.")] = None,
    gap: Annotated[
        float, typer.Option("--gap", help="Mean time between arrivals in DLT windows (designs in time).")
    ] = 0.25,
    workers: Annotated[
        int, typer.Option("--workers", min=1, help="Processes; the result is the same for any number.")
    ] = 1,
    scheduler: Scheduler = "",
    as_json: Json = False,
) -> None:
    """Simulate a design: how often it finds each dose, and at what cost."""
    from hepatica.entrypoints.cli.screen import print_json, showing_progress

    settings = {"trials": trials, "seed": seed, "cohort_size": cohort_size, "cohorts": cohorts, "gap": gap}
    job = _make_job(ctx, design, truth=truth, target=target, response=response, settings=settings)
    with showing_progress(quiet=as_json) as progress:
        progress.stage(f"Simulating {design}")
        result = _run_job(job, workers=workers, scheduler=scheduler, progress=progress)
    document = {**result.to_dict(), "assumptions": list(describe_assumptions(job))}
    if as_json:
        print_json(document)
    else:
        typer.echo(_describe([result], job))


@app.command(cls=DesignCommand, epilog=EPILOG)
def compare(
    ctx: typer.Context,
    designs: Annotated[list[str], typer.Argument(metavar="DESIGN...", help="Two or more designs.")],
    truth: Truth,
    target: Target = None,
    trials: Annotated[int, typer.Option("--trials", min=1)] = 10_000,
    seed: Annotated[int, typer.Option("--seed", min=0)] = 1,
    cohort_size: Annotated[int, typer.Option("--cohort-size", min=1)] = 3,
    cohorts: Annotated[int, typer.Option("--cohorts", min=1)] = 10,
    response: Annotated[str | None, typer.Option("--response")] = None,
    gap: Annotated[float, typer.Option("--gap")] = 0.25,
    workers: Annotated[int, typer.Option("--workers", min=1)] = 1,
    scheduler: Scheduler = "",
    as_json: Json = False,
) -> None:
    """Compare designs on the same simulated patients; each design takes the options it knows."""
    from hepatica.entrypoints.cli.screen import print_json, showing_progress

    settings = {"trials": trials, "seed": seed, "cohort_size": cohort_size, "cohorts": cohorts, "gap": gap}
    results, last = [], None
    with showing_progress(quiet=as_json) as progress:
        for name in designs:
            last = _make_job(
                ctx, name, truth=truth, target=target, response=response, settings=settings, shared=True
            )
            progress.stage(f"Simulating {name}")
            results.append(_run_job(last, workers=workers, scheduler=scheduler, progress=progress))
    assert last is not None
    if as_json:
        print_json(
            {"designs": [r.to_dict() for r in results], "assumptions": list(describe_assumptions(last))}
        )
    else:
        typer.echo(_describe(results, last))


@app.command()
def interval(
    x: Annotated[int, typer.Option("--x", help="Patients with the event.")],
    n: Annotated[int, typer.Option("--n", help="Patients in the full group.")],
    method: Annotated[
        str, typer.Option("--method", help="clopper-pearson, wilson, wilson-cc, jeffreys or agresti-coull.")
    ] = "clopper-pearson",
    conf: Annotated[float, typer.Option("--conf")] = 0.95,
    as_json: Json = False,
) -> None:
    """Give an interval for a proportion, as fractions."""
    from hepatica.entrypoints.cli.screen import print_json
    from hepatica.trials.phase2.intervals import derive_interval

    found = derive_interval(x, n, method=method, conf=conf)
    if as_json:
        limits = {"estimate": found.estimate, "lower": found.lower, "upper": found.upper}
        print_json({"x": x, "n": n, "method": method, "conf": conf, **limits})
    else:
        typer.echo(
            f"{x}/{n} = {found.estimate:.3f}, {100 * conf:g} % {method} {found.lower:.3f} to "
            f"{found.upper:.3f}"
        )


def describe_assumptions(job: Any) -> Iterable[str]:
    """Yield what a simulation takes for granted, in words for a protocol."""
    yield (
        f"Every patient has a fixed tolerance drawn from seed {job.seed}; designs with one seed "
        f"treat the same patients."
    )
    yield f"Cohorts of {job.cohort_size}, at most {job.cohorts * job.cohort_size} patients."
    if job.design == "tite-boin":
        yield (
            f"Arrivals follow a Poisson process, one in {job.gap:g} DLT windows; DLT times are "
            f"uniform in the window."
        )
        yield "Each cohort is assigned when its first patient arrives, or when suspended accrual may go on."
    else:
        yield "Each cohort is followed for its whole DLT window before the next is assigned."
    if job.response:
        yield "Response and DLT of one patient are independent."


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


def _run_job(job: Any, *, workers: int, scheduler: str, progress: Any) -> Any:
    from hepatica.bootstrap import open_executor
    from hepatica.trials.simulation.engine import simulate_trials

    with open_executor(workers=workers, scheduler=scheduler) as executor:
        run = map if executor is None else executor.map
        return simulate_trials(job, run=run, progress=progress)


def _describe(results: list[Any], job: Any) -> str:
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
    lines += ["", f"Monte Carlo standard error of a selection: at most {100 * worst:.2f} percentage points."]
    return "\n".join([*lines, *describe_assumptions(job)])


def _select(design: Any, *, counts: Any, dlts: Any, pair: bool, contour: bool) -> dict[str, Any]:
    from hepatica.core.errors import InputError

    if pair:
        data = design._to_data(counts, dlts)
        estimates = design.next_dose(data).to_dict()
        chosen = design.select_contour(counts, dlts) if contour else design.select(counts, dlts)
        answer: Any = list(chosen) if chosen is not None else None
        return {
            "mtd": answer,
            "recommended_dose": answer,
            "prob_tox": estimates["prob_tox"],
            "dose_admissible": estimates["dose_admissible"],
        }
    if not hasattr(design, "select"):
        raise InputError(
            expected="a design that selects from counts alone",
            given="a model that needs next-dose",
            where="select-mtd",
            action="use next-dose with the outcomes: its recommended dose is the selection",
        )
    from hepatica.trials.outcomes import to_outcomes

    given = [d for d, n in enumerate(counts[0], start=1) if n]
    if not given:
        raise InputError(expected="at least one patient", given="none", where="--n")
    advice = design.next_dose(to_outcomes(counts[0], dlts[0], current=given[-1])).to_dict()
    chosen = design.select(counts[0], dlts[0])
    return {
        "mtd": chosen,
        "recommended_dose": chosen,
        "prob_tox": advice["prob_tox"],
        "dose_admissible": advice["dose_admissible"],
    }


def _join_rates(rates: Any) -> str:
    return ", ".join(
        _join_rates(r) if isinstance(r, list) else "-" if r is None else f"{r:.3f}" for r in rates
    )


def _read_date(text: str | None) -> Any:
    from datetime import date

    from hepatica.core.errors import InputError

    if text is None:
        return date.today()
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise InputError(expected="a date YYYY-MM-DD", given=f"'{text}'", where="--today") from None
