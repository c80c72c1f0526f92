"""``hepatica response``: responses from tumour tables, from components, and best responses.

Exit status: 0 everything was derived; 3 (partial) some rows were bad, their subjects are left out,
everything else was written; any other status as in `hepatica.entrypoints.cli.exit_status`.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

if TYPE_CHECKING:
    from hepatica.workflows.derive_response import ResponseOutcome

PARTIAL: Final = 3
"""Exit status: written, but subjects with bad rows are missing."""
MOST_FINDINGS_SHOWN: Final = 20

response_app = typer.Typer(
    name="response",
    help="Tumour response: RECIST 1.1, iRECIST, itRECIST-based, mRECIST, volumes. "
    "Tables come in as CSV, SAS transport 5 or Dataset-JSON. "
    "Exit status 3: some rows were bad and their subjects are missing.",
    no_args_is_help=True,
)
Criteria = Annotated[
    str,
    typer.Option("--criteria", help="recist-1.1, irecist, itrecist (itRECIST-based), mrecist or volumetric."),
]
Json = Annotated[bool, typer.Option("--json", help="Print exactly one JSON document on stdout.")]
Formats = Annotated[
    str,
    typer.Option(
        "--format", help="csv, xpt (SAS transport 5), json (Dataset-JSON 1.1), ndjson; with commas."
    ),
]


@response_app.command()
def derive(
    tu: Annotated[
        Path, typer.Option("--tu", help="Tumour identification (SDTM TU: CSV, XPT or Dataset-JSON).")
    ],
    tr: Annotated[Path, typer.Option("--tr", help="Tumour results (SDTM TR: CSV, XPT or Dataset-JSON).")],
    criteria: Criteria,
    out: Annotated[Path, typer.Option("--out", help="Folder to make; written whole or not at all.")],
    dm: Annotated[
        Path | None, typer.Option("--dm", help="Demographics (SDTM DM) with RFSTDTC, for study days.")
    ] = None,
    ex: Annotated[
        Path | None, typer.Option("--ex", help="Exposure (SDTM EX): EXLNKID names the lesion.")
    ] = None,
    injections: Annotated[
        Path | None, typer.Option("--injections", help="Or CSV: subject, lesion, date.")
    ] = None,
    evaluator: Annotated[str, typer.Option("--evaluator", help="Only this TREVAL or TREVALID.")] = "",
    continuing_pr: Annotated[bool, typer.Option("--continuing-pr", help="Keep PR until PD.")] = False,
    least_increase: Annotated[
        bool, typer.Option("--least-increase", help="mRECIST: ask for 5 mm as well.")
    ] = False,
    early_tolerance: Annotated[
        bool, typer.Option("--early-tolerance", help="iRECIST: 2 days early is not early.")
    ] = False,
    formats: Formats = "csv",
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace an earlier result in the folder.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Derive responses at every visit from tumour tables: rs.csv, adtr.csv, trail.jsonl."""
    from hepatica.bootstrap import make_response_ports
    from hepatica.entrypoints.cli.screen import showing_progress
    from hepatica.followup.verdict import Criterion, ResponseSettings
    from hepatica.workflows.derive_response import ResponseRequest, derive_response

    if ex is not None and injections is not None:
        raise typer.BadParameter("give --ex or --injections, not both")
    settings = ResponseSettings(
        criterion=choose(Criterion, criteria, "--criteria"),
        continuing_pr=continuing_pr,
        least_increase=least_increase,
        early_tolerance=early_tolerance,
    )
    request = ResponseRequest(
        lesions=tu,
        results=tr,
        settings=settings,
        subjects=dm,
        exposure=ex,
        injections=injections,
        evaluator=evaluator,
        formats=tuple(word for word in split_words(formats) if word != "csv"),
    )
    with showing_progress(quiet=as_json) as progress:
        outcome = derive_response(
            request, ports=make_response_ports(), out=out, overwrite=overwrite, progress=progress
        )
    finish(outcome, as_json=as_json)


