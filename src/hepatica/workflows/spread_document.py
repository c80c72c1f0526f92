"""The predicted spread as one JSON document: the content of ``spread.json``, and its published schema."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from functools import cache
from typing import Any, Final

from hepatica.core.errors import NonFiniteError
from hepatica.core.evidence import read_resource
from hepatica.core.findings import NotEvaluable
from hepatica.core.provenance import Manifest
from hepatica.planning.plan import Plan
from hepatica.planning.spread.ranking import Driver
from hepatica.planning.spread.simulate import Band, SpreadOutcome
from hepatica.planning.spread.split import Split
from hepatica.planning.spread.verification import VerificationRow
from hepatica.workflows.document_values import to_evidence, to_finding_rows, to_number, to_point
from hepatica.workflows.simulate_plan_spread import list_unverified_inputs
from hepatica.workflows.spread_card import to_card_document
from hepatica.workflows.spread_scenes import count_classes, read_grid_limits
from hepatica.workflows.spread_values import (
    AlternativeSpread,
    ContainedVolume,
    LesionSpread,
    PlanSpread,
    SplitAdvice,
)

SCHEMA_VERSION: Final = "1"
SPREAD_NOTICE: Final = (
    "Simulated prediction for research. The share of draws is not the probability of an event: "
    "no injection of a patient has been compared with this model."
)
SIGNIFICANT_DIGITS: Final = 6


def to_spread_document(spread: PlanSpread, *, plan: Plan, manifest: Manifest) -> dict[str, Any]:
    """Return a prediction as a JSON-ready document that follows `read_spread_schema`.

    Parameters
    ----------
    spread
        The prediction.
    plan
        The plan whose deposits were simulated.
    manifest
        Manifest of the run.

    Notes
    -----
    What cannot be judged is written as ``{"not_evaluable": "reason"}``, never as 0 or null.
    """
    return {
        "schema_version": SCHEMA_VERSION,
        "notice": SPREAD_NOTICE,
        "plan_id": plan.plan_id,
        "draws": spread.request.draws,
        "seed": spread.request.seed,
        "rate": to_evidence(spread.rate),
        "reached_fraction": to_evidence(read_grid_limits()["reached_fraction"]),
        "covered_probability": to_evidence(read_grid_limits()["covered_probability"]),
        "lesions": [_to_lesion(lesion) for lesion in spread.lesions],
        "alternatives": [_to_alternative(one) for one in spread.alternatives],
        "findings": to_finding_rows(spread.findings),
        "unverified_inputs": list(list_unverified_inputs()),
        "verification": to_verification_rows(spread.verification),
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
    return read_resource("hepatica.resources.schemas", "spread.schema.json").decode("utf-8")


def read_spread_schema() -> dict[str, Any]:
    """Return the JSON Schema (2020-12) of ``spread.json``.

    Examples
    --------
    >>> read_spread_schema()["title"]
    'Hepatica predicted spread'
    """
    schema: dict[str, Any] = json.loads(_read_schema_text())
    return schema


def to_verification_rows(rows: tuple[VerificationRow, ...]) -> list[dict[str, Any]]:
    """Return the analytic suite as rows.

    Parameters
    ----------
    rows
        From `hepatica.planning.spread.verify.verify_spread`.
    """
    return [
        {
            "case": row.case,
            "quantity": row.quantity,
            "expected": to_digits(row.expected),
            "computed": to_digits(row.computed),
            "error": to_digits(row.error),
            "tolerance": to_digits(row.tolerance),
            "passed": bool(row.passed),
        }
        for row in rows
    ]


def to_digits(value: float) -> float | None:
    """Return a number to six significant digits; None where it is no number: such a row never passes.

    Examples
    --------
    >>> to_digits(1.23456789e-9)
    1.23457e-09
    """
    return float(f"{value:.{SIGNIFICANT_DIGITS}g}") + 0.0 if math.isfinite(value) else None


def _to_lesion(lesion: LesionSpread) -> dict[str, Any]:
    document: dict[str, Any] = {
        "lesion_id": lesion.lesion_id,
        "volume_ml": to_number(lesion.injection.volume_ml),
        "undelivered_ml": to_number(lesion.injection.undelivered_ml),
        "strength_per_ml": _to_amount(lesion.strength_per_ml),
        "unit": lesion.unit,
        "grid": _to_grid(lesion),
        "deposits": [
            {
                "number": number,
                "puncture_id": one.puncture_id,
                "track": one.track,
                "order": one.deposit.order,
                "point_lps_mm": to_point(one.deposit.point_lps_mm),
                "volume_ml": to_number(one.deposit.volume_ml),
                "contained_ml": _to_contained(lesion.contained[number - 1]) if lesion.contained else None,
            }
            for number, one in enumerate(lesion.site.deposits, start=1)
        ],
        "split": _to_split(lesion.split),
        "prediction": {"not_evaluable": lesion.outcome.reason}
        if isinstance(lesion.outcome, NotEvaluable)
        else _to_outcome(lesion.outcome),
        "findings": to_finding_rows(lesion.findings),
    }
    if lesion.card is not None:
        document["card"] = to_card_document(lesion.card)
    return document


def _to_alternative(one: AlternativeSpread) -> dict[str, Any]:
    return {
        "lesion_id": one.lesion_id,
        "puncture_id": one.puncture_id,
        "draws_run": one.draws,
        "prediction": {"not_evaluable": one.outcome.reason}
        if isinstance(one.outcome, NotEvaluable)
        else _to_outcome(one.outcome),
    }


def _to_amount(value: float) -> float:
    found = to_digits(value)
    if found is None:
        raise NonFiniteError(expected="a finite number", given=str(value), where="spread document")
    return found


def _to_grid(lesion: LesionSpread) -> dict[str, Any]:
    scene = lesion.site.scene
    if isinstance(scene, NotEvaluable):
        return {"not_evaluable": scene.reason}
    return {
        "shape_ijk": list(scene.grid.shape),
        "lps_from_ijk": [[to_number(v) for v in row] for row in scene.grid.lps_from_ijk],
        "frame_of_reference": scene.grid.frame_of_reference,
        "voxels": count_classes(scene.classes),
    }


def _to_contained(answer: ContainedVolume | NotEvaluable) -> dict[str, Any]:
    if isinstance(answer, NotEvaluable):
        return {"not_evaluable": answer.reason}
    volume = answer.volume_ml
    return {
        "volume_ml": {"not_evaluable": volume.reason}
        if isinstance(volume, NotEvaluable)
        else _to_band(volume),
        "held_fraction": to_number(answer.held_fraction),
    }


def _to_split(split: SplitAdvice | NotEvaluable) -> dict[str, Any]:
    if isinstance(split, NotEvaluable):
        return {"not_evaluable": split.reason}
    return {
        "middle_of_ranges": _to_one_split(split.middle),
        "draws_by_deposits": {str(number): count for number, count in split.counts.items()},
    }


def _to_one_split(split: Split | NotEvaluable) -> dict[str, Any]:
    if isinstance(split, NotEvaluable):
        return {"not_evaluable": split.reason}
    return {
        "deposits": split.deposits,
        "volume_ml": to_number(split.volume_ml),
        "spacing_mm": to_number(split.spacing_mm),
    }


def _to_band(band: Band) -> dict[str, float]:
    return {"p5": _to_amount(band.low), "p50": _to_amount(band.middle), "p95": _to_amount(band.high)}


def _to_outcome(outcome: SpreadOutcome) -> dict[str, Any]:
    return {
        "draws": outcome.draws,
        "draws_without_answer": dict(outcome.not_evaluable),
        "retained_fraction": {place: _to_band(band) for place, band in outcome.retained.items()},
        "cleft_fraction": _to_band(outcome.cleft),
        "track_fraction": _to_band(outcome.track),
        "histogram": [
            {"at_least_per_ml": _to_amount(level), "viable_fraction": _to_band(band)}
            for level, band in zip(outcome.levels_per_ml, outcome.histogram, strict=True)
        ],
        "covered_fraction": _to_band(outcome.covered),
        "threshold_per_ml": _to_amount(outcome.threshold_per_ml),
        "backflow_draws": {kind.value: count for kind, count in outcome.backflow.items()},
        "tip_pressure_kpa": [_to_band(band) for band in outcome.tip_pressure_kpa],
        "hole_flow_fraction": [[_to_band(band) for band in holes] for holes in outcome.hole_shares],
        "drivers": _to_drivers(outcome.drivers),
        "largest_imbalance_fraction": _to_amount(outcome.largest_imbalance_fraction),
    }


def _to_drivers(drivers: tuple[Driver, ...] | NotEvaluable) -> Any:
    if isinstance(drivers, NotEvaluable):
        return {"not_evaluable": drivers.reason}
    return [{"name": driver.name, "correlation": to_number(driver.correlation)} for driver in drivers]


def list_volume_files(lesions: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the names of the volume files of some lesions, coverage before concentration.

    Examples
    --------
    >>> list_volume_files({"L1": None})
    ('spread_L1_coverage.nii.gz', 'spread_L1_concentration.nii.gz')
    """
    return tuple(f"spread_{name}_{what}.nii.gz" for name in lesions for what in ("coverage", "concentration"))
