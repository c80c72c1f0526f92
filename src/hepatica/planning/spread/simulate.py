"""The ensemble: the same injection under many draws of what is not known, and bands on every output."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field
from functools import partial
from typing import Final

import numpy as np
from numpy.typing import NDArray

from hepatica.core.errors import InputError
from hepatica.core.evidence import Evidence
from hepatica.core.findings import Finding, NotEvaluable
from hepatica.core.geometry import BoolArray, FloatArray
from hepatica.core.progress import SILENT, Progress
from hepatica.planning.spread.budget import BackflowClass
from hepatica.planning.spread.cleft import CleftDraw
from hepatica.planning.spread.member import PLACES, Draw, SpreadMember, simulate_member
from hepatica.planning.spread.ranking import Driver, rank_drivers
from hepatica.planning.spread.scene import SpreadScene
from hepatica.planning.spread.source import MM3_PER_ML
from hepatica.planning.spread.tissue import SpreadTissue, read_uncertain_inputs

LEVELS: Final = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0)
"""Concentrations of the histogram over the injected one, in tissue; three to a decade suffice for a curve."""
BAND_PERCENT: Final = (5.0, 50.0, 95.0)
CLEFT_WORDS: Final = ("cleft_normal", "cleft_heading", "cleft_shift")


@dataclass(frozen=True, slots=True, kw_only=True)
class Band:
    """5th, 50th and 95th percentile over the draws."""

    low: float
    middle: float
    high: float


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SpreadOutcome:
    """What is predicted, and how surely.

    Parameters
    ----------
    draws
        Draws that gave an answer.
    not_evaluable
        How many did not, by reason.
    retained
        Band of each place's share of the injected particles (`PLACES`).
    cleft, track
        Bands of the shares in cleft fluid and along tracks.
    levels_per_ml
        Concentrations of the histogram, amount per mL of tissue.
    histogram
        For each, the band of the share of viable tumour with at least that much.
    covered
        Band of the share of viable tumour above ``threshold_per_ml``.
    threshold_per_ml
        Concentration that counts as reached.
    backflow
        How many draws fell in each class, the worst deposit of each counting.
    tip_pressure_kpa, hole_shares
        Bands by deposit; by deposit and hole.
    coverage_probability
        (I, J, K) share of draws in which a cell is reached, read-only.
    expected_per_ml
        (I, J, K) mean over the draws of the concentration in tissue, amount per mL, read-only.
    drivers
        Inputs by their grip on the share retained in viable tumour.
    unverified
        Keys of the inputs whose range nobody has checked.
    largest_imbalance_fraction
        Worst particle balance of all draws.
    findings
        Regime checks, with the share of draws they hold in.
    fallbacks
        How many draws needed the second pressure solver, by the reason.
    """

    draws: int
    not_evaluable: Mapping[str, int]
    retained: Mapping[str, Band]
    cleft: Band
    track: Band
    levels_per_ml: tuple[float, ...]
    histogram: tuple[Band, ...]
    covered: Band
    threshold_per_ml: float
    backflow: Mapping[BackflowClass, int]
    tip_pressure_kpa: tuple[Band, ...]
    hole_shares: tuple[tuple[Band, ...], ...]
    coverage_probability: FloatArray
    expected_per_ml: FloatArray
    drivers: tuple[Driver, ...] | NotEvaluable
    unverified: tuple[str, ...]
    largest_imbalance_fraction: float
    findings: tuple[tuple[Finding, float], ...]
    fallbacks: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Summary:
    """What a worker sends back of a member: numbers, and which cells were reached as packed bits."""

    fractions: FloatArray
    cleft: float
    track: float
    histogram: FloatArray
    covered: float
    reached: bytes
    tip_pressures: tuple[float, ...]
    hole_shares: tuple[tuple[float, ...], ...]
    backflow: BackflowClass
    imbalance: float
    findings: tuple[Finding, ...]
    fallback: str


_Answer = tuple[_Summary | NotEvaluable, NDArray[np.float32] | None]
"""What a worker sends back: a summary, and each cell's concentration over the injected one."""


