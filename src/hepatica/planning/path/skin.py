"""Where a needle may enter: the body's surface that meets air, with its normals."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from hepatica.core.evidence import EvidenceTable
from hepatica.core.findings import NotEvaluable
from hepatica.core.geometry import BoolArray, FloatArray, Grid
from hepatica.imaging.volume import Volume
from hepatica.planning.path import kernels, obstacle_kernels, surface_kernels
from hepatica.planning.path.threads import split_slabs, spread_over_threads

AIR_PROBES_MM: Final = (3.0, 6.0)
"""How far in front of the skin air is looked for; nearer, skin and air share voxels."""
DIRECTIONS_PART: Final = 64
DIRECTIONS_PARTS: Final = 16
"""Points are dealt to threads in so many parts, of at least so many."""
ORDER_DECIMALS: Final = 6
"""World coordinates are compared at this precision: the order must not depend on how a grid is stored."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Skin:
    """Sampled skin.

    Parameters
    ----------
    points_lps_mm, normals_lps
        (n, 3) points on the surface and unit normals pointing out.
    areas_mm2
        (n,) skin each point stands for.
    on_table
        (n,) whether the point faces the table; all False without gravity.
    table_level_mm
        Largest position of skin along gravity: the table top; None without gravity.
    """

    points_lps_mm: FloatArray
    normals_lps: FloatArray
    areas_mm2: FloatArray
    on_table: BoolArray
    table_level_mm: float | None


def find_outside(inside: BoolArray, *, grid: Grid) -> BoolArray:
    """Return the voxels outside the patient: not inside, and joined to a border of their axial slice.

    Going slice by slice keeps lung, gas and other holes of the mask inside, also where they reach the first
    or last slice.
    """
    axis = int(np.argmax(np.abs(grid.directions[2])))
    source = np.asfortranarray(np.moveaxis(inside, axis, -1))
    result = np.empty(source.shape, dtype=bool, order="F")

    def work(slices: slice) -> None:
        slab = (slice(None), slice(None), slices)
        obstacle_kernels.fill_outside(source[slab], result[slab])

    spread_over_threads(work, split_slabs(source.shape[2]))
    return np.asfortranarray(np.moveaxis(result, -1, axis))


def derive_skin(
    volume: Volume,
    *,
    tissue: NDArray[np.uint8],
    outside: BoolArray,
    gravity_lps: FloatArray | NotEvaluable,
    limits: EvidenceTable,
) -> Skin:
    """Sample the skin: boundary faces between body and outside, thinned to one point in each small cube.

    Faces of the volume are never skin, nor is a surface without air in front of it.

    Parameters
    ----------
    volume
        CT, to look for air.
    tissue
        (I, J, K) with the body flag set.
    outside
        (I, J, K) voxels outside the patient.
    gravity_lps
        (3,) unit vector, or why unknown.
    limits
        ``skin_spacing``, ``skin_air_min``, ``skin_air_max``, ``entry_facing_down_max``, ``capsule_sigma``.
    """
    grid = volume.grid
    anchor = grid.bounds_lps_mm.mean(axis=0)
    faces, axes = _find_faces(outside)
    points = grid.to_lps_mm(faces)
    chosen, group = _thin(points, anchor=anchor, edge_mm=limits["skin_spacing"].number)
    points = points[chosen]
    # The surface is smooth on the scale of sigma: neighbours share a normal.
    some, cube = _thin(points, anchor=anchor, edge_mm=limits["capsule_sigma"].number)
    normals = -derive_directions(
        points[some],
        grid=grid,
        tissue=tissue,
        flag=kernels.BODY_FLAG,
        sigma_mm=limits["capsule_sigma"].number,
    )[cube]
    areas = _add_areas(normals, axes=axes, group=group, grid=grid)
    kept = _meets_air(points, normals, volume=volume, outside=outside, limits=limits)
    kept &= np.isfinite(normals).all(axis=1)
    points, normals, areas = points[kept], normals[kept], areas[kept]
    if isinstance(gravity_lps, NotEvaluable) or len(points) == 0:
        return Skin(
            points_lps_mm=points,
            normals_lps=normals,
            areas_mm2=areas,
            on_table=np.zeros(len(points), dtype=bool),
            table_level_mm=None,
        )
    steepest = math.sin(math.radians(limits["entry_facing_down_max"].number))
    return Skin(
        points_lps_mm=points,
        normals_lps=normals,
        areas_mm2=areas,
        on_table=np.asarray(normals @ gravity_lps > steepest),
        table_level_mm=float((points @ gravity_lps).max()),
    )


