"""ADSL: one row for each subject, with populations, dates and totals of treatment."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any, Final

from hepatica.followup.dates import PartialDate, derive_study_day
from hepatica.trials.report.source import SourceTables, read_date, read_number
from hepatica.trials.report.words import ReportWords

Row = dict[str, Any]
AGE_EDGES: Final = ((65.0, "<65"), (75.0, "65-74"))
OLDEST: Final = ">=75"
MOST_TEXT: Final = 200
NO_END: Final = frozenset({"PROTOCOL MILESTONE", "OTHER EVENT"})
"""Categories of DS (codelist DSCAT) whose rows never say how participation ended, such as a consent."""


def derive_subjects(tables: SourceTables, *, words: ReportWords) -> list[Row]:
    """Return ADSL.

    Parameters
    ----------
    tables
        DM is needed; EX, DS, TU and RS where there are any.
    words
        Find the tumour type, screen failures and completion.

    Returns
    -------
    rows
        ``SAFFL`` is ``Y`` for who had at least one dose: of EX; without EX, whoever has RFXSTDTC in DM.
    """
    columns = tables.tables["DM"].columns if "DM" in tables else ()
    tumour = words.find_variable("tumour_type", columns)
    per_subject = {name: tables.by_subject(name) for name in ("EX", "DS", "TU", "RS")}
    rows = []
    for cells in tables.rows("DM"):
        subject = cells["USUBJID"]
        row = _describe(cells, tumour=tumour)
        row |= _derive_treatment(cells, per_subject["EX"].get(subject, []), has_ex="EX" in tables)
        failed = any(
            words.means("screen_failure", cells.get(name, "")) for name in ("ARM", "ARMCD", "ACTARM")
        )
        row["ENRLFL"] = "N" if failed else "Y"
        row |= _derive_end(cells, per_subject["DS"].get(subject, []), row, words=words)
        row["BASEFL"] = "Y" if per_subject["TU"].get(subject) else ("N" if "TU" in tables else "")
        start = row["TRTSDT"]
        later = [
            seen
            for seen in per_subject["RS"].get(subject, [])
            if seen.get("RSTESTCD") == "OVRLRESP" and _is_after(seen.get("RSDTC", ""), start)
        ]
        row["POSTFL"] = "Y" if later else ("N" if "RS" in tables else "")
        rows.append(row)
    return rows


def _describe(cells: Mapping[str, str], *, tumour: str) -> Row:
    age = read_number(cells.get("AGE", ""))
    return {
        "STUDYID": cells.get("STUDYID", "") or "NOT GIVEN",
        "USUBJID": cells["USUBJID"],
        "SUBJID": cells.get("SUBJID", ""),
        "SITEID": cells.get("SITEID", ""),
        "AGE": age,
        "AGEU": cells.get("AGEU", ""),
        "AGEGR1": "" if age is None else next((word for edge, word in AGE_EDGES if age < edge), OLDEST),
        "SEX": cells.get("SEX", ""),
        "RACE": cells.get("RACE", "")[:MOST_TEXT],
        "ETHNIC": cells.get("ETHNIC", "")[:MOST_TEXT],
        "COUNTRY": cells.get("COUNTRY", ""),
        "TRT01P": cells.get("ARM", "")[:MOST_TEXT] or "NOT GIVEN",
        "TRT01A": (cells.get("ACTARM", "") or cells.get("ARM", ""))[:MOST_TEXT],
        "TUMTYPE": (cells.get(tumour, "") if tumour else "")[:MOST_TEXT],
    }


def _derive_treatment(cells: Mapping[str, str], doses: Sequence[Mapping[str, str]], *, has_ex: bool) -> Row:
    given = [dose for dose in doses if read_number(dose.get("EXDOSE", "")) != 0.0]
    starts = [read_date(dose.get("EXSTDTC", "")).day for dose in given]
    ends = [
        read_date(dose.get("EXENDTC", "")).day or read_date(dose.get("EXSTDTC", "")).day for dose in given
    ]
    first = min((day for day in starts if day), default=None)
    last = max((day for day in ends if day), default=None)
    if not has_ex:
        first = read_date(cells.get("RFXSTDTC", "")).day
        last = read_date(cells.get("RFXENDTC", "")).day
    treated = bool(given) if has_ex else first is not None
    return {
        "TRTSDT": first,
        "TRTEDT": last,
        "TRTDURD": (last - first).days + 1 if first and last else None,
        "SAFFL": "Y" if treated else "N",
    }


def _derive_end(
    cells: Mapping[str, str], dispositions: Sequence[Mapping[str, str]], row: Row, *, words: ReportWords
) -> Row:
    ends = [item for item in dispositions if item.get("DSCAT", "").strip().upper() not in NO_END]
    category = {item.get("DSCAT", "").upper() for item in ends}
    events = [
        item
        for item in ends
        if words.means("disposition_event", item.get("DSCAT", ""))
        or not category & set(words.values["disposition_event"])
    ]
    last = max(events, key=lambda item: read_date(item.get("DSSTDTC", "")).latest or date.min, default=None)
    term = "" if last is None else last.get("DSDECOD", "").upper()
    death = read_date(cells.get("DTHDTC", ""))
    dead = cells.get("DTHFL", "") == "Y" or death.earliest is not None or words.means("death", term)
    if death.earliest is None and last is not None and words.means("death", term):
        death = read_date(last.get("DSSTDTC", ""))
    status = "ONGOING"
    if words.means("completed", term):
        status = "COMPLETED"
    elif term:
        status = "DISCONTINUED"
    end = read_date("" if last is None else last.get("DSSTDTC", "")).day
    return {
        "EOSSTT": status if row["ENRLFL"] == "Y" else "NOT ENROLLED",
        "EOSDT": end,
        "DCSREAS": term[:MOST_TEXT] if status == "DISCONTINUED" else "",
        "DTHFL": "Y" if dead else "",
        "DTHDT": death.day,
    }


def _is_after(text: str, start: date | None) -> bool:
    seen: PartialDate = read_date(text)
    return seen.latest is not None and (start is None or seen.latest > start)


def to_day(when: date | None, start: date | None) -> int | None:
    """Return the study day; None where a date is missing."""
    return None if when is None or start is None else derive_study_day(when, reference=start)
