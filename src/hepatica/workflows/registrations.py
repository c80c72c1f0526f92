"""Registrations of a patient's scans: asked for when a read is assigned, or by hand; found, and shown with a read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from hepatica.core.errors import NotFoundError
from hepatica.record.item import Item
from hepatica.record.job import Job, JobState
from hepatica.record.people import require_right
from hepatica.workflows.jobs import queue_job, submit_job
from hepatica.workflows.read_items import read_item
from hepatica.workflows.record_ports import RecordContext, RecordReader, RecordWriter
from hepatica.workflows.scan_pair import KIND, MAP_FILE, ScanPair, find_pair, find_usable_pair, is_current

SHOWN_STATES: Final = frozenset({JobState.QUEUED, JobState.RUNNING, JobState.INTERRUPTED, JobState.FAILED})
OPEN: Final = frozenset({JobState.QUEUED, JobState.RUNNING})
JOBS_MOST: Final = 10_000
STALE: Final = "a scan was changed since it was registered"


def queue_registrations(
    context: RecordContext, writer: RecordWriter, *, patient_id: str, scan_ids: Sequence[str]
) -> list[Job]:
    """Queue what is not registered yet of a read's scans, in the name of who assigns it and in the same change.

    A read is assigned when its scans are known, and in which order: nothing earlier tells the baseline. What is
    queued waits for what people asked for.

    Parameters
    ----------
    context, writer
        Who assigns, and the change in the making.
    patient_id, scan_ids
        Whose scans, in the order of the visits.
    """
    if context.actor.is_system or not context.actor.may("registration.write") or len(scan_ids) < 2:
        return []
    queued = []
    for followup_id in dict.fromkeys(scan_ids[1:]):
        pair = find_usable_pair(writer, patient_id, scan_ids[0], followup_id)
        if pair is None or is_current(writer.find_item(KIND, pair.registration_id), pair):
            continue
        if _find_job(writer, pair, OPEN) is None:
            queued.append(queue_job(context, writer, kind=KIND, patient=pair.baseline, request=pair.request))
    return queued


def ask_registration(context: RecordContext, *, read_id: str, followup_scan_id: str) -> dict[str, Any]:
    """Queue the registration of a follow-up of a read to its baseline; a second asking finds the first.

    Returns what `list_read_registrations` says of it then: whose work it is, is not for everybody.

    Parameters
    ----------
    context
        Who asks; needs ``registration.write`` and must see the read.
    read_id, followup_scan_id
        The read, and which of its scans.

    Raises
    ------
    NotFoundError
        If there is no such read for him, or the scan is not a follow-up of it.
    """
    read = read_item(context, kind="read", item_id=read_id)
    require_right(context.actor, "registration.write", site_id=read.site_id)
    scan_ids = _texts(read.values.get("scan_ids"))
    if followup_scan_id not in scan_ids[1:] or followup_scan_id == scan_ids[0]:
        raise NotFoundError(expected="a follow-up of this read", given="another scan", where="scan")
    pair = find_pair(
        context, patient_id=read.patient_id, baseline_id=scan_ids[0], followup_id=followup_scan_id
    )
    with context.store.writing() as writer:
        if _find_job(writer, pair, OPEN) is None:
            submit_job(context, writer, kind=KIND, patient_id=read.patient_id, request=pair.request)
    return _describe(context, read, scan_ids[0], followup_scan_id)


def list_read_registrations(context: RecordContext, *, read_id: str) -> list[dict[str, Any]]:
    """Return how each follow-up of a read is registered to its baseline, or why it is not.

    Parameters
    ----------
    context
        Who looks.
    read_id
        A read that he may see.
    """
    read = read_item(context, kind="read", item_id=read_id)
    require_right(context.actor, "registration.read", site_id=read.site_id)
    scan_ids = _texts(read.values.get("scan_ids"))
    return [
        _describe(context, read, scan_ids[0], scan_id)
        for scan_id in dict.fromkeys(scan_ids[1:])
        if scan_id != scan_ids[0]
    ]


def _describe(context: RecordContext, read: Item, baseline_id: str, followup_id: str) -> dict[str, Any]:
    answer: dict[str, Any] = {"followup_scan_id": followup_id, "state": "none", **EMPTY}
    with context.store.reading() as reader:
        pair = find_usable_pair(reader, read.patient_id, baseline_id, followup_id)
        job = None if pair is None else _find_job(reader, pair, SHOWN_STATES)
    if pair is None:
        return answer | {"state": "not_evaluable", "reason": "a scan of this read is not accepted any more"}
    item = _find_registration(context, pair)
    if item is not None and is_current(item, pair):
        answer |= _to_answer(item)
    elif item is not None:
        answer["reason"] = STALE
    if job is not None and (job.state in OPEN or answer["state"] == "none"):
        answer["job_state"] = job.state.value
        answer["job_stage"], answer["job_fraction"] = job.stage, job.fraction
    return answer


EMPTY: Final[dict[str, Any]] = {
    "registration_id": "",
    "reason": "",
    "stage": "",
    "region": "",
    "residual_mm": None,
    "uncertainty_mm": None,
    "map_address": "",
    "job_state": "",
    "job_stage": "",
    "job_fraction": 0.0,
}


def _to_answer(item: Item) -> dict[str, Any]:
    values, files = item.values, item.values.get("files")
    digest = files.get(MAP_FILE) if isinstance(files, dict) else None
    return {
        "registration_id": item.item_id,
        "state": values["outcome"],
        "reason": values["reason"],
        "stage": values.get("stage") or "",
        "region": values.get("region") or "",
        "residual_mm": values.get("residual_mm"),
        "uncertainty_mm": values.get("uncertainty_mm"),
        "map_address": f"/api/files/{KIND}/{item.item_id}/{MAP_FILE}?v={digest}" if digest else "",
    }


def _find_registration(context: RecordContext, pair: ScanPair) -> Item | None:
    try:
        return read_item(context, kind=KIND, item_id=pair.registration_id)
    except NotFoundError:
        return None


def _find_job(reader: RecordReader, pair: ScanPair, states: frozenset[JobState]) -> Job | None:
    """Return the latest job of a pair in some states; few wait, run or failed at any time."""
    wanted = (KIND, pair.baseline.patient_id, pair.request)
    found = [
        job
        for job in reader.jobs.list_jobs(states=states, limit=JOBS_MOST)
        if (job.kind, job.patient_id, dict(job.request)) == wanted
    ]
    return found[-1] if found else None


def _texts(value: Any) -> list[str]:
    return [str(part) for part in value] if isinstance(value, list) else []
