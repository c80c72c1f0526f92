"""Pictures of response over time, as SVG and PNG: spiders, lesion timelines, injected against non-injected sums.

One colour for each group as in every picture, and never colour alone: injected lesions have solid lines and
filled circles, non-injected ones dashed lines and open squares, new ones dotted lines and diamonds.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any, Final

from hepatica.adapters.reports import palette
from hepatica.core.findings import NotEvaluable
from hepatica.followup.curves import CurvePoint, LesionCurve, LesionGroup, SubjectCurves

DAYS_PER_MONTH: Final = 30.4375
"""365.25 / 12."""
MONTH_TICK: Final = 3
SHORTEST_AXIS_MONTHS: Final = 24
"""Outcomes are followed for two years: the axis shows them, also where data end before."""
RESPONSE_PERCENT: Final = -30
PROGRESSION_PERCENT: Final = 20
CHANGE_TOP: Final = 150
"""Growth beyond this is drawn at the edge with an arrow and its number."""
DOTS_PER_INCH: Final = 160
PROGRESSION: Final = ("PD", "iUPD", "iCPD")
FEWEST_FOR_MEDIAN: Final = 3
STYLES: Final[Mapping[LesionGroup, dict[str, Any]]] = {
    LesionGroup.INJECTED: {"color": palette.INJECTED, "linestyle": "-", "marker": "o"},
    LesionGroup.NON_INJECTED: {
        "color": palette.NON_INJECTED, "linestyle": (0, (5, 2)), "marker": "s", "markerfacecolor": "white",
    },
    LesionGroup.NEW: {
        "color": palette.NEW_LESION, "linestyle": (0, (1, 1.5)), "marker": "D", "markerfacecolor": "white",
    },
}  # fmt: skip
PLAIN: Final = {"color": "#5A6670", "linestyle": "-", "marker": "o"}
FONT: Final = {
    "font.family": "DejaVu Sans",
    "font.size": 8.5,
    "svg.hashsalt": "hepatica",
    "svg.fonttype": "path",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ResponsePicture:
    """One picture.

    Parameters
    ----------
    name
        Stem of its files.
    title, alt
        What it shows, short and in words for those who do not see it.
    svg, png
        The same picture twice.
    """

    name: str
    title: str
    alt: str
    svg: bytes
    png: bytes


Named = Sequence[tuple[str, SubjectCurves]]
"""Label and curves of each subject."""


def draw_pictures(subjects: Named) -> tuple[ResponsePicture, ...]:
    """Draw the pictures of all subjects, then one timeline for each."""
    import matplotlib as mpl

    with mpl.rc_context(FONT):  # type: ignore[arg-type]
        return (
            draw_patient_spider(subjects),
            draw_lesion_spider(subjects),
            draw_group_sums(subjects),
            *(draw_timeline(label, curves) for label, curves in subjects),
        )


def draw_patient_spider(subjects: Named) -> ResponsePicture:
    """Draw the change of the target sum of each subject, its last point labelled."""
    figure, axes = start_picture(7.2, 4.2)
    ends = []
    for label, curves in subjects:
        ends += _draw_line(axes, curves.total, PLAIN, label=label)
    _draw_limits(axes, top=_find_top(curves.total for _, curves in subjects))
    for _, curves in subjects:
        _mark_progression(axes, curves)
    _place_labels(axes, ends)
    _dress(axes, _longest(subjects), "Change of target sum from baseline (%)")
    return finish_picture(
        figure,
        name="spider-patients",
        title="Target sum of each patient",
        alt=f"Spider plot of {len(subjects)} patients: change of the sum of target diameters from baseline in "
        f"percent over months; lines at {RESPONSE_PERCENT} and +{PROGRESSION_PERCENT} percent, a "
        "cross at the first progression.",
    )


def draw_lesion_spider(subjects: Named) -> ResponsePicture:
    """Draw the change of each lesion, one panel for injected and one for non-injected lesions."""
    figure, panels = start_picture(7.2, 3.9, columns=2)
    longest = _longest(subjects)
    counts = []
    top = _find_top(lesion.points for _, curves in subjects for lesion in curves.lesions)
    for axes, group in zip(panels, (LesionGroup.INJECTED, LesionGroup.NON_INJECTED)):
        lesions = [lesion for _, curves in subjects for lesion in curves.lesions if lesion.group is group]
        drawn = [lesion for lesion in lesions if _draw_line(axes, lesion.points, STYLES[group], label="")]
        counts.append(len(drawn))
        _draw_limits(axes, top=top, words=group is LesionGroup.INJECTED)
        _dress(axes, longest, "Change of lesion from baseline (%)" if group is LesionGroup.INJECTED else "")
        axes.set_title(
            f"{str(group).capitalize()} ({len(drawn)} lesions)", loc="left", fontweight="bold", pad=12
        )
        if not drawn:
            axes.text(0.5, 0.5, "none measured", ha="center", transform=axes.transAxes)
    return finish_picture(
        figure,
        name="spider-lesions",
        title="Each lesion, injected and non-injected apart",
        alt=f"Two spider plots on one scale: {counts[0]} injected and {counts[1]} non-injected measured lesions, "
        "change of diameter from baseline in percent over months.",
    )


def draw_group_sums(subjects: Named) -> ResponsePicture:
    """Draw the sums of injected and of non-injected targets of each subject with the median over subjects."""
    figure, axes = start_picture(7.2, 4.2)
    words = []
    every: list[Sequence[CurvePoint]] = []
    for row, (group, name) in enumerate(
        ((LesionGroup.INJECTED, "injected"), (LesionGroup.NON_INJECTED, "non_injected"))
    ):
        style = STYLES[group]
        series = [points for _, curves in subjects if (points := getattr(curves, name))]
        every += series
        for points in series:
            _draw_line(axes, points, {**style, "alpha": 0.35, "linewidth": 0.9, "markersize": 2.5}, label="")
        middle = derive_medians(series)
        _write_counts(axes, series, str(group), row)
        if middle:
            label = f"{str(group).capitalize()}: each patient, median"
            _draw_line(axes, middle, {**style, "linewidth": 2.6, "markersize": 6.0, "zorder": 5}, label="")
            axes.plot([], [], label=label, linewidth=2.6, markeredgecolor=palette.INK, **style)
            last = middle[-1]
            words.append(
                f"{group}: median {_say(last.change_percent)} percent at {last.day / DAYS_PER_MONTH:.0f} months"
            )
        elif series:
            axes.plot([], [], label=f"{str(group).capitalize()} ({len(series)} patients)", **style)
    _draw_limits(axes, top=_find_top(every), room=30)
    _dress(axes, _longest(subjects), "Change of target sum from baseline (%)")
    axes.legend(loc="upper right", frameon=True, framealpha=0.9, edgecolor="#C8C8C8", handlelength=4)
    return finish_picture(
        figure,
        name="sums-by-group",
        title="Injected against non-injected targets over two years",
        alt="Sums of injected and of non-injected target diameters of each patient, change from baseline in "
        "percent over months, with the median over patients. " + "; ".join(words) + ".",
    )


def derive_medians(series: Sequence[Sequence[CurvePoint]]) -> tuple[CurvePoint, ...]:
    """Return the median change at each visit in turn, at the median day, of at least three subjects.

    Visits are counted from baseline, so that subjects scanned a few days apart stand together.
    """
    points = []
    for visit in range(max((len(line) for line in series), default=0)):
        there = [line[visit] for line in series if visit < len(line)]
        changes = [p.change_percent for p in there if not isinstance(p.change_percent, NotEvaluable)]
        if len(changes) >= FEWEST_FOR_MEDIAN:
            day = round(median(p.day for p in there))
            points.append(
                CurvePoint(day=day, size=NotEvaluable(reason="median"), change_percent=median(changes))
            )
    return tuple(points)


def draw_timeline(label: str, curves: SubjectCurves) -> ResponsePicture:
    """Draw one row for each lesion: when it was seen, how large, when it was injected; responses above."""
    order = {group: place for place, group in enumerate(LesionGroup)}
    lesions = sorted(curves.lesions, key=lambda lesion: (order[lesion.group], lesion.lesion_id))
    figure, axes = start_picture(7.2, 1.5 + 0.42 * len(lesions))
    largest = max(
        (p.size for lesion in lesions for p in lesion.points if isinstance(p.size, float)), default=1.0
    )
    for row, lesion in enumerate(lesions):
        _draw_lesion_row(axes, lesion, len(lesions) - row, largest=largest or 1.0)
    for day, code in curves.responses:
        axes.text(
            day / DAYS_PER_MONTH,
            len(lesions) + 0.85,
            code,
            ha="center",
            va="center",
            fontweight="bold",
            fontsize=7.5,
        )
    axes.text(
        -0.012, len(lesions) + 0.85, "Overall", ha="right", va="center", transform=axes.get_yaxis_transform()
    )
    _draw_timeline_legend(axes, {lesion.group for lesion in lesions})
    axes.set_yticks(
        [len(lesions) - row for row in range(len(lesions))], [f"{lesion.lesion_id}" for lesion in lesions]
    )
    axes.set_ylim(0.4, len(lesions) + 1.25)
    _dress(axes, max((p.day for lesion in lesions for p in lesion.points), default=0), "")
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    injected = sum(bool(lesion.injections) for lesion in lesions)
    return finish_picture(
        figure,
        name=f"timeline-{label.lower().replace(' ', '-')}",
        title=f"{label}: lesions and injections",
        alt=f"Timeline of {len(lesions)} lesions of {label}, {injected} of them injected: a mark at each visit "
        "with the diameter in mm, triangles at injections, overall responses above.",
    )


def _draw_lesion_row(axes: Any, lesion: LesionCurve, row: int, *, largest: float) -> None:
    style = STYLES[lesion.group]
    seen = [p for p in lesion.points if isinstance(p.size, float)]
    if lesion.points:
        ends = [p.day / DAYS_PER_MONTH for p in lesion.points]
        axes.plot(
            [ends[0], ends[-1]], [row, row], color=style["color"], linestyle=style["linestyle"], linewidth=1.6
        )
    for point in seen:
        size = point.size if isinstance(point.size, float) else 0.0
        month = point.day / DAYS_PER_MONTH
        axes.scatter(
            month, row, s=14 + 150 * size / largest, marker=style["marker"], zorder=3, linewidth=0.9,
            facecolor=style.get("markerfacecolor", style["color"]), edgecolor=palette.INK,
        )  # fmt: skip
        axes.annotate(
            f"{size:g}", (month, row), xytext=(0, -9.5), textcoords="offset points", ha="center", va="center",
            fontsize=6.5,
        )  # fmt: skip
    for point in lesion.points:
        if isinstance(point.size, NotEvaluable):
            axes.plot(point.day / DAYS_PER_MONTH, row, marker="|", color=palette.INK, markersize=7)
    for day in lesion.injections:
        axes.annotate(
            "", (day / DAYS_PER_MONTH, row + 0.16), xytext=(day / DAYS_PER_MONTH, row + 0.5),
            arrowprops={"arrowstyle": "-|>", "color": palette.INK, "linewidth": 1.0, "mutation_scale": 8},
        )  # fmt: skip


def _draw_timeline_legend(axes: Any, groups: set[LesionGroup]) -> None:
    for group in LesionGroup:
        if group in groups:
            axes.plot([], [], label=str(group), markeredgecolor=palette.INK, **STYLES[group])
    axes.plot([], [], linestyle="", marker=r"$\downarrow$", color=palette.INK, label="injection")
    axes.plot([], [], linestyle="", marker="|", color=palette.INK, markersize=8, label="not measured")
    axes.legend(
        loc="upper center", bbox_to_anchor=(0.5, -0.34 if len(axes.texts) < 12 else -0.2), ncols=5, frameon=False,
        handlelength=3.2,
    )  # fmt: skip


def start_picture(width: float, height: float, *, columns: int = 1) -> tuple[Any, Any]:
    """Return a figure of a size in inches with its axes, or a row of axes."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), dpi=DOTS_PER_INCH, layout="constrained")
    axes = figure.subplots(1, columns, sharey=True, squeeze=False)[0]
    return figure, axes if columns > 1 else axes[0]


