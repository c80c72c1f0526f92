"""``trial.html`` and ``trial.pdf``: tables and figures of a whole trial."""

from __future__ import annotations

import base64
import json
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any, Final

from hepatica.adapters.reports.html import make_environment
from hepatica.adapters.reports.response_pictures import ResponsePicture
from hepatica.adapters.reports.trial_pictures import draw_trial_pictures
from hepatica.core.errors import OutputError
from hepatica.core.progress import Progress
from hepatica.trials.report.tables import ReportTable
from hepatica.workflows.trial_report import ReportContent

HTML: Final = "trial.html"
PDF: Final = "trial.pdf"
SECTIONS: Final = (
    ("Subjects", ("disposition", "demographics"), ()),
    ("Dosing", ("dosing",), ("swimmer",)),
    ("Safety", ("dlt", "safety-overview", "events"), ()),
    ("Response", ("response", "criteria", "beyond", "itrecist"), ("waterfall", "spider", "forest")),
    ("Times to events", ("times",), ("survival",)),
    ("Dose by lesion", ("lesion-doses",), ()),
)
"""Title, tables and kinds of pictures, in the order of a clinical study report."""
LONG_TABLES: Final = ("lesion-doses", "events")
"""Folded in the HTML page."""
ARCHIVE_STANDARDS: Final = ("a-2b",)
MOST_FINDINGS: Final = 60
CAPTIONS: Final[Mapping[str, str]] = {
    "waterfall": "Best change of the sum of target lesions from baseline at any visit; each bar is one "
    "subject. Colour and "
    "hatch: best response by all rules, so a shrinking sum may still be PD by a new lesion. Triangles: "
    "growth beyond 100 %.",
    "spider": "One line for each subject, drawn apart by best response. Incomplete sums have no point; "
    "growth is cut at 100 %.",
    "swimmer": "One lane for each treated subject with a known time; its end is death or the last day "
    "known alive. Colour of "
    "the lane: best response. Progression is that of progression-free survival.",
    "forest": "Full group of each tumour type as denominator, assessed or not. Area of a square grows "
    "with the number of "
    "subjects; diamond and broken line: all. Intervals are exact (Clopper-Pearson), not corrected for the "
    "number of groups.",
    "survival": "Band: pointwise interval, log-log. Ticks: censored. Numbers at risk are those just before each time. "
    "Arms are tested against each other only where there are two of them.",
}


def write_trial_report(folder: Path, content: ReportContent, progress: Progress) -> tuple[str, ...]:
    """Write the page, the PDF and the pictures as SVG and PNG; return their names.

    Parameters
    ----------
    folder
        Where to write; pictures go to ``pictures/``.
    content
        Values.
    progress
        Told about stages.
    """
    pictures = draw_trial_pictures(content.figures, simulated=content.simulated)
    (folder / "pictures").mkdir()
    names = [HTML, PDF]
    for picture in pictures:
        for ending, data in (("svg", picture.svg), ("png", picture.png)):
            names.append(f"pictures/{picture.name}.{ending}")
            (folder / names[-1]).write_bytes(data)
    view = to_view(content, pictures)
    progress.stage("Writing the page")
    page = make_environment().get_template("trial.html.j2").render(view=view, uris=_encode(pictures))
    (folder / HTML).write_text(page, encoding="utf-8", newline="\n")
    progress.stage("Setting the PDF")
    (folder / PDF).write_bytes(typeset(view, pictures, content)[0])
    return tuple(names)


def _encode(pictures: Sequence[ResponsePicture]) -> dict[str, str]:
    return {
        picture.name: "data:image/svg+xml;base64," + base64.b64encode(picture.svg).decode("ascii")
        for picture in pictures
    }


