"""Compiled loops that sort labelled voxels into obstacles."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hepatica.planning.path.kernels import BODY_FLAG, CODE_AIR, CODE_MASK, LIVER_FLAG, compiled


@compiled
def assign_layers(  # noqa: C901
    bits: NDArray[np.uint32],
    layer_of_bit: NDArray[np.uint32],
    ranks: NDArray[np.uint8],
    out: NDArray[np.uint32],
    tissue: NDArray[np.uint8],
    derived: np.uint32,
    boxes: NDArray[np.int64],
) -> None:
    """Turn structure bits into obstacle layer bits and tissue codes.

    ``ranks[b]`` is the tissue code of kind bit b; where kinds overlap the smallest code wins. Voxels that
    already carry a lesion code keep it, and give up obstacle bits that were only derived. ``boxes`` (32, 2, 3)
    is widened to each layer's first and last voxel; it comes in as nothing's box.
    """
    last = np.uint32(0)
    found, drawn, code = np.uint32(0), np.uint32(0), np.uint8(15)
    for k in range(bits.shape[2]):
        for j in range(bits.shape[1]):
            row, first, end = np.uint32(0), 0, 0
            for i in range(bits.shape[0]):
                w = bits[i, j, k]
                if w == 0:
                    continue
                if w != last:  # neighbours mostly carry the same bits
                    found, drawn, code, last = np.uint32(0), np.uint32(0), np.uint8(15), w
                    for b in range(layer_of_bit.shape[0]):
                        if (w >> np.uint32(b)) & np.uint32(1):
                            code = min(code, ranks[b])
                            found |= layer_of_bit[b]
                            if not (derived >> np.uint32(b)) & np.uint32(1):
                                drawn |= layer_of_bit[b]
                lesion = (tissue[i, j, k] & CODE_MASK) != 0
                here = drawn if lesion else found
                out[i, j, k] = here
                if here:
                    first = i if row == 0 else first
                    end = i
                    row |= here
                if not lesion and code < 15:
                    tissue[i, j, k] |= code
            for b in range(32):
                if (row >> np.uint32(b)) & np.uint32(1):
                    boxes[b, 0, 0], boxes[b, 1, 0] = min(boxes[b, 0, 0], first), max(boxes[b, 1, 0], end)
                    boxes[b, 0, 1], boxes[b, 1, 1] = min(boxes[b, 0, 1], j), max(boxes[b, 1, 1], j)
                    boxes[b, 0, 2], boxes[b, 1, 2] = min(boxes[b, 0, 2], k), max(boxes[b, 1, 2], k)


@compiled
def flag_tissue(
    bits: NDArray[np.uint32],
    values: NDArray[np.int16],
    outside: NDArray[np.bool_],
    tissue: NDArray[np.uint8],
    liver: np.uint32,
    air_hu: float,
) -> None:
    """Set the flags for liver and body, and the code of air in the body that no label names."""
    for k in range(bits.shape[2]):
        for j in range(bits.shape[1]):
            for i in range(bits.shape[0]):
                value = tissue[i, j, k]
                if bits[i, j, k] & liver:
                    value |= LIVER_FLAG
                if not outside[i, j, k]:
                    value |= BODY_FLAG
                    if value == BODY_FLAG and values[i, j, k] <= air_hu:
                        value |= np.uint8(CODE_AIR)
                tissue[i, j, k] = value


@compiled
def fill_outside(inside: NDArray[np.bool_], outside: NDArray[np.bool_]) -> None:  # noqa: C901
    """Mark, slice by slice along the last axis, what is not inside and joined to a border of its slice.

    Rows are filled from both ends; only rows where something is left are looked at again, until nothing
    changes.
    """
    nx, ny, nz = inside.shape
    left = np.empty(ny, np.int64)
    for z in range(nz):
        for y in range(ny):
            edge = y == 0 or y == ny - 1
            total, filled = 0, 0
            for x in range(nx):
                total += 0 if inside[x, y, z] else 1
            for x in range(nx):
                outside[x, y, z] = edge and not inside[x, y, z]
            if not edge and total:
                for x in range(nx):
                    if inside[x, y, z]:
                        break
                    outside[x, y, z] = True
                    filled += 1
                for x in range(nx - 1, -1, -1):
                    if inside[x, y, z] or outside[x, y, z]:
                        break
                    outside[x, y, z] = True
                    filled += 1
            left[y] = 0 if edge else total - filled
        changed, forward = True, True
        while changed:
            changed = False
            for n in range(1, ny - 1):
                y = n if forward else ny - 1 - n
                if left[y] == 0:
                    continue
                for way in range(2):
                    for m in range(1, nx - 1):
                        x = m if way == 0 else nx - 1 - m
                        if inside[x, y, z] or outside[x, y, z]:
                            continue
                        if (
                            outside[x - 1, y, z]
                            or outside[x + 1, y, z]
                            or outside[x, y - 1, z]
                            or outside[x, y + 1, z]
                        ):
                            outside[x, y, z] = True
                            left[y] -= 1
                            changed = True
            forward = not forward


@compiled
def list_faces(
    outside: NDArray[np.bool_], counts: NDArray[np.int64], faces: NDArray[np.int16], fill: bool
) -> None:
    """Count (not ``fill``) or write the voxels behind which, along each axis, inside and outside meet.

    ``counts`` (3,) is where each axis's voxels begin in ``faces`` (n, 3), and comes out as where they end.
    """
    nx, ny, nz = outside.shape
    for z in range(nz):
        for y in range(ny):
            for axis in range(3):
                if (axis == 1 and y == ny - 1) or (axis == 2 and z == nz - 1):
                    continue
                dx, dy, dz = axis == 0, axis == 1, axis == 2
                found = 0
                for x in range(nx - dx):
                    found += outside[x, y, z] != outside[x + dx, y + dy, z + dz]
                if not fill:
                    counts[axis] += found
                if not fill or found == 0:
                    continue
                for x in range(nx - dx):
                    if outside[x, y, z] != outside[x + dx, y + dy, z + dz]:
                        n = counts[axis]
                        faces[n, 0], faces[n, 1], faces[n, 2] = x, y, z
                        counts[axis] += 1


@compiled
def collect_surface(
    bits: NDArray[np.uint32],
    block: NDArray[np.int64],
    starts: NDArray[np.int64],
    voxels: NDArray[np.int16],
    layers: NDArray[np.uint8],
    fill: bool,
) -> int:
    """Count (not ``fill``) or write the boundary voxels of every layer by block; returns their number."""
    nx, ny, nz = bits.shape
    total = 0
    for k in range(nz):
        for j in range(ny):
            for i in range(nx):
                w = bits[i, j, k]
                if w == 0:
                    continue
                inside = w
                if i == 0 or j == 0 or k == 0 or i == nx - 1 or j == ny - 1 or k == nz - 1:
                    inside = np.uint32(0)
                else:
                    inside &= bits[i - 1, j, k] & bits[i + 1, j, k] & bits[i, j - 1, k] & bits[i, j + 1, k]
                    inside &= bits[i, j, k - 1] & bits[i, j, k + 1]
                edge = w & ~inside
                if edge == 0:
                    continue
                x, y, z = i // block[0], j // block[1], k // block[2]
                for layer in range(32):
                    if (edge >> np.uint32(layer)) & np.uint32(1):
                        if fill:
                            n = starts[x, y, z, 1]
                            voxels[n, 0], voxels[n, 1], voxels[n, 2] = i, j, k
                            layers[n] = layer
                        starts[x, y, z, 1] += 1
                        total += 1
    return total


@compiled
def open_by_ball(mask: NDArray[np.bool_], ball: NDArray[np.int64], out: NDArray[np.bool_]) -> None:
    """Open a mask: ``out`` becomes the union of the balls that fit; beyond the array counts as inside."""
    nx, ny, nz = mask.shape
    for k in range(nz):
        for j in range(ny):
            for i in range(nx):
                if not mask[i, j, k]:
                    continue
                fits = True
                for n in range(ball.shape[0]):
                    x, y, z = i + ball[n, 0], j + ball[n, 1], k + ball[n, 2]
                    if 0 <= x < nx and 0 <= y < ny and 0 <= z < nz and not mask[x, y, z]:
                        fits = False
                        break
                if not fits:
                    continue
                for n in range(ball.shape[0]):
                    x, y, z = i + ball[n, 0], j + ball[n, 1], k + ball[n, 2]
                    if 0 <= x < nx and 0 <= y < ny and 0 <= z < nz:
                        out[x, y, z] = True
