"""``hepatica``: one command for each workflow."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from hepatica.core.errors import CancelledError, HepaticaError, UsageError
from hepatica.entrypoints.cli.bench import app as bench_app
from hepatica.entrypoints.cli.demo import demo
from hepatica.entrypoints.cli.exit_status import CANCELLED, USAGE, to_exit_status
from hepatica.entrypoints.cli.grade import grade_app
from hepatica.entrypoints.cli.paths import paths_app
from hepatica.entrypoints.cli.procedure import procedure_app
from hepatica.entrypoints.cli.quick_command import QuickGroup
from hepatica.entrypoints.cli.record import audit_app, backup_command, record_app, restore_command
from hepatica.entrypoints.cli.response import response_app
from hepatica.entrypoints.cli.response_records import compare, endpoints, report
from hepatica.entrypoints.cli.scans import add_scan_commands, pacs_app
from hepatica.entrypoints.cli.serve import serve_command
from hepatica.entrypoints.cli.spread import Rate, Scheduler, Workers, count_workers, spread
from hepatica.entrypoints.cli.track import track_app
from hepatica.entrypoints.cli.trial import app as trial_app
from hepatica.entrypoints.cli.visits import schedules, visits

if TYPE_CHECKING:
    from hepatica.workflows.plan_injection import PlanOutcome

app = typer.Typer(
    name="hepatica",
    help="Image-guided intratumoral immunotherapy of liver tumours: from a CT to an injection plan. "
    "Research use, not a medical device.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

app.add_typer(paths_app)
response_app.command()(compare)
response_app.command()(endpoints)
response_app.command()(report)
app.add_typer(response_app)
app.add_typer(grade_app)
app.add_typer(track_app)
app.add_typer(trial_app, name="trial")
app.add_typer(procedure_app, name="procedure")
add_scan_commands(record_app)
app.add_typer(record_app, name="record")
app.add_typer(pacs_app, name="pacs")
app.add_typer(audit_app, name="audit")
app.command(name="backup")(backup_command)
app.command(name="restore")(restore_command)
app.command(name="serve")(serve_command)
app.command(name="demo")(demo)
app.command(name="spread")(spread)
app.command(name="visits")(visits)
app.command(name="schedules")(schedules)
app.add_typer(bench_app)

JSON_HELP = "Print exactly one JSON document on stdout."
Json = Annotated[bool, typer.Option("--json", help=JSON_HELP)]
Out = Annotated[Path, typer.Option("--out", help="Folder to make; written whole or not at all.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace an earlier result in the folder.")]


@app.command()
def plan(
    image: Annotated[Path, typer.Argument(metavar="CT", help="DICOM folder or zip, NIfTI, NRRD or MHA.")],
    labels: Annotated[
        list[Path],
        typer.Option(
            "--labels", help="Label map, DICOM SEG, RTSTRUCT, folder or zip of mask series. Repeatable."
        ),
    ],
    protocol: Annotated[str, typer.Option("--protocol", help="Packaged protocol name, or a TOML file.")],
    visit: Annotated[int, typer.Option("--visit", min=1, help="Visit number, from 1.")],
    out: Out,
    names: Annotated[
        list[str] | None,
        typer.Option(
            "--names",
            help="Names table for the label map at the same place: CSV file, or totalsegmentator-v1, -v2, -mr. "
            "'-' for a source that names itself.",
        ),
    ] = None,
    series: Annotated[str | None, typer.Option("--series", help="Series number or UID, as listed.")] = None,
    arterial: Annotated[Path | None, typer.Option("--arterial", help="Second (arterial) phase.")] = None,
    arterial_series: Annotated[str | None, typer.Option("--arterial-series", help="Its series.")] = None,
    tumour_type: Annotated[
        str,
        typer.Option(
            "--tumour-type",
            help="hcc, hypervascular_metastasis or hypovascular_metastasis: for the viable part.",
        ),
    ] = "",
    prior: Annotated[
        list[Path] | None, typer.Option("--prior", help="Folder of an earlier plan. Repeatable.")
    ] = None,
    patient: Annotated[
        Path | None, typer.Option("--patient", help="Patient facts (JSON), see 'hepatica schema facts'.")
    ] = None,
    absent: Annotated[
        str,
        typer.Option("--absent", help="Structure groups declared absent or out of reach, comma separated."),
    ] = "",
    needle: Annotated[str, typer.Option("--needle", help="Needle name; see 'hepatica needles'.")] = "",
    needles_file: Annotated[
        Path | None,
        typer.Option("--needles", help="Needles of your site (TOML), in place of the packaged ones."),
    ] = None,
    position: Annotated[
        str, typer.Option("--position", help="Patient Position (HFS, FFS, HFP, ...) where the scan has none.")
    ] = "",
    placement: Annotated[
        str, typer.Option("--placement", help="Placement error assumed: freehand or stereotactic.")
    ] = "freehand",
    seed: Annotated[int, typer.Option("--seed", min=0, help="Seed of the simulated needles.")] = 1,
    resample: Annotated[
        bool, typer.Option("--resample", help="Repair tilted, gapped or uneven stacks, with a finding.")
    ] = False,
    with_spread: Annotated[
        bool, typer.Option("--spread", help="Simulate where the injections go; see 'hepatica spread'.")
    ] = False,
    spread_draws: Annotated[
        int, typer.Option("--spread-draws", min=1, help="Draws of that simulation.")
    ] = 32,
    rate: Rate = None,
    workers: Workers = None,
    scheduler: Scheduler = "",
    overwrite: Overwrite = False,
    as_json: Json = False,
) -> None:
    """Plan the injections of one visit: which tumours, how many mL, where the needle goes, what it may hit."""
    from hepatica.bootstrap import make_plan_ports
    from hepatica.entrypoints.cli.screen import showing_progress
    from hepatica.workflows.plan_injection import plan_injection
    from hepatica.workflows.request import PlanRequest, pair_labels
    from hepatica.workflows.spread_request import SpreadRequest

    request = PlanRequest(
        image=image,
        labels=pair_labels(labels, names or []),
        protocol=protocol,
        visit=visit,
        series=series,
        resample=resample,
        arterial=arterial,
        arterial_series=arterial_series,
        priors=tuple(prior or ()),
        facts=patient,
        absent=tuple(part.strip() for part in absent.split(",") if part.strip()),
        tumour_type=tumour_type,
        needle=needle,
        needles=needles_file,
        position=position,
        placement=placement,
        seed=seed,
        spread=SpreadRequest(draws=spread_draws, seed=seed, rate_ml_per_min=rate) if with_spread else None,
        rate_ml_per_min=None if with_spread else rate,
    )
    with showing_progress(quiet=as_json) as progress:
        outcome = plan_injection(
            request,
            ports=make_plan_ports(workers=count_workers(workers), scheduler=scheduler),
            out=out,
            overwrite=overwrite,
            progress=progress,
        )
    _show(outcome, as_json=as_json)


def _show(outcome: PlanOutcome, *, as_json: bool) -> None:
    from hepatica.entrypoints.cli.screen import print_json
    from hepatica.entrypoints.cli.summary import print_summary

    if as_json:
        print_json(outcome.document)
    else:
        print_summary(outcome)


@app.command()
def replay(
    folder: Annotated[Path, typer.Argument(help="Folder of an earlier plan or simulated spread.")],
    out: Out,
    workers: Workers = None,
    scheduler: Scheduler = "",
    overwrite: Overwrite = False,
    as_json: Json = False,
) -> None:
    """Run an earlier plan or simulated spread again from its manifest and compare every digest."""
    from hepatica.bootstrap import make_plan_ports
    from hepatica.entrypoints.cli.screen import print_json, showing_progress
    from hepatica.workflows.replay_plan import read_manifest, replay_plan
    from hepatica.workflows.spread_plan import COMMAND, replay_spread

    ports = make_plan_ports(workers=count_workers(workers), scheduler=scheduler)
    spreads = read_manifest(folder, ports=ports).get("command") == COMMAND
    again: Any = replay_spread if spreads else replay_plan
    with showing_progress(quiet=as_json) as progress:
        outcome = again(folder, ports=ports, out=out, overwrite=overwrite, progress=progress)
    count = len(outcome.manifest.outputs)
    if as_json:
        print_json({"replayed": str(folder), "out": str(out), "equal_outputs": count})
    else:
        typer.echo(f"All {count} outputs are equal to those in {folder}.")


@app.command(name="series")
def series_command(
    image: Annotated[Path, typer.Argument(metavar="SCAN", help="Folder, zip or file.")], as_json: Json = False
) -> None:
    """List the image series in a folder, zip or file, with hints at their phase."""
    from dataclasses import asdict

    from hepatica.bootstrap import make_image_reader
    from hepatica.entrypoints.cli.screen import print_json

    found = make_image_reader().list_series(image)
    if as_json:
        print_json({"series": [asdict(entry) for entry in found]})
        return
    for entry in found:
        spacing = (
            " x ".join(f"{s:g}" for s in entry.spacing_mm) + " mm" if entry.spacing_mm else "no geometry"
        )
        typer.echo(
            f"{entry.number:>3}  {entry.modality:<3} {entry.image_count:>4} images  {spacing:<24} "
            f"{entry.description}  [phase: {entry.phase_hint}]\n     {entry.uid}"
        )


@app.command()
def protocols(as_json: Json = False) -> None:
    """List the packaged dose protocols."""
    from hepatica.entrypoints.cli.screen import print_json
    from hepatica.planning.dose.protocol import list_protocols, read_protocol

    rows = [(name, read_protocol(name)) for name in list_protocols()]
    if as_json:
        print_json(
            {
                "protocols": [
                    {"name": n, "title": p.title, "agent": p.agent, "notices": p.notices} for n, p in rows
                ]
            }
        )
        return
    for name, entry in rows:
        typer.echo(f"{name:<24} {entry.title} ({entry.agent})")
        if entry.levels:
            typer.echo(f"{'':<24}   choose a level: {', '.join(f'{name}:{level}' for level in entry.levels)}")
        elif missing := entry.missing_for(1):
            typer.echo(f"{'':<24}   to be supplied for visit 1: {', '.join(missing)}")


@app.command()
def needles() -> None:
    """List the packaged needles."""
    from hepatica.planning.path.needles import read_needles

    for needle in read_needles():
        typer.echo(
            f"{needle.name:<32} {needle.gauge} G, {needle.length_mm:g} mm, dead space {needle.dead_space_ml:g} mL "
            f"({needle.status})"
        )


@app.command()
def schema(
    name: Annotated[str, typer.Argument(help="For example plan, facts, spread, explain, track, procedure.")],
) -> None:
    """Print a published JSON Schema."""
    from hepatica.bootstrap import read_schema

    typer.echo(read_schema(name))


@app.command()
def version() -> None:
    """Print the version."""
    from importlib.metadata import version as find_version

    typer.echo(find_version("hepatica"))


class _Stopped(BaseException):
    """A request to end from the system; unwinding clears what was half-written."""


def _stop(number: int, frame: object) -> None:
    # A second request must not interrupt the clearing up of the first.
    signal.signal(number, signal.SIG_IGN)
    raise _Stopped(number)


def _interrupt(number: int, frame: object) -> None:
    # The same of Ctrl-C: pressed twice it would leave processes of a pool, and wait for them for ever.
    signal.signal(number, signal.SIG_IGN)
    raise KeyboardInterrupt


def _listen() -> None:
    """Let a request to end pass through the code like Ctrl-C does, unless the caller has it ignored."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _interrupt)
    for name in ("SIGTERM", "SIGHUP"):
        number = getattr(signal, name, None)
        if number is not None and signal.getsignal(number) is signal.SIG_DFL:
            signal.signal(number, _stop)


