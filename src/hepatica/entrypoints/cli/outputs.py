"""Where a command may write: never over what it reads."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from hepatica.core.errors import UsageError


def refuse_overwriting_inputs(inputs: Iterable[Path | str | None], *outputs: Path | None) -> None:
    """Refuse outputs that are one of the inputs: the table somebody collected would be lost.

    Parameters
    ----------
    inputs
        Files that are read; None for options that were not given.
    outputs
        Files that will be written.

    Raises
    ------
    UsageError
        If one file stands on both sides, under whatever name.
    """
    read = {os.path.realpath(path) for path in inputs if path is not None}
    if any(os.path.realpath(path) in read for path in outputs if path is not None):
        raise UsageError(
            expected="an output that is none of the inputs",
            given="one file for both",
            where="--out",
            action="name another output file",
        )
