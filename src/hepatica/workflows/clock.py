"""The time, as a use case is told it."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol


class Clock(Protocol):
    """Tells the time of a run; a replay returns the manifest's."""

    def now(self) -> datetime:
        """Return a timezone-aware time."""
