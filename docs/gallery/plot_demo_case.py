"""Draw the gallery's pictures of the shipped case, and write down the facts its page states.

Usage: python docs/gallery/plot_demo_case.py FOLDER
"""

from __future__ import annotations

import io
import json
import sys
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

from hepatica.adapters.reports import palette
from hepatica.adapters.reports.picture_book import draw_puncture
from hepatica.adapters.reports.pictures import to_png
from hepatica.adapters.reports.scene3d import build_fields
from hepatica.adapters.reports.sheet import typeset_sheet
from hepatica.adapters.reports.skin_legend import BAND_COLOURS
from hepatica.adapters.reports.skin_map_pictures import MapMark, MapSubject, draw_flat_map
from hepatica.adapters.reports.skin_views import draw_body_views
from hepatica.adapters.reports.view import derive_plan_view
from hepatica.bootstrap import make_demo_request, make_plan_ports
from hepatica.core.progress import SILENT
from hepatica.core.provenance import Manifest
from hepatica.imaging.reformat import derive_axial_plane, sample_mask, sample_volume, trace_outlines
from hepatica.planning.path.placement_error import simulate_placement
from hepatica.planning.path.placement_presets import make_placement_model
from hepatica.planning.path.skin_map import SkinClass
from hepatica.workflows.explain_paths import explain_lesion
from hepatica.workflows.plan_case import plan_prepared
from hepatica.workflows.ports import PlanContext
from hepatica.workflows.prepare_case import prepare_case
from hepatica.workflows.read_case import read_case

RUN_TIME = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
WIDTH_PIXELS = 1200
GREYS = 40
HUES = 80
"""Pictures are stored with a palette, so that they are small; greys apart, so that a CT stays grey."""
LEAST_SATURATION = 24
PATH_STEP_MM = 8.0
"""One path is drawn for each patch of skin of this size."""
NEAR_SLICE_MM = 12.0
"""Paths that start farther from the slice are not drawn on it."""
SHEET_SHARE = 0.545
"""Upper part of the sheet: what the operator needs first."""


def open_case():
    """Plan the shipped case; return the plan's context and its scene."""
    request, ports = make_demo_request(), make_plan_ports()
    case = read_case(request, ports=ports, progress=SILENT)
    prepared = prepare_case(case, progress=SILENT)
    planned = plan_prepared(case, prepared, run_id="gallery", progress=SILENT)
    manifest = Manifest(
        command="gallery", run_time=RUN_TIME, code_version=ports.code_version, inputs=case.digests,
        sources={}, parameters={}, tables=case.table_digests,
    )  # fmt: skip
    context = PlanContext(
        plan=planned.plan, image=case.image, arterial=None, anatomy=planned.anatomy, manifest=manifest,
        plan_document={},
    )  # fmt: skip
    return context, prepared.scene


def save(png, path, *, width_pixels=WIDTH_PIXELS, share=1.0):
    """Store a picture, or its upper share, with a palette and no wider than a page."""
    picture = Image.open(io.BytesIO(png)).convert("RGB")
    picture = picture.crop((0, 0, picture.width, round(picture.height * share)))
    if picture.width > width_pixels:
        height = round(picture.height * width_pixels / picture.width)
        picture = picture.resize((width_pixels, height), Image.Resampling.LANCZOS)
    picture.quantize(palette=find_palette(picture), dither=Image.Dither.NONE).save(path, optimize=True)


def find_palette(picture):
    """Return even greys and the hues that the coloured pixels need."""
    pixels = np.asarray(picture).reshape(-1, 3)
    coloured = pixels[np.ptp(pixels.astype(int), axis=1) > LEAST_SATURATION]
    hues = np.zeros((0, 3), np.uint8)
    if len(coloured):
        strip = Image.fromarray(coloured.reshape(1, -1, 3))
        reduced = strip.quantize(HUES, method=Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE)
        hues = np.unique(np.asarray(reduced.convert("RGB")).reshape(-1, 3), axis=0)
    greys = np.repeat(np.linspace(0, 255, GREYS).round().astype(np.uint8)[:, None], 3, axis=1)
    holder = Image.new("P", (1, 1))
    holder.putpalette(np.vstack([greys, hues]).reshape(-1).tolist())
    return holder


