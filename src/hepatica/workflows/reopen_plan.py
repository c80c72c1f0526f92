"""Open a plan again with the scan and the scene it was made in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from hepatica.core.errors import ReplayMismatchError, SourceFormatError
from hepatica.core.progress import SILENT, Progress
from hepatica.core.provenance import Manifest, digest_bytes
from hepatica.workflows.documents import to_object
from hepatica.workflows.input_roles import name_input
from hepatica.workflows.plan_case import PlannedCase, plan_prepared
from hepatica.workflows.plan_ports import PlanPorts
from hepatica.workflows.prepare_case import PreparedCase, prepare_case
from hepatica.workflows.read_case import Case, read_case
from hepatica.workflows.replay_plan import read_manifest, to_run_time
from hepatica.workflows.request import PlanRequest
from hepatica.workflows.spread_request import SpreadRequest


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ReopenedPlan:
    """A plan read back, with everything that can be asked of the scan it was made in.

    Parameters
    ----------
    case, prepared
        What was read, and the scene made from it.
    document
        ``plan.json`` as it was written.
    manifest
        ``manifest.json`` as it was written.
    """

    case: Case
    prepared: PreparedCase
    document: Mapping[str, Any]
    manifest: Mapping[str, Any]

    def plan_again(self, *, progress: Progress = SILENT) -> PlannedCase:
        """Make the plan's values again; equal to the first time where code and tables are the same.

        Parameters
        ----------
        progress
            Told of stages; may cancel.
        """
        run_id = str(self.manifest["run_id"])
        return plan_prepared(self.case, self.prepared, run_id=run_id, progress=progress)


def reopen_plan(
    folder: Path, *, ports: PlanPorts, spread: SpreadRequest | None = None, progress: Progress = SILENT
) -> ReopenedPlan:
    """Read what a plan was made from, and prepare the scene it was made in.

    Parameters
    ----------
    folder
        Folder that ``hepatica plan`` wrote.
    ports
        The world.
    spread
        What is asked of a simulation in place of what the plan asked; without a rate, with the plan's.
    progress
        Told of stages; may cancel.

    Raises
    ------
    ReplayMismatchError
        If ``plan.json`` is not the one the manifest names, the manifest is not as it was written, or an input or
        table has changed since.
    """
    manifest = read_manifest(folder, ports=ports)
    where = str(folder / "plan.json")
    with name_input(where):
        raw = ports.read_bytes(folder / "plan.json")
    document = to_object(raw, where=where, error=SourceFormatError)
    _require_same({"plan.json": digest_bytes(raw)}, manifest["outputs"], folder=folder)
    request = PlanRequest.from_manifest(manifest, where=str(folder))
    if spread is not None:
        request = replace(request, spread=_fill_rate(spread, request.rate_request))
    _require_own_run(manifest, document, folder=folder)
    case = read_case(request, ports=ports, progress=progress)
    _require_same(case.digests, manifest["inputs"], folder=folder)
    _require_same(case.table_digests, manifest["tables"], folder=folder)
    return ReopenedPlan(
        case=case, prepared=prepare_case(case, progress=progress), document=document, manifest=manifest
    )


def _require_own_run(manifest: Mapping[str, Any], document: Mapping[str, Any], *, folder: Path) -> None:
    """Refuse a manifest whose parameters are not those the plan was made under: its run follows from them."""
    made = Manifest(
        command=str(manifest.get("command")),
        run_time=to_run_time(manifest, folder),
        code_version="",
        inputs=manifest["inputs"],
        sources={},
        parameters=manifest["parameters"],
        tables={},
    )
    written = document.get("manifest")
    stated = (manifest.get("run_id"), written.get("run_id") if isinstance(written, Mapping) else None)
    if stated != (made.run_id, made.run_id):
        raise ReplayMismatchError(
            expected="the manifest the plan was written with",
            given="one of another run, or with other parameters",
            where=str(folder),
            action="plan again",
        )


def _fill_rate(spread: SpreadRequest, before: SpreadRequest) -> SpreadRequest:
    if spread.rate_ml_per_min is not None:
        return spread
    return replace(spread, rate_ml_per_min=before.rate_ml_per_min)


def _require_same(now: Mapping[str, Any], then: Mapping[str, Any], *, folder: Path) -> None:
    changed = sorted(name for name in now if now[name] != then.get(name))
    if changed:
        raise ReplayMismatchError(
            expected="what the plan was made from, unchanged",
            given=f"other digests for {', '.join(changed)}",
            where=str(folder),
            action="plan again",
        )