def _draw_line(
    axes: Any, points: Sequence[CurvePoint], style: Mapping[str, Any], *, label: str
) -> list[tuple[float, float, str]]:
    """Draw a curve; return the place of its last point for a label, nothing where there is no curve."""
    known = [
        (p.day / DAYS_PER_MONTH, p.change_percent) for p in points if isinstance(p.change_percent, float)
    ]
    if not known:
        return []
    months, changes = zip(*known)
    shown = [min(change, CHANGE_TOP) for change in changes]
    options = {
        "linewidth": 1.4,
        "markersize": 3.6,
        "markeredgecolor": palette.INK,
        "markeredgewidth": 0.5,
        **style,
    }
    axes.plot(months, shown, clip_on=False, **options)
    above = [place for place in known if place[1] > CHANGE_TOP]
    for month, change in dict.fromkeys((*above[:1], *above[-1:])):
        axes.annotate(
            f"+{change:.0f}", (month, CHANGE_TOP), xytext=(0, 5), textcoords="offset points", ha="center",
            fontsize=6.5,
        )  # fmt: skip
    return [(months[-1], shown[-1], label)]


def _place_labels(axes: Any, ends: Sequence[tuple[float, float, str]]) -> None:
    """Write labels right of the last points, moved apart where they would touch."""
    low, high = axes.get_ylim()
    step = (high - low) * 0.042
    last = low - step
    for month, change, text in sorted(ends, key=lambda end: end[1]):
        height = max(change, last + step)
        last = height
        axes.annotate(
            text, (month, change), xytext=(month + 0.45, height), textcoords="data", va="center", fontsize=7,
            bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.6},
            arrowprops={"arrowstyle": "-", "linewidth": 0.4, "color": "#7F8A92", "shrinkA": 0, "shrinkB": 2},
        )  # fmt: skip


