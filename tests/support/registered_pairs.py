"""SIMULATED pairs of scans put into a record, with or without labels, for tests of their registration."""

from __future__ import annotations

import numpy as np
from tracked_pairs import make_pair, to_sides

from hepatica.adapters.nifti.view_volumes import to_view_nifti

SEED = 4
PHASE = "portal venous (entered by a person)"
NAMES = {"1": "liver", "2": "lesion"}


def to_labels(volume, liver, lesions) -> bytes:
    """The liver and its tumours as one map of labels."""
    values = np.zeros(volume.grid.shape, dtype=np.uint8, order="F")
    values[liver.box][liver.crop] = 1
    for _, mask in lesions:
        values[mask.box][mask.crop] = 2
    return to_view_nifti(values, grid=volume.grid)


def make_pair_items(files, *, labelled=("base", "follow"), phase: str = PHASE, names=("base", "follow")):
    """The pair, and the items of its scans as (kind, item_id, values); ``labelled`` names those with labels."""
    pair = make_pair(SEED)
    items = []
    sides = (
        (pair.baseline, pair.baseline_liver, pair.baseline_lesions),
        (pair.followup, pair.followup_liver, pair.followup_lesions),
    )
    for number, (name, (volume, liver, lesions)) in enumerate(zip(names, sides, strict=True), start=1):
        values = {
            "series_uid": f"2.25.{number}", "modality": "CT", "state": "accepted", "visit_number": number,
            "content_digest": files.keep_bytes(to_view_nifti(volume.values, grid=volume.grid)),
            "acquired_date": f"2026-0{number}-03", "image_count": volume.grid.shape[2],
        }  # fmt: skip
        items.append(("scan", name, values | ({"phase_hint": phase} if phase else {})))
        if name in labelled:
            drawn = {
                "series_uid": f"2.25.{number}0", "modality": "SEG", "state": "accepted", "labels_of": name,
                "label_names": NAMES, "title": "drawn", "content_digest": files.keep_bytes(to_labels(volume, liver, lesions)),
            }  # fmt: skip
            items.append(("scan", f"{name}-labels", drawn))
    return pair, items


def list_liver_points(pair, *, every: int = 97) -> np.ndarray:
    """Points of the baseline's liver, apart from its tumours, which the registration leaves out."""
    full = pair.baseline_liver.to_full()
    for _, mask in pair.baseline_lesions:
        full[mask.box] &= ~mask.crop
    return pair.baseline.grid.to_lps_mm(np.argwhere(full)[::every])


def make_sides(pair):
    """What registration takes of the pair as the record holds it."""
    return to_sides(pair)
