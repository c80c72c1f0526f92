"""From a folder of SDTM files to the derived datasets of a trial, with everything that was wrong on the way."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from hepatica.core.errors import InputError
from hepatica.core.findings import NotEvaluable, Severity
from hepatica.followup.curves import derive_curves
from hepatica.followup.endpoints.derive import derive_endpoints
from hepatica.followup.endpoints.rules import EndpointRules
from hepatica.followup.records import Course
from hepatica.followup.verdict import ResponseSettings, Verdict, derive_verdicts
from hepatica.trials.report.adverse import derive_adverse_events
from hepatica.trials.report.conformance import RuleResult, check_conformance, leave_out
from hepatica.trials.report.dosing import derive_exposure
from hepatica.trials.report.lesion_groups import ResponseGroup, restrict_course
from hepatica.trials.report.source import SourceTable, SourceTables, join_supplements, read_date, read_number
from hepatica.trials.report.subjects import derive_subjects
from hepatica.trials.report.words import ReportWords
from hepatica.workflows.derive_response import (
    EvaluatedCourse,
    ResponseRequest,
    ResponseTables,
    RowFinding,
)
from hepatica.workflows.response_endpoints import to_response_row, to_time_row
from hepatica.workflows.response_results import to_results
from hepatica.workflows.subject_histories import Histories, ReadTable
from hepatica.workflows.trial_report_criteria import count_members, derive_beside

Row = dict[str, Any]
DATASETS: Final = ("ADSL", "ADAE", "ADEX", "ADTR", "ADRS", "ADTTE")
RESPONSE_TEST_NAMES: Final = {
    "TRGRESP": "Target Response",
    "NTRGRESP": "Non-target Response",
    "NEWLIND": "New Lesion Indicator",
    "NEWLPROG": "New Lesion Progression",
    "OVRLRESP": "Overall Response",
}
DERIVED_RESPONSES: Final = "RS"


@dataclass(frozen=True, slots=True, kw_only=True)
class DataPorts:
    """What reading a trial needs from the world.

    Parameters
    ----------
    find_tables
        Returns the file of each dataset of a folder, by content, and roles of files that are none.
    read_header, read_table
        Of one file of any supported format.
    read_courses
        Reads tumour tables.
    open_tables
        Opens the tables of derived responses in a folder.
    read_sums
        Reads ADTR of a folder back as typed rows.
    write_table
        Writes a CSV file.
    open_room
        A private folder that vanishes.
    """

    find_tables: Callable[[Path], tuple[Mapping[str, Path], Sequence[str]]]
    read_header: Callable[..., tuple[str, ...]]
    read_table: ReadTable
    read_courses: Callable[[ResponseRequest], Iterator[EvaluatedCourse]]
    open_tables: Callable[[Path, ResponseSettings], AbstractContextManager[ResponseTables]]
    read_sums: Callable[[Path], list[Row]]
    write_table: Callable[[Path, Sequence[str], Sequence[Mapping[str, str]]], None]
    open_room: Callable[[], AbstractContextManager[Path]]


@dataclass(slots=True)
class TrialData:
    """Everything a report rests on.

    Parameters
    ----------
    sources
        Files by dataset.
    tables
        The input without what rules leave out, supplements joined.
    conformance
        Rules over input, later over output.
    datasets
        Rows of ADSL and the others by name, and RS where responses were derived.
    members
        Subjects with a lesion of each group at baseline.
    injected_members
        Subjects with lesions in each group of the itRECIST-based reading.
    lines
        Curve of the target sum of each subject, by group and evaluator.
    findings
        What was said about rows.
    """

    sources: Mapping[str, Path]
    tables: SourceTables
    conformance: tuple[RuleResult, ...] = ()
    datasets: dict[str, list[Row]] = field(default_factory=dict)
    members: dict[ResponseGroup, set[str]] = field(default_factory=dict)
    injected_members: Mapping[str, set[str]] = field(default_factory=dict)
    lines: dict[tuple[ResponseGroup, str, str], dict[str, Any]] = field(default_factory=dict)
    findings: list[RowFinding] = field(default_factory=list)
    left_out_rows: int = 0
    left_out_subjects: int = 0

    @property
    def partial(self) -> bool:
        """Whether something was left out."""
        errors = any(finding.severity is Severity.ERROR for finding in self.findings)
        return errors or bool(self.left_out_rows or self.left_out_subjects)


def read_trial(folder: Path, *, ports: DataPorts) -> TrialData:
    """Read all datasets of a folder and leave out what conformance rules say cannot be used.

    Raises
    ------
    InputError
        If there is no DM.
    """
    sources, strangers = ports.find_tables(folder)
    if "DM" not in sources:
        raise InputError(
            expected="a table DM (demographics)", given=f"{len(sources)} other dataset(s)", where="the folder",
            action="export DM; a subject that is not in it cannot be counted",
        )  # fmt: skip
    findings: list[RowFinding] = [
        RowFinding(
            rule="report.stranger",
            severity=Severity.INFO,
            table=name,
            row=0,
            column="",
            message="The file is no dataset that this report uses.",
        )
        for name in strangers
    ]
    tables = {name: _read(name, path, ports=ports, findings=findings) for name, path in sources.items()}
    results = check_conformance(SourceTables(tables=tables))
    kept, rows, subjects = leave_out(SourceTables(tables=tables), results)
    return TrialData(
        sources=sources,
        tables=SourceTables(tables=join_supplements(kept.tables)),
        conformance=results,
        findings=findings,
        left_out_rows=rows,
        left_out_subjects=subjects,
    )


def _read(name: str, path: Path, *, ports: DataPorts, findings: list[RowFinding]) -> SourceTable:
    columns = tuple(column.upper() for column in ports.read_header(path, role=name.lower()))
    rows, lines = [], []
    for line, cells in ports.read_table(path, required=columns, role=name.lower()):
        if cells is None:
            findings.append(
                RowFinding(
                    rule="report.row",
                    severity=Severity.ERROR,
                    table=name.lower(),
                    row=line,
                    column="",
                    message="The row has another number of cells than the header.",
                )
            )
            continue
        rows.append(dict(zip(columns, cells)))
        lines.append(line)
    return SourceTable(name=name, columns=columns, rows=tuple(rows), lines=tuple(lines))


def derive_datasets(
    data: TrialData,
    *,
    rules: EndpointRules,
    settings: ResponseSettings,
    words: ReportWords,
    ports: DataPorts,
) -> None:
    """Fill in all derived datasets.

    Parameters
    ----------
    data
        From `read_trial`.
    rules
        Censoring.
    settings
        Criterion.
    words
        Sponsor's words.
    ports
        The world.
    """
    data.datasets["ADSL"] = derive_subjects(data.tables, words=words)
    data.datasets["ADAE"] = derive_adverse_events(data.tables, data.datasets["ADSL"], words=words)
    data.datasets["ADEX"] = derive_exposure(data.tables, data.datasets["ADSL"], words=words)
    with ports.open_room() as room:
        paths = _write_clean(data.tables, room, ports=ports)
        if {"TU", "TR"} <= set(paths):
            _derive_tumours(data, paths, room, settings=settings, words=words, ports=ports)
        _derive_endpoints(data, paths, room, rules=rules, ports=ports)


def _write_clean(tables: SourceTables, room: Path, *, ports: DataPorts) -> dict[str, Path]:
    paths = {}
    for name in ("DM", "EX", "DS", "CM", "TU", "TR", "RS"):
        if name in tables:
            table = tables.tables[name]
            paths[name] = room / f"{name.lower()}.csv"
            ports.write_table(paths[name], table.columns, table.rows)
    return paths


def _place(data: TrialData, finding: RowFinding) -> RowFinding:
    """Return a finding about a cleaned table with the line of the file that was given."""
    table = data.tables.tables.get(finding.table.upper())
    if table is None or not 2 <= finding.row < len(table.lines) + 2:
        return finding
    return replace(finding, row=table.lines[finding.row - 2])


def _derive_tumours(
    data: TrialData,
    paths: Mapping[str, Path],
    room: Path,
    *,
    settings: ResponseSettings,
    words: ReportWords,
    ports: DataPorts,
) -> None:
    has_lesions = data.tables.has("EX", "EXLNKID")
    request = ResponseRequest(
        lesions=paths["TU"],
        results=paths["TR"],
        settings=settings,
        subjects=paths["DM"],
        exposure=paths["EX"] if has_lesions else None,
    )
    groups = tuple(ResponseGroup) if has_lesions else (ResponseGroup.ALL,)
    courses = list(ports.read_courses(request))
    responses: list[Row] = []
    sums: list[Row] = []
    for group in groups:
        folder = room / f"group-{groups.index(group)}"
        folder.mkdir()
        with ports.open_tables(folder, settings) as tables:
            for item in courses:
                if item.course is None:
                    continue
                restricted = restrict_course(item.course, group, words=words)
                if restricted is not None:
                    found = _judge(data, item, restricted, group, settings=settings)
                    part = replace(item, course=restricted)
                    tables.write(part, found, [{} for _ in found])
                    if group is not ResponseGroup.ALL or "RS" not in paths:
                        responses += _list_responses(part, found, settings=settings)
        # A course without a later visit has no verdict that would name the group.
        sums += ({**row, "GRPID": str(group)} for row in ports.read_sums(folder))
    for item, found, chosen in derive_beside(courses, data.tables, settings=settings, linked=has_lesions):
        responses += _list_responses(item, found, settings=chosen)
    data.injected_members = count_members(courses) if has_lesions else {}
    data.findings += (_place(data, finding) for item in courses for finding in item.findings)
    data.datasets["ADTR"] = sums
    data.datasets[DERIVED_RESPONSES] = _number(responses, data.tables)


def _judge(
    data: TrialData,
    item: EvaluatedCourse,
    course: Course,
    group: ResponseGroup,
    *,
    settings: ResponseSettings,
) -> list[Verdict]:
    data.members.setdefault(group, set()).add(item.subject)
    verdicts = [replace(verdict, group=str(group)) for verdict in derive_verdicts(course, settings=settings)]
    curves = derive_curves(course, node_normal=settings.limits.node_normal)
    if not isinstance(curves, NotEvaluable):
        key = (group, item.evaluator, item.evaluator_id)
        data.lines.setdefault(key, {})[item.subject] = curves.total
    return verdicts


def _list_responses(
    course: EvaluatedCourse, verdicts: Sequence[Verdict], *, settings: ResponseSettings
) -> Iterator[Row]:
    for verdict in verdicts:
        if not verdict.overall:
            continue
        day = course.study_days.get(verdict.visit.number, "")
        for test, result in to_results(verdict):
            yield {
                "STUDYID": course.study or "NOT GIVEN", "DOMAIN": "RS", "USUBJID": course.subject,
                "RSGRPID": verdict.group, "RSTESTCD": test, "RSTEST": RESPONSE_TEST_NAMES[test],
                "RSCAT": settings.criterion.category, "RSORRES": result, "RSSTRESC": result,
                "RSEVAL": course.evaluator, "RSEVALID": course.evaluator_id, "VISITNUM": verdict.visit.number,
                "VISIT": verdict.visit.name, "RSDTC": verdict.visit.date.text, "RSDY": int(day) if day else None,
            }  # fmt: skip


def _number(responses: Sequence[Row], tables: SourceTables) -> list[Row]:
    """Give derived responses the sequence numbers after the recorded ones."""
    last: dict[str, int] = {}
    for row in tables.rows("RS"):
        value = int(read_number(row.get("RSSEQ", "")) or 0)
        last[row["USUBJID"]] = max(last.get(row["USUBJID"], 0), value)
    numbered = []
    for row in responses:
        last[row["USUBJID"]] = last.get(row["USUBJID"], 0) + 1
        numbered.append({**row, "RSSEQ": last[row["USUBJID"]]})
    return numbered


def _derive_endpoints(
    data: TrialData, paths: Mapping[str, Path], room: Path, *, rules: EndpointRules, ports: DataPorts
) -> None:
    recorded = data.tables.tables.get("RS")
    derived = SourceTable.from_rows("RS", data.datasets.get(DERIVED_RESPONSES, []))
    columns = tuple(dict.fromkeys((*(recorded.columns if recorded else ()), *derived.columns)))
    if "RSTESTCD" not in columns:
        columns = ("USUBJID", "RSTESTCD", "RSDTC")
    rows = [*(recorded.rows if recorded else ()), *derived.rows]
    joined = room / "responses.csv"
    ports.write_table(joined, columns, [{name: row.get(name, "") for name in columns} for row in rows])
    treated = {row["USUBJID"] for row in data.datasets["ADSL"] if row["SAFFL"] == "Y"}
    subjects = data.tables.tables["DM"]
    kept = [row for row in subjects.rows if row["USUBJID"] in treated]
    lines = [line for line, row in subjects.numbered() if row["USUBJID"] in treated]
    ports.write_table(room / "treated.csv", subjects.columns, kept)
    given = {name.lower(): paths[name] for name in ("EX", "DS", "CM", "TU") if name in paths}
    histories = Histories(rules=rules)
    histories.read({**given, "dm": room / "treated.csv", "rs": joined}, read_table=ports.read_table)
    responses: list[Row] = []
    times: list[Row] = []
    for history in histories.build(lesions_known="TU" in paths):
        values, ends = derive_endpoints(history, rules=rules)
        responses += (to_response_row(value, history) for value in values)
        times += (to_time_row(end, history, rules=rules) for end in ends)
    data.findings += _keep_findings(data, histories.findings, treated, lines)
    data.datasets["ADRS"] = responses
    data.datasets["ADTTE"] = times


def _keep_findings(
    data: TrialData, findings: Sequence[RowFinding], treated: Collection[str], lines: Sequence[int]
) -> Iterator[RowFinding]:
    """Leave out findings about subjects who were never treated: they are in no analysis of times."""
    for finding in findings:
        table = data.tables.tables.get(finding.table.upper())
        row = finding.row - 2
        if finding.table == "dm":
            yield replace(finding, row=lines[row]) if 0 <= row < len(lines) else finding
            continue
        known = table is not None and 0 <= row < len(table.rows)
        if known and table is not None and table.rows[row].get("USUBJID") not in treated:
            continue
        yield _place(data, finding)


def find_therapies(tables: SourceTables, *, words: ReportWords) -> dict[str, Any]:
    """Return the first day of a new anticancer therapy of each subject, where it is a whole date."""
    found: dict[str, Any] = {}
    for row in tables.rows("CM"):
        day = read_date(row.get("CMSTDTC", "")).day
        if day is not None and words.means("new_therapy", row.get("CMCAT", "")):
            found[row["USUBJID"]] = min(day, found.get(row["USUBJID"], day))
    return found
