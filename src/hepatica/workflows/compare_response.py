"""Derived against recorded responses: every disagreement, with both reasons."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from hepatica.core.findings import Severity
from hepatica.followup.overall import compose_overall
from hepatica.followup.verdict import Criterion, ResponseSettings, Verdict, derive_verdicts, to_trail
from hepatica.followup.words import NewLesion, Response
from hepatica.workflows.derive_response import (
    EvaluatedCourse,
    ResponseOutcome,
    ResponsePorts,
    ResponseRequest,
    RowFinding,
)
from hepatica.workflows.response_results import to_results

COLUMNS: Final = (
    "USUBJID", "RSEVAL", "RSEVALID", "RSGRPID", "RSCAT", "VISITNUM", "VISIT", "RSTESTCD", "kind", "derived",
    "recorded", "derived_reason", "recorded_reason", "later_progression",
)  # fmt: skip
REQUIRED: Final = ("USUBJID", "RSTESTCD", "VISITNUM")
OPTIONAL: Final = (
    "RSSTRESC", "RSORRES", "RSCAT", "RSGRPID", "RSEVAL", "RSEVALID", "VISIT", "RSDTC", "RSSTAT", "RSREASND",
)  # fmt: skip
COMPARED: Final = ("TRGRESP", "NTRGRESP", "NEWLIND", "NEWLPROG", "OVRLRESP")
PROGRESSION: Final = ("PD", "iUPD", "iCPD")
BLANK: Final = ("", "NA")
DIFFERENT, NOT_RECORDED, NOT_DERIVED = "different", "not recorded", "not derived"
WITH_TABLE: Final = (Criterion.RECIST, Criterion.MRECIST, Criterion.VOLUMETRIC)
"""Criteria whose overall response follows from the components of the same visit alone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """One recorded response."""

    line: int
    code: str
    date: str
    visit: str
    reason: str = ""


Series = dict[float, dict[str, Recorded]]
"""Recorded responses by visit number and test."""


@dataclass(slots=True)
class _Records:
    """All recorded responses by subject, evaluator and group."""

    series: dict[tuple[str, str, str, str], Series] = field(default_factory=dict)
    tests: set[str] = field(default_factory=set)
    findings: list[RowFinding] = field(default_factory=list)
    used: set[tuple[str, str, str, str]] = field(default_factory=set)


def compare_response(
    request: ResponseRequest, *, recorded: Path, ports: ResponsePorts, out: Path
) -> ResponseOutcome:
    """Derive responses from TU and TR and write a row for each one that RS has otherwise, or not at all.

    Parameters
    ----------
    request
        Tables and settings of the derivation.
    recorded
        Table RS. Rows of another RSCAT are passed over; rows without one belong to the criterion asked for.
    ports
        The world.
    out
        CSV to write.

    Returns
    -------
    outcome
        Disagreements are no failure. The outcome is partial where rows could not be used.

    Notes
    -----
    A test that RS never records is not compared (``not_compared``). ``later_progression`` says who reaches
    progression later in the series: ``derived``, ``recorded`` or ``neither``.
    """
    records = _read_records(recorded, request.settings, ports=ports)
    rows: list[dict[str, str]] = []
    counts: Counter[str] = Counter()
    findings: list[RowFinding] = list(records.findings)
    for item in ports.read_courses(request):
        findings += item.findings
        if item.course is None:
            continue
        verdicts = derive_verdicts(item.course, settings=request.settings)
        for group in dict.fromkeys(verdict.group for verdict in verdicts):
            of_group = [verdict for verdict in verdicts if verdict.group == group]
            rows += _compare_series(item, of_group, records, request.settings, counts=counts)
    rows += _list_unmatched(records, request, counts=counts)
    ports.write_table(out, COLUMNS, rows)
    partial = any(finding.severity is Severity.ERROR for finding in findings)
    document: dict[str, Any] = {
        "command": "response compare",
        "out": str(out),
        "settings": request.settings.to_dict(),
        "compared": counts["compared"],
        "agreements": counts["agree"],
        "disagreements": len(rows),
        "by_kind": dict(Counter(row["kind"] for row in rows)),
        "by_test": dict(Counter(row["RSTESTCD"] for row in rows)),
        "by_evaluator": dict(Counter(" ".join(w for w in (r["RSEVAL"], r["RSEVALID"]) if w) for r in rows)),
        "confusion": _count_pairs(rows),
        "not_compared": sorted(set(COMPARED) - records.tests),
        "partial": partial,
        "findings": [finding.to_dict() for finding in findings],
    }
    return ResponseOutcome(document=document, partial=partial)


