"""Pictures of a trial report: waterfall, spider and forest; the others stand in files of their own.

Best response is told by colour and by hatch or line; nothing relies on colour alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from hepatica.adapters.reports import palette
from hepatica.adapters.reports.response_pictures import FONT, ResponsePicture, finish_picture, start_picture
from hepatica.adapters.reports.trial_marks import BEST_STYLES, stamp, to_best
from hepatica.adapters.reports.trial_survival import draw_all_survival
from hepatica.adapters.reports.trial_swimmer import draw_swimmers
from hepatica.trials.report.figures import ChangeLine, ReportFigures, count_measured
from hepatica.trials.report.lesion_groups import ResponseGroup
from hepatica.trials.report.tables_response import BasketRate

BEST_NAMES: Final = {"CR": "CR", "PR": "PR", "SD": "SD or non-CR/non-PD", "PD": "PD", "": "not evaluable"}
RESPONSE_PERCENT: Final = -30
PROGRESSION_PERCENT: Final = 20
TOP_PERCENT: Final = 100
"""Growth beyond this is drawn at the edge with an arrowhead."""
GREY: Final = "#9AA4AB"


def draw_trial_pictures(figures: ReportFigures, *, simulated: bool) -> tuple[ResponsePicture, ...]:
    """Draw every picture that has something to show.

    Parameters
    ----------
    figures
        Values.
    simulated
        Write so across each picture.
    """
    import matplotlib as mpl

    made: list[ResponsePicture] = []
    with mpl.rc_context({**FONT, "hatch.linewidth": 0.4}):  # type: ignore[dict-item]
        if "waterfall" not in figures.absent:
            made += [
                draw_waterfall(lines, group, simulated=simulated)
                for group, lines in figures.changes.items()
                if count_measured(lines)
            ]
        if "spider" not in figures.absent:
            made.append(draw_spider(figures.changes[ResponseGroup.ALL], simulated=simulated))
        if figures.lanes:
            made += draw_swimmers(figures.lanes, simulated=simulated)
        if figures.baskets:
            made.append(draw_forest(figures.baskets, simulated=simulated))
        made += draw_all_survival(figures.curves, figures.comparisons, simulated=simulated)
    return tuple(made)


def draw_waterfall(lines: Sequence[ChangeLine], group: ResponseGroup, *, simulated: bool) -> ResponsePicture:
    """Draw the best change of each subject, largest growth first; who was not measured is counted in words."""
    bars = sorted(
        ((change, line) for line in lines if (change := line.best_change) is not None),
        key=lambda item: (-item[0], item[1].subject),
    )
    figure, axes = start_picture(9.6, 3.05)
    for best, (colour, hatch, _) in BEST_STYLES.items():
        chosen = [(i, change) for i, (change, line) in enumerate(bars) if to_best(line.best) == best]
        if not chosen:
            continue
        places, heights = zip(*chosen)
        axes.bar(
            places, [min(height, TOP_PERCENT) for height in heights], width=0.86 if len(bars) < 120 else 0.9,
            color=colour, hatch=hatch if len(bars) <= 60 else "", edgecolor=palette.INK,
            linewidth=0.4 if len(bars) < 120 else 0.0, label=f"{BEST_NAMES[best]} ({len(chosen)})", zorder=2,
        )  # fmt: skip
        cut = [place for place, height in chosen if height > TOP_PERCENT]
        axes.scatter(
            cut, [TOP_PERCENT + 4] * len(cut), marker="^", s=9, color=palette.INK, linewidths=0, zorder=3
        )
    for height in (RESPONSE_PERCENT, PROGRESSION_PERCENT):
        axes.axhline(height, color=palette.INK, linewidth=0.7, linestyle=(0, (3, 2)), zorder=3)
        axes.annotate(
            f"{height:+d} %", (1.002, height), xycoords=axes.get_yaxis_transform(), fontsize=7, va="center"
        )
    axes.axhline(0, color=palette.INK, linewidth=0.8, zorder=3)
    missing = len(lines) - len(bars)
    axes.set_ylim(-106, TOP_PERCENT + 10)
    axes.set_xlim(-1, max(len(bars), 10))
    axes.set_xticks([])
    axes.set_xlabel(
        f"{len(bars)} subjects measured after baseline; {missing} of {len(lines)} not measured, no bar"
    )
    axes.set_ylabel("Best change of target sum (%)")
    axes.legend(title="Best response", frameon=False, ncols=1, loc="upper right", title_fontsize=8)
    _trim(axes)
    stamp(figure, simulated=simulated)
    shrunk = sum(change <= RESPONSE_PERCENT for change, _ in bars)
    return finish_picture(
        figure,
        name=f"waterfall-{_slug(group)}",
        title=f"Waterfall: {group.words.lower()}",
        alt=f"Waterfall plot, {group.words.lower()}: best change of the target sum of {len(bars)} subjects; {shrunk} "
        f"shrank by 30 percent or more; {missing} of {len(lines)} were not measured after baseline.",
    )


def _slug(group: ResponseGroup) -> str:
    return (str(group) or "all").lower().replace(" ", "-")


def draw_spider(lines: Sequence[ChangeLine], *, simulated: bool) -> ResponsePicture:
    """Draw the change of each subject over time, one panel for each best response."""
    kinds = [
        best
        for best in BEST_STYLES
        if any(to_best(line.best) == best and line.best_change is not None for line in lines)
    ]
    figure, panels = start_picture(9.6, 3.05, columns=max(len(kinds), 1))
    panels = panels if len(kinds) > 1 else [panels]
    longest = max((month for line in lines for month, _ in line.points), default=0.0)
    counts = []
    for axes, best in zip(panels, kinds):
        colour, _, _ = BEST_STYLES[best]
        ink = colour if best else GREY
        chosen = [line for line in lines if to_best(line.best) == best and line.best_change is not None]
        counts.append(f"{len(chosen)} {BEST_NAMES[best]}")
        for line in chosen:
            months, changes = zip(*line.points)
            shown = [min(change, TOP_PERCENT) for change in changes]
            thin = len(chosen) > 40
            axes.plot(
                months, shown, color=_darken(ink), linewidth=0.6 if thin else 1.0, alpha=0.55 if thin else 0.9,
                marker="o", markersize=1.6 if thin else 2.6, markeredgewidth=0, clip_on=False,
            )  # fmt: skip
        for height in (RESPONSE_PERCENT, PROGRESSION_PERCENT):
            axes.axhline(height, color=palette.INK, linewidth=0.6, linestyle=(0, (3, 2)), zorder=0)
        axes.axhline(0, color=GREY, linewidth=0.6, zorder=0)
        axes.set_title(f"{BEST_NAMES[best]} ({len(chosen)})", loc="left", fontsize=8.5, fontweight="bold")
        axes.set_xlim(-0.5, max(longest, 6) + 0.5)
        axes.set_ylim(-106, TOP_PERCENT + 4)
        axes.set_xticks(range(0, int(longest) + 1, 6))
        axes.set_xlabel("Months since baseline")
        _trim(axes)
    panels[0].set_ylabel("Change of target sum (%)")
    stamp(figure, simulated=simulated)
    return finish_picture(
        figure,
        name="spider",
        title="Spider: target sum of each subject",
        alt="Spider plots by best response, change of the target sum in percent over months: "
        + ", ".join(counts)
        + ".",
    )


def _darken(colour: str) -> str:
    from matplotlib.colors import to_hex, to_rgb

    red, green, blue = (0.78 * part for part in to_rgb(colour))
    return to_hex((red, green, blue))


def draw_forest(baskets: Sequence[BasketRate], *, simulated: bool) -> ResponsePicture:
    """Draw objective response of each tumour type with exact intervals and the numbers beside."""
    figure, axes = start_picture(9.6, 1.1 + 0.34 * len(baskets))
    whole = baskets[-1]
    for row, basket in enumerate(baskets):
        height = len(baskets) - row
        rate = basket.responders / basket.subjects
        last = basket is whole
        axes.plot(
            [100 * basket.lower, 100 * basket.upper],
            [height, height],
            color=palette.INK,
            linewidth=1.3,
            zorder=2,
        )
        axes.scatter(
            100 * rate, height, marker="D" if last else "s",
            s=54 if last else 14 + 60 * (basket.subjects / whole.subjects) ** 0.5,
            color="white" if last else "#0072B2", edgecolor=palette.INK, linewidth=0.9, zorder=3, clip_on=False,
        )  # fmt: skip
        text = say_basket(basket)
        axes.annotate(
            text, (1.02, height), xycoords=axes.get_yaxis_transform(), va="center", fontsize=8,
            fontweight="bold" if last else "normal",
        )  # fmt: skip
    axes.axvline(
        100 * whole.responders / whole.subjects, color=GREY, linewidth=0.8, linestyle=(0, (3, 2)), zorder=0
    )
    axes.annotate(
        "n/N   % (interval)", (1.02, len(baskets) + 0.85), xycoords=axes.get_yaxis_transform(), fontsize=8,
        va="center", fontweight="bold",
    )  # fmt: skip
    axes.set_yticks([len(baskets) - row for row in range(len(baskets))], [basket.name for basket in baskets])
    axes.set_ylim(0.4, len(baskets) + 1.2)
    axes.set_xlim(0, max(10.0, min(100.0, 5 * np.ceil(20 * max(b.upper for b in baskets) + 0.2))))
    axes.set_xlabel("Objective response, CR or PR, unconfirmed (%)")
    axes.tick_params(axis="y", length=0)
    _trim(axes)
    axes.spines["left"].set_visible(False)
    stamp(figure, simulated=simulated)
    words = "; ".join(f"{b.name} {b.responders} of {b.subjects}" for b in baskets)
    return finish_picture(
        figure, name="forest", title="Forest: objective response by tumour type",
        alt=f"Forest plot of objective response with exact intervals: {words}.",
    )  # fmt: skip


def say_basket(basket: BasketRate) -> str:
    """Return responders, rate and both limits in percent.

    Examples
    --------
    >>> say_basket(BasketRate(name="HCC", responders=2, subjects=24, lower=0.0103, upper=0.27))
    '2/24   8.3 (1.0 to 27.0)'
    """
    rate = basket.responders / basket.subjects
    limits = f"{100 * basket.lower:.1f} to {100 * basket.upper:.1f}"
    return f"{basket.responders}/{basket.subjects}   {100 * rate:.1f} ({limits})"


def _trim(axes: Any) -> None:
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    axes.set_axisbelow(True)
