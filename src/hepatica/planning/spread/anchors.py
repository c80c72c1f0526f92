"""Prior-predictive checks: measured experiments, predicted with draws of the prior; how many draws agree is reported.

Nothing here feeds back into the prior. A fraction of 0 is an answer: the model, or its prior, does not reach what
was measured.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from enum import StrEnum
from typing import Final

import numpy as np

from hepatica.core.evidence import EvidenceTable, read_evidence_table
from hepatica.core.findings import NotEvaluable
from hepatica.core.geometry import FloatArray
from hepatica.planning.spread.anchor_values import AnchorResult
from hepatica.planning.spread.backflow import Track
from hepatica.planning.spread.budget import SpreadBudget, assess_budget
from hepatica.planning.spread.member import Draw
from hepatica.planning.spread.source import SourceLimits, SourceSetting, derive_source_limits
from hepatica.planning.spread.tissue import (
    KPA_PER_MMHG,
    TABLES,
    SpreadParameters,
    SpreadTissue,
    derive_parameters,
)

ANCHORS_TABLE: Final = "spread_anchors.toml"
TUMOURS: Final = {"b16f10": "B16.F10", "4t1": "4T1", "u87": "U87"}
CURVE_POINTS: Final = 41
"""Pressures of a flow curve; a fall between two of them is seen where it is a fortieth of the range wide."""
BIG_ML: Final = 1000.0
"""A whole liver: no share of it is ever too large for the model."""
HALVINGS: Final = 40
FALL: Final = 1e-6
"""Relative fall of a flow between two pressures that rounding cannot make."""


class CurveShape(StrEnum):
    """How flow goes with infusion pressure once it has started."""

    RISES = "rises throughout"
    RISES_AND_FALLS = "rises and falls"
    NONE = "never starts"


def read_anchors() -> EvidenceTable:
    """Return the shipped experiments and their settings."""
    return read_evidence_table(TABLES, ANCHORS_TABLE)


def classify_curve(flow: FloatArray) -> CurveShape:
    """Say how a flow curve over rising pressure goes.

    Examples
    --------
    >>> classify_curve(np.array([0.0, 1.0, 3.0, 2.0])).value
    'rises and falls'
    """
    started = flow[np.argmax(flow > 0) :] if (flow > 0).any() else flow[:0]
    if started.size == 0:
        return CurveShape.NONE
    falls = np.diff(started) < -FALL * started.max()
    return CurveShape.RISES_AND_FALLS if falls.any() else CurveShape.RISES


def find_onset_kpa(source: SourceLimits) -> float:
    """Find the infusion pressure at which flow into the tissue starts, by halving between rest and limit.

    The infusion pressure is a gauge pressure: the tissue's own pressure has to be overcome before any excess acts.
    Infinite where no flow starts up to the limit.
    """
    rest = source.values.interstitial_pressure_kpa
    low, high = 0.0, source.limit_kpa
    if source.tip_flow(high) <= 0:
        return math.inf
    for _ in range(HALVINGS):
        middle = 0.5 * (low + high)
        low, high = (low, middle) if source.tip_flow(middle) > 0 else (middle, high)
    return rest + high


def _to_mouse(parameters: SpreadParameters, table: EvidenceTable) -> SourceLimits | NotEvaluable:
    """Put a pressure-driven needle into the middle of a mouse tumour."""
    radius = table["tumour_radius"].number
    setting = SourceSetting(
        volume_ml=1e-6,
        rate_ml_per_min=1e-6,
        tissue=SpreadTissue.VIABLE,
        cavity_radius_mm=table["needle_radius"].number,
        track=Track(
            needle_radius_mm=table["needle_radius"].number,
            depth_in_lesion_mm=radius,
            depth_in_liver_mm=radius,
        ),
        lesion_volume_ml=4 / 3 * math.pi * radius**3 / 1000,
        edge_distance_mm=radius,
    )
    return derive_source_limits(setting, parameters)


def _to_ex_vivo(parameters: SpreadParameters) -> SpreadParameters:
    """Liver outside the body: no blood flow takes fluid, and nothing holds a pressure at rest."""
    liver = replace(
        parameters.tissues[SpreadTissue.LIVER], exchange_per_kpa_s=0.0, interstitial_pressure_kpa=0.0
    )
    return replace(parameters, tissues={**parameters.tissues, SpreadTissue.LIVER: liver})


def _inject_swine(
    parameters: SpreadParameters, table: EvidenceTable, *, volume: str, rate: str
) -> SpreadBudget | NotEvaluable:
    depth = table["needle_depth"].number
    setting = SourceSetting(
        volume_ml=table[volume].number,
        rate_ml_per_min=table[rate].number,
        tissue=SpreadTissue.LIVER,
        cavity_radius_mm=table["needle_radius"].number,
        track=Track(
            needle_radius_mm=table["needle_radius"].number, depth_in_lesion_mm=depth, depth_in_liver_mm=depth
        ),
        lesion_volume_ml=BIG_ML,
        edge_distance_mm=depth,
        outside_distance_mm=depth,
    )
    return assess_budget(setting, _to_ex_vivo(parameters))


def _leaked(budget: SpreadBudget) -> float:
    """Share in cracks, or out of the liver."""
    return budget.cleft_fraction + budget.outside_fraction


def _to_words(values: Iterable[float], unit: str) -> str:
    """5th, 50th and 95th percentile in words."""
    finite = np.array([value for value in values if math.isfinite(value)])
    if finite.size == 0:
        return "no draw gives a value"
    low, middle, high = np.percentile(finite, (5, 50, 95))
    return f"{middle:.3g} {unit} (5th to 95th percentile {low:.3g} to {high:.3g})"


def _check_thresholds(choices: Sequence[SpreadParameters], table: EvidenceTable) -> Iterator[AnchorResult]:
    sources = [_to_mouse(parameters, table) for parameters in choices]
    onsets = [find_onset_kpa(s) / KPA_PER_MMHG for s in sources if not isinstance(s, NotEvaluable)]
    factor = table["onset_ratio"].number
    for key, name in TUMOURS.items():
        measured = table[f"threshold_{key}"]
        agreeing = sum(measured.number / factor <= onset <= measured.number * factor for onset in onsets)
        yield AnchorResult(
            key=measured.key,
            measured=measured,
            system=f"{name} tumour of a mouse",
            criterion=f"flow starts within a factor {factor:g} of the measured infusion pressure",
            predicted=f"flow starts at {_to_words(onsets, 'mmHg')}",
            agreeing=agreeing,
            draws=len(onsets),
            not_evaluable=len(sources) - len(onsets),
            independent=False,
        )


def _check_shapes(choices: Sequence[SpreadParameters], table: EvidenceTable) -> Iterator[AnchorResult]:
    sources = [_to_mouse(parameters, table) for parameters in choices]
    shapes = [_measure_shape(source) for source in sources if not isinstance(source, NotEvaluable)]
    counts = ", ".join(f"{kind.value} in {shapes.count(kind)}" for kind in CurveShape)
    for key, name in TUMOURS.items():
        measured = table[f"shape_{key}"]
        yield AnchorResult(
            key=measured.key,
            measured=measured,
            system=f"{name} tumour of a mouse",
            criterion=f"flow over infusion pressure, up to the pressure that opens a cleft, {measured.value}",
            predicted=f"of {len(shapes)} draws: {counts}",
            agreeing=sum(shape.value == measured.value for shape in shapes),
            draws=len(shapes),
            not_evaluable=len(sources) - len(shapes),
            independent=True,
        )


def _measure_shape(source: SourceLimits) -> CurveShape:
    pressures = np.linspace(0.0, source.limit_kpa, CURVE_POINTS)
    return classify_curve(np.array([source.tip_flow(float(p)) for p in pressures]))


def _check_swine(
    choices: Sequence[SpreadParameters],
    table: EvidenceTable,
    *,
    key: str,
    criterion: str,
    settings: Sequence[tuple[str, str]],
    judge: Callable[[Sequence[SpreadBudget]], bool],
) -> AnchorResult:
    """Inject each setting with each draw and count the draws whose budgets a judge accepts."""
    runs = [
        [_inject_swine(parameters, table, volume=volume, rate=rate) for volume, rate in settings]
        for parameters in choices
    ]
    answers = [[b for b in run if not isinstance(b, NotEvaluable)] for run in runs]
    whole = [run for run in answers if len(run) == len(settings)]
    leaks = "; ".join(
        f"{table[volume].number:g} mL at {table[rate].number * 60:g} mL/h leaks "
        + _to_words([100 * _leaked(run[n]) for run in whole], "%")
        + f", without a cleft in {sum(run[n].cleft_fraction == 0 for run in whole)} of {len(whole)} draws"
        for n, (volume, rate) in enumerate(settings)
    )
    return AnchorResult(
        key=key,
        measured=table[key],
        system="liver of a swine, outside the body",
        criterion=criterion,
        predicted=leaks,
        agreeing=sum(judge(run) for run in whole),
        draws=len(whole),
        not_evaluable=len(runs) - len(whole),
        independent=True,
    )


def check_anchors(draws: Sequence[Draw], *, table: EvidenceTable | None = None) -> tuple[AnchorResult, ...]:
    """Predict every experiment with every draw and count the draws that agree.

    Thresholds and shapes: a needle held at a pressure in a mouse tumour; infusion pressures are gauge, so flow
    starts at the tissue's own pressure plus the threshold. Swine liver: the budget without blood flow; what lies
    in cracks or has left the liver counts as leaked.

    Parameters
    ----------
    draws
        From `hepatica.planning.spread.simulate.draw_members`; their clefts' places play no part.
    table
        Experiments; the shipped ones by default.

    Examples
    --------
    >>> results = check_anchors((Draw(shares={}),))
    >>> [result.key for result in results][-2:]
    ['swine_leak', 'swine_intact']
    """
    table = read_anchors() if table is None else table
    choices = [derive_parameters(draw.shares) for draw in draws]
    least, most = table["leak_difference"].number, table["leak_most"].number
    return (
        *_check_thresholds(choices, table),
        *_check_shapes(choices, table),
        _check_swine(
            choices,
            table,
            key="swine_leak",
            criterion=f"the leaked share is larger at the fast rate by at least {least:g}",
            settings=(("leak_volume", "slow_rate"), ("leak_volume", "fast_rate")),
            judge=lambda run: _leaked(run[1]) >= _leaked(run[0]) + least,
        ),
        _check_swine(
            choices,
            table,
            key="swine_intact",
            criterion=f"no cleft opens, and less than {most:.0%} leaks along the needle",
            settings=(("intact_volume", "fast_rate"),),
            judge=lambda run: run[0].tip_pressure_kpa < run[0].limit_pressure_kpa and _leaked(run[0]) < most,
        ),
    )
