"""A noisy CT torso with the things that fool a threshold: contrast, marrow, gas, table. Closed-form truth."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from phantom import ellipsoid

from hepatica.anatomy.structures import Anatomy, Origin, StructureKind, StructureSource
from hepatica.core.geometry import Grid
from hepatica.imaging.mask import Mask
from hepatica.imaging.volume import Volume


@dataclass(frozen=True)
class CtTorso:
    """The scan, its labelled liver and lesion, and the truth by name."""

    volume: Volume
    anatomy: Anatomy
    truth: dict[str, np.ndarray]


def make_ct_torso(*, spacing_mm=(2.0, 2.0, 4.0), noise_hu=12.0) -> CtTorso:
    """Build it: supine, +x left, +y back, +z head; cut by the first and last slice."""
    shape = tuple(round(e / s) for e, s in zip((400.0, 320.0, 200.0), spacing_mm, strict=True))
    grid = Grid.from_axes(shape=shape, spacing_mm=spacing_mm, origin_lps_mm=(-200.0, -150.0, -100.0))

    def at(centre, radii):
        return ellipsoid(grid, centre, radii)

    long = 10_000.0
    body = at((0, 0, 0), (165, 115, long))
    wall = at((0, 0, 0), (140, 92, long))
    lung = (at((-75, 10, 110), (58, 72, 70)) | at((75, 10, 110), (58, 72, 70))) & wall
    liver = at((-62, -8, -5), (68, 72, 55)) & ~lung
    lesion = at((-75, -20, 0), (15, 15, 15))
    vertebra, marrow = at((0, 78, 0), (24, 18, long)), at((0, 78, 0), (20, 14, long))
    ribs = np.zeros(grid.shape, dtype=bool, order="F")
    for angle in np.deg2rad(np.arange(-60, 241, 30)):
        ribs |= at((146 * np.cos(angle), 97 * np.sin(angle), 0), (6, 6, long))
    aorta = at((22, 48, 0), (11, 11, long))
    kidney = at((-75, 55, -75), (24, 20, 30)) & ~liver
    stomach = at((70, -30, 0), (36, 30, 30)) & ~lung
    bowel_gas = at((60, -60, -70), (25, 16, 16))
    small_gas = at((20, -60, -75), (5, 5, 5))
    vessel = at((-45, -5, -15), (45, 4, 4))
    table = at((0, 620, 0), (500, 500, long)) & ~at((0, 625, 0), (500, 500, long))
    levels = [
        (body, -100), (at((0, 0, 0), (150, 100, long)), 50), (wall, 30), (liver, 110), (vessel, 180),
        (lesion, 60),
        (kidney, 210), (stomach, 300), (aorta, 200), (lung, -850), (bowel_gas, -1000), (small_gas, -1000),
        (ribs, 600), (vertebra, 650), (marrow, 200), (table & ~body, 100),
    ]  # fmt: skip
    hu = np.full(grid.shape, -1000.0, order="F")
    for part, level in levels:
        hu[part] = level
    hu += np.random.default_rng(7).normal(0.0, noise_hu, size=grid.shape)
    volume = Volume(values=np.asfortranarray(np.rint(np.clip(hu, -1024, 3071)).astype(np.int16)), grid=grid)
    labels = {StructureKind.LIVER: liver | lesion, StructureKind.LESION: lesion}
    empty = Anatomy(grid=grid, bits=np.zeros(grid.shape, np.uint32, order="F"))
    anatomy = empty.with_structures(
        (
            StructureSource(kind=kind, origin=Origin.LABELLED, names=(str(kind),), source="torso"),
            Mask.from_full(full, grid=grid),
        )
        for kind, full in labels.items()
    )
    bone = ribs | vertebra
    truth = {
        "body": body, "lung": lung & ~bone, "bone": bone, "aorta": aorta & ~bone, "kidney": kidney & ~bone,
        "stomach": stomach, "bowel_gas": bowel_gas, "small_gas": small_gas,
        "vessel": vessel & liver & ~lesion,
        "table": table & ~body, "liver": liver, "lesion": lesion,
    }  # fmt: skip
    return CtTorso(volume=volume, anatomy=anatomy, truth=truth)


def dice(a: np.ndarray, b: np.ndarray) -> float:
    """Return twice the overlap over the sum of both sizes."""
    return float(2 * np.count_nonzero(a & b) / (np.count_nonzero(a) + np.count_nonzero(b)))


def share(part: np.ndarray, of: np.ndarray) -> float:
    """Return the share of ``of`` that lies in ``part``."""
    return float(np.count_nonzero(part & of) / np.count_nonzero(of))
