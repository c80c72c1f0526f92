"""Rank deposit patterns by the share of the fluid they keep in viable tumour, under the draws of an ensemble."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from itertools import accumulate
from typing import Final

import numpy as np

from hepatica.core.errors import InputError
from hepatica.core.evidence import EvidenceTable
from hepatica.core.findings import Finding, NotEvaluable
from hepatica.core.geometry import BoolArray, FloatArray, Grid
from hepatica.planning.spread.cleft import FARTHEST_OFFSET
from hepatica.planning.spread.columns import (
    PressureColumns,
    SourceColumns,
    VolumeColumns,
    balance_columns,
    find_pressures,
    seep_columns,
    tabulate_sources,
)
from hepatica.planning.spread.member import Draw
from hepatica.planning.spread.patterns import CandidateNeedle, DepositPattern, list_patterns
from hepatica.planning.spread.scene import InjectionSite, SpreadScene, trace_backflow
from hepatica.planning.spread.simulate import Band
from hepatica.planning.spread.source import MM3_PER_ML, SourceSetting
from hepatica.planning.spread.surroundings import (
    BIN_MM,
    TissueSamples,
    measure_nearest_mm,
    measure_shells,
    sample_tissue,
)
from hepatica.planning.spread.tissue import (
    POROUS,
    SpreadParameters,
    SpreadTissue,
    derive_parameters,
    read_limits,
)
from hepatica.planning.spread.tissue_map import ClassArray

VIABLE: Final = POROUS.index(SpreadTissue.VIABLE)
MOST_LENGTHS: Final = 40.0
"""Exchange lengths beyond which nothing of the flow is left that a double could hold beside the whole."""
VOLUME_HALVINGS: Final = 12
"""A contained volume to a four-thousandth of the largest one."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RankedPattern:
    """One pattern with what the budget expects of it.

    Parameters
    ----------
    pattern
        Deposits.
    expected_fraction
        Mean share of the injected fluid that is in viable tumour at the end.
    retained, spilled
        Bands of that share, and of the share out of the lesion.
    best_fraction
        Share of the draws in which no other pattern keeps more.
    contained_ml
        Band of the largest volume of one deposit of which at most the ``spill_limit`` leaves the lesion, the
        tightest deposit counting; 0 where at any volume more leaves.
    kept_fraction
        (draws,) share of the fluid in viable tumour; all patterns see the same draws, so they compare one by one.
    """

    pattern: DepositPattern
    expected_fraction: float
    retained: Band
    spilled: Band
    best_fraction: float
    contained_ml: Band
    kept_fraction: FloatArray


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PatternRanking:
    """All patterns, best first.

    Parameters
    ----------
    ranked
        By expected share, largest first; fewer deposits first where equal.
    suggested
        The one with the fewest deposits among those within ``rank_tie`` of the first.
    left_out
        Patterns the model does not apply to, with the reason.
    draws
        Number of draws.
    findings
        What the tumour touches.
    """

    ranked: tuple[RankedPattern, ...]
    suggested: RankedPattern
    left_out: tuple[tuple[DepositPattern, str], ...]
    draws: int
    findings: tuple[Finding, ...] = ()

    @property
    def words(self) -> str:
        """The suggestion with its needle and its band, in words."""
        best = self.suggested
        return (
            f"{best.pattern.words}, needle {best.pattern.needle}: {best.expected_fraction:.0%} of the fluid expected "
            f"in viable tumour (5th to 95th percentile {best.retained.low:.0%} to {best.retained.high:.0%})"
        )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Source:
    """One deposit of one pattern: its setting, its track, and the tissue around its own tip."""

    setting: SourceSetting
    viable_track_fraction: float
    shell_fraction: FloatArray
    tumour_fraction: FloatArray


