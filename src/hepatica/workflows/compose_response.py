"""From components of time points, entered by hand, to overall responses."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from math import isfinite
from pathlib import Path
from typing import Any, Final

from hepatica.core.errors import InputError
from hepatica.core.findings import Severity
from hepatica.followup.dates import PartialDate
from hepatica.followup.immune_state import START, ImmuneFacts, advance, read_immune_limits
from hepatica.followup.overall import compose_overall
from hepatica.followup.verdict import Criterion
from hepatica.followup.words import TO_IMMUNE, Growth, ImmuneResponse, NewLesion, Response
from hepatica.workflows.derive_response import ResponseOutcome, ResponsePorts, RowFinding

REQUIRED: Final = ("subject", "date", "target", "nontarget", "new_lesion")
OPTIONAL: Final = (
    "baseline_sum",
    "target_sum",
    "new_target_sum",
    "new_lesion_count",
    "nontarget_growth",
    "symptom_driven",
)
ADDED: Final = ("overall", "late_confirmation", "rule")
TABLE: Final = "timepoints"
TARGET_CODES: Final = (Response.CR, Response.PR, Response.SD, Response.PD, Response.NE, Response.NONE)
NON_TARGET_CODES: Final = (
    Response.CR,
    Response.NON_CR_NON_PD,
    Response.PD,
    Response.NE,
    Response.NONE,
)
COMPOSED: Final = (Criterion.RECIST, Criterion.IRECIST, Criterion.MRECIST, Criterion.VOLUMETRIC)
"""Criteria whose components are joined by one of the two tables."""


@dataclass(slots=True)
class _Reader:
    """Turns cells into facts; what cannot be read becomes a finding."""

    findings: list[RowFinding] = field(default_factory=list)

    @property
    def errors(self) -> int:
        """How many rows were bad."""
        return sum(finding.severity is Severity.ERROR for finding in self.findings)

    def report(self, line: int, column: str, message: str, *, severity: Severity = Severity.ERROR) -> None:
        """Keep a finding about a row."""
        self.findings.append(
            RowFinding(
                rule="response.timepoint",
                severity=severity,
                table=TABLE,
                row=line,
                column=column,
                message=message,
            )
        )

    def pick(self, cells: Mapping[str, str], line: int, column: str, words: Mapping[str, Any]) -> Any:
        """Return what a word means; words are matched whatever their case."""
        text = cells[column].strip().upper()
        if text not in words:
            known = ", ".join(word or "blank" for word in words)
            self.report(line, column, f"The word is none of: {known}.")
            return None
        return words[text]

    def number(self, cells: Mapping[str, str], line: int, column: str) -> float | None:
        """Return a number of 0 or more; None where the cell is blank."""
        text = cells[column].strip()
        if not text:
            return None
        try:
            value = float(text)
        except ValueError:
            value = -1.0
        if value < 0 or not isfinite(value):
            self.report(line, column, "The value is not a number of 0 or more.")
            return None
        return value


@dataclass(frozen=True, slots=True, kw_only=True)
class _TimePoint:
    """One row as read."""

    line: int
    cells: Mapping[str, str]
    date: PartialDate
    facts: ImmuneFacts


def _words_for(codes: Sequence[Response], *, immune: bool) -> dict[str, Response]:
    words = {str(code): code for code in codes}
    if immune:
        words |= {str(TO_IMMUNE[code]).upper(): code for code in codes}
    return words


NEW_WORDS: Final = {str(word): word for word in NewLesion} | {"": NewLesion.NO}
GROWTH_WORDS: Final = {str(word).upper(): word for word in Growth} | {"": Growth.NONE}
YES_WORDS: Final = {"Y": True, "YES": True, "TRUE": True, "1": True, "N": False, "NO": False} | {
    "FALSE": False,
    "0": False,
    "": False,
}


def compose_response(
    timepoints: Path, *, criterion: Criterion, ports: ResponsePorts, out: Path, early_tolerance: bool = False
) -> ResponseOutcome:
    """Add the overall response to a table of components.

    Parameters
    ----------
    timepoints
        CSV with ``subject, date, target, nontarget, new_lesion``; for iRECIST also sums, counts and growth. A
        blank component is absent disease; a blank new lesion is none.
    criterion
        RECIST 1.1, mRECIST and volumetric join by the RECIST tables, iRECIST by its state machine.
    ports
        The world.
    out
        CSV to write: all input columns and ``overall, late_confirmation, rule``, rows in the order given.
    early_tolerance
        iRECIST: accept a confirmation scan two days early.

    Raises
    ------
    InputError
        If the criterion has no table of its own for components (itRECIST).

    Returns
    -------
    outcome
        Subjects with a bad row are left out and the outcome is partial.
    """
    if criterion not in COMPOSED:
        raise InputError(
            expected=f"one of {', '.join(COMPOSED)}",
            given=str(criterion),
            where="--criteria",
            action="compose each group of itRECIST by recist-1.1",
        )
    reader = _Reader()
    immune = criterion is Criterion.IRECIST
    subjects: dict[str, list[_TimePoint]] = {}
    bad: set[str] = set()
    # Columns are known by name whatever their case; all of them are written again as they were.
    header = ports.read_header(timepoints, role="timepoints")
    further = tuple(name for name in header if name.lower() not in (*REQUIRED, *OPTIONAL))
    names = (*REQUIRED, *OPTIONAL, *further)
    rows = ports.read_table(timepoints, required=REQUIRED, optional=names[len(REQUIRED) :], role="timepoints")
    for line, cells in _name_cells(rows, reader, names=names):
        errors = reader.errors
        point = _read_point(line, cells, reader, immune=immune)
        subject = cells["subject"]
        if point is None or reader.errors > errors:
            bad.add(subject)
        else:
            subjects.setdefault(subject, []).append(point)
    answers: dict[int, dict[str, str]] = {}
    for subject, points in subjects.items():
        ordered = _order(points, reader)
        if subject in bad or ordered is None:
            continue
        walk = _walk_immune(ordered, early_tolerance=early_tolerance) if immune else _walk_recist(ordered)
        answers |= {point.line: answer for point, answer in zip(ordered, walk)}
    written = [
        {**point.cells, **answers[point.line]}
        for point in sorted((p for points in subjects.values() for p in points), key=lambda p: p.line)
        if point.line in answers
    ]
    columns = [name if name in further else name.lower() for name in header if name not in ADDED]
    ports.write_table(out, (*columns, *ADDED), written)
    return _report(reader, criterion=criterion, out=out, count=len(written))


def _report(reader: _Reader, *, criterion: Criterion, out: Path, count: int) -> ResponseOutcome:
    partial = any(finding.severity is Severity.ERROR for finding in reader.findings)
    document = {
        "command": "response compose",
        "out": str(out),
        "settings": {"criterion": str(criterion)},
        "timepoints": count,
        "partial": partial,
        "findings": [finding.to_dict() for finding in reader.findings],
    }
    return ResponseOutcome(document=document, partial=partial)


def _name_cells(
    rows: Iterator[tuple[int, tuple[str, ...] | None]], reader: _Reader, *, names: Sequence[str]
) -> Iterator[tuple[int, dict[str, str]]]:
    for line, cells in rows:
        if cells is None:
            reader.report(line, "", "The row has another number of cells than the header.")
        elif not cells[0].strip():
            reader.report(line, "subject", "The row names no subject.")
        else:
            yield line, dict(zip(names, cells))


def _read_point(line: int, cells: dict[str, str], reader: _Reader, *, immune: bool) -> _TimePoint | None:
    try:
        date = PartialDate.from_text(cells["date"])
    except InputError:
        reader.report(line, "date", "The date is not an ISO 8601 date.")
        return None
    if date.earliest is None:
        reader.report(line, "date", "The time point has no date.")
        return None
    target = reader.pick(cells, line, "target", _words_for(TARGET_CODES, immune=immune))
    non_target = reader.pick(cells, line, "nontarget", _words_for(NON_TARGET_CODES, immune=immune))
    new = reader.pick(cells, line, "new_lesion", NEW_WORDS)
    growth = reader.pick(cells, line, "nontarget_growth", GROWTH_WORDS) if immune else Growth.NONE
    symptoms = reader.pick(cells, line, "symptom_driven", YES_WORDS) if immune else False
    sums = {name: reader.number(cells, line, name) if immune else None for name in OPTIONAL[:4]}
    if None in (target, non_target, new, growth, symptoms):
        return None
    if immune:
        _check_sum(line, target, sums, reader)
    count = sums["new_lesion_count"]
    # Without non-targets at baseline, growth that is not measured can only be that of new lesions.
    of_new = non_target is Response.NONE and new is NewLesion.YES
    facts = ImmuneFacts(
        day=date.day,
        target=TO_IMMUNE[target],
        non_target=TO_IMMUNE[non_target],
        new=new,
        target_sum_mm=sums["target_sum"],
        new_target_sum_mm=sums["new_target_sum"],
        new_lesion_count=None if count is None else int(count),
        non_target_growth=Growth.NONE if of_new else growth,
        new_non_target_growth=growth if of_new else Growth.NONE,
        symptom_driven=symptoms,
    )
    return _TimePoint(line=line, cells=cells, date=date, facts=facts)


def _check_sum(line: int, target: Response, sums: Mapping[str, float | None], reader: _Reader) -> None:
    """Warn where a target response and its own sums disagree; the response as entered counts."""
    from hepatica.followup.criteria.recist11 import read_recist_limits
    from hepatica.followup.limits import is_at_most

    baseline, now = sums["baseline_sum"], sums["target_sum"]
    if baseline is None or now is None or target not in (Response.PR, Response.SD):
        return
    reached = is_at_most(now, read_recist_limits().response_ratio * baseline)
    if reached != (target is Response.PR):
        message = "The target response does not agree with the sums; it is used as entered."
        reader.report(line, "target", message, severity=Severity.WARNING)


def _order(points: list[_TimePoint], reader: _Reader) -> list[_TimePoint] | None:
    """Order by date; time points that cannot be told apart keep their order in the table."""
    seen: dict[str, int] = {}
    for point in points:
        if point.date.text in seen and point.date.day is not None:
            reader.report(point.line, "date", "The subject has two time points on one day.")
            return None
        seen[point.date.text] = point.line
    return sorted(points, key=lambda point: (point.date.earliest, point.date.latest, point.line))


def _walk_recist(points: Sequence[_TimePoint]) -> Iterator[dict[str, str]]:
    back = {immune: plain for plain, immune in TO_IMMUNE.items()}
    for point in points:
        overall, rule = compose_overall(
            back[point.facts.target], back[point.facts.non_target], point.facts.new
        )
        yield {"overall": str(overall), "late_confirmation": "", "rule": rule}


def _walk_immune(points: Sequence[_TimePoint], *, early_tolerance: bool) -> Iterator[dict[str, str]]:
    limits = read_immune_limits(early_tolerance=early_tolerance)
    state = START
    for point in points:
        answer, state = advance(point.facts, state, limits=limits)
        causes = " and ".join(answer.causes)
        confirmed = answer.response is ImmuneResponse.ICPD and answer.rule != "confirmed-before"
        late = ("Y" if answer.late_confirmation else "N") if confirmed else ""
        yield {
            "overall": str(answer.response),
            "late_confirmation": late,
            "rule": f"{answer.rule}: {causes}" if causes else answer.rule,
        }