def derive_directions(
    points_lps_mm: FloatArray, *, grid: Grid, tissue: NDArray[np.uint8], flag: np.uint8, sigma_mm: float
) -> FloatArray:
    """Return (n, 3) unit LPS directions toward the inside of a flagged set, from its smoothed surface.

    NaN where no surface is near. Sigma is in millimetres along every axis, whatever the voxel shape.
    """
    gradients = np.empty((len(points_lps_mm), 3))
    local = (grid.to_index(points_lps_mm) + 0.5) * grid.spacing_mm

    def work(part: slice) -> None:
        surface_kernels.smooth_gradients(
            local[part], tissue, flag, grid.spacing_mm, sigma_mm, gradients[part]
        )

    step = max(DIRECTIONS_PART, -(-len(local) // DIRECTIONS_PARTS))
    spread_over_threads(work, [slice(a, a + step) for a in range(0, len(local), step)])
    norm = np.linalg.norm(gradients, axis=1, keepdims=True)
    unit = np.where(norm > surface_kernels.SMALLEST_GRADIENT, gradients / np.maximum(norm, 1e-300), np.nan)
    return np.asarray(unit @ grid.directions.T)


def _find_faces(outside: BoolArray) -> tuple[FloatArray, NDArray[np.int64]]:
    """Return (n, 3) fractional indices of face centres between inside and outside, and each face's axis."""
    counts = np.zeros(3, np.int64)
    obstacle_kernels.list_faces(outside, counts, np.zeros((0, 3), np.int16), False)  # noqa: FBT003
    found, ends = np.empty((int(counts.sum()), 3), np.int16), np.cumsum(counts) - counts
    obstacle_kernels.list_faces(outside, ends, found, True)  # noqa: FBT003
    centres, axes = found.astype(np.float64), np.repeat(np.arange(3), counts)
    centres[np.arange(len(axes)), axes] += 0.5
    return centres, axes


def _thin(
    points: FloatArray, *, anchor: FloatArray, edge_mm: float
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Choose in each cube of the world the point nearest to its centre; returns choices and cubes."""
    group, away = group_by_cube(points, anchor=anchor, edge_mm=edge_mm)
    nearest = np.full(int(group.max(initial=-1)) + 1, np.inf)
    np.minimum.at(nearest, group, away)
    chosen = np.flatnonzero(away == nearest[group])
    rounded = np.round(points[chosen], ORDER_DECIMALS)
    order = chosen[np.lexsort((rounded[:, 2], rounded[:, 1], rounded[:, 0], group[chosen]))]
    first = np.ones(len(order), dtype=bool)
    first[1:] = group[order][1:] != group[order][:-1]
    return order[first], group


def group_by_cube(
    points: FloatArray, *, anchor: FloatArray, edge_mm: float
) -> tuple[NDArray[np.int64], FloatArray]:
    """Return the number of the world's cube each of (n, 3) points lies in, and how far it is from its centre,
    in edges. Cubes that hold points are numbered from 0."""
    relative = np.round(points - anchor, ORDER_DECIMALS) / edge_mm
    cubes = np.floor(relative + 1e-9)
    away = np.round(np.linalg.norm(relative - cubes - 0.5, axis=1), ORDER_DECIMALS)
    cubes -= cubes.min(axis=0, initial=0)
    size = cubes.max(axis=0, initial=0) + 1
    key = ((cubes[:, 0] * size[1] + cubes[:, 1]) * size[2] + cubes[:, 2]).astype(np.int64)
    _, group = np.unique(key, return_inverse=True)
    return group.reshape(-1), away


def thin_skin(skin: Skin, *, edge_mm: float, anchor: FloatArray) -> Skin:
    """Return one point for each cube of the world, which stands for the area of all points in it.

    Skin that faces the table stays apart from skin that does not.
    """
    keep, areas, on_table = [], [], []
    for facing_down in (False, True):
        part = np.flatnonzero(skin.on_table == facing_down)
        chosen, group = _thin(skin.points_lps_mm[part], anchor=anchor, edge_mm=edge_mm)
        keep.append(part[chosen])
        areas.append(np.bincount(group, weights=skin.areas_mm2[part], minlength=len(chosen)))
        on_table.append(np.full(len(chosen), facing_down))
    index = np.concatenate(keep)
    return Skin(
        points_lps_mm=skin.points_lps_mm[index],
        normals_lps=skin.normals_lps[index],
        areas_mm2=np.concatenate(areas),
        on_table=np.concatenate(on_table),
        table_level_mm=skin.table_level_mm,
    )


def _add_areas(
    normals: FloatArray, *, axes: NDArray[np.int64], group: NDArray[np.int64], grid: Grid
) -> FloatArray:
    """Sum face areas per cube, each times its cosine to the normal (stairs are longer than slopes)."""
    local = np.abs(np.nan_to_num(normals) @ grid.directions)
    total = np.zeros(len(normals))
    for axis in range(3):
        face = float(np.prod(grid.spacing_mm) / grid.spacing_mm[axis])
        total += np.bincount(group[axes == axis], minlength=len(normals)) * face * local[:, axis]
    return total


def _meets_air(
    points: FloatArray, normals: FloatArray, *, volume: Volume, outside: BoolArray, limits: EvidenceTable
) -> BoolArray:
    """Whether the places in front of each point lie in the volume, outside the patient, and in air."""
    grid = volume.grid
    good = np.ones(len(points), dtype=bool)
    for reach in AIR_PROBES_MM:
        index = np.round(grid.to_index(points + reach * np.nan_to_num(normals))).astype(int)
        within: BoolArray = np.asarray(np.all((index >= 0) & (index < grid.shape), axis=1))
        i, j, k = np.where(within[:, None], index, 0).T
        hu = volume.values[i, j, k]
        air = (hu <= limits["skin_air_max"].number) & (hu >= limits["skin_air_min"].number)
        good &= within & np.asarray(outside[i, j, k]) & air
    return good
