"""A synthetic torso at the size of a clinical scan, for benchmarks: 512 x 512 x 200 voxels, five lesions."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hepatica.anatomy.structures import Anatomy, Origin, StructureKind, StructureSource, to_bit
from hepatica.core.evidence import EvidenceTable
from hepatica.core.geometry import Grid
from hepatica.imaging.mask import Mask
from hepatica.imaging.volume import Volume
from hepatica.planning.path.needle_choice import choose_needle
from hepatica.planning.path.scene import Scene, build_scene, read_path_limits

SHAPE, SPACING_MM = (512, 512, 200), (0.75, 0.75, 1.5)
LESIONS = (
    ((-70, -30, 20), 12.0),
    ((-95, 10, -10), 9.0),
    ((-50, 20, 30), 14.0),
    ((-30, -45, 0), 8.0),
    ((-80, 40, 10), 11.0),
)
ELLIPSOIDS = (
    (StructureKind.LUNG, (-75, 10, 120), (65, 75, 62)),
    (StructureKind.LUNG, (75, 10, 110), (60, 75, 62)),
    (StructureKind.HEART, (35, -50, 115), (42, 38, 40)),
    (StructureKind.STOMACH, (70, -45, 10), (40, 35, 45)),
    (StructureKind.BOWEL, (10, -60, -105), (100, 32, 40)),
    (StructureKind.KIDNEY, (-65, 72, -75), (26, 24, 48)),
    (StructureKind.KIDNEY, (65, 72, -70), (26, 24, 48)),
    (StructureKind.GALLBLADDER, (-45, -55, -45), (13, 13, 26)),
    (StructureKind.AORTA, (12, 60, 0), (11, 11, 2000)),
    (StructureKind.VENA_CAVA, (-18, 50, 0), (11, 10, 2000)),
    (StructureKind.BONE, (0, 88, 0), (22, 20, 2000)),
)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Torso:
    """A CT with structures and lesions; `to_scene` is what the benchmark times.

    Parameters
    ----------
    volume, anatomy, lesions
        As `hepatica.planning.path.scene.build_scene` takes them.
    """

    volume: Volume
    anatomy: Anatomy
    lesions: dict[str, tuple[Mask, Mask]]

    def to_scene(self, limits: EvidenceTable | None = None) -> Scene:
        """Build the scene from labels in memory.

        Parameters
        ----------
        limits
            Other limits than the shipped ones.
        """
        limits = limits or read_path_limits()
        return build_scene(
            self.volume,
            self.anatomy,
            lesions=self.lesions,
            gravity_lps=np.array([0.0, 1.0, 0.0]),
            limits=limits,
            needle=choose_needle(limits=limits),
        )


def _draw(
    grid: Grid,
    bits: NDArray[np.uint32],
    kind: StructureKind,
    centre: ArrayLike,
    radii: ArrayLike,
    *,
    only: int | None = None,
) -> None:
    """Set a kind's bit in an axis-aligned ellipsoid, touching only its own box."""
    origin, spacing = grid.origin_lps_mm, grid.spacing_mm
    middle, half = np.asarray(centre, np.float64), np.asarray(radii, np.float64)
    low = np.maximum(np.floor((middle - half - origin) / spacing).astype(int), 0)
    high = np.minimum(np.ceil((middle + half - origin) / spacing).astype(int) + 1, grid.shape)
    axes = [
        ((np.arange(a, b) * spacing[n] + origin[n] - middle[n]) / half[n]) ** 2
        for n, (a, b) in enumerate(zip(low, high, strict=True))
    ]
    inside = axes[0][:, None, None] + axes[1][None, :, None] + axes[2][None, None, :] <= 1.0
    box = tuple(slice(a, b) for a, b in zip(low, high, strict=True))
    if only is not None:
        inside &= (bits[box] & only) != 0
    bits[box] |= np.where(inside, np.uint32(to_bit(kind)), np.uint32(0))


def make_torso() -> Torso:
    """Draw the torso; deterministic."""
    origin = tuple(-0.5 * (n - 1) * s for n, s in zip(SHAPE, SPACING_MM, strict=True))
    grid = Grid.from_axes(shape=SHAPE, spacing_mm=SPACING_MM, origin_lps_mm=origin)
    bits = np.zeros(SHAPE, np.uint32, order="F")
    body, liver = to_bit(StructureKind.BODY), to_bit(StructureKind.LIVER)
    _draw(grid, bits, StructureKind.BODY, (0, 0, 0), (165, 115, 2000))
    _draw(grid, bits, StructureKind.LIVER, (-62, -5, 0), (78, 82, 85), only=body)
    for kind, centre, radii in ELLIPSOIDS:
        _draw(grid, bits, kind, centre, radii, only=body)
    rng = np.random.default_rng(7)
    for n in range(24):  # vessels: chains of balls through the liver, 2 to 5 mm in radius
        start, end = rng.uniform((-110, -55, -45), (-20, 50, 45), (2, 3))
        kind = StructureKind.PORTAL_VEIN if n % 2 else StructureKind.HEPATIC_VEIN
        for t in np.linspace(0, 1, 60):
            _draw(grid, bits, kind, start + t * (end - start), np.full(3, 1.5 + n % 4), only=liver)
    for z in range(-120, 150, 26):  # ribs: rings of balls under the skin, lower at the front
        for angle in np.radians(np.arange(-80, 261, 1.5)):
            at = (150 * np.cos(angle), 101 * np.sin(angle), z + 18 * np.sin(angle))
            if abs(at[2]) < 148 and not (angle < np.radians(-60) or angle > np.radians(240)):
                _draw(grid, bits, StructureKind.BONE, at, np.array([5.0, 5.0, 6.0]), only=body)
    lesions = {}
    for number, (centre, radius) in enumerate(LESIONS, 1):
        part = np.zeros(SHAPE, np.uint32, order="F")
        _draw(grid, part, StructureKind.LESION, centre, np.full(3, radius))
        mask = Mask.from_full(part != 0, grid=grid)
        lesions[f"L{number}"] = (mask, mask)
        bits[mask.box][mask.crop] = body | liver | to_bit(StructureKind.LESION)
    hu = np.where(bits == 0, -1000, 60).astype(np.int16, order="F")
    sources = {
        kind: StructureSource(kind=kind, origin=Origin.LABELLED, names=(kind.value,), source="synthetic")
        for kind in StructureKind
        if (bits & np.uint32(to_bit(kind))).any()
    }
    return Torso(
        volume=Volume(values=hu, grid=grid),
        anatomy=Anatomy(grid=grid, bits=bits, sources=sources),
        lesions=lesions,
    )
