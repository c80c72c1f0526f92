"""Plans put into a record as they are, for pages that must hold whatever a plan holds: nothing is planned."""

from __future__ import annotations

import base64
import json
from copy import deepcopy
from dataclasses import dataclass

import numpy as np

from hepatica.adapters.nifti.view_volumes import ViewVolumes
from hepatica.adapters.store.derived import DerivedFolder
from hepatica.core.geometry import Grid
from hepatica.record.item import Item
from hepatica.workflows.change_item import create_item
from hepatica.workflows.plan_scene import LESIONS_FROM, list_label_rows, list_plan_keys, to_volume_key

SOFT_HU, LESION_HU, AIR_HU = 60, 90, -1000
LESION_MM = 7.0
"""Radius of every lesion."""
OCTAHEDRON = np.array([[1, 0, 0], [-1, 0, 0], [0, 1, 0], [0, -1, 0], [0, 0, 1], [0, 0, -1]], np.float32)
FACES = np.array([[a, b, c] for a in (0, 1) for b in (2, 3) for c in (4, 5)], np.uint32)


@dataclass(frozen=True)
class PlanShape:
    """How large a plan is."""

    lesions: int = 1
    shape_ijk: tuple[int, int, int] = (96, 96, 60)
    spacing_mm: tuple[float, float, float] = (4.0, 4.0, 5.0)
    label: str = "lesion"
    with_paths: int = 20
    """Lesions with a path of their own; the others say why they have none."""


def add_plan(record, base: dict, shape: PlanShape, *, patient_id: str, plan_id: str, scan=None, files=None):
    """Put a patient's scan and a plan of it into a record, with what the viewer asks for.

    ``scan`` are more values of the scan, ``files`` more files of the plan, bytes by name.
    """
    grid = Grid.from_axes(
        shape=shape.shape_ijk,
        spacing_mm=shape.spacing_mm,
        origin_lps_mm=tuple(-0.5 * n * s for n, s in zip(shape.shape_ijk, shape.spacing_mm, strict=True)),
    )
    document = make_document(base, shape, grid)
    context = record.context
    scan_digest = context.files.keep_bytes(f"scan of {plan_id}".encode())
    names = {"plan.json": context.files.keep_bytes(json.dumps(document).encode())}
    names |= {name: context.files.keep_bytes(data) for name, data in (files or {}).items()}
    image = {
        "series_uid": "2.25.77", "modality": "CT", "state": "accepted", "content_digest": scan_digest,
        "image_count": shape.shape_ijk[2], **(scan or {}),
    }  # fmt: skip
    plan = {"scan_id": f"{plan_id}-scan", "visit_number": 1, "status": document["status"], "files": names}
    with context.store.writing() as writer:
        for kind, item_id, values in (("scan", f"{plan_id}-scan", image), ("plan", plan_id, plan)):
            item = Item(
                kind=kind, item_id=item_id, site_id="s1", patient_id=patient_id, version=1, values=values
            )
            create_item(context, writer, item=item)
    keep_views(record, document, grid, volume_key=to_volume_key(scan_digest), files=names)
    return document


def make_document(base: dict, shape: PlanShape, grid: Grid) -> dict:
    """A plan document with as many lesions as asked, each as the first of another plan, moved to its place."""
    document = deepcopy(base)
    first = document["lesions"][0]
    injection, puncture = document["injections"][0], document["punctures"][0]
    places = place_lesions(shape, grid)
    document["image"] |= {
        "shape_ijk": list(grid.shape), "lps_from_ijk": grid.lps_from_ijk.tolist(), "study_uid": "2.25.7"
    }  # fmt: skip
    lesions, injections, punctures, paths = [], [], [], []
    for number, place in enumerate(places, start=1):
        by = place - np.array(first["centroid_lps_mm"])
        name = f"L{number}"
        label = shape.label if shape.lesions == 1 else f"{shape.label} #{number}"
        ends = [(np.array(end) + by).tolist() for end in first["longest_diameter_ends_lps_mm"]]
        lesions.append(
            {**deepcopy(first), "id": name, "label": label, "centroid_lps_mm": place.tolist(),
             "longest_diameter_ends_lps_mm": ends, "neighbours": [], "tracking_uid": f"2.25.{900 + number}"}
        )  # fmt: skip
        reachable = number <= shape.with_paths
        injections.append({**injection, "lesion_id": name, "rank": number})
        if not reachable:
            injections[-1] |= {"undelivered_ml": injection["volume_ml"], "undelivered_reason": "no free path"}
        paths.append(
            {**deepcopy(base["paths"][0]), "lesion_id": name, "best": f"P{number}" if reachable else None,
             "backup": None, "alternatives": [], "findings": [make_finding(name)]}
        )  # fmt: skip
        if reachable:
            punctures.append(move_puncture(puncture, by, f"P{number}", name))
    document |= {
        "lesions": lesions, "injections": injections, "punctures": punctures, "backups": [], "paths": paths,
        "patterns": [], "findings": [make_finding(f"L{number}") for number in range(1, len(places) + 1)],
    }  # fmt: skip
    document["allocation"] |= {"total_ml": sum(one["volume_ml"] for one in injections)}
    return document


