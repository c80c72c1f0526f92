"""From labels to arrays: which class each voxel of a small working grid has, and its numbers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hepatica.anatomy.structures import Anatomy, StructureKind
from hepatica.core.errors import GeometryError, InputError
from hepatica.core.geometry import BoolArray, FloatArray, Grid
from hepatica.imaging.mask import Mask
from hepatica.planning.spread.tissue import POROUS, SpreadParameters, SpreadTissue

ClassArray = NDArray[np.uint8]
VESSEL_KINDS: Final = (
    StructureKind.PORTAL_VEIN,
    StructureKind.HEPATIC_VEIN,
    StructureKind.LIVER_VESSEL,
    StructureKind.VENA_CAVA,
)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TissueMap:
    """Numbers of every voxel of the working grid; all arrays (I, J, K), float64, read-only.

    Parameters
    ----------
    grid
        Working grid.
    classes
        `SpreadTissue` numbers, uint8.
    conductivity_mm2_per_kpa_s, exchange_per_kpa_s
        0 where nothing flows.
    porosity_fraction, shear_modulus_kpa
        1 outside porous tissue, so that divisions stay finite; nothing flows there.
    interstitial_pressure_kpa
        0 outside porous tissue.
    """

    grid: Grid
    classes: ClassArray
    conductivity_mm2_per_kpa_s: FloatArray
    porosity_fraction: FloatArray
    interstitial_pressure_kpa: FloatArray
    shear_modulus_kpa: FloatArray
    exchange_per_kpa_s: FloatArray
    reflection_fraction: FloatArray

    def __post_init__(self) -> None:
        """Validate and freeze."""
        for name in self.__slots__:
            array = getattr(self, name)
            if name == "grid":
                continue
            if array.shape != self.grid.shape or not np.isfinite(array).all():
                raise GeometryError(
                    expected=f"finite values of shape {self.grid.shape}", given=f"{array.shape}", where=name
                )
            view = array.view()
            view.setflags(write=False)
            object.__setattr__(self, name, view)

    def select(self, *tissues: SpreadTissue) -> BoolArray:
        """Return where the class is one of some."""
        return np.isin(self.classes, [int(tissue) for tissue in tissues])


def build_tissue_map(
    classes: ClassArray,
    *,
    grid: Grid,
    parameters: SpreadParameters,
    elastography_kpa: FloatArray | None = None,
) -> TissueMap:
    """Give every voxel the numbers of its class.

    Parameters
    ----------
    classes
        (I, J, K) uint8 of `SpreadTissue` numbers on ``grid``.
    parameters
        One choice of the uncertain inputs.
    elastography_kpa
        (I, J, K) measured shear modulus; NaN where nothing was measured. It replaces the class value.

    Raises
    ------
    InputError
        On a class number that does not exist, or a measured modulus that is not above 0.

    Examples
    --------
    >>> from hepatica.planning.spread.tissue import derive_parameters
    >>> grid = Grid.from_axes(shape=(2, 2, 2), spacing_mm=(1, 1, 1), origin_lps_mm=(0, 0, 0))
    >>> tissue = build_tissue_map(np.full((2, 2, 2), 3, np.uint8), grid=grid, parameters=derive_parameters())
    >>> round(float(tissue.shear_modulus_kpa[0, 0, 0]), 3)
    2.25
    """
    known = {int(tissue) for tissue in SpreadTissue}
    strange = sorted(set(np.unique(classes).tolist()) - known)
    if strange:
        raise InputError(expected=f"class numbers {sorted(known)}", given=f"{strange[0]}")
    stiffness = _look_up(classes, parameters, "shear_modulus_kpa", elsewhere=1.0)
    if elastography_kpa is not None:
        measured = np.isfinite(elastography_kpa)
        if elastography_kpa.shape != classes.shape or (elastography_kpa[measured] <= 0).any():
            raise InputError(
                expected=f"shear moduli above 0 kPa of shape {classes.shape}",
                given=f"shape {elastography_kpa.shape}",
                where="elastography",
            )
        stiffness = np.where(
            measured & np.isin(classes, [int(t) for t in POROUS]), elastography_kpa, stiffness
        )
    return TissueMap(
        grid=grid,
        classes=classes,
        conductivity_mm2_per_kpa_s=_look_up(classes, parameters, "conductivity_mm2_per_kpa_s"),
        porosity_fraction=_look_up(classes, parameters, "porosity_fraction", elsewhere=1.0),
        interstitial_pressure_kpa=_look_up(classes, parameters, "interstitial_pressure_kpa"),
        shear_modulus_kpa=stiffness,
        exchange_per_kpa_s=_look_up(classes, parameters, "exchange_per_kpa_s"),
        reflection_fraction=_look_up(classes, parameters, "reflection_fraction", elsewhere=1.0),
    )


def _look_up(
    classes: ClassArray, parameters: SpreadParameters, name: str, *, elsewhere: float = 0.0
) -> FloatArray:
    table = np.full(256, elsewhere)
    for tissue, values in parameters.tissues.items():
        table[int(tissue)] = getattr(values, name)
    return np.asarray(table[classes], dtype=np.float64)


def build_working_grid(
    centre_lps_mm: ArrayLike, *, cells: int, spacing_mm: float, like: Grid | None = None
) -> Grid:
    """Lay a cube of cubic voxels around a point, along LPS axes.

    Parameters
    ----------
    centre_lps_mm
        (3,) centre of the cube.
    cells
        Voxels along each edge.
    spacing_mm
        Edge of a voxel.
    like
        Grid whose frame of reference it takes over.
    """
    centre = np.asarray(centre_lps_mm, dtype=np.float64)
    return Grid.from_axes(
        shape=(cells, cells, cells),
        spacing_mm=(spacing_mm,) * 3,
        origin_lps_mm=centre - spacing_mm * (cells - 1) / 2,
        frame_of_reference=None if like is None else like.frame_of_reference,
    )


def derive_tissue_classes(
    anatomy: Anatomy,
    *,
    tumours: Mapping[str, Mask],
    viable: Mapping[str, Mask],
    grid: Grid,
    cirrhosis: bool = False,
) -> ClassArray:
    """Read the class of each voxel of a working grid from the scan's labels, at the nearest scan voxel.

    Later wins: liver, tumour as necrosis, its viable part, vessels. A liver voxel that has a voxel outside the
    liver next to it on the working grid, and is no tumour, is capsule.

    Parameters
    ----------
    anatomy
        Structures on the planning scan.
    tumours, viable
        Whole lesion and its viable part by lesion; a lesion without a viable part counts as viable as a whole.
    grid
        Working grid in the scan's frame.
    cirrhosis
        Whether the liver is cirrhotic.

    Returns
    -------
    (I, J, K) uint8 of `SpreadTissue` numbers.
    """
    anatomy.grid.require_same_frame(grid, where="working grid of the spread")
    centres = np.stack(np.meshgrid(*(np.arange(n) for n in grid.shape), indexing="ij"), axis=-1)
    index = np.rint(anatomy.grid.to_index(grid.to_lps_mm(centres))).astype(np.int64)
    inside = ((index >= 0) & (index < anatomy.grid.shape)).all(axis=-1)
    index = np.clip(index, 0, np.array(anatomy.grid.shape) - 1)
    at = (index[..., 0], index[..., 1], index[..., 2])

    def read(full: BoolArray) -> BoolArray:
        return np.asarray(full[at] & inside)

    liver = read(anatomy.select(StructureKind.LIVER))
    parenchyma = SpreadTissue.CIRRHOSIS if cirrhosis else SpreadTissue.LIVER
    classes = np.where(liver, np.uint8(parenchyma), np.uint8(SpreadTissue.OUTSIDE))
    for name, mask in tumours.items():
        whole = read(mask.to_full())
        classes[whole] = SpreadTissue.NECROSIS if name in viable else SpreadTissue.VIABLE
        if name in viable:
            classes[whole & read(viable[name].to_full())] = SpreadTissue.VIABLE
    classes[read(anatomy.select(*VESSEL_KINDS)) & (classes != SpreadTissue.OUTSIDE)] = SpreadTissue.VESSEL
    from scipy import ndimage

    edge = ndimage.binary_dilation(classes == SpreadTissue.OUTSIDE) & (classes == parenchyma)
    classes[edge] = SpreadTissue.CAPSULE
    return np.asarray(classes, dtype=np.uint8)
