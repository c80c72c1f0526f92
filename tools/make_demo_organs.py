"""Derive organs around the liver of the demonstration case; nobody qualified has reviewed them.

    python tools/make_demo_organs.py FOLDER

FOLDER is the demonstration folder with ``venous.zip`` and ``labels.nii.gz``; it receives ``organs.nii.gz``
and ``organs.csv`` on the grid of the venous phase, and ``SHA256SUMS`` is brought up to date. The same input
gives the same voxels; there is no random step.

Stomach, duodenum and heart
    Hand-set outlines (``demo_organs.toml``) say where an organ may be; a threshold on the slightly smoothed
    venous phase finds its edge against fat and lung. Gas inside counts as content. The heart's outlines
    follow the outermost coronary vessels, and the fat between vessels and chambers is closed in, so the label
    is what the pericardium holds; fat pads outside are left out. The inferior vena cava is part of it from
    where it meets the right atrium (slice 59 upward).
Spleen, kidneys, aorta
    Region growing from seeds within a HU window, after an opening that cuts the vessels at the hilum; a
    closing gives the kidneys most of their sinus. The aorta is followed upward slice by slice within a disc
    around its last centre.

Liver, lesion and lung of ``labels.nii.gz`` always win over a derived organ. The arterial phase is not used,
so that it can serve as a check.
"""

from __future__ import annotations

import argparse
import io
import tomllib
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import nibabel
import numpy as np
import pydicom
from make_demo_case import update_sums, write_csv, write_label_map
from numpy.typing import NDArray
from scipy import ndimage
from skimage.draw import polygon2mask
from skimage.morphology import disk

Bool = NDArray[np.bool_]
Labels = NDArray[np.uint8]

MARK: Final = "(derived, not reviewed)"
ORGAN_NAMES: Final[Mapping[int, str]] = {
    1: f"stomach {MARK}",
    2: f"heart {MARK}",
    3: f"duodenum, first part {MARK}",
    4: f"spleen {MARK}",
    5: f"kidney left {MARK}",
    6: f"kidney right {MARK}",
    7: f"aorta {MARK}",
}
PROTECTED: Final = {"lung": 2, "liver": 3, "lesion": 4}
"""Values of labels.nii.gz that no derived organ may touch."""
OUTLINES: Final = Path(__file__).with_name("demo_organs.toml")

SMOOTHING_PX: Final = 0.7
"""In-plane Gaussian before a threshold: half a millimetre, below the thinnest gastric wall seen here."""
TISSUE_HU: Final = -20.0
"""Half way between fat (about -100) and unenhanced wall (about 60)."""
GAS_HU: Final = -300.0
"""Gas in a lumen."""
GAS_WALL_PX: Final = 2
"""A lumen wall is taken to be at least 1.3 mm: thinner ones vanish in partial volume with gas and fat."""
GAP_PX: Final = 3
"""Widest sheet (6 pixels, 4 mm) between stomach and liver label that is taken for gastric wall."""
RIM_PX: Final = 2
"""What an opening takes from corners is given back this far, which is too little to follow a vessel."""
LIVER_COMPLETE_TO: Final = 52
"""Above this slice the liver label is cut off, and what lies between it and the stomach is liver."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Growth:
    """How one organ is grown: seeds (slice, row, column), HU window, box of rows and columns, radii."""

    seeds: tuple[tuple[int, int, int], ...]
    window_hu: tuple[float, float]
    rows: tuple[int, int]
    columns: tuple[int, int]
    opening_px: int
    closing_px: int
    smoothing_px: float


GROWTHS: Final[Mapping[int, Growth]] = {
    5: Growth(
        seeds=((20, 312, 330), (30, 290, 340), (36, 282, 290)),
        window_hu=(150.0, 420.0),
        rows=(235, 345),
        columns=(278, 382),
        opening_px=6,
        closing_px=5,
        smoothing_px=1.0,
    ),
    6: Growth(
        seeds=((16, 240, 150), (28, 270, 165)),
        window_hu=(165.0, 420.0),
        rows=(200, 345),
        columns=(105, 215),
        opening_px=6,
        closing_px=5,
        smoothing_px=1.0,
    ),
    4: Growth(
        seeds=((52, 290, 340),),
        window_hu=(110.0, 245.0),
        rows=(230, 400),
        columns=(270, 420),
        opening_px=4,
        closing_px=1,
        smoothing_px=1.5,
    ),
}
AORTA_START: Final = (0, 232, 278)
"""Slice, row and column of the aorta in the lowest slice."""
AORTA_HU: Final = 165.0
AORTA_REACH_PX: Final = 17
"""Largest distance from the last slice's centre: the aorta here is at most 15 pixels (10 mm) in radius."""
AORTA_OPENING_PX: Final = 5
"""Cuts branches and the left renal vein."""


