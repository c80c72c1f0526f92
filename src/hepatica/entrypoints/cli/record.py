"""``hepatica record``, ``backup``, ``restore`` and ``audit``: the shared record from the command line.

Who may run these commands is whoever may read the home's folder; they act as the program itself, and say so in
the trail.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from hepatica.entrypoints.cli.screen import print_json, showing_progress

if TYPE_CHECKING:
    from hepatica.workflows.verify_record import RecordReport

DAMAGED: Final = 62
"""Exit status of a trail that is not whole; the same number as the error ``trail``."""
UNJUDGED: Final = 41
"""Exit status where checkpoints could not be judged; the same number as the error ``not_set``."""
HEAD_MAX: Final = 1 << 16
"""Longest exported head, in bytes."""
record_app = typer.Typer(help="Make and keep the shared record.", no_args_is_help=True)
audit_app = typer.Typer(help="Verify the record's trail, sign and export its head.", no_args_is_help=True)

Home = Annotated[Path, typer.Option("--home", help="Folder of the record.")]
Database = Annotated[
    str,
    typer.Option(
        "--database",
        envvar="HEPATICA_DATABASE",
        show_envvar=True,
        help="Address of its PostgreSQL database; without it the record keeps SQLite in its folder.",
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print exactly one JSON document on stdout.")]
Key = Annotated[
    Path | None,
    typer.Option("--key", help="Checkpoint key, where it is kept elsewhere than in the record's folder."),
]


NewKey = Annotated[
    Path | None,
    typer.Option("--key", help="New file for the checkpoint key; without it the key lies in the folder."),
]

Head = Annotated[
    Path | None, typer.Option("--head", help="Head exported earlier with 'hepatica audit head'.")
]


@record_app.command(name="init")
def init_command(
    home: Home,
    mode: Annotated[str, typer.Option("--mode", help="clinical or research; fixed for life.")] = "clinical",
    database: Database = "",
    key: NewKey = None,
    as_json: AsJson = False,
) -> None:
    """Make a record in a new or empty folder."""
    from hepatica.bootstrap import make_record

    with make_record(home, mode=mode, database=database, checkpoint_key=key) as record:
        if as_json:
            print_json({"record_id": record.record_id, "mode": record.mode, "home": str(home)})
        else:
            typer.echo(f"Made a {record.mode} record in {home}.")


@record_app.command(name="migrate")
def migrate_command(home: Home, database: Database = "", as_json: AsJson = False) -> None:
    """Bring an older record to this version; back it up before."""
    from hepatica.bootstrap import migrate_record

    before, after = migrate_record(home, database=database)
    if as_json:
        print_json({"before": before, "after": after})
    else:
        typer.echo(f"Tables were of version {before}, are of version {after}.")


@record_app.command(name="erase-identity")
def erase_identity_command(
    home: Home,
    patient: Annotated[str, typer.Option("--patient", help="Identifier of the patient in the record.")],
    reason: Annotated[str, typer.Option("--reason", help="Why; stays in the trail. Name nobody.")],
    database: Database = "",
    as_json: AsJson = False,
) -> None:
    """Destroy who a patient is, also in the past; all else stays, and the trail stays whole."""
    from hepatica.bootstrap import open_record
    from hepatica.workflows.erase_identity import erase_identity

    with open_record(home, database=database) as record:
        erased = erase_identity(record.context, patient_id=patient, reason=reason)
    if as_json:
        print_json({"erased": erased})
    else:
        typer.echo("Erased. Copies made before still hold it: see 'Run a record' in the documentation.")


def backup_command(
    home: Home,
    out: Annotated[Path, typer.Option("--out", help="New file; only its owner can read it.")],
    database: Database = "",
    as_json: AsJson = False,
) -> None:
    """Copy a record, also while it is in use."""
    from hepatica.bootstrap import back_up_record

    with showing_progress(quiet=as_json) as progress:
        summary = back_up_record(home, out=out, database=database, progress=progress)
    if as_json:
        print_json(
            {
                "version": summary.version,
                "rows": summary.rows,
                "files": summary.files,
                "damaged_files": list(summary.damaged),
            }
        )
    else:
        typer.echo(f"Copied {sum(summary.rows.values())} rows and {summary.files} files to {out}.")
        if summary.damaged:
            typer.echo(f"LEFT OUT {len(summary.damaged)} DAMAGED FILES; run 'hepatica audit verify'.")
    if summary.damaged:
        raise typer.Exit(DAMAGED)


def restore_command(
    source: Annotated[Path, typer.Option("--from", help="File that 'hepatica backup' wrote.")],
    home: Home,
    database: Database = "",
    key: Key = None,
    head: Head = None,
    as_json: AsJson = False,
) -> None:
    """Put a copy back into a new or empty folder, and verify it."""
    from hepatica.bootstrap import restore_record

    with showing_progress(quiet=as_json) as progress:
        restore_record(source, home=home, database=database, progress=progress)
    verify_command(home, database=database, key=key, head=head, as_json=as_json)


@audit_app.command(name="verify")
def verify_command(
    home: Home,
    database: Database = "",
    key: Key = None,
    head: Head = None,
    as_json: AsJson = False,
) -> None:
    """Find changed, removed, reordered or cut-off events, values the trail does not yield, and damaged files."""
    from hepatica.bootstrap import open_record
    from hepatica.workflows.verify_record import to_exported_head, verify_record

    with open_record(home, database=database) as record, showing_progress(quiet=as_json) as progress:
        report = verify_record(
            record.context,
            record.sealed,
            key=record.read_checkpoint_key(key),
            heads=to_exported_head(_read_json(head), record_id=record.record_id) if head else {},
            progress=progress,
        )
    document = {
        "whole": not report.is_damaged,
        "judged": report.is_judged,
        "events": report.events,
        "items": report.items,
        "files": report.files,
        "signatures": report.signatures,
        "broken_signatures": list(report.broken_signatures),
        "head_hash": report.head_hash,
        "findings": [
            {"rule": finding.rule, "severity": finding.severity.value, "message": finding.message}
            for finding in report.findings
        ],
    }
    if as_json:
        print_json(document)
    else:
        _show_report(report)
    if report.is_damaged:
        raise typer.Exit(DAMAGED)
    if not report.is_judged:
        raise typer.Exit(UNJUDGED)


@audit_app.command(name="head")
def head_command(
    home: Home,
    out: Annotated[Path, typer.Option("--out", help="New file for the head; keep it elsewhere.")],
    database: Database = "",
    as_json: AsJson = False,
) -> None:
    """Write the number and hash of the last event, to be kept where the record's owner cannot reach it."""
    from hepatica.bootstrap import open_record, write_new_file
    from hepatica.workflows.verify_record import export_head

    with open_record(home, database=database) as record:
        document = export_head(record.context, record_id=record.record_id)
    write_new_file(out, (json.dumps(document, indent=2) + "\n").encode())
    if as_json:
        print_json(document)
    else:
        typer.echo(f"Event {document['number']}: {document['hash']}")


