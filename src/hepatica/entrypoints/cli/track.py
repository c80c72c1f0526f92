"""``hepatica track``: which lesion of a follow-up is which of the baseline."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from hepatica.workflows.track_lesions import TrackOutcome

track_app = typer.Typer()


@track_app.command()
def track(
    baseline: Annotated[Path, typer.Argument(help="Baseline CT: DICOM folder or zip, NIfTI, NRRD or MHA.")],
    followup: Annotated[Path, typer.Argument(help="Follow-up CT.")],
    baseline_labels: Annotated[
        list[Path], typer.Option("--baseline-labels", help="Labels of the baseline. Repeatable.")
    ],
    followup_labels: Annotated[
        list[Path],
        typer.Option(
            "--followup-labels", help="Labels of the follow-up; a liver alone says no lesion is left."
        ),
    ],
    out: Annotated[Path, typer.Option("--out", help="Folder to make; written whole or not at all.")],
    names: Annotated[
        list[str] | None,
        typer.Option(
            "--names", help="Names tables for label maps, in order, used for both scans; '-' skips."
        ),
    ] = None,
    baseline_series: Annotated[str | None, typer.Option("--baseline-series", help="Its series.")] = None,
    followup_series: Annotated[str | None, typer.Option("--followup-series", help="Its series.")] = None,
    baseline_plan: Annotated[
        Path | None,
        typer.Option(
            "--baseline-plan", help="Plan or tracking folder of the baseline: names and UIDs go on."
        ),
    ] = None,
    confirm: Annotated[
        Path | None, typer.Option("--confirm", help="proposals.json with a reader's decisions filled in.")
    ] = None,
    reader: Annotated[str, typer.Option("--reader", help="Name of the reader who decided.")] = "",
    same_phase: Annotated[
        bool, typer.Option("--same-phase", help="I state that both scans are of one contrast phase.")
    ] = False,
    simulated: Annotated[
        bool, typer.Option("--simulated", help="The scans are simulated: say so on every output.")
    ] = False,
    subject: Annotated[str, typer.Option("--subject", help="USUBJID in tu.csv and tr.csv.")] = "SUBJECT",
    study: Annotated[str, typer.Option("--study", help="STUDYID in tu.csv and tr.csv.")] = "",
    visit_number: Annotated[
        int, typer.Option("--visit-number", min=2, help="VISITNUM of the follow-up.")
    ] = 2,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace an earlier result in the folder.")
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print exactly one JSON document on stdout.")
    ] = False,
) -> None:
    """Find every lesion of a baseline scan again in a follow-up: matched, new, vanished, split, merged."""
    from hepatica.bootstrap import make_track_ports
    from hepatica.entrypoints.cli.screen import print_json, showing_progress
    from hepatica.workflows.request import pair_labels
    from hepatica.workflows.track_lesions import track_lesions
    from hepatica.workflows.track_request import TrackRequest

    request = TrackRequest(
        baseline=baseline,
        followup=followup,
        baseline_labels=pair_labels(baseline_labels, (names or [])[: len(baseline_labels)]),
        followup_labels=pair_labels(followup_labels, (names or [])[: len(followup_labels)]),
        baseline_series=baseline_series,
        followup_series=followup_series,
        earlier=baseline_plan,
        confirm=confirm,
        reader=reader,
        same_phase=same_phase,
        simulated=simulated,
        subject=subject,
        study=study,
        followup_visit=visit_number,
    )
    with showing_progress(quiet=as_json) as progress:
        outcome = track_lesions(
            request, ports=make_track_ports(), out=out, overwrite=overwrite, progress=progress
        )
    if as_json:
        print_json(outcome.document)
    else:
        _print_summary(outcome)


def _print_summary(outcome: TrackOutcome) -> None:
    document = outcome.document
    if document["simulated"]:
        typer.echo(document["simulated"])
    found = document["registration"]
    typer.echo(f"Registration: {found['chosen']}; {found['reason']}")
    for link in document["links"]:
        score = "" if link["score"] is None else f"  score {link['score']:.2f}"
        flag = "  AMBIGUOUS" if link["ambiguous"] else ""
        pair = f"{' + '.join(link['baseline']) or '-':<12} -> {' + '.join(link['followup']) or '-':<12}"
        typer.echo(f"  {pair} {link['kind']:<9} {link['status']}{score}{flag}")
    for finding in document["findings"]:
        if finding["severity"] != "info":
            typer.echo(
                f"  {finding['severity']}: {finding['subject']} {finding['message']}".rstrip(), err=True
            )
    typer.echo(f"{document['status']}: {outcome.folder}")
    if document["status"] == "proposed":
        typer.echo(
            "A reader has to confirm: fill in proposals.json and run again with --confirm and --reader."
        )
