"""What a needle must keep away from, as boundary voxels sorted into blocks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from hepatica.anatomy.structures import Anatomy, Origin, StructureKind, to_bit
from hepatica.core.evidence import Evidence, EvidenceTable
from hepatica.core.geometry import BoolArray, FloatArray
from hepatica.planning.path import kernels, obstacle_kernels
from hepatica.planning.path.fields import Cells, derive_cells
from hepatica.planning.path.threads import split_slabs, spread_over_threads

VESSELS: Final = (
    StructureKind.AORTA,
    StructureKind.VENA_CAVA,
    StructureKind.PORTAL_VEIN,
    StructureKind.HEPATIC_VEIN,
    StructureKind.LIVER_VESSEL,
)
"""Kinds whose margin depends on their calibre where the needle passes."""
NOT_OBSTACLES: Final = frozenset(
    {StructureKind.BODY, StructureKind.LIVER, StructureKind.LESION, StructureKind.NECROSIS}
)
"""Kinds that a path may cross; lesions have a rule of their own."""
BLOCK_EDGE_MM: Final = 5.0
"""Edge of the blocks that sort boundary voxels; changes speed only."""

CODE_NONE: Final = 15
"""No code of its own: body, unlabelled."""
CODE_ORGAN: Final = kernels.CODE_ORGAN
CODE_VESSEL: Final = kernels.CODE_VESSEL
CODE_CONTRAST: Final = 6
CODE_GAS: Final = 7
CODE_BONE: Final = 8
CODE_LUNG: Final = kernels.CODE_LUNG
_CODES: Final[Mapping[StructureKind, int]] = {
    StructureKind.BODY: CODE_NONE,
    StructureKind.LIVER: kernels.CODE_LIVER,
    StructureKind.LESION: kernels.CODE_OTHER_LESION,
    StructureKind.NECROSIS: CODE_NONE,
    **dict.fromkeys(VESSELS, CODE_VESSEL),
    StructureKind.CONTRAST_LUMEN: CODE_CONTRAST,
    StructureKind.GAS: CODE_GAS,
    StructureKind.BONE: CODE_BONE,
    StructureKind.LUNG: CODE_LUNG,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """One kind of obstacle with one margin.

    Parameters
    ----------
    kind
        Structure.
    margin
        Evidence of the margin in mm.
    derived
        Whether the structure was derived and not reviewed.
    calibre_mm
        For vessels: only parts at least this wide; None for all of the structure.
    """

    kind: StructureKind
    margin: Evidence
    derived: bool
    calibre_mm: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Obstacles:
    """Boundary voxels of all layers.

    Parameters
    ----------
    layers
        At most 32.
    block
        (3,) voxels in a block.
    starts
        (x, y, z, 3) first voxel of each block, one past its last, and its layers as bits.
    filled
        (m, 3) blocks that hold voxels.
    voxels, layer_of_voxel
        (n, 3) indices and (n,) layer.
    cells
        The same layers, whole, on a coarse grid: for screening only.
    bounds
        (32, 2, 3) first and last voxel of a box that holds each layer; the last is before the first where there is
        none.
    """

    layers: tuple[Layer, ...]
    block: NDArray[np.int64]
    starts: NDArray[np.int64]
    filled: NDArray[np.int64]
    voxels: NDArray[np.int16]
    layer_of_voxel: NDArray[np.uint8]
    cells: Cells
    bounds: NDArray[np.int64]

    def margins_mm(self) -> FloatArray:
        """Return the (n,) margin of each layer."""
        return np.array([layer.margin.number for layer in self.layers], dtype=np.float64)


def to_layers(anatomy: Anatomy, limits: EvidenceTable) -> tuple[Layer, ...]:
    """List the obstacle layers of an anatomy: one for each kind, two for vessels.

    Every kind that is present and may not be crossed gets a layer; a kind without a margin in the table is an
    error, never silently passed.
    """
    layers: list[Layer] = []
    for kind in StructureKind:
        if kind in NOT_OBSTACLES or not anatomy.has(kind):
            continue
        derived = anatomy.sources[kind].origin is Origin.DERIVED
        if kind in VESSELS:
            for margin, calibre in (
                ("margin_vessel", "vessel_calibre"),
                ("margin_vessel_wide", "vessel_calibre_wide"),
            ):
                width = limits[calibre].number
                layers.append(Layer(kind=kind, margin=limits[margin], derived=derived, calibre_mm=width))
        else:
            layers.append(Layer(kind=kind, margin=limits[f"margin_{kind.value}"], derived=derived))
    return tuple(layers)


def derive_obstacles(
    anatomy: Anatomy, *, layers: tuple[Layer, ...], tissue: NDArray[np.uint8], box: tuple[slice, ...]
) -> Obstacles:
    """Sort the boundary voxels of all layers, and write tissue codes of labelled voxels into ``tissue``.

    Parameters
    ----------
    anatomy
        Structures.
    layers
        From `to_layers`.
    tissue
        (I, J, K) in Fortran order with lesion codes already set; changed in place. Where structures overlap,
        the first of this order names the voxel: lesion, organ or implant, vessel, contrast-filled lumen,
        gas, bone, lung, liver. Clearances do not depend on it: every layer keeps its own voxels, except that
        a structure which was only derived gives way inside a lesion somebody drew (a calcified tumour is not
        bone).
    box
        Voxels that hold everything inside the patient.
    """
    grid = anatomy.grid
    of_bit, codes = np.zeros(32, np.uint32), np.full(32, CODE_NONE, np.uint8)
    for kind in StructureKind:
        position = to_bit(kind).bit_length() - 1
        codes[position] = _CODES.get(kind, CODE_ORGAN)
        of_bit[position] = sum(1 << number for number, layer in enumerate(layers) if layer.kind is kind)
    derived = sum(to_bit(kind) for kind, source in anatomy.sources.items() if source.origin is Origin.DERIVED)
    layer_bits = np.zeros(grid.shape, np.uint32, order="F")
    boxes = _assign(
        np.asfortranarray(anatomy.bits), of_bit, codes, layer_bits, tissue=tissue, derived=derived
    )
    _keep_wide(layer_bits, layers=layers, boxes=boxes, spacing_mm=grid.spacing_mm)
    cells = derive_cells(layer_bits, spacing_mm=grid.spacing_mm, box=box)
    return _collect(layer_bits, layers=layers, spacing_mm=grid.spacing_mm, cells=cells, bounds=boxes)


def _assign(
    bits: NDArray[np.uint32],
    of_bit: NDArray[np.uint32],
    codes: NDArray[np.uint8],
    layer_bits: NDArray[np.uint32],
    *,
    tissue: NDArray[np.uint8],
    derived: int,
) -> NDArray[np.int64]:
    """Fill layer bits and tissue codes; return (32, 2, 3) first and last voxel of each layer."""
    slabs = split_slabs(bits.shape[2])
    boxes = np.empty((len(slabs), 32, 2, 3), np.int64)
    boxes[:, :, 0], boxes[:, :, 1] = np.iinfo(np.int64).max, -1

    def work(number: int) -> None:
        slab = (slice(None), slice(None), slabs[number])
        obstacle_kernels.assign_layers(
            bits[slab], of_bit, codes, layer_bits[slab], tissue[slab], np.uint32(derived), boxes[number]
        )
        found = boxes[number, :, 1, 2] >= 0
        boxes[number, found, :, 2] += slabs[number].start

    spread_over_threads(work, range(len(slabs)))
    return np.stack([boxes[:, :, 0].min(axis=0), boxes[:, :, 1].max(axis=0)], axis=1)


def _keep_wide(
    bits: NDArray[np.uint32],
    *,
    layers: tuple[Layer, ...],
    boxes: NDArray[np.int64],
    spacing_mm: FloatArray,
) -> None:
    """Take a layer's bit from every voxel that no ball of its calibre inside the structure covers.

    The ball holds the voxels whose centres are less than half the calibre away, so a part a little narrower
    than the calibre still counts as wide: the error is on the safe side.
    """
    narrow: dict[int, BoolArray] = {}

    def find_box(number: int) -> tuple[slice, ...]:
        low, high = boxes[number]
        return tuple(slice(int(a), int(b) + 1) for a, b in zip(low, high, strict=True))

    def work(number: int) -> None:
        crop = np.asfortranarray((bits[find_box(number)] & np.uint32(1 << number)) != 0)
        wide = np.zeros(crop.shape, dtype=bool, order="F")
        calibre_mm = layers[number].calibre_mm or 0.0
        obstacle_kernels.open_by_ball(crop, derive_ball(0.5 * calibre_mm, spacing_mm), wide)
        narrow[number] = crop & ~wide

    todo = [n for n, layer in enumerate(layers) if layer.calibre_mm is not None and boxes[n, 1, 0] >= 0]
    spread_over_threads(work, todo)
    for number in todo:
        bits[find_box(number)] &= np.where(
            narrow[number], np.uint32(~(1 << number) & 0xFFFFFFFF), np.uint32(0xFFFFFFFF)
        )


def derive_ball(radius_mm: float, spacing_mm: FloatArray) -> NDArray[np.int64]:
    """Return the (n, 3) index offsets of voxel centres nearer than a radius; always the voxel itself."""
    reach = np.ceil(radius_mm / spacing_mm).astype(int)
    offsets = np.stack(np.meshgrid(*(np.arange(-r, r + 1) for r in reach), indexing="ij"), axis=-1).reshape(
        -1, 3
    )
    near = np.linalg.norm(offsets * spacing_mm, axis=1) < radius_mm
    return np.ascontiguousarray(offsets[near | (offsets == 0).all(axis=1)], dtype=np.int64)


def _collect(
    bits: NDArray[np.uint32],
    *,
    layers: tuple[Layer, ...],
    spacing_mm: FloatArray,
    cells: Cells,
    bounds: NDArray[np.int64],
) -> Obstacles:
    block = np.maximum(1, np.round(BLOCK_EDGE_MM / spacing_mm)).astype(np.int64)
    shape = tuple(int(n) for n in -(-np.array(bits.shape) // block))
    starts = np.zeros((*shape, 3), np.int64)
    none_voxels, none_layers = np.zeros((0, 3), np.int16), np.zeros(0, np.uint8)
    total = obstacle_kernels.collect_surface(bits, block, starts, none_voxels, none_layers, False)  # noqa: FBT003
    counts = starts[..., 1].ravel()
    first = np.concatenate([[0], np.cumsum(counts)[:-1]]).reshape(shape)
    starts[..., 0], starts[..., 1] = first, first
    voxels, of_voxel = np.empty((total, 3), np.int16), np.empty(total, np.uint8)
    obstacle_kernels.collect_surface(bits, block, starts, voxels, of_voxel, True)  # noqa: FBT003
    filled = counts > 0
    if filled.any():
        bits_of_voxel = np.int64(1) << of_voxel.astype(np.int64)
        # Blocks are laid out one after the other in the order of `first`.
        masks = np.zeros(len(filled), np.int64)
        masks[filled] = np.bitwise_or.reduceat(bits_of_voxel, first.ravel()[filled])
        starts[..., 2] = masks.reshape(shape)
    blocks = np.stack(np.unravel_index(np.flatnonzero(filled), shape), axis=1)
    for array in (starts, blocks, voxels, of_voxel):
        array.setflags(write=False)
    return Obstacles(
        layers=layers,
        block=block,
        starts=starts,
        filled=blocks,
        voxels=voxels,
        layer_of_voxel=of_voxel,
        cells=cells,
        bounds=bounds,
    )
