"""Join the stages: anatomy, lesions, amounts, paths, checks. Nothing is read or written here."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Final

import numpy as np

from hepatica.anatomy.structures import Anatomy
from hepatica.core.findings import Finding, Severity
from hepatica.core.progress import Progress
from hepatica.core.provenance import derive_uid
from hepatica.lesions.lesion import Lesion
from hepatica.planning.dose.allocate import AllocationOptions, allocate_dose
from hepatica.planning.dose.values import Allocation, DoseLesion, Injection
from hepatica.planning.path.deposits import place_deposits
from hepatica.planning.path.needle_choice import fit_needle
from hepatica.planning.path.placement_error import simulate_placement
from hepatica.planning.path.placement_presets import make_placement_model
from hepatica.planning.path.scene import Scene
from hepatica.planning.path.search import plan_lesion_path
from hepatica.planning.path.values import LesionPath, Needle, Puncture
from hepatica.planning.plan import (
    Plan,
    PlanStatus,
    ProtocolSummary,
    check_cleared,
    check_closure,
    join_allocation,
    sort_findings,
)
from hepatica.workflows.prepare_case import PreparedCase, prepare_case
from hepatica.workflows.read_case import Case

NO_PATH: Final = "no path meets every hard limit"
Allocate = Callable[..., Allocation]
"""Allocates this visit's dose; takes what is unreachable, and a needle's dead space."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PlannedCase:
    """A plan with what it was made in.

    Parameters
    ----------
    plan
        The plan.
    anatomy
        All structures, labelled and derived.
    prior_tracking_uids
        Tracking UID by lesion id in the latest earlier plan.
    scene
        What the paths were judged against.
    """

    plan: Plan
    anatomy: Anatomy
    prior_tracking_uids: Mapping[str, str]
    scene: Scene


def plan_case(case: Case, *, run_id: str, progress: Progress) -> PlannedCase:
    """Plan one visit from what was read.

    Parameters
    ----------
    case
        Everything that was read.
    run_id
        Text that identifiers derive from.
    progress
        Told of stages; may cancel.
    """
    return plan_prepared(case, prepare_case(case, progress=progress), run_id=run_id, progress=progress)


def plan_prepared(case: Case, prepared: PreparedCase, *, run_id: str, progress: Progress) -> PlannedCase:
    """Plan one visit in a scene that is already made.

    Parameters
    ----------
    case
        Everything that was read.
    prepared
        The same scan with its lesions and the scene around them.
    run_id
        Text that identifiers derive from.
    progress
        Told of stages; may cancel.
    """
    scene, lesions, anatomy = prepared.scene, prepared.lesions, prepared.anatomy
    allocate = partial(_allocate, case, lesions, given_ml=prepared.given_ml)
    first, paths = _search(allocate, lesions, scene, progress=progress)
    allocation, punctures, backups = _deposit(allocate, paths, scene, named=bool(case.request.needle))
    progress.stage("Simulating placement error")
    punctures, backups = _assess_risk(case, punctures, scene), _assess_risk(case, backups, scene)
    missing = anatomy.missing_for_clearance()
    findings = (
        *case.findings,
        *prepared.findings,
        *check_cleared(missing),
        *allocation.findings,
        *(finding for path in paths for finding in path.findings),
        *(finding for puncture in punctures for finding in puncture.findings),
        *check_closure(allocation, punctures),
        *_check_dicom_source(case),
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
        eligibility=prepared.eligibility,
        findings=sort_findings(findings),
        missing_structures=missing,
        patient_position=case.image.facts.patient_position,
    )
    return PlannedCase(
        plan=plan, anatomy=anatomy, prior_tracking_uids=prepared.prior_tracking_uids, scene=scene
    )


def _check_dicom_source(case: Case) -> tuple[Finding, ...]:
    """Say why no DICOM objects are written for a scan that came without DICOM headers."""
    if case.image.facts.format == "DICOM":
        return ()
    return (
        Finding(
            rule="output.no_dicom_source",
            severity=Severity.INFO,
            message=f"The scan came as {case.image.facts.format}, without patient and study: "
            "no DICOM objects are written.",
        ),
    )


def _to_summary(case: Case) -> ProtocolSummary:
    protocol = case.protocol
    return ProtocolSummary(
        name=protocol.name,
        title=protocol.title,
        agent=protocol.agent,
        notices=protocol.notices,
        digest=protocol.digest,
    )


def _allocate(
    case: Case,
    lesions: Sequence[Lesion],
    *,
    given_ml: Mapping[str, float],
    unreachable: Mapping[str, str],
    dead_space_ml: float,
) -> Allocation:
    return allocate_dose(
        [
            DoseLesion(
                lesion_id=lesion.lesion_id,
                longest_diameter_mm=lesion.longest_diameter.length_mm,
                volume_ml=lesion.volume_ml,
                is_new=lesion.is_new,
                injectable=lesion.lesion_id not in unreachable,
                reason=unreachable.get(lesion.lesion_id, ""),
            )
            for lesion in lesions
        ],
        protocol=case.protocol,
        visit=case.request.visit,
        dead_space_ml=dead_space_ml,
        options=AllocationOptions(given_ml=given_ml),
    )