@response_app.command()
def compose(
    criteria: Criteria,
    timepoints: Annotated[
        Path,
        typer.Option(
            "--timepoints",
            help="CSV: subject, date, target, nontarget, new_lesion; for iRECIST also baseline_sum, "
            "target_sum, new_target_sum, new_lesion_count, nontarget_growth, symptom_driven.",
        ),
    ],
    out: Annotated[Path, typer.Option("--out", help="CSV to write.")],
    early_tolerance: Annotated[
        bool, typer.Option("--early-tolerance", help="iRECIST: 2 days early is not early.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Join target, non-target and new lesions into the overall response of each time point."""
    from hepatica.bootstrap import make_response_ports
    from hepatica.entrypoints.cli.outputs import refuse_overwriting_inputs
    from hepatica.followup.verdict import Criterion
    from hepatica.workflows.compose_response import compose_response

    refuse_overwriting_inputs((timepoints,), out)
    outcome = compose_response(
        timepoints,
        criterion=choose(Criterion, criteria, "--criteria"),
        ports=make_response_ports(),
        out=out,
        early_tolerance=early_tolerance,
    )
    finish(outcome, as_json=as_json)


@response_app.command()
def best(
    timepoints: Annotated[Path, typer.Option("--timepoints", help="CSV: subject, date, response.")],
    subjects: Annotated[
        Path,
        typer.Option("--subjects", help="CSV: subject, reference_date, optionally pd_date, response_date."),
    ],
    endpoint: Annotated[
        str, typer.Option("--endpoint", help="BOR, CBOR, RSP, CRSP, CBR, IBOR, IPFS or IDOR.")
    ],
    out: Annotated[Path, typer.Option("--out", help="CSV to write: subject, endpoint, value, date.")],
    criteria: Annotated[
        str, typer.Option("--criteria", help="recist-1.1 or irecist; that of the endpoint.")
    ] = "",
    rule: Annotated[str, typer.Option("--rule", help="best-in-class or table3.")] = "best-in-class",
    sd_window_days: Annotated[
        int | None, typer.Option("--sd-window-days", min=0, help="SD counts from this day on; default 0.")
    ] = None,
    confirm_days: Annotated[
        int | None,
        typer.Option("--confirm-days", min=0, help="Least distance of a confirmation; default 28."),
    ] = None,
    max_ne: Annotated[
        int | None,
        typer.Option("--max-ne", min=0, help="NE allowed before a confirmation; default 1, table3 0."),
    ] = None,
    accept_sd: Annotated[
        bool, typer.Option("--accept-sd", help="One SD allowed before a PR is confirmed.")
    ] = False,
    missing_as_ne: Annotated[
        bool, typer.Option("--missing-as-ne", help="No assessment is NE, not MISSING.")
    ] = False,
    until_pd: Annotated[
        str, typer.Option("--until-pd", help="derive (first PD), column (pd_date) or never.")
    ] = "derive",
    benefit_values: Annotated[
        str, typer.Option("--benefit-values", help="Codes that are benefit.")
    ] = "CR,PR,SD,NON-CR/NON-PD",
    as_json: Json = False,
) -> None:
    """Derive one value for each subject: best response, response, clinical benefit, iPFS, iDOR."""
    from dataclasses import replace

    from hepatica.bootstrap import make_response_ports
    from hepatica.entrypoints.cli.outputs import refuse_overwriting_inputs
    from hepatica.followup.best.endpoints import read_best_settings
    from hepatica.followup.best.timeline import BestRule, Endpoint, ProgressionCut
    from hepatica.followup.verdict import Criterion
    from hepatica.workflows.best_response import BestRequest, derive_best_response

    refuse_overwriting_inputs((timepoints, subjects), out)
    settings = read_best_settings(
        rule=choose(BestRule, rule, "--rule"),
        until_pd=choose(ProgressionCut, until_pd, "--until-pd"),
        sd_window_days=sd_window_days,
        confirm_days=confirm_days,
        max_ne=max_ne,
    )
    benefit = split_words(benefit_values)
    request = BestRequest(
        timepoints=timepoints,
        subjects=subjects,
        endpoint=choose(Endpoint, endpoint.upper(), "--endpoint"),
        settings=replace(settings, accept_sd=accept_sd, missing_as_ne=missing_as_ne, benefit_values=benefit),
        criterion=choose(Criterion, criteria, "--criteria") if criteria else None,
    )
    finish(derive_best_response(request, ports=make_response_ports(), out=out), as_json=as_json)


def split_words(text: str) -> tuple[str, ...]:
    """Return the words of a list with commas."""
    return tuple(word.strip() for word in text.split(",") if word.strip())


def choose(words: Any, text: str, option: str) -> Any:
    """Return the member of an enumeration, or refuse the option."""
    try:
        return words(text)
    except ValueError:
        raise typer.BadParameter(f"'{text}' is none of {', '.join(words)}", param_hint=option) from None


def finish(outcome: ResponseOutcome, *, as_json: bool) -> None:
    """Print the outcome; a partial one ends with its own exit status."""
    if as_json:
        from hepatica.entrypoints.cli.screen import print_json

        print_json(outcome.document)
    else:
        _print_summary(outcome.document)
    if outcome.partial:
        raise typer.Exit(PARTIAL)


def _print_summary(document: Mapping[str, Any]) -> None:
    counts = ", ".join(
        f"{document[key]} {key}"
        for key in ("courses", "verdicts", "timepoints", "subjects", "disagreements")
        if key in document
    )
    typer.echo(f"{document['command']}: {counts} -> {document['out']}")
    findings = document["findings"]
    for finding in findings[:MOST_FINDINGS_SHOWN]:
        place = f"{finding['table']} row {finding['row']} {finding['column']}".rstrip()
        typer.echo(f"  {finding['severity']}: {place}: {finding['message']}", err=True)
    if len(findings) > MOST_FINDINGS_SHOWN:
        typer.echo(f"  and {len(findings) - MOST_FINDINGS_SHOWN} more; see --json", err=True)
    if document.get("unverified"):
        typer.echo(f"{len(document['unverified'])} of the limits used are unverified; see --json.", err=True)
    if document["partial"]:
        typer.echo("Partial: subjects with bad rows are missing.", err=True)
