"""What an explanation of paths says, as rows of text."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from hepatica.adapters.reports.puncture_view import find_slice_words
from hepatica.adapters.reports.skin_legend import say_limit
from hepatica.adapters.reports.view import DISCLAIMER
from hepatica.adapters.reports.wording import (
    ABSENT,
    DERIVED_NOTE,
    Cell,
    to_cell,
    to_count_words,
    to_list_words,
    to_measure_words,
    to_number_words,
    to_short_id,
    to_tilt_words,
)
from hepatica.core.evidence import EvidenceStatus
from hepatica.core.findings import NotEvaluable
from hepatica.planning.path.limit_costs import LimitCost, Relaxation
from hepatica.planning.path.skin_area import COVERED_STANDARD, Area
from hepatica.planning.path.skin_map import SkinClass
from hepatica.workflows.explain_ports import ChosenEntry, LesionExplained, PathsExplained

LEAST_PRINTED_CM2: Final = 0.5
"""Smaller areas are printed as so: a sample point stands for about a quarter of this."""
SHOWN_STEPS: Final = 3
LEAST_WIDTH_REM: Final = 0.1
BAR_REM: Final = 8.0
_GIVING_WAY: Final = {
    "length_max": "longer path",
    "needle_length": "longer needle",
    "length_min": "shorter path",
    "tilt_max": "more tilt",
    "liver_before_lesion_min": "less liver before the lesion",
    "capsule_angle_min": "flatter to the capsule",
    "prior_track_distance": "nearer to the earlier track",
    "entry_implant_distance": "nearer to the implant",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitRow:
    """One limit as printed.

    Parameters
    ----------
    limit, set_to
        In words, and its number.
    blocked, blocked_width
        Share of the skin, and the bar's width in rem.
    alone
        Skin it alone blocks.
    steps
        What less of it frees, in words.
    through
        For structures: skin freed only by going through them.
    """

    limit: Cell
    set_to: Cell
    blocked: str
    blocked_width: float
    alone: str
    steps: tuple[str, ...]
    through: str


@dataclass(frozen=True, slots=True, kw_only=True)
class EntryRow:
    """One path of the plan as printed."""

    name: str
    role: str
    slice: str
    length: str
    tilt: str
    score: str
    better: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LesionView:
    """One lesion as printed; ``advice`` says in a sentence each what would free most."""

    lesion_id: str
    reachable: bool
    answer: str
    summary: str
    advice: tuple[str, ...]
    limits: tuple[LimitRow, ...]
    entries: tuple[EntryRow, ...]
    sampling: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ExplainView:
    """Everything the page prints, in words."""

    short_id: str
    plan_id: str
    visit: str
    cleared: bool
    banner: str
    missing: str
    lesions: tuple[LesionView, ...]
    disclaimer: str
    software: str
    input_digest: str


def derive_explain_view(explained: PathsExplained) -> ExplainView:
    """Turn an explanation into rows of text."""
    missing = to_list_words(explained.missing_structures)
    return ExplainView(
        short_id=to_short_id(explained.plan_id),
        plan_id=explained.plan_id,
        visit=str(explained.visit),
        cleared=explained.cleared,
        banner="Cleared" if explained.cleared else "NOT CLEARED",
        missing=""
        if explained.cleared
        else f"Neither labelled nor declared absent: {missing}. Skin that looks open may not be.",
        lesions=tuple(derive_lesion_view(lesion, explained) for lesion in explained.lesions),
        disclaimer=DISCLAIMER,
        software=f"Hepatica {explained.code_version}",
        input_digest=explained.input_digest[:12],
    )


def derive_lesion_view(lesion: LesionExplained, explained: PathsExplained) -> LesionView:
    """Turn one lesion into rows of text."""
    found, costs = lesion.skin_map, lesion.costs
    free = found.measure_area_cm2(SkinClass.FREE)
    reachable = bool(found.select(SkinClass.FREE).any())
    return LesionView(
        lesion_id=lesion.lesion_id,
        reachable=reachable,
        answer=_say_answer(lesion, reachable=reachable),
        summary=_say_summary(lesion, free),
        advice=tuple(_list_advice(lesion)),
        limits=tuple(_to_limit_row(cost) for cost in costs.limits),
        entries=tuple(_to_entry_row(entry, explained) for entry in lesion.entries),
        sampling=f"Free and closed skin: {to_count_words(len(found.classes))} points × "
        f"{len(found.tips_lps_mm)} tips. Limits: {to_count_words(costs.judged_paths)} paths from closed skin, a point "
        f"every {costs.spacing_mm:g} mm; ± is about 95 % of what that spacing leaves open. "
        "Each row changes one limit and keeps all others.",
    )


def _say_answer(lesion: LesionExplained, *, reachable: bool) -> str:
    if not reachable:
        return "No path: all skin is closed"
    if not lesion.entries:
        return "Reachable; the plan gives it nothing"
    first = lesion.entries[0]
    return f"{first.name} reaches it"


def _say_summary(lesion: LesionExplained, free_cm2: float) -> str:
    found = lesion.skin_map
    total = float(found.skin.areas_mm2.sum()) / 100.0
    if total <= 0:
        return "No skin was found in the scan."
    text = f"{say_area(free_cm2)} of {total:.0f} cm² of skin in the scan are open ({100 * free_cm2 / total:.0f} %)."
    undecided = found.measure_area_cm2(SkinClass.UNDECIDED)
    if undecided > 0:
        text += f" {say_area(undecided)} are not decided."
    for entry in lesion.entries[:1]:
        if not isinstance(entry.better_skin_cm2, NotEvaluable):
            text += f" {entry.name} enters where {_say_better(entry.better_skin_cm2)}."
    return text


def _say_better(better_cm2: float) -> str:
    if better_cm2 < 0.005:
        return "no skin scores better"
    return f"{say_area(better_cm2)} of skin score better"


def say_area(area_cm2: float) -> str:
    """Return an area as a clinician reads it.

    Examples
    --------
    >>> say_area(61.2), say_area(3.14), say_area(0.2)
    ('61 cm²', '3.1 cm²', '< 0.5 cm²')
    """
    if area_cm2 < LEAST_PRINTED_CM2:
        return f"< {LEAST_PRINTED_CM2:g} cm²" if area_cm2 > 0 else "0 cm²"
    return f"{area_cm2:.0f} cm²" if area_cm2 >= 9.95 else f"{area_cm2:.1f} cm²"


def say_counted(area: Area) -> str:
    """Return a counted area with two standard uncertainties.

    Examples
    --------
    >>> say_counted(Area(area_cm2=10.7, uncertainty_cm2=0.9)), say_counted(Area(area_cm2=0.0, uncertainty_cm2=0.0))
    ('11 ± 2 cm²', 'none')
    """
    if area.area_cm2 == 0:
        return "none"
    spread = COVERED_STANDARD * area.uncertainty_cm2
    if area.area_cm2 < 9.95:
        return f"{area.area_cm2:.1f} ± {spread:.1f} cm²"
    return f"{area.area_cm2:.0f} ± {max(1.0, np.ceil(spread - 0.05)):.0f} cm²"


def say_step(cost: LimitCost, step: Relaxation) -> str:
    """Say what giving way by one step frees."""
    word = _GIVING_WAY.get(cost.limit, "less margin")
    amount = to_measure_words(np.ceil(step.by * 10 - 1e-6) / 10, cost.unit)
    return f"{amount} {word} frees {say_counted(step.freed)}"


def pick_steps(cost: LimitCost) -> tuple[Relaxation, ...]:
    """Choose few steps to print: the first that frees anything, one between, and the last that frees more."""
    rising = [
        step
        for n, step in enumerate(cost.relaxations)
        if n == 0 or step.freed.area_cm2 > cost.relaxations[n - 1].freed.area_cm2
    ]
    if len(rising) <= SHOWN_STEPS:
        return tuple(rising)
    half = 0.5 * rising[-1].freed.area_cm2
    middle = min(rising[1:-1], key=lambda step: abs(step.freed.area_cm2 - half))
    return (rising[0], middle, rising[-1])


def _list_advice(lesion: LesionExplained) -> list[str]:
    """Say what the two dearest limits would free; where all is closed, what opens a first path."""
    able = [cost for cost in lesion.costs.limits if cost.alone.area_cm2 > 0]
    lines = []
    for cost in able[:SHOWN_STEPS]:
        words = say_limit(cost.limit)
        steps = pick_steps(cost)
        text = f"{words[0].upper()}{words[1:]} alone closes {say_counted(cost.alone)}"
        lines.append(f"{text}: {say_step(cost, steps[min(1, len(steps) - 1)])}." if steps else f"{text}.")
    if not able and lesion.costs.limits:
        lines.append("Every path from closed skin breaks two or more limits: no single limit frees any skin.")
    return lines


def _list_steps(cost: LimitCost) -> tuple[str, ...]:
    if cost.limit == "volume_face" and cost.alone.area_cm2 > 0:
        return (f"a longer scan could free {say_counted(cost.alone)}",)
    return tuple(say_step(cost, step) for step in pick_steps(cost))


def _to_limit_row(cost: LimitCost) -> LimitRow:
    set_to = Cell(text=ABSENT)
    if cost.value is not None:
        unit = "" if cost.unit == "fraction" else cost.unit
        set_to = to_cell(
            to_measure_words(cost.value, unit) or ABSENT,
            status=cost.status if cost.status is EvidenceStatus.UNVERIFIED else None,
        )
    return LimitRow(
        limit=Cell(text=say_limit(cost.limit), note=DERIVED_NOTE if cost.derived else ""),
        set_to=set_to,
        blocked=f"{100 * cost.blocked_fraction:.0f} %" if cost.blocked_fraction >= 0.005 else "< 1 %",
        blocked_width=round(max(LEAST_WIDTH_REM, BAR_REM * cost.blocked_fraction), 2),
        alone=say_counted(cost.alone),
        steps=_list_steps(cost),
        through=ABSENT if cost.through is None or cost.alone.area_cm2 == 0 else say_counted(cost.through),
    )


def _to_entry_row(entry: ChosenEntry, explained: PathsExplained) -> EntryRow:
    puncture = entry.puncture
    words = find_slice_words(puncture.entry_lps_mm, explained.grid, explained.facts)
    better = entry.better_skin_cm2
    return EntryRow(
        name=entry.name,
        role=entry.role,
        slice=f"{words.position}, {words.image}",
        length=to_number_words(puncture.length_mm, unit="mm", decimals=0),
        tilt=to_tilt_words(puncture.craniocaudal_angle_deg),
        score=to_number_words(entry.score, decimals=2),
        better=f"n/e: {better.reason}" if isinstance(better, NotEvaluable) else say_area(better),
    )
