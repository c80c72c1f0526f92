"""Rigid registration: two images of one region by mutual information, two masks by their surfaces.

Everything is deterministic: all voxels of the region are used (no random sampling), on one thread.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy import ndimage

from hepatica.core.errors import GeometryError
from hepatica.core.findings import NotEvaluable
from hepatica.core.geometry import BoolArray, FloatArray, Grid
from hepatica.core.progress import SILENT, Progress
from hepatica.imaging.block_matching import measure_block_residual
from hepatica.imaging.mask import Mask
from hepatica.imaging.mutual_information import MutualInformation
from hepatica.imaging.surface_fit import find_surface, fit_surfaces
from hepatica.imaging.volume import Volume

WORKING_MM: Final = 2.0
"""Voxel edge of the images compared: finer than the slices of most scans, coarse enough to be quick."""
CT_WINDOW_HU: Final = (-100.0, 250.0)
"""What lies between fat and contrast tells; air, bone and metal would rule the histogram."""
SURROUND_MM: Final = 6.0
"""How far beyond the region its surroundings count: its own surface is the strongest edge there is."""
WITHOUT_RIM_MM: Final = 3.0
"""Left out around parts that do not count: drawn edges are off by about a voxel."""
FEWEST_VOXELS: Final = 500
"""Mutual information of fewer voxels (4 ml at 2 mm) is noise."""
_HALF: Final = (slice(None, None, 2),) * 3
LARGEST_TURN_DEG: Final = 15.0
"""A breathing liver turns by a few degrees; beyond this the optimum is taken for a false one."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RigidRegistration:
    """A rotation and shift between two scans.

    Parameters
    ----------
    moving_from_fixed
        (4, 4) map of LPS points of the fixed scan to LPS points of the moving scan.
    metric
        What was optimised, at its end: mutual information in nats (larger is better) or root mean square
        surface distance in mm (smaller is better).
    residual_mm
        Misalignment left after registration, measured apart from the metric, or why it cannot be.
    converged
        Whether the optimiser ended by its own criterion, inside the permitted range.
    """

    moving_from_fixed: FloatArray
    metric: float
    residual_mm: float | NotEvaluable
    converged: bool

    def __post_init__(self) -> None:
        """Validate and freeze."""
        matrix = np.array(self.moving_from_fixed, dtype=np.float64)
        if matrix.shape != (4, 4) or np.abs(matrix[:3, :3].T @ matrix[:3, :3] - np.eye(3)).max() > 1e-6:
            raise GeometryError(expected="a 4 x 4 rigid map", given=f"{matrix.round(4).tolist()}")
        matrix.setflags(write=False)
        object.__setattr__(self, "moving_from_fixed", matrix)


