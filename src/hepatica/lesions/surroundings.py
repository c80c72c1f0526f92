"""What lies around a lesion: the liver's capsule, the skin, other structures.

All distances run between closed voxel boxes in millimetres and are exact for the labels as drawn; the labels
themselves are right to about half a voxel diagonal. They rest on one fact: the gap between two voxel
boxes equals the distance between the centre of one and the nearest centre of the other grown by one voxel
in every direction.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.spatial import cKDTree

from hepatica.anatomy.structures import Anatomy, Origin, StructureKind, to_bit
from hepatica.core.findings import NotEvaluable
from hepatica.core.geometry import BoolArray
from hepatica.imaging.mask import Mask, find_box
from hepatica.lesions.lesion import Neighbour

LIVER_KINDS: Final = (
    StructureKind.LIVER,
    StructureKind.LESION,
    StructureKind.NECROSIS,
    StructureKind.LIVER_VESSEL,
)
"""What counts as liver when its outer boundary or its volume is asked for."""
NOT_CAPSULE: Final = (StructureKind.PORTAL_VEIN, StructureKind.HEPATIC_VEIN, StructureKind.BILE_DUCT)
"""Where the liver label ends at one of its own vessels or ducts, there is no capsule."""
_OWN_VESSELS: Final = np.uint32(sum(to_bit(kind) for kind in NOT_CAPSULE))
NOT_NEIGHBOURS: Final = frozenset((StructureKind.BODY, *LIVER_KINDS[:3]))
NEAR_MM: Final = 25.0
"""First search radius; what is not found so near is searched in the whole scan. Speed only."""

IndexArray = NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Surroundings:
    """Surfaces of one scan, found once for all its lesions.

    Parameters
    ----------
    anatomy
        Structures.
    liver
        Liver with its tumours, inner holes filled; None where no liver is known.
    outside_ijk
        (n, 3) voxels just outside the liver's capsule.
    liver_face_ijk
        (n, 3) liver voxels in a face of the volume, where the liver goes on unseen.
    air_ijk
        (n, 3) voxels of air just outside the skin, or None where no body is known.
    """

    anatomy: Anatomy
    liver: Mask | None
    outside_ijk: IndexArray
    liver_face_ijk: IndexArray
    air_ijk: IndexArray | None


def derive_surroundings(anatomy: Anatomy, *, lesions: tuple[Mask, ...] = ()) -> Surroundings:
    """Find the capsule and the skin of a scan.

    Parameters
    ----------
    anatomy
        Structures of the scan.
    lesions
        Tumours that belong to the liver, whether or not ``anatomy`` holds them.
    """
    liver = derive_whole_liver(anatomy, lesions)
    empty = np.empty((0, 3), dtype=np.int64)
    outside, faces = (empty, empty) if liver is None else _find_capsule(liver, anatomy)
    air = _find_air(anatomy) if anatomy.has(StructureKind.BODY) else None
    return Surroundings(anatomy=anatomy, liver=liver, outside_ijk=outside, liver_face_ijk=faces, air_ijk=air)


def measure_gap_mm(first: Mask, second: Mask, *, at_most_mm: float = np.inf) -> float | None:
    """Return the gap between two masks of one grid, 0 where their boxes touch; None beyond ``at_most_mm``."""
    probe = _Probe(first)
    gap_mm = probe.measure_mm(second.index_ijk(), at_most_mm=at_most_mm)
    return None if gap_mm > at_most_mm else gap_mm


def measure_distance_to_capsule_mm(mask: Mask, *, around: Surroundings) -> float | NotEvaluable:
    """Return the smallest distance from a lesion to the liver's outer boundary, 0 where it touches.

    The boundary runs where the liver (tumours included, holes filled) meets anything but its own vessels
    and ducts. The faces of the volume are not boundary: where the liver is cut off nearer than the
    boundary found, the answer cannot be given.
    """
    if around.liver is None:
        return NotEvaluable(reason="no liver label")
    probe = _Probe(mask)
    face_mm = probe.measure_mm(around.liver_face_ijk)
    capsule_mm = probe.measure_mm(around.outside_ijk)
    if not np.isfinite(capsule_mm):
        return NotEvaluable(reason="the liver fills the whole scan: its capsule is not in the image")
    if face_mm < capsule_mm:
        return NotEvaluable(
            reason=f"the scan cuts the liver off {face_mm:.1f} mm from the lesion, nearer than "
            f"the capsule in the image ({capsule_mm:.1f} mm)"
        )
    return capsule_mm


def measure_depth_mm(mask: Mask, *, around: Surroundings) -> float | NotEvaluable:
    """Return the smallest distance from a lesion's centroid to the skin in the image.

    Skin is where the body meets air; the faces of the volume are never skin, so skin beyond a face is not
    seen.
    """
    if around.air_ijk is None:
        return NotEvaluable(reason="no body label: the skin is unknown")
    if len(around.air_ijk) == 0:
        return NotEvaluable(reason="no air around the body: the skin lies outside the scan")
    grid = mask.grid
    centre = grid.to_index(mask.centroid_lps_mm)
    steps = np.maximum(np.abs(around.air_ijk - centre) - 0.5, 0.0) * grid.spacing_mm
    return float(np.sqrt(np.einsum("nk,nk->n", steps, steps).min()))


def measure_distance_to_face_mm(mask: Mask) -> float:
    """Return the distance from a lesion's centroid to the nearest face of the volume."""
    grid = mask.grid
    centre = grid.to_index(mask.centroid_lps_mm)
    steps = np.minimum(centre + 0.5, np.array(grid.shape) - 0.5 - centre) * grid.spacing_mm
    return float(steps.min())