def derive_organs(hu: NDArray[np.int16], labels: Labels) -> Labels:
    """Return organ values (K, J, I) for the venous phase (K, J, I) in HU and the labels of the same grid."""
    outlines = tomllib.loads(OUTLINES.read_text(encoding="utf-8"))
    free = ~np.isin(labels, list(PROTECTED.values()))
    organs = np.zeros(labels.shape, dtype=np.uint8)
    smooth = ndimage.gaussian_filter(hu.astype(np.float32), (0, SMOOTHING_PX, SMOOTHING_PX))
    found = {
        1: _fill_outlined(smooth, outlines["stomach"]["outline"], closing_px=2, opening_px=3),
        2: _fill_outlined(smooth, outlines["heart"]["outline"], closing_px=16, opening_px=2),
        3: _fill_outlined(smooth, outlines["duodenum"]["outline"], closing_px=2, opening_px=1),
        7: _follow_aorta(smooth),
    }
    low = slice(0, LIVER_COMPLETE_TO + 1)
    liver = np.isin(labels, (PROTECTED["liver"], PROTECTED["lesion"]))
    found[1][low] = _close_gap(found[1][low], liver[low], smooth[low] > TISSUE_HU)
    for value in (1, 2, 3, 7):
        organs[_largest(found[value] & free & (organs == 0))] = value
    for value, growth in GROWTHS.items():
        organs[_grow(hu, growth, allowed=free & (organs == 0))] = value
    return organs


def _fill_outlined(
    smooth: NDArray[np.float32], outline: Mapping[str, list[list[float]]], *, closing_px: int, opening_px: int
) -> Bool:
    """Keep tissue, gas with its wall, and what they enclose, inside each slice's outline."""
    result = np.zeros(smooth.shape, dtype=bool)
    for key, points in outline.items():
        k = int(key)
        polygon = np.array(points)[:, ::-1]
        low, high = (
            np.floor(polygon.min(axis=0)).astype(int) - 1,
            np.ceil(polygon.max(axis=0)).astype(int) + 2,
        )
        box = (slice(low[0], high[0]), slice(low[1], high[1]))
        image = smooth[k][box]
        inside = polygon2mask(image.shape, polygon - low)
        gas_and_wall = ndimage.binary_dilation(image < GAS_HU, disk(GAS_WALL_PX))
        core = inside & ((image > TISSUE_HU) | gas_and_wall)
        filled = ndimage.binary_fill_holes(_close(core, closing_px) & inside)
        result[k][box] = ndimage.binary_opening(filled, disk(opening_px))
    return _largest(result)


def _close_gap(organ: Bool, neighbour: Bool, tissue: Bool) -> Bool:
    """Give the organ the thin sheet of tissue left between it and a neighbour that it touches."""
    result = organ.copy()
    for k in np.flatnonzero(organ.any(axis=(1, 2)) & neighbour.any(axis=(1, 2))):
        beside = ndimage.binary_dilation(organ[k], disk(GAP_PX + 1))
        result[k] |= _close(organ[k] | neighbour[k], GAP_PX) & ~neighbour[k] & beside & tissue[k]
    return result


def _close(mask: Bool, radius_px: int) -> Bool:
    padded = np.pad(mask, radius_px)
    closed = ndimage.binary_closing(padded, disk(radius_px))
    return np.asarray(closed[radius_px:-radius_px, radius_px:-radius_px])


def _largest(mask: Bool) -> Bool:
    numbered, count = ndimage.label(mask)
    if count == 0:
        raise ValueError("an organ came out empty")
    sizes = np.bincount(numbered.ravel())[1:]
    return np.asarray(numbered == 1 + int(np.argmax(sizes)))


