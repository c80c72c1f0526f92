"""From recorded responses to ADRS and ADTTE, with censoring rules as data."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from hepatica.core.findings import Severity
from hepatica.core.progress import SILENT, Progress
from hepatica.core.provenance import Manifest
from hepatica.followup.endpoints.derive import NAMES, EndpointTime, ResponseValue, derive_endpoints
from hepatica.followup.endpoints.history import Stream, SubjectHistory
from hepatica.followup.endpoints.rules import EndpointRules, list_rules, read_rules, to_rules
from hepatica.workflows.derive_response import ResponseOutcome, StageOutput
from hepatica.workflows.input_roles import name_input
from hepatica.workflows.ports import Clock
from hepatica.workflows.subject_histories import Histories, ReadTable

MONTH_DIGITS: Final = 4
"""Decimals of a time in months: a tenth of an hour."""
CURVE_COLUMNS: Final = ("USUBJID", "TRTP", "AVAL", "AVALM", "CNSR", "EVNTDESC")
"""Columns of the tables for `hepatica trial survival`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointRequest:
    """What to derive from what.

    Parameters
    ----------
    tables
        Files by role: ``rs`` and ``dm``, optionally ``ex``, ``ds``, ``cm`` and ``tu``.
    rules
        Name of packaged rules, or a TOML file.
    formats
        Formats of ADRS and ADTTE.
    """

    tables: Mapping[str, Path]
    rules: str
    formats: tuple[str, ...] = ("csv",)


@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointPorts:
    """All that the command needs from the world.

    Parameters
    ----------
    read_table
        Yields line number and cells of a table by column name.
    read_bytes
        Reads the file of rules.
    write_dataset
        Takes the name of a dataset, its rows, a folder, formats and the time of the run; returns file names.
    write_table
        Writes a CSV file.
    stage_output, digest_file, write_document, clock, code_version
        As in `hepatica.workflows.derive_response.ResponsePorts`.
    """

    read_table: ReadTable
    read_bytes: Callable[[Path], bytes]
    write_dataset: Callable[
        [str, Sequence[Mapping[str, Any]], Path, Sequence[str], datetime], tuple[str, ...]
    ]
    write_table: Callable[[Path, Sequence[str], Sequence[Mapping[str, str]]], None]
    stage_output: StageOutput
    digest_file: Callable[[Path], str]
    write_document: Callable[[Path, Mapping[str, Any]], None]
    clock: Clock
    code_version: str


def derive_response_endpoints(
    request: EndpointRequest,
    *,
    ports: EndpointPorts,
    out: Path,
    overwrite: bool = False,
    progress: Progress = SILENT,
) -> ResponseOutcome:
    """Write ``adrs`` and ``adtte``, and below ``survival/`` one small table for each curve.

    Parameters
    ----------
    request
        Tables and rules.
    ports
        The world.
    out
        Folder to make.
    overwrite
        Replace an earlier result.
    progress
        Told about stages.

    Returns
    -------
    outcome
        Subjects with bad rows are left out and named by row; the outcome is then partial.
    """
    rules = read_given_rules(request.rules, read_bytes=ports.read_bytes)
    histories = Histories(rules=rules)
    progress.stage("Reading tables")
    histories.read(request.tables, read_table=ports.read_table)
    progress.stage("Deriving endpoints")
    responses: list[dict[str, Any]] = []
    times: list[dict[str, Any]] = []
    subjects = 0
    for history in histories.build(lesions_known="tu" in request.tables):
        values, ends = derive_endpoints(history, rules=rules)
        responses += (to_response_row(value, history) for value in values)
        times += (to_time_row(end, history, rules=rules) for end in ends)
        subjects += 1
    run_time = ports.clock.now()
    with ports.stage_output(out, overwrite=overwrite) as stage:
        progress.stage("Writing")
        ports.write_dataset("adrs", responses, stage, request.formats, run_time)
        ports.write_dataset("adtte", times, stage, request.formats, run_time)
        _write_curves(times, stage, ports=ports)
        manifest = _write_manifest(request, rules, stage, ports=ports, run_time=run_time)
    partial = any(finding.severity is Severity.ERROR for finding in histories.findings)
    document = {
        "command": "response endpoints",
        "out": str(out),
        "files": sorted(manifest.outputs),
        "rules": {"name": rules.name, "title": rules.title, "source": rules.source, "status": rules.status},
        "subjects": subjects,
        "parameters": _count(times),
        "partial": partial,
        "unverified": [f"{rules.settings.name} [{e.key}]" for e in rules.settings if e.unverified],
        "findings": [finding.to_dict() for finding in histories.findings],
    }
    return ResponseOutcome(document=document, partial=partial)


