"""``hepatica trial report``: datasets, definition, conformance, tables and figures of a whole trial."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from hepatica.workflows.derive_response import ResponseOutcome

MOST_SHOWN = 20


def report(
    out: Annotated[Path, typer.Option("--out", help="Folder to make; written whole or not at all.")],
    data: Annotated[
        Path | None,
        typer.Argument(metavar="[DATA]", help="Folder of SDTM files: CSV, XPT or Dataset-JSON."),
    ] = None,
    home: Annotated[
        Path | None, typer.Option("--home", help="Folder of a record to report instead of files.")
    ] = None,
    database: Annotated[
        str, typer.Option("--database", envvar="HEPATICA_DATABASE", help="Address of the record's database.")
    ] = "",
    site: Annotated[str, typer.Option("--site", help="One site of the record; every site without it.")] = "",
    rules: Annotated[
        str, typer.Option("--rules", help="fda-2007, itt, or a TOML file of censoring rules.")
    ] = "itt",
    criteria: Annotated[str, typer.Option("--criteria", help="recist-1.1 or mrecist.")] = "recist-1.1",
    formats: Annotated[
        str,
        typer.Option("--format", help="csv, xpt (SAS transport 5), json (Dataset-JSON 1.1); with commas."),
    ] = "csv,xpt,json",
    evaluator: Annotated[
        str, typer.Option("--evaluator", help="Whose assessments the tables show (RSEVAL or RSEVALID).")
    ] = "",
    words: Annotated[
        Path | None, typer.Option("--words", help="TOML: the sponsor's own variables and values.")
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace an earlier result in the folder.")
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print exactly one JSON document on stdout.")
    ] = False,
) -> None:
    """Report a trial from its SDTM files or the record: ADaM with Define-XML, conformance, tables and figures."""
    from hepatica.bootstrap import make_trial_report_ports, open_record
    from hepatica.core.errors import UsageError
    from hepatica.entrypoints.cli.response import choose, split_words
    from hepatica.entrypoints.cli.screen import showing_progress
    from hepatica.followup.verdict import Criterion
    from hepatica.workflows.report_record import report_record_trial
    from hepatica.workflows.trial_report import TrialReportRequest, report_trial

    if (data is None) == (home is None) or (site and home is None):
        raise UsageError(
            expected="a folder of SDTM files, or --home (with --site, if wanted)",
            given="both or neither" if not site else "--site without --home",
            where="DATA, --home, --site",
        )
    request = TrialReportRequest(
        folder=data or Path(),
        rules=rules,
        criterion=choose(Criterion, criteria, "--criteria"),
        evaluator=evaluator,
        formats=split_words(formats),
        words=words,
    )
    with showing_progress(quiet=as_json) as progress:
        ports = make_trial_report_ports()
        if home is None:
            outcome = report_trial(request, ports=ports, out=out, overwrite=overwrite, progress=progress)
        else:
            with open_record(home, database=database) as record:
                outcome = report_record_trial(
                    record.context,
                    request,
                    ports=ports,
                    out=out,
                    site_id=site,
                    overwrite=overwrite,
                    progress=progress,
                )
    finish_report(outcome, as_json=as_json)


def finish_report(outcome: ResponseOutcome, *, as_json: bool) -> None:
    """Print the outcome; a partial one ends with its own exit status."""
    from hepatica.entrypoints.cli.response import PARTIAL
    from hepatica.entrypoints.cli.screen import print_json

    document = outcome.document
    if as_json:
        print_json(document)
    else:
        counts = document["conformance"]
        typer.echo(
            f"trial report: {document['subjects']} subjects, {document['treated']} treated; conformance: "
            f"{counts.get('pass', 0)} hold, {counts.get('fail', 0)} do not -> {document['out']}"
        )
        for finding in document["findings"][:MOST_SHOWN]:
            place = f"{finding['table']} row {finding['row']} {finding['column']}".rstrip()
            typer.echo(f"  {finding['severity']}: {place}: {finding['message']}", err=True)
        if len(document["findings"]) > MOST_SHOWN:
            typer.echo("  and more; see conformance.json", err=True)
        if outcome.partial:
            typer.echo("Partial: rows or subjects were left out.", err=True)
    if outcome.partial:
        raise typer.Exit(PARTIAL)
