"""Writes SDTM RS, ADaM ADTR and the trail, row by row."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, Final, TextIO

from hepatica.adapters.cdisc.dataset import read_dataset
from hepatica.adapters.cdisc.dataset_writer import convert_dataset
from hepatica.core.findings import NotEvaluable
from hepatica.followup.limits import is_zero
from hepatica.followup.sums import LesionSum, measure_sum
from hepatica.followup.verdict import DIGITS, Criterion, ResponseSettings, Verdict
from hepatica.workflows.derive_response import EvaluatedCourse
from hepatica.workflows.response_results import to_results

RS_COLUMNS: Final = (
    "STUDYID", "DOMAIN", "USUBJID", "RSSEQ", "RSGRPID", "RSTESTCD", "RSTEST", "RSCAT", "RSORRES", "RSSTRESC",
    "RSEVAL", "RSEVALID", "VISITNUM", "VISIT", "RSDTC", "RSDY",
)  # fmt: skip
ADTR_COLUMNS: Final = (
    "STUDYID", "USUBJID", "PARAMCD", "PARAM", "GRPID", "AEVAL", "AEVALID", "AVISIT", "AVISITN", "ADTC",
    "AVAL", "AVALU", "BASE", "CHG", "PCHG", "NADIR", "CHGNAD", "PCHGNAD", "ABLFL", "ANL01FL",
)  # fmt: skip
TESTS: Final = {
    "TRGRESP": "Target Response",
    "NTRGRESP": "Non-target Response",
    "NEWLIND": "New Lesion Indicator",
    "NEWLPROG": "New Lesion Progression",
    "OVRLRESP": "Overall Response",
}
"""Tests of list ONCRTSCD that are written, with their names."""
PARAMETERS: Final = {
    Criterion.MRECIST: ("SVDIAM", "Sum of Viable Diameters", "mm"),
    Criterion.VOLUMETRIC: ("SVOL", "Sum of Volumes", "mm3"),
}
DIAMETERS: Final = ("SDIAM", "Sum of Diameters", "mm")
NEW_SUM: Final = ("NLSDIAM", "Sum of Diameters of New Target Lesions", "mm")


@contextmanager
def open_response_tables(folder: Path, settings: ResponseSettings) -> Iterator[CsvResponseTables]:
    """Open ``rs.csv``, ``adtr.csv`` and ``trail.jsonl`` in a folder; closed when the block ends."""
    with ExitStack() as stack:
        streams = [
            stack.enter_context((folder / name).open("w", encoding="utf-8", newline=""))
            for name in ("rs.csv", "adtr.csv", "trail.jsonl")
        ]
        yield CsvResponseTables(*streams, settings=settings)


def write_formats(folder: Path, formats: Sequence[str], run_time: datetime) -> None:
    """Write ``rs.csv`` and ``adtr.csv`` of a folder in further formats."""
    for name in ("rs", "adtr"):
        convert_dataset(
            folder / f"{name}.csv", read_dataset(name), folder, run_time=run_time, formats=formats
        )


class CsvResponseTables:
    """The three files of a derivation.

    Components of a criterion that do not apply (no targets, no non-targets, a group without lesions) make no
    row. A suspected new lesion is ``NEWLPROG`` ``EQUIVOCAL`` with ``NEWLIND`` ``N``.
    """

    def __init__(self, rs: TextIO, adtr: TextIO, trail: TextIO, *, settings: ResponseSettings) -> None:
        self._rs = csv.writer(rs, lineterminator="\n")
        self._adtr = csv.writer(adtr, lineterminator="\n")
        self._trail = trail
        self._settings = settings
        self._subject = ""
        self._sequence = 0
        self._rs.writerow(RS_COLUMNS)
        self._adtr.writerow(ADTR_COLUMNS)

    def write(
        self, course: EvaluatedCourse, verdicts: Sequence[Verdict], trails: Sequence[dict[str, Any]]
    ) -> None:
        """Write all rows of one course."""
        if course.subject != self._subject:
            self._subject, self._sequence = course.subject, 0
        for verdict, trail in zip(verdicts, trails):
            self._write_responses(course, verdict)
            self._write_trail(course, verdict, trail)
        self._write_sums(course, verdicts)

    def _write_responses(self, course: EvaluatedCourse, verdict: Verdict) -> None:
        if not verdict.overall:
            return
        visit = verdict.visit
        for test, result in to_results(verdict):
            self._sequence += 1
            self._rs.writerow(
                (
                    course.study, "RS", course.subject, self._sequence, verdict.group, test, TESTS[test],
                    self._settings.criterion.category, result, result, course.evaluator, course.evaluator_id,
                    course.visit_numbers[visit.number], visit.name, visit.date.text,
                    course.study_days.get(visit.number, ""),
                )
            )  # fmt: skip

    def _write_trail(self, course: EvaluatedCourse, verdict: Verdict, trail: dict[str, Any]) -> None:
        document = {
            "USUBJID": course.subject,
            "RSEVAL": course.evaluator,
            "RSEVALID": course.evaluator_id,
            "VISITNUM": course.visit_numbers[verdict.visit.number],
            "RSDTC": verdict.visit.date.text,
            **trail,
        }
        self._trail.write(json.dumps(document, ensure_ascii=False, allow_nan=False) + "\n")

    def _write_sums(self, course: EvaluatedCourse, verdicts: Sequence[Verdict]) -> None:
        records = course.course
        if records is None or not records.targets:
            return
        parameter = PARAMETERS.get(self._settings.criterion, DIAMETERS)
        baseline = measure_sum(
            records.targets, records.baseline, node_normal=self._settings.limits.node_normal
        )
        self._write_sum(
            course, parameter, records.baseline.number, baseline, group=verdicts[0].group if verdicts else ""
        )
        for verdict in verdicts:
            if verdict.assessed is None or not verdict.target:
                continue
            self._write_sum(
                course,
                parameter,
                verdict.visit.number,
                verdict.assessed.now,
                group=verdict.group,
                references=(verdict.assessed.baseline, verdict.assessed.nadir),
            )
            new_sum = verdict.details.get("new_target_sum")
            if new_sum is not None:
                total = LesionSum(total=new_sum, sizes={}, missing=(), all_gone=False)
                self._write_sum(course, NEW_SUM, verdict.visit.number, total, references=(None, None))

    def _write_sum(
        self,
        course: EvaluatedCourse,
        parameter: tuple[str, str, str],
        number: float,
        found: LesionSum,
        *,
        group: str = "",
        references: tuple[float | NotEvaluable | None, float | NotEvaluable | None] | None = None,
    ) -> None:
        records = course.course
        if records is None:
            return
        visit = next(v for v in (records.baseline, *records.follow_ups) if v.number == number)
        base, nadir = (found.total, None) if references is None else references
        code, name, unit = parameter
        measured = len(found.missing) < len(found.sizes) or not found.sizes
        value = found.total if measured else None
        whole = found.complete and measured
        self._adtr.writerow(
            (
                course.study, course.subject, code, name, group, course.evaluator, course.evaluator_id,
                visit.name, course.visit_numbers[number], visit.date.text, to_number(value), unit,
                *compare(value if whole else None, base), *compare(value if whole else None, nadir),
                "Y" if references is None else "", "Y" if whole else "",
            )
        )  # fmt: skip


def to_number(value: float | NotEvaluable | None) -> str:
    """Return a number as short text; empty where there is none."""
    if value is None or isinstance(value, NotEvaluable):
        return ""
    return f"{round(value, DIGITS):.{DIGITS}f}".rstrip("0").rstrip(".")


def compare(value: float | None, reference: float | NotEvaluable | None) -> tuple[str, str, str]:
    """Return the reference, the change and the change in percent; a reference of 0 has no percentage.

    Examples
    --------
    >>> compare(21.0, 30.0)
    ('30', '-9', '-30')
    >>> compare(5.0, 0.0)
    ('0', '5', '')
    """
    if reference is None or isinstance(reference, NotEvaluable):
        return "", "", ""
    if value is None:
        return to_number(reference), "", ""
    change = value - reference
    percent = "" if is_zero(reference) else to_number(100.0 * change / reference)
    return to_number(reference), to_number(change), percent
