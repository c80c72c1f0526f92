"""Register a follow-up scan of a patient to his baseline; the result is kept, also where it is none."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from hepatica.core.errors import ConflictError
from hepatica.record.event import JsonValue
from hepatica.record.item import Item
from hepatica.record.people import make_system_actor
from hepatica.workflows.change_item import change_item, create_item
from hepatica.workflows.job_ports import Commit, JobKind, JobResult, JobRun, Request
from hepatica.workflows.job_requests import RequestFields, refuse_field
from hepatica.workflows.record_ports import ItemFilter, RecordContext, RecordReader, RecordWriter
from hepatica.workflows.scan_pair import KIND, MAP_FILE, ScanPair, find_pair

if TYPE_CHECKING:
    from hepatica.workflows.register_pair import ScanInput

LABELS_MOST: Final = 4
"""Label sources of a scan that are looked at, the newest plan's first."""


def _check(request: Request) -> dict[str, Any]:
    fields = RequestFields(request)
    asked = {name: fields.take_name(name, required=True) for name in ("baseline_scan_id", "followup_scan_id")}
    fields.require_empty()
    if asked["baseline_scan_id"] == asked["followup_scan_id"]:
        raise refuse_field("followup_scan_id", "another scan than the baseline")
    return asked


def _run(run: JobRun) -> Commit:
    from hepatica.workflows.register_pair import register_pair

    asked = run.job.request
    # The scans must be there for whoever asked; labels are computed with, and shown to nobody.
    pair = find_pair(
        run.context,
        patient_id=run.job.patient_id,
        baseline_id=str(asked["baseline_scan_id"]),
        followup_id=str(asked["followup_scan_id"]),
    )
    outcome = register_pair(
        _lay_out(run, pair.baseline, "baseline"),
        _lay_out(run, pair.followup, "followup"),
        ports=run.world.make_plan_ports(),
        progress=run.progress,
    )
    run.progress.check_cancelled()
    files: dict[str, JsonValue] | None = None
    if outcome.packed is not None:
        files = {MAP_FILE: run.context.files.keep_bytes(outcome.packed.data)}
    values = {
        **asked,
        "baseline_digest": pair.baseline.values["content_digest"],
        "followup_digest": pair.followup.values["content_digest"],
        **outcome.values,
        "files": files,
    }

    def commit(writer: RecordWriter) -> JobResult:
        _require_unmoved(writer, pair)
        kept = _keep(run.context, writer, pair, {**values})
        return {"registration_id": kept.item_id, "outcome": kept.values["outcome"]}

    return commit


def _keep(context: RecordContext, writer: RecordWriter, pair: ScanPair, values: dict[str, JsonValue]) -> Item:
    """Write the registration of a pair in the place of an earlier one; the trail keeps both."""
    if context.actor.is_blinded:
        # A blinded reader may ask, and does not see every field: the program writes, and the request names the job.
        context = replace(context, actor=make_system_actor())
    before = writer.find_item(KIND, pair.registration_id)
    if before is not None:
        empty: dict[str, JsonValue] = dict.fromkeys(before.values)
        return change_item(
            context,
            writer,
            kind=KIND,
            item_id=before.item_id,
            values={**empty, **values},
            expected_version=before.version,
            reason="registered again",
        )
    item = Item(
        kind=KIND,
        item_id=pair.registration_id,
        site_id=pair.followup.site_id,
        patient_id=pair.followup.patient_id,
        version=1,
        values={name: value for name, value in values.items() if value is not None},
    )
    return create_item(context, writer, item=item)


def _lay_out(run: JobRun, scan: Item, name: str) -> ScanInput:
    from hepatica.workflows.register_pair import ScanInput
    from hepatica.workflows.request import LabelInput

    path = _link(run, scan, name)
    labels = []
    with run.context.store.reading() as reader:
        sources = find_label_sources(reader, scan)
    for number, (source, names) in enumerate(sources):
        table = names
        if isinstance(names, dict):
            table = str(_write_names(run.scratch / f"{name}-names-{number}.csv", names))
        labels.append(LabelInput(path=_link(run, source, f"{name}-labels-{number}"), names=str(table or "")))
    return ScanInput(path=path, labels=tuple(labels), phase=str(scan.values.get("phase_hint") or ""))


def find_label_sources(reader: RecordReader, scan: Item) -> list[tuple[Item, JsonValue]]:
    """Return what was labelled on a scan, each with its names: drawn on it in the record, or planned with.

    Parameters
    ----------
    reader
        View of the record.
    scan
        The scan.
    """
    found: dict[str, tuple[Item, JsonValue]] = {}
    plans = _list_all(reader, "plan", scan.patient_id)
    for plan in sorted(plans, key=lambda plan: int(str(plan.values["visit_number"])), reverse=True):
        asked = plan.values.get("request")
        if plan.values["scan_id"] != scan.item_id or not isinstance(asked, dict):
            continue
        for label in asked.get("labels") or ():
            source = reader.find_item("scan", str(label["scan_id"]))
            if _is_usable(source, scan) and source is not None:
                found.setdefault(source.item_id, (source, label["names_by_value"] or label["names"]))
    for source in _list_all(reader, "scan", scan.patient_id):
        if source.values.get("labels_of") == scan.item_id and _is_usable(source, scan):
            found.setdefault(source.item_id, (source, source.values.get("label_names")))
    return list(found.values())[:LABELS_MOST]


def _list_all(reader: RecordReader, kind: str, patient_id: str) -> list[Item]:
    found: list[Item] = []
    after = ""
    while True:
        page = reader.list_items(ItemFilter(kind=kind, patient_id=patient_id, after=after, limit=500))
        found += page.items
        after = page.next
        if not after:
            return found


def _is_usable(source: Item | None, scan: Item) -> bool:
    return (
        source is not None and source.patient_id == scan.patient_id and source.values["state"] == "accepted"
    )


def _link(run: JobRun, scan: Item, name: str) -> Path:
    path = run.scratch / name
    path.symlink_to(run.context.files.open_path(str(scan.values["content_digest"])))
    return path


def _write_names(path: Path, names: dict[str, JsonValue]) -> Path:
    import csv

    with path.open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow(("value", "name"))
        rows.writerows((value, names[value]) for value in sorted(names, key=int))
    return path


def _require_unmoved(writer: RecordWriter, pair: ScanPair) -> None:
    """Refuse a registration of scans that were changed, moved or barred while it was made."""
    for scan in (pair.baseline, pair.followup):
        now = writer.find_item("scan", scan.item_id)
        same = now is not None and (now.patient_id, now.values["state"], now.values["content_digest"]) == (
            scan.patient_id,
            "accepted",
            scan.values["content_digest"],
        )
        if not same:
            raise ConflictError(
                expected="the scans as they were",
                given="one that was changed or moved meanwhile",
                where="registration",
                action="register again",
            )


JOB: Final = JobKind(
    name=KIND,
    label="Register a follow-up scan",
    right="registration.write",
    of_patient=True,
    check=_check,
    run=_run,
    starts_by_itself=True,
)
