"""Lines and words on a picture, cased so that they can be read on any grey."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from hepatica.adapters.reports import palette
from hepatica.core.geometry import FloatArray

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def outline_text(width: float) -> list[Any]:
    """Return what draws a dark rim of a width in points around a text."""
    from matplotlib import patheffects

    return [patheffects.withStroke(linewidth=width, foreground=palette.CASING)]


def draw_line(axes: Axes, points: NDArray[Any], *, casing: str = palette.CASING, **style: Any) -> None:
    """Draw a line through (n, 2) rows and columns."""
    from matplotlib import patheffects

    width = style.pop("linewidth", 1.0)
    effects = [patheffects.withStroke(linewidth=width + 1.0, foreground=casing)]
    axes.plot(points[:, 1], points[:, 0], linewidth=width, path_effects=effects, **style)


def write_text(axes: Axes, point: FloatArray, text: str, **style: Any) -> None:
    """Write a text at a row and column."""
    options: dict[str, Any] = {
        "color": "white",
        "fontsize": 5.8,
        "ha": "center",
        "va": "center",
        "parse_math": False,
    }
    options.update(style)
    axes.text(float(point[1]), float(point[0]), text, path_effects=outline_text(1.6), clip_on=True, **options)
