"""Adverse events (SDTM AE) held against their terms and scales: grades, causes, emergence, complications, clocks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any, Final

from hepatica.core.errors import InputError, NotFoundError
from hepatica.core.findings import NotEvaluable, Severity
from hepatica.followup.dates import PartialDate, derive_study_day
from hepatica.followup.safety.attribution import Attribution, Relation, read_relation
from hepatica.followup.safety.complications import find_complication_grade, list_scales
from hepatica.followup.safety.cytokine import SCALES, CytokineSigns, Oxygen, grade_cytokine_release
from hepatica.followup.safety.emergent import assess_emergence
from hepatica.followup.safety.serious import measure_report_clock
from hepatica.followup.safety.terms import check_grade
from hepatica.workflows.followup_ports import UNCLEAR_ROW, FollowupOutcome, FollowupPorts, RowDesk
from hepatica.workflows.grade_labs import read_first_doses

REQUIRED: Final = ("USUBJID", "AEDECOD", "AETOXGR", "AESTDTC")
SIGNS: Final = (
    "CRS_TEMPERATURE", "CRS_SUPPRESSED", "CRS_HYPOTENSION", "CRS_VASOPRESSORS", "CRS_VASOPRESSIN", "CRS_HIGH_DOSE",
    "CRS_OXYGEN", "CRS_OXYGEN_PERCENT", "CRS_ORGAN_GRADE", "CRS_TRANSAMINASE_GRADE", "CRS_LIFE_THREATENING",
)  # fmt: skip
OPTIONAL: Final = (
    "AESEQ", "AEENDTC", "AESER", "AEREL", "AERELPR", "COMPLICATION", "AWARE", "REPORTED", *SIGNS,
)  # fmt: skip
COLUMNS: Final = (
    "USUBJID", "AESEQ", "AEDECOD", "AETOXGR", "AESTDTC", "AEENDTC", "ASTDY", "TRTEMFL", "AGENT", "PROCEDURE",
    "CAUSE", "GRADE_EXISTS", "CRS_SCALE", "CRS_GRADE", "COMPLICATION_SCALE", "COMPLICATION_GRADE",
    "COMPLICATION_MEANING", "REPORT_DUE", "REPORT", "REASON",
)  # fmt: skip
CRS_TERM: Final = "cytokine release syndrome"
RELATED: Final = (Relation.POSSIBLE, Relation.PROBABLE, Relation.DEFINITE)


@dataclass(frozen=True, slots=True, kw_only=True)
class EventsRequest:
    """What to grade by which scales.

    Parameters
    ----------
    events
        SDTM AE as CSV; AEREL is the relation to the agent, AERELPR that to the procedure.
    subjects
        SDTM DM with RFSTDTC, for study days and emergence.
    cytokine_scale, complication_scale
        Names of scales; empty where not asked for.
    now
        The moment the clocks are looked at; the present where None.
    """

    events: Path
    subjects: Path | None = None
    cytokine_scale: str = ""
    complication_scale: str = ""
    now: datetime | None = None

    def check_scales(self) -> None:
        """Refuse names that are no scale.

        Raises
        ------
        NotFoundError
        """
        named = (
            (self.cytokine_scale, tuple(SCALES), "--crs"),
            (self.complication_scale, list_scales(), "--complications"),
        )
        for name, known, where in named:
            if name and name not in known:
                raise NotFoundError(expected=f"one of {', '.join(known)}", given=f"'{name}'", where=where)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Look:
    """What one row is held against."""

    request: EventsRequest
    desk: RowDesk
    now: datetime
    starts: Mapping[str, date]


def grade_event_table(request: EventsRequest, *, ports: FollowupPorts, out: Path) -> FollowupOutcome:
    """Hold every adverse event against its term and the named scales, and write the answers.

    Parameters
    ----------
    request
        Tables and scales.
    ports
        The world.
    out
        CSV to write.

    Returns
    -------
    outcome
        Subjects with a bad row are left out and the outcome is partial. A grade its term does not have is a finding;
        the row is kept.
    """
    request.check_scales()
    desk = RowDesk(table="ae", family="events")
    starts = {} if request.subjects is None else read_first_doses(request.subjects, desk=desk, ports=ports)
    look = _Look(request=request, desk=desk, now=request.now or ports.clock.now(), starts=starts)
    columns = (*REQUIRED, *OPTIONAL)
    rows: list[tuple[tuple[str, ...], dict[str, str]]] = []
    for line, cells in ports.read_table(request.events, required=REQUIRED, optional=OPTIONAL):
        if cells is None or not cells[0].strip():
            desk.refuse(line, "USUBJID", UNCLEAR_ROW, subject="")
            continue
        named = dict(zip(columns, (cell.strip() for cell in cells)))
        row = _to_row(named, line=line, look=look)
        if row is not None:
            rows.append((tuple(named[c] for c in ("USUBJID", "AESTDTC", "AEDECOD", "AETOXGR", "AESEQ")), row))
    kept = [row for key, row in sorted(rows, key=lambda item: item[0]) if key[0] not in desk.bad]
    ports.write_files({out: ports.to_csv(COLUMNS, kept)})
    document = {
        "command": "grade events",
        "out": str(out),
        "scales": {"cytokine": request.cytokine_scale, "complications": request.complication_scale},
        "subjects": len({row["USUBJID"] for row in kept}),
        "rows": len(kept),
        "emergent": sum(row["TRTEMFL"] == "Y" for row in kept),
        "related_means": [str(relation) for relation in (*RELATED, Relation.RELATED)],
        "unverified": _list_unverified(kept),
        "partial": desk.partial,
        "findings": desk.to_list(),
    }
    return FollowupOutcome(document=document, partial=desk.partial)


def _list_unverified(rows: list[dict[str, str]]) -> list[dict[str, Any]]:
    words = sorted({row["REASON"] for row in rows if "unverified" in row["REASON"]})
    return [{"key": "scale", "note": word} for word in words]


def _to_row(named: Mapping[str, str], *, line: int, look: _Look) -> dict[str, str] | None:
    desk, subject = look.desk, named["USUBJID"]
    onset = desk.read_date(named["AESTDTC"], line, "AESTDTC", subject=subject)
    end = desk.read_date(named["AEENDTC"], line, "AEENDTC", subject=subject)
    cause = read_attribution(named, line=line, desk=desk)
    if onset is None or end is None or cause is None:
        return None
    if end.surely_before(onset):
        desk.refuse(line, "AEENDTC", "The event ends before it begins.", subject=subject)
        return None
    row = {column: named.get(column, "") for column in COLUMNS}
    row |= {"AGENT": str(cause.agent), "PROCEDURE": str(cause.procedure), "CAUSE": cause.name_causes(RELATED)}
    reasons: list[str] = []
    try:
        row |= _check_term(named, line=line, look=look, reasons=reasons)
        row |= _find_days(onset, start=look.starts.get(subject), reasons=reasons)
        row |= _grade_cytokine(named, scale=look.request.cytokine_scale, reasons=reasons)
        row |= _grade_complication(named, scale=look.request.complication_scale, reasons=reasons)
        row |= _read_clock(named, line=line, look=look, reasons=reasons)
    except (InputError, ValueError) as error:
        where = error.where if isinstance(error, InputError) else ""
        expected = error.expected if isinstance(error, InputError) else "another value"
        desk.refuse(line, where, f"A cell cannot be used: expected {expected}.", subject=subject)
        return None
    return row | {"REASON": "; ".join(reasons)}


def read_attribution(named: Mapping[str, str], *, line: int, desk: RowDesk) -> Attribution | None:
    """Return the relation to agent and procedure (AEREL, AERELPR); None where a word is not known."""
    found = []
    for column in ("AEREL", "AERELPR"):
        try:
            found.append(read_relation(named[column]))
        except InputError as error:
            desk.refuse(line, column, f"The relation is not {error.expected}.", subject=named["USUBJID"])
            return None
    return Attribution(agent=found[0], procedure=found[1])


def _check_term(named: Mapping[str, str], *, line: int, look: _Look, reasons: list[str]) -> dict[str, str]:
    text = named["AETOXGR"]
    if not text:
        look.desk.report(line, "AETOXGR", "The event has no grade.")
        return {"GRADE_EXISTS": ""}
    if text not in ("1", "2", "3", "4", "5"):
        raise InputError(expected="a grade from 1 to 5", given="another", where="AETOXGR")
    found = check_grade(named["AEDECOD"], int(text))
    if isinstance(found, NotEvaluable):
        reasons.append(found.reason)
        return {"GRADE_EXISTS": ""}
    for finding in found:
        # A doubt about a grade is for the site to answer; it never takes the subject out.
        word = " (unverified)" if finding.unverified else ""
        look.desk.report(
            line, "AETOXGR", f"{finding.message}{word}", severity=Severity.WARNING, rule=finding.rule
        )
        reasons.append(f"the grade does not exist for the term{word}")
    return {"GRADE_EXISTS": "N" if found else "Y"}


def _find_days(onset: PartialDate, *, start: date | None, reasons: list[str]) -> dict[str, str]:
    emergent = assess_emergence(onset, first_dose=start)
    if isinstance(emergent, NotEvaluable):
        reasons.append(emergent.reason)
    flag = "" if isinstance(emergent, NotEvaluable) else "Y" if emergent else "N"
    known = onset.day is not None and start is not None
    day = str(derive_study_day(onset.day, reference=start)) if known and onset.day and start else ""
    return {"TRTEMFL": flag, "ASTDY": day}


def _grade_cytokine(named: Mapping[str, str], *, scale: str, reasons: list[str]) -> dict[str, str]:
    term = " ".join(named["AEDECOD"].casefold().split())
    if not scale or term != CRS_TERM:
        return {}
    found = grade_cytokine_release(_read_signs(named), scale=scale)
    if isinstance(found, NotEvaluable):
        reasons.append(f"cytokine release: {found.reason}")
        return {"CRS_SCALE": scale}
    reasons.append(f"{found.scale}: {found.reason}{' (unverified)' if found.unverified else ''}")
    return {"CRS_SCALE": found.scale, "CRS_GRADE": str(found.grade)}


def _read_signs(named: Mapping[str, str]) -> CytokineSigns:
    def flag(column: str) -> bool | None:
        words = {"": None, "Y": True, "N": False}
        if named[column].upper() not in words:
            raise InputError(expected="Y or N", given="another", where=column)
        return words[named[column].upper()]

    def number(column: str, *, whole: bool) -> Any:
        try:
            return None if not named[column] else (int if whole else float)(named[column])
        except ValueError:
            raise InputError(expected="a number", given="another text", where=column) from None

    oxygen = named["CRS_OXYGEN"].casefold()
    if oxygen and oxygen not in set(Oxygen):
        raise InputError(expected=f"one of {', '.join(Oxygen)}", given="another", where="CRS_OXYGEN")
    return CytokineSigns(
        temperature_celsius=number("CRS_TEMPERATURE", whole=False),
        suppressed=bool(flag("CRS_SUPPRESSED")),
        hypotension=flag("CRS_HYPOTENSION"),
        vasopressors=number("CRS_VASOPRESSORS", whole=True),
        vasopressin=bool(flag("CRS_VASOPRESSIN")),
        high_dose=flag("CRS_HIGH_DOSE"),
        oxygen=Oxygen(oxygen) if oxygen else None,
        oxygen_percent=number("CRS_OXYGEN_PERCENT", whole=False),
        organ_grade=number("CRS_ORGAN_GRADE", whole=True),
        transaminase_grade=number("CRS_TRANSAMINASE_GRADE", whole=True),
        life_threatening=flag("CRS_LIFE_THREATENING"),
    )


def _grade_complication(named: Mapping[str, str], *, scale: str, reasons: list[str]) -> dict[str, str]:
    given = named["COMPLICATION"]
    if not given:
        return {}
    if not scale:
        raise InputError(
            expected="the name of the scale with --complications", given="none", where="COMPLICATION"
        )
    try:
        found = find_complication_grade(scale, given)
    except NotFoundError as error:
        raise InputError(expected=error.expected, given="another", where="COMPLICATION") from None
    wording = found.wording
    if wording.value is None:
        reasons.append(f"{found.edition}: the wording of grade {found.grade} is not set")
    elif wording.unverified:
        reasons.append(f"{found.edition}: wording unverified")
    return {
        "COMPLICATION_SCALE": found.edition,
        "COMPLICATION_GRADE": found.grade,
        "COMPLICATION_MEANING": "" if wording.value is None else str(wording.value),
    }


def _read_clock(named: Mapping[str, str], *, line: int, look: _Look, reasons: list[str]) -> dict[str, str]:
    if named["AESER"].upper() != "Y":
        return {}
    if not named["AWARE"]:
        look.desk.report(line, "AWARE", "A serious event has no time at which the site became aware of it.")
        return {}
    try:
        aware = datetime.fromisoformat(named["AWARE"])
        reported = datetime.fromisoformat(named["REPORTED"]) if named["REPORTED"] else None
    except ValueError:
        raise InputError(
            expected="a time such as 2024-03-05T12:00+01:00", given="another text", where="AWARE"
        ) from None
    clock = measure_report_clock(aware, now=look.now, reported=reported)
    reasons.append(f"report within {clock.limit.number:g} h (unverified)")
    if clock.state == "late":
        look.desk.report(line, "REPORTED", "The report of a serious event is overdue.", rule="report_overdue")
    return {"REPORT_DUE": clock.due.isoformat(timespec="minutes"), "REPORT": str(clock.state)}
