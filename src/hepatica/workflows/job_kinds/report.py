"""Report a site's patients: of the trial, or of response over time; a report item with its files out."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from hepatica.core.errors import NotSetError
from hepatica.record.event import Action, EventDraft, JsonValue
from hepatica.record.item import Item
from hepatica.record.sign_in import make_secret
from hepatica.workflows.change_item import create_item
from hepatica.workflows.job_ports import Commit, JobKind, JobResult, JobRun, Request
from hepatica.workflows.job_requests import RequestFields, refuse_field
from hepatica.workflows.record_ports import RecordWriter

if TYPE_CHECKING:
    from hepatica.workflows.derive_response import ResponseOutcome

RIGHT: Final = "export.report"
ABOUT: Final = ("trial", "response")
CRITERIA: Final = ("recist-1.1", "mrecist")
RULES: Final = ("itt", "fda-2007")
FINDINGS_MOST: Final = 100


def _check(request: Request) -> dict[str, Any]:
    fields = RequestFields(request)
    asked: dict[str, Any] = {
        "about": fields.take_name("about", required=True),
        "site_id": fields.take_name("site_id", required=True),
        "criterion": fields.take_name("criterion") or CRITERIA[0],
        "rules": fields.take_name("rules") or RULES[0],
    }
    fields.require_empty()
    for name, allowed in (("about", ABOUT), ("criterion", CRITERIA), ("rules", RULES)):
        if asked[name] not in allowed:
            raise refuse_field(name, f"one of {', '.join(allowed)}")
    return asked


def _run(run: JobRun) -> Commit:
    asked = run.job.request
    site_id = str(asked["site_id"])
    out = run.scratch / "report"
    outcome = _report(run, out=out, site_id=site_id)
    run.progress.stage("Keeping the report")
    files: dict[str, JsonValue] = {}
    for path in sorted(path for path in out.rglob("*") if path.is_file()):
        # A name in the record is never a path.
        files[path.relative_to(out).as_posix().replace("/", "__")] = run.context.files.keep_file(path)
        run.progress.check_cancelled()
    document = outcome.document
    subjects = document.get("subjects", document.get("courses"))
    item = Item(
        kind="report",
        item_id=make_secret()[:16],
        site_id=site_id,
        version=1,
        values={
            "about": asked["about"],
            "made_time": run.context.now_utc().isoformat(),
            "partial": outcome.partial,
            "subjects": subjects,
            "request": dict(asked),
            "files": files,
        },
    )
    findings = [
        {name: finding[name] for name in ("rule", "severity", "table", "message")}
        for finding in document["findings"][:FINDINGS_MOST]
    ]

    def commit(writer: RecordWriter) -> JobResult:
        created = create_item(run.context, writer, item=item)
        writer.append_event(
            EventDraft(
                time_utc=run.context.now_utc(),
                actor_id=run.context.actor.account_id,
                action=Action.EXPORT,
                kind="report",
                item_id=created.item_id,
                version=created.version,
                site_id=site_id,
                request_id=run.context.request_id,
            )
        )
        return {
            "report_id": created.item_id,
            "partial": outcome.partial,
            "subjects": subjects,
            "files": sorted(files),
            "findings": findings,
        }

    return commit


def _report(run: JobRun, *, out: Path, site_id: str) -> ResponseOutcome:
    from hepatica.followup.verdict import Criterion
    from hepatica.workflows.report_record import report_record_response, report_record_trial
    from hepatica.workflows.trial_report import TrialReportRequest

    if run.world.make_report_ports is None:
        raise NotSetError(expected="an installation that reports", given="one without", where="job")
    ports = run.world.make_report_ports()
    criterion = Criterion(str(run.job.request["criterion"]))
    if run.job.request["about"] == "trial":
        request = TrialReportRequest(folder=out, rules=str(run.job.request["rules"]), criterion=criterion)
        return report_record_trial(
            run.context, request, ports=ports.trial, out=out, site_id=site_id, progress=run.progress
        )
    return report_record_response(
        run.context, criterion, ports=ports, out=out, site_id=site_id, progress=run.progress
    )


JOB: Final = JobKind(
    name="report",
    label="Report a site's patients",
    right=RIGHT,
    of_patient=False,
    check=_check,
    run=_run,
)
