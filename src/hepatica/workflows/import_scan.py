"""Take scans into the record: each series once, checked against its patient, all of it or nothing of it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from hepatica.core.progress import SILENT, Progress
from hepatica.record.event import JsonValue
from hepatica.record.item import Item
from hepatica.record.people import require_right
from hepatica.record.scan_identity import NOTHING_TO_COMPARE, HeaderIdentity, compare_identity
from hepatica.record.sign_in import make_secret
from hepatica.workflows.change_item import change_item, create_item, require_item
from hepatica.workflows.record_ports import ItemFilter, RecordContext, RecordReader, RecordWriter, VaultEntry
from hepatica.workflows.scan_ports import Disguise, PackedSeries, ScanPorts

RIGHT: Final = "scan.write"
SEVERAL: Final = "several persons in one series"
REPORT: Final = "removal.json"
"""Name of the removal report among a scan's files."""
MORE: Final = "more images of the same series arrived"


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportedSeries:
    """What became of one series.

    Parameters
    ----------
    scan_id
        Item of kind ``scan``; empty where the series is not this patient's to see.
    outcome
        ``imported``, ``known`` (the same images are there), ``extended`` (the images there and more), ``differs``
        (other images under the same UID: nothing was changed) or ``elsewhere`` (it is another patient's:
        nothing was changed).
    series_uid, modality, image_count, state
        As the record shows them.
    differing, suspicions
        Why it waits, if it does; attributes and reasons, never values.
    """

    scan_id: str
    outcome: str
    series_uid: str
    modality: str
    image_count: int
    state: str
    differing: tuple[str, ...] = ()
    suspicions: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportReport:
    """What an import did; ``other_files`` were no DICOM and were left out."""

    series: tuple[ImportedSeries, ...]
    other_files: int

    def to_document(self) -> dict[str, Any]:
        """Return it as JSON."""
        return {"series": [asdict(one) for one in self.series], "other_files": self.other_files}


def import_scan(
    context: RecordContext,
    ports: ScanPorts,
    *,
    patient_id: str,
    path: Path,
    source_pacs: str = "",
    progress: Progress = SILENT,
) -> ImportReport:
    """Take every DICOM series of a folder, archive or file into a patient's record.

    Each series is one change: its bytes are on the disk before the record names them. An import that is interrupted
    has taken whole series only; the same import again takes the rest.

    Parameters
    ----------
    context
        Who imports; needs the right ``scan.write`` at the patient's site.
    ports
        Of the record.
    patient_id
        Whose scans they are said to be.
    path
        Folder, zip or file.
    source_pacs
        Name of the PACS they come from; empty for files.
    progress
        Told about each image; may cancel between two.

    Raises
    ------
    NotFoundError, ForbiddenError
        If there is no such patient, or it is not his to import for.
    SourceFormatError, UnsafeArchiveError
        If the path holds no DICOM, damaged files, or an archive that is not safe.
    """
    patient, identity = _find_patient(context, patient_id)
    disguise = make_disguise(ports, patient)
    with ports.open_series(path, progress=progress) as source:
        done = []
        for number, found in enumerate(source.series, start=1):
            progress.stage(f"series {number} of {len(source.series)}")
            with source.pack(found, disguise=disguise, progress=progress) as packed:
                done.append(
                    _take(
                        context,
                        ports,
                        packed,
                        patient=patient,
                        differing=_list_differing(ports, packed.identities, identity),
                        source_pacs=source_pacs,
                    )
                )
        return ImportReport(series=tuple(done), other_files=source.other_files)


def make_disguise(ports: ScanPorts, patient: Item) -> Disguise | None:
    """Return a patient's pseudonym in research mode, None otherwise.

    Parameters
    ----------
    ports
        Of the record.
    patient
        The patient.
    """
    if ports.pseudonyms is None:
        return None
    return Disguise(
        subject_id=str(patient.values["subject_id"]),
        offset_days=ports.pseudonyms.to_offset_days(patient.item_id),
        pseudonyms=ports.pseudonyms,
    )


