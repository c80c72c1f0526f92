"""The phantom as a DICOM study with mask files, for journeys through the command line."""

from __future__ import annotations

from pathlib import Path

import nibabel
import numpy as np
from cases import LABEL_VALUES, to_ras
from phantom import Phantom, make_phantom
from scan_files import write_dicom

COARSE_MM = (6.0, 6.0, 8.0)
"""Plans in seconds, and still has liver, vessel and lesion of several voxels."""


def write_study(
    folder: Path, *, phantom: Phantom | None = None, name: str = "", **changes
) -> dict[str, Path]:
    """Write the phantom as a DICOM series and one NIfTI mask for each structure.

    ``name`` stands before every file name; ``changes`` are fields of `scan_files.DicomOptions`.
    """
    phantom = phantom or make_phantom(spacing_mm=COARSE_MM)
    grid = phantom.volume.grid
    options = {"frame": grid.frame_of_reference, "names": name + "{:04d}", **changes}
    scan = write_dicom(folder / f"{name}scan", np.array(phantom.volume.values), grid.lps_from_ijk, **options)
    masks = folder / f"{name}masks"
    masks.mkdir()
    for kind in LABEL_VALUES.values():
        full = phantom.anatomy.select(kind).astype(np.uint8)
        image = nibabel.Nifti1Image(full, to_ras(grid.lps_from_ijk))
        nibabel.save(image, masks / f"{name}{kind.value}.nii.gz")
    return {"ct": scan, "labels": masks}


def study_arguments(case: dict[str, Path], out: Path, *more: object) -> list[object]:
    """Arguments of ``hepatica plan`` for a written study."""
    return [
        "plan", case["ct"], "--labels", case["labels"], "--protocol", "tvec-label", "--visit", 1, "--out", out, *more,
    ]  # fmt: skip
