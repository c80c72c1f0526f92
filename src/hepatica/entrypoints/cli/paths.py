"""``hepatica paths``: why a needle goes where it goes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

if TYPE_CHECKING:
    from hepatica.workflows.explain_paths import ExplainOutcome

SHOWN_LIMITS: Final = 6

paths_app = typer.Typer(
    name="paths",
    help="Needle paths of a plan: from where a lesion can be reached, and what each limit costs.",
    no_args_is_help=True,
)


@paths_app.callback()
def _group() -> None:
    """Keep ``explain`` a command of its own also while it is the only one."""


@paths_app.command()
def explain(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Folder of a plan.")],
    lesion: Annotated[
        list[str] | None, typer.Option("--lesion", help="Only this lesion, for example L1. Repeatable.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", help="Folder to make; DIR-paths beside the plan by default.")
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace an earlier result in the folder.")
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print exactly one JSON document on stdout.")
    ] = False,
) -> None:
    """Map the skin for each lesion: open, closed, by which limit, and what less of each limit would free."""
    from hepatica.bootstrap import make_explanation_writers, make_plan_ports
    from hepatica.entrypoints.cli.screen import print_json, showing_progress
    from hepatica.workflows.explain_paths import explain_paths

    with showing_progress(quiet=as_json) as progress:
        outcome = explain_paths(
            folder,
            ports=make_plan_ports(),
            writers=make_explanation_writers(),
            out=out or folder.with_name(f"{folder.resolve().name}-paths"),
            lesion_ids=tuple(lesion or ()),
            overwrite=overwrite,
            progress=progress,
        )
    if as_json:
        print_json(outcome.document)
    else:
        _print_summary(outcome)


def _print_summary(outcome: ExplainOutcome) -> None:
    from rich.console import Console
    from rich.table import Table

    console = Console(highlight=False)
    for lesion in outcome.document["lesions"]:
        areas = lesion["skin_cm2"]
        console.print(
            f"[bold]{lesion['lesion_id']}[/bold]: "
            + (
                f"{areas['free']:.0f} of {areas['total']:.0f} cm² of skin are open"
                if lesion["reachable"]
                else "no path, all skin is closed"
            )
        )
        table = Table(box=None, pad_edge=False)
        for name in ("limit", "closes", "alone cm²", "through cm²"):
            table.add_column(name, justify="left" if name == "limit" else "right")
        table.add_column("giving way frees")
        for limit in lesion["limits"][:SHOWN_LIMITS]:
            table.add_row(
                limit["limit"],
                f"{100 * limit['blocked_fraction']:.0f} %",
                f"{limit['alone']['cm2']:.1f} ± {2 * limit['alone']['standard_uncertainty_cm2']:.1f}",
                "" if limit["through"] is None else f"{limit['through']['cm2']:.1f}",
                "; ".join(
                    f"{step['by']:.1f} {limit['unit']}: {step['freed']['cm2']:.1f} cm²"
                    for step in _thin(limit["relaxations"])
                ),
            )
        console.print(table)
        console.print()
    console.print(f"Open {outcome.folder}/paths.html.", markup=False)
    console.print("Research use, not a medical device.")


def _thin(steps: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """First, middle and last."""
    return [steps[n] for n in sorted({0, len(steps) // 2, len(steps) - 1})] if steps else []
