"""Compiled loops on several threads; which thread did what never shows in the result."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final, TypeVar

T = TypeVar("T")

SLABS: Final = 8
"""Slabs of a volume for threads."""


def spread_over_threads(work: Callable[[T], None], parts: Sequence[T]) -> None:
    """Run independent parts, each of which writes only to its own place, on as many threads as processors."""
    count = min(len(parts), os.cpu_count() or 1)
    if count <= 1:
        for part in parts:
            work(part)
        return
    with ThreadPoolExecutor(max_workers=count) as pool:
        list(pool.map(work, parts))


def split_slabs(count: int) -> list[slice]:
    """Cut the slices of a volume into slabs of about the same height, more than there are threads."""
    step = max(1, -(-count // SLABS))
    return [slice(a, min(a + step, count)) for a in range(0, count, step)]