def register_rigid_locally(
    fixed: Volume,
    moving: Volume,
    *,
    region: Mask,
    search_mm: float = 20.0,
    without: Sequence[Mask] = (),
    progress: Progress = SILENT,
) -> RigidRegistration:
    """Register two scans rigidly within one region by mutual information.

    Breathing moves the liver against spine and ribs, so only the region and a rim of 6 mm around it are
    compared: resampled to 2 mm cubes, first over a lattice of shifts (4 mm apart, within ``search_mm``),
    then by gradient descent over shift and rotation. What rigid motion cannot explain is measured
    afterwards by matching blocks of edges (`measure_block_residual`).

    Parameters
    ----------
    fixed
        The planning scan.
    moving
        The other phase. Its grid may differ; both are placed by their own affines.
    region
        Where to register, on the fixed grid: liver around the lesion.
    search_mm
        Largest shift considered along each axis.
    without
        Parts that do not count, as they lie in the fixed frame: tumours that may have grown or shrunk.
    progress
        What to report to.

    Raises
    ------
    GeometryError
        If the scans do not overlap in the region, or the region is too small to be compared.
    FrameMismatchError
        If both scans name a frame of reference and the frames differ.
    """
    fixed.grid.require_same_frame(moving.grid, where="moving image")
    progress.stage("Register the phases")
    grid = make_working_grid(region, margin_mm=SURROUND_MM + 2 * WORKING_MM)
    window = CT_WINDOW_HU if fixed.modality == moving.modality == "CT" else None
    still = resample_to(fixed, grid=grid, window=window)
    wide = make_working_grid(region, margin_mm=SURROUND_MM + search_mm + 4 * WORKING_MM)
    other = resample_to(moving, grid=wide, window=window)
    near = rasterise(region, grid=grid)
    for part in without:
        near &= ~rasterise(part, grid=grid, rim_mm=WITHOUT_RIM_MM)
    seen = find_seen(moving, grid=grid) & find_seen(fixed, grid=grid)
    if np.count_nonzero(near & seen) < FEWEST_VOXELS:
        raise GeometryError(
            expected=f"at least {FEWEST_VOXELS} common voxels of {WORKING_MM:g} mm in the region",
            given=f"{np.count_nonzero(near & seen)}",
            where="registration of two phases",
            action="check that both scans cover the liver",
        )
    coarse = MutualInformation(
        still[_HALF], (near & seen)[_HALF], other[_HALF], grid=halve(grid), wide=halve(wide)
    )
    start = coarse.search(search_mm, progress=progress)
    progress.check_cancelled()
    matrix, metric, ended = MutualInformation(still, near & seen, other, grid=grid, wide=wide).fit_rigid(
        start
    )
    turn_deg = np.degrees(np.arccos(np.clip((np.trace(matrix[:3, :3]) - 1) / 2, -1, 1)))
    centre = region.centroid_lps_mm
    shift_mm = matrix[:3, :3] @ centre + matrix[:3, 3] - centre
    progress.advance(0.8)
    aligned = resample_to(moving, grid=grid, window=window, moving_from_fixed=matrix)
    residual = measure_block_residual(still, aligned, inside=near & seen, spacing_mm=WORKING_MM)
    return RigidRegistration(
        moving_from_fixed=matrix,
        metric=metric,
        residual_mm=residual,
        converged=bool(ended and turn_deg <= LARGEST_TURN_DEG and np.abs(shift_mm).max() <= search_mm + 2.0),
    )


def resample_to(
    volume: Volume,
    *,
    grid: Grid,
    window: tuple[float, float] | None = None,
    moving_from_fixed: FloatArray | None = None,
) -> FloatArray:
    """Return a volume's values at the voxels of another grid: low-passed to its voxel size, then linear.

    Parameters
    ----------
    volume
        What to sample. Beyond its faces the nearest value is taken.
    grid
        Where to sample.
    window
        Lowest and highest value, clamped before filtering; None leaves values alone.
    moving_from_fixed
        (4, 4) map from LPS of ``grid`` to LPS of ``volume``; identity where None.
    """
    move = np.eye(4) if moving_from_fixed is None else moving_from_fixed
    index_map = volume.grid.ijk_from_lps @ move @ grid.lps_from_ijk
    corners = np.array(np.meshgrid(*[(0, n - 1) for n in grid.shape])).reshape(3, -1).T
    reach = corners @ index_map[:3, :3].T + index_map[:3, 3]
    pad = np.ceil(3 * grid.spacing_mm.max() / volume.grid.spacing_mm).astype(int) + 1
    top = np.array(volume.grid.shape)
    low = np.clip(np.floor(reach.min(axis=0)).astype(int) - pad, 0, top - 1)
    high = np.clip(np.ceil(reach.max(axis=0)).astype(int) + pad + 1, low + 1, top)
    part = volume.values[low[0] : high[0], low[1] : high[1], low[2] : high[2]].astype(np.float32)
    if window is not None:
        part = np.clip(part, *window)
    # Half the target spacing as sigma keeps what the coarse grid can carry; finer axes only need it.
    sigma_mm = np.sqrt(np.maximum((grid.spacing_mm.min() / 2) ** 2 - (volume.grid.spacing_mm / 2) ** 2, 0.0))
    part = ndimage.gaussian_filter(part, sigma_mm / volume.grid.spacing_mm, truncate=3.0)
    return np.asarray(
        ndimage.affine_transform(
            part,
            index_map[:3, :3],
            offset=index_map[:3, 3] - low,
            output_shape=grid.shape,
            order=1,
            mode="nearest",
        ),
        dtype=np.float64,
    )


