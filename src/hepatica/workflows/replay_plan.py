"""Run a plan again from its manifest and compare digests."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from hepatica.core.errors import NotFoundError, OutputExistsError, ReplayMismatchError, SourceFormatError
from hepatica.core.progress import SILENT, Progress
from hepatica.core.provenance import digest_bytes
from hepatica.workflows.documents import to_object
from hepatica.workflows.input_roles import name_input
from hepatica.workflows.plan_injection import PlanOutcome, plan_injection
from hepatica.workflows.plan_ports import PlanPorts
from hepatica.workflows.request import PlanRequest

COMPARED: Final = ("inputs", "tables", "outputs")
"""Parts of a manifest whose digests must agree; what differs first explains the rest."""


@dataclass(frozen=True, slots=True)
class FixedClock:
    """A clock that stands still."""

    time: datetime

    def now(self) -> datetime:
        """Return the fixed time."""
        return self.time


def replay_plan(
    folder: Path, *, ports: PlanPorts, out: Path, overwrite: bool = False, progress: Progress = SILENT
) -> PlanOutcome:
    """Repeat the run that wrote ``folder`` into ``out``.

    Raises
    ------
    OutputExistsError
        If ``out`` would replace the plan it is compared with.
    ReplayMismatchError
        If a file of the folder is not the one the manifest names, an input has changed, or an output comes out
        different; says which.
    """
    _require_apart(folder, out)
    manifest = read_manifest(folder, ports=ports)
    require_own_outputs(manifest, folder=folder, ports=ports)
    request = PlanRequest.from_manifest(manifest, where=str(folder))
    clock = FixedClock(to_run_time(manifest, folder))
    outcome = plan_injection(
        request, ports=replace(ports, clock=clock), out=out, overwrite=overwrite, progress=progress
    )
    require_equal(manifest, outcome.manifest.to_dict(), folder=folder)
    return outcome


def _require_apart(folder: Path, out: Path) -> None:
    before, after = folder.resolve(), out.resolve()
    if before == after or before in after.parents or after in before.parents:
        raise OutputExistsError(
            expected="an output folder apart from the plan to repeat",
            given="the same folder, or one in it or around it",
            where=str(out),
            action="choose another --out",
        )


def read_manifest(folder: Path, *, ports: PlanPorts) -> dict[str, Any]:
    """Read the manifest of a plan folder.

    Parameters
    ----------
    folder
        Folder that ``hepatica plan`` wrote.
    ports
        The world.

    Raises
    ------
    SourceFormatError
        If it is not such a manifest.
    """
    file = folder / "manifest.json"
    with name_input(str(file)):
        raw = ports.read_bytes(file)
    document = to_object(raw, where=str(file), error=SourceFormatError)
    for part in COMPARED:
        if not isinstance(document.get(part), dict):
            raise SourceFormatError(
                expected=f"an object '{part}'",
                given=type(document.get(part)).__name__,
                where=str(file),
                action="give the folder that 'hepatica plan' wrote",
            )
    return document


def require_own_outputs(manifest: Mapping[str, Any], *, folder: Path, ports: PlanPorts) -> None:
    """Compare the files of a folder with its manifest, for a repetition is compared with the manifest alone.

    A manifest may have been kept without its files.

    Parameters
    ----------
    manifest, folder
        A folder and its manifest.
    ports
        The world.

    Raises
    ------
    ReplayMismatchError
        If a file is not the one the manifest names.
    """
    changed = []
    for name, digest in sorted(manifest["outputs"].items()):
        # A file of the folder itself: a manifest from elsewhere must not make anything else be read.
        if Path(name).name != name:
            changed.append(name)
            continue
        try:
            raw = ports.read_bytes(folder / name)
        except NotFoundError:
            continue
        if digest_bytes(raw) != digest:
            changed.append(name)
    if changed:
        raise ReplayMismatchError(
            expected="the files that the manifest names, as the run left them",
            given=f"other contents of {', '.join(changed)}",
            where=str(folder),
            action="replay a folder that nobody has changed",
        )


def to_run_time(manifest: Mapping[str, Any], folder: Path) -> datetime:
    """Return the run time of a manifest.

    Raises
    ------
    SourceFormatError
        If it has none with a time zone.
    """
    run_time: datetime | None
    try:
        run_time = datetime.fromisoformat(manifest["run_time"])
    except (KeyError, TypeError, ValueError):
        run_time = None
    if run_time is None or run_time.tzinfo is None:
        raise SourceFormatError(
            expected="a run_time with time zone", given=str(manifest.get("run_time")), where=str(folder)
        )
    return run_time


def require_equal(before: dict[str, Any], after: dict[str, Any], *, folder: Path) -> None:
    """Compare every digest of two manifests.

    Parameters
    ----------
    before, after
        Manifest of the earlier run and of its repetition.
    folder
        Folder of the earlier run, for the message.

    Raises
    ------
    ReplayMismatchError
        At the first part that differs: inputs, then tables, then outputs.
    """
    for part in COMPARED:
        _require_equal(before, after, part=part, folder=folder)


def _require_equal(before: dict[str, Any], after: dict[str, Any], *, part: str, folder: Path) -> None:
    old, new = before[part], after[part]
    changed = sorted(name for name in {*old, *new} if old.get(name) != new.get(name))
    if changed:
        raise ReplayMismatchError(
            expected=f"the {part} of the manifest",
            given=f"other digests for {', '.join(changed)} (code {before.get('code_version')} then, "
            f"{after['code_version']} now)",
            where=str(folder),
            action="compare the input files, the code version and the library versions in both manifests",
        )
