"""Register two stored scans: read them, find the liver or the body, register, judge the result."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from hepatica.core.errors import CancelledError, GeometryError, InputError, ModalityError
from hepatica.core.findings import NotEvaluable
from hepatica.core.progress import SILENT, Progress
from hepatica.imaging.mask import Mask
from hepatica.imaging.scan_registration import ScanRegistration, ScanSide, register_scans
from hepatica.workflows.plan_ports import PlanPorts
from hepatica.workflows.ports import ReadImage
from hepatica.workflows.read_labels import read_label_sources
from hepatica.workflows.read_visit import find_body, sort_segments
from hepatica.workflows.registration_map import PackedMap, pack_map
from hepatica.workflows.request import LabelInput
from hepatica.workflows.track_lesions import UNKNOWN_PHASE

ACCEPTED_BELOW_MM: Final = 5.0
"""What tracking asks of a registered centre; a larger residual is for a person to judge."""
MM_DIGITS: Final = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class ScanInput:
    """One of the two scans.

    Parameters
    ----------
    path
        Its stored bytes.
    labels
        What somebody labelled on it; may be none.
    phase
        Contrast phase as the record says it; empty where it does not.
    """

    path: Path
    labels: tuple[LabelInput, ...] = ()
    phase: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class PairOutcome:
    """What registering two scans gave.

    Parameters
    ----------
    values
        Fields of a ``registration`` but for the scans themselves.
    packed
        The map; None where there is none.
    """

    values: Mapping[str, Any]
    packed: PackedMap | None


def register_pair(
    baseline: ScanInput, followup: ScanInput, *, ports: PlanPorts, progress: Progress = SILENT
) -> PairOutcome:
    """Register a follow-up scan to its baseline. What cannot be judged is an outcome too, with its reason.

    Labels serve where there are some: the liver is registered instead of the whole body, and tumours are left out,
    so that one that shrank is not explained by motion. Labels that cannot be read are left away, and noted.

    Parameters
    ----------
    baseline, followup
        The scans.
    ports
        Readers.
    progress
        Told of stages; may cancel.
    """
    notes: list[str] = []
    digests: dict[str, str] = {}
    shared = {"code_version": ports.code_version, "libraries": dict(ports.libraries)}
    try:
        sides, phases = [], [baseline.phase, followup.phase]
        for number, (role, asked) in enumerate((("baseline", baseline), ("follow-up", followup))):
            progress.stage(f"Reading the {role}")
            image = ports.image_reader.read_image(asked.path, series=None, resample=False, progress=progress)
            phases[number] = phases[number] or image.facts.phase_hint
            sides.append(_make_side(role, image, asked.labels, ports=ports, digests=digests, notes=notes))
            progress.check_cancelled()
        same_phase, words = compare_phases(*phases)
        registration = register_scans(*sides, same_phase=same_phase, progress=progress)
    except CancelledError:
        raise
    except InputError as problem:
        values = {"outcome": "not_evaluable", "reason": _explain(problem), **shared}
        return PairOutcome(values={**values, **_to_label_fields(digests, notes)}, packed=None)
    progress.stage("Packing the map")
    packed = pack_map(registration.scan_map, region=sides[0].region)
    values = _to_values(registration, is_liver=sides[0].is_liver) | {"phases": words, **shared}
    return PairOutcome(
        values={
            **values,
            **_to_label_fields(digests, notes),
            "map_error_mm": round(packed.error_mm, MM_DIGITS),
        },
        packed=packed,
    )


def compare_phases(one: str, other: str) -> tuple[bool | None, str]:
    """Say whether two contrast phases are the same: True, False, or None where one is not known.

    Parameters
    ----------
    one, other
        Phases in the record's words, with who says so in brackets.

    Examples
    --------
    >>> compare_phases("portal venous (from headers)", "portal venous (entered by a person)")[0]
    True
    """
    first, second = (phase.split(" (")[0].strip() or UNKNOWN_PHASE for phase in (one, other))
    words = f"baseline: {first}, follow-up: {second}"
    return (None if UNKNOWN_PHASE in (first, second) else first == second), words


def _make_side(
    role: str,
    image: ReadImage,
    labels: Sequence[LabelInput],
    *,
    ports: PlanPorts,
    digests: dict[str, str],
    notes: list[str],
) -> ScanSide:
    volume = image.volume
    if volume.modality != "CT":
        raise ModalityError(
            expected="two CTs to register", given=f"a scan of modality {volume.modality}", where=role
        )
    liver: Mask | None = None
    lesions: tuple[Mask, ...] = ()
    for label in labels:
        try:
            read = read_label_sources((label,), image=image, ports=ports)
            found, whole, _ = sort_segments(volume, read.segments, needs_lesion=False)
        except CancelledError:
            raise
        except InputError as problem:
            notes.append(f"{role}: {problem.code}")
            continue
        digests |= {f"{role} {name} {len(digests)}": digest for name, digest in read.digests.items()}
        lesions += tuple(mask for _, mask in found)
        liver = liver or whole
    return ScanSide(
        volume=volume, region=liver or find_body(volume), is_liver=liver is not None, lesions=lesions
    )


def _to_values(registration: ScanRegistration, *, is_liver: bool) -> dict[str, Any]:
    residual = registration.residual_mm
    residual_mm = None if isinstance(residual, NotEvaluable) else float(residual)
    is_good = residual_mm is not None and residual_mm < ACCEPTED_BELOW_MM
    reason = registration.reason
    if residual_mm is not None and not is_good:
        reason += f"; {ACCEPTED_BELOW_MM:g} mm or more are left"
    return {
        "outcome": "accepted" if is_good else "doubtful",
        "reason": reason,
        "stage": registration.chosen,
        "region": "liver" if is_liver else "body",
        "residual_mm": None if residual_mm is None else round(residual_mm, MM_DIGITS),
        "uncertainty_mm": round(registration.uncertainty_mm, MM_DIGITS),
        "smallest_jacobian": round(registration.smallest_jacobian, 3),
        "followup_from_baseline": registration.scan_map.moving_from_fixed.ravel().tolist(),
        "stages": [
            {
                "stage": stage.name,
                "residual_mm": None
                if isinstance(stage.residual_mm, NotEvaluable)
                else round(float(stage.residual_mm), MM_DIGITS),
                "note": stage.residual_mm.reason
                if isinstance(stage.residual_mm, NotEvaluable)
                else stage.note,
            }
            for stage in registration.stages
        ],
    }


def _to_label_fields(digests: Mapping[str, str], notes: Sequence[str]) -> dict[str, Any]:
    return {"label_digests": dict(digests) or None, "label_notes": list(notes) or None}


def _explain(problem: InputError) -> str:
    """Return why in words that hold nothing of the files: only geometry and modality speak of images alone."""
    if type(problem) in (GeometryError, ModalityError):
        return f"expected {problem.expected}; given {problem.given}"
    return f"a scan could not be read as one volume ({problem.code})"