def make_working_grid(region: Mask, *, margin_mm: float, edge_mm: float = WORKING_MM) -> Grid:
    """Return a grid of cubes (2 mm) along the region's axes that covers its box and a margin."""
    grid = region.grid
    low = np.array(region.start_ijk) - 0.5 - margin_mm / grid.spacing_mm
    high = np.add(region.start_ijk, region.crop.shape) - 0.5 + margin_mm / grid.spacing_mm
    count = np.ceil((high - low) * grid.spacing_mm / edge_mm).astype(int)
    first = grid.to_lps_mm(low) + grid.directions @ np.full(3, edge_mm / 2)
    return Grid.from_axes(
        shape=(int(count[0]), int(count[1]), int(count[2])),
        spacing_mm=(edge_mm,) * 3,
        origin_lps_mm=first,
        directions=grid.directions,
        frame_of_reference=grid.frame_of_reference,
    )


def halve(grid: Grid) -> Grid:
    """Return the grid of every second voxel."""
    a, b, c = ((n + 1) // 2 for n in grid.shape)
    return Grid.from_axes(
        shape=(a, b, c),
        spacing_mm=2 * grid.spacing_mm,
        origin_lps_mm=grid.origin_lps_mm,
        directions=grid.directions,
    )


def rasterise(region: Mask, *, grid: Grid, rim_mm: float = SURROUND_MM) -> BoolArray:
    """Return the region and a rim around it (6 mm) on another grid."""
    index = np.indices(grid.shape).reshape(3, -1).T
    at = region.grid.to_index(grid.to_lps_mm(index)) - np.array(region.start_ijk)
    inside = ndimage.map_coordinates(region.crop.astype(np.float32), at.T, order=0, mode="constant")
    depth = ndimage.distance_transform_edt(inside.reshape(grid.shape) < 0.5, sampling=grid.spacing_mm)
    return np.asarray(depth <= rim_mm)


def find_seen(volume: Volume, *, grid: Grid) -> BoolArray:
    """Return which voxels of the working grid lie within a volume's faces."""
    index = np.indices(grid.shape).reshape(3, -1).T
    at = volume.grid.to_index(grid.to_lps_mm(index))
    inside = ((at >= -0.5) & (at <= np.array(volume.grid.shape) - 0.5)).all(axis=1)
    return inside.reshape(grid.shape)


def register_masks_rigidly(fixed: Mask, moving: Mask) -> RigidRegistration:
    """Align two masks of one organ, for example the liver today and at an earlier visit, by their surfaces.

    Both surfaces are fitted to each other by least squares from aligned centroids; distances beyond 3 mm
    count less, and where the scan cuts the organ off there is no surface. Grids and frames may differ. A
    surface says little about rotation around an axis of symmetry.

    Parameters
    ----------
    fixed
        Today's mask.
    moving
        The earlier mask.

    Returns
    -------
    RigidRegistration
        ``metric`` is the root mean square, ``residual_mm`` the 75th percentile of the distances left
        between the surfaces, both ways.

    Examples
    --------
    >>> shape, spacing_mm = (40, 40, 40), (1.0, 1.0, 1.0)
    >>> today = Grid.from_axes(shape=shape, spacing_mm=spacing_mm, origin_lps_mm=(0, 0, 0))
    >>> then = Grid.from_axes(shape=shape, spacing_mm=spacing_mm, origin_lps_mm=(9, 0, 0))
    >>> block = np.zeros(shape, bool); block[8:32, 10:30, 12:28] = True
    >>> registration = register_masks_rigidly(
    ...     Mask.from_full(block, grid=today), Mask.from_full(block, grid=then)
    ... )
    >>> present_from_prior_lps = np.linalg.inv(registration.moving_from_fixed)
    >>> bool(np.abs(present_from_prior_lps[:3, 3] - [-9, 0, 0]).max() < 0.5)
    True
    """
    shift = moving.centroid_lps_mm - fixed.centroid_lps_mm
    matrix, left_mm, converged = fit_surfaces(find_surface(fixed), find_surface(moving), start=shift)
    return RigidRegistration(
        moving_from_fixed=matrix,
        metric=float(np.sqrt(np.mean(left_mm**2))),
        residual_mm=float(np.percentile(left_mm, 75.0)),
        converged=converged,
    )
