"""``hepatica record import``, ``record send`` and ``hepatica pacs``: scans into a record and plans back."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from hepatica.core.errors import UsageError
from hepatica.entrypoints.cli.record import AsJson, Database, Home
from hepatica.entrypoints.cli.screen import print_json, showing_progress

pacs_app = typer.Typer(help="Look into the archives that the record's pacs.toml names.", no_args_is_help=True)

Patient = Annotated[str, typer.Option("--patient", help="The record's identifier of the patient.")]
Study = Annotated[str, typer.Option("--study", metavar="UID", help="Study Instance UID.")]


def import_command(
    home: Home,
    patient: Patient,
    path: Annotated[
        Path | None, typer.Argument(metavar="[PATH]", help="DICOM folder, zip or file; or give --pacs.")
    ] = None,
    pacs: Annotated[str, typer.Option("--pacs", help="Name of a PACS of the configuration.")] = "",
    study: Study = "",
    database: Database = "",
    as_json: AsJson = False,
) -> None:
    """Take every series of a folder, zip, file or PACS study into a patient's record."""
    from hepatica.bootstrap import make_pacs_directory, make_scan_ports, open_record
    from hepatica.workflows.exchange_scans import import_from_pacs
    from hepatica.workflows.import_scan import import_scan

    if (path is None) == (not pacs) or bool(pacs) != bool(study):
        raise UsageError(
            expected="PATH, or --pacs and --study", given="both, neither or half", where="import"
        )
    with open_record(home, database=database) as record, showing_progress(quiet=as_json) as progress:
        ports = make_scan_ports(home, mode=record.mode)
        if path is not None:
            report = import_scan(record.context, ports, patient_id=patient, path=path, progress=progress)
        else:
            report = import_from_pacs(
                record.context,
                ports,
                make_pacs_directory(home),
                name=pacs,
                study_uid=study,
                patient_id=patient,
                progress=progress,
            )
    if as_json:
        print_json(report.to_document())
        return
    for one in report.series:
        waits = "; ".join((*one.differing, *one.suspicions)) if one.state not in ("", "accepted") else ""
        typer.echo(
            f"{one.outcome:<10} {one.modality:<4} {one.image_count:>5} images  {one.state:<20} {one.scan_id}"
            + (f"\n           waits for a person: {waits}" if waits else "")
        )
    if report.other_files:
        typer.echo(f"{report.other_files} file(s) are no DICOM and were left out.")


def send_command(
    home: Home,
    plan: Annotated[str, typer.Option("--plan", help="The record's identifier of the plan.")],
    database: Database = "",
    as_json: AsJson = False,
) -> None:
    """Send a plan's report, segmentation and sheet to the PACS that its scan came from."""
    from hepatica.bootstrap import make_pacs_directory, make_scan_ports, open_record
    from hepatica.workflows.exchange_scans import send_plan

    with open_record(home, database=database) as record, showing_progress(quiet=as_json) as progress:
        report = send_plan(
            record.context,
            make_scan_ports(home, mode=record.mode),
            make_pacs_directory(home),
            plan_id=plan,
            progress=progress,
        )
    if as_json:
        print_json({"pacs": report.pacs, "files": list(report.files)})
    else:
        typer.echo(f"Sent {', '.join(report.files)} to {report.pacs}.")


@pacs_app.command(name="list")
def list_command(home: Home, as_json: AsJson = False) -> None:
    """List the archives of the configuration."""
    from hepatica.bootstrap import make_pacs_directory

    names = make_pacs_directory(home).list_names()
    if as_json:
        print_json({"pacs": list(names)})
    else:
        typer.echo("\n".join(names) or "The record's pacs.toml names none.")


@pacs_app.command(name="find")
def find_command(
    home: Home,
    name: Annotated[str, typer.Argument(metavar="PACS", help="Name of the configuration.")],
    patient: Annotated[
        str, typer.Option("--patient", help="A patient of the record: looked for by hospital number.")
    ] = "",
    study: Study = "",
    modality: Annotated[str, typer.Option("--modality", help="For example CT.")] = "",
    from_date: Annotated[str, typer.Option("--from", help="First day, such as 2026-01-31.")] = "",
    to_date: Annotated[str, typer.Option("--to", help="Last day.")] = "",
    database: Database = "",
    as_json: AsJson = False,
) -> None:
    """Look for studies; names are not shown, since a screen may be kept."""
    from hepatica.bootstrap import make_pacs_directory, open_record
    from hepatica.workflows.exchange_scans import prepare_search
    from hepatica.workflows.scan_ports import StudyQuery

    asked = StudyQuery(study_uid=study, modality=modality, from_date=from_date, to_date=to_date)
    with open_record(home, database=database) as record:
        query = prepare_search(record.context, query=asked, patient_id=patient)
    found = make_pacs_directory(home).open(name).find_studies(query)
    if as_json:
        rows = [
            {
                "study_uid": one.study_uid,
                "study_date": one.study_date,
                "modalities": list(one.modalities),
                "series_count": one.series_count,
                "image_count": one.image_count,
            }
            for one in found
        ]
        print_json({"studies": rows})
        return
    for one in found:
        typer.echo(
            f"{one.study_date:<10}  {'/'.join(one.modalities):<10} {one.image_count or '?':>6} images  {one.study_uid}"
        )


def add_scan_commands(record_app: typer.Typer) -> None:
    """Add the commands that belong to ``hepatica record``.

    Parameters
    ----------
    record_app
        Its commands.
    """
    record_app.command(name="import")(import_command)
    record_app.command(name="send")(send_command)