@audit_app.command(name="checkpoint")
def checkpoint_command(home: Home, database: Database = "", key: Key = None, as_json: AsJson = False) -> None:
    """Sign the head of the trail; print it, so that somebody else can keep it."""
    from hepatica.bootstrap import open_record
    from hepatica.core.errors import NotSetError
    from hepatica.workflows.verify_record import take_checkpoint

    with open_record(home, database=database) as record:
        secret = record.read_checkpoint_key(key)
        if secret is None:
            raise NotSetError(expected="the checkpoint key", given="none", where="--key")
        head = take_checkpoint(record.context, key=secret)
    if as_json:
        print_json({"head_hash": head})
    else:
        typer.echo(head or "Nothing has happened since the last checkpoint.")


def _show_report(report: RecordReport) -> None:
    typer.echo(
        f"{report.events} events, {report.items} items, {report.files} files, "
        f"{report.signatures} signatures ({len(report.broken_signatures)} broken by later changes)."
    )
    for finding in report.findings:
        typer.echo(f"  {finding.rule}: {finding.message}")
    if report.is_damaged:
        typer.echo("THE RECORD IS DAMAGED.")
    elif report.is_judged:
        typer.echo("The trail is whole.")
    else:
        typer.echo(
            "The trail is whole as far as can be judged without the checkpoint key: give it with --key."
        )


def _read_json(path: Path) -> object:
    from hepatica.core.errors import NotFoundError, SourceFormatError

    try:
        with path.open("rb") as file:
            return json.loads(file.read(HEAD_MAX))
    except OSError as problem:
        raise NotFoundError(
            expected="an exported head", given=type(problem).__name__, where="--head"
        ) from problem
    except ValueError as problem:
        raise SourceFormatError(
            expected="an exported head", given="a file that is no JSON", where="--head"
        ) from problem