def _narrow(first: list[str]) -> typer.Typer:
    """Return the application with the group that is asked for alone: to build all takes longer than to answer."""
    asked = [
        group
        for group in app.registered_groups
        if group.typer_instance is not None and first == [group.name or group.typer_instance.info.name]
    ]
    if not asked:
        return app
    small = typer.Typer(
        name="hepatica",
        cls=QuickGroup,
        help=app.info.help,
        add_completion=False,
        pretty_exceptions_enable=False,
    )
    small.registered_groups = asked
    return small


def main() -> None:
    """Run the command line; every refusal becomes a message and an exit status, never a traceback."""
    as_json = "--json" in sys.argv
    _listen()
    try:
        _narrow(sys.argv[1:2])()
    except HepaticaError as error:
        _end(error, as_json=as_json)
    except _Stopped as stopped:
        _end(CancelledError(where="nothing was written"), as_json=as_json, status=128 + stopped.args[0])
    except SystemExit as end:
        # The option parser turns an interrupt into this status, and has told wrong options on stderr.
        if end.code == CANCELLED:
            _end(CancelledError(where="nothing was written"), as_json=as_json)
        if end.code == USAGE and as_json:
            _end(
                UsageError(expected="options as 'hepatica --help' lists them", given="others, see stderr"),
                as_json=True,
            )
        raise
    except BrokenPipeError:
        sys.exit(0)
    except Exception as error:
        if os.environ.get("HEPATICA_DEBUG"):
            raise
        fault = HepaticaError(
            expected="a run without a fault of the program",
            given=type(error).__name__,
            where="nothing was written",
            action="set HEPATICA_DEBUG=1 and run again to see where, and please report it",
        )
        _end(fault, as_json=as_json)


def _end(error: HepaticaError, *, as_json: bool, status: int | None = None) -> NoReturn:
    from hepatica.entrypoints.cli.screen import print_error

    print_error(error, as_json=as_json)
    sys.exit(to_exit_status(error) if status is None else status)


if __name__ == "__main__":
    main()
