"""What a needle path is made of."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from hepatica.anatomy.structures import StructureKind
from hepatica.core.evidence import EvidenceStatus
from hepatica.core.findings import Finding, NotEvaluable
from hepatica.core.geometry import FloatArray
from hepatica.planning.path.placement_values import PlacementRisk


@dataclass(frozen=True, slots=True, kw_only=True)
class Needle:
    """A needle as data.

    Parameters
    ----------
    name
        Catalogue name or generic description.
    gauge
        Birmingham gauge.
    outer_diameter_mm, length_mm, hub_allowance_mm
        Shaft diameter, usable length, and what must stay outside the skin.
    dead_space_ml
        Volume that stays in needle and hub; draw-up = dose + dead space.
    holes
        ``end`` or ``multi-side``.
    source, status
        Evidence of these numbers.
    hole_offsets_mm
        Distance of each opening from the tip, up the needle; empty where they are not known, or for one at the tip.
    """

    name: str
    gauge: int
    outer_diameter_mm: float
    length_mm: float
    hub_allowance_mm: float
    dead_space_ml: float
    holes: str
    source: str
    status: EvidenceStatus
    hole_offsets_mm: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class DepositDistance:
    """How far a deposit lies from something it should keep away from.

    Parameters
    ----------
    name
        ``capsule``, ``vessel`` (large ones), ``bile_duct`` or ``track`` (of an earlier plan).
    distance_mm
        From its point; NotEvaluable where nothing of the kind is known.
    limit_mm
        Nearer than this counts against it; nothing is forbidden by it.
    status
        Evidence status of the limit.
    """

    name: str
    distance_mm: float | NotEvaluable
    limit_mm: float
    status: EvidenceStatus


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Deposit:
    """One stop of the needle where drug is given.

    Parameters
    ----------
    point_lps_mm
        (3,) point of the needle tip's opening.
    volume_ml
        Volume given there.
    lesion_id
        Lesion it belongs to.
    order
        1 for the first (deepest) of its track.
    distances
        To what it should keep away from; empty where not measured.
    """

    point_lps_mm: FloatArray
    volume_ml: float
    lesion_id: str
    order: int
    distances: tuple[DepositDistance, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Track:
    """One way of the inner needle; deposits are given on the way back, deepest first.

    It runs straight from the skin, or from the coaxial tip (`Puncture.pivot_lps_mm`) where there is one.

    Parameters
    ----------
    tip_lps_mm
        (3,) deepest point.
    deposits
        Stops, deepest first.
    runs
        What it passes from the skin on, over the coaxial tip; empty where only the puncture's runs are known.
    """

    tip_lps_mm: FloatArray
    deposits: tuple[Deposit, ...]
    runs: tuple[Run, ...] = ()


class TissueClass(StrEnum):
    """What a stretch of a path lies in."""

    SKIN_FAT = "fat"
    MUSCLE = "muscle or other soft tissue"
    UNLABELLED = "unlabelled"
    LIVER = "liver"
    VESSEL = "vessel"
    TARGET = "target lesion"
    OTHER_LESION = "other lesion"
    LUNG = "lung"
    BONE = "bone"
    FORBIDDEN = "forbidden structure"
    GAS = "gas"
    OUTSIDE = "outside the body"


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """A depth-ordered stretch of a path in one kind of tissue.

    Parameters
    ----------
    from_mm, to_mm
        Depth from the entry.
    tissue
        What it lies in.
    structure
        The structure's kind where one is known.
    mean_hu
        Mean CT number along it.
    """

    from_mm: float
    to_mm: float
    tissue: TissueClass
    structure: StructureKind | None
    mean_hu: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Clearance:
    """Distance from needle surface to a structure (DESIGN 10: axis to closed voxel boxes, minus needle radius).

    Parameters
    ----------
    kind
        Structure.
    clearance_mm
        Negative where the needle would cut into it. NotEvaluable where the volume ends too near.
    margin_mm
        The limit it was held against.
    run_out_mm
        Clearance of the run-out beyond the tip.
    derived
        Whether the structure was derived and not reviewed.
    status
        Evidence status of the margin.
    """

    kind: StructureKind
    clearance_mm: float | NotEvaluable
    margin_mm: float
    run_out_mm: float | NotEvaluable
    derived: bool
    status: EvidenceStatus


@dataclass(frozen=True, slots=True, kw_only=True)
class RankTerm:
    """One term of the ranking: smaller is better."""

    name: str
    value: float
    weight: float
    unit: str
    source: str
    status: EvidenceStatus


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Puncture:
    """One skin puncture with its tracks.

    Parameters
    ----------
    puncture_id
        ``P1``, ``P2``; backups ``P1b``.
    lesion_ids
        Lesions it serves.
    entry_lps_mm
        (3,) point on the skin.
    length_mm
        Skin to the deepest tip.
    in_plane_angle_deg, craniocaudal_angle_deg
        DESIGN 10; the first needs gravity.
    capsule_angle_deg
        Between path and tangent plane at the first entry into the liver.
    liver_before_lesion_mm
        Contiguous liver immediately before the target.
    clearances, runs, terms, tracks, needle
        What it passes, how it ranked, where it deposits, with what.
    findings
        Soft limits it misses.
    risk
        What placement error makes of it; None where that was not simulated.
    pivot_lps_mm
        (3,) coaxial tip at which the tracks of a fan turn; None where every track runs straight from the entry.
    shares_skin_with
        Other punctures of the plan through the same hole in the skin; each goes its own way from there.
    """

    puncture_id: str
    lesion_ids: tuple[str, ...]
    entry_lps_mm: FloatArray
    length_mm: float
    in_plane_angle_deg: float | NotEvaluable
    craniocaudal_angle_deg: float
    capsule_angle_deg: float | NotEvaluable
    liver_before_lesion_mm: float
    clearances: tuple[Clearance, ...]
    runs: tuple[Run, ...]
    terms: tuple[RankTerm, ...]
    tracks: tuple[Track, ...]
    needle: Needle
    findings: tuple[Finding, ...] = ()
    risk: PlacementRisk | None = None
    pivot_lps_mm: FloatArray | None = None
    shares_skin_with: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class SkinBlock:
    """How much skin one hard limit blocks for one lesion.

    Parameters
    ----------
    limit
        Name of the limit, for example ``lung`` or ``length_max``.
    blocked_fraction
        Share of the examined skin this limit blocks, 0 to 1.
    only_fraction
        Share that this limit alone blocks: what would be freed without it.
    only_cm2
        The same as an area.
    """

    limit: str
    blocked_fraction: float
    only_fraction: float
    only_cm2: float


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LesionPath:
    """The answer for one lesion.

    Parameters
    ----------
    lesion_id
        Lesion.
    best, backup
        First choice and backup entry; None where no path meets every hard limit.
    blocks
        What the hard limits cost, largest first.
    examined_paths
        Skin point and target pairs looked at.
    findings
        About the search itself.
    alternatives
        Other paths that none beats in every term of the ranking, in default order; without deposits.
    """

    lesion_id: str
    best: Puncture | None
    backup: Puncture | None
    blocks: tuple[SkinBlock, ...]
    examined_paths: int
    findings: tuple[Finding, ...] = ()
    alternatives: tuple[Puncture, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PriorTrack:
    """A track of an earlier plan, in the frame of the present scan."""

    plan_id: str
    entry_lps_mm: FloatArray
    tip_lps_mm: FloatArray
