"""Compiled loops on several threads; which thread did what never shows in the result."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from typing import Final, TypeVar

from hepatica.core.errors import CancelledError
from hepatica.core.progress import SILENT, Progress

T = TypeVar("T")
R = TypeVar("R")

LOOK_S: Final = 0.2
"""Cancellation is looked for this often while others work."""

SLABS: Final = 8
"""Slabs of a volume, or parts of a table, for threads."""


_own = threading.local()
"""In a thread that is one of several already, ``spare``: the processors that nobody uses."""


def spread_over_threads(work: Callable[[T], None], parts: Sequence[T]) -> None:
    """Run independent parts, each of which writes only to its own place, on as many threads as processors.

    In a thread of `map_over_threads` these are its own processor and those that no item is left for.
    """
    spare: _Spare | None = getattr(_own, "spare", None)
    if spare is None:
        _run_parts(work, parts, count=min(len(parts), os.cpu_count() or 1))
        return
    taken = spare.take(len(parts) - 1)
    try:
        _run_parts(work, parts, count=1 + taken)
    finally:
        spare.give(taken)


def _run_parts(work: Callable[[T], None], parts: Sequence[T], *, count: int) -> None:
    if count <= 1:
        for part in parts:
            work(part)
        return
    with ThreadPoolExecutor(max_workers=count) as pool:
        list(pool.map(work, parts))


class _Spare:
    """Processors that nobody uses, and items that nobody has begun."""

    def __init__(self, *, items: int, processors: int) -> None:
        self._waiting, self._free = items, max(0, processors - items)
        self._lock = threading.Lock()

    def begin(self) -> None:
        """Note that an item was begun."""
        with self._lock:
            self._waiting -= 1

    def end(self) -> None:
        """Note that an item was ended: its processor is free where no other item waits for it."""
        with self._lock:
            self._free += self._waiting <= 0

    def take(self, most: int) -> int:
        """Take free processors, and return how many."""
        with self._lock:
            taken = max(0, min(most, self._free))
            self._free -= taken
            return taken

    def give(self, taken: int) -> None:
        """Give them back."""
        with self._lock:
            self._free += taken


class _Watch:
    """Lets workers be stopped; only the thread that waits for them speaks to the real progress."""

    def __init__(self) -> None:
        self.stopped = threading.Event()

    def stage(self, name: str) -> None:
        """Do nothing."""

    def advance(self, fraction: float) -> None:
        """Do nothing."""

    def check_cancelled(self) -> None:
        """Raise when the others are to stop."""
        if self.stopped.is_set():
            raise CancelledError(where="path planning")


def map_over_threads(
    work: Callable[[T, Progress], R], items: Sequence[T], *, progress: Progress = SILENT
) -> list[R]:
    """Return what work makes of each item, in their order, on as many threads as processors.

    Parameters
    ----------
    work
        Called with an item and a progress; items must not depend on each other. What it spreads over threads itself
        runs in its own thread, and on the processors of items that are done.
    items
        A single one runs in the calling thread, and may use all processors.
    progress
        Told how many are done; may cancel. Called in this thread only.
    """
    count = min(len(items), os.cpu_count() or 1)
    if count <= 1:
        return [work(item, progress) for item in items]
    watch, spare = _Watch(), _Spare(items=len(items), processors=os.cpu_count() or 1)

    def run(item: T) -> R:
        _own.spare = spare
        spare.begin()
        try:
            return work(item, watch)
        finally:
            spare.end()

    with ThreadPoolExecutor(max_workers=count) as pool:
        running = [pool.submit(run, item) for item in items]
        try:
            left = set(running)
            while left:
                done, left = wait(left, timeout=LOOK_S, return_when=FIRST_EXCEPTION)
                progress.check_cancelled()
                progress.advance(1.0 - len(left) / len(running))
                for future in done:
                    future.result()
        except BaseException:
            watch.stopped.set()
            for future in running:
                future.cancel()
            raise
        return [future.result() for future in running]


def split_rows(count: int) -> list[slice]:
    """Cut rows into parts of about the same size, more than there are threads."""
    step = max(1, -(-count // SLABS))
    return [slice(a, min(a + step, count)) for a in range(0, count, step)]


def split_slabs(count: int) -> list[slice]:
    """Cut the slices of a volume into slabs of about the same height, more than there are threads."""
    step = max(1, -(-count // SLABS))
    return [slice(a, min(a + step, count)) for a in range(0, count, step)]
