"""A trial's tables from the record: what a report reads from files, written from items."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from hepatica.core.errors import HepaticaError, NotFoundError
from hepatica.core.findings import NotEvaluable, Severity
from hepatica.core.progress import SILENT, Progress
from hepatica.procedure.entry_kind import Phase
from hepatica.procedure.outputs import to_exposure_rows
from hepatica.procedure.state import derive_day
from hepatica.record.consent import Purpose, assess_consent
from hepatica.record.item import Item
from hepatica.record.people import require_right
from hepatica.workflows.derive_response import RowFinding
from hepatica.workflows.record_ports import PAGE_MAX, ItemFilter, RecordContext, RecordReader
from hepatica.workflows.record_procedure import read_entries, read_planned, read_settings
from hepatica.workflows.record_rows import (
    AE_COLUMNS,
    DM_COLUMNS,
    DS_COLUMNS,
    EX_COLUMNS,
    Row,
    Subject,
    number_rows,
    read_text,
    to_demographics,
    to_dispositions,
    to_events,
)
from hepatica.workflows.record_tumours import (
    TR_COLUMNS,
    TU_COLUMNS,
    Marks,
    find_holding_read,
    to_tumour_rows,
)

RIGHT: Final = "export.report"
"""Who may have a report: nobody who reads blinded. What it is made of is read with the report's own authority."""
TRIAL_RIGHT: Final = "trial.read"
"""Who may see how a trial stands."""
STUDY_BYTES: Final = 20
"""Longest STUDYID of the datasets; a row with a longer one would be left out."""
COLUMNS: Final = {
    "DM": DM_COLUMNS, "DS": DS_COLUMNS, "AE": AE_COLUMNS, "EX": EX_COLUMNS, "TU": TU_COLUMNS, "TR": TR_COLUMNS,
}  # fmt: skip
KINDS: Final = (
    "consent", "visit", "adverse_event", "procedure", "lesion", "read", "measurement", "scan", "plan",
)  # fmt: skip
WriteTable = Callable[[Path, Sequence[str], Sequence[Mapping[str, str]]], None]


@dataclass(slots=True)
class RecordTables:
    """Rows by dataset, and what was said on the way.

    Parameters
    ----------
    rows
        By name of the dataset; one without rows is not reported.
    findings
        What is missing or could not be used.
    subjects
        How many patients are in them.
    """

    rows: dict[str, list[Row]] = field(default_factory=lambda: {name: [] for name in COLUMNS})
    findings: list[RowFinding] = field(default_factory=list)
    subjects: int = 0


def read_record_tables(
    context: RecordContext, *, site_id: str = "", criterion: str = "recist-1.1", progress: Progress = SILENT
) -> RecordTables:
    """Return the tables of a trial as the record holds it now.

    Parameters
    ----------
    context
        Who reports; needs the right ``export.report``.
    site_id
        The site; empty for every site, which only the program itself may ask for.
    criterion
        Whose reads make TU and TR.
    progress
        Told of patients; may cancel.

    Raises
    ------
    ForbiddenError
        Without the right, or at another site.
    NotFoundError
        If there is no patient.
    """
    require_right(context.actor, RIGHT, site_id=site_id)
    if not site_id and not context.actor.is_system:
        raise NotFoundError(expected="a site", given="none", where="site_id", action="name the site")
    sites = frozenset({site_id}) if site_id else None
    return _read_tables(context, sites, criterion=criterion, progress=progress)


def read_tables_of_sites(
    context: RecordContext, *, criterion: str = "recist-1.1", progress: Progress = SILENT
) -> RecordTables:
    """Return the tables of all sites of the person, for figures of a trial that name nobody elsewhere.

    Parameters
    ----------
    context
        Who asks; needs the right ``trial.read``.
    criterion, progress
        As in `read_record_tables`.

    Raises
    ------
    NotFoundError
        If there is no patient.
    """
    require_right(context.actor, TRIAL_RIGHT)
    sites = None if context.actor.is_system else context.actor.site_ids
    return _read_tables(context, sites, criterion=criterion, progress=progress)


