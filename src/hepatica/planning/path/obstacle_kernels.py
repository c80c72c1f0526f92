"""Compiled loops that sort labelled voxels into obstacles."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hepatica.planning.path.kernels import CODE_MASK, compiled


@compiled
def assign_layers(
    bits: NDArray[np.uint32],
    layer_of_bit: NDArray[np.uint32],
    ranks: NDArray[np.uint8],
    out: NDArray[np.uint32],
    tissue: NDArray[np.uint8],
    derived: np.uint32,
) -> None:
    """Turn structure bits into obstacle layer bits and tissue codes.

    ``ranks[b]`` is the tissue code of kind bit b; where kinds overlap the smallest code wins. Voxels that
    already carry a lesion code keep it, and give up obstacle bits that were only derived.
    """
    for k in range(bits.shape[2]):
        for j in range(bits.shape[1]):
            for i in range(bits.shape[0]):
                w = bits[i, j, k]
                if w == 0:
                    continue
                lesion = (tissue[i, j, k] & CODE_MASK) != 0
                found = np.uint32(0)
                code = np.uint8(15)
                for b in range(layer_of_bit.shape[0]):
                    if (w >> np.uint32(b)) & np.uint32(1):
                        code = min(code, ranks[b])
                        if not (lesion and (derived >> np.uint32(b)) & np.uint32(1)):
                            found |= layer_of_bit[b]
                out[i, j, k] = found
                if not lesion and code < 15:
                    tissue[i, j, k] |= code


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
