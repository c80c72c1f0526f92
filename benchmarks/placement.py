"""Placement error: 20 plans x 10,000 needles in a trunk of 512 x 512 x 200 voxels, warm and first call."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from hepatica.anatomy.structures import Anatomy, Origin, StructureKind, StructureSource
from hepatica.core.findings import NotEvaluable
from hepatica.core.geometry import BoolArray, FloatArray, Grid
from hepatica.imaging.mask import Mask
from hepatica.imaging.volume import Volume
from hepatica.planning.path.needle_choice import choose_needle
from hepatica.planning.path.placement_error import DRAWS, simulate_placement
from hepatica.planning.path.placement_presets import list_placement_presets, make_placement_model
from hepatica.planning.path.scene import Scene, build_scene, read_path_limits
from hepatica.planning.path.values import Deposit, Puncture, Track

PLANS = 20
SHAPE, SPACING_MM = (512, 512, 200), (0.75, 0.75, 1.5)
LIVER_LPS_MM = (-55.0, 0.0, 0.0)
SEED = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class PlacementRow:
    """One measured run."""

    name: str
    wall_s: float
    cpu_s: float
    bar: str


def make_scene() -> Scene:
    """A trunk with ribs, lungs, bowel, gallbladder, kidney, heart, 24 vessels and one lesion."""
    grid = Grid.from_axes(shape=SHAPE, spacing_mm=SPACING_MM, origin_lps_mm=(-191.6, -191.6, -149.25))
    x, y, z = (
        grid.to_lps_mm(np.eye(3)[a] * np.arange(n)[:, None])[:, a].reshape(
            [-1 if a == b else 1 for b in range(3)]
        )
        for a, n in enumerate(SHAPE)
    )

    def ball(centre: tuple[float, float, float], radii: tuple[float, float, float]) -> BoolArray:
        a, b, c = centre
        p, q, r = radii
        return ((x - a) / p) ** 2 + ((y - b) / q) ** 2 + ((z - c) / r) ** 2 <= 1

    trunk = (x / 170) ** 2 + (y / 120) ** 2 + 0 * z
    parts: dict[StructureKind, BoolArray] = {
        StructureKind.BODY: trunk <= 1,
        StructureKind.LIVER: ball(LIVER_LPS_MM, (85, 75, 75)),
        StructureKind.LESION: ball(LIVER_LPS_MM, (16, 16, 16)),
        StructureKind.BONE: (trunk > 0.72) & (trunk < 0.80) & (np.mod(z + 0.35 * np.abs(y) + 500, 24) < 10),
        StructureKind.LUNG: ball((-75, 0, 120), (70, 80, 55)) | ball((75, 0, 110), (70, 80, 60)),
        StructureKind.BOWEL: ball((30, -40, -95), (80, 45, 45)),
        StructureKind.GALLBLADDER: ball((-35, -55, -45), (15, 20, 25)),
        StructureKind.KIDNEY: ball((-75, 70, -70), (28, 28, 50)),
        StructureKind.HEART: ball((35, -35, 95), (50, 45, 40)),
    }
    vessels = np.zeros(SHAPE, bool)
    rng = np.random.default_rng(SEED)
    for _ in range(24):
        at = np.array(LIVER_LPS_MM) + rng.uniform(-55, 55, 3)
        vessels |= ball(tuple(at), tuple(rng.uniform([3, 3, 12], [6, 6, 45])))  # type: ignore[arg-type]
    parts[StructureKind.PORTAL_VEIN] = vessels & parts[StructureKind.LIVER] & ~parts[StructureKind.LESION]
    anatomy = Anatomy(grid=grid, bits=np.zeros(SHAPE, np.uint32, order="F")).with_structures(
        (
            StructureSource(kind=kind, origin=Origin.LABELLED, names=(kind.value,), source="benchmark"),
            Mask.from_full(np.asfortranarray(part), grid=grid),
        )
        for kind, part in parts.items()
    )
    lesion = Mask.from_full(np.asfortranarray(parts[StructureKind.LESION]), grid=grid)
    values = np.where(parts[StructureKind.BODY], 40, -1000).astype(np.int16)
    limits = read_path_limits()
    return build_scene(
        Volume(values=np.asfortranarray(values), grid=grid),
        anatomy,
        lesions={"L1": (lesion, lesion)},
        gravity_lps=NotEvaluable(reason="benchmark"),
        limits=limits,
        needle=choose_needle(limits=limits),
    )


def make_punctures(scene: Scene) -> list[Puncture]:
    """Straight ways from skin near the lesion to its centre, with four deposits each; not chosen to be safe."""
    tip = np.array(LIVER_LPS_MM)
    skin = scene.skin.points_lps_mm
    near = skin[np.argsort(np.linalg.norm(skin - tip, axis=1), kind="stable")[:400]]
    return [make_puncture(entry, tip, scene) for entry in near[:: len(near) // PLANS][:PLANS]]


def make_puncture(entry: FloatArray, tip: FloatArray, scene: Scene) -> Puncture:
    """One puncture with four deposits of 0.5 mL, 5 mm apart."""
    length_mm = float(np.linalg.norm(tip - entry))
    back = (entry - tip) / length_mm
    deposits = tuple(
        Deposit(point_lps_mm=tip + 5.0 * n * back, volume_ml=0.5, lesion_id="L1", order=n + 1)
        for n in range(4)
    )
    return Puncture(
        puncture_id="P", lesion_ids=("L1",), entry_lps_mm=entry, length_mm=length_mm,
        in_plane_angle_deg=0.0, craniocaudal_angle_deg=0.0, capsule_angle_deg=90.0, liver_before_lesion_mm=0.0,
        clearances=(), runs=(), terms=(), tracks=(Track(tip_lps_mm=tip, deposits=deposits),), needle=scene.needle,
    )  # fmt: skip


def measure_placement() -> Iterator[PlacementRow]:
    """First call with whatever the compile cache holds, then three warm runs of each preset."""
    scene = make_scene()
    punctures = make_punctures(scene)

    def run(name: str, chosen: list[Puncture], preset: str, bar: str) -> PlacementRow:
        model = make_placement_model(preset)
        wall, cpu = time.perf_counter(), time.process_time()
        for puncture in chosen:
            simulate_placement(puncture, scene, model=model, rng=np.random.default_rng(SEED))
        return PlacementRow(
            name=name, wall_s=time.perf_counter() - wall, cpu_s=time.process_time() - cpu, bar=bar
        )

    yield run("placement, first call, one plan", punctures[:1], "freehand", "compile shown apart")
    for preset in list_placement_presets():
        for number in range(3):
            name = f"placement, {preset}, run {number + 1}"
            yield run(name, punctures, preset, f"1 s: {len(punctures)} plans x {DRAWS:,} needles, 2 cores")


if __name__ == "__main__":
    print(f"threads {os.environ.get('NUMBA_NUM_THREADS', os.cpu_count())}")
    for row in measure_placement():
        print(f"{row.name:<38} {row.wall_s:>8.2f} {row.cpu_s:>8.2f}   {row.bar}")
