"""Label maps and mask files in NIfTI, NRRD or MetaImage, on the grid of a scan."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from hepatica.adapters.nifti.image_reader import measure_shear
from hepatica.adapters.nifti.stored_array import StoredArray
from hepatica.adapters.nifti.volume_file import VolumeFile, find_volume_files, load_volume_file, strip_suffix
from hepatica.anatomy.naming import keep_known_words
from hepatica.core.errors import (
    EmptyLabelError,
    GantryTiltError,
    NonFiniteError,
    SourceFormatError,
    UnknownLabelError,
)
from hepatica.core.findings import Finding, Severity
from hepatica.core.geometry import ORTHOGONALITY_TOLERANCE, Grid
from hepatica.core.progress import Progress
from hepatica.core.provenance import digest_bytes
from hepatica.imaging.mask import Mask
from hepatica.imaging.orientation import derive_slice_axis, to_canonical
from hepatica.imaging.placement import place_masks
from hepatica.workflows.ports import FileTree, LabelSet, NamedMask, ReadImage

MAX_LABELS: Final = 2000
"""Atlases end at some hundred structures; more distinct values mean an image was given as labels."""


class VolumeFileLabelReader:
    """Reads a label map, or a folder or zip with one mask file for each structure.

    Parameters
    ----------
    open_tree
        Opens a path as a tree of files.
    """

    def __init__(self, open_tree: Callable[[Path], FileTree]) -> None:
        self._open_tree = open_tree

    def read_labels(
        self,
        path: Path,
        *,
        reference: ReadImage,
        names: Mapping[int, str] | None = None,
        progress: Progress,
    ) -> LabelSet:
        """Read every structure onto the grid of a scan.

        A single file is a label map: values are named by ``names``, else by the file itself (3D Slicer
        segments),
        else ``label 4``. Of several files each must hold one structure and is named after its file, by
        the words of the file name that name structures.

        Parameters
        ----------
        path
            File, folder or zip.
        reference
            The scan whose grid is wanted.
        names
            Names by label value.
        progress
            Told about each file.

        Raises
        ------
        EmptyLabelError
            If no voxel is labelled inside the scan.
        UnknownLabelError
            If one of several files holds more than one label value.
        SourceFormatError
            If values are not whole numbers, negative, or an image's.
        FrameMismatchError
            If the labels do not fit the scan.
        """
        progress.stage("reading labels")
        with find_volume_files(path, self._open_tree) as files:
            masks: list[NamedMask] = []
            findings: list[Finding] = []
            formats: list[str] = []
            for n, file in enumerate(files):
                progress.check_cancelled()
                stored = load_volume_file(file)
                placed, noticed = _read_file(
                    stored, file=file, reference=reference.volume.grid, names=names, several=len(files) > 1
                )
                masks.extend(placed)
                findings.extend((*stored.findings, *noticed))
                formats.append(stored.format)
                progress.advance((n + 1) / len(files))
            digests = sorted(file.digest for file in files)
        if not masks:
            raise EmptyLabelError(
                expected="at least one labelled voxel",
                given="0 voxels",
                action="check that this is the right label file",
            )
        return LabelSet(
            masks=tuple(masks),
            digest=digests[0] if len(digests) == 1 else digest_bytes("".join(digests).encode()),
            format=", ".join(dict.fromkeys(formats)),
            findings=tuple(findings),
        )


def _read_file(
    stored: StoredArray, *, file: VolumeFile, reference: Grid, names: Mapping[int, str] | None, several: bool
) -> tuple[list[NamedMask], list[Finding]]:
    where = file.where
    own_name = keep_known_words(strip_suffix(file.name)) or where
    by_value = split_labels(stored, where=where)
    if several and len(by_value) > 1:
        raise UnknownLabelError(
            expected="one structure in each file of a folder",
            given=f"{len(by_value)} label values",
            where=where,
            action="give the label map by itself, with --names",
        )
    if not by_value:
        if not several:
            return [], []
        name = own_name
        message = f"'{name}' has no voxel."
        return [], [
            Finding(rule="labels.empty_segment", severity=Severity.WARNING, message=message, subject=name)
        ]
    table = {**stored.names, **(names or {})}
    named = [
        (own_name if several else table.get(value, f"label {value}"), mask)
        for value, mask in by_value.items()
    ]
    placement = place_masks(_make_unique(named), reference=reference, where=where)
    findings = list(placement.findings)
    absent = sorted(value for value in table if value > 0 and value not in by_value)
    if absent and not several:
        shown = ", ".join(f"{value} {table[value]}" for value in absent[:10])
        message = (
            f"{len(absent)} named label value(s) have no voxel: {shown}{' ...' if len(absent) > 10 else ''}."
        )
        findings.append(
            Finding(rule="labels.empty_segment", severity=Severity.INFO, message=message, subject=where)
        )
    return [NamedMask(name=each.name, mask=each.mask) for each in placement.placed], findings


def _make_unique(named: list[tuple[str, Mask]]) -> list[tuple[str, Mask]]:
    used: dict[str, int] = {}
    result = []
    for name, mask in named:
        used[name] = used.get(name, 0) + 1
        result.append((name if used[name] == 1 else f"{name} {used[name]}", mask))
    return result


def split_labels(stored: StoredArray, *, where: str) -> dict[int, Mask]:
    """Split a label map into one mask for each value above 0, on the file's grid in canonical axes.

    Raises
    ------
    SourceFormatError
        If values are not whole numbers, are negative, or far too many.
    NonFiniteError
        On NaN or infinity.
    GantryTiltError
        If the grid is sheared.
    """
    labels = _to_whole_numbers(stored.values, where=where)
    if measure_shear(stored.lps_from_ijk) > ORTHOGONALITY_TOLERANCE:
        raise GantryTiltError(
            expected="labels on perpendicular voxel axes",
            given="a sheared grid",
            where=where,
            action="draw the labels on the scan as Hepatica reads it, or export them as DICOM SEG",
        )
    labels, affine, axis = to_canonical(
        labels, lps_from_ijk=stored.lps_from_ijk, slice_axis=derive_slice_axis(stored.lps_from_ijk)
    )
    grid = Grid(
        shape=(labels.shape[0], labels.shape[1], labels.shape[2]), lps_from_ijk=affine, slice_axis=axis
    )
    from scipy import ndimage

    distinct = _distinct_values(labels)
    if distinct.size > MAX_LABELS:
        raise SourceFormatError(
            expected=f"a label map of at most {MAX_LABELS} values",
            given=f"{distinct.size} distinct values",
            where=where,
            action="check that this is not the image itself",
        )
    if distinct.size and int(distinct[-1]) > 4 * MAX_LABELS:
        ranks = np.searchsorted(distinct, labels) + 1
        ranks[labels == 0] = 0
        labels, numbers = ranks, np.arange(1, distinct.size + 1)
    else:
        numbers = distinct
    boxes = ndimage.find_objects(labels.astype(np.int32, copy=False))
    return {
        int(value): _crop(labels, int(number), boxes[int(number) - 1], grid)
        for value, number in zip(distinct, numbers, strict=True)
    }


def _crop(labels: NDArray[Any], number: int, box: tuple[slice, slice, slice], grid: Grid) -> Mask:
    start = (box[0].start, box[1].start, box[2].start)
    return Mask(grid=grid, start_ijk=start, crop=np.asfortranarray(labels[box] == number))


def _to_whole_numbers(values: NDArray[Any], *, where: str) -> NDArray[Any]:
    if np.issubdtype(values.dtype, np.floating):
        if not np.isfinite(values).all():
            raise NonFiniteError(expected="finite label values", given="NaN or infinity", where=where)
        if not np.array_equal(values, np.rint(values)):
            raise SourceFormatError(
                expected="whole numbers as label values",
                given="fractions",
                where=where,
                action="export a label map, not probabilities or a smoothed mask",
            )
    low, high = values.min(), values.max()
    if low < 0 or high > np.iinfo(np.int64).max // 2:
        raise SourceFormatError(
            expected="label values from 0 up",
            given=f"values from {low:g} to {high:g}",
            where=where,
            action="check that this is not the image itself",
        )
    for kind in (np.uint8, np.uint16, np.int32):
        if high <= np.iinfo(kind).max:
            return values.astype(kind)
    return values.astype(np.int64)


def _distinct_values(labels: NDArray[Any]) -> NDArray[Any]:
    if labels.dtype in (np.uint8, np.uint16):
        counts = np.bincount(labels.ravel(order="K"))
        return np.flatnonzero(counts)[np.flatnonzero(counts) > 0]
    distinct = np.unique(labels)
    return distinct[distinct > 0]
