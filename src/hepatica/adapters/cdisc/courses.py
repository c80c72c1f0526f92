"""From the rows of one subject to one course for each evaluator."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from math import isfinite, nan
from operator import itemgetter
from pathlib import Path

from hepatica.adapters.cdisc.lesion_list import LesionList, list_lesions
from hepatica.adapters.cdisc.readings import (
    BLANK,
    LENGTH_UNITS,
    NEW_PROGRESSION,
    STATE_TESTS,
    VOLUME_UNITS,
    check_test,
    choose_test,
    is_merged,
    list_size_tests,
    to_reading,
    to_size,
    to_state,
)
from hepatica.adapters.cdisc.tumour_rows import (
    LesionRow,
    ResultRow,
    SubjectRows,
    iterate_result_rows,
    read_exposure,
    read_injections,
    read_lesion_rows,
    read_references,
    scan_results,
)
from hepatica.core.errors import InputError, NotFoundError
from hepatica.core.findings import NotEvaluable, Severity
from hepatica.followup.dates import PartialDate, derive_study_day
from hepatica.followup.records import Course, Reading, Visit
from hepatica.followup.sums import FRAGMENT_MARK, MERGE_MARK
from hepatica.followup.verdict import Criterion
from hepatica.followup.words import LesionState
from hepatica.workflows.derive_response import EvaluatedCourse, ResponseRequest, RowFinding


def read_courses(request: ResponseRequest) -> Iterator[EvaluatedCourse]:
    """Yield every subject as every evaluator saw it, in the order of the tables.

    Rows that cannot be used become findings; the course they belong to is then None. Rows that belong to
    nobody come first, as a course without a subject. The results (TR) are read subject by subject where
    they come in the order of the lesions (TU); else they are held in memory whole, which a finding says.
    """
    subjects: dict[str, SubjectRows] = {}
    lost = read_lesion_rows(request.lesions, subjects)
    scan = scan_results(request.results)
    lost += scan.lost
    for subject in scan.subjects:
        subjects.setdefault(subject, SubjectRows())
    for path, read in (
        (request.exposure, read_exposure),
        (request.injections, read_injections),
        (request.subjects, read_references),
    ):
        if path is not None:
            lost += read(path, subjects)
    named = frozenset(scan.subjects)
    streamed = not scan.broken_at and tuple(s for s in subjects if s in named) == scan.subjects
    if not streamed:
        lost.append(_say_unsorted(scan.broken_at))
    if lost:
        yield EvaluatedCourse(
            study="", subject="", evaluator="", evaluator_id="", course=None, findings=tuple(lost)
        )
    if request.evaluator:
        _refuse_unknown(request.evaluator, scan.evaluators, subjects.values())
    join = _join_in_order if streamed else _join_in_memory
    for subject, rows in join(request.results, subjects, named):
        for who in list_evaluators(rows, wanted=request.evaluator):
            yield build_course(subject, rows, who=who, criterion=request.settings.criterion)


def _join_in_order(
    results: Path, subjects: dict[str, SubjectRows], named: Collection[str]
) -> Iterator[tuple[str, SubjectRows]]:
    """Yield subjects with their results, of which only one subject's are in memory at a time."""
    groups = groupby(iterate_result_rows(results), key=itemgetter(0))
    for subject in list(subjects):
        rows = subjects.pop(subject)
        if subject in named:
            rows.results = [row for _, row in next(groups)[1]]
        yield subject, rows


def _join_in_memory(
    results: Path, subjects: dict[str, SubjectRows], named: Collection[str]
) -> Iterator[tuple[str, SubjectRows]]:
    for subject, row in iterate_result_rows(results):
        subjects[subject].results.append(row)
    for subject in list(subjects):
        yield subject, subjects.pop(subject)


def _say_unsorted(line: int) -> RowFinding:
    return RowFinding(
        rule="response.unsorted",
        severity=Severity.INFO,
        table="tr",
        row=line,
        column="USUBJID",
        message="The results are not in the order of the lesions, subject by subject; they were held in memory "
        "whole. Sort both tables by USUBJID to read large ones in little memory.",
    )


def _refuse_unknown(
    evaluator: str, in_results: Collection[tuple[str, str]], subjects: Iterable[SubjectRows]
) -> None:
    pairs = in_results or {pair for rows in subjects for pair in list_evaluators(rows)}
    known = {who for pair in pairs for who in pair if who}
    if evaluator not in known:
        raise NotFoundError(
            expected=f"one of {', '.join(sorted(known)) or 'no evaluator'}",
            given=f"'{evaluator}'",
            where="--evaluator",
        )


def list_evaluators(rows: SubjectRows, *, wanted: str = "") -> list[tuple[str, str]]:
    """Return the evaluators (TREVAL, TREVALID) of a subject in the order of TR, or of TU without results."""
    found = dict.fromkeys((row.evaluator, row.evaluator_id) for row in rows.results)
    if not found:
        found = dict.fromkeys((row.evaluator, row.evaluator_id) for row in rows.lesions)
    return [who for who in found if not wanted or wanted in who]


