"""A scalar image on a grid."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hepatica.core.errors import GeometryError, NonFiniteError
from hepatica.core.geometry import Grid


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Volume:
    """A scalar image.

    Parameters
    ----------
    values
        (I, J, K) array, set read-only; CT in Hounsfield units. Readers hand it over as a transposed view of
        contiguous (K, J, I) memory, so ``values.T`` is contiguous.
    grid
        Where the voxels lie.
    modality
        DICOM Modality word: ``CT``, ``MR``, ``PT``.

    Raises
    ------
    GeometryError
        If array and grid do not fit.
    NonFiniteError
        If a value is NaN or infinite.
    """

    values: NDArray[Any]
    grid: Grid
    modality: str = "CT"

    def __post_init__(self) -> None:
        """Validate and freeze."""
        if self.values.shape != self.grid.shape:
            raise GeometryError(expected=f"an array of shape {self.grid.shape}", given=f"{self.values.shape}")
        if np.issubdtype(self.values.dtype, np.floating) and not np.isfinite(self.values).all():
            raise NonFiniteError(expected="finite voxel values", given="NaN or infinity", where=self.modality)
        view = self.values.view()
        view.setflags(write=False)
        object.__setattr__(self, "values", view)