def rank_patterns(
    grid: Grid,
    classes: ClassArray,
    needles: Sequence[CandidateNeedle],
    *,
    volume_ml: float,
    rate_ml_per_min: float,
    draws: Sequence[Draw],
    planned: DepositPattern | None = None,
    limits: EvidenceTable | None = None,
) -> PatternRanking | NotEvaluable:
    """Rank the deposit patterns that a lesion's needles allow.

    All patterns see the same draws, so differences between them are not the draws'.

    Parameters
    ----------
    grid, classes
        Working grid of cubic voxels and its `SpreadTissue` numbers.
    needles
        The plan's choice first, then alternatives.
    volume_ml, rate_ml_per_min
        Volume for the lesion, and rate of each deposit.
    draws
        From `hepatica.planning.spread.simulate.draw_members`; the clefts' places play no part.
    planned
        A pattern to rank beside those the needles allow, for example the plan's own.
    limits
        Limits of validity; the shipped ones by default.

    Returns
    -------
    PatternRanking or NotEvaluable
        Not evaluable where the model applies to no pattern.

    Raises
    ------
    InputError
        Without needles, draws or tumour; on a volume or rate that is not above 0.
    """
    limits = read_limits() if limits is None else limits
    if not draws:
        raise InputError(expected="at least one draw", given="none", where="deposit patterns")
    patterns = list_patterns(
        needles,
        volume_ml=volume_ml,
        rate_ml_per_min=rate_ml_per_min,
        most_deposits=int(limits["most_deposits"].number),
    )
    patterns = patterns if planned is None else (planned, *patterns)
    scene = SpreadScene(
        grid=grid, classes=classes, sites=tuple(site for pattern in patterns for site in pattern.sites)
    )
    if scene.tumour_ml == 0:
        raise InputError(
            expected="tumour voxels in the working grid", given="none", where="deposit patterns",
            action="check the lesion's label",
        )  # fmt: skip
    most = limits["volume_share_limit"].number
    if volume_ml > most * scene.tumour_ml:
        return NotEvaluable(reason=f"{volume_ml:g} mL is more than {most:.0%} of the tumour's volume")
    samples = sample_tissue(grid, classes)
    usable, left_out = [], []
    for pattern in patterns:
        sources = [_see_source(scene, samples, site) for site in pattern.sites]
        wrong = [source for source in sources if isinstance(source, NotEvaluable)]
        if wrong:
            left_out.append((pattern, wrong[0].reason))
        else:
            usable.append((pattern, [source for source in sources if isinstance(source, _Source)]))
    if not usable:
        return NotEvaluable(reason=left_out[0][1])
    choices = [derive_parameters(draw.shares) for draw in draws]
    ranked = _rank(scene, samples, usable, choices, limits=limits)
    return PatternRanking(
        ranked=ranked,
        suggested=_suggest(ranked, tie=limits["rank_tie"].number),
        left_out=tuple(left_out),
        draws=len(draws),
        findings=scene.contacts,
    )


def measure_difference(row: RankedPattern, other: RankedPattern) -> tuple[Band, float]:
    """Compare two patterns draw by draw.

    Returns
    -------
    tuple
        Band of what the first keeps in viable tumour more than the other, and the share of the draws in which it
        does.
    """
    more = row.kept_fraction - other.kept_fraction
    return _to_band(more), float((more > 0).mean())


def _suggest(ranked: Sequence[RankedPattern], *, tie: float) -> RankedPattern:
    near = [row for row in ranked if row.expected_fraction >= ranked[0].expected_fraction - tie]
    return min(near, key=lambda row: row.pattern.deposits)


