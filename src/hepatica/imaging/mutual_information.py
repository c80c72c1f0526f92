"""Mutual information between two arrays, and the rigid or affine map that makes it largest."""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from hepatica.core.geometry import BoolArray, FloatArray, Grid
from hepatica.core.progress import Progress

BINS: Final = 32
COARSE_STEP_MM: Final = 4.0


class MutualInformation:
    """SimpleITK's mutual information between two arrays, set up once; one thread, every voxel, no chance.

    Parameters
    ----------
    still, inside
        Fixed image on ``grid`` and where it counts.
    other
        Moving image on ``wide``, which covers every shift looked at.
    """

    def __init__(
        self, still: FloatArray, inside: BoolArray, other: FloatArray, *, grid: Grid, wide: Grid
    ) -> None:
        import SimpleITK as sitk

        self._sitk: Any = sitk
        self._fixed = to_image(still.astype(np.float32), grid=grid)
        self._moving = to_image(other.astype(np.float32), grid=wide)
        self._inside = to_image(inside.astype(np.uint8), grid=grid)
        self._centre = grid.to_lps_mm(np.argwhere(inside).mean(axis=0))

    def _prepare(self) -> Any:
        method = self._sitk.ImageRegistrationMethod()
        method.SetNumberOfThreads(1)
        method.SetMetricAsMattesMutualInformation(numberOfHistogramBins=BINS)
        method.SetMetricSamplingStrategy(method.NONE)
        method.SetMetricFixedMask(self._inside)
        method.SetInterpolator(self._sitk.sitkLinear)
        # Differences at the points needed, not a gradient image of everything at every evaluation.
        filtered = False
        method.SetMetricUseFixedImageGradientFilter(filtered)
        method.SetMetricUseMovingImageGradientFilter(filtered)
        return method

    def search(self, reach_mm: float, *, progress: Progress) -> FloatArray:
        """Return the best shift along z, then y, x and z again: breathing moves the liver along z most."""
        method = self._prepare()
        steps = int(reach_mm // COARSE_STEP_MM)
        best, at = np.inf, np.zeros(3)
        for number, axis in enumerate((2, 1, 0, 2)):
            line = at.copy()
            for step in range(-steps, steps + 1):
                line[axis] = step * COARSE_STEP_MM
                value = self._evaluate(method, line)
                if value < best:
                    best, at = value, line.copy()
            progress.check_cancelled()
            progress.advance(0.1 * (number + 1))
        return at

    def _to_transform(self, shift_mm: FloatArray) -> Any:
        transform = self._sitk.Euler3DTransform()
        transform.SetCenter(self._centre.tolist())
        transform.SetTranslation([float(v) for v in shift_mm])
        return transform

    def _evaluate(self, method: Any, shift_mm: FloatArray) -> float:
        method.SetInitialTransform(self._to_transform(shift_mm), inPlace=False)
        try:
            return float(method.MetricEvaluate(self._fixed, self._moving))
        except RuntimeError:
            return float(np.inf)  # shifted out of the image

    def fit_rigid(self, start_mm: FloatArray) -> tuple[FloatArray, float, bool]:
        """Return the optimised map, its mutual information and whether the optimiser converged."""
        return self._fit(self._to_transform(start_mm))

    def fit_affine(self, start: FloatArray) -> tuple[FloatArray, float, bool]:
        """Return the optimised affine map, from a (4, 4) moving-from-fixed start."""
        transform = self._sitk.AffineTransform(3)
        transform.SetCenter(self._centre.tolist())
        transform.SetMatrix(np.asarray(start[:3, :3], dtype=float).ravel().tolist())
        shift = start[:3, 3] + start[:3, :3] @ self._centre - self._centre
        transform.SetTranslation(shift.tolist())
        return self._fit(transform)

    def _fit(self, result: Any) -> tuple[FloatArray, float, bool]:
        method = self._prepare()
        method.SetOptimizerAsRegularStepGradientDescent(
            learningRate=1.0, minStep=0.01, numberOfIterations=120, relaxationFactor=0.6,
            gradientMagnitudeTolerance=1e-6,
        )  # fmt: skip
        method.SetOptimizerScalesFromPhysicalShift()
        method.SetInitialTransform(result, inPlace=True)
        method.Execute(self._fixed, self._moving)
        ended = "maximum number of iterations" not in method.GetOptimizerStopConditionDescription().lower()
        turn = np.array(result.GetMatrix()).reshape(3, 3)
        centre = np.array(result.GetCenter())
        matrix = np.eye(4)
        matrix[:3, :3] = turn
        matrix[:3, 3] = np.array(result.GetTranslation()) + centre - turn @ centre
        return matrix, -float(method.GetMetricValue()), ended


def to_image(values: Any, *, grid: Grid) -> Any:
    """Return an (I, J, K) array as an image placed in the world."""
    import SimpleITK as sitk

    image: Any = sitk.GetImageFromArray(np.ascontiguousarray(values.T))
    image.SetSpacing(grid.spacing_mm.tolist())
    image.SetDirection(grid.directions.ravel().tolist())
    image.SetOrigin(grid.origin_lps_mm.tolist())
    return image
