"""The path planner at clinical size, beside the methods others use: wall, CPU seconds, memory, ratios.

Every peer is optional and imported here alone. Each ratio compares runs of the same process; threads are equal
(one) where two programs are compared.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from unittest import mock

import numpy as np

from benchmarks.commands import Row
from hepatica.planning.path.fields import CELL_MM, classify_paths, derive_squared_distance
from hepatica.planning.path.scene import Scene
from hepatica.workflows.bench_paths import BenchRow, Reading, bench_paths, choose_checked_paths
from hepatica.workflows.bench_torso import make_torso

REPEATS = 3
PEER_PATHS = 100
"""Paths walked by the per-point loops, which are slow."""
WINDOW_MM = 20.0
POINT_STEP_MM = 1.0
COMPILE = """
import time, numpy as np
started = time.perf_counter()
from hepatica.anatomy.structures import *
from hepatica.core.geometry import Grid
from hepatica.imaging.mask import Mask
from hepatica.imaging.volume import Volume
from hepatica.planning.path.needle_choice import choose_needle
from hepatica.planning.path.scene import build_scene, read_path_limits
from hepatica.planning.path.search import plan_lesion_path
grid = Grid.from_axes(shape=(70, 70, 40), spacing_mm=(2, 2, 3), origin_lps_mm=(-69, -69, -58.5))
x, y, z = (axis * s + o for axis, s, o in zip(np.indices(grid.shape), grid.spacing_mm, grid.origin_lps_mm))
body, liver, lesion = np.hypot(x, y) < 60, np.hypot(x, y) < 50, np.sqrt(x*x + y*y + z*z) < 10
lung = body & ~liver & (z > 30)
masks = {StructureKind.BODY: body, StructureKind.LIVER: liver, StructureKind.LUNG: lung, StructureKind.AORTA: lung}
anatomy = Anatomy(grid=grid, bits=np.zeros(grid.shape, np.uint32, order="F")).with_structures(
    (StructureSource(kind=k, origin=Origin.LABELLED, names=(k.value,), source="x"), Mask.from_full(m, grid=grid))
    for k, m in masks.items())
volume = Volume(values=np.asfortranarray(np.where(body, 40, -1000).astype(np.int16)), grid=grid)
mask, limits = Mask.from_full(lesion, grid=grid), read_path_limits()
scene = build_scene(volume, anatomy, lesions={"L1": (mask, mask)}, gravity_lps=np.array([0.0, 1.0, 0.0]),
                    limits=limits, needle=choose_needle(limits=limits))
assert plan_lesion_path(scene, lesion_id="L1", volume_ml=1.0).best is not None
print(time.perf_counter() - started)
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """Best wall time of several runs, the CPU seconds of that run, and what the last run returned."""

    wall_s: float
    cpu_s: float
    result: object


def clock(work: Callable[[], object], *, repeats: int = REPEATS) -> Timing:
    """Run work several times and keep the quickest."""
    best: Timing | None = None
    for _ in range(repeats):
        wall, cpu = time.perf_counter(), time.process_time()
        result = work()
        taken = Timing(wall_s=time.perf_counter() - wall, cpu_s=time.process_time() - cpu, result=result)
        best = taken if best is None or taken.wall_s < best.wall_s else best
    assert best is not None
    return best


def measure_paths() -> Iterator[Row | BenchRow]:
    """Yield all rows; the peers that are not installed are left out."""
    yield from bench_paths(stopwatch=read_clocks)
    torso = make_torso()
    scene = torso.to_scene()
    yield from measure_peers(scene, *choose_checked_paths(torso, scene))
    yield from measure_fields(scene)
    yield from measure_compile()


def read_clocks() -> Reading:
    """Wall and CPU seconds, and the largest memory so far."""
    return Reading(wall_s=time.perf_counter(), cpu_s=time.process_time(), peak_mib=peak_mib())


