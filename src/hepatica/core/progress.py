"""Progress and cancellation, without knowing who shows it."""

from __future__ import annotations

from typing import Protocol


class Progress(Protocol):
    """What long work reports to. A front end draws it; tests pass `Silent`."""

    def stage(self, name: str) -> None:
        """Begin a named stage of the work."""

    def advance(self, fraction: float) -> None:
        """Say how much of the current stage is done, 0 to 1."""

    def check_cancelled(self) -> None:
        """Raise `hepatica.core.errors.CancelledError` if the user wants to stop."""


class Silent:
    """A progress that shows nothing and is never cancelled."""

    def stage(self, name: str) -> None:
        """Do nothing."""

    def advance(self, fraction: float) -> None:
        """Do nothing."""

    def check_cancelled(self) -> None:
        """Do nothing."""


SILENT = Silent()
