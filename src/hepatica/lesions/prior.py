"""Which of today's lesions is which of an earlier plan's.

A plan keeps centres and diameters, no outlines, so overlap, splits and merges cannot be judged here;
`hepatica.lesions.matching` does that where both scans are at hand. Both use one assignment.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from hepatica.core.errors import GeometryError
from hepatica.core.evidence import Evidence, EvidenceTable, read_evidence_table
from hepatica.core.findings import Finding, Severity
from hepatica.core.geometry import FloatArray
from hepatica.lesions.lesion import Lesion
from hepatica.lesions.matching.assignment import NEVER, solve_assignment

TABLES: Final = "hepatica.lesions.tables"
SMALLEST_DIAMETER_MM: Final = 1.0
"""Sizes below are compared as this: a ratio to a one-pixel lesion (0 mm) has no meaning."""
RIGID_TOLERANCE: Final = 1e-3
"""Largest entry of R^T R - 1: text files carry about six digits, scaling and shear start far above."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PriorLesion:
    """A lesion of an earlier plan.

    Parameters
    ----------
    lesion_id
        Its name there.
    centroid_lps_mm
        (3,) in the earlier scan's frame.
    longest_diameter_mm
        As measured there.
    plan_id
        Which plan.
    """

    lesion_id: str
    centroid_lps_mm: FloatArray
    longest_diameter_mm: float
    plan_id: str

    def __post_init__(self) -> None:
        """Validate and freeze."""
        centroid = np.array(self.centroid_lps_mm, dtype=np.float64)
        if centroid.shape != (3,) or not np.isfinite(centroid).all():
            raise GeometryError(
                expected="a finite LPS point",
                given=f"{centroid.tolist()}",
                where=f"prior lesion {self.lesion_id}",
            )
        centroid.setflags(write=False)
        object.__setattr__(self, "centroid_lps_mm", centroid)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PriorVisit:
    """Lesions of one earlier plan, with the (4, 4) rigid map from its scan to today's."""

    lesions: tuple[PriorLesion, ...]
    present_from_prior_lps: FloatArray


@dataclass(frozen=True, slots=True, kw_only=True)
class LesionMatch:
    """One of today's lesions and its earlier self.

    Parameters
    ----------
    lesion_id, prior_id
        Names today and then.
    distance_mm
        Between the centroids after registration.
    score
        1 where they coincide, 0 at the gate.
    ambiguous
        Whether another pairing fits nearly as well.
    """

    lesion_id: str
    prior_id: str
    distance_mm: float
    score: float
    ambiguous: bool


def match_prior_lesions(
    lesions: Sequence[Lesion],
    prior: Sequence[PriorLesion],
    *,
    present_from_prior_lps: FloatArray,
    limits: EvidenceTable | None = None,
) -> tuple[tuple[LesionMatch, ...], tuple[Finding, ...]]:
    """Pair today's lesions with those of an earlier plan, as many as possible at the least total cost.

    A pair is possible where the registered centroids are within the gate: ``gate_base`` plus
    ``gate_diameter_share`` of the larger diameter. Its cost is the distance over the gate, plus
    ``size_weight`` for each doubling or halving of the diameter.

    Parameters
    ----------
    lesions
        Today's lesions.
    prior
        Lesions of one earlier plan.
    present_from_prior_lps
        (4, 4) rigid map from the earlier scan to today's.
    limits
        Table ``matching.toml``, or a site's own.

    Returns
    -------
    tuple
        Matches in the order of ``lesions``, and findings ``lesions.match_ambiguous``, ``lesions.new`` and
        ``lesions.vanished``. A person has to confirm every match.

    """
    table = limits or read_evidence_table(TABLES, "matching.toml")
    distance_mm, gate_mm, cost = _compare(lesions, prior, present_from_prior_lps, table=table)
    # Half of "never" for each lesion alone: as many pairs as the gates allow.
    pairs = list(solve_assignment(cost, alone_row=NEVER / 2, alone_column=NEVER / 2)[0])
    margin = table["ambiguity_margin"]
    matches: list[LesionMatch] = []
    findings: list[Finding] = []
    for a, b in pairs:
        lead = _measure_lead(cost, a, b)
        matches.append(
            LesionMatch(
                lesion_id=lesions[a].lesion_id,
                prior_id=prior[b].lesion_id,
                distance_mm=float(distance_mm[a, b]),
                score=float(1.0 - distance_mm[a, b] / gate_mm[a, b]),
                ambiguous=lead < margin.number,
            )
        )
        if matches[-1].ambiguous:
            findings.append(_tell_ambiguous(matches[-1], margin=margin, lead=lead))
    findings += _tell_unpaired(lesions, prior, pairs)
    return tuple(matches), tuple(findings)


