"""``hepatica grade``: laboratory grades, adverse events, dose-limiting toxicity, exposure to a live virus.

Exit status: 0 everything is there; 3 (partial) some rows were bad and their subjects are missing; any other status as
in `hepatica.entrypoints.cli.exit_status`.
"""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from hepatica.core.errors import UsageError
from hepatica.entrypoints.cli.outputs import refuse_overwriting_inputs
from hepatica.entrypoints.cli.visits import AsOf, Json, Set, finish, read_day

grade_app = typer.Typer(
    name="grade",
    help="Safety: CTCAE v5 laboratory grades, adverse events, dose-limiting toxicity, herpetic exposure. CSV in, "
    "CSV out. Exit status 3: some rows were bad and their subjects are missing.",
    no_args_is_help=True,
)
Out = Annotated[Path, typer.Option("--out", help="CSV to write.")]
Demographics = Annotated[
    Path | None, typer.Option("--dm", help="Demographics (SDTM DM) with RFSTDTC, the day of the first dose.")
]
Events = Annotated[Path, typer.Option("--ae", help="Adverse events (SDTM AE, CSV).")]


@grade_app.command()
def labs(
    lb: Annotated[Path, typer.Option("--lb", help="Laboratory results (SDTM LB, CSV).")],
    out: Out,
    dm: Demographics = None,
    as_json: Json = False,
) -> None:
    """Grade laboratory results by CTCAE v5; an abnormal baseline turns multiples of normal into its own."""
    from hepatica.bootstrap import make_followup_ports
    from hepatica.workflows.grade_labs import LabsRequest, grade_lab_table

    refuse_overwriting_inputs((lb, dm), out)
    request = LabsRequest(results=lb, subjects=dm)
    outcome = grade_lab_table(request, ports=make_followup_ports(), out=out)
    found = outcome.document
    grades = ", ".join(f"{count} x {grade}" for grade, count in found["grades"].items())
    finish(outcome, as_json=as_json, lines=[f"grade labs ({found['scale']}): {grades} -> {found['out']}"])


@grade_app.command()
def events(
    ae: Events,
    out: Out,
    dm: Demographics = None,
    crs: Annotated[
        str, typer.Option("--crs", help="Scale of cytokine release: astct-2019, lee-2014 or ctcae-5.")
    ] = "",
    complications: Annotated[
        str,
        typer.Option(
            "--complications", help="Scale of complications: cirse-2017, cirse-2025, sir-2017, sir-old."
        ),
    ] = "",
    now: Annotated[
        str, typer.Option("--now", help="Moment for the clocks of serious events, with its zone.")
    ] = "",
    as_json: Json = False,
) -> None:
    """Hold adverse events against their terms: grade, agent and procedure apart, emergence, scales, clocks."""
    from hepatica.bootstrap import make_followup_ports
    from hepatica.workflows.grade_events import EventsRequest, grade_event_table

    refuse_overwriting_inputs((ae, dm), out)
    request = EventsRequest(
        events=ae, subjects=dm, cytokine_scale=crs, complication_scale=complications, now=_read_moment(now)
    )
    outcome = grade_event_table(request, ports=make_followup_ports(), out=out)
    found = outcome.document
    line = (
        f"grade events: {found['rows']} events of {found['subjects']} subjects, {found['emergent']} emergent "
        f"-> {found['out']}"
    )
    finish(outcome, as_json=as_json, lines=[line])


@grade_app.command()
def dlt(
    definition: Annotated[
        str,
        typer.Option(
            "--definition", help="Packaged definition (see 'hepatica grade definitions') or a file."
        ),
    ],
    patients: Annotated[
        Path,
        typer.Option("--patients", help="CSV: subject, dose, first_dose, optionally off_study, injections."),
    ],
    ae: Events,
    out: Out,
    as_of: AsOf = "",
    supplied: Set = None,
    as_json: Json = False,
) -> None:
    """Find dose-limiting toxicities in the window; the table is what 'hepatica trial next-dose --patients' reads."""
    from hepatica.bootstrap import make_followup_ports
    from hepatica.followup.protocol_numbers import read_supplied
    from hepatica.workflows.grade_dlt import ToxicityRequest, grade_toxicity_table

    refuse_overwriting_inputs((definition, patients, ae), out)
    request = ToxicityRequest(
        definition=definition,
        patients=patients,
        events=ae,
        supplied=read_supplied(supplied or []),
        as_of=read_day(as_of, "--as-of"),
    )
    outcome = grade_toxicity_table(request, ports=make_followup_ports(), out=out)
    found = outcome.document
    states = ", ".join(f"{count} {state}" for state, count in found["states"].items() if count)
    lines = [f"grade dlt ({found['definition']['title']}) on {found['as_of']}: {states} -> {found['out']}"]
    lines += [f"  {item['subject']}: window closes on {item['closes_on']}" for item in found["pending"]]
    finish(outcome, as_json=as_json, lines=lines)


@grade_app.command()
def exposure(
    log: Annotated[
        Path,
        typer.Option(
            "--log",
            help="CSV: subject, record (contact, lesion, swab, review), date, optionally place, person, result, "
            "actions.",
        ),
    ],
    out: Out,
    as_of: AsOf = "",
    as_json: Json = False,
) -> None:
    """Check the log of herpetic exposure and shedding: swabs overdue or positive, contacts without action."""
    from hepatica.bootstrap import make_followup_ports
    from hepatica.workflows.check_exposures import check_exposure_table

    refuse_overwriting_inputs((log,), out)
    outcome = check_exposure_table(
        log, ports=make_followup_ports(), out=out, as_of=read_day(as_of, "--as-of")
    )
    found = outcome.document
    line = (
        f"grade exposure on {found['as_of']}: {found['lesions']} suspected lesions, {found['swabs']} swabs, "
        f"{found['contacts']} contacts -> {found['out']}"
    )
    finish(outcome, as_json=as_json, lines=[line])


@grade_app.command()
def definitions(as_json: Json = False) -> None:
    """List the packaged definitions of dose-limiting toxicity and what they leave open."""
    from hepatica.entrypoints.cli.screen import print_json
    from hepatica.followup.safety.toxicity_file import list_definitions, read_definition

    found = [read_definition(name) for name in list_definitions()]
    if as_json:
        rows = [{"name": d.name, "title": d.title, "not_set": list(d.missing)} for d in found]
        print_json({"definitions": rows})
        return
    for entry in found:
        typer.echo(f"{entry.name:<26} {entry.title}")
        if entry.missing:
            typer.echo(f"{'':<26}   not set: {', '.join(entry.missing)}")


def _read_moment(text: str) -> datetime | None:
    if not text:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        moment = None
    if moment is None or moment.utcoffset() is None:
        raise UsageError(expected="a time such as 2024-03-05T12:00+01:00", given=f"'{text}'", where="--now")
    return moment
