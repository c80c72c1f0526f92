"""ADAE: treatment-emergent flag, worst grades, and attribution to agent and procedure apart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from typing import Any, Final

from hepatica.core.errors import InputError
from hepatica.core.findings import NotEvaluable
from hepatica.followup.safety.attribution import Attribution, Relation, counts, read_relation
from hepatica.followup.safety.emergent import assess_emergence
from hepatica.trials.report.source import SourceTables, read_date, read_number
from hepatica.trials.report.subjects import MOST_TEXT, to_day
from hepatica.trials.report.words import ReportWords

Row = dict[str, Any]
FLAGS: Final = (("AOCCIFL", ()), ("AOCCSIFL", ("AEBODSYS",)), ("AOCCPIFL", ("AEBODSYS", "AEDECOD")))
"""First occurrence of the worst grade in the subject, class and term."""
UNCODED: Final = "NOT CODED"


def derive_adverse_events(
    tables: SourceTables, subjects: Sequence[Mapping[str, Any]], *, words: ReportWords
) -> list[Row]:
    """Return ADAE.

    Parameters
    ----------
    tables
        AE, its supplement joined.
    subjects
        ADSL.
    words
        Name the variables of attribution and the words that count as related.

    Returns
    -------
    rows
        ``TRTEMFL`` is ``Y``, ``N``, or empty where the dates do not tell. An emergent event begins on or after the
        first dose and no later than the set days after the last one. ``RELAGFL`` and ``RELPRFL`` are empty where
        nobody told; a relation is never taken over from one cause to the other.
    """
    if "AE" not in tables:
        return []
    columns = tables.tables["AE"].columns
    agent = words.find_variable("agent_relation", columns)
    procedure = words.find_variable("procedure_relation", columns)
    dlt = words.find_variable("dlt_flag", columns)
    by_subject = {row["USUBJID"]: row for row in subjects}
    rows = []
    for number, cells in enumerate(tables.rows("AE"), start=1):
        subject = by_subject.get(cells["USUBJID"])
        if subject is None:
            continue
        attribution = Attribution(
            agent=_read_relation(cells.get(agent, "")), procedure=_read_relation(cells.get(procedure, ""))
        )
        row = _derive_event(cells, subject, number=number, words=words)
        row |= _attribute(attribution, words)
        row["DLTFL"] = cells.get(dlt, "")[:1].upper() if dlt else ""
        rows.append(row)
    _flag_worst(rows)
    return rows


def _derive_event(
    cells: Mapping[str, str], subject: Mapping[str, Any], *, number: int, words: ReportWords
) -> Row:
    onset, end = read_date(cells.get("AESTDTC", "")), read_date(cells.get("AEENDTC", ""))
    grade = read_number(cells.get("AETOXGR", ""))
    start, last = subject["TRTSDT"], subject["TRTEDT"]
    until = last + timedelta(days=int(words.emergent_days.number)) if last else None
    found = assess_emergence(onset, first_dose=start, until=until)
    sequence = read_number(cells.get("AESEQ", ""))
    term = cells.get("AEDECOD", "") or cells.get("AETERM", "") or UNCODED
    return {
        "STUDYID": subject["STUDYID"],
        "USUBJID": subject["USUBJID"],
        "AESEQ": number if sequence is None else int(sequence),
        "TRTA": subject["TRT01A"],
        "SAFFL": subject["SAFFL"],
        "AETERM": _cut(cells.get("AETERM", "")),
        "AEDECOD": _cut(term),
        "AEBODSYS": _cut(cells.get("AEBODSYS", "") or cells.get("AESOC", "") or UNCODED),
        "AESTDTC": onset.text,
        "ASTDT": onset.day,
        "ASTDY": to_day(onset.day, start),
        "AENDTC": end.text,
        "AENDT": end.day,
        "AENDY": to_day(end.day, start),
        "ATOXGR": "" if grade is None else f"{grade:g}",
        "ATOXGRN": None if grade is None else int(grade),
        "AESER": cells.get("AESER", "")[:1].upper(),
        "TRTEMFL": "" if isinstance(found, NotEvaluable) else ("Y" if found else "N"),
        "TRTEMDSC": found.reason if isinstance(found, NotEvaluable) else "",
        "SRCSEQ": None if sequence is None else int(sequence),
    }


def _cut(text: str) -> str:
    return text.encode("utf-8")[:MOST_TEXT].decode("utf-8", errors="ignore")


def _read_relation(text: str) -> Relation:
    try:
        return read_relation(text)
    except InputError:
        return Relation.UNKNOWN


def _attribute(attribution: Attribution, words: ReportWords) -> Row:
    answers = {True: "Y", False: "N", None: ""}
    return {
        "AREL": str(attribution.agent).upper(),
        "ARELPRC": str(attribution.procedure).upper(),
        "RELAGFL": answers[counts(attribution.agent, words.related)],
        "RELPRFL": answers[counts(attribution.procedure, words.related)],
        "ACAUSE": attribution.name_causes(words.related).upper(),
    }


def _flag_worst(rows: Sequence[Row]) -> None:
    """Flag, among treatment-emergent events, the first of the highest grade."""
    for flag, keys in FLAGS:
        best: dict[tuple[Any, ...], Row] = {}
        for row in rows:
            row.setdefault(flag, "")
            if row["TRTEMFL"] != "Y":
                continue
            key = (row["USUBJID"], *(row[name] for name in keys))
            if key not in best or _rank(row) > _rank(best[key]):
                best[key] = row
        for row in best.values():
            row[flag] = "Y"


def _rank(row: Row) -> tuple[int, int, int]:
    day = row["ASTDT"] or date.max
    return (row["ATOXGRN"] or 0, -day.toordinal(), -row["AESEQ"])
