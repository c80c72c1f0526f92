"""What the command line shows: progress, errors, the summary of a plan."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from hepatica.core.errors import HepaticaError


class StageProgress:
    """Draws one bar for each stage on a terminal, one line for each stage elsewhere."""

    def __init__(self, *, quiet: bool = False) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

        self._console = Console(stderr=True, quiet=quiet)
        self._bars = Progress(
            SpinnerColumn(),
            TextColumn("{task.description:<28}"),
            BarColumn(bar_width=32),
            TimeElapsedColumn(),
            console=self._console,
            disable=quiet or not self._console.is_terminal,
        )
        self._plain = not quiet and not self._console.is_terminal
        self._task: Any = None
        self._started = time.perf_counter()

    def __enter__(self) -> StageProgress:
        """Start drawing."""
        self._bars.start()
        return self

    def __exit__(self, *exc: object) -> None:
        """Finish the last bar, unless the run failed."""
        if exc[0] is None:
            self._finish()
        self._bars.stop()

    def stage(self, name: str) -> None:
        """Begin a stage."""
        self._finish()
        if self._plain:
            self._console.print(
                f"[{time.perf_counter() - self._started:5.1f} s] {name}", highlight=False, markup=False
            )
        self._task = self._bars.add_task(name, total=1.0)

    def advance(self, fraction: float) -> None:
        """Move the bar."""
        if self._task is not None:
            self._bars.update(self._task, completed=min(max(fraction, 0.0), 1.0))

    def check_cancelled(self) -> None:
        """Do nothing: Ctrl-C arrives as KeyboardInterrupt."""

    def _finish(self) -> None:
        if self._task is not None:
            self._bars.update(self._task, completed=1.0)


@contextmanager
def showing_progress(*, quiet: bool) -> Iterator[StageProgress]:
    """Show progress on stderr while the block runs."""
    with StageProgress(quiet=quiet) as progress:
        yield progress


def print_error(error: HepaticaError, *, as_json: bool) -> None:
    """Print an error in its four parts; as JSON on stdout where the caller asked for JSON."""
    if as_json:
        print_json({"error": error.to_dict()})
    from rich.console import Console

    console = Console(stderr=True, highlight=False, soft_wrap=True)
    console.print(f"[bold]hepatica: {error.code}[/bold]")
    for title, text in (
        ("expected", error.expected),
        ("given", error.given),
        ("where", error.where),
        ("what to do", error.action),
    ):
        if text:
            console.print(f"  {title + ':':<12}", end="", markup=False)
            console.print(text, markup=False)


def print_json(document: Mapping[str, Any]) -> None:
    """Print one JSON document on stdout."""
    sys.stdout.write(json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False) + "\n")