def _draw_limits(axes: Any, *, top: float, words: bool = True, room: float = 0) -> None:
    axes.axhline(0, color="#9AA4AB", linewidth=0.7, zorder=0)
    axes.set_ylim(-105 - room, top + 5)
    for height, text in ((RESPONSE_PERCENT, "-30 %"), (PROGRESSION_PERCENT, "+20 %")):
        axes.axhline(height, color=palette.INK, linewidth=0.7, linestyle=(0, (2, 2)), zorder=0)
        if words:
            axes.annotate(
                text, (0.997, height), xycoords=axes.get_yaxis_transform(), xytext=(0, 2),
                textcoords="offset points", fontsize=6.5, va="bottom", ha="right",
            )  # fmt: skip


def _find_top(lines: Iterable[Sequence[CurvePoint]]) -> float:
    """Return the top of the axis: the largest change, at least 40 and at most the cut."""
    changes = [p.change_percent for line in lines for p in line if isinstance(p.change_percent, float)]
    return min(max(40.0, *changes), CHANGE_TOP) if changes else 40.0


def _mark_progression(axes: Any, curves: SubjectCurves) -> None:
    day = next((day for day, code in curves.responses if code in PROGRESSION), None)
    for point in curves.total:
        if point.day == day and isinstance(point.change_percent, float):
            place = (day / DAYS_PER_MONTH, min(point.change_percent, CHANGE_TOP))
            axes.plot(
                *place, marker="X", markersize=7.5, color=palette.INK, markeredgecolor="white", zorder=6
            )


