"""Bounded memory of what earlier searches in one scene found out; it changes speed, never an answer."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Any, Final, Protocol, TypeVar

MOST_BYTES: Final = 256 * 2**20
"""Kept at most unless the caller says otherwise: about ten lesions of a clinical scan."""


class Sized(Protocol):
    """What can say how much memory it holds."""

    def count_bytes(self) -> int:
        """Return the memory it holds."""
        ...


T = TypeVar("T", bound=Sized)


class SearchMemory:
    """Tables by what they depend on; the ones not used for longest go first.

    Parameters
    ----------
    most_bytes
        Bound of the memory; the table in use always stays.

    Examples
    --------
    >>> memory = SearchMemory(most_bytes=1000)
    >>> memory.count_bytes()
    0
    """

    def __init__(self, *, most_bytes: int = MOST_BYTES) -> None:
        self.most_bytes = most_bytes
        self._tables: OrderedDict[Hashable, Any] = OrderedDict()
        self._lock = threading.Lock()

    def recall(self, key: Hashable, make: Callable[[], T]) -> T:
        """Return the table of a key, made now if it is not there.

        Parameters
        ----------
        key
            Everything the table depends on.
        make
            Makes it.
        """
        with self._lock:
            found: T | None = self._tables.pop(key, None)
        table = make() if found is None else found
        with self._lock:
            self._tables[key] = table
            while len(self._tables) > 1 and self._count() > self.most_bytes:
                self._tables.popitem(last=False)
        return table

    def count_bytes(self) -> int:
        """Return the memory held by all tables."""
        with self._lock:
            return self._count()

    def _count(self) -> int:
        return sum(table.count_bytes() for table in self._tables.values())