def measure_peers(scene: Scene, starts: np.ndarray, ends: np.ndarray) -> Iterator[Row]:
    """Yield what others do for each path, beside the own check of a path on one thread."""
    with mock.patch("os.cpu_count", return_value=1):
        own = clock(lambda: classify_paths(scene.slack, starts, ends))
    yield to_row(f"{len(starts):,} path checks, margins included, one thread", own, bar="")
    for peer, walk in list_point_loops(scene).items():
        walk(starts[:2], ends[:2])
        loop = clock(lambda walk=walk: walk(starts[:PEER_PATHS], ends[:PEER_PATHS]), repeats=1)
        ratio = (loop.cpu_s / PEER_PATHS) / (own.cpu_s / len(starts))
        yield to_row(
            f"{PEER_PATHS} paths by {peer}", loop, bar=f"own is {ratio:,.0f}x quicker a path (CPU); bar 1000x"
        )


def list_point_loops(scene: Scene) -> dict[str, Callable[[np.ndarray, np.ndarray], int]]:
    """Return the per-point methods others use: no margins, a look-up each millimetre."""
    occupied = np.zeros(scene.grid.shape, np.uint8, order="F")
    occupied[tuple(scene.obstacles.voxels.T)] = 1
    spacing = scene.grid.spacing_mm

    def walk_numpy(starts: np.ndarray, ends: np.ndarray) -> int:
        hits = 0
        for start, end in zip(starts, ends, strict=True):
            count = int(np.linalg.norm(end - start) / POINT_STEP_MM)
            for n in range(count):
                i, j, k = ((start + (end - start) * (n / count)) / spacing).astype(int)
                if occupied[min(i, 511), min(j, 511), min(k, 199)]:
                    hits += 1
                    break
        return hits

    loops = {"a Python loop over points": walk_numpy}
    if find_spec("SimpleITK"):
        import SimpleITK

        image = SimpleITK.GetImageFromArray(np.ascontiguousarray(occupied.T))
        image.SetSpacing([float(s) for s in spacing])

        def walk_itk(starts: np.ndarray, ends: np.ndarray) -> int:
            hits = 0
            for start, end in zip(starts, ends, strict=True):
                count = int(np.linalg.norm(end - start) / POINT_STEP_MM)
                for n in range(count):
                    point = start + (end - start) * (n / count)
                    index = image.TransformPhysicalPointToIndex([float(x) for x in point])
                    inside = all(0 <= i < size for i, size in zip(index, image.GetSize(), strict=True))
                    if inside and image.GetPixel(index):
                        hits += 1
                        break
            return hits

        loops["an ITK look-up at each point"] = walk_itk
    if find_spec("vtkmodules"):
        loops.update(list_ray_tests(occupied, spacing))
    return loops


def list_ray_tests(occupied: np.ndarray, spacing: np.ndarray) -> dict[str, Callable]:
    """Return ray tests against a triangle mesh of the obstacles, as planners on VTK do; no margins."""
    from vtkmodules.util.numpy_support import numpy_to_vtk
    from vtkmodules.vtkCommonCore import vtkIdList, vtkPoints
    from vtkmodules.vtkCommonDataModel import vtkImageData
    from vtkmodules.vtkFiltersCore import vtkFlyingEdges3D
    from vtkmodules.vtkFiltersFlowPaths import vtkModifiedBSPTree
    from vtkmodules.vtkFiltersGeneral import vtkOBBTree

    coarse = np.asfortranarray(occupied[::2, ::2, ::2])
    image = vtkImageData()
    image.SetDimensions(*coarse.shape)
    image.SetSpacing(*(2.0 * float(s) for s in spacing))
    image.GetPointData().SetScalars(numpy_to_vtk(coarse.ravel(order="F"), deep=True))
    surface = vtkFlyingEdges3D()
    surface.SetInputData(image)
    surface.SetValue(0, 0.5)
    surface.ComputeNormalsOff()
    surface.Update()
    mesh = surface.GetOutput()
    tests = {}
    for name, tree in (("OBB tree", vtkOBBTree()), ("modified BSP tree", vtkModifiedBSPTree())):
        tree.SetDataSet(mesh)
        tree.BuildLocator()

        def walk(starts: np.ndarray, ends: np.ndarray, tree: object = tree) -> int:
            points, cells = vtkPoints(), vtkIdList()
            return sum(
                int(tree.IntersectWithLine(start.tolist(), end.tolist(), 1e-6, points, cells) != 0)
                if isinstance(tree, vtkModifiedBSPTree)
                else int(tree.IntersectWithLine(start.tolist(), end.tolist(), points, cells) != 0)
                for start, end in zip(starts, ends, strict=True)
            )

        tests[f"VTK's {name}, {mesh.GetNumberOfCells():,} triangles, every crossing"] = walk
    return tests