def _count_pairs(rows: list[dict[str, str]]) -> list[dict[str, Any]]:
    pairs = Counter((r["derived"], r["recorded"]) for r in rows if r["RSTESTCD"] == "OVRLRESP")
    return [{"derived": d, "recorded": r, "visits": n} for (d, r), n in pairs.most_common()]


def _read_records(path: Path, settings: ResponseSettings, *, ports: ResponsePorts) -> _Records:
    records = _Records()
    names = (*REQUIRED, *OPTIONAL)
    for line, cells in ports.read_table(path, required=REQUIRED, optional=OPTIONAL, role="rs"):
        if cells is None or not cells[0].strip():
            _report(records, line, "USUBJID", "The row names no subject, or is not as long as the header.")
            continue
        row = {name: "" if cell.strip() in BLANK else cell.strip() for name, cell in zip(names, cells)}
        if row["RSTESTCD"] not in COMPARED or row["RSCAT"] not in ("", settings.criterion.category):
            continue
        try:
            number = float(row["VISITNUM"])
        except ValueError:
            _report(records, line, "VISITNUM", "The visit number is not a number.")
            continue
        key = (row["USUBJID"], row["RSEVAL"], row["RSEVALID"], row["RSGRPID"])
        visit = records.series.setdefault(key, {}).setdefault(number, {})
        if row["RSTESTCD"] in visit:
            _report(records, line, "VISITNUM", "The test is recorded twice at one visit.")
            continue
        records.tests.add(row["RSTESTCD"])
        visit[row["RSTESTCD"]] = Recorded(
            line=line,
            code=row["RSSTRESC"] or row["RSORRES"] or row["RSSTAT"],
            date=row["RSDTC"],
            visit=row["VISIT"],
            reason=row["RSREASND"],
        )
    return records


def _report(records: _Records, line: int, column: str, message: str) -> None:
    records.findings.append(
        RowFinding(
            rule="response.compare",
            severity=Severity.ERROR,
            table="rs",
            row=line,
            column=column,
            message=message,
        )
    )


def _compare_series(
    item: EvaluatedCourse,
    verdicts: list[Verdict],
    records: _Records,
    settings: ResponseSettings,
    *,
    counts: Counter[str],
) -> Iterator[dict[str, str]]:
    key = (item.subject, item.evaluator.strip(), item.evaluator_id.strip(), verdicts[0].group)
    series = records.series.get(key, {})
    records.used.add(key)
    later = _find_later(verdicts, series)
    head = {
        "USUBJID": item.subject,
        "RSEVAL": item.evaluator,
        "RSEVALID": item.evaluator_id,
        "RSGRPID": verdicts[0].group,
        "RSCAT": settings.criterion.category,
        "later_progression": later,
    }
    seen = set()
    for verdict in verdicts:
        number = verdict.visit.number
        seen.add(number)
        found = series.get(number, {})
        derived = dict(to_results(verdict)) if verdict.overall else {}
        reason = _explain_derived(verdict, settings)
        place = {"VISITNUM": item.visit_numbers[number], "VISIT": verdict.visit.name}
        for test in COMPARED:
            record = found.get(test)
            ours, theirs = derived.get(test, ""), record.code if record else ""
            if test not in records.tests or (not ours and not theirs):
                continue
            counts["compared"] += 1
            if ours == theirs:
                counts["agree"] += 1
                continue
            kind = DIFFERENT if ours and theirs else NOT_RECORDED if ours else NOT_DERIVED
            yield {
                **head,
                **place,
                "RSTESTCD": test,
                "kind": kind,
                "derived": ours,
                "recorded": theirs,
                "derived_reason": reason,
                "recorded_reason": _explain_recorded(found, record, settings),
            }
    for number in sorted(set(series) - seen):
        yield from _list_extra(head, number, series[number], settings, counts=counts)


def _list_extra(
    head: Mapping[str, str],
    number: float,
    found: Mapping[str, Recorded],
    settings: ResponseSettings,
    *,
    counts: Counter[str],
) -> Iterator[dict[str, str]]:
    for test, record in found.items():
        counts["compared"] += 1
        yield {
            **head,
            "VISITNUM": f"{number:g}",
            "VISIT": record.visit,
            "RSTESTCD": test,
            "kind": NOT_DERIVED,
            "derived": "",
            "recorded": record.code,
            "derived_reason": "the tumour tables have no such visit after baseline",
            "recorded_reason": _explain_recorded(found, record, settings),
        }


