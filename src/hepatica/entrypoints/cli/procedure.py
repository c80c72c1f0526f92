"""``hepatica procedure``: where the day of an injection stands, and everything that is wrong with it.

Exit status: 0 no finding is an error; 3 one is; any other status as in `hepatica.entrypoints.cli.exit_status`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from hepatica.entrypoints.cli.record import AsJson, Database, Home

ERRORS_FOUND: Final = 3
"""Exit status: the day was read, and a finding is an error."""
MOST_FINDINGS_SHOWN: Final = 40

procedure_app = typer.Typer(
    help="The day of the injection: checks, needles, deposits, planned against performed. "
    "Exit status 3: a finding is an error.",
    no_args_is_help=True,
)


@procedure_app.command(name="show")
def show_command(
    home: Home,
    procedure_id: Annotated[str, typer.Option("--id", help="Procedure of the record.")],
    database: Database = "",
    as_json: AsJson = False,
) -> None:
    """Show where a procedure of the record stands."""
    from hepatica.bootstrap import open_record
    from hepatica.procedure.outputs import to_day_document, to_performed_rows
    from hepatica.workflows.record_procedure import read_day

    with open_record(home, database=database) as record:
        report = read_day(record.context, procedure_id=procedure_id)
    document = to_day_document(report.day, report.planned, findings=report.findings, as_of=report.as_of)
    _print(document, to_performed_rows(report.day), as_json=as_json)


@procedure_app.command(name="check")
def check_command(
    entries: Annotated[
        Path, typer.Argument(metavar="ENTRIES", help="Entries (JSON), see 'hepatica schema procedure'.")
    ],
    plan: Annotated[Path, typer.Option("--plan", help="Folder of the plan, or its plan.json.")],
    as_of: Annotated[
        str, typer.Option("--as-of", help="Moment to look at, ISO 8601 with time zone; now without it.")
    ] = "",
    out: Annotated[
        Path | None, typer.Option("--out", help="Folder for the day's tables; written whole or not at all.")
    ] = None,
    subject: Annotated[str, typer.Option("--subject", help="USUBJID of the tables; never a name.")] = "",
    study: Annotated[str, typer.Option("--study", help="STUDYID of the tables.")] = "",
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an earlier result.")] = False,
    as_json: AsJson = False,
) -> None:
    """Check the entries of a day against its plan, without a record."""
    from hepatica.bootstrap import make_procedure_ports
    from hepatica.workflows.check_procedure import ProcedureRequest, check_procedure

    request = ProcedureRequest(
        entries=entries, plan=plan, as_of=_to_moment(as_of), study=study, subject=subject
    )
    outcome = check_procedure(request, ports=make_procedure_ports(), out=out, overwrite=overwrite)
    _print(outcome.document, outcome.rows, as_json=as_json)


def _to_moment(text: str) -> datetime | None:
    from hepatica.core.errors import UsageError

    if not text:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        moment = None
    if moment is None or moment.utcoffset() is None:
        raise UsageError(
            expected="a time with its zone, for example 2026-03-02T14:00+01:00",
            given="another text",
            where="--as-of",
        )
    return moment


def _print(document: Mapping[str, Any], rows: Iterable[Mapping[str, str]], *, as_json: bool) -> None:
    from hepatica.entrypoints.cli.screen import print_json

    if as_json:
        print_json(document)
    else:
        _print_day(document, rows)
    if any(finding["severity"] == "error" for finding in document["findings"]):
        raise typer.Exit(ERRORS_FOUND)


def _print_day(document: Mapping[str, Any], rows: Iterable[Mapping[str, str]]) -> None:
    totals = document["totals"]
    given = totals["given_ml"]
    text = f"{given:g} mL" if isinstance(given, int | float) else f"not counted ({given['not_evaluable']})"
    typer.echo(
        f"Visit {document['visit']}, {document['agent']}: {document['phase'].replace('_', ' ')}. "
        f"Planned {totals['planned_ml']:g} mL, drawn {totals['drawn_ml']:g} mL, given {text}."
    )
    typer.echo(f"\n{'':<18}{'planned':>9}{'given':>9}{'leaked':>9}{'depth':>8}{'tip off':>9}")
    for row in rows:
        name = f"  {row['deposit']}" if row["deposit"] else row["lesion"]
        why = row["reason"] or row["stop_reason"]
        typer.echo(
            f"{name:<18}{row['planned_ml'] or '-':>9}{row['given_ml'] or '-':>9}{row['leaked_ml'] or '-':>9}"
            f"{row['depth_mm'] or '-':>8}{row['tip_deviation_mm'] or '-':>9}  {why}".rstrip()
        )
    typer.echo("(mL; depth and tip deviation in mm)")
    if document["open_checks"]:
        typer.echo("\nNot done yet:")
        for check in document["open_checks"]:
            typer.echo(f"  {check['text']}")
    findings = document["findings"]
    typer.echo(f"\n{len(findings)} findings{':' if findings else '.'}")
    for finding in findings[:MOST_FINDINGS_SHOWN]:
        mark = " [unverified]" if finding["status"] == "unverified" else ""
        typer.echo(
            f"  {finding['severity']:<8}{finding['rule']} {finding['subject']}: {finding['message']}{mark}"
        )
    if len(findings) > MOST_FINDINGS_SHOWN:
        typer.echo(f"  and {len(findings) - MOST_FINDINGS_SHOWN} more; --json lists all")
    typer.echo("Research software, not a medical device.")
