"""Dose-limiting toxicity of every patient of a trial, in the columns that ``hepatica trial next-dose`` reads."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from pathlib import Path
from typing import Final

from hepatica.core.errors import InputError
from hepatica.followup.protocol_numbers import Supplied
from hepatica.followup.safety.dlt import PatientVerdict, check_patient, judge_patient
from hepatica.followup.safety.toxicity import ToxicEvent, ToxicityDefinition, ToxicityState, TreatedPatient
from hepatica.followup.safety.toxicity_file import list_definitions, parse_definition, read_definition
from hepatica.workflows.followup_ports import (
    UNCLEAR_ROW,
    FollowupOutcome,
    FollowupPorts,
    RowDesk,
    list_unverified,
    read_protocol_file,
)
from hepatica.workflows.grade_events import read_attribution

EVENT_REQUIRED: Final = ("USUBJID", "AEDECOD", "AETOXGR", "AESTDTC")
EVENT_OPTIONAL: Final = ("AEENDTC", "AEREL", "AERELPR", "AESOC")
PATIENT_REQUIRED: Final = ("subject", "dose", "first_dose")
PATIENT_OPTIONAL: Final = ("off_study", "injections")
COLUMNS: Final = (
    "subject", "dose", "dlt", "follow_up", "window", "evaluable", "state", "closes_on", "decides_on", "term", "grade",
    "onset", "cause", "criterion", "reason",
)  # fmt: skip
BLOOD_CLASS: Final = "blood and lymphatic system disorders"
"""System organ class that is haematological whatever the term."""
DOSE: Final = re.compile(r"[1-9]\d{0,3}(\.[1-9]\d{0,3})?")


@dataclass(frozen=True, slots=True, kw_only=True)
class ToxicityRequest:
    """What to judge by which definition.

    Parameters
    ----------
    definition
        Name of a packaged definition, or a file.
    supplied
        What it leaves open.
    patients
        CSV with ``subject, dose, first_dose`` and optionally ``off_study, injections``.
    events
        SDTM AE as CSV.
    as_of
        The day; today (UTC) where None.
    """

    definition: str
    patients: Path
    events: Path
    supplied: Supplied = field(default_factory=dict)
    as_of: date | None = None


def grade_toxicity_table(request: ToxicityRequest, *, ports: FollowupPorts, out: Path) -> FollowupOutcome:
    """Judge every patient and write ``subject, dose, dlt, follow_up, window, evaluable, ...``.

    Parameters
    ----------
    request
        Definition and tables.
    ports
        The world.
    out
        CSV to write; ``hepatica trial next-dose --patients`` reads it as it is.

    Returns
    -------
    outcome
        Patients with a bad row are left out and the outcome is partial.

    Raises
    ------
    NotSetError
        If the definition leaves open what a verdict needs.
    """
    definition = _read_definition(request, ports=ports)
    definition.require_rules()
    as_of = request.as_of or ports.clock.now().date()
    patients, desk = _read_patients(request.patients, as_of=as_of, ports=ports)
    events, event_desk = _read_events(request.events, known=set(patients) | desk.bad, ports=ports)
    bad = desk.bad | event_desk.bad
    verdicts = []
    for name in sorted(patients.keys() - bad):
        patient = replace(patients[name], events=tuple(events.get(name, ())))
        verdict = judge_patient(patient, definition=definition, as_of=as_of)
        verdicts.append(verdict)
        for finding in check_patient(verdict, definition=definition):
            where = desk if finding.rule == "dlt.injections_unknown" else event_desk
            where.keep(finding)
    desk.findings += event_desk.findings
    ports.write_files({out: ports.to_csv(COLUMNS, [_to_row(verdict) for verdict in verdicts])})
    counts = Counter(verdict.state for verdict in verdicts)
    document = {
        "command": "grade dlt",
        "out": str(out),
        "as_of": as_of.isoformat(),
        "definition": _describe(definition),
        "patients": len(verdicts),
        "states": {str(state): counts[state] for state in ToxicityState},
        "pending": [
            {"subject": v.patient.subject, "closes_on": v.closes_on.isoformat()}
            for v in verdicts
            if v.state in (ToxicityState.PENDING, ToxicityState.UNDECIDED)
        ],
        "unverified": list_unverified(list(definition.evidence)),
        "partial": desk.partial,
        "findings": desk.to_list(),
    }
    return FollowupOutcome(document=document, partial=desk.partial)


def _read_definition(request: ToxicityRequest, *, ports: FollowupPorts) -> ToxicityDefinition:
    own = read_protocol_file(request.definition, packaged=list_definitions, ports=ports)
    if own is None:
        return read_definition(request.definition, supplied=request.supplied)
    return parse_definition(own[0], where=own[1], supplied=request.supplied)


def _describe(definition: ToxicityDefinition) -> dict[str, object]:
    return {
        "name": definition.name,
        "title": definition.title,
        "digest": definition.digest,
        "window_days": definition.window_length_days,
        "attribution": definition.attribution.value,
        "related": definition.related.value,
        "criteria": [criterion.title for criterion in definition.criteria],
        "not_set": list(definition.missing),
    }


def _read_patients(
    path: Path, *, as_of: date, ports: FollowupPorts
) -> tuple[dict[str, TreatedPatient], RowDesk]:
    desk = RowDesk(table="patients", family="dlt")
    found: dict[str, TreatedPatient] = {}
    for line, cells in ports.read_table(path, required=PATIENT_REQUIRED, optional=PATIENT_OPTIONAL):
        if cells is None or not cells[0].strip():
            desk.refuse(line, "subject", UNCLEAR_ROW, subject="")
            continue
        named = dict(zip((*PATIENT_REQUIRED, *PATIENT_OPTIONAL), (cell.strip() for cell in cells)))
        name = named["subject"]
        if name in found:
            desk.refuse(line, "subject", "The subject stands twice.", subject=name)
            continue
        patient = _read_patient(named, line=line, as_of=as_of, desk=desk)
        if patient is not None:
            found[name] = patient
    return found, desk


def _read_patient(
    named: Mapping[str, str], *, line: int, as_of: date, desk: RowDesk
) -> TreatedPatient | None:
    name = named["subject"]
    if not DOSE.fullmatch(named["dose"]):
        desk.refuse(
            line, "dose", "A dose level is a whole number from 1, or a pair such as 1.2.", subject=name
        )
        return None
    first = desk.read_day(named["first_dose"], line, "first_dose", subject=name)
    off = desk.read_day(named["off_study"], line, "off_study", subject=name) if named["off_study"] else None
    injections = named["injections"]
    if injections and not (injections.isascii() and injections.isdecimal()):
        desk.refuse(line, "injections", "The number of injections is a whole number from 0.", subject=name)
        return None
    if first is None or (named["off_study"] and off is None):
        return None
    if first > as_of:
        desk.refuse(line, "first_dose", "The first dose lies after the day of the report.", subject=name)
        return None
    if off is not None and off < first:
        desk.refuse(line, "off_study", "The last day lies before the first dose.", subject=name)
        return None
    return TreatedPatient(
        subject=name,
        dose=named["dose"],
        first_dose=first,
        off_study=off,
        injections=int(injections) if injections else None,
        row=line,
    )


def _read_events(
    path: Path, *, known: set[str], ports: FollowupPorts
) -> tuple[dict[str, list[ToxicEvent]], RowDesk]:
    desk = RowDesk(table="ae", family="dlt")
    found: dict[str, list[ToxicEvent]] = {}
    for line, cells in ports.read_table(path, required=EVENT_REQUIRED, optional=EVENT_OPTIONAL):
        if cells is None or not cells[0].strip():
            desk.refuse(line, "USUBJID", UNCLEAR_ROW, subject="")
            continue
        named = dict(zip((*EVENT_REQUIRED, *EVENT_OPTIONAL), (cell.strip() for cell in cells)))
        name = named["USUBJID"]
        if name not in known:
            desk.refuse(line, "USUBJID", "The table of patients has no such subject.", subject=name)
            continue
        event = _read_event(named, line=line, desk=desk)
        if event is not None:
            found.setdefault(name, []).append(event)
    return found, desk


def _read_event(named: Mapping[str, str], *, line: int, desk: RowDesk) -> ToxicEvent | None:
    name = named["USUBJID"]
    onset = desk.read_date(named["AESTDTC"], line, "AESTDTC", subject=name)
    end = desk.read_date(named["AEENDTC"], line, "AEENDTC", subject=name)
    cause = read_attribution(named, line=line, desk=desk)
    grade = named["AETOXGR"]
    if grade and grade not in ("1", "2", "3", "4", "5"):
        desk.refuse(line, "AETOXGR", "A grade is a whole number from 1 to 5.", subject=name)
        return None
    if onset is None or end is None or cause is None:
        return None
    term = " ".join(named["AEDECOD"].casefold().split())
    try:
        return ToxicEvent(
            term=term,
            grade=int(grade) if grade else None,
            onset=onset,
            end=end,
            attribution=cause,
            haematological=True if named["AESOC"].casefold() == BLOOD_CLASS else None,
            row=line,
        )
    except InputError:
        desk.refuse(line, "AEENDTC", "The event ends before it begins.", subject=name)
        return None


def _to_row(verdict: PatientVerdict) -> dict[str, str]:
    first = verdict.first
    decides = None if first is None else first.decides_on
    event = None if first is None else first.event
    return {
        "subject": verdict.patient.subject,
        "dose": verdict.patient.dose,
        "dlt": "1" if verdict.dlt else "0",
        "follow_up": str(verdict.follow_up_days),
        "window": str(verdict.window_days),
        "evaluable": "1" if verdict.evaluable else "0",
        "state": str(verdict.state),
        "closes_on": verdict.closes_on.isoformat(),
        "decides_on": "" if decides is None else decides.isoformat(),
        "term": "" if event is None else event.term,
        "grade": "" if event is None or event.grade is None else str(event.grade),
        "onset": "" if event is None else event.onset.text,
        "cause": "" if first is None else first.cause,
        "criterion": "" if first is None else first.criterion,
        "reason": verdict.reason,
    }
