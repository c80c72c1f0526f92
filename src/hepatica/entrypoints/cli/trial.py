"""``hepatica trial``: run a trial and design the next one."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Final

import typer

from hepatica.entrypoints.cli.quick_command import QuickCommand, QuickGroup
from hepatica.entrypoints.cli.trial_options import EPILOG, DesignCommand, take_chosen
from hepatica.entrypoints.cli.trial_phase2 import phase2
from hepatica.entrypoints.cli.trial_report import report
from hepatica.entrypoints.cli.trial_response import response
from hepatica.entrypoints.cli.trial_simulate import compare, simulate
from hepatica.entrypoints.cli.trial_survival import survival

app = typer.Typer(
    name="trial",
    cls=QuickGroup,
    help="Run a trial and design the next one: escalation, phase II, intervals, survival, simulated trials.",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.add_typer(phase2, name="phase2")
app.command(name="survival")(survival)
app.command(name="response")(response)
app.command(name="simulate", cls=DesignCommand, epilog=EPILOG)(simulate)
app.command(name="compare", cls=DesignCommand, epilog=EPILOG)(compare)
app.command(name="report")(report)

MOST_TABLED: Final = 1000
"""Largest decision table; its making grows with the square."""
MOST_COUNTED: Final = 100_000
"""Most patients at a level; each is a record of its own."""
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
Json = Annotated[bool, typer.Option("--json", help="Print exactly one JSON document on stdout.")]


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
    max_n: Annotated[
        int, typer.Option("--max-n", min=1, max=MOST_TABLED, help="Most patients at a dose.")
    ] = 30,
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
    if any(count > MOST_COUNTED for row in counts for count in row):
        raise InputError(expected=f"at most {MOST_COUNTED} patients at a level", given=n, where="--n")
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


@app.command(cls=QuickCommand)
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
