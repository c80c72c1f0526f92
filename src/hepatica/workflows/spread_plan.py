"""From the folder of a plan to the folder of its predicted spread; the same again from its manifest."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from hepatica.core.errors import OutputExistsError, SourceFormatError
from hepatica.core.progress import SILENT, Progress
from hepatica.core.provenance import Manifest, digest_bytes
from hepatica.workflows.plan_ports import PlanPorts
from hepatica.workflows.ports import PlanContext
from hepatica.workflows.reopen_plan import ReopenedPlan, reopen_plan
from hepatica.workflows.replay_plan import (
    FixedClock,
    read_manifest,
    require_equal,
    require_own_outputs,
    to_run_time,
)
from hepatica.workflows.simulate_plan_spread import open_pool, simulate_case_spread, start_case_work
from hepatica.workflows.spread_document import to_spread_document
from hepatica.workflows.spread_request import SpreadRequest
from hepatica.workflows.spread_values import PlanSpread

COMMAND = "spread"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SpreadResult:
    """What a run gave: the prediction, its document, the folder and the files in it."""

    spread: PlanSpread
    document: Mapping[str, Any]
    manifest: Manifest
    folder: Path
    files: tuple[str, ...]


def spread_plan(
    folder: Path,
    *,
    request: SpreadRequest,
    ports: PlanPorts,
    out: Path,
    overwrite: bool = False,
    progress: Progress = SILENT,
) -> SpreadResult:
    """Simulate the spread of a plan's first-choice deposits and write the prediction.

    Parameters
    ----------
    folder
        Folder that ``hepatica plan`` wrote.
    request
        What to simulate; without a rate the one of the plan's own simulation, else its protocol's.
    ports
        The world.
    out
        Folder to make, apart from the plan's; everything appears in it together, or nothing does.
    overwrite
        Replace an earlier result in ``out``.
    progress
        Told of stages; may cancel.

    Raises
    ------
    ReplayMismatchError
        If the plan's inputs or tables have changed since.
    NotSetError
        If nobody says how fast it is injected.
    """
    _require_apart(folder, out)
    run_time = ports.clock.now()
    with ports.stage_output(out, overwrite=overwrite) as stage:
        with open_pool(request, ports=ports) as executor:
            reopened = reopen_plan(folder, ports=ports, spread=request, progress=progress)
            asked = reopened.case.request.spread or request
            work = start_case_work(executor, reopened.case, request=asked)
            planned = reopened.plan_again(progress=progress)
            spread = simulate_case_spread(
                reopened.case, planned, request=asked, work=work, ports=ports, progress=progress
            )
        manifest = Manifest(
            command=COMMAND,
            run_time=run_time,
            code_version=ports.code_version,
            inputs={
                "plan": digest_bytes(ports.read_bytes(folder / "manifest.json")),
                **reopened.case.digests,
            },
            sources={"plan": str(folder.absolute())},
            parameters=asked.parameters,
            tables=reopened.case.table_digests,
            libraries=ports.libraries,
            seed=asked.seed,
        )
        assert spread is not None
        document = to_spread_document(spread, plan=planned.plan, manifest=manifest)
        ports.write_document(stage / "spread.json", document)
        context = _to_context(reopened, planned.plan, planned.anatomy, manifest=manifest, spread=spread)
        files = ["spread.json"]
        progress.stage("Writing the spread")
        for writer in ports.spread_writers:
            progress.check_cancelled()
            files += writer.write_plan(context, stage, progress=progress)
        outputs = {name: digest_bytes((stage / name).read_bytes()) for name in files}
        manifest = replace(manifest, outputs=outputs)
        ports.write_document(stage / "manifest.json", manifest.to_dict())
    return SpreadResult(
        spread=spread, document=document, manifest=manifest, folder=out, files=(*files, "manifest.json")
    )


def _to_context(
    reopened: ReopenedPlan, plan: Any, anatomy: Any, *, manifest: Manifest, spread: PlanSpread
) -> PlanContext:
    case = reopened.case
    return PlanContext(
        plan=plan,
        image=case.image,
        arterial=case.arterial.volume if case.arterial else None,
        anatomy=anatomy,
        manifest=manifest,
        plan_document=reopened.document,
        spread=spread,
    )


def _require_apart(folder: Path, out: Path) -> None:
    plan, target = folder.resolve(), out.resolve()
    if plan == target or plan in target.parents or target in plan.parents:
        raise OutputExistsError(
            expected="an output folder apart from the plan",
            given="the same folder, or one in it or around it",
            where=str(out),
            action="choose another --out",
        )


def replay_spread(
    folder: Path, *, ports: PlanPorts, out: Path, overwrite: bool = False, progress: Progress = SILENT
) -> SpreadResult:
    """Repeat the run that wrote a folder of ``hepatica spread`` and compare every digest.

    Parameters
    ----------
    folder
        Folder of the earlier run.
    ports, out, overwrite, progress
        As for `spread_plan`.

    Raises
    ------
    ReplayMismatchError
        If a file of the folder is not the one the manifest names, an input has changed, or an output comes out
        different; says which.
    """
    _require_apart(folder, out)
    manifest = read_manifest(folder, ports=ports)
    require_own_outputs(manifest, folder=folder, ports=ports)
    try:
        request = SpreadRequest.from_parameters(manifest["parameters"])
        plan = Path(manifest["sources"]["plan"])
    except (KeyError, TypeError, ValueError) as error:
        raise SourceFormatError(
            expected="the manifest of a simulated spread",
            given=f"a document that is none ({type(error).__name__})",
            where=str(folder),
            action="give the folder that 'hepatica spread' wrote",
        ) from error
    clock = FixedClock(to_run_time(manifest, folder))
    result = spread_plan(
        plan,
        request=request,
        ports=replace(ports, clock=clock),
        out=out,
        overwrite=overwrite,
        progress=progress,
    )
    require_equal(manifest, result.manifest.to_dict(), folder=folder)
    return result