def _read_tables(
    context: RecordContext, sites: frozenset[str] | None, *, criterion: str, progress: Progress
) -> RecordTables:
    tables = RecordTables()
    with context.store.reading() as reader:
        patients = list(_list(reader, "patient", site_ids=sites))
        studies = {item.item_id: item for item in _list(reader, "study")}
        tables.findings += (
            _say(
                "study",
                "The title is shortened to a STUDYID: enter a study identifier.",
                Severity.INFO,
                item=study,
            )
            for study in studies.values()
            if not study.values.get("study_code") and len(read_text(study, "title").encode()) > STUDY_BYTES
        )
        for number, patient in enumerate(patients):
            progress.advance(number / len(patients))
            held = {kind: list(_list(reader, kind, patient_id=patient.item_id)) for kind in KINDS}
            _add_patient(context, reader, patient, held, studies, criterion=criterion, tables=tables)
    if not tables.subjects:
        raise NotFoundError(
            expected="a patient", given="none", where="record",
            action="check the site, and that patients were entered",
        )  # fmt: skip
    tables.findings = _join_alike(tables.findings)
    return tables


def write_record_tables(tables: RecordTables, folder: Path, *, write_table: WriteTable) -> dict[str, Path]:
    """Write the tables that have rows as CSV files; returns the file of each.

    Parameters
    ----------
    tables
        From `read_record_tables`.
    folder
        Where.
    write_table
        Writes one.
    """
    paths = {}
    for name, rows in tables.rows.items():
        if rows:
            paths[name] = folder / f"{name.lower()}.csv"
            columns = COLUMNS[name]
            write_table(
                paths[name], columns, [{column: row.get(column, "") for column in columns} for row in rows]
            )
    return paths


def _add_patient(
    context: RecordContext,
    reader: RecordReader,
    patient: Item,
    held: Mapping[str, list[Item]],
    studies: Mapping[str, Item],
    *,
    criterion: str,
    tables: RecordTables,
) -> None:
    consent = assess_consent(held["consent"])
    if Purpose.DATA in consent.stopped:
        message = "A patient withdrew the further use of data: what was entered before is in the report."
        tables.findings.append(_say("consent", message, Severity.WARNING))
    if not held["consent"]:
        tables.findings.append(_say("consent", "A patient has no consent in the record.", Severity.WARNING))
    subject = Subject(
        study=_find_study(held["consent"], studies),
        patient=patient,
        consents=held["consent"],
        visits=held["visit"],
    )
    names = _name_lesions(held["lesion"])
    doses = number_rows(
        sorted(
            _list_doses(context, reader, subject, held, names, findings=tables.findings),
            key=lambda row: (row["EXSTDTC"], row["EXLNKID"]),
        ),
        "EXSEQ",
    )
    tables.subjects += 1
    tables.rows["DM"].append(to_demographics(subject, doses=doses))
    tables.rows["DS"] += to_dispositions(subject)
    tables.rows["AE"] += to_events(subject, held["adverse_event"])
    tables.rows["EX"] += doses
    read, findings = find_holding_read(held["read"], criterion=criterion)
    tables.findings += findings
    if read is not None:
        marks = Marks(
            reads=held["read"],
            measurements=held["measurement"],
            lesions={item.item_id: item for item in held["lesion"]},
            scans={item.item_id: item for item in held["scan"]},
        )
        lesions, results, findings_of_read = to_tumour_rows(subject, read, marks, names=names)
        tables.rows["TU"] += lesions
        tables.rows["TR"] += results
        tables.findings += findings_of_read


def _list_doses(
    context: RecordContext,
    reader: RecordReader,
    subject: Subject,
    held: Mapping[str, list[Item]],
    names: Mapping[str, str],
    *,
    findings: list[RowFinding],
) -> Iterator[Row]:
    """Yield exposure from procedures, then injections that only a lesion's dates tell of, without a dose."""
    seen: set[tuple[str, str]] = set()
    plans = {item.item_id: item for item in held["plan"]}
    by_uid = {read_text(item, "tracking_uid"): names[item.item_id] for item in held["lesion"]}
    for procedure in held["procedure"]:
        if procedure.values["state"] == Phase.CANCELLED and not procedure.values["entries"]:
            continue
        try:
            rows = _read_doses(context, reader, subject, procedure, plans, by_uid)
        except HepaticaError as problem:
            message = f"A procedure cannot be read ({problem.code}): its doses are missing."
            findings.append(_say("procedure", message, Severity.ERROR, item=procedure))
            continue
        if rows and procedure.values["state"] not in (Phase.CLOSED, Phase.CANCELLED):
            findings.append(
                _say("procedure", "A procedure is not closed yet.", Severity.WARNING, item=procedure)
            )
        if any(not row["EXDOSE"] for row in rows):
            message = "A dose is contradicted or of unknown strength: it is missing, not 0."
            findings.append(_say("procedure", message, Severity.WARNING, item=procedure))
        seen |= {(row["EXLNKID"], row["EXSTDTC"][:10]) for row in rows}
        yield from rows
    for lesion in held["lesion"]:
        dates = lesion.values.get("injected_dates")
        for day in dates if isinstance(dates, list) else ():
            if (names[lesion.item_id], str(day)) not in seen:
                message = "An injection has no procedure in the record: its dose is missing, not 0."
                findings.append(_say("lesion", message, Severity.WARNING, item=lesion))
                yield {
                    **subject.head("EX"), "EXLNKID": names[lesion.item_id], "EXTRT": "NOT GIVEN",
                    "EXDOSE": "", "EXROUTE": "INTRATUMOR", "EXSTDTC": str(day), "EXENDTC": str(day),
                }  # fmt: skip


