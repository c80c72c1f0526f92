"""Whole commands, measured from outside by the operating system's own accounting."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """A command to measure; ``{out}`` is replaced by a folder of its own."""

    name: str
    arguments: tuple[str, ...]
    runs: int
    bar: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One measured run."""

    name: str
    wall_s: float
    cpu_s: float
    peak_mib: float
    bar: str


HEPATICA = (sys.executable, "-m", "hepatica.entrypoints.cli.main")
COMMANDS = (
    Command(name="hepatica --help", arguments=(*HEPATICA, "--help"), runs=3, bar="0.5 s"),
    Command(
        name="hepatica demo",
        arguments=(*HEPATICA, "demo", "--out", "{out}"),
        runs=3,
        bar="60 s, 2048 MiB, 2 cores",
    ),
)


def measure(command: Command) -> Iterator[Row]:
    """Run a command several times; the first run is the cold one."""
    for number in range(command.runs):
        folder = Path(tempfile.mkdtemp(prefix="hepatica-bench-"))
        try:
            arguments = [part.replace("{out}", str(folder / "out")) for part in command.arguments]
            started = time.perf_counter()
            with subprocess.Popen(arguments, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as child:
                _, status, usage = os.wait4(child.pid, 0)
                wall_s = time.perf_counter() - started
                child.returncode = os.waitstatus_to_exitcode(status)
            mark = "" if child.returncode == 0 else f" (exit {child.returncode})"
            yield Row(
                name=f"{command.name}, run {number + 1}{mark}",
                wall_s=wall_s,
                cpu_s=usage.ru_utime + usage.ru_stime,
                peak_mib=usage.ru_maxrss / 1024,
                bar=command.bar,
            )
        finally:
            shutil.rmtree(folder, ignore_errors=True)
