"""One draw of every uncertain input, injected: what an ensemble runs many times and a single run once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

from hepatica.core.errors import InputError
from hepatica.core.evidence import EvidenceTable
from hepatica.core.findings import Finding, NotEvaluable
from hepatica.core.geometry import FloatArray
from hepatica.planning.spread.budget import BackflowClass
from hepatica.planning.spread.cleft import CleftDraw
from hepatica.planning.spread.deposit import DepositSpread, open_track, spread_deposit
from hepatica.planning.spread.scene import SpreadScene
from hepatica.planning.spread.tissue import (
    LIVER_TISSUE,
    SpreadTissue,
    derive_parameters,
    read_limits,
)
from hepatica.planning.spread.tissue_map import TissueMap, build_tissue_map

PLACES: Final = (
    "viable",
    "necrosis",
    "liver",
    "vessel",
    "outside",
    "decayed",
    "beyond_grid",
)
"""Where injected particles end; the shares add up to 1."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Draw:
    """One member's choices.

    Parameters
    ----------
    shares
        Share of its range for each input; the middle for those not named.
    clefts
        One for each deposit; the last serves those beyond.
    """

    shares: Mapping[str, float]
    clefts: tuple[CleftDraw, ...] = (CleftDraw(),)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SpreadMember:
    """What one draw gave.

    Parameters
    ----------
    fractions
        Share of the injected particles by `PLACES`, cleft and track fluid counted by the tissue it lies in.
    cleft_fraction, track_fraction
        Parts of them that lie in a cleft's fluid, and along needle tracks.
    amounts_mm3
        (I, J, K) particles of each cell as mm3 of injected fluid.
    tip_pressures_kpa, hole_shares, backflow
        By deposit.
    imbalance_fraction
        Largest error of a deposit's balance.
    findings
        Regime checks of all deposits, each rule once.
    iterations
        Of the pressure solver.
    fallback
        Why the second pressure solver was needed; empty where it was not.
    """

    fractions: Mapping[str, float]
    cleft_fraction: float
    track_fraction: float
    amounts_mm3: FloatArray
    tip_pressures_kpa: tuple[float, ...]
    hole_shares: tuple[tuple[float, ...], ...]
    backflow: tuple[BackflowClass, ...]
    imbalance_fraction: float
    findings: tuple[Finding, ...]
    iterations: int
    fallback: str = ""


def simulate_member(
    scene: SpreadScene, draw: Draw, *, limits: EvidenceTable | None = None
) -> SpreadMember | NotEvaluable:
    """Inject all deposits of a scene in turn, with one choice of the inputs.

    Each needle's track stays open for the deposits after it; fluid of an earlier deposit stays where it is.

    Returns
    -------
    SpreadMember or NotEvaluable
        Not evaluable as soon as one deposit is.

    Raises
    ------
    InputError
        If the scene holds no tumour.
    """
    limits = read_limits() if limits is None else limits
    parameters = derive_parameters(draw.shares)
    tissue = build_tissue_map(
        scene.classes, grid=scene.grid, parameters=parameters, elastography_kpa=scene.elastography_kpa
    )
    done: list[DepositSpread] = []
    if scene.tumour_ml == 0:
        raise InputError(
            expected="tumour voxels in the working grid",
            given="none",
            where="spread",
            action="check the lesion's label",
        )
    whole = sum(site.volume_ml for site in scene.sites)
    if whole > limits["volume_share_limit"].number * scene.tumour_ml:
        return NotEvaluable(
            reason=f"{whole:g} mL is more than {limits['volume_share_limit'].number:.0%} of the tumour's volume"
        )
    for number, site in enumerate(scene.sites):
        result = spread_deposit(
            scene,
            site,
            tissue=tissue,
            parameters=parameters,
            cleft_draw=draw.clefts[min(number, len(draw.clefts) - 1)],
            limits=limits,
            rest_before_kpa=done[-1].rest_kpa if done else None,
        )
        if isinstance(result, NotEvaluable):
            return NotEvaluable(reason=f"deposit {number + 1}: {result.reason}")
        done.append(result)
        if number + 1 < len(scene.sites):
            tissue = open_track(
                scene,
                site,
                tissue=tissue,
                parameters=parameters,
                limits=limits,
                following=scene.sites[number + 1],
            )
    return _to_member(done, tissue, scene.contacts)


def _to_member(done: list[DepositSpread], tissue: TissueMap, contacts: tuple[Finding, ...]) -> SpreadMember:
    volume = sum(deposit.volume_mm3 for deposit in done)
    cleft = np.sum([deposit.cleft_mm3 for deposit in done], axis=0)
    track = np.sum([deposit.track_mm3 for deposit in done], axis=0)
    amounts = np.sum([deposit.pores_mm3 for deposit in done], axis=0) + cleft + track
    kinds = {"viable": (SpreadTissue.VIABLE,), "necrosis": (SpreadTissue.NECROSIS,), "liver": LIVER_TISSUE}
    where = {name: tissue.select(*tissues) for name, tissues in kinds.items()}
    within = {name: float(amounts[mask].sum()) for name, mask in where.items()}
    # What a track laid into the lumen of a vessel has gone with the blood.
    lumen = float(amounts[tissue.select(SpreadTissue.VESSEL)].sum())
    wall = float(amounts[tissue.select(SpreadTissue.CAPSULE, SpreadTissue.OUTSIDE)].sum())
    lost = {
        "vessel": lumen + sum(deposit.vessel_mm3 for deposit in done),
        "outside": wall + sum(deposit.outside_mm3 for deposit in done),
        "decayed": sum(deposit.decayed_mm3 for deposit in done),
        "beyond_grid": sum(deposit.beyond_mm3 for deposit in done),
    }
    found = (*contacts, *(finding for deposit in done for finding in deposit.findings))
    findings = {finding.rule: finding for finding in found}
    return SpreadMember(
        fractions={name: {**within, **lost}[name] / volume for name in PLACES},
        cleft_fraction=float(cleft.sum()) / volume,
        track_fraction=float(track.sum()) / volume,
        amounts_mm3=amounts,
        tip_pressures_kpa=tuple(deposit.tip_pressure_kpa for deposit in done),
        hole_shares=tuple(deposit.hole_shares for deposit in done),
        backflow=tuple(deposit.backflow for deposit in done),
        imbalance_fraction=max(deposit.imbalance_fraction for deposit in done),
        findings=tuple(findings.values()),
        iterations=sum(deposit.iterations for deposit in done),
        fallback=next((deposit.fallback for deposit in done if deposit.fallback), ""),
    )