def _list_unmatched(
    records: _Records, request: ResponseRequest, *, counts: Counter[str]
) -> Iterator[dict[str, str]]:
    """Yield recorded responses of subjects, evaluators or groups that could not be derived at all."""
    for key, series in records.series.items():
        if key in records.used or (request.evaluator and request.evaluator not in key[1:3]):
            continue
        subject, evaluator, evaluator_id, group = key
        head = {
            "USUBJID": subject,
            "RSEVAL": evaluator,
            "RSEVALID": evaluator_id,
            "RSGRPID": group,
            "RSCAT": request.settings.criterion.category,
            "later_progression": "",
        }
        for number, found in sorted(series.items()):
            for row in _list_extra(head, number, found, request.settings, counts=counts):
                yield {**row, "derived_reason": "nothing derived for this subject, evaluator and group"}


def _find_later(verdicts: list[Verdict], series: Series) -> str:
    ours = min((v.visit.number for v in verdicts if v.overall in PROGRESSION), default=None)
    theirs = min(
        (n for n, found in series.items() if "OVRLRESP" in found and found["OVRLRESP"].code in PROGRESSION),
        default=None,
    )
    if ours == theirs:
        return "neither"
    if ours is None or (theirs is not None and ours > theirs):
        return "derived"
    return "recorded"


def _explain_derived(verdict: Verdict, settings: ResponseSettings) -> str:
    """Return the trail in one line: what decided, the sums, new lesions."""
    trail = to_trail(verdict, settings=settings)
    words = [f"overall: {trail['rule']}"]
    numbers = trail.get("numbers")
    if numbers:
        words.append(
            f"target: {numbers['rule']}; sum {_say(numbers['sum'])}, baseline {_say(numbers['baseline'])}, "
            f"nadir {_say(numbers['nadir'])}"
        )
        if numbers["missing"]:
            words.append(f"not measured: {', '.join(numbers['missing'])}")
    if verdict.non_target:
        words.append(f"non-target: {trail.get('non_target_rule', verdict.non_target)}")
    if verdict.new is not None and verdict.new.present:
        words.append(f"new: {', '.join(verdict.new.present)}")
    if verdict.new is not None and verdict.new.suspected:
        words.append(f"suspected new: {', '.join(verdict.new.suspected)}")
    return "; ".join(words)


def _say(value: float | str) -> str:
    return value if isinstance(value, str) else f"{value:g}"


def _explain_recorded(
    found: Mapping[str, Recorded], record: Recorded | None, settings: ResponseSettings
) -> str:
    """Return what else was recorded at the visit, and whether the overall response follows from it."""
    words = []
    if record is not None:
        words.append(f"rs row {record.line}" + (f" of {record.date}" if record.date else ""))
        if record.reason:
            words.append(f"reason: {record.reason}")
    parts = [f"{test} {found[test].code}" for test in COMPARED if test in found]
    words.append("recorded at the visit: " + (", ".join(parts) or "nothing"))
    composed = _compose(found) if settings.criterion in WITH_TABLE else None
    overall = found["OVRLRESP"].code if "OVRLRESP" in found else ""
    if composed and overall:
        follows = "agrees with" if composed == overall else f"differs from the {composed} of"
        words.append(f"the recorded overall response {follows} its own components")
    return "; ".join(words)


def _compose(found: Mapping[str, Recorded]) -> str | None:
    """Return the overall response that recorded components make; None where they do not say enough."""
    if "TRGRESP" not in found and "NTRGRESP" not in found:
        return None
    if "NEWLIND" not in found and "NEWLPROG" not in found:
        return None
    new = NewLesion.NO
    codes = {found[test].code for test in ("NEWLIND", "NEWLPROG") if test in found}
    if codes & {"Y", "UNEQUIVOCAL"}:
        new = NewLesion.YES
    elif "EQUIVOCAL" in codes:
        new = NewLesion.EQUIVOCAL
    try:
        target, other = (
            Response(found[test].code) if test in found else Response.NONE for test in ("TRGRESP", "NTRGRESP")
        )
    except ValueError:
        return None
    return str(compose_overall(target, other, new)[0])
