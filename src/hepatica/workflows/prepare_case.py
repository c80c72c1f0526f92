"""From a read scan to the scene a plan is made in: structures, lesions, obstacles, skin."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from hepatica.anatomy.assemble import AssembledAnatomy, assemble_anatomy
from hepatica.anatomy.declared import check_declared_against_image
from hepatica.anatomy.derive import derive_anatomy
from hepatica.anatomy.structures import Anatomy
from hepatica.core.findings import Finding, NotEvaluable
from hepatica.core.geometry import FloatArray
from hepatica.core.position import derive_gravity_lps
from hepatica.core.progress import Progress
from hepatica.lesions.describe import describe_lesions, read_lesion_tables
from hepatica.lesions.lesion import Lesion
from hepatica.lesions.surroundings import derive_whole_liver
from hepatica.lesions.volume import derive_diameter_band_mm, measure_liver_share
from hepatica.planning.eligibility.check import check_eligibility
from hepatica.planning.eligibility.facts import ScanFacts
from hepatica.planning.eligibility.values import CriterionAnswer
from hepatica.planning.path.needle_choice import choose_needle
from hepatica.planning.path.scene import Scene, build_scene, read_path_limits
from hepatica.workflows.align_priors import AlignedPriors, align_priors, derive_given_ml
from hepatica.workflows.read_case import Case
from hepatica.workflows.viable_parts import find_viable_parts


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PreparedCase:
    """A scan ready to be planned in.

    Parameters
    ----------
    anatomy
        All structures, labelled and derived.
    lesions
        Lesions in order.
    scene
        What paths are judged against.
    eligibility
        The protocol's criteria, answered.
    given_ml
        What each lesion was given at earlier visits, by lesion id.
    prior_tracking_uids
        Tracking UID by lesion id in the latest earlier plan.
    findings
        What was noticed on the way.
    """

    anatomy: Anatomy
    lesions: tuple[Lesion, ...]
    scene: Scene
    eligibility: tuple[CriterionAnswer, ...]
    given_ml: Mapping[str, float]
    prior_tracking_uids: Mapping[str, str]
    findings: tuple[Finding, ...]


def prepare_case(case: Case, *, progress: Progress) -> PreparedCase:
    """Find the structures and lesions of a read scan and build the scene around them.

    Parameters
    ----------
    case
        Everything that was read.
    progress
        Told of stages; may cancel.
    """
    volume = case.image.volume
    progress.stage("Finding structures")
    assembled = assemble_anatomy(volume.grid, case.segments, declared_absent=frozenset(case.request.absent))
    anatomy, derived = derive_anatomy(volume, assembled.anatomy, progress=progress)
    priors = align_priors(case, anatomy)
    lesions, described = _describe(case, assembled, anatomy, priors, progress=progress)
    progress.check_cancelled()
    return PreparedCase(
        anatomy=anatomy,
        lesions=lesions,
        scene=_build_scene(case, anatomy, lesions, priors, progress=progress),
        eligibility=check_eligibility(case.protocol, facts=case.facts, scan=to_scan_facts(lesions, anatomy)),
        given_ml=derive_given_ml(case.priors, lesions=lesions, tracking_uids=priors.tracking_uids),
        prior_tracking_uids=priors.tracking_uids,
        findings=(
            *assembled.findings,
            *derived,
            *check_declared_against_image(anatomy),
            *priors.findings,
            *described,
        ),
    )


def _describe(
    case: Case, assembled: AssembledAnatomy, anatomy: Anatomy, priors: AlignedPriors, *, progress: Progress
) -> tuple[tuple[Lesion, ...], tuple[Finding, ...]]:
    progress.stage("Finding viable tumour")
    viable, explained = find_viable_parts(case, assembled, anatomy, progress=progress)
    lesions, findings = describe_lesions(
        [(segment.name, segment.mask) for segment in assembled.lesion_segments],
        volume=case.image.volume,
        anatomy=anatomy,
        viable=viable,
        prior=priors.latest,
        progress=progress,
    )
    return lesions, (*explained, *findings)


def to_scan_facts(lesions: Sequence[Lesion], anatomy: Anatomy) -> ScanFacts:
    """Return what a protocol may ask of a scan: lesions, sizes, tumour share."""
    tables = read_lesion_tables()
    masks = tuple(lesion.mask for lesion in lesions)
    share = measure_liver_share(
        masks, liver=derive_whole_liver(anatomy, masks), variability=tables.variability
    )
    largest_mm = max(lesion.longest_diameter.length_mm for lesion in lesions)
    low_mm, high_mm, _ = derive_diameter_band_mm(largest_mm, variability=tables.variability)
    return ScanFacts(
        tumour_fraction=share if isinstance(share, NotEvaluable) else share.fraction,
        tumour_fraction_uncertainty=share if isinstance(share, NotEvaluable) else share.uncertainty_fraction,
        liver_complete=isinstance(share, NotEvaluable) or share.liver_complete,
        lesion_count=len(lesions),
        largest_diameter_mm=largest_mm,
        largest_diameter_uncertainty_mm=max(largest_mm - low_mm, high_mm - largest_mm),
    )


def _build_scene(
    case: Case, anatomy: Anatomy, lesions: Sequence[Lesion], priors: AlignedPriors, *, progress: Progress
) -> Scene:
    limits = read_path_limits()
    gravity: FloatArray | NotEvaluable = (
        case.image.facts.patient_position
        if isinstance(case.image.facts.patient_position, NotEvaluable)
        else derive_gravity_lps(case.image.facts.patient_position)
    )
    return build_scene(
        case.image.volume,
        anatomy,
        lesions={lesion.lesion_id: (lesion.mask, lesion.target) for lesion in lesions},
        gravity_lps=gravity,
        limits=limits,
        needle=choose_needle(case.request.needle, limits=limits, needles=case.needles),
        prior_tracks=priors.tracks,
        progress=progress,
    )