def draw_candidates(context, explained):
    """Draw the best path of every patch of open skin onto the axial slice of the planned tip."""
    found, puncture = explained.skin_map, context.plan.punctures[0]
    tip = puncture.tracks[0].tip_lps_mm
    grid = context.image.volume.grid
    plane = derive_axial_plane(grid, through_lps_mm=tip, pixel_mm=0.8)
    figure = Figure(figsize=(7.6, 5.2), dpi=160)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.imshow(sample_volume(context.image.volume, plane), cmap="gray", vmin=-140, vmax=260, aspect="equal")
    near = np.abs(found.skin.points_lps_mm[:, 2] - tip[2]) <= NEAR_SLICE_MM
    free = np.flatnonzero(found.select(SkinClass.FREE) & near)
    points = found.skin.points_lps_mm[free]
    _, first = np.unique(np.floor(points / PATH_STEP_MM), axis=0, return_index=True)
    chosen = free[first]
    rank = found.derive_rank_cm2()
    band = np.minimum(4 * rank[chosen] / found.measure_area_cm2(SkinClass.FREE), 3).astype(int)
    for n, colour in sorted(zip(chosen.tolist(), band.tolist(), strict=True), key=lambda x: -x[1]):
        ends = plane.to_pixel(np.stack([found.skin.points_lps_mm[n], found.tips_lps_mm[found.best_tip[n]]]))
        axes.plot(ends[:, 1], ends[:, 0], color=BAND_COLOURS[colour], linewidth=0.9, alpha=0.85)
    for line in trace_outlines(sample_mask(explained.mask, plane)):
        axes.plot(line[:, 1], line[:, 0], color=palette.INJECTED, linewidth=1.8)
    ends = plane.to_pixel(np.stack([puncture.entry_lps_mm, tip]))
    axes.plot(ends[:, 1], ends[:, 0], color=palette.CASING, linewidth=4.2)
    axes.plot(ends[:, 1], ends[:, 0], color=palette.NEEDLE, linewidth=2.6)
    axes.text(ends[0, 1], ends[0, 0] - 16, "P1", color="white", fontsize=11, weight="bold", ha="center")
    rows, columns = plane.shape
    axes.text(0.012 * columns, rows / 2, "R", color="white", fontsize=12)
    axes.text(0.972 * columns, rows / 2, "L", color="white", fontsize=12)
    axes.set_xlim(0, columns)
    axes.set_ylim(ends[:, 0].max() + 150, max(0.0, ends[:, 0].min() - 60))
    axes.set_axis_off()
    return to_png(FigureCanvasAgg(figure)), len(chosen)


def simulate_risks(context, scene):
    """Simulate placement error of the first choice with every packaged preset that names its errors."""
    return {
        name: simulate_placement(
            context.plan.punctures[0], scene, model=make_placement_model(name), rng=np.random.default_rng(1)
        )
        for name in ("freehand", "stereotactic")
    }


