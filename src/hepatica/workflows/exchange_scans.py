"""Look into a PACS, take a study from it, and send a plan back to where its scan came from."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from hepatica.core.errors import ConflictError, ForbiddenError, RecordInputError
from hepatica.core.progress import SILENT, Progress
from hepatica.record.event import Action, EventDraft
from hepatica.record.item import Item
from hepatica.record.people import require_right
from hepatica.workflows.change_item import require_item
from hepatica.workflows.import_scan import ImportReport, find_identity_values, import_scan
from hepatica.workflows.judge_scan import require_accepted
from hepatica.workflows.read_items import read_item
from hepatica.workflows.record_ports import RecordContext
from hepatica.workflows.scan_ports import PacsDirectory, ScanPorts, StudyQuery

SENT: Final = ".dcm"
"""Files of a plan that a PACS takes: report (SR), segmentation (SEG), sheet (encapsulated PDF)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SendReport:
    """What was sent: files of the plan, and where to."""

    pacs: str
    files: tuple[str, ...]


def prepare_search(context: RecordContext, *, query: StudyQuery, patient_id: str = "") -> StudyQuery:
    """Return what to ask a PACS, and note in the trail that somebody looks.

    Parameters
    ----------
    context
        Who looks; needs ``scan.write`` and ``identity.read``, since a PACS answers with names.
    query
        What to look for.
    patient_id
        A patient of the record whose hospital number to look for; empty to take the query's.

    Raises
    ------
    RecordInputError
        If the patient's hospital number is not entered.
    """
    for right in ("scan.write", "identity.read"):
        require_right(context.actor, right)
    if not patient_id:
        return query
    patient = read_item(context, kind="patient", item_id=patient_id)
    require_right(context.actor, "identity.read", site_id=patient.site_id)
    with context.store.writing() as writer:
        number = str((find_identity_values(writer, patient_id) or {}).get("hospital_number") or "")
        if not number:
            raise RecordInputError(
                expected="the patient's hospital number", given="none", where=f"patient {patient_id}"
            )
        writer.append_event(_to_event(context, patient, Action.READ, reason="looked for in a PACS"))
    return replace(query, patient_number=number)


def import_from_pacs(
    context: RecordContext,
    ports: ScanPorts,
    directory: PacsDirectory,
    *,
    name: str,
    study_uid: str,
    patient_id: str,
    progress: Progress = SILENT,
) -> ImportReport:
    """Take a whole study from a PACS into a patient's record, or nothing of it.

    Parameters
    ----------
    context
        Who imports; needs ``scan.write``.
    ports, directory
        Of the record and the server.
    name
        Name of the PACS in the server's configuration.
    study_uid
        The study.
    patient_id
        Whose it is said to be; who the images name is compared as with files.
    progress
        Told how far it is; may cancel.
    """
    require_right(context.actor, "scan.write")
    read_item(context, kind="patient", item_id=patient_id)
    pacs = directory.open(name)
    with ports.make_folder() as folder:
        progress.stage("asking the PACS")
        pacs.fetch_study(study_uid, folder=folder, progress=progress)
        return import_scan(
            context, ports, patient_id=patient_id, path=folder, source_pacs=name, progress=progress
        )


def send_plan(
    context: RecordContext,
    ports: ScanPorts,
    directory: PacsDirectory,
    *,
    plan_id: str,
    progress: Progress = SILENT,
) -> SendReport:
    """Send a plan's DICOM objects to the PACS that its scan came from, and to no other.

    Parameters
    ----------
    context
        Who sends; needs ``scan.send`` at the patient's site.
    ports, directory
        Of the record and the server.
    plan_id
        The plan.
    progress
        Told about each object; may cancel between two.

    Raises
    ------
    ForbiddenError
        In a research record: its objects carry pseudonyms, and would file under nobody or somebody else.
    ConflictError
        If the scan is not accepted, came from no PACS, or an object belongs to another study.
    PacsError
        If the PACS does not take them all.
    """
    if ports.mode != "clinical":
        raise ForbiddenError(
            expected="a clinical record",
            given=f"a {ports.mode} one: nothing is sent back from it",
            where="send",
        )
    plan = read_item(context, kind="plan", item_id=plan_id)
    require_right(context.actor, "scan.send", site_id=plan.site_id)
    with context.store.reading() as reader:
        scan = require_item(reader, kind="scan", item_id=str(plan.values["scan_id"]))
    name = _find_origin(plan, scan)
    files = plan.values["files"]
    names = sorted(file for file in files if file.endswith(SENT)) if isinstance(files, dict) else []
    objects = [context.files.read_bytes(str(files[file])) for file in names]  # type: ignore[index, call-overload]
    if not objects or any(ports.read_study_uid(data) != scan.values.get("study_uid") for data in objects):
        raise ConflictError(
            expected="DICOM objects of the scan's own study",
            given="none, or those of another study",
            where=f"plan {plan_id}",
            action="plan again on this scan",
        )
    progress.stage(f"sending {len(objects)} objects")
    directory.open(name).send(objects, progress=progress)
    with context.store.writing() as writer:
        writer.append_event(
            _to_event(context, plan, Action.EXPORT, reason=f"{len(objects)} objects sent to PACS '{name}'")
        )
    return SendReport(pacs=name, files=tuple(names))


def _find_origin(plan: Item, scan: Item) -> str:
    if scan.patient_id != plan.patient_id:
        raise ConflictError(
            expected="a scan of the plan's patient", given="another's", where=f"plan {plan.item_id}"
        )
    require_accepted(scan)
    name = str(scan.values.get("source_pacs") or "")
    if not name:
        raise ConflictError(
            expected="a scan that came from a PACS",
            given="one from files: it has no place to send to",
            where=f"scan {scan.item_id}",
        )
    return name


def _to_event(context: RecordContext, item: Item, action: Action, *, reason: str) -> EventDraft:
    return EventDraft(
        time_utc=context.now_utc(),
        actor_id=context.actor.account_id,
        action=action,
        kind=item.kind,
        item_id=item.item_id,
        version=item.version,
        site_id=item.site_id,
        patient_id=item.patient_id,
        reason=reason,
        request_id=context.request_id,
    )
