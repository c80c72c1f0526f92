"""What every picture of a plan is: PNG bytes of a size in print."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from hepatica.workflows.ports import PlanContext

SMALLEST_PIXEL_MM: Final = 0.6
"""Finer sampling would not be seen in print at the size of the pictures."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """One picture: PNG bytes, its size in print, and what it shows in words."""

    name: str
    png: bytes
    title: str
    alt: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """Size of a picture in print."""

    width_mm: float
    height_mm: float

    @property
    def aspect(self) -> float:
        """Width over height."""
        return self.width_mm / self.height_mm


def measure_pixel_mm(context: PlanContext) -> float:
    """Return the edge of a pixel that shows the scan as fine as it is, or as print can show."""
    grid = context.image.volume.grid
    in_plane = [float(step) for axis, step in enumerate(grid.spacing_mm) if axis != grid.slice_axis]
    return max(SMALLEST_PIXEL_MM, min(in_plane))