def read_given_rules(name: str, *, read_bytes: Callable[[Path], bytes]) -> EndpointRules:
    """Return packaged rules by name, or those of a TOML file."""
    if name in list_rules() or not name.endswith(".toml"):
        return read_rules(name)
    with name_input("rules"):
        return to_rules(read_bytes(Path(name)))


def _to_head(code: str, stream: Stream, history: SubjectHistory) -> dict[str, Any]:
    return {
        "STUDYID": history.study or "NOT GIVEN",
        "USUBJID": history.subject,
        "TRTP": history.arm,
        "PARAMCD": code,
        "PARAM": NAMES[code] + (f", {stream.group}" if stream.group else ""),
        "PARCAT1": stream.category,
        "GRPID": stream.group,
        "AEVAL": stream.evaluator,
        "AEVALID": stream.evaluator_id,
    }


def to_response_row(value: ResponseValue, history: SubjectHistory) -> dict[str, Any]:
    """Return one row of ADRS."""
    when, seen = value.when, value.assessment
    return {
        **_to_head(value.code, value.stream, history),
        "AVISIT": seen.visit if seen else "",
        "AVISITN": seen.number if seen else None,
        "ADT": when.day if when else None,
        "ADTF": when.flag if when else "",
        "ADY": value.day,
        "AVALC": value.value,
        "AVAL": value.rank,
        "ANL01FL": "Y" if value.counts else "",
        "SRCDOM": when.domain if when else "",
        "SRCVAR": when.variable if when else "",
        "SRCSEQ": when.sequence if when else None,
    }


def to_time_row(end: EndpointTime, history: SubjectHistory, *, rules: EndpointRules) -> dict[str, Any]:
    """Return one row of ADTTE."""
    return {
        **_to_head(end.code, end.stream, history),
        "AVAL": end.days,
        "AVALU": "DAYS",
        "AVALM": round(end.days / rules.number("month_days"), MONTH_DIGITS),
        "CNSR": end.rule.code,
        "STARTDT": end.start.day,
        "ADT": end.end.day,
        "ADTF": end.end.flag,
        "EVNTDESC": end.description,
        "CNSDTDSC": end.censor_date,
        "SRCDOM": end.end.domain,
        "SRCVAR": end.end.variable,
        "SRCSEQ": end.end.sequence,
        "RULEID": end.rule.rule_id,
        "RULESET": rules.name,
    }


def _name_curve(row: Mapping[str, Any]) -> str:
    words = [row["PARAMCD"], row["PARCAT1"], row["GRPID"], row["AEVAL"], row["AEVALID"]]
    plain = ("".join(c if c.isalnum() else "-" for c in str(word).lower()) for word in words if word)
    return "_".join(plain)


def _write_curves(times: Sequence[Mapping[str, Any]], stage: Path, *, ports: EndpointPorts) -> None:
    """Write one table for each parameter, criterion, group and evaluator: one row for each subject."""
    curves: dict[str, list[Mapping[str, str]]] = {}
    for row in times:
        cells = {column: str(row[column]) for column in CURVE_COLUMNS}
        curves.setdefault(_name_curve(row), []).append(cells)
    folder = stage / "survival"
    folder.mkdir()
    for name, rows in curves.items():
        ports.write_table(folder / f"{name}.csv", CURVE_COLUMNS, rows)


def _count(times: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return subjects, events and censorings by rule for each curve."""
    groups: dict[tuple[str, ...], Counter[str]] = {}
    events: Counter[tuple[str, ...]] = Counter()
    names = ("PARAMCD", "PARCAT1", "GRPID", "AEVAL", "AEVALID")
    for row in times:
        key = tuple(row[name] for name in names)
        groups.setdefault(key, Counter())[row["RULEID"]] += 1
        events[key] += row["CNSR"] == 0
    return [
        {
            "parameter": key[0],
            "category": key[1],
            "group": key[2],
            "evaluator": " ".join(part for part in key[3:] if part),
            "subjects": counts.total(),
            "events": events[key],
            "rules": dict(counts),
        }
        for key, counts in groups.items()
    ]


def _write_manifest(
    request: EndpointRequest, rules: EndpointRules, stage: Path, *, ports: EndpointPorts, run_time: datetime
) -> Manifest:
    files = sorted(path for path in stage.rglob("*") if path.is_file())
    manifest = Manifest(
        command="response endpoints",
        run_time=run_time,
        code_version=ports.code_version,
        inputs={role: ports.digest_file(path) for role, path in request.tables.items()},
        sources={role: str(path) for role, path in request.tables.items()},
        parameters={
            "rules": request.rules,
            "formats": list(request.formats),
            "settings": {entry.key: entry.value for entry in rules.settings},
        },
        tables={rules.settings.name: rules.digest},
        outputs={path.relative_to(stage).as_posix(): ports.digest_file(path) for path in files},
    )
    ports.write_document(stage / "manifest.json", manifest.to_dict())
    return manifest
