"""A whole trial report: derived datasets with their definition, conformance, tables and figures."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from hepatica.core.errors import UsageError
from hepatica.core.findings import Severity
from hepatica.core.progress import SILENT, Progress
from hepatica.core.provenance import Manifest
from hepatica.followup.endpoints.rules import EndpointRules
from hepatica.followup.verdict import Criterion, ResponseSettings
from hepatica.trials.report.conformance import RuleResult, check_conformance
from hepatica.trials.report.figures import ReportFigures
from hepatica.trials.report.source import SourceTable, SourceTables
from hepatica.trials.report.tables import ReportTable, say_absent
from hepatica.trials.report.tables_criteria import find_immune_assessor
from hepatica.trials.report.tables_dosing import tabulate_dosing, tabulate_lesion_doses
from hepatica.trials.report.tables_response import (
    Assessor,
    tabulate_response,
)
from hepatica.trials.report.tables_safety import tabulate_dlt, tabulate_events, tabulate_safety_overview
from hepatica.trials.report.tables_subjects import tabulate_demographics, tabulate_disposition
from hepatica.trials.report.tables_times import (
    compare_arms,
    derive_curves_of_times,
    tabulate_times,
)
from hepatica.trials.report.words import ReportWords, is_simulated, read_words
from hepatica.workflows.derive_response import ResponseOutcome, RowFinding, StageOutput
from hepatica.workflows.input_roles import name_input
from hepatica.workflows.ports import Clock
from hepatica.workflows.response_endpoints import read_given_rules
from hepatica.workflows.trial_report_criteria import BESIDE
from hepatica.workflows.trial_report_data import (
    DATASETS,
    DERIVED_RESPONSES,
    DataPorts,
    TrialData,
    derive_datasets,
    read_trial,
)
from hepatica.workflows.trial_report_tables import compose_figures, tabulate_beside

CRITERIA: Final = (Criterion.RECIST, Criterion.MRECIST)
"""Criteria with the codes CR, PR, SD and PD."""
OTHER_CATEGORIES: Final = tuple(criterion.category.upper() for criterion in BESIDE)
"""Never the criterion of a report, which has the codes CR, PR, SD and PD; shown beside it."""
INVESTIGATOR: Final = "INVESTIGATOR"
MOST_FINDINGS: Final = 1000
CONFORMANCE_COLUMNS: Final = (
    "rule", "dataset", "status", "severity", "rows_checked", "breaches", "leaves_out",
    "first_row", "column", "what", "source",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialReportRequest:
    """What to report.

    Parameters
    ----------
    folder
        SDTM files.
    rules
        Name of packaged censoring rules, or a TOML file.
    criterion
        RECIST 1.1 or mRECIST.
    evaluator
        Whose assessments the tables show; the investigator's, or else those of most rows, where empty.
    formats
        Formats of the datasets.
    words
        A trial's own file of words.
    origin
        Where the tables were made from, where they are not the user's own files.
    notes
        What was said when they were made.
    """

    folder: Path
    rules: str = "itt"
    criterion: Criterion = Criterion.RECIST
    evaluator: str = ""
    formats: tuple[str, ...] = ("csv", "xpt", "json")
    words: Path | None = None
    origin: str = ""
    notes: tuple[RowFinding, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportContent:
    """What the pages show.

    Parameters
    ----------
    study, simulated
        STUDYID, and whether it is a simulated trial.
    run_time
        Printed on the pages.
    tables, figures
        Values.
    conformance
        Rules over input and output.
    findings
        About rows.
    unverified
        Numbers that nobody has checked.
    facts
        Words and values for the head of the report.
    """

    study: str
    simulated: bool
    run_time: datetime
    tables: tuple[ReportTable, ...]
    figures: ReportFigures
    conformance: tuple[RuleResult, ...]
    findings: tuple[RowFinding, ...]
    unverified: tuple[str, ...]
    facts: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialReportPorts:
    """All that the command needs from the world.

    Parameters
    ----------
    data
        Reading and deriving.
    read_bytes
        Of a file of rules or words.
    keep_good
        Returns the rows of a dataset that fit its description, and findings about the others.
    write_dataset
        Takes the name of a dataset, rows, folder, formats and run time; returns file names.
    write_define
        Takes a folder, names of datasets with the rows of each, format, study and run time; returns the name.
    write_pages
        Takes a folder and the content; returns file names.
    write_table, write_document, digest_file, stage_output, clock, code_version
        As in the other workflows.
    """

    data: DataPorts
    read_bytes: Callable[[Path], bytes]
    keep_good: Callable[[str, Sequence[Mapping[str, Any]]], tuple[list[dict[str, Any]], list[RowFinding]]]
    write_dataset: Callable[
        [str, Sequence[Mapping[str, Any]], Path, Sequence[str], datetime], tuple[str, ...]
    ]
    write_define: Callable[..., str]
    write_pages: Callable[[Path, ReportContent, Progress], tuple[str, ...]]
    write_table: Callable[[Path, Sequence[str], Sequence[Mapping[str, str]]], None]
    write_document: Callable[[Path, Mapping[str, Any]], None]
    digest_file: Callable[[Path], str]
    stage_output: StageOutput
    clock: Clock
    code_version: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DerivedTrial:
    """A trial with everything its report shows.

    Parameters
    ----------
    data, content
        Datasets, and what is shown of them.
    assessor
        Whose assessments are shown.
    rules, settings, words
        By which they were derived.
    """

    data: TrialData
    content: ReportContent
    assessor: Assessor
    rules: EndpointRules
    settings: ResponseSettings
    words: ReportWords


def derive_trial(
    request: TrialReportRequest, *, ports: TrialReportPorts, progress: Progress = SILENT
) -> DerivedTrial:
    """Derive what a report shows, and write nothing.

    Parameters
    ----------
    request, ports, progress
        As in `report_trial`.

    Raises
    ------
    UsageError
        For a criterion whose codes the tables do not have.
    """
    if request.criterion not in CRITERIA:
        raise UsageError(
            expected=f"one of {', '.join(CRITERIA)}", given=f"'{request.criterion}'", where="--criteria",
            action="see 'hepatica response derive' for the other criteria",
        )  # fmt: skip
    words = read_given_words(request.words, read_bytes=ports.read_bytes)
    rules = read_given_rules(request.rules, read_bytes=ports.read_bytes)
    settings = ResponseSettings(criterion=request.criterion)
    progress.stage("Reading tables")
    data = read_trial(request.folder, ports=ports.data)
    data.findings += request.notes
    progress.stage("Deriving datasets")
    derive_datasets(data, rules=rules, settings=settings, words=words, ports=ports.data)
    for name, rows in data.datasets.items():
        data.datasets[name], findings = ports.keep_good(name.lower(), rows)
        data.findings += findings
    progress.stage("Checking conformance")
    data.conformance = _check_output(data)
    run_time = ports.clock.now()
    content = _compose(data, request, rules=rules, settings=settings, words=words, run_time=run_time)
    assessor = _choose_assessor(data, request)
    return DerivedTrial(
        data=data, content=content, assessor=assessor, rules=rules, settings=settings, words=words
    )


def report_trial(
    request: TrialReportRequest,
    *,
    ports: TrialReportPorts,
    out: Path,
    overwrite: bool = False,
    progress: Progress = SILENT,
) -> ResponseOutcome:
    """Write the report of a trial.

    Parameters
    ----------
    request
        Folder and choices.
    ports
        The world.
    out
        Folder to make: ``datasets/``, ``trial.html``, ``trial.pdf``, ``pictures/``, ``conformance.csv`` and ``.json``.
    overwrite
        Replace an earlier result.
    progress
        Told about stages.

    Returns
    -------
    outcome
        Partial where rows or subjects were left out.
    """
    found = derive_trial(request, ports=ports, progress=progress)
    data, content, run_time = found.data, found.content, found.content.run_time
    with ports.stage_output(out, overwrite=overwrite) as stage:
        progress.stage("Writing datasets")
        _write_datasets(data, stage, request=request, ports=ports, run_time=run_time)
        _write_conformance(data, stage, ports=ports)
        progress.stage("Drawing")
        ports.write_pages(stage, content, progress)
        manifest = _write_manifest(found, request, stage, ports=ports)
    return ResponseOutcome(
        document=_summarise(data, content, out=out, files=sorted(manifest.outputs)), partial=data.partial
    )


def read_given_words(path: Path | None, *, read_bytes: Callable[[Path], bytes]) -> ReportWords:
    """Return the packaged words, or those of a file."""
    if path is None:
        return read_words()
    with name_input("report words"):
        return read_words(read_bytes(path))


def _check_output(data: TrialData) -> tuple[RuleResult, ...]:
    """Return the results of the input with those of the derived datasets, whose rules look at both."""
    derived = {
        name: SourceTable.from_rows(name, rows)
        for name, rows in data.datasets.items()
        if name in DATASETS and rows
    }
    joined = SourceTables(tables={**data.tables.tables, **derived})
    of_input = tuple(item for item in data.conformance if item.rule.dataset not in DATASETS)
    return (*of_input, *check_conformance(joined, datasets=DATASETS))


def _choose_assessor(data: TrialData, request: TrialReportRequest) -> Assessor:
    """Return the stream that the tables show: the criterion asked for, the evaluator asked for."""
    derived = request.criterion.category
    counts = Counter(
        (row["PARCAT1"], row["AEVAL"], row["AEVALID"])
        for row in data.datasets["ADRS"]
        if row["PARAMCD"] == "OVR" and not row["GRPID"] and row["PARCAT1"].upper() not in OTHER_CATEGORIES
    )
    wanted = [key for key in counts if not request.evaluator or request.evaluator in key[1:]]
    if request.evaluator and counts and not wanted:
        known = sorted({who for key in counts for who in key[1:] if who})
        raise UsageError(
            expected=f"one of {', '.join(known) or 'no evaluator'}",
            given=f"'{request.evaluator}'",
            where="--evaluator",
        )
    best = max(
        wanted,
        key=lambda key: (key[0] == derived, key[1] == INVESTIGATOR, counts[key], key),
        default=(derived, "", ""),
    )
    return Assessor(category=best[0], derived=derived, evaluator=best[1], evaluator_id=best[2])


def _compose(
    data: TrialData,
    request: TrialReportRequest,
    *,
    rules: EndpointRules,
    settings: ResponseSettings,
    words: ReportWords,
    run_time: datetime,
) -> ReportContent:
    subjects, events, exposure = (data.datasets[name] for name in ("ADSL", "ADAE", "ADEX"))
    responses, times = data.datasets["ADRS"], data.datasets["ADTTE"]
    assessor = _choose_assessor(data, request)
    no_response = "" if responses else say_absent("RS", "TU with TR")
    immune = find_immune_assessor(responses, assessor)
    assessors = {code: assessor for code in ("OS", "PFS", "DOR")}
    if immune is not None:
        assessors |= {"IPFS": immune, "IDOR": immune}
    curves = derive_curves_of_times(times, subjects, assessors=assessors, words=words)
    comparisons = compare_arms(times, subjects, assessors=assessors, words=words)
    tables = (
        tabulate_disposition(subjects, data.tables),
        tabulate_demographics(subjects),
        tabulate_dosing(exposure, subjects, data.tables),
        tabulate_dlt(events, subjects, data.tables, words=words),
        tabulate_safety_overview(events, subjects, data.tables),
        tabulate_events(events, subjects, data.tables),
        tabulate_response(
            responses, subjects, data.members, assessor=assessor, words=words, absent=no_response
        ),
        *tabulate_beside(data, settings=settings, assessor=assessor, words=words, absent=no_response),
        tabulate_times(curves, rules=rules.title, comparisons=comparisons),
        tabulate_lesion_doses(exposure, data.tables),
    )
    simulated = is_simulated(data.tables.study)
    used = (("rules", rules.settings), *((table.name, table) for table in settings.tables))
    unverified = tuple(
        f"{table.name} [{entry.key}]" for _, table in used for entry in table if entry.unverified
    )
    return ReportContent(
        study=data.tables.study or "Study not named",
        simulated=simulated,
        run_time=run_time,
        tables=tables,
        figures=compose_figures(
            data, assessor=assessor, words=words, curves=curves, comparisons=comparisons, absent=no_response
        ),
        conformance=data.conformance,
        findings=tuple(data.findings),
        unverified=(*words.unverified, *unverified),
        facts=(
            ("Criterion", f"{request.criterion.category}, {assessor.name}"),
            ("Censoring", f"{rules.title} ({rules.status})"),
            ("Datasets read", ", ".join(sorted(data.sources))),
            ("Left out", _say_left_out(data)),
            ("Subjects", "Pseudonymous: USUBJID as in the SDTM files; no other identifier is shown."),
        ),
    )


def _say_left_out(data: TrialData) -> str:
    if not data.partial:
        return "nothing"
    errors = sum(finding.severity is Severity.ERROR for finding in data.findings)
    return (
        f"{data.left_out_subjects} subject(s) and {data.left_out_rows} row(s) by conformance rules; "
        f"{errors} finding(s) about rows that could not be used"
    )


def _write_datasets(
    data: TrialData, stage: Path, *, request: TrialReportRequest, ports: TrialReportPorts, run_time: datetime
) -> None:
    folder = stage / "datasets"
    folder.mkdir()
    written = {}
    for name in (*DATASETS, DERIVED_RESPONSES):
        rows = data.datasets.get(name, [])
        if rows:
            ports.write_dataset(name.lower(), rows, folder, request.formats, run_time)
            written[name.lower()] = rows
    ports.write_define(
        folder,
        written,
        file_format=request.formats[0],
        study=data.tables.study or "NOT GIVEN",
        run_time=run_time,
    )


def _write_conformance(data: TrialData, stage: Path, *, ports: TrialReportPorts) -> None:
    rows = []
    for result in data.conformance:
        first = result.breaches[0] if result.breaches else None
        cells = (
            result.rule.rule_id, result.rule.dataset, result.status, str(result.rule.severity), str(result.applied),
            str(result.count), str(result.rule.drops), "" if first is None else str(first.line),
            "" if first is None else first.column, result.rule.what, result.rule.source,
        )  # fmt: skip
        rows.append(dict(zip(CONFORMANCE_COLUMNS, cells)))
    ports.write_table(stage / "conformance.csv", CONFORMANCE_COLUMNS, rows)
    document = {
        "rules": [result.to_dict() for result in data.conformance],
        "counts": dict(Counter(result.status for result in data.conformance)),
        "findings": [finding.to_dict() for finding in data.findings],
    }
    ports.write_document(stage / "conformance.json", document)


def _write_manifest(
    found: DerivedTrial, request: TrialReportRequest, stage: Path, *, ports: TrialReportPorts
) -> Manifest:
    data, rules, settings, words = found.data, found.rules, found.settings, found.words
    files = sorted(path for path in stage.rglob("*") if path.is_file())
    manifest = Manifest(
        command="trial report",
        run_time=found.content.run_time,
        code_version=ports.code_version,
        inputs={name.lower(): ports.digest_file(path) for name, path in data.sources.items()},
        sources={name.lower(): request.origin or str(path) for name, path in data.sources.items()},
        parameters={
            **settings.to_dict(),
            "rules": request.rules,
            "evaluator": request.evaluator,
            "formats": list(request.formats),
        },
        tables={
            rules.settings.name: rules.digest,
            "report words": words.digest,
            **{table.name: table.digest for table in settings.tables},
        },
        outputs={path.relative_to(stage).as_posix(): ports.digest_file(path) for path in files},
    )
    ports.write_document(stage / "manifest.json", manifest.to_dict())
    return manifest


def _summarise(data: TrialData, content: ReportContent, *, out: Path, files: list[str]) -> dict[str, Any]:
    return {
        "command": "trial report",
        "out": str(out),
        "study": content.study,
        "simulated": content.simulated,
        "files": files,
        "subjects": len(data.datasets["ADSL"]),
        "treated": sum(row["SAFFL"] == "Y" for row in data.datasets["ADSL"]),
        "datasets": {name.lower(): len(rows) for name, rows in data.datasets.items()},
        "conformance": dict(Counter(result.status for result in data.conformance)),
        "failed_rules": [
            {
                "id": r.rule.rule_id,
                "severity": str(r.rule.severity),
                "breaches": r.count,
                "leaves_out": str(r.rule.drops),
            }
            for r in data.conformance
            if r.count
        ],
        "not_reported": {table.table_id: table.absent for table in content.tables if table.absent}
        | dict(content.figures.absent),
        "left_out": {"rows": data.left_out_rows, "subjects": data.left_out_subjects},
        "partial": data.partial,
        "unverified": list(content.unverified),
        "findings": [*_to_findings(data), *(f.to_dict() for f in data.findings)][:MOST_FINDINGS],
    }


def _to_findings(data: TrialData) -> list[dict[str, Any]]:
    """Return one finding for each place that left something out."""
    return [
        RowFinding(
            rule=result.rule.rule_id,
            severity=result.rule.severity,
            table=result.rule.dataset.lower(),
            row=breach.line,
            column=breach.column,
            message=f"Does not hold: {result.rule.what}. The {result.rule.drops} is left out.",
        ).to_dict()
        for result in data.conformance
        if result.rule.drops
        for breach in result.breaches
    ]
