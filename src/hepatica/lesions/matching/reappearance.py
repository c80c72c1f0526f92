"""A lesion that was gone and is seen again is the same lesion, with its own tracking UID, if a reader agrees.

Whoever was gone at the baseline of a tracking is not drawn there: all that is known is where it was last seen,
carried from scan to scan by their registrations. A new lesion at that place is proposed as the earlier one come
back, always flagged: the other explanation, a new lesion at an old place, cannot be told by its place alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from hepatica.core.evidence import EvidenceTable
from hepatica.imaging.deformation import ScanMap
from hepatica.lesions.matching.assignment import NEVER, solve_assignment
from hepatica.lesions.matching.decisions import Settlement
from hepatica.lesions.matching.evidence import ScanLesion
from hepatica.lesions.matching.identity import LesionIdentity
from hepatica.lesions.matching.match import LesionLink, LinkKind

GONE_MARK: Final = " (gone)"
"""Keeps the name of a lesion that is not drawn apart from the ids of those that are."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class GoneLesion:
    """A lesion seen at an earlier visit and not at the baseline.

    Parameters
    ----------
    identity
        Who it is; its status is that of the disappearance.
    centre_lps_mm
        Where it would lie in the scan, (3,), LPS.
    longest_diameter_mm
        When it was last seen.
    uncertainty_mm
        What the registrations since then may be off by, one standard deviation.
    last_visit
        VISITNUM at which it was last seen.
    """

    identity: LesionIdentity
    centre_lps_mm: NDArray[np.float64]
    longest_diameter_mm: float
    uncertainty_mm: float
    last_visit: int

    @property
    def lesion_id(self) -> str:
        """Its id in links."""
        return self.identity.name + GONE_MARK


def propose_reappearances(
    proposals: Sequence[LesionLink],
    gone: Sequence[GoneLesion],
    followup: Sequence[ScanLesion],
    *,
    scan_map: ScanMap,
    uncertainty_mm: float,
    table: EvidenceTable,
) -> tuple[LesionLink, ...]:
    """Return the links with new lesions at the place of an earlier one proposed as that one.

    Parameters
    ----------
    proposals
        Links of the two scans.
    gone
        Lesions of earlier visits that are not at the baseline.
    followup
        Lesions of the follow-up.
    scan_map
        Registration from baseline to follow-up.
    uncertainty_mm
        What it may be off by.
    table
        ``tracking.toml``: the gate of distances, growth to one side, and the cost of a new lesion.
    """
    fresh = [link for link in proposals if link.kind is LinkKind.NEW]
    if not gone or not fresh:
        return tuple(proposals)
    lesions = {lesion.lesion_id: lesion for lesion in followup}
    gone = sorted(gone, key=lambda one: one.lesion_id)
    costs = np.full((len(gone), len(fresh)), NEVER)
    for column, link in enumerate(fresh):
        lesion = lesions[link.followup_ids[0]]
        place = scan_map.to_fixed(lesion.mask.centroid_lps_mm[None])[0]
        for row, earlier in enumerate(gone):
            costs[row, column] = _price(
                earlier, place, lesion.longest_diameter_mm, uncertainty_mm=uncertainty_mm, table=table
            )
    alone = table["unmatched_cost"].number
    found: dict[str, LesionLink] = {}
    pairs, _ = solve_assignment(costs, alone_row=0.0, alone_column=alone)
    for row, column in pairs:
        name = fresh[column].followup_ids[0]
        lead = alone - float(costs[row, column])
        found[name] = LesionLink(
            kind=LinkKind.REAPPEARED,
            baseline_ids=(gone[row].lesion_id,),
            followup_ids=(name,),
            score=float(1 / (1 + np.exp(-lead))),
            ambiguous=True,
            evidence=None,
            other=f"new: none -> {name}",
        )
    return tuple(
        found.get(link.followup_ids[0], link) if link.kind is LinkKind.NEW else link for link in proposals
    )


def _price(
    earlier: GoneLesion,
    place: NDArray[np.float64],
    size_mm: float,
    *,
    uncertainty_mm: float,
    table: EvidenceTable,
) -> float:
    distance_mm = float(np.linalg.norm(earlier.centre_lps_mm - place))
    growth_mm = table["growth_share"].number * max(earlier.longest_diameter_mm, size_mm)
    spread_mm = float(np.linalg.norm([earlier.uncertainty_mm, uncertainty_mm, growth_mm]))
    if distance_mm > table["gate_spread"].number * spread_mm:
        return float(NEVER)
    return 0.5 * (distance_mm / spread_mm) ** 2


def derive_gone(
    settlement: Settlement,
    known: dict[str, LesionIdentity],
    lesions: Sequence[ScanLesion],
    earlier: Sequence[GoneLesion],
    *,
    scan_map: ScanMap,
    uncertainty_mm: float,
    visit: int,
) -> tuple[GoneLesion, ...]:
    """Return who is gone at the follow-up, with the place where each would lie in its scan.

    Parameters
    ----------
    settlement
        Links in force.
    known
        Identities of the baseline's lesions, by id.
    lesions
        Of the baseline.
    earlier
        Gone at the baseline already.
    scan_map, uncertainty_mm
        Registration from baseline to follow-up.
    visit
        VISITNUM of the baseline.
    """
    drawn = {lesion.lesion_id: lesion for lesion in lesions}
    back = {name for link in settlement.links for name in link.baseline_ids}
    found = [
        replace(
            one,
            centre_lps_mm=scan_map.to_moving(one.centre_lps_mm[None])[0],
            uncertainty_mm=float(np.hypot(one.uncertainty_mm, uncertainty_mm)),
        )
        for one in earlier
        if one.lesion_id not in back
    ]
    for link in settlement.links:
        if link.kind is LinkKind.VANISHED:
            lesion = drawn[link.baseline_ids[0]]
            found.append(
                GoneLesion(
                    identity=replace(known[lesion.lesion_id], status=link.status, kind=link.kind),
                    centre_lps_mm=scan_map.to_moving(lesion.mask.centroid_lps_mm[None])[0],
                    longest_diameter_mm=lesion.longest_diameter_mm,
                    uncertainty_mm=uncertainty_mm,
                    last_visit=visit,
                )
            )
    return tuple(sorted(found, key=lambda one: one.lesion_id))


def to_gone_document(gone: GoneLesion) -> dict[str, Any]:
    """Return a JSON-ready document."""
    who = gone.identity
    return {
        "name": who.name,
        "tracking_uid": who.tracking_uid,
        "parent_uids": list(who.parent_uids),
        "role": who.role,
        "status": who.status.value,
        "centroid_lps_mm": [round(float(v), 6) + 0.0 for v in gone.centre_lps_mm],
        "longest_diameter_mm": round(gone.longest_diameter_mm, 6),
        "uncertainty_mm": round(gone.uncertainty_mm, 6),
        "last_visit": gone.last_visit,
    }