def to_view(content: ReportContent, pictures: Sequence[ResponsePicture]) -> dict[str, Any]:
    """Return what the templates read: text only."""
    tables = {table.table_id: table for table in content.tables}
    counts = Counter(result.status for result in content.conformance)
    failed = [result for result in content.conformance if result.count]
    return {
        "study": content.study,
        "simulated": content.simulated,
        "run_time": f"{content.run_time:%Y-%m-%d %H:%M} UTC",
        "facts": [list(fact) for fact in content.facts],
        "unverified": list(content.unverified),
        "sections": [
            {
                "title": title,
                "id": title.lower().replace(" ", "-"),
                "tables": [_to_table(tables[name]) for name in names if name in tables],
                "pictures": _list_pictures(pictures, kinds),
                "absent": [
                    {"title": kind.capitalize(), "reason": content.figures.absent[kind]}
                    for kind in kinds
                    if kind in content.figures.absent
                ],
            }
            for title, names, kinds in SECTIONS
        ],
        "conformance": {
            "counts": {name: counts.get(name, 0) for name in ("pass", "fail", "not applicable")},
            "failed": [
                [
                    result.rule.rule_id, str(result.rule.severity), result.rule.what, f"{result.count} of "
                    f"{result.applied}",
                    f"row {result.breaches[0].line}, {result.breaches[0].column}", str(result.rule.drops) or "nothing",
                    result.rule.source,
                ]
                for result in failed
            ],
        },
        "findings": [
            [finding.table, str(finding.row or ""), finding.column, str(finding.severity), finding.message]
            for finding in content.findings[:MOST_FINDINGS]
        ],
        "more_findings": max(0, len(content.findings) - MOST_FINDINGS),
    }  # fmt: skip


def _to_table(table: ReportTable) -> dict[str, Any]:
    return {
        "id": table.table_id,
        "title": table.title,
        "population": table.population,
        "denominator": table.denominator,
        "stub": table.stub,
        "columns": list(table.columns),
        "rows": [{"label": row.label, "level": row.level, "cells": list(row.cells)} for row in table.rows],
        "notes": list(table.notes),
        "absent": table.absent,
        "folded": table.table_id in LONG_TABLES,
    }


def _list_pictures(pictures: Sequence[ResponsePicture], kinds: Sequence[str]) -> list[dict[str, Any]]:
    found = []
    for kind in kinds:
        mine = [picture for picture in pictures if picture.name.partition("-")[0] == kind]
        for number, picture in enumerate(mine):
            found.append(
                {
                    "name": picture.name,
                    "title": picture.title,
                    "alt": picture.alt,
                    "caption": CAPTIONS[kind] if number == 0 else "",
                    "folded": kind == "swimmer" and number > 0,
                }
            )
    return found


def typeset(
    view: Mapping[str, Any],
    pictures: Sequence[ResponsePicture],
    content: ReportContent,
    *,
    png_ppi: float | None = None,
) -> list[bytes]:
    """Return the PDF, or one PNG for each page where a resolution is given."""
    import typst

    stamp = int(content.run_time.timestamp())
    when = content.run_time
    document = {**view, "stamp": [when.year, when.month, when.day, when.hour, when.minute, when.second]}
    with tempfile.TemporaryDirectory(prefix="hepatica-trial-") as name:
        room = Path(name)
        template = resources.files("hepatica.adapters.reports").joinpath("templates", "trial.typ")
        (room / "trial.typ").write_bytes(template.read_bytes())
        (room / "report.json").write_text(json.dumps(document), encoding="utf-8")
        for picture in pictures:
            (room / f"{picture.name}.svg").write_bytes(picture.svg)
        compiler = typst.Compiler(room / "trial.typ", root=room, ignore_system_fonts=True)
        try:
            if png_ppi is not None:
                return _to_pages(compiler.compile(format="png", ppi=png_ppi, timestamp=stamp))
            try:
                standards: Any = list(ARCHIVE_STANDARDS)
                return _to_pages(compiler.compile(format="pdf", pdf_standards=standards, timestamp=stamp))
            except typst.TypstError:
                return _to_pages(compiler.compile(format="pdf", timestamp=stamp))
        except typst.TypstError as error:
            raise OutputError(
                expected="a report that can be typeset",
                given=str(error.message),
                where=PDF,
                action="report this trial",
            ) from error


def _to_pages(made: bytes | list[bytes] | None) -> list[bytes]:
    return [made] if isinstance(made, bytes) else list(made or [])
