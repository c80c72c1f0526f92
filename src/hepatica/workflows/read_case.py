"""Read everything a plan is made from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from hepatica.anatomy.segments import LabelledSegment
from hepatica.core.errors import FactsError, GeometryError, InputError, ModalityError
from hepatica.core.evidence import digest_tables
from hepatica.core.findings import Finding
from hepatica.core.progress import Progress
from hepatica.core.provenance import digest_bytes
from hepatica.planning.dose.document import LEVEL_MARK
from hepatica.planning.dose.protocol import Protocol, read_protocol
from hepatica.planning.eligibility.facts import PatientFacts
from hepatica.planning.path.needle_choice import choose_needle
from hepatica.planning.path.needles import parse_needles
from hepatica.planning.path.placement_presets import make_placement_model
from hepatica.planning.path.scene import read_path_limits
from hepatica.planning.path.values import Needle
from hepatica.workflows.documents import to_object
from hepatica.workflows.input_roles import (
    NEEDLES,
    PATIENT_FACTS,
    PLANNING_SCAN,
    PROTOCOL,
    SECOND_PHASE,
    name_findings,
    name_input,
)
from hepatica.workflows.plan_ports import PlanPorts
from hepatica.workflows.ports import ReadImage
from hepatica.workflows.read_labels import read_label_sources
from hepatica.workflows.read_priors import PriorCase, read_priors
from hepatica.workflows.request import PlanRequest
from hepatica.workflows.spread_request import find_rate
from hepatica.workflows.state_position import check_position, state_position

EVIDENCE: Final = ("hepatica.anatomy.tables", "hepatica.lesions.tables", "hepatica.planning.tables")
"""Packages whose tables a plan leans on."""
LARGEST_HU: Final = 70_000.0
"""No scanner stores more: 16 bits with a slope of 1; extended scales of metal end far below."""
LONGEST_SCAN_MM: Final = 2500.0
"""No scanner's table goes further."""
NARROWEST_SCAN_MM: Final = 100.0
"""A slice with skin, liver and the way between them is wider."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Case:
    """All inputs of one plan, read and checked one by one, not yet joined.

    Parameters
    ----------
    request
        What was asked for.
    image
        Planning scan.
    arterial
        Second phase, or None.
    segments
        Labelled structures on the planning grid.
    protocol
        Dose protocol.
    facts
        Patient facts; empty facts where no file was given.
    priors
        Earlier plans, oldest first.
    digests
        SHA-256 by input role.
    table_digests
        SHA-256 by evidence table, and of the protocol.
    findings
        What the readers had to say.
    needles
        Needles of the site; None for the packaged ones.
    """

    request: PlanRequest
    image: ReadImage
    arterial: ReadImage | None
    segments: tuple[LabelledSegment, ...]
    protocol: Protocol
    facts: PatientFacts
    priors: tuple[PriorCase, ...]
    digests: Mapping[str, str]
    table_digests: Mapping[str, str]
    findings: tuple[Finding, ...]
    needles: tuple[Needle, ...] | None = None


def read_case(request: PlanRequest, *, ports: PlanPorts, progress: Progress) -> Case:
    """Read scan, labels, second phase, protocol, facts and earlier plans.

    Small text files are read first, so that a typing error is told before minutes of reading.
    """
    progress.stage("Reading protocol and facts")
    digests: dict[str, str] = {}
    protocol = _read_protocol(request.protocol, ports=ports, digests=digests)
    protocol.require_set(request.visit)
    facts = _read_facts(request.facts, ports=ports, digests=digests)
    needles = _read_needles(request.needles, ports=ports, digests=digests)
    _check_choices(request, needles=needles)
    if request.spread is not None:
        find_rate(request.spread, protocol)
    progress.stage("Reading the scan")
    with name_input(PLANNING_SCAN):
        image = ports.image_reader.read_image(
            request.image, series=request.series, resample=request.resample, progress=progress
        )
    image = state_position(image, request.position)
    if image.volume.modality != "CT":
        raise ModalityError(
            expected="a CT: the plan needs CT numbers",
            given=f"modality {image.volume.modality}",
            where=PLANNING_SCAN,
            action="choose a CT series",
        )
    _require_ct_numbers(image)
    _require_body_size(image)
    digests["ct"] = image.digest
    progress.stage("Reading labels")
    labels = read_label_sources(request.labels, image=image, ports=ports, progress=progress)
    digests |= labels.digests
    priors = read_priors(
        request.priors, frame=image.volume.grid.frame_of_reference, ports=ports, digests=digests
    )
    arterial = _read_arterial(request, ports=ports, digests=digests, progress=progress)
    return Case(
        request=request,
        image=image,
        arterial=arterial,
        segments=labels.segments,
        protocol=protocol,
        facts=facts,
        needles=needles,
        priors=priors,
        digests=digests,
        table_digests={f"protocol:{protocol.name}": protocol.digest, **digest_tables(EVIDENCE)},
        findings=(
            *name_findings(image.findings, PLANNING_SCAN),
            *labels.findings,
            *name_findings(arterial.findings if arterial else (), SECOND_PHASE),
        ),
    )


def _require_ct_numbers(image: ReadImage) -> None:
    largest_hu = float(image.volume.values.max())
    if largest_hu > LARGEST_HU:
        raise ModalityError(
            expected=f"CT numbers up to {LARGEST_HU:g} HU",
            given=f"{largest_hu:.6g} HU",
            where="the planning scan",
            action="export the original series: its rescale slope or intercept is damaged",
        )


def _require_body_size(image: ReadImage) -> None:
    """Refuse a scan of a size no person has: its voxels are in another unit than millimetres."""
    grid = image.volume.grid
    extent_mm = [count * step for count, step in zip(grid.shape, grid.spacing_mm, strict=True)]
    if max(extent_mm) > LONGEST_SCAN_MM or sorted(extent_mm)[1] < NARROWEST_SCAN_MM:
        raise GeometryError(
            expected=f"a trunk: no side above {LONGEST_SCAN_MM:g} mm, two of {NARROWEST_SCAN_MM:g} mm or more",
            given=" x ".join(f"{side:.4g}" for side in extent_mm) + " mm",
            where=PLANNING_SCAN,
            action="check the unit of its voxels; export it in millimetres",
        )


def _check_choices(request: PlanRequest, *, needles: tuple[Needle, ...] | None) -> None:
    """Refuse a name that does not exist before anything long is read."""
    _ = request.tumour
    check_position(request.position)
    choose_needle(request.needle, limits=read_path_limits(), needles=needles)
    make_placement_model(request.placement)
    if request.seed < 0:
        raise InputError(expected="a seed of at least 0", given=str(request.seed), where="--seed")
    if not request.labels:
        raise InputError(expected="at least one label source", given="none", where="--labels")


def _read_protocol(name: str, *, ports: PlanPorts, digests: dict[str, str]) -> Protocol:
    """Read a packaged protocol by name, or a user's file; ``:level`` may follow either."""
    base, mark, level = name.rpartition(LEVEL_MARK)
    stem, chosen = (base, level) if mark and ".toml" not in level else (name, "")
    path = Path(stem)
    if path.suffix == ".toml" or path.is_file():
        with name_input(PROTOCOL):
            raw = ports.read_bytes(path)
        digests["protocol"] = digest_bytes(raw)
        return Protocol.from_toml(raw, where=PROTOCOL, level=chosen)
    return read_protocol(name)


def _read_needles(
    path: Path | None, *, ports: PlanPorts, digests: dict[str, str]
) -> tuple[Needle, ...] | None:
    if path is None:
        return None
    with name_input(NEEDLES):
        raw = ports.read_bytes(path)
    digests["needles"] = digest_bytes(raw)
    return parse_needles(raw, where=NEEDLES)


def _read_facts(path: Path | None, *, ports: PlanPorts, digests: dict[str, str]) -> PatientFacts:
    if path is None:
        return PatientFacts()
    with name_input(PATIENT_FACTS):
        raw = ports.read_bytes(path)
    digests["patient"] = digest_bytes(raw)
    document = to_object(raw, where=PATIENT_FACTS, error=FactsError)
    return PatientFacts.from_mapping(document)


def _read_arterial(
    request: PlanRequest, *, ports: PlanPorts, digests: dict[str, str], progress: Progress
) -> ReadImage | None:
    if request.arterial is None:
        return None
    progress.stage("Reading the second phase")
    with name_input(SECOND_PHASE):
        arterial = ports.image_reader.read_image(
            request.arterial, series=request.arterial_series, resample=request.resample, progress=progress
        )
    digests["arterial"] = arterial.digest
    return arterial