def _grow(hu: NDArray[np.int16], growth: Growth, *, allowed: Bool) -> Bool:
    """Grow from the seeds through opened slices, give back the rim the opening took, fill each slice."""
    box = (slice(None), slice(*growth.rows), slice(*growth.columns))
    smooth = ndimage.gaussian_filter(
        hu[box].astype(np.float32), (0.0, growth.smoothing_px, growth.smoothing_px)
    )
    core = (smooth > growth.window_hu[0]) & (smooth < growth.window_hu[1]) & allowed[box]
    opened = ndimage.binary_opening(core, disk(growth.opening_px)[None])
    numbered, _ = ndimage.label(opened)
    corner = np.array([0, growth.rows[0], growth.columns[0]])
    wanted = {int(numbered[tuple(np.array(seed) - corner)]) for seed in growth.seeds} - {0}
    if not wanted:
        raise ValueError(f"no seed of {growth.seeds} lies in its organ")
    grown = np.isin(numbered, list(wanted))
    grown = ndimage.binary_dilation(grown, disk(RIM_PX)[None]) & core
    for k in range(hu.shape[0]):
        grown[k] = ndimage.binary_fill_holes(_close(grown[k], growth.closing_px))
    result = np.zeros(hu.shape, dtype=bool)
    result[box] = grown & allowed[box]
    return _largest(result)


def _follow_aorta(smooth: NDArray[np.float32]) -> Bool:
    """Follow the bright disc upward; each slice is searched around the centre of the slice below."""
    result = np.zeros(smooth.shape, dtype=bool)
    first, row, column = AORTA_START
    centre = np.array([row, column], dtype=np.float64)
    rows, columns = np.indices(smooth.shape[1:])
    for k in range(first, smooth.shape[0]):
        near = np.hypot(rows - centre[0], columns - centre[1]) <= AORTA_REACH_PX
        opened = ndimage.binary_opening((smooth[k] > AORTA_HU) & near, disk(AORTA_OPENING_PX))
        numbered, count = ndimage.label(opened)
        if count == 0:
            raise ValueError(f"the aorta was lost in slice {k}")
        centres = np.array(ndimage.center_of_mass(opened, numbered, range(1, count + 1)))
        nearest = int(np.argmin(np.linalg.norm(centres - centre, axis=1)))
        result[k] = ndimage.binary_fill_holes(numbered == nearest + 1)
        centre = centres[nearest]
    return result


def read_stack(path: Path) -> NDArray[np.int16]:
    """Return an axial CT series in a zip archive as (K, J, I) HU, lowest slice first."""
    with zipfile.ZipFile(path) as archive:
        slices = [pydicom.dcmread(io.BytesIO(archive.read(name))) for name in archive.namelist()]
    slices.sort(key=lambda item: float(item.ImagePositionPatient[2]))
    return np.stack([s.pixel_array * int(s.RescaleSlope) + int(s.RescaleIntercept) for s in slices]).astype(
        np.int16
    )


def make_demo_organs(folder: Path) -> dict[str, float]:
    """Write the organs into the folder and return the volume in mL of each by name."""
    image = nibabel.load(folder / "labels.nii.gz")
    labels = np.ascontiguousarray(np.asarray(image.dataobj).T.astype(np.uint8))
    organs = derive_organs(read_stack(folder / "venous.zip"), labels)
    write_label_map(folder / "organs.nii.gz", np.ascontiguousarray(organs.T), image.affine)
    write_csv(folder / "organs.csv", ("value", "name"), [(str(v), name) for v, name in ORGAN_NAMES.items()])
    update_sums(folder, ("organs.nii.gz", "organs.csv"))
    voxel_ml = abs(float(np.linalg.det(image.affine[:3, :3]))) / 1000.0
    return {name: float((organs == value).sum()) * voxel_ml for value, name in ORGAN_NAMES.items()}


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path, help="the demonstration folder")
    for name, volume_ml in make_demo_organs(parser.parse_args().folder).items():
        print(f"{volume_ml:8.1f} mL  {name}")


if __name__ == "__main__":
    main()
