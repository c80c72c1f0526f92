"""Bring earlier plans into the frame of today's scan."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from hepatica.anatomy.structures import Anatomy, StructureKind
from hepatica.core.findings import Finding, NotEvaluable, Severity
from hepatica.core.geometry import FloatArray
from hepatica.imaging.mask import Mask
from hepatica.imaging.registration import register_masks_rigidly
from hepatica.lesions.lesion import Lesion
from hepatica.lesions.prior import PriorLesion, PriorVisit
from hepatica.planning.path.values import PriorTrack
from hepatica.workflows.read_case import Case
from hepatica.workflows.read_priors import PriorCase


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class AlignedPriors:
    """Earlier plans in today's frame.

    Parameters
    ----------
    latest
        Lesions of the latest plan that could be aligned; None where there is none.
    tracks
        Tracks of all aligned plans.
    tracking_uids
        Tracking UID by lesion id of the latest plan.
    findings
        How each plan was aligned, or why not.
    """

    latest: PriorVisit | None
    tracks: tuple[PriorTrack, ...]
    tracking_uids: dict[str, str]
    findings: tuple[Finding, ...]


def align_priors(case: Case, anatomy: Anatomy) -> AlignedPriors:
    """Align every earlier plan: by its frame of reference where it is today's, else liver to liver."""
    latest: PriorVisit | None = None
    uids: dict[str, str] = {}
    tracks: list[PriorTrack] = []
    findings = list(check_prior_visits(case.priors, visit=case.request.visit))
    for prior in case.priors:
        placed, finding = _align(prior, case, anatomy)
        findings.append(finding)
        if placed is None:
            continue
        tracks += [_move(track, placed) for track in prior.plan.tracks]
        latest = PriorVisit(
            lesions=tuple(
                PriorLesion(
                    lesion_id=lesion.lesion_id,
                    centroid_lps_mm=lesion.centroid_lps_mm,
                    longest_diameter_mm=lesion.longest_diameter_mm,
                    plan_id=prior.plan.plan_id,
                )
                for lesion in prior.plan.lesions
            ),
            present_from_prior_lps=placed,
        )
        uids = dict(prior.plan.tracking_uids)
    return AlignedPriors(latest=latest, tracks=tuple(tracks), tracking_uids=uids, findings=tuple(findings))


def check_prior_visits(priors: Sequence[PriorCase], *, visit: int) -> tuple[Finding, ...]:
    """Say so where an earlier plan is not of an earlier visit, or a visit comes twice: doses add up wrongly.

    Parameters
    ----------
    priors
        Earlier plans.
    visit
        Visit that is planned.
    """
    visits = Counter(prior.plan.visit for prior in priors)
    late = [
        Finding(
            rule="prior.not_earlier",
            severity=Severity.WARNING,
            message="A plan given as earlier is not of an earlier visit.",
            measured=float(number),
            limit=float(visit),
            subject=f"visit {number}",
        )
        for number in sorted(visits)
        if number >= visit
    ]
    twice = [
        Finding(
            rule="prior.visit_twice",
            severity=Severity.WARNING,
            message="Several earlier plans are of one visit; what each meant to give was added.",
            measured=float(count),
            limit=1.0,
            subject=f"visit {number}",
        )
        for number, count in sorted(visits.items())
        if count > 1
    ]
    return (*late, *twice)


def derive_given_ml(
    priors: Sequence[PriorCase], *, lesions: Sequence[Lesion], tracking_uids: Mapping[str, str]
) -> dict[str, float]:
    """Return what all earlier plans meant to give, in mL by today's lesion id.

    Plans are joined by tracking UID, which a lesion keeps for life.

    Parameters
    ----------
    priors
        Earlier plans, oldest first.
    lesions
        Today's lesions; ``prior_id`` is the name in the plan they were matched with.
    tracking_uids
        Tracking UID by lesion id of that plan, `AlignedPriors.tracking_uids`.
    """
    today = {
        tracking_uids[lesion.prior_id]: lesion.lesion_id
        for lesion in lesions
        if lesion.prior_id is not None and lesion.prior_id in tracking_uids
    }
    given: dict[str, float] = {}
    for prior in priors:
        uids = prior.plan.tracking_uids
        for dose in prior.plan.doses:
            name = today.get(uids.get(dose.lesion_id, ""))
            if name is not None:
                given[name] = given.get(name, 0.0) + dose.volume_ml
    return given


def _align(prior: PriorCase, case: Case, anatomy: Anatomy) -> tuple[FloatArray | None, Finding]:
    name = f"visit {prior.plan.visit}"
    frame = case.image.volume.grid.frame_of_reference
    if frame is not None and prior.plan.frame_of_reference == frame:
        return np.eye(4), Finding(
            rule="prior.same_frame",
            severity=Severity.INFO,
            message="The earlier plan was made in the same frame of reference.",
            subject=name,
        )
    if prior.liver is None:
        return None, Finding(
            rule="prior.not_aligned",
            severity=Severity.WARNING,
            message=f"The earlier plan is in another frame and cannot be aligned: {prior.reason}. "
            "New lesions and earlier tracks are not known.",
            subject=name,
        )
    liver = Mask.from_full(anatomy.select(StructureKind.LIVER), grid=anatomy.grid, where="liver")
    registration = register_masks_rigidly(liver, prior.liver)
    residual_mm = registration.residual_mm
    if not registration.converged or isinstance(residual_mm, NotEvaluable):
        return None, Finding(
            rule="prior.not_aligned",
            severity=Severity.WARNING,
            message="The liver of the earlier plan could not be registered to today's. "
            "New lesions and earlier tracks are not known.",
            subject=name,
        )
    return np.asarray(np.linalg.inv(registration.moving_from_fixed), dtype=np.float64), Finding(
        rule="prior.registered",
        severity=Severity.WARNING,
        message="The earlier plan was aligned liver to liver, derived, not reviewed.",
        measured=round(residual_mm, 2),
        unit="mm",
        subject=name,
    )


def _move(track: PriorTrack, present_from_prior_lps: FloatArray) -> PriorTrack:
    turn, shift = present_from_prior_lps[:3, :3], present_from_prior_lps[:3, 3]
    return replace(
        track, entry_lps_mm=turn @ track.entry_lps_mm + shift, tip_lps_mm=turn @ track.tip_lps_mm + shift
    )