def make_finding(subject: str) -> dict:
    """A finding with a long message."""
    return {
        "rule": "test.many", "severity": "warning", "measured": 12.5, "limit": 10.0, "unit": "mm", "status": "unverified",
        "message": f"{subject} lies beside a vessel whose name is a long one, and the sentence about it is as long.",
        "source": "made for this test", "subject": subject,
    }  # fmt: skip


def move_puncture(puncture: dict, by: np.ndarray, name: str, lesion_id: str) -> dict:
    """The same puncture elsewhere."""
    moved = deepcopy(puncture)
    moved |= {"id": name, "lesion_ids": [lesion_id], "shares_skin_with": [], "findings": []}
    moved["entry_lps_mm"] = (np.array(puncture["entry_lps_mm"]) + by).tolist()
    for track in moved["tracks"]:
        track["tip_lps_mm"] = (np.array(track["tip_lps_mm"]) + by).tolist()
        for deposit in track["deposits"]:
            deposit["lesion_id"] = lesion_id
            deposit["point_lps_mm"] = (np.array(deposit["point_lps_mm"]) + by).tolist()
    return moved


def place_lesions(shape: PlanShape, grid: Grid) -> np.ndarray:
    """Places of the lesions, each apart from the others, over the whole length of the scan."""
    middle = grid.to_lps_mm((np.array(grid.shape) - 1) / 2)
    half_mm = 0.5 * np.array(grid.shape) * np.array(shape.spacing_mm)
    side = np.ceil(np.sqrt(shape.lesions)).astype(int)
    places = []
    for number in range(shape.lesions):
        row, column = divmod(number, int(side))
        along = (number + 0.5) / shape.lesions * 1.6 - 0.8
        share = np.array([0.6 * (column / side - 0.5), 0.6 * (row / side - 0.5), along])
        places.append(middle + share * half_mm)
    return np.array(places).reshape(-1, 3)


def keep_views(record, document: dict, grid: Grid, *, volume_key: str, files: dict) -> None:
    """Keep volume, labels and surfaces as the server would have made them."""
    index = np.indices(grid.shape, dtype=np.float32)
    middle = (np.array(grid.shape, np.float32) - 1) / 2
    across = sum(((index[axis] - middle[axis]) / (0.45 * grid.shape[axis])) ** 2 for axis in (0, 1))
    body = across < 1
    values = np.where(body, SOFT_HU, AIR_HU).astype(np.int16)
    painted = np.zeros(grid.shape, np.uint8 if len(document["lesions"]) < 100 else np.uint16)
    rows = list_label_rows(document)
    liver = next(row["value"] for row in rows if row["kind"] == "liver")
    painted[across < 0.6] = liver
    surfaces = []
    for number, lesion in enumerate(document["lesions"]):
        at = np.array(lesion["centroid_lps_mm"])
        centre = grid.to_index(at)
        reach = np.ceil(LESION_MM / grid.spacing_mm).astype(int) + 1
        box = tuple(slice(max(0, int(c) - r), int(c) + r + 1) for c, r in zip(centre, reach, strict=True))
        local = np.stack([axis[box] for axis in index], axis=-1)
        near = np.linalg.norm((local - centre) * grid.spacing_mm, axis=-1) <= LESION_MM
        values[box][near] = LESION_HU
        painted[box][near] = LESIONS_FROM + number
        points = (LESION_MM * OCTAHEDRON + at).astype("<f4")
        surfaces.append(
            {"kind": "lesion", "value": LESIONS_FROM + number, "lesion_id": lesion["id"],
             "points": base64.b64encode(points.tobytes()).decode(),
             "triangles": base64.b64encode(FACES.astype("<u4").tobytes()).decode()}
        )  # fmt: skip
    derived, writer, keys = DerivedFolder(record.folder / "derived"), ViewVolumes(), list_plan_keys(files)
    derived.keep(volume_key, writer.to_volume(values, grid=grid))
    derived.keep(keys["labels"], writer.to_labels(painted, grid=grid))
    derived.keep(keys["surfaces"], json.dumps({"surfaces": surfaces}).encode())