def _see_source(scene: SpreadScene, samples: TissueSamples, site: InjectionSite) -> _Source | NotEvaluable:
    kind = SpreadTissue(int(scene.classes[scene.to_cell(site.tip_lps_mm)]))
    if kind not in POROUS:
        return NotEvaluable(reason=f"a tip lies in {kind.name.lower()}, not in tissue")
    line = trace_backflow(scene, site)
    tip = scene.to_grid_mm(site.tip_lps_mm)
    shells = measure_shells(samples, [tip])
    whole = shells.sum(axis=0)
    part = np.divide(shells[VIABLE], whole, out=np.full(whole.shape, np.nan), where=whole > 0)
    inside = shells[[POROUS.index(SpreadTissue.VIABLE), POROUS.index(SpreadTissue.NECROSIS)]].sum(axis=0)
    tumour = np.divide(inside, whole, out=np.full(whole.shape, np.nan), where=whole > 0)
    way = scene.classes.ravel()[line.cells[line.in_lesion]]
    return _Source(
        setting=SourceSetting(
            volume_ml=site.volume_ml,
            rate_ml_per_min=site.rate_ml_per_min,
            tissue=kind,
            cavity_radius_mm=site.hole_radius_mm or site.needle_radius_mm,
            track=line.track,
            lesion_volume_ml=scene.tumour_ml,
            edge_distance_mm=measure_nearest_mm(samples.edge_mm, tip),
            vessel_distance_mm=measure_nearest_mm(samples.vessel_mm, tip),
            outside_distance_mm=measure_nearest_mm(samples.wall_mm, tip),
        ),
        viable_track_fraction=float((way == SpreadTissue.VIABLE).mean()),
        shell_fraction=_fill_gaps(part),
        tumour_fraction=_fill_gaps(tumour),
    )


def _fill_gaps(values: FloatArray) -> FloatArray:
    """Give shells that hold no sample the value of the next one out."""
    known = np.flatnonzero(np.isfinite(values))
    return values[known[np.minimum(np.searchsorted(known, np.arange(values.size)), known.size - 1)]]


def _rank(
    scene: SpreadScene,
    samples: TissueSamples,
    usable: Sequence[tuple[DepositPattern, list[_Source]]],
    choices: Sequence[SpreadParameters],
    *,
    limits: EvidenceTable,
) -> tuple[RankedPattern, ...]:
    sources = [source for _, group in usable for source in group]
    columns = tabulate_sources(
        [source.setting for source in sources], choices, cap_ratio=limits["strain_exponent_cap"].number
    )
    pressures = find_pressures(columns)
    volume_ml = np.array([source.setting.volume_ml for source in sources])[:, None]
    volumes = balance_columns(columns, pressures, volume_ml=volume_ml)
    contained = _find_contained(sources, columns, pressures, limits=limits)
    held, lost, radius = _hold_cleft(sources, volumes)
    after = seep_columns(columns, pressures, volumes, seep_s=limits["seep_time"].number * 3600.0, held=held)
    viable, spilled = _measure_clefts(sources, held=after.cleft_mm3 - lost, lost=lost, radius_mm=radius)
    volumes = after
    porosity = np.array([[choice.tissues[kind].porosity_fraction for kind in POROUS] for choice in choices])
    kept, left = [], []
    ends = list(accumulate(len(group) for _, group in usable))
    for (pattern, group), end in zip(usable, ends, strict=True):
        at = slice(end - len(group), end)
        total = pattern.volume_ml * len(group) * MM3_PER_ML
        tips = [scene.to_grid_mm(np.asarray(site.tip_lps_mm)) for site in pattern.sites]
        pores = volumes.pores_mm3[at].sum(axis=0)
        shells = measure_shells(samples, tips)
        weight = _weigh_shells(
            shells.shape[1], choices, columns.exchange_length_mm[at].min(axis=0), radius[at].mean(axis=0)
        )
        share, beyond = _fill_pores(shells, porosity, pores, weight)
        track = np.array([[source.viable_track_fraction] for source in group])
        inside = viable[at].sum(axis=0) + (volumes.track_lesion_mm3[at] * track).sum(axis=0) + pores * share
        out = volumes.track_liver_mm3[at] + volumes.outside_mm3[at] + spilled[at]
        kept.append(inside / total)
        left.append((out.sum(axis=0) + pores * beyond) / total)
    retained = np.stack(kept)
    best = retained >= retained.max(axis=0) - 1e-12
    rows = [
        RankedPattern(
            pattern=pattern,
            expected_fraction=float(retained[n].mean()),
            retained=_to_band(retained[n]),
            spilled=_to_band(left[n]),
            best_fraction=float(best[n].mean()),
            contained_ml=_to_band(contained[ends[n] - len(group) : ends[n]].min(axis=0)),
            kept_fraction=retained[n],
        )
        for n, (pattern, group) in enumerate(usable)
    ]
    return tuple(sorted(rows, key=lambda row: (-row.expected_fraction, row.pattern.deposits)))


