"""``hepatica demo``: the shipped case from scan to plan, and a record in which it can be looked at."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from hepatica.core.errors import UsageError
from hepatica.entrypoints.cli.serve import PORT
from hepatica.entrypoints.cli.spread import Workers, count_workers

if TYPE_CHECKING:
    from hepatica.bootstrap import DemoAccounts
    from hepatica.core.progress import Progress
    from hepatica.workflows.plan_injection import PlanOutcome

MADE_UP: Final = (
    "The scan is real; laboratory values, drugs and the rate of injection of this demonstration are made up."
)
COHORT_SIZE: Final = 24
HOME: Final = "demo-record"


def demo(
    out: Annotated[Path, typer.Option("--out", help="Folder to make; written whole or not at all.")] = Path(
        "demo-plan"
    ),
    spread_draws: Annotated[
        int, typer.Option("--spread-draws", min=0, help="Draws of the simulated spread; 0 for none.")
    ] = 32,
    workers: Workers = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print exactly one JSON document on stdout.")
    ] = False,
    serve: Annotated[
        bool,
        typer.Option(
            "--serve",
            help="Put the case into a demonstration record beside a simulated cohort, and serve it.",
        ),
    ] = False,
    home: Annotated[
        Path | None,
        typer.Option("--home", help="Its folder, made or opened again; demo-record beside --out."),
    ] = None,
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="0 for any free port.")] = PORT,
    new_password: Annotated[
        bool, typer.Option("--new-password", help="Give the accounts of an earlier record a new password.")
    ] = False,
) -> None:
    """Plan on the real CT that is shipped with Hepatica (HCC_015, CC BY 4.0)."""
    if not serve and (home or new_password or port != PORT):
        raise UsageError(
            expected="--serve beside --home, --port and --new-password", given="none", where="demo"
        )
    if serve and as_json:
        raise UsageError(expected="--serve or --json", given="both", where="demo")
    if serve:
        _serve(
            home or out.parent / HOME, out=out, spread_draws=spread_draws, workers=count_workers(workers),
            port=port, new_password=new_password,
        )  # fmt: skip
    else:
        _plan(out, spread_draws=spread_draws, workers=count_workers(workers), as_json=as_json)


def _plan(out: Path, *, spread_draws: int, workers: int, as_json: bool) -> None:
    from hepatica.bootstrap import make_demo_request, make_plan_ports
    from hepatica.entrypoints.cli.screen import print_json, showing_progress
    from hepatica.workflows.plan_injection import plan_injection

    with showing_progress(quiet=as_json) as progress:
        outcome = plan_injection(
            make_demo_request(spread_draws=spread_draws),
            ports=make_plan_ports(workers=workers),
            out=out,
            overwrite=True,
            progress=progress,
        )
    if as_json:
        print_json(outcome.document)
    else:
        _show(outcome)


def _serve(home: Path, *, out: Path, spread_draws: int, workers: int, port: int, new_password: bool) -> None:
    from hepatica.bootstrap import has_demo_record, make_demo_record, renew_demo_password
    from hepatica.entrypoints.cli.screen import showing_progress
    from hepatica.entrypoints.cli.serve import ADDRESS
    from hepatica.entrypoints.web.server import Listening, serve_record

    accounts: DemoAccounts | None = None
    if not has_demo_record(home):

        def make(progress: Progress) -> tuple[PlanOutcome, DemoAccounts]:
            return make_demo_record(
                home, out=out, spread_draws=spread_draws, workers=workers, patients=COHORT_SIZE,
                progress=progress,
            )  # fmt: skip

        with showing_progress(quiet=False) as progress:
            outcome, accounts = make(progress)
        _show(outcome)
    elif new_password:
        accounts = renew_demo_password(home)
    _show_accounts(accounts, home)
    serve_record(home, database="", listening=Listening(address=ADDRESS, port=port))


def _show(outcome: PlanOutcome) -> None:
    from hepatica.entrypoints.cli.summary import print_summary

    print_summary(outcome)
    typer.echo(MADE_UP)


def _show_accounts(accounts: DemoAccounts | None, home: Path) -> None:
    typer.echo(
        f"\nDEMONSTRATION record in {home}: one real case of a public collection, all other patients SIMULATED."
    )
    if accounts is None:
        typer.echo("Its password was printed when it was made; --new-password makes another.")
        return
    typer.echo(f"Password of every account, shown once: {accounts.password}")
    for login, role in accounts.roles.items():
        typer.echo(f"  {login:<18} {role.replace('_', ' ')}")