def _read_doses(
    context: RecordContext,
    reader: RecordReader,
    subject: Subject,
    procedure: Item,
    plans: Mapping[str, Item],
    by_uid: Mapping[str, str],
) -> list[Row]:
    plan = plans.get(read_text(procedure, "plan_id"))
    if plan is None:
        raise NotFoundError(expected="the plan of the procedure", given="none", where="procedure")
    planned = read_planned(context, plan)
    entries = read_entries(procedure)
    day = derive_day(entries, planned, settings=read_settings(context, reader, procedure, entries))
    names = {
        lesion_id: by_uid[lesion.tracking_uid]
        for lesion_id, lesion in planned.lesions.items()
        if lesion.tracking_uid in by_uid
    }
    rows = to_exposure_rows(day, planned, study=subject.study, subject=subject.name, lesion_names=names)
    given = [lesion.given_ml for lesion in day.comparison.lesions if lesion.deposits]
    return [{**row, **_to_volume(volume)} for row, volume in zip(rows, given, strict=True)]


def _to_volume(volume: Any) -> Row:
    known = not isinstance(volume, NotEvaluable)
    return {"EXVAMT": f"{volume:.10g}" if known else "", "EXVAMTU": "mL" if known else ""}


def _name_lesions(lesions: Sequence[Item]) -> dict[str, str]:
    """Return TULNKID of each lesion: its label, or its identifier where two lesions share one."""
    shared = Counter(read_text(item, "lesion_label") for item in lesions)
    return {
        item.item_id: label if shared[label := read_text(item, "lesion_label")] == 1 else item.item_id
        for item in lesions
    }


def _find_study(consents: Sequence[Item], studies: Mapping[str, Item]) -> str:
    """Return STUDYID: of the protocol that was consented to last, else of the only one."""
    for consent in sorted(consents, key=lambda item: read_text(item, "signed_date"), reverse=True):
        study = studies.get(read_text(consent, "study_id"))
        if study is not None:
            return _name_study(study)
    names = {_name_study(study) for study in studies.values()}
    return names.pop() if len(names) == 1 else "NOT GIVEN"


def _name_study(study: Item) -> str:
    """Return the study's code, else its title, no longer than STUDYID may be."""
    text = read_text(study, "study_code") or read_text(study, "title")
    return text.encode()[:STUDY_BYTES].decode(errors="ignore").strip()


def _list(
    reader: RecordReader, kind: str, *, patient_id: str = "", site_ids: frozenset[str] | None = None
) -> Iterator[Item]:
    wanted = ItemFilter(kind=kind, patient_id=patient_id, site_ids=site_ids, limit=PAGE_MAX)
    while True:
        page = reader.list_items(wanted)
        yield from page.items
        if not page.next:
            return
        wanted = replace(wanted, after=page.next)


def _join_alike(findings: Sequence[RowFinding]) -> list[RowFinding]:
    """Return each finding that names no item once, with how often it holds."""
    counts = Counter(findings)
    return [
        finding
        if count == 1
        else replace(finding, message=f"{finding.message.removesuffix('.')} ({count} times).")
        for finding, count in counts.items()
    ]


def _say(table: str, message: str, severity: Severity, *, item: Item | None = None) -> RowFinding:
    return RowFinding(
        rule=f"record.{table}",
        severity=severity,
        table=table,
        row=0,
        column="",
        message=message if item is None else f"{message} ({item.item_id})",
    )
