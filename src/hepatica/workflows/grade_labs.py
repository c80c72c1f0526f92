"""Laboratory results (SDTM LB) with CTCAE v5 grades, each against the subject's own baseline."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from math import isfinite
from pathlib import Path
from typing import Final

from hepatica.core.findings import NotEvaluable
from hepatica.followup.dates import PartialDate
from hepatica.followup.safety.lab_tests import LabTest, read_lab_tests
from hepatica.followup.safety.laboratory import SCALE, Grade, LabValue, grade_laboratory
from hepatica.workflows.followup_ports import UNCLEAR_ROW, FollowupOutcome, FollowupPorts, RowDesk

REQUIRED: Final = ("USUBJID", "LBTESTCD", "LBSTRESN", "LBSTRESU", "LBSTNRLO", "LBSTNRHI", "LBDTC")
OPTIONAL: Final = ("LBSEQ", "VISITNUM", "LBSTAT", "LBBLFL", "LBLOBXFL")
KEPT: Final = (
    "USUBJID", "LBSEQ", "VISITNUM", "LBTESTCD", "LBSTRESN", "LBSTRESU", "LBSTNRLO", "LBSTNRHI", "LBDTC",
)  # fmt: skip
COLUMNS: Final = (
    *KEPT,
    "BASE",
    "BASEDTC",
    "TERM",
    "SCALE",
    "GRADE",
    "BASEGRADE",
    "TRTEMFL",
    "RULE",
    "LIMIT",
    "REASON",
)
NO_TEST: Final = "the table of limits does not have this test"
NO_RESULT: Final = "no result"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Result:
    """One row, read; numbers in the unit of the limits."""

    cells: Mapping[str, str]
    row: int
    on: PartialDate
    test: LabTest | None
    value: float | None = None
    lower: float | None = None
    upper: float | None = None
    flagged: bool = False
    problem: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class LabsRequest:
    """What to grade.

    Parameters
    ----------
    results
        SDTM LB as CSV. The baseline is the row with LBBLFL or LBLOBXFL = Y.
    subjects
        SDTM DM with RFSTDTC: where no row is flagged, the last result on or before that day is the baseline.
    """

    results: Path
    subjects: Path | None = None


def grade_lab_table(request: LabsRequest, *, ports: FollowupPorts, out: Path) -> FollowupOutcome:
    """Grade every laboratory result and write the rows with grade, rule, limit and reason.

    Parameters
    ----------
    request
        Tables.
    ports
        The world.
    out
        CSV to write.

    Returns
    -------
    outcome
        Subjects with a bad row are left out and the outcome is partial. A result without a baseline or limits of
        normal is kept with the reason why it cannot be graded.
    """
    desk = RowDesk(table="lb", family="labs")
    starts = _read_starts(request.subjects, desk=desk, ports=ports)
    subjects = _read_results(request.results, desk=desk, ports=ports)
    _check_units(subjects, desk=desk)
    rows: list[dict[str, str]] = []
    counts: Counter[str] = Counter()
    for name in sorted(subjects.keys() - desk.bad):
        graded = _grade_subject(subjects[name], start=starts.get(name), desk=desk, subject=name)
        if name in desk.bad:
            continue
        rows += graded
        counts.update(row["GRADE"] or "cannot grade" for row in graded)
    ports.write_files({out: ports.to_csv(COLUMNS, rows)})
    document = {
        "command": "grade labs",
        "out": str(out),
        "scale": SCALE,
        "subjects": len({row["USUBJID"] for row in rows}),
        "rows": len(rows),
        "grades": {key: counts[key] for key in sorted(counts)},
        "unverified": [],
        "partial": desk.partial,
        "findings": desk.to_list(),
    }
    return FollowupOutcome(document=document, partial=desk.partial)


def _read_starts(path: Path | None, *, desk: RowDesk, ports: FollowupPorts) -> dict[str, date]:
    if path is None:
        return {}
    return read_first_doses(path, desk=desk, ports=ports)


def read_first_doses(path: Path, *, desk: RowDesk, ports: FollowupPorts) -> dict[str, date]:
    """Return the day of the first dose by subject, from DM; subjects without one are not in it."""
    found: dict[str, date] = {}
    own = RowDesk(table="dm", family=desk.family)
    for line, cells in ports.read_table(path, required=("USUBJID", "RFSTDTC")):
        if cells is None or not cells[0].strip():
            own.refuse(line, "USUBJID", UNCLEAR_ROW, subject="")
            continue
        name = cells[0].strip()
        if name in found:
            own.refuse(line, "USUBJID", "The subject stands twice.", subject=name)
            continue
        if not cells[1].strip():
            continue
        day = own.read_day(cells[1], line, "RFSTDTC", subject=name)
        if day is not None:
            found[name] = day
    desk.findings += own.findings
    desk.bad |= own.bad
    return found


def _read_results(path: Path, *, desk: RowDesk, ports: FollowupPorts) -> dict[str, list[_Result]]:
    columns = (*REQUIRED, *OPTIONAL)
    subjects: dict[str, list[_Result]] = {}
    for line, cells in ports.read_table(path, required=REQUIRED, optional=OPTIONAL):
        if cells is None or not cells[0].strip():
            desk.refuse(line, "USUBJID", UNCLEAR_ROW, subject="")
            continue
        named = dict(zip(columns, (cell.strip() for cell in cells)))
        results = subjects.setdefault(named["USUBJID"], [])
        result = _read_result(named, line=line, desk=desk)
        if result is not None:
            results.append(result)
    return subjects


def _read_result(named: Mapping[str, str], *, line: int, desk: RowDesk) -> _Result | None:
    subject = named["USUBJID"]
    on = desk.read_date(named["LBDTC"], line, "LBDTC", subject=subject)
    test = read_lab_tests().get(named["LBTESTCD"].upper())
    if on is None:
        return None
    result = _Result(
        cells=named, row=line, on=on, test=test, flagged="Y" in (named["LBBLFL"], named["LBLOBXFL"])
    )
    if test is None:
        return replace(result, problem=NO_TEST)
    numbers: list[float | None] = []
    for column in ("LBSTRESN", "LBSTNRLO", "LBSTNRHI"):
        try:
            number = float(named[column]) if named[column] else None
        except ValueError:
            number = float("nan")
        if number is not None and not (isfinite(number) and number >= 0):
            desk.refuse(line, column, "The cell is no number of 0 or more.", subject=subject)
            return None
        numbers.append(number)
    low, high = numbers[1:]
    if low is not None and high is not None and low > high:
        desk.refuse(line, "LBSTNRLO", "The lower limit of normal is above the upper one.", subject=subject)
        return None
    if numbers[0] is None or named["LBSTAT"]:
        return replace(result, problem=NO_RESULT)
    factor = test.units.get(named["LBSTRESU"]) if test.units else 1.0
    if factor is None:
        message = f"The unit is none of {', '.join(test.units)}; the result is kept without a grade."
        desk.report(line, "LBSTRESU", message)
        return replace(result, problem="the unit is not known")
    value, lower, upper = (None if number is None else number * factor for number in numbers)
    return replace(result, value=value, lower=lower, upper=upper)


def _check_units(subjects: Mapping[str, Sequence[_Result]], *, desk: RowDesk) -> None:
    for name, results in subjects.items():
        units: dict[str, str] = {}
        for result in results:
            if result.test is None or result.test.units or result.value is None:
                continue
            unit = result.cells["LBSTRESU"]
            if units.setdefault(result.test.code, unit) != unit:
                message = f"The subject has {result.test.code} in two units: baseline and limits do not fit."
                desk.refuse(result.row, "LBSTRESU", message, subject=name)


def _grade_subject(
    results: Sequence[_Result], *, start: date | None, desk: RowDesk, subject: str
) -> list[dict[str, str]]:
    ordered = sorted(results, key=_order)
    baselines: dict[str, _Result] = {}
    for code in sorted({result.test.code for result in results if result.test is not None}):
        own = [r for r in ordered if r.test is not None and r.test.code == code]
        found = _find_baseline(own, start=start, desk=desk, subject=subject)
        if found is not None:
            baselines[code] = found
    return [
        _to_row(
            result, baseline=None if result.test is None else baselines.get(result.test.code), start=start
        )
        for result in ordered
    ]


def _order(result: _Result) -> tuple[object, ...]:
    cells = result.cells
    return (
        cells["LBTESTCD"],
        result.on.earliest or date.max,
        result.on.text,
        cells["VISITNUM"],
        cells["LBSEQ"],
        cells["LBSTRESN"],
    )


def _find_baseline(
    own: Sequence[_Result], *, start: date | None, desk: RowDesk, subject: str
) -> _Result | None:
    flagged = [result for result in own if result.flagged]
    if len(flagged) > 1:
        desk.refuse(flagged[1].row, "LBBLFL", "The subject has two baselines of one test.", subject=subject)
        return None
    if flagged:
        return flagged[0] if flagged[0].value is not None else None
    if start is None:
        return None
    before = [r for r in own if r.value is not None and r.on.latest is not None and r.on.latest <= start]
    if not before:
        return None
    latest = max((result.on.latest or date.min, result.on.text) for result in before)
    last = [result for result in before if (result.on.latest, result.on.text) == latest]
    if len({result.value for result in last}) > 1:
        message = "Two results of the baseline day differ and none is flagged: there is no baseline."
        desk.report(last[-1].row, "LBDTC", message)
        return None
    return last[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Graded:
    """A result with its grade and that of its baseline."""

    grade: Grade | NotEvaluable
    baseline_grade: Grade | NotEvaluable | None = field(default=None)


def _grade(result: _Result, *, baseline: _Result | None) -> Grade | NotEvaluable:
    if result.problem or result.test is None or result.value is None:
        return NotEvaluable(reason=result.problem or NO_RESULT)
    return grade_laboratory(
        LabValue(
            test=result.test.name,
            value=result.value,
            lower=result.lower,
            upper=result.upper,
            baseline=None if baseline is None else baseline.value,
            baseline_upper=None if baseline is None else baseline.upper,
        )
    )


def _to_row(result: _Result, *, baseline: _Result | None, start: date | None) -> dict[str, str]:
    found = _Graded(
        grade=_grade(result, baseline=baseline),
        baseline_grade=None if baseline is None else _grade(baseline, baseline=baseline),
    )
    row = {column: result.cells[column] for column in KEPT}
    row |= dict.fromkeys(COLUMNS[len(KEPT) :], "")
    row |= {"SCALE": SCALE, "TERM": "" if result.test is None else result.test.term}
    if baseline is not None:
        row |= {"BASE": baseline.cells["LBSTRESN"], "BASEDTC": baseline.cells["LBDTC"]}
    before = found.baseline_grade
    if isinstance(before, Grade):
        row["BASEGRADE"] = str(before.grade)
    if isinstance(found.grade, NotEvaluable):
        return row | {"REASON": found.grade.reason}
    limit = found.grade.limit
    row |= {"GRADE": str(found.grade.grade), "RULE": found.grade.rule}
    if limit is not None:
        row["LIMIT"] = f"{limit.edge} {limit.value} {limit.unit}".strip()
    row["TRTEMFL"] = _find_emergence(result, found, start=start)
    return row


def _find_emergence(result: _Result, found: _Graded, *, start: date | None) -> str:
    """Return Y for a grade above that of the baseline on or after the first dose, N otherwise, empty where unknown."""
    before = found.baseline_grade
    if start is None or not isinstance(found.grade, Grade) or result.on.earliest is None:
        return ""
    if result.on.latest is not None and result.on.latest < start:
        return "N"
    if result.on.earliest < start or not isinstance(before, Grade):
        return ""
    return "Y" if found.grade.grade > before.grade else "N"
