"""Kaplan-Meier curves with numbers at risk: one of all subjects, and one with a line for each arm."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np

from hepatica.adapters.reports import palette
from hepatica.adapters.reports.response_pictures import ResponsePicture, finish_picture, start_picture
from hepatica.adapters.reports.trial_marks import stamp
from hepatica.trials.endpoints.survival import SurvivalCurve
from hepatica.trials.report.tables_times import OF_RESPONDERS, ArmComparison, TimeCurve

CURVE_STYLES: Final[Mapping[str, tuple[str, Any]]] = {
    "OS": ("#0072B2", "-"),
    "PFS": (palette.INJECTED, (0, (6, 2))),
    "IPFS": (palette.INJECTED, (0, (6, 2, 1.5, 2))),
    "DOR": ("#009E73", (0, (2, 1.5))),
    "IDOR": ("#009E73", (0, (2, 1.5, 6, 1.5))),
}
ARM_STYLES: Final[tuple[tuple[str, Any], ...]] = (
    ("#0072B2", "-"),
    ("#D55E00", (0, (6, 2))),
    ("#009E73", (0, (2, 1.5))),
    ("#7A3E8F", (0, (6, 2, 1.5, 2))),
    ("#101418", (0, (1, 1))),
    ("#B8860B", (0, (9, 2))),
)
"""Colour and line of each arm; never colour alone."""
MOST_ARMS: Final = len(ARM_STYLES)
"""More lines than this cannot be told apart; the table has them."""
BANDED_ARMS: Final = 2
"""Bands of more arms than this cover each other."""
RISK_MONTHS: Final = 3
WIDTH_INCHES: Final = 8.2
INCHES: Final = 3.0
"""With four arms below it, a curve of all subjects still shares its page with them."""
LINE_INCHES: Final = 0.17
LONGEST_NAME: Final = 34


def draw_all_survival(
    curves: Sequence[TimeCurve], comparisons: Sequence[ArmComparison], *, simulated: bool
) -> list[ResponsePicture]:
    """Draw each endpoint: all subjects, then the arms where there are a few.

    Parameters
    ----------
    curves
        Of all subjects and of each arm.
    comparisons
        Of two arms, by endpoint.
    simulated
        Write so on each picture.
    """
    tested = {found.code: found for found in comparisons}
    made = []
    for whole in (item for item in curves if not item.group):
        made.append(draw_survival(whole, simulated=simulated))
        arms = [item for item in curves if item.code == whole.code and item.group]
        if 1 < len(arms) <= MOST_ARMS:
            made.append(draw_arms(arms, tested.get(whole.code), simulated=simulated))
    return made


def draw_survival(item: TimeCurve, *, simulated: bool) -> ResponsePicture:
    """Draw one Kaplan-Meier curve with its band, censorings and numbers at risk."""
    curve, (colour, dashes) = item.curve, CURVE_STYLES.get(item.code, ARM_STYLES[0])
    figure, axes = start_picture(WIDTH_INCHES, INCHES)
    ticks = _dress(axes, [item])
    _draw_line(axes, curve, colour=colour, dashes=dashes, banded=True)
    middle, lower, upper = curve.quantile()
    if middle is not None:
        axes.plot([0, middle, middle], [50, 50, 0], color=palette.INK, linewidth=0.6, linestyle=(0, (3, 2)))
    words = _say_median(middle, lower, upper, conf=curve.conf)
    axes.annotate(words, (0.985, 0.965), xycoords="axes fraction", ha="right", va="top", fontsize=8.5)
    _write_risk(axes, [("At risk", curve, palette.INK)], ticks, height_inches=INCHES)
    stamp(figure, simulated=simulated)
    events = int(curve.n_event.sum())
    return finish_picture(
        figure,
        name=f"survival-{item.code.lower()}",
        title=f"Kaplan-Meier: {_lower_first(item.title)}",
        alt=f"Kaplan-Meier curve of {_lower_first(item.title)}, {int(curve.n_risk[0])} subjects, {events} "
        f"events; {words}.",
    )


def draw_arms(
    arms: Sequence[TimeCurve], comparison: ArmComparison | None, *, simulated: bool
) -> ResponsePicture:
    """Draw one line for each arm, with medians, numbers at risk, and the test where there are two arms."""
    height = INCHES + 2 * LINE_INCHES * len(arms) + LINE_INCHES * (comparison is not None)
    figure, axes = start_picture(WIDTH_INCHES, height)
    ticks = _dress(axes, arms)
    banded = len(arms) <= BANDED_ARMS
    rows, said = [], []
    for item, (colour, dashes) in zip(arms, ARM_STYLES):
        events, total = int(item.curve.n_event.sum()), int(item.curve.n_risk[0])
        words = _say_median(*item.curve.quantile(), conf=item.curve.conf)
        label = f"{_shorten(item.group)}: {events}/{total} events. {words}"
        _draw_line(axes, item.curve, colour=colour, dashes=dashes, banded=banded, label=label)
        rows.append((_shorten(item.group), item.curve, colour))
        said.append(f"{item.group}: {total} subjects, {events} events; {words}")
    axes.axhline(50, color=palette.INK, linewidth=0.5, linestyle=(0, (1, 3)), zorder=0)
    tested = comparison.words if comparison is not None else ""
    # Above the axes: a box inside would cover curves that stay high.
    axes.legend(
        frameon=False, loc="lower left", bbox_to_anchor=(0, 1.0), fontsize=8, handlelength=3.6,
        borderaxespad=0.2, title=tested[:1].upper() + tested[1:] or None, title_fontsize=8, alignment="left",
    )  # fmt: skip
    _write_risk(axes, rows, ticks, height_inches=height)
    stamp(figure, simulated=simulated)
    first = arms[0]
    kind = "" if first.code not in OF_RESPONDERS else "; responders only, arms not comparable"
    return finish_picture(
        figure,
        name=f"survival-{first.code.lower()}-arms",
        title=f"Kaplan-Meier by arm: {_lower_first(first.title)}{kind}",
        alt=f"Kaplan-Meier curves of {_lower_first(first.title)} by arm. {'. '.join(said)}. {tested}".strip(),
    )


def _dress(axes: Any, items: Sequence[TimeCurve]) -> Any:
    """Set the axes; return the months under which numbers at risk stand."""
    last = max(*(float(item.curve.time[-1]) for item in items), RISK_MONTHS)
    ticks = np.arange(0, last + 0.1, RISK_MONTHS)
    axes.set_xlim(0, last + 0.2)
    axes.set_xticks(ticks)
    axes.set_ylim(0, 103)
    responders = items[0].code in OF_RESPONDERS
    axes.set_xlabel("Months since the first response" if responders else "Months since the first dose")
    axes.set_ylabel(f"{items[0].title} (%)", fontsize=8 if len(items[0].title) > 30 else None)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    axes.set_axisbelow(True)
    return ticks


def _draw_line(
    axes: Any, curve: SurvivalCurve, *, colour: str, dashes: Any, banded: bool, label: str = ""
) -> None:
    time = np.concatenate([[0.0], curve.time])
    rate = np.concatenate([[1.0], curve.survival]) * 100
    if banded:
        low, high = (np.concatenate([[1.0], values]) * 100 for values in (curve.lower, curve.upper))
        axes.fill_between(time, low, high, step="post", color=colour, alpha=0.16, linewidth=0)
    axes.step(time, rate, where="post", color=colour, linestyle=dashes, linewidth=1.6, label=label or None)
    censored = curve.n_censor > 0
    axes.scatter(
        curve.time[censored],
        curve.survival[censored] * 100,
        marker="|",
        s=26,
        color=colour if label else palette.INK,
        linewidth=0.8,
        zorder=3,
    )


def count_at_risk(curve: SurvivalCurve, month: float) -> int:
    """Return how many are at risk just before a time; events and censorings at that time still count."""
    if month > curve.time[-1]:
        return 0
    return int(curve.n_risk[np.searchsorted(curve.time, month - 1e-9)])


def _write_risk(
    axes: Any, rows: Sequence[tuple[str, SurvivalCurve, str]], ticks: Any, *, height_inches: float
) -> None:
    """Write numbers at risk under the axis, one line for each curve."""
    # Measured in points below the axis, so that lines keep their distance in pictures of any height.
    for number, (name, curve, colour) in enumerate(rows):
        below = -44 - 72 * LINE_INCHES * number
        for month in ticks:
            axes.annotate(
                str(count_at_risk(curve, float(month))), (month, 0), xycoords=("data", "axes fraction"),
                xytext=(0, below), textcoords="offset points", ha="center", va="top", fontsize=7.5,
                color=colour, annotation_clip=False,
            )  # fmt: skip
        axes.annotate(
            name, (0, 0), xycoords="axes fraction", xytext=(-16, below), textcoords="offset points",
            ha="right", va="top", fontsize=7.5, fontweight="bold", color=colour, annotation_clip=False,
        )  # fmt: skip
    if len(rows) > 1:
        axes.annotate(
            "At risk", (0, 0), xycoords="axes fraction", xytext=(-16, -44 + 72 * LINE_INCHES),
            textcoords="offset points", ha="right", va="top", fontsize=7.5, fontweight="bold",
            annotation_clip=False,
        )  # fmt: skip


def _say_median(middle: float | None, lower: float | None, upper: float | None, *, conf: float) -> str:
    low, high = ("not reached" if value is None else f"{value:.1f}" for value in (lower, upper))
    first = "not reached" if middle is None else f"{middle:.1f} months"
    return f"Median {first} ({100 * conf:g} % interval {low} to {high})"


def _shorten(name: str) -> str:
    return name if len(name) <= LONGEST_NAME else name[: LONGEST_NAME - 1] + "\u2026"


def _lower_first(title: str) -> str:
    return title[:1].lower() + title[1:]
