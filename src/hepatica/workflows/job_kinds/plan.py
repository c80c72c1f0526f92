"""Plan a scan of the record: stored bytes in, a plan item with its files out."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from hepatica.core.errors import ConflictError, OutputError
from hepatica.record.event import JsonValue
from hepatica.record.item import Item
from hepatica.record.sign_in import make_secret
from hepatica.workflows.change_item import create_item
from hepatica.workflows.job_ports import Commit, JobKind, JobResult, JobRun, Request
from hepatica.workflows.job_requests import RequestFields, refuse_field
from hepatica.workflows.lay_out_plan import LABELS_MOST, NEEDLES, lay_out_plan
from hepatica.workflows.read_items import read_item
from hepatica.workflows.record_ports import RecordWriter

if TYPE_CHECKING:
    from hepatica.workflows.plan_injection import PlanOutcome

DRAWS_MOST: Final = 1000
"""Draws of a predicted spread; more are for the command line, where they may take a night."""


def _check(request: Request) -> dict[str, Any]:
    fields = RequestFields(request)
    asked: dict[str, Any] = {
        "scan_id": fields.take_name("scan_id", required=True),
        "arterial_scan_id": fields.take_name("arterial_scan_id"),
        "labels": [_check_label(label) for label in fields.take_objects("labels")],
        "prior_plan_ids": fields.take_names("prior_plan_ids"),
        "visit": fields.take_integer("visit", least=1, most=999),
        "protocol": fields.take_name("protocol", required=True),
        "facts": fields.take_object("facts"),
        "absent": fields.take_names("absent"),
        "tumour_type": fields.take_name("tumour_type"),
        "needle": fields.take_words("needle"),
        "position": fields.take_name("position"),
        "series": fields.take_name("series"),
        "resample": fields.take_flag("resample"),
        "seed": fields.take_integer("seed", least=0, most=2**31 - 1, default=1),
        "spread_draws": fields.take_integer("spread_draws", least=0, most=DRAWS_MOST, default=0),
        "rate_ml_per_min": fields.take_number("rate_ml_per_min", above=0.0, most=1000.0),
    }
    fields.require_empty()
    if not 1 <= len(asked["labels"]) <= LABELS_MOST:
        raise refuse_field("labels", f"1 to {LABELS_MOST} label sources")
    return asked


def _check_label(label: dict[str, Any]) -> dict[str, Any]:
    fields = RequestFields(label)
    table = fields.take_object("names_by_value")
    if not all(
        value.isdecimal() and len(value) < 10 and isinstance(name, str) and 0 < len(name) < 100
        for value, name in table.items()
    ):
        raise refuse_field("labels, names_by_value", "names by whole numbers")
    asked = {
        "scan_id": fields.take_name("scan_id", required=True),
        "names": fields.take_name("names"),
        "names_by_value": table,
    }
    fields.require_empty()
    return asked


def _run(run: JobRun) -> Commit:
    from hepatica.workflows.plan_injection import plan_injection

    asked = run.job.request
    run.progress.stage("Laying out the scan")
    needles = _lay_out_needles(run)
    laid = lay_out_plan(
        run.context, asked, patient_id=run.job.patient_id, folder=run.scratch, needles=needles
    )
    out = run.scratch / "plan"
    outcome = plan_injection(laid, ports=run.world.make_plan_ports(), out=out, progress=run.progress)
    run.progress.stage("Keeping the plan")
    files: dict[str, JsonValue] = {}
    for name in outcome.files:
        files[name] = run.context.files.keep_file(out / name)
        run.progress.check_cancelled()
    if needles is not None:
        # As it is now: the plan is opened and replayed with it, whatever the site's table says later.
        files[NEEDLES] = run.context.files.keep_file(needles)
    _keep_views(run, outcome, files)
    item = Item(
        kind="plan",
        item_id=make_secret()[:16],
        site_id=run.job.site_id,
        patient_id=run.job.patient_id,
        version=1,
        values={
            "scan_id": asked["scan_id"],
            "visit_number": asked["visit"],
            "status": str(outcome.document["status"]),
            "files": files,
            "request": dict(asked),
        },
    )

    def commit(writer: RecordWriter) -> JobResult:
        _require_unmoved(run, writer)
        created = create_item(run.context, writer, item=item)
        return {"plan_id": created.item_id, "status": created.values["status"], "files": sorted(files)}

    return commit


def _lay_out_needles(run: JobRun) -> Path | None:
    """Return the site's own table of needles, None where it has none or the plan names a shipped one."""
    from hepatica.workflows.plan_choices import takes_site_needles

    raw = run.world.read_site_needles() if run.world.read_site_needles is not None else None
    if raw is None or not takes_site_needles(raw, str(run.job.request["needle"])):
        return None
    path = run.scratch / NEEDLES
    path.write_bytes(raw)
    return path


def _keep_views(run: JobRun, outcome: PlanOutcome, files: dict[str, JsonValue]) -> None:
    """Make at once what a viewer will ask for: the scan and its structures are in memory."""
    if run.world.make_view_ports is None or outcome.context is None:
        return
    from hepatica.workflows.make_views import keep_plan_views
    from hepatica.workflows.plan_scene import to_volume_key

    run.progress.stage("Preparing the view")
    asked = run.job.request
    scan = read_item(run.context, kind="scan", item_id=str(asked["scan_id"]))
    # The plan is made; a disk without room for its pictures must not lose it.
    with suppress(OutputError):
        keep_plan_views(
            run.world.make_view_ports(),
            anatomy=outcome.context.anatomy,
            lesions=outcome.plan.lesions,
            values=outcome.context.image.volume.values,
            document=outcome.document,
            volume_key=to_volume_key(
                str(scan.values["content_digest"]),
                series=str(asked["series"] or ""),
                resample=bool(asked["resample"]),
            ),
            files=files,
            folder=outcome.folder,
        )


def _require_unmoved(run: JobRun, writer: RecordWriter) -> None:
    """Refuse a plan of a scan that was moved to another patient, or barred, while it was made."""
    scan = writer.find_item("scan", str(run.job.request["scan_id"]))
    if scan is None or scan.patient_id != run.job.patient_id or scan.values["state"] != "accepted":
        raise ConflictError(
            expected="the scan as it was",
            given="one that was moved meanwhile",
            where="scan",
            action="plan again",
        )


JOB: Final = JobKind(
    name="plan",
    label="Plan an injection",
    right="plan.write",
    of_patient=True,
    check=_check,
    run=_run,
)