def _search(
    allocate: Allocate, lesions: Sequence[Lesion], scene: Scene, *, progress: Progress
) -> tuple[Allocation, tuple[LesionPath, ...]]:
    """Allocate over all lesions and look for paths; a lesion without one frees its share for others."""
    dead_space_ml = scene.needle.dead_space_ml
    first = allocation = allocate(unreachable={}, dead_space_ml=dead_space_ml)
    paths: dict[str, LesionPath] = {}
    searched_ml: dict[str, float] = {}
    while wanted := [i for i in allocation.injections if i.volume_ml > searched_ml.get(i.lesion_id, 0.0)]:
        for injection in wanted:
            lesion_id = injection.lesion_id
            progress.stage(f"Searching paths to {lesion_id}")
            paths[lesion_id] = plan_lesion_path(
                scene, lesion_id=lesion_id, volume_ml=injection.volume_ml, progress=progress
            )
            searched_ml[lesion_id] = injection.volume_ml
            progress.check_cancelled()
        allocation = allocate(unreachable=_find_unreachable(paths.values()), dead_space_ml=dead_space_ml)
    return first, tuple(paths[lesion.lesion_id] for lesion in lesions if lesion.lesion_id in paths)


def _find_unreachable(paths: Iterable[LesionPath]) -> dict[str, str]:
    return {path.lesion_id: NO_PATH for path in paths if path.best is None}


def _deposit(
    allocate: Allocate, paths: Sequence[LesionPath], scene: Scene, *, named: bool
) -> tuple[Allocation, tuple[Puncture, ...], tuple[Puncture, ...]]:
    """Allocate over the lesions that have a path, and place the volumes along first choices and backups.

    A needle that the user named is used as it is; otherwise each path gets the shortest one that fits.
    """
    reached = {path.lesion_id: path for path in paths if path.best is not None}

    def fit(puncture: Puncture) -> Needle:
        return scene.needle if named else fit_needle(scene.needle, length_mm=puncture.length_mm)

    needles = [fit(path.best) for path in reached.values() if path.best is not None]
    dead_space_ml = max((needle.dead_space_ml for needle in needles), default=0.0)
    allocation = allocate(unreachable=_find_unreachable(paths), dead_space_ml=dead_space_ml)
    undelivered: dict[str, tuple[float, str]] = {}
    punctures: list[Puncture] = []
    backups: list[Puncture] = []
    for injection in allocation.injections:
        path = reached.get(injection.lesion_id)
        if injection.volume_ml <= 0 or path is None or path.best is None:
            continue
        name = f"P{len(punctures) + 1}"
        puncture, left_ml, reason = _place(path.best, name, injection, scene)
        punctures.append(replace(puncture, needle=fit(puncture)))
        if left_ml > 0:
            undelivered[injection.lesion_id] = (left_ml, reason)
        if path.backup is not None:
            backup, left_ml, reason = _place(path.backup, f"{name}b", injection, scene)
            told = (*backup.findings, *check_backup_volume(backup, injection, left_ml=left_ml, reason=reason))
            backups.append(replace(backup, needle=fit(backup), findings=told))
    return join_allocation(allocation, undelivered), tuple(punctures), tuple(backups)


def check_backup_volume(
    backup: Puncture, injection: Injection, *, left_ml: float, reason: str
) -> tuple[Finding, ...]:
    """Say so where a backup cannot give the whole planned volume: whoever changes to it gives less.

    Parameters
    ----------
    backup
        Backup puncture with its deposits.
    injection
        What is planned for the lesion.
    left_ml
        What the backup has no room for.
    reason
        Why, in words.
    """
    if left_ml <= 0:
        return ()
    return (
        Finding(
            rule="path.backup_undelivered",
            severity=Severity.WARNING,
            message=f"By this backup {left_ml:.3f} of {injection.volume_ml:.3f} mL for {injection.lesion_id} "
            f"cannot be given: {reason}.",
            measured=left_ml,
            limit=0.0,
            unit="ml",
            subject=backup.puncture_id,
        ),
    )


def _place(puncture: Puncture, name: str, injection: Injection, scene: Scene) -> tuple[Puncture, float, str]:
    placed, left_ml, reason = place_deposits(
        puncture, scene, lesion_id=injection.lesion_id, volume_ml=injection.volume_ml
    )
    findings = tuple(
        replace(f, subject=name) if f.subject == puncture.puncture_id else f for f in placed.findings
    )
    return replace(placed, puncture_id=name, findings=findings), left_ml, reason


def _assess_risk(case: Case, punctures: Sequence[Puncture], scene: Scene) -> tuple[Puncture, ...]:
    """Draw needles around every puncture. All draw the same errors, so that punctures compare without noise."""
    seed = case.request.seed
    model = make_placement_model(case.request.placement)
    return tuple(
        replace(
            puncture,
            risk=replace(
                simulate_placement(puncture, scene, model=model, rng=np.random.default_rng(seed)), seed=seed
            ),
        )
        for puncture in punctures
    )
