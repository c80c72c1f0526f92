"""Say of a plan from where each lesion can be reached, and what each limit costs in skin."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np

from hepatica.core.errors import NotFoundError, OutputExistsError
from hepatica.core.findings import NotEvaluable
from hepatica.core.geometry import FloatArray
from hepatica.core.progress import SILENT, Progress
from hepatica.core.provenance import Manifest, digest_bytes
from hepatica.planning.path.limit_costs import derive_limit_costs
from hepatica.planning.path.scene import Scene
from hepatica.planning.path.skin_map import SkinClass, SkinMap, derive_skin_map
from hepatica.planning.path.values import Puncture
from hepatica.planning.plan import Plan, PlanStatus
from hepatica.workflows.explain_document import to_explain_document
from hepatica.workflows.explain_ports import (
    ChosenEntry,
    ExplanationWriter,
    LesionExplained,
    PathsExplained,
)
from hepatica.workflows.plan_case import PlannedCase
from hepatica.workflows.plan_ports import PlanPorts
from hepatica.workflows.reopen_plan import ReopenedPlan, reopen_plan

DOCUMENT: Final = "explain.json"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ExplainOutcome:
    """What a run gave: everything explained, its JSON document, the folder and the files in it."""

    explained: PathsExplained
    document: Mapping[str, Any]
    folder: Path
    files: tuple[str, ...]


def explain_paths(
    plan_folder: Path,
    *,
    ports: PlanPorts,
    writers: Sequence[ExplanationWriter],
    out: Path,
    lesion_ids: Sequence[str] = (),
    overwrite: bool = False,
    progress: Progress = SILENT,
) -> ExplainOutcome:
    """Explain the paths of a plan: a map of the skin for each lesion, and what each limit costs.

    Parameters
    ----------
    plan_folder
        Folder that ``hepatica plan`` wrote.
    ports
        The world.
    writers
        Writers of the explanation's files.
    out
        Folder to make; everything appears in it together, or nothing does.
    lesion_ids
        Lesions to explain; all where empty.
    overwrite
        Replace an earlier result in ``out``.
    progress
        Told of stages; may cancel.

    Raises
    ------
    NotFoundError
        If the plan has no such lesion.
    OutputExistsError
        If ``out`` is, holds or lies in the plan.
    ReplayMismatchError
        If the plan, an input or a table has changed since.
    """
    _require_apart(plan_folder, out)
    with ports.stage_output(out, overwrite=overwrite) as stage:
        opened = reopen_plan(plan_folder, ports=ports, progress=progress)
        chosen = _choose(opened.prepared.scene, lesion_ids, where=str(plan_folder))
        explained = explain_plan(
            opened,
            opened.plan_again(progress=progress),
            chosen,
            code_version=ports.code_version,
            progress=progress,
        )
        manifest = _start_manifest(opened, chosen, plan_folder, ports=ports)
        ports.write_document(stage / DOCUMENT, explained.document)
        files = [DOCUMENT]
        for writer in writers:
            progress.check_cancelled()
            files += writer.write_explanation(explained, stage, progress=progress)
        outputs = {name: digest_bytes((stage / name).read_bytes()) for name in files}
        ports.write_document(stage / "manifest.json", replace(manifest, outputs=outputs).to_dict())
    return ExplainOutcome(
        explained=explained,
        document=explained.document,
        folder=out,
        files=(*files, "manifest.json"),
    )


def explain_plan(
    opened: ReopenedPlan,
    planned: PlannedCase,
    lesion_ids: Iterable[str],
    *,
    code_version: str,
    progress: Progress = SILENT,
) -> PathsExplained:
    """Explain a plan that is open.

    Parameters
    ----------
    opened, planned
        The plan's scan and scene; its values made again.
    lesion_ids
        Lesions to explain.
    code_version
        Version of this program.
    progress
        Told of stages; may cancel.
    """
    plan, scene = planned.plan, opened.prepared.scene
    lesions = tuple(explain_lesion(plan, scene, name, progress=progress) for name in lesion_ids)
    return PathsExplained(
        plan_id=plan.plan_id,
        visit=plan.visit,
        cleared=plan.status is PlanStatus.CLEARED,
        missing_structures=plan.missing_structures,
        grid=scene.grid,
        facts=opened.case.image.facts,
        gravity_lps=scene.gravity_lps,
        lesions=lesions,
        document=to_explain_document(plan, scene, lesions),
        code_version=code_version,
        input_digest=opened.case.image.digest,
    )


def explain_lesion(
    plan: Plan, scene: Scene, lesion_id: str, *, progress: Progress = SILENT
) -> LesionExplained:
    """Map the skin for one lesion of a plan and say what each limit costs.

    Parameters
    ----------
    plan, scene
        The plan and what it was made in.
    lesion_id
        Lesion.
    progress
        Told of stages; may cancel.
    """
    paths = _list_paths(plan, lesion_id)
    tips = [track.tip_lps_mm for _, _, puncture in paths for track in _list_tracks(puncture, lesion_id)]
    skin_map = derive_skin_map(
        scene,
        lesion_id=lesion_id,
        also_tips_lps_mm=np.array(tips) if tips else None,
        progress=progress,
    )
    return LesionExplained(
        lesion_id=lesion_id,
        mask=scene.find_lesion(lesion_id)[0],
        planned_ml=sum(i.volume_ml for i in plan.allocation.injections if i.lesion_id == lesion_id),
        skin_map=skin_map,
        costs=derive_limit_costs(scene, skin_map, progress=progress),
        entries=tuple(_to_entry(skin_map, *path) for path in paths),
    )


def _list_paths(plan: Plan, lesion_id: str) -> list[tuple[str, str, Puncture]]:
    found = [(p.puncture_id, "first choice", p) for p in plan.punctures if lesion_id in p.lesion_ids]
    found += [(p.puncture_id, "backup", p) for p in plan.backups if lesion_id in p.lesion_ids]
    for path in plan.paths:
        if path.lesion_id == lesion_id:
            first = found[0][0] if found else "P"
            found += [
                (f"{first}a{number}", "alternative", p) for number, p in enumerate(path.alternatives, start=1)
            ]
    return found


def _list_tracks(puncture: Puncture, lesion_id: str) -> list[Any]:
    own = [t for t in puncture.tracks if not t.deposits or t.deposits[0].lesion_id == lesion_id]
    # A fan's inner needle turns on the way: its tip is no tip of a straight path.
    return [] if puncture.pivot_lps_mm is not None else own


def _to_entry(skin_map: SkinMap, name: str, role: str, puncture: Puncture) -> ChosenEntry:
    score = sum(term.weight * term.value for term in puncture.terms)
    return ChosenEntry(
        name=name,
        role=role,
        puncture=puncture,
        score=score,
        better_skin_cm2=_measure_better_cm2(skin_map, puncture.entry_lps_mm),
    )


def _measure_better_cm2(skin_map: SkinMap, entry_lps_mm: FloatArray) -> float | NotEvaluable:
    point = skin_map.find_nearest(entry_lps_mm)
    if skin_map.classes[point] != SkinClass.FREE:
        return NotEvaluable(reason="no straight path from this entry is free")
    return float(skin_map.derive_rank_cm2()[point])


def _choose(scene: Scene, wanted: Sequence[str], *, where: str) -> tuple[str, ...]:
    unknown = [name for name in wanted if name not in scene.lesions]
    if unknown:
        raise NotFoundError(
            expected=f"a lesion of the plan: {', '.join(scene.lesions)}",
            given=f"'{unknown[0]}'",
            where=where,
            action="choose one with --lesion",
        )
    return tuple(name for name in scene.lesions if not wanted or name in wanted)


def _require_apart(plan_folder: Path, out: Path) -> None:
    before, after = plan_folder.resolve(), out.resolve()
    if before == after or before in after.parents or after in before.parents:
        raise OutputExistsError(
            expected="an output folder apart from the plan",
            given="a folder that is, holds or lies in it",
            where=str(out),
            action="choose another --out",
        )


def _start_manifest(
    opened: ReopenedPlan, lesion_ids: Sequence[str], plan_folder: Path, *, ports: PlanPorts
) -> Manifest:
    return Manifest(
        command="paths explain",
        run_time=ports.clock.now(),
        code_version=ports.code_version,
        inputs={**opened.case.digests, "plan.json": opened.manifest["outputs"]["plan.json"]},
        sources={"plan": str(plan_folder)},
        parameters={"lesions": list(lesion_ids)},
        tables=opened.case.table_digests,
        libraries=ports.libraries,
    )