def find_identity_values(reader: RecordReader, patient_id: str) -> Mapping[str, JsonValue] | None:
    """Return who a patient is, for comparing only; None where nobody has entered it.

    Parameters
    ----------
    reader
        View of the record.
    patient_id
        The patient.
    """
    page = reader.list_items(ItemFilter(kind="identity", patient_id=patient_id, limit=1))
    return page.items[0].values if page.items else None


def to_state(*, differing: Sequence[str], suspicions: Sequence[str]) -> str:
    """Return the state of a scan that nobody has judged yet.

    Parameters
    ----------
    differing, suspicions
        Why it may have to wait.
    """
    if differing:
        return "identity_differs"
    return "suspected_burnt_in" if suspicions else "accepted"


def list_differing(
    mode: str, identities: Sequence[HeaderIdentity], patient: Mapping[str, JsonValue] | None
) -> tuple[str, ...]:
    """Return what differs between the persons that a series names and its patient.

    In a clinical record, a series with nothing to compare waits too: nothing shows that it is this patient's.

    Parameters
    ----------
    mode
        Of the record.
    identities
        Persons that the images name.
    patient
        Who the patient is; None where that is not entered.
    """
    found = {name for one in identities for name in compare_identity(one, patient or {})}
    if mode != "clinical":
        found.discard(NOTHING_TO_COMPARE)
    if len(identities) > 1:
        found.add(SEVERAL)
    return tuple(sorted(found))


def _list_differing(
    ports: ScanPorts, identities: Sequence[HeaderIdentity], patient: Mapping[str, JsonValue] | None
) -> tuple[str, ...]:
    return list_differing(ports.mode, identities, patient)


def _find_patient(context: RecordContext, patient_id: str) -> tuple[Item, Mapping[str, JsonValue] | None]:
    require_right(context.actor, RIGHT)
    with context.store.reading() as reader:
        patient = require_item(reader, kind="patient", item_id=patient_id)
        require_right(context.actor, RIGHT, site_id=patient.site_id)
        return patient, find_identity_values(reader, patient_id)


def _take(
    context: RecordContext,
    ports: ScanPorts,
    packed: PackedSeries,
    *,
    patient: Item,
    differing: tuple[str, ...],
    source_pacs: str,
) -> ImportedSeries:
    digest = context.files.keep_file(packed.path)
    values = _to_values(context, packed, digest=digest, differing=differing, source_pacs=source_pacs)
    with context.store.writing() as writer:
        known = _find_series(writer, packed.found.series_uid)
        if known is None:
            item = Item(
                kind="scan",
                item_id=make_secret()[:16],
                site_id=patient.site_id,
                patient_id=patient.item_id,
                version=1,
                values=values,
            )
            create_item(context, writer, item=item)
            outcome = "imported"
        else:
            item, outcome = _meet(context, ports, writer, known, patient=patient, values=values)
        if outcome in ("imported", "extended"):
            _fill_vault(ports, writer, packed, scan_id=item.item_id, patient=patient)
    return _to_imported(item, outcome)


def _meet(
    context: RecordContext,
    ports: ScanPorts,
    writer: RecordWriter,
    known: Item,
    *,
    patient: Item,
    values: Mapping[str, JsonValue],
) -> tuple[Item, str]:
    """Judge a series that the record holds already."""
    if known.patient_id != patient.item_id:
        return known, "elsewhere"
    if known.values["content_digest"] == values["content_digest"]:
        return known, "known"
    held, come = (
        ports.list_images(context.files.open_path(str(one["content_digest"])))
        for one in (known.values, values)
    )
    if come <= held:
        return known, "known"
    if not held <= come or known.locked or find_uses(writer, known):
        return known, "differs"
    changed = {name: values.get(name) for name in {*values, *known.values} - {"state", "differing"}}
    # What a person has accepted stays accepted, unless the new images bring another question.
    if set(_to_list(values.get("differing"))) - set(_to_list(known.values.get("differing"))):
        changed |= {"state": values["state"], "differing": values.get("differing")}
    elif set(_to_list(values.get("suspicions"))) - set(_to_list(known.values.get("suspicions"))):
        changed["state"] = values["state"]
    changed["source_pacs"] = known.values.get("source_pacs")
    item = change_item(
        context,
        writer,
        kind="scan",
        item_id=known.item_id,
        values=changed,
        expected_version=known.version,
        reason=MORE,
    )
    return item, "extended"


