"""Databases that a record is measured on: SQLite in its home, and a PostgreSQL server of the benchmark's own."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Database:
    """One kind of database; ``make_address`` gives that of a new, empty one, empty text for SQLite."""

    name: str
    make_address: Callable[[], str]


def list_databases() -> Iterator[Database]:
    """Yield SQLite, then PostgreSQL where it is installed; the server ends with this process."""
    yield Database(name="SQLite", make_address=str)
    support = Path(__file__).parents[1] / "tests" / "support"
    sys.path.insert(0, str(support))
    try:
        from postgresql import find_binaries, start_server
    except ImportError:
        return
    finally:
        sys.path.remove(str(support))
    binaries = find_binaries()
    if binaries is not None:
        server = start_server()
        yield Database(name=f"PostgreSQL {binaries.parts[-2]}", make_address=server.make_database)
