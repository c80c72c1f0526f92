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

from hepatica.adapters.reports.pictures import Frame, Picture, draw_axial_picture, draw_needle_picture
from hepatica.adapters.reports.scene3d import draw_scene
from hepatica.adapters.reports.view import PlanView, derive_plan_view
from hepatica.core.errors import OutputError
from hepatica.core.progress import Progress
from hepatica.planning.path.values import Puncture
from hepatica.workflows.ports import PlanContext

FILE_NAME: Final = "sheet.pdf"
NEEDLE_FRAME: Final = Frame(width_mm=114.0, height_mm=66.0)
SCENE_FRAME: Final = Frame(width_mm=74.0, height_mm=66.0)
AXIAL_FRAME: Final = Frame(width_mm=61.0, height_mm=46.0)
LONGEST_WORD: Final = 18
"""A longer run of letters gets places where a line may break; no clinical word is that long."""
ARCHIVE_STANDARDS: Final = ("a-2b",)
"""PDF/A, the form archives and DICOM Encapsulated PDF ask for."""
_ZERO_WIDTH_SPACE: Final = "\u200b"


class SheetWriter:
    """Writes ``sheet.pdf``: the same plan gives the same bytes."""

    requires: Sequence[str] = ()

    def write_plan(self, context: PlanContext, folder: Path, *, progress: Progress) -> tuple[str, ...]:
        """Write the sheet and return its name.

        Raises
        ------
        OutputError
            If it cannot be typeset or written.
        """
        progress.stage("sheet")
        view = derive_plan_view(context)
        pictures: dict[str, dict[str, Picture]] = {}
        punctures = context.plan.punctures
        for done, puncture in enumerate(punctures):
            progress.check_cancelled()
            pictures[puncture.puncture_id] = draw_puncture(context, puncture)
            progress.advance((done + 1) / (len(punctures) + 1))
        pdf = typeset_sheet(view, pictures, run_time=context.manifest.run_time)
        (folder / FILE_NAME).write_bytes(pdf)
        progress.advance(1.0)
        return (FILE_NAME,)


def draw_puncture(context: PlanContext, puncture: Puncture) -> dict[str, Picture]:
    """Draw the four pictures of one puncture."""
    return {
        "needle": draw_needle_picture(context, puncture, frame=NEEDLE_FRAME),
        "scene": draw_scene(context, puncture, frame=SCENE_FRAME),
        "entry": draw_axial_picture(context, puncture, at_entry=True, frame=AXIAL_FRAME),
        "target": draw_axial_picture(context, puncture, at_entry=False, frame=AXIAL_FRAME),
    }


def to_sheet_document(view: PlanView, pictures: dict[str, dict[str, Picture]], *, run_time: datetime) -> dict[str, Any]:
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
        "total": view.allocations[0].total,
        "findings": [row for row in document["findings"] if row["severity"] != "info"],
        "stamp": [run_time.year, run_time.month, run_time.day, run_time.hour, run_time.minute, run_time.second],
    }
    return document


def typeset_sheet(
    view: PlanView, pictures: dict[str, dict[str, Picture]], *, run_time: datetime, as_png_ppi: float | None = None
) -> bytes | list[bytes]:
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
        return _compile(room, run_time, as_png_ppi)


def _compile(room: Path, run_time: datetime, as_png_ppi: float | None) -> bytes | list[bytes]:
    import typst

    source = room / "sheet.typ"
    compiler = typst.Compiler(source, root=room, ignore_system_fonts=True)
    # A whole second, in its own zone: the only time the document knows.
    stamp = int(run_time.timestamp())
    try:
        if as_png_ppi is not None:
            return _to_pages(compiler.compile(format="png", ppi=as_png_ppi, timestamp=stamp))
        try:
            return bytes(compiler.compile(format="pdf", pdf_standards=list(ARCHIVE_STANDARDS), timestamp=stamp))
        except typst.TypstError:
            # A letter that no embedded font has breaks PDF/A; the plan matters more than the archive form.
            return bytes(compiler.compile(format="pdf", timestamp=stamp))
    except typst.TypstError as error:
        raise OutputError(
            expected="a sheet that can be typeset", given=str(error.message), where=FILE_NAME, action="report this plan"
        ) from error


def _to_pages(made: bytes | list[bytes]) -> list[bytes]:
    return [made] if isinstance(made, bytes) else list(made)


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
