"""Small scenes for the spread of an injection: a round tumour in liver, with what a test adds."""

from __future__ import annotations

import numpy as np

from hepatica.core.geometry import Grid
from hepatica.planning.spread.scene import InjectionSite, SpreadScene
from hepatica.planning.spread.tissue import SpreadTissue


def make_site(**changes) -> InjectionSite:
    """One deposit in the middle, the needle coming from +y."""
    values = {
        "tip_lps_mm": np.zeros(3), "entry_lps_mm": np.array([0.0, 60.0, 0.0]), "volume_ml": 0.5, "rate_ml_per_min": 1.0,
        "needle_radius_mm": 0.36,
    }  # fmt: skip
    return InjectionSite(**{**values, **changes})


def make_classes(grid: Grid, *, tumour_mm: float = 12.0, necrosis_mm: float = 0.0) -> np.ndarray:
    """Liver with a round tumour and, if asked, its dead core."""
    line = [
        grid.to_lps_mm(np.eye(3)[axis] * np.arange(grid.shape[axis])[:, None])[:, axis] for axis in range(3)
    ]
    r = np.sqrt(line[0][:, None, None] ** 2 + line[1][None, :, None] ** 2 + line[2][None, None, :] ** 2)
    classes = np.full(grid.shape, SpreadTissue.LIVER, dtype=np.uint8)
    classes[r < tumour_mm] = SpreadTissue.VIABLE
    classes[r < necrosis_mm] = SpreadTissue.NECROSIS
    return classes


def make_scene(*, cells: int = 33, spacing_mm: float = 1.0, sites=None, edit=None, **tumour) -> SpreadScene:
    """A scene; ``edit`` may change the classes."""
    start = -spacing_mm * (cells - 1) / 2
    grid = Grid.from_axes(shape=(cells,) * 3, spacing_mm=(spacing_mm,) * 3, origin_lps_mm=(start,) * 3)
    classes = make_classes(grid, **tumour)
    if edit is not None:
        edit(classes)
    return SpreadScene(grid=grid, classes=classes, sites=tuple(sites or (make_site(),)))
