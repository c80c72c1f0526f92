"""Compiled loops on several threads; which thread did what never shows in the result."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")


def spread_over_threads(work: Callable[[T], None], parts: Sequence[T]) -> None:
    """Run independent parts, each of which writes only to its own place, on as many threads as processors."""
    count = min(len(parts), os.cpu_count() or 1)
    if count <= 1:
        for part in parts:
            work(part)
        return
    with ThreadPoolExecutor(max_workers=count) as pool:
        list(pool.map(work, parts))