@dataclass(slots=True)
class _Seen:
    """One lesion at one visit while its rows are read."""

    tests: dict[str, tuple[ResultRow, float | NotEvaluable]] = field(default_factory=dict)
    state: LesionState | None = None
    merged: bool = False


@dataclass(slots=True)
class _VisitWords:
    """What a visit is called, as written; the words of TR come before those of TU."""

    number: str
    name: str
    from_results: bool
    dates: set[str] = field(default_factory=set)


class _Builder:
    """Reads the rows of one evaluator; every bad row is kept as a finding."""

    def __init__(self, *, criterion: Criterion) -> None:
        self.criterion = criterion
        self.units = VOLUME_UNITS if criterion is Criterion.VOLUMETRIC else LENGTH_UNITS
        self.size_tests = frozenset(list_size_tests(criterion))
        self.findings: list[RowFinding] = []
        self.words: dict[float, _VisitWords] = {}
        self.seen: dict[tuple[float, str], _Seen] = {}
        self.equivocal: dict[float, set[str]] = {}
        self.rows: set[tuple[float, str, str]] = set()
        self.unit = ""

    def report(self, rule: str, row: LesionRow | ResultRow, column: str, message: str) -> None:
        """Keep a finding about a row."""
        table = "tr" if isinstance(row, ResultRow) else "tu"
        self.findings.append(
            RowFinding(
                rule=rule, severity=Severity.ERROR, table=table, row=row.line, column=column, message=message
            )
        )

    def name_visit(self, row: LesionRow | ResultRow) -> float | None:
        """Return the visit number of a row and remember what the visit is called."""
        try:
            number = float(row.visit_number)
        except ValueError:
            number = nan
        if not isfinite(number):
            self.report("response.visit", row, "VISITNUM", "The visit number is not a number.")
            return None
        words, is_result = self.words.get(number), isinstance(row, ResultRow)
        if words is None or (is_result and not words.from_results):
            words = self.words[number] = _VisitWords(row.visit_number, row.visit, is_result)
        elif is_result and row.visit != words.name and row.visit and words.name:
            self.report("response.duplicate", row, "VISIT", "One visit number has two names.")
        if is_result or not words.from_results:
            words.dates.add(row.date)
        return number

    def read_result(self, row: ResultRow, lesions: LesionList) -> None:
        """Take in one row of TR."""
        number = self.name_visit(row)
        if number is None or not check_test(row, report=self.report):
            return
        if not row.lesion:
            if row.test == NEW_PROGRESSION and _says_equivocal(row):
                # Said of the visit, not of one lesion: it holds for every lesion first seen there.
                self.equivocal.setdefault(number, set()).update(lesions.new_at.get(number, ()))
            return
        used = row.test in self.size_tests or row.test in STATE_TESTS or row.test == NEW_PROGRESSION
        if not used:
            return
        if not _is_known(row.lesion, lesions):
            self.report("response.lesion", row, "TRLNKID", "The table of lesions has no such lesion.")
            return
        key = (number, row.lesion, row.test)
        if key in self.rows:
            self.report(
                "response.duplicate", row, "VISITNUM", "The lesion has the same test twice at one visit."
            )
            return
        self.rows.add(key)
        if row.test == NEW_PROGRESSION:
            if _says_equivocal(row):
                self.equivocal.setdefault(number, set()).add(row.lesion)
            return
        seen = self.seen.get((number, row.lesion))
        if seen is None:
            seen = self.seen[number, row.lesion] = _Seen()
        seen.merged = seen.merged or is_merged(row)
        if row.test in STATE_TESTS:
            seen.state = to_state(row, report=self.report) or seen.state
        else:
            self.check_unit(row)
            seen.tests[row.test] = (row, to_size(row, units=self.units, report=self.report))

    def check_unit(self, row: ResultRow) -> None:
        """Report a unit that differs from the one used before; none is ever converted silently."""
        unit = row.unit.strip().lower()
        if row.unit.strip() in BLANK or (row.number or row.text).strip() in BLANK:
            return
        if not self.unit:
            self.unit = unit
        elif unit != self.unit:
            self.report("response.unit", row, "TRSTRESU", "Sizes of one subject are in two units.")

    def make_visit(self, number: float, lesions: LesionList, readings: dict[str, Reading]) -> Visit:
        """Build one visit."""
        words = self.words[number]
        dates = {date for date in words.dates if date.strip() not in BLANK}
        try:
            # Several scans may make one visit; the response rests on the last of them.
            date = PartialDate.from_text(max(dates, default=""))
        except InputError:
            self.findings.append(
                RowFinding(
                    rule="response.date",
                    severity=Severity.ERROR,
                    table="tr",
                    row=min(
                        (
                            s.tests[t][0].line
                            for (n, _), s in self.seen.items()
                            if n == number
                            for t in s.tests
                        ),
                        default=0,
                    ),
                    column="TRDTC",
                    message="The date is not an ISO 8601 date.",
                )
            )
            date = PartialDate.from_text("")
        return Visit(
            number=number,
            name=words.name,
            date=date,
            readings=readings,
            new_lesions=frozenset(lesions.new_at.get(number, ())),
            equivocal_lesions=frozenset(self.equivocal.get(number, ())),
        )


