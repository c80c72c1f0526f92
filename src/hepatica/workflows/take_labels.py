"""Take a map of labels that somebody drew on a scan into the record, as a label source of later plans."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from hepatica.core.errors import ConflictError, NotFoundError, RecordInputError
from hepatica.record.event import JsonValue
from hepatica.record.item import Item
from hepatica.record.people import require_right
from hepatica.record.sign_in import make_secret
from hepatica.workflows.change_item import create_item
from hepatica.workflows.plan_scene import read_plan
from hepatica.workflows.read_items import read_item
from hepatica.workflows.record_ports import RecordContext

MODALITY: Final = "SEG"
MOST_BYTES: Final = 256 << 20
"""Largest map of labels, packed; one of a whole torso at 0.5 mm stays below."""
UID_DIGITS: Final = 30


def require_labellable(context: RecordContext, scan_id: str) -> Item:
    """Return the scan that labels are for, or refuse before anything is taken.

    Parameters
    ----------
    context
        Who draws; needs ``scan.write`` at the scan's site.
    scan_id
        The scan.

    Raises
    ------
    ConflictError
        If the scan waits for a person's decision, or is no image.
    """
    scan = read_item(context, kind="scan", item_id=scan_id)
    require_right(context.actor, "scan.write", site_id=scan.site_id)
    if scan.values["state"] != "accepted" or scan.values["modality"] == MODALITY:
        raise ConflictError(
            expected="an image that was accepted",
            given="labels, or a scan that waits",
            where=f"scan {scan_id}",
            action="decide about the scan first",
        )
    return scan


def find_redrawn(
    context: RecordContext, *, scan_id: str, plan_id: str, lesion_id: str
) -> dict[str, JsonValue]:
    """Return what a drawing over a plan redraws, as its item keeps it.

    Parameters
    ----------
    context
        Who draws.
    scan_id
        Scan it is drawn on.
    plan_id
        Plan whose outlines were seen.
    lesion_id
        Lesion of that plan that the drawing takes the place of; empty for a new lesion, or for a structure, which
        replaces what was labelled as the same.

    Returns
    -------
    dict
        ``plan_id``, ``lesion_id``, and ``at_lps_mm``: a point of that lesion, by which later plans find it.

    Raises
    ------
    NotFoundError
        If the plan is not there for him, or has no such lesion.
    ConflictError
        If the plan was made on another scan.
    """
    plan, document = read_plan(context, plan_id)
    if plan.values["scan_id"] != scan_id:
        raise ConflictError(
            expected="a plan of the scan that was drawn on",
            given="one of another scan",
            where=f"plan {plan_id}",
        )
    found: dict[str, JsonValue] = {"plan_id": plan_id, "lesion_id": lesion_id, "at_lps_mm": None}
    if not lesion_id:
        return found
    for lesion in document["lesions"]:
        if lesion["id"] == lesion_id:
            # An end of the diameter is the centre of a voxel of the lesion; its centroid may lie outside of it.
            return {
                **found,
                "at_lps_mm": [float(value) for value in lesion["longest_diameter_ends_lps_mm"][0]],
            }
    raise NotFoundError(expected="a lesion of the plan", given="another", where=f"plan {plan_id}")


def take_labels(
    context: RecordContext,
    *,
    scan_id: str,
    path: Path,
    values: Sequence[int],
    names: Mapping[str, str],
    title: str,
    redraws: Mapping[str, JsonValue] | None = None,
) -> Item:
    """Keep a map of labels as a scan item of its own.

    Parameters
    ----------
    context
        Who draws.
    scan_id
        Scan it was drawn on.
    path
        The file.
    values
        Its label values.
    names
        Name by value; every value needs one.
    title
        What it is called.
    redraws
        From `find_redrawn`, where it was drawn over a plan: later plans put it in the place of what it redraws.

    Raises
    ------
    RecordInputError
        If nothing is labelled, or a value has no name.
    """
    scan = require_labellable(context, scan_id)
    if not values or not title.strip():
        raise RecordInputError(expected="labels and a title", given="none", where="labels")
    nameless = [value for value in values if not names.get(str(value), "").strip()]
    if nameless:
        raise RecordInputError(
            expected="a name for every label value",
            given=f"none for {', '.join(map(str, nameless[:10]))}",
            where="labels",
        )
    digest = context.files.keep_file(path)
    # Each drawing is a series of its own, also where the same voxels are drawn twice.
    item_id = make_secret()[:16]
    number = int(hashlib.sha256(f"{digest} {item_id}".encode()).hexdigest(), 16)
    item = Item(
        kind="scan",
        item_id=item_id,
        site_id=scan.site_id,
        patient_id=scan.patient_id,
        version=1,
        values={
            "series_uid": f"2.25.{str(number)[:UID_DIGITS]}",
            "modality": MODALITY,
            "content_digest": digest,
            "state": "accepted",
            "labels_of": scan_id,
            "label_names": {str(value): names[str(value)].strip() for value in values},
            "title": title.strip(),
            **({} if redraws is None else {"redraws": dict(redraws)}),
        },
    )
    with context.store.writing() as writer:
        return create_item(context, writer, item=item)
