"""The plan as one JSON document: the content of ``plan.json``, and its published schema."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from types import MappingProxyType
from typing import Any, Final

from hepatica.anatomy.structures import Anatomy, StructureKind
from hepatica.core.evidence import Evidence, read_resource
from hepatica.core.findings import NotEvaluable
from hepatica.core.provenance import Manifest, derive_uid
from hepatica.lesions.lesion import Diameter, Lesion, ViablePart
from hepatica.planning.dose.values import Allocation, Injection
from hepatica.planning.eligibility.values import CriterionAnswer
from hepatica.planning.path.placement_values import Chance, PlacementRisk
from hepatica.planning.path.redirection import derive_redirection_deg, measure_track_mm
from hepatica.planning.path.values import Clearance, Deposit, LesionPath, Needle, Puncture, Run, Track
from hepatica.planning.plan import Plan
from hepatica.workflows.document_values import (
    NUMBER_DECIMALS,
    to_finding_rows,
    to_number,
    to_number_or_reason,
    to_point,
    to_value_or_reason,
)
from hepatica.workflows.pattern_document import to_pattern_document
from hepatica.workflows.ports import ImageFacts
from hepatica.workflows.prior_plan import SCHEMA_VERSION, from_plan_document

__all__ = [
    "NUMBER_DECIMALS",
    "SCHEMA_VERSION",
    "from_plan_document",
    "read_plan_schema",
    "to_plan_document",
    "to_puncture_document",
]

_NO_PRIOR: Final[Mapping[str, str]] = MappingProxyType({})


def to_plan_document(
    plan: Plan,
    *,
    manifest: Manifest,
    anatomy: Anatomy,
    image_facts: ImageFacts,
    prior_tracking_uids: Mapping[str, str] = _NO_PRIOR,
) -> dict[str, Any]:
    """Return a plan as a JSON-ready document that follows `read_plan_schema`.

    Parameters
    ----------
    plan
        The plan.
    manifest
        Manifest of the run; its digest gives every UID.
    anatomy
        Structures of the scan, for their origin and names.
    image_facts
        What is known of the scan beside its voxels.
    prior_tracking_uids
        Tracking UID by lesion name in the prior plan: a lesion with a ``prior_id`` found here keeps its UID.

    Raises
    ------
    NonFiniteError
        If a number of the plan is NaN or infinite.

    Notes
    -----
    What cannot be judged is written as ``{"not_evaluable": "reason"}``, never as 0 or null.
    """
    return {
        "schema_version": SCHEMA_VERSION,
        "plan_id": plan.plan_id,
        "status": plan.status.value,
        "missing_structures": list(plan.missing_structures),
        "declared_absent": sorted(anatomy.declared_absent),
        "visit": plan.visit,
        "protocol": {
            "name": plan.protocol.name,
            "title": plan.protocol.title,
            "agent": plan.protocol.agent,
            "notices": list(plan.protocol.notices),
            "digest": plan.protocol.digest,
        },
        "lesions": [_to_lesion(lesion, manifest, prior_tracking_uids) for lesion in plan.lesions],
        "injections": [_to_injection(injection) for injection in plan.allocation.injections],
        "allocation": _to_allocation(plan.allocation),
        "allocation_all": {
            **_to_allocation(plan.allocation_all),
            "injections": [_to_injection(injection) for injection in plan.allocation_all.injections],
        },
        "punctures": [_to_puncture(puncture) for puncture in plan.punctures],
        "backups": [_to_puncture(puncture) for puncture in plan.backups],
        "paths": [_to_path(path) for path in plan.paths],
        "patterns": [to_pattern_document(patterns) for patterns in plan.patterns],
        "eligibility": [_to_criterion(answer) for answer in plan.eligibility],
        "structures": _to_structures(anatomy),
        "findings": to_finding_rows(plan.findings),
        "frame_of_reference": image_facts.frame_of_reference or anatomy.grid.frame_of_reference or None,
        "patient_position": to_value_or_reason(plan.patient_position),
        "image": {
            "format": image_facts.format,
            "series_uid": image_facts.series_uid or None,
            "study_uid": image_facts.study_uid or None,
            "phase_hint": image_facts.phase_hint,
            "shape_ijk": list(anatomy.grid.shape),
            "lps_from_ijk": [[to_number(v) for v in row] for row in anatomy.grid.lps_from_ijk],
        },
        "manifest": {
            "run_id": manifest.run_id,
            "command": manifest.command,
            "run_time": manifest.run_time.isoformat(),
            "code_version": manifest.code_version,
            "inputs": dict(sorted(manifest.inputs.items())),
            "tables": dict(sorted(manifest.tables.items())),
            "seed": manifest.seed,
        },
    }


@cache
def _read_schema_text() -> str:
    return read_resource("hepatica.resources.schemas", "plan.schema.json").decode("utf-8")


def read_plan_schema() -> dict[str, Any]:
    """Return the JSON Schema (2020-12) of ``plan.json``.

    Examples
    --------
    >>> read_plan_schema()["title"]
    'Hepatica injection plan'
    """
    schema: dict[str, Any] = json.loads(_read_schema_text())
    return schema


def _to_lesion(lesion: Lesion, manifest: Manifest, prior_tracking_uids: Mapping[str, str]) -> dict[str, Any]:
    kept = prior_tracking_uids.get(lesion.prior_id) if lesion.prior_id is not None else None
    return {
        "id": lesion.lesion_id,
        "label": lesion.label,
        "tracking_uid": kept or derive_uid(manifest.run_id, "lesion", lesion.lesion_id),
        **_to_diameter("longest_diameter", lesion.longest_diameter),
        "longest_diameter_slice_index": lesion.longest_diameter.slice_index,
        **_to_diameter("short_axis", lesion.short_axis),
        **_to_diameter("longest_diameter_3d", lesion.longest_diameter_3d),
        "volume_ml": to_number(lesion.volume_ml),
        "volume_uncertainty_ml": to_number(lesion.volume_uncertainty_ml),
        "liver_fraction": to_number_or_reason(lesion.liver_fraction),
        "liver_fraction_uncertainty": to_number_or_reason(lesion.liver_fraction_uncertainty),
        "centroid_lps_mm": to_point(lesion.mask.centroid_lps_mm),
        "distance_to_capsule_mm": to_number_or_reason(lesion.distance_to_capsule_mm),
        "depth_mm": to_number_or_reason(lesion.depth_mm),
        "neighbours": [
            {"structure": n.kind.value, "distance_mm": to_number(n.distance_mm), "derived": n.derived}
            for n in lesion.neighbours
        ],
        "viable": _to_viable(lesion.viable),
        "is_new": lesion.is_new,
        "prior_id": lesion.prior_id,
    }


def _to_diameter(name: str, diameter: Diameter | NotEvaluable) -> dict[str, Any]:
    if isinstance(diameter, NotEvaluable):
        return {
            f"{name}_mm": to_value_or_reason(diameter),
            f"{name}_ends_lps_mm": to_value_or_reason(diameter),
        }
    return {
        f"{name}_mm": to_number(diameter.length_mm),
        f"{name}_ends_lps_mm": [to_point(end) for end in diameter.ends_lps_mm],
    }


def _to_viable(viable: ViablePart | NotEvaluable) -> dict[str, Any]:
    if isinstance(viable, NotEvaluable):
        return {"not_evaluable": viable.reason}
    return {
        "low_ml": to_number(viable.low.volume_ml),
        "middle_ml": to_number(viable.middle.volume_ml),
        "high_ml": to_number(viable.high.volume_ml),
        "centroid_lps_mm": to_point(viable.middle.centroid_lps_mm),
        "origin": viable.origin,
        "method": viable.method,
        "residual_mm": None if viable.residual_mm is None else to_number(viable.residual_mm),
    }


def _to_injection(injection: Injection) -> dict[str, Any]:
    return {
        "lesion_id": injection.lesion_id,
        "rank": injection.rank,
        "rule_volume_ml": to_number(injection.rule_volume_ml),
        "volume_ml": to_number(injection.volume_ml),
        "dose": to_number_or_reason(injection.dose),
        "dose_unit": injection.dose_unit,
        "dose_pfu": to_number_or_reason(injection.dose_pfu),
        "undelivered_ml": to_number(injection.undelivered_ml),
        "undelivered_reason": injection.undelivered_reason,
        "rule": injection.rule,
        "source": injection.source,
        "status": injection.status.value,
        "reason": injection.reason,
    }


def _to_allocation(allocation: Allocation) -> dict[str, Any]:
    return {
        "visit": allocation.visit,
        "total_ml": to_number(allocation.total_ml),
        "ceiling_ml": None if allocation.ceiling_ml is None else to_number(allocation.ceiling_ml),
        "vials": to_value_or_reason(allocation.vials),
        "vial_text": allocation.vial_text,
        "draw_up_ml": to_number(allocation.draw_up_ml),
        "findings": to_finding_rows(allocation.findings),
    }


def to_puncture_document(puncture: Puncture) -> dict[str, Any]:
    """Return one puncture as it stands in the document.

    Parameters
    ----------
    puncture
        The puncture.
    """
    return _to_puncture(puncture)


def _to_puncture(puncture: Puncture) -> dict[str, Any]:
    return {
        "id": puncture.puncture_id,
        "lesion_ids": list(puncture.lesion_ids),
        "entry_lps_mm": to_point(puncture.entry_lps_mm),
        "length_mm": to_number(puncture.length_mm),
        "in_plane_angle_deg": to_number_or_reason(puncture.in_plane_angle_deg),
        "craniocaudal_angle_deg": to_number(puncture.craniocaudal_angle_deg),
        "capsule_angle_deg": to_number_or_reason(puncture.capsule_angle_deg),
        "liver_before_lesion_mm": to_number(puncture.liver_before_lesion_mm),
        "clearance_mm": {c.kind.value: to_number_or_reason(c.clearance_mm) for c in puncture.clearances},
        "clearances": [_to_clearance(clearance) for clearance in puncture.clearances],
        "runs": [_to_run(run) for run in puncture.runs],
        "pivot_lps_mm": None if puncture.pivot_lps_mm is None else to_point(puncture.pivot_lps_mm),
        "shares_skin_with": list(puncture.shares_skin_with),
        "tracks": [_to_track(puncture, track) for track in puncture.tracks],
        "needle": _to_needle(puncture.needle),
        "ranking": [
            {
                "term": term.name,
                "value": to_number(term.value),
                "weight": to_number(term.weight),
                "unit": term.unit,
                "source": term.source,
                "status": term.status.value,
            }
            for term in puncture.terms
        ],
        "findings": to_finding_rows(puncture.findings),
        **({} if puncture.risk is None else {"risk": _to_risk(puncture.risk)}),
    }


def _to_risk(risk: PlacementRisk) -> dict[str, Any]:
    volume = risk.expected_in_target
    return {
        "model": risk.model.name,
        "draws": risk.draws,
        "seed": risk.seed,
        "lower_bound": risk.lower_bound,
        "unverified": risk.unverified,
        "sigmas": [
            {"name": s.key, "sigma_mm": to_number(s.number), "source": s.source, "status": s.status.value}
            for s in risk.model.sigmas
        ],
        **({} if risk.redirection is None else {"redirection": _to_redirection(risk.redirection)}),
        "p_any_touched": _to_chance(risk.any_touched),
        "p_any_within_margin": _to_chance(risk.any_within_margin),
        "p_touch": {item.kind.value: _to_chance(item.touched) for item in risk.structures},
        "p_within_margin": {item.kind.value: _to_chance(item.within_margin) for item in risk.structures},
        "p_tip_in_target": _to_chance(risk.tip_in_target),
        "deposits": [
            {
                "track": item.track,
                "order": item.order,
                "lesion_id": item.lesion_id,
                "p_in_target": _to_chance(item.in_target),
            }
            for item in risk.deposits
        ],
        "expected_ml_in_target": {
            "mean_ml": to_number(volume.mean_ml),
            "standard_error_ml": to_number(volume.standard_error_ml),
            "planned_ml": to_number(volume.planned_ml),
        },
        "p_leaves_volume": _to_chance(risk.leaves_volume),
        "p_near_face": _to_chance(risk.near_face),
    }


def _to_redirection(sigma: Evidence) -> dict[str, Any]:
    return {"sigma_deg": to_number(sigma.number), "source": sigma.source, "status": sigma.status.value}


def _to_chance(chance: Chance) -> dict[str, float]:
    low, high = chance.interval
    return {
        "p": to_number(chance.probability),
        "standard_error": to_number(chance.standard_error),
        "low": to_number(low),
        "high": to_number(high),
    }


def _to_clearance(clearance: Clearance) -> dict[str, Any]:
    return {
        "structure": clearance.kind.value,
        "clearance_mm": to_number_or_reason(clearance.clearance_mm),
        "margin_mm": to_number(clearance.margin_mm),
        "run_out_mm": to_number_or_reason(clearance.run_out_mm),
        "derived": clearance.derived,
        "status": clearance.status.value,
    }


def _to_run(run: Run) -> dict[str, Any]:
    return {
        "from_mm": to_number(run.from_mm),
        "to_mm": to_number(run.to_mm),
        "tissue": run.tissue.value,
        "structure": None if run.structure is None else run.structure.value,
        "mean_hu": to_number(run.mean_hu),
    }


def _to_track(puncture: Puncture, track: Track) -> dict[str, Any]:
    pivot = puncture.pivot_lps_mm
    turn = 0.0 if pivot is None else derive_redirection_deg(puncture.entry_lps_mm, pivot, track.tip_lps_mm)
    return {
        "tip_lps_mm": to_point(track.tip_lps_mm),
        "length_mm": to_number(measure_track_mm(puncture, track)),
        "turn_deg": to_number(turn),
        "deposits": [_to_deposit(deposit) for deposit in track.deposits],
        **({"runs": [_to_run(run) for run in track.runs]} if track.runs else {}),
    }


def _to_deposit(deposit: Deposit) -> dict[str, Any]:
    return {
        "point_lps_mm": to_point(deposit.point_lps_mm),
        "volume_ml": to_number(deposit.volume_ml),
        "lesion_id": deposit.lesion_id,
        "order": deposit.order,
        "distances": [
            {
                "to": item.name,
                "distance_mm": to_number_or_reason(item.distance_mm),
                "limit_mm": to_number(item.limit_mm),
                "status": item.status.value,
            }
            for item in deposit.distances
        ],
    }


def _to_needle(needle: Needle) -> dict[str, Any]:
    return {
        "name": needle.name,
        "gauge": needle.gauge,
        "outer_diameter_mm": to_number(needle.outer_diameter_mm),
        "length_mm": to_number(needle.length_mm),
        "hub_allowance_mm": to_number(needle.hub_allowance_mm),
        "dead_space_ml": to_number(needle.dead_space_ml),
        "holes": needle.holes,
        **(
            {"hole_offsets_mm": [to_number(value) for value in needle.hole_offsets_mm]}
            if needle.hole_offsets_mm
            else {}
        ),
        "source": needle.source,
        "status": needle.status.value,
    }


def _to_path(path: LesionPath) -> dict[str, Any]:
    return {
        "lesion_id": path.lesion_id,
        "best": None if path.best is None else path.best.puncture_id,
        "backup": None if path.backup is None else path.backup.puncture_id,
        "examined_paths": path.examined_paths,
        "blocks": [
            {
                "limit": block.limit,
                "blocked_fraction": to_number(block.blocked_fraction),
                "only_fraction": to_number(block.only_fraction),
                "only_cm2": to_number(block.only_cm2),
            }
            for block in path.blocks
        ],
        "alternatives": [_to_puncture(puncture) for puncture in path.alternatives],
        "findings": to_finding_rows(path.findings),
    }


def _to_criterion(answer: CriterionAnswer) -> dict[str, Any]:
    return {
        "criterion": answer.criterion,
        "answer": answer.answer.value,
        "measured": answer.measured,
        "limit": answer.limit,
        "reason": answer.reason,
        "source": answer.source,
        "status": answer.status.value,
    }


def _to_structures(anatomy: Anatomy) -> list[dict[str, Any]]:
    present = [anatomy.sources[kind] for kind in StructureKind if kind in anatomy.sources]
    return [
        {"kind": s.kind.value, "origin": s.origin.value, "names": list(s.names), "source": s.source}
        for s in present
    ]