def find_neighbours(mask: Mask, *, anatomy: Anatomy) -> tuple[Neighbour, ...]:
    """Return every structure of the scan with its distance from the lesion, nearest first.

    Body, liver, lesions and necrosis are left out. A structure that overlaps the lesion has distance 0.
    """
    probe = _Probe(mask)
    wanted = [kind for kind in StructureKind if anatomy.has(kind) and kind not in NOT_NEIGHBOURS]
    distances: dict[StructureKind, float] = {}
    for margin_mm in (NEAR_MM, np.inf):
        part, start = probe.cut(anatomy.bits, margin_mm=margin_mm)
        present = int(np.bitwise_or.reduce(part, axis=None))
        for kind in wanted:
            if kind in distances or not present & to_bit(kind):
                continue
            index = _find_true((part & np.uint32(to_bit(kind))) != 0) + start
            found_mm = probe.measure_mm(index)
            if found_mm <= margin_mm:
                distances[kind] = found_mm
        if len(distances) == len(wanted):
            break
    return tuple(
        Neighbour(kind=kind, distance_mm=mm, derived=anatomy.sources[kind].origin is Origin.DERIVED)
        for kind, mm in sorted(distances.items(), key=lambda item: (round(item[1], 9), item[0]))
    )


class _Probe:
    """A lesion grown by one voxel, ready to be asked for its gap to other voxels."""

    def __init__(self, mask: Mask) -> None:
        self._spacing_mm = mask.grid.spacing_mm
        self._shape = np.array(mask.grid.shape)
        shell = _grow(np.pad(mask.crop, 1))
        self._low = np.array(mask.start_ijk) - 1
        self._high = self._low + np.array(shell.shape) - 1
        # Seen from outside, only the surface of the grown lesion can be nearest; inside it the gap is 0.
        self._grown = shell
        surface = shell & ~ndimage.binary_erosion(shell)
        self._tree = cKDTree((_find_true(surface) + self._low) * self._spacing_mm)

    def cut(self, bits: NDArray[np.uint32], *, margin_mm: float) -> tuple[NDArray[np.uint32], IndexArray]:
        """Cut the part of a whole-grid array within a margin of the lesion's box."""
        margin = np.minimum(margin_mm / self._spacing_mm, self._shape.max()).astype(np.int64) + 1
        low = np.maximum(self._low - margin, 0)
        high = np.minimum(self._high + margin + 1, self._shape)
        return bits[low[0] : high[0], low[1] : high[1], low[2] : high[2]], low

    def measure_mm(self, index_ijk: IndexArray, *, at_most_mm: float = np.inf) -> float:
        """Return the smallest gap to some voxels; infinity where there are none within ``at_most_mm``."""
        if len(index_ijk) == 0:
            return float(np.inf)
        over = np.maximum(np.maximum(self._low - index_ijk, index_ijk - self._high), 0) * self._spacing_mm
        bound = np.einsum("nk,nk->n", over, over)
        inside = index_ijk[bound == 0] - self._low
        if self._grown[tuple(inside.T)].any():
            return 0.0
        # The voxel nearest to the lesion's box bounds the answer; no voxel farther from the box can beat it.
        likely = index_ijk[int(bound.argmin())] * self._spacing_mm
        limit_mm = min(float(self._tree.query(likely)[0]), at_most_mm)
        near = index_ijk[bound <= limit_mm**2 * (1 + 1e-12)] * self._spacing_mm
        if len(near) == 0:
            return float(np.inf)
        return float(self._tree.query(near)[0].min())


