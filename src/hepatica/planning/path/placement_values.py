"""What placement error is, and what it makes of a plan."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from functools import cache

from hepatica.anatomy.structures import StructureKind
from hepatica.core.errors import InputError
from hepatica.core.evidence import Evidence, EvidenceStatus
from hepatica.core.findings import Finding

CONFIDENCE = 0.95
"""Of the intervals that show the Monte Carlo error; a convention, not a clinical number."""
NORMAL_QUANTILE = 1.959963984540054
"""Of the standard normal at the upper end of that interval."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlacementModel:
    """Sigmas of zero-mean normal placement errors; each is evidence in mm.

    The lateral offset of the needle from its planned axis at depth fraction f (0 at the skin, 1 at the tip) has
    variance ``(entry (1 - f))^2 + (tip f)^2 + motion^2 + label^2`` on each of its two lateral axes.

    Parameters
    ----------
    name
        ``freehand``, ``stereotactic``, ``site-fitted`` or a site's own.
    entry
        Entry point, on both lateral axes.
    in_plane, out_of_plane
        Tip, across the needle in the axial plane, and along the body axis. A needle tilted by t out of the
        axial plane has ``sqrt((out_of_plane cos t)^2 + (in_plane sin t)^2)`` on its second lateral axis.
    depth
        Tip along the needle.
    motion_left_right, motion_craniocaudal, motion_anterior_posterior
        Shift of the patient's organs against the needle along the patient's axes.
    label
        Shift of the labels against the organs they stand for, on each axis.
    redirection
        Angle of an inner needle that turns at a coaxial tip, on each of two axes across it, in degrees; None
        where nothing is assumed of it: such needles are then not simulated.
    findings
        What a fit has to say, such as a bias.

    Raises
    ------
    InputError
        If a sigma is negative or not finite.
    """

    name: str
    entry: Evidence
    in_plane: Evidence
    out_of_plane: Evidence
    depth: Evidence
    motion_left_right: Evidence
    motion_craniocaudal: Evidence
    motion_anterior_posterior: Evidence
    label: Evidence
    redirection: Evidence | None = None
    findings: tuple[Finding, ...] = ()

    def __post_init__(self) -> None:
        """Refuse what is no sigma."""
        for sigma in (*self.sigmas, *((self.redirection,) if self.redirection else ())):
            if not math.isfinite(sigma.number) or sigma.number < 0:
                raise InputError(
                    expected=f"a sigma of at least 0 {sigma.unit or 'mm'}",
                    given=f"{sigma.number} {sigma.unit or 'mm'}",
                    where=f"placement model '{self.name}', {sigma.key}",
                )

    @property
    def sigmas(self) -> tuple[Evidence, ...]:
        """All sigmas of lengths, in the order of the fields."""
        values = (getattr(self, field.name) for field in fields(self) if field.name != "redirection")
        return tuple(value for value in values if isinstance(value, Evidence))

    @property
    def unverified(self) -> bool:
        """Whether any sigma is a number nobody has checked."""
        return any(sigma.unverified for sigma in self.sigmas)


@dataclass(frozen=True, slots=True, kw_only=True)
class Chance:
    """A probability counted in draws.

    Parameters
    ----------
    hits, draws
        Draws in which it happened, and all.

    Examples
    --------
    >>> chance = Chance(hits=250, draws=10_000)
    >>> chance.probability, round(chance.standard_error, 6)
    (0.025, 0.001561)
    >>> low, high = Chance(hits=0, draws=10_000).interval
    >>> low, round(high, 6)
    (0.0, 0.000369)
    """

    hits: int
    draws: int

    def __post_init__(self) -> None:
        """Refuse counts that are none."""
        if self.draws < 1 or not 0 <= self.hits <= self.draws:
            raise InputError(
                expected="hits between 0 and at least one draw",
                given=f"{self.hits} of {self.draws}",
                where="placement risk",
            )

    @property
    def probability(self) -> float:
        """Share of the draws."""
        return self.hits / self.draws

    @property
    def standard_error(self) -> float:
        """Monte Carlo standard error of the share; 0 where no or all draws hit: see `interval`."""
        share = self.probability
        return math.sqrt(share * (1.0 - share) / self.draws)

    @property
    def interval(self) -> tuple[float, float]:
        """95 % Monte Carlo interval of the probability (Clopper and Pearson, exact binomial)."""
        return _find_binomial_limits(self.hits, self.draws)


