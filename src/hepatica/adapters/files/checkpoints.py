"""A file that keeps finished pieces of long work, so that interrupted work goes on where it stopped.

One JSON document on each line: first what the work is, then each piece with its number. Every line reaches the
disk before the next piece; a line that was being written when the power failed is ignored.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hepatica.core.errors import HepaticaError, OutputError, OutputExistsError, SourceFormatError

Keep = Callable[[int, Mapping[str, Any]], None]


@contextmanager
def open_checkpoint(path: Path, work: Mapping[str, Any]) -> Iterator[tuple[dict[int, dict[str, Any]], Keep]]:
    """Yield the pieces kept so far and a function that keeps one more.

    Parameters
    ----------
    path
        The file; made if absent.
    work
        Everything that decides the result, JSON-ready.

    Raises
    ------
    OutputExistsError
        If the file belongs to other work.
    SourceFormatError
        If it is no such file.
    OutputError
        If the disk refuses.
    """
    header = json.dumps(work, sort_keys=True)
    with _telling():
        found, good = _read(path, header) if path.exists() else ({}, 0)
        stream = path.open("r+b" if path.exists() else "w+b")
    with stream:
        with _telling():
            stream.truncate(good)  # a torn last line must not join the next one
            stream.seek(good)
            if not good:
                _append(stream, header)

        def keep(number: int, piece: Mapping[str, Any]) -> None:
            with _telling():
                _append(stream, json.dumps([number, piece], sort_keys=True))

        yield found, keep


@contextmanager
def _telling() -> Iterator[None]:
    try:
        yield
    except HepaticaError:
        raise
    except OSError as error:
        raise OutputError(
            expected="to keep finished pieces",
            given=error.strerror or type(error).__name__,
            where="--resume",
            action="check the file and its folder",
        ) from error


def _append(stream: Any, line: str) -> None:
    stream.write(line.encode() + b"\n")
    stream.flush()
    os.fsync(stream.fileno())


def _read(path: Path, header: str) -> tuple[dict[int, dict[str, Any]], int]:
    """Return the pieces, and the length in bytes of what is whole."""
    found: dict[int, dict[str, Any]] = {}
    good = 0
    for number, line in enumerate(path.read_bytes().splitlines(keepends=True)):
        try:
            text = line.decode()
            entry = json.loads(text)
        except ValueError:
            if number == 0:
                raise SourceFormatError(
                    expected="a file of an interrupted run", given="something else", where="--resume"
                ) from None
            break
        if not line.endswith(b"\n"):
            break
        if number == 0 and text.rstrip("\n") != header:
            raise OutputExistsError(
                expected="the file of this very run",
                given="one of other work",
                where="--resume",
                action="repeat the command as it was, or name another file",
            )
        if number:
            found[int(entry[0])] = entry[1]
        good += len(line)
    return found, good
