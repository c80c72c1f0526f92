"""Draw label outlines over CT slices, for looking at derived anatomy slice by slice.

    python tools/view_overlay.py CT.zip LABELS.nii.gz OUT.png [--slices 43:53] [--box 150 300 250 405]

CT.zip holds one axial DICOM series; LABELS lies on its grid. Several label maps may be given before OUT.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import matplotlib
import nibabel
import numpy as np
from make_demo_organs import read_stack

matplotlib.use("Agg")
from matplotlib import pyplot

COLUMNS = 3
PANEL_INCHES = 4.0


def view_overlay(
    ct: Path,
    labels: list[Path],
    out: Path,
    *,
    slices: range,
    box: tuple[int, int, int, int],
    window_hu: tuple[float, float] = (-80.0, 300.0),
) -> None:
    """Write a montage; ``box`` is first and last row, first and last column."""
    hu = read_stack(ct)
    maps = [np.asarray(nibabel.load(path).dataobj).T for path in labels]
    for path, label_map in zip(labels, maps, strict=True):
        if label_map.shape != hu.shape:
            raise SystemExit(f"{path.name}: expected shape {hu.shape}, given {label_map.shape}")
    chosen = [k for k in slices if k < hu.shape[0]]
    lines = -(-len(chosen) // COLUMNS)
    aspect = (box[1] - box[0]) / (box[3] - box[2])
    size = (COLUMNS * PANEL_INCHES, lines * PANEL_INCHES * aspect + 0.2)
    figure, axes = pyplot.subplots(lines, COLUMNS, figsize=size, squeeze=False)
    colours = pyplot.get_cmap("tab10").colors
    for panel in axes.flat:
        panel.axis("off")
    for panel, k in zip(axes.flat, chosen, strict=False):
        panel.imshow(hu[k], cmap="gray", vmin=window_hu[0], vmax=window_hu[1], interpolation="nearest")
        for number, label_map in enumerate(maps):
            for value in np.unique(label_map[k])[1:]:
                colour = colours[(int(value) + 3 * number) % len(colours)]
                panel.contour(label_map[k] == value, [0.5], colors=[colour], linewidths=0.7)
        panel.set(xlim=(box[2], box[3]), ylim=(box[1], box[0]))
        panel.set_title(f"slice {k}", fontsize=8, pad=2)
    figure.tight_layout(pad=0.3)
    figure.savefig(out, dpi=100)
    pyplot.close(figure)


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("ct", type=Path)
    parser.add_argument("labels", type=Path, nargs="+")
    parser.add_argument("out", type=Path)
    parser.add_argument("--slices", default="0:1000:5", help="first:last:step, last excluded")
    parser.add_argument("--box", type=int, nargs=4, default=(0, 512, 0, 512), help="rows, then columns")
    arguments = parser.parse_args()
    slices = range(1000)[slice(*(int(part) for part in arguments.slices.split(":")))]
    view_overlay(arguments.ct, arguments.labels, arguments.out, slices=slices, box=tuple(arguments.box))


if __name__ == "__main__":
    main()