def apply_matches(lesions: Sequence[Lesion], matches: Sequence[LesionMatch]) -> tuple[Lesion, ...]:
    """Return the lesions with ``prior_id`` and ``is_new`` filled in."""
    names = {match.lesion_id: match.prior_id for match in matches}
    return tuple(
        replace(lesion, prior_id=names.get(lesion.lesion_id), is_new=lesion.lesion_id not in names)
        for lesion in lesions
    )


def _compare(
    lesions: Sequence[Lesion],
    prior: Sequence[PriorLesion],
    present_from_prior_lps: FloatArray,
    *,
    table: EvidenceTable,
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return distance, gate and cost of every pair, (lesions, prior)."""
    move = _require_rigid(present_from_prior_lps)
    today = np.array([lesion.mask.centroid_lps_mm for lesion in lesions]).reshape(-1, 3)
    then = (
        np.array([lesion.centroid_lps_mm for lesion in prior]).reshape(-1, 3) @ move[:3, :3].T + move[:3, 3]
    )
    size = np.array([lesion.longest_diameter.length_mm for lesion in lesions])
    size_then = np.array([lesion.longest_diameter_mm for lesion in prior])
    distance_mm = np.linalg.norm(today[:, None] - then[None], axis=2)
    larger = np.maximum(size[:, None], size_then[None])
    gate_mm = table["gate_base"].number + table["gate_diameter_share"].number * larger
    floor = SMALLEST_DIAMETER_MM
    ratio = np.log2(np.maximum(size, floor)[:, None] / np.maximum(size_then, floor)[None])
    cost = distance_mm / gate_mm + table["size_weight"].number * np.abs(ratio)
    cost[distance_mm > gate_mm] = NEVER
    return distance_mm, gate_mm, cost


def _require_rigid(matrix: FloatArray) -> FloatArray:
    move = np.asarray(matrix, dtype=np.float64)
    if move.shape != (4, 4) or not np.isfinite(move).all():
        raise GeometryError(
            expected="a finite 4 x 4 rigid map", given=f"shape {move.shape}", where="prior plan"
        )
    off = np.abs(move[:3, :3].T @ move[:3, :3] - np.eye(3)).max()
    if off > RIGID_TOLERANCE or np.linalg.det(move[:3, :3]) < 0:
        raise GeometryError(
            expected="a rotation and a shift",
            given=f"a map that is off by {off:.3g} from a rotation",
            where="prior plan",
            action="register the earlier scan rigidly",
        )
    return move


def _measure_lead(cost: FloatArray, a: int, b: int) -> float:
    """Return by how much the chosen pair beats the best other partner of either side."""
    rivals = np.concatenate([np.delete(cost[a], b), np.delete(cost[:, b], a)])
    return float(rivals.min() - cost[a, b]) if rivals.size else NEVER


def _tell_ambiguous(match: LesionMatch, *, margin: Evidence, lead: float) -> Finding:
    return Finding.from_limit(
        margin,
        rule="lesions.match_ambiguous",
        severity=Severity.WARNING,
        message=f"Lesion {match.lesion_id} was matched to {match.prior_id} of the earlier plan, but another "
        "pairing fits nearly as well (split, merged or moved?). Confirm it.",
        measured=round(lead, 3),
        subject=match.lesion_id,
    )


def _tell_unpaired(
    lesions: Sequence[Lesion], prior: Sequence[PriorLesion], pairs: list[tuple[int, int]]
) -> list[Finding]:
    known, seen = {a for a, _ in pairs}, {b for _, b in pairs}
    findings = [
        Finding(
            rule="lesions.new",
            severity=Severity.INFO,
            message=f"Lesion {lesion.lesion_id} has no counterpart in the earlier plan: new.",
            measured=lesion.longest_diameter.length_mm,
            unit="mm",
            subject=lesion.lesion_id,
        )
        for a, lesion in enumerate(lesions)
        if a not in known
    ]
    findings += [
        Finding(
            rule="lesions.vanished",
            severity=Severity.WARNING,
            message=f"Lesion {lesion.lesion_id} of the earlier plan has no counterpart today: "
            "gone, merged or not drawn.",
            measured=lesion.longest_diameter_mm,
            unit="mm",
            subject=lesion.lesion_id,
        )
        for b, lesion in enumerate(prior)
        if b not in seen
    ]
    return findings
