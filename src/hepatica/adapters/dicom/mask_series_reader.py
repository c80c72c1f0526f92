"""Masks that were saved as image series: each a DICOM series of two pixel values."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

import numpy as np

from hepatica.adapters.dicom.series import ImageGroup
from hepatica.adapters.dicom.stack_reader import read_stack
from hepatica.anatomy.naming import keep_known_words
from hepatica.core.errors import SourceFormatError
from hepatica.core.findings import Finding
from hepatica.core.geometry import Grid
from hepatica.core.progress import Progress
from hepatica.imaging.mask import Mask, find_box
from hepatica.imaging.orientation import to_canonical
from hepatica.workflows.ports import FileTree


def name_mask_series(groups: Sequence[ImageGroup], *, path: Path) -> tuple[str, ...]:
    """Name each mask series: by its description, else by its folder, else by its archive.

    A description counts only where no other series has the same. Of a folder or archive name only the words
    that name structures are kept: the others may tell who the patient is.
    """
    descriptions = Counter(group.first.description for group in groups)
    names = []
    for group in groups:
        description = group.first.description
        if description and descriptions[description] == 1:
            names.append(description)
            continue
        parents = PurePosixPath(group.first.entry.name).parent.parts
        names.append(keep_known_words(_clean(parents[-1] if parents else path.name)) or "mask")
    doubled = Counter(names)
    return tuple(f"{name} {n}" if doubled[name] > 1 else name for n, name in enumerate(names, start=1))


def _clean(name: str) -> str:
    stem = re.sub(r"\.zip$", "", name, flags=re.IGNORECASE)
    return re.sub(r"^masks?[_\- ]+", "", stem, flags=re.IGNORECASE) or stem


def read_mask_series(
    tree: FileTree, group: ImageGroup, *, where: str, progress: Progress
) -> tuple[Mask | None, str, tuple[Finding, ...]]:
    """Read one mask series: its mask (None where empty), digest and findings.

    Raises
    ------
    SourceFormatError
        If it holds more than two values after all.
    """
    stack = read_stack(tree, group.records, where=where, resample=True, progress=progress)
    low, high = stack.values.min(), stack.values.max()
    if not ((stack.values == low) | (stack.values == high)).all():
        raise SourceFormatError(
            expected="a mask of two values",
            given="more",
            where=where,
            action="give one series for each structure",
        )
    values, affine, axis = to_canonical(stack.values.T > 0, lps_from_ijk=stack.lps_from_ijk, slice_axis=2)
    if find_box(values) is None:
        return None, stack.digest, stack.findings
    grid = Grid(
        shape=(values.shape[0], values.shape[1], values.shape[2]),
        lps_from_ijk=affine,
        frame_of_reference=group.first.frame_of_reference or None,
        slice_axis=axis,
    )
    return Mask.from_full(np.asarray(values), grid=grid), stack.digest, stack.findings
