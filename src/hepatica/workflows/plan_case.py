"""Join the stages: anatomy, lesions, amounts, paths, checks. Nothing is read or written here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from hepatica.anatomy.assemble import AssembledAnatomy, assemble_anatomy
from hepatica.anatomy.derive import derive_anatomy
from hepatica.anatomy.structures import Anatomy
from hepatica.core.findings import Finding, NotEvaluable
from hepatica.core.position import derive_gravity_lps
from hepatica.core.progress import Progress
from hepatica.core.provenance import derive_uid
from hepatica.imaging.volume import Volume
from hepatica.lesions.describe import describe_lesions
from hepatica.lesions.lesion import Lesion
from hepatica.planning.dose.allocate import allocate_dose
from hepatica.planning.dose.values import Allocation, DoseLesion
from hepatica.planning.eligibility.check import ScanFacts, check_eligibility
from hepatica.planning.path.deposits import place_deposits
from hepatica.planning.path.scene import Scene, build_scene
from hepatica.planning.path.search import plan_lesion_path
from hepatica.planning.path.values import LesionPath, Puncture
from hepatica.planning.plan import (
    Plan,
    PlanStatus,
    ProtocolSummary,
    check_cleared,
    check_closure,
    join_allocation,
    sort_findings,
)
from hepatica.workflows.match_priors import PriorMatch, match_priors
from hepatica.workflows.read_case import Case
from hepatica.workflows.viable_parts import find_viable_parts


def plan_case(case: Case, *, run_id: str, progress: Progress) -> tuple[Plan, Anatomy, Volume | None]:
    """Plan one visit from what was read.

    Parameters
    ----------
    case
        Everything that was read.
    run_id
        Text that identifiers derive from.
    progress
        Told of stages; may cancel.

    Returns
    -------
    tuple
        The plan, the anatomy it was made in, and the second phase if there was one.
    """
    volume = case.image.volume
    progress.stage("Finding structures")
    assembled = assemble_anatomy(volume.grid, case.segments, declared_absent=frozenset(case.request.absent))
    anatomy, derived = derive_anatomy(volume, assembled.anatomy, progress=progress)
    match, lesions, described = _describe(case, assembled, anatomy, progress=progress)
    progress.check_cancelled()
    eligibility = check_eligibility(case.protocol, facts=case.facts, scan=_to_scan_facts(lesions, anatomy))
    scene, scene_findings = _build_scene(case, anatomy, lesions, match, progress=progress)
    first, allocation, paths = _allocate(case, lesions, scene, progress=progress)
    allocation, punctures, backups = _deposit(allocation, paths, scene)
    missing = anatomy.missing_for_clearance()
    findings = (
        *case.findings,
        *assembled.findings,
        *derived,
        *described,
        *scene_findings,
        *check_cleared(missing),
        *allocation.findings,
        *(finding for path in paths for finding in path.findings),
        *(finding for puncture in punctures for finding in puncture.findings),
        *check_closure(allocation, punctures),
    )
    plan = Plan(
        plan_id=derive_uid(run_id, "plan"),
        status=PlanStatus.NOT_CLEARED if missing else PlanStatus.CLEARED,
        visit=case.request.visit,
        protocol=_to_summary(case),
        lesions=lesions,
        allocation_all=first,
        allocation=allocation,
        paths=paths,
        punctures=punctures,
        backups=backups,
        eligibility=eligibility,
        findings=sort_findings(findings),
        missing_structures=missing,
        patient_position=case.image.facts.patient_position,
    )
    return plan, anatomy, case.arterial.volume if case.arterial else None


def _describe(
    case: Case, assembled: AssembledAnatomy, anatomy: Anatomy, *, progress: Progress
) -> tuple[PriorMatch, tuple[Lesion, ...], tuple[Finding, ...]]:
    progress.stage("Measuring lesions")
    viable, viable_findings = find_viable_parts(case, assembled, anatomy, progress=progress)
    lesions, findings = describe_lesions(
        [(segment.name, segment.mask) for segment in assembled.lesion_segments],
        volume=case.image.volume,
        anatomy=anatomy,
        viable=viable,
        progress=progress,
    )
    match = match_priors(lesions, case=case, progress=progress)
    return match, match.lesions, (*viable_findings, *findings, *match.findings)


def _to_scan_facts(lesions: Sequence[Lesion], anatomy: Anatomy) -> ScanFacts:
    raise NotImplementedError


def _to_summary(case: Case) -> ProtocolSummary:
    protocol = case.protocol
    return ProtocolSummary(
        name=protocol.name,
        title=protocol.title,
        agent=protocol.agent,
        notices=protocol.notices,
        digest=protocol.digest,
    )


def _to_dose_lesion(lesion: Lesion, *, unreachable: Mapping[str, str]) -> DoseLesion:
    return DoseLesion(
        lesion_id=lesion.lesion_id,
        longest_diameter_mm=lesion.longest_diameter.length_mm,
        volume_ml=lesion.volume_ml,
        is_new=lesion.is_new,
        injectable=lesion.lesion_id not in unreachable,
        reason=unreachable.get(lesion.lesion_id, ""),
    )


def _allocate(
    case: Case, lesions: Sequence[Lesion], scene: Scene, *, progress: Progress
) -> tuple[Allocation, Allocation, tuple[LesionPath, ...]]:
    """Allocate over all lesions, look for paths, and allocate again over those that have one, until nothing changes."""

    def allocate(unreachable: Mapping[str, str]) -> Allocation:
        return allocate_dose(
            [_to_dose_lesion(lesion, unreachable=unreachable) for lesion in lesions],
            protocol=case.protocol,
            visit=case.request.visit,
            dead_space_ml=scene.needle.dead_space_ml,
        )

    progress.stage("Allocating the dose")
    unreachable: dict[str, str] = {}
    first = allocation = allocate(unreachable)
    paths: dict[str, LesionPath] = {}
    while True:
        wanted = [i.lesion_id for i in allocation.injections if i.volume_ml > 0 and i.lesion_id not in paths]
        if not wanted:
            break
        for lesion_id in wanted:
            progress.stage(f"Searching paths to {lesion_id}")
            paths[lesion_id] = plan_lesion_path(scene, lesion_id=lesion_id, progress=progress)
            progress.check_cancelled()
            if paths[lesion_id].best is None:
                unreachable[lesion_id] = "no path meets every hard limit"
        allocation = allocate(unreachable)
    ordered = tuple(paths[lesion.lesion_id] for lesion in lesions if lesion.lesion_id in paths)
    return first, allocation, ordered


def _deposit(
    allocation: Allocation, paths: Sequence[LesionPath], scene: Scene
) -> tuple[Allocation, tuple[Puncture, ...], tuple[Puncture, ...]]:
    """Place the allocated volumes along the first choices, and the same along the backups."""
    by_lesion = {path.lesion_id: path for path in paths}
    undelivered: dict[str, tuple[float, str]] = {}
    punctures, backups = [], []
    for injection in allocation.injections:
        path = by_lesion.get(injection.lesion_id)
        if injection.volume_ml <= 0 or path is None or path.best is None:
            continue
        name = f"P{len(punctures) + 1}"
        puncture, left_ml, reason = place_deposits(
            path.best, scene, lesion_id=injection.lesion_id, volume_ml=injection.volume_ml
        )
        punctures.append(replace(puncture, puncture_id=name))
        if left_ml > 0:
            undelivered[injection.lesion_id] = (left_ml, reason)
        if path.backup is not None:
            backup, _, _ = place_deposits(
                path.backup, scene, lesion_id=injection.lesion_id, volume_ml=injection.volume_ml
            )
            backups.append(replace(backup, puncture_id=f"{name}b"))
    return join_allocation(allocation, undelivered), tuple(punctures), tuple(backups)


def _build_scene(
    case: Case, anatomy: Anatomy, lesions: Sequence[Lesion], match: PriorMatch, *, progress: Progress
) -> tuple[Scene, tuple[Finding, ...]]:
    raise NotImplementedError
