"""What a page draws and lists of a plan beside ``plan.json``: grid, labels, lesions, addresses of volumes."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import quote

from hepatica.core.errors import ConflictError, NotFoundError, SourceFormatError
from hepatica.record.item import Item
from hepatica.workflows.deliver_file import find_file
from hepatica.workflows.read_items import read_item
from hepatica.workflows.record_ports import RecordContext

VERSION: Final = "3"
"""Changes when the same plan would give other bytes: what was made before is made again."""
LESIONS_FROM: Final = 100
"""Label values of lesions begin here; structures lie below."""
SMALL_MOST: Final = 255
COVERAGE: Final = "_coverage.nii.gz"
NOT_SHOWN: Final = frozenset({"body", "lesion"})
"""Structures that no label stands for: the body is everything, and each lesion has a label of its own."""
PLAN_FIELDS: Final[Mapping[str, str]] = {
    "first_choices": "punctures",
    "backups": "backups",
    "alternatives": "paths[].alternatives",
    "which_is_which": "paths[].best, paths[].backup",
    "deposits": "punctures[].tracks[].deposits",
    "doses": "injections",
    "findings": "findings, allocation.findings, paths[].findings, punctures[].findings, backups[].findings",
    "missing_structures": "missing_structures",
}
"""Where in ``plan.json`` (``/api/files/plan/{plan_id}/plan.json``) the rest of what is drawn stands."""


def to_key(what: str, *parts: str) -> str:
    """Return the key of derived bytes: the digest of what they are made from.

    Parameters
    ----------
    what
        Kind of bytes.
    parts
        Digests and words that decide them.

    Examples
    --------
    >>> len(to_key("labels", "ab")), to_key("a", "b") == to_key("ab")
    (64, False)
    """
    return hashlib.sha256(json.dumps([VERSION, what, *parts]).encode()).hexdigest()


def to_volume_key(content_digest: str, *, series: str = "", resample: bool = False) -> str:
    """Return the key of a scan's volume; a plan of that scan shares it.

    Parameters
    ----------
    content_digest
        Of the stored scan.
    series, resample
        As a plan asked for; none for a scan by itself.
    """
    return to_key("volume", content_digest, series, str(int(resample)))


def list_label_rows(
    document: Mapping[str, Any], accepted: frozenset[str] = frozenset()
) -> list[dict[str, Any]]:
    """Return what each value of a plan's map of labels stands for.

    Parameters
    ----------
    document
        ``plan.json``.
    accepted
        Derived structures that a person has accepted.
    """
    rows: list[dict[str, Any]] = [
        {
            "value": number,
            "kind": structure["kind"],
            "name": structure["kind"].replace("_", " "),
            "role": "organ" if structure["kind"] == "liver" else "structure",
            "origin": "given" if structure["origin"] == "labelled" else "derived",
            "accepted": structure["origin"] == "labelled" or structure["kind"] in accepted,
            "source": structure["source"],
            "label_names": structure["names"],
            "lesion_id": None,
        }
        for number, structure in enumerate(document["structures"], start=1)
        if structure["kind"] not in NOT_SHOWN
    ]
    injected = _list_injected(document)
    rows += [
        {
            "value": LESIONS_FROM + number,
            "kind": "lesion",
            "name": lesion["label"] or lesion["id"],
            "role": "injected lesion" if lesion["id"] in injected else "non-injected lesion",
            "origin": "given",
            "accepted": True,
            "source": "labels",
            "label_names": [lesion["label"]],
            "lesion_id": lesion["id"],
        }
        for number, lesion in enumerate(document["lesions"])
    ]
    return rows


def list_spread_files(files: Mapping[str, Any]) -> list[str]:
    """Return the names of a plan's files of predicted spread.

    Parameters
    ----------
    files
        Digest by name.
    """
    return sorted(name for name in files if name.startswith("spread_") and name.endswith(COVERAGE))


def list_files(item: Item) -> dict[str, Any]:
    """Return the digest by name of a plan's files.

    Parameters
    ----------
    item
        The plan.
    """
    files = item.values.get("files")
    return dict(files) if isinstance(files, Mapping) else {}


def list_plan_keys(files: Mapping[str, Any]) -> dict[str, str]:
    """Return the keys of what is derived from a plan itself: labels, spread where there is one.

    Parameters
    ----------
    files
        Digest by name of the plan's files.

    Raises
    ------
    NotFoundError
        If the plan has no ``plan.json``.
    """
    plan = files.get("plan.json")
    if not isinstance(plan, str):
        raise NotFoundError(expected="a plan with its plan.json", given="one without", where="plan")
    keys = {"labels": to_key("labels", plan), "surfaces": to_key("surfaces", plan)}
    spread = list_spread_files(files)
    if spread:
        keys["spread"] = to_key("spread", plan, *(str(files[name]) for name in spread))
    return keys


def to_skin_key(files: Mapping[str, Any], lesion_id: str) -> str:
    """Return the key of the map of the skin for one lesion.

    Parameters
    ----------
    files
        Digest by name of the plan's files.
    lesion_id
        Lesion.
    """
    return to_key("skin", str(files["plan.json"]), lesion_id)


def read_plan(context: RecordContext, plan_id: str) -> tuple[Item, dict[str, Any]]:
    """Return a plan that the person may see, and its document.

    Parameters
    ----------
    context
        Who reads.
    plan_id
        The plan.

    Raises
    ------
    NotFoundError
        If it is not there for him, or has no document.
    SourceFormatError
        If the document is no plan.
    """
    item = read_item(context, kind="plan", item_id=plan_id)
    stored = find_file(context, kind="plan", item_id=plan_id, name="plan.json")
    try:
        document = json.loads(stored.path.read_bytes())
        document["structures"], document["lesions"], document["image"]["lps_from_ijk"]
    except (ValueError, KeyError, TypeError) as problem:
        raise SourceFormatError(
            expected="a plan document", given="another document", where=f"plan {plan_id}"
        ) from problem
    return item, document


def find_volume_key(context: RecordContext, plan: Item) -> str:
    """Return the key of the volume a plan was made on.

    Parameters
    ----------
    context
        Who reads; the scan must be one he may see.
    plan
        The plan.
    """
    asked = plan.values.get("request")
    asked = asked if isinstance(asked, Mapping) else {}
    scan = read_item(context, kind="scan", item_id=str(plan.values["scan_id"]))
    return to_volume_key(
        str(scan.values["content_digest"]),
        series=str(asked.get("series") or ""),
        resample=bool(asked.get("resample")),
    )


def find_scan_key(context: RecordContext, scan_id: str) -> str:
    """Return the key of a scan's volume, for whoever may see the scan.

    Parameters
    ----------
    context
        Who reads; blinded readers see the scans of their patients.
    scan_id
        The scan.

    Raises
    ------
    NotFoundError
        If it is not there for him.
    ConflictError
        If it waits for a person's decision, or was rejected.
    """
    scan = read_item(context, kind="scan", item_id=scan_id)
    # What a person may see of a scan leaves its state out for blinded readers; the state itself decides.
    with context.store.reading() as reader:
        whole = reader.find_item("scan", scan_id)
    if whole is None or whole.values["state"] != "accepted":
        raise ConflictError(
            expected="a scan that was accepted",
            given="one that waits or was rejected",
            where=f"scan {scan_id}",
            action="decide about the scan first",
        )
    return to_volume_key(str(scan.values["content_digest"]))


def to_scene(
    item: Item, document: Mapping[str, Any], *, volume_key: str, made: Mapping[str, bool]
) -> dict[str, Any]:
    """Return the scene of a plan.

    Parameters
    ----------
    item, document
        From `read_plan`.
    volume_key
        From `find_volume_key`.
    made
        Whether each key's bytes lie ready; others take as long as making them.
    """
    files = list_files(item)
    keys = {"volume": volume_key, **list_plan_keys(files)}
    accepted = item.values.get("accepted_structures")
    structures = frozenset(
        str(row.get("structure"))
        for row in (accepted if isinstance(accepted, list) else ())
        if isinstance(row, dict)
    )
    labels = list_label_rows(document, structures)
    where = f"/api/plan/{quote(item.item_id, safe='')}"
    return {
        "plan_id": item.item_id,
        "patient_id": item.patient_id,
        "scan_id": item.values["scan_id"],
        "version": item.version,
        "status": document["status"],
        "visit": document["visit"],
        "grid": _to_grid(document),
        "labels": labels,
        "lesions": _list_lesions(document, labels),
        "volumes": {
            name: (
                {"address": f"{where}/{name}.nii.gz?v={keys[name]}", "ready": made.get(keys[name], False)}
                if name in keys
                else None
            )
            for name in ("volume", "labels", "spread")
        },
        "surfaces": {
            "address": f"{where}/surfaces?v={keys['surfaces']}",
            "ready": made.get(keys["surfaces"], False),
        },
        "skin_maps": [
            {
                "lesion_id": path["lesion_id"],
                "address": f"{where}/skin/{quote(path['lesion_id'], safe='')}",
                "ready": made.get(to_skin_key(files, path["lesion_id"]), False),
            }
            for path in document["paths"]
            if path["best"] is not None
        ],
        "plan_fields": dict(PLAN_FIELDS),
        "sendable_files": sorted(name for name in files if name.endswith(".dcm")),
    }


def list_scene_keys(item: Item, document: Mapping[str, Any], *, volume_key: str) -> list[str]:
    """Return every key that a scene says the readiness of.

    Parameters
    ----------
    item, document, volume_key
        As in `to_scene`.
    """
    files = list_files(item)
    skin = [to_skin_key(files, path["lesion_id"]) for path in document["paths"] if path["best"] is not None]
    return [volume_key, *list_plan_keys(files).values(), *skin]


def _to_grid(document: Mapping[str, Any]) -> dict[str, Any]:
    image = document["image"]
    affine = image["lps_from_ijk"]
    spacing = [round(sum(affine[row][axis] ** 2 for row in range(3)) ** 0.5, 6) for axis in range(3)]
    return {"shape_ijk": image["shape_ijk"], "lps_from_ijk": affine, "spacing_mm": spacing}


def _list_injected(document: Mapping[str, Any]) -> frozenset[str]:
    return frozenset(one["lesion_id"] for one in document["injections"] if one["volume_ml"] > 0)


def _list_lesions(document: Mapping[str, Any], labels: list[dict[str, Any]]) -> list[dict[str, Any]]:
    values = {row["lesion_id"]: row["value"] for row in labels if row["lesion_id"]}
    injected = _list_injected(document)
    return [
        {
            "lesion_id": lesion["id"],
            "label": lesion["label"],
            "value": values[lesion["id"]],
            "injected": lesion["id"] in injected,
            "is_new": lesion["is_new"],
            "centroid_lps_mm": lesion["centroid_lps_mm"],
        }
        for lesion in document["lesions"]
    ]
