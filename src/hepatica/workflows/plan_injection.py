"""From a scan with labels to an injection plan: the main job."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from hepatica.core.errors import InputError, OutputExistsError
from hepatica.core.progress import SILENT, Progress
from hepatica.core.provenance import Manifest, digest_bytes
from hepatica.planning.plan import Plan
from hepatica.workflows.plan_case import plan_case
from hepatica.workflows.plan_document import to_plan_document
from hepatica.workflows.plan_ports import PlanPorts
from hepatica.workflows.ports import PlanContext
from hepatica.workflows.read_case import Case, read_case
from hepatica.workflows.request import PlanRequest
from hepatica.workflows.simulate_plan_spread import open_pool, simulate_case_spread, start_case_work
from hepatica.workflows.spread_document import to_spread_document
from hepatica.workflows.spread_values import PlanSpread


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PlanOutcome:
    """What a run gave.

    The plan, its JSON document, the folder, the files in it, the spread where simulated, and what writers were told.
    """

    plan: Plan
    document: Mapping[str, Any]
    manifest: Manifest
    folder: Path
    files: tuple[str, ...]
    spread: PlanSpread | None = None
    context: PlanContext | None = None


def plan_injection(
    request: PlanRequest, *, ports: PlanPorts, out: Path, overwrite: bool = False, progress: Progress = SILENT
) -> PlanOutcome:
    """Plan one visit and write the result.

    Parameters
    ----------
    request
        What to plan from.
    ports
        The world.
    out
        Folder to make; everything appears in it together, or nothing does.
    overwrite
        Replace an earlier result in ``out``.
    progress
        Told of stages; may cancel.

    Raises
    ------
    OutputExistsError
        If ``out`` is, holds or lies in an input.
    HepaticaError
        With a stable code for everything that cannot be used as given.
    """
    if request.visit < 1:
        raise InputError(expected="a visit number from 1", given=str(request.visit), where="--visit")
    _require_apart(request, out)
    run_time = ports.clock.now()
    with ports.stage_output(out, overwrite=overwrite) as stage:
        with open_pool(request.spread, ports=ports) as executor:
            case = read_case(request, ports=ports, progress=progress)
            manifest = _start_manifest(request, case, ports=ports, run_time=run_time)
            work = start_case_work(executor, case, request=request.spread)
            planned = plan_case(case, run_id=manifest.run_id, progress=progress)
            spread = simulate_case_spread(
                case, planned, request=request.spread, work=work, ports=ports, progress=progress
            )
        document = to_plan_document(
            planned.plan,
            manifest=manifest,
            anatomy=planned.anatomy,
            image_facts=case.image.facts,
            prior_tracking_uids=planned.prior_tracking_uids,
        )
        context = PlanContext(
            plan=planned.plan,
            image=case.image,
            arterial=case.arterial.volume if case.arterial else None,
            anatomy=planned.anatomy,
            manifest=manifest,
            plan_document=document,
            scene=planned.scene,
            spread=spread,
        )
        files = _write_all(context, ports=ports, stage=stage, progress=progress)
        outputs = {name: digest_bytes((stage / name).read_bytes()) for name in files}
        manifest = replace(manifest, outputs=outputs)
        ports.write_document(stage / "manifest.json", manifest.to_dict())
    return PlanOutcome(
        plan=planned.plan,
        document=document,
        manifest=manifest,
        folder=out,
        files=(*files, "manifest.json"),
        spread=context.spread,
        context=context,
    )


def _require_apart(request: PlanRequest, out: Path) -> None:
    """Refuse a result that would replace an input, or become part of one: it holds DICOM files itself."""
    target = out.resolve()
    for role, source in request.sources.items():
        path = Path(source)
        if not path.is_absolute() or not path.exists():
            continue
        path = path.resolve()
        if path == target or target in path.parents or (path.is_dir() and path in target.parents):
            raise OutputExistsError(
                expected="an output folder apart from every input",
                given=f"a folder that is, holds or lies in the input '{role}'",
                where=str(out),
                action="choose another --out",
            )


def _start_manifest(request: PlanRequest, case: Case, *, ports: PlanPorts, run_time: datetime) -> Manifest:
    return Manifest(
        command="plan",
        run_time=run_time,
        code_version=ports.code_version,
        inputs=case.digests,
        sources=request.sources,
        parameters=request.parameters,
        tables=case.table_digests,
        libraries=ports.libraries,
        seed=request.seed,
    )


def _write_all(context: PlanContext, *, ports: PlanPorts, stage: Path, progress: Progress) -> tuple[str, ...]:
    progress.stage("Writing the plan")
    ports.write_document(stage / "plan.json", context.plan_document)
    files = ["plan.json"]
    if context.spread is not None:
        document = to_spread_document(context.spread, plan=context.plan, manifest=context.manifest)
        ports.write_document(stage / "spread.json", document)
        files.append("spread.json")
    for number, writer in enumerate(ports.writers):
        progress.check_cancelled()
        progress.advance(number / len(ports.writers))
        files += writer.write_plan(context, stage, progress=progress)
    return tuple(files)
