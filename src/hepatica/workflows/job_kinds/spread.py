"""Simulate the spread of a plan of the record: a plan item in, a spread item with its files out."""

from __future__ import annotations

from typing import Any, Final

from hepatica.core.errors import ConflictError, NotFoundError
from hepatica.record.event import JsonValue
from hepatica.record.item import Item
from hepatica.record.sign_in import make_secret
from hepatica.workflows.change_item import create_item
from hepatica.workflows.job_ports import Commit, JobKind, JobResult, JobRun, Request
from hepatica.workflows.job_requests import RequestFields
from hepatica.workflows.lay_out_plan import lay_out_stored_plan
from hepatica.workflows.read_items import read_item
from hepatica.workflows.record_ports import RecordWriter

DRAWS_MOST: Final = 2000
"""A server shares its processors: more draws are for the command line."""
RATE_MOST_ML_PER_MIN: Final = 1000.0


def _check(request: Request) -> dict[str, Any]:
    fields = RequestFields(request)
    asked: dict[str, Any] = {
        "plan_id": fields.take_name("plan_id", required=True),
        "draws": fields.take_integer("draws", least=1, most=DRAWS_MOST, default=100),
        "seed": fields.take_integer("seed", least=0, most=2**31 - 1, default=1),
        "rate_ml_per_min": fields.take_number("rate_ml_per_min", above=0.0, most=RATE_MOST_ML_PER_MIN),
    }
    fields.require_empty()
    return asked


def _run(run: JobRun) -> Commit:
    from hepatica.workflows.spread_plan import spread_plan
    from hepatica.workflows.spread_request import SpreadRequest

    asked = run.job.request
    plan = _read_plan(run)
    run.progress.stage("Laying out the plan")
    folder = lay_out_stored_plan(run.context, plan, run.scratch / "plan")
    rate = asked["rate_ml_per_min"]
    request = SpreadRequest(
        draws=int(str(asked["draws"])),
        seed=int(str(asked["seed"])),
        rate_ml_per_min=None if rate is None else float(str(rate)),
    )
    result = spread_plan(
        folder,
        request=request,
        ports=run.world.make_plan_ports(),
        out=run.scratch / "spread",
        progress=run.progress,
    )
    run.progress.stage("Keeping the spread")
    files: dict[str, JsonValue] = {}
    for name in result.files:
        files[name] = run.context.files.keep_file(result.folder / name)
        run.progress.check_cancelled()
    item = Item(
        kind="spread",
        item_id=make_secret()[:16],
        site_id=plan.site_id,
        patient_id=plan.patient_id,
        version=1,
        values={**asked, "files": files},
    )

    def commit(writer: RecordWriter) -> JobResult:
        _require_unmoved(writer, plan)
        created = create_item(run.context, writer, item=item)
        return {"spread_id": created.item_id, "plan_id": plan.item_id, "files": sorted(files)}

    return commit


def _read_plan(run: JobRun) -> Item:
    plan = read_item(run.context, kind="plan", item_id=str(run.job.request["plan_id"]))
    if plan.patient_id != run.job.patient_id:
        raise NotFoundError(expected="a plan of this patient", given="another", where="plan")
    if not plan.values.get("request"):
        raise ConflictError(
            expected="a plan that was made from scans of the record",
            given="one without its scans",
            where="plan",
            action="plan the scan again in the record",
        )
    return plan


def _require_unmoved(writer: RecordWriter, plan: Item) -> None:
    """Refuse a prediction of a plan that was changed, or whose scan was moved or barred, while it was made."""
    now = writer.find_item("plan", plan.item_id)
    scan = writer.find_item("scan", str(plan.values["scan_id"]))
    if (
        now is None
        or (now.patient_id, now.values["files"]) != (plan.patient_id, plan.values["files"])
        or scan is None
        or scan.patient_id != plan.patient_id
        or scan.values["state"] != "accepted"
    ):
        raise ConflictError(
            expected="the plan and its scan as they were",
            given="one that was changed or moved meanwhile",
            where="plan",
            action="simulate again",
        )


JOB: Final = JobKind(
    name="spread",
    label="Simulate the spread of a plan",
    right="plan.write",
    of_patient=True,
    check=_check,
    run=_run,
)
