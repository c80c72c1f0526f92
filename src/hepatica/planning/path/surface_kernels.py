"""Compiled loops on the smoothed surface of a voxel set: its gradient at a point, in closed form for voxel boxes."""

from __future__ import annotations

import math
from typing import Final

import numpy as np
from numpy.typing import NDArray

from hepatica.core.geometry import FloatArray
from hepatica.planning.path.kernels import LIVER_FLAG, compiled

SIGMAS: Final = 4.0
"""A Gaussian is cut off here; what is left out is below 1e-4 of its mass."""
SMALLEST_GRADIENT: Final = 1e-6
"""Per millimetre; far below the 0.08 of a flat surface at sigma 5 mm: no surface near the point."""


@compiled
def box_weights(u: float, sigma: float, spacing: float, count: int) -> tuple[int, FloatArray, FloatArray]:
    """First voxel, integrals of a Gaussian over voxels along one axis, and their derivatives.

    What falls beyond the grid is added to its last voxel: the image is taken to go on as it ends.
    """
    first = max(0, math.floor((u - SIGMAS * sigma) / spacing))
    last = min(count - 1, math.floor((u + SIGMAS * sigma) / spacing))
    weights, slopes = np.empty(last - first + 1), np.empty(last - first + 1)
    for n in range(first, last + 1):
        a, b = (n * spacing - u) / sigma, ((n + 1) * spacing - u) / sigma
        # Cut at the same distance on both sides, wherever voxel boundaries fall.
        a = -SIGMAS if n == 0 else min(max(a, -SIGMAS), SIGMAS)
        b = SIGMAS if n == count - 1 else min(max(b, -SIGMAS), SIGMAS)
        weights[n - first] = 0.5 * (math.erf(b / math.sqrt(2.0)) - math.erf(a / math.sqrt(2.0)))
        slopes[n - first] = (math.exp(-0.5 * a * a) - math.exp(-0.5 * b * b)) / (
            sigma * math.sqrt(2.0 * math.pi)
        )
    return first, weights, slopes


@compiled
def smooth_gradient(
    u: FloatArray,
    tissue: NDArray[np.uint8],
    flag: np.uint8,
    spacing: FloatArray,
    sigma: float,
    out: FloatArray,
) -> None:
    """Gradient, per millimetre, of the voxel set with ``flag`` convolved with a Gaussian, at one point."""
    i0, wx, sx = box_weights(u[0], sigma, spacing[0], tissue.shape[0])
    j0, wy, sy = box_weights(u[1], sigma, spacing[1], tissue.shape[1])
    k0, wz, sz = box_weights(u[2], sigma, spacing[2], tissue.shape[2])
    # Column sums first: the inner loop has no carried sum, so it works on several voxels at a time.
    across, up, down = np.zeros(wx.shape[0]), np.zeros(wx.shape[0]), np.zeros(wx.shape[0])
    for k in range(wz.shape[0]):
        for j in range(wy.shape[0]):
            row = tissue[i0 : i0 + wx.shape[0], j0 + j, k0 + k]
            a, b, c = wy[j] * wz[k], sy[j] * wz[k], wy[j] * sz[k]
            for i in range(row.shape[0]):
                inside = np.float64(row[i] & flag)
                across[i] += a * inside
                up[i] += b * inside
                down[i] += c * inside
    out[:] = 0.0
    for i in range(wx.shape[0]):
        out[0] += sx[i] * across[i] / flag
        out[1] += wx[i] * up[i] / flag
        out[2] += wx[i] * down[i] / flag


@compiled
def smooth_gradients(
    points: FloatArray,
    tissue: NDArray[np.uint8],
    flag: np.uint8,
    spacing: FloatArray,
    sigma: float,
    out: FloatArray,
) -> None:
    """Fill (n, 3) gradients at (n, 3) points."""
    for n in range(points.shape[0]):
        smooth_gradient(points[n], tissue, flag, spacing, sigma, out[n])


@compiled
def measure_capsule_sines(
    starts_mm: FloatArray,
    ends_mm: FloatArray,
    tissue: NDArray[np.uint8],
    spacing: FloatArray,
    sigma: float,
    metrics: FloatArray,
) -> None:
    """Turn t of the liver entry in ``metrics[:, 1]`` into the sine of the capsule angle."""
    gradient, d, q = np.empty(3), np.empty(3), np.empty(3)
    for n in range(starts_mm.shape[0]):
        entered = metrics[n, 1]
        metrics[n, 1] = -1.0
        if entered < 0.0:
            continue
        for axis in range(3):
            d[axis] = ends_mm[n, axis] - starts_mm[n, axis]
            q[axis] = starts_mm[n, axis] + entered * d[axis]
        length = math.sqrt(d[0] * d[0] + d[1] * d[1] + d[2] * d[2])
        smooth_gradient(q, tissue, LIVER_FLAG, spacing, sigma, gradient)
        norm = math.sqrt(gradient[0] ** 2 + gradient[1] ** 2 + gradient[2] ** 2)
        metrics[n, 1] = -2.0
        if norm > SMALLEST_GRADIENT:
            dot = d[0] * gradient[0] + d[1] * gradient[1] + d[2] * gradient[2]
            metrics[n, 1] = min(1.0, abs(dot) / (norm * length))
