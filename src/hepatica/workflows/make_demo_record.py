"""Make the record of the demonstration: the shipped case imported and planned, and a simulated cohort."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from hepatica.core.progress import Progress
from hepatica.record.event import JsonValue
from hepatica.record.item import Item
from hepatica.workflows.change_item import create_item
from hepatica.workflows.cohort.care import STUDY
from hepatica.workflows.demo_names import PATIENT, PLAN, SITE, SUBJECT
from hepatica.workflows.import_scan import import_scan
from hepatica.workflows.lay_out_plan import to_facts_bytes
from hepatica.workflows.make_views import keep_plan_views
from hepatica.workflows.plan_injection import PlanOutcome, plan_injection
from hepatica.workflows.plan_ports import PlanPorts
from hepatica.workflows.plan_scene import to_volume_key
from hepatica.workflows.read_items import read_item
from hepatica.workflows.record_ports import RecordContext
from hepatica.workflows.request import LabelInput, PlanRequest
from hepatica.workflows.scan_ports import ScanPorts
from hepatica.workflows.view_ports import ViewPorts

UID_ROOT: Final = "2.25.20150"


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoWorld:
    """What making the demonstration's record needs.

    Parameters
    ----------
    scans, plans, views
        Ports of imports, of the planner, and of what a viewer is shown.
    """

    scans: ScanPorts
    plans: PlanPorts
    views: ViewPorts


def add_demo_case(
    context: RecordContext, world: DemoWorld, request: PlanRequest, *, out: Path, progress: Progress
) -> PlanOutcome:
    """Import the shipped scan and labels, plan, and keep the plan with all its files.

    The stored bytes are those the plan was made from, so that the record can open the plan again.

    Parameters
    ----------
    context
        The program itself, on a record that has the simulated study.
    world
        Ports.
    request
        Planning job of the shipped case; its files are what is imported.
    out
        Folder of the plan, as ``hepatica demo`` writes it.
    progress
        Told of stages.
    """
    _enrol(context)
    scan_id = _import(context, world, request.image, progress=progress)
    arterial_id = _import(context, world, request.arterial, progress=progress) if request.arterial else ""
    labels = [_keep_labels(context, world, label, number) for number, label in enumerate(request.labels, 1)]
    asked = _to_asked(request, world, scan_id=scan_id, arterial_id=arterial_id, labels=labels)
    facts = context.files.open_path(context.files.keep_bytes(to_facts_bytes(asked["facts"])))
    outcome = plan_injection(
        replace(request, facts=facts), ports=world.plans, out=out, overwrite=True, progress=progress
    )
    progress.stage("Keeping the plan")
    files: dict[str, JsonValue] = {name: context.files.keep_file(out / name) for name in outcome.files}
    values: dict[str, JsonValue] = {
        "scan_id": scan_id,
        "visit_number": request.visit,
        "status": str(outcome.document["status"]),
        "files": files,
        "request": asked,
    }
    _keep_views(context, world, outcome, scan_id=scan_id, files=files)
    _create(context, "plan", PLAN, values)
    for lesion in outcome.document["lesions"]:
        _keep_lesion(context, lesion)
    return outcome


def _keep_views(
    context: RecordContext, world: DemoWorld, outcome: PlanOutcome, *, scan_id: str, files: Mapping[str, Any]
) -> None:
    """Make at once what the viewer will ask for: the first who opens the page waits for nothing."""
    if outcome.context is None:
        return
    scan = read_item(context, kind="scan", item_id=scan_id)
    keep_plan_views(
        world.views,
        anatomy=outcome.context.anatomy,
        lesions=outcome.plan.lesions,
        values=outcome.context.image.volume.values,
        document=outcome.document,
        volume_key=to_volume_key(str(scan.values["content_digest"])),
        files=files,
        folder=outcome.folder,
    )


def _enrol(context: RecordContext) -> None:
    values: dict[str, JsonValue] = {"subject_id": SUBJECT, "status": "screening", "tumour_type": "hcc"}
    _create(context, "patient", PATIENT, values, reason="real de-identified scan of a public collection")
    today = context.now_utc().date().isoformat()
    _create(
        context,
        "consent",
        f"{PATIENT}-consent",
        {"study_id": STUDY, "form_version": "demo", "signed_date": today},
    )


def _import(context: RecordContext, world: DemoWorld, path: Path, *, progress: Progress) -> str:
    report = import_scan(context, world.scans, patient_id=PATIENT, path=path, progress=progress)
    return report.series[0].scan_id


def _keep_labels(
    context: RecordContext, world: DemoWorld, label: LabelInput, number: int
) -> dict[str, JsonValue]:
    """Keep a label map as it is, the names of its values with what asks for the plan."""
    scan_id = f"{PATIENT}-labels{number}"
    values: dict[str, JsonValue] = {
        "series_uid": f"{UID_ROOT}.{number}",
        "modality": "SEG",
        "phase_hint": "label map",
        "content_digest": context.files.keep_file(label.path),
        "state": "accepted",
    }
    _create(context, "scan", scan_id, values)
    names = world.plans.read_names(str(label.names))
    table: dict[str, Any] = {str(value): name for value, name in names.items()}
    return {"scan_id": scan_id, "names": "", "names_by_value": table}


def _to_asked(
    request: PlanRequest,
    world: DemoWorld,
    *,
    scan_id: str,
    arterial_id: str,
    labels: list[dict[str, JsonValue]],
) -> dict[str, Any]:
    """Return the request as a plan job of the record states it."""
    facts = json.loads(world.plans.read_bytes(request.facts)) if request.facts else {}
    return {
        "scan_id": scan_id,
        "arterial_scan_id": arterial_id,
        "labels": labels,
        "prior_plan_ids": [],
        "visit": request.visit,
        "protocol": request.protocol,
        "facts": facts,
        "absent": list(request.absent),
        "tumour_type": request.tumour_type,
        "needle": request.needle,
        "position": request.position,
        "series": request.series or "",
        "resample": request.resample,
        "seed": request.seed,
    }


def _keep_lesion(context: RecordContext, lesion: Mapping[str, Any]) -> None:
    values: dict[str, JsonValue] = {
        "lesion_label": str(lesion["id"]),
        "tracking_uid": str(lesion["tracking_uid"]),
        "location": "LIVER",
    }
    _create(context, "lesion", f"{PATIENT}-{str(lesion['id']).lower()}", values)


def _create(
    context: RecordContext, kind: str, item_id: str, values: dict[str, JsonValue], *, reason: str = ""
) -> None:
    item = Item(kind=kind, item_id=item_id, site_id=SITE, patient_id=PATIENT, version=1, values=values)
    with context.store.writing() as writer:
        create_item(context, writer, item=item, reason=reason)
