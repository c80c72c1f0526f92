"""``hepatica visits`` and ``hepatica schedules``: who is due, what was missed, and a calendar.

Exit status: 0 every subject is there; 3 (partial) some rows were bad and their subjects are missing; any other
status as in `hepatica.entrypoints.cli.exit_status`.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from hepatica.core.errors import UsageError

if TYPE_CHECKING:
    from hepatica.workflows.followup_ports import FollowupOutcome

PARTIAL: Final = 3
"""Exit status: written, but subjects with bad rows are missing."""
MOST_SHOWN: Final = 20
Json = Annotated[bool, typer.Option("--json", help="Print exactly one JSON document on stdout.")]
Set = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Supply what the protocol leaves open. Repeatable."),
]
AsOf = Annotated[str, typer.Option("--as-of", help="The day, YYYY-MM-DD; today (UTC) unless given.")]


def visits(
    schedule: Annotated[
        str, typer.Option("--schedule", help="Packaged schedule (see 'hepatica schedules') or a TOML file.")
    ],
    events: Annotated[
        Path,
        typer.Option(
            "--events",
            help="CSV: subject, visit, date, optionally status (done, missed, booked) and number. Visits of the "
            "schedule, 'baseline', and 'end of treatment', 'withdrawal', 'lost to follow-up', 'death', ...",
        ),
    ],
    out: Annotated[Path, typer.Option("--out", help="CSV to write.")],
    as_of: AsOf = "",
    ics: Annotated[
        Path | None, typer.Option("--ics", help="Calendar to write: whole days, subject identifiers only.")
    ] = None,
    due_within: Annotated[
        int, typer.Option("--due-within", min=0, help="Days ahead in the list of visits to see to.")
    ] = 7,
    last_enrolled: Annotated[
        str, typer.Option("--last-enrolled", help="Day on which the last patient of the trial was enrolled.")
    ] = "",
    supplied: Set = None,
    as_json: Json = False,
) -> None:
    """Derive the visits of every subject: planned, due, overdue, done, missed, out of window, each with its reason."""
    from hepatica.bootstrap import make_followup_ports
    from hepatica.entrypoints.cli.outputs import refuse_overwriting_inputs
    from hepatica.followup.protocol_numbers import read_supplied
    from hepatica.workflows.derive_visits import VisitsRequest, derive_visit_table

    refuse_overwriting_inputs((schedule, events), out, ics)
    request = VisitsRequest(
        schedule=schedule,
        events=events,
        supplied=read_supplied(supplied or []),
        as_of=read_day(as_of, "--as-of"),
        last_enrolled=read_day(last_enrolled, "--last-enrolled"),
        due_within_days=due_within,
    )
    outcome = derive_visit_table(request, ports=make_followup_ports(), out=out, ics=ics)
    finish(outcome, as_json=as_json, lines=_to_lines(outcome.document))


def schedules(as_json: Json = False) -> None:
    """List the packaged visit schedules and what they leave open."""
    from hepatica.entrypoints.cli.screen import print_json
    from hepatica.followup.visits.schedule_file import list_schedules, read_schedule

    found = [read_schedule(name) for name in list_schedules()]
    if as_json:
        rows = [{"name": s.name, "title": s.title, "not_set": list(s.missing)} for s in found]
        print_json({"schedules": rows})
        return
    for entry in found:
        typer.echo(f"{entry.name:<26} {entry.title}")
        if entry.missing:
            typer.echo(f"{'':<26}   not set: {', '.join(entry.missing)}")


def read_day(text: str, option: str) -> date | None:
    """Return the day of an option; None where it is not given."""
    if not text:
        return None
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise UsageError(expected="a date YYYY-MM-DD", given=f"'{text}'", where=option) from None


def finish(outcome: FollowupOutcome, *, as_json: bool, lines: list[str]) -> None:
    """Print the outcome, its findings on stderr, and end with the status that says partial."""
    document = outcome.document
    if as_json:
        from hepatica.entrypoints.cli.screen import print_json

        print_json(document)
    else:
        typer.echo("\n".join(lines))
        _print_findings(document)
    if outcome.partial:
        raise typer.Exit(PARTIAL)


def _print_findings(document: Mapping[str, Any]) -> None:
    findings = document["findings"]
    for finding in findings[:MOST_SHOWN]:
        row = f" row {finding['row']} {finding['column']}".rstrip() if finding["row"] else ""
        typer.echo(f"  {finding['severity']}: {finding['table']}{row}: {finding['message']}", err=True)
    if len(findings) > MOST_SHOWN:
        typer.echo(f"  and {len(findings) - MOST_SHOWN} more; see --json", err=True)
    if document.get("unverified"):
        typer.echo(f"{len(document['unverified'])} of the numbers used are unverified; see --json.", err=True)
    if document["partial"]:
        typer.echo("Partial: subjects with bad rows are missing.", err=True)


def _to_lines(document: Mapping[str, Any]) -> list[str]:
    states = ", ".join(f"{count} {state}" for state, count in document["states"].items() if count)
    due = document["due_within"]
    lines = [
        f"visits: {document['subjects']} subjects on {document['as_of']}: {states or 'no visit'} -> {document['out']}",
        f"To see to within {document['due_within_days']} days: {len(due)}",
    ]
    for row in due[:MOST_SHOWN]:
        day = f"booked {row['booked']}" if row["booked"] else row["due"] or "no day"
        lines.append(
            f"  {row['subject']:<12} {row['visit']} {row['number']:<4} {row['state']:<8} {day}  {row['reason']}"
        )
    if len(due) > MOST_SHOWN:
        lines.append(f"  and {len(due) - MOST_SHOWN} more; see --json")
    return lines
