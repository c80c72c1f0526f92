"""All that a tracking run found, for the writers of its files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from hepatica.core.findings import Finding
from hepatica.core.provenance import Manifest
from hepatica.imaging.scan_registration import ScanRegistration
from hepatica.lesions.matching.decisions import Settlement
from hepatica.lesions.matching.identity import LesionIdentity
from hepatica.lesions.matching.reappearance import GoneLesion
from hepatica.workflows.read_visit import TrackedVisit
from hepatica.workflows.track_request import TrackRequest


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Tracked:
    """All that a tracking run found; what writers are given.

    Parameters
    ----------
    request
        What was asked for.
    baseline, followup
        The two visits.
    registration
        From baseline to follow-up.
    settlement
        Links in force.
    before, after
        Identity by lesion id of each visit; ``before`` holds those gone at the baseline as well.
    gone
        Lesions of earlier visits that are not at the follow-up.
    still_gone_ids
        Those of them that were gone at the baseline already, by id.
    unseen_baseline_ids
        Baseline lesions whose place lies outside the follow-up scan: not imaged is not gone.
    unseen_followup_ids
        Follow-up lesions whose place lies outside the baseline scan.
    findings
        What a reader has to look at.
    manifest
        Of the run.
    """

    request: TrackRequest
    baseline: TrackedVisit
    followup: TrackedVisit
    registration: ScanRegistration
    settlement: Settlement
    before: Mapping[str, LesionIdentity]
    after: Mapping[str, LesionIdentity]
    gone: tuple[GoneLesion, ...]
    still_gone_ids: frozenset[str]
    unseen_baseline_ids: frozenset[str]
    unseen_followup_ids: frozenset[str]
    findings: tuple[Finding, ...]
    manifest: Manifest
