"""``hepatica spread``: where a plan's injections go, and the analytic suite behind the answer."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

if TYPE_CHECKING:
    from hepatica.planning.spread.simulate import Band
    from hepatica.workflows.spread_values import AlternativeSpread, LesionSpread, PlanSpread

VERIFY: Final = "verify"
MOST_FINDINGS: Final = 8

Draws = Annotated[int, typer.Option("--draws", min=1, help="Draws of what is not known.")]
Rate = Annotated[
    float | None,
    typer.Option("--rate", help="Rate of injection, mL/min; without it the plan's or its protocol's."),
]
Workers = Annotated[
    int | None,
    typer.Option("--workers", min=1, help="Processes; the result is the same for any number."),
]
Scheduler = Annotated[
    str, typer.Option("--scheduler", help="Address of a Dask scheduler whose workers share the work.")
]


def spread(
    plan: Annotated[
        str,
        typer.Argument(
            metavar="PLAN_DIR|verify", help="Folder of a plan; or 'verify' for the analytic error table."
        ),
    ],
    draws: Draws = 100,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Seed of the draws.")] = 1,
    rate: Rate = None,
    out: Annotated[
        Path | None, typer.Option("--out", help="Folder to make; PLAN_DIR-spread unless given.")
    ] = None,
    workers: Workers = None,
    scheduler: Scheduler = "",
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace an earlier result in the folder.")
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print exactly one JSON document on stdout.")
    ] = False,
) -> None:
    """Simulate where a plan's injections go, with bands; or print how the solver does on exact cases."""
    if plan == VERIFY:
        _verify(as_json=as_json)
        return
    from hepatica.bootstrap import make_plan_ports
    from hepatica.entrypoints.cli.screen import print_json, showing_progress
    from hepatica.workflows.spread_plan import spread_plan
    from hepatica.workflows.spread_request import SpreadRequest

    folder = Path(plan)
    request = SpreadRequest(draws=draws, seed=seed, rate_ml_per_min=rate)
    ports = make_plan_ports(workers=count_workers(workers), scheduler=scheduler)
    target = out or folder.resolve().with_name(f"{folder.resolve().name}-spread")
    with showing_progress(quiet=as_json) as progress:
        result = spread_plan(
            folder, request=request, ports=ports, out=target, overwrite=overwrite, progress=progress
        )
    if as_json:
        print_json(result.document)
        return
    print_spread(result.spread)
    typer.echo(f"\nOpen {result.folder}/spread.html (all details).")
    typer.echo("Simulated prediction for research, not a medical device.")


def count_workers(stated: int | None) -> int:
    """Return the number of processes: the one stated, else one for each processor this process may use."""
    import os

    if stated is not None:
        return stated
    usable = getattr(os, "sched_getaffinity", None)
    return len(usable(0)) if usable is not None else os.cpu_count() or 1


def _verify(*, as_json: bool) -> None:
    from hepatica.core.errors import NotConvergedError
    from hepatica.entrypoints.cli.screen import print_json
    from hepatica.planning.spread.verify import verify_spread
    from hepatica.workflows.spread_document import to_verification_rows

    rows = verify_spread()
    failed = [row for row in rows if not row.passed]
    if as_json and not failed:
        print_json({"passed": True, "rows": to_verification_rows(rows)})
    elif not as_json:
        typer.echo(f"{'case':<6}{'quantity':<62}{'exact':>13}{'computed':>13}{'error':>11}{'allowed':>11}")
        for row in rows:
            exact = "" if row.expected == 0 else f"{row.expected:.6g}"
            typer.echo(
                f"{row.case:<6}{row.quantity[:60]:<62}{exact:>13}{row.computed:>13.6g}{row.error:>11.2e}"
                f"{row.tolerance:>11.0e}{'' if row.passed else '  FAILED'}"
            )
        typer.echo(f"\n{len(rows) - len(failed)} of {len(rows)} rows within their tolerance.")
    if failed:
        raise NotConvergedError(
            expected="every row of the analytic suite within its tolerance",
            given=f"{len(failed)} of {len(rows)} beyond it: " + ", ".join(row.case for row in failed),
            where="spread verify",
            action="do not use predictions of this installation; report the table",
        )


def print_spread(spread: PlanSpread) -> None:
    """Print what matters of a prediction on stdout."""
    typer.echo(
        f"\nSimulated spread, {spread.request.draws} draws at {spread.rate.number:g} mL/min "
        f"({spread.rate.source}, {spread.rate.status}); middle of the draws (5 to 95 %)"
    )
    for lesion in spread.lesions:
        _print_lesion(lesion)
    for other in spread.alternatives:
        _print_alternative(other, draws=spread.request.draws)


def _print_alternative(other: AlternativeSpread, *, draws: int) -> None:
    from hepatica.core.findings import NotEvaluable

    words = f"\nAlong the backup {other.puncture_id} to {other.lesion_id}, {other.draws} of the {draws} draws"
    if isinstance(other.outcome, NotEvaluable):
        typer.echo(f"{words}: not applicable: {other.outcome.reason}")
        return
    typer.echo(
        f"{words}: viable tumour reached {say_band(other.outcome.covered)}, "
        f"drug in viable {say_band(other.outcome.retained['viable'])}"
    )


def _print_lesion(lesion: LesionSpread) -> None:
    from hepatica.core.findings import NotEvaluable, Severity

    outcome = lesion.outcome
    placed, planned = f"{lesion.placed_ml:.3f} mL", f"{lesion.injection.volume_ml:.3f} mL"
    of_planned = "" if placed == planned else f" of the planned {lesion.injection.volume_ml:g} mL"
    typer.echo(
        f"\n{lesion.lesion_id}: {lesion.placed_ml:g} mL{of_planned} in {len(lesion.site.deposits)} deposits"
    )
    if isinstance(outcome, NotEvaluable):
        typer.echo(f"   not applicable: {outcome.reason}")
    else:
        typer.echo(f"   viable tumour reached  {say_band(outcome.covered)}")
        for place, band in outcome.retained.items():
            if band.high >= 0.005:
                typer.echo(f"   drug in {place.replace('_', ' '):<14} {say_band(band)}")
        classes = ", ".join(f"{kind} {count}" for kind, count in outcome.backflow.items() if count)
        typer.echo(f"   backflow, draws: {classes}")
        if not isinstance(outcome.drivers, NotEvaluable):
            names = ", ".join(f"{d.name} {d.correlation:+.2f}" for d in outcome.drivers[:3])
            typer.echo(f"   drivers of the share in viable tumour: {names}")
    if not isinstance(lesion.split, NotEvaluable):
        middle = lesion.split.middle
        words = (
            middle.reason
            if isinstance(middle, NotEvaluable)
            else f"{middle.deposits} x {middle.volume_ml:.2f} mL, {middle.spacing_mm:.0f} mm apart"
        )
        typer.echo(f"   split, at the middle of every range: {words}")
    shown = [finding for finding in lesion.findings if finding.severity is not Severity.INFO]
    for finding in shown[:MOST_FINDINGS]:
        typer.echo(f"   {finding.severity}: {finding.message}")


def say_band(band: Band) -> str:
    """Return a share with its band, in per cent.

    Examples
    --------
    >>> from hepatica.planning.spread.simulate import Band
    >>> say_band(Band(low=0.1, middle=0.25, high=0.5))
    '25 % (10 to 50)'
    """
    return f"{100 * band.middle:.0f} % ({100 * band.low:.0f} to {100 * band.high:.0f})"
