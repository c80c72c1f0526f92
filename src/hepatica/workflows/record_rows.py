"""What the record holds of patients as rows of SDTM: DM, DS, AE and EX. What is not in the record stays empty."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from hepatica.record.item import Item

Row = dict[str, str]
TEXT_MOST: Final = 200
"""Characters of a text in SAS transport files."""
NOT_ASSIGNED: Final = "NOT ASSIGNED"
DM_COLUMNS: Final = (
    "STUDYID", "DOMAIN", "USUBJID", "SUBJID", "RFSTDTC", "RFENDTC", "RFXSTDTC", "RFXENDTC", "RFICDTC", "RFPENDTC",
    "DTHDTC", "DTHFL", "SITEID", "ARM", "ARMCD", "ACTARM", "ACTARMCD", "TUMTYPE",
)  # fmt: skip
DS_COLUMNS: Final = (
    "STUDYID", "DOMAIN", "USUBJID", "DSSEQ", "DSTERM", "DSDECOD", "DSCAT", "DSSTDTC",
)  # fmt: skip
AE_COLUMNS: Final = (
    "STUDYID", "DOMAIN", "USUBJID", "AESEQ", "AETERM", "AEDECOD", "AETOXGR", "AESER", "AEREL", "AERELPRC", "AEOUT",
    "AESTDTC", "AEENDTC",
)  # fmt: skip
EX_COLUMNS: Final = (
    "STUDYID", "DOMAIN", "USUBJID", "EXSEQ", "EXLNKID", "EXTRT", "EXDOSE", "EXDOSU", "EXVAMT", "EXVAMTU", "EXLOT",
    "EXROUTE", "EXADJ", "VISITNUM", "EXSTDTC", "EXENDTC",
)  # fmt: skip
SCOPES: Final = {
    "treatment": "WITHDRAWAL OF TREATMENT BY SUBJECT",
    "treatment_and_follow_up": "WITHDRAWAL BY SUBJECT",
    "treatment_follow_up_and_data": "WITHDRAWAL BY SUBJECT",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """A patient as the tables name him.

    Parameters
    ----------
    study
        STUDYID.
    patient
        Item of kind ``patient``; its subject number is USUBJID.
    consents, visits
        The patient's items.
    """

    study: str
    patient: Item
    consents: Sequence[Item] = ()
    visits: Sequence[Item] = ()

    @property
    def name(self) -> str:
        """USUBJID: the study number, never a name."""
        return read_text(self.patient, "subject_id")

    def head(self, domain: str) -> Row:
        """Return the columns that every row begins with."""
        return {"STUDYID": self.study, "DOMAIN": domain, "USUBJID": self.name}


def read_text(item: Item, field: str) -> str:
    """Return a field as text; empty where it is not set."""
    value = item.values.get(field)
    return "" if value is None else str(value)


def to_demographics(subject: Subject, *, doses: Sequence[Row]) -> Row:
    """Return the row of DM, without age, sex and race: the record seals them with the identity, or has none.

    Parameters
    ----------
    subject
        The patient.
    doses
        His rows of EX.
    """
    patient = subject.patient
    level, cohort = read_text(patient, "dose_level"), read_text(patient, "cohort")
    treated = bool(doses)
    arm = ", ".join(word for word in (cohort, f"Dose level {level}" if level else "") if word)
    if not arm and not treated and read_text(patient, "status") == "screening":
        arm = NOT_ASSIGNED
    code = arm if arm == NOT_ASSIGNED else (f"L{level}" if level else cohort)[:20]
    signed = [read_text(consent, "signed_date") for consent in subject.consents]
    death = read_text(patient, "death_date")
    starts = sorted(row["EXSTDTC"] for row in doses)
    ends = sorted(row["EXENDTC"] or row["EXSTDTC"] for row in doses)
    first = starts[0] if starts else read_text(patient, "reference_date")
    return {
        **subject.head("DM"),
        "SUBJID": subject.name,
        "RFSTDTC": first,
        "RFENDTC": ends[-1] if ends else "",
        "RFXSTDTC": starts[0] if starts else "",
        "RFXENDTC": ends[-1] if ends else "",
        "RFICDTC": min(signed, default=""),
        "RFPENDTC": max(death, read_text(patient, "last_known_alive_date")),
        "DTHDTC": death,
        "DTHFL": "Y" if death else "",
        "SITEID": patient.site_id,
        "ARM": arm[:TEXT_MOST],
        "ARMCD": code,
        "ACTARM": arm[:TEXT_MOST],
        "ACTARMCD": code,
        "TUMTYPE": read_text(patient, "tumour_type").upper(),
    }


def to_dispositions(subject: Subject) -> list[Row]:
    """Return the rows of DS: consents, then how participation ended, as far as the record says."""
    milestone, event = "PROTOCOL MILESTONE", "DISPOSITION EVENT"
    found = [
        (read_text(consent, "signed_date"), "INFORMED CONSENT OBTAINED", milestone)
        for consent in subject.consents
    ]
    found += [
        (day, SCOPES.get(read_text(consent, "withdrawal_scope"), "WITHDRAWAL BY SUBJECT"), event)
        for consent in subject.consents
        if (day := read_text(consent, "withdrawn_date"))
    ]
    status, death = read_text(subject.patient, "status"), read_text(subject.patient, "death_date")
    if status == "completed":
        done = [read_text(visit, "date") for visit in subject.visits if visit.values.get("status") == "done"]
        found.append((max(done, default=""), "COMPLETED", event))
    elif status == "withdrawn" and not any(category == event for _, _, category in found):
        found.append(("", "WITHDRAWAL BY SUBJECT", event))
    if death:
        found.append((death, "DEATH", event))
    return [
        {
            **subject.head("DS"), "DSSEQ": str(number), "DSTERM": word, "DSDECOD": word, "DSCAT": category,
            "DSSTDTC": day,
        }
        for number, (day, word, category) in enumerate(sorted(found), start=1)
    ]  # fmt: skip


def to_events(subject: Subject, events: Iterable[Item]) -> Iterator[Row]:
    """Yield the rows of AE.

    Parameters
    ----------
    subject
        The patient.
    events
        His items of kind ``adverse_event``.
    """
    ordered = sorted(events, key=lambda item: (read_text(item, "start_date"), item.item_id))
    for number, event in enumerate(ordered, start=1):
        yield {
            **subject.head("AE"),
            "AESEQ": str(number),
            "AETERM": read_text(event, "term")[:TEXT_MOST],
            "AEDECOD": read_text(event, "ctcae_term")[:TEXT_MOST],
            "AETOXGR": read_text(event, "grade"),
            "AESER": "Y" if event.values["serious"] else "N",
            "AEREL": read_text(event, "relation_to_agent"),
            "AERELPRC": read_text(event, "relation_to_procedure"),
            "AEOUT": read_text(event, "outcome"),
            "AESTDTC": read_text(event, "start_date"),
            "AEENDTC": read_text(event, "end_date"),
        }


def number_rows(rows: Iterable[Mapping[str, Any]], column: str) -> list[Row]:
    """Return the rows of one subject with their sequence numbers.

    Parameters
    ----------
    rows
        In order.
    column
        For example ``EXSEQ``.
    """
    return [{**row, column: str(number)} for number, row in enumerate(rows, start=1)]
