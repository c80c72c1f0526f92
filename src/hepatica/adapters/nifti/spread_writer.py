"""The predicted spread of each lesion as NIfTI volumes on its working grid."""

from __future__ import annotations

import gzip
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np

from hepatica.core.findings import NotEvaluable
from hepatica.core.geometry import FloatArray, Grid
from hepatica.core.progress import Progress
from hepatica.workflows.ports import PlanContext

RAS_FROM_LPS: Final = np.diag([-1.0, -1.0, 1.0, 1.0])
SCANNER: Final = 1
"""NIfTI transform code: coordinates of the scanner."""


class SpreadVolumeWriter:
    """Writes ``spread_<lesion>_coverage.nii.gz`` and ``spread_<lesion>_concentration.nii.gz``.

    Coverage is the share of the draws in which a voxel is reached; concentration is the mean over the draws, amount
    per mL of tissue.
    """

    requires: Sequence[str] = ()

    def write_plan(self, context: PlanContext, folder: Path, *, progress: Progress) -> tuple[str, ...]:
        """Write the volumes; nothing where no spread was simulated."""
        names = []
        for lesion in () if context.spread is None else context.spread.lesions:
            scene, outcome = lesion.site.scene, lesion.outcome
            if isinstance(scene, NotEvaluable) or isinstance(outcome, NotEvaluable):
                continue
            progress.check_cancelled()
            for what, values, words in (
                ("coverage", outcome.coverage_probability, "simulated: share of draws that reach"),
                ("concentration", outcome.expected_per_ml, f"simulated: mean {lesion.unit} per mL of tissue"),
            ):
                names.append(f"spread_{lesion.lesion_id}_{what}.nii.gz")
                (folder / names[-1]).write_bytes(to_nifti(values, grid=scene.grid, description=words))
        return tuple(names)


def to_nifti(values: FloatArray, *, grid: Grid, description: str) -> bytes:
    """Return a gzipped NIfTI-1 file of 32-bit floats; equal values give equal bytes.

    Parameters
    ----------
    values
        (I, J, K) numbers on the grid.
    grid
        Grid in LPS; the file's transform is RAS, as the format asks.
    description
        At most 79 ASCII characters.
    """
    import nibabel

    image = nibabel.Nifti1Image(np.asarray(values, dtype=np.float32), RAS_FROM_LPS @ grid.lps_from_ijk)
    image.set_qform(image.affine, code=SCANNER)
    image.set_sform(image.affine, code=SCANNER)
    image.header.set_xyzt_units("mm")
    image.header["descrip"] = description.encode("ascii", "replace")[:79]
    # Without the time of writing, which gzip would keep.
    return gzip.compress(image.to_bytes(), mtime=0)
