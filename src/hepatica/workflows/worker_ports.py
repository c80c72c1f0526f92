"""Processes that compute for the server."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol, TypeAlias


class Worker(Protocol):
    """A process that was given a task."""

    @property
    def is_over(self) -> bool:
        """Whether it has ended."""

    @property
    def status(self) -> int | None:
        """Exit status, None while it runs."""

    def send(self, message: Mapping[str, Any]) -> None:
        """Send one message."""

    def receive(self, *, timeout_s: float) -> dict[str, Any] | None:
        """Return the next message, None if none comes in time."""

    def count_bytes(self) -> int:
        """Return the memory it holds, 0 where the system does not tell."""

    def end(self) -> None:
        """End it, kindly at first."""


StartWorker: TypeAlias = Callable[[Mapping[str, Any]], Worker]
