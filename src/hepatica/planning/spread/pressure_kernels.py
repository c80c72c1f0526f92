"""Compiled loops of the pressure solver: padded arrays, one layer of ghosts, no branch at boundaries.

Grids have shape (I + 2, J + 2, K + 2); cells are 1 to I. ``bands`` is (5, I + 2, J + 2, K + 2): diagonal, faces to
the cell before along i, j, k, and the inverse diagonal (0 where nothing flows). Faces to ghosts are 0, so whatever
a ghost holds is multiplied away. Everything is serial: several solves run in several processes, and coarse grids
are too small to share.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numpy as np
from numba import njit

from hepatica.core.geometry import FloatArray

F = TypeVar("F", bound=Callable[..., Any])


def compiled(function: F) -> F:
    """Compile with numba, without the interpreter lock, cached on disk; sums may be reordered to vectorise."""
    flags = {"contract", "nsz", "reassoc"}
    return cast(F, njit(cache=True, nogil=True, error_model="numpy", fastmath=flags)(function))


@compiled
def multiply(x: FloatArray, y: FloatArray, bands: FloatArray) -> float:
    """Write ``y = A x`` and return ``x . y``."""
    diagonal, tx, ty, tz = bands[0], bands[1], bands[2], bands[3]
    total = 0.0
    for i in range(1, x.shape[0] - 1):
        plane = 0.0
        for j in range(1, x.shape[1] - 1):
            line = 0.0
            for k in range(1, x.shape[2] - 1):
                value = (
                    diagonal[i, j, k] * x[i, j, k]
                    - tx[i, j, k] * x[i - 1, j, k]
                    - tx[i + 1, j, k] * x[i + 1, j, k]
                    - ty[i, j, k] * x[i, j - 1, k]
                    - ty[i, j + 1, k] * x[i, j + 1, k]
                    - tz[i, j, k] * x[i, j, k - 1]
                    - tz[i, j, k + 1] * x[i, j, k + 1]
                )
                y[i, j, k] = value
                line += value * x[i, j, k]
            plane += line
        total += plane
    return total


@compiled
def smooth(x: FloatArray, b: FloatArray, bands: FloatArray, first: int, fresh: int) -> None:
    """Sweep twice by red-black Gauss-Seidel, four half-sweeps following each other plane by plane.

    A plane's four visits come while it is still in cache. ``first`` is the colour to start with: red (0)
    before and black (1) after the coarse correction keep a cycle symmetric. ``fresh`` (1) takes x as 0 unread.
    """
    tx, ty, tz, inverse = bands[1], bands[2], bands[3], bands[4]
    ni, nj, nk = x.shape[0] - 2, x.shape[1] - 2, x.shape[2] - 2
    for front in range(1, ni + 4):
        for visit in range(4):
            i = front - visit
            if i < 1 or i > ni:
                continue
            colour = (first + visit) & 1
            for j in range(1, nj + 1):
                start = 1 + ((i + j + 1 + colour) & 1)
                if fresh == 1 and visit == 0:
                    for k in range(start, nk + 1, 2):
                        x[i, j, k] = b[i, j, k] * inverse[i, j, k]
                else:
                    for k in range(start, nk + 1, 2):
                        x[i, j, k] = inverse[i, j, k] * (
                            b[i, j, k]
                            + tx[i, j, k] * x[i - 1, j, k]
                            + tx[i + 1, j, k] * x[i + 1, j, k]
                            + ty[i, j, k] * x[i, j - 1, k]
                            + ty[i, j + 1, k] * x[i, j + 1, k]
                            + tz[i, j, k] * x[i, j, k - 1]
                            + tz[i, j, k + 1] * x[i, j, k + 1]
                        )


@compiled
def restrict_residual(x: FloatArray, b: FloatArray, bands: FloatArray, coarse: FloatArray) -> None:
    """Sum the residual over blocks of 2 x 2 x 2 cells; it is 0 on black cells after a forward sweep."""
    diagonal, tx, ty, tz = bands[0], bands[1], bands[2], bands[3]
    coarse[:] = 0.0
    for i in range(1, x.shape[0] - 1):
        for j in range(1, x.shape[1] - 1):
            start = 1 + ((i + j + 1) & 1)
            for k in range(start, x.shape[2] - 1, 2):
                coarse[(i + 1) >> 1, (j + 1) >> 1, (k + 1) >> 1] += (
                    b[i, j, k]
                    - diagonal[i, j, k] * x[i, j, k]
                    + tx[i, j, k] * x[i - 1, j, k]
                    + tx[i + 1, j, k] * x[i + 1, j, k]
                    + ty[i, j, k] * x[i, j - 1, k]
                    + ty[i, j + 1, k] * x[i, j + 1, k]
                    + tz[i, j, k] * x[i, j, k - 1]
                    + tz[i, j, k + 1] * x[i, j, k + 1]
                )


@compiled
def add_coarse(x: FloatArray, coarse: FloatArray) -> None:
    """Add a coarse correction to each cell of its block."""
    for i in range(1, x.shape[0] - 1):
        for j in range(1, x.shape[1] - 1):
            for k in range(1, x.shape[2] - 1):
                x[i, j, k] += coarse[(i + 1) >> 1, (j + 1) >> 1, (k + 1) >> 1]


@compiled
def advance(x: FloatArray, r: FloatArray, p: FloatArray, q: FloatArray, step: float) -> float:
    """Write ``x += step p`` and ``r -= step q``; return ``r . r``."""
    total = 0.0
    for i in range(1, x.shape[0] - 1):
        for j in range(1, x.shape[1] - 1):
            line = 0.0
            for k in range(1, x.shape[2] - 1):
                x[i, j, k] += step * p[i, j, k]
                value = r[i, j, k] - step * q[i, j, k]
                r[i, j, k] = value
                line += value * value
            total += line
    return total


@compiled
def turn(p: FloatArray, z: FloatArray, ratio: float) -> None:
    """Write ``p = z + ratio p``."""
    for i in range(1, p.shape[0] - 1):
        for j in range(1, p.shape[1] - 1):
            for k in range(1, p.shape[2] - 1):
                p[i, j, k] = z[i, j, k] + ratio * p[i, j, k]


@compiled
def dot(a: FloatArray, b: FloatArray) -> float:
    """Return the inner product over cells."""
    total = 0.0
    for i in range(1, a.shape[0] - 1):
        for j in range(1, a.shape[1] - 1):
            line = 0.0
            for k in range(1, a.shape[2] - 1):
                line += a[i, j, k] * b[i, j, k]
            total += line
    return total


@compiled
def coarsen(bands: FloatArray, sinks: FloatArray, coarse: FloatArray, coarse_sinks: FloatArray) -> None:
    """Sum faces between blocks, halved for the doubled distance; ``sinks`` (2, ...) are exchange and open sides."""
    for i in range(1, bands.shape[1] - 1):
        ci = (i + 1) >> 1
        for j in range(1, bands.shape[2] - 1):
            cj = (j + 1) >> 1
            for k in range(1, bands.shape[3] - 1):
                ck = (k + 1) >> 1
                if i & 1:
                    coarse[1, ci, cj, ck] += 0.5 * bands[1, i, j, k]
                if j & 1:
                    coarse[2, ci, cj, ck] += 0.5 * bands[2, i, j, k]
                if k & 1:
                    coarse[3, ci, cj, ck] += 0.5 * bands[3, i, j, k]
                coarse_sinks[0, ci, cj, ck] += sinks[0, i, j, k]
                coarse_sinks[1, ci, cj, ck] += 0.5 * sinks[1, i, j, k]


@compiled
def complete(bands: FloatArray, sinks: FloatArray) -> None:
    """Write the diagonal and its inverse from faces and sinks."""
    for i in range(1, bands.shape[1] - 1):
        for j in range(1, bands.shape[2] - 1):
            for k in range(1, bands.shape[3] - 1):
                total = (
                    bands[1, i, j, k]
                    + bands[1, i + 1, j, k]
                    + bands[2, i, j, k]
                    + bands[2, i, j + 1, k]
                    + bands[3, i, j, k]
                    + bands[3, i, j, k + 1]
                    + sinks[0, i, j, k]
                    + sinks[1, i, j, k]
                )
                bands[0, i, j, k] = total
                bands[4, i, j, k] = 1.0 / total if total > 0.0 else 0.0


@compiled
def fill_faces(k: FloatArray, bands: FloatArray, spacing: FloatArray) -> None:
    """Write faces as harmonic means of a padded conductivity whose ghosts are 0."""
    area = np.array([spacing[1] * spacing[2], spacing[0] * spacing[2], spacing[0] * spacing[1]])
    for i in range(1, k.shape[0] - 1):
        for j in range(1, k.shape[1] - 1):
            for m in range(1, k.shape[2] - 1):
                here = k[i, j, m]
                if here == 0.0:
                    continue
                before = k[i - 1, j, m]
                bands[1, i, j, m] = 2.0 * here * before / (here + before) * area[0] / spacing[0]
                before = k[i, j - 1, m]
                bands[2, i, j, m] = 2.0 * here * before / (here + before) * area[1] / spacing[1]
                before = k[i, j, m - 1]
                bands[3, i, j, m] = 2.0 * here * before / (here + before) * area[2] / spacing[2]
