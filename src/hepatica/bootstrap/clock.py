"""The time of the machine."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    pass


class SystemClock:
    """The time of the machine, to the second."""

    def now(self) -> datetime:
        """Return the present time in UTC."""
        return datetime.now(UTC).replace(microsecond=0)
