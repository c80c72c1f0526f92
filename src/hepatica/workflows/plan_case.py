"""Join the stages: anatomy, lesions, amounts, paths, checks. Nothing is read or written here."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

from hepatica.anatomy.structures import Anatomy
from hepatica.core.findings import Finding, Severity
from hepatica.core.progress import SILENT, Progress
from hepatica.core.provenance import derive_uid
from hepatica.lesions.lesion import Lesion
from hepatica.planning.dose.allocate import AllocationOptions, allocate_dose
from hepatica.planning.dose.values import Allocation, DoseLesion
from hepatica.planning.path.delivery import search_delivery
from hepatica.planning.path.harm import rank_by_harm, simulate_harms
from hepatica.planning.path.needle_choice import fit_needle
from hepatica.planning.path.placement_presets import make_placement_model
from hepatica.planning.path.scene import Scene
from hepatica.planning.path.search import LesionSearch, search_lesions
from hepatica.planning.path.share import measure_score, share_skin
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
from hepatica.workflows.choose_punctures import ChosenPunctures, choose_punctures
from hepatica.workflows.prepare_case import PreparedCase, prepare_case
from hepatica.workflows.rank_plan_patterns import rank_plan_patterns
from hepatica.workflows.read_case import Case

NO_PATH: Final = "no path meets every hard limit"
NECROTIC: Final = "the label of necrosis covers the whole lesion: no viable tumour is left"
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
    first, paths, own_scores = _search(case, allocate, lesions, scene, progress=progress)
    progress.stage("Placing deposits")
    allocation, chosen = _deposit(
        allocate,
        paths,
        scene,
        named=bool(case.request.needle),
        needles=case.needles,
        own_scores=own_scores,
        progress=progress,
    )
    paths = chosen.paths
    progress.stage("Simulating placement error")
    punctures = _assess_risk(case, chosen.punctures, scene)
    backups = _assess_risk(case, chosen.backups, scene)
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
        patterns=rank_plan_patterns(
            case,
            allocation,
            punctures=(*punctures, *backups),
            lesions=lesions,
            anatomy=anatomy,
            progress=progress,
        ),
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
    unreachable: dict[str, str],
    dead_space_ml: float,
) -> Allocation:
    left_out = unreachable | {lesion.lesion_id: NECROTIC for lesion in lesions if lesion.is_necrotic}
    return allocate_dose(
        [
            DoseLesion(
                lesion_id=lesion.lesion_id,
                longest_diameter_mm=lesion.longest_diameter.length_mm,
                volume_ml=lesion.volume_ml,
                is_new=lesion.is_new,
                injectable=lesion.lesion_id not in left_out,
                reason=left_out.get(lesion.lesion_id, ""),
            )
            for lesion in lesions
        ],
        protocol=case.protocol,
        visit=case.request.visit,
        dead_space_ml=dead_space_ml,
        options=AllocationOptions(given_ml=given_ml),
    )


def _search(
    case: Case, allocate: Allocate, lesions: Sequence[Lesion], scene: Scene, *, progress: Progress
) -> tuple[Allocation, tuple[LesionPath, ...], dict[str, float]]:
    """Allocate over all lesions and look for paths; a lesion without one frees its share for others.

    Then choose among each lesion's best paths by harm, and let lesions share holes in the skin. The scores are
    those of the lesions' own best paths.
    """
    dead_space_ml = scene.needle.dead_space_ml
    first = allocation = allocate(unreachable={}, dead_space_ml=dead_space_ml)
    searches: dict[str, LesionSearch] = {}
    searched_ml: dict[str, float] = {}
    while wanted := [i for i in allocation.injections if i.volume_ml > searched_ml.get(i.lesion_id, 0.0)]:
        volumes_ml = {injection.lesion_id: injection.volume_ml for injection in wanted}
        progress.stage(f"Searching paths to {', '.join(volumes_ml)}")
        searches |= search_lesions(scene, volumes_ml=volumes_ml, search=search_delivery, progress=progress)
        searched_ml |= volumes_ml
        progress.check_cancelled()
        unreachable = _find_unreachable(search.path for search in searches.values())
        allocation = allocate(unreachable=unreachable, dead_space_ml=dead_space_ml)
    model, seed = make_placement_model(case.request.placement), case.request.seed
    ordered = [lesion.lesion_id for lesion in lesions if lesion.lesion_id in searches]
    paths = {
        name: rank_by_harm(searches[name], scene, model=model, seed=seed, progress=progress)
        for name in ordered
    }
    given = {item.lesion_id for item in allocation.injections if item.volume_ml > 0}
    shared = share_skin(
        scene,
        searches=searches,
        paths={name: path for name, path in paths.items() if name in given},
        progress=progress,
    )
    own = {name: measure_score(path.best) for name, path in paths.items() if path.best is not None}
    return first, tuple((paths | shared).values()), own


def _find_unreachable(paths: Iterable[LesionPath]) -> dict[str, str]:
    return {path.lesion_id: NO_PATH for path in paths if path.best is None}


def _deposit(
    allocate: Allocate,
    paths: Sequence[LesionPath],
    scene: Scene,
    *,
    named: bool,
    own_scores: Mapping[str, float],
    needles: tuple[Needle, ...] | None = None,
    progress: Progress = SILENT,
) -> tuple[Allocation, ChosenPunctures]:
    """Allocate over the lesions that have a path, and place the volumes along first choices and backups.

    A needle that the user named is used as it is; otherwise each path gets the shortest one that fits.
    """

    def fit(puncture: Puncture) -> Needle:
        if named:
            return scene.needle
        return fit_needle(scene.needle, length_mm=puncture.length_mm, needles=needles)

    fitted = [fit(path.best) for path in paths if path.best is not None]
    dead_space_ml = max((needle.dead_space_ml for needle in fitted), default=0.0)
    allocation = allocate(unreachable=_find_unreachable(paths), dead_space_ml=dead_space_ml)
    chosen = choose_punctures(
        allocation.injections, paths, scene, fit=fit, own_scores=own_scores, progress=progress
    )
    return join_allocation(allocation, chosen.undelivered), chosen


def _assess_risk(case: Case, punctures: Sequence[Puncture], scene: Scene) -> tuple[Puncture, ...]:
    """Draw needles around every puncture. All draw the same errors, so that punctures compare without noise."""
    model, seed = make_placement_model(case.request.placement), case.request.seed
    return tuple(simulate_harms(punctures, scene, model=model, seed=seed))