def draw_members(count: int, *, deposits: int, rng: np.random.Generator) -> tuple[Draw, ...]:
    """Draw members by a Latin hypercube over all uncertain inputs and the clefts' places.

    All randomness happens here, before any work is shared out.

    Parameters
    ----------
    count
        Number of members, at least 1.
    deposits
        Number of deposits, each with a cleft of its own.
    rng
        Source of randomness.
    """
    if count < 1:
        raise InputError(expected="at least one draw", given=f"{count}", where="spread")
    names = [name for name, entry in read_uncertain_inputs().items() if not entry.fixed]
    columns = len(names) + 3 * deposits
    order = np.stack([rng.permutation(count) for _ in range(columns)], axis=1)
    table = (order + rng.random((count, columns))) / count
    return tuple(
        Draw(
            shares={name: float(value) for name, value in zip(names, row[: len(names)], strict=True)},
            clefts=tuple(
                CleftDraw(normal=float(a), heading=float(b), shift=float(c))
                for a, b, c in row[len(names) :].reshape(deposits, 3)
            ),
        )
        for row in table
    )


def _measure_histogram(scene: SpreadScene, amounts_mm3: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return the shares of viable tumour at `LEVELS`, and each cell's concentration over the injected one."""
    relative = amounts_mm3 / (scene.grid.voxel_volume_ml * MM3_PER_ML)
    viable = relative[scene.classes == SpreadTissue.VIABLE]
    if viable.size == 0:
        return np.zeros(len(LEVELS)), relative
    return np.array([np.count_nonzero(viable >= level) / viable.size for level in LEVELS]), relative


def _summarise(draw: Draw, *, scene: SpreadScene, threshold: float) -> _Answer:
    member = simulate_member(scene, draw)
    if isinstance(member, NotEvaluable):
        return member, None
    histogram, relative = _measure_histogram(scene, member.amounts_mm3)
    reached: BoolArray = relative >= threshold
    viable = scene.classes == SpreadTissue.VIABLE
    summary = _Summary(
        fractions=np.array([member.fractions[place] for place in PLACES]),
        cleft=member.cleft_fraction,
        track=member.track_fraction,
        histogram=histogram,
        covered=int(np.count_nonzero(reached & viable)) / max(int(np.count_nonzero(viable)), 1),
        reached=np.packbits(reached).tobytes(),
        tip_pressures=member.tip_pressures_kpa,
        hole_shares=member.hole_shares,
        backflow=_worst(member),
        imbalance=member.imbalance_fraction,
        findings=member.findings,
        fallback=member.fallback,
    )
    return summary, relative.astype(np.float32)


def _worst(member: SpreadMember) -> BackflowClass:
    order = list(BackflowClass)
    return max(member.backflow, key=order.index)


def simulate_spread(
    scene: SpreadScene,
    *,
    draws: Sequence[Draw],
    strength_per_ml: float,
    threshold_per_ml: float,
    executor: Executor | None = None,
    progress: Progress = SILENT,
) -> SpreadOutcome | NotEvaluable:
    """Predict where the drug is at the end, over an ensemble of draws.

    A single run is an ensemble of one: the physics is the same. Draws are shared out as they come and joined in
    their order, so the outcome does not depend on the number of workers.

    Parameters
    ----------
    scene
        Grid, classes and deposits.
    draws
        From `draw_members`, or ``(Draw(shares={}),)`` for the middle of every range.
    strength_per_ml
        Concentration of the injected fluid, for example PFU per mL.
    threshold_per_ml
        Concentration in tissue that counts as reached.
    executor
        Any `concurrent.futures.Executor` of processes; none runs here.
    progress
        What to report to.

    Returns
    -------
    SpreadOutcome or NotEvaluable
        Not evaluable where no draw gave an answer; the reason is the most frequent one.

    Raises
    ------
    InputError
        On a strength or threshold that is not above 0, or without draws.
    """
    if not (strength_per_ml > 0 and threshold_per_ml > 0 and draws):
        raise InputError(
            expected="a strength and a threshold above 0 and at least one draw",
            given=f"{strength_per_ml:g} and {threshold_per_ml:g} per mL, {len(draws)} draws",
            where="spread",
        )
    work = partial(_summarise, scene=scene, threshold=threshold_per_ml / strength_per_ml)
    progress.stage("spread")
    answers: list[_Summary | NotEvaluable] = []
    # Added up in the order of the draws as they come: sums of floats depend on their order.
    expected = np.zeros(scene.classes.shape)
    for answer, relative in map(work, draws) if executor is None else executor.map(work, draws):
        answers.append(answer)
        if relative is not None:
            expected += relative
        progress.advance(len(answers) / len(draws))
        progress.check_cancelled()
    reasons = Counter(answer.reason for answer in answers if isinstance(answer, NotEvaluable))
    kept = [
        (draw, answer)
        for draw, answer in zip(draws, answers, strict=True)
        if not isinstance(answer, NotEvaluable)
    ]
    if not kept:
        return NotEvaluable(reason=reasons.most_common(1)[0][0])
    expected *= strength_per_ml / len(kept)
    return _join(
        scene, kept, reasons, expected=expected, strength_per_ml=strength_per_ml, threshold_per_ml=threshold_per_ml
    )  # fmt: skip


def _to_band(values: FloatArray) -> Band:
    low, middle, high = np.percentile(values, BAND_PERCENT)
    return Band(low=float(low), middle=float(middle), high=float(high))


def _tabulate(draws: Sequence[Draw]) -> tuple[FloatArray, tuple[str, ...]]:
    """Return (draws, inputs) shares and their names, cleft places of each deposit included."""
    names = list(draws[0].shares)
    clefts = range(len(draws[0].clefts))
    rows = [
        [draw.shares[name] for name in names]
        + [value for cleft in draw.clefts for value in (cleft.normal, cleft.heading, cleft.shift)]
        for draw in draws
    ]
    words = tuple(f"{word}_{number + 1}" for number in clefts for word in CLEFT_WORDS)
    return np.array(rows, dtype=np.float64), (*names, *words)


def _join(
    scene: SpreadScene,
    kept: list[tuple[Draw, _Summary]],
    reasons: Mapping[str, int],
    *,
    expected: FloatArray,
    strength_per_ml: float,
    threshold_per_ml: float,
) -> SpreadOutcome:
    found = [summary for _, summary in kept]
    table, names = _tabulate([draw for draw, _ in kept])
    fractions = np.stack([summary.fractions for summary in found])
    histogram = np.stack([summary.histogram for summary in found])
    count = np.zeros(scene.classes.size)
    for summary in found:
        count += np.unpackbits(np.frombuffer(summary.reached, dtype=np.uint8), count=count.size)
    probability = (count / len(found)).reshape(scene.classes.shape)
    probability.setflags(write=False)
    expected.setflags(write=False)
    rules: dict[str, Finding] = {}
    holds: Counter[str] = Counter()
    for summary in found:
        for finding in summary.findings:
            rules.setdefault(finding.rule, finding)
            holds[finding.rule] += 1
    sites = range(len(scene.sites))
    classes = Counter(summary.backflow for summary in found)
    return SpreadOutcome(
        draws=len(found),
        not_evaluable=dict(sorted(reasons.items())),
        retained={place: _to_band(fractions[:, n]) for n, place in enumerate(PLACES)},
        cleft=_to_band(np.array([summary.cleft for summary in found])),
        track=_to_band(np.array([summary.track for summary in found])),
        levels_per_ml=tuple(level * strength_per_ml for level in LEVELS),
        histogram=tuple(_to_band(histogram[:, n]) for n in range(len(LEVELS))),
        covered=_to_band(np.array([summary.covered for summary in found])),
        threshold_per_ml=threshold_per_ml,
        backflow={kind: classes[kind] for kind in BackflowClass},
        tip_pressure_kpa=tuple(_to_band(np.array([s.tip_pressures[n] for s in found])) for n in sites),
        hole_shares=tuple(
            tuple(
                _to_band(np.array([s.hole_shares[n][hole] for s in found]))
                for hole in range(len(found[0].hole_shares[n]))
            )
            for n in sites
        ),
        coverage_probability=probability,
        expected_per_ml=expected,
        drivers=rank_drivers(table, fractions[:, PLACES.index("viable")], names=names),
        unverified=list_unverified(),
        largest_imbalance_fraction=max(summary.imbalance for summary in found),
        findings=tuple((rules[rule], holds[rule] / len(found)) for rule in sorted(rules)),
        fallbacks=dict(sorted(Counter(s.fallback for s in found if s.fallback).items())),
    )


def list_unverified() -> tuple[str, ...]:
    """Return the keys of the inputs whose range leans on a number nobody has checked."""
    ends: list[Evidence] = [
        end for entry in read_uncertain_inputs().values() for end in (entry.low, entry.high)
    ]
    return tuple(end.key for end in ends if end.unverified)