@cache
def _find_binomial_limits(hits: int, draws: int) -> tuple[float, float]:
    from scipy.special import betaincinv

    tail = 0.5 * (1.0 - CONFIDENCE)
    low = 0.0 if hits == 0 else float(betaincinv(hits, draws - hits + 1, tail))
    high = 1.0 if hits == draws else float(betaincinv(hits + 1, draws - hits, 1.0 - tail))
    return low, high


@dataclass(frozen=True, slots=True, kw_only=True)
class ExpectedVolume:
    """Mean over the draws of the volume whose deposits land in their target.

    Parameters
    ----------
    mean_ml, standard_error_ml
        Mean and its Monte Carlo standard error.
    planned_ml
        Volume of all deposits.
    """

    mean_ml: float
    standard_error_ml: float
    planned_ml: float

    @property
    def interval_ml(self) -> tuple[float, float]:
        """95 % Monte Carlo interval of the mean (normal), within 0 and the planned volume."""
        half = NORMAL_QUANTILE * self.standard_error_ml
        return max(0.0, self.mean_ml - half), min(self.planned_ml, self.mean_ml + half)


@dataclass(frozen=True, slots=True, kw_only=True)
class StructureRisk:
    """What placement error means for one kind of structure.

    Parameters
    ----------
    kind
        Structure. Vessels below the smallest calibre of the limits are no structure here.
    touched
        The needle's surface meets a closed voxel box of it.
    within_margin
        The needle's surface comes nearer than the margin.
    margin_mm
        Largest margin held against it.
    derived
        Whether it was derived and not reviewed.
    status
        Evidence status of the margin.
    """

    kind: StructureKind
    touched: Chance
    within_margin: Chance
    margin_mm: float
    derived: bool
    status: EvidenceStatus


@dataclass(frozen=True, slots=True, kw_only=True)
class DepositRisk:
    """Whether one deposit lands in the part of its lesion that is to be injected.

    Parameters
    ----------
    track
        Number of the track within its puncture, from 1.
    order
        Order of the deposit on its track, from 1.
    lesion_id
        Lesion it is for.
    in_target
        Its point lies in a voxel of the target.
    """

    track: int
    order: int
    lesion_id: str
    in_target: Chance


@dataclass(frozen=True, slots=True, kw_only=True)
class PlacementRisk:
    """What placement error makes of one puncture. Only structures that were labelled or derived are in it.

    All answers come from the same perturbed needles.

    Parameters
    ----------
    model
        Errors assumed.
    draws, seed
        Number of needles drawn; seed of the random source where the caller knows it.
    structures
        Most likely touched first; every kind of obstacle in the scan has its entry.
    any_touched
        At least one structure is touched.
    any_within_margin
        At least one margin is broken.
    tip_in_target
        The tip of every track lies in its target.
    deposits
        Each deposit.
    expected_in_target
        Expected volume given in viable tumour.
    leaves_volume
        The needle passes through a face of the scan that the body reaches: nothing is known beyond it.
    near_face
        It comes nearer to such a face than the largest margin; leaving counts too.
    redirection
        Angular error assumed where an inner needle turns at a coaxial tip; None where none does.
    lower_bound
        True where structures in reach are neither labelled nor declared absent, or a needle leaves the scan:
        the chances to touch something are then lower bounds.
    """

    model: PlacementModel
    draws: int
    seed: int | None = None
    structures: tuple[StructureRisk, ...]
    any_touched: Chance
    any_within_margin: Chance
    tip_in_target: Chance
    deposits: tuple[DepositRisk, ...]
    expected_in_target: ExpectedVolume
    leaves_volume: Chance
    near_face: Chance
    lower_bound: bool
    redirection: Evidence | None = None

    @property
    def unverified(self) -> bool:
        """Whether the answers lean on a number nobody has checked."""
        return self.model.unverified or (self.redirection is not None and self.redirection.unverified)
