"""``docs/benchmarks.md``: one section for each benchmark module; only what was measured anew is replaced."""

from __future__ import annotations

import platform
import re
from collections.abc import Iterable
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

HEAD = """# Benchmarks

Written by `make bench`, or for some sections `python -m benchmarks paths spread ...`. Times are seconds: *wall* on
this machine's processors and *CPU* summed over them, the quickest of several runs unless a run is named. Ratios compare
runs in one process, one thread each. A bar is what the work is expected to meet on two idle cores; where other work
shared the processors, wall and CPU seconds come out larger, and the ratios say more. Compile time is shown apart.
"""
PACKAGES = ("hepatica", "numpy", "scipy", "numba", "SimpleITK", "edt", "vtk", "pandas")


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """One table of the document."""

    key: str
    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]

    def to_markdown(self) -> str:
        """Between marks, so that it can be replaced alone."""
        lines = [f"<!-- begin {self.key} -->", f"## {self.title}", "", describe_machine(), ""]
        lines.append("| " + " | ".join(self.columns) + " |")
        lines.append("|" + "---|" * len(self.columns))
        lines += ["| " + " | ".join(cell.replace("|", "/") for cell in row) + " |" for row in self.rows]
        return "\n".join([*lines, "", f"<!-- end {self.key} -->"])


def describe_machine() -> str:
    """Processors, memory, system and versions; no names."""
    import os

    model = platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        found = re.search(r"model name\s*:\s*(.+)", cpuinfo.read_text())
        model = found.group(1).strip() if found else model
    memory = ""
    if hasattr(os, "sysconf") and "SC_PHYS_PAGES" in os.sysconf_names:
        memory = f", {os.sysconf('SC_PHYS_PAGES') * os.sysconf('SC_PAGE_SIZE') / 2**30:.0f} GiB"
    load = f", load at the end {os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else ""
    versions = []
    for name in PACKAGES:
        try:
            versions.append(f"{name} {metadata.version(name)}")
        except metadata.PackageNotFoundError:
            versions.append(f"{name} not installed")
    return (
        f"{os.cpu_count()} processors ({model}){memory}, {platform.system()}, "
        f"Python {platform.python_version()}{load}; " + ", ".join(versions) + "."
    )


def write_document(path: Path, sections: Iterable[Section]) -> None:
    """Replace the sections in the document, or add them."""
    text = path.read_text() if path.exists() else HEAD
    for section in sections:
        new = section.to_markdown()
        old = re.compile(rf"<!-- begin {section.key} -->.*?<!-- end {section.key} -->", re.DOTALL)
        text = old.sub(lambda _, new=new: new, text) if old.search(text) else f"{text.rstrip()}\n\n{new}\n"
    path.write_text(text)


def to_timed_row(row: object) -> tuple[str, ...]:
    """A row with name, wall, CPU, memory where it was read, and bar or note."""
    peak = getattr(row, "peak_mib", 0.0)
    bar = getattr(row, "bar", None)
    if bar is None:
        limit = getattr(row, "bar_s", None)
        bar = ("" if limit is None else f"{limit:g} s wall") + (f"; {row.note}" if row.note else "")
    return (
        row.name.strip(),
        f"{row.wall_s:.3f}",
        f"{row.cpu_s:.3f}",
        f"{peak:.0f}" if peak else "",
        bar.strip("; "),
    )


TIMED = ("what", "wall s", "CPU s", "peak MiB", "bar and notes")
