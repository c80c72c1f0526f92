"""Run a plan again from its manifest and compare digests."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from hepatica.core.errors import ReplayMismatchError, SourceFormatError
from hepatica.core.progress import SILENT, Progress
from hepatica.workflows.plan_injection import PlanOutcome, plan_injection
from hepatica.workflows.plan_ports import PlanPorts
from hepatica.workflows.request import PlanRequest


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
    ReplayMismatchError
        If an input has changed, or an output comes out different; says which.
    """
    manifest = _read_manifest(folder, ports=ports)
    request = PlanRequest.from_manifest(manifest, where=str(folder))
    clock = FixedClock(_to_run_time(manifest, folder))
    outcome = plan_injection(
        request, ports=replace(ports, clock=clock), out=out, overwrite=overwrite, progress=progress
    )
    again = outcome.manifest.to_dict()
    _require_equal(manifest, again, part="inputs", folder=folder)
    _require_equal(manifest, again, part="tables", folder=folder)
    _require_equal(manifest, again, part="outputs", folder=folder)
    return outcome


def _read_manifest(folder: Path, *, ports: PlanPorts) -> dict[str, Any]:
    try:
        document = json.loads(ports.read_bytes(folder / "manifest.json"))
    except ValueError as error:
        raise SourceFormatError(
            expected="JSON", given="text that is not JSON", where=str(folder / "manifest.json")
        ) from error
    if not isinstance(document, dict):
        raise SourceFormatError(
            expected="a JSON object", given=type(document).__name__, where=str(folder / "manifest.json")
        )
    return document


def _to_run_time(manifest: dict[str, Any], folder: Path) -> datetime:
    try:
        run_time = datetime.fromisoformat(manifest["run_time"])
    except (KeyError, TypeError, ValueError) as error:
        raise SourceFormatError(
            expected="a run_time with time zone", given=str(manifest.get("run_time")), where=str(folder)
        ) from error
    return run_time


def _require_equal(before: dict[str, Any], after: dict[str, Any], *, part: str, folder: Path) -> None:
    old, new = before.get(part, {}), after[part]
    changed = sorted(name for name in {*old, *new} if old.get(name) != new.get(name))
    if changed:
        raise ReplayMismatchError(
            expected=f"the {part} of the manifest",
            given=f"other digests for {', '.join(changed)} (code {before.get('code_version')} then, "
            f"{after['code_version']} now)",
            where=str(folder),
            action="compare the input files, the code version and the library versions in both manifests",
        )