def _grow(mask: BoolArray) -> BoolArray:
    """Grow by one voxel in all 26 directions, within the array."""
    grown = np.array(mask)
    for axis in range(3):
        ahead = [slice(None)] * 3
        behind = [slice(None)] * 3
        ahead[axis], behind[axis] = slice(1, None), slice(None, -1)
        source = grown.copy()
        grown[tuple(ahead)] |= source[tuple(behind)]
        grown[tuple(behind)] |= source[tuple(ahead)]
    return grown


def _find_true(mask: BoolArray) -> IndexArray:
    """Return (n, 3) indices, walking the array in the order of its memory."""
    found = np.stack(np.nonzero(mask.T), axis=1)[:, ::-1]
    return np.ascontiguousarray(found, dtype=np.int64)


def derive_whole_liver(anatomy: Anatomy, lesions: tuple[Mask, ...]) -> Mask | None:
    """Return the liver with its tumours and vessels, inner holes filled; None where no liver is known.

    Parameters
    ----------
    anatomy
        Structures of the scan.
    lesions
        Tumours that belong to the liver, whether or not ``anatomy`` holds them.
    """
    if not anatomy.has(StructureKind.LIVER):
        return None
    full = anatomy.select(*LIVER_KINDS)
    for lesion in lesions:
        full[lesion.box] |= lesion.crop
    box = find_box(full)
    if box is None:
        return None
    part = full[box]
    # A vessel label that runs out of the liver must not open the holes beside it.
    closed = part | ((anatomy.bits[box] & _OWN_VESSELS) != 0)
    marked, _ = ndimage.label(np.pad(~closed, 1, constant_values=True))
    enclosed = (marked[1:-1, 1:-1, 1:-1] != marked[0, 0, 0]) & ~closed
    filled = np.asfortranarray(part | enclosed)
    return Mask(grid=anatomy.grid, start_ijk=(box[0].start, box[1].start, box[2].start), crop=filled)


def _find_capsule(liver: Mask, anatomy: Anatomy) -> tuple[IndexArray, IndexArray]:
    low = np.maximum(np.array(liver.start_ijk) - 1, 0)
    high = np.minimum(np.add(liver.start_ijk, liver.crop.shape) + 1, liver.grid.shape)
    box = (slice(low[0], high[0]), slice(low[1], high[1]), slice(low[2], high[2]))
    before, after = np.array(liver.start_ijk) - low, high - np.add(liver.start_ijk, liver.crop.shape)
    inside = np.pad(liver.crop, list(zip(before, after, strict=True)))
    shell = _grow(inside) & ~inside & ((anatomy.bits[box] & _OWN_VESSELS) == 0)
    index = _find_true(liver.crop) + np.array(liver.start_ijk)
    at_face = ((index == 0) | (index == np.array(liver.grid.shape) - 1)).any(axis=1)
    return _find_true(shell) + low, index[at_face]


def _find_air(anatomy: Anatomy) -> IndexArray:
    """Return the voxels outside the body that touch it by a face.

    Anything labelled is inside, and so is what the body surrounds within one acquisition slice (lung and
    bowel gas that an end face of the scan cuts open).
    """
    axis = anatomy.grid.slice_axis
    outside = np.moveaxis(anatomy.bits == 0, axis, 0)
    found = []
    for number, plane in enumerate(outside):
        marked, count = ndimage.label(plane)
        rim = np.concatenate([marked[0], marked[-1], marked[:, 0], marked[:, -1]])
        touching = np.unique(rim[rim > 0])
        keep = np.zeros(count + 1, dtype=bool)
        keep[touching] = True
        open_air = keep[marked]
        body = ~open_air
        beside = np.zeros_like(body)
        beside[1:] |= body[:-1]
        beside[:-1] |= body[1:]
        beside[:, 1:] |= body[:, :-1]
        beside[:, :-1] |= body[:, 1:]
        pixels = np.argwhere(open_air & beside)
        found.append(np.insert(pixels, axis, number, axis=1))
    return np.concatenate(found).astype(np.int64) if found else np.empty((0, 3), dtype=np.int64)
