"""``hepatica response compare``, ``endpoints`` and ``report``: what follows a derivation."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Table = Path | None


def compare(
    tu: Annotated[Path, typer.Option("--tu", help="Tumour identification (SDTM TU).")],
    tr: Annotated[Path, typer.Option("--tr", help="Tumour results (SDTM TR).")],
    rs: Annotated[Path, typer.Option("--rs", help="Recorded responses (SDTM RS).")],
    out: Annotated[Path, typer.Option("--out", help="CSV to write: one row for each disagreement.")],
    criteria: Annotated[
        str, typer.Option("--criteria", help="recist-1.1, irecist, itrecist, mrecist or volumetric.")
    ] = "recist-1.1",
    ex: Annotated[Table, typer.Option("--ex", help="Exposure (SDTM EX), for itrecist.")] = None,
    injections: Annotated[Table, typer.Option("--injections", help="Or: subject, lesion, date.")] = None,
    evaluator: Annotated[str, typer.Option("--evaluator", help="Only this TREVAL or TREVALID.")] = "",
    continuing_pr: Annotated[bool, typer.Option("--continuing-pr", help="Keep PR until PD.")] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print exactly one JSON document on stdout.")
    ] = False,
) -> None:
    """Name every disagreement between derived and recorded responses, with both reasons."""
    from hepatica.bootstrap import make_response_ports
    from hepatica.entrypoints.cli.outputs import refuse_overwriting_inputs
    from hepatica.entrypoints.cli.response import choose, finish
    from hepatica.followup.verdict import Criterion, ResponseSettings
    from hepatica.workflows.compare_response import compare_response
    from hepatica.workflows.derive_response import ResponseRequest

    if ex is not None and injections is not None:
        raise typer.BadParameter("give --ex or --injections, not both")
    refuse_overwriting_inputs((tu, tr, rs, ex, injections), out)
    request = ResponseRequest(
        lesions=tu,
        results=tr,
        settings=ResponseSettings(
            criterion=choose(Criterion, criteria, "--criteria"), continuing_pr=continuing_pr
        ),
        exposure=ex,
        injections=injections,
        evaluator=evaluator,
    )
    finish(compare_response(request, recorded=rs, ports=make_response_ports(), out=out), as_json=as_json)


def endpoints(
    rs: Annotated[Path, typer.Option("--rs", help="Responses (SDTM RS).")],
    dm: Annotated[Path, typer.Option("--dm", help="Demographics (SDTM DM): start and death.")],
    rules: Annotated[str, typer.Option("--rules", help="fda-2007, itt, or a TOML file of censoring rules.")],
    out: Annotated[Path, typer.Option("--out", help="Folder to make; written whole or not at all.")],
    ex: Annotated[Table, typer.Option("--ex", help="Exposure (SDTM EX).")] = None,
    ds: Annotated[Table, typer.Option("--ds", help="Disposition (SDTM DS).")] = None,
    cm: Annotated[Table, typer.Option("--cm", help="Medication (SDTM CM): new anticancer therapy.")] = None,
    tu: Annotated[Table, typer.Option("--tu", help="Lesions (SDTM TU): who has no baseline.")] = None,
    formats: Annotated[
        str,
        typer.Option(
            "--format", help="csv, xpt (SAS transport 5), json (Dataset-JSON 1.1), ndjson; with commas."
        ),
    ] = "csv",
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace an earlier result in the folder.")
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print exactly one JSON document on stdout.")
    ] = False,
) -> None:
    """Derive adrs and adtte: best response, response, PFS, OS, DOR, TTR, and those of iRECIST."""
    from hepatica.bootstrap import make_endpoint_ports
    from hepatica.entrypoints.cli.response import finish, split_words
    from hepatica.entrypoints.cli.screen import showing_progress
    from hepatica.workflows.response_endpoints import EndpointRequest, derive_response_endpoints

    given = {"rs": rs, "dm": dm, "ex": ex, "ds": ds, "cm": cm, "tu": tu}
    request = EndpointRequest(
        tables={role: path for role, path in given.items() if path is not None},
        rules=rules,
        formats=split_words(formats),
    )
    with showing_progress(quiet=as_json) as progress:
        outcome = derive_response_endpoints(
            request, ports=make_endpoint_ports(), out=out, overwrite=overwrite, progress=progress
        )
    finish(outcome, as_json=as_json)


def report(
    tu: Annotated[Path, typer.Option("--tu", help="Tumour identification (SDTM TU).")],
    tr: Annotated[Path, typer.Option("--tr", help="Tumour results (SDTM TR).")],
    out: Annotated[Path, typer.Option("--out", help="Folder to make; written whole or not at all.")],
    criteria: Annotated[
        str, typer.Option("--criteria", help="recist-1.1, irecist, itrecist or mrecist.")
    ] = "recist-1.1",
    ex: Annotated[Table, typer.Option("--ex", help="Exposure (SDTM EX): EXLNKID names the lesion.")] = None,
    injections: Annotated[Table, typer.Option("--injections", help="Or: subject, lesion, date.")] = None,
    evaluator: Annotated[str, typer.Option("--evaluator", help="Only this TREVAL or TREVALID.")] = "",
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace an earlier result in the folder.")
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print exactly one JSON document on stdout.")
    ] = False,
) -> None:
    """Draw lesions and sums over time: response.html, and the pictures as SVG and PNG."""
    from hepatica.bootstrap import make_response_ports, make_response_report_writer
    from hepatica.entrypoints.cli.response import choose, finish
    from hepatica.entrypoints.cli.screen import showing_progress
    from hepatica.followup.verdict import Criterion, ResponseSettings
    from hepatica.workflows.derive_response import ResponseRequest
    from hepatica.workflows.report_response import report_response

    if ex is not None and injections is not None:
        raise typer.BadParameter("give --ex or --injections, not both")
    request = ResponseRequest(
        lesions=tu,
        results=tr,
        settings=ResponseSettings(criterion=choose(Criterion, criteria, "--criteria")),
        exposure=ex,
        injections=injections,
        evaluator=evaluator,
    )
    with showing_progress(quiet=as_json) as progress:
        outcome = report_response(
            request,
            ports=make_response_ports(),
            write_report=make_response_report_writer(),
            out=out,
            overwrite=overwrite,
            progress=progress,
        )
    finish(outcome, as_json=as_json)