def measure_fields(scene: Scene) -> Iterator[Row]:
    """Yield distance transforms of one obstacle set on the coarse grid, one thread each."""
    cells, mask = scene.obstacles.cells.some, 0xFFFFFFFF
    window = int(WINDOW_MM / CELL_MM)
    own = clock(lambda: derive_squared_distance(cells, mask=mask, window=window))
    yield to_row(
        f"distance field {cells.shape}, exact to {WINDOW_MM:g} mm, truncated beyond", own, bar="one thread"
    )
    free = np.asfortranarray(cells == 0)
    for peer, work, bar in list_transforms(free):
        taken = clock(work)
        found = np.asarray(taken.result)
        truth = np.round(found**2 if peer != "edt" else found).astype(int)
        inside = truth <= window**2
        same = bool((np.asarray(own.result)[inside] == truth[inside]).all())
        text = (
            f"own is {taken.wall_s / own.wall_s:.1f}x quicker; bar {bar}; full field; equal in window: {same}"
        )
        yield to_row(f"the same by {peer}, one thread", taken, bar=text)


def list_transforms(free: np.ndarray) -> Iterator[tuple[str, Callable[[], np.ndarray], str]]:
    """Yield peers by name: distance in cells to the nearest occupied one (edt: squared)."""
    if find_spec("edt"):
        import edt

        yield "edt", lambda: edt.edtsq(free, order="F", black_border=False, parallel=1), "2.5x"
    if find_spec("SimpleITK"):
        import SimpleITK

        SimpleITK.ProcessObject.SetGlobalDefaultNumberOfThreads(1)
        image = SimpleITK.GetImageFromArray(np.ascontiguousarray((~free).T).astype(np.uint8))

        def maurer() -> np.ndarray:
            found = SimpleITK.SignedMaurerDistanceMap(image, squaredDistance=False, useImageSpacing=False)
            # Inside, the map is negative and counts to the border: occupied cells are at distance 0 here.
            return np.where(free, SimpleITK.GetArrayViewFromImage(found).T, 0.0)

        yield "SimpleITK Maurer", maurer, "10x"
    if find_spec("scipy"):
        from scipy import ndimage

        yield "scipy", lambda: ndimage.distance_transform_edt(free), "none set"


def measure_compile() -> Iterator[Row]:
    """Yield a small plan in a fresh process with an empty and a filled kernel cache."""
    with tempfile.TemporaryDirectory(prefix="hepatica-kernels-") as folder:
        for name in ("first run on a new machine, compiling", "second run, kernels from disk"):
            wall = time.perf_counter()
            env = {**os.environ, "NUMBA_CACHE_DIR": folder}
            with subprocess.Popen(
                [sys.executable, "-c", COMPILE], env=env, stdout=subprocess.DEVNULL
            ) as child:
                _, status, usage = os.wait4(child.pid, 0)
                child.returncode = os.waitstatus_to_exitcode(status)
            yield Row(
                name=f"small plan, {name}" + ("" if child.returncode == 0 else f" (exit {child.returncode})"),
                wall_s=time.perf_counter() - wall,
                cpu_s=usage.ru_utime + usage.ru_stime,
                peak_mib=usage.ru_maxrss / 1024,
                bar="shown apart",
            )


def peak_mib() -> float:
    """Return the largest memory this process has held so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def to_row(name: str, timing: Timing, *, bar: str) -> Row:
    """Turn a timing into a row; memory is the largest of the process so far."""
    return Row(name=name, wall_s=timing.wall_s, cpu_s=timing.cpu_s, peak_mib=peak_mib(), bar=bar)


if __name__ == "__main__":
    for row in measure_paths():
        print(
            f"{row.name:<70} {row.wall_s:>8.3f} {row.cpu_s:>8.3f} {row.peak_mib:>7.0f}  {row.bar}", flush=True
        )