def _to_band(values: FloatArray) -> Band:
    low, middle, high = np.percentile(values, (5.0, 50.0, 95.0))
    return Band(low=float(low), middle=float(middle), high=float(high))


def _hold_cleft(
    sources: Sequence[_Source], volumes: VolumeColumns
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return the held and the lost volume of each cleft, and its radius, once it has met a vessel or the capsule."""
    barrier = np.array(
        [[min(source.setting.vessel_distance_mm, source.setting.outside_distance_mm)] for source in sources]
    )
    radius = volumes.cleft_radius_mm
    ratio = np.minimum(1.0, barrier / np.where(radius > 0, radius, 1.0))
    held = volumes.cleft_mm3 * ratio**3
    return held, volumes.cleft_mm3 - held, np.minimum(radius, barrier)


def _measure_clefts(
    sources: Sequence[_Source], *, held: FloatArray, lost: FloatArray, radius_mm: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Return cleft fluid in viable tumour and out of the lesion, mm3, (sources, draws).

    Over all orientations a cleft's fluid at r sees the shell of radius r evenly.
    """
    viable, out = np.zeros(held.shape), np.array(lost)
    for n, source in enumerate(sources):
        edges = BIN_MM * np.arange(source.shell_fraction.size + 1)
        scaled = edges / np.where(radius_mm[n] > 0, radius_mm[n], 1.0)[:, None]
        weight = np.diff(np.interp(scaled, *_tabulate_cleft()), axis=1)
        viable[n] = held[n] * (weight @ source.shell_fraction)
        out[n] += held[n] * (1 - weight @ source.tumour_fraction)
    return viable, out


@cache
def _tabulate_cleft() -> tuple[FloatArray, FloatArray]:
    """Return (distance from the tip over the radius, share of a penny crack's fluid within it).

    A penny crack's volume within r of its middle is ``1 - (1 - r^2 / c^2)^(3/2)`` of it; its middle lies evenly up to
    `FARTHEST_OFFSET` radii from the tip.
    """
    even = (np.arange(24) + 0.5) / 24
    rho = np.sqrt(1 - (1 - even) ** (2 / 3))
    angle = 2 * np.pi * even
    shift = FARTHEST_OFFSET * even
    r, turn, off = np.meshgrid(rho, angle, shift, indexing="ij")
    distance = np.sort(np.sqrt(r**2 + off**2 + 2 * r * off * np.cos(turn)).ravel())
    share = (np.arange(distance.size) + 0.5) / distance.size
    at = np.linspace(0.0, 1.0 + FARTHEST_OFFSET, 200)
    return at, np.interp(at, distance, share, left=0.0, right=1.0)


def _weigh_shells(
    count: int, choices: Sequence[SpreadParameters], reach_mm: FloatArray, cleft_mm: FloatArray
) -> FloatArray:
    """(draws, bins) particles per pore volume behind the front, over the injected strength.

    Vessels take fluid and leave particles: at r the flow has fallen to ``(1 + r / l) / (1 + a / l) exp((a - r) / l)``
    of the source's and the concentration risen by its inverse, from the cleft's radius a on. Particles slower than
    the fluid lie closer by the sieving fraction.
    """
    r = BIN_MM * (np.arange(count) + 0.5)
    x, a = np.minimum(r / reach_mm[:, None], MOST_LENGTHS), (cleft_mm / reach_mm)[:, None]
    rise = np.where(x > a, (1 + a) / (1 + x) * np.exp(np.maximum(x - a, 0.0)), 1.0)
    return np.asarray(rise / np.array([[choice.sieving_fraction] for choice in choices]))


def _fill_pores(
    shells_mm3: FloatArray, porosity: FloatArray, pores_mm3: FloatArray, weight: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Fill pores outward from the tips; return the shares in viable tumour and out of the tumour, by draw.

    What the working grid cannot hold is out of the tumour.
    """
    room = np.cumsum(weight[:, None, :] * porosity[:, :, None] * shells_mm3[None, : len(POROUS)], axis=2)
    held = room.sum(axis=1)
    need = pores_mm3[:, None]
    full = (held <= need).sum(axis=1)
    last = held.shape[1] - 1
    at = np.minimum(full, last)
    rows = np.arange(len(pores_mm3))
    before = np.where(at > 0, held[rows, np.maximum(at - 1, 0)], 0.0)
    step = held[rows, at] - before
    part = np.clip(np.divide(pores_mm3 - before, step, out=np.ones(step.shape), where=step > 0), 0.0, 1.0)

    def take(kind: SpreadTissue) -> FloatArray:
        upto = room[:, POROUS.index(kind)]
        inner = np.where(at > 0, upto[rows, np.maximum(at - 1, 0)], 0.0)
        return np.asarray(inner + part * (upto[rows, at] - inner))

    scale = np.where(pores_mm3 > 0, pores_mm3, 1.0)
    viable = take(SpreadTissue.VIABLE) / scale
    inside = viable + take(SpreadTissue.NECROSIS) / scale
    return np.minimum(viable, 1.0), np.clip(1 - inside, 0.0, 1.0)


def _find_contained(
    sources: Sequence[_Source],
    columns: SourceColumns,
    pressures: PressureColumns,
    *,
    limits: EvidenceTable,
) -> FloatArray:
    """Largest contained volume of each source under each draw, mL: the budget's own rule, halved in columns."""
    most = limits["spill_limit"].number
    top = limits["volume_share_limit"].number * sources[0].setting.lesion_volume_ml * (1 - 1e-9)
    shape = columns.conductivity.shape

    def spills(volume_ml: FloatArray) -> BoolArray:
        volumes = balance_columns(columns, pressures, volume_ml=volume_ml)
        return _spill_fraction(sources, columns, volumes, volume_ml) > most

    low, high = np.zeros(shape), np.full(shape, top)
    never = ~spills(high)
    for _ in range(VOLUME_HALVINGS):
        middle = 0.5 * (low + high)
        bad = spills(middle)
        low, high = np.where(bad, low, middle), np.where(bad, middle, high)
    return np.where(never, top, low)


def _spill_fraction(
    sources: Sequence[_Source], columns: SourceColumns, volumes: VolumeColumns, volume_ml: FloatArray
) -> FloatArray:
    """Share out of the lesion as the budget of a single source counts it, with the lesion's nearest edge."""
    held, lost, radius = _hold_cleft(sources, volumes)
    edge = np.array([[source.setting.edge_distance_mm] for source in sources])
    reach = (radius**3 + 3 * volumes.pores_mm3 / (4 * np.pi * columns.porosity)) ** (1 / 3)
    beyond = 1 - np.minimum(1.0, edge / np.maximum(reach, 1e-12)) ** 3
    beyond_cleft = 1 - np.minimum(1.0, edge / np.maximum(radius, 1e-12)) ** 3
    out = (
        volumes.track_liver_mm3
        + volumes.outside_mm3
        + lost
        + beyond * volumes.pores_mm3
        + beyond_cleft * held
    )
    return np.asarray(out / (volume_ml * MM3_PER_ML))
