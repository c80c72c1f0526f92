"""ADEX: every injection, then totals for each lesion and each subject. Units are never mixed or converted."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from typing import Any, Final

from hepatica.trials.report.source import SourceTables, read_date, read_number
from hepatica.trials.report.subjects import MOST_TEXT, to_day
from hepatica.trials.report.words import ReportWords

Row = dict[str, Any]
MEASURES: Final = (
    ("DOSE", "Dose", "EXDOSE", "EXDOSU"),
    ("VOLUME", "Volume", "EXVAMT", "EXVAMTU"),
)
"""Parameter, its name, amount and unit in EX: the dose itself and the volume that carried it."""
COUNT: Final = ("NINJ", "Number of Injections")
EACH: Final = "INJECTION"
LESION: Final = "LESION TOTAL"
SUBJECT: Final = "SUBJECT TOTAL"


def derive_exposure(
    tables: SourceTables, subjects: Sequence[Mapping[str, Any]], *, words: ReportWords
) -> list[Row]:
    """Return ADEX.

    Parameters
    ----------
    tables
        EX; EXLNKID names the lesion. A row without one is a systemic drug and is totalled by treatment.
    subjects
        ADSL.
    words
        Routes that are intratumoral.

    Returns
    -------
    rows
        Category ``INJECTION`` with the amount and the cumulative amount into the same lesion, ``LESION TOTAL`` and
        ``SUBJECT TOTAL``; all of one treatment and unit.
    """
    by_subject = {row["USUBJID"]: row for row in subjects}
    rows: list[Row] = []
    for subject, doses in tables.by_subject("EX").items():
        if subject not in by_subject:
            continue
        given = sorted(
            (dose for dose in doses if (read_number(dose.get("EXDOSE", "")) or 0) > 0),
            key=lambda dose: (
                read_date(dose.get("EXSTDTC", "")).earliest or date.max,
                read_number(dose.get("EXSEQ", "")) or 0,
            ),
        )
        rows += _derive_subject(by_subject[subject], given, words=words)
    return rows


def _derive_subject(
    subject: Mapping[str, Any], given: Sequence[Mapping[str, str]], *, words: ReportWords
) -> Iterator[Row]:
    head = {"STUDYID": subject["STUDYID"], "USUBJID": subject["USUBJID"], "TRTA": subject["TRT01A"]}
    lesions: dict[tuple[str, ...], float] = {}
    totals: dict[tuple[str, ...], float] = {}
    counts: dict[tuple[str, ...], int] = {}
    for dose in given:
        lesion, drug = dose.get("EXLNKID", "").strip(), dose.get("EXTRT", "")[:MOST_TEXT]
        day = read_date(dose.get("EXSTDTC", "")).day
        sequence = read_number(dose.get("EXSEQ", ""))
        for name in (lesion, ""):
            counts[drug, name] = counts.get((drug, name), 0) + (1 if name or lesion else 0)
        for code, label, amount, unit in MEASURES:
            value, units = read_number(dose.get(amount, "")), dose.get(unit, "")[:20]
            if value is None:
                continue
            key = (drug, lesion, code, units)
            lesions[key] = lesions.get(key, 0.0) + value
            totals[drug, code, units] = totals.get((drug, code, units), 0.0) + value
            yield {
                **head, "PARAMCD": code, "PARAM": label, "PARCAT1": EACH, "EXTRT": drug, "LNKID": lesion,
                "ADT": day, "ADY": to_day(day, subject["TRTSDT"]), "AVAL": value, "AVALU": units,
                "CUMAVAL": lesions[key], "ROUTEFL": "Y" if words.means("intratumoral", dose.get("EXROUTE", "")) else "",
                "SRCSEQ": None if sequence is None else int(sequence),
            }  # fmt: skip
    labels = {code: label for code, label, _, _ in MEASURES}
    for (drug, lesion, code, units), value in lesions.items():
        if lesion:
            yield {
                **head, "PARAMCD": f"CUM{code[:5]}", "PARAM": f"Cumulative {labels[code]}", "PARCAT1": LESION,
                "EXTRT": drug, "LNKID": lesion, "AVAL": value, "AVALU": units,
            }  # fmt: skip
    for (drug, code, units), value in totals.items():
        yield {
            **head, "PARAMCD": f"CUM{code[:5]}", "PARAM": f"Cumulative {labels[code]}", "PARCAT1": SUBJECT,
            "EXTRT": drug, "LNKID": "", "AVAL": value, "AVALU": units,
        }  # fmt: skip
    for (drug, lesion), count in counts.items():
        if count:
            yield {
                **head, "PARAMCD": COUNT[0], "PARAM": COUNT[1], "PARCAT1": LESION if lesion else SUBJECT,
                "EXTRT": drug, "LNKID": lesion, "AVAL": float(count), "AVALU": "INJECTIONS",
            }  # fmt: skip
