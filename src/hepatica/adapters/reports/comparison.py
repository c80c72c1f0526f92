"""The comparison of designs for a protocol: one page, the same in Markdown, and its pictures."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from hepatica.adapters.reports import palette
from hepatica.adapters.reports.html import make_environment
from hepatica.adapters.reports.picture_frame import Picture
from hepatica.adapters.reports.pictures import MM_PER_INCH, to_png

COLOURS: Final = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00")
"""Okabe-Ito hues; hatches tell designs apart in grey."""
HATCHES: Final = ("", "////", "....", "xxxx", "\\\\\\\\", "++++")
WIDTH_MM: Final = 170.0
PANEL_MM: Final = 62.0
DOTS_PER_INCH: Final = 200
ERROR_WIDTHS: Final = 2.0
"""Bars of Monte Carlo error show two standard errors on each side."""


class ComparisonPageWriter:
    """Writes ``comparison.html``, ``comparison.md`` and the pictures ``selection.png`` and ``patients.png``."""

    def write_comparison(self, document: Mapping[str, Any], folder: Path) -> tuple[str, ...]:
        """Write and return the names."""
        pictures = {"selection": draw_selection(document), "patients": draw_patients(document)}
        for name, picture in pictures.items():
            (folder / f"{name}.png").write_bytes(picture.png)
        page = (
            make_environment()
            .get_template("comparison.html.j2")
            .render(
                document=document,
                settings=list_settings(document),
                tables=[_tabulate(row) for row in document["scenarios"]],
                pictures=[
                    {
                        "uri": "data:image/png;base64," + base64.b64encode(p.png).decode("ascii"),
                        "title": p.title,
                        "alt": p.alt,
                    }
                    for p in pictures.values()
                ],
            )
        )
        (folder / "comparison.html").write_text(page, encoding="utf-8", newline="\n")
        (folder / "comparison.md").write_text(to_markdown(document), encoding="utf-8", newline="\n")
        return ("comparison.html", "comparison.md", "selection.png", "patients.png")


def to_markdown(document: Mapping[str, Any]) -> str:
    """Return the comparison as Markdown, to paste into a protocol."""
    lines = [
        "# Comparison of dose-finding designs",
        "",
        f"{document['trials']} simulated trials for each design and scenario, seed {document['seed']}, "
        "the same simulated patients for every design.",
    ]
    if document["target"] is not None:
        lines[-1] += f" Target DLT rate {document['target']:g}."
    for row in document["scenarios"]:
        table = _tabulate(row)
        lines += ["", f"## {table['title']}", "", "| " + " | ".join(table["heads"]) + " |"]
        lines.append("|---" + "|---:" * (len(table["heads"]) - 1) + "|")
        lines += ["| " + " | ".join(cells) + " |" for cells in table["rows"]]
    lines += ["", "![Selection](selection.png)", "", "![Patients](patients.png)"]
    if document["words"]:
        lines += ["", "## In words", "", *(f"- {line}" for line in document["words"])]
    lines += ["", "## Designs", ""]
    lines += [f"- {name}: {text}" for name, text in list_settings(document)]
    lines += ["", "## Assumptions", "", *(f"- {line}" for line in document["assumptions"])]
    return "\n".join([*lines, "", document["notice"], ""])


def list_settings(document: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return each design with its settings and rules in words."""
    found = []
    for design in document["scenarios"][0]["designs"]:
        parts = [f"{name.replace('_', ' ')} {_say(value)}" for name, value in design["settings"].items()]
        parts += [f"rule {rule}" for rule in design["rules"]]
        found.append((design["design"], "; ".join(parts) or "default settings"))
    return found


def draw_selection(document: Mapping[str, Any]) -> Picture:
    """Draw how often each design selects each dose, with two Monte Carlo standard errors."""
    names = [design["design"] for design in document["scenarios"][0]["designs"]]
    return Picture(
        name="selection",
        png=_draw(document, "selected", "selected_se", label="selected, % of trials", none=True),
        title="How often each dose is selected; lines are two Monte Carlo standard errors on each side.",
        alt=f"Bars of the selected dose for {', '.join(names)}, one panel for each scenario.",
    )


def draw_patients(document: Mapping[str, Any]) -> Picture:
    """Draw how many patients each design treats at each dose."""
    names = [design["design"] for design in document["scenarios"][0]["designs"]]
    return Picture(
        name="patients",
        png=_draw(document, "patients", None, label="patients, mean", none=False),
        title="Mean number of patients treated at each dose.",
        alt=f"Bars of patients by dose for {', '.join(names)}, one panel for each scenario.",
    )