def _says_equivocal(row: ResultRow) -> bool:
    return (row.text or row.original).strip().upper() == LesionState.EQUIVOCAL


def _is_known(lesion: str, lesions: LesionList) -> bool:
    if lesion in lesions.by_id:
        return True
    if MERGE_MARK in lesion:
        return all(part in lesions.by_id for part in lesion.split(MERGE_MARK))
    return lesion.rpartition(FRAGMENT_MARK)[0] in lesions.by_id


def _pick_lesion_rows(rows: Sequence[LesionRow], who: tuple[str, str]) -> list[LesionRow]:
    """Return the lesions this evaluator named; those nobody in particular named count for everybody."""
    own = [row for row in rows if (row.evaluator, row.evaluator_id) == who]
    return own or [row for row in rows if not row.evaluator.strip() and not row.evaluator_id.strip()]


def build_course(
    subject: str, rows: SubjectRows, *, who: tuple[str, str], criterion: Criterion
) -> EvaluatedCourse:
    """Build the course of one subject and evaluator.

    Parameters
    ----------
    subject
        USUBJID.
    rows
        All rows of the subject.
    who
        Evaluator and its id.
    criterion
        Decides which tests are sizes.
    """
    builder = _Builder(criterion=criterion)
    results = [row for row in rows.results if (row.evaluator, row.evaluator_id) == who]
    named = _pick_lesion_rows(rows.lesions, who)
    lesions = list_lesions(named, injections=rows.injections, builder=builder)
    course = None
    if lesions.baseline is None:
        _report_no_baseline(builder, results, named)
    else:
        for row in results:
            builder.read_result(row, lesions)
        for lesion_id, number in lesions.equivocal:
            builder.equivocal.setdefault(number, set()).add(lesion_id)
        course = _join(builder, lesions, lesions.baseline)
    studies = [*(row.study for row in results), *(row.study for row in named)]
    study = next((study for study in studies if study), "")
    days = _derive_days(course, rows.reference) if course else {}
    return EvaluatedCourse(
        study=study,
        subject=subject,
        evaluator=who[0],
        evaluator_id=who[1],
        course=None if builder.findings else course,
        visit_numbers={number: words.number for number, words in builder.words.items()},
        baseline_row=lesions.baseline_row,
        lesion_rows=lesions.lines,
        study_days=days,
        findings=(*builder.findings, *lesions.notes),
    )


def _report_no_baseline(builder: _Builder, results: Iterable[ResultRow], named: Iterable[LesionRow]) -> None:
    row: LesionRow | ResultRow | None = next(iter(named), None) or next(iter(results), None)
    if row is not None and not builder.findings:
        column = "TRLNKID" if isinstance(row, ResultRow) else "TUSTRESC"
        builder.report("response.baseline", row, column, "No target or non-target lesion was named.")


def _join(builder: _Builder, lesions: LesionList, baseline: float) -> Course | None:
    readings: dict[float, dict[str, Reading]] = {}
    for (number, lesion_id), seen in builder.seen.items():
        lesion = lesions.by_id.get(lesion_id)
        if lesion is None:
            lesion = lesions.by_id.get(lesion_id.split(MERGE_MARK)[0].rpartition(FRAGMENT_MARK)[0])
        lesion = lesion or lesions.by_id[lesion_id.split(MERGE_MARK)[0]]
        test = choose_test(
            seen.tests,
            criterion=builder.criterion,
            is_node=lesion.is_node,
            viable=builder.criterion is Criterion.MRECIST and lesions.is_viable(lesion),
        )
        readings.setdefault(number, {})[lesion_id] = to_reading(
            seen.tests, (seen.state, seen.merged), test=test
        )
    if builder.findings:
        return None
    visits = [
        builder.make_visit(number, lesions, readings.get(number, {}))
        for number in sorted(builder.words)
        if number >= baseline
    ]
    return (
        None
        if builder.findings
        else Course(lesions=tuple(lesions.by_id.values()), baseline=visits[0], follow_ups=tuple(visits[1:]))
    )


def _derive_days(course: Course, reference: str) -> dict[float, str]:
    try:
        start = PartialDate.from_text(reference).day
    except InputError:
        return {}
    if start is None:
        return {}
    return {
        visit.number: str(derive_study_day(visit.date.day, reference=start))
        for visit in course.follow_ups
        if visit.date.day is not None
    }