def _write_counts(axes: Any, series: Sequence[Sequence[CurvePoint]], word: str, row: int) -> None:
    """Write under the curves how many patients each median rests on; it is no longer all of them later on."""
    height = -113 - 12 * row
    axes.annotate(
        f"n {word}", (1.0, height), xycoords=axes.get_yaxis_transform(), fontsize=6.2, va="center", ha="right"
    )
    for visit in range(max((len(line) for line in series), default=0)):
        there = [line[visit] for line in series if visit < len(line)]
        count = sum(isinstance(p.change_percent, float) for p in there)
        month = median(p.day for p in there) / DAYS_PER_MONTH
        axes.text(month, height, str(count), fontsize=6.2, va="center", ha="center")


def _longest(subjects: Named) -> int:
    return max((p.day for _, curves in subjects for p in curves.total), default=0)


def _dress(axes: Any, longest_days: int, label: str) -> None:
    months = max(SHORTEST_AXIS_MONTHS, -(-longest_days // (DAYS_PER_MONTH * MONTH_TICK)) * MONTH_TICK)
    axes.set_xlim(-0.6, months + 1.6)
    axes.set_xticks(range(0, int(months) + 1, MONTH_TICK))
    axes.set_xlabel("Months since baseline")
    axes.set_ylabel(label)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    axes.grid(axis="x", color="#E6EAED", linewidth=0.6, zorder=-1)
    axes.set_axisbelow(True)


def _say(value: float | NotEvaluable) -> str:
    return "not known" if isinstance(value, NotEvaluable) else f"{value:+.0f}"


def finish_picture(figure: Any, *, name: str, title: str, alt: str) -> ResponsePicture:
    """Return a drawn figure as a picture; equal figures are equal bytes."""
    svg, png = io.BytesIO(), io.BytesIO()
    # Without date and program, so that equal pictures are equal bytes.
    figure.savefig(svg, format="svg", metadata={"Date": None, "Creator": None})
    figure.savefig(png, format="png", dpi=DOTS_PER_INCH, metadata={"Software": None})
    return ResponsePicture(name=name, title=title, alt=alt, svg=svg.getvalue(), png=png.getvalue())