def _draw(document: Mapping[str, Any], key: str, error: str | None, *, label: str, none: bool) -> bytes:
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    return to_png(FigureCanvasAgg(lay_out(document, key, error, label=label, none=none)))


def lay_out(document: Mapping[str, Any], key: str, error: str | None, *, label: str, none: bool) -> Any:
    """Return a figure with one panel of bars for each scenario, all on one scale from 0.

    Parameters
    ----------
    document
        The comparison.
    key, error
        Key of the values by dose, and of their standard errors where there are.
    label
        What the values are.
    none
        Whether the values are proportions, with one for no dose besides.
    """
    from matplotlib.figure import Figure

    scenarios: Sequence[Any] = document["scenarios"]
    figure = Figure(
        figsize=(WIDTH_MM / MM_PER_INCH, len(scenarios) * PANEL_MM / MM_PER_INCH),
        dpi=DOTS_PER_INCH,
        layout="constrained",
    )
    panels = figure.subplots(len(scenarios), 1, squeeze=False, sharey=True)[:, 0]
    for axes, row in zip(panels, scenarios):
        _draw_panel(axes, row, key, error, none=none, target=document["target"])
        axes.set_ylabel(label, fontsize=7)
    panels[0].set_ylim(bottom=0.0)  # after all bars: a limit set ends the fitting of the shared axis
    panels[0].legend(
        fontsize=6.5,
        frameon=False,
        loc="lower left",
        bbox_to_anchor=(0.0, 1.1),
        ncols=6,
        borderaxespad=0.0,
    )
    return figure


def _draw_panel(
    axes: Any, row: Any, key: str, error: str | None, *, none: bool, target: float | None
) -> None:
    designs, levels = row["designs"], len(row["truth"])
    width = 0.8 / len(designs)
    scale = 100.0 if none else 1.0
    for i, design in enumerate(designs):
        values = [scale * v for v in design[key]] + ([scale * design["selected_none"]] if none else [])
        errors = None
        if error:
            errors = [ERROR_WIDTHS * scale * v for v in (*design[error], design["selected_none_se"])]
        places = [d + (i - (len(designs) - 1) / 2) * width for d in range(len(values))]
        axes.bar(
            places,
            values,
            0.92 * width,
            yerr=errors,
            label=design["design"],
            color=COLOURS[i % len(COLOURS)],
            hatch=HATCHES[i % len(HATCHES)],
            edgecolor=palette.INK,
            linewidth=0.4,
            error_kw={"elinewidth": 0.8, "ecolor": palette.INK},
        )
    marks = [
        f"dose {d}{' *' if d in row['target_doses'] else ''}\n{p:g}"
        for d, p in enumerate(row["truth"], start=1)
    ]
    axes.set_xticks(range(levels + none), marks + ["none"] * none, fontsize=6.5)
    axes.tick_params(axis="y", labelsize=6.5, width=0.6, length=2.5)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    axes.grid(axis="y", linewidth=0.3, color="#c9d0d5")
    axes.set_axisbelow(True)
    note = f"; * nearest the target {target:g}" if target is not None else ""
    axes.set_title(f"{row['name']}: true DLT rates below the doses{note}", fontsize=7, loc="left")


def _tabulate(row: Mapping[str, Any]) -> dict[str, Any]:
    levels = range(1, len(row["truth"]) + 1)
    starred = [f"dose {d}{' *' if d in row['target_doses'] else ''}" for d in levels]
    rows = [["true DLT rate", *(f"{p:g}" for p in row["truth"]), "", ""]]
    for design in row["designs"]:
        name = design["design"]
        picks = zip(
            (*design["selected"], design["selected_none"]),
            (*design["selected_se"], design["selected_none_se"]),
        )
        rows.append([f"{name}: selected, % (SE)", *(f"{100 * p:.1f} ({100 * e:.1f})" for p, e in picks), ""])
        rows.append(
            [
                f"{name}: patients",
                *(f"{v:.1f}" for v in design["patients"]),
                "",
                f"{design['total_patients']:.1f} ({design['total_patients_se']:.2f})",
            ]
        )
        rows.append(
            [f"{name}: DLTs", *(f"{v:.2f}" for v in design["dlts"]), "", f"{design['total_dlts']:.2f}"]
        )
        if design["duration_windows"] is not None:
            rows.append(
                [
                    f"{name}: duration, DLT windows",
                    *("" for _ in levels),
                    "",
                    f"{design['duration_windows']:.1f}",
                ]
            )
    return {
        "title": f"{row['name'].capitalize()}: true DLT rates {', '.join(f'{p:g}' for p in row['truth'])}",
        "heads": ["", *starred, "none", "total"],
        "rows": rows,
    }


def _say(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(_say(part) for part in value)
    return f"{value:g}" if isinstance(value, float) else str(value)
