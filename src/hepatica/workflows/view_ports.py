"""What showing a scan and a plan needs from the world."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    # The web process reads this module too: it loads no numerical library.
    from hepatica.core.geometry import Grid
    from hepatica.workflows.plan_ports import PlanPorts


class DerivedFiles(Protocol):
    """Bytes that can be made again at any time, by the digest of what they are made from."""

    def find(self, key: str) -> tuple[Path, str] | None:
        """Return where something lies and the SHA-256 of its bytes, checked just now; None where it is not made."""

    def holds(self, key: str) -> bool:
        """Return whether something lies under a key, unchecked."""

    def keep(self, key: str, data: bytes) -> str:
        """Keep bytes under a key; returns their digest."""

    def making(self, key: str) -> AbstractContextManager[None]:
        """Let one thread of one process make something at a time; the others wait and find it made."""


class ViewWriter(Protocol):
    """Writes volumes for a viewer."""

    def to_volume(self, values: Any, *, grid: Grid) -> bytes:
        """Return an image."""

    def to_labels(self, values: Any, *, grid: Grid) -> bytes:
        """Return a map of labels."""

    def to_spread(self, paths: Iterable[Path], *, grid: Grid) -> bytes:
        """Return several maps of probability as one on the scan's grid."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ViewPorts:
    """All that making volumes for a viewer needs.

    Parameters
    ----------
    derived
        Where they are kept.
    writer
        Writes them.
    make_plan_ports
        Returns the planner's ports, whose readers read scans and labels.
    """

    derived: DerivedFiles
    writer: ViewWriter
    make_plan_ports: Callable[[], PlanPorts]