def draw_risk(risks):
    """Draw chances to touch and to hit, with 95 % Monte Carlo intervals."""
    figure = Figure(figsize=(7.6, 2.9), dpi=160)
    left, right = figure.subplots(1, 2, width_ratios=(1.6, 1.0))
    figure.subplots_adjust(left=0.14, right=0.98, top=0.88, bottom=0.24, wspace=0.32)
    kinds = [item.kind for item in risks["freehand"].structures if item.touched.hits][:5]
    rows = [(kind.value.replace("_", " "), kind) for kind in kinds] + [("any structure", None)]
    for offset, (name, risk) in zip((-0.17, 0.17), risks.items(), strict=True):
        touched = {item.kind: item.touched for item in risk.structures} | {None: risk.any_touched}
        colour = palette.INJECTED if name == "freehand" else "#0B5A8A"
        draw_bars(left, [touched[kind] for _, kind in rows], offset=offset, colour=colour, name=name)
        draw_bars(right, [risk.tip_in_target], offset=offset, colour=colour, name=name)
    left.set_yticks(range(len(rows)), [word for word, _ in rows])
    bound = "lower bound, " if any(risk.lower_bound for risk in risks.values()) else ""
    left.set_title(f"Touched ({bound}%)", fontsize=9, loc="left")
    right.set_yticks([0], ["tip in\ntarget"])
    right.set_ylim(0.6, -0.6)
    right.set_xlim(0, 100)
    right.set_title("Hit (%)", fontsize=9, loc="left")
    left.invert_yaxis()
    figure.legend(*left.get_legend_handles_labels(), fontsize=8, frameon=False, loc="lower right", ncols=2)
    for axes in (left, right):
        axes.tick_params(labelsize=8)
        axes.spines[["top", "right"]].set_visible(False)
    return to_png(FigureCanvasAgg(figure))


def draw_bars(axes, chances, *, offset, colour, name):
    """Draw one preset's bars."""
    for row, chance in enumerate(chances):
        low, high = chance.interval
        axes.barh(
            row + offset, 100 * chance.probability, height=0.3, color=colour, label=name if row == 0 else None
        )
        axes.plot([100 * low, 100 * high], [row + offset] * 2, color=palette.INK, linewidth=1.0)


def to_subject(context, explained):
    """Return what the pictures of the skin map show."""
    marks = tuple(
        MapMark(name=e.name, point_lps_mm=e.puncture.entry_lps_mm, first=e.role != "alternative")
        for e in explained.entries
    )
    return MapSubject(
        skin_map=explained.skin_map, costs=explained.costs, mask=explained.mask, marks=marks,
        grid=context.image.volume.grid, facts=context.image.facts, gravity_lps=np.array([0.0, 1.0, 0.0]),
    )  # fmt: skip


def main(folder):
    """Write every picture and ``facts.json`` into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    context, scene = open_case()
    explained = explain_lesion(context.plan, scene, "L1")
    candidates, drawn = draw_candidates(context, explained)
    save(candidates, folder / "candidate-paths.png", width_pixels=820)
    subject = to_subject(context, explained)
    save(draw_flat_map(subject).png, folder / "skin-map.png")
    save(draw_body_views(subject).png, folder / "skin-map-body.png")
    risks = simulate_risks(context, scene)
    save(draw_risk(risks), folder / "risk.png")
    puncture = context.plan.punctures[0]
    pictures = {puncture.puncture_id: draw_puncture(context, puncture, fields=build_fields(context))}
    pages = typeset_sheet(derive_plan_view(context), pictures, run_time=RUN_TIME, png_ppi=110)
    save(pages[0], folder / "sheet.png", width_pixels=900, share=SHEET_SHARE)
    found = explained.skin_map
    facts = {
        "free_cm2": round(found.measure_area_cm2(SkinClass.FREE), 1),
        "skin_cm2": round(float(found.skin.areas_mm2.sum()) / 100, 1),
        "paths_drawn": drawn,
        "length_mm": round(puncture.length_mm, 1),
        "better_skin_cm2": explained.entries[0].better_skin_cm2,
        "limits": {
            cost.limit: {
                "alone_cm2": round(cost.alone.area_cm2, 1),
                "steps": {f"{s.by:g} {cost.unit}": round(s.freed.area_cm2, 1) for s in cost.relaxations},
            }
            for cost in explained.costs.limits[:4]
        },
        "risk": {
            name: {
                "any_touched": round(risk.any_touched.probability, 4),
                "tip_in_target": round(risk.tip_in_target.probability, 4),
                "lower_bound": risk.lower_bound,
            }
            for name, risk in risks.items()
        },
    }
    (folder / "facts.json").write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