def find_uses(reader: RecordReader, scan: Item) -> tuple[Item, ...]:
    """Return the plans and reads that were made on a scan.

    Parameters
    ----------
    reader
        View of the record.
    scan
        The scan.
    """
    found = []
    for kind in ("plan", "read"):
        after = ""
        while True:
            page = reader.list_items(
                ItemFilter(kind=kind, patient_id=scan.patient_id, after=after, limit=500)
            )
            found += [
                item
                for item in page.items
                if scan.item_id == item.values.get("scan_id")
                or scan.item_id in _to_list(item.values.get("scan_ids"))
            ]
            after = page.next
            if not after:
                break
    return tuple(found)


def _find_series(reader: RecordReader, series_uid: str) -> Item | None:
    """Return the scan of a series that was not rejected, of whatever patient."""
    page = reader.list_items(ItemFilter(kind="scan", where={"series_uid": series_uid}, limit=100))
    return next((item for item in page.items if item.values["state"] != "rejected"), None)


def _to_values(
    context: RecordContext,
    packed: PackedSeries,
    *,
    digest: str,
    differing: tuple[str, ...],
    source_pacs: str,
) -> dict[str, JsonValue]:
    found = packed.found
    values: dict[str, JsonValue] = {
        "series_uid": found.series_uid,
        "study_uid": found.study_uid or None,
        "modality": found.modality,
        "acquired_date": found.acquired_date or None,
        "phase_hint": found.phase_hint,
        "image_count": found.image_count,
        "content_digest": digest,
        "state": to_state(differing=differing, suspicions=packed.suspicions),
        "differing": list(differing) or None,
        "suspicions": list(packed.suspicions) or None,
        "source_pacs": source_pacs or None,
    }
    if packed.removal is not None:
        report = json.dumps(packed.removal, indent=1, sort_keys=True).encode()
        values["files"] = {REPORT: context.files.keep_bytes(report)}
    return {name: value for name, value in values.items() if value is not None}


def _fill_vault(
    ports: ScanPorts, writer: RecordWriter, packed: PackedSeries, *, scan_id: str, patient: Item
) -> None:
    """Keep what the images say of the person, for whoever has to judge them, and what pseudonyms stand for."""
    people = [
        {name: getattr(one, name) for name in ("family_name", "given_name", "birth_date", "sex_code")}
        for one in packed.identities
    ]
    writer.vault.replace(
        VaultEntry(purpose="scan_identity", pseudonym=scan_id, original=json.dumps(people, sort_keys=True))
    )
    series = [entry for entry in packed.vault if entry.purpose == "series"]
    for entry in series:
        writer.vault.replace(entry)
    writer.vault.keep([entry for entry in packed.vault if entry.purpose != "series"])
    if ports.pseudonyms is not None:
        days = ports.pseudonyms.to_offset_days(patient.item_id)
        writer.vault.keep([VaultEntry(purpose="date_offset", pseudonym=patient.item_id, original=str(days))])


def _to_imported(item: Item, outcome: str) -> ImportedSeries:
    values = item.values
    own = outcome != "elsewhere"
    return ImportedSeries(
        scan_id=item.item_id if own else "",
        outcome=outcome,
        series_uid=str(values["series_uid"]),
        modality=str(values["modality"]),
        image_count=int(str(values.get("image_count", 0))),
        state=str(values["state"]) if own else "",
        differing=tuple(_to_list(values.get("differing"))) if own else (),
        suspicions=tuple(_to_list(values.get("suspicions"))) if own else (),
    )


def _to_list(value: JsonValue) -> list[str]:
    return [str(part) for part in value] if isinstance(value, list) else []
