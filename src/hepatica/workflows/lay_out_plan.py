"""Lay stored bytes out as the files that the planner reads."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from hepatica.core.errors import ConflictError, NotFoundError
from hepatica.record.item import Item
from hepatica.workflows.read_items import read_item
from hepatica.workflows.record_ports import RecordContext

if TYPE_CHECKING:
    from hepatica.workflows.request import PlanRequest

LABELS_MOST: Final = 20
NEEDLES: Final = "needles.toml"
"""The site's own table of needles, kept among a plan's files as it was when the plan was made."""


def lay_out_plan(
    context: RecordContext,
    asked: Mapping[str, Any],
    *,
    patient_id: str,
    folder: Path,
    needles: Path | None = None,
) -> PlanRequest:
    """Return the planner's request, with everything it names in a folder.

    Parameters
    ----------
    context
        Who plans: every scan and earlier plan must be one that this person may see.
    asked
        Request of a ``plan`` job.
    patient_id
        Whose scans they must be.
    folder
        Private folder.
    needles
        The site's own table of needles; None for the shipped one.

    Raises
    ------
    NotFoundError
        If a scan or plan is not there, or another patient's.
    ConflictError
        If a scan waits for a person's decision.
    """
    from hepatica.workflows.request import LabelInput, PlanRequest
    from hepatica.workflows.spread_request import SpreadRequest

    # Requests of earlier versions have neither.
    draws, rate = int(asked.get("spread_draws", 0)), asked.get("rate_ml_per_min")
    sources = _Sources(context, patient_id=patient_id, folder=folder)
    labels = []
    for number, label in enumerate(asked["labels"]):
        names = label["names"]
        if label["names_by_value"]:
            names = str(_write_names(folder / f"names-{number}.csv", label["names_by_value"]))
        path, redraws = sources.link_labels(label["scan_id"], f"labels-{number}")
        labels.append(
            LabelInput(path=path, names=names, drawn=redraws is not None, at_lps_mm=_to_point(redraws))
        )
    arterial = asked["arterial_scan_id"]
    return PlanRequest(
        image=sources.link_scan(asked["scan_id"], "ct"),
        labels=tuple(labels),
        protocol=asked["protocol"],
        visit=int(asked["visit"]),
        series=asked["series"] or None,
        resample=bool(asked["resample"]),
        arterial=sources.link_scan(arterial, "arterial") if arterial else None,
        priors=tuple(
            sources.link_plan(plan_id, f"prior-{number}")
            for number, plan_id in enumerate(asked["prior_plan_ids"])
        ),
        facts=_write_facts(folder / "facts.json", asked["facts"]) if asked["facts"] else None,
        absent=tuple(asked["absent"]),
        tumour_type=asked["tumour_type"],
        needle=asked["needle"],
        needles=needles,
        position=asked["position"],
        seed=int(asked["seed"]),
        spread=SpreadRequest(draws=draws, rate_ml_per_min=rate) if draws else None,
        rate_ml_per_min=None if draws else rate,
    )


def lay_out_stored_plan(context: RecordContext, item: Item, folder: Path) -> Path:
    """Lay a plan of the record out as the folder that the planner wrote, its inputs beside it.

    Parameters
    ----------
    context
        Who opens it.
    item
        Item of kind ``plan``.
    folder
        New folder; returned.
    """
    folder.mkdir(parents=True)
    files, asked = item.values["files"], item.values.get("request")
    assert isinstance(files, Mapping)
    for name, digest in files.items():
        if Path(name).name != name:
            raise NotFoundError(expected="a file name", given="a path", where=f"{item.kind} {item.item_id}")
        (folder / name).symlink_to(context.files.open_path(str(digest)))
    manifest = folder / "manifest.json"
    if isinstance(asked, Mapping) and manifest.exists():
        inputs = folder.with_name(f"{folder.name}-inputs")
        inputs.mkdir()
        needles = folder / NEEDLES if NEEDLES in files else None
        request = lay_out_plan(context, asked, patient_id=item.patient_id, folder=inputs, needles=needles)
        # Where the inputs lay when it was made is gone; their digests in the manifest are checked on reading.
        document = {**json.loads(manifest.read_bytes()), "sources": request.sources}
        manifest.unlink()
        manifest.write_text(json.dumps(document), encoding="utf-8")
    return folder


class _Sources:
    def __init__(self, context: RecordContext, *, patient_id: str, folder: Path) -> None:
        self._context, self._patient_id, self._folder = context, patient_id, folder

    def link_labels(self, scan_id: str, name: str) -> tuple[Path, Mapping[str, Any] | None]:
        """Return where labels lie, and what they redraw, None for labels that were given."""
        redraws = self._require("scan", scan_id).values.get("redraws")
        return self.link_scan(scan_id, name), redraws if isinstance(redraws, Mapping) else None

    def link_scan(self, scan_id: str, name: str) -> Path:
        scan = self._require("scan", scan_id)
        if scan.values["state"] != "accepted":
            raise ConflictError(
                expected="a scan that was accepted",
                given=str(scan.values["state"]),
                where=f"scan {scan_id}",
                action="decide about the scan first",
            )
        path = self._folder / name
        path.symlink_to(self._context.files.open_path(str(scan.values["content_digest"])))
        return path

    def link_plan(self, plan_id: str, name: str) -> Path:
        return lay_out_stored_plan(self._context, self._require("plan", plan_id), self._folder / name)

    def _require(self, kind: str, item_id: str) -> Item:
        item = read_item(self._context, kind=kind, item_id=item_id)
        if item.patient_id != self._patient_id:
            raise NotFoundError(expected=f"a {kind} of this patient", given="another", where=kind)
        return item


def _to_point(redraws: Mapping[str, Any] | None) -> tuple[float, float, float] | None:
    at = None if redraws is None else redraws.get("at_lps_mm")
    return None if at is None else (float(at[0]), float(at[1]), float(at[2]))


def _write_names(path: Path, names: Mapping[str, str]) -> Path:
    import csv

    with path.open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow(("value", "name"))
        rows.writerows((value, names[value]) for value in sorted(names, key=int))
    return path


def _write_facts(path: Path, facts: Mapping[str, Any]) -> Path:
    path.write_bytes(to_facts_bytes(facts))
    return path


def to_facts_bytes(facts: Mapping[str, Any]) -> bytes:
    """Return patient facts as the planner is given them by a record; their digest is part of the plan.

    Parameters
    ----------
    facts
        As the request states them.
    """
    return json.dumps(facts).encode()
