"""All that planning needs from the world, in one value."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from hepatica.workflows.ports import Clock, ImageReader, LabelReader, PlanWriter
from hepatica.workflows.spread_values import MakeCard, OpenExecutor


class StageOutput(Protocol):
    """Yields a private folder that becomes the target by one rename, or vanishes."""

    def __call__(self, target: Path, *, overwrite: bool) -> AbstractContextManager[Path]:
        """Open the stage."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanPorts:
    """All that planning needs from the world.

    Parameters
    ----------
    image_reader, label_reader
        Readers of scans and labels.
    read_bytes
        Reads a small text file (facts, protocol, prior plan) with a size limit.
    read_names
        Reads a names table, or returns a built-in one by name.
    stage_output
        All-or-nothing output folder.
    writers
        Writers of the plan's files, in order.
    write_document
        Writes one JSON document into the stage in canonical form.
    clock
        Run time.
    code_version, libraries
        For the manifest.
    open_executor
        Opens what simulated draws are shared out to; None runs them in this process.
    make_card
        Makes the credibility card of a simulated spread; None makes none.
    spread_writers
        Writers of a simulated spread alone, in order.
    """

    image_reader: ImageReader
    label_reader: LabelReader
    read_bytes: Callable[[Path], bytes]
    read_names: Callable[[str], Mapping[int, str]]
    stage_output: StageOutput
    writers: Sequence[PlanWriter]
    write_document: Callable[[Path, Mapping[str, Any]], None]
    clock: Clock
    code_version: str
    libraries: Mapping[str, str]
    open_executor: OpenExecutor | None = None
    make_card: MakeCard | None = None
    spread_writers: Sequence[PlanWriter] = ()
