"""Swimmer plots: one lane for each subject with injections, response, progression, new therapy and death."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from hepatica.adapters.reports import palette
from hepatica.adapters.reports.response_pictures import ResponsePicture, finish_picture, start_picture
from hepatica.adapters.reports.trial_marks import stamp, to_best
from hepatica.trials.report.figures import SwimmerLane

LANES_A_PAGE: Final = 44
"""As many lanes as can be told apart on one page."""
LANE_INCHES: Final = 0.128
BARS: Final = {"CR": "#7FCEB9", "PR": "#AAD9F4", "SD": "#E2E2E2", "PD": "#F0C2A0", "": "#FFFFFF"}
MARKS: Final = (
    ("response", "first response", "o", "#009E73"),
    ("progression", "progression", "X", "#D55E00"),
    ("therapy", "new anticancer therapy", "D", "#0072B2"),
    ("death", "death", "s", palette.INK),
)
TICK: Final = 3


def draw_swimmers(lanes: Sequence[SwimmerLane], *, simulated: bool) -> list[ResponsePicture]:
    """Draw all lanes, at most 44 in a picture, on one scale."""
    pages = [lanes[start : start + LANES_A_PAGE] for start in range(0, len(lanes), LANES_A_PAGE)]
    longest = max(lane.months for lane in lanes)
    return [
        _draw_page(page, number, len(pages), longest=longest, simulated=simulated)
        for number, page in enumerate(pages, start=1)
    ]


def _draw_page(
    lanes: Sequence[SwimmerLane], number: int, pages: int, *, longest: float, simulated: bool
) -> ResponsePicture:
    figure, axes = start_picture(10.2, 0.95 + LANE_INCHES * max(len(lanes), 6))
    heights = [len(lanes) - row for row in range(len(lanes))]
    axes.barh(
        heights, [lane.months for lane in lanes], height=0.72,
        color=[BARS[to_best(lane.best)] for lane in lanes], edgecolor="#6B757C", linewidth=0.35, zorder=1,
    )  # fmt: skip
    months = [month for lane in lanes for month in lane.injections]
    places = [height for height, lane in zip(heights, lanes) for _ in lane.injections]
    axes.scatter(months, places, marker="|", s=20, color=palette.INK, linewidth=0.8, zorder=2)
    for name, _, marker, colour in MARKS:
        found = [
            (getattr(lane, name), height)
            for lane, height in zip(lanes, heights)
            if getattr(lane, name) is not None
        ]
        if found:
            axes.scatter(
                *zip(*found),
                marker=marker,
                s=17,
                color=colour,
                edgecolor="white",
                linewidth=0.4,
                zorder=3,
                clip_on=False,
            )
    for lane, height in zip(lanes, heights):
        if lane.ongoing:
            axes.scatter(
                lane.months + 0.25, height, marker=">", s=16, color=palette.INK, linewidth=0, clip_on=False
            )
    axes.set_yticks(heights, [lane.subject for lane in lanes], fontsize=5.6)
    axes.set_ylim(0.3, len(lanes) + 0.7)
    axes.set_xlim(-0.3, longest + 0.8)
    axes.set_xticks(range(0, int(longest) + 1, TICK))
    axes.set_xlabel("Months since the first dose")
    axes.tick_params(axis="y", length=0)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.grid(axis="x", color="#E6EAED", linewidth=0.6, zorder=0)
    _draw_legend(figure, lanes, to_best)
    stamp(figure, simulated=simulated)
    dead = sum(lane.death is not None for lane in lanes)
    word = f" ({number} of {pages})" if pages > 1 else ""
    return finish_picture(
        figure,
        name=f"swimmer-{number}",
        title=f"Swimmer{word}",
        alt=f"Swimmer plot{word} of {len(lanes)} subjects, the longest followed first: injections as ticks, first "
        f"response, progression, new therapy and death as marks; {dead} died.",
    )


def _draw_legend(figure: Any, lanes: Sequence[SwimmerLane], to_best: Any) -> None:
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    names = {"CR": "best CR", "PR": "best PR", "SD": "best SD", "PD": "best PD", "": "not evaluable"}
    kinds = {to_best(lane.best) for lane in lanes}
    entries: list[Any] = [
        Patch(facecolor=colour, edgecolor="#6B757C", linewidth=0.5, label=names[best])
        for best, colour in BARS.items()
        if best in kinds
    ]
    entries.append(
        Line2D([], [], linestyle="", marker="|", markersize=7, color=palette.INK, label="injection")
    )
    entries += [
        Line2D([], [], linestyle="", marker=marker, markersize=5, color=colour, label=label)
        for name, label, marker, colour in MARKS
        if any(getattr(lane, name) is not None for lane in lanes)
    ]
    if any(lane.ongoing for lane in lanes):
        entries.append(
            Line2D([], [], linestyle="", marker=">", markersize=5, color=palette.INK, label="followed on")
        )
    figure.legend(
        handles=entries,
        loc="outside upper left",
        ncols=5,
        frameon=False,
        fontsize=7,
        handlelength=1.4,
        columnspacing=1.2,
    )
