"""The table-side sheet as PDF, set by typst with its own embedded fonts."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from importlib import resources
from pathlib import Path
from typing import Any, Final

from hepatica.adapters.reports.picture_book import PictureBook, Pictures
from hepatica.adapters.reports.picture_frame import Picture
from hepatica.adapters.reports.view import PlanView, derive_plan_view
from hepatica.core.errors import OutputError
from hepatica.core.progress import Progress
from hepatica.workflows.ports import PlanContext

FILE_NAME: Final = "sheet.pdf"
LONGEST_WORD: Final = 18
"""A longer run of letters gets places where a line may break; no clinical word is that long."""
NOT_CLEARED: Final = "plan.not_cleared"
"""Rule of the finding that the status bar prints in full."""
ARCHIVE_STANDARDS: Final = ("a-2b",)
"""PDF/A, the form archives and DICOM Encapsulated PDF ask for."""
_ZERO_WIDTH_SPACE: Final = "\u200b"


class SheetWriter:
    """Writes ``sheet.pdf``: the same plan gives the same bytes.

    Parameters
    ----------
    book
        Pictures shared with other writers; an own book by default.
    """

    requires: Sequence[str] = ()

    def __init__(self, book: PictureBook | None = None) -> None:
        self._book = book or PictureBook()

    def write_plan(self, context: PlanContext, folder: Path, *, progress: Progress) -> tuple[str, ...]:
        """Write the sheet and return its name.

        Raises
        ------
        OutputError
            If it cannot be typeset or written.
        """
        progress.stage("sheet")
        view = derive_plan_view(context)
        pictures = self._book.draw(context, progress=progress)
        made = typeset_sheet(view, pictures, run_time=context.manifest.run_time)
        (folder / FILE_NAME).write_bytes(made[0])
        progress.advance(1.0)
        return (FILE_NAME,)


def to_sheet_document(view: PlanView, pictures: Pictures, *, run_time: datetime) -> dict[str, Any]:
    """Return what the template reads: rows, counts and picture names; findings without mere information."""
    document: dict[str, Any] = _soften(asdict(view))
    for row in document["punctures"]:
        row["pictures"] = {
            role: {"file": _name_file(picture), "title": picture.title, "alt": picture.alt}
            for role, picture in pictures[row["puncture_id"]].items()
        }
    document |= {
        "title": f"Injection plan {view.short_id}",
        "plan_id": view.plan_id,
        "errors": view.count_findings("error"),
        "warnings": view.count_findings("warning"),
        "findings": _join_alike(_leave_out_known(document["findings"])),
        "sources_by_status": _group_sources(document["sources"]),
        "stamp": [
            run_time.year,
            run_time.month,
            run_time.day,
            run_time.hour,
            run_time.minute,
            run_time.second,
        ],
    }
    return document


def _leave_out_known(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Leave out mere information, and what the status bar of the page says already."""
    return [row for row in rows if row["severity"] != "info" and row["rule"] != NOT_CLEARED]


def _join_alike(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Print a warning of one rule on one subject once, with how many there are beside it; every error stays."""
    joined: dict[Any, dict[str, Any]] = {}
    for number, row in enumerate(rows):
        own = number if row["severity"] == "error" else None
        first = joined.setdefault((own, row["rule"], row["subject"]), row | {"alike": -1})
        first["alike"] += 1
    return list(joined.values())


def _group_sources(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the sources by their status, in the order they come."""
    groups: dict[str, list[str]] = {}
    for row in rows:
        groups.setdefault(row["status"] or "without status", []).append(row["text"])
    return [{"status": status, "texts": texts} for status, texts in groups.items()]


def typeset_sheet(
    view: PlanView, pictures: Pictures, *, run_time: datetime, png_ppi: float | None = None
) -> list[bytes]:
    """Return the PDF, or one PNG for each page where a resolution is given."""
    document = to_sheet_document(view, pictures, run_time=run_time)
    with tempfile.TemporaryDirectory(prefix="hepatica-sheet-") as name:
        room = Path(name)
        template = resources.files("hepatica.adapters.reports").joinpath("templates", "sheet.typ")
        (room / "sheet.typ").write_bytes(template.read_bytes())
        (room / "plan.json").write_text(json.dumps(document), encoding="utf-8")
        for group in pictures.values():
            for picture in group.values():
                (room / _name_file(picture)).write_bytes(picture.png)
        return _compile(room, run_time, png_ppi)


def _compile(room: Path, run_time: datetime, png_ppi: float | None) -> list[bytes]:
    import typst

    compiler = typst.Compiler(room / "sheet.typ", root=room, ignore_system_fonts=True)
    # Whole seconds of the manifest: the only time the document knows.
    stamp = int(run_time.timestamp())
    try:
        if png_ppi is not None:
            return _to_pages(compiler.compile(format="png", ppi=png_ppi, timestamp=stamp))
        try:
            standards: Any = list(ARCHIVE_STANDARDS)
            return _to_pages(compiler.compile(format="pdf", pdf_standards=standards, timestamp=stamp))
        except typst.TypstError:
            # A letter that no embedded font has breaks PDF/A; the plan matters more than the archive form.
            return _to_pages(compiler.compile(format="pdf", timestamp=stamp))
    except typst.TypstError as error:
        raise OutputError(
            expected="a sheet that can be typeset",
            given=str(error.message),
            where=FILE_NAME,
            action="report this plan",
        ) from error


def _to_pages(made: bytes | list[bytes] | None) -> list[bytes]:
    return [made] if isinstance(made, bytes) else list(made or [])


def _name_file(picture: Picture) -> str:
    # Puncture names are ours, but a file name must hold nothing else than letters, digits and dashes.
    return "".join(c if c.isalnum() and c.isascii() else "-" for c in picture.name) + ".png"


def _soften(value: Any) -> Any:
    """Let over-long words break at any tenth letter, everywhere in a document."""
    if isinstance(value, str):
        return " ".join(_soften_word(word) for word in value.split(" "))
    if isinstance(value, dict):
        return {key: _soften(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_soften(item) for item in value]
    return value


def _soften_word(word: str) -> str:
    if len(word) <= LONGEST_WORD:
        return word
    return _ZERO_WIDTH_SPACE.join(word[k : k + 10] for k in range(0, len(word), 10))
